/* heir_sets - placement groups are reserved again by the next daemon, sets are made whole again */
#include <stdlib.h>
#include "node/inner.h"

/* --- groups ------------------------------------------------------------------------------------------------ */

struct gnote {				/* then the bundles, name and namespace */
	struct id id;
	uint64_t until;
	uint32_t proc, job, strategy, nbundle, nname;
	bool detached;
};

void
group_note(struct node *n, const struct group_in *in)
{
	struct gnote t = { .id = in->id, .until = in->until, .proc = in->proc, .job = in->job, .strategy = in->strategy,
	    .nbundle = in->nbundle, .nname = (uint32_t)in->name.n, .detached = in->detached };
	struct buf b = BUF_INIT;

	if (buf_add(&b, &t, sizeof t) == 0 && buf_add(&b, in->bundles, in->nbundle * sizeof *in->bundles) == 0 &&
	    buf_add(&b, in->name.p, in->name.n) == 0 && buf_add(&b, in->namespace.p, in->namespace.n) == 0)
		estate_put(n, ESTATE_GROUP, &t.id, sizeof t.id, span_buf(&b));
	buf_release(&b);
}

void
group_unnote(struct node *n, struct id id)
{
	if (id.proc)
		estate_del(n, ESTATE_GROUP, &id, sizeof id);
}

static void
group_noted(void *node, struct span key, struct span val)
{
	struct node *n = node;
	struct gnote t;
	struct res *bundles;
	char text[200];
	size_t size;

	(void)key;
	if (val.n < sizeof t)
		return;
	memcpy(&t, val.p, sizeof t);
	size = t.nbundle * sizeof *bundles;
	if (val.n < sizeof t + size + t.nname || map_get(&n->jobs, t.job) == NULL || (bundles = malloc(size + 1)) == NULL)
		return;
	memcpy(bundles, val.p + sizeof t, size);
	val = span_of(val.p + sizeof t + size, val.n - sizeof t - size);
	groups_make(n, &(struct group_in){ .kind = GROUP_IN_NEW, .id = t.id, .proc = t.proc, .job = t.job,
	    .strategy = (enum group_strategy)t.strategy, .bundles = bundles, .nbundle = t.nbundle, .detached = t.detached,
	    .until = t.until, .name = span_of(val.p, t.nname), .namespace = span_of(val.p + t.nname, val.n - t.nname) }, text);
	free(bundles);
}

void
groups_inherit(struct node *n)
{
	estate_each(n, ESTATE_GROUP, group_noted, n);
}

/* --- sets -------------------------------------------------------------------------------------------------- */

struct snote {				/* then name, namespace, method of checks, renewals and specification */
	uint64_t number, req, drain, period, patience;
	uint32_t maker, job, min, max, strategy, surge, generation, nname, nnamespace, nmethod, nrenewal;
	bool gang, detached, ever;
};

void
set_note(struct node *n, const struct set *s)
{
	struct snote t = { .number = s->number, .req = s->req, .maker = s->maker, .drain = s->drain, .period = s->health.period, .patience = s->health.patience,
	    .surge = s->surge, .nrenewal = s->nrenewal, .nmethod = (uint32_t)s->health.method.len, .job = s->job, .min = s->min,
	    .max = s->max, .strategy = s->strategy,
	    .generation = s->generation, .nname = (uint32_t)s->name.len, .nnamespace = (uint32_t)s->namespace.len, .gang = s->gang,
	    .detached = s->detached, .ever = s->ever };
	struct buf b = BUF_INIT;

	if (buf_add(&b, &t, sizeof t) == 0 && buf_add(&b, s->name.data, s->name.len) == 0 &&
	    buf_add(&b, s->namespace.data, s->namespace.len) == 0 &&
	    buf_add(&b, s->health.method.data, s->health.method.len) == 0 &&
	    buf_add(&b, s->renewal, s->nrenewal * sizeof *s->renewal) == 0 && buf_add(&b, s->spec.data, s->spec.len) == 0)
		estate_put(n, ESTATE_SET, &t.number, sizeof t.number, span_buf(&b));
	buf_release(&b);
}

void
set_unnote(struct node *n, uint64_t number)
{
	estate_del(n, ESTATE_SET, &number, sizeof number);
}

static void
set_noted(void *node, struct span key, struct span val)
{
	struct node *n = node;
	struct set_renewal *renewal;
	struct njob *j;
	struct snote t;
	size_t names, asked;

	(void)key;
	if (val.n < sizeof t)
		return;
	memcpy(&t, val.p, sizeof t);
	val = span_of(val.p + sizeof t, val.n - sizeof t);
	names = (size_t)t.nname + t.nnamespace;
	asked = t.nrenewal * sizeof *renewal;
	if (val.n < names + t.nmethod + asked || (j = map_get(&n->jobs, t.job)) == NULL || (renewal = malloc(asked + 1)) == NULL)
		return;
	memcpy(renewal, val.p + names + t.nmethod, asked);
	sets_step(n, &(struct set_in){ .kind = SET_IN_HEIR, .set = t.number, .proc = t.maker, .req = t.req, .job = t.job, .min = t.min, .max = t.max,
	    .strategy = t.strategy, .generation = t.generation, .gang = t.gang, .detached = t.detached, .up = t.ever, .drain = t.drain,
	    .name = span_of(val.p, t.nname), .namespace = span_of(val.p + t.nname, t.nnamespace),
	    .period = t.period, .patience = t.patience, .surge = t.surge, .method = span_of(val.p + names, t.nmethod),
	    .renewal = renewal, .nrenewal = t.nrenewal,
	    .spec = span_of(val.p + names + t.nmethod + asked, val.n - names - t.nmethod - asked) });
	free(renewal);
	if (set_get(&n->set, t.number))
		j->refs++;			/* until it is dead */
}

void
sets_inherit(struct node *n)
{
	estate_each(n, ESTATE_SET, set_noted, n);
}
