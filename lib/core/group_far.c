#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/group_far_inner.h"

/* --- inputs ------------------------------------------------------------------------------------------------------ */

static void
group_free(struct gfar_core *c, struct gfar_group *g)
{
	heap_del(&c->timers, &g->timer);
	heap_del(&c->limits, &g->limit);
	list_del(&g->link);
	map_del(&c->groups, g->number);
	for (unsigned b = 0; g->label && b < g->n; b++)
		label_expr_release(&g->label[b]);
	free(g->label);
	free(g->labels);
	free(g->bundle);
	free(g->node);
	free(g->of);
	free(g->part);
	free(g);
}

static int
copy_labels(struct gfar_group *g, const struct label_expr *from)
{
	char why[LABELS_WHY];

	if (from == NULL)
		return 0;
	g->label = calloc(g->n, sizeof *g->label);
	g->labels = calloc(g->n, sizeof *g->labels);
	for (unsigned b = 0; g->label && g->labels && b < g->n; b++) {
		struct buf t = BUF_INIT;
		int e = label_expr_text(&from[b], &t);

		if (e == 0)
			e = label_expr_parse(&g->label[b], span_of(t.data, t.len), why);
		buf_release(&t);
		if (e < 0)
			return -ENOMEM;
		g->labels[b] = from[b].n ? &g->label[b] : NULL;
	}
	return g->label && g->labels ? 0 : -ENOMEM;
}

static int
fill(struct gfar_core *c, struct gfar_group *g, const struct gfar_in *in)
{
	g->n = in->nbundle;
	g->bundle = malloc(g->n * sizeof *g->bundle);
	g->node = calloc(g->n, sizeof *g->node);
	g->of = calloc(g->n, sizeof *g->of);
	if (!g->bundle || !g->node || !g->of || copy_labels(g, in->exprs) < 0 || map_put(&c->groups, g->number, g) < 0 ||
	    (in->until && heap_set(&c->limits, &g->limit, in->until) < 0))
		return -ENOMEM;
	memcpy(g->bundle, in->bundles, g->n * sizeof *g->bundle);
	return 0;
}

/* Its bundles are where they were: commit what may not have been, and look for those that have no node. */
static int
inherit(struct gfar_core *c, struct gfar_group *g, const struct gfar_in *in, struct gfar_out *o)
{
	if ((g->part = calloc(g->n, sizeof *g->part)) == NULL)
		return -ENOMEM;
	for (unsigned b = 0; b < g->n; b++) {
		g->node[b] = in->at[b];
		g->of[b] = in->at[b] ? in->rounds[b] : 0;
		gfar_account(c, g, b, 1);
		if (g->node[b] && gfar_part_of(g, g->node[b], g->of[b]) == NULL)
			g->part[g->npart++] = (struct gfar_part){ .node = g->node[b], .round = g->of[b], .phase = GFAR_COMMITTING };
	}
	for (unsigned i = 0; i < g->npart; i++)
		gfar_part_fx(o, GFAR_FX_COMMIT, g, &g->part[i]);
	g->ever = in->ever;
	g->state = g->ever ? GROUP_RESCHEDULING : g->npart ? GROUP_PREPARED : GROUP_PENDING;
	if (gfar_lacks(g))
		list_add_tail(&c->homeless, &g->link);
	return 0;
}

static int
in_new(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o)
{
	struct gfar_group *g;

	if (in->nbundle == 0 || in->nbundle > GROUP_BUNDLES_MAX || (unsigned)in->strategy >= GROUP_STRATEGIES || in->group == 0)
		return -EINVAL;
	if (map_get(&c->groups, in->group))
		return -EEXIST;
	if ((g = calloc(1, sizeof *g)) == NULL)
		return -ENOMEM;
	*g = (struct gfar_group){ .number = in->group, .job = in->job, .strategy = in->strategy, .detached = in->detached,
	    .round = in->round, .state = GROUP_PENDING };
	list_init(&g->link);
	if (fill(c, g, in) < 0 || (in->kind == GFAR_IN_HEIR && inherit(c, g, in, o) < 0)) {
		group_free(c, g);
		return -ENOMEM;
	}
	if (g->npart == 0)
		gfar_seek(c, now, g, o);
	return 0;
}

static int
row_add(struct gfar_core *c, struct row *w, uint32_t number)
{
	const struct group_node **v = reallocarray(c->order, c->norder + 1, sizeof *v);
	unsigned i = c->norder;

	if (v == NULL)
		return -ENOMEM;
	c->order = v;
	if (map_put(&c->nodes, number, w) < 0)
		return -ENOMEM;
	w->n.number = number;
	for (; i > 0 && v[i - 1]->number > number; i--)
		v[i] = v[i - 1];
	v[i] = &w->n;
	c->norder++;
	return 0;
}

static void
row_del(struct gfar_core *c, uint32_t number)
{
	struct row *w = map_del(&c->nodes, number);
	unsigned i = 0;

	if (w == NULL)
		return;
	while (c->order[i] != &w->n)
		i++;
	memmove(&c->order[i], &c->order[i + 1], (c->norder - i - 1) * sizeof *c->order);
	c->norder--;
	labels_release(&w->labels);
	free(w);
}

static int
in_node(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o)
{
	struct row *w = map_get(&c->nodes, in->node);
	struct map_iter it = MAP_ITER;
	struct labels labels = { 0 };
	char why[LABELS_WHY];
	int e = 0;

	for (size_t i = 0; in->labels && i < in->labels->n && e == 0; i++)
		e = labels_put(&labels, span_text(in->labels->v[i].name), span_text(in->labels->v[i].value), why);
	if (e < 0 || (w == NULL && (w = calloc(1, sizeof *w)) == NULL))
		goto fail;
	if (w->n.number == 0) {
		if (row_add(c, w, in->node) < 0) {
			free(w);
			goto fail;
		}
		while (map_next(&c->groups, &it)) {		/* heirs that are on it */
			const struct gfar_group *g = it.val;

			for (unsigned b = 0; b < g->n; b++)
				if (g->node[b] == in->node)
					gfar_account(c, g, b, 1);
		}
	}
	labels_release(&w->labels);
	w->labels = labels;
	w->n.labels = &w->labels;
	w->n.total = in->total;
	w->n.draining = in->draining;
	gfar_seek_all(c, now, o);
	return 0;
fail:
	labels_release(&labels);
	return -ENOMEM;
}

static void
in_gone(struct gfar_core *c, uint64_t now, uint32_t node, struct gfar_out *o)
{
	struct map_iter it = MAP_ITER;

	row_del(c, node);
	while (map_next(&c->groups, &it)) {
		struct gfar_group *g = it.val;
		bool lost = false;

		for (unsigned i = g->npart; i-- > 0;)
			if (g->part[i].node == node) {
				gfar_part_end(c, g, &g->part[i], false, o);
				lost = true;
			}
		if (lost)
			gfar_broken(c, now, g, true, o);
	}
	gfar_seek_all(c, now, o);
}

static void
in_answer(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o)
{
	struct gfar_group *g = map_get(&c->groups, in->group);
	struct gfar_part *p = g ? gfar_part_of(g, in->node, in->round) : NULL;

	if (p == NULL) {
		if (in->kind == GFAR_IN_HELD) {		/* nobody's */
			struct gfar_fx *fx = gfar_fx_add(o, GFAR_FX_RELEASE, in->group);

			fx->node = in->node;
			fx->round = in->round;
		}
		return;
	}
	switch (in->kind) {
	case GFAR_IN_READY:
		if (p->phase == GFAR_ASKED)
			p->phase = GFAR_READY;
		break;
	case GFAR_IN_COMMITTED:
		if (p->phase == GFAR_COMMITTING)
			p->phase = GFAR_HELD;
		break;
	case GFAR_IN_REFUSED:
		gfar_part_end(c, g, p, false, o);
		gfar_broken(c, now, g, false, o);
		gfar_seek_all(c, now, o);
		return;
	default:
		return;
	}
	gfar_advance(c, g, o);
}

static void
in_remove(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o)
{
	struct map_iter it = MAP_ITER;
	struct gfar_group *g;

	if (in->kind == GFAR_IN_REMOVE) {
		if ((g = map_get(&c->groups, in->group)) != NULL)
			gfar_end(c, g, ERR_CANCELLED, "the placement group was removed", o);
	} else
		while (map_next(&c->groups, &it)) {
			g = it.val;
			if (g->job == in->job && !g->detached)
				gfar_end(c, g, ERR_CANCELLED, "its job is over", o);
		}
	gfar_seek_all(c, now, o);
}

static void
in_tick(struct gfar_core *c, uint64_t now, struct gfar_out *o)
{
	struct heap_node *t;

	while ((t = heap_top(&c->limits)) != NULL && t->at <= now)
		gfar_end(c, (struct gfar_group *)(void *)((char *)t - offsetof(struct gfar_group, limit)), ERR_TIMEOUT,
		    "it could not be placed in its time", o);
	while ((t = heap_top(&c->timers)) != NULL && t->at <= now) {
		struct gfar_group *g = (struct gfar_group *)(void *)((char *)t - offsetof(struct gfar_group, timer));

		heap_del(&c->timers, t);
		if (gfar_any(g, GFAR_ASKED))
			gfar_broken(c, now, g, false, o);	/* some have not answered: they are told to release */
		else if (gfar_lacks(g))
			gfar_seek(c, now, g, o);
	}
	gfar_seek_all(c, now, o);
}

int
gfar_step(struct gfar_core *c, uint64_t now, const struct gfar_in *in, struct gfar_out *o)
{
	struct heap_node *t, *l;
	struct row *w;
	int e = 0;

	switch (in->kind) {
	case GFAR_IN_NODE:
		e = in_node(c, now, in, o);
		break;
	case GFAR_IN_LOAD:
		if ((w = map_get(&c->nodes, in->node)) != NULL)
			w->n.busy = in->total;
		break;
	case GFAR_IN_GONE:
		in_gone(c, now, in->node, o);
		break;
	case GFAR_IN_NEW:
	case GFAR_IN_HEIR:
		e = in_new(c, now, in, o);
		break;
	case GFAR_IN_READY:
	case GFAR_IN_REFUSED:
	case GFAR_IN_COMMITTED:
	case GFAR_IN_HELD:
		in_answer(c, now, in, o);
		break;
	case GFAR_IN_REMOVE:
	case GFAR_IN_JOB_END:
		in_remove(c, now, in, o);
		break;
	case GFAR_IN_TICK:
		in_tick(c, now, o);
		break;
	}
	t = heap_top(&c->timers);
	l = heap_top(&c->limits);
	o->at = t && (l == NULL || t->at < l->at) ? t->at : l ? l->at : 0;
	return e;
}

void
gfar_forget(struct gfar_core *c, uint64_t group)
{
	struct gfar_group *g = map_get(&c->groups, group);

	if (g)
		group_free(c, g);
}

void
gfar_init(struct gfar_core *c)
{
	*c = (struct gfar_core){ .nodes = MAP_INIT };
	list_init(&c->homeless);
}

void
gfar_release(struct gfar_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->groups, &it))
		group_free(c, it.val);
	while (c->norder)
		row_del(c, c->order[0]->number);
	free(c->order);
	map_release(&c->groups);
	map_release(&c->nodes);
	heap_release(&c->timers);
	heap_release(&c->limits);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
static int
group_fault(const struct gfar_group *g)
{
	for (unsigned b = 0; b < g->n; b++) {
		CHECK((g->node[b] != 0) == (g->of[b] != 0));
		CHECK(g->node[b] == 0 || gfar_part_of(g, g->node[b], g->of[b]) != NULL);
		for (unsigned k = 0; k < b; k++) {
			CHECK(g->strategy != GROUP_STRICT_PACK || !g->node[b] || !g->node[k] || g->node[b] == g->node[k]);
			CHECK(g->strategy != GROUP_STRICT_SPREAD || !g->node[b] || g->node[b] != g->node[k]);
		}
	}
	CHECK(g->state != GROUP_REMOVED || g->npart == 0);
	CHECK(g->state != GROUP_CREATED || (g->ever && !gfar_lacks(g)));
	for (unsigned i = 0; i < g->npart; i++)
		CHECK(g->state != GROUP_CREATED || g->part[i].phase == GFAR_HELD);
	/* somebody will go on with it */
	CHECK(g->state == GROUP_REMOVED || g->state == GROUP_CREATED || !list_empty(&g->link) || g->timer.index ||
	    gfar_any(g, GFAR_COMMITTING));
	return 0;
}

int
gfar_check(const struct gfar_core *c)
{
	struct map_iter it = MAP_ITER, ig;

	while (map_next(&c->groups, &it))
		CHECK(group_fault(it.val) == 0);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->nodes, &it)) {
		const struct row *w = it.val;
		struct res sum = { { 0 } };

		ig = (struct map_iter)MAP_ITER;
		while (map_next(&c->groups, &ig)) {
			const struct gfar_group *g = ig.val;

			for (unsigned b = 0; b < g->n; b++)
				for (unsigned r = 0; r < RES_MAX && g->node[b] == w->n.number; r++)
					sum.v[r] += g->bundle[b].v[r];
		}
		CHECK(memcmp(&sum, &w->n.set, sizeof sum) == 0);
	}
	return 0;
}
