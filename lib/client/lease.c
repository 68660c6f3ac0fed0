/* lease - what rlet grants and takes away: workers of a shape, and rings to actors. */
#include <stdio.h>
#include "client/queue.h"

static struct lease *
lease_new_l(struct client *c)
{
	struct lease *l;
	unsigned i;

	for (i = 0; i < c->nlease && c->lease[i]; i++)
		;
	if (i == c->nlease) {
		unsigned n = c->nlease ? 2 * c->nlease : 16;
		struct lease **v = realloc(c->lease, n * sizeof *v), **w;

		if (!v)
			return NULL;
		memset(v + c->nlease, 0, (n - c->nlease) * sizeof *v);
		c->lease = v;
		if (!(w = calloc(n, sizeof *w)))	/* the old one stays: who waits glances at it without the lock */
			return NULL;
		if (c->nlease)			/* what lies behind the count too: who waits may have read the count of before */
			memcpy(w, c->active, c->nlease * sizeof *w);
		__atomic_store_n(&c->active, w, __ATOMIC_RELEASE);
		c->nlease = n;
	}
	if (!(l = calloc(1, sizeof *l)))
		return NULL;
	l->index = i;
	c->lease[i] = l;
	return l;
}

void
lease_grant_l(struct client *c, const struct msg_grant *m, int ringfd, int slabfd)
{
	struct lease *l = lease_new_l(c);
	struct actor *a = m->actor ? map_get(&c->actor, m->actor) : NULL;
	struct shape *s = m->actor ? NULL : shape_numbered(c, m->shape);

	if (!l || m->bell >= NODEPAGE_BELLS || (!m->actor && !s) || ring_map(ringfd, &l->ring.shm) < 0)
		goto bad;
	if (peerslab_map(&l->slab, slabfd) < 0) {
		ring_unmap(l->ring.shm);
		goto bad;
	}
	l->number = (uint32_t)m->lease;
	l->proc = (uint32_t)m->proc;
	l->node = (uint32_t)m->node;
	if (l->node)
		c->abroad = true;
	l->bell = &c->np->bell[m->bell];
	l->since = clock_ns();
	map_put(&c->lease_of, l->number, l);
	if (m->actor) {
		if (!a || a->handles == 0 || m->group >= a->nlane) {	/* dropped meanwhile */
			LINK_SEND(c, return, .lease = m->lease);
			lease_free_l(c, l);
			return;
		}
		l->actor = a;
		l->lane = (uint32_t)m->group;
		a->lane[l->lane].lease = l;
		if (atomic_load_explicit(&l->bell->counted, memory_order_relaxed))
			__atomic_store_n(&a->load, l->load = &l->bell->load, __ATOMIC_RELAXED);
		actor_granted_l(c, l, (uint32_t)m->incarnation);
		return;
	}
	l->shape = s;
	{
		struct lease **v = realloc(l->shape->lease, (l->shape->leases + 1) * sizeof *v);

		if (!v) {
			LINK_SEND(c, return, .lease = m->lease);
			l->shape = NULL;
			lease_free_l(c, l);
			return;
		}
		l->shape->lease = v;
		v[l->shape->leases++] = l;
	}
	if (l->shape->queued == 0 && c->nactive)
		lease_idle_l(c, l);
	else
		feed_l(c, l->shape);
	return;
bad:
	if (l) {
		c->lease[l->index] = NULL;
		free(l);
	}
	LINK_SEND(c, return, .lease = m->lease);
}

/* the request of this shape cannot be met, now or ever: what is queued for it fails */
void
lease_fail_l(struct client *c, struct shape *s, int code, const char *text)
{
	s->infeasible = code == ERR_INFEASIBLE;
	snprintf(s->why, sizeof s->why, "%s", text);
	s->asked = 0;
	while (s->queued) {
		struct rec *r = queue_pop_l(c, s);

		task_end_l(c, r);
		rec_fail_l(c, r, code, text);
		rec_unref_l(c, r);
	}
}
