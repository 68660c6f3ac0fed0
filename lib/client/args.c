/*
 * args - tasks whose arguments are references to what is not there yet: waiting, then the final payload.
 *
 * A small value takes the place of its reference; one in the arena is named by where it lies (VALREF).
 */
#include "client/queue.h"

struct splice {				/* rebuilding a payload with what its references became */
	struct client *c;
	struct buf b;
	struct rec *failed;
	unsigned refs;
};

static int
splice_one(struct splice *s, const unsigned char *p, size_t n)
{
	struct mp_ext { unsigned char head[3]; } const *h = (const void *)p;	/* ext8: c7 40 type */
	struct obj_view v;
	const unsigned char *q;
	struct wref w;
	struct rec *r;
	ssize_t len;
	size_t m;

	if (n != 3 + WREF_SIZE || h->head[0] != 0xc7 || h->head[1] != WREF_SIZE || h->head[2] != VAL_VALREF) {
		s->refs++;			/* anything may hold references: the flag stays as it was */
		return buf_add(&s->b, p, n);
	}
	val_wref_unpack(&w, p + 3);
	if (!(r = rec_of_l(s->c, &w)))
		return ERR_LOST;
	if (r->flags & REC_ERROR) {
		s->failed = r;
		return 0;
	}
	if (r->kind >= REC_ARENA) {
		unsigned char ext[3 + WREF_SIZE] = { 0xc7, WREF_SIZE, VAL_VALREF };

		s->refs++;
		rec_export_l(s->c, r, &w);
		val_wref_pack(ext + 3, &w);
		return buf_add(&s->b, ext, sizeof ext);
	}
	q = rec_bytes_l(s->c, r, &v, &m);
	if (r->nvals == 0)
		return buf_add(&s->b, "\xc0", 1);
	s->refs += (r->flags & REC_REFS) != 0;
	if ((len = val_first(q, m)) < 0)
		return (int)len;
	return buf_add(&s->b, q, (size_t)len);
}

/* a task that ends before it ran; a call of an actor stays counted until it leaves the actor's queue */
void
task_fail_l(struct client *c, struct rec *r, int code, const char *text)
{
	bool call = r->flags & REC_ACTOR;

	task_end_l(c, r);
	rec_fail_l(c, r, code, text);
	if (!call)
		rec_unref_l(c, r);
}

static int
fail_as_l(struct client *c, struct rec *r, struct rec *arg)
{
	bool call = r->flags & REC_ACTOR;
	struct obj_view v;
	struct buf copy = BUF_INIT;
	const unsigned char *q;
	unsigned nv = arg->nvals;
	size_t n;

	arg->flags |= REC_SEEN;
	if (!(q = rec_bytes_l(c, arg, &v, &n)) || n > REC_BLOCK_MAX || buf_add(&copy, q, n) < 0)
		return ERR_LOST;
	task_end_l(c, r);
	rec_set_l(c, r, copy.data, copy.len, nv, PAYLOAD_ERROR);
	buf_release(&copy);
	children_end_l(c, r);
	rec_ready_l(c, r);
	if (!call)
		rec_unref_l(c, r);
	return 1;
}

/* all arguments are ready: the final payload in s->b; 1: the task failed as one of them did */
static int
splice_l(struct client *c, struct rec *r, struct splice *s)
{
	struct obj_view v;
	const unsigned char *p;
	size_t n, at = 0;

	if (!(p = rec_bytes_l(c, r, &v, &n)))
		return ERR_LOST;
	for (unsigned i = 0; i < r->nvals; i++) {
		ssize_t len = val_first(p + at, n - at);
		int e;

		if (len < 0 || (e = splice_one(s, p + at, (size_t)len)) < 0) {
			s->b.len = 0;		/* holds nothing yet */
			return len < 0 ? (int)len : e;
		}
		if (s->failed)
			return fail_as_l(c, r, s->failed);
		at += (size_t)len;
	}
	return refs_retain_l(c, s->b.data, s->b.len, r->nvals);
}

static void
spliced_l(struct client *c, struct rec *r, const struct splice *s, const struct rec_where *w)
{
	struct rec_context x;
	unsigned nv = r->nvals;
	bool has = r->flags & REC_CONTEXT;
	int e = 0;

	if (has)
		memcpy(&x, slab_at(&c->slab, r->ext), sizeof x);
	rec_clear_l(c, r);
	if (has)
		e = rec_context_l(c, r, &x);
	if (e == 0 && w && w->off) {
		memcpy(r->inl, w, sizeof *w);
		r->kind = REC_ARENA;
		r->nvals = (uint16_t)nv;
		r->flags |= REC_REFS;
	} else if (e == 0) {
		e = rec_set_l(c, r, s->b.data, s->b.len, nv, s->refs ? PAYLOAD_REFS : 0);
	}
	if (e < 0) {
		task_fail_l(c, r, e, err_str(e));
		return;
	}
	if (r->flags & REC_ACTOR) {
		rec_state(r, REC_QUEUED);		/* its place in the actor's queue was kept */
		c->queued++;
		feed_actor_l(c, side_find_l(c, r)->actor);
	} else {
		place_l(c, r, fn_of(c, r->fn));
	}
}

void
task_resolved_l(struct client *c, struct rec *r)
{
	struct splice s = { .c = c };
	struct side *side = side_find_l(c, r);
	struct actor *a;
	int e;

	if (!side || (side->missing && --side->missing))
		return;
	if (r->state == REC_READY && side->late)	/* it expired, and was kept for our sake */
		rec_unref_l(c, r);
	if (r->state != REC_WAITING)
		return;
	a = r->flags & REC_ACTOR ? side->actor : NULL;
	if ((e = splice_l(c, r, &s)) == 0 && s.b.len > REC_EXT_MAX) {
		/* too large for the slab; making room in the arena may wait: the main thread does it */
		uint32_t *v = realloc(c->deferred, (c->ndeferred + 1) * sizeof *v);

		refs_release_l(c, s.b.data, s.b.len, r->nvals);
		buf_release(&s.b);
		if (v) {
			c->deferred = v;
			v[c->ndeferred++] = side->unit;
			return;
		}
		e = -ENOMEM;
	}
	c->queued--;				/* WAITING counts as queued until here */
	if (e < 0)
		task_fail_l(c, r, e, err_str(e));
	else if (e == 0)
		spliced_l(c, r, &s, NULL);
	if (e != 0 && a)
		feed_actor_l(c, a);		/* the calls behind it wait no longer */
	buf_release(&s.b);
}

void
task_expire_l(struct client *c, struct rec *r, int code, const char *text)
{
	struct shape *s = fn_of(c, r->fn)->shape;
	struct side *side;
	bool waits = r->state == REC_WAITING, call = r->flags & REC_ACTOR;

	if (!waits && !call)
		queue_remove_l(c, s, r);
	else
		c->queued--;
	if (waits && call)
		r->count++;			/* what it waits for will tell it, the queue lets go of it now */
	rec_fail_l(c, r, code, text);
	if (call && (side = side_find_l(c, r)) && side->actor)
		feed_actor_l(c, side->actor);
	if (!waits && !call)
		rec_unref_l(c, r);
}

/* its arguments lie at w now, or e tells why not; the task may have expired meanwhile */
static void
deferred_l(struct client *c, struct rec *r, struct splice *s, unsigned nvals, const struct rec_where *w, int e)
{
	struct side *side = side_find_l(c, r);
	struct actor *a = r->flags & REC_ACTOR && side ? side->actor : NULL;

	if (r->state != REC_WAITING) {
		if (w->off) {
			refs_release_l(c, s->b.data, s->b.len, nvals);
			mem_free_l(c, w);
		}
		rec_unref_l(c, r);
		return;
	}
	c->queued--;
	if (e == 0)
		spliced_l(c, r, s, w);
	else if (e < 0)
		task_fail_l(c, r, e, e == ERR_FULL ? c->why_full : err_str(e));
	if (e != 0 && a)
		feed_actor_l(c, a);
}

/* main thread, lock not held: tasks whose arguments became too large for the slab */
void
task_deferred(struct client *c)
{
	for (;;) {
		struct splice s = { .c = c };
		struct rec_where w = { 0 };
		struct rec *r = NULL;
		unsigned nvals = 0;
		int e = 0;

		lock_take(&c->lock);
		if (c->ndeferred) {
			r = slab_at(&c->slab, c->deferred[--c->ndeferred]);
			nvals = r->nvals;
			e = r->state == REC_WAITING ? splice_l(c, r, &s) : 1;
		}
		lock_drop(&c->lock);
		if (!r)
			return;
		if (e == 0)
			e = mem_put(c, (struct id){ (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq | ID_RET_MAX },
			    0, &(struct payload){ s.b.data, s.b.len, nvals, 0, NULL, 0 }, &w);
		lock_take(&c->lock);
		if (e < 0 && s.b.len)
			refs_release_l(c, s.b.data, s.b.len, nvals);
		deferred_l(c, r, &s, nvals, &w, e);
		lock_drop(&c->lock);
		buf_release(&s.b);
	}
}

struct missing {
	struct client *c;
	struct rec *task;
	unsigned n;
};

static int
missing_one(void *arg, const struct wref *w, bool valref)
{
	struct missing *m = arg;
	struct rec *r = rec_of_l(m->c, w);
	struct waiter *wt;
	struct side *s;

	if (!valref || !r || r->state == REC_READY)
		return 0;
	if (!(s = side_l(m->c, r)) || !(wt = calloc(1, sizeof *wt)))
		return -ENOMEM;
	wt->kind = WAIT_DEP;
	wt->task = slab_unit(&m->c->slab, m->task);
	list_add_tail(&s->waiters, &wt->link);
	if (r->flags & REC_BORROWED && !s->asked) {
		s->asked = true;
		LINK_SEND(m->c, route, .proc = s->id.proc, .kind = ROUTE_ASK, .id = s->id, .node = s->id.node);
	}
	m->n++;
	return 0;
}

/* the task waits until the arguments that were not ready when it was encoded are */
void
wait_args_l(struct client *c, struct rec *r, const struct payload *a, struct actor *actor)
{
	struct missing m = { c, r, 0 };
	struct side *s = side_l(c, r);
	int e = -ENOMEM;

	if (s) {
		s->actor = actor;
		rec_state(r, REC_WAITING);
		e = val_walk_refs(a->p, a->n, a->nvals, missing_one, &m);
	}
	if (e < 0) {
		task_fail_l(c, r, e, err_str(e));
		return;
	}
	c->queued++;
	s->missing = m.n ? m.n : 1;
	if (m.n == 0)			/* they came while the arguments were encoded */
		task_resolved_l(c, r);
}
