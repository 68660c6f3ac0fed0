/*
 * group_plan - which node for which bundle.
 *
 * First the quick way: the bundles in their order, each on the first node that has room (pack), or on the one with the
 * fewest (spread).  If that fails, a search: the largest bundles first, every node that differs, and back again.  It ends
 * after PLAN_LOOKS nodes looked at: only one that came to its end shows that a group can never be placed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group.h"

#define PLAN_LOOKS 100000u

enum room { NOW, LATER, EMPTY };	/* less what leases use; less what groups have; all of it */

struct plan {
	const struct group_node *const *nodes;
	const struct group_want *want;
	const uint32_t *kept;		/* of each bundle: the node where it stays, or 0 */
	unsigned nnode, looks;
	enum room how;
	struct res *room;		/* of nodes that were looked at: known[i] */
	bool *known;
	unsigned *used;			/* bundles on each node */
	unsigned *order, *at;		/* bundles, the largest first; of each bundle the index of its node */
};

static bool
within(const struct res *need, const struct res *room)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && need->v[r] > room->v[r])
			return false;
	return true;
}

static void
take(struct res *room, const struct res *need, int sign)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		room->v[r] -= sign * need->v[r];
}

/* computed when it is looked at: of many nodes few are */
static struct res *
room_of(struct plan *p, unsigned i)
{
	if (!p->known[i]) {
		p->known[i] = true;
		p->room[i] = p->nodes[i]->total;
		if (p->how != EMPTY)
			take(&p->room[i], &p->nodes[i]->set, 1);
		if (p->how == NOW)
			take(&p->room[i], &p->nodes[i]->busy, 1);
	}
	return &p->room[i];
}

static bool
allowed(const struct group_want *g, unsigned b, const struct group_node *n)
{
	static const struct labels none;

	const struct label_expr *e = g->labels ? g->labels[b] : NULL;

	return !n->draining && (e == NULL || label_expr_match(e, n->labels ? n->labels : &none));
}

static bool
fits(struct plan *p, unsigned b, unsigned i)
{
	return !(p->want->strategy == GROUP_STRICT_SPREAD && p->used[i]) && within(&p->want->bundle[b], room_of(p, i)) &&
	    allowed(p->want, b, p->nodes[i]);
}

static void
put(struct plan *p, unsigned b, unsigned i, int sign)
{
	take(room_of(p, i), &p->want->bundle[b], sign);
	p->used[i] += (unsigned)sign;
	p->at[b] = i;
}

static bool
spreads(const struct plan *p)
{
	return p->want->strategy == GROUP_SPREAD || p->want->strategy == GROUP_STRICT_SPREAD;
}

/* as empty as `how` says; the bundles that stay count as taken, on top of what their nodes have set aside but for EMPTY */
static void
begin(struct plan *p, enum room how)
{
	p->how = how;
	memset(p->known, 0, p->nnode * sizeof *p->known);
	memset(p->used, 0, p->nnode * sizeof *p->used);
	for (unsigned b = 0; b < p->want->n; b++)
		for (unsigned i = 0; p->kept[b] && i < p->nnode; i++)
			if (p->nodes[i]->number == p->kept[b]) {
				p->used[i]++;
				if (how == EMPTY)	/* set has it otherwise */
					take(room_of(p, i), &p->want->bundle[b], 1);
			}
}

static bool
quick(struct plan *p, enum room how)
{
	begin(p, how);
	for (unsigned b = 0; b < p->want->n; b++) {
		unsigned best = p->nnode;

		for (unsigned i = 0; !p->kept[b] && i < p->nnode; i++) {
			if (best < p->nnode && !(spreads(p) ? p->used[i] < p->used[best] : p->used[i] && !p->used[best]))
				continue;
			if (fits(p, b, i))
				best = i;
			if (best < p->nnode && (p->used[best] == 0) == spreads(p))
				break;			/* none is better */
		}
		if (p->kept[b])
			continue;
		if (best == p->nnode)
			return false;
		put(p, b, best, 1);
	}
	return true;
}

/* Every way to place the bundles from the k-th on.  Of nodes that are alike now one is tried. */
static bool
search(struct plan *p, unsigned k)
{
	unsigned b, last;

	while (k < p->want->n && p->kept[p->order[k]])
		k++;
	if (k == p->want->n)
		return true;
	b = p->order[k];
	for (int pass = 0; pass < 2; pass++) {
		last = p->nnode;
		for (unsigned i = 0; i < p->nnode; i++) {
			if (p->looks == 0 || --p->looks == 0)
				return false;
			if ((p->used[i] == 0) != (pass == (spreads(p) ? 0 : 1)) || !fits(p, b, i))
				continue;
			if (last < p->nnode && p->want->labels == NULL && memcmp(room_of(p, i), room_of(p, last), sizeof *p->room) == 0 &&
			    p->used[i] == p->used[last])
				continue;
			last = i;
			put(p, b, i, 1);
			if (search(p, k + 1))
				return true;
			put(p, b, i, -1);
		}
	}
	return false;
}

/* all on one node: of all that would do it the first; some stay: on theirs */
static bool
one_node(struct plan *p, enum room how)
{
	begin(p, how);
	for (unsigned i = 0; i < p->nnode; i++) {
		struct res room = *room_of(p, i);
		bool good = true;

		for (unsigned b = 0; b < p->want->n && good; b++) {
			if (p->kept[b])
				good = p->kept[b] == p->nodes[i]->number;
			else if ((good = within(&p->want->bundle[b], &room) && allowed(p->want, b, p->nodes[i])))
				take(&room, &p->want->bundle[b], 1);
		}
		for (unsigned b = 0; b < p->want->n && good; b++)
			p->at[b] = i;
		if (good)
			return true;
	}
	return false;
}

/* Is there too little of something in all, so that no search can help? */
static bool
hopeless(struct plan *p)
{
	for (unsigned r = 0; r < RES_MAX; r++) {
		int64_t need = 0, have = 0;

		for (unsigned b = 0; b < p->want->n; b++)
			need += p->kept[b] ? 0 : p->want->bundle[b].v[r];
		for (unsigned i = 0; need > 0 && i < p->nnode; i++)
			have += room_of(p, i)->v[r] > 0 && !p->nodes[i]->draining ? room_of(p, i)->v[r] : 0;
		if (need > have)
			return true;
	}
	return false;
}

static bool
attempt(struct plan *p, enum room how)
{
	enum group_strategy s = p->want->strategy;

	p->looks = PLAN_LOOKS;
	if ((s == GROUP_PACK || s == GROUP_STRICT_PACK) && one_node(p, how))
		return true;
	if (s == GROUP_STRICT_PACK)
		return false;
	if (quick(p, how))
		return true;
	begin(p, how);
	return !hopeless(p) && search(p, 0);
}

/* --- never, and why ------------------------------------------------------------------------------------------ */

static const char *
amount(unsigned r, int64_t v, char text[32])
{
	if (r == RES_MEM)
		snprintf(text, 32, "%.1fG memory", (double)v / (1 << 30));
	else
		snprintf(text, 32, "%g %s", (double)v / 1000, r == RES_CPU ? "cpus" : "gpus");
	return text;
}

/* appends what there is too little of, if one resource alone shows it; the names of custom ones are not known here */
static void
too_little(const struct group_node *const *nodes, unsigned nnode, const struct group_want *g, char *text, size_t size)
{
	static const unsigned known[] = { RES_CPU, RES_GPU, RES_MEM };
	bool one = g->strategy == GROUP_STRICT_PACK;
	char need[32], have[32];

	for (unsigned k = 0; k < sizeof known / sizeof *known; k++) {
		unsigned r = known[k];
		int64_t most = 0, all = 0, sum = 0;

		for (unsigned i = 0; i < nnode; i++) {
			most = nodes[i]->total.v[r] > most ? nodes[i]->total.v[r] : most;
			all += nodes[i]->total.v[r];
		}
		for (unsigned i = 0; i < g->n; i++) {
			sum += g->bundle[i].v[r];
			if (g->bundle[i].v[r] <= most)
				continue;
			snprintf(text, size, ": bundle %u needs %s, a node has %s", i + 1, amount(r, g->bundle[i].v[r], need),
			    amount(r, most, have));
			return;
		}
		if (sum > (one ? most : all)) {
			snprintf(text, size, ": they need %s, there %s %s", amount(r, sum, need), r == RES_MEM ? "is" : "are",
			    amount(r, one ? most : all, have));
			return;
		}
	}
}

/* a bundle whose labels no node has, from 1; 0: none */
static unsigned
unlabelled(const struct group_node *const *nodes, unsigned nnode, const struct group_want *g)
{
	static const struct labels none;

	for (unsigned b = 0; g->labels && b < g->n; b++) {
		bool any = g->labels[b] == NULL;

		for (unsigned i = 0; i < nnode && !any; i++)
			any = label_expr_match(g->labels[b], nodes[i]->labels ? nodes[i]->labels : &none);
		if (!any)
			return b + 1;
	}
	return 0;
}

static void
why_not(const struct group_node *const *nodes, unsigned nnode, const struct group_want *g, char text[200])
{
	const char *there = nnode == 1 ? "the one node that there is" : "the nodes that there are";
	unsigned b = unlabelled(nodes, nnode, g);
	struct buf labels = BUF_INIT;
	size_t len;

	if (b && label_expr_text(g->labels[b - 1], &labels) == 0) {
		snprintf(text, 200, "bundle %u needs a node with %.*s, and of %u there is none", b,
		    (int)(labels.len < 100 ? labels.len : 100), (const char *)labels.data, nnode);
		buf_release(&labels);
		return;
	}
	if (g->strategy == GROUP_STRICT_SPREAD && g->n > nnode)
		snprintf(text, 200, "strict_spread needs a node for each of the %u bundles, and there %s %u", g->n, nnode == 1 ? "is" : "are",
		    nnode);
	else if (g->strategy == GROUP_STRICT_PACK)
		snprintf(text, 200, "no node can hold all %u bundles", g->n);
	else
		snprintf(text, 200, "%s cannot hold the %u bundle%s", there, g->n, g->n == 1 ? "" : "s");
	len = strlen(text);
	too_little(nodes, nnode, g, text + len, 200 - len);
}

/* --- the plan -------------------------------------------------------------------------------------------------- */

static int64_t
size_of(const struct plan *p, const struct res *b)		/* thousandths of what the largest node has, summed up */
{
	int64_t sum = 0;

	for (unsigned r = 0; r < RES_MAX; r++) {
		int64_t most = 0;

		for (unsigned i = 0; b->v[r] > 0 && i < p->nnode; i++)
			most = p->nodes[i]->total.v[r] > most ? p->nodes[i]->total.v[r] : most;
		if (b->v[r] > 0)
			sum += most == 0 || b->v[r] >= most ? 1000 : (int64_t)((double)b->v[r] / (double)most * 1000);
	}
	return sum;
}

static int
set_up(struct plan *p)
{
	unsigned n = p->want->n;
	int64_t *size = malloc(n * sizeof *size);

	p->room = calloc(p->nnode + 1, sizeof *p->room);
	p->known = calloc(p->nnode + 1, sizeof *p->known);
	p->used = calloc(p->nnode + 1, sizeof *p->used);
	p->order = calloc(n, sizeof *p->order);
	p->at = calloc(n, sizeof *p->at);
	if (!size || !p->room || !p->known || !p->used || !p->order || !p->at) {
		free(size);
		return -1;
	}
	for (unsigned b = 0; b < n; b++) {
		unsigned i = b;

		const struct res *need = &p->want->bundle[b];

		size[b] = b && memcmp(need, need - 1, sizeof *need) == 0 ? size[b - 1] : size_of(p, need);
		for (; i > 0 && size[p->order[i - 1]] < size[b]; i--)
			p->order[i] = p->order[i - 1];
		p->order[i] = b;
	}
	free(size);
	return 0;
}

int
group_plan_over(const struct group_node *const *nodes, unsigned nnode, const struct group_want *g, uint32_t *node, char text[200])
{
	struct plan p = { .nodes = nodes, .nnode = nnode, .want = g, .kept = node };
	int e = 0;

	if (set_up(&p) == 0) {
		if (attempt(&p, NOW) || attempt(&p, LATER))
			e = 1;
		else if (!attempt(&p, EMPTY) && p.looks > 0)
			e = ERR_INFEASIBLE;
	}
	if (e == ERR_INFEASIBLE)
		why_not(nodes, nnode, g, text);
	for (unsigned b = 0; e == 1 && b < g->n; b++)
		if (node[b] == 0)
			node[b] = nodes[p.at[b]]->number;
	free(p.room);
	free(p.known);
	free(p.used);
	free(p.order);
	free(p.at);
	return e;
}

int
group_plan(const struct group_node *const *nodes, unsigned nnode, enum group_strategy s, const struct res *bundle, unsigned n,
    uint32_t *node, char text[200])
{
	memset(node, 0, n * sizeof *node);
	return group_plan_over(nodes, nnode, &(struct group_want){ .strategy = s, .bundle = bundle, .n = n }, node, text);
}
