/* core_actor_far.c - actors of other nodes: whoever uses one is told to its home, whatever the order, and to the next one when that dies */
#include <stdlib.h>
#include <string.h>
#include "core/actor_far.h"
#include "tap.h"

static struct afar_core c;
static struct afar_out o;
static struct afar_fx fx[64];			/* of the last step */
static unsigned n;
static unsigned seen[AFAR_FX_FORGET + 1];

static void
step(struct afar_in in)
{
	memset(seen, 0, sizeof seen);
	n = 0;
	afar_step(&c, &in, &o);
	for (size_t i = 0; i < o.n; i++) {
		seen[o.fx[i].kind]++;
		if (n < 64)
			fx[n++] = o.fx[i];
		if (o.fx[i].kind == AFAR_FX_FORGET)
			afar_forget(&c, o.fx[i].actor);
	}
	o.n = 0;
}

#define STEP(...) step((struct afar_in){ __VA_ARGS__ })
#define USE(op_, ...) STEP(.kind = AFAR_IN_USE, .op = AFAR_##op_, __VA_ARGS__)

static bool
told(enum afar_op op, uint32_t node, uint32_t proc)	/* the last step said so, once */
{
	unsigned times = 0;

	for (unsigned i = 0; i < n; i++)
		times += fx[i].kind == AFAR_FX_TELL && fx[i].op == op && fx[i].node == node && fx[i].proc == proc;
	return times == 1;
}

static void
found(void)				/* by its number or name */
{
	USE(HOLD, .actor = 1, .proc = 10);
	ok(seen[AFAR_FX_WHERE] == 1 && seen[AFAR_FX_TELL] == 0);
	USE(OPEN, .actor = 1, .proc = 10, .group = 2, .req = 7);
	USE(KILL, .actor = 1, .stop = true);
	ok(seen[AFAR_FX_WHERE] == 0 && n == 0);		/* it is asked once */
	STEP(.kind = AFAR_IN_AT, .actor = 1, .node = 3);
	ok(told(AFAR_HOLD, 3, 10) && told(AFAR_OPEN, 3, 10) && told(AFAR_KILL, 3, 0) && n == 3);
	ok(fx[0].op == AFAR_HOLD && fx[1].op == AFAR_OPEN && fx[1].group == 2 && fx[1].req == 7 && fx[2].op == AFAR_KILL && fx[2].stop);
	USE(WATCH, .actor = 1, .proc = 11);
	ok(told(AFAR_WATCH, 3, 11) && n == 1);
	USE(HOLD, .actor = 1, .node = 5, .far = 77);		/* it gives the handle to a process of node 5 */
	ok(told(AFAR_HOLD, 3, 77) && fx[0].of == 5);
	USE(DROP, .actor = 1, .proc = 10);
	ok(told(AFAR_DROP, 3, 10) && n == 1);
	USE(DROP, .actor = 1, .proc = 10);
	ok(n == 0);
	STEP(.kind = AFAR_IN_GONE, .proc = 11);
	ok(seen[AFAR_FX_LEFT] == 1 && seen[AFAR_FX_FORGET] == 1 && afar_get(&c, 1) == NULL);
	USE(DROP, .actor = 1, .proc = 12);
	ok(n == 0 && afar_get(&c, 1) == NULL);
}

static void
moves(void)
{
	for (uint32_t p = 20; p < 24; p++) {
		USE(HOLD, .actor = 2, .proc = p);
		USE(OPEN, .actor = 2, .proc = p);
	}
	STEP(.kind = AFAR_IN_AT, .actor = 2, .node = 3);
	ok(seen[AFAR_FX_TELL] == 8);
	STEP(.kind = AFAR_IN_AT, .actor = 2, .node = 4);	/* nobody asked */
	ok(n == 0 && afar_get(&c, 2)->home == 3);
	STEP(.kind = AFAR_IN_NODE_GONE, .node = 4, .text = "node 4 is dead");
	ok(n == 0);
	STEP(.kind = AFAR_IN_NODE_GONE, .node = 3, .text = "node 3 is dead");
	ok(seen[AFAR_FX_WHERE] == 1 && n == 1);
	USE(DROP, .actor = 2, .proc = 20);
	STEP(.kind = AFAR_IN_GONE, .proc = 21);
	ok(n == 0);
	STEP(.kind = AFAR_IN_AT, .actor = 2, .node = 6);
	ok(seen[AFAR_FX_TELL] == 4 && told(AFAR_HOLD, 6, 22) && told(AFAR_OPEN, 6, 23));
	/* it is not there: it was on its way, or has just ended */
	STEP(.kind = AFAR_IN_DENIED, .actor = 2, .node = 5);
	ok(n == 0);
	STEP(.kind = AFAR_IN_DENIED, .actor = 2, .node = 6);
	ok(seen[AFAR_FX_WHERE] == 1);
	STEP(.kind = AFAR_IN_AT, .actor = 2, .node = 7);
	ok(seen[AFAR_FX_TELL] == 4);
	STEP(.kind = AFAR_IN_DENIED, .actor = 2, .node = 7);
	STEP(.kind = AFAR_IN_AT, .actor = 2, .node = 7);	/* the control store has not heard of its end yet */
	ok(seen[AFAR_FX_STATE] == 2 && fx[0].state == ACTOR_DEAD && seen[AFAR_FX_FORGET] == 1 && afar_get(&c, 2) == NULL);
	USE(OPEN, .actor = 2, .proc = 22);
	STEP(.kind = AFAR_IN_AT, .actor = 2, .text = "node 3 is dead");
	ok(seen[AFAR_FX_STATE] == 1 && strcmp(fx[0].text, "node 3 is dead") == 0 && afar_get(&c, 2) == NULL);
}

static void
state(void)				/* its home tells the processes themselves */
{
	USE(HOLD, .actor = 3, .proc = 30);
	STEP(.kind = AFAR_IN_AT, .actor = 3, .node = 3);
	STEP(.kind = AFAR_IN_STATE, .actor = 3, .node = 3, .proc = 30, .state = ACTOR_RESTARTING);
	STEP(.kind = AFAR_IN_STATE, .actor = 3, .node = 9, .proc = 30, .state = ACTOR_DEAD);
	ok(n == 0 && afar_get(&c, 3)->nuse == 1);
	STEP(.kind = AFAR_IN_STATE, .actor = 3, .node = 3, .proc = 30, .state = ACTOR_DEAD);
	ok(afar_get(&c, 3) == NULL);
}

static void
keep(uint64_t actor, uint32_t restarts)
{
	STEP(.kind = AFAR_IN_KEEP, .actor = actor, .proc = 40, .job = 4, .restarts = restarts, .spec = span_of("new", 3));
	ok(seen[AFAR_FX_MAKE] == 1 && seen[AFAR_FX_WHERE] == 0);
}

#define NOTE(actor_, node_, state_, ...) STEP(.kind = AFAR_IN_NOTE, .actor = actor_, .node = node_, .state = ACTOR_##state_, __VA_ARGS__)

static void
kept(void)
{
	const struct afar *a;

	keep(4, 1);
	a = afar_get(&c, 4);
	USE(OPEN, .actor = 4, .proc = 40);
	ok(n == 0);
	STEP(.kind = AFAR_IN_PLACED, .actor = 4, .node = 3);
	ok(n == 0 && a->sent == 3);
	STEP(.kind = AFAR_IN_REFUSED, .actor = 4, .node = 3);	/* it was full after all */
	ok(seen[AFAR_FX_MAKE] == 1 && a->sent == 0);
	STEP(.kind = AFAR_IN_WAIT, .actor = 4);
	STEP(.kind = AFAR_IN_RETRY);
	ok(seen[AFAR_FX_MAKE] == 1 && n == 1);
	STEP(.kind = AFAR_IN_RETRY);
	ok(n == 0);
	STEP(.kind = AFAR_IN_PLACED, .actor = 4, .node = 3);
	/* its node dies before it said that it has it: it costs no restart */
	STEP(.kind = AFAR_IN_NODE_GONE, .node = 3, .text = "node 3 is dead");
	ok(seen[AFAR_FX_MAKE] == 1 && seen[AFAR_FX_NOTE] == 1 && a->incarnation == 2 && a->restarts == 1);
	STEP(.kind = AFAR_IN_PLACED, .actor = 4, .node = 5);
	NOTE(4, 3, DEAD, .text = "late");
	ok(n == 0 && a->kept);				/* of its home before */
	NOTE(4, 5, PENDING, .incarnation = 2, .restarts = 1);
	ok(told(AFAR_HOLD, 5, 40) && told(AFAR_OPEN, 5, 40) && a->home == 5);
	NOTE(4, 5, ALIVE, .incarnation = 4, .restarts = 1);
	ok(n == 0);
	STEP(.kind = AFAR_IN_NODE_GONE, .node = 5, .text = "node 5 is dead");
	ok(seen[AFAR_FX_MAKE] == 1 && a->incarnation == 5 && a->restarts == 0 && seen[AFAR_FX_STATE] == 1);
	STEP(.kind = AFAR_IN_PLACED, .actor = 4, .node = 6);
	NOTE(4, 6, ALIVE, .incarnation = 5);
	STEP(.kind = AFAR_IN_NODE_GONE, .node = 6, .text = "node 6 is dead");
	ok(seen[AFAR_FX_OVER] == 1 && seen[AFAR_FX_MAKE] == 0 && seen[AFAR_FX_STATE] == 1 && afar_get(&c, 4) == NULL);

	keep(7, 0);
	STEP(.kind = AFAR_IN_WAIT, .actor = 7);
	USE(KILL, .actor = 7);
	ok(seen[AFAR_FX_OVER] == 1 && afar_get(&c, 7) == NULL && list_empty(&c.waiting));
	keep(8, 0);
	STEP(.kind = AFAR_IN_PLACED, .actor = 8, .node = 3);
	USE(KILL, .actor = 8);
	ok(n == 0);					/* it may be there by now */
	NOTE(8, 3, PENDING, .incarnation = 1);
	ok(told(AFAR_KILL, 3, 0));
	NOTE(8, 3, DEAD, .incarnation = 1, .text = "it was killed");
	ok(seen[AFAR_FX_OVER] == 1 && afar_get(&c, 8) == NULL);
	keep(9, 0);
	STEP(.kind = AFAR_IN_WAIT, .actor = 9);
	USE(DROP, .actor = 9, .proc = 40);
	ok(seen[AFAR_FX_OVER] == 1 && afar_get(&c, 9) == NULL);

	keep(5, UINT32_MAX);
	STEP(.kind = AFAR_IN_NOPLACE, .actor = 5, .text = "no node has what it needs");
	ok(seen[AFAR_FX_OVER] == 1 && seen[AFAR_FX_STATE] == 1 && afar_get(&c, 5) == NULL);

	keep(6, UINT32_MAX);
	STEP(.kind = AFAR_IN_PLACED, .actor = 6, .node = 3);
	NOTE(6, 3, ALIVE, .incarnation = 1, .restarts = UINT32_MAX);
	USE(DROP, .actor = 6, .proc = 40);
	ok(afar_get(&c, 6) != NULL);			/* until it ends */
	for (uint32_t k = 0; k < 10; k++) {
		STEP(.kind = AFAR_IN_NOTE, .actor = 6, .node = 3 + k, .state = ACTOR_ALIVE, .incarnation = 1 + k, .restarts = UINT32_MAX);
		STEP(.kind = AFAR_IN_NODE_GONE, .node = 3 + k, .text = "dead");
		STEP(.kind = AFAR_IN_PLACED, .actor = 6, .node = 4 + k);
	}
	ok(afar_get(&c, 6)->incarnation == 11);
	STEP(.kind = AFAR_IN_JOB_END, .job = 5);
	ok(n == 0);
	STEP(.kind = AFAR_IN_JOB_END, .job = 4);
	ok(seen[AFAR_FX_OVER] == 1 && afar_get(&c, 6) == NULL);
}

/*
 * Anything in any order, 200,000 times: nothing is told to nobody, each home that is told of a process is told of its end, and in
 * the end nothing is left.
 */
static void
mixed(void)
{
	static bool holds[8][4][8];		/* actor, node, process: the home believes so */
	uint64_t seed = 1;
	unsigned wrong = 0;

	for (unsigned k = 0; k < 200000; k++) {
		unsigned r = (unsigned)((seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u) >> 33);
		uint64_t actor = 100 + r % 8;
		uint32_t proc = 1 + r / 8 % 7, node = 1 + r / 64 % 3;

		switch (r / 256 % 12) {
		case 0: case 1: case 2: USE(HOLD, .actor = actor, .proc = proc); break;
		case 3: USE(OPEN, .actor = actor, .proc = proc); break;
		case 4: case 5: USE(DROP, .actor = actor, .proc = proc); break;
		case 6: case 7: STEP(.kind = AFAR_IN_AT, .actor = actor, .node = node); break;
		case 8: STEP(.kind = AFAR_IN_GONE, .proc = proc); break;
		case 9:
			memset(holds, 0, sizeof holds);		/* all but those of the nodes that live */
			for (uint32_t i = 1; i < 4; i++)
				STEP(.kind = AFAR_IN_NODE_GONE, .node = i, .text = "");
			break;
		case 10: USE(KILL, .actor = actor); break;
		default: STEP(.kind = AFAR_IN_AT, .actor = actor, .text = ""); break;
		}
		for (unsigned i = 0; i < n; i++) {
			if (fx[i].kind == AFAR_FX_TELL && (fx[i].node == 0 || fx[i].node > 3))
				wrong++;
			else if (fx[i].kind == AFAR_FX_TELL && fx[i].op != AFAR_KILL && fx[i].op != AFAR_OPEN)
				holds[fx[i].actor - 100][fx[i].node][fx[i].proc] = fx[i].op == AFAR_HOLD;
			else if (fx[i].kind == AFAR_FX_LEFT)
				for (unsigned a = 0; a < 8; a++)
					holds[a][fx[i].node][fx[i].proc] = false;
		}
	}
	ok(wrong == 0);
	for (uint32_t p = 1; p < 8; p++) {
		STEP(.kind = AFAR_IN_GONE, .proc = p);
		for (unsigned i = 0; i < n; i++)
			for (unsigned a = 0; a < 8 && fx[i].kind == AFAR_FX_LEFT; a++)
				holds[a][fx[i].node][p] = false;
	}
	for (uint64_t a = 100; a < 108; a++)
		STEP(.kind = AFAR_IN_AT, .actor = a, .node = 1);	/* what was to be killed */
	for (unsigned a = 0; a < 8; a++)
		for (unsigned i = 1; i < 4; i++)
			for (unsigned p = 1; p < 8; p++)
				wrong += holds[a][i][p];
	ok(wrong == 0);
	ok(c.actors.n == 0);
}

int
main(void)
{
	afar_init(&c);
	found();
	moves();
	state();
	kept();
	mixed();
	afar_release(&c);
	free(o.fx);
	return tap_done();
}
