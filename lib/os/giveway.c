#include <sched.h>
#include "base/clock.h"
#include "os/giveway.h"

#define LEAST 1000u			/* ns: one turn at least, it costs little */
#define LONG 100000u			/* a turn that takes longer went to a stranger, or to long work */
#define REST 32u			/* for that many times as long nobody is let run then: what strangers take stays 3% */

bool
giveway_wait(struct giveway *w, bool (*ready)(void *), void *arg)
{
	uint64_t now = clock_ns(), until = now + w->ns, last;
	bool hit;

	if (w->most == 0 || now < w->from)
		return false;
	do {
		last = now;
		sched_yield();
		hit = ready(arg);
		now = clock_ns();
	} while (!hit && now < until && now - last < LONG);
	if (now - last >= LONG)
		w->from = now + REST * (now - last);
	if (hit)
		w->ns = w->ns < w->most / 2 ? 2 * w->ns : w->most;
	else if (w->ns > LEAST)
		w->ns /= 2;
	return hit;
}

void
giveway_slept(struct giveway *w, uint64_t ns)
{
	if (ns < LONG)
		w->ns = w->most;
}
