/* core_overflow.c - what a node cannot grant: when it is asked of others, of whom, what is taken back, and what guests are answered */
#include <stdlib.h>
#include <string.h>
#include "core/guest.h"
#include "core/overflow.h"
#include "tap.h"

#define MS UINT64_C(1000000)

static struct where w;
static struct overflow c;
static struct overflow_out o;
static struct overflow_split s;
static uint64_t now = 1000 * MS, seq;
static struct where_demand d;

static void
node(uint32_t n, int64_t cpus, unsigned far)
{
	struct res total = { { 1000 * cpus } };

	where_node(&w, n, &total, NULL, far);
}

static void
load(uint32_t n, int64_t cpus)
{
	struct res free = { { 1000 * cpus } }, none = { { 0 } };

	where_load(&w, n, ++seq, &free, &none, false);
}

static int
step(struct overflow_in in)
{
	int e;

	o.n = 0;
	in.shape = 7;
	if (in.proc == 0)
		in.proc = 5;
	e = overflow_step(&c, now, &in, &o);
	s = (struct overflow_split){ 0 };
	overflow_split(&c, in.proc, 7, &s);
	return e ? e : overflow_check(&c);
}

static void
want(uint64_t n, bool here, bool wait)
{
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_WANT, .want = n, .demand = &d, .here = here, .wait = wait }) == 0);
}

static bool
split(uint64_t wanted, uint64_t local, uint64_t have, uint64_t asked, uint64_t far)
{
	if (s.want == wanted && s.local == local && s.have == have && s.asked == asked && s.far == far)
		return true;
	printf("# want %u local %u have %u asked %u far %u\n", (unsigned)s.want, (unsigned)s.local, (unsigned)s.have, (unsigned)s.asked, (unsigned)s.far);
	return false;
}

static const struct overflow_fx *
fx(enum overflow_fx_kind kind, uint32_t n)		/* the last such one; of any node: 0 */
{
	for (size_t i = o.n; i-- > 0;)
		if (o.fx[i].kind == kind && (n == 0 || o.fx[i].node == n))
			return &o.fx[i];
	return NULL;
}

static void
begin(void)
{
	where_init(&w, 1);
	overflow_init(&c, &w);
	d = (struct where_demand){ .need = { { 1000 } } };
	node(1, 2, 0);
}

static void
finish(void)
{
	overflow_release(&c);
	where_release(&w);
}

static void
tick(uint64_t ns)
{
	now += ns;
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TICK }) == 0);
}

static void
this_node_first(void)
{
	const struct overflow_fx *f;
	uint64_t ask;

	begin();
	node(2, 8, 10);
	want(5, true, false);
	ok(split(5, 5, 0, 0, 0) && fx(OVERFLOW_FX_LOCAL, 0) && overflow_local(&c, 5, 7) == 5 && o.at == now + OVERFLOW_PATIENCE);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0 && step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0);
	tick(OVERFLOW_PATIENCE - 1);
	ok(split(5, 5, 2, 0, 0) && o.n == 0);
	tick(1);
	ok(split(5, 2, 2, 3, 0) && overflow_local(&c, 5, 7) == 2);
	f = fx(OVERFLOW_FX_ASK, 2);
	ok(f && f->n == 3 && !f->patient && where_get(&w, 2)->asked.v[0] == 3000);
	ask = f->ask;
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .granted = 1 }) == 0 && split(5, 2, 2, 2, 1));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .refused = 2 }) == 0 && split(5, 4, 2, 0, 1));
	ok(fx(OVERFLOW_FX_ASK, 0) == NULL && where_get(&w, 2)->asked.v[0] == 0);	/* it rests: they wait here */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_OVER, .node = 2 }) == 0 && split(4, 4, 2, 0, 0));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_OVER }) == 0 && split(3, 3, 1, 0, 0) && fx(OVERFLOW_FX_LOCAL, 0) == NULL);
	node(3, 8, 10);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && split(3, 1, 1, 2, 0) && fx(OVERFLOW_FX_ASK, 3));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0 && fx(OVERFLOW_FX_UNASK, 3)->n == 2 && c.asks.n == 0 && c.procs.n == 0 && o.at == 0);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 3, .ask = ask + 1, .granted = 1 }) == 0 && fx(OVERFLOW_FX_RETURN, 3)->n == 1);
	finish();
}

static void
elsewhere_at_once(void)
{
	const struct overflow_fx *f;
	uint64_t first, second;

	begin();
	node(2, 4, 10);
	node(3, 4, 50);
	node(4, 4, 20);
	d.need.v[RES_CPU] = 3000;
	want(3, false, false);
	ok(split(3, 0, 0, 3, 0) && fx(OVERFLOW_FX_LOCAL, 0) == NULL && fx(OVERFLOW_FX_ASK, 2) && fx(OVERFLOW_FX_ASK, 3) && fx(OVERFLOW_FX_ASK, 4));
	first = fx(OVERFLOW_FX_ASK, 3)->ask;
	second = fx(OVERFLOW_FX_ASK, 4)->ask;
	want(2, false, false);					/* the furthest goes first */
	f = fx(OVERFLOW_FX_UNASK, 0);
	ok(split(2, 0, 0, 2, 0) && f && f->node == 3 && f->ask == first && f->n == 1);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 3, .ask = first, .granted = 1 }) == 0);
	ok(fx(OVERFLOW_FX_RETURN, 3) && fx(OVERFLOW_FX_RETURN, 3)->n == 1 && split(2, 0, 0, 2, 0));	/* too late, and of no use */
	want(1, false, false);
	ok(fx(OVERFLOW_FX_UNASK, 4));
	where_gone(&w, 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = 2 }) == 0 && fx(OVERFLOW_FX_ASK, 3) && split(1, 0, 0, 1, 0));
	first = fx(OVERFLOW_FX_ASK, 3)->ask;
	want(2, false, false);					/* asked of those that are left, all full by now: patiently */
	ok(s.asked == 2 && fx(OVERFLOW_FX_ASK, 0)->patient);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 4, .ask = second, .granted = 1 }) == 0);
	ok(split(2, 0, 0, 2, 0) && fx(OVERFLOW_FX_RETURN, 4));	/* all that is wanted is asked already */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 3, .ask = first, .dropped = 1 }) == 0 && s.asked == 2);
	finish();
}

/* what is taken back may have been granted already: used if it still can be, else returned */
static void
too_late(void)
{
	uint64_t ask;

	begin();
	node(2, 8, 10);
	d.need.v[RES_CPU] = 3000;				/* not here */
	d.strategy = WHERE_NODE;
	d.node = 2;
	want(2, false, false);
	ask = fx(OVERFLOW_FX_ASK, 2)->ask;
	ok(split(2, 0, 0, 2, 0) && fx(OVERFLOW_FX_ASK, 2)->n == 2);
	want(0, false, false);
	ok(fx(OVERFLOW_FX_UNASK, 2)->n == 2 && split(0, 0, 0, 0, 0));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .granted = 1 }) == 0 && fx(OVERFLOW_FX_RETURN, 2)->n == 1);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .dropped = 1 }) == 0 && c.procs.n == 0);
	want(2, false, false);
	ask = fx(OVERFLOW_FX_ASK, 2)->ask;
	want(1, false, false);
	ok(fx(OVERFLOW_FX_UNASK, 2)->n == 1 && split(1, 0, 0, 1, 0));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .granted = 1 }) == 0 && split(1, 0, 0, 0, 1));
	where_gone(&w, 2);					/* nobody to ask */
	want(2, false, true);
	ok(split(2, 0, 0, 0, 1));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = ask, .granted = 1 }) == 0 && split(2, 0, 0, 0, 2) &&
	    fx(OVERFLOW_FX_RETURN, 2) == NULL && c.asks.n == 0);
	finish();
}

static void
all_are_full(void)
{
	uint64_t asked;
	uint32_t at;

	begin();
	for (uint32_t n = 2; n <= 5; n++)
		node(n, 2, n);
	for (uint32_t n = 1; n <= 5; n++)
		load(n, 0);
	want(9, true, false);
	tick(OVERFLOW_PATIENCE);
	ok(split(9, 9, 0, 0, 0) && fx(OVERFLOW_FX_ASK, 0) == NULL && o.at > now);
	tick(OVERFLOW_PRESS);
	ok(split(9, 5, 0, 4, 0));				/* half of it waits at others, at each of them */
	for (uint32_t n = 2; n <= 5; n++)
		ok(fx(OVERFLOW_FX_ASK, n) && fx(OVERFLOW_FX_ASK, n)->n == 1 && fx(OVERFLOW_FX_ASK, n)->patient);
	asked = fx(OVERFLOW_FX_ASK, 2)->ask;
	at = fx(OVERFLOW_FX_ASK, 5)->node;
	tick(OVERFLOW_PRESS);
	tick(OVERFLOW_PRESS);
	ok(split(9, 5, 0, 4, 0) && o.n == 0);			/* and no more */
	load(3, 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && split(9, 4, 0, 5, 0) && fx(OVERFLOW_FX_ASK, 3) && !fx(OVERFLOW_FX_ASK, 3)->patient);
	for (int i = 0; i < 4; i++)
		ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0);
	load(1, 2);
	tick(OVERFLOW_PRESS);
	ok(fx(OVERFLOW_FX_UNASK, at) && fx(OVERFLOW_FX_UNASK, 4) && split(9, 6, 4, 3, 0));	/* this node has room: what waits elsewhere comes back */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = asked, .granted = 1 }) == 0 && s.far == 1);
	want(0, true, false);
	ok(split(0, 0, 4, 0, 1));				/* its leases are its own to return */
	finish();
}

static void
never_and_notice(void)
{
	begin();
	d.need.v[RES_CPU] = 3000;
	want(1, false, false);
	ok(fx(OVERFLOW_FX_NEVER, 0) && strcmp(fx(OVERFLOW_FX_NEVER, 0)->text, "needs 3 cpus; the one node has 2") == 0 && c.procs.n == 0);
	want(1, false, true);
	ok(split(1, 0, 0, 0, 0) && fx(OVERFLOW_FX_NEVER, 0) == NULL && o.at);
	tick(OVERFLOW_NOTICE - 1);
	ok(fx(OVERFLOW_FX_NOTICE, 0) == NULL);
	tick(OVERFLOW_PRESS);
	ok(fx(OVERFLOW_FX_NOTICE, 0) && strcmp(fx(OVERFLOW_FX_NOTICE, 0)->text, "waiting for a node: needs 3 cpus; the one node has 2") == 0);
	tick(OVERFLOW_NOTICE);
	ok(fx(OVERFLOW_FX_NOTICE, 0) == NULL);			/* once */
	node(2, 4, 1);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && fx(OVERFLOW_FX_ASK, 2) && split(1, 0, 0, 1, 0));
	where_load(&w, 2, ++seq, &(struct res){ { 4000 } }, &(struct res){ { 0 } }, true);	/* it drains, and refuses all */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = 2, .ask = c.last, .refused = 1 }) == 0 && split(1, 0, 0, 0, 0) &&
	    fx(OVERFLOW_FX_ASK, 0) == NULL);
	finish();
}

static void
other_strategies(void)
{
	begin();
	node(2, 2, 1);
	node(3, 2, 1);
	d.strategy = WHERE_SPREAD;
	want(6, true, false);					/* this node is one of many */
	ok(split(6, 2, 0, 4, 0) && fx(OVERFLOW_FX_ASK, 2) && fx(OVERFLOW_FX_ASK, 3) && overflow_local(&c, 5, 7) == 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0);
	d.strategy = WHERE_NODE;
	d.node = 3;
	now += WHERE_LATE;
	want(3, false, false);
	ok(split(3, 0, 0, 3, 0) && fx(OVERFLOW_FX_ASK, 2) == NULL && fx(OVERFLOW_FX_ASK, 3)->patient && o.fx[0].n == 2);	/* two at once, one waits there */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0);
	d.node = 1;
	want(3, true, false);
	tick(OVERFLOW_PATIENCE);
	tick(OVERFLOW_PRESS);
	ok(split(3, 3, 0, 0, 0));				/* it goes nowhere else */
	finish();
}

/* in a placement group: only where it has bundles, and these are not looked into from here */
static void
in_a_group(void)
{
	const uint32_t nodes[] = { 1, 3, 4 };

	begin();
	for (uint32_t n = 2; n <= 5; n++)
		node(n, 8, 1);
	d.among = nodes;
	d.namong = 3;
	want(6, true, false);
	ok(split(6, 6, 0, 0, 0));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0 && step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0);
	tick(OVERFLOW_PATIENCE);
	ok(split(6, 4, 2, 2, 0) && fx(OVERFLOW_FX_ASK, 3) && fx(OVERFLOW_FX_ASK, 3)->patient && fx(OVERFLOW_FX_ASK, 4));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0 && step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0);
	tick(OVERFLOW_PRESS);
	ok(split(6, 5, 4, 1, 0) && fx(OVERFLOW_FX_UNASK, 0)->n == 1);	/* maybe there is room here */
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0);
	d.among = nodes + 1;
	d.namong = 2;
	want(5, false, false);
	ok(split(5, 0, 0, 5, 0) && fx(OVERFLOW_FX_ASK, 3) && fx(OVERFLOW_FX_ASK, 4) && !fx(OVERFLOW_FX_ASK, 2) && !fx(OVERFLOW_FX_ASK, 5));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0);
	/* a bundle is placed anew: what its old node was asked is lost with that, the new one is asked */
	d.among = nodes + 1;
	d.namong = 1;
	want(2, false, true);
	ok(split(2, 0, 0, 2, 0) && fx(OVERFLOW_FX_ASK, 3) && !fx(OVERFLOW_FX_ASK, 4));
	where_gone(&w, 3);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = 3 }) == 0 && split(2, 0, 0, 0, 0));
	d.among = nodes + 2;
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_WANT, .want = 2, .demand = &d, .wait = true, .anew = true }) == 0);
	ok(split(2, 0, 0, 2, 0) && fx(OVERFLOW_FX_ASK, 4));
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_EXIT }) == 0);
	d.among = nodes + 1;
	d.namong = 2;
	where_gone(&w, 4);
	want(1, false, false);
	ok(fx(OVERFLOW_FX_NEVER, 0) == NULL);		/* one was lost a moment ago */
	tick(OVERFLOW_AGAIN);
	ok(fx(OVERFLOW_FX_NEVER, 0) &&
	    strcmp(fx(OVERFLOW_FX_NEVER, 0)->text, "no node that has a part of its placement group is there and can run it") == 0);
	finish();
}

/* --- the other side ---------------------------------------------------------------------------------------------- */

static struct guests g;
static struct guest_out go;

static const struct guest_fx *
guest(struct guest_in in)			/* the last answer */
{
	go.n = 0;
	in.shape = 7;
	in.node = 3;
	in.proc = 9;
	ok(guest_step(&g, now, &in, &go) == 0 && guest_check(&g) == 0);
	for (size_t i = go.n; i-- > 0;)
		if (go.fx[i].kind == GUEST_FX_ANSWER)
			return &go.fx[i];
	return NULL;
}

static void
guests(void)
{
	const struct guest_fx *f;

	guest_init(&g);
	ok(guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 1, .n = 3 }) == NULL && guest_local(&g, 9, 7) == 3 && go.at == now + GUEST_PATIENCE);
	ok(guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 2, .n = 2, .patient = true }) == NULL && guest_local(&g, 9, 7) == 5);
	f = guest((struct guest_in){ .kind = GUEST_IN_GRANTED });
	ok(f && f->node == 3 && f->ask == 1 && f->granted == 1 && f->refused == 0 && guest_local(&g, 9, 7) == 5);
	f = guest((struct guest_in){ .kind = GUEST_IN_UNASK, .ask = 1, .n = 1 });
	ok(f && f->ask == 1 && f->dropped == 1 && guest_local(&g, 9, 7) == 4);
	now += GUEST_PATIENCE;
	f = guest((struct guest_in){ .kind = GUEST_IN_TICK });
	ok(f && f->ask == 1 && f->refused == 1 && guest_local(&g, 9, 7) == 3 && go.at == 0);
	f = guest((struct guest_in){ .kind = GUEST_IN_UNASK, .ask = 2, .n = 9 });
	ok(f && f->ask == 2 && f->dropped == 2 && guest_local(&g, 9, 7) == 1);
	ok(guest((struct guest_in){ .kind = GUEST_IN_UNASK, .ask = 2, .n = 1 }) == NULL);
	ok(guest((struct guest_in){ .kind = GUEST_IN_GRANTED }) == NULL && go.fx[0].kind == GUEST_FX_RETURN);	/* that nobody waits for */
	ok(guest((struct guest_in){ .kind = GUEST_IN_OVER }) == NULL && g.procs.n == 0);
	f = guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 3, .n = 2, .patient = true });
	ok(f == NULL);
	f = guest((struct guest_in){ .kind = GUEST_IN_DRAIN, .on = true });
	ok(f && f->ask == 3 && f->refused == 2 && g.procs.n == 0);
	f = guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 4, .n = 1 });
	ok(f && f->refused == 1);
	guest((struct guest_in){ .kind = GUEST_IN_DRAIN, .on = false });
	guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 5, .n = 1 });
	f = guest((struct guest_in){ .kind = GUEST_IN_NEVER });
	ok(f && f->refused == 1 && guest_local(&g, 9, 7) == 0);
	guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 6, .n = 1 });
	ok(guest((struct guest_in){ .kind = GUEST_IN_EXIT }) == NULL && g.procs.n == 0 && go.at == 0);
	guest((struct guest_in){ .kind = GUEST_IN_ASK, .ask = 7, .n = 1 });
	guest_release(&g);
	free(go.fx);
}

/* a node with the labels that are wanted first is waited for, though this one would do else */
static void
second_choice(void)
{
	struct label_expr e[2] = { { 0 } };
	struct labels zone = { 0 };
	char why[LABELS_WHY];
	struct res total = { { 4000 } };

	begin();
	labels_parse(&zone, span_text("zone=eu"), why);
	where_node(&w, 2, &total, &zone, 10);
	load(2, 0);
	label_expr_parse(&e[0], span_text("zone=eu"), why);
	d.labels = e;
	d.nlabels = 2;
	want(1, true, false);
	ok(split(1, 0, 0, 1, 0) && fx(OVERFLOW_FX_ASK, 2) && fx(OVERFLOW_FX_ASK, 2)->patient);
	where_gone(&w, 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = 2 }) == 0 && split(1, 1, 0, 0, 0));
	where_node(&w, 2, &total, &zone, 10);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && split(1, 0, 0, 1, 0) && fx(OVERFLOW_FX_LOCAL, 0));
	label_expr_release(&e[0]);
	labels_release(&zone);
	finish();
}

static void
local(int64_t cpus, bool draining)
{
	struct res free = { { 1000 * cpus } }, none = { { 0 } };

	where_load(&w, 1, ++seq, &free, &none, draining);
}

/* what waits at this node goes elsewhere when it drains, what it has granted stays */
static void
drains(void)
{
	begin();
	want(3, true, false);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0 && split(3, 3, 1, 0, 0));
	node(2, 1, 10);
	local(0, true);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && s.local == 1 && s.asked == 2);
	where_gone(&w, 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = 2 }) == 0 && split(3, 3, 1, 0, 0));	/* no other can */
	node(2, 1, 10);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_TABLE }) == 0 && s.local == 1 && s.asked == 2);
	local(2, false);
	want(2, true, true);
	ok(split(2, 1, 1, 1, 0));
	finish();
}

/* what is placed here counts as gone from what is free until it is granted, no longer */
static void
seats(void)
{
	begin();
	node(2, 2, 10);
	local(2, false);
	d.strategy = WHERE_SPREAD;
	d.who = 1;
	want(2, true, false);
	ok(s.local == 1 && s.asked == 1 && where_get(&w, 1)->asked.v[RES_CPU] == 1000);
	local(1, false);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_HERE }) == 0 && where_get(&w, 1)->asked.v[RES_CPU] == 0);
	want(3, true, false);
	ok(s.local + s.asked == 3);
	want(1, true, false);
	ok(split(1, 1, 1, 0, 0) && where_get(&w, 1)->asked.v[RES_CPU] == 0);
	finish();
}

/* a node that was lost may come back */
static void
again(void)
{
	begin();
	node(2, 8, 10);
	d.need.v[RES_CPU] = 4000;
	want(1, false, false);
	where_gone(&w, 2);
	ok(step((struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = 2 }) == 0 && fx(OVERFLOW_FX_NEVER, 0) == NULL);
	tick(OVERFLOW_AGAIN - 1);
	ok(fx(OVERFLOW_FX_NEVER, 0) == NULL && fx(OVERFLOW_FX_NOTICE, 0));
	tick(OVERFLOW_PRESS);
	ok(fx(OVERFLOW_FX_NEVER, 0) != NULL);
	finish();
}

int
main(void)
{
	again();
	seats();
	second_choice();
	drains();
	this_node_first();
	elsewhere_at_once();
	too_late();
	all_are_full();
	never_and_notice();
	other_strategies();
	in_a_group();
	guests();
	free(o.fx);
	return tap_done();
}
