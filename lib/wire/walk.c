#include "base/err.h"
#include "wire/walk.h"

static const struct {
	uint32_t lo, hi;
	char class;
} exts[] = {
#define X(name, number, lo, hi, class) [number] = { lo, hi, class },
	VAL_EXT_MAP(X)
#undef X
};

enum { NEXTS = sizeof exts / sizeof exts[0] };

int
walk_class(int ext)
{
	return ext > 0 && ext < NEXTS ? exts[ext].class : 0;
}

int
walk_skip(struct mp *m)
{
	struct mp_tok t;
	struct mp r = *m;
	size_t due = 1;
	int e;

	for (; due; due--) {
		if ((e = mp_next(&r, &t)) < 0 && e != ERR_VALUE)
			return ERR_PROTO;
		if (e == 0 && t.kind == MP_ARRAY)
			due += t.n;
		else if (e == 0 && t.kind == MP_MAP)
			due += 2 * t.n;
		else if (e == 0 && t.kind == MP_EXT && t.ext == VAL_SHARED)
			due++;
		if (due - 1 > (size_t)(r.end - r.p))
			return ERR_PROTO;
	}
	*m = r;
	return 0;
}

void
walk_init(struct walk *w, const unsigned char *p, size_t n, unsigned nvals)
{
	w->m = mp_read(p, n);
	w->depth = 0;
	w->key = false;
	w->shared = 0;
	w->level[0] = (struct walk_level){ .end = w->m.end, .left = nvals, .kind = MP_ARRAY };
}

static bool
names(const unsigned char *p, size_t n, bool two)	/* one name without NUL, or two with a NUL between them */
{
	const unsigned char *nul = memchr(p, 0, n);

	if (!two)
		return !nul;
	return nul && nul > p && nul + 1 < p + n && !memchr(nul + 1, 0, (size_t)(p + n - nul - 1));
}

static int
body_check(const struct walk *w, const struct mp_tok *t)
{
	struct val_buffer v;

	if (!walk_class(t->ext) || t->n < exts[t->ext].lo || t->n > exts[t->ext].hi)
		return ERR_PROTO;
	switch (t->ext) {
	case VAL_BUFFER: return val_buffer_get(&v, t->p, t->n);
	case VAL_MODULE: return names(t->p, t->n, false) ? 0 : ERR_PROTO;
	case VAL_MODFN: return names(t->p, t->n, true) ? 0 : ERR_PROTO;
	case VAL_BACK: return le_get32(t->p) < w->shared ? 0 : ERR_PROTO;
	case VAL_OOB: case VAL_CHAN: return t->p[12] <= 1 ? 0 : ERR_PROTO;
	}
	return 0;
}

/* May t stand here?  Keys are neither nil nor NaN; CLASS is a name and a value, SLICE a REF and two integers, ERROR one map with names as keys. */
static int
place_check(const struct walk *w, const struct mp_tok *t)
{
	const struct walk_level *l = &w->level[w->depth];

	if (w->key) {
		if (t->kind == MP_NIL || (t->kind == MP_FLOAT && t->d != t->d))
			return ERR_PROTO;
		if (l[-1].kind == MP_EXT && l[-1].ext == VAL_ERROR && t->kind != MP_STR)
			return ERR_PROTO;
	}
	if (l->kind != MP_EXT)
		return 0;
	if (l->ext == VAL_ERROR)
		return l->left == 1 && t->kind == MP_MAP ? 0 : ERR_PROTO;
	if (l->ext == VAL_SLICE)
		return l->left == 1 ? (t->kind == MP_EXT && t->ext == VAL_REF ? 0 : ERR_PROTO) :
		    l->left <= 3 && t->kind == MP_INT ? 0 : ERR_PROTO;
	if (l->ext == VAL_CLASS)
		return l->left == 1 ? (t->kind == MP_STR ? 0 : ERR_PROTO) : l->left == 2 ? 0 : ERR_PROTO;
	return 0;
}

static int
open_level(struct walk *w, const struct mp_tok *t)
{
	struct walk_level *l;

	if (w->depth == VAL_DEPTH_READ)
		return ERR_PROTO;
	l = &w->level[++w->depth];
	*l = (struct walk_level){ .end = w->m.end, .left = t->n, .kind = t->kind };
	if (t->kind == MP_MAP)
		l->left *= 2;
	if (t->kind == MP_EXT) {
		l->ext = t->ext;
		l->left = 0;
		w->m = mp_read(t->p, t->n);
	}
	return 0;
}

static int
close_level(struct walk *w)
{
	struct walk_level *l = &w->level[w->depth];

	if (l->kind == MP_EXT) {
		if (l->left != (l->ext == VAL_SLICE ? 3 : l->ext == VAL_CLASS ? 2 : l->ext == VAL_ERROR ? 1 : l->left))
			return ERR_PROTO;
		w->m.end = l->end;
	}
	w->depth--;
	return WALK_CLOSE;
}

int
walk_next(struct walk *w, struct mp_tok *t)
{
	struct walk_level *l = &w->level[w->depth];
	int e;

	if (l->kind == MP_EXT ? w->m.p == w->m.end : l->left == 0) {
		if (w->depth == 0)
			return w->m.p == w->m.end ? WALK_END : ERR_PROTO;
		return close_level(w);
	}
	w->key = l->kind == MP_MAP && !(l->left & 1);
	l->left += l->kind == MP_EXT ? 1 : -(size_t)1;
	if ((e = mp_next(&w->m, t)) < 0)
		return e;
	if (t->kind == MP_EXT && t->ext == VAL_SHARED) {	/* a prefix; the value itself is next */
		if (t->n != 4 || le_get32(t->p) != w->shared)
			return ERR_PROTO;
		w->shared++;
		if ((e = mp_next(&w->m, t)) < 0)
			return e;
		if (t->kind == MP_EXT && (t->ext == VAL_SHARED || t->ext == VAL_BACK))
			return ERR_PROTO;
	}
	if ((e = place_check(w, t)) < 0 || (t->kind == MP_EXT && (e = body_check(w, t)) < 0))
		return e;
	if (t->kind == MP_ARRAY || t->kind == MP_MAP ||
	    (t->kind == MP_EXT && (walk_class(t->ext) == 'n' || walk_class(t->ext) == 'c')))
		if ((e = open_level(w, t)) < 0)
			return e;
	return WALK_TOKEN;
}
