/*
 * l_task - tasks: "rota.task" userdata.  The function is captured at the first call, then frozen.
 *
 * User value 1: the function; 2: the table of options (normalised by lua/rota/options.lua) or nil.
 */
#include <string.h>
#include "core/retry.h"
#include "script/func.h"
#include "script/script.h"
#include "wire/le.h"

struct ltask {
	struct fn *fn;			/* NULL until the first call */
	unsigned returns;
	bool stream;
	bool noblock;			/* block=false: no room for another one raises */
};

static struct ltask *
task_test(lua_State *L, int idx)
{
	struct script *s = script_of(L);
	struct ltask *t = lua_touserdata(L, idx);
	bool is;

	if (!t || lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
		return NULL;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->mt_task);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is ? t : NULL;
}

static lua_Number
number(lua_State *L, int idx, const char *name, lua_Number none)
{
	lua_Number v = none;

	if (lua_getfield(L, idx, name) != LUA_TNIL)
		v = lua_tonumber(L, -1);
	lua_pop(L, 1);
	return v;
}

void
task_opts_check(lua_State *L, int idx, struct task_opts *o)
{
	idx = lua_absindex(L, idx);
	o->cpus = (uint32_t)(number(L, idx, "cpus", o->cpus / 1000.) * 1000 + .5);
	if (lua_getfield(L, idx, "cpus") != LUA_TNIL)
		o->threads = o->cpus <= 1000 ? 1 : o->cpus / 1000;
	lua_pop(L, 1);
	o->gpus = (uint32_t)(number(L, idx, "gpus", 0) * 1000 + .5);
	o->memory = (uint64_t)number(L, idx, "memory", 0);
	o->retries = (int)number(L, idx, "retries", o->retries);
	switch (lua_getfield(L, idx, "retry_on")) {
	case LUA_TSTRING:
		o->retry_on = strcmp(lua_tostring(L, -1), "error") == 0 ? RETRY_CRASH | RETRY_ERROR : RETRY_CRASH;
		break;
	case LUA_TFUNCTION:
		o->retry_on = RETRY_CRASH | RETRY_ASK;
		break;
	case LUA_TTABLE:
		o->retry_on = RETRY_ASK | (lua_getfield(L, -1, "crashed") != LUA_TNIL ? RETRY_CRASH : 0);
		lua_pop(L, 1);
		break;
	}
	lua_pop(L, 1);
	o->returns = (unsigned)number(L, idx, "returns", 0);
	o->backlog = (uint64_t)number(L, idx, "backlog", 0);
	lua_getfield(L, idx, "stream");
	o->stream = lua_toboolean(L, -1);
	lua_pop(L, 1);
	o->timeout = (uint64_t)(number(L, idx, "timeout", 0) * 1e9);
	o->priority = (int8_t)number(L, idx, "priority", 0);
	lua_getfield(L, idx, "wait");
	o->wait = lua_toboolean(L, -1);
	lua_pop(L, 1);
	if (lua_getfield(L, idx, "group") == LUA_TSTRING && lua_rawlen(L, -1) == 16) {	/* a method's is another one */
		const char *p = lua_tostring(L, -1);

		o->group = (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
		o->bundle = (unsigned)number(L, idx, "bundle", 0);
		lua_getfield(L, idx, "capture");
		o->capture = lua_toboolean(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	if (lua_getfield(L, idx, "strategy") == LUA_TSTRING)
		o->spread = strcmp(lua_tostring(L, -1), "spread") == 0;
	lua_pop(L, 1);
	if (lua_getfield(L, idx, "on") == LUA_TSTRING)		/* the options' table keeps it alive */
		o->on = lua_tostring(L, -1);
	lua_pop(L, 1);
	if (lua_getfield(L, idx, "resources") == LUA_TSTRING)	/* encoded; the options' table keeps it alive */
		o->resources = (const unsigned char *)lua_tolstring(L, -1, &o->nresources);
	lua_pop(L, 1);
}

static void
task_name(lua_State *L, int task, char *name, size_t n)
{
	const char *given = NULL;

	lua_getiuservalue(L, task, 2);
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "name");
		given = lua_tostring(L, -1);
		lua_remove(L, -2);
	}
	if (!given) {
		lua_pop(L, 1);
		lua_getiuservalue(L, task, 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			cfunc_name(L, -1);
		else
			func_name(L, -1);
		lua_remove(L, -2);
		given = lua_tostring(L, -1);
	}
	strncpy(name, given, n - 1);
	name[n - 1] = '\0';
	lua_pop(L, 1);
}

/* pushes what the worker has to know of the function, if anything: { retry_on = } */
static bool
with(lua_State *L, int task)
{
	static const char *const field[] = { "retry_on", "max_calls" };
	bool any = false;

	lua_createtable(L, 0, 2);
	lua_getiuservalue(L, task, 2);
	for (size_t i = 0; i < sizeof field / sizeof *field && lua_istable(L, -1); i++) {
		int type = lua_getfield(L, -1, field[i]);

		if (type == LUA_TNIL || type == LUA_TSTRING) {	/* what a word says the submitter does by itself */
			lua_pop(L, 1);
			continue;
		}
		lua_setfield(L, -3, field[i]);
		any = true;
	}
	lua_pop(L, any ? 1 : 2);
	return any;
}

/* encodes the function and makes it known: at the first call */
static void
prepare(lua_State *L, int task, struct ltask *t)
{
	struct script *s = script_of(L);
	struct client *c = script_client(L);
	struct task_opts o;
	struct enc e = ENC_INIT;
	char name[96], what[112];
	bool more = false;
	int err, task_top = lua_gettop(L);

	task_opts_init(&o);
	lua_getiuservalue(L, task, 2);
	if (lua_istable(L, -1))
		task_opts_check(L, -1, &o);
	lua_pop(L, 1);
	task_name(L, task, name, sizeof name);
	strcpy(what, "task ");
	strcat(what, name);
	lua_getiuservalue(L, task, 1);
	e.flags = ENC_INLINE;
	if (lua_type(L, -1) == LUA_TSTRING) {
		if (o.stream)
			luaL_error(L, "task %s: a C function cannot stream", name);
		err = client_fn(c, FN_C, lua_tostring(L, -1), lua_rawlen(L, -1), name, &o, &t->fn);
		goto made;
	}
	err = lua_gettop(L);
	more = with(L, task);
	if (func_encode_with(L, &e, err, err + more, what) < 0) {
		enc_release(L, &e);
		lua_error(L);
	}
	err = client_fn(c, more ? FN_LUA_WITH : FN_LUA, e.b.data, e.b.len, name, &o, &t->fn);
made:
	enc_release(L, &e);
	lua_pop(L, 1 + more);
	if (err < 0)
		script_raise(L, err, "task %s: %s", name, err_str(err));
	t->returns = o.returns;
	t->stream = o.stream;
	lua_getiuservalue(L, task, 2);
	t->noblock = lua_istable(L, -1) && lua_getfield(L, -1, "block") == LUA_TBOOLEAN && !lua_toboolean(L, -1);
	lua_settop(L, task_top);
	(void)s;
}

static int call_k(lua_State *L, int status, lua_KContext ctx);

static int
l_call(lua_State *L)
{
	struct ltask *t = lua_touserdata(L, 1);
	struct seg segs[SCRIPT_SEGS];
	struct rec *small[16], **r = small;
	struct payload p;
	int e, n, top = lua_gettop(L);

	if (!t->fn)
		prepare(L, 1, t);
again:
	script_payload(L, 2, lua_gettop(L), "argument", ENC_TOPREF, &p, segs, SCRIPT_SEGS);
	n = t->returns > 1 ? (int)t->returns : 1;
	if (n > 16)
		r = lua_newuserdatauv(L, (size_t)n * sizeof *r, 0);
	e = client_submit(script_of(L)->c, t->fn, &p, r);
	enc_forget(L, &script_of(L)->enc);
	if (e == -EAGAIN && t->noblock)
		script_raise(L, ERR_PENDING, "as many tasks of this process as its budget allows are under way");
	if (e == -EAGAIN) {
		lua_settop(L, top);
		script_room(L, 0, call_k);
		r = small;
		goto again;
	}
	if (e < 0)
		script_raise(L, e, "%s", script_why(script_of(L)->c, e));
	return call_push(L, r, n, t->stream);
}

static int
call_k(lua_State *L, int status, lua_KContext ctx)
{
	(void)status, (void)ctx;
	return l_call(L);
}

static void
task_push(lua_State *L, int fn, int opts)
{
	struct ltask *t;

	fn = lua_absindex(L, fn);
	t = lua_newuserdatauv(L, sizeof *t, 2);
	memset(t, 0, sizeof *t);
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_task);
	lua_setmetatable(L, -2);
	if (fn) {
		lua_pushvalue(L, fn);
		lua_setiuservalue(L, -2, 1);
	}
	if (opts) {
		lua_pushvalue(L, opts);
		lua_setiuservalue(L, -2, 2);
	}
}

static int
l_task(lua_State *L)				/* task(function [, options]) -> task */
{
	if (!cfunc_is(L, 1))
		luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (!lua_isnil(L, 2))
		luaL_checktype(L, 2, LUA_TTABLE);
	task_push(L, 1, lua_isnil(L, 2) ? 0 : 2);
	return 1;
}

static int
l_parts(lua_State *L)				/* parts(task) -> function, options or nil: for with */
{
	if (!task_test(L, 1))
		return luaL_typeerror(L, 1, "task");
	lua_getiuservalue(L, 1, 1);
	lua_getiuservalue(L, 1, 2);
	return 2;
}

static int
l_gc(lua_State *L)
{
	struct ltask *t = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (t->fn && s->c && !client_lost(s->c))
		client_fn_free(s->c, t->fn);
	t->fn = NULL;
	return 0;
}

static int
l_tostring(lua_State *L)
{
	char name[96];

	task_name(L, 1, name, sizeof name);
	lua_pushfstring(L, "task %s", name);
	return 1;
}

/* --- on a journey: { function, options } ------------------------------------------------------------------ */

void
task_out(lua_State *L, int idx, struct enc *e)
{
	(void)e;
	idx = lua_absindex(L, idx);
	lua_createtable(L, 2, 0);
	lua_getiuservalue(L, idx, 1);
	lua_rawseti(L, -2, 1);
	lua_getiuservalue(L, idx, 2);
	lua_rawseti(L, -2, 2);
}

void
task_new(lua_State *L, const struct dec_src *src)
{
	(void)src;
	task_push(L, 0, 0);
}

void
task_fill(lua_State *L, int task, int desc, const struct dec_src *src)
{
	(void)src;
	task = lua_absindex(L, task);
	desc = lua_absindex(L, desc);
	lua_rawgeti(L, desc, 1);
	if (!cfunc_is(L, -1))
		luaL_checktype(L, -1, LUA_TFUNCTION);
	lua_setiuservalue(L, task, 1);
	lua_rawgeti(L, desc, 2);
	lua_setiuservalue(L, task, 2);
}

static int
l_setmethods(lua_State *L)			/* task_methods(table): what task.name finds; from lua/rota.lua */
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, script_of(L)->mt_task);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "__index");
	return 0;
}

const luaL_Reg task_functions[] = { { "task", l_task }, { "task_parts", l_parts }, { "task_methods", l_setmethods },
    { NULL, NULL } };

void
task_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__call", l_call }, { "__gc", l_gc }, { "__tostring", l_tostring }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.task");
	luaL_setfuncs(L, meta, 0);
	script_seal(L);
	script_of(L)->mt_task = luaL_ref(L, LUA_REGISTRYINDEX);
}
