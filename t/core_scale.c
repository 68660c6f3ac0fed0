/* core_scale.c - nodes are launched for what waits and no more, within min, max and speed, and given back; providers that fail or hang do not stop it */
#include <stdlib.h>
#include <string.h>
#include "core/scale.h"
#include "tap.h"

#define SEC UINT64_C(1000000000)

static struct scale c;
static struct scale_out o;
static uint64_t now;
static struct scale_fx seen[400];
static unsigned nseen;

static void
step(struct scale_in in)
{
	if (scale_step(&c, now, &in, &o) < 0 || scale_check(&c))
		ok(!"step"), exit(1);
	for (size_t i = 0; i < o.n; i++)
		if (o.fx[i].kind != SCALE_FX_LIST)
			seen[nseen++] = o.fx[i];
	o.n = 0;
}
#define STEP(...) step((struct scale_in){ __VA_ARGS__ })

static void
fresh(struct scale_opts opts)
{
	scale_release(&c);
	scale_init(&c, &opts, 1);
	now = 1000 * SEC;
	nseen = 0;
}

static const struct scale_opts two = { .type = {
	{ .name = "small", .total.v = { [RES_CPU] = 4000 }, .max = 20, .priority = 1 },
	{ .name = "gpu", .total.v = { [RES_CPU] = 8000, [RES_GPU] = 2000 }, .max = 3, .priority = 1 } },
	.ntype = 2, .speed = 100, .idle = 60 * SEC, .start = 100 * SEC, .drain = 30 * SEC };

static const struct res cpu = { .v = { [RES_CPU] = 1000 } }, whole = { .v = { [RES_CPU] = 4000 } },
    gpu = { .v = { [RES_CPU] = 1000, [RES_GPU] = 1000 } }, huge = { .v = { [RES_CPU] = 64000 } };

static void
want(enum scale_kind kind, const struct res *need, unsigned n)
{
	struct scale_want w = { .kind = kind, .n = n, .need = need };

	nseen = 0;
	STEP(.kind = SCALE_IN_WANTS, .want = &w, .nwant = n > 0);
}

static unsigned
launched(unsigned type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nseen; i++)
		n += seen[i].kind == SCALE_FX_LAUNCH && seen[i].type == type ? seen[i].n : 0;
	return n;
}

static uint64_t
first(enum scale_fx_kind kind)		/* its id, 0: there is none */
{
	for (unsigned i = 0; i < nseen; i++)
		if (seen[i].kind == kind)
			return seen[i].id;
	return 0;
}

static void
join(uint64_t id, uint32_t node, const struct res *free, bool idle)
{
	STEP(.kind = SCALE_IN_LAUNCHED, .id = id, .ok = true);
	STEP(.kind = SCALE_IN_READY, .id = id, .ok = true);
	STEP(.kind = SCALE_IN_NODE, .id = id, .node = node, .free = *free, .idle = idle);
}

static void
one_life(void)
{
	uint64_t id;

	fresh(two);
	want(SCALE_LEASE, &cpu, 0);
	ok(nseen == 0);
	want(SCALE_LEASE, &cpu, 3);
	ok(launched(0) == 1 && launched(1) == 0);	/* not one with GPUs */
	id = first(SCALE_FX_LAUNCH);
	want(SCALE_LEASE, &cpu, 4);
	ok(nseen == 0);				/* it is on its way */
	STEP(.kind = SCALE_IN_LAUNCHED, .id = id, .ok = true);
	ok(first(SCALE_FX_READY) == id);
	STEP(.kind = SCALE_IN_READY, .id = id, .ok = true);
	STEP(.kind = SCALE_IN_NODE, .id = id, .node = 7, .free = { { 0 } });
	want(SCALE_LEASE, &cpu, 1);
	ok(launched(0) == 1);			/* it is full */
	id = first(SCALE_FX_LAUNCH);
	join(id, 8, &whole, true);
	now += 59 * SEC;
	want(SCALE_LEASE, &cpu, 0);
	ok(nseen == 0);
	now += 2 * SEC;
	want(SCALE_LEASE, &cpu, 1);
	ok(nseen == 0);				/* what waits will go there */
	want(SCALE_LEASE, &cpu, 0);
	ok(nseen == 1 && seen[0].kind == SCALE_FX_DRAIN && seen[0].node == 8);
	want(SCALE_LEASE, &cpu, 1);
	ok(launched(0) == 1);			/* one that is drained takes nothing */
	nseen = 0;
	STEP(.kind = SCALE_IN_DRAINED, .node = 8, .ok = true);
	ok(first(SCALE_FX_TERMINATE) == id);
	nseen = 0;
	now += SCALE_AGAIN;
	STEP(.kind = SCALE_IN_TICK);
	ok(first(SCALE_FX_TERMINATE) == id);	/* no answer: once more */
	STEP(.kind = SCALE_IN_TERMINATED, .id = id);
	ok(map_get(&c.insts, id) == NULL);
	nseen = 0;
	STEP(.kind = SCALE_IN_GONE, .node = 7);
	ok(first(SCALE_FX_TERMINATE) != 0);	/* lost: the provider need not keep it */
}

static void
bounds(void)
{
	struct scale_opts opts = two;

	fresh(opts);
	want(SCALE_LEASE, &gpu, 100);
	ok(launched(1) == 3 && launched(0) == 0);	/* max */
	want(SCALE_LEASE, &huge, 5);
	ok(nseen == 0);				/* never */
	fresh(opts);
	want(SCALE_LEASE, &whole, 100);
	ok(launched(0) + launched(1) == SCALE_ATONCE);
	for (unsigned i = 0; i < SCALE_ATONCE; i++)
		join((UINT64_C(1) << 32) + 1 + i, i + 1, &(struct res){ { 0 } }, false);
	want(SCALE_LEASE, &whole, 100);
	ok(launched(0) == 5);
	opts.type[0].min = 7;
	fresh(opts);
	want(SCALE_LEASE, &cpu, 0);
	ok(launched(0) == 7);			/* speed does not hold that up */
	for (unsigned i = 0; i < 7; i++)
		join((UINT64_C(1) << 32) + 1 + i, i + 1, &whole, true);
	now += 1000 * SEC;
	want(SCALE_LEASE, &cpu, 0);
	ok(nseen == 0);
	opts.max = 8;
	c.o = opts;
	want(SCALE_LEASE, &whole, 100);
	ok(launched(0) + launched(1) == 1);	/* in all */
}

static void
requests(void)
{
	struct scale_want w[2] = { { .kind = SCALE_REQUEST, .n = 2, .need = &whole }, { .kind = SCALE_LEASE, .n = 1, .need = &cpu } };

	fresh(two);
	want(SCALE_REQUEST, &whole, 2);
	ok(launched(0) == 2);
	for (unsigned i = 0; i < 2; i++)
		join((UINT64_C(1) << 32) + 1 + i, i + 1, &whole, true);
	now += 1000 * SEC;
	want(SCALE_REQUEST, &whole, 2);
	ok(nseen == 0);				/* idle, but asked for */
	STEP(.kind = SCALE_IN_NODE, .id = (UINT64_C(1) << 32) + 1, .node = 1, .free = { { 0 } });
	want(SCALE_REQUEST, &whole, 2);
	ok(nseen == 0);				/* used, and there all the same */
	STEP(.kind = SCALE_IN_WANTS, .want = w, .nwant = 2);
	ok(nseen == 0);				/* what waits goes to the one that is idle */
	want(SCALE_REQUEST, &whole, 1);
	ok(nseen == 1 && seen[0].kind == SCALE_FX_DRAIN && seen[0].node == 2);
	STEP(.kind = SCALE_IN_DRAINED, .node = 2, .ok = false);
	ok(scale_count(&c, 0) == 2);		/* it was needed again */
}

static void
groups(void)
{
	struct res b[3] = { whole, whole, whole }, g[4] = { gpu, gpu, gpu, gpu };
	struct scale_want w = { .kind = SCALE_GROUP, .n = 3, .need = b, .strategy = GROUP_STRICT_SPREAD };
	struct scale_want large = { .kind = SCALE_GROUP, .n = 3, .need = b, .strategy = GROUP_STRICT_PACK };
	struct scale_want four = { .kind = SCALE_GROUP, .n = 4, .need = g, .strategy = GROUP_STRICT_SPREAD };
	struct scale_want small = { .kind = SCALE_GROUP, .n = 2, .need = b, .strategy = GROUP_STRICT_PACK };

	fresh(two);
	STEP(.kind = SCALE_IN_WANTS, .want = &w, .nwant = 1);
	ok(launched(0) == 3 && launched(1) == 0);
	fresh(two);
	STEP(.kind = SCALE_IN_WANTS, .want = &large, .nwant = 1);
	STEP(.kind = SCALE_IN_WANTS, .want = &four, .nwant = 1);
	ok(nseen == 0);				/* no node has 12 CPUs; three have GPUs at most: nothing for a part of it */
	STEP(.kind = SCALE_IN_WANTS, .want = &small, .nwant = 1);
	ok(launched(0) == 0 && launched(1) == 1);
}

static void
failures(void)
{
	struct scale_opts opts = two;
	struct scale_listed l[2] = { { 77, 0 }, { 78, 0 } };
	uint64_t id;

	opts.type[1].total.v[RES_GPU] = 0;		/* another that would do, and is not preferred */
	fresh(opts);
	want(SCALE_LEASE, &cpu, 1);
	id = first(SCALE_FX_LAUNCH);
	nseen = 0;
	STEP(.kind = SCALE_IN_LAUNCHED, .id = id, .ok = false);
	ok(first(SCALE_FX_TERMINATE) == id);
	STEP(.kind = SCALE_IN_TERMINATED, .id = id);
	want(SCALE_LEASE, &cpu, 1);
	ok(launched(0) == 0 && launched(1) == 1);	/* the other one stands in */
	id = first(SCALE_FX_LAUNCH);
	nseen = 0;
	now += 100 * SEC;
	STEP(.kind = SCALE_IN_TICK);
	ok(first(SCALE_FX_TERMINATE) == id);		/* it hung */
	want(SCALE_LEASE, &cpu, 1);
	ok(launched(0) == 1 && launched(1) == 0);	/* the first one has rested */
	id = first(SCALE_FX_LAUNCH);
	STEP(.kind = SCALE_IN_LAUNCHED, .id = id, .ok = true);
	STEP(.kind = SCALE_IN_READY, .id = id, .ok = false);
	now += 6 * SEC;
	want(SCALE_LEASE, &cpu, 1);
	ok(launched(0) == 0 && launched(1) == 1);	/* its second rest is longer */
	/* those of an earlier store are found, and others that vanished forgotten */
	fresh(two);
	c.o.list = 10 * SEC;
	STEP(.kind = SCALE_IN_TICK);
	want(SCALE_LEASE, &cpu, 1);
	ok(nseen == 0);				/* it may be there already */
	now++;
	STEP(.kind = SCALE_IN_LISTED, .list = l, .nlist = 2);
	ok(scale_count(&c, 0) == 2 && o.at == 1010 * SEC);
	want(SCALE_LEASE, &whole, 2);
	ok(nseen == 0);
	join(77, 1, &whole, false);
	now += 20 * SEC;
	STEP(.kind = SCALE_IN_TICK);
	STEP(.kind = SCALE_IN_LISTED, .list = l, .nlist = 1);
	ok(scale_count(&c, 0) == 1 && map_get(&c.insts, 77));
}

int
main(void)
{
	one_life();
	bounds();
	requests();
	groups();
	failures();
	scale_release(&c);
	free(o.fx);
	return tap_done();
}
