#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/grow.h"
#include "core/group.h"

const char *
group_strategy_word(enum group_strategy s)
{
	static const char *const word[] = { "pack", "spread", "strict_pack", "strict_spread" };

	return word[s];
}

const char *
group_state_word(enum group_state s)
{
	static const char *const word[] = { "", "pending", "prepared", "created", "removed", "rescheduling" };

	return word[s];
}

struct group *
group_find(const struct group_core *c, struct id id)
{
	return idmap_get(&c->groups, id);
}

struct group *
group_named(const struct group_core *c, struct span namespace, struct span name)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->groups, &it)) {
		struct group *g = it.val;

		if (g->name[0] && g->state != GROUP_REMOVED && span_is(name, g->name) && span_is(namespace, g->namespace))
			return g;
	}
	return NULL;
}

static struct group_fx *
fx_add(struct group_out *o, enum group_fx_kind kind, const struct group *g)
{
	static struct group_fx lost;	/* no memory: the effect is dropped */
	struct group_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct group_fx){ .kind = kind, .id = g->id, .number = g->number };
	return &p[o->n++];
}

static void
tell(const struct group *g, uint32_t proc, struct group_out *o)
{
	struct group_fx *fx = fx_add(o, GROUP_FX_STATE, g);

	fx->proc = proc;
	fx->state = g->state;
	fx->code = g->code;
	memcpy(fx->text, g->text, sizeof fx->text);
}

static void
tell_all(struct group *g, struct group_out *o)
{
	for (unsigned i = 0; i < g->nasker; i++)
		tell(g, g->asker[i].proc, o);
	g->nasker = 0;
}

static int
ask(struct group *g, uint32_t proc)
{
	struct group_asker *p;

	for (unsigned i = 0; i < g->nasker; i++)
		if (g->asker[i].proc == proc)
			return 0;
	if ((p = realloc(g->asker, (g->nasker + 1) * sizeof *p)) == NULL)
		return -ENOMEM;
	g->asker = p;
	p[g->nasker++].proc = proc;
	return 0;
}

/* --- on nodes ---------------------------------------------------------------------------------------------- */

static bool
first_on(const struct group *g, unsigned i)		/* is bundle i the first on its node? */
{
	for (unsigned j = 0; j < i; j++)
		if (g->node[j] == g->node[i])
			return false;
	return g->node[i] != 0;
}

/* what is set aside on its nodes, or no longer is */
static void
account(struct group_core *c, const struct group *g, int64_t sign)
{
	for (unsigned i = 0; i < g->n; i++) {
		struct group_node *n = map_get(&c->nodes, g->node[i]);

		for (unsigned r = 0; n && r < RES_MAX; r++)
			n->set.v[r] += sign * g->bundle[i].v[r];
	}
}

static void
release(struct group_core *c, struct group *g, struct group_out *o)
{
	for (unsigned i = 0; i < g->n; i++)
		if (first_on(g, i))
			fx_add(o, GROUP_FX_RELEASE, g)->node = g->node[i];
	account(c, g, -1);
	memset(g->node, 0, g->n * sizeof *g->node);
	g->waiting = 0;
}

static void
end(struct group_core *c, struct group *g, int code, const char *text, struct group_out *o)
{
	if (g->state == GROUP_REMOVED)
		return;
	heap_del(&c->timers, &g->timer);
	list_del(&g->link);
	release(c, g, o);
	g->state = GROUP_REMOVED;
	g->code = code;
	snprintf(g->text, sizeof g->text, "%s", text);
	tell_all(g, o);
	fx_add(o, GROUP_FX_OVER, g);
}

/* Looks for nodes, and asks them. */
static void
seek(struct group_core *c, struct group *g, struct group_out *o)
{
	const struct group_node **nodes = calloc(c->nodes.n + 1, sizeof *nodes);
	struct map_iter it = MAP_ITER;
	char text[200] = "";
	unsigned n = 0;
	int e;

	while (nodes && map_next(&c->nodes, &it)) {
		unsigned i = n++;

		for (; i > 0 && nodes[i - 1]->number > it.key; i--)
			nodes[i] = nodes[i - 1];
		nodes[i] = it.val;
	}
	e = nodes ? group_plan(nodes, n, g->strategy, g->bundle, g->n, g->node, text) : 0;
	free(nodes);
	if (e == 0)
		return;
	if (e < 0) {
		end(c, g, e, text, o);
		return;
	}
	list_del(&g->link);
	account(c, g, 1);
	for (unsigned i = 0; i < g->n; i++)
		if (first_on(g, i)) {
			g->waiting++;
			fx_add(o, GROUP_FX_RESERVE, g)->node = g->node[i];
		}
}

static void
seek_all(struct group_core *c, struct group_out *o)	/* something was given back: the oldest first */
{
	list_each_safe(p, q, &c->homeless)
		seek(c, list_entry(p, struct group, link), o);
}

/* --- inputs --------------------------------------------------------------------------------------------------- */

static void
group_free(struct group_core *c, struct group *g)
{
	heap_del(&c->timers, &g->timer);
	list_del(&g->link);
	idmap_del(&c->groups, g->id);
	map_del(&c->numbers, g->number);
	free(g->name);
	free(g->namespace);
	free(g->asker);
	free(g->bundle);
	free(g->node);
	free(g);
}

static char *
copy(struct span s)
{
	char *p = calloc(1, s.n + 1);

	if (p && s.n)
		memcpy(p, s.p, s.n);
	return p;
}

static int
fill(struct group_core *c, struct group *g, const struct group_in *in)
{
	if ((g->name = copy(in->name)) == NULL || (g->namespace = copy(in->namespace)) == NULL ||
	    (g->bundle = malloc(in->nbundle * sizeof *g->bundle)) == NULL || (g->node = calloc(in->nbundle, sizeof *g->node)) == NULL ||
	    map_put(&c->numbers, g->number, g) < 0 || idmap_put(&c->groups, g->id, g) < 0 || ask(g, in->proc) < 0 ||
	    (in->until && heap_set(&c->timers, &g->timer, in->until) < 0))
		return -ENOMEM;
	memcpy(g->bundle, in->bundles, in->nbundle * sizeof *g->bundle);
	g->n = in->nbundle;
	return 0;
}

static int
in_new(struct group_core *c, uint64_t now, const struct group_in *in, struct group_out *o, char text[200])
{
	struct group *g;

	if (in->nbundle == 0 || in->nbundle > GROUP_BUNDLES_MAX || (unsigned)in->strategy >= GROUP_STRATEGIES ||
	    in->name.n > GROUP_NAME_MAX) {
		snprintf(text, 200, "a group has 1 to %u bundles, a strategy, and a name of at most %u bytes", GROUP_BUNDLES_MAX,
		    GROUP_NAME_MAX);
		return -EINVAL;
	}
	if (idmap_get(&c->groups, in->id)) {
		snprintf(text, 200, "a group with this id exists");
		return -EEXIST;
	}
	if (in->name.n && group_named(c, in->namespace, in->name)) {
		snprintf(text, 200, "a group '%.*s' exists in namespace '%.*s'", (int)(in->name.n < 60 ? in->name.n : 60),
		    (const char *)in->name.p, (int)(in->namespace.n < 60 ? in->namespace.n : 60), (const char *)in->namespace.p);
		return -EEXIST;
	}
	if ((g = calloc(1, sizeof *g)) == NULL)
		return -ENOMEM;
	*g = (struct group){ .id = in->id, .number = ++c->last, .proc = in->proc, .job = in->job, .strategy = in->strategy,
	    .state = GROUP_PENDING, .detached = in->detached, .since = now };
	list_init(&g->link);
	if (fill(c, g, in) < 0) {
		group_free(c, g);
		return -ENOMEM;
	}
	list_add_tail(&c->homeless, &g->link);
	if (in->text)
		end(c, g, ERR_INFEASIBLE, in->text, o);
	else
		seek(c, g, o);
	return 0;
}

static void
in_reserved(struct group_core *c, const struct group_in *in, struct group_out *o)
{
	struct group *g = map_get(&c->numbers, in->number);

	if (g == NULL || g->waiting == 0)
		return;			/* removed meanwhile: RELEASE is on its way */
	g->state = --g->waiting ? GROUP_PREPARED : GROUP_CREATED;
	if (g->state == GROUP_CREATED) {
		heap_del(&c->timers, &g->timer);
		tell_all(g, o);
	}
}

static void
in_tick(struct group_core *c, uint64_t now, struct group_out *o)
{
	struct heap_node *t;

	while ((t = heap_top(&c->timers)) != NULL && t->at <= now) {
		struct group *g = (struct group *)(void *)((char *)t - offsetof(struct group, timer));

		end(c, g, ERR_TIMEOUT, "it could not be placed in its time", o);
		seek_all(c, o);
	}
}

static void
in_job_end(struct group_core *c, uint32_t job, struct group_out *o)
{
	struct idmap_iter it = IDMAP_ITER;
	bool any = false;

	while (idmap_next(&c->groups, &it)) {
		struct group *g = it.val;

		if (g->job != job || (g->detached && g->state != GROUP_REMOVED))	/* one that cannot be is nobody's */
			continue;
		end(c, g, ERR_CANCELLED, "its job is over", o);
		group_free(c, g);
		any = true;
	}
	if (any)
		seek_all(c, o);
}

static int
in_node(struct group_core *c, const struct group_in *in, struct group_out *o)
{
	struct group_node *n = map_get(&c->nodes, in->node);

	if (n == NULL && ((n = calloc(1, sizeof *n)) == NULL || map_put(&c->nodes, in->node, n) < 0)) {
		free(n);
		return -ENOMEM;
	}
	n->number = in->node;
	n->total = in->total;
	seek_all(c, o);
	return 0;
}

int
group_step(struct group_core *c, uint64_t now, const struct group_in *in, struct group_out *o, char text[200])
{
	struct group *g;
	int e = 0;

	text[0] = '\0';
	switch (in->kind) {
	case GROUP_IN_NODE:
		e = in_node(c, in, o);
		break;
	case GROUP_IN_NEW:
		e = in_new(c, now, in, o, text);
		break;
	case GROUP_IN_RESERVED:
		in_reserved(c, in, o);
		break;
	case GROUP_IN_REFUSED:
		if ((g = map_get(&c->numbers, in->number)) != NULL)
			end(c, g, ERR_INFEASIBLE, in->text, o);
		break;
	case GROUP_IN_ASK:
		if ((g = group_find(c, in->id)) == NULL)
			tell(&(struct group){ .id = in->id, .state = GROUP_REMOVED, .code = ERR_CANCELLED,
			    .text = "the placement group was removed" }, in->proc, o);
		else if (g->state >= GROUP_CREATED)
			tell(g, in->proc, o);
		else
			e = ask(g, in->proc);
		break;
	case GROUP_IN_REMOVE:
		if ((g = group_find(c, in->id)) != NULL) {
			end(c, g, ERR_CANCELLED, "the placement group was removed", o);
			group_free(c, g);
			seek_all(c, o);
		}
		break;
	case GROUP_IN_JOB_END:
		in_job_end(c, in->job, o);
		break;
	case GROUP_IN_TICK:
		in_tick(c, now, o);
		break;
	}
	o->at = heap_top(&c->timers) ? heap_top(&c->timers)->at : 0;
	return e;
}

/* --- start and end ---------------------------------------------------------------------------------------------- */

void
group_init(struct group_core *c)
{
	*c = (struct group_core){ .last = 0 };
	list_init(&c->homeless);
}

void
group_release(struct group_core *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter im = MAP_ITER;

	while (idmap_next(&c->groups, &it))
		group_free(c, it.val);
	while (map_next(&c->nodes, &im))
		free(im.val);
	idmap_release(&c->groups);
	map_release(&c->numbers);
	map_release(&c->nodes);
	heap_release(&c->timers);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
group_check(const struct group_core *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter im = MAP_ITER;

	while (idmap_next(&c->groups, &it)) {
		const struct group *g = it.val;
		bool placed = g->node[0] != 0;

		CHECK(map_get(&c->numbers, g->number) == g && id_eq(g->id, it.key));
		for (unsigned i = 0; i < g->n; i++)
			CHECK((g->node[i] != 0) == placed);	/* all or nothing */
		CHECK(g->state != GROUP_CREATED || (placed && g->waiting == 0));
		CHECK(g->state != GROUP_REMOVED || !placed);
		CHECK(g->state != GROUP_PENDING || !placed || g->waiting > 0);
		CHECK(list_empty(&g->link) == (placed || g->state == GROUP_REMOVED));
		for (unsigned i = 0; placed && i < g->n; i++)
			for (unsigned j = 0; j < i; j++) {
				CHECK(g->strategy != GROUP_STRICT_PACK || g->node[i] == g->node[j]);
				CHECK(g->strategy != GROUP_STRICT_SPREAD || g->node[i] != g->node[j]);
			}
	}
	CHECK(c->numbers.n == c->groups.n);
	while (map_next(&c->nodes, &im)) {
		const struct group_node *n = im.val;
		struct res sum = { { 0 } };

		it = (struct idmap_iter)IDMAP_ITER;
		while (idmap_next(&c->groups, &it)) {
			const struct group *g = it.val;

			for (unsigned i = 0; i < g->n; i++)
				for (unsigned r = 0; r < RES_MAX && g->node[i] == n->number; r++)
					sum.v[r] += g->bundle[i].v[r];
		}
		for (unsigned r = 0; r < RES_MAX; r++)
			CHECK(sum.v[r] == n->set.v[r] && n->set.v[r] <= n->total.v[r]);
	}
	return 0;
}
