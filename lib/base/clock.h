/* clock - nanoseconds, from the vDSO: no system call.  Monotonic clocks are for intervals and deadlines only. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_SEC UINT64_C(1000000000)

static inline uint64_t
clock_get_(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * CLOCK_SEC + (uint64_t)t.tv_nsec;
}

static inline uint64_t
clock_ns(void)			/* CLOCK_MONOTONIC, about 20 ns to read */
{
	return clock_get_(CLOCK_MONOTONIC);
}

static inline uint64_t
clock_coarse_ns(void)		/* the same clock, up to a tick (1-10 ms) behind, about 5 ns to read */
{
	return clock_get_(CLOCK_MONOTONIC_COARSE);
}

static inline uint64_t
clock_wall_ns(void)		/* since 1970, UTC; may jump */
{
	return clock_get_(CLOCK_REALTIME);
}

#endif
