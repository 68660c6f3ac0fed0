/*
 * chan - ends of channels in this process: making, opening, passing on, sending, receiving, waiting.
 *
 * Main thread only.  Messages are payloads of encoded values, or bytes.  A message that does not fit the ring goes in
 * parts; its receiver puts them together in memory of its own.  What is parsed is copied first; out-of-band buffers
 * and bytes are used in place until client_chan_done.
 *
 * References and handles of actors in a message (PAYLOAD_REFS) are borrowed by who receives it, as those in arguments
 * are by a task: the sender holds them until the receiver is known to their owners, or did not take the message.  A
 * message of more than CHAN_STORE bytes, or one with references that is long, is put into the store, and only where it
 * lies goes through the ring (CHAN_STORED); the sender owns it, the receiver reads it there.  So much as the ring has
 * bytes may lie there and not be taken, or one message, if it is longer.  An end that is closed or passed on stays in the
 * client, unseen, while it holds something for others.  chan_hold.c has the protocol.
 */
#ifndef CLIENT_CHAN_H
#define CLIENT_CHAN_H

#include "client/client.h"

#define CHAN_STORE (1u << 20)		/* from so many bytes on the store costs less than copying in and out */
#define CHAN_SEGS 64u			/* most out-of-band buffers in a message */

struct client_chan;			/* an end */

enum chan_tag {				/* of a message; the low 16 bits are the number of values */
	CHAN_BYTES = 1 << 16,		/* no values: bytes */
	CHAN_ERROR = 1 << 17,		/* the value is an error */
	CHAN_LAST = 1 << 18,		/* the writer closed the channel with it */
	CHAN_OOB = 1 << 19,		/* set here, as those below: has out-of-band buffers */
	CHAN_REFS = 1 << 20,		/* has references or handles */
	CHAN_HANDLES = 1 << 21,		/* handles, that is */
	CHAN_STORED = 1 << 22,		/* the message says where it lies in the store */
};
#define CHAN_CARRIED (CHAN_REFS | CHAN_STORED)	/* read between client_chan_enter and client_chan_leave */

struct chan_in {			/* a message */
	unsigned tag, nvals;
	const unsigned char *p;
	size_t n;
	struct seg seg[CHAN_SEGS];
	unsigned nseg;
	struct wref stored;		/* CHAN_STORED: and p, n are nothing */
};

/* a new channel, both ends ours; bytes is made a power of two.  Errors with a line in why */
int	client_chan_new(struct client *c, uint64_t bytes, uint64_t items, struct client_chan **w, struct client_chan **r,
	    char *why, size_t n);
/* the end that another process passed on: -EBUSY if somebody has it, ERR_CLOSED; a line in why */
int	client_chan_open(struct client *c, uint64_t number, bool reader, struct client_chan **ch, char *why, size_t n);
uint64_t client_chan_number(const struct client_chan *ch);
/* lets go of the end so that another process can open it; ch is freed.  -EBUSY in the middle of a message: nothing done */
int	client_chan_pass(struct client_chan *ch);
/*
 * error: one encoded ERROR that the reader gets after all messages, or NULL; cut short if it is long; refs: it has some.
 * ch is freed.
 */
void	client_chan_close(struct client_chan *ch, const unsigned char *error, size_t n, bool refs);
/* the other end: 0; ERR_CLOSED; ERR_CRASHED, its process died; ERR_LOST, it will never be opened */
int	client_chan_peer(const struct client_chan *ch);

/*
 * put: 1 sent; 0 no room, or it needs more than copying: send does that.
 * send: 0 sent; calls wait until there is room, again and again for a message in parts; what wait returns below 0 ends it.
 * Both: what client_chan_peer says, ERR_PROTO for a peer that writes nonsense, ERR_VALUE for what is longer than
 * client_chan_longest; send: ERR_FULL, -ENOMEM for what it is to hold.
 * Left in the middle of a message (client_chan_partial; wait may also not return) the channel is fit for closing only.
 */
extern uint64_t client_chan_longest;	/* bytes of a message in parts: 4 GiB; tests lower it */
int	client_chan_put(struct client_chan *ch, const struct payload *p, unsigned tag);
typedef int chan_waiter(struct client_chan *ch, void *arg);
int	client_chan_send(struct client_chan *ch, const struct payload *p, unsigned tag, chan_waiter *wait, void *arg);
bool	client_chan_partial(const struct client_chan *ch);
bool	client_chan_alone(const struct client_chan *ch);	/* the other end is on its way, with no process */

/*
 * Around the decoding of a message that has some of CHAN_CARRIED: what is imported meanwhile is the sender's to hold until
 * client_chan_done.  0; -ENOMEM.  Between them client_chan_stored is the object of CHAN_STORED, borrowed.
 */
int	client_chan_enter(struct client_chan *ch, const struct chan_in *m);
struct rec *client_chan_stored(const struct client_chan *ch);
void	client_chan_leave(struct client_chan *ch, const struct chan_in *m);
/* 1 and *m, good until client_chan_done; 0 nothing there; what client_chan_peer says, when all messages were taken */
int	client_chan_get(struct client_chan *ch, struct chan_in *m);
void	client_chan_done(struct client_chan *ch);
int	client_chan_whole(struct client_chan *ch);	/* 1: client_chan_get would give a message; 0; as there */
/*
 * From now on what comes is taken out of the ring, into memory, whenever the main thread is to sleep, whatever for:
 * its writer does not wait for room while we wait for something else.  The end cannot be passed on then.
 */
void	client_chan_drain(struct client_chan *ch);

/*
 * Until one is ready: a reader has a message or the end, a writer room for what was not sent; or, unless upsets is NULL,
 * until client_upsets is no more what it was; or, unless set is NULL, a member of that is ready.  0: look again;
 * -ETIMEDOUT, -EINTR, …
 */
int	client_chan_wait(struct client *c, struct client_chan *const *v, unsigned n, uint64_t deadline, const uint64_t *upsets,
	    struct waitset *set);
uint64_t client_upsets(struct client *c);	/* how often an actor that this process knows has changed its state */
bool	client_chan_ready(struct client_chan *ch);
void	client_chan_rest(struct client_chan *ch);	/* a writer with nothing to send: only its end makes it ready */
/* every wait of the main thread ends when one of these is ready: borrowed until the next call; n = 0: none */
void	client_chan_watch(struct client *c, struct client_chan *const *v, unsigned n);

#endif
