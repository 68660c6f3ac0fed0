/*
 * guest - what other nodes ask of this one for their submitters, decided purely: the other side of core/overflow.h.
 *
 * Each such submitter has a process number here too (an alias).  What it asks for is wanted by the lease core of this node
 * as anybody else's is, and granted by the same rules.  What is not granted within GUEST_PATIENCE is refused, unless it was
 * asked patiently: then it waits until it is taken back.  A node that drains refuses all.  Every lease that was asked for is
 * answered once: granted, refused, or dropped as it was taken back; leases are then what the lease core says.
 *
 *	a message of another node	GUEST_IN_ASK, GUEST_IN_UNASK
 *	LEASE_FX_GRANT to an alias	GUEST_IN_GRANTED, at once; no worker could be forked: nothing; LEASE_FX_FAIL: GUEST_IN_NEVER
 *	a lease of an alias is over	GUEST_IN_OVER
 *	GUEST_FX_LOCAL			LEASE_IN_ASK of the alias with guest_local
 *	GUEST_FX_ANSWER			a message, with this node's load as it is now
 *	the other node, or one of its processes, is gone	LEASE_IN_GONE for the alias, and GUEST_IN_EXIT
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_GUEST_H
#define CORE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"

#define GUEST_PATIENCE	UINT64_C(2000000)	/* ns */

struct guests {
	bool draining;			/* ro */
	struct map procs;		/* private from here: alias -> what it wants */
	struct list due;		/* asks that are refused when their time is up, in that order */
};

enum guest_in_kind {
	GUEST_IN_ASK,		/* proc (the alias), node, ask, shape, n, patient */
	GUEST_IN_UNASK,		/* proc, ask, n */
	GUEST_IN_GRANTED,	/* proc, shape: one more */
	GUEST_IN_NEVER,		/* proc, shape: this node can never run it */
	GUEST_IN_OVER,		/* proc, shape: one less */
	GUEST_IN_EXIT,		/* proc */
	GUEST_IN_DRAIN,		/* on: nothing new from now on */
	GUEST_IN_TICK,
};

struct guest_in {
	enum guest_in_kind kind;
	uint32_t proc, node;
	uint64_t ask, shape, n;
	bool patient, on;
};

enum guest_fx_kind {
	GUEST_FX_LOCAL,		/* proc, shape: the lease core is to be told what is wanted in all: guest_local */
	GUEST_FX_RETURN,	/* proc, shape: what the lease core has just granted nobody waits for: LEASE_IN_RETURN, no GUEST_IN_OVER */
	GUEST_FX_ANSWER,	/* node, proc, ask, granted, refused, dropped */
};

struct guest_fx {
	enum guest_fx_kind kind;
	uint32_t proc, node;
	uint64_t shape, ask;
	uint64_t granted, refused, dropped;
};

struct guest_out {
	struct guest_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with GUEST_IN_TICK; 0: no need */
};

void	guest_init(struct guests *g);
void	guest_release(struct guests *g);
/* 0 or -ENOMEM, then the input was not taken */
int	guest_step(struct guests *g, uint64_t now, const struct guest_in *in, struct guest_out *o);
/* What is wanted of the lease core of this node; as of now: an effect that is carried out late may be older. */
uint64_t guest_local(const struct guests *g, uint32_t proc, uint64_t shape);
int	guest_check(const struct guests *g);	/* tests: 0, or the line that found the fault */

#endif
