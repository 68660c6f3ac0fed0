/*
 * client - the runtime inside a process: tasks, objects and actors over the rings.
 *
 * One struct client per process.  It owns records (tasks and objects, ring/rec.h), leases on workers, borrowed
 * references and the connection to rlet.  Beside the main thread runs a service thread (client/service.c);
 * one lock guards all state, taken inside each function here.  Unless said otherwise functions are for the
 * main thread, return 0 or a negative error, and never call back into the caller.
 *
 * A struct rec pointer is a reference: whoever holds one has counted it (client_retain, or got it counted) and
 * gives it up with client_release, or, where no lock may be taken (a Lua finalizer), client_drop.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "ring/rec.h"
#include "store/arena.h"
#include "wire/msg.h"
#include "wire/val.h"

struct client;
struct actor;

/* --- opening (open.c) ------------------------------------------------------------------------------- */
struct client_opts {
	const char *address;	/* NULL: ROTA_ADDRESS, else this user's node, else start one if may_start */
	const char *namespace;	/* NULL: ROTA_NAMESPACE, else the job's own */
	const char *name;	/* program and first arguments, for listings */
	bool tool;		/* looks and manages, submits nothing */
	bool may_start;		/* may start a node if none runs */
	int err;		/* descriptor that workers write to, or -1: our stderr */
	const char *store;	/* arena size of a node that is started, or NULL */
	unsigned cpus;		/* CPUs that a private node offers; 0: what there is */
	const char *gpus;	/* GPUs that it offers, as rlet -g; NULL: what there is */
	const char *output;	/* "collapse", "all" or "none" of what tasks print; NULL: ROTA_OUTPUT, else collapse */
};
/* why: one line for people when it fails, e.g. "no node is running: …"; errors ERR_NO_CLUSTER, -EPERM, … */
int	client_open(struct client **c, const struct client_opts *o, char *why, size_t nwhy);
int	client_open_worker(struct client **c, int fd, char *why, size_t nwhy);	/* fd: connected to rlet, WELCOME queued */
void	client_close(struct client *c);		/* says goodbye; every record and view becomes invalid */
/* a driver's: returns once what its tasks printed so far is on its stderr; 0, -ETIMEDOUT, ERR_NO_CLUSTER */
int	client_output(struct client *c, uint64_t deadline);
uint64_t client_cpus(const struct client *c);	/* of all nodes, as far as ours knows them now, in thousandths */
const struct msg_welcome *client_welcome(const struct client *c);	/* who we are; strings live as long as c */
const char *client_lost(struct client *c);	/* why the node is gone, or NULL; every wait then ends with ERR_NO_CLUSTER */
const char *client_full(const struct client *c);	/* after ERR_FULL: what holds the memory */

/* --- values ------------------------------------------------------------------------------------------ */
struct seg {			/* bytes that lie out of band in an object */
	const void *p;
	size_t n;
};
struct payload {		/* what goes in: borrowed for the call */
	const unsigned char *p;
	size_t n;
	unsigned nvals;
	unsigned flags;		/* PAYLOAD_* */
	const struct seg *seg;
	unsigned nseg;
};
#define PAYLOAD_REFS 1u		/* holds REF or VALREF */
#define PAYLOAD_ERROR 2u	/* is an encoded error */
#define PAYLOAD_RETRY 8u	/* an error that the task wants to be tried again for */
#define PAYLOAD_PENDING 4u	/* holds a top-level VALREF of an object that was not ready when it was encoded */

struct value {			/* what comes out; p lives until the record is released */
	const unsigned char *p;
	size_t n;
	unsigned nvals;
	bool error;
	bool arena;		/* out-of-band buffers are in view; p and buffers lie in the arena */
	struct obj_view view;
};

/* --- objects (obj.c, mem.c) --------------------------------------------------------------------------- */
int	client_put(struct client *c, const struct payload *p, struct rec **r);	/* ERR_FULL after the store's wait */
/* an object to be filled in place: its buffers are writable until client_seal or client_abort */
int	client_create(struct client *c, const uint64_t *sizes, unsigned nbuf, size_t head, struct obj *out, struct rec **r);
void	client_seal(struct client *c, struct rec *r, unsigned nvals, unsigned flags);
void	client_abort(struct client *c, struct rec *r);
void	client_retain(struct client *c, struct rec *r);
void	client_release(struct client *c, struct rec *r);
void	client_drop(struct client *c, struct rec *r);	/* the same, later: from a finalizer of the main thread */
bool	client_ready(struct client *c, struct rec *r);
/* Of a ready one: 0; ERR_LOST if it is gone; ERR_FULL, with client_full, if there is no room to bring it back from the disk. */
int	client_value(struct client *c, struct rec *r, struct value *v);
/* The same, but -EAGAIN if it was lost and is being made again: wait for it. */
int	client_look(struct client *c, struct rec *r, struct value *v);
void	client_unview(struct client *c, struct rec *r);	/* v is looked at no more: once for each client_value; else with the last count */
const struct arena *client_arena(const struct client *c);	/* for obj_view_buf */
int	client_arena_fd(struct client *c);	/* its file, read-only: a descriptor of the caller's, or -errno */
void	client_seen(struct client *c, struct rec *r);	/* its failure was reported */
struct id client_id(struct client *c, const struct rec *r);
uint64_t client_size(const struct rec *r);		/* bytes that it keeps alive outside the process */
/* the reference as it travels: r is exported from now on; retains nothing (the payload's holder does) */
void	client_export(struct client *c, struct rec *r, struct wref *w);
struct rec *client_import(struct client *c, const struct wref *w);	/* counted; NULL: no memory */
bool	client_decoding(struct client *c, bool on);	/* arguments of a task are imported; what it was before */
int	client_keep(struct client *c, struct rec *r, const char *name, uint64_t ttl_ns);	/* given to the node */
int	client_lookup(struct client *c, const char *text, struct rec **r, struct id *id, char *why, size_t n);
/* waits until there is one: -ETIMEDOUT */
int	client_lookup_wait(struct client *c, const char *text, uint64_t deadline, struct id *id, char *why, size_t n);
int	client_remove(struct client *c, struct id id, char *why, size_t n);

/* --- tasks (task.c) ------------------------------------------------------------------------------------ */
struct task_opts {		/* zeroed and set by task_opts_init */
	uint32_t cpus, gpus;	/* thousandths */
	uint64_t memory;
	const unsigned char *resources;	/* msgpack map name -> thousandths, or NULL */
	size_t nresources;
	int retries;		/* -1 without end */
	unsigned retry_on;	/* RETRY_* of core/retry.h */
	unsigned returns;	/* records made by a submit; 0 and 1: one that holds all values */
	uint64_t timeout;	/* ns; 0 none */
	uint32_t threads;	/* OMP_NUM_THREADS of its workers, unless the driver's environment has one; 0: leave it */
	int8_t priority;	/* 0: the parent's, which is 0 for a driver's */
	bool wait;		/* wait for what is infeasible now */
	unsigned lane;		/* a method: its concurrency group, actor_group */
	struct id group;	/* placement group that its resources come from; all 0: the node, or what captures us */
	unsigned bundle;	/* of the group, 1 first; 0 any */
	bool capture;		/* what it submits and makes comes from the group too */
	bool spread;		/* each worker on the node that is least busy; else this node, then few others */
	const char *on;		/* labels of nodes that may (labels_any, core/labels.h); NULL: any */
	bool stream;		/* what it yields comes one by one: stream.h */
	uint64_t backlog;	/* of a stream: how many items ahead of its consumer; 0: STREAM_BACKLOG */
};
void	task_opts_init(struct task_opts *o);	/* cpus 1, retries 3 of crashes */

struct fn;			/* a function as it is called: bytes, name and options */
int	client_fn(struct client *c, enum fn_kind kind, const void *p, size_t n, const char *name,
	    const struct task_opts *o, struct fn **fn);		/* p copied, shared between equal bytes */
void	client_fn_free(struct client *c, struct fn *fn);	/* running and queued tasks keep what they need */
const char *client_task_name(struct client *c, const struct rec *r);	/* of the task that makes r; NULL: none of ours */

/*
 * How many tasks and calls of this process may be under way, and how much memory its records may take: above that a
 * submit or call answers -EAGAIN and has done nothing; client_room waits until there is some again.
 */
#define CLIENT_TASKS (4u << 20)
#define CLIENT_BYTES (UINT64_C(1) << 30)
#define CLIENT_FEW 1024u	/* so many may be, whatever is held besides */
void	client_budget(struct client *c, uint64_t tasks, uint64_t bytes);
int	client_room(struct client *c, uint64_t deadline);	/* 0, -ETIMEDOUT, -EINTR, ERR_NO_CLUSTER */

/* r[0 .. max(1, returns)) are counted for the caller.  Errors of the task itself are in its value, later. */
int	client_submit(struct client *c, struct fn *fn, const struct payload *args, struct rec **r);
/* the straight path for encoded plain values: p has REC_INLINE readable bytes, of which n are the payload */
int	client_submit_small(struct client *c, struct fn *fn, const unsigned char p[REC_INLINE], unsigned n, unsigned nvals,
	    struct rec **r);
uint64_t client_pending(struct client *c);	/* tasks submitted and not ended */

/* --- cancelling (cancel.c) ------------------------------------------------------------------------------- */
#define CANCEL_FORCE 1u		/* what has not ended after 0.1 s loses its worker; not for calls of actors */
#define CANCEL_ALONE 2u		/* the tasks that it submitted go on */
#define CANCEL_TEXT "the task was cancelled"
#define LATE_TEXT "the task ran longer than its timeout"
/*
 * Ends the task that makes r, with the code ERR_CANCELLED; it is not tried again.  One that was not claimed is taken
 * back and never runs; the worker of one that runs is asked to end it (serve_cancelled), and what value it returns in
 * spite of that is dropped.
 * 1: it is cancelled, or asked to end; 0: it had ended; ERR_VALUE: no task makes r.
 */
int	client_cancel(struct client *c, struct rec *r, unsigned how);
bool	client_is_call(struct client *c, struct rec *r);	/* it is made by a call of an actor */
/*
 * Scopes: while one is entered, tasks submitted are its members, and so are those that they submit.  Cancelling one
 * cancels its unfinished members in all processes of the job, and those of scopes opened inside it in this process.
 */
struct scope;
struct scope *client_scope_new(struct client *c);	/* inside the one that is entered now; NULL: no memory */
uint64_t client_scope_enter(struct client *c, const struct scope *s);	/* what was entered before, for client_scope_set */
void	client_scope_set(struct client *c, uint64_t id);
void	client_scope_cancel(struct client *c, struct scope *s);
void	client_scope_free(struct client *c, struct scope *s);

/* --- waiting (wait.c, waitset.c) ------------------------------------------------------------------------- */
#define WAIT_FOREVER UINT64_MAX
/* until r is ready: 0, -ETIMEDOUT, -EINTR (a signal came), ERR_NO_CLUSTER.  deadline: clock_ns() or WAIT_FOREVER */
int	client_wait(struct client *c, struct rec *r, uint64_t deadline);
int	client_nap(struct client *c, uint64_t deadline);	/* serves what comes until the deadline: -ETIMEDOUT; -EINTR */

/* ends the main thread's wait, the present one or the next, with -EINTR; from any thread, from signal handlers */
void	client_poke(struct client *c);

/*
 * For event loops: a descriptor that becomes readable when something came; then client_poll takes it, without waiting,
 * and the descriptor is quiet until more comes.  It may tell of nothing.  All work stays the main thread's, unlike with
 * client_fd of crowd.h.  -errno; -EPERM in a worker or a crowd.
 */
int	client_bell_fd(struct client *c);
void	client_poll(struct client *c);

struct waitset;			/* members and a queue of those that became ready */
struct waitset *waitset_new(struct client *c);
int	waitset_add(struct client *c, struct waitset *w, struct rec *r, uint64_t tag);	/* counts r while it is a member */
size_t	waitset_len(const struct waitset *w);		/* members, ready ones included */
/* takes one ready member out: its tag and record (the count passes to the caller); 0, -ETIMEDOUT, -EINTR, ERR_NOTFOUND if empty */
int	waitset_next(struct client *c, struct waitset *w, uint64_t deadline, struct rec **r, uint64_t *tag);
/* From now on a member of w that becomes ready also kicks outer (NULL: no more), which must live longer; is one ready now? */
bool	waitset_watch(struct client *c, struct waitset *w, struct waitset *outer);
bool	waitset_kicked(struct client *c, struct waitset *w);	/* since it was last asked */
bool	waitset_ready(struct client *c, struct waitset *w);	/* is a member ready? */
void	waitset_poke(struct client *c, struct waitset *w);	/* from now on a member that becomes ready pokes the main thread */
int	waitset_await(struct client *c, struct waitset *w, uint64_t deadline);	/* until one is, which stays: 0, -ETIMEDOUT, … */
void	waitset_free(struct client *c, struct waitset *w);

/* --- actors (actor.c) ------------------------------------------------------------------------------------ */
struct actor_spec {
	const char *name, *class;
	const unsigned char *methods; size_t nmethods;	/* msgpack array of names */
	const void *code; size_t ncode;			/* encoded class */
	const struct payload *args;			/* of the constructor; refs in it are held until it is up or dead */
	struct task_opts opts;				/* cpus 0 is the default here */
	uint32_t restarts;
	bool detached;
	bool reuse;					/* the actor that has the name already will do */
};
int	client_actor_new(struct client *c, const struct actor_spec *s, struct actor **a, char *why, size_t n);
int	client_actor_find(struct client *c, const char *namespace, const char *name, struct actor **a, char *why, size_t n);
struct actor *client_actor_import(struct client *c, uint64_t number, const char *class, size_t nclass,
	    const unsigned char *methods, size_t nmethods, int retries);	/* counted */
void	client_actor_retain(struct client *c, struct actor *a);
void	client_actor_drop(struct client *c, struct actor *a);	/* from a finalizer too */
/* ours that have not ended; of a member of a set those of others too, as far as they are on a ring; without the lock */
unsigned client_actor_calls(const struct actor *a);
uint64_t actor_number(const struct actor *a);
const char *actor_class(const struct actor *a);
int	actor_retries(const struct actor *a);	/* of its calls that had started when it died */
/* why it cannot be used now, a line for people; NULL: nothing is known against it.  Good until the next wait */
const char *client_actor_trouble(struct client *c, const struct actor *a, uint32_t incarnation);
uint32_t actor_incarnation(const struct actor *a);	/* the one that calls go to; 0: none yet */
struct span actor_methods(const struct actor *a);	/* as in ACTOR_NEW */
/* methods.c: what the methods' bytes say */
bool	actor_has(const struct actor *a, const char *name, size_t n);
struct span actor_info(const struct actor *a, const char *key);	/* the encoded value under key; n 0: it says nothing */
int	actor_group(const struct actor *a, const char *name, size_t n);	/* number of a concurrency group, 1 first; ERR_NOTFOUND */
/* ERR_PENDING: as many calls of ours as its max_pending have not ended */
int	client_call(struct client *c, struct actor *a, struct fn *method, const struct payload *args, struct rec **r);
int	client_actor_end(struct client *c, struct actor *a, bool stop, bool restart);	/* kill or stop */
struct rec *client_actor_ready(struct client *c, struct actor *a);	/* ready, without a value, when it is up or dead; counted; NULL no memory */
/* how many of our calls are under way, and its state; why it is dead, if it is; look: completions are taken first */
unsigned client_actor_load(struct client *c, struct actor *a, bool look, enum actor_state *state, char *why, size_t n);
/*
 * Of n actors, n > 0, the place (1 first) of that with fewest calls of ours under way, of equals the first one after place
 * from; one that is not up counts half a call more.  0: one of them is dead, but with any it is no matter.
 */
unsigned client_actor_idlest(struct client *c, struct actor *const a[], unsigned n, unsigned from, bool any);
int	client_actor_wait(struct client *c, struct actor *a, uint64_t deadline);	/* until it is up: 0, ERR_ACTOR_DIED, … */

/* --- looking (link.c) -------------------------------------------------------------------------------------- */
/*
 * Calls row for each row of a list ("nodes", "workers", "actors", "objects", …): one encoded map, valid during the call.
 * A negative result of row ends the listing and is returned.  0; ERR_PROTO; what the node said, with a line in why.
 */
int	client_list(struct client *c, const char *what, int (*row)(void *arg, struct span map), void *arg, char *why, size_t n);
int	client_stop_node(struct client *c, bool force, char *why, size_t n);
/* number 0: our own node; it takes nothing new and ends when it is empty, or takes work again */
int	client_drain(struct client *c, uint32_t node, bool on, char *why, size_t n);
int	client_scale(struct client *c, const char *types, const char *drains);	/* an autoscaler's word to all nodes, see SCALE: 0 or -ENOMEM */

/* --- names that a worker lacks (link.c), and the collector: called on the main thread, between tasks or in waits -- */
struct client_hooks {
	void (*answer)(void *arg, char kind, const char *name, size_t n, struct buf *out);	/* ROUTE_NAME */
	void (*collect)(void *arg);		/* full garbage collection, please */
	void (*notice)(void *arg, const char *text);	/* for stderr: "waiting for 1 GPU: 0 of 4 free" */
	bool (*news)(void *arg);		/* has something come that the wait is to end for, with -EINTR?  It looks only */
	void *arg;
};
void	client_set_hooks(struct client *c, const struct client_hooks *h);
int	client_ask_name(struct client *c, char kind, const char *name, size_t n, struct buf *out);	/* worker: asks its driver */

#endif
