/*
 * slab - the memory of a process that its peers read: task records, arguments, functions, results.
 *
 * One sparse segment, made by rlet, written by its process only (sealed so once mapped), named in units of 64
 * bytes; unit 0 is never given out.  Pages come when they are touched; past the first 2 MiB they are huge ones
 * where the system has them.  Blocks have a size class (64, 128, … 65536 bytes); free blocks are reused last
 * in, first out.  Records have chunks of their own (class 0), so that whoever looks for one can go through them.  All bookkeeping is private to the process.  One thread at a time.
 */
#ifndef RING_SLAB_H
#define RING_SLAB_H

#include <stddef.h>
#include <stdint.h>
#include "ring/rec.h"

#define SLAB_BYTES (UINT64_C(4) << 30)
#define SLAB_UNIT 64u
#define SLAB_CLASSES 12			/* 64 << class; the last: 64, what is no record */
#define SLAB_SMALL (SLAB_CLASSES - 1)
#define SLAB_CHUNK 65536u		/* bytes that a class takes at a time */
#define SLAB_BLOCK_MAX 65536u

struct slab {
	unsigned char *base;		/* mapped writable */
	uint32_t free[SLAB_CLASSES];	/* first free unit of each class, linked at rec.link in all */
	uint32_t bump[SLAB_CLASSES], end[SLAB_CLASSES];	/* untouched rest of the current chunk, in units */
	uint32_t next;			/* first unit of the next chunk */
	uint64_t used;			/* bytes given out */
	unsigned char *chunk_class;	/* class + 1 of each chunk; SLAB_BYTES / SLAB_CHUNK entries */
};

struct peerslab {			/* another process's slab, read only */
	const unsigned char *base;
};

int	slab_create(const char *name);			/* -> descriptor, for rlet */
int	slab_init(struct slab *s, int fd);		/* maps fd for writing and seals it against other writers; fd stays open */
void	slab_release(struct slab *s);
int	peerslab_map(struct peerslab *p, int fd);	/* checks seals and size; fd stays open */
void	peerslab_unmap(struct peerslab *p);

int	slab_refill(struct slab *s, unsigned cls);	/* a fresh chunk for cls: 0 or -ENOMEM */
uint32_t slab_alloc(struct slab *s, size_t n);		/* unit of a block of at least n <= SLAB_BLOCK_MAX bytes; 0: no room */
void	slab_free(struct slab *s, uint32_t unit);	/* unit as slab_alloc gave it; its class is known from its chunk */
/* large blocks (functions): a run of whole chunks, never freed before slab_release; 0: no room */
uint32_t slab_run(struct slab *s, size_t n);

static inline void *
slab_at(const struct slab *s, uint32_t unit)
{
	return s->base + (size_t)unit * SLAB_UNIT;
}

static inline uint32_t
slab_unit(const struct slab *s, const void *p)
{
	return (uint32_t)((size_t)((const unsigned char *)p - s->base) / SLAB_UNIT);
}

/* a record: the straight path of slab_alloc.  NULL: no room.  Its bytes are not cleared. */
static inline struct rec *
slab_rec(struct slab *s)
{
	uint32_t u = s->free[0];

	if (u) {
		struct rec *r = slab_at(s, u);

		s->free[0] = r->link;
		s->used += SLAB_UNIT;
		return r;
	}
	if (s->bump[0] == s->end[0] && slab_refill(s, 0) < 0)
		return NULL;
	s->used += SLAB_UNIT;
	return slab_at(s, s->bump[0]++);
}

static inline void
slab_rec_free(struct slab *s, struct rec *r)
{
	rec_state(r, REC_FREE);
	r->link = s->free[0];
	s->free[0] = slab_unit(s, r);
	s->used -= SLAB_UNIT;
}

/* n bytes at unit of a peer's slab, or NULL if they do not lie inside it */
static inline const void *
peerslab_at(const struct peerslab *p, uint32_t unit, size_t n)
{
	uint64_t off = (uint64_t)unit * SLAB_UNIT;

	if (unit == 0 || off >= SLAB_BYTES || n > SLAB_BYTES - off)
		return NULL;
	return p->base + off;
}

#endif
