/*
 * where - which node of many is to run something, decided purely and in a time that hardly grows with their number.
 *
 * A table of nodes has what each offers, what of that was free when it last said so, what waits there, and its labels.  A
 * demand is kept as a kind (where_kind): what it needs, a strategy, and label expressions wanted in order.  where_find
 * gives the node for one more of a kind, or says that it is to wait as all that could run it are full, or that none ever
 * can, with a line that says what was looked at: "needs 8 gpus; the largest of 12 nodes has 4".
 *	hybrid	the local node while it has room; then nodes less than half busy, filling one before the next; then the
 *		least busy.  Work that needs no GPU goes to nodes without GPUs as long as these have room.  With arguments
 *		that lie elsewhere: the node with room that has most of their bytes, if that saves moving WHERE_LIGHT of them.
 *	spread	the least busy
 *	node	that node; soft: as hybrid if it is gone, draining, or can never run it
 * Of alternative expressions the first counts that any node could ever satisfy: a busy node is waited for, the next
 * expression is not tried for it.
 *
 * Many who ask have the same old table.  So that they do not all run to one node, equal nodes are taken in an order that
 * is a hash of (kind, who asks, node): everybody's is another one, and it is always the same for the same state.  What one
 * has asked of a node (where_ask) counts as gone from its free resources until it is answered, or WHERE_LATE has passed.
 * A node that refused rests for that kind, for longer each time (where_refused).  One that the caller doubts, as nothing is
 * heard of it, is taken after all others.  Nodes that drain or are gone get nothing.
 *
 * Cost: each kind in use has a heap of the nodes that could run it, brought up to date with the nodes that changed since
 * it was last used: O(changes log n) for a decision.  At most WHERE_INDEXED kinds have one at a time; one more costs O(n)
 * once.  Amounts are core/lease.h's.  Free figures are those of the last report that the node numbered highest (seq).
 *
 * Sans I/O.  One thread.  The functions that may fail return 0 or -ENOMEM and then have changed nothing.
 */
#ifndef CORE_WHERE_H
#define CORE_WHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"
#include "core/labels.h"
#include "core/lease.h"

#define WHERE_LATE	UINT64_C(500000000)	/* ns: what was asked and is not answered by then is not counted on */
#define WHERE_REST	UINT64_C(5000000)	/* ns: after a refusal, then twice as long each time, up to WHERE_REST_MAX */
#define WHERE_REST_MAX	UINT64_C(1000000000)	/* ns */
#define WHERE_HALF	500u			/* thousandths: below it nodes are filled, above it work is spread */
#define WHERE_LIGHT	UINT64_C(262144)	/* bytes: to move fewer costs less than to look for them */
#define WHERE_INDEXED	64u
#define WHERE_WHY	240u

struct where_node {			/* ro */
	uint32_t number;
	bool there, draining, doubted;
	unsigned far;			/* microseconds to it and back; 0: the local one, or not known */
	struct res total, free, waiting;	/* waiting: what is wanted there and has no room */
	struct res asked;		/* of it by where_ask */
	struct labels labels;
	uint64_t seq;			/* of the last report: its number there */
	uint64_t incarnation;		/* the caller's: of its daemon */
	unsigned slot;			/* private from here */
	uint64_t changed;
	struct list link, unused, asks;
};

struct where {
	uint32_t local;			/* the caller's: number of its own node, 0: it has none */
	const char (*name)[64];		/* the caller's: of resources (struct lease_core's), or NULL: custom ones have no names */
	size_t n;			/* ro: nodes that are there */
	uint64_t rev;			/* ro: it rises with each change */
	uint64_t looked;		/* ro: nodes looked at and steps in heaps, all in all; for tests */
	struct map numbers;		/* ro: number -> struct where_node * */
	struct where_node **slot;	/* private from here */
	size_t nslot, cap;
	struct list order, unused, asked, indexed, kinds;
	unsigned nindexed;
	uint64_t last, what_rev;
	struct map asks, by_hash;
};

enum where_strategy { WHERE_HYBRID, WHERE_SPREAD, WHERE_NODE };

struct where_demand {
	struct res need;
	enum where_strategy strategy;
	uint32_t node;			/* WHERE_NODE: this one */
	bool soft;			/* or another one, if it never can */
	bool elsewhere;			/* not the local node */
	const struct label_expr *labels;	/* wanted in this order; copied */
	size_t nlabels;			/* 0: any node; at most LABELS_MAX */
	const uint32_t *among;		/* only these nodes; copied.  For what runs in a placement group: those that have bundles */
	size_t namong;			/*	of it; what room there is in these nobody knows here, so it is to wait there.  0: all nodes */
	uint64_t who;			/* who asks: equal nodes are taken in another order by others */
};

struct where_bytes {			/* of the arguments, on a node */
	uint32_t node;
	uint64_t bytes;
};

enum where_answer { WHERE_NEVER, WHERE_WAIT, WHERE_AT };

struct where_found {
	uint32_t node;			/* AT: there; WAIT: where best to wait, 0: nowhere in particular */
	uint64_t room;			/* AT: so many of the kind may be asked of it at once, at least 1 */
	size_t choice;			/* which of the demand's expressions it satisfies */
	size_t could;			/* WAIT: nodes that could run it if they were not full */
	char why[WHERE_WHY];		/* NEVER */
};

void	where_init(struct where *w, uint32_t local);
void	where_release(struct where *w);			/* kinds too */

/* --- the table --- */

/* A node is there, or offers something else now; labels are copied.  A new one is idle until it reports. */
int	where_node(struct where *w, uint32_t number, const struct res *total, const struct labels *labels, unsigned far);
/* Its report number seq, counted by itself: an older one than the last is nothing. */
void	where_load(struct where *w, uint32_t number, uint64_t seq, const struct res *free, const struct res *waiting,
	    bool draining);
void	where_doubt(struct where *w, uint32_t number, bool on);	/* on: it cannot be reached just now; until off */
void	where_gone(struct where *w, uint32_t number);
struct where_node *where_get(const struct where *w, uint32_t number);	/* NULL: not there */

/* --- what was asked of nodes and is on its way --- */

/* n times need was asked of a node; a ticket, 0: no memory, or it is not there */
uint64_t where_ask(struct where *w, uint64_t now, uint32_t node, const struct res *need, uint64_t n);
void	where_settle(struct where *w, uint64_t ticket, uint64_t n);	/* n of it are answered; of an old ticket: nothing */

/* --- decisions --- */

/* The kind of such a demand, counted; NULL: no memory.  It is the same for demands that are the same in all. */
struct where_kind *where_kind(struct where *w, const struct where_demand *d);
void	where_kind_put(struct where *w, struct where_kind *k);
/* bytes of arguments: at most some tens of nodes, each once; time does not go backwards */
enum where_answer where_find(struct where *w, uint64_t now, struct where_kind *k, const struct where_bytes *bytes, size_t nbytes,
	    struct where_found *f);
/* Is the node one of those that where_find chooses among now, be it full?  false also if there is no memory to tell. */
bool	where_may(struct where *w, uint64_t now, struct where_kind *k, uint32_t node);
void	where_refused(struct where *w, uint64_t now, struct where_kind *k, uint32_t node);	/* it rests */
void	where_granted(struct where *w, struct where_kind *k, uint32_t node);			/* its refusals are forgotten */
int	where_check(struct where *w);			/* tests: 0, or the line that found the fault */

#endif
