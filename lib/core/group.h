/*
 * group - placement groups: bundles of resources that are set aside together, decided purely.
 *
 * A group's bundles are assigned to nodes by its strategy, then each of those nodes reserves its part at once
 * (core/lease.h); the group is made when all have, and if one cannot, the others give back: all or nothing.
 *	pack		on as few nodes as may be		strict_pack	on one, or never
 *	spread		on as many nodes as may be		strict_spread	on a node each, or never
 * A group that can never be is refused with a line that says why.  It lives until it is removed, its time to be placed is
 * up, or its job ends, unless it is detached.  Whoever wants to know is told once: when it is made, or when it is gone.
 * A group is known by the id that its maker gave it.  States are those of Ray's table of groups.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_GROUP_H
#define CORE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/id.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "core/labels.h"
#include "core/lease.h"

#define GROUP_BUNDLES_MAX 1024u
#define GROUP_NAME_MAX 255u

enum group_strategy { GROUP_PACK, GROUP_SPREAD, GROUP_STRICT_PACK, GROUP_STRICT_SPREAD, GROUP_STRATEGIES };
enum group_state { GROUP_PENDING = 1, GROUP_PREPARED, GROUP_CREATED, GROUP_REMOVED, GROUP_RESCHEDULING };

struct group_node {			/* a node that bundles can be placed on */
	uint32_t number;
	struct res total, set;		/* set: aside for groups already */
	struct res busy;		/* used besides, by leases that would have to be called back; zeros: not known */
	const struct labels *labels;	/* NULL: none */
	bool draining;
};

struct group_want {			/* what is to be placed */
	enum group_strategy strategy;
	unsigned n;
	const struct res *bundle;
	const struct label_expr *const *labels;	/* of each bundle, NULL: any node; or NULL: of none */
};

struct group_asker {
	uint32_t proc;
};

struct group {				/* ro for all but group.c */
	struct id id;
	uint64_t number;		/* never used again: the leases' */
	uint32_t proc, job;		/* of its maker */
	enum group_strategy strategy;
	enum group_state state;
	bool detached;
	char *name, *namespace;		/* "" no name */
	uint64_t since;
	int code;			/* of a removed one, with a line */
	char text[200];
	struct heap_node timer;		/* until when it must be placed */
	struct list link;		/* in homeless */
	struct group_asker *asker;
	unsigned nasker, waiting;	/* nodes that have not answered */
	unsigned n;
	struct res *bundle;
	uint32_t *node;			/* of each bundle, 0: none yet */
};

struct group_core {
	struct map nodes, numbers;	/* number -> struct group_node *, struct group * */
	struct idmap groups;
	struct heap timers;
	struct list homeless;		/* no room among the groups that there are; oldest first */
	uint64_t last;
};

enum group_in_kind {
	GROUP_IN_NODE,		/* node, total: it is there */
	GROUP_IN_NEW,		/* id, proc, job, strategy, bundles, nbundle, name, namespace, detached, until; text: why it can never be */
	GROUP_IN_RESERVED,	/* number, node */
	GROUP_IN_REFUSED,	/* number, node, text: never */
	GROUP_IN_ASK,		/* id, proc: STATE now or once it is made or gone */
	GROUP_IN_REMOVE,	/* id */
	GROUP_IN_JOB_END,	/* job */
	GROUP_IN_TICK,
};

struct group_in {
	enum group_in_kind kind;
	struct id id;
	uint64_t number, until;		/* until: 0 without end */
	uint32_t node, proc, job;
	enum group_strategy strategy;
	bool detached;
	unsigned nbundle;
	const struct res *bundles;
	struct res total;
	struct span name, namespace;
	const char *text;
};

enum group_fx_kind {
	GROUP_FX_RESERVE,	/* number, node: the bundles of the group that are assigned to node */
	GROUP_FX_RELEASE,	/* number, node */
	GROUP_FX_STATE,		/* id, proc, state, code, text */
	GROUP_FX_OVER,		/* id: it is gone, or can never be */
};

struct group_fx {
	enum group_fx_kind kind;
	struct id id;
	uint64_t number;
	uint32_t node, proc;
	enum group_state state;
	int code;
	char text[200];
};

struct group_out {
	struct group_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with GROUP_IN_TICK; 0: no need */
};

void	group_init(struct group_core *c);
void	group_release(struct group_core *c);
/* 0; -ENOMEM: not taken; -EEXIST for a name or id that is taken, -EINVAL for bundles that are none: text says what */
int	group_step(struct group_core *c, uint64_t now, const struct group_in *in, struct group_out *o, char text[200]);
struct group *group_find(const struct group_core *c, struct id id);			/* NULL: unknown or removed */
struct group *group_named(const struct group_core *c, struct span namespace, struct span name);
/*
 * Assigns bundles to nodes: fills node[n]: 1 done, 0 not now, ERR_INFEASIBLE never, with a line in text.  Nodes in the
 * order of their numbers, so that the same state gives the same plan.
 */
int	group_plan(const struct group_node *const *nodes, unsigned nnode, enum group_strategy s, const struct res *bundle, unsigned n,
	    uint32_t *node, char text[200]);
/*
 * The same; bundles whose node[i] is not 0 stay there and count as set aside, only the others are assigned (and are 0
 * still if the answer is not 1).  Nodes with room that nobody uses come first, then those where leases are to be called
 * back.  Never: with all nodes empty there would be no way, and all ways were looked at.
 */
int	group_plan_over(const struct group_node *const *nodes, unsigned nnode, const struct group_want *g, uint32_t *node, char text[200]);
const char *group_strategy_word(enum group_strategy s);	/* "strict_pack" */
const char *group_state_word(enum group_state s);	/* "pending" */
int	group_check(const struct group_core *c);	/* tests: 0, or the line that found the fault */

#endif
