/*
 * nodes - what this node knows of all nodes, itself included, and what it says of itself.  Private to lib/node.
 *
 * node.nodes is the list (core/cluster.h; core/node_row.h reads a row).  A lasting node follows the control store's, a node
 * that is alone has its own row.  What a row says of our own load is as old as the others'; n->lease has what is so now.
 * A row with `dead` is a node that was given up: nothing of it counts any more, it is listed for a while for people to see.
 */
#ifndef NODE_NODES_H
#define NODE_NODES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "core/alive.h"
#include "core/labels.h"
#include "core/lease.h"
#include "os/tcp.h"

enum { NODES_ADDR = TCP_HOST + TCP_PORT };

enum drain_why { DRAIN_SCALE = 1, DRAIN_ASKED = 2 };	/* an autoscaler wants it; people do */

struct nodes_load {			/* as last told; memory and store in coarse steps */
	struct res free;
	uint64_t store, waiting, workers, drivers, leases, kept, wanted, elastic;
};

struct nodes_self {
	uint64_t incarnation;		/* ro: of this daemon, drawn at its start */
	char addr[NODES_ADDR];		/* ro: where other nodes connect to us; "" they cannot, or we have not joined yet */
	struct tcp_name listen;		/* ro: where we listen, if o.listen is not NULL */
	int listener;			/* ro: -1: none, or abroad.c has it */
	struct labels own;		/* ro: labels of this node */
	struct buf labels;		/* private from here: the same as a msgpack map */
	struct nodes_load told;
	uint64_t told_at, reports;
	struct buf pieces;		/* of a list that is told anew */
	bool filling;			/* it is */
	uint64_t seen;			/* up to where abroad.c was told */
	bool anew;			/* it is to be told of all */
	struct alive_node alive;	/* fence.c */
	uint64_t join_beat;		/* the heartbeat that left with NODE_JOIN */
	bool fenced;
	struct elastic {		/* elastic.c */
		uint32_t proc;		/* of the autoscaler that is attached here; 0 */
		struct buf types, drains;
		uint64_t changes;
		unsigned draining;	/* enum drain_why: we are to take nothing new */
		unsigned idle;		/* lease.limit.idle before */
		uint32_t from;		/* the node of whose load is known: */
		struct buf coming;	/* what can come */
		uint32_t cpus;		/* of them, in node_page.abroad */
		uint64_t seen;		/* of the list of nodes */
	} elastic;
};

#endif
