/*
 * lease_inner - what lease.c, which takes inputs and keeps the figures, and lease_share.c, which decides who gets what,
 * share, with lease_group.c, which keeps the pools of groups, lease_actors.c, and lease_look.c, which changes nothing.
 * Nobody else includes it.
 */
#ifndef CORE_LEASE_INNER_H
#define CORE_LEASE_INNER_H

#include "core/lease.h"

struct job {
	uint32_t job;
	unsigned refs, idle;
	int64_t use, called;		/* CPUs of its running leases; of them on their way back */
};

struct lgroup {
	uint64_t number;
	struct job *job;
	int64_t use;			/* what it counts for in its job's use */
	bool held;			/* else it waits for its resources */
	unsigned n;
	struct lease_pool pool[];
};

struct demand {				/* what a process wants of a shape, or some actors or a group of its node */
	struct list link;		/* first what is looked at of each one at every step: one cache line of it */
	uint64_t want, have, turn, skip;	/* skip: the pass in which it is served no more */
	struct job *job;
	struct lgroup *group;		/* whose pools it is granted from, or NULL */
	unsigned needs;			/* bit r: need.v[r] > 0 */
	bool wait, told;
	int64_t priority;
	uint64_t since;			/* it has no lease since */
	uint32_t proc;
	uint64_t shape, actor, req, reserved;
	struct res need;
	int64_t use, called;
	unsigned threads;
	struct list actors;		/* that wait, if actor, the first of them, is not 0 */
	struct lgroup *reserve;		/* a group's own: all of it at once */
	unsigned bundle;
	bool capture;
};

struct lease {
	struct list link;		/* in core->leases, oldest first */
	uint64_t id, actor, granted, called, take;
	struct demand *d;		/* NULL for an actor's */
	struct job *job;
	uint32_t proc, worker;
	struct res need;
	uint64_t devices;
	unsigned level, threads;
	bool blocked;
	struct lgroup *group;		/* NULL: granted from the node */
	struct lease_pool *pool;	/* of the group */
};

struct wrk {
	struct list link;		/* in core->idle, last in first */
	uint32_t proc;
	struct job *job;
	struct lease *l;		/* NULL: idle */
	unsigned threads;
	bool last;			/* it ends with its lease */
	bool blocked;			/* given to nobody meanwhile */
};

static inline unsigned
needs_of(const struct res *need)
{
	unsigned m = 0;

	for (unsigned r = 0; r < RES_MAX; r++)
		m |= (unsigned)(need->v[r] > 0) << r;
	return m;
}

/* what a lease counts for when shares are compared: a worker without CPUs is still a little */
static inline int64_t
use_of(const struct res *r)
{
	return r->v[RES_CPU] > 0 ? r->v[RES_CPU] : 1;
}

static inline int64_t
held(const struct lease *l, unsigned r)
{
	return r == RES_CPU && l->blocked ? 0 : l->need.v[r];
}

static inline struct res *
purse(struct lease_core *c, const struct lease *l)	/* where l's resources came from and go back to */
{
	return l->pool ? &l->pool->free : &c->free;
}

static inline struct gpus *
lease_gpus(struct lease_core *c, const struct lease *l)
{
	return l->pool ? &l->pool->gpu : &c->gpu;
}

static inline void
soon(struct lease_out *o, uint64_t at)		/* a tick is needed by then */
{
	if (o->at == 0 || at < o->at)
		o->at = at;
}

/* lease.c */
struct lease_fx *lease_fx_add(struct lease_out *o, enum lease_fx_kind kind);
void	lease_count(struct lease *l, int64_t sign);	/* l's share in its job's and demand's figures */
bool	lease_staffed(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o);
int	lease_grant(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o);

void	lease_call(uint64_t now, struct lease *l, struct lease_out *o);	/* called back: level 1 */
bool	lease_fits(const struct lease_core *c, const struct res *need);	/* now; lease_look.c */
struct job *lease_job(struct lease_core *c, uint32_t number);		/* counted; NULL: no memory */
void	lease_job_put(struct lease_core *c, struct job *j);
void	lease_demand_end(struct lease_core *c, struct demand *d);
void	lease_over(struct lease_core *c, struct lease *l, bool stays);
void	lease_refuse(const struct lease_in *in, const char *text, struct lease_out *o);

/* lease_actors.c */
struct demand *lease_actors_like(const struct lease_core *c, const struct lease_in *in);	/* where in->actor waits, or may; NULL */
int	lease_actors_add(struct lease_core *c, struct demand *d, uint64_t actor);	/* 0, also if it was there; -ENOMEM */
void	lease_actors_served(struct lease_core *c, uint64_t now, struct demand *d);	/* its first; the last one ends d */
void	lease_actors_leave(struct lease_core *c, uint64_t actor);
void	lease_actors_refuse(struct lease_core *c, struct demand *d, const char *text, struct lease_out *o);	/* all; d ends */
void	lease_actors_end(struct lease_core *c);

/* lease_group.c */
int	lease_reserve(struct lease_core *c, const struct lease_in *in, struct lease_out *o);
void	lease_hold(struct lease_core *c, struct demand *d, struct lease_out *o);	/* there is room: it is granted */
void	lease_unreserve(struct lease_core *c, uint64_t number, struct lease_out *o);
/* the pool that d can be granted from now, NULL if there is none; any: that could ever serve it */
struct lease_pool *lease_pool_for(const struct lgroup *g, const struct res *need, unsigned bundle, bool any);
bool	lease_group_feasible(const struct lease_core *c, const struct lease_in *in, char *text, size_t n);
bool	lease_holdable(const struct lease_core *c, const struct demand *d);	/* is there room for d->reserve now? */
/* adds what groups hold to held, and gives their devices to gpu */
int	lease_group_check(const struct lease_core *c, struct res *held, struct gpus *gpu);
void	lease_group_end(struct lease_core *c);

/* lease_share.c */
void	lease_schedule(struct lease_core *c, uint64_t now, struct lease_out *o);	/* grants, and calls back for those who wait */
void	lease_notices(struct lease_core *c, uint64_t now, struct lease_out *o);	/* who has waited for long */
void	lease_press(struct lease_core *c, uint64_t now, struct lease_out *o);	/* the grace of called leases runs out */

#endif
