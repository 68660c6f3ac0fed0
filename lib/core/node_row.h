/*
 * node_row - what the list of all nodes (core/cluster.h) says of one: what it is and how loaded it is, each a msgpack map
 * from names to values, so that a newer release can say more.
 *
 * Amounts are in thousandths, memory and store in bytes.  Resources are maps from name to thousandths, labels maps from name to
 * text, as they lie in the bytes; node_row_pair walks one.
 */
#ifndef CORE_NODE_ROW_H
#define CORE_NODE_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

struct node_what {
	struct span name;		/* of the host */
	struct span addr;		/* where other nodes connect to it, HOST:PORT; empty: they cannot */
	struct span resources, labels;	/* msgpack maps, or empty: none */
	struct span dead;		/* why it was given up; empty: it lives */
	uint64_t cpus, gpus, memory, store, pid;
	uint64_t since;			/* wall clock when it joined, ns since 1970, of the control store: for people */
	uint64_t incarnation;		/* of its daemon: another one is another peer for sessions */
};

struct node_load {
	struct span resources;		/* what is free, as the others */
	uint64_t cpus, gpus, memory;	/* free */
	uint64_t store;			/* used */
	uint64_t waiting, workers, drivers;	/* leases that are waited for; processes */
	uint64_t leases, kept;		/* that run there; objects that it keeps, or has on its disk */
	uint64_t draining;		/* 1: it takes nothing new */
	struct span wanted;		/* what waits there (lease_wanted), in words */
	struct span types, drains;	/* of an autoscaler that is attached there: what nodes can come, which are to drain (SCALE) */
	uint64_t report;		/* the how manieth of its daemon: one that arrives later may be older */
};

/* Appends: 0 or -ENOMEM. */
int	node_what_put(struct buf *b, const struct node_what *w);
int	node_load_put(struct buf *b, const struct node_load *l);
/* The spans point into s.  What is missing is 0; keys that are not known are skipped.  0, or ERR_PROTO. */
int	node_what_get(struct node_what *w, struct span s);
int	node_load_get(struct node_load *l, struct span s);
/*
 * The next pair of a map, *left at first all of it: its name, and its value as text (labels) or a number (resources): the
 * other one is empty, or 0.  false: at the end, or it makes no sense from here on.
 */
bool	node_row_pair(struct span *left, struct span *name, struct span *text, uint64_t *number);
bool	node_row_map(struct span s);	/* it is empty, or such a map and nothing more */

#endif
