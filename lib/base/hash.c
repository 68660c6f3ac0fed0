#include <string.h>
#include "base/hash.h"

#define C1 UINT64_C(0x87c37b91114253d5)
#define C2 UINT64_C(0x4cf5ad432745937f)

static inline uint64_t
rotl(uint64_t x, unsigned r)
{
	return x << r | x >> (64 - r);
}

static inline uint64_t
word(const unsigned char *p)			/* 8 bytes, little-endian, at any address */
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint64_t
load(const unsigned char *p, size_t n)		/* the last n <= 8 bytes */
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

struct hash128
hash128(const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t a = 0, b = 0;
	size_t i, rest = n & 15;

	for (i = n / 16; i; i--, p += 16) {
		a ^= rotl(word(p) * C1, 31) * C2;
		a = (rotl(a, 27) + b) * 5 + 0x52dce729;
		b ^= rotl(word(p + 8) * C2, 33) * C1;
		b = (rotl(b, 31) + a) * 5 + 0x38495ab5;
	}
	if (rest > 8)
		b ^= rotl(load(p + 8, rest - 8) * C2, 33) * C1;
	if (rest)
		a ^= rotl(load(p, rest > 8 ? 8 : rest) * C1, 31) * C2;
	a ^= n;
	b ^= n;
	a += b;
	b += a;
	a = hash_mix(a);
	b = hash_mix(b);
	a += b;
	b += a;
	return (struct hash128){ a, b };
}

uint64_t
hash64(const void *p, size_t n)
{
	return hash128(p, n).a;
}
