/*
 * queue - the tasks of a shape that wait in their submitter: by priority, higher first, then in the order they came.
 *
 * shape.head … tail is the queue of the highest priority that has tasks, shape.priority; those of lower ones are parked
 * (queue.c).  As long as no task has a priority, which client.priorities tells, there is only the one queue.
 * All of them want the lock and count client.queued and shape.queued.
 */
#ifndef CLIENT_QUEUE_H
#define CLIENT_QUEUE_H

#include "client/inner.h"

struct queue {				/* a parked one, not empty */
	uint32_t head, tail;
	int priority;
};

int	queue_priority(const struct client *c, const struct rec *r);	/* its own, else its parent's */
/* where a task of this priority goes: to the queue at hand (false), or it has been put among the parked ones (true) */
bool	queue_park(struct client *c, struct shape *s, struct rec *r, bool front);
void	queue_unpark(struct shape *s);	/* the one at hand is empty: the next takes its place */
void	queue_remove_l(struct client *c, struct shape *s, struct rec *r);	/* a task that waits here, from anywhere */

static inline void
queue_link(const struct client *c, uint32_t *head, uint32_t *tail, struct rec *r, bool front)
{
	uint32_t u = slab_unit(&c->slab, r);

	if (*head == 0) {
		*head = *tail = u;
		r->link = 0;
	} else if (front) {
		r->link = *head;
		*head = u;
	} else {
		((struct rec *)slab_at(&c->slab, *tail))->link = u;
		*tail = u;
		r->link = 0;
	}
}

static inline void
queue_add_l(struct client *c, struct shape *s, struct rec *r, bool front)
{
	s->queued++;
	c->queued++;
	if (c->priorities && queue_park(c, s, r, front))
		return;
	queue_link(c, &s->head, &s->tail, r, front);
}

static inline struct rec *
queue_pop_l(struct client *c, struct shape *s)	/* there is one */
{
	struct rec *r = slab_at(&c->slab, s->head);

	s->queued--;
	c->queued--;
	if ((s->head = r->link) == 0) {
		s->tail = 0;
		if (s->nparked)
			queue_unpark(s);
	}
	return r;
}

#endif
