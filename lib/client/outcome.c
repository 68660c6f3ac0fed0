/*
 * outcome - the end of a task in its worker: references are handed over, then the completion is published.
 * A worker whose node is gone, or may be given up, is about to be killed and publishes nothing: it might be an error that is only of that.
 */
#include "base/grow.h"
#include "client/inring.h"
#include "client/serve.h"
#include "wire/le.h"

#define KEPT_MAX 64u			/* references in one completion */

/* --- publishing ---------------------------------------------------------------------------------------------- */

static void
publish_l(struct client *c, struct inring *g, const struct done *d)
{
	struct done *p = ring_next_done(&g->ring);
	uint32_t *block = &g->block[g->ring.dtail % RING_DONES];

	if (*block)				/* its completion was consumed: there is room again */
		slab_free(&c->slab, *block);
	*block = d->kind == DONE_BLOCK || d->flags & DONE_KEPT ? d->unit : 0;
	memcpy((char *)p + sizeof p->seq, (const char *)d + sizeof d->seq, sizeof *d - sizeof d->seq);
	ring_publish(&g->ring);
	__builtin_prefetch(ring_next_done(&g->ring), 1);
	bell_ring(c->np, g->bell);
}

void
inring_flush_l(struct client *c, struct inring *g)
{
	unsigned n = 0;

	if (inring_fenced_l(c, 0))
		return;
	while (n < g->npend && ring_room(&g->ring) > 0)
		publish_l(c, g, &g->pend[n++]);
	memmove(g->pend, g->pend + n, (g->npend - n) * sizeof *g->pend);
	g->npend -= n;
	c->held -= n;
}

void
serve_held_l(struct client *c)
{
	for (struct inring *g = inring_first(c); g; g = inring_next(g))
		if (g->npend)
			inring_flush_l(c, g);
}

static int
send_l(struct client *c, struct inring *g, const struct done *d)
{
	struct done *v;

	if (g->npend)
		inring_flush_l(c, g);
	if (g->npend == 0 && ring_room(&g->ring) > 0) {
		publish_l(c, g, d);
		return 0;
	}
	if (!(v = grow(g->pend, &g->cappend, g->npend, sizeof *v)))
		return -ENOMEM;
	g->pend = v;
	c->held++;
	g->pend[g->npend++] = *d;
	return 0;
}

/* --- outcomes ---------------------------------------------------------------------------------------------------- */

struct giving {
	struct client *c;
	uint32_t to;
	struct id owner;		/* the same as ids have it */
};

/* a reference in a result: its owner is told about the receiver before the result is published */
static int
give_one(void *arg, const struct wref *w, bool valref)
{
	struct giving *g = arg;
	struct client *c = g->c;
	struct rec *r = rec_of_l(c, w);

	(void)valref;
	if (!r || (w->id.proc == g->owner.proc && w->id.node == g->owner.node))
		return 0;			/* the receiver's own */
	if (!(r->flags & REC_BORROWED))
		return holder_add_l(c, r, g->to);
	hold_for_l(c, r, g->to);
	return 0;
}

static bool
all_held(struct client *c, void *arg)
{
	(void)arg;
	return c->helds == 0;
}

/* is entry i of the fresh ones the task's, and still referred to?  Its record, and the entry is done with */
static struct rec *
fresh_take_l(struct client *c, unsigned i)
{
	struct side *s = map_get(&c->side, c->fresh[i].unit);
	struct rec *r = slab_at(&c->slab, c->fresh[i].unit);

	if (!s || !s->fresh)
		return NULL;
	s->fresh = false;
	return r->flags & REC_BORROWED && r->count && !s->registered ? r : NULL;
}

/*
 * What came with the task's arguments and this worker still refers to: the ids of at most KEPT_MAX go with the
 * completion, at p; owners are told directly about more.
 */
static unsigned
kept_l(struct client *c, const struct task_in *t, unsigned char *p, unsigned max)
{
	unsigned n = 0, left = 0;

	for (size_t i = 0; i < c->nfresh; i++) {
		struct fresh f = c->fresh[i];
		struct side *s;
		struct rec *r;

		if (f.proc != t->proc || f.seq != t->rec.seq) {
			c->fresh[left++] = f;	/* of a task that is suspended */
			continue;
		}
		if (n == max) {
			struct rec *q = fresh_take_l(c, i);

			if (q)
				hold_self_l(c, q);
			continue;
		}
		if (!(r = fresh_take_l(c, i)))
			continue;
		s = side_find_l(c, r);
		s->registered = 1;
		le_put32(p, s->id.node);
		le_put32(p + 4, s->id.proc);
		le_put64(p + 8, s->id.seq);
		p += 16;
		n++;
	}
	c->nfresh = left;
	return n;
}

/* all that must be told, and answered, before the completion is published */
static void
hold_first(struct client *c, struct task_in *t, const struct payload *p, bool part)
{
	struct giving g = { c, t->proc, t->owner };

	lock_take(&c->lock);
	if (p->flags & PAYLOAD_REFS && t->from) {
		val_walk_refs(p->p, p->n, p->nvals, give_one, &g);
		actors_give_l(c, p, t->proc);
	}
	if (!part && c->nfresh > (t->from ? KEPT_MAX : 0)) {
		unsigned char none[1];

		kept_l(c, t, none, 0);
	}
	if (c->holds.len)
		link_holds_l(c);
	lock_drop(&c->lock);
	if (c->nheld && !c->serving)
		service_start(c);		/* who owns what others hold answers at any time */
	while (c->helds && wait_until(c, all_held, NULL, WAIT_FOREVER) == -EINTR)
		;
}

static int
fill_l(struct client *c, struct done *d, const struct payload *p, const struct rec_where *w, unsigned nkept,
    const unsigned char *kept)
{
	size_t at = 0, n = 0;
	unsigned char *q;

	d->len = (uint32_t)p->n;
	d->nvals = (uint16_t)p->nvals;
	if (w->off) {
		d->kind = DONE_ARENA;
		memcpy(d->inl, w, sizeof *w);
	} else if (p->n <= sizeof d->inl) {
		d->kind = p->nvals ? DONE_HERE : DONE_NONE;
		if (p->n)
			memcpy(d->inl, p->p, p->n);
	} else {
		d->kind = DONE_BLOCK;
		n = at = (p->n + 7) & ~(size_t)7;
	}
	if (nkept)
		n += 4 + 16 * (size_t)nkept;
	if (n == 0)
		return 0;
	if (!(d->unit = slab_alloc(&c->slab, n)))
		return -ENOMEM;
	q = slab_at(&c->slab, d->unit);
	if (at)
		memcpy(q, p->p, p->n);
	if (nkept) {
		d->flags |= DONE_KEPT;
		le_put32(q + at, nkept);
		memcpy(q + at + 4, kept, 16 * (size_t)nkept);
	}
	return 0;
}

static int
own_value_l(struct client *c, struct rec *k, const struct payload *p, const struct rec_where *w)	/* a value of our own making */
{
	if (p->flags & PAYLOAD_REFS)
		refs_retain_l(c, p->p, p->n, p->nvals);
	if (!w->off)
		return rec_set_l(c, k, p->p, p->n, p->nvals, p->flags);
	memcpy(k->inl, w, sizeof *w);
	k->kind = REC_ARENA;
	k->link = 0;
	k->nvals = (uint16_t)p->nvals;
	k->flags |= p->flags & PAYLOAD_REFS ? REC_REFS : 0;
	return 0;
}

/* our own task ran here: its record gets the outcome directly */
static int
own_done_l(struct client *c, struct task_in *t, const struct payload *p, const struct rec_where *w, uint32_t ret,
    bool part)
{
	struct rec *r = slab_at(&c->slab, t->slot), *k = r;
	struct side *s = side_find_l(c, r);
	int e = 0;

	if (!part && p->flags & PAYLOAD_ERROR && fn_of(c, r->fn)->opts.retry_on & (RETRY_ERROR | RETRY_ASK) &&
	    again_l(c, r, p->flags & PAYLOAD_RETRY ? RETRY_RAISED : RETRY_REFUSED)) {
		c->running--;
		return 0;
	}
	if (part) {
		if (!s || ret == 0 || ret > s->nchild)
			return 0;
		k = slab_at(&c->slab, s->child[ret - 1]);
	} else {
		task_end_l(c, r);
		c->running--;
		if (r->flags & REC_CANCEL && cancel_end_l(c, r, p->flags & PAYLOAD_ERROR)) {
			if (w->off)
				mem_free_l(c, w);
			rec_unref_l(c, r);
			return 0;
		}
	}
	e = own_value_l(c, k, p, w);
	if (!part)
		children_end_l(c, r);
	rec_ready_l(c, k);
	rec_unref_l(c, k);
	return e;
}

int
serve_done(struct client *c, struct task_in *t, const struct payload *p, uint32_t ret, bool part)
{
	unsigned char kept[16 * KEPT_MAX];
	struct done d = { .slot = t->slot, .ret = ret };
	struct rec_where w = { 0 };
	unsigned nkept = 0;
	bool lk;
	int e = 0;

	serve_flush();			/* what it printed comes before what it made */
	if (p->nseg || p->n > REC_BLOCK_MAX) {
		struct id id = { t->owner.node, t->owner.proc, (t->rec.seq & ~(uint64_t)ID_RET_MAX) | ret };

		if ((e = mem_put(c, id, t->slot, p, &w)) < 0)
			return e;
	}
	if (p->flags & PAYLOAD_REFS || c->nfresh || c->helds || c->holds.len)
		hold_first(c, t, p, part);
	lk = c->serving;
	if (lk)
		lock_take(&c->lock);
	if (c->nfresh && !part)
		nkept = kept_l(c, t, kept, KEPT_MAX);
	if (!t->from) {
		e = own_done_l(c, t, p, &w, ret, part);
	} else {
		d.flags = (p->flags & PAYLOAD_ERROR ? DONE_ERROR : 0) | (p->flags & PAYLOAD_REFS ? DONE_REFS : 0) |
		    (part ? DONE_PART : 0) | (p->flags & PAYLOAD_RETRY ? DONE_RETRY : 0);
		if (!part) {
			uint64_t end = clock_ns(), ns = end - t->start;

			c->ended = end;

			d.ns = ns > UINT32_MAX ? UINT32_MAX - 1 : ns ? (uint32_t)ns : 1;
		}
		if ((e = fill_l(c, &d, p, &w, nkept, kept)) == 0 && !t->from->gone && !inring_fenced_l(c, part ? 0 : c->ended))
			e = send_l(c, t->from, &d);
		if (!part)
			inring_done_l(c, t->from);
	}
	if (!part)
		page_count(c->page, CNT_RUN, 1);
	if (lk)
		lock_drop(&c->lock);
	return e;
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

bool
serve_item_gone(const struct task_in *t)
{
	return t->from && (t->from->gone || atomic_load_explicit(&t->from->ring.shm->dead, memory_order_relaxed));
}

bool
serve_item_room(struct task_in *t)
{
	const struct rec_stream *s = t->stream;

	if (serve_item_old(t) || serve_item_gone(t))
		return true;
	if (t->item - t->taken >= t->backlog || t->bytes - t->taken_bytes >= s->backlog_bytes) {	/* as we saw it last */
		t->taken = atomic_load_explicit(&s->taken, memory_order_acquire);
		t->taken_bytes = atomic_load_explicit(&s->taken_bytes, memory_order_relaxed);
		if (t->item - t->taken >= t->backlog ||
		    (t->item != t->taken && t->bytes - t->taken_bytes >= s->backlog_bytes))
			return false;
	}
	return !t->from || (t->from->npend == 0 && ring_room(&t->from->ring) > 0);
}

/* the consumer is this very process */
static int
own_item_l(struct client *c, struct task_in *t, const struct payload *p, const struct rec_where *w)
{
	struct rec *r = slab_at(&c->slab, t->slot), *k;
	struct side *s = side_find_l(c, r);
	int e = 0;

	if (!s || !s->stream || r->state == REC_READY || stream_closed(s->stream) || !(k = stream_slot_l(c, r, s->stream))) {
		if (w->off)
			mem_free_l(c, w);
		return 0;
	}
	e = own_value_l(c, k, p, w);
	stream_filled_l(c, s->stream, k);
	return e;
}

int
serve_item(struct client *c, struct task_in *t, const struct payload *p)
{
	struct done d = { .slot = t->slot, .ret = (uint32_t)++t->item, .flags = DONE_PART };
	struct rec_where w = { 0 };
	bool lk;
	int e = 0;

	if (p->nseg || p->n > REC_BLOCK_MAX) {		/* numbers end before streams do: the last one but one is that of all others */
		uint64_t ret = t->item < ID_RET_MAX ? t->item : ID_RET_MAX - 1;
		struct id id = { t->owner.node, t->owner.proc, (t->rec.seq & ~(uint64_t)ID_RET_MAX) | ret };

		lock_take(&c->lock);
		if (t->from)			/* items that were made use of: their room is for the next ones */
			inring_frees_l(c, t->from);
		lock_drop(&c->lock);
		if ((e = mem_put(c, id, t->slot, p, &w)) < 0)
			return e;
		t->bytes += w.size;
	}
	if (p->flags & PAYLOAD_REFS || c->helds || c->holds.len)
		hold_first(c, t, p, true);
	lk = c->serving;
	if (lk)
		lock_take(&c->lock);
	if (!t->from) {
		e = own_item_l(c, t, p, &w);
	} else {
		d.flags |= p->flags & PAYLOAD_REFS ? DONE_REFS : 0;
		if ((e = fill_l(c, &d, p, &w, 0, NULL)) == 0 && !t->from->gone && !inring_fenced_l(c, 0))
			e = send_l(c, t->from, &d);
	}
	if (lk)
		lock_drop(&c->lock);
	return e;
}

void
serve_rooms(struct client *c, unsigned n, bool (*room)(void *arg), void *arg)
{
	c->nroom = n;
	c->room = room;
	c->room_arg = arg;
}
