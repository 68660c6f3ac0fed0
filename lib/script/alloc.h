/*
 * alloc - memory of a Lua state: blocks up to ALLOC_SMALL bytes from free lists by size, the rest from malloc.
 *
 * Lua tells the old size at every call, so blocks have no headers; a reference costs two list steps instead of a malloc
 * and a free.  Chunks grow with use and are kept until the process ends.  One thread at a time: one state per process.
 */
#ifndef SCRIPT_ALLOC_H
#define SCRIPT_ALLOC_H

#include <lua.h>
#include <stdbool.h>

#define ALLOC_SMALL 512u
#define ALLOC_STEP 16u

extern bool (*alloc_short)(size_t n);	/* if not NULL, asked when n bytes could not be had: true: try again */
lua_State *alloc_newstate(void);	/* as luaL_newstate, with this allocator; NULL: no memory */

#endif
