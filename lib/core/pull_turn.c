/* pull_turn.c - which objects are received now: room for them, and their end */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "core/pull_inner.h"

#define RETRY UINT64_C(10000000)	/* ns until asked again if there was no memory for it */

/* --- room, and the end -------------------------------------------------------------------------------------------------- */

void
pull_room_free(struct pull_core *c, struct pull_room *r)
{
	free(r);
	c->bytes -= sizeof *r;
}

void
pull_room_unused(struct pull_core *c, struct pull_room *r, struct pull_out *o)
{
	struct pull of = { .id = r->id, .room = r };

	pull_fx_add(o, PULL_FX_UNRESERVE, &of, 0);
	pull_room_free(c, r);
}

void
pull_room_drop(struct pull_core *c, struct pull *p, struct pull_out *o)
{
	struct pull_room *r = p->room;

	p->room = NULL;
	p->reserved = false;
	c->bytes -= p->nwindow * sizeof *p->window;
	free(p->window);
	p->window = NULL;
	p->nwindow = 0;
	p->have = p->told = p->first = p->next = 0;
	if (r == NULL)
		return;
	r->given_up = true;
	if (r->writers == 0)
		pull_room_unused(c, r, o);
}

static void
inactive(struct pull_core *c, struct pull *p)
{
	if (p->state != PULL_ACTIVE)
		return;
	c->active -= p->counted;
	c->nactive--;
	p->counted = 0;
}

void
pull_free(struct pull_core *c, struct pull *p, struct pull_out *o)
{
	pull_sources_end(c, p, o);
	pull_room_drop(c, p, o);
	inactive(c, p);
	heap_del(&c->timers, &p->timer);
	list_del(&p->queue);
	idmap_del(&c->pulls, p->id);
	free(p);
	c->bytes -= sizeof *p + PULL_SLOT;
}

void
pull_fail(struct pull_core *c, struct pull *p, struct pull_out *o, int code, const char *fmt, ...)
{
	struct pull_fx *fx = pull_fx_add(o, PULL_FX_FAILED, p, p->owner);
	va_list ap;

	fx->code = code;
	va_start(ap, fmt);
	vsnprintf(fx->text, sizeof fx->text, fmt, ap);
	va_end(ap);
	pull_free(c, p, o);
}

void
pull_quit(struct pull *p, struct pull_out *o)
{
	if (p->asked)
		pull_fx_add(o, PULL_FX_QUIT, p, p->owner);
}

bool
pull_finished(struct pull_core *c, struct pull *p, struct pull_out *o)
{
	struct pull_room *r = p->room;

	if (!r || p->have < p->form.bytes || r->writers)
		return false;
	pull_fx_add(o, PULL_FX_DONE, p, p->owner);
	p->room = NULL;
	pull_room_free(c, r);
	pull_free(c, p, o);
	return true;
}

/* --- whose turn it is ---------------------------------------------------------------------------------------------------- */

uint64_t
pull_chunk_size(uint64_t bytes)			/* some dozen chunks of what is small, so that it can be passed on early */
{
	uint64_t n = PULL_CHUNK_MIN;

	while (n < PULL_CHUNK_MAX && bytes / n > 32)
		n *= 2;
	return n;
}

void
pull_reserve(struct pull_core *c, struct pull *p, struct pull_out *o)
{
	uint64_t n;

	p->chunk = pull_chunk_size(p->form.bytes);
	n = pull_chunks(p) < PULL_AHEAD ? pull_chunks(p) : PULL_AHEAD;
	p->window = calloc(n, sizeof *p->window);
	p->room = calloc(1, sizeof *p->room);
	if (p->window == NULL || p->room == NULL) {
		free(p->room);
		p->room = NULL;
		pull_quit(p, o);
		pull_fail(c, p, o, -ENOMEM, "the node is out of memory");
		return;
	}
	p->nwindow = n;
	p->room->id = p->id;
	p->room->ticket = ++c->last;
	c->bytes += n * sizeof *p->window + sizeof *p->room;
	pull_fx_add(o, PULL_FX_RESERVE, p, 0);
}

static bool
fits(const struct pull_core *c, const struct pull *p)
{
	return c->nactive == 0 || (c->active <= c->budget && p->form.bytes <= c->budget - c->active);
}

void
pull_admit(struct pull_core *c, uint64_t now, struct pull_out *o)
{
	struct list *l;

	for (int i = 0; i < PULL_PRIORITIES; i++)
		while ((l = list_first(&c->queue[i])) != NULL) {
			struct pull *p = list_entry(l, struct pull, queue);

			if (!fits(c, p) || pull_fx_room(o, PULL_CRITICAL) < 0)
				return;
			list_del(&p->queue);
			p->state = PULL_ACTIVE;
			p->counted = p->form.bytes;
			p->since = now;
			c->active += p->counted;
			c->nactive++;
			pull_set_timer(c, p, now);
			if (!p->asked)
				pull_want(p, 0, o);
			if (pull_sourced(p))
				pull_reserve(c, p, o);
		}
}

static bool
queued(const struct pull_core *c)
{
	for (int i = 0; i < PULL_PRIORITIES; i++)
		if (!list_empty(&c->queue[i]))
			return true;
	return false;
}

void
pull_enqueue(struct pull_core *c, struct pull *p, bool first)
{
	inactive(c, p);
	p->state = PULL_QUEUED;
	list_del(&p->queue);
	if (first)
		list_add(&c->queue[p->priority], &p->queue);
	else
		list_add_tail(&c->queue[p->priority], &p->queue);
}

/* --- timers ---------------------------------------------------------------------------------------------------------------- */

static uint64_t
quiet(const struct pull *p)
{
	uint64_t at_least = PULL_QUIET << (p->given_up < 3 ? p->given_up : 3), slow = 2 * p->gap;

	return slow < at_least ? at_least : slow < PULL_QUIET_MAX ? slow : PULL_QUIET_MAX;
}

void
pull_set_timer(struct pull_core *c, struct pull *p, uint64_t now)
{
	uint64_t at = PULL_NEVER;

	if (p->state == PULL_ACTIVE && !pull_sourced(p))
		at = p->since + PULL_PARK;
	if (p->not && p->again < at)
		at = p->again;
	for (int i = 0; i < PULL_SOURCES; i++) {
		const struct pull_source *s = &p->source[i];

		if (s->node && (s->flight || s->broken) && s->heard + quiet(p) < at)
			at = s->heard + quiet(p);
		if (s->node && !s->flight && !s->broken && p->reserved && p->next < pull_chunks(p) && p->next < p->first + p->nwindow)
			at = now + RETRY;		/* there was no memory to ask */
	}
	heap_set(&c->timers, &p->timer, at);		/* it is in there, so this needs no memory */
}

void
pull_on_timer(struct pull_core *c, uint64_t now, struct pull *p, struct pull_out *o)
{
	for (int i = 0; i < PULL_SOURCES; i++) {
		struct pull_source *s = &p->source[i];
		const struct pull_peer *e = s->node ? map_get(&c->peers, s->node) : NULL;

		if (e == NULL || (!s->flight && !s->broken) || now < s->heard + quiet(p))
			continue;
		if (e->room && e->room == p->room)
			pull_fx_add(o, PULL_FX_BREAK, p, s->node);
		pull_source_lost(c, now, p, s, true, o);
	}
	if (p->not && now >= p->again)
		pull_want(p, p->not, o);
	if (p->state == PULL_ACTIVE && !pull_sourced(p) && now >= p->since + PULL_PARK) {
		p->since = now;
		if (queued(c)) {
			pull_room_drop(c, p, o);
			inactive(c, p);
			p->state = PULL_PARKED;
		}
	}
	pull_ask(p, now, o);
	pull_set_timer(c, p, now);
}
