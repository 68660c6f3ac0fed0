/*
 * spill - which objects leave a full arena: pure, sans-IO.
 *
 * The arena is a row of units: free room, objects that may leave it (a copy lies on disk already: clean; must be written
 * first: dirty), and what must stay (pinned, being filled, refused by its owner).  Room for something large must lie
 * together, so a choice is a window of units without one that must stay.  Best is the window that costs no write; among equals the one
 * whose most recently used object was used longest ago (exact LRU over windows); then the smaller one.
 *
 *	for each unit in order: spill_add(&w, …); spill_choose(&w, need, &from, &to)
 *
 * Where there is room, but none that lies together, objects go elsewhere in the arena instead.  What counts then is how little
 * has to move, not when it was used: what moves out of the window with the fewest bytes makes that window better yet and no
 * other one better than it was, so the next choice is the same one, until it is empty.  By the time of use each choice would
 * be another window, and objects would go back where they came from.  An empty window is a choice too: whoever has its
 * room, or was told to free what leaves it, gives it back in a moment, and to begin another one meanwhile would fill it again.
 */
#ifndef CORE_SPILL_H
#define CORE_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* LEAVING: not to be chosen, but it soon leaves or is known to stay: its owner was asked, it is being written, somebody goes to look at it */
enum spill_kind { SPILL_FREE, SPILL_CLEAN, SPILL_DIRTY, SPILL_LEAVING, SPILL_STAYS };

struct spill_unit {
	uint64_t off, n;		/* bytes */
	uint64_t held;			/* bytes of them that objects have: what has to be written or moved */
	uint32_t last;			/* when it was last used, of a clock that wraps */
	uint8_t kind;
};

struct spill_row {
	struct spill_unit *unit;	/* ro */
	size_t n, cap;
	uint32_t now;			/* rw: the clock's present */
	uint64_t granule;		/* rw: room counts from a multiple of this to another */
};

int	spill_add(struct spill_row *w, const struct spill_unit *u);	/* 0 or -ENOMEM */
/* The window [*from, *to) of units with whole granules of `need` bytes.  false: there is none. */
bool	spill_choose(const struct spill_row *w, uint64_t need, size_t *from, size_t *to);
/*
 * The window with the fewest bytes to move, the first of equals.  NONE: there is none, or too little free room elsewhere for what
 * is in it; WAIT: nothing is to be done, its room comes; MOVE: what is CLEAN and DIRTY in the bytes [*off, *end) is to go.
 */
enum spill_move { SPILL_NONE, SPILL_WAIT, SPILL_MOVE };
enum spill_move spill_choose_move(const struct spill_row *w, uint64_t need, uint64_t *off, uint64_t *end);
void	spill_release(struct spill_row *w);

#endif
