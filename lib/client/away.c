/*
 * away - objects that the node may move, and looking at what lies in the arena.
 *
 * The node frees room by moving objects to its disk; it asks the owner first.  We say yes to what nobody here looks at:
 * from then on the record is REC_AWAY, its place a hint, the references in it are kept beside,
 * and the node frees the object when we FORGET it.  No word about it can be on its way to its maker any more.
 *
 * Who looks at an object counts in rec.link.  An object of our own that is not AWAY stays where it is meanwhile, because we
 * say no; any other is pinned in our status page.
 */
#include <stdio.h>
#include "client/inner.h"
#include "wire/le.h"

/* --- what the node asks --------------------------------------------------------------------------------------- */

static struct rec *
at_slot(const struct client *c, uint32_t slot)		/* a record of ours that may lie there, or NULL */
{
	size_t chunk = (size_t)slot * SLAB_UNIT / SLAB_CHUNK;

	if (slot == 0 || slot >= c->slab.next || !c->slab.chunk_class || c->slab.chunk_class[chunk] != 1)
		return NULL;
	return slab_at(&c->slab, slot);
}

/* slot is a hint: of the record, or of the task whose return it is */
static struct rec *
find_l(struct client *c, uint64_t seq, uint32_t slot)
{
	struct wref w = { .id = { (uint32_t)c->me.node, (uint32_t)c->me.proc, seq } };
	struct rec *r = at_slot(c, slot);
	uint64_t ret = seq & ID_RET_MAX;
	struct side *s;

	if (r && r->state != REC_FREE && !(r->flags & REC_BORROWED)) {
		if (r->seq == seq)
			return r;
		if (r->seq == seq - ret && (s = side_find_l(c, r)) && ret <= s->nchild)
			return slab_at(&c->slab, s->child[ret - 1]);
	}
	r = rec_of_l(c, &w);
	return r && !(r->flags & REC_BORROWED) ? r : NULL;
}

bool
away_known_l(struct client *c, uint64_t seq, uint32_t slot)
{
	return slot == 0 || (seq & ID_RET_MAX) == ID_RET_MAX || find_l(c, seq, slot) != NULL;
}

static struct rec_where
where(const struct rec *r)
{
	struct rec_where w;

	memcpy(&w, r->inl, sizeof w);
	return w;
}

static bool
may_move(const struct rec *r, uint64_t off)
{
	struct rec_where w;

	if (r->state != REC_READY || r->kind < REC_ARENA)
		return false;
	memcpy(&w, r->inl, sizeof w);
	return r->kind == REC_AWAY || (w.off == off && r->link == 0);
}

/* what holds references is not here to be read when it is freed: they are kept beside */
static bool
keep_refs_l(struct client *c, struct rec *r)
{
	const unsigned char *p;
	struct buf b = BUF_INIT;
	struct obj_view v;
	int e = -ENOMEM;
	size_t n;

	if (r->kind == REC_AWAY || !(r->flags & REC_REFS))
		return true;
	if ((p = rec_bytes_l(c, r, &v, &n)) && (e = val_collect_refs(&b, p, n, r->nvals)) >= 0)
		e = rec_inside_l(c, r, b.data, b.len, (unsigned)e);
	buf_release(&b);
	return e >= 0;
}

/* another node is to have it, wherever it lies: who looks at it here goes on doing so */
static bool
may_leave_l(struct client *c, struct rec *r)
{
	return r->state == REC_READY && r->kind == REC_ARENA && view_pin_l(c, r) == 0 && keep_refs_l(c, r);
}

void
away_asked_l(struct client *c, const struct msg_evict *m)
{
	struct buf yes = BUF_INIT, no = BUF_INIT;

	for (size_t i = 0; i + 20 <= m->objects.n; i += 20) {
		const unsigned char *p = m->objects.p + i;
		struct rec *r = find_l(c, le_get64(p), le_get32(p + 16));
		unsigned char at[16];

		if (r && le_get64(p + 8) == 0 && may_leave_l(c, r)) {
			memcpy(at, p, 8);
			le_put64(at + 8, where(r).off);
			if (buf_add(&yes, at, sizeof at) == 0)
				r->kind = REC_AWAY;
		} else if (r && le_get64(p + 8) && may_move(r, le_get64(p + 8)) && keep_refs_l(c, r)) {
			if (buf_add(&yes, p, 16) == 0)
				r->kind = REC_AWAY;
		} else {
			buf_add(&no, p, 8);
		}
	}
	LINK_SEND(c, evictable, .objects = span_of(yes.data, yes.len), .refused = span_of(no.data, no.len));
	buf_release(&yes);
	buf_release(&no);
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

static int
pin_l(struct client *c, struct rec *r)
{
	struct side *s = side_l(c, r);
	struct rec_where w = where(r);
	int slot;

	if (!s)
		return -ENOMEM;
	if (s->pinned)
		return 0;
	while ((slot = arena_pin(&c->arena, c->page->pin, PAGE_PINS - 1, &c->pin_hint, w.off, w.gen)) == -ENOSPC) {
		if (c->unpinned++ == 0)			/* no slot: nothing at all may be evicted while we look */
			atomic_store(&c->page->pin[PAGE_PINS - 1], PIN_ALL);
		atomic_thread_fence(memory_order_seq_cst);
		slot = -1;
		break;
	}
	if (slot < -1)
		return ERR_LOST;
	s->pin = slot;
	s->pinned = true;
	return 0;
}

static void
unpin_l(struct client *c, struct side *s)
{
	if (!s->pinned)
		return;
	s->pinned = false;
	if (s->pin >= 0)
		pin_drop(c->page->pin, &c->pin_hint, s->pin);
	else if (--c->unpinned == 0)
		atomic_store(&c->page->pin[PAGE_PINS - 1], 0);
}

int
view_pin_l(struct client *c, struct rec *r)
{
	return r->link ? pin_l(c, r) : 0;
}

int
view_take_l(struct client *c, struct rec *r, struct obj_view *v)
{
	bool ours = r->kind == REC_ARENA && !(r->flags & REC_BORROWED);
	struct rec_where w = where(r);
	int e;

	if (!ours && (e = pin_l(c, r)) < 0)
		return e;
	if (arena_view(&c->arena, w.off, w.gen, v) < 0 || !id_eq(v->id, rec_id(c, r))) {
		if (!ours && r->link == 0)
			unpin_l(c, side_find_l(c, r));
		return ERR_LOST;
	}
	if (r->flags & REC_BORROWED)
		r->nvals = v->flags & 0xfff;
	if (r->link++ == 0)
		uses_note(&c->page->uses, w.off, arena_now());
	return 0;
}

void
view_drop_l(struct client *c, struct rec *r)
{
	struct side *s;

	if (r->link && --r->link == 0 && (s = side_find_l(c, r)))
		unpin_l(c, s);
}

void
view_end_l(struct client *c, struct rec *r, struct side *s)
{
	if (r->state == REC_READY)
		r->link = 0;
	unpin_l(c, s);
}

/* --- back ------------------------------------------------------------------------------------------------------- */

int
away_restore(struct client *c, struct rec *r)
{
	struct msg_found m;
	struct request *rq;
	struct rec_where w;
	int e;

	lock_take(&c->lock);
	if (r->kind == REC_ARENA && !(r->flags & REC_BORROWED)) {
		lock_drop(&c->lock);
		return ERR_LOST;			/* nobody but us could move it */
	}
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, restore, .req = rq->req, .id = rec_id(c, r));
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	c->why_full[0] = '\0';
	do
		e = link_request(c, rq->req, WAIT_FOREVER, &rq);
	while (e == -EINTR);
	if (e == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, c->why_full, sizeof c->why_full);
	else if (e == 0 && (rq->type != MSG_FOUND_T || msg_get_found(&m, rq->body.data, rq->body.len) < 0))
		e = ERR_PROTO;
	if (e == 0) {
		lock_take(&c->lock);
		w = where(r);
		w.off = m.off;
		w.gen = (uint32_t)m.gen;
		w.size = m.size;
		memcpy(r->inl, &w, sizeof w);
		lock_drop(&c->lock);
	}
	link_done(c, rq);
	return e;
}

int
away_lost(struct client *c, struct rec *r)
{
	struct side *s;
	int e = ERR_LOST;

	lock_take(&c->lock);
	if (r->link || r->kind < REC_ARENA || r->state != REC_READY) {
		e = -EAGAIN;				/* another thread was here before us */
	} else if (!(r->flags & REC_BORROWED)) {
		lineage_lost_l(c, r, c->why_full[0] ? c->why_full : "the node has it no more");
		e = -EAGAIN;
	} else if ((s = side_l(c, r)) && s->lost++ < 3) {	/* its owner may know more */
		r->state = REC_PENDING;
		r->kind = REC_NONE;
		s->asked = true;
		LINK_SEND(c, route, .proc = s->id.proc, .kind = ROUTE_ASK, .id = s->id, .arg = 1, .node = s->id.node);
		e = -EAGAIN;
	}
	lock_drop(&c->lock);
	return e;
}
