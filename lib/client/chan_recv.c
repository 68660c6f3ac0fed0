#include "client/chan_inner.h"
#include "wire/le.h"

/* --- receiving --------------------------------------------------------------------------------------------------- */

static int
parse_oob(struct client_chan *ch, struct chan_in *m, bool copied)
{
	const unsigned char *p = m->p;
	size_t n = m->n, at;
	uint32_t nhead, nseg;

	if (n < 8)
		return ERR_PROTO;
	nhead = le_get32(p);
	nseg = le_get32(p + 4);
	if (nseg > CHAN_SEGS || (at = 8 + 8 * (size_t)nseg) > n || nhead > n - at)
		return ERR_PROTO;
	m->nseg = nseg;
	for (unsigned i = 0; i < nseg; i++)
		m->seg[i].n = le_get64(p + 8 + 8 * i);		/* loaded once */
	m->p = p + at;
	m->n = nhead;
	at += ((size_t)nhead + 7) & ~(size_t)7;
	for (unsigned i = 0; i < nseg; i++) {
		if (at > n || m->seg[i].n > n - at)
			return ERR_PROTO;
		m->seg[i].p = p + at;
		at += (m->seg[i].n + 7) & ~(size_t)7;
	}
	if (copied)
		return 1;
	ch->copy.len = 0;
	if (buf_add(&ch->copy, m->p, m->n) < 0)
		return -ENOMEM;
	m->p = ch->copy.data;
	return 1;
}

/* the next message, or part, leaves the ring; 1: a message is complete, and held; 0: nothing there, or a part only */
static int
take(struct client_chan *ch)
{
	struct chan_msg m;
	struct held *h = NULL;
	int e;

	if ((e = chan_look(&ch->e, &m)) <= 0)
		return e;
	if (!ch->partial)
		ch->copy.len = 0;
	if (ch->copy.len + m.n > client_chan_longest)
		return ERR_PROTO;
	if (buf_add(&ch->copy, m.p, m.n) < 0)
		return -ENOMEM;
	if (!m.more && !(h = malloc(sizeof *h))) {
		ch->copy.len -= m.n;		/* it is still in the ring */
		return -ENOMEM;
	}
	chan_taken(&ch->e, &m);
	ring_peer(ch);
	if ((ch->partial = m.more))
		return 0;
	h->b = ch->copy;
	h->tag = m.tag;
	h->number = ch->e.count;
	ch->copy = (struct buf)BUF_INIT;
	list_add_tail(&ch->held, &h->link);
	return 1;
}

/* all that is there, of one message at most: 1 it is held */
static int
take_parts(struct client_chan *ch)
{
	int e;

	while ((e = take(ch)) == 0 && chan_ready(&ch->e))
		;
	return e;
}

int
client_chan_get(struct client_chan *ch, struct chan_in *m)
{
	bool copied = false;
	int e, over;

	if (ch->at.p == NULL && list_empty(&ch->held)) {
		over = client_chan_peer(ch);
		if ((e = chan_look(&ch->e, &ch->at)) <= 0) {
			ch->at.p = NULL;
			return e < 0 ? e : over;
		}
		if (ch->at.more || ch->partial) {
			ch->at.p = NULL;
			if ((e = take_parts(ch)) <= 0)
				return e < 0 ? e : client_chan_peer(ch) == 0 ? 0 : client_chan_get(ch, m);
		}
	}
	if (ch->at.p == NULL) {
		const struct held *h = list_entry(list_first(&ch->held), struct held, link);

		ch->at = (struct chan_msg){ h->b.len ? h->b.data : (const unsigned char *)"", h->b.len, h->tag, true };
	}
	copied = ch->at.more;
	m->tag = ch->at.tag & ~0xffffu;
	m->nvals = ch->at.tag & 0xffff;
	m->p = ch->at.p;
	m->n = ch->at.n;
	m->nseg = 0;
	if (m->tag & CHAN_STORED) {
		unsigned char at[WREF_SIZE];

		if (m->n != sizeof at)
			return ERR_PROTO;
		memcpy(at, m->p, sizeof at);
		val_wref_unpack(&m->stored, at);
		m->n = 0;
		return 1;
	}
	if (m->tag & CHAN_OOB)
		return parse_oob(ch, m, copied);
	if (!copied && !(m->tag & CHAN_BYTES)) {
		ch->copy.len = 0;
		if (buf_add(&ch->copy, m->p, m->n) < 0)
			return -ENOMEM;
		m->p = ch->copy.data;
	}
	return 1;
}

void
chan_held_free(struct client_chan *ch)
{
	struct held *h = list_entry(list_first(&ch->held), struct held, link);

	list_del(&h->link);
	if (ch->partial) {
		buf_release(&h->b);
	} else {
		buf_release(&ch->copy);
		ch->copy = h->b;
	}
	free(h);
}

void
client_chan_done(struct client_chan *ch)
{
	uint64_t number = 0;

	if (ch->at.p && ch->at.more) {
		number = list_entry(list_first(&ch->held), struct held, link)->number;
		chan_held_free(ch);
	} else if (ch->at.p) {
		chan_taken(&ch->e, &ch->at);
		number = ch->e.count;
	}
	if (ch->at.tag & CHAN_CARRIED && ch->at.p)
		chan_due(ch, number);
	if (number)
		ring_peer(ch);
	ch->at.p = NULL;
	if (ch->copy.cap > 1u << 20)		/* a rare long one does not stay */
		buf_release(&ch->copy);
}

int
client_chan_whole(struct client_chan *ch)
{
	struct chan_msg m;
	int e;

	if (ch->at.p || !list_empty(&ch->held))
		return 1;
	if ((e = chan_look(&ch->e, &m)) == 1 && (ch->partial || m.more))
		e = take_parts(ch);
	if (e != 0)
		return e;
	return client_chan_peer(ch) == 0 ? 0 : chan_ready(&ch->e) ? client_chan_whole(ch) : client_chan_peer(ch);
}

/* --- taking early -------------------------------------------------------------------------------------------------- */

void
client_chan_drain(struct client_chan *ch)
{
	if (list_empty(&ch->drain))
		list_add_tail(&ch->c->drains, &ch->drain);
}

static inline bool
drainable(const struct client_chan *ch)
{
	return !ch->stuck && (!ch->at.p || ch->at.more) && chan_ready(&ch->e);
}

void
chans_drain(struct client *c)
{
	list_each(l, &c->drains) {
		struct client_chan *ch = list_entry(l, struct client_chan, drain);
		uint64_t from = ch->e.pos;

		while (drainable(ch) && ch->e.pos - from < ch->e.cap)	/* a ring that lies has no end (found by search) */
			ch->stuck = take(ch) < 0;
	}
}

bool
chans_drainable(const struct client *c)
{
	list_each(l, &c->drains)
		if (drainable(list_entry(l, struct client_chan, drain)))
			return true;
	return false;
}
