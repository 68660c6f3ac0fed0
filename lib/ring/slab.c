#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/err.h"
#include "os/seg.h"
#include "ring/slab.h"

/*
 * A class takes a whole chunk at a time and hands its blocks out in order, so that only what is used is
 * touched.  Chunk 0 is left alone: it is sparse, and unit 0 means none.  A free block is linked through the
 * place of rec.link in every class.
 */
enum {
	CHUNK_UNITS = SLAB_CHUNK / SLAB_UNIT,
	CHUNKS = SLAB_BYTES / SLAB_CHUNK,
	CHUNK_RUN = 255,		/* in chunk_class: part of a run */
	SMALL_PAGES = 2 << 20		/* bytes before huge pages: most workers stay below */
};

int
slab_create(const char *name)
{
	return seg_create(name, SLAB_BYTES);
}

/* maps a segment of the one right size */
static void *
map(int fd, bool write, int *err)
{
	size_t n;
	void *p = seg_map(fd, &n, write, err);

	if (p == NULL || n == SLAB_BYTES)
		return p;
	seg_unmap(p, n);
	*err = ERR_LAYOUT;
	return NULL;
}

int
slab_init(struct slab *s, int fd)
{
	int e;
	unsigned char *p = map(fd, true, &e);

	if (p == NULL)
		return e;
	if ((e = seg_seal_future(fd)) < 0) {
		seg_unmap(p, SLAB_BYTES);
		return e;
	}
	/* advice only: a kernel without huge pages for shared memory refuses it */
	(void)madvise(p + SMALL_PAGES, SLAB_BYTES - SMALL_PAGES, MADV_HUGEPAGE);
	*s = (struct slab){ .base = p, .next = CHUNK_UNITS };
	return 0;
}

void
slab_release(struct slab *s)
{
	seg_unmap(s->base, SLAB_BYTES);
	if (s->chunk_class)
		munmap(s->chunk_class, CHUNKS);
	*s = (struct slab){ 0 };
}

int
peerslab_map(struct peerslab *p, int fd)
{
	int e;
	const unsigned char *base = map(fd, false, &e);

	if (base == NULL)
		return e;
	p->base = base;
	return 0;
}

void
peerslab_unmap(struct peerslab *p)
{
	seg_unmap((void *)(uintptr_t)p->base, SLAB_BYTES);
	p->base = NULL;
}

/* n fresh chunks in a row, marked; their first unit, or 0 */
static uint32_t
take_chunks(struct slab *s, uint32_t n, unsigned char mark)
{
	uint32_t first = s->next / CHUNK_UNITS;

	if (n > CHUNKS - first)
		return 0;
	if (s->chunk_class == NULL) {	/* mapped, so that only its touched part counts */
		void *p = mmap(NULL, CHUNKS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 0;
		s->chunk_class = p;
	}
	memset(s->chunk_class + first, mark, n);
	s->next += n * CHUNK_UNITS;
	return first * CHUNK_UNITS;
}

int
slab_refill(struct slab *s, unsigned cls)
{
	uint32_t u = take_chunks(s, 1, (unsigned char)(cls + 1));

	if (u == 0)
		return -ENOMEM;
	s->bump[cls] = u;
	s->end[cls] = u + CHUNK_UNITS;
	return 0;
}

static unsigned
class_of(size_t n)
{
	return n <= SLAB_UNIT ? SLAB_SMALL : (unsigned)(64 - 6 - __builtin_clzll(n - 1));
}

static unsigned
shift_of(unsigned cls)
{
	return cls == SLAB_SMALL ? 0 : cls;
}

uint32_t
slab_alloc(struct slab *s, size_t n)
{
	unsigned cls = class_of(n);
	uint32_t u;

	if (n > SLAB_BLOCK_MAX)
		return 0;
	if ((u = s->free[cls]) != 0)
		s->free[cls] = ((struct rec *)slab_at(s, u))->link;
	else if (s->bump[cls] == s->end[cls] && slab_refill(s, cls) < 0)
		return 0;
	else {
		u = s->bump[cls];
		s->bump[cls] += 1u << shift_of(cls);
	}
	s->used += (uint64_t)SLAB_UNIT << shift_of(cls);
	return u;
}

void
slab_free(struct slab *s, uint32_t unit)
{
	unsigned mark = unit < s->next ? s->chunk_class[unit / CHUNK_UNITS] : 0, cls = mark - 1;

	assert(mark != 0 && mark != CHUNK_RUN && unit % (1u << shift_of(cls)) == 0);
	((struct rec *)slab_at(s, unit))->link = s->free[cls];
	s->free[cls] = unit;
	s->used -= (uint64_t)SLAB_UNIT << shift_of(cls);
}

uint32_t
slab_run(struct slab *s, size_t n)
{
	size_t chunks = n / SLAB_CHUNK + (n % SLAB_CHUNK != 0);
	uint32_t u;

	if (chunks == 0 || chunks > CHUNKS || (u = take_chunks(s, (uint32_t)chunks, CHUNK_RUN)) == 0)
		return 0;
	s->used += (uint64_t)chunks * SLAB_CHUNK;
	return u;
}
