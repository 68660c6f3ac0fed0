/*
 * arena_impl - a borrower's private tables.  Granules of our extents form free runs, big objects and spans; a
 * span is cut into blocks of one size class.  The shared headers follow each step, so that a walk always works.
 * Private to arena.c, arena_gran.c and arena_rejoin.c.
 */
#ifndef STORE_ARENA_IMPL_H
#define STORE_ARENA_IMPL_H

#include <stdint.h>
#include "store/arena.h"
#include "store/arena_layout.h"

/*
 * Classes are m << k with m of 4..7: four in each power of two.  A span has m granules, so that it is cut into
 * 1 << (16 - k) blocks without a rest.  Larger objects have granules of their own.
 */
enum { CLASS_K0 = 5, CLASS_K1 = 15, CLASSES = (CLASS_K1 - CLASS_K0 + 1) * 4, CLASS_MAX = 7 << CLASS_K1 };
enum { BINS = 32 };		/* of free runs, by the power of two of their length */

enum gran_kind { GRAN_NONE, GRAN_BODY, GRAN_FREE, GRAN_BIG, GRAN_SPAN };	/* NONE: not lent to us */
enum { GRAN_FIRST = 1, GRAN_READY = 2, GRAN_HEAD = 4 };	/* of an extent; has pages; its first page has one */

struct gran {
	uint32_t n;		/* first and last of a free run, first of a big object: its granules */
	uint32_t prev, next;	/* of a free run's first: in its bin; 0 none (granule 0 is never lent) */
	uint32_t cold, warm;	/* of an empty extent's first: neighbours in order of use */
	uint32_t span;		/* GRAN_SPAN: which */
	uint8_t kind, flags;
};

struct span {
	uint32_t g;		/* first granule */
	uint32_t prev, next;	/* in its class's list of spans with room; an unused span's next: the next unused */
	uint16_t cls;
	uint16_t bump;		/* blocks carved so far */
	uint16_t used;		/* of them, not free */
	uint16_t free;		/* number + 1 of the last one freed; its header's size names the one before */
	bool listed;
};

struct arena_impl {
	struct gran *gran;
	uint64_t ngran;
	uint32_t bin[BINS];
	uint32_t bins;		/* bit b: bin[b] is not empty */
	uint32_t coldest, warmest;	/* empty extents */
	uint64_t empty;		/* bytes of them */
	struct span *span;	/* [0] is nobody */
	uint32_t nspan, capspan, unused;
	uint32_t room[CLASSES];	/* spans with room, the most recently used first */
	uint32_t gen;		/* of the last object made */
};

static inline uint32_t
class_m(unsigned c)
{
	return c % 4 + 4;
}

static inline unsigned
class_k(unsigned c)
{
	return c / 4 + CLASS_K0;
}

static inline uint32_t
class_size(unsigned c)
{
	return class_m(c) << class_k(c);
}

uint32_t gran_take(struct arena *a, uint64_t n, int *err);	/* a run of n granules, its header still FREE; 0 and *err */
void	gran_give(struct arena *a, uint32_t g, uint64_t n);	/* a run whose header says n granules becomes free */
int	gran_ready(struct arena *a, uint64_t off, uint64_t end);	/* has pages under all of it: 0 or ERR_FULL */
int	gran_ready_head(struct arena *a, uint64_t g);		/* under its first 4 KiB */
void	span_tidy(struct arena *a);	/* gives back the empty spans that classes keep at hand */

#endif
