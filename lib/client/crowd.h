/*
 * crowd - several threads of a program in the runtime at once (librota).
 *
 * All state is guarded by the client's lock; what is the main thread's alone is the role of the waiter: looking at
 * rings, spinning, sleeping on the bell, unmapping what is dead, chores.  With a crowd the role is handed round.  The
 * first thread that has to wait takes it, and looks for the others too: each parks with what it waits for, and sleeps on
 * a word of its own.  Whoever has the role and is done gives it to one that is parked.
 *
 * Lua programs have no crowd and pay one test for it.
 */
#ifndef CLIENT_CROWD_H
#define CLIENT_CROWD_H

#include "client/client.h"

/*
 * A descriptor for event loops: readable once a member of a wait set has become ready since client_fd_clear, or the
 * node is gone.  From now on a thread of ours is the one that waits, so that it becomes readable at once.  -errno.
 */
int	client_fd(struct client *c);
void	client_fd_clear(struct client *c);	/* before the wait sets are looked through */
void	client_fd_end(struct client *c);	/* before client_close */

int	client_crowd(struct client *c);		/* from now on several threads may call: 0 or -ENOMEM.  Before the second one starts */
/* client_wait for any thread of a crowd: 0, -ETIMEDOUT, -EINTR, ERR_NO_CLUSTER */
int	client_await(struct client *c, struct rec *r, uint64_t deadline);
/*
 * The straight path of client_value: the payload of a record that is ready, lies in the record itself, and is one value and no
 * error: its length, -1 otherwise.  What is looked at does not change any more; the flags' other bits may.
 */
static inline __attribute__((no_sanitize("thread"))) int
client_peek(const struct rec *r)
{
	return rec_is_ready(r) && r->kind == REC_HERE && r->nvals == 1 && !rec_flags(r, REC_ERROR) ? r->len : -1;
}

/* client_release that may come later, for several records at once: for any thread of a crowd */
void	client_leave(struct client *c, struct rec *r);
void	client_left(struct client *c);			/* now, those of this thread */

#endif
