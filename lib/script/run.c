/*
 * run - the pieces of running a task: a coroutine, its function, its outcome.
 */
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include "ring/rec.h"
#include "script/func.h"
#include "script/l_dag.h"
#include "script/run.h"

/* --- coroutines ------------------------------------------------------------------------------------------------ */

lua_State *
run_co_take(struct script *s, int *ref)
{
	struct sched *d = s->sched;
	lua_State *co;

	if (d->npool) {
		d->npool--;
		*ref = d->pool[d->npool].ref;
		return d->pool[d->npool].co;
	}
	co = lua_newthread(s->L);
	*ref = luaL_ref(s->L, LUA_REGISTRYINDEX);
	return co;
}

void
run_co_give(struct script *s, lua_State *co, int ref)
{
	struct sched *d = s->sched;

	if (d->npool == COPOOL || lua_status(co) != LUA_OK || lua_gethook(co)) {
		luaL_unref(s->L, LUA_REGISTRYINDEX, ref);
		return;
	}
	lua_settop(co, 0);
	d->pool[d->npool].co = co;
	d->pool[d->npool++].ref = ref;
}

#define WITH "rota.functions"	/* registry: function -> what came with it */

/* --- functions ----------------------------------------------------------------------------------------------------- */

/* function, table below the top: what the worker must know of the function goes to the registry; leaves the function */
static void
note(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, WITH);
	lua_pushvalue(L, -3);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

/* pushes the function with these bytes onto L: one instance per worker */
static int
load_by_hash(lua_State *L, struct script *s, const struct task_in *t)
{
	const unsigned char *p = serve_code(s->c, t);
	int e;

	lua_rawgeti(L, LUA_REGISTRYINDEX, s->sched->by_hash);
	lua_pushlstring(L, (const char *)t->fn.hash, sizeof t->fn.hash);
	lua_pushvalue(L, -1);
	if (lua_rawget(L, -3) != LUA_TNIL) {
		lua_replace(L, -3);
		lua_pop(L, 1);
		return 0;
	}
	lua_pop(L, 1);
	if (!p) {
		lua_pop(L, 2);
		lua_pushliteral(L, "the function's bytes lie outside its submitter's slab");
		return ERR_PROTO;
	}
	lua_pushlstring(L, (const char *)p, t->fn.len);	/* a private copy: what is parsed does not change */
	p = (const unsigned char *)lua_tostring(L, -1);
	if ((e = dec_values(L, p, t->fn.len, t->fn.kind == FN_LUA_WITH ? 2 : 1, NULL, VAL_ALLOW_CODE)) < 0) {
		lua_replace(L, -4);			/* the message */
		lua_pop(L, 2);
		return e;
	}
	if (t->fn.kind == FN_LUA_WITH)
		note(L);
	lua_remove(L, -2);				/* the bytes */
	lua_pushvalue(L, -1);
	lua_insert(L, -4);				/* fn, table, hash, fn */
	lua_rawset(L, -3);
	lua_pop(L, 1);
	return 0;
}

bool
run_counted(lua_State *co)
{
	lua_Integer most, n;
	int top = lua_gettop(co);

	luaL_getsubtable(co, LUA_REGISTRYINDEX, WITH);
	lua_pushvalue(co, top);
	if (lua_rawget(co, -2) != LUA_TTABLE || lua_getfield(co, -1, "max_calls") == LUA_TNIL) {
		lua_settop(co, top);
		return false;
	}
	most = lua_tointeger(co, -1);
	lua_getfield(co, -2, "calls");
	n = lua_tointeger(co, -1) + 1;
	lua_pushinteger(co, n);
	lua_setfield(co, -4, "calls");
	lua_settop(co, top);
	return n == most;
}

static int
method(lua_State *L, struct script *s, const struct task_in *t)
{
	const unsigned char *p = serve_code(s->c, t);

	if (s->sched->class == LUA_NOREF || !p) {
		lua_pushliteral(L, "this worker is no actor");
		return ERR_ACTOR_DIED;
	}
	if (t->fn.len == sizeof DAG_METHOD - 1 && memcmp(p, DAG_METHOD, t->fn.len) == 0) {
		lua_pushcfunction(L, dag_attach);
		return 0;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->sched->class);
	lua_pushlstring(L, (const char *)p, t->fn.len);
	lua_gettable(L, -2);
	lua_remove(L, -2);
	if (lua_isfunction(L, -1))
		return 0;
	lua_pop(L, 1);
	lua_pushfstring(L, "the actor has no method '%s'", t->fn.name);
	return ERR_TASK;
}

/* pushes the function of t onto co: 0, or negative with the message pushed */
int
run_function(lua_State *co, struct script *s, const struct task_in *t)
{
	unsigned i = (t->rec.fn ^ t->proc * 31u) % FNCACHE;
	int e;

	if (s->sched->cache[i].serial == t->fn.serial && s->sched->cache[i].proc == t->proc &&
	    s->sched->cache[i].unit == t->rec.fn) {
		lua_rawgeti(co, LUA_REGISTRYINDEX, s->sched->cache[i].fn);
		return 0;
	}
	e = t->fn.kind == FN_METHOD ? method(co, s, t) : load_by_hash(co, s, t);
	if (e < 0)
		return e;
	if (s->sched->cache[i].serial)
		luaL_unref(co, LUA_REGISTRYINDEX, s->sched->cache[i].fn);
	lua_pushvalue(co, -1);
	s->sched->cache[i].fn = luaL_ref(co, LUA_REGISTRYINDEX);
	s->sched->cache[i].serial = t->fn.serial;
	s->sched->cache[i].proc = t->proc;
	s->sched->cache[i].unit = t->rec.fn;
	return 0;
}

/* --- outcomes -------------------------------------------------------------------------------------------------------- */

static void
set_field(lua_State *L, const char *name, const char *v)
{
	if (lua_getfield(L, -1, name) == LUA_TNIL) {
		lua_pushstring(L, v);
		lua_setfield(L, -3, name);
	}
	lua_pop(L, 1);
}

/* is the error object on top of co one that its task wants to be tried again for? */
static bool
wants_retry(struct script *s, const struct task_in *t, lua_State *co)
{
	lua_State *L = s->L;			/* co has failed: nothing runs there any more */
	int top = lua_gettop(L), type;
	bool yes = false;

	if (!lua_checkstack(L, 10))
		return false;
	lua_pushvalue(co, -1);
	lua_xmove(co, L, 1);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, WITH);
	if (run_function(L, s, t) < 0 || lua_rawget(L, top + 2) != LUA_TTABLE)
		goto out;
	if ((type = lua_getfield(L, -1, "retry_on")) == LUA_TFUNCTION) {
		lua_pushvalue(L, top + 1);
		if (lua_pcall(L, 1, 1, 0) == LUA_OK)
			yes = lua_toboolean(L, -1);
		else
			fprintf(stderr, "rota: task %s: its retry_on failed: %s\n", t->fn.name, luaL_tolstring(L, -1, NULL));
	} else if (type == LUA_TTABLE) {		/* the code of the error, or of what was raised: error{code="busy"} */
		lua_getfield(L, top + 1, "code");
		yes = lua_gettable(L, -2) != LUA_TNIL;
		if (lua_getfield(L, top + 1, "value") == LUA_TTABLE && lua_getfield(L, -1, "code") != LUA_TNIL)
			yes |= lua_gettable(L, -4) != LUA_TNIL;
	}
out:
	lua_settop(L, top);
	return yes;
}

/* what was raised lies on top of co: alone there it is an error object, once to-be-closed variables are closed */
void
run_close(struct script *s, lua_State *co)
{
	if (lua_type(co, -1) == LUA_TSTRING)
		func_hint(co, -1);
	luaL_traceback(co, co, NULL, 0);
	errobj_wrap(co, -2, lua_tostring(co, -1));
	luaL_checkstack(s->L, 1, NULL);
	lua_xmove(co, s->L, 1);
	lua_pop(co, 1);
	lua_resetthread(co);			/* its handlers get what is on top: the error */
	lua_settop(co, 0);
	lua_xmove(s->L, co, 1);
}

/* the raised value on top of co becomes the task's outcome */
void
run_fail(struct script *s, struct task_in *t, lua_State *co, int code)
{
	struct payload p;
	struct seg segs[1];
	unsigned retry;
	bool had = errobj_test(co, -1);

	(void)segs;
	if (lua_type(co, -1) == LUA_TSTRING)
		func_hint(co, -1);
	luaL_traceback(co, co, NULL, 0);
	errobj_wrap(co, -2, lua_tostring(co, -1));
	if (code != ERR_TASK && !had) {
		lua_pushstring(co, err_word(code));
		lua_setfield(co, -2, "code");
	}
	set_field(co, "task", t->fn.name);
	set_field(co, "node", (const char *)client_welcome(s->c)->node_name.p);
	if (lua_getfield(co, -1, "attempt") == LUA_TNIL) {
		lua_pushinteger(co, t->rec.attempt + 1);
		lua_setfield(co, -3, "attempt");
	}
	lua_pop(co, 1);
	retry = t->fn.kind == FN_LUA_WITH && wants_retry(s, t, co) ? PAYLOAD_RETRY : 0;
	s->enc.flags = ENC_INLINE;
	if (enc_values(co, &s->enc, -1, -1, "error") < 0 || s->enc.b.len > REC_BLOCK_MAX) {
		const char *msg;

		lua_settop(co, 0);
		msg = "the error itself cannot travel";
		errobj_push(co, ERR_TASK, msg);
		enc_values(co, &s->enc, -1, -1, "error");
	}
	p = (struct payload){ s->enc.b.data, s->enc.b.len, 1, PAYLOAD_ERROR | retry, NULL, 0 };
	serve_done(s->c, t, &p, 0, false);
	enc_forget(co, &s->enc);
}

static int
encode(struct script *s, lua_State *co, int first, int last, const char *what, struct payload *p, struct seg *segs)
{
	int e;

	s->enc.flags = 0;
	if ((e = enc_values(co, &s->enc, first, last, what)) < 0)
		return e;
	if (s->enc.nseg > SCRIPT_SEGS) {
		s->enc.flags = ENC_INLINE;
		if ((e = enc_values(co, &s->enc, first, last, what)) < 0)
			return e;
	}
	for (unsigned i = 0; i < s->enc.nseg; i++)
		segs[i] = (struct seg){ s->enc.seg[i].p, s->enc.seg[i].n };
	*p = (struct payload){ s->enc.b.data, s->enc.b.len, s->enc.nvals,
	    s->enc.flags & ENC_REFS ? PAYLOAD_REFS : 0, segs, s->enc.nseg };
	return 0;
}

int
run_item(struct script *s, struct task_in *t, lua_State *co, int nres)
{
	struct seg segs[SCRIPT_SEGS];
	struct payload p;
	int top = lua_gettop(co), e;

	if (serve_item_gone(t)) {
		lua_pop(co, nres);
		lua_pushliteral(co, "the process that takes what is yielded is gone");
		return ERR_CANCELLED;
	}
	if (serve_item_old(t)) {
		t->item++;
		lua_pop(co, nres);
		return 0;
	}
	if ((e = encode(s, co, top - nres + 1, top, "item", &p, segs)) < 0)
		return e;
	e = serve_item(s->c, t, &p);
	enc_forget(co, &s->enc);
	lua_pop(co, nres);
	if (e < 0)
		lua_pushstring(co, script_why(s->c, e));
	return e;
}

static int
publish(struct script *s, struct task_in *t, lua_State *co, int first, int last, uint32_t ret, bool part)
{
	struct seg segs[SCRIPT_SEGS];
	struct payload p;
	int e;

	if ((e = encode(s, co, first, last, "result", &p, segs)) < 0)
		return e;
	e = serve_done(s->c, t, &p, ret, part);
	enc_forget(co, &s->enc);
	if (e < 0)
		lua_pushstring(co, script_why(s->c, e));
	return e;
}

void
run_results(struct script *s, struct task_in *t, lua_State *co, int nres)
{
	int top = lua_gettop(co), first = top - nres + 1, e = 0;

	if (t->stream && serve_item_old(t)) {
		lua_pushfstring(co, "the stream ended after %I items when it was run again: %I had come before", (LUAI_UACINT)t->item,
		    (LUAI_UACINT)t->skip);
		e = ERR_TASK;
	} else if (t->fn.nret <= 1) {
		e = publish(s, t, co, first, top, 0, false);
	} else {
		for (int i = 0; i < t->fn.nret && e == 0; i++) {
			if (first + i > top)
				lua_pushnil(co);
			e = publish(s, t, co, first + i, first + i, (uint32_t)i + 1, true);
		}
		if (e == 0)
			e = publish(s, t, co, 1, 0, 0, false);
	}
	if (e < 0)
		run_fail(s, t, co, e);
}
