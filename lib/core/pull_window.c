/* pull_window.c - the chunks that are asked for of a source, and how many at one time */
#include <errno.h>
#include <stdlib.h>
#include "core/pull_inner.h"

#define SECOND UINT64_C(1000000000)

int
pull_fx_room(struct pull_out *o, size_t n)		/* for so many more */
{
	size_t cap = o->cap ? o->cap : 64;
	struct pull_fx *p;

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

struct pull_fx *
pull_fx_add(struct pull_out *o, enum pull_fx_kind kind, const struct pull *p, uint32_t node)
{
	struct pull_fx *fx = &o->fx[o->n++];

	fx->kind = kind;
	fx->id = p->id;
	fx->priority = p->priority;
	fx->node = node;
	fx->not = 0;
	fx->form = p->form;
	fx->have = p->have;
	fx->ticket = p->room ? p->room->ticket : 0;
	fx->off = fx->n = 0;
	fx->code = 0;
	fx->text[0] = '\0';
	return fx;
}

/* --- the pace of a source ---------------------------------------------------------------------------------------------- */

static uint64_t
most(struct pull_most *m, uint64_t v, uint64_t now, uint64_t period)
{
	if (now - m->since > period) {
		m->before = m->now;
		m->now = 0;
		m->since = now;
	}
	if (v > m->now)
		m->now = v;
	return m->now > m->before ? m->now : m->before;
}

/*
 * Twice what the source gives in the time that a chunk takes when it need not wait: as long as that is more than what is under
 * way, the window grows by half of itself or more in each such time; once the source gives no more, it stays.
 */
void
pull_pace(struct pull_source *s, const struct pull_chunk *k, uint64_t chunk, uint64_t now)
{
	uint64_t took = now > k->at ? now - k->at : 1, given = s->given - k->given;
	uint64_t rate = most(&s->rate, (uint64_t)((double)given * SECOND / (double)took), now, SECOND);
	uint64_t quick = PULL_NEVER - most(&s->quick, PULL_NEVER - took, now, 10 * SECOND);
	double w = 2.0 * (double)rate * (double)quick / SECOND + 2.0 * (double)chunk;

	s->window = w > (double)PULL_WINDOW_MAX ? PULL_WINDOW_MAX : (uint64_t)w;
	if (s->window < 4 * chunk)
		s->window = 4 * chunk;
}

struct pull_source *
pull_source_of(struct pull *p, uint32_t node)
{
	for (int i = 0; i < PULL_SOURCES; i++)
		if (node && p->source[i].node == node)
			return &p->source[i];
	return NULL;
}

bool
pull_sourced(const struct pull *p)
{
	return p->source[0].node || p->source[1].node;
}

/* --- the window -------------------------------------------------------------------------------------------------------- */

uint64_t
pull_chunk_bytes(const struct pull *p, uint64_t k)
{
	uint64_t left = p->form.bytes - k * p->chunk;

	return left < p->chunk ? left : p->chunk;
}

uint64_t
pull_chunks(const struct pull *p)
{
	return (p->form.bytes + p->chunk - 1) / p->chunk;
}

struct pull_chunk *
pull_chunk_at(struct pull *p, uint64_t k)
{
	return &p->window[k % p->nwindow];
}

static struct pull_source *
readiest(struct pull *p)			/* the source with the most left of its window, NULL: none has enough for a chunk */
{
	struct pull_source *best = NULL;

	for (int i = 0; i < PULL_SOURCES; i++) {
		struct pull_source *s = &p->source[i];

		if (s->node && !s->broken && s->flight + p->chunk <= s->window &&
		    (!best || s->window - s->flight > best->window - best->flight))
			best = s;
	}
	return best;
}

void
pull_ask(struct pull *p, uint64_t now, struct pull_out *o)
{
	struct pull_source *s;

	while (p->reserved && (s = readiest(p)) != NULL) {
		uint64_t end = p->first + p->nwindow < pull_chunks(p) ? p->first + p->nwindow : pull_chunks(p);
		struct pull_chunk *k;
		struct pull_fx *fx;

		while (p->next < end && pull_chunk_at(p, p->next)->state != PULL_NONE)
			p->next++;
		if (p->next >= end || pull_fx_room(o, 1) < 0)
			return;
		k = pull_chunk_at(p, p->next);
		*k = (struct pull_chunk){ PULL_ASKED, s->node, now, s->given };
		fx = pull_fx_add(o, PULL_FX_ASK, p, s->node);
		fx->off = p->next * p->chunk;
		fx->n = pull_chunk_bytes(p, p->next++);
		if (s->flight == 0)
			s->heard = now;
		s->flight += fx->n;
	}
}

/* what was asked of a node and has not come is not asked for any more */
void
pull_unask(struct pull *p, struct pull_source *s)
{
	s->flight = 0;
	if (p->window == NULL)
		return;
	for (uint64_t k = p->first; k < p->first + p->nwindow; k++) {
		struct pull_chunk *x = pull_chunk_at(p, k);

		if ((x->state != PULL_ASKED && x->state != PULL_COMING) || x->node != s->node)
			continue;
		x->state = PULL_NONE;
		if (k < p->next)
			p->next = k;
	}
}

/* --- sources ----------------------------------------------------------------------------------------------------------- */

struct pull_peer *
pull_peer_get(struct pull_core *c, uint32_t node)
{
	struct pull_peer *e = map_get(&c->peers, node);

	if (e || (e = calloc(1, sizeof *e)) == NULL)
		return e;
	e->node = node;
	if (map_put(&c->peers, node, e) < 0) {
		free(e);
		return NULL;
	}
	c->bytes += sizeof *e + PULL_SLOT;
	return e;
}

void
pull_peer_idle(struct pull_core *c, struct pull_peer *e)
{
	if (e->sources || e->room)
		return;
	map_del(&c->peers, e->node);
	free(e);
	c->bytes -= sizeof *e + PULL_SLOT;
}

void
pull_source_end(struct pull_core *c, struct pull *p, struct pull_source *s, bool stop, struct pull_out *o)
{
	struct pull_peer *e = map_get(&c->peers, s->node);

	if (stop && s->flight)
		pull_fx_add(o, PULL_FX_STOP, p, s->node);
	pull_unask(p, s);
	*s = (struct pull_source){ 0 };
	e->sources--;
	pull_peer_idle(c, e);
}

void
pull_sources_end(struct pull_core *c, struct pull *p, struct pull_out *o)
{
	for (int i = 0; i < PULL_SOURCES; i++)
		if (p->source[i].node)
			pull_source_end(c, p, &p->source[i], true, o);
}

void
pull_want(struct pull *p, uint32_t not, struct pull_out *o)
{
	p->asked = true;
	p->not = 0;
	p->told = p->have;
	pull_fx_add(o, PULL_FX_WANT, p, p->owner)->not = not;
}

/* a source gave nothing, refused or is gone */
void
pull_source_lost(struct pull_core *c, uint64_t now, struct pull *p, struct pull_source *s, bool stop, struct pull_out *o)
{
	uint32_t node = s->node;

	pull_source_end(c, p, s, stop, o);
	for (int i = 0; i < PULL_SOURCES; i++)
		p->source[i].extra = false;
	if (!pull_sourced(p))
		p->since = now;
	if (p->given_up++ < 3) {
		pull_want(p, node, o);
	} else {
		p->not = node;
		p->again = now + (PULL_AGAIN << (p->given_up < 12 ? p->given_up - 4 : 8));
	}
}
