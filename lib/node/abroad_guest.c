/* abroad_guest.c - what processes of other nodes ask of this one (core/guest.h): each has an alias here, which asks for it */
#include <errno.h>
#include "core/node_row.h"
#include "node/abroad_group.h"

void
guest_in(struct node *n, const struct guest_in *in)
{
	if (guest_step(&n->abroad->guests, clock_ns(), in, &n->abroad->guest_out) < 0)
		node_log(n, -ENOMEM, "leases of another node are not granted");
}

static void
answer(struct node *n, const struct guest_fx *fx, const struct nring *r)
{
	const struct nproc *p = proc_find(n, fx->proc);
	struct buf load = BUF_INIT;

	if (p == NULL)
		return;				/* nobody there waits for it */
	nodes_load(n, &load);
	SEND_NODE(n, fx->node, far_answer, .ask = fx->ask, .proc = p->home_proc, .shape = fx->shape, .granted = fx->granted,
	    .refused = fx->refused, .dropped = fx->dropped, .ring = r ? r->number : 0, .worker = r ? r->wrk->number : 0,
	    .load = span_buf(&load));
	buf_release(&load);
}

/* --- what is asked ---------------------------------------------------------------------------------------------------- */

/* The alias that asks, and what for; NULL: nobody, or not here: the text is for a log. */
static struct nproc *
asker(struct node *n, uint32_t node, const struct msg_far_ask *m)
{
	struct njob *j = map_get(&n->jobs, m->job);
	struct nproc *p = j && !j->over ? abroad_proc(n, node, (uint32_t)m->proc) : NULL;
	struct span custom = m->resources;
	uint64_t group = 0;
	unsigned bundle = 0;
	struct want *w;
	struct res need;
	char text[160];

	if (p == NULL || res_of(n, &need, m->cpus, m->gpus, m->memory, &custom) < 0)
		return NULL;
	if (m->group && (m->bundle > GROUP_BUNDLES_MAX || (group = hold_lease(n, m->group, (unsigned)m->bundle, &need, &bundle)) == 0))
		return NULL;
	if ((group == 0 && !lease_feasible(&n->lease, &need, text, sizeof text)) || (w = want_make(n->abroad, p->number, m->shape)) == NULL)
		return NULL;
	if (p->job == NULL) {
		p->job = j;
		j->refs++;
	}
	w->need = need;
	w->group = group;
	w->bundle = bundle;
	w->capture = m->capture != 0;
	w->priority = m->priority;
	w->threads = m->threads < UINT16_MAX ? (unsigned)m->threads : UINT16_MAX;
	return p;
}

int
abroad_asked(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_ask m;
	struct nproc *p;
	int e = msg_get_far_ask(&m, body.p, body.n);

	if (e < 0 || m.proc > UINT32_MAX)
		return ERR_PROTO;
	if ((p = asker(n, node, &m)) == NULL) {	/* its job has ended meanwhile, or it knew more of us than is so */
		SEND_NODE(n, node, far_answer, .ask = m.ask, .proc = m.proc, .shape = m.shape, .refused = m.n);
		return 0;
	}
	abroad_turn(n);
	guest_in(n, &(struct guest_in){ .kind = GUEST_IN_ASK, .proc = p->number, .node = node, .ask = m.ask, .shape = m.shape, .n = m.n,
	    .patient = m.patient != 0 });
	abroad_turn(n);
	return 0;
}

int
abroad_unasked(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_unask m;
	const struct nproc *p;
	int e = msg_get_far_unask(&m, body.p, body.n);

	if (e < 0 || m.proc > UINT32_MAX)
		return ERR_PROTO;
	if ((p = idmap_get(&n->abroad->alias, (struct id){ node, (uint32_t)m.proc, 0 })) == NULL)
		return 0;
	abroad_turn(n);
	guest_in(n, &(struct guest_in){ .kind = GUEST_IN_UNASK, .proc = p->number, .ask = m.ask, .n = m.n });
	abroad_turn(n);
	return 0;
}

/* --- what the lease core says -------------------------------------------------------------------------------------------- */

bool
abroad_granted(struct nproc *sub, struct nproc *wrk, const struct lease_fx *fx, const struct msg_grant *g)
{
	struct node *n = sub->n;
	struct guest_out *o = &n->abroad->guest_out;
	size_t at = o->n;
	struct guest_fx said = { .node = 0 };
	struct nring *r;

	guest_in(n, &(struct guest_in){ .kind = GUEST_IN_GRANTED, .proc = sub->number, .shape = fx->shape });
	for (size_t i = at; i < o->n; i++) {
		struct guest_fx *f = &o->fx[i];

		if (f->kind == GUEST_FX_ANSWER && f->granted) {
			said = *f;
			f->granted = 0;
		}
	}
	if (said.granted == 0)
		return false;			/* nobody waits for it any more */
	if ((r = ring_new(n, sub, wrk, fx->lease, 0, 0, g, &fx->need)) == NULL) {
		said.granted = 0;
		said.refused = 1;
		abroad_late(n, &(struct late){ .kind = LATE_OVER, .proc = sub->number, .shape = fx->shape });
	}
	answer(n, &said, r);
	return r != NULL;
}

void
abroad_never(struct nproc *p, uint64_t shape)
{
	guest_in(p->n, &(struct guest_in){ .kind = GUEST_IN_NEVER, .proc = p->number, .shape = shape });
}

void
guest_run(struct node *n)
{
	struct guest_out *o = &n->abroad->guest_out;

	for (size_t i = 0; i < o->n; i++) {
		struct guest_fx fx = o->fx[i];	/* o->fx may move */
		struct nproc *p = proc_find(n, fx.proc);
		const struct want *w = p && fx.kind == GUEST_FX_LOCAL ? want_get(n->abroad, fx.proc, fx.shape) : NULL;

		if (fx.kind == GUEST_FX_ANSWER && fx.granted + fx.refused + fx.dropped > 0)
			answer(n, &fx, NULL);
		if (w)
			grant_step(n, &(struct lease_in){ .kind = LEASE_IN_ASK, .proc = p->number, .job = p->job->number, .shape = fx.shape,
			    .need = w->need, .priority = w->priority, .want = guest_local(&n->abroad->guests, fx.proc, fx.shape), .wait = true,
			    .threads = w->threads, .group = w->group, .bundle = w->bundle, .capture = w->capture });
	}
	o->n = 0;
}
