/*
 * abroad_actor.c - actors that live on other nodes than those that made them or call them: what the core of the actors
 * elsewhere decided (core/actor_far.h), and what is told to and by the nodes where they live.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "wire/spec.h"
#include "node/abroad.h"
#include "wire/val.h"

#define RETRY (CLOCK_SEC / 20)		/* between two looks whether there is room */

static struct afar *
kept_of(const struct node *n, uint64_t actor)
{
	struct afar *f = n->abroad ? afar_get(&n->abroad->afar, actor) : NULL;

	return f && f->kept ? f : NULL;
}

/* --- where they are made ------------------------------------------------------------------------------------------ */

static bool
room(const struct node *n, uint32_t node, const struct res *need)
{
	const struct where_node *w = node ? where_get(&n->abroad->where, node) : NULL;

	for (unsigned i = 0; w && i < RES_MAX; i++)
		if (need->v[i] > 0 && need->v[i] > w->free.v[i] - w->asked.v[i])
			return false;
	return w && !w->draining && !w->doubted;
}

/* Where it is made there is the least to be sent.  What can be here only waits here. */
uint32_t
abroad_actor_place(struct node *n, const struct msg_actor_new *m, uint32_t near, bool asked, char *why, size_t nwhy)
{
	struct where_demand d = { .strategy = m->strategy == 1 ? WHERE_SPREAD : WHERE_HYBRID };
	struct span custom = m->resources;
	struct where_found f = { 0 };
	struct labels_any on = { 0 };
	struct where_kind *k;
	char text[LABELS_WHY] = "no memory";

	if (groups_abroad(n, m->pgroup))
		return abroad_group_never(n, m) ? n->number : 0;	/* who makes it says why; or where its bundle is: abroad_group_home */
	if (n->abroad == NULL || !id_none(m->pgroup))
		return n->number;
	if (res_of(n, &d.need, m->cpus, m->gpus, m->memory, &custom) < 0) {
		snprintf(why, nwhy, "needs %g %.*s; no node has any", (double)d.need.v[RES_CPU] / 1000,
		    (int)(custom.n < 64 ? custom.n : 64), (const char *)custom.p);
		return 0;
	}
	if (labels_any_parse(&on, m->on, text) < 0) {
		snprintf(why, nwhy, "%s", text);
		return 0;
	}
	d.labels = on.v;
	d.nlabels = on.n;
	abroad_look(n);
	k = where_kind(&n->abroad->where, &d);
	labels_any_release(&on);
	if (k == NULL)
		return n->number;
	*why = '\0';
	if (d.strategy == WHERE_HYBRID && room(n, near, &d.need) && where_may(&n->abroad->where, clock_ns(), k, near))
		f.node = near;
	else switch (where_find(&n->abroad->where, clock_ns(), k, NULL, 0, &f)) {
	case WHERE_AT: break;
	case WHERE_WAIT:
		f.node = f.could == 1 && where_may(&n->abroad->where, clock_ns(), k, n->number) ? n->number : 0;
		break;
	case WHERE_NEVER:
		snprintf(why, nwhy, "%s", f.why);
		f.node = 0;
		break;
	}
	if (f.node && f.node != n->number && asked)
		where_ask(&n->abroad->where, clock_ns(), f.node, &d.need, 1);	/* gone from what it has, until it says so itself */
	where_kind_put(&n->abroad->where, k);
	return f.node;
}

/* the references in what its constructor gets say where their objects lie: that is true here only */
static int
unplace(struct buf *b, struct span given)
{
	struct spec s;
	int e = buf_add(b, given.p, given.n);

	if (e < 0 || spec_get(&s, b->data, b->len) < 0)
		return e;
	if (!s.arena)
		return val_unplace_refs(b->data + (s.args - b->data), s.nargs, s.nvals);
	if (s.nargs >= WREF_SIZE)
		memset(b->data + (s.args - b->data) + 16, 0, 12);
	return 0;
}

static int	take(struct node *n, uint32_t node, const struct msg_far_actor_new *m);

static int
tell_new(struct node *n, uint32_t node, const struct afar *f)
{
	struct buf b = BUF_INIT, spec = BUF_INIT, out = BUF_INIT;
	struct msg_far_actor_new m;
	struct msg_actor_new new;
	int e = msg_get_actor_new(&new, f->spec.data, f->spec.len);

	if (e == 0 && (e = unplace(&spec, new.spec)) == 0) {
		new.spec = span_buf(&spec);
		e = msg_put_actor_new(&b, &new);
	}
	m = (struct msg_far_actor_new){ .actor = f->number, .job = f->job, .proc = f->incarnation == 1 ? f->maker : 0, .node = f->at, .incarnation = f->incarnation,
	    .restarts = f->restarts, .set = f->set, .rank = f->rank, .text = span_str(f->text) };
	if (e == 0) {
		m.new = span_of(b.data + FRAME_HEAD, b.len - FRAME_HEAD);
		e = node == n->number ? take(n, node, &m) : msg_put_far_actor_new(&out, &m);
	}
	if (e == 0 && out.len)
		abroad_send(n, node, &out);
	buf_release(&out);
	buf_release(&b);
	buf_release(&spec);
	return e;
}

#define LATER UINT32_MAX		/* its placement group has no place yet: abroad_actor_make will be called */

/* a node; 0: none has room just now, or, if there is a line in why, none ever will; LATER */
static uint32_t
home(struct node *n, const struct afar *f, const struct msg_actor_new *m, char why[NODE_MESSAGE])
{
	uint32_t at = 0;

	*why = '\0';
	if (!groups_abroad(n, m->pgroup)) {
		at = abroad_actor_place(n, m, f->incarnation == 1 ? f->at : 0, true, why, NODE_MESSAGE);
		if (m->wait)
			*why = '\0';
		return at;
	}
	return abroad_group_home(n, m, f->number, &at, why) == 0 ? LATER : at;
}

static void
look_again(struct node *n)
{
	if (n->away_at)
		return;
	n->away_at = clock_ns() + RETRY;
	node_timer(n);
}

static void
fx_make(struct node *n, const struct afar *f)
{
	struct afar_in in = { .kind = AFAR_IN_PLACED, .actor = f->number };
	struct njob *j = map_get(&n->jobs, f->job);
	char why[NODE_MESSAGE] = "it cannot be made";
	struct msg_actor_new new;

	if (msg_get_actor_new(&new, f->spec.data, f->spec.len) < 0 || j == NULL || ((in.node = home(n, f, &new, why)) == 0 && *why)) {
		in.kind = AFAR_IN_NOPLACE;
		in.text = why;
	} else if (in.node == 0 || (in.node != LATER && in.node != n->number && abroad_job(n, in.node, j) < 0)) {
		in.kind = AFAR_IN_WAIT;
		look_again(n);
	} else if (in.node == LATER)
		return;
	abroad_actor_step(n, &in);
	if (in.kind == AFAR_IN_PLACED && tell_new(n, in.node, f) < 0)
		abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_NOPLACE, .actor = in.actor, .text = "out of memory" });
}

void
abroad_actor_make(struct node *n, uint64_t actor)
{
	const struct afar *f = kept_of(n, actor);

	if (f && f->home == 0 && f->sent == 0 && !f->dead)
		fx_make(n, f);
}

void
abroad_actor_tick(struct node *n)
{
	n->away_at = 0;
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_RETRY });
	if (n->abroad && !list_empty(&n->abroad->afar.waiting))
		look_again(n);
}

void
abroad_actor_keep(struct node *n, const struct ask *a, const struct msg_actor_new *m, uint64_t number)
{
	const struct nproc *p = proc_find(n, a->proc);
	bool far = p && p->role == ROLE_FAR;

	a->job->refs++;			/* until it is over */
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_KEEP, .actor = number, .proc = p ? p->number : 0, .node = far ? p->home : 0,
	    .far = far ? p->home_proc : 0, .job = a->job->number, .restarts = m->restarts > UINT32_MAX ? UINT32_MAX : (uint32_t)m->restarts,
	    .spec = span_buf(&a->body), .set = a->set, .rank = a->rank, .detached = m->detached != 0 });
	if (p && !far && m->name.n)
		abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_USE, .op = AFAR_WATCH, .actor = number, .proc = p->number });
}

/* --- what the core decided ------------------------------------------------------------------------------------------ */

static int	use(struct node *n, uint32_t node, const struct msg_far_actor *m);

static void
fx_tell(struct node *n, const struct afar_fx *fx)
{
	struct msg_far_actor m = { .actor = fx->actor, .op = fx->op, .proc = fx->proc, .node = fx->of, .group = fx->group,
	    .req = fx->req, .stop = fx->stop, .restart = fx->restart };
	struct buf b = BUF_INIT;

	if (fx->node == n->number)
		use(n, n->number, &m);
	else if (msg_put_far_actor(&b, &m) == 0)
		abroad_send(n, fx->node, &b);
	buf_release(&b);
}

static void
fx_where(struct node *n, uint64_t actor)
{
	uint64_t req = ctl_ask(n, NULL, actor, MSG_ACTOR_WHERE_T, span_of(NULL, 0));

	if (req == 0)
		abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_AT, .actor = actor, .text = "the node is out of memory" });
	else
		CTL(n, actor_where, .req = req, .actor = actor);
}

static void
fx_over(struct node *n, const struct afar_fx *fx)
{
	const struct afar *f = afar_get(&n->abroad->afar, fx->actor);
	struct njob *j = f ? map_get(&n->jobs, f->job) : NULL;

	CTL(n, actor_note, .actor = fx->actor, .state = ACTOR_DEAD, .text = span_str(fx->text));
	if (f && f->set)
		sets_step(n, &(struct set_in){ .kind = SET_IN_ACTOR, .set = f->set, .actor = fx->actor, .dead = true, .text = fx->text });
	if (j)
		job_unref(n, j);
}

static void
afar_do(struct node *n, const struct afar_fx *fx)
{
	const struct afar *f = afar_get(&n->abroad->afar, fx->actor);
	struct nproc *p;

	switch (fx->kind) {
	case AFAR_FX_WHERE: fx_where(n, fx->actor); break;
	case AFAR_FX_MAKE:
		if (f)
			fx_make(n, f);
		break;
	case AFAR_FX_TELL: fx_tell(n, fx); break;
	case AFAR_FX_LEFT:
		SEND_NODE(n, fx->node, far_gone, .proc = fx->proc, .code = ERR_CLOSED, .text = span_str("it is gone"));
		break;
	case AFAR_FX_STATE:
		if ((p = proc_find(n, fx->proc)) != NULL)
			SEND(p, actor_state, .actor = fx->actor, .state = fx->state, .incarnation = fx->incarnation, .text = span_str(fx->text));
		break;
	case AFAR_FX_NOTE:
		CTL(n, actor_note, .actor = fx->actor, .state = fx->state, .incarnation = fx->incarnation, .text = span_str(fx->text));
		break;
	case AFAR_FX_OVER: fx_over(n, fx); break;
	case AFAR_FX_FORGET: afar_forget(&n->abroad->afar, fx->actor); break;
	}
}

void
abroad_actor_step(struct node *n, const struct afar_in *in)
{
	struct abroad *a = n->abroad;

	if (a == NULL || n->stopping)
		return;
	afar_step(&a->afar, in, &a->afar_out);
	if (a->telling)
		return;			/* the loop below will come to it */
	a->telling = true;
	for (size_t i = 0; i < a->afar_out.n; i++) {
		struct afar_fx fx = a->afar_out.fx[i];	/* it may move */

		afar_do(n, &fx);
	}
	a->afar_out.n = 0;
	a->telling = false;
}

/* --- made by processes of other nodes than the job's driver's ---------------------------------------------------------- */

bool
abroad_actor_new(struct nproc *p, struct span body)
{
	const struct nproc *driver = map_get(&p->n->procs, p->job->driver);

	if (!p->job->foreign || driver == NULL || driver->role != ROLE_FAR)
		return false;
	SEND_NODE(p->n, driver->home, far_actor_make, .job = p->job->number, .proc = p->number, .new = body);
	return true;
}

static int
on_make(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_actor_make m;
	struct nproc *p;
	int e = msg_get_far_actor_make(&m, body.p, body.n);

	if (e < 0 || m.proc > UINT32_MAX)
		return ERR_PROTO;
	if ((p = abroad_proc(n, node, (uint32_t)m.proc)) == NULL)
		return -ENOMEM;
	return actors_make_for(p, map_get(&n->jobs, m.job), m.new);
}

void
abroad_actor_made(const struct nproc *to, const struct msg_actor *m)
{
	SEND_NODE(to->n, to->home, far_actor_made, .proc = to->home_proc, .req = m->req, .actor = m->actor, .class = m->class, .methods = m->methods);
}

void
abroad_fail(const struct nproc *to, uint64_t req, int code, const char *text)
{
	SEND_NODE(to->n, to->home, far_fail, .proc = to->home_proc, .req = req, .code = code, .text = span_str(text));
}

static int
on_made(struct node *n, struct span body)
{
	struct msg_far_actor_made m;
	struct nproc *p;
	int e = msg_get_far_actor_made(&m, body.p, body.n);

	if (e == 0 && (p = proc_find(n, m.proc)) != NULL && p->role != ROLE_FAR)
		SEND(p, actor, .req = m.req, .actor = m.actor, .class = m.class, .methods = m.methods);
	return e;
}

static int
on_fail(struct node *n, struct span body)
{
	struct msg_far_fail m;
	struct nproc *p;
	int e = msg_get_far_fail(&m, body.p, body.n);

	if (e == 0 && (p = proc_find(n, m.proc)) != NULL && p->role != ROLE_FAR)
		SEND(p, fail, .req = m.req, .code = m.code, .text = m.text);
	return e;
}

/* --- of processes here ------------------------------------------------------------------------------------------------ */

bool
abroad_actor_use(struct nproc *p, uint64_t actor, const struct afar_in *use)
{
	struct afar_in in = *use;
	const struct nproc *who = map_get(&p->n->procs, in.proc);

	if (p->n->abroad == NULL)
		return false;
	in.kind = AFAR_IN_USE;
	in.actor = actor;
	if (who && who->role == ROLE_FAR) {
		in.node = who->home;
		in.far = who->home_proc;
	}
	abroad_actor_step(p->n, &in);
	return true;
}

bool
abroad_actor_at(struct node *n, uint64_t actor, uint32_t node, const char *text)
{
	if (n->abroad == NULL)
		return false;
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_AT, .actor = actor, .node = node, .text = text });
	return true;
}

static int
on_ring(struct node *n, uint32_t node, struct span body)
{
	static const struct res none;
	struct msg_far_actor_ring m;
	struct nproc *sub, *wrk;
	struct msg_grant g;
	int e = msg_get_far_actor_ring(&m, body.p, body.n);

	if (e < 0 || m.worker > UINT32_MAX)
		return ERR_PROTO;
	if ((sub = proc_find(n, m.proc)) != NULL && sub->role != ROLE_FAR && (wrk = abroad_proc(n, node, (uint32_t)m.worker)) != NULL) {
		g = (struct msg_grant){ .req = m.req, .lease = n->abroad->next_ring++, .proc = wrk->number, .bell = wrk->bell,
		    .actor = m.actor, .incarnation = m.incarnation, .group = m.group, .node = wrk->home };
		if (ring_new(n, sub, wrk, g.lease, m.actor, m.ring, &g, &none) != NULL)
			return 0;
	}
	SEND_NODE(n, node, far_close, .ring = m.ring);
	return 0;
}

static int
on_state(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_actor_state m;
	struct nproc *p;
	int e = msg_get_far_actor_state(&m, body.p, body.n);

	if (e < 0)
		return e;
	if ((p = proc_find(n, m.proc)) != NULL && p->role != ROLE_FAR)
		SEND(p, actor_state, .actor = m.actor, .state = m.state, .incarnation = m.incarnation, .text = m.text, .error = m.error);
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_STATE, .actor = m.actor, .node = node, .proc = (uint32_t)m.proc,
	    .state = (enum actor_state)m.state });
	return 0;
}

static int
on_note(struct node *n, uint32_t node, struct span body)
{
	struct afar_in in = { .kind = AFAR_IN_NOTE, .node = node };
	struct msg_far_actor_note m;
	const struct afar *f;
	char text[240];
	int e = msg_get_far_actor_note(&m, body.p, body.n);

	if (e < 0 || m.state > ACTOR_DEAD || m.incarnation > UINT32_MAX || m.restarts > UINT32_MAX)
		return ERR_PROTO;
	if ((f = kept_of(n, m.actor)) == NULL || (f->home != node && f->sent != node))
		return 0;
	snprintf(text, sizeof text, "%.*s", (int)(m.text.n < sizeof text ? m.text.n : sizeof text - 1), (const char *)m.text.p);
	if (f->set)
		sets_step(n, &(struct set_in){ .kind = SET_IN_ACTOR, .set = f->set, .actor = m.actor, .up = m.state == ACTOR_ALIVE,
		    .dead = m.state == ACTOR_DEAD, .bad = m.unfit != 0, .text = text, .error = m.error });
	in.actor = m.actor;
	in.state = (enum actor_state)m.state;
	in.incarnation = (uint32_t)m.incarnation;
	in.restarts = (uint32_t)m.restarts;
	in.text = text;
	abroad_actor_step(n, &in);
	return 0;
}

/* --- of actors here ---------------------------------------------------------------------------------------------------- */

/* this node is to be its home; node keeps it */
static int
take(struct node *n, uint32_t node, const struct msg_far_actor_new *m)
{
	struct actor_in in = { .kind = m->incarnation > 1 ? ACTOR_IN_HEIR : ACTOR_IN_NEW, .keeper = node, .actor = m->actor, .set = m->set,
	    .rank = (uint32_t)m->rank, .incarnation = (uint32_t)m->incarnation, .restarts = (uint32_t)m->restarts };
	struct njob *j = map_get(&n->jobs, m->job);
	uint64_t at = m->node ? m->node : node;
	const struct nproc *p = NULL;
	const struct actor_life *a;
	struct msg_actor_new new;
	char text[240];

	if (at > UINT32_MAX || m->incarnation == 0 || m->incarnation > UINT32_MAX || m->restarts > UINT32_MAX || m->proc > UINT32_MAX || m->rank > UINT32_MAX ||
	    msg_get_actor_new(&new, m->new.p, m->new.n) < 0)
		return ERR_PROTO;
	if (actor_get(&n->actor, m->actor))
		return 0;
	if (m->proc)
		p = at == n->number ? proc_find(n, m->proc) : abroad_proc(n, (uint32_t)at, (uint32_t)m->proc);
	if (j == NULL || res_of(n, &in.need, new.cpus, new.gpus, new.memory, &new.resources) < 0) {
		if (j)
			snprintf(text, sizeof text, "%s has not what it needs", n->name);
		SEND_NODE(n, node, far_actor_note, .actor = m->actor, .state = ACTOR_DEAD, .incarnation = m->incarnation, .unfit = j != NULL,
		    .text = span_str(j ? text : "its job is over"));
		return 0;
	}
	if (node != n->number && id_none(new.pgroup)) {
		abroad_look(n);
		if (!room(n, n->number, &in.need)) {
			SEND_NODE(n, node, far_actor_none, .actor = m->actor, .full = 1);
			return 0;
		}
	}
	snprintf(text, sizeof text, "%.*s", (int)(m->text.n < sizeof text ? m->text.n : sizeof text - 1), (const char *)m->text.p);
	in.proc = p ? p->number : 0;
	in.job = j->number;
	in.namespace = span_buf(&j->namespace);
	in.new = &new;
	in.text = text;
	j->refs++;			/* as long as it is not dead */
	actors_step(n, &in);
	if (in.kind == ACTOR_IN_HEIR)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_RESUME, .actor = m->actor, .job = j->number, .until = clock_ns() + HEIR_GRACE });
	if ((a = actor_get(&n->actor, m->actor)) != NULL && a->state != ACTOR_DEAD) {
		CTL(n, actor_note, .actor = a->number, .state = a->state, .incarnation = a->incarnation);
		abroad_actor_note(n, a);
	}
	return 0;
}

/* what process m->proc, of node m->node or node, does with an actor of ours */
static int
use(struct node *n, uint32_t node, const struct msg_far_actor *m)
{
	struct actor_in in = { .actor = m->actor };
	uint64_t at = m->node ? m->node : node;
	const struct nproc *p;

	if (m->op > AFAR_KILL || m->proc > UINT32_MAX || at > UINT32_MAX)
		return ERR_PROTO;
	if (actor_get(&n->actor, m->actor) == NULL) {
		if (m->op != AFAR_DROP)
			SEND_NODE(n, node, far_actor_none, .actor = m->actor);
		return 0;
	}
	p = m->op == AFAR_KILL ? NULL : at == n->number ? proc_find(n, m->proc) : abroad_proc(n, (uint32_t)at, (uint32_t)m->proc);
	if (p == NULL && m->op != AFAR_KILL)
		return 0;			/* it died meanwhile */
	in.proc = p ? p->number : 0;
	switch ((enum afar_op)m->op) {
	case AFAR_HOLD: in.kind = ACTOR_IN_HOLD; break;
	case AFAR_DROP: in.kind = ACTOR_IN_DROP; break;
	case AFAR_WATCH: in.kind = ACTOR_IN_WATCH; break;
	case AFAR_OPEN:
		in.kind = ACTOR_IN_OPEN;
		in.group = (uint32_t)m->group;
		in.req = m->req;
		break;
	case AFAR_KILL:
		in.kind = ACTOR_IN_KILL;
		in.stop = m->stop != 0;
		in.restart = m->restart != 0;
		break;
	}
	actors_step(n, &in);
	return 0;
}

void
abroad_actor_note(struct node *n, const struct actor_life *a)
{
	struct msg_far_actor_note m = { .actor = a->number, .state = a->state, .incarnation = a->incarnation, .restarts = a->restarts,
	    .unfit = a->unfit, .text = span_str(a->text), .error = span_buf(&a->error) };
	struct buf b = BUF_INIT;

	if (msg_put_far_actor_note(&b, &m) == 0 && a->keeper == n->number)
		on_note(n, n->number, span_of(b.data + FRAME_HEAD, b.len - FRAME_HEAD));
	else
		abroad_send(n, a->keeper, &b);
	buf_release(&b);
}

void
abroad_actors_joined(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (n->abroad && map_next(&n->actor.actors, &it)) {
		const struct actor_life *a = it.val;

		if (a->keeper && a->state != ACTOR_DEAD)
			CTL(n, actor_note, .actor = a->number, .state = a->state, .incarnation = a->incarnation);
	}
}

void
abroad_actor_state(const struct nproc *to, const struct actor_life *a)
{
	SEND_NODE(to->n, to->home, far_actor_state, .actor = a->number, .proc = to->home_proc, .state = a->state,
	    .incarnation = a->incarnation, .text = span_str(a->text), .error = span_buf(&a->error));
}

void
abroad_actor_ring(const struct nring *r, const struct msg_grant *g)
{
	if (r->sub->role != ROLE_FAR)
		return;
	SEND_NODE(r->sub->n, r->sub->home, far_actor_ring, .actor = g->actor, .incarnation = g->incarnation, .group = g->group, .req = g->req,
	    .proc = r->sub->home_proc, .ring = r->number, .worker = r->wrk->number);
}

int
abroad_actor_frame(struct node *n, uint32_t node, uint16_t type, struct span body)
{
	struct msg_far_actor_none none;
	struct msg_far_actor_new new;
	struct msg_far_actor m;
	int e;

	switch (type) {
	case MSG_FAR_ACTOR_NEW_T:
		return (e = msg_get_far_actor_new(&new, body.p, body.n)) < 0 ? e : take(n, node, &new);
	case MSG_FAR_ACTOR_MAKE_T: return on_make(n, node, body);
	case MSG_FAR_ACTOR_MADE_T: return on_made(n, body);
	case MSG_FAR_FAIL_T: return on_fail(n, body);
	case MSG_FAR_ACTOR_RING_T: return on_ring(n, node, body);
	case MSG_FAR_ACTOR_STATE_T: return on_state(n, node, body);
	case MSG_FAR_ACTOR_NOTE_T: return on_note(n, node, body);
	case MSG_FAR_ACTOR_T:
		return (e = msg_get_far_actor(&m, body.p, body.n)) < 0 ? e : use(n, node, &m);
	default:
		if ((e = msg_get_far_actor_none(&none, body.p, body.n)) == 0)
			abroad_actor_step(n, &(struct afar_in){ .kind = none.full ? AFAR_IN_REFUSED : AFAR_IN_DENIED, .actor = none.actor, .node = node });
		return e;
	}
}
