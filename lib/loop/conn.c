#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"
#include "loop/conn.h"
#include "loop/tls.h"
#include "os/fd.h"
#include "wire/le.h"
#include "wire/msg.h"

enum { TRIM = 4096 };

static void
close_fds(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
dirty(struct conn *c)
{
	if (!c->ended && list_empty(&c->link))
		list_add_tail(&c->set->dirty, &c->link);
}

size_t
conn_unsent(const struct conn *c)
{
	return c->out.len + (c->tls ? c->tls->out.len : 0);
}

/* true: it may hold what it holds */
static bool
count(struct conn *c)
{
	size_t n = c->in.len + conn_unsent(c);

	c->set->held += n - c->counted;
	c->counted = n;
	return c->set->held <= c->set->most || n <= CONN_SHARE;
}

/* what came through TLS is appended to in; what goes back leaves with the end of the turn */
static int
fill_secure(struct conn *c)
{
	unsigned char part[CONN_TURN];
	ssize_t n = recv(c->io.fd, part, sizeof part, 0), k;

	if (n <= 0)
		return n == 0 ? ERR_CLOSED : errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->spoke = true;
	tls_feed(c->tls, part, (size_t)n);
	do {
		if (buf_reserve(&c->in, CONN_TURN) < 0)
			return -ENOMEM;
		if ((k = tls_read(c->tls, c->in.data + c->in.len, CONN_TURN)) > 0)
			c->in.len += (size_t)k;
	} while (k > 0);
	if (conn_unsent(c))
		dirty(c);
	return (int)k;
}

static int
fill(struct conn *c)
{
	int nfd = (int)(CONN_FDS - c->nfds < FD_MAX ? CONN_FDS - c->nfds : FD_MAX);
	ssize_t n;
	int e;

	if (c->tls)
		return fill_secure(c);
	if ((e = buf_reserve(&c->in, CONN_TURN)) < 0)
		return e;
	n = fd_recv(c->io.fd, c->in.data + c->in.len, CONN_TURN, c->fds + c->nfds, &nfd);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	c->nfds += (unsigned)nfd;
	c->in.len += (size_t)n;
	c->spoke |= n > 0;
	return n == 0 ? ERR_CLOSED : 0;
}

static int
consume(struct conn *c)
{
	size_t used = 0;
	int e = 0;

	while (e >= 0 && !c->ended && used < c->in.len) {
		struct frame f;
		ssize_t n = frame_parse(&f, c->in.data + used, c->in.len - used, c->max);

		if (n == ERR_PARTIAL)
			break;
		if (n < 0 || f.nfd > c->nfds) {
			e = n < 0 ? (int)n : ERR_PROTO;
			if (n == ERR_PROTO && c->in.data[used + 6] > MSG_PROTO)
				c->alien = c->in.data[used + 6];
			break;
		}
		e = c->on_frame(c, &f, c->fds, f.nfd);
		close_fds(c->fds, f.nfd);
		c->nfds -= f.nfd;
		memmove(c->fds, c->fds + f.nfd, c->nfds * sizeof *c->fds);
		used += (size_t)n;
	}
	buf_drop(&c->in, used);
	if (c->in.len == 0 && c->in.cap > 4 * CONN_TURN)
		buf_release(&c->in);
	if (!c->ended && !count(c) && e >= 0)
		e = -ENOBUFS;
	return e;
}

static int
send_secure(struct conn *c)
{
	ssize_t n;
	int e;

	if (c->out.len && c->tls->ready) {
		if ((e = tls_write(c->tls, c->out.data, c->out.len)) < 0)
			return e;
		c->sent += c->out.len;
		c->out.len = 0;
	}
	if (c->tls->out.len == 0)
		return 0;
	if ((n = send(c->io.fd, c->tls->out.data, c->tls->out.len, MSG_NOSIGNAL)) < 0)
		return -errno;
	buf_drop(&c->tls->out, (size_t)n);
	return (int)n;
}

/*
 * One sendmsg.  Descriptors go with the first byte of their frame, those of several frames together as far as they
 * fit, and never while bytes of frames before them are still here: the peer then has at most FD_MAX of them that wait
 * for the rest of their frames.
 */
static int
send_some(struct conn *c)
{
	int fds[FD_MAX] = { 0 }, n;
	unsigned nfd = 0, m = 0;
	size_t len = c->out.len;

	if (c->tls)
		return send_secure(c);
	if (c->nmark && c->mark[0].at == c->sent)
		for (; m < c->nmark && nfd + c->mark[m].n <= FD_MAX; m++) {
			memcpy(fds + nfd, c->mark[m].fd, c->mark[m].n * sizeof *fds);
			nfd += c->mark[m].n;
		}
	if (m < c->nmark)
		len = (size_t)(c->mark[m].at - c->sent);
	if ((n = fd_send(c->io.fd, c->out.data, len, fds, (int)nfd)) < 0)
		return n;
	for (unsigned i = 0; i < m; i++)
		for (unsigned j = 0; j < c->mark[i].n; j++)
			if (c->mark[i].take >> j & 1)
				close(c->mark[i].fd[j]);
	c->nmark -= m;
	if (m)
		memmove(c->mark, c->mark + m, c->nmark * sizeof *c->mark);
	buf_drop(&c->out, (size_t)n);
	c->sent += (uint64_t)n;
	return n;
}

static int
flush(struct conn *c)
{
	bool some = false;
	int e = 0;

	while (conn_unsent(c) && (e = send_some(c)) > 0)
		some = true;
	if (some && c->on_sent)
		c->on_sent(c);
	if (c->out.len == 0)
		c->mark_bytes = CONN_MARK;
	if (c->out.len == 0 && c->out.cap > 1 << 20)
		buf_release(&c->out);
	if (!count(c) && conn_unsent(c))
		return -ENOBUFS;
	return e < 0 && e != -EAGAIN && e != -EINTR && e != -ETOOMANYREFS ? e : 0;
}

static void
want(struct conn *c)
{
	bool more = c->tls ? c->tls->out.len || (c->out.len && c->tls->ready) : c->out.len;
	int ev = (c->paused ? 0 : EV_READ) | (more ? EV_WRITE : 0);

	if (c->ended || (ev == (c->io.events & (EV_READ | EV_WRITE)) && (!ev || ev_is_active(&c->io))))
		return;
	ev_io_stop(c->set->loop, &c->io);
	ev_io_set(&c->io, c->io.fd, ev);
	if (ev)
		ev_io_start(c->set->loop, &c->io);
}

void
conn_pause(struct conn *c, bool on)
{
	c->paused = on;
	want(c);
}

static void
lost(struct conn *c, int e)
{
	if (c->ended)
		return;
	c->on_close(c, e);
	conn_end(c);
}

static void
io_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct conn *c = (struct conn *)(void *)((char *)w - offsetof(struct conn, io));
	int e = 0, end = 0;

	(void)loop;
	if (revents & EV_READ) {
		end = fill(c);
		e = consume(c);		/* what came before the end still counts */
	}
	if (e >= 0 && end >= 0 && (revents & EV_WRITE))
		dirty(c);
	if (e < 0 || end < 0)
		lost(c, e < 0 ? e : end);
}

void
conn_set_flush(struct conn_set *s)
{
	struct list *l;

	while ((l = list_shift(&s->dirty)) != NULL) {
		struct conn *c = list_entry(l, struct conn, link);
		int e = c->broken ? -ENOBUFS : flush(c);

		if (e < 0)
			lost(c, e);
		else
			want(c);
	}
	while ((l = list_shift(&s->ended)) != NULL) {
		struct conn *c = list_entry(l, struct conn, link);

		buf_release(&c->in);
		buf_release(&c->out);
		if (c->tls)
			tls_release(c->tls);
		free(c->tls);
		free(c->mark);
		free(c);
	}
}

static void
prepare_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	conn_set_flush((struct conn_set *)(void *)((char *)w - offsetof(struct conn_set, prepare)));
}

void
conn_set_init(struct conn_set *s, struct ev_loop *loop)
{
	s->loop = loop;
	s->held = 0;
	s->most = CONN_HELD;
	list_init(&s->dirty);
	list_init(&s->ended);
	ev_prepare_init(&s->prepare, prepare_cb);
	ev_prepare_start(loop, &s->prepare);
	ev_unref(loop);
}

void
conn_set_release(struct conn_set *s)
{
	conn_set_flush(s);
	ev_ref(s->loop);
	ev_prepare_stop(s->loop, &s->prepare);
}

struct conn *
conn_new(struct conn_set *s, int fd)
{
	struct conn *c;

	if (fd_nonblock(fd) < 0 || (c = calloc(1, sizeof *c)) == NULL)
		return NULL;
	c->set = s;
	c->max = FRAME_HELLO_MAX;
	c->mark_bytes = CONN_MARK;
	list_init(&c->link);
	ev_io_init(&c->io, io_cb, fd, EV_READ);
	ev_io_start(s->loop, &c->io);
	return c;
}

int
conn_secure(struct conn *c, struct tls_ctx *x, bool server)
{
	struct tls *t = malloc(sizeof *t);
	int e = t ? tls_open(t, x, server) : -ENOMEM;

	if (e < 0) {
		free(t);
		return e;
	}
	c->tls = t;
	dirty(c);
	return 0;
}

static size_t
trim(struct buf *b)
{
	size_t n = b->len == 0 && b->cap > TRIM ? b->cap : 0;

	if (n)
		buf_release(b);
	return n;
}

size_t
conn_trim(struct conn *c)
{
	return trim(&c->out) + (c->tls ? trim(&c->tls->out) : 0);
}

bool
conn_secured(const struct conn *c)
{
	return !c->tls || c->tls->ready;
}

bool
conn_waits(const struct conn *c)
{
	return conn_unsent(c) > 0;
}

const char *
conn_why(const struct conn *c)
{
	return c->tls ? c->tls->why : "";
}

/* Bytes already put get one try: a FAIL before the end is worth reading. */
void
conn_end(struct conn *c)
{
	if (c->ended)
		return;
	while (!c->broken && conn_unsent(c) && send_some(c) > 0)
		;
	if (c->tls && c->tls->ready && !conn_unsent(c)) {
		tls_end(c->tls);
		send_some(c);
	}
	c->ended = true;
	c->set->held -= c->counted;
	ev_io_stop(c->set->loop, &c->io);
	close(c->io.fd);
	close_fds(c->fds, c->nfds);
	for (unsigned i = 0; i < c->nmark; i++)
		for (unsigned j = 0; j < c->mark[i].n; j++)
			if (c->mark[i].take >> j & 1)
				close(c->mark[i].fd[j]);
	list_del(&c->link);
	list_add_tail(&c->set->ended, &c->link);
}

void
conn_done(struct conn *c, size_t at, int e, const int *fds, unsigned n, unsigned take)
{
	struct conn_fds *m;

	if (e >= 0 && n && c->nmark == c->capmark) {
		unsigned cap = c->capmark ? 2 * c->capmark : 4;

		if ((m = realloc(c->mark, cap * sizeof *m)) == NULL)
			e = -ENOMEM;
		else
			c->mark = m, c->capmark = cap;
	}
	if (e < 0 || (n && c->tls) || c->ended || c->broken || conn_unsent(c) > c->mark_bytes) {
		for (unsigned i = 0; i < n; i++)
			if (take >> i & 1)
				close(fds[i]);
		c->out.len = c->ended || c->out.len > at ? at : c->out.len;
		c->broken = true;
		dirty(c);
		return;
	}
	le_put16(c->out.data + at + 22, (uint16_t)n);
	if (n) {
		m = &c->mark[c->nmark++];
		*m = (struct conn_fds){ .at = c->sent + at, .n = n, .take = take };
		memcpy(m->fd, fds, n * sizeof *fds);
	}
	dirty(c);
}
