#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/actor.h"

static struct actor_fx *
fx_add(struct actor_out *o, enum actor_fx_kind kind, const struct actor_life *a)
{
	static struct actor_fx lost;	/* no memory: the effect is dropped */
	struct actor_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct actor_fx){ .kind = kind, .actor = a ? a->number : 0 };
	return &p[o->n++];
}

static void
fx_fail(struct actor_out *o, const struct actor_in *in, const char *text)
{
	struct actor_fx *fx = fx_add(o, ACTOR_FX_FAIL, NULL);

	fx->actor = in->actor;
	fx->proc = in->proc;
	fx->req = in->req;
	snprintf(fx->text, sizeof fx->text, "%s", text);
}

static int
holds(const struct actor_life *a, uint32_t proc)	/* its place, -1 if it does not */
{
	for (unsigned i = 0; i < a->nholder; i++)
		if (a->holder[i] == proc)
			return (int)i;
	return -1;
}

static int
opened(const struct actor_life *a, uint32_t proc, uint32_t group)
{
	for (unsigned i = 0; i < a->nopener; i++)
		if (a->opener[i].proc == proc && a->opener[i].group == group)
			return (int)i;
	return -1;
}

static void
close_all(struct actor_life *a, uint32_t proc, bool granted)	/* granted: only those that have their ring */
{
	for (unsigned i = a->nopener; i-- > 0;)
		if (a->opener[i].proc == proc && (a->opener[i].granted || !granted))
			a->opener[i] = a->opener[--a->nopener];
}

static int
hold(struct actor_life *a, uint32_t proc)
{
	uint32_t *p;

	if (proc == a->worker || holds(a, proc) >= 0)
		return 0;
	if ((a->nholder & (a->nholder - 1)) == 0) {	/* a power of two is full */
		if ((p = realloc(a->holder, (a->nholder ? 2 * a->nholder : 1) * sizeof *p)) == NULL)
			return -ENOMEM;
		a->holder = p;
	}
	a->holder[a->nholder++] = proc;
	return 0;
}

static int
watches(const struct actor_life *a, uint32_t proc)
{
	for (unsigned i = 0; i < a->nwatcher; i++)
		if (a->watcher[i] == proc)
			return (int)i;
	return -1;
}

static int
watch(struct actor_life *a, uint32_t proc)
{
	uint32_t *p;

	if (watches(a, proc) >= 0)
		return 0;
	if ((a->nwatcher & (a->nwatcher - 1)) == 0) {
		if ((p = realloc(a->watcher, (a->nwatcher ? 2 * a->nwatcher : 1) * sizeof *p)) == NULL)
			return -ENOMEM;
		a->watcher = p;
	}
	a->watcher[a->nwatcher++] = proc;
	return 0;
}

static int
open_add(struct actor_life *a, uint32_t proc, uint32_t group, uint64_t req)
{
	struct actor_opener *p;
	int i = opened(a, proc, group);

	if (i >= 0) {
		a->opener[i].req = req;
		a->opener[i].granted = false;
		return i;
	}
	if ((a->nopener & (a->nopener - 1)) == 0) {
		if ((p = realloc(a->opener, (a->nopener ? 2 * a->nopener : 1) * sizeof *p)) == NULL)
			return -ENOMEM;
		a->opener = p;
	}
	a->opener[a->nopener] = (struct actor_opener){ .proc = proc, .group = group, .req = req };
	return (int)a->nopener++;
}

static void
tell(const struct actor_life *a, struct actor_out *o)	/* the new state, to all who know it */
{
	fx_add(o, ACTOR_FX_NOTE, a);
	for (unsigned i = 0; i < a->nholder; i++)
		fx_add(o, ACTOR_FX_STATE, a)->proc = a->holder[i];
	for (unsigned i = 0; i < a->nopener; i++)
		if (a->opener[i].group == 0 && holds(a, a->opener[i].proc) < 0)	/* who opens any opens that */
			fx_add(o, ACTOR_FX_STATE, a)->proc = a->opener[i].proc;
	for (unsigned i = 0; i < a->nwatcher; i++)
		if (holds(a, a->watcher[i]) < 0 && opened(a, a->watcher[i], 0) < 0)
			fx_add(o, ACTOR_FX_STATE, a)->proc = a->watcher[i];
}

static void
die(struct actor_core *c, struct actor_life *a, const char *text, struct actor_out *o)
{
	heap_del(&c->timers, &a->timer);
	if (a->stage == STAGE_PLACING)
		fx_add(o, ACTOR_FX_UNPLACE, a);
	a->state = ACTOR_DEAD;
	a->stage = STAGE_NONE;
	a->worker = 0;
	if (text != a->text)
		snprintf(a->text, sizeof a->text, "%s", text);
	tell(a, o);
	for (unsigned i = 0; i < a->nopener; i++)
		if (!a->opener[i].granted) {
			struct actor_in in = { .actor = a->number, .proc = a->opener[i].proc, .req = a->opener[i].req };

			fx_fail(o, &in, a->text);
		}
	a->nopener = 0;
	if (a->nholder == 0)
		fx_add(o, ACTOR_FX_FORGET, a);
}

static void
place(struct actor_life *a, struct actor_out *o)
{
	a->stage = STAGE_PLACING;
	fx_add(o, ACTOR_FX_PLACE, a);
}

/* After the calls already sent: those whose ring is still to come are sent then. */
static void
end(struct actor_core *c, struct actor_life *a, const char *text, struct actor_out *o)
{
	if (a->state == ACTOR_DEAD)
		return;
	a->ending = a->final = true;
	snprintf(a->text, sizeof a->text, "%s", text);
	if (a->stage == STAGE_UP)
		fx_add(o, ACTOR_FX_STOP, a)->worker = a->worker;
	else if (a->nopener == 0) {
		if (a->worker)
			fx_add(o, ACTOR_FX_KILL, a)->worker = a->worker;
		die(c, a, text, o);
	}
}

static void
kill_it(struct actor_core *c, struct actor_life *a, bool final, const char *text, struct actor_out *o)
{
	if (a->state == ACTOR_DEAD)
		return;
	if (final) {
		a->final = true;
		snprintf(a->text, sizeof a->text, "%s", text);
	}
	if (a->worker)
		fx_add(o, ACTOR_FX_KILL, a)->worker = a->worker;
	else if (final)
		die(c, a, text, o);
}

/* its worker is dead */
static void
lost(struct actor_core *c, struct actor_life *a, uint64_t now, const char *text, struct actor_out *o)
{
	static const uint64_t pause[] = { 0, 100000000, 1000000000 };	/* ns before the 1st, 2nd, further restarts in a row */

	a->worker = 0;
	if (a->orphan) {
		heap_del(&c->timers, &a->timer);
		a->orphan = false;
		a->final |= a->nholder == 0;
	}
	if (a->final || a->restarts == 0) {
		die(c, a, a->final ? (a->text[0] ? a->text : "it was stopped") : text, o);
		return;
	}
	if (a->restarts != UINT32_MAX)
		a->restarts--;
	if (a->crashes && now - a->crashed > UINT64_C(10000000000))
		a->crashes = 0;
	a->crashed = now;
	a->state = ACTOR_RESTARTING;
	a->stage = STAGE_NONE;
	a->incarnation++;
	snprintf(a->text, sizeof a->text, "%s", text);
	for (unsigned i = 0; i < a->nopener; i++)
		a->opener[i].granted = false;
	tell(a, o);
	if (a->crashes == 0 || heap_set(&c->timers, &a->timer, now + pause[a->crashes > 2 ? 2 : a->crashes]) < 0)
		place(a, o);
	a->crashes++;
}

static void
drop(struct actor_core *c, struct actor_life *a, uint32_t proc, struct actor_out *o)
{
	int i;

	close_all(a, proc, true);
	if ((i = holds(a, proc)) < 0)
		return;
	a->holder[i] = a->holder[--a->nholder];
	if (a->nholder == 0 && a->state == ACTOR_DEAD)
		fx_add(o, ACTOR_FX_FORGET, a);
	else if (a->nholder == 0 && !a->detached && !a->set && !a->ending && !a->final) {
		/* a handle may be on its way from one process to another: its new holder has a moment to say so */
		if (a->timer.index == 0 && heap_set(&c->timers, &a->timer, c->now + ACTOR_GRACE) == 0)
			a->orphan = true;
		else
			end(c, a, "nobody holds it any more", o);
	}
}

static int
set(struct buf *b, struct span s)
{
	return s.n ? buf_add(b, s.p, s.n) : 0;
}

static void
life_free(struct actor_life *a)
{
	buf_release(&a->name);
	buf_release(&a->class);
	buf_release(&a->namespace);
	buf_release(&a->methods);
	buf_release(&a->spec);
	buf_release(&a->error);
	free(a->holder);
	free(a->watcher);
	free(a->opener);
	free(a);
}

static void
inherit(struct actor_life *a, const struct actor_in *in)
{
	a->req = in->req;
	a->restarts = in->restarts;
	a->incarnation = in->incarnation;
	a->state = ACTOR_RESTARTING;
	snprintf(a->text, sizeof a->text, "%s", in->text);
	a->orphan = !a->detached && !a->set;
}

static int
in_new(struct actor_core *c, const struct actor_in *in, struct actor_out *o)
{
	const struct msg_actor_new *m = in->new;
	struct actor_life *a = calloc(1, sizeof *a);

	if (a == NULL)
		return -ENOMEM;
	*a = (struct actor_life){ .number = in->actor, .need = in->need, .job = in->job, .creator = in->proc,
	    .restarts = m->restarts > UINT32_MAX ? UINT32_MAX : (uint32_t)m->restarts, .incarnation = 1,
	    .state = ACTOR_PENDING, .detached = m->detached != 0, .wait = m->wait != 0,
	    .threads = m->threads < UINT16_MAX ? (unsigned)m->threads : UINT16_MAX, .pgroup = m->pgroup,
	    .bundle = m->bundle < UINT32_MAX ? (unsigned)m->bundle : UINT32_MAX, .capture = m->capture != 0,
	    .set = in->set, .rank = in->rank, .keeper = in->keeper };
	if (set(&a->name, m->name) < 0 || set(&a->class, m->class) < 0 || set(&a->methods, m->methods) < 0 ||
	    set(&a->spec, m->spec) < 0 || set(&a->namespace, in->namespace) < 0 || (in->proc && in->kind == ACTOR_IN_NEW && hold(a, in->proc) < 0) ||
	    map_put(&c->actors, a->number, a) < 0) {
		life_free(a);
		return -ENOMEM;
	}
	if (in->kind == ACTOR_IN_HEIR)
		inherit(a, in);
	else if (in->proc == 0 && !a->detached && !a->set)	/* its creator died meanwhile */
		die(c, a, "its creator died", o);
	else
		place(a, o);
	return 0;
}

static void
in_up(struct actor_core *c, struct actor_life *a, const struct actor_in *in, struct actor_out *o)
{
	if (a->stage != STAGE_STARTING || a->worker != in->worker)
		return;
	if (!in->ok) {
		if (in->error.n)
			buf_add(&a->error, in->error.p, in->error.n);
		fx_add(o, ACTOR_FX_KILL, a)->worker = a->worker;
		a->unfit = true;
		die(c, a, "its constructor failed", o);
		return;
	}
	a->stage = STAGE_UP;
	a->state = ACTOR_ALIVE;
	a->text[0] = '\0';
	tell(a, o);
	for (unsigned i = 0; i < a->nopener; i++) {
		struct actor_fx *fx = fx_add(o, ACTOR_FX_RING, a);

		fx->proc = a->opener[i].proc;
		fx->group = a->opener[i].group;
		fx->req = a->opener[i].req;
		fx->worker = a->worker;
		a->opener[i].granted = true;
	}
	if (a->ending)
		end(c, a, "it was stopped", o);
}

static int
in_open(struct actor_life *a, const struct actor_in *in, struct actor_out *o)
{
	struct actor_fx *fx;
	int i;

	if (a == NULL || a->state == ACTOR_DEAD) {
		if (a)
			fx_add(o, ACTOR_FX_STATE, a)->proc = in->proc;
		fx_fail(o, in, a ? a->text : "the actor is gone");
		return 0;
	}
	if ((i = open_add(a, in->proc, in->group, in->req)) < 0)
		return i;
	if (a->stage == STAGE_UP) {
		a->opener[i].granted = true;
		fx = fx_add(o, ACTOR_FX_RING, a);
		fx->proc = in->proc;
		fx->group = in->group;
		fx->req = in->req;
		fx->worker = a->worker;
	}
	return 0;
}

static void
in_gone(struct actor_core *c, uint64_t now, const struct actor_in *in, struct actor_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct actor_life *a = it.val;
		int i;

		if (a->worker && a->worker == in->proc)
			lost(c, a, now, in->text, o);
		close_all(a, in->proc, false);
		if ((i = watches(a, in->proc)) >= 0)
			a->watcher[i] = a->watcher[--a->nwatcher];
		drop(c, a, in->proc, o);
	}
}

static void
in_job_end(struct actor_core *c, uint32_t job, struct actor_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct actor_life *a = it.val;

		if (a->job == job && !a->detached)
			kill_it(c, a, true, "its job is over", o);
	}
}

static void
in_unkept(struct actor_core *c, uint32_t keeper)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct actor_life *a = it.val;

		if (a->keeper == keeper && a->detached)
			a->keeper = 0;
	}
}

static void
in_resume(struct actor_core *c, const struct actor_in *in, struct actor_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct actor_life *a = it.val;

		if (a->job != in->job || (in->actor && in->actor != a->number) || a->state != ACTOR_RESTARTING || a->stage != STAGE_NONE)
			continue;
		if (a->orphan && heap_set(&c->timers, &a->timer, in->until) < 0)
			a->orphan = false;
		place(a, o);
	}
}

static void
in_tick(struct actor_core *c, uint64_t now, struct actor_out *o)
{
	struct heap_node *n;

	while ((n = heap_top(&c->timers)) != NULL && n->at <= now) {
		struct actor_life *a = (struct actor_life *)(void *)((char *)n - offsetof(struct actor_life, timer));

		heap_del(&c->timers, n);
		if (!a->orphan)
			place(a, o);
		else if (a->nholder == 0 && !a->ending)
			end(c, a, "nobody holds it any more", o);
		a->orphan = false;
	}
}

int
actor_step(struct actor_core *c, uint64_t now, const struct actor_in *in, struct actor_out *o)
{
	struct actor_life *a = in->actor ? map_get(&c->actors, in->actor) : NULL;
	int e = 0, i;

	c->now = now;
	switch (in->kind) {
	case ACTOR_IN_NEW: case ACTOR_IN_HEIR: e = in_new(c, in, o); break;
	case ACTOR_IN_RESUME: in_resume(c, in, o); break;
	case ACTOR_IN_OPEN: e = in_open(a, in, o); break;
	case ACTOR_IN_GONE: in_gone(c, now, in, o); break;
	case ACTOR_IN_UNKEPT: in_unkept(c, in->keeper); break;
	case ACTOR_IN_JOB_END: in_job_end(c, in->job, o); break;
	case ACTOR_IN_TICK: in_tick(c, now, o); break;
	default:
		if (a == NULL)
			break;
		switch (in->kind) {
		case ACTOR_IN_PLACED:
			if (a->stage != STAGE_PLACING) {
				fx_add(o, ACTOR_FX_KILL, a)->worker = in->worker;
				break;
			}
			a->stage = STAGE_STARTING;
			a->worker = in->worker;
			fx_add(o, ACTOR_FX_START, a)->worker = in->worker;
			break;
		case ACTOR_IN_NOFORK:
			if (a->stage == STAGE_PLACING)
				place(a, o);
			break;
		case ACTOR_IN_NOPLACE:
			a->unfit = a->stage == STAGE_PLACING;
			if (a->unfit)
				die(c, a, in->text, o);
			break;
		case ACTOR_IN_UP: in_up(c, a, in, o); break;
		case ACTOR_IN_HOLD:
			e = hold(a, in->proc);
			if (a->state == ACTOR_DEAD)
				fx_add(o, ACTOR_FX_STATE, a)->proc = in->proc;
			break;
		case ACTOR_IN_WATCH:
			if (a->state != ACTOR_DEAD)
				e = watch(a, in->proc);
			break;
		case ACTOR_IN_DROP: drop(c, a, in->proc, o); break;
		case ACTOR_IN_CLOSE:
			if ((i = opened(a, in->proc, in->group)) >= 0)
				a->opener[i] = a->opener[--a->nopener];
			break;
		case ACTOR_IN_KILL:
			if (in->stop)
				end(c, a, "it was stopped", o);
			else
				kill_it(c, a, !in->restart, "it was killed", o);
			break;
		default: break;
		}
	}
	o->at = heap_top(&c->timers) ? heap_top(&c->timers)->at : 0;
	return e;
}

void
actor_init(struct actor_core *c)
{
	*c = (struct actor_core){ .actors = MAP_INIT, .timers = HEAP_INIT };
}

void
actor_forget(struct actor_core *c, uint64_t number)
{
	struct actor_life *a = map_get(&c->actors, number);

	if (a && a->state == ACTOR_DEAD && a->nholder == 0) {
		map_del(&c->actors, number);
		life_free(a);
	}
}

void
actor_release(struct actor_core *c)
{
	struct map_iter it = MAP_ITER;

	heap_release(&c->timers);		/* its nodes lie in the actors */
	while (map_next(&c->actors, &it))
		life_free(it.val);
	map_release(&c->actors);
}
