/* os_sig.c - death by re-raised signal is seen as such, blocked or handled before; blocking keeps signals out; a limit of files kills nobody */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

static int
writes(bool guarded, bool executed)		/* a byte too many: the signal it died of, or errno */
{
	int st;

	if (fork() == 0) {
		int fd = memfd_create("test", 0);

		if (guarded)
			sig_filesize();
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, 0 });
		if (executed && dup2(fd, 1) == 1) {
			execl("/bin/sh", "sh", "-c", "echo x", (char *)NULL);
			_exit(0);
		}
		_exit(write(fd, "x", 1) < 0 ? errno : 0);
	}
	return wait(&st) > 0 && WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st);
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
	ok(writes(false, false) == SIGXFSZ);
	ok(writes(true, false) == EFBIG);
	ok(writes(true, true) == SIGXFSZ);
	return tap_done();
}
