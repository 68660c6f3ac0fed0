/* os_proc.c - what a spawned program gets: descriptors, directory, environment, group, signals, umask; and what failure says */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "os/proc.h"

static char out[4096];

/* Runs sh -c script as p says, its stdout in out: its status, or -errno. */
static int
run(struct proc_spawn p, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	int fd[2], st = -1, pid;
	size_t n = 0;
	ssize_t r;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	p.argv = argv;
	p.out = fd[1];
	pid = proc_spawn(&p);
	close(fd[1]);
	while ((r = read(fd[0], out + n, sizeof out - 1 - n)) > 0)
		n += (size_t)r;
	out[n] = '\0';
	close(fd[0]);
	if (pid < 0)
		return pid;
	return waitpid(pid, &st, 0) == pid && WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + st;
}

static int
is(const char *want)
{
	if (strcmp(out, want) == 0)
		return 1;
	printf("# %s# wanted %s\n", out, want);
	return 0;
}

static int
fails(const char *argv0, char *const *env)
{
	struct proc_spawn p = PROC_SPAWN_INIT;

	p.argv = (char *[]){ (char *)argv0, NULL };
	p.env = env;
	return proc_spawn(&p);
}

static void
test_spawn(const char *tmp)
{
	struct proc_spawn p = PROC_SPAWN_INIT;
	char *env[] = { (char *)"A=1", (char *)"PATH=/nonexistent:/bin", NULL }, text[200];
	ssize_t n = 0;
	int fd[2], dir = open(tmp, O_DIRECTORY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC), st;

	ok(run(p, "echo $((2 + 3)); exit 7") == 7 && is("5\n"));
	p.cwd = dir;
	snprintf(text, sizeof text, "%s\n", tmp);
	ok(run(p, "pwd -P") == 0 && is(text));
	p.env = env;
	ok(run(p, "echo $A-$HOME-$PATH") == 0 && is("1--/nonexistent:/bin\n"));
	p.env = NULL;
	p.mask = 077;
	ok(run(p, "umask") == 0 && is("0077\n"));
	p.nofile = 100;
	ok(run(p, "ulimit -Sn") == 0 && is("100\n"));
	p.group = true;
	ok(run(p, "read -r a b c d e rest </proc/self/stat; [ $a = $e ] || [ $$ = $e ]") == 0);
	p.group = false;
	ok(run(p, "read -r a b c d e rest </proc/self/stat; [ $$ != $e ]") == 0);
	p.in = null;
	ok(run(p, "cat") == 0 && is(""));

	p = (struct proc_spawn)PROC_SPAWN_INIT;		/* our 0 becomes its 1 and 2, our 1 its 0; nothing of ours stays open */
	ok(pipe2(fd, O_CLOEXEC) == 0);
	snprintf(text, sizeof text, "echo err >&2; cat; [ -e /proc/self/fd/%d ] || [ -e /proc/self/fd/%d ] || echo closed", fd[0], dir);
	p.argv = (char *[]){ (char *)"sh", (char *)"-c", text, NULL };
	p.in = 1, p.out = 0, p.err = 0;
	if (fork() == 0)
		_exit(dup2(fd[1], 0) < 0 || dup2(null, 1) < 0 || waitpid(proc_spawn(&p), &st, 0) < 0 || st);
	ok(wait(&st) > 0 && st == 0 && (n = read(fd[0], out, sizeof out - 1)) >= 0);
	out[n] = '\0';
	ok(is("err\nclosed\n"));
	close(fd[0]), close(fd[1]), close(dir), close(null);
}

static void
test_signals(void)
{
	struct proc_spawn p = PROC_SPAWN_INIT;
	sigset_t all, old, now;
	int n;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	n = run(p, "grep -E 'Sig(Blk|Ign)' /proc/self/status");
	sigprocmask(SIG_SETMASK, NULL, &now);
	sigprocmask(SIG_SETMASK, &old, NULL);
	ok(n == 0 && is("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
	ok(sigismember(&now, SIGTERM) && signal(SIGPIPE, SIG_DFL) == SIG_IGN);	/* ours are as they were */
	ok(run(p, "kill -TERM $$") == 1000 + SIGTERM);
}

static void
test_failure(const char *tmp)
{
	char path[200], *env[] = { path, NULL };
	int fd;

	ok(fails("/nonexistent/x", NULL) == -ENOENT && proc_status(-ENOENT) == 127);
	ok(fails("no-such-program-here", NULL) == -ENOENT && fails("", NULL) == -ENOENT);
	ok(fails("/etc/passwd", NULL) == -EACCES && proc_status(-EACCES) == 126 && fails("/etc", NULL) == -EACCES);
	snprintf(path, sizeof path, "PATH=%s:/bin", tmp);
	snprintf(path + 100, 100, "%s/tool", tmp);
	close(open(path + 100, O_CREAT | O_WRONLY, 0644));
	ok(fails("tool", env) == -EACCES && fails("nottool", env) == -ENOENT);
	chmod(path + 100, 0755);
	fd = open(path + 100, O_WRONLY);
	ok(write(fd, "echo no\n", 8) == 8 && close(fd) == 0 && fails("tool", env) == -ENOEXEC);	/* never through a shell */
	unlink(path + 100);
	ok(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);	/* failures left no zombie */
}

static void
test_watch(void)
{
	struct proc_spawn p = PROC_SPAWN_INIT;
	struct pollfd w = { .events = POLLIN };
	int pid, st;

	p.argv = (char *[]){ (char *)"sleep", (char *)"1000", NULL };
	pid = proc_spawn(&p);
	ok(pid > 0 && proc_pid_alive(pid) && proc_start_time(pid) > 0 && (w.fd = proc_pidfd(pid)) >= 0);
	ok((fcntl(w.fd, F_GETFD) & FD_CLOEXEC) && poll(&w, 1, 0) == 0);
	kill(pid, SIGKILL);
	ok(poll(&w, 1, 10000) == 1 && !proc_pid_alive(pid));		/* a zombie by now */
	ok(waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
	ok(!proc_pid_alive(pid) && proc_start_time(pid) == 0 && proc_pidfd(pid) < 0 && !proc_pid_alive(0));
	close(w.fd);
}

int
main(void)
{
	char tmp[] = "/tmp/os_proc.XXXXXX";
	cpu_set_t one;
	unsigned cpu;
	int i, good = 1;

	ok(mkdtemp(tmp) != NULL);
	test_spawn(tmp);
	test_signals();
	test_failure(tmp);
	test_watch();
	rmdir(tmp);

	ok(proc_cpus() >= 1 && proc_cpus() <= sysconf(_SC_NPROCESSORS_CONF));
	for (i = 0; i < 100; i++)
		good &= proc_cpu() < (unsigned)sysconf(_SC_NPROCESSORS_CONF) + 1024;
	cpu = proc_cpu();
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ok(good && sched_setaffinity(0, sizeof one, &one) == 0 && proc_cpu() == cpu && (int)cpu == sched_getcpu());
	ok(proc_cpus() == 1);
	return tap_done();
}
