/*
 * scale - the autoscaler (core/scale.h) for Lua: times in seconds, amounts as people write them, { cpus=2, memory=1<<30, ssd=1 }.
 *
 *	s = core.scale { types = { { name=, min=, max=, priority=, total={...} }, ... }, max=, speed=, idle=, start=, drain=, list=, epoch= }
 *	s:step(now, { kind="wants", wants={ { kind="lease"|"group"|"request", n=, strategy=, need={ {...}, ... } }, ... } })
 *	s:step(now, { kind="listed", list={ { id=, type= }, ... } })
 *	s:step(now, { kind="node", id=, node=, free={...}, idle= })
 *	s:step(now, { kind="launched"|"ready"|"terminated", id=, ok= }), { kind="gone"|"drained", node=, ok= }, { kind="tick" }
 *		the effects: a list of { kind="list"|"launch"|"ready"|"drain"|"terminate", id=, node=, type=, n= }; and when to come again, or nil
 *	s:instances()	a list of { id=, type=, state=, node= }
 *	s:rests()	of each type: { fails=, until_= }
 * Types count from 1.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "core.h"
#include "core/scale.h"

#define SCALE "rota.up.scale"
#define NS 1e9

struct lscale {
	struct scale s;
	struct scale_out out;
	char name[RES_MAX][64];		/* of custom resources */
};

static const char *const known[RES_CUSTOM] = { [RES_CPU] = "cpus", [RES_GPU] = "gpus", [RES_MEM] = "memory" };
static const char *const in_names[] = { [SCALE_IN_WANTS] = "wants", [SCALE_IN_LISTED] = "listed", [SCALE_IN_LAUNCHED] = "launched",
	[SCALE_IN_READY] = "ready", [SCALE_IN_NODE] = "node", [SCALE_IN_GONE] = "gone", [SCALE_IN_DRAINED] = "drained",
	[SCALE_IN_TERMINATED] = "terminated", [SCALE_IN_TICK] = "tick", NULL };
static const char *const fx_names[] = { [SCALE_FX_LIST] = "list", [SCALE_FX_LAUNCH] = "launch", [SCALE_FX_READY] = "ready",
	[SCALE_FX_DRAIN] = "drain", [SCALE_FX_TERMINATE] = "terminate" };
static const char *const want_names[] = { [SCALE_LEASE] = "lease", [SCALE_GROUP] = "group", [SCALE_REQUEST] = "request", NULL };
static const char *const strategies[] = { [GROUP_PACK] = "pack", [GROUP_SPREAD] = "spread", [GROUP_STRICT_PACK] = "strict_pack",
	[GROUP_STRICT_SPREAD] = "strict_spread", NULL };
static const char *const states[] = { [SCALE_ASKED] = "asked", [SCALE_MADE] = "made", [SCALE_STARTING] = "starting", [SCALE_UP] = "up",
	[SCALE_DRAINING] = "draining", [SCALE_ENDING] = "ending" };

/* --- reading tables ---------------------------------------------------------------------------------------------------- */

static double
number(lua_State *L, int t, const char *name, double otherwise)
{
	double v = lua_getfield(L, t, name) == LUA_TNIL ? otherwise : luaL_checknumber(L, -1);

	lua_pop(L, 1);
	return v;
}

static uint64_t
integer(lua_State *L, int t, const char *name)
{
	uint64_t v = lua_getfield(L, t, name) == LUA_TNIL ? 0 : (uint64_t)luaL_checkinteger(L, -1);

	lua_pop(L, 1);
	return v;
}

static uint64_t
seconds(lua_State *L, int t, const char *name)
{
	return (uint64_t)(number(L, t, name, 0) * NS);
}

static bool
truth(lua_State *L, int t, const char *name)
{
	bool v;

	lua_getfield(L, t, name);
	v = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return v;
}

static unsigned
resource(struct lscale *x, const char *name)	/* RES_MAX: too many of them */
{
	unsigned i = 0;

	for (; i < RES_CUSTOM; i++)
		if (strcmp(name, known[i]) == 0)
			return i;
	while (i < RES_MAX && x->name[i][0] && strcmp(x->name[i], name) != 0)
		i++;
	if (i < RES_MAX)
		strncpy(x->name[i], name, sizeof x->name[i] - 1);
	return i;
}

static struct res
amounts(lua_State *L, struct lscale *x)		/* the table on the top, which it pops; nil: none */
{
	struct res r = { { 0 } };

	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		return r;
	}
	luaL_checktype(L, -1, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		double v = luaL_checknumber(L, -1);
		unsigned i = lua_type(L, -2) == LUA_TSTRING ? resource(x, lua_tostring(L, -2)) : RES_MAX;

		if (i < RES_MAX)
			r.v[i] = (int64_t)(v * (i == RES_MEM ? 1 : 1000));
	}
	lua_pop(L, 1);
	return r;
}

static void
read_type(lua_State *L, struct lscale *x, struct scale_type *t)	/* the table on the top */
{
	int at = lua_gettop(L);
	size_t n;
	const char *name;

	lua_getfield(L, at, "name");
	name = luaL_checklstring(L, -1, &n);
	luaL_argcheck(L, n < sizeof t->name, 1, "the name of a type is too long");
	memcpy(t->name, name, n + 1);
	t->min = (unsigned)integer(L, at, "min");
	t->max = (unsigned)integer(L, at, "max");
	t->priority = (int)number(L, at, "priority", 0);
	lua_getfield(L, at, "total");
	t->total = amounts(L, x);
	lua_settop(L, at);
}

static int
scale_gc(lua_State *L)
{
	struct lscale *x = luaL_checkudata(L, 1, SCALE);

	scale_release(&x->s);
	free(x->out.fx);
	x->out.fx = NULL;
	return 0;
}

/* --- a step --------------------------------------------------------------------------------------------------------------- */

/* wants[i] of the table on the top; what it needs lies in the user data that stays on the stack */
static void
read_want(lua_State *L, struct lscale *x, struct scale_want *w, lua_Integer i, struct res **need, unsigned *left)
{
	int top = lua_gettop(L);
	unsigned bundles;

	lua_rawgeti(L, top, i);
	lua_getfield(L, top + 1, "kind");
	w->kind = (enum scale_kind)luaL_checkoption(L, -1, "lease", want_names);
	lua_getfield(L, top + 1, "strategy");
	w->strategy = (enum group_strategy)luaL_checkoption(L, -1, "pack", strategies);
	lua_getfield(L, top + 1, "need");
	luaL_checktype(L, -1, LUA_TTABLE);
	bundles = (unsigned)lua_rawlen(L, -1);
	w->n = w->kind == SCALE_GROUP ? bundles : (unsigned)number(L, top + 1, "n", 0);
	w->need = *need;
	luaL_argcheck(L, bundles <= *left && bundles > 0, 3, "too much is wanted");
	for (unsigned k = 0; k < bundles; k++, (*need)++, (*left)--) {
		lua_rawgeti(L, top + 4, (lua_Integer)k + 1);
		**need = amounts(L, x);
	}
	lua_settop(L, top);
}

static void
read_wants(lua_State *L, struct lscale *x, struct scale_in *in)
{
	enum { NEEDS = 4096 };
	unsigned n, left = NEEDS;
	struct scale_want *w;
	struct res *need;

	lua_getfield(L, 3, "wants");
	luaL_checktype(L, -1, LUA_TTABLE);
	n = (unsigned)lua_rawlen(L, -1);
	w = lua_newuserdatauv(L, (n + 1) * sizeof *w, 0);
	need = lua_newuserdatauv(L, NEEDS * sizeof *need, 0);
	lua_getfield(L, 3, "wants");
	for (unsigned i = 0; i < n; i++)
		read_want(L, x, &w[i], (lua_Integer)i + 1, &need, &left);
	in->want = w;
	in->nwant = n;
}

static void
read_list(lua_State *L, struct scale_in *in)
{
	struct scale_listed *l;
	unsigned n;

	lua_getfield(L, 3, "list");
	luaL_checktype(L, -1, LUA_TTABLE);
	n = (unsigned)lua_rawlen(L, -1);
	l = lua_newuserdatauv(L, (n + 1) * sizeof *l, 0);
	lua_getfield(L, 3, "list");
	for (unsigned i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		l[i] = (struct scale_listed){ .id = integer(L, lua_gettop(L), "id"), .type = (unsigned)integer(L, lua_gettop(L), "type") - 1 };
		lua_pop(L, 1);
	}
	in->list = l;
	in->nlist = n;
}

static void
push_fx(lua_State *L, const struct scale_fx *f)
{
	lua_createtable(L, 0, 5);
	lua_pushstring(L, fx_names[f->kind]);
	lua_setfield(L, -2, "kind");
	lua_pushinteger(L, (lua_Integer)f->id);
	lua_setfield(L, -2, "id");
	lua_pushinteger(L, (lua_Integer)f->node);
	lua_setfield(L, -2, "node");
	lua_pushinteger(L, (lua_Integer)f->type + 1);
	lua_setfield(L, -2, "type");
	lua_pushinteger(L, (lua_Integer)f->n);
	lua_setfield(L, -2, "n");
}

static int
scale_method_step(lua_State *L)
{
	struct lscale *x = luaL_checkudata(L, 1, SCALE);
	double now = luaL_checknumber(L, 2);
	struct scale_in in = { .id = 0 };

	luaL_checktype(L, 3, LUA_TTABLE);
	lua_getfield(L, 3, "kind");
	in.kind = (enum scale_in_kind)luaL_checkoption(L, -1, NULL, in_names);
	in.id = integer(L, 3, "id");
	in.node = (uint32_t)integer(L, 3, "node");
	in.ok = truth(L, 3, "ok");
	in.idle = truth(L, 3, "idle");
	lua_getfield(L, 3, "free");
	in.free = amounts(L, x);
	if (in.kind == SCALE_IN_WANTS)
		read_wants(L, x, &in);
	else if (in.kind == SCALE_IN_LISTED)
		read_list(L, &in);
	x->out.n = 0;
	if (scale_step(&x->s, (uint64_t)(now * NS), &in, &x->out) < 0)
		return luaL_error(L, "out of memory");
	lua_createtable(L, (int)x->out.n, 0);
	for (size_t i = 0; i < x->out.n; i++) {
		push_fx(L, &x->out.fx[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	if (x->out.at)
		lua_pushnumber(L, (double)x->out.at / NS);
	else
		lua_pushnil(L);
	return 2;
}

/* --- looking ----------------------------------------------------------------------------------------------------------------- */

static int
scale_method_instances(lua_State *L)
{
	struct lscale *x = luaL_checkudata(L, 1, SCALE);
	struct map_iter it = MAP_ITER;
	lua_Integer n = 0;

	lua_newtable(L);
	while (map_next(&x->s.insts, &it)) {
		const struct scale_inst *v = it.val;

		lua_createtable(L, 0, 4);
		lua_pushinteger(L, (lua_Integer)v->id);
		lua_setfield(L, -2, "id");
		lua_pushinteger(L, (lua_Integer)v->type + 1);
		lua_setfield(L, -2, "type");
		lua_pushinteger(L, (lua_Integer)v->node);
		lua_setfield(L, -2, "node");
		lua_pushstring(L, states[v->state]);
		lua_setfield(L, -2, "state");
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static int
scale_method_rests(lua_State *L)
{
	struct lscale *x = luaL_checkudata(L, 1, SCALE);

	lua_newtable(L);
	for (unsigned t = 0; t < x->s.o.ntype; t++) {
		lua_createtable(L, 0, 2);
		lua_pushinteger(L, x->s.rest[t].fails);
		lua_setfield(L, -2, "fails");
		lua_pushnumber(L, (double)x->s.rest[t].until / NS);
		lua_setfield(L, -2, "until_");
		lua_rawseti(L, -2, (lua_Integer)t + 1);
	}
	return 1;
}

int
core_scale(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "step", scale_method_step }, { "instances", scale_method_instances }, { "rests", scale_method_rests }, { NULL, NULL }
	};
	struct scale_opts o = { .ntype = 0 };
	struct lscale *x;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	x = lua_newuserdatauv(L, sizeof *x, 0);
	memset(x, 0, sizeof *x);
	if (luaL_newmetatable(L, SCALE)) {
		lua_pushcfunction(L, scale_gc);
		lua_setfield(L, -2, "__gc");
		luaL_newlib(L, methods);
		lua_setfield(L, -2, "__index");
	}
	lua_setmetatable(L, 2);
	lua_getfield(L, 1, "types");
	luaL_checktype(L, 3, LUA_TTABLE);
	o.ntype = (unsigned)lua_rawlen(L, 3);
	luaL_argcheck(L, o.ntype <= SCALE_TYPES, 1, "too many types");
	for (unsigned t = 0; t < o.ntype; t++) {
		lua_rawgeti(L, 3, (lua_Integer)t + 1);
		read_type(L, x, &o.type[t]);
		lua_settop(L, 3);
	}
	o.max = (unsigned)integer(L, 1, "max");
	o.speed = (unsigned)number(L, 1, "speed", 100);
	o.idle = seconds(L, 1, "idle");
	o.start = seconds(L, 1, "start");
	o.drain = seconds(L, 1, "drain");
	o.list = seconds(L, 1, "list");
	scale_init(&x->s, &o, integer(L, 1, "epoch"));
	lua_settop(L, 2);
	return 1;
}

int
core_now(lua_State *L)
{
	lua_pushnumber(L, (double)clock_ns() / NS);
	return 1;
}

int
core_wall(lua_State *L)
{
	lua_pushnumber(L, (double)clock_wall_ns() / NS);
	return 1;
}
