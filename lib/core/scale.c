/* scale.c - the lives of instances, and the step from a plan to effects */
#include <errno.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/scale.h"

static struct scale_fx *
fx_add(struct scale_out *o, enum scale_fx_kind kind, const struct scale_inst *x)
{
	static struct scale_fx lost;	/* no memory: the effect is dropped, and its time is up some day */
	struct scale_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct scale_fx){ .kind = kind };
	if (x) {
		p[o->n].id = x->id;
		p[o->n].node = x->node;
		p[o->n].type = x->type;
	}
	return &p[o->n++];
}

static void
become(struct scale_inst *x, enum scale_state state, uint64_t now)
{
	x->state = state;
	x->since = now;
}

static struct scale_inst *
inst_new(struct scale *c, uint64_t id, unsigned type, enum scale_state state, uint64_t now)
{
	struct scale_inst *x = calloc(1, sizeof *x);

	if (x == NULL || map_put(&c->insts, id, x) < 0) {
		free(x);
		return NULL;
	}
	*x = (struct scale_inst){ .id = id, .type = type };
	become(x, state, now);
	return x;
}

static void
inst_free(struct scale *c, struct scale_inst *x)
{
	map_del(&c->insts, x->id);
	if (x->node)
		map_del(&c->nodes, x->node);
	free(x);
}

static void
terminate(struct scale_inst *x, uint64_t now, struct scale_out *o)
{
	become(x, SCALE_ENDING, now);
	fx_add(o, SCALE_FX_TERMINATE, x);
}

/* It did not become a node: its type rests, the others that are under way go on. */
static void
failed(struct scale *c, struct scale_inst *x, uint64_t now, struct scale_out *o)
{
	struct scale_rest *r = &c->rest[x->type < SCALE_TYPES ? x->type : 0];

	if (r->until <= now) {		/* what fails meanwhile is the same failure */
		r->until = now + (SCALE_REST << (r->fails < 6 ? r->fails : 6));
		r->fails++;
	}
	terminate(x, now, o);		/* there may be something of it */
}

/* --- inputs -------------------------------------------------------------------------------------------------------- */

static int
in_listed(struct scale *c, uint64_t now, const struct scale_in *in)
{
	struct map_iter it = MAP_ITER;
	struct map there = MAP_INIT;

	for (size_t i = 0; i < in->nlist; i++) {
		const struct scale_listed *l = &in->list[i];

		if (l->type >= c->o.ntype)
			continue;		/* nothing is known of such ones */
		if ((map_get(&c->insts, l->id) == NULL && inst_new(c, l->id, l->type, SCALE_STARTING, now) == NULL) ||
		    map_put(&there, l->id, c) < 0) {
			map_release(&there);
			return -ENOMEM;
		}
	}
	while (map_next(&c->insts, &it)) {
		struct scale_inst *x = it.val;

		/* the list may be older than what was asked for or joined after it was asked for */
		if (map_get(&there, x->id) || x->state == SCALE_ASKED || x->state == SCALE_UP || x->since >= c->listed)
			continue;
		inst_free(c, x);
	}
	map_release(&there);
	c->heard = true;
	return 0;
}

static int
in_node(struct scale *c, uint64_t now, const struct scale_in *in)
{
	struct scale_inst *x = map_get(&c->insts, in->id);

	if (x == NULL || x->state == SCALE_ENDING || in->node == 0)
		return 0;			/* none of ours, or it goes */
	if (x->node != in->node) {
		if (map_put(&c->nodes, in->node, x) < 0)
			return -ENOMEM;
		if (x->node)			/* it came back as another one */
			map_del(&c->nodes, x->node);
		x->node = in->node;
		become(x, SCALE_UP, now);
		x->idle = 0;
		c->rest[x->type] = (struct scale_rest){ 0 };
	}
	x->free = in->free;
	if (!in->idle)
		x->idle = 0;
	else if (x->idle == 0)
		x->idle = now ? now : 1;
	return 0;
}

static void
in_answer(struct scale *c, uint64_t now, const struct scale_in *in, struct scale_out *o)
{
	struct scale_inst *x = map_get(&c->insts, in->id);

	if (x == NULL)
		return;
	if (in->kind == SCALE_IN_TERMINATED)
		inst_free(c, x);
	else if (x->state != (in->kind == SCALE_IN_LAUNCHED ? SCALE_ASKED : SCALE_MADE))
		;				/* its time was up, or it has joined already */
	else if (!in->ok)
		failed(c, x, now, o);
	else if (in->kind == SCALE_IN_LAUNCHED) {
		x->state = SCALE_MADE;		/* since: from the launch on it has its time */
		fx_add(o, SCALE_FX_READY, x);
	} else
		x->state = SCALE_STARTING;
}

static void
in_of_node(struct scale *c, uint64_t now, const struct scale_in *in, struct scale_out *o)
{
	struct scale_inst *x = map_get(&c->nodes, in->node);

	if (x == NULL || x->state == SCALE_ENDING)
		return;
	if (in->kind == SCALE_IN_GONE || (in->ok && x->state == SCALE_DRAINING))
		terminate(x, now, o);
	else if (x->state == SCALE_DRAINING) {
		become(x, SCALE_UP, now);
		x->idle = 0;
	}
}

/* --- from a plan to effects ------------------------------------------------------------------------------------------- */

static void
launch(struct scale *c, uint64_t now, unsigned type, unsigned n, struct scale_out *o)
{
	uint64_t first = c->last + 1;
	unsigned k = 0;
	struct scale_fx *fx;

	while (k < n && inst_new(c, c->last + 1, type, SCALE_ASKED, now)) {
		c->last++;
		k++;
	}
	if (k == 0)
		return;
	fx = fx_add(o, SCALE_FX_LAUNCH, NULL);
	fx->id = first;
	fx->type = type;
	fx->n = k;
}

/* Launches as many of the new nodes as may start at one time; what min asks for is not held up. */
static void
grow_by(struct scale *c, uint64_t now, const struct scale_plan *p, struct scale_out *o)
{
	unsigned starting = 0, up = 0, have[SCALE_TYPES] = { 0 }, of[SCALE_TYPES] = { 0 }, may;

	for (size_t i = 0; i < p->have; i++) {
		starting += p->bin[i].inst->state != SCALE_UP;
		up += p->bin[i].inst->state == SCALE_UP;
		have[p->bin[i].type]++;
	}
	may = (unsigned)((uint64_t)up * c->o.speed / 100);
	may = may > SCALE_ATONCE ? may : SCALE_ATONCE;
	for (size_t i = p->have; i < p->n; i++) {
		unsigned t = p->bin[i].type;

		if (have[t] + of[t] >= c->o.type[t].min && starting >= may)
			continue;
		of[t]++;
		starting++;
	}
	for (unsigned t = 0; t < c->o.ntype; t++)
		if (of[t])
			launch(c, now, t, of[t], o);
}

static void
shrink(struct scale *c, uint64_t now, const struct scale_plan *p, struct scale_out *o)
{
	unsigned have[SCALE_TYPES] = { 0 };

	for (size_t i = 0; i < p->have; i++)
		have[p->bin[i].type]++;
	for (size_t i = p->have; i-- > 0 && c->o.idle;) {
		struct scale_inst *x = p->bin[i].inst;

		if (x->state != SCALE_UP || x->idle == 0 || now - x->idle < c->o.idle || p->bin[i].used || p->bin[i].requested ||
		    have[x->type] <= c->o.type[x->type].min)
			continue;
		have[x->type]--;
		become(x, SCALE_DRAINING, now);
		fx_add(o, SCALE_FX_DRAIN, x);
	}
}

/* whose time is up */
static void
overdue(struct scale *c, uint64_t now, struct scale_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->insts, &it)) {
		struct scale_inst *x = it.val;

		if (x->state < SCALE_UP && now - x->since >= c->o.start)
			failed(c, x, now, o);
		else if (x->state == SCALE_DRAINING && now - x->since >= c->o.drain)
			terminate(x, now, o);
		else if (x->state == SCALE_ENDING && now - x->since >= SCALE_AGAIN)
			terminate(x, now, o);
	}
	if (c->o.list && (c->listed == 0 || now - c->listed >= c->o.list)) {
		c->listed = now;
		fx_add(o, SCALE_FX_LIST, NULL);
	}
}

static void
soon(struct scale_out *o, uint64_t at)
{
	if (o->at == 0 || at < o->at)
		o->at = at;
}

static void
next(const struct scale *c, struct scale_out *o)
{
	struct map_iter it = MAP_ITER;

	o->at = 0;
	while (map_next(&c->insts, &it)) {
		const struct scale_inst *x = it.val;

		if (x->state < SCALE_UP)
			soon(o, x->since + c->o.start);
		else if (x->state == SCALE_DRAINING)
			soon(o, x->since + c->o.drain);
		else if (x->state == SCALE_ENDING)
			soon(o, x->since + SCALE_AGAIN);
	}
	if (c->o.list)
		soon(o, c->listed + c->o.list);
}

int
scale_step(struct scale *c, uint64_t now, const struct scale_in *in, struct scale_out *o)
{
	struct scale_plan p = { 0 };
	int e = 0;

	switch (in->kind) {
	case SCALE_IN_LISTED: e = in_listed(c, now, in); break;
	case SCALE_IN_NODE: e = in_node(c, now, in); break;
	case SCALE_IN_GONE: case SCALE_IN_DRAINED: in_of_node(c, now, in, o); break;
	case SCALE_IN_LAUNCHED: case SCALE_IN_READY: case SCALE_IN_TERMINATED: in_answer(c, now, in, o); break;
	case SCALE_IN_WANTS: case SCALE_IN_TICK: break;
	}
	overdue(c, now, o);
	if (in->kind == SCALE_IN_WANTS && (c->heard || c->o.list == 0) && (e = scale_plan(c, now, in->want, in->nwant, &p)) == 0) {
		grow_by(c, now, &p, o);
		shrink(c, now, &p, o);
	}
	scale_plan_release(&p);
	next(c, o);
	return e;
}

/* --- looking -------------------------------------------------------------------------------------------------------------- */

unsigned
scale_count(const struct scale *c, unsigned type)
{
	struct map_iter it = MAP_ITER;
	unsigned n = 0;

	while (map_next(&c->insts, &it))
		n += ((const struct scale_inst *)it.val)->type == type && ((const struct scale_inst *)it.val)->state < SCALE_DRAINING;
	return n;
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
scale_check(const struct scale *c)
{
	struct map_iter it = MAP_ITER;
	size_t joined = 0;

	while (map_next(&c->insts, &it)) {
		const struct scale_inst *x = it.val;

		CHECK(x->id == it.key);
		CHECK(x->node == 0 || map_get(&c->nodes, x->node) == x);
		CHECK(x->node != 0 || (x->state != SCALE_UP && x->state != SCALE_DRAINING));
		joined += x->node != 0;
	}
	CHECK(joined == c->nodes.n);
	return 0;
}

void
scale_init(struct scale *c, const struct scale_opts *o, uint64_t epoch)
{
	*c = (struct scale){ .o = *o, .last = epoch << 32 };
}

void
scale_release(struct scale *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->insts, &it))
		free(it.val);
	map_release(&c->insts);
	map_release(&c->nodes);
}
