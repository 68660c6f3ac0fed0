#include <errno.h>
#include <stdio.h>
#include "node/abroad.h"

/* --- what the actors' core decided ------------------------------------------------------------------------------- */

static void
fx_state(struct node *n, const struct actor_life *a, uint32_t proc)
{
	struct nproc *p = proc_find(n, proc);

	if (p && p->role == ROLE_FAR)
		abroad_actor_state(p, a);
	else if (p)
		SEND(p, actor_state, .actor = a->number, .state = a->state, .incarnation = a->incarnation,
		    .text = span_str(a->text), .error = span_buf(&a->error));
}

static void
fx_ring(struct node *n, const struct actor_life *a, const struct actor_fx *fx)
{
	struct nproc *sub = proc_find(n, fx->proc), *wrk = proc_find(n, fx->worker);
	uint64_t number = UINT64_C(1) << 31 | (++n->next_ring & 0x3fffffff);	/* 32 bits, apart from the leases' numbers and ABROAD_RINGS */
	struct msg_grant g;
	struct nring *r;

	if (sub == NULL || wrk == NULL)
		return;			/* it is dying: another step is on its way */
	g = (struct msg_grant){ .req = fx->req, .lease = number, .proc = wrk->number, .bell = wrk->bell, .actor = a->number,
	    .incarnation = a->incarnation, .group = fx->group };
	if ((r = ring_new(n, sub, wrk, number, a->number, 0, &g, &a->need)) != NULL)
		abroad_actor_ring(r, &g);
	else
		proc_fail(sub, fx->req, -ENOMEM, "cannot make a ring to actor %llu: out of memory or descriptors",
		    (unsigned long long)a->number);
}

static void	again_after(struct node *n, uint64_t actor);

static void
fx_note(struct node *n, const struct actor_life *a)
{
	struct njob *j;

	CTL(n, actor_note, .actor = a->number, .state = a->state, .incarnation = a->incarnation, .text = span_str(a->text));
	if (a->state == ACTOR_DEAD)
		actor_unnote(n, a->number);
	else if (a->state == ACTOR_RESTARTING)
		actor_note_life(n, a);
	if (a->state == ACTOR_DEAD && (j = map_get(&n->jobs, a->job)) != NULL)
		job_unref(n, j);	/* counted in actors_made; a dead one is noted once */
	if (a->keeper)
		abroad_actor_note(n, a);
	else if (a->set)
		sets_actor(n, a);
	if (a->state == ACTOR_DEAD && n->nafter)
		again_after(n, a->number);
}

/* one that has no worker: of the node, or of its placement group once that is there */
void
actors_place(struct node *n, uint64_t number)
{
	const struct actor_life *a = actor_get(&n->actor, number);
	struct lease_in in = { .kind = LEASE_IN_PLACE, .actor = number, .want = 1 };
	char why[NODE_MESSAGE];
	int e = 1;

	if (a == NULL || a->worker || a->state == ACTOR_DEAD)
		return;
	in.job = a->job;
	in.need = a->need;
	in.wait = a->wait;
	in.threads = a->threads;
	in.capture = a->capture;
	if (!id_none(a->pgroup) && (e = groups_place(n, a, &in, why)) < 0)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_NOPLACE, .actor = number, .text = why });
	if (e > 0)
		grant_step(n, &in);
}

static void
fx_do(struct node *n, const struct actor_fx *fx)
{
	const struct actor_life *a = actor_get(&n->actor, fx->actor);
	struct nproc *p;

	switch (fx->kind) {
	case ACTOR_FX_FAIL:
		if ((p = proc_find(n, fx->proc)) != NULL && p->role != ROLE_FAR)
			proc_fail(p, fx->req, ERR_ACTOR_DIED, "%s", fx->text);
		return;
	case ACTOR_FX_KILL:
		if ((p = map_get(&n->procs, fx->worker)) != NULL)
			proc_kill(p);
		return;
	case ACTOR_FX_UNPLACE:
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = fx->actor });
		return;
	case ACTOR_FX_FORGET:
		actor_forget(&n->actor, fx->actor);
		return;
	default:
		break;
	}
	if (a == NULL)
		return;
	p = proc_find(n, fx->worker);
	switch (fx->kind) {
	case ACTOR_FX_PLACE:
		actors_place(n, a->number);
		break;
	case ACTOR_FX_START:
		if (p && a->set) {
			atomic_store(&n->np->bell[p->bell].load, 0);
			atomic_store(&n->np->bell[p->bell].counted, 1);
		}
		if (p)
			SEND(p, actor_start, .actor = a->number, .incarnation = a->incarnation, .name = span_buf(&a->name),
			    .class = span_buf(&a->class), .spec = span_buf(&a->spec), .methods = span_buf(&a->methods),
			    .memory = (uint64_t)a->need.v[RES_MEM], .set = a->set, .rank = a->rank);
		break;
	case ACTOR_FX_RING: fx_ring(n, a, fx); break;
	case ACTOR_FX_STATE: fx_state(n, a, fx->proc); break;
	case ACTOR_FX_STOP:
		if (p) {
			p->stopping = true;
			SEND(p, actor_stop, .actor = a->number);
		}
		break;
	case ACTOR_FX_NOTE: fx_note(n, a); break;
	default: break;
	}
}

void
actors_step(struct node *n, const struct actor_in *in)
{
	struct actor_out *o = &n->actor_out;
	const struct actor_life *a;

	if (n->stopping)
		return;
	actor_step(&n->actor, clock_ns(), in, o);
	if (in->kind == ACTOR_IN_KILL && !in->restart && !(in->stop && (a = actor_get(&n->actor, in->actor)) && a->set))
		actor_unnote(n, in->actor);	/* it may take a while, but it is not made again; a member finishes what it was sent */
	if (n->actor_at != o->at) {
		n->actor_at = o->at;
		node_timer(n);
	}
	if (n->acting)
		return;			/* the loop below will come to it */
	n->acting = true;
	for (size_t i = 0; i < o->n; i++) {
		struct actor_fx fx = o->fx[i];	/* o->fx may move */

		fx_do(n, &fx);
	}
	o->n = 0;
	n->acting = false;
}

/* The node ends in order: the control store need not wait for it to come back. */
void
actors_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->actor.actors, &it)) {
		const struct actor_life *a = it.val;

		if (a->state != ACTOR_DEAD)
			CTL(n, actor_note, .actor = a->number, .state = ACTOR_DEAD, .incarnation = a->incarnation,
			    .text = span_str("its node ended"));
	}
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static void
answer(struct nproc *p, uint64_t req, const struct msg_actor *m)
{
	if (p->role == ROLE_FAR)
		abroad_actor_made(p, &(struct msg_actor){ .req = req, .actor = m->actor, .class = m->class, .methods = m->methods });
	else
		SEND(p, actor, .req = req, .actor = m->actor, .class = m->class, .methods = m->methods);
}

/* the control store registered it: m is its answer, a what was asked */
void
actors_made(struct node *n, const struct ask *a, const struct msg_actor *m)
{
	struct nproc *p = proc_find(n, a->proc);
	struct actor_in in = { .kind = ACTOR_IN_NEW, .actor = m->actor, .proc = p ? p->number : 0 };
	struct msg_actor_new new;

	if (msg_get_actor_new(&new, a->body.data, a->body.len) < 0 ||
	    res_of(n, &in.need, new.cpus, new.gpus, new.memory, &new.resources) < 0)
		return;			/* it was checked before */
	in.job = a->job->number;
	in.namespace = span_buf(&a->job->namespace);
	in.new = &new;
	in.set = a->set;
	in.rank = a->rank;
	if (a->set && !id_none(sets_group(n, a->set))) {
		new.pgroup = sets_group(n, a->set);
		new.bundle = a->rank + 1;
	}
	if (p)
		answer(p, a->req, m);
	if (a->away) {
		abroad_actor_keep(n, a, &new, m->actor);
		return;
	}
	a->job->refs++;			/* as long as it is not dead */
	actor_note(n, a, &new, m->actor);
	if (a->set)
		sets_step(n, &(struct set_in){ .kind = SET_IN_MADE, .set = a->set, .rank = a->rank, .actor = m->actor });
	actors_step(n, &in);
	if (a->set && set_get(&n->set, a->set) == NULL)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = m->actor });
	if (p && new.name.n)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_WATCH, .actor = m->actor, .proc = p->number });
}

/* who asks may be an alias, which has no job of its own here */
static void
of_job(struct node *n, struct ask *a, struct njob *j)
{
	j->refs++;
	if (a->job)
		job_unref(n, a->job);
	a->job = j;
}

/* asks the control store to register the actor; body is the request as it came */
static bool
ask_new(struct node *n, struct nproc *p, struct njob *j, struct msg_actor_new *m, struct span body)
{
	uint64_t req = ctl_ask(n, p, m->req, MSG_ACTOR_NEW_T, body);
	char why[NODE_MESSAGE];
	struct ask *a;

	if (req == 0)
		return false;
	a = map_get(&n->asks, req);
	of_job(n, a, j);
	m->node = abroad_actor_place(n, m, p->home, false, why, sizeof why) == n->number ? n->number : 0;
	a->away = m->node == 0;
	m->req = req;
	m->job = j->number;
	m->namespace = span_buf(&j->namespace);
	m->spec = span_of(NULL, 0);	/* the node keeps it */
	if (msg_put_actor_new(&n->ctl, m) == 0)
		ctl_send(n);
	return true;
}

/* a member of a set, with nobody who waits for the answer */
bool
actors_make(struct node *n, struct njob *j, struct span body, uint64_t set, uint32_t rank)
{
	struct msg_actor_new m;
	uint64_t req = ctl_ask(n, NULL, 0, MSG_ACTOR_NEW_T, body);
	struct ask *a = map_get(&n->asks, req);

	if (req == 0)
		return false;
	a->set = set;
	a->rank = rank;
	a->job = j;
	j->refs++;
	if (msg_get_actor_new(&m, body.p, body.n) < 0)
		return false;			/* it was checked before */
	m.req = req;
	m.job = j->number;
	m.namespace = span_buf(&j->namespace);
	m.node = n->number;
	m.spec = m.name = span_of(NULL, 0);
	if (msg_put_actor_new(&n->ctl, &m) == 0)
		ctl_send(n);
	return true;
}

/* asks once more to register what a asked for */
static void
again(struct node *n, const struct ask *a)
{
	struct nproc *p = proc_find(n, a->proc);
	struct msg_actor_new m;

	if (p && a->job && msg_get_actor_new(&m, a->body.data, a->body.len) == 0 && !ask_new(n, p, a->job, &m, span_buf(&a->body)))
		proc_fail(p, a->req, -ENOMEM, "the node is out of memory");
}

static void
ask_find(struct nproc *p, struct msg_actor_find *m, struct span body)
{
	uint64_t req = ctl_ask(p->n, p, m->req, MSG_ACTOR_FIND_T, body);

	if (req == 0) {
		proc_fail(p, m->req, -ENOMEM, "the node is out of memory");
		return;
	}
	if (m->namespace.n == 0)
		m->namespace = span_buf(p->job ? &p->job->namespace : &p->namespace);
	CTL(p->n, actor_find, .req = req, .namespace = m->namespace, .name = m->name);
}

/*
 * The control store went away with this question.  It is asked again: what that one registered and did not tell us
 * of, the next one forgets when we join it (actors_alive).  False: it is about something else.
 */
bool
actors_again(struct node *n, const struct ask *a)
{
	struct nproc *p = proc_find(n, a->proc);
	struct msg_actor_find find;

	if (a->type == MSG_ACTOR_FIND_T && p && msg_get_actor_find(&find, a->body.data, a->body.len) == 0)
		ask_find(p, &find, span_buf(&a->body));
	else if (a->type == MSG_ACTOR_NEW_T && a->set) {
		if (!actors_make(n, a->job, span_buf(&a->body), a->set, a->rank))
			sets_step(n, &(struct set_in){ .kind = SET_IN_MADE, .set = a->set, .rank = a->rank });
	} else if (a->type == MSG_ACTOR_NEW_T)
		again(n, a);
	else if (a->type == MSG_ACTOR_WHERE_T) {
		uint64_t req = ctl_ask(n, NULL, a->req, MSG_ACTOR_WHERE_T, span_of(NULL, 0));

		CTL(n, actor_where, .req = req, .actor = a->req);
	}
	return a->type == MSG_ACTOR_NEW_T || a->type == MSG_ACTOR_FIND_T || a->type == MSG_ACTOR_WHERE_T;
}

/* appends the numbers of those that are not dead */
void
actors_alive(const struct node *n, struct buf *list)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->actor.actors, &it))
		if (((const struct actor_life *)it.val)->state != ACTOR_DEAD)
			numbers_add(list, it.key);	/* no memory: it is forgotten there, and found no more */
	it = (struct map_iter)MAP_ITER;
	while (n->abroad && map_next(&n->abroad->afar.actors, &it))
		if (((const struct afar *)it.val)->kept && !actor_get(&n->actor, it.key))
			numbers_add(list, it.key);
}

/* those who would have taken the actor that is dead now */
static void
again_after(struct node *n, uint64_t actor)
{
	struct map_iter it = MAP_ITER;

	while (n->nafter && map_next(&n->asks, &it)) {
		struct ask *a = it.val;

		if (a->after != actor)
			continue;
		map_del(&n->asks, it.key);
		n->nafter--;
		again(n, a);
		ctl_ask_free(n, a);
	}
}

/* a wants any actor of that name: this one is about to end, the next one will do */
static bool
put_off(struct node *n, const struct ask *a, uint64_t actor)
{
	struct nproc *p = proc_find(n, a->proc);
	uint64_t id = p ? ctl_ask(n, p, a->req, a->type, span_buf(&a->body)) : 0;

	if (id == 0)
		return false;
	of_job(n, map_get(&n->asks, id), a->job);
	((struct ask *)map_get(&n->asks, id))->after = actor;
	n->nafter++;
	return true;
}

void
actors_found(struct node *n, struct ask *a, const struct msg_actor *m)
{
	struct nproc *p = proc_find(n, a->proc);
	const struct actor_life *life = actor_get(&n->actor, m->actor);
	bool new = a->type == MSG_ACTOR_NEW_T;

	if (p == NULL)
		return;
	if (new && life && life->state == ACTOR_DEAD) {
		again(n, a);			/* the control store knows by now */
		return;
	}
	if (new && life && life->final && put_off(n, a, m->actor))
		return;
	/* it holds the actor from here on: nobody can let go of the last handle while the answer travels */
	if (life) {
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_HOLD, .actor = m->actor, .proc = p->number });
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_WATCH, .actor = m->actor, .proc = p->number });
	} else if (!abroad_actor_use(p, m->actor, &(struct afar_in){ .op = AFAR_HOLD, .proc = p->number }) ||
	    !abroad_actor_use(p, m->actor, &(struct afar_in){ .op = AFAR_WATCH, .proc = p->number })) {
		proc_fail(p, a->req, ERR_NOTFOUND, "the actor's node is gone");
		return;
	}
	answer(p, a->req, m);
}

/* the daemon before this one made it, and had no time to say so: true: it says so now */
static bool
made(struct nproc *p, const struct msg_actor_new *m)
{
	struct node *n = p->n;
	struct map_iter it = MAP_ITER;

	while (n->heir && map_next(&n->actor.actors, &it)) {
		const struct actor_life *a = it.val;

		if (a->creator != p->number || a->req != m->req || a->state == ACTOR_DEAD || a->set)
			continue;
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_HOLD, .actor = a->number, .proc = p->number });
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_WATCH, .actor = a->number, .proc = p->number });
		SEND(p, actor, .req = m->req, .actor = a->number, .class = m->class, .methods = m->methods);
		return true;
	}
	return false;
}

int
actors_make_for(struct nproc *p, struct njob *j, struct span body)
{
	char why[NODE_MESSAGE];
	struct msg_actor_new m;
	int e = msg_get_actor_new(&m, body.p, body.n);

	if (e < 0)
		return e;
	if (j == NULL || j->over)
		proc_fail(p, m.req, ERR_CANCELLED, "its job is over");
	else if (abroad_actor_place(p->n, &m, p->home, false, why, sizeof why) == 0 && *why && !m.wait)
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", why);
	else if (!ask_new(p->n, p, j, &m, body))
		proc_fail(p, m.req, -ENOMEM, "the node is out of memory");
	return 0;
}

static int
on_new(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct span body = span_of(f->body, f->len);
	struct msg_actor_new m;
	struct res need;
	char text[NODE_MESSAGE];
	int e = msg_get_actor_new(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (p->job == NULL) {
		proc_fail(p, m.req, -EPERM, "a tool makes no actors");
		return 0;
	}
	if (made(p, &m) || (n->abroad && id_none(m.pgroup) && abroad_actor_new(p, body)))
		return 0;
	if (n->abroad && id_none(m.pgroup))
		return actors_make_for(p, p->job, body);
	if (id_none(m.pgroup) && nodes_labelled(n, m.on, text) <= 0) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", text);
		return 0;
	}
	if ((e = res_of(n, &need, m.cpus, m.gpus, m.memory, &m.resources)) == ERR_NOTFOUND) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "needs %g %.*s; this node has 0", (double)need.v[RES_CPU] / 1000,
		    (int)(m.resources.n < 64 ? m.resources.n : 64), (const char *)m.resources.p);
		return 0;
	}
	if (e < 0)
		return e;
	if (!id_none(m.pgroup) && groups_gone(n, m.pgroup, text)) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", text);
		return 0;
	}
	if (!m.wait && id_none(m.pgroup) && !lease_feasible(&n->lease, &need, text, sizeof text)) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", text);
		return 0;
	}
	if (!ask_new(n, p, p->job, &m, body))
		proc_fail(p, m.req, -ENOMEM, "the node is out of memory");
	return 0;
}

static int
on_find(struct nproc *p, const struct frame *f)
{
	struct msg_actor_find m;
	int e = msg_get_actor_find(&m, f->body, f->len);

	if (e == 0)
		ask_find(p, &m, span_of(f->body, f->len));
	return e;
}

static int
on_kill(struct nproc *p, const struct frame *f)
{
	struct msg_actor_kill m;
	int e = msg_get_actor_kill(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (actor_get(&p->n->actor, m.actor) ||
	    !abroad_actor_use(p, m.actor, &(struct afar_in){ .op = AFAR_KILL, .stop = m.stop != 0, .restart = m.restart != 0 }))
		actors_step(p->n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = m.actor, .proc = p->number, .stop = m.stop != 0,
		    .restart = m.restart != 0 });
	if (m.req)
		SEND(p, ok, .req = m.req);
	return 0;
}

static void
gone(struct nproc *p, uint64_t actor)
{
	SEND(p, actor_state, .actor = actor, .state = ACTOR_DEAD, .incarnation = UINT32_MAX,
	    .text = span_str(p->n->heir ? "the node's daemon died, and its workers with it" : "the actor is gone"));
}

static int
on_hold(struct nproc *p, const struct frame *f, enum actor_in_kind kind)
{
	struct msg_actor_hold m = { 0 };
	struct msg_actor_drop d;
	struct nproc *who = p;
	int e = kind == ACTOR_IN_HOLD ? msg_get_actor_hold(&m, f->body, f->len) : msg_get_actor_drop(&d, f->body, f->len);

	if (e < 0)
		return e;
	if (kind == ACTOR_IN_DROP)
		m.actor = d.actor;
	else if (m.proc && (who = proc_find(p->n, m.proc)) == NULL)
		return 0;			/* it died meanwhile */
	if (actor_get(&p->n->actor, m.actor))
		actors_step(p->n, &(struct actor_in){ .kind = kind, .actor = m.actor, .proc = who->number });
	else if (abroad_actor_use(p, m.actor, &(struct afar_in){ .op = kind == ACTOR_IN_HOLD ? AFAR_HOLD : AFAR_DROP, .proc = who->number }))
		;
	else if (kind == ACTOR_IN_HOLD)
		gone(p, m.actor);
	return 0;
}

int
actors_frame(struct nproc *p, const struct frame *f)
{
	struct actor_in in = { .proc = p->number };
	struct msg_actor_open open;
	struct msg_actor_up up;
	int e;

	switch (f->type) {
	case MSG_ACTOR_NEW_T: return on_new(p, f);
	case MSG_ACTOR_FIND_T: return on_find(p, f);
	case MSG_ACTOR_KILL_T: return on_kill(p, f);
	case MSG_ACTOR_HOLD_T: return on_hold(p, f, ACTOR_IN_HOLD);
	case MSG_ACTOR_DROP_T: return on_hold(p, f, ACTOR_IN_DROP);
	case MSG_ACTOR_OPEN_T:
		if ((e = msg_get_actor_open(&open, f->body, f->len)) < 0)
			return e;
		if (actor_get(&p->n->actor, open.actor) == NULL && abroad_actor_use(p, open.actor,
		    &(struct afar_in){ .op = AFAR_OPEN, .proc = p->number, .group = (uint32_t)open.group, .req = open.req }))
			return 0;
		if (actor_get(&p->n->actor, open.actor) == NULL)
			gone(p, open.actor);
		in.kind = ACTOR_IN_OPEN;
		in.actor = open.actor;
		in.req = open.req;
		in.group = (uint32_t)open.group;
		break;
	default:
		if ((e = msg_get_actor_up(&up, f->body, f->len)) < 0)
			return e;
		in.kind = ACTOR_IN_UP;
		in.actor = up.actor;
		in.worker = p->number;
		in.ok = up.ok != 0;
		in.error = up.error;
	}
	actors_step(p->n, &in);
	return 0;
}
