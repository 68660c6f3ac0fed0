/* group_plan - which node for which bundle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group.h"

static bool
within(const struct res *need, const struct res *room)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && need->v[r] > room->v[r])
			return false;
	return true;
}

static void
take(struct res *room, const struct res *need)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		room->v[r] -= need->v[r];
}

/*
 * One try with so much room: spread takes the node with the fewest bundles, pack the first that has room, and both the
 * bundles in their order.  used[i]: bundles on node i.
 */
static bool
place(const struct group_node *const *nodes, unsigned nnode, struct res *room, unsigned *used, enum group_strategy s,
    const struct res *bundle, unsigned n, uint32_t *node)
{
	bool spread = s == GROUP_SPREAD || s == GROUP_STRICT_SPREAD;

	for (unsigned b = 0; b < n; b++) {
		unsigned best = nnode;

		for (unsigned i = 0; i < nnode; i++) {
			if (!within(&bundle[b], &room[i]) || (s == GROUP_STRICT_SPREAD && used[i]))
				continue;
			if (best == nnode || (spread ? used[i] < used[best] : used[i] && !used[best]))
				best = i;
		}
		if (best == nnode)
			return false;
		take(&room[best], &bundle[b]);
		used[best]++;
		node[b] = nodes[best]->number;
	}
	return true;
}

static bool
attempt(const struct group_node *const *nodes, unsigned nnode, bool empty, enum group_strategy s, const struct res *bundle,
    unsigned n, uint32_t *node)
{
	struct res *room = calloc(nnode ? nnode : 1, sizeof *room);
	unsigned *used = calloc(nnode ? nnode : 1, sizeof *used);
	bool done = false;

	/* on one node: of all that would do it the first; else all of them together */
	for (unsigned i = 0; room && used && i < nnode && !done; i++) {
		if (s != GROUP_PACK && s != GROUP_STRICT_PACK)
			break;
		*room = nodes[i]->total;
		if (!empty)
			take(room, &nodes[i]->set);
		*used = 0;
		done = place(&nodes[i], 1, room, used, s, bundle, n, node);
	}
	if (room && used && !done && s != GROUP_STRICT_PACK) {
		for (unsigned i = 0; i < nnode; i++) {
			room[i] = nodes[i]->total;
			if (!empty)
				take(&room[i], &nodes[i]->set);
			used[i] = 0;
		}
		done = place(nodes, nnode, room, used, s, bundle, n, node);
	}
	free(room);
	free(used);
	return done;
}

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
too_little(const struct group_node *const *nodes, unsigned nnode, enum group_strategy s, const struct res *bundle, unsigned n,
    char *text, size_t size)
{
	static const unsigned known[] = { RES_CPU, RES_GPU, RES_MEM };
	char need[32], have[32];

	for (unsigned k = 0; k < sizeof known / sizeof *known; k++) {
		unsigned r = known[k];
		int64_t most = 0, all = 0, sum = 0;

		for (unsigned i = 0; i < nnode; i++) {
			most = nodes[i]->total.v[r] > most ? nodes[i]->total.v[r] : most;
			all += nodes[i]->total.v[r];
		}
		for (unsigned i = 0; i < n; i++) {
			sum += bundle[i].v[r];
			if (bundle[i].v[r] <= most)
				continue;
			snprintf(text, size, ": bundle %u needs %s, a node has %s", i + 1, amount(r, bundle[i].v[r], need),
			    amount(r, most, have));
			return;
		}
		if (sum > (s == GROUP_STRICT_PACK ? most : all)) {
			snprintf(text, size, ": they need %s, there %s %s", amount(r, sum, need), r == RES_MEM ? "is" : "are",
			    amount(r, s == GROUP_STRICT_PACK ? most : all, have));
			return;
		}
	}
}

static void
why_not(const struct group_node *const *nodes, unsigned nnode, enum group_strategy s, const struct res *bundle, unsigned n, char text[200])
{
	const char *there = nnode == 1 ? "the one node that there is" : "the nodes that there are";
	size_t len;

	if (s == GROUP_STRICT_SPREAD && n > nnode)
		snprintf(text, 200, "strict_spread needs a node for each of the %u bundles, and there %s %u", n, nnode == 1 ? "is" : "are",
		    nnode);
	else if (s == GROUP_STRICT_PACK)
		snprintf(text, 200, "no node can hold all %u bundles", n);
	else
		snprintf(text, 200, "%s cannot hold the %u bundle%s", there, n, n == 1 ? "" : "s");
	len = strlen(text);
	too_little(nodes, nnode, s, bundle, n, text + len, 200 - len);
}

int
group_plan(const struct group_node *const *nodes, unsigned nnode, enum group_strategy s, const struct res *bundle, unsigned n,
    uint32_t *node, char text[200])
{
	if (attempt(nodes, nnode, false, s, bundle, n, node))
		return 1;
	if (attempt(nodes, nnode, true, s, bundle, n, node)) {
		memset(node, 0, n * sizeof *node);
		return 0;
	}
	memset(node, 0, n * sizeof *node);
	why_not(nodes, nnode, s, bundle, n, text);
	return ERR_INFEASIBLE;
}
