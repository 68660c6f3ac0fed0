/* core_set.c - sets of actors: made, replaced, resized, drained, gangs; and random inputs against the rules of set_check */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/set.h"
#include "tap.h"

static struct set_core c;
static struct set_out o;
static char text[200];
static uint64_t now = 1, actors;

static int
step(struct set_in in)
{
	o.n = 0;
	return set_step(&c, now, &in, &o, text);
}

static unsigned
fx(enum set_fx_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < o.n; i++)
		n += o.fx[i].kind == kind;
	return n;
}

static void
forget(void)
{
	for (size_t i = 0; i < o.n; i++)
		if (o.fx[i].kind == SET_FX_FORGET)
			set_forget(&c, o.fx[i].set);
}

static uint64_t
make(unsigned min, unsigned max, bool gang)
{
	return step((struct set_in){ .kind = SET_IN_NEW, .proc = 1, .job = 1, .min = min, .max = max, .gang = gang, .drain = 1000,
	    .spec = span_of("x", 1) }) < 0 ? 0 : o.number;
}

static void
up(uint64_t set, uint32_t rank)
{
	step((struct set_in){ .kind = SET_IN_MADE, .set = set, .rank = rank, .actor = ++actors });
	step((struct set_in){ .kind = SET_IN_ACTOR, .set = set, .actor = actors, .up = true });
}

static void
dead(uint64_t set, uint64_t actor)
{
	step((struct set_in){ .kind = SET_IN_ACTOR, .set = set, .actor = actor, .dead = true, .text = "it died" });
}

static void
plain(void)
{
	uint64_t n = make(2, 3, false);
	struct set *s = set_get(&c, n);

	ok(n && fx(SET_FX_MAKE) == 3);	/* three members are asked for */
	up(n, 0);
	ok(s->state == SET_PENDING);	/* one is too few */
	up(n, 1);
	ok(s->state == SET_ALIVE && fx(SET_FX_STATE) == 1);	/* two make it alive, and its maker is told */
	up(n, 2);
	dead(n, 2);
	ok(fx(SET_FX_MAKE) == 1 && s->state == SET_ALIVE);	/* a dead one is made again at once */
	up(n, 1);
	dead(n, actors);
	ok(fx(SET_FX_MAKE) == 0 && o.at == now + 100000000);	/* the second time after a pause */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_MAKE) == 1);	/* which ends */
	up(n, 1);
	step((struct set_in){ .kind = SET_IN_RESIZE, .set = n, .min = 1, .max = 1 });
	ok(fx(SET_FX_STOP) == 0 && o.at == now + SET_NOTICE && s->n == 3);	/* fewer: told first */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_STOP) == 2 && o.at == now + 1000);	/* then stopped */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_KILL) == 2);	/* then killed */
	ok(step((struct set_in){ .kind = SET_IN_RESIZE, .set = n, .min = 3, .max = 1 }) == -EINVAL && text[0]);	/* no size */
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 1 });
	ok(s->state == SET_DEAD && fx(SET_FX_FORGET) == 1);	/* its job is over */
	forget();
	ok(set_get(&c, n) == NULL && set_check(&c) == 0);	/* nothing is left of it */
}

static void
gang(void)
{
	uint64_t n = make(2, 2, true);
	struct set *s = set_get(&c, n);

	ok(fx(SET_FX_GROUP) == 1 && fx(SET_FX_MAKE) == 0);	/* a gang asks for its place first */
	step((struct set_in){ .kind = SET_IN_GROUP, .set = n, .up = true });
	ok(fx(SET_FX_MAKE) == 2);	/* then for its members */
	up(n, 0);
	up(n, 1);
	dead(n, actors);
	ok(fx(SET_FX_KILL) == 1 && fx(SET_FX_MAKE) == 0);	/* one dies: the other one is killed */
	dead(n, actors - 1);
	ok(s->generation == 2 && o.at == now);	/* the next generation */
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_MAKE) == 2);	/* is made */
	step((struct set_in){ .kind = SET_IN_GROUP, .set = n, .text = "it was removed" });
	step((struct set_in){ .kind = SET_IN_MADE, .set = n, .rank = 0, .actor = ++actors });
	ok(fx(SET_FX_KILL) == 1);	/* without its place it ends: who gets a number is killed */
	step((struct set_in){ .kind = SET_IN_MADE, .set = n, .rank = 1, .actor = ++actors });
	dead(n, actors);
	dead(n, actors - 1);
	ok(s->state == SET_DEAD && strcmp(s->text, "it was removed") == 0);	/* and says why */
	forget();
}

static void
health(void)
{
	uint64_t n, round;
	struct set *s;

	step((struct set_in){ .kind = SET_IN_NEW, .proc = 1, .job = 1, .min = 1, .max = 1, .period = 100, .patience = 30,
	    .method = span_of("ping", 4), .spec = span_of("x", 1) });
	s = set_get(&c, n = o.number);
	up(n, 0);
	ok(o.at == now + 100 && s->health.method.len == 4);	/* one that is up is checked after a period */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_CHECK) == 1 && o.fx[0].actor == actors && o.at == now + 30);	/* it is asked */
	round = o.fx[0].round;
	step((struct set_in){ .kind = SET_IN_HEALTH, .set = n, .actor = actors, .round = round + 1, .up = true });
	ok(o.at == now + 30);	/* an answer to something else does not count */
	step((struct set_in){ .kind = SET_IN_HEALTH, .set = n, .actor = actors, .round = round, .up = true });
	ok(o.n == 0 && o.at == now + 100);	/* it is well: again after a period */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_ILL) == 1 && o.at == 0);	/* no answer in time */
	step((struct set_in){ .kind = SET_IN_NOTE, .set = n, .text = "it was silent" });
	ok(fx(SET_FX_STATE) == 1 && strcmp(s->text, "it was silent") == 0);	/* watchers are told why */
	step((struct set_in){ .kind = SET_IN_HEALTH, .set = n, .actor = actors, .round = round + 1, .up = true });
	ok(o.n == 0 && o.at == 0);	/* too late */
	step((struct set_in){ .kind = SET_IN_ACTOR, .set = n, .actor = actors });
	step((struct set_in){ .kind = SET_IN_ACTOR, .set = n, .actor = actors, .up = true });
	ok(o.at == now + 100 && set_check(&c) == 0);	/* it was started again, and is checked again */
	now = o.at;
	step((struct set_in){ .kind = SET_IN_TICK });
	step((struct set_in){ .kind = SET_IN_HEALTH, .set = n, .actor = actors, .round = s->member[0]->round });
	ok(fx(SET_FX_ILL) == 1);	/* it says itself that it is ill */
	step((struct set_in){ .kind = SET_IN_END, .set = n, .kill = true });
	dead(n, actors);
	forget();
}

static void
renewal(unsigned surge)
{
	struct set *s;
	uint64_t n;
	unsigned most = 0, least = 3, made = 0;

	step((struct set_in){ .kind = SET_IN_NEW, .proc = 1, .job = 1, .min = 1, .max = 3, .surge = surge, .spec = span_of("x", 1) });
	s = set_get(&c, n = o.number);
	for (unsigned i = 0; i < 3; i++)
		up(n, i);
	step((struct set_in){ .kind = SET_IN_RENEW, .set = n });
	for (unsigned i = 0; i < 100 && set_check(&c) == 0; i++) {
		struct set_fx f = { .kind = SET_FX_FORGET };

		most = s->n > most ? s->n : most;
		least = set_up(s) < least ? set_up(s) : least;
		if (o.n == 0) {
			if (o.at == 0)
				break;
			now = o.at;
			step((struct set_in){ .kind = SET_IN_TICK });
			continue;
		}
		for (size_t k = 0; k < o.n && f.kind == SET_FX_FORGET; k++)
			if (o.fx[k].kind == SET_FX_MAKE || o.fx[k].kind == SET_FX_STOP)
				f = o.fx[k];
		if (f.kind == SET_FX_MAKE)
			up(n, f.rank), made++;
		else if (f.kind == SET_FX_STOP)
			dead(n, f.actor);
		else
			o.n = 0;
	}
	ok(made == 3 && s->n == 3 && set_up(s) == 3 && set_check(&c) == 0);	/* all three are new */
	ok(surge ? least == 3 && most == 4 : least == 2 && most == 3);	/* never fewer, or never more */
	for (unsigned i = 0; i < 3; i++)
		ok(!s->member[i]->old && !s->member[i]->leaving);
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 1 });
	forget();
}

static void
chance(void)
{
	int bad = 0;

	srand(1);
	for (unsigned i = 0; i < 200000 && bad == 0; i++) {
		struct set_in in = { .set = 1 + (unsigned)rand() % (c.last ? c.last : 1), .rank = (unsigned)rand() % 4, .text = "x" };
		struct set *s = set_get(&c, in.set);
		unsigned k = (unsigned)rand() % 100;

		now += (unsigned)rand() % 50000000;
		if (c.sets.n < 4) {
			step((struct set_in){ .kind = SET_IN_NEW, .proc = 1, .job = 1, .min = 1 + k % 2, .max = 1 + k % 2 + (k % 3 ? 0 : 2),
			    .gang = k % 3 != 0, .drain = 1000, .period = k % 4 * 20000000, .patience = 30000000, .surge = k % 5 % 3,
			    .spec = span_of("x", 1) });
		} else if (k < 30) {
			in.kind = SET_IN_MADE;
			in.actor = rand() % 20 ? ++actors : 0;
			step(in);
		} else if (k < 80 && s && s->n) {
			in.kind = SET_IN_ACTOR;
			in.actor = s->member[(unsigned)rand() % s->n]->actor;
			in.dead = k < 45;
			in.up = k < 75;
			in.bad = k < 31;
			step(in);
		} else {
			static const enum set_in_kind kinds[] = { SET_IN_GROUP, SET_IN_RESIZE, SET_IN_TICK, SET_IN_WATCH, SET_IN_GONE,
			    SET_IN_HEALTH, SET_IN_RENEW, SET_IN_NOTE, SET_IN_TICK };

			in.kind = k == 99 ? SET_IN_END : kinds[(unsigned)rand() % 9];
			if (s && s->n) {
				in.actor = s->member[(unsigned)rand() % s->n]->actor;
				in.round = s->member[0]->round;
			}
			in.up = rand() % 8 != 0;
			in.req = i;
			in.kill = rand() % 2;
			in.proc = 1 + (unsigned)rand() % 5;
			in.min = (unsigned)rand() % 3;
			in.max = (unsigned)rand() % 5;
			step(in);
		}
		forget();
		bad = set_check(&c);
	}
	ok(bad == 0);	/* 200,000 random inputs */
}

/* another daemon takes over */
static void
heirs(void)
{
	struct set_in in = { .kind = SET_IN_HEIR, .job = 5, .min = 2, .max = 3, .spec = span_of("x", 1), .set = 100, .generation = 1, .up = true };
	struct set *s, *g;

	now += 1000;
	ok(step(in) == 0 && o.n == 0 && c.last == 100);
	s = set_get(&c, 100);
	ok(s->ever && s->revision == now);
	in.set = 90;
	in.gang = true;
	in.min = 3;
	ok(step(in) == 0 && c.last == 100);
	g = set_get(&c, 90);
	ok(g->generation == 2);			/* a gang is the next one */
	ok(step((struct set_in){ .kind = SET_IN_HELD, .set = 100, .rank = 1, .actor = ++actors }) == 0 && set_check(&c) == 0);
	ok(step((struct set_in){ .kind = SET_IN_HELD, .set = 100, .rank = 3, .actor = actors + 1 }) == -ESRCH);	/* no rank of it */
	ok(step((struct set_in){ .kind = SET_IN_HELD, .set = 90, .rank = 0, .actor = actors + 1 }) == -ESRCH);
	step((struct set_in){ .kind = SET_IN_RESUME, .job = 5 });
	ok(fx(SET_FX_MAKE) == 2 && fx(SET_FX_GROUP) == 1 && s->n == 3);	/* what lacks is made */
	step((struct set_in){ .kind = SET_IN_ACTOR, .set = 100, .actor = actors, .up = true });
	up(100, 0);
	ok(s->state == SET_ALIVE && set_check(&c) == 0);
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 5 });
	forget();
}

/* a renewal and who drains outlive a daemon */
static void
heirs_renewed(void)
{
	struct set_renewal r[] = { { 7, 70 }, { 8, 80 } };
	struct set_in in = { .kind = SET_IN_HEIR, .job = 6, .min = 1, .max = 2, .surge = 1, .drain = 1000, .spec = span_of("x", 1),
	    .set = 200, .up = true, .renewal = r, .nrenewal = 2 };
	struct set_in held = { .kind = SET_IN_HELD, .set = 200 };
	struct set *s;

	ok(step(in) == 0);
	s = set_get(&c, 200);
	held.actor = 1002;
	ok(step(held) == 0);
	held.actor = 1001;
	ok(step(held) == 0 && s->member[1]->leaving && !s->member[0]->leaving);	/* two of a rank: the newer one stays */
	held.rank = 1;
	held.actor = 1003;
	ok(step(held) == 0);
	held.actor = 1004;
	ok(step(held) == 0 && s->member[2]->leaving && !s->member[3]->leaving);	/* in any order */
	held.rank = 5;
	held.actor = 1005;
	held.leaving = true;
	ok(step(held) == 0 && s->member[4]->leaving && set_check(&c) == 0);	/* one that was to go, of a rank that is none any more */
	step((struct set_in){ .kind = SET_IN_RESUME, .job = 6, .until = now + 500 });
	ok(o.n == 0 && o.at == now + 500 && s->n == 5);		/* nothing lacks; their callers have a while to come back */
	for (uint64_t a = 1001; a <= 1005; a++)
		step((struct set_in){ .kind = SET_IN_ACTOR, .set = 200, .actor = a, .up = true });
	step((struct set_in){ .kind = SET_IN_RENEW, .set = 200, .proc = 7, .req = 70 });
	ok(o.n == 0 && !s->member[0]->old);			/* that renewal was asked for before */
	now += 500;
	step((struct set_in){ .kind = SET_IN_TICK });
	ok(fx(SET_FX_STOP) == 3 && fx(SET_FX_KILL) == 0);	/* then they finish what they were sent */
	dead(200, 1001);
	dead(200, 1004 - 1);
	dead(200, 1005);
	ok(s->n == 2 && set_up(s) == 2 && set_check(&c) == 0);
	step((struct set_in){ .kind = SET_IN_RENEW, .set = 200, .proc = 7, .req = 71 });
	ok(fx(SET_FX_MAKE) == 1);				/* another one of that process is one */
	step((struct set_in){ .kind = SET_IN_RENEW, .set = 200, .proc = 7, .req = 71 });
	ok(o.n == 0 && s->nrenewal == 2);
	step((struct set_in){ .kind = SET_IN_GONE, .proc = 8 });
	ok(s->nrenewal == 1);					/* who is gone asks no more */
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 6 });
	forget();
}

/* as many members as there can be: what a change costs does not grow with them more than once */
static void
many(void)
{
	struct timespec a, b;
	struct set *s;
	uint64_t n = make(1, SET_MAX, false);
	unsigned back = 0;

	s = set_get(&c, n);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (uint32_t r = 0; r < SET_MAX; r++)
		up(n, r);
	for (unsigned i = 0; i < SET_MAX / 4; i++) {
		dead(n, s->member[i]->actor);
		back += fx(SET_FX_MAKE);
		up(n, s->member[i]->rank);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	printf("# %u members up, killed, replaced: %.2f us an event\n", SET_MAX,
	    ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) / (2 * SET_MAX + 3 * (SET_MAX / 4)));
	ok(back == SET_MAX / 4 && s->n == SET_MAX && set_up(s) == SET_MAX);
	step((struct set_in){ .kind = SET_IN_RENEW, .set = n, .proc = 1, .req = 1 });
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 1 });
	forget();
}

static void
limits(void)
{
	uint64_t n;

	ok(make(1, SET_MAX + 1, false) == 0 && strstr(text, "4096"));
	ok(make(2, 1, false) == 0);
	ok((n = make(1, SET_MAX, false)) != 0 && fx(SET_FX_MAKE) == SET_MAX && set_check(&c) == 0);
	ok(step((struct set_in){ .kind = SET_IN_RESIZE, .set = n, .min = 1, .max = SET_MAX + 1 }) == -EINVAL);
	step((struct set_in){ .kind = SET_IN_JOB_END, .job = 1 });
	ok(fx(SET_FX_FORGET) >= 1);
	forget();
	ok(set_get(&c, n) == NULL);
}

int
main(void)
{
	plain();
	gang();
	heirs();
	health();
	renewal(0);
	renewal(1);
	heirs_renewed();
	chance();
	many();
	limits();
	set_release(&c);
	free(o.fx);
	return tap_done();
}
