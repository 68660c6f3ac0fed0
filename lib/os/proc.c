#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/proc.h"
#include "os/sig.h"

extern char **environ;

/* Puts descriptors in place without one overwriting another: first all above 3, then down, both on the copies. */
static int
place(const int *want, int n)
{
	int fd[4], i;

	for (i = 0; i < n; i++) {
		fd[i] = want[i];
		if (fd[i] < n && fd[i] != i && (fd[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, n)) < 0)
			return -errno;
	}
	for (i = 0; i < n; i++)
		if (fd[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(fd[i], i) < 0)
			return -errno;
	return 0;
}

/* Everything between vfork and exec, in the child, on the parent's memory: system calls and the stack only. */
static int
child(const struct proc_spawn *p, pid_t parent, const char *path)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old;
	char *const *env = p->env ? p->env : environ;
	char full[PATH_MAX];
	size_t n, len = strlen(p->argv[0]);
	struct rlimit lim;
	struct stat st;
	sigset_t none;
	int s, e;

	for (s = 1; s < NSIG; s++)		/* handlers go by themselves at exec, but not what is ignored */
		if (s != SIGKILL && s != SIGSTOP && sigaction(s, NULL, &old) == 0 && old.sa_handler != SIG_DFL)
			sigaction(s, &dfl, NULL);
	for (s = 32; s < 34; s++)		/* glibc's own, which it hides and make ignores */
		syscall(SYS_rt_sigaction, s, (unsigned long[4]){ 0 }, NULL, 8);
	if (p->pdeath && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		return -ESRCH;
	if (p->group && setpgid(0, 0) < 0)
		return -errno;
	if ((e = place((int[]){ p->in, p->out, p->err, p->third }, p->third < 0 ? 3 : 4)) < 0)
		return e;
	if (p->cwd >= 0 && fchdir(p->cwd) < 0)
		return -errno;
	if (p->mask >= 0)
		umask((mode_t)p->mask);
	if (p->nofile && getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = p->nofile < lim.rlim_max ? p->nofile : lim.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
			return -errno;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	if (strchr(p->argv[0], '/')) {
		execve(p->argv[0], p->argv, env);
		return -errno;
	}
	for (e = -ENOENT;; path += n + 1) {
		n = strcspn(path, ":");
		if (n + len + 2 <= sizeof full) {
			memcpy(full, path, n);
			full[n] = '/';
			memcpy(full + n + (n > 0), p->argv[0], len + 1);	/* an empty element is the current directory */
			execve(full, p->argv, env);
			if (errno == EACCES && stat(full, &st) == 0 && S_ISREG(st.st_mode))
				e = -EACCES;		/* found, but perhaps a later one may be executed */
			else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				return -errno;
		}
		if (!path[n])
			return e;
	}
}

static const char *
search_path(char *const *env)
{
	for (; env && *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

int
proc_spawn(const struct proc_spawn *p)
{
	const char *path = search_path(p->env ? p->env : environ);
	volatile int e = 0;			/* written by the child, which shares our memory until it execs */
	pid_t pid, self = getpid();
	sigset_t old;

	if (!p->argv[0] || !*p->argv[0])
		return -ENOENT;
	sig_block(&old);			/* or a handler could run in the child, on our memory */
	if ((pid = vfork()) == 0) {
		e = child(p, self, path);
		_exit(127);
	}
	if (pid < 0)
		e = -errno;
	sig_restore(&old);
	if (pid > 0 && e < 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return e < 0 ? e : pid;
}

int
proc_status(int e)
{
	return e == -ENOENT ? 127 : 126;
}

int
proc_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);	/* close-on-exec always */

	return fd < 0 ? -errno : (int)fd;
}

/* State letter and start time from /proc/PID/stat; 0 or -ESRCH. */
static int
look(pid_t pid, char *state, uint64_t *start)
{
	char name[40], s[1024], *p;
	unsigned long long t;
	ssize_t n;
	int fd, i;

	snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	if ((fd = open(name, O_RDONLY | O_CLOEXEC)) < 0)
		return -ESRCH;
	n = read(fd, s, sizeof s - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	s[n] = '\0';
	if (!(p = strrchr(s, ')')) || p[1] != ' ')	/* the name may hold anything, parentheses too */
		return -ESRCH;
	*state = p[2];
	for (p += 2, i = 3; i < 22 && p; i++)		/* the start time is field 22 */
		if ((p = strchr(p, ' ')))
			p++;
	if (!p || sscanf(p, "%llu", &t) != 1)
		return -ESRCH;
	*start = t;
	return 0;
}

bool
proc_pid_alive(pid_t pid)
{
	uint64_t start;
	char state;

	if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return false;
	return look(pid, &state, &start) == 0 && state != 'Z' && state != 'X';
}

uint64_t
proc_start_time(pid_t pid)
{
	uint64_t start;
	char state;

	return look(pid, &state, &start) == 0 ? start : 0;
}

int
proc_pdeathsig(int sig)
{
	return prctl(PR_SET_PDEATHSIG, sig) < 0 ? -errno : 0;
}

uint64_t
proc_private(void)
{
	unsigned long all, resident, shared;
	FILE *f = fopen("/proc/self/statm", "re");
	bool good;

	if (!f)
		return 0;
	good = fscanf(f, "%lu %lu %lu", &all, &resident, &shared) == 3 && resident > shared;
	fclose(f);
	return good ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
