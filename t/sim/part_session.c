/*
 * part_session.c - sessions between nodes (core/session.h).
 *
 * Every two nodes talk: the one with the lower number connects, and again when that breaks.  A connection begins with a
 * greeting of each side: its life, the other's as it knows it, what it has, and how many connections there were before, since one
 * that was given up may be heard of later than the next.  Then come frames of the session and, between them, what has come.  Each side counts what it gave to a session, by class, and what came out of one must be just that.
 *
 *	session-order	a frame comes once, and none is missing before it
 *	session-all	in the end all has come that a session was given
 *	session-proto	no side finds that the other broke the protocol
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/session.h"
#include "parts.h"
#include "sim.h"
#include "wire/frame.h"

enum { HELLO = 1, ACK, DATA };		/* types of frames, ours */

struct half {				/* of a pair, at one machine */
	struct pair *p;
	int i;
	struct sim_machine *m, *peer;
	struct session s;
	bool on, greeted, acking;	/* has a session; this connection has brought its greeting */
	bool moving;			/* another connection was told what we have: no more is said on this one */
	struct sim_conn *c;
	int side;
	unsigned answered;		/* the last connection that did: answers of older ones come too late */
	uint64_t tries;			/* connections that it made, or the number of the peer's last one */
	uint64_t sent[SESSION_CLASSES], came[SESSION_CLASSES];
};

struct pair {
	struct half h[2];
};

struct part {
	struct pair *pair;
	unsigned n;
	uint64_t traffic;		/* mean ns between two frames of a half */
	bool large;
};



static void	connect_later(struct sim *s, struct half *h);

static struct half *
half_at(struct sim *s, const struct sim_machine *m, const struct sim_machine *peer)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++)
		for (int k = 0; k < 2; k++)
			if (p->pair[i].h[k].m == m && p->pair[i].h[k].peer == peer)
				return &p->pair[i].h[k];
	abort();
}

static void
send_frame(struct sim *s, struct sim_conn *c, int side, uint16_t type, const uint64_t *body, unsigned n)
{
	unsigned char b[FRAME_HEAD + 64];

	frame_pack(b, &(struct frame){ .type = type, .version = 1, .len = n * 8 });
	memcpy(b + FRAME_HEAD, body, n * 8);
	sim_send(s, c, side, b, FRAME_HEAD + n * 8);
}

/* --- out ------------------------------------------------------------------------------------------------------------ */

static void
flush(struct sim *s, struct half *h)
{
	struct span b;

	while (h->c && h->greeted && (b = session_out(&h->s, 1 + sim_below(s, 20000))).n)
		sim_send(s, h->c, h->side, b.p, b.n);
}

static void
ack_now(struct sim *s, void *arg, uint64_t n)
{
	struct half *h = arg;
	uint64_t all;

	(void)n;
	h->acking = false;
	if (h->c == NULL || !h->greeted || h->moving)
		return;
	all = session_tell(&h->s);
	send_frame(s, h->c, h->side, ACK, &all, 1);
}

static void
traffic(struct sim *s, void *arg, uint64_t n)
{
	struct part *p = s->of[SESSION_PART];
	struct half *h = arg;
	enum session_class class = sim_chance(s, 300) ? SESSION_CONTROL : SESSION_SMALL;
	size_t len = 24 + (p->large && sim_chance(s, 50) ? sim_below(s, 300000) : sim_below(s, 200));
	struct buf b = BUF_INIT;
	uint64_t id[3] = { class, h->sent[class] + 1, h->m->life };

	(void)n;
	if (s->phase == SIM_CALM)
		return;
	sim_after(s, h->m, sim_about(s, p->traffic), traffic, h, 0);
	if (!h->on)
		return;
	if (buf_reserve(&b, FRAME_HEAD + len) < 0)
		abort();
	frame_pack(b.data, &(struct frame){ .type = DATA, .version = 1, .len = (uint32_t)len });
	memset(b.data + FRAME_HEAD, 7, len);
	memcpy(b.data + FRAME_HEAD, id, sizeof id);
	if (session_push(&h->s, class, b.data, FRAME_HEAD + len) == 0)
		h->sent[class]++;
	buf_release(&b);
	flush(s, h);
}

/* --- in ------------------------------------------------------------------------------------------------------------- */

static void
renew(struct sim *s, struct half *h, uint64_t peer)	/* the peer is one that knows nothing of what was */
{
	if (h->on)
		session_release(&h->s);
	h->on = true;
	session_init(&h->s, peer);
	memset(h->sent, 0, sizeof h->sent);
	memset(h->came, 0, sizeof h->came);
	sim_log(s, "session of machine %u with %u, life %llu", h->m->i, h->peer->i, (unsigned long long)peer);
}

static void
greet(struct sim *s, struct half *h, struct sim_conn *c, int side)
{
	uint64_t v[4] = { h->m->life, h->on ? h->s.peer : 0, h->on ? session_tell(&h->s) : 0, h->tries };

	send_frame(s, c, side, HELLO, v, 4);
}

static void
resume(struct sim *s, struct half *h, const uint64_t v[4])
{
	int e;

	if (!h->on)
		renew(s, h, v[0]);
	e = session_resume(&h->s, v[0], v[1] == h->m->life ? v[2] : 0);
	if (e == -ESTALE) {
		renew(s, h, v[0]);
		e = session_resume(&h->s, v[0], 0);
	}
	sim_log(s, "session of machine %u with %u goes on: %d, it has %llu", h->m->i, h->peer->i, e, (unsigned long long)v[2]);
	sim_check(s, "session-proto", e == 0);
	h->greeted = true;
	h->moving = false;
	flush(s, h);
}

static void
on_data(struct sim *s, struct half *h, const struct frame *f)
{
	uint64_t id[3];
	int e;

	memcpy(id, f->body, sizeof id);
	e = session_in(&h->s, f->session, FRAME_HEAD + f->len);
	sim_check(s, "session-proto", e >= 0);
	if (!h->acking) {
		h->acking = true;
		sim_after(s, h->m, session_ack_due(&h->s) ? 0 : sim_about(s, 10 * SIM_MS), ack_now, h, 0);
	}
	if (e == 0)
		return;
	if (id[0] >= SESSION_CLASSES || id[1] != h->came[id[0]] + 1 || id[2] != h->s.peer)
		sim_fail(s, "session-order", "machine %u got frame %llu of class %llu of life %llu of machine %u after %llu of life %llu",
		    h->m->i, (unsigned long long)id[1], (unsigned long long)id[0], (unsigned long long)id[2], h->peer->i,
		    (unsigned long long)h->came[id[0] < SESSION_CLASSES ? id[0] : 0], (unsigned long long)h->s.peer);
	h->came[id[0]]++;
}

static void
on_hello(struct sim *s, struct half *h, struct sim_conn *c, int side, const uint64_t v[4])
{
	if (side == 0 && h->c != c) {
		if (c->number < h->answered || (h->c && h->c->number > c->number)) {
			sim_close(s, c, 0);
			return;
		}
		if (h->c)
			sim_close(s, h->c, 0);
		h->c = c;
	} else if (side == 1) {
		bool old = h->on && v[0] == h->s.peer && v[3] <= h->tries;

		if (old || (h->on && v[0] < h->s.peer)) {
			sim_log(s, "session of machine %u with %u: conn %u is an old one", h->m->i, h->peer->i, c->number);
			sim_close(s, c, 1);
			return;
		}
		if (h->c)
			sim_close(s, h->c, h->side);
		h->c = c;
		h->side = 1;
		h->tries = v[3];
		greet(s, h, c, 1);
	}
	h->answered = c->number;
	resume(s, h, v);
}

static void
frames(struct sim *s, struct sim_conn *c, int side, struct span b)
{
	struct half *h = c->side[side].arg;
	struct frame f;
	uint64_t v[4];
	ssize_t n;

	while (b.n && c->side[side].open) {
		n = frame_parse(&f, b.p, b.n, FRAME_MAX);
		sim_check(s, "session-proto", n > 0);
		memcpy(v, f.body, f.len < sizeof v ? f.len : sizeof v);
		if (f.type == HELLO)
			on_hello(s, h, c, side, v);
		else if (h->c != c || !h->greeted)
			sim_fail(s, "session-proto", "machine %u: a frame of type %u before the greeting", h->m->i, f.type);
		else if (f.type == ACK) {
			sim_check(s, "session-proto", session_acked(&h->s, v[0]) == 0);
			flush(s, h);
		} else
			on_data(s, h, &f);
		b.p += n;
		b.n -= (size_t)n;
	}
}

/* --- connections ---------------------------------------------------------------------------------------------------- */

/* a connection from the peer: it counts from its greeting on */
static void
opened(struct sim *s, struct sim_conn *c)
{
	c->side[1].arg = half_at(s, c->side[1].m, c->side[0].m);
}

static void
closed(struct sim *s, struct sim_conn *c, int side)
{
	struct half *h = c->side[side].arg;

	if (h->c != c && !(side == 0 && h->moving))
		return;
	if (h->c != c)			/* did the peer move there?  A third one tells */
		sim_close(s, h->c, 0);
	h->c = NULL;
	h->greeted = h->moving = false;
	if (side == 0)
		connect_later(s, h);
}

static const struct sim_ends ends = { opened, frames, closed };

static void
connect_now(struct sim *s, void *arg, uint64_t n)
{
	struct half *h = arg;
	struct sim_conn *c;

	if (h->c && !n)
		return;
	c = sim_connect(s, h->m, h->peer, &ends, h);
	h->tries++;
	greet(s, h, c, 0);
	h->moving = h->c != NULL;
	if (h->moving)			/* it is used until the other one has answered */
		return;
	h->c = c;
	h->side = 0;
	h->greeted = false;
}

static void
connect_later(struct sim *s, struct half *h)
{
	sim_after(s, h->m, sim_about(s, 50 * SIM_MS), connect_now, h, 0);
}

/* a second connection, though the first one is good: what is under way in that comes twice */
static void
fault(struct sim *s)
{
	struct part *p = s->of[SESSION_PART];
	struct half *h = &p->pair[sim_below(s, p->n)].h[0];

	if (p->n && h->m->up && h->c && h->greeted && !h->moving)
		connect_now(s, h, 1);
}

/* --- the part --------------------------------------------------------------------------------------------------------- */

static void
init(struct sim *s)
{
	struct part *p = calloc(1, sizeof *p);
	unsigned n = s->nmachine;

	if (p == NULL || (p->pair = calloc(n * n, sizeof *p->pair)) == NULL)
		abort();
	s->of[SESSION_PART] = p;
	p->traffic = (1 + sim_below(s, 40)) * SIM_MS;
	p->large = sim_chance(s, 100);
	for (unsigned a = 1; a < n; a++)
		for (unsigned b = a + 1; b < n && b < a + 3; b++) {
			struct pair *q = &p->pair[p->n++];

			for (int i = 0; i < 2; i++)
				q->h[i] = (struct half){ .p = q, .i = i, .m = &s->machine[i ? b : a], .peer = &s->machine[i ? a : b] };
		}
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++)
		for (int k = 0; k < 2; k++) {
			struct half *h = &p->pair[i].h[k];

			if (h->m != m)
				continue;
			sim_after(s, m, sim_about(s, p->traffic), traffic, h, 0);
			if (k == 0)
				connect_later(s, h);
		}
}

static void
down(struct sim *s, struct sim_machine *m)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++)
		for (int k = 0; k < 2; k++) {
			struct half *h = &p->pair[i].h[k];

			if (h->m != m)
				continue;
			if (h->on)
				session_release(&h->s);
			h->on = h->greeted = h->acking = h->moving = false;
			h->c = NULL;
			h->tries = 0;
		}
}

static bool
pair_done(const struct pair *q)
{
	const struct half *a = &q->h[0], *b = &q->h[1];

	return a->on && b->on && a->s.peer == b->m->life && b->s.peer == a->m->life &&
	    memcmp(a->sent, b->came, sizeof a->sent) == 0 && memcmp(b->sent, a->came, sizeof a->sent) == 0;
}

static bool
done(struct sim *s)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++)
		if (!pair_done(&p->pair[i]))
			return false;
	return true;
}

static void
end(struct sim *s)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++) {
		const struct half *a = &p->pair[i].h[0], *b = &p->pair[i].h[1];

		if (!pair_done(&p->pair[i]))
			sim_fail(s, "session-all", "machine %u gave %llu and %llu frames, %u has %llu and %llu; back %llu and %llu, %llu and %llu",
			    a->m->i, (unsigned long long)a->sent[0], (unsigned long long)a->sent[1], b->m->i, (unsigned long long)b->came[0],
			    (unsigned long long)b->came[1], (unsigned long long)b->sent[0], (unsigned long long)b->sent[1],
			    (unsigned long long)a->came[0], (unsigned long long)a->came[1]);
	}
}

static void
release(struct sim *s)
{
	struct part *p = s->of[SESSION_PART];

	for (unsigned i = 0; i < p->n; i++)
		for (int k = 0; k < 2; k++)
			if (p->pair[i].h[k].on)
				session_release(&p->pair[i].h[k].s);
	free(p->pair);
	free(p);
}

const struct sim_part part_session = { "session", init, up, down, fault, NULL, NULL, done, end, release };
