/*
 * bulk - objects between nodes: what core/transfer.h decides, carried out.
 *
 * What is said about objects goes through sessions, chunks and what is asked of them through a connection of their own, which
 * no session knows of: who receives knows what it has and asks again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/grow.h"
#include "link/inner.h"

#define BULK_ROOM (UINT64_C(2) << 20)	/* bytes that wait for a connection */

struct room {			/* bytes of an object, after its header */
	struct arena_fill fill;		/* where they come */
	const unsigned char *p;		/* where they are */
	uint64_t ticket, stamp, bytes;
};

static int step(struct link *l, const struct transfer_in *in);

void
bulk_start(struct link *l)
{
	transfer_init(&l->transfer, l->o.node, l->o.budget);
}

static void
rooms_free(struct idmap *m)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(m, &it))
		free(it.val);
	idmap_release(m);
}

void
bulk_stop(struct link *l)
{
	rooms_free(&l->rooms);
	rooms_free(&l->opened);
	rooms_free(&l->lent);
	transfer_release(&l->transfer);
	free(l->moving.fx);
	buf_release(&l->moving.bytes);
}

static void
tell(struct link *l, const struct transfer_fx *fx)
{
	link_tell(l, LINK_OBJECT, 0, 0, span_of(fx, sizeof *fx));
}

/* --- frames out ---------------------------------------------------------------------------------------------------- */

static void
send_bulk(struct link *l, uint32_t node, const void *head, size_t n, const void *bytes, size_t nbytes)
{
	struct peer *p = map_get(&l->peers, node);
	struct lane *a = p ? &p->lane[LANE_BULK] : NULL;
	struct buf *b = a && a->up ? conn_out(a->conn) : p && p->bulk.len < BULK_ROOM ? &p->bulk : NULL;
	size_t at = b ? b->len : 0;
	int e;

	if (b == NULL)
		return;				/* as if the connection had broken: it is asked for again */
	if ((e = buf_reserve(b, n + nbytes)) == 0) {
		buf_add(b, head, n);
		buf_add(b, bytes, nbytes);
	}
	if (b != &p->bulk)
		conn_done(a->conn, at, e, NULL, 0, 0);
	else
		ev_async_send(l->loop, &l->wake);	/* to be connected */
}

/* about an object, in the session */
static void
send_word(struct link *l, uint32_t node, const void *frame, size_t n)
{
	struct peer *p = map_get(&l->peers, node);

	if (p == NULL)
		return;
	if (session_push(&p->s, SESSION_SMALL, frame, n) < 0)
		peer_wrong(p, "64 MiB wait for it");
	peer_pump(p);
	if (p->lane[LANE_SMALL].conn == NULL)
		ev_async_send(l->loop, &l->wake);
}

/* --- effects ------------------------------------------------------------------------------------------------------ */

static const struct room *
room_of(const struct link *l, struct id id)
{
	const struct room *r = idmap_get(&l->lent, id);

	r = r ? r : idmap_get(&l->opened, id);
	return r ? r : idmap_get(&l->rooms, id);
}

/* what it received can be read from where it lies, by those who are reading it already, till the node has opened it */
static void
received(struct link *l, const struct transfer_fx *fx)
{
	struct room *r = idmap_get(&l->rooms, fx->id);

	if (r == NULL || r->ticket != fx->ticket)
		return;
	idmap_del(&l->rooms, fx->id);
	r->stamp = fx->form.stamp;
	r->bytes = fx->form.bytes;
	if (idmap_get(&l->opened, fx->id) || !idmap_get(&l->transfer.feed.objects, fx->id) || idmap_put(&l->opened, fx->id, r) < 0)
		free(r);
}

static void
fx(struct link *l, const struct transfer_fx *fx)
{
	const struct room *r;
	struct peer *p;

	switch (fx->kind) {
	case TRANSFER_SEND:
		if (fx->bulk)
			send_bulk(l, fx->node, l->moving.bytes.data + fx->at, fx->n, NULL, 0);
		else
			send_word(l, fx->node, l->moving.bytes.data + fx->at, fx->n);
		return;
	case TRANSFER_BREAK:
		if ((p = map_get(&l->peers, fx->node)) != NULL)
			peer_break(p, LANE_BULK);
		return;
	case TRANSFER_UNRESERVE:
		if ((r = idmap_get(&l->rooms, fx->id)) != NULL && r->ticket == fx->ticket)
			free(idmap_del(&l->rooms, fx->id));
		break;
	case TRANSFER_DONE:
		received(l, fx);
		break;
	case TRANSFER_OPEN:
		if ((r = idmap_get(&l->lent, fx->id)) != NULL) {
			step(l, &(struct transfer_in){ .kind = TRANSFER_OPENED, .id = fx->id, .form = { .stamp = r->stamp, .bytes = r->bytes } });
			return;
		}
		break;
	case TRANSFER_CLOSE:
		free(idmap_del(&l->opened, fx->id));
		if (idmap_get(&l->lent, fx->id))
			return;
		break;
	default:
		break;
	}
	tell(l, fx);
}

static void
chunks(struct link *l)
{
	unsigned char head[CHUNK_HEAD_MAX];
	struct feed_chunk c;

	while (transfer_next(&l->transfer, &c)) {
		const struct room *r = room_of(l, c.id);
		struct chunk k = { c.id, c.stamp, c.off, (uint32_t)c.n };

		if (r && (r->stamp == c.stamp || r->stamp == 0))	/* 0: it is being received */
			send_bulk(l, c.node, head, chunk_pack(head, &k), r->p + c.off, c.n);
	}
}

static int
step(struct link *l, const struct transfer_in *in)
{
	struct transfer_out *o = &l->moving;
	int e = transfer_step(&l->transfer, clock_ns(), in, o);

	if (l->in_step)
		return e;			/* the loop below will come to it */
	l->in_step = true;
	for (size_t i = 0; i < o->n; i++) {
		struct transfer_fx one = o->fx[i];	/* o->fx may move */

		fx(l, &one);
	}
	o->n = o->bytes.len = 0;
	chunks(l);
	l->in_step = false;
	return e;
}

/* --- connections --------------------------------------------------------------------------------------------------- */

void
bulk_pump(struct peer *p)
{
	const struct lane *a = &p->lane[LANE_BULK];

	if (a->up && conn_out(a->conn)->len < BULK_ROOM && !conn_waits(a->conn))
		step(p->l, &(struct transfer_in){ .kind = TRANSFER_ROOM, .node = p->node, .bytes = BULK_ROOM });
}

void
bulk_up(struct peer *p)
{
	struct lane *a = &p->lane[LANE_BULK];

	a->conn->mark_bytes = 4 * BULK_ROOM;
	if (p->bulk.len) {
		size_t at = conn_out(a->conn)->len;
		int e = buf_add(conn_out(a->conn), p->bulk.data, p->bulk.len);

		conn_done(a->conn, at, e, NULL, 0, 0);
	}
	buf_release(&p->bulk);
	step(p->l, &(struct transfer_in){ .kind = TRANSFER_UP, .node = p->node });
	bulk_pump(p);
}

void
bulk_broken(struct peer *p)
{
	step(p->l, &(struct transfer_in){ .kind = TRANSFER_BROKEN, .node = p->node });
}

void
bulk_over(struct peer *p)
{
	buf_release(&p->bulk);
	step(p->l, &(struct transfer_in){ .kind = TRANSFER_GONE, .node = p->node });
}

static int
on_chunk(struct peer *p, const struct frame *f)
{
	struct link *l = p->l;
	struct msg_chunk m;
	struct chunk c;
	struct room *r;
	unsigned char *to;
	uint64_t ticket;
	int e = msg_get_chunk(&m, f->body, f->len);

	if (e < 0 || m.bytes.n > CHUNK_BYTES_MAX)
		return ERR_PROTO;
	c = (struct chunk){ m.id, m.stamp, m.off, (uint32_t)m.bytes.n };
	if (!transfer_begin(&l->transfer, p->node, &c, &ticket))
		return 0;
	r = idmap_get(&l->rooms, m.id);
	if (r && r->ticket == ticket && (e = arena_fill_at(&r->fill, m.off, m.bytes.n, &to)) == 0)
		memcpy(to, m.bytes.p, m.bytes.n);
	if (e < 0)			/* no memory for it: it will never be whole */
		step(l, &(struct transfer_in){ .kind = TRANSFER_CANCEL, .id = m.id });
	step(l, &(struct transfer_in){ .kind = TRANSFER_CHUNK, .node = p->node });
	if (e < 0)
		tell(l, &(struct transfer_fx){ .kind = TRANSFER_FAILED, .id = m.id, .code = ERR_FULL, .text = "the machine has no memory for the object" });
	return 0;
}

int
bulk_frame(struct peer *p, const struct frame *f)
{
	return f->type == MSG_CHUNK_T ? on_chunk(p, f) : bulk_word(p, f);
}

int
bulk_word(struct peer *p, const struct frame *f)
{
	return step(p->l, &(struct transfer_in){ .kind = TRANSFER_FRAME, .node = p->node, .type = f->type, .body = span_of(f->body, f->len) });
}

uint64_t
bulk_tick(struct link *l, uint64_t now)
{
	if (l->moving.at && l->moving.at <= now)
		step(l, &(struct transfer_in){ .kind = TRANSFER_TICK });
	return l->moving.at;
}

/* --- for rings ---------------------------------------------------------------------------------------------------- */

static void
form_of(struct link *l, const struct obj_view *v, struct form *f)
{
	*f = (struct form){ arena_travels(l->o.arena, v), link_stamp(l), v->size, (uint32_t)v->headlen, v->nbuf, v->flags };
}

int
bulk_made(struct link *l, const struct obj_view *v)
{
	struct link_made m = { .id = v->id, .off = v->off, .gen = v->gen };
	int e;

	form_of(l, v, &m.form);
	if ((e = step(l, &(struct transfer_in){ .kind = TRANSFER_HAVE, .id = v->id, .form = m.form })) == 0)
		link_tell(l, LINK_MADE, 0, 0, span_of(&m, sizeof m));
	return e;
}

int
bulk_lend(struct link *l, const struct obj_view *v, struct form *f)
{
	struct room *r = calloc(1, sizeof *r);

	if (r == NULL || idmap_get(&l->lent, v->id) || idmap_put(&l->lent, v->id, r) < 0) {
		free(r);
		return -ENOMEM;
	}
	form_of(l, v, f);
	*r = (struct room){ .p = l->o.arena->base + v->off + sizeof(struct obj_hdr), .stamp = f->stamp, .bytes = f->bytes };
	return step(l, &(struct transfer_in){ .kind = TRANSFER_HAVE, .id = v->id, .form = *f });
}

void
bulk_lent_back(struct link *l, struct id id)
{
	struct room *r = idmap_del(&l->lent, id);

	if (r == NULL)
		return;
	free(r);
	step(l, &(struct transfer_in){ .kind = TRANSFER_FREE, .id = id });
}

int
bulk_want(struct link *l, struct id id, uint64_t bytes, enum pull_priority priority)
{
	return step(l, &(struct transfer_in){ .kind = TRANSFER_WANT, .id = id, .form.bytes = bytes, .priority = priority });
}

void
bulk_unwant(struct link *l, struct id id)
{
	step(l, &(struct transfer_in){ .kind = TRANSFER_CANCEL, .id = id });
	link_tell(l, LINK_USED, 0, 0, span_of(&id, sizeof id));
}

/* --- for the node ------------------------------------------------------------------------------------------------- */

static void
after(struct link *l)				/* a call of the node's: timers may have changed, frames are to leave */
{
	link_push(l);
	ev_async_send(l->loop, &l->wake);
	link_drop(l);
}

uint64_t
link_stamp(struct link *l)
{
	return (uint64_t)l->o.node << 32 | (uint32_t)atomic_fetch_add(&l->stamps, 1);
}

int
link_object(struct link *l, const struct transfer_in *in)
{
	const struct places_object *o;
	int e = 0;

	link_take(l);
	o = in->kind == TRANSFER_FREE && in->code < 0 ? idmap_get(&l->transfer.places.objects, in->id) : NULL;
	if (o == NULL || o->lost)
		e = step(l, in);
	after(l);
	return e;
}

void
link_room(struct link *l, struct id id, uint64_t ticket, const struct arena_fill *fill, int code, const char *text)
{
	struct room *r = NULL;

	link_take(l);
	if (code == 0 && transfer_awaits(&l->transfer, id, ticket)) {	/* else it was given up, and the node is being told */
		free(idmap_del(&l->rooms, id));		/* of one before, which was given up while it was written to */
		if ((r = calloc(1, sizeof *r)) == NULL || idmap_put(&l->rooms, id, r) < 0) {
			free(r);
			code = -ENOMEM;
			text = "out of memory";
		} else
			*r = (struct room){ .fill = *fill, .p = fill->a->base + fill->off + sizeof(struct obj_hdr), .ticket = ticket };
	}
	step(l, &(struct transfer_in){ .kind = TRANSFER_RESERVED, .id = id, .ticket = ticket, .code = code, .text = text });
	after(l);
}

void
link_opened(struct link *l, struct id id, const struct form *form, const unsigned char *p)
{
	struct transfer_in in = { .kind = TRANSFER_OPENED, .id = id };
	struct room *r = NULL;

	link_take(l);
	if (form && (r = idmap_get(&l->opened, id)) == NULL && ((r = calloc(1, sizeof *r)) == NULL || idmap_put(&l->opened, id, r) < 0)) {
		free(r);
		r = NULL;
	}
	if (r) {
		*r = (struct room){ .p = p, .stamp = form->stamp, .bytes = form->bytes };
		in.form = *form;
	}
	step(l, &in);
	after(l);
}

void
link_disown(struct link *l, uint32_t proc)
{
	struct idmap_iter it = IDMAP_ITER;
	struct id *v = NULL, *w;
	size_t n = 0, cap = 0;

	link_take(l);
	while (idmap_next(&l->transfer.places.objects, &it))
		if (it.key.proc == proc && it.key.node == l->o.node && (w = grow(v, &cap, n, sizeof *v)) != NULL) {
			v = w;
			v[n++] = it.key;
		}
	for (size_t i = 0; i < n; i++)
		step(l, &(struct transfer_in){ .kind = TRANSFER_FREE, .id = v[i], .code = ERR_LOST, .text = "its owner is gone" });
	free(v);
	after(l);
}

bool
link_here(struct link *l, struct id id, uint64_t off, uint32_t gen, int code, const char *text)
{
	bool used;

	link_take(l);
	used = submit_args(l, id, off, gen, code, text);
	after(l);
	return used;
}
