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

	/* chan_hold.c */
	enum { LEFT_NOT, LEFT_CLOSED, LEFT_PASSED } left;	/* no end of ours any more, but it waits for what follows */
	struct list owed;		/* writer: what was sent and is held here */
	struct owed *sending;		/* the message that is being sent, if it is to go there */
	unsigned char place[WREF_SIZE];	/* where that is */
	uint64_t await;			/* message that is to be taken before that is sent; 0: none */
	struct list due;		/* reader: messages that were taken, and have been told to owners */
	struct due *now;		/* the one that was got, if it goes there; NULL: nothing in it is referred to */
	struct rec *obj;		/* its value, while it is decoded */
	bool was;			/* client.decoding before */
	size_t mark;			/* client.nfresh then */
};

struct held {
	struct list link;
	struct buf b;
	unsigned tag;
	uint64_t number;
};

static inline struct chan_side *
peer_side(const struct client_chan *ch)
{
	return ch->reader ? &ch->e.shm->w : &ch->e.shm->r;
}

static inline uint64_t
chan_taken_count(const struct client_chan *ch)	/* writer: messages that the reader took */
{
	return atomic_load_explicit(&ch->e.shm->r.count, memory_order_acquire);
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

/* chan.c */
void	chan_gone_l(struct client_chan *ch);	/* one that left waits for nothing any more: freed */

/* chan_hold.c */
/* p is put into a record, which ch->sending holds; *out is what goes through the ring.  Then chan_sent, or chan_unsent */
int	chan_hold(struct client_chan *ch, const struct payload *p, unsigned *tag, struct payload *out);
void	chan_sent(struct client_chan *ch);
void	chan_unsent(struct client_chan *ch);
/* the message that is to be taken first, or the store would hold more than the ring's bytes; 0: none */
uint64_t chan_afford(struct client_chan *ch);
void	chan_due(struct client_chan *ch, uint64_t number);	/* the message with some of CHAN_CARRIED that was got is done with */
int	chan_await_owners(struct client_chan *ch);	/* until all are told: 0, ERR_NO_CLUSTER */
void	chan_forget_l(struct client_chan *ch, bool all);	/* all of it, or but what is waited for after it has left */

void	chan_held_free(struct client_chan *ch);	/* the first one; its room is used again.  chan_recv.c */

#endif
