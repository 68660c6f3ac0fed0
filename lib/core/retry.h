/*
 * retry - may a task that lost its worker run again, and when (M50).  Pure.
 * The first retry is at once, the second after 0.1 s, later ones after 1 s: a poison task does not keep a node busy.
 */
#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* retries: allowed after the first attempt, negative without end; attempt: 0 first, the one that just failed */
static inline bool
retry_allowed(int retries, unsigned attempt, uint64_t *after_ns)
{
	static const uint64_t wait[] = { 0, 100000000, 1000000000 };

	if (retries >= 0 && attempt >= (unsigned)retries)
		return false;
	*after_ns = wait[attempt < 2 ? attempt : 2];
	return true;
}

#endif
