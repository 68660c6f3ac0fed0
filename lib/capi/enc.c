/*
 * enc - struct rota_value to bytes, as lib/script does it for Lua: strings and buffers over VAL_OOB_MIN lie out of band.
 */
#include "capi/inner.h"
#include "wire/val.h"

static int
oob(struct cenc *e, const void *p, size_t n)
{
	e->seg[e->nseg] = (struct seg){ p, n };
	return (int)e->nseg++;
}

static bool
apart(const struct cenc *e, size_t n)
{
	return n > VAL_OOB_MIN && !e->whole && e->nseg < CAPI_SEGS;
}

static int
string(struct cenc *e, const struct rota_value *v)
{
	unsigned char body[13];

	if (v->n && !v->s)
		return capi_say(ROTA_EVALUE, "a string of %zu bytes without its bytes", v->n);
	if (!apart(e, v->n))
		return v->n > MP_MAX_LEN ? ERR_VALUE : mp_put_str(&e->b, v->s, v->n);
	le_put32(body, (uint32_t)oob(e, v->s, v->n));
	le_put64(body + 4, v->n);
	body[12] = 0;
	return mp_put_ext(&e->b, VAL_OOB, body, sizeof body);
}

static int
buffer(struct cenc *e, const struct rota_value *v)
{
	struct val_buffer b = { .dtype = v->dtype, .ndim = v->ndim, .bytes = v->n, .p = v->p };
	bool fill = e->fill && !v->p;
	uint64_t bytes = rota_dtype_size(v->dtype);

	if (bytes == 0 || v->ndim > VAL_NDIM_MAX)
		return capi_say(ROTA_EVALUE, "a buffer of element type %d with %d dimensions", v->dtype, v->ndim);
	for (unsigned i = 0; i < v->ndim; i++) {
		b.shape[i] = rota_shape(v, i);
		if (__builtin_mul_overflow(bytes, b.shape[i], &bytes))
			return capi_say(ROTA_EVALUE, "a buffer with more elements than there are bytes");
	}
	if (bytes != v->n)
		return capi_say(ROTA_EVALUE, "a buffer of %zu bytes whose shape has %llu", v->n, (unsigned long long)bytes);
	if (!v->p && v->n && !fill)
		return capi_say(ROTA_EVALUE, "a buffer without its elements");
	if (fill && e->nseg == CAPI_SEGS)
		return capi_say(ROTA_EVALUE, "more than %d buffers to be filled", CAPI_SEGS);
	if (fill || apart(e, v->n)) {
		b.oob = true;
		b.index = (uint32_t)oob(e, v->p, v->n);
	}
	return val_buffer_put(&e->b, &b);
}

static int
reference(struct cenc *e, const struct rota_value *v, unsigned depth)
{
	unsigned char body[WREF_SIZE];
	struct wref w;

	if (v->form != FORM_OWN) {
		memcpy(body, v->p, sizeof body);
		e->flags |= PAYLOAD_REFS;
		return mp_put_ext(&e->b, VAL_REF, body, sizeof body);
	}
	if (!v->ref)
		return capi_say(ROTA_EVALUE, "a reference that is NULL");
	client_export(e->x->c, rec_of(v->ref), &w);
	e->flags |= PAYLOAD_REFS;
	if (depth == 0 && e->top && (w.off == 0 || w.flags & WREF_ERROR))
		e->flags |= PAYLOAD_PENDING;
	val_wref_pack(body, &w);
	return mp_put_ext(&e->b, depth == 0 && e->top ? VAL_VALREF : VAL_REF, body, sizeof body);
}

/* as lib/script writes a handle: number, class, methods, retries */
static int
actor(struct cenc *e, const struct rota_value *v)
{
	struct buf b = BUF_INIT;
	struct span m;
	int r;

	e->flags |= PAYLOAD_REFS;
	if (v->form != FORM_OWN)
		return mp_put_ext(&e->b, VAL_ACTOR, v->p, v->n);
	if (!v->actor)
		return capi_say(ROTA_EVALUE, "an actor handle that is NULL");
	m = actor_methods((struct actor *)(void *)v->actor);
	if ((r = mp_put_array(&b, 4)) == 0 &&
	    (r = mp_put_int(&b, (int64_t)actor_number((struct actor *)(void *)v->actor))) == 0 &&
	    (r = mp_put_str(&b, actor_class((struct actor *)(void *)v->actor),
	    strlen(actor_class((struct actor *)(void *)v->actor)))) == 0 && (r = mp_put_str(&b, m.p, m.n)) == 0 &&
	    (r = mp_put_int(&b, actor_retries((struct actor *)(void *)v->actor))) == 0)
		r = mp_put_ext(&e->b, VAL_ACTOR, b.data, b.len);
	buf_release(&b);
	return r;
}

static int
error(struct cenc *e, const struct rota_value *v)
{
	char text[1024];
	size_t n = v->n < sizeof text - 1 ? v->n : sizeof text - 1;

	memcpy(text, v->s, n);
	text[n] = '\0';
	return val_error_put(&e->b, &(struct val_err){ .code = v->code, .message = text });
}

static int
container(struct cenc *e, const struct rota_value *v, unsigned depth)
{
	size_t n = v->type == ROTA_MAP ? 2 * v->n : v->n;
	struct rota_value k;
	struct rota_iter it;
	int r;

	if (depth >= VAL_DEPTH)
		return capi_say(ROTA_EVALUE, "nested deeper than %d", VAL_DEPTH);
	if (v->form == FORM_OWN && v->n && !v->v)
		return capi_say(ROTA_EVALUE, "an array or map without its elements");
	r = v->type == ROTA_MAP ? mp_put_map(&e->b, v->n) : mp_put_array(&e->b, v->n);
	if (v->form == FORM_OWN) {
		for (size_t i = 0; r == 0 && i < n; i++) {
			if (v->type == ROTA_MAP && i % 2 == 0 && v->v[i].type == ROTA_NIL)
				return capi_say(ROTA_EVALUE, "nil as a key of a map");
			r = cenc_value(e, &v->v[i], depth + 1);
		}
		return r;
	}
	if (r == 0 && (r = rota_iter(&it, v)) == 0)
		while ((r = rota_next(&it, &k)) > 0)
			if ((r = cenc_value(e, &k, depth + 1)) < 0)
				break;
	return r;
}

int
cenc_value(struct cenc *e, const struct rota_value *v, unsigned depth)
{
	switch (v->type) {
	case ROTA_NIL: return mp_put_nil(&e->b);
	case ROTA_BOOL: return mp_put_bool(&e->b, v->i != 0);
	case ROTA_INT: return mp_put_int(&e->b, v->i);
	case ROTA_FLOAT: return mp_put_float(&e->b, v->d);
	case ROTA_STRING: return string(e, v);
	case ROTA_ARRAY: case ROTA_MAP: return container(e, v, depth);
	case ROTA_BUFFER: return buffer(e, v);
	case ROTA_REF: return reference(e, v, depth);
	case ROTA_ACTOR: return actor(e, v);
	case ROTA_ERROR: return error(e, v);
	}
	return capi_say(ROTA_EVALUE, v->type == ROTA_OTHER ? "a value that only Lua can pass on" : "a value of no known type");
}

static int
all(struct cenc *e, const struct rota_value *v, size_t n)
{
	e->b.len = 0;
	e->nseg = e->flags = 0;
	e->nvals = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		int r = cenc_value(e, &v[i], 0);

		if (r < 0)
			return r;
	}
	return 0;
}

int
cenc_values(struct cenc *e, const struct rota_value *v, size_t n)
{
	int r;

	if (n > UINT16_MAX / 2)
		return capi_say(ROTA_EVALUE, "%zu values at once; at most %d", n, UINT16_MAX / 2);
	r = all(e, v, n);
	if (r == 0 && e->nseg && e->flags & PAYLOAD_PENDING) {	/* rebuilt once all are ready: all in one piece */
		e->whole = true;
		r = all(e, v, n);
	}
	return r;
}

void
cenc_payload(const struct cenc *e, struct payload *p)
{
	*p = (struct payload){ e->b.data, e->b.len, e->nvals, e->flags, e->seg, e->nseg };
}
