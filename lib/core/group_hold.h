/*
 * group_hold - the parts of placement groups that a node has set aside, decided purely: the node's side of core/group_far.h.
 *
 * The coordinator asks to prepare a part, some bundles of a group: it is reserved in the lease core of this node, where it
 * waits for room for HOLD_WAIT at most.  Once it is reserved, that is said, and it waits to be committed; what is not
 * committed within HOLD_KEEP is given up, as its coordinator may be gone for good.  A commit of what is not there any more
 * is refused, and one of what is committed already is confirmed again.  A node that drains refuses new parts.
 * A group may have more than one part here, each with a number of its own in the lease core: hold_find.
 *
 *	messages of the coordinator	HOLD_IN_PREPARE, COMMIT, RELEASE
 *	LEASE_FX_RESERVED, LEASE_FX_FAIL of a group	HOLD_IN_RESERVED, HOLD_IN_NEVER with its number
 *	HOLD_FX_RESERVE, HOLD_FX_FREE	LEASE_IN_RESERVE, LEASE_IN_RELEASE
 *	HOLD_FX_ANSWER			READY, COMMITTED or REFUSED to the coordinator
 * When a coordinator is there anew it is told all that is held: hold_next, as GFAR_IN_HELD.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_GROUP_HOLD_H
#define CORE_GROUP_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/lease.h"

#define HOLD_WAIT	UINT64_C(2000000000)	/* ns: for room */
#define HOLD_KEEP	UINT64_C(10000000000)	/* ns: prepared, for its commit; well over GFAR_PREPARE */

enum hold_state { HOLD_WAITING, HOLD_READY, HOLD_COMMITTED };

struct hold {				/* ro */
	uint64_t number;		/* in the lease core */
	uint64_t group, round;
	uint32_t job;
	int64_t priority;
	enum hold_state state;
	unsigned n;
	struct res *bundle;
	unsigned *index;		/* of each bundle in its group, from 0 */
	struct heap_node timer;		/* private from here */
	struct list link;
	struct hold *same;		/* another part of its group */
};

struct holds {
	bool draining;			/* ro */
	struct map numbers;		/* ro: number -> struct hold * */
	struct list all;		/* private from here: the oldest first */
	struct idmap parts;		/* (round, group) -> struct hold * */
	struct map groups;		/* group -> its newest part */
	struct heap timers;
	uint64_t last;
};

enum hold_in_kind {
	HOLD_IN_PREPARE,	/* group, round, job, priority, bundles, index, n */
	HOLD_IN_COMMIT,		/* group, round */
	HOLD_IN_RELEASE,	/* group, round */
	HOLD_IN_RESERVED,	/* number */
	HOLD_IN_NEVER,		/* number: this node cannot hold it */
	HOLD_IN_DRAIN,		/* on */
	HOLD_IN_TICK,
};

struct hold_in {
	enum hold_in_kind kind;
	uint64_t group, round, number;
	uint32_t job;
	int64_t priority;
	unsigned n;
	const struct res *bundles;
	const unsigned *index;
	bool on;
};

enum hold_answer { HOLD_IS_READY, HOLD_IS_COMMITTED, HOLD_REFUSED };

enum hold_fx_kind {
	HOLD_FX_RESERVE,	/* number: what numbers has of it */
	HOLD_FX_FREE,		/* number */
	HOLD_FX_ANSWER,		/* group, round, answer */
};

struct hold_fx {
	enum hold_fx_kind kind;
	uint64_t number, group, round;
	enum hold_answer answer;
};

struct hold_out {
	struct hold_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with HOLD_IN_TICK; 0: no need */
};

void	hold_init(struct holds *h);
void	hold_release(struct holds *h);
/* 0; -ENOMEM: not taken (a PREPARE is refused then by the caller); -EINVAL for a part without bundles */
int	hold_step(struct holds *h, uint64_t now, const struct hold_in *in, struct hold_out *o);
/* Of a group's bundle, from 0: the number in the lease core, and which bundle of that it is, from 1.  0: not committed here. */
uint64_t hold_find(const struct holds *h, uint64_t group, unsigned bundle, unsigned *index);
/* The same for any bundle: the number of the part of it that has one in which need fits. */
uint64_t hold_any(const struct holds *h, uint64_t group, const struct res *need);
const struct hold *hold_next(const struct holds *h, const struct hold *p);	/* NULL begins, NULL ends */
int	hold_check(const struct holds *h);	/* tests: 0, or the line that found the fault */

#endif
