/*
 * ring - a pair of rings between one submitter and one worker, in one shared segment.
 *
 * Towards the worker go 64-bit words, each a slot number (a unit of the submitter's slab) and, in the same
 * word, the claim: who turns QUEUED into CLAIMED runs the task, who turns it into REVOKED has it back.
 * Back come completions of one cache line each, in the order in which tasks end.
 *
 * Trust: all sizes are constants of the layout; a hostile peer can garble words and completions, which are
 * loaded once, checked and copied, but cannot move our accesses.  The segment outlives either side; rlet maps
 * it too and marks deaths in it.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RING_MAGIC 0x676e6972u
#define RING_LAYOUT 2u
#ifndef RING_WORDS			/* t/model has them tiny */
#define RING_WORDS 128u			/* powers of two */
#define RING_DONES 128u
#endif
#define RING_DEPTH 64u			/* most unclaimed tasks before one worker */

enum ring_claim { RING_IDLE, RING_QUEUED, RING_CLAIMED, RING_REVOKED };	/* IDLE: never used, or skipped */
#define RING_LAP_SHIFT 34		/* word: lap 30 | claim 2 | slot 32 */

#define RING_FREE 0x80000000u		/* a slot with this bit is no task: free your arena object at 64 x the other bits */

/*
 * as enum rec_kind; BLOCK: in the worker's slab; BACK: it was claimed for a worker of another node, which has not begun it; AWAY: the
 * node has it, or knows who does: a struct rec_where with size only
 */
enum done_kind { DONE_NONE, DONE_HERE, DONE_BLOCK, DONE_ARENA, DONE_BACK, DONE_AWAY };
#define DONE_ERROR	0x01u		/* flags: the value is an error */
#define DONE_REFS	0x02u		/* the value holds references */
#define DONE_KEPT	0x04u		/* unit names a block: u32 n, then n x 16-byte ids that the worker keeps */
#define DONE_PART	0x08u		/* one of several returns; the task ends with ret 0 */
#define DONE_RETRY	0x10u		/* an error that the task wants to be tried again for */

struct done {
	_Atomic uint64_t seq;		/* position + 1, stored last, release */
	uint32_t slot;			/* the task */
	uint32_t unit;			/* block in the worker's slab */
	uint32_t len;			/* payload bytes */
	uint16_t nvals;
	uint8_t kind, flags;
	uint32_t ret;			/* which return, 1 first; 0 all of them */
	uint32_t ns;			/* how long it ran, 0 not measured */
	unsigned char inl[32];		/* payload, or struct rec_where */
};
static_assert(sizeof(struct done) == 64, "a completion is one cache line");

#define RING_DEAD_WORKER 1u
#define RING_DEAD_SUBMITTER 2u
#define RING_CLOSED 4u			/* returned in order */

struct ring_shm {
	uint32_t magic, layout;			/* fixed at creation */
	alignas(64) _Atomic uint32_t dead;	/* written by rlet: RING_DEAD_* */
	_Atomic uint32_t want;			/* written by rlet: 1 the lease is called back, 2 its time is over: claim no more */
	_Atomic uint32_t blocked;		/* written by rlet: the worker waits for something; take back what is unclaimed */
	alignas(64) _Atomic uint32_t wcpu;	/* written by the worker: CPU it runs on, + 1 */
	_Atomic uint32_t busy;			/* its suspended tasks */
	alignas(64) _Atomic uint32_t scpu;	/* written by the submitter: CPU it runs on, + 1 */
	_Atomic uint32_t charged;		/* what it added to bell.load; rlet takes that off when the ring ends */
	_Atomic uint64_t consumed;		/* completions it is done with: their blocks may be reused */
	alignas(64) _Atomic uint64_t word[RING_WORDS];
	struct done done[RING_DONES];
};
static_assert(offsetof(struct ring_shm, word) == 256, "layout changed: bump RING_LAYOUT");
static_assert(sizeof(struct ring_shm) <= 12288, "three pages a pair");

int	ring_create(const char *name);				/* -> descriptor of a fresh segment, or -errno */
int	ring_map(int fd, struct ring_shm **shm);		/* checks seals, size, magic; ERR_LAYOUT.  fd stays open */
void	ring_unmap(struct ring_shm *shm);

/* ---- submitter's end ---- */
struct ring_sub {
	struct ring_shm *shm;
	uint64_t tail;			/* words pushed */
	uint64_t seen;			/* words known to be no longer QUEUED; seen <= tail */
	uint64_t dhead;			/* completions taken */
	uint64_t told;			/* value of shm->consumed */
};

static inline uint64_t
ring_word(uint64_t pos, enum ring_claim c, uint32_t slot)
{
	return (pos / RING_WORDS + 1) << RING_LAP_SHIFT | (uint64_t)c << 32 | slot;
}

static inline enum ring_claim
ring_claim_of(uint64_t w)
{
	return (enum ring_claim)(w >> 32 & 3);
}

/* unclaimed words before the worker; looks at most as far as needed to answer "fewer than limit?" */
static inline uint64_t
ring_unclaimed(struct ring_sub *r, uint64_t limit)
{
	while (r->tail - r->seen >= limit && r->seen < r->tail) {
		uint64_t w = atomic_load_explicit(&r->shm->word[r->seen % RING_WORDS], memory_order_acquire);

		if (ring_claim_of(w) == RING_QUEUED || ring_claim_of(w) == RING_REVOKED)
			break;			/* REVOKED: the worker has still to step over it */
		r->seen++;
	}
	return r->tail - r->seen;
}

/* publishes slot; the caller has made sure that ring_unclaimed() < RING_WORDS.  The bell is the caller's duty. */
static inline void
ring_push(struct ring_sub *r, uint32_t slot)
{
	atomic_store_explicit(&r->shm->word[r->tail % RING_WORDS], ring_word(r->tail, RING_QUEUED, slot),
	    memory_order_release);	/* pairs with the acquire in ring_peek: the record is written */
	r->tail++;
}

/* takes the task at position pos back; true if it had not been claimed: it will not run there */
static inline bool
ring_revoke(struct ring_sub *r, uint64_t pos, uint32_t slot)
{
	uint64_t w = ring_word(pos, RING_QUEUED, slot);

	return atomic_compare_exchange_strong(&r->shm->word[pos % RING_WORDS], &w,
	    ring_word(pos, RING_REVOKED, slot));
}

/* next completion, or NULL; read it, then ring_take */
static inline struct done *
ring_completion(struct ring_sub *r)
{
	struct done *d = &r->shm->done[r->dhead % RING_DONES];

	return atomic_load_explicit(&d->seq, memory_order_acquire) == r->dhead + 1 ? d : NULL;
}

static inline void
ring_take(struct ring_sub *r)
{
	r->dhead++;
}

/*
 * Tells the worker how far completions are consumed; pairs with the acquire in ring_room.  True: the worker had
 * no room left by what it was told before and may wait for it: ring its bell.
 */
static inline bool
ring_tell(struct ring_sub *r)
{
	uint64_t full = r->told + RING_DONES;

	if (r->told == r->dhead)
		return false;
	atomic_store_explicit(&r->shm->consumed, r->told = r->dhead, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);	/* with bell_arm's: it sees the room, or we see that it had none */
	return atomic_load_explicit(&r->shm->done[(full - 1) % RING_DONES].seq, memory_order_relaxed) == full;
}

/* ---- worker's end ---- */
struct ring_wrk {
	struct ring_shm *shm;
	uint64_t head;			/* words stepped over */
	uint64_t dtail;			/* completions published */
	uint64_t consumed;		/* last seen of shm->consumed */
	bool skipped;			/* set by ring_claim, cleared by the caller, see there */
};

/*
 * Claims the next task: its slot in *slot, or false if there is none.  Steps over what was taken back.
 * A word of another lap is an old one: nothing is there yet.
 * What was stepped over is a free place, and no completion will tell the submitter so: a worker that goes to
 * sleep with skipped set clears it and rings the submitter's bell first.
 */
static inline bool
ring_claim(struct ring_wrk *r, uint32_t *slot)
{
	for (;;) {
		_Atomic uint64_t *p = &r->shm->word[r->head % RING_WORDS];
		uint64_t w = atomic_load_explicit(p, memory_order_acquire);

		if (w >> RING_LAP_SHIFT != (r->head / RING_WORDS + 1) % (1u << 30))
			return false;
		if (ring_claim_of(w) == RING_QUEUED && atomic_compare_exchange_strong(p, &w,
		    ring_word(r->head, RING_CLAIMED, (uint32_t)w))) {
			*slot = (uint32_t)w;
			r->head++;
			return true;
		}
		if (ring_claim_of(w) != RING_REVOKED)
			return false;		/* garbled by the peer: nothing to run */
		atomic_store_explicit(p, ring_word(r->head, RING_IDLE, 0), memory_order_release);
		r->head++;
		r->skipped = true;
	}
}

/* claims the next word only if it is an order to free: *slot, or false.  For a worker that is busy with a task. */
static inline bool
ring_claim_free(struct ring_wrk *r, uint32_t *slot)
{
	_Atomic uint64_t *p = &r->shm->word[r->head % RING_WORDS];
	uint64_t w = atomic_load_explicit(p, memory_order_acquire);

	if (w >> RING_LAP_SHIFT != (r->head / RING_WORDS + 1) % (1u << 30) || ring_claim_of(w) != RING_QUEUED ||
	    !(w & RING_FREE) || !atomic_compare_exchange_strong(p, &w, ring_word(r->head, RING_CLAIMED, (uint32_t)w)))
		return false;
	*slot = (uint32_t)w;
	r->head++;
	return true;
}

/* is something there to claim (or to step over)?  Says yes only where ring_claim gets on, whatever the peer wrote. */
static inline bool
ring_ready(const struct ring_wrk *r)
{
	uint64_t w = atomic_load_explicit(&r->shm->word[r->head % RING_WORDS], memory_order_acquire);

	return w >> RING_LAP_SHIFT == (r->head / RING_WORDS + 1) % (1u << 30) &&
	    (ring_claim_of(w) == RING_QUEUED || ring_claim_of(w) == RING_REVOKED);
}

/* completions that can be published now */
static inline uint64_t
ring_room(struct ring_wrk *r)
{
	if (r->dtail - r->consumed >= RING_DONES)
		r->consumed = atomic_load_explicit(&r->shm->consumed, memory_order_acquire);
	return r->dtail - r->consumed < RING_DONES ? RING_DONES - (r->dtail - r->consumed) : 0;
}

/* the entry to fill before ring_publish; only while ring_room() > 0 */
static inline struct done *
ring_next_done(struct ring_wrk *r)
{
	return &r->shm->done[r->dtail % RING_DONES];
}

static inline void
ring_publish(struct ring_wrk *r)
{
	atomic_store_explicit(&r->shm->done[r->dtail % RING_DONES].seq, r->dtail + 1, memory_order_release);
	r->dtail++;
}

#endif
