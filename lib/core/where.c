/* where.c - the table of nodes, and what was asked of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/where_inner.h"

struct ask {
	uint64_t ticket, n, until;
	struct where_node *node;
	struct res need;
	struct list link, asked;	/* of its node; of all, the oldest first */
};

bool
where_within(const struct res *need, const struct res *room)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0 && need->v[r] > room->v[r])
			return false;
	return true;
}

struct res
where_room(const struct where_node *n)
{
	struct res room;

	for (unsigned r = 0; r < RES_MAX; r++)
		room.v[r] = n->free.v[r] - n->asked.v[r];
	return room;
}

static int64_t
thousandths(int64_t part, int64_t all)		/* more may be asked of a node than it has; memory is large: no overflow */
{
	if (part <= 0)
		return 0;
	if (part / all >= 30)
		return 30000;
	return all > INT64_MAX / 30000 ? part / (all / 1000) : part * 1000 / all;
}

unsigned
where_busy(const struct where_node *n)
{
	int64_t most = 0, wait = 0;

	for (unsigned r = 0; r < RES_CUSTOM; r++) {
		int64_t u, v;

		if (n->total.v[r] <= 0)
			continue;
		u = thousandths(n->total.v[r] - n->free.v[r] + n->asked.v[r], n->total.v[r]);
		v = thousandths(n->waiting.v[r], n->total.v[r]);
		most = u > most ? u : most;
		wait = v > wait ? v : wait;
	}
	return (unsigned)(most + wait);
}

static void
changed(struct where *w, struct where_node *n)
{
	n->changed = ++w->rev;
	list_del(&n->link);
	list_add_tail(&w->order, &n->link);
}

void
where_init(struct where *w, uint32_t local)
{
	*w = (struct where){ .local = local, .what_rev = 1 };
	list_init(&w->order);
	list_init(&w->unused);
	list_init(&w->asked);
	list_init(&w->indexed);
	list_init(&w->kinds);
}

void
where_release(struct where *w)
{
	struct list *p;

	while ((p = list_first(&w->kinds)) != NULL) {
		struct where_kind *k = list_entry(p, struct where_kind, link);

		k->refs = 1;
		where_kind_put(w, k);
	}
	while ((p = list_shift(&w->asked)) != NULL)
		free(list_entry(p, struct ask, asked));
	for (size_t i = 0; i < w->nslot; i++) {
		labels_release(&w->slot[i]->labels);
		free(w->slot[i]);
	}
	free(w->slot);
	map_release(&w->numbers);
	map_release(&w->asks);
	map_release(&w->by_hash);
	where_init(w, w->local);
}

struct where_node *
where_get(const struct where *w, uint32_t number)
{
	return map_get(&w->numbers, number);
}

/* --- nodes ------------------------------------------------------------------------------------------------ */

static int
copy_labels(struct labels *to, const struct labels *from)
{
	char why[LABELS_WHY];
	int e = 0;

	*to = (struct labels){ 0 };
	for (size_t i = 0; from && i < from->n && e == 0; i++)
		e = labels_put(to, span_text(from->v[i].name), span_text(from->v[i].value), why);
	if (e < 0)
		labels_release(to);
	return e < 0 ? -ENOMEM : 0;
}

/* one that was gone, or a new one at the end; NULL: no memory */
static struct where_node *
slot_for(struct where *w)
{
	struct list *p = list_first(&w->unused);
	struct where_node **v, *n;

	if (p)
		return list_entry(p, struct where_node, unused);
	if ((v = grow(w->slot, &w->cap, w->nslot, sizeof *v)) == NULL)
		return NULL;
	w->slot = v;
	if ((n = calloc(1, sizeof *n)) == NULL)
		return NULL;
	n->slot = (unsigned)w->nslot;
	list_init(&n->link);
	list_init(&n->unused);
	list_init(&n->asks);
	list_add(&w->unused, &n->unused);
	v[w->nslot++] = n;
	return n;
}

int
where_node(struct where *w, uint32_t number, const struct res *total, const struct labels *labels, unsigned far)
{
	struct where_node *n = map_get(&w->numbers, number);
	struct labels copy;

	if (copy_labels(&copy, labels) < 0)
		return -ENOMEM;
	if (n == NULL) {
		if ((n = slot_for(w)) == NULL || map_put(&w->numbers, number, n) < 0) {
			labels_release(&copy);
			return -ENOMEM;
		}
		n->number = number;
		n->there = true;
		n->doubted = n->draining = false;
		n->free = *total;
		n->waiting = (struct res){ { 0 } };
		n->seq = n->incarnation = 0;
		list_del(&n->unused);
		w->n++;
	}
	if (n->seq == 0)
		n->free = *total;
	n->total = *total;
	n->far = far;
	labels_release(&n->labels);
	n->labels = copy;
	w->what_rev++;
	changed(w, n);
	return 0;
}

void
where_load(struct where *w, uint32_t number, uint64_t seq, const struct res *free, const struct res *waiting, bool draining)
{
	struct where_node *n = map_get(&w->numbers, number);

	if (n == NULL || seq <= n->seq)
		return;
	n->seq = seq;
	if (n->draining == draining && memcmp(&n->free, free, sizeof *free) == 0 && memcmp(&n->waiting, waiting, sizeof *waiting) == 0)
		return;
	w->what_rev += n->draining != draining;
	n->free = *free;
	n->waiting = *waiting;
	n->draining = draining;
	changed(w, n);
}

void
where_doubt(struct where *w, uint32_t number, bool on)
{
	struct where_node *n = map_get(&w->numbers, number);

	if (n == NULL || n->doubted == on)
		return;
	n->doubted = on;
	changed(w, n);
}

static void
ask_free(struct where *w, struct ask *a)
{
	map_del(&w->asks, a->ticket);
	list_del(&a->link);
	list_del(&a->asked);
	free(a);
}

void
where_gone(struct where *w, uint32_t number)
{
	struct where_node *n = map_del(&w->numbers, number);

	if (n == NULL)
		return;
	list_each_safe(p, q, &n->asks)
		ask_free(w, list_entry(p, struct ask, link));
	n->asked = (struct res){ { 0 } };
	labels_release(&n->labels);
	n->there = false;
	list_add_tail(&w->unused, &n->unused);
	w->n--;
	w->what_rev++;
	changed(w, n);
}

/* --- asked ------------------------------------------------------------------------------------------------- */

static void
answered(struct where *w, struct ask *a, uint64_t n)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		a->node->asked.v[r] -= a->need.v[r] * (int64_t)n;
	changed(w, a->node);
	a->n -= n;
	if (a->n == 0)
		ask_free(w, a);
}

uint64_t
where_ask(struct where *w, uint64_t now, uint32_t node, const struct res *need, uint64_t n)
{
	struct where_node *to = map_get(&w->numbers, node);
	struct ask *a = to && n ? malloc(sizeof *a) : NULL;

	if (a == NULL || map_put(&w->asks, w->last + 1, a) < 0) {
		free(a);
		return 0;
	}
	*a = (struct ask){ .ticket = ++w->last, .n = n, .until = now + WHERE_LATE, .node = to, .need = *need };
	list_add_tail(&to->asks, &a->link);
	list_add_tail(&w->asked, &a->asked);
	for (unsigned r = 0; r < RES_MAX; r++)
		to->asked.v[r] += need->v[r] * (int64_t)n;
	changed(w, to);
	return a->ticket;
}

void
where_settle(struct where *w, uint64_t ticket, uint64_t n)
{
	struct ask *a = map_get(&w->asks, ticket);

	if (a)
		answered(w, a, n < a->n ? n : a->n);
}

void
where_passes(struct where *w, uint64_t now)
{
	struct list *p;

	while ((p = list_first(&w->asked)) != NULL && list_entry(p, struct ask, asked)->until <= now) {
		struct ask *a = list_entry(p, struct ask, asked);

		answered(w, a, a->n);
	}
}
