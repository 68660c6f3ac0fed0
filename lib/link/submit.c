/*
 * submit - in a submitter's place: tasks of a process of another node before a worker here, and what became of them back.
 * A record lies in our slab as long as its task lies before the worker; what it makes goes at once and is freed here.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "link/inner.h"
#include "link/packed.h"
#include "store/arena.h"
#include "wire/le.h"
#include "wire/val.h"

/* --- records ---------------------------------------------------------------------------------------------------------- */

/* of a record of ours: where it stands how far the consumer of its stream is; 0: it does not stream */
static uint32_t
stream_unit(const struct submit *s, const struct rec *r)
{
	return r->flags & REC_CONTEXT ? ((const struct rec_context *)slab_at(&s->l->slab, r->ext))->stream : 0;
}

static void
rec_free(struct submit *s, struct rec *r)
{
	uint32_t stream = r->ext ? stream_unit(s, r) : 0;

	if (stream)
		slab_free(&s->l->slab, stream);
	if (r->ext)
		slab_free(&s->l->slab, r->ext);
	slab_rec_free(&s->l->slab, r);
}

static void
args_free(struct args *a)
{
	if (!id_none(a->id)) {
		idmap_del(&a->s->l->args, a->id);
		bulk_unwant(a->s->l, a->id);
	}
	a->s->nheld -= !list_empty(&a->link);
	list_del(&a->link);
	buf_release(&a->task);
	free(a);
}

void
submit_untake(struct submit *s, uint32_t unit)
{
	struct args *a = s->args.n ? map_del(&s->args, unit) : NULL;
	struct rec *r = slab_at(&s->l->slab, unit), *last;
	uint32_t at = r->count;

	if (a)
		args_free(a);

	last = slab_at(&s->l->slab, s->unit[at] = s->unit[--s->n]);
	last->count = at;
	rec_free(s, r);
}

struct rec *
submit_mine(const struct submit *s, uint32_t unit)
{
	struct rec *r;

	if (unit == 0 || (uint64_t)unit * SLAB_UNIT >= (uint64_t)s->l->slab.next * SLAB_UNIT)
		return NULL;
	r = slab_at(&s->l->slab, unit);
	return r->count < s->n && s->unit[r->count] == unit ? r : NULL;
}

void
submit_back(struct submit *s, uint32_t slot)	/* not begun */
{
	packed_done_put(&s->out, &(struct packed_done){ .slot = slot, .kind = DONE_BACK });
}

/* what the worker has not claimed, the last one first: so it comes into the right order again */
void
submit_takeback(struct submit *s)
{
	struct ring_sub *g = &s->ring;
	struct packed_task t;

	while (!list_empty(&s->held)) {
		struct args *a = list_entry(s->held.prev, struct args, link);
		const unsigned char *p = a->task.data;
		size_t n = a->task.len;

		if (packed_task_get(&t, &p, &n) > 0)
			submit_back(s, t.slot);
		args_free(a);
	}
	ring_unclaimed(g, 0);
	for (uint64_t pos = g->tail; pos-- > g->seen;) {
		uint64_t w = atomic_load_explicit(&g->shm->word[pos % RING_WORDS], memory_order_acquire);
		struct rec *r;

		if (ring_claim_of(w) != RING_QUEUED || w & RING_FREE || !ring_revoke(g, pos, (uint32_t)w) || (r = submit_mine(s, (uint32_t)w)) == NULL)
			continue;
		submit_back(s, r->link);
		submit_untake(s, (uint32_t)w);
	}
}

/* --- there ---------------------------------------------------------------------------------------------------------- */

/* how far the consumer of t is, where the worker looks for it: its unit, 0: no memory */
static uint32_t
stream_new(struct submit *s, const struct packed_stream *p)
{
	uint64_t bytes = s->l->o.arena->bytes / 8;
	uint32_t unit = slab_alloc(&s->l->slab, sizeof(struct rec_stream));
	struct rec_stream *t = unit ? slab_at(&s->l->slab, unit) : NULL;

	if (t == NULL)
		return 0;
	memset(t, 0, sizeof *t);
	atomic_store(&t->arrived, p->arrived);
	atomic_store(&t->arrived_bytes, p->arrived_bytes);
	atomic_store(&t->taken, p->taken);
	atomic_store(&t->taken_bytes, p->taken_bytes);
	t->backlog = p->backlog;
	t->backlog_bytes = p->backlog_bytes < bytes ? p->backlog_bytes : bytes;
	return unit;
}

/* its extension block: the context, then n bytes of arguments: 0, or no memory */
static int
extend(struct submit *s, struct rec *r, const struct packed_task *t, size_t n)
{
	size_t ctx = t->flags & REC_CONTEXT ? sizeof t->context : 0;
	struct rec_context x = t->context;
	unsigned char *p;

	if (ctx + n == 0)
		return 0;
	if (ctx && x.stream && (x.stream = stream_new(s, &t->stream)) == 0)
		return -ENOMEM;
	if ((r->ext = slab_alloc(&s->l->slab, ctx + n)) == 0) {
		if (ctx && x.stream)
			slab_free(&s->l->slab, x.stream);
		return -ENOMEM;
	}
	p = slab_at(&s->l->slab, r->ext);
	if (ctx) {
		if (x.deadline)
			x.deadline += clock_ns();
		memcpy(p, &x, ctx);
	}
	memcpy(p + ctx, t->bytes, n);
	return 0;
}

static int
place(struct submit *s, const struct packed_task *t, struct args *a)
{
	const struct far_fn *fn = idmap_get(&s->l->fns, (struct id){ s->peer->node, s->proc, t->fn });
	struct rec *r;

	if (fn == NULL || s->n == RING_WORDS)
		return ERR_PROTO;
	if ((r = slab_rec(&s->l->slab)) == NULL)
		return -ENOMEM;
	memset(r, 0, sizeof *r);
	r->seq = t->seq;
	r->fn = fn->unit;
	r->nvals = t->nvals;
	r->flags = t->flags;
	r->attempt = t->attempt;
	r->link = t->slot;
	r->len = (uint16_t)t->n;
	r->kind = a ? REC_ARENA : t->n <= REC_INLINE ? REC_HERE : REC_EXT;
	if (a) {
		r->len = 0;
		r->flags &= (uint8_t)~PACKED_AWAY;
		memcpy(r->inl, &(struct rec_where){ .off = a->off, .gen = a->gen }, sizeof(struct rec_where));
	}
	if (r->kind == REC_HERE)
		memcpy(r->inl, t->bytes, t->n);
	rec_state(r, REC_PUSHED);
	if (extend(s, r, t, r->kind == REC_EXT ? t->n : 0) < 0 || (a && map_put(&s->args, slab_unit(&s->l->slab, r), a) < 0)) {
		rec_free(s, r);
		return -ENOMEM;
	}
	s->unit[r->count = s->n++] = slab_unit(&s->l->slab, r);
	ring_push(&s->ring, s->unit[r->count]);
	return 0;
}

/* a task that waits: for its own arguments, which are sent for, or for one before it */
static int
hold(struct submit *s, const struct packed_task *t)
{
	struct args *a = calloc(1, sizeof *a);
	struct form f;
	int e;

	if (a == NULL || s->n + s->nheld >= RING_WORDS) {
		free(a);
		return a ? ERR_PROTO : -ENOMEM;
	}
	a->s = s;
	s->nheld++;
	list_add_tail(&s->held, &a->link);
	if (packed_task_put(&a->task, t) < 0) {
		args_free(a);
		return -ENOMEM;
	}
	if (!(t->flags & PACKED_AWAY))
		return 0;
	a->id = (struct id){ s->peer->node, s->proc, 0 };
	if ((e = packed_form_get(&a->id.seq, &f, t->bytes, t->n)) < 0 || idmap_get(&s->l->args, a->id)) {
		a->id = (struct id){ 0 };
		args_free(a);
		return ERR_PROTO;
	}
	if (idmap_put(&s->l->args, a->id, a) == 0 && (e = bulk_want(s->l, a->id, f.bytes, PULL_ARGUMENT)) == 0)
		return 0;
	args_free(a);
	return submit_error(s, t->slot, ERR_FULL, "too much is being fetched from other nodes for the task's arguments");
}

/* those whose turn it is */
static void
unhold(struct submit *s)
{
	struct packed_task t;
	int e = 0;

	while (s->peer && e >= 0 && !list_empty(&s->held)) {
		struct args *a = list_entry(s->held.next, struct args, link);
		const unsigned char *p = a->task.data;
		size_t n = a->task.len;

		if (!id_none(a->id) && !a->here)
			break;
		packed_task_get(&t, &p, &n);
		list_del(&a->link);
		list_init(&a->link);
		s->nheld--;
		e = place(s, &t, id_none(a->id) ? NULL : a);
		if (e < 0 || id_none(a->id))
			args_free(a);
		else
			buf_release(&a->task);
	}
	if (e < 0)				/* nobody would hear of it any more */
		peer_wrong(s->peer, e == ERR_PROTO ? "it sent a task that makes no sense" : err_str(e));
	link_ring(s->l, s->bell);
}

bool
submit_args(struct link *l, struct id id, uint64_t off, uint32_t gen, int code, const char *text)
{
	struct args *a = idmap_get(&l->args, id);
	struct submit *s;
	struct packed_task t;

	if (a == NULL || a->here)
		return a != NULL;
	s = a->s;
	if (code < 0) {
		const unsigned char *p = a->task.data;
		size_t n = a->task.len;

		packed_task_get(&t, &p, &n);
		submit_error(s, t.slot, code, text);
		args_free(a);
	} else {
		a->here = true;
		a->off = off;
		a->gen = gen;
	}
	unhold(s);
	if (s->out.len)
		submit_send(s);
	return code == 0;
}

static int
fetch_one(void *arg, const struct wref *w, bool valref)
{
	struct submit *s = arg;

	if (valref && w->size && w->id.node != s->l->o.node)
		link_tell(s->l, LINK_AHEAD, 0, 0, span_of(&w->id, sizeof w->id));
	return 0;
}

/* what it will ask for: fetched while others are before it */
static void
ahead(struct submit *s, const struct packed_task *t)
{
	if (t->flags & REC_REFS && !(t->flags & PACKED_AWAY))
		val_walk_refs(t->bytes, t->n, t->nvals, fetch_one, s);
}

int
submit_tasks(struct peer *p, const struct frame *f)
{
	struct msg_far_tasks m;
	struct packed_task t;
	struct submit *s;
	int e = msg_get_far_tasks(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((s = map_get(&p->l->submits, m.ring)) == NULL || s->peer != p)
		return 0;			/* its worker is gone: the other side is being told */
	while ((e = packed_task_get(&t, &m.tasks.p, &m.tasks.n)) > 0) {
		ahead(s, &t);
		if (ring_unclaimed(&s->ring, RING_WORDS) == RING_WORDS || s->want || s->blocked)	/* the other side is being told */
			submit_back(s, t.slot);
		else if (list_empty(&s->held) && !(t.flags & PACKED_AWAY))
			e = place(s, &t, NULL);
		else
			e = hold(s, &t);
		if (e < 0)
			return e;
	}
	link_ring(p->l, s->bell);
	if (s->out.len)
		submit_send(s);
	return e;
}

static struct rec *
of_slot(const struct submit *s, uint64_t slot, uint64_t task)	/* task 0: any */
{
	for (unsigned i = 0; i < s->n; i++) {
		struct rec *r = slab_at(&s->l->slab, s->unit[i]);

		if (r->link == slot && (task == 0 || r->seq == task))
			return r;
	}
	return NULL;
}

static bool
take_back(struct submit *s, uint32_t unit)
{
	struct ring_sub *g = &s->ring;

	ring_unclaimed(g, 0);
	for (uint64_t pos = g->tail; pos-- > g->seen;)
		if (atomic_load_explicit(&g->shm->word[pos % RING_WORDS], memory_order_acquire) == ring_word(pos, RING_QUEUED, unit))
			return ring_revoke(g, pos, unit);
	return false;
}

static struct args *
held_slot(const struct submit *s, uint64_t slot, uint64_t task)
{
	list_each(k, &s->held) {
		struct args *a = list_entry(k, struct args, link);
		const unsigned char *p = a->task.data;
		size_t n = a->task.len;
		struct packed_task t;

		if (packed_task_get(&t, &p, &n) > 0 && t.slot == slot && t.seq == task)
			return a;
	}
	return NULL;
}

/* what was not begun ends without a value, which its submitter takes as it should; the node tells the worker to look */
int
submit_cancel(struct peer *p, const struct frame *f)
{
	struct packed_done none = { .kind = DONE_NONE };
	struct msg_far_cancel m;
	struct submit *s;
	struct args *a;
	struct rec *r;
	int e = msg_get_far_cancel(&m, f->body, f->len);

	if (e < 0 || m.ring == 0 || (s = map_get(&p->l->submits, m.ring)) == NULL || s->peer != p)
		return e;
	if (m.slot == 0) {
		submit_takeback(s);
		submit_send(s);
		return 0;
	}
	none.slot = (uint32_t)m.slot;
	if ((a = held_slot(s, m.slot, m.task)) != NULL) {
		packed_done_put(&s->out, &none);
		args_free(a);
		unhold(s);
		submit_send(s);
		return 0;
	}
	if (m.task == 0 || (r = of_slot(s, m.slot, m.task)) == NULL)
		return 0;
	if (take_back(s, slab_unit(&s->l->slab, r))) {
		packed_done_put(&s->out, &none);
		submit_untake(s, slab_unit(&s->l->slab, r));
		submit_send(s);
		return 0;
	}
	if (m.late && r->flags & REC_CONTEXT)	/* there, if not here yet */
		__atomic_store_n(&((struct rec_context *)slab_at(&p->l->slab, r->ext))->deadline, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&r->flags, (uint8_t)((r->flags & ~REC_SPARE) | REC_CANCEL | (m.spare ? REC_SPARE : 0)), __ATOMIC_RELEASE);
	return 0;
}

int
submit_taken(struct peer *p, const struct frame *f)
{
	struct msg_far_taken m;
	struct rec_stream *t;
	struct submit *s;
	uint32_t unit;
	struct rec *r;
	int e = msg_get_far_taken(&m, f->body, f->len);

	if (e < 0 || (s = map_get(&p->l->submits, m.ring)) == NULL || s->peer != p || (r = of_slot(s, m.slot, 0)) == NULL ||
	    (unit = stream_unit(s, r)) == 0)
		return e;
	t = slab_at(&s->l->slab, unit);
	atomic_store_explicit(&t->taken_bytes, m.bytes, memory_order_relaxed);
	atomic_store_explicit(&t->taken, m.taken, memory_order_release);
	link_ring(p->l, s->bell);
	return 0;
}

void
submit_free(struct submit *s)
{
	while (!list_empty(&s->held))
		args_free(list_entry(s->held.next, struct args, link));
	while (s->n)
		submit_untake(s, s->unit[s->n - 1]);
	if (s->ring.shm)
		ring_unmap(s->ring.shm);
	if (s->slab.base)
		peerslab_unmap(&s->slab);
	buf_release(&s->out);
	buf_release(&s->frees);
	map_release(&s->args);
	free(s);
}
