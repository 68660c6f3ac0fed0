/*
 * gcs_power.c - the power fails, again and again, while a control store is asked for things: whatever it had acknowledged is there
 * The store runs in a child process.  What LMDB writes there goes into the file and, once it is synced, into a copy of it;
 * of what is not synced some pages go there too, as a disk may do.  The child is killed at any moment and the copy is what the next one finds.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "node/gcs.h"
#include "os/dir.h"
#include "os/sock.h"
#include "tap.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { ROUNDS = 25, ASKS = 300, KEYS = 40, ACTORS = ROUNDS * ASKS };

static char dir[64] = "/tmp/rota-power.XXXXXX";
static unsigned seed = 1;

static unsigned
draw(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* --- the disk, in the child ------------------------------------------------------------------------------------------------ */

struct late {				/* not synced yet */
	struct late *next;
	off_t at;
	size_t n;
	unsigned char bytes[];
};

static int disk = -1;			/* what a power failure leaves; < 0: nothing is recorded */
static ino_t file;
static struct late *late;

#define REAL(f) ((__typeof__(f) *)dlsym(RTLD_NEXT, #f))

static bool
is_it(int fd)
{
	struct stat st;

	return disk >= 0 && fstat(fd, &st) == 0 && st.st_ino == file;
}

static void
reach(const void *p, size_t n, off_t at)
{
	if (REAL(pwrite)(disk, p, n, at) != (ssize_t)n)
		_exit(3);
}

static void
record(int fd, const void *p, size_t n, off_t at)
{
	struct late *l;

	if (fcntl(fd, F_GETFL) & O_DSYNC || draw(2) == 0) {
		reach(p, n, at);
	} else if ((l = malloc(sizeof *l + n)) != NULL) {
		*l = (struct late){ .next = late, .at = at, .n = n };
		memcpy(l->bytes, p, n);
		late = l;
	}
}

static void
synced(void)
{
	struct late *l, *in_order = NULL;

	for (; (l = late) != NULL; in_order = l) {
		late = l->next;
		l->next = in_order;
	}
	for (; (l = in_order) != NULL; free(l)) {
		in_order = l->next;
		reach(l->bytes, l->n, l->at);
	}
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (is_it(fd))
		record(fd, p, n, at);
	return REAL(pwrite)(fd, p, n, at);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	off_t at = is_it(fd) ? lseek(fd, 0, SEEK_CUR) : -1;

	for (int i = 0; at >= 0 && i < n; at += (off_t)v[i++].iov_len)
		record(fd, v[i].iov_base, v[i].iov_len, at);
	return REAL(writev)(fd, v, n);
}

int
fdatasync(int fd)
{
	if (is_it(fd))
		synced();
	return 0;
}

int
ftruncate(int fd, off_t n)
{
	if (is_it(fd) && REAL(ftruncate)(disk, n) < 0)
		_exit(3);
	return REAL(ftruncate)(fd, n);
}

/* --- the store ------------------------------------------------------------------------------------------------------------- */

static void
copy(const char *from, const char *to)
{
	char line[300];

	snprintf(line, sizeof line, "cd %s/state && cp %s %s 2>/dev/null", dir, from, to);
	if (system(line) != 0)
		return;			/* there is none yet */
}

static pid_t
start(void)
{
	char why[1500], name[100];
	struct gcs_opts o = { .dir = NULL, .kept = -1, .keeper = -1 };
	struct stat st;
	struct gcs *g;
	int p[2];
	char c;
	pid_t pid, us = getpid();

	copy("disk", "gcs.db");
	if (pipe(p) < 0)
		return -1;
	if ((pid = fork()) == 0) {
		close(p[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != us)
			_exit(1);
		snprintf(name, sizeof name, "%s/state/gcs.db", dir);
		if (stat(name, &st) == 0) {	/* the first time it is made as ever */
			file = st.st_ino;
			snprintf(name, sizeof name, "%s/state/disk", dir);
			disk = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		}
		if (gcs_new(&g, &o, why, sizeof why) < 0) {
			fprintf(stderr, "# %s\n", why);
			_exit(2);
		}
		gcs_run(g, p[1]);
		gcs_free(g);
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		pid = -1;
	close(p[0]);
	return pid;
}

/* --- a node ------------------------------------------------------------------------------------------------------------------ */

static struct {
	uint64_t node, epoch, job;
	uint64_t actor[ACTORS];		/* number that was acknowledged, 0 */
	unsigned asked;			/* actors asked for: their names are numbers */
	unsigned key[KEYS], tried[KEYS], value;	/* the last value acknowledged, and asked for */
} know;

static int sock = -1;
static struct buf in, out;
static size_t taken;

static bool
flush(void)
{
	bool good = true;

	for (size_t at = 0; at < out.len && good;) {
		ssize_t n = send(sock, out.data + at, out.len - at, MSG_NOSIGNAL);

		good = n > 0;
		at += good ? (size_t)n : 0;
	}
	out.len = 0;
	return good;
}

static bool
next(struct frame *f)			/* false: the store is gone */
{
	for (;;) {
		unsigned char part[65536];
		ssize_t n = frame_parse(f, in.data + taken, in.len - taken, FRAME_MAX);

		if (n > 0) {
			taken += (size_t)n;
			if (f->type != MSG_NODES_T)
				return true;
			continue;
		}
		if (taken) {
			memmove(in.data, in.data + taken, in.len - taken);
			in.len -= taken;
			taken = 0;
		}
		if ((n = read(sock, part, sizeof part)) <= 0 || buf_add(&in, part, (size_t)n) < 0)
			return false;
	}
}

static bool
join(void)
{
	struct buf actors = BUF_INIT;
	unsigned char number[8];
	struct msg_node_joined m;
	struct frame f;
	char name[512];
	int d = dir_open(name, sizeof name);
	bool good;

	sock = sock_connect(d, "gcs.sock");
	close(d);
	in.len = taken = out.len = 0;
	for (unsigned i = 0; i < know.asked; i++)	/* in the order of their numbers, for they were asked for in it */
		if (know.actor[i]) {
			le_put64(number, know.actor[i]);
			buf_add(&actors, number, sizeof number);
		}
	msg_put_node_join(&out, &(struct msg_node_join){ .name = span_text("n1"), .cpus = 1000, .pid = 1, .node = know.node,
	    .actors = span_of(actors.data, actors.len), .incarnation = 1, .attempt = clock_ns() });
	good = flush() && next(&f) && f.type == MSG_NODE_JOINED_T && msg_get_node_joined(&m, f.body, f.len) == 0 &&
	    (know.node == 0 || m.node == know.node) && m.epoch > know.epoch;
	if (good) {
		know.node = m.node;
		know.epoch = m.epoch;
	}
	buf_release(&actors);
	return good;
}

/* requests: what they are about is in their number */
enum { ASK_ACTOR = 1, ASK_KEY, ASK_JOB };
#define REQ(what, which, value) ((uint64_t)(what) << 60 | (uint64_t)(which) << 32 | (value))

static void
put_key(unsigned k)
{
	struct buf ops = BUF_INIT;
	char key[16], value[16];

	snprintf(key, sizeof key, "k%u", k);
	snprintf(value, sizeof value, "%u", ++know.value);
	mp_put_array(&ops, 3);
	mp_put_bin(&ops, key, strlen(key));
	mp_put_bin(&ops, value, strlen(value));
	mp_put_uint(&ops, 0);
	msg_put_kv_txn(&out, &(struct msg_kv_txn){ .req = REQ(ASK_KEY, k, know.value), .ops = span_of(ops.data, ops.len), .proc = 1, .job = 1 });
	know.tried[k] = know.value;
	buf_release(&ops);
}

static void
put_actor(unsigned i)
{
	char name[16];

	snprintf(name, sizeof name, "a%u", i);
	msg_put_actor_new(&out, &(struct msg_actor_new){ .req = REQ(ASK_ACTOR, i, 0), .name = span_text(name), .class = span_text("C"),
	    .detached = 1, .job = 1, .namespace = span_text("n") });
}

/* notes what f acknowledges; false: that cannot be */
static bool
acknowledged(const struct frame *f, uint64_t *last_actor)
{
	struct msg_actor a;
	struct msg_kv_done d;
	struct msg_job j;

	switch (f->type) {
	case MSG_ACTOR_T:
		if (msg_get_actor(&a, f->body, f->len) < 0 || a.actor <= *last_actor)
			return false;
		*last_actor = know.actor[a.req >> 32 & 0xffffff] = a.actor;
		return true;
	case MSG_KV_DONE_T:
		if (msg_get_kv_done(&d, f->body, f->len) < 0 || !d.ok)
			return false;
		know.key[d.req >> 32 & 0xffffff] = (uint32_t)d.req;
		return true;
	case MSG_JOB_T:
		if (msg_get_job(&j, f->body, f->len) < 0 || j.job <= know.job)
			return false;
		know.job = j.job;
		return true;
	}
	return false;
}

/* asks for many things at once, and kills the store after some answers; false: an answer was wrong */
static bool
work(pid_t store, uint64_t *last_actor)
{
	unsigned answers = draw(ASKS), n = 0;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct frame f;
	bool good = true;

	for (unsigned i = 0; i < ASKS; i++) {
		switch (draw(3)) {
		case 0: put_actor(know.asked++); break;
		case 1: put_key(draw(KEYS)); break;
		default: msg_put_job_new(&out, &(struct msg_job_new){ .req = REQ(ASK_JOB, 0, 0), .name = span_text("j") });
		}
		if (out.len > 2000 && draw(4) == 0) {	/* so there are several commits */
			good = flush() && good;
			while (good && n < answers && poll(&p, 1, (int)draw(2)) > 0 && next(&f))
				n++, good = acknowledged(&f, last_actor);
		}
	}
	flush();
	while (good && n < answers && next(&f))
		n++, good = acknowledged(&f, last_actor);
	kill(store, SIGKILL);
	while (good && next(&f))		/* on their way before that */
		good = acknowledged(&f, last_actor);
	close(sock);
	waitpid(store, NULL, 0);
	return good;
}

static unsigned
lost_keys(void)
{
	struct msg_kv_rows m;
	unsigned lost = KEYS, known = 0;
	struct frame f;
	struct mp_tok t;
	struct mp r;

	for (unsigned i = 0; i < KEYS; i++)
		known += know.key[i] == 0;
	lost -= known;
	msg_put_kv_get(&out, &(struct msg_kv_get){ .req = 1, .key = span_text("k"), .list = 1 });
	if (!flush() || !next(&f) || f.type != MSG_KV_ROWS_T || msg_get_kv_rows(&m, f.body, f.len) < 0)
		return KEYS;
	for (r = mp_read(m.rows.p, m.rows.n); r.p < r.end;) {
		unsigned k, v;

		if (mp_next(&r, &t) < 0 || t.kind != MP_ARRAY || mp_next(&r, &t) < 0)
			return KEYS;
		k = (unsigned)strtoul((const char *)t.p + 1, NULL, 10);
		mp_next(&r, &t);
		v = 0;
		for (size_t i = 0; i < t.n; i++)
			v = v * 10 + (unsigned)(((const char *)t.p)[i] - '0');
		for (int i = 0; i < 3; i++)
			mp_next(&r, &t);
		if (k < KEYS && know.key[k] && v >= know.key[k] && v <= know.tried[k])
			lost--;
		if (k < KEYS)
			know.key[k] = v;
	}
	return lost;
}

static unsigned
lost_actors(void)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < know.asked; i++) {
		struct msg_actor m;
		struct frame f;
		char name[16];

		if (know.actor[i] == 0)
			continue;
		snprintf(name, sizeof name, "a%u", i);
		msg_put_actor_find(&out, &(struct msg_actor_find){ .req = 1, .name = span_text(name), .namespace = span_text("n") });
		lost += !flush() || !next(&f) || f.type != MSG_ACTOR_T || msg_get_actor(&m, f.body, f.len) < 0 || m.actor != know.actor[i];
	}
	return lost;
}

int
main(void)
{
	unsigned keys = 0, actors = 0, wrong = 0, unjoined = 0, unstarted = 0;
	const char *given = getenv("SEED");
	uint64_t last_actor = 0;
	char name[100];
	pid_t store;

	seed = given && *given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_ns();
	printf("# seed %u\n", seed);
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(name, sizeof name, "%s/run", dir);
	mkdir(name, 0700);
	setenv("ROTA_DIR", name, 1);
	setenv("XDG_STATE_HOME", dir, 1);
	snprintf(name, sizeof name, "%s/rota", dir);
	mkdir(name, 0700);
	if (symlink("rota", (snprintf(name, sizeof name, "%s/state", dir), name)) < 0)
		return 1;
	if ((store = start()) > 0) {		/* an empty one, which is synced as it ends */
		kill(store, SIGTERM);
		waitpid(store, NULL, 0);
		copy("gcs.db", "disk");
	}
	for (unsigned round = 0; round < ROUNDS && wrong + unjoined + unstarted == 0; round++) {
		if ((store = start()) < 0) {
			unstarted++;
			break;
		}
		if (!join()) {
			unjoined++;
		} else {
			keys += lost_keys();
			actors += lost_actors();
		}
		wrong += !work(store, &last_actor);
	}
	ok(unstarted == 0);
	ok(unjoined == 0);
	ok(wrong == 0);				/* no number was given twice */
	ok(keys == 0);
	ok(actors == 0);
	ok(know.job > 0 && last_actor > 0 && know.value > 0);
	printf("# %u actors and %u values asked for, up to actor %llu and job %llu acknowledged\n", know.asked, know.value,
	    (unsigned long long)last_actor, (unsigned long long)know.job);
	snprintf(name, sizeof name, "rm -rf %s", dir);
	return system(name) | tap_done();
}
