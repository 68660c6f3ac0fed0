#include <errno.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/guest.h"

struct want {				/* of an alias, of one shape */
	struct list link, asks;		/* asks: the oldest first */
	uint32_t proc;
	uint64_t shape, open, have, told;	/* told: to the lease core */
};

struct gask {
	struct list link, due;
	struct want *want;
	uint32_t node;
	uint64_t ask, n, until;		/* n: not answered yet */
};

struct owner {
	struct list wants;
};

void
guest_init(struct guests *g)
{
	*g = (struct guests){ .draining = false };
	list_init(&g->due);
}

static struct guest_fx *
fx_add(struct guest_out *o, enum guest_fx_kind kind)
{
	static struct guest_fx lost;	/* no memory: the effect is dropped */
	struct guest_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct guest_fx){ .kind = kind };
	return &p[o->n++];
}

static struct want *
want_of(const struct guests *g, uint32_t proc, uint64_t shape)
{
	const struct owner *own = map_get(&g->procs, proc);

	if (own)
		list_each(p, &own->wants)
			if (list_entry(p, struct want, link)->shape == shape)
				return list_entry(p, struct want, link);
	return NULL;
}

static struct want *
want_new(struct guests *g, uint32_t proc, uint64_t shape)
{
	struct owner *own = map_get(&g->procs, proc);
	struct want *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	if (own == NULL) {
		if ((own = malloc(sizeof *own)) == NULL || map_put(&g->procs, proc, own) < 0) {
			free(own);
			free(w);
			return NULL;
		}
		list_init(&own->wants);
	}
	w->proc = proc;
	w->shape = shape;
	list_init(&w->asks);
	list_add_tail(&own->wants, &w->link);
	return w;
}

/* Tells the lease core what is wanted now; what wants and has nothing is forgotten. */
static void
settle(struct guests *g, struct want *w, struct guest_out *o)
{
	struct owner *own = map_get(&g->procs, w->proc);

	if (w->told != w->open + w->have) {
		struct guest_fx *fx = fx_add(o, GUEST_FX_LOCAL);

		fx->proc = w->proc;
		fx->shape = w->shape;
		w->told = w->open + w->have;
	}
	if (w->open || w->have)
		return;
	list_del(&w->link);
	if (list_empty(&own->wants)) {
		map_del(&g->procs, w->proc);
		free(own);
	}
	free(w);
}

/* n of a are answered */
static struct guest_fx *
answer(struct gask *a, uint64_t n, struct guest_out *o)
{
	struct guest_fx *fx = fx_add(o, GUEST_FX_ANSWER);

	fx->node = a->node;
	fx->proc = a->want->proc;
	fx->shape = a->want->shape;
	fx->ask = a->ask;
	a->n -= n;
	a->want->open -= n;
	if (a->n == 0) {
		list_del(&a->link);
		list_del(&a->due);
		free(a);
	}
	return fx;
}

static void
refuse(struct gask *a, struct guest_out *o)
{
	uint64_t n = a->n;

	answer(a, n, o)->refused = n;
}

static void
refuse_all(struct guests *g, struct want *w, struct guest_out *o)
{
	list_each_safe(p, q, &w->asks)
		refuse(list_entry(p, struct gask, link), o);
	settle(g, w, o);
}

static int
in_ask(struct guests *g, uint64_t now, const struct guest_in *in, struct guest_out *o)
{
	struct want *w = want_of(g, in->proc, in->shape);
	struct gask *a;

	if (in->n == 0)
		return 0;
	if ((a = calloc(1, sizeof *a)) == NULL || (w == NULL && (w = want_new(g, in->proc, in->shape)) == NULL)) {
		free(a);
		return -ENOMEM;
	}
	*a = (struct gask){ .want = w, .node = in->node, .ask = in->ask, .n = in->n, .until = now + GUEST_PATIENCE };
	list_init(&a->due);
	list_add_tail(&w->asks, &a->link);
	if (!in->patient)
		list_add_tail(&g->due, &a->due);
	w->open += in->n;
	if (g->draining)
		refuse_all(g, w, o);
	else
		settle(g, w, o);
	return 0;
}

static void
in_unask(struct guests *g, const struct guest_in *in, struct guest_out *o)
{
	const struct owner *own = map_get(&g->procs, in->proc);

	if (own == NULL)
		return;
	list_each(p, &own->wants) {
		struct want *w = list_entry(p, struct want, link);

		list_each(q, &w->asks) {
			struct gask *a = list_entry(q, struct gask, link);
			uint64_t n = in->n < a->n ? in->n : a->n;

			if (a->ask != in->ask)
				continue;
			if (n)
				answer(a, n, o)->dropped = n;
			settle(g, w, o);
			return;
		}
	}
}

static void
in_granted(struct guests *g, struct want *w, struct guest_out *o)
{
	w->have++;
	answer(list_entry(w->asks.next, struct gask, link), 1, o)->granted = 1;
	settle(g, w, o);
}

static void
in_exit(struct guests *g, uint32_t proc)
{
	struct owner *own = map_del(&g->procs, proc);
	struct list *p, *q;

	while (own && (p = list_shift(&own->wants)) != NULL) {
		struct want *w = list_entry(p, struct want, link);

		while ((q = list_shift(&w->asks)) != NULL) {
			list_del(&list_entry(q, struct gask, link)->due);
			free(list_entry(q, struct gask, link));
		}
		free(w);
	}
	free(own);
}

static void
in_drain(struct guests *g, bool on, struct guest_out *o)
{
	struct map_iter it = MAP_ITER;

	g->draining = on;
	while (on && map_next(&g->procs, &it)) {
		struct owner *own = it.val;

		list_each_safe(p, q, &own->wants) {
			bool last = q == &own->wants;

			refuse_all(g, list_entry(p, struct want, link), o);
			if (last)
				break;			/* own may be gone */
		}
	}
}

static void
in_tick(struct guests *g, uint64_t now, struct guest_out *o)
{
	struct list *p;

	while ((p = list_first(&g->due)) != NULL && list_entry(p, struct gask, due)->until <= now) {
		struct want *w = list_entry(p, struct gask, due)->want;

		refuse(list_entry(p, struct gask, due), o);
		settle(g, w, o);
	}
}

int
guest_step(struct guests *g, uint64_t now, const struct guest_in *in, struct guest_out *o)
{
	struct want *w = want_of(g, in->proc, in->shape);
	struct list *p;
	int e = 0;

	switch (in->kind) {
	case GUEST_IN_ASK:
		e = in_ask(g, now, in, o);
		break;
	case GUEST_IN_UNASK:
		in_unask(g, in, o);
		break;
	case GUEST_IN_GRANTED:
		if (w && !list_empty(&w->asks))
			in_granted(g, w, o);
		else {				/* it was refused just now, and the lease core is yet to be told */
			struct guest_fx *fx = fx_add(o, GUEST_FX_RETURN);

			fx->proc = in->proc;
			fx->shape = in->shape;
		}
		break;
	case GUEST_IN_NEVER:
		if (w)
			refuse_all(g, w, o);
		break;
	case GUEST_IN_OVER:
		if (w && w->have) {
			w->have--;
			w->told -= w->told > 0;		/* as the lease core does by itself */
			settle(g, w, o);
		}
		break;
	case GUEST_IN_EXIT:
		in_exit(g, in->proc);
		break;
	case GUEST_IN_DRAIN:
		in_drain(g, in->on, o);
		break;
	case GUEST_IN_TICK:
		in_tick(g, now, o);
		break;
	}
	p = list_first(&g->due);
	o->at = p ? list_entry(p, struct gask, due)->until : 0;
	return e;
}

uint64_t
guest_local(const struct guests *g, uint32_t proc, uint64_t shape)
{
	const struct want *w = want_of(g, proc, shape);

	return w ? w->open + w->have : 0;
}

void
guest_release(struct guests *g)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&g->procs, &it))
		in_exit(g, (uint32_t)it.key);
	map_release(&g->procs);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
guest_check(const struct guests *g)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&g->procs, &it)) {
		const struct owner *own = it.val;

		CHECK(!list_empty(&own->wants));
		list_each(p, &own->wants) {
			const struct want *w = list_entry(p, struct want, link);
			uint64_t open = 0;

			list_each(q, &w->asks) {
				CHECK(list_entry(q, struct gask, link)->n > 0);
				open += list_entry(q, struct gask, link)->n;
			}
			CHECK(open == w->open && w->told == w->open + w->have && (open || w->have) && w->proc == it.key);
		}
	}
	return 0;
}
