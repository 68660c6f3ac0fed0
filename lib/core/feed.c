/* feed.c - queues of chunks for each node and object, and turns */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/feed.h"
#include "core/pull.h"
#include "wire/chunk.h"

static_assert(PULL_CHUNK_MAX == CHUNK_BYTES_MAX, "what is asked for can be sent");

void
feed_init(struct feed *f)
{
	*f = (struct feed){ 0 };
	list_init(&f->turns);
	list_init(&f->idle);
}

void
feed_release(struct feed *f)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;

	while (idmap_next(&f->objects, &it)) {
		struct feed_object *b = it.val;

		list_each_safe(l, q, &b->asked) {
			free(list_entry(l, struct feed_asked, of_object)->ask);
			free(list_entry(l, struct feed_asked, of_object));
		}
		free(b);
	}
	while (map_next(&f->peers, &mt))
		free(mt.val);
	idmap_release(&f->objects);
	map_release(&f->peers);
	feed_init(f);
}

/* --- effects: there is room for them before anything changes ------------------------------------------------------------ */

static int
room(struct feed_out *o, size_t n)
{
	size_t cap = o->cap ? o->cap : 16;
	struct feed_fx *p;

	while (cap < o->n + n)
		cap *= 2;
	if (cap == o->cap)
		return 0;
	if ((p = reallocarray(o->fx, cap, sizeof *p)) == NULL)
		return -ENOMEM;
	o->fx = p;
	o->cap = cap;
	return 0;
}

static void
tell(struct feed_out *o, enum feed_fx_kind kind, struct id id)
{
	o->fx[o->n++] = (struct feed_fx){ .kind = kind, .id = id };
}

static void
refuse(struct feed_out *o, const struct feed_in *in, int code)
{
	o->fx[o->n++] = (struct feed_fx){ FEED_FX_REFUSE, in->id, in->node, in->stamp, code };
}

/* --- what was asked ------------------------------------------------------------------------------------------------------ */

static struct feed_asked *
asked_by(const struct feed_object *b, uint32_t node)
{
	list_each(l, &b->asked)
		if (list_entry(l, struct feed_asked, of_object)->peer->node == node)
			return list_entry(l, struct feed_asked, of_object);
	return NULL;
}

static void
peer_free(struct feed *f, struct feed_peer *p)
{
	list_del(&p->turn);
	map_del(&f->peers, p->node);
	free(p);
}

static void
idle(struct feed *f, struct feed_object *b)
{
	if (!list_empty(&b->asked) || b->state != FEED_OPEN)
		return;
	list_del(&b->idle);
	list_add_tail(&f->idle, &b->idle);
	b->used = f->now;
}

/* Of the object nothing is asked by this peer any more; the object is idle if it was the last one. */
static void
asked_free(struct feed *f, struct feed_asked *a)
{
	struct feed_object *b = a->object;

	a->peer->nasks -= a->n;
	a->peer->nobjects--;
	list_del(&a->of_object);
	list_del(&a->of_peer);
	free(a->ask);
	free(a);
	idle(f, b);
}

static struct feed_ask *
head(const struct feed_asked *a)
{
	return &a->ask[a->first & (a->cap - 1)];
}

static int
push(struct feed_asked *a, uint64_t off, uint64_t n)
{
	size_t cap = a->cap ? 2 * a->cap : 8;
	struct feed_ask *q;

	if (a->n == a->cap) {
		if ((q = malloc(cap * sizeof *q)) == NULL)
			return -ENOMEM;
		for (size_t i = 0; i < a->n; i++)
			q[i] = a->ask[(a->first + i) & (a->cap - 1)];
		free(a->ask);
		a->ask = q;
		a->first = 0;
		a->cap = cap;
	}
	a->ask[(a->first + a->n++) & (a->cap - 1)] = (struct feed_ask){ off, (uint32_t)n };
	a->peer->nasks++;
	return 0;
}

static struct feed_peer *
peer_get(struct feed *f, uint32_t node)
{
	struct feed_peer *p = map_get(&f->peers, node);

	if (p || (p = calloc(1, sizeof *p)) == NULL)
		return p;
	p->node = node;
	list_init(&p->asked);
	list_add_tail(&f->turns, &p->turn);
	if (map_put(&f->peers, node, p) < 0) {
		list_del(&p->turn);
		free(p);
		return NULL;
	}
	return p;
}

static struct feed_object *
object_get(struct feed *f, struct id id, struct feed_out *o)
{
	struct feed_object *b = idmap_get(&f->objects, id);

	if (b || (b = calloc(1, sizeof *b)) == NULL)
		return b;
	b->id = id;
	list_init(&b->asked);
	list_init(&b->idle);
	if (idmap_put(&f->objects, id, b) < 0) {
		free(b);
		return NULL;
	}
	tell(o, FEED_FX_OPEN, id);
	return b;
}

/* is there such a chunk of it? */
static int
wrong(const struct feed_object *b, uint64_t stamp, uint64_t off, uint64_t n)
{
	if (b->stamp != stamp)
		return ERR_NOTFOUND;
	return off > b->bytes || n > b->bytes - off ? ERR_PROTO : 0;
}

static int
on_ask(struct feed *f, const struct feed_in *in, struct feed_out *o)
{
	struct feed_object *b = idmap_get(&f->objects, in->id);
	struct feed_asked *a = b ? asked_by(b, in->node) : NULL;
	struct feed_peer *p = peer_get(f, in->node);
	int e = 0;

	if (p == NULL)
		return -ENOMEM;
	if (in->n == 0 || in->n > PULL_CHUNK_MAX)
		e = ERR_PROTO;
	else if (b && b->state == FEED_OPEN)
		e = wrong(b, in->stamp, in->off, in->n);
	else if (a && a->stamp != in->stamp)
		e = ERR_NOTFOUND;
	if (e == 0 && (p->nasks >= FEED_ASKS || (!a && p->nobjects >= FEED_OBJECTS)))
		e = ERR_FULL;
	if (e < 0) {
		if (a && a->stamp == in->stamp)
			asked_free(f, a);
		refuse(o, in, e);
		return 0;
	}
	if ((b = object_get(f, in->id, o)) == NULL)
		return -ENOMEM;
	if (a == NULL) {
		if ((a = calloc(1, sizeof *a)) == NULL)
			return -ENOMEM;
		a->object = b;
		a->peer = p;
		list_add_tail(&b->asked, &a->of_object);
		list_add_tail(&p->asked, &a->of_peer);
		p->nobjects++;
		list_del(&b->idle);
	}
	a->stamp = in->stamp;
	a->priority = in->priority;
	if (push(a, in->off, in->n) < 0) {
		if (a->n == 0)
			asked_free(f, a);
		return -ENOMEM;
	}
	return 0;
}

/* --- objects --------------------------------------------------------------------------------------------------------------- */

static size_t
askers(const struct feed_object *b)
{
	size_t n = 0;

	list_each(l, &b->asked)
		n++;
	return n;
}

/* what was asked of it before it was known, and is not there */
static void
sort_out(struct feed *f, struct feed_object *b, bool there, struct feed_out *o)
{
	list_each_safe(l, q, &b->asked) {
		struct feed_asked *a = list_entry(l, struct feed_asked, of_object);
		struct feed_in in = { .node = a->peer->node, .id = b->id, .stamp = a->stamp };
		int e = there ? 0 : ERR_NOTFOUND;

		for (size_t i = 0; i < a->n && e == 0; i++) {
			const struct feed_ask *k = &a->ask[(a->first + i) & (a->cap - 1)];

			e = wrong(b, a->stamp, k->off, k->n);
		}
		if (e == 0)
			continue;
		refuse(o, &in, e);
		asked_free(f, a);
	}
}

static void
forget(struct feed *f, struct feed_object *b)
{
	list_del(&b->idle);
	idmap_del(&f->objects, b->id);
	free(b);
}

static int
on_opened(struct feed *f, const struct feed_in *in, struct feed_out *o)
{
	struct feed_object *b = idmap_get(&f->objects, in->id);
	bool other;
	int e;

	if (b == NULL)
		return 0;
	if ((e = room(o, askers(b))) < 0)
		return e;
	other = b->state == FEED_OPENING || b->stamp != in->stamp || b->bytes != in->bytes;
	b->state = FEED_OPEN;
	b->stamp = in->stamp;
	b->bytes = in->bytes;
	b->have = in->have < in->bytes ? in->have : in->bytes;
	if (other) {
		sort_out(f, b, true, o);
		idle(f, b);
	}
	return 0;
}

static int
on_gone(struct feed *f, struct id id, struct feed_out *o)
{
	struct feed_object *b = idmap_get(&f->objects, id);
	int e;

	if (b == NULL)
		return 0;
	if ((e = room(o, askers(b) + 1)) < 0)
		return e;
	sort_out(f, b, false, o);
	if (b->state == FEED_OPEN)
		tell(o, FEED_FX_CLOSE, id);
	forget(f, b);
	return 0;
}

static int
on_tick(struct feed *f, struct feed_out *o)
{
	struct list *l;
	int e = 0;

	while ((l = list_first(&f->idle)) != NULL) {
		struct feed_object *b = list_entry(l, struct feed_object, idle);

		if (b->used + FEED_IDLE > f->now || (e = room(o, 1)) < 0)
			break;
		tell(o, FEED_FX_CLOSE, b->id);
		forget(f, b);
	}
	return e;
}

int
feed_step(struct feed *f, uint64_t now, const struct feed_in *in, struct feed_out *o)
{
	struct feed_peer *p = map_get(&f->peers, in->node);
	struct feed_object *b;
	struct feed_asked *a;
	int e = room(o, 2);

	if (e < 0)
		return e;
	f->now = now;
	switch (in->kind) {
	case FEED_IN_ASK:
		e = on_ask(f, in, o);
		break;
	case FEED_IN_STOP:
		if ((b = idmap_get(&f->objects, in->id)) != NULL && (a = asked_by(b, in->node)) != NULL)
			asked_free(f, a);
		break;
	case FEED_IN_BROKEN:
		while (p && !list_empty(&p->asked))
			asked_free(f, list_entry(list_first(&p->asked), struct feed_asked, of_peer));
		if (p)
			peer_free(f, p);
		break;
	case FEED_IN_ROOM:
		if ((p = peer_get(f, in->node)) == NULL)
			return -ENOMEM;
		p->room = in->n;
		break;
	case FEED_IN_OPENED:
		e = on_opened(f, in, o);
		break;
	case FEED_IN_GONE:
		e = on_gone(f, in->id, o);
		break;
	case FEED_IN_TICK:
		e = on_tick(f, o);
		break;
	}
	o->at = list_empty(&f->idle) ? 0 : list_entry(list_first(&f->idle), struct feed_object, idle)->used + FEED_IDLE;
	return e;
}

/* --- turns ------------------------------------------------------------------------------------------------------------------ */

static struct feed_asked *
foremost(const struct feed_peer *p)			/* what its connection takes next, of what is there */
{
	struct feed_asked *best = NULL;

	list_each(l, &p->asked) {
		struct feed_asked *a = list_entry(l, struct feed_asked, of_peer);
		const struct feed_ask *k = head(a);

		if (a->object->state == FEED_OPEN && k->off + k->n <= a->object->have && k->n <= p->room &&
		    (!best || a->priority < best->priority))
			best = a;
	}
	return best;
}

bool
feed_next(struct feed *f, struct feed_chunk *c)
{
	list_each(l, &f->turns) {
		struct feed_peer *p = list_entry(l, struct feed_peer, turn);
		struct feed_asked *a = foremost(p);

		if (a == NULL)
			continue;
		*c = (struct feed_chunk){ p->node, a->object->id, a->stamp, head(a)->off, head(a)->n };
		p->room -= c->n;
		p->nasks--;
		a->first++;
		a->n--;
		list_del(&a->of_peer);
		list_add_tail(&p->asked, &a->of_peer);
		list_del(&p->turn);
		list_add_tail(&f->turns, &p->turn);
		if (a->n == 0)
			asked_free(f, a);
		return true;
	}
	return false;
}

/* --- tests ------------------------------------------------------------------------------------------------------------------- */

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)

int
feed_check(const struct feed *f)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;
	size_t n = 0, k = 0;

	while (idmap_next(&f->objects, &it)) {
		const struct feed_object *b = it.val;

		CHECK((list_empty(&b->asked) && b->state == FEED_OPEN) == !list_empty(&b->idle));
		CHECK(b->have <= b->bytes);
		list_each(l, &b->asked)
			n++;
	}
	while (map_next(&f->peers, &mt)) {
		const struct feed_peer *p = mt.val;
		size_t asks = 0, objects = 0;

		list_each(l, &p->asked) {
			const struct feed_asked *a = list_entry(l, struct feed_asked, of_peer);

			CHECK(a->peer == p && a->n > 0 && a->n <= a->cap && asked_by(a->object, p->node) == a);
			CHECK(a->object->state == FEED_OPENING || a->object->stamp == a->stamp);
			asks += a->n;
			objects++;
		}
		CHECK(asks == p->nasks && objects == p->nobjects && asks <= FEED_ASKS && objects <= FEED_OBJECTS);
		k += objects;
	}
	CHECK(n == k);
	return 0;
}
