/*
 * stream - items of streaming tasks, from completions to whoever takes them.
 *
 * Plain small items are copied into a buffer, those with references or in the arena become records at once.  Two buffers
 * take turns, so that the consumer reads one without the lock while the other fills.
 */
#include "client/inner.h"
#include "client/inring.h"
#include "client/stream.h"

struct item {				/* in a buffer; bytes follow, padded to 8, or the unit of a record */
	uint32_t n;
	uint16_t nvals;
	uint16_t rec;
};

struct stream {
	uint32_t unit;			/* of the record of the call */
	uint32_t shm_unit;
	struct rec_stream *shm;
	struct buf in, out;		/* filled under the lock; read by the consumer */
	size_t at;			/* in out */
	uint64_t arrived, taken, bytes;	/* items; bytes: those in the arena that were taken */
	uint64_t told, step;		/* what the producer was told of taken, and how often it is */
	struct rec *head;		/* the next item, if somebody waits for it; ours to count */
	bool over;			/* no more will arrive */
	bool ended;			/* head is no item but the end */
	bool closed;			/* nobody takes any more */
};

/* --- arriving ------------------------------------------------------------------------------------------------- */

int
stream_new_l(struct client *c, struct rec *r, const struct fn *fn)
{
	struct side *s = side_l(c, r);
	struct rec_context *x = slab_at(&c->slab, r->ext);
	struct stream *st = calloc(1, sizeof *st);
	uint64_t bytes = c->arena.bytes / 8 < STREAM_BYTES ? c->arena.bytes / 8 : STREAM_BYTES;

	if (!s || !st || !(st->shm_unit = slab_alloc(&c->slab, sizeof *st->shm))) {
		free(st);
		return -ENOMEM;
	}
	st->unit = s->unit;
	st->shm = slab_at(&c->slab, st->shm_unit);
	memset(st->shm, 0, sizeof *st->shm);
	st->shm->backlog = fn->opts.backlog ? fn->opts.backlog : STREAM_BACKLOG;
	st->shm->backlog_bytes = bytes;
	st->step = (st->shm->backlog + 1) / 2;
	x->stream = st->shm_unit;
	s->stream = st;
	return 0;
}

static void
empty_l(struct client *c, struct buf *b, size_t at)
{
	while (at < b->len) {
		const struct item *i = (const void *)(b->data + at);

		if (i->rec)
			rec_unref_l(c, slab_at(&c->slab, i->n));
		at += sizeof *i + (i->rec ? 0 : (i->n + 7u) & ~7u);
	}
	buf_release(b);
}

static void
drop_all_l(struct client *c, struct stream *s)
{
	empty_l(c, &s->out, s->at);
	s->at = 0;
	empty_l(c, &s->in, 0);
	if (s->head)
		rec_unref_l(c, s->head);
	s->head = NULL;
}

void
stream_free_l(struct client *c, struct stream *s)
{
	drop_all_l(c, s);
	slab_free(&c->slab, s->shm_unit);
	free(s);
}

/* a record with the number of the item after those that arrived; numbers end before streams do */
static struct rec *
numbered_l(struct client *c, const struct rec *r, const struct stream *s)
{
	struct rec *k = rec_new_l(c);

	if (k && s->arrived + 1 < ID_RET_MAX) {
		c->next_task--;
		k->seq = (r->seq & ~(uint64_t)ID_RET_MAX) | (s->arrived + 1);
	}
	return k;
}

struct rec *
stream_slot_l(struct client *c, struct rec *r, struct stream *s)
{
	return s->head && s->head->state != REC_READY ? s->head : numbered_l(c, r, s);
}

bool
stream_closed(const struct stream *s)
{
	return s->closed;
}

static void
arrived_l(struct stream *s, uint64_t bytes)
{
	s->arrived++;
	atomic_store_explicit(&s->shm->arrived_bytes, atomic_load_explicit(&s->shm->arrived_bytes, memory_order_relaxed) + bytes,
	    memory_order_relaxed);
	atomic_store_explicit(&s->shm->arrived, s->arrived, memory_order_release);
}

static uint64_t
arena_bytes(const struct rec *k)
{
	struct rec_where w;

	if (k->kind < REC_ARENA)
		return 0;
	memcpy(&w, k->inl, sizeof w);
	return w.size;
}

static int
queue_l(struct stream *s, const struct item *i, const unsigned char *p)
{
	size_t n = i->rec ? 0 : i->n, step = sizeof *i + ((n + 7) & ~(size_t)7);
	unsigned char *q;

	if (s->in.cap - s->in.len < step && buf_reserve(&s->in, step) < 0)
		return -ENOMEM;
	q = s->in.data + s->in.len;
	memcpy(q, i, sizeof *i);
	if (p)
		memcpy(q + sizeof *i, p, n);
	s->in.len += step;
	return 0;
}

void
stream_filled_l(struct client *c, struct stream *s, struct rec *k)
{
	if (k->kind == REC_ARENA) {
		struct wref w;

		rec_export_l(c, k, &w);			/* the node asks for it by its id when it needs the room */
	}
	arrived_l(s, arena_bytes(k));
	if (k == s->head) {
		rec_ready_l(c, k);
		return;
	}
	if (k->state != REC_READY)
		rec_set_ready(k);
	if (queue_l(s, &(struct item){ .n = slab_unit(&c->slab, k), .rec = 1 }, NULL) < 0)
		rec_unref_l(c, k);
}

void
stream_done_l(struct client *c, struct lease *l, struct rec *r, struct stream *s, const struct done *d)
{
	const unsigned char *p = d->inl;
	struct rec *k;
	int e;

	if (s->closed || r->state == REC_READY || d->ret != (uint32_t)(s->arrived + 1)) {
		discard_l(c, l, d);
		return;
	}
	if (d->kind <= DONE_BLOCK && !(d->flags & DONE_REFS) && !(s->head && s->head->state != REC_READY)) {
		size_t n = d->kind == DONE_NONE ? 0 : d->len;

		if (d->kind == DONE_BLOCK)
			p = n <= REC_BLOCK_MAX ? peerslab_at(&l->slab, d->unit, n) : NULL;
		else if (n > sizeof d->inl)
			p = NULL;
		if (p && queue_l(s, &(struct item){ (uint32_t)n, n ? d->nvals : 0, 0 }, p) == 0) {
			arrived_l(s, 0);
			return;
		}
	}
	if (!(k = stream_slot_l(c, r, s)))
		return;
	if ((e = outcome_l(c, l, k, d)) < 0) {
		struct buf b = BUF_INIT;

		k->kind = REC_NONE;
		k->flags &= (uint8_t)~REC_REFS;
		val_error(&b, e, e == ERR_LOST ? "the item was lost with its worker" : err_str(e), fn_of(c, r->fn)->name, c->node_name,
		    r->attempt + 1u, NULL);
		rec_set_l(c, k, b.data, b.len, 1, PAYLOAD_ERROR);
		buf_release(&b);
	}
	stream_filled_l(c, s, k);
}

void
stream_over_l(struct client *c, struct stream *s)
{
	s->over = true;
	if (!s->head || s->head->state == REC_READY)
		return;
	s->ended = true;
	s->head->kind = REC_HERE;
	rec_ready_l(c, s->head);
}

/* --- taking ------------------------------------------------------------------------------------------------------- */

struct stream *
client_stream(struct client *c, struct rec *r)
{
	struct side *s;

	lock_take(&c->lock);
	s = side_find_l(c, r);
	lock_drop(&c->lock);
	return s ? s->stream : NULL;
}

uint64_t
client_stream_taken(const struct stream *s)
{
	return s->taken;
}

/* the producer may wait for room: wakes it */
static void
tell(struct client *c, struct stream *s)
{
	const struct rec *r = slab_at(&c->slab, s->unit);

	s->told = s->taken;
	atomic_store_explicit(&s->shm->taken_bytes, s->bytes, memory_order_relaxed);
	atomic_store_explicit(&s->shm->taken, s->taken, memory_order_release);
	lock_take(&c->lock);
	if (r->state == REC_PUSHED && r->link != OWN && c->lease[r->link])
		bell_ring(c->np, c->lease[r->link]->bell);
	lock_drop(&c->lock);
}

static inline void
took(struct client *c, struct stream *s, uint64_t bytes)
{
	s->taken++;
	s->bytes += bytes;
	if (s->taken - s->told >= s->step || bytes)
		tell(c, s);
}

static void
look_l(struct client *c)
{
	atomic_store_explicit(&c->polls, c->polls + 1, memory_order_relaxed);
	if (c->ndrop)
		drops_l(c);
	progress_l(c);
}

/* 1: there is something in out; 0; ERR_CLOSED */
static int
refill(struct client *c, struct stream *s)
{
	struct buf b;
	int e;

	lock_take(&c->lock);
	if (s->in.len == 0 && !s->over)
		look_l(c);
	b = s->in;
	s->in = s->out;
	s->in.len = 0;
	s->out = b;
	s->at = 0;
	e = b.len > 0 ? 1 : s->over ? ERR_CLOSED : c->lost ? ERR_NO_CLUSTER : 0;
	lock_drop(&c->lock);
	if (e == 0 && s->told != s->taken)	/* the producer does not wait for us while we wait for it */
		tell(c, s);
	return e;
}

/* the head, if it is there: as client_stream_next */
static int
take_head(struct client *c, struct stream *s, struct rec **r)
{
	int e = 1;

	lock_take(&c->lock);
	if (s->head->state != REC_READY)
		look_l(c);
	if (s->head->state != REC_READY) {
		e = 0;
	} else {
		*r = s->head;
		s->head = NULL;
		if (s->ended) {
			rec_unref_l(c, *r);
			*r = NULL;
			e = ERR_CLOSED;
		}
	}
	lock_drop(&c->lock);
	if (e == 1)
		took(c, s, arena_bytes(*r));
	return e;
}

static struct rec *
made_of(struct client *c, const struct stream *s, const struct item *i, const unsigned char *p)
{
	const struct rec *call = slab_at(&c->slab, s->unit);
	struct rec *k;

	lock_take(&c->lock);
	if ((k = rec_new_l(c))) {
		if (s->taken + 1 < ID_RET_MAX) {
			c->next_task--;
			k->seq = (call->seq & ~(uint64_t)ID_RET_MAX) | (s->taken + 1);
		}
		if (rec_set_l(c, k, p, i->n, i->nvals, 0) == 0) {
			rec_set_ready(k);
		} else {
			slab_rec_free(&c->slab, k);
			k = NULL;
		}
	}
	lock_drop(&c->lock);
	return k;
}

int
client_stream_next(struct client *c, struct stream *s, bool as_rec, struct rec **r, struct value *v)
{
	const struct item *i;
	const unsigned char *p;
	int e;

	*r = NULL;
	if (s->closed)
		return ERR_CLOSED;
	if (s->head)
		return take_head(c, s, r);
	if (s->at >= s->out.len && (e = refill(c, s)) <= 0)
		return e;
	i = (const void *)(s->out.data + s->at);
	p = (const void *)(i + 1);
	if (i->rec) {
		*r = slab_at(&c->slab, i->n);
		s->at += sizeof *i;
	} else {
		if (as_rec && !(*r = made_of(c, s, i, p)))
			return -ENOMEM;
		*v = (struct value){ .p = p, .n = i->n, .nvals = i->nvals };
		s->at += sizeof *i + ((i->n + 7u) & ~7u);
	}
	took(c, s, i->rec ? arena_bytes(*r) : 0);
	return 1;
}

struct rec *
client_stream_head(struct client *c, struct stream *s)
{
	struct rec *r = slab_at(&c->slab, s->unit), *k;
	struct value v;
	int e;

	if (s->head)
		return s->head;
	if (s->at < s->out.len || refill(c, s) == 1) {
		if ((e = client_stream_next(c, s, true, &k, &v)) < 0)
			return NULL;
		s->taken--;			/* not yet, after all */
		s->bytes -= arena_bytes(k);
		s->head = k;
		return k;
	}
	lock_take(&c->lock);
	if (s->in.len) {			/* it came just now */
		lock_drop(&c->lock);
		return client_stream_head(c, s);
	}
	if ((k = numbered_l(c, r, s))) {
		rec_state(k, REC_PENDING);
		k->link = s->unit;
		s->head = k;
		if (s->over || s->closed)
			stream_over_l(c, s);
	}
	lock_drop(&c->lock);
	return k;
}

void
client_stream_close(struct client *c, struct stream *s)
{
	struct rec *r = slab_at(&c->slab, s->unit);

	lock_take(&c->lock);
	if (!s->closed) {
		s->closed = true;
		r->flags |= REC_SEEN;
		drop_all_l(c, s);
		if (r->state != REC_READY && !c->lost)
			cancel_l(c, r, 0);
	}
	lock_drop(&c->lock);
}
