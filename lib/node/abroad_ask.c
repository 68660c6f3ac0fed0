/* abroad_ask.c - what processes of this node want is shared out between this node and others (core/overflow.h) */
#include <errno.h>
#include <stdio.h>
#include "node/abroad_group.h"

void
ask_step(struct node *n, const struct overflow_in *in)
{
	abroad_look(n);
	if (overflow_step(&n->abroad->over, clock_ns(), in, &n->abroad->over_out) < 0)
		node_log(n, -ENOMEM, "leases are not asked for");
}

/* --- processes of ours -------------------------------------------------------------------------------------------------- */

bool
abroad_asks(const struct nproc *p, const struct msg_lease *m)
{
	return p->n->abroad && (id_none(m->pgroup) || groups_abroad(p->n, m->pgroup));
}

int
abroad_ask(struct nproc *p, const struct msg_lease *m)
{
	struct overflow_in in = { .kind = OVERFLOW_IN_WANT, .proc = p->number, .shape = m->shape, .want = m->want, .wait = m->wait != 0 };
	struct where_demand d = { .strategy = m->strategy == 1 ? WHERE_SPREAD : WHERE_HYBRID };
	struct span custom = m->resources;
	struct node *n = p->n;
	struct labels_any on = { 0 };
	char text[LABELS_WHY] = "";
	struct want *w;
	int e;

	if ((e = res_known(n, &d.need, m->cpus, m->gpus, m->memory, &custom, m->wait != 0)) == ERR_NOTFOUND) {
		proc_fail(p, m->req, ERR_INFEASIBLE, m->wait ? "needs %g %.*s; there are too many kinds of resources to wait for one more" :
		    "needs %g %.*s; no node has any", (double)d.need.v[RES_CPU] / 1000, (int)(custom.n < 64 ? custom.n : 64), (const char *)custom.p);
		return 0;
	}
	if (e < 0)
		return e;
	if ((w = want_make(n->abroad, p->number, m->shape)) == NULL)
		return -ENOMEM;
	pgroup_want(w, m);
	w->custom.len = 0;
	if (buf_add(&w->custom, m->resources.p, m->resources.n) < 0)
		return -ENOMEM;
	w->req = m->req;
	w->need = d.need;
	w->priority = m->priority;
	w->threads = m->threads < UINT16_MAX ? (unsigned)m->threads : UINT16_MAX;
	if (!id_none(w->pgroup)) {
		pgroup_settle(n, w);
		return 0;
	}
	if (labels_any_parse(&on, m->on, text) < 0) {
		proc_fail(p, m->req, ERR_INFEASIBLE, "%s", text);
		return 0;
	}
	d.labels = on.v;
	d.nlabels = on.n;
	in.demand = &d;
	in.wait |= elastic_could(n, &d.need);
	in.here = (on.n == 0 || label_expr_first(on.v, on.n, &n->self.own) < on.n) && lease_feasible(&n->lease, &d.need, text, sizeof text);
	abroad_turn(n);
	ask_step(n, &in);
	labels_any_release(&on);
	abroad_turn(n);
	return 0;
}

void
abroad_here(struct nproc *p, uint64_t shape, bool made)
{
	if (p->n->abroad == NULL)
		return;
	ask_step(p->n, &(struct overflow_in){ .kind = OVERFLOW_IN_HERE, .proc = p->number, .shape = shape });
	if (!made)
		abroad_late(p->n, &(struct late){ .kind = LATE_OVER, .proc = p->number, .shape = shape });
}

/* --- what is asked of others ---------------------------------------------------------------------------------------------- */

static void
fx_ask(struct node *n, struct nproc *p, const struct want *w, const struct overflow_fx *fx)
{
	if (abroad_job(n, fx->node, p->job) < 0)
		return;				/* no memory: it is taken for lost with its node */
	SEND_NODE(n, fx->node, far_ask, .ask = fx->ask, .proc = p->number, .job = p->job->number, .shape = fx->shape, .n = fx->n,
	    .patient = fx->patient, .cpus = (uint64_t)w->need.v[RES_CPU], .gpus = (uint64_t)w->need.v[RES_GPU],
	    .memory = (uint64_t)w->need.v[RES_MEM], .resources = span_buf(&w->custom), .priority = w->priority, .threads = w->threads,
	    .group = pgroup_number(n, w), .bundle = w->bundle, .capture = w->capture);
}

static void
fx_local(struct node *n, const struct nproc *p, const struct want *w, uint64_t shape)
{
	unsigned bundle = 0;
	uint64_t group = id_none(w->pgroup) ? 0 : hold_lease(n, pgroup_number(n, w), w->bundle, &w->need, &bundle);
	uint64_t want = id_none(w->pgroup) || group ? overflow_local(&n->abroad->over, p->number, shape) : 0;

	grant_step(n, &(struct lease_in){ .kind = LEASE_IN_ASK, .proc = p->number, .job = p->job->number, .shape = shape, .need = w->need,
	    .priority = w->priority, .want = want, .req = w->req, .wait = true, .threads = w->threads, .group = group, .bundle = bundle,
	    .capture = w->capture });
}

void
ask_run(struct node *n)
{
	struct overflow_out *o = &n->abroad->over_out;

	for (size_t i = 0; i < o->n; i++) {
		struct overflow_fx fx = o->fx[i];	/* o->fx may move */
		struct nproc *p = proc_find(n, fx.proc);
		const struct want *w = p ? want_get(n->abroad, fx.proc, fx.shape) : NULL;

		switch (fx.kind) {
		case OVERFLOW_FX_UNASK:
			SEND_NODE(n, fx.node, far_unask, .ask = fx.ask, .proc = fx.proc, .n = fx.n);
			break;
		case OVERFLOW_FX_ASK:
			if (w)
				fx_ask(n, p, w, &fx);
			break;
		case OVERFLOW_FX_LOCAL:
			if (w)
				fx_local(n, p, w, fx.shape);
			break;
		case OVERFLOW_FX_NEVER:
			if (w)
				proc_fail(p, w->req, ERR_INFEASIBLE, "%s", fx.text);
			break;
		case OVERFLOW_FX_NOTICE:
			if (p)
				SEND(p, notice, .text = span_str(fx.text));
			break;
		case OVERFLOW_FX_RETURN:
			break;			/* abroad_answer has seen to it */
		}
	}
	o->n = 0;
}

/* a worker there for a process here; false: there can be no ring */
static bool
connect_there(struct node *n, uint32_t node, const struct msg_far_answer *m)
{
	static const struct res none;
	struct nproc *sub = proc_find(n, m->proc), *wrk;
	struct msg_grant g;

	if (sub == NULL || sub->role == ROLE_FAR || (wrk = abroad_proc(n, node, (uint32_t)m->worker)) == NULL)
		return false;
	g = (struct msg_grant){ .lease = n->abroad->next_ring++, .shape = m->shape, .proc = wrk->number, .bell = wrk->bell,
	    .node = wrk->home };
	return ring_new(n, sub, wrk, g.lease, 0, m->ring, &g, &none) != NULL;
}

int
abroad_answer(struct node *n, uint32_t node, struct span body)
{
	struct overflow_out *o = &n->abroad->over_out;
	struct msg_far_answer m;
	bool back = false;
	size_t at;
	int e = msg_get_far_answer(&m, body.p, body.n);

	if (e < 0 || m.worker > UINT32_MAX || m.proc > UINT32_MAX || m.granted > 1)
		return ERR_PROTO;
	where_row_load(&n->abroad->where, node, m.load, &n->lease);
	abroad_turn(n);
	at = o->n;
	ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_ANSWER, .node = node, .ask = m.ask, .granted = m.granted,
	    .refused = m.refused, .dropped = m.dropped });
	for (size_t i = at; i < o->n; i++)
		back |= o->fx[i].kind == OVERFLOW_FX_RETURN && o->fx[i].ask == m.ask;
	if (m.granted && !back && !connect_there(n, node, &m)) {
		back = true;
		abroad_late(n, &(struct late){ .kind = LATE_OVER, .proc = (uint32_t)m.proc, .shape = m.shape, .node = node });
	}
	if (m.granted && back)
		SEND_NODE(n, node, far_close, .ring = m.ring);
	abroad_turn(n);
	return 0;
}
