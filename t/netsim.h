/*
 * netsim.h - nodes that have objects and pull them from each other, in virtual time: core/transfer.h of each, and what moves
 * the bytes.  One seed, one course of events.
 *
 * A node's sending and receiving side each have a rate, a pair of nodes has a delay.  What goes through a session arrives
 * once and in order, later if the connection broke; chunks and what asks for them are lost with it.  The fill of an object is its
 * stamp, chunk by chunk, so a mixture of makings is seen.
 */
#ifndef NETSIM_H
#define NETSIM_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/heap.h"
#include "core/transfer.h"
#include "wire/frame.h"
#include "wire/msg.h"

enum { NODES = 16, OBJECTS = 12 };
#define MS UINT64_C(1000000)
#define UNIT PULL_CHUNK_MIN			/* bytes whose fill is known */
#define SOCKET (UINT64_C(1) << 20)		/* bytes that a connection takes ahead */

struct copy {					/* of an object at a node */
	enum { COPY_NONE, COPY_ROOM, COPY_WHOLE } state;
	struct form form;
	uint64_t ticket;
	uint64_t *fill;				/* of each unit: its stamp, 0 nothing yet */
	unsigned writers;
	bool pinned;				/* of a whole one: it is open for others */
	bool told;				/* that it was made here: its owner's node knows, or it was pulled */
};

struct node {
	bool alive;
	struct transfer t;
	struct copy copy[OBJECTS];
	uint64_t store, used;			/* bytes of room */
	uint64_t out_free, in_free;		/* when its sides are free again */
	uint64_t sent, got, wasted;		/* bytes of chunks: sent, taken, passed over */
	uint64_t taken[OBJECTS];		/* of each object */
	unsigned rooms[OBJECTS];		/* reservations that were granted */
	bool wants[OBJECTS], failed[OBJECTS];
	uint64_t done[OBJECTS];			/* when it had all */
	bool told[NODES];			/* knows that this one is dead */
	uint64_t tick_at;
};

enum event_kind { EV_FRAME, EV_STEP, EV_BEGIN, EV_END, EV_SENT, EV_UP, EV_TICK, EV_USER };

struct event {
	struct heap_node timer;
	enum event_kind kind;
	unsigned from, to, epoch;		/* epoch: of the connection, for what is lost with it; 0: of a session */
	struct transfer_in in;
	unsigned char *frame;			/* n bytes */
	size_t n;
	struct feed_chunk chunk;
	uint64_t fill[PULL_CHUNK_MAX / UNIT];
	void (*user)(unsigned what);
};

static struct net {
	uint64_t seed, now, serial, rate, delay;	/* rate: bytes a second */
	struct heap events;
	unsigned n, epoch[NODES][NODES];
	uint64_t room[NODES][NODES], up_at[NODES][NODES], last[NODES][NODES];	/* last: when the last chunk arrives */
	struct node node[NODES];
	struct id id[OBJECTS];
	uint64_t stamps;
	void (*lost)(unsigned owner, unsigned object);
	bool fine, trace, freed[OBJECTS];	/* freed: copies of it may be there until their nodes hear of it */
	unsigned long steps;
} net;

static unsigned
draw(unsigned n)
{
	net.seed = net.seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(net.seed >> 33) % n;
}

static void __attribute__((format(printf, 1, 2)))
wrong(const char *fmt, ...)
{
	va_list ap;

	if (net.fine) {
		va_start(ap, fmt);
		printf("# %.6f s: ", (double)net.now / 1e9);
		vprintf(fmt, ap);
		printf("\n");
		va_end(ap);
	}
	net.fine = false;
}

static void __attribute__((format(printf, 1, 2)))
trace(const char *fmt, ...)
{
	va_list ap;

	if (!net.trace)
		return;
	va_start(ap, fmt);
	printf("# %.6f s: ", (double)net.now / 1e9);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

/* --- events --- */

static void
at(uint64_t when, const struct event *like)
{
	struct event *e = malloc(sizeof *e);

	*e = *like;
	e->timer = (struct heap_node){ .at = when << 18 | (net.serial++ & 0x3ffff) };
	heap_add(&net.events, &e->timer);
}

static uint64_t
reach(unsigned a, unsigned b)			/* when a short message arrives */
{
	uint64_t t = net.now + (a == b ? 1000 : net.delay);

	return t < net.up_at[a][b] ? net.up_at[a][b] : t;
}

static void
user_at(uint64_t when, void (*user)(unsigned), unsigned what)
{
	at(when, &(struct event){ .kind = EV_USER, .user = user, .from = what });
}

static unsigned
object_of(struct id id)
{
	return (unsigned)(id.seq >> ID_RET_BITS) - 1;
}

static unsigned
index_of(uint32_t number)
{
	return number - 1;
}

/* --- one node's hands --- */

static void	transfer_do(unsigned me, const struct transfer_in *in);

static void
copy_free(struct node *n, struct copy *c)
{
	if (c->writers)
		wrong("room is given back while a chunk is written");
	n->used -= c->form.bytes;
	free(c->fill);
	*c = (struct copy){ 0 };
}

static void
send_frame(unsigned me, const struct transfer_fx *fx, const struct buf *bytes)
{
	struct event e = { .kind = EV_FRAME, .from = me, .to = index_of(fx->node), .n = fx->n };

	if (fx->bulk && (!net.node[me].alive || net.up_at[me][e.to] > net.now))
		return;
	e.epoch = fx->bulk ? net.epoch[me][e.to] + 1 : 0;
	e.frame = malloc(fx->n);
	memcpy(e.frame, bytes->data + fx->at, fx->n);
	at(fx->bulk ? net.now + net.delay : reach(me, e.to), &e);
}

static void
send_chunks(unsigned me)
{
	struct node *n = &net.node[me];
	struct feed_chunk c;

	while (transfer_next(&n->t, &c)) {
		unsigned to = index_of(c.node), o = object_of(c.id);
		uint64_t took = c.n * 1000000000 / net.rate, end = (n->out_free > net.now ? n->out_free : net.now) + took, t;
		struct event e = { .from = me, .to = to, .epoch = net.epoch[me][to] + 1, .chunk = c };
		struct copy *x = &n->copy[o];

		if (x->state == COPY_NONE || x->form.stamp != c.stamp || (x->state == COPY_WHOLE && !x->pinned))
			wrong("node %u sends of object %u what it has not", me, o);
		for (uint64_t i = 0; x->fill && i < (c.n + UNIT - 1) / UNIT; i++)
			if ((e.fill[i] = x->fill[c.off / UNIT + i]) == 0)
				wrong("node %u sends of object %u what has not come yet", me, o);
		net.room[me][to] -= c.n;
		n->sent += c.n;
		n->out_free = end;
		e.kind = EV_SENT;
		at(end, &e);
		t = end + net.delay > net.node[to].in_free + took ? end + net.delay : net.node[to].in_free + took;
		if (t < net.last[me][to] + took)	/* never before what went before it */
			t = net.last[me][to] + took;
		net.node[to].in_free = net.last[me][to] = t;
		e.kind = EV_BEGIN;
		at(t - took * 9 / 10, &e);
		e.kind = EV_END;
		at(t, &e);
	}
}

static void
copy_gone(unsigned me, unsigned o)		/* it made room, or was told to */
{
	struct copy *c = &net.node[me].copy[o];
	uint64_t stamp = c->form.stamp;

	copy_free(&net.node[me], c);
	transfer_do(me, &(struct transfer_in){ .kind = TRANSFER_DROPPED, .id = net.id[o], .stamp = stamp });
}

static void
pulled(unsigned me, const struct transfer_fx *fx)
{
	unsigned o = object_of(fx->id);
	struct copy *c = &net.node[me].copy[o];

	if (c->state != COPY_ROOM || c->ticket != fx->ticket || c->writers || c->form.stamp != fx->form.stamp)
		wrong("node %u: object %u is done without room", me, o);
	for (uint64_t i = 0; c->fill && i < (c->form.bytes + UNIT - 1) / UNIT; i++)
		if (c->fill[i] != c->form.stamp)
			wrong("node %u: unit %u of object %u is not what it should be", me, (unsigned)i, o);
	c->state = COPY_WHOLE;
	c->told = true;
	net.node[me].done[o] = net.now;
}

static void
reserve(unsigned me, const struct transfer_fx *fx)
{
	unsigned o = object_of(fx->id);
	struct node *n = &net.node[me];
	struct copy *c = &n->copy[o];
	int code = 0;

	if (c->state == COPY_WHOLE)		/* an earlier making, that its owner's node has not told us to drop yet */
		copy_gone(me, o);
	if (c->state != COPY_NONE)
		wrong("node %u: room for object %u a second time", me, o);
	if (n->store - n->used < fx->form.bytes) {
		code = ERR_FULL;
	} else {
		*c = (struct copy){ .state = COPY_ROOM, .form = fx->form, .ticket = fx->ticket };
		c->fill = calloc((fx->form.bytes + UNIT - 1) / UNIT, sizeof *c->fill);
		n->used += fx->form.bytes;
		n->rooms[o]++;
	}
	at(net.now + draw(3) * MS, &(struct event){ .kind = EV_STEP, .from = me, .to = me,
	    .in = { .kind = TRANSFER_RESERVED, .id = fx->id, .ticket = fx->ticket, .code = code } });
}

static void	broken(unsigned a, unsigned b, uint64_t until);

static void
lost(unsigned me, unsigned o)
{
	for (unsigned k = 0; k < net.n; k++)
		if (net.node[k].alive && net.node[k].copy[o].state == COPY_WHOLE && net.node[k].copy[o].told && !net.freed[o])
			wrong("object %u is not lost: node %u has it", o, k);
	net.lost(me, o);
}

static void
effect_of(unsigned me, const struct transfer_fx *fx, const struct buf *bytes)
{
	static const char *const word[] = { "send", "reserve", "unreserve", "done", "failed", "open", "close", "drop", "primary", "lost", "break" };
	struct node *n = &net.node[me];
	unsigned o = fx->id.seq ? object_of(fx->id) : 0;
	struct copy *c = &n->copy[o];

	if (fx->kind != TRANSFER_SEND)
		trace("object %u, node %u: %s, stamp %llx %s", o, me, word[fx->kind], (unsigned long long)fx->stamp, fx->text);
	switch (fx->kind) {
	case TRANSFER_SEND:
		send_frame(me, fx, bytes);
		break;
	case TRANSFER_RESERVE:
		reserve(me, fx);
		break;
	case TRANSFER_UNRESERVE:
		if (c->state == COPY_ROOM && c->ticket == fx->ticket)
			copy_free(n, c);
		break;
	case TRANSFER_DONE:
		pulled(me, fx);
		break;
	case TRANSFER_FAILED:
		n->failed[o] = true;
		if (fx->text[0] == '\0')
			wrong("node %u: object %u failed without a reason", me, o);
		break;
	case TRANSFER_OPEN:
		c->pinned = c->state == COPY_WHOLE;
		transfer_do(me, &(struct transfer_in){ .kind = TRANSFER_OPENED, .id = fx->id,
		    .form = c->state == COPY_WHOLE ? c->form : (struct form){ 0 } });
		break;
	case TRANSFER_DROP:
		if (c->state == COPY_WHOLE && (fx->stamp == 0 || fx->stamp == c->form.stamp)) {
			n->wants[o] = false;	/* who looks for it again asks again */
			copy_gone(me, o);
		}
		break;
	case TRANSFER_LOST:
		lost(me, o);
		break;
	case TRANSFER_BREAK:
		broken(me, index_of(fx->node), net.now + 10 * MS);
		break;
	case TRANSFER_CLOSE:
		c->pinned = false;
		break;
	case TRANSFER_PRIMARY:
		break;
	}
}

static void
transfer_do(unsigned me, const struct transfer_in *in)
{
	struct node *n = &net.node[me];
	struct transfer_out out = { 0 };
	int e = transfer_step(&n->t, net.now, in, &out);

	if (in->kind == TRANSFER_FRAME && in->type != MSG_CHUNK_ASK_T)
		trace("node %u: %s from node %u: %d", me, msg_name(in->type), in->node - 1, e);
	if (e != 0 || (e = places_check(&n->t.places)) != 0 || (e = pull_check(&n->t.pull)) != 0 || (e = feed_check(&n->t.feed)) != 0)
		wrong("node %u, step %d: %d", me, in->kind, e);
	for (size_t i = 0; i < out.n; i++)
		effect_of(me, &out.fx[i], &out.bytes);
	if (out.at && out.at != n->tick_at)
		at(n->tick_at = out.at, &(struct event){ .kind = EV_TICK, .to = me });
	free(out.fx);
	buf_release(&out.bytes);
	send_chunks(me);
}

/* --- the network --- */

/* all that was under way for bulk between a and b is lost; sessions go on at `until` */
static void
broken(unsigned a, unsigned b, uint64_t until)
{
	unsigned pair[2] = { a, b };

	for (int i = 0; i < 2; i++) {
		unsigned me = pair[i], other = pair[!i];

		net.epoch[me][other]++;
		net.last[me][other] = 0;
		if (net.node[me].out_free > net.now)	/* what it had still to send there is not sent */
			net.node[me].out_free = net.now;
		if (net.node[me].in_free > net.now)
			net.node[me].in_free = net.now;
		net.room[me][other] = SOCKET;
		if (until > net.up_at[me][other])
			net.up_at[me][other] = until;
	}
	for (int i = 0; i < 2; i++) {
		unsigned me = pair[i], other = pair[!i];

		if (!net.node[me].alive)
			continue;
		for (unsigned o = 0; o < OBJECTS; o++) {	/* what it was writing broke off */
			struct pull_peer *e = map_get(&net.node[me].t.pull.peers, other + 1);

			if (e && e->room && object_of(e->room->id) == o && net.node[me].copy[o].ticket == e->room->ticket)
				net.node[me].copy[o].writers--;
		}
		transfer_do(me, &(struct transfer_in){ .kind = TRANSFER_BROKEN, .node = other + 1 });
		if (net.node[other].alive)
			at(net.up_at[me][other], &(struct event){ .kind = EV_UP, .to = me, .from = other, .epoch = net.epoch[me][other] + 1 });
	}
}

static void
hear_of_death(unsigned what)			/* listener * NODES + dead */
{
	unsigned me = what / NODES, dead = what % NODES;
	struct idmap_iter it = IDMAP_ITER;

	if (!net.node[me].alive || net.node[me].told[dead])
		return;
	broken(me, dead, UINT64_MAX >> 19);
	net.node[me].told[dead] = true;
	transfer_do(me, &(struct transfer_in){ .kind = TRANSFER_GONE, .node = dead + 1 });
	while (idmap_next(&net.node[me].t.places.objects, &it))	/* it may have been made again there */
		if (((struct places_object *)it.val)->lost)
			net.lost(me, object_of(it.key));
}

static void
node_end(struct node *n)
{
	transfer_release(&n->t);
	for (unsigned o = 0; o < OBJECTS; o++)
		free(n->copy[o].fill);
	memset(n->copy, 0, sizeof n->copy);
}

static void
die(unsigned dead)
{
	if (!net.node[dead].alive)
		return;
	trace("node %u dies", dead);
	net.node[dead].alive = false;
	node_end(&net.node[dead]);
	for (unsigned k = 0; k < net.n; k++)
		if (k != dead) {
			if (draw(2))
				broken(k, dead, net.now + 4000 * MS);
			user_at(net.now + (1 + draw(3000)) * MS, hear_of_death, k * NODES + dead);
		}
}

static void
chunk_comes(struct event *e)
{
	struct node *n = &net.node[e->to];
	unsigned o = object_of(e->chunk.id);
	struct copy *c = &n->copy[o];
	struct pull_peer *p = map_get(&n->t.pull.peers, e->from + 1);
	unsigned char head[CHUNK_HEAD_MAX];
	struct chunk k;
	uint64_t ticket;

	if (e->kind == EV_BEGIN) {
		chunk_pack(head, &(struct chunk){ e->chunk.id, e->chunk.stamp, e->chunk.off, (uint32_t)e->chunk.n });
		if (chunk_parse(&k, head, sizeof head) <= 0)
			wrong("the head of a chunk is not what it was");
		if (!transfer_begin(&n->t, e->from + 1, &k, &ticket)) {
			n->wasted += e->chunk.n;
			return;
		}
		if (c->state != COPY_ROOM || c->ticket != ticket)
			wrong("node %u: a chunk of object %u is written where no room is", e->to, o);
		c->writers++;
		return;
	}
	if (p == NULL || p->room == NULL)
		return;				/* it was passed over */
	if (c->state == COPY_ROOM && c->ticket == p->room->ticket) {
		for (uint64_t i = 0; i < (e->chunk.n + UNIT - 1) / UNIT; i++)
			c->fill[e->chunk.off / UNIT + i] = e->fill[i];
		c->writers--;
		n->got += e->chunk.n;
		n->taken[o] += e->chunk.n;
	}
	transfer_do(e->to, &(struct transfer_in){ .kind = TRANSFER_CHUNK, .node = e->from + 1 });
}

static void
frame_comes(struct event *e)
{
	struct frame f;
	struct msg_place_has m;

	if (frame_parse(&f, e->frame, e->n, FRAME_MAX) != (ssize_t)e->n) {
		wrong("a frame is not what it was");
		return;
	}
	if (f.type == MSG_PLACE_HAS_T && msg_get_place_has(&m, f.body, f.len) == 0)
		net.node[e->from].copy[object_of(m.id)].told = true;
	if (e->epoch)
		transfer_do(e->to, &(struct transfer_in){ .kind = TRANSFER_ROOM, .node = e->from + 1, .bytes = net.room[e->to][e->from] });
	transfer_do(e->to, &(struct transfer_in){ .kind = TRANSFER_FRAME, .node = e->from + 1, .type = f.type, .body = span_of(f.body, f.len) });
}

static void
happen(struct event *e)
{
	struct node *n = &net.node[e->to];

	if (e->kind == EV_USER) {
		e->user(e->from);
		return;
	}
	if (e->kind == EV_TICK) {
		if (n->alive && n->tick_at <= net.now) {
			n->tick_at = 0;
			transfer_do(e->to, &(struct transfer_in){ .kind = TRANSFER_TICK });
		}
		return;
	}
	if (!n->alive || (e->from != e->to && n->told[e->from]))
		return;
	if (e->kind == EV_UP) {
		if (e->epoch == net.epoch[e->to][e->from] + 1 && net.node[e->from].alive)
			transfer_do(e->to, &(struct transfer_in){ .kind = TRANSFER_UP, .node = e->from + 1 });
		return;
	}
	if (e->epoch && e->epoch != net.epoch[e->from][e->to] + 1)
		return;
	if (e->kind == EV_FRAME)
		frame_comes(e);
	else if (e->kind == EV_STEP)
		transfer_do(e->to, &e->in);
	else if (e->kind != EV_SENT)
		chunk_comes(e);
}

/* Runs until nothing is to happen any more, at most to `until`. */
static void
run(uint64_t until)
{
	struct heap_node *h;

	while (net.fine && (h = heap_top(&net.events)) != NULL && h->at >> 18 <= until) {
		struct event *e = (struct event *)(void *)((char *)h - offsetof(struct event, timer));

		heap_del(&net.events, h);
		net.now = h->at >> 18;
		if (e->kind == EV_SENT && net.node[e->from].alive && e->epoch == net.epoch[e->from][e->to] + 1) {
			net.room[e->from][e->to] += e->chunk.n;
			transfer_do(e->from, &(struct transfer_in){ .kind = TRANSFER_ROOM, .node = e->to + 1, .bytes = net.room[e->from][e->to] });
		} else {
			happen(e);
		}
		free(e->frame);
		free(e);
	}
}

static void
begin(uint64_t seed, unsigned n, uint64_t rate, uint64_t delay, uint64_t store, uint64_t budget)
{
	memset(&net, 0, sizeof net);
	net.seed = seed;
	net.n = n;
	net.rate = rate;
	net.delay = delay;
	net.fine = true;
	for (unsigned i = 0; i < n; i++) {
		struct node *x = &net.node[i];

		x->alive = true;
		x->store = store;
		transfer_init(&x->t, i + 1, budget);
		for (unsigned k = 0; k < n; k++)
			net.room[i][k] = SOCKET;
	}
}

static void
end(void)
{
	while (net.events.len) {
		struct heap_node *h = heap_top(&net.events);

		heap_del(&net.events, h);
		free(((struct event *)(void *)((char *)h - offsetof(struct event, timer)))->frame);
		free((char *)h - offsetof(struct event, timer));
	}
	heap_release(&net.events);
	for (unsigned i = 0; i < net.n; i++)
		if (net.node[i].alive)
			node_end(&net.node[i]);
}

/* --- what a test does --- */

static void
made(unsigned node, unsigned owner, unsigned o, uint64_t bytes)
{
	struct copy *c = &net.node[node].copy[o];
	struct form f = { .bytes = bytes, .stamp = (uint64_t)(node + 1) << 32 | ++net.stamps, .size = bytes - bytes / 4, .headlen = 10,
	    .nbuf = 2 };

	net.id[o] = id_make(owner + 1, 1, o + 1, 0);
	if (c->state == COPY_WHOLE)
		copy_gone(node, o);
	*c = (struct copy){ .state = COPY_WHOLE, .form = f };
	c->fill = calloc((bytes + UNIT - 1) / UNIT, sizeof *c->fill);
	for (uint64_t i = 0; i < (bytes + UNIT - 1) / UNIT; i++)
		c->fill[i] = f.stamp;
	net.node[node].used += bytes;
	transfer_do(node, &(struct transfer_in){ .kind = TRANSFER_HAVE, .id = net.id[o], .form = f });
	if (node == owner)
		c->told = true;
}

static void
want(unsigned node, unsigned o, enum pull_priority priority, uint64_t guess)
{
	net.node[node].wants[o] = true;
	net.node[node].failed[o] = false;
	transfer_do(node, &(struct transfer_in){ .kind = TRANSFER_WANT, .id = net.id[o], .form.bytes = guess, .priority = priority });
}

#endif
