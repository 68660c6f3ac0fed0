/* os_sock.c - sockets under a path longer than sun_path; a stale one and a missing one are told apart; who is the peer */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "tap.h"
#include "os/sock.h"

int
main(void)
{
	char tmp[] = "/tmp/os_sock.XXXXXX", name[101], path[400], c = 0;
	int top = -1, dir = -1, l, a, b;
	struct timeval tv = { 0 };
	socklen_t len = sizeof tv;
	pid_t pid = 0;
	uid_t uid = 1;

	memset(name, 'd', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	ok(mkdtemp(tmp) != NULL);
	snprintf(path, sizeof path, "%s/%s", tmp, name);
	ok(mkdir(path, 0700) == 0 && (top = open(tmp, O_DIRECTORY)) >= 0 && (dir = openat(top, name, O_DIRECTORY)) >= 0);

	ok(sock_connect(dir, "s") == -ENOENT);
	ok((l = sock_listen(dir, "s")) >= 0 && (fcntl(l, F_GETFD) & FD_CLOEXEC));
	ok(sock_listen(dir, "s") == -EADDRINUSE);
	ok((a = sock_connect(dir, "s")) >= 0 && getsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &tv, &len) == 0 && tv.tv_sec == SOCK_WAIT &&
	    getsockopt(a, SOL_SOCKET, SO_SNDTIMEO, &tv, &len) == 0 && tv.tv_sec == SOCK_WAIT);	/* none waits for ever */
	close(a);
	close(sock_accept(l));
	ok((a = sock_connect(dir, "s")) >= 0 && (fcntl(a, F_GETFD) & FD_CLOEXEC));
	ok((b = sock_accept(l)) >= 0 && (fcntl(b, F_GETFL) & O_NONBLOCK) && read(b, &c, 1) < 0 && errno == EAGAIN);
	ok(write(a, "x", 1) == 1 && read(b, &c, 1) == 1 && c == 'x');
	ok(sock_peer(b, &pid, &uid) == 0 && pid == getpid() && uid == geteuid());
	ok(sock_peer(top, &pid, &uid) == -ENOTSOCK);
	close(a), close(b), close(l);
	ok(sock_connect(dir, "s") == -ECONNREFUSED);		/* stale */
	ok(sock_listen(dir, "s") == -EADDRINUSE && unlinkat(dir, "s", 0) == 0 && (l = sock_listen(dir, "s")) >= 0);
	ok(sock_listen(dir, path) == -ENAMETOOLONG && sock_listen(-1, "s") < 0);
	if (geteuid() == 0) {					/* the overflow uid is nobody known */
		if (fork() == 0)
			_exit(fchmodat(top, ".", 0711, 0) || chmod(path, 0711) || fchmodat(dir, "s", 0666, 0) ||
				setuid(65534) || (a = sock_connect(dir, "s")) < 0);
		b = sock_accept(l);
		ok(b >= 0 && sock_peer(b, &pid, &uid) == -EPERM);
		close(b);
	}
	close(l);
	ok(unlinkat(dir, "s", 0) == 0 && rmdir(path) == 0 && rmdir(tmp) == 0);
	return tap_done();
}
