#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/overflow_inner.h"

void
overflow_init(struct overflow *c, struct where *w)
{
	*c = (struct overflow){ .w = w };
	list_init(&c->hungry);
}

/* --- inputs ------------------------------------------------------------------------------------------------ */

static struct flow *
flow_of(const struct overflow *c, uint32_t proc, uint64_t shape)
{
	const struct owner *own = map_get(&c->procs, proc);

	if (own)
		list_each(p, &own->flows)
			if (list_entry(p, struct flow, link)->shape == shape)
				return list_entry(p, struct flow, link);
	return NULL;
}

/* no node can be better: this one has what is wanted first */
static bool
best_here(const struct overflow *c, const struct where_demand *d)
{
	const struct where_node *l = where_get(c->w, c->w->local);

	return d->nlabels == 0 || (l && label_expr_match(&d->labels[0], &l->labels));
}

/* what it is to be run by */
static int
flow_anew(struct overflow *c, struct flow *f, const struct overflow_in *in)
{
	struct where_demand d = *in->demand;
	bool first = in->here && ((d.strategy == WHERE_HYBRID && best_here(c, &d)) || (d.strategy == WHERE_NODE && d.node == c->w->local));
	struct where_kind *k;

	d.elsewhere = first;
	d.who = (uint64_t)c->w->local << 32 | f->proc;
	if ((k = where_kind(c->w, &d)) == NULL)
		return -ENOMEM;
	if (f->kind)
		where_kind_put(c->w, f->kind);
	f->kind = k;
	f->first = first;
	f->pooled = d.namong > 0;
	return 0;
}

static struct flow *
flow_new(struct overflow *c, uint64_t now, const struct overflow_in *in)
{
	struct owner *own = map_get(&c->procs, in->proc);
	struct flow *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	*f = (struct flow){ .proc = in->proc, .shape = in->shape, .need = in->demand->need, .bare = now };
	list_init(&f->hungry);
	list_init(&f->asks);
	if (flow_anew(c, f, in) < 0)
		goto fail;
	if (own == NULL) {
		if ((own = malloc(sizeof *own)) == NULL || map_put(&c->procs, in->proc, own) < 0) {
			free(own);
			goto fail;
		}
		list_init(&own->flows);
	}
	list_add_tail(&own->flows, &f->link);
	return f;
fail:
	if (f->kind)
		where_kind_put(c->w, f->kind);
	free(f);
	return NULL;
}

static int
in_want(struct overflow *c, uint64_t now, const struct overflow_in *in, struct overflow_out *o)
{
	struct flow *f = flow_of(c, in->proc, in->shape);

	if (f == NULL && in->want == 0)
		return 0;
	if (f == NULL && (f = flow_new(c, now, in)) == NULL)
		return -ENOMEM;
	if (in->anew && flow_anew(c, f, in) < 0)
		return -ENOMEM;
	if (f->want == 0)
		f->noticed = false;
	f->want = in->want;
	f->could = in->here;
	f->first = f->first && in->here;
	f->wait = in->wait;
	f->tell = in->here || f->told;		/* it may have another request now */
	overflow_settle(c, now, f, o);
	return 0;
}

static void
in_granted(struct overflow *c, struct flow *f, struct ask *a, uint64_t n, struct overflow_out *o)
{
	uint64_t live = a->n - a->back, used = n < live ? n : live, late = (n < a->n ? n : a->n) - used, take = rest(f) + waits_here(f);
	struct overflow_fx *fx;

	where_settle(c->w, a->ticket, n);
	where_granted(c->w, f->kind, a->node);
	a->n -= used + late;
	a->back -= late;
	f->asked -= used;
	f->far += used;
	if (take > late)			/* taken back too late, but of use */
		take = late;
	overflow_leave_here(f, take);
	f->far += take;
	if (late == take)
		return;
	fx = overflow_fx_add(o, OVERFLOW_FX_RETURN, f);
	fx->node = a->node;
	fx->ask = a->number;
	fx->n = late - take;
}

/* What comes back has had its time here: it may go elsewhere at once. */
static void
waited(struct flow *f, uint64_t now)
{
	if (f->since == 0)
		f->since = now > OVERFLOW_PATIENCE ? now - OVERFLOW_PATIENCE : 1;
}

static void
in_answer(struct overflow *c, uint64_t now, const struct overflow_in *in, struct overflow_out *o)
{
	struct ask *a = map_get(&c->asks, in->ask);
	struct flow *f;
	uint64_t n, k;

	if (a == NULL) {			/* whose it was has exited */
		if (in->granted) {
			struct overflow_fx *fx = overflow_fx_add(o, OVERFLOW_FX_RETURN, NULL);

			fx->node = in->node;
			fx->ask = in->ask;
			fx->n = in->granted;
		}
		return;
	}
	f = a->flow;
	if (in->granted)
		in_granted(c, f, a, in->granted, o);
	n = in->refused < a->n ? in->refused : a->n;
	k = a->n - a->back < n ? a->n - a->back : n;
	f->asked -= k;
	a->n -= n;
	a->back -= n - k;
	if (n) {
		where_settle(c->w, a->ticket, n);
		where_refused(c->w, now, f->kind, a->node);
		waited(f, now);
	}
	n = in->dropped < a->n ? in->dropped : a->n;
	k = a->back < n ? a->back : n;
	a->back -= k;
	a->n -= n;
	f->asked -= n - k;
	where_settle(c->w, a->ticket, n);
	if (a->n == 0)
		overflow_ask_end(c, a);
	overflow_settle(c, now, f, o);
}

/* Nothing is looked for: others that the lease core granted in the same step may still have to be told. */
static void
in_here(struct overflow *c, uint64_t now, struct flow *f, struct overflow_out *o)
{
	f->have++;
	f->bare = now;
	overflow_seated(c, f, 1);
	if (f->have > f->local || waits_here(f) == 0)
		overflow_settle(c, now, f, o);
}

static void
in_over(struct overflow *c, uint64_t now, struct flow *f, bool here, struct overflow_out *o)
{
	uint64_t *of = here ? &f->have : &f->far;

	if (*of == 0)
		return;
	--*of;
	f->want -= f->want > 0;
	if (here) {				/* as the lease core does by itself */
		f->local -= f->local > 0;
		f->told -= f->told > 0;
	}
	overflow_settle(c, now, f, o);
}

static void
in_gone(struct overflow *c, uint64_t now, uint32_t node, struct overflow_out *o)
{
	struct map_iter it = MAP_ITER;

	if (c->until < now + OVERFLOW_AGAIN)
		c->until = now + OVERFLOW_AGAIN;
	while (map_next(&c->asks, &it)) {
		struct ask *a = it.val;
		struct flow *f = a->flow;

		if (a->node != node)
			continue;
		f->asked -= a->n - a->back;
		overflow_ask_end(c, a);
		waited(f, now);
		overflow_settle(c, now, f, o);
	}
}

static void
in_exit(struct overflow *c, uint32_t proc, struct overflow_out *o)
{
	struct owner *own;

	while ((own = map_get(&c->procs, proc)) != NULL) {
		struct flow *f = list_entry(own->flows.next, struct flow, link);

		overflow_take_back(c, f, f->asked, false, o);
		overflow_flow_end(c, f);
	}
}

int
overflow_step(struct overflow *c, uint64_t now, const struct overflow_in *in, struct overflow_out *o)
{
	struct flow *f = flow_of(c, in->proc, in->shape);
	struct heap_node *t;
	int e = 0;

	switch (in->kind) {
	case OVERFLOW_IN_WANT:
		e = in_want(c, now, in, o);
		break;
	case OVERFLOW_IN_HERE:
		if (f)
			in_here(c, now, f, o);
		break;
	case OVERFLOW_IN_OVER:
		if (f)
			in_over(c, now, f, in->node == 0 || in->node == c->w->local, o);
		break;
	case OVERFLOW_IN_ANSWER:
		in_answer(c, now, in, o);
		break;
	case OVERFLOW_IN_GONE:
		in_gone(c, now, in->node, o);
		break;
	case OVERFLOW_IN_EXIT:
		in_exit(c, in->proc, o);
		break;
	case OVERFLOW_IN_TABLE:
		list_each_safe(p, q, &c->hungry)
			overflow_settle(c, now, list_entry(p, struct flow, hungry), o);
		break;
	case OVERFLOW_IN_TICK:
		while ((t = heap_top(&c->timers)) != NULL && t->at <= now)
			overflow_settle(c, now, (struct flow *)(void *)((char *)t - offsetof(struct flow, timer)), o);
		break;
	}
	t = heap_top(&c->timers);
	o->at = t ? t->at : 0;
	return e;
}

/* --- listings, the end --------------------------------------------------------------------------------------- */

uint64_t
overflow_local(const struct overflow *c, uint32_t proc, uint64_t shape)
{
	const struct flow *f = flow_of(c, proc, shape);

	return f ? f->local : 0;
}

bool
overflow_split(const struct overflow *c, uint32_t proc, uint64_t shape, struct overflow_split *s)
{
	const struct flow *f = flow_of(c, proc, shape);

	if (f == NULL)
		return false;
	*s = (struct overflow_split){ .want = f->want, .local = f->local, .have = f->have, .asked = f->asked, .far = f->far };
	return true;
}

void
overflow_release(struct overflow *c)
{
	struct overflow_out o = { .n = 0 };
	struct map_iter it = MAP_ITER;

	while (map_next(&c->procs, &it))
		in_exit(c, (uint32_t)it.key, &o);
	free(o.fx);
	map_release(&c->procs);
	map_release(&c->asks);
	heap_release(&c->timers);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
overflow_check(const struct overflow *c)
{
	struct map_iter it = MAP_ITER;
	size_t n = 0;

	while (map_next(&c->procs, &it)) {
		const struct owner *own = it.val;

		CHECK(!list_empty(&own->flows));
		list_each(p, &own->flows) {
			const struct flow *f = list_entry(p, struct flow, link);
			uint64_t asked = 0;

			list_each(q, &f->asks) {
				const struct ask *a = list_entry(q, struct ask, link);

				CHECK(a->flow == f && a->n > 0 && a->back <= a->n && map_get(&c->asks, a->number) == a);
				asked += a->n - a->back;
				n++;
			}
			CHECK(asked == f->asked && f->told == f->local);
			CHECK(f->asked == 0 || f->local + f->asked + f->far <= f->want);
			CHECK(f->local <= f->want || f->local == 0);
			CHECK(!f->here || f->local + f->asked + f->far >= f->want);
			CHECK(f->timer.index || !(waits_here(f) || rest(f)));
		}
	}
	CHECK(n == c->asks.n);
	return 0;
}
