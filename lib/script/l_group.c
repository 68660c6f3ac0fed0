/*
 * l_group - placement groups: what lua/rota/group.lua stands on.  An id is a string of 16 bytes.
 *
 *	group_new(bundles, strategy, name, detached, timeout) -> id, ref
 *	group_ask(id) -> ref	group_del(id)	group_find(name [, namespace]) -> id, bundles; nil, why
 *	group_settle(): returns when the node knows the groups that this process made
 *	group_here() -> id, bundles of the one that this worker is in; nil
 *	id_text(id) -> its hex digits
 */
#include "client/group.h"
#include "script/script.h"
#include "wire/le.h"

static struct id
check_id(lua_State *L, int arg)
{
	size_t n;
	const char *p = luaL_checklstring(L, arg, &n);

	luaL_argcheck(L, n == 16, arg, "the id of a group is expected");
	return (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
}

static void
push_id(lua_State *L, struct id id)
{
	unsigned char p[16];

	le_put32(p, id.node);
	le_put32(p + 4, id.proc);
	le_put64(p + 8, id.seq);
	lua_pushlstring(L, (const char *)p, sizeof p);
}

static int
l_group_new(lua_State *L)
{
	struct client *c = script_client(L);
	struct group_spec s = { .strategy = (unsigned)luaL_checkinteger(L, 2), .name = luaL_optstring(L, 3, NULL),
	    .detached = lua_toboolean(L, 4), .timeout = (uint64_t)(luaL_optnumber(L, 5, 0) * 1e9) };
	struct rec *r;
	struct id id;
	size_t n;
	const char *p = luaL_checklstring(L, 1, &n);
	int e;

	s.bundles = span_of(p, n);
	if ((e = client_group_new(c, &s, &id, &r)) < 0)
		script_raise(L, e, "%s", err_str(e));
	push_id(L, id);
	ref_push(L, r);
	return 2;
}

static int
l_group_ask(lua_State *L)
{
	struct rec *r;
	int e = client_group_ask(script_client(L), check_id(L, 1), &r);

	if (e < 0)
		script_raise(L, e, "%s", err_str(e));
	ref_push(L, r);
	return 1;
}

static int
l_group_del(lua_State *L)
{
	client_group_del(script_client(L), check_id(L, 1));
	return 0;
}

static int
l_group_settle(lua_State *L)
{
	client_group_settle(script_client(L));
	return 0;
}

static int
l_group_find(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	unsigned bundles;
	char why[512];
	struct id id;

	if (client_group_find(script_client(L), luaL_optstring(L, 2, NULL), name, &id, &bundles, why, sizeof why) < 0) {
		luaL_pushfail(L);
		lua_pushstring(L, why);
		return 2;
	}
	push_id(L, id);
	lua_pushinteger(L, bundles);
	return 2;
}

static int
l_group_here(lua_State *L)
{
	unsigned bundles;
	struct id id = client_group_here(script_client(L), &bundles);

	if (id_none(id))
		return 0;
	push_id(L, id);
	lua_pushinteger(L, bundles);
	return 2;
}

static int
l_id_text(lua_State *L)
{
	char text[ID_TEXT];

	lua_pushstring(L, id_format(text, check_id(L, 1)));
	return 1;
}

const luaL_Reg group_functions[] = { { "group_new", l_group_new }, { "group_ask", l_group_ask }, { "group_del", l_group_del },
    { "group_settle", l_group_settle },
    { "group_find", l_group_find }, { "group_here", l_group_here }, { "id_text", l_id_text }, { NULL, NULL } };
