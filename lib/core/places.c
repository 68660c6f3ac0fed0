/* places.c - a forest of who receives from whom, for each object */
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/places.h"

#define SLOT 32u			/* bytes counted for an entry of a table */
#define FEW 8u				/* places that are looked through one by one */

static const uint64_t object_bytes = sizeof(struct places_object) + SLOT, place_bytes = sizeof(struct place) + SLOT;

void
places_init(struct places *c)
{
	*c = (struct places){ .limit = PLACES_BYTES };
}

static void
object_free(struct places_object *o)
{
	list_each_safe(l, q, &o->places)
		free(list_entry(l, struct place, of_object));
	map_release(&o->by_node);
	free(o);
}

void
places_release(struct places *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;

	while (idmap_next(&c->objects, &it))
		object_free(it.val);
	while (map_next(&c->nodes, &mt))
		free(mt.val);
	idmap_release(&c->objects);
	map_release(&c->nodes);
	places_init(c);
}

static struct place *
find(const struct places_object *o, uint32_t node)
{
	if (o->n > FEW)
		return map_get(&o->by_node, node);
	list_each(l, &o->places)
		if (list_entry(l, struct place, of_object)->at->number == node)
			return list_entry(l, struct place, of_object);
	return NULL;
}

struct place *
places_find(const struct places *c, struct id id, uint32_t node)
{
	const struct places_object *o = idmap_get(&c->objects, id);

	return o ? find(o, node) : NULL;
}

/* --- effects: there is room for them before anything changes ------------------------------------------------------- */

static int
room(struct places_out *o, size_t n)
{
	size_t cap = o->cap ? o->cap : 16;
	struct places_fx *p;

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

static struct places_fx *
fx_add(struct places_out *out, enum places_fx_kind kind, const struct places_object *o, uint32_t node)
{
	struct places_fx *fx = &out->fx[out->n++];

	*fx = (struct places_fx){ .kind = kind, .id = o->id, .node = node, .form = o->form };
	return fx;
}

/* --- the forest ---------------------------------------------------------------------------------------------------- */

static void
count(struct place *p, enum place_state s, size_t by)
{
	struct places_object *o = p->object;

	if (s == PLACE_WHOLE)
		o->nwhole += by;
	else if (s == PLACE_ORPHAN)
		o->norphan += by;
	else if (s == PLACE_WAITING)
		o->nwaiting += by;
}

static void
become(struct place *p, enum place_state s)
{
	count(p, p->state, (size_t)-1);
	p->state = s;
	count(p, s, 1);
}

/* it can serve one more, or no longer; those that have the object whole come first, the others in their order */
static void
reopen(struct place *p)
{
	list_del(&p->open);
	if (p->serves >= PLACES_SERVE)
		return;
	if (p->state == PLACE_WHOLE)
		list_add(&p->object->open, &p->open);
	else
		list_add_tail(&p->object->open, &p->open);
}

static void
serve(struct place **link, struct place *source)
{
	*link = source;
	if (++source->serves == PLACES_SERVE)
		list_del(&source->open);
}

static void
unserve(struct place **link)
{
	struct place *source = *link;

	*link = NULL;
	if (source && source->serves-- == PLACES_SERVE)
		reopen(source);
}

static bool
rooted(const struct place *x)		/* does it receive from who has it whole?  Not by way of one that waits for a source. */
{
	for (; x; x = x->from)
		if (x->state == PLACE_WHOLE)
			return true;
	return false;
}

static struct place *
choose(const struct place *p)
{
	for (int pass = 0; pass < 3; pass++)		/* rather one that has more than we do, and not the one that did not do */
		list_each(l, &p->object->open) {
			struct place *x = list_entry(l, struct place, open);

			if ((pass > 0 || x->have >= p->have) && (pass > 1 || x->at->number != p->not) && rooted(x))
				return x;
		}
	return NULL;
}

static struct place *
idle(const struct place *p)			/* one that has it whole and nothing to do */
{
	list_each(l, &p->object->open) {
		struct place *x = list_entry(l, struct place, open);

		if (x->state != PLACE_WHOLE)
			break;
		if (x->serves == 0 && x != p->from && x->at->number != p->not)
			return x;
	}
	return NULL;
}

static void
tell_source(const struct place *p, const struct place *source, bool extra, struct places_out *out)
{
	struct places_fx *fx = fx_add(out, PLACES_FX_SOURCE, p->object, p->at->number);

	fx->source = source->at->number;
	fx->extra = extra;
}

/* A source for those who wait for one, as far as there are any; or the object is lost. */
static void
settle(struct places_object *o, struct places_out *out)
{
	if (o->nwaiting && o->nwhole)
		list_each(l, &o->places) {
			struct place *p = list_entry(l, struct place, of_object), *x;

			if (p->state != PLACE_WAITING || (x = choose(p)) == NULL)
				continue;
			serve(&p->from, x);
			become(p, PLACE_RECEIVING);
			tell_source(p, x, false, out);
			if ((x = idle(p)) != NULL) {
				serve(&p->extra, x);
				tell_source(p, x, true, out);
			}
		}
	if (o->nwhole == 0 && o->norphan == 0 && !o->lost) {
		o->lost = true;
		fx_add(out, PLACES_FX_LOST, o, 0);
	}
}

static size_t
settle_room(const struct places_object *o)
{
	return o ? 2 * (o->nwaiting + 2) + 1 : 5;
}

/* --- objects, nodes, places ----------------------------------------------------------------------------------------- */

/* nobody receives from p any more */
static void
abandon(struct place *p)
{
	list_each(l, &p->object->places) {
		struct place *x = list_entry(l, struct place, of_object);

		if (x->extra == p)
			unserve(&x->extra);
		if (x->from == p) {
			unserve(&x->from);
			if (x->extra) {			/* which it knows already */
				x->from = x->extra;
				x->extra = NULL;
			} else {
				become(x, PLACE_ORPHAN);
			}
		}
	}
}

static void
promote(struct places_object *o, struct places_out *out)
{
	o->primary = NULL;
	list_each(l, &o->places)
		if (list_entry(l, struct place, of_object)->state == PLACE_WHOLE) {
			o->primary = list_entry(l, struct place, of_object);
			fx_add(out, PLACES_FX_PRIMARY, o, o->primary->at->number);
			return;
		}
}

static void
unreceive(struct place *p)
{
	unserve(&p->from);
	unserve(&p->extra);
}

/* what it had whole it has no more */
static void
unwhole(struct place *p, struct places_out *out)
{
	abandon(p);
	become(p, PLACE_WAITING);
	p->have = 0;
	reopen(p);
	if (p->object->primary == p)
		promote(p->object, out);
}

static void
leave(struct places *c, struct place *p, struct places_out *out)
{
	struct places_object *o = p->object;
	struct places_node *n = p->at;

	unreceive(p);
	if (p->state == PLACE_WHOLE)
		unwhole(p, out);
	else
		abandon(p);
	count(p, p->state, (size_t)-1);
	list_del(&p->open);
	list_del(&p->of_object);
	list_del(&p->of_node);
	map_del(&o->by_node, n->number);
	o->n--;
	free(p);
	c->bytes -= place_bytes;
	if (list_empty(&n->places)) {
		map_del(&c->nodes, n->number);
		free(n);
		c->bytes -= sizeof *n + SLOT;
	}
}

static void
forget(struct places *c, struct places_object *o)
{
	idmap_del(&c->objects, o->id);
	object_free(o);
	c->bytes -= object_bytes;
}

static void
after(struct places *c, struct places_object *o, struct places_out *out)
{
	if (o->n)
		settle(o, out);
	else {
		if (!o->lost)
			fx_add(out, PLACES_FX_LOST, o, 0);
		forget(c, o);
	}
}

static struct places_node *
node_get(struct places *c, uint32_t number)
{
	struct places_node *n = map_get(&c->nodes, number);

	if (n || (n = calloc(1, sizeof *n)) == NULL)
		return n;
	n->number = number;
	list_init(&n->places);
	if (map_put(&c->nodes, number, n) < 0) {
		free(n);
		return NULL;
	}
	c->bytes += sizeof *n + SLOT;
	return n;
}

static struct places_object *
object_get(struct places *c, struct id id)
{
	struct places_object *o = idmap_get(&c->objects, id);

	if (o || (o = calloc(1, sizeof *o)) == NULL)
		return o;
	o->id = id;
	list_init(&o->places);
	list_init(&o->open);
	if (idmap_put(&c->objects, id, o) < 0) {
		free(o);
		return NULL;
	}
	c->bytes += object_bytes;
	return o;
}

static int
index_node(struct places_object *o, struct place *p)		/* p is to be the next one */
{
	if (o->n == FEW)
		list_each(l, &o->places) {
			struct place *x = list_entry(l, struct place, of_object);

			if (map_put(&o->by_node, x->at->number, x) < 0)
				return -ENOMEM;
		}
	return o->n < FEW ? 0 : map_put(&o->by_node, p->at->number, p);
}

/* The place, which may be new, then it waits; NULL: no memory, what became of it is in order. */
static struct place *
place_get(struct places *c, struct places_object *o, uint32_t node)
{
	struct place *p = find(o, node);

	if (p || (p = calloc(1, sizeof *p)) == NULL)
		return p;
	if ((p->at = node_get(c, node)) == NULL || index_node(o, p) < 0) {
		if (p->at && list_empty(&p->at->places)) {
			map_del(&c->nodes, node);
			free(p->at);
			c->bytes -= sizeof *p->at + SLOT;
		}
		free(p);
		return NULL;
	}
	p->object = o;
	p->state = PLACE_WAITING;
	o->nwaiting++;
	list_init(&p->open);
	list_add_tail(&o->places, &p->of_object);
	list_add_tail(&p->at->places, &p->of_node);
	o->n++;
	c->bytes += place_bytes;
	reopen(p);
	return p;
}

/* --- inputs --------------------------------------------------------------------------------------------------------- */

static void
whole(struct place *p, struct places_out *out)
{
	unreceive(p);
	become(p, PLACE_WHOLE);
	p->have = p->object->form.bytes;
	p->not = 0;
	p->object->lost = false;
	reopen(p);
	if (p->object->primary == NULL)
		promote(p->object, out);
}

/* what anybody received is of another making: all begin anew */
static void
renew(struct places_object *o, const struct form *form)
{
	o->form = *form;
	list_each(l, &o->places) {
		struct place *p = list_entry(l, struct place, of_object);

		unreceive(p);
		p->have = 0;
		become(p, PLACE_WAITING);
	}
}

/* A whole copy is at p, unless the object was made otherwise elsewhere: false. */
static bool
on_whole(struct place *p, const struct form *form, struct places_out *out)
{
	struct places_object *o = p->object;

	if (p->state == PLACE_WHOLE && o->form.stamp == form->stamp)
		return true;
	if (p->state == PLACE_WHOLE)
		unwhole(p, out);
	if (o->nwhole && o->form.stamp != form->stamp) {
		fx_add(out, PLACES_FX_DROP, o, p->at->number)->form = *form;
		return false;
	}
	if (o->form.stamp != form->stamp)
		renew(o, form);
	whole(p, out);
	return true;
}

static void
on_want(struct place *p, const struct places_in *in, struct places_out *out)
{
	const struct places_object *o = p->object;

	if (p->state == PLACE_WHOLE)
		unwhole(p, out);
	p->have = in->stamp == o->form.stamp && in->have < o->form.bytes ? in->have : 0;
	if (p->extra && p->extra->at->number == in->not) {
		p->not = in->not;
		unserve(&p->extra);
		return;
	}
	if (p->from && p->from->at->number != in->not) {	/* what it complains of is over: the answer may be under way */
		tell_source(p, p->from, false, out);
		return;
	}
	if (in->not)
		p->not = in->not;
	unserve(&p->from);
	if (p->extra) {
		p->from = p->extra;
		p->extra = NULL;
		return;
	}
	become(p, PLACE_WAITING);
}

/* Inputs that may be the first of an object or of a place. */
static int
on_new(struct places *c, const struct places_in *in, struct places_out *out)
{
	struct places_object *o = idmap_get(&c->objects, in->id);
	struct place *p = o ? find(o, in->node) : NULL;
	size_t n = o && in->kind != PLACES_IN_WANT && o->nwhole <= 1 ? 2 * o->n + 7 : settle_room(o) + 2;
	bool fresh = p == NULL;
	int e;

	if (in->kind != PLACES_IN_WANT && !form_good(&in->form))
		return ERR_PROTO;
	if ((e = room(out, n)) < 0)
		return e;
	if (fresh && c->bytes + object_bytes + place_bytes > c->limit)
		return ERR_FULL;
	if ((o = object_get(c, in->id)) == NULL)
		return -ENOMEM;
	if ((p = place_get(c, o, in->node)) == NULL) {
		if (o->n == 0)
			forget(c, o);
		return -ENOMEM;
	}
	if (in->kind == PLACES_IN_WANT)
		on_want(p, in, out);
	else if (!on_whole(p, &in->form, out) && (fresh || in->kind == PLACES_IN_PULLED))
		leave(c, p, out);			/* what it has is not needed, and it wants nothing */
	after(c, o, out);
	return 0;
}

static int
on_pulled(struct places *c, const struct places_in *in, struct places_out *out)
{
	struct places_object *o = idmap_get(&c->objects, in->id);
	int e = ERR_FULL;

	if (!form_good(&in->form))
		return ERR_PROTO;
	if (o && (e = on_new(c, in, out)) != ERR_FULL)
		return e;
	if ((e = room(out, 1)) < 0)			/* it was freed meanwhile; or there is no room to know of another copy */
		return e;
	out->fx[out->n++] = (struct places_fx){ .kind = PLACES_FX_DROP, .id = in->id, .node = in->node, .form = in->form };
	return 0;
}

static int
on_dropped(struct places *c, struct place *p, struct places_out *out)
{
	struct places_object *o = p->object;
	int e = room(out, settle_room(o) + 2);

	if (e < 0)
		return e;
	leave(c, p, out);
	after(c, o, out);
	return 0;
}

static int
on_free(struct places *c, const struct places_in *in, struct places_out *out)
{
	struct places_object *o = idmap_get(&c->objects, in->id);
	int e;

	if (o == NULL)
		return 0;
	if ((e = room(out, o->n)) < 0)
		return e;
	while (o->n) {
		struct place *p = list_entry(list_first(&o->places), struct place, of_object);
		struct places_fx *fx = fx_add(out, PLACES_FX_DROP, o, p->at->number);

		fx->code = in->code;
		fx->text = in->text;
		o->primary = NULL;			/* no other one follows it */
		leave(c, p, out);
	}
	forget(c, o);
	return 0;
}

static int
on_gone(struct places *c, uint32_t node, struct places_out *out)
{
	struct places_node *n = map_get(&c->nodes, node);
	size_t k = 0;
	bool last = false;
	int e;

	if (n == NULL)
		return 0;
	list_each(l, &n->places)
		k += settle_room(list_entry(l, struct place, of_node)->object) + 2;
	if ((e = room(out, k)) < 0)
		return e;
	while (!last) {
		struct place *p = list_entry(list_first(&n->places), struct place, of_node);
		struct places_object *o = p->object;

		last = n->places.next->next == &n->places;	/* n goes with it */
		leave(c, p, out);
		after(c, o, out);
	}
	return 0;
}

int
places_step(struct places *c, const struct places_in *in, struct places_out *out)
{
	struct place *p;

	switch (in->kind) {
	case PLACES_IN_MADE:
	case PLACES_IN_WANT:
		return on_new(c, in, out);
	case PLACES_IN_PULLED:
		return on_pulled(c, in, out);
	case PLACES_IN_PROGRESS:
		p = places_find(c, in->id, in->node);
		if (p && p->state != PLACE_WHOLE && in->stamp == p->object->form.stamp && in->have <= p->object->form.bytes)
			p->have = in->have;
		return 0;
	case PLACES_IN_DROPPED:
		p = places_find(c, in->id, in->node);
		if (p && (in->stamp == 0 ? p->state != PLACE_WHOLE : p->state == PLACE_WHOLE && in->stamp == p->object->form.stamp))
			return on_dropped(c, p, out);
		return 0;
	case PLACES_IN_FREE:
		return on_free(c, in, out);
	case PLACES_IN_GONE:
		return on_gone(c, in->node, out);
	}
	return -EINVAL;
}

/* --- tests ------------------------------------------------------------------------------------------------------------ */

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)

static int
check_object(const struct places_object *o)
{
	size_t n = 0, sum[4] = { 0 }, serves = 0, served = 0, nopen = 0, open = 0;

	list_each(l, &o->places) {
		const struct place *p = list_entry(l, struct place, of_object), *x = p;
		size_t steps = 0;

		CHECK(p->object == o && find(o, p->at->number) == p);
		CHECK((p->state == PLACE_RECEIVING) == (p->from != NULL) && (!p->extra || p->from) && (!p->extra || p->extra != p->from));
		CHECK(!p->extra || p->extra->state == PLACE_WHOLE);
		CHECK(p->serves <= PLACES_SERVE && (p->serves < PLACES_SERVE) == !list_empty(&p->open));
		CHECK(p->have <= o->form.bytes && (p->state != PLACE_WHOLE || p->have == o->form.bytes));
		for (; x; x = x->from)
			CHECK(steps++ <= o->n);			/* no circle */
		n++;
		sum[p->state]++;
		serves += p->serves;
		served += (p->from != NULL) + (p->extra != NULL);
		nopen += p->serves < PLACES_SERVE;
	}
	list_each(l, &o->open)
		open++;
	CHECK(n == o->n && n > 0 && serves == served && nopen == open);
	CHECK(sum[PLACE_WHOLE] == o->nwhole && sum[PLACE_ORPHAN] == o->norphan && sum[PLACE_WAITING] == o->nwaiting);
	CHECK((o->nwhole != 0) == (o->primary != NULL) && (!o->primary || o->primary->state == PLACE_WHOLE));
	CHECK(o->lost ? o->nwhole == 0 : o->nwhole + o->norphan > 0);
	return 0;
}

int
places_check(const struct places *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;
	uint64_t bytes = 0;
	size_t n = 0, k = 0;
	int e;

	while (idmap_next(&c->objects, &it)) {
		const struct places_object *o = it.val;

		if ((e = check_object(o)) != 0)
			return e;
		bytes += object_bytes + o->n * place_bytes;
		n += o->n;
	}
	while (map_next(&c->nodes, &mt)) {
		const struct places_node *at = mt.val;

		CHECK(!list_empty(&at->places));
		list_each(l, &at->places)
			k++;
		bytes += sizeof *at + SLOT;
	}
	CHECK(n == k && bytes == c->bytes);
	return 0;
}
