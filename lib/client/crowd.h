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

int	client_crowd(struct client *c);		/* from now on several threads may call: 0 or -ENOMEM.  Before the second one starts */
/*
 * Waits for r and reads it, as client_wait and client_value do, with one look at the lock when it is there: 0,
 * -ETIMEDOUT, -EINTR, ERR_NO_CLUSTER, ERR_LOST.  May be called from any thread of a crowd.
 */
int	client_fetch(struct client *c, struct rec *r, uint64_t deadline, struct value *v);

#endif
