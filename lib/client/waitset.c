/* waitset - objects that are waited for together: each member hangs on its record until that is ready, then in a queue. */
#include "client/inner.h"

struct waitset *
waitset_new(struct client *c)
{
	struct waitset *w = calloc(1, sizeof *w);

	(void)c;
	if (w) {
		list_init(&w->ready);
		list_init(&w->rest);
	}
	return w;
}

void
member_ready_l(struct client *c, struct member *m)
{
	m->waits = false;
	list_del(&m->link);
	list_add_tail(&m->set->ready, &m->link);
	if (m->set->outer)
		m->set->outer->kicked = true;
	if (c->crowd)
		crowd_raise_l(c);
	if (m->set->pokes)
		client_poke(c);
}

int
waitset_add(struct client *c, struct waitset *w, struct rec *r, uint64_t tag)
{
	struct member *m = calloc(1, sizeof *m);
	struct side *s;
	int e = 0;

	if (!m)
		return -ENOMEM;
	m->set = w;
	m->rec = r;
	m->tag = tag;
	lock_take(&c->lock);
	if (r->state == REC_READY) {
		list_add_tail(&w->ready, &m->link);
		if (c->crowd)
			crowd_raise_l(c);
	} else if ((s = side_l(c, r))) {
		m->waiter.kind = WAIT_SET;
		m->waits = true;
		list_add_tail(&s->waiters, &m->waiter.link);
		list_add_tail(&w->rest, &m->link);
		ask_l(c, r);
	} else {
		e = -ENOMEM;
	}
	if (e == 0) {
		r->count++;
		w->n++;
	} else {
		free(m);
	}
	lock_drop(&c->lock);
	return e;
}

bool
waitset_watch(struct client *c, struct waitset *w, struct waitset *outer)
{
	bool ready;

	lock_take(&c->lock);
	w->outer = outer;
	ready = !list_empty(&w->ready);
	lock_drop(&c->lock);
	return ready;
}

bool
waitset_kicked(struct client *c, struct waitset *w)
{
	bool is;

	lock_take(&c->lock);
	is = w->kicked;
	w->kicked = false;
	lock_drop(&c->lock);
	return is;
}

bool
waitset_ready(struct client *c, struct waitset *w)
{
	bool is;

	lock_take(&c->lock);
	is = !list_empty(&w->ready);
	lock_drop(&c->lock);
	return is;
}

void
waitset_poke(struct client *c, struct waitset *w)
{
	lock_take(&c->lock);
	w->pokes = true;
	lock_drop(&c->lock);
}

size_t
waitset_len(const struct waitset *w)
{
	return w->n;
}

static bool
set_ready(struct client *c, void *arg)
{
	struct waitset *w = arg;

	(void)c;
	return !list_empty(&w->ready);
}

int
waitset_await(struct client *c, struct waitset *w, uint64_t deadline)
{
	return wait_until(c, set_ready, w, deadline);
}

int
waitset_next(struct client *c, struct waitset *w, uint64_t deadline, struct rec **r, uint64_t *tag)
{
	struct list *l;
	struct member *m;
	size_t n;
	int e;

	for (;;) {
		lock_take(&c->lock);
		n = w->n;
		if ((l = list_shift(&w->ready)))
			w->n--;
		lock_drop(&c->lock);
		if (l)
			break;
		if (n == 0)
			return ERR_NOTFOUND;
		if ((e = wait_until(c, set_ready, w, deadline)) < 0)
			return e;
	}			/* another thread may have taken the member */
	m = list_entry(l, struct member, link);
	*r = m->rec;
	*tag = m->tag;
	free(m);
	return 0;
}

void
waitset_free(struct client *c, struct waitset *w)
{
	struct list *l;

	lock_take(&c->lock);
	while ((l = list_shift(&w->ready)) || (l = list_shift(&w->rest))) {
		struct member *m = list_entry(l, struct member, link);

		if (m->waits)
			list_del(&m->waiter.link);
		rec_unref_l(c, m->rec);
		free(m);
	}
	lock_drop(&c->lock);
	free(w);
}
