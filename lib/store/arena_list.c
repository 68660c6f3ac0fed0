/* arena_list.c - what is in the arena: for listings, for the message of a full one, for tests */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "base/num.h"
#include "store/arena_own.h"

static struct arena_item
item(const struct own_extent *x, const struct arena_block *b)
{
	return (struct arena_item){ .id = b->id, .off = b->off, .size = b->size, .run = b->run, .gen = b->gen, .maker = b->proc,
	    .borrower = x->borrower, .kept = (b->keep & OBJ_KEEP) != 0, .slot = b->keep & ~OBJ_KEEP, .made = b->made,
	    .flags = b->flags };
}

bool
arena_node_at(struct arena_node *an, uint64_t off, struct arena_item *it)
{
	struct own_extent x;
	struct arena_block b;

	if (!own_find(an, off, &x) || !arena_block_load(an->base, off, (x.g + x.n) << ARENA_SHIFT, &b) ||
	    b.state != OBJ_SEALED || !id_eq(b.id, it->id))
		return false;
	*it = item(&x, &b);
	return true;
}

void
arena_node_each(struct arena_node *an, bool (*fn)(void *ctx, const struct arena_item *it), void *ctx)
{
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); ) {
		uint64_t end = (x.g + x.n) << ARENA_SHIFT;
		struct arena_block b = { .off = x.g << ARENA_SHIFT };

		while (arena_block_next(an->base, end, &b) > 0) {
			struct arena_item it = item(&x, &b);

			if (b.state == OBJ_SEALED && !fn(ctx, &it))
				return;
		}
	}
}

static void
unit(void (*fn)(void *, const struct arena_unit *), void *ctx, uint64_t off, uint64_t end, uint32_t state)
{
	if (off < end)
		fn(ctx, &(struct arena_unit){ { .off = off, .run = end - off, .borrower = UINT32_MAX - 1 }, state, end });
}

void
arena_node_units(struct arena_node *an, void (*fn)(void *ctx, const struct arena_unit *u), void *ctx)
{
	uint64_t at = an->first << ARENA_SHIFT;
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); at = (x.g + x.n) << ARENA_SHIFT) {
		uint64_t end = (x.g + x.n) << ARENA_SHIFT, span = 0;
		struct arena_block b = { .off = x.g << ARENA_SHIFT };

		unit(fn, ctx, at, b.off, OBJ_FREE);
		while (arena_block_next(an->base, end, &b) > 0) {
			/* a block at a granule that was ever used heads a span or is as long as its granules; free runs have generation 0 */
			if (x.state == EXTENT_LENT && b.off >= span && b.off % ARENA_GRANULE == 0 && b.gen)
				span = b.off + arena_want(b.run);
			fn(ctx, &(struct arena_unit){ item(&x, &b), b.state, span > b.off + b.run ? span : b.off + b.run });
		}
		unit(fn, ctx, b.off + b.run, end, OBJ_FILLING);
	}
	unit(fn, ctx, at, an->bytes, OBJ_FREE);
}

void
arena_node_extents(struct arena_node *an, void (*fn)(void *ctx, uint64_t off, uint64_t len, uint32_t borrower), void *ctx)
{
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); )
		fn(ctx, x.g << ARENA_SHIFT, x.n << ARENA_SHIFT, x.borrower);
}

uint64_t
arena_node_lent(struct arena_node *an, uint32_t proc)
{
	uint64_t sum = 0;
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); )
		if (x.state == EXTENT_LENT && x.borrower == proc)
			sum += x.n << ARENA_SHIFT;
	return sum;
}

enum { TOP = 3, HOLDERS = 64 };

struct report {
	struct {
		uint32_t proc;
		uint64_t bytes;
	} by[HOLDERS];
	unsigned nby;
	struct arena_item top[TOP];
	unsigned ntop;
	uint64_t objects, bytes;
};

static void
count_extent(void *ctx, uint64_t off, uint64_t len, uint32_t borrower)
{
	struct report *r = ctx;
	unsigned i;

	(void)off;
	for (i = 0; i < r->nby && r->by[i].proc != borrower; i++)
		;
	if (i == HOLDERS)
		return;		/* the largest are wanted, and 64 is plenty to find one */
	if (i == r->nby)
		r->by[r->nby++].proc = borrower;
	r->by[i].bytes += len;
	for (; i > 0 && r->by[i].bytes > r->by[i - 1].bytes; i--) {
		uint64_t bytes = r->by[i].bytes;
		uint32_t proc = r->by[i].proc;

		r->by[i] = r->by[i - 1];
		r->by[i - 1].bytes = bytes;
		r->by[i - 1].proc = proc;
	}
}

static bool
count_object(void *ctx, const struct arena_item *it)
{
	struct report *r = ctx;
	unsigned i = r->ntop;

	r->objects++;
	r->bytes += it->size;
	if (i == TOP && it->size <= r->top[TOP - 1].size)
		return true;
	if (i < TOP)
		r->ntop++;
	else
		i--;
	for (; i > 0 && r->top[i - 1].size < it->size; i--)
		r->top[i] = r->top[i - 1];
	r->top[i] = *it;
	return true;
}

static const char *
process(int pid, char text[32])
{
	if (pid <= 0)
		return "a process that has ended";
	snprintf(text, 32, "process %d", pid);
	return text;
}

int
arena_node_report(struct arena_node *an, int (*pid)(void *ctx, uint32_t proc), void *ctx, struct buf *b)
{
	struct report r = { 0 };
	char s[16], t[16], who[32], id[ID_TEXT];
	int e;

	arena_node_extents(an, count_extent, &r);
	arena_node_each(an, count_object, &r);
	e = buf_printf(b, "%s of %s are lent or hold objects, %" PRIu64 " object%s of %s;",
	    num_fmt_size(s, an->lent + an->owned), num_fmt_size(t, an->bytes), r.objects, r.objects == 1 ? "" : "s",
	    num_fmt_size((char[16]){ 0 }, r.bytes));
	for (unsigned i = 0; e >= 0 && i < r.nby && i < TOP; i++)
		e = r.by[i].proc == 0 || r.by[i].proc == ARENA_NODE_PROC ?
		    buf_printf(b, "%s the node %s", i ? "," : "", num_fmt_size(s, r.by[i].bytes)) :
		    buf_printf(b, "%s %s %s", i ? "," : "", process(pid(ctx, r.by[i].proc), who), num_fmt_size(s, r.by[i].bytes));
	for (unsigned i = 0; e >= 0 && i < r.ntop; i++)
		e = buf_printf(b, "%s %s %s made by %s", i ? "," : "; largest:", id_format(id, r.top[i].id),
		    num_fmt_size(s, r.top[i].size), process(pid(ctx, r.top[i].maker), who));
	return e < 0 ? e : 0;
}

int
arena_node_check(struct arena_node *an)
{
	uint64_t at = an->first, lent = 0, owned = 0, free = 0, warm = 0, w;
	size_t i = 0;

	while (at < an->bytes >> ARENA_SHIFT) {
		w = atomic_load_explicit(&own_log(an, at)->word, memory_order_relaxed);
		if (w) {
			uint64_t n = log_n(w), end = (at + n) << ARENA_SHIFT;
			struct arena_block b = { .off = at << ARENA_SHIFT };
			int r;

			while ((r = arena_block_next(an->base, end, &b)) > 0)
				;
			if (r < 0 || n == 0 || end > an->bytes)
				return ERR_LAYOUT;
			*(log_state(w) == EXTENT_LENT ? &lent : &owned) += n << ARENA_SHIFT;
			at += n;
			continue;
		}
		if (i >= an->nrun || an->run[i].g != at || an->run[i].n == 0)
			return ERR_LAYOUT;
		free += an->run[i].n << ARENA_SHIFT;
		warm += an->run[i].warm ? an->run[i].n << ARENA_SHIFT : 0;
		for (uint64_t k = 0; k < an->run[i].n; k++)
			if (atomic_load_explicit(&own_log(an, at + k)->word, memory_order_relaxed))
				return ERR_LAYOUT;
		at += an->run[i++].n;
	}
	return i == an->nrun && lent == an->lent && owned == an->owned && free == an->free && warm == an->warm &&
	    at << ARENA_SHIFT == an->bytes ? 0 : ERR_LAYOUT;
}
