/* arena_rejoin - our extents when the rlet that lent them has died: what it had begun, and what it or we said and nobody heard */
#include "store/arena_impl.h"

static void
again(struct arena *a, uint64_t off, arena_found *found, void *ctx)
{
	struct obj_hdr *h = arena_hdr(a->base, off);
	uint64_t w = atomic_load_explicit(&h->word, memory_order_acquire);
	uint32_t gen = (uint32_t)(w >> 32);

	if (w == obj_word(gen, OBJ_EVICTING))		/* somebody may read it: the next rlet decides again */
		atomic_store(&h->word, obj_word(gen, OBJ_SEALED));
	else if (w != obj_word(gen, OBJ_SEALED))
		return;
	found(ctx, h->id, off, gen, atomic_load_explicit(&h->keep, memory_order_relaxed));
}

void
arena_rejoin(struct arena *a, arena_found *found, void *ctx)
{
	const struct arena_impl *m = a->impl;

	for (uint64_t g = 0; g < m->ngran; g++)
		if (m->gran[g].kind == GRAN_BIG) {
			again(a, g << ARENA_SHIFT, found, ctx);
		} else if (m->gran[g].kind == GRAN_SPAN) {
			const struct span *s = &m->span[m->gran[g].span];

			for (unsigned i = 0; s->g == g && i < s->bump; i++)
				again(a, (g << ARENA_SHIFT) + (uint64_t)i * class_size(s->cls), found, ctx);
		}
}

void
arena_unheard(const struct arena *a, void (*each)(void *ctx, uint64_t off, uint64_t bytes), void *ctx)
{
	const struct arena_log *log = ((const struct arena_head *)(const void *)a->base)->log;
	const struct arena_impl *m = a->impl;

	for (uint64_t g = arena_first(a->bytes), n; g < m->ngran; g += n) {
		uint64_t w = atomic_load_explicit(&log[g].word, memory_order_acquire), end;
		struct arena_block b = { .off = g << ARENA_SHIFT };

		n = log_n(w) ? log_n(w) : 1;
		if (w == 0 || (uint32_t)w != a->proc || n > m->ngran - g)
			continue;
		for (end = (g + n) << ARENA_SHIFT; b.off < end; b.off += b.run)
			if (m->gran[b.off >> ARENA_SHIFT].kind != GRAN_NONE)
				b.run = ARENA_GRANULE;
			else if (arena_block_load(a->base, b.off, end, &b) && b.run % ARENA_GRANULE == 0)
				each(ctx, b.off, b.run);
			else
				break;
	}
}
