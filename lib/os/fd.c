#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"
#include "os/fd.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FD_MAX * sizeof(int))];
};

int
fd_send(int sock, const void *p, size_t n, const int *fds, int nfd)
{
	struct iovec iov = { (void *)p, n < INT_MAX ? n : INT_MAX };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control c;
	struct cmsghdr *h;
	ssize_t r;

	if (n == 0 || nfd < 0 || nfd > FD_MAX)
		return -EINVAL;
	if (nfd) {
		memset(&c, 0, sizeof c);
		m.msg_control = c.room;
		m.msg_controllen = CMSG_SPACE((size_t)nfd * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN((size_t)nfd * sizeof(int));
		memcpy(CMSG_DATA(h), fds, (size_t)nfd * sizeof(int));
	}
	while ((r = sendmsg(sock, &m, MSG_NOSIGNAL)) < 0)
		if (errno != EINTR)
			return -errno;
	return (int)r;
}

ssize_t
fd_recv(int sock, void *p, size_t n, int *fds, int *nfd)
{
	struct iovec iov = { p, n };
	union control c;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.room, .msg_controllen = sizeof c.room };
	struct cmsghdr *h;
	int room = *nfd, got = 0, fd;
	size_t i, k, came = 0;
	ssize_t r;

	*nfd = 0;
	while ((r = recvmsg(sock, &m, MSG_CMSG_CLOEXEC)) < 0)
		if (errno != EINTR)
			return -errno;
	for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		came += k;
		for (i = 0; i < k; i++) {
			memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
			if (got < room)
				fds[got++] = fd;
			else
				close(fd);
		}
	}
	if (m.msg_flags & MSG_CTRUNC) {		/* more than FD_MAX, or we are at our limit of descriptors */
		while (got)
			close(fds[--got]);
		return came < FD_MAX ? -EMFILE : -EMSGSIZE;
	}
	*nfd = got;
	return r;
}

static int
ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

int
fd_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;
	ssize_t r;
	int e;

	while (n) {
		if ((r = write(fd, p, n)) >= 0) {
			p += r;
			n -= (size_t)r;
		} else if (errno == EAGAIN) {
			if ((e = ready(fd, POLLOUT)) < 0)
				return e;
		} else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int
fd_nonblock(int fd)
{
	int f = fcntl(fd, F_GETFL);

	return f < 0 || fcntl(fd, F_SETFL, f | O_NONBLOCK) < 0 ? -errno : 0;
}

int
fd_standard(void)
{
	int fd;

	while ((fd = open("/dev/null", O_PATH)) <= 2)
		if (fd < 0)
			return -errno;
	close(fd);
	return 0;
}

int
fd_raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return -errno;
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			return -errno;
	}
	return r.rlim_cur > INT_MAX ? INT_MAX : (int)r.rlim_cur;
}
