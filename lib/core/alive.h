/*
 * alive - which nodes of other machines live, and until when one may work that nobody hears: both sides, purely.
 *
 * A node sends a numbered heartbeat each quarter of its limit, and the control store says at once that it came.  The node
 * works until its limit after it had *sent* the last one of which it knows that it came; the control store gives the node
 * up half as much again after one *came*.  So at least half the limit lies between the end of a node's work and the
 * moment from which others may do it again, whatever the network delays, loses or cuts off, and no clock of one machine
 * is ever compared with one of another.
 *
 * What the control store did not look at because it was stopped, or got no CPU, is no silence of its nodes: its deadlines
 * (core/control.h) are in a time that stands still meanwhile, struct alive_clock.
 *
 * Sans I/O; times are CLOCK_MONOTONIC in ns, of the side that calls.
 */
#ifndef CORE_ALIVE_H
#define CORE_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#define ALIVE_DEAD UINT64_C(3000000000)	/* ns without a heartbeat until a node is given up, if nothing else was said */
#define ALIVE_BEATS 8u			/* heartbeats under way that are remembered: those of two limits */

static inline uint64_t
alive_limit(uint64_t dead)		/* of a node that is given up after so long */
{
	return dead / 3 * 2;
}

static inline uint64_t
alive_dead(uint64_t limit)		/* the other way round */
{
	return limit / 2 * 3;
}

/* --- a node's side --- */

struct alive_node {			/* all 0: nothing was sent */
	uint64_t limit;			/* rw: ns; 0: nobody counts our heartbeats, and we work without them */
	uint64_t good;			/* ro: when the last one left of which we know that it came */
	uint64_t last;			/* ro: number of the last one that left */
	uint64_t sent[ALIVE_BEATS];	/* private: when */
};

uint64_t alive_beat(struct alive_node *a, uint64_t now);	/* one leaves now, not earlier: its number */
void	alive_came(struct alive_node *a, uint64_t number);	/* the control store says so */
/* Nobody was there to give us up at some time after this one: as good as a heartbeat that left then. */
void	alive_nobody(struct alive_node *a, uint64_t since);
uint64_t alive_until(const struct alive_node *a);		/* work must have stopped then; UINT64_MAX: no limit */
uint64_t alive_next(const struct alive_node *a);		/* when the next one is due; UINT64_MAX: never */

/* --- the control store's side --- */

struct alive_clock {			/* all 0 but gap */
	uint64_t gap;			/* ns: who did not look for longer was not there */
	uint64_t looked, away;		/* private: last look; the sum of all gaps */
};

/* The time that stands still while nobody looks.  To be called at least each half gap while there is any deadline. */
uint64_t alive_now(struct alive_clock *c, uint64_t now);

#endif
