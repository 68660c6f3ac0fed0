/* os_sig.c - death by re-raised signal is seen as such, blocked or handled before; blocking keeps signals out */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "os/sig.h"

static volatile sig_atomic_t seen;

static void
note(int sig)
{
	seen = sig;
}

static int
dies(int sig)
{
	int st;

	if (fork() == 0) {
		sigset_t old;

		signal(sig, SIG_IGN);
		sig_block(&old);
		sig_reraise(sig);
	}
	return wait(&st) > 0 && WIFSIGNALED(st) ? WTERMSIG(st) : -WEXITSTATUS(st);
}

int
main(void)
{
	sigset_t old;

	ok(dies(SIGINT) == SIGINT && dies(SIGTERM) == SIGTERM && dies(SIGHUP) == SIGHUP && dies(SIGPIPE) == SIGPIPE);
	ok(dies(SIGCHLD) == -(128 + SIGCHLD));
	signal(SIGUSR1, note);
	sig_block(&old);
	raise(SIGUSR1);
	ok(seen == 0);
	sig_restore(&old);
	ok(seen == SIGUSR1);
	return tap_done();
}
