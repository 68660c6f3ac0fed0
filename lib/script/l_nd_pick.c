/* l_nd_pick - buffers: choice by index and by mask, order. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static int
take(lua_State *L, int axis)		/* indices at 2 */
{
	struct nd a = buffer_check(L, 1)->a;
	int64_t shape[2 * ND_DIMS];
	struct buffer *index = buffer_indices(L, 2), *out;
	int n = a.ndim - 1 + index->a.ndim, e;

	if (n > ND_DIMS)
		return luaL_error(L, "take: more than 8 axes");
	memcpy(shape, a.shape, (size_t)axis * sizeof *shape);
	memcpy(shape + axis, index->a.shape, index->a.ndim * sizeof *shape);
	memcpy(shape + axis + index->a.ndim, a.shape + axis + 1, (size_t)(a.ndim - axis - 1) * sizeof *shape);
	out = buffer_push(L, a.type, n, shape);
	if ((e = nd_take(&out->a, &a, &index->a, axis)) < 0)
		return buffer_raise(L, e, "take", &a, NULL);
	return 1;
}

static int
l_take(lua_State *L)			/* b:take(indices [, axis]) */
{
	struct buffer *b = buffer_check(L, 1);

	luaL_argcheck(L, b->a.ndim > 0, 1, "a buffer with an axis expected");
	return take(L, lua_isnoneornil(L, 3) ? 0 : buffer_axis(L, 3, &b->a, 3));
}

static int
l_select(lua_State *L)			/* b:select(mask): the elements, or rows, where it is true */
{
	struct nd a = buffer_check(L, 1)->a, m = buffer_check(L, 2)->a;
	int64_t shape[ND_DIMS + 1] = { 0 };
	struct buffer *out;
	int e, n = a.ndim - m.ndim + 1;

	if (m.type != ND_BOOL || n < 1 || n > ND_DIMS || m.ndim == 0 || memcmp(m.shape, a.shape, m.ndim * sizeof *a.shape))
		return buffer_raise(L, m.type != ND_BOOL ? -EDOM : -EINVAL, "select", &a, &m);
	if ((e = nd_count_true(&m, shape)) < 0)
		return buffer_raise(L, e, "select", &a, &m);
	memcpy(shape + 1, a.shape + m.ndim, (size_t)(n - 1) * sizeof *shape);
	out = buffer_push(L, a.type, n, shape);
	if ((e = nd_select(&out->a, &a, &m)) < 0)
		return buffer_raise(L, e, "select", &a, &m);
	return 1;
}

int
buffer_l_pick(lua_State *L)
{
	struct buffer *by = buffer_check(L, 2);

	lua_settop(L, 2);
	return by->a.type == ND_BOOL ? l_select(L) : l_take(L);
}

int
buffer_l_put(lua_State *L)		/* b:put(indices | mask, v) -> b */
{
	struct nd a = buffer_writable(L, 1)->a, v;
	struct buffer *by = buffer_test(L, 2);
	struct buffer_scalar store;
	int e;

	luaL_argcheck(L, a.ndim > 0, 1, "a buffer with an axis expected");
	lua_settop(L, 3);
	buffer_operand(L, 3, &v, &store, a.type, false);
	if (by && by->a.type == ND_BOOL)
		e = nd_put_where(&a, &by->a, &v);
	else
		e = nd_put_at(&a, &(by = buffer_indices(L, 2))->a, &v);
	if (e == -EINVAL)
		return buffer_raise(L, e, "put", &a, &v);
	if (e < 0)
		return buffer_raise(L, e, "put", &a, &by->a);
	lua_settop(L, 1);
	return 1;
}

static int
l_nonzero(lua_State *L)			/* b:nonzero() -> for each axis the indices of what is not 0 */
{
	struct nd a = buffer_check(L, 1)->a;
	struct buffer *mask = buffer_to(L, 1, ND_BOOL), *out;
	static const int64_t one = 1;
	int64_t n;
	struct nd v;
	int i, e;

	luaL_checkstack(L, ND_DIMS + 4, NULL);
	if ((e = nd_count_true(&mask->a, &n)) < 0)
		return buffer_raise(L, e, "nonzero", &a, NULL);
	nd_init(&v, ND_I64, 0, NULL, (void *)(uintptr_t)&one);
	for (i = 0; i < a.ndim; i++) {
		out = buffer_push(L, ND_I64, 1, &n);
		nd_nonzero(&out->a, &mask->a, i);
		nd_binary(ND_ADD, &out->a, &out->a, &v);
	}
	return a.ndim;
}

/* --- order --- */

static int
order_args(lua_State *L, const struct nd *a, bool *down)	/* [axis (the last)] [, "down"] */
{
	static const char *const ways[] = { "up", "down", NULL };

	luaL_argcheck(L, a->ndim > 0, 1, "a buffer with an axis expected");
	if (lua_type(L, 2) == LUA_TSTRING && !lua_isinteger(L, 2)) {
		*down = luaL_checkoption(L, 2, "up", ways) == 1;
		return a->ndim - 1;
	}
	*down = luaL_checkoption(L, 3, "up", ways) == 1;
	return lua_isnoneornil(L, 2) ? a->ndim - 1 : buffer_axis(L, 2, a, 2);
}

static int
l_sort(lua_State *L)			/* b:sort([axis] [, "down"]) -> a sorted copy */
{
	struct nd a = buffer_check(L, 1)->a;
	bool down;
	int axis = order_args(L, &a, &down), e;

	if ((e = nd_sort(&buffer_push_packed(L, &a)->a, axis, down)) < 0)
		return buffer_raise(L, e, "sort", &a, NULL);
	return 1;
}

static int
l_argsort(lua_State *L)			/* b:argsort([axis] [, "down"]) -> indices that sort it */
{
	struct nd a = buffer_check(L, 1)->a, v;
	static const int64_t one = 1;
	struct buffer *out;
	bool down;
	int axis = order_args(L, &a, &down), e;

	out = buffer_push(L, ND_I64, a.ndim, a.shape);
	if ((e = nd_argsort(&out->a, &a, axis, down)) < 0)
		return buffer_raise(L, e, "argsort", &a, NULL);
	nd_init(&v, ND_I64, 0, NULL, (void *)(uintptr_t)&one);
	nd_binary(ND_ADD, &out->a, &out->a, &v);
	return 1;
}

static int
l_unique(lua_State *L)			/* b:unique() -> the distinct elements, sorted, and how often each is there */
{
	struct nd a = buffer_check(L, 1)->a;
	struct buffer *u = buffer_push_packed(L, &a), *c;
	int64_t n = nd_count(&a);
	int e;

	nd_init(&u->a, a.type, 1, &n, u->a.data);
	if ((e = nd_sort(&u->a, 0, false)) < 0)
		return buffer_raise(L, e, "unique", &a, NULL);
	c = buffer_push(L, ND_I64, 1, &n);
	n = nd_unique(&u->a, &c->a);
	u->a.shape[0] = c->a.shape[0] = n;
	return 2;
}

static int
l_search(lua_State *L)			/* b:searchsorted(v [, "right"]): 1 .. #b + 1, where v would go to keep b sorted */
{
	static const char *const sides[] = { "left", "right", NULL };
	struct buffer *b = buffer_check(L, 1), *v = buffer_test(L, 2), *out;
	int side = luaL_checkoption(L, 3, "left", sides), e;
	static const int64_t one = 1;
	unsigned t = v ? nd_promote(b->a.type, v->a.type) : b->a.type;
	struct nd plus;
	bool single = lua_type(L, 2) == LUA_TNUMBER;

	if (single && nd_kind(t) != 'f')
		t = lua_isinteger(L, 2) ? t : ND_F64;
	lua_settop(L, 2);
	b = buffer_to(L, 1, t);
	v = buffer_to(L, 2, t);
	if (!nd_packed(&v->a))
		v = buffer_push_packed(L, &v->a);
	out = buffer_push(L, ND_I64, v->a.ndim, v->a.shape);
	if ((e = nd_search(&out->a, &b->a, &v->a, side == 1)) < 0)
		return buffer_raise(L, e, "searchsorted", &b->a, NULL);
	nd_init(&plus, ND_I64, 0, NULL, (void *)(uintptr_t)&one);
	nd_binary(ND_ADD, &out->a, &out->a, &plus);
	if (single)
		buffer_push_element(L, &out->a, out->a.data);
	return 1;
}

void
buffer_pick_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"take", l_take}, {"select", l_select}, {"put", buffer_l_put},
	    {"nonzero", l_nonzero}, {"sort", l_sort}, {"argsort", l_argsort}, {"unique", l_unique},
	    {"searchsorted", l_search}, {NULL, NULL} };

	luaL_setfuncs(L, methods, 0);
}
