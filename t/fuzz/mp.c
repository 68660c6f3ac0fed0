/* mp.c - msgpack tokens: any bytes are read within their bounds; what is read and written again reads the same */
#include "../fuzz.h"
#include "wire/mp.h"

static void
again(const struct mp_tok *t)		/* a token that was read is written and read once more */
{
	struct buf b = BUF_INIT;
	struct mp_tok u;
	struct mp m;
	int e = 0;

	switch (t->kind) {
	case MP_NIL: e = mp_put_nil(&b); break;
	case MP_BOOL: e = mp_put_bool(&b, t->b); break;
	case MP_INT: e = mp_put_int(&b, t->i); break;
	case MP_FLOAT: e = mp_put_float(&b, t->d); break;
	case MP_STR: e = mp_put_str(&b, t->p, t->n); break;
	case MP_BIN: e = mp_put_bin(&b, t->p, t->n); break;
	case MP_EXT: e = mp_put_ext(&b, t->ext, t->p, t->n); break;
	case MP_ARRAY: case MP_MAP: return;	/* their elements are tokens of their own */
	}
	fuzz_must(e == 0);
	m = (struct mp){ b.data, b.data + b.len };
	fuzz_must(mp_next(&m, &u) == 0 && m.p == m.end && u.kind == t->kind);
	if (t->kind == MP_STR || t->kind == MP_BIN || t->kind == MP_EXT)
		fuzz_must(u.n == t->n && (u.n == 0 || memcmp(u.p, t->p, u.n) == 0) && (t->kind != MP_EXT || u.ext == t->ext));
	else if (t->kind == MP_INT)
		fuzz_must(u.i == t->i);
	buf_release(&b);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct mp m = { p, p + n }, s = m;
	struct mp_tok t;
	int e;

	while ((e = mp_next(&m, &t)) == 0 || e == ERR_VALUE) {
		fuzz_must(m.p > p && m.p <= m.end);
		if (e == 0)
			again(&t);
		else
			fuzz_must(t.u > INT64_MAX);
	}
	fuzz_must(e == ERR_PROTO);
	while (s.p < s.end) {
		const unsigned char *at = s.p;

		if ((e = mp_skip(&s)) < 0) {
			fuzz_must(e == ERR_PROTO && s.p == at);
			break;
		}
		fuzz_must(s.p > at && s.p <= s.end);
	}
}

void
fuzz_seeds(void)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 64; i++)
		mp_put_int(&b, i & 1 ? -1 - (INT64_MAX >> i) : INT64_MAX >> i);
	mp_put_uint(&b, UINT64_MAX);
	mp_put_float(&b, 0.1);
	mp_put_raw(&b, "\xca\x3f\x80\0\0", 5);
	mp_put_nil(&b);
	mp_put_bool(&b, true);
	for (size_t n = 1; n < 600; n = n * 3 + 1) {
		unsigned char s[600] = { 0 };

		mp_put_str(&b, s, n);
		mp_put_bin(&b, s, n);
		mp_put_ext(&b, (int)n % 128, s, n);
		mp_put_array(&b, n);
		mp_put_map(&b, n / 2);
		mp_put_raw(&b, s, n);
	}
	fuzz_seed(b.data, b.len);
	buf_release(&b);
}
