#include <errno.h>
#include "os/futex.h"
#include "ring/bell.h"

/*
 * The awake count moves with the step between armed and asleep: whoever turns 2 into 0 counts the sleeper as
 * awake again, so that the count is right before the sleeper runs.  An armed one needs no system call: its
 * step to 2 fails and it looks again.
 */
void
bell_wake(struct nodepage *np, struct bell *b)
{
	if (atomic_exchange(&b->word, 0) == 2) {
		atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
		futex_wake(&b->word, 1);
	}
}

void
bell_rescue(struct nodepage *np, struct bell *b)
{
	if (atomic_exchange(&b->word, 0) == 2)
		atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
	futex_wake(&b->word, 1);
}

int
bell_sleep(struct nodepage *np, struct bell *b, int64_t timeout_ns)
{
	uint32_t armed = 1;
	int e;

	atomic_fetch_sub_explicit(&np->awake, 1, memory_order_relaxed);
	if (!atomic_compare_exchange_strong(&b->word, &armed, 2)) {
		atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
		return 0;			/* rung between bell_arm and here */
	}
	do
		e = futex_wait(&b->word, 2, timeout_ns);
	while (e == 0 && atomic_load_explicit(&b->word, memory_order_acquire) == 2);
	if (atomic_exchange(&b->word, 0) == 2) {	/* nobody rang: time or a signal */
		atomic_fetch_add_explicit(&np->awake, 1, memory_order_relaxed);
		return e == -ETIMEDOUT ? e : -EINTR;
	}
	return 0;
}
