/* fd - descriptors: passing them, whole reads and writes, limits.  Failure is -errno. */
#ifndef OS_FD_H
#define OS_FD_H

#include <stddef.h>
#include <sys/types.h>

enum { FD_MAX = 16 };		/* descriptors in one message */

/*
 * One sendmsg, EINTR retried, never SIGPIPE: the number of bytes sent (the descriptors go with the first), or -errno.
 * n >= 1.  The caller keeps its descriptors.  On a stream fewer than n bytes may go: send the rest without fds.
 */
int	fd_send(int sock, const void *p, size_t n, const int *fds, int nfd);
/*
 * One recvmsg: bytes, 0 at end of file, -errno.  *nfd is the room in fds and becomes how many came, all
 * close-on-exec and the caller's; surplus ones are closed.  If some were lost,
 * -EMFILE for there was no room for them in this process, or -EMSGSIZE for more than FD_MAX were sent: give up the connection.
 */
ssize_t	fd_recv(int sock, void *p, size_t n, int *fds, int *nfd);
int	fd_write_all(int fd, const void *p, size_t n);	/* all or -errno; waits on a non-blocking descriptor */
int	fd_nonblock(int fd);
int	fd_standard(void);		/* 0, 1, 2 that are closed are taken, by what gives EBADF still: no socket becomes stdout */
int	fd_raise_limit(void);		/* RLIMIT_NOFILE: soft to hard; the limit now, or -errno */

#endif
