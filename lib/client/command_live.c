/* command_live - a command's output as it comes: pipes whose reading ends go to the driver's abstract socket. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "client/command.h"
#include "client/command_wire.h"
#include "os/fd.h"
#include "wire/le.h"

static struct {
	int sock;
	struct span name;		/* what it is connected to: borrowed, the task's function's */
} live = { .sock = -1 };

/* the address of an abstract socket: nothing lies about when its listener is killed */
static int
address(struct sockaddr_un *a, struct span name, socklen_t *len)
{
	if (name.n == 0 || name.n >= sizeof a->sun_path)
		return ERR_PROTO;
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, name.p, name.n);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name.n);
	return 0;
}

int
command_live_listen(const char *name)
{
	struct sockaddr_un a;
	socklen_t len;
	int fd, e;

	if ((e = address(&a, span_text(name), &len)) < 0)
		return e;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 128) < 0) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

static int
join(struct span name)
{
	struct sockaddr_un a;
	socklen_t len;
	int e;

	if (live.sock >= 0 && live.name.p == name.p)
		return 0;
	if (live.sock >= 0)
		close(live.sock);
	live.sock = -1;
	if ((e = address(&a, name, &len)) < 0)
		return e;
	if ((live.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(live.sock, (struct sockaddr *)&a, len) < 0) {
		e = -errno;
		close(live.sock);
		live.sock = -1;
		return e;
	}
	live.name = name;
	return 0;
}

void
command_live_forget(void)
{
	if (live.sock >= 0)
		close(live.sock);
	live.sock = -1;
	live.name = (struct span){ NULL, 0 };
}

int
command_live_open(struct span name, uint64_t seq, int *out, int *err)
{
	int p[2], q[2], e = join(name);
	unsigned char head[COMMAND_LIVE_HEAD];

	if (e < 0)
		return e;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(q, O_CLOEXEC) < 0) {
		e = -errno;
		close(p[0]);
		close(p[1]);
		return e;
	}
	le_put64(head, seq);
	e = fd_send(live.sock, head, sizeof head, (int[]){ p[0], q[0] }, 2);
	close(p[0]);
	close(q[0]);
	if (e != sizeof head) {			/* eight bytes go whole or not at all */
		close(p[1]);
		close(q[1]);
		command_live_forget();
		return e < 0 ? e : -EPIPE;
	}
	*out = p[1];
	*err = q[1];
	return 0;
}
