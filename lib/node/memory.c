#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "node/kept.h"
#include "store/pin.h"
#include "wire/le.h"

enum {
	ROUND = 200,			/* ms between two calls to collect garbage while somebody waits */
	COLD = 1000,			/* the same while objects are moved to the disk */
	FIRST = 20,			/* ms for garbage to be found before they are */
	TELL = 16,			/* bytes of an entry in node.tells */
	TOLD = 12,			/* in nproc.told */
};
#define MS UINT64_C(1000000)

static void
later(struct node *n, uint64_t at)
{
	if (n->mem_at == 0 || at < n->mem_at) {
		n->mem_at = at;
		node_timer(n);
	}
}

/* --- hooks of the arena ----------------------------------------------------------------------------------------------- */

static bool
hook_pins(void *ctx, unsigned i, const _Atomic uint64_t **slot, unsigned *np)
{
	struct node *n = ctx;
	static const _Atomic uint64_t unknown = PIN_ALL;
	static struct list *at;			/* the walk under way: it never spans a turn */

	if (i == 0 && n->awaited.n) {		/* who has not come back to this daemon yet may read anything */
		at = &n->procs_list;
		*slot = &unknown;
		*np = 1;
		return true;
	}
	at = i == 0 ? n->procs_list.next : at->next;
	while (at != &n->procs_list && list_entry(at, struct nproc, link)->page == NULL)
		at = at->next;
	if (at == &n->procs_list)
		return false;
	*slot = list_entry(at, struct nproc, link)->page->pin;
	*np = PAGE_PINS;
	return true;
}

static bool
hook_alive(void *ctx, uint32_t node, uint32_t proc)
{
	struct node *n = ctx;

	if (node != n->number)
		return abroad_alive(n, node, proc);
	return map_get(&n->procs, proc) != NULL || map_get(&n->awaited, proc) != NULL;
}

static void
hook_tell(void *ctx, uint32_t proc, uint64_t off, uint32_t gen)
{
	struct node *n = ctx;
	unsigned char t[TELL];

	le_put32(t, proc);
	le_put64(t + 4, off);
	le_put32(t + 12, gen);
	buf_add(&n->tells, t, sizeof t);
	n->mem_dirty = true;
}

bool
memory_pinned(struct node *n, uint64_t off, uint32_t gen)
{
	uint64_t name = pin_name(off, gen);
	const _Atomic uint64_t *slot;
	unsigned k;

	for (unsigned i = 0; hook_pins(n, i, &slot, &k); i++)
		for (unsigned j = 0; j < k; j++)
			if (atomic_load(&slot[j]) == name || atomic_load(&slot[j]) == PIN_ALL)
				return true;
	return false;
}

void
memory_owes(struct nproc *p)
{
	if (p->owes == 0)
		p->owes = clock_ns();
}

/* to be freed by p, which made it; until it is, we remember, for p may die before it reads this */
void
memory_tell(struct nproc *p, uint64_t off, uint32_t gen, bool spare)
{
	struct buf *b = &p->told;
	unsigned char o[TOLD];
	size_t stay = 0;

	le_put64(o, off);
	le_put32(o + 8, gen);
	if (spare)
		memory_owes(p);
	SEND(p, free, .objects = span_of(o, sizeof o), .spare = spare);
	if (b->len >= p->told_most) {
		for (size_t i = 0; i < b->len; i += TOLD)
			if (arena_node_has(&p->n->arena, le_get64(b->data + i), le_get32(b->data + i + 8))) {
				memmove(b->data + stay, b->data + i, TOLD);
				stay += TOLD;
			}
		b->len = stay;
		p->told_most = 2 * stay + 256 * TOLD;
	}
	buf_add(b, o, sizeof o);
}

/* their makers free what they still have; at most the pinned ones stay; how many */
static size_t
tell_makers(struct node *n)
{
	size_t stay = 0;

	for (size_t i = 0; i < n->tells.len; i += TELL) {
		unsigned char *t = n->tells.data + i;
		uint64_t off = le_get64(t + 4);
		uint32_t gen = le_get32(t + 12);
		struct nproc *p = proc_find(n, le_get32(t));

		if (p == NULL)		/* it died meanwhile: its extents are ours */
			memory_free(n, off, gen, false);
		else if (memory_pinned(n, off, gen)) {
			memmove(n->tells.data + stay, t, TELL);
			stay += TELL;
		} else {
			memory_tell(p, off, gen, false);
		}
	}
	n->tells.len = stay;
	return stay / TELL;
}

void
memory_free(struct node *n, uint64_t off, uint32_t gen, bool check)
{
	uint32_t borrower = 0;
	int e = arena_node_free(&n->arena, off, gen, &borrower);
	struct nproc *p;

	n->mem_dirty = true;
	if (e != -EPERM)
		return;
	if (borrower == ARENA_NODE_PROC && !(check && memory_pinned(n, off, gen)))
		arena_free(&n->view, off, gen);
	else if (check)
		hook_tell(n, borrower, off, gen);
	else if ((p = map_get(&n->procs, borrower)) != NULL)	/* a lost one too: it is not gone yet */
		memory_tell(p, off, gen, false);
}

/* --- extents -------------------------------------------------------------------------------------------------------------- */

static bool
lend(struct node *n, struct nproc *p, uint64_t req, uint64_t bytes, int *e)
{
	uint64_t off, len;

	if ((*e = arena_node_lend(&n->arena, p->number, bytes, &off, &len)) < 0)
		return false;
	SEND(p, lent, .req = req, .off = off, .bytes = len);
	pages_turn(n);
	return true;
}

static int
pid_of(void *node, uint32_t proc)
{
	const struct nproc *p = proc_find(node, proc);

	return p ? (int)p->pid : 0;
}

static void
no_room(struct node *n, struct nproc *p, uint64_t req, uint64_t bytes)
{
	struct buf b = BUF_INIT;
	char size[16];

	arena_node_report(&n->arena, pid_of, n, &b);
	snprintf(size, sizeof size, "%.1f MiB", (double)bytes / (1 << 20));
	if (p)
		proc_fail(p, req, ERR_FULL, "the object store is full: no room for %s of %llu MiB; %s%s%.*s", size,
		    (unsigned long long)(n->arena.bytes >> 20), spill_why(n), spill_why(n)[0] ? "; " : "", (int)b.len,
		    b.len ? (char *)b.data : "");
	buf_release(&b);
}

void
memory_collect(struct node *n)
{
	uint64_t now = clock_ns();

	if (n->round_at > now)
		return;
	n->round++;
	n->round_at = now + (spill_hot(n) ? COLD : ROUND) * MS;
	n->collected_at = now;
	spill_give_back(n);
	later(n, now + FIRST * MS);
	list_each(l, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (!p->lost && p->page) {
			memory_owes(p);
			SEND(p, collect, .round = n->round);
		}
	}
}

/* Makes room behind the work: garbage first, and those who have it get a moment to find it.  How long from now to look again, ms. */
static uint64_t
make_room(struct node *n, uint64_t bytes)
{
	uint64_t now;

	memory_collect(n);
	now = clock_ns();
	if (!spill_hot(n) && now - n->collected_at < FIRST * MS)
		return FIRST;
	return spill_push(n, bytes, false) ? 50 : ROUND;
}

static bool
serve_one(struct node *n, struct waiter *w)
{
	struct nproc *p;
	int e;

	if (w->proc == 0)
		return spill_restore(n, w);
	p = proc_find(n, w->proc);
	return p == NULL || lend(n, p, w->req, w->bytes, &e);
}

/* first come first served; a large one does not let smaller ones pass for as long as it waits */
static void
serve(struct node *n)
{
	uint64_t now = clock_ns(), batch = n->arena.bytes / 16 < 32 << 20 ? n->arena.bytes / 16 : 32 << 20;

	list_each_safe(l, q, &n->waiters) {
		struct waiter *w = list_entry(l, struct waiter, link);
		bool done = serve_one(n, w), moving = !done && spill_hot(n) && spill_why(n)[0] == '\0';

		if (!done && (now < w->until || (moving && now < w->until + 60000 * MS))) {
			later(n, now + make_room(n, w->bytes) * MS);
			return;
		}
		if (!done && w->proc)
			no_room(n, proc_find(n, w->proc), w->req, w->bytes);
		else if (!done)
			spill_failed(n, w, "no room in the object store to bring the object back from the disk");
		list_del(&w->link);
		free(w);
	}
	if (spill_hot(n) && n->arena.free < batch)
		spill_push(n, batch, true);		/* ahead of the next one */
}

void
memory_wait(struct node *n, const struct waiter *w)
{
	struct waiter *v = malloc(sizeof *v);

	if (v == NULL) {
		if (w->proc == 0)
			spill_failed(n, w, "the node is out of memory");
		else
			no_room(n, proc_find(n, w->proc), w->req, w->bytes);
		return;
	}
	*v = *w;
	list_add_tail(&n->waiters, &v->link);
	n->mem_dirty = true;
}

static int
on_extent(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct msg_extent m;
	int e = msg_get_extent(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (list_empty(&n->waiters) && lend(n, p, m.req, m.bytes, &e))
		return 0;
	arena_node_flush(&n->arena);
	if (list_empty(&n->waiters) && lend(n, p, m.req, m.bytes, &e))
		return 0;
	if (m.wait == 0 || m.bytes > n->arena.bytes)
		no_room(n, p, m.req, m.bytes);
	else
		memory_wait(n, &(struct waiter){ .proc = p->number, .req = m.req, .bytes = m.bytes,
		    .until = clock_ns() + (m.wait < UINT32_MAX ? m.wait : UINT32_MAX) * MS });
	return 0;
}

struct abandon {
	struct node *n;
	uint32_t owner;
	struct msg_abandon m;
};

static bool
has(struct span list, uint64_t u)
{
	size_t i = 0;

	while (i < list.n && le_get64(list.p + i) != u)
		i += 8;
	return i < list.n;
}

static bool
abandon(void *ctx, const struct arena_item *it)
{
	const struct abandon *a = ctx;

	if (it->maker == a->m.proc && it->id.proc == a->owner && it->id.node == a->n->number && !it->kept &&
	    has(a->m.tasks, id_task(it->id)) && !has(a->m.kept, it->off))
		memory_free(a->n, it->off, it->gen, false);
	return true;
}

/* the values that a dead worker made without telling their owner */
static int
on_abandon(struct nproc *p, const struct frame *f)
{
	struct abandon a = { .n = p->n, .owner = p->number };
	int e = msg_get_abandon(&a.m, f->body, f->len);

	if (e < 0)
		return e;
	if (a.m.tasks.n % 8 || a.m.kept.n % 8)
		return ERR_PROTO;
	if (proc_find(p->n, (uint32_t)a.m.proc) == NULL)
		arena_node_each(&p->n->arena, abandon, &a);
	return 0;
}

int
memory_frame(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct msg_unlend un;
	struct msg_free fr;
	int e;

	switch (f->type) {
	case MSG_EXTENT_T:
		return on_extent(p, f);
	case MSG_UNLEND_T:
		if ((e = msg_get_unlend(&un, f->body, f->len)) == 0)
			e = arena_node_unlend(&n->arena, p->number, un.off, un.bytes);
		p->owes = 0;
		n->mem_dirty = true;
		return e;
	case MSG_FREE_T:
		if ((e = msg_get_free(&fr, f->body, f->len)) < 0 || fr.objects.n % 12)
			return e < 0 ? e : ERR_PROTO;
		for (size_t i = 0; i < fr.objects.n; i += 12)
			memory_free(n, le_get64(fr.objects.p + i), le_get32(fr.objects.p + i + 8), fr.spare != 0);
		return 0;
	case MSG_ABANDON_T:
		return on_abandon(p, f);
	default:			/* COLLECTED: what it let go came before */
		p->owes = 0;
		n->mem_dirty = true;
		return 0;
	}
}

void
memory_gone(struct nproc *p)
{
	struct node *n = p->n;

	abroad_disown(n, n->number, p->number);
	spill_disown(n, p->number, NULL);
	kept_gone(p);
	arena_node_dead(&n->arena, p->number);
	for (size_t i = 0; i < p->told.len; i += TOLD)
		memory_free(n, le_get64(p->told.data + i), le_get32(p->told.data + i + 8), false);
	buf_release(&p->told);
	arena_node_owner_dead(&n->arena, n->number, p->number);
	n->mem_dirty = true;
}

/* --- housekeeping --------------------------------------------------------------------------------------------------------- */

static void
clean(struct node *n)
{
	size_t wait;

	n->mem_dirty = false;
	wait = tell_makers(n);
	wait += arena_node_flush(&n->arena);
	if (wait) {			/* pinned: readers do not tell when they are done; look ever more rarely */
		n->pinned_wait = n->pinned_wait == 0 ? 50 : n->pinned_wait < 3200 ? 2 * n->pinned_wait : 3200;
		later(n, clock_ns() + n->pinned_wait * MS);
	} else
		n->pinned_wait = 0;
	if (arena_node_trim(&n->arena, UINT64_C(64) << 20))
		later(n, clock_ns() + MS);
	serve(n);
}

void
memory_turn(struct node *n)
{
	if (n->mem_dirty)
		clean(n);
}

void
memory_tick(struct node *n)
{
	n->mem_at = 0;
	clean(n);
}

uint64_t
memory_size(const struct node *n)
{
	uint64_t bytes = n->o.store;

	if (bytes == 0)
		bytes = node_memory() / 10 * 3;
	if (bytes > ARENA_MAX)
		bytes = ARENA_MAX;
	return (bytes + ARENA_HUGE - 1) & ~(ARENA_HUGE - 1);
}

int
memory_start(struct node *n)
{
	uint64_t bytes = memory_size(n);
	int e;

	n->arena = (struct arena_node)ARENA_NODE_INIT;
	list_init(&n->waiters);
	if ((e = heir_arena(n)) > 0)
		e = arena_node_create(&n->arena, bytes);
	if (e < 0 || (e = arena_attach(&n->view, n->arena.fd, ARENA_NODE_PROC)) < 0)
		return e;
	n->arena.reserve = bytes / 8 < UINT64_C(256) << 20 ? bytes / 8 : UINT64_C(256) << 20;
	n->arena.hook = (struct arena_hooks){ .pins = hook_pins, .alive = hook_alive, .tell = hook_tell, .ctx = n };
	if (n->heir) {
		spill_inherit(n);
		kept_inherit(n);
	}
	return 0;
}

void
memory_stop(struct node *n)
{
	struct list *l;

	pages_stop(n);
	spill_stop(n);
	while (n->waiters.next && (l = list_shift(&n->waiters)) != NULL)
		free(list_entry(l, struct waiter, link));
	arena_release(&n->view);
	arena_node_release(&n->arena);
	buf_release(&n->tells);
}
