/* timers - retries that wait, time-outs of tasks and what follows them; served by the service thread. */
#include "client/inner.h"

int
timer_set_l(struct client *c, struct rec *r, int what, uint64_t at)
{
	struct side *s = side_l(c, r);

	if (!s)
		return -ENOMEM;
	if (what == TIMER_RETRY && s->what == TIMER_TIMEOUT) {
		if (s->timer.at <= at)
			return 0;		/* its time will be up first: it waits for that */
		s->expires = s->timer.at;
	}
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

/* the time-out of a task: what was not claimed just fails; running ones are asked to end, then lose their worker */
static void
late_l(struct client *c, struct rec *r, struct side *s)
{
	static const char text[] = "the task did not start within its timeout";

	s->late = true;
	if (r->state == REC_QUEUED || r->state == REC_WAITING)
		task_expire_l(c, r, ERR_TIMEOUT, text);
	else if (r->state == REC_PUSHED && !lease_revoke_l(c, r, ERR_TIMEOUT, text))
		cancel_ask_l(c, r, 0, clock_ns() + CANCEL_GRACE_NS);
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
		} else if (what == TIMER_KILL) {
			cancel_kill_l(c, r);
		} else if (what == TIMER_RETRY) {
			c->queued--;
			if (s->expires)
				timer_set_l(c, r, TIMER_TIMEOUT, s->expires);
			s->expires = 0;
			task_queue_l(c, r, true);
			feed_l(c, fn_of(c, r->fn)->shape);
		}
	}
}
