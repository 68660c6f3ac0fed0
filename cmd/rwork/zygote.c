#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "os/fd.h"
#include "os/proc.h"
#include "ring/bell.h"
#include "ring/page.h"
#include "script/work.h"
#include "wire/frame.h"
#include "wire/msg.h"
#include "zygote.h"

extern char **environ;

struct child {
	uint32_t proc;
	char token[40];			/* value of its ROTA_WORKER */
};

struct zygote {
	int sock, sig, null;
	sigset_t mask;			/* for children: as it was before us */
	struct buf in;
	int fds[32];
	int nfds;
	struct nodepage *np;		/* once it is to be looked at; NULL */
	struct map children;		/* pid -> struct child * */
	struct lua_State *L;
	bool adopted;			/* a worker died: what it started may be ours now */
};

/* --- in the child ---------------------------------------------------------------------------------------------------- */

/* the driver's whole environment, if it is known, an empty string, then ours; ?NAME=VALUE: only if there is no NAME */
static void
set_environment(struct span env)
{
	char *block = malloc(env.n + 2), *end, *own, *s, *eq, **v;
	size_t n = 0, i = 0;

	if (block == NULL)
		return;
	memcpy(block, env.p, env.n);
	block[env.n] = block[env.n + 1] = '\0';
	end = block + env.n;
	for (own = block; *own; own += strlen(own) + 1)
		n++;
	if (n && (v = malloc((n + 1) * sizeof *v)) != NULL) {
		for (s = block; i < n; s += strlen(s) + 1)
			v[i++] = s;
		v[i] = NULL;
		environ = v;
	}
	for (s = own + 1; s < end; s += strlen(s) + 1) {
		if (*s != '?') {
			putenv(s);
		} else if ((eq = strchr(s, '=')) != NULL) {
			*eq = '\0';
			setenv(s + 1, eq + 1, 0);
			*eq = '=';
		}
	}
	unsetenv("ROTA_KEY");
}

static void
become_likely_victim(void)		/* of the kernel when memory runs out: before the user's other programs */
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "500", 3);
		close(fd);
	}
}

static _Noreturn void
child(struct zygote *z, pid_t parent, const int fds[3], struct span env)
{
	close(z->sock);
	close(z->sig);
	for (int i = 3; i < z->nfds; i++)
		close(z->fds[i]);
	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(125);
	if (dup2(z->null, 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0)
		_exit(125);
	if (fchdir(fds[2]) < 0)		/* its driver's directory is gone, or was never known */
		(void)!chdir("/");
	close(z->null);
	close(fds[1]);
	close(fds[2]);
	set_environment(env);
	become_likely_victim();
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &z->mask, NULL);
	_exit(work_run(z->L, fds[0]));
}

/* --- forking ------------------------------------------------------------------------------------------------------------- */

static int
reply(struct zygote *z, struct buf *b, int pidfd)
{
	int e;

	if (pidfd < 0)
		e = fd_write_all(z->sock, b->data, b->len);
	else {
		frame_set_nfd(b->data, 1);
		e = fd_send(z->sock, b->data, b->len, &pidfd, 1);
		if (e >= 0 && (size_t)e < b->len)
			e = fd_write_all(z->sock, b->data + e, b->len - (size_t)e);
	}
	buf_release(b);
	return e < 0 ? e : 0;
}

static void
token_of(char token[40], struct span env)
{
	const char *p = (const char *)env.p, *end = p + env.n;

	for (; p < end; p += strnlen(p, (size_t)(end - p)) + 1)		/* the last one is ours: what was inherited goes before */
		if (end - p > 12 && memcmp(p, "ROTA_WORKER=", 12) == 0)
			snprintf(token, 40, "%.*s", (int)strnlen(p + 12, (size_t)(end - p - 12)), p + 12);
}

static int
on_zfork(struct zygote *z, const struct frame *f)
{
	struct buf b = BUF_INIT;
	struct msg_zfork m;
	struct child *c;
	pid_t pid, me = getpid();
	int e, pidfd = -1;

	if ((e = msg_get_zfork(&m, f->body, f->len)) < 0 || f->nfd != 3)
		return e < 0 ? e : ERR_PROTO;
	if ((c = calloc(1, sizeof *c)) == NULL)
		return -ENOMEM;
	c->proc = (uint32_t)m.proc;
	token_of(c->token, m.env);
	if ((pid = fork()) == 0)
		child(z, me, z->fds, m.env);
	e = pid < 0 ? -errno : 0;
	if (e == 0 && (e = map_put(&z->children, (uint64_t)pid, c)) == 0)
		pidfd = proc_pidfd(pid);
	else
		free(c);
	if (msg_put_zforked(&b, &(struct msg_zforked){ .proc = m.proc, .pid = pid < 0 ? e : pid }) < 0)
		return -ENOMEM;
	e = reply(z, &b, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return e;
}

static int
on_input(struct zygote *z)		/* ERR_CLOSED at the end */
{
	int room = 32 - z->nfds < FD_MAX ? 32 - z->nfds : FD_MAX, e = 0;
	size_t used = 0;
	struct frame f;
	ssize_t n;

	if (buf_reserve(&z->in, 65536) < 0)
		return -ENOMEM;
	if ((n = fd_recv(z->sock, z->in.data + z->in.len, 65536, z->fds + z->nfds, &room)) <= 0)
		return n == 0 ? ERR_CLOSED : (int)n;
	z->nfds += room;
	z->in.len += (size_t)n;
	while (e == 0 && (n = frame_parse(&f, z->in.data + used, z->in.len - used, FRAME_MAX)) != ERR_PARTIAL) {
		if (n < 0 || f.nfd > z->nfds)
			return ERR_PROTO;
		if (f.type == MSG_ZFORK_T)
			e = on_zfork(z, &f);
		else if (f.type == MSG_ZWATCH_T && f.nfd == 1 && z->np == NULL)
			e = nodepage_map(z->fds[0], &z->np);
		for (int i = 0; i < f.nfd; i++)
			close(z->fds[i]);
		z->nfds -= f.nfd;
		memmove(z->fds, z->fds + f.nfd, (size_t)z->nfds * sizeof *z->fds);
		used += (size_t)n;
	}
	buf_drop(&z->in, used);
	return e;
}

/* --- reaping --------------------------------------------------------------------------------------------------------------- */

/* Does it belong to a worker that lives: by its session, or by the token in its environment? */
static bool
has_owner(struct zygote *z, pid_t pid)
{
	static const char name[] = "ROTA_WORKER=";
	struct map_iter it = MAP_ITER;
	char path[64], env[65536], *at;
	pid_t sid = getsid(pid);
	ssize_t n = -1;
	int fd;

	if (sid > 0 && map_get(&z->children, (uint64_t)sid))
		return true;
	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, env, sizeof env - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	env[n] = '\0';
	if ((at = memmem(env, (size_t)n, name, sizeof name - 1)) == NULL)
		return false;
	while (map_next(&z->children, &it))
		if (strcmp(((struct child *)it.val)->token, at + sizeof name - 1) == 0)
			return true;
	return false;
}

/* Our children that we did not fork: orphans of workers, adopted because we are their subreaper. */
static void
sweep(struct zygote *z, bool all)
{
	char path[64];
	FILE *f;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fscanf(f, "%d", &pid) == 1)
		if (all || (!map_get(&z->children, (uint64_t)pid) && !has_owner(z, pid)))
			kill(pid, SIGKILL);
	fclose(f);
}

static int
tell_stop(struct zygote *z, const struct child *c, bool on)
{
	struct buf b = BUF_INIT;
	int e = msg_put_zstop(&b, &(struct msg_zstop){ .proc = c->proc, .on = on });

	return e < 0 ? e : reply(z, &b, -1);
}

/* what became of our children: some have ended, some were stopped or go on */
static int
reap(struct zygote *z)
{
	struct buf b = BUF_INIT;
	struct child *c;
	siginfo_t si;
	int status, e;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			break;
		c = map_get(&z->children, (uint64_t)si.si_pid);
		if (si.si_code == CLD_STOPPED || si.si_code == CLD_CONTINUED) {
			pid_t pid = si.si_pid;

			si.si_pid = 0;		/* it may have gone on since, or ended: then the next look says so */
			waitid(P_PID, (id_t)pid, &si, WSTOPPED | WCONTINUED | WNOHANG);
			if (c && si.si_pid && (e = tell_stop(z, c, si.si_code == CLD_STOPPED)) < 0)
				return e;
			continue;
		}
		if (c)			/* not reaped yet: its number, which names its group, is still its own */
			kill(-si.si_pid, SIGKILL);
		if (waitpid(si.si_pid, &status, 0) < 0)
			break;
		z->adopted = true;	/* orphans of an orphan come to us as well */
		if (c == NULL)
			continue;
		map_del(&z->children, (uint64_t)si.si_pid);
		e = msg_put_zexit(&b, &(struct msg_zexit){ .proc = c->proc, .status = (uint64_t)(unsigned)status });
		free(c);
		if (e < 0 || (e = reply(z, &b, -1)) < 0)
			return e;
	}
	if (z->adopted)
		sweep(z, false);
	z->adopted = false;
	return 0;
}

/* rlet is gone: nothing that was started here outlives it. */
static void
end_all(struct zygote *z)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&z->children, &it)) {
		kill(-(pid_t)it.key, SIGKILL);	/* none was reaped since the last look at the table */
		kill((pid_t)it.key, SIGKILL);
	}
	do
		sweep(z, true);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

/* Until when we may sleep, in ms; 0: rlet was not heard in time, as it may be stopped: others may take the work over. */
static int
patience(const struct zygote *z)
{
	uint64_t until = z->np ? atomic_load(&z->np->valid_until) : UINT64_MAX, now;

	if (until == UINT64_MAX)
		return -1;
	now = clock_ns();
	return until <= now ? 0 : until - now > 3600 * CLOCK_SEC ? 3600000 : (int)((until - now) / 1000000) + 1;
}

int
zygote_run(int sock)
{
	struct zygote z = { .sock = sock, .in = BUF_INIT };
	struct signalfd_siginfo si;
	sigset_t set;
	int e = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &z.mask);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || proc_pdeathsig(SIGTERM) < 0 ||
	    (z.sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 || (z.null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return -errno;
	if ((z.L = work_preload()) == NULL)
		return -ENOMEM;
	/* they were those of the program that started the node, pipes perhaps, and we live longer */
	(void)!chdir("/");
	if (dup2(z.null, STDOUT_FILENO) < 0 || dup2(z.null, STDERR_FILENO) < 0)
		return -errno;
	for (;;) {
		struct pollfd p[2] = { { .fd = sock, .events = POLLIN }, { .fd = z.sig, .events = POLLIN } };

		if ((poll(p, 2, patience(&z)) < 0 && errno != EINTR) || patience(&z) == 0)
			break;
		if (p[1].revents) {
			bool term = false;

			while (read(z.sig, &si, sizeof si) == sizeof si)
				term |= si.ssi_signo == SIGTERM;
			if (term || (e = reap(&z)) < 0)
				break;
		}
		if (p[0].revents && (e = on_input(&z)) < 0)
			break;
	}
	end_all(&z);
	return 0;
}
