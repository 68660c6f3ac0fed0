/*
 * l_ref - references in Lua: "rota.ref" userdata of one pointer.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/num.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/script.h"

#define DEBT_STEP (2048u << 10)		/* bytes of shared memory worth a step of the collector: to be reused while the cache has them */
#define NOTICES 5

struct lref {
	struct rec *r;			/* counted; NULL once freed */
};

void
ref_push(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct lref *u = lua_newuserdatauv(L, sizeof *u, 0);

	s->made = true;
	u->r = r;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->mt_ref);
	lua_setmetatable(L, -2);
}

int
call_push(lua_State *L, struct rec *const *r, int n, bool stream)
{
	if (stream)
		return stream_push(L, r[0]);
	luaL_checkstack(L, n, "too many returns");
	for (int i = 0; i < n; i++)
		ref_push(L, r[i]);
	return n;
}

static struct lref *
test(lua_State *L, int idx)
{
	return of_type(L, idx, script_of(L)->is_ref);
}

struct rec *
ref_test(lua_State *L, int idx)
{
	struct lref *u = test(L, idx);

	return u ? u->r : NULL;
}

bool
ref_is(lua_State *L, int idx)
{
	return test(L, idx) != NULL;
}

struct rec *
ref_check(lua_State *L, int arg)
{
	struct lref *u = test(L, arg);

	if (!u)
		luaL_typeerror(L, arg, "ref");
	luaL_argcheck(L, u->r, arg, "this ref was freed");
	return u->r;
}

void
ref_charge(lua_State *L, uint64_t bytes)
{
	struct script *s = script_of(L);

	if (bytes == 0 || (s->debt += bytes) < DEBT_STEP)
		return;
	lua_gc(L, LUA_GCSTEP, (int)(s->debt >> 10));
	s->debt = 0;
}

/* --- the userdata ---------------------------------------------------------------------------------------------------- */

void
ref_failed_notice(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct value v;
	char text[512], task[128];

	if (s->sched || !rec_is_ready(r) || rec_flags(r, REC_ERROR|REC_SEEN|REC_BORROWED) != REC_ERROR || client_lost(s->c))
		return;
	if (++s->notices > NOTICES || client_value(s->c, r, &v) < 0 || v.arena ||
	    val_error_text(v.p, v.n, text, sizeof text, NULL) < 0 ||
	    val_error_field(v.p, v.n, "task", task, sizeof task) < 0)
		return;
	/* the one place where a library speaks: nobody else is left to tell */
	fprintf(stderr, "rota: %s%s failed and its result was never fetched: %s\n", *task ? "task " : "a task", task, text);
}

static int
l_gc(lua_State *L)
{
	struct lref *u = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (u->r && s->c) {
		if (rec_flags(u->r, REC_ERROR))
			ref_failed_notice(L, u->r);
		client_drop(s->c, u->r);
		u->r = NULL;
	}
	return 0;
}

static int
l_free(lua_State *L)
{
	struct lref *u = test(L, 1);

	if (!u)
		return luaL_typeerror(L, 1, "ref");
	if (u->r) {				/* a buffer that looks into it keeps it: then the collector frees both */
		lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->views);
		if (lua_rawgetp(L, -1, u->r) != LUA_TNIL)
			return 0;
	}
	return l_gc(L);
}

static int
describe(lua_State *L, int idx)
{
	struct lref *u = lua_touserdata(L, idx);
	char id[ID_TEXT];
	const char *fn;

	if (!u || !u->r) {
		lua_pushliteral(L, "ref (freed)");
		return 1;
	}
	id_format(id, client_id(script_of(L)->c, u->r));
	fn = client_task_name(script_of(L)->c, u->r);
	lua_pushfstring(L, fn ? "ref %s (task %s)" : "ref %s", id, fn);
	return 1;
}

static int
l_tostring(lua_State *L)
{
	return describe(L, 1);
}

static int
no(lua_State *L, const char *what)
{
	describe(L, test(L, 1) ? 1 : 2);
	return luaL_error(L, "%s a %s: take its value with rota.get(ref)", what, lua_tostring(L, -1));
}

static int no_arith(lua_State *L) { return no(L, "arithmetic on"); }
static int no_len(lua_State *L) { return no(L, "length of"); }
static int no_concat(lua_State *L) { return no(L, "concatenation with"); }
static int no_compare(lua_State *L) { return no(L, "comparison with"); }
static int no_call(lua_State *L) { return no(L, "call of"); }

static int
l_id(lua_State *L)
{
	char id[ID_TEXT];

	lua_pushstring(L, id_format(id, client_id(script_of(L)->c, ref_check(L, 1))));
	return 1;
}

static int
l_ready(lua_State *L)
{
	lua_pushboolean(L, client_ready(script_of(L)->c, ref_check(L, 1)));
	return 1;
}

static int
wait_k(lua_State *L, int status, lua_KContext ctx)
{
	struct rec *r = ref_check(L, 1);
	uint64_t d = (uint64_t)lua_tointeger(L, 3);

	(void)status;
	if (!rec_is_ready(r) && d != WAIT_FOREVER && clock_ns() >= d) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (!rec_is_ready(r) && !sched_can_suspend(L)) {
		int e;

		while ((e = client_wait(script_of(L)->c, r, d)) == -EINTR)
			script_interrupted(L);
		if (e < 0 && e != -ETIMEDOUT)
			script_wait_failed(L, e);
	} else {
		script_wait(L, r, d, ctx, wait_k);
	}
	lua_pushboolean(L, rec_is_ready(r));
	return 1;
}

static int
l_wait_one(lua_State *L)				/* ref:wait([timeout]) -> ready? */
{
	uint64_t d = script_deadline(L, 2);

	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)d);
	return wait_k(L, LUA_OK, 0);
}

static int
l_index(lua_State *L)
{
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	return no(L, "indexing");
}

int
ref_l_is(lua_State *L)
{
	lua_pushboolean(L, test(L, 1) != NULL);
	return 1;
}

void
ref_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "get", l_get }, { "pget", l_pget }, { "wait", l_wait_one }, { "free", l_free },
	    { "id", l_id }, { "ready", l_ready }, { "slice", l_slice }, { "path", l_path }, { "cancel", l_cancel }, { NULL, NULL } };
	static const luaL_Reg meta[] = { { "__gc", l_gc }, { "__close", l_gc }, { "__tostring", l_tostring },
	    { "__add", no_arith }, { "__sub", no_arith }, { "__mul", no_arith }, { "__div", no_arith },
	    { "__mod", no_arith }, { "__pow", no_arith }, { "__unm", no_arith }, { "__idiv", no_arith },
	    { "__band", no_arith }, { "__bor", no_arith }, { "__bxor", no_arith }, { "__shl", no_arith },
	    { "__shr", no_arith }, { "__bnot", no_arith }, { "__len", no_len }, { "__concat", no_concat },
	    { "__lt", no_compare }, { "__le", no_compare }, { "__call", no_call }, { NULL, NULL } };
	struct script *s = script_of(L);

	luaL_newmetatable(L, "rota.ref");
	luaL_setfuncs(L, meta, 0);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, l_index, 1);
	lua_setfield(L, -2, "__index");
	script_seal(L);
	s->is_ref = lua_topointer(L, -1);
	s->mt_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "v");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	s->views = luaL_ref(L, LUA_REGISTRYINDEX);
	strcache_open(L, &s->strings);
}
