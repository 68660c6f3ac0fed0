/*
 * open - finding the node, starting one, saying hello, and goodbye.
 *
 * Which node: opts.address, else ROTA_ADDRESS; else this user's lasting node (local.sock), else the ephemeral one
 * (shared.sock), which the first program starts: a lock on ROTA_DIR/lock elects it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/num.h"
#include "client/inner.h"
#include "client/named.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/proc.h"
#include "os/seg.h"
#include "os/sock.h"
#include "wire/frame.h"

#define READY_MS 10000		/* a node that is started answers within this */
#define WELCOME_FDS 4
#define TRIES 100		/* the node's daemon may die while we join, and be followed by another one, again and again */

extern char **environ;

static int
say(char *why, size_t n, int e, const char *fmt, const char *arg)
{
	int k = snprintf(why, n, fmt, arg);

	if (e > -1000 && k > 0 && (size_t)k < n)
		snprintf(why + k, n - (size_t)k, ": %s", err_str(e));
	return e;
}

/* --- starting a node ------------------------------------------------------------------------------------------ */

static int
rlet_path(char *p, size_t n)
{
	static const char *const at[] = { "/rlet", "/../bin/rlet", "/../sbin/rlet", "/../../bin/rlet", "/../../../bin/rlet",
	    "/../../../sbin/rlet" };
	char self[PATH_MAX - 64], *slash;
	const char *bin = getenv("ROTA_BIN");
	Dl_info lib;
	ssize_t k;

	if (bin && snprintf(p, n, "%s/rlet", bin) < (int)n && access(p, X_OK) == 0)
		return 0;
	if ((k = readlink("/proc/self/exe", self, sizeof self - 1)) < 0)
		return -errno;
	self[k] = '\0';
	for (unsigned of = 0; of < 2; of++) {	/* beside the program; beside the library or module that this is part of */
		if ((slash = strrchr(self, '/')))
			*slash = '\0';
		for (size_t i = 0; i < sizeof at / sizeof *at; i++)
			if (snprintf(p, n, "%s%s", self, at[i]) < (int)n && access(p, X_OK) == 0)
				return 0;
		if (!dladdr(at, &lib) || !lib.dli_fname || snprintf(self, sizeof self, "%s", lib.dli_fname) >= (int)sizeof self)
			break;
	}
	snprintf(p, n, "rlet");			/* PATH decides */
	return 0;
}

/* lock: -1, or a descriptor that rlet holds as its standard input until it serves: we may die meanwhile */
static int
start_node(const struct client_opts *o, const char *socket, int lock, char *why, size_t n)
{
	char path[PATH_MAX], fd[16], cpus[16], own[16];
	char *argv[16], **a = argv;
	int p[2], null = open("/dev/null", O_RDWR|O_CLOEXEC), e;
	struct pollfd pf;
	struct proc_spawn s = PROC_SPAWN_INIT;
	char c;

	if (null < 0 || pipe2(p, O_CLOEXEC) < 0)
		return say(why, n, -errno, "cannot start a node%s", "");
	if (fcntl(p[1], F_SETFD, 0) < 0 || rlet_path(path, sizeof path) < 0)
		return say(why, n, -errno, "cannot start a node%s", "");
	snprintf(fd, sizeof fd, "%d", p[1]);
	*a++ = path;
	*a++ = "-p";
	*a++ = "--ready-fd";
	*a++ = fd;
	*a++ = "--socket";
	*a++ = (char *)socket;
	if (strncmp(socket, "own-", 4) == 0) {
		snprintf(own, sizeof own, "%d", (int)getpid());
		*a++ = "--own";
		*a++ = own;
	}
	if (o->store) {
		*a++ = "--store";
		*a++ = (char *)o->store;
	}
	if (o->cpus) {
		snprintf(cpus, sizeof cpus, "%u", o->cpus);
		*a++ = "-c";
		*a++ = cpus;
	}
	if (o->gpus) {
		*a++ = "-g";
		*a++ = (char *)o->gpus;
	}
	*a = NULL;
	s.argv = argv;
	s.in = lock >= 0 ? lock : null;
	s.out = null;
	s.group = true;
	e = proc_spawn(&s);
	close(p[1]);
	close(null);
	if (e < 0) {
		close(p[0]);
		return say(why, n, e, "cannot start '%s'", path);
	}
	pf = (struct pollfd){ .fd = p[0], .events = POLLIN };
	e = poll(&pf, 1, READY_MS) == 1 && read(p[0], &c, 1) == 1 ? 0 : ERR_NO_CLUSTER;
	close(p[0]);
	return e < 0 ? say(why, n, e, "the node that was started ('%s') did not become ready", path) : 0;
}

/* the ephemeral node: connected, or started by whoever gets the lock */
static int
shared(int dir, const struct client_opts *o, char *why, size_t n)
{
	int lock, e, fd;

	if ((fd = sock_connect(dir, DIR_SHARED)) >= 0 || !o->may_start)
		return fd;
	if (fd == -EAGAIN)
		return say(why, n, ERR_NO_CLUSTER, "the node does not answer%s", "");
	if ((lock = openat(dir, "lock", O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600)) < 0)
		return say(why, n, -errno, "cannot lock%s", " ROTA_DIR");
	if (flock(lock, LOCK_EX) < 0) {
		e = -errno;
		close(lock);
		return e;
	}
	if ((fd = sock_connect(dir, DIR_SHARED)) < 0) {
		e = start_node(o, DIR_SHARED, lock, why, n);
		fd = e < 0 ? e : sock_connect(dir, DIR_SHARED);
	}
	close(lock);
	return fd;
}

static int
private(int dir, const struct client_opts *o, const char *name, char *why, size_t n)
{
	int e;

	e = start_node(o, name, -1, why, n);
	return e < 0 ? e : sock_connect(dir, name);
}

static bool
process_lives(const char *digits)
{
	unsigned pid;

	return num_uint(digits, &pid) == 0 && pid > 0 && pid <= INT_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static int
home(struct home *h, int fd, const char *dir, const char *name)
{
	if (fd >= 0 && strlen(dir) < sizeof h->dir && strlen(name) < sizeof h->name) {
		strcpy(h->dir, dir);
		strcpy(h->name, name);
	}
	return fd;
}

static int
connect_to(const char *address, const struct client_opts *o, struct home *h, char *why, size_t n)
{
	const char *key = getenv("ROTA_KEY");
	char path[PATH_MAX], name[64], known[PATH_MAX];
	int dir, fd, e;

	*why = '\0';
	if (key && *key && !strchr(key, '/') && access(key, F_OK) < 0) {
		snprintf(why, n, "ROTA_KEY is the name of a file, not the key itself");
		return -EACCES;
	}
	if (address && strncmp(address, "unix:", 5) == 0) {
		fd = home(h, sock_connect(AT_FDCWD, address + 5), "", address + 5);
		if (fd < 0)
			say(why, n, fd, "cannot connect to '%s'", address + 5);
		return fd < 0 ? ERR_NO_CLUSTER : fd;
	}
	if ((dir = dir_open(path, sizeof path)) < 0)
		return say(why, n, ERR_NO_CLUSTER, "cannot use ROTA_DIR: %s", dir_why());
	if (!address || !*address) {
		if ((fd = home(h, sock_connect(dir, DIR_LOCAL), path, DIR_LOCAL)) < 0 &&
		    (fd = home(h, shared(dir, o, why, n), path, DIR_SHARED)) < 0 && !*why)
			say(why, n, ERR_NO_CLUSTER, "no node is running%s", "");
	} else if (strcmp(address, "local") == 0) {
		if ((fd = home(h, sock_connect(dir, DIR_LOCAL), path, DIR_LOCAL)) < 0)
			say(why, n, ERR_NO_CLUSTER, "no lasting node is running; start one with 'rota up'%s", "");
	} else if (strcmp(address, "private") == 0) {
		snprintf(name, sizeof name, "own-%d.sock", (int)getpid());
		fd = home(h, private(dir, o, name, why, n), path, name);
	} else if (strncmp(address, "pid:", 4) == 0) {
		snprintf(name, sizeof name, "own-%s.sock", address + 4);
		if ((fd = home(h, sock_connect(dir, name), path, name)) < 0 &&
		    (!process_lives(address + 4) || (fd = home(h, sock_connect(dir, DIR_SHARED), path, DIR_SHARED)) < 0))
			say(why, n, ERR_NO_CLUSTER, "no private node %s is running", address + 4);
	} else if ((e = named_find(address, known, sizeof known)) == 0) {
		fd = *known ? home(h, sock_connect(AT_FDCWD, known), "", known) : home(h, sock_connect(dir, DIR_LOCAL), path, DIR_LOCAL);
		if (fd < 0)
			say(why, n, ERR_NO_CLUSTER, "the node of cluster '%s' here does not run; rota up starts it again", address);
	} else {
		fd = ERR_NO_CLUSTER;
		say(why, n, fd, e == -EHOSTUNREACH ? "cluster '%s' has no node on this machine: start programs on its hosts, as rota exec does" :
		    "no cluster '%s' is known here: use local, private, pid:N or unix:/path", address);
	}
	close(dir);
	return fd < 0 ? ERR_NO_CLUSTER : fd;
}

/* --- hello ------------------------------------------------------------------------------------------------------ */

static int
output_mode(const struct client_opts *o, char *why, size_t n)
{
	static const char *const word[] = { "collapse", "all", "none" };
	const char *env = getenv("ROTA_OUTPUT"), *is = o->output ? o->output : env && *env ? env : word[0];

	for (unsigned i = 0; i < sizeof word / sizeof *word; i++)
		if (strcmp(is, word[i]) == 0)
			return (int)i;
	snprintf(why, n, "%s is '%s': expected collapse, all or none", o->output ? "output" : "ROTA_OUTPUT", is);
	return -EINVAL;
}

int
home_send(int sock, struct buf *b, const int *fds, int n)
{
	int e;

	frame_set_nfd(b->data, (unsigned)n);
	e = fd_send(sock, b->data, b->len, fds, n);
	return e < 0 ? e : (size_t)e == b->len ? 0 : fd_write_all(sock, b->data + e, b->len - (size_t)e);
}

static int
hello(const struct client *c, bool tool, char *why, size_t n)
{
	const char *ns = c->home.namespace, *name = c->home.as;
	struct msg_hello m = { .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .role = tool ? ROLE_TOOL : ROLE_DRIVER,
	    .pid = (uint64_t)getpid(), .name = span_of(name, strlen(name)), .namespace = span_of(ns, strlen(ns)),
	    .lua = span_of(LUA_RELEASE, strlen(LUA_RELEASE)), .output = c->home.output };
	struct buf b = BUF_INIT;
	int e = msg_put_hello(&b, &m);

	if (e == 0)
		e = home_send(c->sock, &b, &c->home.err, fcntl(c->home.err, F_GETFD) >= 0);
	buf_release(&b);
	return e < 0 ? say(why, n, e, "the node does not listen%s", "") : 0;
}

/* reads WELCOME, blocking; what follows it stays in c->in */
static int
welcome(struct client *c, int fds[WELCOME_FDS], char *why, size_t n)
{
	struct msg_fail f;
	struct frame fr;
	ssize_t k;

	for (;;) {
		int got[FD_MAX], ngot = FD_MAX;

		if ((k = frame_parse(&fr, c->in.data, c->in.len, FRAME_MAX)) != ERR_PARTIAL)
			break;
		if (buf_reserve(&c->in, 65536) < 0)
			return -ENOMEM;
		k = fd_recv(c->sock, c->in.data + c->in.len, 65536, got, &ngot);
		if (k == -EMFILE)
			return say(why, n, -EMFILE, "cannot take what the node gave%s", "");
		if (k <= 0)
			return say(why, n, k == -EAGAIN ? ERR_NO_CLUSTER : ERR_CLOSED,
			    k == -EAGAIN ? "the node does not answer%s" : "the node ended while it was joined%s", "");
		c->in.len += (size_t)k;
		for (int i = 0; i < ngot; i++) {
			if (c->nfds < sizeof c->fds / sizeof *c->fds)
				c->fds[c->nfds++] = got[i];
			else
				close(got[i]);
		}
	}
	if (k < 0)
		return say(why, n, ERR_PROTO, "whoever listens there is no node%s", "");
	if (fr.type == MSG_FAIL_T && msg_get_fail(&f, fr.body, fr.len) == 0) {
		snprintf(why, n, "%.*s", (int)f.text.n, (const char *)f.text.p);
		return f.code < 0 ? (int)f.code : ERR_PROTO;
	}
	if (fr.type != MSG_WELCOME_T || fr.nfd != WELCOME_FDS || c->nfds < WELCOME_FDS ||
	    msg_get_welcome(&c->me, fr.body, fr.len) < 0 || c->me.bell >= NODEPAGE_BELLS)
		return say(why, n, ERR_PROTO, "the node's welcome makes no sense%s", "");
	snprintf(c->node_name, sizeof c->node_name, "%.*s", (int)c->me.node_name.n, (const char *)c->me.node_name.p);
	snprintf(c->namespace, sizeof c->namespace, "%.*s", (int)c->me.namespace.n, (const char *)c->me.namespace.p);
	c->me.node_name = span_of(c->node_name, strlen(c->node_name));
	c->me.namespace = span_of(c->namespace, strlen(c->namespace));
	memcpy(fds, c->fds, WELCOME_FDS * sizeof *fds);
	c->nfds -= WELCOME_FDS;
	memmove(c->fds, c->fds + WELCOME_FDS, c->nfds * sizeof *c->fds);
	buf_drop(&c->in, (size_t)k);
	return 0;
}

/* maps what WELCOME brought; the descriptors are closed either way, but the arena's stays */
static int
adopt(struct client *c, const int fds[WELCOME_FDS])
{
	const char *spin = getenv("ROTA_SPIN");
	int e;

	if ((e = page_map(fds[0], &c->page, 1)) == 0 && (e = nodepage_map(fds[1], &c->np)) == 0 &&
	    (e = arena_attach(&c->arena, fds[2], (uint32_t)c->me.proc)) == 0)
		e = slab_init(&c->slab, fds[3]);
	for (int i = 0; i < WELCOME_FDS; i++)
		if (e < 0 || (i != 2 && (c->worker || (i != 0 && i != 3))))
			close(fds[i]);
	if (e < 0)
		return e;
	if (!c->worker) {			/* to be shown to a daemon that takes over */
		c->home.page = fds[0];
		c->home.slab = fds[3];
	}
	c->arena_fd = fds[2];			/* client_arena_fd */
	c->bell = &c->np->bell[c->me.bell];
	atomic_store_explicit(&c->page->pid, (uint32_t)getpid(), memory_order_relaxed);
	if (spin && strcmp(spin, "auto") != 0)
		c->me.spin = strtoul(spin, NULL, 10) * 1000;
	c->spin_ns = c->me.spin > SPIN_MAX_NS ? SPIN_MAX_NS : (uint32_t)c->me.spin;
	c->way.most = GIVEWAY_SPIN * c->spin_ns;
	giveway_slept(&c->way, 0);
	return fd_nonblock(c->sock);
}

static struct client *
fresh(int sock)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->sock = sock;
	c->arena_fd = -1;
	c->main = pthread_self();
	c->nudge = -1;
	c->here_max = 64;
	c->next_task = 1;
	c->most = CLIENT_TASKS;
	c->most_bytes = CLIENT_BYTES;
	list_init(&c->asks);
	list_init(&c->drains);
	list_init(&c->lineage);
	list_init(&c->lineage_dying);
	list_init(&c->chans);
	c->home.err = c->home.page = c->home.slab = -1;
	return c;
}

static void
discard(struct client *c)
{
	for (unsigned i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	if (c->arena_fd >= 0)
		close(c->arena_fd);
	close(c->sock);
	if (c->home.page >= 0)
		close(c->home.page);
	if (c->home.slab >= 0)
		close(c->home.slab);
	free(c->home.as);
	free(c->home.namespace);
	buf_release(&c->in);
	free(c);
}

static int
open_at(struct client **out, int sock, const struct home *h, const struct client_opts *o, char *why, size_t n)
{
	const char *ns = o->namespace ? o->namespace : getenv("ROTA_NAMESPACE");
	int fds[WELCOME_FDS], e;
	struct client *c;

	if (!(c = fresh(sock))) {
		close(sock);
		return -ENOMEM;
	}
	c->home = *h;
	c->home.as = strdup(o->name ? o->name : "?");
	c->home.namespace = strdup(ns ? ns : "");
	e = c->home.as && c->home.namespace ? output_mode(o, why, n) : -ENOMEM;
	c->home.output = (uint64_t)e;
	if (e < 0 || (e = hello(c, o->tool, why, n)) < 0 || (e = welcome(c, fds, why, n)) < 0) {
		discard(c);
		return e;
	}
	if ((e = adopt(c, fds)) < 0 || (e = service_start(c)) < 0) {
		discard(c);
		return say(why, n, e, "cannot map what the node gave%s", "");
	}
	*out = c;
	return 0;
}

int
client_open(struct client **out, const struct client_opts *o, char *why, size_t n)
{
	const char *address = o->address ? o->address : getenv("ROTA_ADDRESS");
	struct home h = { .err = o->err >= 0 ? o->err : 2, .page = -1, .slab = -1 };
	int sock, e;

	for (int tries = 0;; tries++) {
		if ((sock = connect_to(address, o, &h, why, n)) < 0)
			return sock;
		e = open_at(out, sock, &h, o, why, n);
		if ((e != -EPIPE && e != -ECONNRESET && e != ERR_CLOSED) || tries == TRIES)
			return e == ERR_CLOSED ? ERR_NO_CLUSTER : e;
	}
}

int
client_open_worker(struct client **out, int fd, char *why, size_t n)
{
	int fds[WELCOME_FDS], e;
	struct client *c = fresh(fd);

	if (!c)
		return -ENOMEM;
	c->worker = true;
	c->cpus = 1000;
	if ((e = welcome(c, fds, why, n)) < 0 || (e = adopt(c, fds)) < 0) {
		discard(c);
		return e;
	}
	limit_start(c);
	lock_take(&c->lock);
	link_read_l(c);			/* RING or ACTOR_START lie there already */
	lock_drop(&c->lock);
	*out = c;
	return 0;
}

/* --- goodbye ------------------------------------------------------------------------------------------------------- */

static void
descriptors_close(struct client *c)
{
	int *fd[] = { &c->arena_fd, &c->home.page, &c->home.slab };

	for (unsigned i = 0; i < sizeof fd / sizeof *fd; i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
	close(c->sock);
}

void
client_close(struct client *c)
{
	bool unsure;

	client_output(c, clock_ns() + CLOCK_SEC);
	lock_take(&c->lock);
	unsure = c->unsure.len > 0;		/* the end of an actor, say, which no daemon may have heard of: one has died */
	lock_drop(&c->lock);
	if (unsure)
		client_output(c, clock_ns() + SOCK_WAIT * CLOCK_SEC);
	lock_take(&c->lock);
	c->leaving = true;
	link_leave(c);
	LINK_SEND(c, bye, .reason = 0);
	lock_drop(&c->lock);
	fd_stop(c);
	service_stop(c);
	descriptors_close(c);			/* the rest goes with the process, or is small */
	snprintf(c->why, sizeof c->why, "closed");
	c->lost = true;
}

uint64_t
client_cpus(const struct client *c)
{
	return c->me.cpus + atomic_load_explicit(&c->np->abroad, memory_order_relaxed);
}

const struct msg_welcome *
client_welcome(const struct client *c)
{
	return &c->me;
}

const char *
client_lost(struct client *c)
{
	return c->lost ? c->why : NULL;
}

const char *
client_full(const struct client *c)
{
	return c->why_full;
}
