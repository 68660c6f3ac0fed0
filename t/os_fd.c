/* os_fd.c - descriptors pass through a socket, surplus ones are closed, whole writes are whole */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "base/err.h"
#include "os/fd.h"

static int
count(void)			/* open descriptors */
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int
same(int a, int b)		/* the same open file: an offset is shared */
{
	return lseek(a, 5, SEEK_SET) == 5 && lseek(b, 0, SEEK_CUR) == 5;
}

int
main(void)
{
	int s[2], p[2], fds[FD_MAX + 1], got[FD_MAX], n, i, before, file = open("/proc/self/exe", O_RDONLY);
	static char big[1 << 20], back[1 << 20];
	struct rlimit r;
	size_t all = 0;
	ssize_t part;
	char c[8];

	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	for (i = 0; i <= FD_MAX; i++)
		fds[i] = file;
	before = count();
	n = 4;
	ok(fd_send(s[0], "ab", 2, fds, 1) == 2 && fd_recv(s[1], c, sizeof c, got, &n) == 2 && n == 1 && memcmp(c, "ab", 2) == 0);
	ok(same(file, got[0]) && (fcntl(got[0], F_GETFD) & FD_CLOEXEC));
	close(got[0]);
	n = FD_MAX;
	ok(fd_send(s[0], "x", 1, fds, FD_MAX) == 1 && fd_recv(s[1], c, sizeof c, got, &n) == 1 && n == FD_MAX);
	while (n)
		close(got[--n]);
	n = 2;
	ok(fd_send(s[0], "x", 1, fds, 5) == 1 && fd_recv(s[1], c, sizeof c, got, &n) == 1 && n == 2);
	close(got[0]), close(got[1]);
	ok(count() == before);
	n = 0;
	ok(fd_send(s[0], "x", 1, fds, 3) == 1 && fd_recv(s[1], c, sizeof c, NULL, &n) == 1 && n == 0 && count() == before);
	ok(fd_send(s[0], "x", 1, fds, FD_MAX + 1) == -EINVAL && fd_send(s[0], "", 0, NULL, 0) == -EINVAL);

	getrlimit(RLIMIT_NOFILE, &r);		/* no room for what arrives: all or an error, never a part unnoticed */
	n = FD_MAX;
	ok(fd_send(s[0], "x", 1, fds, FD_MAX) == 1);
	i = dup(file);
	ok(i > 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t)i + 3, r.rlim_max }) == 0);
	ok(fd_recv(s[1], c, sizeof c, got, &n) == -EMFILE && n == 0);
	setrlimit(RLIMIT_NOFILE, &r);
	close(i);
	ok(count() == before);

	n = FD_MAX;
	ok(fd_nonblock(s[1]) == 0 && fd_recv(s[1], c, sizeof c, got, &n) == -EAGAIN && n == 0);
	close(s[0]);
	n = FD_MAX;
	ok(fd_recv(s[1], c, sizeof c, got, &n) == 0);
	ok(fd_send(s[1], "x", 1, NULL, 0) == -EPIPE);		/* and no SIGPIPE */
	close(s[1]);

	for (i = 0; i < (int)sizeof big; i++)
		big[i] = (char)(i * 31);
	ok(pipe(p) == 0 && fd_nonblock(p[1]) == 0 && fd_nonblock(p[0]) == 0);
	if (fork() == 0) {
		close(p[0]);
		_exit(fd_write_all(p[1], big, sizeof big) != 0);
	}
	close(p[1]);
	while (poll(&(struct pollfd){ p[0], POLLIN, 0 }, 1, -1) == 1 && (part = read(p[0], back + all, sizeof back - all)) > 0)
		all += (size_t)part;
	ok(all == sizeof back && memcmp(big, back, sizeof big) == 0);
	ok(wait(&i) > 0 && i == 0);
	ok(fd_write_all(-1, big, 1) == -EBADF);
	ok(fd_raise_limit() > 0 && getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur == r.rlim_max);
	return tap_done();
}
