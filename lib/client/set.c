/* set - sets of actors from a process: one entry for each set that it ever looked at, until that is dead. */
#include <stdio.h>
#include "client/inner.h"
#include "client/set.h"
#include "wire/frame.h"
#include "wire/le.h"

enum { STATE_ALIVE = 2, STATE_DEAD = 4 };	/* of SET_STATE */
#define ANY_CHANGE UINT32_MAX
#define GONE "the node is gone"

struct wait {				/* a record that becomes ready with a set */
	struct wait *next;
	struct rec *rec;
	uint32_t up;			/* once so many members are, 0: once it is alive; or ANY_CHANGE */
};

struct cset {
	uint64_t number, revision;
	struct buf body;		/* of the last SET_STATE */
	struct rec *args;		/* we made it: what its members are made with */
	struct wait *waits;
};

static struct cset *
known_l(struct client *c, uint64_t number)
{
	struct cset *s = map_get(&c->sets, number);

	if (s || !(s = calloc(1, sizeof *s)))
		return s;
	s->number = number;
	if (map_put(&c->sets, number, s) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

/* of the last SET_STATE: is up met?  ERR_ACTOR_DIED: it never will be, *why says why */
static int
met(const struct cset *s, uint32_t up, struct span *why)
{
	struct msg_set_state m;
	uint32_t n = 0;

	if (s->revision == 0 || msg_get_set_state(&m, s->body.data, s->body.len) < 0)
		return 0;
	*why = m.text;
	if (m.state == STATE_DEAD)
		return ERR_ACTOR_DIED;
	if (up == 0)
		return m.state == STATE_ALIVE;
	for (size_t i = 0; i + 16 <= m.members.n; i += 16)
		n += le_get32(m.members.p + i + 12) & 1;
	return n >= up;
}

/* e: as of met */
static void
wake_l(struct client *c, struct rec *r, int e, struct span why)
{
	char text[320];

	if (e < 0) {
		snprintf(text, sizeof text, "%s%.*s", e == ERR_ACTOR_DIED ? "the set is dead: " : "", (int)(why.n < 240 ? why.n : 240), (const char *)why.p);
		rec_fail_l(c, r, e, text);
	} else {
		rec_set_l(c, r, (const unsigned char *)"\xc3", 1, 1, 0);	/* true */
		rec_ready_l(c, r);
	}
}

/* those whose time has come; lost: the node is gone, and all have */
static void
woken_l(struct client *c, struct cset *s, bool lost)
{
	struct wait **q = &s->waits, *w;
	struct span why = span_of(GONE, sizeof GONE - 1);

	while ((w = *q)) {
		int e = lost || w->up == ANY_CHANGE ? 1 : met(s, w->up, &why);

		if (lost && w->up != ANY_CHANGE)
			e = ERR_NO_CLUSTER;
		if (e == 0 && w->rec->count > 1) {
			q = &w->next;
			continue;
		}
		*q = w->next;
		if (w->rec->count > 1)		/* else nobody waits any more */
			wake_l(c, w->rec, e, why);
		rec_unref_l(c, w->rec);
		free(w);
	}
}

int
set_state_l(struct client *c, const struct msg_set_state *m, const struct frame *f)
{
	struct cset *s = known_l(c, m->set);

	if (!s)
		return -ENOMEM;
	s->revision = m->revision;
	__atomic_store_n(&c->set_seq, c->set_seq + 1, __ATOMIC_RELEASE);
	s->body.len = 0;
	if (buf_add(&s->body, f->body, f->len) < 0)
		return -ENOMEM;
	if (m->state == STATE_DEAD && s->args) {
		rec_unref_l(c, s->args);
		s->args = NULL;
	}
	woken_l(c, s, false);
	return 0;
}

uint64_t
client_set_seq(const struct client *c)
{
	return __atomic_load_n(&c->set_seq, __ATOMIC_ACQUIRE);
}

void
sets_lost_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it))
		woken_l(c, it.val, true);
}

void
sets_again_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it)) {
		const struct cset *s = it.val;
		struct msg_set_state m;

		if (s->body.len == 0 || (msg_get_set_state(&m, s->body.data, s->body.len) == 0 && m.state != STATE_DEAD))
			LINK_SEND(c, set_watch, .set = it.key, .on = 1);
	}
}

/* the answer SET of a request */
static int
answer(struct client *c, struct request *rq, struct msg_set *m, char *why, size_t n)
{
	int e = link_request(c, rq->req, WAIT_FOREVER, &rq);

	if (e == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	else if (e == 0 && (rq->type != MSG_SET_T || msg_get_set(m, rq->body.data, rq->body.len) < 0))
		e = ERR_PROTO;
	if (e < 0 && !*why)
		snprintf(why, n, "%s", err_str(e));
	return e;
}

int
client_set_new(struct client *c, const struct set_spec *s, uint64_t *number, char *why, size_t n)
{
	struct buf actor = BUF_INIT;
	struct request *rq = NULL;
	struct cset *known;
	struct msg_set m;
	struct rec *args;
	int e;

	*why = '\0';
	if ((e = client_put(c, s->actor.args, &args)) < 0)
		return e;
	lock_take(&c->lock);
	if ((e = actor_body_l(c, &actor, &s->actor, args)) == 0 && (rq = link_expect_l(c)))
		LINK_ASK(c, rq, set_new, .req = rq->req, .name = span_of(s->name, s->name ? strlen(s->name) : 0),
		    .actor = span_of(actor.data, actor.len), .min = s->min, .max = s->max, .gang = s->gang, .strategy = s->strategy,
		    .detached = s->detached, .drain = s->drain, .period = s->period, .patience = s->patience,
		    .method = span_of(s->method, s->method ? strlen(s->method) : 0), .surge = s->surge);
	lock_drop(&c->lock);
	buf_release(&actor);
	if (!c->serving)
		service_start(c);
	e = rq ? answer(c, rq, &m, why, n) : -ENOMEM;
	lock_take(&c->lock);
	if (e == 0 && (known = known_l(c, m.set))) {
		*number = m.set;
		known->args = args;
		args = NULL;
	}
	if (args)
		rec_unref_l(c, args);
	lock_drop(&c->lock);
	if (rq)
		link_done(c, rq);
	return e;
}

int
client_set_find(struct client *c, const char *name, uint64_t *number, struct buf *class, struct buf *methods, char *why, size_t n)
{
	struct request *rq;
	struct msg_set m;
	int e;

	*why = '\0';
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, set_find, .req = rq->req, .name = span_of(name, strlen(name)));
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = answer(c, rq, &m, why, n)) == 0) {
		*number = m.set;
		if (buf_add(class, m.class.p, m.class.n) < 0 || buf_add(class, "", 1) < 0 || buf_add(methods, m.methods.p, m.methods.n) < 0)
			e = -ENOMEM;
	}
	link_done(c, rq);
	return e;
}

/* known, and watched from now on */
static struct cset *
watched_l(struct client *c, uint64_t number)
{
	struct cset *s = map_get(&c->sets, number);

	if (!s && (s = known_l(c, number)) && !c->lost)
		LINK_SEND(c, set_watch, .set = number, .on = 1);
	return s;
}

int
client_set_look(struct client *c, uint64_t number, uint64_t *revision, struct buf *body)
{
	struct cset *s;
	int e = 0;

	lock_take(&c->lock);
	if (!(s = watched_l(c, number))) {
		e = -ENOMEM;
	} else if (s->revision != *revision) {
		*revision = s->revision;
		e = buf_add(body, s->body.data, s->body.len) < 0 ? -ENOMEM : 1;
	} else if (c->lost) {
		e = ERR_NO_CLUSTER;
	}
	lock_drop(&c->lock);
	return e;
}

/* a record that becomes ready with the set; yes: it is already, or what met said */
static struct rec *
waiting_l(struct client *c, struct cset *s, uint32_t up, int yes, struct span why)
{
	struct wait *w = yes ? NULL : malloc(sizeof *w);
	struct rec *r = yes || w ? rec_new_l(c) : NULL;

	if (!r) {
		free(w);
		return NULL;
	}
	r->state = REC_PENDING;
	r->count = 1;
	r->flags |= REC_SEEN;
	if (yes) {
		wake_l(c, r, yes, why);
	} else {
		r->count = 2;
		*w = (struct wait){ s->waits, r, up };
		s->waits = w;
	}
	return r;
}

struct rec *
client_set_next(struct client *c, uint64_t number, uint64_t revision)
{
	struct cset *s;
	struct rec *r = NULL;

	lock_take(&c->lock);
	if ((s = watched_l(c, number)))
		r = waiting_l(c, s, ANY_CHANGE, s->revision != revision || c->lost, span_of(NULL, 0));
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	return r;
}

struct rec *
client_set_ready(struct client *c, uint64_t number, unsigned up)
{
	struct span why = span_of(GONE, sizeof GONE - 1);
	struct cset *s;
	struct rec *r = NULL;

	lock_take(&c->lock);
	if ((s = watched_l(c, number)))
		r = waiting_l(c, s, up, c->lost ? ERR_NO_CLUSTER : met(s, up, &why), why);
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	return r;
}

/* the answer OK of a request that was sent */
static int
confirmed(struct client *c, struct request *rq, char *why, size_t n)
{
	int e;

	*why = '\0';
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	if (e < 0 && !*why)
		snprintf(why, n, "%s", err_str(e));
	link_done(c, rq);
	return e;
}

int
client_set_resize(struct client *c, uint64_t number, unsigned min, unsigned max, char *why, size_t n)
{
	struct request *rq;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, set_resize, .req = rq->req, .set = number, .min = min, .max = max);
	lock_drop(&c->lock);
	return confirmed(c, rq, why, n);
}

int
client_set_renew(struct client *c, uint64_t number, char *why, size_t n)
{
	struct request *rq;

	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, set_renew, .req = rq->req, .set = number);
	lock_drop(&c->lock);
	return confirmed(c, rq, why, n);
}

void
client_set_end(struct client *c, uint64_t number, bool kill)
{
	lock_take(&c->lock);
	if (!c->lost)
		LINK_SURE(c, set_end, .set = number, .kill = kill);
	lock_drop(&c->lock);
}
