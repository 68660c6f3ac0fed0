/*
 * overflow - what the submitters of this node want and it cannot grant is asked of other nodes, decided purely.
 *
 * A process says how many leases of a shape it wants in all (want).  They are split: some the lease core of this node is
 * told to want (local, of which it has granted `have`), some are asked of other nodes (asked), some other nodes have granted
 * (far).  Always local + asked + far <= want: never is more asked in all than is wanted.
 *	- This node first.  What it has not granted OVERFLOW_PATIENCE after it was wanted, or what it can never run, is asked of
 *	  the nodes that where_find gives, as many of each as have room there.  Spread, and work for another node, is
 *	  placed at once by where_find, this node being one of many.
 *	- Who refuses says so: the same is asked elsewhere, or waits here again.
 *	- If all that could run it are full it waits here.  After OVERFLOW_PRESS half of it, or all if this node cannot run it,
 *	  is asked patiently: it waits in the lease cores of others, whose shares between jobs then count it too.  Where room
 *	  appears sooner, that is taken back and asked there.
 *	- What runs in a placement group (demand.among) is asked patiently of the nodes that have parts of it, as what room
 *	  these have nobody knows here: half of what waits after OVERFLOW_PATIENCE, or all if none of it is on this node.
 *	- When less is wanted, what waits here is given up first, then what was asked for, the furthest node first.  A grant that
 *	  was on its way meanwhile is used if something still waits, or given back.
 *	- If this node drains, it runs only what no other one can, for its own submitters.
 *	- A node that is gone: what was asked of it is asked of others.  That its leases are over, the caller says for each.
 *	  It may come back as another one: for OVERFLOW_AGAIN nothing is said to be impossible.
 *
 * How it is wired in a daemon, with a struct lease_core (core/lease.h), a struct where and, for what others ask of this
 * node, a struct guests (core/guest.h):
 *	a process asks for leases	OVERFLOW_IN_WANT instead of LEASE_IN_ASK; demand is what it asks for; here: lease_feasible, and the
 *					node's labels match
 *	LEASE_FX_GRANT			OVERFLOW_IN_HERE at once, before any other input of this module; no worker could be forked
 *					(LEASE_IN_NOFORK), or LEASE_FX_FAIL: nothing
 *	a local lease is over		OVERFLOW_IN_OVER with node 0: the lease core lowers what it wants by one, and so does this
 *	a far lease is over		the same with its node
 *	OVERFLOW_FX_LOCAL		LEASE_IN_ASK with overflow_local (and the need, job and req that the process gave)
 *	OVERFLOW_FX_ASK, UNASK		a message to the node, with job, priority, need and environment
 *	its answers			where_load with the load that comes along, then OVERFLOW_IN_ANSWER
 *	OVERFLOW_FX_RETURN		the leases that this answer granted, so many of them, go back to the node
 *	the table of nodes changed	OVERFLOW_IN_TABLE, once for all changes that came together; where_gone before OVERFLOW_IN_GONE
 * The table has this node too (where.local), its figures kept up to date by the caller.  Messages between two nodes arrive
 * in order, and once, or the node is gone.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody but where.
 */
#ifndef CORE_OVERFLOW_H
#define CORE_OVERFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/where.h"

#define OVERFLOW_PATIENCE UINT64_C(2000000)	/* ns: so long this node alone is asked */
#define OVERFLOW_PRESS	UINT64_C(200000000)	/* ns: all are full for so long: it waits at others too; between looks for room */
#define OVERFLOW_NOTICE	UINT64_C(5000000000)	/* ns: who can only run elsewhere and has no lease for so long is told why */
#define OVERFLOW_AGAIN	UINT64_C(10000000000)	/* ns: who was lost may be back by then */
#define OVERFLOW_TURNS	64u			/* nodes asked in one step for one demand */

struct overflow {
	uint64_t until;			/* the caller's: before this time no NEVER, there may be nodes that are not known yet */
	struct where *w;		/* the caller's; it outlives this */
	struct map procs, asks;		/* private from here: process -> its demands; number -> ask */
	struct list hungry;		/* demands that have not all they want */
	struct heap timers;
	uint64_t last;
};

enum overflow_in_kind {
	OVERFLOW_IN_WANT,	/* proc, shape, want, demand, here, wait: as of now; demand counts when it is the first of the shape */
	OVERFLOW_IN_HERE,	/* proc, shape: the lease core of this node granted one */
	OVERFLOW_IN_OVER,	/* proc, shape, node: a lease is over, of this node (0) or of that one: one less is wanted */
	OVERFLOW_IN_ANSWER,	/* ask, granted, refused, dropped: how many; granted that are not wanted: RETURN */
	OVERFLOW_IN_GONE,	/* node */
	OVERFLOW_IN_EXIT,	/* proc died */
	OVERFLOW_IN_TABLE,
	OVERFLOW_IN_TICK,	/* the time that overflow_out.at asked for */
};

struct overflow_in {
	enum overflow_in_kind kind;
	uint32_t proc, node;
	uint64_t shape, want, ask;
	uint64_t granted, refused, dropped;
	const struct where_demand *demand;	/* elsewhere and who are not looked at */
	bool here;			/* this node could run it */
	bool wait;			/* if no node can: wait for one that can */
	bool anew;			/* WANT: demand is another one now, and counts; what others were asked already is not asked back */
};

enum overflow_fx_kind {
	OVERFLOW_FX_LOCAL,	/* proc, shape: the lease core is to be told what is wanted of this node in all: overflow_local */
	OVERFLOW_FX_ASK,	/* node, ask, proc, shape, n, patient */
	OVERFLOW_FX_UNASK,	/* node, ask, n: as many of it as were not granted yet */
	OVERFLOW_FX_RETURN,	/* node, ask, n: of what it has just granted */
	OVERFLOW_FX_NEVER,	/* proc, shape, text: no node can ever; it is forgotten */
	OVERFLOW_FX_NOTICE,	/* proc, text: what it has been waiting for */
};

struct overflow_fx {
	enum overflow_fx_kind kind;
	uint32_t proc, node;
	uint64_t shape, ask, n;
	bool patient;
	char text[WHERE_WHY];
};

struct overflow_out {
	struct overflow_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with OVERFLOW_IN_TICK; 0: no need */
};

struct overflow_split {		/* for listings */
	uint64_t want, local, have, asked, far;
};

void	overflow_init(struct overflow *c, struct where *w);
void	overflow_release(struct overflow *c);
/* Takes one input, appends the effects to o->fx and sets o->at: 0 or -ENOMEM, then the input was not taken. */
int	overflow_step(struct overflow *c, uint64_t now, const struct overflow_in *in, struct overflow_out *o);
/* What is wanted of the lease core of this node; as of now: an effect that is carried out late may be older. */
uint64_t overflow_local(const struct overflow *c, uint32_t proc, uint64_t shape);
bool	overflow_split(const struct overflow *c, uint32_t proc, uint64_t shape, struct overflow_split *s);	/* false: not known */
int	overflow_check(const struct overflow *c);	/* tests: 0, or the line that found the fault */

#endif
