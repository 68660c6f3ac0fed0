/*
 * keeper - the process that stands before the control store of several machines: it starts the daemon again when that dies, or
 * ends because it cannot write.  Meanwhile it holds the socket of this machine, so that nodes here wait instead of starting
 * a store that nobody else can reach; nodes elsewhere are told that nobody listens, so that they know nobody gives them up
 * (node/fence.c).  It does nothing else, so that nothing else can go wrong in it.
 */
#ifndef RGCS_KEEPER_H
#define RGCS_KEEPER_H

#include <stdbool.h>
#include "node/gcs.h"

/*
 * Returns in the daemon, with o->keeper and o->kept set; *ready becomes -1 for one that is started again, and the port of o->listen
 * is the one that the first was given.  The caller's process stays in here, passes TERM and INT on and exits as the daemon does.
 * The daemon ends with it.  Returns in the caller's process only if it cannot fork: -errno.
 */
int	keeper_start(struct gcs_opts *o, int *ready, bool detached);
void	keeper_let_go(bool detached);		/* of stderr, which may be a pipe of a program that we outlive */

#endif
