/*
 * arena_layout - what both sides of the arena know of its file: the head, the log of extents, the walk.
 * Private to lib/store.
 */
#ifndef STORE_ARENA_LAYOUT_H
#define STORE_ARENA_LAYOUT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include "store/arena.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23		/* Linux 5.14 */
#endif

#define ARENA_MAGIC 0x616e7261u		/* "arna" */
#define ARENA_LAYOUT 2u
#define ARENA_SHIFT 16			/* of a granule */

/*
 * One for each granule.  word of an extent's first granule: state 2 | granules 30 | borrower 32, stored last;
 * all other granules' are 0.
 */
struct arena_log {
	_Atomic uint64_t word;
	uint32_t gen;			/* times lent */
	uint32_t last;			/* who had it last, 0 nobody */
};

struct arena_head {
	uint32_t magic, layout;		/* magic is stored last */
	uint64_t bytes;
	alignas(64) struct arena_log log[];
};
static_assert(offsetof(struct arena_head, log) == 64, "layout changed: bump ARENA_LAYOUT");

static inline uint64_t
log_word(unsigned state, uint64_t n, uint32_t borrower)
{
	return (uint64_t)state << 62 | n << 32 | borrower;
}

static inline unsigned
log_state(uint64_t w)
{
	return (unsigned)(w >> 62);
}

static inline uint64_t
log_n(uint64_t w)
{
	return w >> 32 & 0x3fffffff;
}

static inline uint64_t
arena_first(uint64_t bytes)	/* granules that the head takes */
{
	uint64_t n = sizeof(struct arena_head) + (bytes >> ARENA_SHIFT) * sizeof(struct arena_log);

	return (n + ARENA_GRANULE - 1) >> ARENA_SHIFT;
}

/* Maps a sealed segment or an unnamed file on a tmpfs at a multiple of ARENA_HUGE; NULL and *err */
void	*arena_map(int fd, uint64_t *bytes, bool write, int *err);

struct arena_block {		/* private copy of a header */
	uint64_t off, run, size;
	struct id id;
	uint32_t gen, state, proc, keep, headlen, made;
	uint16_t nbuf, flags;
};

/* Copies the header at off, which lies wholly before end: false if it is none, or its block does not end by end. */
bool	arena_block_load(const unsigned char *base, uint64_t off, uint64_t end, struct arena_block *b);
/* The block after b (b->run == 0: the first, at b->off) and before end: 1, 0 at the end, ERR_PROTO and b as it was. */
int	arena_block_next(const unsigned char *base, uint64_t end, struct arena_block *b);

static inline struct obj_hdr *
arena_hdr(const unsigned char *base, uint64_t off)
{
	return (struct obj_hdr *)(void *)(uintptr_t)(base + off);
}

/* Makes [off, off + run) a free block; run last, so that a walk sees all of it or nothing. */
static inline void
arena_hdr_free(unsigned char *base, uint64_t off, uint64_t run)
{
	struct obj_hdr *h = arena_hdr(base, off);

	h->magic = OBJ_MAGIC;
	atomic_store_explicit(&h->word, obj_word(0, OBJ_FREE), memory_order_relaxed);
	atomic_store_explicit(&h->run, run, memory_order_release);
}

#endif
