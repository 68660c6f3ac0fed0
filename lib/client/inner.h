/*
 * inner - what the files of lib/client share.  Nobody else includes it.
 *
 * Names ending in _l want the lock held.  Records are named by pointer inside the process and by unit in
 * queues and rings.  "Side" is what few records need: waiters, holders, children, a timer, a borrowed id.
 */
#ifndef CLIENT_INNER_H
#define CLIENT_INNER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "client/client.h"
#include "client/serve.h"
#include "client/lock.h"
#include "core/retry.h"
#include "os/giveway.h"
#include "ring/bell.h"
#include "ring/page.h"
#include "ring/ring.h"
#include "ring/slab.h"

/* looks at what others change under the lock, on purpose: a hint, or a figure that may be off by some */
#define UNLOCKED __attribute__((no_sanitize("thread")))

#define EST_UNKNOWN UINT32_MAX
#define SPIN_MAX_NS 20000u

struct waiter {				/* on side->waiters of a record that is not ready */
	struct list link;
	enum { WAIT_DEP, WAIT_SET, WAIT_ASK } kind;
	union {				/* SET: it lies in its struct member */
		uint32_t task;		/* DEP: unit of the task that waits */
		uint32_t proc;		/* ASK: who wants the answer */
	};
};

struct holder {				/* a process that holds an object of ours */
	uint32_t proc;
	int32_t n;			/* how often it was put on the list; it drops as often, maybe before */
};

struct fresh {				/* a reference that came with the arguments of a task: its completion tells */
	uint32_t unit, proc;		/* of the record; whose task */
	uint64_t seq;
};

struct side {
	uint32_t unit;			/* of its record */
	struct list waiters;
	struct holder *holder;
	unsigned nholder, held;		/* entries; those above 0: who holds it */
	uint32_t *child;		/* units of the records of returns 1 … nchild */
	unsigned nchild;
	unsigned missing;		/* arguments that are not ready */
	unsigned spared;		/* attempts that were charged nothing */
	struct id id;			/* of a borrowed one */
	bool exported;			/* in client.exported */
	unsigned registered;		/* borrowed: how often its owner put us on its list */
	unsigned holding;		/* borrowed: HOLDs that its owner has not answered; each counts in the record */
	bool fresh;			/* borrowed: in client.fresh */
	bool asked;			/* borrowed: ASK is under way */
	bool pinned;			/* pin is our slot */
	bool late;			/* its time is up: the death of its worker is a time-out; or it was given up while it waited */
	bool keep;			/* given to the node: nothing to free here */
	unsigned char *inside;		/* of a value that may lie elsewhere: the references in it, as values */
	size_t ninside;
	unsigned vinside;		/* so many */
	struct actor *actor;		/* whose call it is, while it waits for arguments */
	int pin;			/* -1: none was free */
	struct stream *stream;		/* of the call of a streaming task */
	struct lineage *line;		/* how it can be made again */
	unsigned lin;			/* lineages that it is an argument of */
	bool shell;			/* it has no value any more, but lineages */
	unsigned lost;			/* borrowed: how often its owner was told so */
	uint64_t expires;		/* of a time-out, while the timer is a retry's; 0 none */
	struct heap_node timer;		/* retry or time-out */
	enum { TIMER_NONE, TIMER_RETRY, TIMER_TIMEOUT, TIMER_KILL } what;	/* KILL: it was asked to end and has not */
};

#define REQ_SHAPE (UINT64_C(1) << 63)	/* a request number: LEASE for the shape with the number that follows */

struct shape {				/* a resource shape and the tasks that wait for leases of it */
	uint64_t number;
	unsigned fns;			/* functions of it */
	struct task_opts opts;		/* resources owned */
	uint32_t head, tail;		/* queue of units, linked by rec.link: queue.h */
	int priority;			/* of those in it */
	int told;			/* the priority that rlet was last told */
	struct queue *parked;		/* of lower ones */
	unsigned nparked;
	uint64_t queued;
	struct lease **lease;		/* that we have */
	unsigned leases;
	unsigned blocked;		/* of them, whose worker waits */
	unsigned asked;			/* leases last asked for */
	unsigned passed;		/* how often others of the queue went before its first one (near.c) */
	uint32_t est;			/* mean run time in ns of its tasks; EST_UNKNOWN */
	bool infeasible;
	bool poison;			/* some function of it is, or was */
	char why[256];
};

struct lease {				/* a worker that is ours for a while, or an actor's ring */
	uint32_t index;			/* in client.lease */
	uint32_t number, proc;
	uint32_t node;			/* of its worker; 0: ours */
	struct shape *shape;		/* NULL: an actor's ring */
	struct actor *actor;
	uint32_t lane;			/* of the actor's */
	struct ring_sub ring;
	struct peerslab slab;
	struct bell *bell;
	unsigned inflight;		/* tasks pushed whose end was not seen */
	_Atomic uint32_t *load;		/* of a member of a set: what all callers have before it; NULL */
	unsigned active;		/* place in client.active + 1; 0: nothing in flight */
	bool freed;			/* told to free something while it had nothing to run */
	bool returning, blocked, rung;	/* rung: pushed to since its bell was last rung */
	bool slow;			/* its task runs longer than the means said: nothing is put behind it */
	bool mute;			/* slow because its worker did not even begin: until its bell says that it lives */
	unsigned patience;		/* ticks of SILENCE_NS that it is given; doubled each time */
	uint64_t silent;		/* since when nothing of what lies before it was begun; 0: not so */
	uint64_t tick_dhead;		/* completions taken at the service thread's last tick */
	uint32_t dead;			/* RING_DEAD_* once acted upon */
	uint64_t since;
	struct lease *next_dead;
};

struct fn {
	uint32_t unit;			/* of its struct fnblk */
	uint32_t priv;			/* index in client.fn */
	uint32_t count;			/* the handle and tasks under way */
	bool alone;			/* it may be poison: ask fn_alone_l */
	struct shape *shape;		/* NULL: a method */
	struct task_opts opts;
	uint32_t est;			/* mean run time in ns */
	char name[96];
	struct fncode *code;
	struct fn *captured;		/* the same from the placement group of a task that submitted it */
};

struct fncode {				/* bytes shared by all variants */
	uint64_t hash[2];
	uint32_t unit, len, count;
	struct retry_kills kills;
};

struct lane {				/* calls of one concurrency group, in order, and the ring that they go through */
	struct lease *lease;
	bool opened;			/* ACTOR_OPEN was sent */
	uint32_t head, tail;		/* calls to send */
	uint64_t queued;
};

struct actor {
	uint64_t number;
	enum actor_state state;
	uint32_t incarnation;
	unsigned handles;		/* in this process, plus calls under way */
	_Atomic unsigned dropped;	/* handles given up by finalizers, to be counted off */
	struct lane *lane;		/* by concurrency group: 0 those that name none */
	unsigned nlane;
	unsigned calls, max_pending;	/* ours that have not ended, and how many may be; 0 no limit */
	_Atomic uint32_t *load;		/* as in its lease; in the node page, which stays mapped; NULL */
	unsigned charged;		/* how much of that is ours */
	bool stop;			/* to be told once the calls made before are sent */
	const char *ended;		/* we stopped or killed it: later calls of ours fail with this text */
	char *found;			/* namespace, NUL, name: it is in client.found; NULL */
	uint32_t ups;			/* units of records, linked, that become ready when it is up or dead */
	int retries;			/* of calls that had started, unless they say otherwise */
	char *class, *why;
	uint32_t told;			/* 'why' is how the incarnation before this one ended; 0: it was not told */
	unsigned char *methods;
	size_t nmethods;
	struct buf error;		/* encoded error of its constructor, or empty */
	struct buf held;		/* constructor arguments whose references are held */
	unsigned heldvals;
	struct rec *args;
};

struct member {
	struct list link;		/* in waitset.ready or waitset.rest */
	struct waiter waiter;		/* in a list as long as it waits */
	bool waits;
	struct waitset *set;
	struct rec *rec;
	uint64_t tag;
};

struct waitset {
	struct list ready, rest;
	size_t n;
	struct waitset *outer;		/* whom it tells that a member of it is ready; NULL: nobody */
	bool kicked;			/* it was told so */
	bool pokes;			/* the main thread is told */
};

struct slots {				/* calls of a concurrency group in this worker */
	unsigned limit, running;
};

struct request {			/* an answer that somebody waits for */
	uint64_t req;
	uint16_t type;			/* 0: not there yet */
	struct buf body;
	struct buf rows;		/* ROWS collected: u32 length, bytes … */
	bool name;			/* the driver is asked, not the node */
	int fd;				/* CHAN: its segment, once the answer is there */
	struct buf sent;		/* the frame, to be sent again if the node's daemon dies; none: it might be done twice */
};

struct frame;

struct client {
	/* who we are */
	struct msg_welcome me;
	char node_name[128], namespace[128];
	int sock;
	int arena_fd;
	bool worker;
	pthread_t main;

	struct home {			/* where to come back to, and as what: rejoin.c */
		char dir[512], name[64];	/* the node's socket; dir "": name is a path */
		char *as, *namespace;	/* of HELLO */
		uint64_t output;
		int err, page, slab;	/* descriptors */
	} home;
	bool rejoining;			/* the node's daemon is a new one, and has not answered yet */
	bool leaving;			/* BYE was sent */
	unsigned rejoins;		/* times that it was tried since the last WELCOME */

	/* what rlet gave us */
	struct page *page;
	struct nodepage *np;
	struct bell *bell;
	struct arena arena;
	struct slab slab;
	unsigned pin_hint;
	unsigned unpinned;		/* views that found no slot for a pin: PIN_ALL stands in the last one */

	struct lock lock;		/* everything below */

	/* tasks and objects */
	uint64_t next_task;
	struct map side;		/* unit -> struct side * */
	struct map exported;		/* seq -> unit (as pointer) of our records known elsewhere */
	struct idmap borrowed;		/* id -> struct rec * */
	struct fn **fn;
	uint32_t nfn, fn_free;
	struct idmap codes;		/* hash as id -> struct fncode * */
	struct shape **shape;
	unsigned nshape;
	struct lease **lease;
	unsigned nlease;
	struct lease **active;
	unsigned nactive;
	struct lease *dead_leases;	/* to be unmapped by the main thread */
	struct inring *dead_inrings;
	struct map lease_of;		/* lease number -> struct lease * */
	struct map actor;		/* number -> struct actor * */
	struct map found;		/* hash of namespace and name -> struct actor * that was found so, till it is dead */
	unsigned nfound;		/* of them, those that we have no handle of */
	struct heap timers;
	struct list lineage, lineage_dying;
	uint64_t lineage_bytes;
	bool lineage_busy;
	bool freed;			/* some lease is marked so */
	bool priorities;		/* some task has, or had, one */
	bool progressing;		/* progress_l or lease_dead_l is under way */
	uint64_t most, most_bytes;	/* the budget of what is under way: client_budget */
	uint64_t queued, running;	/* tasks in queues or waiting; tasks on rings */

	/* dropped by finalizers; main thread only */
	struct rec **drop;
	size_t ndrop, capdrop;

	/* wire */
	struct buf in, out;
	int fds[64];
	unsigned nfds;
	uint64_t next_req;
	struct map request;		/* req -> struct request * */
	struct buf drops, holds;	/* ids to DROP and to HOLD, 16 bytes each, sent in batches; holds go first */
	_Atomic bool lost;		/* then why says why */
	bool abroad;			/* we had a worker of another node */
	bool stuck;			/* nothing ended for a while: what runs is longer than the means say */
	bool starved;			/* a queue found no place before an idle worker; its bell will be rung */
	char why[256];
	char notice[1024];		/* lines for the user, to be told by the main thread; "" */
	char why_full[512];		/* what rlet said when there was no room */

	/* names asked by workers, to be answered by the main thread; the collector */
	struct list asks;
	_Atomic bool collect;
	uint64_t collect_round;
	struct client_hooks hooks;

	/* the service thread */
	bool serving;
	pthread_t service;
	int nudge;			/* eventfd */
	_Atomic bool deep, stop, waiting;
	_Atomic bool poked;		/* client_poke: the next wait ends */
	_Atomic uint64_t polls;		/* main thread's calls into the runtime */
	struct crowd *crowd;		/* several threads call: crowd.h; NULL: one */

	/* the bell as a descriptor (fd.c) */
	struct fdmode *fdmode;		/* NULL: nobody asked for it */
	bool news;			/* something came since the last client_poll */

	/* spinning */
	uint32_t spin_ns;
	struct giveway way;
	unsigned here, here_max;	/* waits on one CPU with a peer; how many before we move */
	uint32_t cpu;			/* as our bell tells it */
	bool listening;			/* a worker that waits for tasks */
	bool collecting;
	uint64_t helds;			/* HOLDs that were not answered */

	struct list chans;		/* ends of channels */
	struct client_chan *const *watch;	/* channels that the main thread waits for now */
	unsigned nwatch;
	struct list drains;		/* ends whose messages are taken before the main thread sleeps */
	uint64_t upsets;		/* changes of the state of actors, so far */
	unsigned owing;			/* of them, those that hold what they sent (chan_hold.c) */
	uint64_t echoes, echoed;	/* asked for, and heard: what was sent to the node before is done */

	bool corked;			/* out is to be sent soon */

	/* placement groups (group.c) */
	struct idmap pgroups;		/* id -> struct rec * that becomes ready with it */
	struct idmap pgroups_new;	/* of them those that we made: id -> struct unanswered * */
	struct buf unsure;		/* frames that get no answer and must not be lost; a daemon that takes over gets them again */
	uint64_t unsure_at;		/* a request with a higher number that is answered came after them: they are done */
	struct id in_pgroup;		/* worker: of the last lease */
	unsigned in_bundles;
	struct id pgroup;		/* of the running task, if it captures */
	struct map sets;		/* number -> struct cset * (set.c) */
	uint64_t set_seq;		/* how many states of them have come */
	struct {			/* a check that is not answered yet (health.c) */
		uint64_t actor, round;
		_Atomic bool due;
		char method[256];
	} health;
	uint64_t in_set;		/* worker: the set that its actor is a member of, and which */
	uint32_t rank;
	_Atomic bool captures;		/* some ring does */
	bool capturing;			/* the running task does */

	/* output.c: a worker's prints */
	struct {
		_Atomic bool busy;
		bool any;
		uint32_t proc;			/* whose task was marked last */
		uint64_t task, bytes, stuck_at;
	} prints;

	/* the worker's end (serve.c) */
	struct inring *_Atomic inring;	/* the last that came, and on by ->next: changed under the lock, glanced at without it */
	struct inring *inturn;		/* where serve_next goes on; NULL: at the first */
	unsigned ninring;
	struct slots *slots;		/* an actor's that runs several calls at once, by concurrency group; else NULL */
	unsigned nslots;
	uint64_t actor_number;
	uint64_t incarnation;
	struct rec_context context;	/* of the running task, for its children */
	uint32_t parent_proc;		/* who gave it to us, as this node calls it, */
	struct id parent_owner;		/* as ids have it: node and process, */
	uint64_t parent_seq;		/* and which of its tasks it is */
	bool in_task;
	bool alone;			/* the task claimed last wants the worker for itself */
	bool inherits;			/* tasks submitted now have a context: in_task, or a scope */
	struct scope *scopes;
	uint64_t next_scope;
	uint64_t ended;			/* when the last task did, if nothing came since: the next one's start; else 0 */
	struct buf spec;		/* ACTOR_START, for the script layer */
	struct buf self;		/* its name, class and methods */
	size_t self_name, self_class;	/* bytes of the first two */
	struct buf args;		/* of the task claimed last */
	uint32_t cpus;			/* granted to us, thousandths */
	struct serve_grant granted;	/* by the ring that came last; resources point into granted_bytes */
	struct buf granted_bytes;
	uint64_t data_base, limited;	/* limit.c: bytes of RLIMIT_DATA that do not count; memory= of what we run, 0 none */
	uint64_t data_soft;		/* as we found it */
	bool data_known;
	bool newly_limited;		/* a limit was set, and serve_limited has not been told of it */
	bool stopping;
	bool retired;			/* it claims no more, and is about to be told to stop */
	unsigned held;			/* completions that found their ring full */
	unsigned nheld;			/* our objects that other processes hold */
	struct fresh *fresh;
	size_t nfresh, capfresh;
	bool decoding;			/* arguments: what is imported now is held by the submitter until the completion */
	unsigned nroom;			/* suspended streams that wait for room, and is there some for one of them? */
	bool rooming;			/* that is what is waited for, too */
	bool (*room)(void *arg);
	void *room_arg;
	uint32_t *deferred;		/* tasks whose arguments want room in the arena: the main thread's */
	unsigned ndeferred;
};

/* link.c: the socket.  Frames are built in place and go out at once if the socket takes them. */
#define LINK_SEND(c, name, ...) do { \
	struct msg_##name m_ = { __VA_ARGS__ }; \
	if (msg_put_##name(&(c)->out, &m_) == 0) \
		link_flush_l(c); \
} while (0)
/* a question; one that cannot be sent (too long, no memory) is answered by FAIL at once */
#define LINK_CALL(c, rq, name, ...) do { \
	struct msg_##name m_ = { __VA_ARGS__ }; \
	int e_ = msg_put_##name(&(c)->out, &m_); \
	if (e_ == 0) \
		link_flush_l(c); \
	else \
		link_unsent(rq, e_); \
} while (0)
/* one that may be asked again: of a daemon that takes over, which knows nothing of it */
#define LINK_ASK(c, rq, name, ...) do { \
	struct msg_##name m_ = { __VA_ARGS__ }; \
	size_t at_ = (c)->out.len; \
	int e_ = msg_put_##name(&(c)->out, &m_); \
	if (e_ == 0) \
		link_sent_l(c, rq, at_); \
	else \
		link_unsent(rq, e_); \
} while (0)
/* one that has no answer, and does no harm when it comes twice: a daemon that takes over gets it again */
#define LINK_SURE(c, name, ...) do { \
	struct msg_##name m_ = { __VA_ARGS__ }; \
	size_t at_ = (c)->out.len; \
	if (msg_put_##name(&(c)->out, &m_) == 0) \
		link_unsure_l(c, at_); \
} while (0)
/* for many small ones in a row: it goes with the next one, with a wait, or when the service thread comes to it */
#define LINK_CORK(c, name, ...) do { \
	struct msg_##name m_ = { __VA_ARGS__ }; \
	if (msg_put_##name(&(c)->out, &m_) == 0) \
		link_cork_l(c); \
} while (0)
void	link_flush_l(struct client *c);
void	link_cork_l(struct client *c);
void	link_read_l(struct client *c);			/* takes what is there, never blocks */
bool	link_backlog_l(const struct client *c);		/* something could not be sent yet */
void	link_leave(const struct client *c);		/* no later daemon is to wait for this process */
void	link_reply_l(struct client *c, uint64_t req, const struct frame *f);
void	link_asked_l(struct client *c, const struct msg_route *m);	/* ROUTE_NAME: kept for the main thread */
void	link_driver_gone_l(struct client *c);
int	dispatch_l(struct client *c, const struct frame *f, const int *fds);	/* dispatch.c: 0 or ERR_PROTO */
void	link_answer_names(struct client *c);		/* main thread, lock not held */
void	link_drops_l(struct client *c);			/* sends collected HOLDs and DROPs */
void	link_holds_l(struct client *c);
void	link_drop_l(struct client *c, struct id id);	/* tells id's owner that we hold it no more */
int	link_request(struct client *c, uint64_t req, uint64_t deadline, struct request **rq);	/* waits, lock not held */
struct request *link_expect_l(struct client *c);		/* a new request number that is waited for */
void	link_done(struct client *c, struct request *rq);
int	link_fail(const struct request *rq, char *why, size_t n);	/* the code of a FAIL */

void	link_sent_l(struct client *c, struct request *rq, size_t at);	/* of LINK_ASK: rq's frame, at byte at of c->out, goes */
void	link_unsure_l(struct client *c, size_t at);	/* of LINK_SURE: corked */
void	link_answered_l(struct client *c, uint64_t req);	/* the node is done with all that was sent before that */
void	link_unanswered(struct request *rq, int code, const char *why);
void	link_unsent(struct request *rq, int code);	/* the question itself: code is what msg_put_* said */

int	home_send(int sock, struct buf *b, const int *fds, int n);	/* open.c: HELLO or REJOIN: 0 or -errno */
/* rejoin.c: 0: another daemon takes over; negative: there is none, the node is gone */
int	rejoin_l(struct client *c);
int	rejoined_l(struct client *c, const struct msg_welcome *m);

/* lost.c */
void	link_lose_l(struct client *c, const char *why);	/* the node is gone for good */

/* service.c */
int	service_start(struct client *c);		/* idempotent */
void	service_stop(struct client *c);
void	service_nudge_l(struct client *c);		/* makes it look at its timers and at us */

/* obj.c */
struct side *side_l(struct client *c, struct rec *r);		/* makes it; NULL: no memory */
struct side *side_find_l(struct client *c, const struct rec *r);
void	rec_unref_l(struct client *c, struct rec *r);
void	rec_ready_l(struct client *c, struct rec *r);		/* tells all who wait */
void	children_end_l(struct client *c, struct rec *r);		/* r's outcome is set */
void	rec_fail_l(struct client *c, struct rec *r, int code, const char *text);	/* ready, with an error */
int	rec_context_l(struct client *c, struct rec *r, const struct rec_context *x);	/* before its payload is set */
int	rec_set_l(struct client *c, struct rec *r, const unsigned char *p, size_t n, unsigned nvals, unsigned flags);
const unsigned char *rec_bytes_l(struct client *c, const struct rec *r, struct obj_view *v, size_t *n);
int	rec_inside_l(struct client *c, struct rec *r, const unsigned char *p, size_t n, unsigned nvals);	/* side.inside, copied: 0 or -ENOMEM */
void	rec_clear_l(struct client *c, struct rec *r);		/* frees payload and what it holds */
struct id rec_id(const struct client *c, const struct rec *r);
void	rec_free_if_l(struct client *c, struct rec *r);
void	drops_l(struct client *c);				/* counts off what finalizers dropped */
struct rec *rec_new_l(struct client *c);
int	refs_retain_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals);
void	refs_release_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals);
struct rec *rec_of_l(struct client *c, const struct wref *w);	/* ours or borrowed, not counted; NULL unknown */
struct rec *rec_import_l(struct client *c, const struct wref *w, bool registered);
void	rec_export_l(struct client *c, struct rec *r, struct wref *w);
void	hold_for_l(struct client *c, struct rec *r, uint32_t proc);	/* borrowed: its owner is told that proc holds it */
void	hold_self_l(struct client *c, struct rec *r);	/* the same for us, in a batch: link_holds_l */
void	rec_held_l(struct client *c, const struct side *s);	/* for who looks from outside */
int	holder_add_l(struct client *c, struct rec *r, uint32_t proc);
void	proc_dead_l(struct client *c, uint32_t proc, uint32_t node, uint32_t was, const char *text);	/* proc as this node calls it */
void	route_l(struct client *c, const struct msg_route *m);
void	answer_l(struct client *c, struct rec *r, uint32_t proc);

/* away.c: objects that the node may move, and looking at those in the arena */
void	away_asked_l(struct client *c, const struct msg_evict *m);
bool	away_known_l(struct client *c, uint64_t seq, uint32_t slot);	/* does a record of ours mean this object? slot as in EVICT */
int	away_restore(struct client *c, struct rec *r);	/* lock not held: where it is now: 0 or a negative error */
int	away_lost(struct client *c, struct rec *r);	/* the node has it no more: -EAGAIN it is being made again, ERR_LOST */
int	view_take_l(struct client *c, struct rec *r, struct obj_view *v);	/* ERR_LOST: not there (any more) */
void	view_drop_l(struct client *c, struct rec *r);
void	view_end_l(struct client *c, struct rec *r, struct side *s);	/* r is freed */
int	view_pin_l(struct client *c, struct rec *r);	/* the node will own it: who looks at it now must pin it */

/* lineage.c */
bool	lineage_keep_l(struct client *c, struct rec *r, const struct fn *fn);	/* instead of task_end_l */
void	lineage_drop_l(struct client *c, struct lineage *l);
void	lineage_trim_l(struct client *c, uint64_t most);	/* to so many bytes */
void	lineage_relieve_l(struct client *c);			/* those whose arguments lie in the arena */
/* r is ready, but its value is lost: from now on it is on its way again, or an error */
void	lineage_lost_l(struct client *c, struct rec *r, const char *why);

/* mem.c */
void	mem_forget_l(struct client *c, struct id id);	/* a REC_AWAY object: nobody holds it */
/* takes the lock itself; slot: unit of the owner's record of the task or object, or 0 */
int	mem_put(struct client *c, struct id id, uint32_t slot, const struct payload *p, struct rec_where *w);
void	mem_freed_l(struct client *c);			/* wakes idle workers that were told to free: after a batch of mem_free_l */
void	mem_free_l(struct client *c, const struct rec_where *w);
static inline uint32_t
obj_gen(const struct arena *a, uint64_t off)		/* generation of what lies at off */
{
	const struct obj_hdr *h = (const void *)(a->base + off);

	return (uint32_t)(atomic_load_explicit(&h->word, memory_order_acquire) >> 32);
}
int	mem_new(struct client *c, struct id id, const uint64_t *sizes, unsigned nbuf, size_t head, struct obj *o);
void	mem_yield_l(struct client *c);			/* the node is full: what we were lent and do not use is there for others */
void	mem_collect(struct client *c);		/* runs the collect hook: main thread, lock not held */

/* fn.c, place.c, args.c, task.c */
void	push_l(struct client *c, struct lease *l, struct rec *r);
void	place_l(struct client *c, struct rec *r, struct fn *fn);	/* to a worker, or into its queue */
void	task_fail_l(struct client *c, struct rec *r, int code, const char *text);	/* it ends before it ran */
void	wait_args_l(struct client *c, struct rec *r, const struct payload *a, struct actor *actor);
void	feed_l(struct client *c, struct shape *s);

#define NEAR_NODES 8u
/* r is to go before l: or before another one of s, with room, at the node where most of r's arguments are (near.c) */
struct rec *near_pop_l(struct client *c, struct shape *s, const struct lease *l);	/* of the queue of s, which has some: the one to go before l */
struct lease *near_l(struct client *c, const struct shape *s, const struct rec *r, struct lease *l, unsigned depth);

/* shape.c */
struct shape *shape_l(struct client *c, const struct task_opts *o);	/* found or made; NULL: no memory */
struct shape *shape_numbered(const struct client *c, uint64_t number);
void	shape_ask_l(struct client *c, struct shape *s, unsigned want);	/* tells rlet how many leases of it are wanted in all */
void	task_deferred(struct client *c);
void	fn_unref_l(struct client *c, struct fn *fn);
void	feed_actor_l(struct client *c, struct actor *a);	/* all its lanes */
void	feed_lane_l(struct client *c, struct actor *a, unsigned lane);
void	task_queue_l(struct client *c, struct rec *r, bool front);
void	task_resolved_l(struct client *c, struct rec *r);	/* one more argument is ready */
void	task_end_l(struct client *c, struct rec *r);		/* before its outcome is set: arguments, function */
void	lease_grant_l(struct client *c, const struct msg_grant *m, int ringfd, int slabfd);
void	lease_fail_l(struct client *c, struct shape *s, int code, const char *text);
void	lease_back_l(struct client *c, struct lease *l);
void	lease_takeback_l(struct client *c, struct lease *l);
void	lease_untake_l(struct client *c, struct lease *l, struct rec *r, uint32_t slot);
void	lease_free_l(struct client *c, struct lease *l);
void	leases_bury_l(struct client *c);
void	leases_idle_l(struct client *c);
void	inrings_bury_l(struct client *c);
void	lease_idle_l(struct client *c, struct lease *l);
void	lease_dead_l(struct client *c, struct lease *l, int code, bool charged, const char *why);
void	task_expire_l(struct client *c, struct rec *r, int code, const char *text);	/* it ends before it was on a ring */
void	lease_ring_l(struct client *c, struct lease *l);
void	lease_load_l(struct lease *l);		/* with l->load: what is before it was pushed, or has ended */
#define REC_EXT_MAX (65536u - (unsigned)sizeof(struct rec_context))		/* longest payload in a block of the slab */
static inline struct fn *
fn_of(struct client *c, uint32_t unit)
{
	return c->fn[((struct fnblk *)slab_at(&c->slab, unit))->priv];
}

struct fn *fn_captured_l(struct client *c, struct fn *fn);

/* set.c */
int	set_state_l(struct client *c, const struct msg_set_state *m, const struct frame *f);
void	health_asked_l(struct client *c, const struct msg_health *m);
void	health_look(struct client *c);		/* main thread: the answer, unless a method is to be called for it */
static inline bool
health_due(const struct client *c)
{
	return c->health.due && !c->health.method[0];
}
void	sets_lost_l(struct client *c);
void	sets_again_l(struct client *c);		/* another daemon: their watches */
int	actor_body_l(struct client *c, struct buf *b, const struct actor_spec *s, struct rec *args);	/* of an ACTOR_NEW; actor.c */

/* group.c */
void	group_state_l(struct client *c, const struct msg_group_state *m);
void	groups_lost_l(struct client *c, const char *why);
void	groups_again_l(struct client *c);		/* another daemon: those that we wait for */

/* drain.c, giveback.c, timers.c */
bool	lease_take_l(struct client *c, struct lease *l);	/* its completions; true if there were any */
void	lease_less_l(struct client *c, struct lease *l);	/* one task less on its ring */
bool	progress_l(struct client *c);			/* drains, feeds; true if anything came */
void	timers_l(struct client *c, uint64_t now);
uint64_t timers_next_l(struct client *c);		/* WAIT_FOREVER: none */
void	retry_l(struct client *c, struct rec *r, enum retry_cause cause, int code, const char *text);
bool	again_l(struct client *c, struct rec *r, enum retry_cause cause);	/* r is on no ring: it runs again; false: no */
bool	fn_alone_l(struct client *c, struct fn *fn);
int	timer_set_l(struct client *c, struct rec *r, int what, uint64_t at);

int	outcome_l(struct client *c, struct lease *l, struct rec *r, const struct done *d);	/* d becomes r's value: 0, negative */
void	discard_l(struct client *c, struct lease *l, const struct done *d);	/* what it holds is let go of */
/* stream.c */
int	stream_new_l(struct client *c, struct rec *r, const struct fn *fn);	/* r has a context */
void	stream_done_l(struct client *c, struct lease *l, struct rec *r, struct stream *s, const struct done *d);
struct rec *stream_slot_l(struct client *c, struct rec *r, struct stream *s);	/* of the next item, to be filled; NULL */
bool	stream_closed(const struct stream *s);
void	stream_filled_l(struct client *c, struct stream *s, struct rec *k);
void	stream_over_l(struct client *c, struct stream *s);	/* its task is ready: there will be no more */
void	stream_free_l(struct client *c, struct stream *s);
/* methods.c */
#define ACTOR_GROUPS 64u			/* at most, the nameless one included */
struct span methods_info(struct span methods, const char *key);
/* cancel.c */
bool	lease_revoke_l(struct client *c, struct rec *r, int code, const char *text);	/* r, PUSHED, was not claimed: it failed so */
void	cancel_ask_l(struct client *c, struct rec *r, unsigned how, uint64_t kill_at);	/* r is claimed: its worker is to end it */
void	cancel_kill_l(struct client *c, struct rec *r);		/* it was asked, in vain */
int	cancel_l(struct client *c, struct rec *r, unsigned how);	/* client_cancel */
bool	cancel_end_l(struct client *c, struct rec *r, bool error);	/* r, which was to end, ended: true if with a value, then it failed */
void	cancel_scope_l(struct client *c, uint64_t scope);
#define CANCEL_GRACE_NS 100000000u

/* actor.c */
int	actors_retain_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals);	/* handles in a payload */
void	actors_release_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals);
void	actors_give_l(struct client *c, const struct payload *p, uint32_t proc);	/* proc will have them */
void	actor_state_l(struct client *c, const struct msg_actor_state *m);
void	actor_rejoin_l(struct client *c, struct actor *a);	/* another daemon: it is told what we hold and call */
void	found_put_l(struct client *c, struct actor *a, const char *namespace, const char *name);	/* find.c */
void	found_forget_l(struct client *c, struct actor *a);
bool	found_keep_l(struct client *c, struct actor *a);	/* its last handle is gone: is it worth remembering? */
void	actor_again_l(struct client *c, struct actor *a);	/* a new handle of one that was only remembered */
void	actor_granted_l(struct client *c, struct lease *l, uint32_t incarnation);
void	actor_lost_ring_l(struct client *c, struct lease *l);
void	actor_unref_l(struct client *c, struct actor *a);
void	actor_call_end_l(struct client *c, struct actor *a);	/* one call less under way */
int	actor_request(struct client *c, struct request *rq, struct actor **a, char *why, size_t n);
void	lane_open_l(struct client *c, struct actor *a, unsigned lane);
uint64_t actor_queued_l(const struct actor *a);

/* wait.c */
int	wait_until(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline);
int	wait_alone(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline);
int	wait_on_bell(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline);	/* the bell is ours */
int	crowd_wait(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline);	/* crowd.c */
void	crowd_stir_l(struct client *c);
void	crowd_raise_l(struct client *c);		/* a member of a wait set is ready */
void	ask_l(struct client *c, struct rec *r);		/* its owner, what became of a borrowed one */
void	wait_here_l(struct client *c);			/* a peer on our own CPU was woken, or waited for, once more */
void	member_ready_l(struct client *c, struct member *m);	/* waitset.c */

bool	wait_spin(struct client *c);	/* spins where it can pay; true: something came */

/* chan.c, chan_recv.c, chan_hold.c */
void	chans_die_l(struct client *c);			/* other processes that have their other ends */
void	chans_held_l(struct client *c);			/* an owner answered, or will not: what was received may be known as held */
void	chans_settle_l(struct client *c);		/* main thread: what was taken, or never will be, is let go of */
bool	chans_glance(const struct client *c);		/* one of those that are watched is ready */
void	chans_drain(struct client *c);
bool	chans_drainable(const struct client *c);
bool	chans_elsewhere(const struct client *c, uint32_t cpu);	/* the other end of one ran last on another CPU */

/* fd.c: the main thread waits itself, in the place of the thread that tells the descriptor */
void	fd_hold(struct client *c);
void	fd_release(struct client *c);
void	fd_stop(struct client *c);

bool	lease_lives_l(struct lease *l);		/* service.c: l is slow: was it mute, and is no longer? */

/* limit.c */
void	limit_start(struct client *c);			/* of a worker, before it runs anything */
void	limit_memory(struct client *c, uint64_t bytes);	/* what it runs may have so much; 0: what there is */

/* serve.c */
void	serve_ring_l(struct client *c, const struct msg_ring *m, int ringfd, int slabfd);
void	serve_unring_l(struct client *c, uint64_t lease);
void	serve_held_l(struct client *c);			/* publishes what was held back, as far as there is room */
bool	serve_glance(struct client *c);			/* a task lies in one of our rings */
bool	serve_elsewhere(struct client *c, uint32_t cpu);	/* a submitter's last CPU is another one */

#endif
