/*
 * scale - how many nodes of which types there should be, decided purely: a reconciler between what is wanted and what is there.
 *
 * What is wanted: leases that wait, placement groups that wait (all their bundles or none), and requests, which somebody
 * made by hand: room for them stays whether or not it is used.  What is there: nodes that have joined, with what is free of
 * them, and instances that a provider was asked for.  What fits nowhere gets new instances, of the type with the highest
 * priority that can hold it, of equals the one that wastes least.  A type's min is always kept, its max never passed, and no
 * more start at one time than `speed` allows.  A type that could not be launched rests, ever longer, and others stand in
 * for it.  A node where nothing has run for `idle`, and which nothing that waits or was requested would go to, is drained
 * and given back.
 *
 * A provider has five verbs, each an effect that is answered by an input, or never: then its time is up and it has failed.
 *	list		which instances are there: finds those of an earlier control store, and those that vanished
 *	launch		an instance of a type, known by the id that it is given here
 *	ready		make it one of our nodes: it joins by itself some time later
 *	drain		no new work, objects moved off
 *	terminate	give it back; asked again until it is answered
 * Model: Ray's autoscaler (resource demand scheduler, upscaling_speed, idle_timeout_minutes).
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_SCALE_H
#define CORE_SCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/map.h"
#include "core/group.h"
#include "core/lease.h"

#define SCALE_TYPES 32u
#define SCALE_ATONCE 5u			/* may start at one time, however few there are */
#define SCALE_REST UINT64_C(5000000000)	/* ns that a type rests after its first failure, then twice as long, up to 64 times */
#define SCALE_AGAIN UINT64_C(30000000000)	/* ns until an instance is terminated once more */

struct scale_type {
	char name[64];
	struct res total;		/* of a node of it; all resources of the cluster have the same place in every struct res */
	unsigned min, max;
	int priority;
};

struct scale_opts {
	struct scale_type type[SCALE_TYPES];
	unsigned ntype;
	unsigned max;			/* nodes in all; 0: as the types say */
	unsigned speed;			/* percent: of the nodes that there are so many may start at one time */
	uint64_t idle;			/* ns; 0: none is given back */
	uint64_t start;			/* ns from launch until it must have joined */
	uint64_t drain;			/* ns from drain until it is terminated all the same */
	uint64_t list;			/* ns from one list to the next; before the first answer nothing is launched.  0: never */
};

enum scale_state { SCALE_ASKED, SCALE_MADE, SCALE_STARTING, SCALE_UP, SCALE_DRAINING, SCALE_ENDING };

struct scale_inst {			/* ro for all but scale.c: an instance */
	uint64_t id;
	unsigned type;
	enum scale_state state;
	uint32_t node;			/* its number once it has joined */
	uint64_t since;			/* it has been in its state */
	uint64_t idle;			/* nothing has run there since; 0: something does */
	struct res free;
};

enum scale_kind { SCALE_LEASE, SCALE_GROUP, SCALE_REQUEST };

struct scale_want {
	enum scale_kind kind;
	unsigned n;			/* LEASE, REQUEST: so many of need[0]; GROUP: bundles */
	enum group_strategy strategy;	/* GROUP */
	const struct res *need;
};

enum scale_in_kind {
	SCALE_IN_WANTS,		/* want, nwant: all that is wanted now; nothing of them is kept */
	SCALE_IN_LISTED,	/* list, nlist: all instances that the provider has */
	SCALE_IN_LAUNCHED,	/* id, ok */
	SCALE_IN_READY,		/* id, ok */
	SCALE_IN_NODE,		/* id, node, free, idle: it has joined, or what is free of it has changed; idle: nothing runs there */
	SCALE_IN_GONE,		/* node: it is lost, or has left */
	SCALE_IN_DRAINED,	/* node, ok; else it is used again */
	SCALE_IN_TERMINATED,	/* id */
	SCALE_IN_TICK,
};

struct scale_listed {
	uint64_t id;
	unsigned type;
};

struct scale_in {
	enum scale_in_kind kind;
	uint64_t id;
	uint32_t node;
	bool ok, idle;
	struct res free;
	const struct scale_want *want;
	size_t nwant;
	const struct scale_listed *list;
	size_t nlist;
};

enum scale_fx_kind {
	SCALE_FX_LIST,
	SCALE_FX_LAUNCH,	/* n instances of type, with the ids id, id + 1 … */
	SCALE_FX_READY,		/* id */
	SCALE_FX_DRAIN,		/* id, node */
	SCALE_FX_TERMINATE,	/* id, node if it ever joined */
};

struct scale_fx {
	enum scale_fx_kind kind;
	uint64_t id;
	uint32_t node;
	unsigned type, n;
};

struct scale_out {
	struct scale_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with SCALE_IN_TICK; 0: no need */
};

struct scale_rest {			/* of a type */
	unsigned fails;
	uint64_t until;
};

struct scale {
	struct scale_opts o;		/* rw between steps: the next one goes by it */
	struct map insts;		/* id -> struct scale_inst * */
	struct map nodes;		/* node -> the same */
	struct scale_rest rest[SCALE_TYPES];	/* private from here */
	uint64_t last, listed;		/* id; time */
	bool heard;			/* what is there of an earlier control store's is known */
};

/* epoch: ids of instances begin above those of all earlier ones */
void	scale_init(struct scale *c, const struct scale_opts *o, uint64_t epoch);
void	scale_release(struct scale *c);
/* One input; new instances are decided upon by WANTS only, so one that says all has to come after others: 0 or -ENOMEM. */
int	scale_step(struct scale *c, uint64_t now, const struct scale_in *in, struct scale_out *o);
unsigned scale_count(const struct scale *c, unsigned type);	/* of it: starting or up; not those that are on their way out */
int	scale_check(const struct scale *c);	/* tests: 0, or the line that found the fault */

/* --- scale_plan.c: where what is wanted would go --- */

struct scale_bin {			/* a node that there is, or will be */
	struct scale_inst *inst;	/* NULL: to be launched */
	unsigned type;
	struct res free, room;		/* room: of all of it, what no request needs */
	bool used, requested;		/* something that waits would go there; it is there for a request */
	unsigned mark;			/* last group of which it has a bundle */
};

struct scale_plan {
	struct scale_bin *bin;		/* those of instances first, in the order that they are filled */
	size_t n, cap, have;		/* have: of instances */
	unsigned count[SCALE_TYPES], all;	/* with those to be launched, and those on their way out: they are paid for */
	unsigned stay[SCALE_TYPES];	/* without the latter */
};

int	scale_plan(const struct scale *c, uint64_t now, const struct scale_want *want, size_t nwant, struct scale_plan *p);
void	scale_plan_release(struct scale_plan *p);

#endif
