/* node_rlet.c - the node over its socket: joining, leases, rings, memory, kept objects, routes and every kind of death */
#include <sched.h>
#include "tap.h"
#include "peer.h"
#include "store/arena.h"
#include "wire/le.h"
#include "wire/val.h"

static struct peer a;			/* a driver that stays */
static struct buf rows;

struct lent {				/* a lease as its submitter has it */
	struct msg_grant g;
	struct ring_sub ring;
};

static struct lent
granted(struct peer *p)
{
	struct lent l = { 0 };
	struct got g;

	PEER_NEED(peer_wait(p, &g, MSG_GRANT_T) == 1 && msg_get_grant(&l.g, g.p, g.n) == 0 && g.nfd == 2);
	PEER_NEED(ring_map(g.fd[0], &l.ring.shm) == 0);
	peer_done(p, &g);
	return l;
}

static bool
runs(struct peer *p, struct lent *l)	/* a task goes there and its end comes back; what it is does not matter here */
{
	uint64_t end = clock_ns() + (uint64_t)PEER_MS * 1000000;
	uint32_t slot = 4711 + (uint32_t)l->ring.tail;
	struct done *d;

	ring_push(&l->ring, slot);
	bell_ring(p->np, &p->np->bell[l->g.bell]);
	while ((d = ring_completion(&l->ring)) == NULL)
		if (clock_ns() > end || atomic_load(&l->ring.shm->dead))
			return false;
	ring_take(&l->ring);
	return d->slot == slot;
}

static bool
says(struct peer *p, unsigned type, int64_t code, const char *text)	/* FAIL or DEAD with that */
{
	struct msg_fail f = { 0 };
	struct msg_dead d = { 0 };
	struct span s;
	struct got g;
	bool good;

	if (peer_wait(p, &g, type) != 1)
		return false;
	if (type == MSG_FAIL_T)
		msg_get_fail(&f, g.p, g.n);
	else
		msg_get_dead(&d, g.p, g.n);
	s = type == MSG_FAIL_T ? f.text : d.text;
	good = (type == MSG_FAIL_T ? f.code : d.code) == code && s.p && memmem(s.p, s.n, text, strlen(text));
	if (!good)
		printf("# %lld %.*s\n", (long long)(type == MSG_FAIL_T ? f.code : d.code), (int)s.n, (const char *)s.p);
	peer_done(p, &g);
	return good;
}

static pid_t
worker_pid(uint32_t proc)		/* soon: a worker may run before the zygote has told rlet who it is */
{
	uint64_t end = clock_ns() + (uint64_t)PEER_MS * 1000000;

	do {
		unsigned n = peer_list(&a, "workers", &rows);

		for (unsigned i = 0; i < n; i++)
			if (peer_number(&rows, i, "proc") == proc && peer_number(&rows, i, "pid") > 0)
				return (pid_t)peer_number(&rows, i, "pid");
	} while (clock_ns() < end);
	return 0;
}

static int64_t
node_figure(const char *column)
{
	return peer_list(&a, "nodes", &rows) == 1 ? peer_number(&rows, 0, column) : -1;
}

static bool
becomes(const char *column, int64_t v)	/* the node's figure, soon: each question is a round trip, nothing is slept */
{
	uint64_t end = clock_ns() + (uint64_t)PEER_MS * 1000000;

	while (node_figure(column) != v)
		if (clock_ns() > end)
			return false;
	return true;
}

static void
joining(void)
{
	static const unsigned char junk[64] = { 0xff, 0xff, 0xff, 0x7f, 1, 0, 1 };
	struct peer b, c;
	struct got g;

	peer_open(&b, ROLE_TOOL);
	ok(b.w.proc != a.w.proc && b.w.bell != a.w.bell && b.w.job == 0 && a.w.job == 1);
	PEER_SEND(&b, lease, .req = 1, .cpus = 1000, .want = 1);
	ok(says(&b, MSG_FAIL_T, -EPERM, "a tool runs no tasks"));
	peer_close(&b);

	peer_connect(&c);
	PEER_SEND(&c, hello, .proto_min = 7, .proto_max = 9, .role = ROLE_DRIVER, .name = span_of("new", 3));
	ok(says(&c, MSG_FAIL_T, ERR_PROTO, "this node speaks protocol 1, new speaks 7 to 9"));
	ok(peer_next(&c, &g, PEER_MS) < 0);
	peer_close(&c);

	peer_connect(&c);			/* a body over the limit, nonsense, a message before HELLO, silence and an end */
	(void)!write(c.fd, junk, sizeof junk);
	ok(peer_next(&c, &g, PEER_MS) < 0);
	peer_close(&c);
	peer_connect(&c);
	PEER_SEND(&c, bye, .reason = 0);
	ok(peer_next(&c, &g, PEER_MS) < 0);
	peer_close(&c);
	peer_connect(&c);
	(void)!write(c.fd, junk, 5);
	peer_close(&c);
	peer_connect(&c);
	peer_close(&c);
	peer_open(&c, ROLE_DRIVER);		/* afterwards too */
	(void)!write(c.fd, junk, sizeof junk);
	ok(peer_next(&c, &g, PEER_MS) < 0);
	peer_close(&c);
	ok(becomes("drivers", 1));
}

static void
leases(void)
{
	struct lent l, m;
	uint32_t proc;

	PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 2);
	l = granted(&a);
	m = granted(&a);
	ok(l.g.req == 1 && l.g.shape == 1 && l.g.proc != m.g.proc && l.g.bell != m.g.bell);
	ok(runs(&a, &l) && runs(&a, &m) && runs(&a, &l));
	PEER_SEND(&a, lease, .req = 2, .shape = 2, .cpus = 64000, .want = 1);
	ok(says(&a, MSG_FAIL_T, ERR_INFEASIBLE, "needs 64 cpus; this node has 2"));
	PEER_SEND(&a, lease, .req = 3, .shape = 3, .resources = span_of("\x81\xa3ssd\xcd\x03\xe8", 8), .want = 1);
	ok(says(&a, MSG_FAIL_T, ERR_INFEASIBLE, "needs 1 ssd; this node has 0"));

	proc = (uint32_t)l.g.proc;		/* given back and lent again: the same warm process */
	PEER_SEND(&a, return, .lease = l.g.lease);
	ring_unmap(l.ring.shm);
	PEER_SEND(&a, lease, .req = 4, .shape = 1, .cpus = 1000, .want = 2);
	l = granted(&a);
	ok(l.g.proc == proc && runs(&a, &l));

	PEER_SEND(&a, kill, .lease = l.g.lease, .task = 12345);	/* it does not run that */
	ok(runs(&a, &l));
	PEER_SEND(&a, kill, .lease = l.g.lease);
	ok(says(&a, MSG_DEAD_T, ERR_CRASHED, "killed by SIGKILL"));
	ok(atomic_load(&l.ring.shm->dead) == RING_DEAD_WORKER);
	ring_unmap(l.ring.shm);
	ok(kill(worker_pid((uint32_t)m.g.proc), SIGABRT) == 0);
	ok(says(&a, MSG_DEAD_T, ERR_CRASHED, "killed by SIGABRT"));
	ring_unmap(m.ring.shm);
}

static void
sharing(void)				/* a second driver gets a worker from the first, who was lent both CPUs */
{
	struct lent l, m, k;
	struct msg_want w;
	struct peer b;
	struct got g;

	PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 2);
	l = granted(&a);
	m = granted(&a);
	peer_open(&b, ROLE_DRIVER);
	PEER_SEND(&b, lease, .req = 1, .shape = 9, .cpus = 1000, .want = 2);
	ok(peer_wait(&a, &g, MSG_WANT_T) == 1 && msg_get_want(&w, g.p, g.n) == 0);
	peer_done(&a, &g);
	ok(atomic_load(&(w.lease == l.g.lease ? l : m).ring.shm->want) >= 1);
	PEER_SEND(&a, return, .lease = w.lease);
	k = granted(&b);
	ok(runs(&b, &k) && worker_pid((uint32_t)k.g.proc) > 0);
	peer_close(&b);
	ring_unmap(k.ring.shm);
	ok(becomes("drivers", 1));
	PEER_SEND(&a, return, .lease = w.lease == l.g.lease ? m.g.lease : l.g.lease);
	ring_unmap(l.ring.shm);
	ring_unmap(m.ring.shm);
	ok(becomes("cpus_free", 2));
}

static void
lend(struct peer *p, struct arena *ar, uint64_t bytes)
{
	struct msg_lent l;
	struct got g;

	PEER_SEND(p, extent, .req = 1, .bytes = bytes);
	PEER_NEED(peer_wait(p, &g, MSG_LENT_T) == 1 && msg_get_lent(&l, g.p, g.n) == 0 && l.bytes >= bytes);
	peer_done(p, &g);
	PEER_NEED(arena_lend(ar, l.off, l.bytes) == 0);
}

static void
memory(void)
{
	struct arena ar = ARENA_INIT;
	struct msg_lent l;
	struct peer b;
	struct got g;

	PEER_NEED(arena_attach(&ar, a.arena, (uint32_t)a.w.proc) == 0);
	PEER_SEND(&a, extent, .req = 5, .bytes = 1 << 30);
	ok(says(&a, MSG_FAIL_T, ERR_FULL, "the object store is full"));
	lend(&a, &ar, 40 << 20);
	peer_open(&b, ROLE_DRIVER);
	PEER_SEND(&b, extent, .req = 6, .bytes = 40 << 20, .wait = 50);
	ok(says(&b, MSG_FAIL_T, ERR_FULL, "no room for 40.0 MiB of 64 MiB"));
	PEER_SEND(&b, extent, .req = 7, .bytes = 40 << 20, .wait = PEER_MS);
	ok(peer_wait(&a, &g, MSG_COLLECT_T) == 1);	/* everybody is asked to let go */
	peer_done(&a, &g);
	ar.reserve = 0;
	while (arena_spare(&ar, &l.off, &l.bytes))
		PEER_SEND(&a, unlend, .off = l.off, .bytes = l.bytes);
	ok(peer_wait(&b, &g, MSG_LENT_T) == 1);
	peer_done(&b, &g);
	peer_close(&b);
	ok(becomes("arena_used", 0));			/* what a dead process had is free again */
	arena_release(&ar);
}

static struct id
object(struct peer *p, struct arena *ar, struct obj *o)
{
	struct id id = id_make((uint32_t)p->w.node, (uint32_t)p->w.proc, 7, 0);

	PEER_NEED(arena_new(ar, id, NULL, 0, 1000, o) == 0);
	memset(o->head, 'x', 1000);
	arena_seal(ar, o->off);
	return id;
}

static void
keeping(void)
{
	struct arena ar = ARENA_INIT;
	char text[ID_TEXT];
	struct msg_found f;
	struct msg_route r;
	struct wref w;
	struct peer b;
	struct obj o;
	struct got g;
	struct id id;

	peer_open(&b, ROLE_TOOL);
	PEER_NEED(arena_attach(&ar, b.arena, (uint32_t)b.w.proc) == 0);
	lend(&b, &ar, 1 << 20);
	id = object(&b, &ar, &o);
	PEER_SEND(&b, keep, .req = 1, .id = id, .off = o.off, .gen = o.gen + 1u);
	ok(says(&b, MSG_FAIL_T, ERR_NOTFOUND, "not there"));
	PEER_SEND(&b, keep, .req = 1, .id = id, .off = o.off, .gen = o.gen, .name = span_of("blue", 4));
	ok(peer_wait(&b, &g, MSG_OK_T) == 1);
	peer_done(&b, &g);
	PEER_SEND(&a, lookup, .req = 2, .text = span_of("blue", 4));
	ok(peer_wait(&a, &g, MSG_FOUND_T) == 1 && msg_get_found(&f, g.p, g.n) == 0 && id_eq(f.id, id) && f.size == 1000);
	peer_done(&a, &g);
	id_format(text, id);
	PEER_SEND(&a, lookup, .req = 3, .text = span_of(text, 12));
	ok(peer_wait(&a, &g, MSG_FOUND_T) == 1);
	peer_done(&a, &g);
	PEER_SEND(&a, lookup, .req = 4, .text = span_of("green", 5));
	ok(says(&a, MSG_FAIL_T, ERR_NOTFOUND, "no object 'green'"));

	arena_release(&ar);			/* its maker goes, the object stays: the node answers for it */
	peer_close(&b);
	do
		PEER_SEND(&a, route, .proc = id.proc, .kind = ROUTE_ASK, .id = id);
	while (peer_next(&a, &g, PEER_MS) == 1 && g.type != MSG_ROUTE_T && (peer_done(&a, &g), 1));
	ok(msg_get_route(&r, g.p, g.n) == 0 && r.kind == ROUTE_ANSWER && r.arg == 2 && r.body.n == WREF_SIZE);
	val_wref_unpack(&w, r.body.p);
	ok(id_eq(w.id, id) && w.off == o.off && w.gen == o.gen);
	peer_done(&a, &g);
	ok(peer_list(&a, "objects", &rows) == 1 && peer_number(&rows, 0, "size") == 1000);

	atomic_store(&a.page->pin[3], pin_name(o.off, o.gen));	/* somebody reads it: removed, but not reused */
	PEER_SEND(&a, remove, .req = 5, .id = id);
	ok(peer_wait(&a, &g, MSG_OK_T) == 1);
	peer_done(&a, &g);
	ok(node_figure("arena_used") > 0);
	atomic_store(&a.page->pin[3], 0);
	ok(becomes("arena_used", 0));
	PEER_SEND(&a, remove, .req = 6, .id = id);
	ok(says(&a, MSG_FAIL_T, ERR_NOTFOUND, "does not keep it"));
}

static void
routes(void)
{
	struct msg_route r;
	struct peer b;
	struct got g;

	peer_open(&b, ROLE_DRIVER);
	PEER_SEND(&a, route, .proc = b.w.proc, .kind = ROUTE_NAME, .arg = 77, .body = span_of("gprint", 6));
	ok(peer_wait(&b, &g, MSG_ROUTE_T) == 1 && msg_get_route(&r, g.p, g.n) == 0 && r.proc == a.w.proc && r.arg == 77 &&
	    r.body.n == 6);
	peer_done(&b, &g);
	peer_close(&b);
	ok(says(&a, MSG_DEAD_T, ERR_CLOSED, "gone"));	/* both knew each other */
	PEER_SEND(&a, route, .proc = 424242, .kind = ROUTE_ASK);
	ok(says(&a, MSG_DEAD_T, ERR_CRASHED, "gone"));
}

static void
actors(void)
{
	struct msg_actor_state s;
	struct msg_actor m;
	struct got g;

	struct buf both = BUF_INIT;	/* at once: the first one dies soon */

	for (uint64_t req = 1; req <= 2; req++)
		PEER_NEED(msg_put_actor_new(&both, &(struct msg_actor_new){ .req = req, .name = span_of("hits", 4),
		    .class = span_of("C", 1), .spec = span_of("bad", 3) }) == 0);
	PEER_NEED(fd_write_all(a.fd, both.data, both.len) == 0);
	buf_release(&both);
	ok(peer_wait(&a, &g, MSG_ACTOR_T) == 1 && msg_get_actor(&m, g.p, g.n) == 0 && m.actor == 1);
	peer_done(&a, &g);
	ok(says(&a, MSG_FAIL_T, -EEXIST, "an actor 'hits' exists in namespace '1'"));
	PEER_SEND(&a, actor_open, .req = 3, .actor = 1);
	ok(peer_wait(&a, &g, MSG_ACTOR_STATE_T) == 1 && msg_get_actor_state(&s, g.p, g.n) == 0 && s.state == ACTOR_DEAD);
	peer_done(&a, &g);
	ok(says(&a, MSG_FAIL_T, ERR_ACTOR_DIED, "its constructor failed"));
	PEER_SEND(&a, actor_drop, .actor = 1);
	PEER_SEND(&a, actor_find, .req = 4, .name = span_of("hits", 4));
	ok(says(&a, MSG_FAIL_T, ERR_NOTFOUND, "no actor 'hits' in namespace '1'"));
	PEER_SEND(&a, actor_new, .req = 5, .class = span_of("C", 1), .spec = span_of("bad", 3), .cpus = 9000);
	ok(says(&a, MSG_FAIL_T, ERR_INFEASIBLE, "needs 9 cpus; this node has 2"));
}

/* A driver in a process of its own, killed at the given point of its life. */
static void
victim(int point)
{
	struct arena ar = ARENA_INIT;
	struct peer b;
	struct lent l;
	struct obj o;
	int p[2];
	pid_t pid;
	char c;

	PEER_NEED(pipe(p) == 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		peer_rlet = 0;
		if (point > 0)
			peer_open(&b, ROLE_DRIVER);
		else
			peer_connect(&b);
		if (point > 1)
			PEER_SEND(&b, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 2);
		if (point > 2)
			l = granted(&b);
		if (point > 3) {
			PEER_NEED(arena_attach(&ar, b.arena, (uint32_t)b.w.proc) == 0);
			lend(&b, &ar, 1 << 20);
			object(&b, &ar, &o);
			arena_new(&ar, (struct id){ 0 }, NULL, 0, 100, &o);	/* unfinished */
		}
		if (point > 4)
			for (uint32_t i = 0; i < 50; i++)
				ring_push(&l.ring, i);
		if (point > 5)
			PEER_SEND(&b, actor_new, .req = 1, .class = span_of("C", 1), .spec = span_of("bad", 3));
		(void)!write(p[1], "x", 1);
		for (;;)
			pause();
	}
	close(p[1]);
	PEER_NEED(read(p[0], &c, 1) == 1);
	close(p[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
deaths(void)
{
	unsigned fds;
	pid_t pid, zygote;
	struct lent l;
	uint64_t t;
	char cmd[64];
	FILE *f;
	int zy = 0;

	while (node_figure("workers") > 2)	/* idle ones of our own job may stay */
		;
	fds = peer_descriptors(peer_rlet);
	t = clock_ns();
	victim(6);
	ok(becomes("drivers", 1) && becomes("cpus_free", 2) && becomes("arena_used", 0) && clock_ns() - t < CLOCK_SEC);
	for (int i = 0; i < 42; i++)
		victim(i % 7);
	ok(becomes("drivers", 1) && becomes("cpus_free", 2) && becomes("arena_used", 0));
	while (peer_list(&a, "actors", &rows) != 0 && clock_ns() - t < 20 * CLOCK_SEC)	/* the last ones were just being made */
		node_figure("workers");
	ok(peer_list(&a, "actors", &rows) == 0 && peer_list(&a, "objects", &rows) == 0);
	while (peer_descriptors(peer_rlet) > fds && clock_ns() - t < 20 * CLOCK_SEC)
		node_figure("workers");
	ok(peer_descriptors(peer_rlet) <= fds);

	/* workers under load, killed from outside: each time the lease is told dead and another one can be had */
	for (int i = 0; i < 20; i++) {
		PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 1);
		l = granted(&a);
		for (uint32_t k = 0; k < 20; k++)
			ring_push(&l.ring, k);
		bell_ring(a.np, &a.np->bell[l.g.bell]);
		while ((pid = worker_pid((uint32_t)l.g.proc)) == 0)
			;
		kill(pid, SIGKILL);
		if (!says(&a, MSG_DEAD_T, ERR_CRASHED, "killed by SIGKILL") || !atomic_load(&l.ring.shm->dead))
			break;
		ring_unmap(l.ring.shm);
		if (i == 19)
			ok(becomes("cpus_free", 2));
	}
	ok(peer_descriptors(peer_rlet) <= fds);

	/* the zygote: its workers end with it, and another one takes over */
	PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 1);
	l = granted(&a);
	ok(runs(&a, &l));
	pid = worker_pid((uint32_t)l.g.proc);
	snprintf(cmd, sizeof cmd, "cut -d' ' -f4 /proc/%d/stat", (int)pid);
	PEER_NEED((f = popen(cmd, "r")) != NULL && fscanf(f, "%d", &zy) == 1);
	pclose(f);
	zygote = zy;
	ok(zygote > 1 && kill(zygote, SIGKILL) == 0 && says(&a, MSG_DEAD_T, ERR_CRASHED, "died") && peer_ended(pid));
	ring_unmap(l.ring.shm);
	PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 1);
	l = granted(&a);
	ok(runs(&a, &l));
	ring_unmap(l.ring.shm);
	ok(atomic_load(&a.np->awake) >= 1 && atomic_load(&a.np->awake) <= 3);
}

static bool
listens(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), e;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/shared.sock", peer_dir);
	e = connect(fd, (struct sockaddr *)&sa, sizeof sa);
	close(fd);
	return e == 0;
}

static void
the_end(void)				/* a second after the last client, or with rlet, killed: nothing is left */
{
	struct lent l;
	pid_t pid;
	int s;

	peer_close(&a);
	s = peer_stop();
	ok(WIFEXITED(s) && WEXITSTATUS(s) == 0);

	peer_start("-c", "2");
	peer_open(&a, ROLE_DRIVER);
	PEER_SEND(&a, lease, .req = 1, .shape = 1, .cpus = 1000, .want = 1);
	l = granted(&a);
	ok(runs(&a, &l));
	pid = worker_pid((uint32_t)l.g.proc);
	kill(peer_rlet, SIGKILL);
	ok(peer_ended(pid));
	ring_unmap(l.ring.shm);
	peer_close(&a);
	waitpid(peer_rlet, &s, 0);
	while (listens())			/* that was the keeper: the daemon dies of it, but not at once */
		sched_yield();
	peer_rlet = fork();			/* a stale socket is no hindrance */
	if (peer_rlet == 0) {
		execlp("rlet", "rlet", "-p", "--own", "1", (char *)NULL);
		_exit(127);
	}
	while (peer_rlet > 0 && !listens())
		if (waitpid(peer_rlet, &s, WNOHANG) != 0)
			PEER_NEED(!"rlet started over a stale socket");
	kill(peer_rlet, SIGTERM);
	s = peer_stop();
	if (!ok(WIFEXITED(s) && WEXITSTATUS(s) == 0))
		printf("# status %x\n", (unsigned)s);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	setenv("ROTA_STORE", "64M", 1);
	peer_start("-c", "2");
	peer_open(&a, ROLE_DRIVER);
	joining();
	leases();
	sharing();
	memory();
	keeping();
	routes();
	actors();
	deaths();
	the_end();
	buf_release(&rows);
	return tap_done();
}
