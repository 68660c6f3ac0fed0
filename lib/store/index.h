/*
 * index - object id -> where it lies, in shared memory.  rlet is the only writer, every process reads.
 *
 * Open addressing in buckets of 64 bytes (two entries and a sequence lock each).  A bucket counts the entries that
 * wanted it and lie further on, so nothing is ever moved and no tombstones are needed.  What it says is a hint:
 * the object's header decides.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include "base/id.h"

struct index_shm;

struct index {
	struct index_shm *shm;		/* private */
	size_t bytes;			/* private */
	uint64_t mask;			/* private copy: buckets - 1 */
	uint64_t n;			/* ro, the writer's: entries */
	int fd;				/* ro: the writer's, to be passed on; -1 in readers */
};
#define INDEX_INIT { .fd = -1 }

int	index_create(struct index *ix, uint64_t entries);	/* room for so many; sparse; 0 or -errno */
int	index_attach(struct index *ix, int fd);			/* fd stays the caller's; 0, ERR_LAYOUT or -errno */
void	index_release(struct index *ix);			/* ix becomes INDEX_INIT */

/* the writer's */
int	index_put(struct index *ix, struct id id, uint64_t off, uint32_t gen);	/* adds or replaces; 0 or -ENOSPC */
int	index_del(struct index *ix, struct id id);				/* 0 or ERR_NOTFOUND */

/* anybody's: 0, ERR_NOTFOUND, or -EAGAIN if the writer died or was stopped in the middle of this bucket */
int	index_get(const struct index *ix, struct id id, uint64_t *off, uint32_t *gen);

#endif
