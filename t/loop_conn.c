/* loop_conn.c - frames and descriptors keep their order through a conn; a peer that ends, lies or does not read is told to the owner */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/err.h"
#include "loop/conn.h"
#include "loop/tls.h"
#include "os/fd.h"
#include "tap.h"
#include "wire/msg.h"

static struct ev_loop *loop;
static struct conn_set set;
static unsigned frames, fdsum, closes, sents, bad;
static int why, stop_at;
static char said[2][160];	/* by the last two that closed */

static int
on_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct msg_free m;
	char b;

	if (f->type == MSG_STOP_T)
		return -EINTR;
	if (msg_get_free(&m, f->body, f->len) < 0 || m.objects.n < 4)
		return ERR_PROTO;
	bad += memcmp(m.objects.p, &frames, 4) != 0;	/* its number */
	for (unsigned i = 0; i < nfd; i++) {		/* each descriptor is a pipe with one byte in it: the frame's number */
		bad += read(fds[i], &b, 1) != 1 || (unsigned char)b != (frames & 255);
		fdsum++;
	}
	frames++;
	if (stop_at && frames == (unsigned)stop_at)
		conn_end(c);
	return 0;
}

static void
on_close(struct conn *c, int e)
{
	memcpy(said[1], said[0], sizeof said[0]);
	snprintf(said[0], sizeof said[0], "%s", conn_why(c));
	closes++;
	why = e;
}

static void
on_sent(struct conn *c)
{
	(void)c;
	sents++;
}

static struct conn *
make(int fd)
{
	struct conn *c = conn_new(&set, fd);

	c->on_frame = on_frame;
	c->on_close = on_close;
	c->on_sent = on_sent;
	c->max = FRAME_MAX;
	return c;
}

static int
pipe_with(unsigned char b)
{
	int p[2];

	if (pipe(p) < 0 || write(p[1], &b, 1) != 1)
		exit(1);
	close(p[1]);
	return p[0];
}

static void
put(struct conn *c, uint32_t number, size_t size, unsigned nfd)
{
	unsigned char *body = calloc(1, size);
	size_t at = conn_out(c)->len;
	int fds[8];

	memcpy(body, &number, 4);
	for (unsigned i = 0; i < nfd; i++)
		fds[i] = pipe_with((unsigned char)number);
	conn_done(c, at, msg_put_free(conn_out(c), &(struct msg_free){ .objects = span_of(body, size) }), fds, nfd,
	    (1u << nfd) - 1);
	free(body);
}

static void
turns(unsigned n)			/* the loop runs, never waiting for what does not come */
{
	while (n-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static unsigned
descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
order(void)
{
	unsigned before = descriptors(), sent = 0;
	struct conn *a, *b;
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	b = make(sp[1]);
	srandom(1);
	for (uint32_t i = 0; i < 300; i++) {		/* small and large, with none to eight descriptors */
		put(a, i, (size_t)(4 + random() % (random() % 7 ? 200 : 300000)), random() % 3 ? 0 : (unsigned)random() % 9);
		if (random() % 10 == 0)
			turns(1);
		if (a->nmark > 20 || conn_out(a)->len > CONN_MARK / 2)
			turns(100);
	}
	sent = sents;
	turns(2000);
	ok(frames == 300 && bad == 0 && fdsum > 100 && sents > sent);
	ok(conn_out(a)->len == 0 && closes == 0);
	conn_end(a);
	turns(3);
	ok(closes == 1 && why == ERR_CLOSED);		/* the other side hears it */
	(void)b;
	turns(2);
	ok(descriptors() == before);
}

static void
faults(void)
{
	unsigned before = descriptors();
	unsigned char junk[FRAME_HEAD];
	struct buf out = BUF_INIT;
	struct conn *a;
	int sp[2];

	memset(junk, 0xff, sizeof junk);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	make(sp[0]);
	closes = 0;
	ok(write(sp[1], junk, sizeof junk) == sizeof junk);
	turns(3);
	ok(closes == 1 && why == ERR_PROTO);
	close(sp[1]);

	/* more than the limit before HELLO */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	a->max = FRAME_HELLO_MAX;
	frame_pack(junk, &(struct frame){ .len = FRAME_HELLO_MAX + 1, .type = MSG_HELLO_T, .version = 1 });
	ok(write(sp[1], junk, sizeof junk) == sizeof junk);
	turns(3);
	ok(closes == 2 && why == ERR_PROTO);
	close(sp[1]);

	/* a frame that names descriptors which did not come; and one that brings unnamed ones, then the end */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	make(sp[0]);
	msg_put_stop(&out, &(struct msg_stop){ .force = 1 });
	frame_set_nfd(out.data, 2);
	ok(fd_write_all(sp[1], out.data, out.len) == 0);
	turns(3);
	ok(closes == 3 && why == ERR_PROTO);
	close(sp[1]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	make(sp[0]);
	ok(fd_send(sp[1], junk, 3, (int[]){ sp[1], sp[1] }, 2) == 3);
	close(sp[1]);
	turns(1);
	shutdown(sp[0], SHUT_RDWR);			/* the copies in flight hold it open */
	turns(3);
	ok(closes == 4);

	/* what the owner's callback refuses */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	make(sp[0]);
	frame_set_nfd(out.data, 0);
	ok(fd_write_all(sp[1], out.data, out.len) == 0);
	turns(3);
	ok(closes == 5 && why == -EINTR);
	close(sp[1]);

	/* a peer that does not read is dropped, and the descriptors that it would have got are closed */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	for (uint32_t i = 0; i < 12 && closes == 5; i++) {
		put(a, i, 1 << 20, 2);
		turns(1);
	}
	ok(closes == 6 && why == -ENOBUFS);
	close(sp[1]);
	turns(2);
	buf_release(&out);
	ok(descriptors() == before);
}

static void
ending(void)				/* the owner ends it inside its callback: no frame comes after that */
{
	struct conn *a;
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	make(sp[1]);
	frames = bad = closes = 0;
	stop_at = 3;
	for (uint32_t i = 0; i < 10; i++)
		put(a, i, 10, 1);
	turns(5);
	ok(frames == 3 && bad == 0 && closes == 1);	/* the sender hears of the end, nobody else */
}

/* all together hold too much: who asks for more is dropped, if it holds much; a paused one is not read */
static void
together(void)
{
	static const unsigned char zeros[300000];
	unsigned before = descriptors();
	unsigned char head[FRAME_HEAD];
	struct conn *c[3];
	int sp[3][2];

	closes = 0;
	set.most = 4 << 20;
	for (unsigned i = 0; i < 3; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp[i]) < 0)
			exit(1);
		c[i] = make(sp[i][0]);
		c[i]->max = FRAME_MAX;
		fd_nonblock(sp[i][1]);
		frame_pack(head, &(struct frame){ .len = 60 << 20, .type = MSG_FREE_T, .version = 1 });
		ok(write(sp[i][1], head, sizeof head) == sizeof head);
	}
	conn_pause(c[2], true);
	for (unsigned i = 0; i < 3; i++)
		for (size_t sent = 0; sent < 3 << 20 && closes == 0 && (i < 2 || sent == 0);) {
			ssize_t n = write(sp[i][1], zeros, sizeof zeros);

			sent += n > 0 ? (size_t)n : 0;
			turns(1);
		}
	turns(10);
	ok(closes == 1 && why == -ENOBUFS && c[0]->in.len >= 3 << 20 && set.held < 5 << 20);
	ok(c[2]->in.len == 0);
	conn_pause(c[2], false);
	turns(10);
	ok(c[2]->in.len > 0 && closes == 1);	/* it holds little */
	conn_end(c[0]);
	conn_end(c[2]);
	for (unsigned i = 0; i < 3; i++)
		close(sp[i][1]);
	turns(3);
	ok(set.held == 0 && descriptors() == before);
	set.most = CONN_HELD;
}

/* through TLS: frames keep their order and wholeness, both ways at once; keys that differ are told to both; a stranger gets no frame */
static void
secure(void)
{
	unsigned before = descriptors();
	struct tls_ctx *x[2];
	struct keys k[2] = { { .n = 1 }, { .n = 1 } };
	struct conn *a, *b;
	char hint[80];
	int sp[2], pfd[2];

	if (key_new(&k[0].key[0]) < 0 || key_new(&k[1].key[0]) < 0 || !(x[0] = tls_ctx_new(&k[0])) || !(x[1] = tls_ctx_new(&k[1])))
		exit(1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	b = make(sp[1]);
	ok(conn_secured(a) && conn_secure(a, x[0], false) == 0 && conn_secure(b, x[0], true) == 0 && !conn_secured(a));
	frames = bad = closes = sents = 0;
	stop_at = 0;
	put(a, 0, 1000, 0);
	turns(1);
	ok(frames == 0);				/* not before the other has shown its key */
	for (uint32_t i = 1; i < 300; i++) {
		put(a, i, (size_t)(4 + random() % (random() % 7 ? 200 : 300000)), 0);
		if (random() % 10 == 0)
			turns(1);
		if (a->out.len + a->tls->out.len > CONN_MARK / 2)
			turns(100);
	}
	turns(2000);
	ok(frames == 300 && bad == 0 && closes == 0 && conn_secured(a) && conn_secured(b) && conn_out(a)->len == 0);
	frames = 0;
	put(b, 0, 5000000, 0);
	turns(2000);
	ok(frames == 1 && bad == 0 && set.held < 1 << 20);
	conn_end(a);
	turns(3);
	ok(closes == 1 && why == ERR_CLOSED);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	b = make(sp[1]);
	conn_secure(a, x[0], false);
	conn_secure(b, x[1], true);
	snprintf(hint, sizeof hint, "refused our key %s; it accepts %s", k[0].key[0].id, k[1].key[0].id);
	frames = closes = 0;
	put(a, 0, 1000, 0);
	put(b, 0, 1000, 0);
	turns(20);
	ok(frames == 0 && closes == 2 && why == ERR_KEY);
	ok(strcmp(said[1], "it offered a key that is not ours") == 0 && strcmp(said[0], hint) == 0);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		exit(1);
	a = make(sp[0]);
	conn_secure(a, x[0], true);
	closes = 0;
	ok(write(sp[1], "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	turns(3);
	ok(closes == 1 && why == ERR_PROTO && frames == 0);
	close(sp[1]);

	/* descriptors cannot go there: who tries has made a mistake, and no frame without them is sent in their place */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0 || pipe(pfd) < 0)
		exit(1);
	a = make(sp[0]);
	b = make(sp[1]);
	conn_secure(a, x[0], false);
	conn_secure(b, x[0], true);
	turns(20);
	closes = 0;
	put(a, 0, 100, 1);
	turns(5);
	ok(closes >= 1 && frames == 0);
	close(pfd[0]);
	close(pfd[1]);
	turns(3);
	tls_ctx_free(x[0]);
	tls_ctx_free(x[1]);
	ok(descriptors() == before);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	loop = ev_loop_new(0);
	conn_set_init(&set, loop);
	order();
	faults();
	together();
	ending();
	secure();
	conn_set_release(&set);
	ev_loop_destroy(loop);
	return tap_done();
}
