/*
 * l_stream - streams in Lua: "rota.stream" userdata, what a call of a task or method with stream=true gives.
 *
 * A stream is an iterator over references; s:each() iterates over the values themselves, which costs a third.
 */
#include "base/clock.h"
#include "client/stream.h"
#include "ring/rec.h"
#include "script/script.h"

struct lstream {
	struct rec *r;			/* of the call, counted */
	struct stream *s;
	bool told;			/* the error that ended it was handed out */
};

int
stream_push(lua_State *L, struct rec *r)
{
	struct script *s = script_of(L);
	struct lstream *u = lua_newuserdatauv(L, sizeof *u, 0);

	s->made = true;
	*u = (struct lstream){ .r = r, .s = client_stream(s->c, r) };
	luaL_setmetatable(L, "rota.stream");
	if (!u->s)				/* no memory for it: the call has failed */
		script_raise(L, ERR_FULL, "not enough memory for a stream");
	return 1;
}

static struct lstream *
test(lua_State *L, int idx)			/* cheaper than fetching the metatable by its name: each item asks */
{
	void *u = lua_touserdata(L, idx);
	bool is;

	if (!u || !lua_getmetatable(L, idx))
		return NULL;
	is = lua_topointer(L, -1) == script_of(L)->is_stream;
	lua_pop(L, 1);
	return is ? u : NULL;
}

struct rec *
stream_test(lua_State *L, int idx)
{
	struct lstream *u = test(L, idx);

	return u ? u->r : NULL;
}

static struct lstream *
check(lua_State *L, int arg)
{
	struct lstream *u = test(L, arg);

	if (!u)
		luaL_typeerror(L, arg, "stream");
	return u;
}

struct rec *
stream_head(lua_State *L, int idx)
{
	struct lstream *u = check(L, idx);
	struct rec *r;

	if (!(r = client_stream_head(script_of(L)->c, u->s)))
		luaL_error(L, "not enough memory");
	return r;
}

/* an item, the error that ended the stream once, or the end: as client_stream_next.  It yields where it can. */
static int
take(lua_State *L, struct lstream *u, bool as_rec, uint64_t deadline, struct rec **r, struct value *v, lua_KFunction k)
{
	struct client *c = script_of(L)->c;
	int e;

	for (;;) {
		if ((e = client_stream_next(c, u->s, as_rec, r, v)) == ERR_CLOSED && u->r->flags & REC_ERROR && !u->told) {
			u->told = true;
			client_retain(c, *r = u->r);
			return 1;
		}
		if (e == 0)
			e = script_wait_until(L, stream_head(L, 1), deadline, 0, k);
		if (e == 1 || e == ERR_CLOSED || e == -ETIMEDOUT)
			return e;
		if (e < 0)
			script_wait_failed(L, e);
	}
}

/* --- references ------------------------------------------------------------------------------------------------- */

static int
next_k(lua_State *L, int status, lua_KContext ctx)
{
	struct value v;
	struct rec *r;
	int e = take(L, check(L, 1), true, (uint64_t)lua_tointeger(L, 2), &r, &v, next_k);

	(void)status, (void)ctx;
	if (e == 1) {
		ref_push(L, r);
		return 1;
	}
	luaL_pushfail(L);
	lua_pushstring(L, e == -ETIMEDOUT ? "timeout" : "end");
	return 2;
}

static int
l_next(lua_State *L)				/* s:next([timeout]) -> ref; nil, "end"; nil, "timeout" */
{
	uint64_t d = script_deadline(L, 2);

	lua_settop(L, 1);
	lua_pushinteger(L, (lua_Integer)d);
	return next_k(L, LUA_OK, 0);
}

static int
l_call(lua_State *L)				/* for ref in s do: the call has state and control after the stream */
{
	check(L, 1);
	lua_settop(L, 1);
	lua_pushinteger(L, (lua_Integer)WAIT_FOREVER);
	return next_k(L, LUA_OK, 0);
}

/* --- values -------------------------------------------------------------------------------------------------------- */

static int
each_k(lua_State *L, int status, lua_KContext ctx)
{
	struct lstream *u = lua_touserdata(L, 1);
	struct value v;
	struct rec *r;
	lua_Integer i;

	(void)status, (void)ctx;
	if (take(L, u, false, WAIT_FOREVER, &r, &v, each_k) != 1) {
		lua_pushnil(L);
		return 1;
	}
	i = (lua_Integer)client_stream_taken(u->s);
	if (!r) {
		lua_pushinteger(L, i);
		luaL_checkstack(L, (int)v.nvals + 8, "too many values");
		if (dec_values(L, v.p, v.n, v.nvals, NULL, VAL_ALLOW_CODE) < 0)
			return lua_error(L);
		return 1 + (int)v.nvals;
	}
	ref_push(L, r);				/* it may raise, and the values may need it */
	lua_pushinteger(L, i);
	return 1 + ref_values(L, r, 3, true);
}

static int
l_each_next(lua_State *L)
{
	check(L, 1);
	lua_settop(L, 1);
	return each_k(L, LUA_OK, 0);
}

static int
l_each(lua_State *L)				/* for i, v, … in s:each() do; left early, the loop closes the stream */
{
	check(L, 1);
	lua_settop(L, 1);
	lua_pushcfunction(L, l_each_next);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	lua_pushvalue(L, 1);
	return 4;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

static int
l_close(lua_State *L)				/* s:close(): no more items are wanted */
{
	struct lstream *u = check(L, 1);
	struct script *s = script_of(L);

	if (!u->r || !s->c)
		return 0;
	if (!u->told && rec_is_ready(u->r) && rec_flags(u->r, REC_ERROR))
		ref_failed_notice(L, u->r);
	u->told = true;
	client_stream_close(s->c, u->s);
	return 0;
}

static int
l_gc(lua_State *L)
{
	struct lstream *u = check(L, 1);

	if (u->s)
		l_close(L);
	if (u->r && script_of(L)->c)
		client_drop(script_of(L)->c, u->r);
	u->r = NULL;
	return 0;
}

static int
l_result(lua_State *L)				/* s:result() -> ref of what the function returns, ready when the stream has ended */
{
	struct lstream *u = check(L, 1);

	client_retain(script_of(L)->c, u->r);
	ref_push(L, u->r);
	return 1;
}

static int
l_tostring(lua_State *L)
{
	struct lstream *u = check(L, 1);
	const char *fn = u->r ? client_task_name(script_of(L)->c, u->r) : NULL;

	lua_pushfstring(L, fn ? "stream (task %s)" : "stream", fn);
	return 1;
}

static int
l_is(lua_State *L)				/* is_stream(x) */
{
	lua_pushboolean(L, test(L, 1) != NULL);
	return 1;
}

const luaL_Reg stream_functions[] = { { "is_stream", l_is }, { NULL, NULL } };

void
stream_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__gc", l_gc }, { "__close", l_close }, { "__tostring", l_tostring },
	    { "__call", l_call }, { NULL, NULL } };
	static const luaL_Reg methods[] = { { "next", l_next }, { "each", l_each }, { "close", l_close }, { "free", l_close }, { "result", l_result },
	    { "cancel", l_cancel }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.stream");
	script_of(L)->is_stream = lua_topointer(L, -1);
	luaL_setfuncs(L, meta, 0);
	script_seal(L);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
