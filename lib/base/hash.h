/*
 * hash - content hashes: MurmurHash3 x64 128 (Austin Appleby, public domain), seed 0, read as little-endian.
 * The same bytes give the same value on every machine.  Not for secrets and not against an adversary.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t a, b;
};

struct hash128 hash128(const void *p, size_t n);
uint64_t hash64(const void *p, size_t n);	/* hash128(p, n).a */

static inline bool
hash128_eq(struct hash128 x, struct hash128 y)
{
	return x.a == y.a && x.b == y.b;
}

static inline uint64_t
hash_mix(uint64_t h)		/* Murmur's 64-bit finalizer: a bijection, every bit depends on every bit */
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static inline uint64_t
hash_unmix(uint64_t h)		/* its inverse */
{
	h = (h ^ h >> 33) * UINT64_C(0x9cb4b2f8129337db);
	h = (h ^ h >> 33) * UINT64_C(0x4f74430c22a54005);
	return h ^ h >> 33;
}

#endif
