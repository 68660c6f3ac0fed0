/*
 * l_actor - what l_actor.c and l_method.c share.
 *
 * A handle's user value 1 is a table: method name -> method.  c:add(5) finds the method and calls it with the handle
 * first; a method knows its handle, so that c.add:with{timeout=1}(5) works too.
 */
#ifndef SCRIPT_L_ACTOR_H
#define SCRIPT_L_ACTOR_H

#include <stdbool.h>
#include <lua.h>

struct lactor {
	struct actor *a;		/* counted; NULL once stopped and closed */
};

/* l_method.c */
int	method_index(lua_State *L);		/* __index of handles: the method of that name */
int	method_bind(lua_State *L);		/* method_bind(method, options) -> method that is called without the handle */
int	method_call(lua_State *L, int first);	/* what the method at 1 gives, called with the arguments from first on: how many */
int	method_methods(lua_State *L);		/* method_methods(table): what method.name finds; from lua/rota.lua */
void	method_open(lua_State *L);

#endif
