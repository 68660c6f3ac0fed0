#include <stdio.h>
#include "client/inner.h"
#include "client/serve.h"
#include "os/proc.h"
#include "wire/le.h"

struct inring {
	struct ring_wrk ring;
	uint32_t lease, proc;
	struct bell *bell;
	struct peerslab slab;
	uint32_t block[RING_DONES];	/* blocks of our slab that a completion names, by position */
	struct done *pend;		/* completions that found the ring full */
	unsigned npend, cappend;
	unsigned inflight;		/* claimed, not done */
	bool gone;			/* unring came while tasks run */
	struct inring *next_dead;
};

#define IDLE_NS 1000000u
#define OWN UINT32_MAX			/* rec.link of a task of ours that runs right here */

/* --- rings come and go ------------------------------------------------------------------------------------ */

void
serve_ring_l(struct client *c, const struct msg_ring *m, int ringfd, int slabfd)
{
	struct inring *g = calloc(1, sizeof *g), **v;

	if (!g || m->bell >= NODEPAGE_BELLS || ring_map(ringfd, &g->ring.shm) < 0) {
		free(g);
		return;
	}
	if (peerslab_map(&g->slab, slabfd) < 0 || !(v = realloc(c->inring, (c->ninring + 1) * sizeof *v))) {
		ring_unmap(g->ring.shm);
		free(g);
		return;
	}
	g->lease = (uint32_t)m->lease;
	g->proc = (uint32_t)m->proc;
	g->bell = &c->np->bell[m->bell];
	c->cpus = (uint32_t)m->cpus;
	if (!c->me.driver)
		c->me.driver = m->proc;
	c->inring = v;
	v[c->ninring++] = g;
}

/* unmapped by the main thread, which may be glancing at it without the lock */
static void
ring_end_l(struct client *c, struct inring *g)
{
	for (unsigned i = 0; i < RING_DONES; i++)
		if (g->block[i])
			slab_free(&c->slab, g->block[i]);
	g->next_dead = c->dead_inrings;
	c->dead_inrings = g;
}

void
inrings_bury_l(struct client *c)
{
	struct inring *g;

	while ((g = c->dead_inrings)) {
		c->dead_inrings = g->next_dead;
		ring_unmap(g->ring.shm);
		peerslab_unmap(&g->slab);
		free(g->pend);
		free(g);
	}
}

void
serve_unring_l(struct client *c, uint64_t lease)
{
	for (unsigned i = 0; i < c->ninring; i++)
		if (c->inring[i]->lease == lease) {
			struct inring *g = c->inring[i];

			c->inring[i] = c->inring[--c->ninring];
			g->gone = true;
			if (g->inflight == 0)
				ring_end_l(c, g);
			return;
		}
}

/* what still lies in it is not for us: neither to be claimed nor to stay awake for */
static bool
closed(const struct inring *g)
{
	return atomic_load_explicit(&g->ring.shm->want, memory_order_relaxed) == 2 ||
	    atomic_load_explicit(&g->ring.shm->dead, memory_order_relaxed);
}

bool
serve_glance(struct client *c)
{
	for (unsigned i = 0; i < c->ninring; i++)
		if (ring_ready(&c->inring[i]->ring) && !closed(c->inring[i]))
			return true;
	return false;
}

bool
serve_elsewhere(struct client *c, uint32_t cpu)
{
	for (unsigned i = 0; i < c->ninring; i++)
		if (atomic_load_explicit(&c->inring[i]->bell->cpu, memory_order_relaxed) != cpu)
			return true;
	return false;
}

/* --- publishing ---------------------------------------------------------------------------------------------- */

static void
publish_l(struct client *c, struct inring *g, const struct done *d)
{
	struct done *p = ring_next_done(&g->ring);
	uint32_t *block = &g->block[g->ring.dtail % RING_DONES];

	if (*block)				/* its completion was consumed: there is room again */
		slab_free(&c->slab, *block);
	*block = d->kind == DONE_BLOCK || d->flags & DONE_KEPT ? d->unit : 0;
	memcpy((char *)p + sizeof p->seq, (const char *)d + sizeof d->seq, sizeof *d - sizeof d->seq);
	ring_publish(&g->ring);
	bell_ring(c->np, g->bell);
}

static void
flush_l(struct client *c, struct inring *g)
{
	unsigned n = 0;

	while (n < g->npend && ring_room(&g->ring) > 0)
		publish_l(c, g, &g->pend[n++]);
	memmove(g->pend, g->pend + n, (g->npend - n) * sizeof *g->pend);
	g->npend -= n;
}

static int
send_l(struct client *c, struct inring *g, const struct done *d)
{
	if (g->npend)
		flush_l(c, g);
	if (g->npend == 0 && ring_room(&g->ring) > 0) {
		publish_l(c, g, d);
		return 0;
	}
	if (g->npend == g->cappend) {
		unsigned cap = g->cappend ? 2 * g->cappend : 64;
		struct done *v = realloc(g->pend, cap * sizeof *v);

		if (!v)
			return -ENOMEM;
		g->pend = v;
		g->cappend = cap;
	}
	g->pend[g->npend++] = *d;
	return 0;
}

/* --- claiming -------------------------------------------------------------------------------------------------- */

static void
free_object_l(struct client *c, uint32_t slot)
{
	uint64_t off = (uint64_t)(slot & ~RING_FREE) * 64;
	const struct obj_hdr *h = (const void *)(c->arena.base + off);

	if (arena_mine(&c->arena, off))
		arena_free(&c->arena, off, (uint32_t)(atomic_load_explicit(&h->word, memory_order_acquire) >> 32));
}

/* copies the record and what it names out of the submitter's slab: 0 or ERR_PROTO */
static int
copy_l(struct client *c, struct task_in *t, const unsigned char *base)
{
	struct peerslab slab = { base };
	const void *p = peerslab_at(&slab, t->slot, sizeof t->rec);
	const struct rec *r = &t->rec;
	struct rec_where w;
	size_t ctx = 0;

	if (!p)
		return ERR_PROTO;
	memcpy(&t->rec, p, sizeof t->rec);
	if (!(p = peerslab_at(&slab, r->fn, sizeof t->fn)))
		return ERR_PROTO;
	memcpy(&t->fn, p, sizeof t->fn);
	t->fn.name[sizeof t->fn.name - 1] = '\0';
	t->nvals = r->nvals;
	t->arena = false;
	memset(&t->context, 0, sizeof t->context);
	if (r->flags & REC_CONTEXT) {
		ctx = sizeof t->context;
		if (!(p = peerslab_at(&slab, r->ext, ctx)))
			return ERR_PROTO;
		memcpy(&t->context, p, ctx);
	}
	switch (r->kind) {
	case REC_HERE:
		if (r->len > REC_INLINE)
			return ERR_PROTO;
		t->args = t->rec.inl;
		t->n = r->len;
		break;
	case REC_EXT:
		if (!(p = peerslab_at(&slab, r->ext, ctx + r->len)))
			return ERR_PROTO;
		c->args.len = 0;
		if (buf_add(&c->args, p, ctx + r->len) < 0)
			return -ENOMEM;
		t->args = c->args.data + ctx;
		t->n = r->len;
		break;
	case REC_ARENA:
		memcpy(&w, r->inl, sizeof w);
		if (arena_view(&c->arena, w.off, w.gen, &t->view) < 0)
			return ERR_PROTO;
		t->arena = true;
		t->args = t->view.head;
		t->n = t->view.headlen;
		break;
	default:
		return ERR_PROTO;
	}
	return 0;
}

static bool
claim_l(struct client *c, struct inring *g, struct task_in *t)
{
	uint32_t slot;

	if (closed(g))
		return false;
	while (ring_claim(&g->ring, &slot)) {
		int e;

		if (slot & RING_FREE) {
			free_object_l(c, slot);
			continue;
		}
		t->from = g;
		t->slot = slot;
		t->proc = g->proc;
		g->inflight++;
		if ((e = copy_l(c, t, g->slab.base)) == 0)
			return true;
		serve_done(c, t, &(struct payload){ (const unsigned char *)"\xc0", 1, 1, 0, NULL, 0 }, 0, false);
	}
	if (g->ring.skipped) {			/* places are free again: the submitter may wait for them */
		g->ring.skipped = false;
		bell_ring(c->np, g->bell);
	}
	return false;
}

int
serve_next(struct client *c, struct task_in *t)
{
	bool lk = c->serving, got = false;

	if (lk)
		lock_take(&c->lock);
	if (atomic_load_explicit(&c->np->valid_until, memory_order_relaxed) < UINT64_MAX &&
	    atomic_load(&c->np->valid_until) < clock_ns())
		c->lost = true;			/* fenced: others may take the work over (M17) */
	for (unsigned i = 0; i < c->ninring && !got && !c->lost; i++) {
		if (c->inturn >= c->ninring)
			c->inturn = 0;
		if (c->inring[c->inturn]->npend)
			flush_l(c, c->inring[c->inturn]);
		if (!(got = claim_l(c, c->inring[c->inturn], t)))
			c->inturn++;
	}
	if (lk)
		lock_drop(&c->lock);
	if (got)
		t->start = clock_ns();
	return c->lost ? ERR_NO_CLUSTER : got;
}

static bool
own_fits(const struct client *c, const struct shape *s)
{
	return s->opts.cpus <= c->cpus && !s->opts.gpus && !s->opts.nresources && !s->opts.memory;
}

/*
 * Tasks that we submitted and that no one has claimed: from a queue, else taken back from one of our rings.
 * Only shapes that ask for no more than we were granted ourselves.
 */
int
serve_own(struct client *c, struct task_in *t)
{
	struct rec *r = NULL;
	int e = 0;

	lock_take(&c->lock);
	for (unsigned round = 0; round < 2 && !r; round++) {
		for (unsigned i = 0; round && i < c->nactive; i++) {
			struct lease *l = c->active[i];

			if (l->shape && !l->dead && ring_unclaimed(&l->ring, 1) > 0) {
				lease_takeback_l(c, l);
				break;
			}
		}
		for (unsigned i = 0; i < c->nshape && !r; i++) {
			struct shape *s = c->shape[i];

			if (!s->queued || !own_fits(c, s))
				continue;
			r = slab_at(&c->slab, s->head);
			s->head = r->link;
			if (--s->queued == 0)
				s->head = s->tail = 0;
			c->queued--;
		}
	}
	if (r) {
		r->state = REC_PUSHED;
		r->link = OWN;
		c->running++;
		t->from = NULL;
		t->slot = slab_unit(&c->slab, r);
		t->proc = (uint32_t)c->me.proc;
		e = copy_l(c, t, c->slab.base);
		t->start = clock_ns();
	}
	lock_drop(&c->lock);
	if (r && e < 0)
		serve_done(c, t, &(struct payload){ (const unsigned char *)"\xc0", 1, 1, 0, NULL, 0 }, 0, false);
	return r != NULL && e == 0;
}

const unsigned char *
serve_code(struct client *c, const struct task_in *t)
{
	struct peerslab own = { c->slab.base };

	return peerslab_at(t->from ? &t->from->slab : &own, t->fn.bytes, t->fn.len);
}

/* --- outcomes ---------------------------------------------------------------------------------------------------- */

struct giving {
	struct client *c;
	uint32_t to;
};

/* a reference in a result: its owner is told about the receiver before the result is published (M18) */
static int
give_one(void *arg, const struct wref *w, bool valref)
{
	struct giving *g = arg;
	struct client *c = g->c;
	struct rec *r = rec_of_l(c, w);

	(void)valref;
	if (!r || (w->id.proc == g->to && w->id.node == c->me.node))
		return 0;			/* the receiver's own */
	if (!(r->flags & REC_BORROWED))
		return holder_add_l(c, r, g->to);
	r->count++;				/* until HELD */
	c->helds++;
	LINK_SEND(c, route, .proc = w->id.proc, .kind = ROUTE_HOLD, .id = w->id, .arg = g->to);
	return 0;
}

static bool
all_held(struct client *c, void *arg)
{
	(void)arg;
	return c->helds == 0;
}

/* ids of what the task imported and this worker still refers to: n of them at p */
static unsigned
kept_l(struct client *c, uint32_t to, unsigned char *p, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->nfresh; i++) {
		struct side *s = map_get(&c->side, c->fresh[i]);
		struct rec *r = slab_at(&c->slab, c->fresh[i]);

		if (!s || !(r->flags & REC_BORROWED) || s->registered || r->count == 0)
			continue;
		s->registered = true;
		if (n == max || (s->id.proc == to && to == c->me.proc)) {
			LINK_SEND(c, route, .proc = s->id.proc, .kind = ROUTE_HOLD, .id = s->id, .arg = c->me.proc);
			continue;
		}
		le_put32(p, s->id.node);
		le_put32(p + 4, s->id.proc);
		le_put64(p + 8, s->id.seq);
		p += 16;
		n++;
	}
	c->nfresh = 0;
	return n;
}

static int
fill_l(struct client *c, struct done *d, const struct payload *p, const struct rec_where *w, unsigned nkept,
    const unsigned char *kept)
{
	size_t at = 0, n = 0;
	unsigned char *q;

	d->len = (uint32_t)p->n;
	d->nvals = (uint16_t)p->nvals;
	if (w->off) {
		d->kind = DONE_ARENA;
		memcpy(d->inl, w, sizeof *w);
	} else if (p->n <= sizeof d->inl) {
		d->kind = p->nvals ? DONE_HERE : DONE_NONE;
		if (p->n)
			memcpy(d->inl, p->p, p->n);
	} else {
		d->kind = DONE_BLOCK;
		n = at = (p->n + 7) & ~(size_t)7;
	}
	if (nkept)
		n += 4 + 16 * (size_t)nkept;
	if (n == 0)
		return 0;
	if (!(d->unit = slab_alloc(&c->slab, n)))
		return -ENOMEM;
	q = slab_at(&c->slab, d->unit);
	if (at)
		memcpy(q, p->p, p->n);
	if (nkept) {
		d->flags |= DONE_KEPT;
		le_put32(q + at, nkept);
		memcpy(q + at + 4, kept, 16 * (size_t)nkept);
	}
	return 0;
}

/* our own task ran here: its record gets the outcome directly */
static int
own_done_l(struct client *c, struct task_in *t, const struct payload *p, const struct rec_where *w, uint32_t ret,
    bool part)
{
	struct rec *r = slab_at(&c->slab, t->slot), *k = r;
	struct side *s = side_find_l(c, r);
	int e = 0;

	if (part) {
		if (!s || ret == 0 || ret > s->nchild)
			return 0;
		k = slab_at(&c->slab, s->child[ret - 1]);
	} else {
		task_end_l(c, r);
		c->running--;
	}
	if (p->flags & PAYLOAD_REFS)
		refs_retain_l(c, p->p, p->n, p->nvals);
	if (w->off) {
		memcpy(k->inl, w, sizeof *w);
		k->kind = REC_ARENA;
		k->nvals = (uint16_t)p->nvals;
		k->flags |= p->flags & PAYLOAD_REFS ? REC_REFS : 0;
	} else {
		e = rec_set_l(c, k, p->p, p->n, p->nvals, p->flags);
	}
	if (!part)
		children_end_l(c, r);
	rec_ready_l(c, k);
	rec_unref_l(c, k);
	return e;
}

int
serve_done(struct client *c, struct task_in *t, const struct payload *p, uint32_t ret, bool part)
{
	unsigned char kept[16 * 64];
	struct done d = { .slot = t->slot, .ret = ret };
	struct rec_where w = { 0 };
	unsigned nkept = 0;
	bool lk;
	int e = 0;

	if (p->nseg || p->n > REC_BLOCK_MAX) {
		struct id id = { (uint32_t)c->me.node, t->proc, (t->rec.seq & ~(uint64_t)ID_RET_MAX) | ret };

		if ((e = mem_put(c, id, p, &w)) < 0)
			return e;
	}
	if (p->flags & PAYLOAD_REFS && t->from) {
		struct giving g = { c, t->proc };

		lock_take(&c->lock);
		val_walk_refs(p->p, p->n, p->nvals, give_one, &g);
		lock_drop(&c->lock);
		if (c->helds)
			wait_until(c, all_held, NULL, WAIT_FOREVER);
	}
	lk = c->serving;
	if (lk)
		lock_take(&c->lock);
	if (c->nfresh && !part)
		nkept = kept_l(c, t->proc, kept, 64);
	if (!t->from) {
		e = own_done_l(c, t, p, &w, ret, part);
	} else {
		d.flags = (p->flags & PAYLOAD_ERROR ? DONE_ERROR : 0) | (p->flags & PAYLOAD_REFS ? DONE_REFS : 0) |
		    (part ? DONE_PART : 0);
		if (!part) {
			uint64_t ns = clock_ns() - t->start;

			d.ns = ns > UINT32_MAX ? UINT32_MAX - 1 : ns ? (uint32_t)ns : 1;
		}
		if ((e = fill_l(c, &d, p, &w, nkept, kept)) == 0 && !t->from->gone)
			e = send_l(c, t->from, &d);
		if (!part && --t->from->inflight == 0 && t->from->gone)
			ring_end_l(c, t->from);
	}
	if (!part)
		page_count(c->page, CNT_RUN, 1);
	if (lk)
		lock_drop(&c->lock);
	return e;
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

struct idle {
	struct waitset *w;
	bool tasks, own;
};

/*
 * It was told to stop, and may: a worker stays for as long as others hold objects that it owns; so does an actor that
 * nobody can call any more.
 */
static bool
stop_now(const struct client *c)
{
	return c->stopping && (c->nheld == 0 || (c->actor_number && c->ninring));
}

static bool
serve_ready(struct client *c, void *arg)
{
	struct idle *i = arg;

	for (unsigned k = 0; k < c->ninring; k++)
		if (c->inring[k]->npend)
			flush_l(c, c->inring[k]);
	if ((i->tasks && (serve_glance(c) || stop_now(c))) || c->spec.len || (i->w && !list_empty(&i->w->ready)))
		return true;
	for (unsigned k = 0; i->own && k < c->nshape; k++)
		if (c->shape[k]->queued && own_fits(c, c->shape[k]))
			return true;
	return false;
}

int
serve_wait(struct client *c, struct waitset *w, bool tasks, bool own, uint64_t deadline)
{
	struct idle i = { w, tasks, own };
	int e;

	if (!c->serving && c->drops.len)
		link_drops_l(c);
	c->listening = tasks;
	if (tasks && c->nshape && deadline == WAIT_FOREVER) {	/* leases of our own: after a little idleness they are offered */
		e = wait_until(c, serve_ready, &i, clock_ns() + IDLE_NS);
		if (e != -ETIMEDOUT)
			goto out;
		lock_take(&c->lock);
		leases_idle_l(c);
		lock_drop(&c->lock);
	}
	e = wait_until(c, serve_ready, &i, deadline);
out:
	c->listening = false;
	return e;
}

void
serve_block(struct client *c, bool on)
{
	lock_take(&c->lock);
	LINK_SEND(c, blocked, .on = on);
	atomic_store_explicit(&c->page->state, on ? PAGE_BLOCKED : PAGE_RUN, memory_order_relaxed);
	lock_drop(&c->lock);
}

void
serve_enter(struct client *c, const struct task_in *t)
{
	struct page *p = c->page;

	c->in_task = t != NULL;
	if (!t) {
		atomic_store_explicit(&p->task, 0, memory_order_relaxed);
		atomic_store_explicit(&p->state, PAGE_IDLE, memory_order_release);
		return;
	}
	c->context = t->context;
	c->parent_proc = t->proc;
	c->parent_seq = t->rec.seq;
	memcpy(p->fn, t->fn.name, sizeof t->fn.name);
	atomic_store_explicit(&p->submitter, t->proc, memory_order_relaxed);
	atomic_store_explicit(&p->attempt, t->rec.attempt, memory_order_relaxed);
	atomic_store_explicit(&p->since, t->start, memory_order_relaxed);
	atomic_store_explicit(&p->task, t->rec.seq, memory_order_relaxed);
	atomic_store_explicit(&p->state, PAGE_RUN, memory_order_release);
}

bool
serve_stopping(struct client *c)
{
	bool stop;

	lock_take(&c->lock);
	stop = stop_now(c) && !serve_glance(c);
	for (unsigned i = 0; stop && i < c->nlease; i++)
		if (c->lease[i])		/* its worker may own what others hold */
			lease_back_l(c, c->lease[i]);
	lock_drop(&c->lock);
	return stop;
}

uint64_t
serve_actor(struct client *c, struct span *spec, uint64_t *incarnation)
{
	*spec = span_of(c->spec.data, c->spec.len);
	*incarnation = c->incarnation;
	return c->actor_number;
}

void
serve_actor_up(struct client *c, bool ok, const unsigned char *error, size_t n)
{
	lock_take(&c->lock);
	c->spec.len = 0;
	atomic_store_explicit(&c->page->actor, (uint32_t)c->actor_number, memory_order_relaxed);
	LINK_SEND(c, actor_up, .actor = c->actor_number, .ok = ok, .error = span_of(error, n));
	lock_drop(&c->lock);
}
