/*
 * cost.c - what a decision costs, and an entity weighs, with 100, 1,000 and 10,000 nodes, 100,000 actors and 1,000,000 queued tasks
 *
 * Measured in CPU time and by the allocator's own count; the figures are of this machine, now.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/actor.h"
#include "core/cluster.h"
#include "core/control.h"
#include "core/lease.h"
#include "core/scale.h"
#include "core/where.h"
#include "parts.h"

enum { ACTORS = 100000, TASKS = 1000000, ROUNDS = 20000 };

static double begun;
static size_t bytes;

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t
in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
start(void)
{
	bytes = in_use();
	begun = now_ns();
}

/* since start, for each of n: ns, and what is left allocated */
static void
row(const char *what, size_t scale, size_t n)
{
	double ns = now_ns() - begun;
	long long more = (long long)in_use() - (long long)bytes;

	printf("%-44s %10zu %10.0f ns %8lld bytes\n", what, scale, ns / (double)n, more > 0 ? more / (long long)n : 0);
	fflush(stdout);
}

/* --- what all nodes know ------------------------------------------------------------------------------------------------ */

static void
list(size_t n)
{
	struct cluster c, f;
	struct cluster_seen seen = { 0 };
	struct buf out = BUF_INIT;
	unsigned char load[24] = { 0 };
	bool anew;

	cluster_init(&c, 1);
	cluster_init(&f, 0);
	start();
	for (size_t i = 1; i <= n; i++)
		cluster_set(&c, (uint32_t)i, span_text("a node of some name, 10.0.0.1:7000, cpus 64"), span_of(load, sizeof load));
	row("list of nodes: a row is added", n, n);
	start();
	for (size_t i = 0; i < ROUNDS; i++) {
		memcpy(load, &i, sizeof i);
		cluster_set(&c, (uint32_t)(i * 7919 % n) + 1, span_of(NULL, 0), span_of(load, sizeof load));
	}
	row("list of nodes: a load changes", n, ROUNDS);
	start();
	if (cluster_since(&c, &seen, SIZE_MAX, &out, &anew) == 0)
		cluster_apply(&f, span_of(out.data, out.len), anew);
	row("list of nodes: a follower gets a row", n, n);
	buf_release(&out);
	cluster_release(&c);
	cluster_release(&f);
}

static void
choice(size_t n)
{
	struct res total = { .v = { [RES_CPU] = 64000, [RES_MEM] = INT64_C(1) << 36 } };
	struct where_demand d = { .need = { .v = { [RES_CPU] = 1000 } }, .who = 1 };
	struct labels none = { 0 };
	struct where_found f;
	struct where_kind *k;
	struct where w;

	where_init(&w, 1);
	start();
	for (size_t i = 1; i <= n; i++)
		where_node(&w, (uint32_t)i, &total, &none, 0);
	row("choice of a node: one is added", n, n);
	k = where_kind(&w, &d);
	where_find(&w, 1, k, NULL, 0, &f);
	start();
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		struct res free = total;

		free.v[RES_CPU] -= (int64_t)(i % 64) * 1000;
		where_load(&w, (uint32_t)(i * 7919 % n) + 1, i + 1, &free, &(struct res){ { 0 } }, false);
		if (where_find(&w, i, k, NULL, 0, &f) == WHERE_AT)
			where_settle(&w, where_ask(&w, i, f.node, &d.need, 1), 1);
	}
	row("choice of a node: a report, a task's node", n, ROUNDS);
	where_kind_put(&w, k);
	where_release(&w);
}

static void
autoscaler(size_t n)
{
	struct scale_opts o = { .type = { { .name = "any", .total.v = { [RES_CPU] = 64000 }, .max = (unsigned)n + 10 } }, .ntype = 1,
	    .speed = 100, .idle = SIM_SEC, .start = SIM_SEC, .drain = SIM_SEC };
	struct res need = { .v = { [RES_CPU] = 1000 } };
	struct scale_want want = { .kind = SCALE_LEASE, .n = 1, .need = &need };
	struct scale_listed *l = calloc(n, sizeof *l);
	struct scale_out out = { 0 };
	struct scale c;

	if (l == NULL)
		abort();
	scale_init(&c, &o, 1);
	for (size_t i = 0; i < n; i++)
		l[i].id = i + 1;
	start();
	scale_step(&c, 1, &(struct scale_in){ .kind = SCALE_IN_LISTED, .list = l, .nlist = n }, &out);
	row("autoscaler: an instance is known", n, n);
	for (size_t i = 0; i < 100 && i < n; i++)
		scale_step(&c, 2, &(struct scale_in){ .kind = SCALE_IN_NODE, .id = i + 1, .node = (uint32_t)i + 1 }, &out);
	start();
	scale_step(&c, 2, &(struct scale_in){ .kind = SCALE_IN_WANTS, .want = &want, .nwant = 1 }, &out);
	row("autoscaler: a plan for all, for each node", n, n);
	scale_release(&c);
	free(out.fx);
	free(l);
}

/* --- the control store ---------------------------------------------------------------------------------------------------- */

static void
frame_step(struct control *c, uint64_t peer, struct buf *b, struct control_out *o)
{
	struct frame f;

	if (frame_parse(&f, b->data, b->len, FRAME_MAX) > 0)
		control_step(c, 1, peer, &f, o);
	b->len = o->n = o->bytes.len = 0;
}

static void
store(size_t n)
{
	struct control c;
	struct control_out o = { 0 };
	struct buf b = BUF_INIT;
	char name[32];

	control_init(&c, 1);
	start();
	for (size_t i = 1; i <= n; i++)
		if (msg_put_node_join(&b, &(struct msg_node_join){ .name = span_text("node"), .beats = 1 }) == 0)
			frame_step(&c, i, &b, &o);
	row("control store: a node joins", n, n);
	start();
	for (size_t i = 0; i < ROUNDS; i++)
		if (msg_put_heartbeat(&b, &(struct msg_heartbeat){ .number = i, .limit = SIM_SEC }) == 0)
			frame_step(&c, i % n + 1, &b, &o);
	row("control store: a heartbeat", n, ROUNDS);
	start();
	control_tick(&c, 2, &o);
	row("control store: looks who is late, for each node", n, n);
	start();
	for (size_t i = 0; i < ACTORS; i++) {
		snprintf(name, sizeof name, "actor %zu", i);
		if (msg_put_actor_new(&b, &(struct msg_actor_new){ .req = i + 1, .name = span_text(name), .class = span_text("Counter"), .job = 1 }) == 0)
			frame_step(&c, i % n + 1, &b, &o);
	}
	row("control store: an actor of 100,000 is named", n, ACTORS);
	control_release(&c);
	free(o.fx);
	buf_release(&o.bytes);
	buf_release(&b);
}

/* --- a node ------------------------------------------------------------------------------------------------------------------ */

static void
actors(size_t n)			/* on one node */
{
	struct msg_actor_new m = { .class = span_text("Counter"), .restarts = 1 };
	struct actor_core c;
	struct actor_out o = { 0 };

	actor_init(&c);
	start();
	for (size_t i = 1; i <= n; i++) {
		actor_step(&c, 1, &(struct actor_in){ .kind = ACTOR_IN_NEW, .actor = i, .proc = 1, .job = 1, .new = &m }, &o);
		actor_step(&c, 1, &(struct actor_in){ .kind = ACTOR_IN_PLACED, .actor = i, .worker = (uint32_t)i + 1 }, &o);
		actor_step(&c, 1, &(struct actor_in){ .kind = ACTOR_IN_UP, .actor = i, .worker = (uint32_t)i + 1, .ok = true }, &o);
		o.n = 0;
	}
	row("actors: one is made, placed and up", n, n);
	actor_release(&c);
	free(o.fx);
}

/* Tasks are queued with their submitters; a node knows of each how many workers it wants, and decides at each lease. */
static void
tasks(size_t procs)
{
	struct res total = { .v = { [RES_CPU] = 64000 } };
	struct lease_limits limit = { .workers = 100, .actors = 100, .idle = 4 };
	struct lease_out o = { 0 };
	uint32_t worker = 1 << 20;
	struct lease_core c;
	size_t grants = 0;

	lease_init(&c, &total, &limit);
	start();
	for (size_t i = 1; i <= procs; i++) {
		lease_step(&c, 1, &(struct lease_in){ .kind = LEASE_IN_ASK, .proc = (uint32_t)i, .job = (uint32_t)(i % 10) + 1, .shape = 1,
		    .need.v[RES_CPU] = 1000, .want = TASKS / procs }, &o);
		for (; grants < o.n; grants++)
			if (o.fx[grants].kind == LEASE_FX_GRANT && o.fx[grants].worker == 0)
				lease_bind(&c, o.fx[grants].lease, ++worker);
	}
	row("leases: a process wants its part of 1,000,000", procs, procs);
	if ((o.fx = reallocarray(o.fx, o.n + 2 * ROUNDS, sizeof *o.fx)) == NULL)	/* what it has to say is not kept by it */
		abort();
	o.cap = o.n + 2 * ROUNDS;
	start();
	grants = 0;
	for (size_t i = 0; i < o.n && grants < ROUNDS / 10; i++) {
		struct lease_fx fx = o.fx[i];
		size_t from = o.n;

		if (fx.kind != LEASE_FX_GRANT)
			continue;
		lease_step(&c, 2, &(struct lease_in){ .kind = LEASE_IN_RETURN, .proc = fx.proc, .lease = fx.lease }, &o);
		for (; from < o.n; from++)
			if (o.fx[from].kind == LEASE_FX_GRANT && o.fx[from].worker == 0)
				lease_bind(&c, o.fx[from].lease, ++worker);
		grants++;
	}
	row("leases: one is given back, the next granted", procs, grants ? grants : 1);
	lease_release(&c);
	free(o.fx);
}

void
sim_scale(void)
{
	static const size_t nodes[] = { 100, 1000, 10000 }, procs[] = { 10, 100, 1000 };

	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	printf("%-44s %10s %13s %14s\n", "what", "of", "each", "each");
	for (int i = 0; i < 3; i++)
		list(nodes[i]);
	for (int i = 0; i < 3; i++)
		choice(nodes[i]);
	for (int i = 0; i < 3; i++)
		store(nodes[i]);
	for (int i = 0; i < 3; i++)
		autoscaler(nodes[i]);
	actors(1000);
	actors(ACTORS);
	for (int i = 0; i < 3; i++)
		tasks(procs[i]);
}
