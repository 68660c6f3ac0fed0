/*
 * task.c - a worker takes a task whose record, function and arguments lie in its submitter's memory, whatever is there
 * The bytes: the slot, and what the slab has from its first block on; the arena beside it has the same bytes.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "../../lib/client/serve.c"

enum { ROOM = 8192, ARENA_ROOM = 4096 };

static unsigned char *slab;

static void
look(const unsigned char *p, size_t n)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < n; i++)
		sum ^= p[i];
	(void)sum;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static struct client c;
	struct fuzz f = { p, n };
	struct inring g = { 0 };
	struct task_in t = { .from = &g };
	const unsigned char *code, *buf;
	uint64_t len;

	if (!slab) {
		slab = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (slab == MAP_FAILED)
			abort();
		c.arena.bytes = ARENA_GRANULE + ARENA_ROOM;
	}
	t.slot = (uint32_t)fuzz_int(&f, 1);
	if (t.slot == 255)
		t.slot = (uint32_t)fuzz_int(&f, 4);
	memset(slab + SLAB_UNIT, 0, ROOM);
	memcpy(slab + SLAB_UNIT, f.p, f.n < ROOM ? f.n : ROOM);
	c.arena.base = calloc(1, c.arena.bytes);
	if (!c.arena.base)
		abort();
	memcpy(c.arena.base + ARENA_GRANULE, f.p, f.n < ARENA_ROOM ? f.n : ARENA_ROOM);
	g.slab.base = slab;
	if (copy_l(&c, &t, slab) == 0) {
		fuzz_must(t.fn.name[sizeof t.fn.name - 1] == '\0');
		look(t.args, t.n);
		val_check(t.args, t.n, t.nvals, VAL_ALLOW_CODE);
		for (unsigned i = 0; t.arena && i < t.view.nbuf; i++)
			if (obj_view_buf(&c.arena, &t.view, i, &buf, &len) == 0)
				look(buf, len);
		if ((code = serve_code(&c, &t)) && t.fn.len <= 1u << 20)
			look(code, t.fn.len);
	}
	free(c.arena.base);
}

static void
task(unsigned kind, unsigned flags)
{
	unsigned char s[1 + 6 * 64] = { 1 };
	struct rec r = { .fn = 2, .ext = 3, .len = 20, .nvals = 1, .kind = (uint8_t)kind, .flags = (uint8_t)flags, .state = REC_PUSHED };
	struct fnblk fn = { .bytes = 5, .len = 30, .kind = FN_LUA, .name = "f" };
	struct rec_where w = { .off = ARENA_GRANULE, .gen = 1 };

	if (kind == REC_ARENA)
		memcpy(r.inl, &w, sizeof w);
	else
		memcpy(r.inl, "\xa5hello", 6);
	memcpy(s + 1, &r, sizeof r);
	memcpy(s + 65, &fn, sizeof fn);
	fuzz_seed(s, sizeof s);
}

void
fuzz_seeds(void)
{
	task(REC_HERE, 0);
	task(REC_EXT, 0);
	task(REC_EXT, REC_CONTEXT);
	task(REC_ARENA, 0);
	fuzz_seed("\377\1\0\0\200", 5);
}
