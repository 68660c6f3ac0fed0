/* set_members - the members of sets: made, checked, leaving. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/set_inner.h"

struct set_fx *
set_fx_add(struct set_out *o, enum set_fx_kind kind, const struct set *s)
{
	static struct set_fx lost;	/* no memory: the effect is dropped */
	struct set_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct set_fx){ .kind = kind, .set = s ? s->number : 0 };
	return &p[o->n++];
}

/* ns before it is made for the 2nd, 3rd … time in a row */
uint64_t
set_pause(unsigned fails)
{
	static const uint64_t pause[] = { 0, 100000000, 1000000000, 5000000000 };

	return pause[fails < 3 ? fails : 3];
}

/* --- members ------------------------------------------------------------------------------------------------- */

int
set_seats(struct set *s, unsigned max)
{
	struct set_seat *p;

	if (max <= s->nseat)
		return 0;
	if ((p = realloc(s->seat, max * sizeof *p)) == NULL)
		return -ENOMEM;
	memset(p + s->nseat, 0, (max - s->nseat) * sizeof *p);
	s->seat = p;
	s->nseat = max;
	return 0;
}

static struct set_member **
seat_of(const struct set_member *m)
{
	struct set_seat *seat = &m->set->seat[m->rank];

	return m->old ? &seat->old : &seat->now;
}

void
set_sit(struct set_member *m)
{
	*seat_of(m) = m;
}

void
set_stand(struct set_member *m)
{
	if (m->rank < m->set->nseat && *seat_of(m) == m)
		*seat_of(m) = NULL;
}

struct set_member *
set_other(const struct set_member *m)
{
	const struct set_seat *seat = &m->set->seat[m->rank];

	return seat->now == m ? seat->old : seat->now;
}

struct set_member *
set_member_of(const struct set *s, uint64_t actor)
{
	for (unsigned i = 0; actor && i < s->n; i++)
		if (s->member[i]->actor == actor)
			return s->member[i];
	return NULL;
}

void
set_member_free(struct set_core *c, struct set_member *m)
{
	struct set *s = m->set;

	heap_del(&c->timers, &m->timer);
	set_stand(m);
	for (unsigned i = 0; i < s->n; i++)
		if (s->member[i] == m) {
			memmove(s->member + i, s->member + i + 1, (--s->n - i) * sizeof *s->member);
			break;
		}
	free(m);
	s->changed = true;
}

void
set_make(struct set_core *c, struct set_member *m, struct set_out *o)
{
	heap_del(&c->timers, &m->timer);
	m->state = MEMBER_ASKED;
	set_fx_add(o, SET_FX_MAKE, m->set)->rank = m->rank;
}

int
set_member_new(struct set_core *c, struct set *s, uint32_t rank, struct set_out *o)
{
	struct set_member *m = calloc(1, sizeof *m), **v = realloc(s->member, (s->n + 1) * sizeof *v);

	if (v)
		s->member = v;
	if (m == NULL || v == NULL) {
		free(m);
		return -ENOMEM;
	}
	*m = (struct set_member){ .set = s, .rank = rank };
	v[s->n++] = m;
	set_sit(m);
	set_make(c, m, o);
	return 0;
}

/* true: it is gone already */
bool
set_leave(struct set_core *c, struct set_member *m, uint64_t now, bool kill, struct set_out *o)
{
	struct set *s = m->set;

	s->changed = true;
	if (m->state == MEMBER_AWAY) {
		set_member_free(c, m);
		return true;
	}
	if (!m->leaving && m->timer.index)
		heap_del(&c->timers, &m->timer);	/* no more checks */
	if (!m->leaving && m->actor && !kill)
		set_fx_add(o, SET_FX_LEAVE, s)->actor = m->actor;
	set_stand(m);
	m->leaving = true;
	if (m->state == MEMBER_ASKED)
		return false;			/* it is killed as soon as it has a number */
	if (kill) {
		heap_del(&c->timers, &m->timer);
		set_fx_add(o, SET_FX_KILL, s)->actor = m->actor;
	} else if (m->timer.index == 0 && !m->stopped && heap_set(&c->timers, &m->timer, now + SET_NOTICE) < 0) {
		m->stopped = true;
		set_fx_add(o, SET_FX_STOP, s)->actor = m->actor;
	}
	return false;
}

void
set_leave_all(struct set_core *c, struct set *s, uint64_t now, bool kill, struct set_out *o)
{
	for (unsigned i = s->n; i-- > 0;)
		set_leave(c, s->member[i], now, kill, o);
}

/* --- checks ---------------------------------------------------------------------------------------------------- */

void
set_checked(struct set_core *c, struct set_member *m, uint64_t now)
{
	m->asked = m->ill = false;
	if (m->leaving || m->state == MEMBER_AWAY)
		return;				/* its timer is for something else */
	if (m->state != MEMBER_UP || m->set->health.period == 0 || heap_set(&c->timers, &m->timer, now + m->set->health.period) < 0)
		heap_del(&c->timers, &m->timer);
}

/* its timer is over: it is asked, or did not answer */
static void
check(struct set_core *c, struct set_member *m, uint64_t now, struct set_out *o)
{
	struct set *s = m->set;

	if (m->asked) {
		m->asked = false;
		m->ill = true;
		set_fx_add(o, SET_FX_ILL, s)->actor = m->actor;	/* its death is told, and it is made again */
	} else if (heap_set(&c->timers, &m->timer, now + s->health.patience) == 0) {
		struct set_fx *fx = set_fx_add(o, SET_FX_CHECK, s);

		m->asked = true;
		fx->actor = m->actor;
		fx->round = ++m->round;
	}
}

void
set_member_timer(struct set_core *c, struct set_member *m, uint64_t now, struct set_out *o)
{
	struct set *s = m->set;

	heap_del(&c->timers, &m->timer);
	if (m->state == MEMBER_AWAY) {
		set_make(c, m, o);
	} else if (m->leaving) {
		set_fx_add(o, m->stopped ? SET_FX_KILL : SET_FX_STOP, s)->actor = m->actor;
		if (!m->stopped && s->drain)
			heap_set(&c->timers, &m->timer, now + s->drain);
		m->stopped = true;
	} else if (m->state == MEMBER_UP) {
		check(c, m, now, o);
	}
}

void
set_health(struct set_core *c, struct set_member *m, uint64_t now, const struct set_in *in, struct set_out *o)
{
	if (m->leaving || m->state != MEMBER_UP || !m->asked || in->round != m->round)
		return;				/* late: of a worker that it had before, or it was not asked */
	if (in->up) {
		set_checked(c, m, now);
		return;
	}
	m->asked = false;
	m->ill = true;
	heap_del(&c->timers, &m->timer);
	set_fx_add(o, SET_FX_ILL, m->set)->actor = m->actor;
}
