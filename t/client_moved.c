/* client_moved.c - who was told the place of an object that moves finds it there for half a second, or until they looked */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "client/inner.h"
#include "tap.h"

enum { OBJECTS = 80, SIZE = 300000 };	/* five granules each, 25 MiB of 32 */
#define STORE (UINT64_C(32) << 20)
#define MS UINT64_C(1000000)

static struct client *c;
static unsigned char bytes[30 << 20];

static struct rec *
put(size_t n, int what)
{
	const unsigned char nil = 0xc0;
	const struct payload p = { .p = &nil, .n = 1, .nvals = 1, .seg = &(struct seg){ bytes, n }, .nseg = 1 };
	struct rec *r = NULL;
	int e;

	memset(bytes, what, n);
	if ((e = client_put(c, &p, &r)) < 0)
		printf("# put of %zu bytes: %s: %s\n", n, err_str(e), client_full(c));
	return e < 0 ? NULL : r;
}

static uint64_t
place(const struct rec *r)		/* as far as we know */
{
	struct rec_where w;

	memcpy(&w, r->inl, sizeof w);
	return w.off;
}

static bool
room(const struct rec *r)		/* for so much that r has to move, from where we believe it to be */
{
	uint64_t before = place(r), after = STORE - before - SIZE;
	struct rec *big = put((before > after ? before : after) + (1 << 20), 'b');

	if (big)
		client_release(c, big);
	return big != NULL;
}

static bool
right(struct rec *r, int what)
{
	struct value v;
	bool good = client_look(c, r, &v) == 0;

	if (!good)
		return false;
	good = v.arena && v.view.nbuf == 1 && v.view.buf[0].len == SIZE;
	for (size_t i = 0; good && i < SIZE; i++)
		good = v.view.buf[0].p[i] == what;
	client_unview(c, r);
	return good;
}

int
main(void)
{
	struct rec *r[OBJECTS];
	unsigned mid = 0;
	char dir[] = "/tmp/rota-moved-XXXXXX", why[300] = "", rm[64];
	uint64_t t0, t1;
	bool all = true;

	if (mkdtemp(dir) == NULL || setenv("ROTA_DIR", dir, 1) < 0 || setenv("ROTA_SPILL", "/proc/nowhere", 1) < 0)
		return 1;
	if (!ok(client_open(&c, &(struct client_opts){ .address = "private", .name = "t", .may_start = true, .err = -1,
	    .store = "32M", .cpus = 1 }, why, sizeof why) == 0)) {
		printf("# %s\n", why);
		return tap_done();
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		all &= (r[i] = put(SIZE, (int)i)) != NULL;
	ok(all);
	for (unsigned i = 0; i < OBJECTS && all; i++)
		if (llabs((long long)place(r[i]) - (long long)STORE / 2) < llabs((long long)place(r[mid]) - (long long)STORE / 2))
			mid = i;
	for (unsigned i = 0; i < OBJECTS && all; i++)
		if (i != mid)
			client_release(c, r[i]);
	if (!all || !ok(room(r[mid]) && r[mid]->kind == REC_AWAY))
		goto out;

	t0 = clock_ns();
	ok(away_restore(c, r[mid]) == 0);			/* the first half of a look: its place is known */
	ok(room(r[mid]));
	t1 = clock_ns();
	if (!ok(t1 - t0 >= 450 * MS))
		printf("# it moved after %llu ms\n", (unsigned long long)((t1 - t0) / MS));
	ok(right(r[mid], (int)mid));				/* the place that we know is stale by now */
	ok(room(r[mid]) && right(r[mid], (int)mid));		/* it was looked at */
out:
	client_close(c);
	snprintf(rm, sizeof rm, "rm -rf '%s'", dir);
	return system(rm) != 0 || tap_done();
}
