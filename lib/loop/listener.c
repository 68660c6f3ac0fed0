#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>
#include "loop/listener.h"
#include "os/fd.h"
#include "os/sock.h"
#include "os/tcp.h"

enum { TURN = 64 };		/* connections taken per turn */

static int
take(const struct listener *l)
{
	return l->tcp ? tcp_accept(l->io.fd) : sock_accept(l->io.fd);
}

/* no descriptor is left: who waits shall not wait in vain */
static void
shed(struct listener *l)
{
	int fd;

	for (int i = 0; i < TURN && l->spare >= 0; i++) {
		close(l->spare);
		if ((fd = take(l)) >= 0) {
			if (l->on_full)
				l->on_full(l, fd);
			close(fd);
		}
		l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
	}
}

void
listener_poll(struct listener *l)
{
	pid_t pid = 0;
	uid_t uid;
	int fd;

	for (int i = 0; i < TURN && !l->paused; i++) {
		if ((fd = take(l)) < 0) {
			if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
				shed(l);
				ev_io_stop(l->loop, &l->io);
				ev_timer_set(&l->rest, 1, 0);
				ev_timer_start(l->loop, &l->rest);
			}
			return;
		}
		if (!l->tcp && (sock_peer(fd, &pid, &uid) < 0 || uid != geteuid())) {
			close(fd);
			continue;
		}
		l->on_accept(l, fd, pid);
	}
}

static void
io_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	listener_poll((struct listener *)(void *)((char *)w - offsetof(struct listener, io)));
}

static void
rest_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct listener *l = (struct listener *)(void *)((char *)w - offsetof(struct listener, rest));

	(void)revents;
	if (!l->paused)
		ev_io_start(loop, &l->io);
}

void
listener_init(struct listener *l, struct ev_loop *loop, int fd)
{
	l->loop = loop;
	l->tcp = l->paused = false;
	l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd_nonblock(fd);
	ev_io_init(&l->io, io_cb, fd, EV_READ);
	ev_timer_init(&l->rest, rest_cb, 1, 0);
}

void
listener_start(struct listener *l)
{
	ev_io_start(l->loop, &l->io);
}

void
listener_pause(struct listener *l, bool on)
{
	l->paused = on;
	if (on)
		ev_io_stop(l->loop, &l->io);
	else if (!ev_is_active(&l->rest))
		ev_io_start(l->loop, &l->io);
}

void
listener_stop(struct listener *l)
{
	ev_io_stop(l->loop, &l->io);
	ev_timer_stop(l->loop, &l->rest);
	close(l->io.fd);
	if (l->spare >= 0)
		close(l->spare);
	l->spare = -1;
}
