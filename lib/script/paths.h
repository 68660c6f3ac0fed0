/* paths - where rota's Lua files are: beside the running program, in place or installed. */
#ifndef SCRIPT_PATHS_H
#define SCRIPT_PATHS_H

#include <lua.h>

void	paths_open(lua_State *L);	/* package.path begins with them; package.preload knows rota.core */

#endif
