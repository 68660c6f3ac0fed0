/* store_move.c - objects of a fragmented arena move out of a window: whole copies, none under a pin, all of the window is free then */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/arena_node.h"
#include "tap.h"

enum { P = 3, READER = 4, COUNT = 1500, PINS = 8 };
#define BYTES (UINT64_C(32) << 20)

static struct arena_node an;
static struct arena mine, node, reader;
static _Atomic uint64_t pin[PINS];
static bool good = true;

struct known {
	struct obj o;
	uint32_t gen;
	uint64_t off, size;
	bool there;
};

static bool
pins(void *ctx, unsigned i, const _Atomic uint64_t **slot, unsigned *n)
{
	(void)ctx;
	*slot = pin;
	*n = PINS;
	return i == 0;
}

static bool
make(struct known *k, unsigned i)
{
	uint64_t off, len;
	int e;

	k->size = 100 + (uint64_t)random() % 40000;
	while ((e = arena_new(&mine, id_make(1, P, i + 1, 0), &k->size, 1, 10, &k->o)) == -EAGAIN)
		if (arena_node_lend(&an, P, arena_want(arena_run(&k->size, 1, 10)), &off, &len) < 0 || arena_lend(&mine, off, len) < 0)
			return false;
	if (e < 0)
		return false;
	memset(k->o.head, (int)i, 10);
	memset(obj_buf(&mine, &k->o, 0, NULL), (int)(i * 7), k->size);
	arena_seal(&mine, k->o.off);
	k->off = k->o.off;
	k->gen = k->o.gen;
	return k->there = true;
}

static bool
right(const struct known *k, unsigned i)
{
	struct obj_view v;

	if (arena_view(&reader, k->off, k->gen, &v) < 0 || v.id.seq != id_make(1, P, i + 1, 0).seq || v.nbuf != 1 ||
	    v.buf[0].len != k->size || v.headlen != 10)
		return false;
	for (uint64_t b = 0; b < k->size; b++)
		if (v.buf[0].p[b] != (unsigned char)(i * 7))
			return false;
	return v.head[0] == (unsigned char)i && v.head[9] == (unsigned char)i;
}

static void
yield(struct arena *a, uint32_t proc)
{
	uint64_t off, len;

	while (arena_yield(a, &off, &len))
		if (arena_node_unlend(&an, proc, off, len) < 0)
			abort();
}

/* k out of [from, end): false if somebody looks at it, and then it is where it was */
static bool
move(struct known *k, uint64_t from, uint64_t end)
{
	struct arena_evict e = { .off = k->off, .gen = k->gen };
	uint64_t off, at, len, run = arena_run(&k->size, 1, 10);
	uint32_t gen;
	int r;

	while ((r = arena_clone(&node, (const struct obj_hdr *)(const void *)(node.base + k->off), run, &off, &gen)) == -EAGAIN)
		if (arena_node_lend(&an, ARENA_NODE_PROC, arena_want(run), &at, &len) < 0 || arena_lend(&node, at, len) < 0)
			return false;
	good &= r == 0 && (off < from || off >= end);
	memcpy(node.base + off + 64, node.base + k->off + 64, run - 64);
	arena_seal(&node, off);
	if (arena_node_evict(&an, &e, 1) == 0) {
		good &= arena_free(&node, off, gen) == 0;
		return false;
	}
	good &= e.gone && e.borrower == P && arena_free(&mine, k->off, k->gen) == 0;
	k->off = off;
	k->gen = gen;
	return true;
}

static size_t				/* of those in the window: how many stay */
move_all(struct known *k, size_t n, uint64_t from, uint64_t end)
{
	size_t stay = 0;

	an.avoid = node.avoid = from;
	an.avoid_end = node.avoid_end = end;
	for (size_t i = 0; i < n; i++)
		if (k[i].there && k[i].off >= from && k[i].off < end)
			stay += !move(&k[i], from, end);
	an.avoid = node.avoid = an.avoid_end = node.avoid_end = 0;
	yield(&mine, P);
	yield(&node, ARENA_NODE_PROC);
	return stay;
}

static bool
all_right(const struct known *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (k[i].there && !right(&k[i], (unsigned)i))
			return false;
	return true;
}

int
main(void)
{
	static struct known k[COUNT];
	uint64_t from = UINT64_C(4) << 20, end = from + (UINT64_C(14) << 20), off, len;
	unsigned hint = 0;
	size_t n = 0, pinned = 0;
	int slot = -1;

	srandom(7);
	ok(arena_node_create_on(&an, seg_create("test", BYTES)) == 0);
	an.hook = (struct arena_hooks){ .pins = pins };
	ok(arena_attach(&mine, an.fd, P) == 0 && arena_attach(&node, an.fd, ARENA_NODE_PROC) == 0 && arena_attach(&reader, an.fd, READER) == 0);
	while (n < COUNT && mine.used < UINT64_C(20) << 20 && make(&k[n], (unsigned)n))
		n++;
	ok(mine.used >= UINT64_C(20) << 20);
	for (size_t i = 0; i < n; i++)
		if (i % 24)
			k[i].there = arena_free(&mine, k[i].off, k[i].gen) != 0;
	yield(&mine, P);
	ok(arena_node_check(&an) == 0 && arena_node_lend(&an, 9, end - from, &off, &len) == ERR_FULL && an.free > end - from);

	while (pinned < n && !(k[pinned].there && k[pinned].off > from + (end - from) / 2 && k[pinned].off < end))
		pinned++;
	ok(pinned < n && (slot = arena_pin(&reader, pin, PINS, &hint, k[pinned].off, k[pinned].gen)) >= 0);
	ok(move_all(k, n, from, end) == 1 && good);
	ok(k[pinned].off >= from && k[pinned].off < end && all_right(k, n) && arena_node_check(&an) == 0);
	ok(arena_node_lend(&an, 9, end - from, &off, &len) == ERR_FULL);
	pin_drop(pin, &hint, slot);
	ok(move_all(k, n, from, end) == 0 && good && all_right(k, n) && arena_node_check(&an) == 0);
	ok(arena_node_lend(&an, 9, end - from, &off, &len) == 0 && off < end && off + len > from);

	for (size_t i = 0; i < n; i++)
		if (k[i].there)
			good &= arena_free(arena_mine(&node, k[i].off) ? &node : &mine, k[i].off, k[i].gen) == 0;
	yield(&mine, P);
	yield(&node, ARENA_NODE_PROC);
	ok(good && mine.lent == 0 && node.lent == 0 && arena_node_unlend(&an, 9, off, len) == 0 && an.lent == 0);
	arena_release(&mine);
	arena_release(&node);
	arena_release(&reader);
	arena_node_release(&an);
	return tap_done();
}
