/*
 * val - the value model, rota-values(7): what an encoded value is, and what C does with it without Lua.
 *
 * A payload is n encoded values one after the other; n is known beside it.  A value is msgpack: nil, bool,
 * int64, float64, str (bytes; bin is read as the same), array, map (no nil or NaN keys), or one of the exts
 * below.  Integers of bodies are little endian (wire/le.h).  An empty table is an empty map, unless
 * it was made as an array.
 *
 *	ext	body
 *	REF	struct wref packed, 40 bytes: the reference itself
 *	VALREF	the same: stands for the (first) value of that object, top-level arguments only
 *	FUNC	nested values, of lib/script (bytecode or text as bin, upvalues as values)
 *	TASK	nested values, of lib/script
 *	ACTOR	nested values, of lib/script (number, class, methods)
 *	BUFFER	u8 dtype, u8 ndim, u64 shape[ndim], u8 where: 0 the elements follow; 1 u32 index of the
 *		out-of-band buffer of the object that holds them
 *	ERROR	one nested map with string keys: message str, code str (a code word of base/err.h), traceback str,
 *		task str, node str, attempt int, value any, cause any; what is not known is not there
 *	MODULE	module name, at least one byte: require of it
 *	MODFN	module name, NUL, name of a function in it
 *	GLOBALS	nested values, of lib/script; empty: the table of globals itself
 *	SHARED	u32 number: the value right after it (no SHARED or BACK) has that number.  A prefix: not counted
 *		as an element.  Numbers count from 0 in the order of the bytes of the payload, nested bodies included
 *	BACK	u32 number: the very same value again; may lie inside the value it names, not before it
 *	CLASS	nested: str name (of lib/script, with the module it is from), then one value
 *	NULL	empty
 *	OOB	u32 index of the out-of-band buffer, u64 length, u8 kind: 0 string, 1 raw bytes
 *	CHAN	u32 node, u64 number, u8 end: 0 writing, 1 reading
 *	SLICE	nested: a REF, then two integers i and j: elements i to j, from 1, of the string or buffer that is its value
 *
 * "Nested" bodies are themselves zero or more encoded values, so that references in them are found and
 * structure is checked by whoever passes them on; the other bodies hold no values.
 *
 * Pure.  Trust: val_* take any bytes; depth and work are bounded, nothing recurses, nothing is built.
 */
#ifndef WIRE_VAL_H
#define WIRE_VAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/id.h"
#include "base/span.h"
#include "wire/le.h"

/*
 * X(name, number, smallest body, largest body, class)
 * class: l leaf, n nested, c nested and code, k leaf that loads code
 */
#define VAL_EXT_MAP(X) \
	X(REF, 1, WREF_SIZE, WREF_SIZE, 'l') \
	X(VALREF, 2, WREF_SIZE, WREF_SIZE, 'l') \
	X(FUNC, 3, 0, UINT32_MAX, 'c') \
	X(TASK, 4, 0, UINT32_MAX, 'c') \
	X(ACTOR, 5, 0, UINT32_MAX, 'n') \
	X(BUFFER, 6, 3, UINT32_MAX, 'l') \
	X(ERROR, 7, 1, UINT32_MAX, 'n') \
	X(MODULE, 8, 1, 4096, 'k') \
	X(MODFN, 9, 3, 4096, 'k') \
	X(GLOBALS, 10, 0, UINT32_MAX, 'c') \
	X(SHARED, 11, 4, 4, 'l') \
	X(BACK, 12, 4, 4, 'l') \
	X(CLASS, 13, 2, UINT32_MAX, 'c') \
	X(NULL, 14, 0, 0, 'l') \
	X(OOB, 15, 13, 13, 'l') \
	X(CHAN, 16, 13, 13, 'l') \
	X(SLICE, 17, 45, 61, 'n')

enum val_ext {
#define X(name, number, lo, hi, class) VAL_##name = number,
	VAL_EXT_MAP(X)
#undef X
};

#define VAL_INLINE_MAX 32	/* bytes of a payload that lies in the record itself */
#define VAL_BLOCK_MAX 4096	/* of one that lies in a block of the slab; larger ones are arena objects */
#define VAL_OOB_MIN 1024	/* strings and buffers longer than this lie out of band */
#define VAL_DEPTH 200		/* tables and nested bodies within each other that are written */
#define VAL_DEPTH_READ (2 * VAL_DEPTH + 8)	/* that are read: writers count differently at the edge */
#define VAL_NDIM_MAX 8		/* dimensions of a buffer */

/* element types of buffers: X(NAME, number, bytes, "word") */
#define VAL_DTYPE_MAP(X) \
	X(U8, 1, 1, "u8") X(I8, 2, 1, "i8") X(U16, 3, 2, "u16") X(I16, 4, 2, "i16") \
	X(U32, 5, 4, "u32") X(I32, 6, 4, "i32") X(U64, 7, 8, "u64") X(I64, 8, 8, "i64") \
	X(F32, 9, 4, "f32") X(F64, 10, 8, "f64") X(F16, 11, 2, "f16") X(BF16, 12, 2, "bf16") \
	X(BOOL, 13, 1, "bool") X(C64, 14, 8, "c64") X(C128, 15, 16, "c128")
enum val_dtype {
#define X(NAME, number, bytes, word) VAL_##NAME = number,
	VAL_DTYPE_MAP(X)
#undef X
};
size_t	val_dtype_size(unsigned dtype);		/* bytes of an element, 0 for an unknown type */
const char *val_dtype_word(unsigned dtype);	/* "f64", or NULL */

/* A reference on the wire: which object, and where its bytes lie if that is known. */
struct wref {
	struct id id;
	uint64_t off;		/* offset in the arena of id.node; 0: no location known */
	uint32_t gen;		/* generation found in the object's header there */
	uint16_t nbuf;		/* out-of-band buffers of the object */
	uint16_t flags;		/* enum wref_flag */
	uint64_t size;		/* bytes of the object, 0 unknown */
};
enum wref_flag { WREF_ERROR = 1 };	/* the object is an error payload */
#define WREF_SIZE 40u

static inline void
val_wref_pack(unsigned char p[WREF_SIZE], const struct wref *w)
{
	le_put32(p, w->id.node);
	le_put32(p + 4, w->id.proc);
	le_put64(p + 8, w->id.seq);
	le_put64(p + 16, w->off);
	le_put32(p + 24, w->gen);
	le_put16(p + 28, w->nbuf);
	le_put16(p + 30, w->flags);
	le_put64(p + 32, w->size);
}

static inline void
val_wref_unpack(struct wref *w, const unsigned char p[WREF_SIZE])
{
	w->id = (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
	w->off = le_get64(p + 16);
	w->gen = le_get32(p + 24);
	w->nbuf = le_get16(p + 28);
	w->flags = le_get16(p + 30);
	w->size = le_get64(p + 32);
}

/* A parsed BUFFER body. */
struct val_buffer {
	uint8_t dtype, ndim;
	bool oob;
	uint32_t index;			/* oob: number of the out-of-band buffer */
	uint64_t bytes;			/* of all elements: product of shape times element size */
	uint64_t shape[VAL_NDIM_MAX];
	const unsigned char *p;		/* not oob: the elements, in the body; unaligned */
};
int	val_buffer_put(struct buf *b, const struct val_buffer *v);	/* appends the ext; 0, -ENOMEM, ERR_VALUE */
int	val_buffer_get(struct val_buffer *v, const unsigned char *body, size_t n);	/* 0 or ERR_PROTO */

/* A SLICE: elements i to j, as string.sub counts, of the value of w's object. */
int	val_slice_put(struct buf *b, const struct wref *w, int64_t i, int64_t j);	/* appends the ext; 0 or -ENOMEM */
int	val_slice_get(const unsigned char *body, size_t n, struct wref *w, int64_t *i, int64_t *j);	/* 0 or ERR_PROTO */
/* What that is of n elements: the first one from 0, and how many. */
static inline void
val_slice_range(uint64_t n, int64_t i, int64_t j, uint64_t *first, uint64_t *count)
{
	int64_t len = n > INT64_MAX ? INT64_MAX : (int64_t)n;

	i = i > 0 ? i : i < -len || i == 0 ? 1 : len + i + 1;
	j = j > len ? len : j < -len ? 0 : j < 0 ? len + j + 1 : j;
	*first = i <= j ? (uint64_t)i - 1 : 0;
	*count = i <= j ? (uint64_t)(j - i + 1) : 0;
}

/* Bytes of the first value at p, its SHARED prefix included; ERR_PROTO if there is no whole one. */
ssize_t	val_first(const unsigned char *p, size_t n);

enum val_flag { VAL_ALLOW_CODE = 1 };	/* FUNC TASK GLOBALS CLASS MODULE MODFN are fine */
/*
 * Checks that p holds exactly nvals well-formed values: msgpack, depth, known exts with bodies as above,
 * keys, numbers of SHARED and BACK.  0; ERR_PROTO; ERR_VALUE for well-formed values that are not for us: an
 * integer above INT64_MAX, code without VAL_ALLOW_CODE.  Out-of-band indices are the object's to check.
 */
int	val_check(const unsigned char *p, size_t n, unsigned nvals, unsigned flags);

/*
 * Calls fn for each REF and VALREF in nvals values, nested bodies included, in the order of the bytes.
 * A negative result of fn ends the walk and is returned.  0; ERR_PROTO or ERR_VALUE as val_check, for
 * structure only (code is fine); then fn may have been called for what came before.
 */
int	val_walk_refs(const unsigned char *p, size_t n, unsigned nvals,
	    int (*fn)(void *arg, const struct wref *ref, bool valref), void *arg);
/*
 * Takes the place of each reference's bytes out: they go to where it means nothing.  The same results as val_walk_refs;
 * on failure some are changed.
 */
int	val_unplace_refs(unsigned char *p, size_t n, unsigned nvals);
/*
 * Each reference and actor handle in nvals values, as values of their own, without places, appended to b: who keeps these keeps
 * what those hold.  How many; ERR_PROTO or ERR_VALUE as val_check; -ENOMEM.
 */
int	val_collect_refs(struct buf *b, const unsigned char *p, size_t n, unsigned nvals);
/* As val_walk_refs for each actor handle: its number, its class and the encoded names of its methods, both within p. */
int	val_walk_actors(const unsigned char *p, size_t n, unsigned nvals,
	    int (*fn)(void *arg, uint64_t number, struct span class, struct span methods), void *arg);

/* An error made or read without Lua.  NULL or 0: absent. */
struct val_err {
	int code;			/* travels as its word: an -errno comes back as the nearest enum err */
	const char *message, *traceback, *task, *node;
	unsigned attempt;
	const unsigned char *value, *cause;	/* one encoded value each, or NULL */
	size_t nvalue, ncause;
};
int	val_error_put(struct buf *b, const struct val_err *v);		/* appends the ERROR ext; 0 or -ENOMEM */
int	val_error(struct buf *b, int code, const char *message, const char *task, const char *node,
	    unsigned attempt, const char *traceback);		/* the same, without value and cause */
/*
 * Reads message (cut to cap - 1 bytes, NUL-terminated) and code (ERR_TASK if it is no word known here) of
 * the ERROR that is the first value at p.  0; ERR_PROTO; ERR_NOTFOUND if that value is something else.
 * Then out and code are untouched.  code may be NULL.
 */
int	val_error_field(const unsigned char *p, size_t n, const char *name, char *out, size_t cap);	/* a text of it, or "" */
int	val_error_text(const unsigned char *p, size_t n, char *out, size_t cap, int *code);

/*
 * Appends nvals values, tabs between them, as JSON for -J and for people; the mapping is in rota-values(7).
 * oob are the out-of-band buffers that the caller has at hand; contents of others are left out.
 * 0, -ENOMEM, ERR_PROTO, ERR_VALUE; b unchanged on error.
 */
struct val_oob {
	const unsigned char *p;
	size_t n;
};
int	val_to_json(struct buf *b, const unsigned char *p, size_t n, unsigned nvals);
int	val_to_json_oob(struct buf *b, const unsigned char *p, size_t n, unsigned nvals, const struct val_oob *oob,
	    unsigned noob);

#endif
