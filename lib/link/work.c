/*
 * work - in a worker's place: what a process here pushes goes to another node, what comes back is published to it.
 *
 * Tasks stay in the ring as long as enough of them are under way, so that their submitter can have them back and gives no
 * more than a worker here would get: about a round trip and what its worker does meanwhile.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/grow.h"
#include "link/inner.h"
#include "link/packed.h"
#include "store/arena.h"
#include "wire/le.h"
#include "wire/val.h"

#define AHEAD_NS 500000u		/* of work under way */
#define ALONE_NS 1000000u		/* a task that takes this long can wait for the one before it to be over */
enum { WINDOW = 96 };			/* most tasks under way: less than RING_DONES */

static unsigned
window(const struct work *w)
{
	unsigned n;

	if (w->calls)
		return WINDOW;			/* they can go nowhere else, and may run at one time */
	if (w->est == 0)
		return 2;
	if (w->est >= ALONE_NS)
		return 1;
	n = AHEAD_NS / w->est;
	return n < 2 ? 2 : n > WINDOW ? WINDOW : n;
}

/* --- towards the submitter ---------------------------------------------------------------------------------------- */

static void
publish(struct work *w, const struct done *d)
{
	struct done *p = ring_next_done(&w->ring);
	uint32_t *block = &w->block[w->ring.dtail % RING_DONES];

	if (*block)
		slab_free(&w->l->slab, *block);
	*block = d->unit;
	memcpy((char *)p + sizeof p->seq, (const char *)d + sizeof d->seq, sizeof *d - sizeof d->seq);
	ring_publish(&w->ring);
}

static bool
flush(struct work *w)
{
	size_t n = 0;

	while (n < w->npend && ring_room(&w->ring) > 0)
		publish(w, &w->pend[n++]);
	if (n == 0)
		return false;
	memmove(w->pend, w->pend + n, (w->npend - n) * sizeof *w->pend);
	w->npend -= n;
	link_ring(w->l, w->bell);
	return true;
}

static int
give(struct work *w, const struct done *d)
{
	struct done *v;

	if (w->npend)
		flush(w);
	if (w->npend == 0 && ring_room(&w->ring) > 0) {
		publish(w, d);
		return 0;
	}
	if ((v = grow(w->pend, &w->cappend, w->npend, sizeof *v)) == NULL)
		return -ENOMEM;
	w->pend = v;
	w->pend[w->npend++] = *d;
	return 0;
}

static int
give_packed(struct work *w, const struct packed_done *p)
{
	struct done d = { .slot = p->slot, .len = p->n, .nvals = p->nvals, .kind = p->kind, .flags = p->flags, .ret = p->ret, .ns = p->ns };
	size_t at = p->n <= sizeof d.inl ? 0 : (p->n + 7u) & ~7u, n = at + (p->nkept ? 4 + 16 * (size_t)p->nkept : 0);
	unsigned char *q;

	if (p->kind == DONE_AWAY && p->n < PACKED_STAYS)
		return ERR_PROTO;
	if (p->kind == DONE_HERE && p->n <= sizeof d.inl)
		memcpy(d.inl, p->bytes, p->n);
	else if (p->kind == DONE_HERE)
		d.kind = DONE_BLOCK;
	if (p->kind == DONE_AWAY) {
		memcpy(d.inl, &(struct rec_where){ .size = le_get64(p->bytes), .spare = le_get16(p->bytes + 8) }, sizeof(struct rec_where));
		d.len = p->n - PACKED_STAYS;
		at = (d.len + 7u) & ~7u;
		n = at + (p->nkept ? 4 + 16 * (size_t)p->nkept : 0);
	}
	if (n) {
		if ((d.unit = slab_alloc(&w->l->slab, n)) == 0)
			return -ENOMEM;
		q = slab_at(&w->l->slab, d.unit);
		if (at)
			memcpy(q, p->bytes + (p->n - d.len), d.len);
		if (p->nkept) {
			d.flags |= DONE_KEPT;
			le_put32(q + at, p->nkept);
			memcpy(q + at + 4, p->kept, 16 * (size_t)p->nkept);
		}
	}
	return give(w, &d);
}

static void
estimate(uint32_t *est, uint32_t ns)
{
	uint64_t most = 4 * (uint64_t)*est + 200;	/* as the submitter does: one that lost its CPU weighs no more than a few */

	if (ns)
		*est = *est == 0 ? ns : (uint32_t)(((uint64_t)*est * 7 + (ns < most ? ns : most)) / 8);
}

/* its task is over, or comes back: nobody reads its arguments any more */
static void
lent_back(struct work *w, uint32_t slot)
{
	struct id *id = w->lent.n ? map_del(&w->lent, slot) : NULL;

	if (id)
		bulk_lent_back(w->l, *id);
	free(id);
}

static void
flow_end(struct work *w, uint32_t slot)
{
	for (size_t i = 0; i < w->nflow; i++)
		if (w->flow[i].slot == slot)
			w->flow[i--] = w->flow[--w->nflow];
}

int
work_dones(struct peer *p, const struct frame *f)
{
	struct msg_far_dones m;
	struct packed_done d;
	struct work *w;
	int e = msg_get_far_dones(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((w = map_get(&p->works, m.ring)) == NULL)
		return 0;			/* its submitter is gone */
	while ((e = packed_done_get(&d, &m.dones.p, &m.dones.n)) > 0) {
		if (w->inflight == 0)
			return ERR_PROTO;
		if (!(d.flags & DONE_PART)) {
			w->inflight--;
			lent_back(w, d.slot);
			flow_end(w, d.slot);
			estimate(&w->est, d.ns);
		}
		if ((e = give_packed(w, &d)) < 0)
			return e;
	}
	link_ring(w->l, w->bell);
	return e;
}

int
work_state(struct peer *p, const struct frame *f)
{
	struct msg_far_ring m;
	struct work *w;
	int e = msg_get_far_ring(&m, f->body, f->len);

	if (e < 0 || (w = map_get(&p->works, m.ring)) == NULL)
		return e;
	atomic_store(&w->ring.shm->blocked, m.blocked != 0);
	if (m.want > atomic_load(&w->ring.shm->want))
		atomic_store(&w->ring.shm->want, m.want > 1 ? 2 : 1);
	link_ring(w->l, w->bell);
	return 0;
}

/* --- from the submitter ------------------------------------------------------------------------------------------- */

static int
refuse(struct work *w, uint32_t slot, const char *why)
{
	struct packed_done d = { .slot = slot, .kind = DONE_HERE, .flags = DONE_ERROR, .nvals = 1 };
	struct buf b = BUF_INIT;
	int e = val_error(&b, ERR_VALUE, why, NULL, NULL, 0, NULL);

	d.bytes = b.data;
	d.n = (uint32_t)b.len;
	if (e == 0)
		e = give_packed(w, &d);
	buf_release(&b);
	link_ring(w->l, w->bell);
	return e;
}

/* the peer has the function, or it goes before the task */
static int
tell_fn(struct work *w, uint32_t unit, uint64_t *serial)
{
	const struct fnblk *in = peerslab_at(&w->slab, unit, sizeof *in);
	static char yes;
	const void *code = NULL;
	struct buf b = BUF_INIT;
	struct fnblk fn;
	struct id key;

	if (in == NULL)
		return ERR_PROTO;
	memcpy(&fn, in, sizeof fn);
	*serial = fn.serial;
	key = (struct id){ 0, w->proc, fn.serial };
	if (idmap_get(&w->peer->told, key))
		return 0;
	if (fn.len > FRAME_MAX / 2 || (fn.len && (code = peerslab_at(&w->slab, fn.bytes, fn.len)) == NULL))
		return ERR_PROTO;
	fn.name[sizeof fn.name - 1] = '\0';
	return peer_put(w->peer, msg_put_far_fn(&b, &(struct msg_far_fn){ .proc = w->proc, .serial = fn.serial, .kind = fn.kind,
	    .nret = fn.nret, .flags = fn.flags, .once = fn.once, .name = span_of(fn.name, strlen(fn.name)),
	    .code = span_of(code, fn.len) }), &b) < 0 || idmap_put(&w->peer->told, key, &yes) < 0 ? -ENOMEM : 0;
}

/* arguments in the arena that are too much for a frame: they are fetched, and stay where they are meanwhile */
static int
lend(struct work *w, struct packed_task *t, const struct obj_view *v, unsigned char form[PACKED_FORM])
{
	struct id *id = malloc(sizeof *id);
	struct form f;
	int e = -ENOMEM;

	if (id == NULL || (e = bulk_lend(w->l, v, &f)) < 0) {
		free(id);
		return e;
	}
	*id = v->id;
	if (map_put(&w->lent, t->slot, id) < 0) {
		bulk_lent_back(w->l, v->id);
		free(id);
		return -ENOMEM;
	}
	packed_form_put(form, id->seq, &f);
	t->flags |= PACKED_AWAY;
	t->bytes = form;
	t->n = PACKED_FORM;
	return 0;
}

/* of a task that streams: how far its consumer is */
static int
flow_new(struct work *w, struct packed_task *t)
{
	const struct rec_stream *s = peerslab_at(&w->slab, t->context.stream, sizeof *s);
	struct flow *v;

	if (s == NULL)
		return ERR_PROTO;
	if ((v = grow(w->flow, &w->capflow, w->nflow, sizeof *v)) == NULL)
		return -ENOMEM;
	w->flow = v;
	t->stream = (struct packed_stream){ atomic_load(&s->arrived), atomic_load(&s->arrived_bytes), atomic_load(&s->taken),
	    atomic_load(&s->taken_bytes), s->backlog, s->backlog_bytes };
	v[w->nflow++] = (struct flow){ t->slot, t->context.stream, t->stream.taken, t->stream.taken_bytes };
	return 0;
}

static bool
flows_look(struct work *w)		/* true: something is to be sent */
{
	bool any = false;

	for (size_t i = 0; i < w->nflow; i++) {
		struct flow *v = &w->flow[i];
		const struct rec_stream *s = peerslab_at(&w->slab, v->unit, sizeof *s);
		uint64_t taken = atomic_load(&s->taken), bytes = atomic_load(&s->taken_bytes);
		struct buf b = BUF_INIT;

		if ((taken == v->taken && bytes == v->bytes) || w->peer == NULL)
			continue;
		v->taken = taken;
		v->bytes = bytes;
		any = true;
		peer_put(w->peer, msg_put_far_taken(&b, &(struct msg_far_taken){ .ring = w->far, .slot = v->slot, .taken = taken,
		    .bytes = bytes }), &b);
	}
	return any;
}

/* the record and what it names, checked and copied to the end of out: 0; 1: it was refused; negative: out of memory */
static int
pack(struct work *w, uint32_t slot, struct buf *out)
{
	const void *p = peerslab_at(&w->slab, slot, sizeof(struct rec));
	struct packed_task t = { .slot = slot };
	struct obj_view v;
	unsigned char form[PACKED_FORM];
	struct rec_where at;
	struct rec r;
	size_t ctx = 0;
	int e;

	if (p == NULL)
		return refuse(w, slot, "the task's record makes no sense") < 0 ? -ENOMEM : 1;
	memcpy(&r, p, sizeof r);
	if ((e = tell_fn(w, r.fn, &t.fn)) < 0)
		return e == ERR_PROTO ? (refuse(w, slot, "the task's function makes no sense") < 0 ? -ENOMEM : 1) : e;
	t.seq = r.seq;
	t.nvals = r.nvals;
	t.attempt = r.attempt;
	t.flags = r.flags & (REC_REFS | REC_CONTEXT | REC_ALONE);
	t.n = r.len;
	if (r.flags & REC_CONTEXT) {
		uint64_t now = clock_ns();

		ctx = sizeof t.context;
		if ((p = peerslab_at(&w->slab, r.ext, ctx)) == NULL)
			return refuse(w, slot, "the task's context makes no sense") < 0 ? -ENOMEM : 1;
		memcpy(&t.context, p, ctx);
		if (t.context.deadline)
			t.context.deadline = t.context.deadline > now ? t.context.deadline - now : 1;
	}
	p = r.kind == REC_HERE && r.len <= REC_INLINE ? r.inl : NULL;
	if (r.kind == REC_EXT && (p = peerslab_at(&w->slab, r.ext, ctx + r.len)) != NULL)
		p = (const char *)p + ctx;
	if (r.kind == REC_ARENA) {
		memcpy(&at, r.inl, sizeof at);
		if (arena_view(w->l->o.arena, at.off, at.gen, &v) == 0) {
			p = v.head;
			t.n = (uint32_t)v.headlen;
		}
	}
	if (p == NULL)
		return refuse(w, slot, "the task's arguments make no sense") < 0 ? -ENOMEM : 1;
	t.bytes = p;
	if (r.kind == REC_ARENA && (v.nbuf || v.headlen > PACKED_ARGS) && lend(w, &t, &v, form) < 0)
		return refuse(w, slot, "no memory to pass the task's arguments to another node") < 0 ? -ENOMEM : 1;
	if (t.flags & REC_CONTEXT && t.context.stream && (e = flow_new(w, &t)) < 0)
		return e == ERR_PROTO ? (refuse(w, slot, "the task's stream makes no sense") < 0 ? -ENOMEM : 1) : e;
	if ((e = packed_task_put(out, &t)) == 0 && t.flags & REC_REFS && !(t.flags & PACKED_AWAY) &&
	    val_unplace_refs(out->data + out->len - t.n, t.n, t.nvals) < 0) {
		out->len -= packed_task_size(&t);
		flow_end(w, slot);
		return refuse(w, slot, "the task's arguments make no sense") < 0 ? -ENOMEM : 1;
	}
	return e;
}

bool
work_look(struct work *w)
{
	struct ring_shm *g = w->ring.shm;
	struct buf tasks = BUF_INIT, b = BUF_INIT;
	unsigned most = window(w);
	bool any = w->npend && flush(w);
	uint32_t slot;
	int e = 0;

	if (w->peer && peer_busy(w->peer)) {
		w->l->resting = true;
		most = 0;
	}
	if (w->nflow)
		any |= flows_look(w);
	while (e >= 0 && w->peer && w->inflight < most && !atomic_load_explicit(&g->want, memory_order_relaxed) &&
	    !atomic_load_explicit(&g->dead, memory_order_relaxed) && ring_claim(&w->ring, &slot)) {
		any = true;
		if (slot & RING_FREE)
			continue;		/* nothing of a worker elsewhere lies here */
		if ((e = pack(w, slot, &tasks)) == 0)
			w->inflight++;
		else if (e < 0)
			refuse(w, slot, "no memory to pass the task to another node");
	}
	if (w->ring.skipped) {
		w->ring.skipped = false;
		link_ring(w->l, w->bell);
	}
	if (tasks.len)
		peer_put(w->peer, msg_put_far_tasks(&b, &(struct msg_far_tasks){ .ring = w->far, .tasks = span_of(tasks.data, tasks.len) }), &b);
	buf_release(&tasks);
	return any;
}

void
work_over(struct work *w)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&w->lent, &it))
		lent_back(w, (uint32_t)it.key);
	w->peer = NULL;
}

bool
work_read(const struct work *w)
{
	return atomic_load_explicit(&w->ring.shm->consumed, memory_order_acquire) >= w->ring.dtail;
}

void
work_free(struct work *w)
{
	work_over(w);
	map_release(&w->lent);
	for (unsigned i = 0; i < RING_DONES; i++)
		if (w->block[i])
			slab_free(&w->l->slab, w->block[i]);
	for (size_t i = 0; i < w->npend; i++)
		if (w->pend[i].unit)
			slab_free(&w->l->slab, w->pend[i].unit);
	if (w->ring.shm)
		ring_unmap(w->ring.shm);
	if (w->slab.base)
		peerslab_unmap(&w->slab);
	free(w->pend);
	free(w->flow);
	free(w);
}
