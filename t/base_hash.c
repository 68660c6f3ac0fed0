/* base_hash.c - MurmurHash3 x64 128 by its reference values, alignment, mixing and its inverse */
#include <string.h>
#include "tap.h"
#include "base/hash.h"

static int
is(const char *s, uint64_t a, uint64_t b)
{
	struct hash128 h = hash128(s, strlen(s));

	if (h.a == a && h.b == b)
		return 1;
	printf("# %016llx %016llx\n", (unsigned long long)h.a, (unsigned long long)h.b);
	return 0;
}

int
main(void)
{
	unsigned char p[80];
	uint64_t x = 88172645463325252ull;
	struct hash128 seen[64];
	int i, j, good = 1;

	ok(is("", 0, 0));
	ok(is("hello", 0xcbd8a7b341bd9b02, 0x5b1e906a48ae1d19));
	ok(is("hello, world", 0x342fac623a5ebc8e, 0x4cdcbc079642414d));
	ok(is("The quick brown fox jumps over the lazy dog", 0xe34bbc7bbc071b6c, 0x7a433ca9c49a9347));
	ok(hash64("hello", 5) == 0xcbd8a7b341bd9b02);

	for (i = 0; i < 64; i++)		/* wherever the bytes lie */
		p[i] = (unsigned char)(i * 7);
	for (i = 1; i < 16; i++) {
		unsigned char q[80];

		memcpy(q + i, p, 60);
		good &= hash128_eq(hash128(q + i, 60), hash128(p, 60));
	}
	ok(good);
	for (good = 1, i = 0; i < 64; i++) {	/* every length is another hash, of zeros too */
		seen[i] = hash128(memset(p, 0, sizeof p), (size_t)i);
		for (j = 0; j < i; j++)
			good &= !hash128_eq(seen[i], seen[j]);
	}
	ok(good);
	for (good = 1, i = 0; i < 1000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		good &= hash_unmix(hash_mix(x)) == x;
	}
	ok(good && hash_unmix(hash_mix(0)) == 0 && hash_unmix(hash_mix(UINT64_MAX)) == UINT64_MAX);
	return tap_done();
}
