/*
 * l_dag - compiled graphs in the process that compiled one: "rota.graph".
 *
 * User values of a graph: 1 futures of the executions under way, by execution modulo inflight; 2 the error that broke
 * it; 3 the actors' handles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "script/func.h"
#include "script/l_dag_inner.h"

#define GRACE_NS UINT64_C(5000000000)	/* for the node to say how an actor ended: it does so at once */

int
dag_payload(lua_State *L, int first, int last, const char *what, struct payload *p, struct seg *segs)
{
	struct script *s = script_of(L);
	struct enc *e = &s->enc;
	int code;

	e->flags = 0;
	if ((code = enc_values(L, e, first, last, what)) == 0 && e->nseg > SCRIPT_SEGS) {
		e->flags = ENC_INLINE;
		code = enc_values(L, e, first, last, what);
	}
	if (code < 0)
		return code;
	for (unsigned i = 0; i < e->nseg; i++)
		segs[i] = (struct seg){ e->seg[i].p, e->seg[i].n };
	*p = (struct payload){ e->b.data, e->b.len, e->nvals, e->flags & ENC_REFS ? PAYLOAD_REFS : 0, segs, e->nseg };
	return 0;
}

/* --- results, and the end of a graph ------------------------------------------------------------------------------------------- */

struct graph *
graph_check(lua_State *L, int arg)
{
	return luaL_checkudata(L, arg, "rota.graph");
}

static void
close_ends(struct graph *g)
{
	for (unsigned i = 0; i < g->nin; i++)
		if (g->in[i].ch)
			client_chan_close(g->in[i].ch, NULL, 0, false);
	for (unsigned i = 0; i < g->nout; i++)
		if (g->out[i].ch)
			client_chan_close(g->out[i].ch, NULL, 0, false);
	for (unsigned i = 0; i < g->nin; i++)
		g->in[i].ch = NULL;
	for (unsigned i = 0; i < g->nout; i++)
		g->out[i].ch = NULL;
	g->over = true;
}

/* the values of the execution, as they came, go into its future f, which is at fi */
static void
settle(lua_State *L, struct graph *g, struct future *f, int fi)
{
	int top = lua_gettop(L), n = 0;
	bool bad = false;

	luaL_checkstack(L, (int)g->nout + 4, NULL);
	for (unsigned i = 0; i < g->nout; i++) {
		struct output *o = &g->out[i];
		int at = lua_gettop(L), k = chan_values(L, o->ch, &o->m);

		if (k < 0)
			errobj_wrap(L, -1, NULL);
		if (!bad && (k < 0 || o->m.tag & CHAN_ERROR)) {
			bad = true;
			lua_copy(L, -1, top + 1);
			lua_settop(L, top + 1);
		} else if (bad) {
			lua_settop(L, top + 1);
		} else if (!o->all) {
			lua_settop(L, at + 1);
		}
		client_chan_done(o->ch);
	}
	n = lua_gettop(L) - top;
	if (f && (n == 1 || bad)) {
		lua_setiuservalue(L, fi, 2);
	} else if (f) {
		lua_createtable(L, n, 0);
		lua_insert(L, top + 1);
		for (int i = n; i >= 1; i--)
			lua_rawseti(L, top + 1, i);
		lua_setiuservalue(L, fi, 2);
	}
	if (f) {
		f->state = bad ? FAILED : DONE;
		f->nvals = n;
	}
	lua_settop(L, top);
}

/*
 * 1: the next execution's results were taken; 0: they are not all there; negative: what an output said, and which;
 * ERR_TASK with the error that ended the graph pushed
 */
static int
collect(lua_State *L, struct graph *g, int gi, const struct output **which)
{
	bool all = true;
	int e;

	for (unsigned i = 0; g->nout > 1 && i < g->nout; i++) {	/* one that is got in place, and waits for others, keeps room */
		*which = &g->out[i];
		if ((e = client_chan_whole(g->out[i].ch)) < 0)
			return e;
		all &= e;
	}
	for (unsigned i = 0; all && i < g->nout; i++) {
		struct output *o = &g->out[i];

		*which = o;
		if ((e = client_chan_get(o->ch, &o->m)) <= 0)
			return e;
		if (o->m.tag & CHAN_LAST) {
			if (chan_values(L, o->ch, &o->m) < 0)
				errobj_wrap(L, -1, NULL);
			client_chan_done(o->ch);
			return ERR_TASK;
		}
	}
	if (!all)
		return 0;
	lua_getiuservalue(L, gi, 1);
	lua_rawgeti(L, -1, (lua_Integer)(g->ended % g->inflight) + 1);
	settle(L, g, lua_touserdata(L, -1), lua_gettop(L));
	lua_pop(L, 2);
	g->ended++;
	return 1;
}

/* the error object on top is what the graph at gi ended with: executions under way fail with it.  Popped. */
static void
broken(lua_State *L, struct graph *g, int gi)
{
	const struct output *o;
	int e = 1;

	gi = lua_absindex(L, gi);
	while (g->ended < g->begun && e > 0)	/* what had ended counts */
		e = collect(L, g, gi, &o);
	if (e == ERR_TASK)
		lua_pop(L, 1);
	close_ends(g);
	lua_getiuservalue(L, gi, 1);
	for (; g->ended < g->begun; g->ended++) {
		struct future *f;

		if (lua_rawgeti(L, -1, (lua_Integer)(g->ended % g->inflight) + 1) == LUA_TUSERDATA) {
			f = lua_touserdata(L, -1);
			f->state = FAILED;
			lua_pushvalue(L, -3);
			lua_setiuservalue(L, -2, 2);
		}
		lua_pop(L, 1);
	}
	lua_newtable(L);
	lua_setiuservalue(L, gi, 1);
	lua_pop(L, 1);
	lua_setiuservalue(L, gi, 2);
}

static void
died(lua_State *L, struct graph *g, int gi, const char *who, const char *why)
{
	lua_pushfstring(L, "%s died while a compiled graph used it%s%s", who, why ? ": " : "", why ? why : "");
	errobj_push(L, ERR_ACTOR_DIED, lua_tostring(L, -1));
	lua_remove(L, -2);
	broken(L, g, gi);
}

bool
graph_census(lua_State *L, struct graph *g, int gi)
{
	g->upsets = client_upsets(g->c);
	for (unsigned i = 0; i < g->nmember; i++) {
		struct member *m = &g->member[i];
		const char *why = client_actor_trouble(g->c, m->a, m->incarnation);

		if (why) {
			died(L, g, gi, m->name, why);
			return true;
		}
	}
	return false;
}

/* a death is seen before it is told, here or by another actor: true, the graph is broken by what the node said of it */
static bool
inquest(lua_State *L, struct graph *g, int gi)
{
	uint64_t until = clock_ns() + GRACE_NS;

	while (!graph_census(L, g, gi))
		if (clock_ns() >= until || client_chan_wait(g->c, NULL, 0, until, &g->upsets, NULL) == ERR_NO_CLUSTER)
			return false;
	return true;
}

void
graph_broken_by(lua_State *L, struct graph *g, int gi, int e, const char *who)
{
	if ((e == ERR_CRASHED || e == ERR_CLOSED) && inquest(L, g, gi))	/* who leaves, does so because of another death */
		return;
	if (e == ERR_CRASHED) {
		died(L, g, gi, who, NULL);
		return;
	}
	if (e == ERR_NO_CLUSTER)
		errobj_push(L, e, client_lost(g->c) ? client_lost(g->c) : err_str(e));
	else
		errobj_push(L, ERR_ACTOR_DIED, lua_pushfstring(L, "%s left the compiled graph", who));
	broken(L, g, gi);
}

/* the error object on top is what an actor left the graph with.  Popped. */
static void
broken_with(lua_State *L, struct graph *g, int gi)
{
	bool death;

	lua_getfield(L, -1, "code");
	death = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), err_word(ERR_ACTOR_DIED)) == 0;
	lua_pop(L, 1);
	if (death && inquest(L, g, gi))
		lua_pop(L, 1);
	else
		broken(L, g, gi);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

int
graph_take(lua_State *L, struct graph *g, int gi)
{
	const struct output *o = NULL;
	int e = collect(L, g, gi, &o);

	if (e >= 0)
		return e;
	if (e == ERR_TASK)
		broken_with(L, g, gi);
	else
		graph_broken_by(L, g, gi, e, o->from);
	return -1;
}

unsigned
graph_watch(lua_State *L, struct graph *g, int gi, struct client_chan *ch)
{
	unsigned n = 0;
	int e;

	for (unsigned i = 0; i < g->nin; i++) {
		if (g->in[i].ch != ch)
			client_chan_rest(g->in[i].ch);
		if ((e = client_chan_peer(g->in[i].ch)) < 0) {
			graph_broken_by(L, g, gi, e, g->in[i].to);
			return 0;
		}
		g->watch[n++] = g->in[i].ch;
	}
	for (unsigned i = 0; i < g->nout; i++)
		if (g->nout == 1 || client_chan_whole(g->out[i].ch) != 1)
			g->watch[n++] = g->out[i].ch;
	return n == g->nin ? 0 : n;		/* what was missing came meanwhile */
}

int
graph_await(lua_State *L, struct graph *g, int gi, struct client_chan *ch, uint64_t deadline)
{
	unsigned n = graph_watch(L, g, gi, ch);
	int e = n ? chan_wait(L, g->watch, n, deadline, &g->upsets, NULL) : 0;

	if (n && e == 0)
		graph_census(L, g, gi);
	return e;
}

/* --- an execution -------------------------------------------------------------------------------------------------- */

struct sending {
	lua_State *L;
	struct graph *g;
};

/* no room for the inputs: results are taken meanwhile */
static int
await_room(struct client_chan *ch, void *arg)
{
	struct sending *x = arg;
	int e;

	while ((e = graph_take(x->L, x->g, 1)) > 0)
		;
	if (e < 0 || (e = graph_await(x->L, x->g, 1, ch, WAIT_FOREVER)) < 0)
		return e < 0 ? e : ERR_CLOSED;
	return x->g->over ? ERR_CLOSED : 0;
}

static _Noreturn void
raise_over(lua_State *L, int gi)
{
	if (lua_getiuservalue(L, gi, 2) == LUA_TNIL)
		errobj_push(L, ERR_CLOSED, "the compiled graph was closed");
	lua_error(L);
	__builtin_unreachable();
}

static int
l_call(lua_State *L)				/* g(x, …) -> future */
{
	struct graph *g = graph_check(L, 1);
	struct script *s = script_of(L);
	struct sending x = { L, g };
	struct seg segs[SCRIPT_SEGS];
	struct payload p;
	struct future *f;
	int e = 0;

	luaL_argcheck(L, lua_gettop(L) <= (int)g->nparam + 1, (int)g->nparam + 2, "more arguments than the graph has inputs");
	lua_settop(L, (int)g->nparam + 1);
	while (!g->over && g->begun - g->ended >= g->inflight) {
		if ((e = graph_take(L, g, 1)) == 0 && (e = graph_await(L, g, 1, NULL, WAIT_FOREVER)) < 0)
			graph_broken_by(L, g, 1, e, "the node");
	}
	if (g->over)
		raise_over(L, 1);
	if (g->nin > 1 && dag_payload(L, 2, lua_gettop(L), "argument", &p, segs) < 0)
		return lua_error(L);		/* before anything was sent */
	f = lua_newuserdatauv(L, sizeof *f, 2);
	*f = (struct future){ .g = g, .number = g->begun };
	luaL_setmetatable(L, "rota.future");
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
	for (unsigned i = 0; i < g->nin; i++) {
		struct input *in = &g->in[i];

		if (dag_payload(L, in->first + 1, in->first + in->n, "argument", &p, segs) < 0) {
			if (i > 0) {
				errobj_wrap(L, -1, NULL);
				broken(L, g, 1);
				raise_over(L, 1);
			}
			return lua_error(L);
		}
		if ((e = client_chan_put(in->ch, &p, 0)) == 0)
			e = client_chan_send(in->ch, &p, 0, await_room, &x);
		if (e < 0) {
			if (!g->over)
				graph_broken_by(L, g, 1, e == ERR_CLOSED ? ERR_CRASHED : e, in->to);
			raise_over(L, 1);
		}
	}
	enc_forget(L, &s->enc);
	lua_getiuservalue(L, 1, 1);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, (lua_Integer)(g->begun % g->inflight) + 1);
	lua_pop(L, 1);
	g->begun++;
	return 1;
}

/* --- closing -------------------------------------------------------------------------------------------------------- */

static int
l_close(lua_State *L)				/* g:close(): executions under way end first */
{
	struct graph *g = graph_check(L, 1);
	int e;

	while (!g->over && g->ended < g->begun) {
		if ((e = graph_take(L, g, 1)) == 0 && (e = graph_await(L, g, 1, NULL, WAIT_FOREVER)) < 0)
			graph_broken_by(L, g, 1, e, "the node");
	}
	close_ends(g);
	return 0;
}

static int
l_gc(lua_State *L)
{
	struct graph *g = graph_check(L, 1);

	close_ends(g);
	for (unsigned i = 0; i < g->nin; i++)
		free(g->in[i].to);
	for (unsigned i = 0; i < g->nout; i++)
		free(g->out[i].from);
	for (unsigned i = 0; i < g->nmember; i++)
		free(g->member[i].name);
	free(g->in);
	free(g->out);
	free(g->member);
	free(g->watch);
	g->in = NULL;
	g->out = NULL;
	g->member = NULL;
	g->watch = NULL;
	g->nin = g->nout = g->nmember = 0;
	return 0;
}

static int
l_tostring(lua_State *L)
{
	struct graph *g = graph_check(L, 1);

	lua_pushfstring(L, "compiled graph of %d actors%s", (int)g->nmember, g->over ? " (closed)" : "");
	return 1;
}

void
dag_open(lua_State *L)
{
	static const luaL_Reg graph[] = { { "__call", l_call }, { "__gc", l_gc }, { "__close", l_close },
	    { "__tostring", l_tostring }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.graph");
	luaL_setfuncs(L, graph, 0);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, l_close);
	lua_setfield(L, -2, "close");
	lua_setfield(L, -2, "__index");
	lua_pushliteral(L, "compiled graph: only the process that compiled it can use it");
	lua_setfield(L, -2, "__name");
	lua_pop(L, 1);
	dag_future_open(L);
}
