/* transfer.c - effects of one part become messages, and messages inputs of another one */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/grow.h"
#include "core/transfer.h"
#include "wire/frame.h"
#include "wire/msg.h"

struct turn {				/* one step */
	struct transfer *t;
	uint64_t now;
	struct transfer_out *o;
	int e;				/* -ENOMEM once something was lost */
};

void
transfer_init(struct transfer *t, uint32_t self, uint64_t budget)
{
	*t = (struct transfer){ .self = self };
	places_init(&t->places);
	pull_init(&t->pull, self, budget);
	feed_init(&t->feed);
}

void
transfer_release(struct transfer *t)
{
	places_release(&t->places);
	pull_release(&t->pull);
	feed_release(&t->feed);
	buf_release(&t->local);
	free(t->of_places.fx);
	free(t->of_pull.fx);
	free(t->of_feed.fx);
	*t = (struct transfer){ .self = t->self };
}

static struct transfer_fx *
fx_add(struct turn *u, enum transfer_fx_kind kind, struct id id)
{
	static struct transfer_fx lost;
	struct transfer_fx *p = grow(u->o->fx, &u->o->cap, u->o->n, sizeof *p);

	if (p == NULL) {
		u->e = -ENOMEM;
		return &lost;
	}
	u->o->fx = p;
	p += u->o->n++;
	*p = (struct transfer_fx){ .kind = kind, .id = id };
	return p;
}

/* --- messages out: what is for us is kept aside ---------------------------------------------------------------------- */

static struct buf *
begin(struct turn *u, uint32_t node)
{
	return node == u->t->self ? &u->t->local : &u->o->bytes;
}

static void
sent(struct turn *u, uint32_t node, bool bulk, size_t at, int e)
{
	struct transfer_fx *fx;

	if (e < 0)
		u->e = e;
	else if (node != u->t->self) {
		fx = fx_add(u, TRANSFER_SEND, (struct id){ 0 });
		fx->node = node;
		fx->bulk = bulk;
		fx->at = at;
		fx->n = u->o->bytes.len - at;
	}
}

#define SEND(u, node, bulk, name, ...) do { \
	struct buf *to_ = begin(u, node); \
	size_t at_ = to_->len; \
	sent(u, node, bulk, at_, msg_put_##name(to_, &(struct msg_##name){ __VA_ARGS__ })); \
} while (0)
#define FORM(f) .bytes = (f).bytes, .stamp = (f).stamp, .size = (f).size, .headlen = (f).headlen, .nbuf = (f).nbuf, .flags = (f).flags

static void	to_feed(struct turn *u, const struct feed_in *in);

static void
places_fx(struct turn *u, const struct places_fx *fx)
{
	switch (fx->kind) {
	case PLACES_FX_SOURCE:
		SEND(u, fx->node, false, pull_source, .id = fx->id, .node = fx->source, .extra = fx->extra, FORM(fx->form));
		break;
	case PLACES_FX_DROP:
		SEND(u, fx->node, false, place_drop, .id = fx->id, .stamp = fx->form.stamp, .code = fx->code,
		    .text = span_text(fx->text ? fx->text : ""));
		break;
	case PLACES_FX_PRIMARY:
		SEND(u, fx->node, false, place_primary, .id = fx->id);
		break;
	case PLACES_FX_LOST:
		fx_add(u, TRANSFER_LOST, fx->id);
		break;
	}
}

static int
to_places(struct turn *u, const struct places_in *in)
{
	struct places_out *o = &u->t->of_places;
	int e;

	o->n = 0;
	e = places_step(&u->t->places, in, o);
	for (size_t i = 0; i < o->n; i++)
		places_fx(u, &o->fx[i]);
	return e;
}

static void
to_feed(struct turn *u, const struct feed_in *in)
{
	struct feed_out *o = &u->t->of_feed;
	struct feed_in again = { 0 };
	int e;

	o->n = 0;
	if ((e = feed_step(&u->t->feed, u->now, in, o)) < 0)
		u->e = e;
	for (size_t i = 0; i < o->n; i++) {
		const struct feed_fx *fx = &o->fx[i];
		const struct pull *p = pull_find(&u->t->pull, fx->id);

		if (fx->kind == FEED_FX_REFUSE)
			SEND(u, fx->node, true, chunk_refused, .id = fx->id, .stamp = fx->stamp, .code = fx->code);
		else if (fx->kind == FEED_FX_CLOSE)
			fx_add(u, TRANSFER_CLOSE, fx->id);
		else if (p && p->reserved)		/* what we are receiving ourselves; only ASK opens, and one at most */
			again = (struct feed_in){ .kind = FEED_IN_OPENED, .id = fx->id, .stamp = p->form.stamp, .bytes = p->form.bytes,
			    .have = p->have };
		else
			fx_add(u, TRANSFER_OPEN, fx->id);
	}
	if (again.kind == FEED_IN_OPENED)
		to_feed(u, &again);
}

static void
pull_local(struct turn *u, const struct pull_fx *fx)		/* what the caller does */
{
	static const enum transfer_fx_kind kind[] = {
		[PULL_FX_RESERVE] = TRANSFER_RESERVE, [PULL_FX_UNRESERVE] = TRANSFER_UNRESERVE, [PULL_FX_BREAK] = TRANSFER_BREAK,
		[PULL_FX_DONE] = TRANSFER_DONE, [PULL_FX_FAILED] = TRANSFER_FAILED,
	};
	struct transfer_fx *t = fx_add(u, kind[fx->kind], fx->id);

	t->node = fx->node;
	t->form = fx->form;
	t->stamp = fx->form.stamp;
	t->ticket = fx->ticket;
	t->code = fx->code;
	memcpy(t->text, fx->text, sizeof t->text);
}

static void
pull_fx(struct turn *u, const struct pull_fx *fx)
{
	switch (fx->kind) {
	case PULL_FX_WANT:
		SEND(u, fx->node, false, pull_want, .id = fx->id, .stamp = fx->form.stamp, .have = fx->have, .not = fx->not);
		break;
	case PULL_FX_PROGRESS:
		SEND(u, fx->node, false, place_progress, .id = fx->id, .stamp = fx->form.stamp, .have = fx->have);
		break;
	case PULL_FX_QUIT:
		SEND(u, fx->node, false, place_dropped, .id = fx->id);
		break;
	case PULL_FX_ASK:
		SEND(u, fx->node, true, chunk_ask, .id = fx->id, .stamp = fx->form.stamp, .off = fx->off, .bytes = fx->n,
		    .priority = fx->priority);
		break;
	case PULL_FX_STOP:
		SEND(u, fx->node, true, chunk_stop, .id = fx->id);
		break;
	case PULL_FX_HAVE:
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_OPENED, .id = fx->id, .stamp = fx->form.stamp, .bytes = fx->form.bytes,
		    .have = fx->have });
		break;
	case PULL_FX_UNRESERVE:
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_GONE, .id = fx->id });
		pull_local(u, fx);
		break;
	case PULL_FX_DONE:
		pull_local(u, fx);
		if (idmap_get(&u->t->feed.objects, fx->id))	/* from now on it is an object as any other one */
			fx_add(u, TRANSFER_OPEN, fx->id);
		SEND(u, fx->node, false, place_has, .id = fx->id, FORM(fx->form));
		break;
	case PULL_FX_RESERVE:
	case PULL_FX_BREAK:
	case PULL_FX_FAILED:
		pull_local(u, fx);
		break;
	}
}

static int
to_pull(struct turn *u, const struct pull_in *in)
{
	struct pull_out *o = &u->t->of_pull;
	int e;

	o->n = 0;
	e = pull_step(&u->t->pull, u->now, in, o);
	for (size_t i = 0; i < o->n; i++)
		pull_fx(u, &o->fx[i]);
	return e;
}

/* --- messages in --------------------------------------------------------------------------------------------------------- */

/* Those with a form: false if a field is larger than it can be. */
#define GET_FORM(f, m) ((m).headlen <= UINT32_MAX && (m).nbuf <= UINT16_MAX && (m).flags <= UINT16_MAX && \
	(*(f) = (struct form){ (m).bytes, (m).stamp, (m).size, (uint32_t)(m).headlen, (uint16_t)(m).nbuf, (uint16_t)(m).flags }, form_good(f)))

static void
dropped(struct turn *u, struct id id, uint64_t stamp)
{
	to_feed(u, &(struct feed_in){ .kind = FEED_IN_GONE, .id = id });
	SEND(u, id.node, false, place_dropped, .id = id, .stamp = stamp);
}

static int
on_drop(struct turn *u, const struct msg_place_drop *m)
{
	struct pull_in in = { .kind = PULL_IN_DROP, .id = m->id, .stamp = m->stamp, .code = (int)m->code };
	struct transfer_fx *fx;
	char text[sizeof fx->text];

	if (m->code > 0 || m->code < -100000)
		return ERR_PROTO;
	snprintf(text, sizeof text, "%.*s", (int)m->text.n, m->text.n ? (const char *)m->text.p : "");
	in.text = text;
	to_pull(u, &in);
	fx = fx_add(u, TRANSFER_DROP, m->id);
	fx->stamp = m->stamp;
	fx->code = in.code;
	memcpy(fx->text, text, sizeof fx->text);
	return 0;
}

/* of an owner's node: about objects of its owners only */
static int
from_owner(struct turn *u, uint32_t node, uint16_t type, const unsigned char *p, size_t n)
{
	union {
		struct msg_pull_source source;
		struct msg_place_drop drop;
		struct msg_place_primary primary;
	} m;
	struct pull_in in = { .kind = PULL_IN_SOURCE };

	switch (type) {
	case MSG_PULL_SOURCE_T:
		if (msg_get_pull_source(&m.source, p, n) < 0 || m.source.id.node != node || m.source.node > UINT32_MAX ||
		    !GET_FORM(&in.form, m.source))
			return ERR_PROTO;
		in.id = m.source.id;
		in.node = (uint32_t)m.source.node;
		in.extra = m.source.extra != 0;
		return to_pull(u, &in);
	case MSG_PLACE_DROP_T:
		return msg_get_place_drop(&m.drop, p, n) < 0 || m.drop.id.node != node ? ERR_PROTO : on_drop(u, &m.drop);
	default:
		if (msg_get_place_primary(&m.primary, p, n) < 0 || m.primary.id.node != node)
			return ERR_PROTO;
		fx_add(u, TRANSFER_PRIMARY, m.primary.id);
		return 0;
	}
}

/* to an owner's node, which we are */
static int
to_owner(struct turn *u, uint32_t node, uint16_t type, const unsigned char *p, size_t n)
{
	struct msg_pull_want want;
	struct msg_place_has has;
	struct msg_place_progress progress;
	struct msg_place_dropped gone;
	struct places_in in = { .node = node };
	int e;

	if (type == MSG_PULL_WANT_T && msg_get_pull_want(&want, p, n) == 0 && want.not <= UINT32_MAX) {
		in.kind = PLACES_IN_WANT;
		in.id = want.id;
		in.stamp = want.stamp;
		in.have = want.have;
		in.not = (uint32_t)want.not;
	} else if (type == MSG_PLACE_HAS_T && msg_get_place_has(&has, p, n) == 0 && GET_FORM(&in.form, has)) {
		in.kind = has.made ? PLACES_IN_MADE : PLACES_IN_PULLED;
		in.id = has.id;
	} else if (type == MSG_PLACE_PROGRESS_T && msg_get_place_progress(&progress, p, n) == 0) {
		in.kind = PLACES_IN_PROGRESS;
		in.id = progress.id;
		in.stamp = progress.stamp;
		in.have = progress.have;
	} else if (type == MSG_PLACE_DROPPED_T && msg_get_place_dropped(&gone, p, n) == 0) {
		in.kind = PLACES_IN_DROPPED;
		in.id = gone.id;
		in.stamp = gone.stamp;
	} else {
		return ERR_PROTO;
	}
	if (in.id.node != u->t->self)
		return ERR_PROTO;
	if ((e = to_places(u, &in)) != ERR_FULL)
		return e;
	SEND(u, node, false, place_drop, .id = in.id, .stamp = in.form.stamp, .code = ERR_FULL,
	    .text = span_text("the table of objects on other nodes is full on the node of its owner"));
	return 0;
}

static int
on_bulk(struct turn *u, uint32_t node, uint16_t type, const unsigned char *p, size_t n)
{
	struct msg_chunk_ask ask;
	struct msg_chunk_refused refused;
	struct msg_chunk_stop stop;

	if (type == MSG_CHUNK_ASK_T && msg_get_chunk_ask(&ask, p, n) == 0)
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_ASK, .node = node, .id = ask.id, .stamp = ask.stamp, .off = ask.off, .n = ask.bytes,
		    .priority = ask.priority < PULL_PRIORITIES ? (unsigned)ask.priority : PULL_PRIORITIES - 1 });
	else if (type == MSG_CHUNK_STOP_T && msg_get_chunk_stop(&stop, p, n) == 0)
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_STOP, .node = node, .id = stop.id });
	else if (type == MSG_CHUNK_REFUSED_T && msg_get_chunk_refused(&refused, p, n) == 0)
		return to_pull(u, &(struct pull_in){ .kind = PULL_IN_REFUSED, .id = refused.id, .node = node, .stamp = refused.stamp });
	else
		return ERR_PROTO;
	return 0;
}

static int
on_frame(struct turn *u, uint32_t node, uint16_t type, const unsigned char *p, size_t n)
{
	switch (type) {
	case MSG_PULL_SOURCE_T:
	case MSG_PLACE_DROP_T:
	case MSG_PLACE_PRIMARY_T:
		return from_owner(u, node, type, p, n);
	case MSG_PULL_WANT_T:
	case MSG_PLACE_HAS_T:
	case MSG_PLACE_PROGRESS_T:
	case MSG_PLACE_DROPPED_T:
		return to_owner(u, node, type, p, n);
	default:
		return on_bulk(u, node, type, p, n);
	}
}

/* What we say to ourselves, and what we answer to that.  A place that is full is the only one of them that can fail. */
static void
hear_ourselves(struct turn *u)
{
	struct buf b;
	struct frame f;

	while (u->t->local.len) {
		b = u->t->local;
		u->t->local = (struct buf)BUF_INIT;
		for (size_t at = 0; at < b.len;) {
			at += (size_t)frame_parse(&f, b.data + at, b.len - at, FRAME_MAX);
			if (on_frame(u, u->t->self, f.type, f.body, f.len) == -ENOMEM)
				u->e = -ENOMEM;
		}
		buf_release(&b);
	}
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

static int
about_node(struct turn *u, const struct transfer_in *in)
{
	static const enum pull_in_kind kind[] = {
		[TRANSFER_CHUNK] = PULL_IN_CHUNK, [TRANSFER_BROKEN] = PULL_IN_BROKEN, [TRANSFER_UP] = PULL_IN_UP, [TRANSFER_GONE] = PULL_IN_GONE,
	};
	int e = to_pull(u, &(struct pull_in){ .kind = kind[in->kind], .node = in->node });

	if (e == 0 && (in->kind == TRANSFER_BROKEN || in->kind == TRANSFER_GONE))
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_BROKEN, .node = in->node });
	if (e == 0 && in->kind == TRANSFER_GONE)
		e = to_places(u, &(struct places_in){ .kind = PLACES_IN_GONE, .node = in->node });
	return e;
}

static int
have(struct turn *u, const struct transfer_in *in)
{
	int e;

	if (!form_good(&in->form))
		return ERR_PROTO;
	if (pull_find(&u->t->pull, in->id) && (e = to_pull(u, &(struct pull_in){ .kind = PULL_IN_CANCEL, .id = in->id })) < 0)
		return e;
	if (in->id.node != u->t->self) {
		SEND(u, in->id.node, false, place_has, .id = in->id, .made = 1, FORM(in->form));
		return 0;
	}
	return to_places(u, &(struct places_in){ .kind = PLACES_IN_MADE, .id = in->id, .node = u->t->self, .form = in->form });
}

static int
step(struct turn *u, const struct transfer_in *in)
{
	switch (in->kind) {
	case TRANSFER_WANT:
		return to_pull(u, &(struct pull_in){ .kind = PULL_IN_WANT, .id = in->id, .owner = in->id.node, .form = in->form,
		    .priority = in->priority });
	case TRANSFER_CANCEL:
		return to_pull(u, &(struct pull_in){ .kind = PULL_IN_CANCEL, .id = in->id });
	case TRANSFER_HAVE:
		return have(u, in);
	case TRANSFER_DROPPED:
		if (in->stamp == 0)
			return ERR_PROTO;	/* it would be said of what is wanted here */
		dropped(u, in->id, in->stamp);
		return 0;
	case TRANSFER_FREE:
		return to_places(u, &(struct places_in){ .kind = PLACES_IN_FREE, .id = in->id, .code = in->code, .text = in->text });
	case TRANSFER_RESERVED:
		return to_pull(u, &(struct pull_in){ .kind = PULL_IN_RESERVED, .id = in->id, .ticket = in->ticket, .code = in->code,
		    .text = in->text });
	case TRANSFER_OPENED:
		to_feed(u, &(struct feed_in){ .kind = in->form.bytes ? FEED_IN_OPENED : FEED_IN_GONE, .id = in->id, .stamp = in->form.stamp,
		    .bytes = in->form.bytes, .have = in->form.bytes });
		return 0;
	case TRANSFER_ROOM:
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_ROOM, .node = in->node, .n = in->bytes });
		return 0;
	case TRANSFER_FRAME:
		return on_frame(u, in->node, in->type, in->body.p, in->body.n);
	case TRANSFER_TICK:
		to_feed(u, &(struct feed_in){ .kind = FEED_IN_TICK });
		return to_pull(u, &(struct pull_in){ .kind = PULL_IN_TICK });
	default:
		return about_node(u, in);
	}
}

int
transfer_step(struct transfer *t, uint64_t now, const struct transfer_in *in, struct transfer_out *o)
{
	struct turn u = { .t = t, .now = now, .o = o };
	uint64_t a, b;
	int e = step(&u, in);

	hear_ourselves(&u);
	a = t->of_pull.at;
	b = t->of_feed.at;
	o->at = a == 0 || (b && b < a) ? b : a;
	return e < 0 ? e : u.e;
}

bool
transfer_awaits(struct transfer *t, struct id id, uint64_t ticket)
{
	return pull_awaits(&t->pull, id, ticket);
}

bool
transfer_begin(struct transfer *t, uint32_t node, const struct chunk *c, uint64_t *ticket)
{
	return pull_begin(&t->pull, node, c->id, c->stamp, c->off, c->bytes, ticket);
}

bool
transfer_next(struct transfer *t, struct feed_chunk *c)
{
	return feed_next(&t->feed, c);
}
