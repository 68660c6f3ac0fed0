/*
 * script_codec.c - the codec's C side: out-of-band buffers, hooks of references and handles, a balanced stack, what
 * it writes passes val_check, and any bytes are read without going past their end
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include "guard.h"
#include "script/buffer.h"
#include "script/codec.h"
#include "script/func.h"
#include "tap.h"

/* --- a program's hooks: refs are userdata with a wref, tasks a table, actors a table --- */

static unsigned noted;

static void
ref_out(lua_State *L, int idx, struct wref *w, struct enc *e)
{
	(void)e;
	*w = *(struct wref *)lua_touserdata(L, idx);
	noted++;
}

static void
ref_in(lua_State *L, const struct wref *w, const struct dec_src *src)
{
	(void)src;
	*(struct wref *)lua_newuserdatauv(L, sizeof *w, 0) = *w;
	luaL_setmetatable(L, "rota.ref");
}

static void
valref_in(lua_State *L, const struct wref *w, const struct dec_src *src)
{
	if (src->arg) {
		errobj_push(L, ERR_LOST, "lost");
		lua_error(L);
	}
	lua_pushfstring(L, "value of %d", (int)w->id.proc);
}

static void
task_out(lua_State *L, int idx, struct enc *e)
{
	(void)e;
	lua_getiuservalue(L, idx, 1);
	lua_createtable(L, 1, 0);
	lua_insert(L, -2);
	lua_rawseti(L, -2, 1);
}

static void
task_new(lua_State *L, const struct dec_src *src)
{
	(void)src;
	lua_newuserdatauv(L, 1, 1);
	luaL_setmetatable(L, "rota.task");
}

static void
task_fill(lua_State *L, int task, int desc, const struct dec_src *src)
{
	(void)src;
	if (!lua_istable(L, desc))
		luaL_error(L, "malformed task");
	lua_rawgeti(L, desc, 1);
	lua_setiuservalue(L, task, 1);
}

static void
actor_out(lua_State *L, int idx, struct enc *e)
{
	(void)e;
	lua_pushinteger(L, *(int *)lua_touserdata(L, idx));
}

static void
actor_in(lua_State *L, int desc, const struct dec_src *src)
{
	int n = (int)luaL_checkinteger(L, desc);

	(void)src;
	*(int *)lua_newuserdatauv(L, sizeof n, 0) = n;
	luaL_setmetatable(L, "rota.actor");
}

static const struct codec_hooks hooks = { .ref_out = ref_out, .ref_in = ref_in, .valref_in = valref_in, .task_out = task_out,
	.task_new = task_new, .task_fill = task_fill, .actor_out = actor_out, .actor_in = actor_in, .node = "node2" };

static lua_State *
state(void)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	codec_open(L, &hooks);
	luaL_newmetatable(L, "rota.ref");
	luaL_newmetatable(L, "rota.task");
	luaL_newmetatable(L, "rota.actor");
	lua_settop(L, 0);
	lua_register(L, "class", class_l_class);
	lua_register(L, "buffer", buffer_l_new);
	return L;
}

static void
push_ref(lua_State *L, unsigned proc)
{
	struct wref w = { .id = { 1, proc, 3 }, .off = 64, .gen = 5, .nbuf = 6, .size = 7 };

	ref_in(L, &w, NULL);
}

static bool
eval(lua_State *L, const char *code)		/* leaves its results */
{
	if (luaL_dostring(L, code) == LUA_OK)
		return true;
	printf("# %s\n", lua_tostring(L, -1));
	return false;
}

static bool
truth(lua_State *L, const char *code)		/* whether the code, with the stack as its arguments, gives true; clears the stack */
{
	int n = lua_gettop(L);
	bool good;

	if (luaL_loadstring(L, code) != LUA_OK)
		return false;
	lua_insert(L, 1);
	if (lua_pcall(L, n, 1, 0) != LUA_OK)
		printf("# %s\n", lua_tostring(L, -1));
	good = lua_isboolean(L, -1) && lua_toboolean(L, -1);
	lua_settop(L, 0);
	return good;
}

/* encodes the whole stack, drops it, decodes; what is read must pass val_check and leave the stack balanced */
static int
trip(lua_State *L, struct enc *e, unsigned flags)
{
	int n = lua_gettop(L), ret;
	struct dec_src src = { .anchor = 0 };

	e->flags = flags;
	if ((ret = enc_values(L, e, 1, n, "argument")) < 0) {
		ok(lua_gettop(L) == n + 1 && lua_type(L, -1) == LUA_TSTRING);
		return ret;
	}
	ok(lua_gettop(L) == n && e->nvals == (unsigned)n);
	ret = val_check(e->b.data, e->b.len, e->nvals, VAL_ALLOW_CODE);
	ok(ret == 0);
	ok((val_check(e->b.data, e->b.len, e->nvals, 0) != 0) == !!(e->flags & ENC_CODE));
	src.seg = e->seg;
	src.nseg = e->nseg;
	ret = dec_values(L, e->b.data, e->b.len, e->nvals, &src, VAL_ALLOW_CODE);
	if (ret == 0)
		ok(lua_gettop(L) == 2 * n);
	else
		printf("# %s\n", lua_tostring(L, -1));
	while (n--)
		lua_remove(L, 1);
	return ret;
}

static int
reenter(lua_State *L)
{
	lua_pushinteger(L, 1);
	if (enc_values(L, lua_touserdata(L, lua_upvalueindex(1)), -1, -1, "value") < 0)
		return lua_error(L);
	return 0;
}

static void
test_segments(lua_State *L)
{
	struct enc e = ENC_INIT;
	struct dec_src src = { 0 };
	struct buffer *b;
	int v;

	eval(L, "S = ('x'):rep(1025) B = buffer(200000) B[7] = 7 return ('y'):rep(1024), {S, S, {B}}, ('z'):rep(1 << 20), B:sub(3, 5)");
	ok(enc_values(L, &e, 1, 4, "argument") == 0);
	ok(e.nseg == 3 && e.seg[0].n == 1025 && e.seg[1].n == 1600000 && e.seg[2].n == 1 << 20 && e.b.len < 1300);
	ok(e.seg[1].p == ((struct buffer *)(eval(L, "return B"), buffer_check(L, -1)))->a.data);
	lua_pop(L, 1);
	ok(val_check(e.b.data, e.b.len, 4, 0) == 0);
	src.seg = e.seg;
	src.nseg = e.nseg;
	src.anchor = 5;
	lua_newtable(L);			/* what keeps the segments alive */
	ok(dec_values(L, e.b.data, e.b.len, e.nvals, &src, 0) == 0 && lua_gettop(L) == 9);
	ok(lua_rawlen(L, 6) == 1024 && lua_type(L, 7) == LUA_TTABLE);
	b = buffer_test(L, 8);
	ok(b && b->a.readonly && b->a.data == e.seg[2].p && nd_count(&b->a) == 1 << 20 && b->a.type == VAL_U8);
	ok(lua_getiuservalue(L, 8, 1) == LUA_TTABLE && lua_rawequal(L, -1, 5));
	lua_settop(L, 9);
	b = buffer_test(L, 9);
	ok(b && nd_count(&b->a) == 3 && b->a.readonly);
	lua_settop(L, 7);
	ok(truth(L, "local y, t, z, s, a, Y, T = ... return T[1] == S and T[2] == S and T[3][1] == B and T[3][1]:readonly()"));

	eval(L, "return ('z'):rep(1 << 20)");
	enc_values(L, &e, 1, 1, "value");
	src = (struct dec_src){ .seg = e.seg, .nseg = e.nseg };
	ok(dec_values(L, e.b.data, e.b.len, 1, &src, DEC_STRINGS) == 0 && lua_rawequal(L, 1, 2));
	ok(dec_values(L, e.b.data, e.b.len, 1, &src, 0) == 0 && (b = buffer_test(L, 3)) && b->a.data != e.seg[0].p && b->a.readonly);
	ok(dec_values(L, e.b.data, e.b.len, 1, NULL, 0) == ERR_PROTO && lua_gettop(L) == 4);
	e.seg[0].n--;
	ok(dec_values(L, e.b.data, e.b.len, 1, &src, 0) == ERR_PROTO && lua_gettop(L) == 5);
	lua_settop(L, 1);
	e.flags = ENC_INLINE;
	ok(enc_values(L, &e, 1, 1, "value") == 0 && e.nseg == 0 && e.b.len > 1 << 20);
	lua_settop(L, 0);

	lua_pushlightuserdata(L, &e);		/* a __pack that encodes with the same encoder */
	lua_pushcclosure(L, reenter, 1);
	lua_setglobal(L, "reenter");
	eval(L, "return setmetatable({}, class('again', {__pack = function() return (select(2, pcall(reenter))) end, __unpack = tostring}))");
	e.flags = 0;
	ok(enc_values(L, &e, 1, 1, "value") == 0 && dec_values(L, e.b.data, e.b.len, 1, NULL, VAL_ALLOW_CODE) == 0);
	ok(strcmp(lua_tostring(L, 2), "rota cannot be called from within __pack") == 0);
	lua_settop(L, 0);

	v = eval(L, "return class('packer', {__pack = function() return ('p'):rep(2000) end, __unpack = function(s) return {s} end})");
	lua_newtable(L);
	lua_pushvalue(L, 1);
	lua_setmetatable(L, 2);
	e.flags = 0;
	ok(v && enc_values(L, &e, 2, 2, "value") == 0 && e.nseg == 1);
	lua_gc(L, LUA_GCCOLLECT);		/* what __pack made lives until the next use of e */
	src.seg = e.seg;
	ok(dec_values(L, e.b.data, e.b.len, 1, &src, VAL_ALLOW_CODE) == 0);
	lua_rawgeti(L, -1, 1);
	ok(lua_rawlen(L, -1) == 2000 && memcmp(lua_tostring(L, -1), "pppp", 4) == 0);
	lua_settop(L, 0);
	enc_release(L, &e);
}

static void
test_hooks(lua_State *L)
{
	struct enc e = ENC_INIT;
	struct dec_src src = { .arg = &e };

	push_ref(L, 2);
	lua_createtable(L, 1, 0);
	push_ref(L, 9);
	lua_rawseti(L, -2, 1);
	noted = 0;
	ok(trip(L, &e, ENC_TOPREF) == 0 && noted == 2 && e.flags & ENC_REFS && !(e.flags & ENC_CODE));
	ok(strcmp(lua_tostring(L, 1), "value of 2") == 0);
	lua_rawgeti(L, 2, 1);
	ok(((struct wref *)luaL_checkudata(L, -1, "rota.ref"))->id.proc == 9);
	lua_settop(L, 0);
	ok(dec_values(L, e.b.data, e.b.len, 2, &src, 0) == ERR_TASK && lua_gettop(L) == 1 && errobj_test(L, 1));
	lua_settop(L, 0);
	push_ref(L, 2);
	ok(trip(L, &e, 0) == 0 && luaL_testudata(L, 1, "rota.ref"));
	lua_settop(L, 0);

	*(int *)lua_newuserdatauv(L, sizeof(int), 0) = 42;
	luaL_setmetatable(L, "rota.actor");
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, 1);
	lua_rawseti(L, 2, 1);
	ok(trip(L, &e, 0) == 0 && *(int *)luaL_checkudata(L, 1, "rota.actor") == 42);
	lua_rawgeti(L, 2, 1);
	ok(lua_rawequal(L, 1, -1));
	lua_settop(L, 0);

	/* a task whose function holds the task: local fib = rota.task(function() ... fib ... end) */
	task_new(L, NULL);
	eval(L, "local t; return function() return t end");
	lua_pushvalue(L, 1);
	lua_setupvalue(L, 2, 1);
	lua_setiuservalue(L, 1, 1);
	ok(trip(L, &e, 0) == 0 && luaL_testudata(L, 1, "rota.task") && e.flags & ENC_CODE);
	ok(lua_getiuservalue(L, 1, 1) == LUA_TFUNCTION);
	lua_pushvalue(L, -1);
	lua_call(L, 0, 1);
	ok(lua_rawequal(L, -1, 1));
	lua_settop(L, 2);
	e.flags = ENC_TOPREF;
	ok(func_encode(L, &e, 2, "task x:1") == 0 && e.flags == (ENC_TOPREF | ENC_CODE));
	ok(val_check(e.b.data, e.b.len, 1, VAL_ALLOW_CODE) == 0);
	ok(func_decode(L, e.b.data, e.b.len, NULL) == 0);
	lua_pushvalue(L, -1);
	lua_call(L, 0, 1);
	lua_getiuservalue(L, -1, 1);
	ok(lua_rawequal(L, -1, -3));
	lua_settop(L, 0);
	lua_pushinteger(L, 7);
	ok(enc_values(L, &e, 1, 1, "value") == 0 && func_decode(L, e.b.data, e.b.len, NULL) == ERR_PROTO && lua_gettop(L) == 2);
	lua_settop(L, 0);

	e.flags = ENC_NOCODE;
	eval(L, "return function() end, string, _G");
	ok(enc_values(L, &e, 1, 1, "result") == ERR_VALUE && !strcmp(lua_tostring(L, -1), "result 1: a function cannot travel here"));
	ok(enc_values(L, &e, 3, 3, "value") == ERR_VALUE && !strcmp(lua_tostring(L, -1), "value: the table of globals cannot travel here"));
	lua_settop(L, 0);
	lua_newtable(L);
	luaL_setmetatable(L, "rota.error");
	e.flags = 0;
	ok(enc_values(L, &e, 1, 1, "result") == 0 && e.flags & ENC_ERROR);
	lua_settop(L, 0);
	errobj_push(L, ERR_TIMEOUT, "late");
	errobj_wrap(L, -1, "tb");
	ok(lua_rawequal(L, 1, 2));
	eval(L, "return {code = 7}, 'plain', nil, {message = 'm'}");
	errobj_wrap(L, 3, "tb");
	errobj_wrap(L, 4, NULL);
	errobj_wrap(L, 5, NULL);
	errobj_wrap(L, 6, NULL);
	ok(truth(L, "local e, _, v, _, _, _, a, b, c, d = ... return e.code == 'timeout' and a.value == v and a.traceback == 'tb' and "
	    "b.message == 'plain' and b.value == nil and c.message == 'error object is a nil value' and d.message == 'm'"));
	enc_release(L, &e);
}

/* --- the resolver: two states, one the driver --- */

static lua_State *driver;
static unsigned asked;
static bool nobody;

static int
ask(lua_State *L, char kind, const char *name, size_t n)
{
	struct buf out = BUF_INIT;
	int top = lua_gettop(driver);

	asked++;
	if (nobody)
		return ERR_CLOSED;
	if (func_answer(driver, kind, name, n, &out) < 0 || lua_gettop(driver) != top)
		return luaL_error(L, "no answer");
	lua_pushlstring(L, (const char *)out.data, out.len);
	buf_release(&out);
	return 0;
}

static bool
says(lua_State *L, const char *code, const char *text)	/* the code raises an error that holds the text */
{
	bool good = luaL_dostring(L, code) != LUA_OK && strstr(lua_tostring(L, -1), text);

	if (!good)
		printf("# %s\n", lua_tostring(L, -1));
	lua_settop(L, 0);
	return good;
}

static void
test_resolver(void)
{
	lua_State *L = state();
	struct enc e = ENC_INIT;
	char dir[] = "/tmp/script_codecXXXXXX", path[64], so[64];
	FILE *f;

	driver = state();
	ok(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/helper.lua", dir);
	ok((f = fopen(path, "w")) != NULL && fputs("#!/usr/bin/lua\nlocal M = {} function M.f(x) return x + base end return M\n", f) >= 0
	    && fclose(f) == 0);
	snprintf(so, sizeof so, "%s/c.so", dir);
	ok((f = fopen(so, "w")) != NULL && fclose(f) == 0);	/* only its name counts: it is never loaded */
	lua_pushstring(driver, dir);
	lua_setglobal(driver, "dir");
	ok(eval(driver, "base = 100 function helper(x) return base + x end  config = {a = {1, 2}} off = false sock = io.tmpfile() "
	    "deep = {x = coroutine.create(print)} arg = {1} p = print function unpack() end "
	    "package.path = dir .. '/?.lua' package.cpath = dir .. '/?.so' package.loaded.made = {f = function() return 5 end} "
	    "Base = class('base', {name = function() return 'base' end}) Pt = setmetatable({}, {__index = Base}) class('pt', Pt) "
	    "function Pt.new(x) return setmetatable({x = x}, Pt) end function Pt:get() return self.x + base end function Pt:again() return Pt.new(self.x) end"));
	ok(says(L, "return nothing.x", "global 'nothing'"));
	func_install_resolver(L, ask);
	nobody = true;
	ok(eval(L, "return helper == nil") && lua_toboolean(L, -1) && asked == 1);
	nobody = false;
	lua_settop(L, 0);
	asked = 0;
	ok(truth(L, "return helper(5) == 105 and helper(6) == 106 and config.a[2] == 2 and off == false and p == print") && asked == 5);
	asked = 0;
	ok(truth(L, "return config.a[1] == 1 and nope == nil and nope == nil and jit == nil and unpack == nil and arg == nil") && asked == 1);
	ok(says(L, "sock:close()", "global 'sock'") && asked == 2);
	ok(luaL_dostring(L, "local x = sock.y") != LUA_OK && func_hint(L, -1) && asked == 2);
	ok(strstr(lua_tostring(L, -1), "(global 'sock') (a global of the script; it could not travel: userdata)") != NULL);
	lua_settop(L, 0);
	ok(luaL_dostring(L, "local x = deep.y") != LUA_OK && func_hint(L, -1));
	ok(strstr(lua_tostring(L, -1), "could not travel: deep.x: a coroutine cannot travel)") != NULL);
	lua_settop(L, 0);
	ok(luaL_dostring(L, "nope()") != LUA_OK && !func_hint(L, -1) && lua_gettop(L) == 1);
	lua_settop(L, 0);
	ok(truth(L, "return require 'helper'.f(1) == 101 and require 'made'.f() == 5"));
	asked = 0;
	ok(says(L, "require 'nix.da'", "the driver has no module 'nix.da' either") && says(L, "require 'nix.da'", "either") && asked == 1);
	ok(says(L, "require 'c'", "module 'c' is not installed on node2 (C modules do not travel)"));

	ok(eval(driver, "local o = Pt.new(1) return o, Pt") && enc_values(driver, &e, 1, 2, "argument") == 0);
	ok(dec_values(L, e.b.data, e.b.len, 2, NULL, VAL_ALLOW_CODE) == 0);
	ok(truth(L, "local o, P = ... return getmetatable(o) == P and o:get() == 101 and getmetatable(o:again()) == P and o:name() == 'base'"));
	ok(eval(L, "return 0, 1") && dec_values(L, (const unsigned char *)"\xc7\x05\x0d\xa3pt2\x80", 8, 1, NULL, VAL_ALLOW_CODE) == ERR_VALUE);
	ok(strstr(lua_tostring(L, -1), "class 'pt2' is not known here") != NULL && lua_gettop(L) == 3);
	enc_release(driver, &e);
	remove(path);
	remove(so);
	remove(dir);
	lua_close(driver);
	lua_close(L);
}

/* --- any bytes --- */

static const char *const corpus[] = {
	"return 1, 'two', 3.5, {1, 2, {a = 'b', [3] = false}}, nil, -70000, ('s'):rep(40)",
	"local t = {} t[1] = t t.x = {t, t} return t, t, {{}, {}}",
	"local c = 0 local function f() c = c + 1 return f end return f, {f, function() return c end, string.format, string, _G}",
	"return ('x'):rep(2000), {('y'):rep(3000), buffer(3), buffer(500)}, buffer('abc'):sub(2)",
	"Fz = Fz or class('fz', {}) return setmetatable({a = 1, b = {}}, Fz), {Fz, setmetatable({}, Fz)}",
	("local E = debug.getregistry()['rota.error'] local c = setmetatable({message = 'c'}, E) "
	"return setmetatable({message = 'm', code = 'oom', value = {1, {2}}, attempt = 3, cause = c}, E)"),
	"return R, {R, R, A}, T, {T}",
};

static void
test_fuzz(lua_State *L)
{
	static unsigned char copy[GUARD_MAX];
	unsigned long rounds = getenv("ROTA_LONG") ? 400000 : 8000, k, good = 0, odd = 0;
	uint64_t seed = 20;
	size_t i, n;

	push_ref(L, 2);
	lua_setglobal(L, "R");
	*(int *)lua_newuserdatauv(L, sizeof(int), 0) = 42;
	luaL_setmetatable(L, "rota.actor");
	lua_setglobal(L, "A");
	task_new(L, NULL);
	lua_pushcfunction(L, luaopen_base);
	lua_setiuservalue(L, -2, 1);
	lua_pushvalue(L, -1);
	lua_setglobal(L, "T");
	lua_getglobal(L, "print");
	lua_setiuservalue(L, -2, 1);
	lua_settop(L, 0);
	for (i = 0; i < sizeof corpus / sizeof *corpus; i++) {
		struct enc e = ENC_INIT;
		struct dec_src src = { 0 };
		unsigned nvals, cut = 0;

		ok(eval(L, corpus[i]));
		nvals = (unsigned)lua_gettop(L);
		if (enc_values(L, &e, 1, (int)nvals, "argument") < 0)
			printf("# %s\n", lua_tostring(L, -1));
		src.seg = e.seg;
		src.nseg = e.nseg;
		src.anchor = 1;
		ok(e.nvals == nvals && dec_values(L, guard(e.b.data, e.b.len), e.b.len, nvals, &src, VAL_ALLOW_CODE) == 0);
		lua_settop(L, (int)nvals);
		for (n = 0; n < e.b.len; n++) {
			cut += dec_values(L, guard(e.b.data, n), n, nvals, &src, VAL_ALLOW_CODE) < 0 && lua_gettop(L) == (int)nvals + 1;
			lua_settop(L, (int)nvals);
		}
		ok(cut == e.b.len);
		for (k = 0; k < rounds; k++) {
			unsigned flags = k % 4 ? VAL_ALLOW_CODE : 0;
			unsigned char *p;
			int ret;

			memcpy(copy, e.b.data, e.b.len);
			n = mutate(copy, e.b.len, &seed);
			p = guard(copy, n);
			ret = dec_values(L, p, n, nvals, &src, flags);
			if (lua_gettop(L) != (int)(ret < 0 ? nvals + 1 : 2 * nvals) || (ret < 0 && lua_type(L, -1) != LUA_TSTRING))
				odd++;
			if (ret == 0 && ++good && val_check(p, n, nvals, flags) != 0)
				odd++;
			lua_settop(L, (int)nvals);
		}
		lua_settop(L, 0);
		enc_release(L, &e);
	}
	printf("# %lu mutants were values\n", good);
	ok(odd == 0);
}

static void
test_steady(lua_State *L)		/* no allocation of the encoder once it is warm; the registry does not grow */
{
	struct enc e = ENC_INIT;
	const void *data, *slot, *seg;
	unsigned i;

	eval(L, "local t = {} for i = 1, 50 do t[i] = {i, {i}} end t.s = ('x'):rep(5000) t.t = t return t, ('y'):rep(900), 1");
	enc_values(L, &e, 1, 3, "argument");
	data = e.b.data, slot = e.slot, seg = e.seg;
	for (i = 0; i < 1000; i++)
		enc_values(L, &e, 1, 3, "argument");
	ok(e.b.data == data && e.slot == slot && e.seg == seg);
	e.stamp = UINT32_MAX - 1;			/* the wrap of the stamp forgets nothing */
	for (i = 0; i < 4; i++)
		ok(enc_values(L, &e, 1, 3, "argument") == 0 && val_check(e.b.data, e.b.len, 3, 0) == 0);
	ok(enc_values(L, &e, 2, 1, "argument") == 0 && e.nvals == 0 && e.b.len == 0);
	lua_settop(L, 0);
	enc_release(L, &e);
}

int
main(void)
{
	lua_State *L = state();

	test_segments(L);
	test_hooks(L);
	test_steady(L);
	test_resolver();
	test_fuzz(L);
	lua_close(L);
	return tap_done();
}
