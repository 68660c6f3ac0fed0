/*
 * odd.h - messages that nobody sends: any one of the protocol, with numbers at bounds, ids and names of others, bytes of any
 * length and kind, now and then a field of a wrong type, too few, too many, or a header that lies.
 */
#ifndef ODD_H
#define ODD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { ODD_SEEN = 64 };

static const struct {
	const char *kinds;
	unsigned type;
} odd_message[] = {
#define KIND(kind, field, doc) #kind
#define X(NAME, name, code, fds, dir) { MSG_##NAME(KIND), code },
	MSG_MAP(X)
#undef X
#undef KIND
};

static uint64_t odd_state;			/* the seed, not 0 */
static uint64_t odd_proc;		/* a process that there is; others have numbers near it */
static uint64_t odd_seen[ODD_SEEN];	/* numbers that came up, 0: none; they are used again */
static unsigned odd_wrong = 40;		/* one frame in so many has something that is wrong as such */

static inline unsigned
odd_dice(unsigned n)
{
	odd_state ^= odd_state << 13;
	odd_state ^= odd_state >> 7;
	odd_state ^= odd_state << 17;
	return (unsigned)(odd_state >> 20) % n;
}

static inline uint64_t
odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 7, 1000, 4096, 65535, 65536, 1u << 20, INT32_MAX, UINT32_MAX, 1ull << 32, 1ull << 40,
	    INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 63 };

	switch (odd_dice(5)) {
	case 0:
		return odd[odd_dice(sizeof odd / sizeof *odd)];
	case 1:
		return odd_proc + odd_dice(5) - 2;
	case 2:
		return odd_seen[odd_dice(ODD_SEEN)];
	default:
		return odd_dice(6);
	}
}

static inline unsigned char *
odd_bytes(unsigned char *p, bool text)
{
	static unsigned char v[70000];
	static const char *const words[] = { "", "nodes", "workers", "objects", "actors", "tasks", "groups", "mem", "sets", "a\0b", "../../x", "%s%n", "\xff" };
	size_t n = odd_dice(20) == 0 ? odd_dice(sizeof v) : odd_dice(4) * 4u * (1 + odd_dice(5)), i;
	const char *w = words[odd_dice(sizeof words / sizeof *words)];
	unsigned char *q = v;

	switch (odd_dice(text ? 2 : 5)) {
	case 0:
		n = strlen(w);
		memcpy(v, w, n);
		break;
	case 1:
		for (i = 0; i < n; i++)
			v[i] = (unsigned char)odd_dice(256);
		break;
	case 2:					/* numbers and offsets as most fields have them */
		for (i = 0; i + 4 <= n; i += 4)
			le_put32(v + i, (uint32_t)odd_number());
		break;
	default:				/* small msgpack */
		for (q = odd_dice(2) ? mp_w_map_head(v, odd_dice(4)) : mp_w_array_head(v, odd_dice(6)), i = odd_dice(8); i > 0; i--)
			switch (odd_dice(4)) {
			case 0: q = mp_w_str(q, w, strlen(w)); break;
			case 1: q = mp_w_bin(q, v, (size_t)(q - v) < 64 ? (size_t)(q - v) : 64); break;
			case 2: q = mp_w_array_head(q, odd_dice(3)); break;
			default: q = mp_w_uint(q, odd_number());
			}
		n = (size_t)(q - v);
	}
	return text ? mp_w_str(p, v, n) : mp_w_bin(p, v, n);
}

static inline unsigned char *
odd_field(unsigned char *p, char kind)
{
	unsigned char id[16];

	if (odd_dice(3 * odd_wrong / 2) == 0)
		kind = "UISBD"[odd_dice(5)];	/* of a wrong type */
	switch (kind) {
	case 'U': return mp_w_uint(p, odd_number());
	case 'I': return mp_w_int(p, (int64_t)odd_number());
	case 'D':
		le_put32(id, odd_dice(4) ? 1 : (uint32_t)odd_number());
		le_put32(id + 4, (uint32_t)(odd_proc + odd_dice(4) - 2));
		le_put64(id + 8, odd_number());
		return mp_w_bin(p, id, sizeof id);
	default: return odd_bytes(p, kind == 'S');
	}
}

/* Appends one whose type is from..to, for nfd descriptors, as number `session` of a session between nodes. */
static inline void
odd_frame(struct buf *b, unsigned from, unsigned to, unsigned nfd, uint64_t session)
{
	unsigned k, n;
	unsigned char *head, *p;
	const char *kinds;
	struct frame f;

	do
		k = odd_dice(sizeof odd_message / sizeof *odd_message);
	while (odd_message[k].type < from || odd_message[k].type > to || odd_message[k].type == MSG_STOP_T ||
	    odd_message[k].type == MSG_DRAIN_T || odd_message[k].type == MSG_FAR_DRAIN_T);	/* these they may */
	kinds = odd_message[k].kinds;
	n = (unsigned)strlen(kinds);
	f = (struct frame){ .type = (uint16_t)odd_message[k].type, .version = MSG_PROTO, .nfd = (uint16_t)nfd, .session = session };

	if (buf_reserve(b, (size_t)1 << 20) < 0)
		abort();
	head = b->data + b->len;
	if (odd_dice(odd_wrong) == 0)
		n = odd_dice(n + 4);
	p = mp_w_array_head(head + FRAME_HEAD, n);
	for (unsigned i = 0; i < n; i++)
		p = odd_field(p, i < strlen(kinds) ? kinds[i] : 'U');
	f.len = (uint32_t)(p - head - FRAME_HEAD);
	if (odd_dice(3 * odd_wrong / 2) == 0)
		f.len += odd_dice(9) - 4;
	if (odd_dice(5 * odd_wrong / 2) == 0)
		f.len = (uint32_t)odd_number();
	frame_pack(head, &f);
	b->len = (size_t)(p - b->data);
	if (odd_dice(5 * odd_wrong / 4) == 0)
		head[odd_dice(FRAME_HEAD)] ^= (unsigned char)(1u << odd_dice(8));
}

#endif
