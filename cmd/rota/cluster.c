/* cluster - up, down, ls, exec, add, rm, run and key of several machines: the command line as a table for lua/rota/up.lua */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/num.h"
#include "core.h"
#include "rota.h"

static lua_State *
state(void)
{
	lua_State *L = luaL_newstate();
	char root[PATH_MAX];

	if (L == NULL)
		die(125, -ENOMEM, "cannot start Lua");
	luaL_openlibs(L);
	prefix(root, sizeof root);
	lua_getglobal(L, "package");
	lua_pushfstring(L, "%s/share/lua/5.4/?.lua", root);
	lua_setfield(L, -2, "path");
	lua_getfield(L, -1, "preload");
	lua_pushcfunction(L, luaopen_rota_up_core);
	lua_setfield(L, -2, "rota.up.core");
	lua_pop(L, 2);
	signal(SIGPIPE, SIG_IGN);
	return L;
}

/* runs lua/rota/up.lua with the table on the top of the stack: the exit status */
static int
perform(lua_State *L)
{
	int status;

	lua_getglobal(L, "require");
	lua_pushliteral(L, "rota.up");
	if (lua_pcall(L, 1, 1, 0) != LUA_OK)
		die(125, 0, "%s", lua_tostring(L, -1));
	lua_insert(L, -2);
	if (lua_pcall(L, 1, 1, 0) != LUA_OK)
		die(125, 0, "%s", lua_tostring(L, -1));
	status = (int)lua_tointeger(L, -1);
	lua_close(L);
	return status;
}

static void
set_string(lua_State *L, const char *name, const char *s)
{
	lua_pushstring(L, s);
	lua_setfield(L, -2, name);
}

static void
set_true(lua_State *L, const char *name)
{
	lua_pushboolean(L, 1);
	lua_setfield(L, -2, name);
}

static void
set_list(lua_State *L, const char *name, char **s, int n)
{
	lua_createtable(L, n, 0);
	for (int i = 0; i < n; i++) {
		lua_pushstring(L, s[i]);
		lua_rawseti(L, -2, i + 1);
	}
	lua_setfield(L, -2, name);
}

/* the table's offers[name]: what each host is to offer; resources are a table in it */
static void
offer(lua_State *L, int c, const char *arg)
{
	static const char *const name[] = { ['c'] = "cpus", ['g'] = "gpus", ['m'] = "memory" };
	const char *eq = strchr(arg, '=');
	char *end;
	uint64_t size;

	lua_getfield(L, -1, "offers");
	if (c == 'R') {
		double n = eq ? strtod(eq + 1, &end) : 0;

		if (eq == NULL || eq == arg || end == eq + 1 || *end || !(n >= 0))
			opt_bad("-R", arg, "NAME=N");
		if (lua_getfield(L, -1, "resources") != LUA_TTABLE) {
			lua_pop(L, 1);
			lua_newtable(L);
			lua_pushvalue(L, -1);
			lua_setfield(L, -3, "resources");
		}
		lua_pushlstring(L, arg, (size_t)(eq - arg));
		lua_pushnumber(L, n);
		lua_settable(L, -3);
		lua_pop(L, 1);
	} else if (c == 'c' || c == 'g') {
		double n = strtod(arg, &end);

		if (end == arg || *end || !(n >= 0 && n <= 1e6))
			opt_bad(c == 'c' ? "-c" : "-g", arg, "a number");
		lua_pushnumber(L, n);
		lua_setfield(L, -2, name[c]);
	} else {
		if (num_size(arg, &size) < 0)
			opt_bad(c == 'm' ? "-m" : "--store", arg, "a size");
		lua_pushstring(L, arg);
		lua_setfield(L, -2, c == 'm' ? "memory" : "store");
	}
	lua_pop(L, 1);
}

static unsigned
number(const char *option, const char *arg, unsigned low, unsigned high)
{
	unsigned n;
	char range[64];

	snprintf(range, sizeof range, "a number, %u to %u", low, high);
	if (num_uint(arg, &n) < 0 || n < low || n > high)
		opt_bad(option, arg, range);
	return n;
}

/* One option into the table; true if it makes sense for several machines only. */
static bool
option(lua_State *L, int c, const char *arg)
{
	switch (c) {
	case 'c': case 'g': case 'm': case 'R': case OPT_STORE: offer(L, c, arg); return false;
	case 'A': set_string(L, "cluster", arg); return true;
	case OPT_NAME: set_string(L, "name", arg); return true;
	case OPT_PRINT: set_true(L, "print"); return true;
	case OPT_DRY: set_true(L, "dry"); return false;
	case OPT_FORCE: set_true(L, "force"); return false;
	case OPT_PURGE: set_true(L, "purge"); return false;
	case OPT_ROTATE: set_true(L, "rotate"); return true;
	case 'q': set_true(L, "quiet"); return false;
	case 'v': set_true(L, "verbose"); return false;
	case OPT_GRACE: {
		int64_t ns;

		if (num_duration(arg, &ns) < 0 || ns < 1000000000)
			opt_bad("--grace", arg, "a duration, a second at least");
		lua_pushinteger(L, ns / 1000000000);
		lua_setfield(L, -2, "grace");
		return true;
	}
	case OPT_WANT:
		lua_pushinteger(L, number("--want", arg, 0, 100000));
		lua_setfield(L, -2, "count");
		return true;
	case 'j':
		lua_pushinteger(L, number("-j", arg, 0, 10000));
		lua_setfield(L, -2, "jobs");
		return true;
	case OPT_LOCAL:
		lua_pushinteger(L, number("--local", arg, 1, 100));
		lua_setfield(L, -2, "locals");
		return true;
	}
	return false;
}

static bool
parse(lua_State *L, int argc, char *argv[], const struct opt *opts, bool command)
{
	struct opt_state o = { .opts = opts, .help = rota_help, .verb = argv[0] };
	bool several = false;
	int c, dash;

	lua_newtable(L);
	set_string(L, "verb", argv[0]);
	lua_newtable(L);
	lua_setfield(L, -2, "offers");
	while ((c = opt_next(&o, argc, argv)) != -1)
		several |= option(L, c, o.arg);
	argc -= o.index, argv += o.index;
	dash = 0;
	if (command && o.index > 0 && strcmp(argv[-1], "--") == 0)	/* getopt went past it: no operands */
		dash = -1;
	while (command && dash >= 0 && dash < argc && strcmp(argv[dash], "--") != 0)
		dash++;
	if (!command)
		dash = argc;
	set_list(L, "operands", argv, dash < 0 ? 0 : dash);
	if (command)
		set_list(L, "command", argv + dash + 1, dash + 1 < argc ? argc - dash - 1 : 0);
	return several || argc > 0;
}

int
cluster_up(int argc, char *argv[])
{
	lua_State *L = state();

	if (parse(L, argc, argv, up_opts, false))
		return perform(L);
	lua_close(L);
	signal(SIGPIPE, SIG_DFL);
	return -1;
}

int
cluster_doctor(int argc, char *argv[])
{
	lua_State *L = state();

	if (!parse(L, argc, argv, doctor_opts, false)) {
		lua_close(L);
		signal(SIGPIPE, SIG_DFL);
		return -1;
	}
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-J") == 0 || strncmp(argv[i], "-o", 2) == 0)
			die(2, 0, "doctor of hosts: no %.2s, it prints host, state, check and text", argv[i]);
	return perform(L);
}

/* ROTA_ADDRESS, if it is the name of a cluster */
static const char *
named(void)
{
	const char *a = getenv("ROTA_ADDRESS");

	return a && *a && !strpbrk(a, ":/") && strcmp(a, "local") && strcmp(a, "private") ? a : NULL;
}

static void
default_cluster(lua_State *L)
{
	if (lua_getfield(L, -1, "cluster") == LUA_TNIL && named()) {
		lua_pushstring(L, named());
		lua_setfield(L, -3, "cluster");
	}
	lua_pop(L, 1);
}

int
cluster_verb(int argc, char *argv[])
{
	const struct opt *opts = strcmp(argv[0], "run") == 0 ? up_opts : strcmp(argv[0], "exec") == 0 ? exec_opts :
	    strcmp(argv[0], "scale") == 0 ? scale_opts : change_opts;
	lua_State *L = state();
	bool key = strcmp(argv[0], "key") == 0;

	parse(L, argc, argv, key ? key_opts : opts, strcmp(argv[0], "run") == 0);
	default_cluster(L);
	if (!key && strcmp(argv[0], "run") && lua_getfield(L, -1, "cluster") == LUA_TNIL)
		die(2, 0, "%s: which cluster? name it with -A, or ROTA_ADDRESS", argv[0]);
	lua_settop(L, 1);
	return perform(L);
}

int
cluster_scaler(int argc, char *argv[])
{
	lua_State *L = state();

	if (argc != 2)
		die(2, 0, "expected the name of a cluster");
	lua_newtable(L);
	set_string(L, "verb", "scaler");
	set_string(L, "cluster", argv[1]);
	return perform(L);
}

int
cluster_down(int argc, char *argv[])
{
	lua_State *L = state();

	parse(L, argc, argv, down_opts, false);
	default_cluster(L);
	if (lua_getfield(L, -1, "cluster") != LUA_TNIL) {
		lua_settop(L, 1);
		return perform(L);
	}
	lua_close(L);
	signal(SIGPIPE, SIG_DFL);
	return -1;
}

const char *
cluster_named(int *argc, char *argv[])
{
	const char *name = named();
	int to = 1;

	for (int i = 1; i < *argc; i++) {
		if ((strcmp(argv[i], "-A") == 0 || strcmp(argv[i], "--address") == 0) && i + 1 < *argc)
			name = argv[++i];
		else if (strncmp(argv[i], "-A", 2) == 0 && argv[i][2])
			name = argv[i] + 2;
		else if (strncmp(argv[i], "--address=", 10) == 0)
			name = argv[i] + 10;
		else
			argv[to++] = argv[i];
	}
	argv[*argc = to] = NULL;
	return name;
}

int
cluster_ls(const char *name, int argc, char *argv[])
{
	lua_State *L = state();

	lua_newtable(L);
	set_string(L, "verb", "ls");
	set_string(L, "cluster", name);
	set_list(L, "operands", argv, argc);
	return perform(L);
}
