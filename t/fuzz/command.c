/*
 * command.c - what workers answer to rmap, and how actors are described: ends of commands and of blocks of lines, packed
 * specs.  The first byte says whether out-of-band buffers are there; they and the object are the bytes too.
 */
#include "../fuzz.h"
#include "client/command.h"
#include "client/inner.h"
#include "wire/spec.h"
#include "script/lines.h"
#include "wire/mp.h"

enum { ARENA_ROOM = 1024 };

static void
look(struct span s)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum ^= s.p[i];
	(void)sum;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static struct client c;
	struct fuzz f = { p, n };
	unsigned how = (unsigned)fuzz_int(&f, 1);
	unsigned char *q;
	struct command_end e;
	struct lines_end l;
	struct spec s;
	struct value v = { 0 };

	c.arena.bytes = ARENA_GRANULE + ARENA_ROOM;
	if (!(c.arena.base = calloc(1, c.arena.bytes)))
		abort();
	memcpy(c.arena.base + ARENA_GRANULE, f.p, f.n < ARENA_ROOM ? f.n : ARENA_ROOM);
	v.arena = how & 1 && arena_view(&c.arena, ARENA_GRANULE, 1, &v.view) == 0;
	q = fuzz_copy(f.p, f.n);
	v.p = v.arena ? v.view.head : q;
	v.n = v.arena ? v.view.headlen : f.n;
	v.nvals = 7;
	if (command_get_end(&e, &c, &v) == 0) {
		look(e.out);
		look(e.err);
	}
	v.nvals = 5;
	if (lines_get_end(&l, &c, &v) == 0) {
		look(l.errors);
		look(l.out);
	}
	if (spec_get(&s, q, f.n) == 0) {
		look(span_of(s.code, s.ncode));
		look(span_of(s.args, s.nargs));
	}
	free(q);
	free(c.arena.base);
}

void
fuzz_seeds(void)
{
	unsigned char s[1 + 512] = { 1 };
	struct obj_hdr h = { .magic = OBJ_MAGIC, .proc = 2, .size = 100, .headlen = 40, .nbuf = 1 };
	struct obj_span span = { 128, 60 };

	fuzz_seed("\0\2\0\0\1\2\xa3out\xa3" "err", 14);
	fuzz_seed("\0\3\1\2\xa1" "e\xa2" "ok", 9);
	fuzz_seed("\0\2\0\0\0\1\0\0\0\0\0\0\0code", 17);
	atomic_init(&h.word, obj_word(1, OBJ_SEALED));
	atomic_init(&h.run, 192);
	memcpy(s + 1, &h, sizeof h);
	memcpy(s + 1 + sizeof h, &span, sizeof span);
	memcpy(s + 1 + sizeof h + sizeof span, "\0\0\0\1\1\xc7\x0d\x0f\0\0\0\0\5\0\0\0\0\0\0\0\0\xa1x", 23);
	fuzz_seed(s, sizeof s);
}
