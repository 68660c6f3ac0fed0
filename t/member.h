/*
 * member.h - a node as others see it over TCP, for tests: TLS with a key, and frames, good ones or any bytes.
 * Include after tap.h.  Blocks, for MEMBER_MS at most.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/tls.h"
#include "os/tcp.h"
#include "wire/frame.h"
#include "wire/msg.h"

enum { MEMBER_MS = 20000 };

struct member {
	int fd;
	struct tls t;
	struct buf in;			/* what came, as it was before TLS */
	size_t used;			/* of it, by the last member_hear */
	bool ended;
};

static inline int
member_dial(const char *address)	/* a connection, or -errno */
{
	struct tcp_name name;
	struct addrinfo *a;
	int fd, e = tcp_parse(&name, address);

	if (e < 0 || (e = tcp_resolve(&name, 0, &a)) < 0)
		return e;
	fd = tcp_connect(a);
	freeaddrinfo(a);
	if (fd >= 0 && poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, MEMBER_MS) == 1 && (e = tcp_error(fd)) < 0) {
		close(fd);
		return e;
	}
	return fd;
}

/* sends what lies in t.out, all of it or as long as the other side reads for ms */
static inline bool
member_flush(struct member *m, int ms)
{
	while (m->t.out.len) {
		ssize_t n = send(m->fd, m->t.out.data, m->t.out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			buf_drop(&m->t.out, (size_t)n);
		else if (errno != EAGAIN || poll(&(struct pollfd){ m->fd, POLLOUT, 0 }, 1, ms) != 1)
			return false;
	}
	return true;
}

/* takes what has come, once: false at the end */
static inline bool
member_take(struct member *m, int ms)
{
	unsigned char part[65536];
	ssize_t n, k;

	if (m->ended || poll(&(struct pollfd){ m->fd, POLLIN, 0 }, 1, ms) != 1)
		return false;
	if ((n = recv(m->fd, part, sizeof part, MSG_DONTWAIT)) <= 0) {
		m->ended = true;
		return false;
	}
	tls_feed(&m->t, part, (size_t)n);
	do {
		if (buf_reserve(&m->in, 65536) < 0)
			abort();
		if ((k = tls_read(&m->t, m->in.data + m->in.len, 65536)) > 0)
			m->in.len += (size_t)k;
	} while (k > 0);
	m->ended |= k < 0;
	member_flush(m, 1000);
	return !m->ended;
}

static inline void
member_over(struct member *m, int fd, struct tls_ctx *x, bool server)	/* on a connection */
{
	*m = (struct member){ .fd = fd };
	if (fd < 0 || tls_open(&m->t, x, server) < 0)
		abort();
	member_flush(m, MEMBER_MS);
}

static inline bool
member_open(struct member *m, const char *address, struct tls_ctx *x)	/* true: the handshake is over */
{
	int fd = member_dial(address);

	if (fd < 0) {
		*m = (struct member){ .fd = -1, .ended = true };
		return false;
	}
	member_over(m, fd, x, false);
	while (!m->t.ready && member_take(m, MEMBER_MS))
		;
	return m->t.ready;
}

static inline void
member_close(struct member *m)
{
	if (m->fd >= 0)
		close(m->fd);
	if (m->t.impl)
		tls_release(&m->t);
	buf_release(&m->in);
	m->fd = -1;
}

static inline bool
member_write(struct member *m, const void *p, size_t n, int ms)
{
	return tls_write(&m->t, p, n) == 0 && member_flush(m, ms);
}

/* the next frame: true and *f, valid until the next call; false: the end, or nothing came for so long */
static inline bool
member_hear(struct member *m, struct frame *f, int ms)
{
	ssize_t n;

	buf_drop(&m->in, m->used);
	m->used = 0;
	while ((n = frame_parse(f, m->in.data, m->in.len, FRAME_MAX)) == ERR_PARTIAL)
		if (!member_take(m, ms) && frame_parse(f, m->in.data, m->in.len, FRAME_MAX) == ERR_PARTIAL)
			return false;
	m->used = n > 0 ? (size_t)n : 0;
	return n > 0;
}

#define MEMBER_SAY(m, name_, ...) do { \
	struct buf b_ = BUF_INIT; \
	if (msg_put_##name_(&b_, &(struct msg_##name_){ __VA_ARGS__ }) < 0) \
		abort(); \
	member_write(m, b_.data, b_.len, MEMBER_MS); \
	buf_release(&b_); \
} while (0)

#endif
