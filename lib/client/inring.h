/* inring - a ring through which a submitter sends this worker tasks: shared by serve.c and outcome.c. */
#ifndef CLIENT_INRING_H
#define CLIENT_INRING_H

#include "base/clock.h"
#include "client/inner.h"

struct inring {
	struct ring_wrk ring;
	uint32_t lease, proc;
	struct id owner;		/* the submitter, as ids have it: node and process */
	uint32_t group;			/* of the actor's calls that come through it */
	struct id pgroup;		/* placement group of the lease, or all 0 */
	bool capture;
	struct bell *bell;
	struct peerslab slab;
	uint32_t block[RING_DONES];	/* blocks of our slab that a completion names, by position */
	struct done *pend;		/* completions that found the ring full */
	size_t npend, cappend;
	unsigned inflight;		/* claimed, not done */
	bool took;			/* slots: calls were claimed since its submitter was last told so by a bell */
	bool gone;			/* unring came while tasks run */
	struct inring *_Atomic next;	/* in client.inring; stays as it was when the ring is taken out: somebody may stand on it */
	struct inring *next_dead;
};

/* all of them; also without the lock for the main thread, which alone unmaps what was taken out */
static inline struct inring *
inring_first(const struct client *c)
{
	return atomic_load_explicit(&c->inring, memory_order_acquire);
}

static inline struct inring *
inring_next(const struct inring *g)
{
	return atomic_load_explicit(&g->next, memory_order_acquire);
}

/*
 * Others may take this node's work over from the time in the node page on (core/alive.h): then nothing is begun or published any
 * more.  now: read lately; 0: it was not.
 */
static inline bool
inring_fenced_l(struct client *c, uint64_t now)
{
	uint64_t until = atomic_load_explicit(&c->np->valid_until, memory_order_relaxed);

	if (until < UINT64_MAX && until < (now ? now : clock_ns()))
		c->lost = true;
	return c->lost;
}

#define OWN UINT32_MAX			/* rec.link of a task of ours that runs right here */

void	inring_flush_l(struct client *c, struct inring *g);	/* publishes completions that had found the ring full */
void	inring_frees_l(struct client *c, struct inring *g);	/* what its submitter wants freed, while a task of it runs */
void	inring_done_l(struct client *c, struct inring *g);	/* one task less that runs; ends it if it is gone and this was the last */
void	inring_end_l(struct client *c, struct inring *g);	/* nothing of it runs any more */

#endif
