/* lease_group - the pools of placement groups: set aside, granted from, given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/lease_inner.h"

unsigned
lease_pools(const struct lease_core *c, uint64_t group, const struct lease_pool **pool)
{
	const struct lgroup *g = map_get(&c->groups, group);

	*pool = g ? g->pool : NULL;
	return g ? g->n : 0;
}

static bool
within(const struct res *need, const struct res *there)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && need->v[r] > there->v[r])
			return false;
	return true;
}

struct lease_pool *
lease_pool_for(const struct lgroup *g, const struct res *need, unsigned bundle, bool any)
{
	struct lgroup *w = (struct lgroup *)(void *)(uintptr_t)g;	/* the pools are the caller's to change */

	for (unsigned i = bundle ? bundle - 1 : 0; i < g->n; i++) {
		if (within(need, any ? &g->pool[i].total : &g->pool[i].free) && (any || need->v[RES_GPU] <= 0 ||
		    gpus_pick(&g->pool[i].gpu, need->v[RES_GPU])))
			return &w->pool[i];
		if (bundle)
			break;
	}
	return NULL;
}

bool
lease_group_feasible(const struct lease_core *c, const struct lease_in *in, char *text, size_t n)
{
	const struct lgroup *g = map_get(&c->groups, in->group);

	if (g == NULL)
		snprintf(text, n, "its placement group was removed");
	else if (in->bundle > g->n)
		snprintf(text, n, "there is no bundle %u in the placement group: it has %u", in->bundle, g->n);
	else if (!gpus_shape(in->need.v[RES_GPU]))
		return lease_feasible(c, &in->need, text, n);
	else if (lease_pool_for(g, &in->need, in->bundle, true) != NULL)
		return true;
	else if (in->bundle == 0)
		snprintf(text, n, "needs more than any of the %u bundles of its placement group has", g->n);
	else {
		unsigned r = 0;

		while (in->need.v[r] <= g->pool[in->bundle - 1].total.v[r])
			r++;
		snprintf(text, n, "needs %g %s; bundle %u of its placement group has %g",
		    (double)in->need.v[r] / (r == RES_MEM ? 1 : 1000), c->name[r], in->bundle,
		    (double)g->pool[in->bundle - 1].total.v[r] / (r == RES_MEM ? 1 : 1000));
	}
	return false;
}

int
lease_reserve(struct lease_core *c, const struct lease_in *in, struct lease_out *o)
{
	struct lgroup *g = NULL;
	struct demand *d = NULL;
	struct res sum = { { 0 } };
	char text[160];

	for (unsigned i = 0; i < in->nbundle; i++)
		for (unsigned r = 0; r < RES_MAX; r++)
			sum.v[r] += in->bundles[i].v[r];
	for (unsigned i = 0; i <= in->nbundle; i++) {
		struct res need = i < in->nbundle ? in->bundles[i] : sum;

		if (i == in->nbundle)	/* parts of devices: each bundle's was looked at */
			need.v[RES_GPU] = (need.v[RES_GPU] + GPU_ONE - 1) / GPU_ONE * GPU_ONE;
		if (!lease_feasible(c, &need, text, sizeof text)) {
			lease_refuse(in, text, o);
			return 0;
		}
	}
	if (in->nbundle == 0 || map_get(&c->groups, in->group) || (g = calloc(1, sizeof *g + in->nbundle * sizeof *g->pool)) == NULL ||
	    (d = calloc(1, sizeof *d)) == NULL || (d->job = lease_job(c, in->job)) == NULL)
		goto fail;
	g->number = in->group;
	g->n = in->nbundle;
	g->use = use_of(&sum);
	for (unsigned i = 0; i < g->n; i++)
		g->pool[i].total = g->pool[i].free = in->bundles[i];
	if (map_put(&c->groups, g->number, g) < 0) {
		lease_job_put(c, d->job);
		goto fail;
	}
	g->job = d->job;
	g->job->refs++;
	d->reserve = g;
	d->need = sum;
	d->needs = needs_of(&sum);
	d->want = 1;
	d->priority = in->priority;
	d->turn = ++c->turn;
	list_add_tail(&c->demands, &d->link);
	return 0;
fail:
	free(g);
	free(d);
	return in->nbundle ? -ENOMEM : -EINVAL;
}

/* each bundle's GPUs are whole devices, or part of one; all of them at once */
static bool
devices(const struct lgroup *g, struct gpus gpu, uint64_t *dev)
{
	for (unsigned i = 0; i < g->n; i++) {
		int64_t need = g->pool[i].total.v[RES_GPU];
		uint64_t d = gpus_pick(&gpu, need);

		if (need > 0 && d == 0)
			return false;
		gpus_take(&gpu, d, need);
		if (dev)
			dev[i] = d;
	}
	return true;
}

bool
lease_holdable(const struct lease_core *c, const struct demand *d)
{
	return within(&d->need, &c->free) && (d->need.v[RES_GPU] == 0 || devices(d->reserve, c->gpu, NULL));
}

void
lease_hold(struct lease_core *c, struct demand *d, struct lease_out *o)
{
	struct lgroup *g = d->reserve;

	for (unsigned r = 0; r < RES_MAX; r++)
		c->free.v[r] -= d->need.v[r];
	for (unsigned i = 0; i < g->n && d->need.v[RES_GPU]; i++) {
		struct lease_pool *p = &g->pool[i];
		int64_t need = p->total.v[RES_GPU];

		p->devices = gpus_pick(&c->gpu, need);
		gpus_take(&c->gpu, p->devices, need);
		p->gpu.n = c->gpu.n;
		gpus_give(&p->gpu, p->devices, need);
	}
	g->held = true;
	g->job->use += g->use;
	lease_fx_add(o, LEASE_FX_RESERVED)->group = g->number;
	lease_demand_end(c, d);
}

void
lease_unreserve(struct lease_core *c, uint64_t number, struct lease_out *o)
{
	struct lgroup *g = map_del(&c->groups, number);

	if (g == NULL)
		return;
	list_each_safe(p, q, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->group != g)
			continue;
		if (l->worker) {	/* it holds what it has until it is gone, from the node now */
			struct lease_fx *fx = lease_fx_add(o, LEASE_FX_END);

			fx->worker = l->worker;
			fx->level = 2;
			for (unsigned r = 0; r < RES_MAX; r++)
				l->pool->free.v[r] += held(l, r), c->free.v[r] -= held(l, r);
			gpus_give(&l->pool->gpu, l->devices, l->need.v[RES_GPU]);
			l->pool = NULL;
		} else
			lease_over(c, l, false);
	}
	list_each_safe(p, q, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (d->group == g && d->actor) {
			lease_actors_refuse(c, d, "its placement group was removed", o);
			continue;
		}
		if (d->group == g && d->have < d->want)
			lease_refuse(&(struct lease_in){ .proc = d->proc, .req = d->req, .shape = d->shape },
			    "its placement group was removed", o);
		if (d->group == g || d->reserve == g)
			lease_demand_end(c, d);
	}
	for (unsigned i = 0; i < g->n && g->held; i++) {
		for (unsigned r = 0; r < RES_MAX; r++)
			c->free.v[r] += g->pool[i].total.v[r];
		gpus_give(&c->gpu, g->pool[i].devices, g->pool[i].total.v[RES_GPU]);
	}
	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->group == g) {	/* those that are being ended: their devices are theirs until then */
			gpus_take(&c->gpu, l->devices, l->need.v[RES_GPU]);
			lease_count(l, -1);
			l->group = NULL;
			lease_count(l, 1);
		}
	}
	if (g->held)
		g->job->use -= g->use;
	lease_job_put(c, g->job);
	free(g);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
lease_group_check(const struct lease_core *c, struct res *sum, struct gpus *gpu)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->groups, &it)) {
		const struct lgroup *g = it.val;

		CHECK(g->number == it.key && g->n > 0);
		for (unsigned i = 0; i < g->n; i++) {
			struct res used = { { 0 } };

			list_each(p, &c->leases) {
				const struct lease *l = list_entry(p, struct lease, link);

				CHECK((l->pool == NULL) == (l->group == NULL));
				for (unsigned r = 0; r < RES_MAX && l->pool == &g->pool[i]; r++)
					used.v[r] += held(l, r);
			}
			for (unsigned r = 0; r < RES_MAX; r++) {
				CHECK(used.v[r] + g->pool[i].free.v[r] == g->pool[i].total.v[r]);
				sum->v[r] += g->held ? g->pool[i].total.v[r] : 0;
			}
			gpus_give(gpu, g->pool[i].devices, g->pool[i].total.v[RES_GPU]);
		}
	}
	return 0;
}

void
lease_group_end(struct lease_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->groups, &it))
		free(it.val);
	map_release(&c->groups);
}
