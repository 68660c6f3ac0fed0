#include <stdio.h>
#include "client/inner.h"
#include "client/inring.h"
#include "client/queue.h"
#include "client/serve.h"
#include "os/proc.h"
#include "wire/le.h"


#define IDLE_NS 1000000u

/* --- rings come and go ------------------------------------------------------------------------------------ */

void
serve_ring_l(struct client *c, const struct msg_ring *m, int ringfd, int slabfd)
{
	struct inring *g = calloc(1, sizeof *g);

	if (!g || m->bell >= NODEPAGE_BELLS || ring_map(ringfd, &g->ring.shm) < 0) {
		free(g);
		return;
	}
	if (peerslab_map(&g->slab, slabfd) < 0) {
		ring_unmap(g->ring.shm);
		free(g);
		return;
	}
	g->lease = (uint32_t)m->lease;
	g->proc = (uint32_t)m->proc;
	g->owner = m->node ? (struct id){ (uint32_t)m->node, (uint32_t)m->was, 0 } : (struct id){ (uint32_t)c->me.node, g->proc, 0 };
	g->group = (uint32_t)m->group;
	g->pgroup = m->pgroup;
	g->capture = m->capture != 0;
	if (g->capture)
		atomic_store_explicit(&c->captures, true, memory_order_relaxed);
	c->in_pgroup = m->pgroup;
	c->in_bundles = (unsigned)m->bundles;
	g->bell = &c->np->bell[m->bell];
	c->cpus = (uint32_t)m->cpus;
	c->granted_bytes.len = 0;
	if (m->resources.n)
		buf_add(&c->granted_bytes, m->resources.p, m->resources.n);
	c->granted = (struct serve_grant){ (uint32_t)m->cpus, (uint32_t)m->gpus, m->memory, m->devices,
	    span_of(c->granted_bytes.data, c->granted_bytes.len) };
	if (!c->me.driver)
		c->me.driver = m->proc;
	limit_memory(c, m->memory);
	atomic_init(&g->next, inring_first(c));
	atomic_store_explicit(&c->inring, g, memory_order_release);
	c->ninring++;
}

/* unmapped by the main thread, which may be glancing at it without the lock */
void
inring_end_l(struct client *c, struct inring *g)
{
	for (unsigned i = 0; i < RING_DONES; i++)
		if (g->block[i])
			slab_free(&c->slab, g->block[i]);
	c->held -= g->npend;
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
	struct inring *_Atomic *at = &c->inring;
	struct inring *g = inring_first(c);

	for (; g && g->lease != lease; g = inring_next(g))
		at = &g->next;
	if (!g)
		return;
	atomic_store_explicit(at, inring_next(g), memory_order_release);
	if (c->inturn == g)
		c->inturn = inring_next(g);
	c->ninring--;
	g->gone = true;
	if (g->inflight == 0)
		inring_end_l(c, g);
}

/* what still lies in it is not for us: neither to be claimed nor to stay awake for */
static bool
closed(const struct client *c, const struct inring *g)
{
	return c->retired || atomic_load_explicit(&g->ring.shm->want, memory_order_relaxed) == 2 ||
	    atomic_load_explicit(&g->ring.shm->dead, memory_order_relaxed);
}

/* the group of its calls runs as many as it may; a group that this actor does not have is the nameless one */
static struct slots *
slots_of(const struct client *c, const struct inring *g)
{
	return &c->slots[g->group < c->nslots ? g->group : 0];
}

static bool
full(const struct client *c, const struct inring *g)
{
	return c->slots && slots_of(c, g)->running >= slots_of(c, g)->limit;
}

int
serve_slots(struct client *c, const unsigned *limit, unsigned n)
{
	struct slots *s = calloc(n, sizeof *s);

	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		s[i].limit = limit[i];
	lock_take(&c->lock);
	free(c->slots);
	c->slots = s;
	c->nslots = n;
	lock_drop(&c->lock);
	return 0;
}

bool
serve_room(const struct client *c)
{
	for (unsigned i = 0; c->slots && i < c->nslots; i++)
		if (c->slots[i].running < c->slots[i].limit)
			return true;
	return false;
}

void
inring_done_l(struct client *c, struct inring *g)
{
	if (c->slots)
		slots_of(c, g)->running--;
	if (--g->inflight == 0 && g->gone)
		inring_end_l(c, g);
}

bool
serve_glance(struct client *c)
{
	for (const struct inring *g = inring_first(c); g; g = inring_next(g))
		if (ring_ready(&g->ring) && !closed(c, g) && !full(c, g))
			return true;
	return false;
}

bool
serve_elsewhere(struct client *c, uint32_t cpu)
{
	for (const struct inring *g = inring_first(c); g; g = inring_next(g))
		if (atomic_load_explicit(&g->bell->cpu, memory_order_relaxed) != cpu)
			return true;
	return false;
}

/* --- claiming -------------------------------------------------------------------------------------------------- */

static void
free_object_l(struct client *c, uint32_t slot)
{
	uint64_t off = (uint64_t)(slot & ~RING_FREE) * 64;

	if (arena_mine(&c->arena, off))
		arena_free(&c->arena, off, obj_gen(&c->arena, off));
}

static const struct rec_stream *
stream_at(struct task_in *t, const struct peerslab *slab)
{
	const struct rec_stream *s = peerslab_at(slab, t->context.stream, sizeof *s);

	t->item = 0;
	t->skip = s ? atomic_load_explicit(&s->arrived, memory_order_acquire) : 0;
	t->bytes = s ? atomic_load_explicit(&s->arrived_bytes, memory_order_relaxed) : 0;
	t->taken = t->taken_bytes = 0;
	t->backlog = s ? s->backlog : 0;
	return s;
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
	t->arena = t->raised = false;
	t->stream = NULL;
	t->cancel = 0;
	t->shield = 0;
	memset(&t->context, 0, sizeof t->context);
	if (r->flags & REC_CONTEXT) {
		ctx = sizeof t->context;
		if (!(p = peerslab_at(&slab, r->ext, ctx)))
			return ERR_PROTO;
		memcpy(&t->context, p, ctx);
	}
	if (t->fn.flags & FNBLK_STREAM && !(t->stream = stream_at(t, &slab)))
		return ERR_PROTO;
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

void
inring_frees_l(struct client *c, struct inring *g)
{
	uint32_t slot;

	while (!g->gone && ring_claim_free(&g->ring, &slot))
		free_object_l(c, slot);
}

/* the record after this one is in its submitter's cache: have it brought over while this one runs */
static inline void
ahead(const struct inring *g)
{
	uint64_t w = atomic_load_explicit(&g->ring.shm->word[g->ring.head % RING_WORDS], memory_order_relaxed);

	if (ring_claim_of(w) == RING_QUEUED && (uint64_t)(uint32_t)w * SLAB_UNIT < SLAB_BYTES)
		__builtin_prefetch(g->slab.base + (uint64_t)(uint32_t)w * SLAB_UNIT);
}

static bool
claim_l(struct client *c, struct inring *g, struct task_in *t)
{
	uint32_t slot;

	if (closed(c, g) || full(c, g))
		return false;
	ahead(g);				/* while the claim is under way */
	while (ring_claim(&g->ring, &slot)) {
		int e;

		ahead(g);
		if (slot & RING_FREE) {
			free_object_l(c, slot);
			continue;
		}
		t->from = g;
		t->slot = slot;
		t->proc = g->proc;
		t->owner = g->owner;
		g->inflight++;
		if (c->slots) {
			slots_of(c, g)->running++;
			g->took = true;
		}
		if ((e = copy_l(c, t, g->slab.base)) == 0) {
			c->alone = t->rec.flags & REC_ALONE;
			return true;
		}
		serve_done(c, t, &(struct payload){ (const unsigned char *)"\xc0", 1, 1, 0, NULL, 0 }, 0, false);
	}
	if (g->ring.skipped || g->took) {	/* places are free again: the submitter may wait for them */
		g->ring.skipped = g->took = false;
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
	inring_fenced_l(c, c->ended);
	for (unsigned i = 0; i < c->ninring && !got && !c->lost; i++) {
		struct inring *g = c->inturn ? c->inturn : inring_first(c);

		if (g->npend)
			inring_flush_l(c, g);
		c->inturn = (got = claim_l(c, g, t)) ? g : inring_next(g);
	}
	if (lk)
		lock_drop(&c->lock);
	if (got) {
		t->start = c->ended ? c->ended : clock_ns();
		t->limited = serve_limited(c);
	} else {
		c->ended = 0;
	}
	return c->lost ? ERR_NO_CLUSTER : got;
}

static bool
own_fits(const struct client *c, const struct shape *s)
{
	return id_eq(s->opts.group, c->in_pgroup) && s->opts.bundle == 0 && s->opts.cpus <= c->cpus &&
	    (!s->opts.threads || s->opts.cpus == c->cpus) && !s->opts.gpus && !s->opts.nresources && !s->opts.memory && !s->opts.on && !s->opts.spread &&
	    !c->granted.memory;
}

static unsigned
kind_of(const struct client *c, uint32_t task)
{
	const struct rec *r = slab_at(&c->slab, task);

	return ((const struct fnblk *)slab_at(&c->slab, r->fn))->kind;
}

/*
 * Tasks that we submitted and that no one has claimed: from a queue, else taken back from one of our rings.
 * Only shapes that ask for no more than we were granted ourselves.
 */
int
serve_own_of(struct client *c, struct task_in *t, unsigned kind)
{
	struct rec *r = NULL;
	int e = 0;

	lock_take(&c->lock);
	for (unsigned round = 0; round < 2 && !r && !c->alone; round++) {
		for (unsigned i = 0; round && i < c->nactive; i++) {
			struct lease *l = c->active[i];

			if (l->shape && own_fits(c, l->shape) && !l->dead && ring_unclaimed(&l->ring, 1) > 0) {
				lease_takeback_l(c, l);
				break;
			}
		}
		for (unsigned i = 0; i < c->nshape && !r; i++) {
			struct shape *s = c->shape[i];

			if (!s->queued || s->poison || !own_fits(c, s) || (kind && kind_of(c, s->head) != kind))
				continue;
			r = queue_pop_l(c, s);
		}
	}
	if (r) {
		rec_state(r, REC_PUSHED);
		r->link = OWN;
		c->running++;
		t->from = NULL;
		t->slot = slab_unit(&c->slab, r);
		t->proc = (uint32_t)c->me.proc;
		t->owner = (struct id){ (uint32_t)c->me.node, (uint32_t)c->me.proc, 0 };
		e = copy_l(c, t, c->slab.base);
		t->start = clock_ns();
		t->limited = false;		/* own_fits */
	}
	lock_drop(&c->lock);
	if (r && e < 0)
		serve_done(c, t, &(struct payload){ (const unsigned char *)"\xc0", 1, 1, 0, NULL, 0 }, 0, false);
	return r != NULL && e == 0;
}

int
serve_own(struct client *c, struct task_in *t)
{
	return serve_own_of(c, t, 0);
}

void
serve_args_swap(struct client *c, struct buf *b)
{
	struct buf was = c->args;

	c->args = *b;
	*b = was;
}

const unsigned char *
serve_code(struct client *c, const struct task_in *t)
{
	struct peerslab own = { c->slab.base };

	return peerslab_at(t->from ? &t->from->slab : &own, t->fn.bytes, t->fn.len);
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

	if (c->nroom && c->room(c->room_arg))
		return true;
	if ((i->tasks && (serve_glance(c) || (!i->w && stop_now(c)))) || c->spec.len || (i->w && (i->w->kicked || !list_empty(&i->w->ready))))
		return true;
	if (c->nwatch && chans_glance(c))
		return true;
	for (unsigned k = 0; i->own && !c->alone && k < c->nshape; k++)
		if (c->shape[k]->queued && !c->shape[k]->poison && own_fits(c, c->shape[k]))
			return true;
	return false;
}

int
serve_wait(struct client *c, struct waitset *w, bool tasks, bool own, uint64_t deadline)
{
	struct idle i = { w, tasks, own };
	int e;

	if (!c->serving) {			/* nobody else would tell, for as long as we sleep */
		if (c->ndrop)
			drops_l(c);
		if (c->drops.len + c->holds.len)
			link_drops_l(c);
	}
	c->listening = tasks;
	c->rooming = c->nroom > 0;
	if (tasks && c->nshape && deadline > clock_ns() + IDLE_NS) {	/* leases of our own: after a little idleness they are offered */
		e = wait_until(c, serve_ready, &i, clock_ns() + IDLE_NS);
		if (e != -ETIMEDOUT)
			goto out;
		lock_take(&c->lock);
		leases_idle_l(c);
		lock_drop(&c->lock);
	}
	e = wait_until(c, serve_ready, &i, deadline);
out:
	c->listening = c->rooming = false;
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

	c->ended = 0;
	c->in_task = c->inherits = t != NULL;
	if (atomic_load_explicit(&c->captures, memory_order_relaxed)) {
		c->capturing = t && (t->from ? t->from->capture : c->capturing);
		if (t && t->from)
			c->pgroup = t->from->pgroup;
	}
	if (!t) {
		c->context.scope = 0;
		atomic_store_explicit(&p->task, 0, memory_order_relaxed);
		atomic_store_explicit(&p->state, PAGE_IDLE, memory_order_release);
		return;
	}
	c->context = t->context;
	c->parent_proc = t->proc;
	c->parent_owner = t->owner;
	c->parent_seq = t->rec.seq;
	memcpy(p->fn, t->fn.name, sizeof t->fn.name);
	atomic_store_explicit(&p->submitter, t->proc, memory_order_relaxed);
	atomic_store_explicit(&p->attempt, t->rec.attempt | (t->fn.once ? PAGE_ONCE : 0), memory_order_relaxed);
	atomic_store_explicit(&p->since, t->start, memory_order_relaxed);
	atomic_store_explicit(&p->task, t->rec.seq, memory_order_relaxed);
	atomic_store_explicit(&p->state, PAGE_RUN, memory_order_release);
}

void
serve_retire(struct client *c, unsigned why)
{
	lock_take(&c->lock);
	if (!c->retired && !c->actor_number) {
		c->retired = true;
		LINK_SEND(c, retire, .reason = why);
	}
	lock_drop(&c->lock);
}

struct serve_grant
serve_granted(struct client *c)
{
	struct serve_grant g;

	lock_take(&c->lock);
	g = c->granted;
	lock_drop(&c->lock);
	return g;
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

bool
serve_member(struct client *c, uint32_t *rank)
{
	*rank = c->rank;
	return c->in_set != 0;
}

bool
serve_actor_self(struct client *c, struct span *name, struct span *class, struct span *methods)
{
	size_t n = c->self_name, k = n + c->self_class;

	if (!c->actor_number)
		return false;
	*name = span_of(c->self.data, n);
	*class = span_of(c->self.data + n, c->self_class);
	*methods = span_of(c->self.data + k, c->self.len - k);
	return true;
}

void
serve_actor_up(struct client *c, bool ok, const unsigned char *error, size_t n)
{
	lock_take(&c->lock);
	c->spec.len = 0;
	atomic_store_explicit(&c->page->actor, (uint32_t)c->actor_number, memory_order_relaxed);
	link_holds_l(c);
	LINK_SEND(c, actor_up, .actor = c->actor_number, .ok = ok, .error = span_of(error, n));
	lock_drop(&c->lock);
}
