/*
 * gcs_disk - what the control store has on its disk: the state that a start finds, and the committer, a thread that makes
 * one commit of all that came during the last sync.  Private to gcs.c.
 *
 * A batch of writes is the committer's from gcs_disk_write on.  After each commit, and after a failure, which is the last
 * thing that the committer does, it calls committed in its own thread.
 */
#ifndef NODE_GCS_DISK_H
#define NODE_GCS_DISK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/control.h"

struct db;

struct gcs_batch {			/* effects of some steps, as the core made them */
	struct gcs_batch *next;
	struct control_out out;		/* owned */
};
void	gcs_batch_free(struct gcs_batch *b);

struct gcs_disk_state {
	uint64_t done;			/* last durable commit */
	size_t backlog;			/* bytes that wait for the disk */
	int failed;			/* why nothing is written any more, or 0 */
};

struct gcs_disk {			/* private */
	struct db *db;
	pthread_t committer;
	pthread_mutex_t mutex;		/* of all that follows */
	pthread_cond_t work;
	struct gcs_batch *todo, **todo_end;	/* oldest first */
	struct gcs_disk_state state;
	bool running, quit;
	void (*committed)(void *arg);
	void *arg;
};

void	gcs_disk_init(struct gcs_disk *d, void (*committed)(void *arg), void *arg);
/*
 * Opens gcs.db in the directory dir, whose name is path: the state as the last commit left it, under the next epoch, which is
 * core->epoch before row is called with each key and value.
 * 0, or an error and why.
 */
typedef int gcs_disk_row(void *ctx, const void *key, size_t nkey, const void *val, size_t nval);	/* < 0: it cannot be used; > 0: no more is wanted */
int	gcs_disk_load(struct gcs_disk *d, int dir, const char *path, struct control *core, gcs_disk_row *row, void *ctx,
	    char *why, size_t nwhy);
int	gcs_disk_start(struct gcs_disk *d, uint64_t done);	/* the committer; done: the core's last commit.  0 or -errno */
struct gcs_disk_state gcs_disk_look(struct gcs_disk *d);
struct gcs_disk_state gcs_disk_write(struct gcs_disk *d, struct gcs_batch *b);	/* takes b, writes only */
void	gcs_disk_end(struct gcs_disk *d);	/* after init alone too; what was given is written first; committed is not called later */

#endif
