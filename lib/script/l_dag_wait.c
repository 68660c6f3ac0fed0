/*
 * l_dag_wait - futures of compiled graphs in wait sets (l_wait.c): they lie in a table, number -> future or nil.
 *
 * The results of a graph come through its channels, which only the main thread reads: a future is ready when its
 * execution's have been taken.
 */
#include "script/l_dag_inner.h"

bool
dag_future_ready(lua_State *L, int idx)
{
	struct future *f = luaL_checkudata(L, idx, "rota.future");

	lua_getiuservalue(L, idx, 1);
	while (f->state == PENDING && graph_take(L, f->g, lua_gettop(L)) > 0)
		;
	if (f->state == PENDING && client_upsets(f->g->c) != f->g->upsets)
		graph_census(L, f->g, lua_gettop(L));
	lua_pop(L, 1);
	return f->state != PENDING;
}

static bool
whole(const struct graph *g)			/* graph_take would do something */
{
	bool all = true;
	int e;

	for (unsigned i = 0; !g->over && i < g->nout; i++) {
		if ((e = client_chan_whole(g->out[i].ch)) < 0)
			return true;
		all &= e;
	}
	return all;
}

bool
dag_futures_news(lua_State *L, int t, lua_Integer from, lua_Integer to)
{
	const struct graph *last = NULL;
	bool news = false;

	for (lua_Integer i = from; i < to && !news; i++) {
		if (lua_rawgeti(L, t, i) == LUA_TUSERDATA) {
			const struct future *f = lua_touserdata(L, -1);

			news = f->state != PENDING || (f->g != last && whole(f->g));
			last = f->g;
		}
		lua_pop(L, 1);
	}
	return news;
}

/* pushes the graph of the future at t[i], if there is one and it differs from those at first .. top */
static struct graph *
other_graph(lua_State *L, int t, lua_Integer i, int first)
{
	int top = lua_gettop(L);

	if (lua_rawgeti(L, t, i) != LUA_TUSERDATA) {
		lua_settop(L, top);
		return NULL;
	}
	lua_getiuservalue(L, -1, 1);
	lua_replace(L, top + 1);
	for (int k = first; k <= top; k++)
		if (lua_rawequal(L, k, top + 1)) {
			lua_settop(L, top);
			return NULL;
		}
	return graph_check(L, top + 1);
}

/* the graphs at first .. top: all that one must wait for goes into v, or is counted if that is NULL.  0: look again */
static unsigned
gather(lua_State *L, int first, uint64_t upsets, struct client_chan **v)
{
	unsigned sum = 0;

	for (int k = first; k <= lua_gettop(L) - (v != NULL); k++) {
		struct graph *g = graph_check(L, k);
		unsigned n;

		if (!v) {
			sum += g->nin + g->nout;
			continue;
		}
		if (g->over || (g->upsets != upsets && graph_census(L, g, k)) || (n = graph_watch(L, g, k, NULL)) == 0)
			return 0;
		for (unsigned i = 0; i < n; i++)
			v[sum++] = g->watch[i];
	}
	return sum;
}

int
dag_futures_wait(lua_State *L, int t, lua_Integer from, lua_Integer to, struct waitset *set, uint64_t deadline)
{
	int first = lua_gettop(L) + 1, e = 0;
	uint64_t upsets = client_upsets(script_of(L)->c);
	struct client_chan **v;
	unsigned n;

	for (lua_Integer i = from; i < to; i++)
		if (other_graph(L, t, i, first))
			luaL_checkstack(L, 8, "too many graphs");
	v = lua_newuserdatauv(L, (gather(L, first, upsets, NULL) + 1) * sizeof *v, 0);
	if ((n = gather(L, first, upsets, v)) > 0)
		e = chan_wait(L, v, n, deadline, &upsets, set);
	lua_settop(L, first - 1);
	return e;
}
