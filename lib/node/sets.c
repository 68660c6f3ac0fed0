/* sets - sets of actors: what their core (core/set.h) decided, and what processes ask. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "node/inner.h"
#include "wire/le.h"

static struct id
group_id(const struct node *n, uint64_t set)	/* of a gang: process 0 is the node, which makes no tasks */
{
	return (struct id){ n->number, 0, set };
}

struct id
sets_group(const struct node *n, uint64_t set)
{
	const struct set *s = set_get(&n->set, set);

	return s && s->placed && group_find(&n->group, group_id(n, set)) ? group_id(n, set) : (struct id){ 0 };
}

/* --- what the core decided ---------------------------------------------------------------------------------- */

static void
fx_make(struct node *n, const struct set_fx *fx)
{
	const struct set *s = set_get(&n->set, fx->set);
	struct njob *j = s ? map_get(&n->jobs, s->job) : NULL;

	if (j == NULL || !actors_make(n, j, span_buf(&s->spec), s->number, fx->rank))
		sets_step(n, &(struct set_in){ .kind = SET_IN_MADE, .set = fx->set, .rank = fx->rank });
}

/* a bundle for each member; members that ask for nothing need none */
static void
fx_group(struct node *n, const struct set_fx *fx)
{
	const struct set *s = set_get(&n->set, fx->set);
	struct group_in in = { .kind = GROUP_IN_NEW, .id = group_id(n, fx->set) };
	struct msg_actor_new m;
	struct res need, *b;
	char text[200];
	int e;

	if (s == NULL || msg_get_actor_new(&m, s->spec.data, s->spec.len) < 0 ||
	    res_of(n, &need, m.cpus, m.gpus, m.memory, &m.resources) < 0)
		return;
	if ((m.cpus | m.gpus | m.memory) == 0 && m.resources.n == 0) {
		sets_step(n, &(struct set_in){ .kind = SET_IN_GROUP, .set = fx->set, .up = true });
		return;
	}
	if ((b = calloc(s->max + 1, sizeof *b)) == NULL)
		return;
	for (unsigned i = 0; i < s->max; i++)
		b[i] = need;
	in.job = s->job;
	in.detached = true;			/* it goes with the set */
	in.strategy = (enum group_strategy)s->strategy;
	in.bundles = b;
	in.nbundle = s->max;
	if ((e = groups_make(n, &in, text)) < 0)
		sets_step(n, &(struct set_in){ .kind = SET_IN_GROUP, .set = fx->set, .text = text[0] ? text : err_str(e) });
	free(b);
}

static void
fx_state(struct node *n, const struct set_fx *fx)
{
	struct nproc *p = proc_find(n, fx->proc);
	const struct set *s = set_get(&n->set, fx->set);
	struct buf members = BUF_INIT;
	unsigned char b[16];

	for (unsigned i = 0; p && s && i < s->n; i++) {
		const struct set_member *m = s->member[i];

		if (m->leaving || m->actor == 0)
			continue;
		le_put64(b, m->actor);
		le_put32(b + 8, m->rank);
		le_put32(b + 12, m->state == MEMBER_UP);
		buf_add(&members, b, sizeof b);
	}
	if (p && s)
		SEND(p, set_state, .set = s->number, .revision = s->revision, .state = s->state, .min = s->min, .max = s->max,
		    .text = span_str(s->text), .error = span_buf(&s->error), .members = span_buf(&members), .generation = s->generation);
	buf_release(&members);
}

/* --- checks of members ---------------------------------------------------------------------------------------- */

static struct nproc *
worker_of(struct node *n, uint64_t actor)
{
	const struct actor_life *a = actor_get(&n->actor, actor);

	return a && a->worker ? proc_find(n, a->worker) : NULL;
}

static void
fx_check(struct node *n, const struct set_fx *fx)
{
	const struct set *s = set_get(&n->set, fx->set);
	struct nproc *p = worker_of(n, fx->actor);

	if (s == NULL || p == NULL)
		return;				/* it is dying */
	p->asked = true;
	SEND(p, health, .actor = fx->actor, .round = fx->round, .method = span_buf(&s->health.method));
}

/* what is known of one that did not answer */
static void
silence(const struct nproc *p, const struct set *s, char *text, size_t size)
{
	uint64_t since = atomic_load(&p->page->since), now = clock_ns();
	uint32_t state = atomic_load(&p->page->state);
	char fn[33];

	memcpy(fn, p->page->fn, 32);		/* its writer may be in the middle of it */
	fn[32] = '\0';
	snprintf(text, size, "did not answer its health check within %.3g s: ", (double)s->health.patience / 1e9);
	text += strlen(text);
	size = size > 64 ? size - 64 : 0;	/* of that line */
	if (p->stopped)
		snprintf(text, size, "it is stopped by a signal");
	else if (state == PAGE_RUN || state == PAGE_BLOCKED)
		snprintf(text, size, "it %s '%s' since %.3g s", state == PAGE_RUN ? "runs" : "waits in", fn,
		    (double)(now > since ? now - since : 0) / 1e9);
	else
		snprintf(text, size, "it runs no call");
}

static void
fx_ill(struct node *n, const struct set_fx *fx)
{
	const struct actor_life *a = actor_get(&n->actor, fx->actor);
	const struct set *s = set_get(&n->set, fx->set);
	struct nproc *p = worker_of(n, fx->actor);
	char what[NODE_MESSAGE], text[NODE_MESSAGE];

	if (a == NULL || s == NULL || p == NULL)
		return;
	if (p->ill)
		snprintf(what, sizeof what, "%s", p->text);	/* it said so itself */
	else
		silence(p, s, what, sizeof what);
	p->ill = true;
	snprintf(p->text, sizeof p->text, "worker %d %.180s", (int)p->pid, what);
	proc_kill(p);
	snprintf(text, sizeof text, "rank %u, worker %d %.180s", a->rank, (int)p->pid, what);
	sets_step(n, &(struct set_in){ .kind = SET_IN_NOTE, .set = fx->set, .text = text });
}

/* it says, unasked, that it cannot go on */
static void
gives_up(struct nproc *p, const struct actor_life *a, struct span why)
{
	int n = (int)(why.n < 180 ? why.n : 180);
	char text[NODE_MESSAGE];

	p->ill = true;
	snprintf(p->text, sizeof p->text, "worker %d: %.*s", (int)p->pid, n, (const char *)why.p);
	proc_kill(p);
	if (set_get(&p->n->set, a->set) == NULL)
		return;
	snprintf(text, sizeof text, "rank %u, worker %d: %.*s", a->rank, (int)p->pid, n, (const char *)why.p);
	sets_step(p->n, &(struct set_in){ .kind = SET_IN_NOTE, .set = a->set, .text = text });
}

static int
on_healthy(struct nproc *p, const struct frame *f)
{
	struct set_in in = { .kind = SET_IN_HEALTH };
	struct msg_healthy m;
	const struct actor_life *a;
	int e = msg_get_healthy(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((a = actor_get(&p->n->actor, m.actor)) == NULL || a->worker != p->number)
		return 0;
	if (m.round == 0 && !m.ok) {
		gives_up(p, a, m.text);
		return 0;
	}
	if (!m.ok && !p->ill) {
		snprintf(p->text, sizeof p->text, "is not well: %.*s", (int)(m.text.n < 160 ? m.text.n : 160), (const char *)m.text.p);
		p->ill = true;
	}
	in.set = a->set;
	in.actor = m.actor;
	in.round = m.round;
	in.up = m.ok != 0;
	sets_step(p->n, &in);
	return 0;
}

static void
fx_forget(struct node *n, const struct set_fx *fx)
{
	const struct set *s = set_get(&n->set, fx->set);
	struct njob *j = s ? map_get(&n->jobs, s->job) : NULL;

	if (j)
		job_unref(n, j);		/* counted in on_new */
	set_unnote(n, fx->set);
	set_forget(&n->set, fx->set);
}

static void
fx_do(struct node *n, const struct set_fx *fx)
{
	switch (fx->kind) {
	case SET_FX_MAKE: fx_make(n, fx); break;
	case SET_FX_LEAVE: actor_note_leaving(n, fx->actor); break;
	case SET_FX_STOP: case SET_FX_KILL:
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = fx->actor, .stop = fx->kind == SET_FX_STOP });
		break;
	case SET_FX_CHECK: fx_check(n, fx); break;
	case SET_FX_ILL: fx_ill(n, fx); break;
	case SET_FX_GROUP: fx_group(n, fx); break;
	case SET_FX_UNGROUP:
		groups_step(n, &(struct group_in){ .kind = GROUP_IN_REMOVE, .id = group_id(n, fx->set) });
		break;
	case SET_FX_STATE: fx_state(n, fx); break;
	case SET_FX_FORGET: fx_forget(n, fx); break;
	}
}

static int
step(struct node *n, const struct set_in *in, uint64_t *number, char text[200])
{
	struct set_out *o = &n->set_out;
	const struct set *s = set_get(&n->set, in->set);
	unsigned generation = s ? s->generation : 0;
	bool ever = s && s->ever;
	int e;

	if (n->stopping)
		return -ECANCELED;
	o->number = 0;
	e = set_step(&n->set, clock_ns(), in, o, text);
	*number = o->number;
	s = set_get(&n->set, o->number ? o->number : in->set);
	if (s && s->state >= SET_ENDING)
		set_unnote(n, s->number);
	else if (s && e == 0 && (o->number || in->kind == SET_IN_RESIZE || in->kind == SET_IN_RENEW || s->ever != ever || s->generation != generation))
		set_note(n, s);
	if (n->set_at != o->at) {
		n->set_at = o->at;
		node_timer(n);
	}
	if (n->setting)
		return e;			/* the loop below will come to it */
	n->setting = true;
	for (size_t i = 0; i < o->n; i++) {
		struct set_fx fx = o->fx[i];	/* o->fx may move */

		fx_do(n, &fx);
	}
	o->n = 0;
	n->setting = false;
	return e;
}

void
sets_step(struct node *n, const struct set_in *in)
{
	uint64_t number;
	char text[200];

	step(n, in, &number, text);
}

bool
sets_held(struct node *n, uint64_t set, uint32_t rank, uint64_t actor, bool leaving)
{
	uint64_t number;
	char text[200];

	return step(n, &(struct set_in){ .kind = SET_IN_HELD, .set = set, .rank = rank, .actor = actor, .leaving = leaving }, &number, text) == 0;
}

void
sets_actor(struct node *n, const struct actor_life *a)
{
	sets_step(n, &(struct set_in){ .kind = SET_IN_ACTOR, .set = a->set, .actor = a->number, .up = a->state == ACTOR_ALIVE,
	    .dead = a->state == ACTOR_DEAD, .bad = a->unfit, .text = a->text, .error = span_buf(&a->error) });
}

void
sets_grouped(struct node *n, const struct group_fx *fx)
{
	sets_step(n, &(struct set_in){ .kind = SET_IN_GROUP, .set = fx->id.seq, .up = fx->state == GROUP_CREATED, .text = fx->text });
}

/* --- messages ----------------------------------------------------------------------------------------------- */

static unsigned
count(uint64_t n)
{
	return n < UINT32_MAX ? (unsigned)n : UINT32_MAX;
}

/* the daemon before this one made it, and had no time to say so */
static const struct set *
made(const struct node *n, uint32_t proc, uint64_t req)
{
	struct map_iter it = MAP_ITER;

	while (n->heir && map_next(&n->set.sets, &it)) {
		const struct set *s = it.val;

		if (s->maker == proc && s->req == req && s->state != SET_DEAD)
			return s;
	}
	return NULL;
}

static int
on_new(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct set_in in = { .kind = SET_IN_NEW, .proc = p->number };
	struct msg_set_new m;
	struct msg_actor_new a;
	const struct set *old;
	struct res need;
	uint64_t number;
	char text[200] = "";
	int e;

	if ((e = msg_get_set_new(&m, f->body, f->len)) < 0 || (e = msg_get_actor_new(&a, m.actor.p, m.actor.n)) < 0)
		return e;
	if (p->job == NULL) {
		proc_fail(p, m.req, -EPERM, "a tool makes no sets");
		return 0;
	}
	if ((e = res_of(n, &need, a.cpus, a.gpus, a.memory, &a.resources)) == ERR_PROTO || m.strategy >= GROUP_STRATEGIES)
		return ERR_PROTO;
	if (e == ERR_NOTFOUND || !lease_feasible(&n->lease, &need, text, sizeof text)) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", text[0] ? text : "a member needs a resource that this node has not");
		return 0;
	}
	if ((old = made(n, p->number, m.req)) != NULL) {
		sets_step(n, &(struct set_in){ .kind = SET_IN_WATCH, .set = old->number, .proc = p->number });
		SEND(p, set, .req = m.req, .set = old->number, .class = a.class, .methods = a.methods);
		return 0;
	}
	in.req = m.req;
	in.job = p->job->number;
	in.min = count(m.min);
	in.max = count(m.max);
	in.gang = m.gang != 0;
	in.strategy = (unsigned)m.strategy;
	in.detached = m.detached != 0;
	in.drain = m.drain;
	in.period = m.period;
	in.patience = m.patience;
	in.method = m.method;
	in.surge = count(m.surge);
	in.name = m.name;
	in.namespace = span_buf(&p->job->namespace);
	in.spec = m.actor;
	p->job->refs++;				/* until it is dead */
	if ((e = step(n, &in, &number, text)) < 0) {
		job_unref(n, p->job);
		proc_fail(p, m.req, e, "%s", text[0] ? text : err_str(e));
	} else
		SEND(p, set, .req = m.req, .set = number, .class = a.class, .methods = a.methods);
	return 0;
}

static int
on_find(struct nproc *p, const struct frame *f)
{
	struct msg_set_find m;
	struct msg_actor_new a;
	const struct set *s;
	int e = msg_get_set_find(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.namespace.n == 0)
		m.namespace = span_buf(p->job ? &p->job->namespace : &p->namespace);
	if ((s = set_named(&p->n->set, m.namespace, m.name)) != NULL && msg_get_actor_new(&a, s->spec.data, s->spec.len) == 0)
		SEND(p, set, .req = m.req, .set = s->number, .class = a.class, .methods = a.methods);
	else
		proc_fail(p, m.req, ERR_NOTFOUND, "no set '%.*s' in namespace '%.*s'", (int)(m.name.n < 255 ? m.name.n : 255),
		    (const char *)m.name.p, (int)(m.namespace.n < 255 ? m.namespace.n : 255), (const char *)m.namespace.p);
	return 0;
}

static int
on_resize(struct nproc *p, const struct frame *f)
{
	struct set_in in = { .kind = SET_IN_RESIZE };
	struct msg_set_resize m;
	uint64_t number;
	char text[200];
	int e = msg_get_set_resize(&m, f->body, f->len);

	if (e < 0)
		return e;
	in.set = m.set;
	in.min = count(m.min);
	in.max = count(m.max);
	if (set_get(&p->n->set, m.set) == NULL)
		proc_fail(p, m.req, ERR_NOTFOUND, "the set is gone");
	else if ((e = step(p->n, &in, &number, text)) < 0)
		proc_fail(p, m.req, e, "%s", text);
	else
		SEND(p, ok, .req = m.req);
	return 0;
}

static int
on_renew(struct nproc *p, const struct frame *f)
{
	struct msg_set_renew m;
	uint64_t number;
	char text[200];
	int e = msg_get_set_renew(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (set_get(&p->n->set, m.set) == NULL)
		proc_fail(p, m.req, ERR_NOTFOUND, "the set is gone");
	else if ((e = step(p->n, &(struct set_in){ .kind = SET_IN_RENEW, .set = m.set, .proc = p->number, .req = m.req }, &number,
	    text)) < 0)
		proc_fail(p, m.req, e, "%s", text);
	else
		SEND(p, ok, .req = m.req);
	return 0;
}

int
sets_frame(struct nproc *p, const struct frame *f)
{
	struct msg_set_watch w;
	struct msg_set_end m;
	int e;

	switch (f->type) {
	case MSG_SET_NEW_T: return on_new(p, f);
	case MSG_SET_FIND_T: return on_find(p, f);
	case MSG_SET_RESIZE_T: return on_resize(p, f);
	case MSG_SET_RENEW_T: return on_renew(p, f);
	case MSG_HEALTHY_T: return on_healthy(p, f);
	case MSG_SET_WATCH_T:
		if ((e = msg_get_set_watch(&w, f->body, f->len)) < 0)
			return e;
		if (set_get(&p->n->set, w.set))
			sets_step(p->n, &(struct set_in){ .kind = w.on ? SET_IN_WATCH : SET_IN_UNWATCH, .set = w.set, .proc = p->number });
		else if (w.on)
			SEND(p, set_state, .set = w.set, .revision = UINT64_MAX, .state = SET_DEAD, .text = span_str("the set is gone"));
		return 0;
	default:
		if ((e = msg_get_set_end(&m, f->body, f->len)) < 0)
			return e;
		sets_step(p->n, &(struct set_in){ .kind = SET_IN_END, .set = m.set, .kill = m.kill != 0 });
		return 0;
	}
}
