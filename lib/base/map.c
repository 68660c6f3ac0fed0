/*
 * Slots are ordered by mix all along the array, because homes (mix >> shift) are: a new entry shifts the larger
 * ones of its cluster up, a deletion shifts them back.  The array is longer than the homes by a tail that the
 * last cluster grows into, and that grows alone if keys crowd there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"

enum { TAIL = 32, LEAST = 4 };		/* spare slots; log2 of the smallest table */

static int
grow(struct map *m, unsigned shift, size_t tail)
{
	size_t len = ((size_t)1 << (64 - shift)) + tail, i, at = 0;
	struct map_slot *t = calloc(len, sizeof *t);

	if (!t)
		return -ENOMEM;
	for (i = 0; i < m->len; i++)		/* in order: each at its home or behind the one before, not deeper */
		if (m->slot[i].val) {
			if (at < m->slot[i].mix >> shift)
				at = m->slot[i].mix >> shift;
			t[at++] = m->slot[i];
		}
	free(m->slot);
	m->slot = t;
	m->len = len;
	m->shift = shift;
	return 0;
}

static size_t
find(const struct map *m, uint64_t mix)		/* the first slot that is empty or not less, from its home on */
{
	size_t i = mix >> m->shift;

	while (m->slot[i].val && m->slot[i].mix < mix)
		i++;
	return i;
}

int
map_put(struct map *m, uint64_t key, void *val)
{
	uint64_t mix = hash_mix(key);
	size_t i, end;
	int e;

	if (!val)
		return -EINVAL;
	for (;;) {
		size_t homes = m->slot ? (size_t)1 << (64 - m->shift) : 0;

		if (m->slot) {
			i = find(m, mix);
			if (m->slot[i].val && m->slot[i].mix == mix) {
				m->slot[i].val = val;
				return 0;
			}
			for (end = i; m->slot[end].val; end++)
				;
			if (end < m->len - 1 && m->n < homes / 4 * 3)
				break;
		}
		if (m->n >= homes / 4 * 3)
			e = grow(m, homes ? m->shift - 1 : 64 - LEAST, homes ? m->len - homes : TAIL);
		else				/* a crowd in the last homes: only more room behind them helps */
			e = grow(m, m->shift, 2 * (m->len - homes));
		if (e < 0)
			return e;
	}
	memmove(&m->slot[i + 1], &m->slot[i], (end - i) * sizeof m->slot[0]);
	m->slot[i] = (struct map_slot){ mix, val };
	m->n++;
	return 0;
}

void *
map_del(struct map *m, uint64_t key)
{
	uint64_t mix = hash_mix(key);
	size_t i, end;
	void *val;

	if (m->n == 0)
		return NULL;
	i = find(m, mix);
	if (!m->slot[i].val || m->slot[i].mix != mix)
		return NULL;
	val = m->slot[i].val;
	for (end = i + 1; m->slot[end].val && m->slot[end].mix >> m->shift < end; end++)
		;				/* up to an empty slot or one that is at home */
	memmove(&m->slot[i], &m->slot[i + 1], (end - i - 1) * sizeof m->slot[0]);
	m->slot[end - 1].val = NULL;
	m->n--;
	return val;
}

bool
map_next(const struct map *m, struct map_iter *it)
{
	size_t i;

	if (m->n == 0 || (it->on && it->mix == UINT64_MAX))
		return false;
	for (i = find(m, it->on ? it->mix + 1 : 0); i < m->len && !m->slot[i].val; i++)
		;
	if (i >= m->len)
		return false;
	it->on = true;
	it->mix = m->slot[i].mix;
	it->key = hash_unmix(it->mix);
	it->val = m->slot[i].val;
	return true;
}

void
map_release(struct map *m)
{
	free(m->slot);
	*m = (struct map)MAP_INIT;
}
