#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/bundle.h"
#include "node/inner.h"
#include "wire/mp.h"

/* --- rings --------------------------------------------------------------------------------------------------- */

static int
copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* the custom ones of need, as LEASE has them; nothing if there are none */
static int
res_custom(const struct node *n, const struct res *need, struct buf *b)
{
	uint32_t k = 0;
	int e = 0;

	for (unsigned i = RES_CUSTOM; i < RES_MAX; i++)
		k += need->v[i] > 0;
	if (k)
		e = mp_put_map(b, k);
	for (unsigned i = RES_CUSTOM; k && e == 0 && i < RES_MAX; i++)
		if (need->v[i] > 0 && (e = mp_put_str(b, n->lease.name[i], strlen(n->lease.name[i]))) == 0)
			e = mp_put_int(b, need->v[i]);
	return e;
}

/* Connects sub and wrk: both get the ring and the other's slab, at once. */
struct nring *
ring_new(struct node *n, struct nproc *sub, struct nproc *wrk, uint64_t number, uint64_t actor, uint64_t far,
    const struct msg_grant *g, const struct res *need)
{
	struct nring *r = calloc(1, sizeof *r), *done = NULL;
	int fd[4] = { -1, -1, -1, -1 };
	struct buf custom = BUF_INIT;
	size_t at;

	if (r == NULL || (fd[0] = ring_create("rota-ring")) < 0 || ring_map(fd[0], &r->shm) < 0 ||
	    (fd[1] = copy(wrk->slab)) < 0 || (fd[2] = copy(fd[0])) < 0 || (fd[3] = copy(sub->slab)) < 0 ||
	    res_custom(n, need, &custom) < 0 || map_put(&n->rings, number, r) < 0)
		goto fail;
	r->number = number;
	r->actor = actor;
	r->far = far;
	r->group = (uint32_t)g->group;
	r->shape = g->shape;
	r->sub = sub;
	r->wrk = wrk;
	if ((sub->role == ROLE_FAR || wrk->role == ROLE_FAR) && abroad_ring(r, fd[0]) < 0) {
		map_del(&n->rings, number);
		goto fail;
	}
	list_add_tail(&sub->subrings, &r->bysub);
	list_add_tail(&wrk->wrkrings, &r->bywrk);
	proc_know(sub, wrk);
	if (sub->conn) {
		at = conn_out(sub->conn)->len;
		conn_done(sub->conn, at, msg_put_grant(conn_out(sub->conn), g), fd, 2, 3);
		fd[0] = fd[1] = -1;
	}
	if (wrk->conn) {
		at = conn_out(wrk->conn)->len;
		conn_done(wrk->conn, at, msg_put_ring(conn_out(wrk->conn), &(struct msg_ring){ .lease = number, .proc = sub->number,
		    .bell = sub->bell, .job = sub->job ? sub->job->number : 0, .cpus = (uint64_t)need->v[RES_CPU], .actor = actor,
		    .memory = (uint64_t)need->v[RES_MEM], .gpus = (uint64_t)need->v[RES_GPU], .devices = wrk->devices, .group = g->group,
		    .resources = span_buf(&custom), .pgroup = wrk->pgroup, .bundles = wrk->bundles,
		    .capture = wrk->capture, .node = sub->home, .was = sub->home_proc }), fd + 2, 2, 3);
		fd[2] = fd[3] = -1;
	}
	done = r;
fail:
	buf_release(&custom);
	for (int i = 0; i < 4; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	if (!done && r && r->shm)
		ring_unmap(r->shm);
	if (!done)
		free(r);
	return done;
}

static void
ring_bells(struct nring *r)
{
	struct nodepage *np = r->sub->n->np;

	bell_ring(np, &np->bell[r->sub->bell]);
	bell_ring(np, &np->bell[r->wrk->bell]);
}

void
ring_end(struct nring *r, uint32_t dead)
{
	struct node *n = r->sub->n;
	struct bell *wrk = &n->np->bell[r->wrk->bell];

	if (r->sub->role == ROLE_FAR || r->wrk->role == ROLE_FAR)
		abroad_ring_end(r);		/* first: what was published there counts */
	atomic_fetch_or(&r->shm->dead, dead);
	if (atomic_load(&wrk->counted))
		atomic_fetch_sub(&wrk->load, atomic_exchange(&r->shm->charged, 0));
	bell_rescue(n->np, &n->np->bell[r->sub->bell]);	/* who died may have been about to wake the other */
	bell_rescue(n->np, wrk);
	abroad_over(r);
	map_del(&n->rings, r->number);
	list_del(&r->bysub);
	list_del(&r->bywrk);
	ring_unmap(r->shm);
	free(r);
}

/* --- what the leases decided ---------------------------------------------------------------------------------- */

static void
fx_grant(struct node *n, const struct lease_fx *fx)
{
	struct nproc *sub = fx->actor ? NULL : proc_find(n, fx->proc), *wrk;
	const struct actor_life *a = fx->actor ? actor_get(&n->actor, fx->actor) : NULL;
	struct njob *j = map_get(&n->jobs, fx->job);
	struct msg_grant g;
	bool made = false;

	if (!lease_live(&n->lease, fx->lease))
		return;			/* its process died between the decision and here */
	wrk = fx->worker ? proc_find(n, fx->worker) : j && (sub || a) ? worker_new(n, j, a && a->detached, fx) : NULL;
	if (wrk == NULL) {
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_NOFORK, .lease = fx->lease });
		if (a)
			actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_NOFORK, .actor = fx->actor });
		return;
	}
	if (!fx->worker)
		lease_bind(&n->lease, fx->lease, wrk->number);
	wrk->capture = fx->group && groups_of(n, fx->group, &wrk->pgroup, &wrk->bundles) && fx->capture;
	if (fx->group == 0)
		wrk->pgroup = (struct id){ 0 };
	if (a) {
		wrk->actor = fx->actor;
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_PLACED, .actor = fx->actor, .worker = wrk->number });
		return;
	}
	g = (struct msg_grant){ .req = fx->req, .lease = fx->lease, .shape = fx->shape, .proc = wrk->number, .bell = wrk->bell };
	if (sub && sub->role == ROLE_FAR)
		made = abroad_granted(sub, wrk, fx, &g);
	else if (sub) {
		made = ring_new(n, sub, wrk, fx->lease, 0, 0, &g, &fx->need) != NULL;
		abroad_here(sub, fx->shape, made);
	}
	if (!made)
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = fx->proc, .lease = fx->lease });
}

static void
fx_call(struct node *n, const struct lease_fx *fx)
{
	struct nring *r = map_get(&n->rings, fx->lease);
	uint32_t state;

	if (r == NULL)
		return;
	if (fx->level < 3) {
		atomic_store(&r->shm->want, fx->level);
		if (fx->level == 1 && r->sub->role == ROLE_FAR)
			SEND_NODE(n, r->sub->home, far_want, .ring = fx->lease);
		else if (fx->level == 1)
			SEND(r->sub, want, .lease = fx->lease);
		ring_bells(r);
		return;
	}
	/* its worker claims no more since level 2: once idle it stays so */
	state = atomic_load(&r->wrk->page->state);
	if (state == PAGE_IDLE || state == PAGE_SLEEP || state == PAGE_START) {
		struct nproc *sub = r->sub;

		if (sub->role == ROLE_FAR)
			SEND_NODE(n, sub->home, far_close, .ring = fx->lease, .mine = 1);
		SEND(r->wrk, unring, .lease = fx->lease);
		ring_end(r, RING_CLOSED);
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = sub->number, .lease = fx->lease });
	}
}

static void
fx_fail(struct node *n, const struct lease_fx *fx)
{
	struct nproc *p;

	if (fx->group)
		groups_reserved(n, fx->group, fx->text);
	else if (fx->actor)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_NOPLACE, .actor = fx->actor, .text = fx->text });
	else if ((p = proc_find(n, fx->proc)) != NULL && p->role == ROLE_FAR)
		abroad_never(p, fx->shape);
	else if (p)
		proc_fail(p, fx->req, ERR_INFEASIBLE, "%s", fx->text);
}

static void __attribute__((format(printf, 2, 3)))
grant_notice(struct nproc *p, const char *fmt, ...)
{
	char text[NODE_MESSAGE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	SEND(p, notice, .text = span_str(text));
}

static void
fx_notice(struct node *n, const struct lease_fx *fx)
{
	const struct actor_life *a = fx->actor ? actor_get(&n->actor, fx->actor) : NULL;
	struct nproc *p = proc_find(n, a ? a->creator : fx->proc);

	if (p && a)
		grant_notice(p, "actor %.*s is %s", (int)a->class.len, a->class.len ? (char *)a->class.data : "", fx->text);
	else if (p)
		grant_notice(p, "%s", fx->text);
}

void
grant_run(struct node *n)
{
	struct lease_out *o = &n->lease_out;
	struct nproc *p;

	if (n->granting)
		return;			/* the loop below will come to it */
	n->granting = true;
	for (size_t i = 0; i < o->n; i++) {
		struct lease_fx fx = o->fx[i];	/* o->fx may move */

		switch (fx.kind) {
		case LEASE_FX_GRANT: fx_grant(n, &fx); break;
		case LEASE_FX_FAIL: fx_fail(n, &fx); break;
		case LEASE_FX_CALL: fx_call(n, &fx); break;
		case LEASE_FX_NOTICE: fx_notice(n, &fx); break;
		case LEASE_FX_RESERVED:
			groups_reserved(n, fx.group, NULL);
			break;
		case LEASE_FX_END:
			if ((p = map_get(&n->procs, fx.worker)) == NULL)
				break;
			p->quiet = true;
			if (fx.level == 1 && p->conn) {	/* it ends by itself, once nobody holds what it owns */
				p->stopping = true;
				SEND(p, actor_stop, .actor = 0);
			} else {
				p->evicted = fx.level == 2;
				proc_kill(p);
			}
			break;
		}
	}
	o->n = 0;
	n->granting = false;
	abroad_turn(n);
}

void
grant_step(struct node *n, const struct lease_in *in)
{
	if (n->stopping)
		return;
	lease_step(&n->lease, clock_ns(), in, &n->lease_out);
	if (n->lease_at != n->lease_out.at) {
		n->lease_at = n->lease_out.at;
		node_timer(n);
	}
	grant_run(n);
}

/* --- messages -------------------------------------------------------------------------------------------------- */

int
res_of(struct node *n, struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span *custom)
{
	return res_known(n, r, cpus, gpus, memory, custom, false);
}

int
res_known(struct node *n, struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span *custom, bool make)
{
	*r = (struct res){ { 0 } };
	if (cpus > INT32_MAX || gpus > INT32_MAX || memory > INT64_MAX / 1024)
		return ERR_PROTO;
	r->v[RES_CPU] = (int64_t)cpus;
	r->v[RES_GPU] = (int64_t)gpus;
	r->v[RES_MEM] = (int64_t)memory;
	return bundle_custom(&n->lease, r, custom, make);
}

static int
on_lease(struct nproc *p, const struct frame *f)
{
	struct lease_in in = { .kind = LEASE_IN_ASK, .proc = p->number };
	char why[NODE_MESSAGE];
	struct msg_lease m;
	int e = msg_get_lease(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (p->job == NULL) {
		proc_fail(p, m.req, -EPERM, "a tool runs no tasks");
		return 0;
	}
	if (abroad_asks(p, &m))
		return abroad_ask(p, &m);
	if ((e = res_of(p->n, &in.need, m.cpus, m.gpus, m.memory, &m.resources)) == ERR_NOTFOUND) {
		if (m.wait)
			grant_notice(p, "waiting for %g %.*s: this node has 0", (double)in.need.v[RES_CPU] / 1000,
			    (int)(m.resources.n < 64 ? m.resources.n : 64), (const char *)m.resources.p);
		else
			proc_fail(p, m.req, ERR_INFEASIBLE, "needs %g %.*s; this node has 0",
			    (double)in.need.v[RES_CPU] / 1000, (int)(m.resources.n < 64 ? m.resources.n : 64), (const char *)m.resources.p);
		return 0;
	}
	if (e < 0)
		return e;
	if (m.want && id_none(m.pgroup) && (e = nodes_labelled(p->n, m.on, why)) <= 0) {
		if (m.wait && e == 0)
			grant_notice(p, "waiting for a node: %s", why);
		else
			proc_fail(p, m.req, ERR_INFEASIBLE, "%s", why);
		return 0;
	}
	if (m.want && !id_none(m.pgroup) && groups_lease(p->n, m.pgroup, m.bundle < UINT32_MAX ? (unsigned)m.bundle : UINT32_MAX, &in,
	    why) < 0) {
		proc_fail(p, m.req, ERR_INFEASIBLE, "%s", why);
		return 0;
	}
	in.capture = m.capture != 0;
	in.job = p->job->number;
	in.shape = m.shape;
	in.req = m.req;
	in.want = m.want;
	in.priority = m.priority;
	in.wait = m.wait != 0;
	in.threads = m.threads < UINT16_MAX ? (unsigned)m.threads : UINT16_MAX;
	grant_step(p->n, &in);
	return 0;
}

void
ring_return(struct nring *r)
{
	struct nproc *sub = r->sub, *wrk = r->wrk;
	struct node *n = sub->n;
	uint64_t number = r->number, far = r->far;

	SEND(wrk, unring, .lease = number);
	if (r->actor)
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_CLOSE, .actor = r->actor, .group = r->group, .proc = sub->number });
	ring_end(r, RING_CLOSED);
	if (wrk->role == ROLE_FAR)
		SEND_NODE(n, wrk->home, far_close, .ring = far);
	else
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = sub->number, .lease = number });
	abroad_turn(n);
}

static int
on_return(struct nproc *p, const struct frame *f)
{
	struct msg_return m;
	struct nring *r;
	int e = msg_get_return(&m, f->body, f->len);

	if (e == 0 && (r = map_get(&p->n->rings, m.lease)) != NULL && r->sub == p)
		ring_return(r);
	return e;
}

static int
on_blocked(struct nproc *p, const struct frame *f)
{
	struct msg_blocked m;
	int e = msg_get_blocked(&m, f->body, f->len);

	if (e < 0)
		return e;
	p->blocked = m.on != 0;
	grant_idled(p);
	return 0;
}

/* while its task waits or it is stopped, what it has not begun is for others, and so are its CPUs */
void
grant_idled(struct nproc *p)
{
	bool idled = p->blocked || p->stopped;

	list_each(l, &p->wrkrings) {
		struct nring *r = list_entry(l, struct nring, bywrk);

		if (r->actor)
			continue;	/* an actor's calls can go nowhere else */
		atomic_store(&r->shm->blocked, idled);
		bell_ring(p->n->np, &p->n->np->bell[r->sub->bell]);
	}
	grant_step(p->n, &(struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = p->number, .on = idled });
}

static int
on_kill(struct nproc *p, const struct frame *f)
{
	struct msg_kill m;
	struct nring *r;
	int e = msg_get_kill(&m, f->body, f->len);

	if (e < 0 || (r = map_get(&p->n->rings, m.lease)) == NULL || r->sub != p)
		return e;
	if (r->wrk->role == ROLE_FAR)
		SEND_NODE(p->n, r->wrk->home, far_kill, .ring = r->far, .task = m.task);
	else if (m.task == 0 || (atomic_load(&r->wrk->page->task) == m.task && atomic_load(&r->wrk->page->submitter) == p->number))
		proc_kill(r->wrk);
	return 0;
}

static int
on_retire(struct nproc *p, const struct frame *f)
{
	struct msg_retire m;
	int e = msg_get_retire(&m, f->body, f->len);

	if (e == 0 && p->role == ROLE_WORKER)
		grant_step(p->n, &(struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = p->number });
	return e;
}

void
job_tell_scope(struct node *n, const struct njob *j, const struct nproc *but, uint64_t scope)
{
	list_each(l, &n->procs_list) {
		struct nproc *q = list_entry(l, struct nproc, link);

		if (q != but && q->job == j && q->conn && q->welcomed)
			SEND(q, cancel, .scope = scope);
	}
}

/* The marks lie in the sender's records: its worker is only told to look.  A scope's members may be anybody's. */
static int
on_cancel(struct nproc *p, const struct frame *f)
{
	struct msg_cancel m;
	struct nring *r;
	int e = msg_get_cancel(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.lease && (r = map_get(&p->n->rings, m.lease)) != NULL && r->sub == p) {
		if (r->wrk->role == ROLE_FAR)
			abroad_cancel(r, &m);
		else if (m.slot)
			proc_signal(r->wrk, SIGURG);
	}
	if (m.scope && p->job) {
		job_tell_scope(p->n, p->job, p, m.scope);
		abroad_cancel_scope(p, m.scope);
	}
	return 0;
}

int
grant_frame(struct nproc *p, const struct frame *f)
{
	switch (f->type) {
	case MSG_LEASE_T: return on_lease(p, f);
	case MSG_RETURN_T: return on_return(p, f);
	case MSG_BLOCKED_T: return on_blocked(p, f);
	case MSG_KILL_T: return on_kill(p, f);
	case MSG_RETIRE_T: return on_retire(p, f);
	case MSG_CANCEL_T: return on_cancel(p, f);
	}
	return 0;
}
