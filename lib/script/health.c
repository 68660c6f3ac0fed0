/*
 * health - the check of a member of a set: a method of the actor, called between its calls.  It is well unless the
 * method raises, or returns false or nil and why.
 */
#include <stdio.h>
#include "client/serve.h"
#include "script/func.h"
#include "script/sched.h"

static int
check(lua_State *L)				/* name of the method, as light userdata -> its first values */
{
	const char *name = lua_touserdata(L, 1);

	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->sched->self);
	if (!lua_istable(L, -1) || (lua_getfield(L, -1, name), !lua_isfunction(L, -1)))
		return luaL_error(L, "the actor has no method '%s'", name);
	lua_insert(L, -2);
	lua_call(L, 1, 2);
	return 2;
}

void
health_run(struct script *s)
{
	lua_State *L = s->L;
	char name[64], text[200];
	int base = lua_gettop(L);
	bool ok;

	snprintf(name, sizeof name, "%s", serve_health(s->c));
	serve_named(s->c, name);
	lua_pushcfunction(L, check);
	lua_pushlightuserdata(L, (void *)(uintptr_t)serve_health(s->c));
	ok = lua_pcall(L, 1, 2, 0) == LUA_OK;
	if (ok && (lua_toboolean(L, base + 1) || lua_isnil(L, base + 2))) {
		ok = lua_isnil(L, base + 1) || lua_toboolean(L, base + 1);
		lua_settop(L, base);
		lua_pushliteral(L, "it returned false");
	} else if (ok) {
		ok = false;			/* nil or false, and why */
		lua_remove(L, base + 1);
	} else {
		errobj_wrap(L, base + 1, NULL);	/* its message, of a table too */
	}
	snprintf(text, sizeof text, "'%s': %s", name, luaL_tolstring(L, -1, NULL));
	serve_healthy(s->c, ok, ok ? NULL : text);
	lua_settop(L, base);
}
