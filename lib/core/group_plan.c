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

static void
why_not(unsigned nnode, enum group_strategy s, unsigned n, char text[200])
{
	const char *nodes = nnode == 1 ? "the one node that there is" : "the nodes that there are";

	if (s == GROUP_STRICT_SPREAD && n > nnode)
		snprintf(text, 200, "strict_spread needs a node for each of the %u bundles, and there %s %u", n, nnode == 1 ? "is" : "are",
		    nnode);
	else if (s == GROUP_STRICT_PACK)
		snprintf(text, 200, "no node can hold all %u bundles", n);
	else
		snprintf(text, 200, "%s cannot hold the %u bundle%s", nodes, n, n == 1 ? "" : "s");
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
	why_not(nnode, s, n, text);
	return ERR_INFEASIBLE;
}
