#include <stdio.h>
#include <unistd.h>
#include "client/chan.h"
#include "client/inner.h"
#include "ring/chan.h"
#include "wire/le.h"

struct client_chan {
	struct client *c;
	struct list link;		/* in client.chans */
	uint64_t number;
	bool reader;
	bool partial;			/* a message was begun and not ended */
	struct chan e;
	uint64_t need;			/* writer: bytes of room that it waits for */
	struct chan_msg at;		/* reader: the message that was got; p NULL: none */
	struct buf copy;		/* what is parsed, or the parts of a message so far */
	struct list held;		/* reader: messages that were taken out of the ring, first those to be got first */
	struct list drain;		/* in client.drains, or in no list */
	bool stuck;			/* what is in the ring cannot be taken: get says why */
};

struct held {
	struct list link;
	struct buf b;
	unsigned tag;
};

/* --- coming and going ---------------------------------------------------------------------------------------- */

static struct chan_side *
peer_side(const struct client_chan *ch)
{
	return ch->reader ? &ch->e.shm->w : &ch->e.shm->r;
}

static struct chan_side *
own_side(const struct client_chan *ch)
{
	return ch->reader ? &ch->e.shm->r : &ch->e.shm->w;
}

/* after something was published.  The fence stands before the bell is looked up: the end may be moving. */
static inline void
ring_peer(struct client_chan *ch)
{
	uint32_t i;

	atomic_thread_fence(memory_order_seq_cst);
	i = atomic_load_explicit(&peer_side(ch)->bell, memory_order_relaxed) - 1;
	if (i < NODEPAGE_BELLS && atomic_load_explicit(&ch->c->np->bell[i].word, memory_order_relaxed) != 0)
		bell_wake(ch->c->np, &ch->c->np->bell[i]);
}

static int
end_new(struct client *c, uint64_t number, bool reader, int fd, struct client_chan **out)
{
	struct client_chan *ch = calloc(1, sizeof *ch);
	int e;

	if (!ch)
		return -ENOMEM;
	ch->c = c;
	ch->number = number;
	ch->reader = reader;
	list_init(&ch->held);
	list_init(&ch->drain);
	if ((e = chan_map(fd, &ch->e)) == 0 && (e = reader ? chan_take_reader(&ch->e) : chan_take_writer(&ch->e)) == 0) {
		lock_take(&c->lock);
		list_add_tail(&c->chans, &ch->link);
		lock_drop(&c->lock);
		*out = ch;
		return 0;
	}
	chan_unmap(&ch->e);
	free(ch);
	return e;
}

void
chans_die_l(struct client *c)
{
	list_each(l, &c->chans) {
		struct client_chan *ch = list_entry(l, struct client_chan, link);

		if (atomic_load(&peer_side(ch)->owner) != c->me.proc)
			atomic_store(&peer_side(ch)->dead, CHAN_CRASHED);
	}
}

static void
held_free(struct client_chan *ch)		/* the first one; its room is used again */
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

static void
end_free(struct client_chan *ch)
{
	while (!list_empty(&ch->held))
		held_free(ch);
	list_del(&ch->drain);
	lock_take(&ch->c->lock);
	list_del(&ch->link);
	lock_drop(&ch->c->lock);
	chan_unmap(&ch->e);
	buf_release(&ch->copy);
	free(ch);
}

/* waits for the answer: *number and the descriptor of the segment, or a negative error and why */
static int
answer(struct client *c, struct request *rq, uint64_t *number, char *why, size_t n)
{
	struct msg_chan m;
	int e;

	*why = '\0';
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0) {
		if (rq->type == MSG_FAIL_T)
			e = link_fail(rq, why, n);
		else if (rq->type != MSG_CHAN_T || msg_get_chan(&m, rq->body.data, rq->body.len) < 0)
			e = ERR_PROTO;
		else
			e = rq->fd;
	}
	if (e >= 0)
		*number = m.chan;
	link_done(c, rq);
	if (e < 0 && !*why)
		snprintf(why, n, "%s", err_str(e));
	return e;
}

static void
closed_l(struct client *c, uint64_t number, bool reader)
{
	LINK_SEND(c, chan_close, .chan = number, .end = reader);
}

int
client_chan_new(struct client *c, uint64_t bytes, uint64_t items, struct client_chan **w, struct client_chan **r, char *why,
    size_t n)
{
	struct request *rq;
	uint64_t cap = CHAN_MIN, number;
	int fd, e;

	while (cap < bytes && cap < CHAN_MAX)
		cap *= 2;
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, chan_new, .req = rq->req, .bytes = cap, .items = items);
	lock_drop(&c->lock);
	if ((fd = answer(c, rq, &number, why, n)) < 0)
		return fd;
	*w = NULL;
	if ((e = end_new(c, number, false, fd, w)) == 0 && (e = end_new(c, number, true, fd, r)) < 0)
		end_free(*w);
	close(fd);
	if (e < 0) {
		lock_take(&c->lock);
		closed_l(c, number, false);
		closed_l(c, number, true);
		lock_drop(&c->lock);
		snprintf(why, n, "cannot map a channel: %s", err_str(e));
	}
	return e;
}

int
client_chan_open(struct client *c, uint64_t number, bool reader, struct client_chan **ch, char *why, size_t n)
{
	struct request *rq;
	int fd, e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_SEND(c, chan_open, .req = rq->req, .chan = number, .end = reader);
	lock_drop(&c->lock);
	if ((fd = answer(c, rq, &number, why, n)) < 0)
		return fd;
	e = end_new(c, number, reader, fd, ch);
	close(fd);
	if (e < 0) {
		lock_take(&c->lock);
		closed_l(c, number, reader);
		lock_drop(&c->lock);
		snprintf(why, n, "cannot map a channel: %s", err_str(e));
	}
	return e;
}

uint64_t
client_chan_number(const struct client_chan *ch)
{
	return ch->number;
}

int
client_chan_pass(struct client_chan *ch)
{
	if (ch->partial || ch->at.p || !list_empty(&ch->held))
		return -EBUSY;
	atomic_store(&own_side(ch)->owner, 0);
	end_free(ch);
	return 0;
}

static void
last_words(struct client_chan *ch, const unsigned char *error, size_t n)
{
	struct buf b = BUF_INIT;
	char text[512];
	int code;

	if (chan_step(n) > CHAN_SPARE) {
		if (val_error_text(error, n, text, sizeof text, &code) < 0 ||
		    val_error(&b, code, text, NULL, NULL, 0, NULL) < 0)
			goto out;
		error = b.data;
		n = b.len;
	}
	if (!ch->partial && chan_room(&ch->e, n, true) >= (int64_t)n) {
		memcpy(chan_fill(&ch->e), error, n);
		chan_publish(&ch->e, n, CHAN_LAST | CHAN_ERROR | 1, false);
	}
out:
	buf_release(&b);
}

void
client_chan_close(struct client_chan *ch, const unsigned char *error, size_t n)
{
	struct client *c = ch->c;

	if (!c->lost) {
		if (error && !ch->reader)
			last_words(ch, error, n);
		atomic_store(&own_side(ch)->closed, 1);
		ring_peer(ch);
		lock_take(&c->lock);
		closed_l(c, ch->number, ch->reader);
		lock_drop(&c->lock);
	}
	end_free(ch);
}

int
client_chan_peer(const struct client_chan *ch)
{
	unsigned over = chan_over(peer_side(ch));

	return over == 0 ? 0 : over & 1 ? ERR_CLOSED : over >> 8 & CHAN_CRASHED ? ERR_CRASHED : ERR_LOST;
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

#define PIECES (2 + 2 * CHAN_SEGS)

struct gather {				/* a message: pieces to be copied one after the other */
	struct seg piece[PIECES];
	unsigned n, at;
	size_t off, left;
	unsigned char table[8 + 8 * CHAN_SEGS];
};

static void
piece(struct gather *g, const void *p, size_t n, bool pad)
{
	static const unsigned char zero[8];

	g->piece[g->n++] = (struct seg){ p, n };
	g->left += n;
	if (pad && n & 7) {
		g->piece[g->n++] = (struct seg){ zero, 8 - (n & 7) };
		g->left += 8 - (n & 7);
	}
}

/* u32 bytes of values, u32 buffers, u64 for the length of each; values; buffers, each at a multiple of 8 */
static int
gather(struct gather *g, const struct payload *p)
{
	g->n = g->at = 0;
	g->off = g->left = 0;
	if (p->nseg > CHAN_SEGS || p->n > UINT32_MAX)
		return ERR_VALUE;
	if (p->nseg) {
		le_put32(g->table, (uint32_t)p->n);
		le_put32(g->table + 4, p->nseg);
		for (unsigned i = 0; i < p->nseg; i++)
			le_put64(g->table + 8 + 8 * i, p->seg[i].n);
		piece(g, g->table, 8 + 8 * (size_t)p->nseg, false);
	}
	piece(g, p->p, p->n, p->nseg > 0);
	for (unsigned i = 0; i < p->nseg; i++)
		piece(g, p->seg[i].p, p->seg[i].n, i + 1 < p->nseg);
	return 0;
}

static void
copy_out(struct gather *g, unsigned char *to, size_t n)
{
	g->left -= n;
	while (n > 0) {
		const struct seg *s = &g->piece[g->at];
		size_t k = s->n - g->off < n ? s->n - g->off : n;

		if (k)
			memcpy(to, (const unsigned char *)s->p + g->off, k);
		to += k;
		n -= k;
		if ((g->off += k) == s->n) {
			g->at++;
			g->off = 0;
		}
	}
}

static inline int
send_ready(const struct client_chan *ch)
{
	int e = client_chan_peer(ch);

	return e < 0 ? e : ch->e.shm ? 0 : ERR_CLOSED;
}

int
client_chan_put(struct client_chan *ch, const struct payload *p, unsigned tag)
{
	struct gather g;
	int64_t room;
	int e;

	if (p->nvals > UINT16_MAX || ch->partial)
		return ERR_VALUE;
	if ((e = send_ready(ch)) < 0)
		return e;
	tag |= p->nvals;
	if (p->nseg == 0) {
		if ((ch->need = p->n) > chan_longest(&ch->e)) {
			ch->need = 1;
			return 0;
		}
		if ((room = chan_room(&ch->e, p->n, false)) <= 0)
			return (int)room;
		if (p->n)
			memcpy(chan_fill(&ch->e), p->p, p->n);
		chan_publish(&ch->e, p->n, tag, false);
	} else {
		if ((e = gather(&g, p)) < 0)
			return e;
		if ((ch->need = g.left) > chan_longest(&ch->e)) {
			ch->need = 1;
			return 0;
		}
		if ((room = chan_room(&ch->e, g.left, false)) <= 0)
			return (int)room;
		ch->need = g.left;
		copy_out(&g, chan_fill(&ch->e), g.left);
		chan_publish(&ch->e, ch->need, tag | CHAN_OOB, false);
	}
	ring_peer(ch);
	return 1;
}

int
client_chan_send(struct client_chan *ch, const struct payload *p, unsigned tag,
    int (*wait)(struct client_chan *ch, void *arg), void *arg)
{
	struct gather g;
	size_t longest = chan_longest(&ch->e), least;
	int e = client_chan_put(ch, p, tag);

	if (e != 0)
		return e < 0 ? e : 0;
	if ((e = gather(&g, p)) < 0)
		return e;
	if (p->nseg)
		tag |= CHAN_OOB;
	least = longest / 4;			/* parts are not cut smaller than this */
	while (g.left > 0 || !ch->partial) {
		int64_t room;
		size_t k;
		bool whole = !ch->partial && g.left <= longest;

		ch->need = whole ? g.left : g.left < least ? g.left : least;
		if ((e = send_ready(ch)) < 0 || (room = chan_room(&ch->e, ch->need, false)) < 0)
			return e < 0 ? e : ERR_PROTO;
		if (room == 0) {
			if ((e = wait(ch, arg)) < 0)
				return e;
			continue;
		}
		k = g.left < (size_t)room ? g.left : (size_t)room;
		copy_out(&g, chan_fill(&ch->e), k);
		ch->partial = g.left > 0;
		chan_publish(&ch->e, k, tag | p->nvals, ch->partial);
		ring_peer(ch);
		if (!ch->partial)
			return 0;
	}
	return 0;
}

bool
client_chan_partial(const struct client_chan *ch)
{
	return ch->partial;
}

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
	if (buf_add(&ch->copy, m.p, m.n) < 0)
		return -ENOMEM;
	if (!m.more && !(h = malloc(sizeof *h)))
		return -ENOMEM;
	chan_taken(&ch->e, &m);
	ring_peer(ch);
	if ((ch->partial = m.more))
		return 0;
	h->b = ch->copy;
	h->tag = m.tag;
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
client_chan_done(struct client_chan *ch)
{
	if (ch->at.p && ch->at.more) {
		held_free(ch);
	} else if (ch->at.p) {
		chan_taken(&ch->e, &ch->at);
		ring_peer(ch);
	}
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

		while (drainable(ch))
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

/* --- waiting ----------------------------------------------------------------------------------------------------- */

bool
client_chan_ready(struct client_chan *ch)
{
	if (ch->reader ? ch->at.p || !list_empty(&ch->held) || chan_ready(&ch->e) : ch->need != UINT64_MAX && chan_room(&ch->e, ch->need, false) != 0)
		return true;
	return chan_over(peer_side(ch)) != 0;
}

void
client_chan_rest(struct client_chan *ch)
{
	ch->need = UINT64_MAX;
}

bool
chans_glance(const struct client *c)
{
	for (unsigned i = 0; i < c->nwatch; i++)
		if (client_chan_ready(c->watch[i]))
			return true;
	return false;
}

bool
chans_elsewhere(const struct client *c, uint32_t cpu)
{
	for (unsigned i = 0; i < c->nwatch; i++) {
		uint32_t b = atomic_load_explicit(&peer_side(c->watch[i])->bell, memory_order_relaxed) - 1;

		if (b < NODEPAGE_BELLS && atomic_load_explicit(&c->np->bell[b].cpu, memory_order_relaxed) != cpu)
			return true;
	}
	return false;
}

void
client_chan_watch(struct client *c, struct client_chan *const *v, unsigned n)
{
	c->watch = v;
	c->nwatch = n;
}

static bool
watched(struct client *c, void *arg)
{
	return chans_glance(c) || (arg && c->upsets != *(const uint64_t *)arg);
}

int
client_chan_wait(struct client *c, struct client_chan *const *v, unsigned n, uint64_t deadline, const uint64_t *upsets)
{
	struct client_chan *const *old = c->watch;
	unsigned nold = c->nwatch;
	int e = 0;

	client_chan_watch(c, v, n);
	if (!chans_glance(c) && !(wait_spin(c) && chans_glance(c)))
		e = wait_until(c, watched, (void *)(uintptr_t)upsets, deadline);
	client_chan_watch(c, old, nold);
	return e;
}

uint64_t
client_upsets(struct client *c)
{
	uint64_t n;

	lock_take(&c->lock);
	n = c->upsets;
	lock_drop(&c->lock);
	return n;
}
