/*
 * mp - msgpack primitives, inline because the codecs call them per value.
 *
 * mp_w_X(p, ...) stores at p, where the caller has made room, and returns the end of what it stored:
 *	unsigned char *p = b->data + b->len;		after buf_reserve(b, n * MP_MAX_SCALAR)
 *	p = mp_w_int(p, 7); p = mp_w_float(p, 0.5);
 *	b->len = p - b->data;
 * mp_put_X(b, ...) makes room itself: 0 or -ENOMEM, ERR_VALUE for a length over MP_MAX_LEN; b unchanged on error.
 * mp_next reads one token; a container's elements are the tokens after it.
 *
 * Integers take their smallest form, floats are float64 (float32 is read too), lengths their smallest form.
 * Pure.  Trust: the reader takes any bytes; every length is checked against the bytes that are there.
 */
#ifndef WIRE_MP_H
#define WIRE_MP_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/buf.h"
#include "base/err.h"

#define MP_MAX_SCALAR 9		/* most bytes of nil, bool, int, uint, float */
#define MP_MAX_HEAD 6		/* most bytes before the body of str, bin, array, map, ext */
#define MP_MAX_LEN UINT32_MAX	/* longest body, highest count; with mp_w_X it is the caller's to check */

enum mp_kind { MP_NIL, MP_BOOL, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_ARRAY, MP_MAP, MP_EXT };

struct mp {			/* a reader: what is left to be read */
	const unsigned char *p, *end;
};

struct mp_tok {
	enum mp_kind kind;
	int8_t ext;			/* MP_EXT: its type */
	union {
		bool b;			/* MP_BOOL */
		int64_t i;		/* MP_INT */
		uint64_t u;		/* MP_INT when mp_next answered ERR_VALUE */
		double d;		/* MP_FLOAT */
		size_t n;		/* bytes of STR, BIN, EXT; elements of ARRAY; pairs of MAP */
	};
	const unsigned char *p;		/* STR, BIN, EXT: the body, borrowed from the reader's bytes */
};

/* --- writing at a pointer ------------------------------------------------------------------------- */

static inline unsigned char *
mp_w_be(unsigned char *p, unsigned char head, uint64_t v, unsigned bytes) /* head, then the low bytes of v */
{
	uint64_t be = htobe64(v << (64 - 8 * bytes));

	p[0] = head;
	memcpy(p + 1, &be, bytes);
	return p + 1 + bytes;
}

static inline unsigned char *
mp_w_nil(unsigned char *p)
{
	*p = 0xc0;
	return p + 1;
}

static inline unsigned char *
mp_w_bool(unsigned char *p, bool v)
{
	*p = v ? 0xc3 : 0xc2;
	return p + 1;
}

static inline unsigned char *
mp_w_uint(unsigned char *p, uint64_t v)
{
	if (v < 0x80) {
		*p = (unsigned char)v;
		return p + 1;
	}
	if (v <= UINT8_MAX)
		return mp_w_be(p, 0xcc, v, 1);
	if (v <= UINT16_MAX)
		return mp_w_be(p, 0xcd, v, 2);
	if (v <= UINT32_MAX)
		return mp_w_be(p, 0xce, v, 4);
	return mp_w_be(p, 0xcf, v, 8);
}

static inline unsigned char *
mp_w_int(unsigned char *p, int64_t v)
{
	if (v >= 0)
		return mp_w_uint(p, (uint64_t)v);
	if (v >= -32) {
		*p = (unsigned char)v;
		return p + 1;
	}
	if (v >= INT8_MIN)
		return mp_w_be(p, 0xd0, (uint64_t)v, 1);
	if (v >= INT16_MIN)
		return mp_w_be(p, 0xd1, (uint64_t)v, 2);
	if (v >= INT32_MIN)
		return mp_w_be(p, 0xd2, (uint64_t)v, 4);
	return mp_w_be(p, 0xd3, (uint64_t)v, 8);
}

static inline unsigned char *
mp_w_float(unsigned char *p, double v)
{
	uint64_t u;

	memcpy(&u, &v, sizeof u);
	return mp_w_be(p, 0xcb, u, 8);
}

static inline unsigned char *
mp_w_str_head(unsigned char *p, size_t n)		/* n bytes follow */
{
	if (n < 32) {
		*p = (unsigned char)(0xa0 | n);
		return p + 1;
	}
	if (n <= UINT8_MAX)
		return mp_w_be(p, 0xd9, n, 1);
	if (n <= UINT16_MAX)
		return mp_w_be(p, 0xda, n, 2);
	return mp_w_be(p, 0xdb, n, 4);
}

static inline unsigned char *
mp_w_bin_head(unsigned char *p, size_t n)		/* n bytes follow */
{
	if (n <= UINT8_MAX)
		return mp_w_be(p, 0xc4, n, 1);
	if (n <= UINT16_MAX)
		return mp_w_be(p, 0xc5, n, 2);
	return mp_w_be(p, 0xc6, n, 4);
}

static inline unsigned char *
mp_w_array_head(unsigned char *p, size_t n)		/* n values follow */
{
	if (n < 16) {
		*p = (unsigned char)(0x90 | n);
		return p + 1;
	}
	if (n <= UINT16_MAX)
		return mp_w_be(p, 0xdc, n, 2);
	return mp_w_be(p, 0xdd, n, 4);
}

static inline unsigned char *
mp_w_map_head(unsigned char *p, size_t n)		/* n keys, each with its value after it, follow */
{
	if (n < 16) {
		*p = (unsigned char)(0x80 | n);
		return p + 1;
	}
	if (n <= UINT16_MAX)
		return mp_w_be(p, 0xde, n, 2);
	return mp_w_be(p, 0xdf, n, 4);
}

static inline unsigned char *
mp_w_ext_head(unsigned char *p, int type, size_t n)	/* n bytes follow */
{
	switch (n) {
	case 1: *p++ = 0xd4; break;
	case 2: *p++ = 0xd5; break;
	case 4: *p++ = 0xd6; break;
	case 8: *p++ = 0xd7; break;
	case 16: *p++ = 0xd8; break;
	default:
		p = n <= UINT8_MAX ? mp_w_be(p, 0xc7, n, 1) : n <= UINT16_MAX ? mp_w_be(p, 0xc8, n, 2)
		    : mp_w_be(p, 0xc9, n, 4);
	}
	*p = (unsigned char)type;
	return p + 1;
}

static inline unsigned char *
mp_w_raw(unsigned char *p, const void *s, size_t n)
{
	if (n)
		memcpy(p, s, n);
	return p + n;
}

static inline unsigned char *
mp_w_str(unsigned char *p, const void *s, size_t n)	/* at most MP_MAX_HEAD + n bytes; bin and ext too */
{
	return mp_w_raw(mp_w_str_head(p, n), s, n);
}

static inline unsigned char *
mp_w_bin(unsigned char *p, const void *s, size_t n)
{
	return mp_w_raw(mp_w_bin_head(p, n), s, n);
}

static inline unsigned char *
mp_w_ext(unsigned char *p, int type, const void *s, size_t n)
{
	return mp_w_raw(mp_w_ext_head(p, type, n), s, n);
}

/* --- appending to a buf ----------------------------------------------------------------------------- */

static inline int
mp_room(struct buf *b, size_t n)		/* buf_reserve without a call when there is room already */
{
	return b->cap - b->len >= n ? 0 : buf_reserve(b, n);
}

/* the common body: room for the most that can come, one store, the new length */
#define MP_PUT(most, store) do { \
	unsigned char *mp_at; \
	int mp_e; \
	if ((mp_e = mp_room(b, (most))) < 0) \
		return mp_e; \
	mp_at = b->data + b->len; \
	b->len = (size_t)((store) - b->data); \
	return 0; \
} while (0)

static inline int
mp_put_nil(struct buf *b)
{
	MP_PUT(1, mp_w_nil(mp_at));
}

static inline int
mp_put_bool(struct buf *b, bool v)
{
	MP_PUT(1, mp_w_bool(mp_at, v));
}

static inline int
mp_put_uint(struct buf *b, uint64_t v)
{
	MP_PUT(MP_MAX_SCALAR, mp_w_uint(mp_at, v));
}

static inline int
mp_put_int(struct buf *b, int64_t v)
{
	MP_PUT(MP_MAX_SCALAR, mp_w_int(mp_at, v));
}

static inline int
mp_put_float(struct buf *b, double v)
{
	MP_PUT(MP_MAX_SCALAR, mp_w_float(mp_at, v));
}

static inline int
mp_put_str(struct buf *b, const void *s, size_t n)
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD + n, mp_w_str(mp_at, s, n));
}

static inline int
mp_put_bin(struct buf *b, const void *s, size_t n)
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD + n, mp_w_bin(mp_at, s, n));
}

static inline int
mp_put_array(struct buf *b, size_t n)		/* n values follow */
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD, mp_w_array_head(mp_at, n));
}

static inline int
mp_put_map(struct buf *b, size_t n)		/* n pairs follow */
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD, mp_w_map_head(mp_at, n));
}

static inline int
mp_put_ext_head(struct buf *b, int type, size_t n)	/* n bytes follow */
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD, mp_w_ext_head(mp_at, type, n));
}

static inline int
mp_put_ext(struct buf *b, int type, const void *s, size_t n)
{
	if (n > MP_MAX_LEN)
		return ERR_VALUE;
	MP_PUT(MP_MAX_HEAD + n, mp_w_ext(mp_at, type, s, n));
}

static inline int
mp_put_raw(struct buf *b, const void *s, size_t n)	/* bytes that are msgpack already */
{
	MP_PUT(n, mp_w_raw(mp_at, s, n));
}

/*
 * An ext whose length is known only once its body is written:
 *	at = b->len; mp_ext_open(b); ... mp_put_X(b, ...) ...; mp_ext_close(b, at, type);
 * close gives the head its smallest form, moving a body of at most 64 KiB down.  They nest.
 */
static inline int
mp_ext_open(struct buf *b)			/* 0 or -ENOMEM */
{
	MP_PUT(MP_MAX_HEAD, mp_at + MP_MAX_HEAD);
}

static inline void
mp_ext_close(struct buf *b, size_t at, int type)
{
	unsigned char *head = b->data + at, *body = head + MP_MAX_HEAD, *p;
	size_t n = b->len - at - MP_MAX_HEAD;

	if ((p = mp_w_ext_head(head, type, n)) != body)	/* the head never reaches into the body */
		memmove(p, body, n);
	b->len = (size_t)(p - b->data) + n;
}

/* --- reading ------------------------------------------------------------------------------------------ */

static inline uint16_t
mp_be16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return be16toh(v);
}

static inline uint32_t
mp_be32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return be32toh(v);
}

static inline uint64_t
mp_be64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

/* a token with a body or elements, t->n of them at p: are they there? */
static inline int
mp_sized(struct mp *m, struct mp_tok *t, enum mp_kind kind, const unsigned char *p)
{
	size_t left = (size_t)(m->end - p);

	t->kind = kind;
	if (kind == MP_EXT) {
		if (left-- == 0)
			return ERR_PROTO;
		t->ext = (int8_t)*p++;
	}
	if (t->n > (kind == MP_MAP ? left / 2 : left))
		return ERR_PROTO;
	t->p = p;
	m->p = kind == MP_ARRAY || kind == MP_MAP ? p : p + t->n;
	return 0;
}

static inline struct mp
mp_read(const void *p, size_t n)	/* a reader of n bytes; p may be NULL if there are none */
{
	return (struct mp){ p, n ? (const unsigned char *)p + n : p };
}

/*
 * Reads one token.  0; ERR_PROTO for anything malformed or cut short: a body longer than what is left, a
 * count that the bytes left cannot hold (an element takes one byte at least), no bytes at all; then m
 * stays where it was.  ERR_VALUE for an integer above INT64_MAX: t->u holds it and m is past it.
 */
static inline int
mp_next(struct mp *m, struct mp_tok *t)
{
	/* for 0xc0..0xdf: bytes of the number after the head byte */
	static const unsigned char width[32] = { 0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
	    1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4 };
	const unsigned char *p = m->p;
	unsigned c;
	uint32_t u;
	float f;

	if (p == m->end)
		return ERR_PROTO;
	c = *p++;
	if (c < 0x80 || c >= 0xe0) {
		t->kind = MP_INT;
		t->i = (int8_t)c;
		m->p = p;
		return 0;
	}
	if (c < 0xc0) {
		t->n = c & (c < 0xa0 ? 0x0f : 0x1f);
		return mp_sized(m, t, c < 0x90 ? MP_MAP : c < 0xa0 ? MP_ARRAY : MP_STR, p);
	}
	if (width[c - 0xc0] > (size_t)(m->end - p))
		return ERR_PROTO;
	t->kind = MP_INT;
	switch (c) {
	case 0xc0: t->kind = MP_NIL; break;
	case 0xc1: return ERR_PROTO;
	case 0xc2: case 0xc3: t->kind = MP_BOOL; t->b = c & 1; break;
	case 0xca:
		t->kind = MP_FLOAT;
		u = mp_be32(p);
		memcpy(&f, &u, sizeof f);
		t->d = (double)f;
		p += 4;
		break;
	case 0xcb: t->kind = MP_FLOAT; t->u = mp_be64(p); p += 8; break;	/* d is the same bits */
	case 0xcc: t->i = *p; p += 1; break;
	case 0xcd: t->i = mp_be16(p); p += 2; break;
	case 0xce: t->i = mp_be32(p); p += 4; break;
	case 0xcf: t->u = mp_be64(p); m->p = p + 8; return t->u > INT64_MAX ? ERR_VALUE : 0;
	case 0xd0: t->i = (int8_t)*p; p += 1; break;
	case 0xd1: t->i = (int16_t)mp_be16(p); p += 2; break;
	case 0xd2: t->i = (int32_t)mp_be32(p); p += 4; break;
	case 0xd3: t->i = (int64_t)mp_be64(p); p += 8; break;
	case 0xc4: t->n = *p; return mp_sized(m, t, MP_BIN, p + 1);
	case 0xc5: t->n = mp_be16(p); return mp_sized(m, t, MP_BIN, p + 2);
	case 0xc6: t->n = mp_be32(p); return mp_sized(m, t, MP_BIN, p + 4);
	case 0xc7: t->n = *p; return mp_sized(m, t, MP_EXT, p + 1);
	case 0xc8: t->n = mp_be16(p); return mp_sized(m, t, MP_EXT, p + 2);
	case 0xc9: t->n = mp_be32(p); return mp_sized(m, t, MP_EXT, p + 4);
	case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
		t->n = (size_t)1 << (c - 0xd4);
		return mp_sized(m, t, MP_EXT, p);
	case 0xd9: t->n = *p; return mp_sized(m, t, MP_STR, p + 1);
	case 0xda: t->n = mp_be16(p); return mp_sized(m, t, MP_STR, p + 2);
	case 0xdb: t->n = mp_be32(p); return mp_sized(m, t, MP_STR, p + 4);
	case 0xdc: t->n = mp_be16(p); return mp_sized(m, t, MP_ARRAY, p + 2);
	case 0xdd: t->n = mp_be32(p); return mp_sized(m, t, MP_ARRAY, p + 4);
	case 0xde: t->n = mp_be16(p); return mp_sized(m, t, MP_MAP, p + 2);
	case 0xdf: t->n = mp_be32(p); return mp_sized(m, t, MP_MAP, p + 4);
	}
	m->p = p;
	return 0;
}

/*
 * Passes over one value with all that is in it, to any depth: it only counts what is still due, and more
 * than there are bytes left is refused at once.  0 or ERR_PROTO; then m stays where it was.
 */
static inline int
mp_skip(struct mp *m)
{
	struct mp r = *m;
	struct mp_tok t;
	size_t due = 1;
	int e;

	for (; due; due--) {
		if ((e = mp_next(&r, &t)) < 0 && e != ERR_VALUE)
			return ERR_PROTO;
		if (e == 0 && t.kind == MP_ARRAY)
			due += t.n;
		else if (e == 0 && t.kind == MP_MAP)
			due += 2 * t.n;
		if (due - 1 > (size_t)(r.end - r.p))
			return ERR_PROTO;
	}
	*m = r;
	return 0;
}

#endif
