/*
 * arena_own - rlet's private half of the arena: free runs and extents.
 * Private to arena_node.c, arena_dead.c and arena_list.c.
 */
#ifndef STORE_ARENA_OWN_H
#define STORE_ARENA_OWN_H

#include <stdint.h>
#include "store/arena_layout.h"
#include "store/arena_node.h"

struct arena_run {
	uint64_t g, n;
	uint32_t last;		/* who had it: its page tables may be warm; 0 nobody who lives */
	bool warm;		/* it may have pages */
};

struct arena_victim {
	uint64_t off;
	uint32_t gen;
	bool held;		/* some slot names it */
	struct id id;
};

struct own_extent {
	uint64_t g, n;
	unsigned state;
	uint32_t borrower;
};

static inline struct arena_log *
own_log(const struct arena_node *an, uint64_t g)
{
	return &((struct arena_head *)(void *)an->base)->log[g];
}

/* The extent at or after granule *g, and *g behind it: false if there is none. */
bool	own_next(const struct arena_node *an, uint64_t *g, struct own_extent *x);
bool	own_find(const struct arena_node *an, uint64_t off, struct own_extent *x);	/* the extent that off lies in */
void	own_give(struct arena_node *an, uint64_t g, uint64_t n, uint32_t last, bool warm);	/* n granules are free */
/*
 * Makes the free granules of x free runs and the rest extents of ours.  dead: its borrower died, what is unfinished
 * is freed.  false: it had a bad header.
 */
bool	own_settle(struct arena_node *an, const struct own_extent *x, bool dead);
int	own_file(uint64_t bytes);		/* a sparse file of that size, with huge pages where possible; -errno */
int	own_victim(struct arena_node *an, const struct arena_block *b);	/* queues it; 0 or -ENOMEM */

#endif
