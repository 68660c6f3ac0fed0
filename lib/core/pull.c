/* pull.c - objects of other nodes: what is wanted, and what comes */
#include <errno.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/pull_inner.h"

void
pull_init(struct pull_core *c, uint32_t self, uint64_t budget)
{
	*c = (struct pull_core){ .self = self, .budget = budget, .limit = PULL_BYTES };
	for (int i = 0; i < PULL_PRIORITIES; i++)
		list_init(&c->queue[i]);
}

void
pull_release(struct pull_core *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;

	heap_release(&c->timers);
	while (map_next(&c->peers, &mt)) {
		struct pull_peer *e = mt.val;

		if (e->room && --e->room->writers == 0 && e->room->given_up)
			free(e->room);
		free(e);
	}
	while (idmap_next(&c->pulls, &it)) {
		struct pull *p = it.val;

		free(p->room);
		free(p->window);
		free(p);
	}
	idmap_release(&c->pulls);
	map_release(&c->peers);
	pull_init(c, c->self, c->budget);
}

struct pull *
pull_find(const struct pull_core *c, struct id id)
{
	return idmap_get(&c->pulls, id);
}

/* --- inputs ----------------------------------------------------------------------------------------------------------------- */

static int
on_want(struct pull_core *c, const struct pull_in *in)
{
	struct pull *p = pull_find(c, in->id);

	if (in->priority >= PULL_PRIORITIES)
		return ERR_PROTO;
	if (p) {
		if (in->priority >= p->priority)
			return 0;
		p->priority = in->priority;
		if (p->state == PULL_QUEUED)
			pull_enqueue(c, p, false);
		return 0;
	}
	if (c->bytes + sizeof *p + PULL_SLOT > c->limit)
		return ERR_FULL;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return -ENOMEM;
	*p = (struct pull){ .id = in->id, .owner = in->owner, .priority = in->priority, .timer = { .at = PULL_NEVER },
	    .form = { .bytes = in->form.bytes < FORM_BYTES_MAX ? in->form.bytes : FORM_BYTES_MAX } };
	if (heap_add(&c->timers, &p->timer) < 0 || idmap_put(&c->pulls, in->id, p) < 0) {
		heap_del(&c->timers, &p->timer);
		free(p);
		return -ENOMEM;
	}
	c->bytes += sizeof *p + PULL_SLOT;
	list_init(&p->queue);
	pull_enqueue(c, p, false);
	return 0;
}

static bool
same(const struct form *a, const struct form *b)
{
	return a->bytes == b->bytes && a->size == b->size && a->headlen == b->headlen && a->nbuf == b->nbuf && a->flags == b->flags;
}

/* where a new source is kept: in place of one of its kind, unless there is room beside it */
static struct pull_source *
source_slot(struct pull *p, uint32_t node, bool extra)
{
	struct pull_source *s = pull_source_of(p, node);

	for (int i = 0; i < PULL_SOURCES && !s; i++)
		if (p->source[i].node && p->source[i].extra == extra)
			s = &p->source[i];
	for (int i = 0; i < PULL_SOURCES && !s; i++)
		if (p->source[i].node == 0)
			s = &p->source[i];
	return s;
}

static int
on_source(struct pull_core *c, uint64_t now, const struct pull_in *in, struct pull_out *o)
{
	struct pull *p = pull_find(c, in->id);
	struct pull_source *s;
	struct pull_peer *e;

	if (p == NULL)
		return 0;
	if (!form_good(&in->form) || in->node == 0 || in->node == c->self ||
	    (p->form.stamp == in->form.stamp && !same(&p->form, &in->form)))
		return ERR_PROTO;
	if ((e = pull_peer_get(c, in->node)) == NULL)
		return -ENOMEM;
	e->sources++;				/* so that it stays meanwhile */
	if (p->form.stamp != in->form.stamp) {
		pull_sources_end(c, p, o);
		pull_room_drop(c, p, o);
		p->form = in->form;
	}
	s = source_slot(p, in->node, in->extra);
	if (s->node == in->node) {
		e->sources--;
		s->extra = in->extra;
	} else {
		if (s->node)
			pull_source_end(c, p, s, true, o);
		*s = (struct pull_source){ .node = in->node, .extra = in->extra, .window = 4 * pull_chunk_size(p->form.bytes) };
	}
	s->heard = now;
	p->not = 0;
	if (p->state == PULL_PARKED)
		pull_enqueue(c, p, true);
	if (p->state != PULL_ACTIVE)
		return 0;
	c->active += p->form.bytes - p->counted;
	p->counted = p->form.bytes;
	if (p->room == NULL && c->active > c->budget && c->nactive > 1)
		pull_enqueue(c, p, true);		/* it is larger than was thought */
	else if (p->room == NULL)
		pull_reserve(c, p, o);
	return 0;
}

static void
on_reserved(struct pull_core *c, struct pull *p, const struct pull_in *in, struct pull_out *o)
{
	struct pull_room *r = p->room;

	if (r == NULL || r->ticket != in->ticket || p->reserved)
		return;
	if (in->code == 0) {
		p->reserved = true;
		return;
	}
	p->room = NULL;
	pull_room_free(c, r);
	pull_quit(p, o);
	pull_fail(c, p, o, in->code, "%s", in->text ? in->text : err_str(in->code));
}

/* the bytes of chunk k are there */
static void
arrived(struct pull *p, uint64_t now, uint32_t node, uint64_t k, struct pull_out *o)
{
	struct pull_source *s = pull_source_of(p, node);
	struct pull_chunk *x = k >= p->first && k < p->first + p->nwindow ? pull_chunk_at(p, k) : NULL;
	uint64_t step = p->form.bytes / 16 > 4 << 20 ? p->form.bytes / 16 : 4 << 20, n = pull_chunk_bytes(p, k), was = p->first;

	if (x == NULL || x->state != PULL_COMING || x->node != node || s == NULL)
		return;				/* it was asked of another one meanwhile */
	x->state = PULL_GOT;
	s->flight -= n;
	s->given += n;
	p->gap = now - s->heard;
	s->heard = now;
	p->given_up = 0;
	pull_pace(s, x, p->chunk, now);
	for (; p->first < pull_chunks(p) && pull_chunk_at(p, p->first)->state == PULL_GOT; p->first++)
		pull_chunk_at(p, p->first)->state = PULL_NONE;
	if (p->first == was)
		return;
	p->have = p->first * p->chunk < p->form.bytes ? p->first * p->chunk : p->form.bytes;
	pull_fx_add(o, PULL_FX_HAVE, p, 0);
	if (p->have - p->told >= step && p->have < p->form.bytes) {
		p->told = p->have;
		pull_fx_add(o, PULL_FX_PROGRESS, p, p->owner);
	}
}

/* what came from e is there, or broke off */
static struct pull *
writer_ends(struct pull_core *c, uint64_t now, struct pull_peer *e, bool there, struct pull_out *o)
{
	struct pull_room *r = e->room;
	struct pull *p = pull_find(c, r->id);
	uint64_t k = e->chunk;
	uint32_t node = e->node;

	e->room = NULL;
	r->writers--;
	pull_peer_idle(c, e);
	if (r->given_up) {
		if (r->writers == 0)
			pull_room_unused(c, r, o);
		return NULL;
	}
	if (there)
		arrived(p, now, node, k, o);
	return pull_finished(c, p, o) ? NULL : p;
}

static void
broken(struct pull_core *c, uint64_t now, uint32_t node, struct pull_out *o)
{
	struct pull_peer *e = map_get(&c->peers, node);
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->pulls, &it)) {
		struct pull *p = it.val;
		struct pull_source *s = pull_source_of(p, node);

		if (s == NULL)
			continue;
		pull_unask(p, s);
		if (!s->broken)
			s->heard = now;
		s->broken = true;
	}
	if (e && e->room)
		writer_ends(c, now, e, false, o);
}

static void
gone(struct pull_core *c, uint64_t now, uint32_t node, struct pull_out *o)
{
	struct idmap_iter it = IDMAP_ITER;

	broken(c, now, node, o);
	while (idmap_next(&c->pulls, &it)) {
		struct pull *p = it.val;
		struct pull_source *s = pull_source_of(p, node);

		if (p->owner == node)
			pull_fail(c, p, o, ERR_LOST, "node %u is gone, and with it the owner of the object", (unsigned)node);
		else if (s)
			pull_source_lost(c, now, p, s, false, o);
	}
}

static void
up(struct pull_core *c, uint64_t now, uint32_t node)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->pulls, &it)) {
		struct pull_source *s = pull_source_of(it.val, node);

		if (s && s->broken) {
			s->broken = false;
			s->heard = now;
		}
	}
}

/* after what concerned a whole node: those that receive from anybody ask on */
static void
all_ask(struct pull_core *c, uint64_t now, struct pull_out *o)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->pulls, &it)) {
		pull_ask(it.val, now, o);
		pull_set_timer(c, it.val, now);
	}
}

/* Inputs about one object.  *p is NULL then if it is gone. */
static int
on_object(struct pull_core *c, uint64_t now, const struct pull_in *in, struct pull_out *o)
{
	struct pull *p = pull_find(c, in->id);
	struct pull_source *s;

	if (in->kind == PULL_IN_WANT)
		return on_want(c, in);
	if (p == NULL)
		return 0;
	switch (in->kind) {
	case PULL_IN_CANCEL:
		pull_quit(p, o);
		pull_free(c, p, o);
		return 0;
	case PULL_IN_SOURCE:
		return on_source(c, now, in, o);
	case PULL_IN_DROP:
		if (in->stamp == 0 || p->form.stamp == 0 || in->stamp == p->form.stamp)
			pull_fail(c, p, o, in->code < 0 ? in->code : ERR_LOST, "%s", in->text && in->text[0] ? in->text : "its owner let it go");
		return 0;
	case PULL_IN_RESERVED:
		on_reserved(c, p, in, o);
		return 0;
	default:
		if (in->stamp == p->form.stamp && (s = pull_source_of(p, in->node)) != NULL)
			pull_source_lost(c, now, p, s, false, o);
		return 0;
	}
}

static int
on_chunk(struct pull_core *c, uint64_t now, uint32_t node, struct pull_out *o)
{
	struct pull_peer *e = map_get(&c->peers, node);
	struct pull *p;

	if (e == NULL || e->room == NULL)
		return ERR_PROTO;
	if ((p = writer_ends(c, now, e, true, o)) != NULL) {
		pull_ask(p, now, o);
		pull_set_timer(c, p, now);
	}
	return 0;
}

static void
on_tick(struct pull_core *c, uint64_t now, struct pull_out *o)
{
	struct heap_node *h;

	while ((h = heap_top(&c->timers)) != NULL && h->at <= now && pull_fx_room(o, PULL_CRITICAL) == 0)
		pull_on_timer(c, now, (struct pull *)(void *)((char *)h - offsetof(struct pull, timer)), o);
}

static size_t
concerned(const struct pull_core *c, uint32_t node)		/* how many effects the end of a node has at most */
{
	struct idmap_iter it = IDMAP_ITER;
	size_t n = 0;

	while (idmap_next(&c->pulls, &it))
		if (((struct pull *)it.val)->owner == node || pull_source_of(it.val, node))
			n += 6;
	return n;
}

int
pull_step(struct pull_core *c, uint64_t now, const struct pull_in *in, struct pull_out *o)
{
	bool node = in->kind == PULL_IN_BROKEN || in->kind == PULL_IN_UP || in->kind == PULL_IN_GONE;
	struct pull *p;
	int e = pull_fx_room(o, node ? concerned(c, in->node) + PULL_CRITICAL : PULL_CRITICAL);

	if (e < 0)
		return e;
	if (in->kind == PULL_IN_CHUNK)
		e = on_chunk(c, now, in->node, o);
	else if (in->kind == PULL_IN_TICK)
		on_tick(c, now, o);
	else if (in->kind == PULL_IN_UP)
		up(c, now, in->node);
	else if (in->kind == PULL_IN_BROKEN)
		broken(c, now, in->node, o);
	else if (in->kind == PULL_IN_GONE)
		gone(c, now, in->node, o);
	else
		e = on_object(c, now, in, o);
	if (node)
		all_ask(c, now, o);
	else if (in->kind != PULL_IN_CHUNK && in->kind != PULL_IN_TICK && (p = pull_find(c, in->id)) != NULL) {
		pull_ask(p, now, o);
		pull_set_timer(c, p, now);
	}
	pull_admit(c, now, o);
	o->at = c->timers.len && heap_top(&c->timers)->at != PULL_NEVER ? heap_top(&c->timers)->at : 0;
	return e;
}

bool
pull_awaits(struct pull_core *c, struct id id, uint64_t ticket)
{
	const struct pull *p = pull_find(c, id);

	return p && p->room && p->room->ticket == ticket && !p->reserved;
}

bool
pull_begin(struct pull_core *c, uint32_t node, struct id id, uint64_t stamp, uint64_t off, uint64_t n, uint64_t *ticket)
{
	struct pull_peer *e = map_get(&c->peers, node);
	struct pull *p = pull_find(c, id);
	struct pull_chunk *x;
	uint64_t k;

	if (e == NULL || e->room || p == NULL || !p->reserved || p->form.stamp != stamp || off % p->chunk || off >= p->form.bytes)
		return false;
	k = off / p->chunk;
	if (k < p->first || k >= p->first + p->nwindow || n != pull_chunk_bytes(p, k))
		return false;
	x = pull_chunk_at(p, k);
	if (x->state != PULL_ASKED || x->node != node)
		return false;
	x->state = PULL_COMING;
	e->room = p->room;
	e->chunk = k;
	p->room->writers++;
	*ticket = p->room->ticket;
	return true;
}

/* --- tests ------------------------------------------------------------------------------------------------------------------- */

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)

static int
check_one(const struct pull *p, const struct pull_core *c)
{
	uint64_t flight[PULL_SOURCES] = { 0 };
	bool queued = !list_empty(&p->queue);

	CHECK(queued == (p->state == PULL_QUEUED) && (p->state == PULL_ACTIVE || (!p->room && !p->counted)));
	CHECK(p->state != PULL_ACTIVE || p->counted == p->form.bytes);
	CHECK(!p->reserved || p->room);
	CHECK((p->room != NULL) == (p->window != NULL) && (p->room || (p->have == 0 && p->first == 0)));
	CHECK(!p->room || (p->room->ticket && !p->room->given_up && id_eq(p->room->id, p->id)));
	CHECK(p->timer.index != 0 && p->have <= p->form.bytes);
	for (uint64_t k = p->first; p->window && k < p->first + p->nwindow; k++) {
		const struct pull_chunk *x = &p->window[k % p->nwindow];

		CHECK(k < pull_chunks(p) || x->state == PULL_NONE);
		CHECK(k >= p->next || x->state != PULL_NONE);
		for (int i = 0; i < PULL_SOURCES; i++)
			if ((x->state == PULL_ASKED || x->state == PULL_COMING) && x->node == p->source[i].node)
				flight[i] += pull_chunk_bytes(p, k);
	}
	for (int i = 0; i < PULL_SOURCES; i++) {
		CHECK(flight[i] == p->source[i].flight && (p->source[i].node || !flight[i]));
		CHECK(p->source[i].node == 0 || (map_get(&c->peers, p->source[i].node) && p->source[i].node != p->source[!i].node));
	}
	return 0;
}

int
pull_check(const struct pull_core *c)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter mt = MAP_ITER;
	uint64_t active = 0;
	size_t nactive = 0, sources = 0, counted = 0, writers = 0;
	int e;

	while (idmap_next(&c->pulls, &it)) {
		const struct pull *p = it.val;

		if ((e = check_one(p, c)) != 0)
			return e;
		active += p->counted;
		nactive += p->state == PULL_ACTIVE;
		sources += (p->source[0].node != 0) + (p->source[1].node != 0);
		writers += p->room ? p->room->writers : 0;
	}
	while (map_next(&c->peers, &mt)) {
		const struct pull_peer *e2 = mt.val;

		CHECK(e2->sources || e2->room);
		counted += e2->sources;
		writers -= e2->room && !e2->room->given_up;
	}
	CHECK(active == c->active && nactive == c->nactive && sources == counted && writers == 0);
	CHECK(c->active <= c->budget || c->nactive <= 1);
	CHECK(c->timers.len == c->pulls.n);
	return 0;
}
