/*
 * chan - ends of channels in this process: making, opening, passing on, sending, receiving, waiting.
 *
 * Main thread only.  Messages are payloads of encoded values, or bytes.  A message that does not fit the ring goes in
 * parts; its receiver puts them together in memory of its own.  What is parsed is copied first; out-of-band buffers
 * and bytes are used in place until client_chan_done.
 */
#ifndef CLIENT_CHAN_H
#define CLIENT_CHAN_H

#include "client/client.h"

#define CHAN_SEGS 64u			/* most out-of-band buffers in a message */

struct client_chan;			/* an end */

enum chan_tag {				/* of a message; the low 16 bits are the number of values */
	CHAN_BYTES = 1 << 16,		/* no values: bytes */
	CHAN_ERROR = 1 << 17,		/* the value is an error */
	CHAN_LAST = 1 << 18,		/* the writer closed the channel with it */
	CHAN_OOB = 1 << 19,		/* set here: has out-of-band buffers */
};

struct chan_in {			/* a message */
	unsigned tag, nvals;
	const unsigned char *p;
	size_t n;
	struct seg seg[CHAN_SEGS];
	unsigned nseg;
};

/* a new channel, both ends ours; bytes is made a power of two.  Errors with a line in why */
int	client_chan_new(struct client *c, uint64_t bytes, uint64_t items, struct client_chan **w, struct client_chan **r,
	    char *why, size_t n);
/* the end that another process passed on: -EBUSY if somebody has it, ERR_CLOSED; a line in why */
int	client_chan_open(struct client *c, uint64_t number, bool reader, struct client_chan **ch, char *why, size_t n);
uint64_t client_chan_number(const struct client_chan *ch);
/* lets go of the end so that another process can open it; ch is freed.  -EBUSY in the middle of a message: nothing done */
int	client_chan_pass(struct client_chan *ch);
/* error: one encoded ERROR that the reader gets after all messages, or NULL; cut short if it is long.  ch is freed */
void	client_chan_close(struct client_chan *ch, const unsigned char *error, size_t n);
/* the other end: 0; ERR_CLOSED; ERR_CRASHED, its process died; ERR_LOST, it will never be opened */
int	client_chan_peer(const struct client_chan *ch);

/*
 * put: 1 sent; 0 no room.  send: 0 sent; calls wait until there is room, again and again for a message in parts; what
 * wait returns below 0 ends it.  Both: what client_chan_peer says, ERR_PROTO for a peer that writes nonsense,
 * ERR_VALUE for what is longer than client_chan_longest.
 * Left in the middle of a message (client_chan_partial; wait may also not return) the channel is fit for closing only.
 */
extern uint64_t client_chan_longest;	/* bytes of a message in parts: 4 GiB; tests lower it */
int	client_chan_put(struct client_chan *ch, const struct payload *p, unsigned tag);
int	client_chan_send(struct client_chan *ch, const struct payload *p, unsigned tag,
	    int (*wait)(struct client_chan *ch, void *arg), void *arg);
bool	client_chan_partial(const struct client_chan *ch);
bool	client_chan_alone(const struct client_chan *ch);	/* the other end is on its way, with no process */

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
