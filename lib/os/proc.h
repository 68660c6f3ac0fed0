/* proc - processes: starting a program as cheaply as vfork does, watching one, CPUs. */
#ifndef OS_PROC_H
#define OS_PROC_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
/* bytes that this process has for itself: resident and not shared with others; 0 if that cannot be known */
uint64_t proc_private(void);

#endif

struct proc_spawn {
	char *const *argv;	/* argv[0] is looked for in PATH (of env) unless it has a slash */
	char *const *env;	/* NULL: ours */
	int in, out, err;	/* descriptors to be 0, 1, 2; the same one may be given twice; not closed here */
	int third;		/* descriptor to be 3, or -1: none */
	int cwd;		/* directory descriptor, or -1: ours */
	int mask;		/* umask, or -1: ours */
	uint64_t nofile;	/* soft RLIMIT_NOFILE, or 0: ours */
	bool group;		/* its own process group */
	bool pdeath;		/* SIGKILL when the calling thread ends */
};
#define PROC_SPAWN_INIT { .in = 0, .out = 1, .err = 2, .third = -1, .cwd = -1, .mask = -1 }

/*
 * Starts argv directly, never through a shell, all signals at their defaults and unblocked, only 0, 1, 2 open
 * beside what is not close-on-exec.  The pid, or -errno: fork's, or why it could not be executed.
 */
int	proc_spawn(const struct proc_spawn *p);
int	proc_status(int e);		/* exit status for proc_spawn's failure: 127 not found, else 126 */

int	proc_pidfd(pid_t pid);		/* a descriptor, readable once pid ended; -errno */
bool	proc_pid_alive(pid_t pid);	/* a zombie is not */
uint64_t proc_start_time(pid_t pid);	/* clock ticks since boot; with the pid it names a process; 0 if none */
int	proc_pdeathsig(int sig);	/* be sent sig when the parent ends; it may have, so then compare getppid() */
int	proc_cpus(void);		/* CPUs we may use: affinity and cgroup quota; at least 1 */

static inline unsigned
proc_cpu(void)				/* the CPU we run on: a load from the rseq area if glibc registers it */
{
#if defined(RSEQ_SIG) && defined(__x86_64__)
	if (__rseq_size) {
		char *tp;
		int cpu;

		__asm__("mov %%fs:0, %0" : "=r"(tp));
		cpu = (int)*(volatile uint32_t *)(void *)(tp + __rseq_offset + 4);	/* struct rseq's cpu_id */
		if (cpu >= 0)
			return (unsigned)cpu;
	}
#endif
	int c = sched_getcpu();

	return c < 0 ? 0 : (unsigned)c;
}

#endif
