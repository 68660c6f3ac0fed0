/* group_far_parts.c - which nodes have what of a group: planned, asked, committed, given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/grow.h"
#include "core/group_far_inner.h"

struct gfar_fx *
gfar_fx_add(struct gfar_out *o, enum gfar_fx_kind kind, uint64_t group)
{
	static struct gfar_fx lost;	/* no memory: the effect is dropped */
	struct gfar_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct gfar_fx){ .kind = kind, .group = group };
	return &p[o->n++];
}

void
gfar_part_fx(struct gfar_out *o, enum gfar_fx_kind kind, const struct gfar_group *g, const struct gfar_part *p)
{
	struct gfar_fx *fx = gfar_fx_add(o, kind, g->number);

	fx->node = p->node;
	fx->round = p->round;
}

static void
become(struct gfar_group *g, enum group_state state, struct gfar_out *o)
{
	struct gfar_fx *fx;

	if (g->state == state)
		return;
	g->state = state;
	fx = gfar_fx_add(o, GFAR_FX_STATE, g->number);
	fx->state = state;
	fx->code = g->code;
	memcpy(fx->text, g->text, sizeof fx->text);
}

/* --- parts --------------------------------------------------------------------------------------------------- */

void
gfar_account(struct gfar_core *c, const struct gfar_group *g, unsigned b, int sign)
{
	struct row *w = map_get(&c->nodes, g->node[b]);

	for (unsigned r = 0; w && r < RES_MAX; r++)
		w->n.set.v[r] += sign * g->bundle[b].v[r];
}

struct gfar_part *
gfar_part_of(const struct gfar_group *g, uint32_t node, uint64_t round)
{
	for (unsigned i = 0; i < g->npart; i++)
		if (g->part[i].node == node && g->part[i].round == round)
			return &g->part[i];
	return NULL;
}

bool
gfar_any(const struct gfar_group *g, enum gfar_phase phase)
{
	for (unsigned i = 0; i < g->npart; i++)
		if (g->part[i].phase == phase)
			return true;
	return false;
}

bool
gfar_lacks(const struct gfar_group *g)		/* a bundle without a node */
{
	for (unsigned b = 0; b < g->n; b++)
		if (g->node[b] == 0)
			return true;
	return false;
}

void
gfar_part_end(struct gfar_core *c, struct gfar_group *g, struct gfar_part *p, bool tell, struct gfar_out *o)
{
	if (tell)
		gfar_part_fx(o, GFAR_FX_RELEASE, g, p);
	for (unsigned b = 0; b < g->n; b++)
		if (g->node[b] == p->node && g->of[b] == p->round) {
			gfar_account(c, g, b, -1);
			g->node[b] = 0;
			g->of[b] = 0;
		}
	*p = g->part[--g->npart];
}

/* those that are not further than that; GFAR_HELD: all */
static void
parts_end(struct gfar_core *c, struct gfar_group *g, enum gfar_phase most, struct gfar_out *o)
{
	for (unsigned i = g->npart; i-- > 0;)
		if (g->part[i].phase <= most)
			gfar_part_end(c, g, &g->part[i], true, o);
}

void
gfar_end(struct gfar_core *c, struct gfar_group *g, int code, const char *text, struct gfar_out *o)
{
	if (g->state == GROUP_REMOVED)
		return;
	heap_del(&c->timers, &g->timer);
	heap_del(&c->limits, &g->limit);
	list_del(&g->link);
	parts_end(c, g, GFAR_HELD, o);
	g->code = code;
	snprintf(g->text, sizeof g->text, "%s", text);
	become(g, GROUP_REMOVED, o);
	gfar_fx_add(o, GFAR_FX_FORGET, g->number);
}

/* --- planning ------------------------------------------------------------------------------------------------- */

/* parts of the bundles that have got a node just now (of[b] is 0) */
static int
ask(struct gfar_core *c, uint64_t now, struct gfar_group *g, struct gfar_out *o)
{
	struct gfar_part *v = reallocarray(g->part, g->npart + g->n, sizeof *v);

	if (v == NULL || heap_set(&c->timers, &g->timer, now + GFAR_PREPARE) < 0)
		return -ENOMEM;
	g->part = v;
	g->round++;
	for (unsigned b = 0; b < g->n; b++) {
		if (g->of[b])
			continue;
		g->of[b] = g->round;
		gfar_account(c, g, b, 1);
		if (gfar_part_of(g, g->node[b], g->round))
			continue;
		v[g->npart] = (struct gfar_part){ .node = g->node[b], .round = g->round, .phase = GFAR_ASKED };
		gfar_part_fx(o, GFAR_FX_PREPARE, g, &v[g->npart++]);
	}
	return 0;
}

bool
gfar_seek(struct gfar_core *c, uint64_t now, struct gfar_group *g, struct gfar_out *o)
{
	struct group_want want = { .strategy = g->strategy, .n = g->n, .bundle = g->bundle, .labels = g->labels };
	char text[200] = "";
	int e = group_plan_over(c->order, c->norder, &want, g->node, text);

	if (e == 1 && ask(c, now, g, o) == 0) {
		list_del(&g->link);
		return true;
	}
	for (unsigned b = 0; b < g->n; b++)	/* no memory: as if there were no room */
		if (g->of[b] == 0)
			g->node[b] = 0;
	if (e < 0 && !g->ever && !c->settling)	/* one that is held in part waits for another node */
		gfar_end(c, g, e, text, o);
	else if (list_empty(&g->link))
		list_add_tail(&c->homeless, &g->link);
	return false;
}

void
gfar_seek_all(struct gfar_core *c, uint64_t now, struct gfar_out *o)
{
	struct list seen;
	unsigned looks = GFAR_SEEKS;

	list_init(&seen);
	while (looks-- > 0 && !list_empty(&c->homeless)) {
		struct gfar_group *g = list_entry(c->homeless.next, struct gfar_group, link);

		if (gfar_seek(c, now, g, o) || g->state == GROUP_REMOVED)
			continue;
		list_del(&g->link);
		list_add_tail(&seen, &g->link);
	}
	list_splice_tail(&c->homeless, &seen);
}

/* What was tried did not do: again after a while. */
static void
pause_then(struct gfar_core *c, uint64_t now, struct gfar_group *g)
{
	g->pause = g->pause == 0 ? GFAR_PAUSE : g->pause + g->pause / 2 < GFAR_PAUSE_MAX ? g->pause + g->pause / 2 : GFAR_PAUSE_MAX;
	if (heap_set(&c->timers, &g->timer, now + g->pause) < 0 && list_empty(&g->link))
		list_add_tail(&c->homeless, &g->link);		/* no memory: with the next change */
}

void
gfar_advance(struct gfar_core *c, struct gfar_group *g, struct gfar_out *o)
{
	if (g->state == GROUP_REMOVED || gfar_lacks(g) || gfar_any(g, GFAR_ASKED))
		return;
	if (gfar_any(g, GFAR_READY)) {
		heap_del(&c->timers, &g->timer);
		if (!g->ever)
			become(g, GROUP_PREPARED, o);
		else {				/* where the lost bundles are now is to be kept too */
			struct gfar_fx *fx = gfar_fx_add(o, GFAR_FX_STATE, g->number);

			fx->state = g->state;
		}
		for (unsigned i = 0; i < g->npart; i++)
			if (g->part[i].phase == GFAR_READY) {
				g->part[i].phase = GFAR_COMMITTING;
				gfar_part_fx(o, GFAR_FX_COMMIT, g, &g->part[i]);
			}
	}
	if (gfar_any(g, GFAR_COMMITTING))
		return;
	heap_del(&c->limits, &g->limit);
	g->ever = true;
	g->pause = 0;
	become(g, GROUP_CREATED, o);
}

void
gfar_broken(struct gfar_core *c, uint64_t now, struct gfar_group *g, bool at_once, struct gfar_out *o)
{
	parts_end(c, g, g->ever ? GFAR_READY : GFAR_HELD, o);
	become(g, g->ever ? GROUP_RESCHEDULING : GROUP_PENDING, o);
	if (at_once) {
		heap_del(&c->timers, &g->timer);
		if (list_empty(&g->link))
			list_add_tail(&c->homeless, &g->link);
	} else if (list_empty(&g->link))
		pause_then(c, now, g);
}
