/*
 * l_buffer - "rota.buffer".  A buffer of its own has its elements in the userdata, so that Lua's collector counts
 * them; a view has the owner in its user value.  Elements are read and written byte by byte: a view may start
 * anywhere.
 */
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include "script/buffer.h"

#define READONLY "this buffer is read-only; b:copy() gives your own"

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

static struct buffer *
push(lua_State *L, unsigned dtype, size_t n, size_t extra, int nuv)
{
	size_t size = val_dtype_size(dtype);
	struct buffer *b;

	if (!size)
		luaL_error(L, "unknown type of buffer elements (%d)", (int)dtype);
	if (n > (SIZE_MAX / 2 - sizeof *b) / size)
		luaL_error(L, "not enough memory");
	b = lua_newuserdatauv(L, sizeof *b + extra, nuv);
	*b = (struct buffer){ .len = n, .bytes = n * size, .dtype = (uint8_t)dtype, .size = (uint8_t)size, .ndim = 1,
	    .shape = { n } };
	return b;
}

struct buffer *
buffer_push(lua_State *L, unsigned dtype, size_t n)
{
	size_t bytes = n > SIZE_MAX / 16 ? SIZE_MAX / 2 : n * val_dtype_size(dtype);
	struct buffer *b = push(L, dtype, n, bytes, 0);

	b->p = (unsigned char *)(b + 1);
	memset(b->p, 0, bytes);
	luaL_setmetatable(L, "rota.buffer");
	return b;
}

struct buffer *
buffer_push_view(lua_State *L, unsigned dtype, const void *p, size_t n, int anchor, bool readonly)
{
	struct buffer *b;

	if (anchor)
		anchor = lua_absindex(L, anchor);
	b = push(L, dtype, n, 0, 1);
	b->p = (unsigned char *)p;		/* written to only if not readonly */
	b->readonly = readonly;
	if (anchor) {
		lua_pushvalue(L, anchor);
		lua_setiuservalue(L, -2, 1);
	}
	luaL_setmetatable(L, "rota.buffer");
	return b;
}

const void *
buffer_bytes(lua_State *L, int idx, size_t *n)
{
	struct buffer *b;

	if (lua_type(L, idx) == LUA_TSTRING)
		return lua_tolstring(L, idx, n);
	if (!(b = buffer_test(L, idx)))
		return NULL;
	*n = b->bytes;
	return b->p ? b->p : (const void *)"";
}

/* --- elements --- */

static double
half_get(uint16_t h)			/* IEEE binary16 */
{
	unsigned exp = h >> 10 & 31, frac = h & 1023;
	double v = exp == 0 ? ldexp(frac, -24) : exp < 31 ? ldexp(frac + 1024, (int)exp - 25) : frac ? NAN : INFINITY;

	return h & 0x8000 ? -v : v;
}

static uint16_t
half_put(double v)			/* to the nearest, ties to even */
{
	uint16_t sign = signbit(v) ? 0x8000 : 0;
	int exp;
	double r;

	v = fabs(v);
	if (v != v)
		return (uint16_t)(sign | 0x7e00);
	if (v >= 65520)
		return (uint16_t)(sign | 0x7c00);
	if (v < ldexp(1, -14))
		return (uint16_t)(sign | (uint16_t)nearbyint(ldexp(v, 24)));	/* 1024: the least normal one */
	frexp(v, &exp);				/* v = f * 2^exp, f in [0.5, 1) */
	r = nearbyint(ldexp(v, 11 - exp));	/* 1024 .. 2048 */
	return (uint16_t)(sign | (uint16_t)((exp + 13) * 1024 + (int)r));	/* a carry goes into the exponent */
}

static uint16_t
bfloat_put(float f)			/* to the nearest, ties to even */
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	if (f != f)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#define GET(type, how) { type x; memcpy(&x, p, sizeof x); how; return; }

static void
elem_push(lua_State *L, const struct buffer *b, size_t i)
{
	const unsigned char *p = b->p + i * b->size;
	uint32_t u;
	float f;

	switch ((enum val_dtype)b->dtype) {
	case VAL_U8: lua_pushinteger(L, *p); return;
	case VAL_I8: lua_pushinteger(L, (int8_t)*p); return;
	case VAL_U16: GET(uint16_t, lua_pushinteger(L, x))
	case VAL_I16: GET(int16_t, lua_pushinteger(L, x))
	case VAL_U32: GET(uint32_t, lua_pushinteger(L, x))
	case VAL_I32: GET(int32_t, lua_pushinteger(L, x))
	case VAL_U64: GET(uint64_t, lua_pushinteger(L, (lua_Integer)x))	/* wraps, as Lua's own integers do */
	case VAL_I64: GET(int64_t, lua_pushinteger(L, x))
	case VAL_F32: GET(float, lua_pushnumber(L, (lua_Number)x))
	case VAL_F64: GET(double, lua_pushnumber(L, x))
	case VAL_F16: GET(uint16_t, lua_pushnumber(L, half_get(x)))
	case VAL_BF16: GET(uint16_t, (u = (uint32_t)x << 16, memcpy(&f, &u, 4), lua_pushnumber(L, (lua_Number)f)))
	}
	lua_pushnil(L);
}

static lua_Integer
int_arg(lua_State *L, int arg, lua_Integer lo, lua_Integer hi, unsigned dtype)
{
	lua_Integer v = luaL_checkinteger(L, arg);

	if (v < lo || v > hi)
		luaL_error(L, "%I does not fit an element of type %s", (LUAI_UACINT)v, val_dtype_word(dtype));
	return v;
}

#define PUT(type, value) { type x = (type)(value); memcpy(p, &x, sizeof x); return; }

static void
elem_set(lua_State *L, struct buffer *b, size_t i, int arg)	/* the number at arg; raises if it does not fit */
{
	unsigned char *p = b->p + i * b->size;
	unsigned t = b->dtype;

	switch ((enum val_dtype)t) {
	case VAL_U8: PUT(uint8_t, int_arg(L, arg, 0, UINT8_MAX, t))
	case VAL_I8: PUT(int8_t, int_arg(L, arg, INT8_MIN, INT8_MAX, t))
	case VAL_U16: PUT(uint16_t, int_arg(L, arg, 0, UINT16_MAX, t))
	case VAL_I16: PUT(int16_t, int_arg(L, arg, INT16_MIN, INT16_MAX, t))
	case VAL_U32: PUT(uint32_t, int_arg(L, arg, 0, UINT32_MAX, t))
	case VAL_I32: PUT(int32_t, int_arg(L, arg, INT32_MIN, INT32_MAX, t))
	case VAL_U64: PUT(uint64_t, luaL_checkinteger(L, arg))
	case VAL_I64: PUT(int64_t, luaL_checkinteger(L, arg))
	case VAL_F32: PUT(float, luaL_checknumber(L, arg))
	case VAL_F64: PUT(double, luaL_checknumber(L, arg))
	case VAL_F16: PUT(uint16_t, half_put(luaL_checknumber(L, arg)))
	case VAL_BF16: PUT(uint16_t, bfloat_put((float)luaL_checknumber(L, arg)))
	}
}

/* --- methods --- */

static struct buffer *
check_writable(lua_State *L, int arg)
{
	struct buffer *b = buffer_check(L, arg);

	if (b->readonly)
		luaL_error(L, READONLY);
	return b;
}

static int
b_index(lua_State *L)			/* upvalue 1: the methods; 2: address of the metatable, quicker than its name */
{
	struct buffer *b = lua_touserdata(L, 1);
	lua_Integer i;

	if (!b || !lua_getmetatable(L, 1) || lua_topointer(L, -1) != lua_touserdata(L, lua_upvalueindex(2)))
		return luaL_typeerror(L, 1, "rota.buffer");
	if (lua_isinteger(L, 2)) {
		i = lua_tointeger(L, 2);
		if (i < 1 || (lua_Unsigned)i > b->len)
			return 0;
		elem_push(L, b, (size_t)i - 1);
		return 1;
	}
	lua_settop(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	return 1;
}

static int
b_newindex(lua_State *L)
{
	struct buffer *b = check_writable(L, 1);
	lua_Integer i = luaL_checkinteger(L, 2);

	if (i < 1 || (lua_Unsigned)i > b->len)
		return luaL_error(L, "index %I is outside of a buffer of %I elements", (LUAI_UACINT)i,
		    (LUAI_UACINT)b->len);
	elem_set(L, b, (size_t)i - 1, 3);
	return 0;
}

static int
b_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)buffer_check(L, 1)->len);
	return 1;
}

static int
b_sub(lua_State *L)			/* b:sub(i [, j]) -> view of the elements i..j, as string.sub counts */
{
	struct buffer *b = buffer_check(L, 1);
	lua_Integer n = (lua_Integer)b->len, i = luaL_checkinteger(L, 2), j = luaL_optinteger(L, 3, -1);

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
	lua_settop(L, 1);
	buffer_push_view(L, b->dtype, b->p + (size_t)(i - 1) * b->size, (size_t)(j - i + 1), 1, b->readonly);
	if (lua_getiuservalue(L, 1, 1) > LUA_TNIL)
		lua_setiuservalue(L, 2, 1);	/* the owner itself: no chain of views */
	lua_settop(L, 2);
	return 1;
}

static int
b_bytes(lua_State *L)			/* how many there are */
{
	lua_pushinteger(L, (lua_Integer)buffer_check(L, 1)->bytes);
	return 1;
}

static int
b_string(lua_State *L)			/* b:string([i, [j]]): the bytes of the elements i..j */
{
	struct buffer *b;

	if (lua_gettop(L) > 1) {
		b_sub(L);
		lua_replace(L, 1);
	}
	b = buffer_check(L, 1);
	lua_pushlstring(L, (const char *)b->p, b->bytes);
	return 1;
}

static int
b_copy(lua_State *L)
{
	struct buffer *b = buffer_check(L, 1), *c = buffer_push(L, b->dtype, b->len);

	if (b->bytes)
		memcpy(c->p, b->p, b->bytes);
	c->ndim = b->ndim;
	memcpy(c->shape, b->shape, sizeof c->shape);
	return 1;
}

static int
b_dtype(lua_State *L)
{
	lua_pushstring(L, val_dtype_word(buffer_check(L, 1)->dtype));
	return 1;
}

static int
b_shape(lua_State *L)			/* -> the length of each dimension */
{
	struct buffer *b = buffer_check(L, 1);
	int i;

	for (i = 0; i < b->ndim; i++)
		lua_pushinteger(L, (lua_Integer)b->shape[i]);
	return b->ndim;
}

static int
b_readonly(lua_State *L)
{
	lua_pushboolean(L, buffer_check(L, 1)->readonly);
	return 1;
}

static int
b_fill(lua_State *L)			/* b:fill(v) -> b */
{
	struct buffer *b = check_writable(L, 1);
	size_t i;

	luaL_checknumber(L, 2);
	if (b->len)
		elem_set(L, b, 0, 2);
	for (i = 1; i < b->len; i++)
		memcpy(b->p + i * b->size, b->p, b->size);
	lua_settop(L, 1);
	return 1;
}

static int
b_copy_from(lua_State *L)		/* b:copy_from(x [, i]): bytes of a string or buffer, from element i on -> b */
{
	struct buffer *b = check_writable(L, 1);
	lua_Integer i = luaL_optinteger(L, 3, 1);
	size_t n;
	const void *p = buffer_bytes(L, 2, &n);

	luaL_argcheck(L, p, 2, "string or buffer expected");
	luaL_argcheck(L, i >= 1 && (lua_Unsigned)i <= b->len + 1, 3, "outside of the buffer");
	if (n > b->bytes - (size_t)(i - 1) * b->size)
		return luaL_error(L, "%I bytes do not fit", (LUAI_UACINT)n);
	if (n)
		memmove(b->p + (size_t)(i - 1) * b->size, p, n);
	lua_settop(L, 1);
	return 1;
}

static int
b_reshape(lua_State *L)			/* b:reshape(n, m, ...) -> view of the same elements */
{
	struct buffer *b = buffer_check(L, 1), *v;
	int i, n = lua_gettop(L) - 1;
	size_t shape[BUFFER_NDIM], all = 1;
	lua_Integer k;

	luaL_argcheck(L, n >= 1 && n <= BUFFER_NDIM, 2, "1 to 8 lengths expected");
	for (i = 0; i < n; i++) {
		k = luaL_checkinteger(L, i + 2);
		luaL_argcheck(L, k >= 0 && (k == 0 || all <= SIZE_MAX / (size_t)k), i + 2, "no length of a dimension");
		shape[i] = (size_t)k;
		all *= (size_t)k;
	}
	if (all != b->len)
		return luaL_error(L, "a buffer of %I elements has no such shape", (LUAI_UACINT)b->len);
	v = buffer_push_view(L, b->dtype, b->p, b->len, 1, b->readonly);
	v->ndim = (uint8_t)n;
	memcpy(v->shape, shape, (size_t)n * sizeof *shape);
	return 1;
}

static int
b_eq(lua_State *L)
{
	struct buffer *a = buffer_test(L, 1), *b = buffer_test(L, 2);

	lua_pushboolean(L, a && b && a->dtype == b->dtype && a->bytes == b->bytes && a->ndim == b->ndim
	    && memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0
	    && (a->bytes == 0 || memcmp(a->p, b->p, a->bytes) == 0));
	return 1;
}

static int
b_tostring(lua_State *L)		/* buffer f64 [3x4]: 1.0 2.0 ... */
{
	struct buffer *b = buffer_check(L, 1);
	luaL_Buffer out;
	size_t i, n = b->len < 8 ? b->len : 8;

	luaL_buffinit(L, &out);
	luaL_addstring(&out, "buffer ");
	luaL_addstring(&out, val_dtype_word(b->dtype));
	for (i = 0; i < b->ndim; i++) {
		lua_pushfstring(L, i ? "x%I" : " [%I", (LUAI_UACINT)b->shape[i]);
		luaL_addvalue(&out);
	}
	luaL_addstring(&out, b->readonly ? "] read-only:" : "]:");
	for (i = 0; i < n; i++) {
		luaL_addchar(&out, ' ');
		elem_push(L, b, i);
		lua_tostring(L, -1);
		luaL_addvalue(&out);
	}
	if (n < b->len)
		luaL_addstring(&out, " ...");
	luaL_pushresult(&out);
	return 1;
}

static int
b_close(lua_State *L)			/* a view lets go of its owner; its own elements stay until collected */
{
	struct buffer *b = buffer_check(L, 1);

	if (lua_getiuservalue(L, 1, 1) != LUA_TNONE) {
		b->p = NULL;
		b->len = b->bytes = 0;
		b->ndim = 1;
		b->shape[0] = 0;
		lua_pushnil(L);
		lua_setiuservalue(L, 1, 1);
	}
	return 0;
}

static unsigned
dtype_arg(lua_State *L, int arg, unsigned def)
{
	static const struct { const char *word; unsigned number; } types[] = {
#define X(NAME, number, bytes, word) { word, number },
		VAL_DTYPE_MAP(X)
#undef X
	};
	const char *s;
	size_t i;

	if (lua_isnoneornil(L, arg))
		return def;
	s = luaL_checkstring(L, arg);
	for (i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].word, s) == 0)
			return types[i].number;
	luaL_argerror(L, arg, lua_pushfstring(L,
	    "no type of elements '%s' (u8 i8 u16 i16 u32 i32 u64 i64 f16 bf16 f32 f64)", s));
	return def;
}

int
buffer_l_new(lua_State *L)
{
	unsigned t = dtype_arg(L, 2, lua_type(L, 1) == LUA_TSTRING ? VAL_U8 : VAL_F64);
	struct buffer *b;
	lua_Integer n;
	size_t len, i;
	const char *s;

	lua_settop(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNUMBER:
		n = luaL_checkinteger(L, 1);
		luaL_argcheck(L, n >= 0, 1, "a number of elements expected");
		buffer_push(L, t, (size_t)n);
		return 1;
	case LUA_TSTRING:
		s = lua_tolstring(L, 1, &len);
		if (len % val_dtype_size(t))
			return luaL_error(L, "%I bytes are no whole number of elements of type %s",
			    (LUAI_UACINT)len, val_dtype_word(t));
		b = buffer_push(L, t, len / val_dtype_size(t));
		if (len)
			memcpy(b->p, s, len);
		return 1;
	case LUA_TTABLE:
		len = lua_rawlen(L, 1);
		b = buffer_push(L, t, len);
		for (i = 0; i < len; i++) {
			if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TNUMBER)
				return luaL_error(L, "element %I is a %s, not a number", (LUAI_UACINT)(i + 1),
				    luaL_typename(L, -1));
			elem_set(L, b, i, 3);
			lua_pop(L, 1);
		}
		return 1;
	}
	return luaL_argerror(L, 1, "number of elements, string or list of numbers expected");
}

void
buffer_open(lua_State *L)
{
	static const luaL_Reg meta[] = { {"__newindex", b_newindex}, {"__len", b_len}, {"__eq", b_eq},
	    {"__tostring", b_tostring}, {"__close", b_close}, {NULL, NULL} };
	static const luaL_Reg methods[] = { {"sub", b_sub}, {"bytes", b_bytes}, {"string", b_string},
	    {"copy", b_copy}, {"dtype", b_dtype}, {"shape", b_shape}, {"readonly", b_readonly}, {"fill", b_fill},
	    {"copy_from", b_copy_from}, {"reshape", b_reshape}, {NULL, NULL} };

	if (!luaL_newmetatable(L, "rota.buffer")) {
		lua_pop(L, 1);
		return;
	}
	luaL_setfuncs(L, meta, 0);
	luaL_newlib(L, methods);
	lua_pushlightuserdata(L, (void *)lua_topointer(L, -2));
	lua_pushcclosure(L, b_index, 2);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
