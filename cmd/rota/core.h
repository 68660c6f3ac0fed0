/*
 * core - what the Lua files of rota up (lua/rota/up.lua) ask of C: many programs at once, keys, files that appear whole.
 *
 *	run(list, opts)		starts list[i].argv, each with list[i].input (strings, one after the other) on its stdin, at most opts.jobs
 *				at once (0: all), each for list[i].timeout seconds; a table of results, when all have ended:
 *				{ status=, signal=, out=, err=, timeout=true } - of out and err the last 64 KiB, opts.whole: all
 *				opts.line(i, text, stream): gets each line as it comes, "out" or "err", and nothing is kept of out
 *	begin(list, opts)	the same without waiting: a crowd, to be turned; list[i].hold: what is appended to its input later goes
 *				there too.  When it is collected what still runs is killed
 *	turn(crowds, seconds)	waits until something happens to one of them, at most so long, and does what is to be done
 *	done(crowd)		nil: not all have ended; else the results
 *	now(), wall()		seconds, of the monotonic clock, and since 1970
 *	scale(opts)		the autoscaler (core/scale.h), see scale.c
 *	key(path, new)		id of the first key in that file, how many it has; made if there is none and new; nil, why
 *	rotate(path)		puts a new key behind the others, to be accepted: its id; nil, why
 *	rotate(path, until)	puts the last one before the others, to be offered; these end then, seconds since 1970
 *	write(path, text)	by rename, mode 0600, directories that are missing 0700: true; nil, why
 *	hash(list)		of the contents of these files and of their names after the last tab, 16 hex digits; nil, why
 *	lock(dir, now)		makes the directory and waits until no other process of this kind has it (now: does not wait): a number for
 *				unlock(number), which our end does too; nil, why
 *	self()			{ prefix=, version=, glibc=, arch=, host=, uid= }
 */
#ifndef ROTA_CORE_H
#define ROTA_CORE_H

#include <lua.h>

int	luaopen_rota_up_core(lua_State *L);
int	core_run(lua_State *L);		/* spawn.c, these four */
int	core_begin(lua_State *L);
int	core_turn(lua_State *L);
int	core_done(lua_State *L);
int	core_scale(lua_State *L);	/* scale.c */
int	core_now(lua_State *L);
int	core_wall(lua_State *L);

#endif
