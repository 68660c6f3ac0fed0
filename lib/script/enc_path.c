/*
 * Messages of the encoder: what is wrong, and where in the value.
 */
#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>
#include "script/codec_priv.h"

static bool
is_name(const char *s)
{
	if (!strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"))
		return false;
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] == '\0';
}

static void
add_key(lua_State *L, luaL_Buffer *b, int key, bool field)	/* the key at that slot, as one would write it */
{
	const char *s;

	switch (lua_type(L, key)) {
	case LUA_TSTRING:
		s = lua_tostring(L, key);
		if (field || is_name(s))
			lua_pushfstring(L, field ? "field '%s'" : ".%s", s);
		else
			lua_pushfstring(L, "[\"%s\"]", s);
		break;
	case LUA_TNUMBER:
		lua_pushvalue(L, key);
		lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
		lua_remove(L, -2);
		break;
	case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, key) ? "[true]" : "[false]"); break;
	default: lua_pushfstring(L, "[%s]", luaL_typename(L, key));
	}
	luaL_addvalue(b);
}

static bool			/* after an upvalue the path is told in words: -> field 'x' */
add_path(lua_State *L, luaL_Buffer *b, const struct codec_path *p)
{
	bool words;

	if (!p)
		return false;
	words = add_path(L, b, p->up);
	if (p->kind == PATH_UPVALUE) {
		lua_pushfstring(L, words ? " -> upvalue '%s'" : ": upvalue '%s'", p->name);
		luaL_addvalue(b);
		return true;
	}
	if (words)
		luaL_addstring(b, " -> ");
	if (p->kind == PATH_KEY)
		add_key(L, b, p->key, words);
	else {
		lua_pushfstring(L, "[%I]", (LUAI_UACINT)p->i);
		luaL_addvalue(b);
	}
	return words;
}

void
enc_fail(struct enc_run *r, const struct codec_path *path, const char *fmt, ...)
{
	lua_State *L = r->L;
	luaL_Buffer b;
	va_list ap;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	luaL_buffinit(L, &b);
	if (r->nvals > 1 || strcmp(r->what, "argument") == 0 || strcmp(r->what, "result") == 0)
		lua_pushfstring(L, "%s %d", r->what, r->top);
	else
		lua_pushstring(L, r->what);
	luaL_addvalue(&b);
	add_path(L, &b, path);
	luaL_addstring(&b, ": ");
	va_start(ap, fmt);
	lua_pushvfstring(L, fmt, ap);
	va_end(ap);
	luaL_addvalue(&b);
	luaL_pushresult(&b);
	if (!r->code)
		r->code = ERR_VALUE;
	lua_error(L);
	__builtin_unreachable();	/* lua_error is not declared so */
}
