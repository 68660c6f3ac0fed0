/* core_actor.c - an actor's life: placed, alive, restarted, stopped, dead; everybody who knows it hears of it, whatever the order */
#include <stdlib.h>
#include <string.h>
#include "core/actor.h"
#include "tap.h"

#define SEC UINT64_C(1000000000)

static struct actor_core c;
static struct actor_out o;
static uint64_t now = SEC;
static unsigned seen[ACTOR_FX_FORGET + 1];	/* effects of the last step */
static struct actor_fx last[ACTOR_FX_FORGET + 1];

static void
step(struct actor_in in)
{
	memset(seen, 0, sizeof seen);
	actor_step(&c, now, &in, &o);
	for (size_t i = 0; i < o.n; i++) {
		seen[o.fx[i].kind]++;
		last[o.fx[i].kind] = o.fx[i];
		if (o.fx[i].kind == ACTOR_FX_FORGET)
			actor_forget(&c, o.fx[i].actor);
	}
	o.n = 0;
}

static struct actor_life *
make(uint64_t number, uint32_t creator, uint64_t restarts, bool detached)
{
	struct msg_actor_new m = { .name = span_of("n", 1), .class = span_of("C", 1), .spec = span_of("spec", 4),
	    .restarts = restarts, .detached = detached };

	step((struct actor_in){ .kind = ACTOR_IN_NEW, .actor = number, .proc = creator, .job = creator, .new = &m });
	return actor_get(&c, number);
}

#define STEP(...) step((struct actor_in){ __VA_ARGS__ })

static void
life(void)
{
	struct actor_life *a = make(1, 10, 1, false);

	ok(seen[ACTOR_FX_PLACE] == 1 && a->state == ACTOR_PENDING);
	STEP(.kind = ACTOR_IN_OPEN, .actor = 1, .proc = 10, .req = 5);
	ok(seen[ACTOR_FX_RING] == 0);
	STEP(.kind = ACTOR_IN_NOFORK, .actor = 1);
	ok(seen[ACTOR_FX_PLACE] == 1 && a->state == ACTOR_PENDING);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 1, .worker = 100);
	ok(seen[ACTOR_FX_START] == 1 && last[ACTOR_FX_START].worker == 100);
	STEP(.kind = ACTOR_IN_UP, .actor = 1, .worker = 77, .ok = true);
	ok(a->state == ACTOR_PENDING);			/* not its worker */
	STEP(.kind = ACTOR_IN_UP, .actor = 1, .worker = 100, .ok = true);
	ok(a->state == ACTOR_ALIVE && seen[ACTOR_FX_RING] == 1 && last[ACTOR_FX_RING].req == 5 && seen[ACTOR_FX_STATE] == 1);
	STEP(.kind = ACTOR_IN_HOLD, .actor = 1, .proc = 11);
	STEP(.kind = ACTOR_IN_OPEN, .actor = 1, .proc = 11, .req = 6);
	ok(seen[ACTOR_FX_RING] == 1 && last[ACTOR_FX_RING].proc == 11);
	/* its worker dies: the next incarnation, new rings for both */
	STEP(.kind = ACTOR_IN_GONE, .proc = 100, .text = "worker 1 killed by SIGKILL");
	ok(a->state == ACTOR_RESTARTING && a->incarnation == 2 && seen[ACTOR_FX_PLACE] == 1 && seen[ACTOR_FX_STATE] == 2);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 1, .worker = 101);
	STEP(.kind = ACTOR_IN_UP, .actor = 1, .worker = 101, .ok = true);
	ok(seen[ACTOR_FX_RING] == 2);
	/* and again: no restarts are left */
	STEP(.kind = ACTOR_IN_GONE, .proc = 101, .text = "worker 2 killed by SIGSEGV");
	ok(a->state == ACTOR_DEAD && strstr(a->text, "SIGSEGV") && seen[ACTOR_FX_NOTE] == 1 && seen[ACTOR_FX_STATE] == 2);
	STEP(.kind = ACTOR_IN_OPEN, .actor = 1, .proc = 11, .req = 8);
	ok(seen[ACTOR_FX_FAIL] == 1 && last[ACTOR_FX_FAIL].req == 8 && strstr(last[ACTOR_FX_FAIL].text, "SIGSEGV"));
	STEP(.kind = ACTOR_IN_DROP, .actor = 1, .proc = 10);
	ok(actor_get(&c, 1) == a);
	STEP(.kind = ACTOR_IN_GONE, .proc = 11, .text = "");
	ok(actor_get(&c, 1) == NULL);			/* nobody can ask any more */
}

static void
ends(void)
{
	struct actor_life *a = make(2, 10, 5, false);

	/* a constructor that fails is the end, not a restart */
	STEP(.kind = ACTOR_IN_OPEN, .actor = 2, .proc = 10, .req = 1);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 2, .worker = 100);
	STEP(.kind = ACTOR_IN_UP, .actor = 2, .worker = 100, .ok = false, .error = span_of("boom", 4));
	ok(a->state == ACTOR_DEAD && seen[ACTOR_FX_KILL] == 1 && seen[ACTOR_FX_FAIL] == 1 && a->error.len == 4);
	STEP(.kind = ACTOR_IN_GONE, .proc = 100, .text = "");
	ok(a->state == ACTOR_DEAD && seen[ACTOR_FX_STATE] == 0);

	/* the last handle goes: it stops after its calls, and its death is no crash */
	a = make(3, 10, 5, false);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 3, .worker = 100);
	STEP(.kind = ACTOR_IN_UP, .actor = 3, .worker = 100, .ok = true);
	STEP(.kind = ACTOR_IN_DROP, .actor = 3, .proc = 10);
	ok(seen[ACTOR_FX_STOP] == 0 && o.at == now + ACTOR_GRACE);	/* a handle may be on its way */
	STEP(.kind = ACTOR_IN_HOLD, .actor = 3, .proc = 11);
	now += ACTOR_GRACE;
	STEP(.kind = ACTOR_IN_TICK);
	ok(seen[ACTOR_FX_STOP] == 0 && o.at == 0);
	STEP(.kind = ACTOR_IN_DROP, .actor = 3, .proc = 11);
	now += ACTOR_GRACE;
	STEP(.kind = ACTOR_IN_TICK);
	ok(seen[ACTOR_FX_STOP] == 1 && seen[ACTOR_FX_KILL] == 0);
	STEP(.kind = ACTOR_IN_GONE, .proc = 100, .text = "worker 3 ended");
	ok(actor_get(&c, 3) == NULL && seen[ACTOR_FX_PLACE] == 0);

	/* dropped while it is placed: calls that wait for a ring are served first */
	make(4, 10, 0, false);
	STEP(.kind = ACTOR_IN_OPEN, .actor = 4, .proc = 10, .req = 1);
	STEP(.kind = ACTOR_IN_DROP, .actor = 4, .proc = 10);
	now += ACTOR_GRACE;
	STEP(.kind = ACTOR_IN_TICK);
	ok(seen[ACTOR_FX_UNPLACE] == 0);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 4, .worker = 100);
	STEP(.kind = ACTOR_IN_UP, .actor = 4, .worker = 100, .ok = true);
	ok(seen[ACTOR_FX_RING] == 1 && seen[ACTOR_FX_STOP] == 1);
	STEP(.kind = ACTOR_IN_GONE, .proc = 100, .text = "");
	make(5, 10, 0, false);
	STEP(.kind = ACTOR_IN_DROP, .actor = 5, .proc = 10);
	now += ACTOR_GRACE;
	STEP(.kind = ACTOR_IN_TICK);
	ok(seen[ACTOR_FX_UNPLACE] == 1 && actor_get(&c, 5) == NULL);

	/* kill: with and without a restart; stop */
	a = make(6, 10, 5, false);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 6, .worker = 100);
	STEP(.kind = ACTOR_IN_UP, .actor = 6, .worker = 100, .ok = true);
	STEP(.kind = ACTOR_IN_KILL, .actor = 6, .restart = true);
	ok(seen[ACTOR_FX_KILL] == 1);
	STEP(.kind = ACTOR_IN_GONE, .proc = 100, .text = "killed");
	ok(a->state == ACTOR_RESTARTING);
	STEP(.kind = ACTOR_IN_KILL, .actor = 6);
	ok(a->state == ACTOR_DEAD && seen[ACTOR_FX_UNPLACE] == 1);
	STEP(.kind = ACTOR_IN_KILL, .actor = 6, .stop = true);
	ok(seen[ACTOR_FX_STOP] == 0 && a->state == ACTOR_DEAD);

	/* jobs: a detached one stays */
	a = make(7, 12, 0, true);
	make(8, 12, 0, false);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 7, .worker = 107);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 8, .worker = 108);
	STEP(.kind = ACTOR_IN_JOB_END, .job = 12);
	ok(seen[ACTOR_FX_KILL] == 1 && last[ACTOR_FX_KILL].worker == 108);
	STEP(.kind = ACTOR_IN_GONE, .proc = 12, .text = "");
	ok(a->state == ACTOR_PENDING && seen[ACTOR_FX_STOP] == 0);
	STEP(.kind = ACTOR_IN_UP, .actor = 7, .worker = 107, .ok = true);
	ok(a->state == ACTOR_ALIVE);

	/* infeasible */
	a = make(9, 10, 0, false);
	STEP(.kind = ACTOR_IN_NOPLACE, .actor = 9, .text = "needs 64 cpus; this node has 2");
	ok(a->state == ACTOR_DEAD && strstr(a->text, "64 cpus"));
}

static void
pauses(void)			/* one that keeps crashing is restarted at once, after 0.1 s, then each second */
{
	struct actor_life *a = make(20, 10, UINT32_MAX, false);
	uint64_t at[4];

	for (int i = 0; i < 4; i++) {
		STEP(.kind = ACTOR_IN_PLACED, .actor = 20, .worker = 200u + (uint32_t)i);
		STEP(.kind = ACTOR_IN_GONE, .proc = 200u + (uint32_t)i, .text = "crash");
		at[i] = seen[ACTOR_FX_PLACE] ? 0 : o.at - now;
		if (o.at) {
			now = o.at;
			STEP(.kind = ACTOR_IN_TICK);
			ok(seen[ACTOR_FX_PLACE] == 1);
		}
	}
	ok(at[0] == 0 && at[1] == SEC / 10 && at[2] == SEC && at[3] == SEC && a->restarts == UINT32_MAX && a->incarnation == 5);
}

/* Random inputs: at most one worker each, no state after the end, everything forgotten once nobody is left. */
static unsigned
random_inputs(unsigned seed)
{
	struct map_iter it;
	unsigned bad = 0;
	uint32_t worker = 1000;

	srandom(seed);
	for (int i = 0; i < 5000; i++) {
		uint64_t n = 100 + (uint64_t)(random() % 20);
		uint32_t p = 1 + (uint32_t)(random() % 9);
		struct actor_life *a = actor_get(&c, n);

		switch (random() % 12) {
		case 0: case 1: if (!a) make(n, p, (uint64_t)(random() % 3), random() % 8 == 0); break;
		case 2: case 3:
			if (a && a->stage == STAGE_PLACING)
				STEP(.kind = ACTOR_IN_PLACED, .actor = n, .worker = ++worker);
			break;
		case 4: if (a) STEP(.kind = ACTOR_IN_UP, .actor = n, .worker = a->worker, .ok = random() % 8 != 0); break;
		case 5: STEP(.kind = ACTOR_IN_OPEN, .actor = n, .proc = p, .req = 1); break;
		case 6: if (a) STEP(.kind = ACTOR_IN_HOLD, .actor = n, .proc = p); break;
		case 7: STEP(.kind = ACTOR_IN_DROP, .actor = n, .proc = p); break;
		case 8: if (a && a->worker) STEP(.kind = ACTOR_IN_GONE, .proc = a->worker, .text = "x"); break;
		case 9: STEP(.kind = ACTOR_IN_KILL, .actor = n, .stop = random() & 1, .restart = random() & 1); break;
		case 10: if (random() % 4 == 0) STEP(.kind = ACTOR_IN_GONE, .proc = p, .text = "x"); break;
		case 11: now += SEC / 7; STEP(.kind = ACTOR_IN_TICK); break;
		}
		it = (struct map_iter)MAP_ITER;
		while (map_next(&c.actors, &it)) {
			a = it.val;
			bad += a->state == ACTOR_DEAD && (a->worker || a->stage != STAGE_NONE || a->nholder == 0);
			bad += a->state == ACTOR_ALIVE && (a->stage != STAGE_UP || a->worker == 0);
			bad += (a->stage == STAGE_UP || a->stage == STAGE_STARTING) != (a->worker != 0);
			bad += a->state == ACTOR_RESTARTING && a->stage == STAGE_NONE && a->timer.index == 0;
		}
	}
	for (uint64_t n = 100; n < 120; n++) {
		struct actor_life *a = actor_get(&c, n);

		STEP(.kind = ACTOR_IN_KILL, .actor = n);
		if ((a = actor_get(&c, n)) != NULL && a->worker)
			STEP(.kind = ACTOR_IN_GONE, .proc = a->worker, .text = "x");
	}
	for (uint32_t p = 1; p < 10; p++)
		STEP(.kind = ACTOR_IN_GONE, .proc = p, .text = "x");
	for (uint64_t n = 100; n < 120; n++)
		bad += actor_get(&c, n) != NULL;
	return bad;
}

/* another daemon takes over */
static void
heirs(void)
{
	struct msg_actor_new m = { .class = span_of("C", 1), .spec = span_of("spec", 4), .restarts = 9 }, stays = m;
	struct actor_life *a, *b;

	stays.detached = 1;
	STEP(.kind = ACTOR_IN_HEIR, .actor = 500, .proc = 10, .job = 7, .new = &m, .restarts = 3, .incarnation = 5, .until = now + SEC,
	    .text = "gone");
	a = actor_get(&c, 500);
	ok(a->state == ACTOR_RESTARTING && a->restarts == 3 && a->incarnation == 5 && a->nholder == 0 && seen[ACTOR_FX_PLACE] == 0);
	STEP(.kind = ACTOR_IN_HEIR, .actor = 501, .proc = 10, .job = 7, .new = &m, .restarts = 3, .incarnation = 2, .until = now + SEC,
	    .text = "gone");
	STEP(.kind = ACTOR_IN_HEIR, .actor = 502, .job = 8, .new = &stays, .restarts = 3, .incarnation = 2, .until = now + SEC, .text = "gone");
	b = actor_get(&c, 502);
	STEP(.kind = ACTOR_IN_HOLD, .actor = 500, .proc = 10);
	STEP(.kind = ACTOR_IN_OPEN, .actor = 500, .proc = 10, .req = 3);
	ok(seen[ACTOR_FX_RING] == 0 && seen[ACTOR_FX_FAIL] == 0);	/* it waits */
	STEP(.kind = ACTOR_IN_RESUME, .job = 7);
	ok(seen[ACTOR_FX_PLACE] == 2 && b->stage == STAGE_NONE);	/* those of that job */
	STEP(.kind = ACTOR_IN_RESUME, .job = 7);
	ok(seen[ACTOR_FX_PLACE] == 0);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 500, .worker = 200);
	STEP(.kind = ACTOR_IN_UP, .actor = 500, .worker = 200, .ok = true);
	ok(seen[ACTOR_FX_RING] == 1 && a->state == ACTOR_ALIVE);
	now += SEC;
	STEP(.kind = ACTOR_IN_TICK);
	ok(actor_get(&c, 501) == NULL && a->state == ACTOR_ALIVE && b->state == ACTOR_RESTARTING);	/* nobody came to hold it */
	STEP(.kind = ACTOR_IN_JOB_END, .job = 8);
	STEP(.kind = ACTOR_IN_RESUME, .job = 8);
	ok(seen[ACTOR_FX_PLACE] == 1);			/* a detached one of a job that is over */
}

int
main(void)
{
	unsigned bad = 0;

	actor_init(&c);
	life();
	ends();
	pauses();
	heirs();
	for (unsigned seed = 1; seed <= 20; seed++)
		bad += random_inputs(seed);
	ok(bad == 0);
	make(900, 1, 0, false);
	STEP(.kind = ACTOR_IN_PLACED, .actor = 900, .worker = 3000);
	STEP(.kind = ACTOR_IN_UP, .actor = 900, .worker = 3000, .ok = true);
	STEP(.kind = ACTOR_IN_DROP, .actor = 900, .proc = 1);
	ok(o.at == now + ACTOR_GRACE);
	actor_release(&c);				/* in the middle of it */
	free(o.fx);
	return tap_done();
}
