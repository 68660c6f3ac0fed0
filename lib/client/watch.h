/*
 * watch - a listing that is kept up to date, -w: a terminal is redrawn each second, a pipe gets a line for each row that
 * comes, changes its state or goes (its state is "gone" then).
 */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include <stdio.h>
#include "client/lists.h"

struct watch {
	const struct list_kind *kind;			/* of the rows: what tells them apart */
	void (*print)(FILE *f, void *arg);		/* all of it, as on the terminal that the table is for */
	void (*read)(struct listing *l, void *arg);	/* they are freed here */
	void *arg;
};

/*
 * Writes to the stream of t until INT, TERM or HUP comes, and returns its number: the caller ends and raises it again.
 * -errno: the stream cannot be written.  A second signal ends the program at once.
 */
int	watch(const struct watch *w, struct table *t);

#endif
