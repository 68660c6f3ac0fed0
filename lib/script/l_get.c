/*
 * l_get - rota.get, rota.pget and what they stand on: values of references, and waiting for them from any coroutine.
 */
#include <string.h>
#include <lauxlib.h>
#include "base/clock.h"
#include "base/num.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/l_dag.h"
#include "script/script.h"

/* --- values ------------------------------------------------------------------------------------------------- */

/* what a buffer that looks into the arena keeps alive: the object stays where it is */
struct look {
	struct rec *r;			/* counted, and viewed; NULL: given up */
};

static int
look_gc(lua_State *L)
{
	struct look *k = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (k->r && s->c) {
		client_unview(s->c, k->r);
		client_drop(s->c, k->r);
	}
	k->r = NULL;
	return 0;
}

static struct look *
look_push(lua_State *L)
{
	struct look *k = lua_newuserdatauv(L, sizeof *k, 0);

	k->r = NULL;
	if (luaL_newmetatable(L, "rota.look")) {
		lua_pushcfunction(L, look_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return k;
}

/* of an object with buffers of its own: a buffer is made once, a long string once */
static int
arena_values(lua_State *L, struct rec *r, const struct value *v, unsigned as)
{
	struct script *s = script_of(L);
	struct enc_seg small[OBJ_VIEW_BUFS], *seg = small;
	struct dec_src src = { .nseg = v->view.nbuf };
	struct look *look;
	bool viewed = false;
	int top;
	bool single = v->nvals == 1 && v->view.nbuf == 1 && !(as & DEC_VIEWS), strings = as & DEC_STRINGS;
	int e;

	if (single) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, s->views);
		if (!strings && lua_rawgetp(L, -1, r) != LUA_TNIL) {
			lua_remove(L, -2);
			client_unview(s->c, r);
			return 1;
		}
		lua_pop(L, strings ? 1 : 2);
		if (strcache_push(L, &s->strings, v->view.id)) {
			client_unview(s->c, r);
			return 1;
		}
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
	src.viewed = &viewed;
	look = look_push(L);
	src.anchor = top = lua_gettop(L);
	if ((e = dec_values(L, v->p, v->n, v->nvals, &src, VAL_ALLOW_CODE | as)) < 0)
		lua_error(L);
	if (viewed) {
		client_retain(s->c, r);
		look->r = r;			/* the view is its from now on */
	} else {
		client_unview(s->c, r);
	}
	lua_remove(L, top);
	if (single && buffer_test(L, -1)) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, s->views);
		lua_pushvalue(L, -2);
		lua_rawsetp(L, -2, r);
		lua_pop(L, 1);
	} else if (single && !strings && lua_type(L, -1) == LUA_TSTRING) {
		strcache_add(L, &s->strings, v->view.id);
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

void
ref_await(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	bool blocked = s->sched && sched_blocking(s, true);
	int e;

	while ((e = client_wait(s->c, r, WAIT_FOREVER)) == -EINTR)
		script_interrupted(L);
	if (blocked)
		sched_blocking(s, false);
	if (e < 0)
		script_wait_failed(L, e);
}

int
ref_values(lua_State *L, struct rec *r, int anchor, bool all)
{
	struct script *s = script_of(L);
	unsigned as = (s->as_string ? DEC_STRINGS : 0) | (s->as_view ? DEC_VIEWS : 0);

	(void)anchor;
	struct value v;
	int n, e;

	s->as_string = s->as_view = false;
	if (ref_error(L, r))
		lua_error(L);
	while ((e = client_look(s->c, r, &v)) == -EAGAIN)
		ref_await(L, r);		/* it was lost, and is being made again */
	if (ref_error(L, r))
		lua_error(L);
	if (e < 0)
		script_raise(L, e, "%s", e != ERR_FULL && e != ERR_LOST ? script_why(s->c, e) : *client_full(s->c) ? client_full(s->c) :
		    "the object is gone: its owner died, or the node lost it");
	luaL_checkstack(L, (int)v.nvals + 8, "too many values");
	if (v.arena) {
		n = arena_values(L, r, &v, as);
		ref_charge(L, v.view.size);
	} else {
		if (dec_values(L, v.p, v.n, v.nvals, NULL, VAL_ALLOW_CODE | as) < 0)
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

static bool
among(const char *name, const char *const known[])
{
	for (unsigned i = 0; known[i]; i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return false;
}

void
script_options(lua_State *L, int idx, const char *call, const char *const known[])
{
	if (!lua_istable(L, idx))
		return;
	idx = lua_absindex(L, idx);
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING && among(lua_tostring(L, -2), known))
			continue;
		lua_getglobal(L, "require");		/* it says what is wrong, with the nearest name */
		lua_pushliteral(L, "rota.options");
		lua_call(L, 1, 1);
		lua_pushstring(L, call);
		lua_pushvalue(L, idx);
		lua_call(L, 2, 0);
	}
}

/* the error of a wait for r that was too short */
static void
push_late(lua_State *L, struct rec *r)
{
	const char *name = client_task_name(script_of(L)->c, r);

	lua_pushfstring(L, name ? "timed out: task %s has not ended" : "timed out", name);
	errobj_push(L, ERR_TIMEOUT, lua_tostring(L, -1));
	lua_remove(L, -2);
}

static _Noreturn void
raise_late(lua_State *L, struct rec *r)
{
	push_late(L, r);
	lua_error(L);
	__builtin_unreachable();
}

/* raises for what a wait may end with but readiness */
void
script_wait_failed(lua_State *L, int e)
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
int
script_wait_until(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
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
		blocked = sched_block_here(L);
	while ((e = client_wait(s->c, r, deadline)) == -EINTR)
		script_interrupted(L);
	if (blocked)
		sched_blocking(s, false);
	if (e < 0 && e != -ETIMEDOUT)
		script_wait_failed(L, e);
	return e;
}

#define ROOM_NS 2000000u		/* a suspended task looks again */

void
script_room(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	struct script *s = script_of(L);
	bool blocked;
	int e;

	if (sched_can_suspend(L))
		sched_suspend(L, NULL, clock_ns() + ROOM_NS, ctx, k);	/* it yields */
	blocked = sched_blocking(s, true);
	while ((e = client_room(s->c, WAIT_FOREVER)) == -EINTR)
		script_interrupted(L);
	if (blocked)
		sched_blocking(s, false);
	if (e < 0)
		script_wait_failed(L, e);
}

void
script_wait(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
{
	if (script_wait_until(L, r, deadline, ctx, k) < 0)
		raise_late(L, r);
}

/* --- get, pget --------------------------------------------------------------------------------------------------- */

/* stack: x, opts, deadline (integer bits), result, errors, key */
enum { GET_X = 1, GET_OPTS, GET_DEADLINE, GET_RESULT, GET_ERRS, GET_KEY };

static uint64_t
deadline_at(lua_State *L)
{
	return (uint64_t)lua_tointeger(L, GET_DEADLINE);
}

/* ref_values as the options of this get have it */
static int
values(lua_State *L, struct rec *r, int anchor, bool all)
{
	if (lua_istable(L, GET_OPTS)) {
		script_of(L)->as_string = lua_getfield(L, GET_OPTS, "as") != LUA_TNIL;
		lua_pop(L, 1);
	}
	return ref_values(L, r, anchor, all);
}

static int
value_of(lua_State *L)				/* (ref, options): the first value, or it raises */
{
	return values(L, ref_check(L, GET_X), GET_X, false);
}

static bool
is_at_hand(const struct rec *r)			/* its value needs no other object: reading it cannot fail */
{
	return r->kind < REC_ARENA && !rec_flags(r, REC_REFS);
}

/* for pget: what lies in the store may turn out to be lost when it is looked at.  The value, true; or the error, false */
static bool
try_value(lua_State *L, struct rec *r, int ref)
{
	if (is_at_hand(r))
		return values(L, r, ref, false) == 1;
	ref = lua_absindex(L, ref);
	lua_pushcfunction(L, value_of);
	lua_pushvalue(L, ref);
	lua_pushvalue(L, GET_OPTS);
	return lua_pcall(L, 2, 1, 0) == LUA_OK;
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
		return values(L, r, GET_X, true);
	}
	if (script_wait_until(L, r, deadline_at(L), protect, get_one_k) < 0) {
		lua_pushnil(L);
		push_late(L, r);
		return 2;
	}
	if (ref_error(L, r)) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	lua_pushnil(L);
	if (try_value(L, r, GET_X))
		lua_insert(L, -2);
	return 2;
}

/* the error of a reference that is waited for no longer, on the stack */
static bool
failed(lua_State *L, struct rec *r)
{
	if (rec_is_ready(r))
		return ref_error(L, r);
	push_late(L, r);
	return true;
}

/* the future of a compiled graph at idx: its first value or nil, true; the error of it or of a wait that was too short, false */
static bool
future(lua_State *L, int idx)
{
	int n;

	idx = lua_absindex(L, idx);
	if (dag_future_await(L, idx, deadline_at(L)) < 0) {
		dag_future_late(L);
		return false;
	}
	if ((n = dag_future_values(L, idx)) < 0)
		return false;
	lua_settop(L, lua_gettop(L) - n + 1);		/* none: nil */
	return true;
}

/* key and value, or key and error, on the stack */
static void
keep(lua_State *L, bool fine)
{
	if (!fine && lua_isnil(L, GET_ERRS)) {
		lua_newtable(L);
		lua_replace(L, GET_ERRS);
	}
	lua_rawset(L, fine ? GET_RESULT : GET_ERRS);
}

/* the element at GET_KEY: its value, or with protect its error, goes to the same key; what is no reference passes through */
static void
one(lua_State *L, bool protect)
{
	struct rec *r;

	lua_settop(L, GET_KEY);
	lua_pushvalue(L, GET_KEY);
	lua_pushvalue(L, GET_KEY);
	lua_rawget(L, GET_X);				/* key, element */
	if (!(r = ref_test(L, -1))) {
		bool is = dag_future_test(L, -1), fine = !is || future(L, -1);

		if (!fine && !protect)
			lua_error(L);
		if (is)
			lua_remove(L, -2);
		keep(L, fine);
		return;
	}
	if (script_wait_until(L, r, deadline_at(L), protect, get_all_k) < 0 && !protect)
		raise_late(L, r);
	if (!protect || !failed(L, r)) {
		bool fine = true;

		if (protect)
			fine = try_value(L, r, GET_KEY + 2);
		else
			values(L, r, GET_KEY + 2, false);
		lua_remove(L, -2);
		keep(L, fine);
	} else {
		lua_remove(L, -2);			/* key, error */
		keep(L, false);
	}
}

/* a table: the list first, in order and fast; then its other keys.  A yield comes back here: GET_KEY is still to be done. */
static int
get_all_k(lua_State *L, int status, lua_KContext protect)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, GET_X), i = 1;

	(void)status;
	lua_settop(L, GET_KEY);
	if (!lua_isnil(L, GET_KEY)) {
		one(L, protect);
		i = lua_isinteger(L, GET_KEY) ? lua_tointeger(L, GET_KEY) + 1 : n + 1;
	}
	for (; i <= n; i++) {
		struct rec *r;

		lua_rawgeti(L, GET_X, i);
		if ((r = ref_test(L, -1)) && rec_is_ready(r) && !rec_flags(r, REC_ERROR) && (!protect || is_at_hand(r))) {
			values(L, r, GET_KEY + 1, false);
			lua_rawseti(L, GET_RESULT, i);
			lua_settop(L, GET_KEY);
			continue;
		}
		lua_pushinteger(L, i);
		lua_replace(L, GET_KEY);
		one(L, protect);
		if (i == n)				/* lua_next goes on from here */
			break;
	}
	if (n > 0 && (lua_isnil(L, GET_KEY) || lua_isinteger(L, GET_KEY))) {
		lua_pushinteger(L, n);
		lua_replace(L, GET_KEY);
	}
	lua_settop(L, GET_KEY);
	while (lua_next(L, GET_X)) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);			/* the key, once for GET_KEY */
		one(L, protect);
		lua_settop(L, GET_KEY);
	}
	lua_settop(L, protect ? GET_ERRS : GET_RESULT);
	return protect ? 2 : 1;
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
get(lua_State *L, int protect)
{
	static const char *const known[] = { "timeout", "as", "errors", NULL }, *const errors[] = { "raise", "return", NULL };
	uint64_t deadline;
	lua_Integer n;

	script_client(L);
	if (!protect && lua_gettop(L) == 1) {		/* the straight path */
		struct rec *r = ref_test(L, 1);

		if (r && rec_is_ready(r))
			return ref_values(L, r, 1, true);
	}
	deadline = script_deadline(L, GET_OPTS);
	if (lua_istable(L, GET_OPTS)) {
		script_options(L, GET_OPTS, "get", known);
		if (lua_getfield(L, GET_OPTS, "errors") != LUA_TNIL)
			protect = luaL_checkoption(L, -1, NULL, errors);
		lua_pop(L, 1);
		if (lua_getfield(L, GET_OPTS, "as") != LUA_TNIL)
			luaL_argcheck(L, strcmp(luaL_checkstring(L, -1), "string") == 0, GET_OPTS, "'as' is 'string', or nothing");
		lua_pop(L, 1);
	}
	lua_settop(L, GET_OPTS);
	lua_pushinteger(L, (lua_Integer)deadline);
	if (ref_is(L, GET_X))
		return get_one_k(L, LUA_OK, protect);
	if (dag_future_test(L, GET_X)) {
		if (!protect)
			return dag_future_get(L, GET_X, deadline);
		lua_pushnil(L);
		if (future(L, GET_X))
			lua_insert(L, -2);
		return 2;
	}
	if (luaL_testudata(L, GET_X, "rota.waitset"))
		set_to_list(L);
	if (!lua_istable(L, GET_X))
		return luaL_typeerror(L, GET_X, "a reference, or a table of them");
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
