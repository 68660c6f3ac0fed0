#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "os/seg.h"
#include "ring/chan.h"

int
chan_create(const char *name, uint64_t cap, uint64_t items)
{
	const struct chan_shm head = { .magic = CHAN_MAGIC, .layout = CHAN_LAYOUT, .cap = cap, .items = items };
	int fd, e;

	if (cap < CHAN_MIN || cap > CHAN_MAX || (cap & (cap - 1)))
		return -EINVAL;
	if ((fd = seg_create(name, CHAN_PAGE + cap)) < 0)
		return fd;
	if (pwrite(fd, &head, sizeof head, 0) == (ssize_t)sizeof head)
		return fd;
	e = errno ? -errno : -EIO;
	close(fd);
	return e;
}

int
chan_map(int fd, struct chan *c)
{
	size_t bytes;
	int e;
	struct chan_shm *shm = seg_map_twice(fd, CHAN_PAGE, &bytes, &e);
	uint64_t cap;

	if (shm == NULL)
		return e;
	cap = bytes - CHAN_PAGE;
	if (shm->magic != CHAN_MAGIC || shm->layout != CHAN_LAYOUT || cap < CHAN_MIN || cap > CHAN_MAX || (cap & (cap - 1)) || shm->cap != cap) {
		seg_unmap(shm, bytes + cap);
		return ERR_LAYOUT;
	}
	*c = (struct chan){ .shm = shm, .data = (unsigned char *)shm + CHAN_PAGE, .cap = cap, .items = shm->items };
	return 0;
}

void
chan_unmap(struct chan *c)
{
	if (c->shm)
		seg_unmap(c->shm, CHAN_PAGE + 2 * c->cap);
	c->shm = NULL;
	c->data = NULL;
}

struct chan_shm *
chan_map_head(int fd, int *err)
{
	void *p = mmap(NULL, CHAN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*err = p == MAP_FAILED ? -errno : 0;
	return p == MAP_FAILED ? NULL : p;
}

void
chan_unmap_head(struct chan_shm *shm)
{
	seg_unmap(shm, CHAN_PAGE);
}

int
chan_take_writer(struct chan *c)
{
	c->pos = atomic_load_explicit(&c->shm->w.pos, memory_order_acquire);
	c->count = atomic_load_explicit(&c->shm->w.count, memory_order_relaxed);
	c->peer_pos = atomic_load_explicit(&c->shm->r.pos, memory_order_acquire);
	c->peer_count = atomic_load_explicit(&c->shm->r.count, memory_order_relaxed);
	atomic_store(&c->shm->w.taken, 1);
	return (c->pos & 7) || c->pos - c->peer_pos > c->cap ? ERR_PROTO : 0;
}

int
chan_take_reader(struct chan *c)
{
	c->pos = atomic_load_explicit(&c->shm->r.pos, memory_order_acquire);
	c->count = atomic_load_explicit(&c->shm->r.count, memory_order_relaxed);
	atomic_store(&c->shm->r.taken, 1);
	return c->pos & 7 ? ERR_PROTO : 0;
}
