/* l_nd_make - rota.buffer(...) and its functions: buffers from nothing, lists, numbers, other buffers. */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include "script/buffer.h"

/* --- of lists --- */

static int
list_shape(lua_State *L, int64_t shape[ND_DIMS], bool *truths)	/* of the list on top: by its first elements */
{
	int n = 0, top = lua_gettop(L);

	luaL_checkstack(L, ND_DIMS + 4, NULL);
	while (lua_istable(L, -1)) {
		if (n == ND_DIMS)
			luaL_error(L, "lists within lists deeper than 8");
		shape[n++] = (int64_t)lua_rawlen(L, -1);
		lua_rawgeti(L, -1, 1);
	}
	*truths = lua_isboolean(L, -1);
	lua_settop(L, top);
	return n;
}

static void
list_fill(lua_State *L, const struct nd *a)		/* from the list on top */
{
	int64_t i, n = a->shape[0];
	struct nd v;

	if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != n)
		luaL_error(L, "lists within the list differ in length");
	for (i = 0; i < n; i++) {
		int type = lua_rawgeti(L, -1, i + 1);

		nd_index(&v, a, 0, i);
		if (v.ndim > 0)
			list_fill(L, &v);
		else if (type != LUA_TNUMBER && type != LUA_TBOOLEAN && !buffer_test(L, -1))
			luaL_error(L, "element %I is a %s, not a number", (LUAI_UACINT)(i + 1), luaL_typename(L, -1));
		else
			buffer_put(L, v.type, v.data, buffer_number(L, lua_gettop(L), v.type));
		lua_pop(L, 1);
	}
}

static void
complex_fill(lua_State *L, const struct nd *a)
{
	int64_t i;
	struct nd v;

	for (i = 0; i < a->shape[0]; i++) {
		lua_rawgeti(L, -1, i + 1);
		nd_index(&v, a, 0, i);
		if (v.ndim > 0 && lua_istable(L, -1) && (int64_t)lua_rawlen(L, -1) == v.shape[0])
			complex_fill(L, &v);
		else if (v.ndim > 0)
			luaL_error(L, "lists within the list differ in length");
		else
			buffer_put(L, v.type, v.data, buffer_number(L, lua_gettop(L), v.type));
		lua_pop(L, 1);
	}
}

int
buffer_l_new(lua_State *L)
{
	unsigned t = buffer_type_arg(L, 2, 0);
	int64_t shape[ND_DIMS];
	struct buffer *b;
	bool truths;
	size_t len;
	const char *s;
	int n;

	lua_settop(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNUMBER:
		shape[0] = luaL_checkinteger(L, 1);
		luaL_argcheck(L, shape[0] >= 0, 1, "a number of elements expected");
		buffer_push(L, t ? t : ND_F64, 1, shape);
		return 1;
	case LUA_TSTRING:
		t = t ? t : ND_U8;
		s = lua_tolstring(L, 1, &len);
		if (len % nd_size(t))
			return luaL_error(L, "%I bytes are no whole number of elements of type %s",
			    (LUAI_UACINT)len, nd_word(t));
		shape[0] = (int64_t)(len / nd_size(t));
		b = buffer_push(L, t, 1, shape);
		if (len)
			memcpy(b->a.data, s, len);
		return 1;
	case LUA_TTABLE:
		n = list_shape(L, shape, &truths);
		t = t ? t : truths ? ND_BOOL : ND_F64;
		if (nd_kind(t) == 'c' && n > 1)
			n--;			/* {re, im} are elements, not an axis */
		b = buffer_push(L, t, n, shape);
		lua_pushvalue(L, 1);
		if (nd_kind(t) == 'c')
			complex_fill(L, &b->a);
		else
			list_fill(L, &b->a);
		lua_pop(L, 1);
		return 1;
	}
	if ((b = buffer_test(L, 1))) {
		nd_copy(&buffer_push(L, t ? t : b->a.type, b->a.ndim, b->a.shape)->a, &b->a);
		return 1;
	}
	return luaL_argerror(L, 1, "number of elements, string, list or buffer expected");
}

/* --- of a shape --- */

struct buffer *
buffer_shaped(lua_State *L, int type_arg)		/* a shape at 1: a number or a list */
{
	int64_t shape[ND_DIMS];
	int n = buffer_shape_arg(L, 1, 1, shape), i;

	for (i = 0; i < n; i++)
		luaL_argcheck(L, shape[i] >= 0, 1, "no length of an axis");
	return buffer_push(L, buffer_type_arg(L, type_arg, ND_F64), n, shape);
}

static int
f_zeros(lua_State *L)			/* zeros(shape [, type]) */
{
	buffer_shaped(L, 2);
	return 1;
}

static void
fill(lua_State *L, const struct nd *a, struct nd_num v)
{
	struct buffer_scalar s;
	struct nd one;

	buffer_put(L, a->type, s.bytes, v);
	nd_init(&one, a->type, 0, NULL, s.bytes);
	nd_copy(a, &one);
}

static int
f_ones(lua_State *L)			/* ones(shape [, type]) */
{
	fill(L, &buffer_shaped(L, 2)->a, (struct nd_num){ .kind = 'i', .i = 1 });
	return 1;
}

static int
f_full(lua_State *L)			/* full(shape, v [, type]) */
{
	struct buffer *b;

	if (lua_isnoneornil(L, 3)) {
		lua_settop(L, 2);
		lua_pushstring(L, lua_isboolean(L, 2) ? "bool" : lua_isinteger(L, 2) ? "i64" : "f64");
	}
	b = buffer_shaped(L, 3);
	fill(L, &b->a, buffer_number(L, 2, b->a.type));
	return 1;
}

static int
f_arange(lua_State *L)			/* arange(n), arange(i, j [, step [, type]]): inclusive, as for counts */
{
	bool whole = lua_isinteger(L, 1) && (lua_isnoneornil(L, 2) || lua_isinteger(L, 2)) &&
	    (lua_isnoneornil(L, 3) || lua_isinteger(L, 3));
	struct nd_num from = { .kind = 'i', .i = 1 }, step = { .kind = 'i', .i = 1 };
	lua_Number a, b, s;
	struct buffer *r;
	int64_t n;

	if (lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		lua_pushinteger(L, 1);
		lua_insert(L, 1);
	}
	a = luaL_checknumber(L, 1), b = luaL_checknumber(L, 2), s = luaL_optnumber(L, 3, 1);
	luaL_argcheck(L, s != 0 && s == s, 3, "a step of 0");
	if (whole) {
		from.i = lua_tointeger(L, 1);
		step.i = luaL_optinteger(L, 3, 1);
	} else {
		from = (struct nd_num){ .kind = 'f', .re = a };
		step = (struct nd_num){ .kind = 'f', .re = s };
	}
	s = floor((b - a) / s + (whole ? 0 : 1e-10)) + 1;	/* an end that rounding missed is still reached */
	luaL_argcheck(L, s < 0x1p53, 2, "not enough memory");
	n = s > 0 ? (int64_t)s : 0;
	r = buffer_push(L, buffer_type_arg(L, 4, whole ? ND_I64 : ND_F64), 1, &n);
	if (nd_range(&r->a, from, step) < 0)
		return luaL_error(L, "a number of the range does not fit an element of type %s", nd_word(r->a.type));
	return 1;
}

static int
f_linspace(lua_State *L)		/* linspace(a, b, n [, type]): both ends included */
{
	struct nd_num from = { .kind = 'f', .re = luaL_checknumber(L, 1) }, step = { .kind = 'f' };
	lua_Number end = luaL_checknumber(L, 2);
	int64_t n = luaL_checkinteger(L, 3);
	struct buffer *r;
	struct nd last;

	luaL_argcheck(L, n >= 0, 3, "a number of elements expected");
	r = buffer_push(L, buffer_type_arg(L, 4, ND_F64), 1, &n);
	if (n > 1)
		step.re = (end - from.re) / (double)(n - 1);
	if (nd_range(&r->a, from, step) < 0)
		return luaL_error(L, "a number of the range does not fit an element of type %s", nd_word(r->a.type));
	if (n > 1) {
		nd_index(&last, &r->a, 0, n - 1);
		buffer_put(L, last.type, last.data, (struct nd_num){ .kind = 'f', .re = end });
	}
	return 1;
}

static int
f_eye(lua_State *L)			/* eye(n [, m [, type]]) */
{
	int64_t shape[2] = { luaL_checkinteger(L, 1) };
	struct buffer *b;
	struct nd d;

	shape[1] = luaL_optinteger(L, 2, shape[0]);
	luaL_argcheck(L, shape[0] >= 0 && shape[1] >= 0, 1, "no length of an axis");
	b = buffer_push(L, buffer_type_arg(L, 3, ND_F64), 2, shape);
	nd_diagonal(&d, &b->a);
	fill(L, &d, (struct nd_num){ .kind = 'i', .i = 1 });
	return 1;
}

static int
f_complex(lua_State *L)			/* complex(re, im [, type]): one number */
{
	struct nd_num v = { 'c', 0, luaL_checknumber(L, 1), luaL_optnumber(L, 2, 0) };
	struct buffer *b = buffer_push(L, buffer_type_arg(L, 3, ND_C128), 0, NULL);

	buffer_put(L, b->a.type, b->a.data, v);
	return 1;
}

/* --- of others --- */

static int
members(lua_State *L, unsigned *type)		/* of the list at 1, each on the stack; their number */
{
	int i, n;

	luaL_checktype(L, 1, LUA_TTABLE);
	n = (int)lua_rawlen(L, 1);
	luaL_argcheck(L, n > 0, 1, "a list of buffers expected");
	luaL_checkstack(L, n + 8, "too many buffers");
	for (i = 0; i < n; i++) {
		struct buffer *b;

		lua_rawgeti(L, 1, i + 1);
		if (!(b = buffer_test(L, -1)))
			luaL_error(L, "element %d is a %s, not a buffer", i + 1, luaL_typename(L, -1));
		*type = i ? nd_promote(*type, b->a.type) : b->a.type;
	}
	return n;
}

static int
f_concat(lua_State *L)			/* concat(list [, axis]) */
{
	int64_t shape[ND_DIMS], at = 0;
	unsigned type;
	int i, k, n, axis, first;
	struct buffer *b, *out;
	struct nd v;

	lua_settop(L, 2);
	n = members(L, &type);
	first = 3;
	b = buffer_check(L, first);
	luaL_argcheck(L, b->a.ndim > 0, 1, "buffers with an axis expected");
	axis = lua_isnil(L, 2) ? 0 : buffer_axis(L, 2, &b->a, 2);
	memcpy(shape, b->a.shape, sizeof shape);
	for (i = 1; i < n; i++) {
		struct buffer *c = buffer_check(L, first + i);

		for (k = 0; k < b->a.ndim; k++)
			if (c->a.ndim != b->a.ndim || (k != axis && c->a.shape[k] != shape[k]))
				return buffer_raise(L, -EINVAL, "concat", &b->a, &c->a);
		shape[axis] += c->a.shape[axis];
	}
	out = buffer_push(L, type, b->a.ndim, shape);
	for (i = 0; i < n; i++) {
		b = buffer_check(L, first + i);
		nd_slice(&v, &out->a, axis, at, b->a.shape[axis], 1);
		nd_copy(&v, &b->a);
		at += b->a.shape[axis];
	}
	return 1;
}

static int
f_stack(lua_State *L)			/* stack(list [, axis]): along a new axis */
{
	int64_t shape[ND_DIMS];
	struct buffer *b, *out;
	unsigned type;
	struct nd v;
	int i, n, axis;

	lua_settop(L, 2);
	n = members(L, &type);
	b = buffer_check(L, 3);
	axis = (int)luaL_optinteger(L, 2, 1) - 1;
	luaL_argcheck(L, axis >= 0 && axis <= b->a.ndim && b->a.ndim < ND_DIMS, 2, "no place for an axis");
	memcpy(shape, b->a.shape, (size_t)axis * sizeof *shape);
	shape[axis] = n;
	memcpy(shape + axis + 1, b->a.shape + axis, (size_t)(b->a.ndim - axis) * sizeof *shape);
	out = buffer_push(L, type, b->a.ndim + 1, shape);
	for (i = 0; i < n; i++) {
		struct buffer *c = buffer_check(L, 3 + i);

		if (!nd_same_shape(&c->a, &b->a))
			return buffer_raise(L, -EINVAL, "stack", &b->a, &c->a);
		nd_index(&v, &out->a, axis, i);
		nd_copy(&v, &c->a);
	}
	return 1;
}

static int
f_promote(lua_State *L)			/* promote(type, type) -> type */
{
	lua_pushstring(L, nd_word(nd_promote(buffer_type_arg(L, 1, ND_F64), buffer_type_arg(L, 2, ND_F64))));
	return 1;
}

static int
f_is(lua_State *L)
{
	lua_pushboolean(L, buffer_test(L, 1) != NULL);
	return 1;
}

static int
f_where(lua_State *L)
{
	buffer_check(L, 1);
	lua_getfield(L, 1, "where");
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

static int
module_call(lua_State *L)		/* rota.buffer(...) */
{
	lua_remove(L, 1);
	return buffer_l_new(L);
}

void
buffer_make_functions(lua_State *L)
{
	static const luaL_Reg functions[] = { {"zeros", f_zeros}, {"ones", f_ones}, {"full", f_full}, {"arange", f_arange},
	    {"linspace", f_linspace}, {"eye", f_eye}, {"complex", f_complex}, {"concat", f_concat}, {"stack", f_stack},
	    {"promote", f_promote}, {"is", f_is}, {"where", f_where}, {NULL, NULL} };

	luaL_setfuncs(L, functions, 0);
}

int
buffer_l_module(lua_State *L)
{
	lua_newtable(L);
	buffer_make_functions(L);
	buffer_random_functions(L);
	buffer_exchange_functions(L);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, module_call);
	lua_setfield(L, -2, "__call");
	lua_setmetatable(L, -2);
	return 1;
}
