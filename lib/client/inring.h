/* inring - a ring through which a submitter sends this worker tasks: shared by serve.c and outcome.c. */
#ifndef CLIENT_INRING_H
#define CLIENT_INRING_H

#include "client/inner.h"

struct inring {
	struct ring_wrk ring;
	uint32_t lease, proc;
	struct bell *bell;
	struct peerslab slab;
	uint32_t block[RING_DONES];	/* blocks of our slab that a completion names, by position */
	struct done *pend;		/* completions that found the ring full */
	unsigned npend, cappend;
	unsigned inflight;		/* claimed, not done */
	bool gone;			/* unring came while tasks run */
	struct inring *next_dead;
};

#define OWN UINT32_MAX			/* rec.link of a task of ours that runs right here */

void	inring_flush_l(struct client *c, struct inring *g);	/* publishes completions that had found the ring full */
void	inring_end_l(struct client *c, struct inring *g);	/* nothing of it runs any more */

#endif
