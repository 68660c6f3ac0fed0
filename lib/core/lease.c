#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/lease.h"

struct job {
	uint32_t job;
	unsigned refs, idle;
	int64_t use, called;		/* CPUs of its running leases; of them on their way back */
};

struct demand {				/* what a process wants of a shape, or an actor of its node */
	struct list link;
	uint32_t proc;
	struct job *job;
	uint64_t shape, actor, req, want, have, turn, reserved;
	struct res need;
	int64_t priority, use, called;
	bool wait, skip;
};

struct lease {
	struct list link;		/* in core->leases, oldest first */
	uint64_t id, actor, granted, called, take;
	struct demand *d;		/* NULL for an actor's */
	struct job *job;
	uint32_t proc, worker;
	struct res need;
	int64_t priority;
	unsigned level;
	bool blocked;
};

struct wrk {
	struct list link;		/* in core->idle, last in first */
	uint32_t proc;
	struct job *job;
	struct lease *l;		/* NULL: idle */
};

void
lease_init(struct lease_core *c, const struct res *total, const struct lease_limits *limit)
{
	*c = (struct lease_core){ .total = *total, .free = *total, .limit = *limit };
	strcpy(c->name[RES_CPU], "cpus");
	strcpy(c->name[RES_GPU], "gpus");
	strcpy(c->name[RES_MEM], "memory");
	list_init(&c->demands);
	list_init(&c->leases);
	list_init(&c->idle);
}

unsigned
lease_resource(struct lease_core *c, const char *name, size_t n, bool make)
{
	unsigned i;

	if (n == 0 || n >= sizeof c->name[0])
		return RES_MAX;
	for (i = 0; i < RES_MAX && c->name[i][0]; i++)
		if (strlen(c->name[i]) == n && memcmp(c->name[i], name, n) == 0)
			return i;
	if (i < RES_MAX && make)
		memcpy(c->name[i], name, n);
	return make ? i : RES_MAX;
}

static struct lease_fx *
fx_add(struct lease_out *o, enum lease_fx_kind kind)
{
	static struct lease_fx lost;	/* no memory: the effect is dropped, what it was about waits for the next step */

	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 16;
		struct lease_fx *p = realloc(o->fx, cap * sizeof *p);

		if (p == NULL)
			return &lost;
		o->fx = p;
		o->cap = cap;
	}
	o->fx[o->n] = (struct lease_fx){ .kind = kind };
	return &o->fx[o->n++];
}

static void
soon(struct lease_out *o, uint64_t at)
{
	if (o->at == 0 || at < o->at)
		o->at = at;
}

static struct job *
job_get(struct lease_core *c, uint32_t number)
{
	struct job *j = map_get(&c->jobs, number);

	if (j == NULL && (j = calloc(1, sizeof *j)) != NULL) {
		j->job = number;
		if (map_put(&c->jobs, number, j) < 0) {
			free(j);
			return NULL;
		}
	}
	if (j)
		j->refs++;
	return j;
}

static void
job_put(struct lease_core *c, struct job *j)
{
	if (--j->refs == 0) {
		map_del(&c->jobs, j->job);
		free(j);
	}
}

/* what a lease counts for when shares are compared: a worker without CPUs is still a little */
static int64_t
use_of(const struct res *r)
{
	return r->v[RES_CPU] > 0 ? r->v[RES_CPU] : 1;
}

static void
count(struct lease *l, int64_t sign)	/* l's share in its job's and demand's figures */
{
	int64_t u = l->blocked ? 0 : sign * use_of(&l->need);

	l->job->use += u;
	if (l->d)
		l->d->use += u;
	if (l->level) {
		l->job->called += u;
		if (l->d)
			l->d->called += u;
	}
}

static int64_t
held(const struct lease *l, unsigned r)
{
	return r == RES_CPU && l->blocked ? 0 : l->need.v[r];
}

static void
wrk_end(struct lease_core *c, struct wrk *w)
{
	if (w->l == NULL) {
		list_del(&w->link);
		w->job->idle--;
	}
	map_del(&c->by_worker, w->proc);
	job_put(c, w->job);
	free(w);
}

static void
demand_end(struct lease_core *c, struct demand *d)
{
	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->d == d)
			l->d = NULL;
	}
	list_del(&d->link);
	job_put(c, d->job);
	free(d);
}

/* the lease is over; its worker becomes idle if it stays */
static void
lease_end(struct lease_core *c, struct lease *l, bool stays)
{
	struct wrk *w = map_get(&c->by_worker, l->worker);
	struct demand *d = l->d;
	unsigned r;

	for (r = 0; r < RES_MAX; r++)
		c->free.v[r] += held(l, r);
	count(l, -1);
	if (d) {
		d->want -= d->want > 0;		/* who still wants as many says so */
		if (--d->have == 0 && d->want == 0)
			demand_end(c, d);
	}
	if (l->actor)
		c->nactor--;
	else if (!stays)
		c->nworker--;
	if (w) {
		w->l = NULL;
		list_add(&c->idle, &w->link);
		w->job->idle++;
		if (!stays)
			wrk_end(c, w);
	}
	map_del(&c->by_lease, l->id);
	list_del(&l->link);
	job_put(c, l->job);
	free(l);
}

/* an idle worker is told to end: at once it counts no more */
static void
end_idle(struct lease_core *c, struct wrk *w, struct lease_out *o)
{
	struct lease_fx *fx = fx_add(o, LEASE_FX_END);

	fx->worker = w->proc;
	fx->level = 1;
	wrk_end(c, w);
	c->nworker--;
}

static struct wrk *
idle_of(struct lease_core *c, const struct job *j, bool other)	/* of j: the last used; of others: the first */
{
	struct wrk *found = NULL;

	list_each(p, &c->idle) {
		struct wrk *w = list_entry(p, struct wrk, link);

		if ((w->job == j) != other) {
			found = w;
			if (!other)
				break;
		}
	}
	return found;
}

static bool
fits(const struct lease_core *c, const struct demand *d)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (d->need.v[r] > 0 && d->need.v[r] > c->free.v[r])
			return false;
	return true;
}

/* is there a process to be had for d?  An idle one of its job, or room for one more. */
static bool
staffed(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	struct wrk *w;

	if (!d->actor && idle_of(c, d->job, false))
		return true;
	if (now < c->hold_until) {
		soon(o, c->hold_until);
		return false;
	}
	if (d->actor)
		return c->nactor < c->limit.actors;
	if (c->nworker >= c->limit.workers && (w = idle_of(c, d->job, true)) != NULL)
		end_idle(c, w, o);
	return c->nworker < c->limit.workers;
}

static int
grant(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	struct lease *l = calloc(1, sizeof *l);
	struct wrk *w = d->actor ? NULL : idle_of(c, d->job, false);
	struct lease_fx *fx;

	if (l == NULL || map_put(&c->by_lease, c->last + 1, l) < 0) {
		free(l);
		return -ENOMEM;
	}
	*l = (struct lease){ .id = ++c->last, .actor = d->actor, .granted = now, .d = d->actor ? NULL : d,
	    .job = d->job, .proc = d->proc, .need = d->need, .priority = d->priority };
	l->job->refs++;
	list_add_tail(&c->leases, &l->link);
	for (unsigned r = 0; r < RES_MAX; r++)
		c->free.v[r] -= d->need.v[r];
	count(l, 1);
	d->have++;
	d->turn = ++c->turn;
	d->reserved = 0;
	if (w) {
		list_del(&w->link);
		w->job->idle--;
		w->l = l;
		l->worker = w->proc;
	} else if (d->actor)
		c->nactor++;
	else
		c->nworker++;
	fx = fx_add(o, LEASE_FX_GRANT);
	fx->proc = d->proc;
	fx->job = d->job->job;
	fx->worker = l->worker;
	fx->lease = l->id;
	fx->actor = d->actor;
	fx->req = d->req;
	fx->shape = d->shape;
	fx->need = d->need;
	if (d->actor)
		demand_end(c, d);
	return 0;
}

void
lease_bind(struct lease_core *c, uint64_t lease, uint32_t worker)
{
	struct lease *l = map_get(&c->by_lease, lease);
	struct wrk *w = l ? calloc(1, sizeof *w) : NULL;

	if (w == NULL || map_put(&c->by_worker, worker, w) < 0) {
		free(w);
		return;
	}
	*w = (struct wrk){ .proc = worker, .job = l->job, .l = l };
	list_init(&w->link);
	l->job->refs++;
	l->worker = worker;
}

/* --- calling back ------------------------------------------------------------------------------- */

/* May l be called back for d, which will have got uj (its job) and ud (itself) by then? */
static bool
yields(const struct lease *l, const struct demand *d, uint64_t now, int64_t uj, int64_t ud, bool rotate,
    struct lease_out *o)
{
	bool same = l->job == d->job;
	int64_t uv = same ? l->d->use - l->d->called : l->job->use - l->job->called, u = same ? ud : uj;
	uint64_t at = l->granted + LEASE_HOLD;

	if (l->d == d)
		return false;
	if (l->d->have > l->d->want) {			/* its holder said that it has no use for it now */
		if (at > now)
			soon(o, at);
		return at <= now;
	}
	if (l->priority > d->priority)
		return false;
	if (l->priority == d->priority && uv - use_of(&l->need) < u + use_of(&d->need)) {
		if (!rotate || uv <= u)
			return false;
		at = l->granted + LEASE_SLICE;	/* shares cannot be equal: turns */
	}
	if (at > now)
		soon(o, at);
	return at <= now;
}

/* Calls back leases until what is free or on its way suffices for all that d wants, as far as shares allow. */
static void
call_back(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	int64_t miss[RES_MAX], uj = d->job->use - d->job->called, ud = d->use - d->called;
	int64_t more = (int64_t)(d->want - d->have);
	bool any = false, rotate = true;
	unsigned r;

	for (r = 0; r < RES_MAX; r++) {
		if (more > 1 && d->need.v[r] > c->total.v[r] / more)
			more = c->total.v[r] / d->need.v[r] > 0 ? c->total.v[r] / d->need.v[r] : 1;
		miss[r] = d->need.v[r] * more - c->free.v[r];
		list_each(p, &c->leases) {
			struct lease *l = list_entry(p, struct lease, link);

			if (l->level)
				miss[r] -= held(l, r);
		}
		if (d->need.v[r] == 0)
			miss[r] = 0;
	}
	for (;;) {
		struct lease *best = NULL;

		list_each(p, &c->leases) {
			struct lease *l = list_entry(p, struct lease, link);
			bool useful = false;

			for (r = 0; r < RES_MAX; r++)
				useful |= miss[r] > 0 && held(l, r) > 0;
			if (useful && l->d && !l->level && yields(l, d, now, uj, ud, rotate, o) && (best == NULL ||
			    l->job->use - l->job->called > best->job->use - best->job->called))
				best = l;
		}
		if (best == NULL)
			break;
		any = true;
		rotate = false;
		count(best, -1);
		best->level = 1;
		count(best, 1);
		best->called = now;
		for (r = 0; r < RES_MAX; r++)
			miss[r] -= held(best, r);
		if (best->job != d->job)
			uj += use_of(&d->need);
		ud += use_of(&d->need);
		*fx_add(o, LEASE_FX_CALL) = (struct lease_fx){ .kind = LEASE_FX_CALL, .lease = best->id, .level = 1 };
	}
	if (any && d->reserved + LEASE_RESERVE + LEASE_SLICE < now)
		d->reserved = now;
}

/* the grace of called leases runs out; o->at is set for those still out */
static void
press(struct lease_core *c, uint64_t now, struct lease_out *o)
{
	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);
		uint64_t at = l->level == 1 ? l->called + LEASE_GRACE : l->take;

		if (l->level == 0)
			continue;
		if (at <= now) {
			if (l->level < 3)
				l->level++;
			*fx_add(o, LEASE_FX_CALL) = (struct lease_fx){ .kind = LEASE_FX_CALL, .lease = l->id,
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
before(const struct demand *a, const struct demand *b)
{
	int64_t ua = a->job->use - a->job->called, ub = b->job->use - b->job->called;

	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (ua != ub && a->job != b->job)
		return ua < ub;
	return a->turn < b->turn;
}

/* limit[r]: who needs that much of r must not be served before somebody who stands before him */
static struct demand *
best_demand(struct lease_core *c, const int64_t limit[RES_MAX])
{
	struct demand *best = NULL;

	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);
		bool out = d->skip || d->have >= d->want;

		for (unsigned r = 0; r < RES_MAX && !out; r++)
			out = d->need.v[r] > 0 && d->need.v[r] >= limit[r];
		if (!out && (best == NULL || before(d, best)))
			best = d;
	}
	return best;
}

static void
schedule(struct lease_core *c, uint64_t now, struct lease_out *o)
{
	int64_t limit[RES_MAX];
	struct demand *d;
	unsigned r;

	list_each(p, &c->demands)
		list_entry(p, struct demand, link)->skip = false;
	for (r = 0; r < RES_MAX; r++)
		limit[r] = INT64_MAX;
	while ((d = best_demand(c, limit)) != NULL) {
		if (fits(c, d)) {
			if (!staffed(c, now, d, o) || grant(c, now, d, o) < 0)
				d->skip = true;
			continue;
		}
		call_back(c, now, d, o);
		d->skip = true;
		for (r = 0; r < RES_MAX; r++)
			if (d->need.v[r] > 0 && d->need.v[r] > c->free.v[r])
				limit[r] = now < d->reserved + LEASE_RESERVE ? 1 : d->need.v[r];
		if (now < d->reserved + LEASE_RESERVE)
			soon(o, d->reserved + LEASE_RESERVE);
	}
}

/* --- inputs ---------------------------------------------------------------------------------------- */

bool
lease_feasible(const struct lease_core *c, const struct res *need, char *text, size_t n)
{
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

static struct demand *
demand_find(struct lease_core *c, const struct lease_in *in)
{
	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (in->actor ? d->actor == in->actor : !d->actor && d->proc == in->proc && d->shape == in->shape)
			return d;
	}
	return NULL;
}

static int
in_ask(struct lease_core *c, const struct lease_in *in, struct lease_out *o)
{
	struct demand *d = demand_find(c, in);
	struct lease_fx *fx;
	char text[160];

	if (!in->wait && in->want && !lease_feasible(c, &in->need, text, sizeof text)) {
		fx = fx_add(o, LEASE_FX_FAIL);
		fx->proc = in->proc;
		fx->req = in->req;
		fx->actor = in->actor;
		fx->shape = in->shape;
		memcpy(fx->text, text, sizeof text);
		return 0;
	}
	if (d == NULL) {
		if (in->want == 0)
			return 0;
		if ((d = calloc(1, sizeof *d)) == NULL || (d->job = job_get(c, in->job)) == NULL) {
			free(d);
			return -ENOMEM;
		}
		d->proc = in->proc;
		d->shape = in->shape;
		d->actor = in->actor;
		d->need = in->need;
		d->turn = ++c->turn;
		list_add_tail(&c->demands, &d->link);
	}
	d->req = in->req;
	d->want = in->want;
	d->wait = in->wait;
	d->priority = in->priority;
	if (d->want == 0 && d->have == 0)
		demand_end(c, d);
	return 0;
}

static void
in_return(struct lease_core *c, const struct lease_in *in, struct lease_out *o)
{
	struct lease *l = map_get(&c->by_lease, in->lease);
	struct wrk *w = NULL;
	struct job *j;

	if (l == NULL || l->actor || l->proc != in->proc)
		return;
	j = l->job;
	j->refs++;
	lease_end(c, l, true);
	if (j->idle > c->limit.idle)
		list_each(p, &c->idle)		/* the last of this job is the one idle for longest */
			if (list_entry(p, struct wrk, link)->job == j)
				w = list_entry(p, struct wrk, link);
	if (w)
		end_idle(c, w, o);
	job_put(c, j);
}

static void
in_gone(struct lease_core *c, uint32_t proc, struct lease_out *o)
{
	struct wrk *w = map_get(&c->by_worker, proc);

	if (w && w->l)
		lease_end(c, w->l, false);
	else if (w) {
		wrk_end(c, w);
		c->nworker--;
	}
	list_each_safe(p, q, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->actor || l->proc != proc)
			continue;
		if (l->worker)		/* it may be running something that nobody wants any more */
			fx_add(o, LEASE_FX_END)->worker = l->worker;
		lease_end(c, l, false);
	}
	list_each_safe(p, q, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (!d->actor && d->proc == proc)
			demand_end(c, d);
	}
}

static void
in_blocked(struct lease_core *c, uint32_t worker, bool on)
{
	struct wrk *w = map_get(&c->by_worker, worker);

	if (w == NULL || w->l == NULL || w->l->blocked == on)
		return;
	count(w->l, -1);
	w->l->blocked = on;
	count(w->l, 1);
	c->free.v[RES_CPU] += on ? w->l->need.v[RES_CPU] : -w->l->need.v[RES_CPU];
}

int
lease_step(struct lease_core *c, uint64_t now, const struct lease_in *in, struct lease_out *o)
{
	struct demand *d;
	struct lease *l;
	int e = 0;

	o->at = 0;
	switch (in->kind) {
	case LEASE_IN_ASK:
	case LEASE_IN_PLACE:
		e = in_ask(c, in, o);
		break;
	case LEASE_IN_UNPLACE:
		if (in->actor && (d = demand_find(c, in)) != NULL)
			demand_end(c, d);
		break;
	case LEASE_IN_RETURN:
		in_return(c, in, o);
		break;
	case LEASE_IN_BLOCKED:
		in_blocked(c, in->proc, in->on);
		break;
	case LEASE_IN_NOFORK:
		c->hold_until = now + UINT64_C(500000000);
		if ((l = map_get(&c->by_lease, in->lease)) != NULL)
			lease_end(c, l, false);
		break;
	case LEASE_IN_GONE:
		in_gone(c, in->proc, o);
		break;
	case LEASE_IN_TICK:
		break;
	}
	schedule(c, now, o);
	press(c, now, o);
	return e;
}

/* --- looking ---------------------------------------------------------------------------------------- */

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
	unsigned n = 0, idle = 0, actors = 0;

	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);
		struct wrk *w = map_get(&c->by_worker, l->worker);

		for (unsigned r = 0; r < RES_MAX; r++)
			sum.v[r] += held(l, r);
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
	for (unsigned r = 0; r < RES_MAX; r++)
		CHECK(sum.v[r] + c->free.v[r] == c->total.v[r]);
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

void
lease_release(struct lease_core *c)
{
	struct map_iter it = MAP_ITER;
	struct list *l;

	while (map_next(&c->by_worker, &it))
		free(it.val);
	while ((l = list_shift(&c->leases)) != NULL)
		free(list_entry(l, struct lease, link));
	while ((l = list_shift(&c->demands)) != NULL)
		free(list_entry(l, struct demand, link));
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->jobs, &it))
		free(it.val);
	map_release(&c->by_worker);
	map_release(&c->by_lease);
	map_release(&c->jobs);
}
