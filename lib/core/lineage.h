/*
 * lineage - what must run again so that a lost object is there again: pure, sans-IO, without recursion.
 *
 * Nodes are numbers of the caller's.  A node is THERE (its value can be read), MAKEABLE (a task makes it, and its
 * arguments are nodes), COMING (its task is under way already) or GONE.  The plan is every MAKEABLE node that the lost one
 * stands on, arguments before those who want them.
 */
#ifndef CORE_LINEAGE_H
#define CORE_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lineage_state { LINEAGE_THERE, LINEAGE_COMING, LINEAGE_MAKEABLE, LINEAGE_GONE };

struct lineage_graph {
	enum lineage_state (*state)(void *ctx, uint32_t node);
	/* The i-th argument of a MAKEABLE node: false after the last one. */
	bool (*arg)(void *ctx, uint32_t node, unsigned i, uint32_t *out);
	void *ctx;
};

struct lineage_plan {
	uint32_t *node;		/* in the order in which they are to be submitted */
	size_t n, cap;
	uint32_t culprit;	/* which node ends the plan */
};

enum { LINEAGE_DEPTH = 10000, LINEAGE_WORK = 100000 };	/* longest chain, most tasks of one plan */

/*
 * Plans to make root, which is lost, though its state may be MAKEABLE only.  0 and the plan; ERR_LOST: plan->culprit cannot be
 * made again; -E2BIG: more than depth or work allow; -ENOMEM.
 */
int	lineage_make(const struct lineage_graph *g, uint32_t root, size_t depth, size_t work, struct lineage_plan *plan);
void	lineage_release(struct lineage_plan *plan);

#endif
