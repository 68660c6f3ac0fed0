#include <errno.h>
#include "core/node_row.h"
#include "core/where_row.h"

void
where_amounts(struct res *r, uint64_t cpus, uint64_t gpus, uint64_t memory, struct span custom, struct lease_core *names)
{
	struct span name, text;
	uint64_t v;
	unsigned i;

	*r = (struct res){ .v = { [RES_CPU] = (int64_t)cpus, [RES_GPU] = (int64_t)gpus, [RES_MEM] = (int64_t)memory } };
	while (node_row_pair(&custom, &name, &text, &v))
		if ((i = lease_resource(names, (const char *)name.p, name.n, true)) >= RES_CUSTOM && i < RES_MAX)
			r->v[i] = (int64_t)v;
	for (i = 0; i < RES_MAX; i++)
		r->v[i] = r->v[i] < 0 ? INT64_MAX : r->v[i];	/* more than there can be */
}

int
where_row_labels(struct labels *l, struct span map)
{
	struct span name, text;
	char why[LABELS_WHY];
	uint64_t v;
	int e = 0;

	while (e != -ENOMEM && node_row_pair(&map, &name, &text, &v))
		e = labels_put(l, name, text, why);
	if (e == -ENOMEM)
		labels_release(l);
	return e == -ENOMEM ? e : 0;
}

/* what it is; 1: it is not there, or not for us */
static int
is_there(struct where *w, const struct cluster_row *r, struct lease_core *names)
{
	struct where_node *n = where_get(w, r->number);
	struct labels labels = { 0 };
	struct node_what what;
	struct res total;
	int e;

	if (node_what_get(&what, span_of(r->what.data, r->what.len)) < 0 || what.dead.n)
		return 1;
	where_amounts(&total, what.cpus, what.gpus, what.memory, what.resources, names);
	e = where_row_labels(&labels, what.labels);
	if (n && n->incarnation != what.incarnation)
		where_gone(w, r->number);		/* its daemon began anew, and counts its reports from 1 */
	if (e != -ENOMEM)
		e = where_node(w, r->number, &total, &labels, 0);
	if ((n = where_get(w, r->number)) != NULL)
		n->incarnation = what.incarnation;
	labels_release(&labels);
	return e;
}

void
where_row_load(struct where *w, uint32_t node, struct span load, struct lease_core *names)
{
	struct node_load l;
	struct res free, waiting;

	if (node == w->local || load.n == 0 || node_load_get(&l, load) < 0)
		return;
	where_amounts(&free, l.cpus, l.gpus, l.memory, l.resources, names);
	waiting = (struct res){ .v = { [RES_CPU] = l.waiting < INT32_MAX ? (int64_t)l.waiting * 1000 : 0 } };
	where_load(w, node, l.report, &free, &waiting, l.draining != 0);
}

/* those that the list has no row of */
static void
leave(struct where *w, const struct cluster *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&w->numbers, &it))
		if (cluster_row(c, (uint32_t)it.key) == NULL)
			where_gone(w, (uint32_t)it.key);
}

int
where_follow(struct where *w, const struct cluster *c, struct where_seen *s, bool anew, struct lease_core *names)
{
	const struct cluster_row *r = NULL;

	if (anew) {
		s->rev = 0;
		leave(w, c);
	}
	while ((r = cluster_newer(c, s->rev, r)) != NULL) {
		int e = r->gone ? 1 : r->what_rev > s->rev ? is_there(w, r, names) : 0;

		if (e < 0)
			return e;
		if (e == 1)
			where_gone(w, r->number);
		else if (where_get(w, r->number))
			where_row_load(w, r->number, span_of(r->load.data, r->load.len), names);
	}
	s->rev = c->rev;
	return 0;
}
