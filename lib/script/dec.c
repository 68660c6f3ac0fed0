/*
 * Decoding.  Plain scalars are pushed at once; anything else is done in one protected call.  Every length is
 * checked by mp_next against the bytes there are; depth and what is allocated ahead are bounded.
 */
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include "script/buffer.h"
#include "script/codec_priv.h"
#include "script/func.h"

void
dec_fail(struct dec_run *d, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lua_pushvfstring(d->L, fmt, ap);
	va_end(ap);
	d->code = code;
	lua_error(d->L);
	__builtin_unreachable();	/* lua_error is not declared so */
}

static _Noreturn void
malformed(struct dec_run *d)
{
	dec_fail(d, ERR_PROTO, "malformed value");
}

void
dec_share(struct dec_run *d, long num)
{
	lua_State *L = d->L;

	if (num == DEC_NONE)
		return;
	if (!lua_istable(L, d->shared)) {
		lua_newtable(L);
		lua_replace(L, d->shared);
	}
	lua_pushvalue(L, -1);
	lua_rawseti(L, d->shared, num + 1);
}

/* --- containers --- */

static int
ahead(struct dec_run *d, size_t n)		/* of n elements, how many may be allocated before they are seen */
{
	if (n > d->budget)
		n = d->budget;
	d->budget -= n;
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

static void
dec_array(struct dec_run *d, size_t n, int depth, long num)
{
	lua_State *L = d->L;
	size_t i;

	lua_createtable(L, ahead(d, n), 0);
	if (n == 0)
		luaL_setmetatable(L, "rota.array");
	dec_share(d, num);
	for (i = 1; i <= n; i++) {
		dec_any(d, depth + 1, DEC_NONE);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
}

static void
dec_map(struct dec_run *d, size_t n, int depth, long num)
{
	lua_State *L = d->L;

	lua_createtable(L, 0, ahead(d, n));
	dec_share(d, num);
	for (; n; n--) {
		dec_any(d, depth + 1, DEC_NONE);
		if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1))))
			malformed(d);
		dec_any(d, depth + 1, DEC_NONE);
		lua_rawset(L, -3);
	}
}

/* --- exts --- */

static void
push_view(struct dec_run *d, struct nd *a)	/* of a segment; read-only */
{
	if (lua_isnil(d->L, d->anchor))
		buffer_push_packed(d->L, a)->a.readonly = true;
	else {
		a->readonly = true;
		buffer_push_view(d->L, a, d->anchor);
		if (d->src->viewed)
			*d->src->viewed = true;
	}
}

static const struct enc_seg *
segment(struct dec_run *d, uint32_t index, uint64_t n)
{
	if (!d->src || index >= d->src->nseg || d->src->seg[index].n < n)
		dec_fail(d, ERR_PROTO, "a value lies outside of its object");
	return &d->src->seg[index];
}

static void
dec_oob(struct dec_run *d, const unsigned char *p)
{
	uint64_t n = le_get64(p + 4);
	const struct enc_seg *s = segment(d, le_get32(p), n);
	struct nd a;

	if (p[12] > 1)
		malformed(d);
	if ((n < DEC_BUFFER_MIN && !(d->flags & DEC_VIEWS)) || d->flags & DEC_STRINGS)
		lua_pushlstring(d->L, s->p, n);
	else {
		nd_init(&a, ND_U8, 1, (int64_t[]){ (int64_t)n }, (void *)(uintptr_t)s->p);
		push_view(d, &a);
	}
}

static void
dec_buffer(struct dec_run *d, const struct mp_tok *t)
{
	int64_t shape[ND_DIMS];
	struct val_buffer v;
	struct nd a;
	unsigned i;

	if (val_buffer_get(&v, t->p, t->n) < 0)
		malformed(d);
	if (v.ndim > ND_DIMS)
		dec_fail(d, ERR_VALUE, "a buffer of %d dimensions (at most %d are known here)", (int)v.ndim, ND_DIMS);
	for (i = 0; i < v.ndim; i++)
		shape[i] = (int64_t)v.shape[i];
	if (nd_init(&a, v.dtype, v.ndim, shape, NULL) < 0)
		malformed(d);
	if (v.oob) {
		a.data = (unsigned char *)(uintptr_t)segment(d, v.index, v.bytes)->p;	/* read-only: not written to */
		push_view(d, &a);
	} else {
		a.data = (unsigned char *)(uintptr_t)v.p;
		buffer_push_packed(d->L, &a)->a.readonly = true;
	}
}

static void
dec_error(struct dec_run *d, int depth, long num)
{
	lua_State *L = d->L;
	struct mp_tok t;
	size_t n;

	if (mp_next(&d->m, &t) < 0 || t.kind != MP_MAP)
		malformed(d);
	n = t.n;
	lua_createtable(L, 0, ahead(d, n));
	dec_share(d, num);
	for (; n; n--) {
		if (mp_next(&d->m, &t) < 0 || t.kind != MP_STR)
			malformed(d);
		lua_pushlstring(L, (const char *)t.p, t.n);
		dec_any(d, depth + 2, DEC_NONE);
		lua_rawset(L, -3);
	}
	lua_pushliteral(L, "message");
	lua_rawget(L, -2);
	lua_pushliteral(L, "code");
	lua_rawget(L, -3);
	if (lua_type(L, -1) != LUA_TSTRING || lua_type(L, -2) != LUA_TSTRING)
		malformed(d);
	lua_pop(L, 2);
	luaL_setmetatable(L, "rota.error");
}

static void
dec_handle(struct dec_run *d, bool task, int depth, long num)
{
	const struct codec_hooks *h = d->st->hooks;
	static const struct dec_src none;
	const struct dec_src *src = d->src ? d->src : &none;
	lua_State *L = d->L;
	int top = lua_gettop(L);

	if (task ? !h->task_new || !h->task_fill : !h->actor_in)
		dec_fail(d, ERR_VALUE, "%s handle cannot be read here", task ? "a task" : "an actor");
	if (task) {
		h->task_new(L, src);
		dec_share(d, num);
		dec_any(d, depth + 1, DEC_NONE);
		h->task_fill(L, top + 1, top + 2, src);
		lua_settop(L, top + 1);
		return;
	}
	dec_any(d, depth + 1, DEC_NONE);
	h->actor_in(L, top + 1, src);
	lua_replace(L, top + 1);
	lua_settop(L, top + 1);
	dec_share(d, num);
}

static void
dec_ref(struct dec_run *d, const struct mp_tok *t, int depth)
{
	const struct codec_hooks *h = d->st->hooks;
	static const struct dec_src none;
	struct wref w;

	if (t->ext == VAL_VALREF ? !h->valref_in : !h->ref_in)
		dec_fail(d, ERR_VALUE, "a ref cannot be read here");
	if (t->ext == VAL_VALREF && depth)
		malformed(d);
	val_wref_unpack(&w, t->p);
	(t->ext == VAL_VALREF ? h->valref_in : h->ref_in)(d->L, &w, d->src ? d->src : &none);
}

static void
dec_slice(struct dec_run *d, int depth, long num)
{
	lua_State *L = d->L;
	int base = lua_gettop(L) + 1;

	if (!d->st->hooks->slice_in)
		dec_fail(d, ERR_VALUE, "a slice cannot be read here");
	for (int i = 0; i < 3; i++)
		dec_any(d, depth + 1, DEC_NONE);
	if (!lua_isinteger(L, base + 1) || !lua_isinteger(L, base + 2))
		malformed(d);
	d->st->hooks->slice_in(L, base, d->flags & DEC_STRINGS);
	lua_replace(L, base);
	lua_settop(L, base);
	dec_share(d, num);
}

static void
dec_nested(struct dec_run *d, const struct mp_tok *t, int depth, long num)	/* the body holds values */
{
	struct mp outer = d->m;

	if (depth >= VAL_DEPTH)
		malformed(d);
	d->m = mp_read(t->p, t->n);
	switch (t->ext) {
	case VAL_FUNC: dec_function(d, depth, num); break;
	case VAL_TASK: dec_handle(d, true, depth, num); break;
	case VAL_ACTOR: dec_handle(d, false, depth, num); break;
	case VAL_ERROR: dec_error(d, depth, num); break;
	case VAL_CLASS: dec_class(d, depth, num); break;
	case VAL_SLICE: dec_slice(d, depth, num); break;
	case VAL_GLOBALS: strict_push_globals(d->L); break;
	}
	if (d->m.p != d->m.end)
		malformed(d);
	d->m = outer;
}

static void
dec_ext(struct dec_run *d, const struct mp_tok *t, int depth, long num)
{
	static const struct { size_t lo, hi; char class; } exts[] = {
#define X(name, number, least, most, class) [number] = { least, most, class },
		VAL_EXT_MAP(X)
#undef X
	};
	lua_State *L = d->L;
	char c;

	if (t->ext < 1 || (size_t)t->ext >= sizeof exts / sizeof *exts)
		dec_fail(d, ERR_PROTO, "a value of a kind that is not known here (%d)", (int)t->ext);
	if (t->n < exts[t->ext].lo || t->n > exts[t->ext].hi)
		malformed(d);
	c = exts[t->ext].class;
	if ((c == 'c' || c == 'k') && !(d->flags & VAL_ALLOW_CODE))
		dec_fail(d, ERR_VALUE, "a value that brings code is refused here");
	if (d->flags & DEC_PLAIN && t->ext != VAL_BUFFER && t->ext != VAL_OOB && t->ext != VAL_NULL && t->ext != VAL_BACK)
		dec_fail(d, ERR_VALUE, "a reference, a handle or the like is refused here (ext %d)", (int)t->ext);
	switch (t->ext) {
	case VAL_REF: case VAL_VALREF: dec_ref(d, t, depth); return;
	case VAL_BUFFER: dec_buffer(d, t); return;
	case VAL_CHAN:
		if (!d->st->hooks->chan_in || t->p[12] > 1)
			dec_fail(d, ERR_VALUE, "a channel cannot be read here");
		d->st->hooks->chan_in(L, t->p);
		return;
	case VAL_OOB: dec_oob(d, t->p); return;
	case VAL_NULL: lua_pushlightuserdata(L, NULL); return;
	case VAL_MODULE: case VAL_MODFN: dec_named(d, (const char *)t->p, t->n, t->ext == VAL_MODFN); return;
	case VAL_BACK:
		if (le_get32(t->p) >= d->nshared || !lua_istable(L, d->shared)
		    || lua_rawgeti(L, d->shared, (lua_Integer)le_get32(t->p) + 1) == LUA_TNIL)
			malformed(d);
		return;
	case VAL_SHARED: malformed(d);		/* two in a row */
	}
	dec_nested(d, t, depth, num);
}

void
dec_any(struct dec_run *d, int depth, long num)
{
	lua_State *L = d->L;
	struct mp_tok t;
	int e;

	if (depth > VAL_DEPTH)
		dec_fail(d, ERR_PROTO, "nested deeper than %d", VAL_DEPTH);
	luaL_checkstack(L, 12, "value nested too deep");
	if ((e = mp_next(&d->m, &t)) == ERR_VALUE)
		dec_fail(d, ERR_VALUE, "an integer above 2^63 - 1");
	if (e < 0)
		malformed(d);
	if (t.kind == MP_EXT && t.ext == VAL_SHARED && num == DEC_NONE) {
		if (t.n != 4 || le_get32(t.p) != d->nshared)
			malformed(d);
		dec_any(d, depth, (long)d->nshared++);
		return;
	}
	switch (t.kind) {
	case MP_NIL: lua_pushnil(L); break;
	case MP_BOOL: lua_pushboolean(L, t.b); break;
	case MP_INT: lua_pushinteger(L, t.i); break;
	case MP_FLOAT: lua_pushnumber(L, t.d); break;
	case MP_STR: case MP_BIN: lua_pushlstring(L, (const char *)t.p, t.n); break;
	case MP_ARRAY: dec_array(d, t.n, depth, num); break;
	case MP_MAP: dec_map(d, t.n, depth, num); break;
	case MP_EXT: dec_ext(d, &t, depth, num); break;
	}
}

/* --- the call --- */

static int
protected(lua_State *L)			/* (run, anchor) -> values */
{
	struct dec_run *d = lua_touserdata(L, 1);
	unsigned i;

	d->L = L;
	d->st = codec_state(L);
	d->anchor = 2;
	d->shared = 3;
	d->cells = 4;
	lua_settop(L, 4);
	luaL_checkstack(L, (int)d->nvals, "too many values");
	for (i = 0; i < d->nvals; i++)
		dec_any(d, 0, DEC_NONE);
	if (d->m.p != d->m.end)
		malformed(d);
	return (int)d->nvals;
}

int
dec_protected(lua_State *L, struct dec_run *d, const unsigned char *p, size_t n)
{
	int anchor = d->src && d->src->anchor ? lua_absindex(L, d->src->anchor) : 0;

	if (d->nvals > n || !lua_checkstack(L, (int)d->nvals + 4)) {
		lua_checkstack(L, 1);
		lua_pushliteral(L, "malformed value");
		return ERR_PROTO;
	}
	d->m = mp_read(p, n);
	d->budget = n;
	d->nshared = d->ncell = 0;
	d->code = 0;
	lua_pushcfunction(L, protected);
	lua_pushlightuserdata(L, d);
	if (anchor)
		lua_pushvalue(L, anchor);
	else
		lua_pushnil(L);
	return codec_call(L, 2, LUA_MULTRET, &d->code);
}

int
dec_values(lua_State *L, const unsigned char *p, size_t n, unsigned nvals, const struct dec_src *src, unsigned flags)
{
	struct dec_run d = { .src = src, .flags = flags, .nvals = nvals };
	struct mp m = mp_read(p, n);
	struct mp_tok t;
	int top = lua_gettop(L);
	unsigned i;

	if (nvals > n || !lua_checkstack(L, (int)nvals + 4))
		goto slow;
	for (i = 0; i < nvals; i++) {
		if (mp_next(&m, &t) < 0)
			goto slow;
		switch (t.kind) {
		case MP_NIL: lua_pushnil(L); break;
		case MP_BOOL: lua_pushboolean(L, t.b); break;
		case MP_INT: lua_pushinteger(L, t.i); break;
		case MP_FLOAT: lua_pushnumber(L, t.d); break;
		case MP_STR: case MP_BIN: lua_pushlstring(L, (const char *)t.p, t.n); break;
		default: goto slow;
		}
	}
	if (m.p == m.end)
		return 0;
slow:
	lua_settop(L, top);
	return dec_protected(L, &d, p, n);
}
