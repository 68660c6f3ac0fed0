/*
 * arena.c - speed of the arena alone: put and drop by size, against memcpy into warm shared memory
 *	cc -O2 -D_GNU_SOURCE -Ilib contrib/bench/arena.c build/librota.a -o arena && ./arena [MiB of the largest]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/err.h"
#include "store/arena_node.h"

static struct arena_node an;
static struct arena a;

static void
put(struct id id, const void *src, uint64_t n, struct obj *o)
{
	uint64_t off, len;
	int e;

	while ((e = arena_new(&a, id, &n, 1, 16, o)) == -EAGAIN) {
		e = arena_node_lend(&an, 1, arena_want(arena_run(&n, 1, 16)), &off, &len);
		if (e < 0 || (e = arena_lend(&a, off, len)) < 0)
			break;
	}
	if (e < 0 || (e = arena_ready(&a, o)) < 0) {
		fprintf(stderr, "cannot put: %s\n", err_str(e));
		exit(1);
	}
	arena_copy(obj_buf(&a, o, 0, NULL), src, n);
	arena_seal(&a, o->off);
}

static void
puts_of(uint64_t n, unsigned times, const void *src)
{
	struct id id = id_make(1, 1, 1, 0);
	struct obj o;
	uint64_t t;

	put(id, src, n, &o);
	arena_free(&a, o.off, o.gen);
	t = clock_ns();
	for (unsigned i = 0; i < times; i++) {
		put(id, src, n, &o);
		arena_free(&a, o.off, o.gen);
	}
	t = clock_ns() - t;
	printf("put+drop of %llu bytes\t%.0f\t1/s\n", (unsigned long long)n, times * 1e9 / (double)t);
}

int
main(int argc, char *argv[])
{
	uint64_t big = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1024) << 20, t, warm;
	unsigned char *src = malloc(big), *dst;
	struct obj o;
	double first = 0, best = 1e18, copy = 1e18;

	memset(src, 1, big);
	if (arena_node_create(&an, big * 3 + (64 << 20)) < 0 || arena_attach(&a, an.fd, 1) < 0)
		return 1;
	puts_of(64, 2000000, src);
	puts_of(4096, 1000000, src);
	puts_of(100 << 10, 100000, src);
	puts_of(1 << 20, 2000, src);
	for (int i = 0; i < 4; i++) {
		t = clock_ns();
		put(id_make(1, 1, 2, 0), src, big, &o);
		t = clock_ns() - t;
		if (i == 0)
			first = (double)t;
		else if ((double)t < best)
			best = (double)t;
		dst = obj_buf(&a, &o, 0, NULL);
		warm = clock_ns();
		memcpy(dst, src, big);
		warm = clock_ns() - warm;
		if ((double)warm < copy)
			copy = (double)warm;
		arena_free(&a, o.off, o.gen);
	}
	printf("put of %llu MiB, the first\t%.2f\tGB/s\n", (unsigned long long)big >> 20, (double)big / first);
	printf("put, later ones\t%.2f\tGB/s\nmemcpy into warm shared memory\t%.2f\tGB/s\nratio\t%.2f\t\n", (double)big / best,
	    (double)big / copy, copy / best);
	printf("check\t%d\t\n", arena_node_check(&an));
	return 0;
}
