/*
 * nodes N ADDRESS KEY PID - N nodes, all in this process, join the control store with process number PID
 * Real connections and messages, no work: until all have joined and one of them knows all the others; what the control
 * store needs at rest, in CPU time and memory; how long after one of them fell silent another one hears that it is dead.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "core/cluster.h"
#include "core/node_row.h"
#include "loop/conn.h"
#include "loop/tls.h"
#include "os/fd.h"
#include "os/tcp.h"
#include "wire/mp.h"
#include "wire/msg.h"

#define REST 10.			/* seconds */

struct node {
	struct conn *c;
	uint32_t number;
	uint64_t beats;
	ev_timer beat;
};

static struct ev_loop *loop;
static struct conn_set conns;
static struct cluster list;		/* that node 0 follows */
static struct buf pieces;
static bool filling, over;
static struct node *node;
static unsigned n, joined;
static uint64_t began, fell;
static double cpu_began;
static int store;
static ev_timer rest;

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "nodes: %s\n", what);
	exit(1);
}

static double
cpu(void)				/* seconds that the control store has used */
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", store);
	if ((f = fopen(path, "r")) == NULL || fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
		fail("no such control store");
	fclose(f);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double
memory(void)				/* megabytes */
{
	unsigned long pages = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/statm", store);
	if ((f = fopen(path, "r")) == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		fail("no such control store");
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void
send_beat(struct node *p)
{
	struct buf *out = conn_out(p->c);
	size_t at = out->len;

	conn_done(p->c, at, msg_put_heartbeat(out, &(struct msg_heartbeat){ .number = ++p->beats, .limit = CLOCK_SEC }), NULL, 0, 0);
}

static void
on_beat(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)l, (void)revents;
	send_beat(w->data);
}

static void
on_rest(struct ev_loop *l, ev_timer *w, int revents)		/* it was at rest for so long: the last one falls silent */
{
	(void)l, (void)w, (void)revents;
	printf("nodes-cpu %.2f\nnodes-memory %.1f\n", 100 * (cpu() - cpu_began) / REST, memory());
	ev_timer_stop(loop, &node[n - 1].beat);
	fell = clock_ns();
}

static void
look(void)
{
	const struct cluster_row *r;
	struct node_what w;

	if (began && !filling && list.n == n && joined == n) {
		printf("nodes-join %.2f\n", (double)(clock_ns() - began) / 1e9);
		began = 0;
		cpu_began = cpu();
		ev_timer_init(&rest, on_rest, REST, 0.);
		ev_timer_start(loop, &rest);
	}
	if (fell && (r = cluster_row(&list, node[n - 1].number)) != NULL &&
	    node_what_get(&w, span_of(r->what.data, r->what.len)) == 0 && w.dead.n) {
		if (!over)
			printf("nodes-death %.2f\n", (double)(clock_ns() - fell) / 1e9);
		over = true;
		ev_break(loop, EVBREAK_ALL);
	}
}

static void
on_nodes(const struct frame *f)
{
	struct msg_nodes m;

	if (msg_get_nodes(&m, f->body, f->len) < 0)
		fail("a list that makes no sense");
	filling |= m.anew != 0;
	if (filling) {
		buf_add(&pieces, m.rows.p, m.rows.n);
		if (m.more)
			return;
		if (cluster_apply(&list, span_of(pieces.data, pieces.len), true) < 0)
			fail("a list that makes no sense");
		filling = false;
	} else if (cluster_apply(&list, m.rows, false) < 0)
		fail("a list that makes no sense");
}

static int
on_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct node *p = c->owner;
	struct msg_node_joined m;

	(void)fds, (void)nfd;
	if (f->type == MSG_NODE_JOINED_T && msg_get_node_joined(&m, f->body, f->len) == 0) {
		p->number = (uint32_t)m.node;
		joined++;
		ev_timer_init(&p->beat, on_beat, (double)m.limit / 4e9 * (double)rand() / RAND_MAX, (double)m.limit / 4e9);
		p->beat.data = p;
		ev_timer_start(loop, &p->beat);
	}
	if (f->type == MSG_NODES_T && p == &node[0])
		on_nodes(f);
	look();
	return 0;
}

static void
on_close(struct conn *c, int e)
{
	struct node *p = c->owner;

	(void)e;
	if (fell && p == &node[n - 1])		/* given up, and told so */
		return;
	fail(*conn_why(c) ? conn_why(c) : "the control store hung up");
}

static void
join(unsigned i, const struct addrinfo *a, struct tls_ctx *x)
{
	static const unsigned char labels[] = "\x82\xa4node\xa4node\xa4zone\xa2" "eu";
	int fd = tcp_connect(a);
	struct buf *out;
	char name[16];

	snprintf(name, sizeof name, "node%u", i);
	if (fd < 0 || (node[i].c = conn_new(&conns, fd)) == NULL || conn_secure(node[i].c, x, false) < 0)
		fail("cannot connect");
	node[i].c->owner = &node[i];
	node[i].c->max = FRAME_MAX;
	node[i].c->on_frame = on_frame;
	node[i].c->on_close = on_close;
	out = conn_out(node[i].c);
	conn_done(node[i].c, 0, msg_put_node_join(out, &(struct msg_node_join){ .name = span_text(name), .cpus = 64000,
	    .memory = UINT64_C(256) << 30, .pid = i + 1, .addr = span_text("10.77.100.200:7412"), .store = UINT64_C(64) << 30,
	    .labels = span_of(labels, sizeof labels - 1), .incarnation = i + 1, .beats = 1 }), NULL, 0, 0);
	send_beat(&node[i]);
}

int
main(int argc, char *argv[])
{
	struct tcp_name name;
	struct addrinfo *a;
	struct tls_ctx *x;
	struct keys k;
	char why[256];
	int fds = fd_raise_limit();

	if (argc != 5 || (n = (unsigned)atoi(argv[1])) == 0 || tcp_parse(&name, argv[2]) < 0 || tcp_resolve(&name, 0, &a) < 0)
		fail("usage: nodes N ADDRESS KEY PID");
	if (fds > 0 && (unsigned)fds < n + 32)
		fail("not so many open files are allowed: see 'ulimit -n'");
	store = atoi(argv[4]);
	if (keys_read(&k, argv[3], why, sizeof why) < 0)
		fail(why);
	x = tls_ctx_new(&k);
	node = calloc(n, sizeof *node);
	loop = ev_default_loop(0);
	if (x == NULL || node == NULL || loop == NULL)
		fail("no memory");
	cluster_init(&list, 0);
	conn_set_init(&conns, loop);
	began = clock_ns();
	for (unsigned i = 0; i < n; i++)
		join(i, a, x);
	ev_run(loop, 0);
	return 0;
}
