/*
 * script - opening: the module rota.core, the node on first use, what the runtime asks of Lua.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/near.h"
#include "base/num.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/func.h"
#include "script/l_dag.h"
#include "script/sched.h"
#include "script/script.h"

int
script_fail(lua_State *L, int e)
{
	luaL_pushfail(L);
	lua_pushstring(L, err_str(e));
	lua_pushstring(L, err_word(e));
	return 3;
}

void
script_raise(lua_State *L, int e, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	errobj_push(L, e, text);
	lua_error(L);
	__builtin_unreachable();	/* lua_error does not return */
}

void
script_blame(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "rota.blame");
	lua_call(L, 1, 1);
	lua_insert(L, -2);
	lua_call(L, 1, 0);
	__builtin_unreachable();
}

void
script_interrupted(lua_State *L)
{
	struct script *s = script_of(L);

	if (s->sched)
		cancel_check(L);
	else if (s->watched)
		script_callbacks(L);
	if (s->sched || !lua_gethook(s->L))
		return;
	lua_sethook(s->L, NULL, 0, 0);		/* the main state's: this may be any coroutine */
	luaL_error(L, "interrupted!");
}

/* --- what the runtime asks on the main thread ---------------------------------------------------------------- */

static void
answer_name(void *arg, char kind, const char *name, size_t n, struct buf *out)
{
	struct script *s = arg;

	if (func_answer(s->L, kind, name, n, out) < 0 && out->len == 0)
		buf_add(out, "xout of memory", 14);
}

/*
 * What rota.once keeps: dropped, and with __close closed too where no task is under way that may be using it.
 */
static void
drop_once(struct script *s)
{
	lua_State *L = s->L;
	bool idle = s->sched && !s->sched->running && !s->sched->nsusp;
	int top = lua_gettop(L);

	if (!lua_checkstack(L, 10) || lua_getfield(L, LUA_REGISTRYINDEX, "rota.once") != LUA_TTABLE) {
		lua_settop(L, top);
		return;
	}
	for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
		if (lua_type(L, -1) != LUA_TTABLE)
			continue;		/* it is being made */
		lua_pushvalue(L, -2);
		lua_pushnil(L);
		lua_rawset(L, top + 1);
		if (idle && lua_rawgeti(L, -1, 1) != LUA_TNIL && luaL_getmetafield(L, -1, "__close") != LUA_TNIL) {
			lua_insert(L, -2);
			if (lua_pcall(L, 1, 0, 0) != LUA_OK)
				lua_pop(L, 1);
		}
		lua_settop(L, top + 3);
	}
	lua_settop(L, top);
}

static void
collect_all(void *arg)
{
	script_collect(arg);
}

const char *
script_why(struct client *c, int e)
{
	if (e == ERR_NO_CLUSTER && client_lost(c))
		return client_lost(c);
	return e == ERR_FULL && *client_full(c) ? client_full(c) : err_str(e);
}

void
script_seal(lua_State *L)
{
	lua_getfield(L, -1, "__name");
	lua_setfield(L, -2, "__metatable");
}

void
script_collect(struct script *s)
{
	drop_once(s);
	strcache_clear(s->L, &s->strings);
	lua_gc(s->L, LUA_GCCOLLECT);
}

static void
notice(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "rota: %s\n", text);
}

static void
set_hooks(struct script *s)
{
	client_set_hooks(s->c, &(struct client_hooks){ answer_name, collect_all, notice, script_news, s });
}

/* --- joining ---------------------------------------------------------------------------------------------------- */

static const char *
field(lua_State *L, int idx, const char *name)
{
	const char *v = NULL;

	if (idx && lua_istable(L, idx)) {	/* 0: no options */
		lua_getfield(L, idx, name);
		v = lua_tostring(L, -1);	/* the options' table keeps it alive */
		lua_pop(L, 1);
	}
	return v;
}

/* os.exit, which closes no state: what tasks have printed is still shown */
static struct client *leaving;
static pid_t leaving_pid;

static void
at_exit(void)
{
	if (leaving && getpid() == leaving_pid)
		client_output(leaving, clock_ns() + CLOCK_SEC);
}

static void
join(lua_State *L, int opts)
{
	static bool once;
	struct script *s = script_of(L);
	struct client_opts o = { .name = s->name, .may_start = true, .err = -1, .address = field(L, opts, "address"),
	    .namespace = field(L, opts, "namespace"), .store = field(L, opts, "store") };
	const char *cpus = field(L, opts, "cpus");
	char why[512];
	int e;

	o.cpus = cpus ? (unsigned)strtoul(cpus, NULL, 10) : 0;
	o.gpus = field(L, opts, "gpus");
	o.output = field(L, opts, "output");
	if ((e = client_open(&s->c, &o, why, sizeof why)) < 0) {
		s->c = NULL;
		script_raise(L, e > -1000 && e != -EINVAL ? ERR_NO_CLUSTER : e, "%s", why);	/* whatever kept us from it */
	}
	set_hooks(s);
	leaving = s->c;
	leaving_pid = getpid();
	if (!once)
		atexit(at_exit);
	once = true;
	if (opts && lua_istable(L, opts)) {
		if (lua_getfield(L, opts, "queued") == LUA_TNUMBER)
			client_budget(s->c, (uint64_t)lua_tonumber(L, -1), CLIENT_BYTES);
		lua_pop(L, 1);
	}
}

struct client *
script_client(lua_State *L)
{
	struct script *s = script_of(L);

	if (!s->c)
		join(L, 0);
	return s->c;
}

static int
l_init(lua_State *L)				/* init([opts]): joins; true, or false if it had joined before */
{
	struct script *s = script_of(L);
	bool was = s->c != NULL;

	if (!was) {
		if (!lua_isnoneornil(L, 1))
			luaL_checktype(L, 1, LUA_TTABLE);
		lua_settop(L, 1);
		join(L, 1);
	}
	lua_pushboolean(L, !was);
	return 1;
}

void
script_attach(lua_State *L, struct client *c)
{
	struct script *s = script_of(L);

	s->c = c;
	set_hooks(s);
}

/* --- payloads ---------------------------------------------------------------------------------------------------- */

static void
ref_out(lua_State *L, int idx, struct wref *w, struct enc *e)
{
	struct script *s = script_of(L);
	struct rec *r = ref_test(L, idx);

	(void)e;
	if (!r)
		luaL_error(L, "a ref that was freed cannot travel");
	client_export(s->c, r, w);
	if (w->off == 0 || w->flags & WREF_ERROR)
		s->pending = true;
}

static void
ref_in(lua_State *L, const struct wref *w, const struct dec_src *src)
{
	struct rec *r = client_import(script_client(L), w);

	(void)src;
	if (!r)
		luaL_error(L, "not enough memory");
	ref_push(L, r);
}

/* a top-level argument that is another object's value; here its bytes are known to be in the arena */
static void
valref_in(lua_State *L, const struct wref *w, const struct dec_src *src)
{
	struct script *s = script_of(L);
	struct rec *r;
	bool was;

	ref_in(L, w, src);
	r = ref_check(L, -1);
	while (!rec_is_ready(r) && client_wait(s->c, r, WAIT_FOREVER) == -EINTR)
		;
	was = client_decoding(s->c, false);	/* what lies in the value is not among the arguments */
	ref_values(L, r, lua_gettop(L), false);
	client_decoding(s->c, was);
	lua_remove(L, -2);
}

void
script_payload(lua_State *L, int first, int last, const char *what, unsigned flags, struct payload *p, struct seg *segs,
    unsigned maxsegs)
{
	struct script *s = script_of(L);
	struct enc *e = &s->enc;

	s->pending = false;
	e->flags = flags;
	if (enc_values(L, e, first, last, what) < 0)
		lua_error(L);
	if (e->nseg > maxsegs || (e->nseg && s->pending && flags & ENC_TOPREF)) {
		/* many buffers, or arguments that are rebuilt once all are ready: all into one piece */
		e->flags = flags | ENC_INLINE;
		if (enc_values(L, e, first, last, what) < 0)
			lua_error(L);
	}
	for (unsigned i = 0; i < e->nseg; i++)
		segs[i] = (struct seg){ e->seg[i].p, e->seg[i].n };
	*p = (struct payload){ e->b.data, e->b.len, e->nvals, e->flags & ENC_REFS ? PAYLOAD_REFS : 0, segs, e->nseg };
	if (e->flags & ENC_ERROR)
		p->flags |= PAYLOAD_ERROR;
	if (s->pending && flags & ENC_TOPREF)
		p->flags |= PAYLOAD_PENDING;
}

/* --- small functions ------------------------------------------------------------------------------------------------ */

static int
l_put(lua_State *L)				/* put(v, …) -> ref */
{
	struct client *c = script_client(L);
	struct seg segs[SCRIPT_SEGS];
	struct payload p;
	struct rec *r;
	int e;

	script_payload(L, 1, lua_gettop(L), "value", 0, &p, segs, SCRIPT_SEGS);
	p.flags &= ~PAYLOAD_ERROR;		/* an error object that is put is a value */
	e = client_put(c, &p, &r);
	enc_forget(L, &script_of(L)->enc);
	if (e < 0)
		script_raise(L, e, "%s", script_why(c, e));
	ref_push(L, r);
	ref_charge(L, client_size(r));
	return 1;
}

static int
l_now(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)clock_ns() / 1e9);
	return 1;
}

static int
l_identity(lua_State *L)			/* -> node name, node, process, job, namespace, CPUs, pid known to the node */
{
	const struct msg_welcome *m = client_welcome(script_client(L));

	lua_pushlstring(L, (const char *)m->node_name.p, m->node_name.n);
	lua_pushinteger(L, (lua_Integer)m->node);
	lua_pushinteger(L, (lua_Integer)m->proc);
	lua_pushinteger(L, (lua_Integer)m->job);
	lua_pushlstring(L, (const char *)m->namespace.p, m->namespace.n);
	lua_pushnumber(L, (lua_Number)m->cpus / 1000);
	return 6;
}

static int
l_duration(lua_State *L)			/* duration("10ms") -> seconds, or nil */
{
	int64_t ns;

	if (lua_type(L, 1) == LUA_TNUMBER)
		lua_settop(L, 1);
	else if (num_duration(luaL_checkstring(L, 1), &ns) == 0)
		lua_pushnumber(L, (lua_Number)ns / 1e9);
	else
		luaL_pushfail(L);
	return 1;
}

static int
l_size(lua_State *L)				/* size("1G") -> bytes, or nil */
{
	uint64_t n;

	if (lua_type(L, 1) == LUA_TNUMBER)
		lua_settop(L, 1);
	else if (num_size(luaL_checkstring(L, 1), &n) == 0)
		lua_pushinteger(L, (lua_Integer)n);
	else
		luaL_pushfail(L);
	return 1;
}

static int
row(void *arg, struct span map)			/* onto the list at the top */
{
	lua_State *L = arg;

	if (dec_values(L, map.p, map.n, 1, NULL, 0) < 0) {
		lua_pop(L, 1);
		return ERR_PROTO;
	}
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

static int
l_list(lua_State *L)				/* list("workers") -> list of tables */
{
	const char *what = luaL_checkstring(L, 1);
	char why[256] = "";
	int e;

	lua_newtable(L);
	if ((e = client_list(script_client(L), what, row, L, why, sizeof why)) < 0)
		script_raise(L, e, "%s", *why ? why : err_str(e));
	return 1;
}

static int
l_pending(lua_State *L)
{
	struct script *s = script_of(L);

	lua_pushinteger(L, s->c ? (lua_Integer)client_pending(s->c) : 0);
	return 1;
}

static int
l_leave(lua_State *L)				/* at the end of the program: finalizers have run */
{
	struct script *s = script_of(L);

	if (s->c && !s->sched && !client_lost(s->c)) {
		if (s->notices > 5)
			fprintf(stderr, "rota: %u tasks failed and their results were never fetched\n", s->notices);
		leaving = NULL;
		client_close(s->c);
	}
	return 0;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static const struct codec_hooks hooks = {
	.ref_out = ref_out, .ref_in = ref_in, .valref_in = valref_in,
	.task_out = task_out, .task_new = task_new, .task_fill = task_fill,
	.actor_out = actor_out, .actor_in = actor_in,
	.chan_out = chan_out, .chan_in = chan_in, .slice_in = slice_in,
};

static void
program_name(lua_State *L, char *name, size_t n)
{
	int k = 0;

	snprintf(name, n, "lua");
	if (lua_getglobal(L, "arg") == LUA_TTABLE)
		for (int i = 0; i < 4 && k >= 0 && (size_t)k < n; i++) {
			if (lua_rawgeti(L, -1, i) == LUA_TSTRING)
				k += snprintf(name + k, n - (size_t)k, "%s%s", i ? " " : "rlua ", lua_tostring(L, -1));
			lua_pop(L, 1);
		}
	lua_pop(L, 1);
}

static int
l_share(lua_State *L)				/* share() -> the directory of what programs as actors use, or nil */
{
	lua_getfield(L, LUA_REGISTRYINDEX, "rota.share");
	return 1;
}

static int
l_near(lua_State *L)				/* near(word, list of words) -> the one that was meant, or nil */
{
	const char *word = luaL_checkstring(L, 1), **words;
	size_t n = lua_rawlen(L, 2);

	words = lua_newuserdatauv(L, (n + 1) * sizeof *words, 0);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, 2, (lua_Integer)i + 1);
		words[i] = luaL_checkstring(L, -1);	/* the list keeps it alive */
		lua_pop(L, 1);
	}
	lua_pushstring(L, near_word(word, words, n));
	return 1;
}

static void
add(lua_State *L, const luaL_Reg *f)		/* two of one name would hide the first */
{
	for (; f->name; f++) {
		if (lua_getfield(L, -1, f->name) != LUA_TNIL)
			luaL_error(L, "rota.core: two functions '%s'", f->name);
		lua_pop(L, 1);
		lua_pushcfunction(L, f->func);
		lua_setfield(L, -2, f->name);
	}
}

int
luaopen_rota_core(lua_State *L)
{
	static const luaL_Reg fns[] = { { "init", l_init }, { "get", l_get }, { "pget", l_pget }, { "put", l_put },
	    { "now", l_now }, { "keep", l_keep }, { "lookup", l_lookup }, { "identity", l_identity }, { "duration", l_duration }, { "size", l_size },
	    { "list", l_list }, { "pending", l_pending }, { "array", codec_l_array },
	    { "map", codec_l_map }, { "near", l_near }, { "share", l_share }, { "class", class_l_class }, { "is_ref", ref_l_is }, { NULL, NULL } };
	static const luaL_Reg *const parts[] = { fns, task_functions, actor_functions, wait_functions, chan_functions,
	    stream_functions, dag_functions, context_functions, kv_functions, process_functions, watch_functions,
	    group_functions, set_functions, members_functions, cfunc_functions, cancel_functions, labels_functions };
	struct script *s;

	s = lua_newuserdatauv(L, sizeof *s, 0);
	memset(s, 0, sizeof *s);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, l_leave);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	lua_setfield(L, LUA_REGISTRYINDEX, "rota.script");
	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
	s->L = lua_tothread(L, -1);
	lua_pop(L, 1);
	*(struct script **)lua_getextraspace(s->L) = s;
	*(struct script **)lua_getextraspace(L) = s;
	program_name(L, s->name, sizeof s->name);
	codec_open(L, &hooks);
	ref_open(L);
	task_open(L);
	actor_open(L);
	members_open(L);
	wait_open(L);
	chan_open(L);
	stream_open(L);
	dag_open(L);
	kv_open(L);
	process_open(L);
	cancel_open(L);
	lua_settop(L, 0);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		add(L, parts[i]);
	buffer_l_module(L);
	lua_setfield(L, -2, "buffer");
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	return 1;
}
