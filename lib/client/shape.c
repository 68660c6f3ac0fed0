/*
 * shape - resource shapes: what the tasks of some functions ask for alike, and the leases that rlet is asked for.
 * A shape of a placement group that no function names any more is made into the next new one: programs make groups
 * without end.  Its number changes then, so that what rlet still says of the old one is passed over.
 */
#include "client/inner.h"

enum { SHAPE_INDEX = 20 };			/* bits of a number that are its place */

static bool
same_shape(const struct task_opts *a, const struct task_opts *b)
{
	return a->cpus == b->cpus && a->gpus == b->gpus && a->memory == b->memory && a->wait == b->wait &&
	    a->threads == b->threads && id_eq(a->group, b->group) && a->bundle == b->bundle && a->capture == b->capture &&
	    a->nresources == b->nresources && a->spread == b->spread && strcmp(a->on ? a->on : "", b->on ? b->on : "") == 0 &&
	    (a->nresources == 0 || memcmp(a->resources, b->resources, a->nresources) == 0);
}

void
shape_ask_l(struct client *c, struct shape *s, unsigned want)
{
	const struct task_opts *o = &s->opts;

	s->asked = want;
	LINK_SEND(c, lease, .shape = s->number, .req = s->number | REQ_SHAPE, .cpus = o->cpus, .gpus = o->gpus, .memory = o->memory,
	    .resources = span_of(o->resources, o->nresources), .priority = s->told, .backlog = s->queued, .want = want,
	    .wait = o->wait, .threads = o->threads, .pgroup = o->group, .bundle = o->bundle, .capture = o->capture, .strategy = o->spread,
	    .on = span_of(o->on, o->on ? strlen(o->on) : 0));
}

struct shape *
shape_numbered(const struct client *c, uint64_t number)
{
	uint64_t i = number & ((UINT64_C(1) << SHAPE_INDEX) - 1);

	return i < c->nshape && c->shape[i]->number == number ? c->shape[i] : NULL;
}

/* one that is of no use any more, emptied */
static struct shape *
spare_l(struct client *c)
{
	for (unsigned i = 0; i < c->nshape; i++) {
		struct shape *s = c->shape[i];

		if (id_none(s->opts.group) || s->fns || s->leases || s->queued)
			continue;
		if (s->asked && !c->lost)
			shape_ask_l(c, s, 0);
		free((void *)(uintptr_t)s->opts.resources);
		free((void *)(uintptr_t)s->opts.on);
		free(s->lease);
		free(s->parked);
		*s = (struct shape){ .number = s->number + (UINT64_C(1) << SHAPE_INDEX) };
		return s;
	}
	return NULL;
}

static struct shape *
new_l(struct client *c)
{
	struct shape **v, *s;

	if (c->nshape >> SHAPE_INDEX || !(v = realloc(c->shape, (c->nshape + 1) * sizeof *v)))
		return NULL;
	c->shape = v;
	if ((s = calloc(1, sizeof *s))) {
		s->number = c->nshape;
		v[c->nshape++] = s;
	}
	return s;
}

struct shape *
shape_l(struct client *c, const struct task_opts *o)
{
	unsigned char *copy = NULL;
	struct shape *s = NULL;
	char *on = NULL;

	for (unsigned i = 0; i < c->nshape; i++)
		if (same_shape(&c->shape[i]->opts, o))
			return c->shape[i];
	if ((o->nresources && !(copy = malloc(o->nresources))) || (o->on && !(on = strdup(o->on))) ||
	    ((id_none(o->group) || !(s = spare_l(c))) && !(s = new_l(c)))) {
		free(copy);
		free(on);
		return NULL;
	}
	if (copy)
		memcpy(copy, o->resources, o->nresources);
	s->opts = *o;
	s->opts.resources = copy;
	s->opts.on = on;
	s->est = EST_UNKNOWN;
	return s;
}
