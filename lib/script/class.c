/*
 * class - rota.class(name, class [, module]): instances of a class travel as its name and their fields.
 *
 * A class is the metatable of its instances (or the __index of it).  With __pack(self) -> value [, module] and
 * __unpack(value) -> object it says itself what travels.  Where the name is not known, the module is required,
 * if there is one; else the resolver asks the driver for the class.  A class met as a value travels by name too,
 * so that what a shipped constructor makes is of the very class that the name stands for.
 *
 * The name in the body of CLASS: name [NUL module [NUL "class"]]; an empty name: the module itself is the class;
 * the third word: the class itself is meant, the value is nil.
 */
#include <lauxlib.h>
#include <string.h>
#include "script/codec_priv.h"
#include "script/func.h"

#define CLASSES "rota.classes"		/* registry: name -> class, class -> name[NUL module] */

void
class_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	lua_pop(L, 1);
}

static void
class_register(lua_State *L, int idx, const char *name, size_t n)	/* name with its module */
{
	struct codec_state *st = codec_state(L);

	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	lua_pushvalue(L, idx);
	lua_setfield(L, -2, name);		/* up to the NUL */
	lua_pushvalue(L, idx);
	lua_pushlstring(L, name, n);
	lua_rawset(L, -3);
	lua_pop(L, 1);
	if (map_put(&st->classes, (uintptr_t)lua_topointer(L, idx), st) < 0)
		luaL_error(L, "not enough memory");
}

int
class_l_class(lua_State *L)
{
	size_t n, nm = 0;
	const char *name = luaL_checklstring(L, 1, &n), *module = luaL_optlstring(L, 3, NULL, &nm);

	luaL_argcheck(L, n > 0 && n < 256 && strlen(name) == n, 1, "a short name expected");
	luaL_argcheck(L, nm < 256 && (!module || strlen(module) == nm), 3, "the name of a module expected");
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_pushliteral(L, "__index");
	if (lua_rawget(L, 2) == LUA_TNIL) {	/* else it says itself where methods are */
		lua_pushvalue(L, 2);
		lua_setfield(L, 2, "__index");
	}
	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	if (lua_getfield(L, -1, name) != LUA_TNIL && !lua_rawequal(L, -1, 2)) {
		lua_pushnil(L);			/* the new one takes the name: a module that was loaded again */
		lua_rawset(L, -3);
	}
	lua_pushlstring(L, name, n);
	if (module) {
		lua_pushlstring(L, "", 1);
		lua_pushvalue(L, 3);
		lua_concat(L, 3);
	}
	name = lua_tolstring(L, -1, &n);
	class_register(L, 2, name, n);
	lua_pushvalue(L, 2);
	return 1;
}

bool
class_by_name(lua_State *L, const char *name, size_t n)
{
	struct codec_state *st;
	int top = lua_gettop(L);

	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	lua_pushlstring(L, name, n);
	if (lua_rawget(L, -2) == LUA_TTABLE) {
		lua_remove(L, -2);
		return true;
	}
	st = codec_state(L);
	if (resolve_ask(L, st, 'c', name, n) && lua_istable(L, -1)) {	/* {class, its metatable} */
		lua_rawgeti(L, -1, 1);
		lua_rawgeti(L, -2, 2);
		if (lua_istable(L, -2)) {
			if (lua_istable(L, -1))
				lua_setmetatable(L, -2);
			else
				lua_pop(L, 1);
			lua_replace(L, top + 1);
			lua_settop(L, top + 1);
			class_register(L, top + 1, name, n);
			return true;
		}
	}
	lua_settop(L, top);
	return false;
}

/* --- encoding --- */

/* The name of a global that is this metatable or its __index, or NULL; leaves something on the stack. */
static const char *
global_name(lua_State *L, int mt)
{
	int index = lua_gettop(L) + 1;

	lua_pushliteral(L, "__index");
	lua_rawget(L, mt);
	lua_pushglobaltable(L);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)
		    && (lua_rawequal(L, -1, mt) || lua_rawequal(L, -1, index))) {
			lua_pop(L, 1);
			return lua_tostring(L, -1);
		}
		lua_pop(L, 1);
	}
	return NULL;
}

static _Noreturn void
no_name(struct enc_run *r, int mt, const struct codec_path *path)
{
	lua_State *L = r->L;
	const char *class = "Point", *name = "point", *s;
	luaL_Buffer b;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	lua_pushliteral(L, "__name");
	if (lua_rawget(L, mt) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "rota.dag symbol") == 0)
		enc_fail(r, path, "a symbol of rota.dag cannot travel: only methods of actors take what a graph's function is given");
	if ((s = global_name(L, mt))) {
		class = s;
		luaL_buffinit(L, &b);
		for (; *s; s++)
			luaL_addchar(&b, (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s));
		luaL_pushresult(&b);
		name = lua_tostring(L, -1);
	}
	enc_fail(r, path, "has a metatable; give the class a name with rota.class(\"%s\", %s)", name, class);
}

/* Pushes the name of the class whose instances have the metatable at mt, and the class; false: pushes nothing. */
static bool
class_of(lua_State *L, int mt)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	lua_pushvalue(L, mt);
	if (lua_rawget(L, -2) == LUA_TSTRING) {
		lua_pushvalue(L, mt);
		lua_remove(L, -3);
		return true;
	}
	lua_pop(L, 1);
	lua_pushliteral(L, "__index");
	if (lua_rawget(L, mt) == LUA_TTABLE) {
		lua_pushvalue(L, -1);
		if (lua_rawget(L, -3) == LUA_TSTRING) {
			lua_insert(L, -2);
			lua_remove(L, -3);
			return true;
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 2);
	return false;
}

void
enc_class(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	int mt = lua_gettop(L), name = mt + 1;
	const char *s;
	bool packed;
	size_t at, n;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (r->e->flags & ENC_NOCODE)
		enc_fail(r, path, "an instance of a class cannot travel here");
	lua_pushliteral(L, "__pack");
	packed = lua_rawget(L, mt) != LUA_TNIL;
	lua_pop(L, 1);
	if (!class_of(L, mt)) {
		if (!packed && enc_by_name(r, idx, true))
			return;
		if (!packed)
			no_name(r, mt, path);
		lua_pushliteral(L, "");
		lua_pushvalue(L, mt);
	}
	if (!packed && lua_getfield(L, name + 1, "__pack") != LUA_TNIL)
		packed = true;
	if (enc_seen(r, lua_topointer(L, idx)))
		goto out;
	if (packed && !enc_kept(r, idx)) {		/* -> {name, value}, once for both passes */
		lua_getfield(L, name + 1, "__pack");
		lua_pushvalue(L, idx);
		lua_call(L, 1, 2);
		if (lua_type(L, -1) == LUA_TSTRING) {
			lua_pushfstring(L, "%s", lua_tostring(L, name));	/* up to the NUL */
			lua_pushlstring(L, "", 1);
			lua_pushvalue(L, -3);
			lua_concat(L, 3);
			lua_replace(L, name);
		}
		lua_pop(L, 1);
		if (lua_rawlen(L, name) == 0)
			enc_fail(r, path, "its __pack gives a value, but no name of a module to unpack it");
		lua_createtable(L, 2, 0);
		lua_pushvalue(L, name);
		lua_rawseti(L, -2, 1);
		lua_pushvalue(L, -2);
		lua_rawseti(L, -2, 2);
		enc_keep(r, idx);
	}
	if (packed) {
		lua_rawgeti(L, -1, 1);
		lua_replace(L, name);
		lua_rawgeti(L, -1, 2);
	}
	at = enc_open(r);
	s = lua_tolstring(L, name, &n);
	enc_str(r, s, n);
	if (packed)
		enc_any(r, lua_gettop(L), path, depth + 1);
	else
		enc_fields(r, idx, KIND_NONE, path, depth + 1);
	mp_ext_close(&r->e->b, at, VAL_CLASS);
	r->e->flags |= ENC_CODE;
out:
	lua_settop(L, mt);
}

bool
enc_class_itself(struct enc_run *r, int idx)
{
	lua_State *L = r->L;
	const char *s;
	size_t at, n;

	if (!map_get(&r->st->classes, (uintptr_t)lua_topointer(L, idx)) || r->e->flags & ENC_NOCODE)
		return false;
	luaL_getsubtable(L, LUA_REGISTRYINDEX, CLASSES);
	lua_pushvalue(L, idx);
	if (lua_rawget(L, -2) != LUA_TSTRING) {
		lua_pop(L, 2);
		return false;
	}
	s = lua_tolstring(L, -1, &n);
	lua_pushlstring(L, s, n);
	lua_pushlstring(L, strlen(s) == n ? "\0\0class" : "\0class", strlen(s) == n ? 7 : 6);
	lua_concat(L, 2);
	s = lua_tolstring(L, -1, &n);
	at = enc_open(r);
	enc_str(r, s, n);
	enc_room(r, 1);
	mp_put_nil(&r->e->b);
	mp_ext_close(&r->e->b, at, VAL_CLASS);
	r->e->flags |= ENC_CODE;
	lua_pop(L, 3);
	return true;
}

/* --- decoding --- */

static void
push_class(struct dec_run *d, const char *name, size_t n, const char *module)	/* module NULL: none was named */
{
	lua_State *L = d->L;

	if (n) {
		if (!class_by_name(L, name, n) && module && *module) {
			dec_named(d, module, strlen(module), false);
			lua_pop(L, 1);
		} else if (lua_istable(L, -1))
			return;
		if (!class_by_name(L, name, n))
			dec_fail(d, ERR_VALUE, "class '%s' is not known here; "
			    "call rota.class in a module that both sides require", name);
		return;
	}
	if (!module || !*module)
		dec_fail(d, ERR_PROTO, "malformed value");
	dec_named(d, module, strlen(module), false);
	if (!lua_istable(L, -1))
		dec_fail(d, ERR_VALUE, "module '%s' is no class", module);
}

void
dec_class(struct dec_run *d, int depth, long num)
{
	lua_State *L = d->L;
	int top = lua_gettop(L), class = top + 2;
	const char *name, *module = NULL;
	struct mp_tok t;
	struct mp peek;
	size_t n;

	if (mp_next(&d->m, &t) < 0 || t.kind != MP_STR || t.n == 0)
		dec_fail(d, ERR_PROTO, "malformed value");
	name = lua_pushlstring(L, (const char *)t.p, t.n);
	n = strlen(name);
	if (n < t.n)
		module = name + n + 1;
	push_class(d, name, n, module);			/* Lua's strings end with a NUL of their own */
	lua_settop(L, class);
	if (module && (size_t)(module - name) + strlen(module) < t.n) {	/* the class itself */
		if (mp_next(&d->m, &t) < 0 || t.kind != MP_NIL)
			dec_fail(d, ERR_PROTO, "malformed value");
	} else if (lua_getfield(L, class, "__unpack") != LUA_TNIL) {
		dec_any(d, depth + 1, DEC_NONE);
		lua_call(L, 1, 1);
	} else {
		peek = d->m;				/* what __pack gave may be shared itself */
		if (mp_next(&peek, &t) == 0 && t.kind == MP_EXT && t.ext == VAL_SHARED) {
			dec_any(d, depth + 1, DEC_NONE);
			dec_share(d, num);
		} else
			dec_any(d, depth + 1, num);
		if (!lua_istable(L, -1))
			dec_fail(d, ERR_VALUE, "class '%s' has no __unpack for what its __pack gave", name);
		lua_pushvalue(L, class);
		lua_setmetatable(L, -2);
	}
	lua_replace(L, top + 1);
	lua_settop(L, top + 1);
	dec_share(d, num);
}
