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

#define FAR_PREPARE	UINT64_C(5000000000)	/* ns: who has not prepared by then has refused */
#define FAR_PAUSE	UINT64_C(100000000)	/* ns: after a refusal, then half as much more each time */
#define FAR_PAUSE_MAX	UINT64_C(1000000000)
#define FAR_SEEKS	64u			/* groups that wait and are looked at in one step */

enum far_phase { FAR_ASKED, FAR_READY, FAR_COMMITTING, FAR_HELD };

struct far_part {			/* what a node has of a group */
	uint32_t node;
	uint64_t round;
	enum far_phase phase;
};

struct far_group {			/* ro for all but group_far.c */
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
	struct far_part *part;
	uint64_t pause;
	struct heap_node timer, limit;	/* the parts must be prepared, or it is tried again; it must be placed */
	struct list link;		/* in homeless */
};

struct far_core {
	struct map nodes, groups;	/* number -> struct group_node *, struct far_group * */
	const struct group_node **order;	/* nodes in the order of their numbers */
	unsigned norder;
	struct heap timers, limits;
	struct list homeless;
};

enum far_in_kind {
	FAR_IN_NODE,		/* node, total, labels, draining: it is there, or is another now */
	FAR_IN_LOAD,		/* node, total: what leases use there, as far as is known */
	FAR_IN_GONE,		/* node: dead */
	FAR_IN_NEW,		/* group (the caller's number, never used again), job, strategy, bundles, nbundle, exprs, until, detached,
				 * round: above those of coordinators before this one */
	FAR_IN_HEIR,		/* the same, and at, rounds: where each bundle was as STATE said last; ever: it was created once */
	FAR_IN_READY,		/* group, node, round: prepared */
	FAR_IN_REFUSED,		/* group, node, round: it cannot, or has given it up */
	FAR_IN_COMMITTED,	/* group, node, round */
	FAR_IN_HELD,		/* group, node, round: it says that it has this */
	FAR_IN_REMOVE,		/* group */
	FAR_IN_JOB_END,		/* job */
	FAR_IN_TICK,
};

struct far_in {
	enum far_in_kind kind;
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

enum far_fx_kind {
	FAR_FX_PREPARE,		/* group, node, round: the bundles b with node[b] == node and of[b] == round */
	FAR_FX_COMMIT,		/* group, node, round */
	FAR_FX_RELEASE,		/* group, node, round */
	FAR_FX_STATE,		/* group, state, code, text: to be kept, and told to who asked */
	FAR_FX_FORGET,		/* group: far_forget it once this is carried out */
};

struct far_fx {
	enum far_fx_kind kind;
	uint64_t group, round;
	uint32_t node;
	enum group_state state;
	int code;
	char text[200];
};

struct far_out {
	struct far_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with FAR_IN_TICK; 0: no need */
};

void	far_init(struct far_core *c);
void	far_release(struct far_core *c);
/* 0; -ENOMEM: not taken; -EEXIST for a group that is there, -EINVAL for bundles or a strategy that are none */
int	far_step(struct far_core *c, uint64_t now, const struct far_in *in, struct far_out *o);
void	far_forget(struct far_core *c, uint64_t group);
int	far_check(const struct far_core *c);	/* tests: 0, or the line that found the fault */

static inline const struct far_group *
far_group(const struct far_core *c, uint64_t number)		/* NULL: unknown */
{
	return map_get(&c->groups, number);
}

#endif
