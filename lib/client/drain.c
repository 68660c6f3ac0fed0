/*
 * drain - completions, deaths, retries and timers: what comes back.
 *
 * A worker's word is taken once, checked and copied.  When a ring is dead, results published before count,
 * the claimed task is charged an attempt, unclaimed ones are not.
 */
#include <stdio.h>
#include "client/inner.h"
#include "wire/le.h"

/* a moving mean in which one task that lost its CPU for a while weighs no more than a few like the others */
static void
estimate(uint32_t *est, uint32_t ns)
{
	uint64_t most = 4 * (uint64_t)*est + 200;

	if (*est == EST_UNKNOWN)
		*est = ns;
	else
		*est = (uint32_t)(((uint64_t)*est * 7 + (ns < most ? ns : most)) / 8);
}

/* --- one completion ------------------------------------------------------------------------------------- */

static int
hold_result(void *arg, const struct wref *w, bool valref)
{
	struct client *c = arg;

	(void)valref;
	return rec_import_l(c, w, true) ? 0 : -ENOMEM;	/* the worker has put us on the owner's list */
}

/* what the worker keeps of the arguments: it goes on the owners' lists before our own count is given up */
static void
kept_l(struct client *c, struct lease *l, const unsigned char *p, size_t n)
{
	uint32_t count = n >= 4 ? le_get32(p) : 0;

	if (count > (n - 4) / 16)
		count = 0;
	for (uint32_t i = 0; i < count; i++) {
		const unsigned char *q = p + 4 + (size_t)i * 16;
		struct wref w = { .id = { le_get32(q), le_get32(q + 4), le_get64(q + 8) } };
		struct rec *r = rec_of_l(c, &w);

		if (!r)
			continue;
		if (r->flags & REC_BORROWED)
			hold_for_l(c, r, l->proc);
		else
			holder_add_l(c, r, l->proc);
	}
}

/* the outcome d, a private copy, becomes the value of r: 0 or ERR_PROTO */
int
outcome_l(struct client *c, struct lease *l, struct rec *r, const struct done *d)
{
	const unsigned char *p = d->inl;
	struct rec_where w;
	struct obj_view v;
	unsigned flags = d->flags & DONE_ERROR ? PAYLOAD_ERROR : 0, count = 0;
	struct side *s;

	switch (d->kind) {
	case DONE_NONE:
		r->kind = REC_HERE;
		r->len = r->nvals = 0;
		return 0;
	case DONE_HERE:
		if (d->len > sizeof d->inl)
			return ERR_PROTO;
		memcpy(r->inl, p, sizeof d->inl);
		r->kind = REC_HERE;
		r->len = (uint16_t)d->len;
		r->nvals = d->nvals;
		break;
	case DONE_BLOCK:
		if (d->len > SLAB_BLOCK_MAX || !(p = peerslab_at(&l->slab, d->unit, d->len)))
			return ERR_PROTO;
		if (rec_set_l(c, r, p, d->len, d->nvals, 0) < 0)
			return -ENOMEM;
		break;
	case DONE_ARENA:
		memcpy(&w, p, sizeof w);
		if (arena_view(&c->arena, w.off, w.gen, &v) < 0)
			return ERR_LOST;
		w.proc = l->proc;
		w.size = v.size;
		memcpy(r->inl, &w, sizeof w);
		r->kind = REC_ARENA;
		r->link = 0;
		r->nvals = d->nvals;
		break;
	case DONE_AWAY:
		memcpy(&w, p, sizeof w);
		count = w.spare;
		w = (struct rec_where){ .size = w.size, .proc = l->node };	/* for near.c */
		memcpy(r->inl, &w, sizeof w);
		r->kind = REC_AWAY;
		r->link = 0;
		r->nvals = d->nvals;
		if (!(d->flags & DONE_REFS))
			break;
		if (d->len == 0 || d->len > SLAB_BLOCK_MAX || !(p = peerslab_at(&l->slab, d->unit, d->len)) ||
		    rec_inside_l(c, r, p, d->len, count) < 0)
			return ERR_PROTO;
		break;
	default:
		return ERR_PROTO;
	}
	if (flags)
		r->flags |= REC_ERROR;
	if (d->flags & DONE_REFS) {
		size_t n;

		r->flags |= REC_REFS;
		if (d->kind != DONE_AWAY) {
			p = rec_bytes_l(c, r, &v, &n);
			count = r->nvals;
		} else if ((s = side_find_l(c, r)) != NULL) {
			p = s->inside;
			n = s->ninside;
		} else
			return ERR_PROTO;
		if (!p || val_walk_refs(p, n, count, hold_result, c) < 0 || actors_retain_l(c, p, n, count) < 0)
			return ERR_PROTO;
	}
	return 0;
}

/* an outcome that nobody waits for any more: what it holds is let go of */
void
discard_l(struct client *c, struct lease *l, const struct done *d)
{
	struct rec *r = rec_new_l(c);

	if (!r)
		return;
	if (outcome_l(c, l, r, d) < 0) {
		r->kind = REC_NONE;
		r->flags &= (uint8_t)~REC_REFS;
	}
	rec_state(r, REC_READY);
	rec_unref_l(c, r);
}

static void
child_done_l(struct client *c, struct lease *l, struct rec *r, const struct done *d)
{
	struct side *s = side_find_l(c, r);
	struct rec *k;
	int e;

	if (s && s->stream) {
		stream_done_l(c, l, r, s->stream, d);
		return;
	}
	if (!s || d->ret == 0 || d->ret > s->nchild)
		return;
	k = slab_at(&c->slab, s->child[d->ret - 1]);
	if (k->state == REC_READY) {
		discard_l(c, l, d);
		return;
	}
	if ((e = outcome_l(c, l, k, d)) < 0)
		rec_fail_l(c, k, e, err_str(e));
	else
		rec_ready_l(c, k);
	rec_unref_l(c, k);
}

void
lease_less_l(struct client *c, struct lease *l)
{
	c->running--;
	if (--l->inflight == 0) {
		struct lease **v = c->active, *last = v[--c->nactive];

		__atomic_store_n(&v[l->active - 1], last, __ATOMIC_RELAXED);
		last->active = l->active;
		l->active = 0;
	}
}

/* r raised, and its task wants such errors to be tried again: true if it will be */
static bool
raised_l(struct client *c, struct lease *l, struct rec *r, const struct done *d)
{
	if (!again_l(c, r, d->flags & DONE_RETRY ? RETRY_RAISED : RETRY_REFUSED))
		return false;
	lease_less_l(c, l);
	discard_l(c, l, d);
	return true;
}

/* 0 or ERR_PROTO: the worker cannot be believed any more */
static int
done_l(struct client *c, struct lease *l, const struct done *d)
{
	struct rec *r;
	struct side *s;
	struct fn *fn;
	bool late;
	int e;

	if (d->slot == 0 || (uint64_t)d->slot * SLAB_UNIT >= (uint64_t)c->slab.next * SLAB_UNIT)
		return ERR_PROTO;
	r = slab_at(&c->slab, d->slot);
	if (r->link != l->index || !r->fn)
		return ERR_PROTO;
	late = r->state == REC_READY && (s = side_find_l(c, r)) && s->late;	/* a call that was given up */
	if (r->state != REC_PUSHED && !late)
		return ERR_PROTO;
	if (d->flags & DONE_PART) {
		child_done_l(c, l, r, d);
		return 0;
	}
	if (d->kind == DONE_BACK && !late && !(r->flags & REC_CANCEL)) {
		lease_untake_l(c, l, r, d->slot);
		return 0;
	}
	if (d->flags & DONE_KEPT) {
		size_t at = d->kind == DONE_BLOCK || d->kind == DONE_AWAY ? (d->len + 7u) & ~7u : 0, n = SLAB_BLOCK_MAX - at;
		const unsigned char *p = at < SLAB_BLOCK_MAX - 4 ? peerslab_at(&l->slab, d->unit, at + n) : NULL;
		unsigned char copy[4 + 16 * 256];

		if (p) {
			memcpy(copy, p + at, sizeof copy);
			kept_l(c, l, copy, sizeof copy);
		}
	}
	if (late) {
		discard_l(c, l, d);
		lease_less_l(c, l);
		rec_unref_l(c, r);
		actor_call_end_l(c, l->actor);
		return 0;
	}
	fn = fn_of(c, r->fn);
	if (d->flags & DONE_ERROR && fn->opts.retry_on & (RETRY_ERROR | RETRY_ASK) && raised_l(c, l, r, d))
		return 0;
	if (d->ns) {
		estimate(&fn->est, d->ns);
		if (fn->shape)
			estimate(&fn->shape->est, d->ns);
	}
	if ((d->kind != DONE_ARENA && d->kind != DONE_AWAY) || d->flags & DONE_ERROR || !lineage_keep_l(c, r, fn))
		task_end_l(c, r);
	lease_less_l(c, l);
	if (r->flags & REC_CANCEL && cancel_end_l(c, r, d->flags & DONE_ERROR)) {
		discard_l(c, l, d);
		rec_unref_l(c, r);
		if (l->actor)
			actor_call_end_l(c, l->actor);
		return 0;
	}
	page_count(c->page, d->flags & DONE_ERROR ? CNT_FAILED : CNT_FINISHED, 1);
	if ((e = outcome_l(c, l, r, d)) < 0) {
		r->kind = REC_NONE;
		r->flags &= (uint8_t)~REC_REFS;
		rec_fail_l(c, r, e, e == ERR_LOST ? "the result was lost with its worker" : err_str(e));
	} else {
		if (r->flags & REC_SIDE) {
			children_end_l(c, r);
			rec_ready_l(c, r);
		} else {
			rec_set_ready(r);
		}
	}
	rec_unref_l(c, r);
	if (l->actor)
		actor_call_end_l(c, l->actor);
	return 0;
}

/* the completion after this one, and its record, are in the worker's cache: have them brought over meanwhile */
static inline void
ahead(struct client *c, struct lease *l)
{
	struct done *next = &l->ring.shm->done[l->ring.dhead % RING_DONES];

	__builtin_prefetch(&l->ring.shm->done[(l->ring.dhead + 1) % RING_DONES]);
	if (next->slot < c->slab.next)
		__builtin_prefetch(slab_at(&c->slab, next->slot), 1);
}

/* true if anything came */
bool
lease_take_l(struct client *c, struct lease *l)
{
	struct done *p;
	bool any = false;

	while ((p = ring_completion(&l->ring))) {
		struct done d;

		memcpy(&d, (const void *)p, sizeof d);
		ring_take(&l->ring);
		if (d.kind == DONE_BACK)
			l->slow &= l->inflight > 1;
		else if (!(d.flags & DONE_PART))
			l->slow = false;
		else
			l->tick_dhead++;	/* a task that streams has not ended */
		ahead(c, l);
		any = true;
		if (done_l(c, l, &d) < 0) {
			atomic_fetch_or(&l->ring.shm->dead, RING_DEAD_WORKER);	/* as good as dead */
			LINK_SEND(c, kill, .lease = l->number);
			break;
		}
		if ((l->ring.dhead & 31) == 0 && ring_tell(&l->ring))
			bell_ring(c->np, l->bell);
	}
	if (any && ring_tell(&l->ring))
		bell_ring(c->np, l->bell);
	if (any && l->load)
		lease_load_l(l);
	if (any && c->fdmode) {			/* who looks at the descriptor may not have been told */
		c->news = true;
		bell_ring(c->np, c->bell);
	}
	return any;
}

/* --- progress ------------------------------------------------------------------------------------------------------ */

/* nothing before this worker and nothing queued: it takes over what waits before a busy one */
static void
rebalance_l(struct client *c, struct shape *s, struct lease *idle)
{
	struct lease *most = NULL;
	uint64_t n = 0;

	for (unsigned i = 0; i < c->nactive; i++) {
		struct lease *l = c->active[i];
		uint64_t u;

		if (l->shape != s || l == idle || l->dead || l->inflight < 2)
			continue;
		u = ring_unclaimed(&l->ring, 1);
		if (u > n)
			n = u, most = l;
	}
	if (most && s->est > SPIN_MAX_NS)
		lease_takeback_l(c, most);
}

void
lease_idle_l(struct client *c, struct lease *l)
{
	struct shape *s = l->shape;

	if (!s)
		return;
	if (s->queued == 0 && c->nactive)
		rebalance_l(c, s, l);
	if (s->queued)
		feed_l(c, s);
}

static bool
look_l(struct client *c, struct lease *l)
{
	struct ring_shm *g = l->ring.shm;
	bool any = lease_take_l(c, l);

	if (l->shape && atomic_load_explicit(&g->blocked, memory_order_relaxed) != l->blocked) {
		l->blocked = !l->blocked;
		l->shape->blocked += l->blocked ? 1u : -1u;
		if (l->blocked)
			lease_takeback_l(c, l);
		feed_l(c, l->shape);
	}
	if (l->shape && atomic_load_explicit(&g->want, memory_order_relaxed)) {
		lease_back_l(c, l);
		return any;
	}
	if (any || (l->actor && l->actor->lane[l->lane].queued)) {	/* one that runs several at once claims before any ends */
		if (l->actor)
			feed_lane_l(c, l->actor, l->lane);
		else if (l->shape && l->shape->queued)
			feed_l(c, l->shape);
		else if (l->inflight == 0)
			lease_idle_l(c, l);
	}
	return any;
}

/* a worker that had nothing more of ours when it stopped waiting is in no list of active ones: it can be fed again */
static void
unblocked_l(struct client *c, struct shape *s)
{
	for (unsigned i = 0; i < c->nlease && s->blocked && s->queued; i++)
		if (c->lease[i] && c->lease[i]->shape == s && c->lease[i]->blocked && !c->lease[i]->active)
			look_l(c, c->lease[i]);
}

bool
progress_l(struct client *c)
{
	bool any = false;

	if (c->progressing)			/* a completion let a task start, which came here: the lease may go meanwhile */
		return false;
	c->progressing = true;
	for (unsigned i = 0; i < c->nactive;) {		/* look_l may take the lease out of the list */
		struct lease *l = c->active[i];

		any |= look_l(c, l);
		if (i < c->nactive && c->active[i] == l)
			i++;
	}
	for (unsigned i = 0; i < c->nshape; i++)
		if (c->shape[i]->blocked && c->shape[i]->queued)
			unblocked_l(c, c->shape[i]);
	if (c->starved) {			/* a worker with nothing to do had no place free; it may have one now */
		c->starved = false;
		for (unsigned i = 0; i < c->nshape; i++)
			if (c->shape[i]->queued)
				feed_l(c, c->shape[i]);
	}
	c->progressing = false;
	if (c->drops.len >= 256 * 16)
		link_drops_l(c);
	if (c->freed)
		mem_freed_l(c);
	return any;
}
