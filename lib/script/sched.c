/*
 * sched - suspension: rota.get and its sisters yield from any depth of the user's own coroutines.
 *
 * A yield of ours carries one light userdata, TAG.  coroutine.resume and wrap of a worker pass such yields outward and
 * the resumption inward, so the user's resumer never sees them.  What is waited for lies in struct sched, set just
 * before the yield.  Where Lua cannot yield the thread blocks, and the worker counts as blocked.
 */
#include <stdio.h>
#include <string.h>
#include "script/sched.h"
#include "script/script.h"

static char tag;
#define TAG ((void *)&tag)

bool
sched_can_suspend(lua_State *L)
{
	struct script *s = script_of(L);

	if (s->watched)
		script_callbacks(L);
	if (!s->sched || !s->sched->running)
		return false;
	cancel_check(L);
	return lua_isyieldable(L);
}

int
sched_suspend_set(lua_State *L, struct waitset *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
{
	script_of(L)->sched->want_set = w;
	return sched_suspend(L, NULL, deadline, ctx, k);
}

int
sched_suspend(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k)
{
	struct sched *d = script_of(L)->sched;

	d->want = r;
	d->deadline = deadline;
	lua_pushlightuserdata(L, TAG);
	return lua_yieldk(L, 1, ctx, k);
}

bool
sched_tagged(lua_State *co, int nres)
{
	return nres == 1 && lua_touserdata(co, -1) == TAG;
}

bool
sched_blocking(struct script *s, bool on)
{
	if (!s->sched)
		return false;
	s->sched->blocked = on;
	serve_block(s->c, on);
	return true;
}

/* told once: the author of the actor cannot see that its other calls stand still */
bool
sched_block_here(lua_State *L)
{
	struct script *s = script_of(L);
	struct sched *d = s->sched;

	if (d && d->several && d->running && !d->warned) {
		d->warned = true;
		luaL_traceback(L, L, NULL, 0);
		fprintf(stderr, "rota: method '%s' waits where Lua cannot yield: the actor's other calls stand still meanwhile "
		    "(said once)\n%s\n", d->running->fn.name, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	return sched_blocking(s, true);
}

/* a yield of ours came to where it cannot pass: what is wanted is waited for right here */
static void
wait_here(lua_State *L)
{
	struct script *s = script_of(L);
	struct rec *r = s->sched->want;
	struct waitset *w = s->sched->want_set;
	bool blocked = sched_block_here(L);

	s->sched->want_set = NULL;
	if (w)
		waitset_await(s->c, w, s->sched->deadline);
	else if (r)
		client_wait(s->c, r, s->sched->deadline);
	else
		client_nap(s->c, s->sched->deadline);
	if (blocked)
		sched_blocking(s, false);
}

/* --- coroutine.resume and wrap ------------------------------------------------------------------------------ */

enum { RESUME, WRAP };

static int resume_k(lua_State *L, int status, lua_KContext kind);

static int
failed(lua_State *L, lua_State *co, lua_KContext kind)
{
	if (kind == RESUME) {
		lua_pushboolean(L, 0);
		lua_xmove(co, L, 1);
		return 2;
	}
	if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD && lua_resetthread(co) != LUA_OK)
		lua_settop(co, lua_gettop(co));
	lua_xmove(co, L, 1);
	if (lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int
go(lua_State *L, lua_State *co, int narg, lua_KContext kind)
{
	for (;;) {
		int nres, status = cancel_resume(script_of(L), co, L, narg, &nres);

		if (status == LUA_YIELD && sched_tagged(co, nres)) {
			lua_pop(co, 1);
			narg = 0;
			if (lua_isyieldable(L)) {
				lua_pushlightuserdata(L, TAG);
				return lua_yieldk(L, 1, kind, resume_k);
			}
			wait_here(L);
			continue;
		}
		if (status != LUA_OK && status != LUA_YIELD)
			return failed(L, co, kind);
		if (!lua_checkstack(L, nres + 1)) {
			lua_pop(co, nres);
			lua_pushliteral(co, "too many results to resume");
			return failed(L, co, kind);
		}
		if (kind == RESUME)
			lua_pushboolean(L, 1);
		lua_xmove(co, L, nres);
		return kind == RESUME ? nres + 1 : nres;
	}
}

static lua_State *
target(lua_State *L, lua_KContext kind)
{
	return lua_tothread(L, kind == WRAP ? lua_upvalueindex(1) : 1);
}

static int
resume_k(lua_State *L, int status, lua_KContext kind)
{
	(void)status;
	return go(L, target(L, kind), 0, kind);
}

static int
start(lua_State *L, lua_KContext kind, int first)
{
	lua_State *co = target(L, kind);
	int narg = lua_gettop(L) - first + 1;

	if (!lua_checkstack(co, narg)) {
		lua_pushliteral(L, "too many arguments to resume");
		lua_xmove(L, co, 1);
		return failed(L, co, kind);
	}
	if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
		lua_pushliteral(co, "cannot resume dead coroutine");
		return failed(L, co, kind);
	}
	lua_xmove(L, co, narg);
	return go(L, co, narg, kind);
}

static int
l_resume(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTHREAD);
	return start(L, RESUME, 2);
}

static int
l_wrapped(lua_State *L)
{
	return start(L, WRAP, 1);
}

static int
l_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, l_wrapped, 1);
	return 1;
}

void
sched_open_coroutine(lua_State *L)
{
	lua_getglobal(L, "coroutine");
	lua_pushcfunction(L, l_resume);
	lua_setfield(L, -2, "resume");
	lua_pushcfunction(L, l_wrap);
	lua_setfield(L, -2, "wrap");
	lua_pop(L, 1);
}
