/*
 * link - the way between nodes: one session with each other node that there is something to say to, and the rings of this
 * node whose other end is a process of another one.
 *
 * A link is a member of its node's shared memory as any process is: it has a bell and a slab.  A driver here that has a
 * lease on a worker there pushes tasks to a ring as always; at its end sits the link, in the worker's place.  There the
 * other link sits in the submitter's place before the worker.  What lies between is TASKS and DONES in the session.
 *
 * Two threads, under one lock: one sleeps on the bell and looks at rings, the other one at sockets.  The functions below
 * take the lock and may be called from any thread.  What is not the link's own is handed to the node: link_next.
 *
 * Between two nodes there is one session (core/session.h) over one connection at a time, made when something is to be
 * sent, by either side; if both do so at once, that of the lower node number stays.  It is broken and made again as
 * often as need be; only when the peer is another incarnation, or is declared dead, what was under way has failed.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "base/span.h"
#include "core/form.h"
#include "core/session.h"
#include "core/transfer.h"
#include "ring/bell.h"
#include "ring/ring.h"

struct arena;
struct arena_fill;
struct link;
struct tls_ctx;

struct link_opts {
	uint32_t node;			/* our number */
	uint64_t incarnation;		/* of this link: never used again */
	int listen;			/* listening descriptor, or -1: nobody can connect to us; taken */
	struct tls_ctx *tls;		/* of the cluster's key; lives as long as the link */
	struct nodepage *np;		/* mapped by the caller, as long */
	unsigned bell;			/* ours in it */
	int slab;			/* ours, fresh: borrowed */
	const struct arena *arena;	/* a reading view; lives as long */
	uint64_t budget;		/* bytes of objects that are received at one time */
	void (*news)(void *arg);	/* any thread: link_next has something */
	void *arg;
};

enum link_news_kind {
	LINK_FRAME,			/* of node: type, body */
	LINK_OVER,			/* all that was under way with node has failed, for what body says: it is another incarnation, sent
					   what makes no sense, did not take 64 MiB; or, empty, it was said to be gone */
	LINK_OBJECT,			/* body: struct transfer_fx, unaligned: what is to be done about an object (core/transfer.h) */
	LINK_MADE,			/* body: struct link_made, unaligned: a worker here made it for a submitter there, who was told; its place is the node's to choose */
	LINK_AHEAD,			/* body: struct id, unaligned: an argument of a task that waits here: it will be asked for */
	LINK_USED,			/* body: struct id, unaligned: arguments that were fetched, see link_here, are needed no more */
};

struct link_made {
	struct id id;
	uint64_t off;
	uint32_t gen;
	struct form form;
};

struct link_news {
	enum link_news_kind kind;
	uint32_t node;
	uint16_t type;
	struct span body;		/* valid until the next call */
};

int	link_start(struct link **l, const struct link_opts *o, char *why, size_t n);	/* 0 or -errno */
void	link_stop(struct link *l);		/* ends the threads and all connections; may be NULL */

/* Another node: where it can be reached, "10.0.0.7:7412", NULL if nobody can.  Known from here on; again: it has moved. */
int	link_peer(struct link *l, uint32_t node, const char *address);	/* 0 or -ENOMEM */
void	link_gone(struct link *l, uint32_t node);	/* it is dead: LINK_OVER, and nothing of it is taken any more */
/*
 * One whole frame, as msg_put_NAME made it, to node, in order within its class; copied.  0; ERR_NOTFOUND: no such node;
 * ERR_FULL: 64 MiB wait for it; -ENOMEM: then the session is over soon, as something would be missing in it.
 */
int	link_send(struct link *l, uint32_t node, enum session_class class, const void *frame, size_t n);
void	link_wrong(struct link *l, uint32_t node, const char *why);	/* what it says makes no sense: its session is given up, LINK_OVER comes */
bool	link_next(struct link *l, struct link_news *news);	/* one thread: false: nothing more */

/* --- rings -------------------------------------------------------------------------------------------------------- */

struct link_ring {
	uint64_t number;		/* of the ring, here */
	uint32_t node;			/* where the other end's process is, */
	uint64_t far;			/* and the number of the ring that it has */
	int shm, slab;			/* descriptors of the segment, and of the slab of the process here: borrowed */
	unsigned bell;			/* of that process */
	uint32_t proc;			/* the submitter, as its node numbers it */
	uint32_t here;			/* the process here */
	bool calls;			/* of an actor: it takes them in order, and nobody else can */
};

/* The submitter is here, its worker there: what it pushes goes there.  0, -errno; ERR_NOTFOUND: no such node. */
int	link_work(struct link *l, const struct link_ring *r);
/* The worker is here, its submitter there.  r->far is not looked at: the other side calls the ring by our number. */
int	link_submit(struct link *l, const struct link_ring *r);
/*
 * Nothing more goes through the ring.  Of link_submit: what its worker had done is sent before this returns, and what it
 * had not begun is told to be so; frames that are sent later come after that.  What the process here may still read stays
 * where it is until it has taken it, or is gone.
 */
void	link_work_end(struct link *l, uint64_t number);
void	link_submit_end(struct link *l, uint64_t number);
/* A process is gone, and so are its functions, and what its rings had kept for it; node 0: ours. */
void	link_forget(struct link *l, uint32_t node, uint32_t proc);

/* --- objects ------------------------------------------------------------------------------------------------------ */

/*
 * core/transfer.h, whose messages, chunks and time are the link's: what is left for the node comes as LINK_OBJECT, and of it
 * TRANSFER_RESERVE is answered by link_room, TRANSFER_OPEN by link_opened.  At TRANSFER_DONE it seals what it reserved, and says link_here.
 */
/* WANT, CANCEL, HAVE, DROPPED, FREE; result as transfer_step's.  FREE with a code: if it is lost still: it may have been made again meanwhile. */
int	link_object(struct link *l, const struct transfer_in *in);
uint64_t link_stamp(struct link *l);		/* of what is made here, for its form */
void	link_disown(struct link *l, uint32_t proc);	/* a process here is gone: FREE of all that it owned */
/* fill: where the bytes come, until UNRESERVE or DONE, copied; or code < 0 and why */
void	link_room(struct link *l, struct id id, uint64_t ticket, const struct arena_fill *fill, int code, const char *text);
void	link_opened(struct link *l, struct id id, const struct form *form, const unsigned char *p);	/* form NULL: it is not here */
/*
 * What was wanted is here, sealed, or will not come: code, text.  True: it is arguments of a task, to be kept where it is
 * until LINK_USED.
 */
bool	link_here(struct link *l, struct id id, uint64_t off, uint32_t gen, int code, const char *text);

struct link_peer_state {		/* for who looks */
	bool connected;
	uint64_t sent, received;	/* frames */
	size_t unacked;
	char why[160];			/* why there is no connection, or "" */
};
bool	link_state(struct link *l, uint32_t node, struct link_peer_state *s);

#endif
