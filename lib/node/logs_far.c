/*
 * logs_far - what tasks print where their driver is not: their node sends the lines as records, the driver's node shows them.
 *
 * So much of a job's lines is under way at a time as LOGS_AHEAD; the rest stays in the workers' files until some were
 * shown, as on one node what a driver does not take does.  Everything is sent by the thread, which says that its link goes
 * by logs_alone; what comes is taken from the loop, and kept for the thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include "link/link.h"
#include "node/abroad.h"
#include "node/logs.h"
#include "wire/le.h"

enum { FAR_HEAD = 8 };			/* of what came: u32 node, u32 bytes */

/* --- the thread ------------------------------------------------------------------------------------------------------ */

/* lock held: 0; ERR_FULL, -ENOMEM: later; else it is gone */
static int
post(struct logs *l, uint32_t node, int e, struct buf *frame)
{
	if (e == 0)
		e = l->link ? link_send(l->link, node, SESSION_SMALL, frame->data, frame->len) : ERR_NOTFOUND;
	buf_release(frame);
	return e;
}

static int
post_lines(struct logsink *s)		/* some of s->out: 1, 0: no room, or an error */
{
	struct logs *l = s->logs;
	struct buf b = BUF_INIT;
	uint64_t room;
	size_t n;
	int e;

	pthread_mutex_lock(&l->lock);
	room = LOGS_AHEAD - (s->sent - s->shown);
	n = output_records(s->out.data, s->out.len < room ? s->out.len < LOGS_READ ? s->out.len : LOGS_READ : room < LOGS_READ ? room : LOGS_READ);
	e = n == 0 ? 0 : post(l, s->home, msg_put_far_output(&b, &(struct msg_far_output){ .job = s->job, .lines = span_of(s->out.data, n) }), &b);
	pthread_mutex_unlock(&l->lock);
	if (n == 0 || e == ERR_FULL || e == -ENOMEM)
		return 0;
	if (e < 0)
		return e;
	s->sent += n;
	buf_drop(&s->out, n);
	return 1;
}

bool
far_write(struct logsink *s)
{
	int e = 1;

	for (size_t at = 0; at < s->say.len;) {
		size_t n = s->say.len - at < OUTPUT_LINE ? s->say.len - at : OUTPUT_LINE;

		output_pack_text(&s->out, s->say.data + at, n);
		at += n;
	}
	s->say.len = 0;
	while (s->out.len && (e = post_lines(s)) > 0)
		;
	if (e < 0)
		sink_close(s);
	s->blocked = e == 0;
	return !s->blocked;
}

void
far_flushed(struct logs *l, const struct logsink *s)	/* lock held */
{
	struct buf b = BUF_INIT;

	post(l, s->home, msg_put_far_flushed(&b, &(struct msg_far_flushed){ .job = s->job, .round = s->flush_req }), &b);
}

/* lock held, given up meanwhile: lines of other nodes are shown, as far as there is room; true: some were */
bool
far_show(struct logs *l, struct logsink *s, uint64_t now)
{
	struct buf b = BUF_INIT, in = s->far;
	bool any = false;
	size_t at = 0;

	if (in.len == 0 || s->blocked || s->out.len >= LOGS_READ)
		return false;
	s->far = (struct buf)BUF_INIT;
	while (at < in.len && s->out.len < LOGS_READ) {
		uint32_t node = le_get32(in.data + at), n = le_get32(in.data + at + 4);

		pthread_mutex_unlock(&l->lock);
		if (sink_listens(s))
			output_unpack(&s->text, now, in.data + at + FAR_HEAD, n, &s->out);
		pthread_mutex_lock(&l->lock);
		post(l, node, msg_put_far_shown(&b, &(struct msg_far_shown){ .job = s->job, .bytes = n }), &b);
		at += FAR_HEAD + n;
		any = true;
	}
	buf_drop(&in, at);
	if (in.len && buf_add(&in, s->far.data, s->far.len) == 0) {	/* what came meanwhile is behind it */
		b = s->far;
		s->far = in;
		in = b;
	}
	buf_release(&in);
	return any;
}

/* --- the loop --------------------------------------------------------------------------------------------------------- */

/* the logs know the link, once a job has to do with other nodes */
static struct logs *
linked(struct node *n)
{
	struct logs *l = n->logs;

	if (l && l->link == NULL && n->abroad) {
		pthread_mutex_lock(&l->lock);
		l->link = n->abroad->link;
		pthread_mutex_unlock(&l->lock);
	}
	return l;
}

void
logs_alone(struct node *n)
{
	if (n->logs == NULL)
		return;
	pthread_mutex_lock(&n->logs->lock);
	n->logs->link = NULL;
	pthread_mutex_unlock(&n->logs->lock);
}

struct logsink *
logs_job_far(struct node *n, uint32_t job, uint32_t home)
{
	struct logsink *s = logs_job(n, job, -1, OUTPUT_ALL);

	if (s == NULL)
		return NULL;
	linked(n);
	pthread_mutex_lock(&n->logs->lock);
	s->text.pack = true;
	s->home = home;
	pthread_mutex_unlock(&n->logs->lock);
	return s;
}

static struct logsink *
sink_of(struct node *n, uint64_t job)
{
	const struct njob *j = map_get(&n->jobs, job);

	return j && linked(n) ? j->out : NULL;
}

static int
on_output(struct node *n, uint32_t node, struct span body)
{
	unsigned char head[FAR_HEAD];
	struct msg_far_output m;
	struct logsink *s;
	int e = msg_get_far_output(&m, body.p, body.n);

	if (e < 0)
		return e;
	if (output_records(m.lines.p, m.lines.n) != m.lines.n)
		return ERR_PROTO;
	if ((s = sink_of(n, m.job)) == NULL || s->home || logs_start(n->logs) < 0) {
		SEND_NODE(n, node, far_shown, .job = m.job, .bytes = m.lines.n);
		return 0;
	}
	le_put32(head, node);
	le_put32(head + 4, (uint32_t)m.lines.n);
	pthread_mutex_lock(&n->logs->lock);
	if ((e = buf_reserve(&s->far, sizeof head + m.lines.n)) == 0) {
		buf_add(&s->far, head, sizeof head);
		buf_add(&s->far, m.lines.p, m.lines.n);
	}
	pthread_mutex_unlock(&n->logs->lock);
	logs_wake(n->logs);
	return e;
}

static int
on_shown(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_shown m;
	struct logsink *s;
	int e = msg_get_far_shown(&m, body.p, body.n);

	if (e < 0 || (s = sink_of(n, m.job)) == NULL || s->home != node)
		return e;
	pthread_mutex_lock(&n->logs->lock);
	s->shown += m.bytes < s->sent - s->shown ? m.bytes : s->sent - s->shown;
	pthread_mutex_unlock(&n->logs->lock);
	logs_wake(n->logs);
	return 0;
}

unsigned
logs_ask_flush(struct nproc *p, uint64_t round)
{
	struct map nodes = MAP_INIT;
	struct map_iter it = MAP_ITER;
	unsigned k = 0;

	if (p->n->abroad == NULL)
		return 0;
	abroad_knowing(p, &nodes);
	for (; map_next(&nodes, &it); k++)
		SEND_NODE(p->n, (uint32_t)it.key, far_flush, .job = p->job->number, .round = round);
	map_release(&nodes);
	return k;
}

static int
on_flush(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_flush m;
	struct logsink *s;
	int e = msg_get_far_flush(&m, body.p, body.n);

	if (e < 0)
		return e;
	if ((s = sink_of(n, m.job)) == NULL || s->home != node || !n->logs->running)
		SEND_NODE(n, node, far_flushed, .job = m.job, .round = m.round);
	else
		logs_flush(n->logs, s, UINT32_MAX, m.round, 0);
	return 0;
}

static int
on_flushed(struct node *n, uint32_t node, struct span body)
{
	struct msg_far_flushed m;
	struct logsink *s;
	int e = msg_get_far_flushed(&m, body.p, body.n);

	(void)node;
	if (e < 0 || (s = sink_of(n, m.job)) == NULL)
		return e;
	pthread_mutex_lock(&n->logs->lock);
	if (s->flusher && s->flush_req == m.round && s->asked)
		s->asked--;
	pthread_mutex_unlock(&n->logs->lock);
	logs_wake(n->logs);
	return 0;
}

int
logs_far_frame(struct node *n, uint32_t node, uint16_t type, struct span body)
{
	switch (type) {
	case MSG_FAR_OUTPUT_T: return on_output(n, node, body);
	case MSG_FAR_SHOWN_T: return on_shown(n, node, body);
	case MSG_FAR_FLUSH_T: return on_flush(n, node, body);
	case MSG_FAR_FLUSHED_T: return on_flushed(n, node, body);
	}
	return 0;
}
