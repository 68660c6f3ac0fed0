/*
 * dispatch - what each message from rlet does: a handler a message, found by its type.
 */
#include <fcntl.h>
#include <stdio.h>
#include "client/inner.h"
#include "wire/frame.h"
#include "wire/le.h"

#define ON(name) static int on_##name(struct client *c, const struct msg_##name *m, const struct frame *f, const int *fds)
#define UNUSED (void)f, (void)fds

ON(fail)
{
	struct shape *s;
	char text[512];

	UNUSED;
	snprintf(text, sizeof text, "%.*s", (int)m->text.n, (const char *)m->text.p);
	if (c->rejoining || (m->req == 0 && m->code == ERR_NO_CLUSTER))
		link_lose_l(c, text);
	if (!(m->req & REQ_SHAPE)) {
		link_reply_l(c, m->req, f);
		return 0;
	}
	if ((s = shape_numbered(c, m->req & ~REQ_SHAPE)))
		lease_fail_l(c, s, (int)m->code, text);
	return 0;
}

ON(grant)
{
	if (f->nfd != 2)
		return ERR_PROTO;
	lease_grant_l(c, m, fds[0], fds[1]);
	return 0;
}

ON(want)
{
	struct lease *l = map_get(&c->lease_of, m->lease);

	UNUSED;
	if (l)
		lease_back_l(c, l);
	return 0;
}

ON(ring)
{
	if (f->nfd != 2)
		return ERR_PROTO;
	serve_ring_l(c, m, fds[0], fds[1]);
	return 0;
}

ON(unring)
{
	UNUSED;
	serve_unring_l(c, m->lease);
	return 0;
}

ON(dead)
{
	char text[512];

	UNUSED;
	snprintf(text, sizeof text, "%.*s", (int)m->text.n, (const char *)m->text.p);
	for (unsigned i = 0; i < c->nlease; i++)
		if (c->lease[i] && c->lease[i]->proc == m->proc)
			lease_dead_l(c, c->lease[i], (int)m->code, m->charged != 0, text);
	proc_dead_l(c, (uint32_t)m->proc, (uint32_t)(m->node ? m->node : c->me.node), (uint32_t)(m->node ? m->was : m->proc), text);
	if (m->proc == c->me.driver)
		link_driver_gone_l(c);
	return 0;
}

ON(notice)
{
	size_t at = strlen(c->notice);

	UNUSED;
	if (at + m->text.n + 2 < sizeof c->notice)	/* else one of many: those before it tell enough */
		snprintf(c->notice + at, sizeof c->notice - at, "%.*s\n", (int)m->text.n, (const char *)m->text.p);
	return 0;
}

ON(lent)
{
	UNUSED;
	if (arena_lend(&c->arena, m->off, m->bytes) < 0)
		return ERR_PROTO;
	link_reply_l(c, m->req, f);
	return 0;
}

ON(free)				/* objects of ours whose owner is dead or gave them to the node */
{
	UNUSED;
	for (size_t i = 0; i + 12 <= m->objects.n; i += 12)
		if (arena_mine(&c->arena, le_get64(m->objects.p + i)))
			arena_free(&c->arena, le_get64(m->objects.p + i), le_get32(m->objects.p + i + 8));
	if (m->spare)
		mem_yield_l(c);
	return 0;
}

ON(evict)
{
	UNUSED;
	away_asked_l(c, m);
	return 0;
}

ON(collect)
{
	UNUSED;
	mem_yield_l(c);			/* at once, also if the main thread is busy with something else */
	c->collect = true;
	c->collect_round = m->round;
	LINK_SEND(c, collected, .round = m->round);	/* and again when the main thread has collected garbage */
	return 0;
}

ON(route)
{
	UNUSED;
	if (m->kind == ROUTE_NAMED)
		link_reply_l(c, m->arg, f);
	else if (m->kind == ROUTE_NAME)
		link_asked_l(c, m);
	else
		route_l(c, m);
	return 0;
}

ON(cancel)
{
	UNUSED;
	cancel_scope_l(c, m->scope);
	return 0;
}

ON(actor_state)
{
	UNUSED;
	actor_state_l(c, m);
	return 0;
}

ON(actor_start)
{
	UNUSED;
	c->actor_number = m->actor;
	c->incarnation = m->incarnation;
	c->in_set = m->set;
	c->rank = (uint32_t)m->rank;
	c->spec.len = c->self.len = 0;
	c->self_name = m->name.n;
	c->self_class = m->class.n;
	if (buf_add(&c->self, m->name.p, m->name.n) < 0 || buf_add(&c->self, m->class.p, m->class.n) < 0 ||
	    buf_add(&c->self, m->methods.p, m->methods.n) < 0)
		return -ENOMEM;
	limit_memory(c, m->memory);
	return buf_add(&c->spec, m->spec.p, m->spec.n);
}

ON(actor_stop)
{
	UNUSED;
	(void)m;
	c->stopping = true;
	return 0;
}

ON(rows)
{
	struct request *rq = map_get(&c->request, m->req);
	unsigned char len[4];

	UNUSED;
	if (!rq)
		return 0;
	le_put32(len, (uint32_t)m->rows.n);
	buf_add(&rq->rows, len, 4);
	buf_add(&rq->rows, m->rows.p, m->rows.n);
	if (m->last)
		rq->type = MSG_ROWS_T;
	return 0;
}

ON(chan)				/* the segment goes to who asked */
{
	struct request *rq = map_get(&c->request, m->req);

	if (f->nfd != 1)
		return ERR_PROTO;
	if (rq && rq->type == 0)
		rq->fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
	link_reply_l(c, m->req, f);
	return 0;
}

ON(health)
{
	UNUSED;
	health_asked_l(c, m);
	return 0;
}

ON(set_state)
{
	UNUSED;
	return set_state_l(c, m, f);
}

ON(welcome)
{
	UNUSED;
	return rejoined_l(c, m);
}

ON(group_state)
{
	UNUSED;
	group_state_l(c, m);
	return 0;
}

#define ANSWER(name) ON(name) { UNUSED; link_reply_l(c, m->req, f); return 0; }
ANSWER(ok)
ANSWER(found)
ANSWER(actor)
ANSWER(group)
ANSWER(set)
ANSWER(kv_rows)
ANSWER(kv_done)
ANSWER(kv_events)

#define HANDLED(X) X(WELCOME, welcome) X(EVICT, evict) X(FAIL, fail) X(GRANT, grant) X(WANT, want) X(RING, ring) X(UNRING, unring) X(DEAD, dead) X(NOTICE, notice) \
	X(LENT, lent) X(FREE, free) X(COLLECT, collect) X(ROUTE, route) X(ACTOR_STATE, actor_state) \
	X(ACTOR_START, actor_start) X(ACTOR_STOP, actor_stop) X(ROWS, rows) X(OK, ok) X(FOUND, found) X(ACTOR, actor) X(CHAN, chan) \
	X(KV_ROWS, kv_rows) X(KV_DONE, kv_done) X(KV_EVENTS, kv_events) \
	X(GROUP, group) X(GROUP_STATE, group_state) X(SET, set) X(SET_STATE, set_state) X(HEALTH, health) X(CANCEL, cancel)

#define X(NAME, name) \
static int \
got_##name(struct client *c, const struct frame *f, const int *fds) \
{ \
	struct msg_##name m; \
	int e = msg_get_##name(&m, f->body, f->len); \
\
	return e < 0 ? e : on_##name(c, &m, f, fds); \
}
HANDLED(X)
#undef X

static int (*const act[])(struct client *, const struct frame *, const int *) = {
#define X(NAME, name) [MSG_##NAME##_T] = got_##name,
	HANDLED(X)
#undef X
};

int
dispatch_l(struct client *c, const struct frame *f, const int *fds)
{
	if (f->type >= sizeof act / sizeof *act || !act[f->type])
		return 0;			/* a newer node says more than we know */
	return act[f->type](c, f, fds);
}
