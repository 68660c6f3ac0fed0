/*
 * borrow - references across processes: who owns, who holds, who asks.
 *
 * The owner of an object is named by its id.  It keeps the process numbers that hold the object; a borrower
 * has a record marked BORROWED.  A reference in flight is held by its sender until the owner has the receiver
 * on its list: arguments until the completion (which lists what the worker kept), results until the worker has
 * put the receiver on the list.
 */
#include <stdio.h>
#include "base/grow.h"
#include "client/inner.h"
#include "wire/le.h"

static bool
ours(const struct client *c, struct id id)
{
	return id.proc == c->me.proc && id.node == c->me.node;
}

static struct id
id_at(const unsigned char *p)
{
	return (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
}

struct rec *
rec_of_l(struct client *c, const struct wref *w)
{
	uintptr_t u;

	if (!ours(c, w->id))
		return idmap_get(&c->borrowed, w->id);
	u = (uintptr_t)map_get(&c->exported, w->id.seq);
	return u ? slab_at(&c->slab, (uint32_t)u) : NULL;
}

void
rec_export_l(struct client *c, struct rec *r, struct wref *w)
{
	struct side *s = side_l(c, r);

	memset(w, 0, sizeof *w);
	w->id = rec_id(c, r);
	if (!s)
		return;
	if (!(r->flags & REC_BORROWED) && !s->exported &&
	    map_put(&c->exported, r->seq, (void *)(uintptr_t)s->unit) == 0)
		s->exported = true;
	if (r->state == REC_READY && r->kind >= REC_ARENA) {
		struct rec_where at;

		memcpy(&at, r->inl, sizeof at);
		w->off = at.off;
		w->gen = at.gen;
		w->size = at.size;
		w->flags = r->flags & REC_ERROR ? WREF_ERROR : 0;
	}
}

void
client_export(struct client *c, struct rec *r, struct wref *w)
{
	lock_take(&c->lock);
	rec_export_l(c, r, w);
	lock_drop(&c->lock);
}

/* where an arena object lies, as the header there tells it */
static void
locate_l(struct client *c, struct rec *r, const struct wref *w)
{
	struct obj_view v;
	struct rec_where at = { .off = w->off, .gen = w->gen };

	if (arena_view(&c->arena, w->off, w->gen, &v) < 0 || !id_eq(v.id, w->id))
		return;				/* asked for instead, when it is wanted */
	at.size = v.size;
	at.proc = v.proc;
	memcpy(r->inl, &at, sizeof at);
	r->kind = REC_ARENA;
	r->link = 0;
	r->nvals = v.flags & 0xfff;
	if (w->flags & WREF_ERROR)
		r->flags |= REC_ERROR;
	rec_set_ready(r);
}

/* it lies in an arena, we do not know where: the node does, or finds out, once it is looked at */
static void
elsewhere_l(struct rec *r, const struct wref *w)
{
	struct rec_where at = { .off = w->off, .gen = w->gen, .size = w->size };

	memcpy(r->inl, &at, sizeof at);
	r->kind = REC_AWAY;
	r->link = 0;
	r->flags |= w->flags & WREF_ERROR ? REC_ERROR : 0;
}

static int
fresh_l(struct client *c, struct side *s)
{
	struct fresh *v = grow(c->fresh, &c->capfresh, c->nfresh, sizeof *v);

	if (!v)
		return -ENOMEM;
	c->fresh = v;
	c->fresh[c->nfresh++] = (struct fresh){ s->unit, c->parent_proc, c->parent_seq };
	s->fresh = true;
	return 0;
}

void
hold_for_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct side *s = side_find_l(c, r);

	r->count++;
	s->holding++;
	c->helds++;
	LINK_SEND(c, route, .proc = s->id.proc, .kind = ROUTE_HOLD, .id = s->id, .arg = proc, .node = s->id.node);
}

/* the owner's answer is waited for before a task ends: who holds the object for us might let go then */
void
hold_self_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);
	unsigned char p[16];

	le_put32(p, s->id.node);
	le_put32(p + 4, s->id.proc);
	le_put64(p + 8, s->id.seq);
	if (buf_add(&c->holds, p, sizeof p) < 0)
		return;				/* it may be lost to us: better than to end */
	r->count++;
	s->holding++;
	c->helds++;
	s->registered++;
	if (c->holds.len == sizeof p)
		service_nudge_l(c);
}

static void
held_l(struct client *c, struct id id)
{
	struct rec *r = idmap_get(&c->borrowed, id);
	struct side *s = r ? side_find_l(c, r) : NULL;

	if (!s || s->holding == 0)
		return;
	s->holding--;
	c->helds--;
	rec_unref_l(c, r);
}

struct rec *
rec_import_l(struct client *c, const struct wref *w, bool registered)
{
	struct rec *r = rec_of_l(c, w);
	struct side *s;

	if (r) {
		if (registered && r->flags & REC_BORROWED && (s = side_find_l(c, r)))
			s->registered++;
		r->count++;
		return r;
	}
	if (!(r = rec_new_l(c)))
		return NULL;
	rec_state(r, REC_PENDING);
	r->flags = REC_BORROWED;
	if (!(s = side_l(c, r))) {
		slab_rec_free(&c->slab, r);
		return NULL;
	}
	s->id = w->id;
	idmap_put(&c->borrowed, w->id, r);
	if (w->off)
		locate_l(c, r, w);
	if (ours(c, w->id)) {			/* our own id, but we know nothing of it any more: it was given to the node, or is gone */
		if (r->state != REC_READY)
			rec_fail_l(c, r, ERR_LOST, "the object was already freed by its owner");
		return r;
	}
	if (w->off == 0 && w->size) {			/* from another node */
		elsewhere_l(r, w);
		rec_set_ready(r);
	}
	if (registered)
		s->registered = 1;
	else if (!c->decoding || fresh_l(c, s) < 0)
		hold_self_l(c, r);
	return r;
}

bool
client_decoding(struct client *c, bool on)
{
	bool was = c->decoding;

	c->decoding = on;
	return was;
}

struct rec *
client_import(struct client *c, const struct wref *w)
{
	struct rec *r;

	lock_take(&c->lock);
	r = rec_import_l(c, w, false);
	lock_drop(&c->lock);
	return r;
}

/* --- the owner's list ------------------------------------------------------------------------------------- */

void
rec_held_l(struct client *c, const struct side *s)
{
	struct rec *r = slab_at(&c->slab, s->unit);
	struct rec_where w;

	if (r->state != REC_READY || r->kind < REC_ARENA)
		return;
	memcpy(&w, r->inl, sizeof w);
	w.held = s->held;
	memcpy(r->inl, &w, sizeof w);
}

/* how often proc was put on the list, less its drops: of another owner's word and its own either may come first */
static int
holder_change_l(struct client *c, struct side *s, uint32_t proc, int by)
{
	unsigned i, was = s->held;
	struct holder *v;

	for (i = 0; i < s->nholder && s->holder[i].proc != proc; i++)
		;
	if (i == s->nholder) {
		if (!(v = realloc(s->holder, (i + 1) * sizeof *v)))
			return -ENOMEM;
		s->holder = v;
		v[s->nholder++] = (struct holder){ proc, 0 };
	}
	v = &s->holder[i];
	s->held -= v->n > 0;
	v->n += by;
	s->held += v->n > 0;
	if (v->n == 0)
		*v = s->holder[--s->nholder];
	c->nheld += (s->held > 0) - (was > 0);
	rec_held_l(c, s);
	page_set(c->page, CNT_OWNED, c->nheld + c->owing);
	return 0;
}

int
holder_add_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct side *s = side_l(c, r);

	return s ? holder_change_l(c, s, proc, 1) : -ENOMEM;
}

static void
holder_del_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct side *s = side_find_l(c, r);

	if (s && holder_change_l(c, s, proc, -1) == 0)
		rec_free_if_l(c, r);
}

static void
holder_dead_l(struct client *c, struct rec *r, struct side *s, uint32_t proc)
{
	for (unsigned i = 0; i < s->nholder; i++)
		if (s->holder[i].proc == proc) {
			holder_change_l(c, s, proc, -s->holder[i].n);
			rec_free_if_l(c, r);
			return;
		}
}

/* --- questions and answers --------------------------------------------------------------------------------- */

void
answer_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct buf b = BUF_INIT;
	struct obj_view v;
	unsigned char nv[2];
	const unsigned char *p;
	unsigned char at[WREF_SIZE];
	struct wref w;
	size_t n;

	if (r->kind >= REC_ARENA) {
		rec_export_l(c, r, &w);
		val_wref_pack(at, &w);
		LINK_SEND(c, route, .proc = proc, .kind = ROUTE_ANSWER, .id = rec_id(c, r), .arg = 2,
		    .body = span_of(at, sizeof at));
		return;
	}
	p = rec_bytes_l(c, r, &v, &n);
	le_put16(nv, r->nvals);
	if (buf_add(&b, nv, 2) == 0 && buf_add(&b, p, n) == 0)
		LINK_SEND(c, route, .proc = proc, .kind = ROUTE_ANSWER, .id = rec_id(c, r),
		    .arg = r->flags & REC_ERROR ? 3 : 1, .body = span_of(b.data, b.len));
	buf_release(&b);
}

static void
asked_l(struct client *c, const struct msg_route *m)
{
	struct wref w = { .id = m->id };
	struct rec *r = rec_of_l(c, &w);
	struct waiter *wt;
	struct side *s;
	struct buf b = BUF_INIT;
	unsigned char one[2] = { 1, 0 };

	if (m->arg == 1 && r && r->state == REC_READY && r->kind == REC_AWAY && !(r->flags & REC_BORROWED) && r->link == 0)
		lineage_lost_l(c, r, "a reader found no copy of it");

	if (r && r->state == REC_READY) {
		answer_l(c, r, (uint32_t)m->proc);
	} else if (r && (s = side_l(c, r)) && (wt = calloc(1, sizeof *wt))) {
		wt->kind = WAIT_ASK;
		wt->proc = (uint32_t)m->proc;
		list_add_tail(&s->waiters, &wt->link);
	} else {
		buf_add(&b, one, 2);
		val_error(&b, ERR_LOST, "its owner knows nothing of the object (any more)", NULL, c->node_name, 0, NULL);
		LINK_SEND(c, route, .proc = m->proc, .kind = ROUTE_ANSWER, .id = m->id, .arg = 3,
		    .body = span_of(b.data, b.len));
		buf_release(&b);
	}
}

static void
answered_l(struct client *c, const struct msg_route *m)
{
	struct rec *r = idmap_get(&c->borrowed, m->id);
	struct wref w;

	if (!r || r->state == REC_READY)
		return;
	if (m->arg == 2 && m->body.n == WREF_SIZE) {
		val_wref_unpack(&w, m->body.p);
		locate_l(c, r, &w);
		if (r->state != REC_READY)		/* it was moved */
			elsewhere_l(r, &w);
		rec_ready_l(c, r);
	} else if (m->body.n >= 2 && m->body.n - 2 <= REC_BLOCK_MAX &&
	    val_check(m->body.p + 2, m->body.n - 2, le_get16(m->body.p), VAL_ALLOW_CODE) == 0) {
		rec_set_l(c, r, m->body.p + 2, m->body.n - 2, le_get16(m->body.p), m->arg == 3 ? PAYLOAD_ERROR : 0);
		rec_ready_l(c, r);
	} else {
		rec_fail_l(c, r, ERR_PROTO, "its owner's answer makes no sense");
	}
}

static void
dropped_l(struct client *c, const struct msg_route *m)
{
	for (size_t i = 0; i + 16 <= m->body.n; i += 16) {
		struct wref w = { .id = id_at(m->body.p + i) };
		struct rec *r = rec_of_l(c, &w);

		if (r && !(r->flags & REC_BORROWED))
			holder_del_l(c, r, (uint32_t)m->proc);
	}
}

void
route_l(struct client *c, const struct msg_route *m)
{
	struct wref w = { .id = m->id };
	struct rec *r;

	switch (m->kind) {
	case ROUTE_ASK:
		asked_l(c, m);
		break;
	case ROUTE_ANSWER:
		answered_l(c, m);
		break;
	case ROUTE_HOLD:		/* of one object, or of those in the body; the teller holds until the answer */
		if ((r = rec_of_l(c, &w)) && !(r->flags & REC_BORROWED))
			holder_add_l(c, r, (uint32_t)m->arg);
		for (size_t i = 0; i + 16 <= m->body.n; i += 16) {
			w.id = id_at(m->body.p + i);
			if ((r = rec_of_l(c, &w)) && !(r->flags & REC_BORROWED))
				holder_add_l(c, r, (uint32_t)m->arg);
		}
		LINK_SEND(c, route, .proc = m->proc, .kind = ROUTE_HELD, .id = m->id, .body = m->body);
		break;
	case ROUTE_HELD:
		held_l(c, m->id);
		for (size_t i = 0; i + 16 <= m->body.n; i += 16)
			held_l(c, id_at(m->body.p + i));
		c->echoed += m->proc == c->me.proc;
		chans_held_l(c);
		break;
	case ROUTE_DROP:
		dropped_l(c, m);
		break;
	case ROUTE_CANCEL:
		if ((r = rec_of_l(c, &w)) && !(r->flags & REC_BORROWED))
			cancel_l(c, r, (unsigned)m->arg);
		break;
	}
}

/* --- a process died ------------------------------------------------------------------------------------------ */

void
proc_dead_l(struct client *c, uint32_t proc, uint32_t node, uint32_t was, const char *text)
{
	struct map_iter it = MAP_ITER;
	struct idmap_iter ib = IDMAP_ITER;
	char why[320];

	while (map_next(&c->side, &it)) {
		struct side *s = it.val;
		struct rec *r = slab_at(&c->slab, s->unit);

		if (s->nholder)
			holder_dead_l(c, r, s, proc);
	}
	snprintf(why, sizeof why, "the owner of the object is gone: %s", text);
	while (idmap_next(&c->borrowed, &ib)) {
		struct rec *r = ib.val;
		struct side *s = side_find_l(c, r);

		if (ib.key.proc != was || ib.key.node != node)
			continue;
		s->registered = 0;
		r->count++;
		if (r->state != REC_READY)
			rec_fail_l(c, r, ERR_LOST, why);
		r->count -= s->holding;		/* no answer will come */
		c->helds -= s->holding;
		s->holding = 0;
		rec_unref_l(c, r);
	}
	chans_held_l(c);
}
