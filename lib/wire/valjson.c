#include <math.h>
#include <stdio.h>
#include "base/err.h"
#include "base/json.h"
#include "wire/walk.h"

struct out {
	struct buf *b;
	struct walk w;
	unsigned mute;			/* nothing inside this level is shown; 0: all is */
	const struct val_oob *oob;
	unsigned noob;
};

static const unsigned char *
oob_bytes(const struct out *o, uint32_t index, uint64_t n)	/* NULL: not at hand */
{
	return index < o->noob && o->oob[index].n >= n ? o->oob[index].p : NULL;
}

static double
half(uint16_t v)			/* IEEE binary16 */
{
	int exp = v >> 10 & 31, frac = v & 1023;
	double d = exp == 0 ? ldexp(frac, -24) : exp == 31 ? (frac ? NAN : INFINITY) : ldexp(frac + 1024, exp - 25);

	return v & 0x8000 ? -d : d;
}

static int
element(struct buf *b, unsigned dtype, const unsigned char *p)
{
	unsigned part;
	uint32_t u;
	uint64_t v;
	float f;
	double d;
	int e;

	switch (dtype) {
	case VAL_BOOL: return *p ? buf_add(b, "true", 4) : buf_add(b, "false", 5);
	case VAL_C64:				/* [re,im] */
	case VAL_C128:
		part = dtype == VAL_C64 ? VAL_F32 : VAL_F64;
		if ((e = buf_add(b, "[", 1)) < 0 || (e = element(b, part, p)) < 0 || (e = json_item(b)) < 0 ||
		    (e = element(b, part, p + val_dtype_size(part))) < 0)
			return e;
		return buf_add(b, "]", 1);
	case VAL_U8: return json_uint(b, *p);
	case VAL_I8: return json_int(b, (int8_t)*p);
	case VAL_U16: return json_uint(b, le_get16(p));
	case VAL_I16: return json_int(b, (int16_t)le_get16(p));
	case VAL_U32: return json_uint(b, le_get32(p));
	case VAL_I32: return json_int(b, (int32_t)le_get32(p));
	case VAL_U64: return json_uint(b, le_get64(p));
	case VAL_I64: return json_int(b, (int64_t)le_get64(p));
	case VAL_F16: return json_num(b, half(le_get16(p)));
	case VAL_F32:
	case VAL_BF16:				/* the upper half of a float */
		u = dtype == VAL_F32 ? le_get32(p) : (uint32_t)le_get16(p) << 16;
		memcpy(&f, &u, sizeof f);
		return json_num(b, (double)f);
	default:
		v = le_get64(p);
		memcpy(&d, &v, sizeof d);
		return json_num(b, d);
	}
}

static int
buffer(struct out *o, const struct mp_tok *t)		/* {"dtype":"f64","shape":[2],"data":[0.5,1.0]} */
{
	struct buf *b = o->b;
	struct val_buffer v;
	const unsigned char *p;
	uint64_t i, size;
	int e;

	if ((e = val_buffer_get(&v, t->p, t->n)) < 0)
		return e;
	if ((e = buf_printf(b, "{\"dtype\":\"%s\",\"shape\":[", val_dtype_word(v.dtype))) < 0)
		return e;
	for (i = 0; i < v.ndim; i++)
		if ((e = json_item(b)) < 0 || (e = json_uint(b, v.shape[i])) < 0)
			return e;
	if ((e = buf_add(b, "]", 1)) < 0)
		return e;
	if ((p = v.oob ? oob_bytes(o, v.index, v.bytes) : v.p)) {
		size = val_dtype_size(v.dtype);
		if ((e = json_key(b, "data")) < 0 || (e = buf_add(b, "[", 1)) < 0)
			return e;
		for (i = 0; i < v.bytes; i += size)
			if ((e = json_item(b)) < 0 || (e = element(b, v.dtype, p + i)) < 0)
				return e;
		if ((e = buf_add(b, "]", 1)) < 0)
			return e;
	}
	return buf_add(b, "}", 1);
}

/* What has no form in JSON is shown as a string in brackets; as keys, containers too. */
static int
bracketed(struct out *o, const struct mp_tok *t)
{
	static const char *const word[] = { [VAL_FUNC] = "function", [VAL_TASK] = "task", [VAL_ACTOR] = "actor",
		[VAL_BUFFER] = "buffer", [VAL_ERROR] = "error", [VAL_MODULE] = "module ", [VAL_MODFN] = "function ",
		[VAL_GLOBALS] = "globals", [VAL_SHARED] = "shared", [VAL_BACK] = "shared", [VAL_CLASS] = "table",
		[VAL_NULL] = "null", [VAL_OOB] = "bytes", [VAL_CHAN] = "channel", [VAL_SLICE] = "slice" };
	struct buf s = BUF_INIT;
	char *dot;
	int e;

	if ((e = buf_printf(&s, "[%s", t->kind == MP_EXT ? word[t->ext] : "table")) < 0)
		goto out;
	if (t->kind == MP_EXT && (t->ext == VAL_MODULE || t->ext == VAL_MODFN)) {
		size_t at = s.len;

		if ((e = buf_add(&s, t->p, t->n)) < 0)
			goto out;
		if ((dot = memchr(s.data + at, 0, t->n)))
			*dot = '.';
	}
	if ((e = buf_add(&s, "]", 1)) == 0)
		e = json_str(o->b, s.data, s.len);
out:
	buf_release(&s);
	return e;
}

static int
ref(struct buf *b, const struct mp_tok *t)
{
	struct wref r;
	char s[ID_TEXT];

	val_wref_unpack(&r, t->p);
	id_format(s, r.id);
	return json_str(b, s, ID_TEXT - 1);
}

static int
key(struct out *o, const struct mp_tok *t)
{
	struct buf *b = o->b;
	int e;

	if (t->kind == MP_STR || t->kind == MP_BIN)
		e = json_str(b, t->p, t->n);
	else if (t->kind == MP_EXT && (t->ext == VAL_REF || t->ext == VAL_VALREF))
		e = ref(b, t);
	else if (t->kind == MP_INT || t->kind == MP_FLOAT || t->kind == MP_BOOL) {
		if ((e = buf_add(b, "\"", 1)) < 0)
			return e;
		e = t->kind == MP_INT ? json_int(b, t->i) : t->kind == MP_FLOAT ? json_num(b, t->d) :
		    json_bool(b, t->b);
		if (e == 0)
			e = buf_add(b, "\"", 1);
	} else
		e = bracketed(o, t);
	return e < 0 ? e : buf_add(b, ":", 1);
}

static int
ext(struct out *o, const struct mp_tok *t)
{
	const unsigned char *p;
	uint64_t n;

	switch (t->ext) {
	case VAL_REF:
	case VAL_VALREF:
		return ref(o->b, t);
	case VAL_BUFFER:
		return buffer(o, t);
	case VAL_NULL:
		return json_null(o->b);
	case VAL_ERROR:
	case VAL_CLASS:			/* what they hold follows and stands for them */
		return 0;
	case VAL_OOB:
		n = le_get64(t->p + 4);
		p = oob_bytes(o, le_get32(t->p), n);
		return p ? json_str(o->b, p, n) : buf_printf(o->b, "\"[%llu bytes]\"", (unsigned long long)n);
	}
	return bracketed(o, t);
}

static int
token(struct out *o, const struct mp_tok *t)
{
	bool nested = t->kind == MP_EXT && (walk_class(t->ext) == 'n' || walk_class(t->ext) == 'c');
	bool opened = t->kind == MP_ARRAY || t->kind == MP_MAP || nested;
	const struct walk_level *l = &o->w.level[o->w.depth - opened];
	struct buf *b = o->b;
	int e;

	if (o->mute)
		return 0;
	if (l->kind == MP_EXT) {
		if (l->ext == VAL_CLASS && l->left == 1)
			return 0;		/* the name of the class */
	} else if (l != o->w.level && (e = json_item(b)) < 0)
		return e;
	if (opened && (o->w.key || (nested && t->ext != VAL_ERROR && t->ext != VAL_CLASS)))
		o->mute = o->w.depth;
	if (o->w.key)
		return key(o, t);
	switch (t->kind) {
	case MP_NIL: return json_null(b);
	case MP_BOOL: return json_bool(b, t->b);
	case MP_INT: return json_int(b, t->i);
	case MP_FLOAT: return json_num(b, t->d);
	case MP_STR:
	case MP_BIN: return json_str(b, t->p, t->n);
	case MP_ARRAY: return buf_add(b, "[", 1);
	case MP_MAP: return buf_add(b, "{", 1);
	case MP_EXT: return ext(o, t);
	}
	return 0;
}

static int
closed(struct out *o)
{
	const struct walk_level *l = &o->w.level[o->w.depth + 1];

	if (o->mute) {
		if (o->mute == o->w.depth + 1)
			o->mute = 0;
		return 0;
	}
	return l->kind == MP_ARRAY ? buf_add(o->b, "]", 1) : l->kind == MP_MAP ? buf_add(o->b, "}", 1) : 0;
}

int
val_to_json_oob(struct buf *b, const unsigned char *p, size_t n, unsigned nvals, const struct val_oob *oob,
    unsigned noob)
{
	struct out o = { .b = b, .oob = oob, .noob = noob };
	size_t start = b->len, left;
	struct mp_tok t;
	int e;

	walk_init(&o.w, p, n, nvals);
	for (;;) {
		left = o.w.level[0].left;
		if ((e = walk_next(&o.w, &t)) <= 0)
			break;
		if (e == WALK_CLOSE)
			e = closed(&o);
		else {
			/* the next of the values themselves, not the first */
			if (o.w.level[0].left != left && left != nvals && (e = buf_add(b, "\t", 1)) < 0)
				break;
			e = token(&o, &t);
		}
		if (e < 0)
			break;
	}
	if (e < 0)
		b->len = start;
	return e;
}

int
val_to_json(struct buf *b, const unsigned char *p, size_t n, unsigned nvals)
{
	return val_to_json_oob(b, p, n, nvals, NULL, 0);
}
