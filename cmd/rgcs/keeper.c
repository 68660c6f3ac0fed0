#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "node/node.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/notify.h"
#include "os/proc.h"
#include "keeper.h"

#define SERVED (CLOCK_SEC / 50)		/* one that lived for so long after it was ready was well: */
#define SOON (CLOCK_SEC / 10)		/* the next one comes after this, later ones twice as late as the one before, */
enum { DOUBLED = 5 };			/* at most so many times */

static volatile sig_atomic_t told;	/* TERM or INT was sent to us */
static volatile pid_t daemon_pid;
static sigset_t open_mask;		/* the signals of whoever started us */
static char address[600];		/* where the first one listened for other machines */
static bool served;

void
keeper_let_go(bool detached)
{
	int null = detached ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

	if (null >= 0) {
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		close(null);
	}
}

static void
on_child(int sig)			/* so that ppoll ends */
{
	(void)sig;
}

static void
pass_on(int sig)
{
	told = 1;
	if (daemon_pid > 0)
		kill(daemon_pid, sig);
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

/* 0: we are the daemon.  *sock: what it hands over comes there. */
static pid_t
start(struct gcs_opts *o, int *sock)
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
		o->keeper = sp[1];
		sigprocmask(SIG_SETMASK, &open_mask, NULL);
		return 0;
	}
	if (pid < 0)
		pid = -errno;
	close(sp[1]);
	*sock = sp[0];
	if (pid < 0)
		close(sp[0]);
	return pid;
}

/* the first one that serves says where, and leaves us its socket; whoever started us need not wait any longer */
static void
serves(int sock, struct gcs_opts *o, int *ready, bool detached)
{
	char text[sizeof address - 1];
	const char *host = o->listen, *port;
	int fd = -1, nfd = 1;
	ssize_t n = fd_recv(sock, text, sizeof text - 1, &fd, &nfd);

	if (n <= 0 || nfd < 1)
		return;
	if (served) {
		close(fd);
		return;
	}
	text[n] = '\0';
	port = strrchr(text, ':');
	n = (ssize_t)strlen(host);
	if (port && n >= 2 && strcmp(host + n - 2, ":0") == 0) {
		snprintf(address, sizeof address, "%.*s%s", (int)n - 2, host, port);
		o->listen = address;
	}
	o->kept = fd;
	served = true;
	if (*ready >= 0)
		close(*ready);
	*ready = -1;
	notify_ready();
	keeper_let_go(detached);
}

/* waits for the end of the daemon: its status; *since: when it was ready, or 0 */
static int
await(pid_t pid, int sock, struct gcs_opts *o, int *ready, bool detached, uint64_t *since)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int status;

	*since = 0;
	while (waitpid(pid, &status, WNOHANG) == 0)
		if (ppoll(&p, 1, NULL, &open_mask) > 0) {
			serves(sock, o, ready, detached);
			*since = *since ? *since : clock_ns();
			p.fd = -1;
		}
	return status;
}

static void
pause_for(uint64_t ns)			/* or until we are told to end */
{
	uint64_t until = clock_ns() + ns, now;

	while (!told && (now = clock_ns()) < until) {
		struct timespec t = { .tv_sec = (time_t)((until - now) / CLOCK_SEC), .tv_nsec = (long)((until - now) % CLOCK_SEC) };

		ppoll(NULL, 0, &t, &open_mask);
	}
}

static _Noreturn void
end(int status)				/* nobody serves the socket any more */
{
	char name[512];
	int dir = served ? dir_open(name, sizeof name) : -1;

	if (dir >= 0)
		unlinkat(dir, NODE_GCS, 0);
	exit(status);
}

int
keeper_start(struct gcs_opts *o, int *ready, bool detached)
{
	unsigned failed = 0;
	uint64_t since;
	int status, sock = -1;
	pid_t pid;

	take_signals();
	while ((pid = start(o, &sock)) > 0) {
		daemon_pid = pid;
		if (told)			/* before it could hear it */
			kill(pid, SIGTERM);
		status = await(pid, sock, o, ready, detached, &since);
		daemon_pid = 0;
		close(sock);
		if (told || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
			end(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
		if (!served && WIFEXITED(status))	/* it said why */
			exit(WEXITSTATUS(status));
		if (!served)
			die(125, 0, "the control store died of signal %d before it was ready", WTERMSIG(status));
		if (WIFSIGNALED(status) && o->log)
			warn(0, "the control store died of signal %d: it is started again", WTERMSIG(status));
		if (since && clock_ns() - since > SERVED)
			failed = 0;
		pause_for(SOON << failed);
		if (told)
			end(0);
		if (failed < DOUBLED)
			failed++;
	}
	return (int)pid;
}
