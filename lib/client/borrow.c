/*
 * borrow - references across processes (M18): who owns, who holds, who asks.
 *
 * The owner of an object is named by its id.  It keeps the process numbers that hold the object; a borrower
 * has a record marked BORROWED.  A reference in flight is held by its sender until the owner has the receiver
 * on its list: arguments until the completion (which lists what the worker kept), results until the worker has
 * put the receiver on the list.
 */
#include <stdio.h>
#include "client/inner.h"
#include "wire/le.h"

static bool
ours(const struct client *c, struct id id)
{
	return id.proc == c->me.proc && id.node == c->me.node;
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
	if (r->state == REC_READY && r->kind == REC_ARENA) {
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
	r->nvals = v.flags & 0xfff;
	if (w->flags & WREF_ERROR)
		r->flags |= REC_ERROR;
	rec_set_ready(r);
}

struct rec *
rec_import_l(struct client *c, const struct wref *w, bool registered)
{
	struct rec *r = rec_of_l(c, w);
	struct side *s;

	if (r) {
		r->count++;
		return r;
	}
	if (!(r = rec_new_l(c)))
		return NULL;
	r->state = REC_PENDING;
	r->flags = REC_BORROWED;
	if (!(s = side_l(c, r))) {
		slab_rec_free(&c->slab, r);
		return NULL;
	}
	s->id = w->id;
	idmap_put(&c->borrowed, w->id, r);
	if (ours(c, w->id)) {			/* our own id, but we know nothing of it any more */
		rec_fail_l(c, r, ERR_LOST, "the object was already freed by its owner");
		s->registered = false;
		return r;
	}
	if (w->off)
		locate_l(c, r, w);
	s->registered = registered;
	if (!registered && c->in_task) {	/* the completion will tell */
		if (c->nfresh == c->capfresh) {
			unsigned cap = c->capfresh ? 2 * c->capfresh : 64;
			uint32_t *v = realloc(c->fresh, cap * sizeof *v);

			if (!v)
				return r;
			c->fresh = v;
			c->capfresh = cap;
		}
		c->fresh[c->nfresh++] = s->unit;
	} else if (!registered) {
		LINK_SEND(c, route, .proc = w->id.proc, .kind = ROUTE_HOLD, .id = w->id, .arg = c->me.proc);
		s->registered = true;
	}
	return r;
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

int
holder_add_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct side *s = side_l(c, r);
	uint32_t *v;

	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < s->nholder; i++)
		if (s->holder[i] == proc)
			return 0;
	if (!(v = realloc(s->holder, (s->nholder + 1) * sizeof *v)))
		return -ENOMEM;
	s->holder = v;
	if (s->nholder++ == 0)
		c->nheld++;
	v[s->nholder - 1] = proc;
	return 0;
}

void
holder_del_l(struct client *c, struct rec *r, uint32_t proc)
{
	struct side *s = side_find_l(c, r);

	for (unsigned i = 0; s && i < s->nholder; i++)
		if (s->holder[i] == proc) {
			s->holder[i] = s->holder[--s->nholder];
			if (s->nholder == 0)
				c->nheld--;
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

	if (r->kind == REC_ARENA) {
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
		if (r->state != REC_READY)
			rec_fail_l(c, r, ERR_LOST, "the object was freed while it was asked for");
		else
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
		const unsigned char *p = m->body.p + i;
		struct wref w = { .id = { le_get32(p), le_get32(p + 4), le_get64(p + 8) } };
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
	case ROUTE_HOLD:
		if ((r = rec_of_l(c, &w)) && !(r->flags & REC_BORROWED))
			holder_add_l(c, r, (uint32_t)m->arg);
		if (m->arg != m->proc)		/* told for somebody else: the teller holds until now */
			LINK_SEND(c, route, .proc = m->proc, .kind = ROUTE_HELD, .id = m->id);
		break;
	case ROUTE_HELD:
		if (c->helds)
			c->helds--;
		if ((r = idmap_get(&c->borrowed, m->id)))
			rec_unref_l(c, r);
		break;
	case ROUTE_DROP:
		dropped_l(c, m);
		break;
	}
}

/* --- a process died ------------------------------------------------------------------------------------------ */

void
proc_dead_l(struct client *c, uint32_t proc, int code, const char *text)
{
	struct map_iter it = MAP_ITER;
	struct idmap_iter ib = IDMAP_ITER;
	char why[320];

	while (map_next(&c->side, &it)) {
		struct side *s = it.val;
		struct rec *r = slab_at(&c->slab, s->unit);

		if (s->nholder)
			holder_del_l(c, r, proc);
	}
	(void)code;
	snprintf(why, sizeof why, "the owner of the object is gone: %s", text);
	while (idmap_next(&c->borrowed, &ib)) {
		struct rec *r = ib.val;
		struct side *s = side_find_l(c, r);

		if (ib.key.proc != proc || ib.key.node != c->me.node)
			continue;
		s->registered = false;
		if (r->state != REC_READY)
			rec_fail_l(c, r, ERR_LOST, why);
	}
}
