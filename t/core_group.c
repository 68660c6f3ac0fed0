/* core_group.c - placement groups: plans of each strategy on many nodes, all or nothing, states, names, time limits, removal; and their pools within the leases */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group.h"
#include "tap.h"

static struct group_core c;
static struct group_out o;
static char text[200];

static struct res
cpus(int64_t milli)
{
	return (struct res){ { milli } };
}

static struct span
word(const char *s)
{
	return span_of(s, strlen(s));
}

static const struct group_fx *
fx(enum group_fx_kind kind, uint64_t number)		/* the last such one */
{
	for (size_t i = o.n; i-- > 0;)
		if (o.fx[i].kind == kind && (number == 0 || o.fx[i].number == number))
			return &o.fx[i];
	return NULL;
}

static int
step(uint64_t now, struct group_in in)
{
	o.n = 0;
	return group_step(&c, now, &in, &o, text);
}

static struct group *
make(uint64_t seq, enum group_strategy s, const struct res *b, unsigned n, uint64_t until)
{
	struct id id = { 1, 1, seq };

	step(1, (struct group_in){ .kind = GROUP_IN_NEW, .id = id, .proc = 5, .job = 1, .strategy = s, .bundles = b, .nbundle = n,
	    .until = until });
	return group_find(&c, id);
}

static void
reserved(struct group *g)				/* all its nodes do it */
{
	uint64_t number = g->number;

	for (unsigned i = 0; i < g->n; i++)
		step(2, (struct group_in){ .kind = GROUP_IN_RESERVED, .number = number, .node = g->node[i] });
}

static void
plans(void)
{
	struct group_node n[3] = { { .number = 1, .total = cpus(4000) }, { .number = 2, .total = cpus(2000) },
	    { .number = 3, .total = cpus(4000), .set = cpus(3000) } };
	const struct group_node *at[3] = { &n[0], &n[1], &n[2] };
	struct res b[4] = { cpus(1000), cpus(1000), cpus(1000), cpus(2000) };
	uint32_t node[4];

	ok(group_plan(at, 3, GROUP_PACK, b, 3, node, text) == 1 && node[0] == 1 && node[1] == 1 && node[2] == 1);
	ok(group_plan(at, 3, GROUP_PACK, b, 4, node, text) == 1 && node[0] == 1 && node[3] == 2);
	ok(group_plan(at, 3, GROUP_STRICT_PACK, b, 4, node, text) == ERR_INFEASIBLE && strstr(text, "no node can hold all 4"));
	ok(group_plan(at, 3, GROUP_SPREAD, b, 3, node, text) == 1 && node[0] == 1 && node[1] == 2 && node[2] == 3);
	ok(group_plan(at, 3, GROUP_STRICT_SPREAD, b, 3, node, text) == 1);
	ok(group_plan(at, 3, GROUP_STRICT_SPREAD, b, 4, node, text) == ERR_INFEASIBLE &&
	    strstr(text, "a node for each of the 4 bundles, and there are 3"));
	b[2] = cpus(3000);
	ok(group_plan(at + 2, 1, GROUP_PACK, b + 2, 1, node, text) == 0 && node[0] == 0);	/* not now */
	ok(group_plan(at, 1, GROUP_STRICT_SPREAD, b, 2, node, text) == ERR_INFEASIBLE && strstr(text, "there is 1"));
	ok(group_plan(at, 0, GROUP_PACK, b, 2, node, text) == ERR_INFEASIBLE);
}

/* plans over many nodes: labels, what stays, what drains, what is in use */
static void
plans_over(void)
{
	struct labels l = { 0 };
	struct label_expr e = { 0 };
	const struct label_expr *expr[3] = { NULL, &e, NULL };
	struct group_node n[4] = { { .number = 1, .total = cpus(4000) }, { .number = 2, .total = cpus(2000) }, { .number = 3, .total = cpus(4000) },
	    { .number = 4, .total = cpus(8000), .draining = true } };
	const struct group_node *at[4] = { &n[0], &n[1], &n[2], &n[3] };
	struct res b[3] = { cpus(2000), cpus(4000), cpus(4000) };
	struct group_want g = { .strategy = GROUP_PACK, .bundle = b, .n = 2 };
	uint32_t node[3] = { 0 };
	char why[LABELS_WHY];

	ok(group_plan_over(at, 2, &g, node, text) == 1 && node[0] == 2 && node[1] == 1);	/* the first that fits is not always right */
	g.n = 3;
	memset(node, 0, sizeof node);
	ok(group_plan_over(at, 4, &g, node, text) == 1 && node[0] == 2 && node[1] != node[2] && node[1] != 4 && node[2] != 4);
	g.strategy = GROUP_STRICT_PACK;
	memset(node, 0, sizeof node);
	ok(group_plan_over(at, 4, &g, node, text) == ERR_INFEASIBLE && node[0] == 0);	/* not on one that drains */
	labels_parse(&l, span_text("zone=eu"), why);
	label_expr_parse(&e, span_text("zone=eu"), why);
	g = (struct group_want){ .strategy = GROUP_PACK, .bundle = b, .n = 3, .labels = expr };
	ok(group_plan_over(at, 4, &g, node, text) == ERR_INFEASIBLE &&
	    strcmp(text, "bundle 2 needs a node with zone=eu, and of 4 there is none") == 0);
	n[2].labels = &l;
	ok(group_plan_over(at, 4, &g, node, text) == 1 && node[0] == 2 && node[1] == 3 && node[2] == 1);
	g = (struct group_want){ .strategy = GROUP_STRICT_SPREAD, .bundle = b, .n = 2 };
	b[1] = cpus(1000);
	node[0] = 1;
	node[1] = node[2] = 0;
	n[0].set = cpus(2000);
	ok(group_plan_over(at, 3, &g, node, text) == 1 && node[0] == 1 && node[1] == 2);	/* beside what stays */
	node[1] = 0;
	n[1].busy = cpus(2000);
	ok(group_plan_over(at, 3, &g, node, text) == 1 && node[1] == 3);			/* where nobody is sent away */
	node[1] = 0;
	n[2].busy = cpus(4000);
	ok(group_plan_over(at, 3, &g, node, text) == 1 && node[1] == 2);			/* or somebody is */
	g.strategy = GROUP_STRICT_PACK;
	node[1] = 0;
	ok(group_plan_over(at, 3, &g, node, text) == 1 && node[1] == 1);
	labels_release(&l);
	label_expr_release(&e);
}

/* is there a way at all?  Tried out. */
static bool
any_way(const struct group_node *n, unsigned nnode, const struct group_want *g, bool empty, unsigned b, unsigned *on, struct res *room)
{
	if (b == 0)
		for (unsigned i = 0; i < nnode; i++) {
			on[i] = 0;
			for (unsigned r = 0; r < RES_MAX; r++)
				room[i].v[r] = n[i].total.v[r] - (empty ? 0 : n[i].set.v[r]);
		}
	if (b == g->n)
		return true;
	for (unsigned i = 0; i < nnode; i++) {
		bool fit = !(g->strategy == GROUP_STRICT_SPREAD && on[i]) && !(g->strategy == GROUP_STRICT_PACK && b && !on[i]), way = false;

		for (unsigned r = 0; r < RES_MAX; r++)
			fit = fit && (g->bundle[b].v[r] == 0 || g->bundle[b].v[r] <= room[i].v[r]);
		if (!fit)
			continue;
		for (unsigned r = 0; r < RES_MAX; r++)
			room[i].v[r] -= g->bundle[b].v[r];
		on[i]++;
		way = any_way(n, nnode, g, empty, b + 1, on, room);
		for (unsigned r = 0; r < RES_MAX; r++)
			room[i].v[r] += g->bundle[b].v[r];
		on[i]--;
		if (way)
			return true;
	}
	return false;
}

static void
random_plans(void)
{
	int bad = 0, made = 0, wait = 0, never = 0;

	srand(1);
	for (int k = 0; k < 4000 && !bad; k++) {
		struct group_node n[4] = { { 0 } };
		const struct group_node *at[4];
		struct res b[5], room[4];
		struct group_want g = { .strategy = (enum group_strategy)(rand() % 4), .bundle = b, .n = 1 + (unsigned)rand() % 5 };
		unsigned nnode = 1 + (unsigned)rand() % 4, on[4];
		uint32_t node[5] = { 0 };
		int e;

		for (unsigned i = 0; i < nnode; i++) {
			n[i] = (struct group_node){ .number = i + 1, .total = { { 1000 * (1 + rand() % 6), 1000 * (rand() % 3) } } };
			n[i].set.v[0] = 1000 * (rand() % 3);
			n[i].busy.v[0] = 1000 * (rand() % 3);
			at[i] = &n[i];
		}
		for (unsigned i = 0; i < g.n; i++)
			b[i] = (struct res){ { 1000 * (rand() % 4), 1000 * (rand() % 4 == 0) } };
		e = group_plan_over(at, nnode, &g, node, text);
		if ((e == 1) != any_way(n, nnode, &g, false, 0, on, room) || (e < 0) == any_way(n, nnode, &g, true, 0, on, room)) {
			printf("# %d: %d\n", k, e);
			bad = 1;
		}
		e == 1 ? made++ : e == 0 ? wait++ : never++;
		for (unsigned i = 0; e == 1 && i < g.n; i++) {
			for (unsigned r = 0; r < RES_MAX; r++)
				n[node[i] - 1].set.v[r] += b[i].v[r];
			for (unsigned j = 0; j < i; j++)
				bad |= (g.strategy == GROUP_STRICT_PACK && node[i] != node[j]) || (g.strategy == GROUP_STRICT_SPREAD && node[i] == node[j]);
		}
		for (unsigned i = 0; e == 1 && i < g.n; i++)
			for (unsigned r = 0; r < RES_MAX; r++)
				bad |= b[i].v[r] > 0 && n[node[i] - 1].set.v[r] > n[node[i] - 1].total.v[r];
	}
	ok(!bad && made > 100 && wait > 100 && never > 100);
}

static void
lives(void)
{
	struct res b[2] = { cpus(1000), cpus(1000) };
	struct group *g, *h, *i;
	uint64_t number;

	group_init(&c);
	step(1, (struct group_in){ .kind = GROUP_IN_NODE, .node = 1, .total = cpus(2000) });
	g = make(1, GROUP_PACK, b, 2, 0);
	ok(g && g->state == GROUP_PENDING && fx(GROUP_FX_RESERVE, g->number)->node == 1);
	reserved(g);
	ok(g->state == GROUP_CREATED && group_check(&c) == 0);
	h = make(2, GROUP_PACK, b, 1, 100);
	i = make(3, GROUP_PACK, b, 1, 0);
	ok(h->state == GROUP_PENDING && h->node[0] == 0 && fx(GROUP_FX_RESERVE, 0) == NULL && o.at == 100);
	step(100, (struct group_in){ .kind = GROUP_IN_TICK });
	ok(h->state == GROUP_REMOVED && fx(GROUP_FX_STATE, h->number)->code == ERR_TIMEOUT && o.at == 0);
	number = g->number;
	step(3, (struct group_in){ .kind = GROUP_IN_REMOVE, .id = g->id });
	ok(fx(GROUP_FX_RELEASE, number)->node == 1 && fx(GROUP_FX_RESERVE, i->number) != NULL);
	ok(group_check(&c) == 0);
	step(3, (struct group_in){ .kind = GROUP_IN_ASK, .id = { 1, 1, 1 }, .proc = 9 });
	ok(fx(GROUP_FX_STATE, 0)->state == GROUP_REMOVED && fx(GROUP_FX_STATE, 0)->proc == 9);
	step(3, (struct group_in){ .kind = GROUP_IN_ASK, .id = i->id, .proc = 9 });
	ok(o.n == 0);
	reserved(i);
	ok(fx(GROUP_FX_STATE, i->number)->state == GROUP_CREATED && i->state == GROUP_CREATED);
	g = make(4, GROUP_STRICT_SPREAD, b, 2, 0);
	ok(g->state == GROUP_REMOVED && fx(GROUP_FX_STATE, g->number)->code == ERR_INFEASIBLE);
	ok(make(4, GROUP_PACK, b, 1, 0) == g && text[0]);	/* its id is taken */
	ok(step(1, (struct group_in){ .kind = GROUP_IN_NEW, .id = { 1, 1, 9 }, .bundles = b }) == -EINVAL);
	/* names */
	ok(step(1, (struct group_in){ .kind = GROUP_IN_NEW, .id = { 1, 1, 10 }, .bundles = b, .nbundle = 1, .name = word("x"),
	    .namespace = word("n"), .detached = true, .job = 1 }) == 0);
	ok(step(1, (struct group_in){ .kind = GROUP_IN_NEW, .id = { 1, 1, 11 }, .bundles = b, .nbundle = 1, .name = word("x"),
	    .namespace = word("n") }) == -EEXIST && strstr(text, "'x' exists in namespace 'n'"));
	ok(group_named(&c, word("n"), word("x")) && !group_named(&c, word("m"), word("x")));
	step(5, (struct group_in){ .kind = GROUP_IN_JOB_END, .job = 1 });
	ok(c.groups.n == 1 && group_named(&c, word("n"), word("x")) && group_check(&c) == 0);
	group_release(&c);
}

static void
random_lives(unsigned seed)
{
	int bad = 0;

	group_init(&c);
	srand(seed);
	for (uint32_t n = 1; n <= 4; n++)
		step(1, (struct group_in){ .kind = GROUP_IN_NODE, .node = n, .total = cpus(1000 * (1 + rand() % 4)) });
	for (uint64_t i = 1; i < 2000 && !bad; i++) {
		struct id id = { 1, 1, 1 + (uint64_t)rand() % i };
		struct group *g = group_find(&c, id);
		struct res b[5];

		switch (rand() % 4) {
		case 0:
			for (int k = 0; k < 5; k++)
				b[k] = cpus(100 * (rand() % 12));
			make(i, (enum group_strategy)(rand() % 4), b, 1 + (unsigned)rand() % 5, rand() % 2 ? i + 50 : 0);
			break;
		case 1:
			if (g && g->waiting)
				reserved(g);
			break;
		case 2:
			if (rand() % 8 == 0 && g && g->waiting)
				step(i, (struct group_in){ .kind = GROUP_IN_REFUSED, .number = g->number, .node = 1, .text = "no" });
			else
				step(i, (struct group_in){ .kind = GROUP_IN_REMOVE, .id = id });
			break;
		case 3:
			if (rand() % 100 == 0)
				step(i, (struct group_in){ .kind = GROUP_IN_JOB_END, .job = 1 });
			step(i, (struct group_in){ .kind = GROUP_IN_TICK });
		}
		if (group_check(&c) != 0) {
			printf("# seed %u step %d: line %d\n", seed, (int)i, group_check(&c));
			bad = 1;
		}
	}
	ok(!bad);
	group_release(&c);
}

/* --- the pools of groups in the leases --------------------------------------------------------------------------- */

static struct lease_core l;
static struct lease_out lo;

static const struct lease_fx *
lfx(enum lease_fx_kind kind)
{
	for (size_t i = lo.n; i-- > 0;)
		if (lo.fx[i].kind == kind)
			return &lo.fx[i];
	return NULL;
}

static const struct lease_fx *
lstep(struct lease_in in, enum lease_fx_kind want)
{
	static uint32_t worker = 1000;

	lo.n = 0;
	lease_step(&l, 1000000000, &in, &lo);
	for (size_t i = 0; i < lo.n; i++)
		if (lo.fx[i].kind == LEASE_FX_GRANT && lo.fx[i].worker == 0)
			lease_bind(&l, lo.fx[i].lease, lo.fx[i].worker = ++worker);
	return lfx(want);
}

static void
pools(void)
{
	struct lease_limits limit = { 100, 100, 10 };
	struct res total = cpus(4000), b[2] = { cpus(1000), cpus(2000) };
	const struct lease_fx *f;
	uint32_t w1, w2;

	lease_init(&l, &total, &limit);
	f = lstep((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 1, .shape = 1, .want = 3, .need = cpus(1000) }, LEASE_FX_GRANT);
	ok(f && l.free.v[0] == 1000);
	f = lstep((struct lease_in){ .kind = LEASE_IN_RESERVE, .group = 7, .job = 2, .bundles = b, .nbundle = 2 }, LEASE_FX_RESERVED);
	ok(f == NULL && lease_check(&l) == 0);			/* all or nothing */
	f = lstep((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 2, .job = 2, .shape = 1, .want = 1, .need = cpus(2000), .group = 7, .bundle = 1 },
	    LEASE_FX_FAIL);
	ok(f && strstr(f->text, "needs 2 cpus; bundle 1 of its placement group has 1"));
	f = lstep((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 2, .job = 2, .shape = 1, .want = 1, .need = cpus(1000), .group = 7, .bundle = 3 },
	    LEASE_FX_FAIL);
	ok(f && strstr(f->text, "no bundle 3"));
	f = lstep((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 2, .job = 2, .shape = 2, .want = 2, .need = cpus(1000), .group = 7 }, LEASE_FX_GRANT);
	ok(f == NULL);						/* it waits for its group */
	f = lstep((struct lease_in){ .kind = LEASE_IN_GONE, .proc = 1 }, LEASE_FX_RESERVED);
	ok(f && f->group == 7 && (f = lfx(LEASE_FX_GRANT)) && f->group == 7 && l.free.v[0] == 1000 && lease_check(&l) == 0);
	w1 = f->worker;
	lstep((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = w1, .on = true }, LEASE_FX_GRANT);
	ok(lease_check(&l) == 0 && l.free.v[0] == 1000);	/* what it gives up stays in the group */
	lstep((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = w1, .on = false }, LEASE_FX_GRANT);
	f = lstep((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 4, .job = 2, .want = 1, .need = cpus(2000), .group = 7, .bundle = 2 },
	    LEASE_FX_GRANT);
	ok(f == NULL);						/* the any-bundle ones are in 1 and 2 */
	f = lstep((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 3, .job = 3, .shape = 1, .want = 4, .need = cpus(1000) }, LEASE_FX_GRANT);
	w2 = f->worker;
	ok(f && l.free.v[0] == 0);				/* others have what is left of the node */
	f = lstep((struct lease_in){ .kind = LEASE_IN_RELEASE, .group = 7 }, LEASE_FX_END);
	ok(f && f->worker != w2 && lfx(LEASE_FX_FAIL) && lfx(LEASE_FX_FAIL)->actor == 4 && lease_check(&l) == 0);
	f = lstep((struct lease_in){ .kind = LEASE_IN_GONE, .proc = w1 }, LEASE_FX_GRANT);
	ok(f && f->proc == 3 && lease_check(&l) == 0);
	f = lstep((struct lease_in){ .kind = LEASE_IN_RESERVE, .group = 8, .job = 2, .bundles = (struct res[]){ cpus(5000) }, .nbundle = 1 },
	    LEASE_FX_FAIL);
	ok(f && f->group == 8 && strstr(f->text, "needs 5 cpus; this node has 4"));
	lease_release(&l);
}

static void
random_pools(unsigned seed)
{
	struct lease_limits limit = { 40, 40, 4 };
	struct res total = { { 6000, 2000 } };
	int bad = 0;

	lease_init(&l, &total, &limit);
	srand(seed);
	for (int i = 0; i < 3000 && !bad; i++) {
		struct res b[3];
		struct lease_in in = { .proc = 1 + (uint32_t)rand() % 5, .job = 1 + (uint32_t)rand() % 3, .group = (uint64_t)rand() % 6 };

		for (int k = 0; k < 3; k++)
			b[k] = (struct res){ { 500 * (rand() % 5), 500 * (rand() % 3) } };
		switch (rand() % 7) {
		case 0:
			in.kind = LEASE_IN_RESERVE;
			in.bundles = b;
			in.nbundle = 1 + (unsigned)rand() % 3;
			break;
		case 1: in.kind = LEASE_IN_RELEASE; break;
		case 2: case 3:
			in.kind = LEASE_IN_ASK;
			in.shape = in.group;
			in.need = (struct res){ { 500 * (rand() % 4), 500 * (rand() % 3) } };
			in.bundle = in.group ? (unsigned)rand() % 3 : 0;
			in.want = (uint64_t)rand() % 4;
			break;
		case 4:
			in.kind = LEASE_IN_GONE;
			if (rand() % 2)
				in.proc = 1000 + (uint32_t)rand() % 500;
			break;
		case 5:
			in.kind = LEASE_IN_BLOCKED;
			in.proc = 1000 + (uint32_t)rand() % 500;
			in.on = rand() % 2;
			break;
		case 6:
			in.kind = LEASE_IN_RETURN;
			in.lease = l.last - (uint64_t)rand() % 10;
		}
		lstep(in, LEASE_FX_GRANT);
		if (lease_check(&l) != 0) {
			printf("# seed %u step %d: line %d\n", seed, i, lease_check(&l));
			bad = 1;
		}
	}
	for (uint64_t g = 0; g < 6; g++)
		lstep((struct lease_in){ .kind = LEASE_IN_RELEASE, .group = g }, LEASE_FX_END);
	for (uint32_t p = 1; p < 40000; p++)
		lstep((struct lease_in){ .kind = LEASE_IN_GONE, .proc = p }, LEASE_FX_END);
	ok(!bad && l.free.v[0] == 6000 && l.free.v[1] == 2000);	/* all is given back */
	lease_release(&l);
}

static void
limits(void)
{
	static struct res b[GROUP_BUNDLES_MAX + 1];
	static char name[GROUP_NAME_MAX + 1];
	struct group_in in = { .kind = GROUP_IN_NEW, .id = { 1, 1, 1 }, .bundles = b };

	group_init(&c);
	memset(name, 'n', sizeof name);
	ok(step(1, in) == -EINVAL && strstr(text, "1 to 1024 bundles"));	/* none */
	in.nbundle = GROUP_BUNDLES_MAX + 1;
	ok(step(1, in) == -EINVAL && c.groups.n == 0);
	in.nbundle = GROUP_BUNDLES_MAX;
	in.name = span_of(name, GROUP_NAME_MAX + 1);
	ok(step(1, in) == -EINVAL && c.groups.n == 0);
	in.name.n = GROUP_NAME_MAX;
	ok(step(1, in) == 0 && group_find(&c, in.id)->n == GROUP_BUNDLES_MAX && group_check(&c) == 0);
	group_release(&c);
}

int
main(void)
{
	plans();
	plans_over();
	random_plans();
	limits();
	lives();
	for (unsigned seed = 1; seed <= 20; seed++)
		random_lives(seed);
	pools();
	for (unsigned seed = 1; seed <= 20; seed++)
		random_pools(seed);
	free(o.fx);
	free(lo.fx);
	return tap_done();
}
