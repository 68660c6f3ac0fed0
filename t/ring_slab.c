/* ring_slab.c - slab blocks are aligned, distinct and reused; memory comes when touched; only its process writes */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "ring/slab.h"
#include "tap.h"

static uint64_t
resident(int fd)			/* bytes of the segment that exist */
{
	struct stat st;

	return fstat(fd, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}

static bool
every_size_works(struct slab *s)
{
	for (size_t n = 1; n <= SLAB_BLOCK_MAX; n += n / 7 + 1) {
		uint32_t a = slab_alloc(s, n), b = slab_alloc(s, n);
		size_t class = SLAB_UNIT;

		while (class < n)
			class *= 2;
		if (!a || !b || a == b || a * UINT64_C(64) % class || b * UINT64_C(64) % class)
			return false;
		memset(slab_at(s, a), 1, n);
		memset(slab_at(s, b), 2, n);
		if (((unsigned char *)slab_at(s, a))[n - 1] != 1)
			return false;
		slab_free(s, a);
		if (slab_alloc(s, n) != a)		/* last in, first out */
			return false;
		slab_free(s, a);
		slab_free(s, b);
	}
	return true;
}

static bool
many_records(struct slab *s)		/* over several chunks: all distinct, then all reused */
{
	enum { N = 5000 };
	static struct rec *r[N];
	uint32_t next;

	for (int i = 0; i < N; i++) {
		if ((r[i] = slab_rec(s)) == NULL)
			return false;
		r[i]->seq = (uint64_t)i;
	}
	for (int i = 0; i < N; i++)
		if (r[i]->seq != (uint64_t)i || slab_at(s, slab_unit(s, r[i])) != (void *)r[i])
			return false;
	next = s->next;
	for (int i = 0; i < N; i++)
		slab_rec_free(s, r[i]);
	for (int i = 0; i < N; i++)
		if ((r[i] = slab_rec(s)) == NULL)
			return false;
	for (int i = 0; i < N; i++)
		slab_free(s, slab_unit(s, r[i]));	/* the two ways to free are one */
	return s->next == next;
}

int
main(void)
{
	int fd = slab_create("t"), other = seg_create("t", 4096), e;
	struct peerslab p;
	struct slab s;
	uint32_t u, run;
	size_t len;

	ok(fd >= 0);
	ok(peerslab_map(&p, fd) == 0);		/* a peer may come before the owner */
	ok(slab_init(&s, fd) == 0);
	ok(resident(fd) == 0 && s.chunk_class == NULL && s.used == 0);
	ok(slab_init(&(struct slab){ 0 }, fd) == -EPERM);
	ok(seg_map(fd, &len, true, &e) == NULL && e == -EPERM);
	ok(peerslab_map(&(struct peerslab){ 0 }, other) == ERR_LAYOUT);
	ok(slab_init(&(struct slab){ 0 }, other) == ERR_LAYOUT);

	u = slab_alloc(&s, 11);
	ok(u != 0 && s.used == 64);
	memcpy(slab_at(&s, u), "hello peer", 11);
	ok(peerslab_at(&p, u, 11) && strcmp(peerslab_at(&p, u, 11), "hello peer") == 0);
	ok(resident(fd) <= 4096);
	slab_free(&s, u);

	{					/* chunks of records hold nothing else */
		struct rec *r = slab_rec(&s);

		u = slab_alloc(&s, 1);
		ok(r && u && s.chunk_class[slab_unit(&s, r) / 1024] == 1 && s.chunk_class[u / 1024] != 1);
		slab_free(&s, u);
		slab_rec_free(&s, r);
	}
	ok(every_size_works(&s));
	ok(many_records(&s));
	ok(s.used == 0);
	ok(slab_alloc(&s, SLAB_BLOCK_MAX + 1) == 0);
	ok(slab_alloc(&s, 0) != 0);

	run = slab_run(&s, 3 * SLAB_CHUNK + 1);
	ok(run != 0);
	memset(slab_at(&s, run), 7, 3 * SLAB_CHUNK + 1);
	u = slab_alloc(&s, SLAB_BLOCK_MAX);
	ok(u != 0 && (u >= run + 4 * SLAB_CHUNK / SLAB_UNIT || u + SLAB_BLOCK_MAX / SLAB_UNIT <= run));
	ok(slab_run(&s, SLAB_BYTES) == 0 && slab_run(&s, SIZE_MAX) == 0 && slab_run(&s, 0) == 0);

	ok(peerslab_at(&p, 0, 1) == NULL);
	ok(peerslab_at(&p, SLAB_BYTES / SLAB_UNIT - 1, 64) != NULL);
	ok(peerslab_at(&p, SLAB_BYTES / SLAB_UNIT - 1, 65) == NULL);
	ok(peerslab_at(&p, UINT32_MAX, 1) == NULL && peerslab_at(&p, 1, SIZE_MAX) == NULL);

	run = slab_run(&s, SLAB_BYTES - (uint64_t)s.next * SLAB_UNIT - SLAB_CHUNK);
	ok(run != 0);				/* all but one chunk, untouched */
	while (s.free[10] || s.next * UINT64_C(64) < SLAB_BYTES)
		if ((u = slab_alloc(&s, SLAB_BLOCK_MAX)) == 0)
			break;
	ok(u != 0 && slab_alloc(&s, SLAB_BLOCK_MAX) == 0);
	memset(slab_at(&s, u), 1, SLAB_BLOCK_MAX);	/* the last bytes exist */
	while (s.free[0] || s.bump[0] != s.end[0])
		(void)slab_rec(&s);
	ok(slab_rec(&s) == NULL);
	peerslab_unmap(&p);
	slab_release(&s);
	close(fd);
	close(other);
	return tap_done();
}
