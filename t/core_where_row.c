/* core_where_row.c - the table of nodes follows the list of nodes: who comes, changes, reports, drops out, also when the list begins anew */
#include <stdlib.h>
#include <string.h>
#include "core/node_row.h"
#include "core/where_row.h"
#include "tap.h"
#include "wire/mp.h"

static struct cluster c;
static struct where w;
static struct where_seen seen;
static struct lease_core names;

static uint64_t incarnation = 1;

static void
row(uint32_t number, uint64_t cpus, const char *zone, const char *dead)
{
	struct buf b = BUF_INIT, labels = BUF_INIT, res = BUF_INIT;

	mp_put_map(&labels, 1);
	mp_put_str(&labels, "zone", 4);
	mp_put_str(&labels, zone, strlen(zone));
	mp_put_map(&res, 1);
	mp_put_str(&res, "ssd", 3);
	mp_put_uint(&res, 2000);
	ok(node_what_put(&b, &(struct node_what){ .cpus = cpus, .memory = 1 << 20, .labels = span_of(labels.data, labels.len),
	    .resources = span_of(res.data, res.len), .dead = span_text(dead), .incarnation = incarnation }) == 0);
	ok(cluster_set(&c, number, span_of(b.data, b.len), span_of(NULL, 0)) == 0);
	buf_release(&b);
	buf_release(&labels);
	buf_release(&res);
}

static void
load(uint32_t number, uint64_t report, uint64_t cpus, uint64_t waiting)
{
	struct buf b = BUF_INIT;

	ok(node_load_put(&b, &(struct node_load){ .cpus = cpus, .waiting = waiting, .report = report }) == 0);
	ok(cluster_set(&c, number, span_of(NULL, 0), span_of(b.data, b.len)) == 0);
	buf_release(&b);
}

static void
follow(bool anew)
{
	ok(where_follow(&w, &c, &seen, anew, &names) == 0 && seen.rev == c.rev && where_check(&w) == 0);
}

int
main(void)
{
	struct res total = { { 4000 } };
	const struct where_node *n;
	struct buf all = BUF_INIT;
	struct cluster_seen from = { 0 };
	bool anew;

	lease_init(&names, &total, &(struct lease_limits){ .workers = 1 });
	cluster_init(&c, 0);
	where_init(&w, 1);
	follow(false);
	row(1, 4000, "eu", "");
	row(2, 8000, "us", "");
	row(3, 8000, "us", "");
	load(2, 5, 3000, 2);
	load(1, 5, 1000, 0);
	follow(false);
	n = where_get(&w, 2);
	ok(w.n == 3 && n && n->total.v[RES_CPU] == 8000 && n->total.v[RES_MEM] == 1 << 20 && strcmp(labels_get(&n->labels, "zone"), "us") == 0);
	ok(n->total.v[lease_resource(&names, "ssd", 3, false)] == 2000 && n->free.v[RES_CPU] == 3000 && n->waiting.v[RES_CPU] == 2000);
	ok(where_get(&w, 1)->free.v[RES_CPU] == 4000);		/* ours: the caller knows better */
	load(2, 4, 8000, 0);					/* overtaken */
	load(3, 1, 100, 0);
	follow(false);
	ok(n->free.v[RES_CPU] == 3000 && where_get(&w, 3)->free.v[RES_CPU] == 100);
	row(2, 8000, "eu", "");
	follow(false);
	ok(strcmp(labels_get(&n->labels, "zone"), "eu") == 0 && n->free.v[RES_CPU] == 3000);
	incarnation = 2;
	row(2, 8000, "eu", "");
	load(2, 1, 5000, 0);
	follow(false);
	n = where_get(&w, 2);
	ok(n->free.v[RES_CPU] == 5000 && n->seq == 1);		/* its daemon began anew */
	row(3, 8000, "us", "no heartbeat");
	follow(false);
	ok(where_get(&w, 3) == NULL && w.n == 2);
	load(3, 9, 8000, 0);
	follow(false);
	ok(where_get(&w, 3) == NULL);
	cluster_gone(&c, 2);
	ok(cluster_set(&c, 4, span_text("\x07"), span_text("")) == 0);	/* what makes no sense */
	follow(false);
	ok(where_get(&w, 2) == NULL && where_get(&w, 4) == NULL && w.n == 1);
	row(5, 1000, "eu", "");
	follow(false);
	cluster_gone(&c, 5);
	ok(cluster_since(&c, &from, SIZE_MAX, &all, &anew) == 0 && cluster_apply(&c, span_of(all.data, all.len), true) == 0);
	follow(true);
	ok(w.n == 1 && where_get(&w, 1) && where_get(&w, 5) == NULL);
	buf_release(&all);
	cluster_release(&c);
	where_release(&w);
	lease_release(&names);
	return tap_done();
}
