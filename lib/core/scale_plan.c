/* scale_plan.c - first fit into what there is, then into new nodes of the best type: pure, in an order that only numbers decide */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/scale.h"

static unsigned
times(const struct res *free, const struct res *need, unsigned most)	/* how often need fits, at most so often */
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && (int64_t)most > free->v[r] / need->v[r])
			most = free->v[r] > 0 ? (unsigned)(free->v[r] / need->v[r]) : 0;
	return most;
}

static void
take(struct res *free, const struct res *need, unsigned n)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		free->v[r] -= need->v[r] * (int64_t)n;
}

/* kinds of resources that a type has and nobody asked for: GPUs are not for who needs none */
static unsigned
wasted(const struct res *total, const struct res *need)
{
	unsigned n = 0;

	for (unsigned r = 0; r < RES_MAX; r++)
		n += r != RES_CPU && r != RES_MEM && total->v[r] > 0 && need->v[r] == 0;
	return n;
}

static bool
better(const struct scale_type *a, const struct scale_type *b, const struct res *need)
{
	unsigned wa = wasted(&a->total, need), wb = wasted(&b->total, need);

	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (wa != wb)
		return wa < wb;
	if (a->total.v[RES_CPU] != b->total.v[RES_CPU])
		return a->total.v[RES_CPU] < b->total.v[RES_CPU];
	return a->total.v[RES_MEM] < b->total.v[RES_MEM];
}

static int
bin_add(struct scale_plan *p, unsigned type, const struct scale_type *t)
{
	struct scale_bin *b = grow(p->bin, &p->cap, p->n, sizeof *b);

	if (b == NULL)
		return -ENOMEM;
	p->bin = b;
	b[p->n++] = (struct scale_bin){ .type = type, .free = t->total, .room = t->total };
	p->count[type]++;
	p->stay[type]++;
	p->all++;
	return 0;
}

/* a new node that need fits on: 1, 0: no type has it, or all that have are at their max or rest; -ENOMEM */
static int
bin_new(const struct scale *c, uint64_t now, const struct res *need, struct scale_plan *p)
{
	unsigned best = SCALE_TYPES;
	int e;

	for (unsigned t = 0; t < c->o.ntype; t++)
		if (p->count[t] < c->o.type[t].max && c->rest[t].until <= now && times(&c->o.type[t].total, need, 1) &&
		    (best == SCALE_TYPES || better(&c->o.type[t], &c->o.type[best], need)))
			best = t;
	if (best == SCALE_TYPES || (c->o.max && p->all >= c->o.max))
		return 0;
	e = bin_add(p, best, &c->o.type[best]);
	return e < 0 ? e : 1;
}

static unsigned
put(struct scale_bin *b, const struct res *need, unsigned n, bool request)	/* how many of n go there */
{
	n = times(request ? &b->room : &b->free, need, n);
	take(request ? &b->room : &b->free, need, n);
	b->requested |= n && request;
	b->used |= n && !request;
	return n;
}

/* n of need, wherever: what fits nowhere is left */
static int
many(const struct scale *c, uint64_t now, const struct res *need, unsigned n, bool request, struct scale_plan *p)
{
	int e = 1;

	for (size_t i = 0; i < p->n && n; i++)
		n -= put(&p->bin[i], need, n, request);
	while (n && (e = bin_new(c, now, need, p)) > 0)
		n -= put(&p->bin[p->n - 1], need, n, request);
	return e < 0 ? e : 0;
}

/* All bundles: 1; 0 they do not fit, and p has some of them; -ENOMEM */
static int
group_put(const struct scale *c, uint64_t now, const struct scale_want *w, unsigned mark, struct scale_plan *p)
{
	bool apart = w->strategy == GROUP_STRICT_SPREAD, together = w->strategy == GROUP_STRICT_PACK;
	struct res sum = { { 0 } };
	int e = 1;

	for (unsigned k = 0; k < w->n && together; k++)
		for (unsigned r = 0; r < RES_MAX; r++)
			sum.v[r] += w->need[k].v[r];
	for (unsigned k = 0; k < (together ? 1 : w->n) && e > 0; k++) {
		const struct res *need = together ? &sum : &w->need[k];
		unsigned done = 0;

		for (size_t i = 0; i < p->n && !done; i++)
			if (!(apart && p->bin[i].mark == mark) && (done = put(&p->bin[i], need, 1, false)))
				p->bin[i].mark = mark;
		if (!done && (e = bin_new(c, now, need, p)) > 0) {
			put(&p->bin[p->n - 1], need, 1, false);
			p->bin[p->n - 1].mark = mark;
		}
	}
	return e;
}

/* all bundles, or p is as it was */
static int
group(const struct scale *c, uint64_t now, const struct scale_want *w, unsigned mark, struct scale_plan *p)
{
	struct scale_bin *was = malloc((p->n + 1) * sizeof *was);
	size_t n = p->n;
	int e;

	if (was == NULL)
		return -ENOMEM;
	if (n)
		memcpy(was, p->bin, n * sizeof *was);
	if ((e = group_put(c, now, w, mark, p)) <= 0) {
		for (; p->n > n; p->n--) {
			p->count[p->bin[p->n - 1].type]--;
			p->stay[p->bin[p->n - 1].type]--;
			p->all--;
		}
		if (n)
			memcpy(p->bin, was, n * sizeof *was);
	}
	free(was);
	return e < 0 ? e : 0;
}

/* Those in use first, so that the others may become idle, and go; those that start last. */
static int
by_use(const void *a, const void *b)
{
	const struct scale_inst *x = ((const struct scale_bin *)a)->inst, *y = ((const struct scale_bin *)b)->inst;
	bool ux = x->state == SCALE_UP, uy = y->state == SCALE_UP;

	if (ux != uy)
		return ux ? -1 : 1;
	if (ux && !x->idle != !y->idle)
		return x->idle ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int
scale_plan(const struct scale *c, uint64_t now, const struct scale_want *want, size_t nwant, struct scale_plan *p)
{
	struct map_iter it = MAP_ITER;
	int e = 0;

	*p = (struct scale_plan){ 0 };
	while (map_next(&c->insts, &it)) {
		struct scale_inst *x = it.val;

		if (x->type >= c->o.ntype)
			continue;
		if (x->state >= SCALE_DRAINING) {
			p->count[x->type]++;
			p->all++;
			continue;
		}
		if (bin_add(p, x->type, &c->o.type[x->type]) < 0)
			return -ENOMEM;
		p->bin[p->n - 1].inst = x;
		if (x->state == SCALE_UP)
			p->bin[p->n - 1].free = x->free;
	}
	p->have = p->n;
	if (p->n)
		qsort(p->bin, p->n, sizeof *p->bin, by_use);
	for (unsigned t = 0; t < c->o.ntype && e == 0; t++)
		while (e == 0 && p->stay[t] < c->o.type[t].min && p->count[t] < c->o.type[t].max && c->rest[t].until <= now)
			e = bin_add(p, t, &c->o.type[t]);
	for (int k = SCALE_REQUEST; k >= SCALE_LEASE && e == 0; k--)	/* requests, groups, then what can go anywhere */
		for (size_t i = 0; i < nwant && e == 0; i++)
			if ((int)want[i].kind == k)
				e = k == SCALE_GROUP ? group(c, now, &want[i], (unsigned)i + 1, p) :
				    many(c, now, want[i].need, want[i].n, k == SCALE_REQUEST, p);
	return e;
}

void
scale_plan_release(struct scale_plan *p)
{
	free(p->bin);
	*p = (struct scale_plan){ 0 };
}
