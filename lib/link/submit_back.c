/*
 * submit_back - what a worker here did for a process of another node, back to it.
 *
 * A value that fits a frame goes along and is freed here; a larger one stays, and becomes the node's to place and to give
 * to who asks for it (bulk.c).
 */
#include <stdlib.h>
#include <string.h>
#include "link/inner.h"
#include "link/packed.h"
#include "store/arena.h"
#include "wire/le.h"
#include "wire/val.h"

static void
free_object(struct submit *s, uint64_t off)
{
	uint32_t slot = RING_FREE | (uint32_t)(off / 64);

	if (ring_unclaimed(&s->ring, RING_WORDS) < RING_WORDS) {
		ring_push(&s->ring, slot);
		s->rung = true;
	} else
		buf_add(&s->frees, &slot, sizeof slot);
}

int
submit_error(struct submit *s, uint32_t slot, int code, const char *why)
{
	struct packed_done d = { .slot = slot, .kind = DONE_HERE, .flags = DONE_ERROR, .nvals = 1 };
	struct buf b = BUF_INIT;
	int e = val_error(&b, code, why, NULL, NULL, 0, NULL);

	d.bytes = b.data;
	d.n = (uint32_t)b.len;
	if (e == 0)
		e = packed_done_put(&s->out, &d);
	buf_release(&b);
	return e;
}

/* a value that stays here until somebody fetches it: its size, and the references in it */
static int
stays(struct submit *s, const struct done *d, const struct obj_view *v, struct buf *b)
{
	unsigned char head[PACKED_STAYS];
	int n = 0, e = buf_add(b, head, sizeof head);

	if (e == 0 && d->flags & DONE_REFS && (n = val_collect_refs(b, v->head, v->headlen, d->nvals)) < 0)
		e = n;
	if (e < 0 || b->len > PACKED_VALUES || n > UINT16_MAX || (e = bulk_made(s->l, v)) < 0)
		return e < 0 ? e : ERR_FULL;
	le_put64(b->data, v->size);
	le_put16(b->data + 8, (uint16_t)n);
	return 0;
}

/* one completion, d a private copy: 0, ERR_PROTO: the worker cannot be believed */
static int
done(struct submit *s, const struct done *d)
{
	struct packed_done o = { .ret = d->ret, .ns = d->ns, .nvals = d->nvals, .n = d->len, .kind = DONE_HERE,
	    .flags = d->flags & (DONE_ERROR | DONE_REFS | DONE_PART | DONE_RETRY) };
	struct rec *r = submit_mine(s, d->slot);
	struct rec_where at = { 0 };
	unsigned char ids[16 * PACKED_KEPT];
	struct buf away = BUF_INIT;
	struct obj_view v;
	size_t kept = 0;
	int e = 0;

	if (r == NULL)
		return ERR_PROTO;
	o.slot = r->link;
	switch (d->kind) {
	case DONE_NONE:
		o.kind = DONE_NONE;
		o.n = 0;
		break;
	case DONE_HERE:
		if (d->len > sizeof d->inl)
			return ERR_PROTO;
		o.bytes = d->inl;
		break;
	case DONE_BLOCK:
		if (d->len > REC_BLOCK_MAX || (o.bytes = peerslab_at(&s->slab, d->unit, d->len)) == NULL)
			return ERR_PROTO;
		kept = (d->len + 7u) & ~7u;
		break;
	case DONE_ARENA:
		memcpy(&at, d->inl, sizeof at);
		if (arena_view(s->l->o.arena, at.off, at.gen, &v) < 0)
			return ERR_PROTO;
		if (v.nbuf == 0 && v.headlen <= PACKED_VALUES) {
			o.bytes = v.head;
			o.n = (uint32_t)v.headlen;
		} else if (s->peer && stays(s, d, &v, &away) == 0) {
			o.kind = DONE_AWAY;
			o.bytes = away.data;
			o.n = (uint32_t)away.len;
			at.off = 0;
		}
		break;
	default:
		return ERR_PROTO;
	}
	if (d->flags & DONE_KEPT) {
		const unsigned char *p = peerslab_at(&s->slab, d->unit, kept + 4 + sizeof ids);

		if (p == NULL)
			return ERR_PROTO;
		o.nkept = (uint16_t)(le_get32(p + kept) < PACKED_KEPT ? le_get32(p + kept) : PACKED_KEPT);
		memcpy(ids, p + kept + 4, 16 * (size_t)o.nkept);
		o.kept = ids;
	}
	if (o.bytes == NULL && o.kind == DONE_HERE)
		e = submit_error(s, r->link, ERR_VALUE, "values of more than 60 KiB that hold a thousand references do not come from other nodes");
	else if ((e = packed_done_put(&s->out, &o)) == 0 && o.flags & DONE_REFS && o.kind == DONE_HERE)
		e = val_unplace_refs(s->out.data + s->out.len - o.n - 16 * (size_t)o.nkept, o.n, o.nvals);
	buf_release(&away);
	if (at.off)
		free_object(s, at.off);
	if (!(o.flags & DONE_PART))
		submit_untake(s, d->slot);
	return e < 0 ? ERR_PROTO : 0;
}

static bool
completions(struct submit *s)
{
	struct done *p;
	bool any = false;

	while ((p = ring_completion(&s->ring)) != NULL) {
		struct done d;

		memcpy(&d, (const void *)p, sizeof d);
		ring_take(&s->ring);
		any = true;
		if (done(s, &d) < 0) {
			atomic_fetch_or(&s->ring.shm->dead, RING_DEAD_WORKER);
			break;
		}
	}
	if (any && ring_tell(&s->ring))
		s->rung = true;
	return any;
}

static void
frees_again(struct submit *s)
{
	size_t n = 0;

	for (; n < s->frees.len && ring_unclaimed(&s->ring, RING_WORDS) < RING_WORDS; n += 4) {
		uint32_t slot;

		memcpy(&slot, s->frees.data + n, 4);
		ring_push(&s->ring, slot);
		s->rung = true;
	}
	buf_drop(&s->frees, n);
}

void
submit_send(struct submit *s)
{
	struct buf b = BUF_INIT;

	if (s->out.len && s->peer)
		peer_put(s->peer, msg_put_far_dones(&b, &(struct msg_far_dones){ .ring = s->number, .dones = span_of(s->out.data, s->out.len) }), &b);
	s->out.len = 0;
}

bool
submit_look(struct submit *s)
{
	const struct ring_shm *g = s->ring.shm;
	unsigned want = atomic_load_explicit(&g->want, memory_order_relaxed);
	unsigned blocked = atomic_load_explicit(&g->blocked, memory_order_relaxed);
	bool any = false;
	struct buf b = BUF_INIT;

	if (s->peer && peer_busy(s->peer))
		s->l->resting = true;
	else
		any = completions(s);

	if (s->frees.len)
		frees_again(s);
	if (want != s->want || blocked != s->blocked) {
		if (want || blocked)
			submit_takeback(s);
		submit_send(s);
		s->want = want;
		s->blocked = blocked;
		any = true;
		if (s->peer)
			peer_put(s->peer, msg_put_far_ring(&b, &(struct msg_far_ring){ .ring = s->number, .want = want, .blocked = blocked }), &b);
	}
	submit_send(s);
	if (s->rung)
		link_ring(s->l, s->bell);
	s->rung = false;
	return any;
}

/* before it is freed: all that the worker did, and what it never began */
void
submit_last(struct submit *s)
{
	completions(s);
	submit_takeback(s);
	submit_send(s);
}

bool
submit_done(struct submit *s)
{
	completions(s);
	s->out.len = 0;
	return s->n == 0;
}
