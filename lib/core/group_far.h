/*
 * group_far - placement groups over many nodes, decided purely by one coordinator: all of a group or nothing of it.
 *
 * A group's bundles are assigned to nodes (group_plan_over).  Each of these nodes is told to prepare its part: to set it
 * aside (core/group_hold.h).  When all have, all are told to commit, and when all have done that the group is created.  If
 * one cannot, or is gone, the others release what they have, and after a pause, ever longer, it is tried again.  A group
 * that nothing can hold now waits until something is given back or a node comes; one that never can be is refused with a
 * line that says why.  When a node is lost later the bundles that were on it are planned again beside the others, which
 * stay (rescheduling); what runs in these goes on.  It lives until it is removed, its time to be placed is up, or its job ends.
 *	pending -> prepared -> created <-> rescheduling		and from each -> removed
 *
 * What was prepared and is not committed in time a node gives up by itself: a coordinator that begins anew after a crash
 * asks for nothing back.  The caller keeps what STATE says: a COMMIT may leave when the STATE before it (prepared, or
 * created with new nodes) is durable; then a new coordinator is given its groups by HEIR and commits them again.  A node
 * that connects tells what it holds (IN_HELD); what nobody knows here it is told to release.
 * A part is known by its group, node and round: answers to an earlier round are nothing.  Messages between coordinator and
 * node arrive in order, and once, or the node (or the coordinator) is another incarnation.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_GROUP_FAR_H
#define CORE_GROUP_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/group.h"

#define GFAR_PREPARE	UINT64_C(5000000000)	/* ns: who has not prepared by then has refused */
#define GFAR_PAUSE	UINT64_C(100000000)	/* ns: after a refusal, then half as much more each time */
#define GFAR_PAUSE_MAX	UINT64_C(1000000000)
#define GFAR_SEEKS	64u			/* groups that wait and are looked at in one step */

enum gfar_phase { GFAR_ASKED, GFAR_READY, GFAR_COMMITTING, GFAR_HELD };

struct gfar_part {			/* what a node has of a group */
	uint32_t node;
	uint64_t round;
	enum gfar_phase phase;
};

struct gfar_group {			/* ro for all but group_far.c */
	uint64_t number, round;
	uint32_t job;
	enum group_strategy strategy;
	enum group_state state;
	bool detached, ever;		/* ever: it was created once */
	int code;			/* of a removed one, with a line */
	char text[200];
	unsigned n, npart;
	struct res *bundle;
	struct label_expr *label;	/* of each bundle */
	const struct label_expr **labels;	/* for the plan; NULL if no bundle has any */
	uint32_t *node;			/* of each bundle, 0: none now */
	uint64_t *of;			/* of each bundle: the round in which it got its node */
	struct gfar_part *part;
	uint64_t pause;
	struct heap_node timer, limit;	/* the parts must be prepared, or it is tried again; it must be placed */
	struct list link;		/* in homeless */
};

struct gfar_core {
	struct map nodes, groups;	/* number -> struct group_node *, struct gfar_group * */
	const struct group_node **order;	/* nodes in the order of their numbers */
	unsigned norder;
	struct heap timers, limits;
	struct list homeless;
	bool settling;			/* rw: nodes may be missing that come back: nothing is said to be infeasible */
};

enum gfar_in_kind {
	GFAR_IN_NODE,		/* node, total, labels, draining: it is there, or is another now */
	GFAR_IN_LOAD,		/* node, total: what leases use there, as far as is known */
	GFAR_IN_GONE,		/* node: dead */
	GFAR_IN_NEW,		/* group (the caller's number, never used again), job, strategy, bundles, nbundle, exprs, until, detached,
				 * round: above those of coordinators before this one */
	GFAR_IN_HEIR,		/* the same, and at, rounds: where each bundle was as STATE said last; ever: it was created once */
	GFAR_IN_READY,		/* group, node, round: prepared */
	GFAR_IN_REFUSED,		/* group, node, round: it cannot, or has given it up */
	GFAR_IN_COMMITTED,	/* group, node, round */
	GFAR_IN_HELD,		/* group, node, round: it says that it has this */
	GFAR_IN_REMOVE,		/* group */
	GFAR_IN_JOB_END,		/* job */
	GFAR_IN_TICK,
};

struct gfar_in {
	enum gfar_in_kind kind;
	uint64_t group, round, until;	/* until: 0 without end */
	uint32_t node, job;
	enum group_strategy strategy;
	bool detached, draining, ever;
	unsigned nbundle;
	const struct res *bundles;
	const struct label_expr *exprs;	/* of each bundle, copied; NULL: of none */
	const uint32_t *at;
	const uint64_t *rounds;
	struct res total;
	const struct labels *labels;	/* copied */
};

enum gfar_fx_kind {
	GFAR_FX_PREPARE,		/* group, node, round: the bundles b with node[b] == node and of[b] == round */
	GFAR_FX_COMMIT,		/* group, node, round */
	GFAR_FX_RELEASE,		/* group, node, round */
	GFAR_FX_STATE,		/* group, state, code, text: to be kept, and told to who asked */
	GFAR_FX_FORGET,		/* group: gfar_forget it once this is carried out */
};

struct gfar_fx {
	enum gfar_fx_kind kind;
	uint64_t group, round;
	uint32_t node;
	enum group_state state;
	int code;
	char text[200];
};

struct gfar_out {
	struct gfar_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with GFAR_IN_TICK; 0: no need */
};

void	gfar_init(struct gfar_core *c);
void	gfar_release(struct gfar_core *c);
/* 0; -ENOMEM: not taken; -EEXIST for a group that is there, -EINVAL for bundles or a strategy that are none */
int	gfar_step(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o);
void	gfar_forget(struct gfar_core *c, uint64_t group);
int	gfar_check(const struct gfar_core *c);	/* tests: 0, or the line that found the fault */

static inline const struct gfar_group *
gfar_group(const struct gfar_core *c, uint64_t number)		/* NULL: unknown */
{
	return map_get(&c->groups, number);
}

#endif
