/*
 * near - where most of a task's argument bytes are: of workers of several nodes with room, one there is the best.
 *
 * What lies in our own arena, or was fetched, is here (node 0).  A value that stayed where it was made is there, as far as we
 * know: copies at other nodes are known to its owner's node only.  Below NEAR_BYTES it is not worth a look.
 */
#include "client/queue.h"

#define NEAR_BYTES (UINT64_C(256) << 10)
enum {
	NEAR_LOOK = 16,			/* tasks of the queue that are looked at */
	NEAR_PASSED = 64,		/* so often the first one is passed over */
};

struct near {
	struct client *c;
	uint32_t node[NEAR_NODES];
	uint64_t bytes[NEAR_NODES];
	unsigned n;
};

static int
one(void *arg, const struct wref *w, bool valref)
{
	struct near *a = arg;
	const struct rec *r = valref ? rec_of_l(a->c, w) : NULL;
	struct rec_where at;
	uint32_t node;
	unsigned i;

	if (!r || r->state != REC_READY || r->kind < REC_ARENA)
		return 0;
	memcpy(&at, r->inl, sizeof at);
	node = at.off ? 0 : at.proc;			/* of REC_AWAY: outcome_l */
	for (i = 0; i < a->n && a->node[i] != node; i++)
		;
	if (i == NEAR_NODES)
		return 0;
	if (i == a->n) {
		a->node[a->n] = node;
		a->bytes[a->n++] = 0;
	}
	a->bytes[i] += at.size;
	return 0;
}

/* where most of r's arguments are; -1: it does not matter */
static int64_t
node_of(struct client *c, const struct rec *r)
{
	struct near a = { .c = c };
	struct obj_view v;
	const unsigned char *p;
	unsigned best = 0;
	size_t n;

	if (!(r->flags & REC_REFS) || r->kind == REC_ARENA || !(p = rec_bytes_l(c, r, &v, &n)) ||
	    val_walk_refs(p, n, r->nvals, one, &a) < 0 || a.n == 0)
		return -1;
	for (unsigned i = 1; i < a.n; i++)
		if (a.bytes[i] > a.bytes[best])
			best = i;
	return a.bytes[best] < NEAR_BYTES ? -1 : (int64_t)a.node[best];
}

struct lease *
near_l(struct client *c, const struct shape *s, const struct rec *r, struct lease *l, unsigned depth)
{
	int64_t node = node_of(c, r);

	if (node < 0 || l->node == node)
		return l;
	for (unsigned i = 0; i < s->leases; i++) {
		struct lease *k = s->lease[i];

		if (k->node == node && !k->returning && !k->blocked && !k->dead && !k->slow && (unsigned)ring_unclaimed(&k->ring, depth) < depth)
			return k;
	}
	return l;
}

struct rec *
near_pop_l(struct client *c, struct shape *s, const struct lease *l)
{
	struct rec *any = NULL, *r = slab_at(&c->slab, s->head);
	int64_t node;

	if (s->passed < NEAR_PASSED) {
		for (unsigned i = 0; i < NEAR_LOOK && r; i++, r = r->link ? slab_at(&c->slab, r->link) : NULL) {
			if ((node = node_of(c, r)) == l->node)
				break;
			if (node < 0 && !any)
				any = r;
		}
		if (r == NULL || node_of(c, r) != l->node)
			r = any;
	} else
		r = NULL;
	if (r == NULL || r == slab_at(&c->slab, s->head)) {
		s->passed = 0;
		return queue_pop_l(c, s);
	}
	s->passed++;
	queue_remove_l(c, s, r);
	return r;
}
