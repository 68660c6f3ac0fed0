#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/num.h"
#include "node/inner.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/mem.h"
#include "os/proc.h"
#include "os/seg.h"
#include "os/sock.h"

enum {
	SPIN_NS = 20000,
	FDS_OWN = 64,
	FDS_PER_CLIENT = 5,		/* socket, pidfd, slab, its stderr and directory */
	LOG_LINES = 20,			/* that node_log says in LOG_TIME */
	FDS_MIN = 128,
	FDS_PER_PROC = 4,		/* socket, pidfd, slab, log */
};

#define LOG_TIME (10 * CLOCK_SEC)

void
node_log(struct node *n, int e, const char *fmt, ...)
{
	uint64_t now = clock_ns();
	char text[1024], more[80];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n->o.log == NULL)
		return;
	if (now - n->said_at > LOG_TIME) {
		if (n->said > LOG_LINES) {
			snprintf(more, sizeof more, "%u more such lines in ten seconds are not shown", n->said - LOG_LINES);
			n->o.log(0, more);
		}
		n->said_at = now;
		n->said = 0;
	}
	if (n->said++ < LOG_LINES)
		n->o.log(e, text);
}

uint64_t
node_memory(void)
{
	return mem_usable("");
}

/* --- time ------------------------------------------------------------------------------------------------------------ */

void
node_timer(struct node *n)
{
	const uint64_t at[] = { n->lease_at, n->actor_at, n->mem_at, n->ctl_at, n->kept_at, n->group_at, n->set_at, n->heir_at, n->load_at,
	    n->fence_at, n->abroad_at, n->away_at };
	uint64_t first = 0, now;

	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		if (at[i] && (first == 0 || at[i] < first))
			first = at[i];
	if (first == n->timer_at || n->loop == NULL)
		return;
	n->timer_at = first;
	ev_timer_stop(n->loop, &n->timer);
	if (first == 0)
		return;
	now = clock_ns();
	ev_now_update(n->loop);
	ev_timer_set(&n->timer, first > now ? (double)(first - now) / 1e9 : 0., 0.);
	ev_timer_start(n->loop, &n->timer);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct node *n = (struct node *)(void *)((char *)w - offsetof(struct node, timer));
	uint64_t now = clock_ns();

	(void)loop, (void)revents;
	n->timer_at = 0;
	if (n->lease_at && n->lease_at <= now) {
		n->lease_at = 0;
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_TICK });
	}
	if (n->actor_at && n->actor_at <= now) {
		n->actor_at = 0;
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_TICK });
	}
	if (n->group_at && n->group_at <= now) {
		n->group_at = 0;
		groups_step(n, &(struct group_in){ .kind = GROUP_IN_TICK });
	}
	if (n->set_at && n->set_at <= now) {
		n->set_at = 0;
		sets_step(n, &(struct set_in){ .kind = SET_IN_TICK });
	}
	if (n->mem_at && n->mem_at <= now)
		memory_tick(n);
	if (n->ctl_at && n->ctl_at <= now)
		ctl_tick(n);
	if (n->kept_at && n->kept_at <= now)
		kept_tick(n);
	if (n->load_at && n->load_at <= now)
		nodes_tick(n);
	if (n->fence_at && n->fence_at <= now)
		fence_tick(n);
	if (n->abroad_at && n->abroad_at <= now)
		abroad_tick(n);
	if (n->away_at && n->away_at <= now)
		abroad_actor_tick(n);
	if (n->heir_at && n->heir_at <= now)
		heir_tick(n);
	node_timer(n);
}

static void
on_turn(struct ev_loop *loop, ev_prepare *w, int revents)	/* nothing is left over when the loop blocks */
{
	struct node *n = (struct node *)(void *)((char *)w - offsetof(struct node, turn));
	struct list *l;

	(void)loop, (void)revents;
	do {
		while ((l = list_shift(&n->reap)) != NULL) {
			struct nproc *p = list_entry(l, struct nproc, fork);

			proc_lost(p);
			proc_gone(p, ERR_CRASHED, "the worker could not be started");
		}
		memory_turn(n);
		estate_sync(n);
		nodes_turn(n);
		conn_set_flush(&n->conns);	/* may find that a peer is gone */
	} while (!list_empty(&n->reap) || n->mem_dirty);
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

void
node_end(struct node *n, int result)
{
	if (!n->stopping)
		n->result = result;
	n->stopping = true;
	ev_break(n->loop, EVBREAK_ALL);
}

static void
on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop, (void)revents;
	node_end(w->data, 0);
}

/* Our socket's name, unless another node has taken it over. */
static void
unlink_socket(struct node *n)
{
	struct stat st;

	if (n->listening && fstatat(n->dir, n->o.socket, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == n->sock_dev &&
	    st.st_ino == n->sock_ino)
		unlinkat(n->dir, n->o.socket, 0);
}

void
node_idle(struct node *n)
{
	if (n->o.lasting || n->loop == NULL)
		return;
	n->stood |= n->clients > 0;
	if (n->drivers || n->awaited.n)
		ev_timer_stop(n->loop, &n->idle);
	else if (!ev_is_active(&n->idle)) {
		ev_now_update(n->loop);
		ev_timer_set(&n->idle, n->stood ? 1. : 5., 0.);
		ev_timer_start(n->loop, &n->idle);
	}
}

/*
 * No program was here for a second; one that only looks, again and again, does not keep the node.  Who looks for a node
 * to join holds the lock while it does: without it we might vanish between its look and its HELLO.  With the lock taken,
 * whoever waits in the backlog still gets in.
 */
static void
on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct node *n = (struct node *)(void *)((char *)w - offsetof(struct node, idle));
	int fd = openat(n->dir, NODE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	(void)revents;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		ev_timer_set(w, 0.1, 0.);
		ev_timer_start(loop, w);
		return;
	}
	listener_poll(&n->listen);
	if (n->clients || n->awaited.n) {	/* somebody looks just now, or is about to join */
		ev_timer_set(w, 0.1, 0.);
		ev_timer_start(loop, w);
	} else {
		unlink_socket(n);
		listener_stop(&n->listen);
		n->listening = false;
		node_end(n, 0);
	}
	if (fd >= 0)
		close(fd);
}

static void
on_own(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	node_end((struct node *)(void *)((char *)w - offsetof(struct node, own)), 0);
}

/* --- start --------------------------------------------------------------------------------------------------------------- */

static int
set_resources(struct node *n, char *why, size_t nwhy)
{
	struct res total = { { 0 } };
	struct lease_limits limit = { NODE_WORKERS, NODE_ACTORS, 0 };
	int fds = fd_raise_limit(), cpus = proc_cpus();
	const char *eq;
	uint64_t v;

	total.v[RES_CPU] = n->o.cpus ? (int64_t)n->o.cpus : 1000 * cpus;
	total.v[RES_GPU] = (int64_t)gpus_find(n->gpu_name) * GPU_ONE;
	if (n->o.gpus >= 0)
		total.v[RES_GPU] = (int64_t)n->o.gpus * GPU_ONE;
	total.v[RES_MEM] = (int64_t)(n->o.memory ? n->o.memory : node_memory());
	limit.idle = (unsigned)(total.v[RES_CPU] / 1000) * 2 + 16;
	if (fds > 0 && fds < FDS_MIN) {
		snprintf(why, nwhy, "only %d open files are allowed, and a node needs %d: see 'ulimit -n'", fds, FDS_MIN);
		return -EMFILE;
	}
	n->clients_max = NODE_CLIENTS;
	if (fds > 0 && (unsigned)(fds - FDS_OWN) < (limit.workers + limit.actors) * FDS_PER_PROC + NODE_CLIENTS * FDS_PER_CLIENT) {
		unsigned room = (unsigned)(fds - FDS_OWN);

		n->clients_max = room / 4 / FDS_PER_CLIENT < NODE_CLIENTS ? room / 4 / FDS_PER_CLIENT : NODE_CLIENTS;
		n->clients_max = n->clients_max > 8 ? n->clients_max : 8;
		room = (room - n->clients_max * FDS_PER_CLIENT) / FDS_PER_PROC;
		limit.workers = room / 2 < limit.workers ? room / 2 : limit.workers;
		limit.actors = room - limit.workers < limit.actors ? room - limit.workers : limit.actors;
	}
	lease_init(&n->lease, &total, &limit);
	for (const char *const *r = n->o.resources; r && *r; r++) {
		unsigned i;

		if ((eq = strchr(*r, '=')) == NULL || num_u64(eq + 1, &v) < 0 || v > INT32_MAX / 1000 ||
		    (i = lease_resource(&n->lease, *r, (size_t)(eq - *r), true)) >= RES_MAX || i < RES_CUSTOM) {
			snprintf(why, nwhy, "cannot use resource '%s': expected NAME=N, at most %d of them", *r, RES_MAX - RES_CUSTOM);
			return -EINVAL;
		}
		n->lease.total.v[i] = n->lease.free.v[i] = (int64_t)v * 1000;
	}
	return 0;
}

static int
take_name(struct node *n, char *why, size_t nwhy)
{
	struct stat st;
	char lock[64];
	int fd, e;

	if ((n->dir = dir_open(n->dirname, sizeof n->dirname)) < 0) {
		snprintf(why, nwhy, "%s", dir_why());
		return n->dir;
	}
	if (n->o.heir.listen >= 0) {
		fd = heir_name(n);
		goto listening;
	}
	if (n->o.lasting) {
		snprintf(lock, sizeof lock, "%s.lock", n->o.socket);
		if ((n->lock = openat(n->dir, lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0 ||
		    flock(n->lock, LOCK_EX | LOCK_NB) < 0) {
			e = errno == EWOULDBLOCK ? -EBUSY : -errno;
			snprintf(why, nwhy, e == -EBUSY ? "a lasting node runs already in '%s'" : "cannot lock '%s'", n->dirname);
			return e;
		}
	}
	if ((fd = sock_connect(n->dir, n->o.socket)) >= 0) {
		close(fd);
		snprintf(why, nwhy, "a node runs already at '%s/%s'", n->dirname, n->o.socket);
		return -EBUSY;
	}
	if (fd == -EAGAIN || (fstatat(n->dir, n->o.socket, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(st.st_mode))) {
		snprintf(why, nwhy, fd == -EAGAIN ? "whoever listens at '%s/%s' does not answer" : "'%s/%s' is in the way: it is no socket",
		    n->dirname, n->o.socket);
		return -EEXIST;
	}
	unlinkat(n->dir, n->o.socket, 0);	/* a stale one */
	if ((fd = sock_listen(n->dir, n->o.socket)) < 0) {
		snprintf(why, nwhy, "cannot listen at '%s/%s': %s", n->dirname, n->o.socket, err_str(fd));
		return fd;
	}
	if (fstatat(n->dir, n->o.socket, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		n->sock_dev = st.st_dev;
		n->sock_ino = st.st_ino;
	}
listening:
	n->listening = true;
	n->listen.owner = n;
	n->listen.on_accept = join_accept;
	n->listen.on_full = join_full;
	listener_init(&n->listen, n->loop, fd);
	return 0;
}

static void
watch(struct node *n)
{
	ev_timer_init(&n->timer, on_timer, 0., 0.);
	ev_timer_init(&n->idle, on_idle, 1., 0.);
	ev_prepare_init(&n->turn, on_turn);
	ev_set_priority(&n->turn, 1);
	ev_prepare_start(n->loop, &n->turn);
	conn_set_init(&n->conns, n->loop);
	ev_signal_init(&n->term, on_term, SIGTERM);
	ev_signal_init(&n->intr, on_term, SIGINT);
	n->term.data = n->intr.data = n;
	ev_signal_start(n->loop, &n->term);
	ev_signal_start(n->loop, &n->intr);
	ev_io_init(&n->own, on_own, -1, EV_READ);
}

static uint64_t
spin_of(void)
{
	const char *s = getenv("ROTA_SPIN");
	uint64_t us;

	if (s && num_u64(s, &us) == 0)
		return us > 1000 ? 1000000 : us * 1000;
	return SPIN_NS;
}

static int
start(struct node *n, char *why, size_t nwhy)
{
	int e, fd;

	if ((n->null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return -errno;
	if ((e = zygote_start(n, why, nwhy)) < 0 || (e = set_resources(n, why, nwhy)) < 0)
		return e;		/* the zygote warms up while we go on */
	if (n->o.name)
		snprintf(n->name, sizeof n->name, "%s", n->o.name);
	else if (gethostname(n->name, sizeof n->name - 1) < 0 || n->name[0] == '\0')
		strcpy(n->name, "localhost");
	if ((e = take_name(n, why, nwhy)) == 0)
		logs_sweep(n->dir);
	if (e < 0 || (e = nodes_start(n, why, nwhy)) < 0 || (e = estate_start(n)) < 0 || (n->heir && (e = heir_page(n)) < 0) || (e = ctl_start(n, why, nwhy)) < 0)
		return e;
	if (!n->heir && ((e = n->np_fd = nodepage_create("rota-node", n->number, (uint32_t)(n->lease.total.v[RES_CPU] / 1000))) < 0 ||
	    (e = nodepage_map(n->np_fd, &n->np)) < 0))
		return e;
	fence_page(n);
	if ((e = memory_start(n)) < 0 || (e = watch_start(n)) < 0)
		return e;
	if ((n->bells = malloc(NODEPAGE_BELLS * sizeof *n->bells)) == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < NODEPAGE_BELLS; i++)	/* low ones first: they share pages */
		n->bells[i] = (uint16_t)(NODEPAGE_BELLS - 1 - i);
	n->nbells = NODEPAGE_BELLS;
	n->spin = spin_of();
	if (n->o.own && (fd = proc_pidfd(n->o.own)) >= 0) {
		ev_io_set(&n->own, fd, EV_READ);
		ev_io_start(n->loop, &n->own);
	}
	groups_start(n);
	if (n->heir)
		heir_start(n);
	if (n->o.lasting && n->o.key && (e = abroad_start(n, why, nwhy)) < 0)
		return e;
	nodes_news(n);
	estate_taken(n);
	estate_sync(n);
	hand_all(n);
	listener_start(&n->listen);	/* from here on whoever waits in the backlog is served */
	node_idle(n);
	return 0;
}

int
node_new(struct node **out, const struct node_opts *o, char *why, size_t nwhy)
{
	struct node *n = calloc(1, sizeof *n);
	int e = -ENOMEM;

	why[0] = '\0';
	if (n == NULL)
		goto fail;
	n->o = *o;
	n->heir = o->heir.listen >= 0;
	n->dir = n->lock = n->null = n->np_fd = n->zygote_fd.fd = n->own.fd = n->self.listener = -1;
	n->arena.fd = n->journal.fd = -1;
	n->since = clock_ns();
	list_init(&n->procs_list);
	list_init(&n->fork_queue);
	list_init(&n->reap);
	list_init(&n->strangers);
	list_init(&n->waiters);
	list_init(&n->wishes);
	actor_init(&n->actor);
	group_init(&n->group);
	if ((n->loop = ev_loop_new(EVFLAG_AUTO)) == NULL)
		goto fail;
	watch(n);
	if ((e = start(n, why, nwhy)) == 0) {
		*out = n;
		return 0;
	}
fail:
	if (why[0] == '\0')
		snprintf(why, nwhy, "cannot start the node: %s%s", err_str(e),
		    e == -EFBIG ? ": the limit of files (ulimit -f) is smaller than its memory, which counts as files" : "");
	node_free(n);
	return e;
}

int
node_run(struct node *n, int ready)
{
	if (ready >= 0) {
		(void)!write(ready, "\n", 1);
		close(ready);
	}
	ev_run(n->loop, 0);
	conn_set_flush(&n->conns);	/* last answers */
	return n->result;
}

void
node_free(struct node *n)
{
	struct list *l;

	if (n == NULL)
		return;
	node_heir_close(&n->o.heir);
	n->stopping = true;
	if (n->loop) {
		unlink_socket(n);
		if (n->listening)
			listener_stop(&n->listen);
		zygote_stop(n);
	}
	while ((l = list_first(&n->procs_list)) != NULL) {
		struct nproc *p = list_entry(l, struct nproc, link);

		list_del(&p->fork);
		proc_lost(p);
		proc_gone(p, ERR_CLOSED, "the node ends");
	}
	abroad_stop(n);
	watch_stop(n);
	chans_stop(n);
	actors_stop(n);
	nodes_stop(n);
	ctl_stop(n);		/* what it was asked counts on jobs, and these on where their output goes */
	jobs_stop(n);
	logs_stop(n);
	if (n->dir >= 0)
		logs_sweep(n->dir);	/* a daemon that was killed may have been dying when we came */
	kept_stop(n);
	memory_stop(n);
	journal_release(&n->journal);
	journal_read_release(&n->left);
	if (n->o.keeper >= 0)
		close(n->o.keeper);
	actor_release(&n->actor);
	group_release(&n->group);
	free(n->group_out.fx);
	set_release(&n->set);
	free(n->set_out.fx);
	if (n->lease.demands.next)
		lease_release(&n->lease);
	free(n->lease_out.fx);
	free(n->actor_out.fx);
	map_release(&n->procs);
	map_release(&n->awaited);
	kv_stop(n);
	map_release(&n->rings);
	free(n->bells);
	seg_unmap(n->np, sizeof *n->np);
	if (n->loop) {
		conn_set_release(&n->conns);
		ev_loop_destroy(n->loop);
	}
	for (size_t i = 0; i < 5; i++) {
		int fd = (int[]){ n->dir, n->lock, n->null, n->np_fd, n->own.fd }[i];

		if (fd >= 0)
			close(fd);
	}
	free(n);
}
