/* os_giveway.c - a wait lets others run until what it waits for is there, follows what came of it, and rests after a long turn */
#include "base/clock.h"
#include "os/giveway.h"
#include "tap.h"

static unsigned looks, wanted;
static uint64_t busy;			/* a look takes so long: as if a stranger had run */

static bool
ready(void *arg)
{
	uint64_t until = clock_ns() + busy;

	(void)arg;
	while (busy && clock_ns() < until);
	return ++looks >= wanted;
}

static bool
waits(struct giveway *w, unsigned after)
{
	looks = 0;
	wanted = after;
	return giveway_wait(w, ready, NULL);
}

int
main(void)
{
	struct giveway w = { .most = 0 };

	ok(!waits(&w, 1) && looks == 0);	/* never */
	w.most = 1000000000;
	giveway_slept(&w, 0);
	w.from = 0;
	ok(waits(&w, 1) && looks == 1);
	do {					/* a stranger came in between: once more */
		w.from = 0;
		w.ns = w.most;
		waits(&w, 3);
	} while (w.from);
	ok(looks == 3);
	w.most = w.ns = 64000;
	for (unsigned i = 0; i < 10; i++) {
		w.from = 0;
		ok(!waits(&w, 1u << 30));
	}
	ok(w.ns <= 1000 && w.ns > 0);		/* misses: next to nothing, but one look */
	w.from = 0;
	ok(waits(&w, 1) && w.ns <= 2000);
	giveway_slept(&w, 1000000000);
	ok(w.ns <= 2000);
	giveway_slept(&w, 20000);		/* it came soon after */
	ok(w.ns == 64000);
	w.from = 0;
	busy = 1000000;
	ok(!waits(&w, 2) && looks == 1);	/* one turn took much too long */
	busy = 0;
	ok(w.from > clock_ns() && !waits(&w, 1) && looks == 0);
	return tap_done();
}
