/*
 * end - signals, and the end of everything: commands get TERM through their workers, which pass it on and send KILL
 * two seconds later; once we are gone the node kills what is left.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "os/sig.h"
#include "rmap.h"
#include "wire/mp.h"

#define END_NS 800000000u		/* from TERM until we go, KILL following us */

volatile int run_signal;
static struct client *the_client;	/* for the handler */

static void
on_signal(int sig)
{
	if (run_signal) {			/* the second one: no waiting */
		signal(sig, SIG_DFL);
		raise(sig);
	}
	run_signal = sig;
	client_poke(the_client);
}

void
end_prepare(struct client *c)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_NODEFER }, old;

	the_client = c;
	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)	/* nohup */
			sigaction(sigs[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);		/* write tells, and then there is something to clean up */
}

/* a row of the list of workers: is it our job's, then its command is to end */
static int
term_row(void *arg, struct span row)
{
	const struct run *r = arg;
	struct mp m = mp_read(row.p, row.n);
	struct mp_tok map, key, val;
	int64_t pid = 0, job = -1;

	if (mp_next(&m, &map) < 0 || map.kind != MP_MAP)
		return ERR_PROTO;
	for (; map.n > 0; map.n--) {
		struct mp at;

		if (mp_next(&m, &key) < 0 || key.kind != MP_STR)
			return ERR_PROTO;
		at = m;
		if (mp_skip(&m) < 0)
			return ERR_PROTO;
		if (mp_next(&at, &val) < 0 || val.kind != MP_INT)
			continue;
		if (key.n == 3 && memcmp(key.p, "pid", 3) == 0)
			pid = val.i;
		else if (key.n == 3 && memcmp(key.p, "job", 3) == 0)
			job = val.i;
	}
	if (pid > 1 && job == (int64_t)client_welcome(r->c)->job)
		kill((pid_t)pid, SIGTERM);
	return 0;
}

void
end_items(struct run *r)
{
	char why[128];

	if (r->o->lua_name)
		return;
	client_list(r->c, "workers", term_row, r, why, sizeof why);
}

void
run_end(struct run *r, int sig)
{
	uint64_t until = clock_ns() + END_NS, tag;
	struct rec *rec;

	progress_erase();
	run_signal = sig ? sig : SIGTERM;	/* the next one ends us at once */
	if (r->under && !r->o->lua_name) {
		end_items(r);
		while (r->under) {
			int e = waitset_next(r->c, r->set, clock_ns() + AGAIN_NS, &rec, &tag);

			if (e == 0)
				r->under--;
			else if (e == -ETIMEDOUT && clock_ns() < until)
				end_items(r);	/* one that had just not started the first time */
			else if (e != -EINTR)
				break;
		}
	}
	client_close(r->c);
	if (sig)
		sig_reraise(sig);
	_exit(125);
}
