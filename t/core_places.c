/* core_places.c - a broadcast forms a tree, whoever is left gets a source, and a lost object is told once: with thousands of seeds */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/places.h"
#include "tap.h"

static uint64_t seed;

static unsigned
draw(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static const struct id obj = { 1, 2, 3 << 24 };

static struct form
form(uint64_t stamp)
{
	return (struct form){ .bytes = 1000, .stamp = stamp, .size = 900, .headlen = 10, .nbuf = 2 };
}

static struct places c;
static struct places_out out;

static int
has(enum places_in_kind kind, uint32_t node, uint64_t stamp)
{
	out.n = 0;
	return places_step(&c, &(struct places_in){ .kind = kind, .id = obj, .node = node, .form = form(stamp) }, &out);
}

static int
want(uint32_t node, uint64_t stamp, uint64_t have, uint32_t not)
{
	out.n = 0;
	return places_step(&c, &(struct places_in){ .kind = PLACES_IN_WANT, .id = obj, .node = node, .stamp = stamp, .have = have, .not = not },
	    &out);
}

static int
other(enum places_in_kind kind, uint32_t node, int code)
{
	out.n = 0;
	return places_step(&c, &(struct places_in){ .kind = kind, .id = obj, .node = node, .stamp = (uint64_t)(code > 0 ? code : 0), .code = code,
	    .text = "why" }, &out);
}

static bool
fx(size_t i, enum places_fx_kind kind, uint32_t node, uint32_t source)
{
	return i < out.n && out.fx[i].kind == kind && out.fx[i].node == node && out.fx[i].source == source && id_eq(out.fx[i].id, obj);
}

static void
simple(void)
{
	places_init(&c);
	ok(has(PLACES_IN_MADE, 1, 7) == 0 && out.n == 1 && fx(0, PLACES_FX_PRIMARY, 1, 0));
	ok(has(PLACES_IN_MADE, 1, 7) == 0 && out.n == 0);			/* told again */
	ok(has(PLACES_IN_MADE, 2, 8) == 0 && out.n == 1 && fx(0, PLACES_FX_DROP, 2, 0) && out.fx[0].form.stamp == 8);
	ok(places_find(&c, obj, 2) == NULL);
	ok(want(2, 0, 0, 0) == 0 && out.n == 1 && fx(0, PLACES_FX_SOURCE, 2, 1) && out.fx[0].form.stamp == 7);
	ok(want(2, 0, 0, 0) == 0 && out.n == 1 && fx(0, PLACES_FX_SOURCE, 2, 1));	/* the same again */
	ok(want(3, 0, 0, 0) == 0 && fx(0, PLACES_FX_SOURCE, 3, 1));
	ok(want(4, 0, 0, 0) == 0 && fx(0, PLACES_FX_SOURCE, 4, 2));		/* 1 serves two */
	ok(want(4, 7, 100, 2) == 0 && fx(0, PLACES_FX_SOURCE, 4, 3));		/* not from 2 then */
	ok(want(2, 7, 200, 1) == 0 && fx(0, PLACES_FX_SOURCE, 2, 3));		/* not from 1: 3 has less, but it grows */
	ok(has(PLACES_IN_PULLED, 3, 7) == 0 && out.n == 0 && places_check(&c) == 0);
	ok(other(PLACES_IN_GONE, 1, 0) == 0 && out.n == 1 && fx(0, PLACES_FX_PRIMARY, 3, 0));
	ok(want(5, 0, 0, 0) == 0 && out.n == 1 && (fx(0, PLACES_FX_SOURCE, 5, 2) || fx(0, PLACES_FX_SOURCE, 5, 4)));
	ok(other(PLACES_IN_FREE, 0, 0) == 0 && out.n == 4 && c.objects.n == 0 && c.nodes.n == 0 && c.bytes == 0);
	ok(has(PLACES_IN_PULLED, 5, 7) == 0 && out.n == 1 && fx(0, PLACES_FX_DROP, 5, 0) && c.objects.n == 0);	/* too late */
	ok(has(PLACES_IN_MADE, 1, 0) == ERR_PROTO);
	places_release(&c);
}

static void
loss(void)
{
	places_init(&c);
	ok(want(2, 0, 0, 0) == 0 && out.n == 1 && fx(0, PLACES_FX_LOST, 0, 0));	/* nobody here heard of it */
	ok(want(3, 0, 0, 0) == 0 && out.n == 0);				/* told once */
	ok(has(PLACES_IN_MADE, 1, 7) == 0 && out.n == 3 && fx(0, PLACES_FX_PRIMARY, 1, 0) && fx(1, PLACES_FX_SOURCE, 2, 1) &&
	    fx(2, PLACES_FX_SOURCE, 3, 1));
	ok(want(4, 0, 0, 0) == 0 && fx(0, PLACES_FX_SOURCE, 4, 2));
	ok(other(PLACES_IN_DROPPED, 1, 7) == 0 && out.n == 0);			/* 2 or 3 may have all of it */
	ok(want(2, 7, 500, 1) == 0 && out.n == 0);
	ok(want(4, 7, 300, 2) == 0 && out.n == 0);				/* 3 is its hope */
	ok(want(3, 7, 600, 1) == 0 && out.n == 1 && fx(0, PLACES_FX_LOST, 0, 0));
	ok(has(PLACES_IN_MADE, 5, 9) == 0 && out.n == 4 && fx(0, PLACES_FX_PRIMARY, 5, 0) && out.fx[3].form.stamp == 9);
	ok(places_find(&c, obj, 3)->have == 0 && places_check(&c) == 0);	/* what it had is of another making */
	ok(has(PLACES_IN_PULLED, 3, 7) == 0 && fx(0, PLACES_FX_DROP, 3, 0) && places_find(&c, obj, 3) == NULL);
	ok(other(PLACES_IN_FREE, 0, ERR_LOST) == 0 && out.n == 3 && out.fx[0].code == ERR_LOST);
	ok(want(2, 0, 0, 0) == 0 && other(PLACES_IN_DROPPED, 2, 0) == 0 && out.n == 0 && c.bytes == 0);
	places_release(&c);
}

static void
extra(void)
{
	places_init(&c);
	ok(has(PLACES_IN_MADE, 1, 7) == 0 && has(PLACES_IN_MADE, 2, 7) == 0 && out.n == 0);
	ok(want(3, 0, 0, 0) == 0 && out.n == 2 && out.fx[0].source + out.fx[1].source == 3 && !out.fx[0].extra && out.fx[1].extra);
	ok(want(3, 7, 10, out.fx[0].source) == 0 && out.n == 0);		/* the other one is enough */
	ok(places_find(&c, obj, 3)->extra == NULL && places_check(&c) == 0);
	places_release(&c);
}

static void
full(void)
{
	unsigned n = 0;

	places_init(&c);
	c.limit = 2000;
	while (want(++n, 0, 0, 0) == 0)
		;
	ok(n > 4 && n < 20 && want(n, 0, 0, 0) == ERR_FULL && has(PLACES_IN_MADE, n, 7) == ERR_FULL && places_check(&c) == 0);
	ok(has(PLACES_IN_PULLED, n, 7) == 0 && out.n == 1 && fx(0, PLACES_FX_DROP, n, 0));
	ok(has(PLACES_IN_MADE, 1, 7) == 0 && out.n == n - 1);			/* what is known can change */
	ok(c.bytes <= c.limit);
	places_release(&c);
}

static void
wide(void)			/* 1,000 nodes: a source for each, at once */
{
	unsigned most = 0;

	places_init(&c);
	has(PLACES_IN_MADE, 1, 7);
	for (uint32_t n = 2; n <= 1000; n++)
		if (want(n, 0, 0, 0) != 0 || !fx(0, PLACES_FX_SOURCE, n, out.fx[0].source))
			most = 1000;
	for (uint32_t n = 2; n <= 1000; n++) {
		unsigned deep = 0;

		for (struct place *p = places_find(&c, obj, n); p->from; p = p->from)
			deep++;
		most = deep > most ? deep : most;
	}
	ok(places_check(&c) == 0 && most == 9);
	places_release(&c);
}

/* anything, in any order, true or not */
static bool
hostile(uint64_t with)
{
	bool good = true;

	seed = with;
	places_init(&c);
	c.limit = 30000;
	for (unsigned i = 0; i < 300 && good; i++) {
		struct places_in in = {
			.kind = (enum places_in_kind)draw(7), .id = { 1, 1, draw(3) + 1 }, .node = draw(20) + 1, .not = draw(21),
			.stamp = draw(3), .have = draw(1100), .form = form(draw(4)),
		};
		int e;

		if (in.kind == PLACES_IN_FREE && draw(4))
			continue;
		out.n = 0;
		e = places_step(&c, &in, &out);
		good = (e == 0 || e == ERR_FULL || e == ERR_PROTO) && places_check(&c) == 0 && c.bytes <= c.limit;
		for (size_t k = 0; k < out.n; k++)
			good = good && (out.fx[k].kind != PLACES_FX_SOURCE || (out.fx[k].source && out.fx[k].source != out.fx[k].node));
	}
	if (!good)
		printf("# seed %llu, line %d\n", (unsigned long long)with, places_check(&c));
	for (uint32_t n = 1; n <= 20; n++)
		other(PLACES_IN_GONE, n, 0);
	good = good && c.bytes == 0 && c.objects.n == 0 && c.nodes.n == 0;
	places_release(&c);
	return good;
}

int
main(void)
{
	unsigned good = 0;

	simple();
	loss();
	extra();
	full();
	wide();
	for (uint64_t i = 1; i <= 3000; i++)
		good += hostile(i);
	ok(good == 3000);
	free(out.fx);
	return tap_done();
}
