/*
 * bell - the one thing that a process sleeps on.
 *
 * All bells of a node lie in its node page, one cache line each, writable by every process of the user:
 * whatever is in them, a wrong bell can only wake somebody for nothing or keep its own process asleep.
 * Producer: publish, bell_ring.  Sleeper: bell_arm; look at every source once more; bell_sleep or bell_disarm.
 * The node counts the processes that are awake, so that a waiter knows whether spinning can pay; the
 * count changes only where a system call is made anyway.
 */
#ifndef RING_BELL_H
#define RING_BELL_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODEPAGE_MAGIC 0x61746f72u
#define NODEPAGE_LAYOUT 4u
#ifndef NODEPAGE_BELLS			/* t/model has few */
#define NODEPAGE_BELLS 16384u		/* processes that a node can have at one time */
#endif

struct bell {
	alignas(64) _Atomic uint32_t word;	/* 0 awake, 1 armed: about to sleep, 2 asleep */
	_Atomic uint32_t cpu;			/* where its process ran last, + 1; 0 unknown */
	_Atomic uint64_t log_read;		/* a worker's: its log is dealt with up to this byte */
	_Atomic uint32_t proc;			/* by rlet: whose it is; 0 nobody's */
	_Atomic uint32_t stays;			/* by rlet: 1: a program that outlives rlet, and will join the next one; 0 by itself when it leaves */
	_Atomic uint32_t counted;		/* by rlet: 1: a member of a set, whose callers keep load */
	_Atomic uint32_t load;			/* calls on their rings to it, more or less: each adds its own (ring.h: charged) */
};
static_assert(sizeof(struct bell) == 64, "layout changed: bump NODEPAGE_LAYOUT");

struct nodepage {
	uint32_t magic, layout;			/* fixed at creation */
	uint32_t node;				/* node number */
	uint32_t cpus;				/* usable CPUs: cpuset and quota counted */
	alignas(64) _Atomic uint64_t valid_until; /* CLOCK_MONOTONIC ns: work must stop then; UINT64_MAX: no limit */
	_Atomic uint32_t quiet;			/* 1: rlet looks at nothing; a worker that wakes up tells it */
	_Atomic uint32_t procs;			/* by rlet: the last process number that was given out */
	_Atomic uint32_t abroad;		/* by rlet: CPUs of the other nodes, in thousandths */
	alignas(64) _Atomic int32_t awake;	/* processes not asleep; corrected by rlet at deaths */
	alignas(64) struct bell bell[NODEPAGE_BELLS];
};

void	bell_wake(struct nodepage *np, struct bell *b);		/* the slow half of bell_ring */
/*
 * After a death, in place of bell_ring: whoever died may have disarmed the bell of a sleeper and not have come to
 * wake it.  One system call, always.
 */
void	bell_rescue(struct nodepage *np, struct bell *b);
/* sleeps until rung or until timeout_ns (-1: none) are over; the bell is disarmed on return; 0, -ETIMEDOUT or -EINTR */
int	bell_sleep(struct nodepage *np, struct bell *b, int64_t timeout_ns);

/* after publishing: wakes the owner if it sleeps, or is about to: true.  The fence pairs with the one in bell_arm. */
static inline bool
bell_ring(struct nodepage *np, struct bell *b)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&b->word, memory_order_relaxed) == 0)
		return false;
	bell_wake(np, b);
	return true;
}

static inline void
bell_arm(struct bell *b)
{
	atomic_store_explicit(&b->word, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);	/* what was published before is seen by the look that follows */
}

static inline void
bell_disarm(struct bell *b)
{
	atomic_store_explicit(&b->word, 0, memory_order_relaxed);
}

/*
 * Another thread of the sleeper's process is awake and looks at all that it would be woken for: true: nobody rings it
 * until bell_return.  After that the borrower looks once more.
 */
static inline bool
bell_borrow(struct nodepage *np, struct bell *b)
{
	uint32_t asleep = 2;

	if (!atomic_compare_exchange_strong(&b->word, &asleep, 0))
		return false;
	atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
	return true;
}

static inline void
bell_return(struct nodepage *np, struct bell *b)
{
	uint32_t awake = 0;

	if (atomic_compare_exchange_strong(&b->word, &awake, 2))
		atomic_fetch_sub_explicit(&np->awake, 1, memory_order_relaxed);
}

/* of such a sleeper, once it is awake: it may have woken by itself while its bell was borrowed, and have been returned since */
static inline void
bell_up(struct nodepage *np, struct bell *b)
{
	if (atomic_exchange(&b->word, 0) == 2)
		atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
}

#endif
