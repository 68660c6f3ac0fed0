/*
 * l_cancel - cancelling in Lua: rota.cancel, rota.shield, rota.cancelled, and "rota.scope" userdata.
 */
#include "script/script.h"
#include "script/sched.h"

static bool
option(lua_State *L, const char *name, bool unset)
{
	bool is = unset;

	if (lua_istable(L, 2) && lua_getfield(L, 2, name) != LUA_TNIL)
		is = lua_toboolean(L, -1);
	lua_settop(L, 2);
	return is;
}

int
l_cancel(lua_State *L)				/* cancel(ref, {force=, recursive=}) -> is it cancelled, or asked to end, by this? */
{
	static const char *const known[] = { "force", "recursive", NULL };
	struct client *c = script_client(L);
	struct rec *s = stream_test(L, 1), *r = s ? s : ref_check(L, 1);
	bool force, alone;
	int e;

	lua_settop(L, 2);
	script_options(L, 2, "cancel", known);
	force = option(L, "force", false);
	alone = !option(L, "recursive", true);
	if (force && client_is_call(c, r))
		return luaL_error(L, "cancel: a call of an actor cannot be forced to end; rota.kill ends the actor");
	e = client_cancel(c, r, (force ? CANCEL_FORCE : 0) | (alone ? CANCEL_ALONE : 0));
	if (e < 0)
		return luaL_error(L, "cancel: no task makes this ref, it was put");
	lua_pushboolean(L, e);
	return 1;
}

static int
l_cancelled(lua_State *L)			/* cancelled() -> is the running task to end? */
{
	struct script *s = script_of(L);
	struct task_in *t = s->sched ? s->sched->running : NULL;

	lua_pushboolean(L, t && (t->cancel || serve_cancelled(s->c, t, false)));
	return 1;
}

/* --- shield ---------------------------------------------------------------------------------------------------------- */

static int
shield_close(lua_State *L)			/* however f ended */
{
	struct script *s = script_of(L);
	const int *handler = lua_touserdata(L, 1);

	s->sched->running->shield--;
	s->sched->handler = *handler;		/* another task may have raised meanwhile */
	cancel_hook(s, L);			/* what came meanwhile is raised at the next instruction */
	return 0;
}

static int
shield_k(lua_State *L, int status, lua_KContext guards)
{
	(void)status;
	return lua_gettop(L) - (int)guards;
}

static int
l_shield(lua_State *L)				/* shield(f, …): f(…), during which nothing is raised */
{
	struct script *s = script_of(L);
	int n = lua_gettop(L) - 1;

	luaL_checkany(L, 1);
	if (!s->sched || !s->sched->running) {
		lua_callk(L, n, LUA_MULTRET, 0, shield_k);
		return shield_k(L, LUA_OK, 0);
	}
	*(int *)lua_newuserdatauv(L, sizeof(int), 0) = s->sched->handler;
	luaL_setmetatable(L, "rota.shield");
	lua_insert(L, 1);
	lua_toclose(L, 1);
	s->sched->running->shield++;
	lua_callk(L, n, LUA_MULTRET, 1, shield_k);
	return shield_k(L, LUA_OK, 1);
}

/* --- scopes ---------------------------------------------------------------------------------------------------------- */

struct lscope {
	struct scope *s;
	uint64_t was;			/* what was entered before */
	bool entered, cancelled;
};

static struct lscope *
scope_check(lua_State *L)
{
	return luaL_checkudata(L, 1, "rota.scope");
}

static int
l_scope(lua_State *L)				/* scope() -> a scope, entered until it is closed */
{
	struct client *c = script_client(L);
	struct lscope *u = lua_newuserdatauv(L, sizeof *u, 0);

	*u = (struct lscope){ 0 };
	luaL_setmetatable(L, "rota.scope");
	if (!(u->s = client_scope_new(c)))
		return luaL_error(L, "not enough memory");
	u->was = client_scope_enter(c, u->s);
	u->entered = true;
	return 1;
}

static int
l_scope_cancel(lua_State *L)			/* s:cancel() */
{
	struct lscope *u = scope_check(L);

	u->cancelled = true;
	client_scope_cancel(script_of(L)->c, u->s);
	return 0;
}

static int
l_scope_close(lua_State *L)			/* __close(s, error) */
{
	struct lscope *u = scope_check(L);
	struct client *c = script_of(L)->c;

	if (u->entered)
		client_scope_set(c, u->was);
	u->entered = false;
	if ((!lua_isnoneornil(L, 2) || u->cancelled) && !client_lost(c))
		client_scope_cancel(c, u->s);
	return 0;
}

static int
l_scope_gc(lua_State *L)
{
	struct lscope *u = scope_check(L);

	if (u->s && script_of(L)->c)
		client_scope_free(script_of(L)->c, u->s);
	u->s = NULL;
	return 0;
}

const luaL_Reg cancel_functions[] = { { "cancel", l_cancel }, { "cancelled", l_cancelled }, { "shield", l_shield },
    { "scope", l_scope }, { NULL, NULL } };

void
cancel_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__gc", l_scope_gc }, { "__close", l_scope_close }, { "cancel", l_scope_cancel },
	    { NULL, NULL } };

	luaL_newmetatable(L, "rota.scope");
	luaL_setfuncs(L, meta, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	luaL_newmetatable(L, "rota.shield");
	lua_pushcfunction(L, shield_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 2);
}
