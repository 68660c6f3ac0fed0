/*
 * transfer.c - any messages of other nodes about objects, good and bad, to a node that pulls, feeds and knows places
 */
#include "../fuzz.h"
#include "base/err.h"
#include "core/transfer.h"
#include "wire/frame.h"
#include "wire/msg.h"

enum { NODES = 5, IDS = 4, ROOMS = 64, SELF = 2 };
#define BUDGET (UINT64_C(4) << 20)
#define LIMIT 30000u

static struct transfer t;
static struct transfer_out out;
static struct { uint64_t ticket, bytes; } rooms[ROOMS];
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
id_of(struct fuzz *f)			/* of an owner here, or of node 3 */
{
	unsigned k = (unsigned)fuzz_int(f, 1);

	return (struct id){ k & 1 ? SELF : 3, 1, k / 2 % IDS + 1 };
}

static unsigned
room_of(uint64_t ticket)
{
	unsigned i = 0;

	while (i < ROOMS - 1 && rooms[i].ticket != ticket)
		i++;
	return i;
}

static void
room_ends(uint64_t ticket)
{
	unsigned i = room_of(ticket);

	fuzz_must(ticket && rooms[i].ticket == ticket);
	rooms[i].ticket = rooms[i].bytes = 0;
}

static void
looked_at(void)				/* what came of a step */
{
	uint64_t sum = 0, many = 0;
	struct frame fr;

	for (size_t i = 0; i < out.n; i++) {
		const struct transfer_fx *fx = &out.fx[i];
		unsigned free_one = room_of(0);

		switch (fx->kind) {
		case TRANSFER_SEND:
			fuzz_must(fx->node != SELF && fx->at <= out.bytes.len && fx->n <= out.bytes.len - fx->at);
			fuzz_must(frame_parse(&fr, out.bytes.data + fx->at, fx->n, FRAME_HELLO_MAX) == (ssize_t)fx->n);
			break;
		case TRANSFER_RESERVE:
			fuzz_must(form_good(&fx->form) && fx->ticket && rooms[free_one].ticket == 0);
			rooms[free_one].ticket = fx->ticket;
			rooms[free_one].bytes = fx->form.bytes;
			break;
		case TRANSFER_UNRESERVE:
		case TRANSFER_DONE:
			room_ends(fx->ticket);
			break;
		case TRANSFER_FAILED:
			fuzz_must(fx->code < 0 && memchr(fx->text, 0, sizeof fx->text));
			break;
		default:
			break;
		}
	}
	for (unsigned i = 0; i < ROOMS; i++) {
		sum += rooms[i].bytes;
		many += rooms[i].ticket != 0;
	}
	fuzz_must(sum <= BUDGET || many <= 1 + NODES);		/* one that is larger, and those given up that are written to yet */
	fuzz_must(pull_check(&t.pull) == 0 && places_check(&t.places) == 0 && feed_check(&t.feed) == 0);
	fuzz_must(t.places.bytes <= LIMIT && t.pull.bytes <= LIMIT + 20000);
	out.n = out.bytes.len = 0;
}

static int
step(const struct transfer_in *in)
{
	int e = transfer_step(&t, now, in, &out);

	fuzz_must(e == 0 || e == ERR_PROTO || e == ERR_FULL);
	looked_at();
	return e;
}

static void
frame_in(uint32_t node, const struct buf *b)
{
	struct frame f;

	fuzz_must(frame_parse(&f, b->data, b->len, FRAME_MAX) == (ssize_t)b->len);
	step(&(struct transfer_in){ .kind = TRANSFER_FRAME, .node = node, .type = f.type, .body = span_of(f.body, f.len) });
}

#define PUT(name, ...) msg_put_##name(&b, &(struct msg_##name){ __VA_ARGS__ })
#define FORM .bytes = number(f), .stamp = number(f), .size = number(f), .headlen = fuzz_int(f, 1), .nbuf = fuzz_int(f, 1), .flags = 0

static void
message(struct fuzz *f)
{
	unsigned k = (unsigned)fuzz_int(f, 1);
	uint32_t node = (uint32_t)(k / 16 % NODES + 1);
	struct buf b = BUF_INIT;
	struct id id = id_of(f);
	const unsigned char *p;
	size_t n;

	if (node == SELF)
		node = 6;
	switch (k % 12) {
	case 0: PUT(pull_want, .id = id, .stamp = number(f), .have = number(f), .not = number(f)); break;
	case 1: PUT(pull_source, .id = id, .node = fuzz_int(f, 1) % 7, .extra = fuzz_int(f, 1) & 1, FORM); break;
	case 2: PUT(place_has, .id = id, .made = fuzz_int(f, 1) & 1, FORM); break;
	case 3: PUT(place_progress, .id = id, .stamp = number(f), .have = number(f)); break;
	case 4: PUT(place_dropped, .id = id, .stamp = number(f)); break;
	case 5: PUT(place_drop, .id = id, .stamp = number(f), .code = -(int64_t)number(f), .text = span_of(f->p, f->n < 300 ? f->n : 300)); break;
	case 6: PUT(place_primary, .id = id); break;
	case 7: PUT(chunk_ask, .id = id, .stamp = number(f), .off = number(f), .bytes = number(f), .priority = number(f)); break;
	case 8: PUT(chunk_refused, .id = id, .stamp = number(f), .code = -1); break;
	case 9: PUT(chunk_stop, .id = id); break;
	default:				/* any body */
		p = fuzz_bytes(f, k & 31, &n);
		step(&(struct transfer_in){ .kind = TRANSFER_FRAME, .node = node, .type = (uint16_t)(MSG_PULL_WANT_T + k % 13),
		    .body = span_of(p, n) });
		return;
	}
	frame_in(node, &b);
	buf_release(&b);
}

static void
ours(struct fuzz *f)			/* what this node itself does */
{
	static const enum transfer_in_kind kind[] = { TRANSFER_WANT, TRANSFER_WANT, TRANSFER_CANCEL, TRANSFER_HAVE, TRANSFER_DROPPED,
		TRANSFER_FREE, TRANSFER_RESERVED, TRANSFER_RESERVED, TRANSFER_OPENED, TRANSFER_ROOM, TRANSFER_CHUNK, TRANSFER_CHUNK,
		TRANSFER_BROKEN, TRANSFER_UP, TRANSFER_GONE, TRANSFER_TICK };
	unsigned k = (unsigned)fuzz_int(f, 1);
	struct transfer_in in = { .kind = kind[k & 15], .id = id_of(f), .node = 3 + (k >> 4) % 4, .priority = (enum pull_priority)(k >> 4) % 3 };
	const struct pull *p = pull_find(&t.pull, in.id);
	uint64_t bytes = number(f);

	in.form = (struct form){ .bytes = bytes, .stamp = number(f), .size = bytes / 2 };
	in.stamp = in.form.stamp;
	in.bytes = bytes;
	if (in.kind == TRANSFER_RESERVED) {
		if (p == NULL || p->room == NULL || p->reserved)
			return;
		in.ticket = p->room->ticket;
		in.code = k & 16 ? ERR_FULL : 0;
		if (in.code)
			room_ends(in.ticket);
	}
	if (in.kind == TRANSFER_GONE && in.node == 3)
		in.node = 4;			/* it owns half of all objects */
	step(&in);
}

static void
chunk(struct fuzz *f)
{
	struct chunk c = { .id = id_of(f), .stamp = number(f), .off = number(f) };
	uint64_t n = number(f), ticket = 0;
	struct feed_chunk s;

	c.bytes = n <= CHUNK_BYTES_MAX ? (uint32_t)n : CHUNK_BYTES_MAX;
	if (transfer_begin(&t, 3 + (uint32_t)fuzz_int(f, 1) % 4, &c, &ticket)) {
		unsigned i = room_of(ticket);

		fuzz_must(ticket && rooms[i].ticket == ticket && c.off < rooms[i].bytes && c.bytes <= rooms[i].bytes - c.off);
	}
	while (transfer_next(&t, &s))
		fuzz_must(s.n && s.n <= CHUNK_BYTES_MAX && s.node != SELF);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };

	transfer_init(&t, SELF, BUDGET);
	t.places.limit = t.pull.limit = LIMIT;
	memset(rooms, 0, sizeof rooms);
	now = 1;
	while (f.n) {
		unsigned k = (unsigned)fuzz_int(&f, 1);

		now += (uint64_t)(k >> 4) * 100000000;
		if ((k & 3) == 0)
			ours(&f);
		else if ((k & 3) == 1)
			chunk(&f);
		else
			message(&f);
	}
	for (uint32_t k = 1; k <= 8; k++)
		if (k != SELF)
			step(&(struct transfer_in){ .kind = TRANSFER_GONE, .node = k });
	for (unsigned k = 0; k < IDS * IDS; k++)		/* one that waited for room comes after the others are gone */
		step(&(struct transfer_in){ .kind = TRANSFER_FREE, .id = { SELF, 1, k % IDS + 1 } });
	fuzz_must(t.pull.pulls.n == 0 && t.pull.bytes == 0 && t.places.bytes == 0 && t.feed.peers.n == 0);
	for (unsigned i = 0; i < ROOMS; i++)
		fuzz_must(rooms[i].ticket == 0);
	transfer_release(&t);
	free(out.fx);
	buf_release(&out.bytes);
	out = (struct transfer_out){ 0 };
}

void
fuzz_seeds(void)
{
	static const unsigned char transfer[] = {
		0, 0, 2, 0x84, 1,			/* want, of node 3 */
		2, 32 + 1, 2, 4, 0, 0x84, 1, 1, 0, 0,	/* node 3: from node 4 */
		0, 6, 2, 0, 0,				/* there is room */
		1, 2, 1, 0x80, 0x81, 1, 0, 26, 2, 0, 0,
		2, 0, 3, 0, 0, 0, 2, 2, 3, 1, 0x84, 1, 1, 0, 0,
	};

	fuzz_seed(transfer, sizeof transfer);
}
