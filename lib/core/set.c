#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/set_inner.h"

const char *
set_state_word(enum set_state s)
{
	static const char *const word[] = { "", "pending", "alive", "ending", "dead" };

	return word[s];
}

static bool
is(const struct buf *b, struct span s)
{
	return b->len == s.n && (s.n == 0 || memcmp(b->data, s.p, s.n) == 0);
}

struct set *
set_named(const struct set_core *c, struct span namespace, struct span name)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it)) {
		struct set *s = it.val;

		if (s->name.len && s->state != SET_DEAD && is(&s->name, name) && is(&s->namespace, namespace))
			return s;
	}
	return NULL;
}

unsigned
set_up(const struct set *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += s->member[i]->state == MEMBER_UP && !s->member[i]->leaving;
	return n;
}

static void
tell(struct set *s, struct set_out *o)
{
	if (!s->changed)
		return;
	s->changed = false;
	s->revision++;
	for (unsigned i = 0; i < s->nwatcher; i++)
		set_fx_add(o, SET_FX_STATE, s)->proc = s->watcher[i];
}

/* --- a set ----------------------------------------------------------------------------------------------------- */

static void
die(struct set_core *c, struct set *s, const char *text, struct set_out *o)
{
	if (s->state == SET_DEAD)
		return;
	heap_del(&c->gangs, &s->timer);
	while (s->n)
		set_member_free(c, s->member[s->n - 1]);
	if (s->grouping)
		set_fx_add(o, SET_FX_UNGROUP, s);
	s->grouping = s->placed = false;
	s->state = SET_DEAD;
	if (text != s->text)
		snprintf(s->text, sizeof s->text, "%s", text);
	s->changed = true;
	tell(s, o);
	set_fx_add(o, SET_FX_FORGET, s);
}

static void
end(struct set_core *c, struct set *s, uint64_t now, bool kill, const char *text, struct set_out *o)
{
	if (s->state != SET_ENDING)
		snprintf(s->text, sizeof s->text, "%s", text);
	s->state = SET_ENDING;
	heap_del(&c->gangs, &s->timer);
	set_leave_all(c, s, now, kill, o);
	s->changed = true;
}

static struct set_member *
seat(const struct set *s, uint32_t rank)
{
	return s->seat[rank].now ? s->seat[rank].now : s->seat[rank].old;
}

/* towards what it should be */
static void
settle(struct set_core *c, struct set *s, uint64_t now, struct set_out *o)
{
	enum set_state was = s->state;

	if (s->state == SET_DEAD)
		return;
	if (s->state == SET_ENDING) {
		if (s->n == 0)
			die(c, s, s->text, o);
		return;
	}
	for (unsigned i = s->n; i-- > 0;)
		if (s->member[i]->rank >= s->max && !s->member[i]->leaving)
			set_leave(c, s->member[i], now, false, o);
	if (s->resetting && s->n == 0) {
		s->resetting = false;
		s->generation++;
		if (heap_set(&c->gangs, &s->timer, now + set_pause(s->fails++)) < 0)
			s->timer.index = 0;
	}
	if (s->gang && !s->grouping) {
		s->grouping = true;
		set_fx_add(o, SET_FX_GROUP, s);
	}
	if (!s->resetting && (!s->gang || s->placed) && s->timer.index == 0)
		for (uint32_t rank = 0; rank < s->max; rank++)
			if (seat(s, rank) == NULL && set_member_new(c, s, rank, o) < 0)
				break;
	set_renew(c, s, now, o);
	s->state = set_up(s) >= s->min ? SET_ALIVE : SET_PENDING;
	if (s->state == SET_ALIVE) {
		s->ever = true;
		s->fails = 0;
	}
	s->changed |= s->state != was;
}

/* --- inputs ------------------------------------------------------------------------------------------------------ */

static bool
sizes(const struct set_in *in, bool gang, char text[200])
{
	if (in->min <= in->max && in->max <= SET_MAX && (!gang || in->min == in->max))
		return true;
	snprintf(text, 200, gang ? "a gang has one number of members" : "a set has at most %u members, and at least as many as at most",
	    SET_MAX);
	return false;
}

static void
set_free(struct set_core *c, struct set *s)
{
	while (s->n)
		set_member_free(c, s->member[s->n - 1]);
	heap_del(&c->gangs, &s->timer);
	map_del(&c->sets, s->number);
	buf_release(&s->name);
	buf_release(&s->namespace);
	buf_release(&s->spec);
	buf_release(&s->error);
	buf_release(&s->health.method);
	free(s->member);
	free(s->seat);
	free(s->renewal);
	free(s->watcher);
	free(s);
}

static int
watch(struct set *s, uint32_t proc)
{
	uint32_t *p;

	for (unsigned i = 0; i < s->nwatcher; i++)
		if (s->watcher[i] == proc)
			return 0;
	if ((p = realloc(s->watcher, (s->nwatcher + 1) * sizeof *p)) == NULL)
		return -ENOMEM;
	s->watcher = p;
	p[s->nwatcher++] = proc;
	return 0;
}

static void
unwatch(struct set *s, uint32_t proc)
{
	for (unsigned i = 0; i < s->nwatcher; i++)
		if (s->watcher[i] == proc) {
			s->watcher[i] = s->watcher[--s->nwatcher];
			break;
		}
}

static int
in_new(struct set_core *c, uint64_t now, const struct set_in *in, struct set_out *o, char text[200])
{
	bool heir = in->kind == SET_IN_HEIR;
	uint64_t number = in->set;
	struct set *s;

	if (!sizes(in, in->gang, text))
		return -EINVAL;
	if (in->name.n && set_named(c, in->namespace, in->name)) {
		snprintf(text, 200, "a set '%.*s' exists in namespace '%.*s'", (int)(in->name.n < 60 ? in->name.n : 60),
		    (const char *)in->name.p, (int)(in->namespace.n < 60 ? in->namespace.n : 60), (const char *)in->namespace.p);
		return -EEXIST;
	}
	if ((s = calloc(1, sizeof *s)) == NULL)
		return -ENOMEM;
	if (!heir)
		number = ++c->last;
	else if (number > c->last)
		c->last = number;
	*s = (struct set){ .number = number, .job = in->job, .maker = in->proc, .req = in->req, .min = in->min, .max = in->max, .gang = in->gang, .strategy = in->strategy,
	    .detached = in->detached, .drain = in->drain, .surge = in->surge, .health = { .period = in->period, .patience = in->patience },
	    .since = now, .state = SET_PENDING, .generation = 1, .changed = true };
	if (set_seats(s, in->max) < 0 || set_renewals(s, in->renewal, in->nrenewal) < 0 || buf_add(&s->spec, in->spec.p, in->spec.n) < 0 || (in->method.n && buf_add(&s->health.method, in->method.p, in->method.n) < 0) ||
	    (in->name.n && buf_add(&s->name, in->name.p, in->name.n) < 0) ||
	    (in->namespace.n && buf_add(&s->namespace, in->namespace.p, in->namespace.n) < 0) || (!heir && watch(s, in->proc) < 0) ||
	    map_put(&c->sets, s->number, s) < 0) {
		set_free(c, s);
		return -ENOMEM;
	}
	o->number = s->number;
	if (heir) {
		s->revision = now;		/* above any that watchers know */
		s->generation = in->generation + s->gang;
		s->ever = in->up;
		s->state = s->min ? SET_PENDING : SET_ALIVE;
		return 0;
	}
	settle(c, s, now, o);
	tell(s, o);
	return 0;
}

static int
in_held(struct set *s, const struct set_in *in)
{
	struct set_member *m, **v, *other = NULL;

	if (s == NULL || s->gang || (in->rank >= s->max && !in->leaving))
		return -ESRCH;
	if ((v = realloc(s->member, (s->n + 1) * sizeof *v)) == NULL)
		return -ENOMEM;
	s->member = v;
	if ((m = calloc(1, sizeof *m)) == NULL)
		return -ENOMEM;
	*m = (struct set_member){ .set = s, .rank = in->rank, .actor = in->actor, .state = MEMBER_STARTING, .leaving = in->leaving };
	v[s->n++] = m;
	if (!m->leaving && (other = seat(s, in->rank)) != NULL) {
		m->leaving = m->actor < other->actor;	/* numbers rise */
		if (!m->leaving)
			set_stand(other);
		other->leaving = !m->leaving;
	}
	if (!m->leaving)
		set_sit(m);
	return 0;
}

static void
in_resume(struct set_core *c, uint64_t now, const struct set_in *in, struct set_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it)) {
		struct set *s = it.val;

		if (s->job != in->job)
			continue;
		for (unsigned i = 0; i < s->n; i++)
			if (s->member[i]->leaving && s->member[i]->timer.index == 0 && !s->member[i]->stopped)
				heap_set(&c->timers, &s->member[i]->timer, in->until > now ? in->until : now);
		settle(c, s, now, o);
		tell(s, o);
	}
}

static void
in_made(struct set_core *c, struct set *s, uint64_t now, const struct set_in *in, struct set_out *o)
{
	struct set_member *m = NULL;

	for (unsigned i = 0; s && i < s->n; i++)
		if (s->member[i]->state == MEMBER_ASKED && s->member[i]->rank == in->rank && (m == NULL || m->leaving))
			m = s->member[i];
	if (m == NULL)
		return;				/* the caller ends it */
	if (in->actor == 0) {			/* as if it had died at once */
		m->state = MEMBER_AWAY;
		m->fails++;
		if (m->leaving || heap_set(&c->timers, &m->timer, now + set_pause(m->fails)) < 0)
			set_member_free(c, m);
		settle(c, s, now, o);
		return;
	}
	m->actor = in->actor;
	m->state = MEMBER_STARTING;
	s->changed = true;
	if (m->leaving)
		set_leave(c, m, now, true, o);
}

/* one of a gang is dead: all are */
static void
reset(struct set_core *c, struct set *s, uint64_t now, struct set_out *o)
{
	s->resetting = true;
	set_leave_all(c, s, now, true, o);
}

/* what befell a member is the set's why until something else happens */
static void
befell(struct set *s, const struct set_member *m, const char *text)
{
	if (text && text[0] && !m->leaving && s->state != SET_ENDING)
		snprintf(s->text, sizeof s->text, "rank %u, %.200s", m->rank, text);
}

static void
in_actor(struct set_core *c, struct set *s, uint64_t now, const struct set_in *in, struct set_out *o)
{
	struct set_member *m = s ? set_member_of(s, in->actor) : NULL;

	if (m == NULL)
		return;
	s->changed = true;
	if (!in->dead) {
		if (in->up && m->state != MEMBER_UP)
			m->up = now;
		if (!in->up && m->state == MEMBER_UP)
			befell(s, m, in->text);
		if (in->up != (m->state == MEMBER_UP)) {
			m->state = in->up ? MEMBER_UP : MEMBER_STARTING;
			set_checked(c, m, now);
		}
		settle(c, s, now, o);
		return;
	}
	befell(s, m, in->text);
	if (!m->leaving && s->state != SET_ENDING && in->bad && !s->ever) {	/* it would be so for ever */
		if (in->error.n)
			buf_add(&s->error, in->error.p, in->error.n);
		set_member_free(c, m);
		end(c, s, now, true, in->text, o);
	} else if (m->leaving || s->gang || (m->old && set_other(m))) {
		bool all = s->gang && !m->leaving;

		set_member_free(c, m);
		if (all)
			reset(c, s, now, o);
	} else {
		if (m->state == MEMBER_UP && now - m->up > UINT64_C(10000000000))
			m->fails = 0;
		m->actor = 0;
		m->state = MEMBER_AWAY;
		set_stand(m);
		m->old = m->asked = m->ill = false;
		set_sit(m);
		if (m->fails++ == 0 || heap_set(&c->timers, &m->timer, now + set_pause(m->fails - 1)) < 0)
			set_make(c, m, o);
	}
	settle(c, s, now, o);
}

static void
in_tick(struct set_core *c, uint64_t now, struct set_out *o)
{
	struct heap_node *t;

	while ((t = heap_top(&c->timers)) != NULL && t->at <= now)
		set_member_timer(c, (struct set_member *)(void *)((char *)t - offsetof(struct set_member, timer)), now, o);
	while ((t = heap_top(&c->gangs)) != NULL && t->at <= now) {
		struct set *s = (struct set *)(void *)((char *)t - offsetof(struct set, timer));

		heap_del(&c->gangs, t);
		settle(c, s, now, o);
		tell(s, o);
	}
}

static void
each(struct set_core *c, const struct set_in *in, struct set_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it)) {
		struct set *s = it.val;

		if (in->kind == SET_IN_GONE) {
			unwatch(s, in->proc);
			set_renewal_forget(s, in->proc);
		} else if (s->job == in->job && !s->detached)	/* its actors end with the job too */
			die(c, s, "its job is over", o);
	}
}

static int
on_set(struct set_core *c, struct set *s, uint64_t now, const struct set_in *in, struct set_out *o, char text[200])
{
	struct set_member *m;
	int e = 0;

	switch (in->kind) {
	case SET_IN_GROUP:
		s->placed = in->up;
		if (!in->up) {
			s->grouping = false;
			end(c, s, now, true, in->text, o);
		}
		break;
	case SET_IN_RESIZE:
		if (s->state == SET_ENDING || !sizes(in, s->gang, text) || (s->gang && in->max != s->max)) {
			if (!text[0])
				snprintf(text, 200, s->gang ? "a gang keeps its size" : "the set is ending");
			return -EINVAL;
		}
		if ((e = set_seats(s, in->max)) < 0)
			return e;
		s->min = in->min;
		s->max = in->max;
		s->changed = true;
		break;
	case SET_IN_HEALTH:
		if ((m = set_member_of(s, in->actor)) != NULL)
			set_health(c, m, now, in, o);
		return 0;
	case SET_IN_NOTE:
		if (s->state != SET_ENDING)
			snprintf(s->text, sizeof s->text, "%s", in->text);
		s->changed = true;
		return 0;
	case SET_IN_RENEW:
		if (s->state == SET_ENDING) {
			snprintf(text, 200, "the set is ending");
			return -EINVAL;
		}
		if ((e = set_renewed(s, in->proc, in->req)) != 0)
			return e < 0 ? e : 0;
		s->kept_up = set_up(s);
		for (unsigned i = 0; i < s->n && !s->gang; i++) {	/* who starts just now is new already */
			m = s->member[i];
			if (m->state != MEMBER_UP || m->leaving || set_other(m))
				continue;
			set_stand(m);
			m->old = true;
			set_sit(m);
		}
		if (s->gang && s->n) {
			s->resetting = true;
			set_leave_all(c, s, now, false, o);
		}
		break;
	case SET_IN_END:
		end(c, s, now, in->kill, in->kill ? "it was killed" : "it was stopped", o);
		break;
	case SET_IN_WATCH:
		if ((e = watch(s, in->proc)) == 0)
			set_fx_add(o, SET_FX_STATE, s)->proc = in->proc;
		return e;
	case SET_IN_UNWATCH:
		unwatch(s, in->proc);
		return 0;
	default:
		return 0;
	}
	settle(c, s, now, o);
	return 0;
}

int
set_step(struct set_core *c, uint64_t now, const struct set_in *in, struct set_out *o, char text[200])
{
	struct set *s = in->set ? set_get(c, in->set) : NULL;
	int e = 0;

	text[0] = '\0';
	switch (in->kind) {
	case SET_IN_NEW: case SET_IN_HEIR: e = in_new(c, now, in, o, text); break;
	case SET_IN_HELD: e = in_held(s, in); break;
	case SET_IN_RESUME: in_resume(c, now, in, o); break;
	case SET_IN_MADE: in_made(c, s, now, in, o); break;
	case SET_IN_ACTOR: in_actor(c, s, now, in, o); break;
	case SET_IN_TICK: in_tick(c, now, o); break;
	case SET_IN_GONE: case SET_IN_JOB_END: each(c, in, o); break;
	default:
		if (s && s->state != SET_DEAD)
			e = on_set(c, s, now, in, o, text);
	}
	if (s)
		tell(s, o);
	o->at = heap_top(&c->timers) ? heap_top(&c->timers)->at : 0;
	if (heap_top(&c->gangs) && (o->at == 0 || heap_top(&c->gangs)->at < o->at))
		o->at = heap_top(&c->gangs)->at;
	return e;
}

/* --- start and end ------------------------------------------------------------------------------------------------- */

void
set_forget(struct set_core *c, uint64_t number)
{
	struct set *s = set_get(c, number);

	if (s && s->state == SET_DEAD)
		set_free(c, s);
}

void
set_release(struct set_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it))
		set_free(c, it.val);
	map_release(&c->sets);
	heap_release(&c->timers);
	heap_release(&c->gangs);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
set_check(const struct set_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->sets, &it)) {
		const struct set *s = it.val;

		CHECK(s->number == it.key && s->min <= s->max);
		CHECK(s->state != SET_DEAD || s->n == 0);
		CHECK(s->state != SET_ALIVE || set_up(s) >= s->min);
		CHECK(s->state != SET_PENDING || set_up(s) < s->min);
		for (unsigned i = 0; i < s->nseat; i++)
			CHECK((!s->seat[i].now || !s->seat[i].now->leaving) && (!s->seat[i].old || !s->seat[i].old->leaving));
		for (unsigned i = 0; i < s->n; i++) {
			const struct set_member *m = s->member[i];

			CHECK(m->set == s && (m->leaving || m->rank < s->max));
			CHECK(m->leaving || (m->old ? s->seat[m->rank].old : s->seat[m->rank].now) == m);
			CHECK((m->actor != 0) == (m->state >= MEMBER_STARTING));
			CHECK(s->state != SET_ENDING || m->leaving);
			CHECK(m->state != MEMBER_AWAY || (!m->leaving && m->timer.index));
			CHECK(!m->asked || m->leaving || (m->state == MEMBER_UP && m->timer.index));
			CHECK(m->state != MEMBER_UP || m->leaving || s->health.period == 0 || m->timer.index || m->ill);
			for (unsigned k = 0; k < i; k++)		/* a renewed one and who takes its place, no more */
				CHECK(m->leaving || s->member[k]->leaving || m->rank != s->member[k]->rank || m->old != s->member[k]->old);
		}
	}
	return 0;
}
