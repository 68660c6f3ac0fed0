/* sock - unix stream sockets inside a directory given by descriptor, so that no path is too long, or AT_FDCWD. */
#ifndef OS_SOCK_H
#define OS_SOCK_H

#include <sys/types.h>

/* A listening descriptor, close-on-exec, blocking.  -EADDRINUSE: the name exists; whoever holds the lock unlinks it. */
int	sock_listen(int dirfd, const char *name);
enum { SOCK_WAIT = 10 };	/* seconds */

/*
 * A connected descriptor, close-on-exec, blocking: connecting, sending and receiving wait SOCK_WAIT at most, then
 * -EAGAIN, since a peer may be stopped.  -ECONNREFUSED: stale, no one listens; -ENOENT: no such name.
 */
int	sock_connect(int dirfd, const char *name);
int	sock_accept(int fd);		/* close-on-exec, non-blocking; -EAGAIN, -EMFILE, ... */
int	sock_peer(int fd, pid_t *pid, uid_t *uid);	/* -EPERM for the overflow uid 65534: nobody knows who it is */

#endif
