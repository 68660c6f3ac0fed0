/* core_retry.c - who is tried again and when; which functions are poison */
#include "core/retry.h"
#include "tap.h"

#define SEC UINT64_C(1000000000)

static bool
may(int retries, unsigned on, unsigned attempt, unsigned spared, enum retry_cause cause, uint64_t *after)
{
	return retry_allowed(&(struct retry){ retries, on, attempt, spared }, cause, after);
}

static void
table(void)
{
	uint64_t after = 77;

	ok(may(3, RETRY_CRASH, 0, 0, RETRY_DIED, &after) && after == 0);
	ok(may(3, RETRY_CRASH, 1, 0, RETRY_DIED, &after) && after == SEC / 10);
	ok(may(3, RETRY_CRASH, 2, 0, RETRY_DIED, &after) && after == SEC);
	ok(!may(3, RETRY_CRASH, 3, 0, RETRY_DIED, &after));
	ok(!may(0, RETRY_CRASH, 0, 0, RETRY_DIED, &after));
	ok(may(-1, RETRY_CRASH, 200, 0, RETRY_DIED, &after) && after == SEC);
	/* errors only where they were asked for */
	ok(!may(3, RETRY_CRASH, 0, 0, RETRY_RAISED, &after) && !may(3, RETRY_CRASH, 0, 0, RETRY_REFUSED, &after));
	ok(may(3, RETRY_CRASH | RETRY_ERROR, 0, 0, RETRY_REFUSED, &after));
	ok(may(3, RETRY_CRASH | RETRY_ASK, 1, 0, RETRY_RAISED, &after) && after == SEC / 10);
	ok(!may(3, RETRY_CRASH | RETRY_ASK, 1, 0, RETRY_REFUSED, &after));
	ok(!may(3, RETRY_CRASH | RETRY_ERROR, 3, 0, RETRY_RAISED, &after));	/* one budget for both */
	ok(!may(3, RETRY_ASK, 0, 0, RETRY_DIED, &after));			/* codes without "crashed" */
	/* what the node ended is charged nothing, and waits ever longer */
	ok(may(1, RETRY_CRASH, 0, 0, RETRY_SPARED, &after) && after == SEC);
	ok(may(1, RETRY_CRASH, 5, 5, RETRY_SPARED, &after) && after == 32 * SEC);
	ok(may(1, RETRY_CRASH, 50, 50, RETRY_SPARED, &after) && after == 60 * SEC);
	ok(may(1, RETRY_CRASH, 5, 5, RETRY_DIED, &after) && after == 0);	/* its first charged one */
	ok(!may(1, RETRY_CRASH, 6, 5, RETRY_DIED, &after));
	ok(!may(0, RETRY_CRASH, 0, 0, RETRY_SPARED, &after));
	/* what would not have fit alone is charged */
	ok(may(2, RETRY_CRASH, 0, 0, RETRY_LARGE, &after) && after == SEC);
	ok(may(2, RETRY_CRASH, 6, 5, RETRY_LARGE, &after) && after == 2 * SEC);
	ok(!may(2, RETRY_CRASH, 2, 0, RETRY_LARGE, &after));
	ok(!may(2, RETRY_ASK, 0, 0, RETRY_LARGE, &after));
	ok(may(-1, RETRY_CRASH, 100, 0, RETRY_LARGE, &after) && after == 60 * SEC);
}

static void
poison(void)
{
	struct retry_kills k = { 0 };
	uint64_t now = 100 * SEC;

	ok(!retry_poison(&k, now));
	retry_killed(&k, now);
	retry_killed(&k, now + SEC);
	ok(!retry_poison(&k, now + SEC));
	retry_killed(&k, now + RETRY_WINDOW);
	ok(retry_poison(&k, now + RETRY_WINDOW));
	ok(retry_poison(&k, now + RETRY_WINDOW + RETRY_POISON - 1) && !retry_poison(&k, now + RETRY_WINDOW + RETRY_POISON));
	/* three deaths that lie further apart are bad luck */
	k = (struct retry_kills){ 0 };
	for (unsigned i = 0; i < 10; i++) {
		retry_killed(&k, now += RETRY_WINDOW / 2 + 1);
		ok(!retry_poison(&k, now));
	}
	retry_killed(&k, now += SEC);		/* the third within 10 s is this one's predecessor but one */
	ok(retry_poison(&k, now));
}

int
main(void)
{
	table();
	poison();
	return tap_done();
}
