/* core_lineage.c - what runs again for a lost object: order, what is there already, bounds, and who is to blame */
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/lineage.h"
#include "tap.h"

enum { N = 200000 };
static enum lineage_state st[N];
static uint32_t from[N][2];
static unsigned nfrom[N];

static enum lineage_state
state(void *ctx, uint32_t n)
{
	(void)ctx;
	return st[n];
}

static bool
arg(void *ctx, uint32_t n, unsigned i, uint32_t *out)
{
	(void)ctx;
	if (i >= nfrom[n])
		return false;
	*out = from[n][i];
	return true;
}

static const struct lineage_graph g = { state, arg, NULL };

static void
node(uint32_t n, enum lineage_state s, unsigned k, uint32_t a, uint32_t b)
{
	st[n] = s;
	nfrom[n] = k;
	from[n][0] = a;
	from[n][1] = b;
}

int
main(void)
{
	struct lineage_plan p;
	bool good = true;
	size_t at[16] = { 0 };

	node(1, LINEAGE_THERE, 0, 0, 0);
	node(2, LINEAGE_MAKEABLE, 1, 1, 0);
	ok(lineage_make(&g, 2, 10, 10, &p) == 0 && p.n == 1 && p.node[0] == 2);
	lineage_release(&p);
	node(3, LINEAGE_MAKEABLE, 2, 2, 2);		/* a diamond: 2 once, and first */
	node(4, LINEAGE_MAKEABLE, 2, 3, 2);
	ok(lineage_make(&g, 4, 10, 10, &p) == 0 && p.n == 3 && p.node[0] == 2 && p.node[1] == 3 && p.node[2] == 4);
	lineage_release(&p);
	node(2, LINEAGE_COMING, 0, 0, 0);
	ok(lineage_make(&g, 4, 10, 10, &p) == 0 && p.n == 2);
	lineage_release(&p);
	node(2, LINEAGE_GONE, 0, 0, 0);
	ok(lineage_make(&g, 4, 10, 10, &p) == ERR_LOST && p.culprit == 2 && p.n == 0);
	lineage_release(&p);
	ok(lineage_make(&g, 2, 10, 10, &p) == ERR_LOST && p.culprit == 2);
	lineage_release(&p);
	node(0, LINEAGE_MAKEABLE, 0, 0, 0);
	for (uint32_t i = 1; i < N; i++)
		node(i, LINEAGE_MAKEABLE, 1, i - 1, 0);
	ok(lineage_make(&g, N - 1, LINEAGE_DEPTH, LINEAGE_WORK, &p) == -E2BIG);
	lineage_release(&p);
	ok(lineage_make(&g, LINEAGE_DEPTH - 1, LINEAGE_DEPTH, LINEAGE_WORK, &p) == 0 && p.n == LINEAGE_DEPTH);
	for (size_t i = 0; i < p.n; i++)
		good &= p.node[i] == i;
	ok(good);
	lineage_release(&p);
	ok(lineage_make(&g, LINEAGE_DEPTH, LINEAGE_DEPTH, LINEAGE_WORK, &p) == -E2BIG);
	lineage_release(&p);
	ok(lineage_make(&g, 50, 100, 50, &p) == -E2BIG && lineage_make(&g, 49, 100, 50, &p) == 0 && p.n == 50);
	lineage_release(&p);
	node(7, LINEAGE_MAKEABLE, 1, 7, 0);		/* itself: nonsense that ends */
	ok(lineage_make(&g, 7, 10, 10, &p) == 0 && p.n == 1);
	lineage_release(&p);
	srand(1);
	for (unsigned k = 0; k < 2000 && good; k++) {	/* any graph: arguments come before who wants them */
		for (uint32_t i = 0; i < 16; i++)
			node(i, rand() % 3 ? LINEAGE_MAKEABLE : LINEAGE_THERE, i ? (unsigned)rand() % 3 : 0, i ? (uint32_t)rand() % i : 0,
			    i ? (uint32_t)rand() % i : 0);
		st[15] = LINEAGE_MAKEABLE;
		good = lineage_make(&g, 15, 100, 100, &p) == 0;
		for (size_t i = 0; i < 16; i++)
			at[i] = SIZE_MAX;
		for (size_t i = 0; i < p.n; i++)
			at[p.node[i]] = i;
		for (size_t i = 0; i < p.n; i++)
			for (unsigned j = 0; j < nfrom[p.node[i]]; j++) {
				uint32_t a = from[p.node[i]][j];

				good &= st[a] == LINEAGE_THERE ? at[a] == SIZE_MAX : at[a] < i;
			}
		lineage_release(&p);
	}
	ok(good);
	return tap_done();
}
