/*
 * actor_far - actors that live on other nodes, as one node sees them, decided purely.
 *
 * An actor's life (core/actor.h) is kept by the node that it runs on, its home: who holds it, who calls it, how often it may
 * be started again there.  What processes of other nodes do with it is told to its home in the order in which they did it.
 * This core knows for each such actor where its home is, and which processes of this node hold, watch or call it: when its
 * home dies they are told to the next one, as if they had just begun.  Where its home is the control store says; as long
 * as that is not known, what is to be told waits.
 *
 * Who made an actor for another node keeps it (KEEP): the node of its job's driver, with which it ends.  It knows what the
 * actor is made of, and when the home dies it has it made once more on another node, as long as restarts are left: the
 * next incarnation, which begins after the control store has given the old home up, so that it never lives twice.
 * What outlives its driver is kept by the control store instead.
 *
 * Sans I/O: inputs come in, effects go out; it calls nobody and needs no time.
 */
#ifndef CORE_ACTOR_FAR_H
#define CORE_ACTOR_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "wire/msg.h"

enum afar_op { AFAR_HOLD, AFAR_DROP, AFAR_OPEN, AFAR_WATCH, AFAR_KILL };	/* of FAR_ACTOR */

struct afar_use {			/* by a process of this node */
	uint32_t proc, group;
	uint64_t req;			/* OPEN: its request */
	enum afar_op op;		/* HOLD, OPEN or WATCH */
};

struct afar_later {			/* to be told to the home, once that is known */
	uint32_t node, proc;		/* HOLD: for this process of that node */
	enum afar_op op;
	bool stop, restart;
};

struct afar {				/* ro for all but actor_far.c */
	uint64_t number;
	uint32_t home;			/* 0: not known */
	uint32_t denied;		/* it said that it does not have it */
	bool asked;			/* the control store was */
	bool dead;
	struct afar_use *use;
	struct afar_later *later;
	unsigned nuse, nlater;
	size_t capuse, caplater;
	bool kept, detached;		/* detached: it does not end with its job */
	struct list waits;		/* kept, and no node has room for it */
	uint32_t sent;			/* kept: node that is to be its home, and has not said yet that it is */
	uint32_t maker, at;		/* process that made it, and its node, 0 for ours; of a kept one, from here on */
	uint32_t job, restarts, incarnation, rank;
	uint64_t set;
	struct buf spec;		/* body of its ACTOR_NEW */
	char text[240];			/* how its last home ended */
};

struct afar_core {
	struct map actors;		/* number -> struct afar * */
	struct list waiting;
};

#define AFAR_RETRIES 64u		/* of those that wait that are looked at in one step */

enum afar_in_kind {
	AFAR_IN_KEEP,		/* actor, proc its maker, of this node or that process far of node; job, restarts, spec, set, rank, detached: registered, to be made elsewhere */
	AFAR_IN_PLACED,		/* actor, node: of MAKE: it has been told */
	AFAR_IN_NOPLACE,	/* actor, text: of MAKE: no node is good for it */
	AFAR_IN_WAIT,		/* actor: of MAKE: no node has room just now */
	AFAR_IN_RETRY,		/* some may have: those that have waited longest are looked at again */
	AFAR_IN_REFUSED,	/* actor, node: that had no room after all */
	AFAR_IN_USE,		/* op, actor, proc; OPEN: group, req; KILL: stop, restart; HOLD: node, far: for that process there, node 0: for proc */
	AFAR_IN_AT,		/* actor, node: the control store said where it is; node 0: nowhere, text */
	AFAR_IN_DENIED,		/* actor, node: that one does not have it */
	AFAR_IN_NOTE,		/* actor, node, state, incarnation, restarts, text: its home says so to who keeps it */
	AFAR_IN_STATE,		/* actor, node, state: a process here was told */
	AFAR_IN_NODE_GONE,	/* node, text */
	AFAR_IN_GONE,		/* proc died */
	AFAR_IN_JOB_END,	/* job: its actors end with it, where they are */
};

struct afar_in {
	enum afar_in_kind kind;
	enum afar_op op;
	enum actor_state state;
	uint64_t actor, req, set;
	uint32_t proc, node, far, job, group, restarts, incarnation, rank;
	bool stop, restart, detached;
	const char *text;
	struct span spec;
};

enum afar_fx_kind {
	AFAR_FX_WHERE,		/* actor: ask the control store */
	AFAR_FX_MAKE,		/* actor: choose a node for it: PLACED, WAIT or NOPLACE */
	AFAR_FX_TELL,		/* node: FAR_ACTOR: op, actor, group, req, stop, restart; of: whose process proc is, 0 ours */
	AFAR_FX_LEFT,		/* node: our process proc is gone */
	AFAR_FX_STATE,		/* proc: actor, state, incarnation, text */
	AFAR_FX_NOTE,		/* a kept one's state changed here: actor, state, incarnation, text: the control store should know */
	AFAR_FX_OVER,		/* a kept one is dead: actor, text */
	AFAR_FX_FORGET,		/* actor: afar_forget, once the other effects are done */
};

struct afar_fx {
	enum afar_fx_kind kind;
	enum afar_op op;
	enum actor_state state;
	uint64_t actor, req;
	uint32_t node, of, proc, group, incarnation;
	bool stop, restart;
	char text[240];
};

struct afar_out {
	struct afar_fx *fx;		/* the caller frees it, or sets n to 0 */
	size_t n, cap;
};

void	afar_init(struct afar_core *c);
void	afar_release(struct afar_core *c);
/* 0 or -ENOMEM; of an actor that is not known only KEEP and USE make one known */
int	afar_step(struct afar_core *c, const struct afar_in *in, struct afar_out *o);
void	afar_forget(struct afar_core *c, uint64_t number);	/* if nobody here knows it any more */

static inline struct afar *
afar_get(const struct afar_core *c, uint64_t number)		/* NULL: unknown */
{
	return map_get(&c->actors, number);
}

#endif
