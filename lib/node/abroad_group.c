/* abroad_group.c - what processes of this node made, asked for and run in of placement groups over many nodes */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/bundle.h"
#include "node/abroad_group.h"
#include "wire/le.h"

static const char removed[] = "the placement group was removed";

/* --- groups ------------------------------------------------------------------------------------------------------------ */

struct pgroup *
pgroup_get(const struct node *n, struct id id)
{
	return idmap_get(&n->abroad->pgroups, id);
}

static void
pgroup_free(struct node *n, struct pgroup *g)
{
	idmap_del(&n->abroad->pgroups, g->id);
	while (list_shift(&g->wants) != NULL)
		;
	free(g->bundle);
	free(g->node);
	free(g->asker);
	buf_release(&g->frame);
	buf_release(&g->actors);
	free(g);
}

static struct pgroup *
pgroup_new(struct node *n, struct id id)
{
	struct pgroup *g = calloc(1, sizeof *g);

	if (g == NULL || idmap_put(&n->abroad->pgroups, id, g) < 0) {
		free(g);
		return NULL;
	}
	g->id = id;
	g->state = GROUP_PENDING;
	list_init(&g->wants);
	return g;
}

/* One that is not known here is asked for. */
static struct pgroup *
pgroup_find(struct node *n, struct id id)
{
	struct pgroup *g = pgroup_get(n, id);

	if (g == NULL && (g = pgroup_new(n, id)) != NULL)
		CTL(n, group_ask, .id = id);
	return g;
}

uint64_t
pgroup_number(const struct node *n, const struct want *w)
{
	const struct pgroup *g = id_none(w->pgroup) ? NULL : pgroup_get(n, w->pgroup);

	return g ? g->number : 0;
}

static void
why_not(const struct pgroup *g, char why[NODE_MESSAGE])
{
	if (g == NULL || g->code == ERR_CANCELLED)
		snprintf(why, NODE_MESSAGE, "its placement group was removed");
	else
		snprintf(why, NODE_MESSAGE, "its placement group is not there: %.200s", g->text);
}

/* --- leases -------------------------------------------------------------------------------------------------------------- */

static bool
within(const struct res *need, const struct res *there)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > there->v[r])
			return false;
	return true;
}

/* false: it can never be, with a line that says why; the words are core/lease.h's */
static bool
feasible(const struct node *n, const struct pgroup *g, const struct want *w, char why[NODE_MESSAGE])
{
	unsigned r = 0;

	if (w->bundle > g->n) {
		snprintf(why, NODE_MESSAGE, "there is no bundle %u in the placement group: it has %u", w->bundle, g->n);
		return false;
	}
	for (unsigned i = w->bundle ? w->bundle - 1 : 0; i < (w->bundle ? w->bundle : g->n); i++)
		if (within(&w->need, &g->bundle[i]))
			return true;
	if (w->bundle == 0)
		snprintf(why, NODE_MESSAGE, "needs more than any of the %u bundles of its placement group has", g->n);
	else {
		while (w->need.v[r] <= g->bundle[w->bundle - 1].v[r])
			r++;
		snprintf(why, NODE_MESSAGE, "needs %g %s; bundle %u of its placement group has %g",
		    (double)w->need.v[r] / (r == RES_MEM ? 1 : 1000), n->lease.name[r], w->bundle,
		    (double)g->bundle[w->bundle - 1].v[r] / (r == RES_MEM ? 1 : 1000));
	}
	return false;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

/* the nodes that have bundles in which it fits: how many; NULL: no memory */
static uint32_t *
among(const struct pgroup *g, const struct want *w, size_t *n)
{
	uint32_t *v = calloc(g->n + 1, sizeof *v);
	size_t k = 0, j = 0;

	for (unsigned i = 0; v && i < g->n; i++)
		if (g->node[i] && (w->bundle == 0 || w->bundle == i + 1) && within(&w->need, &g->bundle[i]))
			v[k++] = g->node[i];
	if (k)
		qsort(v, k, sizeof *v, by_number);
	for (size_t i = 0; i < k; i++)
		if (i == 0 || v[i] != v[j - 1])
			v[j++] = v[i];
	*n = j;
	return v;
}

static void
want_none(struct node *n, struct want *w)
{
	if (w->asked)
		ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_WANT, .proc = w->proc, .shape = w->shape, .wait = true });
	w->asked = false;
}

static void
want_never(struct node *n, struct want *w, const char *why)
{
	struct nproc *p = proc_find(n, w->proc);

	want_none(n, w);
	if (p && w->wanted)
		proc_fail(p, w->req, ERR_INFEASIBLE, "%s", why);
	w->wanted = 0;
}

/* what is wanted of a group is asked of the nodes that have it now */
static void
settle(struct node *n, const struct pgroup *g, struct want *w)
{
	struct overflow_in in = { .kind = OVERFLOW_IN_WANT, .proc = w->proc, .shape = w->shape, .want = w->wanted, .wait = true, .anew = true };
	struct where_demand d = { .need = w->need, .strategy = WHERE_HYBRID };
	char why[NODE_MESSAGE];
	uint32_t *v;

	if (w->wanted && g->n && !feasible(n, g, w, why)) {
		want_never(n, w, why);
		return;
	}
	v = g->n ? among(g, w, &d.namong) : NULL;
	if (v == NULL || d.namong == 0)			/* it has no node now: it waits for one */
		want_none(n, w);
	else {
		for (size_t i = 0; i < d.namong; i++)
			in.here |= v[i] == n->number;
		d.among = v;
		in.demand = &d;
		w->asked = w->wanted > 0;
		ask_step(n, &in);
	}
	free(v);
}

void
pgroup_want(struct want *w, const struct msg_lease *m)
{
	w->pgroup = m->pgroup;
	w->bundle = m->bundle < UINT32_MAX ? (unsigned)m->bundle : UINT32_MAX;
	w->capture = m->capture != 0;
	w->wanted = m->want;
}

void
pgroup_settle(struct node *n, struct want *w)
{
	struct pgroup *g = pgroup_find(n, w->pgroup);
	char why[NODE_MESSAGE];

	if (g == NULL || g->state == GROUP_REMOVED) {
		why_not(g, why);
		want_never(n, w, why);
	} else {
		if (list_empty(&w->grouped))
			list_add_tail(&g->wants, &w->grouped);
		settle(n, g, w);
	}
	abroad_turn(n);
}

/* --- actors -------------------------------------------------------------------------------------------------------------- */

bool
abroad_group_gone(struct node *n, struct id id, char why[NODE_MESSAGE])
{
	const struct pgroup *g = pgroup_find(n, id);

	if (g && g->state != GROUP_REMOVED)
		return false;
	why_not(g, why);
	return true;
}

bool
abroad_group_never(struct node *n, const struct msg_actor_new *m)
{
	struct want w = { .bundle = m->bundle < UINT32_MAX ? (unsigned)m->bundle : UINT32_MAX };
	const struct pgroup *g = pgroup_find(n, m->pgroup);
	struct span custom = m->resources;
	char why[NODE_MESSAGE];

	return g == NULL || g->state == GROUP_REMOVED || res_known(n, &w.need, m->cpus, m->gpus, m->memory, &custom, true) < 0 ||
	    (g->n && !feasible(n, g, &w, why));
}

static int
actor_waits(struct pgroup *g, uint64_t actor)
{
	unsigned char at[8];

	le_put64(at, actor);
	return buf_add(&g->actors, at, sizeof at);
}

int
abroad_group_home(struct node *n, const struct msg_actor_new *m, uint64_t actor, uint32_t *node, char why[NODE_MESSAGE])
{
	struct want w = { .bundle = m->bundle < UINT32_MAX ? (unsigned)m->bundle : UINT32_MAX };
	struct span custom = m->resources;
	struct pgroup *g = pgroup_find(n, m->pgroup);
	uint32_t *v;
	size_t k = 0;
	int e = 0;

	if (g == NULL || g->state == GROUP_REMOVED) {
		why_not(g, why);
		return ERR_INFEASIBLE;
	}
	if (res_known(n, &w.need, m->cpus, m->gpus, m->memory, &custom, true) < 0 || (g->n && !feasible(n, g, &w, why)))
		return ERR_INFEASIBLE;
	v = g->n ? among(g, &w, &k) : NULL;
	for (size_t i = 0; i < k && e == 0; i++)	/* of several each gets some: what room there is they know */
		if ((*node = v[(actor + i) % k]) == n->number || map_get(&n->abroad->nodes, *node))
			e = 1;
	free(v);
	return e ? e : actor_waits(g, actor);
}

int
abroad_group_actor(struct node *n, const struct actor_life *a, struct lease_in *in, char why[NODE_MESSAGE])
{
	struct want w = { .bundle = a->bundle, .need = a->need };
	struct pgroup *g = pgroup_find(n, a->pgroup);

	if (g == NULL || g->state == GROUP_REMOVED) {
		why_not(g, why);
		return ERR_INFEASIBLE;
	}
	if (g->n && !feasible(n, g, &w, why))
		return ERR_INFEASIBLE;
	if ((in->group = hold_lease(n, g->number, a->bundle, &a->need, &in->bundle)) != 0)
		return 1;
	return actor_waits(g, a->number);
}

/* --- news ------------------------------------------------------------------------------------------------------------------ */

static void
tell(struct nproc *p, const struct pgroup *g)
{
	SEND(p, group_state, .id = g->id, .state = g->state, .code = g->code, .text = span_str(g->text));
}

static void
tell_askers(struct node *n, struct pgroup *g)
{
	for (unsigned i = 0; i < g->nasker; i++) {
		struct nproc *p = proc_find(n, g->asker[i]);

		if (p)
			tell(p, g);
	}
	g->nasker = 0;
}

static void
wake_actors(struct node *n, struct pgroup *g)
{
	struct buf v = g->actors;

	g->actors = (struct buf)BUF_INIT;
	for (size_t at = 0; at < v.len; at += 8) {
		actors_place(n, le_get64(v.data + at));
		abroad_actor_make(n, le_get64(v.data + at));
	}
	buf_release(&v);
}

static void
ended(struct node *n, struct pgroup *g, int code, struct span text)
{
	char why[NODE_MESSAGE];
	struct list *l;

	g->state = GROUP_REMOVED;
	g->code = code;
	snprintf(g->text, sizeof g->text, "%.*s", (int)text.n, (const char *)text.p);
	buf_release(&g->frame);
	tell_askers(n, g);
	why_not(g, why);
	while ((l = list_shift(&g->wants)) != NULL)
		want_never(n, list_entry(l, struct want, grouped), why);
	wake_actors(n, g);
}

static int
placed(struct node *n, struct pgroup *g, const struct msg_group_state *m)
{
	char why[BUNDLE_WHY];
	int e = 0;

	if (g->n == 0) {
		unsigned k = 0;

		if ((e = bundles_get(&n->lease, true, m->bundles, &g->bundle, &k, why)) < 0 ||
		    (g->node = calloc(k + 1, sizeof *g->node)) == NULL) {
			free(g->bundle);
			g->bundle = NULL;
			return e < 0 ? e : -ENOMEM;
		}
		g->n = k;
	}
	if (m->nodes.n != 4 * g->n)
		return ERR_PROTO;
	for (unsigned i = 0; i < g->n; i++)
		g->node[i] = le_get32(m->nodes.p + 4 * i);
	g->number = m->group;
	g->state = m->state == GROUP_CREATED || m->state == GROUP_RESCHEDULING ? (enum group_state)m->state : GROUP_PENDING;
	if (g->state == GROUP_PENDING)
		return 0;
	buf_release(&g->frame);			/* asked for by its id from now on */
	if (g->state == GROUP_CREATED)
		tell_askers(n, g);
	list_each(l, &g->wants)
		settle(n, g, list_entry(l, struct want, grouped));
	if (g->state == GROUP_CREATED)
		wake_actors(n, g);
	return 0;
}

static int
on_state(struct node *n, const struct frame *f)
{
	struct msg_group_state m;
	struct pgroup *g;
	int e = msg_get_group_state(&m, f->body, f->len);

	if (e < 0 || (g = pgroup_get(n, m.id)) == NULL)
		return e;
	if (m.state != GROUP_REMOVED)
		e = g->state == GROUP_REMOVED ? 0 : placed(n, g, &m);
	else {
		if (g->state != GROUP_REMOVED)
			ended(n, g, (int)m.code, m.text);
		g->deleted = false;
		if (g->code == ERR_CANCELLED || g->code == -EEXIST || g->job == 0)
			pgroup_free(n, g);	/* others are remembered: what is to run in them hears why */
	}
	abroad_turn(n);
	return e;
}

static int
on_found(struct node *n, const struct frame *f)
{
	struct msg_group m;
	struct nproc *p;
	struct ask *a;
	int e = msg_get_group(&m, f->body, f->len);

	if (e < 0 || (a = map_del(&n->asks, m.req)) == NULL)
		return e;
	if ((p = proc_find(n, a->proc)) != NULL)
		SEND(p, group, .req = a->req, .id = m.id, .bundles = m.bundles);
	ctl_ask_free(n, a);
	return 0;
}

static int
on_rows(struct node *n, const struct frame *f)
{
	struct msg_group_rows m;
	struct nproc *p;
	struct ask *a;
	int e = msg_get_group_rows(&m, f->body, f->len);

	if (e < 0 || (a = map_get(&n->asks, m.req)) == NULL)
		return e;
	if ((p = proc_find(n, a->proc)) != NULL)
		SEND(p, rows, .req = a->req, .last = m.last, .rows = m.rows);
	if (m.last) {
		map_del(&n->asks, m.req);
		ctl_ask_free(n, a);
	}
	return 0;
}

int
abroad_group_frame(struct node *n, const struct frame *f)
{
	if (n->abroad == NULL)
		return 0;
	switch (f->type) {
	case MSG_GROUP_STATE_T: return on_state(n, f);
	case MSG_GROUP_T: return on_found(n, f);
	case MSG_GROUP_ROWS_T: return on_rows(n, f);
	}
	return hold_frame(n, f);
}

/* --- what processes ask ------------------------------------------------------------------------------------------------ */

static int
ask(struct pgroup *g, uint32_t proc)
{
	uint32_t *v = reallocarray(g->asker, g->nasker + 1, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	g->asker = v;
	for (unsigned i = 0; i < g->nasker; i++)
		if (v[i] == proc)
			return 0;
	v[g->nasker++] = proc;
	return 0;
}

int
abroad_group_new(struct nproc *p, const struct msg_group_new *m)
{
	struct node *n = p->n;
	const struct nproc *driver = p->job->foreign ? map_get(&n->procs, p->job->driver) : NULL;
	struct msg_group_new to = *m;
	struct pgroup *g = pgroup_get(n, m->id);

	if (g) {				/* the daemon before this one had it asked */
		abroad_group_ask(p, m->id, false);
		return 0;
	}
	to.namespace = span_buf(&p->job->namespace);
	to.job = p->job->number;
	to.home = driver ? driver->home : n->number;
	if ((g = pgroup_new(n, m->id)) == NULL || ask(g, p->number) < 0 || msg_put_group_new(&g->frame, &to) < 0) {
		if (g)
			pgroup_free(n, g);
		return -ENOMEM;
	}
	g->job = p->job->number;
	g->until = m->timeout ? clock_ns() + m->timeout : 0;
	if (buf_add(&n->ctl, g->frame.data, g->frame.len) == 0)
		ctl_send(n);
	return 0;
}

void
abroad_group_ask(struct nproc *p, struct id id, bool del)
{
	struct node *n = p->n;
	struct pgroup *g = pgroup_get(n, id);

	if (del) {
		if ((g == NULL && (g = pgroup_new(n, id)) == NULL) || g->deleted)
			return;
		if (g->state != GROUP_REMOVED)
			ended(n, g, ERR_CANCELLED, span_str(removed));
		g->code = ERR_CANCELLED;
		g->deleted = true;
		CTL(n, group_del, .id = id);
		abroad_turn(n);
	} else if ((g = pgroup_find(n, id)) == NULL)
		SEND(p, group_state, .id = id, .state = GROUP_REMOVED, .code = -ENOMEM, .text = span_str("the node is out of memory"));
	else if (g->state == GROUP_CREATED || g->state == GROUP_REMOVED)
		tell(p, g);
	else
		ask(g, p->number);
}

void
abroad_group_find(struct nproc *p, const struct msg_group_find *m, struct span body)
{
	uint64_t req = ctl_ask(p->n, p, m->req, MSG_GROUP_FIND_T, body);

	if (req)
		CTL(p->n, group_find, .req = req, .namespace = m->namespace, .name = m->name);
	else
		proc_fail(p, m->req, -ENOMEM, "the node is out of memory");
}

void
abroad_group_list(struct nproc *p, uint64_t req)
{
	uint64_t r = ctl_ask(p->n, p, req, MSG_GROUP_LIST_T, span_of(NULL, 0));

	if (r)
		CTL(p->n, group_list, .req = r);
	else
		proc_fail(p, req, -ENOMEM, "the node is out of memory");
}

bool
abroad_group_again(struct nproc *p, const struct ask *a)
{
	struct msg_group_find m;

	if (a->type != MSG_GROUP_FIND_T || msg_get_group_find(&m, a->body.data, a->body.len) < 0)
		return false;
	if (m.namespace.n == 0)
		m.namespace = span_buf(p->job ? &p->job->namespace : &p->namespace);
	m.req = a->req;
	abroad_group_find(p, &m, span_buf(&a->body));
	return true;
}

void
abroad_group_job_over(struct node *n, uint32_t job)
{
	struct idmap_iter it = IDMAP_ITER;

	while (n->abroad && idmap_next(&n->abroad->pgroups, &it)) {
		struct pgroup *g = it.val;

		if (g->job == job && g->state == GROUP_REMOVED && !g->deleted)
			pgroup_free(n, g);
	}
}

/* --- the control store is there, again -------------------------------------------------------------------------------- */

static void
new_again(struct node *n, const struct pgroup *g)
{
	uint64_t now = clock_ns();
	struct msg_group_new m;
	struct frame f;

	if (frame_parse(&f, g->frame.data, g->frame.len, FRAME_MAX) <= 0 || msg_get_group_new(&m, f.body, f.len) < 0)
		return;
	m.timeout = g->until == 0 ? 0 : g->until > now ? g->until - now : 1;
	if (msg_put_group_new(&n->ctl, &m) == 0)
		ctl_send(n);
}

void
abroad_group_joined(struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;

	if (n->abroad == NULL)
		return;
	hold_tell(n);
	while (idmap_next(&n->abroad->pgroups, &it)) {
		const struct pgroup *g = it.val;

		if (g->deleted)
			CTL(n, group_del, .id = g->id);
		else if (g->frame.len)
			new_again(n, g);
		else if (g->state != GROUP_REMOVED)
			CTL(n, group_ask, .id = g->id);
	}
}

void
pgroup_stop(struct abroad *a)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&a->pgroups, &it)) {
		struct pgroup *g = it.val;

		while (list_shift(&g->wants) != NULL)
			;
		free(g->bundle);
		free(g->node);
		free(g->asker);
		buf_release(&g->frame);
		buf_release(&g->actors);
		free(g);
	}
	idmap_release(&a->pgroups);
}
