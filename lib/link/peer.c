/*
 * peer - connections to other nodes and the sessions over them.
 *
 * Who connects says who it is and whom it wants (PEER), and the number of the last frame that it has; who accepted says
 * the same, and both go on from there.  Two connections made at the same time, one by each side: that of the lower node
 * number stays.  A connection that was given up may be heard of later than the next one: each says when it was begun, and
 * one that was begun before the last that was taken is not taken.  Who connects though we think that it has our connection
 * has lost that one; it says that it had taken it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "link/inner.h"
#include "os/tcp.h"

static struct peer *
peer_of(const struct conn *c)
{
	return c->owner;
}

static int
lane_of(const struct conn *c)			/* LANES: of none any more */
{
	const struct peer *p = peer_of(c);
	int k = 0;

	while (k < LANES && p->lane[k].conn != c)
		k++;
	return k;
}

struct peer *
peer_get(struct link *l, uint32_t node)
{
	struct peer *p = map_get(&l->peers, node);

	if (p || (p = calloc(1, sizeof *p)) == NULL)
		return p;
	p->l = l;
	p->node = node;
	session_init(&p->s, 0);
	if (map_put(&l->peers, node, p) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

static void
said(struct peer *p, const char *why)
{
	snprintf(p->why, sizeof p->why, "%.*s", (int)sizeof p->why - 1, why);
}

/* the session is over, and another one may begin */
static void
over(struct peer *p)
{
	session_release(&p->s);
	session_init(&p->s, 0);
	p->begun = false;
	rings_over(p->l, p);
	bulk_over(p);
	link_tell(p->l, LINK_OVER, p->node, 0, span_of(NULL, 0));
}

void
peer_end(struct peer *p)
{
	for (int k = 0; k < LANES; k++)
		if (p->lane[k].conn)
			conn_end(p->lane[k].conn);
	rings_over(p->l, p);
	bulk_over(p);
	if (p->begun)
		link_tell(p->l, LINK_OVER, p->node, 0, span_of(NULL, 0));
	session_release(&p->s);
	buf_release(&p->bulk);
	free(p->address);
	free(p);
}

/* --- what a connection brings ------------------------------------------------------------------------------------ */

static void
put_hello(struct link *l, struct conn *c, int lane, const struct peer *p, uint64_t attempt)
{
	size_t at = conn_out(c)->len;
	int e = msg_put_peer(conn_out(c), &(struct msg_peer){ .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .node = l->o.node,
	    .to = p->node, .incarnation = l->o.incarnation, .received = p->begun ? p->s.received : 0,
	    .session = p->begun ? p->s.peer : 0, .lane = (uint64_t)lane, .attempt = attempt, .heard = p->lane[lane].heard });

	conn_done(c, at, e, NULL, 0, 0);
}

void
peer_pump(struct peer *p)
{
	struct lane *a = &p->lane[LANE_SMALL];
	struct span s;

	if (!a->up)
		return;
	if (session_ack_due(&p->s)) {
		size_t at = conn_out(a->conn)->len;

		conn_done(a->conn, at, msg_put_peer_ack(conn_out(a->conn), &(struct msg_peer_ack){ .upto = session_tell(&p->s) }), NULL, 0, 0);
	}
	while (conn_out(a->conn)->len < LINK_TURN && (s = session_out(&p->s, LINK_TURN)).n) {
		size_t at = conn_out(a->conn)->len;

		conn_done(a->conn, at, buf_add(conn_out(a->conn), s.p, s.n), NULL, 0, 0);
	}
}

/*
 * The peer has said who it is.  What it has of a session with another incarnation of ours counts for nothing; and if it has
 * forgotten ours, after we had heard from it there, or is another one itself, that session is over.
 */
static int
resume(struct peer *p, const struct msg_peer *m)
{
	bool same = m->session == p->l->o.incarnation;

	if (p->begun && (p->s.peer != m->incarnation || (!same && p->s.received)))
		over(p);
	if (p->begun)
		return session_resume(&p->s, m->incarnation, same ? m->received : 0);
	if (same && m->received)
		return ERR_PROTO;
	p->s.peer = m->incarnation;		/* what waits is what is to be said to it at all */
	p->begun = true;
	return 0;
}

int
peer_put(struct peer *p, int e, struct buf *frame)
{
	if (e == 0)
		e = session_push(&p->s, SESSION_SMALL, frame->data, frame->len);
	buf_release(frame);
	return e;
}

int
peer_take(struct peer *p, const struct frame *f)
{
	switch (f->type) {
	case MSG_FAR_TASKS_T: return submit_tasks(p, f);
	case MSG_FAR_DONES_T: return work_dones(p, f);
	case MSG_FAR_FN_T: return submit_fn(p, f);
	case MSG_FAR_RING_T: return work_state(p, f);
	case MSG_PULL_SOURCE_T: case MSG_PULL_WANT_T: case MSG_PLACE_HAS_T: case MSG_PLACE_PROGRESS_T: case MSG_PLACE_DROPPED_T:
	case MSG_PLACE_DROP_T: case MSG_PLACE_PRIMARY_T:
		return bulk_word(p, f);
	}
	link_tell(p->l, LINK_FRAME, p->node, f->type, span_of(f->body, f->len));
	return 0;
}

static void
lane_up(struct peer *p, int k)
{
	struct lane *a = &p->lane[k];

	a->up = true;
	a->wait = 0;
	a->conn->max = FRAME_MAX;
	if (k == LANE_SMALL) {
		p->why[0] = '\0';
		peer_pump(p);
	} else
		bulk_up(p);
}

/* is the other end the one that our session is with?  A bulk connection is made when there is one. */
static int
greet(struct peer *p, int k, const struct msg_peer *m)
{
	if (k == LANE_SMALL)
		return resume(p, m);
	return p->begun && p->s.peer == m->incarnation ? 0 : -ESTALE;
}

static int
session_frame(struct peer *p, struct conn *c, const struct frame *f)
{
	struct link *l = p->l;
	struct msg_peer_ack ack;
	int e;

	if (f->type == MSG_PEER_ACK_T) {
		if ((e = msg_get_peer_ack(&ack, f->body, f->len)) == 0 && (e = session_acked(&p->s, ack.upto)) == 0)
			peer_pump(p);
		return e;
	}
	if ((e = session_in(&p->s, f->session, FRAME_HEAD + f->len)) <= 0)
		return e;
	if ((e = peer_take(p, f)) < 0)
		return e;
	if (session_ack_due(&p->s))
		peer_pump(p);
	if (l->news.len > LINK_NEWS) {
		l->full = true;
		conn_pause(c, true);
	}
	return 0;
}

static int
on_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct peer *p = peer_of(c);
	int k = lane_of(c), e;
	struct msg_peer m;

	(void)fds, (void)nfd;
	if (k == LANES)
		return ERR_CLOSED;
	if (p->lane[k].up)
		return k == LANE_SMALL ? session_frame(p, c, f) : bulk_frame(p, f);
	if (f->type != MSG_PEER_T || (e = msg_get_peer(&m, f->body, f->len)) < 0 || m.node != p->node)	/* ours: the answer */
		return ERR_PROTO;
	if ((e = greet(p, k, &m)) == 0)
		lane_up(p, k);
	return e;
}

static void
later(struct lane *a)
{
	a->wait = a->up ? 0 : a->wait == 0 ? LINK_RETRY_NS : a->wait < 16 * LINK_RETRY_NS ? 2 * a->wait : a->wait;
	a->retry_at = clock_ns() + a->wait;
	a->conn = NULL;
}

static void
on_close(struct conn *c, int e)
{
	struct peer *p = peer_of(c);
	const char *why = conn_why(c);
	int k = lane_of(c);
	bool was;

	if (k == LANES)
		return;				/* another one took its place */
	said(p, *why ? why : err_str(e));
	was = p->lane[k].up;
	later(&p->lane[k]);
	p->lane[k].up = false;
	if (k == LANE_BULK && was)
		bulk_broken(p);
	ev_async_send(p->l->loop, &p->l->wake);
}

static void
on_sent(struct conn *c)
{
	struct peer *p = peer_of(c);
	int k = lane_of(c);

	if (k == LANE_SMALL)
		peer_pump(p);
	else if (k == LANE_BULK)
		bulk_pump(p);
}

static void
use(struct peer *p, int k, struct conn *c, bool ours)
{
	p->lane[k].conn = c;
	p->lane[k].ours = ours;
	p->lane[k].up = false;
	c->owner = p;
	c->on_frame = on_frame;
	c->on_close = on_close;
	c->on_sent = on_sent;
}

static void
let_go(struct peer *p, int k)
{
	struct lane *a = &p->lane[k];
	bool was = a->up;

	conn_end(a->conn);
	a->conn = NULL;
	a->up = false;
	if (k == LANE_BULK && was)
		bulk_broken(p);
}

void
peer_break(struct peer *p, int lane)
{
	if (p->lane[lane].conn)
		let_go(p, lane);
}

/* --- connections that come ------------------------------------------------------------------------------------------ */

static void
stranger_end(struct stranger *s)
{
	list_del(&s->link);
	s->l->nstrangers--;
	free(s);
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

	conn_done(c, at, msg_put_fail(conn_out(c), &(struct msg_fail){ .code = ERR_PROTO, .text = span_of(text, strlen(text)) }), NULL, 0, 0);
	return ERR_PROTO;
}

static int
stranger_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct stranger *s = c->owner;
	struct link *l = s->l;
	struct msg_peer m;
	struct lane *a;
	struct peer *p;
	int e, k;

	(void)fds, (void)nfd;
	if (f->type != MSG_PEER_T || msg_get_peer(&m, f->body, f->len) < 0 || m.lane >= LANES)
		return ERR_PROTO;
	k = (int)m.lane;
	if (m.proto_min > MSG_PROTO || m.proto_max < MSG_PROTO)
		return refuse(c, "no protocol version in common");
	if (m.node == l->o.node || m.to != l->o.node || m.node > UINT32_MAX || m.node == 0)
		return refuse(c, "this is another node");
	if ((p = map_get(&l->peers, m.node)) == NULL)
		return refuse(c, "this node does not know you");
	a = &p->lane[k];
	if (m.attempt <= a->heard)
		return ERR_CLOSED;		/* it has given that one up */
	if (a->conn && a->ours && l->o.node < p->node && !(a->up && m.heard == a->attempt))
		return ERR_CLOSED;		/* ours stays, or is made anew */
	if (a->conn)				/* it has lost that one, or lets go of it */
		let_go(p, k);
	stranger_end(s);
	use(p, k, c, false);
	a->heard = m.attempt;
	if ((e = greet(p, k, &m)) < 0)
		return e;
	put_hello(l, c, k, p, 0);
	lane_up(p, k);
	return 0;
}

void
peer_accept(struct listener *listen, int fd, pid_t pid)
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
	c->owner = s;
	c->on_frame = stranger_frame;
	c->on_close = stranger_close;
	list_add_tail(&l->strangers, &s->link);
	l->nstrangers++;
	if (conn_secure(c, l->o.tls, true) < 0) {
		conn_end(c);
		stranger_end(s);
	} else if (l->nstrangers > LINK_STRANGERS) {
		struct stranger *old = list_entry(l->strangers.next, struct stranger, link);

		conn_end(old->conn);
		stranger_end(old);
	}
	peers_tick(l);
}

/* --- connections that we make --------------------------------------------------------------------------------------- */

static void
connect_to(struct peer *p, int k)
{
	struct lane *a = &p->lane[k];
	struct link *l = p->l;
	struct addrinfo *all = NULL;
	struct tcp_name name;
	struct conn *c = NULL;
	int e = tcp_parse(&name, p->address), fd = -1;

	if (e == 0 && (e = tcp_resolve(&name, 0, &all)) == 0)
		e = fd = tcp_connect(all);
	if (all)
		freeaddrinfo(all);
	if (fd >= 0 && (c = conn_new(&l->conns, fd)) == NULL) {
		close(fd);
		e = -ENOMEM;
	}
	if (c && (e = conn_secure(c, l->o.tls, false)) < 0)
		conn_end(c);
	if (e < 0) {
		said(p, err_str(e));
		later(a);
		return;
	}
	use(p, k, c, true);
	a->attempt = clock_ns();
	a->retry_at = a->attempt + LINK_HELLO_NS;	/* given up then */
	put_hello(l, c, k, p, a->attempt);
}

/* is there something to say, and nobody to say it to? */
static bool
wanted(const struct peer *p, int k)
{
	const struct session *s = &p->s;
	size_t n = s->kept.b.len - s->kept.off;

	if (p->address == NULL)
		return false;
	if (k == LANE_BULK)
		return p->bulk.len > 0 && p->lane[LANE_SMALL].up;
	for (int i = 0; i < SESSION_CLASSES; i++)
		n += s->wait[i].b.len - s->wait[i].off;
	return n > 0 || s->told < s->received;
}

static uint64_t
sooner(uint64_t a, uint64_t b)			/* 0: never */
{
	return a == 0 || (b && b < a) ? b : a;
}

/* when to come again; 0: no need */
static uint64_t
lane_tick(struct peer *p, int k, uint64_t now)
{
	struct lane *a = &p->lane[k];

	if (a->conn && a->conn->paused && !p->l->full)
		conn_pause(a->conn, false);
	if (a->up) {
		if (k == LANE_SMALL)
			peer_pump(p);
		return 0;
	}
	if (a->conn && a->ours && a->retry_at <= now) {
		said(p, "it does not answer; a firewall?");
		let_go(p, k);
		a->retry_at = now;
	}
	if (a->conn == NULL && wanted(p, k) && a->retry_at <= now)
		connect_to(p, k);
	return a->conn ? (a->ours ? a->retry_at : 0) : wanted(p, k) ? a->retry_at : 0;
}

void
peers_tick(struct link *l)
{
	struct map_iter it = MAP_ITER;
	uint64_t now = clock_ns(), next = 0;

	list_each_safe(i, q, &l->strangers) {
		struct stranger *s = list_entry(i, struct stranger, link);

		if (s->until > now) {
			next = sooner(next, s->until);
			break;
		}
		conn_end(s->conn);
		stranger_end(s);
	}
	while (map_next(&l->peers, &it))
		for (int k = 0; k < LANES; k++)
			next = sooner(next, lane_tick(it.val, k, now));
	next = sooner(next, bulk_tick(l, now));
	ev_timer_stop(l->loop, &l->timer);
	if (next) {
		ev_now_update(l->loop);
		ev_timer_set(&l->timer, next > now ? (double)(next - now) / 1e9 : 0., 0.);
		ev_timer_start(l->loop, &l->timer);
	}
}

void
peers_stop(struct link *l)
{
	struct map_iter it = MAP_ITER;
	struct list *i;

	while ((i = l->strangers.next) != &l->strangers) {
		struct stranger *s = list_entry(i, struct stranger, link);

		conn_end(s->conn);
		stranger_end(s);
	}
	while (map_next(&l->peers, &it)) {
		map_del(&l->peers, it.key);
		peer_end(it.val);
	}
}
