#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/lease_inner.h"

void
lease_init(struct lease_core *c, const struct res *total, const struct lease_limits *limit)
{
	*c = (struct lease_core){ .total = *total, .free = *total, .limit = *limit };
	strcpy(c->name[RES_CPU], "cpus");
	strcpy(c->name[RES_GPU], "gpus");
	strcpy(c->name[RES_MEM], "memory");
	gpus_init(&c->gpu, (unsigned)(total->v[RES_GPU] / GPU_ONE));
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

struct lease_fx *
lease_fx_add(struct lease_out *o, enum lease_fx_kind kind)
{
	static struct lease_fx lost;	/* no memory: the effect is dropped, what it was about waits for the next step */
	struct lease_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct lease_fx){ .kind = kind };
	return &p[o->n++];
}

struct job *
lease_job(struct lease_core *c, uint32_t number)
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

void
lease_job_put(struct lease_core *c, struct job *j)
{
	if (--j->refs == 0) {
		map_del(&c->jobs, j->job);
		free(j);
	}
}

void
lease_count(struct lease *l, int64_t sign)
{
	int64_t u = l->blocked ? 0 : sign * use_of(&l->need);

	if (!l->group)			/* a group counts as a whole */
		l->job->use += u;
	if (l->d)
		l->d->use += u;
	if (l->level) {
		if (!l->group)
			l->job->called += u;
		if (l->d)
			l->d->called += u;
	}
}

static void
wrk_end(struct lease_core *c, struct wrk *w)
{
	if (w->l == NULL) {
		list_del(&w->link);
		w->job->idle--;
	}
	map_del(&c->by_worker, w->proc);
	lease_job_put(c, w->job);
	free(w);
}

void
lease_demand_end(struct lease_core *c, struct demand *d)
{
	list_each(p, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->d == d)
			l->d = NULL;
	}
	list_del(&d->link);
	lease_job_put(c, d->job);
	free(d);
}

/* the lease is over; its worker becomes idle if it stays */
void
lease_over(struct lease_core *c, struct lease *l, bool stays)
{
	struct wrk *w = map_get(&c->by_worker, l->worker);
	struct demand *d = l->d;
	unsigned r;

	for (r = 0; r < RES_MAX; r++)
		purse(c, l)->v[r] += held(l, r);
	gpus_give(lease_gpus(c, l), l->devices, l->need.v[RES_GPU]);
	lease_count(l, -1);
	if (d) {
		d->want -= d->want > 0;		/* who still wants as many says so */
		if (--d->have == 0 && d->want == 0)
			lease_demand_end(c, d);
		else if (d->have == 0)
			d->since = 0, d->told = false;	/* the next step's time will do */
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
	lease_job_put(c, l->job);
	free(l);
}

/* an idle worker is told to end: at once it counts no more */
static void
end_idle(struct lease_core *c, struct wrk *w, struct lease_out *o)
{
	struct lease_fx *fx = lease_fx_add(o, LEASE_FX_END);

	fx->worker = w->proc;
	fx->level = 1;
	wrk_end(c, w);
	c->nworker--;
}

/* an idle worker whose surroundings are as d wants them: of its job, the last used; GPUs are seen by fresh ones only */
static struct wrk *
idle_for(struct lease_core *c, const struct demand *d)
{
	if (d->actor || d->need.v[RES_GPU] > 0)
		return NULL;
	list_each(p, &c->idle) {
		struct wrk *w = list_entry(p, struct wrk, link);

		if (w->job == d->job && w->threads == d->threads && !w->blocked)
			return w;
	}
	return NULL;
}

static struct wrk *
idle_longest(struct lease_core *c, const struct job *j)	/* of j; NULL: of anybody */
{
	struct wrk *found = NULL;

	list_each(p, &c->idle)
		if (!j || list_entry(p, struct wrk, link)->job == j)
			found = list_entry(p, struct wrk, link);
	return found;
}

/* Is there a process to be had for d?  An idle one of its job, or room for one more. */
bool
lease_staffed(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	struct wrk *w;

	if (idle_for(c, d))
		return true;
	if (now < c->hold_until) {
		soon(o, c->hold_until);
		return false;
	}
	if (d->actor)
		return c->nactor < c->limit.actors;
	if (c->nworker >= c->limit.workers && (w = idle_longest(c, NULL)) != NULL)
		end_idle(c, w, o);
	return c->nworker < c->limit.workers;
}

int
lease_grant(struct lease_core *c, uint64_t now, struct demand *d, struct lease_out *o)
{
	struct lease *l = calloc(1, sizeof *l);
	struct wrk *w = idle_for(c, d);
	struct lease_fx *fx;

	if (l == NULL || map_put(&c->by_lease, c->last + 1, l) < 0) {
		free(l);
		return -ENOMEM;
	}
	*l = (struct lease){ .id = ++c->last, .actor = d->actor, .granted = now, .d = d->actor ? NULL : d,
	    .job = d->job, .proc = d->proc, .need = d->need, .threads = d->threads, .group = d->group,
	    .pool = d->group ? lease_pool_for(d->group, &d->need, d->bundle, false) : NULL };
	l->devices = gpus_pick(lease_gpus(c, l), d->need.v[RES_GPU]);
	gpus_take(lease_gpus(c, l), l->devices, l->need.v[RES_GPU]);
	l->job->refs++;
	list_add_tail(&c->leases, &l->link);
	for (unsigned r = 0; r < RES_MAX; r++)
		purse(c, l)->v[r] -= d->need.v[r];
	lease_count(l, 1);
	d->have += d->actor == 0;	/* an actor is placed and forgotten */
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
	fx = lease_fx_add(o, LEASE_FX_GRANT);
	fx->proc = d->proc;
	fx->job = d->job->job;
	fx->worker = l->worker;
	fx->lease = l->id;
	fx->actor = d->actor;
	fx->req = d->req;
	fx->shape = d->shape;
	fx->need = d->need;
	fx->devices = l->devices;
	fx->threads = l->threads;
	fx->group = d->group ? d->group->number : 0;
	fx->capture = d->capture;
	if (d->actor)
		lease_actors_served(c, now, d);
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
	*w = (struct wrk){ .proc = worker, .job = l->job, .l = l, .threads = l->threads, .last = l->devices != 0 };
	list_init(&w->link);
	l->job->refs++;
	l->worker = worker;
}

/* --- inputs ---------------------------------------------------------------------------------------- */

void
lease_refuse(const struct lease_in *in, const char *text, struct lease_out *o)
{
	struct lease_fx *fx = lease_fx_add(o, LEASE_FX_FAIL);

	fx->proc = in->proc;
	fx->req = in->req;
	fx->actor = in->actor;
	fx->shape = in->shape;
	fx->group = in->kind == LEASE_IN_RESERVE ? in->group : 0;
	snprintf(fx->text, sizeof fx->text, "%s", text);
}

/* the demand that in goes on with, or NULL; n: how many its process has */
static struct demand *
demand_find(struct lease_core *c, const struct lease_in *in, unsigned *n)
{
	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (d->reserve)
			continue;
		if (d->actor || d->proc != in->proc)
			continue;
		if (d->shape == in->shape)
			return d;
		++*n;
	}
	return NULL;
}

static int
in_ask(struct lease_core *c, uint64_t now, const struct lease_in *in, struct lease_out *o)
{
	unsigned has = 0;
	struct demand *d = in->actor ? lease_actors_like(c, in) : demand_find(c, in, &has);
	char text[160];
	int e;

	if (in->want && (in->group ? !lease_group_feasible(c, in, text, sizeof text) :
	    (!in->wait || !gpus_shape(in->need.v[RES_GPU])) && !lease_feasible(c, &in->need, text, sizeof text))) {
		lease_refuse(in, text, o);
		return 0;
	}
	if (d == NULL) {
		if (in->want == 0)
			return 0;
		if (has >= LEASE_DEMANDS) {
			snprintf(text, sizeof text, "this process waits for %u kinds of workers already", has);
			lease_refuse(in, text, o);
			return 0;
		}
		if ((d = calloc(1, sizeof *d)) == NULL || (d->job = lease_job(c, in->job)) == NULL) {
			free(d);
			return -ENOMEM;
		}
		d->proc = in->proc;
		d->shape = in->shape;
		d->need = in->need;
		d->needs = needs_of(&in->need);
		d->group = map_get(&c->groups, in->group);
		d->bundle = in->bundle;
		d->capture = in->capture;
		d->turn = ++c->turn;
		d->since = now;
		d->threads = in->threads;
		list_add_tail(&c->demands, &d->link);
	}
	if (d->want == 0) {
		d->since = now;
		d->told = false;
	}
	d->wait = in->wait;
	d->priority = in->priority;
	if (in->actor) {
		if ((e = lease_actors_add(c, d, in->actor)) < 0 && d->want == 0)
			lease_demand_end(c, d);
		return e;
	}
	d->req = in->req;
	d->want = in->want;
	if (d->want == 0 && d->have == 0)
		lease_demand_end(c, d);
	return 0;
}

static void
in_return(struct lease_core *c, const struct lease_in *in, struct lease_out *o)
{
	struct lease *l = map_get(&c->by_lease, in->lease);
	struct wrk *w;
	struct job *j;

	if (l == NULL || l->actor || l->proc != in->proc)
		return;
	j = l->job;
	j->refs++;
	w = map_get(&c->by_worker, l->worker);
	lease_over(c, l, true);
	if (w == NULL || !w->last)		/* the one of this job that is idle for longest */
		w = j->idle > c->limit.idle ? idle_longest(c, j) : NULL;
	if (w)
		end_idle(c, w, o);
	lease_job_put(c, j);
}

static void
in_retire(struct lease_core *c, uint32_t worker, uint64_t now, struct lease_out *o)
{
	struct wrk *w = map_get(&c->by_worker, worker);

	if (w == NULL || (w->l && w->l->actor))
		return;
	if (w->l == NULL) {
		end_idle(c, w, o);
		return;
	}
	w->last = true;
	if (w->l->level == 0)
		lease_call(now, w->l, o);
}

static void
in_gone(struct lease_core *c, uint32_t proc, struct lease_out *o)
{
	struct wrk *w = map_get(&c->by_worker, proc);

	if (w && w->l)
		lease_over(c, w->l, false);
	else if (w) {
		wrk_end(c, w);
		c->nworker--;
	}
	list_each_safe(p, q, &c->leases) {
		struct lease *l = list_entry(p, struct lease, link);

		if (l->actor || l->proc != proc)
			continue;
		if (l->worker)		/* it may be running something that nobody wants any more */
			lease_fx_add(o, LEASE_FX_END)->worker = l->worker;
		lease_over(c, l, false);
	}
	list_each_safe(p, q, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (!d->actor && !d->reserve && d->proc == proc)
			lease_demand_end(c, d);
	}
}

static void
in_blocked(struct lease_core *c, uint32_t worker, bool on)
{
	struct wrk *w = map_get(&c->by_worker, worker);

	if (w)
		w->blocked = on;
	if (w == NULL || w->l == NULL || w->l->blocked == on)
		return;
	lease_count(w->l, -1);
	w->l->blocked = on;
	lease_count(w->l, 1);
	purse(c, w->l)->v[RES_CPU] += on ? w->l->need.v[RES_CPU] : -w->l->need.v[RES_CPU];
}

int
lease_step(struct lease_core *c, uint64_t now, const struct lease_in *in, struct lease_out *o)
{
	struct lease *l;
	int e = 0;

	o->at = 0;
	switch (in->kind) {
	case LEASE_IN_ASK:
	case LEASE_IN_PLACE:
		e = in_ask(c, now, in, o);
		break;
	case LEASE_IN_UNPLACE:
		lease_actors_leave(c, in->actor);
		break;
	case LEASE_IN_RETURN:
		in_return(c, in, o);
		break;
	case LEASE_IN_BLOCKED:
		in_blocked(c, in->proc, in->on);
		break;
	case LEASE_IN_NOFORK:
		c->hold_until = now + UINT64_C(500000000);
		if ((l = map_get(&c->by_lease, in->lease)) == NULL)
			break;
		if (l->d)
			l->d->want++;		/* it never heard of this one, and is not told: it wants as many as before */
		lease_over(c, l, false);
		break;
	case LEASE_IN_GONE:
		in_gone(c, in->proc, o);
		break;
	case LEASE_IN_RETIRE:
		in_retire(c, in->proc, now, o);
		break;
	case LEASE_IN_RECALL:
		list_each(p, &c->leases) {
			struct lease *r = list_entry(p, struct lease, link);

			if (r->d && r->group == NULL && r->level == 0)
				lease_call(now, r, o);
		}
		break;
	case LEASE_IN_RESERVE:
		e = lease_reserve(c, in, o);
		break;
	case LEASE_IN_RELEASE:
		lease_unreserve(c, in->group, o);
		break;
	case LEASE_IN_TICK:
		break;
	}
	lease_schedule(c, now, o);
	lease_press(c, now, o);
	lease_notices(c, now, o);
	return e;
}

/* --- the end ---------------------------------------------------------------------------------------- */

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
	lease_actors_end(c);
	lease_group_end(c);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->jobs, &it))
		free(it.val);
	map_release(&c->by_worker);
	map_release(&c->by_lease);
	map_release(&c->jobs);
}
