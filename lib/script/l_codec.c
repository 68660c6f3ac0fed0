/*
 * l_codec - the module rota.codec: values to bytes and back in one process, for tools and tests.
 *
 *	encode(...) -> bytes, n			all in one string; functions too
 *	decode(bytes, n [, nocode]) -> values	nil, text where bytes are no values
 *	func(f, name) -> bytes			as a task's function is shipped
 *	unfunc(bytes) -> f
 */
#include <lauxlib.h>
#include "script/buffer.h"
#include "script/codec.h"
#include "script/func.h"

static int
l_encode(lua_State *L)
{
	struct enc e = ENC_INIT;
	int n = lua_gettop(L), ret;

	e.flags = ENC_INLINE;
	ret = enc_values(L, &e, 1, n, "argument");
	if (ret == 0)
		lua_pushlstring(L, (const char *)e.b.data, e.b.len);
	enc_release(L, &e);
	if (ret < 0)
		return lua_error(L);
	lua_pushinteger(L, n);
	return 2;
}

static int
l_decode(lua_State *L)
{
	size_t n;
	const char *p = luaL_checklstring(L, 1, &n);
	lua_Integer nvals = luaL_optinteger(L, 2, 1);
	unsigned flags = lua_toboolean(L, 3) ? 0 : VAL_ALLOW_CODE;

	luaL_argcheck(L, nvals >= 0 && nvals <= INT32_MAX, 2, "a number of values expected");
	lua_settop(L, 1);
	if (dec_values(L, (const unsigned char *)p, n, (unsigned)nvals, NULL, flags) < 0) {
		luaL_pushfail(L);
		lua_insert(L, -2);
		return 2;
	}
	return lua_gettop(L) - 1;
}

static int
l_func(lua_State *L)
{
	const char *name = luaL_optstring(L, 2, "function");
	struct enc e = ENC_INIT;
	int ret;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	if ((ret = func_encode(L, &e, 1, name)) == 0)
		lua_pushlstring(L, (const char *)e.b.data, e.b.len);
	enc_release(L, &e);
	return ret < 0 ? lua_error(L) : 1;
}

static int
l_unfunc(lua_State *L)
{
	size_t n;
	const char *p = luaL_checklstring(L, 1, &n);

	return func_decode(L, (const unsigned char *)p, n, NULL) < 0 ? lua_error(L) : 1;
}

int
luaopen_rota_codec(lua_State *L)
{
	static const luaL_Reg funcs[] = { {"encode", l_encode}, {"decode", l_decode}, {"func", l_func},
	    {"unfunc", l_unfunc},
	    {"array", codec_l_array}, {"map", codec_l_map}, {"class", class_l_class},
	    {NULL, NULL} };

	codec_open(L, NULL);
	luaL_newlib(L, funcs);
	buffer_l_module(L);
	lua_setfield(L, -2, "buffer");
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	return 1;
}
