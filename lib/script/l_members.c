/*
 * l_members - several actors of which each call takes one: chosen in C, for it is done at every call.  What lua/rota/set.lua and
 * pool.lua stand on.
 *
 *	members(refresh, whose) -> members, none yet.  refresh(whose) says who there is (members_are), or raises
 *	members_are(members, list, seq): these handles, until the state of a set comes after seq of set_look.  list stays as it is
 *	members_least(members) -> the handle with fewest calls before it, of all processes, of equals the next one in turn; nil: refresh
 *	members_idlest(members [, any]) -> the place of that with fewest calls of ours; one that is not up counts half a call more.
 *	    nil if one of them is dead, with any it is no matter
 *	members_method(members, name) -> what is called with `whose` first: the method of that name, of members_least
 *	members_method_of(method) -> whose, name		members_methods(table): what method.name finds
 */
#include <limits.h>
#include <string.h>
#include "client/set.h"
#include "script/l_actor.h"
#include "script/script.h"

struct members {			/* user values: 1 the handles, 2 memory of h, 3 refresh, 4 whose */
	struct lactor **h;
	unsigned n, at;			/* at: the place that was chosen last, 1 first */
	uint64_t seq;			/* UINT64_MAX: nobody said who there is */
	unsigned version;		/* of h */
};

struct method {				/* user values: 1 the members, 2 the name, 3 methods of the handles by place */
	struct members *m;
	const void *whose;
	unsigned version;		/* of user value 3 */
};

static struct members *
check(lua_State *L)
{
	return luaL_checkudata(L, 1, "rota.members");
}

static int
l_members(lua_State *L)
{
	struct members *m;

	lua_settop(L, 2);
	m = lua_newuserdatauv(L, sizeof *m, 4);
	*m = (struct members){ .seq = UINT64_MAX };
	luaL_setmetatable(L, "rota.members");
	lua_insert(L, 1);
	lua_setiuservalue(L, 1, 4);
	lua_setiuservalue(L, 1, 3);
	return 1;
}

static int
l_are(lua_State *L)
{
	struct members *m = check(L);
	struct lactor **h;
	unsigned n;

	luaL_checktype(L, 2, LUA_TTABLE);
	m->seq = (uint64_t)luaL_checkinteger(L, 3);
	lua_getiuservalue(L, 1, 1);
	if (lua_rawequal(L, -1, 2))
		return 0;
	n = (unsigned)lua_rawlen(L, 2);
	h = lua_newuserdatauv(L, (n + 1) * sizeof *h, 0);
	for (unsigned i = 0; i < n; i++) {
		lua_rawgeti(L, 2, i + 1);
		if (!(h[i] = of_type(L, -1, script_of(L)->is_actor)))
			return luaL_error(L, "members: %d is no actor", (int)i + 1);
		lua_pop(L, 1);
	}
	lua_setiuservalue(L, 1, 2);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, 1, 1);
	m->h = h;
	m->n = n;
	m->version++;
	return 0;
}

/* its place, 0: refresh */
static unsigned
least(lua_State *L, struct members *m)
{
	const struct client *c = script_of(L)->c;
	unsigned at = m->at, best = 0, few = UINT_MAX, calls;

	if (!c || client_set_seq(c) != m->seq || m->n == 0)
		return 0;
	for (unsigned i = 0; i < m->n && few > 0; i++) {
		const struct actor *a;

		at = at < m->n ? at + 1 : 1;
		if ((a = m->h[at - 1]->a) != NULL && ((calls = client_actor_calls(a)) < few || best == 0)) {
			few = calls;
			best = at;
		}
	}
	if (best == 0)
		luaL_error(L, "this handle was closed");
	return m->at = best;
}

static int
l_least(lua_State *L)
{
	unsigned at = least(L, check(L));

	if (at == 0)
		return 0;
	lua_getiuservalue(L, 1, 1);
	lua_rawgeti(L, -1, at);
	return 1;
}

static int
l_idlest(lua_State *L)
{
	struct members *m = check(L);
	struct actor *few[64], **a = m->n <= 64 ? few : lua_newuserdatauv(L, m->n * sizeof *a, 0);
	unsigned at;

	for (unsigned i = 0; i < m->n; i++)
		if (!(a[i] = m->h[i]->a))
			return luaL_error(L, "this handle was closed");
	if ((at = client_actor_idlest(script_client(L), a, m->n, m->at, lua_toboolean(L, 2))) == 0)
		return 0;
	lua_pushinteger(L, m->at = at);
	return 1;
}

/* --- methods ---------------------------------------------------------------------------------------------------- */

static int
l_method(lua_State *L)
{
	struct members *m = check(L);
	struct method *f;

	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	f = lua_newuserdatauv(L, sizeof *f, 3);
	*f = (struct method){ .m = m, .version = m->version - 1 };
	luaL_setmetatable(L, "rota.members.method");
	lua_insert(L, 1);
	lua_setiuservalue(L, 1, 2);
	lua_getiuservalue(L, 2, 4);
	f->whose = lua_topointer(L, -1);
	lua_pop(L, 1);
	lua_setiuservalue(L, 1, 1);
	return 1;
}

static int
l_method_of(lua_State *L)
{
	luaL_checkudata(L, 1, "rota.members.method");
	lua_getiuservalue(L, 1, 1);
	lua_getiuservalue(L, -1, 4);
	lua_getiuservalue(L, 1, 2);
	return 2;
}

/* pushes the method of the handle at that place */
static void
push_method(lua_State *L, struct method *f, unsigned at)
{
	if (f->version != f->m->version) {
		lua_createtable(L, (int)f->m->n, 0);
		lua_setiuservalue(L, 1, 3);
		f->version = f->m->version;
	}
	lua_getiuservalue(L, 1, 3);
	if (lua_rawgeti(L, -1, at) != LUA_TNIL)
		return;
	lua_getiuservalue(L, 1, 1);
	lua_getiuservalue(L, -1, 1);
	lua_rawgeti(L, -1, at);
	lua_getiuservalue(L, 1, 2);
	lua_gettable(L, -2);
	lua_pushvalue(L, -1);
	lua_rawseti(L, -7, at);
}

static int call_k(lua_State *L, int status, lua_KContext ctx);

/* (method, whose, arguments …) */
static int
l_call(lua_State *L)
{
	struct method *f = lua_touserdata(L, 1);
	int top = lua_gettop(L);
	unsigned at;

	if (lua_topointer(L, 2) != f->whose) {
		lua_getiuservalue(L, 1, 1);
		lua_getiuservalue(L, -1, 4);
		if (top < 2 || !lua_compare(L, -1, 2, LUA_OPEQ)) {
			lua_getiuservalue(L, 1, 2);
			lua_pushfstring(L, "call it with a colon: s:%s(…)", lua_tostring(L, -1));
			script_blame(L);
		}
		lua_settop(L, top);
	}
	while ((at = least(L, f->m)) == 0) {
		lua_getiuservalue(L, 1, 1);
		lua_getiuservalue(L, -1, 3);
		lua_getiuservalue(L, -2, 4);
		lua_callk(L, 1, 0, top, call_k);
		lua_settop(L, top);
	}
	push_method(L, f, at);
	lua_replace(L, 1);
	lua_settop(L, top);
	return method_call(L, 3);
}

static int
call_k(lua_State *L, int status, lua_KContext top)
{
	(void)status;
	lua_settop(L, (int)top);
	return l_call(L);
}

static int
l_methods(lua_State *L)
{
	luaL_getmetatable(L, "rota.members.method");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}

const luaL_Reg members_functions[] = { { "members", l_members }, { "members_are", l_are }, { "members_least", l_least },
    { "members_idlest", l_idlest }, { "members_method", l_method }, { "members_method_of", l_method_of },
    { "members_methods", l_methods }, { NULL, NULL } };

void
members_open(lua_State *L)
{
	luaL_newmetatable(L, "rota.members");
	script_seal(L);
	lua_pop(L, 1);
	luaL_newmetatable(L, "rota.members.method");
	lua_pushcfunction(L, l_call);
	lua_setfield(L, -2, "__call");
	script_seal(L);
	lua_pop(L, 1);
}
