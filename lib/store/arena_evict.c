/* arena_evict.c - space back from objects that live: what has a copy on disk leaves the arena if nobody reads it */
#include <stdlib.h>
#include "base/err.h"
#include "store/arena_own.h"

static int
by_off(const void *a, const void *b)
{
	const struct arena_evict *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static void
hold(struct arena_evict *v, size_t n, uint64_t name)
{
	uint64_t off = (name & ((UINT64_C(1) << PIN_OFF_BITS) - 1)) << 6;
	size_t lo = 0, hi = n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (v[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && v[lo].off == off; lo++)
		if (v[lo].gone && pin_name(off, v[lo].gen) == name)
			v[lo].borrower = 0;
}

/* v[i].borrower is 1 for what no slot names */
static void
scan(struct arena_node *an, struct arena_evict *v, size_t n)
{
	const _Atomic uint64_t *slot;
	uint64_t name;
	unsigned m;

	for (unsigned i = 0; an->hook.pins && an->hook.pins(an->hook.ctx, i, &slot, &m); i++)
		for (unsigned k = 0; k < m; k++) {
			name = pin_held(&slot[k]);
			if (name == PIN_ALL)
				for (size_t j = 0; j < n; j++)
					v[j].borrower = 0;
			else if (name)
				hold(v, n, name);
		}
}

size_t
arena_node_evict(struct arena_node *an, struct arena_evict *v, size_t n)
{
	struct own_extent x;
	size_t count = 0;
	bool ours = false;

	qsort(v, n, sizeof *v, by_off);
	for (size_t i = 0; i < n; i++) {
		v[i].borrower = 1;
		v[i].gone = arena_node_has(an, v[i].off, v[i].gen) && pin_evict(&arena_hdr(an->base, v[i].off)->word, v[i].gen);
	}
	scan(an, v, n);
	for (size_t i = 0; i < n; i++) {
		if (!v[i].gone)
			continue;
		if (v[i].borrower == 0 || !own_find(an, v[i].off, &x)) {
			pin_settle(&arena_hdr(an->base, v[i].off)->word, v[i].gen, true);
			v[i].gone = false;
			continue;
		}
		count++;
		v[i].borrower = x.state == EXTENT_LENT ? x.borrower : 0;
		if (v[i].borrower == 0) {		/* the extent is ours: nobody pins it, and the batch below finds it so */
			pin_settle(&arena_hdr(an->base, v[i].off)->word, v[i].gen, false);
			ours = true;
		}
	}
	for (size_t i = 0; i < n && ours; i++)
		if (v[i].gone && v[i].borrower == 0 && own_find(an, v[i].off, &x) && x.state == EXTENT_OWNED)
			own_settle(an, &x, false);
	return count;
}
