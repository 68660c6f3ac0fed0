/*
 * chan_hold - what is in messages and lies elsewhere: references, handles of actors, large values in the store.
 *
 * The sender holds it, as the payload of a record of its own (struct owed), until the reader's end says that it holds
 * what it wants of it (chan_side.held), or never took the message, or is dead.  The reader tells the owners of what it
 * keeps (HOLD), and says so when all have answered (struct due).  Handles go through the node: it has done with what we
 * told it once a route to ourselves has come back (an echo).  So at each moment somebody who lives is on the owner's
 * list, or the owner is the sender; whoever dies leaves all lists, as always.
 *
 * An end that is closed or passed on while it owes something, or waits for owners, stays here (left) until that is over:
 * its mapping is what it sees the other end through.
 */
#include "client/chan_inner.h"

struct owed {				/* a writer's */
	struct list link;
	uint64_t number;		/* of the message, 1 first in the life of the channel */
	uint64_t bytes;			/* in the store */
	struct rec *rec;		/* counted */
};

struct due {				/* a reader's: a message that was taken */
	struct list link;
	uint64_t number;
	uint64_t echo;			/* to be heard; 0: none */
	size_t n;
	struct rec *rec[];		/* counted; their owners have been told */
};

/* --- the writer -------------------------------------------------------------------------------------------------------- */

/* the node should know that others need this process */
static void
owing_l(struct client *c, int by)
{
	c->owing += (unsigned)by;
	page_set(c->page, CNT_OWNED, c->nheld + c->owing);
}

static int
count_handle(void *arg, uint64_t number, struct span class, struct span methods)
{
	(void)number, (void)class, (void)methods;
	++*(unsigned *)arg;
	return 0;
}

int
chan_hold(struct client_chan *ch, const struct payload *p, unsigned *tag, struct payload *out)
{
	struct payload v = *p;
	struct owed *o;
	struct wref w;
	unsigned handles = 0;
	int e;

	chan_unsent(ch);			/* of a message whose waiting did not return */
	v.flags &= PAYLOAD_REFS;
	if (!(o = calloc(1, sizeof *o)))
		return -ENOMEM;
	if ((e = client_put(ch->c, &v, &o->rec)) < 0) {
		free(o);
		return e;
	}
	ch->sending = o;
	*out = *p;
	if (p->flags & PAYLOAD_REFS) {
		val_walk_actors(p->p, p->n, p->nvals, count_handle, &handles);
		*tag |= CHAN_REFS | (handles ? CHAN_HANDLES : 0);
	}
	if (o->rec->kind >= REC_ARENA) {
		client_export(ch->c, o->rec, &w);
		val_wref_pack(ch->place, &w);
		*out = (struct payload){ ch->place, WREF_SIZE, p->nvals, 0, NULL, 0 };
		*tag |= CHAN_STORED;
		o->bytes = client_size(o->rec);
	}
	if (!ch->c->serving)
		service_start(ch->c);		/* the reader asks at any time */
	return 0;
}

void
chan_unsent(struct client_chan *ch)
{
	if (!ch->sending)
		return;
	client_release(ch->c, ch->sending->rec);
	free(ch->sending);
	ch->sending = NULL;
}

void
chan_sent(struct client_chan *ch)
{
	lock_take(&ch->c->lock);
	ch->sending->number = ch->e.count;
	if (list_empty(&ch->owed))
		owing_l(ch->c, 1);
	list_add_tail(&ch->owed, &ch->sending->link);
	ch->sending = NULL;
	chans_settle_l(ch->c);
	lock_drop(&ch->c->lock);
}

uint64_t
chan_afford(struct client_chan *ch)
{
	uint64_t taken = chan_taken_count(ch), sum = 0, at = 0;

	if (ch->sending->bytes == 0)
		return 0;
	lock_take(&ch->c->lock);
	list_each(l, &ch->owed) {
		const struct owed *o = list_entry(l, struct owed, link);

		sum += o->number > taken ? o->bytes : 0;
	}
	list_each(l, &ch->owed) {
		const struct owed *o = list_entry(l, struct owed, link);

		if (sum == 0 || sum + ch->sending->bytes <= ch->e.cap)
			break;
		if (o->number > taken && o->bytes) {
			sum -= o->bytes;
			at = o->number;
		}
	}
	lock_drop(&ch->c->lock);
	return at;
}

/* the reader has told whom it had to about this message, or never took it, or is dead */
static bool
settled(const struct client_chan *ch, uint64_t number)
{
	const struct chan_side *r = &ch->e.shm->r;

	if (atomic_load(&r->held) >= number || atomic_load(&r->dead))
		return true;
	return atomic_load(&r->closed) && number > atomic_load(&r->count);
}

void
chans_settle_l(struct client *c)
{
	list_each_safe(l, next, &c->chans) {
		struct client_chan *ch = list_entry(l, struct client_chan, link);

		if (ch->reader || list_empty(&ch->owed))
			continue;
		for (struct list *k; (k = list_first(&ch->owed)) && settled(ch, list_entry(k, struct owed, link)->number);) {
			struct owed *o = list_entry(k, struct owed, link);

			list_del(k);
			rec_unref_l(c, o->rec);
			free(o);
		}
		if (list_empty(&ch->owed)) {
			owing_l(c, -1);
			if (ch->left)
				chan_gone_l(ch);
		}
	}
}

/* --- the reader -------------------------------------------------------------------------------------------------------- */

int
client_chan_enter(struct client_chan *ch, const struct chan_in *m)
{
	struct client *c = ch->c;
	int e = 0;

	lock_take(&c->lock);
	ch->was = c->decoding;
	c->decoding = true;
	ch->mark = c->nfresh;
	if (m->tag & CHAN_STORED && !(ch->obj = rec_import_l(c, &m->stored, false))) {
		c->decoding = ch->was;
		e = -ENOMEM;
	}
	lock_drop(&c->lock);
	return e;
}

struct rec *
client_chan_stored(const struct client_chan *ch)
{
	return ch->obj;
}

static void
due_free_l(struct client *c, struct due *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		rec_unref_l(c, d->rec[i]);
	free(d);
}

/* what came with the message and is still referred to: its owner is told.  Without memory for d it is only told. */
static void
keep_l(struct client_chan *ch, struct due *d)
{
	struct client *c = ch->c;

	for (size_t i = ch->mark; i < c->nfresh; i++) {
		struct side *s = map_get(&c->side, c->fresh[i].unit);
		struct rec *r = slab_at(&c->slab, c->fresh[i].unit);

		if (!s || !s->fresh)
			continue;
		s->fresh = false;
		if (!(r->flags & REC_BORROWED) || !r->count || s->registered)
			continue;
		hold_self_l(c, r);
		if (d) {
			r->count++;
			d->rec[d->n++] = r;
		}
	}
	c->nfresh = ch->mark;
	if (c->holds.len)
		link_holds_l(c);
}

void
client_chan_leave(struct client_chan *ch, const struct chan_in *m)
{
	struct client *c = ch->c;
	struct due *d;

	lock_take(&c->lock);
	c->decoding = ch->was;
	if (ch->obj)
		rec_unref_l(c, ch->obj);
	ch->obj = NULL;
	d = calloc(1, sizeof *d + (c->nfresh - ch->mark) * sizeof *d->rec);
	keep_l(ch, d);
	if (d && m->tag & CHAN_HANDLES && !c->lost) {
		d->echo = ++c->echoes;
		LINK_SEND(c, route, .proc = c->me.proc, .kind = ROUTE_HELD);
	}
	if (d && d->n == 0 && d->echo == 0) {
		free(d);
		d = NULL;
	}
	due_free_l(c, ch->now);			/* it was looked at before */
	ch->now = d;
	lock_drop(&c->lock);
}

static bool
answered_l(struct client *c, const struct due *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct side *s = side_find_l(c, d->rec[i]);

		if (s && s->holding)
			return false;
	}
	return d->echo <= c->echoed;
}

static void
held_l(struct client_chan *ch)
{
	uint64_t number = 0;

	for (struct list *l; (l = list_first(&ch->due)) && answered_l(ch->c, list_entry(l, struct due, link));) {
		struct due *d = list_entry(l, struct due, link);

		number = d->number;
		list_del(l);
		due_free_l(ch->c, d);
	}
	if (number) {
		atomic_store(&ch->e.shm->r.held, number);
		ring_peer(ch);
	}
}

void
chan_due(struct client_chan *ch, uint64_t number)
{
	struct due *d;

	lock_take(&ch->c->lock);
	d = ch->now ? ch->now : list_empty(&ch->due) ? NULL : calloc(1, sizeof *d);
	ch->now = NULL;
	if (d) {
		d->number = number;
		list_add_tail(&ch->due, &d->link);
		held_l(ch);
	} else if (list_empty(&ch->due)) {	/* else there was no memory for it: it is told with the next one */
		atomic_store(&ch->e.shm->r.held, number);
	}
	lock_drop(&ch->c->lock);
}

void
chans_held_l(struct client *c)
{
	list_each_safe(l, next, &c->chans) {
		struct client_chan *ch = list_entry(l, struct client_chan, link);

		if (!ch->reader || list_empty(&ch->due))
			continue;
		held_l(ch);
		if (ch->left && list_empty(&ch->due))
			chan_gone_l(ch);
	}
}

static bool
none_due(struct client *c, void *arg)
{
	(void)c;
	return list_empty(&((struct client_chan *)arg)->due);
}

int
chan_await_owners(struct client_chan *ch)
{
	int e = 0;

	while (!list_empty(&ch->due) && (e = wait_until(ch->c, none_due, ch, WAIT_FOREVER)) < 0)
		if (e != -EINTR)
			return e;
	return 0;
}

/* --- going ------------------------------------------------------------------------------------------------------------ */

void
chan_forget_l(struct client_chan *ch, bool all)
{
	struct client *c = ch->c;
	struct list *l;

	if (ch->sending)
		rec_unref_l(c, ch->sending->rec);
	free(ch->sending);
	due_free_l(c, ch->now);
	if (ch->obj)
		rec_unref_l(c, ch->obj);
	ch->sending = NULL;
	ch->now = NULL;
	ch->obj = NULL;
	if (!all)
		return;
	if (!list_empty(&ch->owed))
		owing_l(c, -1);
	while ((l = list_shift(&ch->owed))) {
		rec_unref_l(c, list_entry(l, struct owed, link)->rec);
		free(list_entry(l, struct owed, link));
	}
	while ((l = list_shift(&ch->due)))
		due_free_l(c, list_entry(l, struct due, link));
}
