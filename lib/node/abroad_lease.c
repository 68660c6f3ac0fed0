/* abroad_lease.c - rings one end of which is at another node, and jobs that other nodes work for */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/abroad.h"

/* --- rings -------------------------------------------------------------------------------------------------------- */

int
abroad_ring(struct nring *r, int shm)
{
	struct node *n = r->sub->n;
	struct abroad *a = n->abroad;
	bool out = r->wrk->role == ROLE_FAR;	/* the worker is there */
	const struct nproc *here = out ? r->sub : r->wrk, *there = out ? r->wrk : r->sub;
	struct link_ring l = { .number = r->number, .node = there->home, .far = r->far, .shm = shm, .slab = here->slab, .bell = here->bell,
	    .proc = out ? r->sub->number : r->sub->home_proc, .here = here->number };
	int e;

	l.calls = r->actor != 0;
	if (out) {
		if ((e = link_work(a->link, &l)) == 0 && (e = idmap_put(&a->rings, (struct id){ there->home, 0, r->far }, r)) < 0)
			link_work_end(a->link, r->number);
		return e;
	}
	return link_submit(a->link, &l);
}

void
abroad_ring_end(struct nring *r)
{
	struct abroad *a = r->sub->n->abroad;

	if (r->wrk->role == ROLE_FAR) {
		link_work_end(a->link, r->number);
		idmap_del(&a->rings, (struct id){ r->wrk->home, 0, r->far });
	} else if (r->sub->role == ROLE_FAR)
		link_submit_end(a->link, r->number);
}

/* r's lease is over, by whoever said so first */
static int
on_close(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_close m;
	struct nring *r;
	int e = msg_get_far_close(&m, body.p, body.n);

	if (e < 0)
		return e;
	if (m.mine) {				/* its worker's node took it away */
		if ((r = idmap_get(&n->abroad->rings, (struct id){ node, 0, m.ring })) != NULL)
			ring_end(r, RING_CLOSED);
		abroad_turn(n);
		return 0;
	}
	if ((r = map_get(&n->rings, m.ring)) == NULL || r->sub->role != ROLE_FAR || r->sub->home != node)
		return 0;
	ring_return(r);
	return 0;
}

/* its worker's node wants it back */
static int
on_want(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_want m;
	struct nring *r;
	int e = msg_get_far_want(&m, body.p, body.n);

	if (e == 0 && (r = idmap_get(&n->abroad->rings, (struct id){ node, 0, m.ring })) != NULL)
		SEND(r->sub, want, .lease = r->number);
	return e;
}

/* --- workers here, for others ------------------------------------------------------------------------------------- */

static int
on_job(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_job m;
	struct nproc *driver;
	struct njob *j;
	char dir[4096];
	int e = msg_get_far_job(&m, body.p, body.n);

	if (e < 0)
		return e;
	if (m.job > UINT32_MAX || m.driver > UINT32_MAX || m.home > UINT32_MAX)
		return ERR_PROTO;
	j = map_get(&n->jobs, m.job);
	if (j && (!j->over || !j->foreign))
		return 0;			/* it is known, or ours */
	m.home = m.home ? m.home : node;
	if (!map_get(&n->abroad->nodes, m.home))
		return 0;			/* of ours, and over; or its node is, or not known yet: what is asked for it is refused */
	if ((driver = abroad_proc(n, (uint32_t)m.home, (uint32_t)m.driver)) == NULL || driver->job)
		return driver ? ERR_PROTO : -ENOMEM;
	if (m.home != node)
		SEND_NODE(n, (uint32_t)m.home, far_know, .proc = m.driver);
	if (j) {				/* its node began anew, and what it had here before still ends */
		j->over = false;
		j->refs++;
		j->driver = driver->number;
		driver->job = j;
		logs_job_end(n, j->out);
		j->out = m.output ? logs_job_far(n, j->number, (uint32_t)m.home) : NULL;
		return 0;
	}
	if ((j = job_new(n, (uint32_t)m.job)) == NULL)
		return -ENOMEM;
	j->foreign = true;
	j->out = m.output ? logs_job_far(n, j->number, (uint32_t)m.home) : NULL;
	j->driver = driver->number;
	driver->job = j;
	snprintf(j->name, sizeof j->name, "%.*s", (int)(m.name.n < 63 ? m.name.n : 63), (const char *)m.name.p);
	if (buf_add(&j->namespace, m.namespace.p, m.namespace.n) < 0 || (m.env.n && buf_add(&j->env, m.env.p, m.env.n) < 0))
		return -ENOMEM;
	if (m.dir.n && m.dir.n < sizeof dir) {
		memcpy(dir, m.dir.p, m.dir.n);
		dir[m.dir.n] = '\0';
		j->cwd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);	/* where there is no such directory: ours */
	}
	return 0;
}

static int
on_know(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_know m;
	struct nproc *p, *there;
	int e = msg_get_far_know(&m, body.p, body.n);

	if (e < 0)
		return e;
	if ((p = proc_find(n, m.proc)) == NULL || p->role == ROLE_FAR)
		SEND_NODE(n, node, far_gone, .proc = m.proc, .code = ERR_CRASHED, .text = span_str("its driver is gone"));
	else if ((there = abroad_proc(n, node, 0)) != NULL)	/* the node itself: there is no process 0 */
		proc_know(p, there);
	return 0;
}

static int
on_kill(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_kill m;
	struct nring *r;
	int e = msg_get_far_kill(&m, body.p, body.n);

	if (e < 0 || (r = map_get(&n->rings, m.ring)) == NULL || r->sub->role != ROLE_FAR || r->sub->home != node)
		return e;
	if (m.task == 0 || (atomic_load(&r->wrk->page->task) == m.task && atomic_load(&r->wrk->page->submitter) == r->sub->number))
		proc_kill(r->wrk);
	return 0;
}

/* --- workers there, for processes here ------------------------------------------------------------------------------- */

int
abroad_job(struct node *n, uint32_t node, struct njob *j)
{
	const struct nproc *d = j->foreign ? map_get(&n->procs, j->driver) : NULL;
	char link[64], dir[4096];
	ssize_t len = 0;
	uint32_t *v;

	if (d && d->home == node)
		return 0;			/* it is that node's */

	for (unsigned i = 0; i < j->ntold; i++)
		if (j->told[i] == node)
			return 0;
	if ((v = reallocarray(j->told, j->ntold + 1, sizeof *v)) == NULL)
		return -ENOMEM;
	j->told = v;
	v[j->ntold++] = node;
	if (j->cwd >= 0) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", j->cwd);
		len = readlink(link, dir, sizeof dir);
	}
	SEND_NODE(n, node, far_job, .job = j->number, .name = span_str(j->name), .namespace = span_buf(&j->namespace),
	    .driver = d ? d->home_proc : j->driver, .home = d ? d->home : 0, .dir = span_of(dir, len > 0 ? (size_t)len : 0), .env = span_buf(&j->env), .output = j->out != NULL);
	return 0;
}

void
abroad_lease_gone(struct node *n, uint32_t node)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->jobs, &it)) {
		struct njob *j = it.val;

		for (unsigned i = 0; i < j->ntold; i++)
			if (j->told[i] == node)
				j->told[i--] = j->told[--j->ntold];
	}
}

int
abroad_frame(struct node *n, uint32_t node, uint16_t type, struct span body)
{
	switch (type) {
	case MSG_FAR_JOB_T: return on_job(n, node, body);
	case MSG_FAR_KNOW_T: return on_know(n, node, body);
	case MSG_FAR_WANT_T: return on_want(n, node, body);
	case MSG_FAR_DRAIN_T: return drain_far(n, body);
	case MSG_FAR_ASK_T: return abroad_asked(n, node, body);
	case MSG_FAR_UNASK_T: return abroad_unasked(n, node, body);
	case MSG_FAR_ANSWER_T: return abroad_answer(n, node, body);
	case MSG_FAR_CLOSE_T: return on_close(n, node, body);
	case MSG_FAR_KILL_T: return on_kill(n, node, body);
	case MSG_FAR_GONE_T: return abroad_proc_gone(n, node, body);
	case MSG_FAR_OUTPUT_T: case MSG_FAR_SHOWN_T: case MSG_FAR_FLUSH_T: case MSG_FAR_FLUSHED_T:
		return logs_far_frame(n, node, type, body);
	case MSG_FAR_CANCEL_T: return abroad_cancelled(n, node, body);
	case MSG_FAR_TAKE_T: return abroad_take(n, node, body);
	case MSG_FAR_TOOK_T: return abroad_took(n, body);
	case MSG_FAR_ROUTE_T: return abroad_routed(n, node, body);
	case MSG_FAR_ACTOR_NEW_T: case MSG_FAR_ACTOR_T: case MSG_FAR_ACTOR_RING_T: case MSG_FAR_ACTOR_STATE_T:
	case MSG_FAR_ACTOR_NOTE_T: case MSG_FAR_ACTOR_NONE_T: case MSG_FAR_ACTOR_MAKE_T: case MSG_FAR_ACTOR_MADE_T: case MSG_FAR_FAIL_T:
		return abroad_actor_frame(n, node, type, body);
	}
	return 0;			/* of a newer peer */
}
