/*
 * peer.h - a process as the node sees it, for tests: a private rlet, and frames over a socket, one at a time.
 * Include after tap.h.  What cannot be set up ends the test.
 */
#ifndef PEER_H
#define PEER_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "os/fd.h"
#include "ring/bell.h"
#include "ring/page.h"
#include "ring/ring.h"
#include "wire/frame.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { PEER_MS = 10000 };		/* longest wait for anything */

struct peer {
	int fd, nfd, fds[64], arena, slab;
	struct buf in;
	struct msg_welcome w;		/* its strings are gone */
	struct page *page;
	struct nodepage *np;
};

struct got {				/* a message; its body is in the peer's buffer until peer_done */
	unsigned type, nfd;
	int fd[8];
	const unsigned char *p;
	size_t n, whole;
};

static char peer_dir[64];		/* ROTA_DIR of the test */
static pid_t peer_rlet;

#define PEER_NEED(x) do { \
	if (!(x)) { \
		printf("Bail out! %s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
		if (peer_rlet > 0) \
			kill(peer_rlet, SIGKILL); \
		exit(1); \
	} \
} while (0)
#define PEER_SEND(pp, name, ...) do { \
	struct buf b_ = BUF_INIT; \
	PEER_NEED(msg_put_##name(&b_, &(struct msg_##name){ __VA_ARGS__ }) == 0); \
	(void)!fd_write_all((pp)->fd, b_.data, b_.len); \
	buf_release(&b_); \
} while (0)

static inline void
peer_start(const char *a, const char *b)	/* rlet -p [a b], ready; its directory is removed by peer_stop */
{
	char dir[] = "/tmp/rota-test-XXXXXX", num[16], c;
	int p[2];

	PEER_NEED(mkdtemp(dir) && pipe(p) == 0);
	snprintf(peer_dir, sizeof peer_dir, "%s", dir);
	setenv("ROTA_DIR", dir, 1);
	fflush(stdout);
	if ((peer_rlet = fork()) == 0) {
		snprintf(num, sizeof num, "%d", p[1]);
		close(p[0]);
		execlp("rlet", "rlet", "-p", "--ready-fd", num, a, b, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	PEER_NEED(read(p[0], &c, 1) == 1);
	close(p[0]);
}

static inline int
peer_stop(void)				/* waits for rlet's own end: its exit status */
{
	char path[128];
	int s;

	PEER_NEED(waitpid(peer_rlet, &s, 0) == peer_rlet);
	if (s)
		printf("# rlet ended with wait status %#x\n", (unsigned)s);
	snprintf(path, sizeof path, "%s/lock", peer_dir);
	unlink(path);
	if (rmdir(peer_dir) == 0)		/* it leaves nothing */
		return s;
	snprintf(path, sizeof path, "ls -lR %s | sed 's/^/# /'", peer_dir);
	fflush(stdout);
	(void)!system(path);
	return -1;
}

static inline int
peer_next(struct peer *p, struct got *g, int ms)	/* 1; 0 nothing came; < 0 the end */
{
	struct pollfd pf = { .fd = p->fd, .events = POLLIN };
	struct frame f;
	ssize_t n;
	int room;

	for (;;) {
		if ((n = frame_parse(&f, p->in.data, p->in.len, FRAME_MAX)) != ERR_PARTIAL) {
			PEER_NEED(n > 0 && f.nfd <= p->nfd && f.nfd <= 8);
			*g = (struct got){ .type = f.type, .nfd = f.nfd, .p = f.body, .n = f.len, .whole = (size_t)n };
			memcpy(g->fd, p->fds, f.nfd * sizeof(int));
			p->nfd -= f.nfd;
			memmove(p->fds, p->fds + f.nfd, (size_t)p->nfd * sizeof(int));
			return 1;
		}
		if (poll(&pf, 1, ms) <= 0)
			return 0;
		room = FD_MAX;
		PEER_NEED(buf_reserve(&p->in, 65536) == 0 && p->nfd + FD_MAX <= 64);
		if ((n = fd_recv(p->fd, p->in.data + p->in.len, 65536, p->fds + p->nfd, &room)) <= 0)
			return n ? (int)n : ERR_CLOSED;
		p->nfd += room;
		p->in.len += (size_t)n;
	}
}

static inline void
peer_done(struct peer *p, struct got *g)	/* descriptors that were taken are set to -1 before */
{
	for (unsigned i = 0; i < g->nfd; i++)
		if (g->fd[i] >= 0)
			close(g->fd[i]);
	buf_drop(&p->in, g->whole);
}

/* the next message of that type, others are dropped: 1, 0 none came, < 0 the end */
static inline int
peer_wait(struct peer *p, struct got *g, unsigned type)
{
	int e;

	while ((e = peer_next(p, g, PEER_MS)) > 0 && g->type != type)
		peer_done(p, g);
	return e;
}

static inline void
peer_connect(struct peer *p)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*p = (struct peer){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/shared.sock", peer_dir);
	PEER_NEED(connect(p->fd, (struct sockaddr *)&sa, sizeof sa) == 0);
}

static inline void
peer_open(struct peer *p, unsigned role)
{
	struct got g;

	peer_connect(p);
	PEER_SEND(p, hello, .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .role = role, .pid = (uint64_t)getpid(),
	    .name = span_of("peer", 4));
	PEER_NEED(peer_next(p, &g, PEER_MS) == 1 && g.type == MSG_WELCOME_T && g.nfd == 4);
	PEER_NEED(msg_get_welcome(&p->w, g.p, g.n) == 0);
	PEER_NEED(page_map(g.fd[0], &p->page, 1) == 0 && nodepage_map(g.fd[1], &p->np) == 0);
	p->arena = g.fd[2];
	p->slab = g.fd[3];
	g.fd[2] = g.fd[3] = -1;
	peer_done(p, &g);
}

static inline void
peer_close(struct peer *p)
{
	PEER_SEND(p, bye, .reason = 0);		/* our process lives on: without it the node waits for its death */
	close(p->fd);
	if (p->page) {
		page_unmap(p->page);
		munmap(p->np, sizeof *p->np);
		close(p->arena);
		close(p->slab);
	}
	for (int i = 0; i < p->nfd; i++)
		close(p->fds[i]);
	buf_release(&p->in);
	*p = (struct peer){ .fd = -1 };
}

/* all rows of a list, as one buffer of maps after each other; how many */
static inline unsigned
peer_list(struct peer *p, const char *what, struct buf *rows)
{
	struct msg_rows m;
	struct mp_tok t;
	struct got g;
	struct mp r;
	unsigned n = 0;

	rows->len = 0;
	PEER_SEND(p, list, .req = 999, .what = span_of(what, strlen(what)));
	do {
		PEER_NEED(peer_wait(p, &g, MSG_ROWS_T) == 1 && msg_get_rows(&m, g.p, g.n) == 0);
		r = (struct mp){ m.rows.p, m.rows.p + m.rows.n };
		PEER_NEED(mp_next(&r, &t) == 0 && t.kind == MP_ARRAY);
		n += (unsigned)t.n;
		PEER_NEED(buf_add(rows, r.p, (size_t)(r.end - r.p)) == 0);
		peer_done(p, &g);
	} while (!m.last);
	return n;
}

static inline bool
peer_cell(const struct buf *rows, unsigned row, const char *name, struct mp_tok *v)	/* false: no such row or column */
{
	struct mp r = { rows->data, rows->data + rows->len }, at;
	struct mp_tok map, key;

	for (unsigned i = 0; i < row; i++)
		if (mp_skip(&r) < 0)
			return false;
	if (mp_next(&r, &map) < 0 || map.kind != MP_MAP)
		return false;
	while (map.n-- > 0) {
		if (mp_next(&r, &key) < 0)
			return false;
		at = r;
		if (mp_skip(&r) < 0)
			return false;
		if (key.n == strlen(name) && memcmp(key.p, name, key.n) == 0)
			return mp_next(&at, v) == 0;
	}
	return false;
}

static inline int64_t
peer_number(const struct buf *rows, unsigned row, const char *name)
{
	struct mp_tok v;

	return peer_cell(rows, row, name, &v) && v.kind == MP_INT ? v.i : -1;
}

static inline bool
peer_ended(pid_t pid)			/* waits for it, at most PEER_MS; a zombie counts */
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool gone = fd < 0 || poll(&p, 1, PEER_MS) == 1;

	if (fd >= 0)
		close(fd);
	return gone;
}

static inline unsigned
peer_descriptors(pid_t pid)		/* how many it has open */
{
	char cmd[64];
	unsigned n = 0;
	FILE *f;

	snprintf(cmd, sizeof cmd, "ls /proc/%d/fd | wc -l", (int)pid);
	PEER_NEED((f = popen(cmd, "r")) != NULL && fscanf(f, "%u", &n) == 1);
	pclose(f);
	return n;
}

#endif
