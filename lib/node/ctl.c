#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/far.h"
#include "node/inner.h"
#include "os/proc.h"
#include "os/sock.h"

/* --- answers ------------------------------------------------------------------------------------------------------- */

uint64_t
ctl_ask(struct node *n, const struct nproc *p, uint64_t req, uint16_t type, struct span body)
{
	struct ask *a = NULL;

	if (n->asks_bytes + n->ctl_queue.len < NODE_ASKS)
		a = calloc(1, sizeof *a);
	if (a == NULL)
		return 0;
	*a = (struct ask){ .proc = p ? p->number : 0, .req = req, .type = type, .job = p ? p->job : NULL };
	if ((body.n && buf_add(&a->body, body.p, body.n) < 0) || map_put(&n->asks, ++n->next_ask, a) < 0) {
		buf_release(&a->body);
		free(a);
		return 0;
	}
	if (a->job)
		a->job->refs++;
	n->asks_bytes += sizeof *a + body.n;
	return n->next_ask;
}

void
ctl_ask_free(struct node *n, struct ask *a)
{
	n->asks_bytes -= sizeof *a + a->body.len;
	if (a->job)
		job_unref(n, a->job);
	buf_release(&a->body);
	free(a);
}

void
ctl_forget(struct node *n, uint64_t ask)
{
	struct ask *a = map_del(&n->asks, ask);

	if (a)
		ctl_ask_free(n, a);
}

static void
on_job(struct node *n, const struct ask *a, uint64_t number)
{
	struct nproc *p = map_get(&n->procs, a->proc);

	if (p && !p->lost && number <= UINT32_MAX)
		join_job(p, (uint32_t)number);
	else
		CTL(n, job_end, .job = number);
}

static int
on_fail(struct node *n, const struct frame *f)
{
	struct msg_fail m;
	struct nproc *p;
	struct ask *a;
	int e = msg_get_fail(&m, f->body, f->len);

	if (e == 0 && m.req == 0 && m.code == -ESTALE) {
		char why[NODE_MESSAGE];

		snprintf(why, sizeof why, "%.*s", (int)m.text.n, (const char *)m.text.p);
		fence_out(n, why);
		return 0;
	}
	if (e == 0 && m.req == 0) {	/* it ends, and says why */
		snprintf(n->gcs_why, sizeof n->gcs_why, "%.*s", (int)m.text.n, (const char *)m.text.p);
		node_log(n, 0, "%s", n->gcs_why);
		return 0;
	}
	if (e < 0 || (a = map_del(&n->asks, m.req)) == NULL)
		return e;
	if (a->type == MSG_ACTOR_WHERE_T) {
		char text[240];

		snprintf(text, sizeof text, "%.*s", (int)(m.text.n < sizeof text ? m.text.n : sizeof text - 1), (const char *)m.text.p);
		abroad_actor_at(n, a->req, 0, text);
	} else if ((p = map_get(&n->procs, a->proc)) != NULL && !p->lost)
		proc_fail(p, a->req, (int)m.code, "%.*s", (int)m.text.n, (const char *)m.text.p);
	if (a->set)			/* refused: the member is as one that died */
		sets_step(n, &(struct set_in){ .kind = SET_IN_MADE, .set = a->set, .rank = a->rank });
	ctl_ask_free(n, a);
	return 0;
}

static int
on_kv(struct node *n, const struct frame *f)
{
	struct msg_kv_cancel m;		/* all of them begin with the request's number */
	struct ask *a;
	int e = msg_get_kv_cancel(&m, f->body, f->len);

	if (e < 0 || (a = map_del(&n->asks, m.req)) == NULL)
		return e;
	e = kv_answer(n, a, f);
	ctl_ask_free(n, a);
	return e;
}

/* a frame of the control store */
static int
ctl_frame(struct node *n, const struct frame *f)
{
	struct msg_node_joined joined;
	char why[NODE_MESSAGE];
	struct msg_actor actor;
	struct msg_job job;
	struct ask *a;
	int e;

	switch (f->type) {
	case MSG_NODE_JOINED_T:
		if ((e = msg_get_node_joined(&joined, f->body, f->len)) < 0)
			return e;
		if (n->head && joined.head && joined.head != n->head) {
			snprintf(why, sizeof why, "this is control store %08x, and this node has joined %08x", (unsigned)(joined.head >> 32),
			    (unsigned)(n->head >> 32));
			fence_out(n, why);
			return 0;
		}
		if (joined.epoch < n->epoch) {
			snprintf(why, sizeof why, "the control store is an older one, started %llu times and not %llu: what it had promised is lost",
			    (unsigned long long)joined.epoch, (unsigned long long)n->epoch);
			fence_out(n, why);
			return 0;
		}
		if (joined.node == 0 || joined.node > UINT32_MAX || (n->number && n->number != joined.node))
			return ERR_PROTO;
		if (n->number && n->far)
			far_joined(n);
		if (n->far)
			far_good(n);
		n->epoch = joined.epoch;
		n->head = joined.head;
		n->number = (uint32_t)joined.node;
		nodes_joined(n);
		n->joined = fence_joined(n, joined.limit);
		abroad_actors_joined(n);
		return 0;
	case MSG_NODES_T:
		return nodes_frame(n, f);
	case MSG_HEARTBEAT_T:
		return fence_frame(n, f);
	case MSG_JOB_T:
		if ((e = msg_get_job(&job, f->body, f->len)) < 0)
			return e;
		if ((a = map_del(&n->asks, job.req)) != NULL) {
			on_job(n, a, job.job);
			ctl_ask_free(n, a);
		}
		return 0;
	case MSG_ACTOR_T:
		if ((e = msg_get_actor(&actor, f->body, f->len)) < 0)
			return e;
		if ((a = map_del(&n->asks, actor.req)) != NULL) {
			if (a->type == MSG_ACTOR_WHERE_T)
				abroad_actor_at(n, actor.actor, (uint32_t)actor.node, "");
			else if (a->type == MSG_ACTOR_NEW_T && !actor.found)
				actors_made(n, a, &actor);
			else
				actors_found(n, a, &actor);
			ctl_ask_free(n, a);
		}
		return 0;
	case MSG_KV_ROWS_T: case MSG_KV_DONE_T: case MSG_KV_EVENTS_T:
		return on_kv(n, f);
	case MSG_GROUP_STATE_T: case MSG_GROUP_T: case MSG_GROUP_ROWS_T: case MSG_GROUP_PREPARE_T: case MSG_GROUP_COMMIT_T:
	case MSG_GROUP_RELEASE_T:
		return abroad_group_frame(n, f);
	case MSG_PAST_ROWS_T:
		return rows_past(n, f);
	case MSG_FAIL_T:
		return on_fail(n, f);
	}
	return 0;
}

/* --- the store inside -------------------------------------------------------------------------------------------------- */

static void
write_down(struct node *n, const struct control_fx *fx, const unsigned char *bytes)
{
	if (fx->kind == CONTROL_FX_PUT)
		estate_put(n, ESTATE_CONTROL, bytes + fx->key, fx->nkey, span_of(bytes + fx->val, fx->nval));
	else
		estate_del(n, ESTATE_CONTROL, bytes + fx->key, fx->nkey);
}

static void
read_back(void *node, struct span key, struct span val)
{
	struct node *n = node;

	if (control_load(n->control, key.p, key.n, val.p, val.n) == 0)
		estate_put(n, ESTATE_CONTROL, key.p, key.n, val);
}

static void
run_inside(struct node *n)
{
	struct control_out *o = &n->control_out;

	while (o->n) {
		struct control_out now = *o;	/* what it does may step the core again */
		struct frame f;

		*o = (struct control_out){ .at = now.at };
		for (size_t i = 0; i < now.n; i++)
			if (now.fx[i].kind == CONTROL_FX_PUT || now.fx[i].kind == CONTROL_FX_DEL)
				write_down(n, &now.fx[i], now.bytes.data);
		for (size_t i = 0; i < now.n; i++)
			if (now.fx[i].kind == CONTROL_FX_SEND && frame_parse(&f, now.bytes.data + now.fx[i].val,
			    now.fx[i].nval, FRAME_MAX) > 0)
				ctl_frame(n, &f);
		buf_release(&now.bytes);
		free(now.fx);
	}
}

void
ctl_send(struct node *n)
{
	struct buf b = n->ctl;
	struct frame f;

	n->ctl = (struct buf)BUF_INIT;
	if (n->control) {
		if (frame_parse(&f, b.data, b.len, FRAME_MAX) > 0)
			control_step(n->control, clock_ns(), 1, &f, &n->control_out);
		run_inside(n);
	} else if (n->gcs && n->joined) {
		size_t at = conn_out(n->gcs)->len;

		conn_done(n->gcs, at, buf_add(conn_out(n->gcs), b.data, b.len), NULL, 0, 0);
	} else
		buf_add(&n->ctl_queue, b.data, b.len);
	buf_release(&b);
}

/* --- the store outside --------------------------------------------------------------------------------------------------- */

static void
join(struct node *n)
{
	struct buf procs = BUF_INIT, jobs = BUF_INIT, actors = BUF_INIT, custom = BUF_INIT;
	struct msg_node_join m = { .name = span_str(n->name), .cpus = (uint64_t)n->lease.total.v[RES_CPU],
	    .memory = (uint64_t)n->lease.total.v[RES_MEM], .pid = (uint64_t)getpid(), .node = n->number,
	    .heir = n->heir && !n->joined_once, .attempt = n->gcs ? n->gcs_at : 0, .head = n->head };

	if (m.heir)
		heir_lists(n, &procs, &jobs, &actors);
	else if (n->joined_once)
		actors_alive(n, &actors);
	numbers_sort(&procs);
	numbers_sort(&jobs);
	numbers_sort(&actors);
	m.procs = span_buf(&procs);
	m.jobs = span_buf(&jobs);
	m.actors = span_buf(&actors);
	nodes_join(n, &m, &custom);
	n->joined_once = true;
	if (n->gcs == NULL) {
		if (msg_put_node_join(&n->ctl, &m) == 0)
			ctl_send(n);
		nodes_alone(n, &m);
	} else {
		size_t at = conn_out(n->gcs)->len;

		conn_done(n->gcs, at, msg_put_node_join(conn_out(n->gcs), &m), NULL, 0, 0);
		fence_join(n);
	}
	buf_release(&custom);
	buf_release(&procs);
	buf_release(&jobs);
	buf_release(&actors);
}

static int
gcs_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct node *n = c->owner;
	bool was = n->joined;
	size_t at;
	int e;

	(void)fds, (void)nfd;
	if ((e = ctl_frame(n, f)) == 0 && !was && n->joined)
		abroad_group_joined(n);		/* first: what it has */
	if (e == 0 && !was && n->joined && n->ctl_queue.len) {
		at = conn_out(c)->len;
		conn_done(c, at, buf_add(conn_out(c), n->ctl_queue.data, n->ctl_queue.len), NULL, 0, 0);
		n->ctl_queue.len = 0;
	}
	return e;
}

/* After one that served it is soon; of stores that cannot start, or die at once, fewer and fewer are made. */
static void
again_later(struct node *n)
{
	uint64_t now = clock_ns();

	if (n->gcs_at && now - n->gcs_at > CLOCK_SEC / 50)
		n->gcs_failed = 0;
	n->gcs_at = 0;
	if (n->number && n->o.join && n->gcs_failed > 2)
		n->gcs_failed = 2;		/* every refusal counts, fence_nobody */
	n->ctl_at = now + (CLOCK_SEC / 10 << n->gcs_failed);
	if (n->gcs_failed < 5)
		n->gcs_failed++;
	node_timer(n);
}

/* What the store was asked and did not answer: again, where that cannot do it twice. */
static void
ask_again(struct node *n, const char *why)
{
	struct map_iter it = MAP_ITER;
	struct map old = n->asks;

	n->asks = (struct map)MAP_INIT;
	while (map_next(&old, &it)) {
		struct ask *a = it.val;
		struct nproc *p = map_get(&n->procs, a->proc);

		if (p && !p->lost && a->type == MSG_JOB_NEW_T) {
			p->hello = ctl_ask(n, p, 0, MSG_JOB_NEW_T, span_of(NULL, 0));
			CTL(n, job_new, .req = p->hello, .name = span_buf(&p->name), .namespace = span_buf(&p->namespace));
		} else if (a->after && map_put(&n->asks, it.key, a) == 0)
			continue;		/* it was not asked yet */
		else if (!actors_again(n, a) && p && !p->lost && !kv_again(n, p, a) &&
		    !abroad_group_again(p, a))
			proc_fail(p, a->req, ERR_CLOSED, "%s", why);
		ctl_ask_free(n, a);
	}
	map_release(&old);
}

/* Running work goes on; new jobs wait until it is back. */
static void
gcs_close(struct conn *c, int e)
{
	struct node *n = c->owner;
	bool was = n->joined;
	char why[sizeof n->gcs_why + 64];

	if (n->o.join)
		far_closed(n, c, e);
	if (n->o.join && e == -ECONNREFUSED)
		far_refused(n);
	snprintf(why, sizeof why, "%s: it may or may not have been done", n->gcs_why[0] ? n->gcs_why : "the control store went away");
	n->gcs_why[0] = '\0';
	n->gcs = NULL;
	n->joined = false;
	if (n->number == 0)
		ev_break(n->loop, EVBREAK_ONE);	/* ctl_start waits; the loop may be about to sleep */
	if (n->stopping)
		return;
	if (was)			/* else it was asked nothing: what is to be asked waits in ctl_queue */
		ask_again(n, why);
	again_later(n);
}

/* conn to the store, over fd, from here on: n->gcs */
static int
attach(struct node *n, int fd)
{
	if ((n->gcs = conn_new(&n->conns, fd)) == NULL) {
		close(fd);
		return -ENOMEM;
	}
	n->gcs->owner = n;
	n->gcs->max = FRAME_MAX;
	n->gcs->on_frame = gcs_frame;
	n->gcs->on_close = gcs_close;
	n->gcs_at = clock_ns();
	return 0;
}

static int
gcs_connect_far(struct node *n, char *why, size_t nwhy)
{
	int fd = far_connect(n, why, nwhy), e;

	if (fd < 0)
		return fd;
	if ((e = attach(n, fd)) < 0)
		return e;
	if ((e = far_secure(n, n->gcs)) < 0) {
		conn_end(n->gcs);
		n->gcs = NULL;
		return e;
	}
	join(n);
	n->ctl_at = clock_ns() + FAR_WAIT * CLOCK_SEC;
	node_timer(n);
	return 0;
}

static int
gcs_connect(struct node *n, char *why, size_t nwhy)
{
	char path[600], self[512], *slash;
	char *argv[] = { path, "--ready-fd", "3", n->o.detached ? "--detached" : NULL, NULL };
	struct proc_spawn s = PROC_SPAWN_INIT;
	int fd, pipefd[2], e;
	ssize_t len;
	char c;

	if (n->gcs_pid > 0 && waitpid(n->gcs_pid, NULL, WNOHANG) != 0)
		n->gcs_pid = 0;
	if (n->o.join)
		return gcs_connect_far(n, why, nwhy);
	if ((fd = sock_connect(n->dir, NODE_GCS)) >= 0)
		goto up;
	if (fd != -ECONNREFUSED && fd != -ENOENT) {
		snprintf(why, nwhy, "cannot connect to '%s/" NODE_GCS "': %s", n->dirname, err_str(fd));
		return fd;
	}
	if (n->gcs_pid > 0) {
		snprintf(why, nwhy, "the last control store, process %d, has not ended yet", (int)n->gcs_pid);
		return -EBUSY;
	}
	if ((len = readlink("/proc/self/exe", self, sizeof self - 1)) < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	self[len] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		slash[1] = '\0';
	snprintf(path, sizeof path, "%srgcs", self);
	char num[16];
	snprintf(num, sizeof num, "%d", pipefd[1]);
	argv[2] = num;
	fcntl(pipefd[1], F_SETFD, 0);
	s.argv = argv;
	s.in = n->null;
	s.out = s.err = 2;
	if ((e = proc_spawn(&s)) > 0)
		n->gcs_pid = e;
	close(pipefd[1]);
	if (e < 0)
		snprintf(why, nwhy, "cannot start '%s': %s", path, err_str(e));
	else if (read(pipefd[0], &c, 1) != 1)
		snprintf(why, nwhy, "the control store did not start: see its message above"), e = ERR_CLOSED;
	close(pipefd[0]);
	if (e < 0)
		return e;
	if ((fd = sock_connect(n->dir, NODE_GCS)) < 0) {
		snprintf(why, nwhy, "cannot connect to '%s/" NODE_GCS "': %s", n->dirname, err_str(fd));
		return fd;
	}
up:
	if ((e = attach(n, fd)) == 0)
		join(n);
	return e;
}

/* --- start and end -------------------------------------------------------------------------------------------------------- */

static bool
waits(const struct node *n)		/* for the answer to NODE_JOIN */
{
	return !n->joined && !n->stopping && n->gcs;
}

/* One that was given up, or whose daemon died, has no other way to go on: it tries until it is let in, or told to end. */
static void
join_patiently(struct node *n)
{
	char why[NODE_MESSAGE] = "";

	if (gcs_connect(n, why, sizeof why) < 0) {
		node_log(n, 0, "%s", why);
		again_later(n);
	}
	while (!n->joined && !n->stopping)
		ev_run(n->loop, EVRUN_ONCE);
	if (n->joined && n->o.again)
		node_log(n, 0, "joined %s as node %u", n->o.join ? n->o.join : "the control store", n->number);
}

static int
join_outside(struct node *n, char *why, size_t nwhy)
{
	uint64_t until = clock_ns() + FAR_SOON * CLOCK_SEC;
	int e;

	if (n->o.again || (n->heir && n->o.join))
		join_patiently(n);
	while (!n->joined && !n->stopping) {
		if (n->gcs == NULL && (e = gcs_connect(n, why, nwhy)) < 0)
			return e;
		while (waits(n))
			ev_run(n->loop, EVRUN_ONCE);
		if (n->joined || !n->o.join || far_more(n))
			continue;
		if (!far_soon(n) || clock_ns() > until)
			break;
		while (n->gcs == NULL && !n->stopping)		/* ctl_tick tries again */
			ev_run(n->loop, EVRUN_ONCE);
	}
	if (n->joined && !n->stopping)
		return 0;
	if (n->stopping)
		return n->self.fenced ? -ESTALE : -EINTR;
	if (n->o.join)
		snprintf(why, nwhy, "%s", far_why(n));
	else
		snprintf(why, nwhy, "the control store refused this node");
	return ERR_CLOSED;
}

/* The node has its number when this returns. */
int
ctl_start(struct node *n, char *why, size_t nwhy)
{
	if (n->o.lasting)
		return join_outside(n, why, nwhy);
	if ((n->control = malloc(sizeof *n->control)) == NULL)
		return -ENOMEM;
	control_init(n->control, 1);
	estate_each(n, ESTATE_CONTROL, read_back, n);
	join(n);
	return n->joined ? 0 : ERR_PROTO;
}

void
ctl_tick(struct node *n)
{
	char why[NODE_MESSAGE] = "";

	n->ctl_at = 0;
	if (n->gcs && !n->joined && n->o.join && !n->stopping) {	/* it does not answer */
		struct conn *c = n->gcs;

		gcs_close(c, -ETIMEDOUT);
		conn_end(c);
		return;
	}
	if (n->control || n->gcs || n->stopping)
		return;
	if (gcs_connect(n, why, sizeof why) < 0) {
		node_log(n, 0, "%s", why);
		again_later(n);
	}
}

void
ctl_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	if (n->gcs && n->joined)		/* it need not wait for us to come back */
		SEND_CONN(n->gcs, bye, .reason = 0);
	if (n->gcs)
		conn_end(n->gcs);
	n->gcs = NULL;
	far_stop(n);
	if (n->control)
		control_release(n->control);
	free(n->control);
	while (map_next(&n->asks, &it)) {
		struct ask *a = map_del(&n->asks, it.key);

		ctl_ask_free(n, a);
	}
	map_release(&n->asks);
	buf_release(&n->ctl);
	buf_release(&n->ctl_queue);
	buf_release(&n->control_out.bytes);
	free(n->control_out.fx);
}
