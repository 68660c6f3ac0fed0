/*
 * memcpy [MIB] - GB/s of memcpy into warm shared memory, the median of 5; prints the figure alone
 * The yardstick for puts of large buffers: both ends are in memory, pages present, huge if the kernel gives them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"

enum { RUNS = 5 };

static int
up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char *argv[])
{
	size_t n = (size_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
	int fd = memfd_create("bench", MFD_CLOEXEC);
	char *src, *dst;
	double speed[RUNS];

	if (n == 0 || fd < 0 || ftruncate(fd, (off_t)n) < 0)
		return 1;
	src = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dst = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (src == MAP_FAILED || dst == MAP_FAILED)
		return 1;
	memset(src, 1, n);
	memset(dst, 2, n);
	for (int i = 0; i < RUNS; i++) {
		uint64_t t = clock_ns();

		memcpy(dst, src, n);
		speed[i] = (double)n / (double)(clock_ns() - t);
	}
	qsort(speed, RUNS, sizeof *speed, up);
	printf("%.2f\n", speed[RUNS / 2]);
	return 0;
}
