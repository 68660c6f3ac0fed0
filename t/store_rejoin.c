/* store_rejoin.c - what was said to an rlet that died and not heard is made good: lent room, yields, evictions; what is free together is known */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/arena_node.h"
#include "tap.h"

enum { P = 3, OTHER = 4, MOST = 600 };
#define BYTES (UINT64_C(32) << 20)

static struct arena_node an;
static struct arena mine, other;
static struct obj obj[MOST];
static size_t n;
static bool good = true;

static bool
borrow(struct arena *a, uint64_t run, bool lose)
{
	uint64_t off, len;

	if (lose && arena_node_lend(&an, a->proc, arena_want(run), &off, &len) < 0)
		return false;		/* and nobody hears of it */
	return arena_node_lend(&an, a->proc, arena_want(run), &off, &len) == 0 && arena_lend(a, off, len) == 0;
}

static bool
make(struct arena *a, struct obj *o)
{
	uint64_t size = random() % 4 ? (uint64_t)random() % 30000 : (uint64_t)random() % 400000;
	int e;

	while ((e = arena_new(a, id_make(1, a->proc, (uint64_t)random(), 0), &size, 1, 10, o)) == -EAGAIN)
		if (!borrow(a, arena_run(&size, 1, 10), random() % 8 == 0))
			return false;
	if (e == 0)
		arena_seal(a, o->off);
	return e == 0;
}

static void
drop(size_t i)
{
	good &= arena_free(&mine, obj[i].off, obj[i].gen) == 0;
	obj[i] = obj[--n];
}

static void
yield(bool lose)
{
	uint64_t off, len;

	while (arena_yield(&mine, &off, &len))
		if (!lose || random() % 2)
			good &= arena_node_unlend(&an, P, off, len) == 0;
}

static void
die(void)			/* rlet, while it evicts */
{
	int fd = dup(an.fd);

	for (size_t i = 0; i < n; i++)
		if (random() % 3 == 0)
			good &= pin_evict(&((struct obj_hdr *)(void *)(an.base + obj[i].off))->word, obj[i].gen);
	arena_node_release(&an);
	good &= arena_node_adopt(&an, fd) == 0;
}

static void
found(void *ctx, struct id id, uint64_t off, uint32_t gen, uint32_t keep)
{
	(void)keep;
	for (size_t i = 0; i < n; i++)
		if (obj[i].off == off && obj[i].gen == gen)
			++*(size_t *)ctx;
	good &= id.proc == P && arena_node_has(&an, off, gen);
}

static void
unheard(void *ctx, uint64_t off, uint64_t bytes)
{
	*(uint64_t *)ctx += bytes;
	good &= arena_node_unlend(&an, P, off, bytes) == 0;
}

struct sum {
	uint64_t at, free;		/* of a group: its begin; in all */
	bool all;
};

static void
add(void *ctx, const struct arena_unit *u)
{
	struct sum *s = ctx;

	if (u->item.borrower != P)
		return;
	if (s->at == 0) {
		s->at = u->item.off;
		s->all = true;
	}
	s->all &= u->state == OBJ_FREE;
	good &= u->end >= u->item.off + u->item.run;
	if (u->end == u->item.off + u->item.run && u->end % ARENA_GRANULE == 0) {
		s->free += s->all ? u->end - s->at : 0;
		s->at = 0;
	}
}

int
main(void)
{
	uint64_t lost = 0, all;
	size_t seen = 0, had = 0;

	srandom(5);
	ok(arena_node_create_on(&an, seg_create("test", BYTES)) == 0);
	all = an.free;
	ok(arena_attach(&mine, an.fd, P) == 0 && arena_attach(&other, an.fd, OTHER) == 0);
	for (int round = 0; round < 200 && good; round++) {
		struct sum s = { 0 };
		struct obj o;

		while (n < MOST && make(&mine, &obj[n]))
			n++;
		for (size_t i = n / 4 + (size_t)random() % n / 4; i < n;)
			drop((size_t)random() % n);
		if (make(&other, &o))
			arena_free(&other, o.off, o.gen);
		if (round % 2) {
			uint64_t before;

			arena_unheard(&mine, unheard, &lost);
			before = an.free;
			arena_node_units(&an, add, &s);
			yield(false);
			good &= an.free - before == s.free;
			continue;
		}
		yield(true);
		die();
		had += n;
		arena_rejoin(&mine, found, &seen);
		arena_unheard(&mine, unheard, &lost);
		good &= arena_node_lent(&an, P) == mine.lent && arena_node_check(&an) == 0;
	}
	ok(good);
	ok(seen == had && seen > 0);
	ok(lost > 0);
	while (n)
		drop(0);
	yield(false);
	arena_node_dead(&an, OTHER);
	ok(good && an.lent == 0 && an.free == all && arena_node_check(&an) == 0);
	arena_release(&mine);
	arena_release(&other);
	arena_node_release(&an);
	return tap_done();
}
