#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "os/mem.h"
#include "os/proc.h"
#include "keeper.h"

enum { DEATHS = 5, CHILDREN = 256 };
#define SOON (10 * CLOCK_SEC)		/* so many deaths within this time are too many */

void
keeper_let_go(bool detached)
{
	int null = detached ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (null >= 0) {
		dup2(null, STDERR_FILENO);
		close(null);
	}
	(void)!chdir("/");
}

static volatile sig_atomic_t told;	/* the signal that we were sent */
static volatile pid_t daemon_pid;

static void
pass_on(int sig)
{
	told = sig;
	if (daemon_pid > 0)
		kill(daemon_pid, sig);
}

static bool
is_store(pid_t pid)			/* the control store, which a lasting node may have started, goes on */
{
	char path[64], exe[512];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof exe - 1);
	exe[n < 0 ? 0 : n] = '\0';
	return n >= 5 && strcmp(exe + n - 5, "/rgcs") == 0;
}

/*
 * All that the dead one had started is ours now, for we are a subreaper: workers, and whatever tasks left running.  They
 * may still write to what was lent to them, so none of them may be alive when the next one takes over.
 */
static void
end_orphans(void)
{
	pid_t v[CHILDREN];
	bool some;

	do {
		unsigned n = mem_children(getpid(), v, CHILDREN);

		some = false;
		for (unsigned i = 0; i < n; i++)
			if (!is_store(v[i])) {
				kill(v[i], SIGKILL);
				waitpid(v[i], NULL, 0);	/* its children are ours from here on */
				some = true;
			}
	} while (some);
}

/* waits for the end of the daemon, and of orphans; its status */
static int
await(pid_t pid)
{
	int status;

	for (;;) {
		pid_t p = waitpid(-1, &status, 0);

		if (p == pid)
			return status;
		if (p < 0 && errno != EINTR)
			return 0;
	}
}

static bool
too_many(uint64_t *deaths, unsigned *n, int sig)	/* of its own doing */
{
	uint64_t now = clock_ns();

	if (sig == SIGKILL)
		return false;
	if (*n == DEATHS && now - deaths[0] < SOON)
		return true;
	if (*n == DEATHS)
		memmove(deaths, deaths + 1, (DEATHS - 1) * sizeof *deaths);
	else
		++*n;
	deaths[*n - 1] = now;
	return false;
}

static void
keep(pid_t pid, int sock, struct node_opts *o, int *ready)
{
	struct sigaction pass = { .sa_handler = pass_on };

	daemon_pid = pid;
	sigaction(SIGTERM, &pass, NULL);
	sigaction(SIGINT, &pass, NULL);
	if (told)
		kill(pid, told);
	if (*ready >= 0)
		close(*ready);
	*ready = -1;
	node_heir_close(&o->heir);
	(void)node_heir_recv(sock, &o->heir);
	close(sock);
	keeper_let_go(o->detached);
}

/* 0: we are the daemon */
static pid_t
start(struct node_opts *o, int *ready)
{
	pid_t pid, us = getpid();
	sigset_t both, old;
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) < 0)
		return -errno;
	sigemptyset(&both);
	sigaddset(&both, SIGTERM);
	sigaddset(&both, SIGINT);
	sigprocmask(SIG_BLOCK, &both, &old);	/* none is lost between fork and who handles it */
	if ((pid = fork()) == 0) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		proc_pdeathsig(SIGKILL);
		if (getppid() != us)
			_exit(125);
		close(sp[0]);
		o->keeper = sp[1];
		sigprocmask(SIG_SETMASK, &old, NULL);
		return 0;
	}
	if (pid < 0)
		pid = -errno;
	close(sp[1]);
	if (pid > 0)
		keep(pid, sp[0], o, ready);
	else
		close(sp[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int
keeper_start(struct node_opts *o, int *ready)
{
	uint64_t deaths[DEATHS];
	unsigned n = 0;
	int status;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while ((pid = start(o, ready)) > 0) {
		status = await(pid);
		daemon_pid = 0;
		if (WIFEXITED(status))
			exit(WEXITSTATUS(status));
		end_orphans();
		if (told)
			exit(0);
		if (o->heir.listen < 0)
			die(125, 0, "the node daemon died of signal %d before it was ready", WTERMSIG(status));
		if (too_many(deaths, &n, WTERMSIG(status)))
			die(125, 0, "the node daemon keeps dying, last of signal %d", WTERMSIG(status));
	}
	return (int)pid;
}
