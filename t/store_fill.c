/* store_fill.c - an object goes from one arena to another in pieces of any order and is the same there; what makes no sense is not sealed */
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/arena_fill.h"
#include "tap.h"

enum { P = 3, PIECE = 65536 };
#define BYTES (UINT64_C(64) << 20)

static struct arena_node from_node, to_node;
static struct arena mine, view, reader;		/* mine: of a process of the first; view: the second node's own */

static void
lend(struct arena_node *an, struct arena *a, uint32_t proc, uint64_t want)
{
	uint64_t off, len;

	if (arena_node_lend(an, proc, want, &off, &len) < 0 || arena_lend(a, off, len) < 0)
		abort();
}

static struct obj
make(uint64_t seq, unsigned nbuf, uint64_t headlen, uint64_t most)
{
	uint64_t size[40], len;
	struct obj o;

	for (unsigned i = 0; i < nbuf; i++)
		size[i] = (uint64_t)random() % most;
	while (arena_new(&mine, (struct id){ 1, P, seq }, size, nbuf, headlen, &o) == -EAGAIN)
		lend(&from_node, &mine, P, arena_want(arena_run(size, nbuf, headlen)));
	arena_ready(&mine, &o);
	for (uint64_t b = 0; b < headlen; b++)
		o.head[b] = (unsigned char)random();
	for (unsigned i = 0; i < nbuf; i++) {
		unsigned char *p = obj_buf(&mine, &o, i, &len);

		for (uint64_t b = 0; b < len; b++)
			p[b] = (unsigned char)random();
	}
	arena_name(&mine, o.off, (struct id){ 1, P, seq }, (uint16_t)random());
	arena_seal(&mine, o.off);
	return o;
}

static bool
same(const struct obj_view *a, const struct obj_view *b)
{
	bool good = id_eq(a->id, b->id) && a->nbuf == b->nbuf && a->flags == b->flags && a->size == b->size && a->headlen == b->headlen &&
	    memcmp(a->head, b->head, a->headlen) == 0;

	for (unsigned i = 0; good && i < a->nbuf; i++) {
		const unsigned char *p, *q;
		uint64_t n, k;

		good = obj_view_buf(&mine, a, i, &p, &n) == 0 && obj_view_buf(&reader, b, i, &q, &k) == 0 && n == k && memcmp(p, q, n) == 0;
	}
	return good;
}

/* all pieces in any order */
static bool
carry(const struct obj_view *v, struct arena_fill *f)
{
	const unsigned char *src = mine.base + v->off + sizeof(struct obj_hdr);
	uint64_t n = (f->bytes + PIECE - 1) / PIECE, *order = calloc(n, sizeof *order);
	bool good = true;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t k = (uint64_t)random() % (i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = order[i] * PIECE, len = f->bytes - at < PIECE ? f->bytes - at : PIECE;
		unsigned char *p;

		good &= arena_fill_at(f, at, len, &p) == 0;
		if (good)
			memcpy(p, src + at, len);
	}
	free(order);
	return good;
}

static void
there_and_sealed(uint64_t seq, unsigned nbuf, uint64_t headlen, uint64_t most)
{
	struct obj o = make(seq, nbuf, headlen, most);
	struct obj_view v, w;
	struct arena_fill f;

	ok(arena_view(&mine, o.off, o.gen, &v) == 0);
	ok(arena_travels(&mine, &v) + sizeof(struct obj_hdr) <= v.run);
	ok(arena_fill_begin(&to_node, &view, &(struct obj_hdr){ .id = v.id, .keep = 77 }, arena_travels(&mine, &v), &f) == 0);
	ok(carry(&v, &f) && arena_view(&reader, f.off, f.gen, &w) == ERR_NOTFOUND);
	ok(arena_fill_seal(&f, &(struct obj_hdr){ .size = v.size, .headlen = (uint32_t)v.headlen, .nbuf = v.nbuf, .flags = v.flags }) == 0);
	ok(arena_view(&reader, f.off, f.gen, &w) == 0 && same(&v, &w) && arena_travels(&reader, &w) == f.bytes);
	ok(((struct obj_hdr *)(void *)(view.base + f.off))->keep == 77);
	ok(arena_free(&view, f.off, f.gen) == 0 && arena_free(&mine, o.off, o.gen) == 0);
}

static void
nonsense(void)
{
	struct obj o = make(99, 3, 20, 5000);
	struct obj_view v;
	struct arena_fill f;
	struct obj_hdr as;
	unsigned char *p;

	ok(arena_view(&mine, o.off, o.gen, &v) == 0);
	for (unsigned i = 0; i < 9; i++) {
		struct obj_span *s;

		as = (struct obj_hdr){ .id = v.id, .size = v.size, .headlen = (uint32_t)v.headlen, .nbuf = v.nbuf };
		if (arena_fill_begin(&to_node, &view, &as, arena_travels(&mine, &v), &f) < 0 || !carry(&v, &f))
			abort();
		s = (struct obj_span *)(void *)(view.base + f.off + sizeof as);
		switch (i) {
		case 0: as.nbuf = UINT16_MAX; break;
		case 1: as.headlen = UINT32_MAX; break;
		case 2: as.size = UINT64_MAX; break;
		case 3: as.headlen = (uint32_t)f.bytes; break;
		case 4: s[1].off = 0; break;
		case 5: s[1].off += 1; break;
		case 6: s[2].len = UINT64_MAX; break;
		case 7: s[2].off = UINT64_MAX - 63; break;
		case 8: s[0].len = f.bytes; break;
		}
		ok(arena_fill_seal(&f, &as) == ERR_LAYOUT && arena_view(&reader, f.off, f.gen, &v) == ERR_NOTFOUND);
		if (arena_view(&mine, o.off, o.gen, &v) < 0)
			abort();
	}
	ok(arena_fill_begin(&to_node, &view, &(struct obj_hdr){ .id = v.id }, 1000, &f) == 0);
	ok(arena_fill_at(&f, 1000, 1, &p) == ERR_PROTO && arena_fill_at(&f, 0, 1001, &p) == ERR_PROTO && arena_fill_at(&f, 5, 0, &p) == ERR_PROTO);
	ok(arena_fill_at(&f, UINT64_MAX, 2, &p) == ERR_PROTO && arena_fill_at(&f, 2, UINT64_MAX, &p) == ERR_PROTO);
	ok(arena_fill_at(&f, 999, 1, &p) == 0 && p == view.base + f.off + 64 + 999);
	arena_fill_abort(&f);
	ok(arena_fill_begin(&to_node, &view, &(struct obj_hdr){ 0 }, UINT64_MAX, &f) == -E2BIG);
	ok(arena_fill_begin(&to_node, &view, &(struct obj_hdr){ 0 }, BYTES, &f) == -E2BIG);
	ok(arena_fill_begin(&to_node, &view, &(struct obj_hdr){ 0 }, BYTES - ARENA_GRANULE, &f) == ERR_FULL);
}

int
main(void)
{
	uint64_t off, len;

	srandom(5);
	ok(arena_node_create_on(&from_node, seg_create("test", BYTES)) == 0 && arena_node_create_on(&to_node, seg_create("test", BYTES)) == 0);
	ok(arena_attach(&mine, from_node.fd, P) == 0 && arena_attach(&view, to_node.fd, ARENA_NODE_PROC) == 0 &&
	    arena_attach(&reader, to_node.fd, 9) == 0);
	there_and_sealed(1, 0, 5000, 1);
	there_and_sealed(2, 1, 10, 100);
	there_and_sealed(3, 40, 1000, 3000);
	there_and_sealed(4, 2, 64, 6 << 20);
	there_and_sealed(5, 6, 0, 900000);
	nonsense();
	while (arena_yield(&view, &off, &len))
		if (arena_node_unlend(&to_node, ARENA_NODE_PROC, off, len) < 0)
			abort();
	ok(arena_node_check(&to_node) == 0 && to_node.lent == 0);
	arena_release(&mine);
	arena_release(&view);
	arena_release(&reader);
	arena_node_release(&from_node);
	arena_node_release(&to_node);
	return tap_done();
}
