/* groups - placement groups: what their core (core/group.h) decided, and what processes ask. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/bundle.h"
#include "node/inner.h"

/* a gang's: made by the node itself, of its own resources */
static bool
own(const struct node *n, struct id id)
{
	return n->abroad == NULL || (id.proc == 0 && id.node == n->number);
}

bool
groups_abroad(const struct node *n, struct id id)
{
	return !id_none(id) && !own(n, id);
}

static uint64_t
groups_number(const struct node *n, struct id id, char *why, size_t nwhy)
{
	const struct group *g = group_find(&n->group, id);

	if (g && g->state != GROUP_REMOVED)
		return g->number;
	snprintf(why, nwhy, "%s%s", g ? "its placement group is not there: " : "its placement group was removed", g ? g->text : "");
	return 0;
}

bool
groups_gone(struct node *n, struct id id, char why[NODE_MESSAGE])
{
	if (groups_abroad(n, id))
		return abroad_group_gone(n, id, why);
	return groups_number(n, id, why, NODE_MESSAGE) == 0;
}

int
groups_lease(struct node *n, struct id id, unsigned bundle, struct lease_in *in, char why[NODE_MESSAGE])
{
	in->bundle = bundle;
	in->group = groups_number(n, id, why, NODE_MESSAGE);
	return in->group ? 1 : ERR_INFEASIBLE;
}

int
groups_place(struct node *n, const struct actor_life *a, struct lease_in *in, char why[NODE_MESSAGE])
{
	if (groups_abroad(n, a->pgroup))
		return abroad_group_actor(n, a, in, why);
	return groups_lease(n, a->pgroup, a->bundle, in, why);
}

bool
groups_of(const struct node *n, uint64_t number, struct id *id, unsigned *bundles)
{
	const struct group *g = map_get(&n->group.numbers, number);

	if (g == NULL)
		return hold_group(n, number, id, bundles);
	*id = g->id;
	*bundles = g->n;
	return true;
}

void
groups_reserved(struct node *n, uint64_t number, const char *never)
{
	if (map_get(&n->group.numbers, number) == NULL) {
		if (n->abroad)
			hold_reserved(n, number, never != NULL);
		return;
	}
	groups_step(n, &(struct group_in){ .kind = never ? GROUP_IN_REFUSED : GROUP_IN_RESERVED, .number = number, .node = n->number,
	    .text = never });
}

/* --- what the core decided ---------------------------------------------------------------------------------- */

/* all of the group's bundles are this node's, as long as it is the only one */
static void
fx_reserve(struct node *n, const struct group_fx *fx)
{
	const struct group *g = map_get(&n->group.numbers, fx->number);

	if (g)
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RESERVE, .group = g->number, .job = g->job, .bundles = g->bundle,
		    .nbundle = g->n });
}

static void
fx_state(struct node *n, const struct group_fx *fx)
{
	struct nproc *p = proc_find(n, fx->proc);

	if (fx->proc == 0)		/* the node itself */
		sets_grouped(n, fx);
	else if (p)
		SEND(p, group_state, .id = fx->id, .state = fx->state, .code = fx->code, .text = span_str(fx->text));
}

static int
step(struct node *n, const struct group_in *in, char text[200])
{
	struct group_out *o = &n->group_out;
	int e;

	if (n->stopping)
		return 0;
	e = group_step(&n->group, clock_ns(), in, o, text);
	if (n->group_at != o->at) {
		n->group_at = o->at;
		node_timer(n);
	}
	if (e == 0 && in->kind == GROUP_IN_NEW && in->id.proc && in->text == NULL)	/* not a gang's, which makes another one */
		group_note(n, in);
	if (n->grouping)
		return e;			/* the loop below will come to it */
	n->grouping = true;
	for (size_t i = 0; i < o->n; i++) {
		struct group_fx fx = o->fx[i];	/* o->fx may move */

		switch (fx.kind) {
		case GROUP_FX_RESERVE: fx_reserve(n, &fx); break;
		case GROUP_FX_RELEASE:
			grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RELEASE, .group = fx.number });
			break;
		case GROUP_FX_STATE: fx_state(n, &fx); break;
		case GROUP_FX_OVER: group_unnote(n, fx.id); break;
		}
	}
	o->n = 0;
	n->grouping = false;
	return e;
}

int
groups_make(struct node *n, const struct group_in *in, char text[200])
{
	return step(n, in, text);
}

void
groups_step(struct node *n, const struct group_in *in)
{
	char text[200];

	step(n, in, text);
}

void
groups_start(struct node *n)
{
	groups_step(n, &(struct group_in){ .kind = GROUP_IN_NODE, .node = n->number, .total = n->lease.total });
}

/* --- messages ----------------------------------------------------------------------------------------------- */

static void
refuse(struct nproc *p, struct id id, int code, const char *text)
{
	SEND(p, group_state, .id = id, .state = GROUP_REMOVED, .code = code, .text = span_str(text));
}

static int
on_new(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct res *b = NULL;
	struct msg_group_new m;
	struct group_in in = { .kind = GROUP_IN_NEW, .proc = p->number };
	char text[200] = "", why[BUNDLE_WHY] = "";
	int e;

	if ((e = msg_get_group_new(&m, f->body, f->len)) < 0)
		return e;
	if (m.id.node != n->number || m.id.proc != p->number || m.strategy >= GROUP_STRATEGIES)
		return ERR_PROTO;
	if (p->job == NULL) {
		refuse(p, m.id, -EPERM, "a tool makes no placement groups");
		return 0;
	}
	if (n->abroad)
		return abroad_group_new(p, &m);
	if (group_find(&n->group, m.id)) {	/* the daemon before this one made it, and had no time to say so */
		groups_step(n, &(struct group_in){ .kind = GROUP_IN_ASK, .id = m.id, .proc = p->number });
		return 0;
	}
	if ((e = bundles_get(&n->lease, false, m.bundles, &b, &in.nbundle, why)) == ERR_NOTFOUND)
		snprintf(why + strlen(why), sizeof why - strlen(why), "; this node has 0");
	in.id = m.id;
	in.job = p->job->number;
	in.strategy = (enum group_strategy)m.strategy;
	in.bundles = b;
	in.name = m.name;
	in.namespace = span_buf(&p->job->namespace);
	in.detached = m.detached != 0;
	in.until = m.timeout ? clock_ns() + m.timeout : 0;
	in.text = e == ERR_NOTFOUND ? why : NULL;	/* its tasks are to hear of it too */
	if (e == -ENOMEM || e == -E2BIG)
		refuse(p, m.id, e, e == -E2BIG ? "a group has at most 1024 bundles" : "the node is out of memory");
	else if (e != ERR_PROTO && (e = step(n, &in, text)) < 0)
		refuse(p, m.id, e, text[0] ? text : err_str(e));
	free(b);
	return e == ERR_PROTO ? e : 0;
}

static int
on_find(struct nproc *p, const struct frame *f)
{
	struct msg_group_find m;
	const struct group *g;
	int e = msg_get_group_find(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.namespace.n == 0)
		m.namespace = span_buf(p->job ? &p->job->namespace : &p->namespace);
	if (p->n->abroad) {
		abroad_group_find(p, &m, span_of(f->body, f->len));
		return 0;
	}
	if ((g = group_named(&p->n->group, m.namespace, m.name)) != NULL)
		SEND(p, group, .req = m.req, .id = g->id, .bundles = g->n);
	else
		proc_fail(p, m.req, ERR_NOTFOUND, "no group '%.*s' in namespace '%.*s'", (int)(m.name.n < 255 ? m.name.n : 255),
		    (const char *)m.name.p, (int)(m.namespace.n < 255 ? m.namespace.n : 255), (const char *)m.namespace.p);
	return 0;
}

int
groups_frame(struct nproc *p, const struct frame *f)
{
	struct msg_group_ask m;			/* GROUP_DEL has the same field */
	int e;

	if (f->type == MSG_GROUP_NEW_T)
		return on_new(p, f);
	if (f->type == MSG_GROUP_FIND_T)
		return on_find(p, f);
	if ((e = msg_get_group_ask(&m, f->body, f->len)) < 0)
		return e;
	if (p->n->abroad) {
		abroad_group_ask(p, m.id, f->type == MSG_GROUP_DEL_T);
		return 0;
	}
	groups_step(p->n, &(struct group_in){ .kind = f->type == MSG_GROUP_ASK_T ? GROUP_IN_ASK : GROUP_IN_REMOVE, .id = m.id,
	    .proc = p->number });
	return 0;
}
