/*
 * codec.c - encoded values become Lua values: the first byte is how many, the second what is allowed and how long the
 * out-of-band buffers are.  What was read can be written, and is read once more.
 * Bytecode is left out (a function in a payload is its sender's code, and runs): code of FUNC bodies is refused by Lua here.
 */
#include "../fuzz.h"
#include <lauxlib.h>
#include <lualib.h>
#include "base/err.h"
#include "script/buffer.h"
#include "script/codec.h"

static void
ref_out(lua_State *L, int idx, struct wref *w, struct enc *e)
{
	(void)e;
	*w = *(struct wref *)lua_touserdata(L, idx);
}

static void
ref_in(lua_State *L, const struct wref *w, const struct dec_src *src)
{
	(void)src;
	*(struct wref *)lua_newuserdatauv(L, sizeof *w, 0) = *w;
	luaL_setmetatable(L, "rota.ref");
}

static void
actor_out(lua_State *L, int idx, struct enc *e)
{
	(void)e;
	lua_getiuservalue(L, idx, 1);
}

static void
actor_in(lua_State *L, int desc, const struct dec_src *src)
{
	(void)src;
	lua_newuserdatauv(L, 1, 1);
	lua_pushvalue(L, desc);
	lua_setiuservalue(L, -2, 1);
	luaL_setmetatable(L, "rota.actor");
}

static void
chan_out(lua_State *L, int idx, unsigned char body[13])
{
	memcpy(body, lua_touserdata(L, idx), 13);
}

static void
chan_in(lua_State *L, const unsigned char *body)
{
	memcpy(lua_newuserdatauv(L, 13, 0), body, 13);
	luaL_setmetatable(L, "rota.channel");
}

static const struct codec_hooks hooks = { .ref_out = ref_out, .ref_in = ref_in, .valref_in = ref_in, .actor_out = actor_out,
	.actor_in = actor_in, .chan_out = chan_out, .chan_in = chan_in, .node = "node" };

static lua_State *
state(void)
{
	static lua_State *L;

	if (L)
		return L;
	L = luaL_newstate();
	luaL_requiref(L, "string", luaopen_string, 1);
	luaL_requiref(L, "math", luaopen_math, 1);
	codec_open(L, &hooks);
	luaL_newmetatable(L, "rota.ref");
	luaL_newmetatable(L, "rota.actor");
	luaL_newmetatable(L, "rota.channel");
	lua_register(L, "buffer", buffer_l_new);
	lua_settop(L, 0);
	return L;
}

static bool
has_code(const unsigned char *p, size_t n)		/* what begins as a dump of string.dump, anywhere */
{
	return n >= 4 && memmem(p, n, LUA_SIGNATURE, 4) != NULL;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static const unsigned char some[4096];
	struct enc_seg seg[3] = { { some, 0 }, { some, 1100 }, { some, sizeof some } };
	struct dec_src src = { .seg = seg, .nseg = 3 };
	struct enc e = ENC_INIT;
	lua_State *L = state();
	unsigned nvals, flags;
	unsigned char *q;
	int top, r;

	if (n < 2 || has_code(p, n))
		return;
	nvals = p[0];
	flags = (p[1] & 1 ? VAL_ALLOW_CODE : 0u) | (p[1] & 2 ? DEC_STRINGS : 0u);
	seg[0].n = p[1] >> 2;
	q = fuzz_copy(p + 2, n -= 2);
	lua_pushinteger(L, 7);				/* the anchor */
	src.anchor = p[1] & 4 ? 1 : 0;
	r = dec_values(L, q, n, nvals, &src, flags);
	free(q);
	if (r < 0) {
		fuzz_must(lua_gettop(L) == 2 && (lua_type(L, 2) == LUA_TSTRING || r == ERR_TASK));
	} else {
		fuzz_must(lua_gettop(L) == (int)nvals + 1);
		e.flags = (p[1] & 8 ? ENC_TOPREF : 0u) | (p[1] & 16 ? ENC_INLINE : 0u) | (p[1] & 32 ? ENC_NOCODE : 0u);
		top = lua_gettop(L);
		r = enc_values(L, &e, 2, top, "value");
		fuzz_must(lua_gettop(L) == top + (r < 0));
		if (r == 0) {
			fuzz_must(val_check(e.b.data, e.b.len, e.nvals, VAL_ALLOW_CODE) == 0);
			src = (struct dec_src){ .seg = e.seg, .nseg = e.nseg };
			r = dec_values(L, e.b.data, e.b.len, e.nvals, &src, VAL_ALLOW_CODE);
			fuzz_must(r == 0 && lua_gettop(L) == top + (int)e.nvals);
		}
		enc_release(L, &e);
	}
	lua_settop(L, 0);
	lua_gc(L, LUA_GCCOLLECT);
}

void
fuzz_seeds(void)
{
	static const char *const code[] = {
		"return 1, 'two', 3.5, {1, 2, {a = 'b', [3] = false}}, nil, -70000, ('s'):rep(40)",
		"local t = {} t[1] = t t.x = {t, t} return t, t, {{}, {}}",
		"return string, string.rep, math, _G, {math.pi}",
		"return buffer{1, 2, 3}, buffer(5)",
		"return ('x'):rep(2000)",
	};
	lua_State *L = state();

	for (unsigned i = 0; i < sizeof code / sizeof *code; i++) {
		struct enc e = { .flags = i & 1 ? ENC_INLINE : 0 };
		struct buf b = BUF_INIT;
		unsigned char head[2];

		if (luaL_dostring(L, code[i]) != LUA_OK || enc_values(L, &e, 1, lua_gettop(L), "value") < 0) {
			fprintf(stderr, "seed %u: %s\n", i, lua_tostring(L, -1));
			abort();
		}
		head[0] = (unsigned char)e.nvals;
		head[1] = 1;
		buf_add(&b, head, 2);
		buf_add(&b, e.b.data, e.b.len);
		enc_release(L, &e);
		lua_settop(L, 0);
		fuzz_seed(b.data, b.len);
		buf_release(&b);
	}
}
