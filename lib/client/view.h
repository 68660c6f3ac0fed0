/*
 * view - a list as a command line asks for it: its options and filters, the table that is printed, and what -w keeps up to
 * date: a terminal is redrawn each second, a pipe gets a line for each row that comes, changes its state or goes (its state
 * is "gone" then).  rstat LIST and every ls, show and du are this.  For cmd/.
 *
 *	struct view v = { .kind = lists_find("workers") };
 *	view_opt(&v, c, o.arg) of VIEW_OPTS in the program's table, view_filter(&v, argv[0]) for each operand
 *	if ((e = view_begin(&v, &t, stdout, why, sizeof why)) != 0)
 *		e > 0 ? exit(0) : die(2, 0, "%s", why);
 *	v.client = ...;
 *	if ((e = view_run(&v, &t, why, sizeof why)) < 0)
 *		die(125, 0, "%s", why);
 */
#ifndef CLIENT_VIEW_H
#define CLIENT_VIEW_H

#include "client/lists.h"

enum { VIEW_HEADER = 511 };

/* of what shows one record, and of lists */
#define VIEW_OPTS \
	{ 'J', "json", NULL, "JSON lines" }, \
	{ 'o', "columns", "COL,...", "columns" }, \
	{ 'w', "watch", NULL, "keep watching" }
#define VIEW_LIST_OPTS \
	VIEW_OPTS, \
	{ 'r', "reverse", NULL, "reverse order" }, \
	{ VIEW_HEADER, "header", NULL, "a heading in a pipe too" }

struct view {
	const struct list_kind *kind;
	struct client *client;		/* whom lists_add asks, unless there is read */
	/* Appends the rows of all there is; 0, or an error with a line in why.  NULL: lists_add. */
	int (*read)(struct listing *l, void *arg, char *why, size_t n);
	void *arg;			/* read's */
	bool show;			/* one record, as name<TAB>value lines */
	bool all;			/* those that are over, too */
	bool json, header, reverse, watch;	/* these by view_opt and view_filter */
	const char *columns;
	char *filter[LISTS_FILTERS + 1];	/* NULL-ended */
	unsigned nfilter;
};

bool	view_opt(struct view *v, int letter, const char *arg);	/* was it one of VIEW_LIST_OPTS? */
int	view_filter(struct view *v, char *filter);		/* kept as it is; -E2BIG beyond LISTS_FILTERS */
/* Makes t for f.  0; 1: -o help, the names were printed; -EINVAL: a column or a filter, with a line in why.  Asks nobody. */
int	view_begin(const struct view *v, struct table *t, FILE *f, char *why, size_t n);
/*
 * Prints it to the stream of t and ends t; with .watch it goes on until INT, TERM or HUP comes, and returns its number: the
 * caller ends and raises it again (a second signal ends the program at once).  0, or an error with a line in why.
 */
int	view_run(const struct view *v, struct table *t, char *why, size_t n);

/* between view.c and watch.c */
/* All rows that fit, in order; the caller frees l.  0, or an error with a line in why: l is empty. */
int	view_read(const struct view *v, struct listing *l, char *why, size_t n);
int	view_print(const struct view *v, struct table *t, char *why, size_t n);		/* view_read's rows into t */
int	view_watch(const struct view *v, struct table *t, char *why, size_t n);

#endif
