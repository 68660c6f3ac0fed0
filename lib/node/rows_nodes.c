/* rows_nodes - the nodes: ours as it is now, the others as the control store tells of them */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/node_row.h"
#include "node/rows.h"

static void
put_resources(struct rows *r, const char *k, const struct res *v)	/* the custom ones: name -> amount */
{
	const struct res *total = &r->n->lease.total;
	unsigned count = 0;

	for (unsigned i = RES_CUSTOM; i < RES_MAX; i++)
		count += total->v[i] > 0;
	key(r, k);
	mp_put_map(&r->b, count);
	for (unsigned i = RES_CUSTOM; i < RES_MAX; i++)
		if (total->v[i] > 0)
			put_milli(r, r->n->lease.name[i], v->v[i] > 0 ? v->v[i] : 0);
}

static void
put_labels(struct rows *r, struct span labels)		/* a map as it is */
{
	key(r, "labels");
	if (labels.n)
		mp_put_raw(&r->b, labels.p, labels.n);
	else
		mp_put_map(&r->b, 0);
}

void
rows_node(struct rows *r)
{
	struct node *n = r->n;
	struct map_iter it = MAP_ITER;
	char addr[700], wanted[2048];
	unsigned drivers = 0;
	int64_t avail = n->lease.free.v[RES_CPU];

	list_each(l, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		drivers += p->role == ROLE_DRIVER && !p->lost;
	}
	while (map_next(&n->jobs, &it))
		drivers += job_comes(n, it.val);
	snprintf(addr, sizeof addr, "unix:%s/%s", n->dirname, n->o.socket);
	row(r, 25);
	put_u(r, "node", n->number);
	put_text(r, "name", n->name);
	put_text(r, "state", n->self.elastic.draining ? "draining" : "alive");
	put_milli(r, "cpus", n->lease.total.v[RES_CPU]);
	put_milli(r, "cpus_free", avail > 0 ? avail : 0);
	put_milli(r, "gpus", n->lease.total.v[RES_GPU]);
	put_milli(r, "gpus_free", n->lease.free.v[RES_GPU]);
	put_u(r, "memory", (uint64_t)n->lease.total.v[RES_MEM]);
	put_u(r, "memory_free", (uint64_t)n->lease.free.v[RES_MEM]);
	put_resources(r, "resources", &n->lease.total);
	put_resources(r, "resources_free", &n->lease.free);
	put_u(r, "arena", n->arena.bytes);
	put_u(r, "arena_used", n->arena.lent + n->arena.owned);
	put_u(r, "workers", n->workers);
	put_u(r, "drivers", drivers);
	put_u(r, "pid", (uint64_t)getpid());
	put_text(r, "address", addr);
	put_u(r, "uptime", clock_ns() - n->since);
	put_labels(r, span_buf(&n->self.labels));
	put_u(r, "waiting", lease_waiting(&n->lease));
	put_u(r, "leases", lease_granted(&n->lease));
	put_u(r, "kept", n->kept.n + abroad_primaries(n));
	elastic_wanted(n, wanted, sizeof wanted);
	put_text(r, "wanted", wanted);
	put_text(r, "listen", n->self.addr);
	put_text(r, "why", "");
}

/* --- the others ------------------------------------------------------------------------------------------------------ */

static void
put_amounts(struct rows *r, const char *k, struct span map)	/* name -> thousandths, as numbers */
{
	struct span left = map, name, text;
	unsigned count = 0;
	uint64_t v;

	while (node_row_pair(&left, &name, &text, &v))
		count++;
	key(r, k);
	mp_put_map(&r->b, count);
	while (node_row_pair(&map, &name, &text, &v)) {
		mp_put_str(&r->b, name.p, name.n);
		mp_put_milli(&r->b, (int64_t)v);
	}
}

static void
other(struct rows *r, const struct cluster_row *c)
{
	struct node_what w;
	struct node_load l;
	uint64_t now = clock_wall_ns();

	if (node_what_get(&w, span_of(c->what.data, c->what.len)) < 0 || node_load_get(&l, span_of(c->load.data, c->load.len)) < 0)
		return;
	row(r, 25);
	put_u(r, "node", c->number);
	put_s(r, "name", w.name.p, w.name.n);
	put_text(r, "state", w.dead.n ? "dead" : l.draining ? "draining" : "alive");
	put_milli(r, "cpus", (int64_t)w.cpus);
	put_milli(r, "cpus_free", (int64_t)l.cpus);
	put_milli(r, "gpus", (int64_t)w.gpus);
	put_milli(r, "gpus_free", (int64_t)l.gpus);
	put_u(r, "memory", w.memory);
	put_u(r, "memory_free", l.memory);
	put_amounts(r, "resources", w.resources);
	put_amounts(r, "resources_free", l.resources);
	put_u(r, "arena", w.store);
	put_u(r, "arena_used", l.store);
	put_u(r, "workers", l.workers);
	put_u(r, "drivers", l.drivers);
	put_u(r, "pid", w.pid);
	put_s(r, "address", w.addr.p, w.addr.n);
	put_u(r, "uptime", now > w.since ? now - w.since : 0);
	put_labels(r, w.labels);
	put_u(r, "waiting", l.waiting);
	put_u(r, "leases", l.leases);
	put_u(r, "kept", l.kept);
	put_s(r, "wanted", l.wanted.p, l.wanted.n);
	put_s(r, "listen", w.addr.p, w.addr.n);
	put_s(r, "why", w.dead.p, w.dead.n);
}

void
rows_nodes(struct rows *r)
{
	const struct cluster_row *c = NULL;

	rows_node(r);
	while ((c = cluster_next(&r->n->nodes, c)) != NULL)
		if (c->number != r->n->number)
			other(r, c);
}
