/*
 * spill_choose.c - which objects leave a full arena: what is used, and when it was, is gathered for lib/core/spill; their owners are asked
 *
 * A window to move things out of is of use only if its room comes: who was asked for room and has not answered for a while (it
 * computes, or is stopped) keeps what is lent to it, and its objects stay where they are.
 */
#include <stdlib.h>
#include "node/spill.h"
#include "store/pin.h"
#include "wire/le.h"

#define MS UINT64_C(1000000)
#define PATIENCE (500 * MS)		/* an owner that has not answered by then is asked again, and not waited for */
#define REFUSED (200 * MS)

struct choice {
	struct node *n;
	struct spill *s;
	struct spill_row row;
	struct arena_item *item;	/* sealed objects that may go */
	size_t len, cap;
	struct map pins;		/* pin names */
	struct map uses;		/* offset -> when it was last looked at + 1 (as pointer) */
	bool all_pinned, moving;	/* moving: within the arena */
	uint64_t time;			/* clock_ns */
	struct spill_unit unit;		/* blocks that are given back together, gathered */
	uint64_t span;			/* they are those before this */
};

static void
read_uses(struct choice *c, const struct uses *u)
{
	for (unsigned i = 0; i < USES; i++) {
		uint64_t off;
		uint32_t when;
		uintptr_t was;

		if (!uses_at(u, i, c->row.now, &off, &when))
			continue;
		was = (uintptr_t)map_get(&c->uses, off);
		if (was == 0 || (int32_t)(when - (uint32_t)(was - 1)) > 0)
			map_put(&c->uses, off, (void *)((uintptr_t)when + 1));
	}
}

/* what the processes look at, and did */
static void
read_pages(struct choice *c)
{
	static char yes;

	c->all_pinned = c->n->awaited.n > 0;		/* who has not come back to this daemon yet may read anything */
	read_uses(c, &c->n->uses);
	list_each(l, &c->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->page)
			read_uses(c, &p->page->uses);
		for (unsigned i = 0; p->page && i < PAGE_PINS; i++) {
			uint64_t v = atomic_load_explicit(&p->page->pin[i], memory_order_relaxed);

			c->all_pinned |= v == PIN_ALL;
			if (v)
				map_put(&c->pins, v, &yes);
		}
	}
}

static void
unit(struct choice *c, uint64_t off, uint64_t n, enum spill_kind kind, uint32_t last)
{
	struct spill_unit *u = &c->unit;
	uint64_t held = kind == SPILL_FREE ? 0 : n;

	if (u->n && u->off + u->n == off && (off < c->span || off % ARENA_GRANULE)) {
		u->n += n;
		u->held += held;
		u->kind = kind > u->kind ? (uint8_t)kind : u->kind;
		u->last = (int32_t)(last - u->last) > 0 ? last : u->last;
	} else {
		if (u->n)
			spill_add(&c->row, u);
		*u = (struct spill_unit){ off, n, held, last, (uint8_t)kind };
	}
}

static bool
late(const struct choice *c, uint32_t proc)
{
	const struct nproc *p = c->moving ? proc_find(c->n, proc) : NULL;

	return p && p->owes && c->time - p->owes > PATIENCE;
}

static enum spill_kind
kind_of(struct choice *c, const struct arena_item *it, uint32_t *last)
{
	struct moved *m = idmap_get(&c->n->moved, it->id);
	uintptr_t use = (uintptr_t)map_get(&c->uses, it->off);

	*last = m ? m->last : it->made;
	if (use && (int32_t)((uint32_t)(use - 1) - *last) > 0)
		*last = (uint32_t)(use - 1);
	if (m)
		m->last = *last;
	if (map_get(&c->pins, pin_name(it->off, it->gen))) {
		if (m)
			m->last = c->row.now;
		return SPILL_STAYS;
	}
	if (m && (m->off != it->off || m->gen != it->gen || m->used || m->open))
		return SPILL_STAYS;
	if (m && moved_awaited(m, c->row.now, use ? (uint32_t)(use - 1) : m->told - 1))
		return SPILL_LEAVING;
	if (m)
		return m->busy ? SPILL_LEAVING : m->file || m->copy ? SPILL_CLEAN : SPILL_DIRTY;
	if (idmap_get(&c->n->kept, it->id))
		return SPILL_DIRTY;
	if (it->id.node != c->n->number || (it->id.seq & ID_RET_MAX) == ID_RET_MAX || proc_find(c->n, it->id.proc) == NULL ||
	    idmap_get(&c->s->refused, it->id) || late(c, it->id.proc))
		return SPILL_STAYS;
	return idmap_get(&c->s->asks, it->id) ? SPILL_LEAVING : SPILL_DIRTY;
}

static void
consider(void *ctx, const struct arena_unit *u)
{
	struct choice *c = ctx;
	enum spill_kind kind = u->state == OBJ_FILLING ? SPILL_STAYS : SPILL_FREE;
	uint32_t last = c->row.now - UINT32_MAX / 2;

	if (late(c, u->item.borrower)) {
		kind = SPILL_STAYS;
	} else if (u->state == OBJ_SEALED) {
		kind = kind_of(c, &u->item, &last);
		if (kind < SPILL_LEAVING && c->len == c->cap) {
			size_t cap = c->cap ? 2 * c->cap : 256;
			struct arena_item *v = realloc(c->item, cap * sizeof *v);

			if (v) {
				c->item = v;
				c->cap = cap;
			} else
				kind = SPILL_STAYS;
		}
		if (kind < SPILL_LEAVING)
			c->item[c->len++] = u->item;
	}
	unit(c, u->item.off, u->item.run, kind, last);
	c->span = u->end;
}

static void
ask(struct spill *s, const struct arena_item *it, struct map *texts)
{
	struct buf *b = map_get(texts, it->id.proc);
	unsigned char e[20];

	if (b == NULL && ((b = calloc(1, sizeof *b)) == NULL || map_put(texts, it->id.proc, b) < 0)) {
		free(b);
		return;
	}
	le_put64(e, it->id.seq);
	le_put64(e + 8, it->off);
	le_put32(e + 16, it->slot);
	if (buf_add(b, e, sizeof e) < 0 || idmap_put(&s->asks, it->id, (void *)(uintptr_t)it->run) < 0)
		return;
	s->asked += it->run;
}

static void
ask_all(struct spill *s, struct map *texts)
{
	struct map_iter it = MAP_ITER;

	while (map_next(texts, &it)) {
		struct nproc *p = proc_find(s->n, it.key);

		if (p) {
			memory_owes(p);
			SEND(p, evict, .objects = span_buf(it.val));
		}
		buf_release(it.val);
		free(it.val);
	}
	map_release(texts);
}

static void
act(struct choice *c, uint64_t from, uint64_t to)
{
	struct moved **clean = calloc(2 * c->len + 1, sizeof *clean), **dirty = clean ? clean + c->len : NULL, *m;
	size_t nclean = 0, ndirty = 0;
	struct map texts = { 0 };

	if (clean == NULL)
		return;
	for (size_t i = 0; i < c->len; i++) {
		const struct arena_item *it = &c->item[i];

		if (it->off < from || it->off >= to)
			continue;
		m = idmap_get(&c->n->moved, it->id);
		if (m == NULL && idmap_get(&c->n->kept, it->id) && (m = moved_new(c->n, it)) == NULL)
			continue;
		if (m == NULL)
			ask(c->s, it, &texts);
		else if (m->file || m->copy)
			clean[nclean++] = m;
		else
			dirty[ndirty++] = m;
	}
	if (c->s->asks_at == 0)
		c->s->asks_at = clock_ns();
	ask_all(c->s, &texts);
	if (nclean)
		spill_drop_copies(c->s, clean, nclean);
	if (ndirty)
		spill_move(c->s, dirty, ndirty);
	free(clean);
}

static void
expire(struct spill *s)
{
	uint64_t now = clock_ns();

	if (s->refused.n && now - s->refused_at > REFUSED)
		idmap_release(&s->refused);
	if (s->asks.n == 0) {
		s->asks_at = 0;
	} else if (now - s->asks_at > PATIENCE) {
		idmap_release(&s->asks);
		s->asked = 0;
		s->asks_at = 0;
	}
}

/* The part [*off, *end) of the arena; to the disk: `most` bytes if they can be had. */
static enum spill_move
choose(struct choice *c, uint64_t need, uint64_t most, uint64_t *off, uint64_t *end)
{
	size_t from, to;

	read_pages(c);
	if (c->all_pinned)
		return SPILL_NONE;
	arena_node_units(&c->n->arena, consider, c);
	unit(c, 0, 0, SPILL_FREE, 0);
	if (c->moving)
		return spill_choose_move(&c->row, need, off, end);
	if (!spill_choose(&c->row, most, &from, &to) && (most == need || !spill_choose(&c->row, need, &from, &to)))
		return SPILL_NONE;
	*off = c->row.unit[from].off;
	*end = c->row.unit[to - 1].off + c->row.unit[to - 1].n;
	return SPILL_MOVE;
}

bool
spill_push(struct node *n, uint64_t need, bool ahead)
{
	struct spill *s = spill_get(n);
	uint64_t batch = n->arena.bytes / 16 < 2 * SPILL_JOB ? n->arena.bytes / 16 : 2 * SPILL_JOB, most = need > batch ? need : batch;
	struct choice c = { .n = n, .s = s, .row = { .now = arena_now(), .granule = ARENA_GRANULE }, .time = clock_ns() };
	enum spill_move what;
	uint64_t off, end;

	if (s == NULL)
		return false;
	expire(s);
	if (s->asked + s->writing >= 2 * most)
		return true;
	c.moving = s->why[0] && s->why_at > c.time;
	if (ahead && c.moving)
		return s->asked + s->writing > 0;
	what = choose(&c, need, most, &off, &end);
	s->window = s->window_end = 0;
	if (what != SPILL_NONE && c.moving) {		/* owners that were asked before may answer now */
		s->window = off;
		s->window_end = end;
	}
	if (what == SPILL_MOVE)
		act(&c, off, end);
	spill_release(&c.row);
	map_release(&c.pins);
	map_release(&c.uses);
	free(c.item);
	return what != SPILL_NONE || s->asked + s->writing > 0;
}
