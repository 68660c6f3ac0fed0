/* store_index.c - the index finds what was put, nothing else, also while its writer is at work and when it is full */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "store/index.h"
#include "tap.h"

static struct id
nth(uint64_t i)
{
	return id_make(1, (uint32_t)(i % 7 + 1), i, 0);
}

static uint64_t
off_of(uint64_t i, uint32_t gen)
{
	return (i * 8191 + gen + 1) * 64;
}

static void
basics(void)
{
	struct index w = INDEX_INIT, r = INDEX_INIT;
	uint64_t off;
	uint32_t gen;

	ok(index_create(&w, 1000) == 0);
	ok(index_attach(&r, w.fd) == 0);
	ok(index_get(&r, nth(1), &off, &gen) == ERR_NOTFOUND);
	ok(index_put(&w, nth(1), 640, 5) == 0 && w.n == 1);
	ok(index_get(&r, nth(1), &off, &gen) == 0 && off == 640 && gen == 5);
	ok(index_put(&w, nth(1), 1280, 6) == 0 && w.n == 1);
	ok(index_get(&r, nth(1), &off, &gen) == 0 && off == 1280 && gen == 6);
	ok(index_put(&w, nth(2), 0, 1) == -EINVAL);
	ok(index_del(&w, nth(1)) == 0 && index_del(&w, nth(1)) == ERR_NOTFOUND && w.n == 0);
	ok(index_get(&r, nth(1), &off, &gen) == ERR_NOTFOUND);
	ok(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0) == MAP_FAILED);	/* sealed */
	index_release(&r);
	index_release(&w);
}

/* random puts and deletes near the limit against a plain array */
static void
model(void)
{
	enum { N = 400 };
	struct index w = INDEX_INIT;
	uint32_t gen[N] = { 0 }, g;
	uint64_t off, n = 0;
	bool good = true, full = false;
	int e;

	srandom(3);
	ok(index_create(&w, 10) == 0);
	for (int step = 0; step < 200000; step++) {
		uint64_t i = (uint64_t)random() % N;

		if (random() % 1000 < (step / 20000 % 2 ? 400 : 600)) {
			g = (uint32_t)random() | 1;
			e = index_put(&w, nth(i), off_of(i, g), g);
			full |= e == -ENOSPC;
			if (e == 0) {
				n += gen[i] == 0;
				gen[i] = g;
			} else
				good &= e == -ENOSPC && gen[i] == 0;
		} else {
			good &= (index_del(&w, nth(i)) == 0) == (gen[i] != 0);
			n -= gen[i] != 0;
			gen[i] = 0;
		}
		good &= w.n == n;
		i = (uint64_t)random() % N;
		e = index_get(&w, nth(i), &off, &g);
		good &= gen[i] ? e == 0 && g == gen[i] && off == off_of(i, g) : e == ERR_NOTFOUND;
	}
	ok(good);
	ok(full);
	for (uint64_t i = 0; i < N; i++)
		if (gen[i])
			good &= index_del(&w, nth(i)) == 0;
	ok(good && w.n == 0);
	for (uint64_t i = 0; i < N; i++)
		good &= index_get(&w, nth(i), &off, &g) == ERR_NOTFOUND;
	ok(good);
	index_release(&w);
}

static struct index shared = INDEX_INIT;
static _Atomic int stop;

/* what stays must always be found; what changes must be whole: off belongs to gen */
static void *
reader(void *arg)
{
	struct index r = INDEX_INIT;
	uint64_t off, bad = 0, i = 0;
	uint32_t gen;
	int e;

	(void)arg;
	if (index_attach(&r, shared.fd) < 0)
		return (void *)1;
	while (!stop) {
		i = (i + 1) % 256;
		e = index_get(&r, nth(i), &off, &gen);
		if (e == -EAGAIN)
			continue;		/* the writer lost its CPU in this bucket */
		if (i < 64)
			bad += e != 0 || off != off_of(i, 1) || gen != 1;
		else if (e == 0)
			bad += off != off_of(i, gen);
		else
			bad += e != ERR_NOTFOUND;
	}
	index_release(&r);
	return (void *)(uintptr_t)bad;
}

static void
concurrent(void)
{
	pthread_t t[2];
	void *bad;

	ok(index_create(&shared, 64) == 0);
	for (uint64_t i = 0; i < 64; i++)
		index_put(&shared, nth(i), off_of(i, 1), 1);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (uint32_t step = 0; step < 200000; step++) {
		uint64_t i = 64 + step % 192;

		if (step % 3)
			index_put(&shared, nth(i), off_of(i, step), step);
		else
			index_del(&shared, nth(i));
	}
	stop = 1;
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &bad);
		ok(bad == NULL);
	}
	index_release(&shared);
}

/* a reader that meets a bucket whose writer was killed in it says so instead of turning for ever */
static void
stuck(void)
{
	struct index w = INDEX_INIT, r = INDEX_INIT;
	uint64_t off;
	uint32_t gen;

	ok(index_create(&w, 64) == 0 && index_attach(&r, w.fd) == 0);
	memset((char *)w.shm + 64, 0xff, w.bytes - 64);		/* all locks odd, all counts nonsense */
	ok(index_get(&r, nth(3), &off, &gen) == -EAGAIN);
	memset((char *)w.shm + 64, 0xfe, w.bytes - 64);
	ok(index_get(&r, nth(3), &off, &gen) == ERR_NOTFOUND);
	*(uint64_t *)(void *)((char *)w.shm + 8) = UINT64_MAX;	/* the mask */
	index_release(&r);
	ok(index_attach(&r, w.fd) == ERR_LAYOUT);
	index_release(&w);
}

int
main(void)
{
	basics();
	model();
	concurrent();
	stuck();
	return tap_done();
}
