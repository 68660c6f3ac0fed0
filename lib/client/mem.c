/*
 * mem - objects in the arena: made in extents that rlet lends, freed where they were made.
 *
 * Bytes are copied outside the lock.  When rlet has no room, first our own garbage is collected, then everybody's
 * (rlet asks them), and only then creation waits, STORE_WAIT_MS at most.
 */
#include <stdio.h>
#include "base/num.h"
#include "client/inner.h"
#include "wire/le.h"

#define STORE_WAIT_MS 10000u
#define OBJ_NVALS 0x0fffu	/* obj_hdr.flags: encoded values in the head, cut */

static void
spare_l(struct client *c)
{
	uint64_t off, bytes;

	while (arena_spare(&c->arena, &off, &bytes))
		LINK_SEND(c, unlend, .off = off, .bytes = bytes);
}

void
mem_yield_l(struct client *c)
{
	uint64_t off, bytes;

	while (arena_yield(&c->arena, &off, &bytes))
		LINK_SEND(c, unlend, .off = off, .bytes = bytes);
}

/* a full collection here, and what is free goes back */
void
mem_collect(struct client *c)
{
	uint64_t round;

	lock_take(&c->lock);
	c->collect = false;
	round = c->collect_round;
	lock_drop(&c->lock);
	if (c->hooks.collect)
		c->hooks.collect(c->hooks.arg);
	lock_take(&c->lock);
	drops_l(c);
	lineage_relieve_l(c);
	mem_yield_l(c);
	LINK_SEND(c, collected, .round = round);
	lock_drop(&c->lock);
}

/* asks rlet for an extent of bytes: 0, ERR_FULL with the reason in c->why_full */
static int
borrow_extent(struct client *c, uint64_t bytes, unsigned wait_ms)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if (!(rq = link_expect_l(c))) {
		lock_drop(&c->lock);
		return -ENOMEM;
	}
	LINK_ASK(c, rq, extent, .req = rq->req, .bytes = bytes, .wait = wait_ms);
	lock_drop(&c->lock);
	do
		e = link_request(c, rq->req, WAIT_FOREVER, &rq);
	while (e == -EINTR);
	if (e == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, c->why_full, sizeof c->why_full);
	link_done(c, rq);
	return e;
}

static int
too_large(struct client *c, uint64_t n)
{
	char need[16], all[16];

	snprintf(c->why_full, sizeof c->why_full, "an object of %s does not fit the store, which has %s",
	    n ? num_fmt_size(need, n) : "that size", num_fmt_size(all, c->me.arena));
	return ERR_FULL;
}

int
mem_new(struct client *c, struct id id, const uint64_t *sizes, unsigned nbuf, size_t head, struct obj *o)
{
	bool collected = false, asked = false;
	int e;

	for (;;) {
		uint64_t want;

		lock_take(&c->lock);
		if (!c->arena.base) {
			lock_drop(&c->lock);
			return ERR_NO_CLUSTER;
		}
		e = arena_new(&c->arena, id, sizes, nbuf, head, o);
		want = e == -EAGAIN ? arena_want(arena_run(sizes, nbuf, head)) : 0;
		lock_drop(&c->lock);
		if (e == 0 && (e = arena_ready(&c->arena, o)) < 0) {	/* may take long: not under the lock */
			lock_take(&c->lock);
			arena_abort(&c->arena, o->off);
			lock_drop(&c->lock);
		}
		if (e == -E2BIG || (e == -EAGAIN && want == 0))
			return too_large(c, arena_run(sizes, nbuf, head));
		if (e != -EAGAIN)
			return e;
		if (!asked) {
			asked = true;
			if ((e = borrow_extent(c, want, 0)) == 0) {
				asked = false;
				continue;
			}
			want = arena_run(sizes, nbuf, head);	/* not so much ahead, then */
		}
		if (e == 0 || e == ERR_FULL || e == -EAGAIN) {
			if (!collected) {
				collected = true;
				mem_collect(c);
				continue;
			}
			if ((e = borrow_extent(c, want, STORE_WAIT_MS)) < 0)
				return e;
			asked = false;
			continue;
		}
		return e;
	}
}

int
mem_put(struct client *c, struct id id, uint32_t slot, const struct payload *p, struct rec_where *w)
{
	uint64_t small[16] = { 0 }, *sizes = small;
	struct obj o;
	int e;

	if (p->nseg > 16 && !(sizes = malloc(p->nseg * sizeof *sizes)))
		return -ENOMEM;
	for (unsigned i = 0; i < p->nseg; i++)
		sizes[i] = p->seg[i].n;
	if ((e = mem_new(c, id, sizes, p->nseg, p->n, &o)) < 0)
		goto out;
	memcpy(o.head, p->p, p->n);
	for (unsigned i = 0; i < p->nseg; i++)
		arena_copy(obj_buf(&c->arena, &o, i, NULL), p->seg[i].p, p->seg[i].n);
	lock_take(&c->lock);
	arena_name(&c->arena, o.off, id, (uint16_t)(p->nvals & OBJ_NVALS));
	arena_slot(&c->arena, o.off, slot);
	arena_seal(&c->arena, o.off);
	page_count(c->page, CNT_PUT_BYTES, o.size);
	lock_drop(&c->lock);
	*w = (struct rec_where){ .off = o.off, .gen = o.gen, .size = o.size, .proc = (uint32_t)c->me.proc };
out:
	if (sizes != small)
		free(sizes);
	return e;
}

void
mem_free_l(struct client *c, const struct rec_where *w)
{
	unsigned char pair[12];
	struct lease *l = NULL;

	if (w->proc == c->me.proc && arena_free(&c->arena, w->off, w->gen) != -EPERM) {
		if (c->arena.lent - c->arena.used > 2 * c->arena.reserve)
			spare_l(c);
		return;
	}
	for (unsigned i = 0; i < c->nlease && w->proc != c->me.proc; i++)
		if (c->lease[i] && c->lease[i]->proc == w->proc && !c->lease[i]->dead)
			l = c->lease[i];
	if (l && w->off / 64 < RING_FREE && ring_unclaimed(&l->ring, RING_WORDS / 2) < RING_WORDS / 2) {
		ring_push(&l->ring, RING_FREE | (uint32_t)(w->off / 64));
		if (l->inflight == 0)		/* a busy one sees it with its next task */
			l->freed = c->freed = true;
		return;
	}
	memcpy(pair, &w->off, 8);
	memcpy(pair + 8, &w->gen, 4);
	LINK_SEND(c, free, .objects = span_of(pair, sizeof pair));
}

void
mem_forget_l(struct client *c, struct id id)
{
	unsigned char p[16];

	le_put32(p, id.node);
	le_put32(p + 4, id.proc);
	le_put64(p + 8, id.seq);
	LINK_SEND(c, forget, .objects = span_of(p, sizeof p));
}

void
mem_freed_l(struct client *c)
{
	c->freed = false;
	for (unsigned i = 0; i < c->nlease; i++)
		if (c->lease[i] && c->lease[i]->freed) {
			c->lease[i]->freed = false;
			if (!c->lease[i]->dead)
				bell_ring(c->np, c->lease[i]->bell);
		}
}

/* --- for the main thread --------------------------------------------------------------------------------- */

static struct rec *
fresh(struct client *c)
{
	struct rec *r;

	lock_take(&c->lock);
	drops_l(c);
	if ((r = rec_new_l(c)))
		rec_state(r, REC_PENDING);
	lock_drop(&c->lock);
	return r;
}

int
client_put(struct client *c, const struct payload *p, struct rec **out)
{
	struct rec *r = fresh(c);
	struct rec_where w;
	int e = 0;

	if (!r)
		return -ENOMEM;
	if (p->nseg || p->n > REC_BLOCK_MAX) {
		struct id id = { (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq };

		e = mem_put(c, id, slab_unit(&c->slab, r), p, &w);
	}
	lock_take(&c->lock);
	if (e == 0 && p->flags & PAYLOAD_REFS)
		e = refs_retain_l(c, p->p, p->n, p->nvals);
	if (e < 0) {
		slab_rec_free(&c->slab, r);
	} else if (p->nseg || p->n > REC_BLOCK_MAX) {
		memcpy(r->inl, &w, sizeof w);
		r->kind = REC_ARENA;
		r->nvals = (uint16_t)p->nvals;
		r->flags |= (p->flags & PAYLOAD_REFS ? REC_REFS : 0) | (p->flags & PAYLOAD_ERROR ? REC_ERROR : 0);
	} else {
		e = rec_set_l(c, r, p->p, p->n, p->nvals, p->flags);
	}
	if (e == 0) {
		rec_set_ready(r);
		*out = r;
	}
	lock_drop(&c->lock);
	if (e == 0 && r->kind == REC_ARENA && !c->serving)
		service_start(c);		/* the node may ask for room at any time */
	return e;
}

int
client_create(struct client *c, const uint64_t *sizes, unsigned nbuf, size_t head, struct obj *o, struct rec **out)
{
	struct rec *r = fresh(c);
	struct rec_where w;
	int e;

	if (!r)
		return -ENOMEM;
	e = mem_new(c, (struct id){ (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq }, sizes, nbuf, head, o);
	lock_take(&c->lock);
	if (e < 0) {
		slab_rec_free(&c->slab, r);
	} else {
		w = (struct rec_where){ .off = o->off, .gen = o->gen, .size = o->size, .proc = (uint32_t)c->me.proc };
		memcpy(r->inl, &w, sizeof w);
		r->kind = REC_ARENA;
		*out = r;
	}
	lock_drop(&c->lock);
	return e;
}

void
client_seal(struct client *c, struct rec *r, unsigned nvals, unsigned flags)
{
	struct rec_where w;

	lock_take(&c->lock);
	memcpy(&w, r->inl, sizeof w);
	arena_name(&c->arena, w.off, rec_id(c, r), (uint16_t)(nvals & OBJ_NVALS));
	arena_slot(&c->arena, w.off, slab_unit(&c->slab, r));
	arena_seal(&c->arena, w.off);
	r->nvals = (uint16_t)nvals;
	r->flags |= flags & PAYLOAD_REFS ? REC_REFS : 0;
	rec_ready_l(c, r);
	page_count(c->page, CNT_PUT_BYTES, w.size);
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
}

void
client_abort(struct client *c, struct rec *r)
{
	struct rec_where w;

	lock_take(&c->lock);
	memcpy(&w, r->inl, sizeof w);
	arena_abort(&c->arena, w.off);
	r->kind = REC_NONE;
	rec_unref_l(c, r);
	lock_drop(&c->lock);
}

/* --- objects that the node owns ------------------------------------------------------------------------------ */

int
client_keep(struct client *c, struct rec *r, const char *name, uint64_t ttl_ns)
{
	struct request *rq;
	struct rec_where w;
	struct side *s;
	int e;

	if (r->kind < REC_ARENA || r->state != REC_READY)
		return -EINVAL;			/* only what lies in the arena can change hands */
	lock_take(&c->lock);
	memcpy(&w, r->inl, sizeof w);
	if (!(s = side_l(c, r)) || (e = view_pin_l(c, r)) < 0 || !(rq = link_expect_l(c))) {
		lock_drop(&c->lock);
		return -ENOMEM;
	}
	LINK_ASK(c, rq, keep, .req = rq->req, .id = rec_id(c, r), .off = w.off, .gen = w.gen,
	    .name = span_of(name ? name : "", name ? strlen(name) : 0), .ttl = ttl_ns);
	lock_drop(&c->lock);
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, c->why_full, sizeof c->why_full);
	lock_take(&c->lock);
	if (e == 0) {
		s->keep = true;
		r->kind = REC_AWAY;
	}
	lock_drop(&c->lock);
	link_done(c, rq);
	return e;
}

static int
look_up(struct client *c, const char *text, bool wait, uint64_t deadline, struct msg_found *m, char *why, size_t n)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, lookup, .req = rq->req, .text = span_of(text, strlen(text)), .wait = wait);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, deadline, &rq)) == 0) {
		if (rq->type == MSG_FAIL_T)
			e = link_fail(rq, why, n);
		else if (rq->type != MSG_FOUND_T || msg_get_found(m, rq->body.data, rq->body.len) < 0)
			e = ERR_PROTO;
	}
	m->name = span_of(NULL, 0);		/* it lay in the answer */
	link_done(c, rq);
	return e;
}

int
client_lookup(struct client *c, const char *text, struct rec **out, struct id *id, char *why, size_t n)
{
	struct msg_found m;
	int e = look_up(c, text, false, WAIT_FOREVER, &m, why, n);

	if (e == 0) {
		struct wref w = { .id = m.id, .off = m.off, .gen = (uint32_t)m.gen, .size = m.size };

		*id = m.id;
		if (out && !(*out = client_import(c, &w)))
			e = -ENOMEM;
	}
	return e;
}

int
client_lookup_wait(struct client *c, const char *text, uint64_t deadline, struct id *id, char *why, size_t n)
{
	struct msg_found m;
	int e = look_up(c, text, true, deadline, &m, why, n);

	*id = m.id;
	return e;
}

int
client_remove(struct client *c, struct id id, char *why, size_t n)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_CALL(c, rq, remove, .req = rq->req, .id = id);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	link_done(c, rq);
	return e;
}
