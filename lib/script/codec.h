/*
 * codec - Lua values to the bytes of wire/val.h and back.
 *
 * A Lua state that uses it is set up once: codec_open.  The hooks say what references, tasks and actors are;
 * without a hook such a value cannot travel.  Functions and modules are the work of script/func.h, which is
 * called from here; buffers of script/buffer.h, classes and error objects are below.
 *
 * Encoding and decoding do not raise (but for memory, while plain scalars are pushed): on failure a message is
 * pushed (a string, or the error object that a hook raised), nothing else is left on the stack, and the result is
 * negative: ERR_VALUE (the value cannot travel),
 * ERR_PROTO (bytes that are no values), ERR_TASK (an error raised by a hook, a __pack, an __unpack or a
 * require), -ENOMEM.
 *
 * Identity: what is the same table or function twice within one call is the same after the journey (SHARED,
 * BACK); so cycles travel.  Integers and floats, keys and holes stay as they were.  A table travels as an array
 * if its keys are 1..n, n >= 1, with at most half of them missing, else as a map; {} is an empty map,
 * rota.array{} forces an array (and an empty one comes back as such), rota.map{} a map.
 */
#ifndef SCRIPT_CODEC_H
#define SCRIPT_CODEC_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "wire/mp.h"
#include "wire/val.h"

/* --- encoding ------------------------------------------------------------------------------------- */

struct enc_seg {		/* an out-of-band buffer of the object to be made */
	const void *p;		/* borrowed from a Lua value: see enc_values */
	size_t n;
};

struct enc_slot;		/* private to enc.c: what was met, by address */

struct enc {
	struct buf b;		/* ro: the payload */
	struct enc_seg *seg;	/* ro: nseg > 0: the payload needs an arena object with these buffers */
	unsigned nseg;
	unsigned nvals;		/* ro: values in b */
	unsigned flags;		/* ENC_WANT of the caller, kept; ENC_SEEN set by each call */
	void *arg;		/* the caller's, for its hooks */
	/* private to enc.c and func.c */
	struct enc_slot *slot;
	unsigned segcap, slots, nslot, stamp;
	unsigned nshared, ncell;
	bool sharing, dup, keep, busy;
};
#define ENC_INIT { .b = BUF_INIT }

enum enc_flag {
	/* set by the caller */
	ENC_TOPREF = 0x01,	/* a reference in a top-level slot is written as VALREF */
	ENC_INLINE = 0x02,	/* no segments: everything in b */
	ENC_NOCODE = 0x04,	/* what needs VAL_ALLOW_CODE cannot travel */
	/* set by enc_values */
	ENC_REFS = 0x100,	/* a REF, VALREF or ACTOR is in b */
	ENC_CODE = 0x200,	/* something in b needs VAL_ALLOW_CODE */
	ENC_ERROR = 0x400,	/* the first value is an ERROR */
};

/*
 * Encodes the values in the stack slots first..last (absolute or negative; last < first: none) into e->b, which
 * is emptied first.  what names them in messages: "argument", "result", "value", or "task sq.lua:9":
 *	argument 1.items[3]: has a metatable; give the class a name with rota.class("point", Point)
 * With one value and a what that is neither "argument" nor "result" the number is left out.
 * Segments point into the values themselves: they are good as long as those stay where they are, unchanged, and
 * until the next use of e.  0 or negative with the message pushed; then b, seg and nvals are empty.
 */
int	enc_values(lua_State *L, struct enc *e, int first, int last, const char *what);
void	enc_forget(lua_State *L, struct enc *e);	/* the payload was taken: lets go of the values that it was made of */
void	enc_release(lua_State *L, struct enc *e);	/* frees; e becomes ENC_INIT but for flags and arg */

/* --- decoding ------------------------------------------------------------------------------------- */

struct dec_src {
	const struct enc_seg *seg;	/* the out-of-band buffers of the object, in order */
	unsigned nseg;
	bool *viewed;			/* set if some buffer looks at seg[]; or NULL */
	int anchor;			/* stack slot of the Lua value that keeps seg[] alive; 0: buffers are copied */
	void *arg;			/* for the hooks */
};

enum dec_flag {			/* beside enum val_flag's VAL_ALLOW_CODE */
	DEC_STRINGS = 0x100,	/* long out-of-band strings as Lua strings too, not as read-only buffers */
	DEC_PLAIN = 0x400,	/* bytes of somebody who has no references, handles, modules and channels: these are refused */
	DEC_VIEWS = 0x200,	/* all out-of-band strings as read-only buffers */
};
#define DEC_BUFFER_MIN (1u << 20)	/* out-of-band strings of this many bytes come as read-only buffers */

/*
 * Pushes the nvals values at p, which must be exactly n bytes.  Any bytes are safe, unless flags has
 * VAL_ALLOW_CODE and they hold code.  src may be NULL when there are no segments and no hook needs arg.
 * Buffers in segments are views: read-only, with the anchor in their user value.  0 or negative with the
 * message, and nothing else, pushed.
 */
int	dec_values(lua_State *L, const unsigned char *p, size_t n, unsigned nvals, const struct dec_src *src,
	    unsigned flags);

/* --- what the codec does not know ----------------------------------------------------------------- */

/*
 * Called in a protected call: a hook may raise; it cannot yield.  Each leaves the stack as it found it, plus
 * the value that it pushes.  src is dec_values' own or an empty one.
 */
struct codec_hooks {
	/* "rota.ref" at idx: fills w; where the submitter notes (through e->arg) that it must hold it */
	void (*ref_out)(lua_State *L, int idx, struct wref *w, struct enc *e);
	void (*ref_in)(lua_State *L, const struct wref *w, const struct dec_src *src);	/* pushes a reference */
	/* pushes the value it names */
	void (*valref_in)(lua_State *L, const struct wref *w, const struct dec_src *src);
	/* "rota.task" at idx: pushes one value that describes it (a table: its function, its options) */
	void (*task_out)(lua_State *L, int idx, struct enc *e);
	/* pushes a handle, still empty: its function may hold it; then what task_out pushed, decoded, is at desc */
	void (*task_new)(lua_State *L, const struct dec_src *src);
	void (*task_fill)(lua_State *L, int task, int desc, const struct dec_src *src);
	/* "rota.actor" likewise; nothing in its description may hold it */
	void (*actor_out)(lua_State *L, int idx, struct enc *e);
	void (*actor_in)(lua_State *L, int desc, const struct dec_src *src);	/* pushes a handle */
	/* "rota.channel": the body of a CHAN, and back */
	void (*chan_out)(lua_State *L, int idx, unsigned char body[13]);
	void (*chan_in)(lua_State *L, const unsigned char *body);
	/* a ref and two integers at base: pushes that part of its value; strings: long ones as strings too */
	void (*slice_in)(lua_State *L, int base, bool strings);
	const char *node;		/* name of this node, for messages; may be NULL */
};

/*
 * Makes the metatables "rota.buffer", "rota.error", "rota.array", "rota.map" and the codec's own state in the
 * registry; hooks is borrowed for the life of L and may be NULL; a second call only sets new hooks.  May raise.
 * A userdata or table whose metatable is registry["rota.ref"] and so on is what the hooks are asked about;
 * those metatables may be made later.
 */
void	codec_open(lua_State *L, const struct codec_hooks *hooks);
bool	codec_is_open(lua_State *L);

/* --- error objects (l_error.c) -------------------------------------------------------------------- */

/*
 * A table with metatable "rota.error" and the fields message code value traceback task node attempt cause;
 * tostring and .. give the message, string methods work on it: err:match("x").
 */
void	errobj_push(lua_State *L, int code, const char *msg);	/* pushes one; code < 0 becomes its word; may raise */
/* Pushes the error object for the raised value at idx: itself or a new one.  traceback may be NULL. */
void	errobj_wrap(lua_State *L, int idx, const char *traceback);
bool	errobj_test(lua_State *L, int idx);
void	errobj_open(lua_State *L);		/* makes the metatable; codec_open calls it */

/* --- functions for the table rota ----------------------------------------------------------------- */

int	codec_l_array(lua_State *L);	/* rota.array{...} -> the same table, marked */
int	codec_l_map(lua_State *L);	/* rota.map{...}: only for a table as its only argument */
int	class_l_class(lua_State *L);	/* rota.class(name, class [, module]) -> class (class.c) */
int	luaopen_rota_codec(lua_State *L);	/* the module rota.codec (l_codec.c); opens the codec if need be */

#endif
