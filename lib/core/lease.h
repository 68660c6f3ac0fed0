/*
 * lease - who may use how much of a node, decided purely.
 *
 * A process says how many leases of a resource shape it wants in all; each lease is one worker of its job for a
 * while.  Grants go by priority, then to the job that uses least, then to the process that waited longest.  What is
 * idle is lent beyond anybody's share; when somebody waits, leases are called back (level 1), after a grace their
 * workers are told to claim no more (2), and then they are taken as soon as the worker is idle (3).
 * A lease that is over, returned or dead, lowers what its process wants by one: it asks again if it wants as many.
 * A blocked worker's CPUs return to the pool.  A worker with GPUs, or one that is to be replaced, ends with its lease.
 * Actors are placed by the same rules and never called back.
 * A placement group (core/group.h) sets resources aside: all its bundles that are meant for this node at once, waiting
 * for them like a request of its job.  Each bundle is a pool of its own, from which alone what names it is granted;
 * when the group is released its pools go back to the node, and what still runs there is ended.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.  Amounts are thousandths, memory bytes.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"
#include "core/gpus.h"

enum { RES_CPU, RES_GPU, RES_MEM, RES_CUSTOM, RES_MAX = 16 };

#define LEASE_HOLD	UINT64_C(10000000)	/* ns: nobody is called back sooner */
#define LEASE_SLICE	UINT64_C(100000000)	/* ns: turn of a lease when there are more jobs than room */
#define LEASE_GRACE	UINT64_C(100000000)	/* ns: from level 1 to level 2 */
#define LEASE_LATE	UINT64_C(1000000000)	/* ns: what was called back and has not come by then is not counted on any more */
#define LEASE_TAKE	UINT64_C(20000000)	/* ns: first try to take it, then ever later */
#define LEASE_NOTICE	UINT64_C(5000000000)	/* ns: who waits so long for its first lease is told what for */
#define LEASE_RESERVE	UINT64_C(200000000)	/* ns: room is kept free for a large request that calls back */

struct res {
	int64_t v[RES_MAX];
};

#define LEASE_DEMANDS 1024u		/* kinds of workers that a process may wait for at one time */

struct lease_limits {
	unsigned workers;		/* task workers, idle ones included */
	unsigned actors;
	unsigned idle;			/* idle workers kept warm for a job */
};

struct lease_pool {		/* a bundle */
	struct res total, free;	/* free as the node's; not meaningful before the group is held */
	uint64_t devices;	/* GPUs that it has, or has parts of */
	struct gpus gpu;	/* what is free of them */
};

struct lease_core {
	struct res total, free;		/* ro; free is negative while woken workers overshoot */
	struct gpus gpu;
	char name[RES_MAX][64];		/* custom resources; "" unused */
	struct lease_limits limit;
	unsigned nworker, nactor;	/* ro */
	uint64_t hold_until;		/* private from here: forks fail, no grants before this time */
	uint64_t last, turn, pass;	/* last lease number; order of requests and grants; the last one in which it was looked who is next */
	struct list demands, leases;
	struct map by_lease, by_worker, jobs, groups;
	struct map placing;	/* actor -> its place among those that wait */
	struct list idle;
};

enum lease_in_kind {
	LEASE_IN_ASK,		/* proc, job, shape, need, priority, want, req, wait, threads */
	LEASE_IN_PLACE,		/* the same for an actor: proc 0, actor; once */
	LEASE_IN_UNPLACE,	/* actor: it waits no more */
	LEASE_IN_RETURN,	/* proc, lease */
	LEASE_IN_BLOCKED,	/* proc (the worker), on: what it runs waits, or it is stopped itself */
	LEASE_IN_GONE,		/* proc died, submitter or worker */
	LEASE_IN_NOFORK,	/* lease: no worker could be made for it; it is over, still wanted, and forks rest for a while; an actor is
				   to be placed once more */
	LEASE_IN_RETIRE,	/* proc (a worker): it claims no more and is to be replaced */
	LEASE_IN_RECALL,	/* all leases of tasks are called back, but those from placement groups */
	LEASE_IN_RESERVE,	/* group, job, bundles, nbundle, priority: RESERVED once all are set aside, FAIL if never */
	LEASE_IN_RELEASE,	/* group */
	LEASE_IN_TICK,		/* the time that lease_out.at asked for */
};

struct lease_in {
	enum lease_in_kind kind;
	uint32_t proc, job;
	uint64_t shape, actor, lease, req, want;
	uint64_t group;			/* ASK, PLACE: from this group, 0 the node; from its bundle, 1 first, 0 any */
	unsigned bundle, nbundle;
	const struct res *bundles;
	struct res need;
	int64_t priority;
	unsigned threads;		/* of the worker's environment: who wants others gets another worker */
	bool wait, on, capture;		/* capture: what it runs asks for the same group */
};

enum lease_fx_kind {
	LEASE_FX_GRANT,		/* lease to proc (or actor): worker, or 0: fork one and lease_bind it before the next step */
	LEASE_FX_FAIL,		/* proc, req (or actor), text: it can never be */
	LEASE_FX_RESERVED,	/* group */
	LEASE_FX_CALL,		/* lease, level */
	LEASE_FX_END,		/* worker: to be ended; level 1: it is idle, and may stay while others hold its objects;
				 * 2: its placement group is removed */
	LEASE_FX_NOTICE,	/* proc (or actor), text: what it has been waiting for: "waiting for 1 GPU: 0 of 4 free" */
};

struct lease_fx {
	enum lease_fx_kind kind;
	uint32_t proc, job, worker;
	uint64_t lease, actor, req, shape, group;
	struct res need;
	uint64_t devices;		/* GRANT: GPUs, bit i for number i */
	unsigned level, threads;
	bool capture;
	char text[160];
};

struct lease_out {
	struct lease_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with LEASE_IN_TICK; 0: no need */
};

void	lease_init(struct lease_core *c, const struct res *total, const struct lease_limits *limit);
void	lease_release(struct lease_core *c);
/* number of a custom resource, or RES_MAX; with make it gets one if there is room */
unsigned lease_resource(struct lease_core *c, const char *name, size_t n, bool make);
/* Takes one input, appends the effects to o->fx and sets o->at: 0 or -ENOMEM, then the input was not taken. */
int	lease_step(struct lease_core *c, uint64_t now, const struct lease_in *in, struct lease_out *o);
/* can the node ever satisfy it?  If not the words that say why: "needs 64 cpus; this node has 2" */
bool	lease_feasible(const struct lease_core *c, const struct res *need, char *text, size_t n);
/* the bundles of a group that is known here: their number, 0 for none */
unsigned lease_pools(const struct lease_core *c, uint64_t group, const struct lease_pool **pool);
void	lease_bind(struct lease_core *c, uint64_t lease, uint32_t worker);
uint64_t lease_devices(const struct lease_core *c, uint32_t worker);	/* GPUs of its lease */
/* of a need that does not fit now: "1 GPU: 0 of 4 free"; false if it fits */
bool	lease_lacks(const struct lease_core *c, const struct res *need, char *text, size_t n);
uint64_t lease_waiting(const struct lease_core *c);	/* how many leases are waited for */
uint64_t lease_granted(const struct lease_core *c);	/* how many there are, actors' too */
/*
 * What waits here and room on another node could serve, as text: `3*cpus=1 1*gpus=0.5,ssd=1 1*pack(1*cpus=2 1*cpus=2)`, so many
 * leases of so much each, a group with all its bundles; memory in bytes.  Whole entries, those that fit in n bytes; its length.
 */
size_t	lease_wanted(const struct lease_core *c, char *text, size_t n);
uint64_t lease_wanted_mark(const struct lease_core *c);	/* another one when that text is another; cheap */
size_t	lease_wanted_one(const struct lease_core *c, const struct res *need, uint64_t k, char *text, size_t n);	/* one such entry */
bool	lease_live(const struct lease_core *c, uint64_t lease);
bool	lease_of(const struct lease_core *c, uint32_t worker, uint64_t *lease, uint32_t *submitter);
struct res lease_need(const struct lease_core *c, uint32_t worker);	/* what its lease holds; zeros if idle */
int	lease_check(const struct lease_core *c);	/* tests: 0 if all figures agree, else the line that found the fault */

#endif
