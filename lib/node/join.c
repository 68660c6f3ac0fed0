#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/inner.h"
#include "os/fd.h"
#include "os/proc.h"

enum { ENVIRON_MAX = 128 << 10 };	/* bytes of a driver's environment that its workers get; it goes with each fork */

static void
known(struct nproc *p)
{
	if (p->stranger) {
		list_del(&p->fork);
		p->n->nstrangers--;
	}
	p->stranger = false;
}

void
join_lost(struct nproc *p)
{
	known(p);
}

/* A place is denied before anything is made for it. */
void
join_full(struct listener *l, int fd)
{
	struct buf b = BUF_INIT;

	(void)l;
	if (msg_put_fail(&b, &(struct msg_fail){ .code = -EMFILE, .text = span_str("the node has no descriptors left") }) == 0)
		fd_send(fd, b.data, b.len, NULL, 0);	/* it fits, or the peer is none */
	buf_release(&b);
}

void
join_accept(struct listener *l, int fd, pid_t pid)
{
	struct node *n = l->owner;
	struct nproc *p = proc_new(n, ROLE_TOOL, fd);	/* HELLO says what it is */
	int pidfd;

	if (p == NULL) {
		close(fd);
		return;
	}
	p->pid = pid;
	p->stranger = true;
	list_add_tail(&n->strangers, &p->fork);
	if (++n->nstrangers > NODE_STRANGERS) {
		struct nproc *old = list_entry(n->strangers.next, struct nproc, fork);

		proc_fail(old, 0, -ETIMEDOUT, "too many programs join at one time, and this one is the slowest");
		proc_lost(old);
		proc_gone(old, ERR_CLOSED, "it did not join");
	}
	if (pid > 0 && (pidfd = proc_pidfd(pid)) >= 0) {
		ev_io_set(&p->pidfd, pidfd, EV_READ);
		ev_io_start(n->loop, &p->pidfd);
	}
}

/* Its directory and environment are its tasks' too.  What cannot be read stays empty: then they get ours. */
static void
read_surroundings(struct njob *j, pid_t pid)
{
	char path[64];
	ssize_t r;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
	j->cwd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	while (j->env.len < ENVIRON_MAX && buf_reserve(&j->env, 65536) == 0 &&
	    (r = read(fd, j->env.data + j->env.len, 65536)) > 0)
		j->env.len += (size_t)r;
	if (j->env.len && j->env.data[j->env.len - 1] != '\0')
		buf_release(&j->env);	/* too long, or cut */
	close(fd);
}

static int
set(struct buf *b, struct span s, size_t most)
{
	return s.n ? buf_add(b, s.p, s.n < most ? s.n : most) : 0;
}

static int
admit(struct nproc *p)
{
	struct node *n = p->n;

	known(p);
	if (n->clients - n->nstrangers <= n->clients_max)
		return 0;
	proc_fail(p, 0, ERR_FULL, "the node serves %u programs, and no more", n->clients_max);
	return ERR_FULL;
}

static int
on_hello(struct nproc *p, const struct frame *f, int *fds, unsigned nfd)
{
	struct msg_hello m;
	int e;

	if (f->type == MSG_REJOIN_T)
		return heir_rejoin(p, f, fds, nfd);
	if (f->type != MSG_HELLO_T || p->hello)
		return ERR_PROTO;
	if ((e = msg_get_hello(&m, f->body, f->len)) < 0)
		return e;
	if (m.proto_min > MSG_PROTO || m.proto_max < MSG_PROTO) {
		proc_fail(p, 0, ERR_PROTO, "this node speaks protocol %u, %.*s speaks %llu to %llu", MSG_PROTO,
		    (int)(m.name.n < 64 ? m.name.n : 64), (const char *)m.name.p, (unsigned long long)m.proto_min,
		    (unsigned long long)m.proto_max);
		return ERR_PROTO;
	}
	if (m.role == ROLE_DRIVER) {
		if (nfd) {
			p->err = fds[0];
			fds[0] = -1;
		}
		return join_driver(p, m.name, m.namespace, m.output);
	}
	if (m.role == ROLE_TOOL && set(&p->name, m.name, 200) == 0 && set(&p->namespace, m.namespace, 255) == 0) {
		if ((e = admit(p)) < 0)
			return e;
		if ((e = proc_equip(p)) < 0)
			proc_fail(p, 0, e, "the node has no room for another process: %s", err_str(e));
		return e;
	}
	return ERR_PROTO;
}

/* to a job that goes on */
static void
join_back(struct nproc *p, struct njob *j)
{
	p->job = j;
	j->out = logs_job(p->n, j->number, p->err, p->output);
	p->err = -1;
	proc_equip(p);				/* it has all that it needs */
	job_resume(p->n, j);
}

int
join_driver(struct nproc *p, struct span name, struct span namespace, uint64_t output)
{
	struct node *n = p->n;
	struct njob *j;
	uint64_t req;
	int e;

	if (set(&p->name, name, 200) < 0 || set(&p->namespace, namespace, 255) < 0)
		return ERR_PROTO;
	if ((e = admit(p)) < 0)
		return e;
	p->role = ROLE_DRIVER;
	n->drivers++;
	node_idle(n);
	p->kv = p->page != NULL;		/* it came back: who knows what it did */
	p->output = output <= OUTPUT_NONE ? (enum msg_output)output : OUTPUT_COLLAPSE;
	if (p->page && (j = job_driven(n, p->number)) != NULL) {
		join_back(p, j);
		return 0;
	}
	if ((p->hello = req = ctl_ask(n, p, 0, MSG_JOB_NEW_T, span_of(NULL, 0))) == 0)
		return -ENOMEM;
	CTL(n, job_new, .req = req, .name = span_buf(&p->name), .namespace = span_buf(&p->namespace));
	return 0;
}

void
join_job(struct nproc *p, uint32_t job)
{
	struct njob *j = job_new(p->n, job);
	int e;

	if (j == NULL)
		goto fail;
	p->job = j;
	j->driver = p->number;
	j->pid = p->pid;
	j->born = proc_start_time(p->pid);
	j->out = logs_job(p->n, job, p->err, p->output);
	p->err = -1;
	snprintf(j->name, sizeof j->name, "%.*s", (int)(p->name.len < 63 ? p->name.len : 63), p->name.len ? (char *)p->name.data : "");
	e = p->namespace.len ? buf_add(&j->namespace, p->namespace.data, p->namespace.len) :
	    buf_printf(&j->namespace, "%u", (unsigned)job);
	if (e < 0)
		goto fail;
	read_surroundings(j, p->pid);
	job_note(p->n, j);
	if ((e = proc_equip(p)) == 0)
		return;
	proc_fail(p, 0, e, "the node has no room for another process: %s", err_str(e));
fail:
	proc_lost(p);
	proc_gone(p, ERR_CLOSED, "it could not join");
}

/* The payload of a route goes on as it is; only who it is from replaces who it is for. */
static int
on_route(struct nproc *p, const struct frame *f)
{
	struct msg_route m;
	struct nproc *to, *holder;
	uint64_t dest;
	int e = msg_get_route(&m, f->body, f->len);

	if (e < 0)
		return e;
	dest = m.proc;
	if (m.node && m.node != p->n->number)
		to = m.node <= UINT32_MAX && dest <= UINT32_MAX ? abroad_proc(p->n, (uint32_t)m.node, (uint32_t)dest) : NULL;
	else
		to = proc_find(p->n, dest);
	if (to == NULL) {
		if (!kept_answer(p, &m))
			SEND(p, dead, .proc = m.node && m.node != p->n->number ? 0 : dest, .code = ERR_CRASHED,
			    .text = span_str("the process that owned it is gone"), .node = m.node, .was = dest);
		return 0;
	}
	proc_know(p, to);
	if (to->role == ROLE_FAR) {
		abroad_route(p, to, &m);
		return 0;
	}
	if (m.kind == ROUTE_HOLD && (holder = proc_find(p->n, m.arg)) != NULL)
		proc_know(to, holder);
	m.proc = p->number;
	SEND(to, route, .proc = m.proc, .kind = m.kind, .id = m.id, .arg = m.arg, .body = m.body);
	return 0;
}

/* detached actors that live, and their names; those of a set are its members, and it has the name */
static unsigned
outliving(const struct node *n, struct buf *names)
{
	struct map_iter it = MAP_ITER;
	unsigned count = 0;

	while (map_next(&n->actor.actors, &it)) {
		const struct actor_life *a = it.val;

		if (a->detached && !a->set && a->state != ACTOR_DEAD)
			buf_printf(names, "%s%.*s", count++ ? ", " : "", (int)a->name.len, (char *)a->name.data);
	}
	return count;
}

static int
on_stop(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct buf text = BUF_INIT, names = BUF_INIT;
	unsigned jobs = 0, actors;
	struct msg_stop m;
	int e = msg_get_stop(&m, f->body, f->len);

	if (e < 0)
		return e;
	list_each(l, &n->procs_list) {
		struct nproc *q = list_entry(l, struct nproc, link);

		if (q->role != ROLE_DRIVER || q->lost || q == p)
			continue;
		if (q->job)
			buf_printf(&text, "%s%u %s", jobs++ ? ", " : "", (unsigned)q->job->number, q->job->name);
		else
			buf_printf(&text, "%sone that just joins", jobs++ ? ", " : "");
	}
	actors = outliving(n, &names);
	if (actors && !jobs && !m.force)
		proc_fail(p, m.req, -EBUSY, "%u detached actor%s on %s (%.*s); --force ends %s", actors, actors == 1 ? " lives" : "s live",
		    n->name, (int)names.len, (char *)names.data, actors == 1 ? "it" : "them");
	else if (jobs && !m.force)
		proc_fail(p, m.req, -EBUSY, "%u job%s on %s (%.*s); --force ends %s", jobs, jobs == 1 ? " runs" : "s run", n->name,
		    (int)text.len, (char *)text.data, jobs == 1 ? "it" : "them");
	else {
		SEND(p, ok, .req = m.req);
		node_end(n, 0);
	}
	buf_release(&text);
	buf_release(&names);
	return 0;
}

int
join_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct nproc *p = c->owner;

	if (!p->welcomed)
		return on_hello(p, f, fds, nfd);
	switch (f->type) {
	case MSG_BYE_T:
		p->bye = true;
		return ERR_CLOSED;
	case MSG_LEASE_T: case MSG_RETURN_T: case MSG_BLOCKED_T: case MSG_KILL_T: case MSG_RETIRE_T: case MSG_CANCEL_T:
		return grant_frame(p, f);
	case MSG_EXTENT_T: case MSG_UNLEND_T: case MSG_FREE_T: case MSG_ABANDON_T: case MSG_COLLECTED_T:
		return memory_frame(p, f);
	case MSG_EVICTABLE_T: case MSG_RESTORE_T: case MSG_FORGET_T:
		return spill_frame(p, f);
	case MSG_KEEP_T: case MSG_LOOKUP_T: case MSG_REMOVE_T:
		return kept_frame(p, f);
	case MSG_ROUTE_T:
		return on_route(p, f);
	case MSG_OWNED_T:
		return heir_owned(p, f);
	case MSG_ACTOR_NEW_T: case MSG_ACTOR_UP_T: case MSG_ACTOR_OPEN_T: case MSG_ACTOR_HOLD_T: case MSG_ACTOR_DROP_T:
	case MSG_ACTOR_KILL_T: case MSG_ACTOR_FIND_T:
		return actors_frame(p, f);
	case MSG_KV_GET_T: case MSG_KV_TXN_T: case MSG_KV_WATCH_T: case MSG_KV_CANCEL_T:
		return kv_frame(p, f);
	case MSG_CHAN_NEW_T: case MSG_CHAN_OPEN_T: case MSG_CHAN_CLOSE_T:
		return chans_frame(p, f);
	case MSG_SET_NEW_T: case MSG_SET_FIND_T: case MSG_SET_WATCH_T: case MSG_SET_RESIZE_T: case MSG_SET_END_T:
	case MSG_SET_RENEW_T: case MSG_HEALTHY_T:
		return sets_frame(p, f);
	case MSG_GROUP_NEW_T: case MSG_GROUP_ASK_T: case MSG_GROUP_DEL_T: case MSG_GROUP_FIND_T:
		return groups_frame(p, f);
	case MSG_AWAKE_T:
		watch_awake(p->n);
		return 0;
	case MSG_LIST_T:
		return rows_frame(p, f);
	case MSG_FLUSH_T:
		return logs_frame(p, f);
	case MSG_SCALE_T:
		return elastic_frame(p, f);
	case MSG_DRAIN_T:
		return drain_frame(p, f);
	case MSG_STOP_T:
		return on_stop(p, f);
	}
	return 0;			/* of a newer peer: not understood, not answered */
}
