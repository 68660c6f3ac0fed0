/*
 * func - Lua functions on a journey, and the resolver that answers for what they name.
 *
 * A function is its code and its upvalues; its globals are those of where it runs.  In the body of a FUNC ext:
 *	bin hash of the code, 16 bytes; bin code, as string.dump gives it; then for each upvalue
 *	int number of its cell, and the value of the cell if the number is new
 * Cells are counted from 0 through the payload, so that upvalues shared between functions stay shared.
 * A value that is package.loaded[name] travels as that name and is required there, and so do the functions in it
 * (and userdata as io.stderr); the table of globals is that of the worker.  Everything else is copied.
 */
#ifndef SCRIPT_FUNC_H
#define SCRIPT_FUNC_H

#include "script/codec.h"

#define FUNC_UPVALUE_MAX (1u << 20)	/* bytes of a function's one upvalue */

/*
 * Encodes the Lua function at idx into e->b (one value, nothing out of band); what is as "task sq.lua:9" and
 * opens messages: "task sq.lua:9: upvalue 'f' -> field 'x': a coroutine cannot travel".
 * A C function that is found in a module is fine too.  0 or negative with the message pushed.
 */
int	func_encode(lua_State *L, struct enc *e, int idx, const char *what);
/* The same with the values after it, up to the one at last, behind it: what the worker must know of the function. */
int	func_encode_with(lua_State *L, struct enc *e, int idx, int last, const char *what);
/* Pushes the function.  0 or negative with the message pushed. */
int	func_decode(lua_State *L, const unsigned char *p, size_t n, const struct dec_src *src);
/* Pushes "file:line" of the Lua function at idx, its name where none is given; "?" for others. */
void	func_name(lua_State *L, int idx);

/*
 * --- strict mode ---
 * After strict_open functions that arrive have a table as their globals that reads like _G and cannot be written:
 * assigning a global raises with its name.
 */
void	strict_open(lua_State *L);
void	strict_push_globals(lua_State *L);	/* what is _G to functions that arrive */

/*
 * --- the resolver ---
 * On a worker: a global that is nil, and a Lua module that is not found, are asked of the job's driver, once.
 * ask asks it (kind 'g' global, 'm' module, 'c' class) and pushes the driver's answer, a string as func_answer
 * wrote it: 0; or negative, nothing pushed, when there is nobody to ask: then the name counts as absent, this time only.
 * ask may raise.  It is called where Lua cannot yield.
 */
void	func_install_resolver(lua_State *L, int (*ask)(lua_State *L, char kind, const char *name, size_t n));
/* On the driver: appends the answer to out; never raises.  0 or -ENOMEM.  Hooks are called with e->arg NULL. */
int	func_answer(lua_State *L, char kind, const char *name, size_t n, struct buf *out);
/*
 * If the message at idx says that a global is nil which the driver could not send, pushes the message with the
 * reason appended and returns true: "... (global 'sock') (a global of the script; it could not travel: userdata)".
 */
bool	func_hint(lua_State *L, int idx);

#endif
