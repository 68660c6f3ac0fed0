/*
 * cluster - what is known of all nodes: one list of rows, kept by the control store and followed by every node.
 *
 * A row is a node's number and two strings of bytes that the list does not look into: what it is (name, address, what it
 * offers, labels), which seldom changes, and how loaded it is, which changes all the time.  Every change gives the row the
 * next revision.  A follower asks for what changed since the revision that it has and applies it to a list of its own;
 * of a row that changed ten times meanwhile it gets the last state.  A node that is gone is a row without bytes; the
 * oldest of these are forgotten, and who asks from before them gets the whole list anew.
 *
 * Sans I/O.  The caller frees nothing but the list.  Changes come as a msgpack array for each row:
 *	[number, revision, what it is or nil: as before, load or nil: as before], or [number, revision]: it is gone
 */
#ifndef CORE_CLUSTER_H
#define CORE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

#define CLUSTER_BYTES_MAX 8192u		/* of either string */
#define CLUSTER_GONE_MAX 1024u		/* rows of nodes that are gone */

struct cluster_row {			/* ro */
	uint32_t number;
	bool gone;
	uint64_t rev, what_rev;		/* of the last change, and of the last one of what */
	struct buf what, load;
	struct list link, grave;	/* private: in order of rev; of those that are gone */
};

struct cluster {
	struct map rows;		/* ro: number -> struct cluster_row *, those that are gone too */
	uint64_t rev;			/* ro: of the last change */
	uint64_t what_rev;		/* ro: of the last one of what some node is, or that one came or went */
	size_t n;			/* ro: nodes that are there */
	struct list order, graves;	/* private from here */
	size_t ngone;
	uint64_t floor;			/* the last one that was forgotten */
};

struct cluster_seen {			/* how far a follower is; all 0: it has nothing */
	uint64_t rev;
	uint64_t base;			/* private: the list's when it was begun anew */
	uint64_t all;			/* private: the list's when it had all of it; what changed before is known to it */
};

void	cluster_init(struct cluster *c, uint64_t epoch);	/* of the control store: revisions begin above all of earlier ones */
void	cluster_release(struct cluster *c);
/* A node is there, or its row changes; what, load p NULL: as before.  No change of bytes is no change.  0, -ENOMEM, -E2BIG. */
int	cluster_set(struct cluster *c, uint32_t number, struct span what, struct span load);
void	cluster_gone(struct cluster *c, uint32_t number);	/* of one that is not there: nothing */
const struct cluster_row *cluster_row(const struct cluster *c, uint32_t number);	/* NULL: it is not there, or gone */
/* the nodes that are there in the order of their last changes: row NULL begins, NULL ends */
const struct cluster_row *cluster_next(const struct cluster *c, const struct cluster_row *row);
/* the rows that changed after rev, those of nodes that are gone too, the last change first: row NULL begins, NULL ends */
const struct cluster_row *cluster_newer(const struct cluster *c, uint64_t rev, const struct cluster_row *row);
/*
 * Appends to out what the follower has not seen, oldest first, until `most` bytes are there, always one row; *s is then
 * where to go on.  *anew: it is to forget all before it applies this.  0 or -ENOMEM, then out may have some of it.
 */
int	cluster_since(const struct cluster *c, struct cluster_seen *s, size_t most, struct buf *out, bool *anew);
/* Applies what cluster_since gave elsewhere.  0, ERR_PROTO: it makes no sense, c has what came before that; -ENOMEM. */
int	cluster_apply(struct cluster *c, struct span changes, bool anew);
int	cluster_check(const struct cluster *c);	/* tests: 0, or the line that found the fault */

#endif
