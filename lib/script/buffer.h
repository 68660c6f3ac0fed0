/*
 * buffer - "rota.buffer": typed numbers in one piece of memory, its own or somebody else's.
 *
 * In Lua, 1-based: b[i], b[i] = v, #b, b:sub(i, j) (a view, inclusive as string.sub), b:bytes() (their number),
 * b:string(), b:copy(), b:dtype(), b:shape(), b:readonly(), b:fill(v), b:copy_from(x [, i]), b == c (same
 * type and elements), tostring.  A view keeps what it looks into alive: its user value 1 holds the owner.
 */
#ifndef SCRIPT_BUFFER_H
#define SCRIPT_BUFFER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/val.h"

#define BUFFER_NDIM 8		/* most dimensions of one made here */

struct buffer {
	unsigned char *p;	/* first element; may be unaligned; NULL only when len is 0 */
	size_t len;		/* elements */
	size_t bytes;
	uint8_t dtype;		/* enum val_dtype */
	uint8_t size;		/* bytes of an element */
	uint8_t ndim;
	bool readonly;
	size_t shape[BUFFER_NDIM];
};

void	buffer_open(lua_State *L);		/* makes the metatable; codec_open calls it */
int	buffer_l_new(lua_State *L);		/* rota.buffer(n | string | list [, dtype]): zeros, bytes, numbers */

struct buffer *buffer_test(lua_State *L, int idx);	/* NULL if it is none */
struct buffer *buffer_check(lua_State *L, int arg);	/* raises a bad argument */

/* Pushes a buffer that owns n zeroed elements.  Raises for want of memory. */
struct buffer *buffer_push(lua_State *L, unsigned dtype, size_t n);
/* Pushes a view of bytes at p; the value at stack slot anchor (0: none needed) is kept alive by it. */
struct buffer *buffer_push_view(lua_State *L, unsigned dtype, const void *p, size_t n, int anchor, bool readonly);

/*
 * Bytes of the string or buffer at idx: where rota takes bytes it takes both.  NULL if it is neither; a
 * number is not converted.  Good while the value is on the stack.
 */
const void *buffer_bytes(lua_State *L, int idx, size_t *n);

#endif
