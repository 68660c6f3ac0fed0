/*
 * actor - handles, and calls in the order in which they were made.
 *
 * A handle is known by the actor's number.  The process opens a ring to the actor for each concurrency group that it
 * calls (a lane), so that a full group holds up no other; calls wait in the lane's queue while there is none: before the
 * first GRANT, and between a death and the restart.
 *
 * What is replayed: the ring is the record of it.  A call's word says whether it was claimed, that is started; its
 * completion lies in the ring until we took it, also when the actor is dead.  So after a death what was not claimed is
 * sent again in order and uncharged; what was claimed without a completion only while it has retries, else it fails and
 * says that it may have run.  Each incarnation has new rings: nothing of an old one can reach it.
 */
#include <limits.h>
#include <stdio.h>
#include "client/inner.h"
#include "wire/spec.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"

static const char stopped[] = "the actor was stopped", killed[] = "the actor was killed";

static unsigned
groups_of(struct span methods)
{
	struct span g = methods_info(methods, "groups");
	struct mp m = mp_read(g.p, g.n);
	struct mp_tok t;

	return g.n && mp_next(&m, &t) == 0 && t.kind == MP_ARRAY && t.n < ACTOR_GROUPS ? (unsigned)t.n : 0;
}

static int64_t
number_of(struct span methods, const char *key)
{
	struct span v = methods_info(methods, key);
	struct mp m = mp_read(v.p, v.n);
	struct mp_tok t;

	return v.n && mp_next(&m, &t) == 0 && t.kind == MP_INT && t.i >= -1 && t.i < UINT32_MAX ? t.i : 0;
}

void
actor_again_l(struct client *c, struct actor *a)
{
	if (a->handles++ == 0) {
		c->nfound--;
		LINK_SEND(c, actor_hold, .actor = a->number);
	}
}

static struct actor *
actor_l(struct client *c, uint64_t number, const char *class, size_t nclass, const unsigned char *methods, size_t nmethods)
{
	struct actor *a = map_get(&c->actor, number);
	int64_t n;

	if (a) {
		actor_again_l(c, a);
		return a;
	}
	if (!(a = calloc(1, sizeof *a)))
		return NULL;
	a->number = number;
	a->state = ACTOR_PENDING;
	a->handles = 1;
	a->nlane = 1 + groups_of(span_of(methods, nmethods));
	n = number_of(span_of(methods, nmethods), "max_pending");
	a->max_pending = n > 0 ? (unsigned)n : 0;
	n = number_of(span_of(methods, nmethods), "retries");
	a->retries = n <= UINT8_MAX ? (int)n : 0;
	if (!(a->class = malloc(nclass + 1)) || !(a->methods = malloc(nmethods + 1)) ||
	    !(a->lane = calloc(a->nlane, sizeof *a->lane)) || map_put(&c->actor, number, a) < 0) {
		free(a->lane);
		free(a->class);
		free(a->methods);
		free(a);
		return NULL;
	}
	memcpy(a->class, class, nclass);
	a->class[nclass] = '\0';
	memcpy(a->methods, methods, nmethods);
	a->nmethods = nmethods;
	return a;
}

void
lane_open_l(struct client *c, struct actor *a, unsigned lane)
{
	if (a->lane[lane].opened || a->state == ACTOR_DEAD)
		return;
	a->lane[lane].opened = true;
	LINK_SEND(c, actor_open, .req = 0, .actor = a->number, .group = lane);
}

uint64_t
actor_queued_l(const struct actor *a)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < a->nlane; i++)
		n += a->lane[i].queued;
	return n;
}

static void
actor_unload_l(struct actor *a)		/* client_actor_calls reads both without the lock */
{
	__atomic_store_n(&a->load, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&a->charged, 0, __ATOMIC_RELAXED);
}

void
actor_call_end_l(struct client *c, struct actor *a)
{
	__atomic_store_n(&a->calls, a->calls - 1, __ATOMIC_RELAXED);	/* for client_actor_calls */
	actor_unref_l(c, a);
}

/* who waits for it to be up need wait no more */
static void
ups_l(struct client *c, struct actor *a)
{
	while (a->ups) {
		struct rec *r = slab_at(&c->slab, a->ups);

		a->ups = r->link;
		r->link = 0;
		rec_set_l(c, r, (const unsigned char *)"\xc0", 1, 1, 0);
		rec_ready_l(c, r);
		rec_unref_l(c, r);
	}
}

void
actor_unref_l(struct client *c, struct actor *a)
{
	struct lease *l;

	if (--a->handles)
		return;
	for (unsigned i = 0; i < a->nlane; i++)
		if ((l = a->lane[i].lease)) {	/* what we sent is done: each call counted as a handle */
			l->actor = NULL;	/* who is at it now may look once more */
			if (l->dead)
				continue;
			lease_takeback_l(c, l);		/* what it was to free and has not seen */
			LINK_SEND(c, return, .lease = l->number);
			lease_free_l(c, l);
		}
	memset(a->lane, 0, a->nlane * sizeof *a->lane);
	actor_unload_l(a);
	if (a->state != ACTOR_DEAD)
		LINK_SEND(c, actor_drop, .actor = a->number);
	ups_l(c, a);
	if (found_keep_l(c, a))
		return;
	map_del(&c->actor, a->number);
	if (a->args)
		rec_unref_l(c, a->args);
	found_forget_l(c, a);
	buf_release(&a->error);
	free(a->lane);
	free(a->class);
	free(a->methods);
	free(a->why);
	free(a);
}

void
actor_granted_l(struct client *c, struct lease *l, uint32_t incarnation)
{
	struct actor *a = l->actor;

	a->incarnation = incarnation;
	a->state = ACTOR_ALIVE;
	if (a->ups)
		ups_l(c, a);
	feed_lane_l(c, a, l->lane);
}

/* --- handles in payloads: a payload that is kept holds them, the receiver of a result holds them before it knows ------- */

static int
retain_handle(void *arg, uint64_t number, struct span class, struct span methods)
{
	struct client *c = arg;
	bool known = map_get(&c->actor, number) != NULL;	/* and held, then: actor_l sees to it */

	if (!actor_l(c, number, (const char *)class.p, class.n, methods.p, methods.n))
		return -ENOMEM;
	if (!known)
		LINK_SEND(c, actor_hold, .actor = number);
	return 0;
}

int
actors_retain_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals)
{
	return val_walk_actors(p, n, nvals, retain_handle, c);
}

static int
release_handle(void *arg, uint64_t number, struct span class, struct span methods)
{
	struct client *c = arg;
	struct actor *a = map_get(&c->actor, number);

	(void)class, (void)methods;
	if (a)
		actor_unref_l(c, a);
	return 0;
}

void
actors_release_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals)
{
	val_walk_actors(p, n, nvals, release_handle, c);
}

struct give {
	struct client *c;
	uint32_t proc;
};

static int
give_handle(void *arg, uint64_t number, struct span class, struct span methods)
{
	const struct give *g = arg;

	(void)class, (void)methods;
	LINK_SEND(g->c, actor_hold, .actor = number, .proc = g->proc);
	return 0;
}

void
actors_give_l(struct client *c, const struct payload *p, uint32_t proc)
{
	val_walk_actors(p->p, p->n, p->nvals, give_handle, &(struct give){ c, proc });
}

/* its worker died: calls that had not started are in the queue again; a new ring or the end will be told */
void
actor_lost_ring_l(struct client *c, struct lease *l)
{
	struct actor *a = l->actor;

	c->upsets++;
	a->lane[l->lane].lease = NULL;
	actor_unload_l(a);
	if (a->state == ACTOR_ALIVE)
		a->state = ACTOR_RESTARTING;
}

void
actor_state_l(struct client *c, const struct msg_actor_state *m)
{
	struct actor *a = map_get(&c->actor, m->actor);

	if (!a || m->incarnation < a->incarnation)
		return;
	c->upsets++;
	if (m->state == ACTOR_DEAD || m->state == ACTOR_RESTARTING) {
		free(a->why);
		if ((a->why = malloc(m->text.n + 1))) {
			memcpy(a->why, m->text.p, m->text.n);
			a->why[m->text.n] = '\0';
		}
		a->told = m->incarnation;
	}
	if (m->state == ACTOR_DEAD) {
		a->state = ACTOR_DEAD;
		found_forget_l(c, a);
		a->error.len = 0;
		if (m->error.n && m->error.n <= REC_BLOCK_MAX && val_check(m->error.p, m->error.n, 1, VAL_ALLOW_CODE) == 0)
			buf_add(&a->error, m->error.p, m->error.n);
		a->handles++;
		ups_l(c, a);
		feed_actor_l(c, a);
		actor_unref_l(c, a);
	} else if (m->state == ACTOR_RESTARTING && a->state != ACTOR_DEAD) {
		a->state = ACTOR_RESTARTING;
	}
}

/* --- for the main thread ------------------------------------------------------------------------------------ */

static int
spec_put(struct client *c, struct buf *b, const struct actor_spec *s, struct rec *args)
{
	unsigned char head[SPEC_HEAD];
	struct obj_view v;
	const unsigned char *p;
	unsigned char at[WREF_SIZE];
	struct wref w;
	size_t n;
	/* a detached one is made again when we are gone, and so are our objects */
	bool along = s->detached && (p = rec_bytes_l(c, args, &v, &n)) && n <= SPEC_ARGS && (args->kind < REC_ARENA || v.nbuf == 0);

	if (args->kind == REC_ARENA && !along) {
		rec_export_l(c, args, &w);
		val_wref_pack(at, &w);
		p = at;
		n = sizeof at;
	} else {
		p = rec_bytes_l(c, args, &v, &n);
	}
	le_put32(head, (uint32_t)s->ncode);
	le_put32(head + 4, args->nvals);
	le_put32(head + 8, args->kind == REC_ARENA && !along);
	return buf_add(b, head, sizeof head) < 0 || buf_add(b, s->code, s->ncode) < 0 || buf_add(b, p, n) < 0 ? -ENOMEM : 0;
}

static struct msg_actor_new
new_msg(const struct client *c, const struct actor_spec *s, const struct buf *spec)
{
	bool captured = c->capturing && id_none(s->opts.group);

	return (struct msg_actor_new){ .name = span_of(s->name, s->name ? strlen(s->name) : 0),
	    .class = span_of(s->class, strlen(s->class)), .methods = span_of(s->methods, s->nmethods),
	    .spec = span_of(spec->data, spec->len), .cpus = s->opts.cpus, .gpus = s->opts.gpus, .memory = s->opts.memory,
	    .resources = span_of(s->opts.resources, s->opts.nresources), .restarts = s->restarts, .detached = s->detached,
	    .wait = s->opts.wait, .reuse = s->reuse, .threads = s->opts.threads,
	    .pgroup = captured ? c->pgroup : s->opts.group, .bundle = s->opts.bundle, .capture = captured || s->opts.capture,
	    .strategy = s->opts.spread, .on = span_of(s->opts.on, s->opts.on ? strlen(s->opts.on) : 0) };
}

int
actor_body_l(struct client *c, struct buf *b, const struct actor_spec *s, struct rec *args)
{
	struct buf spec = BUF_INIT;
	struct msg_actor_new m;
	int e = spec_put(c, &spec, s, args);

	if (e == 0) {
		m = new_msg(c, s, &spec);
		if ((e = msg_put_actor_new(b, &m)) == 0)
			buf_drop(b, FRAME_HEAD);
	}
	buf_release(&spec);
	return e;
}

unsigned
client_actor_calls(const struct actor *a)
{
	_Atomic uint32_t *load = __atomic_load_n(&a->load, __ATOMIC_RELAXED);
	unsigned own = __atomic_load_n(&a->calls, __ATOMIC_RELAXED);
	int32_t others = load ? (int32_t)(atomic_load_explicit(load, memory_order_relaxed) -
	    __atomic_load_n(&a->charged, __ATOMIC_RELAXED)) : 0;

	return own + (others > 0 ? (unsigned)others : 0);
}

int
actor_request(struct client *c, struct request *rq, struct actor **a, char *why, size_t n)
{
	struct msg_actor m;
	int e;

	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0) {
		if (rq->type == MSG_FAIL_T)
			e = link_fail(rq, why, n);
		else if (rq->type != MSG_ACTOR_T || msg_get_actor(&m, rq->body.data, rq->body.len) < 0)
			e = ERR_PROTO;
	}
	if (e == 0) {
		lock_take(&c->lock);
		*a = actor_l(c, m.actor, (const char *)m.class.p, m.class.n, m.methods.p, m.methods.n);
		if (*a) {
			LINK_SEND(c, actor_hold, .actor = m.actor);	/* a DROP of ours may have passed the answer */
			lane_open_l(c, *a, 0);
		}
		lock_drop(&c->lock);
		e = *a ? 0 : -ENOMEM;
	} else if (e != ERR_NOTFOUND && !*why) {
		snprintf(why, n, "%s", err_str(e));
	}
	link_done(c, rq);
	return e;
}

int
client_actor_new(struct client *c, const struct actor_spec *s, struct actor **a, char *why, size_t n)
{
	struct buf spec = BUF_INIT;
	struct request *rq = NULL;
	struct rec *args;
	int e;

	*why = '\0';
	if ((e = client_put(c, s->args, &args)) < 0)
		return e;
	lock_take(&c->lock);
	if ((e = spec_put(c, &spec, s, args)) == 0 && (rq = link_expect_l(c))) {
		struct msg_actor_new m = new_msg(c, s, &spec);
		size_t at = c->out.len;

		m.req = rq->req;
		if ((e = msg_put_actor_new(&c->out, &m)) == 0)
			link_sent_l(c, rq, at);
		else
			link_unsent(rq, e);
	}
	lock_drop(&c->lock);
	buf_release(&spec);
	e = rq ? actor_request(c, rq, a, why, n) : -ENOMEM;
	if (e == 0) {
		if ((*a)->args == NULL)
			(*a)->args = args;
		else
			client_release(c, args);
		(*a)->retries = s->opts.retries;
		if (s->name && s->name[0]) {
			lock_take(&c->lock);
			found_put_l(c, *a, "", s->name);
			lock_drop(&c->lock);
		}
	} else {
		client_release(c, args);
	}
	if (!c->serving)
		service_start(c);
	return e;
}

struct actor *
client_actor_import(struct client *c, uint64_t number, const char *class, size_t nclass, const unsigned char *methods,
    size_t nmethods, int retries)
{
	struct actor *a;
	bool known;

	lock_take(&c->lock);
	known = map_get(&c->actor, number) != NULL;
	a = actor_l(c, number, class, nclass, methods, nmethods);
	if (a && !known) {
		if (retries)			/* else it is what the bytes say */
			a->retries = retries;
		LINK_SEND(c, actor_hold, .actor = number);
	}
	if (a)
		lane_open_l(c, a, 0);
	lock_drop(&c->lock);
	return a;
}

void
client_actor_retain(struct client *c, struct actor *a)
{
	lock_take(&c->lock);
	a->handles++;
	lock_drop(&c->lock);
}

void
client_actor_drop(struct client *c, struct actor *a)
{
	lock_take(&c->lock);
	actor_unref_l(c, a);
	lock_drop(&c->lock);
}

uint64_t
actor_number(const struct actor *a)
{
	return a->number;
}

const char *
actor_class(const struct actor *a)
{
	return a->class;
}

int
actor_retries(const struct actor *a)
{
	return a->retries;
}

uint32_t
actor_incarnation(const struct actor *a)
{
	return a->incarnation;
}

const char *
client_actor_trouble(struct client *c, const struct actor *a, uint32_t incarnation)
{
	const char *why = NULL;

	lock_take(&c->lock);
	if (a->state == ACTOR_DEAD || a->told > incarnation)	/* restarting alone: the node has not said yet how it ended */
		why = a->why && *a->why ? a->why : "it ended";
	else if (a->incarnation > incarnation)
		why = "it was started again";
	lock_drop(&c->lock);
	return why;
}

struct span
actor_methods(const struct actor *a)
{
	return span_of(a->methods, a->nmethods);
}

int
client_actor_end(struct client *c, struct actor *a, bool stop, bool restart)
{
	lock_take(&c->lock);
	if (stop && !restart && actor_queued_l(a) && a->state != ACTOR_DEAD)
		a->stop = true;			/* the stop must not overtake them */
	else if (restart)			/* twice would be once too often */
		LINK_SEND(c, actor_kill, .req = 0, .actor = a->number, .stop = stop, .restart = restart);
	else
		LINK_SURE(c, actor_kill, .req = 0, .actor = a->number, .stop = stop);
	if (restart && !stop && a->state == ACTOR_ALIVE)
		a->state = ACTOR_RESTARTING;	/* calls that are made from now on are the next one's */
	if (!restart)
		a->ended = stop ? stopped : killed;
	lock_drop(&c->lock);
	return 0;
}

void
actor_rejoin_l(struct client *c, struct actor *a)
{
	if (a->state == ACTOR_DEAD)
		return;
	found_forget_l(c, a);			/* nobody would tell us */
	if (a->handles++ > 0) {
		LINK_SEND(c, actor_hold, .actor = a->number);
		for (unsigned i = 0; i < a->nlane; i++)
			if (a->lane[i].opened)
				LINK_SEND(c, actor_open, .req = 0, .actor = a->number, .group = i);
		if (a->ended && !a->stop)
			LINK_SEND(c, actor_kill, .req = 0, .actor = a->number, .stop = a->ended == stopped);
	}
	actor_unref_l(c, a);
}

static bool
actor_settled(struct client *c, void *arg)
{
	struct actor *a = arg;

	(void)c;
	return a->state == ACTOR_ALIVE || a->state == ACTOR_DEAD;
}

struct rec *
client_actor_ready(struct client *c, struct actor *a)
{
	struct rec *r;

	lock_take(&c->lock);
	if ((r = rec_new_l(c))) {
		r->state = REC_PENDING;
		r->count = 1;
		r->flags |= REC_SEEN;
		if (actor_settled(c, a)) {
			rec_set_l(c, r, (const unsigned char *)"\xc0", 1, 1, 0);
			rec_set_ready(r);
		} else {
			r->count = 2;
			r->link = a->ups;
			a->ups = slab_unit(&c->slab, r);
			lane_open_l(c, a, 0);
		}
	}
	lock_drop(&c->lock);
	return r;
}

unsigned
client_actor_load(struct client *c, struct actor *a, bool look, enum actor_state *state, char *why, size_t size)
{
	const char *text;
	unsigned n;

	lock_take(&c->lock);
	if (look)
		progress_l(c);
	n = a->calls;
	*state = a->ended ? ACTOR_DEAD : a->state;
	text = a->ended ? a->ended : a->why;
	snprintf(why, size, "%s", *state == ACTOR_DEAD && text ? text : "");
	lock_drop(&c->lock);
	return n;
}

unsigned
client_actor_idlest(struct client *c, struct actor *const a[], unsigned n, unsigned from, bool any)
{
	unsigned best = 0, few = UINT_MAX;

	lock_take(&c->lock);
	progress_l(c);
	for (unsigned i = 0, at = from; i < n; i++) {
		const struct actor *x = a[at < n ? at : (at = 0)];
		unsigned halves = 2 * x->calls + (x->ended || x->state != ACTOR_ALIVE);

		at++;
		if (!any && (x->ended || x->state == ACTOR_DEAD)) {
			best = 0;
			break;
		}
		if (halves < few) {
			few = halves;
			best = at;
		}
	}
	lock_drop(&c->lock);
	return best;
}

int
client_actor_wait(struct client *c, struct actor *a, uint64_t deadline)
{
	int e;

	lock_take(&c->lock);
	lane_open_l(c, a, 0);
	lock_drop(&c->lock);
	while ((e = wait_until(c, actor_settled, a, deadline)) == -EINTR && c->worker)
		;
	return e < 0 ? e : a->state == ACTOR_DEAD ? ERR_ACTOR_DIED : 0;
}
