#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "core/bundle.h"
#include "core/control_fx.h"
#include "core/node_row.h"
#include "core/numbers.h"
#include "core/where_row.h"
#include "node/gcs_inner.h"
#include "wire/le.h"

#define SETTLE 0.5			/* seconds between two looks whether all nodes of before are back */

/* --- groups ---------------------------------------------------------------------------------------------------------- */

static uint64_t
name_hash(struct span ns, struct span name)
{
	return hash64(ns.p, ns.n) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(name.p, name.n);
}

static struct gcs_group *
named(const struct gcs_groups *s, struct span ns, struct span name)
{
	struct gcs_group *p = map_get(&s->names, name_hash(ns, name));

	while (p && !(span_is(name, p->name) && span_is(ns, p->namespace)))
		p = p->next;
	return p;
}

static void
group_free(struct gcs_group *p)
{
	free(p->name);
	free(p->namespace);
	free(p->follower);
	buf_release(&p->bundles);
	free(p);
}

static void
leave(struct gcs *g, struct gcs_group *p)
{
	struct gcs_groups *s = &g->groups;
	uint64_t h = name_hash(span_text(p->namespace), span_text(p->name));
	struct gcs_group *q = p->name[0] ? map_get(&s->names, h) : NULL;

	gcs_group_unnote(g, p);
	if (q == p && p->next)
		map_put(&s->names, h, p->next);		/* it was there before: there is room */
	else if (q == p)
		map_del(&s->names, h);
	for (; q && q != p; q = q->next)
		if (q->next == p)
			q->next = p->next;
	idmap_del(&s->ids, p->id);
	map_del(&s->numbers, p->number);
	group_free(p);
}

struct gcs_group *
gcs_group_enter(struct gcs *g, struct gcs_group *p, struct span name, struct span namespace, struct span bundles)
{
	struct gcs_groups *s = &g->groups;
	uint64_t h = name_hash(namespace, name);

	p->name = calloc(1, name.n + 1);
	p->namespace = calloc(1, namespace.n + 1);
	if (p->name == NULL || p->namespace == NULL || buf_add(&p->bundles, bundles.p, bundles.n) < 0 ||
	    idmap_put(&s->ids, p->id, p) < 0 || map_put(&s->numbers, p->number, p) < 0)
		goto fail;
	memcpy(p->name, name.n ? name.p : (const unsigned char *)"", name.n);
	memcpy(p->namespace, namespace.n ? namespace.p : (const unsigned char *)"", namespace.n);
	if (name.n) {
		p->next = map_get(&s->names, h);
		if (map_put(&s->names, h, p) < 0)
			goto fail;
	}
	return p;
fail:
	if (idmap_get(&s->ids, p->id) == p)
		idmap_del(&s->ids, p->id);
	map_del(&s->numbers, p->number);
	group_free(p);
	return NULL;
}

/* --- what nodes are told ---------------------------------------------------------------------------------------------- */

static uint64_t
host(const struct gcs_groups *s, uint32_t node)		/* its peer; 0: it has none that could be told */
{
	return (uint64_t)(uintptr_t)map_get(&s->hosts, node);
}

static void
tell(struct gcs *g, uint64_t peer, const struct gcs_group *p, const struct gfar_group *c)
{
	struct buf nodes = BUF_INIT;
	unsigned char at[4];

	for (unsigned b = 0; b < c->n; b++) {
		le_put32(at, c->node[b]);
		buf_add(&nodes, at, sizeof at);
	}
	CONTROL_SEND(&g->out, peer, group_state, .id = p->id, .state = c->state, .code = c->code, .text = span_text(c->text),
	    .group = p->number, .nodes = span_of(nodes.data, nodes.len), .bundles = span_of(p->bundles.data, p->bundles.len));
	buf_release(&nodes);
}

static void
tell_gone(struct gcs *g, uint64_t peer, struct id id, int code, const char *text)
{
	CONTROL_SEND(&g->out, peer, group_state, .id = id, .state = GROUP_REMOVED, .code = code, .text = span_text(text));
}

static void
tell_all(struct gcs *g, const struct gcs_group *p, const struct gfar_group *c)
{
	for (unsigned i = 0; i < p->nfollower; i++)
		if (host(&g->groups, p->follower[i]))
			tell(g, host(&g->groups, p->follower[i]), p, c);
}

static int
follow(struct gcs_group *p, uint32_t node)
{
	uint32_t *v;

	for (unsigned i = 0; i < p->nfollower; i++)
		if (p->follower[i] == node)
			return 0;
	if ((v = reallocarray(p->follower, p->nfollower + 1, sizeof *v)) == NULL)
		return -ENOMEM;
	p->follower = v;
	v[p->nfollower++] = node;
	return 0;
}

static void
prepare(struct gcs *g, uint64_t peer, const struct gcs_group *p, const struct gfar_group *c, const struct gfar_fx *fx)
{
	struct buf which = BUF_INIT, bundles = BUF_INIT;
	unsigned char at[4];

	for (unsigned b = 0; b < c->n; b++)
		if (c->node[b] == fx->node && c->of[b] == fx->round) {
			le_put32(at, b);
			buf_add(&which, at, sizeof at);
			bundle_put(&g->groups.words, &c->bundle[b], &bundles);
		}
	if (which.len)
		CONTROL_SEND(&g->out, peer, group_prepare, .group = p->number, .round = fx->round, .id = p->id, .job = p->job,
		    .all = c->n, .which = span_of(which.data, which.len), .bundles = span_of(bundles.data, bundles.len));
	buf_release(&which);
	buf_release(&bundles);
}

/* --- what the core decided -------------------------------------------------------------------------------------------- */

static void
fx_state(struct gcs *g, struct gcs_group *p, const struct gfar_group *c, const struct gfar_fx *fx)
{
	if (fx->state != GROUP_REMOVED && (fx->state != GROUP_CREATED || !p->noted))
		gcs_group_note(g, p);
	if (fx->state == GROUP_CREATED || fx->state == GROUP_RESCHEDULING || fx->state == GROUP_REMOVED)
		tell_all(g, p, c);
}

static void
fx_do(struct gcs *g, const struct gfar_fx *fx)
{
	struct gcs_groups *s = &g->groups;
	struct gcs_group *p = map_get(&s->numbers, fx->group);
	const struct gfar_group *c = gfar_group(&s->core, fx->group);
	uint64_t peer = host(s, fx->node);

	switch (fx->kind) {
	case GFAR_FX_PREPARE:
		if (p && c && peer)
			prepare(g, peer, p, c, fx);
		break;
	case GFAR_FX_COMMIT:
		if (peer)
			CONTROL_SEND(&g->out, peer, group_commit, .group = fx->group, .round = fx->round);
		break;
	case GFAR_FX_RELEASE:
		if (peer)
			CONTROL_SEND(&g->out, peer, group_release, .group = fx->group, .round = fx->round);
		break;
	case GFAR_FX_STATE:
		if (p && c)
			fx_state(g, p, c, fx);
		break;
	case GFAR_FX_FORGET:
		if (p && c)
			gcs_group_past(g, p, c);
		gfar_forget(&s->core, fx->group);
		if (p)
			leave(g, p);
		break;
	}
}

static int
step(struct gcs *g, const struct gfar_in *in)
{
	struct gcs_groups *s = &g->groups;
	uint64_t now = clock_ns();
	int e = gfar_step(&s->core, now, in, &s->out);

	for (size_t i = 0; i < s->out.n; i++)
		fx_do(g, &s->out.fx[i]);
	s->out.n = 0;
	ev_timer_stop(g->loop, &s->timer);
	if (s->out.at) {
		ev_now_update(g->loop);
		ev_timer_set(&s->timer, s->out.at > now ? (double)(s->out.at - now) / 1e9 : 0., 0.);
		ev_timer_start(g->loop, &s->timer);
	}
	return e;
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;
	size_t from = g->out.n;

	(void)loop, (void)revents;
	step(g, &(struct gfar_in){ .kind = GFAR_IN_TICK });
	control_seal(&g->core, from, &g->out);
}

static void
on_settle(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;

	(void)revents;
	if (g->core.nbefore)
		return;
	ev_timer_stop(loop, w);
	g->groups.core.settling = false;
	on_timer(loop, &g->groups.timer, 0);
}

/* --- what nodes say --------------------------------------------------------------------------------------------------- */

static int
on_new(struct gcs_peer *p, const struct frame *f)
{
	struct gcs *g = p->g;
	struct gcs_groups *s = &g->groups;
	struct gfar_in in = { .kind = GFAR_IN_NEW };
	struct gcs_group *q;
	struct msg_group_new m;
	char why[BUNDLE_WHY + 64] = "";
	struct res *v = NULL;
	int code = 0, e = msg_get_group_new(&m, f->body, f->len);

	if (e < 0 || m.id.node != p->node || m.strategy >= GROUP_STRATEGIES || m.job > UINT32_MAX || m.home > UINT32_MAX)
		return e < 0 ? e : ERR_PROTO;
	if ((q = idmap_get(&s->ids, m.id)) != NULL) {	/* it asks once more: we, or its own daemon, are others now */
		follow(q, p->node);
		tell(g, p->number, q, gfar_group(&s->core, q->number));
		return 0;
	}
	if ((e = bundles_get(&s->words, s->core.settling, m.bundles, &v, &in.nbundle, why)) == ERR_NOTFOUND) {
		snprintf(why + strlen(why), sizeof why - strlen(why), "; no node has any");
		code = ERR_INFEASIBLE;
	} else if (e == -E2BIG || m.name.n > GROUP_NAME_MAX || (e == 0 && in.nbundle == 0)) {
		snprintf(why, sizeof why, "a group has 1 to %u bundles, a strategy, and a name of at most %u bytes", GROUP_BUNDLES_MAX,
		    GROUP_NAME_MAX);
		code = -EINVAL;
	} else if (m.name.n && named(s, m.namespace, m.name)) {
		snprintf(why, sizeof why, "a group '%.*s' exists in namespace '%.*s'", (int)(m.name.n < 60 ? m.name.n : 60),
		    (const char *)m.name.p, (int)(m.namespace.n < 60 ? m.namespace.n : 60), (const char *)m.namespace.p);
		code = -EEXIST;
	} else if (e < 0 || (q = calloc(1, sizeof *q)) == NULL)
		code = -ENOMEM;
	if (code < 0) {
		free(v);
		tell_gone(g, p->number, m.id, code, *why ? why : "the control store is out of memory");
		return e == ERR_PROTO ? e : 0;
	}
	*q = (struct gcs_group){ .id = m.id, .number = ++s->last, .job = (uint32_t)m.job, .home = (uint32_t)m.home,
	    .strategy = (enum group_strategy)m.strategy, .detached = m.detached != 0, .since = clock_wall_ns(),
	    .until = m.timeout ? clock_ns() + m.timeout : 0 };
	if ((q = gcs_group_enter(g, q, m.name, m.namespace, m.bundles)) == NULL || follow(q, p->node) < 0)
		goto fail;
	in.group = q->number;
	in.round = g->core.epoch << 32;
	in.job = q->job;
	in.strategy = q->strategy;
	in.detached = q->detached;
	in.until = q->until;
	in.bundles = v;
	if (step(g, &in) < 0)
		goto fail;
	free(v);
	if ((q = idmap_get(&s->ids, m.id)) != NULL && gfar_group(&s->core, q->number)->npart == 0)
		gcs_group_note(g, q);		/* it waits for room, maybe long */
	return 0;
fail:
	free(v);
	if (q)
		leave(g, q);
	tell_gone(g, p->number, m.id, -ENOMEM, "the control store is out of memory");
	return 0;
}

static int
on_ask(struct gcs_peer *p, const struct frame *f)
{
	struct gcs_groups *s = &p->g->groups;
	struct gcs_group *q;
	struct msg_group_ask m;		/* GROUP_DEL has the same field */
	int e = msg_get_group_ask(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((q = idmap_get(&s->ids, m.id)) == NULL) {
		tell_gone(p->g, p->number, m.id, ERR_CANCELLED, "the placement group was removed");
		return 0;
	}
	if (follow(q, p->node) < 0)
		return -ENOMEM;
	if (f->type == MSG_GROUP_DEL_T)
		step(p->g, &(struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = q->number });
	else
		tell(p->g, p->number, q, gfar_group(&s->core, q->number));
	return 0;
}

static int
on_find(struct gcs_peer *p, const struct frame *f)
{
	struct msg_group_find m;
	const struct gcs_group *q;
	int e = msg_get_group_find(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.name.n && (q = named(&p->g->groups, m.namespace, m.name)) != NULL)
		CONTROL_SEND(&p->g->out, p->number, group, .req = m.req, .id = q->id,
		    .bundles = gfar_group(&p->g->groups.core, q->number)->n);
	else
		control_fx_fail(&p->g->out, p->number, m.req, ERR_NOTFOUND, "no group '%.*s' in namespace '%.*s'",
		    (int)(m.name.n < 255 ? m.name.n : 255), (const char *)m.name.p,
		    (int)(m.namespace.n < 255 ? m.namespace.n : 255), (const char *)m.namespace.p);
	return 0;
}

static int
on_answer(struct gcs_peer *p, const struct frame *f)
{
	static const enum gfar_in_kind kind[] = { GFAR_IN_READY, GFAR_IN_COMMITTED, GFAR_IN_REFUSED };
	struct msg_group_answer m;
	int e = msg_get_group_answer(&m, f->body, f->len);

	if (e < 0 || m.answer >= sizeof kind / sizeof *kind)
		return e < 0 ? e : ERR_PROTO;
	return step(p->g, &(struct gfar_in){ .kind = kind[m.answer], .group = m.group, .node = p->node, .round = m.round });
}

/* --- what a node has, after it joined ------------------------------------------------------------------------------------ */

static struct id
part_key(uint64_t group, uint64_t round)
{
	return (struct id){ (uint32_t)(round >> 32), (uint32_t)round, group };
}

struct todo {
	uint64_t group, round;
	enum { MISSING, READY, COMMIT } what;	/* it is not there; the answer to PREPARE was lost; or COMMIT was, or its answer */
};

/* What the core believes to be there, and is not, or waits for the answer of. */
static int
differ(const struct gcs_groups *s, uint32_t node, const struct idmap *parts, struct buf *todo)
{
	struct map_iter it = MAP_ITER;
	int e = 0;

	while (e == 0 && map_next(&s->core.groups, &it)) {
		const struct gfar_group *c = it.val;

		for (unsigned i = 0; i < c->npart && e == 0; i++) {
			const struct gfar_part *k = &c->part[i];
			struct todo v = { .group = c->number, .round = k->round };
			size_t state;			/* 1 + enum hold_state */

			if (k->node != node)
				continue;
			if ((state = (size_t)idmap_get(parts, part_key(c->number, k->round))) == 0)
				v.what = MISSING;
			else if (k->phase == GFAR_COMMITTING)
				v.what = COMMIT;
			else if (k->phase == GFAR_ASKED && state > 1)
				v.what = READY;
			else
				continue;
			e = buf_add(todo, &v, sizeof v);
		}
	}
	return e;
}

static int
reconcile(struct gcs_peer *p, struct span parts)
{
	struct gcs_groups *s = &p->g->groups;
	struct idmap held = IDMAP_INIT;
	struct buf todo = BUF_INIT;
	struct todo v;
	int e = 0;

	for (size_t at = 0; at < parts.n && e == 0; at += 24)
		e = idmap_put(&held, part_key(le_get64(parts.p + at), le_get64(parts.p + at + 8)),
		    (void *)(uintptr_t)(1 + (parts.p[at + 16] & 3)));
	if (e == 0)
		e = differ(s, p->node, &held, &todo);
	for (size_t at = 0; at < todo.len && e == 0; at += sizeof v) {
		memcpy(&v, todo.data + at, sizeof v);
		if (v.what == COMMIT)
			CONTROL_SEND(&p->g->out, p->number, group_commit, .group = v.group, .round = v.round);
		else
			e = step(p->g, &(struct gfar_in){ .kind = v.what == READY ? GFAR_IN_READY : GFAR_IN_REFUSED, .group = v.group,
			    .node = p->node, .round = v.round });
	}
	for (size_t at = 0; at < parts.n && e == 0; at += 24)	/* what is nobody's it is told to release */
		e = step(p->g, &(struct gfar_in){ .kind = GFAR_IN_HELD, .node = p->node, .group = le_get64(parts.p + at),
		    .round = le_get64(parts.p + at + 8) });
	buf_release(&todo);
	idmap_release(&held);
	return e;
}

static int
on_held(struct gcs_peer *p, const struct frame *f)
{
	struct gcs_groups *s = &p->g->groups;
	struct gfar_in in = { .kind = GFAR_IN_NODE, .node = p->node };
	struct labels labels = { 0 };
	struct span left, name, text;
	char why[LABELS_WHY];
	struct msg_group_held m;
	struct node_what w;
	uint64_t n;
	int e = msg_get_group_held(&m, f->body, f->len);

	if (e < 0 || m.parts.n % 24 || node_what_get(&w, span_of(p->what.data, p->what.len)) < 0)
		return e < 0 ? e : ERR_PROTO;
	if ((e = map_put(&s->hosts, p->node, (void *)(uintptr_t)p->number)) < 0 || (e = reconcile(p, m.parts)) < 0)
		return e;
	for (left = w.labels; e == 0 && node_row_pair(&left, &name, &text, &n);)
		e = labels_put(&labels, name, text, why) == -ENOMEM ? -ENOMEM : 0;
	where_amounts(&in.total, w.cpus, w.gpus, w.memory, w.resources, &s->words);
	in.labels = &labels;
	if (e == 0)
		e = step(p->g, &in);
	labels_release(&labels);
	return e;
}

/* another daemon of a node: jobs that it does not name are over */
static void
on_join(struct gcs *g, const struct frame *f)
{
	struct map_iter it = MAP_ITER;
	struct msg_node_join m;

	if (msg_get_node_join(&m, f->body, f->len) < 0 || m.node == 0 || !m.heir)
		return;
	while (map_next(&g->groups.numbers, &it)) {
		const struct gcs_group *q = it.val;

		if (q->home == m.node && !q->detached && !numbers_has(m.jobs, q->job))
			step(g, &(struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = q->number });
	}
}

static int
take(struct gcs_peer *p, const struct frame *f)
{
	struct msg_group_list list;
	struct msg_job_end end;

	if (f->type == MSG_NODE_JOIN_T)
		on_join(p->g, f);
	if (p->node == 0)			/* it is given up, and has yet to read that */
		return 0;
	switch (f->type) {
	case MSG_GROUP_NEW_T: return on_new(p, f);
	case MSG_GROUP_ASK_T: case MSG_GROUP_DEL_T: return on_ask(p, f);
	case MSG_GROUP_FIND_T: return on_find(p, f);
	case MSG_GROUP_ANSWER_T: return on_answer(p, f);
	case MSG_GROUP_HELD_T: return on_held(p, f);
	case MSG_GROUP_LIST_T:
		if (msg_get_group_list(&list, f->body, f->len) == 0)
			gcs_groups_list(p, list.req);
		return 0;
	case MSG_JOB_END_T:
		if (msg_get_job_end(&end, f->body, f->len) == 0)
			step(p->g, &(struct gfar_in){ .kind = GFAR_IN_JOB_END, .job = (uint32_t)end.job });
		return 0;
	}
	return 0;
}

int
gcs_groups_frame(struct gcs_peer *p, const struct frame *f)
{
	size_t from = p->g->out.n;
	int e = take(p, f);

	control_seal(&p->g->core, from, &p->g->out);
	return e;
}

void
gcs_groups_load_of(struct gcs_peer *p)
{
	struct gcs_groups *s = &p->g->groups;
	const struct group_node *w = map_get(&s->core.nodes, p->node);
	const struct cluster_row *r = cluster_row(&p->g->nodes.list, p->node);
	struct gfar_in in = { .kind = GFAR_IN_LOAD, .node = p->node };
	struct node_load l;

	if (w == NULL || r == NULL || node_load_get(&l, span_of(r->load.data, r->load.len)) < 0)
		return;
	where_amounts(&in.total, l.cpus, l.gpus, l.memory, l.resources, &s->words);
	for (unsigned i = 0; i < RES_MAX; i++) {	/* what it set aside for groups is not free either */
		int64_t busy = w->total.v[i] - in.total.v[i] - w->set.v[i];

		in.total.v[i] = busy > 0 ? busy : 0;
	}
	step(p->g, &in);
}

void
gcs_groups_gone(struct gcs_peer *p)
{
	if (host(&p->g->groups, p->node) == p->number)
		map_del(&p->g->groups.hosts, p->node);
}

void
gcs_groups_down(struct gcs *g, uint32_t node)
{
	struct map_iter it = MAP_ITER;
	size_t from = g->out.n;

	map_del(&g->groups.hosts, node);
	while (map_next(&g->groups.numbers, &it)) {
		const struct gcs_group *q = it.val;

		if (q->home == node && !q->detached)
			step(g, &(struct gfar_in){ .kind = GFAR_IN_REMOVE, .group = q->number });
	}
	step(g, &(struct gfar_in){ .kind = GFAR_IN_GONE, .node = node });
	control_seal(&g->core, from, &g->out);
}

/* --- start and end --------------------------------------------------------------------------------------------------------- */

int
gcs_groups_load(struct gcs *g, struct span val)
{
	struct gfar_in in = { .kind = GFAR_IN_HEIR };
	struct gcs_group *p = gcs_group_read(g, val, &in);
	int e = p ? 0 : ERR_PROTO;

	g->groups.core.settling = true;
	if (p)
		e = gfar_step(&g->groups.core, clock_ns(), &in, &g->groups.out);
	g->groups.out.n = 0;			/* nobody is there who could be told: GROUP_HELD will say what is to be done */
	free((void *)(uintptr_t)in.bundles);
	free((void *)(uintptr_t)in.at);
	free((void *)(uintptr_t)in.rounds);
	return e;
}

void
gcs_groups_init(struct gcs *g)
{
	struct gcs_groups *s = &g->groups;

	gfar_init(&s->core);
	lease_init(&s->words, &(struct res){ .v = { 0 } }, &(struct lease_limits){ .workers = 0 });
	ev_timer_init(&s->timer, on_timer, 0., 0.);
	ev_timer_init(&s->settle, on_settle, SETTLE, SETTLE);
	s->timer.data = s->settle.data = g;
}

void
gcs_groups_start(struct gcs *g)
{
	g->groups.last = g->core.epoch << 32;
	g->groups.core.settling = g->core.nbefore > 0;
	if (g->groups.core.settling)
		ev_timer_start(g->loop, &g->groups.settle);
	on_timer(g->loop, &g->groups.timer, 0);
}

void
gcs_groups_stop(struct gcs *g)
{
	struct gcs_groups *s = &g->groups;
	struct map_iter it = MAP_ITER;

	if (g->loop) {
		ev_timer_stop(g->loop, &s->timer);
		ev_timer_stop(g->loop, &s->settle);
	}
	while (map_next(&s->numbers, &it))
		group_free(it.val);
	map_release(&s->numbers);
	map_release(&s->names);
	map_release(&s->hosts);
	idmap_release(&s->ids);
	gfar_release(&s->core);
	lease_release(&s->words);
	free(s->out.fx);
}
