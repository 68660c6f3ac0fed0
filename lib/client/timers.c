/* timers - retries that wait, and time-outs of tasks; served by the service thread. */
#include "client/inner.h"

int
timer_set_l(struct client *c, struct rec *r, int what, uint64_t at)
{
	struct side *s = side_l(c, r);

	if (!s)
		return -ENOMEM;
	s->what = what;
	if (heap_set(&c->timers, &s->timer, at) < 0)
		return -ENOMEM;
	service_nudge_l(c);
	return 0;
}

uint64_t
timers_next_l(struct client *c)
{
	struct heap_node *n = heap_top(&c->timers);

	return n ? n->at : WAIT_FOREVER;
}

/* the time-out of a task: queued ones just fail, running ones lose their worker */
static void
late_l(struct client *c, struct rec *r, struct side *s)
{
	struct lease *l;

	s->late = true;
	if (r->state == REC_PUSHED && (l = c->lease[r->link])) {
		lease_takeback_l(c, l);
		if (r->state == REC_PUSHED && l->actor) {	/* not killed for one slow call: its end is not awaited */
			rec_fail_l(c, r, ERR_TIMEOUT, "the call took longer than its timeout");
			feed_lane_l(c, l->actor, l->lane);	/* what was taken back beside it */
			return;
		}
		if (r->state == REC_PUSHED) {
			LINK_SEND(c, kill, .lease = l->number, .task = r->seq);
			return;
		}
	}
	if (r->state == REC_QUEUED || r->state == REC_WAITING)
		task_expire_l(c, r);
}

void
timers_l(struct client *c, uint64_t now)
{
	struct heap_node *n;

	while ((n = heap_top(&c->timers)) && n->at <= now) {
		struct side *s = list_entry(n, struct side, timer);
		struct rec *r = slab_at(&c->slab, s->unit);
		int what = s->what;

		heap_del(&c->timers, n);
		s->what = TIMER_NONE;
		if (what == TIMER_TIMEOUT) {
			late_l(c, r, s);
		} else if (what == TIMER_RETRY) {
			c->queued--;
			task_queue_l(c, r, true);
			feed_l(c, fn_of(c, r->fn)->shape);
		}
	}
}
