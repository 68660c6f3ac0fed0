#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/index.h"

#define INDEX_MAGIC 0x78656469u		/* "idex" */
#define INDEX_LAYOUT 1u

#ifndef INDEX_TRIES
#define INDEX_TRIES 1000		/* t/model is content with few */
#endif
enum { ENTRIES = 2, SPINS = 64, TRIES = INDEX_TRIES };

struct entry {			/* off 0: empty.  Readers may look while it changes: lock tells them */
	_Atomic uint64_t where;	/* node << 32 | proc */
	_Atomic uint64_t seq;
	_Atomic uint64_t off;
};

struct bucket {
	_Atomic uint32_t lock;	/* odd while the writer is in it */
	_Atomic uint32_t over;	/* entries that belong here or before and lie further on */
	struct entry e[ENTRIES];
	_Atomic uint32_t gen[ENTRIES];
};
static_assert(sizeof(struct bucket) == 64, "layout changed: bump INDEX_LAYOUT");

struct index_shm {
	uint32_t magic, layout;
	uint64_t mask;
	alignas(64) struct bucket b[];
};

static bool
fits(uint64_t mask, size_t bytes)
{
	return mask < SIZE_MAX / sizeof(struct bucket) - 2 && (mask & (mask + 1)) == 0 &&
	    sizeof(struct index_shm) + (mask + 1) * sizeof(struct bucket) <= bytes;
}

int
index_create(struct index *ix, uint64_t entries)
{
	uint64_t n = 64;
	size_t bytes;
	int fd, e;

	if (entries > UINT64_C(1) << 32)
		return -ERANGE;
	while (n * ENTRIES * 3 / 4 < entries)		/* at most three quarters full */
		n *= 2;
	bytes = (sizeof(struct index_shm) + n * sizeof(struct bucket) + 4095) & ~(size_t)4095;
	if ((fd = seg_create("rota-index", bytes)) < 0)
		return fd;
	*ix = (struct index){ .fd = fd, .mask = n - 1 };
	if ((ix->shm = seg_map(fd, &ix->bytes, true, &e)) == NULL || (e = seg_seal_future(fd)) < 0) {
		index_release(ix);
		return e;
	}
	ix->shm->layout = INDEX_LAYOUT;
	ix->shm->mask = ix->mask;
	ix->shm->magic = INDEX_MAGIC;
	return 0;
}

int
index_attach(struct index *ix, int fd)
{
	int e;

	*ix = (struct index)INDEX_INIT;
	if ((ix->shm = seg_map(fd, &ix->bytes, false, &e)) == NULL)
		return e;
	if (ix->bytes >= sizeof *ix->shm)
		ix->mask = ix->shm->mask;
	if (ix->bytes < sizeof *ix->shm || ix->shm->magic != INDEX_MAGIC || ix->shm->layout != INDEX_LAYOUT ||
	    !fits(ix->mask, ix->bytes)) {
		index_release(ix);
		return ERR_LAYOUT;
	}
	return 0;
}

void
index_release(struct index *ix)
{
	seg_unmap(ix->shm, ix->bytes);
	if (ix->fd >= 0)
		close(ix->fd);
	*ix = (struct index)INDEX_INIT;
}

static inline bool
is(const struct entry *e, struct id id)
{
	return atomic_load_explicit(&e->off, memory_order_acquire) != 0 &&
	    atomic_load_explicit(&e->seq, memory_order_acquire) == id.seq &&
	    atomic_load_explicit(&e->where, memory_order_acquire) == ((uint64_t)id.node << 32 | id.proc);
}

static void
set(struct bucket *b, int i, struct id id, uint64_t off, uint32_t gen)
{
	uint32_t lock = atomic_load_explicit(&b->lock, memory_order_relaxed);

	atomic_store_explicit(&b->lock, lock + 1, memory_order_relaxed);
	/* each release keeps the odd lock before it: a reader that acquires a new value sees the lock changed */
	atomic_store_explicit(&b->e[i].where, (uint64_t)id.node << 32 | id.proc, memory_order_release);
	atomic_store_explicit(&b->e[i].seq, id.seq, memory_order_release);
	atomic_store_explicit(&b->e[i].off, off, memory_order_release);
	atomic_store_explicit(&b->gen[i], gen, memory_order_release);
	atomic_store_explicit(&b->lock, lock + 2, memory_order_release);
}

static void
over(struct index *ix, uint64_t from, uint64_t to, int by)	/* for the buckets that a probe passes on its way */
{
	for (; from != to; from = (from + 1) & ix->mask) {
		_Atomic uint32_t *o = &ix->shm->b[from].over;

		atomic_store_explicit(o, atomic_load_explicit(o, memory_order_relaxed) + (uint32_t)by,
		    memory_order_release);
	}
}

/* The writer's search: the bucket and place of id, or false; *empty is the first bucket with room, if any. */
static bool
find(const struct index *ix, struct id id, uint64_t *at, int *place, uint64_t *empty, int *hole)
{
	uint64_t i = id_hash(id) & ix->mask;
	bool room = false;

	for (uint64_t n = 0; n <= ix->mask; n++, i = (i + 1) & ix->mask) {
		const struct bucket *b = &ix->shm->b[i];

		for (int k = 0; k < ENTRIES; k++) {
			if (is(&b->e[k], id)) {
				*at = i;
				*place = k;
				return true;
			}
			if (!room && atomic_load_explicit(&b->e[k].off, memory_order_relaxed) == 0) {
				room = true;
				*empty = i;
				*hole = k;
			}
		}
		if (room && atomic_load_explicit(&b->over, memory_order_relaxed) == 0)
			break;
	}
	if (!room)
		*hole = -1;
	return false;
}

int
index_put(struct index *ix, struct id id, uint64_t off, uint32_t gen)
{
	uint64_t at, empty;
	int place, hole;

	if (off == 0)
		return -EINVAL;
	if (find(ix, id, &at, &place, &empty, &hole)) {
		set(&ix->shm->b[at], place, id, off, gen);
		return 0;
	}
	if (hole < 0 || ix->n >= (ix->mask + 1) * ENTRIES * 15 / 16)
		return -ENOSPC;			/* long probes would cost more than asking rlet */
	over(ix, id_hash(id) & ix->mask, empty, 1);
	set(&ix->shm->b[empty], hole, id, off, gen);
	ix->n++;
	return 0;
}

int
index_del(struct index *ix, struct id id)
{
	uint64_t at, empty;
	int place, hole;

	if (!find(ix, id, &at, &place, &empty, &hole))
		return ERR_NOTFOUND;
	set(&ix->shm->b[at], place, (struct id){ 0 }, 0, 0);
	over(ix, id_hash(id) & ix->mask, at, -1);
	ix->n--;
	return 0;
}

/* 1 found, 0 not in this bucket, -EAGAIN */
static int
look(const struct bucket *b, struct id id, uint64_t *off, uint32_t *gen, uint32_t *more)
{
	for (int try = 0; try < TRIES; try++) {
		uint32_t lock = atomic_load_explicit(&b->lock, memory_order_acquire);
		int found = 0;

		if (lock & 1) {
			if (try > SPINS)
				sched_yield();	/* the writer lost its CPU in here */
			continue;
		}
		for (int k = 0; k < ENTRIES; k++)
			if (is(&b->e[k], id)) {
				*off = atomic_load_explicit(&b->e[k].off, memory_order_acquire);
				*gen = atomic_load_explicit(&b->gen[k], memory_order_acquire);
				found = 1;
			}
		*more = atomic_load_explicit(&b->over, memory_order_acquire);
		if (atomic_load_explicit(&b->lock, memory_order_relaxed) == lock)
			return found;
	}
	return -EAGAIN;
}

int
index_get(const struct index *ix, struct id id, uint64_t *off, uint32_t *gen)
{
	uint64_t i = id_hash(id) & ix->mask, at;
	uint32_t g, more;
	int r;

	for (uint64_t n = 0; n <= ix->mask; n++, i = (i + 1) & ix->mask) {
		if ((r = look(&ix->shm->b[i], id, &at, &g, &more)) < 0)
			return r;
		if (r > 0) {
			*off = at;
			*gen = g;
			return 0;
		}
		if (more == 0)
			break;
	}
	return ERR_NOTFOUND;
}
