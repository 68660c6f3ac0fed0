#include <stdio.h>
#include "core/lease_inner.h"

/* --- does it fit, and what is missing ----------------------------------------------------------------- */

bool
lease_fits(const struct lease_core *c, const struct res *need)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && need->v[r] > c->free.v[r])
			return false;
	return need->v[RES_GPU] <= 0 || gpus_pick(&c->gpu, need->v[RES_GPU]) != 0;
}

/* "1 GPU", "2 CPUs", "1.5G memory", "1 ssd" */
static int
amount(char *text, size_t n, const struct lease_core *c, unsigned r, int64_t v)
{
	static const char *const word[] = { "CPU", "GPU" };

	if (r == RES_MEM)
		return snprintf(text, n, "%.1fG memory", (double)v / (1 << 30));
	if (r >= RES_CUSTOM)
		return snprintf(text, n, "%g %s", (double)v / 1000, c->name[r]);
	return snprintf(text, n, "%g %s%s", (double)v / 1000, word[r], v > 1000 ? "s" : "");
}

bool
lease_lacks(const struct lease_core *c, const struct res *need, char *text, size_t n)
{
	double unit;
	int k;

	for (unsigned i = 0; i < RES_MAX; i++) {
		unsigned r = i == RES_CPU ? RES_GPU : i == RES_GPU ? RES_CPU : i;	/* the rarer one first */
		int64_t some = c->free.v[r] > 0 ? c->free.v[r] : 0;

		if (need->v[r] <= 0 || (need->v[r] <= c->free.v[r] &&
		    (r != RES_GPU || gpus_pick(&c->gpu, need->v[r]) != 0)))
			continue;
		k = amount(text, n, c, r, need->v[r]);
		unit = r == RES_MEM ? 1 << 30 : 1000;
		if (k >= 0 && (size_t)k < n && need->v[r] > c->total.v[r])
			snprintf(text + k, n - (size_t)k, ": this node has %.4g", (double)c->total.v[r] / unit);
		else if (k >= 0 && (size_t)k < n)
			snprintf(text + k, n - (size_t)k, ": %.4g of %.4g free%s", (double)some / unit,
			    (double)c->total.v[r] / unit, need->v[r] <= some ? ", in parts of several" : "");
		return true;
	}
	return false;
}

bool
lease_feasible(const struct lease_core *c, const struct res *need, char *text, size_t n)
{
	if (!gpus_shape(need->v[RES_GPU])) {
		snprintf(text, n, "needs %g gpus: a part of one, or whole ones", (double)need->v[RES_GPU] / 1000);
		return false;
	}
	for (unsigned r = 0; r < RES_MAX; r++) {
		if (need->v[r] <= c->total.v[r])
			continue;
		if (r == RES_MEM)
			snprintf(text, n, "needs %.1fG memory; this node has %.1fG", (double)need->v[r] / (1 << 30),
			    (double)c->total.v[r] / (1 << 30));
		else
			snprintf(text, n, "needs %g %s; this node has %g", (double)need->v[r] / 1000, c->name[r],
			    (double)c->total.v[r] / 1000);
		return false;
	}
	return true;
}

/* --- who has what ------------------------------------------------------------------------------------ */

bool
lease_live(const struct lease_core *c, uint64_t lease)
{
	return map_get(&c->by_lease, lease) != NULL;
}

bool
lease_of(const struct lease_core *c, uint32_t worker, uint64_t *lease, uint32_t *submitter)
{
	const struct wrk *w = map_get(&c->by_worker, worker);

	if (w == NULL || w->l == NULL)
		return false;
	*lease = w->l->id;
	*submitter = w->l->proc;
	return true;
}

uint64_t
lease_devices(const struct lease_core *c, uint32_t worker)
{
	const struct wrk *w = map_get(&c->by_worker, worker);

	return w && w->l ? w->l->devices : 0;
}

struct res
lease_need(const struct lease_core *c, uint32_t worker)
{
	const struct wrk *w = map_get(&c->by_worker, worker);

	return w && w->l ? w->l->need : (struct res){ { 0 } };
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
lease_check(const struct lease_core *c)
{
	struct res sum = { { 0 } };
	struct gpus gpu = c->gpu;
	unsigned n = 0, idle = 0, actors = 0;

	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);
		struct wrk *w = map_get(&c->by_worker, l->worker);

		for (unsigned r = 0; r < RES_MAX && !l->pool; r++)
			sum.v[r] += held(l, r);
		if (!l->pool)
			gpus_give(&gpu, l->devices, l->need.v[RES_GPU]);
		CHECK(map_get(&c->by_lease, l->id) == l);
		CHECK(w == NULL || w->l == l);
		CHECK(!l->d || l->d->job == l->job);
		if (l->actor)
			actors++;
		else
			n++;
	}
	list_each(p, &c->idle) {
		struct wrk *w = list_entry(p, struct wrk, link);

		CHECK(w->l == NULL && map_get(&c->by_worker, w->proc) == w);
		idle++;
	}
	CHECK(n + idle == c->nworker && actors == c->nactor);
	if (lease_group_check(c, &sum, &gpu))
		return lease_group_check(c, &sum, &gpu);
	for (unsigned r = 0; r < RES_MAX; r++)
		CHECK(sum.v[r] + c->free.v[r] == c->total.v[r]);
	for (unsigned i = 0; i < gpu.n; i++)
		CHECK(gpu.free[i] == GPU_ONE && c->gpu.free[i] <= GPU_ONE);
	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);
		int64_t use = 0, called = 0;
		uint64_t have = 0;

		list_each(q, &c->leases) {
			struct lease *l = list_entry(q, struct lease, link);

			if (l->d != d)
				continue;
			have++;
			use += l->blocked ? 0 : use_of(&l->need);
			called += l->blocked || !l->level ? 0 : use_of(&l->need);
		}
		CHECK(have == d->have && use == d->use && called == d->called);
	}
	return 0;
}

uint64_t
lease_granted(const struct lease_core *c)
{
	return c->by_lease.n;
}

uint64_t
lease_waiting(const struct lease_core *c)
{
	uint64_t n = 0;

	list_each(l, &c->demands) {
		const struct demand *d = list_entry(l, struct demand, link);

		n += d->want > d->have ? d->want - d->have : 0;
	}
	return n;
}
