/*
 * hammer.h - the two ends of a ring, for the tests that run them at full speed: ring_pair (processes, deaths)
 * and ring_threads (for TSan).  Tasks carry a number and its hash; the answer is another hash, here or in a
 * block of the worker's slab.  Both ends sleep on their bells only; a wake-up that is lost ends in a time-out.
 */
#ifndef HAMMER_H
#define HAMMER_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ring/bell.h"
#include "ring/ring.h"
#include "ring/slab.h"

#define STOP (RING_FREE | 1)		/* the word that ends a worker */
#define HANGS INT64_C(20000000000)

struct side {
	struct nodepage *np;
	struct bell *me, *peer;
	struct ring_shm *shm;
	struct slab *own;
	struct peerslab other;
	unsigned long sleeps;
};

static inline uint64_t
mix(uint64_t x)				/* splitmix64 */
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* ---- worker ---- */
struct wside {
	struct side s;
	struct ring_wrk w;
	uint32_t block[RING_DONES];	/* of the completions not yet consumed; 0 none */
	uint64_t freed;
	uint64_t seed;
	int die_after;			/* completions; < 0: never */
};

static inline int
worker_wait(struct wside *x, bool for_room)
{
	if (x->w.skipped) {		/* a submitter may wait for the place of what it took back */
		x->w.skipped = false;
		bell_ring(x->s.np, x->s.peer);
	}
	bell_arm(x->s.me);
	if (for_room ? ring_room(&x->w) != 0 : ring_ready(&x->w)) {
		bell_disarm(x->s.me);
		return 0;
	}
	x->s.sleeps++;
	return bell_sleep(x->s.np, x->s.me, HANGS);
}

static inline void
worker_free(struct wside *x)
{
	uint64_t end = atomic_load_explicit(&x->s.shm->consumed, memory_order_acquire);

	for (; x->freed < end; x->freed++)
		if (x->block[x->freed % RING_DONES])
			slab_free(x->s.own, x->block[x->freed % RING_DONES]);
}

static inline int
worker_run(struct wside *x, uint32_t slot)
{
	const struct rec *p = peerslab_at(&x->s.other, slot, sizeof *p);
	struct done *d;
	struct rec r;
	uint64_t v;
	int e;

	if (p == NULL)
		return -EINVAL;
	r = *p;
	memcpy(&v, r.inl, sizeof v);
	if (v != mix(r.seq))
		return -EBADMSG;
	while (ring_room(&x->w) == 0)
		if ((e = worker_wait(x, true)) < 0)
			return e;
	worker_free(x);
	d = ring_next_done(&x->w);
	d->slot = slot;
	d->len = sizeof v;
	d->kind = r.seq % 4 ? DONE_HERE : DONE_BLOCK;
	d->unit = 0;
	v = mix(v);
	if (d->kind == DONE_HERE)
		memcpy(d->inl, &v, sizeof v);
	else {
		size_t n = 1 + r.seq % 500;

		if ((d->unit = slab_alloc(x->s.own, n * sizeof v)) == 0)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++)
			memcpy((unsigned char *)slab_at(x->s.own, d->unit) + i * sizeof v, &v, sizeof v);
		d->len = (uint32_t)(n * sizeof v);
	}
	x->block[x->w.dtail % RING_DONES] = d->unit;
	ring_publish(&x->w);
	bell_ring(x->s.np, x->s.peer);
	return 0;
}

static inline int
worker_main(struct wside *x)
{
	uint32_t slot;
	int e;

	for (;;) {
		if (!ring_claim(&x->w, &slot)) {
			if ((e = worker_wait(x, false)) < 0)
				return e;
			continue;
		}
		if (slot == STOP)
			return 0;
		if ((e = worker_run(x, slot)) < 0)
			return e;
		if (x->die_after >= 0 && x->die_after-- == 0)
			return -EINTR;
	}
}

/* ---- submitter ---- */
enum task { NEW, PUSHED, DONE };

struct sside {
	struct side s;
	struct ring_sub r;
	uint32_t n, next, done;		/* tasks: in all, first never pushed, done */
	uint32_t *back, nback;		/* taken back, to be pushed again */
	uint8_t *task;			/* enum task of each */
	uint32_t at[RING_WORDS];	/* task at each position of the ring */
	uint64_t seed;
	unsigned long revoked;
};

static inline bool
submit_one(struct sside *x)
{
	uint32_t t;
	struct rec *r;
	uint64_t v;

	if ((x->nback == 0 && x->next == x->n) || ring_unclaimed(&x->r, RING_DEPTH) >= RING_DEPTH)
		return false;
	t = x->nback ? x->back[--x->nback] : x->next++;
	if ((r = slab_rec(x->s.own)) == NULL)
		abort();
	v = mix(t);
	memset(r, 0, sizeof *r);
	r->seq = t;
	memcpy(r->inl, &v, sizeof v);
	x->task[t] = PUSHED;
	x->at[x->r.tail % RING_WORDS] = t;
	ring_push(&x->r, slab_unit(x->s.own, r));
	bell_ring(x->s.np, x->s.peer);
	return true;
}

/* takes the last few back, as far as they are not claimed */
static inline void
take_back(struct sside *x, unsigned most)
{
	for (uint64_t p = x->r.tail; most-- && p-- > x->r.seen;) {
		uint32_t slot = (uint32_t)atomic_load_explicit(&x->s.shm->word[p % RING_WORDS], memory_order_relaxed);

		if (!ring_revoke(&x->r, p, slot))
			continue;
		slab_rec_free(x->s.own, slab_at(x->s.own, slot));
		x->task[x->at[p % RING_WORDS]] = NEW;
		x->back[x->nback++] = x->at[p % RING_WORDS];
		x->revoked++;
	}
}

/* all completions that are there; how many, or -errno */
static inline int
harvest(struct sside *x)
{
	struct done *d, c;
	int n = 0;

	while ((d = ring_completion(&x->r)) != NULL) {
		const unsigned char *p;
		struct rec *r;
		uint64_t t, v;

		c = *d;
		r = slab_at(x->s.own, c.slot);
		t = r->seq;
		p = c.kind == DONE_HERE ? c.inl : peerslab_at(&x->s.other, c.unit, c.len);
		if (t >= x->n || x->task[t] != PUSHED || p == NULL || c.len < sizeof v)
			return -EPROTO;			/* not ours, or run twice */
		memcpy(&v, p + c.len - sizeof v, sizeof v);
		if (v != mix(mix(t)))
			return -EBADMSG;
		x->task[t] = DONE;
		x->done++;
		slab_rec_free(x->s.own, r);
		ring_take(&x->r);
		n++;
	}
	if (ring_tell(&x->r))
		bell_ring(x->s.np, x->s.peer);
	return n;
}

/* until all n are done, or "until" are; 0 or -errno */
static inline int
submitter_main(struct sside *x, uint32_t until)
{
	int e;

	while (x->done < until) {
		unsigned burst = 1 + (unsigned)(mix(x->seed++) % 80);
		bool moved = false;

		while (burst-- && submit_one(x))
			moved = true;
		if (mix(x->seed++) % 8 == 0)
			take_back(x, (unsigned)(mix(x->seed) % 20));
		if ((e = harvest(x)) < 0)
			return e;
		if (moved || e > 0 || x->nback)
			continue;
		bell_arm(x->s.me);
		if (ring_completion(&x->r)) {
			bell_disarm(x->s.me);
			continue;
		}
		x->s.sleeps++;
		if ((e = bell_sleep(x->s.np, x->s.me, HANGS)) < 0)
			return e;
	}
	return 0;
}

static inline void
submitter_start(struct sside *x, uint32_t n)
{
	x->n = n;
	x->task = calloc(n, 1);
	x->back = calloc(n, sizeof *x->back);
	if (!x->task || !x->back)
		abort();
}

static inline void
submitter_end(struct sside *x)
{
	free(x->task);
	free(x->back);
}

#endif
