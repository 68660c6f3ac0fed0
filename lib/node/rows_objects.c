/* rows_objects.c - what lies in the object store, who owns and holds it; read out of shared memory, nobody is asked */
#include <stdlib.h>
#include "node/rows.h"
#include "store/pin.h"

static void
count_pins(struct rows *r)
{
	list_each(l, &r->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		for (unsigned i = 0; p->page && i < PAGE_PINS; i++) {
			uint64_t v = atomic_load_explicit(&p->page->pin[i], memory_order_relaxed);

			if (v)
				map_put(&r->pins, v, (void *)((uintptr_t)map_get(&r->pins, v) + 1));
		}
	}
}

/* the owner's record, as it is just now: false if it is not found, or not there yet */
static bool
record(struct rows *r, struct id id, uint32_t slot, struct rec *rec)
{
	struct nproc *p = proc_find(r->n, id.proc);
	struct peerslab *s;
	const void *at;

	if (p == NULL || p->slab < 0 || slot == 0)
		return false;
	if ((s = map_get(&r->slabs, p->number)) == NULL) {
		if ((s = calloc(1, sizeof *s)) == NULL || peerslab_map(s, p->slab) < 0 || map_put(&r->slabs, p->number, s) < 0) {
			free(s);
			return false;
		}
	}
	if ((at = peerslab_at(s, slot, sizeof *rec)) == NULL)
		return false;
	memcpy(rec, at, sizeof *rec);
	return rec->seq == id.seq && rec->state == REC_READY && rec->kind >= REC_ARENA;
}

static void
unmap(struct rows *r)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&r->slabs, &it)) {
		peerslab_unmap(it.val);
		free(it.val);
	}
	map_release(&r->slabs);
	map_release(&r->pins);
}

struct seen {				/* an object, wherever it lies */
	struct id id;
	uint64_t size, pins;
	uint32_t made, slot;
	bool arena, disk;
};

static void
counts(struct rows *r, const struct seen *o)
{
	struct rec_where w;
	struct rec rec;
	bool known = record(r, o->id, o->slot, &rec);

	if (known)
		memcpy(&w, rec.inl, sizeof w);
	key(r, "refs");
	if (known)
		mp_put_uint(&r->b, rec.count);
	else
		mp_put_nil(&r->b);
	key(r, "holders");
	if (known)
		mp_put_uint(&r->b, w.held);
	else
		mp_put_nil(&r->b);
}

static uint64_t
dropped(const struct nproc *owner)		/* tasks of it whose results cannot be made again: their lineage was too much */
{
	return owner && owner->page ? atomic_load(&owner->page->counter[CNT_LINEAGE_DROPPED]) : 0;
}

static void
object_row(struct rows *r, const struct seen *o)
{
	const struct kept *k = idmap_get(&r->n->kept, o->id);
	struct nproc *owner = proc_find(r->n, o->id.proc);
	uint64_t ret = o->id.seq & ID_RET_MAX;
	char id[ID_TEXT];

	if (r->job && !(owner && owner->job && owner->job->number == r->job))
		return;
	row(r, 15);
	put_text(r, "id", id_format(id, o->id));
	put_u(r, "size", o->size);
	put_text(r, "state", o->arena ? "sealed" : "spilled");
	put_text(r, "where", !o->disk ? "arena" : o->arena ? "both" : "disk");
	put_text(r, "kind", ret == ID_RET_MAX ? "arguments" : ret ? "return" : "value");
	key(r, "owner");
	if (k == NULL && owner)
		mp_put_uint(&r->b, (uint64_t)owner->pid);
	else
		mp_put_str(&r->b, k ? "node" : "dead", 4);
	put_u(r, "job", owner && owner->job && !k ? owner->job->number : 0);
	counts(r, o);
	put_u(r, "pinned", o->pins);
	key(r, "kept");
	mp_put_bool(&r->b, k != NULL);
	put_u(r, "age", (uint64_t)(uint32_t)(arena_now() - o->made) * 15625000);
	key(r, "ttl");
	if (k && k->ttl)
		mp_put_uint(&r->b, k->since + k->ttl > clock_ns() ? k->since + k->ttl - clock_ns() : 0);
	else
		mp_put_nil(&r->b);
	put_s(r, "name", k ? k->name : NULL, k ? k->nname : 0);
	put_u(r, "lineage_dropped", k ? 0 : dropped(owner));
}

struct each {
	struct rows *r;
	void (*fn)(struct rows *r, const struct seen *o);
};

static bool
in_arena(void *ctx, const struct arena_item *it)
{
	struct each *e = ctx;
	struct seen o = { .id = it->id, .size = it->size, .made = it->made, .slot = it->slot, .arena = true,
	    .pins = (uintptr_t)map_get(&e->r->pins, pin_name(it->off, it->gen)) };
	uint64_t off, size;
	uint32_t gen;

	if (spill_where(e->r->n, it->id, &off, &gen, &size)) {
		if (off != it->off)
			return true;		/* a copy that is on its way out, or in */
		o.disk = spill_on_disk(e->r->n, it->id);
	}
	e->fn(e->r, &o);
	return true;
}

static void
on_disk(void *ctx, struct id id, uint64_t size, uint32_t made, bool disk, bool resident)
{
	struct each *e = ctx;

	if (disk && !resident)
		e->fn(e->r, &(struct seen){ .id = id, .size = size, .made = made, .disk = true,
		    .slot = spill_slot(e->r->n, id) });
}

static void
each(struct rows *r, void (*fn)(struct rows *r, const struct seen *o))
{
	struct each e = { r, fn };

	count_pins(r);
	arena_node_each(&r->n->arena, in_arena, &e);
	spill_each(r->n, on_disk, &e);
	unmap(r);
}

void
rows_objects(struct rows *r)
{
	each(r, object_row);
}

/* --- by owner -------------------------------------------------------------------------------------------------- */

struct owner {
	uint64_t objects, bytes, arena, disk, pinned;
};

static void
add_to(struct rows *r, const struct seen *o)
{
	struct nproc *p = proc_find(r->n, o->id.proc);
	bool kept = idmap_get(&r->n->kept, o->id) != NULL;
	uint64_t who = kept ? 1 : p ? (uint64_t)p->number + 2 : 0;
	struct owner *w = map_get(&r->owners, who + 1);

	if (w == NULL && ((w = calloc(1, sizeof *w)) == NULL || map_put(&r->owners, who + 1, w) < 0)) {
		free(w);
		return;
	}
	w->objects++;
	w->bytes += o->size;
	w->arena += o->arena ? o->size : 0;
	w->disk += o->disk ? o->size : 0;
	w->pinned += o->pins ? o->size : 0;
}

static void
owner_row(struct rows *r, struct nproc *p, const char *who, const struct owner *w)
{
	static const struct owner none;

	w = w ? w : &none;
	row(r, 11);
	key(r, "owner");
	if (p)
		mp_put_uint(&r->b, (uint64_t)p->pid);
	else
		mp_put_str(&r->b, who, strlen(who));
	put_s(r, "name", p ? p->name.data : NULL, p ? p->name.len : 0);
	put_u(r, "job", p && p->job ? p->job->number : 0);
	put_u(r, "objects", w->objects);
	put_u(r, "bytes", w->bytes);
	put_u(r, "arena", w->arena);
	put_u(r, "disk", w->disk);
	put_u(r, "pinned", w->pinned);
	put_u(r, "lent", p ? arena_node_lent(&r->n->arena, p->number) : 0);
	put_u(r, "lineage", p ? atomic_load(&p->page->counter[CNT_LINEAGE]) : 0);
	put_u(r, "lineage_dropped", dropped(p));
}

void
rows_memory(struct rows *r)
{
	struct map_iter it = MAP_ITER;
	struct owner *w;

	each(r, add_to);
	list_each(l, &r->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		w = map_get(&r->owners, (uint64_t)p->number + 3);
		if (!p->lost && p->page && (w || p->role != ROLE_TOOL) && (r->job == 0 || (p->job && p->job->number == r->job)))
			owner_row(r, p, NULL, w);
	}
	if ((w = map_get(&r->owners, 2)) != NULL)
		owner_row(r, NULL, "node", w);
	if ((w = map_get(&r->owners, 1)) != NULL)
		owner_row(r, NULL, "dead", w);
	while (map_next(&r->owners, &it))
		free(it.val);
	map_release(&r->owners);
}
