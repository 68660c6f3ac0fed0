#include <errno.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "ring/ring.h"

int
ring_create(const char *name)
{
	const uint32_t head[2] = { RING_MAGIC, RING_LAYOUT };
	int fd = seg_create(name, sizeof(struct ring_shm)), e;

	if (fd < 0)
		return fd;
	if (pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head)
		return fd;
	e = errno ? -errno : -EIO;
	close(fd);
	return e;
}

int
ring_map(int fd, struct ring_shm **shm)
{
	size_t n;
	int e;
	struct ring_shm *p = seg_map(fd, &n, true, &e);

	if (p == NULL)
		return e;
	if (n != sizeof *p || p->magic != RING_MAGIC || p->layout != RING_LAYOUT) {
		seg_unmap(p, n);
		return ERR_LAYOUT;
	}
	*shm = p;
	return 0;
}

void
ring_unmap(struct ring_shm *shm)
{
	seg_unmap(shm, sizeof *shm);
}
