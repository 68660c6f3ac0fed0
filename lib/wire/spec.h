/*
 * spec - what ACTOR_NEW and ACTOR_START carry to make an actor: u32 bytes of code, u32 constructor values,
 * u32 1 if they lie in the arena; then the code (encoded class); then the values, or a packed wref to them.
 */
#ifndef WIRE_SPEC_H
#define WIRE_SPEC_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "wire/le.h"

#define SPEC_HEAD 12u
#define SPEC_ARGS (16u << 20)	/* longest values of a detached actor that lie here */

struct spec {
	const unsigned char *code, *args;	/* into the bytes given */
	size_t ncode, nargs;
	unsigned nvals;
	int arena;				/* args is a packed wref */
};

static inline int
spec_get(struct spec *s, const unsigned char *p, size_t n)	/* 0 or ERR_PROTO */
{
	if (n < SPEC_HEAD || le_get32(p) > n - SPEC_HEAD)
		return ERR_PROTO;
	s->ncode = le_get32(p);
	s->nvals = le_get32(p + 4);
	s->arena = le_get32(p + 8) != 0;
	s->code = p + SPEC_HEAD;
	s->args = s->code + s->ncode;
	s->nargs = n - SPEC_HEAD - s->ncode;
	return 0;
}

#endif
