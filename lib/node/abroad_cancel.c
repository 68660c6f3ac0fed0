/*
 * abroad_cancel.c - cancelling what runs elsewhere: a task through the ring that it went through, a scope at every node
 * that has processes of its job.
 *
 * An order about a scope is passed on by each node that has not seen it before, to those that it shares the job with: its
 * tasks may have submitted more, which it need not know of.
 */
#include <signal.h>
#include "node/abroad.h"

static bool
seen(struct abroad *a, struct id round)
{
	for (unsigned i = 0; i < ABROAD_ROUNDS; i++)
		if (id_eq(a->round[i], round))
			return true;
	a->round[a->nround++ % ABROAD_ROUNDS] = round;
	return false;
}

/* nodes with processes of j that this one knows of: keys of the map */
static void
nodes_of(struct node *n, const struct njob *j, struct map *nodes)
{
	struct idmap_iter it = IDMAP_ITER;

	for (unsigned i = 0; i < j->ntold; i++)
		map_put(nodes, j->told[i], n);
	while (idmap_next(&n->abroad->alias, &it)) {
		const struct nproc *p = it.val;

		if (p->job == j)
			map_put(nodes, p->home, n);
	}
}

static void
pass_on(struct node *n, const struct njob *j, uint32_t from, uint64_t scope, struct id round)
{
	struct map nodes = MAP_INIT;
	struct map_iter it = MAP_ITER;

	nodes_of(n, j, &nodes);
	while (map_next(&nodes, &it))
		if (it.key != from)
			SEND_NODE(n, (uint32_t)it.key, far_cancel, .job = j->number, .scope = scope, .round = round);
	map_release(&nodes);
}

void
abroad_cancel(struct nring *r, const struct msg_cancel *m)
{
	SEND_NODE(r->sub->n, r->wrk->home, far_cancel, .ring = r->far, .slot = m->slot, .task = m->task, .spare = m->spare,
	    .late = m->late);
}

void
abroad_cancel_scope(struct nproc *p, uint64_t scope)
{
	struct node *n = p->n;
	struct id round = { n->number, p->number, 0 };

	if (n->abroad == NULL)
		return;
	round.seq = n->self.incarnation + ++n->abroad->rounds;
	seen(n->abroad, round);
	pass_on(n, p->job, 0, scope, round);
}

int
abroad_cancelled(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_cancel m;
	struct nring *r;
	struct njob *j;
	int e = msg_get_far_cancel(&m, body.p, body.n);

	if (e < 0)
		return e;
	/* the link has marked the task */
	if (m.ring && m.slot && (r = map_get(&n->rings, m.ring)) != NULL && r->sub->role == ROLE_FAR && r->sub->home == node && r->wrk->role == ROLE_WORKER)
		proc_signal(r->wrk, SIGURG);
	if (m.scope && (j = map_get(&n->jobs, m.job)) != NULL && !seen(n->abroad, m.round)) {
		job_tell_scope(n, j, NULL, m.scope);
		pass_on(n, j, node, m.scope, m.round);
	}
	return 0;
}
