/*
 * work - what a worker does: preload once in the zygote, run after the fork.
 */
#ifndef SCRIPT_WORK_H
#define SCRIPT_WORK_H

#include <lua.h>

lua_State *work_preload(void);		/* a state with libraries and rota loaded; NULL: no memory, or rota.lua is not found */
int	work_run(lua_State *L, int fd);	/* serves until the node is gone or the actor stops: the exit status */

#endif
