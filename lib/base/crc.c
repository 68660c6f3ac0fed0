#include <stdatomic.h>
#include <string.h>
#include "base/crc.h"

enum { LANES = 4, STEP = 8 * LANES };
#define POLY 0x82f63b78u		/* reversed */

static uint64_t
load(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint32_t table[8][256];
static _Atomic int made;

static void
make(void)				/* twice does no harm: the same values */
{
	if (atomic_load_explicit(&made, memory_order_acquire))
		return;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
	atomic_store_explicit(&made, 1, memory_order_release);
}

static uint32_t
soft8(uint32_t crc, uint64_t v)
{
	v ^= crc;
	crc = 0;
	for (int k = 0; k < 8; k++)
		crc ^= table[7 - k][v >> 8 * k & 255];
	return crc;
}

static uint32_t
soft1(uint32_t crc, unsigned char c)
{
	return crc >> 8 ^ table[0][(crc ^ c) & 255];
}

/* the body of both: how a word and a byte are added differs */
#define BODY(add8, add1) \
	const unsigned char *s = p; \
	uint32_t lane[LANES] = { ~0u, ~0u, ~0u, ~0u }, crc = ~0u; \
\
	for (; n >= STEP; n -= STEP, s += STEP) { \
		lane[0] = add8(lane[0], load(s)); \
		lane[1] = add8(lane[1], load(s + 8)); \
		lane[2] = add8(lane[2], load(s + 16)); \
		lane[3] = add8(lane[3], load(s + 24)); \
	} \
	for (int i = 0; i < LANES; i++) \
		crc = add8(crc, lane[i]); \
	for (; n; n--, s++) \
		crc = add1(crc, *s); \
	return ~crc

uint32_t
crc_lanes_soft(const void *p, size_t n)
{
	make();
	BODY(soft8, soft1);
}

#ifdef __x86_64__
#define HARD8(c, v) ((uint32_t)__builtin_ia32_crc32di((c), (v)))
#define HARD1(c, v) ((uint32_t)__builtin_ia32_crc32qi((c), (v)))

__attribute__((target("sse4.2"))) static uint32_t
hard(const void *p, size_t n)
{
	BODY(HARD8, HARD1);
}
#endif

uint32_t
crc_lanes(const void *p, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return hard(p, n);
#endif
	return crc_lanes_soft(p, n);
}
