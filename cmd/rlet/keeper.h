/*
 * keeper - the process that stands before the node daemon: it holds what is to outlive a daemon that dies, ends what that
 * one left running, and lets another one take over.  It does nothing else, so that nothing else can go wrong in it.
 */
#ifndef RLET_KEEPER_H
#define RLET_KEEPER_H

#include "node/node.h"

enum { KEEPER_ANEW = 75 };	/* exit status of a daemon whose node was given up: another one begins anew, with o.again */

/*
 * Returns in the daemon, with heir and keeper of *o set; ready becomes -1 for one that takes over.  The caller's process
 * stays in here, passes TERM and INT on and exits as the daemon does.  The daemon ends with it.  Returns in the caller's process
 * only if it cannot fork: -errno.
 */
int	keeper_start(struct node_opts *o, int *ready);
void	keeper_let_go(bool detached);	/* of the directory; of stderr, which may be a pipe of a program that we outlive */

#endif
