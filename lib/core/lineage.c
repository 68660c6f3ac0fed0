#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/grow.h"
#include "base/map.h"
#include "core/lineage.h"

struct step {				/* on the way down: which argument is next */
	uint32_t node;
	unsigned next;
};

static int
push(struct lineage_plan *p, uint32_t node)
{
	uint32_t *more;

	if ((more = grow(p->node, &p->cap, p->n, sizeof *more)) == NULL)
		return -ENOMEM;
	p->node = more;
	p->node[p->n++] = node;
	return 0;
}

int
lineage_make(const struct lineage_graph *g, uint32_t root, size_t depth, size_t work, struct lineage_plan *plan)
{
	static char seen;
	struct map known = { 0 };
	struct step *way = malloc((depth + 1) * sizeof *way);
	size_t deep = 0, met = 1;
	int e = way ? map_put(&known, (uint64_t)root + 1, &seen) : -ENOMEM;

	*plan = (struct lineage_plan){ .culprit = root };
	if (e == 0) {
		way[deep++] = (struct step){ root, 0 };
		if (g->state(g->ctx, root) != LINEAGE_MAKEABLE)
			e = ERR_LOST;
	}
	while (e == 0 && deep > 0) {
		struct step *s = &way[deep - 1];
		uint32_t arg;

		if (!g->arg(g->ctx, s->node, s->next++, &arg)) {
			e = push(plan, s->node);
			deep--;
			continue;
		}
		if (map_get(&known, (uint64_t)arg + 1))
			continue;
		plan->culprit = arg;
		switch (g->state(g->ctx, arg)) {
		case LINEAGE_THERE:
		case LINEAGE_COMING:
			continue;
		case LINEAGE_GONE:
			e = ERR_LOST;
			break;
		case LINEAGE_MAKEABLE:
			if (deep == depth || met++ == work)
				e = -E2BIG;
			else if ((e = map_put(&known, (uint64_t)arg + 1, &seen)) == 0)
				way[deep++] = (struct step){ arg, 0 };
		}
	}
	map_release(&known);
	free(way);
	if (e < 0)
		plan->n = 0;
	return e;
}

void
lineage_release(struct lineage_plan *plan)
{
	free(plan->node);
	*plan = (struct lineage_plan){ .n = 0 };
}
