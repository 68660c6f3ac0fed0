#include "client/chan_inner.h"
#include "wire/le.h"

#define PIECES (2 + 2 * CHAN_SEGS)

uint64_t client_chan_longest = UINT64_C(1) << 32;

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
	if (p->flags & PAYLOAD_REFS)
		return 0;
	tag |= p->nvals;
	if (p->nseg == 0) {
		if (p->n >= CHAN_STORE)
			return 0;
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
		if (g.left >= CHAN_STORE)
			return 0;
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

/* in as many parts as it takes */
static int
send_parts(struct client_chan *ch, const struct payload *p, unsigned tag, chan_waiter *wait, void *arg)
{
	struct gather g;
	size_t longest = chan_longest(&ch->e), least;
	int e;

	if ((e = gather(&g, p)) < 0)
		return e;
	if (g.left > client_chan_longest)
		return ERR_VALUE;
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

static bool
is_long(const struct payload *p)
{
	uint64_t n = p->n;

	for (unsigned i = 0; i < p->nseg; i++)
		n += p->seg[i].n;
	return n >= CHAN_STORE;
}

/* what it refers to is held here from now on; what is long is in the store */
static int
send_held(struct client_chan *ch, const struct payload *p, unsigned tag, chan_waiter *wait, void *arg)
{
	struct payload q;
	int e = chan_hold(ch, p, &tag, &q);

	if (e == ERR_FULL && !(p->flags & PAYLOAD_REFS))
		return send_parts(ch, p, tag, wait, arg);
	if (e < 0)
		return e;
	ch->await = chan_afford(ch);
	ch->need = 1;
	while (e == 0 && chan_taken_count(ch) < ch->await)
		if ((e = send_ready(ch)) == 0)
			e = wait(ch, arg);
	ch->await = 0;
	if (e == 0 && (e = send_parts(ch, &q, tag, wait, arg)) == 0)
		chan_sent(ch);
	else
		chan_unsent(ch);
	return e;
}

int
client_chan_send(struct client_chan *ch, const struct payload *p, unsigned tag, chan_waiter *wait, void *arg)
{
	int e = client_chan_put(ch, p, tag);

	if (e != 0)
		return e < 0 ? e : 0;
	ch->await = 0;
	return p->flags & PAYLOAD_REFS || is_long(p) ? send_held(ch, p, tag, wait, arg) : send_parts(ch, p, tag, wait, arg);
}

bool
client_chan_partial(const struct client_chan *ch)
{
	return ch->partial;
}
