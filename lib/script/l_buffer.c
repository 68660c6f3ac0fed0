/* l_buffer - the userdata "rota.buffer": memory, elements, b[i], what it says of itself. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

#define READONLY "this buffer is read-only; b:copy() gives your own"

#define X(NAME, number, bytes, word) _Static_assert((int)VAL_##NAME == (int)ND_##NAME, "the numbers travel");
VAL_DTYPE_MAP(X)
#undef X

struct buffer *
buffer_test(lua_State *L, int idx)
{
	return luaL_testudata(L, idx, "rota.buffer");
}

struct buffer *
buffer_check(lua_State *L, int arg)
{
	return luaL_checkudata(L, arg, "rota.buffer");
}

struct buffer *
buffer_writable(lua_State *L, int arg)
{
	struct buffer *b = buffer_check(L, arg);

	if (b->a.readonly)
		luaL_error(L, READONLY);
	return b;
}

/* --- memory --- */

struct memory {
	struct nd_mem *m;
};

static int
memory_gc(lua_State *L)
{
	struct memory *u = lua_touserdata(L, 1);

	nd_mem_drop(u->m);
	u->m = NULL;
	return 0;
}

static struct buffer *
push_head(lua_State *L, const struct nd *a, size_t extra, int nuv)
{
	struct buffer *b = lua_newuserdatauv(L, sizeof *b + extra, nuv);

	b->a = *a;
	luaL_setmetatable(L, "rota.buffer");
	return b;
}

static struct memory *
push_memory(lua_State *L)
{
	struct memory *u = lua_newuserdatauv(L, sizeof *u, 0);

	u->m = NULL;
	if (luaL_newmetatable(L, "rota.buffer.memory")) {
		lua_pushcfunction(L, memory_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return u;
}

static void
hold(lua_State *L, struct memory *u, struct nd_mem *m)	/* the buffer and u are on top; u is popped */
{
	u->m = m;
	lua_setiuservalue(L, -2, 1);
	if (m->bytes > BUFFER_SMALL && lua_gc(L, LUA_GCISRUNNING))
		lua_gc(L, LUA_GCSTEP, (int)(m->bytes >> 10 > INT32_MAX / 2048 ? INT32_MAX / 2048 : m->bytes >> 10));
}

struct buffer *
buffer_push(lua_State *L, unsigned type, int ndim, const int64_t *shape)
{
	struct memory *u;
	struct nd_mem *m;
	struct buffer *b;
	struct nd a;
	size_t n;

	if (nd_init(&a, type, ndim, shape, NULL) < 0)
		luaL_error(L, "not enough memory");
	if ((n = nd_bytes(&a)) <= BUFFER_SMALL) {
		b = push_head(L, &a, n, 0);
		b->a.data = memset(b->own, 0, n);
		return b;
	}
	b = push_head(L, &a, 0, 1);
	u = push_memory(L);
	if (!(m = nd_mem_new(n))) {
		lua_gc(L, LUA_GCCOLLECT);	/* memory of buffers that nobody can reach */
		if (!(m = nd_mem_new(n)))
			luaL_error(L, "not enough memory");
	}
	b->a.data = m->data;
	hold(L, u, m);
	return b;
}

struct buffer *
buffer_push_view(lua_State *L, const struct nd *a, int anchor)
{
	struct buffer *b;

	if (anchor)
		anchor = lua_absindex(L, anchor);
	b = push_head(L, a, 0, 1);
	if (!anchor)
		return b;
	if (!buffer_test(L, anchor) || lua_getiuservalue(L, anchor, 1) <= LUA_TNIL) {
		if (buffer_test(L, anchor))
			lua_pop(L, 1);
		lua_pushvalue(L, anchor);	/* else the owner itself: no chain of views */
	}
	lua_setiuservalue(L, -2, 1);
	return b;
}

struct buffer *
buffer_push_mem(lua_State *L, const struct nd *a, struct nd_mem *m)
{
	struct memory *u = push_memory(L);
	struct buffer *b;

	u->m = m;
	b = push_head(L, a, 0, 1);
	lua_insert(L, -2);
	hold(L, u, m);
	return b;
}

struct nd_mem *
buffer_memory(lua_State *L, int idx)
{
	struct memory *u;

	lua_getiuservalue(L, idx, 1);
	u = luaL_testudata(L, -1, "rota.buffer.memory");
	lua_pop(L, 1);
	return u && u->m ? nd_mem_hold(u->m) : NULL;
}

struct buffer *
buffer_push_packed(lua_State *L, const struct nd *a)
{
	struct buffer *b = buffer_push(L, a->type, a->ndim, a->shape);

	nd_copy(&b->a, a);
	return b;
}

const void *
buffer_bytes(lua_State *L, int idx, size_t *n)
{
	struct buffer *b;

	if (lua_type(L, idx) == LUA_TSTRING)
		return lua_tolstring(L, idx, n);
	if (!(b = buffer_test(L, idx)) || !nd_packed(&b->a))
		return NULL;
	*n = nd_bytes(&b->a);
	return *n ? b->a.data : (const void *)"";
}

/* --- elements --- */

void
buffer_push_element(lua_State *L, const struct nd *a, const unsigned char *p)
{
	struct nd_num v = nd_get(a, p);
	struct buffer *b;

	switch (v.kind) {
	case 'b': lua_pushboolean(L, v.i != 0); return;
	case 'u': case 'i': lua_pushinteger(L, v.i); return;	/* u64 wraps, as Lua's own integers do */
	case 'f': lua_pushnumber(L, v.re); return;
	}
	b = buffer_push(L, a->type, 0, NULL);
	memcpy(b->a.data, p, nd_size(a->type));
}

struct nd_num
buffer_number(lua_State *L, int arg, unsigned type)
{
	struct nd_num v = { .kind = 'f' };
	struct buffer *b;

	if (lua_type(L, arg) == LUA_TNUMBER || lua_type(L, arg) == LUA_TSTRING) {
		if (lua_isinteger(L, arg))
			v = (struct nd_num){ .kind = 'i', .i = lua_tointeger(L, arg) };
		else if ((nd_kind(type) == 'i' || nd_kind(type) == 'u') && (v.re = luaL_checknumber(L, arg)) != 0)
			v = (struct nd_num){ .kind = 'i', .i = luaL_checkinteger(L, arg) };
		else
			v.re = luaL_checknumber(L, arg);
	} else if (lua_isboolean(L, arg))
		v = (struct nd_num){ .kind = 'b', .i = lua_toboolean(L, arg) };
	else if ((b = buffer_test(L, arg)) && nd_count(&b->a) == 1)
		v = nd_get(&b->a, b->a.data);
	else if (nd_kind(type) == 'c' && lua_istable(L, arg)) {
		lua_rawgeti(L, arg, 1);
		lua_rawgeti(L, arg, 2);
		if (lua_type(L, -1) != LUA_TNUMBER || lua_type(L, -2) != LUA_TNUMBER)
			luaL_argerror(L, arg, "a complex number is {re, im}");
		v = (struct nd_num){ 'c', 0, lua_tonumber(L, -2), lua_tonumber(L, -1) };
		lua_pop(L, 2);
	} else
		luaL_checknumber(L, arg);
	return v;
}

void
buffer_put(lua_State *L, unsigned type, unsigned char *p, struct nd_num v)
{
	int e = nd_put(type, p, v);

	if (e == -ERANGE && v.kind == 'i')
		luaL_error(L, "%I does not fit an element of type %s", (LUAI_UACINT)v.i, nd_word(type));
	if (e == -ERANGE)
		luaL_error(L, "%f does not fit an element of type %s", v.re, nd_word(type));
	if (e < 0)
		luaL_error(L, "a complex number does not fit an element of type %s", nd_word(type));
}

int64_t
buffer_index(lua_State *L, int arg, int64_t n)
{
	lua_Integer i = luaL_checkinteger(L, arg);

	if (i < -n || i > n || i == 0)
		luaL_error(L, "index %I is outside of a buffer of %I elements", (LUAI_UACINT)i, (LUAI_UACINT)n);
	return i < 0 ? n + i : i - 1;
}

/* --- b[i] --- */

static struct buffer *
self(lua_State *L)			/* of events; upvalue 1: address of the metatable, quicker than its name; leaves one slot */
{
	struct buffer *b = lua_touserdata(L, 1);

	if (!b || !lua_getmetatable(L, 1) || lua_topointer(L, -1) != lua_touserdata(L, lua_upvalueindex(1)))
		luaL_typeerror(L, 1, "rota.buffer");
	return b;
}

static int
b_index(lua_State *L)			/* upvalue 2: the methods */
{
	struct buffer *b = self(L);
	lua_Integer i;
	struct nd v;

	if (lua_isinteger(L, 2)) {
		i = lua_tointeger(L, 2);
		if (i < 1 || b->a.ndim == 0 || i > b->a.shape[0])
			return 0;
		if (b->a.ndim == 1) {
			buffer_push_element(L, &b->a, b->a.data + (i - 1) * b->a.stride[0]);
			return 1;
		}
		nd_index(&v, &b->a, 0, i - 1);
		buffer_push_view(L, &v, 1);
		return 1;
	}
	lua_settop(L, 2);
	if (lua_type(L, 2) == LUA_TUSERDATA)
		return buffer_l_pick(L);
	lua_rawget(L, lua_upvalueindex(2));
	return 1;
}

static int
b_newindex(lua_State *L)
{
	struct buffer *b = self(L);
	struct buffer_scalar store;
	struct nd v, x;
	lua_Integer i;
	int e;

	if (b->a.readonly)
		luaL_error(L, READONLY);
	if (lua_type(L, 2) == LUA_TUSERDATA)
		return buffer_l_put(L);
	i = luaL_checkinteger(L, 2);
	if (i < 1 || b->a.ndim == 0 || i > b->a.shape[0])
		return luaL_error(L, "index %I is outside of a buffer of %I elements", (LUAI_UACINT)i,
		    (LUAI_UACINT)(b->a.ndim ? b->a.shape[0] : 0));
	if (b->a.ndim == 1) {
		buffer_put(L, b->a.type, b->a.data + (i - 1) * b->a.stride[0], buffer_number(L, 3, b->a.type));
		return 0;
	}
	nd_index(&v, &b->a, 0, i - 1);
	buffer_operand(L, 3, &x, &store, v.type, false);
	if ((e = nd_copy(&v, &x)) < 0)
		return buffer_raise(L, e, "assignment", &v, &x);
	return 0;
}

static int
b_len(lua_State *L)			/* of the first axis; one number is one element */
{
	struct buffer *b = buffer_check(L, 1);

	lua_pushinteger(L, b->a.ndim ? b->a.shape[0] : 1);
	return 1;
}

/* --- methods --- */

int
buffer_l_sub(lua_State *L)			/* b:sub(i [, j]) -> view of i..j along the first axis, as string.sub counts */
{
	struct buffer *b = buffer_check(L, 1);
	lua_Integer n = b->a.ndim ? b->a.shape[0] : 0, i = luaL_checkinteger(L, 2), j = luaL_optinteger(L, 3, -1);
	struct nd v;

	luaL_argcheck(L, b->a.ndim > 0, 1, "a buffer with an axis expected");
	if (i < 0)
		i = i < -n ? 1 : n + i + 1;
	else if (i == 0)
		i = 1;
	if (j < 0)
		j = j < -n ? 0 : n + j + 1;
	else if (j > n)
		j = n;
	if (i > j)
		i = 1, j = 0;
	nd_slice(&v, &b->a, 0, i - 1, j - i + 1, 1);
	buffer_push_view(L, &v, 1);
	return 1;
}

static int
b_copy(lua_State *L)
{
	buffer_push_packed(L, &buffer_check(L, 1)->a);
	return 1;
}

static int
b_dtype(lua_State *L)
{
	lua_pushstring(L, nd_word(buffer_check(L, 1)->a.type));
	return 1;
}

static int
b_shape(lua_State *L)			/* -> the length of each axis */
{
	struct buffer *b = buffer_check(L, 1);
	int i;

	for (i = 0; i < b->a.ndim; i++)
		lua_pushinteger(L, (lua_Integer)b->a.shape[i]);
	return b->a.ndim;
}

static int
b_strides(lua_State *L)			/* -> bytes from one element to the next along each axis */
{
	struct buffer *b = buffer_check(L, 1);
	int i;

	for (i = 0; i < b->a.ndim; i++)
		lua_pushinteger(L, (lua_Integer)b->a.stride[i]);
	return b->a.ndim;
}

static int
b_ndim(lua_State *L)
{
	lua_pushinteger(L, buffer_check(L, 1)->a.ndim);
	return 1;
}

static int
b_size(lua_State *L)			/* elements in all */
{
	lua_pushinteger(L, nd_count(&buffer_check(L, 1)->a));
	return 1;
}

static int
b_readonly(lua_State *L)
{
	lua_pushboolean(L, buffer_check(L, 1)->a.readonly);
	return 1;
}

static int
b_fill(lua_State *L)			/* b:fill(v) -> b */
{
	struct buffer *b = buffer_writable(L, 1);
	struct buffer_scalar x;
	struct nd one;

	nd_init(&one, b->a.type, 0, NULL, x.bytes);
	buffer_put(L, b->a.type, x.bytes, buffer_number(L, 2, b->a.type));
	nd_copy(&b->a, &one);
	lua_settop(L, 1);
	return 1;
}

static int
b_eq(lua_State *L)
{
	struct buffer *a = buffer_test(L, 1), *b = buffer_test(L, 2);

	lua_pushboolean(L, a && b && nd_equal(&a->a, &b->a));
	return 1;
}

static int
b_close(lua_State *L)			/* a view lets go of its owner; its own elements stay until collected */
{
	struct buffer *b = buffer_check(L, 1);

	if (lua_getiuservalue(L, 1, 1) != LUA_TNONE) {
		nd_init(&b->a, b->a.type, 1, (int64_t[]){ 0 }, NULL);
		lua_pushnil(L);
		lua_setiuservalue(L, 1, 1);
	}
	return 0;
}

void
buffer_open(lua_State *L)
{
	static const luaL_Reg meta[] = { {"__len", b_len}, {"__eq", b_eq},
	    {"__tostring", buffer_l_tostring}, {"__close", b_close}, {NULL, NULL} };
	static const luaL_Reg methods[] = { {"sub", buffer_l_sub},
	    {"copy", b_copy}, {"dtype", b_dtype}, {"shape", b_shape}, {"strides", b_strides}, {"ndim", b_ndim},
	    {"size", b_size}, {"readonly", b_readonly}, {"fill", b_fill},
	    {NULL, NULL} };

	if (!luaL_newmetatable(L, "rota.buffer")) {
		lua_pop(L, 1);
		return;
	}
	luaL_setfuncs(L, meta, 0);
	buffer_math_meta(L);
	lua_pushlightuserdata(L, (void *)lua_topointer(L, -1));
	lua_pushcclosure(L, b_newindex, 1);
	lua_setfield(L, -2, "__newindex");
	lua_pushlightuserdata(L, (void *)lua_topointer(L, -1));
	luaL_newlib(L, methods);
	buffer_text_methods(L);
	buffer_view_methods(L);
	buffer_math_methods(L);
	buffer_reduce_methods(L);
	buffer_pick_methods(L);
	buffer_exchange_methods(L);
	lua_pushcclosure(L, b_index, 2);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
