/* core_overflow_world.c - several nodes with their lease cores: what one cannot grant others do, all is granted at last, nothing twice, with few messages */
#include <stdlib.h>
#include <string.h>
#include "core/guest.h"
#include "core/overflow.h"
#include "tap.h"

#define MS UINT64_C(1000000)
enum { NODES = 6, PROCS = 4, SHAPES = 8, LEASES = 65536, EVENTS = 8192 };

enum what { NOTHING, M_ASK, M_UNASK, M_ANSWER, M_RETURN, M_EXIT, M_LOAD, END, REPORT, TICK_LEASE, TICK_FLOW, TICK_GUEST, BEGIN, LEAVE, DIE, SEEN_DEAD };

struct event {
	uint64_t at, order;
	enum what what;
	unsigned from, to;		/* nodes, from 1 */
	uint32_t proc;
	uint64_t shape, ask, n, granted, refused, dropped, seq;
	bool patient;
	unsigned lease;
	struct res free, waiting;
};

struct shape {
	struct where_demand d;
	struct label_expr expr;
};

struct process {
	bool alive;
	uint64_t left[SHAPES];		/* tasks */
	unsigned never;
};

struct held {				/* a lease, by whoever granted it */
	bool live, used, called;	/* used: its holder runs something with it */
	unsigned host, home;
	uint64_t id, shape;
	uint32_t proc;
};

static struct world {
	bool alive;
	struct lease_core lease;
	struct lease_out lo;
	struct where where;
	struct overflow flow;
	struct overflow_out fo;
	struct guests guest;
	struct guest_out go;
	struct process proc[PROCS];
	uint64_t seq;
	uint64_t at[3];			/* of the ticks that are due */
	uint32_t worker;
} node[NODES + 1];

static unsigned nnode;
static struct shape shape[SHAPES];
static struct held held[LEASES];
static unsigned nheld, tasks, messages, broken;
static struct { unsigned never, patient, unask, back, refused, dropped, late; } seen;	/* in all worlds: what must have come about */
static struct event event[EVENTS];
static size_t nevent;
static uint64_t now, order, last_at[NODES + 1][NODES + 1];
static unsigned random_state;
static uint64_t delay_max;

static unsigned
dice(unsigned n)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 8) % n;
}

static void
post(uint64_t at, struct event e)
{
	if (nevent == EVENTS) {
		broken++;
		return;
	}
	e.at = at;
	e.order = ++order;
	event[nevent++] = e;
}

static void
mail(struct event e)			/* from one node to another: late, in order */
{
	uint64_t at = now + 50000 + (uint64_t)dice(1000) * delay_max / 1000;

	if (at < last_at[e.from][e.to])
		at = last_at[e.from][e.to];
	last_at[e.from][e.to] = at;
	messages += e.what != M_LOAD;
	post(at, e);
}

static uint32_t
alias(unsigned home, uint32_t proc)
{
	return home * 100 + proc;
}

static void
fail(const char *what, int line)
{
	if (broken++ < 3)
		printf("# %s: line %d at %.3f ms\n", what, line, (double)now / 1e6);
}

static void lease_do(unsigned n, struct lease_in in);
static void flow_do(unsigned n, struct overflow_in in);
static void guest_do(unsigned n, struct guest_in in);

/* --- a node carries out what its cores say ---------------------------------------------------------------- */

static void
local_figures(unsigned n)
{
	struct res none = { { 0 } };
	struct world *w = &node[n];

	where_load(&w->where, n, ++w->seq, &w->lease.free, &none, false);
}

static void
granted(unsigned n, const struct lease_fx *fx)
{
	struct world *w = &node[n];
	struct held *h;

	if (fx->worker == 0)
		lease_bind(&w->lease, fx->lease, ++w->worker);
	if (nheld == LEASES) {
		broken++;
		return;
	}
	h = &held[nheld++];
	*h = (struct held){ .live = true, .host = n, .home = fx->proc / 100, .id = fx->lease, .shape = fx->shape, .proc = fx->proc % 100 };
	if (h->home == n) {
		flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_HERE, .proc = fx->proc, .shape = fx->shape });
		h->used = true;
		post(now + MS / 10 + (uint64_t)dice(40) * MS, (struct event){ .what = END, .from = n, .to = n, .lease = nheld - 1 });
	} else
		guest_do(n, (struct guest_in){ .kind = GUEST_IN_GRANTED, .proc = fx->proc, .shape = fx->shape, .n = nheld - 1 });
}

static void
lease_do(unsigned n, struct lease_in in)
{
	struct world *w = &node[n];
	struct lease_out o = { .n = 0 };
	int e;

	if (lease_step(&w->lease, now, &in, &o) < 0)
		broken++;
	if ((e = lease_check(&w->lease)) != 0)
		fail("lease_check", e);
	local_figures(n);
	w->at[0] = o.at;
	if (o.at)
		post(o.at, (struct event){ .what = TICK_LEASE, .from = n, .to = n });
	for (size_t i = 0; i < o.n; i++) {
		const struct lease_fx *fx = &o.fx[i];

		if (fx->kind == LEASE_FX_GRANT && lease_live(&w->lease, fx->lease))
			granted(n, fx);
		else if (fx->kind == LEASE_FX_FAIL && fx->proc / 100 != n)
			guest_do(n, (struct guest_in){ .kind = GUEST_IN_NEVER, .proc = fx->proc, .shape = fx->shape });
		else if (fx->kind == LEASE_FX_FAIL)
			fail("a local demand that was feasible failed", 0);
		for (unsigned k = 0; fx->kind == LEASE_FX_CALL && k < nheld; k++)
			if (held[k].live && held[k].host == n && held[k].id == fx->lease && !held[k].called) {
				held[k].called = true;
				if (held[k].used)
					post(now + MS + (uint64_t)dice(3000) * 1000, (struct event){ .what = END, .from = n, .to = n, .lease = k });
			}
	}
	free(o.fx);
}

static void
lease_ask(unsigned n, uint32_t proc, uint64_t s, uint64_t want)
{
	lease_do(n, (struct lease_in){ .kind = LEASE_IN_ASK, .proc = proc, .job = proc, .shape = s, .need = shape[s].d.need, .want = want, .req = 1 });
}

static void
flow_do(unsigned n, struct overflow_in in)
{
	struct world *w = &node[n];
	struct overflow_out o = { .n = 0 };
	int e;

	if (overflow_step(&w->flow, now, &in, &o) < 0)
		broken++;
	if ((e = overflow_check(&w->flow)) != 0)
		fail("overflow_check", e);
	w->at[1] = o.at;
	if (o.at)
		post(o.at, (struct event){ .what = TICK_FLOW, .from = n, .to = n });
	for (size_t i = 0; i < o.n; i++) {
		const struct overflow_fx *fx = &o.fx[i];
		struct event m = { .from = n, .to = fx->node, .proc = fx->proc, .shape = fx->shape, .ask = fx->ask, .n = fx->n, .patient = fx->patient };

		switch (fx->kind) {
		case OVERFLOW_FX_LOCAL: lease_ask(n, fx->proc, fx->shape, overflow_local(&w->flow, fx->proc, fx->shape)); break;
		case OVERFLOW_FX_ASK:
			if (fx->node == 0 || fx->node == n || fx->node > nnode)
				fail("asked of", (int)fx->node);
			m.what = M_ASK;
			seen.patient += fx->patient;
			mail(m);
			break;
		case OVERFLOW_FX_UNASK: m.what = M_UNASK; seen.unask++; mail(m); break;
		case OVERFLOW_FX_RETURN:
			m.what = M_RETURN;
			seen.back++;
			m.lease = (unsigned)in.want;
			if (in.kind != OVERFLOW_IN_ANSWER || fx->n != 1)
				fail("returned", (int)fx->n);
			else {
				held[m.lease].used = false;
				mail(m);
			}
			break;
		case OVERFLOW_FX_NEVER:
			seen.never++;
			w->proc[fx->proc % 100].left[fx->shape] = 0;
			w->proc[fx->proc % 100].never |= 1u << fx->shape;
			break;
		case OVERFLOW_FX_NOTICE: break;
		}
	}
	free(o.fx);
}

static void
refused_late(unsigned n, unsigned k)
{
	held[k].live = false;
	seen.late++;
	lease_do(n, (struct lease_in){ .kind = LEASE_IN_RETURN, .proc = alias(held[k].home, held[k].proc), .lease = held[k].id });
}

static void
guest_do(unsigned n, struct guest_in in)
{
	struct world *w = &node[n];
	struct guest_out o = { .n = 0 };
	int e;

	if (guest_step(&w->guest, now, &in, &o) < 0)
		broken++;
	if ((e = guest_check(&w->guest)) != 0)
		fail("guest_check", e);
	w->at[2] = o.at;
	if (o.at)
		post(o.at, (struct event){ .what = TICK_GUEST, .from = n, .to = n });
	for (size_t i = 0; i < o.n; i++) {
		const struct guest_fx *fx = &o.fx[i];

		if (fx->kind == GUEST_FX_LOCAL)
			lease_ask(n, fx->proc, fx->shape, guest_local(&w->guest, fx->proc, fx->shape));
		else if (fx->kind == GUEST_FX_RETURN)
			refused_late(n, (unsigned)in.n);
		else
			mail((struct event){ .what = M_ANSWER, .from = n, .to = fx->node, .proc = fx->proc, .shape = fx->shape, .ask = fx->ask,
			    .granted = fx->granted, .refused = fx->refused, .dropped = fx->dropped, .lease = (unsigned)in.n, .seq = ++w->seq, .free = w->lease.free });
	}
	free(o.fx);
}

/* --- processes --------------------------------------------------------------------------------------------- */

static bool
here(unsigned n, uint64_t s)
{
	char text[160];

	if (shape[s].d.strategy == WHERE_NODE && shape[s].d.node != n)
		return false;
	return lease_feasible(&node[n].lease, &shape[s].d.need, text, sizeof text) &&
	    (shape[s].d.nlabels == 0 || label_expr_match(&shape[s].expr, &where_get(&node[n].where, n)->labels));
}

static void
want(unsigned n, uint32_t p, uint64_t s)
{
	flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_WANT, .proc = alias(n, p), .shape = s, .want = node[n].proc[p].left[s], .demand = &shape[s].d,
	    .here = here(n, s) });
}

/* its host has it back; over: the home knew it as granted */
static void
give_back(struct held *h)
{
	if (!h->live)
		return;
	h->live = false;
	if (!node[h->host].alive)
		return;
	lease_do(h->host, (struct lease_in){ .kind = LEASE_IN_RETURN, .proc = alias(h->home, h->proc), .lease = h->id });
	if (h->home != h->host)
		guest_do(h->host, (struct guest_in){ .kind = GUEST_IN_OVER, .proc = alias(h->home, h->proc), .shape = h->shape });
	else
		flow_do(h->host, (struct overflow_in){ .kind = OVERFLOW_IN_OVER, .proc = alias(h->home, h->proc), .shape = h->shape });
}

static void
task_done(unsigned k)
{
	struct held *h = &held[k];
	struct process *p = &node[h->home].proc[h->proc];

	if (!h->used || !node[h->home].alive || !p->alive)
		return;
	h->used = false;
	p->left[h->shape] -= p->left[h->shape] > 0;
	tasks++;
	if (h->home == h->host)
		give_back(h);
	else {
		mail((struct event){ .what = M_RETURN, .from = h->home, .to = h->host, .lease = k });
		flow_do(h->home, (struct overflow_in){ .kind = OVERFLOW_IN_OVER, .proc = alias(h->home, h->proc), .shape = h->shape, .node = h->host });
	}
	want(h->home, h->proc, h->shape);
}

static void
leave(unsigned n, uint32_t p)
{
	node[n].proc[p].alive = false;
	for (unsigned k = 0; k < nheld; k++)
		if (held[k].live && held[k].home == n && held[k].proc == p) {
			held[k].used = false;
			if (held[k].host == n)
				held[k].live = false;
		}
	lease_do(n, (struct lease_in){ .kind = LEASE_IN_GONE, .proc = alias(n, p) });
	flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_EXIT, .proc = alias(n, p) });
	for (unsigned i = 1; i <= nnode; i++)
		if (i != n)
			mail((struct event){ .what = M_EXIT, .from = n, .to = i, .proc = alias(n, p) });
}

static void
alias_gone(unsigned n, uint32_t a)
{
	for (unsigned k = 0; k < nheld; k++)
		if (held[k].host == n && alias(held[k].home, held[k].proc) == a)
			held[k].live = false;
	lease_do(n, (struct lease_in){ .kind = LEASE_IN_GONE, .proc = a });
	guest_do(n, (struct guest_in){ .kind = GUEST_IN_EXIT, .proc = a });
}

static void
seen_dead(unsigned n, unsigned dead)
{
	where_gone(&node[n].where, dead);
	flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = dead });
	for (unsigned k = 0; k < nheld; k++)
		if (held[k].host == dead && held[k].home == n && held[k].used) {
			held[k].used = false;
			flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_OVER, .proc = alias(n, held[k].proc), .shape = held[k].shape, .node = dead });
			want(n, held[k].proc, held[k].shape);
		}
	for (uint32_t p = 0; p < PROCS; p++)
		alias_gone(n, alias(dead, p));
}

/* --- events -------------------------------------------------------------------------------------------------- */

static void
report(unsigned n)
{
	uint64_t seq = ++node[n].seq;

	for (unsigned i = 1; i <= nnode; i++)
		if (i != n && node[i].alive)
			mail((struct event){ .what = M_LOAD, .from = n, .to = i, .seq = seq, .free = node[n].lease.free });
	post(now + 20 * MS, (struct event){ .what = REPORT, .from = n, .to = n });
}

static void
on_answer(unsigned n, const struct event *e)
{
	struct where *w = &node[n].where;
	struct overflow_split before = { 0 }, after = { 0 };
	struct held *h = &held[e->lease];

	seen.refused += e->refused > 0;
	seen.dropped += e->dropped > 0;
	where_load(w, e->from, e->seq, &e->free, &e->waiting, false);
	overflow_split(&node[n].flow, e->proc, e->shape, &before);
	if (e->granted)
		h->used = true;
	flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = e->from, .ask = e->ask, .granted = e->granted, .refused = e->refused,
	    .dropped = e->dropped, .want = e->lease });	/* want: for us */
	overflow_split(&node[n].flow, e->proc, e->shape, &after);
	if (e->granted && h->used) {
		if (after.far != before.far + 1)
			fail("a grant that is not counted", (int)after.far);
		post(now + MS / 10 + (uint64_t)dice(40) * MS, (struct event){ .what = END, .from = n, .to = n, .lease = e->lease });
	}
}

static void
happen(const struct event *e)
{
	unsigned n = e->to;

	switch (e->what) {
	case NOTHING: break;
	case M_ASK: guest_do(n, (struct guest_in){ .kind = GUEST_IN_ASK, .proc = e->proc, .node = e->from, .ask = e->ask, .shape = e->shape, .n = e->n,
		.patient = e->patient }); break;
	case M_UNASK: guest_do(n, (struct guest_in){ .kind = GUEST_IN_UNASK, .proc = e->proc, .ask = e->ask, .n = e->n }); break;
	case M_ANSWER: on_answer(n, e); break;
	case M_RETURN: give_back(&held[e->lease]); break;
	case M_EXIT: alias_gone(n, e->proc); break;
	case M_LOAD:
		where_load(&node[n].where, e->from, e->seq, &e->free, &e->waiting, false);
		flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_TABLE });
		break;
	case END: task_done(e->lease); break;
	case REPORT: report(n); break;
	case TICK_LEASE: if (node[n].at[0] == e->at) lease_do(n, (struct lease_in){ .kind = LEASE_IN_TICK }); break;
	case TICK_FLOW: if (node[n].at[1] == e->at) flow_do(n, (struct overflow_in){ .kind = OVERFLOW_IN_TICK }); break;
	case TICK_GUEST: if (node[n].at[2] == e->at) guest_do(n, (struct guest_in){ .kind = GUEST_IN_TICK }); break;
	case BEGIN: if (node[n].proc[e->proc].alive) want(n, e->proc, e->shape); break;
	case LEAVE: if (node[n].proc[e->proc].alive) leave(n, e->proc); break;
	case DIE:
		node[n].alive = false;
		for (unsigned i = 1; i <= nnode; i++)
			if (node[i].alive)
				post(now + 300 * MS, (struct event){ .what = SEEN_DEAD, .from = i, .to = i, .n = n });
		break;
	case SEEN_DEAD: seen_dead(n, (unsigned)e->n); break;
	}
}

/* what is granted of a node by leases that anybody may still use is never more than it has */
static void
not_twice(unsigned n)
{
	struct res sum = { { 0 } };

	for (unsigned k = 0; k < nheld; k++)
		for (unsigned r = 0; r < RES_MAX && held[k].live && held[k].host == n; r++)
			sum.v[r] += shape[held[k].shape].d.need.v[r];
	for (unsigned r = 0; r < RES_MAX; r++)
		if (sum.v[r] > node[n].lease.total.v[r])
			fail("granted twice", (int)n);
}

static bool
all_done(void)
{
	for (unsigned n = 1; n <= nnode; n++)
		for (uint32_t p = 0; p < PROCS && node[n].alive; p++)
			for (unsigned s = 0; s < SHAPES && node[n].proc[p].alive; s++)
				if (node[n].proc[p].left[s])
					return false;
	return true;
}

static void
run(uint64_t until, bool stop)
{
	while (nevent && !broken && !(stop && all_done())) {
		struct event e;
		size_t i = 0;

		for (size_t k = 1; k < nevent; k++)
			if (event[k].at < event[i].at || (event[k].at == event[i].at && event[k].order < event[i].order))
				i = k;
		if (event[i].at > until)
			break;
		e = event[i];
		event[i] = event[--nevent];
		now = e.at > now ? e.at : now;
		if (node[e.to].alive && node[e.from].alive) {
			happen(&e);
			not_twice(e.to);
		}
	}
	if (nevent == 0 || !stop)
		now = until;
}

/* --- worlds -------------------------------------------------------------------------------------------------- */

static void
world(unsigned seed, unsigned n, uint64_t delay)
{
	static const char *const labels[] = { "zone=eu", "zone=us", "zone=eu,disk=ssd" };
	char why[LABELS_WHY];

	random_state = seed * 7919;
	nnode = n;
	nheld = tasks = messages = 0;
	nevent = 0;
	now = 1000 * MS;
	delay_max = delay;
	memset(last_at, 0, sizeof last_at);
	for (unsigned i = 1; i <= n; i++) {
		struct world *w = &node[i];
		struct res total = { { 1000 * (1 + (int64_t)dice(6)), 1000 * (dice(3) ? 0 : (int64_t)dice(3)) } };

		*w = (struct world){ .alive = true, .worker = 100000 };
		lease_init(&w->lease, &total, &(struct lease_limits){ 1000, 1000, 10 });
		where_init(&w->where, i);
		overflow_init(&w->flow, &w->where);
		guest_init(&w->guest);
	}
	for (unsigned i = 1; i <= n; i++)
		for (unsigned k = 1; k <= n; k++) {
			struct labels l = { 0 };

			labels_parse(&l, span_text(labels[k % 3]), why);
			where_node(&node[i].where, k, &node[k].lease.total, &l, 100 * k);
			labels_release(&l);
		}
	for (unsigned s = 0; s < SHAPES; s++)
		shape[s] = (struct shape){ .d.need = { { 1000 } } };
	shape[1].d.need.v[RES_CPU] = 3000;
	shape[2].d.need.v[RES_GPU] = 1000;
	shape[3].d.need.v[RES_GPU] = 500;
	shape[4].d.strategy = WHERE_SPREAD;
	shape[5].d.strategy = WHERE_NODE;
	shape[5].d.node = n;
	label_expr_parse(&shape[6].expr, span_text("zone=eu"), why);
	shape[6].d.labels = &shape[6].expr;
	shape[6].d.nlabels = 1;
	shape[7].d.need.v[RES_CPU] = 6000;
	for (unsigned i = 1; i <= n; i++)
		post(now + (uint64_t)dice(20) * MS, (struct event){ .what = REPORT, .from = i, .to = i });
}

static void
process(unsigned n, uint32_t p, uint64_t s, uint64_t left, uint64_t at)
{
	node[n].proc[p].alive = true;
	node[n].proc[p].left[s] = left;
	post(at, (struct event){ .what = BEGIN, .from = n, .to = n, .proc = p, .shape = s });
}

static void
world_end(void)
{
	for (unsigned i = 1; i <= nnode; i++) {
		lease_release(&node[i].lease);
		overflow_release(&node[i].flow);
		guest_release(&node[i].guest);
		where_release(&node[i].where);
	}
	label_expr_release(&shape[6].expr);
}

/* nobody wants anything: all is free, nobody remembers anything */
static void
at_rest(void)
{
	for (unsigned i = 1; i <= nnode; i++) {
		struct world *w = &node[i];
		struct where_kind *k = where_kind(&w->where, &shape[0].d);
		struct where_found f;

		where_find(&w->where, now, k, NULL, 0, &f);		/* old asks are forgotten */
		where_kind_put(&w->where, k);
		if (!w->alive)
			continue;
		if (memcmp(&w->lease.free, &w->lease.total, sizeof w->lease.free) != 0)
			fail("not all is free again", (int)i);
		if (w->flow.procs.n || w->flow.asks.n || !list_empty(&w->flow.hungry))
			fail("somebody is still remembered", (int)i);
		if (w->guest.procs.n)
			fail("a guest is still remembered", (int)i);
		if (where_check(&w->where))
			fail("where_check", where_check(&w->where));
		for (unsigned j = 1; j <= nnode; j++)
			if (where_get(&w->where, j) && where_get(&w->where, j)->asked.v[0])
				fail("still asked of", (int)j);
	}
}

static void
one_world(unsigned seed)
{
	uint64_t bound;

	world(seed, 2 + seed % (NODES - 1), seed % 3 == 0 ? 200000 : seed % 3 == 1 ? 3 * MS : 30 * MS);
	for (unsigned n = 1; n <= nnode; n++)
		for (uint32_t p = 0; p < PROCS; p++)
			for (unsigned s = 0; s < SHAPES; s++)
				if (dice(3) == 0)
					process(n, p, s, 1 + dice(12), now + (uint64_t)dice(300) * MS);
	if (seed % 4 == 1)
		post(now + (uint64_t)dice(500) * MS, (struct event){ .what = LEAVE, .from = 1, .to = 1, .proc = dice(PROCS) });
	if (seed % 4 == 2) {
		unsigned n = 1 + dice(nnode);

		post(now + (uint64_t)dice(500) * MS, (struct event){ .what = DIE, .from = n, .to = n });
	}
	run(now + 60000 * MS, true);
	if (!all_done() && !broken)
		fail("work that could run was not granted", 0);
	run(now + 2000 * MS, false);
	if (!broken)
		at_rest();
	bound = 5u * tasks + 100;
	if (messages > bound)
		fail("too many messages", (int)messages);
	for (unsigned k = 0; broken && k < nheld; k++)
		if (held[k].live)
			printf("# node %u: lease %llu of process %u of node %u, shape %u%s%s\n", held[k].host, (unsigned long long)held[k].id,
			    held[k].proc, held[k].home, (unsigned)held[k].shape, held[k].used ? ", used" : "", held[k].called ? ", called" : "");
	if (broken) {
		printf("# seed %u: %u nodes, %u tasks, %u messages\n", seed, nnode, tasks, messages);
		for (unsigned n = 1; n <= nnode; n++)
			for (uint32_t p = 0; p < PROCS; p++)
				for (unsigned s = 0; s < SHAPES; s++) {
					struct overflow_split x = { 0 };

					if (node[n].proc[p].left[s] && node[n].alive && overflow_split(&node[n].flow, alias(n, p), s, &x))
						printf("# node %u process %u shape %u: %u left; want %u local %u have %u asked %u far %u\n", n, p, s,
						    (unsigned)node[n].proc[p].left[s], (unsigned)x.want, (unsigned)x.local, (unsigned)x.have, (unsigned)x.asked,
						    (unsigned)x.far);
				}
	}
	world_end();
}

int
main(int argc, char *argv[])
{
	unsigned from = argc > 1 ? (unsigned)atoi(argv[1]) : 1, to = argc > 2 ? (unsigned)atoi(argv[2]) : argc > 1 ? from : getenv("ROTA_LONG") ? 5000 : 100;
	unsigned all = 0, mails = 0;

	for (unsigned seed = from; seed <= to && !broken; seed++) {
		one_world(seed);
		all += tasks;
		mails += messages;
	}
	ok(!broken);
	printf("# never %u, patiently %u, taken back %u, dropped %u, refused %u, returned %u, refused while granted %u\n", seen.never, seen.patient,
	    seen.unask, seen.dropped, seen.refused, seen.back, seen.late);
	ok(from != 1 || to < 100 || (seen.never && seen.patient && seen.unask && seen.dropped && seen.refused && seen.back));
	printf("# %u tasks, %.1f messages for each\n", all, (double)mails / (all + !all));
	return tap_done();
}
