/* abroad_lease.c - leases on workers of other nodes, for processes here, and on workers here for those of others */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/abroad.h"

/* --- rings -------------------------------------------------------------------------------------------------------- */

int
abroad_ring(struct nring *r, int shm, const struct msg_grant *g)
{
	struct node *n = r->sub->n;
	struct abroad *a = n->abroad;
	bool out = r->wrk->role == ROLE_FAR;	/* the worker is there */
	const struct nproc *here = out ? r->sub : r->wrk, *there = out ? r->wrk : r->sub;
	struct link_ring l = { .number = r->number, .node = there->home, .far = r->far, .shm = shm, .slab = here->slab, .bell = here->bell,
	    .proc = out ? r->sub->number : r->sub->home_proc };
	int e;

	if (out) {
		if ((e = link_work(a->link, &l)) == 0 && (e = idmap_put(&a->rings, (struct id){ there->home, 0, r->far }, r)) < 0)
			link_work_end(a->link, r->number);
		return e;
	}
	if ((e = link_submit(a->link, &l)) == 0)
		SEND_NODE(n, there->home, far_grant, .proc = there->home_proc, .shape = g->shape, .ring = r->number, .worker = r->wrk->number);
	return e;
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
		return 0;
	}
	if ((r = map_get(&n->rings, m.ring)) == NULL || r->sub->role != ROLE_FAR || r->sub->home != node)
		return 0;
	ring_return(r);
	return 0;
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
	if (m.job > UINT32_MAX || m.driver > UINT32_MAX || map_get(&n->jobs, m.job))
		return 0;			/* it is known: from another node, or it is ours */
	if ((driver = abroad_proc(n, node, (uint32_t)m.driver)) == NULL || (j = job_new(n, (uint32_t)m.job)) == NULL)
		return -ENOMEM;
	j->foreign = true;
	j->driver = driver->number;
	driver->job = j;
	j->refs++;
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
on_lease(struct node *n, uint32_t node, struct span body)
{
	struct lease_in in = { .kind = LEASE_IN_ASK, .wait = true };
	struct msg_far_lease m;
	struct nproc *p;
	struct njob *j;
	char text[160];
	int e = msg_get_far_lease(&m, body.p, body.n);

	if (e < 0 || m.proc > UINT32_MAX)
		return ERR_PROTO;
	if ((p = abroad_proc(n, node, (uint32_t)m.proc)) == NULL)
		return -ENOMEM;
	if ((j = map_get(&n->jobs, m.job)) == NULL)
		return 0;			/* it has ended meanwhile */
	if (p->job == NULL) {
		p->job = j;
		j->refs++;
	}
	if ((e = res_of(n, &in.need, m.cpus, m.gpus, m.memory, &m.resources)) < 0 || !lease_feasible(&n->lease, &in.need, text, sizeof text)) {
		if (e == ERR_NOTFOUND)
			snprintf(text, sizeof text, "this node has no %.*s", (int)(m.resources.n < 64 ? m.resources.n : 64), (const char *)m.resources.p);
		if (e == 0 || e == ERR_NOTFOUND)
			SEND_NODE(n, node, far_refuse, .proc = m.proc, .shape = m.shape, .text = span_str(text));
		return e == ERR_NOTFOUND ? 0 : e;
	}
	in.proc = p->number;
	in.job = j->number;
	in.shape = m.shape;
	in.want = m.want;
	in.priority = m.priority;
	in.threads = m.threads < UINT16_MAX ? (unsigned)m.threads : UINT16_MAX;
	grant_step(n, &in);
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

/* a node that will have leases of the job is told what it is */
static int
tell_job(struct node *n, uint32_t node, struct njob *j)
{
	char link[64], dir[4096];
	ssize_t len = 0;
	uint32_t *v;

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
	SEND_NODE(n, node, far_job, .job = j->number, .name = span_str(j->name), .namespace = span_buf(&j->namespace), .driver = j->driver,
	    .dir = span_of(dir, len > 0 ? (size_t)len : 0), .env = span_buf(&j->env));
	return 0;
}

static int64_t
fits(const struct res *total, const struct res *need)
{
	int64_t n = INT32_MAX;

	for (unsigned i = 0; i < RES_MAX; i++)
		if (need->v[i] > 0 && total->v[i] / need->v[i] < n)
			n = total->v[i] / need->v[i];
	return n;
}

bool
abroad_feasible(const struct node *n, const struct res *need)
{
	struct map_iter it = MAP_ITER;

	while (n->abroad && map_next(&n->abroad->nodes, &it))
		if (fits(&((const struct there *)it.val)->total, need) > 0)
			return true;
	return false;
}

void
abroad_want(struct nproc *p, const struct msg_lease *m)
{
	struct node *n = p->n;
	struct map_iter it = MAP_ITER;
	struct span custom = m->resources;
	struct res need;
	int64_t left;

	if (n->abroad == NULL || p->job == NULL || p->job->foreign || !id_none(m->pgroup) ||
	    res_of(n, &need, m->cpus, m->gpus, m->memory, &custom) < 0)
		return;
	left = (int64_t)m->want - fits(&n->lease.total, &need);
	while (map_next(&n->abroad->nodes, &it)) {
		const struct there *t = it.val;
		int64_t k = fits(&t->total, &need);

		k = left <= 0 ? 0 : k < left ? k : left;
		left -= k;
		if (k > 0 && tell_job(n, t->node, p->job) < 0)
			return;
		if (k > 0 || m->want == 0)
			SEND_NODE(n, t->node, far_lease, .proc = p->number, .job = p->job->number, .shape = m->shape, .cpus = m->cpus,
			    .gpus = m->gpus, .memory = m->memory, .resources = m->resources, .priority = m->priority, .want = (uint64_t)k,
			    .threads = m->threads);
	}
}

static int
on_grant(struct node *n, uint32_t node, struct span body)
{
	static const struct res none;
	struct msg_far_grant m;
	struct nproc *sub, *wrk;
	struct msg_grant g;
	int e = msg_get_far_grant(&m, body.p, body.n);

	if (e < 0 || m.worker > UINT32_MAX)
		return ERR_PROTO;
	if ((sub = proc_find(n, m.proc)) == NULL || sub->role == ROLE_FAR || (wrk = abroad_proc(n, node, (uint32_t)m.worker)) == NULL)
		goto back;
	g = (struct msg_grant){ .lease = n->abroad->next_ring++, .shape = m.shape, .proc = wrk->number, .bell = wrk->bell };
	if (ring_new(n, sub, wrk, g.lease, 0, m.ring, &g, &none) != NULL)
		return 0;
back:
	SEND_NODE(n, node, far_close, .ring = m.ring);
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
	case MSG_FAR_LEASE_T: return on_lease(n, node, body);
	case MSG_FAR_GRANT_T: return on_grant(n, node, body);
	case MSG_FAR_CLOSE_T: return on_close(n, node, body);
	case MSG_FAR_KILL_T: return on_kill(n, node, body);
	case MSG_FAR_GONE_T: return abroad_proc_gone(n, node, body);
	case MSG_FAR_ROUTE_T: return abroad_routed(n, node, body);
	}
	return 0;			/* of a newer peer */
}
