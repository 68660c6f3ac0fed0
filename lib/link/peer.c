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
#include "loop/tls.h"
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
	p->self = l->o.incarnation;
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
over(struct peer *p, const char *why)
{
	session_release(&p->s);
	session_init(&p->s, 0);
	p->begun = false;
	rings_over(p->l, p);
	bulk_over(p);
	link_tell(p->l, LINK_OVER, p->node, 0, span_text(why));
}

void
peer_wrong(struct peer *p, const char *why)
{
	if (p->wrong)
		return;
	p->wrong = true;
	snprintf(p->why_wrong, sizeof p->why_wrong, "%s", why);
	ev_async_send(p->l->loop, &p->l->wake);
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
	lookup_forget(p);
	free(p->address);
	free(p);
}

/* --- what a connection brings ------------------------------------------------------------------------------------ */

static void
put_hello(struct link *l, struct conn *c, int lane, const struct peer *p, uint64_t attempt)
{
	size_t at = conn_out(c)->len;
	int e = msg_put_peer(conn_out(c), &(struct msg_peer){ .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .node = l->o.node,
	    .to = p->node, .incarnation = p->self, .received = p->begun ? p->s.received : 0,
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
	if (p->l->resting && !peer_busy(p)) {
		p->l->resting = false;
		bell_ring(p->l->o.np, p->l->bell);
	}
}

bool
peer_busy(const struct peer *p)
{
	return session_waiting(&p->s) > LINK_BUSY;
}

/*
 * The peer has said who it is.  What it has of a session with another incarnation of ours counts for nothing; and if it has
 * forgotten ours, after we had heard from it there, or is another one itself, that session is over.
 */
static int
resume(struct peer *p, const struct msg_peer *m)
{
	bool same = m->session == p->self;

	if (p->begun && (p->s.peer != m->incarnation || (!same && p->s.received)))
		over(p, "its node began anew");
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
	p->l->unsent = true;
	if (e < 0)				/* what is not said would be missed for ever */
		peer_wrong(p, e == ERR_FULL ? "64 MiB wait for it" : err_str(e));
	buf_release(frame);
	return e;
}

int
peer_take(struct peer *p, const struct frame *f)
{
	int e;

	switch (f->type) {
	case MSG_FAR_TASKS_T: return submit_tasks(p, f);
	case MSG_FAR_DONES_T: return work_dones(p, f);
	case MSG_FAR_FN_T: return submit_fn(p, f);
	case MSG_FAR_RING_T: return work_state(p, f);
	case MSG_FAR_TAKEN_T: return submit_taken(p, f);
	case MSG_PULL_SOURCE_T: case MSG_PULL_WANT_T: case MSG_PLACE_HAS_T: case MSG_PLACE_PROGRESS_T: case MSG_PLACE_DROPPED_T:
	case MSG_PLACE_DROP_T: case MSG_PLACE_PRIMARY_T:
		return bulk_word(p, f);
	case MSG_FAR_CANCEL_T:
		if ((e = submit_cancel(p, f)) < 0)
			return e;
		break;
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
		if (p->bulk.len)
			ev_async_send(p->l->loop, &p->l->wake);	/* the other connection can be made now */
	} else
		bulk_up(p);
}

/* is the other end the one that our session is with?  A bulk connection is made when there is one. */
static int
greet(struct peer *p, int k, const struct msg_peer *m)
{
	int e;

	if (k == LANE_SMALL) {
		if ((e = resume(p, m)) < 0)
			peer_wrong(p, "it does not remember what it had said");
		return e;
	}
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

/* It has the key, and says what it may not: nothing that was under way can be relied on. */
static void
nonsense(struct peer *p, int k, const struct frame *f, int e)
{
	const char *name = msg_name(f->type);
	char text[120];

	if (e == -ENOMEM)
		snprintf(text, sizeof text, "no memory for what it sent");
	else
		snprintf(text, sizeof text, "it sent a message that makes no sense (%s)", name ? name : "?");
	if (k == LANE_SMALL)
		peer_wrong(p, text);
	p->lane[k].up = false;			/* not at once again */
	if (k == LANE_BULK)
		bulk_broken(p);
}

static void
refused(struct peer *p, int k, struct span text)
{
	snprintf(p->why, sizeof p->why, "%.*s", (int)(text.n < sizeof p->why ? text.n : sizeof p->why - 1), (const char *)text.p);
	for (char *s = p->why; *s; s++)		/* it is shown to people */
		if ((unsigned char)*s < ' ' || *s == 127)
			*s = '?';
	p->lane[k].said = true;
}

static int
on_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct peer *p = peer_of(c);
	int k = lane_of(c), e;
	struct msg_fail no;
	struct msg_peer m;

	(void)fds, (void)nfd;
	if (k == LANES)
		return ERR_CLOSED;
	if (p->lane[k].up) {
		if ((e = k == LANE_SMALL ? session_frame(p, c, f) : bulk_frame(p, f)) < 0)
			nonsense(p, k, f, e);
		return e;
	}
	if (f->type == MSG_FAIL_T && msg_get_fail(&no, f->body, f->len) == 0) {
		refused(p, k, no.text);
		return ERR_CLOSED;
	}
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
	if (!p->lane[k].said)
		said(p, *why ? why : err_str(e));
	p->lane[k].said = false;
	p->key += e == ERR_KEY && p->lane[k].ours;	/* it may know another one of ours: keys are being changed */
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

int
peer_welcome(const struct peer *p, const struct msg_peer *m)
{
	const struct lane *a = &p->lane[m->lane];

	if (m->attempt <= a->heard)
		return ERR_CLOSED;		/* it has given that one up */
	if (a->conn && a->ours && p->l->o.node < p->node && !(a->up && m->heard == a->attempt))
		return ERR_CLOSED;		/* ours stays, or is made anew */
	return 0;
}

int
peer_come(struct peer *p, struct conn *c, const struct msg_peer *m)
{
	int k = (int)m->lane, e;

	if (p->lane[k].conn)			/* it has lost that one, or lets go of it */
		let_go(p, k);
	use(p, k, c, false);
	p->lane[k].heard = m->attempt;
	if ((e = greet(p, k, m)) < 0)
		return e;
	put_hello(p->l, c, k, p, 0);
	lane_up(p, k);
	return 0;
}

/* --- connections that we make --------------------------------------------------------------------------------------- */

static void
connect_to(struct peer *p, int k)
{
	struct lane *a = &p->lane[k];
	struct link *l = p->l;
	struct conn *c = NULL;
	int e = lookup(p), fd = -1;

	if (e == -EAGAIN) {			/* l->wake comes; or somebody else's name is looked up */
		a->retry_at = clock_ns() + LINK_RETRY_NS;
		return;
	}
	if (e == 0) {
		if (p->next == NULL)
			p->next = p->all;
		e = fd = tcp_connect(p->next);
		if ((p->next = p->next->ai_next) == NULL)	/* all were tried: perhaps it has others now */
			lookup_forget(p);
	}
	if (fd >= 0 && (c = conn_new(&l->conns, fd)) == NULL) {
		close(fd);
		e = -ENOMEM;
	}
	tls_ctx_offer(l->o.tls, p->key);
	if (c && (e = conn_secure(c, l->o.tls, false)) < 0)
		conn_end(c);
	if (e < 0) {
		said(p, e == -ENOENT ? "no such host" : err_str(e));
		later(a);
		return;
	}
	use(p, k, c, true);
	a->attempt = clock_ns();
	a->retry_at = a->attempt + LINK_HELLO_NS;	/* given up then */
	put_hello(l, c, k, p, a->attempt);
}

/* One that is up stays as long as it works; one that is being made is made at once to where the peer is now. */
void
peer_moved(struct peer *p)
{
	lookup_forget(p);
	for (int k = 0; k < LANES; k++) {
		struct lane *a = &p->lane[k];

		if (a->conn && a->ours && !a->up)
			let_go(p, k);
		if (a->conn == NULL)
			a->retry_at = a->wait = 0;
	}
	ev_async_send(p->l->loop, &p->l->wake);
}

/* is there something to say, and nobody to say it to? */
static bool
wanted(const struct peer *p, int k)
{
	const struct session *s = &p->s;

	if (p->address == NULL)
		return false;
	if (k == LANE_BULK)
		return p->bulk.len > 0 && p->lane[LANE_SMALL].up;
	return s->kept.b.len > s->kept.off || session_waiting(s) > 0 || s->told < s->received || p->bulk.len > 0;
}

uint64_t
link_sooner(uint64_t a, uint64_t b)			/* 0: never */
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

/* Both begin anew: what was under way has failed, here as there.  Not at once, as what it says may be wrong again. */
static void
give_up(struct peer *p)
{
	for (int k = 0; k < LANES; k++) {
		if (p->lane[k].conn)
			let_go(p, k);
		p->lane[k].wait = 16 * LINK_RETRY_NS;
		p->lane[k].retry_at = clock_ns() + p->lane[k].wait;
	}
	p->wrong = false;
	p->self++;
	said(p, p->why_wrong);
	over(p, p->why_wrong);
}

void
peers_tick(struct link *l)
{
	struct map_iter it = MAP_ITER, iw = MAP_ITER;
	uint64_t now = clock_ns(), next = door_tick(l, now);

	while (map_next(&l->peers, &iw))
		if (((struct peer *)iw.val)->wrong)
			give_up(iw.val);
	while (map_next(&l->peers, &it))
		for (int k = 0; k < LANES; k++)
			next = link_sooner(next, lane_tick(it.val, k, now));
	next = link_sooner(next, bulk_tick(l, now));
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

	while (map_next(&l->peers, &it)) {
		map_del(&l->peers, it.key);
		peer_end(it.val);
	}
}
