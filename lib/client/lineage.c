/*
 * lineage - how lost objects are made again.
 *
 * A finished task whose result lies in the arena keeps its record's arguments: struct lineage, bounded by LINEAGE_BYTES
 * in all, the oldest goes first.  They keep no value alive, only records: an object that nobody holds but that a result
 * was made from becomes a shell, without a value, to be made again itself.  What was put, what tasks with retries = 0,
 * with several returns or of actors made, and what other processes own has no lineage.
 *
 * A lost object is never READY and gone: it is under way again, or its value is an error that names the ancestor.
 */
#include <errno.h>
#include <stdio.h>
#include "client/inner.h"
#include "core/lineage.h"

#define LINEAGE_BYTES (UINT64_C(64) << 20)	/* records of finished tasks that an owner keeps */

struct lineage {
	struct list link;		/* in client.lineage, the oldest first */
	uint32_t unit;			/* of the record */
	uint32_t ext;			/* the arguments, as the record had them */
	uint16_t len, nvals;
	uint8_t flags, kind;
	unsigned char inl[REC_INLINE];
	uint64_t bytes;
	unsigned narg;
	uint32_t arg[];			/* units of the records that they refer to: each counts in side.lin */
};

static struct rec *
at(struct client *c, uint32_t unit)
{
	return slab_at(&c->slab, unit);
}

/* --- keeping --------------------------------------------------------------------------------------------- */

struct args {
	struct client *c;
	uint32_t *v;
	unsigned n;
	bool others;			/* some are not ours */
};

static int
arg_one(void *arg, const struct wref *w, bool valref)
{
	struct args *a = arg;
	struct rec *r = rec_of_l(a->c, w);
	uint32_t *v;

	(void)valref;
	if (!r || r->flags & REC_BORROWED || !side_find_l(a->c, r)) {
		a->others = true;
		return 0;
	}
	if (!(v = realloc(a->v, (a->n + 1) * sizeof *v)))
		return -ENOMEM;
	a->v = v;
	v[a->n++] = slab_unit(&a->c->slab, r);
	return 0;
}

static void
account_l(struct client *c, int64_t bytes)
{
	c->lineage_bytes += (uint64_t)bytes;
	page_set(c->page, CNT_LINEAGE, c->lineage_bytes);
}

static uint64_t
in_arena(const struct lineage *l)
{
	struct rec_where w;

	if (l->kind != REC_ARENA)
		return 0;
	memcpy(&w, l->inl, sizeof w);
	return w.size;
}

/* true: r's arguments are kept, and it has none any more */
bool
lineage_keep_l(struct client *c, struct rec *r, const struct fn *fn)
{
	struct args a = { .c = c };
	struct side *s;
	struct lineage *l;
	struct obj_view v;
	const unsigned char *p = NULL;
	size_t n = 0;

	if (!fn->shape || fn->opts.retries == 0 || fn->opts.returns > 1 || fn->opts.stream || r->flags & REC_ACTOR || r->kind == REC_NONE)
		return false;
	if (r->flags & REC_REFS && (!(p = rec_bytes_l(c, r, &v, &n)) || val_walk_refs(p, n, r->nvals, arg_one, &a) < 0))
		a.others = true;
	if (a.others || !(s = side_l(c, r)) || s->line || !(l = malloc(sizeof *l + a.n * sizeof *l->arg))) {
		free(a.v);
		return false;
	}
	*l = (struct lineage){ .unit = s->unit, .ext = r->ext, .len = r->len, .nvals = r->nvals, .kind = r->kind,
	    .flags = r->flags & (REC_REFS|REC_CONTEXT), .narg = a.n };
	memcpy(l->inl, r->inl, sizeof l->inl);
	if (in_arena(l) > c->arena.bytes / 64) {
		free(a.v);
		free(l);
		return false;
	}
	l->bytes = sizeof *l + SLAB_UNIT + sizeof *s + a.n * sizeof *a.v + r->len + in_arena(l);
	for (unsigned i = 0; i < a.n; i++) {
		l->arg[i] = a.v[i];
		side_find_l(c, at(c, a.v[i]))->lin++;
	}
	free(a.v);
	s->line = l;
	list_add_tail(&c->lineage, &l->link);
	account_l(c, (int64_t)l->bytes);
	if (l->flags & REC_REFS)
		refs_release_l(c, p, n, l->nvals);		/* their values are not ours to hold */
	r->ext = 0;
	r->len = 0;
	r->kind = REC_NONE;
	r->flags &= (uint8_t)~(REC_REFS|REC_CONTEXT);
	lineage_trim_l(c, LINEAGE_BYTES);
	return true;
}

/* --- letting go -------------------------------------------------------------------------------------------- */

static void
unarg_l(struct client *c, uint32_t unit)
{
	struct rec *a = at(c, unit);
	struct side *s = side_find_l(c, a);

	if (s && s->lin && --s->lin == 0)
		rec_free_if_l(c, a);
}

/* a chain of them goes one by one, not one inside the other */
void
lineage_drop_l(struct client *c, struct lineage *l)
{
	struct rec_where w;

	list_del(&l->link);
	account_l(c, -(int64_t)l->bytes);
	list_add_tail(&c->lineage_dying, &l->link);
	if (c->lineage_busy)
		return;
	c->lineage_busy = true;
	for (struct list *k; (k = list_shift(&c->lineage_dying)) != NULL;) {
		l = list_entry(k, struct lineage, link);
		if (l->kind == REC_ARENA) {
			memcpy(&w, l->inl, sizeof w);
			mem_free_l(c, &w);
		}
		if (l->ext)
			slab_free(&c->slab, l->ext);
		for (unsigned i = 0; i < l->narg; i++)
			unarg_l(c, l->arg[i]);
		free(l);
	}
	c->lineage_busy = false;
}

static void
lose_l(struct client *c, struct lineage *l)
{
	side_find_l(c, at(c, l->unit))->line = NULL;
	lineage_drop_l(c, l);
	page_count(c->page, CNT_LINEAGE_DROPPED, 1);
}

void
lineage_trim_l(struct client *c, uint64_t most)
{
	while (c->lineage_bytes > most && !list_empty(&c->lineage))
		lose_l(c, list_entry(c->lineage.next, struct lineage, link));
}

void
lineage_relieve_l(struct client *c)
{
	list_each_safe(k, q, &c->lineage) {
		struct lineage *l = list_entry(k, struct lineage, link);

		if (l->kind == REC_ARENA) {
			lose_l(c, l);
			q = c->lineage.next;			/* others may have gone with it */
		}
	}
}

/* --- making again ---------------------------------------------------------------------------------------------- */

static bool
attempts_left(const struct client *c, const struct rec *r, const struct side *s)
{
	const struct fn *fn = fn_of((struct client *)(uintptr_t)c, r->fn);
	unsigned charged = r->attempt - s->spared;

	return fn->opts.retries < 0 || charged < (unsigned)fn->opts.retries;
}

static enum lineage_state
state(void *ctx, uint32_t unit)
{
	struct client *c = ctx;
	struct rec *r = at(c, unit);
	struct side *s = side_find_l(c, r);

	if (r->state != REC_READY)
		return LINEAGE_COMING;
	if (!s || !s->shell)
		return LINEAGE_THERE;
	return s->line && attempts_left(c, r, s) ? LINEAGE_MAKEABLE : LINEAGE_GONE;
}

static bool
argument(void *ctx, uint32_t unit, unsigned i, uint32_t *out)
{
	struct client *c = ctx;
	struct lineage *l = side_find_l(c, at(c, unit))->line;

	if (i >= l->narg)
		return false;
	*out = l->arg[i];
	return true;
}

/* the task runs again: its arguments are its own as at first, its result is pending */
static void
submit_l(struct client *c, uint32_t unit)
{
	struct rec *r = at(c, unit);
	struct side *s = side_find_l(c, r);
	struct lineage *l = s->line;
	struct payload p = { 0 };
	struct obj_view v;
	size_t n;

	s->line = NULL;
	s->shell = false;
	r->ext = l->ext;
	r->len = l->len;
	r->nvals = l->nvals;
	r->kind = l->kind;
	r->flags = (uint8_t)((r->flags & REC_SIDE) | l->flags);
	memcpy(r->inl, l->inl, sizeof r->inl);
	if (r->attempt < UINT8_MAX)
		r->attempt++;
	r->state = REC_PENDING;
	r->link = 0;
	r->count++;
	page_count(c->page, CNT_RETRIED, 1);
	if (r->flags & REC_REFS && (p.p = rec_bytes_l(c, r, &v, &n))) {
		p.n = n;
		p.nvals = r->nvals;
		refs_retain_l(c, p.p, p.n, p.nvals);
	}
	list_del(&l->link);
	account_l(c, -(int64_t)l->bytes);
	for (unsigned i = 0; i < l->narg; i++)
		unarg_l(c, l->arg[i]);
	free(l);
	if (p.p)
		wait_args_l(c, r, &p, NULL);
	else
		place_l(c, r, fn_of(c, r->fn));
}

void
lineage_lost_l(struct client *c, struct rec *r, const char *why)
{
	const struct lineage_graph g = { state, argument, c };
	struct lineage_plan plan;
	struct side *s = side_l(c, r);
	char text[512], id[ID_TEXT];
	struct rec *a;
	int e = -ENOMEM;

	if (s) {
		r->count++;
		if (r->kind == REC_AWAY)
			r->kind = REC_NONE;	/* the node said that it has it no more: it is not told so, maybe once it has the next one */
		rec_clear_l(c, r);
		r->flags &= (uint8_t)~REC_ERROR;
		s->shell = true;
		e = lineage_make(&g, s->unit, LINEAGE_DEPTH, LINEAGE_WORK, &plan);
		if (e == 0) {
			for (size_t i = 0; i < plan.n; i++)
				submit_l(c, plan.node[i]);
			if (atomic_load_explicit(&c->deep, memory_order_relaxed))
				service_nudge_l(c);
		} else {
			s->shell = false;
			r->state = REC_PENDING;
			a = at(c, plan.culprit);
			if (a == r)
				snprintf(text, sizeof text, "the object is lost (%s) and cannot be made again: %s", why,
				    !r->fn ? "it was put, no task made it" :
				    "its task may not run again, or its lineage was dropped");
			else
				snprintf(text, sizeof text, "the object is lost (%s) and cannot be made again: %s %s%s%s", why,
				    e == -E2BIG ? "too many tasks would have to run; the last one looked at made" :
				    "it was made from an object that is gone,", id_format(id, rec_id(c, a)),
				    a->fn ? " of task " : ", which was put", a->fn ? fn_of(c, a->fn)->name : "");
			rec_fail_l(c, r, ERR_LOST, text);
		}
		lineage_release(&plan);
		rec_unref_l(c, r);
	}
}
