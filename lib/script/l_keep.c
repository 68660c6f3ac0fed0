/* l_keep - objects given to the node: rota.keep, and rota.lookup, which finds them */
#include <errno.h>
#include <string.h>
#include <lauxlib.h>
#include "base/err.h"
#include "base/num.h"
#include "ring/rec.h"
#include "script/script.h"

static void
fail(lua_State *L, int e)
{
	struct client *c = script_client(L);

	script_raise(L, e, "%s", (e == ERR_FULL || e == -EEXIST) && *client_full(c) ? client_full(c) : err_str(e));
}

/* a small value lies with its owner: its copy in the store can change hands */
static struct rec *
copy(lua_State *L, struct rec *r)
{
	struct client *c = script_client(L);
	int top = lua_gettop(L), e;
	struct payload p;
	struct rec *out;
	struct obj o;

	ref_values(L, r, 1, true);
	script_payload(L, top + 1, lua_gettop(L), "value", ENC_INLINE, &p, NULL, 0);
	if ((e = client_create(c, NULL, 0, p.n, &o, &out)) == 0) {
		memcpy(o.head, p.p, p.n);
		client_seal(c, out, p.nvals, p.flags);
	}
	enc_forget(L, &script_of(L)->enc);
	if (e < 0)
		fail(L, e);
	lua_settop(L, top);
	ref_push(L, out);
	return out;
}

int
l_keep(lua_State *L)				/* keep(ref, {name=, ttl=}) -> id */
{
	static const char *const known[] = { "name", "ttl", NULL };
	struct rec *r = ref_check(L, 1);
	const char *name = NULL, *ttl = NULL;
	char id[ID_TEXT];
	int64_t ns = 0;
	int e;

	lua_settop(L, 2);
	if (!lua_isnil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		script_options(L, 2, "keep", known);
		lua_getfield(L, 2, "name");
		lua_getfield(L, 2, "ttl");
		name = luaL_optstring(L, 3, NULL);
		ttl = luaL_optstring(L, 4, NULL);
		luaL_argcheck(L, !name || strlen(name) <= 255, 2, "a name has at most 255 bytes");
		luaL_argcheck(L, !ttl || (num_duration(ttl, &ns) == 0 && ns >= 0), 2, "ttl is a time, as '1h'");
	}
	if (!rec_is_ready(r))
		ref_await(L, r);
	if (ref_error(L, r))
		lua_error(L);
	if (r->kind < REC_ARENA)
		r = copy(L, r);
	if ((e = client_keep(script_client(L), r, name, (uint64_t)ns)) < 0)
		fail(L, e);
	lua_pushstring(L, id_format(id, client_id(script_client(L), r)));
	return 1;
}

int
l_lookup(lua_State *L)				/* lookup(name or id) -> ref, or nil and why */
{
	const char *text = luaL_checkstring(L, 1);
	struct client *c = script_client(L);
	char why[512] = "";
	struct rec *r;
	struct id id;
	int e;

	if ((e = client_lookup(c, text, &r, &id, why, sizeof why)) == 0) {
		ref_push(L, r);
		return 1;
	}
	if (e == ERR_NO_CLUSTER)
		script_wait_failed(L, e);
	luaL_pushfail(L);
	lua_pushstring(L, *why ? why : err_str(e));
	return 2;
}
