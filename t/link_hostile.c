/*
 * link_hostile.c - a link and others that have the key, or have not: connections that are read late or lost by one side,
 * what makes no sense, who never reads, crowds of strangers, streams that are cut and changed at every byte
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "link/link.h"
#include "ring/page.h"
#include "ring/slab.h"
#include "tap.h"
#include "member.h"

enum { A = 1, B = 2 };

struct side {
	struct link *l;
	int fd;				/* eventfd: there is news */
	char address[TCP_NAME];
	uint64_t got, over;
	char why[200];			/* of the last that was over */
	bool bad;
};

static struct nodepage *np;
static struct tls_ctx *tls;
static uint64_t incarnation = 1000;

static void
news(void *arg)
{
	struct side *s = arg;

	eventfd_write(s->fd, 1);
}

static int
listen_at(const char *where, char address[TCP_NAME])
{
	struct tcp_name name;
	struct addrinfo *a;
	int fd;

	if (tcp_parse(&name, where) < 0 || tcp_resolve(&name, 1, &a) < 0)
		return -1;
	fd = tcp_listen(a);
	freeaddrinfo(a);
	if (fd >= 0)
		tcp_local(fd, address);
	return fd;
}

static void
begin_at(struct side *s, uint32_t node, const char *where)
{
	char why[200] = "";
	struct link_opts o = { .node = node, .incarnation = incarnation += 100, .listen = listen_at(where, s->address), .tls = tls, .np = np,
	    .bell = node, .slab = slab_create("s"), .news = news, .arg = s, .budget = 1 << 20 };

	s->got = s->over = 0;
	s->why[0] = '\0';
	s->bad = false;
	s->fd = eventfd(0, EFD_NONBLOCK);
	if (o.listen < 0 || link_start(&s->l, &o, why, sizeof why) < 0) {
		printf("Bail out! %s\n", why);
		exit(1);
	}
	close(o.slab);
}

static void
begin(struct side *s, uint32_t node)
{
	begin_at(s, node, "127.0.0.1:0");
}

static void
end(struct side *s)
{
	link_stop(s->l);
	close(s->fd);
}

static int
say(struct side *s, uint32_t to, uint64_t n, size_t bytes)
{
	static unsigned char fill[1 << 20];
	struct buf b = BUF_INIT;
	int e = msg_put_kv_get(&b, &(struct msg_kv_get){ .req = n, .key = span_of(fill, bytes) });

	if (e == 0)
		e = link_send(s->l, to, SESSION_SMALL, b.data, b.len);
	buf_release(&b);
	return e;
}

static void
hear(struct side *s)
{
	struct link_news n;
	struct msg_kv_get m;
	eventfd_t v;

	eventfd_read(s->fd, &v);
	while (link_next(s->l, &n)) {
		if (n.kind == LINK_OVER) {
			s->over++;
			s->got = 0;
			snprintf(s->why, sizeof s->why, "%.*s", (int)n.body.n, n.body.n ? (const char *)n.body.p : "");
		} else if (n.type == MSG_KV_GET_T && msg_get_kv_get(&m, n.body.p, n.body.n) == 0) {
			if (m.req != s->got + 1) {
				s->bad = true;
				printf("# frame %llu after %llu\n", (unsigned long long)m.req, (unsigned long long)s->got);
			} else
				s->got++;
		}
	}
}

static bool
until(struct side *s, uint64_t got, uint64_t over)
{
	uint64_t t0 = clock_ns();

	for (hear(s); s->got < got || s->over < over; hear(s)) {
		poll(&(struct pollfd){ s->fd, POLLIN, 0 }, 1, 1000);
		if (clock_ns() - t0 > 20 * CLOCK_SEC)
			return false;
	}
	return true;
}

/* --- a peer that is made of bytes ----------------------------------------------------------------------------------------- */

struct greeting {
	uint64_t attempt, heard, received, incarnation;
};

/* node B greets A: what A answers, or zeros */
static struct msg_peer
greet(struct member *m, struct side *a, const struct greeting *g, uint64_t session)
{
	struct msg_peer answer = { 0 };
	struct frame f;

	if (!member_open(m, a->address, tls))
		return answer;
	MEMBER_SAY(m, peer, .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .node = B, .to = A, .incarnation = g->incarnation,
	    .session = session, .received = g->received, .attempt = g->attempt, .heard = g->heard);
	if (member_hear(m, &f, MEMBER_MS) && f.type == MSG_PEER_T)
		msg_get_peer(&answer, f.body, f.len);
	return answer;
}

static void
tell(struct member *m, uint64_t session, uint64_t n)	/* KV_GET n as frame number `session` */
{
	struct buf b = BUF_INIT;

	if (msg_put_kv_get(&b, &(struct msg_kv_get){ .req = n, .key = span_of("k", 1) }) < 0)
		abort();
	frame_set_session(b.data, session);
	member_write(m, b.data, b.len, MEMBER_MS);
	buf_release(&b);
}

static void
late(void)
{
	struct member one, two, three;
	struct msg_peer p;
	struct frame f;
	struct side a;

	begin(&a, A);
	link_peer(a.l, B, NULL);
	p = greet(&one, &a, &(struct greeting){ .attempt = 100, .incarnation = 7 }, 0);
	ok(p.node == A && p.incarnation && p.attempt == 0);
	tell(&one, 1, 1);
	ok(until(&a, 1, 0));				/* a peer is heard */
	p = greet(&three, &a, &(struct greeting){ .attempt = 300, .incarnation = 7, .received = 0 }, p.incarnation);
	ok(p.node == A && p.received == 1 && p.heard == 300);	/* and on another connection, which it made later */
	tell(&three, 2, 2);
	ok(until(&a, 2, 0));
	ok(greet(&two, &a, &(struct greeting){ .attempt = 200, .incarnation = 7 }, p.incarnation).node == 0);	/* one that it made before that one is not taken */
	member_close(&two);
	ok(greet(&two, &a, &(struct greeting){ .attempt = 300, .incarnation = 6 }, p.incarnation).node == 0);	/* nor one of before its restart */
	tell(&three, 3, 3);
	ok(until(&a, 3, 0) && a.over == 0 && !a.bad);	/* and changes nothing */
	while (member_hear(&one, &f, 100))
		;
	ok(one.ended);					/* the first one was let go */
	member_close(&one);
	member_close(&two);
	member_close(&three);
	end(&a);
}

/* A's connection to B, where B is us: greeted */
static struct msg_peer
taken(struct member *m, int listener, uint64_t mine)
{
	struct msg_peer p = { 0 };
	struct frame f;
	int fd = -1;

	if (poll(&(struct pollfd){ listener, POLLIN, 0 }, 1, MEMBER_MS) == 1)
		fd = accept(listener, NULL, NULL);
	member_over(m, fd, tls, true);
	if (member_hear(m, &f, MEMBER_MS) && f.type == MSG_PEER_T)
		msg_get_peer(&p, f.body, f.len);
	MEMBER_SAY(m, peer, .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .node = B, .to = A, .incarnation = mine);
	return p;
}

/* One side has lost a connection that is good to the other. */
static void
lost(void)
{
	struct member old, new;
	char where[TCP_NAME];
	struct msg_peer p, q;
	struct side a;
	int fd = listen_at("127.0.0.1:0", where);

	begin(&a, A);
	link_peer(a.l, B, where);
	say(&a, B, 1, 5);
	q = taken(&old, fd, 8);
	ok(q.attempt > 0);
	tell(&old, 1, 1);
	ok(until(&a, 1, 0));				/* A connects to B */
	ok(greet(&new, &a, &(struct greeting){ .attempt = 1, .incarnation = 8 }, q.incarnation).node == 0);	/* both at once: that of the lower number stays */
	member_close(&new);
	p = greet(&new, &a, &(struct greeting){ .attempt = 2, .incarnation = 8, .heard = q.attempt }, q.incarnation);
	ok(p.node == A && p.received == 1);		/* it had A's, and has it no more: A would not know for long */
	tell(&new, 2, 2);
	ok(until(&a, 2, 0) && a.over == 0);
	member_close(&old);
	member_close(&new);
	close(fd);
	end(&a);
}

/* --- what makes no sense -------------------------------------------------------------------------------------------------- */

static void
nonsense(void)
{
	static const uint16_t type[] = { MSG_FAR_TASKS_T, MSG_FAR_DONES_T, MSG_FAR_FN_T, MSG_FAR_RING_T, MSG_PULL_SOURCE_T, MSG_PLACE_DROP_T };
	struct link_peer_state s = { 0 };
	struct member m;
	struct msg_peer p, was;
	struct side a;
	unsigned fine = 0;

	begin(&a, A);
	link_peer(a.l, B, NULL);
	was = greet(&m, &a, &(struct greeting){ .attempt = 1, .incarnation = 9 }, 0);
	for (unsigned i = 0; i < sizeof type / sizeof *type; i++) {
		unsigned char head[FRAME_HEAD + 3];

		frame_pack(head, &(struct frame){ .type = type[i], .version = MSG_PROTO, .len = 3, .session = 1 });
		memcpy(head + FRAME_HEAD, "\x93\x81\x01", 3);
		member_write(&m, head, sizeof head, MEMBER_MS);
		fine += until(&a, 0, i + 1) && strstr(a.why, msg_name(type[i])) != NULL;
		while (!m.ended && member_take(&m, MEMBER_MS))
			;
		member_close(&m);
		p = greet(&m, &a, &(struct greeting){ .attempt = i + 2, .incarnation = 10 + i }, 0);
		fine += p.node == A && p.incarnation != was.incarnation;
		was = p;
	}
	ok(fine == 2 * sizeof type / sizeof *type);	/* each ends the session, says which, and another one may begin */
	link_state(a.l, B, &s);
	ok(s.connected);
	tell(&m, 1, 1);
	ok(until(&a, 1, 0));
	tell(&m, 7, 2);
	ok(until(&a, 0, a.over + 1));			/* frames between that and the last one are missing */
	member_close(&m);
	end(&a);
}

static void
versions(void)
{
	struct link_peer_state s = { 0 };
	struct msg_fail no = { 0 };
	char where[TCP_NAME];
	struct member m;
	struct side a;
	struct frame f;
	int fd = listen_at("127.0.0.1:0", where);

	begin(&a, A);
	link_peer(a.l, B, NULL);
	member_open(&m, a.address, tls);
	MEMBER_SAY(&m, peer, .proto_min = 7, .proto_max = 9, .node = B, .to = A, .incarnation = 1, .attempt = 1);
	ok(member_hear(&m, &f, MEMBER_MS) && f.type == MSG_FAIL_T && msg_get_fail(&no, f.body, f.len) == 0);
	printf("# %.*s\n", (int)no.text.n, (const char *)no.text.p);
	ok(no.text.n && memmem(no.text.p, no.text.n, "we 7 to 9", 9));	/* another version: both are named */
	member_close(&m);
	link_peer(a.l, B, where);
	say(&a, B, 1, 1);
	if (poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, MEMBER_MS) == 1) {
		member_over(&m, accept(fd, NULL, NULL), tls, true);
		member_hear(&m, &f, MEMBER_MS);
		MEMBER_SAY(&m, fail, .code = ERR_PROTO, .text = span_text("it is another\033 one"));
		while (!m.ended && member_take(&m, MEMBER_MS))
			;
		member_close(&m);
	}
	ok(link_state(a.l, B, &s) && strcmp(s.why, "it is another? one") == 0);	/* what a peer says why is kept */
	close(fd);
	end(&a);
}

/* --- who does not read ---------------------------------------------------------------------------------------------------- */

static void
deaf(void)
{
	struct member m;
	struct side a;
	uint64_t n = 0;
	int e = 0;

	begin(&a, A);
	link_peer(a.l, B, NULL);
	greet(&m, &a, &(struct greeting){ .attempt = 1, .incarnation = 11 }, 0);
	while (n < 200 && (e = say(&a, B, ++n, 1 << 20)) == 0)
		;
	printf("# %llu MiB\n", (unsigned long long)n);
	ok(e == ERR_FULL && n > 60 && n < 90);		/* 64 MiB, the window, what the kernel holds */
	ok(until(&a, 0, 1) && strcmp(a.why, "64 MiB wait for it") == 0);	/* then the session is over */
	member_close(&m);
	greet(&m, &a, &(struct greeting){ .attempt = 2, .incarnation = 12 }, 0);
	tell(&m, 1, 1);
	ok(until(&a, 1, 0));				/* and another one begins */
	member_close(&m);
	end(&a);
}

/* --- strangers -------------------------------------------------------------------------------------------------------------- */

static void
crowd(void)
{
	enum { MANY = 1000 };
	static int fd[MANY];
	unsigned open = 0, made = 0;
	struct side a, b;
	char c;

	begin(&a, A);
	begin(&b, B);
	link_peer(a.l, B, NULL);
	for (unsigned i = 0; i < MANY; i++)
		made += (fd[i] = member_dial(a.address)) >= 0;
	link_peer(b.l, A, a.address);
	say(&b, A, 1, 5);
	ok(made == MANY && until(&a, 1, 0));		/* a thousand who say nothing keep nobody out */
	for (uint64_t t0 = clock_ns(); open == 0 || (open > 64 && clock_ns() - t0 < 4 * CLOCK_SEC); poll(NULL, 0, 5)) {
		open = 0;
		for (unsigned i = 0; i < MANY; i++)
			open += recv(fd[i], &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
	}
	printf("# %u of them are held\n", open);
	ok(open <= 64);					/* and one host holds so many of them at most */
	for (unsigned i = 0; i < MANY; i++)
		close(fd[i]);
	say(&b, A, 2, 5);
	ok(until(&a, 2, 0) && a.over == 0);
	end(&b);
	end(&a);
}

/* --- bytes that are cut and changed ---------------------------------------------------------------------------------------- */

/* As B connects: its bytes go through, but at byte `at` they end, or one is changed.  What A says is read to the end. */
static void
spoiled(struct side *a, size_t at, unsigned flip)
{
	unsigned char part[16384];
	struct member m = { .fd = member_dial(a->address) };
	bool told = false, over = false;
	struct buf b = BUF_INIT;
	size_t sent = 0;
	ssize_t n, k;

	if (m.fd < 0 || tls_open(&m.t, tls, false) < 0)
		abort();
	while (!over) {
		if (m.t.ready && !told) {
			if (msg_put_peer(&b, &(struct msg_peer){ .proto_min = 1, .proto_max = 1, .node = B, .to = A }) < 0 || tls_write(&m.t, b.data, b.len) < 0)
				abort();
			buf_release(&b);
			told = true;
		}
		n = (ssize_t)m.t.out.len;
		if (sent + (size_t)n > at && sent <= at) {
			if (flip)
				m.t.out.data[at - sent] ^= (unsigned char)flip;
			else {
				n = (ssize_t)(at - sent);
				over = true;
			}
		}
		if (n && send(m.fd, m.t.out.data, (size_t)n, MSG_NOSIGNAL) < 0)
			break;
		sent += (size_t)n;
		buf_drop(&m.t.out, (size_t)n);
		if (over)
			shutdown(m.fd, SHUT_WR);
		if (poll(&(struct pollfd){ m.fd, POLLIN, 0 }, 1, told && !flip ? 0 : 200) != 1)
			break;
		if ((n = recv(m.fd, part, sizeof part, 0)) <= 0)
			break;
		tls_feed(&m.t, part, (size_t)n);
		while ((k = tls_read(&m.t, part, sizeof part)) > 0)
			;
		if (k < 0)
			break;
	}
	member_close(&m);
}

static void
bytes(void)
{
	struct side a, b;
	unsigned step = getenv("ROTA_LONG") ? 1 : 9;
	uint64_t n = 0;

	begin(&a, A);
	begin(&b, B);
	link_peer(a.l, B, NULL);
	link_peer(b.l, A, a.address);
	for (size_t at = (size_t)rand() % step; at < 700; at += step) {
		spoiled(&a, at, 0);
		spoiled(&a, at, 1u << rand() % 8);
		if (at % 4 == 0)
			say(&b, A, ++n, 100);
	}
	say(&b, A, ++n, 100);
	ok(until(&a, n, 0) && a.over == 0 && !a.bad);	/* who has the key is heard all the while, and nobody else */
	end(&b);
	end(&a);
}

/* --- between two good ones -------------------------------------------------------------------------------------------------- */

struct spoiler {			/* what is between the two, on the way to A */
	int listener;
	char to[TCP_NAME];
	_Atomic bool stop;
	_Atomic unsigned did;
};

static bool
pass_on(int from, int to, size_t *count, size_t at, unsigned flip)
{
	unsigned char part[16384];
	ssize_t n = recv(from, part, sizeof part, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (*count <= at && at < *count + (size_t)n) {
		if (!flip)
			return false;
		part[at - *count] ^= (unsigned char)flip;
	}
	*count += (size_t)n;
	for (ssize_t k, done = 0; done < n; done += k)
		if ((k = send(to, part + done, (size_t)(n - done), MSG_NOSIGNAL)) < 0 && errno != EAGAIN)
			return false;
		else if (k < 0)
			poll(&(struct pollfd){ to, POLLOUT, 0 }, 1, 1000), k = 0;
	return true;
}

static void *
between(void *arg)
{
	struct spoiler *x = arg;
	unsigned seed = (unsigned)clock_ns();

	while (!x->stop) {
		size_t up = 0, down = 0, at = (size_t)rand_r(&seed) % 40000;
		unsigned flip = rand_r(&seed) % 2 ? 1u << rand_r(&seed) % 8 : 0;
		bool way = rand_r(&seed) % 2, good = true;
		int c, s;

		if (poll(&(struct pollfd){ x->listener, POLLIN, 0 }, 1, 100) != 1 || (c = accept(x->listener, NULL, NULL)) < 0)
			continue;
		if ((s = member_dial(x->to)) < 0) {
			close(c);
			continue;
		}
		while (good && !x->stop) {
			struct pollfd p[2] = { { c, POLLIN, 0 }, { s, POLLIN, 0 } };

			poll(p, 2, 100);
			good = pass_on(c, s, &up, way ? at : SIZE_MAX, flip) && pass_on(s, c, &down, way ? SIZE_MAX : at, flip);
		}
		x->did += !good;
		close(c);
		close(s);
	}
	return NULL;
}

static void
spoilt(void)
{
	struct spoiler x = { .stop = false };
	char where[TCP_NAME];
	struct side a, b;
	uint64_t n = 0;
	pthread_t t;

	begin(&a, A);
	begin(&b, B);
	x.listener = listen_at("127.0.0.1:0", where);
	memcpy(x.to, a.address, sizeof x.to);
	if (pthread_create(&t, NULL, between, &x) != 0)
		exit(1);
	link_peer(a.l, B, NULL);
	link_peer(b.l, A, where);
	for (uint64_t t0 = clock_ns(); (x.did < 12 || n < 300) && clock_ns() - t0 < 10 * CLOCK_SEC;) {
		for (int i = 0; i < 20; i++, n++) {
			say(&a, B, n + 1, (size_t)rand() % 1000);
			say(&b, A, n + 1, (size_t)rand() % 1000);
		}
		if (!until(&a, n, 0) || !until(&b, n, 0))
			break;
	}
	printf("# %u connections were spoilt, %llu frames each way\n", x.did, (unsigned long long)n);
	ok(until(&a, n, 0) && until(&b, n, 0) && !a.bad && !b.bad);	/* all of it came, once and in order */
	ok(a.over + b.over == 0);			/* and no session is over for that */
	x.stop = true;
	pthread_join(t, NULL);
	close(x.listener);
	end(&b);
	end(&a);
}

/* --- addresses -------------------------------------------------------------------------------------------------------------- */

static void
moves(const char *where, const char *name)
{
	char to[TCP_NAME + 16], other[TCP_NAME];
	struct side a, b;
	int fd = listen_at("127.0.0.1:0", other);

	close(fd);				/* nobody listens there */
	begin_at(&a, A, where);
	begin(&b, B);
	link_peer(a.l, B, NULL);
	link_peer(b.l, A, other);
	say(&b, A, 1, 5);
	snprintf(to, sizeof to, "%s%s", name, strrchr(a.address, ':'));
	link_peer(b.l, A, to);			/* it is elsewhere */
	ok(until(&a, 1, 0));
	end(&b);
	end(&a);
}

/* Keys are being changed: one knows the new one already, the other one does not. */
static void
rotated(struct tls_ctx *all)
{
	struct tls_ctx *old = tls;
	struct side a, b;

	begin(&a, A);
	tls = all;
	begin(&b, B);
	tls = old;
	link_peer(a.l, B, NULL);
	link_peer(b.l, A, a.address);
	say(&b, A, 1, 5);
	ok(until(&a, 1, 0));			/* it offers the new one first, and then the old one */
	link_peer(a.l, B, b.address);
	say(&a, B, 1, 5);
	ok(until(&b, 1, 0) && a.over + b.over == 0);
	end(&b);
	end(&a);
}

int
main(void)
{
	unsigned seed = (unsigned)(clock_ns() >> 10);
	struct keys k = { .n = 1 };
	struct tls_ctx *all;
	int fd = nodepage_create("np", 1, 3);

	srand(seed);
	printf("# seed %u\n", seed);
	if (fd < 0 || nodepage_map(fd, &np) < 0 || key_new(&k.key[0]) < 0)
		return 1;
	tls = tls_ctx_new(&k);
	k.n = 2;
	k.key[1] = k.key[0];
	if (key_new(&k.key[0]) < 0 || (all = tls_ctx_new(&k)) == NULL)
		return 1;
	late();
	lost();
	nonsense();
	versions();
	deaf();
	crowd();
	bytes();
	spoilt();
	rotated(all);
	moves("127.0.0.1:0", "127.0.0.1");
	moves("127.0.0.1:0", "localhost");		/* a name, which a thread looks up */
	if ((fd = listen_at("[::1]:0", (char[TCP_NAME]){ "" })) >= 0) {
		close(fd);
		moves("[::1]:0", "[::1]");
	}
	tls_ctx_free(tls);
	tls_ctx_free(all);
	return tap_done();
}
