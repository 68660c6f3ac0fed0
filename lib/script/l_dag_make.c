/*
 * l_dag_make - what lua/rota/dag.lua makes a compiled graph of: the traced calls, the actors' plans, the graph itself.
 */
#include <stdlib.h>
#include <string.h>
#include "script/func.h"
#include "script/l_dag_inner.h"

#define CHANS_OF_GRAPH 256u

/* --- tracing ----------------------------------------------------------------------------------------------------------- */

static int
l_trace(lua_State *L)				/* trace(function or nil): where method calls go */
{
	struct script *s = script_of(L);

	if (s->tracer)
		luaL_unref(L, LUA_REGISTRYINDEX, s->tracer);
	s->tracer = 0;
	lua_settop(L, 1);
	if (!lua_isnil(L, 1))
		s->tracer = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

int
dag_trace(lua_State *L, int handle, const char *method, int returns, int first)
{
	int top = handle - 1, n = top - first + 1;

	luaL_checkstack(L, n + 5, "too many arguments");
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->tracer);
	lua_pushvalue(L, handle);
	lua_pushstring(L, method);
	lua_pushinteger(L, returns);
	for (int i = first; i <= top; i++)
		lua_pushvalue(L, i);
	top = lua_gettop(L) - n - 4;
	lua_call(L, n + 3, LUA_MULTRET);
	return lua_gettop(L) - top;
}

static int
l_actor_name(lua_State *L)			/* actor_name(handle) -> "actor 3 (pool.lua:4)", number; nil: it is none */
{
	struct actor *a = actor_test(L, 1);

	if (!a)
		return 0;
	lua_pushfstring(L, "actor %I (%s)", (LUAI_UACINT)actor_number(a), actor_class(a));
	lua_pushinteger(L, (lua_Integer)actor_number(a));
	lua_pushstring(L, actor_class(a));
	return 3;
}

/* --- making -------------------------------------------------------------------------------------------------------- */

static unsigned
list(lua_State *L, const char *name)		/* pushes the field of the table at 1: its length */
{
	lua_getfield(L, 1, name);
	luaL_checktype(L, -1, LUA_TTABLE);
	luaL_argcheck(L, lua_rawlen(L, -1) <= CHANS_OF_GRAPH, 1, "more than 256 channels to one process");
	return (unsigned)lua_rawlen(L, -1);
}

static lua_Integer
number(lua_State *L, const char *name)		/* of the table on top */
{
	lua_Integer v;

	lua_getfield(L, -1, name);
	v = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return v;
}

static char *
name_of(lua_State *L, const char *name)
{
	char *s;

	lua_getfield(L, -1, name);
	s = strdup(luaL_checkstring(L, -1));
	lua_pop(L, 1);
	return s;
}

static struct client_chan *
end_in(lua_State *L, bool reader)
{
	struct client_chan *ch;

	lua_getfield(L, -1, "chan");
	ch = dag_take_end(L, -1, reader);
	lua_pop(L, 1);
	return ch;
}

static int
l_graph(lua_State *L)				/* graph{ins=, outs=, members=, handles=, params=, inflight=} */
{
	struct client *c = script_client(L);
	struct graph *g;
	unsigned n;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	g = lua_newuserdatauv(L, sizeof *g, 3);
	memset(g, 0, sizeof *g);
	g->c = c;
	luaL_setmetatable(L, "rota.graph");
	lua_newtable(L);
	lua_setiuservalue(L, 2, 1);
	lua_getfield(L, 1, "params");
	g->nparam = (unsigned)lua_tointeger(L, -1);
	lua_getfield(L, 1, "inflight");
	g->inflight = (unsigned)luaL_checkinteger(L, -1);
	lua_getfield(L, 1, "handles");
	lua_setiuservalue(L, 2, 3);
	n = list(L, "ins");
	g->in = calloc(n + 1, sizeof *g->in);
	for (unsigned i = 0; g->in && i < n; i++, g->nin++) {
		lua_rawgeti(L, -1, (int)i + 1);
		g->in[i] = (struct input){ .first = (int)number(L, "first"), .n = (int)number(L, "n"), .to = name_of(L, "to") };
		g->in[i].ch = end_in(L, false);
		client_chan_rest(g->in[i].ch);
		lua_pop(L, 1);
	}
	n = list(L, "outs");
	g->out = calloc(n + 1, sizeof *g->out);
	for (unsigned i = 0; g->out && i < n; i++, g->nout++) {
		lua_rawgeti(L, -1, (int)i + 1);
		g->out[i] = (struct output){ .from = name_of(L, "from"), .all = number(L, "all") };
		g->out[i].ch = end_in(L, true);
		client_chan_drain(g->out[i].ch);
		lua_pop(L, 1);
	}
	n = list(L, "members");
	g->member = calloc(n + 1, sizeof *g->member);
	for (unsigned i = 0; g->member && i < n; i++, g->nmember++) {
		lua_rawgeti(L, -1, (int)i + 1);
		lua_getfield(L, -1, "actor");
		g->member[i].a = actor_test(L, -1);
		luaL_argcheck(L, g->member[i].a, 1, "no actor");
		g->member[i].incarnation = actor_incarnation(g->member[i].a);
		lua_pop(L, 1);
		g->member[i].name = name_of(L, "name");
		lua_pop(L, 1);
	}
	g->watch = calloc(g->nin + g->nout + 1, sizeof *g->watch);
	if (!g->in || !g->out || !g->member || !g->watch)
		return luaL_error(L, "not enough memory");
	lua_settop(L, 2);
	return 1;
}

static int
l_plan(lua_State *L)				/* plan(actor, plan) -> ref: the actor gets it */
{
	struct script *s = script_of(L);
	struct client *c = script_client(L);
	struct actor *a = actor_test(L, 1);
	struct seg segs[SCRIPT_SEGS];
	struct task_opts o;
	struct payload p;
	struct rec *r;
	struct fn *fn;
	int e;

	luaL_argcheck(L, a, 1, "an actor is expected");
	task_opts_init(&o);
	o.retries = 0;
	if ((e = client_fn(c, FN_METHOD, DAG_METHOD, sizeof DAG_METHOD - 1, "compile", &o, &fn)) < 0)
		script_raise(L, e, "%s", err_str(e));
	script_payload(L, 2, 2, "argument", 0, &p, segs, SCRIPT_SEGS);
	e = client_call(c, a, fn, &p, &r);
	enc_forget(L, &s->enc);
	client_fn_free(c, fn);
	if (e < 0)
		script_raise(L, e, "%s", err_str(e));
	ref_push(L, r);
	return 1;
}

const luaL_Reg dag_functions[] = { { "graph", l_graph }, { "plan", l_plan }, { "trace", l_trace },
    { "actor_name", l_actor_name }, { NULL, NULL } };
