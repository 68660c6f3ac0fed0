#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/inner.h"
#include "os/proc.h"

/* --- asking for forks ---------------------------------------------------------------------------------- */

static int
copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/*
 * Its driver's environment, an empty string, then what is ours; ?NAME=VALUE: only if the driver has no NAME.
 * A node without GPUs leaves it to the driver which ones are seen.
 */
static int
environment(const struct nproc *p, struct buf *b)
{
	struct node *n = p->n;
	char gpus[GPUS_MAX * 49];
	int e = p->job->env.len ? buf_add(b, p->job->env.data, p->job->env.len) : 0;

	if (e == 0)
		e = buf_printf(b, "%cROTA_WORKER=%u.%u%cROTA_JOB=%u%cROTA_NODE=%s", 0, (unsigned)getpid(), p->number, 0,
		    p->job->number, 0, n->name);
	if (e == 0 && n->lease.gpu.n) {
		gpus_text(gpus, sizeof gpus, p->devices, n->gpu_name);
		e = buf_printf(b, "%cCUDA_VISIBLE_DEVICES=%s%c?CUDA_DEVICE_ORDER=PCI_BUS_ID", 0, gpus, 0);
	}
	if (e == 0 && p->threads)
		e = buf_printf(b, "%c?OMP_NUM_THREADS=%u", 0, p->threads);
	return e;
}

static void
fork_send(struct nproc *p)
{
	struct node *n = p->n;
	struct buf *out = conn_out(n->zygote), env = BUF_INIT;
	int log = logs_worker(p), fds[3] = { p->err, log >= 0 ? log : copy(n->null), copy(p->job->cwd >= 0 ? p->job->cwd : n->null) };
	size_t at = out->len;
	int e = fds[1] < 0 || fds[2] < 0 ? -EMFILE : 0;

	p->err = -1;
	p->forked = true;
	n->forking++;
	if (e == 0 && (e = environment(p, &env)) == 0)
		e = msg_put_zfork(out, &(struct msg_zfork){ .proc = p->number, .job = p->job->number, .env = span_buf(&env) });
	buf_release(&env);
	if (e < 0) {			/* as if the fork had failed */
		close(fds[0]);
		if (fds[1] >= 0)
			close(fds[1]);
		if (fds[2] >= 0)
			close(fds[2]);
		n->forking--;
		p->forked = false;
		proc_kill(p);
		return;
	}
	conn_done(n->zygote, at, 0, fds, 3, 7);
}

static void
fork_more(struct node *n)
{
	struct list *l;

	while (n->zygote && n->forking < NODE_FORKS && (l = list_shift(&n->fork_queue)) != NULL)
		fork_send(list_entry(l, struct nproc, fork));
}

struct nproc *
worker_new(struct node *n, struct njob *j, bool silent, const struct lease_fx *fx)
{
	struct nproc *p;
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return NULL;
	if ((p = proc_new(n, ROLE_WORKER, sp[0])) == NULL) {
		close(sp[0]);
		close(sp[1]);
		return NULL;
	}
	p->job = j;
	j->refs++;
	p->err = sp[1];
	p->silent = silent;
	p->devices = fx->devices;
	p->threads = fx->threads;
	list_add_tail(&n->fork_queue, &p->fork);
	watch_awake(n);
	if (proc_equip(p) < 0) {
		proc_kill(p);
		return NULL;
	}
	fork_more(n);
	return p;
}

/* --- deaths ------------------------------------------------------------------------------------------------ */

void
worker_exited(struct nproc *p)
{
	const char *sig;
	int s = p->status;

	if (WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL && (p->evidence || (!p->killed && watch_killed(p)))) {
		proc_lost(p);
		p->code = ERR_OOM;
		if (!logs_last(p))
			proc_gone(p, ERR_OOM, p->evidence);
		return;
	}
	p->code = ERR_CRASHED;
	if (p->evicted) {
		snprintf(p->text, sizeof p->text, "its placement group was removed");
		p->code = ERR_CANCELLED;
	} else if (p->ill) {
		;				/* its text was written then */
	} else if (p->deaf) {
		snprintf(p->text, sizeof p->text, "worker %d did not read its messages and was killed", (int)p->pid);
	} else if (WIFSIGNALED(s)) {
		sig = sigabbrev_np(WTERMSIG(s));
		snprintf(p->text, sizeof p->text, "worker %d killed by SIG%s", (int)p->pid, sig ? sig : "?");
	} else if (p->stopping && WEXITSTATUS(s) == 0) {
		snprintf(p->text, sizeof p->text, "worker %d ended", (int)p->pid);
		p->code = ERR_CLOSED;
	} else
		snprintf(p->text, sizeof p->text, "worker %d called " "exit" "(%d)", (int)p->pid, WEXITSTATUS(s));
	proc_lost(p);
	if (!logs_last(p))
		proc_gone(p, p->code, p->text);
}

static int
on_zforked(struct node *n, const struct frame *f, int *fds, unsigned nfd)
{
	struct msg_zforked m;
	struct nproc *p;
	int e = msg_get_zforked(&m, f->body, f->len);

	if (e < 0)
		return e;
	n->forking--;
	if ((p = map_get(&n->procs, m.proc)) == NULL || p->role != ROLE_WORKER)
		return 0;
	if (m.pid <= 0) {
		char text[NODE_MESSAGE];

		snprintf(text, sizeof text, "cannot fork a worker: %s", err_str((int)m.pid));
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_NOFORK });
		proc_lost(p);
		proc_gone(p, ERR_CRASHED, text);
	} else {
		p->pid = (pid_t)m.pid;
		if (nfd) {
			ev_io_set(&p->pidfd, fds[0], EV_READ);
			fds[0] = -1;
			ev_io_start(n->loop, &p->pidfd);
			if (p->signal)
				proc_signal(p, p->signal);
		}
		if (p->killed)
			proc_kill(p);
	}
	fork_more(n);
	return 0;
}

static int
on_zexit(struct node *n, const struct frame *f)
{
	struct msg_zexit m;
	struct nproc *p;
	int e = msg_get_zexit(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((p = map_get(&n->procs, m.proc)) != NULL && p->role == ROLE_WORKER) {
		p->exited = true;
		p->status = (int)m.status;
		worker_exited(p);
	}
	return 0;
}

static int
on_zstop(struct node *n, const struct frame *f)
{
	struct msg_zstop m;
	struct nproc *p;
	int e = msg_get_zstop(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((p = map_get(&n->procs, m.proc)) != NULL && p->role == ROLE_WORKER) {
		p->stopped = m.on != 0;
		grant_idled(p);
	}
	return 0;
}

static int
zygote_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct node *n = c->owner;

	switch (f->type) {
	case MSG_ZFORKED_T: return on_zforked(n, f, fds, nfd);
	case MSG_ZEXIT_T: return on_zexit(n, f);
	case MSG_ZSTOP_T: return on_zstop(n, f);
	}
	return ERR_PROTO;
}

/* --- the zygote ---------------------------------------------------------------------------------------------- */

static void
all_gone(struct node *n, const char *text)	/* its workers die with it, by the kernel's hand */
{
	bool some;

	do {
		some = false;
		list_each(l, &n->procs_list) {
			struct nproc *p = list_entry(l, struct nproc, link);

			if (p->role != ROLE_WORKER || !p->forked)
				continue;	/* those still in the queue are the next one's */
			proc_kill(p);
			proc_lost(p);
			proc_gone(p, ERR_CRASHED, text);
			some = true;
			break;
		}
	} while (some);
}

static void
zygote_dead(struct node *n)
{
	char why[NODE_MESSAGE];

	ev_io_stop(n->loop, &n->zygote_fd);
	close(n->zygote_fd.fd);
	n->zygote_fd.fd = -1;
	waitpid(n->zygote_pid, NULL, 0);
	if (n->zygote)
		conn_end(n->zygote);
	n->zygote = NULL;
	n->forking = 0;
	if (n->stopping)
		return;
	n->zygote_deaths = clock_ns() - n->zygote_since < CLOCK_SEC ? n->zygote_deaths + 1 : 0;
	all_gone(n, "the process that forks workers died");
	if (n->zygote_deaths < 3 && zygote_start(n, why, sizeof why) == 0) {
		node_log(n, 0, "the process that forks workers died; another one was started");
		return;
	}
	node_log(n, 0, "the process that forks workers keeps dying");
	node_end(n, ERR_CRASHED);
}

static void
on_zygote_fd(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	zygote_dead((struct node *)(void *)((char *)w - offsetof(struct node, zygote_fd)));
}

static void
zygote_close(struct conn *c, int e)	/* it is about to die: on_zygote_fd does the rest */
{
	struct node *n = c->owner;

	(void)e;
	n->zygote = NULL;
	kill(n->zygote_pid, SIGKILL);	/* our child, not yet waited for */
}

/* beside us, or where it is installed */
static int
find_rwork(char *path, size_t n)
{
	static const char *const at[] = { "../libexec/rota/rwork", "rwork" };
	char self[512], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len < 0)
		return -errno;
	self[len] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		slash[1] = '\0';
	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		if (snprintf(path, n, "%s%s", self, at[i]) < (int)n && access(path, X_OK) == 0)
			return 0;
	return -ENOENT;
}

int
zygote_start(struct node *n, char *why, size_t nwhy)
{
	char path[600], num[16];
	char *argv[] = { path, "--zygote", num, NULL };
	struct proc_spawn s = PROC_SPAWN_INIT;
	int sp[2], e;
	pid_t pid;

	if ((e = find_rwork(path, sizeof path)) < 0) {
		snprintf(why, nwhy, "cannot find rwork in '../libexec/rota' beside this program: is rota installed as a whole?");
		return e;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0) {
		snprintf(why, nwhy, "cannot make a socket: %s", err_str(e = -errno));
		return e;
	}
	snprintf(num, sizeof num, "%d", sp[1]);
	fcntl(sp[1], F_SETFD, 0);
	s.argv = argv;
	s.in = n->null;
	s.out = s.err = 2;
	pid = proc_spawn(&s);
	close(sp[1]);
	if (pid < 0 || (n->zygote = conn_new(&n->conns, sp[0])) == NULL) {
		snprintf(why, nwhy, "cannot start '%s': %s", path, err_str(pid < 0 ? (int)pid : -ENOMEM));
		close(sp[0]);
		return pid < 0 ? (int)pid : -ENOMEM;
	}
	n->zygote->owner = n;
	n->zygote->max = FRAME_MAX;
	n->zygote->on_frame = zygote_frame;
	n->zygote->on_close = zygote_close;
	n->zygote_pid = pid;
	n->zygote_since = clock_ns();
	ev_io_init(&n->zygote_fd, on_zygote_fd, proc_pidfd(pid), EV_READ);
	if (n->zygote_fd.fd < 0) {
		snprintf(why, nwhy, "cannot watch '%s': %s", path, err_str(n->zygote_fd.fd));
		return n->zygote_fd.fd;
	}
	ev_io_start(n->loop, &n->zygote_fd);
	zygote_watch(n);
	fork_more(n);
	return 0;
}

void
zygote_watch(struct node *n)
{
	struct buf *out;
	size_t at;

	if (n->zygote == NULL || n->np == NULL || n->self.alive.limit == 0)
		return;
	out = conn_out(n->zygote);
	at = out->len;
	conn_done(n->zygote, at, msg_put_zwatch(out, &(struct msg_zwatch){ .reserved = 0 }), &n->np_fd, 1, 0);
}

/* At the end of its socket it kills what it forked, and what that left behind, and exits. */
void
zygote_stop(struct node *n)
{
	if (n->zygote_pid <= 0 || n->zygote_fd.fd < 0)
		return;
	if (n->zygote)
		conn_end(n->zygote);
	n->zygote = NULL;
	waitpid(n->zygote_pid, NULL, 0);
	ev_io_stop(n->loop, &n->zygote_fd);
	close(n->zygote_fd.fd);
	n->zygote_fd.fd = -1;
}
