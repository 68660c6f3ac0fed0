/*
 * giveback - leases and what lies before their workers come back: on demand, for idleness, by death; retries.
 */
#include <stdio.h>
#include "client/inner.h"

/* --- taking back, giving back -------------------------------------------------------------------------------- */

/* a call back to its place in the lane's queue, which is in the order in which calls were made */
static void
call_again_l(struct client *c, struct lease *l, struct rec *r, uint32_t slot)
{
	struct lane *q = &l->actor->lane[l->lane];
	struct rec *before = NULL;
	uint32_t at = q->queued ? q->head : 0;
	struct side *s;

	if ((s = side_find_l(c, r)))
		s->actor = l->actor;		/* it may expire */
	r->flags |= REC_ACTOR;
	rec_state(r, REC_QUEUED);
	for (struct rec *k; at && (k = slab_at(&c->slab, at))->seq < r->seq; at = k->link)
		before = k;
	r->link = at;
	if (before)
		before->link = slot;
	else
		q->head = slot;
	if (at == 0)
		q->tail = slot;
	q->queued++;
	c->queued++;
}

/* r, which lay before l's worker, was not begun: back to the front of its queue */
void
lease_untake_l(struct client *c, struct lease *l, struct rec *r, uint32_t slot)
{
	lease_less_l(c, l);
	page_count(c->page, CNT_STOLEN, 1);
	if (l->actor)				/* an actor's calls are not given to others */
		call_again_l(c, l, r, slot);
	else
		task_queue_l(c, r, true);
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

		if (ring_claim_of(w) != RING_QUEUED || !ring_revoke(g, pos, slot))
			continue;
		if (slot & RING_FREE) {
			unsigned char pair[12] = { 0 };
			uint64_t off = (uint64_t)(slot & ~RING_FREE) * 64;
			uint32_t gen = obj_gen(&c->arena, off);

			memcpy(pair, &off, 8);
			memcpy(pair + 8, &gen, 4);
			LINK_SEND(c, free, .objects = span_of(pair, sizeof pair));
			continue;
		}
		lease_untake_l(c, l, slab_at(&c->slab, slot), slot);
	}
}

/* --- a dead ring ------------------------------------------------------------------------------------------------ */

bool
again_l(struct client *c, struct rec *r, enum retry_cause cause)
{
	struct fn *fn = fn_of(c, r->fn);
	struct side *s = side_find_l(c, r);
	struct retry q = { fn->opts.retries, fn->opts.retry_on, r->attempt, s ? s->spared : 0 };
	uint64_t after;

	if (!fn->shape || c->lost || (s && s->late) || r->flags & REC_CANCEL || !retry_allowed(&q, cause, &after))
		return false;
	if (r->attempt < UINT8_MAX) {		/* attempts without end are counted no further */
		if ((cause == RETRY_SPARED || cause == RETRY_NODE) && (s = side_l(c, r)))
			s->spared++;
		r->attempt++;
	}
	page_count(c->page, CNT_RETRIED, 1);
	if (after) {
		rec_state(r, REC_WAITING);
		c->queued++;
		if (timer_set_l(c, r, TIMER_RETRY, clock_ns() + after) == 0)
			return true;
		c->queued--;
	}
	task_queue_l(c, r, true);
	return true;
}

void
retry_l(struct client *c, struct rec *r, enum retry_cause cause, int code, const char *text)
{
	struct side *s;

	if (code != ERR_CANCELLED && again_l(c, r, cause))	/* with its placement group, it has nowhere to go */
		return;
	if ((s = side_find_l(c, r)) && s->late) {
		code = ERR_TIMEOUT;
		text = LATE_TEXT;
	} else if (r->flags & REC_CANCEL) {
		code = ERR_CANCELLED;
		text = CANCEL_TEXT;
	}
	rec_fail_l(c, r, code, text);
	rec_unref_l(c, r);
}

/* its worker died while it ran it: functions that do this again and again are put where they harm nobody else */
static void
killed_l(struct client *c, struct fn *fn)
{
	retry_killed(&fn->code->kills, clock_ns());
	if (!retry_poison(&fn->code->kills, clock_ns()))
		return;
	for (uint32_t i = 0; i < c->nfn; i++)
		if (c->fn[i] && c->fn[i]->code == fn->code && c->fn[i]->shape)
			c->fn[i]->alone = c->fn[i]->shape->poison = true;
}

bool
fn_alone_l(struct client *c, struct fn *fn)
{
	(void)c;
	return fn->alone = retry_poison(&fn->code->kills, clock_ns());
}

/* items of the stream r that lie in the arena */
static void
items_l(struct client *c, const struct rec *r, struct buf *kept)
{
	uint32_t chunks = (uint32_t)((uint64_t)c->slab.next * SLAB_UNIT / SLAB_CHUNK), per = SLAB_CHUNK / SLAB_UNIT;
	struct rec_where w;
	unsigned char u[8];

	for (uint32_t k = 0; k < chunks; k++)
		for (uint32_t i = k * per; c->slab.chunk_class && c->slab.chunk_class[k] == 1 && i < (k + 1) * per; i++) {
			const struct rec *q = i ? slab_at(&c->slab, i) : r;

			if (q->state != REC_READY || q->kind != REC_ARENA || q == r || (q->seq ^ r->seq) & ~(uint64_t)ID_RET_MAX)
				continue;
			memcpy(&w, q->inl, sizeof w);
			le_put64(u, w.off);
			buf_add(kept, u, sizeof u);
		}
}

/* what it sealed for r but did not publish would stay for ever: the values that we know of are not meant */
static void
unfinished_l(struct client *c, const struct rec *r, struct buf *tasks, struct buf *kept)
{
	struct side *s = side_find_l(c, r);
	unsigned char u[8];

	le_put64(u, id_task(rec_id(c, r)));
	buf_add(tasks, u, sizeof u);
	if (s && s->stream)
		items_l(c, r, kept);
	for (unsigned i = 0; s && i < s->nchild; i++) {
		const struct rec *k = slab_at(&c->slab, s->child[i]);
		struct rec_where w;

		if (k->kind < REC_ARENA)
			continue;
		memcpy(&w, k->inl, sizeof w);
		le_put64(u, w.off);
		buf_add(kept, u, sizeof u);
	}
}

static bool
call_allowed(const struct fn *fn, const struct rec *r, uint64_t *after)
{
	return retry_allowed(&(struct retry){ fn->opts.retries, RETRY_CRASH, r->attempt, 0 }, RETRY_DIED, after);
}

/* every record that is on this ring without a completion was claimed */
static void
claimed_died_l(struct client *c, struct lease *l, int code, bool charged, const char *text)
{
	uint32_t chunks = (uint32_t)((uint64_t)c->slab.next * SLAB_UNIT / SLAB_CHUNK), per = SLAB_CHUNK / SLAB_UNIT;
	struct buf tasks = BUF_INIT, kept = BUF_INIT;
	enum retry_cause cause = c->rejoining ? RETRY_NODE : code == ERR_OOM && charged ? RETRY_LARGE :
	    code == ERR_OOM || code == ERR_CANCELLED ? RETRY_SPARED : RETRY_DIED;	/* the node ended it, or not */
	uint64_t after;

	for (uint32_t k = 0; k < chunks && l->inflight; k++) {
		if (!c->slab.chunk_class || c->slab.chunk_class[k] != 1)
			continue;
		for (uint32_t u = k * per; u < (k + 1) * per && l->inflight; u++) {
			struct rec *r = slab_at(&c->slab, u);

			if (u == 0 || r->state != REC_PUSHED || r->link != l->index || !r->fn)
				continue;
			lease_less_l(c, l);
			unfinished_l(c, r, &tasks, &kept);
			if (l->actor && !(r->flags & REC_CANCEL) && call_allowed(fn_of(c, r->fn), r, &after)) {
				r->attempt += r->attempt < UINT8_MAX;
				page_count(c->page, CNT_RETRIED, 1);
				call_again_l(c, l, r, u);
			} else if (l->actor) {
				rec_fail_l(c, r, ERR_ACTOR_DIED, text);
				rec_unref_l(c, r);
				actor_call_end_l(c, l->actor);
			} else {
				if (cause == RETRY_DIED && !c->lost && !(r->flags & REC_CANCEL))	/* not what we had killed */
					killed_l(c, fn_of(c, r->fn));
				retry_l(c, r, cause, code == ERR_CLOSED ? ERR_CRASHED : code, text);
			}
		}
	}
	if (tasks.len)
		LINK_SEND(c, abandon, .proc = l->proc, .tasks = span_of(tasks.data, tasks.len),
		    .kept = span_of(kept.data, kept.len));
	buf_release(&tasks);
	buf_release(&kept);
}

void
lease_free_l(struct client *c, struct lease *l)
{
	struct shape *s = l->shape;

	map_del(&c->lease_of, l->number);
	c->lease[l->index] = NULL;
	if (s) {
		for (unsigned i = 0; i < s->leases; i++)
			if (s->lease[i] == l) {
				s->lease[i] = s->lease[--s->leases];
				break;
			}
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

/*
 * Nothing waits.  If nothing runs either, rlet may give our leases to whoever asks, without a thought of shares; what
 * lies idle beside a task that runs goes back at once: that task may wait for somebody who needs the CPU.
 */
void
leases_idle_l(struct client *c)
{
	for (unsigned i = 0; i < c->nshape && !c->lost; i++) {
		struct shape *s = c->shape[i];
		unsigned active = 0;

		if (s->queued || !s->asked)
			continue;
		for (unsigned k = 0; k < c->nactive; k++)
			active += c->active[k]->shape == s;
		if (active == s->leases)
			continue;
		if (s->asked != (active ? s->leases : 0))
			shape_ask_l(c, s, active ? s->leases : 0);
		for (unsigned k = 0; active && k < c->nlease; k++) {
			struct lease *l = c->lease[k];

			if (l && l->shape == s && l->inflight == 0)
				lease_back_l(c, l);
		}
	}
}

/* rlet told how the worker died; what it had published before counts */
void
lease_dead_l(struct client *c, struct lease *l, int code, bool charged, const char *why)
{
	struct shape *s = l->shape;
	struct actor *a = l->actor;
	bool outer = c->progressing;
	char text[640];

	c->progressing = true;			/* a task that becomes ready here is not to look at l again */
	if (a)
		a->handles++;			/* its last call may end here */
	l->dead = RING_DEAD_WORKER;
	lease_take_l(c, l);
	lease_takeback_l(c, l);
	snprintf(text, sizeof text, "%s%s", a ? "the actor died while it ran this call, which may have had its effect: " : "", why);
	if (l->inflight)
		claimed_died_l(c, l, code, charged, text);
	if (a)
		actor_lost_ring_l(c, l);
	lease_free_l(c, l);
	if (a)
		actor_unref_l(c, a);
	c->progressing = outer;
	if (s)
		feed_l(c, s);
}

void
lease_back_l(struct client *c, struct lease *l)
{
	struct shape *s = l->shape;

	l->returning = true;
	lease_takeback_l(c, l);
	if (l->inflight == 0) {
		LINK_SEND(c, return, .lease = l->number);
		lease_free_l(c, l);
	}
	if (s && s->queued)
		feed_l(c, s);
}
