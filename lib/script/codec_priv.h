/*
 * codec_priv - what codec.c, enc*.c, dec.c, func.c, resolve.c and class.c share; for nobody else.
 *
 * All of it runs in protected calls made by enc_values, dec_values and func_*: failures raise a message.
 */
#ifndef SCRIPT_CODEC_PRIV_H
#define SCRIPT_CODEC_PRIV_H

#include <lauxlib.h>
#include "base/hash.h"
#include "base/map.h"
#include "script/codec.h"

enum codec_kind {		/* metatables the codec knows */
	KIND_NONE, KIND_REF, KIND_TASK, KIND_ACTOR, KIND_BUFFER, KIND_ERROR, KIND_ARRAY, KIND_MAP, KIND_CHAN, KIND_MAX
};

struct codec_state {		/* one a main state, a userdata in the registry */
	const void *strict;		/* address of the table that tasks have as their globals, if it is not _G (strict.c) */
	const struct codec_hooks *hooks;
	const void *mt[KIND_MAX];	/* addresses of the metatables, NULL: not seen yet */
	struct map classes;		/* addresses of registered classes, class.c */
	struct map mods;		/* address -> struct mod_name, func.c */
	size_t nloaded;			/* entries of package.loaded when mods was built, 0: never */
	int (*ask)(lua_State *, char, const char *, size_t);	/* resolve.c */
	int asking;				/* questions under way */
};

struct codec_state *codec_state(lua_State *L);		/* raises if codec_open was not called */
enum codec_kind codec_kind(lua_State *L, struct codec_state *st); /* of the metatable on top, which stays */
/* pcall; 0, or *code (0: ERR_TASK) with the message pushed: a string or an error object */
int	codec_call(lua_State *L, int nargs, int nres, int *code);

/* --- one encoding --- */

struct codec_path {		/* where we are: a chain on the C stack, read only for messages */
	const struct codec_path *up;
	enum { PATH_KEY, PATH_INDEX, PATH_UPVALUE } kind;
	int key;		/* PATH_KEY: stack slot of the key */
	lua_Integer i;		/* PATH_INDEX */
	const char *name;	/* PATH_UPVALUE */
};

struct enc_run {
	lua_State *L;
	struct enc *e;
	struct codec_state *st;
	const char *what;	/* opens messages */
	const char *skipmod;	/* this module goes by value */
	const void *skip;	/* this table too, whatever its metatable */
	const void *globals;
	unsigned pass;
	int nvals;		/* top-level values, in the slots from 2 */
	int top;		/* the one being encoded, 1-based */
	int keep;		/* stack slot of the table of what was made on the way (address kept alive), or nil */
	int code;		/* of the failure */
	bool fresh;		/* mods was checked against package.loaded */
	bool func;		/* func_encode: upvalues have a limit */
};

void	enc_any(struct enc_run *r, int idx, const struct codec_path *path, int depth);
void	enc_function(struct enc_run *r, int idx, const struct codec_path *path, int depth);	/* func.c */
bool	enc_class_itself(struct enc_run *r, int idx);	/* class.c; false: it is none */
/*
 * func.c: writes the value at idx as the name of a module or of what is in one; false: it is none.  A table in a
 * module that has a metatable goes so only as a last resort.
 */
bool	enc_by_name(struct enc_run *r, int idx, bool last_resort);
/* class.c; the metatable is on top and stays */
void	enc_class(struct enc_run *r, int idx, const struct codec_path *path, int depth);
void	enc_table(struct enc_run *r, int idx, const struct codec_path *path, int depth);
void	enc_handle(struct enc_run *r, int idx, bool task, const struct codec_path *path, int depth);
void	enc_ref(struct enc_run *r, int idx, const struct codec_path *path, int depth);
/* whatever its metatable */
void	enc_fields(struct enc_run *r, int idx, enum codec_kind force, const struct codec_path *path, int depth);
_Noreturn void enc_fail(struct enc_run *r, const struct codec_path *path, const char *fmt, ...);
int	enc_protected(struct enc *e, lua_State *L, struct enc_run *r, int first, int last);
bool	enc_seen(struct enc_run *r, const void *obj);	/* writes SHARED if due, or BACK (true: done) */
enum enc_what { ENC_OBJECT, ENC_CELL, ENC_BYTECODE };
/* true: met before in this pass, and *num is what it was then */
bool	enc_number(struct enc_run *r, enum enc_what kind, uint64_t key, unsigned *num);
bool	enc_kept(struct enc_run *r, int idx);	/* pushes what was kept for the object at idx; false, nothing pushed */
void	enc_keep_make(struct enc_run *r);	/* r->keep is a table afterwards */
void	enc_keep(struct enc_run *r, int idx);	/* keeps the value on top for the object at idx; it stays */
/* func.c: an upvalue of n bytes */
_Noreturn void enc_too_big(struct enc_run *r, const struct codec_path *path, size_t n);
void	enc_str(struct enc_run *r, const char *s, size_t n);	/* inline, whatever its length */

static inline void
enc_room(struct enc_run *r, size_t n)
{
	if (mp_room(&r->e->b, n) < 0) {
		r->code = -ENOMEM;
		luaL_error(r->L, "not enough memory");
	}
}

/* an ext whose body is written between the two; mp_ext_close ends it */
static inline size_t
enc_open(struct enc_run *r)
{
	size_t at = r->e->b.len;

	enc_room(r, MP_MAX_HEAD);
	r->e->b.len += MP_MAX_HEAD;
	return at;
}

/* --- one decoding --- */

struct dec_run {
	lua_State *L;
	struct codec_state *st;
	const struct dec_src *src;
	unsigned flags, nvals;
	struct mp m;
	size_t budget;		/* elements that may still be allocated ahead: no more than there were bytes */
	unsigned nshared, ncell;
	int anchor, shared, cells;	/* stack slots: the anchor; tables, or nil */
	int code;
};

#define DEC_NONE (-1L)		/* no SHARED before it */
void	dec_any(struct dec_run *d, int depth, long num);	/* pushes the next value */
void	dec_share(struct dec_run *d, long num);			/* the value on top has this number */
void	dec_function(struct dec_run *d, int depth, long num);	/* body in d->m; func.c */
void	dec_named(struct dec_run *d, const char *s, size_t n, bool fn);	/* MODULE, MODFN; func.c */
void	dec_class(struct dec_run *d, int depth, long num);	/* body in d->m; class.c */
_Noreturn void dec_fail(struct dec_run *d, int code, const char *fmt, ...);
int	dec_protected(lua_State *L, struct dec_run *d, const unsigned char *p, size_t n);

/* --- classes and the resolver --- */
void	class_open(lua_State *L);
bool	class_by_name(lua_State *L, const char *name, size_t n);	/* pushes the class; false, nothing pushed */
/* pushes the value; false: pushes a reason or nil */
bool	resolve_ask(lua_State *L, struct codec_state *st, char kind, const char *name, size_t n);
void	mods_free(struct codec_state *st);

#endif
