/* core_pressure.c - when memory is looked at, who is stopped, and what is said of it */
#include <stdio.h>
#include <string.h>
#include "core/pressure.h"
#include "tap.h"

#define G (UINT64_C(1) << 30)
#define M (UINT64_C(1) << 20)
#define MS UINT64_C(1000000)

static struct pressure p;
static unsigned over;
static uint64_t after;

static enum pressure_do
look(uint64_t now, uint64_t used, uint64_t limit)
{
	return pressure_look(&p, now, &(struct pressure_limit){ "the machine", used, limit }, 1, &over, &after);
}

static void
begin(void)
{
	p = (struct pressure){ .percent = 95, .interval = 50 * MS };
}

static void
looks(void)
{
	struct pressure_limit two[2] = { { "the machine", 50 * G, 100 * G }, { "cgroup '/a'", 97 * M, 100 * M } };

	begin();
	ok(look(0, G, 100 * G) == PRESSURE_CALM && over == 1 && after == PRESSURE_REST);	/* far */
	ok(look(0, 4 * G, 10 * G) == PRESSURE_CALM && after > 500 * MS && after < 600 * MS);	/* 5.5 GiB at 10 bytes in a ns */
	ok(look(0, 81 * G, 100 * G) == PRESSURE_CALM && after == 50 * MS);			/* near */
	ok(look(0, 100 * M, 300 * M) == PRESSURE_CALM && after == 50 * MS);			/* little room */
	ok(look(0, 96 * G, 100 * G) == PRESSURE_COLLECT && over == 0 && after == 50 * MS);
	ok(look(50 * MS, 96 * G, 100 * G) == PRESSURE_CHOOSE);
	ok(look(100 * MS, 94 * G, 100 * G) == PRESSURE_CALM);
	ok(look(150 * MS, 96 * G, 100 * G) == PRESSURE_COLLECT);	/* another episode */
	begin();
	ok(look(0, 98 * G, 100 * G) == PRESSURE_CHOOSE);		/* no time for garbage */
	ok(pressure_look(&p, 0, two, 2, &over, &after) == PRESSURE_CHOOSE && over == 1 && after == 50 * MS);
	ok(pressure_look(&p, 0, two, 0, &over, &after) == PRESSURE_CALM && over == 0 && after == PRESSURE_REST);
	p.percent = 0;
	ok(look(0, 100 * G, 100 * G) == PRESSURE_CALM && after == PRESSURE_REST);	/* off */
}

static struct pressure_choice c;

static uint32_t
chosen(const struct pressure_proc *v, size_t n, uint64_t used, uint64_t limit)	/* its number, 0: nobody */
{
	struct pressure_proc w[16];

	begin();
	if (n)
		memcpy(w, v, n * sizeof *v);
	return pressure_choose(&p, 0, &(struct pressure_limit){ "the machine", used, limit }, w, n, &c) ? w[c.victim].proc : 0;
}

#define CHOSEN(used, limit, ...) \
	chosen((const struct pressure_proc[]){ __VA_ARGS__ }, sizeof (struct pressure_proc[]){ __VA_ARGS__ } / sizeof(struct pressure_proc), used, limit)

static void
who(void)
{
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, G, 5, "a" }, { 2, PRESSURE_TASK, 12, 3 * G, 1, "b" }) == 2);	/* the largest */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 29 * G / 10, 5, "a" }, { 2, PRESSURE_TASK, 12, 3 * G, 1, "b" }) == 1);	/* the newest of equals */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, G, 5, "a" }, { 2, PRESSURE_ONCE, 12, 3 * G, 1, "b" }) == 1);	/* one that can be tried again */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, G, 5, "a" }, { 2, PRESSURE_ONCE, 12, 5 * G, 1, "b" }) == 2);	/* unless it is too small */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_LAST, 11, 3 * G, 5, "a" }, { 2, PRESSURE_ACTOR, 12, G, 1, "b" }) == 2);
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 9 * G, 5, "a" }, { 2, PRESSURE_IDLE, 12, G, 1, "" }) == 2);	/* nothing is lost */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 9 * G, 5, "a" }, { 2, PRESSURE_IDLE, 12, 63 * M, 1, "" }) == 1);
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_NEVER, 11, 90 * G, 5, "rlua" }, { 2, PRESSURE_TASK, 12, G, 1, "b" }) == 2);	/* never a driver */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_NEVER, 11, 90 * G, 5, "rlua" }) == 0);
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 63 * M, 5, "a" }) == 0);	/* it would not help */
	ok(CHOSEN(96 * M, 100 * M, { 1, PRESSURE_TASK, 11, 2 * M, 5, "a" }) == 1);	/* of a small limit it does */
	ok(chosen(NULL, 0, G, G) == 0);
}

static void
alone(void)
{
	CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 50 * G, 5, "a" }, { 2, PRESSURE_TASK, 12, 20 * G, 1, "b" });
	ok(!c.alone);			/* without b it would have been 76 */
	CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 50 * G, 5, "a" }, { 2, PRESSURE_NEVER, 12, 46 * G, 1, "b" });
	ok(c.alone && strstr(c.text, "; it would not have fit alone;") != NULL);	/* a driver does not go away */
	CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 95 * G, 5, "a" }, { 2, PRESSURE_TASK, 12, G, 1, "b" });
	ok(c.alone);
}

static void
text(void)
{
	struct pressure_proc many[64];
	size_t n = 64;

	CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, 2 * G, 5, "a" }, { 2, PRESSURE_NEVER, 12, 3 * G / 2, 1, "rlua x" },
	    { 3, PRESSURE_IDLE, 13, 20 * M, 0, "" }, { 0, PRESSURE_NEVER, 0, 10 * M, 0, "object store" }, { 5, PRESSURE_TASK, 15, 9 * M, 0, "z" });
	ok(strcmp(c.text, "worker 11 was stopped to save memory: it used 2.0 GiB; the machine used 96.0 GiB of 100.0 GiB, over the "
	    "threshold of 95 %; it would not have fit alone; driver 12 rlua x: 1.5 GiB; worker 13 idle: 20 MiB; object store: 10 MiB") == 0);
	for (size_t i = 0; i < n; i++) {
		many[i] = (struct pressure_proc){ .proc = (uint32_t)i + 1, .pid = 1 << 30, .bytes = 2000 * G };
		memset(many[i].name, 'x', sizeof many[i].name - 1);
	}
	begin();
	ok(pressure_choose(&p, 0, &(struct pressure_limit){ "a name that is much longer than names are, /docker/"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/kubepods/besteffort/and/so/on/and/on/and/on", 9 * G, 9 * G }, many, n, &c) &&
	    strlen(c.text) < sizeof c.text && c.text[strlen(c.text) - 1] != ' ');
}

static void
dying(void)
{
	struct pressure_proc a = { .proc = 7, .kind = PRESSURE_TASK, .pid = 70, .bytes = 50 * G };
	struct pressure_limit m = { "the machine", 99 * G, 100 * G };

	begin();
	ok(pressure_choose(&p, 0, &m, &a, 1, &c));
	ok(look(50 * MS, 99 * G, 100 * G) == PRESSURE_WAIT && after == 50 * MS);	/* its pages are on their way back */
	pressure_gone(&p, 8);
	ok(look(100 * MS, 99 * G, 100 * G) == PRESSURE_WAIT);
	pressure_gone(&p, 7);
	ok(look(150 * MS, 99 * G, 100 * G) == PRESSURE_CHOOSE);
	ok(pressure_choose(&p, 150 * MS, &m, &a, 1, &c));
	ok(look(150 * MS + PRESSURE_PATIENCE, 99 * G, 100 * G) == PRESSURE_CHOOSE);	/* it does not die: another one */
}

/* on this side of each bound and on the other */
static void
bounds(void)
{
	const uint64_t all = 1000 * G, near = all / 100 * PRESSURE_NEAR, most = all / 100 * PRESSURE_PERCENT;
	const uint64_t far = PRESSURE_REST * PRESSURE_RATE;		/* bytes: so much room is looked at no more often */

	p = (struct pressure){ .percent = PRESSURE_PERCENT, .interval = PRESSURE_INTERVAL };
	ok(look(0, near - 1, all) == PRESSURE_CALM && after > PRESSURE_INTERVAL);
	ok(look(0, near, all) == PRESSURE_CALM && after == PRESSURE_INTERVAL);
	ok(look(0, most - 1, all) == PRESSURE_CALM);
	ok(look(0, most, all) == PRESSURE_COLLECT);
	ok(look(0, 0, 20 * far) == PRESSURE_CALM && after == PRESSURE_REST);
	ok(look(0, 19 * far - far, 20 * far) == PRESSURE_CALM && after == PRESSURE_INTERVAL);	/* near, however much room there is */
	ok(look(0, 0, far / 95 * 100) == PRESSURE_CALM && after < PRESSURE_REST && after > PRESSURE_REST - 100);

	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, PRESSURE_LEAST - 1, 5, "a" }) == 0);
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, PRESSURE_LEAST, 5, "a" }) == 1);
	ok(p.victim == 1 && look(PRESSURE_PATIENCE - 1, most, all) == PRESSURE_WAIT);
	ok(look(PRESSURE_PATIENCE, most, all) == PRESSURE_COLLECT && p.victim == 0);		/* given up */
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, G, 5, "a" }, { 2, PRESSURE_ONCE, 12, PRESSURE_RATIO * G, 1, "b" }) == 1);
	ok(CHOSEN(96 * G, 100 * G, { 1, PRESSURE_TASK, 11, G, 5, "a" }, { 2, PRESSURE_ONCE, 12, PRESSURE_RATIO * G + 4, 1, "b" }) == 2);
}

int
main(void)
{
	looks();
	who();
	alone();
	text();
	dying();
	bounds();
	return tap_done();
}
