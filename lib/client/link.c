/*
 * link - the socket to rlet: frames out as far as it takes them, frames in one by one, answers to who waits.
 *
 * Who reads: the service thread; in a worker without one its main thread, whose bell rlet rings after it wrote.
 */
#include <stdio.h>
#include <unistd.h>
#include "client/inner.h"
#include "client/serve.h"
#include "os/fd.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"

#define BLOCK_NS 2000000u		/* an answer that takes longer is a wait */
#define LINK_TURN (64u << 10)		/* bytes taken at a time */

bool
link_backlog_l(const struct client *c)
{
	return c->out.len > 0 && !c->rejoining;
}

/* in place of an answer that will not come */
void
link_unanswered(struct request *rq, int code, const char *why)
{
	struct msg_fail f = { rq->req, code, span_of(why, strlen(why)) };
	struct buf b = BUF_INIT;

	if (msg_put_fail(&b, &f) == 0)
		buf_add(&rq->body, b.data + FRAME_HEAD, b.len - FRAME_HEAD);
	buf_release(&b);
	rq->type = MSG_FAIL_T;
}

void
link_unsent(struct request *rq, int code)
{
	link_unanswered(rq, code, code == ERR_VALUE ? "a name of more than 64 KiB, or more than 64 MiB in all, cannot be sent" : err_str(code));
}

/* whoever waits for us to come back need wait no longer */
void
link_leave(const struct client *c)
{
	if (atomic_load(&c->bell->proc) == c->me.proc)
		atomic_store(&c->bell->stays, 0);
}

void
link_cork_l(struct client *c)
{
	if (c->out.len > 16384 || !c->serving) {
		link_flush_l(c);
	} else if (!c->corked) {
		c->corked = true;
		service_nudge_l(c);
	}
}

void
link_sent_l(struct client *c, struct request *rq, size_t at)
{
	buf_add(&rq->sent, c->out.data + at, c->out.len - at);
	link_flush_l(c);
}

void
link_unsure_l(struct client *c, size_t at)
{
	buf_add(&c->unsure, c->out.data + at, c->out.len - at);	/* no memory: then it is sent once */
	c->unsure_at = ++c->next_req;
	link_cork_l(c);
}

void
link_answered_l(struct client *c, uint64_t req)
{
	if (req > c->unsure_at)
		c->unsure.len = 0;
}

void
link_flush_l(struct client *c)
{
	c->corked = false;
	if (c->rejoining)
		return;
	while (c->out.len && !c->lost) {
		int n = fd_send(c->sock, c->out.data, c->out.len, NULL, 0);

		if (n == -EAGAIN) {
			if (!c->serving)	/* a worker's bell does not ring when there is room again */
				service_start(c);
			service_nudge_l(c);
			return;
		}
		if (n < 0) {
			c->out.len = 0;		/* why comes with the end of file, to whoever reads */
			return;
		}
		buf_drop(&c->out, (size_t)n);
	}
	if (c->lost)
		c->out.len = 0;
}

/* --- dropping borrowed references, in batches ------------------------------------------------------------ */

void
link_drop_l(struct client *c, struct id id)
{
	unsigned char p[16];

	le_put32(p, id.node);
	le_put32(p + 4, id.proc);
	le_put64(p + 8, id.seq);
	buf_add(&c->drops, p, sizeof p);
	if (c->drops.len == sizeof p)
		service_nudge_l(c);
}

/* one message for each run of the same owner */
static void
link_ids_l(struct client *c, struct buf *ids, int kind, uint64_t arg)
{
	size_t n = ids->len;

	for (size_t i = 0, j; i < n; i = j) {
		const unsigned char *owner = ids->data + i;

		for (j = i + 16; j < n && j - i < 16 * 2048 && memcmp(ids->data + j, owner, 8) == 0; j += 16)
			;
		LINK_SEND(c, route, .proc = le_get32(owner + 4), .kind = kind, .arg = arg, .body = span_of(ids->data + i, j - i),
		    .node = le_get32(owner));
	}
	ids->len = 0;
}

void
link_holds_l(struct client *c)
{
	link_ids_l(c, &c->holds, ROUTE_HOLD, c->me.proc);
}

void
link_drops_l(struct client *c)
{
	link_holds_l(c);
	link_ids_l(c, &c->drops, ROUTE_DROP, 0);
}

/* --- requests ---------------------------------------------------------------------------------------------- */

struct request *
link_expect_l(struct client *c)
{
	struct request *rq = calloc(1, sizeof *rq);

	if (!rq)
		return NULL;
	rq->req = ++c->next_req;
	if (map_put(&c->request, rq->req, rq) < 0) {
		free(rq);
		return NULL;
	}
	return rq;
}

static bool
answered(struct client *c, void *arg)
{
	(void)c;
	return ((struct request *)arg)->type != 0;
}

int
link_request(struct client *c, uint64_t req, uint64_t deadline, struct request **out)
{
	uint64_t soon = c->in_task && deadline > clock_ns() + BLOCK_NS ? clock_ns() + BLOCK_NS : deadline;
	struct request *rq;
	int e;

	lock_take(&c->lock);
	rq = map_get(&c->request, req);
	if (c->lost && rq->type == 0)
		link_unanswered(rq, ERR_NO_CLUSTER, c->why);
	lock_drop(&c->lock);
	*out = rq;
	do
		e = wait_until(c, answered, rq, soon);
	while (e == -EINTR);
	if (e == -ETIMEDOUT && soon < deadline) {	/* a task gives its CPU back meanwhile */
		bool block = c->in_task && !c->crowd && atomic_load(&c->page->state) == PAGE_RUN;

		if (block)
			serve_block(c, true);
		do
			e = wait_until(c, answered, rq, deadline);
		while (e == -EINTR);
		if (block)
			serve_block(c, false);
	}
	return rq->type ? 0 : e;
}

void
link_done(struct client *c, struct request *rq)
{
	if (!rq)
		return;
	lock_take(&c->lock);
	map_del(&c->request, rq->req);
	lock_drop(&c->lock);
	buf_release(&rq->body);
	buf_release(&rq->rows);
	buf_release(&rq->sent);
	free(rq);
}

int
link_fail(const struct request *rq, char *why, size_t n)
{
	struct msg_fail f;

	if (msg_get_fail(&f, rq->body.data, rq->body.len) < 0 || f.code >= 0) {
		snprintf(why, n, "the node does not answer");
		return ERR_NO_CLUSTER;
	}
	snprintf(why, n, "%.*s", (int)f.text.n, (const char *)f.text.p);
	return (int)f.code;
}

void
link_reply_l(struct client *c, uint64_t req, const struct frame *f)
{
	struct request *rq = map_get(&c->request, req);

	if (!rq || rq->type)
		return;
	buf_add(&rq->body, f->body, f->len);
	rq->type = f->type;
	if (!rq->name)
		link_answered_l(c, req);
}

/* --- what comes ------------------------------------------------------------------------------------------------ */

struct ask {				/* a name that somebody lacks */
	struct list link;
	uint32_t proc;
	uint64_t arg;
	size_t n;
	unsigned char text[];
};

void
link_asked_l(struct client *c, const struct msg_route *m)
{
	struct ask *a = malloc(sizeof *a + m->body.n);

	if (!a)
		return;
	a->proc = (uint32_t)m->proc;
	a->arg = m->arg;
	a->n = m->body.n;
	memcpy(a->text, m->body.p, m->body.n);
	list_add_tail(&c->asks, &a->link);
}

/* answers names on the main thread; the lock is not held: Lua runs */
void
link_answer_names(struct client *c)
{
	for (;;) {
		struct buf b = BUF_INIT;
		struct ask *a;

		lock_take(&c->lock);
		a = list_empty(&c->asks) ? NULL : list_entry(list_shift(&c->asks), struct ask, link);
		lock_drop(&c->lock);
		if (!a)
			return;
		if (c->hooks.answer && a->n > 0)
			c->hooks.answer(c->hooks.arg, (char)a->text[0], (const char *)a->text + 1, a->n - 1, &b);
		else
			buf_add(&b, "0this program has no Lua", 24);
		lock_take(&c->lock);
		LINK_SEND(c, route, .proc = a->proc, .kind = ROUTE_NAMED, .arg = a->arg, .body = span_of(b.data, b.len));
		lock_drop(&c->lock);
		buf_release(&b);
		free(a);
	}
}

static int
frames_l(struct client *c)
{
	size_t used = 0;
	int e = 0;

	while (e == 0) {
		struct frame f;
		ssize_t n = frame_parse(&f, c->in.data + used, c->in.len - used, FRAME_MAX);

		if (n == ERR_PARTIAL)
			break;
		if (n < 0)
			return (int)n;
		if (f.nfd > c->nfds)
			return ERR_PROTO;
		e = dispatch_l(c, &f, c->fds);
		for (unsigned i = 0; i < f.nfd; i++)
			close(c->fds[i]);
		c->nfds -= f.nfd;
		memmove(c->fds, c->fds + f.nfd, c->nfds * sizeof *c->fds);
		used += (size_t)n;
	}
	buf_drop(&c->in, used);
	return e;
}

void
link_read_l(struct client *c)
{
	if (c->in.len && frames_l(c) < 0)	/* what came together with WELCOME */
		link_lose_l(c, "the node sent nonsense");
	while (!c->lost) {
		int fds[FD_MAX], nfd = FD_MAX, e;
		ssize_t n;

		if (buf_reserve(&c->in, LINK_TURN) < 0) {
			link_lose_l(c, "out of memory");
			return;
		}
		n = fd_recv(c->sock, c->in.data + c->in.len, LINK_TURN, fds, &nfd);
		if (n == -EAGAIN || n == -EINTR)
			return;
		for (int i = 0; i < nfd && n > 0; i++) {
			if (c->nfds < sizeof c->fds / sizeof *c->fds)
				c->fds[c->nfds++] = fds[i];
			else
				close(fds[i]);
		}
		if (n == -EMFILE) {			/* what it sent is lost, and the node has not died */
			link_lose_l(c, "too many open files (ulimit -n) to take what the node sent");
			return;
		}
		if (n <= 0 && rejoin_l(c) == 0)
			return;
		if (n <= 0) {
			link_lose_l(c, n == 0 || n == -ECONNRESET ? "the node died" : err_str((int)n));
			return;
		}
		c->in.len += (size_t)n;
		if ((e = frames_l(c)) < 0) {
			link_lose_l(c, "the node sent nonsense");
			return;
		}
		if (c->freed)
			mem_freed_l(c);
		if ((size_t)n < LINK_TURN && nfd == 0)
			return;
	}
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static int
each_row(struct span rows, int (*row)(void *arg, struct span map), void *arg)
{
	struct mp m = mp_read(rows.p, rows.n);
	struct mp_tok list;
	int e = mp_next(&m, &list) < 0 || list.kind != MP_ARRAY ? ERR_PROTO : 0;

	for (size_t i = 0; e == 0 && i < list.n; i++) {
		const unsigned char *p = m.p;

		if ((e = mp_skip(&m)) == 0)
			e = row(arg, span_of(p, (size_t)(m.p - p)));
	}
	return e;
}

int
client_list(struct client *c, const char *what, int (*row)(void *arg, struct span map), void *arg, char *why, size_t n)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, list, .req = rq->req, .what = span_of(what, strlen(what)));
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	for (size_t at = 0; e == 0 && at + 4 <= rq->rows.len;) {
		uint32_t len = le_get32(rq->rows.data + at);

		e = each_row(span_of(rq->rows.data + at + 4, len), row, arg);
		at += 4 + len;
	}
	link_done(c, rq);
	return e;
}

int
client_stop_node(struct client *c, bool force, char *why, size_t n)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_CALL(c, rq, stop, .force = force, .req = rq->req);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	snprintf(why, n, "%s", "");
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	link_done(c, rq);
	return e == ERR_NO_CLUSTER ? 0 : e;	/* it may end before it answers */
}

int
client_drain(struct client *c, uint32_t node, bool on, char *why, size_t n)
{
	struct request *rq;
	int e;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_CALL(c, rq, drain, .node = node, .on = on, .req = rq->req);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	snprintf(why, n, "%s", "");
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	link_done(c, rq);
	return e == ERR_NO_CLUSTER ? 0 : e;	/* it may end before it answers */
}

int
client_scale(struct client *c, const char *types, const char *drains)
{
	lock_take(&c->lock);
	LINK_SEND(c, scale, .types = span_of(types, strlen(types)), .drains = span_of(drains, strlen(drains)));
	lock_drop(&c->lock);
	return c->lost ? ERR_NO_CLUSTER : 0;
}

int
client_ask_name(struct client *c, char kind, const char *name, size_t n, struct buf *out)
{
	struct msg_route m;
	struct request *rq;
	struct buf b = BUF_INIT;
	uint32_t driver;
	int e;

	lock_take(&c->lock);
	driver = (uint32_t)c->me.driver;
	rq = driver ? link_expect_l(c) : NULL;
	if (rq)
		rq->name = true;
	if (rq && buf_add(&b, &kind, 1) == 0 && buf_add(&b, name, n) == 0)
		LINK_CALL(c, rq, route, .proc = driver, .kind = ROUTE_NAME, .arg = rq->req, .body = span_of(b.data, b.len));
	lock_drop(&c->lock);
	buf_release(&b);
	if (!rq)
		return ERR_NOTFOUND;
	e = link_request(c, rq->req, WAIT_FOREVER, &rq);
	if (e == 0 && (rq->type != MSG_ROUTE_T || msg_get_route(&m, rq->body.data, rq->body.len) < 0))
		e = ERR_LOST;
	if (e == 0)
		e = buf_add(out, m.body.p, m.body.n);
	link_done(c, rq);
	return e;
}

/* the driver is gone: nobody answers what it was asked */
void
link_driver_gone_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->request, &it)) {
		struct request *rq = it.val;

		if (rq->name && rq->type == 0)
			rq->type = MSG_FAIL_T;
	}
}

void
client_set_hooks(struct client *c, const struct client_hooks *h)
{
	c->hooks = *h;
}
