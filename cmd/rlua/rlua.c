/* rlua - lua5.4 with rota ready: for #!/usr/bin/env rlua scripts. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include "base/die.h"
#include "script/paths.h"

static int
traceback(lua_State *L)
{
	luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
	return 1;
}

int
main(int argc, char *argv[])
{
	lua_State *L = luaL_newstate();
	int e;

	progname = "rlua";
	luaL_openlibs(L);
	paths_open(L);
	lua_newtable(L);
	for (int i = 0; i < argc; i++) {
		lua_pushstring(L, argv[i]);
		lua_rawseti(L, -2, i - 1);
	}
	lua_setglobal(L, "arg");
	lua_pushcfunction(L, traceback);
	if (argc == 3 && strcmp(argv[1], "-e") == 0)
		e = luaL_loadstring(L, argv[2]);
	else
		e = luaL_loadfile(L, argc > 1 ? argv[1] : NULL);
	if (e == LUA_OK)
		e = lua_pcall(L, 0, 0, 1);
	if (e != LUA_OK)
		fprintf(stderr, "rlua: %s\n", lua_tostring(L, -1));
	lua_close(L);
	return e != LUA_OK;
}
