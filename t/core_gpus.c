/* core_gpus.c - devices: parts share one, whole ones are whole, nothing is given twice */
#include <stdlib.h>
#include <string.h>
#include "core/gpus.h"
#include "tap.h"

static struct gpus g;

static uint64_t
take(int64_t need)
{
	uint64_t d = gpus_pick(&g, need);

	gpus_take(&g, d, need);
	return d;
}

static void
rules(void)
{
	char text[64];
	const char *name[] = { "GPU-a", "GPU-b", "GPU-c", "GPU-d" };

	gpus_init(&g, 4);
	ok(take(0) == 0);
	ok(take(500) == 1 && take(500) == 1);		/* half and half share a device */
	ok(take(500) == 2 && take(600) == 4);		/* a fraction does not span two */
	ok(take(400) == 4);				/* where least is left */
	ok(take(2000) == 0 && take(1000) == 8);		/* whole ones are untouched ones */
	ok(take(1000) == 0);
	gpus_give(&g, 1, 500);
	ok(take(1000) == 0);
	gpus_give(&g, 1, 500);
	ok(take(1000) == 1);
	ok(!gpus_shape(1500) && gpus_pick(&g, 1500) == 0);
	ok(gpus_shape(1) && gpus_shape(999) && gpus_shape(1000) && gpus_shape(64000));
	gpus_init(&g, 4);
	ok(take(3000) == 7 && take(1000) == 8 && take(1) == 0);
	gpus_init(&g, 100);
	ok(g.n == GPUS_MAX && gpus_pick(&g, 64000) == UINT64_MAX);
	ok(gpus_text(text, sizeof text, 5, NULL) == 3 && strcmp(text, "0,2") == 0);
	ok(gpus_text(text, sizeof text, 10, name) == 11 && strcmp(text, "GPU-b,GPU-d") == 0);
	ok(gpus_text(text, sizeof text, 0, NULL) == 0 && text[0] == '\0');
	ok(gpus_text(text, 6, 15, name) == 5 && strcmp(text, "GPU-a") == 0);	/* cut, not overrun */
}

static void
random_leases(void)
{
	struct { uint64_t d; int64_t need; } held[256];
	unsigned n = 0, bad = 0;

	srandom(1);
	gpus_init(&g, 8);
	for (int i = 0; i < 100000; i++) {
		if (n == 256 || (n && random() % 2)) {
			unsigned k = (unsigned)random() % n;

			gpus_give(&g, held[k].d, held[k].need);
			held[k] = held[--n];
		} else {
			int64_t need = random() % 3 ? 1 + random() % 1000 : 1000 * (1 + random() % 8);

			if ((held[n].d = take(held[n].need = need)) != 0)
				bad += __builtin_popcountll(held[n].d) != (need < 1000 ? 1 : need / 1000), n++;
		}
		for (unsigned d = 0; d < 8; d++) {
			int64_t sum = g.free[d];

			for (unsigned k = 0; k < n; k++)
				if (held[k].d >> d & 1)
					sum += held[k].need < 1000 ? held[k].need : 1000;
			bad += sum != 1000;
		}
	}
	ok(bad == 0);
}

int
main(void)
{
	rules();
	random_leases();
	return tap_done();
}
