/*
 * guard.h - for tests of decoders: bytes that lie flush against a page that cannot be read, so that one
 * byte too far is a crash; and a small random sequence that is the same in every run.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_MAX (1u << 20)

/* Copies n <= GUARD_MAX bytes to where they end at the unreadable page.  The copy lives until the next call. */
static inline unsigned char *
guard(const void *p, size_t n)
{
	static unsigned char *base;

	if (!base) {
		base = mmap(NULL, GUARD_MAX + 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base == MAP_FAILED || mprotect(base + GUARD_MAX, 65536, PROT_NONE) < 0) {
			perror("guard");
			exit(1);
		}
	}
	if (n)
		memmove(base + GUARD_MAX - n, p, n);
	return base + GUARD_MAX - n;
}

static inline uint64_t
rnd(uint64_t *seed)			/* splitmix64 */
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Changes n bytes at random: some flipped bits, a byte that means much, a piece moved, or the end cut off. */
static inline size_t
mutate(unsigned char *p, size_t n, uint64_t *seed)
{
	static const unsigned char loud[] = { 0, 1, 0x7f, 0x80, 0xff, 0xc1, 0xc6, 0xc9, 0xcf, 0xd4, 0xd6, 0xdb, 0xdd, 0xdf };
	unsigned k = 1 + rnd(seed) % 4;
	size_t i, j, len;

	while (n && k--) {
		i = rnd(seed) % n;
		switch (rnd(seed) % 5) {
		case 0: p[i] ^= (unsigned char)(1u << rnd(seed) % 8); break;
		case 1: p[i] = (unsigned char)rnd(seed); break;
		case 2: p[i] = loud[rnd(seed) % sizeof loud]; break;
		case 3:
			j = rnd(seed) % n;
			len = rnd(seed) % 16;
			len = len > n - i ? n - i : len;
			memmove(p + i, p + j, len > n - j ? n - j : len);
			break;
		case 4: n -= rnd(seed) % 3 == 0 ? rnd(seed) % n : 0; break;
		}
	}
	return n;
}

#endif
