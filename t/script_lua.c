/* script_lua.c - t/codec.lua, t/func.lua and t/buffer.lua hold in a bare Lua state, and under the sanitizers */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include "script/codec.h"
#include "tap.h"

static int
l_ok(lua_State *L)		/* TAP_OK(good, name) */
{
	const char *name = lua_tostring(L, 2);

	tap_ok(lua_toboolean(L, 1), "lua", 0, name ? name : "?");
	return 0;
}

static int
run(const char *file)		/* 0, or 1 and the reason is printed */
{
	lua_State *L = luaL_newstate();
	int bad;

	luaL_openlibs(L);
	luaL_requiref(L, "rota.codec", luaopen_rota_codec, 0);
	lua_pop(L, 1);
	lua_register(L, "TAP_OK", l_ok);
	if ((bad = luaL_dofile(L, file)) != 0)
		printf("# %s\n", lua_tostring(L, -1));
	lua_close(L);
	return bad;
}

int
main(void)
{
	ok(run("t/codec.lua") == 0);
	ok(run("t/func.lua") == 0);
	ok(run("t/buffer.lua") == 0);
	return tap_done();
}
