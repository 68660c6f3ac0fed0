/*
 * chan_inner - an end of a channel: chan.c has them come, go and wait, chan_send.c and chan_recv.c have messages move.
 */
#ifndef CLIENT_CHAN_INNER_H
#define CLIENT_CHAN_INNER_H

#include "client/chan.h"
#include "client/inner.h"
#include "ring/chan.h"

struct client_chan {
	struct client *c;
	struct list link;		/* in client.chans */
	uint64_t number;
	bool reader;
	bool partial;			/* a message was begun and not ended */
	struct chan e;
	uint64_t need;			/* writer: bytes of room that it waits for */
	struct chan_msg at;		/* reader: the message that was got; p NULL: none */
	struct buf copy;		/* what is parsed, or the parts of a message so far */
	struct list held;		/* reader: messages that were taken out of the ring, first those to be got first */
	struct list drain;		/* in client.drains, or in no list */
	bool stuck;			/* what is in the ring cannot be taken: get says why */
};

struct held {
	struct list link;
	struct buf b;
	unsigned tag;
};

static inline struct chan_side *
peer_side(const struct client_chan *ch)
{
	return ch->reader ? &ch->e.shm->w : &ch->e.shm->r;
}

/* after something was published.  The fence stands before the bell is looked up: the end may be moving. */
static inline void
ring_peer(struct client_chan *ch)
{
	uint32_t i;

	atomic_thread_fence(memory_order_seq_cst);
	i = atomic_load_explicit(&peer_side(ch)->bell, memory_order_relaxed) - 1;
	if (i < NODEPAGE_BELLS && atomic_load_explicit(&ch->c->np->bell[i].word, memory_order_relaxed) != 0)
		bell_wake(ch->c->np, &ch->c->np->bell[i]);
}

void	chan_held_free(struct client_chan *ch);	/* the first one; its room is used again.  chan_recv.c */

#endif
