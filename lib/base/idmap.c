/* As map.c; ids have no inverse hash and may collide, so slots are in order of (mix, key) and hold both. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/idmap.h"

enum { TAIL = 32, LEAST = 4 };		/* spare slots; log2 of the smallest table */

static int
cmp(const struct idmap_slot *s, uint64_t mix, struct id key)
{
	if (s->mix != mix)
		return s->mix < mix ? -1 : 1;
	return id_cmp(s->key, key);
}

static int
grow(struct idmap *m, unsigned shift, size_t tail)
{
	size_t len = ((size_t)1 << (64 - shift)) + tail, i, at = 0;
	struct idmap_slot *t = calloc(len, sizeof *t);

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
find(const struct idmap *m, uint64_t mix, struct id key)	/* the first slot that is empty or not less */
{
	size_t i = mix >> m->shift;

	while (m->slot[i].val && cmp(&m->slot[i], mix, key) < 0)
		i++;
	return i;
}

int
idmap_put(struct idmap *m, struct id key, void *val)
{
	uint64_t mix = id_hash(key);
	size_t i, end;
	int e;

	if (!val)
		return -EINVAL;
	for (;;) {
		size_t homes = m->slot ? (size_t)1 << (64 - m->shift) : 0;

		if (m->slot) {
			i = find(m, mix, key);
			if (m->slot[i].val && cmp(&m->slot[i], mix, key) == 0) {
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
	m->slot[i] = (struct idmap_slot){ mix, key, val };
	m->n++;
	return 0;
}

void *
idmap_del(struct idmap *m, struct id key)
{
	uint64_t mix = id_hash(key);
	size_t i, end;
	void *val;

	if (m->n == 0)
		return NULL;
	i = find(m, mix, key);
	if (!m->slot[i].val || cmp(&m->slot[i], mix, key) != 0)
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
idmap_next(const struct idmap *m, struct idmap_iter *it)
{
	size_t i = 0;

	if (m->n == 0)
		return false;
	if (it->on) {
		i = find(m, it->mix, it->key);
		if (m->slot[i].val && cmp(&m->slot[i], it->mix, it->key) == 0)
			i++;
	}
	while (i < m->len && !m->slot[i].val)
		i++;
	if (i >= m->len)
		return false;
	*it = (struct idmap_iter){ m->slot[i].key, m->slot[i].val, m->slot[i].mix, true };
	return true;
}

void
idmap_release(struct idmap *m)
{
	free(m->slot);
	*m = (struct idmap)IDMAP_INIT;
}
