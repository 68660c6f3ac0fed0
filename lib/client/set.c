/* set - sets of actors from a process: one entry for each set that it ever looked at, until that is dead. */
#include <stdio.h>
#include "client/inner.h"
#include "client/set.h"
#include "wire/frame.h"

struct cset {
	uint64_t number, revision;
	struct buf body;		/* of the last SET_STATE */
	struct rec *args;		/* we made it: what its members are made with */
	uint32_t waits;			/* records that become ready with the next one, linked by rec.link */
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

static void
woken_l(struct client *c, struct cset *s)
{
	while (s->waits) {
		struct rec *r = slab_at(&c->slab, s->waits);

		s->waits = r->link;
		r->link = 0;
		rec_set_l(c, r, (const unsigned char *)"\xc3", 1, 1, 0);
		rec_ready_l(c, r);
		rec_unref_l(c, r);
	}
}

int
set_state_l(struct client *c, const struct msg_set_state *m, const struct frame *f)
{
	struct cset *s = known_l(c, m->set);

	if (!s)
		return -ENOMEM;
	s->revision = m->revision;
	s->body.len = 0;
	if (buf_add(&s->body, f->body, f->len) < 0)
		return -ENOMEM;
	if (m->state == 4 && s->args) {
		rec_unref_l(c, s->args);
		s->args = NULL;
	}
	woken_l(c, s);
	return 0;
}

void
sets_lost_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it))
		woken_l(c, it.val);
}

void
sets_die_l(struct client *c, const char *why)
{
	struct map_iter it = MAP_ITER;
	struct buf b = BUF_INIT;
	struct frame f;

	while (map_next(&c->sets, &it)) {
		const struct cset *s = it.val;
		struct msg_set_state m = { .set = it.key, .revision = s->revision + 1, .state = 4,
		    .text = span_of(why, strlen(why)) };

		b.len = 0;
		if (msg_put_set_state(&b, &m) == 0 && frame_parse(&f, b.data, b.len, FRAME_MAX) > 0)
			set_state_l(c, &m, &f);
	}
	buf_release(&b);
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
		LINK_SEND(c, set_new, .req = rq->req, .name = span_of(s->name, s->name ? strlen(s->name) : 0),
		    .actor = span_of(actor.data, actor.len), .min = s->min, .max = s->max, .gang = s->gang, .strategy = s->strategy,
		    .detached = s->detached, .drain = s->drain);
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
		LINK_SEND(c, set_find, .req = rq->req, .name = span_of(name, strlen(name)));
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

struct rec *
client_set_next(struct client *c, uint64_t number, uint64_t revision)
{
	struct cset *s;
	struct rec *r = NULL;

	lock_take(&c->lock);
	if ((s = watched_l(c, number)) && (r = rec_new_l(c))) {
		r->state = REC_PENDING;
		r->count = 1;
		r->flags |= REC_SEEN;
		if (s->revision != revision || c->lost) {
			rec_set_l(c, r, (const unsigned char *)"\xc3", 1, 1, 0);
			rec_set_ready(r);
		} else {
			r->count = 2;
			r->link = s->waits;
			s->waits = slab_unit(&c->slab, r);
		}
	}
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	return r;
}

int
client_set_resize(struct client *c, uint64_t number, unsigned min, unsigned max, char *why, size_t n)
{
	struct request *rq;
	int e;

	*why = '\0';
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_SEND(c, set_resize, .req = rq->req, .set = number, .min = min, .max = max);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0 && rq->type == MSG_FAIL_T)
		e = link_fail(rq, why, n);
	if (e < 0 && !*why)
		snprintf(why, n, "%s", err_str(e));
	link_done(c, rq);
	return e;
}

void
client_set_end(struct client *c, uint64_t number, bool kill)
{
	lock_take(&c->lock);
	if (!c->lost)
		LINK_SEND(c, set_end, .set = number, .kill = kill);
	lock_drop(&c->lock);
}
