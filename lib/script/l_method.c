/* l_method - "rota.method": what c.add is, called as c:add(5), with options as c.add:with{ timeout = 1 }(5) */
#include <string.h>
#include "script/func.h"
#include "script/l_actor.h"
#include "script/l_dag.h"
#include "script/script.h"
#include "wire/mp.h"

enum { NAME_SHOWN = 60 };			/* bytes of a name that is none, in its error */

struct lmethod {
	struct actor *a;		/* of its handle, which user value 1 keeps alive */
	struct fn *fn;
	unsigned returns;
	bool stream;
	bool bound;			/* of with: called without the handle */
};

/* --- what a class says of its methods ---------------------------------------------------------------------------- */

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

/* --- making -------------------------------------------------------------------------------------------------------- */

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

int
method_index(lua_State *L)
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
		lua_pushlstring(L, name, n < NAME_SHOWN ? n : NAME_SHOWN);
		lua_pushfstring(L, "actor '%s' has no method '%s%s' (it has %s); its fields cannot be read from outside",
		    actor_class(u->a), lua_tostring(L, -1), n < NAME_SHOWN ? "" : "...", lua_tostring(L, -2));
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

/* --- calling ---------------------------------------------------------------------------------------------------- */

static int call_k(lua_State *L, int status, lua_KContext first);

/* the method at 1, of a handle that is open, with the arguments from first on */
static int
call(lua_State *L, int first)
{
	struct lmethod *m = lua_touserdata(L, 1);
	struct script *s = script_of(L);
	struct seg segs[SCRIPT_SEGS];
	struct rec *small[16], **r = small;
	struct payload p;
	int e, n, top = lua_gettop(L);

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
		script_room(L, first, call_k);
		return call_k(L, LUA_OK, first);
	}
	if (e == ERR_PENDING)
		script_raise(L, e, "actor '%s': as many calls as its max_pending allows are pending", actor_class(m->a));
	if (e < 0)
		script_raise(L, e, "%s", script_why(s->c, e));
	return call_push(L, r, n, m->stream);
}

int
method_call(lua_State *L, int first)
{
	const struct lactor *u;

	lua_getiuservalue(L, 1, 1);
	u = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return u->a ? call(L, first) : luaL_error(L, "this handle was closed");
}

static int
call_k(lua_State *L, int status, lua_KContext first)
{
	(void)status;
	return method_call(L, (int)first);
}

static int
l_call(lua_State *L)
{
	struct lmethod *m = lua_touserdata(L, 1);
	const struct lactor *u;

	if (m->bound)
		return method_call(L, 2);
	u = of_type(L, 2, script_of(L)->is_actor);
	if (u && !u->a)
		return luaL_error(L, "this handle was closed");
	if (!u || u->a != m->a) {
		lua_getiuservalue(L, 1, 2);
		return luaL_error(L, "call it with a colon: c:%s(…)", lua_tostring(L, -1));
	}
	return call(L, 3);
}

int
method_bind(lua_State *L)
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
l_gc(lua_State *L)
{
	struct lmethod *m = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (m->fn && s->c && !client_lost(s->c))
		client_fn_free(s->c, m->fn);
	m->fn = NULL;
	return 0;
}

int
method_methods(lua_State *L)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_method);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}

void
method_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__call", l_call }, { "__gc", l_gc }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.method");
	luaL_setfuncs(L, meta, 0);
	script_seal(L);
	script_of(L)->is_method = lua_topointer(L, -1);
	script_of(L)->mt_method = luaL_ref(L, LUA_REGISTRYINDEX);
}
