#include <stdio.h>
#include "core/gpus.h"

void
gpus_init(struct gpus *g, unsigned n)
{
	g->n = n < GPUS_MAX ? n : GPUS_MAX;
	for (unsigned i = 0; i < g->n; i++)
		g->free[i] = GPU_ONE;
}

uint64_t
gpus_pick(const struct gpus *g, int64_t need)
{
	unsigned best = GPUS_MAX;
	uint64_t found = 0;
	int64_t left = need;

	if (need <= 0 || !gpus_shape(need))
		return 0;
	if (need < (int64_t)GPU_ONE) {
		for (unsigned i = 0; i < g->n; i++)
			if (g->free[i] >= need && (best == GPUS_MAX || g->free[i] < g->free[best]))
				best = i;
		return best == GPUS_MAX ? 0 : UINT64_C(1) << best;
	}
	for (unsigned i = 0; i < g->n && left > 0; i++)
		if (g->free[i] == GPU_ONE) {
			found |= UINT64_C(1) << i;
			left -= GPU_ONE;
		}
	return left > 0 ? 0 : found;
}

/* what a lease has of each of its devices */
static uint16_t
share(int64_t need)
{
	return (uint16_t)(need < (int64_t)GPU_ONE ? need : GPU_ONE);
}

void
gpus_take(struct gpus *g, uint64_t devices, int64_t need)
{
	for (unsigned i = 0; i < g->n; i++)
		if (devices >> i & 1)
			g->free[i] = (uint16_t)(g->free[i] - share(need));
}

void
gpus_give(struct gpus *g, uint64_t devices, int64_t need)
{
	for (unsigned i = 0; i < g->n; i++)
		if (devices >> i & 1)
			g->free[i] = (uint16_t)(g->free[i] + share(need));
}

unsigned
gpus_text(char *text, unsigned n, uint64_t devices, const char *const *name)
{
	unsigned at = 0;
	int k;

	text[0] = '\0';
	for (unsigned i = 0; i < GPUS_MAX && at < n; i++) {
		if (!(devices >> i & 1))
			continue;
		k = name ? snprintf(text + at, n - at, "%s%s", at ? "," : "", name[i]) :
		    snprintf(text + at, n - at, "%s%u", at ? "," : "", i);
		at += k > 0 ? (unsigned)k : 0;
	}
	return at < n ? at : n - 1;
}
