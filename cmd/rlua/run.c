/*
 * Running chunks: with a traceback when they fail, and Ctrl-C as an error in them.  The handler only sets a hook, which
 * raises at the next instruction; a second Ctrl-C finds the default action.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/die.h"
#include "rlua.h"
#include "script/codec.h"
#include "script/script.h"

static lua_State *running;			/* for the handler; set while it is installed */
static volatile sig_atomic_t came;		/* Ctrl-C, during the last run_call */
static bool ended, failed;

static void
stop(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_sethook(L, NULL, 0, 0);
	luaL_error(L, "interrupted!");
}

static void
on_int(int sig)
{
	(void)sig;
	came = 1;				/* SA_RESETHAND: the next one ends us */
	lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
	if (script_of(running)->c)
		client_poke(script_of(running)->c);	/* a wait that has not begun to sleep ends too */
}

static void
set_int(void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
}

static const char *
raw_string(lua_State *L, const char *field)	/* of the value at 1, NULL if it is none; stays on the stack */
{
	lua_pushstring(L, field);
	lua_rawget(L, 1);
	return lua_tostring(L, -1);
}

static int
handler(lua_State *L)
{
	const char *text = lua_tostring(L, 1), *trace, *task;

	if (errobj_test(L, 1)) {
		const char *code = raw_string(L, "code");

		failed = code && strcmp(code, "no_cluster") == 0;
	}
	if (text == NULL) {
		if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
			if (!errobj_test(L, 1))
				return 1;
			text = lua_tostring(L, -1);
			task = raw_string(L, "task");
			if ((trace = raw_string(L, "traceback")))	/* where it was, then who waited for it */
				text = lua_pushfstring(L, "%s\nin task %s, %s", text, task ? task : "?", trace);
		} else
			text = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
	}
	luaL_traceback(L, L, text, 1);
	return 1;
}

/* A shell starts what it puts in the background with SIGINT ignored: that stays so. */
static bool
ignored(void)
{
	struct sigaction sa;

	return sigaction(SIGINT, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

int
run_call(lua_State *L, int narg, int nres)
{
	int base = lua_gettop(L) - narg, e;
	bool quiet = ignored();

	lua_pushcfunction(L, handler);
	lua_insert(L, base);
	running = L;
	came = 0;
	if (!quiet)
		set_int(on_int, SA_RESETHAND);
	e = lua_pcall(L, narg, nres, base);
	if (!quiet)
		set_int(SIG_DFL, 0);
	if (came)
		lua_sethook(L, NULL, 0, 0);	/* it came too late to be seen */
	lua_remove(L, base);
	return e;
}

int
run_report(lua_State *L, int status)
{
	if (status != LUA_OK) {
		const char *text = lua_tostring(L, -1);

		ended = came && text && strstr(text, "interrupted!");
		fflush(stdout);
		if (script_of(L)->c)		/* what tasks printed comes before what became of them */
			client_output(script_of(L)->c, clock_ns() + CLOCK_SEC);
		fprintf(stderr, "%s: %s\n", progname, text ? text : "(no message)");
		lua_pop(L, 1);
	}
	return status;
}

bool
run_failed(void)
{
	return failed;
}

bool
run_interrupted(void)
{
	return ended;
}

static int
chunk(lua_State *L, int status)
{
	if (status == LUA_OK)
		status = run_call(L, 0, 0);
	return run_report(L, status);
}

int
run_string(lua_State *L, const char *text, const char *name)
{
	return chunk(L, luaL_loadbuffer(L, text, strlen(text), name));
}

int
run_file(lua_State *L, const char *path)
{
	return chunk(L, luaL_loadfile(L, path));
}

static int
push_args(lua_State *L)
{
	int n;

	if (lua_getglobal(L, "arg") != LUA_TTABLE)
		luaL_error(L, "'arg' is not a table");
	n = (int)luaL_len(L, -1);
	luaL_checkstack(L, n + 3, "too many arguments to script");
	for (int i = 1; i <= n; i++)
		lua_rawgeti(L, -i, i);
	lua_remove(L, -n - 1);
	return n;
}

int
run_script(lua_State *L, char *argv[])
{
	const char *path = argv[0];
	int e;

	if (strcmp(path, "-") == 0 && strcmp(argv[-1], "--") != 0)
		path = NULL;
	if ((e = luaL_loadfile(L, path)) == LUA_OK)
		e = run_call(L, push_args(L), LUA_MULTRET);
	return run_report(L, e);
}

int
run_library(lua_State *L, const char *word)
{
	const char *eq = strchr(word, '=');
	int e;

	lua_getglobal(L, "require");
	lua_pushstring(L, eq ? eq + 1 : word);
	if ((e = run_call(L, 1, 1)) == LUA_OK) {
		const char *name = lua_pushlstring(L, word, eq ? (size_t)(eq - word) : strlen(word));

		lua_insert(L, -2);
		lua_setglobal(L, name);
		lua_pop(L, 1);
	}
	return run_report(L, e);
}

int
run_init(lua_State *L)
{
	const char *name = "=LUA_INIT" LUA_VERSUFFIX, *text = getenv(name + 1);

	if (text == NULL) {
		name = "=LUA_INIT";
		text = getenv(name + 1);
	}
	if (text == NULL)
		return LUA_OK;
	return text[0] == '@' ? run_file(L, text + 1) : run_string(L, text, name);
}
