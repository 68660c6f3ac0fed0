/*
 * pull.c - what peers may say about objects: the three deciders of transfers, and the head of a chunk
 */
#include "../fuzz.h"
#include "base/err.h"
#include "core/feed.h"
#include "core/places.h"
#include "core/pull.h"
#include "wire/chunk.h"

enum { NODES = 6, IDS = 4, LIMIT = 20000 };
#define BUDGET (UINT64_C(4) << 20)

struct room {				/* what was reserved and not given back */
	uint64_t ticket, bytes;
};

static struct pull_core pull;
static struct places places;
static struct feed feed;
static struct room rooms[64];
static uint64_t now;

static uint64_t
number(struct fuzz *f)			/* small, round, or anything */
{
	unsigned k = (unsigned)fuzz_int(f, 1);

	if (k < 128)
		return k & 7;
	return k < 240 ? (uint64_t)(k & 15) << 16 : fuzz_int(f, 8);
}

static struct id
id_of(struct fuzz *f)
{
	return (struct id){ 2, 1, fuzz_int(f, 1) % IDS + 1 };
}

static struct form
form_of(struct fuzz *f)
{
	uint64_t bytes = number(f);

	return (struct form){ .bytes = bytes, .stamp = number(f), .size = bytes / 2, .nbuf = (uint16_t)(bytes > 100 ? 2 : 0) };
}

static struct room *
room_find(uint64_t ticket)
{
	unsigned i = 0;

	while (i < 63 && rooms[i].ticket != ticket)
		i++;
	return &rooms[i];
}

static void
pull_effects(struct pull_out *o)
{
	uint64_t sum = 0, many = 0;

	for (size_t i = 0; i < o->n; i++) {
		const struct pull_fx *fx = &o->fx[i];

		if (fx->kind == PULL_FX_RESERVE) {
			fuzz_must(form_good(&fx->form));
			*room_find(0) = (struct room){ fx->ticket, fx->form.bytes };
		}
		if (fx->kind == PULL_FX_UNRESERVE || fx->kind == PULL_FX_DONE) {
			fuzz_must(room_find(fx->ticket)->ticket == fx->ticket);
			*room_find(fx->ticket) = (struct room){ 0 };
		}
		if (fx->kind == PULL_FX_ASK)
			fuzz_must(fx->n > 0 && fx->n <= PULL_CHUNK_MAX && fx->off < fx->form.bytes && fx->n <= fx->form.bytes - fx->off);
	}
	for (unsigned i = 0; i < 64; i++) {
		sum += rooms[i].bytes;
		many += rooms[i].ticket != 0;
	}
	/* given up ones may still be written to, a chunk for each node */
	fuzz_must(many <= IDS + NODES && (sum <= BUDGET || many <= 1 + NODES));
	free(o->fx);
}

static void
pull_one(struct fuzz *f)
{
	struct pull_in in = { .kind = (enum pull_in_kind)(fuzz_int(f, 1) % (PULL_IN_TICK + 1)), .id = id_of(f), .owner = 2,
	    .node = (uint32_t)(fuzz_int(f, 1) % NODES) };
	struct pull_out o = { 0 };
	int e;

	if (in.kind == PULL_IN_SOURCE || in.kind == PULL_IN_WANT)
		in.form = form_of(f);
	if (in.kind == PULL_IN_SOURCE)
		in.extra = fuzz_int(f, 1) & 1;
	if (in.kind == PULL_IN_DROP || in.kind == PULL_IN_REFUSED)
		in.stamp = number(f);
	if (in.kind == PULL_IN_WANT)
		in.priority = (enum pull_priority)(fuzz_int(f, 1) % 4);
	if (in.kind == PULL_IN_RESERVED) {		/* ours: of one that was asked for; a failed one is none any more */
		const struct pull *p = pull_find(&pull, in.id);

		in.ticket = p && p->room ? p->room->ticket : number(f);
		in.code = fuzz_int(f, 1) & 1 ? 0 : ERR_FULL;
		if (in.code && p && p->room && !p->reserved)
			*room_find(in.ticket) = (struct room){ 0 };
	}
	e = pull_step(&pull, now, &in, &o);
	fuzz_must(e == 0 || e == ERR_FULL || e == ERR_PROTO);
	pull_effects(&o);
}

static void
chunk_one(struct fuzz *f)
{
	uint64_t off = number(f), n = number(f), ticket = 0;
	uint32_t node = (uint32_t)(fuzz_int(f, 1) % NODES);
	struct id id = id_of(f);

	if (pull_begin(&pull, node, id, number(f), off, n, &ticket)) {
		const struct room *r = room_find(ticket);

		fuzz_must(r->ticket == ticket && ticket && n <= PULL_CHUNK_MAX && off < r->bytes && n <= r->bytes - off);
	}
}

static void
places_one(struct fuzz *f)
{
	struct places_in in = { .kind = (enum places_in_kind)(fuzz_int(f, 1) % (PLACES_IN_GONE + 1)), .id = id_of(f),
	    .node = (uint32_t)(fuzz_int(f, 1) % NODES + 1), .not = (uint32_t)(fuzz_int(f, 1) % NODES), .stamp = number(f), .have = number(f) };
	struct places_out o = { 0 };
	int e;

	if (in.kind == PLACES_IN_MADE || in.kind == PLACES_IN_PULLED)
		in.form = form_of(f);
	e = places_step(&places, &in, &o);
	fuzz_must((e == 0 || e == ERR_FULL || e == ERR_PROTO) && places_check(&places) == 0 && places.bytes <= LIMIT);
	for (size_t i = 0; i < o.n; i++)
		fuzz_must(o.fx[i].kind != PLACES_FX_SOURCE || (o.fx[i].source != o.fx[i].node && form_good(&o.fx[i].form)));
	free(o.fx);
}

static void
feed_one(struct fuzz *f)
{
	struct feed_in in = { .kind = (enum feed_in_kind)(fuzz_int(f, 1) % (FEED_IN_TICK + 1)), .node = (uint32_t)(fuzz_int(f, 1) % NODES),
	    .id = id_of(f), .stamp = number(f), .off = number(f), .n = number(f), .bytes = number(f), .have = number(f),
	    .priority = (unsigned)number(f) };
	struct feed_out o = { 0 };
	struct feed_chunk c;

	fuzz_must(feed_step(&feed, now, &in, &o) == 0 && feed_check(&feed) == 0);
	free(o.fx);
	while (fuzz_int(f, 1) & 1 && feed_next(&feed, &c)) {
		const struct feed_object *b = idmap_get(&feed.objects, c.id);

		fuzz_must(b && b->stamp == c.stamp && c.off <= b->have && c.n <= b->have - c.off && c.n <= PULL_CHUNK_MAX);
	}
	fuzz_must(feed_check(&feed) == 0);
}

static void
over(void)				/* all nodes are gone: nothing is left */
{
	for (uint32_t k = 0; k <= NODES; k++) {
		struct pull_out o = { 0 };
		struct places_out p = { 0 };
		struct feed_out q = { 0 };

		fuzz_must(pull_step(&pull, now, &(struct pull_in){ .kind = PULL_IN_GONE, .node = k }, &o) == 0);
		pull_effects(&o);
		fuzz_must(places_step(&places, &(struct places_in){ .kind = PLACES_IN_GONE, .node = k }, &p) == 0);
		free(p.fx);
		fuzz_must(feed_step(&feed, now, &(struct feed_in){ .kind = FEED_IN_BROKEN, .node = k }, &q) == 0);
		free(q.fx);
	}
	fuzz_must(pull.pulls.n == 0 && pull.bytes == 0 && pull.active == 0 && pull_check(&pull) == 0);
	for (unsigned i = 0; i < 64; i++)
		fuzz_must(rooms[i].ticket == 0);
	fuzz_must(places.bytes == 0 && places.objects.n == 0 && feed.peers.n == 0);
	pull_release(&pull);
	places_release(&places);
	feed_release(&feed);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct chunk c;
	ssize_t e = chunk_parse(&c, p, n);

	fuzz_must(e <= 0 || (size_t)e <= CHUNK_HEAD_MAX);
	pull_init(&pull, 1, BUDGET);
	pull.limit = LIMIT;
	places_init(&places);
	places.limit = LIMIT;
	feed_init(&feed);
	memset(rooms, 0, sizeof rooms);
	now = 1;
	while (f.n) {
		unsigned k = (unsigned)fuzz_int(&f, 1);

		now += (uint64_t)(k >> 4) * 100000000;
		switch (k & 7) {
		case 0: case 1: case 2: pull_one(&f); break;
		case 3: case 4: chunk_one(&f); break;
		case 5: places_one(&f); break;
		default: feed_one(&f);
		}
		fuzz_must(pull_check(&pull) == 0);
	}
	over();
}

void
fuzz_seeds(void)
{
	static const unsigned char transfer[] = {
		0, PULL_IN_WANT, 1, 3, 0x84, 1, 1, 1,
		0, PULL_IN_SOURCE, 1, 3, 0x84, 1, 0,
		0, PULL_IN_RESERVED, 1, 0, 1,
		3, 0, 0x81, 3, 1, 1,
		0, PULL_IN_CHUNK, 1, 3,
		3, 0x81, 0x81, 3, 1, 1,
		0, PULL_IN_BROKEN, 1, 3,
		0, PULL_IN_UP, 1, 3,
		5, PLACES_IN_MADE, 1, 3, 0, 0, 0, 0x84, 1,
		5, PLACES_IN_WANT, 1, 4, 0, 0, 0,
		5, PLACES_IN_GONE, 1, 3, 0, 0, 0,
		6, FEED_IN_ASK, 1, 1, 1, 0, 0x81, 0, 0, 0, 0,
		6, FEED_IN_OPENED, 1, 1, 1, 0, 0, 0x84, 0x82, 0, 0,
		6, FEED_IN_ROOM, 1, 1, 1, 0, 0x8f, 0, 0, 0, 1, 1, 0,
		0xf0, PULL_IN_TICK, 0, 0,
	};
	unsigned char head[CHUNK_HEAD_MAX];
	struct chunk c = { { 1, 2, 3 }, 4, 5, 6 };

	fuzz_seed(transfer, sizeof transfer);
	fuzz_seed(head, chunk_pack(head, &c));
}
