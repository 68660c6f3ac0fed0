#include <errno.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/spill.h"

int
spill_add(struct spill_row *w, const struct spill_unit *u)
{
	struct spill_unit *more;

	if ((more = grow(w->unit, &w->cap, w->n, sizeof *more)) == NULL)
		return -ENOMEM;
	w->unit = more;
	w->unit[w->n++] = *u;
	return 0;
}

void
spill_release(struct spill_row *w)
{
	free(w->unit);
	*w = (struct spill_row){ .granule = w->granule };
}

struct cost {
	bool writes;
	uint32_t idle;			/* of its most recently used object */
	uint64_t bytes;			/* that leave */
};

static bool
better(const struct cost *a, const struct cost *b)
{
	if (a->writes != b->writes)
		return !a->writes;
	if (a->idle != b->idle)
		return a->idle > b->idle;
	return a->bytes < b->bytes;
}

static uint64_t
room(const struct spill_row *w, size_t from, size_t to)		/* whole granules in units [from, to) */
{
	uint64_t g = w->granule, a = (w->unit[from].off + g - 1) / g * g, b = (w->unit[to - 1].off + w->unit[to - 1].n) / g * g;

	return b > a ? b - a : 0;
}

bool
spill_choose(const struct spill_row *w, uint64_t need, size_t *from, size_t *to)
{
	struct cost best = { 0 };
	bool found = false;

	for (size_t i = 0; i < w->n; i++) {
		struct cost c = { false, UINT32_MAX, 0 };

		for (size_t k = i; k < w->n && w->unit[k].kind < SPILL_LEAVING; k++) {
			const struct spill_unit *u = &w->unit[k];

			if (u->kind != SPILL_FREE) {
				uint32_t idle = w->now - u->last;

				if (idle > UINT32_MAX / 2)
					idle = 0;		/* a clock a little ahead of ours */
				c.writes |= u->kind == SPILL_DIRTY;
				c.idle = idle < c.idle ? idle : c.idle;
				c.bytes += u->held;
			}
			if (found && !better(&c, &best))
				break;				/* it only gets worse */
			if (room(w, i, k + 1) < need)
				continue;
			if (c.bytes > 0) {		/* free room alone is no choice: who asks was refused it */
				best = c;
				found = true;
				*from = i;
				*to = k + 1;
			}
			break;
		}
	}
	return found;
}

/* Units [i, k) have room for need bytes: where in them; what is left over of free room at an end is not part of it. */
static void
trim(const struct spill_row *w, uint64_t need, size_t i, size_t k, uint64_t *off, uint64_t *end)
{
	const struct spill_unit *first = &w->unit[i], *last = &w->unit[k - 1];
	uint64_t g = w->granule, a = (first->off + g - 1) / g * g, b;

	need = (need + g - 1) / g * g;
	*off = first->off;
	*end = last->off + last->n;
	if (last->kind == SPILL_FREE && a + need < *end)
		*end = a + need > last->off ? a + need : (last->off + g - 1) / g * g;
	b = *end / g * g;
	if (first->kind == SPILL_FREE && b - need > a)
		*off = b - need < first->off + first->n ? b - need : (first->off + first->n) / g * g;
}

static uint64_t
overlap(const struct spill_unit *u, uint64_t off, uint64_t end)
{
	uint64_t a = u->off > off ? u->off : off, b = u->off + u->n < end ? u->off + u->n : end;

	return b > a ? b - a : 0;
}

enum spill_move
spill_choose_move(const struct spill_row *w, uint64_t need, uint64_t *off, uint64_t *end)
{
	uint64_t best = UINT64_MAX, inside = 0, outside = 0;
	size_t k = 0, from = 0, to = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (k <= i) {
			k = i;
			inside = 0;
		}
		while (k < w->n && w->unit[k].kind != SPILL_STAYS && (k == i || room(w, i, k) < need))
			inside += w->unit[k++].held;
		if (k > i && room(w, i, k) >= need && inside < best) {
			best = inside;
			from = i;
			to = k;
		}
		if (k > i)
			inside -= w->unit[i].held;
	}
	if (best == UINT64_MAX)
		return SPILL_NONE;
	trim(w, need, from, to, off, end);
	for (size_t i = 0; i < w->n; i++)
		if (w->unit[i].kind == SPILL_FREE)
			outside += w->unit[i].n - overlap(&w->unit[i], *off, *end);
	if (best > outside / 2)
		return SPILL_NONE;		/* it is full, not fragmented */
	for (size_t i = from; i < to; i++)
		if (w->unit[i].kind == SPILL_CLEAN || w->unit[i].kind == SPILL_DIRTY)
			return SPILL_MOVE;
	return SPILL_WAIT;
}
