/*
 * door - connections that come from other nodes, until it is known whose they are.  Who has not shown the key, or does not
 * say who it is, holds one for LINK_HELLO_NS at most, and one host holds so many of them only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "link/inner.h"
#include "os/tcp.h"

static void
stranger_end(struct stranger *s)
{
	list_del(&s->link);
	s->l->nstrangers--;
	free(s);
}

static void
stranger_drop(struct stranger *s)
{
	conn_end(s->conn);
	stranger_end(s);
}

static void
stranger_close(struct conn *c, int e)
{
	(void)e;
	stranger_end(c->owner);
}

static int
refuse(struct conn *c, const char *text)
{
	size_t at = conn_out(c)->len;

	conn_done(c, at, msg_put_fail(conn_out(c), &(struct msg_fail){ .code = ERR_PROTO, .text = span_text(text) }), NULL, 0, 0);
	return ERR_PROTO;
}

static int
stranger_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct stranger *s = c->owner;
	struct link *l = s->l;
	struct msg_peer m;
	struct peer *p;
	char text[120];
	int e;

	(void)fds, (void)nfd;
	if (f->type != MSG_PEER_T || msg_get_peer(&m, f->body, f->len) < 0 || m.lane >= LANES)
		return ERR_PROTO;
	if (m.proto_min > MSG_PROTO || m.proto_max < MSG_PROTO) {
		snprintf(text, sizeof text, "it speaks version %u of the protocol, we %llu to %llu", MSG_PROTO,
		    (unsigned long long)m.proto_min, (unsigned long long)m.proto_max);
		return refuse(c, text);
	}
	if (m.node == l->o.node || m.node == 0 || m.node > UINT32_MAX)
		return refuse(c, "two nodes cannot have one number");
	if (m.to != l->o.node) {
		snprintf(text, sizeof text, "it is node %u, not %llu", l->o.node, (unsigned long long)m.to);
		return refuse(c, text);
	}
	if ((p = map_get(&l->peers, m.node)) == NULL)
		return refuse(c, "it does not know us yet, or not any more");
	if ((e = peer_welcome(p, &m)) < 0)
		return e;
	stranger_end(s);
	return peer_come(p, c, &m);
}

/* Room is made for s, by whoever waits longest: of its host, if that has too many, or of all. */
static void
make_room(struct link *l, const struct stranger *s)
{
	struct stranger *oldest = NULL;
	unsigned same = 0;

	list_each(i, &l->strangers) {
		struct stranger *t = list_entry(i, struct stranger, link);

		if (memcmp(t->host, s->host, sizeof s->host) != 0)
			continue;
		same++;
		if (oldest == NULL)
			oldest = t;
	}
	if (same > LINK_STRANGERS_HOST)
		stranger_drop(oldest);
	else if (l->nstrangers > LINK_STRANGERS)
		stranger_drop(list_entry(l->strangers.next, struct stranger, link));
}

void
door_accept(struct listener *listen, int fd, pid_t pid)
{
	struct link *l = listen->owner;
	struct stranger *s = calloc(1, sizeof *s);
	struct conn *c = s ? conn_new(&l->conns, fd) : NULL;

	(void)pid;
	if (c == NULL) {
		free(s);
		close(fd);
		return;
	}
	*s = (struct stranger){ .l = l, .conn = c, .until = clock_ns() + LINK_HELLO_NS };
	tcp_host(fd, s->host);
	c->owner = s;
	c->on_frame = stranger_frame;
	c->on_close = stranger_close;
	list_add_tail(&l->strangers, &s->link);
	l->nstrangers++;
	if (conn_secure(c, l->o.tls, true) < 0)
		stranger_drop(s);
	else
		make_room(l, s);
	peers_tick(l);
}

uint64_t
door_tick(struct link *l, uint64_t now)
{
	list_each_safe(i, q, &l->strangers) {
		struct stranger *s = list_entry(i, struct stranger, link);

		if (s->until > now)
			return s->until;
		stranger_drop(s);
	}
	return 0;
}

void
door_stop(struct link *l)
{
	list_each_safe(i, q, &l->strangers)
		stranger_drop(list_entry(i, struct stranger, link));
}
