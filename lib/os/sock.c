#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "os/sock.h"

enum { OVERFLOW_UID = 65534 };		/* what the kernel says for a uid that our user namespace lacks */

static int
address(struct sockaddr_un *sa, int dirfd, const char *name)
{
	int n;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = dirfd == AT_FDCWD ? snprintf(sa->sun_path, sizeof sa->sun_path, "%s", name) :
	    snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%s", dirfd, name);
	return n >= (int)sizeof sa->sun_path ? -ENAMETOOLONG : 0;
}

static int
open_socket(int dirfd, const char *name, int (*join)(int, const struct sockaddr *, socklen_t))
{
	static const struct timeval wait = { .tv_sec = SOCK_WAIT };
	struct sockaddr_un sa;
	int e, fd;

	if ((e = address(&sa, dirfd, name)) < 0)
		return e;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (join == connect && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)) {
		e = -errno;
		close(fd);
		return e;
	}
	do
		e = join(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ? -errno : 0;
	while (e == -EINTR);		/* a unix connect that was interrupted has not begun */
	if (e < 0) {
		close(fd);
		return e;
	}
	return fd;
}

int
sock_listen(int dirfd, const char *name)
{
	int fd = open_socket(dirfd, name, bind), e;

	if (fd >= 0 && listen(fd, SOMAXCONN) < 0) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

int
sock_connect(int dirfd, const char *name)
{
	return open_socket(dirfd, name, connect);
}

int
sock_accept(int fd)
{
	int c;

	while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
		if (errno != EINTR && errno != ECONNABORTED)
			return -errno;
	return c;
}

int
sock_peer(int fd, pid_t *pid, uid_t *uid)
{
	struct ucred u;
	socklen_t n = sizeof u;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
		return -errno;
	if (u.uid == OVERFLOW_UID)
		return -EPERM;
	*pid = u.pid;
	*uid = u.uid;
	return 0;
}
