#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/group_hold.h"

void
hold_init(struct holds *h)
{
	*h = (struct holds){ .draining = false };
	list_init(&h->all);
}

static struct hold_fx *
fx_add(struct hold_out *o, enum hold_fx_kind kind)
{
	static struct hold_fx lost;	/* no memory: the effect is dropped */
	struct hold_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct hold_fx){ .kind = kind };
	return &p[o->n++];
}

static void
answer(uint64_t group, uint64_t round, enum hold_answer what, struct hold_out *o)
{
	struct hold_fx *fx = fx_add(o, HOLD_FX_ANSWER);

	fx->group = group;
	fx->round = round;
	fx->answer = what;
}

static struct id
key(uint64_t group, uint64_t round)
{
	return (struct id){ (uint32_t)(round >> 32), (uint32_t)round, group };
}

static struct hold *
part(const struct holds *h, uint64_t group, uint64_t round)
{
	return idmap_get(&h->parts, key(group, round));
}

static int
enter(struct holds *h, struct hold *p)
{
	struct hold *first = map_get(&h->groups, p->group);

	if (map_put(&h->numbers, p->number, p) < 0 || idmap_put(&h->parts, key(p->group, p->round), p) < 0 ||
	    map_put(&h->groups, p->group, p) < 0)
		return -ENOMEM;
	p->same = first;
	list_add_tail(&h->all, &p->link);
	return 0;
}

static void
leave(struct holds *h, struct hold *p)
{
	struct hold *first = map_get(&h->groups, p->group);

	map_del(&h->numbers, p->number);
	if (part(h, p->group, p->round) == p)
		idmap_del(&h->parts, key(p->group, p->round));
	list_del(&p->link);
	if (first == p && p->same == NULL)
		map_del(&h->groups, p->group);
	else if (first == p)
		(void)map_put(&h->groups, p->group, p->same);	/* in its place: no memory is needed */
	for (; first && first != p; first = first->same)
		if (first->same == p)
			first->same = p->same;
}

static void
hold_free(struct hold *p)
{
	free(p->bundle);
	free(p->index);
	free(p);
}

static void
give_up(struct holds *h, struct hold *p, bool refuse, struct hold_out *o)
{
	if (refuse)
		answer(p->group, p->round, HOLD_REFUSED, o);
	fx_add(o, HOLD_FX_FREE)->number = p->number;
	heap_del(&h->timers, &p->timer);
	leave(h, p);
	hold_free(p);
}

static int
in_prepare(struct holds *h, uint64_t now, const struct hold_in *in, struct hold_out *o)
{
	struct hold *p;

	if (in->n == 0)
		return -EINVAL;
	if (part(h, in->group, in->round))
		return 0;			/* asked already */
	if (h->draining) {
		answer(in->group, in->round, HOLD_REFUSED, o);
		return 0;
	}
	if ((p = calloc(1, sizeof *p)) == NULL)
		return -ENOMEM;
	*p = (struct hold){ .number = ++h->last, .group = in->group, .round = in->round, .job = in->job, .priority = in->priority,
	    .n = in->n };
	list_init(&p->link);
	p->bundle = malloc(in->n * sizeof *p->bundle);
	p->index = malloc(in->n * sizeof *p->index);
	if (!p->bundle || !p->index || heap_set(&h->timers, &p->timer, now + HOLD_WAIT) < 0 || enter(h, p) < 0) {
		heap_del(&h->timers, &p->timer);
		leave(h, p);
		hold_free(p);
		return -ENOMEM;
	}
	memcpy(p->bundle, in->bundles, in->n * sizeof *p->bundle);
	memcpy(p->index, in->index, in->n * sizeof *p->index);
	fx_add(o, HOLD_FX_RESERVE)->number = p->number;
	return 0;
}

static void
in_commit(struct holds *h, const struct hold_in *in, struct hold_out *o)
{
	struct hold *p = part(h, in->group, in->round);

	if (p == NULL || p->state == HOLD_WAITING) {
		if (p)
			give_up(h, p, false, o);
		answer(in->group, in->round, HOLD_REFUSED, o);
		return;
	}
	p->state = HOLD_COMMITTED;
	heap_del(&h->timers, &p->timer);
	answer(p->group, p->round, HOLD_IS_COMMITTED, o);
}

int
hold_step(struct holds *h, uint64_t now, const struct hold_in *in, struct hold_out *o)
{
	struct hold *p = map_get(&h->numbers, in->number);
	struct heap_node *t;
	int e = 0;

	switch (in->kind) {
	case HOLD_IN_PREPARE:
		e = in_prepare(h, now, in, o);
		break;
	case HOLD_IN_COMMIT:
		in_commit(h, in, o);
		break;
	case HOLD_IN_RELEASE:
		if ((p = part(h, in->group, in->round)) != NULL)
			give_up(h, p, false, o);
		break;
	case HOLD_IN_RESERVED:
		if (p && p->state == HOLD_WAITING) {
			p->state = HOLD_READY;
			(void)heap_set(&h->timers, &p->timer, now + HOLD_KEEP);	/* it is in the heap: no memory is needed */
			answer(p->group, p->round, HOLD_IS_READY, o);
		}
		break;
	case HOLD_IN_NEVER:
		if (p)
			give_up(h, p, true, o);
		break;
	case HOLD_IN_DRAIN:
		h->draining = in->on;
		break;
	case HOLD_IN_TICK:
		while ((t = heap_top(&h->timers)) != NULL && t->at <= now)
			give_up(h, (struct hold *)(void *)((char *)t - offsetof(struct hold, timer)), true, o);
		break;
	}
	t = heap_top(&h->timers);
	o->at = t ? t->at : 0;
	return e;
}

uint64_t
hold_find(const struct holds *h, uint64_t group, unsigned bundle, unsigned *index)
{
	for (const struct hold *d = map_get(&h->groups, group); d; d = d->same)
		for (unsigned i = 0; d->state == HOLD_COMMITTED && i < d->n; i++)
			if (d->index[i] == bundle) {
				*index = i + 1;
				return d->number;
			}
	return 0;
}

uint64_t
hold_any(const struct holds *h, uint64_t group, const struct res *need)
{
	for (const struct hold *d = map_get(&h->groups, group); d; d = d->same)
		for (unsigned i = 0; d->state == HOLD_COMMITTED && i < d->n; i++) {
			unsigned r = 0;

			while (r < RES_MAX && need->v[r] <= d->bundle[i].v[r])
				r++;
			if (r == RES_MAX)
				return d->number;
		}
	return 0;
}

const struct hold *
hold_next(const struct holds *h, const struct hold *p)
{
	const struct list *l = p ? p->link.next : h->all.next;

	return l == &h->all ? NULL : list_entry(l, struct hold, link);
}

void
hold_release(struct holds *h)
{
	struct list *l;

	heap_release(&h->timers);
	while ((l = list_shift(&h->all)) != NULL)
		hold_free(list_entry(l, struct hold, link));
	map_release(&h->numbers);
	map_release(&h->groups);
	idmap_release(&h->parts);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
hold_check(const struct holds *h)
{
	size_t n = 0;

	list_each(p, &h->all) {
		const struct hold *d = list_entry(p, struct hold, link);

		CHECK(d->n > 0 && map_get(&h->numbers, d->number) == d && part(h, d->group, d->round) == d);
		CHECK((d->timer.index != 0) == (d->state != HOLD_COMMITTED));
		CHECK(map_get(&h->groups, d->group) != NULL);
		n++;
	}
	CHECK(n == h->numbers.n && n == h->parts.n && (n > 0) == (h->groups.n > 0));
	return 0;
}
