/*
 * watch - the program that an actor keeps running, seen by the worker's loop: a function is called between calls when a
 * child of ours has ended, and when it is time.  rota.cmd stands on it.
 *
 *	look_after(f)	from now on f() is called so, and before the next call; it gives the seconds until the next time, or nil
 *	ill(text)	this worker cannot go on: its actor dies of that, as of a crash.  Does not return.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "client/serve.h"
#include "script/sched.h"

static _Noreturn void
ill(struct script *s, const char *text)
{
	serve_ill(s->c, text);
	while (serve_wait(s->c, NULL, false, false, clock_ns() + 1000000000) != ERR_NO_CLUSTER)
		;				/* it is killed for it */
	_Exit(1);
}

void
watch_run(struct script *s)
{
	lua_State *L = s->L;
	struct sched *d = s->sched;
	int base = lua_gettop(L);

	d->look = 0;
	lua_rawgeti(L, LUA_REGISTRYINDEX, d->watch);
	if (lua_pcall(L, 0, 1, 0) != LUA_OK)
		ill(s, luaL_tolstring(L, -1, NULL));
	d->look_at = lua_isnumber(L, -1) ? clock_ns() + (uint64_t)(lua_tonumber(L, -1) * 1e9) : WAIT_FOREVER;
	lua_settop(L, base);
}

static int
l_look_after(lua_State *L)
{
	struct sched *d = script_of(L)->sched;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	if (!d)
		return luaL_error(L, "look_after: this process is no worker");
	cancel_children();
	lua_settop(L, 1);
	luaL_unref(L, LUA_REGISTRYINDEX, d->watch);
	d->watch = luaL_ref(L, LUA_REGISTRYINDEX);
	d->look = 1;
	return 0;
}

static int
l_ill(lua_State *L)
{
	ill(script_of(L), luaL_checkstring(L, 1));
}

const luaL_Reg watch_functions[] = { { "look_after", l_look_after }, { "ill", l_ill }, { NULL, NULL } };
