/* where_kind.c - kinds of demands, and of each a heap of the nodes that could run it, the best on top. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "core/where_inner.h"

/* --- kinds -------------------------------------------------------------------------------------------------- */

static uint64_t
kind_hash(const struct where_demand *d, const struct buf *labels)
{
	uint64_t h = hash64(d->need.v, sizeof d->need.v);

	h = hash_mix(h ^ ((uint64_t)d->strategy << 40 | (uint64_t)d->soft << 39 | (uint64_t)d->elsewhere << 38 | d->node));
	h = hash_mix(h ^ d->who);
	if (d->namong)
		h = hash_mix(h ^ hash64(d->among, d->namong * sizeof *d->among));
	return hash_mix(h ^ (labels->len ? hash64(labels->data, labels->len) : 0));
}

static int
texts(const struct label_expr *e, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		if (label_expr_text(&e[i], out) < 0 || buf_add(out, "|", 1) < 0)
			return -ENOMEM;
	return 0;
}

static bool
same(const struct where_kind *k, const struct where_demand *d, const struct buf *labels)
{
	struct buf mine = BUF_INIT;
	bool is = memcmp(&k->need, &d->need, sizeof d->need) == 0 && k->strategy == d->strategy && k->node == d->node &&
	    k->soft == d->soft && k->elsewhere == d->elsewhere && k->who == d->who && k->nlabels == d->nlabels &&
	    k->namong == d->namong && (k->namong == 0 || memcmp(k->among, d->among, k->namong * sizeof *k->among) == 0);

	is = is && texts(k->labels, k->nlabels, &mine) == 0 && mine.len == labels->len &&
	    (mine.len == 0 || memcmp(mine.data, labels->data, mine.len) == 0);
	buf_release(&mine);
	return is;
}

static int
copy_demand(struct where_kind *k, const struct where_demand *d)
{
	char why[LABELS_WHY];

	if (d->namong) {
		if ((k->among = malloc(d->namong * sizeof *k->among)) == NULL)
			return -ENOMEM;
		memcpy(k->among, d->among, d->namong * sizeof *k->among);
		k->namong = d->namong;
	}
	if (d->nlabels == 0)
		return 0;
	if ((k->labels = calloc(d->nlabels, sizeof *k->labels)) == NULL)
		return -ENOMEM;
	for (; k->nlabels < d->nlabels; k->nlabels++) {
		struct buf b = BUF_INIT;
		int e = label_expr_text(&d->labels[k->nlabels], &b);

		if (e == 0 && label_expr_parse(&k->labels[k->nlabels], span_of(b.data, b.len), why) < 0)
			e = -ENOMEM;
		buf_release(&b);
		if (e < 0)
			return e;
	}
	return 0;
}

struct where_kind *
where_kind(struct where *w, const struct where_demand *d)
{
	struct buf labels = BUF_INIT;
	struct where_kind *k = NULL;
	bool shared;
	uint64_t h;

	if (d->nlabels > LABELS_MAX || texts(d->labels, d->nlabels, &labels) < 0)
		goto out;
	h = kind_hash(d, &labels);
	if ((k = map_get(&w->by_hash, h)) != NULL && same(k, d, &labels)) {
		k->refs++;
		goto out;
	}
	shared = k == NULL;			/* else two have one hash: the second is found by nobody */
	if ((k = calloc(1, sizeof *k)) == NULL)
		goto out;
	*k = (struct where_kind){ .hash = h, .refs = 1, .need = d->need, .strategy = d->strategy, .node = d->node, .soft = d->soft,
	    .elsewhere = d->elsewhere, .who = d->who };
	list_init(&k->indexed);
	list_add(&w->kinds, &k->link);
	if (copy_demand(k, d) < 0 || (shared && map_put(&w->by_hash, h, k) < 0)) {
		where_kind_put(w, k);
		k = NULL;
	}
out:
	buf_release(&labels);
	return k;
}

void
where_kind_put(struct where *w, struct where_kind *k)
{
	if (--k->refs)
		return;
	where_unindex(w, k);
	if (map_get(&w->by_hash, k->hash) == k)
		map_del(&w->by_hash, k->hash);
	list_del(&k->link);
	for (size_t i = 0; i < k->nlabels; i++)
		label_expr_release(&k->labels[i]);
	free(k->labels);
	free(k->among);
	free(k);
}

/* --- the heap ------------------------------------------------------------------------------------------------- */

static void
sit(struct where_kind *k, size_t at, uint32_t slot)
{
	k->heap[at - 1] = slot;
	k->seat[slot].at = (uint32_t)at;
}

/* moves what lies at `at`, whose key has changed, to where it belongs */
static void
settle(struct where *w, struct where_kind *k, size_t at)
{
	uint32_t slot = k->heap[at - 1];
	uint64_t key = k->seat[slot].key;

	for (; at > 1 && k->seat[k->heap[at / 2 - 1]].key > key; at /= 2, w->looked++)
		sit(k, at, k->heap[at / 2 - 1]);
	for (;; w->looked++) {
		size_t down = 2 * at;

		if (down > k->len)
			break;
		if (down < k->len && k->seat[k->heap[down]].key < k->seat[k->heap[down - 1]].key)
			down++;
		if (k->seat[k->heap[down - 1]].key >= key)
			break;
		sit(k, at, k->heap[down - 1]);
		at = down;
	}
	sit(k, at, slot);
}

static void
leave(struct where *w, struct where_kind *k, struct seat *s)
{
	size_t at = s->at;
	uint32_t last;

	if (at == 0)
		return;
	s->at = 0;
	last = k->heap[--k->len];
	if (at > k->len)
		return;
	sit(k, at, last);
	settle(w, k, at);
}

static void
place(struct where *w, struct where_kind *k, uint32_t slot, bool in, uint64_t key)
{
	struct seat *s = &k->seat[slot];

	if (!in) {
		leave(w, k, s);
		s->key = key;
		return;
	}
	if (s->at && s->key == key)
		return;
	s->key = key;
	if (s->at == 0)
		sit(k, ++k->len, slot);
	settle(w, k, s->at);
}

/* --- what a node is to a kind ----------------------------------------------------------------------------------- */

static bool
among(const struct where_kind *k, uint32_t node)
{
	for (size_t i = 0; i < k->namong; i++)
		if (k->among[i] == node)
			return true;
	return k->namong == 0;
}

bool
where_could(const struct where *w, const struct where_kind *k, const struct where_node *n, size_t *choice)
{
	size_t c;

	if (!n->there || n->draining || (k->elsewhere && n->number == w->local) || !where_within(&k->need, &n->total) ||
	    !among(k, n->number))
		return false;
	c = label_expr_first(k->labels, k->nlabels, &n->labels);
	if (c == k->nlabels && c > 0)
		return false;
	*choice = c;
	return true;
}

static uint64_t
key_of(const struct where_kind *k, const struct where_node *n)
{
	struct res room = where_room(n);
	const struct rest *rest = map_get(&k->resting, n->slot);
	unsigned busy = where_busy(n);
	uint64_t key = hash_mix(k->who ^ hash_mix(k->hash ^ n->number)) >> (64 - KEY_LEVEL);

	if (k->strategy != WHERE_SPREAD && k->namong == 0 && busy < WHERE_HALF)
		busy = 0;
	key |= (uint64_t)busy << KEY_LEVEL;
	if (k->strategy != WHERE_SPREAD && k->need.v[RES_GPU] <= 0 && n->total.v[RES_GPU] > 0)
		key |= KEY_AVOID;
	if (n->doubted)
		key |= KEY_DOUBT;
	if (k->namong || (rest && rest->number == n->number && !rest->over) || !where_within(&k->need, &room))
		key |= KEY_FULL;
	return key;
}

static void
look(struct where *w, struct where_kind *k, const struct where_node *n)		/* its seat as it is now */
{
	struct seat *s = &k->seat[n->slot];
	size_t choice = NO_CHOICE;
	bool could = where_could(w, k, n, &choice);

	w->looked++;
	if (s->choice != NO_CHOICE)
		k->could[s->choice]--;
	s->choice = could ? (uint8_t)choice : NO_CHOICE;
	if (could)
		k->could[choice]++;
	place(w, k, n->slot, could && choice == k->choice, could ? key_of(k, n) : 0);
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

static void
rest_free(struct where_kind *k, struct rest *r)
{
	heap_del(&k->rests, &r->timer);
	map_del(&k->resting, r->slot);
	free(r);
}

void
where_unindex(struct where *w, struct where_kind *k)
{
	if (k->has)
		w->nindexed--;
	list_del(&k->indexed);
	while (heap_top(&k->rests))
		rest_free(k, (struct rest *)(void *)((char *)heap_top(&k->rests) - offsetof(struct rest, timer)));
	heap_release(&k->rests);
	map_release(&k->resting);
	free(k->seat);
	free(k->heap);
	k->seat = NULL;
	k->heap = NULL;
	k->nseat = k->cap = k->len = k->choice = 0;
	k->rev = 0;
	memset(k->could, 0, sizeof k->could);
	k->has = false;
}

/* The table has more slots than the index: room for as many as the table has room for. */
static int
widen(const struct where *w, struct where_kind *k)
{
	struct seat *s;
	uint32_t *h;

	if (w->nslot > k->cap) {
		if ((s = reallocarray(k->seat, w->cap, sizeof *s)) == NULL)
			return -ENOMEM;
		k->seat = s;
		if ((h = reallocarray(k->heap, w->cap, sizeof *h)) == NULL)
			return -ENOMEM;
		k->heap = h;
		k->cap = w->cap;
	}
	for (; k->nseat < w->nslot; k->nseat++)
		k->seat[k->nseat] = (struct seat){ .choice = NO_CHOICE };
	return 0;
}

/* The nodes of another expression count now: into the heap with them. */
static void
choose(struct where *w, struct where_kind *k)
{
	size_t c = 0;

	while (c < k->nlabels && k->could[c] == 0)
		c++;
	if (c == k->choice)
		return;
	k->choice = c;
	for (uint32_t i = 0; i < k->nseat; i++, w->looked++) {
		struct seat *s = &k->seat[i];

		place(w, k, i, s->choice == c, s->key);
	}
}

static void
wake(struct where *w, struct where_kind *k, uint64_t now)		/* who has rested */
{
	struct heap_node *t;

	while ((t = heap_top(&k->rests)) != NULL && t->at <= now) {
		struct rest *r = (struct rest *)(void *)((char *)t - offsetof(struct rest, timer));
		const struct where_node *n = w->slot[r->slot];

		if (r->over) {
			rest_free(k, r);
			continue;
		}
		r->over = true;
		heap_set(&k->rests, t, now + 4 * r->wait);	/* it is in the heap: no memory is needed */
		look(w, k, n);
	}
}

int
where_index(struct where *w, uint64_t now, struct where_kind *k)
{
	uint64_t seen = k->rev;

	where_passes(w, now);
	if (widen(w, k) < 0)
		return -ENOMEM;
	if (!k->has) {
		k->has = true;
		if (++w->nindexed > WHERE_INDEXED)
			where_unindex(w, list_entry(w->indexed.prev, struct where_kind, indexed));
		list_add(&w->indexed, &k->indexed);
	} else if (w->indexed.next != &k->indexed) {
		list_del(&k->indexed);
		list_add(&w->indexed, &k->indexed);
	}
	for (struct list *p = w->order.prev; p != &w->order; p = p->prev) {
		const struct where_node *n = list_entry(p, struct where_node, link);

		if (n->changed <= seen)
			break;
		look(w, k, n);
	}
	k->rev = w->rev;
	wake(w, k, now);
	choose(w, k);
	return 0;
}

void
where_refused(struct where *w, uint64_t now, struct where_kind *k, uint32_t node)
{
	struct where_node *n = where_get(w, node);
	struct rest *r;

	if (n == NULL || !k->has || n->slot >= k->nseat)
		return;
	if ((r = map_get(&k->resting, n->slot)) == NULL) {
		if ((r = calloc(1, sizeof *r)) == NULL || map_put(&k->resting, n->slot, r) < 0) {
			free(r);
			return;			/* it is asked again a little early */
		}
		r->slot = n->slot;
	}
	if (r->number != n->number) {		/* it was another one's */
		r->number = n->number;
		r->wait = 0;
	}
	r->wait = r->wait == 0 ? WHERE_REST : 2 * r->wait < WHERE_REST_MAX ? 2 * r->wait : WHERE_REST_MAX;
	r->over = false;
	if (heap_set(&k->rests, &r->timer, now + r->wait) < 0) {
		rest_free(k, r);
		return;
	}
	look(w, k, n);
}

void
where_granted(struct where *w, struct where_kind *k, uint32_t node)
{
	struct where_node *n = where_get(w, node);
	struct rest *r = n ? map_get(&k->resting, n->slot) : NULL;

	if (r == NULL)
		return;
	rest_free(k, r);
	if (k->has && n->slot < k->nseat)
		look(w, k, n);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
static int
kind_check(struct where *w, const struct where_kind *k)
{
	size_t could[LABELS_MAX + 1] = { 0 }, in = 0;

	for (size_t i = 1; i <= k->len; i++) {
		CHECK(k->seat[k->heap[i - 1]].at == i);
		CHECK(i == 1 || k->seat[k->heap[i / 2 - 1]].key <= k->seat[k->heap[i - 1]].key);
	}
	for (size_t i = 0; i < k->nseat; i++) {
		const struct seat *s = &k->seat[i];
		size_t choice = NO_CHOICE;

		if (w->slot[i]->changed > k->rev)
			return 0;			/* it was not brought up to date yet */
		CHECK(where_could(w, k, w->slot[i], &choice) == (s->choice != NO_CHOICE) && choice == s->choice);
		CHECK(s->choice == NO_CHOICE || s->key == key_of(k, w->slot[i]));
		CHECK((s->at != 0) == (s->choice != NO_CHOICE && s->choice == k->choice));
		in += s->at != 0;
		if (s->choice != NO_CHOICE)
			could[s->choice]++;
	}
	CHECK(in == k->len && memcmp(could, k->could, sizeof could) == 0);
	return 0;
}

int
where_check(struct where *w)
{
	size_t there = 0, indexed = 0;

	for (size_t i = 0; i < w->nslot; i++) {
		const struct where_node *n = w->slot[i];

		there += n->there;
		CHECK(n->slot == i && (!n->there || where_get(w, n->number) == n));
		CHECK(!list_empty(&n->asks) || memcmp(&n->asked, &(struct res){ { 0 } }, sizeof n->asked) == 0);
	}
	CHECK(there == w->n && w->numbers.n == w->n);
	list_each(p, &w->kinds) {
		const struct where_kind *k = list_entry(p, struct where_kind, link);
		int e = k->has ? kind_check(w, k) : 0;

		indexed += k->has;
		if (e)
			return e;
	}
	CHECK(indexed == w->nindexed && indexed <= WHERE_INDEXED);
	return 0;
}
