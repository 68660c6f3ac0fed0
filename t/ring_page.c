/* ring_page.c - pages are mapped only when they are what they say; one writer each; bells count who is awake */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "ring/bell.h"
#include "ring/page.h"
#include "ring/ring.h"
#include "tap.h"

static int
unsealed(size_t n)
{
	int fd = memfd_create("t", MFD_CLOEXEC);

	return fd >= 0 && ftruncate(fd, (off_t)n) == 0 ? fd : -1;
}

int
main(void)
{
	int pfd = page_create("page", 7, 42), nfd = nodepage_create("node", 7, 3), rfd = ring_create("ring");
	int fd, bare = unsealed(sizeof(struct page));
	struct page *w = NULL, *r = NULL, *x = NULL;
	struct nodepage *np = NULL, *np2 = NULL;
	struct ring_shm *ring = NULL;
	struct bell *b;

	ok(pfd >= 0 && nfd >= 0 && rfd >= 0 && bare >= 0);
	ok(page_map(pfd, &r, 0) == 0 && r->proc == 42 && r->node == 7);	/* rlet, before the process */
	ok(page_map(pfd, &w, 1) == 0);
	ok(page_map(pfd, &x, 1) == -EPERM && x == NULL);		/* it has its writer */
	ok(page_map(pfd, &x, 0) == 0);
	page_count(w, CNT_RUN, 2);
	page_count(w, CNT_RUN, 3);
	page_set(w, CNT_OWNED, 9);
	ok(atomic_load(&r->counter[CNT_RUN]) == 5 && atomic_load(&x->counter[CNT_OWNED]) == 9);
	page_unmap(x);
	x = NULL;

	/* none of them is another, and nothing unsealed or of another layout is let in */
	ok(page_map(nfd, &x, 0) == ERR_LAYOUT && page_map(rfd, &x, 0) == ERR_LAYOUT && x == NULL);
	ok(page_map(bare, &x, 0) == ERR_LAYOUT && nodepage_map(bare, &np2) == ERR_LAYOUT);
	ok(ring_map(bare, &ring) == ERR_LAYOUT && ring_map(nfd, &ring) == ERR_LAYOUT && ring == NULL);
	fd = page_create("page", 1, 1);
	ok(pwrite(fd, &(uint32_t){ PAGE_LAYOUT + 1 }, 4, 4) == 4 && page_map(fd, &x, 0) == ERR_LAYOUT);
	ok(ftruncate(fd, 1) < 0);		/* nobody can shrink it under us */
	close(fd);
	fd = ring_create("ring");
	ok(pwrite(fd, &(uint32_t){ 0 }, 4, 0) == 4 && ring_map(fd, &ring) == ERR_LAYOUT);
	close(fd);
	ok(page_map(-1, &x, 0) < 0 && ring_map(-1, &ring) < 0 && nodepage_map(-1, &np) < 0);
	ok(ring_map(rfd, &ring) == 0);
	ring_unmap(ring);

	ok(nodepage_map(nfd, &np) == 0 && nodepage_map(nfd, &np2) == 0);
	ok(np->node == 7 && np->cpus == 3 && atomic_load(&np->valid_until) == UINT64_MAX);
	b = &np->bell[NODEPAGE_BELLS - 1];
	atomic_store(&np->awake, 1);
	bell_arm(b);
	ok(bell_sleep(np, b, 1000) == -ETIMEDOUT);
	ok(atomic_load(&np2->awake) == 1 && atomic_load(&b->word) == 0);
	bell_arm(b);
	bell_ring(np2, &np2->bell[NODEPAGE_BELLS - 1]);	/* between arming and sleeping */
	ok(bell_sleep(np, b, -1) == 0 && atomic_load(&np->awake) == 1);
	bell_ring(np, b);			/* nobody sleeps: nothing is kept, the sources are */
	ok(atomic_load(&b->word) == 0 && atomic_load(&np->awake) == 1);
	bell_arm(b);
	bell_disarm(b);
	ok(atomic_load(&b->word) == 0);

	/* uses: by place the last one, with a clock that wraps; of two tables the later */
	{
		static struct uses a, u;
		uint64_t off;
		uint32_t when;
		unsigned n = 0, good = 0;

		uses_note(&a, 64 << 10, 10);
		uses_note(&a, 64 << 10, 5);		/* the clock has wrapped */
		uses_note(&a, 0x3ffffffffc0, 0xfffffff0);
		uses_note(&u, 64 << 10, 0xfffffff8);
		uses_merge(&u, &a, 20);
		for (unsigned i = 0; i < USES; i++)
			if (uses_at(&u, i, 20, &off, &when)) {
				n++;
				good += (off == 64 << 10 && when == 5) || (off == 0x3ffffffffc0 && when == 0xfffffff0);
			}
		ok(n == 2 && good == 2);
		uses_note(&a, 64 << 10, 6);
		uses_merge(&a, &u, 20);			/* what is older does not come */
		for (unsigned i = 0; i < USES; i++)
			good += uses_at(&a, i, 20, &off, &when) && when == 6;
		ok(good == 3);
	}
	close(pfd);
	close(nfd);
	close(rfd);
	close(bare);
	page_unmap(w);
	page_unmap(r);
	seg_unmap(np, sizeof *np);
	seg_unmap(np2, sizeof *np2);
	return tap_done();
}
