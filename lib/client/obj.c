/*
 * obj - the life of a record as an object: its payload, its side entry, who counts on it, who waits for it.
 *
 * A record is freed when this process has no reference (count), no other process holds it (side->holder), and
 * the node was not given it.  References inside a payload are counted by the record that holds the payload.
 */
#include <fcntl.h>
#include <stdio.h>
#include "client/inner.h"

#define TRIES 1000			/* to look at what the node moves; it leaves one that it was asked for where it is for a moment */

struct rec *
rec_new_l(struct client *c)
{
	struct rec *r = slab_rec(&c->slab);

	if (!r)
		return NULL;
	r->seq = c->next_task++ << ID_RET_BITS;
	r->fn = r->ext = 0;
	r->len = r->nvals = 0;
	r->flags = r->attempt = 0;
	r->kind = REC_NONE;
	r->count = 1;
	r->link = 0;
	return r;
}

struct side *
side_find_l(struct client *c, const struct rec *r)
{
	return r->flags & REC_SIDE ? map_get(&c->side, slab_unit(&c->slab, r)) : NULL;
}

struct side *
side_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);

	if (s)
		return s;
	if (!(s = calloc(1, sizeof *s)))
		return NULL;
	s->unit = slab_unit(&c->slab, r);
	list_init(&s->waiters);
	if (map_put(&c->side, s->unit, s) < 0) {
		free(s);
		return NULL;
	}
	r->flags |= REC_SIDE;
	return s;
}

struct id
rec_id(const struct client *c, const struct rec *r)
{
	if (r->flags & REC_BORROWED)
		return ((struct side *)map_get(&c->side, slab_unit(&c->slab, r)))->id;
	return (struct id){ (uint32_t)c->me.node, (uint32_t)c->me.proc, r->seq };
}

/* --- payloads ------------------------------------------------------------------------------------------ */

static int
retain_ref(void *arg, const struct wref *w, bool valref)
{
	struct client *c = arg;
	struct rec *r = rec_of_l(c, w);

	(void)valref;
	if (r)
		r->count++;
	else if (!rec_import_l(c, w, false))
		return -ENOMEM;
	return 0;
}

int
refs_retain_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals)
{
	int e = val_walk_refs(p, n, nvals, retain_ref, c);

	return e < 0 ? e : actors_retain_l(c, p, n, nvals);
}

static int
release_ref(void *arg, const struct wref *w, bool valref)
{
	struct client *c = arg;
	struct rec *r = rec_of_l(c, w);

	(void)valref;
	if (r)
		rec_unref_l(c, r);
	return 0;
}

void
refs_release_l(struct client *c, const unsigned char *p, size_t n, unsigned nvals)
{
	val_walk_refs(p, n, nvals, release_ref, c);
	actors_release_l(c, p, n, nvals);
}

static struct rec_where
where_of(const struct rec *r)
{
	struct rec_where w;

	memcpy(&w, r->inl, sizeof w);
	return w;
}

/* the encoded values of r, wherever they lie; NULL if an arena object is gone */
const unsigned char *
rec_bytes_l(struct client *c, const struct rec *r, struct obj_view *v, size_t *n)
{
	struct rec_where w;

	*n = r->len;
	switch (r->kind) {
	case REC_HERE:
		return r->inl;
	case REC_EXT:
		return (unsigned char *)slab_at(&c->slab, r->ext) + (r->flags & REC_CONTEXT ? sizeof(struct rec_context) : 0);
	case REC_ARENA:
	case REC_AWAY:
		w = where_of(r);
		if (arena_view(&c->arena, w.off, w.gen, v) < 0)
			return NULL;
		*n = v->headlen;
		return v->head;
	default:
		return r->inl;
	}
}

/* what a child inherits goes into a block of its own; rec_set_l may join it with the payload */
int
rec_context_l(struct client *c, struct rec *r, const struct rec_context *x)
{
	uint32_t u = slab_alloc(&c->slab, sizeof *x);

	if (u == 0)
		return -ENOMEM;
	memcpy(slab_at(&c->slab, u), x, sizeof *x);
	r->ext = u;
	r->flags |= REC_CONTEXT;
	return 0;
}

int
rec_inside_l(struct client *c, struct rec *r, const unsigned char *p, size_t n, unsigned nvals)
{
	struct side *s = side_l(c, r);
	unsigned char *copy = s ? malloc(n + 1) : NULL;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, p, n);
	free(s->inside);
	s->inside = copy;
	s->ninside = n;
	s->vinside = nvals;
	return 0;
}

void
rec_clear_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);
	struct obj_view v;
	struct rec_where w;
	const unsigned char *p;
	size_t n;

	if (s && s->inside) {
		unsigned char *inside = s->inside;	/* s may go with what they let go of */

		s->inside = NULL;
		refs_release_l(c, inside, s->ninside, s->vinside);
		free(inside);
		s = side_find_l(c, r);
	} else if (r->flags & REC_REFS && !(r->flags & REC_BORROWED) && (p = rec_bytes_l(c, r, &v, &n)))
		refs_release_l(c, p, n, r->nvals);
	if (r->kind >= REC_ARENA && !(r->flags & REC_BORROWED)) {
		w = where_of(r);
		if (r->kind == REC_ARENA)
			mem_free_l(c, &w);
		else if (!s || !s->keep)
			mem_forget_l(c, rec_id(c, r));
	}
	if (r->ext)
		slab_free(&c->slab, r->ext);
	r->ext = 0;
	r->kind = REC_NONE;
	r->flags &= (uint8_t)~(REC_REFS|REC_CONTEXT);
	r->len = 0;
}

/* n bytes become the payload: at most REC_BLOCK_MAX.  What was there must be cleared. */
int
rec_set_l(struct client *c, struct rec *r, const unsigned char *p, size_t n, unsigned nvals, unsigned flags)
{
	if (n <= REC_INLINE) {
		if (n)				/* p may be NULL */
			memcpy(r->inl, p, n);
		r->kind = REC_HERE;
	} else {
		size_t ctx = r->flags & REC_CONTEXT ? sizeof(struct rec_context) : 0;
		uint32_t u = slab_alloc(&c->slab, ctx + n);

		if (u == 0)
			return -ENOMEM;
		if (ctx) {				/* it lay in a block of its own until now */
			memcpy(slab_at(&c->slab, u), slab_at(&c->slab, r->ext), ctx);
			slab_free(&c->slab, r->ext);
		}
		memcpy((unsigned char *)slab_at(&c->slab, u) + ctx, p, n);
		r->ext = u;
		r->kind = REC_EXT;
	}
	r->len = (uint16_t)n;
	r->nvals = (uint16_t)nvals;
	if (flags & PAYLOAD_REFS)
		r->flags |= REC_REFS;
	if (flags & PAYLOAD_ERROR)
		r->flags |= REC_ERROR;
	return 0;
}

/* --- becoming ready -------------------------------------------------------------------------------------- */

void
rec_ready_l(struct client *c, struct rec *r)
{
	struct side *s;

	rec_set_ready(r);
	if (c->crowd)
		crowd_stir_l(c);
	if (!(r->flags & REC_SIDE) || !(s = side_find_l(c, r)))
		return;
	if (s->held)
		rec_held_l(c, s);
	if (s->what != TIMER_NONE) {
		heap_del(&c->timers, &s->timer);
		s->what = TIMER_NONE;
	}
	r->count++;				/* what is told may drop it */
	if (s->stream)
		stream_over_l(c, s->stream);
	for (struct list *l; (l = list_shift(&s->waiters)) != NULL;) {
		struct waiter *w = list_entry(l, struct waiter, link);

		switch (w->kind) {
		case WAIT_DEP:
			task_resolved_l(c, slab_at(&c->slab, w->task));
			break;
		case WAIT_SET:
			member_ready_l(c, list_entry(w, struct member, waiter));
			continue;
		case WAIT_ASK:
			answer_l(c, r, w->proc);
			break;
		}
		free(w);
	}
	rec_unref_l(c, r);
}

/* a task with several returns ended: an error, or nothing, is the outcome of all that are not there yet */
void
children_end_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);
	const unsigned char *p;
	struct obj_view v;
	size_t n;

	for (unsigned i = 0; s && i < s->nchild; i++) {
		struct rec *k = slab_at(&c->slab, s->child[i]);

		if (k->state == REC_READY)
			continue;
		if (r->flags & REC_ERROR && (p = rec_bytes_l(c, r, &v, &n)) && n <= REC_BLOCK_MAX)
			rec_set_l(c, k, p, n, r->nvals, PAYLOAD_ERROR);
		else
			rec_set_l(c, k, (const unsigned char *)"\xc0", 1, 1, 0);
		rec_ready_l(c, k);
		rec_unref_l(c, k);
	}
}

void
rec_fail_l(struct client *c, struct rec *r, int code, const char *text)
{
	struct buf b = BUF_INIT;
	const char *task = r->fn ? fn_of(c, r->fn)->name : NULL;
	struct side *s = side_find_l(c, r);
	unsigned n = s ? s->nchild : 0;

	if (val_error(&b, code, text, task, c->node_name, r->attempt + 1u, NULL) < 0 || b.len > REC_BLOCK_MAX) {
		buf_release(&b);
		val_error(&b, code, "out of memory for the text of an error", NULL, NULL, 0, NULL);
	}
	for (unsigned i = 0; i < n; i++) {
		struct rec *k = slab_at(&c->slab, s->child[i]);

		if (k->state != REC_READY) {
			rec_set_l(c, k, b.data, b.len, 1, PAYLOAD_ERROR);
			rec_ready_l(c, k);
			rec_unref_l(c, k);
		}
	}
	if (r->state != REC_READY) {
		rec_clear_l(c, r);
		rec_set_l(c, r, b.data, b.len, 1, PAYLOAD_ERROR);
		page_count(c->page, CNT_FAILED, 1);
		rec_ready_l(c, r);
	}
	buf_release(&b);
}

/* --- counting --------------------------------------------------------------------------------------------- */

static void
forget_borrowed_l(struct client *c, struct rec *r, struct side *s)
{
	for (unsigned i = 0; i < s->registered; i++)
		link_drop_l(c, s->id);
	idmap_del(&c->borrowed, s->id);
	(void)r;
}

void
rec_free_if_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);

	if (r->count || (s && s->held))
		return;
	if (s && s->lin) {			/* others were made from it: a small value stays, a large one can be made again */
		if (r->kind >= REC_ARENA) {
			rec_clear_l(c, r);
			s->shell = true;
		}
		return;
	}
	rec_clear_l(c, r);
	if (s) {
		if (s->line)
			lineage_drop_l(c, s->line);
		if (s->stream)
			stream_free_l(c, s->stream);
		view_end_l(c, r, s);
		if (r->flags & REC_BORROWED)
			forget_borrowed_l(c, r, s);
		if (s->exported)
			map_del(&c->exported, r->seq);
		heap_del(&c->timers, &s->timer);
		map_del(&c->side, s->unit);
		for (struct list *l; (l = list_shift(&s->waiters)) != NULL;)
			free(list_entry(l, struct waiter, link));
		free(s->inside);
		free(s->holder);
		free(s->child);
		free(s);
	}
	if (r->fn)
		fn_unref_l(c, fn_of(c, r->fn));
	slab_rec_free(&c->slab, r);
}

void
rec_unref_l(struct client *c, struct rec *r)
{
	if (--r->count == 0)
		rec_free_if_l(c, r);
}

void
drops_l(struct client *c)
{
	while (c->ndrop) {
		struct rec *r = c->drop[--c->ndrop];

		if (--r->count == 0) {
			if (r->flags & (REC_SIDE|REC_REFS) || r->ext || r->kind >= REC_ARENA) {
				rec_free_if_l(c, r);
				continue;
			}
			if (r->fn)
				fn_unref_l(c, fn_of(c, r->fn));
			slab_rec_free(&c->slab, r);
		}
	}
	if (c->freed)
		mem_freed_l(c);
}

/* --- for the main thread ------------------------------------------------------------------------------------ */

void
client_retain(struct client *c, struct rec *r)
{
	lock_take(&c->lock);
	r->count++;
	lock_drop(&c->lock);
}

void
client_release(struct client *c, struct rec *r)
{
	lock_take(&c->lock);
	rec_unref_l(c, r);
	lock_drop(&c->lock);
}

void
client_drop(struct client *c, struct rec *r)
{
	if (c->ndrop == c->capdrop) {
		size_t cap = c->capdrop ? c->capdrop * 2 : 1024;
		struct rec **v = c->capdrop < 65536 ? realloc(c->drop, cap * sizeof *v) : NULL;

		if (!v) {			/* bounded: the lock is free, finalizers never run under it */
			lock_take(&c->lock);
			drops_l(c);
			rec_unref_l(c, r);
			lock_drop(&c->lock);
			return;
		}
		c->drop = v;
		c->capdrop = cap;
	}
	c->drop[c->ndrop++] = r;
}

bool
client_ready(struct client *c, struct rec *r)
{
	bool is;

	lock_take(&c->lock);
	is = r->state == REC_READY;
	lock_drop(&c->lock);
	return is;
}

int
client_look(struct client *c, struct rec *r, struct value *v)
{
	int e = 0;

	if (r->kind == REC_HERE && !c->crowd && !rec_flags(r, REC_ERROR)) {	/* nothing is written without the lock */
		v->error = false;
		v->nvals = r->nvals;
		v->arena = false;
		v->p = r->inl;
		v->n = r->len;
		return 0;
	}
	lock_take(&c->lock);
	v->error = r->flags & REC_ERROR;
	v->nvals = r->nvals;
	v->arena = r->kind >= REC_ARENA;
	r->flags |= REC_SEEN;
	if (!v->arena) {
		v->p = rec_bytes_l(c, r, &v->view, &v->n);
	} else {
		for (unsigned tries = 0; (e = view_take_l(c, r, &v->view)) == ERR_LOST; tries++) {
			lock_drop(&c->lock);
			if (tries == TRIES) {
				snprintf(c->why_full, sizeof c->why_full, "the object was moved %u times before it could be read", TRIES);
				return e;
			}
			if ((e = away_restore(c, r)) < 0)
				return e == ERR_LOST ? away_lost(c, r) : e;
			lock_take(&c->lock);
		}
		v->p = v->view.head;
		v->n = v->view.headlen;
		v->nvals = r->nvals;
	}
	lock_drop(&c->lock);
	return e;
}

int
client_value(struct client *c, struct rec *r, struct value *v)
{
	int e;

	while ((e = client_look(c, r, v)) == -EAGAIN)
		while ((e = client_wait(c, r, WAIT_FOREVER)) < 0)
			if (e != -EINTR)
				return e;
	return e;
}

void
client_unview(struct client *c, struct rec *r)
{
	if (r->kind < REC_ARENA)
		return;
	lock_take(&c->lock);
	view_drop_l(c, r);
	lock_drop(&c->lock);
}

int
client_arena_fd(struct client *c)
{
	char path[32];
	int fd;

	if (c->arena_fd < 0)
		return ERR_NO_CLUSTER;
	snprintf(path, sizeof path, "/proc/self/fd/%d", c->arena_fd);	/* opened anew: read-only, with a place of its own */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const struct arena *
client_arena(const struct client *c)
{
	return &c->arena;
}

void
client_seen(struct client *c, struct rec *r)
{
	lock_take(&c->lock);
	r->flags |= REC_SEEN;
	lock_drop(&c->lock);
}

struct id
client_id(struct client *c, const struct rec *r)
{
	struct id id;

	lock_take(&c->lock);
	id = rec_id(c, r);
	lock_drop(&c->lock);
	return id;
}

uint64_t
client_size(const struct rec *r)
{
	return r->kind >= REC_ARENA && r->state == REC_READY ? where_of(r).size : 0;
}
