/*
 * walk - one pass over the encoded values of a payload, in the order of their bytes; private to lib/wire.
 * All structure of wire/val.h is checked on the way: msgpack, depth, bodies, keys, SHARED and BACK numbers.
 * Nothing recurses; each token takes at least one byte, so the work is bounded by the bytes.
 */
#ifndef WIRE_WALK_H
#define WIRE_WALK_H

#include "wire/mp.h"
#include "wire/val.h"

struct walk_level {
	const unsigned char *end;	/* of the bytes around a nested body */
	size_t left;			/* elements due; of a nested body: elements seen */
	enum mp_kind kind;		/* MP_ARRAY (the top too), MP_MAP, MP_EXT: a nested body */
	int8_t ext;
};

struct walk {
	struct mp m;
	unsigned depth;			/* the level that the next token is in */
	bool key;			/* the token just returned is a key of a map, or opens one */
	uint32_t shared;		/* numbers given so far */
	struct walk_level level[VAL_DEPTH_READ + 1];
};

enum { WALK_END, WALK_TOKEN, WALK_CLOSE };

void	walk_init(struct walk *w, const unsigned char *p, size_t n, unsigned nvals);
/*
 * WALK_TOKEN: *t is the next value or key; ARRAY, MAP and nested EXT opened a level.  WALK_CLOSE: that
 * level is over.  WALK_END: all nvals values were there and nothing else.  ERR_PROTO or ERR_VALUE as val_check.
 */
int	walk_next(struct walk *w, struct mp_tok *t);
int	walk_class(int ext);		/* 'l' 'n' 'c' 'k' of VAL_EXT_MAP, 0 for an unknown ext */
int	walk_skip(struct mp *m);	/* mp_skip for values: a SHARED belongs to the value after it */

#endif
