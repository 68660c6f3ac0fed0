/*
 * Encoder and decoder walk over a message's kinds of fields, a string that the preprocessor makes from
 * MSG_MAP ("UUUUSSS"), so every message has the same bounds and none has code of its own.  A field's place
 * in the struct is the sum of those before it; the assertions below say that there is no padding.
 */
#include <assert.h>
#include <string.h>
#include "base/err.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

#define ID_BYTES 16u

static size_t
field_size(char kind)
{
	switch (kind) {
	case 'U': return sizeof(uint64_t);
	case 'I': return sizeof(int64_t);
	case 'D': return sizeof(struct id);
	default: return sizeof(struct span);
	}
}

/* Most bytes that the body can take; 0 if a text or the whole is longer than a peer would take. */
static size_t
body_room(const char *kinds, const unsigned char *m)
{
	const struct span *s;
	size_t n = MP_MAX_HEAD;

	for (; *kinds; m += field_size(*kinds++))
		switch (*kinds) {
		case 'D':
			n += MP_MAX_HEAD + ID_BYTES;
			break;
		case 'S':
		case 'B':
			s = (const void *)m;
			if (s->n > (*kinds == 'S' ? MSG_TEXT : FRAME_MAX))
				return 0;
			n += MP_MAX_HEAD + s->n;
			break;
		default:
			n += MP_MAX_SCALAR;
		}
	return n > FRAME_MAX ? 0 : n;
}

static unsigned char *
put_id(unsigned char *p, const struct id *i)
{
	unsigned char s[ID_BYTES];

	le_put32(s, i->node);
	le_put32(s + 4, i->proc);
	le_put64(s + 8, i->seq);
	return mp_w_bin(p, s, sizeof s);
}

static int
put(struct buf *b, unsigned type, const char *kinds, const void *msg)
{
	struct frame f = { .type = (uint16_t)type, .version = MSG_PROTO };
	const unsigned char *m = msg;
	const struct span *s;
	unsigned char *head, *p;
	size_t room = body_room(kinds, m);
	int e;

	if (room == 0)
		return ERR_VALUE;
	if ((e = buf_reserve(b, FRAME_HEAD + room)) < 0)
		return e;
	head = b->data + b->len;
	p = mp_w_array_head(head + FRAME_HEAD, strlen(kinds));
	for (; *kinds; m += field_size(*kinds++))
		switch (*kinds) {
		case 'U': p = mp_w_uint(p, *(const uint64_t *)(const void *)m); break;
		case 'I': p = mp_w_int(p, *(const int64_t *)(const void *)m); break;
		case 'D': p = put_id(p, (const void *)m); break;
		case 'S': s = (const void *)m; p = mp_w_str(p, s->p, s->n); break;
		case 'B': s = (const void *)m; p = mp_w_bin(p, s->p, s->n); break;
		}
	f.len = (uint32_t)(p - head - FRAME_HEAD);
	frame_pack(head, &f);
	b->len = (size_t)(p - b->data);
	return 0;
}

static int
get_field(unsigned char *m, char kind, struct mp *r)
{
	struct mp_tok t;
	struct id *id;
	int e = mp_next(r, &t);

	if (e < 0 && !(e == ERR_VALUE && kind == 'U'))	/* above INT64_MAX: fine for unsigned fields only */
		return ERR_PROTO;
	switch (kind) {
	case 'U':
		if (t.kind != MP_INT || (e == 0 && t.i < 0))
			return ERR_PROTO;
		*(uint64_t *)(void *)m = t.u;
		return 0;
	case 'I':
		if (t.kind != MP_INT)
			return ERR_PROTO;
		*(int64_t *)(void *)m = t.i;
		return 0;
	case 'D':
		if (t.kind != MP_BIN || t.n != ID_BYTES)
			return ERR_PROTO;
		id = (void *)m;
		*id = (struct id){ le_get32(t.p), le_get32(t.p + 4), le_get64(t.p + 8) };
		return 0;
	default:
		if ((t.kind != MP_STR && t.kind != MP_BIN) || (kind == 'S' && t.n > MSG_TEXT))
			return ERR_PROTO;
		*(struct span *)(void *)m = span_of(t.p, t.n);
		return 0;
	}
}

static int
get(void *msg, size_t size, const char *kinds, const unsigned char *p, size_t n)
{
	struct mp r = mp_read(p, n);
	unsigned char *m = msg;
	struct mp_tok t;

	memset(msg, 0, size);
	if (mp_next(&r, &t) < 0 || t.kind != MP_ARRAY)
		goto bad;
	for (; *kinds && t.n; t.n--, m += field_size(*kinds++))
		if (get_field(m, *kinds, &r) < 0)
			goto bad;
	for (; t.n; t.n--)		/* fields of a newer peer */
		if (mp_skip(&r) < 0)
			goto bad;
	if (r.p == r.end)
		return 0;
bad:
	memset(msg, 0, size);
	return ERR_PROTO;
}

#define KIND(kind, field, doc) #kind
#define SIZE(kind, field, doc) + sizeof(MSG_KIND_##kind)
#define X(NAME, name, code, fds, dir) \
	static_assert(sizeof(struct msg_##name) == 0 MSG_##NAME(SIZE), "padding in msg_" #name); \
	static_assert(code <= UINT16_MAX && fds <= FRAME_FDS, "msg_" #name); \
	int \
	msg_put_##name(struct buf *b, const struct msg_##name *m) \
	{ \
		return put(b, code, MSG_##NAME(KIND), m); \
	} \
	int \
	msg_get_##name(struct msg_##name *m, const unsigned char *p, size_t n) \
	{ \
		return get(m, sizeof *m, MSG_##NAME(KIND), p, n); \
	}
MSG_MAP(X)
#undef X

const char *
msg_name(unsigned type)
{
	switch (type) {
#define X(NAME, name, code, fds, dir) case code: return #NAME;
	MSG_MAP(X)
#undef X
	}
	return NULL;
}

int
msg_fds(unsigned type)
{
	switch (type) {
#define X(NAME, name, code, fds, dir) case code: return fds;
	MSG_MAP(X)
#undef X
	}
	return 0;
}
