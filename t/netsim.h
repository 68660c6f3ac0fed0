/*
 * netsim.h - nodes that have objects and pull them from each other, in virtual time: places, pull and feed of each, joined as
 * the link threads of a cluster join them.  One seed, one course of events.
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
#include "core/feed.h"
#include "core/places.h"
#include "core/pull.h"

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
	bool told;				/* that it was made here: its owner's node knows, or it was pulled */
};

struct node {
	bool alive;
	struct places places;
	struct pull_core pull;
	struct feed feed;
	struct copy copy[OBJECTS];
	uint64_t store, used;			/* bytes of room */
	uint64_t out_free, in_free;		/* when its sides are free again */
	uint64_t sent, got, wasted;		/* bytes of chunks: sent, taken, passed over */
	uint64_t taken[OBJECTS];		/* of each object */
	unsigned rooms[OBJECTS];		/* reservations that were granted */
	bool wants[OBJECTS], failed[OBJECTS];
	uint64_t done[OBJECTS];			/* when it had all */
	bool told[NODES];			/* knows that this one is dead */
	uint64_t pull_at, feed_at;
};

enum event_kind { EV_PLACES, EV_PULL, EV_FEED, EV_BEGIN, EV_END, EV_SENT, EV_UP, EV_PULL_TICK, EV_FEED_TICK, EV_USER };

struct event {
	struct heap_node timer;
	enum event_kind kind;
	unsigned from, to, epoch;		/* epoch: of the connection, for what is lost with it; 0: of a session */
	union {
		struct places_in places;
		struct pull_in pull;
		struct feed_in feed;
	} in;
	struct feed_chunk chunk;
	uint64_t fill[PULL_CHUNK_MAX / UNIT];
	void (*user)(unsigned what);
};

static struct net {
	uint64_t seed, now, serial, rate, delay;	/* rate: bytes a second */
	struct heap events;
	unsigned n, epoch[NODES][NODES];
	uint64_t room[NODES][NODES], up_at[NODES][NODES];
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

static void	places_do(unsigned me, const struct places_in *in);
static void	pull_do(unsigned me, const struct pull_in *in);
static void	feed_do(unsigned me, const struct feed_in *in);

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
to_places(unsigned me, unsigned owner, const struct places_in *in)
{
	at(reach(me, owner), &(struct event){ .kind = EV_PLACES, .from = me, .to = owner, .in.places = *in });
}

static void
to_bulk(unsigned me, unsigned to, const struct event *like)
{
	struct event e = *like;

	e.from = me;
	e.to = to;
	e.epoch = net.epoch[me][to] + 1;
	if (net.node[me].alive && net.up_at[me][to] <= net.now)
		at(net.now + net.delay, &e);
}

static void
send_chunks(unsigned me)
{
	struct node *n = &net.node[me];
	struct feed_chunk c;

	while (feed_next(&n->feed, &c)) {
		unsigned to = index_of(c.node), o = object_of(c.id);
		uint64_t start = n->out_free > net.now ? n->out_free : net.now, end = start + c.n * 1000000000 / net.rate, t;
		struct event e = { .from = me, .to = to, .epoch = net.epoch[me][to] + 1, .chunk = c };
		struct copy *x = &n->copy[o];

		if (x->state == COPY_NONE || x->form.stamp != c.stamp)
			wrong("node %u sends of object %u what it has not", me, o);
		for (uint64_t i = 0; x->fill && i < (c.n + UNIT - 1) / UNIT; i++)
			if ((e.fill[i] = x->fill[c.off / UNIT + i]) == 0)
				wrong("node %u sends of object %u what has not come yet", me, o);
		net.room[me][to] -= c.n;
		n->sent += c.n;
		n->out_free = end;
		e.kind = EV_SENT;
		at(end, &e);
		t = end + net.delay > net.node[to].in_free + c.n * 1000000000 / net.rate ? end + net.delay :
		    net.node[to].in_free + c.n * 1000000000 / net.rate;
		net.node[to].in_free = t;
		e.kind = EV_BEGIN;
		at(t - c.n * 1000000000 / net.rate * 9 / 10, &e);
		e.kind = EV_END;
		at(t, &e);
	}
}

static void
feed_has(unsigned me, unsigned o, uint64_t have)
{
	const struct form *f = &net.node[me].copy[o].form;

	feed_do(me, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = net.id[o], .stamp = f->stamp, .bytes = f->bytes, .have = have });
}

static void
feed_do(unsigned me, const struct feed_in *in)
{
	struct node *n = &net.node[me];
	struct feed_out out = { 0 };
	int e = feed_step(&n->feed, net.now, in, &out);

	net.steps++;
	if (e != 0 || (e = feed_check(&n->feed)) != 0)
		wrong("feed of node %u: %d", me, e);
	for (size_t i = 0; i < out.n; i++) {
		const struct feed_fx *fx = &out.fx[i];
		unsigned o = object_of(fx->id);
		const struct pull *p = pull_find(&n->pull, fx->id);

		if (fx->kind == FEED_FX_REFUSE)
			to_bulk(me, index_of(fx->node), &(struct event){ .kind = EV_PULL, .in.pull = {
			    .kind = PULL_IN_REFUSED, .id = fx->id, .node = me + 1, .stamp = fx->stamp } });
		else if (fx->kind == FEED_FX_OPEN && n->copy[o].state == COPY_WHOLE)
			feed_has(me, o, UINT64_MAX);
		else if (fx->kind == FEED_FX_OPEN && p && p->reserved)
			feed_has(me, o, p->have);
		else if (fx->kind == FEED_FX_OPEN)
			feed_do(me, &(struct feed_in){ .kind = FEED_IN_GONE, .id = fx->id });
	}
	if (out.at && out.at != n->feed_at)
		at(n->feed_at = out.at, &(struct event){ .kind = EV_FEED_TICK, .to = me });
	free(out.fx);
	send_chunks(me);
}

static void
copy_gone(unsigned me, unsigned o)		/* made room, or was told to */
{
	copy_free(&net.node[me], &net.node[me].copy[o]);
	feed_do(me, &(struct feed_in){ .kind = FEED_IN_GONE, .id = net.id[o] });
}

static void
pulled(unsigned me, const struct pull_fx *fx)
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
	to_places(me, index_of(fx->node), &(struct places_in){ .kind = PLACES_IN_PULLED, .id = fx->id, .node = me + 1, .form = fx->form });
}

static void
reserve(unsigned me, const struct pull_fx *fx)
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
	at(net.now + draw(3) * MS, &(struct event){ .kind = EV_PULL, .from = me, .to = me,
	    .in.pull = { .kind = PULL_IN_RESERVED, .id = fx->id, .ticket = fx->ticket, .code = code } });
}

static void	broken(unsigned a, unsigned b, uint64_t until);

static void
pull_fx(unsigned me, const struct pull_fx *fx)
{
	struct node *n = &net.node[me];
	unsigned o = object_of(fx->id), to = fx->node ? index_of(fx->node) : me;
	struct places_in p = { .id = fx->id, .node = me + 1, .stamp = fx->form.stamp, .have = fx->have, .not = fx->not };
	static const char *const word[] = { "want", "reserve", "unreserve", "ask", "stop", "break", "have", "progress", "quit", "done", "failed" };

	if (fx->kind != PULL_FX_ASK && fx->kind != PULL_FX_HAVE)
		trace("object %u, node %u: %s, to node %u, stamp %llx, %llu bytes there, not from %u %s", o, me, word[fx->kind], to,
		    (unsigned long long)fx->form.stamp, (unsigned long long)fx->have, fx->not - 1, fx->text);
	switch (fx->kind) {
	case PULL_FX_WANT:
		p.kind = PLACES_IN_WANT;
		to_places(me, to, &p);
		break;
	case PULL_FX_PROGRESS:
		p.kind = PLACES_IN_PROGRESS;
		to_places(me, to, &p);
		break;
	case PULL_FX_QUIT:
		p.kind = PLACES_IN_DROPPED;
		p.stamp = 0;
		to_places(me, to, &p);
		break;
	case PULL_FX_RESERVE:
		reserve(me, fx);
		break;
	case PULL_FX_UNRESERVE:
		if (n->copy[o].state == COPY_ROOM && n->copy[o].ticket == fx->ticket)
			copy_gone(me, o);
		break;
	case PULL_FX_ASK:
		to_bulk(me, to, &(struct event){ .kind = EV_FEED, .in.feed = { .kind = FEED_IN_ASK, .node = me + 1, .id = fx->id,
		    .stamp = fx->form.stamp, .off = fx->off, .n = fx->n, .priority = fx->priority } });
		break;
	case PULL_FX_STOP:
		to_bulk(me, to, &(struct event){ .kind = EV_FEED, .in.feed = { .kind = FEED_IN_STOP, .node = me + 1, .id = fx->id } });
		break;
	case PULL_FX_BREAK:
		broken(me, to, net.now + 10 * MS);
		break;
	case PULL_FX_HAVE:
		feed_has(me, o, fx->have);
		break;
	case PULL_FX_DONE:
		pulled(me, fx);
		break;
	case PULL_FX_FAILED:
		n->failed[o] = true;
		if (fx->text[0] == '\0')
			wrong("node %u: object %u failed without a reason", me, o);
		break;
	}
}

static void
pull_did(unsigned me, struct pull_out *out, int e)
{
	struct node *n = &net.node[me];

	net.steps++;
	if ((e != 0 && e != ERR_FULL) || (e = pull_check(&n->pull)) > 0)
		wrong("pull of node %u: %d", me, e);
	for (size_t i = 0; i < out->n; i++)
		pull_fx(me, &out->fx[i]);
	if (out->at && out->at != n->pull_at)
		at(n->pull_at = out->at, &(struct event){ .kind = EV_PULL_TICK, .to = me });
	free(out->fx);
}

static void
pull_do(unsigned me, const struct pull_in *in)
{
	struct pull_out out = { 0 };
	int e = pull_step(&net.node[me].pull, net.now, in, &out);

	pull_did(me, &out, e);
}

static void
places_do(unsigned me, const struct places_in *in)
{
	struct node *n = &net.node[me];
	struct places_out out = { 0 };
	int e = places_step(&n->places, in, &out);

	net.steps++;
	if (e != 0 || (e = places_check(&n->places)) != 0)
		wrong("places of node %u: %d", me, e);
	if (in->kind != PLACES_IN_PROGRESS)
		trace("object %u, places at node %u: in %d, node %u", object_of(in->id), me, in->kind, in->node - 1);
	for (size_t i = 0; i < out.n; i++) {
		const struct places_fx *fx = &out.fx[i];
		unsigned to = index_of(fx->node), o = object_of(fx->id);
		struct event ev = { .kind = EV_PULL, .from = me, .to = to };
		static const char *const word[] = { "source", "drop", "primary", "lost" };

		trace("object %u, places at node %u: %s, node %u, source %u, stamp %llx", o, me, word[fx->kind], to, fx->source - 1,
		    (unsigned long long)fx->form.stamp);
		switch (fx->kind) {
		case PLACES_FX_SOURCE:
			ev.in.pull = (struct pull_in){ .kind = PULL_IN_SOURCE, .id = fx->id, .node = fx->source, .extra = fx->extra, .form = fx->form };
			at(reach(me, to), &ev);
			break;
		case PLACES_FX_DROP:
			ev.in.pull = (struct pull_in){ .kind = PULL_IN_DROP, .id = fx->id, .stamp = fx->form.stamp, .code = fx->code, .text = fx->text };
			at(reach(me, to), &ev);
			break;
		case PLACES_FX_PRIMARY:
			break;
		case PLACES_FX_LOST:
			for (unsigned k = 0; k < net.n; k++)
				if (net.node[k].alive && net.node[k].copy[o].state == COPY_WHOLE && net.node[k].copy[o].told &&
				    !net.freed[o])
					wrong("object %u is not lost: node %u has it", o, k);
			net.lost(me, o);
			break;
		}
	}
	free(out.fx);
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
		net.room[me][other] = SOCKET;
		if (until > net.up_at[me][other])
			net.up_at[me][other] = until;
	}
	for (int i = 0; i < 2; i++) {
		unsigned me = pair[i], other = pair[!i];

		if (!net.node[me].alive)
			continue;
		for (unsigned o = 0; o < OBJECTS; o++) {	/* what it was writing broke off */
			struct pull_peer *e = map_get(&net.node[me].pull.peers, other + 1);

			if (e && e->room && object_of(e->room->id) == o && net.node[me].copy[o].ticket == e->room->ticket)
				net.node[me].copy[o].writers--;
		}
		pull_do(me, &(struct pull_in){ .kind = PULL_IN_BROKEN, .node = other + 1 });
		feed_do(me, &(struct feed_in){ .kind = FEED_IN_BROKEN, .node = other + 1 });
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
	pull_do(me, &(struct pull_in){ .kind = PULL_IN_GONE, .node = dead + 1 });
	places_do(me, &(struct places_in){ .kind = PLACES_IN_GONE, .node = dead + 1 });
	while (idmap_next(&net.node[me].places.objects, &it))	/* it may have been made again there */
		if (((struct places_object *)it.val)->lost)
			net.lost(me, object_of(it.key));
}

static void
node_end(struct node *n)
{
	places_release(&n->places);
	pull_release(&n->pull);
	feed_release(&n->feed);
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
	struct pull_peer *p = map_get(&n->pull.peers, e->from + 1);
	uint64_t ticket;

	if (e->kind == EV_BEGIN) {
		if (!pull_begin(&n->pull, e->from + 1, e->chunk.id, e->chunk.stamp, e->chunk.off, e->chunk.n, &ticket)) {
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
	pull_do(e->to, &(struct pull_in){ .kind = PULL_IN_CHUNK, .node = e->from + 1 });
}

/* what a node's owner tells it: it may have the object whole already */
static void
told_drop(unsigned me, const struct pull_in *in)
{
	unsigned o = object_of(in->id);
	struct copy *c = &net.node[me].copy[o];

	if (c->state == COPY_WHOLE && (in->stamp == 0 || in->stamp == c->form.stamp)) {
		to_places(me, index_of(in->id.node), &(struct places_in){ .kind = PLACES_IN_DROPPED, .id = in->id, .node = me + 1,
		    .stamp = c->form.stamp });
		net.node[me].wants[o] = false;	/* who looks for it again asks again */
		copy_gone(me, o);
	}
}

static void
happen(struct event *e)
{
	struct node *n = &net.node[e->to];

	if (e->kind == EV_USER) {
		e->user(e->from);
		return;
	}
	if (!n->alive || (e->from != e->to && n->told[e->from] && e->kind != EV_PULL_TICK && e->kind != EV_FEED_TICK))
		return;
	if (e->epoch && e->epoch != net.epoch[e->from][e->to] + 1 && e->kind != EV_UP)
		return;
	switch (e->kind) {
	case EV_PLACES:
		if (e->in.places.kind == PLACES_IN_MADE)
			net.node[e->from].copy[object_of(e->in.places.id)].told = true;
		places_do(e->to, &e->in.places);
		break;
	case EV_PULL:
		if (e->in.pull.kind == PULL_IN_DROP)
			told_drop(e->to, &e->in.pull);
		pull_do(e->to, &e->in.pull);
		break;
	case EV_FEED:
		feed_do(e->to, &(struct feed_in){ .kind = FEED_IN_ROOM, .node = e->from + 1, .n = net.room[e->to][e->from] });
		feed_do(e->to, &e->in.feed);
		break;
	case EV_BEGIN:
	case EV_END:
		chunk_comes(e);
		break;
	case EV_SENT:
		break;
	case EV_UP:
		if (e->epoch == net.epoch[e->to][e->from] + 1 && net.node[e->from].alive)
			pull_do(e->to, &(struct pull_in){ .kind = PULL_IN_UP, .node = e->from + 1 });
		break;
	case EV_PULL_TICK:
		if (n->pull_at <= net.now) {
			n->pull_at = 0;
			pull_do(e->to, &(struct pull_in){ .kind = PULL_IN_TICK });
		}
		break;
	default:
		if (n->feed_at <= net.now) {
			n->feed_at = 0;
			feed_do(e->to, &(struct feed_in){ .kind = FEED_IN_TICK });
		}
		break;
	}
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
			feed_do(e->from, &(struct feed_in){ .kind = FEED_IN_ROOM, .node = e->to + 1, .n = net.room[e->from][e->to] });
		} else {
			happen(e);
		}
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
		places_init(&x->places);
		pull_init(&x->pull, i + 1, budget);
		feed_init(&x->feed);
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
	to_places(node, owner, &(struct places_in){ .kind = PLACES_IN_MADE, .id = net.id[o], .node = node + 1, .form = f });
}

static void
want(unsigned node, unsigned o, enum pull_priority priority, uint64_t guess)
{
	net.node[node].wants[o] = true;
	net.node[node].failed[o] = false;
	pull_do(node, &(struct pull_in){ .kind = PULL_IN_WANT, .id = net.id[o], .owner = net.id[o].node, .form.bytes = guess,
	    .priority = priority });
}

#endif
