/* l_nd_random - buffers of random numbers: rota.buffer.rng(seed), rota.buffer.random(shape [, seed]). */
#include <lauxlib.h>
#include <time.h>
#include "script/buffer.h"

static int
f_rng(lua_State *L)			/* rng([seed]) -> generator */
{
	struct nd_rng *r;
	struct timespec now;
	uint64_t seed;

	if (lua_isnoneornil(L, 1)) {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec << 20 ^ (uintptr_t)L;
	} else
		seed = (uint64_t)luaL_checkinteger(L, 1);
	r = lua_newuserdatauv(L, sizeof *r, 0);
	nd_rng_seed(r, seed);
	luaL_setmetatable(L, "rota.buffer.rng");
	return 1;
}

static int
draw(lua_State *L, enum nd_dist d, unsigned def)	/* rng:kind(shape [, a, b [, type]]) */
{
	struct nd_rng *r = luaL_checkudata(L, 1, "rota.buffer.rng");
	struct nd_num a = { .kind = 'f' }, b = { .kind = 'f', .re = 1 };
	struct buffer *out;
	int e;

	lua_settop(L, 5);
	lua_rotate(L, 1, -1);			/* the generator goes last: it is still needed */
	if (lua_isnil(L, 4)) {
		lua_pushstring(L, nd_word(def));
		lua_replace(L, 4);
	}
	if (d == ND_INTEGERS) {
		a = (struct nd_num){ .kind = 'i', .i = luaL_checkinteger(L, 2) };
		b = (struct nd_num){ .kind = 'i', .i = luaL_checkinteger(L, 3) };
		luaL_argcheck(L, a.i <= b.i, 3, "the range is empty");
	} else {
		a.re = luaL_optnumber(L, 2, 0);
		b.re = luaL_optnumber(L, 3, 1);
	}
	out = buffer_shaped(L, 4);
	if ((e = nd_random(&out->a, r, d, a, b)) < 0)
		return luaL_error(L, "a random number does not fit an element of type %s", nd_word(out->a.type));
	return 1;
}

static int
rng_uniform(lua_State *L)
{
	return draw(L, ND_UNIFORM, ND_F64);
}

static int
rng_normal(lua_State *L)
{
	return draw(L, ND_NORMAL, ND_F64);
}

static int
rng_integers(lua_State *L)
{
	return draw(L, ND_INTEGERS, ND_I64);
}

static int
rng_shuffle(lua_State *L)		/* rng:shuffle(b) -> b, its rows in another order */
{
	struct nd_rng *r = luaL_checkudata(L, 1, "rota.buffer.rng");
	int e;

	if ((e = nd_shuffle(&buffer_writable(L, 2)->a, r)) < 0)
		return buffer_raise(L, e, "shuffle", NULL, NULL);
	lua_settop(L, 2);
	return 1;
}

static int
rng_permutation(lua_State *L)		/* rng:permutation(n) -> 1 .. n in some order */
{
	struct nd_rng *r = luaL_checkudata(L, 1, "rota.buffer.rng");
	struct nd_num one = { .kind = 'i', .i = 1 };
	int64_t n = luaL_checkinteger(L, 2);
	struct buffer *b;

	luaL_argcheck(L, n >= 0, 2, "a number of elements expected");
	b = buffer_push(L, ND_I64, 1, &n);
	nd_range(&b->a, one, one);
	nd_shuffle(&b->a, r);
	return 1;
}

static int
f_random(lua_State *L)			/* random(shape [, seed [, type]]): of [0, 1) */
{
	lua_settop(L, 3);
	lua_pushcfunction(L, rng_uniform);
	lua_pushcfunction(L, f_rng);
	lua_pushvalue(L, 2);
	lua_call(L, 1, 1);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	lua_pushnil(L);
	lua_pushvalue(L, 3);
	lua_call(L, 5, 1);
	return 1;
}

void
buffer_random_functions(lua_State *L)
{
	static const luaL_Reg functions[] = { {"rng", f_rng}, {"random", f_random}, {NULL, NULL} };
	static const luaL_Reg rng[] = { {"uniform", rng_uniform}, {"normal", rng_normal}, {"integers", rng_integers},
	    {"shuffle", rng_shuffle}, {"permutation", rng_permutation}, {NULL, NULL} };

	luaL_setfuncs(L, functions, 0);
	if (luaL_newmetatable(L, "rota.buffer.rng")) {
		luaL_newlib(L, rng);
		lua_setfield(L, -2, "__index");
	}
	lua_pop(L, 1);
}
