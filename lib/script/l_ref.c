/*
 * l_ref - references in Lua: "rota.ref" userdata of one pointer, and rota.get, rota.pget.
 */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/num.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/script.h"

#define DEBT_STEP (4u << 20)		/* bytes of shared memory worth a step of the collector: they are to be reused while the cache has them */
#define NOTICES 5

struct lref {
	struct rec *r;			/* counted; NULL once freed */
};

void
ref_push(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct lref *u = lua_newuserdatauv(L, sizeof *u, 0);

	u->r = r;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->mt_ref);
	lua_setmetatable(L, -2);
}

static struct lref *
test(lua_State *L, int idx)
{
	struct script *s = script_of(L);
	struct lref *u = lua_touserdata(L, idx);
	bool is;

	if (!u || lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
		return NULL;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->mt_ref);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is ? u : NULL;
}

struct rec *
ref_test(lua_State *L, int idx)
{
	struct lref *u = test(L, idx);

	return u ? u->r : NULL;
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

/* --- values ------------------------------------------------------------------------------------------------- */

static bool
cached(lua_State *L, struct rec *r, struct id id)
{
	struct script *s = script_of(L);

	for (unsigned i = 0; i < STRCACHE; i++)
		if (s->cached[i].rec == r && id_eq(s->cached[i].id, id)) {
			lua_rawgeti(L, LUA_REGISTRYINDEX, s->strings);
			lua_rawgeti(L, -1, (int)i + 1);
			lua_remove(L, -2);
			return true;
		}
	return false;
}

static void
remember(lua_State *L, struct rec *r, struct id id, size_t n)
{
	struct script *s = script_of(L);
	unsigned i = s->next_cached++ % STRCACHE;

	if (n > STRCACHE_MAX)
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->strings);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, (int)i + 1);
	lua_pop(L, 1);
	s->cached[i] = (struct strcache){ r, id, n };
}

/* of an object with buffers of its own: a buffer is made once, a long string once */
static int
arena_values(lua_State *L, struct rec *r, const struct value *v, int anchor)
{
	struct script *s = script_of(L);
	struct enc_seg small[OBJ_VIEW_BUFS], *seg = small;
	struct dec_src src = { .nseg = v->view.nbuf, .anchor = anchor };
	bool single = v->nvals == 1 && v->view.nbuf == 1;
	int e;

	if (single) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, s->views);
		if (lua_rawgetp(L, -1, r) != LUA_TNIL) {
			lua_remove(L, -2);
			return 1;
		}
		lua_pop(L, 2);
		if (cached(L, r, v->view.id))
			return 1;
	}
	if (v->view.nbuf > OBJ_VIEW_BUFS)
		seg = lua_newuserdatauv(L, v->view.nbuf * sizeof *seg, 0);
	for (unsigned i = 0; i < v->view.nbuf; i++) {
		const unsigned char *p;
		uint64_t n;

		if (obj_view_buf(client_arena(s->c), &v->view, i, &p, &n) < 0)
			script_raise(L, ERR_LOST, "the object was lost while it was read");
		seg[i] = (struct enc_seg){ p, n };
	}
	src.seg = seg;
	if ((e = dec_values(L, v->p, v->n, v->nvals, &src, VAL_ALLOW_CODE)) < 0)
		lua_error(L);
	if (single && buffer_test(L, -1)) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, s->views);
		lua_pushvalue(L, -2);
		lua_rawsetp(L, -2, r);
		lua_pop(L, 1);
	} else if (single && lua_type(L, -1) == LUA_TSTRING) {
		remember(L, r, v->view.id, lua_rawlen(L, -1));
	}
	if (seg != small)
		lua_remove(L, -1 - (int)v->nvals);
	return (int)v->nvals;
}

int
ref_error(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct value v;

	if (!(r->flags & REC_ERROR))
		return 0;
	if (client_value(s->c, r, &v) < 0 || dec_values(L, v.p, v.n, v.nvals, NULL, VAL_ALLOW_CODE) < 0)
		errobj_push(L, ERR_LOST, "the error was lost");
	else if (v.nvals > 1)
		lua_pop(L, (int)v.nvals - 1);
	return 1;
}

int
ref_values(lua_State *L, struct rec *r, int anchor, bool all)
{
	struct script *s = script_of(L);
	struct value v;
	int n, e;

	if (ref_error(L, r))
		lua_error(L);
	if ((e = client_value(s->c, r, &v)) < 0)
		script_raise(L, e, "the object is gone: its owner died, or the node lost it");
	luaL_checkstack(L, (int)v.nvals + 8, "too many values");
	if (v.arena) {
		n = arena_values(L, r, &v, anchor);
		ref_charge(L, v.view.size);
	} else {
		if (dec_values(L, v.p, v.n, v.nvals, NULL, VAL_ALLOW_CODE) < 0)
			lua_error(L);
		n = (int)v.nvals;
	}
	if (!all && n != 1) {
		if (n == 0)
			lua_pushnil(L);
		else
			lua_pop(L, n - 1);
		n = 1;
	}
	return n;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

uint64_t
script_deadline(lua_State *L, int idx)
{
	int64_t ns;

	if (lua_isnoneornil(L, idx))
		return WAIT_FOREVER;
	if (lua_istable(L, idx)) {
		uint64_t d;

		lua_getfield(L, idx, "timeout");
		d = script_deadline(L, lua_gettop(L));
		lua_pop(L, 1);
		return d;
	}
	if (lua_type(L, idx) == LUA_TNUMBER) {
		lua_Number sec = lua_tonumber(L, idx);

		luaL_argcheck(L, sec >= 0, idx, "a time is expected, 0 or more seconds");
		return sec > 1e9 ? WAIT_FOREVER : clock_ns() + (uint64_t)(sec * 1e9);
	}
	luaL_argcheck(L, num_duration(luaL_checkstring(L, idx), &ns) == 0, idx, "a time is expected, as 5 or '10ms'");
	return clock_ns() + (uint64_t)ns;
}

/* raises for what a wait may end with but readiness */
static void
wait_failed(lua_State *L, int e)
{
	struct script *s = script_of(L);

	if (e == -ETIMEDOUT)
		script_raise(L, ERR_TIMEOUT, "timed out");
	if (e == ERR_NO_CLUSTER)
		script_raise(L, e, "%s", client_lost(s->c) ? client_lost(s->c) : "the node is gone");
	script_raise(L, e, "%s", err_str(e));
}

/*
 * 0 once r is ready; a task that can suspends instead, and k goes on (it calls here again).  -ETIMEDOUT.
 */
static int
wait_until(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
{
	struct script *s = script_of(L);
	bool blocked = false;
	int e;

	if (rec_is_ready(r))
		return 0;
	if (sched_can_suspend(L)) {
		if (deadline != WAIT_FOREVER && clock_ns() >= deadline)
			return -ETIMEDOUT;
		return sched_suspend(L, r, deadline, ctx, k);	/* it yields */
	}
	if (s->sched)
		blocked = sched_blocking(s, true);
	while ((e = client_wait(s->c, r, deadline)) == -EINTR)
		script_interrupted(L);
	if (blocked)
		sched_blocking(s, false);
	if (e < 0 && e != -ETIMEDOUT)
		wait_failed(L, e);
	return e;
}

void
script_wait(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
{
	if (wait_until(L, r, deadline, ctx, k) < 0)
		wait_failed(L, -ETIMEDOUT);
}

/* --- get, pget --------------------------------------------------------------------------------------------------- */

/* stack: x, opts, deadline (integer bits), result, errors, key */
enum { GET_X = 1, GET_OPTS, GET_DEADLINE, GET_RESULT, GET_ERRS, GET_KEY };

static uint64_t
deadline_at(lua_State *L)
{
	return (uint64_t)lua_tointeger(L, GET_DEADLINE);
}

static int get_one_k(lua_State *L, int status, lua_KContext protect);
static int get_all_k(lua_State *L, int status, lua_KContext protect);

/* one reference at GET_X: all its values, or value and nil, or nil and the error */
static int
get_one_k(lua_State *L, int status, lua_KContext protect)
{
	struct rec *r = ref_check(L, GET_X);

	(void)status;
	if (!protect) {
		script_wait(L, r, deadline_at(L), protect, get_one_k);
		return ref_values(L, r, GET_X, true);
	}
	if (wait_until(L, r, deadline_at(L), protect, get_one_k) < 0) {
		lua_pushnil(L);
		errobj_push(L, ERR_TIMEOUT, "timed out");
		return 2;
	}
	if (ref_error(L, r)) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	ref_values(L, r, GET_X, false);
	lua_pushnil(L);
	return 2;
}

/* the error of a reference that is waited for no longer, on the stack */
static bool
failed(lua_State *L, struct rec *r)
{
	if (rec_is_ready(r))
		return ref_error(L, r);
	errobj_push(L, ERR_TIMEOUT, "timed out");
	return true;
}

/* every reference of the table is ready, or late: a table with the same keys; what is no reference passes through */
static int
collect(lua_State *L, bool protect)
{
	lua_settop(L, GET_ERRS);
	lua_pushnil(L);
	while (lua_next(L, GET_X)) {			/* key, value */
		struct rec *r = ref_test(L, -1);

		lua_pushvalue(L, -2);			/* key, value, key */
		if (!r) {
			lua_insert(L, -2);
			lua_rawset(L, GET_RESULT);
		} else if (protect && failed(L, r)) {
			if (lua_isnil(L, GET_ERRS)) {
				lua_newtable(L);
				lua_replace(L, GET_ERRS);
			}
			lua_rawset(L, GET_ERRS);
			lua_pop(L, 1);
		} else {
			ref_values(L, r, GET_KEY + 1, false);
			lua_rawset(L, GET_RESULT);
			lua_pop(L, 1);
		}
	}
	if (!protect)
		lua_settop(L, GET_RESULT);
	return protect ? 2 : 1;
}

/* waits for them one by one; GET_KEY is the one that was waited for last */
static int
get_all_k(lua_State *L, int status, lua_KContext protect)
{
	(void)status;
	for (;;) {
		lua_settop(L, GET_KEY);
		if (!lua_isnil(L, GET_KEY)) {
			struct rec *r;

			lua_pushvalue(L, GET_KEY);
			lua_rawget(L, GET_X);
			if ((r = ref_test(L, -1)) && wait_until(L, r, deadline_at(L), protect, get_all_k) < 0 && !protect)
				wait_failed(L, -ETIMEDOUT);
			lua_settop(L, GET_KEY);
		}
		if (!lua_next(L, GET_X))
			return collect(L, protect);
		lua_pop(L, 1);
	}
}

static int
set_to_list(lua_State *L)
{
	lua_getfield(L, GET_X, "list");
	lua_pushvalue(L, GET_X);
	lua_call(L, 1, 1);
	lua_replace(L, GET_X);
	return 0;
}

static int
get(lua_State *L, bool protect)
{
	uint64_t deadline;
	lua_Integer n;

	script_client(L);
	if (!protect && lua_gettop(L) == 1) {		/* the straight path */
		struct rec *r = ref_test(L, 1);

		if (r && rec_is_ready(r))
			return ref_values(L, r, 1, true);
	}
	deadline = script_deadline(L, GET_OPTS);
	lua_settop(L, GET_OPTS);
	lua_pushinteger(L, (lua_Integer)deadline);
	if (test(L, GET_X))
		return get_one_k(L, LUA_OK, protect);
	if (lua_isuserdata(L, GET_X))
		set_to_list(L);
	luaL_checktype(L, GET_X, LUA_TTABLE);
	n = (lua_Integer)lua_rawlen(L, GET_X);
	lua_createtable(L, (int)(n < INT32_MAX ? n : 0), 1);
	if (n > 0) {
		lua_pushinteger(L, n);
		lua_setfield(L, -2, "n");
	}
	lua_pushnil(L);				/* errors */
	lua_pushnil(L);				/* first key */
	return get_all_k(L, LUA_OK, protect);
}

int
l_get(lua_State *L)
{
	return get(L, false);
}

int
l_pget(lua_State *L)
{
	return get(L, true);
}

/* --- the userdata ---------------------------------------------------------------------------------------------------- */

void
ref_failed_notice(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct value v;
	char text[512];

	if (s->sched || !rec_is_ready(r) || (r->flags & (REC_ERROR|REC_SEEN|REC_BORROWED)) != REC_ERROR || client_lost(s->c))
		return;
	if (++s->notices > NOTICES || client_value(s->c, r, &v) < 0 || v.arena ||
	    val_error_text(v.p, v.n, text, sizeof text, NULL) < 0)
		return;
	/* the one place where a library speaks: nobody else is left to tell */
	fprintf(stderr, "rota: a task failed and its result was never fetched: %s\n", text);
}

static int
l_gc(lua_State *L)
{
	struct lref *u = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (u->r && s->c) {
		if (u->r->flags & REC_ERROR)
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
			wait_failed(L, e);
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
	    { "id", l_id }, { "ready", l_ready }, { NULL, NULL } };
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
	s->mt_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "v");
	lua_setfield(L, -2, "__mode");
	lua_setmetatable(L, -2);
	s->views = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_createtable(L, STRCACHE, 0);
	s->strings = luaL_ref(L, LUA_REGISTRYINDEX);
}
