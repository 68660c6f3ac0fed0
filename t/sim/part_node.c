/*
 * part_node.c - the daemon of a node: leases, actors and placement groups (core/lease.h, core/actor.h, core/group.h),
 * for drivers and workers that die when they like.
 *
 *	lease-sum	what is granted at one time, by our own book, is not more than there is
 *	lease-check	and the core's figures agree with each other
 *	actor-alone	no actor is alive in two workers
 *	group-whole	a group that is made has all its bundles, one that is removed none
 *	task-once	a task ends once
 *	task-done	in the end each task of a driver that lives has ended
 *	retry-bound, retry-early	and ran as often as its retries allow, no more and no less
 *	node-empty	in the end, with all drivers gone, nothing is held by anybody
 */
#include <stdlib.h>
#include <string.h>
#include "node.h"

/* --- our own book ------------------------------------------------------------------------------------------------------- */

/* After a grant of need.  What a woken worker takes again may be more than there is, until another one blocks or ends. */
static void
book_check(struct sim *s, const struct node *n, const struct res *need)
{
	struct res sum = n->aside;

	for (unsigned i = 0; i < n->nhold; i++)
		for (unsigned r = 0; r < RES_MAX; r++)
			sum.v[r] += n->hold[i].blocked && r == RES_CPU ? 0 : n->hold[i].need.v[r];
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] && sum.v[r] > n->total.v[r])
			sim_fail(s, "lease-sum", "node %u: %lld of resource %u are granted, it has %lld", n->m->i, (long long)sum.v[r], r,
			    (long long)n->total.v[r]);
}

static void
book_drop(struct node *n, unsigned i)
{
	n->hold[i] = n->hold[n->nhold - 1];
	n->nhold--;
}

static void
book(struct node *n, const struct lease_in *in)
{
	for (unsigned i = n->nhold; i-- > 0;) {
		struct hold *h = &n->hold[i];

		if ((in->kind == LEASE_IN_RETURN && h->lease == in->lease && h->proc == in->proc) ||
		    (in->kind == LEASE_IN_NOFORK && h->lease == in->lease) ||
		    (in->kind == LEASE_IN_GONE && (h->worker == in->proc || (!h->actor && h->proc == in->proc))))
			book_drop(n, i);
		else if (in->kind == LEASE_IN_BLOCKED && h->worker == in->proc)
			h->blocked = in->on;
	}
}

/* --- leases --------------------------------------------------------------------------------------------------------------- */

static void
ring_new(struct node *n, const struct lease_fx *fx, struct proc *sub, struct proc *wrk)
{
	struct ring *r = calloc(1, sizeof *r);

	if (r == NULL || map_put(&n->rings, fx->lease, r) < 0)
		abort();
	*r = (struct ring){ .lease = fx->lease, .sub = sub, .wrk = wrk, .shape = (unsigned)fx->shape - 1 };
	wrk->ring = r;
}

static void
fx_grant(struct sim *s, struct node *n, const struct lease_fx *fx)
{
	struct proc *wrk = map_get(&n->procs, fx->worker), *sub = map_get(&n->procs, fx->proc);
	bool fresh = fx->worker == 0;

	if (!lease_live(&n->lease, fx->lease))
		return;
	if (n->nhold == HOLDS)
		abort();
	for (unsigned i = 0; i < n->nhold; i++)
		if (fx->worker && n->hold[i].worker == fx->worker)
			sim_fail(s, "lease-sum", "node %u: worker %u has two leases", n->m->i, fx->worker);
	n->hold[n->nhold++] = (struct hold){ .lease = fx->lease, .actor = fx->actor, .proc = fx->proc, .need = fx->need };
	if (fresh && !sim_chance(s, s->phase == SIM_CHAOS ? 20 : 0)) {
		wrk = proc_new(s, n, false, fx->job);
		mail(s, wrk, M_GRANT, 0, 0);
	}
	if (wrk == NULL || wrk->lost) {
		node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_NOFORK, .lease = fx->lease });
		if (fx->actor)
			node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_NOFORK, .actor = fx->actor });
		return;
	}
	n->hold[n->nhold - 1].worker = wrk->number;
	if (fresh)
		lease_bind(&n->lease, fx->lease, wrk->number);
	book_check(s, n, &fx->need);
	sim_log(s, "node %u: lease %llu of %u%s to worker %u", n->m->i, (unsigned long long)fx->lease, fx->actor ? (unsigned)fx->actor : fx->proc,
	    fx->actor ? " (actor)" : "", wrk->number);
	if (fx->actor) {
		wrk->ready = false;
		node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_PLACED, .actor = fx->actor, .worker = wrk->number });
	} else if (sub && !sub->lost) {
		ring_new(n, fx, sub, wrk);
		mail(s, sub, M_GRANT, fx->lease, 1);
	} else
		node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = fx->proc, .lease = fx->lease });
}

static void
fx_call(struct sim *s, struct node *n, const struct lease_fx *fx)
{
	struct ring *r = map_get(&n->rings, fx->lease);
	uint32_t sub;

	if (r == NULL)
		return;
	if (fx->level < 3) {
		if (r->want < fx->level)
			r->want = fx->level;
		if (fx->level == 1)
			mail(s, r->sub, M_WANT, fx->lease, 0);
	} else if (proc_idle(r->wrk)) {
		sub = r->sub->number;
		if (r->want == 3)
			return;			/* it is on its way */
		ring_end(s, r);
		node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = sub, .lease = fx->lease });
	}
}

static void
lease_fx_do(struct sim *s, struct node *n, const struct lease_fx *fx)
{
	struct proc *p;

	switch (fx->kind) {
	case LEASE_FX_GRANT: fx_grant(s, n, fx); break;
	case LEASE_FX_CALL: fx_call(s, n, fx); break;
	case LEASE_FX_FAIL:
		if (fx->group)
			node_group(s, n, &(struct group_in){ .kind = GROUP_IN_REFUSED, .number = fx->group, .node = 1, .text = fx->text });
		else if (fx->actor)
			node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_NOPLACE, .actor = fx->actor, .text = fx->text });
		else
			sim_fail(s, "lease-check", "node %u: %s", n->m->i, fx->text);	/* no task here is too large */
		break;
	case LEASE_FX_RESERVED:
		node_group(s, n, &(struct group_in){ .kind = GROUP_IN_RESERVED, .number = fx->group, .node = 1 });
		break;
	case LEASE_FX_END:
		if ((p = map_get(&n->procs, fx->worker)) != NULL)
			proc_kill(s, p);
		break;
	case LEASE_FX_NOTICE: break;
	}
}

static void
lease_tick(struct sim *s, void *arg, uint64_t at)
{
	struct node *n = arg;

	if (at != n->lease_at)
		return;
	n->lease_at = 0;
	node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_TICK });
}

void
node_grant(struct sim *s, struct node *n, const struct lease_in *in)
{
	struct lease_out *o = &n->lease_out;
	int e;

	book(n, in);
	sim_check(s, "lease-check", lease_step(&n->lease, sim_clock(s, n->m), in, o) == 0);
	if (o->at && o->at != n->lease_at)
		sim_at(s, n->m, o->at, lease_tick, n, o->at);
	n->lease_at = o->at;
	if (n->granting)
		return;
	n->granting = true;
	for (size_t i = 0; i < o->n; i++) {
		struct lease_fx fx = o->fx[i];

		lease_fx_do(s, n, &fx);
	}
	o->n = 0;
	n->granting = false;
	if ((e = lease_check(&n->lease)) != 0)
		sim_fail(s, "lease-check", "node %u: lease.c: the figures differ, found in line %d", n->m->i, e);
}

/* --- actors ---------------------------------------------------------------------------------------------------------------- */

static void
actor_fx_do(struct sim *s, struct node *n, const struct actor_fx *fx)
{
	const struct actor_life *a = actor_get(&n->actor, fx->actor);
	struct proc *p = map_get(&n->procs, fx->kind == ACTOR_FX_STATE ? fx->proc : fx->worker);

	if (p && p->lost)
		p = NULL;
	switch (fx->kind) {
	case ACTOR_FX_PLACE:
		if (a)
			node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_PLACE, .actor = a->number, .job = a->job, .need = a->need, .want = 1 });
		break;
	case ACTOR_FX_UNPLACE: node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = fx->actor }); break;
	case ACTOR_FX_KILL: if (p) proc_kill(s, p); break;
	case ACTOR_FX_STOP: if (p) mail(s, p, M_STOP, 0, 0); break;
	case ACTOR_FX_START: if (p) mail(s, p, M_START, fx->actor, 0); break;
	case ACTOR_FX_STATE: if (p && a) mail(s, p, M_STATE, fx->actor, a->state); break;
	case ACTOR_FX_FORGET: actor_forget(&n->actor, fx->actor); break;
	default: break;
	}
}

static void
actor_tick(struct sim *s, void *arg, uint64_t at)
{
	struct node *n = arg;

	if (at != n->actor_at)
		return;
	n->actor_at = 0;
	node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_TICK });
}

void
node_actor(struct sim *s, struct node *n, const struct actor_in *in)
{
	struct actor_out *o = &n->actor_out;

	sim_check(s, "actor-alone", actor_step(&n->actor, sim_clock(s, n->m), in, o) == 0);
	if (o->at && o->at != n->actor_at)
		sim_at(s, n->m, o->at, actor_tick, n, o->at);
	n->actor_at = o->at;
	if (n->acting)
		return;
	n->acting = true;
	for (size_t i = 0; i < o->n; i++) {
		struct actor_fx fx = o->fx[i];

		actor_fx_do(s, n, &fx);
	}
	o->n = 0;
	n->acting = false;
}

/* --- groups ---------------------------------------------------------------------------------------------------------------- */

static void
aside(struct node *n, const struct group *g, int64_t sign)
{
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned r = 0; r < RES_MAX; r++)
			n->aside.v[r] += sign * g->bundle[i].v[r];
}

static void
group_fx_do(struct sim *s, struct node *n, const struct group_fx *fx)
{
	const struct group *g = map_get(&n->group.numbers, fx->number), *told;
	const struct lease_pool *pool;
	struct proc *p = map_get(&n->procs, fx->proc);

	switch (fx->kind) {
	case GROUP_FX_RESERVE:
		if (g)
			node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_RESERVE, .group = g->number, .job = g->job, .bundles = g->bundle,
			    .nbundle = g->n });
		break;
	case GROUP_FX_RELEASE:
		node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_RELEASE, .group = fx->number });
		sim_check(s, "group-whole", lease_pools(&n->lease, fx->number, &pool) == 0);
		break;
	case GROUP_FX_STATE:
		told = group_find(&n->group, fx->id);
		if (fx->state == GROUP_CREATED)
			sim_check(s, "group-whole", told == NULL || told->state != GROUP_CREATED || lease_pools(&n->lease, told->number, &pool) == told->n);
		if (p && !p->lost)
			mail(s, p, M_GROUPED, fx->id.seq, fx->state);
		break;
	case GROUP_FX_OVER: break;
	}
}

static void
group_tick(struct sim *s, void *arg, uint64_t at)
{
	struct node *n = arg;

	if (at == n->group_at)
		node_group(s, n, &(struct group_in){ .kind = GROUP_IN_TICK });
}

/* What groups have that are made: counted anew, as their removal has no other sign. */
static void
book_groups(struct node *n)
{
	struct map_iter it = MAP_ITER;

	n->aside = (struct res){ { 0 } };
	while (map_next(&n->group.numbers, &it))
		if (((const struct group *)it.val)->state == GROUP_CREATED)
			aside(n, it.val, 1);
}

void
node_group(struct sim *s, struct node *n, const struct group_in *in)
{
	struct group_out *o = &n->group_out;
	char text[200];
	int e;

	group_step(&n->group, sim_clock(s, n->m), in, o, text);
	book_groups(n);
	if ((e = group_check(&n->group)) != 0)
		sim_fail(s, "group-whole", "node %u: group.c, found in line %d", n->m->i, e);
	if (o->at && o->at != n->group_at)
		sim_at(s, n->m, o->at, group_tick, n, o->at);
	n->group_at = o->at;
	if (n->grouping)
		return;
	n->grouping = true;
	for (size_t i = 0; i < o->n; i++) {
		struct group_fx fx = o->fx[i];

		group_fx_do(s, n, &fx);
	}
	o->n = 0;
	n->grouping = false;
}

/* --- what processes ask --------------------------------------------------------------------------------------------------- */

static void
actor_new(struct sim *s, struct proc *p, uint64_t restarts)
{
	struct msg_actor_new m = { .class = span_text("C"), .spec = span_text("spec"), .restarts = restarts };
	struct actor_in in = { .kind = ACTOR_IN_NEW, .actor = ++nodes_of(s)->actors, .proc = p->number, .job = p->job, .new = &m };

	in.need.v[RES_CPU] = sim_chance(s, 500) ? 1000 : 0;
	mail(s, p, M_STATE, in.actor, ACTOR_PENDING);
	node_actor(s, p->n, &in);
}

static void
group_new(struct sim *s, struct proc *p, uint64_t seq, unsigned nb)
{
	struct res b[3] = { { { 0 } } };
	struct group_in in = { .kind = GROUP_IN_NEW, .id = { .node = 1, .proc = p->number, .seq = seq }, .proc = p->number, .job = p->job,
	    .strategy = (enum group_strategy)sim_below(s, GROUP_SPREAD + 1), .bundles = b, .nbundle = nb };

	for (unsigned i = 0; i < nb; i++)
		b[i].v[RES_CPU] = 1000;
	node_group(s, p->n, &in);
	node_group(s, p->n, &(struct group_in){ .kind = GROUP_IN_ASK, .id = in.id, .proc = p->number });
}

void
node_mail(struct sim *s, struct proc *p, const struct mail *m)
{
	struct node *n = p->n;
	struct ring *r;

	switch (m->kind) {
	case M_ASK:
		sim_log(s, "node %u: %u wants %llu of shape %llu", n->m->i, p->number, (unsigned long long)m->b, (unsigned long long)m->a);
		node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_ASK, .proc = p->number, .job = p->job, .shape = m->a + 1,
		    .need = n->shape[m->a], .want = m->b });
		break;
	case M_RETURN:
		sim_log(s, "node %u: %u returns %llu", n->m->i, p->number, (unsigned long long)m->a);
		if ((r = map_get(&n->rings, m->a)) != NULL) {
			ring_end(s, r);
			node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = p->number, .lease = m->a });
		}
		break;
	case M_BLOCKED: node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = p->number, .on = m->a != 0 }); break;
	case M_UP: node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_UP, .actor = m->a, .worker = p->number, .ok = m->b != 0 }); break;
	case M_ACTOR: actor_new(s, p, m->a); break;
	case M_DROP: node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_DROP, .actor = m->a, .proc = p->number }); break;
	case M_KILL: node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = m->a, .stop = sim_chance(s, 500) }); break;
	case M_RESTART: node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = m->a, .restart = true }); break;
	case M_GROUP: group_new(s, p, m->a, (unsigned)m->b); break;
	case M_UNGROUP:
		node_group(s, n, &(struct group_in){ .kind = GROUP_IN_REMOVE, .id = { .node = 1, .proc = p->number, .seq = m->a } });
		mail(s, p, M_GROUPED, m->a, GROUP_REMOVED);
		break;
	case M_BYE: proc_die(s, p); break;
	default: break;
	}
}

/* --- deaths ----------------------------------------------------------------------------------------------------------------- */

static void
job_over(struct sim *s, struct node *n, uint32_t job)
{
	struct map_iter it = MAP_ITER;

	node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_JOB_END, .job = job });
	while (map_next(&n->procs, &it)) {
		struct proc *p = it.val;

		if (p->job == job && !p->driver && !p->lost) {
			proc_kill(s, p);
			node_lost(s, p);
		}
	}
	node_group(s, n, &(struct group_in){ .kind = GROUP_IN_JOB_END, .job = job });
}

void
node_lost(struct sim *s, struct proc *p)
{
	struct node *n = p->n;
	struct map_iter it = MAP_ITER;

	if (p->lost)
		return;
	p->lost = true;
	while (map_next(&n->rings, &it)) {
		struct ring *r = it.val;

		if (r->sub == p || r->wrk == p)
			ring_end(s, r);
	}
	node_grant(s, n, &(struct lease_in){ .kind = LEASE_IN_GONE, .proc = p->number });
	if (p->driver)
		job_over(s, n, p->job);
}

void
node_gone(struct sim *s, struct proc *p)
{
	struct node *n = p->n;
	uint32_t number = p->number;

	map_del(&n->procs, number);
	proc_free(p);
	node_actor(s, n, &(struct actor_in){ .kind = ACTOR_IN_GONE, .proc = number, .text = "it died" });
}

/* --- the part ---------------------------------------------------------------------------------------------------------------- */

static void
driver_new(struct sim *s, void *arg, uint64_t k)
{
	struct node *n = arg;

	(void)k;
	if (s->phase == SIM_CALM)
		return;
	if (n->drivers < 3)
		mail(s, proc_new(s, n, true, 0), M_GRANT, 0, 0);
	sim_after(s, n->m, sim_about(s, 300 * SIM_MS), driver_new, n, 0);
}

static void
init(struct sim *s)
{
	struct nodes *all = calloc(1, sizeof *all);

	if (all == NULL || (all->node = calloc(s->nmachine, sizeof *all->node)) == NULL)
		abort();
	s->of[NODE_PART] = all;
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct node *n = &nodes_of(s)->node[m->i];
	struct lease_limits limit = { .workers = 4 + (unsigned)sim_below(s, 20), .actors = 64, .idle = (unsigned)sim_below(s, 4) };

	if (m->i == 0 || m->i > 3)		/* they do not speak with each other: a few will do */
		return;
	*n = (struct node){ .m = m, .on = true };
	n->total.v[RES_CPU] = (int64_t)(1 + sim_below(s, 6)) * 1000;
	n->total.v[RES_MEM] = 1 << 20;
	n->shape[0].v[RES_CPU] = 1000;
	n->shape[1].v[RES_CPU] = sim_chance(s, 500) ? n->total.v[RES_CPU] : 500;
	lease_init(&n->lease, &n->total, &limit);
	actor_init(&n->actor);
	group_init(&n->group);
	node_group(s, n, &(struct group_in){ .kind = GROUP_IN_NODE, .node = 1, .total = n->total });
	driver_new(s, n, 0);
}

static void
clear(struct node *n)
{
	struct map_iter it = MAP_ITER;

	if (!n->on)
		return;
	n->on = false;
	lease_release(&n->lease);
	actor_release(&n->actor);
	group_release(&n->group);
	while (map_next(&n->rings, &it))
		free(it.val);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&n->procs, &it))
		proc_free(it.val);
	map_release(&n->rings);
	map_release(&n->procs);
	free(n->lease_out.fx);
	free(n->actor_out.fx);
	free(n->group_out.fx);
}

static void
down(struct sim *s, struct sim_machine *m)
{
	clear(&nodes_of(s)->node[m->i]);
}

static void
fault(struct sim *s)			/* some process dies, more often than not one that runs a task */
{
	struct node *n = &nodes_of(s)->node[sim_below(s, s->nmachine)];
	struct proc *p = NULL;

	if (!n->on || n->procs.n == 0)
		return;
	for (int tries = 0; tries < 6 && (p == NULL || !p->run); tries++) {
		struct map_iter it = MAP_ITER;

		for (uint64_t k = sim_below(s, n->procs.n) + 1; k; k--)
			map_next(&n->procs, &it);
		p = it.val;
	}
	if (p->driver && !sim_chance(s, 100))
		return;
	p->spared = sim_chance(s, 400);
	proc_die(s, p);
}

static bool
done(struct sim *s)
{
	for (unsigned i = 0; i < s->nmachine; i++) {
		const struct node *n = &nodes_of(s)->node[i];

		if (n->on && (n->procs.n || n->lease_at || n->actor_at))
			return false;
	}
	return true;
}

static void
end(struct sim *s)
{
	for (unsigned i = 0; i < s->nmachine; i++) {
		const struct node *n = &nodes_of(s)->node[i];
		struct map_iter it = MAP_ITER;

		if (!n->on)
			continue;
		while (map_next(&n->procs, &it)) {
			const struct proc *p = it.val;

			for (unsigned k = 0; k < p->ntask; k++)
				if (p->task[k].state < T_DONE)
					sim_fail(s, "task-done", "node %u: task %u of driver %u, state %u, shape %u; it asked for %u leases; %lld of %lld CPUs "
					    "free, %u leases, %lld in groups, %zu actors", i, k, p->number, p->task[k].state, p->task[k].shape,
					    p->asked[p->task[k].shape], (long long)n->lease.free.v[RES_CPU], (long long)n->total.v[RES_CPU], n->nhold,
					    (long long)n->aside.v[RES_CPU], n->actor.actors.n);
		}
		if (n->procs.n || n->nhold || n->rings.n || n->actor.actors.n || n->group.numbers.n || n->lease.groups.n ||
		    memcmp(&n->lease.free, &n->total, sizeof n->total) != 0)
			sim_fail(s, "node-empty", "node %u: %zu processes, %u leases, %zu rings, %zu actors, %zu groups, %zu set aside, %lld of %lld CPUs free",
			    i, n->procs.n, n->nhold, n->rings.n, n->actor.actors.n, n->group.numbers.n, n->lease.groups.n,
			    (long long)n->lease.free.v[RES_CPU], (long long)n->total.v[RES_CPU]);
	}
}

static void
release(struct sim *s)
{
	for (unsigned i = 0; i < s->nmachine; i++)
		clear(&nodes_of(s)->node[i]);
	free(nodes_of(s)->node);
	free(nodes_of(s));
}

const struct sim_part part_node = { "node", init, up, down, fault, NULL, NULL, done, end, release };
