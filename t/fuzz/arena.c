/*
 * arena.c - what a process finds in the arena: an object's header and table as others may have left them
 * The bytes are an arena of few pages: a view of it never leaves it, and walking its blocks ends.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "store/arena.h"
#include "store/arena_layout.h"
#include "store/pin.h"

enum { ROOM = 4096 };

static void
look(const unsigned char *p, uint64_t n)
{
	volatile unsigned char sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum ^= p[i];
	(void)sum;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static _Atomic uint64_t slot[8];
	struct fuzz f = { p, n };
	uint64_t off = ARENA_GRANULE + (fuzz_int(&f, 1) & 63) * 64, len, step;
	uint32_t gen = (uint32_t)fuzz_int(&f, 1);
	unsigned hint = 0;
	struct arena a = { .bytes = ARENA_GRANULE + ROOM };
	struct arena_block b = { .off = ARENA_GRANULE };
	const unsigned char *q;
	struct obj_view v;
	int e;

	a.base = malloc(a.bytes);
	if (!a.base)
		abort();
	memset(a.base + ARENA_GRANULE, 0, ROOM);
	memcpy(a.base + ARENA_GRANULE, f.p, f.n < ROOM ? f.n : ROOM);
	e = arena_view(&a, off, gen, &v);
	fuzz_must(e == 0 || e == ERR_NOTFOUND || e == ERR_PROTO);
	if (e == 0) {
		fuzz_must(v.headlen <= v.run && v.size <= v.run && v.run <= a.bytes - off);
		look(v.head, v.headlen);
		for (unsigned i = 0; (e = obj_view_buf(&a, &v, i, &q, &len)) != ERR_NOTFOUND; i++)
			if (e == 0)
				look(q, len);
		fuzz_must(arena_view(&a, off + 1, gen, &v) == ERR_PROTO);
	}
	e = arena_pin(&a, slot, 8, &hint, off, gen);
	if (e >= 0)
		pin_drop(slot, &hint, e);
	for (step = 0; arena_block_next(a.base, a.bytes, &b) == 1; step++)
		fuzz_must(step <= ROOM / 64 && b.off + b.run <= a.bytes && b.run >= 64);
	free(a.base);
}

void
fuzz_seeds(void)
{
	unsigned char s[2 + 512] = { 0, 1 };
	struct obj_hdr h = { .magic = OBJ_MAGIC, .proc = 2, .id = { 1, 2, 3 << 24 }, .size = 80, .headlen = 16, .nbuf = 1 };
	struct obj_span span = { 128, 64 };

	atomic_init(&h.word, obj_word(1, OBJ_SEALED));
	atomic_init(&h.run, 256);
	memcpy(s + 2, &h, sizeof h);
	memcpy(s + 2 + sizeof h, &span, sizeof span);
	atomic_init(&h.word, obj_word(0, OBJ_FREE));
	memcpy(s + 2 + 256, &h, sizeof h);
	fuzz_seed(s, sizeof s);
}
