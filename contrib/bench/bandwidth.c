/*
 * bandwidth [MIB] - GB/s that one core reads, and that it moves with memcpy (bytes read and written): two figures
 * The yardstick for arithmetic on large arrays: private memory, pages present, huge if the kernel gives them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"

enum { RUNS = 9, LANES = 16 };

static int
up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint64_t
all_of(const uint64_t *p, size_t n)		/* enough sums side by side that loads are all that counts */
{
	uint64_t s[LANES] = { 0 }, sum = 0;

	for (size_t i = 0; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			s[k] += p[i + (size_t)k];
	for (int k = 0; k < LANES; k++)
		sum += s[k];
	return sum;
}

static void *
memory(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	madvise(p, n, MADV_HUGEPAGE);
	return memset(p, 1, n);
}

int
main(int argc, char *argv[])
{
	size_t n = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
	uint64_t sink = 0;
	double reading[RUNS], moving[RUNS];
	uint64_t *src, *dst;

	if (n == 0)
		return 1;
	src = memory(n);
	dst = memory(n);
	for (int i = 0; i < RUNS; i++) {
		uint64_t t = clock_ns();

		sink += all_of(src, n / 8);
		reading[i] = (double)n / (double)(clock_ns() - t);
		t = clock_ns();
		memcpy(dst, src, n);
		moving[i] = 2 * (double)n / (double)(clock_ns() - t);
	}
	qsort(reading, RUNS, sizeof *reading, up);
	qsort(moving, RUNS, sizeof *moving, up);
	printf("%.2f %.2f\n", reading[RUNS / 2], moving[RUNS / 2]);
	return sink == 0;		/* it is not: the sums are wanted */
}
