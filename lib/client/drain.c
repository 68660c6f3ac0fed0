/*
 * drain - completions, deaths, retries and timers: what comes back.
 *
 * A worker's word is taken once, checked and copied (M26).  When a ring is dead, results published before count,
 * the claimed task is charged an attempt, unclaimed ones are not (M4, M50).
 */
#include <stdio.h>
#include "client/inner.h"
#include "core/retry.h"
#include "wire/le.h"

int
timer_set_l(struct client *c, struct rec *r, int what, uint64_t at)
{
	struct side *s = side_l(c, r);

	if (!s)
		return -ENOMEM;
	s->what = what;
	if (heap_set(&c->timers, &s->timer, at) < 0)
		return -ENOMEM;
	service_nudge_l(c);
	return 0;
}

static void
estimate(uint32_t *est, uint32_t ns)
{
	*est = *est == EST_UNKNOWN ? ns : (uint32_t)(((uint64_t)*est * 7 + ns) / 8);
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
		if (!(r->flags & REC_BORROWED)) {
			holder_add_l(c, r, l->proc);
		} else {
			r->count++;		/* until HELD */
			LINK_SEND(c, route, .proc = w.id.proc, .kind = ROUTE_HOLD, .id = w.id, .arg = l->proc);
		}
	}
}

/* the outcome d, a private copy, becomes the value of r: 0 or ERR_PROTO */
static int
outcome_l(struct client *c, struct lease *l, struct rec *r, const struct done *d)
{
	const unsigned char *p = d->inl;
	struct rec_where w;
	struct obj_view v;
	unsigned flags = d->flags & DONE_ERROR ? PAYLOAD_ERROR : 0;

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
		if (d->len > REC_BLOCK_MAX || !(p = peerslab_at(&l->slab, d->unit, d->len)))
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
		r->nvals = d->nvals;
		break;
	default:
		return ERR_PROTO;
	}
	if (flags)
		r->flags |= REC_ERROR;
	if (d->flags & DONE_REFS) {
		size_t n;

		r->flags |= REC_REFS;
		p = rec_bytes_l(c, r, &v, &n);
		if (!p || val_walk_refs(p, n, r->nvals, hold_result, c) < 0)
			return ERR_PROTO;
	}
	return 0;
}

static void
child_done_l(struct client *c, struct lease *l, struct rec *r, const struct done *d)
{
	struct side *s = side_find_l(c, r);
	struct rec *k;
	int e;

	if (!s || d->ret == 0 || d->ret > s->nchild)
		return;
	k = slab_at(&c->slab, s->child[d->ret - 1]);
	if (k->state == REC_READY)
		return;
	if ((e = outcome_l(c, l, k, d)) < 0)
		rec_fail_l(c, k, e, err_str(e));
	else
		rec_ready_l(c, k);
	rec_unref_l(c, k);
}

static void
lease_less_l(struct client *c, struct lease *l)
{
	c->running--;
	if (--l->inflight == 0) {
		struct lease *last = c->active[--c->nactive];

		c->active[l->active - 1] = last;
		last->active = l->active;
		l->active = 0;
	}
}

/* 0 or ERR_PROTO: the worker cannot be believed any more */
static int
done_l(struct client *c, struct lease *l, const struct done *d)
{
	struct rec *r;
	struct side *s;
	struct fn *fn;
	int e;

	if (d->slot == 0 || (uint64_t)d->slot * SLAB_UNIT >= (uint64_t)c->slab.next * SLAB_UNIT)
		return ERR_PROTO;
	r = slab_at(&c->slab, d->slot);
	if (r->link != l->index || !r->fn)
		return ERR_PROTO;
	if (r->state == REC_READY && (s = side_find_l(c, r)) && s->late) {	/* a call that was given up */
		lease_less_l(c, l);
		rec_unref_l(c, r);
		actor_unref_l(c, l->actor);
		return 0;
	}
	if (r->state != REC_PUSHED)
		return ERR_PROTO;
	if (d->flags & DONE_PART) {
		child_done_l(c, l, r, d);
		return 0;
	}
	if (d->flags & DONE_KEPT) {
		size_t at = d->kind == DONE_BLOCK ? (d->len + 7u) & ~7u : 0, n = SLAB_BLOCK_MAX - at;
		const unsigned char *p = at <= REC_BLOCK_MAX ? peerslab_at(&l->slab, d->unit, at + n) : NULL;
		unsigned char copy[4 + 16 * 256];

		if (p) {
			memcpy(copy, p + at, sizeof copy);
			kept_l(c, l, copy, sizeof copy);
		}
	}
	fn = fn_of(c, r->fn);
	if (d->ns) {
		estimate(&fn->est, d->ns);
		if (fn->shape)
			estimate(&fn->shape->est, d->ns);
	}
	task_end_l(c, r);
	lease_less_l(c, l);
	page_count(c->page, d->flags & DONE_ERROR ? CNT_FAILED : CNT_FINISHED, 1);
	if ((e = outcome_l(c, l, r, d)) < 0) {
		r->kind = REC_NONE;
		r->flags &= (uint8_t)~REC_REFS;
		rec_fail_l(c, r, e, e == ERR_LOST ? "the result was lost with its worker" : err_str(e));
	} else {
		children_end_l(c, r);
		if (r->flags & REC_SIDE)
			rec_ready_l(c, r);
		else
			rec_set_ready(r);
	}
	rec_unref_l(c, r);
	if (l->actor)
		actor_unref_l(c, l->actor);
	return 0;
}

/* true if anything came */
static bool
take_l(struct client *c, struct lease *l)
{
	struct done *p;
	bool any = false;

	while ((p = ring_completion(&l->ring))) {
		struct done d;

		memcpy(&d, (const void *)p, sizeof d);
		ring_take(&l->ring);
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
	return any;
}

/* --- taking back, giving back -------------------------------------------------------------------------------- */

/* a call to the front of its actor's queue */
static void
call_again_l(struct client *c, struct actor *a, struct rec *r, uint32_t slot)
{
	r->flags |= REC_ACTOR;
	r->state = REC_QUEUED;
	r->link = a->queued ? a->head : 0;
	a->head = slot;
	if (a->queued++ == 0)
		a->tail = slot;
	c->queued++;
}

/* unclaimed tasks go back to the front of their queue, last pushed first, so that order is kept */
void
lease_takeback_l(struct client *c, struct lease *l)
{
	struct ring_sub *g = &l->ring;

	ring_unclaimed(g, 0);
	for (uint64_t pos = g->tail; pos-- > g->seen;) {
		uint64_t w = atomic_load_explicit(&g->shm->word[pos % RING_WORDS], memory_order_acquire);
		uint32_t slot = (uint32_t)w;
		struct rec *r;

		if (ring_claim_of(w) != RING_QUEUED || !ring_revoke(g, pos, slot))
			continue;
		if (slot & RING_FREE) {
			unsigned char pair[12] = { 0 };
			uint64_t off = (uint64_t)(slot & ~RING_FREE) * 64;

			memcpy(pair, &off, 8);		/* generation 0: whatever is there */
			LINK_SEND(c, free, .objects = span_of(pair, sizeof pair));
			continue;
		}
		r = slab_at(&c->slab, slot);
		lease_less_l(c, l);
		page_count(c->page, CNT_STOLEN, 1);
		if (l->actor)			/* an actor's calls are not given to others */
			call_again_l(c, l->actor, r, slot);
		else
			task_queue_l(c, r, true);
	}
}

/* --- a dead ring ------------------------------------------------------------------------------------------------ */

void
retry_l(struct client *c, struct rec *r, int code, const char *text)
{
	struct fn *fn = fn_of(c, r->fn);
	struct side *s = side_find_l(c, r);
	uint64_t after;

	if (s && s->late) {
		rec_fail_l(c, r, ERR_TIMEOUT, "the task ran longer than its timeout");
		rec_unref_l(c, r);
		return;
	}
	if (fn->shape && !c->lost && retry_allowed(fn->opts.retries, r->attempt, &after)) {
		r->attempt++;
		page_count(c->page, CNT_RETRIED, 1);
		if (after == 0) {
			task_queue_l(c, r, true);
		} else {
			r->state = REC_WAITING;
			c->queued++;
			if (timer_set_l(c, r, TIMER_RETRY, clock_ns() + after) == 0)
				return;
			c->queued--;
			task_queue_l(c, r, true);
		}
		return;
	}
	rec_fail_l(c, r, code, text);
	rec_unref_l(c, r);
}

/* every record that is on this ring without a completion was claimed */
static void
claimed_died_l(struct client *c, struct lease *l, const char *text)
{
	uint32_t chunks = (uint32_t)((uint64_t)c->slab.next * SLAB_UNIT / SLAB_CHUNK), per = SLAB_CHUNK / SLAB_UNIT;
	uint64_t after;

	for (uint32_t k = 0; k < chunks && l->inflight; k++) {
		if (!c->slab.chunk_class || c->slab.chunk_class[k] != 1)
			continue;
		for (uint32_t u = k * per; u < (k + 1) * per && l->inflight; u++) {
			struct rec *r = slab_at(&c->slab, u);

			if (u == 0 || r->state != REC_PUSHED || r->link != l->index || !r->fn)
				continue;
			lease_less_l(c, l);
			if (l->actor && retry_allowed(fn_of(c, r->fn)->opts.retries, r->attempt, &after)) {
				r->attempt++;
				page_count(c->page, CNT_RETRIED, 1);
				call_again_l(c, l->actor, r, u);
			} else if (l->actor) {
				rec_fail_l(c, r, ERR_ACTOR_DIED, text);
				rec_unref_l(c, r);
				actor_unref_l(c, l->actor);
			} else {
				retry_l(c, r, ERR_CRASHED, text);
			}
		}
	}
}

void
lease_free_l(struct client *c, struct lease *l)
{
	struct shape *s = l->shape;

	map_del(&c->lease_of, l->number);
	c->lease[l->index] = NULL;
	if (s) {
		s->leases--;
		s->blocked -= l->blocked;
		s->asked -= s->asked > 0;	/* as rlet counts what we want */
	}
	l->next_dead = c->dead_leases;		/* the main thread may be glancing at it, without the lock */
	c->dead_leases = l;
}

/* main thread: nobody looks at them any more */
void
leases_bury_l(struct client *c)
{
	struct lease *l;

	while ((l = c->dead_leases)) {
		c->dead_leases = l->next_dead;
		ring_unmap(l->ring.shm);
		peerslab_unmap(&l->slab);
		free(l);
	}
}

/* nothing waits and nothing runs: rlet may give our leases to whoever asks, without a thought of shares */
void
leases_idle_l(struct client *c)
{
	for (unsigned i = 0; i < c->nshape; i++) {
		struct shape *s = c->shape[i];
		bool busy = s->queued || !s->asked || c->lost;

		for (unsigned k = 0; k < c->nactive && !busy; k++)
			busy = c->active[k]->shape == s;
		if (busy)
			continue;
		s->asked = 0;
		LINK_SEND(c, lease, .shape = s->number, .req = s->number + 1, .cpus = s->opts.cpus, .gpus = s->opts.gpus,
		    .memory = s->opts.memory, .resources = span_of(s->opts.resources, s->opts.nresources),
		    .priority = s->opts.priority, .want = 0, .wait = s->opts.wait);
	}
}

/* rlet told how the worker died; what it had published before counts */
void
lease_dead_l(struct client *c, struct lease *l, const char *why)
{
	struct shape *s = l->shape;
	struct actor *a = l->actor;
	char text[320];

	if (a)
		a->handles++;			/* its last call may end here */
	l->dead = RING_DEAD_WORKER;
	take_l(c, l);
	lease_takeback_l(c, l);
	snprintf(text, sizeof text, "%s%s", a ? "the actor died while it ran this call, which may have had its effect: " : "", why);
	if (l->inflight)
		claimed_died_l(c, l, text);
	if (a)
		actor_lost_ring_l(c, a);
	lease_free_l(c, l);
	if (a)
		actor_unref_l(c, a);
	if (s)
		feed_l(c, s);
}

void
lease_back_l(struct client *c, struct lease *l)
{
	struct shape *s = l->shape;

	l->returning = true;
	lease_takeback_l(c, l);
	if (l->inflight == 0 && !link_backlog_l(c)) {
		LINK_SEND(c, return, .lease = l->number);
		lease_free_l(c, l);
	}
	if (s && s->queued)
		feed_l(c, s);
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
	bool any = take_l(c, l);

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
	if (any) {
		if (l->actor)
			feed_actor_l(c, l->actor);
		else if (l->shape->queued)
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
	if (c->drops.len >= 256 * 16)
		link_drops_l(c);
	return any;
}

/* --- timers ----------------------------------------------------------------------------------------------------------- */

uint64_t
timers_next_l(struct client *c)
{
	struct heap_node *n = heap_top(&c->timers);

	return n ? n->at : WAIT_FOREVER;
}

/* the time-out of a task: queued ones just fail, running ones lose their worker */
static void
late_l(struct client *c, struct rec *r, struct side *s)
{
	struct lease *l;

	s->late = true;
	if (r->state == REC_PUSHED && (l = c->lease[r->link])) {
		lease_takeback_l(c, l);
		if (r->state == REC_PUSHED && l->actor) {	/* not killed for one slow call: its end is not awaited */
			rec_fail_l(c, r, ERR_TIMEOUT, "the call took longer than its timeout");
			return;
		}
		if (r->state == REC_PUSHED) {
			LINK_SEND(c, kill, .lease = l->number, .task = r->seq);
			return;
		}
	}
	if (r->state == REC_QUEUED || r->state == REC_WAITING)
		task_expire_l(c, r);
}

void
timers_l(struct client *c, uint64_t now)
{
	struct heap_node *n;

	while ((n = heap_top(&c->timers)) && n->at <= now) {
		struct side *s = list_entry(n, struct side, timer);
		struct rec *r = slab_at(&c->slab, s->unit);
		int what = s->what;

		heap_del(&c->timers, n);
		s->what = TIMER_NONE;
		if (what == TIMER_TIMEOUT) {
			late_l(c, r, s);
		} else if (what == TIMER_RETRY) {
			c->queued--;
			task_queue_l(c, r, true);
			feed_l(c, fn_of(c, r->fn)->shape);
		}
	}
}
