#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/err.h"
#include "core/node_row.h"
#include "node/gcs_inner.h"
#include "os/tcp.h"

enum {
	PIECE = 64 << 10,		/* bytes of changes in one message */
	UNREAD = 256 << 10,		/* bytes that wait for a follower: until it has read them it is told nothing new */
	GRAVES = 1000,			/* dead nodes that are listed */
};

#define SWEEP 5.			/* seconds between two looks for buffers that are not used any more, */
#define SWEPT (1 << 20)			/* and from so many bytes on the kernel gets them */
#define SHOWN (300 * CLOCK_SEC)		/* so long they are */
#define EVERY (CLOCK_SEC / 10)		/* between two messages to a follower; more with many of them: */
#define EACH (CLOCK_SEC / 20000)	/* so many messages a second to all of them */

struct grave {
	struct list link;
	uint32_t node;
	uint64_t until;
};

/* --- telling followers ----------------------------------------------------------------------------------------------- */

static void
arm(struct gcs *g, uint64_t at)
{
	uint64_t now = clock_ns();

	ev_timer_stop(g->loop, &g->nodes.tick);
	ev_now_update(g->loop);
	ev_timer_set(&g->nodes.tick, at > now ? (double)(at - now) / 1e9 : 0., 0.);
	ev_timer_start(g->loop, &g->nodes.tick);
}

static uint64_t
next_tick(const struct gcs_nodes *n)
{
	uint64_t every = n->nfollowers * EACH;

	return n->ticked + (every > EVERY ? every : EVERY);
}

static void
changed(struct gcs *g)			/* followers are to hear of it */
{
	struct gcs_nodes *n = &g->nodes;

	if (n->nfollowers && (!ev_is_active(&n->tick) || ev_timer_remaining(g->loop, &n->tick) > 1.))
		arm(g, next_tick(n));
}

struct piece {				/* the last one that was made: most followers want the same */
	struct cluster_seen from, to;
	struct buf b;
	bool made, anew;
};

/* true: it has not got all yet */
static bool
tell(struct gcs_peer *p, struct piece *k)
{
	const struct cluster *list = &p->g->nodes.list;
	struct buf *out = conn_out(p->c);
	size_t at = out->len;

	if (p->seen.rev == list->rev)
		return false;
	if (conn_unsent(p->c) > UNREAD)
		return true;
	if (!k->made || memcmp(&k->from, &p->seen, sizeof p->seen) != 0) {
		k->from = k->to = p->seen;
		k->b.len = 0;
		k->made = cluster_since(list, &k->to, PIECE, &k->b, &k->anew) == 0;
	}
	if (!k->made)
		return true;
	p->seen = k->to;
	conn_done(p->c, at, msg_put_nodes(out, &(struct msg_nodes){ .anew = k->anew, .more = p->seen.rev != list->rev,
	    .rows = span_of(k->b.data, k->b.len) }), NULL, 0, 0);
	return p->seen.rev != list->rev;
}

static void
bury(struct gcs_nodes *n, uint64_t now)
{
	struct list *l;

	while ((l = list_first(&n->graves)) != NULL) {
		struct grave *v = list_entry(l, struct grave, link);

		if (v->until > now && n->ngraves <= GRAVES)
			break;
		cluster_gone(&n->list, v->node);
		list_del(&v->link);
		free(v);
		n->ngraves--;
	}
}

/*
 * After a start those that were there before come back first, or are given up: until then nobody is told that they are gone.
 */
static void
on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;
	struct gcs_nodes *n = &g->nodes;
	struct piece k = { .made = false };
	struct list *l;
	bool more;

	(void)loop, (void)revents;
	n->settled |= g->core.nbefore == 0 && n->ncoming == 0;
	more = !n->settled;
	n->ticked = clock_ns();
	bury(n, n->ticked);
	if (!more)
		list_each(f, &n->followers)
			more |= tell(list_entry(f, struct gcs_peer, follower), &k);
	buf_release(&k.b);
	if (more)
		arm(g, next_tick(n));
	else if ((l = list_first(&n->graves)) != NULL)
		arm(g, list_entry(l, struct grave, link)->until);
}

/* Thousands of followers were told of all the others at once: what that took is given back. */
static void
on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;
	size_t n = 0;

	(void)loop, (void)revents;
	list_each(l, &g->nodes.followers)
		n += conn_trim(list_entry(l, struct gcs_peer, follower)->c);
	if (n > SWEPT)
		malloc_trim(0);
}

/* --- what nodes say --------------------------------------------------------------------------------------------------- */

static bool
address_fine(struct span s)
{
	char text[TCP_HOST + TCP_PORT];
	struct tcp_name t;

	if (s.n == 0)
		return true;
	snprintf(text, sizeof text, "%.*s", (int)s.n, (const char *)s.p);
	return s.n < sizeof text && strlen(text) == s.n && tcp_parse(&t, text) == 0;
}

int
gcs_nodes_join(struct gcs_peer *p, const struct frame *f)
{
	struct msg_node_join m;
	int e = msg_get_node_join(&m, f->body, f->len);

	if (e < 0 || !address_fine(m.addr) || !node_row_map(m.resources) || !node_row_map(m.labels))
		return e < 0 ? e : ERR_PROTO;
	p->what.len = 0;
	e = node_what_put(&p->what, &(struct node_what){ .name = m.name, .addr = m.addr, .resources = m.resources,
	    .labels = m.labels, .cpus = m.cpus, .gpus = m.gpus, .memory = m.memory, .store = m.store, .pid = m.pid,
	    .since = clock_wall_ns(), .incarnation = m.incarnation });
	return e < 0 ? e : p->what.len > CLUSTER_BYTES_MAX ? ERR_PROTO : 0;
}

void
gcs_nodes_coming(struct gcs_peer *p)
{
	if (p->coming || p->node)
		return;
	p->coming = true;
	p->g->nodes.ncoming++;
}

static void
came(struct gcs_peer *p)
{
	p->g->nodes.ncoming -= p->coming;
	p->coming = false;
}

void
gcs_nodes_beat(struct gcs_peer *p, const struct frame *f)
{
	struct msg_heartbeat m;
	struct buf *out = conn_out(p->c);
	size_t at = out->len;

	if (msg_get_heartbeat(&m, f->body, f->len) == 0)	/* whatever waits for the disk: this does not depend on it */
		conn_done(p->c, at, msg_put_heartbeat(out, &(struct msg_heartbeat){ .number = m.number }), NULL, 0, 0);
}

int
gcs_nodes_load(struct gcs_peer *p, const struct frame *f)
{
	struct msg_node_load m;
	struct node_load l;
	int e = msg_get_node_load(&m, f->body, f->len);

	if (e < 0 || (e = node_load_get(&l, m.load)) < 0)
		return e;
	if (p->node == 0)		/* it is given up, or not listed yet: it says so again */
		return 0;
	e = cluster_set(&p->g->nodes.list, p->node, span_of(NULL, 0), m.load);
	gcs_groups_load_of(p);
	changed(p->g);
	return e;
}

/* --- who is there ------------------------------------------------------------------------------------------------------ */

void
gcs_nodes_up(struct gcs_peer *p, uint32_t node)
{
	struct gcs_nodes *n = &p->g->nodes;
	const struct cluster_row *r = cluster_row(&n->list, node);

	came(p);
	p->node = node;
	cluster_set(&n->list, node, span_of(p->what.data, p->what.len), r ? span_of(NULL, 0) : span_text(""));
	if (list_empty(&p->follower)) {
		list_add_tail(&n->followers, &p->follower);
		if (n->nfollowers++ == 0)
			ev_timer_again(p->g->loop, &n->sweep);
	}
	changed(p->g);
}

void
gcs_nodes_gone(struct gcs_peer *p)
{
	came(p);
	if (!list_empty(&p->follower) && --p->g->nodes.nfollowers == 0)
		ev_timer_stop(p->g->loop, &p->g->nodes.sweep);
	list_del(&p->follower);
	buf_release(&p->what);
}

void
gcs_nodes_down(struct gcs *g, uint32_t node, struct span why)
{
	struct gcs_nodes *n = &g->nodes;
	const struct cluster_row *r = cluster_row(&n->list, node);
	struct grave *v = why.n ? calloc(1, sizeof *v) : NULL;
	struct buf b = BUF_INIT;
	struct node_what w = { .dead = why };
	char line[300];

	if (r)
		node_what_get(&w, span_of(r->what.data, r->what.len));
	if (why.n && g->o.log) {
		snprintf(line, sizeof line, "node %u%s%.*s%s is dead: %.*s", node, w.name.n ? " (" : "", (int)(w.name.n < 100 ? w.name.n : 100),
		    (const char *)w.name.p, w.name.n ? ")" : "", (int)why.n, (const char *)why.p);
		g->o.log(0, line);
	}
	w.dead = why;
	if (r && v && node_what_put(&b, &w) == 0 && cluster_set(&n->list, node, span_of(b.data, b.len), span_text("")) == 0) {
		*v = (struct grave){ .node = node, .until = clock_ns() + SHOWN };
		list_add_tail(&n->graves, &v->link);
		n->ngraves++;
	} else {
		cluster_gone(&n->list, node);
		free(v);
	}
	buf_release(&b);
	changed(g);
}

/* --- start and end ------------------------------------------------------------------------------------------------------ */

uint64_t
gcs_now(struct gcs *g)
{
	return alive_now(&g->nodes.clock, clock_ns());
}

void
gcs_nodes_init(struct gcs *g)
{
	cluster_init(&g->nodes.list, 0);
	list_init(&g->nodes.followers);
	list_init(&g->nodes.graves);
	g->nodes.clock.gap = g->core.limit / 6;
	ev_timer_init(&g->nodes.tick, on_tick, 0., 0.);
	ev_timer_init(&g->nodes.sweep, on_sweep, SWEEP, SWEEP);
	g->nodes.tick.data = g->nodes.sweep.data = g;
}

void
gcs_nodes_start(struct gcs *g)
{
	cluster_init(&g->nodes.list, g->core.epoch);
}

void
gcs_nodes_stop(struct gcs *g)
{
	struct list *l;

	if (g->loop)
		ev_timer_stop(g->loop, &g->nodes.tick);
	while ((l = list_shift(&g->nodes.graves)) != NULL)
		free(list_entry(l, struct grave, link));
	cluster_release(&g->nodes.list);
}
