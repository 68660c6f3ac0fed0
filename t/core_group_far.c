/* core_group_far.c - placement groups over many nodes with their lease cores: all or nothing, through losses, late messages and new coordinators */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group_far.h"
#include "core/group_hold.h"
#include "tap.h"

#define MS UINT64_C(1000000)
enum { NODES = 7, GROUPS = 24, EVENTS = 8192 };

enum what { M_PREPARE, M_COMMIT, M_RELEASE, M_ANSWER, M_HELD, TICK_FAR, TICK_HOLD, TICK_LEASE, NEW, REMOVE, DIE, SEEN_DEAD, JOIN, CRASH, BUSY, CALLED };

struct event {
	uint64_t at, order;
	enum what what;
	unsigned node, life, reign;	/* of which incarnations; 0: of any */
	uint64_t group, round, number;
	enum hold_answer answer;
};

static struct gfar_core far;
static struct gfar_out fo;
static uint64_t gfar_at;
static unsigned reign;

static struct world {
	bool alive;
	unsigned life;
	struct lease_core lease;
	struct holds hold;
	uint64_t hold_at, lease_at;
	uint32_t worker;
	struct labels labels;
} node[NODES + 1];

static struct plan {			/* what the user wants, and what is durable of it */
	bool wanted, known, ever, never;
	struct res bundle[5];
	struct label_expr expr[5];
	bool labels;
	unsigned n;
	enum group_strategy strategy;
	enum group_state state;
	uint32_t at[5];
	uint64_t rounds[5];
} want[GROUPS + 1];

static struct event event[EVENTS];
static size_t nevent;
static uint64_t now, order, last_at[2][NODES + 1];
static unsigned nnode, broken, random_state, created, again, messages;
static bool quiet;			/* nothing breaks any more */

static unsigned
dice(unsigned n)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 8) % n;
}

static void
fail(const char *what, int line)
{
	if (broken++ < 3)
		printf("# %s: %d at %.3f ms\n", what, line, (double)now / 1e6);
}

static void
post(uint64_t at, struct event e)
{
	if (nevent == EVENTS) {
		fail("too many events", 0);
		return;
	}
	e.at = at;
	e.order = ++order;
	event[nevent++] = e;
}

static void
mail(unsigned up, struct event e)		/* to the coordinator, or from it: late, in order, lost with either */
{
	uint64_t at = now + 50000 + dice(5000) * UINT64_C(1000);

	if (at < last_at[up][e.node])
		at = last_at[up][e.node];
	last_at[up][e.node] = at;
	e.life = node[e.node].life;
	e.reign = reign;
	messages++;
	post(at, e);
}

static void lease_do(unsigned n, struct lease_in in);
static void gfar_do(struct gfar_in in);

/* --- nodes ------------------------------------------------------------------------------------------------------ */

static void
hold_do(unsigned n, struct hold_in in)
{
	struct world *w = &node[n];
	struct hold_out o = { .n = 0 };

	if (hold_step(&w->hold, now, &in, &o) < 0)
		fail("hold_step", 0);
	if (hold_check(&w->hold))
		fail("hold_check", hold_check(&w->hold));
	w->hold_at = o.at;
	if (o.at)
		post(o.at, (struct event){ .what = TICK_HOLD, .node = n, .life = w->life });
	for (size_t i = 0; i < o.n; i++) {
		const struct hold_fx *fx = &o.fx[i];
		const struct hold *h = map_get(&w->hold.numbers, fx->number);

		if (fx->kind == HOLD_FX_RESERVE && h)
			lease_do(n, (struct lease_in){ .kind = LEASE_IN_RESERVE, .group = h->number, .job = 1, .bundles = h->bundle, .nbundle = h->n });
		else if (fx->kind == HOLD_FX_FREE)
			lease_do(n, (struct lease_in){ .kind = LEASE_IN_RELEASE, .group = fx->number });
		else if (fx->kind == HOLD_FX_ANSWER)
			mail(1, (struct event){ .what = M_ANSWER, .node = n, .group = fx->group, .round = fx->round, .answer = fx->answer });
	}
	free(o.fx);
}

static void
lease_do(unsigned n, struct lease_in in)
{
	struct world *w = &node[n];
	struct lease_out o = { .n = 0 };

	lease_step(&w->lease, now, &in, &o);
	if (lease_check(&w->lease))
		fail("lease_check", lease_check(&w->lease));
	w->lease_at = o.at;
	if (o.at)
		post(o.at, (struct event){ .what = TICK_LEASE, .node = n, .life = w->life });
	for (size_t i = 0; i < o.n; i++) {
		const struct lease_fx *fx = &o.fx[i];

		if (fx->kind == LEASE_FX_GRANT && fx->worker == 0)
			lease_bind(&w->lease, fx->lease, ++w->worker);
		else if (fx->kind == LEASE_FX_RESERVED)
			hold_do(n, (struct hold_in){ .kind = HOLD_IN_RESERVED, .number = fx->group });
		else if (fx->kind == LEASE_FX_FAIL && fx->group)
			hold_do(n, (struct hold_in){ .kind = HOLD_IN_NEVER, .number = fx->group });
		else if (fx->kind == LEASE_FX_CALL && fx->level == 1 && (quiet || dice(5)))
			post(now + dice(300) * MS, (struct event){ .what = CALLED, .node = n, .life = w->life, .number = fx->lease });
	}
	free(o.fx);
}

static void
node_start(unsigned n)
{
	static const char *const labels[] = { "zone=eu", "zone=us" };
	struct world *w = &node[n];
	struct res total = { { 1000 * (2 + (int64_t)dice(5)), 1000 * (int64_t)dice(3) } };
	unsigned life = w->life;
	char why[LABELS_WHY];

	*w = (struct world){ .alive = true, .life = life + 1, .worker = 1000 };
	labels_parse(&w->labels, span_text(labels[n % 2]), why);
	lease_init(&w->lease, &total, &(struct lease_limits){ 100, 100, 10 });
	hold_init(&w->hold);
	gfar_do((struct gfar_in){ .kind = GFAR_IN_NODE, .node = n, .total = total, .labels = &w->labels });
}

static void
node_end(unsigned n)
{
	node[n].alive = false;
	lease_release(&node[n].lease);
	hold_release(&node[n].hold);
	labels_release(&node[n].labels);
}

static void
prepare(const struct event *e)
{
	const struct gfar_group *g = gfar_group(&far, e->group);		/* the message has it, as it was sent */
	struct res b[5];
	unsigned index[5], n = 0;

	for (unsigned i = 0; g && i < g->n; i++)
		if (g->node[i] == e->node && g->of[i] == e->round) {
			b[n] = g->bundle[i];
			index[n++] = i;
		}
	if (n)
		hold_do(e->node, (struct hold_in){ .kind = HOLD_IN_PREPARE, .group = e->group, .round = e->round, .job = 1, .bundles = b, .index = index, .n = n });
}

/* --- the coordinator ----------------------------------------------------------------------------------------------- */

/* a group that is said to be created is there, every bundle of it, unless a node has died and nobody has seen it yet */
static void
all_of_it(uint64_t number)
{
	const struct gfar_group *g = gfar_group(&far, number);
	unsigned at;

	for (unsigned b = 0; b < g->n; b++)
		if (node[g->node[b]].alive && hold_find(&node[g->node[b]].hold, number, b, &at) == 0)
			fail("a bundle is not there", (int)number);
}

static void
state(const struct gfar_fx *fx)
{
	const struct gfar_group *g = gfar_group(&far, fx->group);
	struct plan *p = &want[fx->group];

	p->state = fx->state;
	p->ever = p->ever || fx->state == GROUP_CREATED;
	p->known = fx->state != GROUP_REMOVED;
	p->never = fx->state == GROUP_REMOVED && fx->code == ERR_INFEASIBLE;
	for (unsigned b = 0; b < p->n; b++) {
		bool keep = fx->state != GROUP_PENDING;

		p->at[b] = keep ? g->node[b] : 0;
		p->rounds[b] = keep ? g->of[b] : 0;
	}
	if (fx->state == GROUP_CREATED) {
		created++;
		all_of_it(fx->group);
	}
	again += fx->state == GROUP_RESCHEDULING;
}

static void
gfar_do(struct gfar_in in)
{
	size_t from = fo.n;
	int e = gfar_step(&far, now, &in, &fo);

	if (e < 0)
		fail("gfar_step", e);
	if (gfar_check(&far))
		fail("gfar_check", gfar_check(&far));
	if (gfar_at != fo.at && fo.at)
		post(fo.at, (struct event){ .what = TICK_FAR, .reign = reign });
	gfar_at = fo.at;
	for (size_t i = from; i < fo.n; i++) {
		const struct gfar_fx *fx = &fo.fx[i];
		struct event m = { .node = fx->node, .group = fx->group, .round = fx->round };

		switch (fx->kind) {
		case GFAR_FX_PREPARE: m.what = M_PREPARE; mail(0, m); break;
		case GFAR_FX_COMMIT: m.what = M_COMMIT; mail(0, m); break;
		case GFAR_FX_RELEASE: m.what = M_RELEASE; mail(0, m); break;
		case GFAR_FX_STATE: state(fx); break;
		case GFAR_FX_FORGET: gfar_forget(&far, fx->group); break;
		}
	}
	fo.n = from;
}

static void
make(uint64_t number)
{
	struct plan *p = &want[number];

	p->known = true;
	gfar_do((struct gfar_in){ .kind = GFAR_IN_NEW, .group = number, .job = 1, .strategy = p->strategy, .bundles = p->bundle, .nbundle = p->n,
	    .exprs = p->labels ? p->expr : NULL, .round = (uint64_t)reign << 32 });
}

/* all that it knew is gone but what was kept; everybody connects anew */
static void
crash(void)
{
	gfar_release(&far);
	gfar_init(&far);
	reign++;
	gfar_at = 0;
	for (unsigned n = 1; n <= nnode; n++)
		if (node[n].alive)
			gfar_do((struct gfar_in){ .kind = GFAR_IN_NODE, .node = n, .total = node[n].lease.total, .labels = &node[n].labels });
	for (uint64_t g = 1; g <= GROUPS; g++) {
		struct plan *p = &want[g];

		if (p->known && (p->state == GROUP_PENDING || p->state == 0))
			make(g);
		else if (p->known)
			gfar_do((struct gfar_in){ .kind = GFAR_IN_HEIR, .group = g, .job = 1, .strategy = p->strategy, .bundles = p->bundle, .nbundle = p->n,
			    .exprs = p->labels ? p->expr : NULL, .round = (uint64_t)reign << 32, .at = p->at, .rounds = p->rounds, .ever = p->ever });
	}
	for (unsigned n = 1; n <= nnode; n++) {
		if (!node[n].alive) {			/* it does not come back */
			gfar_do((struct gfar_in){ .kind = GFAR_IN_GONE, .node = n });
			continue;
		}
		for (const struct hold *h = NULL; (h = hold_next(&node[n].hold, h)) != NULL;)
			mail(1, (struct event){ .what = M_HELD, .node = n, .group = h->group, .round = h->round });
	}
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */

static void
on_answer(const struct event *e)
{
	static const enum gfar_in_kind kind[] = { GFAR_IN_READY, GFAR_IN_COMMITTED, GFAR_IN_REFUSED };

	gfar_do((struct gfar_in){ .kind = e->what == M_HELD ? GFAR_IN_HELD : kind[e->answer], .node = e->node, .group = e->group, .round = e->round });
}

static void
busy(unsigned n)				/* leases that are in the way */
{
	lease_do(n, (struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 2, .shape = 1, .need = { { 1000 } }, .want = quiet ? 0 : dice(5) });
}

static void
happen(const struct event *e)
{
	switch (e->what) {
	case M_PREPARE: prepare(e); break;
	case M_COMMIT: hold_do(e->node, (struct hold_in){ .kind = HOLD_IN_COMMIT, .group = e->group, .round = e->round }); break;
	case M_RELEASE: hold_do(e->node, (struct hold_in){ .kind = HOLD_IN_RELEASE, .group = e->group, .round = e->round }); break;
	case M_ANSWER: case M_HELD: on_answer(e); break;
	case TICK_FAR: if (gfar_at == e->at) { gfar_at = 0; gfar_do((struct gfar_in){ .kind = GFAR_IN_TICK }); } break;
	case TICK_HOLD: if (node[e->node].hold_at == e->at) hold_do(e->node, (struct hold_in){ .kind = HOLD_IN_TICK }); break;
	case TICK_LEASE: if (node[e->node].lease_at == e->at) lease_do(e->node, (struct lease_in){ .kind = LEASE_IN_TICK }); break;
	case NEW: if (want[e->group].wanted && !want[e->group].known) make(e->group); break;
	case REMOVE: want[e->group].wanted = false; gfar_do((struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = e->group }); break;
	case DIE:
		if (!node[e->node].alive)
			break;
		node_end(e->node);
		post(now + 300 * MS, (struct event){ .what = SEEN_DEAD, .node = e->node });
		break;
	case SEEN_DEAD: gfar_do((struct gfar_in){ .kind = GFAR_IN_GONE, .node = e->node }); break;
	case JOIN: if (nnode < NODES && !node[nnode + 1].alive) node_start(++nnode); break;
	case CRASH: crash(); break;
	case BUSY: busy(e->node); break;
	case CALLED: lease_do(e->node, (struct lease_in){ .kind = LEASE_IN_RETURN, .proc = 1, .lease = e->number }); break;
	}
}

static void
run(uint64_t until)
{
	while (nevent && !broken) {
		struct event e;
		size_t i = 0;
		bool of_node;

		for (size_t k = 1; k < nevent; k++)
			if (event[k].at < event[i].at || (event[k].at == event[i].at && event[k].order < event[i].order))
				i = k;
		if (event[i].at > until)
			break;
		e = event[i];
		event[i] = event[--nevent];
		now = e.at > now ? e.at : now;
		of_node = e.node && e.what != DIE && e.what != SEEN_DEAD;
		if ((of_node && !node[e.node].alive) || (e.life && e.life != node[e.node].life) || (e.reign && e.reign != reign))
			continue;
		happen(&e);
	}
	now = now > until ? now : until;
}

/* --- one world ---------------------------------------------------------------------------------------------------- */

static void
wishes(void)
{
	char why[LABELS_WHY];

	for (uint64_t g = 1; g <= GROUPS; g++) {
		struct plan *p = &want[g];

		*p = (struct plan){ .wanted = true, .n = 1 + dice(4), .strategy = (enum group_strategy)dice(4), .labels = dice(4) == 0 };
		for (unsigned b = 0; b < p->n; b++) {
			p->bundle[b] = (struct res){ { 1000 * (1 + (int64_t)dice(2)), dice(5) ? 0 : 500 } };
			if (p->labels && dice(2))
				label_expr_parse(&p->expr[b], span_text("zone=eu"), why);
		}
		post(now + dice(2000) * MS, (struct event){ .what = NEW, .group = g });
		if (dice(2))
			post(now + (1000 + dice(5000)) * MS, (struct event){ .what = REMOVE, .group = g });
	}
}

/* nothing breaks any more: what can be there is, what waits has reason to */
static void
settled(void)
{
	struct res before[NODES + 1], sum[NODES + 1];

	for (unsigned n = 1; n <= nnode; n++) {
		sum[n] = before[n] = (struct res){ { 0 } };
		for (unsigned r = 0; r < RES_MAX && node[n].alive; r++)
			before[n].v[r] = node[n].lease.total.v[r] - node[n].lease.free.v[r];
	}
	for (uint64_t g = 1; g <= GROUPS; g++) {
		const struct gfar_group *p = gfar_group(&far, g);
		bool parts = p && p->npart;

		if (!want[g].wanted && p)
			fail("it was removed", (int)g);
		if (want[g].wanted && !p && !want[g].never)
			fail("it is lost", (int)g);
		if (p && p->state == GROUP_CREATED)
			all_of_it(g);
		else if (p && !p->ever && (parts || list_empty(&p->link)))
			fail("it does not wait for room", (int)g);
		for (unsigned b = 0; parts && b < p->n; b++)
			for (unsigned r = 0; r < RES_MAX && p->node[b]; r++)
				sum[p->node[b]].v[r] += p->bundle[b].v[r];
		if (p && p->state != GROUP_CREATED) {		/* is there really no room? */
			struct group_want w = { .strategy = p->strategy, .n = p->n, .bundle = p->bundle, .labels = p->labels };
			uint32_t at[5];
			char text[200];

			memcpy(at, p->node, p->n * sizeof *at);
			if (group_plan_over(far.order, far.norder, &w, at, text) == 1)
				fail("there is room for it", (int)g);
		}
	}
	for (unsigned n = 1; n <= nnode; n++)
		if (node[n].alive && memcmp(&sum[n], &before[n], sizeof sum[n]) != 0)
			fail("what is set aside is not what groups have", (int)n);
}

static void
one_world(unsigned seed)
{
	random_state = seed * 2654435761u;
	nevent = 0;
	now = 1000 * MS;
	reign = 1;
	gfar_at = 0;
	quiet = false;
	memset(last_at, 0, sizeof last_at);
	gfar_init(&far);
	nnode = 0;
	for (unsigned n = 2 + seed % 4; n > 0; n--)
		node_start(++nnode);
	wishes();
	for (int i = 0; i < 20; i++)
		post(now + dice(8000) * MS, (struct event){ .what = BUSY, .node = 1 + dice(nnode) });
	for (unsigned i = 0; i < seed % 3; i++)
		post(now + dice(8000) * MS, (struct event){ .what = DIE, .node = 1 + dice(nnode) });
	for (unsigned i = 0; i < seed % 4; i++)
		post(now + dice(8000) * MS, (struct event){ .what = CRASH });
	post(now + dice(8000) * MS, (struct event){ .what = JOIN });
	run(now + 9000 * MS);
	quiet = true;
	for (unsigned n = 1; n <= nnode; n++)
		if (node[n].alive) {
			busy(n);
			lease_do(n, (struct lease_in){ .kind = LEASE_IN_GONE, .proc = 1 });
		}
	run(now + 30000 * MS);
	if (!broken)
		settled();
	for (uint64_t g = 1; g <= GROUPS && !broken; g++)
		gfar_do((struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = g });
	run(now + 5000 * MS);
	for (unsigned n = 1; n <= nnode && !broken; n++)
		if (node[n].alive && (memcmp(&node[n].lease.free, &node[n].lease.total, sizeof(struct res)) != 0 || node[n].hold.numbers.n))
			fail("not all was given back", (int)n);
	if (!broken && far.groups.n)
		fail("a group is still there", (int)far.groups.n);
	for (unsigned n = 1; n <= NODES; n++) {
		if (node[n].alive)
			node_end(n);
		node[n].life++;
	}
	for (uint64_t g = 1; g <= GROUPS; g++)
		for (unsigned b = 0; b < 5; b++)
			label_expr_release(&want[g].expr[b]);
	gfar_release(&far);
	if (broken)
		printf("# seed %u\n", seed);
}

/* --- rules, one by one ------------------------------------------------------------------------------------------------ */

static const struct gfar_fx *
step(struct gfar_in in, enum gfar_fx_kind kind, uint32_t n)	/* the last effect of the kind, about node n or any */
{
	fo.n = 0;
	in.group = in.group ? in.group : 1;
	ok(gfar_step(&far, now, &in, &fo) == 0 && gfar_check(&far) == 0);
	for (size_t i = fo.n; i-- > 0;)
		if (fo.fx[i].kind == kind && (n == 0 || fo.fx[i].node == n))
			return &fo.fx[i];
	return NULL;
}

static void
begin(void)
{
	gfar_init(&far);
	now = 1000 * MS;
	for (uint32_t n = 1; n <= 3; n++)
		step((struct gfar_in){ .kind = GFAR_IN_NODE, .node = n, .total = { { 4000 } } }, GFAR_FX_STATE, 0);
}

static void
rules(void)
{
	struct res b[3] = { { { 3000 } }, { { 3000 } }, { { 3000 } } };
	struct gfar_in two = { .kind = GFAR_IN_NEW, .strategy = GROUP_SPREAD, .bundles = b, .nbundle = 2, .round = 100 };
	const struct gfar_group *g;
	const struct gfar_fx *f;

	begin();
	ok(step(two, GFAR_FX_PREPARE, 1)->round == 101 && step((struct gfar_in){ .kind = GFAR_IN_TICK }, GFAR_FX_STATE, 0) == NULL);
	g = gfar_group(&far, 1);
	ok(g->state == GROUP_PENDING && g->npart == 2 && fo.at == now + GFAR_PREPARE);
	ok(step((struct gfar_in){ .kind = GFAR_IN_READY, .node = 1, .round = 101 }, GFAR_FX_COMMIT, 0) == NULL);
	ok(step((struct gfar_in){ .kind = GFAR_IN_READY, .node = 2, .round = 7 }, GFAR_FX_COMMIT, 0) == NULL);	/* of another round */
	f = step((struct gfar_in){ .kind = GFAR_IN_REFUSED, .node = 2, .round = 101 }, GFAR_FX_RELEASE, 1);
	ok(f && f->round == 101 && g->npart == 0 && fo.at == now + GFAR_PAUSE);	/* all or nothing */
	now += GFAR_PAUSE;
	ok(step((struct gfar_in){ .kind = GFAR_IN_TICK }, GFAR_FX_PREPARE, 1)->round == 102 && g->npart == 2);
	now += GFAR_PREPARE;
	ok(step((struct gfar_in){ .kind = GFAR_IN_TICK }, GFAR_FX_RELEASE, 2) && g->npart == 0 && fo.at == now + GFAR_PAUSE + GFAR_PAUSE / 2);
	now = fo.at;
	step((struct gfar_in){ .kind = GFAR_IN_TICK }, GFAR_FX_PREPARE, 1);
	step((struct gfar_in){ .kind = GFAR_IN_READY, .node = 1, .round = 103 }, GFAR_FX_COMMIT, 1);
	f = step((struct gfar_in){ .kind = GFAR_IN_READY, .node = 2, .round = 103 }, GFAR_FX_COMMIT, 1);
	ok(f && g->state == GROUP_PREPARED && fo.n == 3 && fo.fx[0].kind == GFAR_FX_STATE);	/* which is to be kept before */
	step((struct gfar_in){ .kind = GFAR_IN_COMMITTED, .node = 1, .round = 103 }, GFAR_FX_STATE, 0);
	ok(g->state == GROUP_PREPARED);
	f = step((struct gfar_in){ .kind = GFAR_IN_COMMITTED, .node = 2, .round = 103 }, GFAR_FX_STATE, 0);
	ok(f && f->state == GROUP_CREATED && g->state == GROUP_CREATED && fo.at == 0);

	f = step((struct gfar_in){ .kind = GFAR_IN_GONE, .node = 2 }, GFAR_FX_PREPARE, 3);	/* the lost bundle alone is planned again */
	ok(f && f->round == 104 && g->state == GROUP_RESCHEDULING && g->node[0] == 1 && g->node[1] == 3 && fo.n == 2);
	step((struct gfar_in){ .kind = GFAR_IN_GONE, .node = 3 }, GFAR_FX_PREPARE, 0);
	ok(g->node[0] == 1 && g->node[1] == 0 && !list_empty(&g->link));			/* no room: it waits, what it has stays */
	f = step((struct gfar_in){ .kind = GFAR_IN_NODE, .node = 4, .total = { { 4000 } } }, GFAR_FX_PREPARE, 4);
	ok(f && f->round == 105);
	step((struct gfar_in){ .kind = GFAR_IN_READY, .node = 4, .round = 105 }, GFAR_FX_COMMIT, 4);
	ok(fo.n == 2 && fo.fx[0].kind == GFAR_FX_STATE && fo.fx[1].kind == GFAR_FX_COMMIT && g->state == GROUP_RESCHEDULING);
	step((struct gfar_in){ .kind = GFAR_IN_COMMITTED, .node = 4, .round = 105 }, GFAR_FX_STATE, 0);
	ok(g->state == GROUP_CREATED);
	ok(step((struct gfar_in){ .kind = GFAR_IN_HELD, .node = 4, .round = 105 }, GFAR_FX_RELEASE, 0) == NULL);
	ok(step((struct gfar_in){ .kind = GFAR_IN_HELD, .node = 4, .round = 99 }, GFAR_FX_RELEASE, 4)->round == 99);
	ok(step((struct gfar_in){ .kind = GFAR_IN_HELD, .node = 4, .group = 77, .round = 1 }, GFAR_FX_RELEASE, 4)->group == 77);
	f = step((struct gfar_in){ .kind = GFAR_IN_REMOVE }, GFAR_FX_STATE, 0);
	ok(f && f->state == GROUP_REMOVED && f->code == ERR_CANCELLED && fo.n == 4);
	gfar_forget(&far, 1);
	ok(gfar_group(&far, 1) == NULL && gfar_step(&far, now, &(struct gfar_in){ .kind = GFAR_IN_NEW, .group = 1 }, &fo) == -EINVAL);
	gfar_release(&far);
}

static void
waits(void)
{
	struct res b[3] = { { { 3000 } }, { { 3000 } }, { { 3000 } } };
	struct gfar_in three = { .kind = GFAR_IN_NEW, .strategy = GROUP_PACK, .bundles = b, .nbundle = 3 };
	const struct gfar_fx *f;

	begin();
	step(three, GFAR_FX_PREPARE, 0);
	three.group = 2;
	three.until = now + 50;
	three.job = 9;
	ok(step(three, GFAR_FX_PREPARE, 0) == NULL && fo.at == now + 50);
	three.group = 3;
	three.until = 0;
	step(three, GFAR_FX_PREPARE, 0);
	now += 50;
	f = step((struct gfar_in){ .kind = GFAR_IN_TICK }, GFAR_FX_STATE, 0);
	ok(f && f->group == 2 && f->code == ERR_TIMEOUT && strcmp(f->text, "it could not be placed in its time") == 0);
	f = step((struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = 1 }, GFAR_FX_PREPARE, 0);	/* while it is pending */
	ok(f && f->group == 3 && fo.fx[0].kind == GFAR_FX_RELEASE);
	f = step((struct gfar_in){ .kind = GFAR_IN_JOB_END, .job = 9 }, GFAR_FX_STATE, 0);
	ok(f && f->group == 3 && f->state == GROUP_REMOVED);
	three.group = 4;
	three.strategy = GROUP_STRICT_PACK;
	f = step(three, GFAR_FX_STATE, 0);
	ok(f && f->code == ERR_INFEASIBLE && strcmp(f->text, "no node can hold all 3 bundles: they need 9 cpus, there are 4 cpus") == 0);
	gfar_release(&far);
}

static void
nodes_side(void)
{
	struct holds h;
	struct hold_out o = { .n = 0 };
	struct res b[2] = { { { 1000 } }, { { 2000 } } };
	unsigned index[2] = { 4, 7 }, at = 0;
	struct hold_in in = { .kind = HOLD_IN_PREPARE, .group = 5, .round = 2, .bundles = b, .index = index, .n = 2 };

	hold_init(&h);
	now = 1000 * MS;
	ok(hold_step(&h, now, &in, &o) == 0 && o.n == 1 && o.fx[0].kind == HOLD_FX_RESERVE && o.at == now + HOLD_WAIT);
	ok(hold_step(&h, now, &in, &o) == 0 && o.n == 1 && hold_find(&h, 5, 7, &at) == 0);
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_RESERVED, .number = 1 }, &o);
	ok(o.n == 2 && o.fx[1].answer == HOLD_IS_READY && o.at == now + HOLD_KEEP && hold_check(&h) == 0);
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_COMMIT, .group = 5, .round = 2 }, &o);
	ok(o.n == 3 && o.fx[2].answer == HOLD_IS_COMMITTED && o.at == 0 && hold_find(&h, 5, 7, &at) == 1 && at == 2);
	in.round = 3;
	in.n = 1;
	index[0] = 0;
	hold_step(&h, now, &in, &o);					/* another part of it */
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_RESERVED, .number = 2 }, &o);
	o.n = 0;
	hold_step(&h, now + HOLD_KEEP, &(struct hold_in){ .kind = HOLD_IN_TICK }, &o);
	ok(o.n == 2 && o.fx[0].answer == HOLD_REFUSED && o.fx[1].kind == HOLD_FX_FREE && o.fx[1].number == 2 && hold_check(&h) == 0);
	o.n = 0;
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_COMMIT, .group = 5, .round = 3 }, &o);	/* too late */
	ok(o.n == 1 && o.fx[0].answer == HOLD_REFUSED && hold_find(&h, 5, 0, &at) == 0 && hold_find(&h, 5, 4, &at) == 1);
	ok(hold_any(&h, 5, &(struct res){ { 1000 } }) == 1 && hold_any(&h, 5, &(struct res){ { 64000 } }) == 0 && hold_any(&h, 6, &(struct res){ { 0 } }) == 0);
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_DRAIN, .on = true }, &o);
	o.n = 0;
	in.round = 4;
	hold_step(&h, now, &in, &o);
	ok(o.n == 1 && o.fx[0].answer == HOLD_REFUSED && h.numbers.n == 1);
	hold_step(&h, now, &(struct hold_in){ .kind = HOLD_IN_RELEASE, .group = 5, .round = 2 }, &o);
	ok(h.numbers.n == 0 && hold_check(&h) == 0);
	hold_release(&h);
	free(o.fx);
}

int
main(int argc, char *argv[])
{
	unsigned from = argc > 1 ? (unsigned)atoi(argv[1]) : 1, to = argc > 2 ? (unsigned)atoi(argv[2]) : argc > 1 ? from : getenv("ROTA_LONG") ? 5000 : 150;

	if (argc == 1) {
		rules();
		waits();
		nodes_side();
	}
	for (unsigned seed = from; seed <= to && !broken; seed++)
		one_world(seed);
	ok(!broken);
	printf("# created %u, planned again %u, %u messages\n", created, again, messages);
	ok(from != 1 || to < 100 || (created > 500 && again > 10));
	free(fo.fx);
	return tap_done();
}
