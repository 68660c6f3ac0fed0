/*
 * bulk - objects between nodes: what core/pull.h and core/feed.h decide, carried out.
 *
 * What is said about objects goes through sessions, chunks and what is asked of them through a connection of their own, which
 * no session knows of: who receives knows what it has and asks again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "link/inner.h"

#define BULK_ROOM (UINT64_C(2) << 20)	/* bytes that wait for a connection */

struct room {
	unsigned char *p;		/* what follows the object's header */
	uint64_t ticket, stamp, bytes, have;
};

static void pull_run(struct link *l);
static void feed_run(struct link *l);

void
bulk_start(struct link *l)
{
	pull_init(&l->pull, l->o.node, l->o.budget);
	feed_init(&l->feed);
}

void
bulk_stop(struct link *l)
{
	struct idmap_iter it = IDMAP_ITER, io = IDMAP_ITER;

	while (idmap_next(&l->rooms, &it))
		free(it.val);
	while (idmap_next(&l->opened, &io))
		free(io.val);
	idmap_release(&l->rooms);
	idmap_release(&l->opened);
	pull_release(&l->pull);
	feed_release(&l->feed);
	free(l->pull_out.fx);
	free(l->feed_out.fx);
}

static void
pull_in(struct link *l, const struct pull_in *in)
{
	pull_step(&l->pull, clock_ns(), in, &l->pull_out);
	l->pull_at = l->pull_out.at;
	pull_run(l);
}

static void
feed_in(struct link *l, const struct feed_in *in)
{
	feed_step(&l->feed, clock_ns(), in, &l->feed_out);
	l->feed_at = l->feed_out.at;
	feed_run(l);
}

static void
tell_object(struct link *l, const struct link_object *o)
{
	link_tell(l, LINK_OBJECT, 0, 0, span_of(o, sizeof *o));
}

/* --- frames out ---------------------------------------------------------------------------------------------------- */

static void
send_bulk(struct link *l, uint32_t node, int e, struct buf *frame)
{
	struct peer *p = map_get(&l->peers, node);
	struct lane *a = p ? &p->lane[LANE_BULK] : NULL;

	if (e == 0 && a && a->up)
		conn_done(a->conn, conn_out(a->conn)->len, buf_add(conn_out(a->conn), frame->data, frame->len), NULL, 0, 0);
	else if (e == 0 && p && p->bulk.len < BULK_ROOM) {
		buf_add(&p->bulk, frame->data, frame->len);
		ev_async_send(l->loop, &l->wake);	/* to be connected */
	}
	buf_release(frame);
}
#define BULK(l, node, name_, ...) do { \
	struct buf b_ = BUF_INIT; \
	int e_ = msg_put_##name_(&b_, &(struct msg_##name_){ __VA_ARGS__ }); \
	send_bulk(l, node, e_, &b_); \
} while (0)

/* about an object, to a node that may be this one */
static void
send_word(struct link *l, uint32_t node, uint16_t type, int e, struct buf *frame)
{
	struct peer *p = map_get(&l->peers, node);

	if (e == 0 && node == l->o.node)
		link_tell(l, LINK_FRAME, node, type, span_of(frame->data + FRAME_HEAD, frame->len - FRAME_HEAD));
	else if (e == 0 && p) {
		session_push(&p->s, SESSION_SMALL, frame->data, frame->len);
		peer_pump(p);
		if (p->lane[LANE_SMALL].conn == NULL)
			ev_async_send(l->loop, &l->wake);
	}
	buf_release(frame);
}
#define WORD(l, node, NAME_, name_, ...) do { \
	struct buf b_ = BUF_INIT; \
	int e_ = msg_put_##name_(&b_, &(struct msg_##name_){ __VA_ARGS__ }); \
	send_word(l, node, MSG_##NAME_##_T, e_, &b_); \
} while (0)

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* what was received of it cannot be passed on any more */
static void
room_end(struct link *l, struct id id, uint64_t ticket)
{
	struct room *r = idmap_get(&l->rooms, id);

	if (r == NULL || r->ticket != ticket)
		return;
	idmap_del(&l->rooms, id);
	free(r);
	feed_in(l, &(struct feed_in){ .kind = FEED_IN_GONE, .id = id });
}

static void
received(struct link *l, const struct pull_fx *fx)
{
	struct room *r = idmap_get(&l->rooms, fx->id), *o;
	struct link_object told = { .kind = LINK_RECEIVED, .id = fx->id, .form = fx->form, .ticket = fx->ticket };

	if (r == NULL)
		return;
	idmap_del(&l->rooms, fx->id);
	if (idmap_get(&l->feed.objects, fx->id) && (o = idmap_get(&l->opened, fx->id)) == NULL && idmap_put(&l->opened, fx->id, r) == 0) {
		r->have = r->bytes;		/* somebody reads it: it goes on as if the node had opened it */
		told.open = true;
		feed_in(l, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = fx->id, .stamp = r->stamp, .bytes = r->bytes, .have = r->bytes });
	} else
		free(r);
	tell_object(l, &told);
}

static void
have(struct link *l, const struct pull_fx *fx)
{
	struct room *r = idmap_get(&l->rooms, fx->id);

	if (r == NULL)
		return;
	r->stamp = fx->form.stamp;
	r->bytes = fx->form.bytes;
	r->have = fx->have;
	if (idmap_get(&l->feed.objects, fx->id))
		feed_in(l, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = fx->id, .stamp = r->stamp, .bytes = r->bytes, .have = r->have });
}

static void
pull_one(struct link *l, const struct pull_fx *fx)
{
	struct link_object o = { .id = fx->id, .form = fx->form, .ticket = fx->ticket, .code = fx->code };
	struct peer *p;

	switch (fx->kind) {
	case PULL_FX_WANT:
		WORD(l, fx->node, PULL_WANT, pull_want, .id = fx->id, .stamp = fx->form.stamp, .have = fx->have, .not = fx->not);
		break;
	case PULL_FX_RESERVE:
		o.kind = LINK_RESERVE;
		tell_object(l, &o);
		break;
	case PULL_FX_UNRESERVE:
		room_end(l, fx->id, fx->ticket);
		o.kind = LINK_UNRESERVE;
		tell_object(l, &o);
		break;
	case PULL_FX_ASK:
		BULK(l, fx->node, chunk_ask, .id = fx->id, .stamp = fx->form.stamp, .off = fx->off, .bytes = fx->n, .priority = fx->priority);
		break;
	case PULL_FX_STOP:
		BULK(l, fx->node, chunk_stop, .id = fx->id);
		break;
	case PULL_FX_BREAK:
		if ((p = map_get(&l->peers, fx->node)) != NULL)
			peer_break(p, LANE_BULK);
		break;
	case PULL_FX_HAVE:
		have(l, fx);
		break;
	case PULL_FX_PROGRESS:
		WORD(l, fx->node, PLACE_PROGRESS, place_progress, .id = fx->id, .stamp = fx->form.stamp, .have = fx->have);
		break;
	case PULL_FX_QUIT:
		WORD(l, fx->node, PLACE_DROPPED, place_dropped, .id = fx->id);
		break;
	case PULL_FX_DONE:
		received(l, fx);
		break;
	case PULL_FX_FAILED:
		o.kind = LINK_FAILED;
		memcpy(o.text, fx->text, sizeof o.text);
		tell_object(l, &o);
		break;
	}
}

static void
pull_run(struct link *l)
{
	struct pull_out *o = &l->pull_out;

	if (l->pulling)
		return;				/* the loop below will come to it */
	l->pulling = true;
	for (size_t i = 0; i < o->n; i++) {
		struct pull_fx fx = o->fx[i];	/* o->fx may move */

		pull_one(l, &fx);
	}
	o->n = 0;
	l->pulling = false;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static const struct room *
room_of(const struct link *l, struct id id)
{
	const struct room *r = idmap_get(&l->opened, id);

	return r ? r : idmap_get(&l->rooms, id);
}

static void
feed_one(struct link *l, const struct feed_fx *fx)
{
	struct link_object o = { .id = fx->id };
	const struct room *r;

	switch (fx->kind) {
	case FEED_FX_OPEN:
		if ((r = room_of(l, fx->id)) != NULL && r->stamp) {
			feed_in(l, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = fx->id, .stamp = r->stamp, .bytes = r->bytes, .have = r->have });
			break;
		}
		o.kind = LINK_OPEN;
		tell_object(l, &o);
		break;
	case FEED_FX_CLOSE:
		free(idmap_del(&l->opened, fx->id));
		o.kind = LINK_CLOSE;
		tell_object(l, &o);
		break;
	case FEED_FX_REFUSE:
		BULK(l, fx->node, chunk_refused, .id = fx->id, .stamp = fx->stamp, .code = fx->code);
		break;
	}
}

static void
feed_run(struct link *l)
{
	struct feed_out *o = &l->feed_out;
	struct feed_chunk c;

	if (l->feeding)
		return;
	l->feeding = true;
	for (size_t i = 0; i < o->n; i++) {
		struct feed_fx fx = o->fx[i];

		feed_one(l, &fx);
	}
	o->n = 0;
	while (feed_next(&l->feed, &c)) {
		const struct room *r = room_of(l, c.id);

		if (r && r->stamp == c.stamp && c.off + c.n <= r->bytes)
			BULK(l, c.node, chunk, .id = c.id, .stamp = c.stamp, .off = c.off, .bytes = span_of(r->p + c.off, c.n));
	}
	l->feeding = false;
}

void
bulk_pump(struct peer *p)
{
	const struct lane *a = &p->lane[LANE_BULK];

	if (a->up && conn_out(a->conn)->len < BULK_ROOM && !conn_waits(a->conn))
		feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_ROOM, .node = p->node, .n = BULK_ROOM });
}

/* --- connections --------------------------------------------------------------------------------------------------- */

void
bulk_up(struct peer *p)
{
	struct lane *a = &p->lane[LANE_BULK];

	conn_done(a->conn, conn_out(a->conn)->len, p->bulk.len ? buf_add(conn_out(a->conn), p->bulk.data, p->bulk.len) : 0, NULL, 0, 0);
	buf_release(&p->bulk);
	pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_UP, .node = p->node });
	feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_ROOM, .node = p->node, .n = BULK_ROOM });
}

void
bulk_broken(struct peer *p)
{
	pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_BROKEN, .node = p->node });
	feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_BROKEN, .node = p->node });
}

void
bulk_over(struct peer *p)
{
	buf_release(&p->bulk);
	pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_GONE, .node = p->node });
	feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_BROKEN, .node = p->node });
}

static int
on_chunk(struct peer *p, const struct frame *f)
{
	struct link *l = p->l;
	struct msg_chunk m;
	struct room *r;
	uint64_t ticket;
	int e = msg_get_chunk(&m, f->body, f->len);

	if (e < 0 || !pull_begin(&l->pull, p->node, m.id, m.stamp, m.off, m.bytes.n, &ticket))
		return e;
	if ((r = idmap_get(&l->rooms, m.id)) != NULL && r->ticket == ticket)
		memcpy(r->p + m.off, m.bytes.p, m.bytes.n);
	pull_in(l, &(struct pull_in){ .kind = PULL_IN_CHUNK, .node = p->node });
	return 0;
}

int
bulk_frame(struct peer *p, const struct frame *f)
{
	struct msg_chunk_ask ask;
	struct msg_chunk_refused no;
	struct msg_chunk_stop stop;
	int e = 0;

	switch (f->type) {
	case MSG_CHUNK_T:
		return on_chunk(p, f);
	case MSG_CHUNK_ASK_T:
		if ((e = msg_get_chunk_ask(&ask, f->body, f->len)) == 0)
			feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_ASK, .node = p->node, .id = ask.id, .stamp = ask.stamp, .off = ask.off,
			    .n = ask.bytes, .priority = ask.priority < PULL_PRIORITIES ? (unsigned)ask.priority : PULL_PRIORITIES - 1 });
		break;
	case MSG_CHUNK_REFUSED_T:
		if ((e = msg_get_chunk_refused(&no, f->body, f->len)) == 0)
			pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_REFUSED, .node = p->node, .id = no.id, .stamp = no.stamp });
		break;
	case MSG_CHUNK_STOP_T:
		if ((e = msg_get_chunk_stop(&stop, f->body, f->len)) == 0)
			feed_in(p->l, &(struct feed_in){ .kind = FEED_IN_STOP, .node = p->node, .id = stop.id });
		break;
	}
	return e;
}

uint64_t
bulk_tick(struct link *l, uint64_t now)
{
	if (l->pull_at && l->pull_at <= now)
		pull_in(l, &(struct pull_in){ .kind = PULL_IN_TICK });
	if (l->feed_at && l->feed_at <= now)
		feed_in(l, &(struct feed_in){ .kind = FEED_IN_TICK });
	return l->pull_at == 0 || (l->feed_at && l->feed_at < l->pull_at) ? l->feed_at : l->pull_at;
}

/* --- words about objects ------------------------------------------------------------------------------------------- */

int
bulk_source(struct peer *p, const struct frame *f)
{
	struct msg_pull_source m;
	int e = msg_get_pull_source(&m, f->body, f->len);

	if (e < 0 || m.node > UINT32_MAX || m.headlen > UINT32_MAX || m.nbuf > UINT16_MAX || m.flags > UINT16_MAX || m.id.node != p->node)
		return ERR_PROTO;
	pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_SOURCE, .id = m.id, .node = (uint32_t)m.node, .extra = m.extra != 0,
	    .form = { m.bytes, m.stamp, m.size, (uint32_t)m.headlen, (uint16_t)m.nbuf, (uint16_t)m.flags } });
	return 0;
}

int
bulk_drop(struct peer *p, const struct frame *f)
{
	struct msg_place_drop m;
	char text[160];
	int e = msg_get_place_drop(&m, f->body, f->len);

	if (e < 0 || m.id.node != p->node)
		return ERR_PROTO;
	snprintf(text, sizeof text, "%.*s", (int)(m.text.n < 159 ? m.text.n : 159), (const char *)m.text.p);
	pull_in(p->l, &(struct pull_in){ .kind = PULL_IN_DROP, .id = m.id, .stamp = m.stamp, .code = (int)m.code, .text = text });
	return 0;
}

/* --- for the node ------------------------------------------------------------------------------------------------- */

static void
after(struct link *l)				/* a call of the node's: timers may have changed, frames are to leave */
{
	link_push(l);
	ev_async_send(l->loop, &l->wake);
	pthread_mutex_unlock(&l->lock);
}

int
link_want(struct link *l, struct id id, uint64_t bytes, enum pull_priority priority)
{
	int e;

	pthread_mutex_lock(&l->lock);
	e = pull_step(&l->pull, clock_ns(), &(struct pull_in){ .kind = PULL_IN_WANT, .id = id, .owner = id.node, .form.bytes = bytes,
	    .priority = priority }, &l->pull_out);
	l->pull_at = l->pull_out.at;
	pull_run(l);
	after(l);
	return e;
}

void
link_unwant(struct link *l, struct id id)
{
	pthread_mutex_lock(&l->lock);
	pull_in(l, &(struct pull_in){ .kind = PULL_IN_CANCEL, .id = id });
	after(l);
}

void
link_source(struct link *l, struct id id, uint32_t node, bool extra, const struct form *form)
{
	pthread_mutex_lock(&l->lock);
	pull_in(l, &(struct pull_in){ .kind = PULL_IN_SOURCE, .id = id, .node = node, .extra = extra, .form = *form });
	after(l);
}

void
link_drop(struct link *l, struct id id, uint64_t stamp, int code, const char *text)
{
	pthread_mutex_lock(&l->lock);
	pull_in(l, &(struct pull_in){ .kind = PULL_IN_DROP, .id = id, .stamp = stamp, .code = code, .text = text ? text : "" });
	after(l);
}

void
link_reserved(struct link *l, struct id id, uint64_t ticket, unsigned char *room, int code, const char *text)
{
	struct room *r = NULL;

	pthread_mutex_lock(&l->lock);
	if (code == 0 && ((r = calloc(1, sizeof *r)) == NULL || idmap_put(&l->rooms, id, r) < 0)) {
		free(r);
		code = -ENOMEM;
		text = "out of memory";
	} else if (code == 0)
		*r = (struct room){ .p = room, .ticket = ticket };
	pull_in(l, &(struct pull_in){ .kind = PULL_IN_RESERVED, .id = id, .ticket = ticket, .code = code, .text = text });
	after(l);
}

void
link_opened(struct link *l, struct id id, const struct form *form, const unsigned char *p)
{
	struct room *r = calloc(1, sizeof *r);

	pthread_mutex_lock(&l->lock);
	if (r == NULL || idmap_get(&l->opened, id) || idmap_put(&l->opened, id, r) < 0) {
		free(r);
		feed_in(l, &(struct feed_in){ .kind = FEED_IN_GONE, .id = id });
	} else {
		*r = (struct room){ .p = (unsigned char *)(uintptr_t)p, .stamp = form->stamp, .bytes = form->bytes, .have = form->bytes };
		feed_in(l, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = id, .stamp = form->stamp, .bytes = form->bytes, .have = form->bytes });
	}
	after(l);
}

void
link_lost(struct link *l, struct id id)
{
	pthread_mutex_lock(&l->lock);
	feed_in(l, &(struct feed_in){ .kind = FEED_IN_GONE, .id = id });
	after(l);
}
