#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "os/fd.h"
#include "os/mem.h"
#include "os/notify.h"
#include "os/proc.h"
#include "keeper.h"

enum { DEATHS = 5, CHILDREN = 256 };
#define SOON (10 * CLOCK_SEC)		/* so many deaths within this time are too many */

void
keeper_let_go(bool detached)
{
	int null = detached ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

	if (null >= 0) {
		dup2(null, STDIN_FILENO);	/* whoever started us may have lent its lock so (client/open.c) */
		dup2(null, STDERR_FILENO);
		close(null);
	}
	(void)!chdir("/");
}

static volatile sig_atomic_t told;	/* the signal that we were sent */
static volatile pid_t daemon_pid;
static sigset_t open_mask;		/* the signals of whoever started us */
static bool served;

static void
on_child(int sig)			/* so that ppoll ends */
{
	(void)sig;
}

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

/* the first daemon serves: whoever started us need not wait any longer */
static void
serves(const struct node_opts *o, int *ready)
{
	if (*ready >= 0)
		close(*ready);
	*ready = -1;
	served = true;
	notify_ready();
	keeper_let_go(o->detached);
}

/* waits for the end of the daemon, its status; takes what it hands over, and what is left of orphans */
static int
await(pid_t pid, int sock, struct node_opts *o, int *ready)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int status;

	for (;;) {
		pid_t dead = waitpid(-1, &status, WNOHANG);

		if (dead < 0)
			return 0;
		if (dead == 0 && ppoll(&p, 1, NULL, &open_mask) <= 0)
			continue;
		while (p.fd >= 0 && (dead == 0 || dead == pid)) {	/* of a dead one all that is left */
			if (node_heir_recv(sock, &o->heir) < 0)
				p.fd = -1;
			else if (o->heir.listen >= 0 && !served)
				serves(o, ready);
			if (dead == 0)
				break;
		}
		if (dead == pid)
			return status;
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

/* 0: we are the daemon.  *sock: what it hands over comes there. */
static pid_t
start(struct node_opts *o, int *sock)
{
	pid_t pid, us = getpid();
	int sp[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sp) < 0)
		return -errno;
	if ((pid = fork()) == 0) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		signal(SIGCHLD, SIG_DFL);
		proc_pdeathsig(SIGKILL);
		if (getppid() != us)
			_exit(125);
		close(sp[0]);
		fd_nonblock(sp[1]);	/* it waits for nobody, a stopped keeper neither */
		o->keeper = sp[1];
		sigprocmask(SIG_SETMASK, &open_mask, NULL);
		return 0;
	}
	if (pid < 0)
		pid = -errno;
	close(sp[1]);
	fd_nonblock(sp[0]);
	*sock = sp[0];
	if (pid < 0)
		close(sp[0]);
	return pid;
}

/* TERM, INT and CHLD come while we wait, at no other time */
static void
take_signals(void)
{
	struct sigaction pass = { .sa_handler = pass_on }, child = { .sa_handler = on_child };
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ours, &open_mask);
	sigaction(SIGTERM, &pass, NULL);
	sigaction(SIGINT, &pass, NULL);
	sigaction(SIGCHLD, &child, NULL);
}

int
keeper_start(struct node_opts *o, int *ready)
{
	uint64_t deaths[DEATHS];
	unsigned n = 0;
	int status, sock = -1;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	take_signals();
	fd_raise_limit();			/* it holds descriptors of each channel and file */
	while ((pid = start(o, &sock)) > 0) {
		daemon_pid = pid;
		status = await(pid, sock, o, ready);
		daemon_pid = 0;
		close(sock);
		if (WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_ANEW && !told) {	/* what it had is of no use to the next one */
			end_orphans();
			node_heir_close(&o->heir);
			o->again = true;
			continue;
		}
		if (WIFEXITED(status)) {
			if (served && WEXITSTATUS(status))	/* it could not take over, and said why */
				node_clear(o);
			exit(WEXITSTATUS(status));
		}
		end_orphans();
		if (told) {			/* between two daemons, or before the new one could hear it */
			node_clear(o);
			exit(0);
		}
		if (!served)
			die(125, 0, "the node daemon died of signal %d before it was ready", WTERMSIG(status));
		if (too_many(deaths, &n, WTERMSIG(status))) {
			node_clear(o);
			die(125, 0, "the node daemon keeps dying, last of signal %d", WTERMSIG(status));
		}
	}
	return (int)pid;
}
