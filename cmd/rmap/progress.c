/* progress - one line on a terminal, redrawn a few times a second, gone at the end: --bar. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/num.h"
#include "rmap.h"

#define FIRST_NS UINT64_C(1000000000)
#define EVERY_NS UINT64_C(250000000)

static struct {
	bool on, drawn;
	uint64_t start, next;
} bar;

void
progress_start(const struct options *o)
{
	bar.on = !o->quiet && isatty(STDERR_FILENO) && tcgetpgrp(STDERR_FILENO) == getpgrp() &&
	    (o->bar || !isatty(STDOUT_FILENO));
	bar.start = clock_ns();
	bar.next = bar.start + FIRST_NS;
}

uint64_t
progress_next(void)			/* when it is to be drawn again; WAIT_FOREVER: never */
{
	return bar.on ? bar.next : WAIT_FOREVER;
}

void
progress_erase(void)
{
	if (bar.drawn)
		(void)!write(STDERR_FILENO, "\r\033[K", 4);
	bar.drawn = false;
}

static uint64_t
total(const struct run *r)		/* of what is counted in done; 0: not known yet */
{
	if (r->input_end)
		return r->o->lua_name ? r->items.number : r->seq - r->skipped;
	return r->o->has_args && !r->o->n && !r->o->fill ? (uint64_t)r->o->nargs : 0;
}

void
progress_draw(const struct run *r)
{
	uint64_t now = clock_ns(), all = total(r), left;
	double rate = (double)r->done * 1e9 / (double)(now - bar.start);
	char s[200], age[16];
	struct winsize w;
	int n;

	if (!bar.on || now < bar.next)
		return;
	bar.next = now + EVERY_NS;
	n = snprintf(s, sizeof s, "%s  %llu", progname, (unsigned long long)r->done);
	if (all) {
		left = rate > 0 && all > r->done ? (uint64_t)((double)(all - r->done) / rate * 1e9) : 0;
		n += snprintf(s + n, sizeof s - (size_t)n, "/%llu  %llu%%  %.0f/s  eta %s", (unsigned long long)all,
		    (unsigned long long)(r->done * 100 / all), rate, num_fmt_age(age, (int64_t)left));
	} else {
		n += snprintf(s + n, sizeof s - (size_t)n, "  %.0f/s", rate);
	}
	if (r->failed)
		n += snprintf(s + n, sizeof s - (size_t)n, "  %llu failed", (unsigned long long)r->failed);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col && n >= w.ws_col)
		n = w.ws_col - 1;
	progress_erase();
	bar.drawn = write(STDERR_FILENO, s, (size_t)n) > 0;
}
