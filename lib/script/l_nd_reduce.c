/* l_nd_reduce - buffers: sums and the like along axes. */
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static const char *const word[] = {
#define X(NAME, text) text,
	ND_REDUCE_MAP(X)
#undef X
};

struct along {
	unsigned axes;			/* bit k: axis k */
	bool all, keep;
	int64_t ddof;
};

static void
parse(lua_State *L, struct along *w, const struct nd *a)	/* (axis | {axes, keep=, ddof=}) [, keep] at 2 */
{
	int i, n;

	*w = (struct along){ .keep = lua_toboolean(L, 3) };
	if (lua_istable(L, 2)) {
		if (lua_getfield(L, 2, "keep") != LUA_TNIL)
			w->keep = lua_toboolean(L, -1);
		if (lua_getfield(L, 2, "ddof") != LUA_TNIL)
			w->ddof = luaL_checkinteger(L, -1);
		lua_pop(L, 2);
		for (i = 1, n = (int)lua_rawlen(L, 2); i <= n; i++) {
			lua_rawgeti(L, 2, i);
			w->axes |= 1u << buffer_axis(L, -1, a, 2);
			lua_pop(L, 1);
		}
		w->all = n == 0;
	} else if (lua_isnoneornil(L, 2))
		w->all = true;
	else
		w->axes = 1u << buffer_axis(L, 2, a, 2);
	if (w->all)
		w->axes = (1u << a->ndim) - 1;
	w->all = w->axes == (1u << a->ndim) - 1;
}

static int
one_number(lua_State *L, int op, const struct nd *a, unsigned type, const struct along *w)
{
	static const int64_t ones[ND_DIMS] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	unsigned char x[16] __attribute__((aligned(16)));
	struct nd out, flat = *a;
	int e;

	if (op == ND_ARGMIN || op == ND_ARGMAX) {
		if (nd_reshape(&flat, a, 1, (int64_t[]){ -1 }) < 0) {
			flat = buffer_push_packed(L, a)->a;
			nd_reshape(&flat, &flat, 1, (int64_t[]){ -1 });
		}
		nd_init(&out, type, 1, ones, x);
		e = nd_reduce(op, &out, &flat, 1, 0);
		if (e == 0)
			lua_pushinteger(L, nd_get(&out, x).i + 1);
	} else {
		nd_init(&out, type, a->ndim, ones, x);
		e = nd_reduce(op, &out, a, w->axes, w->ddof);
		if (e == 0)
			buffer_push_element(L, &out, x);
	}
	return e < 0 ? buffer_raise(L, e, word[op], a, NULL) : 1;
}

static int
l_reduce(lua_State *L)			/* b:sum([axis | {axis, ..., keep=true}] [, keep]) */
{
	int op = (int)lua_tointeger(L, lua_upvalueindex(1)), type, i, n = 0, e, ndim;
	struct nd a = buffer_check(L, 1)->a, shape;
	static const int64_t one = 1;
	struct along w;
	struct buffer *b;

	parse(L, &w, &a);
	if ((type = nd_reduce_type(op, a.type)) < 0)
		return buffer_raise(L, type, word[op], &a, NULL);
	if (w.all && !w.keep)
		return one_number(L, op, &a, (unsigned)type, &w);
	shape = a;
	for (i = 0; i < a.ndim; i++) {
		shape.shape[i] = w.axes >> i & 1 ? 1 : a.shape[i];
		n += w.axes >> i & 1;
	}
	if ((op == ND_ARGMIN || op == ND_ARGMAX) && n != 1)
		return luaL_argerror(L, 2, "one axis, or all");
	b = buffer_push(L, (unsigned)type, a.ndim, shape.shape);
	if ((e = nd_reduce(op, &b->a, &a, w.axes, w.ddof)) < 0)
		return buffer_raise(L, e, word[op], &a, NULL);
	if (op == ND_ARGMIN || op == ND_ARGMAX) {
		nd_init(&shape, ND_I64, 0, NULL, (void *)(uintptr_t)&one);
		nd_binary(ND_ADD, &b->a, &b->a, &shape);
	}
	for (i = ndim = 0; i < a.ndim && !w.keep; i++)
		if (!(w.axes >> i & 1))
			shape.shape[ndim++] = a.shape[i];
	if (!w.keep)
		nd_init(&b->a, (unsigned)type, ndim, shape.shape, b->a.data);
	return 1;
}

static int
scan(lua_State *L, bool product)	/* b:cumsum([axis]): without one, of all elements in row order */
{
	struct nd a = buffer_check(L, 1)->a;
	int axis = 0, e;
	struct buffer *b;

	if (!lua_isnoneornil(L, 2))
		axis = buffer_axis(L, 2, &a, 2);
	else if (a.ndim != 1 && nd_reshape(&a, &a, 1, (int64_t[]){ -1 }) < 0) {
		a = buffer_push_packed(L, &a)->a;
		nd_reshape(&a, &a, 1, (int64_t[]){ -1 });
	}
	b = buffer_push(L, (unsigned)nd_reduce_type(ND_SUM, a.type), a.ndim, a.shape);
	if ((e = nd_scan(product, &b->a, &a, axis)) < 0)
		return buffer_raise(L, e, product ? "cumprod" : "cumsum", &a, NULL);
	return 1;
}

static int
l_cumsum(lua_State *L)
{
	return scan(L, false);
}

static int
l_cumprod(lua_State *L)
{
	return scan(L, true);
}

void
buffer_reduce_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"cumsum", l_cumsum}, {"cumprod", l_cumprod}, {NULL, NULL} };

	for (int i = 0; i < ND_REDUCES; i++) {
		lua_pushinteger(L, i);
		lua_pushcclosure(L, l_reduce, 1);
		lua_setfield(L, -2, word[i]);
	}
	luaL_setfuncs(L, methods, 0);
}
