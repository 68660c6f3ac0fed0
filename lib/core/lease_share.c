#include <stdio.h>
#include "core/lease_inner.h"

/* --- calling back ------------------------------------------------------------------------------- */

/* May l be called back for d, which will have got uj (its job) and ud (itself) by then? */
static bool
yields(const struct lease *l, const struct demand *d, uint64_t now, int64_t uj, int64_t ud, bool rotate,
    struct lease_out *o)
{
	bool same = l->job == d->job;
	int64_t uv = same ? l->d->use - l->d->called : l->job->use - l->job->called, u = same ? ud : uj;
	uint64_t at = l->granted + LEASE_HOLD;

	if (l->d == d || l->group != d->group)
		return false;
	if (l->group) {			/* within a group it is between processes */
		uv = l->d->use - l->d->called;
		u = ud;
	}
	if (l->d->have > l->d->want) {			/* its holder said that it has no use for it now */
		if (at > now)
			soon(o, at);
		return at <= now;
	}
	if (l->d->priority > d->priority)
		return false;
	if (l->d->priority == d->priority && uv - use_of(&l->need) < u + use_of(&d->need)) {
		if (!rotate || uv <= u)
			return false;
		at = l->granted + LEASE_SLICE;	/* shares cannot be equal: turns */
	}
	if (at > now)
		soon(o, at);
	return at <= now;
}

void
lease_call(uint64_t now, struct lease *l, struct lease_out *o)
{
	lease_count(l, -1);
	l->level = 1;
	lease_count(l, 1);
	l->called = now;
	*lease_fx_add(o, LEASE_FX_CALL) = (struct lease_fx){ .kind = LEASE_FX_CALL, .lease = l->id, .level = 1 };
}

/* Calls back leases until what is free or on its way suffices for all that d wants, as far as shares allow. */
static void
call_back(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	int64_t miss[RES_MAX], uj = d->job->use - d->job->called, ud = d->use - d->called;
	int64_t more = (int64_t)(d->want - d->have);
	struct lease_pool *pool = d->group ? lease_pool_for(d->group, &d->need, d->bundle, true) : NULL;
	const struct res *total = pool ? &pool->total : &c->total, *here = pool ? &pool->free : &c->free;
	bool any = false, rotate = true;
	unsigned r;

	for (r = 0; r < RES_MAX; r++) {
		if (more > 1 && d->need.v[r] > total->v[r] / more)
			more = total->v[r] / d->need.v[r] > 0 ? total->v[r] / d->need.v[r] : 1;
		miss[r] = d->need.v[r] * more - here->v[r];
		list_each(p, &c->leases) {
			struct lease *l = list_entry(p, struct lease, link);

			if (l->level == 0 || l->pool != pool)
				continue;
			if (now - l->called < LEASE_LATE) {
				miss[r] -= held(l, r);
				soon(o, l->called + LEASE_LATE);
			}
		}
		if (r == RES_GPU && miss[r] <= 0 && !d->reserve && !gpus_pick(pool ? &pool->gpu : &c->gpu, d->need.v[r]))
			miss[r] = d->need.v[r];	/* enough in all, but in parts of several */
		if (d->need.v[r] == 0)
			miss[r] = 0;
	}
	for (;;) {
		struct lease *best = NULL;

		list_each(p, &c->leases) {
			struct lease *l = list_entry(p, struct lease, link);
			bool useful = false;

			for (r = 0; r < RES_MAX; r++)
				useful |= miss[r] > 0 && held(l, r) > 0 && l->pool == pool;
			if (useful && l->d && !l->level && yields(l, d, now, uj, ud, rotate, o) && (best == NULL ||
			    l->job->use - l->job->called > best->job->use - best->job->called))
				best = l;
		}
		if (best == NULL)
			break;
		any = true;
		rotate = false;
		lease_call(now, best, o);
		for (r = 0; r < RES_MAX; r++)
			miss[r] -= held(best, r);
		if (best->job != d->job)
			uj += use_of(&d->need);
		ud += use_of(&d->need);
	}
	if (any && d->reserved + LEASE_RESERVE + LEASE_SLICE < now)
		d->reserved = now;
}

void
lease_press(struct lease_core *c, uint64_t now, struct lease_out *o)
{
	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);
		uint64_t at = l->level == 1 ? l->called + LEASE_GRACE : l->take;

		if (l->level == 0)
			continue;
		if (at <= now) {
			if (l->level < 3)
				l->level++;
			*lease_fx_add(o, LEASE_FX_CALL) = (struct lease_fx){ .kind = LEASE_FX_CALL, .lease = l->id,
			    .level = l->level };
			at = now + LEASE_TAKE;
			if (l->level == 3)	/* it runs something long: ask ever more rarely, at least each second */
				at = now + (now - l->called < UINT64_C(10000000000) ? (now - l->called) / 8 + LEASE_TAKE :
				    UINT64_C(1000000000));
			l->take = at;
		}
		soon(o, at);
	}
}

/* --- granting ----------------------------------------------------------------------------------- */

static bool
fits(const struct lease_core *c, const struct demand *d)
{
	if (d->group)
		return d->group->held && lease_pool_for(d->group, &d->need, d->bundle, false) != NULL;
	return d->reserve ? lease_holdable(c, d) : lease_fits(c, &d->need);
}

static bool
before(const struct demand *a, const struct demand *b)
{
	int64_t ua = a->job->use - a->job->called, ub = b->job->use - b->job->called;

	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (ua != ub && a->job != b->job)
		return ua < ub;
	return a->turn < b->turn;
}

struct limits {
	unsigned set;			/* bit r: there is a v[r] */
	int64_t v[RES_MAX];		/* who needs that much of r must not be served before somebody who stands before him */
};

static bool
out_of(const struct limits *l, const struct demand *d)
{
	for (unsigned m = l->set & d->needs; m; m &= m - 1) {
		unsigned r = (unsigned)__builtin_ctz(m);

		if (d->need.v[r] >= l->v[r])
			return true;
	}
	return false;
}

static struct demand *
best_demand(struct lease_core *c, const struct lgroup *g, const struct limits *l)
{
	struct demand *best = NULL;

	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (d->have < d->want && d->skip != c->pass && d->group == g && (best == NULL || before(d, best)) && !out_of(l, d))
			best = d;
	}
	return best;
}

/* from the node, or from the pools of a group */
static void
schedule(struct lease_core *c, uint64_t now, const struct lgroup *g, struct lease_out *o)
{
	struct limits limit = { .set = 0 };
	struct demand *d;

	while ((d = best_demand(c, g, &limit)) != NULL) {
		if (fits(c, d)) {
			if (d->reserve)
				lease_hold(c, d, o);
			else if (!lease_staffed(c, now, d, o) || lease_grant(c, now, d, o) < 0)
				d->skip = c->pass;
			continue;
		}
		if (!g || g->held)
			call_back(c, now, d, o);
		d->skip = c->pass;
		for (unsigned m = g ? 0 : d->needs; m; m &= m - 1) {	/* bundles are small and many: who fits into one is not held up */
			unsigned r = (unsigned)__builtin_ctz(m);

			if (d->need.v[r] > c->free.v[r] || (r == RES_GPU && (d->reserve || !gpus_pick(&c->gpu, d->need.v[r])))) {
				limit.v[r] = now < d->reserved + LEASE_RESERVE ? 1 : d->need.v[r];
				limit.set |= 1u << r;
			}
		}
		if (now < d->reserved + LEASE_RESERVE)
			soon(o, d->reserved + LEASE_RESERVE);
	}
}

void
lease_notices(struct lease_core *c, uint64_t now, struct lease_out *o)
{
	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);
		struct lease_fx *fx;
		char text[110];

		if (d->told || d->have || d->want == 0 || d->reserve)
			continue;
		if (d->since == 0)
			d->since = now;
		if (now < d->since + LEASE_NOTICE) {
			soon(o, d->since + LEASE_NOTICE);
			continue;
		}
		d->told = true;
		if (d->group)
			snprintf(text, sizeof text, d->group->held ? "room in its placement group" : "its placement group to be placed");
		else if (!lease_lacks(c, &d->need, text, sizeof text))
			snprintf(text, sizeof text, "a worker: %u of %u are in use", d->actor ? c->nactor : c->nworker,
			    d->actor ? c->limit.actors : c->limit.workers);
		fx = lease_fx_add(o, LEASE_FX_NOTICE);
		fx->proc = d->proc;
		fx->actor = d->actor;
		if (d->actor && d->want > 1)
			snprintf(fx->text, sizeof fx->text, "waiting for %s; %u more wait behind it", text,
			    (unsigned)(d->want - 1));
		else
			snprintf(fx->text, sizeof fx->text, "waiting for %s", text);
	}
}

void
lease_schedule(struct lease_core *c, uint64_t now, struct lease_out *o)
{
	const struct lgroup *g;

	c->pass++;
	schedule(c, now, NULL, o);
	while (c->groups.n) {			/* each group that somebody waits in */
		g = NULL;
		list_each(p, &c->demands) {
			struct demand *d = list_entry(p, struct demand, link);

			if (d->group && d->skip != c->pass && d->have < d->want) {
				g = d->group;
				break;
			}
		}
		if (g == NULL)
			return;
		schedule(c, now, g, o);
	}
}
