/*
 * rlua - lua5.4 with rota ready: for scripts, for #!/usr/bin/env rlua, and as a prompt.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "os/fd.h"
#include "os/sig.h"
#include "rlua.h"
#include "script/alloc.h"
#include "script/paths.h"
#include "script/script.h"

struct start {
	struct args args;
	int argc;
	char **argv;
};

/* the table arg: the script is arg[0], what stands before it has negative indices */
static void
arg_table(lua_State *L, const struct start *s)
{
	int script = s->args.script == s->argc ? 0 : s->args.script;

	lua_createtable(L, s->argc - script - 1, script + 1);
	for (int i = 0; i < s->argc; i++) {
		lua_pushstring(L, s->argv[i]);
		lua_rawseti(L, -2, i - script);
	}
	lua_setglobal(L, "arg");
}

static void
open_all(lua_State *L, const struct start *s)
{
	if (s->args.noenv) {
		lua_pushboolean(L, 1);
		lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
	}
	luaL_openlibs(L);
	arg_table(L, s);
	paths_open(L);
	lua_gc(L, LUA_GCGEN, 0, 0);
	luaL_requiref(L, "rota.core", luaopen_rota_core, 0);	/* before the first coroutine: each finds the runtime */
	lua_pop(L, 1);
}

/* returns true if all went well */
static int
start(lua_State *L)
{
	const struct start *s = lua_touserdata(L, 1);
	const struct args *a = &s->args;
	bool none = a->script == s->argc;

	luaL_checkversion(L);
	if (a->version)
		printf("%s\n", LUA_COPYRIGHT);
	open_all(L, s);
	if (!a->noenv && run_init(L) != LUA_OK)
		return 0;
	if (!args_run(L, a, s->argv))
		return 0;
	if (!none && run_script(L, s->argv + a->script) != LUA_OK)
		return 0;
	if (a->interactive)
		repl(L, a->quiet);
	else if (none && !a->text && !a->version) {
		if (isatty(STDIN_FILENO))
			repl(L, a->quiet);
		else if (run_file(L, NULL) != LUA_OK)
			return 0;
	}
	lua_pushboolean(L, 1);
	return 1;
}

int
main(int argc, char *argv[])
{
	struct start s = { .argc = argc, .argv = argv };
	lua_State *L;
	bool ok;

	progname = "rlua";
	fd_standard();
	sig_filesize();
	args_parse(&s.args, argc, argv);
	if ((s.args.address && setenv("ROTA_ADDRESS", s.args.address, 1) < 0) ||
	    (s.args.namespace && setenv("ROTA_NAMESPACE", s.args.namespace, 1) < 0))
		die(125, -errno, "cannot set the environment");
	if ((L = alloc_newstate()) == NULL)
		die(125, -ENOMEM, "cannot start");
	lua_pushcfunction(L, start);
	lua_pushlightuserdata(L, &s);
	ok = run_report(L, lua_pcall(L, 1, 1, 0)) == LUA_OK && lua_toboolean(L, -1);
	lua_close(L);
	if (run_interrupted()) {		/* as if it had killed us, so that a shell's loop ends too */
		signal(SIGINT, SIG_DFL);
		raise(SIGINT);
	}
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	return ok ? EXIT_SUCCESS : run_failed() ? 125 : EXIT_FAILURE;
}
