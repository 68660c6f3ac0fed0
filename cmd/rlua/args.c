/*
 * The command line, read as lua5.4 reads it: single letters, no bundles, options end at the first operand.  Beyond it
 * there are -A, -N, -q, -h, -V and the long names of those.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/near.h"
#include "base/opt.h"
#include "rlua.h"

static const char help[] =
"usage: rlua [options] [script [args]]   lua5.4 with the module rota at hand\n"
"Without script: what is on stdin, or on a terminal a prompt with rota loaded.\n"
"   -e TEXT      run TEXT\n"
"   -l MOD       require MOD into a global of that name; -l G=MOD into G\n"
"   -i           prompt after the script\n"
"   -v           show Lua's version\n"
"   -E           ignore LUA_INIT, LUA_PATH and LUA_CPATH\n"
"   -W           turn warnings on\n"
"   -A ADDR      the cluster to use, --address\n"
"   -N NAME      namespace of named actors, --namespace\n"
"   -q           no greeting, --quiet\n"
"   --           end of the options\n"
"   -            run stdin, and end of the options\n"
"   -h  -V       help, version\n"
"Examples:\n"
"   rlua squares.lua 1000\n"
"   rlua -l rota -e 'print(rota.get(rota.task(math.sqrt)(2)))'\n"
"man rlua; man rota-lua for the module\n";

static const struct opt opts[] = {
	{ 'e', NULL, "TEXT", "run TEXT" },
	{ 'l', NULL, "MOD", "require MOD" },
	{ 'i', NULL, NULL, "prompt after the script" },
	{ 'v', NULL, NULL, "show Lua's version" },
	{ 'E', NULL, NULL, "ignore the environment" },
	{ 'W', NULL, NULL, "turn warnings on" },
	{ 'A', "address", "ADDR", "cluster" },
	{ 'N', "namespace", "NAME", "namespace" },
	{ 'q', "quiet", NULL, "no greeting" },
	{ 0 }
};

static _Noreturn void
done(void)
{
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	exit(0);
}

static _Noreturn void
unknown(const char *word)
{
	static const char *const longs[] = { "--address", "--namespace", "--quiet", "--help", "--version" };
	const char *near = strncmp(word, "--", 2) == 0 ? near_word(word, longs, sizeof longs / sizeof *longs) : NULL;

	if (near)
		die(2, 0, "unknown option '%s'; did you mean '%s'? see rlua -h", word, near);
	die(2, 0, "unknown option '%s'; see rlua -h", word);
}

/* The value of a long option: --NAME=VALUE or --NAME VALUE, or NULL if word is another one. */
static const char *
long_value(const char *name, char *argv[], int *i)
{
	const char *word = argv[*i];
	size_t n = strlen(name);

	if (strncmp(word, name, n) != 0 || (word[n] && word[n] != '='))
		return NULL;
	if (word[n] == '=')
		return word + n + 1;
	if (argv[*i + 1] == NULL)
		die(2, 0, "option '%s' needs a value; see rlua -h", word);
	return argv[++*i];
}

static void
long_option(struct args *a, char *argv[], int *i)
{
	const char *v;

	if (strcmp(argv[*i], "--help") == 0) {
		opt_help(help);
		done();
	} else if (strcmp(argv[*i], "--version") == 0) {
		opt_version();
		done();
	} else if (strcmp(argv[*i], "--complete-words") == 0 && *i == 1) {
		opt_complete(stdout, opts, NULL);
		done();
	} else if (strcmp(argv[*i], "--quiet") == 0) {
		a->quiet = true;
	} else if ((v = long_value("--address", argv, i)) != NULL) {
		a->address = v;
	} else if ((v = long_value("--namespace", argv, i)) != NULL) {
		a->namespace = v;
	} else {
		unknown(argv[*i]);
	}
}

/* The value in the same word or the next one.  Text and modules never begin with '-': lua's own rule. */
static char *
value(char *argv[], int *i, bool dash)
{
	char *word = argv[*i];

	if (word[2])
		return word + 2;
	if (argv[*i + 1] == NULL || (!dash && argv[*i + 1][0] == '-'))
		die(2, 0, "option '%s' needs a value; see rlua -h", word);
	return argv[++*i];
}

void
args_parse(struct args *a, int argc, char *argv[])
{
	int i;

	*a = (struct args){ .script = argc };
	for (i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] != '-' || word[1] == '\0')
			break;
		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		if (word[1] == '-') {
			long_option(a, argv, &i);
			continue;
		}
		if (word[2] && strchr("elAN", word[1]) == NULL)
			unknown(word);
		switch (word[1]) {
		case 'e': a->text = true; value(argv, &i, false); break;
		case 'l': value(argv, &i, false); break;
		case 'A': a->address = value(argv, &i, true); break;
		case 'N': a->namespace = value(argv, &i, true); break;
		case 'i': a->interactive = true; break;
		case 'v': a->version = true; break;
		case 'E': a->noenv = true; break;
		case 'q': a->quiet = true; break;
		case 'W': break;
		case 'h': opt_help(help); done();
		case 'V': opt_version(); done();
		default: unknown(word);
		}
	}
	a->script = i;
}

bool
args_run(lua_State *L, const struct args *a, char *argv[])
{
	for (int i = 1; i < a->script; i++) {
		int e = LUA_OK;

		if (argv[i][1] == '-') {
			const char *word = argv[i];

			if (strcmp(word, "--address") == 0 || strcmp(word, "--namespace") == 0)
				i++;
			continue;
		}
		switch (argv[i][1]) {
		case 'e': e = run_string(L, value(argv, &i, false), "=(command line)"); break;
		case 'l': e = run_library(L, value(argv, &i, false)); break;
		case 'A': case 'N': value(argv, &i, true); break;
		case 'W': lua_warning(L, "@on", 0); break;
		}
		if (e != LUA_OK)
			return false;
	}
	return true;
}
