/*
 * actor - the lives of a node's actors, decided purely: placed, started, alive, restarted, stopped, dead.
 *
 * Who may call an actor has it open; who has a handle holds it.  An actor that nobody holds ends after the calls
 * already sent, unless it is detached.  When its worker dies it gets another one while restarts are left: the next
 * incarnation, the same specification, and new rings to all who had it open.  Names and numbers are the control
 * store's (core/control.h).
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_ACTOR_H
#define CORE_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/heap.h"
#include "base/map.h"
#include "core/lease.h"
#include "wire/msg.h"

struct actor_opener {
	uint32_t proc, group;		/* a ring for each concurrency group that it calls */
	uint64_t req;
	bool granted;			/* has a ring to the present incarnation */
};

enum actor_stage { STAGE_NONE, STAGE_PLACING, STAGE_STARTING, STAGE_UP };

struct actor_life {			/* ro for all but actor.c */
	uint64_t number;
	struct buf name, class, namespace, methods, spec, error;
	char text[240];			/* why it died */
	struct res need;
	struct id pgroup;		/* placement group, or all 0 */
	unsigned bundle;
	bool capture;
	uint64_t set;			/* that it is a member of: who holds it does not matter; 0 */
	uint32_t rank;			/* in that */
	uint32_t keeper;		/* node that keeps it (core/actor_far.h), 0: nobody but us */
	bool unfit;			/* it died of what it is: no place for it, or its constructor failed */
	uint32_t job, creator, restarts, incarnation, worker;
	uint64_t req;			/* of one of the daemon before: its creator's request; 0 */
	unsigned threads;		/* as in lease_in */
	enum actor_state state;
	enum actor_stage stage;
	bool detached, ending, final;	/* ending: told to stop; final: its worker's death is the end */
	bool orphan;			/* nobody holds it, and timer is the grace */
	bool wait;
	unsigned crashes;
	uint64_t crashed;		/* time of the last one */
	struct heap_node timer;
	uint32_t *holder;
	uint32_t *watcher;		/* who found it by name and may remember it: told when it dies */
	struct actor_opener *opener;
	unsigned nholder, nwatcher, nopener;
};

#define ACTOR_GRACE UINT64_C(50000000)	/* ns from the last handle's drop to the end */

struct actor_core {
	uint64_t now;			/* private: of the step */
	struct map actors;		/* number -> struct actor_life * */
	struct heap timers;
};

enum actor_in_kind {
	ACTOR_IN_NEW,		/* proc, job, namespace, new, set, rank, keeper: registered under number actor */
	ACTOR_IN_HEIR,		/* as NEW, and req, restarts, incarnation, text: it died with the daemon before this one, and is made
				   again at RESUME */
	ACTOR_IN_RESUME,	/* job, until, actor (0: all): those of it are placed; who holds one of them that died so says so by then, or it ends */
	ACTOR_IN_PLACED,	/* actor, worker: a process was forked for it */
	ACTOR_IN_NOFORK,	/* actor: no process could be forked for it: it is placed once more */
	ACTOR_IN_NOPLACE,	/* actor, text: infeasible */
	ACTOR_IN_UP,		/* actor, worker, ok, error */
	ACTOR_IN_OPEN,		/* actor, proc, group, req */
	ACTOR_IN_HOLD,		/* actor, proc; its own worker does not count, or it would never end */
	ACTOR_IN_WATCH,		/* actor, proc */
	ACTOR_IN_DROP,		/* actor, proc */
	ACTOR_IN_CLOSE,		/* actor, proc, group: its ring was given back */
	ACTOR_IN_KILL,		/* actor, stop, restart */
	ACTOR_IN_GONE,		/* proc died, text */
	ACTOR_IN_JOB_END,	/* job */
	ACTOR_IN_UNKEPT,	/* keeper is gone: those of its that outlive it are nobody's but ours */
	ACTOR_IN_TICK,
};

struct actor_in {
	enum actor_in_kind kind;
	uint64_t actor, req, set, until;
	uint32_t proc, worker, job, group, rank, restarts, incarnation, keeper;
	bool ok, stop, restart;
	const char *text;
	struct span error, namespace;
	const struct msg_actor_new *new;
	struct res need;
};

enum actor_fx_kind {
	ACTOR_FX_PLACE,		/* actor: ask the leases for its resources */
	ACTOR_FX_UNPLACE,	/* actor: no longer */
	ACTOR_FX_START,		/* actor, worker: tell the worker what it is */
	ACTOR_FX_RING,		/* actor, proc, group, req, worker: connect them */
	ACTOR_FX_FAIL,		/* proc, req, text: answer of an OPEN */
	ACTOR_FX_STATE,		/* actor, proc: tell it the state */
	ACTOR_FX_STOP,		/* actor, worker: finish and exit */
	ACTOR_FX_KILL,		/* worker: at once */
	ACTOR_FX_NOTE,		/* actor: its state changed, the control store should know */
	ACTOR_FX_FORGET,	/* actor: free it (actor_forget) once the other effects are done */
};

struct actor_fx {
	enum actor_fx_kind kind;
	uint64_t actor, req;
	uint32_t proc, group, worker;
	char text[240];
};

struct actor_out {
	struct actor_fx *fx;
	size_t n, cap;
	uint64_t at;		/* when to come with ACTOR_IN_TICK; 0: no need */
};

void	actor_init(struct actor_core *c);
void	actor_release(struct actor_core *c);
int	actor_step(struct actor_core *c, uint64_t now, const struct actor_in *in, struct actor_out *o);	/* 0 or -ENOMEM */
void	actor_forget(struct actor_core *c, uint64_t number);	/* if it is dead and nobody knows it any more */

static inline struct actor_life *
actor_get(const struct actor_core *c, uint64_t number)		/* NULL: unknown */
{
	return map_get(&c->actors, number);
}

#endif
