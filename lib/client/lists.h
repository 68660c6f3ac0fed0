/*
 * lists - what there is to list: the columns and the order of rstat LIST and of each ls, show and du, which so are the
 * same.  Columns may be added, never renamed: they are the keys of -J.
 *
 *	struct listing l = { 0 };
 *	if (lists_add(k, &l, c, why, sizeof why) < 0 || lists_order(k, &l, filters, false, why, sizeof why) < 0) ...
 *	listing_print(&l, &t);
 *	listing_free(&l);
 */
#ifndef CLIENT_LISTS_H
#define CLIENT_LISTS_H

#include "client/listing.h"

enum { LISTS_FILTERS = 64 };		/* as many as a command line may have */

struct list_kind {
	const char *name;
	const struct table_col *cols;	/* rows are sorted by the first */
	const char *of;			/* what the node calls it, if otherwise */
	const char *key[2];		/* the column that tells rows apart, and for those where it is empty another */
	const char *blank[5];		/* columns where 0 says that there is none */
	const char *only;		/* a filter that always holds, or NULL */
	bool down;			/* the largest first */
	const char *past;		/* what the node calls those that are over, or NULL: nobody remembers them */
};

extern const struct list_kind lists[];		/* of rstat; the last has no name */
extern const char *const lists_names[];		/* theirs, NULL-ended */
extern const struct list_kind lists_kept;	/* objects that the node keeps */
extern const struct list_kind lists_node;	/* nodes, but only the one that is asked */
extern const struct list_kind lists_owners;	/* how much there is, by owner */

const struct list_kind *lists_find(const char *name);	/* or NULL */
/* Appends what the node of c has; l begins as { 0 }.  0, or an error with a line in why: l is as it was. */
int	lists_add(const struct list_kind *k, struct listing *l, struct client *c, char *why, size_t n);
int	lists_add_past(const struct list_kind *k, struct listing *l, struct client *c, char *why, size_t n);	/* the same of those that are over */
/* Keeps what fits all filters (NULL-ended), sorted.  0; -EINVAL: a filter, with a line in why; -ENOMEM: l is empty then. */
int	lists_order(const struct list_kind *k, struct listing *l, char *const *filters, bool reverse, char *why, size_t n);
int	lists_check(const struct list_kind *k, char *const *filters, char *why, size_t n);	/* without rows: is each one? */

#endif
