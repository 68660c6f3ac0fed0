#include <stdio.h>
#include <unistd.h>
#include "client/chan_inner.h"

/* --- coming and going ---------------------------------------------------------------------------------------- */

static struct chan_side *
own_side(const struct client_chan *ch)
{
	return ch->reader ? &ch->e.shm->r : &ch->e.shm->w;
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
	list_init(&ch->owed);
	list_init(&ch->due);
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

		if (atomic_load(&peer_side(ch)->owner) != c->me.proc && !atomic_load(&ch->e.shm->kept))
			atomic_store(&peer_side(ch)->dead, CHAN_CRASHED);
	}
	c->echoed = c->echoes;			/* they are not heard any more */
	chans_held_l(c);
}

/* what only a present end has.  Its messages in the ring are another's, or nobody's */
static void
end_strip(struct client_chan *ch)
{
	while (!list_empty(&ch->held))
		chan_held_free(ch);
	list_del(&ch->drain);
	buf_release(&ch->copy);
}

static void
end_free_l(struct client_chan *ch)
{
	chan_forget_l(ch, true);
	list_del(&ch->link);
	chan_unmap(&ch->e);
	free(ch);
}

static void
end_free(struct client_chan *ch)
{
	struct client *c = ch->c;

	end_strip(ch);
	lock_take(&c->lock);
	end_free_l(ch);
	lock_drop(&c->lock);
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
		LINK_ASK(c, rq, chan_open, .req = rq->req, .chan = number, .end = reader);
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

void
chan_gone_l(struct client_chan *ch)
{
	if (ch->left == LEFT_CLOSED) {
		if (ch->reader) {
			atomic_store(&ch->e.shm->r.held, UINT64_MAX);
			ring_peer(ch);
		}
		closed_l(ch->c, ch->number, ch->reader);
	}
	end_free_l(ch);
}

/* the end is ours no more, but as long as it holds something for others it is kept in mind */
static void
leave_l(struct client_chan *ch, int how)
{
	chan_forget_l(ch, false);
	ch->left = how;
	if (list_empty(&ch->owed) && list_empty(&ch->due))
		chan_gone_l(ch);
}

uint64_t
client_chan_number(const struct client_chan *ch)
{
	return ch->number;
}

bool
client_chan_alone(const struct client_chan *ch)
{
	return atomic_load(&peer_side(ch)->owner) == 0;
}

int
client_chan_pass(struct client_chan *ch)
{
	struct client *c = ch->c;
	int e;

	if (ch->partial || ch->at.p || !list_empty(&ch->held))
		return -EBUSY;
	if ((e = chan_await_owners(ch)) < 0)	/* the next one to have the end speaks for all messages before */
		return e;
	end_strip(ch);
	lock_take(&c->lock);
	atomic_store(&own_side(ch)->owner, 0);
	leave_l(ch, LEFT_PASSED);
	lock_drop(&c->lock);
	return 0;
}

static void
last_words(struct client_chan *ch, const unsigned char *error, size_t n, bool refs)
{
	struct buf b = BUF_INIT;
	struct payload p;
	unsigned tag = CHAN_LAST | CHAN_ERROR;
	char text[512];
	int code;

	if (chan_step(n) > CHAN_SPARE) {
		if (val_error_text(error, n, text, sizeof text, &code) < 0 ||
		    val_error(&b, code, text, NULL, NULL, 0, NULL) < 0)
			goto out;
		error = b.data;
		n = b.len;
		refs = false;
	}
	p = (struct payload){ .p = error, .n = n, .nvals = 1, .flags = PAYLOAD_REFS };
	if (!ch->partial && chan_room(&ch->e, n, true) >= (int64_t)n && (!refs || chan_hold(ch, &p, &tag, &p) == 0)) {
		memcpy(chan_fill(&ch->e), p.p, p.n);
		chan_publish(&ch->e, p.n, tag | 1, false);
		if (refs)
			chan_sent(ch);
	}
out:
	buf_release(&b);
}

void
client_chan_close(struct client_chan *ch, const unsigned char *error, size_t n, bool refs)
{
	struct client *c = ch->c;

	if (c->lost) {
		end_free(ch);
		return;
	}
	if (error && !ch->reader)
		last_words(ch, error, n, refs);
	atomic_store(&own_side(ch)->closed, 1);
	ring_peer(ch);
	end_strip(ch);
	lock_take(&c->lock);
	leave_l(ch, LEFT_CLOSED);
	lock_drop(&c->lock);
}

int
client_chan_peer(const struct client_chan *ch)
{
	unsigned over = chan_over(peer_side(ch));

	return over == 0 ? 0 : over & 1 ? ERR_CLOSED : over >> 8 & CHAN_CRASHED ? ERR_CRASHED : ERR_LOST;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

bool
client_chan_ready(struct client_chan *ch)
{
	if (ch->reader ? ch->at.p || !list_empty(&ch->held) || chan_ready(&ch->e) : ch->need != UINT64_MAX &&
	    chan_taken_count(ch) >= ch->await && chan_room(&ch->e, ch->need, false) != 0)
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

struct watched {
	const uint64_t *upsets;
	struct waitset *set;
};

static bool
watched(struct client *c, void *arg)
{
	const struct watched *w = arg;

	return chans_glance(c) || (w->upsets && c->upsets != *w->upsets) || (w->set && !list_empty(&w->set->ready));
}

int
client_chan_wait(struct client *c, struct client_chan *const *v, unsigned n, uint64_t deadline, const uint64_t *upsets,
    struct waitset *set)
{
	struct client_chan *const *old = c->watch;
	unsigned nold = c->nwatch;
	int e = 0;

	client_chan_watch(c, v, n);
	if (!chans_glance(c) && !(wait_spin(c) && chans_glance(c)))
		e = wait_until(c, watched, &(struct watched){ upsets, set }, deadline);
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
