/* spill_choose.c - which objects leave a full arena: what is used, and when it was, is gathered for lib/core/spill; their owners are asked */
#include <stdlib.h>
#include "node/spill.h"
#include "store/pin.h"
#include "wire/le.h"

#define MS UINT64_C(1000000)
#define PATIENCE (500 * MS)		/* an owner that has not answered by then is asked again */
#define REFUSED (200 * MS)

struct choice {
	struct node *n;
	struct spill *s;
	struct spill_row row;
	struct arena_item *item;	/* sealed objects that may go */
	size_t len, cap;
	struct map pins;		/* pin names */
	struct map uses;		/* offset -> when it was last looked at + 1 (as pointer) */
	bool all_pinned;
	uint64_t off, end, span;	/* blocks that are given back together, gathered; span: those before this */
	uint32_t last;
	enum spill_kind kind;
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
unit(struct choice *c, uint64_t off, uint64_t end, enum spill_kind kind, uint32_t last)
{
	if (c->end == off && c->end > c->off && (off < c->span || off % ARENA_GRANULE)) {
		c->end = end;
		c->kind = kind > c->kind ? kind : c->kind;
		c->last = (int32_t)(last - c->last) > 0 ? last : c->last;
	} else {
		if (c->end > c->off)
			spill_add(&c->row, c->off, c->end - c->off, c->kind, c->last);
		c->off = off;
		c->end = end;
		c->kind = kind;
		c->last = last;
	}
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
	if (m && moved_awaited(m, c->row.now, use ? (uint32_t)(use - 1) : m->told - 1))
		return SPILL_STAYS;
	if (m)
		return m->busy || m->off != it->off || m->gen != it->gen ? SPILL_STAYS : m->file ? SPILL_CLEAN : SPILL_DIRTY;
	if (idmap_get(&c->n->kept, it->id))
		return SPILL_DIRTY;
	if (it->id.node != c->n->number || (it->id.seq & ID_RET_MAX) == ID_RET_MAX || proc_find(c->n, it->id.proc) == NULL ||
	    idmap_get(&c->s->refused, it->id) || idmap_get(&c->s->asks, it->id))
		return SPILL_STAYS;
	return SPILL_DIRTY;
}

static void
consider(void *ctx, const struct arena_unit *u)
{
	struct choice *c = ctx;
	enum spill_kind kind = u->state == OBJ_FILLING ? SPILL_STAYS : SPILL_FREE;
	uint32_t last = c->row.now - UINT32_MAX / 2;

	if (u->state == OBJ_SEALED) {
		kind = kind_of(c, &u->item, &last);
		if (kind != SPILL_STAYS && c->len == c->cap) {
			size_t cap = c->cap ? 2 * c->cap : 256;
			struct arena_item *v = realloc(c->item, cap * sizeof *v);

			if (v) {
				c->item = v;
				c->cap = cap;
			} else
				kind = SPILL_STAYS;
		}
		if (kind != SPILL_STAYS)
			c->item[c->len++] = u->item;
	}
	unit(c, u->item.off, u->item.off + u->item.run, kind, last);
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

		if (p)
			SEND(p, evict, .objects = span_buf(it.val));
		buf_release(it.val);
		free(it.val);
	}
	map_release(texts);
}

static bool
act(struct choice *c, uint64_t from, uint64_t to)
{
	struct moved **clean = calloc(2 * c->len + 1, sizeof *clean), **dirty = clean ? clean + c->len : NULL, *m;
	size_t nclean = 0, ndirty = 0;
	struct map texts = { 0 };

	if (clean == NULL)
		return false;
	for (size_t i = 0; i < c->len; i++) {
		const struct arena_item *it = &c->item[i];

		if (it->off < from || it->off >= to)
			continue;
		m = idmap_get(&c->n->moved, it->id);
		if (m == NULL && idmap_get(&c->n->kept, it->id) && (m = moved_new(c->n, it)) == NULL)
			continue;
		if (m == NULL)
			ask(c->s, it, &texts);
		else if (m->file)
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
	return true;
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

bool
spill_push(struct node *n, uint64_t need, bool ahead)
{
	struct spill *s = spill_get(n);
	uint64_t batch = n->arena.bytes / 16 < 2 * SPILL_JOB ? n->arena.bytes / 16 : 2 * SPILL_JOB, most = need > batch ? need : batch;
	struct choice c = { .n = n, .s = s, .row = { .now = arena_now(), .granule = ARENA_GRANULE } };
	size_t from, to;
	bool found = false, disk;

	if (s == NULL)
		return false;
	expire(s);
	if (s->asked + s->writing >= 2 * most)
		return true;
	disk = s->why[0] == '\0' || s->why_at <= clock_ns();
	if (ahead && !disk)
		return s->asked + s->writing > 0;
	read_pages(&c);
	if (!c.all_pinned) {
		arena_node_units(&n->arena, consider, &c);
		unit(&c, 0, 0, SPILL_FREE, 0);
		found = spill_choose(&c.row, most, &from, &to) || (most > need && spill_choose(&c.row, need, &from, &to));
	}
	s->window = s->window_end = 0;
	if (found && !ahead && !disk)
		relocate_window(s, &c.row, from, to, c.item, c.len);
	if (found && (disk || s->window_end))
		found = act(&c, c.row.unit[from].off, c.row.unit[to - 1].off + c.row.unit[to - 1].n);
	spill_release(&c.row);
	map_release(&c.pins);
	map_release(&c.uses);
	free(c.item);
	return found || s->asked + s->writing > 0;
}
