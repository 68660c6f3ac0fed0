#include "client/crowd.h"
#include "client/inner.h"

enum { PARKED, DONE, LEADS };

struct parked {				/* on the stack of a thread that waits while another one has the role */
	struct list link;
	bool (*ready)(struct client *, void *);
	void *arg;
	_Atomic uint32_t word;
};

struct crowd {
	_Atomic uint32_t led;		/* some thread has the role; set without the lock, cleared with it */
	struct list parked;		/* not empty only while led */
};

struct lead {
	bool (*ready)(struct client *, void *);
	void *arg;
};

int
client_crowd(struct client *c)
{
	struct crowd *w;

	if (c->crowd)
		return 0;
	if (!(w = calloc(1, sizeof *w)))
		return -ENOMEM;
	list_init(&w->parked);
	c->crowd = w;
	return 0;
}

static void
tell_l(struct parked *p, uint32_t what)
{
	list_del(&p->link);
	atomic_store_explicit(&p->word, what, memory_order_release);
	futex_wake(&p->word, 1);	/* it cannot be gone before it had the lock, or the word: then nobody is woken */
}

/* the leader's look, lock held: for all */
static bool
crowd_ready(struct client *c, void *arg)
{
	struct list *l, *next;
	struct lead *lead = arg;

	for (l = c->crowd->parked.next; l != &c->crowd->parked; l = next) {
		struct parked *p = list_entry(l, struct parked, link);

		next = l->next;
		if (p->ready(c, p->arg))
			tell_l(p, DONE);
	}
	return lead->ready(c, lead->arg);
}

static void
resign(struct client *c)
{
	struct crowd *w = c->crowd;

	lock_take(&c->lock);
	if (list_empty(&w->parked))
		atomic_store(&w->led, 0);
	else
		tell_l(list_entry(w->parked.next, struct parked, link), LEADS);
	lock_drop(&c->lock);
}

static bool
take_role(struct crowd *w)
{
	uint32_t no = 0;

	return atomic_compare_exchange_strong(&w->led, &no, 1);
}

/* until the leader tells: DONE or LEADS; or e, then it is off the list */
static int
park(struct client *c, struct parked *p, uint64_t deadline, int *e)
{
	uint32_t word;

	*e = 0;
	while ((word = atomic_load_explicit(&p->word, memory_order_acquire)) == PARKED && *e == 0) {
		uint64_t now = deadline == WAIT_FOREVER ? 0 : clock_ns();

		*e = deadline != WAIT_FOREVER && now >= deadline ? -ETIMEDOUT :
		    futex_wait(&p->word, PARKED, deadline == WAIT_FOREVER ? -1 : (int64_t)(deadline - now));
		if (*e == -EAGAIN)
			*e = 0;
	}
	if (word != PARKED)
		return (int)word;
	lock_take(&c->lock);
	word = atomic_load_explicit(&p->word, memory_order_relaxed);
	if (word == PARKED)
		list_del(&p->link);
	lock_drop(&c->lock);
	return (int)word;
}

int
crowd_wait(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline)
{
	struct crowd *w = c->crowd;
	struct lead lead = { ready, arg };
	struct parked p = { .ready = ready, .arg = arg };
	int e = 0, told = LEADS;

	if (!take_role(w)) {
		lock_take(&c->lock);
		if (ready(c, arg)) {
			lock_drop(&c->lock);
			return 0;
		}
		if (!take_role(w)) {
			list_add_tail(&w->parked, &p.link);
			told = PARKED;
		}
		lock_drop(&c->lock);
		if (told == PARKED)
			told = park(c, &p, deadline, &e);
	}
	if (told == DONE)
		return 0;
	if (told == PARKED)
		return e;		/* timed out, or a signal */
	if (e == 0)
		e = wait_alone(c, crowd_ready, &lead, deadline);
	resign(c);
	return e;
}

/* something became ready that no ring told of: whoever looks for all may be asleep */
void
crowd_stir_l(struct client *c)
{
	if (atomic_load_explicit(&c->crowd->led, memory_order_relaxed))
		bell_ring(c->np, c->bell);
}

/* --- results -------------------------------------------------------------------------------------------------- */

static bool
is_ready(struct client *c, void *arg)
{
	(void)c;
	return ((struct rec *)arg)->state == REC_READY;
}

int
client_fetch(struct client *c, struct rec *r, uint64_t deadline, struct value *v)
{
	int e;

	if (!rec_is_ready(r)) {
		lock_take(&c->lock);
		if (r->flags & REC_BORROWED)
			ask_l(c, r);
		lock_drop(&c->lock);
		if ((e = wait_until(c, is_ready, r, deadline)) < 0)
			return e;
	}
	return client_value(c, r, v);
}
