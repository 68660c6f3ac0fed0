/*
 * l_set - sets of actors: what lua/rota/set.lua stands on.  They are made by actor_new (l_actor.c).
 *
 *	set_find(name) -> number, class, methods; nil, why
 *	set_look(number, revision) -> revision, state, min, max, text, error, members, generation, seq; nil and seq if it is the same
 *	set_next(number, revision) -> ref that is ready once it is another
 *	set_ready(number, up) -> ref that is ready once so many members are up, 0: once it is alive	set_resize(number, min, max) raises
 *	set_renew(number) raises
 *	set_end(number, kill)	actor_of(number, class, methods) -> handle
 *	(who of them is called: l_members.c)
 */
#include "client/set.h"
#include "script/script.h"

static int
l_find(lua_State *L)
{
	struct buf class = BUF_INIT, methods = BUF_INIT;
	uint64_t number;
	char why[512];
	int e = client_set_find(script_client(L), luaL_checkstring(L, 1), &number, &class, &methods, why, sizeof why);

	if (e < 0) {
		luaL_pushfail(L);
		lua_pushstring(L, *why ? why : err_str(e));
	} else {
		lua_pushinteger(L, (lua_Integer)number);
		lua_pushstring(L, (const char *)class.data);
		lua_pushlstring(L, (const char *)methods.data, methods.len);
	}
	buf_release(&class);
	buf_release(&methods);
	return e < 0 ? 2 : 3;
}

static int
l_look(lua_State *L)
{
	uint64_t revision = (uint64_t)luaL_checkinteger(L, 2);
	struct buf b = BUF_INIT;
	struct msg_set_state m;
	uint64_t seq = client_set_seq(script_client(L));
	int e = client_set_look(script_client(L), (uint64_t)luaL_checkinteger(L, 1), &revision, &b);

	if (e > 0 && (e = msg_get_set_state(&m, b.data, b.len)) == 0) {
		lua_pushinteger(L, (lua_Integer)revision);
		lua_pushinteger(L, (lua_Integer)m.state);
		lua_pushinteger(L, (lua_Integer)m.min);
		lua_pushinteger(L, (lua_Integer)m.max);
		lua_pushlstring(L, (const char *)m.text.p, m.text.n);
		if (m.error.n == 0)
			lua_pushnil(L);
		else if (dec_values(L, m.error.p, m.error.n, 1, NULL, 0) < 0)
			lua_error(L);
		lua_pushlstring(L, (const char *)m.members.p, m.members.n);
		lua_pushinteger(L, (lua_Integer)m.generation);
		lua_pushinteger(L, (lua_Integer)seq);
		buf_release(&b);
		return 9;
	}
	buf_release(&b);
	if (e < 0)
		script_raise(L, e, "%s", err_str(e));
	lua_pushnil(L);
	lua_pushinteger(L, (lua_Integer)seq);
	return 2;
}

static int
l_next(lua_State *L)
{
	struct rec *r = client_set_next(script_client(L), (uint64_t)luaL_checkinteger(L, 1), (uint64_t)luaL_checkinteger(L, 2));

	if (!r)
		script_raise(L, -ENOMEM, "%s", err_str(-ENOMEM));
	ref_push(L, r);
	return 1;
}

static int
l_ready(lua_State *L)
{
	struct rec *r = client_set_ready(script_client(L), (uint64_t)luaL_checkinteger(L, 1), (unsigned)luaL_checkinteger(L, 2));

	if (!r)
		script_raise(L, -ENOMEM, "%s", err_str(-ENOMEM));
	ref_push(L, r);
	return 1;
}

static int
l_resize(lua_State *L)
{
	char why[512];
	int e = client_set_resize(script_client(L), (uint64_t)luaL_checkinteger(L, 1), (unsigned)luaL_checkinteger(L, 2),
	    (unsigned)luaL_checkinteger(L, 3), why, sizeof why);

	if (e < 0)
		script_raise(L, e, "%s", *why ? why : err_str(e));
	return 0;
}

static int
l_renew(lua_State *L)
{
	char why[512];
	int e = client_set_renew(script_client(L), (uint64_t)luaL_checkinteger(L, 1), why, sizeof why);

	if (e < 0)
		script_raise(L, e, "%s", *why ? why : err_str(e));
	return 0;
}

static int
l_end(lua_State *L)
{
	client_set_end(script_client(L), (uint64_t)luaL_checkinteger(L, 1), lua_toboolean(L, 2));
	return 0;
}

static int
l_actor_of(lua_State *L)
{
	size_t nclass, nmethods;
	const char *class = luaL_checklstring(L, 2, &nclass), *methods = luaL_checklstring(L, 3, &nmethods);

	actor_push(L, (uint64_t)luaL_checkinteger(L, 1), span_of(class, nclass), span_of(methods, nmethods));
	return 1;
}

const luaL_Reg set_functions[] = { { "set_find", l_find }, { "set_look", l_look }, { "set_next", l_next }, { "set_ready", l_ready },
    { "set_resize", l_resize }, { "set_renew", l_renew }, { "set_end", l_end }, { "actor_of", l_actor_of }, { NULL, NULL } };
