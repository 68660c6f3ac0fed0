/*
 * lease_actors - actors that wait for a place.  Those of a job that need the same wait in one demand, first come first
 * served, so that ten thousand of them cost no more to look at than one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/lease_inner.h"

struct waiter {
	struct list link;		/* in demand->actors */
	uint64_t actor;
	struct demand *d;
};

static struct waiter *
first(const struct demand *d)
{
	return list_entry(d->actors.next, struct waiter, link);
}

/* the first one is served, or has left */
static void
waiter_end(struct lease_core *c, struct waiter *w)
{
	struct demand *d = w->d;

	map_del(&c->placing, w->actor);
	list_del(&w->link);
	free(w);
	if (--d->want == 0)
		lease_demand_end(c, d);
	else
		d->actor = first(d)->actor;
}

struct demand *
lease_actors_like(const struct lease_core *c, const struct lease_in *in)
{
	const struct waiter *w = map_get(&c->placing, in->actor);

	if (w)
		return w->d;
	list_each(p, &c->demands) {
		struct demand *d = list_entry(p, struct demand, link);

		if (d->actor && d->job->job == in->job && d->priority == in->priority && d->threads == in->threads &&
		    (d->group ? d->group->number : 0) == in->group && d->bundle == in->bundle && d->capture == in->capture &&
		    memcmp(&d->need, &in->need, sizeof d->need) == 0)
			return d;
	}
	return NULL;
}

int
lease_actors_add(struct lease_core *c, struct demand *d, uint64_t actor)
{
	struct waiter *w;

	if (map_get(&c->placing, actor))
		return 0;
	if ((w = calloc(1, sizeof *w)) == NULL || map_put(&c->placing, actor, w) < 0) {
		free(w);
		return -ENOMEM;
	}
	w->actor = actor;
	w->d = d;
	if (d->want++ == 0) {
		list_init(&d->actors);
		d->actor = actor;
	}
	list_add_tail(&d->actors, &w->link);
	return 0;
}

void
lease_actors_served(struct lease_core *c, uint64_t now, struct demand *d)
{
	d->since = now;			/* the next one's wait to be told of, if none has been */
	waiter_end(c, first(d));
}

void
lease_actors_leave(struct lease_core *c, uint64_t actor)
{
	struct waiter *w = map_get(&c->placing, actor);

	if (w)
		waiter_end(c, w);
}

void
lease_actors_refuse(struct lease_core *c, struct demand *d, const char *text, struct lease_out *o)
{
	for (uint64_t n = d->want; n > 0; n--) {
		lease_refuse(&(struct lease_in){ .actor = d->actor }, text, o);
		waiter_end(c, first(d));
	}
}

void
lease_actors_end(struct lease_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->placing, &it))
		free(it.val);
	map_release(&c->placing);
}
