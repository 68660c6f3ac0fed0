/* l_nd_exchange - buffers as DLPack and Arrow structures, and back, without copying. */
#include <lauxlib.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "nd/abi.h"
#include "script/buffer.h"

/*
 * Elements that the Lua state keeps alive: exported, they are anchored in the registry.  Whoever releases them may be
 * another thread, which must not touch the state: it only puts them on a list, which is emptied at the next export or
 * import.  The list outlives the state as long as somebody may still release.
 */
struct kept {
	struct kept *next;
	struct keeper *keeper;
	int ref;
};
struct keeper {
	pthread_mutex_t lock;
	struct kept *released;
	long users;			/* the state and each struct kept that is out */
};

static void
keeper_leave(struct keeper *k)		/* locked; unlocks */
{
	bool last = --k->users == 0;

	pthread_mutex_unlock(&k->lock);
	if (last) {
		while (k->released) {
			struct kept *next = k->released->next;

			free(k->released);
			k->released = next;
		}
		pthread_mutex_destroy(&k->lock);
		free(k);
	}
}

static void
kept_release(void *arg)
{
	struct kept *x = arg;
	struct keeper *k = x->keeper;

	pthread_mutex_lock(&k->lock);
	x->next = k->released;
	k->released = x;
	keeper_leave(k);
}

static int
keeper_gc(lua_State *L)
{
	struct keeper **k = lua_touserdata(L, 1);

	if (*k) {
		pthread_mutex_lock(&(*k)->lock);
		keeper_leave(*k);
		*k = NULL;
	}
	return 0;
}

static struct keeper *
keeper_of(lua_State *L)			/* of this state; lets go of what was released meanwhile */
{
	struct keeper **u, *k;
	struct kept *x, *next;

	if (lua_getfield(L, LUA_REGISTRYINDEX, "rota.buffer.keeper") == LUA_TNIL) {
		lua_pop(L, 1);
		u = lua_newuserdatauv(L, sizeof *u, 0);
		*u = NULL;
		if (luaL_newmetatable(L, "rota.buffer.keeper")) {
			lua_pushcfunction(L, keeper_gc);
			lua_setfield(L, -2, "__gc");
		}
		lua_setmetatable(L, -2);
		if (!(*u = calloc(1, sizeof **u)))
			luaL_error(L, "not enough memory");
		pthread_mutex_init(&(*u)->lock, NULL);
		(*u)->users = 1;
		lua_pushvalue(L, -1);
		lua_setfield(L, LUA_REGISTRYINDEX, "rota.buffer.keeper");
	}
	k = *(struct keeper **)lua_touserdata(L, -1);
	lua_pop(L, 1);
	pthread_mutex_lock(&k->lock);
	x = k->released;
	k->released = NULL;
	pthread_mutex_unlock(&k->lock);
	for (; x; x = next) {
		next = x->next;
		luaL_unref(L, LUA_REGISTRYINDEX, x->ref);
		free(x);
	}
	return k;
}

static void
mem_release(void *arg)
{
	nd_mem_drop(arg);
}

static struct nd_keep
keep(lua_State *L, int idx)		/* what keeps the elements of the buffer at idx alive */
{
	struct nd_keep r = { mem_release, NULL };
	struct keeper *k;
	struct kept *x;

	if ((r.arg = buffer_memory(L, idx)))
		return r;
	k = keeper_of(L);
	if (!(x = malloc(sizeof *x)))
		luaL_error(L, "not enough memory");
	lua_pushvalue(L, idx);
	*x = (struct kept){ NULL, k, luaL_ref(L, LUA_REGISTRYINDEX) };
	pthread_mutex_lock(&k->lock);
	k->users++;
	pthread_mutex_unlock(&k->lock);
	return (struct nd_keep){ kept_release, x };
}

static int
refuse(lua_State *L, int e, const char *form, const struct nd *a)
{
	switch (e) {
	case -EDOM: return a ? luaL_error(L, "%s has no type %s", form, nd_word(a->type)) :
	    luaL_error(L, "a structure of %s that no buffer can describe (type, device or axes)", form);
	case -EACCES: return luaL_error(L, "this buffer is read-only; b:to_dlpack(true) says so, b:copy() gives your own");
	case -EXDEV: return luaL_error(L, "%s has no such strides; b:copy() has none", form);
	case -ENOMEM: return luaL_error(L, "not enough memory");
	}
	return luaL_error(L, "no valid structure of %s", form);
}

/* --- DLPack --- */

static int
l_to_dlpack(lua_State *L)		/* b:to_dlpack([versioned]) -> light userdata; whoever takes it calls its deleter */
{
	struct nd a = buffer_check(L, 1)->a;
	struct nd_keep k = keep(L, 1);
	struct nd_dl_versioned *v;
	struct nd_dl_managed *t;
	int e;

	if (lua_toboolean(L, 2)) {
		if ((e = nd_to_dlpack_versioned(&v, &a, k)) == 0)
			lua_pushlightuserdata(L, v);
	} else if ((e = nd_to_dlpack(&t, &a, k)) == 0)
		lua_pushlightuserdata(L, t);
	if (e < 0) {
		k.release(k.arg);
		return refuse(L, e, "DLPack", &a);
	}
	return 1;
}

static int
f_from_dlpack(lua_State *L)		/* from_dlpack(p [, versioned]) */
{
	void *p = lua_touserdata(L, 1);
	struct nd_mem *m;
	struct nd a;
	int e;

	luaL_argcheck(L, p, 1, "a pointer to a DLManagedTensor expected");
	keeper_of(L);
	e = lua_toboolean(L, 2) ? nd_from_dlpack_versioned(&a, &m, p) : nd_from_dlpack(&a, &m, p);
	if (e < 0)
		return refuse(L, e, "DLPack", NULL);
	buffer_push_mem(L, &a, m);
	return 1;
}

/* --- Arrow --- */

static int
schema_gc(lua_State *L)
{
	struct ArrowSchema *s = luaL_checkudata(L, 1, "rota.buffer.arrow_schema");

	if (s->release)
		s->release(s);
	return 0;
}

static int
array_gc(lua_State *L)
{
	struct ArrowArray *a = luaL_checkudata(L, 1, "rota.buffer.arrow_array");

	if (a->release)
		a->release(a);
	return 0;
}

static void *
structure(lua_State *L, int arg, size_t size, const char *type, lua_CFunction gc)	/* the caller's at arg, or a new one */
{
	void *p = lua_touserdata(L, arg);

	if (!lua_isnoneornil(L, arg)) {
		luaL_argcheck(L, p, arg, "a pointer to a structure of Arrow expected");
		lua_pushvalue(L, arg);
		return p;
	}
	p = memset(lua_newuserdatauv(L, size, 0), 0, size);
	if (luaL_newmetatable(L, type)) {
		lua_pushcfunction(L, gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return p;
}

static int
l_to_arrow(lua_State *L)		/* b:to_arrow([schema, array]) -> both: the caller's, filled, or new ones */
{
	struct nd a = buffer_check(L, 1)->a;
	struct ArrowSchema *s;
	struct ArrowArray *r;
	struct nd_keep k;
	int e;

	lua_settop(L, 3);
	s = structure(L, 2, sizeof *s, "rota.buffer.arrow_schema", schema_gc);
	r = structure(L, 3, sizeof *r, "rota.buffer.arrow_array", array_gc);
	if (!nd_packed(&a)) {
		a = buffer_push_packed(L, &a)->a;
		lua_replace(L, 1);
	}
	k = keep(L, 1);
	if ((e = nd_to_arrow(s, r, &a, k)) < 0) {
		k.release(k.arg);
		return refuse(L, e, "Arrow", &a);
	}
	return 2;
}

static int
f_from_arrow(lua_State *L)		/* from_arrow(schema, array) -> buffer [, buffer of bool: false where it is null] */
{
	struct ArrowSchema *s = lua_touserdata(L, 1);
	struct ArrowArray *r = lua_touserdata(L, 2);
	struct nd_mem *m, *vm;
	struct nd a, valid;
	int e;

	luaL_argcheck(L, s, 1, "a pointer to an ArrowSchema expected");
	luaL_argcheck(L, r, 2, "a pointer to an ArrowArray expected");
	keeper_of(L);
	if ((e = nd_from_arrow(&a, &m, &valid, &vm, s, r)) < 0)
		return refuse(L, e, "Arrow", NULL);
	lua_settop(L, 2);
	buffer_push_mem(L, &a, m);
	if (vm)
		buffer_push_mem(L, &valid, vm);
	return vm ? 2 : 1;
}

void
buffer_exchange_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"to_dlpack", l_to_dlpack}, {"to_arrow", l_to_arrow}, {NULL, NULL} };

	luaL_setfuncs(L, methods, 0);
}

void
buffer_exchange_functions(lua_State *L)
{
	static const luaL_Reg functions[] = { {"from_dlpack", f_from_dlpack}, {"from_arrow", f_from_arrow}, {NULL, NULL} };

	luaL_setfuncs(L, functions, 0);
}
