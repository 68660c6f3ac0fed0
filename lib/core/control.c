#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/hash.h"
#include "core/alive.h"
#include "core/control_fx.h"
#include "core/numbers.h"
#include "wire/mp.h"

enum { JOB_NAME = 63 };			/* bytes of its program that are remembered */

struct node {
	uint32_t number;
	uint64_t peer;			/* 0: not connected */
	uint64_t attempt;		/* of its connection, or of the last one */
	uint64_t heard;			/* when it was disconnected, or its last heartbeat came; 0: neither since our start */
	uint64_t goes;			/* the limit that it goes by, as long as it may not have heard of ours */
	bool beats;			/* it is on another machine */
	bool before;			/* it has not come back since our start */
	struct buf name, addr;
};

struct job {
	uint64_t number;
	uint32_t node;
	struct buf name, namespace;
};

struct seeker {				/* somebody who wants to know where an actor lives */
	uint64_t peer, req;
	struct seeker *next;
};

struct act {
	uint64_t number, job;
	uint32_t node;			/* that registered it */
	uint32_t home;			/* where it lives; 0: nowhere now */
	bool detached, away;		/* away: not where it was registered */
	uint64_t state, incarnation;
	struct seeker *seekers;
	struct act *next;		/* same hash of namespace and name */
	struct buf namespace, name, class, methods;
};

/* --- effects ---------------------------------------------------------------------------------------- */

#define SEND CONTROL_SEND
#define fail control_fx_fail

static void
put(struct control_out *o, const char *key, const void *val, size_t n)
{
	control_fx_put(o, span_text(key), val, n);
}

static void
put_number(struct control_out *o, const char *key, uint64_t v)
{
	struct buf b = BUF_INIT;

	if (mp_put_uint(&b, v) == 0)
		put(o, key, b.data, b.len);
	buf_release(&b);
}

/* --- actors ------------------------------------------------------------------------------------------ */

static uint64_t
name_hash(struct span ns, struct span name)
{
	return hash64(ns.p, ns.n) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(name.p, name.n);
}

static struct span
span_buf(const struct buf *b)
{
	return span_of(b->data, b->len);
}

static bool
same(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static struct act *
act_named(const struct control *c, struct span ns, struct span name)
{
	struct act *a = map_get(&c->names, name_hash(ns, name));

	while (a && !(same(span_buf(&a->namespace), ns) && same(span_buf(&a->name), name)))
		a = a->next;
	return a;
}

static void
act_free(struct act *a)
{
	while (a->seekers) {
		struct seeker *s = a->seekers;

		a->seekers = s->next;
		free(s);
	}
	buf_release(&a->namespace);
	buf_release(&a->name);
	buf_release(&a->class);
	buf_release(&a->methods);
	free(a);
}

/* what it takes of the tables' bytes, about, with the entries that lead to it */
static uint64_t
act_bytes(const struct act *a)
{
	return sizeof *a + a->namespace.len + a->name.len + a->class.len + a->methods.len + (a->name.len ? 64 : 32);
}

static int
act_add(struct control *c, struct act *a)
{
	uint64_t h = name_hash(span_buf(&a->namespace), span_buf(&a->name));

	if (map_put(&c->actors, a->number, a) < 0)
		return -ENOMEM;
	if (a->name.len) {
		a->next = map_get(&c->names, h);
		if (map_put(&c->names, h, a) < 0) {
			map_del(&c->actors, a->number);
			return -ENOMEM;
		}
	}
	c->bytes += act_bytes(a);
	return 0;
}

static void
act_key(char key[32], uint64_t number)
{
	snprintf(key, 32, "actor/%016" PRIx64, number);
}

static void	act_save(const struct act *a, struct control_out *o);

/* the node that registered it is gone: one that outlives that is its home's; false: it is over */
static bool
act_inherit(struct act *a, struct control_out *o)
{
	if (!a->detached || !a->away || a->home == 0 || a->home == a->node)
		return false;
	a->node = a->home;
	a->away = false;
	act_save(a, o);
	return true;
}

/* who asked where it lives is told: a->home, or, if that is 0, that it is no more */
static void
act_tell(struct act *a, const char *text, struct control_out *o)
{
	for (struct seeker *s; (s = a->seekers) != NULL; free(s)) {
		a->seekers = s->next;
		if (a->home)
			SEND(o, s->peer, actor, .req = s->req, .actor = a->number, .found = 1, .node = a->home);
		else
			fail(o, s->peer, s->req, ERR_NOTFOUND, "%s", text);
	}
}

/* it is over: who asks later is told why */
static void
act_past(const struct act *a, const char *text, struct control_out *o)
{
	struct control_past p = control_past_begin(o);

	control_past_u(&p, "actor", a->number);
	control_past_s(&p, "name", span_buf(&a->name));
	control_past_s(&p, "class", span_buf(&a->class));
	control_past_s(&p, "state", span_text("dead"));
	control_past_u(&p, "incarnation", a->incarnation);
	control_past_u(&p, "job", a->job);
	control_past_s(&p, "namespace", span_buf(&a->namespace));
	control_past_s(&p, "why", span_text(text));
	control_past_end(&p, "actors");
}

static void
act_del(struct control *c, struct act *a, const char *text, struct control_out *o)
{
	uint64_t h = name_hash(span_buf(&a->namespace), span_buf(&a->name));
	struct act *p = map_get(&c->names, h);
	char key[32];

	if (a->name.len && p == a) {
		map_del(&c->names, h);
		if (a->next)
			map_put(&c->names, h, a->next);	/* it was there before: there is room */
	} else if (a->name.len) {
		while (p->next != a)
			p = p->next;
		p->next = a->next;
	}
	map_del(&c->actors, a->number);
	c->bytes -= act_bytes(a);
	act_key(key, a->number);
	put(o, key, NULL, 0);
	act_past(a, text, o);
	a->home = 0;
	act_tell(a, text, o);
	act_free(a);
}

static void
act_save(const struct act *a, struct control_out *o)
{
	struct buf b = BUF_INIT;
	char key[32];

	act_key(key, a->number);
	if (mp_put_array(&b, 9) == 0 && mp_put_uint(&b, a->number) == 0 && mp_put_uint(&b, a->job) == 0 &&
	    mp_put_uint(&b, a->node) == 0 && mp_put_uint(&b, a->detached) == 0 &&
	    mp_put_bin(&b, a->namespace.data, a->namespace.len) == 0 && mp_put_bin(&b, a->name.data, a->name.len) == 0 &&
	    mp_put_bin(&b, a->class.data, a->class.len) == 0 && mp_put_bin(&b, a->methods.data, a->methods.len) == 0 &&
	    mp_put_uint(&b, a->away) == 0)
		put(o, key, b.data, b.len);
	buf_release(&b);
}

static int
set(struct buf *b, struct span s)
{
	return s.n ? buf_add(b, s.p, s.n) : 0;
}

/* --- messages ------------------------------------------------------------------------------------------ */

static struct node *
node_of(const struct control *c, uint64_t peer)
{
	return map_get(&c->peers, peer);
}

bool
control_joined(const struct control *c, uint64_t peer)
{
	return node_of(c, peer) != NULL;
}

static void
node_key(char key[32], uint32_t number)
{
	snprintf(key, 32, "node/%08" PRIx32, number);
}

static void
node_free(struct node *n)
{
	buf_release(&n->name);
	buf_release(&n->addr);
	free(n);
}

static void
node_save(const struct node *n, struct control_out *o)
{
	struct buf b = BUF_INIT;
	char key[32];

	node_key(key, n->number);
	if (mp_put_array(&b, 3) == 0 && mp_put_uint(&b, n->number) == 0 && mp_put_bin(&b, n->name.data, n->name.len) == 0 &&
	    mp_put_bin(&b, n->addr.data, n->addr.len) == 0)
		put(o, key, b.data, b.len);
	buf_release(&b);
}

static void
node_past(const struct node *n, const char *text, struct control_out *o)
{
	struct control_past p = control_past_begin(o);

	control_past_u(&p, "node", n->number);
	control_past_s(&p, "name", span_buf(&n->name));
	control_past_s(&p, "address", span_buf(&n->addr));
	control_past_s(&p, "state", span_text(*text ? "dead" : "left"));
	control_past_s(&p, "why", span_text(text));
	control_past_end(&p, "nodes");
}

static uint64_t
job_bytes(const struct job *j)
{
	return sizeof *j + j->name.len + j->namespace.len + 32;
}

static void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	buf_release(&j->name);
	buf_release(&j->namespace);
	free(j);
}

/* NULL is fine: it is from before our start */
static void
job_over(struct control *c, struct job *j, const char *text, struct control_out *o)
{
	struct control_past p = control_past_begin(o);

	if (j == NULL)
		return;
	control_past_u(&p, "job", j->number);
	control_past_s(&p, "name", span_buf(&j->name));
	control_past_s(&p, "state", span_text("ended"));
	control_past_s(&p, "namespace", span_buf(&j->namespace));
	control_past_u(&p, "node", j->node);
	control_past_s(&p, "why", span_text(text));
	control_past_end(&p, "jobs");
	map_del(&c->jobs, j->number);
	c->bytes -= job_bytes(j);
	job_free(j);
}

static void
node_over(struct control *c, const struct node *n, const char *why, struct control_out *o)	/* nothing that ran there runs */
{
	struct map_iter it = MAP_ITER;
	char text[160];

	snprintf(text, sizeof text, *why ? "node %u is dead: %s" : "node %u left", n->number, why);
	while (map_next(&c->actors, &it)) {
		struct act *a = it.val;

		if (a->node == n->number && !act_inherit(a, o))
			act_del(c, a, text, o);
		else if (a->home == n->number)
			a->home = 0;
	}
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->jobs, &it))
		if (((struct job *)it.val)->node == n->number)
			job_over(c, it.val, text, o);
	kv_node_gone(&c->kv, n->number, o);
}

/* n is back: an actor that it does not name has died since, or n was never told of it and asks for it once more */
static void
node_back(struct control *c, const struct node *n, const struct msg_node_join *m, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct act *a = it.val;

		if (numbers_has(m->actors, it.key))
			continue;
		if (a->node == n->number && !act_inherit(a, o))
			act_del(c, a, "it was lost with its node's daemon", o);
		else if (a->home == n->number)
			a->home = 0;
	}
}

/* it is another daemon of n: nothing goes on but what it names */
static void
node_heir(struct control *c, const struct node *n, const struct msg_node_join *m, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->jobs, &it))
		if (((struct job *)it.val)->node == n->number && !numbers_has(m->jobs, it.key))
			job_over(c, it.val, "it was lost with its node's daemon", o);
	kv_node_heir(&c->kv, n->number, m->procs, m->jobs, o);
}

static int
on_join(struct control *c, uint64_t now, uint64_t peer, const struct frame *f, struct control_out *o)
{
	struct msg_node_join m;
	struct control_fx *fx;
	struct node *n;
	int e;

	if ((e = msg_get_node_join(&m, f->body, f->len)) < 0)
		return e;
	if (node_of(c, peer) || m.node > UINT32_MAX)
		return ERR_PROTO;
	if (m.head && c->id && m.head != c->id) {
		fail(o, peer, 0, -ESTALE, "this is control store %08x, and the node has joined %08x", (unsigned)(c->id >> 32), (unsigned)(m.head >> 32));
		return 0;
	}
	n = m.node ? map_get(&c->nodes, m.node) : NULL;
	if (n == NULL && m.node) {
		fail(o, peer, 0, -ESTALE, "node %u was given up, and its number is not used again", (unsigned)m.node);
		return 0;
	}
	if (n && m.attempt < n->attempt)	/* it gave that one up, and has come on another one since */
		return ERR_PROTO;
	if (n == NULL) {
		if ((n = calloc(1, sizeof *n)) == NULL)
			return -ENOMEM;
		n->number = (uint32_t)(c->next_node + 1);
		if (set(&n->name, m.name) < 0 || set(&n->addr, m.addr) < 0 || map_put(&c->nodes, n->number, n) < 0) {
			node_free(n);
			return -ENOMEM;
		}
		c->next_node++;
		put_number(o, "next/node", c->next_node);
		node_save(n, o);
	} else {
		node_back(c, n, &m, o);
		if (m.heir)
			node_heir(c, n, &m, o);
	}
	map_del(&c->peers, n->peer);
	n->peer = peer;
	n->attempt = m.attempt;
	if (map_put(&c->peers, peer, n) < 0) {
		n->peer = 0;
		return -ENOMEM;
	}
	n->goes = m.node ? c->told_limit : 0;
	n->beats = m.beats != 0;
	n->heard = now;
	c->nbefore -= n->before;
	n->before = false;
	fx = control_fx_add(o, CONTROL_FX_UP);
	fx->peer = peer;
	fx->node = n->number;
	SEND(o, peer, node_joined, .node = n->number, .epoch = c->epoch, .limit = m.beats ? alive_limit(c->limit) : 0,
	    .head = c->id);
	if (o->at == 0 && n->beats)
		o->at = now + c->limit;
	return 0;
}

/* It has left, or is given up for what text says: nothing that ran there runs. */
static void
node_end(struct control *c, struct node *n, const char *text, struct control_out *o)
{
	size_t at, len = strlen(text);
	struct control_fx *fx;
	char key[32];

	node_over(c, n, text, o);
	node_key(key, n->number);
	put(o, key, NULL, 0);
	node_past(n, text, o);
	if (n->peer && *text)
		fail(o, n->peer, 0, -ESTALE, "node %u was given up: %s", n->number, text);
	at = o->bytes.len;
	if (buf_add(&o->bytes, text, len) < 0)
		len = 0;
	fx = control_fx_add(o, CONTROL_FX_DOWN);
	fx->node = n->number;
	fx->peer = n->peer;
	fx->val = at;
	fx->nval = len;
	map_del(&c->peers, n->peer);
	map_del(&c->nodes, n->number);
	c->nbefore -= n->before;
	node_free(n);
}

static int
on_heartbeat(struct node *n, uint64_t now, const struct frame *f)
{
	struct msg_heartbeat m;
	int e = msg_get_heartbeat(&m, f->body, f->len);

	if (e < 0)
		return e;
	n->heard = now;
	n->goes = alive_dead(m.limit);
	return 0;
}

/* There are so many that no more are taken. */
static bool
full(const struct control *c, uint64_t peer, uint64_t req, struct control_out *o)
{
	if (c->bytes < c->most)
		return false;
	fail(o, peer, req, ERR_FULL, "the tables of the control store are full: %zu actors and %zu jobs in %" PRIu64 " bytes; see --tables of rgcs(8)",
	    c->actors.n, c->jobs.n, c->bytes);
	return true;
}

static int
on_job_new(struct control *c, struct node *n, const struct frame *f, struct control_out *o)
{
	struct msg_job_new m;
	struct job *j;
	int e;

	if ((e = msg_get_job_new(&m, f->body, f->len)) < 0)
		return e;
	if (full(c, n->peer, m.req, o))
		return 0;
	m.name.n = m.name.n < JOB_NAME ? m.name.n : JOB_NAME;
	if ((j = calloc(1, sizeof *j)) == NULL || set(&j->name, m.name) < 0 || set(&j->namespace, m.namespace) < 0 ||
	    map_put(&c->jobs, c->next_job + 1, j) < 0) {
		job_free(j);
		fail(o, n->peer, m.req, -ENOMEM, "the control store is out of memory");
		return 0;
	}
	j->number = ++c->next_job;
	j->node = n->number;
	c->bytes += job_bytes(j);
	put_number(o, "next/job", c->next_job);
	SEND(o, n->peer, job, .req = m.req, .job = j->number);
	return 0;
}

static int
on_job_end(struct control *c, const struct frame *f, struct control_out *o)
{
	struct msg_job_end m;
	int e;

	if ((e = msg_get_job_end(&m, f->body, f->len)) < 0)
		return e;
	job_over(c, map_get(&c->jobs, m.job), "", o);
	kv_job_end(&c->kv, m.job, o);
	return 0;
}

static int
on_actor_new(struct control *c, struct node *n, const struct frame *f, struct control_out *o)
{
	struct msg_actor_new m;
	struct act *a = NULL;
	int e;

	if ((e = msg_get_actor_new(&m, f->body, f->len)) < 0)
		return e;
	if (m.name.n > 255) {
		fail(o, n->peer, m.req, -ENAMETOOLONG, "a name has at most 255 bytes");
		return 0;
	}
	if (m.name.n && (a = act_named(c, m.namespace, m.name)) != NULL && m.reuse) {
		SEND(o, n->peer, actor, .req = m.req, .actor = a->number, .class = span_buf(&a->class),
		    .methods = span_buf(&a->methods), .found = 1, .node = a->home);
		return 0;
	}
	if (m.name.n && a) {
		fail(o, n->peer, m.req, -EEXIST, "an actor '%.*s' exists in namespace '%.*s'", (int)m.name.n,
		    (const char *)m.name.p, (int)(m.namespace.n < 255 ? m.namespace.n : 255), (const char *)m.namespace.p);
		return 0;
	}
	if (full(c, n->peer, m.req, o))
		return 0;
	if ((a = calloc(1, sizeof *a)) == NULL)
		return -ENOMEM;
	*a = (struct act){ .number = c->next_actor + 1, .job = m.job, .node = n->number, .detached = m.detached != 0,
	    .home = m.node ? n->number : 0, .away = m.node == 0, .state = ACTOR_PENDING };
	if (set(&a->namespace, m.namespace) < 0 || set(&a->name, m.name) < 0 || set(&a->class, m.class) < 0 ||
	    set(&a->methods, m.methods) < 0 || act_add(c, a) < 0) {
		act_free(a);
		fail(o, n->peer, m.req, -ENOMEM, "the control store is out of memory");
		return 0;
	}
	c->next_actor++;
	put_number(o, "next/actor", c->next_actor);
	act_save(a, o);
	SEND(o, n->peer, actor, .req = m.req, .actor = a->number, .class = m.class, .methods = m.methods, .node = a->home);
	return 0;
}

static int
on_actor_find(struct control *c, struct node *n, const struct frame *f, struct control_out *o)
{
	struct msg_actor_find m;
	struct act *a;
	int e;

	if ((e = msg_get_actor_find(&m, f->body, f->len)) < 0)
		return e;
	if (m.name.n && (a = act_named(c, m.namespace, m.name)) != NULL)
		SEND(o, n->peer, actor, .req = m.req, .actor = a->number, .class = span_buf(&a->class),
		    .methods = span_buf(&a->methods), .found = 1, .node = a->home);
	else
		fail(o, n->peer, m.req, ERR_NOTFOUND, "no actor '%.*s' in namespace '%.*s'",
		    (int)(m.name.n < 255 ? m.name.n : 255), (const char *)m.name.p,
		    (int)(m.namespace.n < 255 ? m.namespace.n : 255), (const char *)m.namespace.p);
	return 0;
}

static int
on_actor_where(struct control *c, struct node *n, const struct frame *f, struct control_out *o)
{
	struct msg_actor_where m;
	struct seeker *s;
	struct act *a;
	int e;

	if ((e = msg_get_actor_where(&m, f->body, f->len)) < 0)
		return e;
	if ((a = map_get(&c->actors, m.actor)) == NULL)
		fail(o, n->peer, m.req, ERR_NOTFOUND, "the actor is gone");
	else if ((s = malloc(sizeof *s)) == NULL)
		fail(o, n->peer, m.req, -ENOMEM, "the control store is out of memory");
	else {
		*s = (struct seeker){ n->peer, m.req, a->seekers };
		a->seekers = s;
		if (a->home)
			act_tell(a, "", o);
	}
	return 0;
}

/*
 * It is told of by the node that registered it, and by the one where it lives.  The latter says that it lives there; the
 * former, should that one be lost, that it is to live again (RESTARTING).
 */
static int
on_actor_note(struct control *c, struct node *n, const struct frame *f, struct control_out *o)
{
	struct msg_actor_note m;
	struct act *a;
	char text[240];
	int e;

	if ((e = msg_get_actor_note(&m, f->body, f->len)) < 0)
		return e;
	if ((a = map_get(&c->actors, m.actor)) == NULL || (a->node != n->number && (!a->away || m.incarnation < a->incarnation)))
		return 0;
	a->state = m.state;
	if (m.state == ACTOR_DEAD) {
		snprintf(text, sizeof text, "%.*s", (int)(m.text.n < sizeof text ? m.text.n : sizeof text - 1), (const char *)m.text.p);
		act_del(c, a, text, o);
		return 0;
	}
	a->incarnation = m.incarnation;
	if (a->node == n->number && a->away && m.state == ACTOR_RESTARTING && a->home != n->number)
		a->home = 0;
	else if (a->home != n->number) {
		a->home = n->number;
		act_tell(a, "", o);
	}
	return 0;
}

static int
take(struct control *c, uint64_t now, uint64_t peer, const struct frame *f, struct control_out *o)
{
	struct node *n;

	if (f->type == MSG_NODE_JOIN_T)
		return on_join(c, now, peer, f, o);
	if ((n = node_of(c, peer)) == NULL)
		return ERR_PROTO;
	switch (f->type) {
	case MSG_HEARTBEAT_T: return on_heartbeat(n, now, f);
	case MSG_BYE_T: node_end(c, n, "", o); return 0;
	case MSG_JOB_NEW_T: return on_job_new(c, n, f, o);
	case MSG_JOB_END_T: return on_job_end(c, f, o);
	case MSG_ACTOR_NEW_T: return on_actor_new(c, n, f, o);
	case MSG_ACTOR_FIND_T: return on_actor_find(c, n, f, o);
	case MSG_ACTOR_NOTE_T: return on_actor_note(c, n, f, o);
	case MSG_ACTOR_WHERE_T: return on_actor_where(c, n, f, o);
	}
	return kv_step(&c->kv, peer, n->number, f, o);
}

/* What was written since fx number `from` is one commit; what is sent depends on all that was ever written. */
void
control_seal(struct control *c, size_t from, struct control_out *o)
{
	bool wrote = false;

	for (size_t i = from; i < o->n; i++)
		wrote |= o->fx[i].kind == CONTROL_FX_PUT || o->fx[i].kind == CONTROL_FX_DEL || o->fx[i].kind == CONTROL_FX_PAST;
	c->commit += wrote;
	for (size_t i = from; i < o->n; i++)
		o->fx[i].commit = c->commit;
}

int
control_step(struct control *c, uint64_t now, uint64_t peer, const struct frame *f, struct control_out *o)
{
	size_t from = o->n;
	int e;

	e = take(c, now, peer, f, o);
	control_seal(c, from, o);
	return e;
}

void
control_gone(struct control *c, uint64_t now, uint64_t peer, struct control_out *o)
{
	struct node *n = node_of(c, peer);

	kv_peer_gone(&c->kv, peer);
	if (n == NULL)			/* another daemon of it has joined */
		return;
	map_del(&c->peers, peer);
	n->peer = 0;
	n->heard = now;
	control_tick(c, now, o);
}

/* No node goes by a longer limit than is on the disk: after a start that long is waited at least. */
static void
note_limit(struct control *c, uint64_t longest, struct control_out *o)
{
	longest = longest > c->limit ? longest : c->limit;
	if (c->told_limit < longest || (c->told_limit > longest && c->nbefore == 0)) {
		c->told_limit = longest;
		put_number(o, "limit", longest);
	}
}

void
control_tick(struct control *c, uint64_t now, struct control_out *o)
{
	uint64_t longest = 0, lost;
	struct map_iter it = MAP_ITER;
	size_t from = o->n;
	char text[80];

	o->at = 0;
	while (map_next(&c->nodes, &it)) {
		struct node *n = it.val;

		longest = n->goes > longest ? n->goes : longest;
		if (n->peer && !n->beats)
			continue;
		if (n->heard == 0)		/* known from before our start */
			n->heard = now;
		lost = n->before ? c->told_limit : n->goes;
		lost = n->heard + (lost > c->limit ? lost : c->limit);
		if (lost > now) {
			if (o->at == 0 || lost < o->at)
				o->at = lost;
			continue;
		}
		snprintf(text, sizeof text, n->peer ? "nothing was heard of it for %.1f s" : "it was disconnected for %.1f s",
		    (double)(now - n->heard) / 1e9);
		node_end(c, n, text, o);
	}
	note_limit(c, longest, o);
	control_seal(c, from, o);
}

/* --- start and end --------------------------------------------------------------------------------------- */

void
control_init(struct control *c, uint64_t epoch)
{
	*c = (struct control){ .epoch = epoch, .limit = ALIVE_DEAD, .most = CONTROL_BYTES };
	kv_init(&c->kv);
}

static int
load_act(struct control *c, struct mp *r)
{
	uint64_t u[4], n;
	struct span s[4];
	struct mp_tok t;
	struct act *a;

	if (mp_next(r, &t) < 0 || t.kind != MP_ARRAY || t.n < 8)
		return ERR_PROTO;
	n = t.n;
	for (int i = 0; i < 4; i++) {
		if (mp_next(r, &t) < 0 || t.kind != MP_INT)
			return ERR_PROTO;
		u[i] = t.u;
	}
	for (int i = 0; i < 4; i++) {
		if (mp_next(r, &t) < 0 || t.kind != MP_BIN)
			return ERR_PROTO;
		s[i] = span_of(t.p, t.n);
	}
	if (map_get(&c->actors, u[0]))
		return ERR_PROTO;		/* two of one number: the store is damaged */
	if ((a = calloc(1, sizeof *a)) == NULL)
		return -ENOMEM;
	*a = (struct act){ .number = u[0], .job = u[1], .node = (uint32_t)u[2], .detached = u[3] != 0, .state = ACTOR_ALIVE };
	a->away = n > 8 && mp_next(r, &t) == 0 && t.kind == MP_INT && t.u != 0;
	a->home = a->away ? 0 : a->node;
	if (set(&a->namespace, s[0]) < 0 || set(&a->name, s[1]) < 0 || set(&a->class, s[2]) < 0 ||
	    set(&a->methods, s[3]) < 0 || act_add(c, a) < 0) {
		act_free(a);
		return -ENOMEM;
	}
	return 0;
}

/* It has the whole limit from our start on to come back. */
static int
load_node(struct control *c, struct mp *r)
{
	struct span s[2] = { { 0 } };
	struct mp_tok t, head;
	struct node *n;

	if (mp_next(r, &head) < 0 || (head.kind == MP_ARRAY && mp_next(r, &t) < 0))
		return ERR_PROTO;
	if (head.kind != MP_ARRAY)		/* of an earlier release: its number alone */
		t = head;
	if (t.kind != MP_INT || t.u > UINT32_MAX || map_get(&c->nodes, t.u))
		return ERR_PROTO;
	if ((n = calloc(1, sizeof *n)) == NULL)
		return -ENOMEM;
	n->number = (uint32_t)t.u;
	for (size_t i = 0; head.kind == MP_ARRAY && i < 2 && i + 1 < head.n && mp_next(r, &t) == 0; i++)
		s[i] = span_of(t.p, t.kind == MP_BIN ? t.n : 0);
	if (set(&n->name, s[0]) < 0 || set(&n->addr, s[1]) < 0 || map_put(&c->nodes, n->number, n) < 0) {
		node_free(n);
		return -ENOMEM;
	}
	n->before = true;
	c->nbefore++;
	return 0;
}

int
control_load(struct control *c, const void *key, size_t nkey, const void *val, size_t nval)
{
	static const struct {
		const char *key;
		size_t at;
	} numbers[] = {
		{ "next/node", offsetof(struct control, next_node) },
		{ "next/job", offsetof(struct control, next_job) },
		{ "next/actor", offsetof(struct control, next_actor) },
		{ "next/revision", offsetof(struct control, kv.rev) },
		{ "limit", offsetof(struct control, told_limit) },
	};
	struct mp r = mp_read(val, nval);
	struct mp_tok t;

	if (nkey > 6 && memcmp(key, "actor/", 6) == 0)
		return load_act(c, &r);
	if (nkey > 5 && memcmp(key, "node/", 5) == 0)
		return load_node(c, &r);
	if (nkey > 3 && memcmp(key, "kv/", 3) == 0)
		return kv_load(&c->kv, span_of((const unsigned char *)key + 3, nkey - 3), span_of(val, nval));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strlen(numbers[i].key) == nkey && memcmp(numbers[i].key, key, nkey) == 0) {
			if (mp_next(&r, &t) < 0 || t.kind != MP_INT)
				return ERR_PROTO;
			*(uint64_t *)(void *)((char *)c + numbers[i].at) = t.u;
			return 0;
		}
	return 0;			/* a key of a newer release, or the host's own */
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
control_check(const struct control *c)
{
	struct map_iter it = MAP_ITER;
	size_t named = 0, chained = 0;
	uint64_t bytes = 0;

	while (map_next(&c->actors, &it)) {
		const struct act *a = it.val;

		CHECK(a->number == it.key && a->number <= c->next_actor);
		CHECK(map_get(&c->nodes, a->node) != NULL);
		CHECK(a->name.len == 0 || act_named(c, span_buf(&a->namespace), span_buf(&a->name)) == a);
		named += a->name.len != 0;
		bytes += act_bytes(a);
	}
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->names, &it))
		for (const struct act *a = it.val; a; a = a->next)
			chained++;
	CHECK(named == chained);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->jobs, &it))
		bytes += job_bytes(it.val);
	CHECK(bytes == c->bytes);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->peers, &it))
		CHECK(((const struct node *)it.val)->peer == it.key && map_get(&c->nodes, ((const struct node *)it.val)->number) == it.val);
	return kv_check(&c->kv);
}

void
control_release(struct control *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it))
		act_free(it.val);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->nodes, &it))
		node_free(it.val);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&c->jobs, &it))
		job_free(it.val);
	map_release(&c->actors);
	map_release(&c->nodes);
	map_release(&c->peers);
	map_release(&c->jobs);
	map_release(&c->names);
	kv_release(&c->kv);
}
