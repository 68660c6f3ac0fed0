/*
 * table - prints a listing of records: the same columns aligned on a terminal, as tabs in a pipe, as JSON.
 * terminal: heading, aligned, sizes 1.2G, ages 3m, local time, cut to the width; printed by table_end.
 * pipe: tabs, no heading, bytes, seconds, UTC times, '-' for an empty cell, written row by row.
 * json: an object a line; keys are the column names, empty is null; bytes that are no UTF-8 as \ufffd and NAME_base64.
 * For cmd/.  Values are given in the order of the column table, then table_row ends the record.
 *
 *	static const struct table_col cols[] = { { "id", TABLE_STRING }, { "size", TABLE_BYTES }, { 0 } };
 *	table_init(&t, cols, stdout);
 *	if (select && (e = table_select(&t, select, why, sizeof why)) != 0)
 *		e > 0 ? exit(0) : die(2, 0, "%s", why);
 *	table_str(&t, id); table_uint(&t, bytes); table_row(&t);
 *	if ((e = table_end(&t)) < 0) die(125, e, "cannot write to stdout");
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/buf.h"

enum table_kind {
	TABLE_STRING,
	TABLE_UINT,
	TABLE_BYTES,		/* a size */
	TABLE_AGE,		/* nanoseconds of duration */
	TABLE_TIME,		/* nanoseconds since 1970 */
	TABLE_FLOAT,
	TABLE_BOOL
};

struct table_col {
	const char *name;	/* [a-z0-9_]+ */
	enum table_kind kind;
};

enum { TABLE_MAX = 48 };	/* columns of one table */

struct table_cell {
	bool none;		/* empty */
	uint64_t u;
	double f;
	size_t off, len;	/* text in rowtext */
};

struct table {
	bool json;		/* rw after table_init: -J */
	bool header;		/* rw: --header, a heading in a pipe too */
	bool show;		/* rw: one record, as name<TAB>value lines */
	bool tty;		/* rw: set by table_init from the stream */
	unsigned width;		/* rw: of the terminal */
	const struct table_col *cols;	/* the rest is private */
	FILE *f;
	unsigned ncol, nsel, nval, sel[TABLE_MAX];
	bool begun;
	int err;
	struct table_cell row[TABLE_MAX];
	struct buf rowtext, cells, line;
	size_t nrow;
};

void	table_init(struct table *t, const struct table_col *cols, FILE *f);
/* -o LIST: names separated by commas.  0; 1 after printing the names for "help"; -EINVAL with a line in why. */
int	table_select(struct table *t, const char *list, char *why, size_t n);
void	table_str(struct table *t, const char *s);			/* NULL or "": empty */
void	table_bytes(struct table *t, const void *p, size_t n);	/* any bytes */
void	table_uint(struct table *t, uint64_t v);			/* UINT, BYTES, AGE, TIME */
void	table_float(struct table *t, double v);
void	table_none(struct table *t);					/* an empty cell */
void	table_row(struct table *t);					/* missing cells are empty */
int	table_end(struct table *t);	/* prints what is left, flushes, frees; 0 or the first error, -errno */

#endif
