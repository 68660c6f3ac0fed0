/*
 * buffer - "rota.buffer": n-dimensional arrays of numbers (nd/nd.h) as Lua values, rota-buffer(7).
 *
 * Small ones have their elements in the userdata, so that Lua's collector counts them; larger ones have them in
 * counted memory (struct nd_mem) that a second userdata holds, "rota.buffer.memory", whose bytes the collector is
 * told of.  A view keeps what it looks into alive: its user value 1 holds the owner.  What comes out of the object
 * store is a view and read-only.
 */
#ifndef SCRIPT_BUFFER_H
#define SCRIPT_BUFFER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nd/nd.h"
#include "wire/val.h"

struct buffer {
	struct nd a;		/* data may be unaligned */
	unsigned char own[];	/* elements of small ones */
};

void	buffer_open(lua_State *L);		/* makes the metatable; codec_open calls it */
int	buffer_l_module(lua_State *L);		/* pushes rota.buffer, the table that makes buffers when it is called */

struct buffer *buffer_test(lua_State *L, int idx);	/* NULL if it is none */
struct buffer *buffer_check(lua_State *L, int arg);	/* raises a bad argument */
struct buffer *buffer_writable(lua_State *L, int arg);	/* the same for one that is read-only */

/* Pushes a buffer that owns zeroed elements.  Raises for want of memory, or if there is no such shape. */
struct buffer *buffer_push(lua_State *L, unsigned type, int ndim, const int64_t *shape);
/* Pushes a description of elements that the value at stack slot anchor keeps alive (0: none needed). */
struct buffer *buffer_push_view(lua_State *L, const struct nd *a, int anchor);
struct buffer *buffer_push_mem(lua_State *L, const struct nd *a, struct nd_mem *m);	/* takes m over, even if it raises */
struct nd_mem *buffer_memory(lua_State *L, int idx);	/* one more hold on the memory of a large one, or NULL */
struct buffer *buffer_push_packed(lua_State *L, const struct nd *a);	/* a copy in row order */

/*
 * Bytes of the string or packed buffer at idx: where rota takes bytes it takes both.  NULL if it is neither; a
 * number is not converted.  Good while the value is on the stack.
 */
const void *buffer_bytes(lua_State *L, int idx, size_t *n);

/* --- between the files l_buffer.c and l_nd_*.c --- */

#define BUFFER_SMALL 16384u	/* bytes of elements that lie in the userdata itself */

/* -errno of nd_* as an error of the call; what and the shapes of a and b (may be NULL) are named */
int	buffer_raise(lua_State *L, int e, const char *what, const struct nd *a, const struct nd *b);
void	buffer_push_element(lua_State *L, const struct nd *a, const unsigned char *p);
struct nd_num buffer_number(lua_State *L, int arg, unsigned type);	/* number, boolean, {re, im}, buffer of one element */
void	buffer_put(lua_State *L, unsigned type, unsigned char *p, struct nd_num v);	/* raises if it does not fit */
unsigned buffer_type_arg(lua_State *L, int arg, unsigned def);
int64_t	buffer_index(lua_State *L, int arg, int64_t n);	/* 1-based, negative from the end; raises; gives 0-based */
int	buffer_axis(lua_State *L, int idx, const struct nd *a, int arg);	/* the same for an axis at slot idx */
int	buffer_shape_arg(lua_State *L, int arg, int last, int64_t shape[ND_DIMS]);	/* a list, or numbers at arg..last */
/*
 * The operand at arg: a buffer, or a number that takes the type that it has beside `beside` (numpy's weak scalars).
 * store keeps the number.  wide: an integer that does not fit becomes an i64 instead of an error.
 */
struct buffer_scalar {
	unsigned char bytes[16] __attribute__((aligned(16)));
};
void	buffer_operand(lua_State *L, int arg, struct nd *a, struct buffer_scalar *store, unsigned beside, bool wide);
/* The list or buffer at arg as a buffer, on top of the stack */
struct buffer *buffer_to(lua_State *L, int arg, unsigned type);
struct buffer *buffer_indices(lua_State *L, int arg);	/* the same for indices: i64, 0-based */
/* The result: the writable buffer at arg if there is one, else a new one; pushed */
struct buffer *buffer_result(lua_State *L, int arg, unsigned type, int ndim, const int64_t *shape);

void	buffer_math_methods(lua_State *L);	/* each adds its methods to the table on top */
void	buffer_math_meta(lua_State *L);
void	buffer_view_methods(lua_State *L);
void	buffer_reduce_methods(lua_State *L);
void	buffer_pick_methods(lua_State *L);
void	buffer_exchange_methods(lua_State *L);
void	buffer_text_methods(lua_State *L);
void	buffer_make_functions(lua_State *L);
void	buffer_random_functions(lua_State *L);
struct buffer *buffer_shaped(lua_State *L, int type_arg);	/* zeros; a shape at 1, a type there or f64 */
void	buffer_exchange_functions(lua_State *L);
int	buffer_l_sub(lua_State *L);		/* b:sub(i [, j]) */
int	buffer_l_tostring(lua_State *L);
int	buffer_l_pick(lua_State *L);		/* b[mask], b[indices] */
int	buffer_l_put(lua_State *L);		/* b[mask] = v, b[indices] = v */
int	buffer_l_new(lua_State *L);		/* rota.buffer(n | string | list [, type]) */

#endif
