/*
 * gcs - the control store daemon without its command line: nodes connect, core/control.c decides, LMDB remembers.
 *
 * Writes are put on disk by a committer thread in groups; no frame leaves before the writes that it depends on are
 * durable.  One lock on the directory; the epoch is raised on disk before anybody is served.
 */
#ifndef NODE_GCS_H
#define NODE_GCS_H

#include <stddef.h>
#include <stdint.h>
#include "node/gcs_past.h"

struct gcs_opts {
	const char *dir;		/* where state is kept; NULL: $XDG_STATE_HOME/rota, else ~/.local/state/rota */
	const char *listen;		/* HOST:PORT for nodes of other machines; NULL: for none */
	const char *key;		/* file of the cluster's keys: made if listen is given and it is not there */
	uint64_t dead;			/* ns without a sign of a node until it is given up; 0: ALIVE_DEAD */
	uint64_t tables;		/* bytes of actors and jobs in memory, then new ones are refused; 0: CONTROL_BYTES */
	uint64_t history;		/* bytes on the disk of each list of what is over; 0: none */
	int kept;			/* the listening socket of nodes here that the last daemon left, then ours; -1: there is none */
	int keeper;			/* to whoever starts us again, see gcs_run; -1: nobody does */
	void (*log)(int e, const char *text);
};

struct gcs;

int	gcs_new(struct gcs **g, const struct gcs_opts *o, char *why, size_t nwhy);	/* -EBUSY: one runs already */
/*
 * Until TERM or INT: 0, or what ended it.  ready as in node_run, before the newline comes the address for other machines; a
 * keeper gets that address and a copy of the listening socket, which stays where it is unless we end in order.
 */
int	gcs_run(struct gcs *g, int ready);
void	gcs_free(struct gcs *g);
/* Opens the directory of o.dir, made if it is missing, ours alone to write to: a descriptor, or -errno with a line in why. */
int	gcs_dir(const char *given, char *path, size_t n, char *why, size_t nwhy);

#endif
