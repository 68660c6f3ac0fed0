/* core_where.c - the node for a demand: each strategy, labels, old tables, refusals, reasons; and what a decision costs with 10,000 nodes */
#include <stdlib.h>
#include <string.h>
#include "core/where.h"
#include "tap.h"

#define MS UINT64_C(1000000)
#define GIB (INT64_C(1) << 30)

static struct where w;
static struct where_found f;
static uint64_t now = 1000 * MS, seq;
static char why[LABELS_WHY];

static struct res
res(int64_t cpus, int64_t gpus)
{
	return (struct res){ { 1000 * cpus, 1000 * gpus, 8 * GIB } };
}

static void
node(uint32_t number, int64_t cpus, int64_t gpus, const char *labels)
{
	struct labels l = { 0 };
	struct res total = res(cpus, gpus);

	if (labels_parse(&l, span_text(labels), why) < 0 || where_node(&w, number, &total, &l, 0) < 0)
		printf("# %s\n", why);
	labels_release(&l);
}

static void
load(uint32_t number, int64_t cpus, int64_t gpus, bool draining)		/* so much is free */
{
	struct res free = res(cpus, gpus), waiting = { { 0 } };

	where_load(&w, number, ++seq, &free, &waiting, draining);
}

static struct where_demand
demand(int64_t cpus, int64_t gpus)
{
	return (struct where_demand){ .need = { { 1000 * cpus, 1000 * gpus } }, .who = 1 };
}

static enum where_answer
find(struct where_demand d)			/* of a kind that is used once */
{
	struct where_kind *k = where_kind(&w, &d);
	enum where_answer a = where_find(&w, now, k, NULL, 0, &f);

	where_kind_put(&w, k);
	return a;
}

static bool
never(struct where_demand d, const char *line)
{
	enum where_answer a = find(d);

	if (a == WHERE_NEVER && strcmp(f.why, line) == 0)
		return true;
	printf("# %d %s\n", a, f.why);
	return false;
}

static void
hybrid(void)
{
	struct where_demand d = demand(1, 0);
	struct where_kind *k;
	unsigned on[6] = { 0 };
	uint32_t first;
	int i;

	where_init(&w, 1);
	ok(never(d, "there is no node"));
	for (uint32_t n = 1; n <= 4; n++)
		node(n, 8, 0, "");
	node(5, 8, 2, "");
	k = where_kind(&w, &d);
	ok(where_kind(&w, &d) == k);				/* the same */
	where_kind_put(&w, k);
	for (i = 0; i < 8 && where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 1; i++)
		where_ask(&w, now, 1, &d.need, 1);
	ok(i == 8);						/* the local one, until it is full */
	where_find(&w, now, k, NULL, 0, &f);
	first = f.node;
	ok(first != 1 && first != 5 && f.room == 4);		/* then another one, half of it */
	for (i = 0; i < 12 && where_find(&w, now, k, NULL, 0, &f) == WHERE_AT; i++) {
		where_ask(&w, now, f.node, &d.need, 1);
		on[f.node]++;
		ok(i != 3 || on[first] == 4);
	}
	ok(on[1] == 0 && on[2] == 4 && on[3] == 4 && on[4] == 4 && on[5] == 0 && where_check(&w) == 0);
	for (; i < 24 && where_find(&w, now, k, NULL, 0, &f) == WHERE_AT; i++) {
		where_ask(&w, now, f.node, &d.need, 1);
		on[f.node]++;
		if (i == 14 || i == 17 || i == 20)		/* spread: in turns */
			ok(on[2] == on[3] && on[3] == on[4]);
	}
	ok(on[2] == 8 && on[3] == 8 && on[4] == 8 && on[5] == 0);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 5);	/* work without GPUs comes to it last */
	where_ask(&w, now, 5, &d.need, 8);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT && f.could == 5 && f.node != 0 && where_check(&w) == 0);
	now += WHERE_LATE;					/* nothing was ever heard of them */
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 1 && where_check(&w) == 0);
	d.elsewhere = true;
	ok(find(d) == WHERE_AT && f.node != 1);
	d = demand(1, 1);
	ok(find(d) == WHERE_AT && f.node == 5 && f.room == 1);
	load(5, 8, 0, false);
	ok(find(d) == WHERE_WAIT && f.node == 5 && f.could == 1);
	where_kind_put(&w, k);
	where_release(&w);
}

static void
reports(void)
{
	struct where_demand d = demand(4, 0);
	struct res free = res(0, 0), waiting = { { 0 } };
	struct where_kind *k;
	uint64_t t;

	where_init(&w, 0);
	node(1, 8, 0, "");
	node(2, 8, 0, "");
	node(3, 8, 0, "");
	k = where_kind(&w, &d);
	load(1, 3, 0, false);
	load(2, 3, 0, false);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 3);
	where_load(&w, 3, 100, &free, &waiting, false);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT);
	free = res(8, 0);
	where_load(&w, 3, 99, &free, &waiting, false);	/* it overtook it */
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT);
	where_load(&w, 3, 101, &free, &waiting, false);
	seq = 101;
	t = where_ask(&w, now, 3, &d.need, 2);
	ok(t && where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT && where_get(&w, 3)->asked.v[0] == 8000);
	where_settle(&w, t, 1);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 3);
	where_settle(&w, t, 7);
	where_settle(&w, t, 1);
	ok(where_get(&w, 3)->asked.v[0] == 0 && where_check(&w) == 0);
	load(2, 8, 0, true);
	for (int i = 0; i < 5; i++)
		ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 3);	/* 2 drains */
	load(2, 8, 0, false);
	load(1, 5, 0, false);
	where_doubt(&w, 2, true);
	where_doubt(&w, 3, true);
	now += WHERE_LATE;
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 1 && where_check(&w) == 0);
	where_ask(&w, now, 1, &d.need, 1);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node != 1);	/* better than nothing */
	t = where_ask(&w, now, 3, &d.need, 1);
	where_gone(&w, 3);
	where_settle(&w, t, 1);
	where_gone(&w, 3);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 2 && w.n == 2 && where_check(&w) == 0);
	node(4, 8, 0, "");					/* in the place of 3 */
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 4 && where_check(&w) == 0);
	where_doubt(&w, 4, true);
	where_doubt(&w, 2, false);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 2 && where_check(&w) == 0);
	where_kind_put(&w, k);
	where_release(&w);
}

static void
refusals(void)
{
	struct where_demand d = demand(1, 0);
	struct where_kind *k;
	uint64_t wait = 0;

	where_init(&w, 0);
	node(1, 8, 0, "");
	node(2, 8, 0, "");
	k = where_kind(&w, &d);
	where_find(&w, now, k, NULL, 0, &f);
	where_refused(&w, now, k, 1);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 2 && where_check(&w) == 0);
	where_refused(&w, now, k, 2);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT && f.could == 2);
	d.who = 2;
	ok(find(d) == WHERE_AT);				/* another kind knows nothing of it */
	now += WHERE_REST;
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT);
	where_gone(&w, 2);
	for (int i = 0; i < 12; i++) {				/* ever longer */
		uint64_t from = now;

		where_refused(&w, now, k, 1);
		while (where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT)
			now += MS;
		if (i < 7 ? now - from <= wait : now - from != WHERE_REST_MAX)
			ok(!"a rest that is longer");
		wait = now - from;
	}
	ok(wait == WHERE_REST_MAX && where_check(&w) == 0);
	where_granted(&w, k, 1);
	where_refused(&w, now, k, 1);
	now += WHERE_REST;
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT);	/* from the beginning */
	where_refused(&w, now, k, 1);
	where_gone(&w, 1);
	node(3, 8, 0, "");					/* who comes in its place has refused nothing */
	node(4, 8, 0, "");
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && where_check(&w) == 0);
	where_refused(&w, now, k, f.node);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && where_check(&w) == 0);
	where_kind_put(&w, k);
	where_release(&w);
}

static void
others(void)
{
	struct where_demand d = demand(1, 0);
	struct where_kind *k;
	unsigned on[5] = { 0 };

	where_init(&w, 1);
	node(1, 8, 0, "");
	node(2, 8, 0, "");
	node(3, 16, 1, "");
	d.strategy = WHERE_SPREAD;
	k = where_kind(&w, &d);
	for (int i = 0; i < 16; i++) {
		ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.room == 1);
		where_ask(&w, now, f.node, &d.need, 1);
		on[f.node]++;
	}
	ok(on[1] == 4 && on[2] == 4 && on[3] == 8);		/* as they have room */
	where_kind_put(&w, k);

	d.strategy = WHERE_NODE;
	d.node = 2;
	ok(find(d) == WHERE_AT && f.node == 2);
	load(2, 0, 0, false);
	now += WHERE_LATE;
	ok(find(d) == WHERE_WAIT && f.node == 2 && f.could == 1);
	d.soft = true;
	ok(find(d) == WHERE_WAIT && f.node == 2);		/* busy is not never */
	load(2, 8, 0, true);
	ok(find(d) == WHERE_AT && f.node != 2);
	d.soft = false;
	ok(never(d, "node 2 is draining: it takes nothing new"));
	where_gone(&w, 2);
	ok(never(d, "node 2 is not there"));
	d.soft = true;
	ok(find(d) == WHERE_AT);
	where_release(&w);
}

static void
labelled(void)
{
	struct label_expr e[3] = { { 0 } };
	struct where_demand d = demand(1, 0), gpu = demand(1, 1);
	struct where_kind *k;

	where_init(&w, 1);
	node(1, 8, 0, "zone=us");
	node(2, 8, 0, "zone=eu,disk=ssd");
	node(3, 8, 1, "zone=eu,disk=hdd");
	label_expr_parse(&e[0], span_text("zone=eu,disk=nvme"), why);
	label_expr_parse(&e[1], span_text("zone=eu,disk=ssd"), why);
	d.labels = e;
	d.nlabels = 1;
	ok(never(d, "none of the 3 nodes has the labels disk=nvme,zone=eu"));
	d.nlabels = 2;
	k = where_kind(&w, &d);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 2 && f.choice == 1);
	load(2, 0, 0, false);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_WAIT);	/* the next expression is not for busy ones */
	node(4, 8, 0, "zone=eu,disk=nvme");
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 4 && f.choice == 0 && f.could == 1 && where_check(&w) == 0);
	node(4, 8, 0, "zone=eu,disk=ssd");
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_AT && f.node == 4 && f.choice == 1 && f.could == 2 && where_check(&w) == 0);
	where_gone(&w, 4);
	where_gone(&w, 2);
	ok(where_find(&w, now, k, NULL, 0, &f) == WHERE_NEVER && where_check(&w) == 0);
	where_kind_put(&w, k);
	d.nlabels = 3;						/* the third: any node */
	ok(find(d) == WHERE_AT && f.node == 1 && f.choice == 2);
	gpu.labels = e + 1;
	gpu.nlabels = 1;
	ok(never(gpu, "none of the 2 nodes has the labels disk=ssd,zone=eu"));
	label_expr_parse(&e[1], span_text("zone!=eu"), why);
	ok(never(gpu, "needs 1 gpus; the one node with zone!=eu has 0"));
	label_expr_parse(&e[1], span_text("disk!=hdd"), why);
	node(2, 8, 0, "");
	ok(never(gpu, "needs 1 gpus; the largest of 2 nodes with disk!=hdd has 0"));
	for (int i = 0; i < 3; i++)
		label_expr_release(&e[i]);
	where_release(&w);
}

static void
reasons(void)
{
	static const char name[RES_MAX][64] = { "cpus", "gpus", "memory", "ssd" };
	struct where_demand d = demand(1, 8);

	where_init(&w, 7);
	w.name = name;
	for (uint32_t n = 1; n <= 12; n++)
		node(n, 8 * n, n < 5 ? n : 0, "");
	ok(never(d, "needs 8 gpus; the largest of 12 nodes has 4"));
	d = demand(64, 4);
	ok(never(d, "needs 64 cpus, 4 gpus; none of 12 nodes has all of it"));
	d = demand(1, 0);
	d.need.v[RES_MEM] = 100 * GIB;
	ok(never(d, "needs 100.0G memory; the largest of 12 nodes has 8.0G"));
	d = demand(1, 0);
	d.need.v[RES_CUSTOM] = 1000;
	ok(never(d, "needs 1 ssd; the largest of 12 nodes has 0"));
	d = demand(96, 0);
	load(12, 96, 0, true);
	ok(never(d, "needs 96 cpus; the largest of 11 nodes has 88; 1 that could is draining"));
	d = demand(1, 0);
	d.need.v[RES_GPU] = 1500;
	ok(never(d, "needs 1.5 gpus: a part of one, or whole ones"));
	d = demand(64, 0);
	d.strategy = WHERE_NODE;
	d.node = 3;
	ok(never(d, "needs 64 cpus; node 3 has 24"));
	for (uint32_t n = 1; n <= 12; n++)
		if (n != 7 && n != 3)
			where_gone(&w, n);
	d.strategy = WHERE_HYBRID;
	d.elsewhere = true;
	ok(never(d, "needs 64 cpus; the one other node has 24"));
	where_gone(&w, 3);
	ok(never(d, "there is no other node"));
	where_release(&w);
}

static void
locality(void)
{
	struct where_demand d = demand(1, 0);
	struct where_kind *k;
	struct where_bytes b[3] = { { 2, 100000 }, { 3, 300000 }, { 1, 0 } };

	where_init(&w, 1);
	for (uint32_t n = 1; n <= 5; n++)
		node(n, 4, n == 4, "");
	k = where_kind(&w, &d);
	ok(where_find(&w, now, k, b, 2, &f) == WHERE_AT && f.node == 3);
	b[2].bytes = 200000;
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && f.node == 1);	/* it would save too little */
	b[2].bytes = 0;
	load(3, 0, 0, false);
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && f.node == 1);	/* no room there */
	b[0].bytes = 1 << 30;
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && f.node == 2);
	b[0].node = 9;
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && f.node == 1);	/* it is gone */
	b[0].node = 4;
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && f.node == 4);	/* its GPU is no reason against it */
	where_kind_put(&w, k);
	d.strategy = WHERE_SPREAD;
	k = where_kind(&w, &d);
	load(1, 3, 0, false);
	load(4, 3, 0, false);
	ok(where_find(&w, now, k, b, 3, &f) == WHERE_AT && (f.node == 2 || f.node == 5));
	where_kind_put(&w, k);
	where_release(&w);
}

/* many with the same old table: they do not all run to one node, and each is always told the same */
static void
crowd(void)
{
	struct where_demand d = demand(1, 0);
	unsigned on[101] = { 0 }, most = 0;

	where_init(&w, 0);
	for (uint32_t n = 1; n <= 100; n++)
		node(n, 8, 0, "");
	for (d.who = 1; d.who <= 1000; d.who++) {
		uint32_t first;

		find(d);
		first = f.node;
		find(d);
		if (f.node != first)
			ok(!"the same again");
		on[f.node]++;
	}
	for (uint32_t n = 1; n <= 100; n++)
		most = on[n] > most ? on[n] : most;
	printf("# 1000 who ask, 100 nodes: %u at one of them at most\n", most);
	ok(most < 30);
	where_release(&w);
}

/* what decisions cost while reports come in: nodes looked at and steps in heaps for each */
static double
cost(uint32_t nodes)
{
	struct where_demand d = demand(1, 0), g = demand(1, 1);
	struct where_kind *k[2];
	uint64_t from, each = 0, first;

	where_init(&w, 1);
	for (uint32_t n = 1; n <= nodes; n++)
		node(n, 8, n % 8 == 0 ? 4 : 0, n % 2 ? "zone=eu" : "zone=us");
	k[0] = where_kind(&w, &d);
	k[1] = where_kind(&w, &g);
	for (int i = 0; i < 2; i++)
		where_find(&w, now, k[i], NULL, 0, &f);
	first = w.looked;
	from = w.looked;
	for (unsigned i = 0; i < 20000; i++) {
		struct where_kind *one = k[i % 5 == 0];

		if (where_find(&w, now, one, NULL, 0, &f) == WHERE_AT)
			where_ask(&w, now, f.node, i % 5 ? &d.need : &g.need, 1);
		load(1 + (uint32_t)(hash_mix(i) % nodes), (int64_t)(hash_mix(i + 99) % 9), 0, false);
		now += 10000;
	}
	each = w.looked - from;
	ok(where_check(&w) == 0);
	printf("# %u nodes: %.1f for each of 20000 decisions, %llu to begin with\n", nodes, (double)each / 20000, (unsigned long long)first);
	where_kind_put(&w, k[0]);
	where_kind_put(&w, k[1]);
	where_release(&w);
	return (double)each / 20000;
}

/* anything may happen; what is answered must be so */
static int
right(const struct where_demand *d, enum where_answer a)
{
	bool could = false, fits = false;

	for (uint32_t n = 1; n <= 40; n++) {
		const struct where_node *p = where_get(&w, n);
		bool good = p && !p->draining && !(d->elsewhere && n == w.local) && (d->strategy != WHERE_NODE || d->soft || d->node == n) &&
		    (d->nlabels == 0 || label_expr_first(d->labels, d->nlabels, &p->labels) < d->nlabels), now_too = true;

		for (unsigned r = 0; good && r < RES_MAX; r++) {
			good = d->need.v[r] <= p->total.v[r];
			now_too = now_too && (d->need.v[r] <= 0 || d->need.v[r] <= p->free.v[r] - p->asked.v[r]);
		}
		could |= good;
		fits |= good && now_too;
		if (a == WHERE_AT && f.node == n && !(good && now_too))
			return __LINE__;
	}
	if (a == WHERE_NEVER)
		return could || f.why[0] == '\0' ? __LINE__ : 0;
	if (a == WHERE_AT)
		return f.room == 0 || f.node == 0 || f.node > 40 ? __LINE__ : 0;
	return could && f.could ? 0 : __LINE__;
}

static int
one_random(const struct label_expr *e, struct where_kind **kept, uint64_t *ticket)
{
	static const char *const label[] = { "", "a=1", "a=1,b=2", "b=2", "a=2" };
	uint32_t n = 1 + (uint32_t)rand() % 40;
	struct where_demand d = { .need = { { 500 * (rand() % 20), 1000 * (rand() % 4 ? 0 : rand() % 3) } }, .strategy = (enum where_strategy)(rand() % 3),
	    .node = 1 + (uint32_t)rand() % 40, .soft = rand() % 2, .elsewhere = rand() % 2, .labels = e, .nlabels = (size_t)rand() % 3, .who = (uint64_t)rand() % 3 };
	struct where_kind *k;
	enum where_answer a;
	int i = rand() % 100, r;

	switch (rand() % 10) {
	case 0: node(n, 1 + rand() % 12, rand() % 3, label[rand() % 5]); return 0;
	case 1: if (rand() % 3 == 0) where_gone(&w, n); return 0;
	case 2: case 3: if (where_get(&w, n)) load(n, rand() % 12, rand() % 3, rand() % 8 == 0); return 0;
	case 4: now += (uint64_t)(rand() % 300) * MS; where_doubt(&w, n, rand() % 3 == 0); return 0;
	case 5: where_settle(&w, ticket[i], 1 + (uint64_t)rand() % 3); return 0;
	case 6:
		ticket[i] = where_ask(&w, now, n, &d.need, 1 + (uint64_t)rand() % 3);
		return 0;
	}
	if ((k = where_kind(&w, &d)) == NULL)
		return __LINE__;
	a = where_find(&w, now, k, NULL, 0, &f);
	r = right(&d, a);
	if (rand() % 3 == 0)
		where_refused(&w, now, k, n);
	if (rand() % 3 == 0)
		where_granted(&w, k, n);
	if (kept[i])
		where_kind_put(&w, kept[i]);
	kept[i] = k;
	return r;
}

static void
random_tables(unsigned seed, const struct label_expr *e)
{
	struct where_kind *kept[100] = { NULL };
	uint64_t ticket[100] = { 0 };
	int bad = 0;

	srand(seed);
	where_init(&w, (uint32_t)rand() % 5);
	for (int i = 0; i < 2000 && !bad; i++) {
		bad = one_random(e, kept, ticket);
		if (!bad)
			bad = where_check(&w);
		if (bad)
			printf("# seed %u step %d: line %d\n", seed, i, bad);
	}
	ok(!bad);
	where_release(&w);
}

int
main(void)
{
	struct label_expr e[2] = { { 0 } };
	double few, many;

	hybrid();
	reports();
	refusals();
	others();
	labelled();
	reasons();
	locality();
	crowd();
	few = cost(100);
	cost(1000);
	many = cost(10000);
	ok(few > 1 && many < 20);				/* log n, not n */
	label_expr_parse(&e[0], span_text("a=1"), why);
	label_expr_parse(&e[1], span_text("b=2"), why);
	for (unsigned seed = 1; seed <= 20; seed++)
		random_tables(seed, e);
	label_expr_release(&e[0]);
	label_expr_release(&e[1]);
	return tap_done();
}
