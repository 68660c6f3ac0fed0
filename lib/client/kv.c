/* kv - requests to the key-value store, and watches that go on from where their last answer ended. */
#include <stdio.h>
#include "client/inner.h"
#include "client/kv.h"
#include "wire/mp.h"

struct kv_watch {
	uint64_t from;
	struct request *rq;		/* under way, or NULL */
	struct buf prefix;
};

/* waits for rq's answer, which must be of that type */
static int
answer(struct client *c, struct request **rq, uint16_t type, char *why, size_t n)
{
	int e = link_request(c, (*rq)->req, WAIT_FOREVER, rq);

	*why = '\0';
	if (e == 0 && (*rq)->type == MSG_FAIL_T)
		e = link_fail(*rq, why, n);
	else if (e == 0 && (*rq)->type != type)
		e = ERR_PROTO;
	if (e < 0 && !*why)
		snprintf(why, n, "%s", err_str(e));
	return e;
}

/* where the next page begins */
static int
last_key(struct span rows, struct buf *key)
{
	struct mp m = mp_read(rows.p, rows.n);
	struct mp_tok t;

	key->len = 0;
	while (m.p < m.end) {
		struct mp row = m;

		if (mp_skip(&m) < 0)
			return ERR_PROTO;
		if (m.p == m.end)
			return mp_next(&row, &t) < 0 || t.kind != MP_ARRAY || mp_next(&row, &t) < 0 || t.kind != MP_BIN ? ERR_PROTO :
			    buf_add(key, t.p, t.n);
	}
	return ERR_PROTO;			/* more, but not one now */
}

int
client_kv_get(struct client *c, struct span key, bool list, struct buf *rows, uint64_t *rev, char *why, size_t n)
{
	struct buf after = BUF_INIT;
	struct msg_kv_rows m;
	bool more, first = true;
	int e;

	do {
		struct request *rq;

		lock_take(&c->lock);
		if ((rq = link_expect_l(c)))
			LINK_ASK(c, rq, kv_get, .req = rq->req, .key = key, .list = list, .after = span_of(after.data, after.len));
		lock_drop(&c->lock);
		if (!rq)
			return -ENOMEM;
		if ((e = answer(c, &rq, MSG_KV_ROWS_T, why, n)) == 0 &&
		    (e = msg_get_kv_rows(&m, rq->body.data, rq->body.len)) == 0)
			e = buf_add(rows, m.rows.p, m.rows.n);
		more = e == 0 && m.more;
		if (e == 0 && first)
			*rev = m.revision;
		first = false;
		if (more)
			e = last_key(m.rows, &after);
		link_done(c, rq);
	} while (e == 0 && more);
	buf_release(&after);
	return e;
}

int
client_kv_txn(struct client *c, struct span compares, struct span ops, struct kv_done *d, char *why, size_t n)
{
	struct request *rq;
	struct msg_kv_done m;
	int e;

	*d = (struct kv_done){ .ok = false };
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, kv_txn, .req = rq->req, .compares = compares, .ops = ops);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = answer(c, &rq, MSG_KV_DONE_T, why, n)) == 0 && (e = msg_get_kv_done(&m, rq->body.data, rq->body.len)) == 0) {
		d->ok = m.ok != 0;
		d->revision = m.revision;
		d->changed = m.changed;
		d->have = m.have;
		e = m.key.n ? buf_add(&d->key, m.key.p, m.key.n) : 0;
	}
	link_done(c, rq);
	return e;
}

/* --- watches ----------------------------------------------------------------------------------------------- */

struct kv_watch *
client_kv_watch(struct client *c, struct span prefix, uint64_t from)
{
	struct kv_watch *w = calloc(1, sizeof *w);

	(void)c;
	if (!w || (prefix.n && buf_add(&w->prefix, prefix.p, prefix.n) < 0)) {
		free(w);
		return NULL;
	}
	w->from = from;
	return w;
}

static int
ask(struct client *c, struct kv_watch *w)
{
	lock_take(&c->lock);
	if ((w->rq = link_expect_l(c)))
		LINK_ASK(c, w->rq, kv_watch, .req = w->rq->req, .prefix = span_of(w->prefix.data, w->prefix.len), .from = w->from);
	lock_drop(&c->lock);
	return w->rq ? 0 : -ENOMEM;
}

static bool
answered(struct client *c, void *arg)
{
	(void)c;
	return ((struct request *)arg)->type != 0;
}

int
client_kv_next(struct client *c, struct kv_watch *w, uint64_t deadline, struct buf *events, uint64_t *next, char *why,
    size_t n)
{
	struct msg_kv_events m;
	int e;

	*why = '\0';
	if (!w->rq && (e = ask(c, w)) < 0)
		return e;
	if (!c->serving)
		service_start(c);
	if ((e = wait_until(c, answered, w->rq, deadline)) < 0 && e != ERR_NO_CLUSTER)
		return e;
	e = answer(c, &w->rq, MSG_KV_EVENTS_T, why, n);
	if (e == 0 && (e = msg_get_kv_events(&m, w->rq->body.data, w->rq->body.len)) == 0 &&
	    (e = buf_add(events, m.events.p, m.events.n)) == 0)
		*next = w->from = m.next;
	link_done(c, w->rq);
	w->rq = NULL;
	return e;
}

void
client_kv_unwatch(struct client *c, struct kv_watch *w)
{
	if (w->rq) {
		lock_take(&c->lock);
		if (w->rq->type == 0 && !c->lost)
			LINK_SEND(c, kv_cancel, .req = w->rq->req);
		lock_drop(&c->lock);
		link_done(c, w->rq);
	}
	buf_release(&w->prefix);
	free(w);
}
