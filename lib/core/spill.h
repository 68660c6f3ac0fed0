/*
 * spill - which objects leave a full arena: pure, sans-IO.
 *
 * The arena is a row of units: free room, objects that may leave it (a copy lies on disk already: clean; must be written
 * first: dirty), and what must stay (pinned, being filled, refused by its owner).  Room for something large must lie
 * together, so a choice is a window of units without one that must stay.  Best is the window that costs no write; among equals the one
 * whose most recently used object was used longest ago (exact LRU over windows); then the smaller one.
 *
 *	spill_begin(&w); for each unit in order: spill_unit(&w, …); spill_choose(&w, need, &from, &to)
 */
#ifndef CORE_SPILL_H
#define CORE_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spill_kind { SPILL_FREE, SPILL_CLEAN, SPILL_DIRTY, SPILL_STAYS };

struct spill_unit {
	uint64_t off, n;		/* bytes */
	uint32_t last;			/* when it was last used, of a clock that wraps */
	uint8_t kind;
};

struct spill_row {
	struct spill_unit *unit;	/* ro */
	size_t n, cap;
	uint32_t now;			/* rw: the clock's present */
	uint64_t granule;		/* rw: room counts from a multiple of this to another */
};

int	spill_add(struct spill_row *w, uint64_t off, uint64_t n, enum spill_kind kind, uint32_t last);	/* 0 or -ENOMEM */
/* The window [*from, *to) of units with whole granules of `need` bytes.  false: there is none. */
bool	spill_choose(const struct spill_row *w, uint64_t need, size_t *from, size_t *to);
void	spill_release(struct spill_row *w);

#endif
