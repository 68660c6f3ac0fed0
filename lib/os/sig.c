#include <signal.h>
#include <unistd.h>
#include "os/sig.h"

void
sig_reraise(int sig)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigaction(sig, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	_exit(128 + sig);		/* only for signals that do not kill */
}

void
sig_block(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

void
sig_restore(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void
nothing(int sig)
{
	(void)sig;
}

void
sig_filesize(void)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART }, old;	/* a handler, for exec resets it */

	if (sigaction(SIGXFSZ, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(SIGXFSZ, &sa, NULL);
}
