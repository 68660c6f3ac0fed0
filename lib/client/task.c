/*
 * task - submitting.  The straight path is client_submit -> place_l -> ring_push: no system call, no allocation past
 * the record.
 */
#include "client/inner.h"

/* off the straight path: time-out, several returns */
static int
rare_l(struct client *c, struct rec *r, struct fn *fn, struct rec **out)
{
	struct rec_context *x = r->flags & REC_CONTEXT ? slab_at(&c->slab, r->ext) : NULL;
	struct side *s;

	if (fn->opts.stream && stream_new_l(c, r, fn) < 0)
		return -ENOMEM;
	if (fn->opts.returns > 1) {
		if (!(s = side_l(c, r)) || !(s->child = calloc(fn->opts.returns, sizeof *s->child)))
			return -ENOMEM;
		for (unsigned i = 0; i < fn->opts.returns; i++) {
			struct rec *k = rec_new_l(c);

			if (!k)
				return -ENOMEM;
			c->next_task--;			/* children carry the task's number */
			k->seq = r->seq | (i + 1);
			rec_state(k, REC_PENDING);
			k->count = 2;			/* the caller's, and until it is ready */
			k->link = slab_unit(&c->slab, r);
			s->child[s->nchild++] = slab_unit(&c->slab, k);
			out[i] = k;
		}
		r->count--;				/* the caller holds the children instead */
	}
	return x && x->deadline ? timer_set_l(c, r, TIMER_TIMEOUT, x->deadline) : 0;
}

/* its context: of a task submitted by a task, who its parent is, and all that the parent inherited itself */
static int
inherit_l(struct client *c, struct rec *r, const struct fn *fn)
{
	struct rec_context x = { .scope = c->context.scope };
	uint64_t at = fn->opts.timeout ? clock_ns() + fn->opts.timeout : 0;

	if (c->in_task) {
		x = c->context;
		x.stream = 0;
		x.parent_node = c->parent_owner.node;
		x.parent_proc = c->parent_owner.proc;
		x.parent_seq = c->parent_seq;
	}
	if (at && (!x.deadline || at < x.deadline))
		x.deadline = at;
	if (fn->opts.priority)
		x.priority = fn->opts.priority;
	c->priorities |= x.priority != 0;
	return rec_context_l(c, r, &x);
}

static int
args_l(struct client *c, struct rec *r, const struct payload *a, const struct rec_where *w)
{
	if (!w->off && a->n <= REC_INLINE) {
		if (a->n)			/* a->p may be NULL */
			memcpy(r->inl, a->p, a->n);
		r->kind = REC_HERE;
		r->len = (uint16_t)a->n;
		r->nvals = (uint16_t)a->nvals;
		if (a->flags & PAYLOAD_REFS)
			r->flags |= REC_REFS;
		return 0;
	}
	if (!w->off)
		return rec_set_l(c, r, a->p, a->n, a->nvals, a->flags & PAYLOAD_REFS);
	memcpy(r->inl, w, sizeof *w);
	r->kind = REC_ARENA;
	r->nvals = (uint16_t)a->nvals;
	if (a->flags & PAYLOAD_REFS)
		r->flags |= REC_REFS;
	return 0;
}

static inline bool
over(const struct client *c, uint64_t most, uint64_t bytes)
{
	uint64_t n = c->queued + c->running;

	return n >= CLIENT_FEW && (n >= most || c->slab.used >= bytes);
}

static bool
roomy(struct client *c, void *arg)
{
	(void)arg;
	return !over(c, c->most / 8 * 7, c->most_bytes / 8 * 7);
}

int
client_room(struct client *c, uint64_t deadline)
{
	return wait_until(c, roomy, NULL, deadline);
}

void
client_budget(struct client *c, uint64_t tasks, uint64_t bytes)
{
	lock_take(&c->lock);
	c->most = tasks;
	c->most_bytes = bytes;
	lock_drop(&c->lock);
}

/*
 * A record with its arguments, counted for the caller and for its being under way: 0 with the lock held; or a
 * negative error, or 1 if the task has already failed, without the lock.
 */
static int
prepare(struct client *c, struct fn *fn, const struct payload *a, struct rec **out, struct rec **task)
{
	struct rec_where w = { 0 };
	struct rec *r;
	int e = 0;

	lock_take(&c->lock);
	atomic_store_explicit(&c->polls, c->polls + 1, memory_order_relaxed);
	if (c->ndrop)
		drops_l(c);
	if (over(c, c->most, c->most_bytes)) {
		lock_drop(&c->lock);
		return -EAGAIN;
	}
	if (!(r = rec_new_l(c))) {
		lock_drop(&c->lock);
		return -ENOMEM;
	}
	rec_state(r, REC_PENDING);
	if (a->nseg || a->n > REC_EXT_MAX) {
		struct id id = { (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq | ID_RET_MAX };

		lock_drop(&c->lock);
		e = mem_put(c, id, 0, a, &w);
		lock_take(&c->lock);
	}
	if (e == 0 && a->flags & PAYLOAD_REFS)
		e = refs_retain_l(c, a->p, a->n, a->nvals);
	if (e < 0) {
		slab_rec_free(&c->slab, r);
		lock_drop(&c->lock);
		return e;
	}
	r->fn = fn->unit;
	r->count = 2;
	fn->count++;
	*out = *task = r;
	if (c->inherits || fn->opts.timeout || fn->opts.priority || fn->opts.stream)
		e = inherit_l(c, r, fn);
	if (e == 0 && (e = args_l(c, r, a, &w)) == 0 && (fn->opts.returns > 1 || fn->opts.timeout || fn->opts.stream || (c->in_task && c->context.deadline)))
		e = rare_l(c, r, fn, out);
	if (e < 0) {
		task_fail_l(c, r, e, err_str(e));
		lock_drop(&c->lock);
		return 1;
	}
	page_count(c->page, CNT_SUBMITTED, 1);
	return 0;
}

static int
submitted(struct client *c)
{
	bool deferred = c->ndeferred != 0;

	if (atomic_load_explicit(&c->deep, memory_order_relaxed))
		service_nudge_l(c);
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	if (deferred)
		task_deferred(c);
	return 0;
}

int
client_submit(struct client *c, struct fn *fn, const struct payload *a, struct rec **out)
{
	struct rec *r;
	int e;

	if (c->capturing) {
		lock_take(&c->lock);
		fn = fn_captured_l(c, fn);
		lock_drop(&c->lock);
		if (!fn)
			return -ENOMEM;
	}
	if ((e = prepare(c, fn, a, out, &r)) != 0)
		return e < 0 ? e : 0;
	if (a->flags & PAYLOAD_PENDING)
		wait_args_l(c, r, a, NULL);
	else
		place_l(c, r, fn);
	return submitted(c);
}

int
client_submit_small(struct client *c, struct fn *fn, const unsigned char p[REC_INLINE], unsigned n, unsigned nvals,
    struct rec **out)
{
	struct rec *r;

	if (c->inherits || fn->opts.timeout || fn->opts.priority || fn->opts.returns > 1 || fn->opts.stream)
		return client_submit(c, fn, &(struct payload){ p, n, nvals, 0, NULL, 0 }, out);
	lock_take(&c->lock);
	atomic_store_explicit(&c->polls, c->polls + 1, memory_order_relaxed);
	if (over(c, c->most, c->most_bytes) || !(r = rec_new_l(c))) {
		int e = over(c, c->most, c->most_bytes) ? -EAGAIN : -ENOMEM;

		lock_drop(&c->lock);
		return e;
	}
	rec_state(r, REC_PENDING);
	r->fn = fn->unit;
	r->count = 2;
	fn->count++;
	memcpy(r->inl, p, REC_INLINE);
	r->kind = REC_HERE;
	r->len = (uint16_t)n;
	r->nvals = (uint16_t)nvals;
	*out = r;
	page_count(c->page, CNT_SUBMITTED, 1);
	place_l(c, r, fn);
	return submitted(c);
}

/* a task under way has come to its end: its arguments are given up; its function stays, for messages */
void
task_end_l(struct client *c, struct rec *r)
{
	if (r->kind == REC_HERE && !(r->flags & (REC_REFS|REC_CONTEXT)) && !r->ext)
		r->kind = REC_NONE;
	else
		rec_clear_l(c, r);
}

uint64_t
client_pending(struct client *c)
{
	uint64_t n;

	lock_take(&c->lock);
	n = c->queued + c->running;
	lock_drop(&c->lock);
	return n;
}

/* as many calls as may be under way? */
static bool
full(struct client *c, struct actor *a)
{
	bool is;

	lock_take(&c->lock);
	if (a->calls >= a->max_pending)
		progress_l(c);
	is = a->calls >= a->max_pending;
	lock_drop(&c->lock);
	return is;
}

int
client_call(struct client *c, struct actor *a, struct fn *method, const struct payload *args, struct rec **out)
{
	struct lane *q = &a->lane[method->opts.lane];
	struct rec *r;
	struct side *s;
	uint32_t u;
	int e;

	if (a->max_pending && full(c, a))
		return ERR_PENDING;
	if ((e = prepare(c, method, args, out, &r)) != 0)
		return e < 0 ? e : 0;
	if (a->ended) {
		task_fail_l(c, r, ERR_ACTOR_DIED, a->ended);
		return submitted(c);
	}
	a->handles++;
	__atomic_store_n(&a->calls, a->calls + 1, __ATOMIC_RELAXED);	/* for client_actor_calls */
	if (q->queued == 0 && q->lease && a->state == ACTOR_ALIVE && !(args->flags & PAYLOAD_PENDING) &&
	    !q->lease->dead && ring_unclaimed(&q->lease->ring, RING_DEPTH) < (q->lease->inflight ? RING_DEPTH : RING_WORDS)) {
		push_l(c, q->lease, r);
		lease_ring_l(c, q->lease);
		return submitted(c);
	}
	u = slab_unit(&c->slab, r);
	r->flags |= REC_ACTOR;
	if ((s = side_find_l(c, r)))
		s->actor = a;			/* it may expire */
	rec_state(r, REC_QUEUED);
	r->link = 0;
	if (q->queued++ == 0)
		q->head = u;
	else
		((struct rec *)slab_at(&c->slab, q->tail))->link = u;
	q->tail = u;
	lane_open_l(c, a, method->opts.lane);
	if (args->flags & PAYLOAD_PENDING)
		wait_args_l(c, r, args, a);
	else
		c->queued++;
	if (q->queued % RING_DEPTH == 0)
		progress_l(c);			/* completions must not stop the actor; it is fed as they are taken */
	else if (q->queued == 1 || args->flags & PAYLOAD_PENDING)
		feed_lane_l(c, a, method->opts.lane);
	return submitted(c);
}
