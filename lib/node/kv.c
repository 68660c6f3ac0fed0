/*
 * kv - requests to the key-value store of the control store (core/kv.h) on their way there and back: they get the
 * number of an ask (ctl.c), and who wants something is filled in.
 */
#include <errno.h>
#include "node/inner.h"

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
		if ((e = msg_get_kv_done(&done, f->body, f->len)) == 0)
			SEND(p, kv_done, .req = a->req, .ok = done.ok, .revision = done.revision, .changed = done.changed,
			    .key = done.key, .have = done.have);
		return e;
	}
}
