/*
 * drain.c - a node that takes nothing new: work of others is refused, what waits of its own programs goes elsewhere if any
 * other node can run it, leases are called back and idle workers end.  An autoscaler may ask for that (elastic.c), and so may
 * people (DRAIN): then the node ends once nothing is left of what ran.
 */
#include "node/abroad.h"

static void
idle_workers_end(struct node *n)
{
	uint64_t lease;
	uint32_t submitter;

	list_each_safe(l, q, &n->procs_list) {
		struct nproc *w = list_entry(l, struct nproc, link);

		if (w->role == ROLE_WORKER && !lease_of(&n->lease, w->number, &lease, &submitter))
			grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = w->number });
	}
}

void
drain_set(struct node *n, enum drain_why why, bool on)
{
	struct elastic *x = &n->self.elastic;
	unsigned had = x->draining;

	x->draining = on ? had | why : had & ~(unsigned)why;
	if (!had == !x->draining)
		return;
	x->changes++;
	if (x->draining)
		x->idle = n->lease.limit.idle;
	n->lease.limit.idle = x->draining ? 0 : x->idle;
	if (n->abroad) {
		guest_in(n, &(struct guest_in){ .kind = GUEST_IN_DRAIN, .on = x->draining != 0 });
		abroad_look(n);
		abroad_late(n, &(struct late){ .kind = LATE_TABLE });
		abroad_turn(n);
	}
	if (x->draining == 0)
		return;
	grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RECALL });
	idle_workers_end(n);
}

/* Is nothing here that somebody may still want?  What others own leaves (abroad_leave); what was put to be kept stays. */
static bool
empty(const struct node *n)
{
	return n->drivers == 0 && n->workers == 0 && n->lease.nactor == 0 && n->kept.n == 0 && abroad_primaries(n) == 0;
}

void
drain_turn(struct node *n)
{
	if (n->self.elastic.draining & DRAIN_ASKED && !n->stopping && empty(n)) {
		node_log(n, 0, "the node was drained, and nothing runs here any more");
		node_end(n, 0);
	}
}

int
drain_frame(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct msg_drain m;
	int e = msg_get_drain(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.node == 0 || m.node == n->number)
		drain_set(n, DRAIN_ASKED, m.on != 0);
	else if (n->abroad && m.node <= UINT32_MAX && map_get(&n->abroad->nodes, m.node))
		SEND_NODE(n, (uint32_t)m.node, far_drain, .on = m.on);
	else {
		proc_fail(p, m.req, ERR_NOTFOUND, "there is no node %llu", (unsigned long long)m.node);
		return 0;
	}
	SEND(p, ok, .req = m.req);
	return 0;
}

int
drain_far(struct node *n, struct span body)
{
	struct msg_far_drain m;
	int e = msg_get_far_drain(&m, body.p, body.n);

	if (e == 0)
		drain_set(n, DRAIN_ASKED, m.on != 0);
	return e;
}
