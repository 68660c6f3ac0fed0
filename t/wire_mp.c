/* wire_mp.c - msgpack: what is written is read back, in its smallest form, and no bytes make the reader read too far */
#include <math.h>
#include "guard.h"
#include "tap.h"
#include "wire/mp.h"

static bool
one(const struct buf *b, struct mp_tok *t)		/* exactly one token */
{
	struct mp m;

	m.p = guard(b->data, b->len);
	m.end = m.p + b->len;
	return mp_next(&m, t) == 0 && m.p == m.end;
}

static void
ints(void)
{
	static const struct {
		int64_t v;
		size_t len;
	} c[] = { { 0, 1 }, { 127, 1 }, { 128, 2 }, { 255, 2 }, { 256, 3 }, { 65535, 3 }, { 65536, 5 }, { UINT32_MAX, 5 },
	    { INT64_C(1) << 32, 9 }, { INT64_MAX, 9 }, { -1, 1 }, { -32, 1 }, { -33, 2 }, { -128, 2 }, { -129, 3 }, { -32768, 3 },
	    { -32769, 5 }, { INT32_MIN, 5 }, { INT64_C(-2147483649), 9 }, { INT64_MIN, 9 } };
	struct buf b = BUF_INIT;
	struct mp_tok t;
	uint64_t seed = 1;
	size_t i;
	bool good = true;

	for (i = 0; i < sizeof c / sizeof c[0]; i++) {
		b.len = 0;
		good &= mp_put_int(&b, c[i].v) == 0 && b.len == c[i].len;
		good &= one(&b, &t) && t.kind == MP_INT && t.i == c[i].v;
	}
	ok(good && "integers at the edges of each form");
	for (i = 0, good = true; i < 20000; i++) {
		int64_t v = (int64_t)(rnd(&seed) >> rnd(&seed) % 64);

		v = rnd(&seed) & 1 ? v : -v;
		b.len = 0;
		good &= mp_put_int(&b, v) == 0 && b.len <= MP_MAX_SCALAR && one(&b, &t) && t.kind == MP_INT && t.i == v;
	}
	ok(good && "integers of all sizes");
	b.len = 0;
	ok(mp_put_uint(&b, UINT64_C(1) << 63) == 0 && b.len == 9);
	struct mp m = { b.data, b.data + b.len };
	ok(mp_next(&m, &t) == ERR_VALUE && t.kind == MP_INT && t.u == UINT64_C(1) << 63 && m.p == m.end);
	m.p = b.data;
	ok(mp_skip(&m) == 0 && m.p == m.end);
	buf_release(&b);
}

static void
scalars(void)
{
	static const double d[] = { 0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, INFINITY, -INFINITY };
	static const unsigned char f32[] = { 0xca, 0x3f, 0xc0, 0, 0 };
	struct buf b = BUF_INIT;
	struct mp m = { f32, f32 + 5 };
	struct mp_tok t;
	bool good = true;
	size_t i;

	for (i = 0; i < sizeof d / sizeof d[0]; i++) {
		b.len = 0;
		good &= mp_put_float(&b, d[i]) == 0 && b.len == 9 && one(&b, &t) && t.kind == MP_FLOAT;
		good &= memcmp(&t.d, &d[i], sizeof t.d) == 0;
	}
	ok(good && "floats keep all their bits");
	b.len = 0;
	ok(mp_put_float(&b, NAN) == 0 && one(&b, &t) && t.kind == MP_FLOAT && isnan(t.d));
	ok(mp_next(&m, &t) == 0 && t.kind == MP_FLOAT && t.d == 1.5);
	b.len = 0;
	ok(mp_put_nil(&b) == 0 && one(&b, &t) && t.kind == MP_NIL);
	b.len = 0;
	ok(mp_put_bool(&b, true) == 0 && one(&b, &t) && t.kind == MP_BOOL && t.b);
	b.len = 0;
	ok(mp_put_bool(&b, false) == 0 && one(&b, &t) && t.kind == MP_BOOL && !t.b);
	buf_release(&b);
}

static void
bodies(void)
{
	static const size_t n[] = { 0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536, 70000 };
	/* heads of str, bin, ext for these lengths */
	static const unsigned char hs[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 5, 5 };
	static const unsigned char hb[] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 5, 5 };
	static const unsigned char hx[] = { 3, 2, 2, 3, 2, 3, 2, 3, 2, 3, 3, 3, 3, 4, 4, 6, 6 };
	static char body[70000];
	struct buf b = BUF_INIT;
	struct mp_tok t;
	bool str = true, bin = true, ext = true, late = true;
	uint64_t seed = 2;
	size_t i;

	for (i = 0; i < sizeof body; i++)
		body[i] = (char)rnd(&seed);
	for (i = 0; i < sizeof n / sizeof n[0]; i++) {
		b.len = 0;
		str &= mp_put_str(&b, body, n[i]) == 0 && b.len == n[i] + hs[i] && one(&b, &t) && t.kind == MP_STR;
		str &= t.n == n[i] && memcmp(t.p, body, n[i]) == 0;
		b.len = 0;
		bin &= mp_put_bin(&b, body, n[i]) == 0 && b.len == n[i] + hb[i] && one(&b, &t) && t.kind == MP_BIN;
		bin &= t.n == n[i] && memcmp(t.p, body, n[i]) == 0;
		b.len = 0;
		ext &= mp_put_ext(&b, -7, body, n[i]) == 0 && b.len == n[i] + hx[i] && one(&b, &t) && t.kind == MP_EXT;
		ext &= t.ext == -7 && t.n == n[i] && memcmp(t.p, body, n[i]) == 0;
		b.len = 3;		/* an ext closed late has the same form, wherever it begins */
		late &= mp_ext_open(&b) == 0 && mp_put_raw(&b, body, n[i]) == 0;
		mp_ext_close(&b, 3, 9);
		late &= b.len == 3 + n[i] + hx[i];
		buf_drop(&b, 3);
		late &= one(&b, &t) && t.kind == MP_EXT && t.ext == 9 && t.n == n[i] && memcmp(t.p, body, n[i]) == 0;
	}
	ok(str);
	ok(bin);
	ok(ext);
	ok(late);
	b.len = 0;
	ok(mp_put_str(&b, body, (size_t)MP_MAX_LEN + 1) == ERR_VALUE && b.len == 0);
	buf_release(&b);
}

static void
containers(void)
{
	static const size_t n[] = { 0, 1, 15, 16, 65535, 65536 };
	static const unsigned char head[] = { 1, 1, 1, 3, 3, 5 };
	struct buf b = BUF_INIT;
	struct mp_tok t;
	struct mp m;
	bool array = true, map = true, skip = true;
	size_t i, j;

	for (i = 0; i < sizeof n / sizeof n[0]; i++) {
		b.len = 0;
		array &= mp_put_array(&b, n[i]) == 0 && b.len == head[i];
		for (j = 0; j < n[i]; j++)
			array &= mp_put_nil(&b) == 0;
		m = (struct mp){ b.data, b.data + b.len };
		array &= mp_next(&m, &t) == 0 && t.kind == MP_ARRAY && t.n == n[i];
		m.p = b.data;
		skip &= mp_skip(&m) == 0 && m.p == m.end;
		b.len = 0;
		map &= mp_put_map(&b, n[i]) == 0 && b.len == head[i];
		for (j = 0; j < 2 * n[i]; j++)
			map &= mp_put_nil(&b) == 0;
		m = (struct mp){ b.data, b.data + b.len };
		map &= mp_next(&m, &t) == 0 && t.kind == MP_MAP && t.n == n[i];
		m.p = b.data;
		skip &= mp_skip(&m) == 0 && m.p == m.end;
	}
	ok(array);
	ok(map);
	ok(skip);
	buf_release(&b);
}

static int
skip_all(const unsigned char *p, size_t n)
{
	struct mp m = { guard(p, n), NULL };

	m.end = m.p + n;
	return mp_skip(&m);
}

static void
hostile(void)
{
	static const struct {
		unsigned char p[10];
		size_t n;
	} c[] = { { { 0 }, 0 }, { { 0xc1 }, 1 }, { { 0xdd, 0xff, 0xff, 0xff, 0xff, 0 }, 6 }, { { 0xdf, 0xff, 0xff, 0xff, 0xff, 0 }, 6 },
	    { { 0xdf, 0, 0, 0, 1, 0 }, 6 }, { { 0xdb, 0xff, 0xff, 0xff, 0xff, 0 }, 6 }, { { 0xc6, 0xff, 0xff, 0xff, 0xff, 0 }, 6 },
	    { { 0xc9, 0xff, 0xff, 0xff, 0xff, 1, 0 }, 7 }, { { 0xc9, 0, 0, 0, 0 }, 5 }, { { 0xd4 }, 1 }, { { 0xd4, 1 }, 2 },
	    { { 0xd8, 1, 0 }, 3 }, { { 0x91 }, 1 }, { { 0x82, 1, 1, 1 }, 4 }, { { 0xa5, 'a' }, 2 } };
	static unsigned char deep[100000];
	bool good = true;
	size_t i, j;

	for (i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct mp m = { guard(c[i].p, c[i].n), NULL };
		const unsigned char *was = m.p;
		struct mp_tok t;

		m.end = m.p + c[i].n;
		good &= mp_skip(&m) == ERR_PROTO && m.p == was;
		if (c[i].p[0] != 0x91 && c[i].p[0] != 0x82)
			good &= mp_next(&m, &t) == ERR_PROTO && m.p == was;
	}
	ok(good && "counts and lengths beyond the bytes are refused");
	memset(deep, 0x91, sizeof deep);
	ok(skip_all(deep, sizeof deep) == ERR_PROTO);
	deep[sizeof deep - 1] = 0xc0;
	ok(skip_all(deep, sizeof deep) == 0);
	for (i = 0; i + 5 < sizeof deep; i += 5)	/* each claims nearly all that is left, again and again */
		for (j = 0; j < 5; j++)
			deep[i + j] = (unsigned char)(j == 0 ? 0xdd : (sizeof deep - i - 6) >> (8 * (4 - j)));
	ok(skip_all(deep, sizeof deep) == ERR_PROTO);
}

static void
noise(void)				/* reads tokens until the end, then skips values until the end */
{
	unsigned char s[200], *p;
	uint64_t seed = 3;
	unsigned i, tokens = 0, values = 0;
	size_t j, n;
	struct mp m;
	struct mp_tok t;
	bool good = true;

	for (i = 0; i < 200000; i++) {
		n = rnd(&seed) % (sizeof s + 1);
		for (j = 0; j < n; j++)
			s[j] = (unsigned char)(rnd(&seed) % 4 ? rnd(&seed) : 0xc0 + rnd(&seed) % 32);
		p = guard(s, n);
		for (m = (struct mp){ p, p + n }; mp_next(&m, &t) == 0; tokens++)
			if (t.kind == MP_STR || t.kind == MP_BIN || t.kind == MP_EXT)
				good &= t.p >= p && t.p + t.n <= p + n;
		good &= m.p <= m.end;
		for (m = (struct mp){ p, p + n }; mp_skip(&m) == 0; values++)
			;
		good &= m.p <= m.end;
	}
	ok(good && tokens > 100000 && values > 100000);
}

int
main(void)
{
	ints();
	scalars();
	bodies();
	containers();
	hostile();
	noise();
	return tap_done();
}
