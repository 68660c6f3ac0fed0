/* l_actor - actors: "rota.actor" handles, making and finding what they name */
#include <string.h>
#include "client/set.h"
#include "script/func.h"
#include "script/l_actor.h"
#include "script/script.h"

struct actor *
actor_test(lua_State *L, int idx)
{
	struct lactor *u = of_type(L, idx, script_of(L)->is_actor);

	return u ? u->a : NULL;
}

static struct actor *
actor_check(lua_State *L, int arg)
{
	struct lactor *u = of_type(L, arg, script_of(L)->is_actor);

	if (!u)
		luaL_typeerror(L, arg, "actor");
	luaL_argcheck(L, u->a, arg, "this handle was closed");
	return u->a;
}

static void
handle_push(lua_State *L, struct actor *a)
{
	struct lactor *u = lua_newuserdatauv(L, sizeof *u, 1);

	script_of(L)->made = true;
	u->a = a;
	lua_newtable(L);
	lua_setiuservalue(L, -2, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_actor);
	lua_setmetatable(L, -2);
}

/* --- making and finding ---------------------------------------------------------------------------------------- */

static uint64_t
ns_field(lua_State *L, const char *name)	/* seconds in the table on top */
{
	uint64_t v;

	lua_getfield(L, -1, name);
	v = (uint64_t)(lua_tonumber(L, -1) * 1e9);
	lua_pop(L, 1);
	return v;
}

static unsigned
count_field(lua_State *L, const char *name)
{
	unsigned v;

	lua_getfield(L, -1, name);
	v = (unsigned)lua_tointeger(L, -1);
	lua_pop(L, 1);
	return v;
}

/* options.set on the top of the stack */
static int
set_new(lua_State *L, struct client *c, const struct actor_spec *actor, uint64_t *number, char why[512])
{
	struct set_spec s = { .actor = *actor, .name = actor->name, .detached = actor->detached, .min = count_field(L, "min"),
	    .max = count_field(L, "max"), .strategy = count_field(L, "strategy"), .surge = count_field(L, "surge"),
	    .drain = ns_field(L, "drain"), .period = ns_field(L, "health"), .patience = ns_field(L, "patience") };
	int e;

	s.actor.name = NULL;
	lua_getfield(L, -1, "gang");
	s.gang = lua_toboolean(L, -1);
	lua_getfield(L, -2, "check");
	s.method = lua_tostring(L, -1);
	e = client_set_new(c, &s, number, why, 512);
	lua_pop(L, 2);
	return e;
}

/* With options.set a set of them: its number, and the methods as they travel.
 * actor_new(class name, options, what the worker must know, class table, method names, what callers must know or nil,
   constructor arguments …) -> handle */
static int
l_new(lua_State *L)
{
	struct script *s = script_of(L);
	struct client *c = script_client(L);
	struct actor_spec spec = { .class = luaL_checkstring(L, 1) };
	struct enc class = ENC_INIT, names = ENC_INIT;
	struct seg segs[SCRIPT_SEGS];
	struct payload args;
	struct actor *a;
	char why[512];
	lua_Number restarts;
	uint64_t number;
	bool set;
	int e;

	luaL_checktype(L, 2, LUA_TTABLE);
	task_opts_init(&spec.opts);
	spec.opts.cpus = 0;
	spec.opts.retries = 0;
	task_opts_check(L, 2, &spec.opts);
	lua_getfield(L, 2, "name");
	spec.name = lua_tostring(L, -1);	/* the options' table keeps it */
	lua_getfield(L, 2, "restarts");
	restarts = lua_tonumber(L, -1);
	spec.restarts = restarts < 0 ? UINT32_MAX : (uint32_t)restarts;
	lua_getfield(L, 2, "detached");
	spec.detached = lua_toboolean(L, -1);
	lua_getfield(L, 2, "reuse");
	spec.reuse = lua_toboolean(L, -1);
	lua_pop(L, 4);
	script_payload(L, 7, lua_gettop(L), "argument", spec.detached ? ENC_INLINE : 0, &args, segs, SCRIPT_SEGS);
	spec.args = &args;
	class.flags = names.flags = ENC_INLINE;
	if (enc_values(L, &class, 3, 4, "actor") < 0 || enc_values(L, &names, 5, lua_isnil(L, 6) ? 5 : 6, "actor") < 0) {
		enc_release(L, &class);
		enc_release(L, &names);
		return lua_error(L);
	}
	spec.code = class.b.data;
	spec.ncode = class.b.len;
	spec.methods = names.b.data;
	spec.nmethods = names.b.len;
	if ((set = lua_getfield(L, 2, "set") == LUA_TTABLE))
		e = set_new(L, c, &spec, &number, why);
	else
		e = client_actor_new(c, &spec, &a, why, sizeof why);
	lua_pop(L, 1);
	enc_forget(L, &s->enc);
	if (set)
		lua_pushlstring(L, (const char *)names.b.data, names.b.len);
	enc_release(L, &class);
	enc_release(L, &names);
	if (e < 0)
		script_raise(L, e, "%s", *why ? why : err_str(e));
	if (set) {
		lua_pushinteger(L, (lua_Integer)number);
		lua_insert(L, -2);
		return 2;
	}
	handle_push(L, a);
	return 1;
}

static int
l_find(lua_State *L)				/* find(name [, namespace or {namespace=}]) -> handle, or nil and why */
{
	const char *name = luaL_checkstring(L, 1), *namespace;
	struct actor *a;
	char why[512];
	int e;

	if (lua_istable(L, 2)) {
		lua_getfield(L, 2, "namespace");
		lua_replace(L, 2);
	}
	namespace = luaL_optstring(L, 2, "");
	e = client_actor_find(script_client(L), namespace, name, &a, why, sizeof why);

	if (e < 0) {
		luaL_pushfail(L);
		lua_pushstring(L, *why ? why : err_str(e));
		return 2;
	}
	handle_push(L, a);
	return 1;
}

static int
end(lua_State *L, bool stop)
{
	bool restart = false;

	if (lua_istable(L, 2)) {
		lua_getfield(L, 2, "restart");
		restart = lua_toboolean(L, -1);
	}
	client_actor_end(script_client(L), actor_check(L, 1), stop, restart);
	return 0;
}

static int l_stop(lua_State *L) { return end(L, true); }
static int l_kill(lua_State *L) { return end(L, false); }

static int
l_up(lua_State *L)				/* actor_wait(handle [, timeout]) -> true, or nil and why: until it is constructed */
{
	int e = client_actor_wait(script_client(L), actor_check(L, 1), script_deadline(L, 2));

	if (e < 0)
		return script_fail(L, e);
	lua_pushboolean(L, true);
	return 1;
}

static int
l_load(lua_State *L)				/* actor_load(handle [, look]) -> calls of ours under way, state, why it is dead */
{
	static const char *const name[] = { [ACTOR_PENDING] = "pending", [ACTOR_ALIVE] = "alive",
	    [ACTOR_RESTARTING] = "restarting", [ACTOR_DEAD] = "dead" };
	enum actor_state state;
	char why[240];

	lua_pushinteger(L, client_actor_load(script_client(L), actor_check(L, 1), lua_toboolean(L, 2), &state, why, sizeof why));
	lua_pushstring(L, name[state]);
	lua_pushstring(L, why);
	return 3;
}

static int
l_travels(lua_State *L)				/* can_travel(value) -> true, or nil and why not */
{
	struct enc e = ENC_INIT;
	int ret;

	lua_settop(L, 1);
	e.flags = ENC_INLINE;
	ret = enc_values(L, &e, 1, 1, "value");
	enc_release(L, &e);
	if (ret == 0) {
		lua_pushboolean(L, true);
		return 1;
	}
	lua_pushnil(L);
	lua_insert(L, -2);
	return 2;
}

static int
l_is(lua_State *L)
{
	lua_pushboolean(L, of_type(L, 1, script_of(L)->is_actor) != NULL);
	return 1;
}

static int
l_close(lua_State *L)				/* __close: stops it, then gives the handle up */
{
	struct lactor *u = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (u->a && s->c && !client_lost(s->c))
		client_actor_drop(s->c, u->a);	/* the last handle ends it, after the calls already made */
	u->a = NULL;
	return 0;
}

static int
l_tostring(lua_State *L)
{
	struct lactor *u = lua_touserdata(L, 1);

	if (!u->a)
		lua_pushliteral(L, "actor (closed)");
	else
		lua_pushfstring(L, "actor %I (%s)", (LUAI_UACINT)actor_number(u->a), actor_class(u->a));
	return 1;
}

static int
l_eq(lua_State *L)
{
	struct lactor *u = of_type(L, 1, script_of(L)->is_actor), *v = of_type(L, 2, script_of(L)->is_actor);

	lua_pushboolean(L, u && v && u->a == v->a);
	return 1;
}

/* --- on a journey: { number, class, methods, retries } --------------------------------------------------------------------- */

void
actor_out(lua_State *L, int idx, struct enc *e)
{
	struct lactor *u = lua_touserdata(L, idx);
	struct span m;

	(void)e;
	if (!u->a)
		luaL_error(L, "a closed actor handle cannot travel");
	m = actor_methods(u->a);
	lua_createtable(L, 4, 0);
	lua_pushinteger(L, actor_retries(u->a));
	lua_rawseti(L, -2, 4);
	lua_pushinteger(L, (lua_Integer)actor_number(u->a));
	lua_rawseti(L, -2, 1);
	lua_pushstring(L, actor_class(u->a));
	lua_rawseti(L, -2, 2);
	lua_pushlstring(L, (const char *)m.p, m.n);
	lua_rawseti(L, -2, 3);
}

void
actor_push(lua_State *L, uint64_t number, struct span class, struct span methods)
{
	struct actor *a = client_actor_import(script_client(L), number, (const char *)class.p, class.n, methods.p, methods.n, 0);

	if (!a)
		luaL_error(L, "not enough memory");
	handle_push(L, a);
}

void
actor_in(lua_State *L, int desc, const struct dec_src *src)
{
	const char *class, *methods;
	size_t nclass, nmethods;
	struct actor *a;

	(void)src;
	desc = lua_absindex(L, desc);
	lua_rawgeti(L, desc, 1);
	lua_rawgeti(L, desc, 2);
	lua_rawgeti(L, desc, 3);
	lua_rawgeti(L, desc, 4);
	lua_insert(L, -4);
	class = luaL_checklstring(L, -2, &nclass);
	methods = luaL_checklstring(L, -1, &nmethods);
	a = client_actor_import(script_client(L), (uint64_t)luaL_checkinteger(L, -3), class, nclass,
	    (const unsigned char *)methods, nmethods, (int)luaL_optinteger(L, -4, 0));
	if (!a)
		luaL_error(L, "not enough memory");
	lua_pop(L, 4);
	handle_push(L, a);
}

const luaL_Reg actor_functions[] = { { "actor_new", l_new }, { "find", l_find }, { "stop", l_stop }, { "kill", l_kill },
    { "actor_wait", l_up }, { "actor_load", l_load }, { "is_actor", l_is }, { "can_travel", l_travels },
    { "method_bind", method_bind }, { "method_methods", method_methods }, { NULL, NULL } };

void
actor_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__index", method_index }, { "__gc", l_close }, { "__close", l_close },
	    { "__tostring", l_tostring }, { "__eq", l_eq }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.actor");
	luaL_setfuncs(L, meta, 0);
	script_seal(L);
	script_of(L)->is_actor = lua_topointer(L, -1);
	script_of(L)->mt_actor = luaL_ref(L, LUA_REGISTRYINDEX);
	method_open(L);
}
