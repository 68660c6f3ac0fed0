/*
 * strict - ROTA_STRICT=1: a global that a task writes would be seen by later tasks of the same worker, and by no other:
 * it raises instead.  Modules that are loaded keep the real table of globals.
 */
#include <lauxlib.h>
#include "script/codec_priv.h"
#include "script/func.h"

#define STRICT "rota.strict"

static int
newindex(lua_State *L)
{
	return luaL_error(L, "task writes the global '%s' (ROTA_STRICT): make it local; state belongs in actors or rota.once",
	    luaL_tolstring(L, 2, NULL));
}

static int
global_index(lua_State *L)			/* upvalues 1: _G, 2: what tasks have instead */
{
	if (lua_type(L, 2) == LUA_TSTRING) {
		lua_pushliteral(L, "_G");
		if (lua_rawequal(L, 2, -1)) {
			lua_pushvalue(L, lua_upvalueindex(2));
			return 1;
		}
	}
	lua_settop(L, 2);
	lua_gettable(L, lua_upvalueindex(1));
	return 1;
}

static int
pairs(lua_State *L)
{
	lua_getglobal(L, "next");
	lua_pushglobaltable(L);
	lua_pushnil(L);
	return 3;
}

void
strict_open(lua_State *L)
{
	lua_newtable(L);
	lua_createtable(L, 0, 4);
	lua_pushcfunction(L, newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushglobaltable(L);
	lua_pushvalue(L, -3);
	lua_pushcclosure(L, global_index, 2);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, pairs);
	lua_setfield(L, -2, "__pairs");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	codec_state(L)->strict = lua_topointer(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, STRICT);
}

void
strict_push_globals(lua_State *L)
{
	if (!codec_state(L)->strict)
		lua_pushglobaltable(L);
	else
		lua_getfield(L, LUA_REGISTRYINDEX, STRICT);
}
