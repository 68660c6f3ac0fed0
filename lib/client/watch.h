/*
 * watch - a listing that is kept up to date, the option -w: a terminal is redrawn each second, a pipe gets a line for each
 * row that comes, changes its state or goes (its state is "gone" then).
 */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include <stdio.h>
#include "client/client.h"
#include "client/listing.h"

struct watch {
	FILE *f;			/* where to */
	void (*open)(struct table *t, FILE *f, void *arg);		/* makes a table as the one given to watch */
	void (*read)(struct client *c, struct listing *l, void *arg);	/* rows, sorted by the first column; the caller frees l */
	void (*print)(struct client *c, struct table *t, void *arg);	/* for a terminal; NULL: what read reads */
	void *arg;
};

/*
 * Until a signal comes that is not ignored, INT, TERM or HUP: its number, for sig_reraise; the terminal is as it was.
 * ERR_NO_CLUSTER: the node is gone, client_lost says why; -errno: nothing can be written to f.
 */
int	watch(struct client *c, const struct watch *w, struct table *t);

#endif
