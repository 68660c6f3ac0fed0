/* inner - what the files of lib/link share.  Nobody else includes it.  All of it under the lock. */
#ifndef LINK_INNER_H
#define LINK_INNER_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/transfer.h"
#include "link/link.h"
#include "loop/conn.h"
#include "loop/listener.h"
#include "ring/slab.h"
#include "store/arena_fill.h"
#include "wire/msg.h"

enum {
	LINK_STRANGERS = 256,		/* accepted, and not yet known who: beyond that the oldest goes, */
	LINK_STRANGERS_HOST = 64,	/* and of one host, that the rest can do nothing to others */
	LINK_NEWS = 64 << 20,		/* bytes for the node; then nothing more is read until it has taken some */
	LINK_RUNG = 32,
	LINK_TURN = 256 << 10,		/* bytes given to a connection at a time */
	LINK_BUSY = 8 << 20,		/* bytes that wait for a peer: its rings rest until it has taken some */
	LINK_FNS = 256 << 20,		/* bytes of functions of one peer */
};
#define LINK_HELLO_NS UINT64_C(5000000000)	/* for a peer to say who it is */
#define LINK_RETRY_NS UINT64_C(50000000)	/* after a connection that failed; doubled up to 16 times that */

enum { LANE_SMALL, LANE_BULK, LANES };	/* the session's; that of chunks of objects, which no session knows of */

struct lane {
	struct conn *conn;		/* the one that is used, or is being made; NULL */
	bool ours, up;			/* we made it; both have said who they are */
	bool said;			/* the peer told why it does not want it */
	uint64_t retry_at, wait;	/* not before; 0 at once */
	uint64_t attempt, heard;	/* when we last began to connect; the peer's last attempt that we took, by its own clock */
};

struct peer {
	struct link *l;
	uint32_t node;
	char *address;			/* NULL: nobody can connect to it */
	unsigned key;			/* which one of ours it is offered */
	struct addrinfo *all, *next;	/* what it stands for; NULL: to be looked up; the one to be tried next */
	struct session s;
	uint64_t self;			/* incarnation that it knows us by: another one when we have given a session up */
	bool begun;			/* s has a peer */
	bool wrong;			/* the session cannot go on, for why_wrong: it is to be given up */
	struct lane lane[LANES];
	char why[160], why_wrong[160];
	size_t fns;			/* bytes of its functions here */
	struct buf bulk;		/* frames for the bulk connection, while there is none */
	struct map works;		/* number there -> struct work * */
	struct idmap told;		/* (0, process here, serial): functions that it has */
};

struct flow {				/* a task under way that streams */
	uint32_t slot, unit;		/* of its struct rec_stream */
	uint64_t taken, bytes;		/* as the other side was told */
};

struct work {				/* a ring whose submitter is here: we are in the worker's place */
	struct link *l;
	struct peer *peer;		/* NULL: it is gone */
	struct list link;		/* in l->works_over */
	uint64_t number, far;
	uint32_t proc;
	struct ring_wrk ring;
	struct peerslab slab;
	struct bell *bell;
	unsigned inflight;		/* claimed, and not known to have ended */
	bool calls;			/* as in link_ring */
	uint32_t est;			/* mean run time in ns; 0 not known */
	uint32_t block[RING_DONES];	/* of our slab, that a completion names */
	struct map lent;		/* slot -> struct id *: arguments in the arena, of tasks under way */
	struct done *pend;		/* completions that found the ring full */
	size_t npend, cappend;
	struct flow *flow;
	size_t nflow, capflow;
};

struct far_fn {				/* a function of a submitter of another node */
	uint32_t unit, code;		/* of its header block, and of its bytes */
	size_t len;
	uint8_t flags;
};

struct args {				/* a task that has come, and waits for its arguments or for those of one before it */
	struct submit *s;
	struct list link;		/* in s->held; empty once it is before the worker */
	struct id id;			/* of the object that they are; none */
	struct buf task;		/* packed */
	bool here;
	uint64_t off;
	uint32_t gen;
};

struct submit {				/* a ring whose worker is here: we are in the submitter's place */
	struct link *l;
	struct peer *peer;		/* NULL: it is gone */
	struct list link;		/* in l->submits_over */
	uint64_t number;
	uint32_t proc, here;		/* the worker */
	struct ring_sub ring;
	struct peerslab slab;
	struct bell *bell;
	uint32_t unit[RING_WORDS];	/* records of what lies before the worker; rec.count is its place here, rec.link the slot there */
	unsigned n;
	struct list held;		/* struct args: tasks that follow those, in order, */
	unsigned nheld;			/* and how many */
	struct map args;		/* unit -> struct args *: of records whose arguments were fetched */
	unsigned want, blocked;		/* as the other side was told */
	struct buf out;			/* packed completions, to be sent */
	struct buf frees;		/* u32: orders to free that found no room in the ring */
	bool rung;			/* its worker is to be woken */
};

struct stranger {			/* a connection that was accepted */
	struct link *l;
	struct list link;
	struct conn *conn;
	uint64_t until;
	unsigned char host[16];
};

struct link {
	struct link_opts o;
	pthread_mutex_t lock;
	pthread_t sockets, rings;
	bool started, ringing, stopping;
	struct bell *rung[LINK_RUNG];	/* to be rung when the lock is dropped */
	unsigned nrung;
	bool stirred;			/* a process here was given something: it may answer soon */
	struct ev_loop *loop;
	ev_async wake;
	ev_timer timer;
	struct conn_set conns;
	struct listener listen;
	struct list strangers;
	unsigned nstrangers;
	struct lookup *lookup;		/* of a name, under way */
	struct map peers;		/* node -> struct peer * */
	struct buf news, taken;		/* u32 kind, u32 node, u32 type, u32 bytes, bytes; taken: what link_next gives from */
	size_t at;			/* in taken */
	bool told;			/* news: the node was told */
	bool unsent;			/* peer_put: some peer is to be pumped before a thread sleeps */
	bool full;			/* it takes none for a while: peers are not read */
	bool resting;			/* rings are not looked at, as a peer is busy: the bell is to be rung when it is not */
	struct slab slab;
	struct bell *bell;
	struct map works, submits;	/* number here -> */
	struct list works_over, submits_over;	/* ended, while who is here may still read what lies in our slab for it */
	struct idmap fns;		/* (node, process there, serial) -> struct far_fn * */
	struct transfer transfer;
	struct transfer_out moving;	/* effects that are being carried out */
	bool in_step;
	_Atomic uint32_t stamps;
	struct idmap rooms, opened, lent;	/* id -> struct room *: being received; open for others; arguments of tasks that are elsewhere */
	struct idmap args;		/* id -> struct args *: of tasks that came, or are to come, before workers here */
};

/* link.c */
void	link_take(struct link *l);		/* the lock */
void	link_drop(struct link *l);		/* and rings those of link_ring, who then do not wait for it */
void	link_ring(struct link *l, struct bell *b);
void	link_tell(struct link *l, enum link_news_kind kind, uint32_t node, uint16_t type, struct span body);
void	link_push(struct link *l);		/* what was put leaves now; whatever thread this is */
/* rings.c */
int	rings_start(struct link *l);
void	rings_stop(struct link *l);
void	rings_over(struct link *l, struct peer *p);	/* all that lead to it: nothing more goes there */
bool	rings_look(struct link *l);		/* true: something was there */
void	rings_linger(struct link *l);		/* of the thread of sockets, before it sleeps: what may come at once is worth no other thread's waking */
/* work.c */
bool	work_look(struct work *w);
void	work_over(struct work *w);			/* nothing more goes there, and nothing of here is read there */
bool	work_read(const struct work *w);		/* all that was published was taken */
int	work_dones(struct peer *p, const struct frame *f);
int	work_state(struct peer *p, const struct frame *f);
void	work_free(struct work *w);
/* submit.c */
bool	submit_look(struct submit *s);
int	submit_tasks(struct peer *p, const struct frame *f);
int	submit_fn(struct peer *p, const struct frame *f);
int	submit_cancel(struct peer *p, const struct frame *f);	/* FAR_CANCEL, which the node gets too */
int	submit_taken(struct peer *p, const struct frame *f);
void	submit_free(struct submit *s);
void	submit_untake(struct submit *s, uint32_t unit);	/* its task is over, or goes back: the record is free */
struct rec *submit_mine(const struct submit *s, uint32_t unit);	/* NULL: no such record lies before this worker */
void	submit_back(struct submit *s, uint32_t slot);	/* not begun: the other side has it again */
void	submit_takeback(struct submit *s);	/* all that the worker has not claimed */
/* submit_back.c */
int	submit_error(struct submit *s, uint32_t slot, int code, const char *why);	/* the task's outcome */
void	submit_send(struct submit *s);		/* what came of tasks, as far as it was put */
bool	submit_args(struct link *l, struct id id, uint64_t off, uint32_t gen, int code, const char *text);	/* link_here */
void	submit_last(struct submit *s);
bool	submit_done(struct submit *s);		/* of one that has ended: its worker has ended all that it had begun */
void	fn_free(struct link *l, struct far_fn *fn);
/* bulk.c */
void	bulk_start(struct link *l);
void	bulk_stop(struct link *l);
int	bulk_frame(struct peer *p, const struct frame *f);
void	bulk_up(struct peer *p);
void	bulk_broken(struct peer *p);
void	bulk_over(struct peer *p);		/* it is another one, or gone */
void	bulk_pump(struct peer *p);		/* its connection took something */
uint64_t bulk_tick(struct link *l, uint64_t now);	/* when to come again; 0: no need */
int	bulk_made(struct link *l, const struct obj_view *v);	/* a value that was made here for a submitter elsewhere: 0 or an error */
int	bulk_lend(struct link *l, const struct obj_view *v, struct form *f);	/* arguments of a task that goes elsewhere: f is filled in */
void	bulk_lent_back(struct link *l, struct id id);	/* if it was lent: nobody reads it any more when this returns */
int	bulk_want(struct link *l, struct id id, uint64_t bytes, enum pull_priority priority);
void	bulk_unwant(struct link *l, struct id id);
int	bulk_word(struct peer *p, const struct frame *f);	/* PULL_, PLACE_ */
/* lookup.c */
int	lookup(struct peer *p);			/* p->all is there: 0; -EAGAIN: it is being looked up, and l->wake comes; or -errno */
void	lookup_forget(struct peer *p);		/* its address is another one, or none of its addresses answers */
void	lookup_stop(struct link *l);
/* door.c */
void	door_accept(struct listener *listen, int fd, pid_t pid);
uint64_t door_tick(struct link *l, uint64_t now);	/* when to come again; 0: no need */
void	door_stop(struct link *l);
/* peer.c */
int	peer_put(struct peer *p, int e, struct buf *frame);	/* e: what msg_put said; frame: emptied; to be pumped */
bool	peer_busy(const struct peer *p);	/* so much waits for it that rings which lead there are to rest */
void	peer_wrong(struct peer *p, const char *why);	/* the session is given up, soon */
void	peer_moved(struct peer *p);		/* it has another address */
int	peer_welcome(const struct peer *p, const struct msg_peer *m);	/* is its new connection to be used?  0 or ERR_CLOSED */
int	peer_come(struct peer *p, struct conn *c, const struct msg_peer *m);	/* it is: nobody else has c any more */
uint64_t link_sooner(uint64_t a, uint64_t b);	/* 0: never */
void	peers_tick(struct link *l);		/* the socket thread: connects, and gives up who says nothing */
void	peers_stop(struct link *l);
void	peer_end(struct peer *p);		/* it is in no table any more */
void	peer_break(struct peer *p, int lane);	/* its connection, if there is one, is to be made anew */
int	peer_take(struct peer *p, const struct frame *f);	/* a new frame of the session: 0 or ERR_PROTO */
void	peer_pump(struct peer *p);		/* what waits goes to the connection */
struct peer *peer_get(struct link *l, uint32_t node);	/* made if there is none; NULL: no memory */

#endif
