/* arena_dead.c - what becomes of objects whose maker or owner died, and freeing what nobody pins */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/grow.h"
#include "store/arena_own.h"

/* The walk of own_settle: blocks become stretches, stretches become free runs and extents. */
struct settle {
	struct arena_node *an;
	uint64_t piece;		/* start of the extent that is being made */
	uint64_t gap;		/* start of the free stretch that ends at the block now looked at; 0 none */
	uint64_t first;		/* the first granule's new log word, stored last */
	uint64_t g0;
	uint32_t last;
};

static void
piece_end(struct settle *s, uint64_t end)
{
	uint64_t g = s->piece >> ARENA_SHIFT, n = (end - s->piece) >> ARENA_SHIFT, w = log_word(EXTENT_OWNED, n, 0);

	if (n == 0)
		return;
	s->an->owned += end - s->piece;
	if (g == s->g0)
		s->first = w;
	else
		atomic_store_explicit(&own_log(s->an, g)->word, w, memory_order_relaxed);
}

static void
gap_end(struct settle *s, uint64_t end)		/* the free stretch from s->gap ends at end */
{
	uint64_t from = s->gap, up = (from + ARENA_GRANULE - 1) & ~(ARENA_GRANULE - 1), down = end & ~(ARENA_GRANULE - 1);

	s->gap = 0;
	if (from == 0)
		return;
	if (up >= down) {
		arena_hdr_free(s->an->base, from, end - from);
		return;
	}
	/* from back to front, so that the extent can still be walked as a whole if we are killed in between */
	if (down < end)
		arena_hdr_free(s->an->base, down, end - down);
	arena_hdr_free(s->an->base, up, down - up);
	if (from < up)
		arena_hdr_free(s->an->base, from, up - from);
	piece_end(s, up);
	s->piece = down;
	own_give(s->an, up >> ARENA_SHIFT, (down - up) >> ARENA_SHIFT, s->last, true);
}

static bool
owner_gone(const struct arena_node *an, const struct arena_block *b)
{
	return !(b->keep & OBJ_KEEP) && an->hook.alive && !an->hook.alive(an->hook.ctx, b->id.node, b->id.proc);
}

/* A block of a dead maker: true if it lives on. */
static bool
survives(struct arena_node *an, struct arena_block *b)
{
	struct obj_hdr *h = arena_hdr(an->base, b->off);

	if (b->state == OBJ_EVICTING && b->gen == 0)
		return true;			/* given up by give_up */
	if (b->state == OBJ_EVICTING)		/* by an rlet that died */
		atomic_store_explicit(&h->word, obj_word(b->gen, OBJ_SEALED), memory_order_release);
	else if (b->state != OBJ_SEALED)
		return false;
	b->state = OBJ_SEALED;
	if (!owner_gone(an, b) || own_victim(an, b) < 0)
		if (an->hook.kept)
			an->hook.kept(an->hook.ctx, b->id, b->off, b->gen);
	return true;
}

/* What follows a bad header cannot be told apart any more: one block that nobody can view and nothing frees. */
static void
give_up(struct arena_node *an, uint64_t off, uint64_t end)
{
	struct obj_hdr *h = arena_hdr(an->base, off);

	h->magic = OBJ_MAGIC;
	atomic_store_explicit(&h->word, obj_word(0, OBJ_EVICTING), memory_order_relaxed);
	atomic_store_explicit(&h->run, end - off, memory_order_release);
	an->lost += end - off;
}

bool
own_settle(struct arena_node *an, const struct own_extent *x, bool dead)
{
	uint64_t start = x->g << ARENA_SHIFT, end = (x->g + x->n) << ARENA_SHIFT;
	struct settle s = { .an = an, .piece = start, .g0 = x->g };
	struct arena_block b = { .off = start };
	int r;

	*(x->state == EXTENT_LENT ? &an->lent : &an->owned) -= end - start;
	for (uint64_t i = 1; i < x->n; i++)	/* of a settling that was cut short */
		atomic_store_explicit(&own_log(an, x->g + i)->word, 0, memory_order_relaxed);
	while ((r = arena_block_next(an->base, end, &b)) > 0) {
		bool live = dead ? survives(an, &b) : b.state != OBJ_FREE;

		if (live)
			gap_end(&s, b.off);
		else {
			atomic_store_explicit(&arena_hdr(an->base, b.off)->word, obj_word(b.gen, OBJ_FREE),
			    memory_order_relaxed);
			if (s.gap == 0)
				s.gap = b.off;
		}
	}
	if (r < 0) {
		gap_end(&s, b.off + b.run);
		give_up(an, b.off + b.run, end);
	} else
		gap_end(&s, end);
	piece_end(&s, end);
	atomic_store_explicit(&own_log(an, x->g)->word, s.first, memory_order_release);
	return r == 0;
}

unsigned
arena_node_dead(struct arena_node *an, uint32_t proc)
{
	struct own_extent x;
	unsigned bad = 0;

	for (uint64_t g = 0; own_next(an, &g, &x); )
		if (x.state == EXTENT_LENT && x.borrower == proc)
			bad += !own_settle(an, &x, true);
	for (size_t i = 0; i < an->nrun; i++)
		if (an->run[i].last == proc)
			an->run[i].last = 0;
	arena_node_flush(an);
	return bad;
}

int
own_victim(struct arena_node *an, const struct arena_block *b)
{
	struct arena_victim *more = grow(an->victim, &an->capvictim, an->nvictim, sizeof *more);

	if (more == NULL)
		return -ENOMEM;
	an->victim = more;
	an->victim[an->nvictim++] = (struct arena_victim){ b->off, b->gen, false, b->id };
	return 0;
}

int
arena_node_free(struct arena_node *an, uint64_t off, uint32_t gen, uint32_t *borrower)
{
	struct own_extent x;

	if (!own_find(an, off, &x))
		return ERR_NOTFOUND;
	if (x.state == EXTENT_LENT) {
		*borrower = x.borrower;
		return -EPERM;
	}
	return own_victim(an, &(struct arena_block){ .off = off, .gen = gen });
}

static int
victim_cmp(const void *a, const void *b)
{
	const struct arena_victim *x = a, *y = b;

	return x->off != y->off ? (x->off < y->off ? -1 : 1) : x->gen < y->gen ? -1 : x->gen > y->gen;
}

/* Turns the victims that are really there, victim[from..), to EVICTING; the others' gen becomes 0.  Number looked at. */
static size_t
evict_extent(struct arena_node *an, size_t from)
{
	struct own_extent x;
	struct arena_block b;
	size_t i = from;
	uint64_t end;

	if (!own_find(an, an->victim[i].off, &x) || x.state != EXTENT_OWNED) {
		an->victim[i].gen = 0;
		return 1;
	}
	end = (x.g + x.n) << ARENA_SHIFT;
	b = (struct arena_block){ .off = x.g << ARENA_SHIFT };
	while (i < an->nvictim && an->victim[i].off < end && arena_block_next(an->base, end, &b) > 0)
		for (; i < an->nvictim && an->victim[i].off <= b.off; i++) {
			struct arena_victim *v = &an->victim[i];

			v->id = b.id;
			v->held = false;
			if (v->off != b.off || v->gen != b.gen || !pin_evict(&arena_hdr(an->base, b.off)->word, b.gen))
				v->gen = 0;
		}
	for (; i < an->nvictim && an->victim[i].off < end; i++)
		an->victim[i].gen = 0;
	return i - from;
}

static void
mark_held(struct arena_node *an, uint64_t name)
{
	uint64_t off = (name & ((UINT64_C(1) << PIN_OFF_BITS) - 1)) << 6;
	size_t lo = 0, hi = an->nvictim, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (an->victim[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < an->nvictim && an->victim[lo].off == off; lo++)
		if (pin_name(off, an->victim[lo].gen) == name)
			an->victim[lo].held = true;
}

static void
scan_pins(struct arena_node *an)	/* once for the whole batch */
{
	const _Atomic uint64_t *slot;
	uint64_t name;
	unsigned n;

	for (unsigned i = 0; an->hook.pins && an->hook.pins(an->hook.ctx, i, &slot, &n); i++)
		for (unsigned k = 0; k < n; k++)
			if ((name = pin_held(&slot[k])) == PIN_ALL)
				for (size_t j = 0; j < an->nvictim; j++)
					an->victim[j].held = true;
			else if (name)
				mark_held(an, name);
}

size_t
arena_node_flush(struct arena_node *an)
{
	struct own_extent x;
	size_t left = 0, n = an->nvictim;
	uint64_t done = 0;		/* granules before this one are settled */

	if (n == 0)
		return 0;
	qsort(an->victim, n, sizeof *an->victim, victim_cmp);
	for (size_t i = 0; i < n; )
		i += evict_extent(an, i);
	scan_pins(an);
	for (size_t i = 0; i < n; i++) {
		struct arena_victim *v = &an->victim[i];

		if (v->gen == 0)
			continue;
		pin_settle(&arena_hdr(an->base, v->off)->word, v->gen, v->held);
		if (!v->held && an->hook.freed)
			an->hook.freed(an->hook.ctx, v->id);
	}
	for (size_t i = 0; i < n; i++) {
		struct arena_victim v = an->victim[i];

		if (v.gen == 0)
			continue;
		if (v.held)
			an->victim[left++] = v;
		else if (v.off >> ARENA_SHIFT >= done && own_find(an, v.off, &x)) {
			done = x.g + x.n;
			own_settle(an, &x, false);
		}
	}
	an->nvictim = left;
	return left;
}

/* One pass over an extent: false if it changed under us. */
static bool
free_owned_by(struct arena_node *an, const struct own_extent *x, uint32_t node, uint32_t proc)
{
	uint64_t end = (x->g + x->n) << ARENA_SHIFT;
	struct arena_block b = { .off = x->g << ARENA_SHIFT };
	int r;

	while ((r = arena_block_next(an->base, end, &b)) > 0) {
		if (b.state != OBJ_SEALED || b.keep & OBJ_KEEP || b.id.node != node || b.id.proc != proc)
			continue;
		if (x->state == EXTENT_OWNED)
			own_victim(an, &b);
		else if (an->hook.tell)
			an->hook.tell(an->hook.ctx, x->borrower, b.off, b.gen);
	}
	return r == 0;
}

void
arena_node_owner_dead(struct arena_node *an, uint32_t node, uint32_t proc)
{
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); )
		for (int tries = 0; tries < 4 && !free_owned_by(an, &x, node, proc); tries++)
			;		/* its borrower is at work in it; telling twice does no harm */
	arena_node_flush(an);
}

bool
arena_node_has(struct arena_node *an, uint64_t off, uint32_t gen)
{
	struct own_extent x;
	struct arena_block b;

	return own_find(an, off, &x) && arena_block_load(an->base, off, (x.g + x.n) << ARENA_SHIFT, &b) && b.gen == gen &&
	    b.state == OBJ_SEALED;
}

int
arena_node_keep(struct arena_node *an, uint64_t off, uint32_t gen, bool keep)
{
	struct own_extent x;
	struct arena_block b;
	_Atomic uint32_t *word = &arena_hdr(an->base, off)->keep;

	if (!own_find(an, off, &x) || !arena_block_load(an->base, off, (x.g + x.n) << ARENA_SHIFT, &b) || b.gen != gen ||
	    b.state != OBJ_SEALED)
		return ERR_NOTFOUND;
	atomic_store_explicit(word, (atomic_load_explicit(word, memory_order_relaxed) & ~OBJ_KEEP) | (keep ? OBJ_KEEP : 0),
	    memory_order_relaxed);
	return 0;
}
