/*
 * part_cluster.c - the list of all nodes and its followers (core/cluster.h).
 *
 * The control store's machine keeps the list; each node tells it what it is and how loaded it is, and follows the list.
 * When the store starts again it knows no rows, and its revisions begin above all of earlier ones: its epoch is on its disk.
 *
 *	cluster-equal	in the end every follower has the list that the store has
 *	cluster-apply	a follower can apply what it is sent
 *	cluster-check	the figures of a list agree
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/cluster.h"
#include "parts.h"

enum { LOAD = 'l', CHANGES = 'c', ANEW = 'n', ASK = 'a' };

struct node {
	struct sim_machine *m;
	struct sim_conn *c;
	struct cluster list;
	uint64_t loads;
};

struct peer {				/* at the store, of a connection */
	struct list link;
	struct sim_conn *c;
	uint32_t number;		/* of its node: each life has another */
	struct cluster_seen seen;
	bool asked;			/* it waits for what is new */
};

struct part {
	uint64_t epoch;			/* on the store's disk */
	struct cluster list;
	struct list peers;
	struct node *node;
	size_t most;
	bool sweeping;			/* a look for what followers lack is due */
};

static struct part *
mine(const struct sim *s)
{
	return s->of[CLUSTER_PART];
}

static void
say(struct sim *s, struct sim_conn *c, int side, char kind, struct span b)
{
	struct buf out = BUF_INIT;

	if (buf_add(&out, &kind, 1) < 0 || (b.n && buf_add(&out, b.p, b.n) < 0))
		abort();
	sim_send(s, c, side, out.data, out.len);
	buf_release(&out);
}

/* --- the store ------------------------------------------------------------------------------------------------------ */

static void
answer(struct sim *s, struct peer *q)
{
	struct part *p = mine(s);
	struct buf out = BUF_INIT;
	bool anew;

	sim_check(s, "cluster-check", cluster_since(&p->list, &q->seen, p->most, &out, &anew) == 0);
	if (out.len || anew) {
		q->asked = false;
		say(s, q->c, 1, anew ? ANEW : CHANGES, span_of(out.data, out.len));
	}
	buf_release(&out);
}

static void
sweep(struct sim *s, void *arg, uint64_t n)
{
	struct part *p = mine(s);

	(void)arg, (void)n;
	p->sweeping = false;
	list_each(l, &p->peers)
		if (list_entry(l, struct peer, link)->asked)
			answer(s, list_entry(l, struct peer, link));
}

static void
changed(struct sim *s)
{
	struct part *p = mine(s);

	sim_check(s, "cluster-check", cluster_check(&p->list) == 0);
	if (!p->sweeping) {
		p->sweeping = true;
		sim_after(s, &s->machine[0], sim_about(s, 20 * SIM_MS), sweep, NULL, 0);
	}
}

static void
opened(struct sim *s, struct sim_conn *c)
{
	struct peer *q = calloc(1, sizeof *q);

	if (q == NULL)
		abort();
	*q = (struct peer){ .c = c };
	c->side[1].arg = q;
	list_add_tail(&mine(s)->peers, &q->link);
}

static void
at_store(struct sim *s, struct peer *q, struct span b)
{
	char word[32];

	if (b.p[0] == LOAD) {
		memcpy(&q->number, b.p + 1, 4);
		snprintf(word, sizeof word, "node %u", (unsigned)q->number);
		if (cluster_set(&mine(s)->list, q->number, span_text(word), span_of(b.p + 5, b.n - 5)) < 0)
			abort();
		changed(s);
	} else {
		memcpy(&q->seen.rev, b.p + 1, 8);
		q->asked = true;
		answer(s, q);
	}
}

static void
peer_free(struct peer *q)
{
	list_del(&q->link);
	free(q);
}

/* --- a node --------------------------------------------------------------------------------------------------------- */

static void	connect_now(struct sim *s, void *arg, uint64_t n);

static void
ask(struct sim *s, struct node *n)
{
	struct cluster *l = &n->list;

	say(s, n->c, 0, ASK, span_of(&l->rev, sizeof l->rev));
}

static void
tell(struct sim *s, struct node *n)
{
	unsigned char b[12];
	uint32_t number = (uint32_t)n->m->life;

	memcpy(b, &number, 4);
	memcpy(b + 4, &n->loads, 8);
	if (n->c)
		say(s, n->c, 0, LOAD, span_of(b, sizeof b));
}

static void
load(struct sim *s, void *arg, uint64_t k)
{
	struct node *n = arg;

	(void)k;
	if (s->phase == SIM_CALM)
		return;
	n->loads += sim_below(s, 2);
	tell(s, n);
	sim_after(s, n->m, sim_about(s, 100 * SIM_MS), load, n, 0);
}

static void
at_node(struct sim *s, struct node *n, struct span b)
{
	int e = cluster_apply(&n->list, span_of(b.p + 1, b.n - 1), b.p[0] == ANEW);

	sim_log(s, "cluster: node %u has revision %llx", n->m->i, (unsigned long long)n->list.rev);
	sim_check(s, "cluster-apply", e == 0);
	sim_check(s, "cluster-check", cluster_check(&n->list) == 0);
	ask(s, n);
}

static void
frames(struct sim *s, struct sim_conn *c, int side, struct span b)
{
	if (side)
		at_store(s, c->side[1].arg, b);
	else
		at_node(s, c->side[0].arg, b);
}

static void
closed(struct sim *s, struct sim_conn *c, int side)
{
	struct node *n = c->side[0].arg;
	struct peer *q = c->side[1].arg;

	if (side == 0) {
		n->c = NULL;
		sim_after(s, n->m, sim_about(s, 100 * SIM_MS), connect_now, n, 0);
		return;
	}
	if (q->number) {
		bool other = false;		/* it is here again already, and this is its old connection */

		list_each(l, &mine(s)->peers)
			other |= list_entry(l, struct peer, link) != q && list_entry(l, struct peer, link)->number == q->number;
		if (!other)
			cluster_gone(&mine(s)->list, q->number);
		changed(s);
	}
	peer_free(q);
}

static const struct sim_ends ends = { opened, frames, closed };

static void
connect_now(struct sim *s, void *arg, uint64_t k)
{
	struct node *n = arg;

	(void)k;
	n->c = sim_connect(s, n->m, &s->machine[0], &ends, n);
	tell(s, n);
	ask(s, n);
}

/* --- the part --------------------------------------------------------------------------------------------------------- */

static void
init(struct sim *s)
{
	struct part *p = calloc(1, sizeof *p);

	if (p == NULL || (p->node = calloc(s->nmachine, sizeof *p->node)) == NULL)
		abort();
	s->of[CLUSTER_PART] = p;
	list_init(&p->peers);
	p->most = 1 + sim_below(s, 400);
	for (unsigned i = 1; i < s->nmachine; i++)
		p->node[i].m = &s->machine[i];
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct part *p = mine(s);
	struct node *n = &p->node[m->i];

	if (m->i == 0) {
		cluster_init(&p->list, ++p->epoch);
		return;
	}
	cluster_init(&n->list, 0);
	n->loads = 0;
	connect_now(s, n, 0);
	sim_after(s, m, sim_about(s, 100 * SIM_MS), load, n, 0);
}

static void
down(struct sim *s, struct sim_machine *m)
{
	struct part *p = mine(s);

	if (m->i) {
		p->node[m->i].c = NULL;
		cluster_release(&p->node[m->i].list);
		return;
	}
	list_each_safe(l, next, &p->peers)
		peer_free(list_entry(l, struct peer, link));
	cluster_release(&p->list);
	p->sweeping = false;
}

static bool
same(const struct cluster *a, const struct cluster *b)
{
	const struct cluster_row *r = NULL, *o;

	if (a->n != b->n)
		return false;
	while ((r = cluster_next(a, r)))
		if ((o = cluster_row(b, r->number)) == NULL || o->what.len != r->what.len || o->load.len != r->load.len ||
		    memcmp(o->what.data, r->what.data, r->what.len) != 0 || memcmp(o->load.data, r->load.data, r->load.len) != 0)
			return false;
	return true;
}

static bool
done(struct sim *s)
{
	struct part *p = mine(s);

	if (p->list.n != s->nmachine - 1)
		return false;
	for (unsigned i = 1; i < s->nmachine; i++)
		if (!same(&p->list, &p->node[i].list))
			return false;
	return true;
}

static void
end(struct sim *s)
{
	struct part *p = mine(s);

	for (unsigned i = 1; i < s->nmachine; i++)
		if (!same(&p->list, &p->node[i].list))
			sim_fail(s, "cluster-equal", "node %u has %zu rows at revision %llx, the store %zu at %llx", i, p->node[i].list.n,
			    (unsigned long long)p->node[i].list.rev, p->list.n, (unsigned long long)p->list.rev);
	sim_check(s, "cluster-equal", p->list.n == s->nmachine - 1);
}

static void
release(struct sim *s)
{
	struct part *p = mine(s);

	list_each_safe(l, next, &p->peers)
		peer_free(list_entry(l, struct peer, link));
	cluster_release(&p->list);
	for (unsigned i = 1; i < s->nmachine; i++)
		cluster_release(&p->node[i].list);
	free(p->node);
	free(p);
}

const struct sim_part part_cluster = { "cluster", init, up, down, NULL, NULL, NULL, done, end, release };
