/*
 * Error objects: tables with the metatable "rota.error".  They read as their message: tostring, .., and the
 * methods of strings, so that err:match("x") and "failed: " .. err work as with a plain message.
 */
#include <lauxlib.h>
#include <string.h>
#include "script/codec.h"

bool
errobj_test(lua_State *L, int idx)
{
	bool same;

	if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
		return false;
	luaL_getmetatable(L, "rota.error");
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

static void
push_message(lua_State *L, int idx)		/* as a string; other values as tostring has them */
{
	if (!errobj_test(L, idx)) {
		luaL_tolstring(L, idx, NULL);
		return;
	}
	idx = lua_absindex(L, idx);
	lua_pushliteral(L, "message");
	lua_rawget(L, idx);
	if (lua_type(L, -1) != LUA_TSTRING) {
		lua_pop(L, 1);
		lua_pushliteral(L, "?");
	}
}

static int
error_tostring(lua_State *L)
{
	push_message(L, 1);
	return 1;
}

static int
error_concat(lua_State *L)
{
	push_message(L, 1);
	push_message(L, 2);
	lua_concat(L, 2);
	return 1;
}

static int
error_len(lua_State *L)
{
	push_message(L, 1);
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

static int
method(lua_State *L)				/* upvalue 1: the function of string; an error stands for its message */
{
	int n = lua_gettop(L);

	if (n && errobj_test(L, 1)) {
		push_message(L, 1);
		lua_replace(L, 1);
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, LUA_MULTRET);
	return lua_gettop(L);
}

static int
error_index(lua_State *L)			/* upvalue 1: methods made so far */
{
	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (lua_getfield(L, -1, "string") != LUA_TTABLE || lua_type(L, 2) != LUA_TSTRING)
		return 0;
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TFUNCTION)
		return 0;
	lua_pushcclosure(L, method, 1);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, lua_upvalueindex(1));
	return 1;
}

void
errobj_open(lua_State *L)
{
	static const luaL_Reg meta[] = { {"__tostring", error_tostring}, {"__concat", error_concat},
	    {"__len", error_len}, {NULL, NULL} };

	luaL_newmetatable(L, "rota.error");
	luaL_setfuncs(L, meta, 0);
	lua_newtable(L);
	lua_pushcclosure(L, error_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

void
errobj_push(lua_State *L, int code, const char *msg)
{
	luaL_checkstack(L, 4, NULL);
	lua_createtable(L, 0, 4);
	lua_pushstring(L, msg);
	lua_setfield(L, -2, "message");
	lua_pushstring(L, err_word(code < 0 ? code : ERR_TASK));
	lua_setfield(L, -2, "code");
	luaL_setmetatable(L, "rota.error");
}

static int
text_of(lua_State *L)
{
	luaL_tolstring(L, 1, NULL);
	return 1;
}

void
errobj_wrap(lua_State *L, int idx, const char *traceback)
{
	const char *s;

	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 6, NULL);
	if (errobj_test(L, idx)) {
		lua_pushvalue(L, idx);
		return;
	}
	if (lua_type(L, idx) == LUA_TSTRING || lua_type(L, idx) == LUA_TNUMBER) {
		lua_pushvalue(L, idx);
		s = lua_tostring(L, -1);
	} else if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
		lua_pop(L, 1);
		lua_pushcfunction(L, text_of);		/* it may raise in its turn */
		lua_pushvalue(L, idx);
		if (lua_pcall(L, 1, 1, 0) == LUA_OK)
			s = lua_tostring(L, -1);
		else
			s = lua_pushfstring(L, "error object is a %s value", luaL_typename(L, idx)), lua_remove(L, -2);
	} else {
		if (lua_istable(L, idx)) {		/* error{message = "...", code = 7} */
			lua_pushliteral(L, "message");
			lua_rawget(L, idx);
		} else
			lua_pushnil(L);
		if (!(s = lua_tostring(L, -1)))
			s = lua_pushfstring(L, "error object is a %s value", luaL_typename(L, idx));
		else
			lua_pushvalue(L, -1);
		lua_remove(L, -2);
	}
	errobj_push(L, ERR_TASK, s);
	lua_remove(L, -2);
	if (lua_type(L, idx) != LUA_TSTRING) {
		lua_pushvalue(L, idx);
		lua_setfield(L, -2, "value");
	}
	if (traceback) {
		lua_pushstring(L, traceback);
		lua_setfield(L, -2, "traceback");
	}
}
