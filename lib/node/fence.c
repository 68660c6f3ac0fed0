/*
 * fence - a node of another machine works only as long as the control store is known to have heard of it lately
 * (core/alive.h): then nobody else does its work yet.  The time stands in the node page, where workers and the process that
 * forks them see it, so that it ends them too while we are stopped.
 */
#include <errno.h>
#include <stdio.h>
#include "node/far.h"

static void
show(struct node *n)
{
	if (n->np && !n->self.fenced)
		atomic_store(&n->np->valid_until, alive_until(&n->self.alive));
}

static void
arm(struct node *n)
{
	uint64_t until = alive_until(&n->self.alive), next = alive_next(&n->self.alive);

	if (n->self.alive.limit == 0)
		return;
	until = n->np ? until : 0;
	n->fence_at = n->gcs && (next < until || until == 0) ? next : until;
	node_timer(n);
}

static void
tell_programs(struct node *n, const char *why)
{
	char text[NODE_MESSAGE + 64];

	snprintf(text, sizeof text, "the node was given up by its cluster: %s", why);
	list_each(l, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->role != ROLE_WORKER)
			SEND(p, fail, .req = 0, .code = ERR_NO_CLUSTER, .text = span_str(text));
	}
}

void
fence_out(struct node *n, const char *why)
{
	if (n->self.fenced)
		return;
	n->self.fenced = true;
	if (n->np)
		atomic_store(&n->np->valid_until, 0);
	node_log(n, 0, "%s: this node's work ends, and it joins again as a new one", why);
	tell_programs(n, why);
	node_end(n, -ESTALE);
}

/* Whoever has no node page yet has no work: it is not late, but waits for the answer to another heartbeat. */
static bool
late(struct node *n)
{
	char why[NODE_MESSAGE + 64];

	if (n->np == NULL || clock_ns() < alive_until(&n->self.alive))
		return false;
	snprintf(why, sizeof why, "%s was not heard for %.1f s", n->o.join ? n->o.join : "the control store",
	    (double)(clock_ns() - n->self.alive.good) / 1e9);
	fence_out(n, why);
	return true;
}

static void
beat(struct node *n)
{
	uint64_t number = alive_beat(&n->self.alive, clock_ns());

	SEND_CONN(n->gcs, heartbeat, .number = number, .limit = n->self.alive.limit);
}

void
fence_join(struct node *n)
{
	if (n->o.join)
		beat(n);
	n->self.join_beat = n->self.alive.last;
}

bool
fence_joined(struct node *n, uint64_t limit)
{
	alive_came(&n->self.alive, n->self.join_beat);	/* NODE_JOIN did, and left no later */
	n->self.alive.limit = limit;
	if (n->np == NULL && clock_ns() >= alive_until(&n->self.alive)) {
		beat(n);		/* it was long on its way: perhaps we are given up already */
		return false;
	}
	fence_page(n);
	return true;
}

void
fence_page(struct node *n)
{
	if (n->self.alive.limit == 0 || late(n))
		return;
	show(n);
	arm(n);
	zygote_watch(n);
}

int
fence_frame(struct node *n, const struct frame *f)
{
	struct msg_heartbeat m;
	int e = msg_get_heartbeat(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (n->number && late(n))		/* too late: somebody may have seen that in the node page */
		return 0;
	alive_came(&n->self.alive, m.number);
	n->joined |= n->number && n->np == NULL && clock_ns() < alive_until(&n->self.alive);
	show(n);
	arm(n);
	return 0;
}

void
fence_nobody(struct node *n, uint64_t since)
{
	if (n->number == 0 || n->self.alive.limit == 0 || late(n))
		return;
	alive_nobody(&n->self.alive, since);
	show(n);
	arm(n);
}

void
fence_tick(struct node *n)
{
	n->fence_at = 0;
	if (late(n))
		return;
	if (n->gcs && clock_ns() >= alive_next(&n->self.alive))
		beat(n);
	arm(n);
}
