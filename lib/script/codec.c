#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"
#include "script/codec_priv.h"

static const char state_key;		/* its address names the state in the registry */

static const char *const kinds[KIND_MAX] = {
	[KIND_REF] = "rota.ref", [KIND_TASK] = "rota.task", [KIND_ACTOR] = "rota.actor", [KIND_BUFFER] = "rota.buffer",
	[KIND_ERROR] = "rota.error", [KIND_ARRAY] = "rota.array", [KIND_MAP] = "rota.map",
	[KIND_CHAN] = "rota.channel",
};

struct codec_state *
codec_state(lua_State *L)
{
	struct codec_state *st;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
	st = lua_touserdata(L, -1);
	lua_pop(L, 1);
	if (!st)
		luaL_error(L, "the codec was not opened in this Lua state");
	return st;
}

enum codec_kind
codec_kind(lua_State *L, struct codec_state *st)
{
	const void *mt = lua_topointer(L, -1);
	int k;

	for (k = 1; k < KIND_MAX; k++)
		if (mt == st->mt[k])
			return k;
	for (k = 1; k < KIND_MAX; k++)		/* metatables in the registry stay, so their addresses do */
		if (!st->mt[k] && luaL_getmetatable(L, kinds[k]) == LUA_TTABLE) {
			st->mt[k] = lua_topointer(L, -1);
			lua_pop(L, 1);
			if (mt == st->mt[k])
				return k;
		} else if (!st->mt[k])
			lua_pop(L, 1);
	return KIND_NONE;
}

int
codec_call(lua_State *L, int nargs, int nres, int *code)
{
	int r = lua_pcall(L, nargs, nres, 0);

	if (r == LUA_OK)
		return 0;
	if (r == LUA_ERRMEM)
		return -ENOMEM;
	if (lua_type(L, -1) != LUA_TSTRING && !errobj_test(L, -1)) {
		const char *type = luaL_typename(L, -1);

		lua_pop(L, 1);
		lua_pushfstring(L, "error object is a %s value", type);
	}
	return *code ? *code : ERR_TASK;
}

bool
codec_is_open(lua_State *L)
{
	bool open = lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) != LUA_TNIL;

	lua_pop(L, 1);
	return open;
}

static int
state_gc(lua_State *L)
{
	struct codec_state *st = lua_touserdata(L, 1);

	mods_free(st);
	map_release(&st->mods);
	map_release(&st->classes);
	return 0;
}

void
codec_open(lua_State *L, const struct codec_hooks *hooks)
{
	static const struct codec_hooks none;
	struct codec_state *st;

	if (codec_is_open(L)) {
		if (hooks)
			codec_state(L)->hooks = hooks;
		return;
	}
	st = lua_newuserdatauv(L, sizeof *st, 0);
	memset(st, 0, sizeof *st);
	st->hooks = hooks ? hooks : &none;
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, state_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
	buffer_open(L);
	luaL_newmetatable(L, "rota.array");
	luaL_newmetatable(L, "rota.map");
	lua_pop(L, 2);
	errobj_open(L);
	class_open(L);
}

static int
mark(lua_State *L, const char *name, const char *text)
{
	luaL_argcheck(L, lua_gettop(L) == 1 && lua_istable(L, 1), 1, text);
	if (lua_getmetatable(L, 1)) {		/* an object loses its class to nobody */
		luaL_getmetatable(L, "rota.array");
		luaL_getmetatable(L, "rota.map");
		luaL_argcheck(L, lua_rawequal(L, -3, -1) || lua_rawequal(L, -3, -2), 1, "the table has a metatable of its own");
		lua_settop(L, 1);
	}
	luaL_setmetatable(L, name);
	return 1;
}

int
codec_l_array(lua_State *L)		/* rota.array{...} -> the same table: an array, even when empty */
{
	return mark(L, "rota.array", "one table expected");
}

int
codec_l_map(lua_State *L)		/* rota.map{...} -> the same table: a map, even with keys 1..n */
{
	return mark(L, "rota.map", "one table expected");
}
