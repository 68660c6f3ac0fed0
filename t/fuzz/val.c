/*
 * val.c - encoded values: the first two bytes are their number, the third what is asked of them
 * The checks agree: what val_check takes, the walks take, and JSON can be made of it.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "base/json.h"
#include "wire/mp.h"
#include "wire/val.h"

struct seen {
	const unsigned char *p, *end;
	unsigned n, stop;
};

static int
on_ref(void *arg, const struct wref *w, bool valref)
{
	struct seen *s = arg;
	unsigned char body[WREF_SIZE];
	struct wref back;

	(void)valref;
	val_wref_pack(body, w);
	val_wref_unpack(&back, body);
	fuzz_must(id_eq(back.id, w->id) && back.off == w->off && back.size == w->size);
	return ++s->n == s->stop ? -7 : 0;
}

static int
on_actor(void *arg, uint64_t number, struct span class, struct span methods)
{
	struct seen *s = arg;

	(void)number;
	fuzz_must(class.n == 0 || (class.p >= s->p && class.p + class.n <= s->end));
	fuzz_must(methods.n == 0 || (methods.p >= s->p && methods.p + methods.n <= s->end));
	return ++s->n == s->stop ? -7 : 0;
}

static void
buffers(const unsigned char *p, size_t n)	/* the bytes as the body of a BUFFER */
{
	struct val_buffer v, w;
	struct buf b = BUF_INIT;
	struct mp_tok t = { 0 };
	struct mp m;

	if (val_buffer_get(&v, p, n) < 0)
		return;
	fuzz_must(v.ndim <= VAL_NDIM_MAX && val_dtype_size(v.dtype) > 0);
	fuzz_must(v.oob || (v.p >= p && v.bytes <= (size_t)(p + n - v.p)));
	if (val_buffer_put(&b, &v) == 0) {
		m = (struct mp){ b.data, b.data + b.len };
		fuzz_must(mp_next(&m, &t) == 0 && t.kind == MP_EXT && t.ext == VAL_BUFFER);
		fuzz_must(val_buffer_get(&w, t.p, t.n) == 0 && w.bytes == v.bytes && w.ndim == v.ndim && w.oob == v.oob);
	}
	buf_release(&b);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static const unsigned char some[3000];
	const struct val_oob oob[] = { { some, 5 }, { some, sizeof some } };
	struct buf b = BUF_INIT;
	struct seen s = { 0 };
	unsigned nvals, what;
	unsigned char *q;
	char text[64];
	int check, code = 1, e;
	ssize_t first;

	if (n < 3)
		return;
	nvals = p[0] | (unsigned)p[1] << 8;
	what = p[2];
	q = fuzz_copy(p + 3, n -= 3);
	check = val_check(q, n, nvals, VAL_ALLOW_CODE);
	fuzz_must(check == 0 || check == ERR_PROTO || check == ERR_VALUE);
	e = val_check(q, n, nvals, 0);
	fuzz_must(e == check || (check == 0 && e == ERR_VALUE) || check == ERR_VALUE || (check == ERR_PROTO && e == ERR_VALUE));
	s = (struct seen){ q, q + n, 0, what & 1 };
	e = val_walk_refs(q, n, nvals, on_ref, &s);
	fuzz_must((s.stop && e == -7) || (e == 0) == (check == 0));
	s = (struct seen){ q, q + n, 0, what >> 1 & 1 };
	e = val_walk_actors(q, n, nvals, on_actor, &s);
	fuzz_must((s.stop && e == -7) || (e == 0) == (check == 0));
	first = val_first(q, n);
	fuzz_must(first == ERR_PROTO || (first > 0 && (size_t)first <= n));
	e = val_error_text(q, n, text, what, &code);
	if (what > sizeof text)
		e = val_error_text(q, n, text, sizeof text, &code);
	fuzz_must(e == 0 ? code < 0 : e == ERR_PROTO || e == ERR_NOTFOUND);
	buf_add(&b, "x", 1);
	e = what & 4 ? val_to_json_oob(&b, q, n, nvals, oob, 2) : val_to_json(&b, q, n, nvals);
	fuzz_must(e == 0 ? json_utf8(b.data, b.len) : b.len == 1 && b.data[0] == 'x');
	fuzz_must(check == 0 || e < 0);
	buf_release(&b);
	buffers(q, n);
	free(q);
}

void
fuzz_seeds(void)
{
	static const unsigned char shared[] = "\x92\xd6\x0b\0\0\0\0\x81\xa1t\xd6\x0c\0\0\0\0\xd6\x0c\0\0\0\0";
	struct val_buffer v = { .dtype = VAL_F64, .ndim = 2, .shape = { 1, 2 }, .bytes = 16, .p = (const unsigned char *)"0123456789abcdef" };
	unsigned char body[WREF_SIZE];
	struct wref w = { .id = { 1, 2, 3 << 24 }, .off = 64, .gen = 1, .nbuf = 1, .size = 100 };
	struct buf b = BUF_INIT;

	buf_add(&b, "\1\0\4", 3);
	val_error(&b, ERR_CRASHED, "worker died", "sq.lua:2", "node1", 2, "stack");
	fuzz_seed(b.data, b.len);
	b.len = 0;
	buf_add(&b, "\1\0\4", 3);
	buf_add(&b, shared, sizeof shared - 1);
	fuzz_seed(b.data, b.len);
	b.len = 0;
	buf_add(&b, "\x5\0\4", 3);
	val_wref_pack(body, &w);
	mp_put_ext(&b, VAL_REF, body, sizeof body);
	mp_put_ext(&b, VAL_VALREF, body, sizeof body);
	val_buffer_put(&b, &v);
	v.oob = true;
	val_buffer_put(&b, &v);
	mp_put_ext(&b, VAL_OOB, "\1\0\0\0\x10\0\0\0\0\0\0\0\0", 13);
	fuzz_seed(b.data, b.len);
	b.len = 0;
	buf_add(&b, "\x6\0\2", 3);
	mp_put_ext(&b, VAL_ACTOR, "\x07\xa1" "c\x91\xa3get", 8);
	mp_put_ext(&b, VAL_MODULE, "string", 6);
	mp_put_ext(&b, VAL_MODFN, "string\0rep", 10);
	mp_put_ext(&b, VAL_CLASS, "\xa2pt\x81\xa1x\1", 7);
	mp_put_ext(&b, VAL_NULL, "", 0);
	mp_put_ext(&b, VAL_CHAN, "\1\0\0\0\2\0\0\0\0\0\0\0\1", 13);
	fuzz_seed(b.data, b.len);
	buf_release(&b);
}
