/* link_peer.c - sessions between two links over loopback: in order, once, over connections that are cut at random */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "link/link.h"
#include "loop/tls.h"
#include "os/tcp.h"
#include "ring/page.h"
#include "ring/slab.h"
#include "tap.h"
#include "wire/msg.h"

struct side {
	struct link *l;
	uint32_t node;
	int fd;				/* eventfd: there is news */
	char address[TCP_NAME];
	uint64_t got, over;
	bool bad;
};

static struct nodepage *np;
static struct tls_ctx *tls, *other;

static void
news(void *arg)
{
	struct side *s = arg;

	eventfd_write(s->fd, 1);
}

static int
listen_at(const char *where)
{
	struct tcp_name name;
	struct addrinfo *a;
	int fd;

	if (tcp_parse(&name, where) < 0 || tcp_resolve(&name, 1, &a) < 0)
		return -1;
	fd = tcp_listen(a);
	freeaddrinfo(a);
	return fd;
}

static void
begin(struct side *s, uint32_t node, uint64_t incarnation, struct tls_ctx *x)
{
	char why[200] = "";
	int fd = listen_at("127.0.0.1:0");
	struct link_opts o = { .node = node, .incarnation = incarnation, .listen = fd, .tls = x, .np = np, .bell = node,
	    .slab = slab_create("s"), .news = news, .arg = s };

	*s = (struct side){ .node = node, .fd = eventfd(0, EFD_NONBLOCK) };
	tcp_local(fd, s->address);
	if (link_start(&s->l, &o, why, sizeof why) < 0) {
		printf("Bail out! %s\n", why);
		exit(1);
	}
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
	struct buf b = BUF_INIT;
	static unsigned char fill[100000];
	int e = msg_put_kv_get(&b, &(struct msg_kv_get){ .req = n, .key = span_of(fill, bytes) });

	if (e == 0)
		e = link_send(s->l, to, SESSION_SMALL, b.data, b.len);
	buf_release(&b);
	return e;
}

/* what has come: numbers that count up from got + 1 */
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
		} else if (n.type != MSG_KV_GET_T || msg_get_kv_get(&m, n.body.p, n.body.n) < 0 || m.req != s->got + 1) {
			s->bad = true;
			printf("# node %u: frame %llu after %llu\n", s->node, (unsigned long long)m.req, (unsigned long long)s->got);
		} else
			s->got++;
	}
}

static bool
until(struct side *s, uint64_t got)
{
	uint64_t t0 = clock_ns();

	for (hear(s); s->got < got; hear(s)) {
		poll(&(struct pollfd){ s->fd, POLLIN, 0 }, 1, 1000);
		if (clock_ns() - t0 > 30 * CLOCK_SEC)
			return false;
	}
	return true;
}

/* cuts a TCP connection of this process that is established between the two, if there is one */
static void
cut(void)
{
	for (int fd = 3; fd < 64; fd++) {
		struct sockaddr_in a;
		socklen_t n = sizeof a;
		int acc = 0;
		socklen_t k = sizeof acc;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &acc, &k) == 0 && !acc && getpeername(fd, (struct sockaddr *)&a, &n) == 0 &&
		    a.sin_family == AF_INET && rand() % 2)
			shutdown(fd, SHUT_RDWR);
	}
}

static void
talk(void)
{
	struct side a, b;

	begin(&a, 1, 100, tls);
	begin(&b, 2, 200, tls);
	ok(say(&a, 2, 1, 5) == ERR_NOTFOUND);	/* a node that it was not told of */
	link_peer(a.l, 2, b.address);
	link_peer(b.l, 1, a.address);
	say(&a, 2, 1, 5);
	ok(until(&b, 1));			/* a frame arrives */
	say(&b, 1, 1, 5);
	ok(until(&a, 1));			/* and one back */
	for (uint64_t i = 2; i <= 20000; i++)
		if (say(&a, 2, i, i % 400) < 0 || say(&b, 1, i, i % 300) < 0)
			break;
	ok(until(&a, 20000) && until(&b, 20000));			/* twenty thousand each way, in order */
	ok(!a.bad && !b.bad && a.over + b.over == 0);			/* and each once */
	end(&a);
	end(&b);
}

static void
broken(void)
{
	struct side a, b;
	uint64_t n = 0;
	unsigned cuts = 0;

	begin(&a, 1, 101, tls);
	begin(&b, 2, 201, tls);
	link_peer(a.l, 2, b.address);
	link_peer(b.l, 1, a.address);
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 200; i++, n++)
			if (say(&a, 2, n + 1, (size_t)(rand() % 2000)) < 0 || say(&b, 1, n + 1, (size_t)(rand() % 2000)) < 0)
				break;
		if (rand() % 2) {
			cut();
			cuts++;
		}
		if (rand() % 3 == 0 && !(until(&a, n) && until(&b, n)))
			break;
	}
	printf("# %u cuts\n", cuts);
	ok(until(&a, n) && until(&b, n));
	ok(!a.bad && !b.bad);			/* in order, once */
	ok(a.over + b.over == 0);			/* and no session was over */
	end(&a);
	end(&b);
}

static void
anew(void)
{
	struct side a, b;

	begin(&a, 1, 102, tls);
	begin(&b, 2, 202, tls);
	link_peer(a.l, 2, b.address);
	link_peer(b.l, 1, a.address);
	say(&a, 2, 1, 5);
	say(&b, 1, 1, 5);
	ok(until(&a, 1) && until(&b, 1));			/* two that know each other */
	end(&b);
	say(&a, 2, 2, 5);
	begin(&b, 2, 203, tls);
	link_peer(b.l, 1, a.address);
	link_peer(a.l, 2, b.address);
	say(&b, 1, 1, 5);
	for (uint64_t t0 = clock_ns(); a.over == 0 && clock_ns() - t0 < 20 * CLOCK_SEC; hear(&a))
		poll(&(struct pollfd){ a.fd, POLLIN, 0 }, 1, 1000);
	ok(a.over == 1);			/* one begins anew: the other one is told so */
	ok(until(&a, 1));			/* and hears it */
	a.got = 1;
	say(&a, 2, 1, 5);
	ok(until(&b, 1));			/* and speaks to it: what was meant for the one before it is not said */
	ok(b.over == 0);			/* which has missed nothing */
	link_gone(a.l, 2);
	hear(&a);
	ok(a.over == 2);			/* dead: that is told too */
	ok(say(&a, 2, 2, 5) == ERR_NOTFOUND);	/* nothing is taken for it */
	end(&a);
	end(&b);
}

static void
strangers(void)
{
	struct link_peer_state s = { 0 };
	struct side a, b;
	uint64_t t0 = clock_ns();

	begin(&a, 1, 103, tls);
	begin(&b, 2, 204, other);
	link_peer(a.l, 2, b.address);
	link_peer(b.l, 1, a.address);
	say(&a, 2, 1, 5);
	do {
		poll(NULL, 0, 1);
		link_state(a.l, 2, &s);
	} while (!s.why[0] && clock_ns() - t0 < 20 * CLOCK_SEC);
	ok(strstr(s.why, "key") != NULL);	/* another key: said why */
	hear(&b);
	ok(b.got == 0);			/* and nothing was heard */
	end(&a);
	end(&b);
}

int
main(void)
{
	unsigned seed = (unsigned)(clock_ns() >> 10);
	struct keys k = { .n = 1 };
	int fd = nodepage_create("np", 1, 2);

	srand(seed);
	printf("# seed %u\n", seed);
	if (fd < 0 || nodepage_map(fd, &np) < 0 || key_new(&k.key[0]) < 0)
		return 1;
	tls = tls_ctx_new(&k);
	key_new(&k.key[0]);
	other = tls_ctx_new(&k);
	talk();
	broken();
	anew();
	strangers();
	tls_ctx_free(tls);
	tls_ctx_free(other);
	close(fd);
	return tap_done();
}
