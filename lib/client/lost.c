/* lost - the node is gone, and no daemon takes over: whatever waits for something from there fails, all of it and at once. */
#include <stdio.h>
#include "client/inner.h"

/* tasks that wait for their next attempt */
static void
retries_lost_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->side, &it)) {
		struct side *s = it.val;

		if (s->what != TIMER_RETRY)
			continue;
		heap_del(&c->timers, &s->timer);
		s->what = TIMER_NONE;
		c->queued--;
		task_queue_l(c, slab_at(&c->slab, s->unit), true);
	}
}

/* what others own and have not told us of */
static void
borrowed_lost_l(struct client *c)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->borrowed, &it)) {
		struct rec *r = it.val;

		r->count++;
		if (r->state != REC_READY)
			rec_fail_l(c, r, ERR_NO_CLUSTER, c->why);
		rec_unref_l(c, r);
	}
}

/* calls that lie on no ring: of actors that are not up yet, or queued behind others */
static void
actors_lost_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actor, &it)) {
		const struct actor *a = it.val;

		if (a->state != ACTOR_DEAD)
			actor_state_l(c, &(struct msg_actor_state){ .actor = it.key, .state = ACTOR_DEAD,
			    .incarnation = a->incarnation, .text = span_of(c->why, strlen(c->why)) });
	}
}

void
link_lose_l(struct client *c, const char *why)
{
	struct map_iter it = MAP_ITER;

	if (c->lost)
		return;
	snprintf(c->why, sizeof c->why, "%s", why);
	c->lost = true;
	link_leave(c);
	while (map_next(&c->request, &it)) {
		struct request *rq = it.val;

		if (rq->type == 0)
			link_unanswered(rq, ERR_NO_CLUSTER, c->why);
	}
	for (unsigned i = 0; i < c->nshape; i++)
		lease_fail_l(c, c->shape[i], ERR_NO_CLUSTER, c->why);
	for (unsigned i = 0; i < c->nlease; i++)
		if (c->lease[i])
			lease_dead_l(c, c->lease[i], ERR_NO_CLUSTER, false, c->why);
	retries_lost_l(c);
	actors_lost_l(c);
	borrowed_lost_l(c);
	groups_lost_l(c, c->why);
	sets_lost_l(c);
	bell_ring(c->np, c->bell);
}
