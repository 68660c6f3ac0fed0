/*
 * strcache - stored strings that were made into Lua strings, by object: bounded in number and bytes.  See strcache.c.
 */
#ifndef SCRIPT_STRCACHE_H
#define SCRIPT_STRCACHE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/idmap.h"

#define STRCACHE 1024u
#define STRCACHE_BYTES ((size_t)64 << 20)	/* of all; one may have an eighth */

struct strcache_entry {
	struct id id;
	size_t n;
};
struct strcache {			/* private */
	int strings;			/* registry reference: list, by place in the ring */
	struct idmap at;		/* id -> place + 1 */
	struct strcache_entry entry[STRCACHE];	/* a ring, the oldest first */
	unsigned first, len;
	size_t bytes;
};

void	strcache_open(lua_State *L, struct strcache *c);	/* c is zeroed */
bool	strcache_push(lua_State *L, const struct strcache *c, struct id id);	/* pushes it if it is there */
void	strcache_add(lua_State *L, struct strcache *c, struct id id);	/* the string on top, which stays there */
void	strcache_clear(lua_State *L, struct strcache *c);	/* memory is wanted */

#endif
