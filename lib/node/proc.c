#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "node/inner.h"
#include "os/fd.h"
#include "os/proc.h"

static void
on_close(struct conn *c, int e)
{
	struct nproc *p = c->owner;

	p->code = p->bye || e == ERR_CLOSED ? ERR_CLOSED : e;
	if ((p->deaf = e == -ENOBUFS))
		node_log(p->n, 0, "process %d (%.*s) is dropped: it does not read what it is sent, or sends too much at once", (int)p->pid,
		    (int)(p->name.len < 100 ? p->name.len : 100), p->name.len ? (char *)p->name.data : "worker");
	if (p->role == ROLE_WORKER)
		proc_kill(p);		/* nothing can be told to it any more */
	proc_lost(p);
	if (p->role != ROLE_WORKER && (p->bye || p->pidfd.fd < 0 || !p->welcomed))
		proc_gone(p, ERR_CLOSED, "it is gone");
}

static void
on_sent(struct conn *c)
{
	struct nproc *p = c->owner;

	if (p->page)			/* one without a service thread sleeps on its bell only */
		bell_ring(p->n->np, &p->n->np->bell[p->bell]);
	if (p->asked)
		proc_signal(p, SIGURG);
	p->asked = false;
}

static void
on_pidfd(struct ev_loop *loop, ev_io *w, int revents)
{
	struct nproc *p = (struct nproc *)(void *)((char *)w - offsetof(struct nproc, pidfd));
	char text[NODE_MESSAGE];

	(void)revents;
	ev_io_stop(loop, w);
	if (p->role == ROLE_WORKER) {
		proc_lost(p);		/* how it ended comes from the zygote */
		return;
	}
	snprintf(text, sizeof text, "process %d (%.*s) died", (int)p->pid,
	    (int)(p->name.len < 100 ? p->name.len : 100), p->name.len ? (char *)p->name.data : "");
	proc_lost(p);
	proc_gone(p, ERR_CRASHED, text);
}

struct nproc *
proc_new(struct node *n, enum msg_role role, int fd)
{
	struct nproc *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	*p = (struct nproc){ .n = n, .number = ++n->next_proc, .role = role, .slab = -1, .err = -1, .since = clock_ns() };
	list_init(&p->fork);
	list_init(&p->subrings);
	list_init(&p->wrkrings);
	list_init(&p->chans);
	if (map_put(&n->procs, p->number, p) < 0 || (p->conn = conn_new(&n->conns, fd)) == NULL) {
		map_del(&n->procs, p->number);
		free(p);
		return NULL;
	}
	if (n->np)
		atomic_store(&n->np->procs, n->next_proc);
	list_add_tail(&n->procs_list, &p->link);
	p->conn->owner = p;
	p->conn->on_frame = join_frame;
	p->conn->on_close = on_close;
	p->conn->on_sent = on_sent;
	ev_io_init(&p->pidfd, on_pidfd, -1, EV_READ);
	if (role != ROLE_WORKER) {
		n->clients++;
		node_idle(n);
	} else
		n->workers++;
	return p;
}

struct nproc *
proc_find(const struct node *n, uint64_t number)
{
	struct nproc *p = map_get(&n->procs, number);

	return p && !p->lost && p->page ? p : NULL;
}

void
proc_fail(struct nproc *p, uint64_t req, int code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p->role == ROLE_FAR)
		abroad_fail(p, req, code, text);
	else
		SEND(p, fail, .req = req, .code = code, .text = span_str(text));
}

void
proc_know(struct nproc *a, struct nproc *b)
{
	static char yes;

	if (a == b)
		return;
	map_put(&a->known, b->number, &yes);
	map_put(&b->known, a->number, &yes);
}

static int
welcome(struct nproc *p, const int *fds, unsigned nfd)	/* the first one is closed once it is sent */
{
	struct node *n = p->n;
	size_t at = conn_out(p->conn)->len;
	int e = msg_put_welcome(conn_out(p->conn), &(struct msg_welcome){ .proto = MSG_PROTO, .node = n->number,
	    .proc = p->number, .job = p->job ? p->job->number : 0, .bell = p->bell,
	    .cpus = (uint64_t)n->lease.total.v[RES_CPU], .arena = n->arena.bytes, .node_name = span_str(n->name),
	    .namespace = p->job ? span_buf(&p->job->namespace) : span_buf(&p->namespace), .spin = n->spin,
	    .driver = p->job && p->role == ROLE_WORKER ? p->job->driver : 0 });

	conn_done(p->conn, at, e, fds, nfd, 1);
	return 0;
}

int
proc_equip(struct nproc *p)
{
	struct node *n = p->n;
	int page = -1, e;

	if (p->page) {			/* it came back */
		p->welcomed = true;
		p->conn->max = FRAME_MAX;
		return welcome(p, NULL, 0);
	}
	if (n->nbells == 0)
		return -ENOSPC;
	if ((page = page_create("rota-page", n->number, p->number)) < 0)
		return page;
	if ((e = page_map(page, &p->page, 0)) < 0 || (e = p->slab = slab_create("rota-slab")) < 0)
		goto out;
	p->bell = n->bells[--n->nbells];
	atomic_store(&n->np->bell[p->bell].word, 0);
	atomic_store(&n->np->bell[p->bell].cpu, 0);
	atomic_store(&n->np->bell[p->bell].stays, p->role == ROLE_DRIVER);
	atomic_store(&n->np->bell[p->bell].proc, p->number);
	atomic_store(&n->np->bell[p->bell].counted, 0);
	atomic_fetch_add(&n->np->awake, 1);
	p->welcomed = true;
	p->conn->max = FRAME_MAX;
	return welcome(p, (int[]){ page, n->np_fd, n->arena.fd, p->slab }, 4);
out:
	close(page);
	if (p->page)
		page_unmap(p->page);
	p->page = NULL;
	return e;
}

void
proc_kill(struct nproc *p)
{
	p->killed = true;
	if (p->role == ROLE_WORKER && !p->forked && !p->exited) {	/* nobody was asked to fork it */
		p->exited = true;
		list_del(&p->fork);
		list_add_tail(&p->n->reap, &p->fork);
	}
	if (p->pidfd.fd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd.fd, SIGKILL, NULL, 0);
}

void
proc_signal(struct nproc *p, int sig)
{
	if (p->pidfd.fd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd.fd, sig, NULL, 0);
	else
		p->signal = sig;	/* it may run before its pid is known here */
}

/* Nothing more comes from it: its rings are marked before anybody is told anything else. */
void
proc_lost(struct nproc *p)
{
	struct node *n = p->n;

	if (p->lost)
		return;
	p->lost = true;
	join_lost(p);
	if (p->conn)
		conn_end(p->conn);
	p->conn = NULL;
	while (!list_empty(&p->subrings))
		ring_end(list_entry(p->subrings.next, struct nring, bysub), RING_DEAD_SUBMITTER);
	while (!list_empty(&p->wrkrings))
		ring_end(list_entry(p->wrkrings.next, struct nring, bywrk), RING_DEAD_WORKER);
	chans_lost(p);
	if (p->err >= 0)
		close(p->err);
	p->err = -1;
	if (p->role == ROLE_WORKER)
		n->workers--;
	else if (p->role != ROLE_FAR) {
		n->clients--;
		n->drivers -= p->role == ROLE_DRIVER;
		node_idle(n);
	}
	abroad_exit(p);
	grant_step(n, &(struct lease_in){ .kind = LEASE_IN_GONE, .proc = p->number });
	kv_gone(p);
	if (p->job && (p->role == ROLE_DRIVER || (p->role == ROLE_FAR && p->job->driver == p->number)))
		job_over(n, p->job);
}

/* It is dead: others are told how, its memory is taken back. */
void
proc_gone(struct nproc *p, int code, const char *text)
{
	struct node *n = p->n;
	struct map_iter it = MAP_ITER;

	if (p->role != ROLE_FAR)
		abroad_tell_gone(p, code, text);
	map_del(&n->procs, p->number);
	list_del(&p->link);
	if (p->role != ROLE_FAR) {
		ev_io_stop(n->loop, &p->pidfd);
		if (p->pidfd.fd >= 0)
			close(p->pidfd.fd);
	}
	while (map_next(&p->known, &it)) {
		struct nproc *q = map_get(&n->procs, it.key);

		if (q == NULL)
			continue;
		map_del(&q->known, p->number);
		SEND(q, dead, .proc = p->number, .code = code, .text = span_str(text), .charged = p->alone, .node = p->home,
		    .was = p->home_proc);
	}
	if (p->role == ROLE_FAR)
		abroad_unalias(p);
	map_release(&p->known);
	logs_gone(p);
	elastic_gone(p);
	actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_GONE, .proc = p->number, .text = text });
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_GONE, .proc = p->number });
	sets_step(n, &(struct set_in){ .kind = SET_IN_GONE, .proc = p->number });
	if (p->page && p->role != ROLE_FAR) {
		/* a sleeper was taken off the count when it fell asleep; nobody can wake it any more */
		if (atomic_load(&n->np->bell[p->bell].word) != 2)	/* it is cleared for the next one: it may sleep on, if only we end */
			atomic_fetch_sub(&n->np->awake, 1);
		atomic_store(&n->np->bell[p->bell].proc, 0);
		n->bells[n->nbells++] = (uint16_t)p->bell;
		if (n->nbells == NODEPAGE_BELLS)
			atomic_store(&n->np->awake, 0);		/* what killing in the middle of falling asleep left */
		uses_merge(&n->uses, &p->page->uses, arena_now());
		page_unmap(p->page);
		memory_gone(p);
	}
	watch_gone(p);
	if (p->slab >= 0 && p->role != ROLE_FAR)
		close(p->slab);
	if (p->job)
		job_unref(n, p->job);
	buf_release(&p->name);
	buf_release(&p->namespace);
	buf_release(&p->told);
	heir_forget(p);
	free(p);
}

/* --- jobs ------------------------------------------------------------------------------------------------- */

struct njob *
job_new(struct node *n, uint32_t number)
{
	struct njob *j = calloc(1, sizeof *j);

	if (j == NULL || map_put(&n->jobs, number, j) < 0) {
		free(j);
		return NULL;
	}
	*j = (struct njob){ .number = number, .refs = 1, .cwd = -1 };
	return j;
}

void
job_unref(struct node *n, struct njob *j)
{
	if (--j->refs)
		return;
	map_del(&n->jobs, j->number);
	job_unnote(n, j);
	logs_job_end(n, j->out);
	if (j->cwd >= 0)
		close(j->cwd);
	buf_release(&j->env);
	buf_release(&j->namespace);
	free(j->told);
	free(j);
}

/* The driver is gone: everything of the job ends at once, except actors that were detached. */
void
job_over(struct node *n, struct njob *j)
{
	if (j->over)
		return;
	j->over = true;
	j->refs++;
	job_note(n, j);
	sets_step(n, &(struct set_in){ .kind = SET_IN_JOB_END, .job = j->number });
	actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_JOB_END, .job = j->number });
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_JOB_END, .job = j->number });
	list_each_safe(l, q, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);
		const struct actor_life *a = p->actor ? actor_get(&n->actor, p->actor) : NULL;

		if (p->job == j && p->role == ROLE_WORKER && !p->lost && !(a && a->detached && a->state != ACTOR_DEAD)) {
			p->quiet = true;
			proc_kill(p);
		}
	}
	/* killing first, bookkeeping second: the next loop may take a while for a thousand workers */
	list_each_safe(l, q, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->job == j && p->quiet)
			proc_lost(p);
	}
	chans_job_over(n, j->number);
	groups_step(n, &(struct group_in){ .kind = GROUP_IN_JOB_END, .job = j->number });
	abroad_group_job_over(n, j->number);
	logs_job_over(n, j->out);
	if (!j->foreign)
		CTL(n, job_end, .job = j->number);
	job_unref(n, j);
}

void
jobs_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->jobs, &it)) {
		struct njob *j = it.val;

		j->refs = 1;			/* what still counted on it, actors and sets that outlive it, ends with the node */
		job_unref(n, j);
	}
	map_release(&n->jobs);
}
