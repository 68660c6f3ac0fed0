#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "core/labels.h"
#include "core/node_row.h"
#include "node/abroad.h"
#include "wire/mp.h"

#define LOAD_EVERY (CLOCK_SEC / 10)	/* between two NODE_LOAD; more with many nodes: */
#define LOAD_EACH (CLOCK_SEC / 1000)	/* a thousand a second of all of them */
#define WANTED 2048			/* bytes of what waits here, in words */
#define STEPS 64			/* of memory and store that are told */
#define LEAVE UINT64_C(200000000)	/* ns: while it drains and others have not taken all */
#define LABELS_BYTES 4096		/* of all labels: a row has room for twice as much */

/* --- what we are ------------------------------------------------------------------------------------------------------ */

/* NAME=VALUE of the command line; `node` is always there */
static int
add_label(struct labels *all, const char *given, char why[LABELS_WHY])
{
	struct labels one = { 0 };
	int e = labels_parse(&one, span_str(given), why);

	for (size_t i = 0; i < one.n && e == 0; i++) {
		if (labels_get(all, one.v[i].name)) {
			snprintf(why, LABELS_WHY, strcmp(one.v[i].name, "node") == 0 ? "the label '%s' is the node's name, and always there" :
			    "the label '%s' is given twice", one.v[i].name);
			e = -EINVAL;
		} else
			e = labels_put(all, span_str(one.v[i].name), span_str(one.v[i].value), why);
	}
	labels_release(&one);
	return e;
}

static int
put_labels(struct node *n, struct buf *b, char why[LABELS_WHY])
{
	struct labels *all = &n->self.own;
	int e = labels_put(all, span_str("node"), span_str(n->name), why);

	for (const char *const *s = n->o.labels; s && *s && e == 0; s++)
		e = add_label(all, *s, why);
	if (e == 0)
		e = mp_put_map(b, all->n);
	for (size_t i = 0; i < all->n && e == 0; i++)
		if ((e = mp_put_str(b, all->v[i].name, strlen(all->v[i].name))) == 0)
			e = mp_put_str(b, all->v[i].value, strlen(all->v[i].value));
	if (e == 0 && b->len > LABELS_BYTES) {
		snprintf(why, LABELS_WHY, "the labels have %zu bytes together: at most %d are allowed", b->len, LABELS_BYTES);
		e = -EINVAL;
	}
	return e;
}

int
nodes_labelled(const struct node *n, struct span on, char why[NODE_MESSAGE])
{
	struct labels_any any = { 0 };
	char text[LABELS_WHY] = "no memory";
	bool is;

	why[0] = '\0';
	if (on.n == 0)
		return 1;
	if (labels_any_parse(&any, on, text) < 0) {
		snprintf(why, NODE_MESSAGE, "%s", text);
		return -EINVAL;
	}
	is = label_expr_first(any.v, any.n, &n->self.own) < any.n;
	if (!is)
		snprintf(why, NODE_MESSAGE, "this node has not the labels %.*s", (int)(on.n < 100 ? on.n : 100), (const char *)on.p);
	labels_any_release(&any);
	return is;
}

static int
listen_now(struct nodes_self *s, const char *given, char *why, size_t nwhy)
{
	char local[TCP_NAME], *colon;
	struct addrinfo *a;
	int e;

	if (tcp_parse_port(&s->listen, given, TCP_NODE_PORT) < 0) {
		snprintf(why, nwhy, "cannot listen at '%s': expected HOST, HOST:PORT, [ADDRESS]:PORT or :PORT", given);
		return -EINVAL;
	}
	if ((e = tcp_resolve(&s->listen, 1, &a)) == 0) {
		e = s->listener = tcp_listen(a);
		freeaddrinfo(a);
	}
	if (e < 0) {
		snprintf(why, nwhy, "cannot listen at '%s': %s", given, e == -ENOENT ? "no such host" : err_str(e));
		return e == -EINVAL ? -EADDRNOTAVAIL : e;
	}
	tcp_local(s->listener, local);
	if ((colon = strrchr(local, ':')) != NULL)	/* a free one, if 0 was asked for */
		snprintf(s->listen.port, sizeof s->listen.port, "%s", colon + 1);
	return 0;
}

int
nodes_start(struct node *n, char *why, size_t nwhy)
{
	char text[LABELS_WHY] = "";
	int e;

	struct nodes_self *s = &n->self;

	cluster_init(&n->nodes, 0);
	if (getrandom(&s->incarnation, sizeof s->incarnation, 0) != sizeof s->incarnation)
		s->incarnation = clock_wall_ns();
	if (n->o.listen && (e = listen_now(s, n->o.listen, why, nwhy)) < 0)
		return e;
	if ((e = put_labels(n, &s->labels, text)) < 0)
		snprintf(why, nwhy, "%s", text);
	return e;
}

/* where others can reach us: what was asked for; of every address that one by which we reach the control store, or our name */
static void
address(struct node *n)
{
	struct nodes_self *s = &n->self;
	char local[TCP_NAME], own[TCP_HOST] = "localhost", *colon;
	const char *host = s->listen.host;

	s->addr[0] = '\0';
	if (n->o.listen == NULL)
		return;
	if (!*host && n->o.join && n->gcs) {
		tcp_local(n->gcs->io.fd, local);
		if ((colon = strrchr(local, ':')) == NULL)
			return;
		*colon = '\0';
		snprintf(s->addr, sizeof s->addr, "%s:%s", local, s->listen.port);
		return;
	}
	if (*host == '\0' && gethostname(own, sizeof own - 1) == 0)
		host = own;
	snprintf(s->addr, sizeof s->addr, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, s->listen.port);
}

static void
put_custom(const struct node *n, const struct res *v, struct buf *b)	/* a map; nothing: there are none */
{
	unsigned count = 0;

	for (unsigned i = RES_CUSTOM; i < RES_MAX; i++)
		count += n->lease.total.v[i] > 0;
	if (count)
		mp_put_map(b, count);
	for (unsigned i = RES_CUSTOM; count && i < RES_MAX; i++)
		if (n->lease.total.v[i] > 0) {
			mp_put_str(b, n->lease.name[i], strlen(n->lease.name[i]));
			mp_put_uint(b, v->v[i] > 0 ? (uint64_t)v->v[i] : 0);
		}
}

void
nodes_join(struct node *n, struct msg_node_join *m, struct buf *custom)
{
	address(n);
	put_custom(n, &n->lease.total, custom);
	m->resources = span_buf(custom);
	m->addr = span_str(n->self.addr);
	m->gpus = (uint64_t)n->lease.total.v[RES_GPU];
	m->labels = span_buf(&n->self.labels);
	m->store = memory_size(n);
	m->incarnation = n->self.incarnation;
	m->beats = n->o.join != NULL;
}

void
nodes_alone(struct node *n, const struct msg_node_join *m)
{
	struct buf b = BUF_INIT;

	if (node_what_put(&b, &(struct node_what){ .name = m->name, .resources = m->resources, .labels = m->labels,
	    .cpus = m->cpus, .gpus = m->gpus, .memory = m->memory, .store = m->store, .pid = m->pid, .since = clock_wall_ns(),
	    .incarnation = m->incarnation }) == 0)
		cluster_set(&n->nodes, n->number, span_buf(&b), span_text(""));
	buf_release(&b);
}

/* --- how loaded we are ----------------------------------------------------------------------------------------------------- */

static void
look(const struct node *n, struct nodes_load *l)
{
	int64_t step = n->lease.total.v[RES_MEM] / STEPS + 1;
	uint64_t part = n->arena.bytes / STEPS + 1;

	memset(l, 0, sizeof *l);
	l->free = n->lease.free;
	l->free.v[RES_MEM] = l->free.v[RES_MEM] / step * step;
	l->store = (n->arena.lent + n->arena.owned) / part * part;
	l->waiting = lease_waiting(&n->lease);
	l->workers = n->workers;
	l->drivers = n->drivers;
	l->leases = lease_granted(&n->lease);
	l->kept = n->kept.n + abroad_primaries(n);
	l->wanted = elastic_mark(n);
	l->elastic = n->self.elastic.changes;
}

static uint64_t
amount(const struct nodes_load *l, unsigned r)	/* woken workers may overshoot */
{
	return l->free.v[r] > 0 ? (uint64_t)l->free.v[r] : 0;
}

static int
put_load(struct node *n, const struct nodes_load *l, bool all, struct buf *b)	/* all: also what an autoscaler needs, and says */
{
	const struct elastic *x = &n->self.elastic;
	struct buf custom = BUF_INIT;
	char wanted[WANTED] = "";
	int e;

	if (all)
		elastic_wanted(n, wanted, sizeof wanted);
	put_custom(n, &l->free, &custom);
	e = node_load_put(b, &(struct node_load){ .resources = span_buf(&custom), .cpus = amount(l, RES_CPU),
	    .gpus = amount(l, RES_GPU), .memory = amount(l, RES_MEM), .store = l->store, .waiting = l->waiting,
	    .workers = l->workers, .drivers = l->drivers, .leases = l->leases, .kept = l->kept, .draining = x->draining != 0,
	    .wanted = span_str(wanted), .types = all ? span_buf(&x->types) : span_text(""),
	    .drains = all ? span_buf(&x->drains) : span_text(""), .report = ++n->self.reports });
	buf_release(&custom);
	return e;
}

static void
tell(struct node *n, const struct nodes_load *l)
{
	struct buf b = BUF_INIT;

	if (put_load(n, l, true, &b) == 0)
		CTL(n, node_load, .load = span_buf(&b));
	buf_release(&b);
}

void
nodes_load(struct node *n, struct buf *b)
{
	struct nodes_load l;

	look(n, &l);
	if (put_load(n, &l, false, b) < 0)
		b->len = 0;
	memset(&n->self.told, 0xff, sizeof n->self.told);	/* one node has heard what others have not: all hear what is so then */
}

void
nodes_joined(struct node *n)
{
	memset(&n->self.told, 0xff, sizeof n->self.told);	/* whatever it knew of us */
	n->self.told_at = 0;
}

void
nodes_turn(struct node *n)
{
	uint64_t every = n->nodes.n * LOAD_EACH, now;
	struct nodes_load l;

	drain_turn(n);
	if (n->load_at || n->gcs == NULL || !n->joined)
		return;
	look(n, &l);
	if (memcmp(&l, &n->self.told, sizeof l) == 0)
		return;
	now = clock_ns();
	every = every > LOAD_EVERY ? every : LOAD_EVERY;
	n->load_at = n->self.told_at + every > now ? n->self.told_at + every : now;
	node_timer(n);
}

void
nodes_tick(struct node *n)
{
	struct nodes_load l;

	n->load_at = 0;
	look(n, &l);
	if (n->self.elastic.draining && l.kept > n->kept.n) {
		abroad_leave(n);
		n->load_at = clock_ns() + LEAVE;
		node_timer(n);
	}
	if (n->gcs == NULL || !n->joined || memcmp(&l, &n->self.told, sizeof l) == 0)
		return;
	n->self.told = l;
	n->self.told_at = clock_ns();
	tell(n, &l);
}

/* --- the others ---------------------------------------------------------------------------------------------------------------- */

/* what it has, in our own numbers of custom resources; of more than we can number nothing is known */
static struct res
total_of(struct node *n, const struct node_what *w)
{
	struct res r = { .v = { [RES_CPU] = (int64_t)w->cpus, [RES_GPU] = (int64_t)w->gpus, [RES_MEM] = (int64_t)w->memory } };
	struct span left = w->resources, name, text;
	uint64_t v;
	unsigned i;

	while (node_row_pair(&left, &name, &text, &v))
		if ((i = lease_resource(&n->lease, (const char *)name.p, name.n, true)) >= RES_CUSTOM && i < RES_MAX)
			r.v[i] = (int64_t)v;
	return r;
}

static void
is_there(struct node *n, const struct cluster_row *r)
{
	char text[NODES_ADDR] = "";
	struct node_what w;
	struct res total;

	if (node_what_get(&w, span_of(r->what.data, r->what.len)) < 0 || w.dead.n || w.addr.n >= sizeof text)
		return;
	snprintf(text, sizeof text, "%.*s", (int)w.addr.n, (const char *)w.addr.p);
	total = total_of(n, &w);
	abroad_node(n, r->number, *text ? text : NULL, &total);
}

/* false: it is given up, or has left */
static bool
lives(const struct node *n, uint32_t node, char why[NODE_MESSAGE])
{
	const struct cluster_row *r = cluster_row(&n->nodes, node);
	struct node_what w;

	snprintf(why, NODE_MESSAGE, "node %u left", node);
	if (r == NULL || node_what_get(&w, span_of(r->what.data, r->what.len)) < 0)
		return false;
	snprintf(why, NODE_MESSAGE, "node %u is dead: %.*s", node, (int)w.dead.n, (const char *)w.dead.p);
	return w.dead.n == 0;
}

/* who is there, or not any more */
static void
follow(struct node *n)
{
	const struct cluster_row *r = NULL;
	struct map_iter it = MAP_ITER;
	char why[NODE_MESSAGE];

	while (map_next(&n->abroad->nodes, &it))
		if (!lives(n, (uint32_t)it.key, why))
			abroad_dead(n, (uint32_t)it.key, why);
	while ((r = cluster_next(&n->nodes, r)) != NULL)
		if (r->what_rev > n->self.seen || n->self.anew)
			is_there(n, r);
	n->self.seen = n->nodes.rev;
}

void
nodes_news(struct node *n)
{
	bool anew = n->self.anew;

	if (n->abroad == NULL)
		return;
	if (n->nodes.what_rev > n->self.seen || anew)
		follow(n);
	n->self.anew = false;
	elastic_news(n, anew);
	abroad_table(n, anew);
}

/* One that is told anew comes in pieces, and what was known holds until it is whole. */
int
nodes_frame(struct node *n, const struct frame *f)
{
	struct nodes_self *s = &n->self;
	struct msg_nodes m;
	int e = msg_get_nodes(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.anew)
		s->pieces.len = 0;
	s->filling |= m.anew != 0;
	if (!s->filling) {
		e = cluster_apply(&n->nodes, m.rows, false);
		nodes_news(n);
		return e;
	}
	if ((e = buf_add(&s->pieces, m.rows.p, m.rows.n)) < 0 || m.more)
		return e;
	e = cluster_apply(&n->nodes, span_buf(&s->pieces), true);
	buf_release(&s->pieces);
	s->filling = false;
	s->anew = true;
	nodes_news(n);
	return e;
}

void
nodes_stop(struct node *n)
{
	if (n->nodes.order.next)
		cluster_release(&n->nodes);
	elastic_stop(n);
	buf_release(&n->self.labels);
	labels_release(&n->self.own);
	buf_release(&n->self.pieces);
	if (n->self.listener >= 0)
		close(n->self.listener);
}
