/*
 * task - submitting: functions, shapes, queues, and which task goes before which worker.
 *
 * The straight path is client_submit -> place_l -> ring_push: no system call, no allocation past the record.
 * A worker has at most a fraction of a millisecond of unclaimed work before it (depth); the rest waits here.
 */
#include <stdio.h>
#include "base/hash.h"
#include "client/inner.h"

#define AHEAD_NS 200000u	/* unclaimed work before one worker */
#define PATIENCE_NS 1000000u	/* queued work that is worth another worker */

void
task_opts_init(struct task_opts *o)
{
	*o = (struct task_opts){ .cpus = 1000, .retries = 3 };
}

/* --- functions ------------------------------------------------------------------------------------------- */

static bool
same_shape(const struct task_opts *a, const struct task_opts *b)
{
	return a->cpus == b->cpus && a->gpus == b->gpus && a->memory == b->memory && a->priority == b->priority &&
	    a->wait == b->wait && a->nresources == b->nresources &&
	    (a->nresources == 0 || memcmp(a->resources, b->resources, a->nresources) == 0);
}

static struct shape *
shape_l(struct client *c, const struct task_opts *o)
{
	struct shape **v, *s;
	unsigned char *copy = NULL;

	for (unsigned i = 0; i < c->nshape; i++)
		if (same_shape(&c->shape[i]->opts, o))
			return c->shape[i];
	if (!(v = realloc(c->shape, (c->nshape + 1) * sizeof *v)))
		return NULL;
	c->shape = v;
	if (!(s = calloc(1, sizeof *s)) || (o->nresources && !(copy = malloc(o->nresources)))) {
		free(s);
		return NULL;
	}
	if (copy)
		memcpy(copy, o->resources, o->nresources);
	s->opts = *o;
	s->opts.resources = copy;
	s->number = c->nshape;
	s->est = EST_UNKNOWN;
	v[c->nshape++] = s;
	return s;
}

static struct fncode *
code_l(struct client *c, const void *p, size_t n)
{
	struct hash128 h = hash128(p, n);
	struct id key = { (uint32_t)(h.a >> 32), (uint32_t)h.a, h.b };
	struct fncode *k = idmap_get(&c->codes, key);

	if (k && k->len == n) {
		k->count++;
		return k;
	}
	if (!(k = calloc(1, sizeof *k)))
		return NULL;
	k->hash[0] = h.a;
	k->hash[1] = h.b;
	k->len = (uint32_t)n;
	k->count = 1;
	k->unit = n == 0 ? 0 : n <= SLAB_BLOCK_MAX ? slab_alloc(&c->slab, n) : slab_run(&c->slab, n);
	if (n && k->unit == 0) {
		free(k);
		return NULL;
	}
	if (n)
		memcpy(slab_at(&c->slab, k->unit), p, n);
	idmap_put(&c->codes, key, k);
	return k;
}

static void
code_free_l(struct client *c, struct fncode *k)
{
	struct id key = { (uint32_t)(k->hash[0] >> 32), (uint32_t)k->hash[0], k->hash[1] };

	if (--k->count)
		return;
	if (idmap_get(&c->codes, key) == k)
		idmap_del(&c->codes, key);
	if (k->unit && k->len <= SLAB_BLOCK_MAX)
		slab_free(&c->slab, k->unit);
	free(k);
}

static int
fn_make_l(struct client *c, enum fn_kind kind, struct fncode *code, const char *name, const struct task_opts *o,
    struct fn **out)
{
	static _Atomic uint64_t serial;		/* this process's: never used again */
	struct fn *fn = calloc(1, sizeof *fn), **v;
	struct fnblk *b;
	uint32_t u = slab_alloc(&c->slab, sizeof *b);

	if (!fn || !u)
		goto nomem;
	if (c->fn_free == c->nfn) {		/* fn_free: first index that may be free */
		uint32_t n = c->nfn ? c->nfn * 2 : 16;

		if (!(v = realloc(c->fn, n * sizeof *v)))
			goto nomem;
		memset(v + c->nfn, 0, (n - c->nfn) * sizeof *v);
		c->fn = v;
		c->nfn = n;
	}
	if (kind != FN_METHOD && !(fn->shape = shape_l(c, o)))
		goto nomem;
	fn->opts = *o;
	fn->opts.resources = NULL;
	fn->opts.nresources = 0;
	fn->unit = u;
	fn->priv = c->fn_free;
	fn->count = 1;
	fn->est = EST_UNKNOWN;
	fn->code = code;
	snprintf(fn->name, sizeof fn->name, "%s", name);
	c->fn[fn->priv] = fn;
	while (c->fn_free < c->nfn && c->fn[c->fn_free])
		c->fn_free++;
	b = slab_at(&c->slab, u);
	*b = (struct fnblk){ .serial = ++serial, .hash = { code->hash[0], code->hash[1] }, .bytes = code->unit,
	    .len = code->len, .kind = (uint8_t)kind, .nret = (uint8_t)(o->returns > 1 ? o->returns : 0),
	    .priv = fn->priv, .namelen = (uint16_t)strlen(fn->name) };
	memcpy(b->name, fn->name, b->namelen < sizeof b->name ? b->namelen + 1u : sizeof b->name);
	b->name[sizeof b->name - 1] = '\0';
	*out = fn;
	return 0;
nomem:
	if (u)
		slab_free(&c->slab, u);
	free(fn);
	return -ENOMEM;
}

int
client_fn(struct client *c, enum fn_kind kind, const void *p, size_t n, const char *name, const struct task_opts *o,
    struct fn **fn)
{
	struct fncode *k;
	int e = -ENOMEM;

	lock_take(&c->lock);
	if ((k = code_l(c, p, n)) && (e = fn_make_l(c, kind, k, name, o, fn)) < 0)
		code_free_l(c, k);
	lock_drop(&c->lock);
	return e;
}

int
client_fn_with(struct client *c, const struct fn *base, const char *name, const struct task_opts *o, struct fn **fn)
{
	enum fn_kind kind;
	int e;

	lock_take(&c->lock);
	kind = ((struct fnblk *)slab_at(&c->slab, base->unit))->kind;
	base->code->count++;
	if ((e = fn_make_l(c, kind, base->code, name ? name : base->name, o, fn)) < 0)
		code_free_l(c, base->code);
	else
		(*fn)->est = base->est;
	lock_drop(&c->lock);
	return e;
}

void
fn_unref_l(struct client *c, struct fn *fn)
{
	if (--fn->count)
		return;
	code_free_l(c, fn->code);
	slab_free(&c->slab, fn->unit);
	c->fn[fn->priv] = NULL;
	if (fn->priv < c->fn_free)
		c->fn_free = fn->priv;
	free(fn);
}

void
client_fn_free(struct client *c, struct fn *fn)
{
	lock_take(&c->lock);
	fn_unref_l(c, fn);
	lock_drop(&c->lock);
}

const char *
client_fn_name(const struct fn *fn)
{
	return fn->name;
}

const char *
client_task_name(struct client *c, const struct rec *r)
{
	return r->fn ? fn_of(c, r->fn)->name : NULL;
}

/* --- before which worker --------------------------------------------------------------------------------------- */

static unsigned
depth(const struct shape *s, uint32_t est)
{
	if (est == EST_UNKNOWN)
		est = s->est;
	if (est == EST_UNKNOWN)
		return 2;
	if (est <= AHEAD_NS / RING_DEPTH)
		return RING_DEPTH;
	return est >= AHEAD_NS ? 1 : AHEAD_NS / est;
}

static void
push_l(struct client *c, struct lease *l, struct rec *r)
{
	r->state = REC_PUSHED;
	r->link = l->index;
	ring_push(&l->ring, slab_unit(&c->slab, r));
	c->running++;
	if (l->inflight++ == 0) {
		c->active[c->nactive++] = l;
		l->active = c->nactive;
	}
	l->rung = true;
}

void
lease_ring_l(struct client *c, struct lease *l)
{
	l->rung = false;
	bell_ring(c->np, l->bell);
}

/* of the leases of s with room, the one with least before it; the first one while its work is next to nothing */
static struct lease *
choose_l(struct client *c, const struct shape *s, uint32_t est)
{
	unsigned d = depth(s, est);
	struct lease *best = NULL;

	if (est == EST_UNKNOWN)
		est = s->est;
	for (unsigned i = 0; i < c->nlease; i++) {
		struct lease *l = c->lease[i];

		if (!l || l->shape != s || l->returning || l->blocked || l->dead)
			continue;
		/* with nothing in flight all there is was taken back or is to be freed, and no completion will come */
		if (ring_unclaimed(&l->ring, d) >= d &&
		    (l->inflight || ring_unclaimed(&l->ring, RING_WORDS) >= RING_WORDS)) {
			c->starved |= l->inflight == 0;
			continue;
		}
		if (est != EST_UNKNOWN && (uint64_t)est * l->inflight < SPIN_MAX_NS)
			return l;
		if (!best || l->inflight < best->inflight)
			best = l;
	}
	return best;
}

/* how many leases would be of use now; asks rlet when that is more than it was last told */
static void
want_l(struct client *c, struct shape *s)
{
	uint64_t most = s->opts.cpus ? c->me.cpus / s->opts.cpus : 64, n = s->queued;
	uint64_t busy = s->leases - s->blocked;

	if (s->est != EST_UNKNOWN && n * s->est / PATIENCE_NS < n)
		n = n * s->est / PATIENCE_NS + (busy == 0);
	if (most == 0)
		most = 1;		/* asked for all the same: rlet says what is missing */
	n += busy;
	if (n > most)
		n = most > busy ? most : busy;
	n += s->blocked;
	if (n <= s->asked || c->lost)
		return;
	s->asked = (unsigned)n;
	LINK_SEND(c, lease, .shape = s->number, .req = s->number + 1, .cpus = s->opts.cpus, .gpus = s->opts.gpus,
	    .memory = s->opts.memory, .resources = span_of(s->opts.resources, s->opts.nresources),
	    .priority = s->opts.priority, .backlog = s->queued, .want = n, .wait = s->opts.wait);
}

static struct rec *
unqueue_l(struct client *c, struct shape *s)
{
	struct rec *r = slab_at(&c->slab, s->head);

	s->head = r->link;
	if (--s->queued == 0)
		s->head = s->tail = 0;
	c->queued--;
	return r;
}

void
feed_l(struct client *c, struct shape *s)
{
	struct lease *l;

	while (s->queued && (l = choose_l(c, s, fn_of(c, ((struct rec *)slab_at(&c->slab, s->head))->fn)->est)))
		push_l(c, l, unqueue_l(c, s));
	if (s->queued)
		want_l(c, s);
	for (unsigned i = 0; i < c->nactive; i++)
		if (c->active[i]->rung)
			lease_ring_l(c, c->active[i]);
}

void
task_queue_l(struct client *c, struct rec *r, bool front)
{
	struct shape *s = fn_of(c, r->fn)->shape;
	uint32_t u = slab_unit(&c->slab, r);

	if (c->lost || s->infeasible) {
		int code = c->lost ? ERR_NO_CLUSTER : ERR_INFEASIBLE;

		task_end_l(c, r);
		rec_fail_l(c, r, code, c->lost ? c->why : s->why);
		rec_unref_l(c, r);
		return;
	}
	r->state = REC_QUEUED;
	if (s->queued == 0) {
		s->head = s->tail = u;
		r->link = 0;
	} else if (front) {
		r->link = s->head;
		s->head = u;
	} else {
		((struct rec *)slab_at(&c->slab, s->tail))->link = u;
		s->tail = u;
		r->link = 0;
	}
	s->queued++;
	c->queued++;
}

static void
place_l(struct client *c, struct rec *r, struct fn *fn)
{
	struct shape *s = fn->shape;
	struct lease *l;

	if (s->queued == 0 && !c->lost && !s->infeasible && (l = choose_l(c, s, fn->est))) {
		push_l(c, l, r);
		lease_ring_l(c, l);
		return;
	}
	task_queue_l(c, r, c->in_task);	/* children first: depth before breadth, or recursion would not end */
	if (r->state != REC_QUEUED)
		return;
	if (s->queued % RING_DEPTH == 0)
		progress_l(c);			/* completions must not stop the workers */
	else if (s->queued < 16)
		feed_l(c, s);
}

/* --- arguments that are not there yet --------------------------------------------------------------------------- */

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
	if (r->kind == REC_ARENA) {
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
static void
fail_l(struct client *c, struct rec *r, int code, const char *text)
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

		if (len < 0 || (e = splice_one(s, p + at, (size_t)len)) < 0)
			return len < 0 ? (int)len : e;
		if (s->failed)
			return fail_as_l(c, r, s->failed);
		at += (size_t)len;
	}
	return refs_retain_l(c, s->b.data, s->b.len, r->nvals);
}

static void
spliced_l(struct client *c, struct rec *r, const struct splice *s, const struct rec_where *w)
{
	unsigned nv = r->nvals;

	rec_clear_l(c, r);
	if (w && w->off) {
		memcpy(r->inl, w, sizeof *w);
		r->kind = REC_ARENA;
		r->nvals = (uint16_t)nv;
		r->flags |= REC_REFS;
	} else if (rec_set_l(c, r, s->b.data, s->b.len, nv, s->refs ? PAYLOAD_REFS : 0) < 0) {
		fail_l(c, r, -ENOMEM, err_str(-ENOMEM));
		return;
	}
	if (r->flags & REC_ACTOR) {
		r->state = REC_QUEUED;		/* its place in the actor's queue was kept */
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
	int e;

	if (!side || (side->missing && --side->missing))
		return;
	if (r->state == REC_READY && side->late)	/* it expired, and was kept for our sake */
		rec_unref_l(c, r);
	if (r->state != REC_WAITING)
		return;
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
		fail_l(c, r, e, err_str(e));
	else if (e == 0)
		spliced_l(c, r, &s, NULL);
	buf_release(&s.b);
}

void
task_expire_l(struct client *c, struct rec *r)
{
	struct shape *s = fn_of(c, r->fn)->shape;
	struct rec *q = NULL;
	uint32_t u = slab_unit(&c->slab, r);
	bool waits = r->state == REC_WAITING, call = r->flags & REC_ACTOR;

	if (!waits && !call) {			/* out of its queue */
		if (s->head == u) {
			s->head = r->link;
		} else {
			for (q = slab_at(&c->slab, s->head); q->link != u; q = slab_at(&c->slab, q->link))
				;
			q->link = r->link;
		}
		if (s->tail == u)
			s->tail = q ? slab_unit(&c->slab, q) : 0;
		s->queued--;
	}
	c->queued--;
	rec_fail_l(c, r, ERR_TIMEOUT, "the task did not start within its timeout");
	if (!waits && !call)
		rec_unref_l(c, r);
}

/* main thread, lock not held: tasks whose arguments became too large for the slab */
void
task_deferred(struct client *c)
{
	for (;;) {
		struct splice s = { .c = c };
		struct rec_where w = { 0 };
		struct rec *r = NULL;
		int e;

		lock_take(&c->lock);
		if (c->ndeferred) {
			r = slab_at(&c->slab, c->deferred[--c->ndeferred]);
			e = splice_l(c, r, &s);
		}
		lock_drop(&c->lock);
		if (!r)
			return;
		if (e == 0)
			e = mem_put(c, (struct id){ (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq | ID_RET_MAX },
			    &(struct payload){ s.b.data, s.b.len, r->nvals, 0, NULL, 0 }, &w);
		lock_take(&c->lock);
		c->queued--;
		if (e == 0)
			spliced_l(c, r, &s, &w);
		else if (e < 0)
			fail_l(c, r, e, e == ERR_FULL ? c->why_full : err_str(e));
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
		LINK_SEND(m->c, route, .proc = s->id.proc, .kind = ROUTE_ASK, .id = s->id);
	}
	m->n++;
	return 0;
}

/* the task waits until the arguments that were not ready when it was encoded are */
static void
wait_args_l(struct client *c, struct rec *r, const struct payload *a, struct actor *actor)
{
	struct missing m = { c, r, 0 };
	struct side *s = side_l(c, r);
	int e = -ENOMEM;

	if (s) {
		s->actor = actor;
		r->state = REC_WAITING;
		e = val_walk_refs(a->p, a->n, a->nvals, missing_one, &m);
	}
	if (e < 0) {
		fail_l(c, r, e, err_str(e));
		return;
	}
	c->queued++;
	s->missing = m.n ? m.n : 1;
	if (m.n == 0)			/* they came while the arguments were encoded */
		task_resolved_l(c, r);
}

/* --- submitting ------------------------------------------------------------------------------------------------ */

/* off the straight path: context, children, time-out, large arguments */
static int
rare_l(struct client *c, struct rec *r, struct fn *fn, struct rec **out)
{
	struct side *s;

	if (fn->opts.returns > 1) {
		if (!(s = side_l(c, r)) || !(s->child = calloc(fn->opts.returns, sizeof *s->child)))
			return -ENOMEM;
		for (unsigned i = 0; i < fn->opts.returns; i++) {
			struct rec *k = rec_new_l(c);

			if (!k)
				return -ENOMEM;
			c->next_task--;			/* children carry the task's number */
			k->seq = r->seq | (i + 1);
			k->state = REC_PENDING;
			k->count = 2;			/* the caller's, and until it is ready */
			s->child[s->nchild++] = slab_unit(&c->slab, k);
			out[i] = k;
		}
		r->count--;				/* the caller holds the children instead */
	}
	if (fn->opts.timeout && timer_set_l(c, r, TIMER_TIMEOUT, clock_ns() + fn->opts.timeout) < 0)
		return -ENOMEM;
	return 0;
}

static int
args_l(struct client *c, struct rec *r, const struct payload *a, const struct rec_where *w)
{
	if (!w->off && a->n <= REC_INLINE) {
		memcpy(r->inl, a->p, a->n);
		r->kind = REC_HERE;
		r->len = (uint16_t)a->n;
		r->nvals = (uint16_t)a->nvals;
		if (a->flags & PAYLOAD_REFS)
			r->flags |= REC_REFS;
		return 0;
	}
	if (!w->off)
		return rec_set_l(c, r, a->p, a->n, a->nvals, a->flags & PAYLOAD_REFS);
	memcpy(r->inl, w, sizeof *w);
	r->kind = REC_ARENA;
	r->nvals = (uint16_t)a->nvals;
	if (a->flags & PAYLOAD_REFS)
		r->flags |= REC_REFS;
	return 0;
}

/*
 * A record with its arguments, counted for the caller and for its being under way: 0 with the lock held; or a
 * negative error, or 1 if the task has already failed, without the lock.
 */
static int
prepare(struct client *c, struct fn *fn, const struct payload *a, struct rec **out, struct rec **task)
{
	struct rec_where w = { 0 };
	struct rec *r;
	int e = 0;

	lock_take(&c->lock);
	atomic_store_explicit(&c->polls, c->polls + 1, memory_order_relaxed);
	if (c->ndrop)
		drops_l(c);
	if (!(r = rec_new_l(c))) {
		lock_drop(&c->lock);
		return -ENOMEM;
	}
	r->state = REC_PENDING;
	if (a->nseg || a->n > REC_EXT_MAX) {
		struct id id = { (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq | ID_RET_MAX };

		lock_drop(&c->lock);
		e = mem_put(c, id, a, &w);
		lock_take(&c->lock);
	}
	if (e == 0 && a->flags & PAYLOAD_REFS)
		e = refs_retain_l(c, a->p, a->n, a->nvals);
	if (e < 0) {
		slab_rec_free(&c->slab, r);
		lock_drop(&c->lock);
		return e;
	}
	r->fn = fn->unit;
	r->count = 2;
	fn->count++;
	*out = *task = r;
	if ((e = args_l(c, r, a, &w)) == 0 && (fn->opts.returns > 1 || fn->opts.timeout))
		e = rare_l(c, r, fn, out);
	if (e < 0) {
		fail_l(c, r, e, err_str(e));
		lock_drop(&c->lock);
		return 1;
	}
	page_count(c->page, CNT_SUBMITTED, 1);
	return 0;
}

static int
submitted(struct client *c)
{
	bool deferred = c->ndeferred != 0;

	if (atomic_load_explicit(&c->deep, memory_order_relaxed))
		service_nudge_l(c);
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	if (deferred)
		task_deferred(c);
	return 0;
}

int
client_submit(struct client *c, struct fn *fn, const struct payload *a, struct rec **out)
{
	struct rec *r;
	int e = prepare(c, fn, a, out, &r);

	if (e != 0)
		return e < 0 ? e : 0;
	if (a->flags & PAYLOAD_PENDING)
		wait_args_l(c, r, a, NULL);
	else
		place_l(c, r, fn);
	return submitted(c);
}

/* a task under way has come to its end: its arguments are given up; its function stays, for messages */
void
task_end_l(struct client *c, struct rec *r)
{
	if (r->kind == REC_HERE && !(r->flags & (REC_REFS|REC_CONTEXT)) && !r->ext)
		r->kind = REC_NONE;
	else
		rec_clear_l(c, r);
}

uint64_t
client_pending(struct client *c)
{
	uint64_t n;

	lock_take(&c->lock);
	n = c->queued + c->running;
	lock_drop(&c->lock);
	return n;
}

int
client_call(struct client *c, struct actor *a, struct fn *method, const struct payload *args, struct rec **out)
{
	struct rec *r;
	uint32_t u;
	int e = prepare(c, method, args, out, &r);

	if (e != 0)
		return e < 0 ? e : 0;
	if (a->ended) {
		fail_l(c, r, ERR_ACTOR_DIED, a->ended);
		return submitted(c);
	}
	a->handles++;
	if (a->queued == 0 && a->lease && a->state == ACTOR_ALIVE && !(args->flags & PAYLOAD_PENDING) &&
	    !a->lease->dead && ring_unclaimed(&a->lease->ring, RING_DEPTH) < (a->lease->inflight ? RING_DEPTH : RING_WORDS)) {
		push_l(c, a->lease, r);
		lease_ring_l(c, a->lease);
		return submitted(c);
	}
	u = slab_unit(&c->slab, r);
	r->flags |= REC_ACTOR;
	r->state = REC_QUEUED;
	r->link = 0;
	if (a->queued++ == 0)
		a->head = u;
	else
		((struct rec *)slab_at(&c->slab, a->tail))->link = u;
	a->tail = u;
	if (args->flags & PAYLOAD_PENDING)
		wait_args_l(c, r, args, a);
	else
		c->queued++;
	if (a->queued % RING_DEPTH == 0)
		progress_l(c);
	else
		feed_actor_l(c, a);
	return submitted(c);
}

/* calls in order: the first one that waits for an argument holds the others up */
void
feed_actor_l(struct client *c, struct actor *a)
{
	struct lease *l = a->lease;

	while (a->queued) {
		struct rec *r = slab_at(&c->slab, a->head);

		if (r->state == REC_QUEUED && a->state == ACTOR_DEAD) {
			c->queued--;
			if (a->error.len) {	/* its constructor's */
				task_end_l(c, r);
				rec_set_l(c, r, a->error.data, a->error.len, 1, PAYLOAD_ERROR);
				rec_ready_l(c, r);
			} else {
				fail_l(c, r, ERR_ACTOR_DIED, a->why ? a->why : "the actor is dead");
			}
		}
		if (r->state == REC_READY) {		/* it failed while it waited here */
			a->head = r->link;
			a->queued--;
			rec_unref_l(c, r);
			actor_unref_l(c, a);
			continue;
		}
		if (r->state != REC_QUEUED || !l || l->dead || a->state != ACTOR_ALIVE ||
		    ring_unclaimed(&l->ring, RING_DEPTH) >= (l->inflight ? RING_DEPTH : RING_WORDS))
			break;
		a->head = r->link;
		a->queued--;
		c->queued--;
		r->flags &= (uint8_t)~REC_ACTOR;
		push_l(c, l, r);
	}
	if (l && l->rung)
		lease_ring_l(c, l);
}
