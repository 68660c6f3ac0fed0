#include "base/err.h"
#include "wire/walk.h"

size_t
val_dtype_size(unsigned dtype)
{
	switch (dtype) {
#define X(NAME, number, bytes, word) case number: return bytes;
	VAL_DTYPE_MAP(X)
#undef X
	}
	return 0;
}

const char *
val_dtype_word(unsigned dtype)
{
	switch (dtype) {
#define X(NAME, number, bytes, word) case number: return word;
	VAL_DTYPE_MAP(X)
#undef X
	}
	return NULL;
}

/* Product of shape and element size; false if it is no size. */
static bool
buffer_bytes(const struct val_buffer *v, uint64_t *bytes)
{
	uint64_t n = val_dtype_size(v->dtype);
	unsigned i;

	if (n == 0 || v->ndim > VAL_NDIM_MAX)
		return false;
	for (i = 0; i < v->ndim; i++)
		if (v->shape[i] > INT64_MAX || __builtin_mul_overflow(n, v->shape[i], &n))
			return false;
	*bytes = n;
	return n <= INT64_MAX;
}

int
val_buffer_get(struct val_buffer *v, const unsigned char *body, size_t n)
{
	const unsigned char *p = body, *end = body + n;
	struct val_buffer r = { 0 };
	unsigned i;

	if (n < 3)
		return ERR_PROTO;
	r.dtype = *p++;
	r.ndim = *p++;
	if (r.ndim > VAL_NDIM_MAX || (size_t)(end - p) < r.ndim * 8u + 1)
		return ERR_PROTO;
	for (i = 0; i < r.ndim; i++, p += 8)
		r.shape[i] = le_get64(p);
	if (!buffer_bytes(&r, &r.bytes) || *p > 1)
		return ERR_PROTO;
	r.oob = *p++;
	if ((uint64_t)(end - p) != (r.oob ? 4 : r.bytes))
		return ERR_PROTO;
	if (r.oob)
		r.index = le_get32(p);
	else
		r.p = p;
	*v = r;
	return 0;
}

int
val_buffer_put(struct buf *b, const struct val_buffer *v)
{
	unsigned char h[2 + 8 * VAL_NDIM_MAX + 1 + 4], *p = h;
	uint64_t bytes;
	size_t start = b->len;
	unsigned i;
	int e;

	if (!buffer_bytes(v, &bytes) || (!v->oob && bytes > MP_MAX_LEN - sizeof h))
		return ERR_VALUE;
	*p++ = v->dtype;
	*p++ = v->ndim;
	for (i = 0; i < v->ndim; i++, p += 8)
		le_put64(p, v->shape[i]);
	*p++ = v->oob;
	if (v->oob) {
		le_put32(p, v->index);
		return mp_put_ext(b, VAL_BUFFER, h, (size_t)(p + 4 - h));
	}
	if ((e = mp_put_ext_head(b, VAL_BUFFER, (size_t)(p - h) + bytes)) < 0 ||
	    (e = mp_put_raw(b, h, (size_t)(p - h))) < 0 || (e = mp_put_raw(b, v->p, bytes)) < 0)
		b->len = start;
	return e;
}

int
val_slice_put(struct buf *b, const struct wref *w, int64_t i, int64_t j)
{
	unsigned char ref[WREF_SIZE], ints[2 * MP_MAX_SCALAR], *p = mp_w_int(mp_w_int(ints, i), j);
	struct buf body = BUF_INIT;
	int e;

	val_wref_pack(ref, w);
	if ((e = mp_put_ext(&body, VAL_REF, ref, sizeof ref)) == 0 && (e = mp_put_raw(&body, ints, (size_t)(p - ints))) == 0)
		e = mp_put_ext(b, VAL_SLICE, body.data, body.len);
	buf_release(&body);
	return e;
}

int
val_slice_get(const unsigned char *body, size_t n, struct wref *w, int64_t *i, int64_t *j)
{
	struct mp m = { body, body + n };
	struct mp_tok ref = { 0 }, a, z;

	if (mp_next(&m, &ref) < 0 || ref.kind != MP_EXT || ref.ext != VAL_REF || ref.n != WREF_SIZE ||
	    mp_next(&m, &a) < 0 || a.kind != MP_INT || mp_next(&m, &z) < 0 || z.kind != MP_INT || m.p != m.end)
		return ERR_PROTO;
	val_wref_unpack(w, ref.p);
	*i = a.i;
	*j = z.i;
	return 0;
}

ssize_t
val_first(const unsigned char *p, size_t n)
{
	struct mp m = mp_read(p, n);

	return walk_skip(&m) < 0 ? ERR_PROTO : m.p - p;
}

int
val_check(const unsigned char *p, size_t n, unsigned nvals, unsigned flags)
{
	struct walk w;
	struct mp_tok t;
	int e, class, foreign = 0;

	walk_init(&w, p, n, nvals);
	while ((e = walk_next(&w, &t)) > 0 || e == ERR_VALUE) {
		if (e == ERR_VALUE)
			foreign = e;
		if (e != WALK_TOKEN || t.kind != MP_EXT || flags & VAL_ALLOW_CODE)
			continue;
		class = walk_class(t.ext);
		if (class == 'c' || class == 'k')
			foreign = ERR_VALUE;
	}
	return e < 0 ? e : foreign;
}

int
val_walk_refs(const unsigned char *p, size_t n, unsigned nvals,
    int (*fn)(void *arg, const struct wref *ref, bool valref), void *arg)
{
	struct walk w;
	struct mp_tok t;
	struct wref ref;
	int e;

	walk_init(&w, p, n, nvals);
	while ((e = walk_next(&w, &t)) > 0) {
		if (e != WALK_TOKEN || t.kind != MP_EXT || (t.ext != VAL_REF && t.ext != VAL_VALREF))
			continue;
		val_wref_unpack(&ref, t.p);
		if ((e = fn(arg, &ref, t.ext == VAL_VALREF)) < 0)
			return e;
	}
	return e;
}

int
val_unplace_refs(unsigned char *p, size_t n, unsigned nvals)
{
	struct walk w;
	struct mp_tok t;
	int e;

	walk_init(&w, p, n, nvals);
	while ((e = walk_next(&w, &t)) > 0)
		if (e == WALK_TOKEN && t.kind == MP_EXT && (t.ext == VAL_REF || t.ext == VAL_VALREF))
			memset(p + (t.p - p) + 16, 0, 12);	/* off and gen: val_wref_pack */
	return e;
}

int
val_collect_refs(struct buf *b, const unsigned char *p, size_t n, unsigned nvals)
{
	const unsigned char *end = p;			/* of a handle that was copied: what is nested in it was too */
	size_t was = b->len;
	struct walk w;
	struct mp_tok t;
	int e, count = 0;

	walk_init(&w, p, n, nvals);
	while ((e = walk_next(&w, &t)) > 0) {
		if (e != WALK_TOKEN || t.kind != MP_EXT || (t.ext != VAL_REF && t.ext != VAL_VALREF && t.ext != VAL_ACTOR) || t.p < end)
			continue;
		if ((e = mp_put_ext(b, t.ext, t.p, t.n)) < 0)
			break;
		if (t.ext == VAL_ACTOR)
			end = t.p + t.n;
		count++;
	}
	if (e == 0)
		e = val_unplace_refs(b->data + was, b->len - was, (unsigned)count);
	if (e < 0)
		b->len = was;
	return e < 0 ? e : count;
}

int
val_walk_actors(const unsigned char *p, size_t n, unsigned nvals,
    int (*fn)(void *arg, uint64_t number, struct span class, struct span methods), void *arg)
{
	struct walk w;
	struct mp_tok t, list, num, class, methods;
	struct mp m;
	int e;

	walk_init(&w, p, n, nvals);
	while ((e = walk_next(&w, &t)) > 0) {
		if (e != WALK_TOKEN || t.kind != MP_EXT || t.ext != VAL_ACTOR)
			continue;
		m = mp_read(t.p, t.n);
		if (mp_next(&m, &list) < 0 || list.kind != MP_ARRAY || list.n < 3 || mp_next(&m, &num) < 0 ||
		    num.kind != MP_INT || mp_next(&m, &class) < 0 || class.kind != MP_STR || mp_next(&m, &methods) < 0 ||
		    methods.kind != MP_STR)
			continue;		/* no handle that anybody could use */
		if ((e = fn(arg, (uint64_t)num.i, span_of(class.p, class.n), span_of(methods.p, methods.n))) < 0)
			return e;
	}
	return e;
}

/* --- errors ------------------------------------------------------------------------------------- */

static int
put_pair(struct buf *b, const char *key, const char *text)
{
	int e;

	if (!text)
		return 0;
	if ((e = mp_put_str(b, key, strlen(key))) < 0)
		return e;
	return mp_put_str(b, text, strlen(text));
}

static int
put_value(struct buf *b, const char *key, const unsigned char *p, size_t n)
{
	int e;

	if (!p)
		return 0;
	if ((e = mp_put_str(b, key, strlen(key))) < 0)
		return e;
	return mp_put_raw(b, p, n);
}

int
val_error_put(struct buf *b, const struct val_err *v)
{
	size_t at = b->len;
	size_t pairs = 2u + !!v->traceback + !!v->task + !!v->node + !!v->attempt + !!v->value + !!v->cause;
	int e;

	if ((e = mp_ext_open(b)) < 0 || (e = mp_put_map(b, pairs)) < 0 ||
	    (e = put_pair(b, "message", v->message ? v->message : err_str(v->code))) < 0 ||
	    (e = put_pair(b, "code", err_word(v->code < 0 ? v->code : ERR_TASK))) < 0 ||
	    (e = put_pair(b, "traceback", v->traceback)) < 0 ||
	    (e = put_pair(b, "task", v->task)) < 0 || (e = put_pair(b, "node", v->node)) < 0 ||
	    (v->attempt && ((e = mp_put_str(b, "attempt", 7)) < 0 || (e = mp_put_uint(b, v->attempt)) < 0)) ||
	    (e = put_value(b, "value", v->value, v->nvalue)) < 0 ||
	    (e = put_value(b, "cause", v->cause, v->ncause)) < 0) {
		b->len = at;
		return e;
	}
	mp_ext_close(b, at, VAL_ERROR);
	return 0;
}

int
val_error(struct buf *b, int code, const char *message, const char *task, const char *node, unsigned attempt,
    const char *traceback)
{
	return val_error_put(b, &(struct val_err){ .code = code, .message = message, .task = task, .node = node,
	    .attempt = attempt, .traceback = traceback });
}

int
val_error_field(const unsigned char *p, size_t n, const char *name, char *out, size_t cap)
{
	struct mp m = mp_read(p, n);
	struct mp_tok t, key, found = { .n = 0 };
	size_t left;

	if (mp_next(&m, &t) < 0)
		return ERR_PROTO;
	if (t.kind == MP_EXT && t.ext == VAL_SHARED && mp_next(&m, &t) < 0)
		return ERR_PROTO;
	if (t.kind != MP_EXT || t.ext != VAL_ERROR)
		return ERR_NOTFOUND;
	m = mp_read(t.p, t.n);
	if (mp_next(&m, &t) < 0 || t.kind != MP_MAP)
		return ERR_PROTO;
	for (left = t.n; left; left--) {
		struct mp value;

		if (mp_next(&m, &key) < 0 || key.kind != MP_STR)
			return ERR_PROTO;
		value = m;
		if (walk_skip(&m) < 0)
			return ERR_PROTO;
		if (mp_next(&value, &t) == 0 && (t.kind == MP_STR || t.kind == MP_BIN) && span_is(span_of(key.p, key.n), name))
			found = t;
	}
	if (cap) {
		if (found.n > cap - 1)
			found.n = cap - 1;
		if (found.n)
			memcpy(out, found.p, found.n);
		out[found.n] = '\0';
	}
	return 0;
}

int
val_error_text(const unsigned char *p, size_t n, char *out, size_t cap, int *code)
{
	char word[32];
	int e, c;

	if ((e = val_error_field(p, n, "message", out, cap)) < 0 || (e = val_error_field(p, n, "code", word, sizeof word)) < 0)
		return e;
	if (code)
		*code = *word && (c = err_of_word(word, strlen(word))) != 0 ? c : ERR_TASK;
	return 0;
}
