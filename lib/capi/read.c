/*
 * read - encoded values as struct rota_value: in place, one at a time, nothing is built.
 */
#include "capi/inner.h"
#include "wire/val.h"

size_t
rota_dtype_size(int dtype)
{
	return dtype > 0 ? val_dtype_size((unsigned)dtype) : 0;
}

uint64_t
rota_shape(const struct rota_value *v, unsigned dim)
{
	if (v->type != ROTA_BUFFER || dim >= v->ndim || !v->x)
		return 0;
	if (v->form == FORM_CUT && dim == 0) {		/* what is left of its first axis */
		uint64_t row = rota_dtype_size(v->dtype);

		for (unsigned k = 1; k < v->ndim; k++)
			row *= rota_shape(v, k);
		return row ? v->n / row : 0;
	}
	return v->form == FORM_OWN ? ((const uint64_t *)v->x)[dim] : le_get64((const unsigned char *)v->x + 8 * dim);
}

/* --- out-of-band buffers --------------------------------------------------------------------------------------- */

static int
oob(const void *x, uint32_t i, const unsigned char **p, uint64_t *n)
{
	struct value v;

	if (!x)
		return ROTA_EPROTO;
	if ((uintptr_t)x & CREAD_VIEW)
		return obj_view_buf(client_arena(capi_client), (const void *)((const char *)x - CREAD_VIEW), i, p, n);
	if (client_value(capi_client, (struct rec *)(uintptr_t)x, &v) < 0 || !v.arena)
		return ROTA_ELOST;
	return obj_view_buf(client_arena(capi_client), &v.view, i, p, n);
}

static int
far_string(const unsigned char *body, struct rota_value *v, const void *x)
{
	const unsigned char *p;
	uint64_t n, want = le_get64(body + 4);
	int e = oob(x, le_get32(body), &p, &n);

	if (e < 0)
		return e;
	if (want > n)
		return ROTA_EPROTO;
	v->type = ROTA_STRING;
	v->s = (const char *)p;
	v->n = (size_t)want;
	return 0;
}

static int
buffer(const struct mp_tok *t, struct rota_value *v, const void *x)
{
	struct val_buffer b;
	uint64_t n;
	int e;

	if (val_buffer_get(&b, t->p, t->n) < 0)
		return ROTA_EPROTO;
	if (b.oob) {
		if ((e = oob(x, b.index, &b.p, &n)) < 0)
			return e;
		if (n < b.bytes)
			return ROTA_EPROTO;
	}
	v->type = ROTA_BUFFER;
	v->dtype = b.dtype;
	v->ndim = b.ndim;
	v->p = b.p;
	v->n = (size_t)b.bytes;
	v->x = t->p + 2;
	return 0;
}

/* the message in place, so that it lives as long as the value */
static int
error(const struct mp_tok *t, const unsigned char *whole, struct rota_value *v)
{
	struct mp m = mp_read(t->p, t->n);
	struct mp_tok map, key, val;
	char text[1];
	int code = ROTA_ETASK;

	v->type = ROTA_ERROR;
	v->s = "";
	v->n = 0;
	val_error_text(whole, (size_t)(t->p + t->n - whole), text, sizeof text, &code);
	v->code = code;
	if (mp_next(&m, &map) < 0 || map.kind != MP_MAP)
		return ROTA_EPROTO;
	for (size_t left = map.n; left > 0; left--) {
		const unsigned char *at;
		ssize_t len;

		if (mp_next(&m, &key) < 0)
			return ROTA_EPROTO;
		at = m.p;
		if ((len = val_first(at, (size_t)(m.end - at))) < 0)
			return ROTA_EPROTO;
		if (key.kind == MP_STR && key.n == 7 && memcmp(key.p, "message", 7) == 0 && mp_next(&m, &val) == 0 &&
		    (val.kind == MP_STR || val.kind == MP_BIN)) {
			v->s = (const char *)val.p;
			v->n = val.n;
			return 0;
		}
		m.p = at + len;
	}
	return 0;
}

static int
ext(const struct mp_tok *t, const unsigned char *whole, struct rota_value *v, const void *x)
{
	v->type = ROTA_OTHER;
	v->p = whole;
	switch (t->ext) {
	case VAL_REF: case VAL_VALREF:
		if (t->n != WREF_SIZE)
			return ROTA_EPROTO;
		v->type = ROTA_REF;
		v->p = t->p;
		return 0;
	case VAL_ACTOR:
		v->type = ROTA_ACTOR;
		v->p = t->p;
		v->n = t->n;
		return 0;
	case VAL_BUFFER: return buffer(t, v, x);
	case VAL_ERROR: return error(t, whole, v);
	case VAL_OOB: return t->n == 13 ? far_string(t->p, v, x) : ROTA_EPROTO;
	case VAL_NULL: v->type = ROTA_NIL; return 0;
	}
	return 0;
}

int
cread_value(struct mp *m, struct rota_value *v, unsigned char form, const void *x)
{
	const unsigned char *whole = m->p;
	struct mp_tok t;
	ssize_t len;
	int e;

	if ((e = mp_next(m, &t)) < 0 && e != ERR_VALUE)
		return ROTA_EPROTO;
	if (e == 0 && t.kind == MP_EXT && t.ext == VAL_SHARED) {	/* a table that comes again: here it is once */
		whole = m->p;
		if (mp_next(m, &t) < 0)
			return ROTA_EPROTO;
	}
	memset(v, 0, sizeof *v);
	v->form = form;
	switch (t.kind) {
	case MP_NIL: v->type = ROTA_NIL; return 0;
	case MP_BOOL: v->type = ROTA_BOOL; v->i = t.b; return 0;
	case MP_INT:
		v->type = ROTA_INT;
		v->i = t.i;
		return e == 0 ? 0 : ROTA_EVALUE;
	case MP_FLOAT: v->type = ROTA_FLOAT; v->d = t.d; return 0;
	case MP_STR: case MP_BIN:
		v->type = ROTA_STRING;
		v->s = (const char *)t.p;
		v->n = t.n;
		return 0;
	case MP_EXT: return ext(&t, whole, v, x);
	case MP_ARRAY: case MP_MAP: break;
	}
	if ((len = val_first(whole, (size_t)(m->end - whole))) < 0 || len > INT32_MAX)
		return ROTA_EPROTO;
	v->type = t.kind == MP_ARRAY ? ROTA_ARRAY : ROTA_MAP;
	v->n = t.n;
	v->p = m->p;
	v->code = (int32_t)(whole + len - m->p);	/* bytes of its elements */
	v->x = x;
	m->p = whole + len;
	return 0;
}

/* --- looking into values ------------------------------------------------------------------------------------------ */

int
rota_get_int(const struct rota_value *v, int64_t *i)
{
	if (v->type == ROTA_INT) {
		*i = v->i;
		return 0;
	}
	if (v->type != ROTA_FLOAT || !(v->d >= -0x1p63 && v->d < 0x1p63) || (double)(int64_t)v->d != v->d)
		return capi_say(ROTA_EVALUE, "an integer is expected");
	*i = (int64_t)v->d;
	return 0;
}

int
rota_get_float(const struct rota_value *v, double *d)
{
	if (v->type != ROTA_FLOAT && v->type != ROTA_INT)
		return capi_say(ROTA_EVALUE, "a number is expected");
	*d = v->type == ROTA_FLOAT ? v->d : (double)v->i;
	return 0;
}

int
rota_iter(struct rota_iter *it, const struct rota_value *v)
{
	if (v->type != ROTA_ARRAY && v->type != ROTA_MAP)
		return capi_say(ROTA_EVALUE, "an array or a map is expected");
	memset(it, 0, sizeof *it);
	it->left = v->type == ROTA_MAP ? 2 * v->n : v->n;
	it->form = v->form;
	if (v->form == FORM_OWN) {
		it->v = v->v;
	} else {
		it->p = v->p;
		it->end = it->p + v->code;
		it->x = v->x;
	}
	return 0;
}

int
rota_next(struct rota_iter *it, struct rota_value *v)
{
	struct mp m = { it->p, it->end };
	int e;

	if (it->left == 0)
		return 0;
	it->left--;
	if (it->form == FORM_OWN) {
		*v = *it->v++;
		return 1;
	}
	if ((e = cread_value(&m, v, it->form, it->x)) < 0)
		return e;
	it->p = m.p;
	return 1;
}

int
rota_at(const struct rota_value *array, size_t i, struct rota_value *out)
{
	struct rota_iter it;
	int e;

	if (array->type != ROTA_ARRAY)
		return capi_say(ROTA_EVALUE, "an array is expected");
	if (i >= array->n)
		return capi_say(ROTA_ENOTFOUND, "no element %zu in an array of %zu", i, array->n);
	if (array->form == FORM_OWN) {
		*out = array->v[i];
		return 0;
	}
	if ((e = rota_iter(&it, array)) < 0)
		return e;
	do
		e = rota_next(&it, out);
	while (e > 0 && i-- > 0);
	return e < 0 ? e : 0;
}

int
rota_field(const struct rota_value *map, const char *key, struct rota_value *out)
{
	size_t n = strlen(key);
	struct rota_value k, v;
	struct rota_iter it;
	int e;

	if (map->type != ROTA_MAP)
		return capi_say(ROTA_EVALUE, "a map is expected");
	if ((e = rota_iter(&it, map)) < 0)
		return e;
	while ((e = rota_next(&it, &k)) > 0 && (e = rota_next(&it, &v)) > 0)
		if (k.type == ROTA_STRING && k.n == n && memcmp(k.s, key, n) == 0) {
			*out = v;
			return 0;
		}
	return e < 0 ? e : capi_say(ROTA_ENOTFOUND, "no key '%s'", key);
}

/* --- references and handles that came in ---------------------------------------------------------------------------- */

int
rota_ref_of(struct rota_ctx *x, const struct rota_value *v, struct rota_ref **r)
{
	struct wref w;
	struct rec *k;
	bool was;

	if (v->type != ROTA_REF)
		return capi_say(ROTA_EVALUE, "a reference is expected");
	if (v->form == FORM_OWN) {
		client_retain(x->c, rec_of(v->ref));
		*r = v->ref;
		return 0;
	}
	val_wref_unpack(&w, v->p);
	was = v->form == FORM_ARGS && client_decoding(x->c, true);
	k = client_import(x->c, &w);
	if (v->form == FORM_ARGS)
		client_decoding(x->c, was);
	if (!k)
		return -ENOMEM;
	*r = ref_of(k);
	return 0;
}

int
rota_actor_of(struct rota_ctx *x, const struct rota_value *v, struct rota_actor **out)
{
	struct mp m = mp_read(v->p, v->n);
	struct mp_tok list, num, class, methods, retries = { .i = 0 };
	struct actor *a;

	if (v->type != ROTA_ACTOR)
		return capi_say(ROTA_EVALUE, "an actor is expected");
	if (v->form == FORM_OWN) {
		client_actor_retain(x->c, (struct actor *)(void *)v->actor);
		*out = v->actor;
		return 0;
	}
	if (mp_next(&m, &list) < 0 || list.kind != MP_ARRAY || list.n < 3 || mp_next(&m, &num) < 0 || num.kind != MP_INT ||
	    mp_next(&m, &class) < 0 || class.kind != MP_STR || mp_next(&m, &methods) < 0 || methods.kind != MP_STR ||
	    (list.n > 3 && (mp_next(&m, &retries) < 0 || retries.kind != MP_INT)))
		return ROTA_EPROTO;
	a = client_actor_import(x->c, (uint64_t)num.i, (const char *)class.p, class.n, methods.p, methods.n, (int)retries.i);
	if (!a)
		return -ENOMEM;
	*out = (struct rota_actor *)(void *)a;
	return 0;
}
