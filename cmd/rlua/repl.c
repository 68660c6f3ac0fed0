/*
 * The prompt: an expression shows its values, a statement that is not complete goes on with the next line.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/opt.h"
#include "rlua.h"

static void
prompt(lua_State *L, bool first)
{
	if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL)
		fputs(first ? "> " : ">> ", stdout);
	else
		fputs(luaL_tolstring(L, -1, NULL), stdout);
	fflush(stdout);
}

/* pushes the next line; false at the end of the input */
static bool
read_line(lua_State *L, bool first)
{
	int top = lua_gettop(L);
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	prompt(L, first);
	lua_settop(L, top);
	if ((n = getline(&line, &cap, stdin)) < 0) {
		free(line);
		return false;
	}
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (first && n > 0 && line[0] == '=') {
		lua_pushliteral(L, "return ");
		lua_pushlstring(L, line + 1, (size_t)n - 1);
		lua_concat(L, 2);
	} else {
		lua_pushlstring(L, line, (size_t)n);
	}
	free(line);
	return true;
}

static bool
incomplete(lua_State *L, int status)
{
	static const char mark[] = "<eof>";
	const char *text;
	size_t n;

	if (status != LUA_ERRSYNTAX || (text = lua_tolstring(L, -1, &n)) == NULL || n < sizeof mark - 1 ||
	    strcmp(text + n - (sizeof mark - 1), mark) != 0)
		return false;
	lua_pop(L, 1);
	return true;
}

/* the line at 1 as an expression: its chunk is pushed, or nothing */
static int
as_expression(lua_State *L)
{
	const char *text = lua_pushfstring(L, "return %s", lua_tostring(L, 1));
	int e = luaL_loadbuffer(L, text, strlen(text), "=stdin");

	if (e == LUA_OK)
		lua_remove(L, -2);
	else
		lua_pop(L, 2);
	return e;
}

/* the line at 1 as statements, with as many lines more as they need */
static int
as_statements(lua_State *L)
{
	for (;;) {
		size_t n;
		const char *text = lua_tolstring(L, 1, &n);
		int e = luaL_loadbuffer(L, text, n, "=stdin");

		if (!incomplete(L, e))
			return e;
		if (!read_line(L, false))
			return luaL_loadbuffer(L, text, n, "=stdin");	/* its error is told */
		lua_pushliteral(L, "\n");
		lua_insert(L, -2);
		lua_concat(L, 3);
	}
}

/* a chunk, or a message; -1 at the end of the input */
static int
load(lua_State *L)
{
	int e;

	lua_settop(L, 0);
	if (!read_line(L, true))
		return -1;
	if ((e = as_expression(L)) != LUA_OK)
		e = as_statements(L);
	lua_remove(L, 1);
	return e;
}

static void
show(lua_State *L)
{
	int n = lua_gettop(L);

	if (n == 0)
		return;
	luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
	lua_getglobal(L, "print");
	lua_insert(L, 1);
	if (run_call(L, n, 0) != LUA_OK)
		warn(0, "error calling 'print' (%s)", lua_tostring(L, -1));
}

void
repl(lua_State *L, bool quiet)
{
	int e;

	if (!quiet)
		opt_version();
	run_library(L, "rota");
	while ((e = load(L)) != -1) {
		if (e == LUA_OK)
			e = run_call(L, 0, LUA_MULTRET);
		if (e == LUA_OK)
			show(L);
		else
			run_report(L, e);
	}
	lua_settop(L, 0);
	if (!ferror(stdout))
		putchar('\n');
}
