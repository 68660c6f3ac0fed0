/*
 * where_row - the table of nodes (core/where.h) follows the list of all nodes (core/cluster.h): who is there, what it
 * offers, its labels and its load are read from the rows that changed.
 *
 * Custom resources are numbered as the lease core of this node numbers them; of more than it can number nothing is known.
 * Of what waits a row has the number of leases only: it counts as so many CPUs.  The row of this node (where.local) says
 * what it offers; how loaded it is the caller knows better and tells with where_load.  A row that makes no sense is as one
 * that is not there, and so is a node that was given up.
 */
#ifndef CORE_WHERE_ROW_H
#define CORE_WHERE_ROW_H

#include "core/cluster.h"
#include "core/where.h"

struct where_seen {			/* how far a table has followed; all 0: not at all */
	uint64_t rev;
};

/*
 * Brings w up to what the list says now; anew: the list was begun anew (cluster_apply), nodes may be missing that no row
 * speaks of.  0, or -ENOMEM: then it goes on with the next call.
 */
int	where_follow(struct where *w, const struct cluster *c, struct where_seen *s, bool anew, struct lease_core *names);
/* a row's labels, what makes no sense left out; 0 or -ENOMEM */
int	where_row_labels(struct labels *l, struct span map);
/* what where_follow does with a row's load, of a node that says itself how loaded it is: bytes of node_load_put; older than what is known: nothing */
void	where_row_load(struct where *w, uint32_t node, struct span load, struct lease_core *names);
/* what a row says of amounts, custom ones by the numbers that names gives them */
void	where_amounts(struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span custom, struct lease_core *names);

#endif
