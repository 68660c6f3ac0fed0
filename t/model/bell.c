/* bell.c - no wake-up is lost and nobody is miscounted, whatever the order, the signals and the deaths */
#define NODEPAGE_BELLS 4u
#include "explore.h"
#include "ring/bell.h"
#include "ring/bell.c"

enum { SLEEPER, FIRST, SECOND, RLET };

static struct nodepage np;
static uint32_t src[ACTORS];		/* what each producer has published so far */
static unsigned each;			/* how many a producer publishes */
static bool careless;			/* rlet only rings where it should rescue */
static struct {
	unsigned got;
} g;

static unsigned
look(void)
{
	unsigned sum = 0;

	for (unsigned a = 1; a < RLET; a++)
		sum += atomic_load_explicit(&src[a], memory_order_acquire);
	return sum;
}

static void
sleeper(void)
{
	unsigned all = each * (sc->actors > SECOND && sc->who[SECOND] ? 2 : 1);

	while ((g.got = look()) < all) {
		bell_arm(&np.bell[SLEEPER]);
		if (look() != g.got)
			bell_disarm(&np.bell[SLEEPER]);
		else
			bell_sleep(&np, &np.bell[SLEEPER], -1);
	}
}

static void
producer(void)
{
	unsigned me = self;

	for (unsigned i = 1; i <= each; i++) {
		atomic_store_explicit(&src[me], i, memory_order_release);
		bell_ring(&np, &np.bell[SLEEPER]);
	}
}

static void
none(void)
{
}

/* rlet learns of the producer's death and rings in its place; bell_ring would not do, see bell.h */
static void
rlet(void)
{
	if (model_await(FIRST)) {
		atomic_fetch_sub_explicit(&np.awake, 1, memory_order_relaxed);
		if (careless)
			bell_ring(&np, &np.bell[SLEEPER]);
		else
			bell_rescue(&np, &np.bell[SLEEPER]);
	}
}

/* the sleeper's death: the count follows, as far as the bell tells */
static void
rlet_counts(void)
{
	if (model_await(SLEEPER) && atomic_load_explicit(&np.bell[SLEEPER].word, memory_order_acquire) != 2)
		atomic_fetch_sub_explicit(&np.awake, 1, memory_order_relaxed);
}

static void
init(void)
{
	memset(&np, 0, sizeof np);
	memset(src, 0, sizeof src);
	np.awake = 10;
}

static void
all_done(void)
{
	check(finished(SLEEPER));
	check((int32_t)NEWEST(&np.awake) == 10);
	check(NEWEST(&np.bell[SLEEPER].word) == 0);
}

/*
 * A process that dies between bell and count leaves the count wrong by one: it decides about spinning only, and
 * nothing depends on it.  More than one it must never be.
 */
static void
nearly_counted(void)
{
	int deaths = dead(SLEEPER) + dead(FIRST), off = (int32_t)NEWEST(&np.awake) - (10 - asleep(SLEEPER) - deaths);

	check(off >= -deaths && off <= deaths);
}

static void
all_told(void)				/* the producer may have died: what it published must be known */
{
	check(g.got == NEWEST(&src[FIRST]));
	check(asleep(SLEEPER) == (NEWEST(&np.bell[SLEEPER].word) == 2));
	nearly_counted();
}

int
main(void)
{
	static const struct mutation bad[] = {
		{ "bell_ring", OP_FENCE, SKIP },	/* the look at the bell overtakes the publication */
		{ "bell_arm", OP_FENCE, SKIP },		/* the look at the sources overtakes the bell */
		{ "bell_sleep", OP_CAS, SPLIT },	/* rung in between, and asleep */
		{ "bell_wake", OP_WAKE, SKIP },
	};
	struct scenario s = {
		.name = "one producer, twice", .actors = 2, .actor = { sleeper, producer },
		.who = { "sleeper", "first", NULL, "rlet" },
		.ghost = &g, .ghostlen = sizeof g, .light = &np, .lightlen = sizeof np, .init = init, .rest = all_done,
	};

	each = 2;
	explore_all(&s, bad, 4);
	s.name = "one producer, four times, two signals";
	each = 4;
	s.signals = 2;
	explore_all(&s, bad, 2);
	s.name = "two producers, a signal";
	s.actors = 3;
	s.actor[SECOND] = producer;
	s.who[SECOND] = "second";
	each = 1;
	s.signals = 1;
	explore_all(&s, bad, 4);
	s.name = "the producer dies";
	s.actors = 4;
	s.actor[SECOND] = none;
	s.who[SECOND] = NULL;
	s.actor[RLET] = rlet;
	s.mortal = 1u << FIRST;
	s.deaths = 1;
	s.rest = all_told;
	explore_all(&s, bad, 2);
	careless = true;
	ok(!explore(&s, (struct mutation){ "", 0, SKIP }));	/* it died between the bell and the futex */
	s.name = "the sleeper dies";
	s.actor[RLET] = rlet_counts;
	s.mortal = 1u << SLEEPER;
	s.rest = nearly_counted;
	explore_all(&s, NULL, 0);
	return tap_done();
}
