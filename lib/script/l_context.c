/*
 * l_context - rota.context(): who runs here, for whom, with what; and the same in the environment of programs that a
 * task starts: ROTA_TASK and ROTA_ATTEMPT are written into it just before it is looked at, not at each task.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ring/rec.h"
#include "script/sched.h"
#include "script/script.h"
#include "wire/mp.h"

static void
set_int(lua_State *L, const char *name, uint64_t v)
{
	lua_pushinteger(L, (lua_Integer)v);
	lua_setfield(L, -2, name);
}

static void
set_span(lua_State *L, const char *name, struct span v)
{
	lua_pushlstring(L, (const char *)v.p, v.n);
	lua_setfield(L, -2, name);
}

static void
push_milli(lua_State *L, int64_t v)		/* thousandths: a whole number where it is one */
{
	if (v % 1000 == 0)
		lua_pushinteger(L, v / 1000);
	else
		lua_pushnumber(L, (lua_Number)v / 1000);
}

static void
set_milli(lua_State *L, const char *name, int64_t v)
{
	push_milli(L, v);
	lua_setfield(L, -2, name);
}

static void
set_id(lua_State *L, const char *name, uint32_t node, uint32_t proc, uint64_t seq)
{
	char text[ID_TEXT];

	lua_pushstring(L, id_format(text, (struct id){ node, proc, seq }));
	lua_setfield(L, -2, name);
}

/* resources = { cpus =, gpus =, memory =, ssd = … }, gpus = { numbers of the devices } */
static void
granted(lua_State *L, struct client *c)
{
	struct serve_grant g = serve_granted(c);
	struct mp m = mp_read(g.resources.p, g.resources.n);
	struct mp_tok map, key, val;
	int n = 0;

	lua_createtable(L, 0, 4);
	set_milli(L, "cpus", g.cpus);
	set_milli(L, "gpus", g.gpus);
	set_int(L, "memory", g.memory);
	if (g.resources.n && mp_next(&m, &map) == 0 && map.kind == MP_MAP)
		while (map.n-- > 0 && mp_next(&m, &key) == 0 && key.kind == MP_STR && mp_next(&m, &val) == 0 && val.kind == MP_INT) {
			lua_pushlstring(L, (const char *)key.p, key.n);
			push_milli(L, val.i);
			lua_rawset(L, -3);
		}
	lua_setfield(L, -2, "resources");
	lua_newtable(L);
	for (unsigned i = 0; i < 64; i++)
		if (g.devices >> i & 1) {
			lua_pushinteger(L, i);
			lua_rawseti(L, -2, ++n);
		}
	lua_setfield(L, -2, "gpus");
}

static void
running(lua_State *L, const struct task_in *t)
{
	const struct rec_context *x = &t->context;

	set_id(L, "task", t->owner.node, t->owner.proc, t->rec.seq);
	set_int(L, "attempt", t->rec.attempt + 1u);
	lua_pushstring(L, t->fn.name);
	lua_setfield(L, -2, "name");
	set_int(L, "priority", (uint64_t)(int64_t)x->priority);
	if (x->deadline) {
		lua_pushnumber(L, (lua_Number)x->deadline / 1e9);
		lua_setfield(L, -2, "deadline");
	}
	if (x->parent_seq)
		set_id(L, "parent", x->parent_node, x->parent_proc, x->parent_seq);
}

static int
l_context(lua_State *L)				/* context() -> table */
{
	struct client *c = script_client(L);
	struct script *s = script_of(L);
	const struct msg_welcome *m = client_welcome(c);
	uint64_t actor, incarnation;
	struct span spec;
	uint32_t rank;

	lua_createtable(L, 0, 16);
	set_span(L, "node", m->node_name);
	set_span(L, "namespace", m->namespace);
	set_int(L, "process", m->proc);
	set_int(L, "job", m->job);
	lua_pushboolean(L, s->sched != NULL);
	lua_setfield(L, -2, "worker");
	if (!s->sched)
		return 1;
	granted(L, c);
	if ((actor = serve_actor(c, &spec, &incarnation)) != 0) {
		struct span name, class, methods;

		serve_actor_self(c, &name, &class, &methods);
		actor_push(L, actor, class, methods);
		lua_setfield(L, -2, "actor");
		if (name.n)
			set_span(L, "actor_name", name);
		set_int(L, "incarnation", incarnation);
		if (serve_member(c, &rank))
			set_int(L, "rank", rank);
	}
	if (s->sched->running)
		running(L, s->sched->running);
	return 1;
}

/* --- the environment -------------------------------------------------------------------------------------------- */

static void
tell_environment(struct script *s)
{
	const struct task_in *t = s->sched ? s->sched->running : NULL;
	char text[ID_TEXT], attempt[16];

	if (!t)
		return;
	snprintf(attempt, sizeof attempt, "%u", t->rec.attempt + 1u);
	setenv("ROTA_TASK", id_format(text, (struct id){ t->owner.node, t->owner.proc, t->rec.seq }), 1);
	setenv("ROTA_ATTEMPT", attempt, 1);
}

static int
l_told(lua_State *L)				/* upvalue 1: a function of os or io that looks at the environment */
{
	int n = lua_gettop(L);

	tell_environment(script_of(L));
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, LUA_MULTRET);
	return lua_gettop(L);
}

void
context_open_worker(lua_State *L)
{
	static const char *const fn[][2] = { { "os", "getenv" }, { "os", "execute" }, { "io", "popen" } };

	for (size_t i = 0; i < sizeof fn / sizeof *fn; i++) {
		lua_getglobal(L, fn[i][0]);
		lua_getfield(L, -1, fn[i][1]);
		lua_pushcclosure(L, l_told, 1);
		lua_setfield(L, -2, fn[i][1]);
		lua_pop(L, 1);
	}
}

static int
l_once(lua_State *L)				/* once() -> what this process keeps; script.c drops it when memory is short */
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, "rota.once");
	return 1;
}

const luaL_Reg context_functions[] = { { "once", l_once }, { "context", l_context }, { NULL, NULL } };
