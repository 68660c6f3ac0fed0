/*
 * node - one machine's daemon (part_node.c), and the drivers and workers that it serves (procs.c).
 *
 * Mail between a process and its daemon comes in order and late, as on a socket; a ring between a driver and a worker is
 * memory of both, so that what one writes the other sees at once.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "core/actor.h"
#include "core/group.h"
#include "core/lease.h"
#include "core/retry.h"
#include "parts.h"

enum { TASKS = 12, SHAPES = 2, HOLDS = 256, RING = 2, ACTORS = 4 };

enum mail_kind {
	M_ASK, M_RETURN, M_BLOCKED, M_UP, M_ACTOR, M_HOLD, M_DROP, M_KILL, M_RESTART, M_GROUP, M_UNGROUP, M_BYE,	/* to the daemon */
	M_GRANT, M_FAIL, M_WANT, M_DEAD, M_STOP, M_START, M_STATE, M_GROUPED,	/* from it */
};

struct mail {
	struct list link;
	enum mail_kind kind;
	uint64_t a, b;
};

struct task {
	enum { T_WAIT, T_SENT, T_RUNS, T_DONE, T_FAILED } state;
	unsigned shape, charged;
	struct retry r;
	uint64_t at;			/* it waits until then, of the world's time */
	bool raises;
};

struct proc;

struct ring {
	struct list link;
	uint64_t lease;
	struct proc *sub, *wrk;
	unsigned q[RING], nq, want, shape;
	bool claimed;			/* q[0] runs */
};

struct proc {
	struct node *n;
	uint32_t number, job;
	bool driver, alive, lost, stopping, ready, spared;	/* lost: the daemon knows; spared: the node killed it for memory */
	uint64_t actor;
	struct ring *ring;		/* of a worker */
	uint64_t run;			/* number of what it runs, 0 nothing */
	struct list mail[2];		/* to the daemon, to it */
	uint64_t last[2];		/* when the last of each comes */
	struct task task[TASKS];	/* of a driver from here */
	unsigned ntask, todo, asked[SHAPES];
	uint64_t known[ACTORS];		/* actors that it holds */
	unsigned nknown, ngroup;
	bool grouped, driving, again[SHAPES];
};

struct hold {				/* our own book: what was granted and is not over */
	uint64_t lease, actor;
	uint32_t proc, worker;
	struct res need;
	bool blocked;
};

struct node {
	struct sim_machine *m;
	struct lease_core lease;
	struct actor_core actor;
	struct group_core group;
	struct lease_out lease_out;
	struct actor_out actor_out;
	struct group_out group_out;
	bool on, granting, acting, grouping;
	uint64_t lease_at, actor_at, group_at, runs;
	struct res total, shape[SHAPES];
	struct map procs, rings;
	uint32_t next;
	unsigned drivers;
	struct hold hold[HOLDS];
	unsigned nhold;
	struct res aside;		/* of groups that were told to be set aside */
};

struct nodes {
	struct node *node;
	uint64_t actors;		/* numbers given */
	uint64_t done, failed, lives;	/* figures */
};

static inline struct nodes *
nodes_of(const struct sim *s)
{
	return s->of[NODE_PART];
}

/* part_node.c */
void	node_grant(struct sim *s, struct node *n, const struct lease_in *in);
void	node_actor(struct sim *s, struct node *n, const struct actor_in *in);
void	node_group(struct sim *s, struct node *n, const struct group_in *in);
void	node_mail(struct sim *s, struct proc *p, const struct mail *m);
void	node_lost(struct sim *s, struct proc *p);		/* nothing more comes from it */
void	node_gone(struct sim *s, struct proc *p);		/* it is dead: frees it */
/* procs.c */
struct proc *proc_new(struct sim *s, struct node *n, bool driver, uint32_t job);
void	proc_free(struct proc *p);
void	proc_die(struct sim *s, struct proc *p);		/* now; the daemon hears of it later */
void	proc_kill(struct sim *s, struct proc *p);		/* soon */
void	mail(struct sim *s, struct proc *p, enum mail_kind kind, uint64_t a, uint64_t b);
void	ring_end(struct sim *s, struct ring *r);
bool	proc_idle(const struct proc *p);

#endif
