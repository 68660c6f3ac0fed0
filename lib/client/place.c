/*
 * place - queues, and which task goes before which worker.
 *
 * A worker has at most a fraction of a millisecond of unclaimed work before it (depth); the rest waits in the queue of
 * its shape, or of its actor, in the submitter.
 */
#include <stdio.h>
#include "client/queue.h"
#include "os/proc.h"

#define AHEAD_NS 200000u	/* unclaimed work before one worker */
#define SHORT_NS 1000u		/* a task that runs this long is given out and taken in about as fast */
#define PATIENCE_NS 1000000u	/* queued work that is worth another worker */

static unsigned
depth(const struct shape *s, uint32_t est)
{
	if (est == EST_UNKNOWN)
		est = s->est;
	if (est == EST_UNKNOWN)
		return 2;
	if (est <= AHEAD_NS / RING_DEPTH)
		return RING_DEPTH;
	return est >= AHEAD_NS ? 1 : AHEAD_NS / est;
}

void
push_l(struct client *c, struct lease *l, struct rec *r)
{
	rec_state(r, REC_PUSHED);
	r->link = l->index;
	ring_push(&l->ring, slab_unit(&c->slab, r));
	c->running++;
	if (l->inflight++ == 0) {
		unsigned n = c->nactive;

		__atomic_store_n(&c->active[n], l, __ATOMIC_RELAXED);
		__atomic_store_n(&c->nactive, l->active = n + 1, __ATOMIC_RELEASE);	/* for glance */
	}
	l->rung = true;
}

void
lease_load_l(struct lease *l)
{
	uint32_t had = atomic_load_explicit(&l->ring.shm->charged, memory_order_relaxed), more = l->inflight - had;

	if (more == 0)
		return;
	atomic_store_explicit(&l->ring.shm->charged, l->inflight, memory_order_relaxed);
	atomic_fetch_add_explicit(l->load, more, memory_order_relaxed);
	if (l->actor)
		__atomic_fetch_add(&l->actor->charged, more, __ATOMIC_RELAXED);
}

void
lease_ring_l(struct client *c, struct lease *l)
{
	l->rung = false;
	if (l->load)
		lease_load_l(l);
	if (bell_ring(c->np, l->bell) && atomic_load_explicit(&l->bell->cpu, memory_order_relaxed) == proc_cpu() + 1)
		wait_here_l(c);
}

/*
 * Of the leases of s with room, the one with least before it, and how much room; the first one while its work is next
 * to nothing.  Tasks so short that giving them out takes as long stay with one worker, as long as that makes
 * progress from tick to tick.
 */
static struct lease *
choose_l(struct client *c, const struct shape *s, uint32_t est, unsigned *room)
{
	unsigned d = depth(s, est), n;
	struct lease *best = NULL;

	if (est == EST_UNKNOWN)
		est = s->est;
	for (unsigned i = 0; i < s->leases; i++) {
		struct lease *l = s->lease[i];

		if (l->returning || l->blocked || l->dead || (l->slow && !lease_lives_l(l)))
			continue;
		if (l->inflight && est >= PATIENCE_NS)
			continue;		/* or not known: a long one behind another would keep a free CPU waiting */
		n = (unsigned)ring_unclaimed(&l->ring, d);
		if (n >= d && l->inflight == 0) {	/* all of it was taken back or is to be freed: no completion will come */
			n = (unsigned)ring_unclaimed(&l->ring, RING_WORDS);
			if (n < RING_WORDS) {
				*room = 1;
				return l;
			}
			c->starved = true;
		}
		if (n >= d) {
			if (est < SHORT_NS && !c->stuck)
				return NULL;
			continue;
		}
		if (est != EST_UNKNOWN && (uint64_t)est * l->inflight < SPIN_MAX_NS) {
			*room = d - n;
			return l;
		}
		if (!best || l->inflight < best->inflight) {
			*room = 1;
			best = l;
		}
	}
	return best;
}

/* how many leases would be of use now; asks rlet when that is more than it was last told */
static void
want_l(struct client *c, struct shape *s)
{
	uint64_t cpus = client_cpus(c);
	uint64_t most = s->opts.cpus ? cpus / s->opts.cpus : 64, n = s->queued;
	uint64_t busy = s->leases - s->blocked;

	if (busy && s->est < SHORT_NS && !c->stuck && s->priority == s->told)
		return;			/* another worker would only take turns with this process */
	if (s->est != EST_UNKNOWN && n * s->est / PATIENCE_NS < n)
		n = n * s->est / PATIENCE_NS + (busy == 0 || c->stuck);
	if (most == 0)
		most = 1;		/* asked for all the same: rlet says what is missing */
	n += busy;
	if (n > most)
		n = most > busy ? most : busy;
	n += s->blocked;
	if ((n <= s->asked && s->priority == s->told) || c->lost)
		return;
	s->told = s->priority;
	shape_ask_l(c, s, n > s->asked ? (unsigned)n : s->asked);
}

/* a worker of s with nothing else before it, for a function that may kill it */
static struct lease *
lonely_l(const struct shape *s)
{
	for (unsigned i = 0; i < s->leases; i++) {
		struct lease *l = s->lease[i];

		if (!l->returning && !l->blocked && !l->dead && l->inflight == 0 &&
		    ring_unclaimed(&l->ring, RING_WORDS) < RING_WORDS)
			return l;
	}
	return NULL;
}

void
feed_l(struct client *c, struct shape *s)
{
	struct lease *l;
	unsigned room;

	while (s->queued) {
		struct rec *r = slab_at(&c->slab, s->head);
		struct fn *fn = fn_of(c, r->fn);

		if (fn->alone && fn_alone_l(c, fn)) {
			if (!(l = lonely_l(s)))
				break;
			r->flags |= REC_ALONE;
			push_l(c, l, queue_pop_l(c, s));
			l->slow = true;		/* nothing is put behind it */
			continue;
		}
		if (!(l = choose_l(c, s, fn->est, &room)))
			break;
		if (c->abroad && !s->poison) {
			r = near_pop_l(c, s, l);
			push_l(c, near_l(c, s, r, l, depth(s, fn->est)), r);
			continue;
		}
		if (s->poison)
			room = 1;
		for (; room > 0 && s->queued; room--)
			push_l(c, l, queue_pop_l(c, s));
	}
	if (s->queued)
		want_l(c, s);
	for (unsigned i = 0; i < c->nactive; i++)
		if (c->active[i]->rung)
			lease_ring_l(c, c->active[i]);
}

void
task_queue_l(struct client *c, struct rec *r, bool front)
{
	struct shape *s = fn_of(c, r->fn)->shape;

	if (c->lost || s->infeasible) {
		int code = c->lost ? ERR_NO_CLUSTER : ERR_INFEASIBLE;

		task_end_l(c, r);
		rec_fail_l(c, r, code, c->lost ? c->why : s->why);
		rec_unref_l(c, r);
		return;
	}
	rec_state(r, REC_QUEUED);
	queue_add_l(c, s, r, front);
}

void
place_l(struct client *c, struct rec *r, struct fn *fn)
{
	struct shape *s = fn->shape;
	struct lease *l;
	unsigned room;

	if (s->queued == 0 && !c->lost && !s->infeasible && !fn->alone && (l = choose_l(c, s, fn->est, &room))) {
		if (c->abroad && r->flags & REC_REFS)
			l = near_l(c, s, r, l, depth(s, fn->est));
		push_l(c, l, r);
		lease_ring_l(c, l);
		return;
	}
	task_queue_l(c, r, c->in_task);	/* children first: depth before breadth, or recursion would not end */
	if (r->state != REC_QUEUED)
		return;
	if (s->queued % RING_DEPTH == 0)
		progress_l(c);			/* completions must not stop the workers */
	else if (s->queued < 16 && (fn->est >= SHORT_NS || s->queued == 1))
		feed_l(c, s);
}

/* calls of a lane in order: the first one that waits for an argument holds the others up */
/* its actor is dead for good; the error says whether it may have run */
static void
call_fail_l(struct client *c, struct actor *a, struct rec *r)
{
	char text[400];

	snprintf(text, sizeof text, "the actor is dead%s%s%s", r->attempt > 0 ?
	    ", and had died while it ran this call, which may have had its effect" : ", this call had not begun",
	    a->why && *a->why ? ": " : "", a->why ? a->why : "");
	task_fail_l(c, r, ERR_ACTOR_DIED, text);
}

void
feed_lane_l(struct client *c, struct actor *a, unsigned lane)
{
	struct lane *q = &a->lane[lane];
	struct lease *l = q->lease;

	a->handles++;				/* calls that fail give up theirs */
	while (q->queued) {
		struct rec *r = slab_at(&c->slab, q->head);

		if (r->state == REC_QUEUED && a->state == ACTOR_DEAD) {
			c->queued--;
			if (a->error.len) {	/* its constructor's */
				task_end_l(c, r);
				rec_set_l(c, r, a->error.data, a->error.len, 1, PAYLOAD_ERROR);
				children_end_l(c, r);
				rec_ready_l(c, r);
			} else {
				call_fail_l(c, a, r);
			}
		}
		if (r->state == REC_READY) {		/* it failed while it waited here */
			q->head = r->link;
			q->queued--;
			rec_unref_l(c, r);
			actor_call_end_l(c, a);
			continue;
		}
		if (r->state != REC_QUEUED || !l || l->dead || a->state != ACTOR_ALIVE ||
		    ring_unclaimed(&l->ring, RING_DEPTH) >= (l->inflight ? RING_DEPTH : RING_WORDS))
			break;
		q->head = r->link;
		q->queued--;
		c->queued--;
		r->flags &= (uint8_t)~REC_ACTOR;
		push_l(c, l, r);
	}
	if (a->stop && actor_queued_l(a) == 0) {
		a->stop = false;
		LINK_SURE(c, actor_kill, .req = 0, .actor = a->number, .stop = true);
	}
	if (l && l->rung)
		lease_ring_l(c, l);
	actor_unref_l(c, a);
}

void
feed_actor_l(struct client *c, struct actor *a)
{
	a->handles++;
	for (unsigned i = 0; i < a->nlane; i++)
		feed_lane_l(c, a, i);
	actor_unref_l(c, a);
}
