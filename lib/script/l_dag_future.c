/*
 * l_dag_future - executions of compiled graphs in the process that started them: "rota.future".
 *
 * User values: 1 its graph; 2 its value, or a table of them, or its error.
 */
#include "script/l_dag_inner.h"

bool
dag_future_test(lua_State *L, int idx)
{
	return luaL_testudata(L, idx, "rota.future") != NULL;
}

int
dag_future_await(lua_State *L, int idx, uint64_t deadline)
{
	struct future *f = luaL_checkudata(L, idx, "rota.future");
	struct graph *g = f->g;
	int gi, e = 0;

	if (f->state != PENDING)
		return 0;
	lua_getiuservalue(L, idx, 1);
	gi = lua_gettop(L);
	while (f->state == PENDING) {
		if (graph_take(L, g, gi) != 0)
			continue;
		if ((e = deadline ? graph_await(L, g, gi, NULL, deadline) : -ETIMEDOUT) == -ETIMEDOUT)
			break;
		if (e < 0)
			graph_broken_by(L, g, gi, e, "the node");
	}
	lua_pop(L, 1);
	return f->state == PENDING ? -ETIMEDOUT : 0;
}

int
dag_future_values(lua_State *L, int idx)
{
	struct future *f = luaL_checkudata(L, idx, "rota.future");
	int t;

	lua_getiuservalue(L, idx, 2);
	if (f->state == FAILED)
		return -1;
	if (f->nvals == 1)
		return 1;
	t = lua_gettop(L);
	luaL_checkstack(L, f->nvals, "too many values");
	for (int i = 1; i <= f->nvals; i++)
		lua_rawgeti(L, t, i);
	lua_remove(L, t);
	return f->nvals;
}

void
dag_future_late(lua_State *L)
{
	errobj_push(L, ERR_TIMEOUT, "timed out: the graph has not answered yet; none of its actors is dead");
}

int
dag_future_get(lua_State *L, int idx, uint64_t deadline)
{
	int n;

	if (dag_future_await(L, idx, deadline) < 0)
		dag_future_late(L);
	else if ((n = dag_future_values(L, idx)) >= 0)
		return n;
	return lua_error(L);
}

static int
l_future_get(lua_State *L)			/* future:get([timeout]) */
{
	return dag_future_get(L, 1, lua_gettop(L) == 1 ? WAIT_FOREVER : script_deadline(L, 2));
}

static int
l_future_tostring(lua_State *L)
{
	struct future *f = luaL_checkudata(L, 1, "rota.future");

	lua_pushfstring(L, "execution %I of a compiled graph (%s)", (LUAI_UACINT)f->number + 1,
	    f->state == PENDING ? "not fetched" : f->state == DONE ? "done" : "failed");
	return 1;
}

void
dag_future_open(lua_State *L)
{
	luaL_newmetatable(L, "rota.future");
	lua_pushcfunction(L, l_future_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, l_future_get);
	lua_setfield(L, -2, "get");
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
