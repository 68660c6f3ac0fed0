/*
 * uses - what a process looked at lately in the arena: a part of its status page, by which the node tells what was used
 * longest ago.
 *
 * A place falls into one of USES cells and drives out what was there, so of many places some of the last are known.
 * One writer; a cell is one word, so who reads it at any moment sees one use.
 */
#ifndef RING_USES_H
#define RING_USES_H

#include <stdatomic.h>
#include <stdint.h>

enum { USES_BITS = 9, USES = 1 << USES_BITS, USES_CLOCK = 28 };	/* bits of the clock that are kept: 48 days of arena_now */

struct uses {
	_Atomic uint64_t cell[USES];	/* offset / 64 << USES_CLOCK | when; 0: none */
};

static inline _Atomic uint64_t *
uses_cell(struct uses *u, uint64_t place)
{
	return &u->cell[place * UINT64_C(0x9e3779b97f4a7c15) >> (64 - USES_BITS)];
}

/* Something at this offset is used now, of a clock that wraps at 32 bits. */
static inline void
uses_note(struct uses *u, uint64_t off, uint32_t now)
{
	uint64_t place = off >> 6;

	atomic_store_explicit(uses_cell(u, place), place << USES_CLOCK | (now & ((1u << USES_CLOCK) - 1)), memory_order_relaxed);
}

/* Cell i, if there is a use in it: where, and when as of now.  Nonzero: there is. */
static inline int
uses_at(const struct uses *u, unsigned i, uint32_t now, uint64_t *off, uint32_t *when)
{
	uint64_t v = atomic_load_explicit(&u->cell[i], memory_order_relaxed);

	*off = v >> USES_CLOCK << 6;
	*when = now - ((now - (uint32_t)v) & ((1u << USES_CLOCK) - 1));
	return v != 0;
}

/* What is in u, but for cells of into that were used later. */
static inline void
uses_merge(struct uses *into, const struct uses *u, uint32_t now)
{
	for (unsigned i = 0; i < USES; i++) {
		uint64_t off, was;
		uint32_t when, then;

		if (uses_at(u, i, now, &off, &when) && (!uses_at(into, i, now, &was, &then) || now - when < now - then))
			uses_note(into, off, when);
	}
}

#endif
