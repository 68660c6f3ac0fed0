/*
 * gcsrestart ACTORS GROUPS - a control store with so much in it is killed and started again: how long until it serves
 * One node, here, makes actors with names and placement groups by the messages that nodes send, all acknowledged; then the
 * store is killed with SIGKILL.  The time is from the start of the next one until it has let the node join again, which names all that it has,
 * and has found an actor by name.  Afterwards each actor and group is looked up: nothing may be missing.
 * In ROTA_DIR; the state is in the directory that --dir of rgcs names, argument 3.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/dir.h"
#include "os/sock.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { BATCH = 500 };			/* requests under way */

static const char *state;
static pid_t store;
static int sock = -1;
static struct buf in, out, held;	/* held: parts of groups */
static size_t taken;			/* bytes of in that were looked at */
static uint64_t node;

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "gcsrestart: %s\n", what);
	if (store > 0)
		kill(store, SIGKILL);
	exit(1);
}

static void
start(void)
{
	char num[16], name[512], c;
	int p[2], dir;

	if (pipe(p) < 0)
		fail("no pipe");
	if ((store = fork()) == 0) {
		close(p[0]);
		snprintf(num, sizeof num, "%d", p[1]);
		execlp("rgcs", "rgcs", "-q", "--dir", state, "--ready-fd", num, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		fail("rgcs does not start");
	close(p[0]);
	if ((dir = dir_open(name, sizeof name)) < 0 || (sock = sock_connect(dir, "gcs.sock")) < 0)
		fail("cannot connect");
	close(dir);
	in.len = taken = out.len = 0;
}

static void
flush(void)
{
	for (size_t at = 0; at < out.len;) {
		ssize_t n = write(sock, out.data + at, out.len - at);

		if (n <= 0)
			fail("rgcs hung up");
		at += (size_t)n;
	}
	out.len = 0;
}

/* f is about a part of a group: what a node answers that has room for all of them */
static bool
hold(const struct frame *f)
{
	struct msg_group_prepare p;
	struct msg_group_commit c;
	struct msg_group_answer a = { 0 };
	size_t at = out.len;

	if (f->type == MSG_GROUP_PREPARE_T && msg_get_group_prepare(&p, f->body, f->len) == 0)
		a = (struct msg_group_answer){ .group = p.group, .round = p.round, .answer = 0 };
	else if (f->type == MSG_GROUP_COMMIT_T && msg_get_group_commit(&c, f->body, f->len) == 0)
		a = (struct msg_group_answer){ .group = c.group, .round = c.round, .answer = 1 };
	else
		return false;
	if (out.len)
		fail("a request is under way");
	if (a.answer == 1) {			/* for the next store */
		unsigned char b[24];

		le_put64(b, c.group);
		le_put64(b + 8, c.round);
		le_put64(b + 16, 2);
		buf_add(&held, b, sizeof b);
	}
	msg_put_group_answer(&out, &a);
	flush();
	out.len = at;
	return true;
}

/* the next frame of a type that is an answer */
static struct frame
next(void)
{
	struct frame f;

	for (;;) {
		unsigned char part[65536];
		ssize_t n = frame_parse(&f, in.data + taken, in.len - taken, FRAME_MAX);

		if (n > 0) {
			taken += (size_t)n;
			if (f.type == MSG_NODES_T || hold(&f))
				continue;
			if (f.type == MSG_FAIL_T)
				fail("rgcs refuses something");
			return f;
		}
		if (taken) {
			memmove(in.data, in.data + taken, in.len - taken);
			in.len -= taken;
			taken = 0;
		}
		if ((n = read(sock, part, sizeof part)) <= 0 || buf_add(&in, part, (size_t)n) < 0)
			fail("rgcs hung up");
	}
}

static void
join(const struct buf *actors)
{
	struct msg_node_joined m;
	struct frame f;

	msg_put_node_join(&out, &(struct msg_node_join){ .name = span_text("bench"), .cpus = 64000, .memory = UINT64_C(64) << 30, .pid = 1,
	    .node = node, .actors = span_of(actors->data, actors->len), .incarnation = 1, .attempt = clock_ns() });
	flush();
	f = next();
	if (f.type != MSG_NODE_JOINED_T || msg_get_node_joined(&m, f.body, f.len) < 0)
		fail("no answer to NODE_JOIN");
	node = m.node;
	msg_put_group_held(&out, &(struct msg_group_held){ .parts = span_of(held.data, held.len) });
	flush();
}

/* makes so many groups of two bundles each, or asks for those that were made; all must be there */
static void
groups(unsigned n, bool make)
{
	struct buf bundles = BUF_INIT;
	struct msg_group_state m;
	struct frame f;

	for (int i = 0; i < 2; i++)
		if (mp_put_array(&bundles, 4) < 0 || mp_put_uint(&bundles, 10) < 0 || mp_put_uint(&bundles, 0) < 0 || mp_put_uint(&bundles, 0) < 0 ||
		    mp_put_bin(&bundles, "", 0) < 0)
			fail("no memory");
	for (unsigned i = 0; i < n; i++) {
		struct id id = { (uint32_t)node, 1, (uint64_t)(i + 1) << 24 };

		if (make)
			msg_put_group_new(&out, &(struct msg_group_new){ .id = id, .strategy = 0, .bundles = span_of(bundles.data, bundles.len),
			    .detached = 1, .namespace = span_text("default"), .job = 1, .home = node });
		else
			msg_put_group_ask(&out, &(struct msg_group_ask){ .id = id });
		flush();
		do {
			f = next();
			if (f.type != MSG_GROUP_STATE_T || msg_get_group_state(&m, f.body, f.len) < 0)
				fail("an answer that makes no sense");
		} while (m.state != 3 && m.state != 4);
		if (m.state == 4)
			fail("a group is not there");
	}
	buf_release(&bundles);
}

static void
make_actor(unsigned i)
{
	static const unsigned char methods[] = "\x94\xa3new\xa3""add\xa3get\xa5reset";
	char name[32];

	snprintf(name, sizeof name, "actor%06u", i);
	msg_put_actor_new(&out, &(struct msg_actor_new){ .req = i + 1, .name = span_text(name), .class = span_text("Counter"),
	    .methods = span_of(methods, sizeof methods - 1), .detached = 1, .job = 1, .namespace = span_text("default"), .cpus = 100 });
}

static void
find_actor(unsigned i)
{
	char name[32];

	snprintf(name, sizeof name, "actor%06u", i);
	msg_put_actor_find(&out, &(struct msg_actor_find){ .req = i + 1, .name = span_text(name), .namespace = span_text("default") });
}

/* so many requests, a batch at a time; each is answered by ACTOR, whose number goes into all unless it is NULL */
static void
ask(unsigned n, void (*one)(unsigned i), struct buf *all)
{
	struct msg_actor m;
	struct frame f;

	for (unsigned i = 0; i < n;) {
		unsigned end = n - i < BATCH ? n : i + BATCH, k = end - i;

		while (i < end)
			one(i++);
		flush();
		while (k-- > 0) {
			unsigned char number[8];

			f = next();
			if (f.type != MSG_ACTOR_T || msg_get_actor(&m, f.body, f.len) < 0)
				fail("an answer that makes no sense");
			le_put64(number, m.actor);
			if (all)
				buf_add(all, number, sizeof number);
		}
	}
}

int
main(int argc, char *argv[])
{
	unsigned actors;
	struct buf made = BUF_INIT, none = BUF_INIT;
	uint64_t began;

	if (argc != 4 || (actors = (unsigned)atoi(argv[1])) == 0)
		fail("usage: gcsrestart ACTORS GROUPS DIR");
	state = argv[3];
	start();
	join(&none);
	ask(actors, make_actor, &made);
	groups((unsigned)atoi(argv[2]), true);
	kill(store, SIGKILL);
	waitpid(store, NULL, 0);
	close(sock);
	began = clock_ns();
	start();
	join(&made);
	ask(1, find_actor, NULL);
	printf("gcs-restart %.3f\n", (double)(clock_ns() - began) / 1e9);
	ask(actors, find_actor, NULL);
	groups((unsigned)atoi(argv[2]), false);
	kill(store, SIGTERM);
	waitpid(store, NULL, 0);
	return 0;
}
