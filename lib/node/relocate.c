/*
 * relocate.c - a store that has room, but none that lies together: small objects between free runs go elsewhere in it.
 *
 * It is what spilling does, where there is no disk for it: objects of which only the node frees (struct moved) leave a
 * window of the arena, so that whoever waits gets it.  The copy is whole and sealed before the old one is EVICTING, and
 * readers whose reference says where the old one was find out by its generation and ask, as for one that came back from
 * the disk.  One that somebody pins stays.  A daemon that is killed in between leaves two copies; the next one frees the
 * second that it finds.
 */
#include <stdlib.h>
#include <string.h>
#include "node/spill.h"

#define TURN (UINT64_C(16) << 20)	/* bytes copied at once: some milliseconds of the loop */

struct step {
	struct moved *m;
	uint64_t off;			/* of the copy */
	uint32_t gen;
};

static void
avoid(struct node *n, uint64_t from, uint64_t end)
{
	n->arena.avoid = n->view.avoid = from;
	n->arena.avoid_end = n->view.avoid_end = end;
}

static bool
copy(struct node *n, struct step *st)
{
	const struct moved *m = st->m;
	const struct obj_hdr *h = (const struct obj_hdr *)(const void *)(n->view.base + m->off);
	struct arena_fill f;
	unsigned char *to;

	if (m->open || m->used || !arena_node_has(&n->arena, m->off, m->gen) || arena_fill_begin(&n->arena, &n->view, h, m->run - sizeof *h, &f) < 0)
		return false;
	if (arena_fill_at(&f, 0, f.bytes, &to) < 0) {
		arena_fill_abort(&f);
		return false;
	}
	memcpy(to, h + 1, f.bytes);
	st->off = f.off;
	st->gen = f.gen;
	return arena_fill_seal(&f, NULL) == 0;
}

size_t
relocate(struct spill *s, struct moved **v, size_t count)
{
	struct arena_evict *e = calloc(count + 1, sizeof *e);
	struct step *step = calloc(count + 1, sizeof *step), *st;
	struct map at = { 0 };
	struct node *n = s->n;
	size_t k = 0, left = 0;
	uint64_t sum = 0;

	spill_give_back(n);			/* room that we have within the window is of no use */
	avoid(n, s->window, s->window_end);
	for (size_t i = 0; i < count; i++) {
		struct moved *m = v[i];

		if (e && step && m->off >= s->window && m->off < s->window_end && sum + m->run <= TURN &&
		    map_put(&at, m->off, &step[k]) == 0) {
			step[k] = (struct step){ .m = m };
			if (copy(n, &step[k])) {
				e[k++] = (struct arena_evict){ .off = m->off, .gen = m->gen };
				sum += m->run;
				continue;
			}
			map_del(&at, m->off);
		}
		v[left++] = m;
	}
	avoid(n, 0, 0);
	if (k)
		arena_node_evict(&n->arena, e, k);
	for (size_t i = 0; i < k; i++) {
		st = map_get(&at, e[i].off);
		if (e[i].gone) {
			st->m->off = st->off;
			st->m->gen = st->gen;
			s->relocated += st->m->run;
			spill_left(s, &e[i]);
		} else {			/* somebody reads it */
			arena_free(&n->view, st->off, st->gen);
			st->m->last = arena_now();
		}
	}
	spill_give_back(n);
	map_release(&at);
	free(step);
	free(e);
	n->mem_dirty = true;
	return left;
}
