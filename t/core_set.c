/* core_set.c - sets of actors: made, replaced, resized, drained, gangs; and random inputs against the rules of set_check */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
			make(1 + k % 2, 1 + k % 2 + (k % 3 ? 0 : 2), k % 3 != 0);
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
			static const enum set_in_kind kinds[] = { SET_IN_GROUP, SET_IN_RESIZE, SET_IN_TICK, SET_IN_WATCH, SET_IN_GONE };

			in.kind = k == 99 ? SET_IN_END : kinds[k % 5];
			in.up = rand() % 8 != 0;
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

int
main(void)
{
	plain();
	gang();
	chance();
	set_release(&c);
	free(o.fx);
	return tap_done();
}
