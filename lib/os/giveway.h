/*
 * giveway - waiting by letting others run (sched_yield): what is waited for comes from a process that shares our CPU, or
 * may need it.  To let it run costs less than to sleep and be woken by it.
 *
 * But a stranger who is let run keeps the CPU for as long as the kernel allows.  So what a wait may take follows what
 * came of the last ones: a miss halves it, a hit doubles it, and after a turn that took much too long this is left alone
 * for a while.
 */
#ifndef OS_GIVEWAY_H
#define OS_GIVEWAY_H

#include <stdbool.h>
#include <stdint.h>

#define GIVEWAY_SPIN 5u			/* .most, times what a process may spin: a wake-up costs as much on an idle CPU */

struct giveway {
	uint32_t most;			/* ns that a wait may take; 0: never; by the owner, then giveway_slept(w, 0) */
	uint32_t ns;			/* private from here: ns that the next wait may take */
	uint64_t from;			/* none before this time */
};

/* lets others run until ready(arg), which is cheap, or for as long as it seems to pay: true if ready(arg) */
bool	giveway_wait(struct giveway *w, bool (*ready)(void *arg), void *arg);

/* it had to sleep, for ns: after a short sleep waiting may pay again */
void	giveway_slept(struct giveway *w, uint64_t ns);

#endif
