/* named - a cluster by the name that rota up gave it: what that left in this user's files says where its node is */
#ifndef CLIENT_NAMED_H
#define CLIENT_NAMED_H

#include <stddef.h>

/*
 * The socket of a node of the cluster on this machine, into path; "" means the user's lasting node.  0; -ENOENT: no such
 * cluster is known; -EHOSTUNREACH: it is, but has no node here; -EINVAL: that is no name of a cluster.
 */
int	named_find(const char *name, char *path, size_t n);

#endif
