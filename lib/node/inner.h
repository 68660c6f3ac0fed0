/*
 * inner - what the files of lib/node share.  Nobody else includes it.
 *
 * A process is known by its number.  It dies in two steps: proc_lost, when it is certain that nothing more comes
 * from it (rings are marked, leases are free), and proc_gone, when it is also known how it ended and its memory
 * can be taken back.
 */
#ifndef NODE_INNER_H
#define NODE_INNER_H

#include <ev.h>
#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/actor.h"
#include "core/actor_far.h"
#include "core/cluster.h"
#include "core/control.h"
#include "core/group.h"
#include "core/lease.h"
#include "core/numbers.h"
#include "core/set.h"
#include "loop/conn.h"
#include "loop/listener.h"
#include "node/node.h"
#include "node/nodes.h"
#include "ring/bell.h"
#include "ring/page.h"
#include "ring/ring.h"
#include "ring/slab.h"
#include "store/arena.h"
#include "store/arena_node.h"
#include "store/journal.h"
#include "wire/msg.h"

enum {
	NODE_WORKERS = 1000,		/* task workers, replacements of blocked ones included */
	NODE_ACTORS = 8192,
	NODE_CLIENTS = 4096,		/* drivers and tools */
	NODE_STRANGERS = 256,		/* connections that have not said HELLO: beyond that the oldest goes */
	NODE_ASKS = 64 << 20,		/* bytes that wait for the control store; then what would wait too is refused */
	NODE_FORKS = 32,		/* forks under way at one time */
	NODE_MESSAGE = 256,		/* bytes of a line for people */
};

#define HEIR_GRACE (3 * CLOCK_SEC)	/* to come back to the next daemon, for programs that it cannot see; for actors to be named again */
#define HEIR_LOOK CLOCK_SEC		/* between two looks whether those that are to come back still live */

struct njob {
	uint32_t number;
	unsigned refs;			/* its processes */
	uint32_t driver;		/* process number */
	pid_t pid;			/* of that; 0: unknown */
	uint64_t born;			/* proc_start_time of that */
	bool over;			/* its driver is gone */
	bool foreign;			/* its driver is at another node */
	uint32_t *told;			/* nodes that know of it */
	unsigned ntold;
	struct logsink *out;		/* its driver's stderr; NULL: nobody sees what its tasks print */
	int cwd;			/* its driver's directory, or -1 */
	struct buf env;			/* its driver's environment: NAME=VALUE, NUL between */
	struct buf namespace;
	char name[64];
};

struct nring {				/* a ring pair that we map to mark deaths in */
	uint64_t number;
	struct nproc *sub, *wrk;
	struct list bysub, bywrk;
	struct ring_shm *shm;
	uint64_t actor;
	uint32_t group;			/* of the actor's */
	uint64_t far;			/* its number there, if the worker is of another node; 0 */
	uint64_t shape;			/* of a lease: as its submitter calls it */
};

struct nproc {
	struct node *n;
	struct list link;		/* in node.procs_list */
	struct list fork;		/* in node.fork_queue or node.reap; before HELLO in node.strangers */
	uint32_t number, bell;
	enum msg_role role;
	uint32_t home, home_proc;	/* ROLE_FAR: its node, and its number there */
	pid_t pid;
	struct conn *conn;		/* NULL once lost */
	ev_io pidfd;			/* its fd is -1 if there is none */
	bool deaf;			/* it did not read what it was sent */
	bool stranger;			/* in node.strangers */
	bool welcomed, lost, bye, killed, exited, forked, quiet, stopping, silent; /* forked: the zygote was asked */
	int signal;			/* for it, once its pid is known; 0 */
	int status;			/* of waitpid, once exited */
	struct njob *job;
	struct page *page;		/* NULL before WELCOME */
	int slab;			/* descriptor, for its peers */
	struct list subrings, wrkrings;
	struct list chans;		/* ends of channels */
	struct map known;		/* process numbers that it shares something with */
	uint64_t actor, since;
	uint64_t owes;			/* since when it has not answered what asks for its room (COLLECT, EVICT, FREE); 0 */
	bool blocked, stopped;		/* its task waits; it was stopped by a signal */
	struct id pgroup;		/* worker: placement group of its lease, or all 0 */
	unsigned bundles;		/* of that */
	bool capture;
	bool evicted;			/* killed, as that was removed */
	bool kv;			/* it used the key-value store: its session may have keys */
	bool txns;			/* and there are ESTATE_TXN of it */
	uint64_t devices;		/* worker: GPUs that it sees */
	unsigned threads;		/* worker: OMP_NUM_THREADS if its driver has none; 0 */
	uint64_t hello;			/* request of JOB_NEW while HELLO waits for it */
	enum msg_output output;		/* driver: of what its tasks print */
	int err;			/* driver: descriptor that came with HELLO; worker: its end of the socket */
	struct buf name, namespace;
	struct map *owned;		/* after REJOIN: offset -> generation + 1 (as pointer) of what it has; NULL */
	struct idmap *away;		/* ids of what the node may move */
	struct buf told;		/* what it was told to free: u64 offset, u32 generation; some is done by now */
	size_t told_most;		/* look through it once it is so long */
	char text[NODE_MESSAGE];	/* how it died */
	char *evidence;			/* it was stopped to save memory: why it; or NULL */
	bool alone;			/* and would not have fit alone */
	bool ill;			/* it was killed for what its text says: a member of a set that is not well */
	bool asked;			/* it is sent HEALTH: its main thread, if it is in Lua, is to look at the socket */
	int code;
};

struct ask {				/* a request at the control store */
	uint32_t proc;			/* who wants it; may be dead by the answer */
	uint64_t req;			/* its own request number */
	uint16_t type;
	struct njob *job;		/* counted, or NULL */
	uint64_t set;			/* ACTOR_NEW of a member, nobody else wants it; 0 */
	uint32_t rank;
	bool away;			/* ACTOR_NEW: it is to live on another node */
	uint64_t after;			/* not asked yet: it waits for the end of this actor; 0 */
	struct buf body;		/* ACTOR_NEW as it came */
};

struct kept {
	struct id id;
	uint64_t off, size, since, ttl;
	uint32_t gen;
	struct heap_node timer;
	size_t nname;
	char name[];
};

struct waiter {				/* for an extent */
	struct list link;
	uint32_t proc;
	uint64_t req, bytes, until;	/* proc 0: to restore an object */
	struct id id;
};

struct node {
	struct node_opts o;
	struct ev_loop *loop;		/* NULL before node_new has come so far */
	struct conn_set conns;
	struct listener listen;
	ev_timer timer, idle;
	ev_prepare turn;
	ev_signal term, intr;
	ev_io own;
	uint64_t timer_at;
	bool stopping, stood, listening;	/* stood: a client was here */
	int result, dir, lock;
	char dirname[512];
	dev_t sock_dev;
	ino_t sock_ino;
	uint32_t number;
	char name[128];
	uint64_t since;
	uint64_t spin;

	int np_fd;			/* shared with all processes */
	struct nodepage *np;
	struct arena_node arena;
	struct arena view;		/* our own reading view of it */
	struct uses uses;		/* of processes that are gone */

	struct map procs;		/* number -> struct nproc * */
	struct journal journal;		/* estate.c */
	struct journal_read left;	/* what the daemon before this one had in its own; while we start */
	struct map awaited;		/* of the daemon before this one: number -> its bell + 1 (as pointer), heir.c */
	struct list procs_list;
	uint32_t next_proc;
	unsigned clients, drivers, workers;	/* drivers and tools; drivers alone; worker processes */
	unsigned clients_max, nstrangers;
	struct list strangers;
	uint64_t said_at;		/* node_log: when the present ten seconds began, and what was said in them */
	unsigned said;
	uint16_t *bells;		/* free ones */
	unsigned nbells;
	struct map jobs;
	struct map rings;
	uint64_t next_ring;
	struct map txns;		/* process and place -> struct buf *: what the daemon before left as ESTATE_TXN, kv.c */
	struct map chans;		/* number -> struct nchan *, chans.c */
	uint64_t next_chan;

	const char *gpu_name[GPUS_MAX];	/* as CUDA_VISIBLE_DEVICES names them */
	struct lease_core lease;
	struct lease_out lease_out;
	struct actor_core actor;
	struct actor_out actor_out;
	struct group_core group;
	struct group_out group_out;
	bool grouping;			/* effects are being carried out */
	uint64_t group_at;
	struct set_core set;
	struct set_out set_out;
	bool setting;			/* effects are being carried out */
	uint64_t set_at;
	uint64_t lease_at, actor_at, mem_at, ctl_at, kept_at, heir_at, load_at, fence_at, abroad_at, away_at;	/* CLOCK_MONOTONIC; 0: nothing */
	bool granting, acting;		/* effects are being carried out */

	struct conn *zygote;		/* worker.c */
	pid_t zygote_pid;
	ev_io pages;			/* pages.c: the child that gets pages ahead */
	pid_t pages_pid;		/* 0 not yet, -1 no more */
	uint64_t pages_off, pages_len;	/* what it is at */
	ev_io zygote_fd;
	uint64_t zygote_since;
	unsigned forking, zygote_deaths;
	struct list fork_queue;
	struct list reap;		/* workers that were never forked, to be forgotten at the end of the turn */
	int null;			/* /dev/null */

	struct control *control;	/* ephemeral: inside */
	struct control_out control_out;
	struct conn *gcs;		/* lasting: outside */
	pid_t gcs_pid;			/* if this daemon started it; 0 */
	uint64_t gcs_at;		/* when we connected; 0: we are not */
	unsigned gcs_failed;		/* stores in a row that did not start, or died at once */
	struct far *far;		/* the way to it, if it is on another machine: far.h */
	struct abroad *abroad;		/* other nodes: abroad.h; NULL: there are none */
	char gcs_why[256];		/* what it said before it ended, or empty */
	bool joined;
	struct cluster nodes;		/* all that are known, with this one: nodes.h */
	struct nodes_self self;
	bool heir, joined_once;		/* heir: another daemon served this node before */
	struct buf ctl;			/* a frame for the control store being made */
	struct buf ctl_queue;		/* lasting: frames while it is away */
	uint64_t next_ask, epoch, head;
	struct map asks;		/* request -> struct ask * */
	size_t asks_bytes;
	unsigned nafter;		/* of them, those that wait for the end of an actor */

	struct idmap kept;		/* memory.c, kept.c */
	struct map kept_names;
	struct heap kept_timers;
	struct list waiters, wishes;
	struct buf tells;		/* u32 proc, u64 off, u32 gen: to be freed by their makers once unpinned */
	uint64_t round, round_at;
	struct logs *logs;		/* NULL: no job yet */
	struct spill *spill;		/* NULL: nothing was moved yet */
	struct idmap moved;		/* id -> struct moved * */
	struct watch *watch;		/* watch.c */
	uint64_t collected_at;		/* when the last round began */
	bool mem_dirty;
	unsigned pinned_wait;
};

/* sends a message to a process; nothing happens if it is gone */
#define SEND_CONN(c, name_, ...) do { \
	struct conn *c_ = (c); \
	if (c_) { \
		struct msg_##name_ m_ = { __VA_ARGS__ }; \
		size_t at_ = conn_out(c_)->len; \
		conn_done(c_, at_, msg_put_##name_(conn_out(c_), &m_), NULL, 0, 0); \
	} \
} while (0)
#define SEND(p, name_, ...) SEND_CONN((p)->conn, name_, __VA_ARGS__)

/* as SEND_CONN to another node: of the session's class SMALL */
#define SEND_NODE(n, node_, name_, ...) do { \
	struct msg_##name_ m_ = { __VA_ARGS__ }; \
	struct buf b_ = BUF_INIT; \
	if (msg_put_##name_(&b_, &m_) == 0) \
		abroad_send(n, node_, &b_); \
	buf_release(&b_); \
} while (0)

static inline struct span
span_str(const char *s)
{
	return span_of(s, strlen(s));
}

static inline struct span
span_buf(const struct buf *b)
{
	return span_of(b->data, b->len);
}

/* node.c */
void	node_log(struct node *n, int e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	node_timer(struct node *n);		/* after one of the _at fields changed */
void	node_idle(struct node *n);		/* after the number of clients changed */
void	node_end(struct node *n, int result);	/* leaves the loop */
uint64_t node_memory(void);			/* bytes of RAM that we may use */

/* heir.c: what the daemon before this one left */
int	heir_name(struct node *n);		/* its socket: instead of listening anew */
int	heir_page(struct node *n);		/* its node page; the node's number */
int	heir_arena(struct node *n);		/* its arena, after memory.c has set the hooks; 0, or 1: there is none */
void	heir_lists(struct node *n, struct buf *procs, struct buf *jobs, struct buf *actors);	/* of NODE_JOIN */
void	heir_start(struct node *n);		/* who is dead is buried, who lives is waited for */
void	heir_tick(struct node *n);
int	heir_rejoin(struct nproc *p, const struct frame *f, int *fds, unsigned nfd);	/* REJOIN */
int	heir_owned(struct nproc *p, const struct frame *f);	/* OWNED */
void	heir_forget(struct nproc *p);		/* what OWNED told so far */

/* handover.c: descriptors for the next one, to opts.keeper */
void	hand_all(struct node *n);		/* from now on there can be a next one */
int	hand_journal(void *node, int fd);	/* another one; < 0: it cannot be */
void	hand_file(void *node, uint64_t number, int fd);	/* of moved objects; fd -1: it is gone */
bool	hand_chan(struct node *n, uint64_t number, uint32_t job, int fd);	/* fd -1: it is gone; false: the next one will not have it */

/*
 * estate.c: what the next daemon has to know is in the journal, before anybody hears of it: by the end of the turn, or
 * by estate_sync.  A key is a kind and some bytes.
 */
enum estate {
	ESTATE_KEPT = 'k',		/* id: struct kept without its place */
	ESTATE_MOVED = 'm',		/* id: where on the disk */
	ESTATE_CONTROL = 'c',		/* what the control store inside would put on a disk, by its keys */
	ESTATE_JOB = 'j',		/* u32 number: struct njob */
	ESTATE_ACTOR = 'a',		/* u64 number: what it was made with, if it can be made again */
	ESTATE_LIFE = 'l',		/* the same, once it has died: its restarts left and incarnation */
	ESTATE_LEAVING = 'v',		/* the same, if it is a member of a set that leaves it: empty */
	ESTATE_GROUP = 'g',		/* id: a placement group */
	ESTATE_SET = 's',		/* u64 number: a set */
	ESTATE_TXN = 't',		/* u32 process, u32 place: u64 request KV_TXN, and KV_DONE; nothing: it was asked, no more is known */
};
int	estate_start(struct node *n);
void	estate_put(struct node *n, enum estate kind, const void *key, size_t nkey, struct span val);
void	estate_del(struct node *n, enum estate kind, const void *key, size_t nkey);
void	estate_sync(struct node *n);
/* each of a kind that the last daemon left, in the order in which they were put */
void	estate_each(struct node *n, enum estate kind, void (*fn)(void *ctx, struct span key, struct span val), void *ctx);
void	estate_taken(struct node *n);		/* all of them were looked at: n->left is freed */

/* heir_jobs.c: jobs, and what goes on in them */
void	job_note(struct node *n, const struct njob *j);	/* for the next daemon: it is new, or over */
void	job_unnote(struct node *n, const struct njob *j);
void	jobs_inherit(struct node *n);
struct njob *job_driven(const struct node *n, uint32_t proc);	/* the job of this driver, or NULL */
bool	job_comes(const struct node *n, const struct njob *j);	/* its driver is one of the last daemon's, and waited for */
void	job_resume(struct node *n, struct njob *j);	/* its driver is back, or will never be: what died with the daemon is made again */
void	job_late(struct node *n, struct njob *j);	/* its driver did not come back */

/* heir_actors.c */
void	actor_note(struct node *n, const struct ask *a, const struct msg_actor_new *new, uint64_t number);
void	actor_note_life(struct node *n, const struct actor_life *a);
void	actor_unnote(struct node *n, uint64_t number);
void	actor_note_leaving(struct node *n, uint64_t number);
void	actors_inherit(struct node *n);
void	actors_list(struct node *n, struct buf *list);	/* those of the last daemon that can be made again: u64 each */

/* heir_sets.c: placement groups and sets */
void	group_note(struct node *n, const struct group_in *in);
void	group_unnote(struct node *n, struct id id);
void	set_note(struct node *n, const struct set *s);
void	set_unnote(struct node *n, uint64_t number);
void	groups_inherit(struct node *n);
void	sets_inherit(struct node *n);

/* proc.c */
struct nproc *proc_new(struct node *n, enum msg_role role, int fd);	/* takes fd on success */
struct nproc *proc_find(const struct node *n, uint64_t number);	/* alive, welcomed or on its way; or NULL */
int	proc_equip(struct nproc *p);			/* page, slab, bell, and the WELCOME frame */
void	proc_fail(struct nproc *p, uint64_t req, int code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void	proc_know(struct nproc *a, struct nproc *b);
void	proc_lost(struct nproc *p);
void	proc_gone(struct nproc *p, int code, const char *text);
void	proc_kill(struct nproc *p);
void	proc_signal(struct nproc *p, int sig);		/* now, or once its pid is known */
struct njob *job_new(struct node *n, uint32_t number);
void	job_unref(struct node *n, struct njob *j);
void	jobs_stop(struct node *n);		/* the node ends, and with it those that have something left */
void	job_over(struct node *n, struct njob *j);

/* join.c */
void	join_accept(struct listener *l, int fd, pid_t pid);
void	join_full(struct listener *l, int fd);
void	join_lost(struct nproc *p);
int	join_driver(struct nproc *p, struct span name, struct span namespace, uint64_t output);	/* asks for its job */
void	join_job(struct nproc *p, uint32_t job);		/* the control store answered */
int	join_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd);

/*
 * abroad.c: other nodes.  A process of one that is known here has a struct nproc of its own, ROLE_FAR, with a number of this
 * node: an alias.  It has our link's bell, slab and page, no connection, and is in no list but the table of processes.
 */
int	abroad_start(struct node *n, char *why, size_t nwhy);	/* the node has its number */
void	abroad_stop(struct node *n);
void	abroad_node(struct node *n, uint32_t node, const char *address, const struct res *total);	/* it is there, or has changed */
void	abroad_dead(struct node *n, uint32_t node, const char *text);
void	abroad_gone(struct node *n, uint32_t node, const char *text);	/* all that was under way with it has failed */
void	abroad_send(struct node *n, uint32_t node, const struct buf *frame);
struct nproc *abroad_proc(struct node *n, uint32_t node, uint32_t proc);	/* its alias, made if there is none; NULL: no such node */
void	abroad_unalias(struct nproc *p);	/* of proc_gone, for an alias */
/*
 * Nodes that may know of p, keys of the map: of aliases that it has something to do with, that learned of its job by others, and
 * that were asked for leases of that, which may not have answered yet.
 */
void	abroad_knowing(const struct nproc *p, struct map *nodes);
void	abroad_tell_gone(struct nproc *p, int code, const char *text);	/* the same for one of ours */
int	abroad_proc_gone(struct node *n, uint32_t node, struct span body);	/* FAR_GONE */
void	abroad_route(struct nproc *from, struct nproc *to, const struct msg_route *m);	/* to is an alias */
int	abroad_routed(struct node *n, uint32_t node, struct span body);	/* FAR_ROUTE */
/* abroad_lease.c: leases there, for processes here, and the other way */
int	abroad_ring(struct nring *r, int shm);	/* one end is an alias: the link is told */
void	abroad_ring_end(struct nring *r);
void	abroad_lease_gone(struct node *n, uint32_t node);
/*
 * abroad_turn.c, abroad_ask.c, abroad_guest.c: which node grants what (core/overflow.h, core/guest.h).  Where there is no
 * n->abroad these do nothing.
 */
bool	abroad_asks(const struct nproc *p, const struct msg_lease *m);	/* it is for abroad_ask, not for the lease core alone */
int	abroad_ask(struct nproc *p, const struct msg_lease *m);		/* LEASE */
void	abroad_here(struct nproc *p, uint64_t shape, bool made);	/* the lease core granted one to this process of ours; made: it has it */
/* it granted one to an alias: false: nobody waits for it, or there can be no ring */
bool	abroad_granted(struct nproc *sub, struct nproc *wrk, const struct lease_fx *fx, const struct msg_grant *g);
void	abroad_never(struct nproc *p, uint64_t shape);	/* it refused one to an alias */
void	abroad_over(const struct nring *r);	/* a lease is over; taken in with the next turn, after the lease core */
void	abroad_exit(struct nproc *p);		/* a process is; the same */
void	abroad_table(struct node *n, bool anew);	/* the list of nodes has changed */
void	abroad_turn(struct node *n);		/* what was put off is taken in, what was decided is carried out */
void	abroad_tick(struct node *n);
int	abroad_frame(struct node *n, uint32_t node, uint16_t type, struct span body);
/* abroad_object.c: objects of other nodes here, and the other way */
bool	abroad_fetch(struct node *n, struct id id, bool ahead);	/* one that is not here: it will be in n->moved, coming; ahead: nobody waits for it yet; false: there is nowhere to ask */
void	abroad_forget(struct node *n, struct id id);	/* its owner, who is here, let it go: so do all nodes */
void	abroad_disown(struct node *n, uint32_t node, uint32_t proc);	/* a process is gone (0: all of a node), and all that it owned */
bool	abroad_alive(const struct node *n, uint32_t node, uint32_t proc);	/* a process of another node, as far as we know */
/* abroad_leave.c: a node that drains is rid of them */
void	abroad_leave(struct node *n);		/* what others own and only this node has is to go to their nodes; to be said again until there is none */
size_t	abroad_primaries(const struct node *n);	/* objects whose only copy, as far as is known, this node has moved or could */
int	abroad_take(struct node *n, uint32_t node, struct span body);	/* FAR_TAKE */
int	abroad_took(struct node *n, struct span body);	/* FAR_TOOK */
/* abroad_actor.c: actors that live elsewhere (core/actor_far.h).  Where there is no n->abroad these do nothing. */
/* a node for it, best near; asked: that is going to be asked; 0: none is ever good for it, and why */
uint32_t abroad_actor_place(struct node *n, const struct msg_actor_new *m, uint32_t near, bool asked, char *why, size_t nwhy);
void	abroad_actor_keep(struct node *n, const struct ask *a, const struct msg_actor_new *m, uint64_t number);	/* registered */
void	abroad_actor_step(struct node *n, const struct afar_in *in);
void	abroad_actor_tick(struct node *n);
bool	abroad_actor_new(struct nproc *p, struct span body);	/* ACTOR_NEW, in a job of another node: that one makes it */
void	abroad_actor_made(const struct nproc *to, const struct msg_actor *m);	/* an alias that asked so is answered */
void	abroad_fail(const struct nproc *to, uint64_t req, int code, const char *text);	/* the same: FAIL */
/* use: op and what belongs to it, done by use->proc, or for p; false: there are no other nodes */
bool	abroad_actor_use(struct nproc *p, uint64_t actor, const struct afar_in *use);
bool	abroad_actor_at(struct node *n, uint64_t actor, uint32_t node, const char *text);	/* the control store's answer */
void	abroad_actor_note(struct node *n, const struct actor_life *a);	/* a->keeper is to know how it is */
void	abroad_actors_joined(struct node *n);	/* the control store may be a new one: it is told which live here */
void	abroad_actor_state(const struct nproc *to, const struct actor_life *a);	/* an alias is */
void	abroad_actor_ring(const struct nring *r, const struct msg_grant *g);	/* an alias, of a ring to an actor of ours */
int	abroad_actor_frame(struct node *n, uint32_t node, uint16_t type, struct span body);
/* abroad_cancel.c */
void	abroad_cancel(struct nring *r, const struct msg_cancel *m);	/* a task that went through r, to a worker there */
void	abroad_cancel_scope(struct nproc *p, uint64_t scope);	/* p wants it ended: other nodes that its job is at are told */
int	abroad_cancelled(struct node *n, uint32_t node, struct span body);	/* FAR_CANCEL */

/* worker.c */
int	zygote_start(struct node *n, char *why, size_t nwhy);
void	zygote_stop(struct node *n);
void	zygote_watch(struct node *n);	/* it is to look at the node page, if there is a limit in it */
/* queued for a fork; NULL: no memory or descriptors.  silent: its output goes nowhere, for it outlives its driver's */
struct nproc *worker_new(struct node *n, struct njob *j, bool silent, const struct lease_fx *fx);
void	worker_exited(struct nproc *p);

/* gpus.c */
unsigned gpus_find(const char *name[GPUS_MAX]);	/* how many there are, and their names, which are never freed */

/* grant.c */
void	grant_run(struct node *n);			/* carries out n->lease_out */
void	grant_step(struct node *n, const struct lease_in *in);
void	job_tell_scope(struct node *n, const struct njob *j, const struct nproc *but, uint64_t scope);	/* all of its processes here */
void	grant_idled(struct nproc *p);	/* its blocked or stopped has changed */
int	grant_frame(struct nproc *p, const struct frame *f);	/* LEASE RETURN BLOCKED KILL */
/* far: its number at the worker's node, if that is another one; else 0 */
struct nring *ring_new(struct node *n, struct nproc *sub, struct nproc *wrk, uint64_t number, uint64_t actor, uint64_t far,
	    const struct msg_grant *g, const struct res *need);
void	ring_return(struct nring *r);		/* its submitter gives the lease back */
void	ring_end(struct nring *r, uint32_t dead);
/* 0, ERR_PROTO, or ERR_NOTFOUND: custom is then the name of a resource that is not known here, r's CPUs how much of it */
int	res_of(struct node *n, struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span *custom);
int	res_known(struct node *n, struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span *custom, bool make);

/* actors.c */
void	actors_step(struct node *n, const struct actor_in *in);
void	actors_place(struct node *n, uint64_t number);
void	actors_made(struct node *n, const struct ask *a, const struct msg_actor *m);
void	actors_found(struct node *n, struct ask *a, const struct msg_actor *m);	/* the control store knew it before */
int	actors_frame(struct nproc *p, const struct frame *f);
int	actors_make_for(struct nproc *p, struct njob *j, struct span body);	/* ACTOR_NEW of p, of this job, which may be NULL: any node has it */
void	actors_stop(struct node *n);

/* ctl.c */
void	ctl_ask_free(struct node *n, struct ask *a);
int	ctl_start(struct node *n, char *why, size_t nwhy);
void	ctl_stop(struct node *n);
/* the number of a request to be answered through ctl_frame; 0: no memory */
uint64_t ctl_ask(struct node *n, const struct nproc *p, uint64_t req, uint16_t type, struct span body);
void	ctl_forget(struct node *n, uint64_t ask);	/* nobody wants the answer any more */
void	ctl_send(struct node *n);		/* the frame that was put into n->ctl */
void	ctl_tick(struct node *n);
int	rows_past(struct node *n, const struct frame *f);	/* PAST_ROWS */
#define CTL(n, name_, ...) do { \
	if (msg_put_##name_(&(n)->ctl, &(struct msg_##name_){ __VA_ARGS__ }) == 0) \
		ctl_send(n); \
} while (0)

/* nodes.c: the list of all nodes, and our own row in it */
int	nodes_start(struct node *n, char *why, size_t nwhy);
/* what NODE_JOIN says of us; n->gcs is there if the store is outside; custom: bytes that m points to, the caller's */
void	nodes_join(struct node *n, struct msg_node_join *m, struct buf *custom);
void	nodes_joined(struct node *n);
/* has this node the labels that a LEASE's on asks for?  1; 0 or -EINVAL with a line in why */
int	nodes_labelled(const struct node *n, struct span on, char why[NODE_MESSAGE]);
void	nodes_alone(struct node *n, const struct msg_node_join *m);	/* the same with the store inside */
int	nodes_frame(struct node *n, const struct frame *f);	/* NODES */
void	nodes_news(struct node *n);		/* abroad.c hears what is new of the others */
void	nodes_load(struct node *n, struct buf *b);	/* how loaded we are now, as NODE_LOAD has it; nothing: no memory */
void	nodes_turn(struct node *n);		/* at the end of each turn: our load may have changed */
void	nodes_tick(struct node *n);
void	nodes_stop(struct node *n);

/* elastic.c */
int	elastic_frame(struct nproc *p, const struct frame *f);	/* SCALE */
void	elastic_gone(const struct nproc *p);
void	elastic_news(struct node *n, bool anew);	/* the list of nodes changed, or was begun anew */
bool	elastic_could(struct node *n, const struct res *need);	/* a node that could come could serve it */
uint64_t elastic_mark(const struct node *n);	/* another one when elastic_wanted says something else */
void	elastic_wanted(const struct node *n, char *text, size_t size);	/* as lease_wanted, with what waits for no node in particular */
void	elastic_stop(struct node *n);

/* drain.c: no new work */
void	drain_set(struct node *n, enum drain_why why, bool on);
void	drain_turn(struct node *n);		/* at the end of each turn: the node may be empty now, and then ends */
int	drain_frame(struct nproc *p, const struct frame *f);	/* DRAIN */
int	drain_far(struct node *n, struct span body);	/* FAR_DRAIN */

/* fence.c: until when we may work */
void	fence_join(struct node *n);		/* NODE_JOIN is on its way */
bool	fence_joined(struct node *n, uint64_t limit);	/* the number is ours; limit: as NODE_JOINED has it; false: it may be over, wait */
void	fence_page(struct node *n);		/* there is a node page now */
int	fence_frame(struct node *n, const struct frame *f);	/* HEARTBEAT */
void	fence_nobody(struct node *n, uint64_t since);	/* where the control store was there is none, as of some time after this one */
void	fence_out(struct node *n, const char *why);	/* the node is given up, or may be: it ends, for another one to begin */
void	fence_tick(struct node *n);

/* logs.c: what tasks print (node/logs.h) */
void	logs_sweep(int dir);		/* removes what killed nodes have left there */
struct logsink *logs_job(struct node *n, uint32_t job, int fd, enum msg_output mode);	/* takes fd; NULL: it is shown nowhere */
struct logsink *logs_job_far(struct node *n, uint32_t job, uint32_t home);	/* to its driver's node */
int	logs_far_frame(struct node *n, uint32_t node, uint16_t type, struct span body);	/* FAR_OUTPUT, …: logs_far.c */
void	logs_alone(struct node *n);		/* there is no link any more */
void	logs_job_over(struct node *n, struct logsink *s);	/* its driver is gone */
void	logs_job_end(struct node *n, struct logsink *s);	/* and its last process */
int	logs_worker(struct nproc *p);	/* its stdout and stderr: a descriptor, the caller's; -1: there can be none */
bool	logs_last(struct nproc *p);	/* dead: completes p->text; true: proc_gone will be called once its lines are shown */
void	logs_gone(struct nproc *p);	/* its page goes */
int	logs_frame(struct nproc *p, const struct frame *f);	/* FLUSH */
void	logs_stop(struct node *n);	/* all processes are gone */

/* memory.c */
uint64_t memory_size(const struct node *n);	/* bytes of the object store, before it is there too */
int	memory_start(struct node *n);
void	memory_stop(struct node *n);
int	memory_frame(struct nproc *p, const struct frame *f);	/* EXTENT UNLEND FREE COLLECTED */
void	memory_gone(struct nproc *p);
void	memory_turn(struct node *n);		/* at the end of each turn */
void	memory_tick(struct node *n);
void	memory_free(struct node *n, uint64_t off, uint32_t gen, bool check);	/* check: first see that nobody pins it */

void	memory_wait(struct node *n, const struct waiter *w);	/* queued until there is room, or its time is up */
void	memory_owes(struct nproc *p);		/* it is asked for something that gives room back: nproc.owes */
void	memory_tell(struct nproc *p, uint64_t off, uint32_t gen, bool spare);	/* p made it and is to free it */
bool	memory_pinned(struct node *n, uint64_t off, uint32_t gen);

void	memory_collect(struct node *n);		/* everybody is told to collect garbage, now and then */

/* watch.c: memory of processes */
int	watch_start(struct node *n);
void	watch_stop(struct node *n);
void	watch_awake(struct node *n);		/* work begins, maybe */
void	watch_gone(struct nproc *p);
const char *watch_killed(struct nproc *p);	/* it died of SIGKILL: if the kernel did that for memory, the text; or NULL */

/* spill.c, restore.c: objects whose place is the node's choice: it moves them to the disk and back (see node/spill.h) */
/* works at making room; ahead: nobody waits for it yet; false: nothing can be moved, see spill_why */
bool	spill_push(struct node *n, uint64_t need, bool ahead);
void	spill_give_back(struct node *n);	/* free room of the node's own extents */
const char *spill_why(const struct node *n);	/* why nothing is written, or "" */
bool	spill_hot(const struct node *n);		/* objects were moved within the last second */
int	spill_frame(struct nproc *p, const struct frame *f);	/* EVICTABLE RESTORE FORGET */
bool	spill_restore(struct node *n, const struct waiter *w);	/* tried again: true: no need to wait any longer */
bool	spill_adopt(struct node *n, const struct arena_item *it);	/* it is one of these, and lies in the arena; false: no memory */
void	spill_inherit(struct node *n);		/* the files that the last daemon left */
void	spill_disown(struct node *n, uint32_t proc, const struct idmap *still);	/* proc's are freed, but those in still (NULL: none) and kept ones */
void	spill_failed(struct node *n, const struct waiter *w, const char *text);	/* there is no room */
bool	spill_forget(struct node *n, struct id id);	/* false: it is none of these */
bool	spill_where(struct node *n, struct id id, uint64_t *off, uint32_t *gen, uint64_t *size);	/* off 0: not in the arena */
bool	spill_on_disk(struct node *n, struct id id);
uint32_t spill_slot(struct node *n, struct id id);	/* its owner's record, or 0 */
void	spill_each(struct node *n, void (*fn)(void *ctx, struct id id, uint64_t size, uint32_t made, bool disk, bool resident), void *ctx);
void	spill_stop(struct node *n);

/* kept.c */
int	kept_frame(struct nproc *p, const struct frame *f);	/* KEEP LOOKUP REMOVE */
void	kept_tick(struct node *n);
bool	kept_answer(struct nproc *p, const struct msg_route *m);	/* a question to a dead owner of a kept object */
void	kept_gone(struct nproc *p);			/* nothing it waits for is wanted any more */
void	kept_stop(struct node *n);

/* pages.c */
void	pages_turn(struct node *n);		/* more was lent: free room may need pages */
void	pages_stop(struct node *n);

/* kv.c */
int	kv_frame(struct nproc *p, const struct frame *f);		/* KV_GET KV_TXN KV_WATCH KV_CANCEL */
int	kv_answer(struct node *n, const struct ask *a, const struct frame *f);	/* KV_ROWS KV_DONE KV_EVENTS */
bool	kv_again(struct node *n, const struct nproc *p, const struct ask *a);
void	kv_inherit(struct node *n);		/* what was changed, and perhaps not answered, by the daemon before this one */
void	kv_stop(struct node *n);
void	kv_late(struct node *n, uint32_t proc);	/* that one will not come back */
void	kv_gone(struct nproc *p);

/* chans.c */
int	chans_frame(struct nproc *p, const struct frame *f);	/* CHAN_NEW CHAN_OPEN CHAN_CLOSE */
void	chans_lost(struct nproc *p);
void	chans_inherit(struct node *n);		/* of the daemon before this one */
void	chans_back(struct nproc *p);		/* p is back: its ends are its own */
void	chans_late(struct node *n, uint32_t proc);	/* that one will not come back */
void	chans_job_over(struct node *n, uint32_t job);
void	chans_stop(struct node *n);

/* groups.c */
void	groups_start(struct node *n);		/* the node has its number and its resources */
void	groups_step(struct node *n, const struct group_in *in);
int	groups_make(struct node *n, const struct group_in *in, char text[200]);	/* GROUP_IN_NEW, by the node itself */
int	groups_frame(struct nproc *p, const struct frame *f);	/* GROUP_NEW GROUP_ASK GROUP_DEL GROUP_FIND */
bool	groups_abroad(const struct node *n, struct id id);	/* it may have bundles on other nodes */
bool	groups_gone(struct node *n, struct id id, char why[NODE_MESSAGE]);	/* as far as is known */
/* what the lease core is to grant from: 1, with in->group and bundle; 0: once it is there, actors_place will be called; < 0: never, why */
int	groups_place(struct node *n, const struct actor_life *a, struct lease_in *in, char why[NODE_MESSAGE]);
int	groups_lease(struct node *n, struct id id, unsigned bundle, struct lease_in *in, char why[NODE_MESSAGE]);	/* not abroad: 1 or < 0 */
bool	groups_of(const struct node *n, uint64_t number, struct id *id, unsigned *bundles);	/* the lease core's number; false: it is gone */
void	groups_reserved(struct node *n, uint64_t number, const char *never);	/* by the lease core; never: why it cannot be, or NULL */

/* abroad_group.c, abroad_hold.c: placement groups over many nodes */
int	abroad_group_frame(struct node *n, const struct frame *f);	/* of the control store */
void	abroad_group_joined(struct node *n);	/* it is there, again */
bool	abroad_group_again(struct nproc *p, const struct ask *a);	/* it went away before it answered: asked once more */
int	abroad_group_new(struct nproc *p, const struct msg_group_new *m);
void	abroad_group_ask(struct nproc *p, struct id id, bool del);
void	abroad_group_find(struct nproc *p, const struct msg_group_find *m, struct span body);
void	abroad_group_list(struct nproc *p, uint64_t req);
bool	abroad_group_gone(struct node *n, struct id id, char why[NODE_MESSAGE]);
bool	abroad_group_never(struct node *n, const struct msg_actor_new *m);	/* such an actor cannot be in its group */
/* 1: where such an actor is to be made; 0: not known yet, abroad_actor_make will be called; < 0: it can never be, why */
int	abroad_group_home(struct node *n, const struct msg_actor_new *m, uint64_t actor, uint32_t *node, char why[NODE_MESSAGE]);
void	abroad_actor_make(struct node *n, uint64_t actor);	/* it waited for its placement group */
int	abroad_group_actor(struct node *n, const struct actor_life *a, struct lease_in *in, char why[NODE_MESSAGE]);	/* as groups_place */
void	abroad_group_job_over(struct node *n, uint32_t job);
void	hold_reserved(struct node *n, uint64_t number, bool never);
bool	hold_group(const struct node *n, uint64_t number, struct id *id, unsigned *bundles);

/* sets.c */
void	sets_step(struct node *n, const struct set_in *in);
int	sets_frame(struct nproc *p, const struct frame *f);	/* SET_NEW SET_FIND SET_WATCH SET_RESIZE SET_END */
bool	sets_held(struct node *n, uint64_t set, uint32_t rank, uint64_t actor, bool leaving);	/* this member is made again; false: it is none */
void	sets_actor(struct node *n, const struct actor_life *a);	/* a member's state changed */
void	sets_grouped(struct node *n, const struct group_fx *fx);	/* a gang's placement group did */
struct id sets_group(const struct node *n, uint64_t set);	/* that of a gang, or all 0 */
bool	actors_again(struct node *n, const struct ask *a);
void	actors_alive(const struct node *n, struct buf *list);
bool	actors_make(struct node *n, struct njob *j, struct span body, uint64_t set, uint32_t rank);	/* actors.c */

/* rows.c */
int	rows_frame(struct nproc *p, const struct frame *f);		/* LIST */

#endif
