/*
 * retry - may a task that lost its worker, or raised, run again, and when; which functions are poison.  Pure.
 *
 * Charged to the task's budget: its worker died while it ran, its memory would not have fit alone, and, where the task
 * asks for it, an error that it raised.
 * Charged nothing: what its worker had not begun, and a death that the node caused (memory), which is tried again
 * without end, ever more rarely, unless no retries are wanted at all.
 * The first retry is at once, the second after 0.1 s, later ones after 1 s: a failing task does not keep a node busy.
 */
#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_CRASH	1u	/* retry on: the death of the worker */
#define RETRY_ERROR	2u	/* any raised error */
#define RETRY_ASK	4u	/* raised errors that the worker, asked with the task's own rule, says yes to */

enum retry_cause {
	RETRY_DIED,		/* the worker died by itself, or was killed by somebody else than the node */
	RETRY_SPARED,		/* the node ended it, for a reason that lies outside the task */
	RETRY_NODE,		/* the node's daemon died, and its workers with it: charged nothing */
	RETRY_LARGE,		/* the node ended it because it was too large even for itself alone: charged */
	RETRY_RAISED,		/* the function raised; yes of RETRY_ASK */
	RETRY_REFUSED,		/* it raised, and the rule of RETRY_ASK said no */
};

struct retry {
	int retries;		/* allowed after the first attempt, negative without end */
	unsigned on;		/* RETRY_* */
	unsigned attempt;	/* the one that just failed: 0 first */
	unsigned spared;	/* how many of those before it were charged nothing */
};

static inline bool
retry_allowed(const struct retry *r, enum retry_cause cause, uint64_t *after_ns)
{
	static const uint64_t wait[] = { 0, UINT64_C(100000000), UINT64_C(1000000000) };
	unsigned charged = r->attempt - r->spared;

	if (cause == RETRY_SPARED) {		/* 1, 2, 4 … 32, 60 s: as long as memory is short nothing else helps */
		*after_ns = UINT64_C(1000000000) * (r->spared < 6 ? 1u << r->spared : 60u);
		return r->retries != 0;
	}
	if (cause == RETRY_NODE) {
		*after_ns = 0;
		return r->on & RETRY_CRASH && r->retries != 0;
	}
	if (cause == RETRY_LARGE) {		/* charged, but rarely: others may take less by then */
		*after_ns = UINT64_C(1000000000) * (charged < 6 ? 1u << charged : 60u);
		return r->on & RETRY_CRASH && (r->retries < 0 || charged < (unsigned)r->retries);
	}
	if (cause == RETRY_DIED ? !(r->on & RETRY_CRASH) : !(r->on & RETRY_ERROR) && !(r->on & RETRY_ASK && cause == RETRY_RAISED))
		return false;
	if (r->retries >= 0 && charged >= (unsigned)r->retries)
		return false;
	*after_ns = wait[charged < 2 ? charged : 2];
	return true;
}

/* --- poison: a function that killed RETRY_KILLS workers within RETRY_WINDOW runs alone in a worker for a while ----- */

#define RETRY_KILLS	3u
#define RETRY_WINDOW	UINT64_C(10000000000)	/* ns */
#define RETRY_POISON	UINT64_C(60000000000)	/* ns after the last of them */

struct retry_kills {		/* zeroed at first */
	uint64_t at[RETRY_KILLS];	/* a circle */
	unsigned n;
	uint64_t until;		/* it runs alone; 0: never was poison */
};

static inline void
retry_killed(struct retry_kills *k, uint64_t now)
{
	k->at[k->n++ % RETRY_KILLS] = now;
	if (k->n >= RETRY_KILLS && now - k->at[k->n % RETRY_KILLS] <= RETRY_WINDOW)
		k->until = now + RETRY_POISON;
}

static inline bool
retry_poison(const struct retry_kills *k, uint64_t now)
{
	return now < k->until;
}

#endif
