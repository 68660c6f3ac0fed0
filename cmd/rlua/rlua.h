/*
 * rlua - what the files of the interpreter share.  lua5.4's own program is the measure: what it does, this does.
 */
#ifndef RLUA_H
#define RLUA_H

#include <lua.h>
#include <stdbool.h>

struct args {			/* of the command line, args.c */
	int script;		/* index of the script; argc if there is none */
	bool version;		/* -v */
	bool interactive;	/* -i */
	bool noenv;		/* -E */
	bool text;		/* -e was there */
	bool quiet;		/* -q */
	const char *address;	/* -A or NULL */
	const char *namespace;	/* -N or NULL */
};

/* args.c.  Wrong usage ends the program with 2, -h and -V with 0. */
void	args_parse(struct args *a, int argc, char *argv[]);
bool	args_run(lua_State *L, const struct args *a, char *argv[]);	/* -e, -l and -W in order; false after an error */

/* run.c: LUA_OK, or an error that was reported */
int	run_call(lua_State *L, int narg, int nres);		/* pcall with traceback; Ctrl-C raises in it; not reported */
int	run_report(lua_State *L, int status);			/* pops the message and prints it; returns status */
int	run_string(lua_State *L, const char *text, const char *name);
int	run_file(lua_State *L, const char *path);		/* NULL: stdin */
int	run_script(lua_State *L, char *argv[]);			/* argv[0] with the arguments in the table arg */
int	run_library(lua_State *L, const char *word);		/* MOD or GLOBAL=MOD */
int	run_init(lua_State *L);					/* LUA_INIT */
bool	run_failed(void);			/* what was reported last was rota's failure: no node */
bool	run_interrupted(void);					/* Ctrl-C ended what was reported last */

/* repl.c */
void	repl(lua_State *L, bool quiet);				/* until the end of stdin */

#endif
