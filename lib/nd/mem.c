#include <stdlib.h>
#include <sys/mman.h>
#include "nd/impl.h"

#define HUGE_MIN (4u << 20)		/* bytes from which on the kernel is asked for large pages */

static void
unmap(void *arg)
{
	struct nd_mem *m = arg;

	munmap(m->data, m->bytes);
}

struct nd_mem *
nd_mem_new(size_t bytes)
{
	size_t head = 64;
	struct nd_mem *m;
	unsigned char *p;

	_Static_assert(sizeof *m <= 64, "the elements begin at the next 64 bytes");
	if (bytes > SIZE_MAX / 4)
		return NULL;
	if (bytes >= HUGE_MIN) {		/* zero pages come from the kernel */
		if (!(m = malloc(sizeof *m)))
			return NULL;
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			free(m);
			return NULL;
		}
		madvise(p, bytes, MADV_HUGEPAGE);	/* a wish */
		*m = (struct nd_mem){ 1, unmap, m, p, bytes };
		return m;
	}
	if (!(m = aligned_alloc(64, (head + bytes + 63) & ~(size_t)63)))
		return NULL;
	*m = (struct nd_mem){ 1, NULL, NULL, (unsigned char *)m + head, bytes };
	memset(m->data, 0, bytes);
	return m;
}

struct nd_mem *
nd_mem_wrap(void *data, size_t bytes, void (*release)(void *), void *arg)
{
	struct nd_mem *m = malloc(sizeof *m);

	if (m)
		*m = (struct nd_mem){ 1, release, arg, data, bytes };
	return m;
}

struct nd_mem *
nd_mem_hold(struct nd_mem *m)
{
	__atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void
nd_mem_drop(struct nd_mem *m)
{
	/* acquire: what others did with the elements is over; release: what we did is, for who frees them */
	if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (m->free)
		m->free(m->arg);
	free(m);
}
