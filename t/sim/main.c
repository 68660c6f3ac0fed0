/*
 * main.c - runs seeds, and tells what did not hold
 *
 *	sim [-n SEEDS] [-f FIRST] [-j PROCESSES] [-p PART,...] [-k] [-t] [-q]
 *	-p	these parts only	-k	goes on after a failure
 *	-t	the trace of each	-q	nothing but failures and the last line
 *	-S	instead: what decisions cost with ever more nodes (cost.c)
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "parts.h"
#include "sim.h"

enum { PROCESSES = 16 };

struct shared {				/* by the processes that run seeds */
	_Atomic uint64_t next, done, steps, first_bad;
	_Atomic unsigned bad;
	_Atomic uint64_t of[PROCESSES];	/* the seed that each has under way */
};

static struct {
	uint64_t first, n;
	unsigned processes, only;
	bool go_on, trace, quiet;
} opt = { .first = 1, .n = 300, .processes = 2, .only = ~0u };

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
report(const struct sim *s)
{
	uint64_t from = s->nline > SIM_LINES ? s->nline - SIM_LINES : 0;

	flockfile(stdout);
	printf("# seed %llu: %s: %s\n", (unsigned long long)s->seed, s->invariant, s->why);
	for (uint64_t i = from; i < s->nline && !s->trace; i++)
		printf("#   %s\n", s->line[i % SIM_LINES]);
	printf("# again, with all of its trace: make sim SEED=%llu TRACE=1\n", (unsigned long long)s->seed);
	fflush(stdout);
	funlockfile(stdout);
}

static void
note_bad(struct shared *sh, uint64_t seed)
{
	uint64_t first = atomic_load(&sh->first_bad);

	atomic_fetch_add(&sh->bad, 1);
	while ((first == 0 || seed < first) && !atomic_compare_exchange_weak(&sh->first_bad, &first, seed))
		;
	if (!opt.go_on)
		atomic_store(&sh->next, opt.n);
}

static void
seeds(struct shared *sh, unsigned me)
{
	struct sim *s = malloc(sizeof *s);
	uint64_t i;

	if (s == NULL)
		abort();
	while ((i = atomic_fetch_add(&sh->next, 1)) < opt.n) {
		sim_init(s, opt.first + i);
		s->only = opt.only;
		s->trace = opt.trace;
		atomic_store(&sh->of[me], s->seed);
		if (sim_run(s))
			sim_release(s);		/* after a failure anything may be half done: its memory is left */
		else {
			report(s);
			note_bad(sh, s->seed);
		}
		atomic_fetch_add(&sh->done, 1);
		atomic_fetch_add(&sh->steps, s->steps);
		if (opt.trace || (opt.n == 1 && !opt.quiet))
			printf("# seed %llu: %llu events, %.3f s, hash %016llx\n", (unsigned long long)s->seed,
			    (unsigned long long)s->steps, (double)s->now / 1e9, (unsigned long long)s->hash);
	}
	free(s);
}

static unsigned
parts(const char *words)
{
	unsigned mask = 0;

	for (unsigned i = 0; sim_parts[i]; i++) {
		const char *p = strstr(words, sim_parts[i]->name);
		size_t n = strlen(sim_parts[i]->name);

		if (p && (p == words || p[-1] == ',') && (p[n] == '\0' || p[n] == ','))
			mask |= 1u << i;
	}
	if (mask == 0) {
		fprintf(stderr, "sim: no part '%s'; there are", words);
		for (unsigned i = 0; sim_parts[i]; i++)
			fprintf(stderr, " %s", sim_parts[i]->name);
		fputc('\n', stderr);
		exit(2);
	}
	return mask;
}

static void
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:f:j:p:ktqS")) != -1)
		switch (c) {
		case 'n': opt.n = strtoull(optarg, NULL, 10); break;
		case 'f': opt.first = strtoull(optarg, NULL, 10); break;
		case 'j': opt.processes = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'p': opt.only = parts(optarg); break;
		case 'k': opt.go_on = true; break;
		case 't': opt.trace = true; break;
		case 'q': opt.quiet = true; break;
		case 'S': sim_scale(); exit(0);
		default: exit(2);
		}
	if (opt.processes < 1 || opt.trace)
		opt.processes = 1;
	if (opt.processes > PROCESSES)
		opt.processes = PROCESSES;
}

int
main(int argc, char **argv)
{
	struct shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[PROCESSES];
	double begun = seconds(), took;
	int status;

	options(argc, argv);
	if (sh == MAP_FAILED)
		return 2;
	fflush(stdout);
	for (unsigned i = 0; i < opt.processes; i++)
		if ((pid[i] = fork()) == 0) {
			setvbuf(stdout, NULL, _IOFBF, 1 << 16);
			seeds(sh, i);
			exit(0);		/* the sanitizer looks for what was not freed, unless a seed failed */
		}
	for (unsigned i = 0; i < opt.processes; i++)
		if (pid[i] > 0 && waitpid(pid[i], &status, 0) == pid[i] && status) {
			printf("# seed %llu: died: %s %d\n", (unsigned long long)sh->of[i], WIFSIGNALED(status) ? "signal" : "status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
			note_bad(sh, sh->of[i]);
		}
	took = seconds() - begun;
	printf("%llu seeds, %llu events, %.1f seeds/s; %u failed", (unsigned long long)sh->done, (unsigned long long)sh->steps,
	    (double)sh->done / took, sh->bad);
	if (sh->bad)
		printf(", first seed %llu", (unsigned long long)sh->first_bad);
	putchar('\n');
	return sh->bad != 0;
}
