/*
 * l_actor - actors: "rota.actor" handles and "rota.method" callables.
 *
 * A handle's user value 1 is a table: method name -> method.  c:add(5) finds the method and calls it with the
 * handle first; a method knows its handle, so that c.add:with{timeout=1}(5) works too.
 */
#include <string.h>
#include "base/clock.h"
#include "client/set.h"
#include "script/func.h"
#include "script/l_dag.h"
#include "script/script.h"
#include "wire/mp.h"

struct lactor {
	struct actor *a;		/* counted; NULL once stopped and closed */
};

struct lmethod {
	struct actor *a;		/* of its handle, which user value 1 keeps alive */
	struct fn *fn;
	unsigned returns;
	bool stream;
	bool bound;			/* of with: called without the handle */
};

static void *
of_type(lua_State *L, int idx, const void *metatable)	/* its address: cheaper than fetching and comparing */
{
	void *u = lua_touserdata(L, idx);
	bool is;

	if (!u || !lua_getmetatable(L, idx))
		return NULL;
	is = lua_topointer(L, -1) == metatable;
	lua_pop(L, 1);
	return is ? u : NULL;
}

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

/* --- methods ------------------------------------------------------------------------------------------------ */

/* "add, sub" */
static void
push_names(lua_State *L, struct span s)
{
	struct mp m = mp_read(s.p, s.n);
	struct mp_tok t;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	if (mp_next(&m, &t) == 0 && t.kind == MP_ARRAY)
		for (size_t left = t.n, first = 1; left > 0 && mp_next(&m, &t) == 0; left--, first = 0) {
			if (!first)
				luaL_addstring(&b, ", ");
			luaL_addlstring(&b, (const char *)t.p, t.n);
		}
	luaL_pushresult(&b);
}

/* the options at idx are a call's: what task_opts_check does, and the concurrency group */
static void
call_opts(lua_State *L, int idx, const struct actor *a, struct task_opts *o)
{
	const char *name;
	size_t n;
	int g;

	idx = lua_absindex(L, idx);
	task_opts_check(L, idx, o);
	if (lua_getfield(L, idx, "group") == LUA_TSTRING) {
		name = lua_tolstring(L, -1, &n);
		if ((g = actor_group(a, name, n)) < 0) {
			push_names(L, actor_info(a, "groups"));
			luaL_error(L, "actor '%s' has no concurrency group '%s' (it has: %s)", actor_class(a), name,
			    lua_rawlen(L, -1) ? lua_tostring(L, -1) : "none");
		}
		o->lane = (unsigned)g;
	}
	lua_pop(L, 1);
}

/* what the class declared for calls of this method: pushes a table, or nothing */
static bool
declared(lua_State *L, const struct actor *a, const char *name)
{
	struct span all = actor_info(a, "methods");

	if (all.n == 0)
		return false;
	if (dec_values(L, all.p, all.n, 1, NULL, 0) < 0)
		lua_error(L);
	if (lua_getfield(L, -1, name) == LUA_TTABLE) {
		lua_remove(L, -2);
		return true;
	}
	lua_pop(L, 2);
	return false;
}

static struct lmethod *
method_push(lua_State *L, int handle, struct actor *a, const char *name, const char *shown, const struct task_opts *o)
{
	struct lmethod *m;
	char full[96];
	int e;

	handle = lua_absindex(L, handle);
	m = lua_newuserdatauv(L, sizeof *m, 2);
	memset(m, 0, sizeof *m);
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_method);
	lua_setmetatable(L, -2);
	strncpy(full, shown ? shown : name, sizeof full - 1);
	full[sizeof full - 1] = '\0';
	if ((e = client_fn(script_of(L)->c, FN_METHOD, name, strlen(name), full, o, &m->fn)) < 0)
		script_raise(L, e, "%s", err_str(e));
	m->a = a;
	m->returns = o->returns;
	m->stream = o->stream;
	lua_pushvalue(L, handle);
	lua_setiuservalue(L, -2, 1);
	lua_pushstring(L, name);
	lua_setiuservalue(L, -2, 2);
	return m;
}

static int
l_index(lua_State *L)
{
	struct lactor *u = lua_touserdata(L, 1);
	struct task_opts o;
	const char *name;
	size_t n;

	lua_getiuservalue(L, 1, 1);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TNIL)
		return 1;
	lua_pop(L, 1);
	if (lua_type(L, 2) != LUA_TSTRING || !u->a)
		return luaL_error(L, u->a ? "fields of an actor cannot be read from outside" : "this handle was closed");
	name = lua_tolstring(L, 2, &n);
	if (!actor_has(u->a, name, n)) {
		push_names(L, actor_methods(u->a));
		lua_pushfstring(L, "actor '%s' has no method '%s' (it has %s); its fields cannot be read from outside",
		    actor_class(u->a), name, lua_tostring(L, -1));
		script_blame(L);
	}
	task_opts_init(&o);
	o.retries = actor_retries(u->a);
	if (declared(L, u->a, name)) {
		call_opts(L, -1, u->a, &o);
		lua_pop(L, 1);
	}
	method_push(L, 1, u->a, name, NULL, &o);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, 3);
	return 1;
}

static int method_k(lua_State *L, int status, lua_KContext ctx);

static int
l_method_call(lua_State *L)
{
	struct lmethod *m = lua_touserdata(L, 1);
	struct script *s = script_of(L);
	struct seg segs[SCRIPT_SEGS];
	struct rec *small[16], **r = small;
	struct payload p;
	int first = 2, e, n, top = lua_gettop(L);

	if (!m->bound) {
		struct lactor *u = of_type(L, 2, s->is_actor);

		if (u && !u->a)
			return luaL_error(L, "this handle was closed");
		if (!u || u->a != m->a) {
			lua_getiuservalue(L, 1, 2);
			return luaL_error(L, "call it with a colon: c:%s(…)", lua_tostring(L, -1));
		}
		first = 3;
	}
	if (s->tracer) {
		lua_getiuservalue(L, 1, 1);
		lua_getiuservalue(L, 1, 2);
		return dag_trace(L, lua_gettop(L) - 1, lua_tostring(L, -1), (int)m->returns, first);
	}
	script_payload(L, first, lua_gettop(L), "argument", ENC_TOPREF, &p, segs, SCRIPT_SEGS);
	n = m->returns > 1 ? (int)m->returns : 1;
	if (n > 16)
		r = lua_newuserdatauv(L, (size_t)n * sizeof *r, 0);
	e = client_call(s->c, m->a, m->fn, &p, r);
	enc_forget(L, &s->enc);
	if (e == -EAGAIN) {
		lua_settop(L, top);
		script_room(L, 0, method_k);
		return method_k(L, LUA_OK, 0);
	}
	if (e == ERR_PENDING)
		script_raise(L, e, "actor '%s': as many calls as its max_pending allows are pending", actor_class(m->a));
	if (e < 0)
		script_raise(L, e, "%s", script_why(s->c, e));
	if (m->stream)
		return stream_push(L, r[0]);
	luaL_checkstack(L, n, "too many returns");
	for (int i = 0; i < n; i++)
		ref_push(L, r[i]);
	return n;
}

static int
method_k(lua_State *L, int status, lua_KContext ctx)
{
	(void)status, (void)ctx;
	return l_method_call(L);
}

static int
l_method_bind(lua_State *L)			/* bind(method, options) -> method that is called without the handle */
{
	struct lmethod *m = of_type(L, 1, script_of(L)->is_method), *b;
	struct task_opts o;

	if (!m)
		return luaL_typeerror(L, 1, "method");
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	task_opts_init(&o);
	o.retries = actor_retries(m->a);
	lua_getiuservalue(L, 1, 1);
	lua_getiuservalue(L, 1, 2);
	if (declared(L, m->a, lua_tostring(L, 4))) {	/* what is given goes over it */
		for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, 5);
		}
		lua_replace(L, 2);
	}
	call_opts(L, 2, m->a, &o);
	lua_getfield(L, 2, "name");
	b = method_push(L, 3, m->a, lua_tostring(L, 4), lua_tostring(L, -1), &o);
	b->bound = true;
	return 1;
}

static int
l_method_gc(lua_State *L)
{
	struct lmethod *m = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (m->fn && s->c && !client_lost(s->c))
		client_fn_free(s->c, m->fn);
	m->fn = NULL;
	return 0;
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

static int
l_setmethods(lua_State *L)			/* method_methods(table): what method.name finds; from lua/rota.lua */
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_method);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}

const luaL_Reg actor_functions[] = { { "actor_new", l_new }, { "find", l_find }, { "stop", l_stop }, { "kill", l_kill },
    { "actor_wait", l_up }, { "actor_load", l_load }, { "is_actor", l_is }, { "can_travel", l_travels },
     { "method_bind", l_method_bind }, { "method_methods", l_setmethods }, { NULL, NULL } };

void
actor_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__index", l_index }, { "__gc", l_close }, { "__close", l_close },
	    { "__tostring", l_tostring }, { "__eq", l_eq }, { NULL, NULL } };
	static const luaL_Reg method[] = { { "__call", l_method_call }, { "__gc", l_method_gc }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.actor");
	luaL_setfuncs(L, meta, 0);
	script_seal(L);
	script_of(L)->is_actor = lua_topointer(L, -1);
	script_of(L)->mt_actor = luaL_ref(L, LUA_REGISTRYINDEX);
	luaL_newmetatable(L, "rota.method");
	luaL_setfuncs(L, method, 0);
	script_seal(L);
	script_of(L)->is_method = lua_topointer(L, -1);
	script_of(L)->mt_method = luaL_ref(L, LUA_REGISTRYINDEX);
}
