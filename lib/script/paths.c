#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "script/codec.h"
#include "script/paths.h"
#include "script/script.h"

void
paths_open(lua_State *L)
{
	/* seen from bin or sbin, and from libexec/rota; the build tree has the same shape as an installation */
	static const char *const at[] = { "/../share/lua/5.4", "/../../share/lua/5.4" };
	char self[PATH_MAX - 32], file[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	lua_getglobal(L, "package");
	lua_getfield(L, -1, "preload");
	lua_pushcfunction(L, luaopen_rota_core);
	lua_setfield(L, -2, "rota.core");
	lua_pushcfunction(L, luaopen_rota_codec);
	lua_setfield(L, -2, "rota.codec");
	lua_pop(L, 1);
	if (n > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')))
			*slash = '\0';
		for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
			snprintf(file, sizeof file, "%s%s/rota.lua", self, at[i]);
			if (access(file, R_OK) != 0)
				continue;
			lua_pushfstring(L, "%s%s/?.lua;%s%s/?/init.lua;", self, at[i], self, at[i]);
			lua_getfield(L, -2, "path");
			lua_concat(L, 2);
			lua_setfield(L, -2, "path");
			snprintf(file, sizeof file, "%s%.*s/rota", self, (int)(strlen(at[i]) - strlen("/lua/5.4")), at[i]);
			lua_pushstring(L, file);
			lua_setfield(L, LUA_REGISTRYINDEX, "rota.share");
			break;
		}
	}
	lua_pop(L, 1);
}
