/*
 * The resolver: globals, Lua modules and classes that a worker lacks are asked of the job's driver, once.
 *
 * An answer is a byte and what belongs to it: 'v' one encoded value; 's' chunk name, NUL, source text; 'n' there is
 * no such thing; 'x' the reason why it cannot travel.  'n' and 'x' are remembered in registry["rota.absent"].
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script/codec_priv.h"
#include "script/func.h"

#define ABSENT "rota.absent"		/* global name -> true or the reason */
#define NAME_LONGEST 200u
#define DEPTH 16			/* questions within answers */
#define SOURCE_MAX (64 << 20)

/* --- the worker's side --- */

/* names that programs try, to learn which Lua they run on; arg is nil on a worker by intent */
static const char *const never[] = { "arg", "bit", "bit32", "cjson", "getfenv", "jit", "loadstring", "module", "newproxy",
	"ngx", "setfenv", "unpack", "_DEBUG", "_PROMPT", "_PROMPT2", "_TEST" };

static int
ask_protected(lua_State *L)		/* (state, kind, name) -> tag, value | text | reason | nil */
{
	struct codec_state *st = lua_touserdata(L, 1);
	size_t n, len;
	const char *name = lua_tolstring(L, 3, &n), *a;

	if (st->ask(L, (char)lua_tointeger(L, 2), name, n) < 0)
		return 0;
	if (!(a = lua_tolstring(L, -1, &len)) || len == 0)
		return luaL_error(L, "malformed answer of the driver");
	lua_pushlstring(L, a, 1);
	if (*a != 'v')
		lua_pushlstring(L, a + 1, len - 1);
	else if (dec_values(L, (const unsigned char *)a + 1, len - 1, 1, NULL, VAL_ALLOW_CODE) < 0)
		return lua_error(L);
	return 2;
}

static char			/* tag, 0: nobody answers; pushes one value */
ask_driver(lua_State *L, struct codec_state *st, char kind, const char *name, size_t n)
{
	int top = lua_gettop(L);
	char tag = 0;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (!st->ask || n > NAME_LONGEST || st->asking >= DEPTH) {
		lua_pushnil(L);
		return 0;
	}
	lua_pushcfunction(L, ask_protected);
	lua_pushlightuserdata(L, st);
	lua_pushinteger(L, kind);
	lua_pushlstring(L, name, n);
	st->asking++;
	if (lua_pcall(L, 3, 2, 0) != LUA_OK)
		tag = 'x';			/* the message is the reason */
	else if (lua_type(L, top + 1) == LUA_TSTRING)
		tag = *lua_tostring(L, top + 1);
	st->asking--;
	lua_pushvalue(L, -1);
	lua_replace(L, top + 1);
	lua_settop(L, top + 1);
	return tag;
}

bool
resolve_ask(lua_State *L, struct codec_state *st, char kind, const char *name, size_t n)
{
	return ask_driver(L, st, kind, name, n) == 'v';
}

static bool
is_never(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof never / sizeof *never; i++)
		if (strcmp(name, never[i]) == 0)
			return true;
	return false;
}

static int
global_index(lua_State *L)		/* __index of _G; upvalue 1: what is absent */
{
	struct codec_state *st;
	const char *name;
	size_t n;
	char tag;

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 0;
	name = lua_tolstring(L, 2, &n);
	if (is_never(name))
		return 0;
	st = codec_state(L);
	if ((tag = ask_driver(L, st, 'g', name, n)) == 0)
		return 0;
	if (tag == 'v' && !lua_isnil(L, -1)) {
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_rawset(L, 1);
		return 1;
	}
	lua_pushvalue(L, 2);
	if (tag == 'x' && lua_type(L, -2) == LUA_TSTRING)
		lua_pushvalue(L, -2);
	else
		lua_pushboolean(L, true);
	lua_rawset(L, lua_upvalueindex(1));
	return 0;
}

static int
preloaded(lua_State *L)			/* loader of a module that came as a value: upvalue 1 */
{
	lua_pushvalue(L, lua_upvalueindex(1));
	return 1;
}

static int
searcher(lua_State *L)			/* the last of package.searchers; upvalue 1: answers that were no */
{
	size_t n, len;
	const char *name = luaL_checklstring(L, 1, &n), *s, *text;
	struct codec_state *st = codec_state(L);
	char tag;

	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) {
		lua_pop(L, 1);
		tag = ask_driver(L, st, 'm', name, n);
		if (tag == 's') {
			s = lua_tolstring(L, 2, &len);
			text = s + strlen(s) + 1;
			if (text > s + len)
				return luaL_error(L, "malformed answer of the driver");
			if (luaL_loadbufferx(L, text, (size_t)(s + len - text), s, NULL) != LUA_OK)
				return luaL_error(L, "error loading module '%s': %s", name, lua_tostring(L, -1));
			lua_pushliteral(L, ":driver:");
			return 2;
		}
		if (tag == 'v') {
			lua_pushcclosure(L, preloaded, 1);
			lua_pushliteral(L, ":driver:");
			return 2;
		}
		if (tag == 0) {
			lua_pushliteral(L, "no driver to ask");
			return 1;
		}
		if (lua_type(L, 2) != LUA_TSTRING || tag == 'n') {
			lua_settop(L, 1);
			lua_pushfstring(L, "the driver has no module '%s' either", name);
		}
		lua_pushvalue(L, 1);
		lua_pushboolean(L, tag == 'x');
		lua_rawset(L, lua_upvalueindex(2));
		lua_pushvalue(L, 1);
		lua_pushvalue(L, 2);
		lua_rawset(L, lua_upvalueindex(1));
	}
	lua_pushvalue(L, 1);
	lua_rawget(L, lua_upvalueindex(2));
	if (!lua_toboolean(L, -1)) {
		lua_settop(L, 2);
		return 1;
	}
	s = st->hooks->node;
	return luaL_error(L, "module '%s' is not installed%s%s (%s)", name, s ? " on " : "", s ? s : "", lua_tostring(L, 2));
}

void
func_install_resolver(lua_State *L, int (*ask)(lua_State *L, char kind, const char *name, size_t n))
{
	struct codec_state *st = codec_state(L);
	int top = lua_gettop(L);

	st->ask = ask;
	lua_pushglobaltable(L);
	lua_createtable(L, 0, 1);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, ABSENT);
	lua_pushcclosure(L, global_index, 1);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (lua_getfield(L, -1, "package") == LUA_TTABLE && lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
		lua_newtable(L);
		lua_newtable(L);
		lua_pushcclosure(L, searcher, 2);
		lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	}
	lua_settop(L, top);
}

bool
func_hint(lua_State *L, int idx)
{
	const char *msg = lua_tostring(L, idx), *name, *end;
	int top = lua_gettop(L);

	if (!msg || !(name = strstr(msg, "global '")) || !(end = strchr(name += 8, '\'')))
		return false;
	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 6, NULL);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, ABSENT);
	lua_pushlstring(L, name, (size_t)(end - name));
	if (lua_rawget(L, -2) != LUA_TSTRING) {
		lua_settop(L, top);
		return false;
	}
	lua_pushfstring(L, "%s (a global of the script; it could not travel: %s)", msg, lua_tostring(L, -1));
	lua_replace(L, top + 1);
	lua_settop(L, top + 1);
	return true;
}

/* --- the driver's side --- */

struct answer {
	struct buf *out;
	const char *name;
	size_t n;
	char kind;
	struct enc e;
};

static void
add(lua_State *L, struct buf *out, const void *p, size_t n)
{
	if (buf_add(out, p, n) < 0)
		luaL_error(L, "not enough memory");
}

static void
say(lua_State *L, struct answer *a, char tag, const char *text)
{
	add(L, a->out, &tag, 1);
	add(L, a->out, text, strlen(text));
}

/* The value at idx as the answer; what it is called in messages; a table or module to be sent by value. */
static void
say_value(lua_State *L, struct answer *a, int idx, const char *what, const char *skipmod, const void *skip)
{
	struct enc_run r = { .what = what, .skipmod = skipmod, .skip = skip };
	const char *type = NULL, *s;

	a->e.flags |= ENC_INLINE;
	if (enc_protected(&a->e, L, &r, idx, idx) == 0) {
		add(L, a->out, "v", 1);
		add(L, a->out, a->e.b.data, a->e.b.len);
		return;
	}
	switch (lua_type(L, idx)) {		/* if it is that itself, one word will do */
	case LUA_TTHREAD: type = "coroutine"; break;
	case LUA_TFUNCTION: type = lua_iscfunction(L, idx) ? "C function" : NULL; break;
	case LUA_TUSERDATA: case LUA_TLIGHTUSERDATA: type = "userdata"; break;
	}
	s = lua_tostring(L, -1);
	say(L, a, 'x', type ? type : s ? s : "?");
}

static void
answer_global(lua_State *L, struct answer *a)
{
	lua_pushglobaltable(L);
	lua_pushlstring(L, a->name, a->n);
	if (lua_rawget(L, -2) == LUA_TNIL)
		say(L, a, 'n', "");
	else
		say_value(L, a, lua_gettop(L), a->name, NULL, NULL);
}

static void
answer_class(lua_State *L, struct answer *a)	/* {class, its metatable}, the class itself by value */
{
	const void *class;

	luaL_getsubtable(L, LUA_REGISTRYINDEX, "rota.classes");
	lua_pushlstring(L, a->name, a->n);
	if (lua_rawget(L, -2) != LUA_TTABLE) {
		say(L, a, 'n', "");
		return;
	}
	class = lua_topointer(L, -1);
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, 1);
	if (lua_getmetatable(L, -2))
		lua_rawseti(L, -2, 2);
	say_value(L, a, lua_gettop(L), "class", NULL, class);
}

static bool			/* false: a->out may hold a part, which is the caller's to drop */
read_source(lua_State *L, struct answer *a, const char *path)
{
	size_t n, start;
	bool good;
	FILE *f;

	say(L, a, 's', "@");
	add(L, a->out, path, strlen(path) + 1);
	start = a->out->len;
	if (!(f = fopen(path, "rbe")))
		return false;
	do {
		if (buf_reserve(a->out, BUFSIZ) < 0)
			break;
		n = fread(a->out->data + a->out->len, 1, BUFSIZ, f);
		a->out->len += n;
	} while (n && a->out->len - start < SOURCE_MAX);
	good = !ferror(f) && feof(f);
	fclose(f);
	n = a->out->len - start;
	if (n && a->out->data[start] == '#')	/* a #! line is a comment, as where Lua reads files */
		memcpy(a->out->data + start, n > 1 && a->out->data[start + 1] != '\n' ? "--" : " ",
		    n > 1 && a->out->data[start + 1] != '\n' ? 2 : 1);
	return good;
}

/* Calls package.searchpath(name, package[path]); pushes the file's name and returns true, else pushes nothing. */
static bool
search(lua_State *L, const char *name, const char *path)
{
	int top = lua_gettop(L);

	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (lua_getfield(L, -1, "package") == LUA_TTABLE && lua_getfield(L, -1, "searchpath") == LUA_TFUNCTION) {
		lua_pushstring(L, name);
		if (lua_getfield(L, top + 2, path) == LUA_TSTRING && lua_pcall(L, 2, 1, 0) == LUA_OK && lua_isstring(L, -1)) {
			lua_replace(L, top + 1);
			lua_settop(L, top + 1);
			return true;
		}
	}
	lua_settop(L, top);
	return false;
}

static void
answer_module(lua_State *L, struct answer *a)
{
	size_t at = a->out->len;

	if (search(L, a->name, "path")) {
		if (read_source(L, a, lua_tostring(L, -1)))
			return;
		a->out->len = at;
		lua_pop(L, 1);
	}
	if (search(L, a->name, "cpath")) {
		say(L, a, 'x', "C modules do not travel");
		return;
	}
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (lua_getfield(L, -1, a->name) == LUA_TTABLE)		/* made by the script: package.loaded.x = {...} */
		say_value(L, a, lua_gettop(L), a->name, a->name, lua_topointer(L, -1));
	else
		say(L, a, 'n', "");
}

static int
answer_protected(lua_State *L)
{
	struct answer *a = lua_touserdata(L, 1);

	switch (a->kind) {
	case 'g': answer_global(L, a); break;
	case 'm': answer_module(L, a); break;
	case 'c': answer_class(L, a); break;
	default: say(L, a, 'n', "");
	}
	return 0;
}

int
func_answer(lua_State *L, char kind, const char *name, size_t n, struct buf *out)
{
	struct answer a = { .out = out, .kind = kind, .n = n, .e = ENC_INIT };
	size_t at = out->len, len;
	int top = lua_gettop(L), ret = 0;
	const char *s;

	if (!lua_checkstack(L, 8))
		return -ENOMEM;
	a.name = lua_pushlstring(L, name, n);		/* with a NUL */
	lua_pushcfunction(L, answer_protected);
	lua_pushlightuserdata(L, &a);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		out->len = at;
		s = lua_tolstring(L, -1, &len);
		if (buf_add(out, "x", 1) < 0 || buf_add(out, s ? s : "?", s ? len : 1) < 0)
			ret = -ENOMEM;
	}
	enc_release(L, &a.e);
	lua_settop(L, top);
	return ret;
}
