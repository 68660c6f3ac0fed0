#include "client/queue.h"

int
queue_priority(const struct client *c, const struct rec *r)
{
	if (r->flags & REC_CONTEXT)
		return ((const struct rec_context *)slab_at(&c->slab, r->ext))->priority;
	return fn_of((struct client *)c, r->fn)->opts.priority;
}

/* the parked queue of this priority, made if need be; they lie in rising order.  NULL: no memory */
static struct queue *
parked(struct shape *s, int priority)
{
	unsigned i = s->nparked;
	struct queue *v;

	while (i > 0 && s->parked[i - 1].priority > priority)
		i--;
	if (i > 0 && s->parked[i - 1].priority == priority)
		return &s->parked[i - 1];
	if (!(v = realloc(s->parked, (s->nparked + 1) * sizeof *v)))
		return NULL;
	s->parked = v;
	memmove(v + i + 1, v + i, (s->nparked++ - i) * sizeof *v);
	v[i] = (struct queue){ .priority = priority };
	return &v[i];
}

bool
queue_park(struct client *c, struct shape *s, struct rec *r, bool front)
{
	int priority = queue_priority(c, r);
	struct queue *q;

	if (s->head == 0)
		s->priority = priority;
	if (priority == s->priority)
		return false;
	if (priority < s->priority) {
		if (!(q = parked(s, priority)))
			return false;		/* too early, then, rather than never */
		queue_link(c, &q->head, &q->tail, r, front);
		return true;
	}
	if ((q = parked(s, s->priority))) {
		q->head = s->head;
		q->tail = s->tail;
		s->head = s->tail = 0;
		s->priority = priority;
	}
	return false;
}

void
queue_unpark(struct shape *s)
{
	struct queue q = s->parked[--s->nparked];

	s->head = q.head;
	s->tail = q.tail;
	s->priority = q.priority;
}

static bool
unlink_from(const struct client *c, uint32_t *head, uint32_t *tail, const struct rec *r)
{
	uint32_t u = slab_unit(&c->slab, r);
	struct rec *q = NULL;

	for (uint32_t at = *head; at && at != u; at = q->link)
		q = slab_at(&c->slab, at);
	if (q ? q->link != u : *head != u)
		return false;
	*(q ? &q->link : head) = r->link;
	if (*tail == u)
		*tail = q ? slab_unit(&c->slab, q) : 0;
	return true;
}

void
queue_remove_l(struct client *c, struct shape *s, struct rec *r)
{
	bool found = unlink_from(c, &s->head, &s->tail, r);

	for (unsigned i = 0; i < s->nparked && !found; i++) {
		if (!(found = unlink_from(c, &s->parked[i].head, &s->parked[i].tail, r)) || s->parked[i].head)
			continue;
		memmove(s->parked + i, s->parked + i + 1, (--s->nparked - i) * sizeof *s->parked);
	}
	if (!found)
		return;
	if (s->head == 0 && s->nparked)
		queue_unpark(s);
	s->queued--;
	c->queued--;
}
