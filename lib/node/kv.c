/*
 * kv - requests to the key-value store of the control store (core/kv.h) on their way there and back: they get the
 * number of an ask (ctl.c), and who wants something is filled in.
 */
#include <errno.h>
#include <stdlib.h>
#include "node/inner.h"
#include "wire/frame.h"

/*
 * --- changes that a daemon which died was asked for.  Programs ask the next one again, with the same number.  Each process has
 * PLACES for its last ones: it waits for one before it asks for the next, or few threads of it do.
 */

enum { PLACES = 8 };

static void
note(struct node *n, struct nproc *p, uint64_t req, const struct msg_kv_done *done)	/* NULL: it was asked */
{
	uint32_t key[2] = { p->number, req % PLACES };
	struct msg_kv_done m;
	struct buf b = BUF_INIT;

	if (done) {
		m = *done;
		m.req = req;
		if (msg_put_kv_done(&b, &m) < 0)
			b.len = 0;
		else
			buf_drop(&b, FRAME_HEAD - sizeof req);
	} else if (buf_reserve(&b, sizeof req) == 0) {
		b.len = sizeof req;
	}
	if (b.len)
		memcpy(b.data, &req, sizeof req);
	estate_put(n, ESTATE_TXN, key, sizeof key, span_buf(&b));
	buf_release(&b);
	p->txns = true;
}

static void
unnote(struct node *n, uint32_t proc)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		struct buf *b = map_del(&n->txns, (uint64_t)proc * PLACES + i);

		estate_del(n, ESTATE_TXN, (uint32_t[]){ proc, i }, 2 * sizeof proc);
		if (b)
			buf_release(b);
		free(b);
	}
}

static void
noted(void *node, struct span key, struct span val)
{
	struct node *n = node;
	struct buf *b;
	uint32_t k[2];

	if (key.n != sizeof k || val.n < sizeof(uint64_t))
		return;
	memcpy(k, key.p, sizeof k);
	if (map_get(&n->awaited, k[0]) == NULL || (b = calloc(1, sizeof *b)) == NULL)
		return;
	if (buf_add(b, val.p, val.n) < 0 || map_put(&n->txns, (uint64_t)k[0] * PLACES + k[1] % PLACES, b) < 0) {
		buf_release(b);
		free(b);
		return;
	}
	estate_put(n, ESTATE_TXN, k, sizeof k, val);
}

void
kv_inherit(struct node *n)
{
	estate_each(n, ESTATE_TXN, noted, n);
}

/* true: it was asked of the daemon before this one, and has its answer */
static bool
asked_before(struct nproc *p, uint64_t req)
{
	const struct buf *b = map_get(&p->n->txns, (uint64_t)p->number * PLACES + req % PLACES);
	struct msg_kv_done m;
	uint64_t was;

	if (b == NULL || (memcpy(&was, b->data, sizeof was), was != req))
		return false;
	if (b->len == sizeof was || msg_get_kv_done(&m, b->data + sizeof was, b->len - sizeof was) < 0)
		proc_fail(p, req, ERR_CLOSED, "the node's daemon died: it may or may not have been done");
	else
		SEND(p, kv_done, .req = req, .ok = m.ok, .revision = m.revision, .changed = m.changed, .key = m.key, .have = m.have);
	return true;
}

void
kv_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->txns, &it)) {
		buf_release(it.val);
		free(it.val);
	}
	map_release(&n->txns);
}

void
kv_late(struct node *n, uint32_t proc)
{
	unnote(n, proc);
	CTL(n, kv_gone, .proc = proc);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

/* Sends what a asks for; its body is the request as its process made it. */
static int
pass_on(struct node *n, const struct nproc *p, uint64_t ask, uint16_t type, struct span body)
{
	struct msg_kv_get get;
	struct msg_kv_watch watch;
	struct msg_kv_txn txn;
	int e;

	switch (type) {
	case MSG_KV_GET_T:
		if ((e = msg_get_kv_get(&get, body.p, body.n)) < 0)
			return e;
		get.req = ask;
		e = msg_put_kv_get(&n->ctl, &get);
		break;
	case MSG_KV_WATCH_T:
		if ((e = msg_get_kv_watch(&watch, body.p, body.n)) < 0)
			return e;
		watch.req = ask;
		e = msg_put_kv_watch(&n->ctl, &watch);
		break;
	default:
		if ((e = msg_get_kv_txn(&txn, body.p, body.n)) < 0)
			return e;
		txn.req = ask;
		txn.proc = p->number;
		txn.job = p->job ? p->job->number : 0;
		e = msg_put_kv_txn(&n->ctl, &txn);
	}
	if (e == 0)
		ctl_send(n);
	return 0;
}

static void
cancel(struct node *n, uint32_t proc, uint64_t req, bool all)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->asks, &it)) {
		const struct ask *a = it.val;

		if (a->proc != proc || a->type != MSG_KV_WATCH_T || (a->req != req && !all))
			continue;
		CTL(n, kv_cancel, .req = it.key);
		ctl_forget(n, it.key);
	}
}

static uint64_t
req_of(const struct frame *f, int *e)			/* all of them begin with it */
{
	struct msg_kv_cancel m;

	*e = msg_get_kv_cancel(&m, f->body, f->len);
	return m.req;
}

int
kv_frame(struct nproc *p, const struct frame *f)
{
	struct span body = span_of(f->body, f->len);
	struct node *n = p->n;
	uint64_t req, ask;
	int e;

	req = req_of(f, &e);
	if (e < 0)
		return e;
	if (f->type == MSG_KV_CANCEL_T) {
		cancel(n, p->number, req, false);
		return 0;
	}
	if (f->type == MSG_KV_TXN_T && p->job && p->job->over) {
		proc_fail(p, req, -EPERM, "the job is over: nothing can be bound to it");
		return 0;
	}
	p->kv = true;
	if (f->type == MSG_KV_TXN_T && p->n->txns.n && asked_before(p, req))
		return 0;
	if (f->type == MSG_KV_TXN_T && n->control == NULL)	/* the one inside answers before anybody else can die */
		note(n, p, req, NULL);
	if ((ask = ctl_ask(n, p, req, f->type, f->type == MSG_KV_TXN_T ? span_of(NULL, 0) : body)) == 0) {
		proc_fail(p, req, -ENOMEM, "the node is out of memory");
		return 0;
	}
	if ((e = pass_on(n, p, ask, f->type, body)) < 0)
		ctl_forget(n, ask);
	return e;
}

/* the control store went away: a question is asked again, as it was; false: it was none */
bool
kv_again(struct node *n, const struct nproc *p, const struct ask *a)
{
	struct span body = span_buf(&a->body);
	uint64_t ask;

	if ((a->type != MSG_KV_GET_T && a->type != MSG_KV_WATCH_T) || (ask = ctl_ask(n, p, a->req, a->type, body)) == 0)
		return false;
	pass_on(n, p, ask, a->type, body);
	return true;
}

void
kv_gone(struct nproc *p)
{
	if (!p->kv || p->n->stopping)
		return;
	cancel(p->n, p->number, 0, true);
	if (p->txns || p->n->txns.n)
		unnote(p->n, p->number);
	CTL(p->n, kv_gone, .proc = p->number);
}

/* an answer of the control store, for whoever asked a */
int
kv_answer(struct node *n, const struct ask *a, const struct frame *f)
{
	struct nproc *p = proc_find(n, a->proc);
	struct msg_kv_events events;
	struct msg_kv_rows rows;
	struct msg_kv_done done;
	int e;

	if (p == NULL)
		return 0;
	switch (f->type) {
	case MSG_KV_ROWS_T:
		if ((e = msg_get_kv_rows(&rows, f->body, f->len)) == 0)
			SEND(p, kv_rows, .req = a->req, .revision = rows.revision, .more = rows.more, .rows = rows.rows);
		return e;
	case MSG_KV_EVENTS_T:
		if ((e = msg_get_kv_events(&events, f->body, f->len)) == 0)
			SEND(p, kv_events, .req = a->req, .next = events.next, .events = events.events);
		return e;
	default:
		if ((e = msg_get_kv_done(&done, f->body, f->len)) == 0) {
			note(n, p, a->req, &done);
			SEND(p, kv_done, .req = a->req, .ok = done.ok, .revision = done.revision, .changed = done.changed,
			    .key = done.key, .have = done.have);
		}
		return e;
	}
}
