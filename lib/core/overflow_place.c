/* overflow_place.c - how what a process wants is split: this node, others, and back. */
#include <stdio.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/overflow_inner.h"

struct overflow_fx *
overflow_fx_add(struct overflow_out *o, enum overflow_fx_kind kind, const struct flow *f)
{
	static struct overflow_fx lost;	/* no memory: the effect is dropped */
	struct overflow_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct overflow_fx){ .kind = kind, .proc = f ? f->proc : 0, .shape = f ? f->shape : 0 };
	return &p[o->n++];
}

static uint64_t
patient(const struct flow *f)
{
	uint64_t n = 0;

	list_each(p, &f->asks) {
		const struct ask *a = list_entry(p, struct ask, link);

		n += a->patient ? a->n - a->back : 0;
	}
	return n;
}

/* --- asking and taking back -------------------------------------------------------------------------------- */

static bool
ask(struct overflow *c, uint64_t now, struct flow *f, uint32_t node, uint64_t n, bool is_patient, struct overflow_out *o)
{
	struct ask *a = malloc(sizeof *a);
	struct overflow_fx *fx;

	if (a == NULL || map_put(&c->asks, c->last + 1, a) < 0) {
		free(a);
		return false;
	}
	*a = (struct ask){ .flow = f, .node = node, .patient = is_patient, .number = ++c->last, .n = n,
	    .ticket = where_ask(c->w, now, node, &f->need, n) };
	list_add_tail(&f->asks, &a->link);
	f->asked += n;
	fx = overflow_fx_add(o, OVERFLOW_FX_ASK, f);
	fx->node = node;
	fx->ask = a->number;
	fx->n = n;
	fx->patient = is_patient;
	return true;
}

static void
unask(struct ask *a, uint64_t n, struct overflow_out *o)
{
	struct overflow_fx *fx = overflow_fx_add(o, OVERFLOW_FX_UNASK, a->flow);

	fx->node = a->node;
	fx->ask = a->number;
	fx->n = n;
	a->back += n;
	a->flow->asked -= n;
}

void
overflow_ask_end(struct overflow *c, struct ask *a)
{
	where_settle(c->w, a->ticket, a->n);
	map_del(&c->asks, a->number);
	list_del(&a->link);
	free(a);
}

/* of what is asked and not taken back the furthest, of like ones the last; patiently: of those */
static struct ask *
furthest(const struct overflow *c, const struct flow *f, bool patiently)
{
	struct ask *best = NULL;
	unsigned far = 0;

	list_each(p, &f->asks) {
		struct ask *a = list_entry(p, struct ask, link);
		const struct where_node *n = where_get(c->w, a->node);

		if (a->n == a->back || (patiently && !a->patient) || (best && n && n->far < far))
			continue;
		best = a;
		far = n ? n->far : far;
	}
	return best;
}

void
overflow_take_back(struct overflow *c, struct flow *f, uint64_t n, bool patiently, struct overflow_out *o)
{
	struct ask *a;

	while (n > 0 && (a = furthest(c, f, patiently)) != NULL) {
		uint64_t k = a->n - a->back < n ? a->n - a->back : n;

		unask(a, k, o);
		n -= k;
	}
}

/* no more than is wanted: first what waits here, then what others were asked for, then this node is told */
static void
trim(struct overflow *c, struct flow *f, struct overflow_out *o)
{
	uint64_t sum = f->local + f->asked + f->far, over = sum > f->want ? sum - f->want : 0, n;

	n = waits_here(f) < over ? waits_here(f) : over;
	f->local -= n;
	over -= n;
	n = f->asked < over ? f->asked : over;
	overflow_take_back(c, f, n, false, o);
	over -= n;
	f->local -= f->local < over ? f->local : over;
}

/* --- where it goes ----------------------------------------------------------------------------------------- */

bool
overflow_here(struct overflow *c, uint64_t now, const struct flow *f)
{
	const struct where_node *l = where_get(c->w, c->w->local);

	if (!f->could || (l && l->draining))
		return false;
	return f->first || where_may(c->w, now, f->kind, c->w->local);
}

static bool
local_room(const struct overflow *c, const struct flow *f, uint64_t *n)
{
	const struct where_node *l = where_get(c->w, c->w->local);

	*n = UINT64_MAX;
	for (unsigned r = 0; l && r < RES_MAX; r++)
		if (f->need.v[r] > 0) {
			int64_t fit = (l->free.v[r] - l->asked.v[r]) / f->need.v[r];

			*n = fit <= 0 ? 0 : (uint64_t)fit < *n ? (uint64_t)fit : *n;
		}
	return l && f->here && *n > 0;
}

void
overflow_leave_here(struct flow *f, uint64_t n)
{
	uint64_t free = rest(f);

	if (n > free)
		f->local -= n - free;
}

void
overflow_seated(struct overflow *c, struct flow *f, uint64_t n)
{
	n = n < f->seated ? n : f->seated;
	if (n)
		where_settle(c->w, f->seat, n);
	f->seated -= n;
}

/* where_find says here: until it is granted it counts as gone from what is free */
static void
seat(struct overflow *c, uint64_t now, struct flow *f, uint64_t n)
{
	uint64_t all = f->seated + n;

	overflow_seated(c, f, f->seated);
	f->seat = where_ask(c->w, now, c->w->local, &f->need, all);
	f->seated = f->seat ? all : 0;
}

/* All are full: some of what waits is asked of them patiently.  More than half of it only if it cannot run here. */
static uint64_t
to_press(const struct flow *f, uint64_t now, uint64_t movable)
{
	uint64_t there = patient(f);

	if (!f->here)
		return movable;
	if (f->since == 0 || now < f->since + (f->pooled ? OVERFLOW_PATIENCE : OVERFLOW_PRESS) || (movable + there) / 2 <= there)
		return 0;
	return (movable + there) / 2 - there;
}

/* Places what may be placed now.  False: no node can ever run it, why has a line. */
static bool
place(struct overflow *c, uint64_t now, struct flow *f, struct overflow_out *o, struct where_found *w)
{
	uint64_t press = 0;

	f->more = false;
	for (unsigned turn = 0; turn < OVERFLOW_TURNS; turn++) {
		bool due = !f->first || !f->here || (f->since && now >= f->since + OVERFLOW_PATIENCE), is_patient = false;
		uint64_t n = due ? rest(f) + waits_here(f) : 0, k = 0;

		if (n == 0)
			return true;
		switch (where_find(c->w, now, f->kind, NULL, 0, w)) {
		case WHERE_NEVER:
			return f->here;
		case WHERE_AT:
			k = w->room < n ? w->room : n;
			if (w->node != c->w->local)
				break;
			k = k < rest(f) ? k : rest(f);
			if (k == 0)
				return true;
			seat(c, now, f, k);
			f->local += k;
			continue;
		case WHERE_WAIT:
			if (w->node == 0 || w->node == c->w->local || (press == 0 && (press = to_press(f, now, n)) == 0))
				return true;
			k = (press + w->could - 1) / w->could;
			is_patient = true;
			f->moved = now;
			break;
		}
		overflow_leave_here(f, k);
		if (!ask(c, now, f, w->node, k, is_patient, o) || (is_patient && (press -= k) == 0))
			return true;
	}
	f->more = true;
	return true;
}

/* What waits at others patiently is better off where there is room, unless somebody waits here, who may use it. */
static void
improve(struct overflow *c, uint64_t now, struct flow *f, struct overflow_out *o)
{
	uint64_t n = patient(f), room;
	struct where_found w;

	if (n == 0 || waits_here(f) || rest(f) || now < f->moved + OVERFLOW_PRESS)
		return;
	if (f->pooled && f->here) {
		room = 1;			/* one may try here */
		f->since = now;
	} else if (local_room(c, f, &room))
		f->since = now;			/* this node first */
	else if (where_find(c->w, now, f->kind, NULL, 0, &w) == WHERE_AT && w.node != c->w->local)
		room = w.room;
	else
		return;
	f->moved = now;
	overflow_take_back(c, f, room < n ? room : n, true, o);
}

void
overflow_flow_end(struct overflow *c, struct flow *f)
{
	struct owner *own = map_get(&c->procs, f->proc);

	overflow_seated(c, f, f->seated);
	while (!list_empty(&f->asks))
		overflow_ask_end(c, list_entry(f->asks.next, struct ask, link));
	heap_del(&c->timers, &f->timer);
	list_del(&f->hungry);
	list_del(&f->link);
	if (list_empty(&own->flows)) {
		map_del(&c->procs, f->proc);
		free(own);
	}
	if (f->kind)
		where_kind_put(c->w, f->kind);
	free(f);
}

static void
notice(struct flow *f, bool never, const struct where_found *w, struct overflow_out *o)
{
	struct overflow_fx *fx;

	f->noticed = true;
	if (f->local)
		return;				/* the lease core does it */
	fx = overflow_fx_add(o, OVERFLOW_FX_NOTICE, f);
	if (never)
		snprintf(fx->text, sizeof fx->text, "waiting for a node: %.200s", w->why);
	else if (w->could > 1)
		snprintf(fx->text, sizeof fx->text, "waiting for room: the %zu nodes that could run it are full", w->could);
	else
		snprintf(fx->text, sizeof fx->text, "waiting for room: the one node that could run it is full");
}

static void
set_timer(struct overflow *c, uint64_t now, struct flow *f)
{
	uint64_t at = f->more ? now + OVERFLOW_PATIENCE : now + OVERFLOW_PRESS;
	bool unserved = waits_here(f) || rest(f) || patient(f);

	if (!unserved) {
		heap_del(&c->timers, &f->timer);
		list_del(&f->hungry);
		return;
	}
	if (list_empty(&f->hungry))
		list_add_tail(&c->hungry, &f->hungry);
	if (f->first && f->here && f->since && now < f->since + OVERFLOW_PATIENCE)
		at = f->since + OVERFLOW_PATIENCE;
	if (f->timer.index == 0 || f->timer.at <= now || at < f->timer.at)
		(void)heap_set(&c->timers, &f->timer, at);	/* no memory: the table's next change will do */
}

void
overflow_settle(struct overflow *c, uint64_t now, struct flow *f, struct overflow_out *o)
{
	struct where_found w = { .node = 0 };
	bool never;

	if (f->have > f->local)
		f->local = f->have;
	f->here = overflow_here(c, now, f);
	if (!f->here)
		f->local = f->have;		/* what waits here is to go */
	trim(c, f, o);
	improve(c, now, f, o);
	if (f->since == 0 && (rest(f) || waits_here(f)))
		f->since = now;
	if (f->first && f->here)
		f->local += rest(f);
	never = !place(c, now, f, o, &w);
	if (never && f->could && !f->here) {	/* this node drains, and no other one can */
		f->here = true;
		never = false;
	}
	if (never && !f->wait && now >= c->until) {
		struct overflow_fx *fx = overflow_fx_add(o, OVERFLOW_FX_NEVER, f);

		snprintf(fx->text, sizeof fx->text, "%s", w.why);
		f->want = f->have + f->far + f->asked;
	}
	if (f->here)
		f->local += rest(f);
	if (rest(f) == 0 && waits_here(f) == 0)
		f->since = 0;
	if (f->seated > waits_here(f))
		overflow_seated(c, f, f->seated - waits_here(f));
	if (f->have || f->far || f->want == 0)
		f->bare = now;
	else if (!f->noticed && now >= f->bare + OVERFLOW_NOTICE)
		notice(f, never, &w, o);
	if (f->tell || f->local != f->told) {
		overflow_fx_add(o, OVERFLOW_FX_LOCAL, f);
		f->told = f->local;
		f->tell = false;
	}
	set_timer(c, now, f);
	if (f->want == 0 && f->have == 0 && f->far == 0 && list_empty(&f->asks))
		overflow_flow_end(c, f);
}

