/* logs_sink - writing to a stderr that may be anything, without waiting for it */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/logs.h"

enum { WHOLE = 4096 };			/* PIPE_BUF: so much of a pipe's is not cut by other writers */

/*
 * O_NONBLOCK belongs to the open file, which is the driver's too: a pipe or terminal is opened anew for us.  Where that
 * is not allowed (it was another user's) poll tells whether WHOLE bytes would block.
 */
void
sink_open(struct logsink *s, int fd)
{
	char path[32];
	struct stat st;
	int own;

	s->fd = fd;
	s->socket = s->poll = s->blocked = false;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	s->socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if ((own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) >= 0) {
		close(fd);
		s->fd = own;
	} else {
		s->poll = true;
	}
}

void
sink_close(struct logsink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->home = 0;
	s->blocked = false;
	s->out.len = s->say.len = 0;
}

void
sink_free(struct logsink *s)
{
	list_del(&s->link);
	sink_close(s);
	buf_release(&s->out);
	buf_release(&s->say);
	buf_release(&s->far);
	free(s);
}

static size_t
lines(const struct buf *b)		/* whole ones, as many as leave in one piece */
{
	size_t n = b->len < WHOLE ? b->len : WHOLE;

	while (n && b->data[n - 1] != '\n')
		n--;
	return n ? n : b->len < WHOLE ? b->len : WHOLE;
}

static ssize_t
put(struct logsink *s, const struct buf *b)
{
	size_t n = lines(b);

	if (s->socket)
		return send(s->fd, b->data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->poll && poll(&(struct pollfd){ .fd = s->fd, .events = POLLOUT }, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(s->fd, b->data, n);
}

static bool
drain(struct logsink *s, struct buf *b)
{
	while (b->len && s->fd >= 0) {
		ssize_t k = put(s, b);

		if (k >= 0) {
			buf_drop(b, (size_t)k);
		} else if (errno == EAGAIN) {
			s->blocked = true;
			return false;
		} else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
			b->len = 0;		/* these lines are lost, later ones may find room */
		} else if (errno != EINTR) {
			sink_close(s);		/* nobody reads it any more */
		}
	}
	return true;
}

bool
sink_write(struct logsink *s)
{
	s->blocked = false;
	if (s->home)
		return far_write(s);
	if (s->fd < 0) {
		s->out.len = s->say.len = 0;
		return true;
	}
	/* a line that left in part goes on first */
	if (!(drain(s, &s->out) && drain(s, &s->say)))
		return false;
	if (s->out.cap > 4 * LOGS_READ)
		buf_release(&s->out);
	return true;
}
