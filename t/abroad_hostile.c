/*
 * abroad_hostile.c - a node that has the key and has joined, and says to another one whatever comes to its mind: leases that
 * nobody asked for, functions, tasks and results of any shape, processes, rings and references of others.  That node goes
 * on, and its programs' work with it.
 *	abroad_hostile.t [SEED [ROUNDS]]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/num.h"
#include "core/cluster.h"
#include "core/node_row.h"
#include "link/packed.h"
#include "tap.h"
#include "member.h"
#include "odd.h"

enum { ROUNDS = 60, FRAMES = 40 };

static char dir[64], key[96], head[TCP_NAME], victim[TCP_NAME];
static struct tls_ctx *tls;
static struct member gcs;
static uint64_t node, target, beats, greeted, said, heard;
static pid_t child[3];
static uint64_t session;			/* the last frame that we said */
static unsigned kinds[256];			/* frames heard, by type */
static unsigned char args[4096];		/* of a task that came */
static size_t nargs;
static uint16_t argvals;

#define NEED(x) do { \
	if (!(x)) { \
		printf("Bail out! %s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
		for (int i_ = 0; i_ < 3; i_++) \
			if (child[i_] > 0) \
				kill(child[i_], SIGKILL); \
		exit(1); \
	} \
} while (0)

/* a daemon, ready; what it wrote then is in line */
static pid_t
start(const char *sub, char line[TCP_NAME], const char *const *argv)
{
	const char *v[24] = { 0 };
	char num[16], path[160];
	int p[2], n = 0;
	ssize_t k;
	pid_t pid;

	NEED(pipe(p) == 0);
	if ((pid = fork()) == 0) {
		close(p[0]);
		snprintf(path, sizeof path, "%s/%s", dir, sub);
		mkdir(path, 0700);
		setenv("ROTA_DIR", path, 1);
		setenv("XDG_STATE_HOME", path, 1);
		for (; argv[n]; n++)
			v[n] = argv[n];
		snprintf(num, sizeof num, "%d", p[1]);
		v[n++] = "--ready-fd";
		v[n++] = num;
		execvp(v[0], (char *const *)(uintptr_t)v);
		_exit(127);
	}
	close(p[1]);
	NEED((k = read(p[0], line, TCP_NAME - 1)) > 0);
	line[k] = '\0';
	line[strcspn(line, "\n")] = '\0';
	close(p[0]);
	return pid;
}

static pid_t
daemon_of(pid_t keeper)
{
	char path[64];
	int pid = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	if ((f = fopen(path, "r")) != NULL) {
		if (fscanf(f, "%d", &pid) != 1)
			pid = -1;
		fclose(f);
	}
	return pid;
}

/* the node of the cluster that is not us: number and address */
static bool
find(struct span rows, bool anew)
{
	static struct cluster list;
	const struct cluster_row *r = NULL;
	struct node_what w;

	if (list.rev == 0)
		cluster_init(&list, 0);
	if (cluster_apply(&list, rows, anew) < 0)
		return false;
	while ((r = cluster_next(&list, r)) != NULL)
		if (r->number != node && node_what_get(&w, span_of(r->what.data, r->what.len)) == 0 && w.addr.n && w.addr.n < sizeof victim) {
			snprintf(victim, sizeof victim, "%.*s", (int)w.addr.n, (const char *)w.addr.p);
			target = r->number;
			return true;
		}
	return false;
}

static void
beat(int ms)					/* says that we live, and reads what the store says */
{
	struct msg_node_joined joined;
	struct msg_nodes nodes;
	struct frame f;

	if (node)
		MEMBER_SAY(&gcs, heartbeat, .number = ++beats, .limit = 0);
	while (member_hear(&gcs, &f, ms))
		if (f.type == MSG_NODE_JOINED_T && msg_get_node_joined(&joined, f.body, f.len) == 0)
			node = joined.node;
		else if (f.type == MSG_NODES_T && msg_get_nodes(&nodes, f.body, f.len) == 0 && find(nodes.rows, nodes.anew) && ms > 100)
			break;
	NEED(!gcs.ended);
}

static void
join(void)
{
	struct buf res = BUF_INIT, load = BUF_INIT;
	uint64_t t0 = clock_ns();

	NEED(member_open(&gcs, head, tls));
	if (mp_put_map(&res, 0) < 0 || node_load_put(&load, &(struct node_load){ .cpus = 4000, .memory = 1 << 30, .report = 1 }) < 0)
		exit(1);
	MEMBER_SAY(&gcs, node_join, .name = span_text("bad"), .cpus = 4000, .memory = 1 << 30, .resources = span_of(res.data, res.len),
	    .addr = span_text("127.0.0.1:1"), .incarnation = 77, .beats = 1, .attempt = 1);
	while ((node == 0 || target == 0) && clock_ns() - t0 < 20 * CLOCK_SEC)
		beat(1000);
	NEED(node && target);
	MEMBER_SAY(&gcs, node_load, .load = span_of(load.data, load.len));	/* there is much room here */
	buf_release(&res);
	buf_release(&load);
}

/* --- what we say ------------------------------------------------------------------------------------------------------------ */

static void
see(uint64_t v)
{
	odd_seen[odd_dice(ODD_SEEN)] = v;
}

static void
say(struct member *m, struct buf *b)		/* as the next frame of the session */
{
	frame_set_session(b->data, ++session);
	member_write(m, b->data, b->len, 1000);
	said++;
	buf_release(b);
}
#define SAY(m, name_, ...) do { \
	struct buf say_ = BUF_INIT; \
	if (msg_put_##name_(&say_, &(struct msg_##name_){ __VA_ARGS__ }) == 0) \
		say(m, &say_); \
} while (0)

static void
spoil(unsigned char *p, size_t n)
{
	for (unsigned k = odd_dice(4); n && k > 0; k--)
		p[odd_dice((unsigned)n)] ^= (unsigned char)(1u << odd_dice(8));
}

/* As a node with workers: it has what was asked for, and answers tasks, though not well. */
static void
serve(struct member *m, const struct frame *f)
{
	static uint64_t rings = 1000;
	struct msg_far_ask ask;
	struct msg_far_tasks tasks;
	struct msg_far_fn fn;
	struct packed_task t;
	struct buf b = BUF_INIT;

	if (f->type == MSG_FAR_ASK_T && msg_get_far_ask(&ask, f->body, f->len) == 0) {
		for (uint64_t i = 0; i < ask.n + odd_dice(2) && i < 4; i++)
			SAY(m, far_answer, .ask = ask.ask, .proc = ask.proc, .shape = ask.shape, .granted = odd_dice(8) > 0, .refused = odd_dice(8) ? 0 : odd_number(),
			    .ring = odd_dice(8) ? ++rings : rings, .worker = odd_dice(4) ? 5 : odd_number());
	} else if (f->type == MSG_FAR_TASKS_T && msg_get_far_tasks(&tasks, f->body, f->len) == 0) {
		while (packed_task_get(&t, &tasks.tasks.p, &tasks.tasks.n) > 0) {
			struct packed_done d = { .slot = odd_dice(8) ? t.slot : (uint32_t)odd_number(), .ns = 1000, .nvals = odd_dice(4) ? 1 : (uint16_t)odd_number(),
			    .kind = (uint8_t[]){ 1, 1, 1, 0, 2, 5, 3 }[odd_dice(7)], .n = t.n, .flags = odd_dice(3) ? 0 : (uint8_t)odd_dice(32) };
			unsigned char *v = malloc(t.n + 1);

			memcpy(v, t.bytes, t.n);
			spoil(v, t.n);
			d.bytes = v;
			d.kept = v;
			d.nkept = odd_dice(8) ? 0 : (uint16_t)(t.n / 16 < 60 ? t.n / 16 : 60);
			if (packed_done_put(&b, &d) < 0)
				exit(1);
			free(v);
		}
		if (b.len)
			SAY(m, far_dones, .ring = rings, .dones = span_of(b.data, b.len));
		if (t.n < sizeof args && t.n) {
			memcpy(args, t.bytes, nargs = t.n);
			argvals = t.nvals;
		}
		buf_release(&b);
	} else if (f->type == MSG_FAR_FN_T && msg_get_far_fn(&fn, f->body, f->len) == 0) {
		SAY(m, far_fn, .proc = 7, .serial = 1, .kind = fn.kind, .nret = fn.nret, .flags = fn.flags, .name = fn.name, .code = fn.code);
	}
}

/* As a node with a driver: it asks for workers there, and has them do what it was asked to do itself. */
static void
want(struct member *m)
{
	SAY(m, far_job, .job = 99, .name = span_text("bad"), .namespace = span_text("bad"), .driver = 7, .dir = span_text("/"));
	SAY(m, far_ask, .ask = 1 + odd_dice(3), .proc = 7, .job = 99, .shape = odd_dice(3), .n = 1, .patient = odd_dice(2), .cpus = 10);
}

static void
drive(struct member *m, const struct frame *f)
{
	struct msg_far_answer a;
	struct buf b = BUF_INIT;

	if (f->type != MSG_FAR_ANSWER_T || msg_get_far_answer(&a, f->body, f->len) < 0 || !a.granted || nargs == 0)
		return;
	for (unsigned i = 1 + odd_dice(3); i > 0; i--) {
		unsigned char v[sizeof args];

		memcpy(v, args, nargs);
		if (odd_dice(3) == 0)
			spoil(v, nargs);
		if (packed_task_put(&b, &(struct packed_task){ .slot = (uint32_t)odd_number(), .n = (uint32_t)nargs, .fn = odd_dice(8) ? 1 : odd_number(),
		    .seq = odd_number(), .nvals = odd_dice(4) ? argvals : (uint16_t)odd_dice(4), .flags = odd_dice(2) ? 0 : (uint8_t)odd_dice(8),
		    .attempt = 1, .bytes = v }) < 0)
			exit(1);
	}
	SAY(m, far_tasks, .ring = a.ring, .tasks = span_of(b.data, b.len));
	buf_release(&b);
	if (odd_dice(3) == 0)
		SAY(m, far_kill, .ring = a.ring, .task = 0);
	if (odd_dice(2) == 0)
		SAY(m, far_close, .ring = a.ring);
}

/* numbers of what it says come up again in what we say: rings, processes, requests */
static void
listen_to(struct member *m, int ms)
{
	struct frame f;

	for (; member_hear(m, &f, ms); heard++) {
		struct mp r = mp_read(f.body, f.len);
		struct mp_tok t;

		kinds[f.type < 256 ? f.type : 0]++;
		while (mp_next(&r, &t) == 0)
			if (t.kind == MP_INT && odd_dice(3) == 0)
				see(t.u);
		if (odd_dice(3) == 0)
			MEMBER_SAY(m, peer_ack, .upto = f.session);
		serve(m, &f);
		drive(m, &f);
		ms = 0;
	}
}

static void
tasks(struct buf *b)		/* as they should look, but for what they say */
{
	static unsigned char bytes[256];
	struct buf t = BUF_INIT;
	bool done = odd_dice(2);
	int e = 0;

	for (unsigned i = odd_dice(5); i > 0 && e == 0; i--)
		e = done ? packed_done_put(&t, &(struct packed_done){ .slot = (uint32_t)odd_number(), .ret = (uint32_t)odd_number(),
		    .ns = (uint32_t)odd_number(), .n = odd_dice(2) ? 1 + odd_dice(200) : 0, .nvals = (uint16_t)odd_dice(4),
		    .nkept = odd_dice(4) ? 0 : (uint16_t)odd_dice(8), .kind = (uint8_t[]){ 0, 1, 1, 2, 5 }[odd_dice(5)], .flags = (uint8_t)odd_dice(32),
		    .bytes = bytes, .kept = bytes }) :
		    packed_task_put(&t, &(struct packed_task){ .slot = (uint32_t)odd_number(), .n = odd_dice(200), .fn = odd_number(), .seq = odd_number(),
		    .nvals = (uint16_t)odd_dice(4), .flags = (uint8_t)odd_dice(8), .attempt = (uint8_t)odd_dice(3), .bytes = bytes });
	for (unsigned i = 0; i < 4; i++)
		bytes[odd_dice(sizeof bytes)] = (unsigned char)odd_dice(256);
	b->len = 0;
	if (done)
		e = msg_put_far_dones(b, &(struct msg_far_dones){ .ring = odd_number(), .dones = span_of(t.data, t.len) });
	else
		e = msg_put_far_tasks(b, &(struct msg_far_tasks){ .ring = odd_number(), .tasks = span_of(t.data, t.len) });
	if (e < 0)
		exit(1);
	buf_release(&t);
}

static void
attack(unsigned round)
{
	bool bulk = odd_dice(6) == 0, odd = odd_dice(3) == 0;
	struct buf b = BUF_INIT;
	struct msg_peer p = { 0 };
	struct member m;
	struct frame f;
	static uint64_t life = 1, last;

	if (!member_open(&m, victim, tls)) {
		member_close(&m);
		return;
	}
	life += odd_dice(2);
	MEMBER_SAY(&m, peer, .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .node = node, .to = target, .incarnation = life,
	    .session = odd_dice(8) ? last : odd_number(), .lane = bulk, .attempt = round + 1, .heard = odd_dice(4) ? 0 : odd_number());
	session = 0;
	if (member_hear(&m, &f, 2000) && f.type == MSG_PEER_T && msg_get_peer(&p, f.body, f.len) == 0) {
		last = p.incarnation;
		session = p.received;
		greeted++;
	}
	if (!bulk && odd_dice(2))
		want(&m);
	for (unsigned i = 0; i < FRAMES && !m.ended; i++) {
		b.len = 0;
		if (!bulk && odd_dice(4) == 0) {
			tasks(&b);
			frame_set_session(b.data, ++session);
		} else if (odd || bulk || odd_dice(20) == 0)
			odd_frame(&b, odd_dice(3) ? 180 : bulk ? 0 : 100, 249, 0, bulk ? 0 : ++session);
		if (b.len && !member_write(&m, b.data, b.len, 1000))
			break;
		said++;
		if (i % 4 == 0)
			listen_to(&m, odd_dice(4) == 0 ? 5 : 0);
	}
	listen_to(&m, 5);
	buf_release(&b);
	member_close(&m);
}

/* --- and what becomes of it ------------------------------------------------------------------------------------------------- */

static int
lua(const char *script)				/* by a program of the victim: its wait status */
{
	char path[160];
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		snprintf(path, sizeof path, "%s/v", dir);
		setenv("ROTA_DIR", path, 1);
		setenv("XDG_STATE_HOME", path, 1);
		setenv("ROTA_ADDRESS", "local", 1);
		execlp("timeout", "timeout", "60", "rlua", "-e", script, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* a program that has work done all the while, here and, as the other node seems to have room, there */
static pid_t
busy(void)
{
	char path[160];
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		snprintf(path, sizeof path, "%s/v", dir);
		setenv("ROTA_DIR", path, 1);
		setenv("ROTA_ADDRESS", "local", 1);
		(void)!freopen("/dev/null", "w", stderr);
		execlp("rlua", "rlua", "-e",
		    "local rota = require 'rota'\n"
		    "local f = rota.task(function(x) return x end)\n"
		    "local s = rota.task(function(x) return #x end)\n"
		    "while true do local r = {} for i = 1, 20 do r[i] = f(i) r[20 + i] = s(('x'):rep(3000)) end\n"
		    "rota.wait(r, { n = 40, timeout = 0.2 }) end", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void
clean(void)
{
	char text[128];

	snprintf(text, sizeof text, "rm -rf '%s'", dir);
	(void)!system(text);
}

int
main(int argc, char **argv)
{
	uint64_t seed = 0, rounds = getenv("ROTA_LONG") ? 50 * ROUNDS : ROUNDS;
	pid_t store, rlet, daemon, program;
	char line[TCP_NAME], why[300];
	struct keys k;
	int status;

	if (argc < 2 || num_u64(argv[1], &seed) < 0 || seed == 0)
		seed = (uint64_t)time(NULL);
	if (argc > 2)
		num_u64(argv[2], &rounds);
	odd_state = seed;
	odd_wrong = 400;
	odd_proc = 3;
	printf("# seed %llu\n", (unsigned long long)seed);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	snprintf(dir, sizeof dir, "/tmp/rota-test-XXXXXX");
	NEED(mkdtemp(dir));
	snprintf(key, sizeof key, "%s/key", dir);
	child[0] = store = start("h", head, (const char *[]){ "rgcs", "-q", "--listen", "127.0.0.1:0", "--key", key, "--dead-after", "600s", NULL });
	NEED(keys_read(&k, key, why, sizeof why) == 0 && (tls = tls_ctx_new(&k)) != NULL);
	child[1] = rlet = start("v", line, (const char *[]){ "rlet", "-q", "-l", "-c", "1", "--store", "64M", "--join", head, "--key", key, "--listen", "127.0.0.1:0", NULL });
	daemon = daemon_of(rlet);
	ok(daemon > 0);
	join();
	ok(lua("local rota = require 'rota' os.exit(rota.get(rota.task(function() return 42 end)()) == 42 and 0 or 1)") == 0);
	child[2] = program = busy();
	for (unsigned i = 0; i < rounds && daemon_of(rlet) == daemon; i++) {
		attack(i);
		if (i % 8 == 0) {
			beat(0);
			odd_proc = 1 + odd_dice(i / 8 + 8);
		}
	}
	printf("# %llu times greeted, %llu frames said, %llu heard\n", (unsigned long long)greeted, (unsigned long long)said, (unsigned long long)heard);
	for (unsigned i = 0; i < 256; i++)
		if (kinds[i])
			printf("# heard %s %u\n", msg_name(i) ? msg_name(i) : "?", kinds[i]);
	ok(daemon_of(rlet) == daemon);			/* its daemon goes on */
	kill(program, SIGTERM);
	waitpid(program, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);	/* and so did the program: it was not ended by what it was told */
	if (!WIFSIGNALED(status))
		printf("# wait status %#x\n", (unsigned)status);
	MEMBER_SAY(&gcs, bye, .reason = 0);
	member_close(&gcs);
	for (unsigned i = 0; i < 20 && (status = lua("local rota = require 'rota' local f = rota.task(function(x) return x end)\n"
	    "local r = {} for i = 1, 50 do r[i] = f(i) end for i, v in ipairs(rota.get(r)) do assert(i == v) end")) != 0; i++)
		poll(NULL, 0, 100);			/* the end of so much may take it a moment */
	ok(status == 0);				/* new ones are served */
	kill(rlet, SIGTERM);
	ok(waitpid(rlet, &status, 0) == rlet && status == 0);
	kill(store, SIGTERM);
	ok(waitpid(store, &status, 0) == store && status == 0);
	tls_ctx_free(tls);
	clean();
	return tap_done();
}
