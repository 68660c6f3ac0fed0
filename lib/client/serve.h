/*
 * serve - the worker's end: tasks out of rings, outcomes back into them.  Main thread only.
 */
#ifndef CLIENT_SERVE_H
#define CLIENT_SERVE_H

#include "base/buf.h"
#include "client/client.h"

struct inring;

struct task_in {			/* a claimed task; everything in it is a private copy but args of the arena */
	struct inring *from;		/* NULL: our own submission, run here */
	uint32_t slot;
	uint32_t proc;			/* the submitter's process number, as this node calls it */
	struct id owner;		/* the same as ids have it: node and process */
	struct rec rec;
	struct fnblk fn;		/* header of its function block */
	const unsigned char *args;	/* nvals encoded values; valid until the next serve_next */
	size_t n;
	unsigned nvals;
	bool arena;			/* args lie in the arena: view has their out-of-band buffers */
	struct obj_view view;
	struct rec_context context;
	uint64_t start;			/* clock_ns() */
	int cancel;			/* for the script layer: ERR_CANCELLED, ERR_TIMEOUT or 0, as serve_cancelled had it */
	bool raised;			/* the task was told */
	bool limited;			/* serve_limited, before it runs */
	unsigned shield;		/* levels of rota.shield */
	const struct rec_stream *stream;	/* of one that streams, in its submitter's slab; NULL */
	uint64_t item, skip;		/* how many it yielded, and how many of these its consumer had already */
	uint64_t bytes;			/* of items in the arena */
	uint64_t taken, taken_bytes;	/* by the consumer, as we saw it last */
	uint64_t backlog;
};

/*
 * This worker is an actor that runs as many calls of group i at once as limit[i] says, i < n; 0 is the group of calls
 * that name none.  To be said before serve_actor_up.  Until then, and without it, the caller alone decides when it
 * claims; with it serve_next claims only what its group has room for, and serve_done gives the room back.
 */
int	serve_slots(struct client *c, const unsigned *limit, unsigned n);
bool	serve_room(const struct client *c);	/* has any group room?  false without serve_slots */

/* Claims a task: 1 and *t; 0: none now; ERR_NO_CLUSTER: the node is gone. */
int	serve_next(struct client *c, struct task_in *t);
/* A task of our own that waits in a queue here and fits what we were granted: 1 and *t; 0. */
int	serve_own(struct client *c, struct task_in *t);
int	serve_own_of(struct client *c, struct task_in *t, unsigned kind);	/* of this enum fn_kind only */
/* the bytes that t->args of the task claimed last may point to, against b: kept while others are claimed and run inside it */
void	serve_args_swap(struct client *c, struct buf *b);
/* The function's bytes in the submitter's slab, n = t->fn.len; NULL if they make no sense. */
const unsigned char *serve_code(struct client *c, const struct task_in *t);
/* Publishes one outcome.  part: return number ret of several (then the last call has part false, nothing in p). */
int	serve_done(struct client *c, struct task_in *t, const struct payload *p, uint32_t ret, bool part);
/*
 * t->stream: the next item goes out, unless serve_item_old: then t->item++ is enough.  After one without room the task
 * waits: serve_wait ends when room(arg) says that one of the n that wait has some, or that its consumer is gone.
 */
int	serve_item(struct client *c, struct task_in *t, const struct payload *p);
bool	serve_item_room(struct task_in *t);
bool	serve_item_gone(const struct task_in *t);	/* nobody will take any more */
static inline bool
serve_item_old(const struct task_in *t)
{
	return t->item < t->skip;
}
void	serve_rooms(struct client *c, unsigned n, bool (*room)(void *arg), void *arg);
/*
 * Waits until one of these: tasks and one lies in a ring; own and one of ours could run here (serve_own); w has a
 * ready member (NULL: no matter); the actor is to start or to stop.  0, -ETIMEDOUT, -EINTR, ERR_NO_CLUSTER.
 */
int	serve_wait(struct client *c, struct waitset *w, bool tasks, bool own, uint64_t deadline);
/*
 * n bytes are about to be written to this worker's log, by whatever runs now: call it before the first byte, and also
 * (n 0) before a program is started that inherits it.  May wait some ms for rlet.  Any thread.
 */
void	serve_prints(struct client *c, size_t n);
void	serve_lost_print(struct client *c, size_t n, int error);	/* they could not be written: errno */
void	serve_named(struct client *c, const char *name);	/* what runs now is no task, and has this name */
void	serve_flush(void);		/* stdout and stderr, if something waits in them */
void	serve_block(struct client *c, bool on);		/* this worker waits; ends with on = false */
void	serve_enter(struct client *c, const struct task_in *t);	/* status page: it runs now; NULL: idle */
/* health.c: main thread in the middle of user code: takes what came from rlet, and answers a HEALTH that asks for no more */
void	serve_look(struct client *c);
const char *serve_health(struct client *c);	/* the method that is to be called for one; NULL: none is */
void	serve_healthy(struct client *c, bool ok, const char *text);	/* text: what ails it */
void	serve_ill(struct client *c, const char *text);	/* unasked: this worker cannot go on, and is to be killed */
bool	serve_stopping(struct client *c);		/* the actor was told to stop and its rings are empty */

enum { SERVE_CALLS = 1, SERVE_LARGE };
void	serve_retire(struct client *c, unsigned why);	/* claims no more: another worker takes its place once what it runs has ended */

struct serve_grant {			/* what this worker may use, as its lease has it; amounts in thousandths */
	uint32_t cpus, gpus;
	uint64_t memory;
	uint64_t devices;		/* bit i: GPU i */
	struct span resources;		/* msgpack map name -> thousandths, or empty */
};
struct serve_grant serve_granted(struct client *c);	/* resources live until the next wait */
/* Was a memory= set since the last call?  What earlier work left here counts against it until it is given back. */
bool	serve_limited(struct client *c);
/*
 * The memory= of what runs here, in bytes, 0 for none.  on false: it does not hold for a moment, as while an error for
 * want of memory is reported.
 */
uint64_t serve_limit(struct client *c, bool on);
/* The same; on: an eighth more than now, for a moment, never beyond one and a half; off: that is over.  Takes no lock. */
uint64_t serve_overdraw(struct client *c, bool on);
/*
 * Is t to end?  ERR_CANCELLED, ERR_TIMEOUT, or 0.  SIGURG tells a worker to ask.  children: what t submitted is
 * cancelled too.
 */
int	serve_cancelled(struct client *c, const struct task_in *t, bool children);
void	serve_scope(struct client *c, struct task_in *t);	/* t is suspended with the scope that it has entered */

/* the actor that this worker is: its number, 0 if none; spec as ACTOR_NEW carried it */
uint64_t serve_actor(struct client *c, struct span *spec, uint64_t *incarnation);
/* and how others know it; false: this worker is no actor */
bool	serve_member(struct client *c, uint32_t *rank);	/* is this actor a member of a set, and which */
bool	serve_actor_self(struct client *c, struct span *name, struct span *class, struct span *methods);
void	serve_actor_up(struct client *c, bool ok, const unsigned char *error, size_t n);

#endif
