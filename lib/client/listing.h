/*
 * listing - the rows of client_list as a table: read, filtered, sorted and printed.  rstat LIST and every ls are this.
 *
 *	struct listing l;
 *	if ((e = listing_read(&l, c, "workers", cols, why, sizeof why)) < 0) ...
 *	listing_sort(&l, 0, false);
 *	listing_print(&l, &t);
 *	listing_free(&l);
 */
#ifndef CLIENT_LISTING_H
#define CLIENT_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/table.h"
#include "client/client.h"

struct listing_cell {
	bool none;
	uint64_t u;			/* UINT, BYTES, AGE, TIME, BOOL */
	double f;			/* any number */
	size_t off, len;		/* STRING: bytes in text */
};

struct listing {
	const struct table_col *cols;	/* the caller's */
	unsigned ncol;
	struct listing_cell *cell;	/* len rows of ncol cells */
	size_t len, cap;
	struct buf text;
};

/* Cells come by column name; what the node does not tell is empty.  0, or an error with a line in why: l is empty then. */
int	listing_read(struct listing *l, struct client *c, const char *what, const struct table_col *cols, char *why, size_t n);
/* The same of a further node: rows are appended to what l has, { 0 } at first; after an error it has them as before. */
int	listing_add(struct listing *l, struct client *c, const char *what, const struct table_col *cols, char *why, size_t n);
void	listing_free(struct listing *l);
void	listing_blank(struct listing *l, const char *col);	/* a 0 in this column is an empty cell */
/* Keeps the rows that fit COL=VALUE or COL~REGEX (extended).  0; -EINVAL with a line in why; -ENOMEM. */
int	listing_filter(struct listing *l, const char *filter, char *why, size_t n);
void	listing_sort(struct listing *l, unsigned col, bool reverse);	/* empty cells first */
void	listing_print(const struct listing *l, struct table *t);	/* t was made for the same columns */
const struct listing_cell *listing_at(const struct listing *l, size_t row, const char *col);	/* col exists */

#endif
