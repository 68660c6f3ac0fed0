/* l_nd_args - what the methods of buffers take: types, shapes, axes, operands, results. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static const char *
shape_text(lua_State *L, const struct nd *a)		/* "2x3", pushed */
{
	luaL_Buffer b;
	int i;

	luaL_buffinit(L, &b);
	for (i = 0; i < a->ndim; i++) {
		lua_pushfstring(L, i ? "x%I" : "%I", (LUAI_UACINT)a->shape[i]);
		luaL_addvalue(&b);
	}
	if (a->ndim == 0)
		luaL_addstring(&b, "one number");
	luaL_pushresult(&b);
	return lua_tostring(L, -1);
}

int
buffer_raise(lua_State *L, int e, const char *what, const struct nd *a, const struct nd *b)
{
	if (e == -ENOMEM)
		return luaL_error(L, "not enough memory");
	if (e == -EDOM && b)
		return luaL_error(L, "%s: no such operation for %s and %s", what, nd_word(a->type), nd_word(b->type));
	if (e == -EDOM)
		return luaL_error(L, "%s: no such operation for %s", what, nd_word(a->type));
	if (e == -ENODATA)
		return luaL_error(L, "%s of no elements", what);
	if (e == -ERANGE)
		return luaL_error(L, "%s: an index or number is outside of its limits", what);
	if (a && b)
		return luaL_error(L, "%s: the shapes %s and %s do not fit together", what, shape_text(L, a), shape_text(L, b));
	if (a)
		return luaL_error(L, "%s: a buffer of shape %s does not do", what, shape_text(L, a));
	return luaL_error(L, "%s: the shapes do not fit together", what);
}

unsigned
buffer_type_arg(lua_State *L, int arg, unsigned def)
{
	const char *s;
	luaL_Buffer b;
	unsigned t;

	if (lua_isnoneornil(L, arg))
		return def;
	s = luaL_checkstring(L, arg);
	if ((t = nd_type_of(s)))
		return t;
	luaL_buffinit(L, &b);
	for (t = 1; t < ND_TYPES; t++) {
		luaL_addstring(&b, t > 1 ? " " : "");
		luaL_addstring(&b, nd_word(t));
	}
	luaL_pushresult(&b);
	luaL_argerror(L, arg, lua_pushfstring(L, "no type of elements '%s' (%s)", s, lua_tostring(L, -1)));
	return def;
}

int
buffer_axis(lua_State *L, int idx, const struct nd *a, int arg)
{
	int isnum, axis = -1;
	lua_Integer i = lua_tointegerx(L, idx, &isnum);

	if (!isnum)
		luaL_argerror(L, arg, "an axis is a number, 1 for the first");
	if (i == 0 || (axis = nd_axis(a, i > 0 ? i - 1 : i)) < 0)
		luaL_argerror(L, arg, lua_pushfstring(L, "no axis %I in a buffer of %d", (LUAI_UACINT)i, (int)a->ndim));
	return axis;
}

int
buffer_shape_arg(lua_State *L, int arg, int last, int64_t shape[ND_DIMS])
{
	bool list = lua_istable(L, arg);
	lua_Integer n = list ? (lua_Integer)lua_rawlen(L, arg) : last - arg + 1, i;
	int isnum;

	if (n > ND_DIMS)
		luaL_argerror(L, arg, "at most 8 axes");
	for (i = 0; i < n; i++) {
		if (list)
			lua_rawgeti(L, arg, i + 1);
		else
			lua_pushvalue(L, arg + (int)i);
		shape[i] = lua_tointegerx(L, -1, &isnum);
		if (!isnum || shape[i] < -1)
			luaL_argerror(L, list ? arg : arg + (int)i, "no length of an axis");
		lua_pop(L, 1);
	}
	return (int)n;
}

void
buffer_operand(lua_State *L, int arg, struct nd *a, struct buffer_scalar *store, unsigned beside, bool wide)
{
	struct buffer *b = buffer_test(L, arg);
	struct nd_num v;
	char k = nd_kind(beside);
	unsigned t = beside;

	if (b) {
		*a = b->a;
		return;
	}
	if (lua_istable(L, arg) && k != 'c') {
		*a = buffer_to(L, arg, beside)->a;
		lua_replace(L, arg);
		return;
	}
	v = lua_istable(L, arg) ? buffer_number(L, arg, beside) : buffer_number(L, arg, ND_F64);
	if (v.kind == 'b')
		t = ND_BOOL;
	else if (v.kind == 'i' && k == 'b')
		t = ND_I64;
	else if (v.kind == 'f' && k != 'f' && k != 'c')
		t = ND_F64;
	if (wide && nd_put(t, store->bytes, v) == -ERANGE)
		t = ND_I64;
	buffer_put(L, t, store->bytes, v);
	nd_init(a, t, 0, NULL, store->bytes);
}

struct buffer *
buffer_to(lua_State *L, int arg, unsigned type)
{
	struct buffer *b = buffer_test(L, arg), *c;

	if (!b) {
		lua_pushcfunction(L, buffer_l_new);
		if (lua_type(L, arg) == LUA_TNUMBER) {
			lua_createtable(L, 1, 0);
			lua_pushvalue(L, arg);
			lua_rawseti(L, -2, 1);
		} else
			lua_pushvalue(L, arg);
		lua_pushstring(L, nd_word(type));
		lua_call(L, 2, 1);
		return buffer_check(L, -1);
	}
	if (b->a.type == type) {
		lua_pushvalue(L, arg);
		return b;
	}
	c = buffer_push(L, type, b->a.ndim, b->a.shape);
	nd_copy(&c->a, &b->a);
	return c;
}

struct buffer *
buffer_indices(lua_State *L, int arg)
{
	struct buffer *b = buffer_test(L, arg), *i;
	static const int64_t one = 1;
	struct nd v;

	if (b && nd_kind(b->a.type) != 'i' && nd_kind(b->a.type) != 'u')
		luaL_argerror(L, arg, "indices are integers");
	if (!b)
		b = buffer_to(L, arg, ND_I64);
	else
		lua_pushvalue(L, arg);
	i = buffer_push(L, ND_I64, b->a.ndim, b->a.shape);
	nd_init(&v, ND_I64, 0, NULL, (void *)(uintptr_t)&one);
	nd_copy(&i->a, &b->a);
	nd_binary(ND_SUB, &i->a, &i->a, &v);
	lua_remove(L, -2);
	return i;
}

static int
rank(unsigned t)
{
	switch (nd_kind(t)) {
	case 'b': return 0;
	case 'u': return 1;
	case 'i': return 2;
	case 'f': return 3;
	}
	return 4;
}

struct buffer *
buffer_result(lua_State *L, int arg, unsigned type, int ndim, const int64_t *shape)
{
	struct buffer *b;
	struct nd want;

	if (lua_isnoneornil(L, arg))
		return buffer_push(L, type, ndim, shape);
	b = buffer_writable(L, arg);
	nd_init(&want, type, ndim, shape, NULL);
	if (!nd_same_shape(&b->a, &want))
		luaL_error(L, "the result has shape %s, the buffer for it %s", shape_text(L, &want), shape_text(L, &b->a));
	if (rank(type) > rank(b->a.type))
		luaL_error(L, "a result of type %s does not go into a buffer of type %s", nd_word(type), nd_word(b->a.type));
	lua_pushvalue(L, arg);
	return b;
}
