/*
 * part_far.c - placement groups over nodes (core/group_far.h at the store, core/group_hold.h and core/lease.h at each node).
 *
 * Groups are asked for and removed at the store's machine.  What STATE says is written there, and nothing leaves before it is
 * on the disk; a store that starts again has what was written.  A node sends a heartbeat each 0.5 s; it is given up 3 s after
 * the last one, and gives itself up 2 s after the last one of which it knows that it came: all that it held is gone then, and it
 * is another node.  One that connects says what it holds.
 *
 *	far-twice	no bundle of a group that was created is committed at two nodes at one time
 *	far-whole	when a group is said to be created all nodes that are there have their bundles
 *	far-lost	in the end a group that was acknowledged is there, unless it was removed or never can be
 *	far-aside	in the end what nodes have set aside is what groups have, and no group waits for which there is room
 *	far-check	the figures of all cores agree
 */
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group_far.h"
#include "core/group_hold.h"
#include "parts.h"

enum { GROUPS = 6, BUNDLES = 4, HELD = 24 };
#define BEAT (500 * SIM_MS)
#define FENCE (2 * SIM_SEC)
#define DEAD (3 * SIM_SEC)

enum word_kind { W_BEAT, W_BEATEN, W_HELD, W_PREPARE, W_COMMIT, W_RELEASE, W_ANSWER };

struct word {				/* a message */
	enum word_kind kind;
	uint32_t number;		/* of the node */
	uint64_t group, round, at;
	unsigned answer, n, index[BUNDLES];
	struct res bundle[BUNDLES];
	struct { uint64_t group, round; enum hold_state state; } held[HELD];
};

struct plan {				/* what the store writes of a group */
	bool known, never, ever;
	unsigned n;
	enum group_strategy strategy;
	enum group_state state;
	struct res bundle[BUNDLES];
	uint32_t at[BUNDLES];
	uint64_t rounds[BUNDLES];
};

struct node {
	struct sim_machine *m;
	struct sim_conn *c;
	bool on;
	uint32_t number;
	uint64_t heard, lease_at, hold_at;
	uint32_t worker;
	struct res total;
	struct lease_core lease;
	struct holds hold;
};

struct host {				/* a node, as the store knows it */
	struct list link;
	uint32_t number;
	struct sim_conn *c;		/* NULL: it is away */
	uint64_t heard;
};

struct made { uint64_t group, round; unsigned bundle; };	/* it was part of a group that was created */
struct write { struct list link; uint64_t seq; uint64_t group; struct plan plan; };
struct letter { struct list link; uint64_t seq; uint32_t number; struct word w; };

struct part {
	struct node *node;
	uint32_t numbers;
	struct plan kept[GROUPS + 1];	/* on the disk */
	bool acked[GROUPS + 1], gone[GROUPS + 1];	/* the user was told that it is; the user has removed it */
	struct made *made;
	size_t nmade;
	uint64_t reign;
	struct plan plan[GROUPS + 1];	/* from here: of the store's present life */
	struct gfar_core far;
	struct gfar_out out;
	uint64_t far_at, seq, done, due;
	struct list hosts, writes, letters;
	bool syncing, running;
	uint64_t created;
};

static struct part *
mine(const struct sim *s)
{
	return s->of[FAR_PART];
}

static void	lease_do(struct sim *s, struct node *n, struct lease_in in);
static void	far_do(struct sim *s, struct gfar_in in);

/* --- nodes -------------------------------------------------------------------------------------------------------------- */

static void
say(struct sim *s, struct node *n, struct word w)
{
	w.number = n->number;
	if (n->c)
		sim_send(s, n->c, 0, &w, sizeof w);
}

static bool
holding(const struct sim *s, const struct node *n)	/* what it has counts */
{
	return n->m->up && n->on && sim_clock(s, n->m) < n->heard + FENCE;
}

static void
hold_tick(struct sim *s, void *arg, uint64_t at);

static void
hold_do(struct sim *s, struct node *n, struct hold_in in)
{
	struct hold_out o = { .n = 0 };

	sim_check(s, "far-check", hold_step(&n->hold, sim_clock(s, n->m), &in, &o) == 0 && hold_check(&n->hold) == 0);
	if (o.at && o.at != n->hold_at)
		sim_at(s, n->m, o.at, hold_tick, n, o.at);
	n->hold_at = o.at;
	for (size_t i = 0; i < o.n; i++) {
		const struct hold_fx *fx = &o.fx[i];
		const struct hold *h = map_get(&n->hold.numbers, fx->number);

		if (fx->kind == HOLD_FX_RESERVE && h)
			lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_RESERVE, .group = h->number, .job = 1, .bundles = h->bundle, .nbundle = h->n });
		else if (fx->kind == HOLD_FX_FREE)
			lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_RELEASE, .group = fx->number });
		else if (fx->kind == HOLD_FX_ANSWER)
			say(s, n, (struct word){ .kind = W_ANSWER, .group = fx->group, .round = fx->round, .answer = fx->answer });
	}
	free(o.fx);
}

static void
hold_tick(struct sim *s, void *arg, uint64_t at)
{
	struct node *n = arg;

	if (n->on && at == n->hold_at) {
		n->hold_at = 0;
		hold_do(s, n, (struct hold_in){ .kind = HOLD_IN_TICK });
	}
}

static void
lease_tick(struct sim *s, void *arg, uint64_t at)
{
	struct node *n = arg;

	if (n->on && at == n->lease_at) {
		n->lease_at = 0;
		lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_TICK });
	}
}

static void
called(struct sim *s, void *arg, uint64_t lease)	/* who has it gives it back */
{
	struct node *n = arg;

	if (n->on && lease_live(&n->lease, lease))
		lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_RETURN, .proc = 1, .lease = lease });
}

static void
lease_do(struct sim *s, struct node *n, struct lease_in in)
{
	struct lease_out o = { .n = 0 };

	sim_check(s, "far-check", lease_step(&n->lease, sim_clock(s, n->m), &in, &o) == 0 && lease_check(&n->lease) == 0);
	if (o.at && o.at != n->lease_at)
		sim_at(s, n->m, o.at, lease_tick, n, o.at);
	n->lease_at = o.at;
	for (size_t i = 0; i < o.n; i++) {
		const struct lease_fx *fx = &o.fx[i];

		if (fx->kind == LEASE_FX_GRANT && fx->worker == 0)
			lease_bind(&n->lease, fx->lease, ++n->worker);
		else if (fx->kind == LEASE_FX_RESERVED)
			hold_do(s, n, (struct hold_in){ .kind = HOLD_IN_RESERVED, .number = fx->group });
		else if (fx->kind == LEASE_FX_FAIL && fx->group)
			hold_do(s, n, (struct hold_in){ .kind = HOLD_IN_NEVER, .number = fx->group });
		else if (fx->kind == LEASE_FX_CALL && fx->level == 1)
			sim_after(s, n->m, sim_about(s, 100 * SIM_MS), called, n, fx->lease);
	}
	free(o.fx);
}

static void
busy(struct sim *s, void *arg, uint64_t k)		/* leases that are in the way */
{
	struct node *n = arg;

	(void)k;
	if (n->on && s->phase == SIM_CALM)
		lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_GONE, .proc = 1 });
	else if (n->on)
		lease_do(s, n, (struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 2, .shape = 1, .need = { { 1000 } }, .want = sim_below(s, 4) });
	if (s->phase != SIM_CALM)
		sim_after(s, n->m, sim_about(s, SIM_SEC), busy, n, 0);
}

static void
begin(struct sim *s, struct node *n)			/* as a new one */
{
	n->number = ++mine(s)->numbers;
	n->on = true;
	n->heard = sim_clock(s, n->m);
	n->lease_at = n->hold_at = 0;
	lease_init(&n->lease, &n->total, &(struct lease_limits){ 100, 100, 10 });
	hold_init(&n->hold);
}

static void
stop(struct node *n)
{
	if (n->on) {
		lease_release(&n->lease);
		hold_release(&n->hold);
	}
	n->on = false;
}

static void
introduce(struct sim *s, struct node *n)
{
	struct word w = { .kind = W_HELD, .n = 0 };

	for (const struct hold *h = NULL; (h = hold_next(&n->hold, h)) != NULL; w.n++) {
		sim_check(s, "far-check", w.n < HELD);
		w.held[w.n].group = h->group;
		w.held[w.n].round = h->round;
		w.held[w.n].state = h->state;
	}
	w.bundle[0] = n->total;
	say(s, n, w);
}

/* it has not heard of the store for too long: what it held is gone */
static bool
fenced(struct sim *s, struct node *n)
{
	if (sim_clock(s, n->m) < n->heard + FENCE)
		return false;
	sim_log(s, "far: node %u gives itself up", n->number);
	stop(n);
	begin(s, n);
	introduce(s, n);
	return true;
}

static void
beat(struct sim *s, void *arg, uint64_t k)
{
	struct node *n = arg;

	(void)k;
	fenced(s, n);
	say(s, n, (struct word){ .kind = W_BEAT, .at = sim_clock(s, n->m) });
	sim_after(s, n->m, BEAT, beat, n, 0);
}

static void
at_node(struct sim *s, struct node *n, const struct word *w)
{
	struct hold_in in = { .group = w->group, .round = w->round };

	if (fenced(s, n) || w->number != n->number)
		return;
	switch (w->kind) {
	case W_BEATEN: n->heard = w->at; return;
	case W_PREPARE:
		in.kind = HOLD_IN_PREPARE;
		in.job = 1;
		in.bundles = w->bundle;
		in.index = w->index;
		in.n = w->n;
		break;
	case W_COMMIT: in.kind = HOLD_IN_COMMIT; break;
	case W_RELEASE: in.kind = HOLD_IN_RELEASE; break;
	default: return;
	}
	hold_do(s, n, in);
}

/* --- the store: its disk ------------------------------------------------------------------------------------------------ */

static struct host *
host(struct part *p, uint32_t number)
{
	list_each(l, &p->hosts)
		if (list_entry(l, struct host, link)->number == number)
			return list_entry(l, struct host, link);
	return NULL;
}

static void
synced(struct sim *s, void *arg, uint64_t upto)
{
	struct part *p = mine(s);

	(void)arg;
	p->done = upto;
	p->syncing = false;
	list_each_safe(l, q, &p->writes) {
		struct write *w = list_entry(l, struct write, link);

		if (w->seq > upto)
			break;
		p->kept[w->group] = w->plan;
		p->acked[w->group] |= w->plan.known;
		list_del(&w->link);
		free(w);
	}
	list_each_safe(l, q, &p->letters) {
		struct letter *t = list_entry(l, struct letter, link);
		struct host *h = host(p, t->number);

		if (t->seq > upto)
			break;
		if (h && h->c)
			sim_send(s, h->c, 1, &t->w, sizeof t->w);
		list_del(&t->link);
		free(t);
	}
	if (p->seq > p->done) {
		p->syncing = true;
		sim_after(s, &s->machine[0], sim_about(s, 5 * SIM_MS), synced, NULL, p->seq);
	}
}

static void
keep(struct sim *s, uint64_t group)
{
	struct part *p = mine(s);
	struct write *w = malloc(sizeof *w);

	if (w == NULL)
		abort();
	*w = (struct write){ .seq = ++p->seq, .group = group, .plan = p->plan[group] };
	list_add_tail(&p->writes, &w->link);
	if (!p->syncing) {
		p->syncing = true;
		sim_after(s, &s->machine[0], sim_about(s, 5 * SIM_MS), synced, NULL, p->seq);
	}
}

static void
post(struct sim *s, uint32_t number, struct word w)
{
	struct part *p = mine(s);
	struct host *h = host(p, number);
	struct letter *t;

	w.number = number;
	if (list_empty(&p->letters) && p->done == p->seq) {
		if (h && h->c)
			sim_send(s, h->c, 1, &w, sizeof w);
		return;
	}
	if ((t = malloc(sizeof *t)) == NULL)
		abort();
	*t = (struct letter){ .seq = p->seq, .number = number, .w = w };
	list_add_tail(&p->letters, &t->link);
}

/* --- the store: groups -------------------------------------------------------------------------------------------------- */

static struct node *
at_number(const struct sim *s, uint32_t number)
{
	for (unsigned i = 1; i < s->nmachine; i++)
		if (mine(s)->node[i].number == number && holding(s, &mine(s)->node[i]))
			return &mine(s)->node[i];
	return NULL;
}

static bool
made(const struct part *p, uint64_t group, uint64_t round, unsigned bundle)
{
	for (size_t i = 0; i < p->nmade; i++)
		if (p->made[i].group == group && p->made[i].round == round && p->made[i].bundle == bundle)
			return true;
	return false;
}

static void
whole(struct sim *s, const struct gfar_group *g)
{
	struct part *p = mine(s);
	unsigned at;

	for (unsigned b = 0; b < g->n; b++) {
		const struct node *n = at_number(s, g->node[b]);

		if (n && hold_find(&n->hold, g->number, b, &at) == 0)
			sim_fail(s, "far-whole", "group %llu is created, and bundle %u is not at node %u", (unsigned long long)g->number, b, n->number);
		if (made(p, g->number, g->of[b], b))
			continue;
		if ((p->made = reallocarray(p->made, p->nmade + 1, sizeof *p->made)) == NULL)
			abort();
		p->made[p->nmade++] = (struct made){ g->number, g->of[b], b };
	}
}

static void
state(struct sim *s, const struct gfar_fx *fx)
{
	struct part *p = mine(s);
	const struct gfar_group *g = gfar_group(&p->far, fx->group);
	struct plan *w = &p->plan[fx->group];

	w->state = fx->state;
	w->ever |= fx->state == GROUP_CREATED;
	w->known = fx->state != GROUP_REMOVED;
	w->never = fx->state == GROUP_REMOVED && fx->code == ERR_INFEASIBLE;
	for (unsigned b = 0; b < w->n; b++) {
		w->at[b] = fx->state != GROUP_PENDING && g ? g->node[b] : 0;
		w->rounds[b] = fx->state != GROUP_PENDING && g ? g->of[b] : 0;
	}
	keep(s, fx->group);
	sim_log(s, "far: group %llu is %d", (unsigned long long)fx->group, (int)fx->state);
	if (fx->state == GROUP_CREATED) {
		p->created++;
		whole(s, g);
	}
}

static void
prepare(struct sim *s, const struct gfar_fx *fx)
{
	const struct gfar_group *g = gfar_group(&mine(s)->far, fx->group);
	struct word w = { .kind = W_PREPARE, .group = fx->group, .round = fx->round };

	for (unsigned b = 0; b < g->n; b++)
		if (g->node[b] == fx->node && g->of[b] == fx->round) {
			w.bundle[w.n] = g->bundle[b];
			w.index[w.n++] = b;
		}
	post(s, fx->node, w);
}

static void
far_tick(struct sim *s, void *arg, uint64_t at)
{
	(void)arg;
	if (at == mine(s)->far_at) {
		mine(s)->far_at = 0;
		far_do(s, (struct gfar_in){ .kind = GFAR_IN_TICK });
	}
}

static void
far_do(struct sim *s, struct gfar_in in)
{
	struct part *p = mine(s);
	struct gfar_out *o = &p->out;
	int e = gfar_step(&p->far, sim_clock(s, &s->machine[0]), &in, o);

	if (e < 0 || (e = gfar_check(&p->far)) != 0)
		sim_fail(s, "far-check", "group_far.c: %d at input %d", e, (int)in.kind);
	if (o->at && o->at != p->far_at)
		sim_at(s, &s->machine[0], o->at, far_tick, NULL, o->at);
	p->far_at = o->at;
	if (p->running)
		return;
	p->running = true;
	for (size_t i = 0; i < o->n; i++) {
		struct gfar_fx fx = o->fx[i];

		switch (fx.kind) {
		case GFAR_FX_PREPARE: prepare(s, &fx); break;
		case GFAR_FX_COMMIT: post(s, fx.node, (struct word){ .kind = W_COMMIT, .group = fx.group, .round = fx.round }); break;
		case GFAR_FX_RELEASE: post(s, fx.node, (struct word){ .kind = W_RELEASE, .group = fx.group, .round = fx.round }); break;
		case GFAR_FX_STATE: state(s, &fx); break;
		case GFAR_FX_FORGET: gfar_forget(&p->far, fx.group); break;
		}
	}
	o->n = 0;
	p->running = false;
}

static void
make(struct sim *s, uint64_t number, bool heir)
{
	struct plan *w = &mine(s)->plan[number];

	far_do(s, (struct gfar_in){ .kind = heir ? GFAR_IN_HEIR : GFAR_IN_NEW, .group = number, .job = 1, .strategy = w->strategy,
	    .bundles = w->bundle, .nbundle = w->n, .round = mine(s)->reign << 32, .at = w->at, .rounds = w->rounds, .ever = w->ever });
}

/* what it says that it holds, beside what it should: as the store does it (lib/node/gcs_groups.c) */
static void
reconcile(struct sim *s, uint32_t number, const struct word *w)
{
	for (uint64_t k = 1; k <= GROUPS; k++) {
		const struct gfar_group *g = gfar_group(&mine(s)->far, k);
		struct gfar_part parts[BUNDLES];
		unsigned n = g ? g->npart : 0;

		if (n)
			memcpy(parts, g->part, n * sizeof *parts);
		for (unsigned i = 0; i < n; i++) {
			struct gfar_in in = { .group = k, .node = number, .round = parts[i].round };
			int has = -1;

			if (parts[i].node != number)
				continue;
			for (unsigned h = 0; h < w->n; h++)
				if (w->held[h].group == k && w->held[h].round == parts[i].round)
					has = (int)w->held[h].state;
			in.kind = has < 0 ? GFAR_IN_REFUSED : GFAR_IN_READY;
			if (has >= 0 && parts[i].phase == GFAR_COMMITTING)
				post(s, number, (struct word){ .kind = W_COMMIT, .group = k, .round = in.round });
			else if (has < 0 || (parts[i].phase == GFAR_ASKED && has >= HOLD_READY))
				far_do(s, in);
		}
	}
	for (unsigned h = 0; h < w->n; h++)
		far_do(s, (struct gfar_in){ .kind = GFAR_IN_HELD, .node = number, .group = w->held[h].group, .round = w->held[h].round });
}

static void
at_store(struct sim *s, struct sim_conn *c, const struct word *w)
{
	static const enum gfar_in_kind kind[] = { GFAR_IN_READY, GFAR_IN_COMMITTED, GFAR_IN_REFUSED };
	struct part *p = mine(s);
	struct host *h = host(p, w->number);
	struct labels none = { 0 };

	if (w->kind == W_HELD) {
		if (h == NULL) {
			if ((h = calloc(1, sizeof *h)) == NULL)
				abort();
			h->number = w->number;
			list_add_tail(&p->hosts, &h->link);
		}
		h->c = c;
		h->heard = sim_clock(s, &s->machine[0]);
		reconcile(s, w->number, w);
		far_do(s, (struct gfar_in){ .kind = GFAR_IN_NODE, .node = w->number, .total = w->bundle[0], .labels = &none });
		return;
	}
	if (h == NULL || h->c != c)
		return;				/* given up, or it is connected anew */
	h->heard = sim_clock(s, &s->machine[0]);
	if (w->kind == W_BEAT)
		sim_send(s, c, 1, &(struct word){ .kind = W_BEATEN, .number = w->number, .at = w->at }, sizeof *w);
	else if (w->kind == W_ANSWER)
		far_do(s, (struct gfar_in){ .kind = kind[w->answer], .node = w->number, .group = w->group, .round = w->round });
}

static void
look(struct sim *s, void *arg, uint64_t k)		/* who was not heard; the time in which the store did not run counts for nobody */
{
	struct part *p = mine(s);
	uint64_t now = sim_clock(s, &s->machine[0]), late = now > p->due + 100 * SIM_MS ? now - p->due : 0;

	(void)arg, (void)k;
	list_each_safe(l, q, &p->hosts) {
		struct host *h = list_entry(l, struct host, link);
		uint32_t number = h->number;

		h->heard += late;
		if (h->heard > now)
			h->heard = now;
		if (now < h->heard + DEAD)
			continue;
		sim_log(s, "far: node %u is given up", number);
		if (h->c)
			sim_close(s, h->c, 1);
		list_del(&h->link);
		free(h);
		far_do(s, (struct gfar_in){ .kind = GFAR_IN_GONE, .node = number });
	}
	p->due = now + 100 * SIM_MS;
	sim_after(s, &s->machine[0], 100 * SIM_MS, look, NULL, 0);
}

static void
wish(struct sim *s, void *arg, uint64_t k)		/* of the user: a new group, or one less */
{
	struct part *p = mine(s);
	uint64_t g = 1 + sim_below(s, GROUPS);
	struct plan *w = &p->plan[g];

	(void)arg, (void)k;
	if (s->phase == SIM_CALM)
		return;
	sim_after(s, &s->machine[0], sim_about(s, SIM_SEC), wish, NULL, 0);
	if (w->n == 0 && !p->kept[g].n && !p->gone[g]) {
		*w = (struct plan){ .known = true, .n = 1 + (unsigned)sim_below(s, BUNDLES), .strategy = (enum group_strategy)sim_below(s, 4) };
		for (unsigned b = 0; b < w->n; b++)
			w->bundle[b].v[RES_CPU] = 1000 * (1 + (int64_t)sim_below(s, 2));
		keep(s, g);
		make(s, g, false);
	} else if (w->known && sim_chance(s, 300)) {
		p->gone[g] = true;
		far_do(s, (struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = g });
	}
}

/* --- connections ---------------------------------------------------------------------------------------------------------- */

static void	connect_now(struct sim *s, void *arg, uint64_t k);

static void
opened(struct sim *s, struct sim_conn *c)
{
	(void)s;
	c->side[1].arg = NULL;
}

static void
frames(struct sim *s, struct sim_conn *c, int side, struct span b)
{
	struct word w;

	memcpy(&w, b.p, sizeof w);
	if (side)
		at_store(s, c, &w);
	else if (c == ((struct node *)c->side[0].arg)->c)
		at_node(s, c->side[0].arg, &w);
}

static void
closed(struct sim *s, struct sim_conn *c, int side)
{
	if (side == 0) {
		struct node *n = c->side[0].arg;

		n->c = NULL;
		sim_after(s, n->m, sim_about(s, 100 * SIM_MS), connect_now, n, 0);
		return;
	}
	list_each(l, &mine(s)->hosts)
		if (list_entry(l, struct host, link)->c == c)
			list_entry(l, struct host, link)->c = NULL;
}

static const struct sim_ends ends = { opened, frames, closed };

static void
connect_now(struct sim *s, void *arg, uint64_t k)
{
	struct node *n = arg;

	(void)k;
	n->c = sim_connect(s, n->m, &s->machine[0], &ends, n);
	if (!fenced(s, n))
		introduce(s, n);
}

/* --- the part ------------------------------------------------------------------------------------------------------------- */

static void
init(struct sim *s)
{
	struct part *p = calloc(1, sizeof *p);

	if (p == NULL || (p->node = calloc(s->nmachine, sizeof *p->node)) == NULL)
		abort();
	s->of[FAR_PART] = p;
	list_init(&p->hosts);
	list_init(&p->writes);
	list_init(&p->letters);
	for (unsigned i = 1; i < s->nmachine; i++) {
		p->node[i].m = &s->machine[i];
		p->node[i].total.v[RES_CPU] = 1000 * (2 + (int64_t)sim_below(s, 4));
	}
}

static void
forget_all(struct part *p)
{
	list_each_safe(l, q, &p->hosts)
		free(list_entry(l, struct host, link));
	list_each_safe(l, q, &p->writes)
		free(list_entry(l, struct write, link));
	list_each_safe(l, q, &p->letters)
		free(list_entry(l, struct letter, link));
	list_init(&p->hosts);
	list_init(&p->writes);
	list_init(&p->letters);
}

static void
store_up(struct sim *s)
{
	struct part *p = mine(s);
	uint64_t now = sim_clock(s, &s->machine[0]);

	gfar_init(&p->far);
	p->reign++;
	p->far_at = 0;
	p->seq = p->done = 0;
	p->syncing = false;
	p->due = now;
	memcpy(p->plan, p->kept, sizeof p->plan);
	for (uint64_t g = 1; g <= GROUPS; g++) {
		struct plan *w = &p->plan[g];

		if (!w->known)
			continue;
		make(s, g, w->state != GROUP_PENDING);
		for (unsigned b = 0; b < w->n; b++) {		/* who does not come back in time is gone */
			struct host *h = w->at[b] && host(p, w->at[b]) == NULL ? calloc(1, sizeof *h) : NULL;

			if (h) {
				*h = (struct host){ .number = w->at[b], .heard = now };
				list_add_tail(&p->hosts, &h->link);
			}
		}
	}
	look(s, NULL, 0);
	wish(s, NULL, 0);
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct node *n = &mine(s)->node[m->i];

	if (m->i == 0) {
		store_up(s);
		return;
	}
	begin(s, n);
	connect_now(s, n, 0);
	beat(s, n, 0);
	busy(s, n, 0);
}

static void
down(struct sim *s, struct sim_machine *m)
{
	struct part *p = mine(s);

	if (m->i) {
		p->node[m->i].c = NULL;
		stop(&p->node[m->i]);
		return;
	}
	gfar_release(&p->far);
	p->out.n = 0;
	forget_all(p);
}

static void
step(struct sim *s)
{
	struct part *p = mine(s);
	uint32_t at[GROUPS + 1][BUNDLES] = { { 0 } };

	for (unsigned i = 1; i < s->nmachine; i++) {
		const struct node *n = &p->node[i];

		if (!holding(s, n))
			continue;
		for (const struct hold *h = NULL; (h = hold_next(&n->hold, h)) != NULL;)
			for (unsigned b = 0; h->state == HOLD_COMMITTED && b < h->n; b++) {
				uint32_t *is = &at[h->group][h->index[b]];

				if (p->gone[h->group] || !made(p, h->group, h->round, h->index[b]))
					continue;
				if (*is)
					sim_fail(s, "far-twice", "bundle %u of group %llu is at nodes %u and %u", h->index[b],
					    (unsigned long long)h->group, *is, n->number);
				*is = n->number;
			}
	}
}

static bool
settled(struct sim *s, bool tell)		/* tell: say what is not */
{
	struct part *p = mine(s);
	struct res *sum = calloc(s->nmachine, sizeof *sum);
	bool well = true;

#define WRONG(...) do { well = false; if (tell) sim_fail(s, __VA_ARGS__); } while (0)
	for (uint64_t k = 1; k <= GROUPS; k++) {
		const struct gfar_group *g = gfar_group(&p->far, k);

		if (p->acked[k] && !p->gone[k] && g == NULL && !p->plan[k].never)
			WRONG("far-lost", "group %llu is not there", (unsigned long long)k);
		for (unsigned b = 0; g && g->npart && b < g->n; b++)
			for (unsigned i = 1; i < s->nmachine; i++)
				if (p->node[i].number == g->node[b])
					sum[i].v[RES_CPU] += g->bundle[b].v[RES_CPU];
		if (g && g->state != GROUP_CREATED) {
			struct group_want w = { .strategy = g->strategy, .n = g->n, .bundle = g->bundle };
			uint32_t at[BUNDLES];
			char text[200];

			memcpy(at, g->node, g->n * sizeof *at);
			if ((g->npart && !g->ever) || group_plan_over(p->far.order, p->far.norder, &w, at, text) == 1)
				WRONG("far-aside", "group %llu waits, and there is room", (unsigned long long)k);
		}
	}
	for (unsigned i = 1; i < s->nmachine; i++) {
		const struct node *n = &p->node[i];

		if (n->lease.total.v[RES_CPU] - n->lease.free.v[RES_CPU] != sum[i].v[RES_CPU])
			WRONG("far-aside", "node %u has set %lld aside, groups have %lld there", n->number,
			    (long long)(n->lease.total.v[RES_CPU] - n->lease.free.v[RES_CPU]), (long long)sum[i].v[RES_CPU]);
	}
	free(sum);
	return well;
}

static void
calm(struct sim *s)
{
	for (unsigned i = 1; i < s->nmachine; i++)
		busy(s, &mine(s)->node[i], 0);
}

static bool
done(struct sim *s)
{
	struct part *p = mine(s);

	for (unsigned i = 1; i < s->nmachine; i++)
		if (host(p, p->node[i].number) == NULL || list_empty(&p->hosts))
			return false;
	return list_empty(&p->writes) && settled(s, false);
}

static void
end(struct sim *s)
{
	settled(s, true);
}

static void
release(struct sim *s)
{
	struct part *p = mine(s);

	gfar_release(&p->far);
	forget_all(p);
	for (unsigned i = 1; i < s->nmachine; i++)
		stop(&p->node[i]);
	free(p->out.fx);
	free(p->made);
	free(p->node);
	free(p);
}

const struct sim_part part_far = { "far", init, up, down, NULL, step, calm, done, end, release };
