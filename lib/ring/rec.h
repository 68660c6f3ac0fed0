/*
 * rec - the record of a task, which is also the entry of the object it makes.
 *
 * One cache line in its submitter's slab.  Workers read the first half and the payload, once, into private
 * memory; the owner's half is written by the owner only.  Once the result is there it takes the place of the
 * arguments: what was passed is kept only where the result could be lost (an extension block).
 *
 * What differs from the job's defaults is off this line, in the extension block: deadline, parent, scope and
 * trace (struct rec_context) and arguments over REC_INLINE bytes.  Job, shape and priority belong to the ring.
 */
#ifndef RING_REC_H
#define RING_REC_H

#include <assert.h>
#include <stdint.h>

#define REC_INLINE 32u
#define REC_BLOCK_MAX 4096u	/* longest payload outside the arena */

enum rec_state {		/* owner's view */
	REC_FREE,		/* on the free list */
	REC_WAITING,		/* a task whose arguments are not all there */
	REC_QUEUED,		/* in a queue of its submitter */
	REC_PUSHED,		/* on a ring: unclaimed, claimed or done but not yet seen */
	REC_PENDING,		/* no task of ours makes it: child of a task with several returns, or borrowed */
	REC_READY,		/* kind says where the value is */
};

enum rec_kind {			/* where the payload is: arguments before READY, values after */
	REC_NONE,
	REC_HERE,		/* inl[0 .. len) */
	REC_EXT,		/* in the extension block: len bytes, after the context if there is one */
	REC_ARENA,		/* inl holds struct rec_where; link counts who looks at it now */
	REC_AWAY,		/* the same, but the node may move it and frees it: where it lay last */
};

#define REC_ERROR	0x01u	/* the value is an encoded error */
#define REC_REFS	0x02u	/* the payload holds references (val_walk_refs) */
#define REC_CONTEXT	0x04u	/* the extension block starts with a struct rec_context */
#define REC_SIDE	0x08u	/* owner keeps more about it: waiters, holders, children (client/side) */
#define REC_BORROWED	0x10u	/* somebody else's object; its id is in the side entry */
#define REC_SEEN	0x20u	/* of one with REC_ERROR: it was fetched, or it is no failure */
#define REC_ACTOR	0x40u	/* a call of an actor's method: its method name is the first value */
#define REC_ALONE	0x80u	/* its function is poison: its worker runs nothing else meanwhile, no child of it either */
/* of a claimed task, where the others have no meaning; its worker looks here when it is signalled (client/cancel.c) */
#define REC_CANCEL	REC_ACTOR	/* it is to end */
#define REC_SPARE	REC_ERROR	/* beside it: its children go on */

struct rec {
	uint64_t seq;		/* task 40 | return 24, the low half of the id */
	uint32_t fn;		/* unit of the function block; 0: not a task */
	uint32_t ext;		/* unit of the extension block; 0: none */
	uint16_t len;		/* payload bytes, here or in the extension block */
	uint16_t nvals;		/* encoded values in the payload */
	uint8_t flags;
	uint8_t attempt;	/* 0 first */
	uint8_t state;		/* owner: enum rec_state */
	uint8_t kind;		/* enum rec_kind */
	uint32_t count;		/* owner: references in this process */
	uint32_t link;		/* owner: next in a queue or free list; the ring's index while PUSHED */
	unsigned char inl[REC_INLINE];
};
static_assert(sizeof(struct rec) == 64, "a record is one cache line");

/* any state but READY: other threads of the owner may look meanwhile */
static inline void
rec_state(struct rec *r, enum rec_state state)
{
	__atomic_store_n(&r->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* is the value there?  The acquire pairs with the release of rec_set_ready: payload first, state last. */
static inline int
rec_is_ready(const struct rec *r)
{
	return __atomic_load_n(&r->state, __ATOMIC_ACQUIRE) == REC_READY;
}

static inline void
rec_set_ready(struct rec *r)
{
	__atomic_store_n(&r->state, REC_READY, __ATOMIC_RELEASE);
}

/*
 * What of these flags is set, for the owner's main thread without its lock: those that are asked for do not change any more
 * once the record is ready (or ever: BORROWED), or are a hint; others, in the same byte, may change at any time.
 */
static inline __attribute__((no_sanitize("thread"))) unsigned
rec_flags(const struct rec *r, unsigned flags)
{
	return __atomic_load_n(&r->flags, __ATOMIC_RELAXED) & flags;
}

struct rec_where {		/* of an arena object, packed in rec.inl and in completions */
	uint64_t off;
	uint64_t size;		/* bytes it keeps alive */
	uint32_t gen;
	uint32_t proc;		/* whose extent it lies in: who frees it */
	uint32_t held;		/* owner: processes that hold it, for who looks */
	uint32_t spare;
};
static_assert(sizeof(struct rec_where) <= REC_INLINE, "fits a record");

struct rec_context {		/* inherited by children, overridden by options */
	uint64_t deadline;	/* CLOCK_MONOTONIC ns; 0 none */
	uint32_t parent_proc, parent_node;
	uint64_t parent_seq;
	uint64_t scope;
	unsigned char trace[16];	/* 0: off */
	uint64_t span;
	uint32_t stream;	/* of a stream, not inherited: unit of its struct rec_stream */
	uint16_t env;		/* environment id; 0 the job's */
	int16_t priority;
};
static_assert(sizeof(struct rec_context) == 64, "layout changed: bump RING_LAYOUT");

/*
 * Of a task that streams: how far its consumer is.  In the submitter's slab, written by it only.  Items are counted from
 * the stream's beginning, whichever attempt made them: item i is the one with return number i + 1.
 */
struct rec_stream {
	_Atomic uint64_t arrived;	/* items: an attempt does not send those that were there when it began, */
	_Atomic uint64_t arrived_bytes;	/* and what of them lies in the arena */
	_Atomic uint64_t taken;		/* items that the consumer has taken, */
	_Atomic uint64_t taken_bytes;
	uint64_t backlog;		/* so many may be made and not taken */
	uint64_t backlog_bytes;		/* or one, if it is larger */
	uint64_t zero[2];
};
static_assert(sizeof(struct rec_stream) == 64, "layout changed: bump RING_LAYOUT");

enum fn_kind {
	FN_LUA = 1,		/* bytes: encoded function (script) */
	FN_COMMAND,		/* bytes: how to run commands (client/command.h); payload: argv strings */
	FN_LINES,		/* bytes: encoded function for rmap -e: payload: block of lines */
	FN_METHOD,		/* a method of the actor this worker is; no bytes */
	FN_LUA_WITH,		/* bytes: encoded function, then the table of what its worker must know of it (script/run.c) */
	FN_C,			/* bytes: which file and symbol (capi/cfn.h) */
};

#define FNBLK_STREAM 1u		/* what it yields goes out one by one */

struct fnblk {			/* header of a function block in the submitter's slab */
	uint64_t serial;	/* never used again by this process: tells a reused unit from the old one */
	uint64_t hash[2];	/* of the bytes */
	uint32_t bytes;		/* unit of the block with the encoded function; shared by all :with variants */
	uint32_t len;		/* its length */
	uint8_t kind;		/* enum fn_kind */
	uint8_t nret;		/* results to publish one by one; 0: all as one */
	uint8_t flags;		/* FNBLK_* */
	uint8_t namelen;
	uint32_t priv;		/* owner: index of its private entry */
	char name[23];		/* cut; for status pages and errors */
	uint8_t once;		/* its tasks are not tried again */
};
static_assert(sizeof(struct fnblk) == 64, "layout changed: bump RING_LAYOUT");

#endif
