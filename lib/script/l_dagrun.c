/*
 * l_dagrun - compiled graphs in an actor's worker: its plan, and the steps.
 *
 * A step reads a channel into slots, or calls a method with slots and sends its value on.  Before the process sleeps it
 * takes what came on all inputs of all graphs (client_chan_drain): else two actors could wait for each other for ever.
 */
#include <stdlib.h>
#include <string.h>
#include "script/func.h"
#include "script/l_dag.h"
#include "script/sched.h"

#define TURN 64u			/* steps before ordinary calls have their turn */

struct input {
	struct client_chan *ch;
	int slot, n;			/* where its values go */
	char *from;			/* who sends */
};

struct output {
	struct client_chan *ch;
	char *to;			/* who reads */
};

struct step {
	int read;			/* input, or -1: a call */
	int fn;				/* registry reference of the method */
	int *arg, narg;			/* slots */
	int *out, nout;			/* channels that its value goes to */
	int slot;			/* and where it stays; 0 nowhere */
	bool all;			/* all values go out, not the first only */
	char *name;			/* for errors: Counter:add */
};

struct dag_plan {
	struct dag_plan *next;
	int slots;			/* registry reference: table of values, constants among them */
	int nslot, nvar;		/* those up to nvar are cleared after each execution */
	bool *bad;			/* this slot holds an error */
	struct input *in;
	unsigned nin;
	struct output *out;
	unsigned nout;
	struct step *step;
	unsigned nstep, pc;
};

/* --- the plan ------------------------------------------------------------------------------------------------------ */

static void
plan_free(lua_State *L, struct dag_plan *g, const unsigned char *error, size_t n, bool refs)
{
	for (unsigned i = 0; i < g->nout; i++) {
		if (g->out[i].ch)
			client_chan_close(g->out[i].ch, error, n, refs);
		free(g->out[i].to);
	}
	for (unsigned i = 0; i < g->nin; i++) {
		if (g->in[i].ch)
			client_chan_close(g->in[i].ch, NULL, 0, false);
		free(g->in[i].from);
	}
	for (unsigned i = 0; i < g->nstep; i++) {
		if (g->step[i].read < 0)
			luaL_unref(L, LUA_REGISTRYINDEX, g->step[i].fn);
		free(g->step[i].arg);
		free(g->step[i].out);
		free(g->step[i].name);
	}
	luaL_unref(L, LUA_REGISTRYINDEX, g->slots);
	free(g->bad);
	free(g->in);
	free(g->out);
	free(g->step);
	free(g);
}

static lua_Integer
field(lua_State *L, int idx, const char *name)
{
	lua_Integer v;

	lua_getfield(L, idx, name);
	v = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return v;
}

static void *
room(lua_State *L, size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		luaL_error(L, "not enough memory");
	return p;
}

static char *
text(lua_State *L, int idx, const char *name)
{
	char *s;

	lua_getfield(L, idx, name);
	s = strdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "?");
	lua_pop(L, 1);
	return s;
}

static int *
numbers(lua_State *L, int idx, const char *name, int *n)
{
	int *v;

	lua_getfield(L, idx, name);
	*n = (int)lua_rawlen(L, -1);
	v = room(L, (size_t)*n, sizeof *v);
	for (int i = 0; i < *n; i++) {
		lua_rawgeti(L, -1, i + 1);
		v[i] = (int)lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return v;
}

static void
read_step(lua_State *L, struct step *p, int self)
{
	int at = lua_gettop(L);

	if ((p->read = (int)field(L, at, "read") - 1) >= 0)
		return;
	p->fn = LUA_NOREF;
	lua_getfield(L, at, "call");
	lua_gettable(L, self);			/* self finds its class's methods */
	if (!lua_isfunction(L, -1))
		luaL_error(L, "the actor has no such method");
	p->fn = luaL_ref(L, LUA_REGISTRYINDEX);
	p->name = text(L, at, "name");
	p->arg = numbers(L, at, "args", &p->narg);
	p->out = numbers(L, at, "outs", &p->nout);
	p->slot = (int)field(L, at, "slot");
	lua_getfield(L, at, "all");
	p->all = lua_toboolean(L, -1);
	lua_pop(L, 1);
}

static bool
sound(const struct dag_plan *g)
{
	for (unsigned i = 0; i < g->nin; i++)
		if (g->in[i].slot < 1 || g->in[i].n < 0 || g->in[i].slot + g->in[i].n - 1 > g->nslot)
			return false;
	for (unsigned i = 0; i < g->nstep; i++) {
		const struct step *p = &g->step[i];

		if (p->read >= (int)g->nin || p->slot < 0 || p->slot > g->nslot)
			return false;
		for (int k = 0; p->read < 0 && k < p->narg; k++)
			if (p->arg[k] < 1 || p->arg[k] > g->nslot)
				return false;
		for (int k = 0; p->read < 0 && k < p->nout; k++)
			if (p->out[k] < 1 || p->out[k] > (int)g->nout)
				return false;
	}
	return g->nstep > 0 && g->nvar <= g->nslot;
}

static int
read_plan(lua_State *L)				/* (light userdata plan, table, self) */
{
	struct dag_plan *g = lua_touserdata(L, 1);
	unsigned n;

	lua_getfield(L, 2, "slots");
	g->slots = luaL_ref(L, LUA_REGISTRYINDEX);
	g->nslot = (int)field(L, 2, "nslot");
	g->nvar = (int)field(L, 2, "nvar");
	g->bad = room(L, (size_t)g->nslot + 1, sizeof *g->bad);
	lua_getfield(L, 2, "ins");
	n = (unsigned)lua_rawlen(L, -1);
	g->in = room(L, n, sizeof *g->in);
	for (unsigned i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (int)i + 1);
		g->in[i].slot = (int)field(L, lua_gettop(L), "slot");
		g->in[i].n = (int)field(L, lua_gettop(L), "n");
		g->in[i].from = text(L, lua_gettop(L), "from");
		g->nin++;
		lua_getfield(L, -1, "chan");
		g->in[i].ch = dag_take_end(L, -1, true);
		client_chan_drain(g->in[i].ch);
		lua_pop(L, 2);
	}
	lua_getfield(L, 2, "outs");
	n = (unsigned)lua_rawlen(L, -1);
	g->out = room(L, n, sizeof *g->out);
	for (unsigned i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (int)i + 1);
		g->out[i].to = text(L, lua_gettop(L), "to");
		g->nout++;
		lua_getfield(L, -1, "chan");
		g->out[i].ch = dag_take_end(L, -1, false);
		lua_pop(L, 2);
	}
	lua_getfield(L, 2, "steps");
	n = (unsigned)lua_rawlen(L, -1);
	g->step = room(L, n, sizeof *g->step);
	for (unsigned i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (int)i + 1);
		g->nstep++;
		read_step(L, &g->step[i], 3);
		lua_pop(L, 1);
	}
	if (!sound(g))
		luaL_error(L, "a plan that makes no sense");
	return 0;
}

int
dag_attach(lua_State *L)
{
	struct script *s = script_of(L);
	struct dag_plan *g = room(L, 1, sizeof *g);

	luaL_checktype(L, 2, LUA_TTABLE);
	g->slots = LUA_NOREF;
	lua_settop(L, 2);
	lua_pushcfunction(L, read_plan);
	lua_pushlightuserdata(L, g);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, 1);
	if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
		plan_free(L, g, NULL, 0, false);
		return lua_error(L);
	}
	g->next = s->plans;
	s->plans = g;
	lua_pushboolean(L, true);
	return 1;
}

/* --- steps ------------------------------------------------------------------------------------------------------------ */

static int
traced(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		func_hint(L, 1);
	luaL_traceback(L, L, NULL, 1);
	errobj_wrap(L, 1, lua_tostring(L, -1));
	return 1;
}

/* the error object on top gets to know where it comes from */
static void
origin(lua_State *L, const struct step *p)
{
	if (lua_getfield(L, -1, "task") == LUA_TNIL) {
		lua_pushstring(L, p->name);
		lua_setfield(L, -3, "task");
	}
	if (lua_getfield(L, -2, "node") == LUA_TNIL) {
		lua_pushstring(L, (const char *)client_welcome(script_of(L)->c)->node_name.p);
		lua_setfield(L, -4, "node");
	}
	lua_pop(L, 2);
}

/* the graph is over here: what is on top of the stack, an error object or nil, goes to those who wait for us */
static void
over(lua_State *L, struct script *s, struct dag_plan *g)
{
	struct dag_plan **q = &s->plans;
	bool error = !lua_isnil(L, -1);

	s->enc.flags = ENC_INLINE;
	if (error && enc_values(L, &s->enc, -1, -1, "error") < 0) {
		lua_pop(L, 1);
		error = false;
	}
	while (*q != g)
		q = &(*q)->next;
	*q = g->next;
	client_chan_watch(s->c, NULL, 0);
	plan_free(L, g, error ? s->enc.b.data : NULL, error ? s->enc.b.len : 0, error && s->enc.flags & ENC_REFS);
	enc_forget(L, &s->enc);
	lua_pop(L, 1);
}

/* e: what an end said of its other side, who */
static void
over_by(lua_State *L, struct script *s, struct dag_plan *g, int e, const char *who)
{
	if (e == ERR_CLOSED) {
		lua_pushnil(L);
	} else {
		lua_pushfstring(L, "%s died: the compiled graph that it was in is broken", who);
		errobj_push(L, e == ERR_CRASHED ? ERR_ACTOR_DIED : e, lua_tostring(L, -1));
		lua_remove(L, -2);
	}
	over(L, s, g);
}

static int
await_room(struct client_chan *ch, void *L)
{
	return chan_wait(L, &ch, 1, WAIT_FOREVER, NULL, NULL);
}

/* input p->read into its slots.  1 done; 0 not there; -1 the graph is over, and gone */
static int
do_read(lua_State *L, struct script *s, struct dag_plan *g, const struct step *p)
{
	struct input *in = &g->in[p->read];
	struct chan_in m;
	int e = client_chan_get(in->ch, &m), n;
	bool bad;

	if (e == 0)
		return 0;
	if (e < 0) {
		over_by(L, s, g, e, in->from);
		return -1;
	}
	bad = m.tag & CHAN_ERROR;
	lua_rawgeti(L, LUA_REGISTRYINDEX, g->slots);
	if ((n = chan_values(L, in->ch, &m)) < 0) {
		errobj_wrap(L, -1, NULL);
		lua_remove(L, -2);
		n = 1;
		bad = true;
	}
	if (bad && m.tag & CHAN_LAST) {
		client_chan_done(in->ch);
		lua_remove(L, -2);
		over(L, s, g);
		return -1;
	}
	client_chan_done(in->ch);
	lua_settop(L, lua_gettop(L) - n + (bad ? 1 : in->n));
	for (int i = in->n - 1; i >= 0; i--) {
		g->bad[in->slot + i] = bad;
		if (bad)
			lua_pushvalue(L, -1);
		lua_rawseti(L, bad ? -3 : -2 - i, in->slot + i);
	}
	lua_pop(L, bad ? 2 : 1);
	return 1;
}

/* values first … top are the outcome: into its slot and out.  0; negative: the graph is over, and gone */
static int
deliver(lua_State *L, struct script *s, struct dag_plan *g, const struct step *p, int first, bool bad)
{
	struct seg segs[SCRIPT_SEGS];
	struct payload q;
	int e = 0;

	if (!p->all || bad)
		lua_settop(L, first);
	if (p->nout && dag_payload(L, first, lua_gettop(L), "result", &q, segs) < 0) {
		errobj_wrap(L, -1, NULL);
		lua_replace(L, first);
		lua_settop(L, first);
		origin(L, p);
		bad = true;
		if (dag_payload(L, first, first, "error", &q, segs) < 0) {
			lua_settop(L, first - 1);
			errobj_push(L, ERR_TASK, "the error itself cannot travel");
			dag_payload(L, first, first, "error", &q, segs);
		}
	}
	for (int i = 0; i < p->nout; i++) {
		const struct output *o = &g->out[p->out[i] - 1];

		if ((e = client_chan_send(o->ch, &q, bad ? CHAN_ERROR : 0, await_room, L)) < 0) {
			over_by(L, s, g, e, o->to);
			return e;
		}
	}
	if (p->nout)
		enc_forget(L, &s->enc);
	if (p->slot) {
		lua_settop(L, first);
		g->bad[p->slot] = bad;
		lua_rawgeti(L, LUA_REGISTRYINDEX, g->slots);
		lua_insert(L, first);
		lua_rawseti(L, first, p->slot);
	}
	return 0;
}

static int
do_call(lua_State *L, struct script *s, struct dag_plan *g, const struct step *p)
{
	int base = lua_gettop(L), e, wrong = 0;

	luaL_checkstack(L, p->narg + 8, NULL);
	lua_pushcfunction(L, traced);
	lua_rawgeti(L, LUA_REGISTRYINDEX, g->slots);
	for (int i = 0; i < p->narg && !wrong; i++)
		if (g->bad[p->arg[i]])
			wrong = p->arg[i];
	if (wrong) {				/* an error goes on in place of the value */
		lua_rawgeti(L, -1, wrong);
		lua_replace(L, base + 1);
		lua_pop(L, 1);
	} else {
		lua_rawgeti(L, LUA_REGISTRYINDEX, p->fn);
		lua_rawgeti(L, LUA_REGISTRYINDEX, s->sched->self);
		for (int i = 0; i < p->narg; i++)
			lua_rawgeti(L, base + 2, p->arg[i]);
		if (lua_pcall(L, p->narg + 1, LUA_MULTRET, base + 1) != LUA_OK) {
			if (!errobj_test(L, -1)) {
				errobj_wrap(L, -1, NULL);
				lua_remove(L, -2);
			}
			origin(L, p);
			lua_replace(L, base + 1);
			lua_settop(L, base + 1);
			wrong = 1;
		} else {
			lua_remove(L, base + 2);
			lua_remove(L, base + 1);
		}
	}
	e = deliver(L, s, g, p, base + 1, wrong);
	lua_settop(L, base);
	return e < 0 ? -1 : 1;
}

static void
next_execution(lua_State *L, struct dag_plan *g)
{
	g->pc = 0;
	lua_rawgeti(L, LUA_REGISTRYINDEX, g->slots);
	for (int i = 1; i <= g->nvar; i++) {
		lua_pushnil(L);
		lua_rawseti(L, -2, i);
	}
	lua_pop(L, 1);
}

/* 1 something was done, 0 nothing to do, -1 the graph is over */
static int
serve(lua_State *L, struct script *s, struct dag_plan *g)
{
	int done = 0;

	for (unsigned i = 0; i < TURN; i++) {
		const struct step *p = &g->step[g->pc];
		int e = p->read >= 0 ? do_read(L, s, g, p) : do_call(L, s, g, p);

		if (e <= 0)
			return e < 0 ? e : done;	/* a plan begins with a read: what waits is one */
		done = 1;
		if (++g->pc == g->nstep)
			next_execution(L, g);
	}
	return done;
}

/* the channels that the plans wait for; true: something is there already */
static bool
watch(struct script *s)
{
	unsigned n = 0;
	void *v;

	for (struct dag_plan *g = s->plans; g; g = g->next, n++) {
		struct client_chan *ch = g->in[g->step[g->pc].read].ch;

		if (client_chan_ready(ch))
			return true;
		if (n % 16 == 0) {
			if ((v = realloc(s->watch, (n + 16) * sizeof *s->watch)) == NULL)
				return true;
			s->watch = v;
		}
		s->watch[n] = ch;
	}
	client_chan_watch(s->c, s->watch, n);
	return false;
}

bool
dag_serve(struct script *s, bool may)
{
	bool did = false;

	client_chan_watch(s->c, NULL, 0);
	for (struct dag_plan *g = may ? s->plans : NULL, *next; g; g = next) {
		next = g->next;
		did |= serve(s->L, s, g) != 0;
	}
	return did || (may && s->plans && watch(s));
}
