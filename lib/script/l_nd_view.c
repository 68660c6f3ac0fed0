/* l_nd_view - buffers: other descriptions of the same elements. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static int
view(lua_State *L, int e, const char *what, const struct nd *a, const struct nd *v)
{
	if (e < 0)
		return buffer_raise(L, e, what, a, NULL);
	buffer_push_view(L, v, 1);
	return 1;
}

static int
l_reshape(lua_State *L)			/* b:reshape(n, m, ...) or {n, m}; one may be -1: a view, or a copy if it must be */
{
	struct buffer *b = buffer_check(L, 1);
	int64_t shape[ND_DIMS];
	int n = buffer_shape_arg(L, 2, lua_gettop(L), shape), e;
	struct nd v;

	if ((e = nd_reshape(&v, &b->a, n, shape)) == -EXDEV) {
		b = buffer_push_packed(L, &b->a);
		nd_reshape(&b->a, &b->a, n, shape);
		return 1;
	}
	if (e < 0)
		return luaL_error(L, "a buffer of %I elements has no such shape", (LUAI_UACINT)nd_count(&b->a));
	return view(L, 0, "reshape", &b->a, &v);
}

static int
l_flatten(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushinteger(L, -1);
	return l_reshape(L);
}

static int
l_permute(lua_State *L)			/* b:permute(2, 1, ...); without axes: the other way round */
{
	struct buffer *b = buffer_check(L, 1);
	int axes[ND_DIMS], i, n = lua_gettop(L) - 1;
	struct nd v;

	if (lua_istable(L, 2)) {
		n = (int)lua_rawlen(L, 2);
		luaL_argcheck(L, n <= ND_DIMS, 2, "too many axes");
		for (i = 0; i < n; i++)
			lua_rawgeti(L, 2, i + 1);
		lua_rotate(L, 3, -n);
	}
	for (i = 0; i < b->a.ndim && n == 0; i++)
		axes[i] = b->a.ndim - 1 - i;
	luaL_argcheck(L, n == 0 || n == b->a.ndim, 2, "every axis once expected");
	for (i = 0; i < n; i++)
		axes[i] = buffer_axis(L, lua_gettop(L) - n + 1 + i, &b->a, 2);
	if (nd_permute(&v, &b->a, axes) < 0)
		return luaL_argerror(L, 2, "every axis once expected");
	return view(L, 0, "permute", &b->a, &v);
}

static int
l_transpose(lua_State *L)		/* b:transpose([i, j]): two axes exchanged, or all of them turned round */
{
	struct buffer *b = buffer_check(L, 1);
	int axes[ND_DIMS], i, j, k;
	struct nd v;

	if (lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		return l_permute(L);
	}
	i = buffer_axis(L, 2, &b->a, 2);
	j = buffer_axis(L, 3, &b->a, 3);
	for (k = 0; k < b->a.ndim; k++)
		axes[k] = k == i ? j : k == j ? i : k;
	return view(L, nd_permute(&v, &b->a, axes), "transpose", &b->a, &v);
}

static int
l_broadcast(lua_State *L)		/* b:broadcast_to(n, m, ...): read-only */
{
	struct buffer *b = buffer_check(L, 1);
	int64_t shape[ND_DIMS];
	int n = buffer_shape_arg(L, 2, lua_gettop(L), shape), e;
	struct nd v, want;

	if ((e = nd_broadcast(&v, &b->a, n, shape)) < 0) {
		if (nd_init(&want, b->a.type, n, shape, NULL) < 0)
			return luaL_argerror(L, 2, "no such shape");
		return buffer_raise(L, e, "broadcast_to", &b->a, &want);
	}
	v.readonly = true;			/* one element may stand for many */
	return view(L, 0, "broadcast_to", &b->a, &v);
}

static int
l_squeeze(lua_State *L)			/* b:squeeze([axis]) */
{
	struct buffer *b = buffer_check(L, 1);
	int axis = lua_isnoneornil(L, 2) ? -1 : buffer_axis(L, 2, &b->a, 2);
	struct nd v;

	return view(L, nd_squeeze(&v, &b->a, axis), "squeeze", &b->a, &v);
}

static int
l_expand(lua_State *L)			/* b:expand(axis): a new axis of length 1 there */
{
	struct buffer *b = buffer_check(L, 1);
	lua_Integer i = luaL_checkinteger(L, 2);
	struct nd v;

	i = i < 0 ? b->a.ndim + 1 + i : i - 1;
	luaL_argcheck(L, i >= 0 && i <= b->a.ndim, 2, "no place for an axis");
	return view(L, nd_expand(&v, &b->a, (int)i), "expand", &b->a, &v);
}

static int
l_flip(lua_State *L)			/* b:flip([axis]): backwards */
{
	struct buffer *b = buffer_check(L, 1);
	int axis = lua_isnoneornil(L, 2) && b->a.ndim ? 0 : buffer_axis(L, 2, &b->a, 2);
	int64_t n = b->a.shape[axis];
	struct nd v;

	return view(L, nd_slice(&v, &b->a, axis, n - 1, n, -1), "flip", &b->a, &v);
}

static int
l_diag(lua_State *L)
{
	struct buffer *b = buffer_check(L, 1);
	struct nd v;

	return view(L, nd_diagonal(&v, &b->a), "diag", &b->a, &v);
}

static int
l_bitcast(lua_State *L)			/* b:bitcast(type): the same bits */
{
	struct buffer *b = buffer_check(L, 1);
	struct nd v;

	if (nd_bitcast(&v, &b->a, buffer_type_arg(L, 2, 0)) < 0)
		return luaL_error(L, "the bytes of a buffer of type %s cannot be read as type %s", nd_word(b->a.type),
		    luaL_optstring(L, 2, "nothing"));
	return view(L, 0, "bitcast", &b->a, &v);
}

static void
range(lua_State *L, int k, struct nd *v, int axis)	/* the table on top: {i, j [, step]} */
{
	int64_t n = v->shape[axis], i, j, step, count;

	lua_geti(L, -1, 1);
	lua_geti(L, -2, 2);
	lua_geti(L, -3, 3);
	step = luaL_optinteger(L, -1, 1);
	if (step == 0)
		luaL_argerror(L, k, "a step of 0");
	i = luaL_optinteger(L, -3, step > 0 ? 1 : -1);
	j = luaL_optinteger(L, -2, step > 0 ? -1 : 1);
	lua_pop(L, 3);
	i = i < 0 ? n + i + 1 : i;
	j = j < 0 ? n + j + 1 : j;
	if (step > 0) {				/* cut to what is there, as string.sub does */
		i = i < 1 ? 1 : i;
		j = j > n ? n : j;
		count = j < i ? 0 : (j - i) / step + 1;
	} else {
		i = i > n ? n : i;
		j = j < 1 ? 1 : j;
		count = j > i ? 0 : (int64_t)((uint64_t)(i - j) / (0 - (uint64_t)step)) + 1;
	}
	if (nd_slice(v, v, axis, count ? i - 1 : 0, count, step) < 0)
		luaL_argerror(L, k, "no such range");
}

static int
l_view(lua_State *L)			/* b:view{k, {i, j [, step]}, true, "new"}: one word an axis */
{
	struct nd v = buffer_check(L, 1)->a;
	int i, n, axis = 0, e = 0;

	luaL_checktype(L, 2, LUA_TTABLE);
	for (i = 1, n = (int)lua_rawlen(L, 2); i <= n; i++) {
		int type = lua_rawgeti(L, 2, i);

		if (type != LUA_TSTRING && axis >= v.ndim)
			return luaL_argerror(L, 2, "more axes than there are");
		if (lua_isinteger(L, -1))
			e = nd_index(&v, &v, axis, buffer_index(L, -1, v.shape[axis]));
		else if (type == LUA_TTABLE)
			range(L, 2, &v, axis++);
		else if (type == LUA_TBOOLEAN && lua_toboolean(L, -1))
			axis++;
		else if (type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "new") == 0)
			e = nd_expand(&v, &v, axis++);
		else
			return luaL_argerror(L, 2, "an axis is a number, {i, j, step}, true or \"new\"");
		if (e < 0)
			return luaL_argerror(L, 2, "at most 8 axes");
		lua_pop(L, 1);
	}
	buffer_push_view(L, &v, 1);
	return 1;
}

static int
l_at(lua_State *L)			/* b:at(i, j, ...): the element, or the view that is left */
{
	struct nd v = buffer_check(L, 1)->a;
	int i, n = lua_gettop(L);

	for (i = 2; i <= n; i++) {
		luaL_argcheck(L, v.ndim > 0, i, "more axes than there are");
		nd_index(&v, &v, 0, buffer_index(L, i, v.shape[0]));
	}
	if (v.ndim == 0)
		buffer_push_element(L, &v, v.data);
	else
		buffer_push_view(L, &v, 1);
	return 1;
}

static int
l_set(lua_State *L)			/* b:set(i, j, ..., v) -> b */
{
	struct nd v = buffer_writable(L, 1)->a, x;
	struct buffer_scalar store;
	int i, n = lua_gettop(L), e;

	for (i = 2; i < n; i++) {
		luaL_argcheck(L, v.ndim > 0, i, "more axes than there are");
		nd_index(&v, &v, 0, buffer_index(L, i, v.shape[0]));
	}
	if (v.ndim == 0)
		buffer_put(L, v.type, v.data, buffer_number(L, n, v.type));
	else {
		buffer_operand(L, n, &x, &store, v.type, false);
		if ((e = nd_copy(&v, &x)) < 0)
			return buffer_raise(L, e, "set", &v, &x);
	}
	lua_settop(L, 1);
	return 1;
}

void
buffer_view_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"reshape", l_reshape}, {"flatten", l_flatten}, {"permute", l_permute},
	    {"transpose", l_transpose}, {"t", l_transpose}, {"broadcast_to", l_broadcast}, {"squeeze", l_squeeze},
	    {"expand", l_expand}, {"flip", l_flip}, {"diag", l_diag}, {"bitcast", l_bitcast}, {"view", l_view}, {"at", l_at},
	    {"set", l_set}, {NULL, NULL} };

	luaL_setfuncs(L, methods, 0);
}
