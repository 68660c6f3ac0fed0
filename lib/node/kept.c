#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "node/kept.h"
#include "wire/le.h"
#include "wire/val.h"

static struct kept *
named(struct node *n, const void *p, size_t len)
{
	struct kept *k = len ? map_get(&n->kept_names, hash64(p, len)) : NULL;

	return k && k->nname == len && memcmp(k->name, p, len) == 0 ? k : NULL;
}

static void
forget(struct node *n, struct kept *k)
{
	heap_del(&n->kept_timers, &k->timer);
	if (k->nname)
		map_del(&n->kept_names, hash64(k->name, k->nname));
	idmap_del(&n->kept, k->id);
	kept_unnote(n, k);
	if (!spill_forget(n, k->id)) {
		arena_node_keep(&n->arena, k->off, k->gen, false);
		memory_free(n, k->off, k->gen, true);
	}
	free(k);
}

static void
timer(struct node *n)			/* the nearest end of a time to live */
{
	struct heap_node *top = heap_top(&n->kept_timers);

	if (top && (n->kept_at == 0 || top->at < n->kept_at)) {
		n->kept_at = top->at;
		node_timer(n);
	}
}

void
kept_tick(struct node *n)
{
	struct heap_node *t;
	uint64_t now = clock_ns();

	n->kept_at = 0;
	while ((t = heap_top(&n->kept_timers)) != NULL && t->at <= now)
		forget(n, (struct kept *)(void *)((char *)t - offsetof(struct kept, timer)));
	timer(n);
}

static void grant_wishes(struct node *n);

/* where it lies now; a copy on the disk is asked for by who reads it, and then the last place is as good as any */
static void
kept_place(struct node *n, struct kept *k)
{
	uint64_t off, size;
	uint32_t gen;

	if (spill_where(n, k->id, &off, &gen, &size) && off) {
		k->off = off;
		k->gen = gen;
	}
}

int
kept_put(struct node *n, struct kept *k)
{
	int e = k->nname && map_get(&n->kept_names, hash64(k->name, k->nname)) ? -EEXIST : idmap_put(&n->kept, k->id, k);

	if (e == 0 && k->nname && (e = map_put(&n->kept_names, hash64(k->name, k->nname), k)) < 0)
		idmap_del(&n->kept, k->id);
	if (e < 0)
		return e;
	if (k->ttl && heap_set(&n->kept_timers, &k->timer, k->since + k->ttl) == 0)
		timer(n);
	return 0;
}

static int
on_keep(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct msg_keep m;
	struct obj_view v;
	struct kept *k;
	uint64_t off = 0, size = 0;
	uint32_t gen = 0;
	bool moved;
	int e = msg_get_keep(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.name.n > 255) {
		proc_fail(p, m.req, -ENAMETOOLONG, "a name has at most 255 bytes");
		return 0;
	}
	if (m.name.n && map_get(&n->kept_names, hash64(m.name.p, m.name.n))) {
		proc_fail(p, m.req, -EEXIST, "an object '%.*s' exists", (int)m.name.n, (const char *)m.name.p);
		return 0;
	}
	if (idmap_get(&n->kept, m.id)) {
		proc_fail(p, m.req, -EEXIST, "the node keeps this object already");
		return 0;
	}
	if ((moved = spill_where(n, m.id, &off, &gen, &size))) {
		m.off = off;
		m.gen = gen;
		v.size = size;
		arena_node_keep(&n->arena, off, gen, true);
	} else if (m.gen > UINT32_MAX || arena_view(&n->view, m.off, (uint32_t)m.gen, &v) < 0 || !id_eq(v.id, m.id) ||
	    arena_node_keep(&n->arena, m.off, (uint32_t)m.gen, true) < 0) {
		proc_fail(p, m.req, ERR_NOTFOUND, "the object is not there any more");
		return 0;
	}
	if ((k = calloc(1, sizeof *k + m.name.n)) != NULL) {
		*k = (struct kept){ .id = m.id, .off = m.off, .gen = (uint32_t)m.gen, .size = v.size, .since = clock_ns(), .ttl = m.ttl,
		    .nname = m.name.n };
		if (m.name.n)
			memcpy(k->name, m.name.p, m.name.n);
	}
	if (k == NULL || kept_put(n, k) < 0) {
		free(k);
		if (!moved)
			arena_node_keep(&n->arena, m.off, (uint32_t)m.gen, false);
		proc_fail(p, m.req, -ENOMEM, "the node is out of memory");
		return 0;
	}
	kept_note(n, k);
	SEND(p, ok, .req = m.req);
	grant_wishes(n);
	return 0;
}

struct wish {				/* somebody waits for such an object */
	struct list link;
	uint32_t proc;
	uint64_t req;
	size_t n;
	char text[];
};

/* how many are meant by it, and one of them */
static unsigned
look(struct node *n, struct span text, struct kept **k)
{
	struct idmap_iter it = IDMAP_ITER;
	struct id lo, hi;
	unsigned found = 0;
	char s[64];

	if ((*k = named(n, text.p, text.n)) != NULL)
		return 1;
	if (text.n >= sizeof s)
		return 0;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	if (id_prefix(s, &lo, &hi) == 0)
		while (idmap_next(&n->kept, &it))
			if (id_cmp(it.key, lo) >= 0 && id_cmp(it.key, hi) <= 0) {
				*k = it.val;
				found++;
			}
	return found;
}

static void
found_it(struct nproc *p, uint64_t req, struct kept *k)
{
	kept_place(p->n, k);
	SEND(p, found, .req = req, .id = k->id, .off = k->off, .gen = k->gen, .size = k->size, .name = span_of(k->name, k->nname));
}

/* a new object: does somebody wait for it? */
static void
grant_wishes(struct node *n)
{
	list_each_safe(l, q, &n->wishes) {
		struct wish *w = list_entry(l, struct wish, link);
		struct nproc *p = proc_find(n, w->proc);
		struct kept *k;

		if (p && look(n, span_of(w->text, w->n), &k) != 1)
			continue;
		if (p)
			found_it(p, w->req, k);
		list_del(&w->link);
		free(w);
	}
}

static int
on_lookup(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct kept *k = NULL;
	struct msg_lookup m;
	struct wish *w;
	unsigned found;
	int e = msg_get_lookup(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((found = look(n, m.text, &k)) == 1) {
		found_it(p, m.req, k);
	} else if (found == 0 && m.wait && m.text.n <= 255 && (w = malloc(sizeof *w + m.text.n)) != NULL) {
		*w = (struct wish){ .proc = p->number, .req = m.req, .n = m.text.n };
		memcpy(w->text, m.text.p, m.text.n);
		list_add_tail(&n->wishes, &w->link);
	} else {
		proc_fail(p, m.req, found ? -EINVAL : ERR_NOTFOUND, found ? "'%.*s' is ambiguous: %u objects begin so" : "no object '%.*s'",
		    (int)(m.text.n < 255 ? m.text.n : 255), (const char *)m.text.p, found);
	}
	return 0;
}

void
kept_gone(struct nproc *p)
{
	list_each_safe(l, q, &p->n->wishes) {
		struct wish *w = list_entry(l, struct wish, link);

		if (w->proc == p->number) {
			list_del(&w->link);
			free(w);
		}
	}
}

static int
on_remove(struct nproc *p, const struct frame *f)
{
	struct msg_remove m;
	struct kept *k;
	int e = msg_get_remove(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((k = idmap_get(&p->n->kept, m.id)) == NULL) {
		proc_fail(p, m.req, ERR_NOTFOUND, "the node does not keep it");
		return 0;
	}
	forget(p->n, k);
	SEND(p, ok, .req = m.req);
	return 0;
}

int
kept_frame(struct nproc *p, const struct frame *f)
{
	switch (f->type) {
	case MSG_KEEP_T: return on_keep(p, f);
	case MSG_LOOKUP_T: return on_lookup(p, f);
	case MSG_REMOVE_T: return on_remove(p, f);
	}
	return 0;
}

static struct id
id_at(const unsigned char *p)
{
	return (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
}

bool
kept_answer(struct nproc *p, const struct msg_route *m)
{
	bool many = m->kind == ROUTE_HOLD && m->body.n >= 16;
	struct kept *k = idmap_get(&p->n->kept, many ? id_at(m->body.p) : m->id);
	unsigned char w[WREF_SIZE];

	if (m->kind == ROUTE_DROP)
		return true;		/* nobody counts who holds what the node keeps */
	if (k == NULL)
		return false;
	switch (m->kind) {
	case ROUTE_ASK:
		kept_place(p->n, k);
		val_wref_pack(w, &(struct wref){ .id = k->id, .off = k->off, .gen = k->gen, .size = k->size });
		SEND(p, route, .proc = m->proc, .kind = ROUTE_ANSWER, .id = k->id, .arg = 2, .body = span_of(w, sizeof w));
		return true;
	case ROUTE_HOLD:
		SEND(p, route, .proc = m->proc, .kind = ROUTE_HELD, .id = m->id, .arg = m->arg, .body = m->body);
		return true;
	}
	return false;
}

void
kept_stop(struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;

	while (n->wishes.next && !list_empty(&n->wishes))
		free(list_entry(list_shift(&n->wishes), struct wish, link));
	heap_release(&n->kept_timers);		/* its nodes lie in them */
	while (idmap_next(&n->kept, &it))
		free(it.val);
	idmap_release(&n->kept);
	map_release(&n->kept_names);
}
