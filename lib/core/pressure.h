/*
 * pressure - memory runs short: when to look, when it is too much, who is stopped, and what is said of it.
 *
 * There are limits: the machine, each control group that has one, and the node's own for its workers.  A look compares
 * what they use with them.  Over the threshold of one, everybody collects garbage first; if that does not help, or if
 * there is no time left for it, one worker is stopped.  The next is not chosen before this one is gone.
 *
 * Who: first a worker that runs nothing and has nothing that others want, for nothing is lost with it; then a task that
 * can be tried again before one that cannot, then an actor that can be restarted, then any other one.  Of each kind the
 * largest by private memory, and of about equal ones (a quarter) the one that began last, for it loses least.  A kind is
 * passed over while something of a later one is over PRESSURE_RATIO times as large: stopping the small ones would be in
 * vain.  Who holds less than one hundredth of the limit, or 64 MiB, is left alone, and drivers and daemons always.
 *
 * A victim that would not have fit with all other workers gone is "alone": its attempt is charged to it, for trying
 * again without end would not end.
 *
 * Sans I/O: figures and the time come in; nothing is read, nobody is called.
 */
#ifndef CORE_PRESSURE_H
#define CORE_PRESSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRESSURE_PERCENT	95u			/* default threshold */
#define PRESSURE_INTERVAL	UINT64_C(50000000)	/* default, ns: between looks while it is near */
#define PRESSURE_REST		UINT64_C(1000000000)	/* ns: between looks while it is far */
#define PRESSURE_NEAR		80u			/* percent of the limit from which on it is near */
#define PRESSURE_RATE		10u			/* bytes in a ns that all together may take: how far is far */
#define PRESSURE_PATIENCE	UINT64_C(5000000000)	/* ns: a victim that is not gone by then is given up */
#define PRESSURE_RATIO		4u
#define PRESSURE_LEAST		(UINT64_C(64) << 20)	/* bytes; a hundredth of the limit if that is less */
#define PRESSURE_TEXT		400u			/* bytes of the evidence */

struct pressure_limit {		/* what is used, and of how much */
	const char *name;	/* "the machine", "cgroup '/a/b'", "the node's workers" */
	uint64_t used, limit;
};

enum pressure_kind {		/* in the order in which they are stopped */
	PRESSURE_IDLE,		/* a worker that runs nothing and owns nothing that others hold */
	PRESSURE_TASK,		/* runs a task that can be tried again */
	PRESSURE_ONCE,		/* runs one that cannot */
	PRESSURE_ACTOR,		/* an actor with restarts left */
	PRESSURE_LAST,		/* another actor, or owns what others hold */
	PRESSURE_NEVER,		/* a driver: named in the evidence, never stopped */
};

struct pressure_proc {
	uint32_t proc;		/* its number here, for the caller */
	enum pressure_kind kind;
	int pid;		/* 0: no process, as the object store */
	uint64_t bytes;		/* private memory of it and what it started */
	uint64_t since;		/* its task's begin, ns */
	char name[32];		/* what it runs */
};

struct pressure {		/* private but for the first two, which are set before pressure_init */
	unsigned percent;	/* threshold; 0: off */
	uint64_t interval;	/* ns */
	uint32_t victim;	/* it is not gone yet; 0 none */
	uint64_t chosen;	/* when */
	bool collected;		/* in this episode: it ends with a look below the threshold */
};

enum pressure_do {
	PRESSURE_CALM,
	PRESSURE_COLLECT,	/* everybody collects garbage */
	PRESSURE_CHOOSE,	/* gather processes and call pressure_choose */
	PRESSURE_WAIT,		/* over, but the victim is still dying */
};

/* What to do now, and in *after the ns to the next look.  over: the limit that is meant, by fraction the worst; or n. */
enum pressure_do pressure_look(struct pressure *p, uint64_t now, const struct pressure_limit *l, unsigned n, unsigned *over,
	    uint64_t *after);

struct pressure_choice {
	size_t victim;		/* in the list */
	bool alone;
	char text[PRESSURE_TEXT];	/* evidence, one line: who used how much, the limit, the next ones */
};

/* False: nobody is worth stopping.  Sorts v, largest first; the victim counts as dying until pressure_gone. */
bool	pressure_choose(struct pressure *p, uint64_t now, const struct pressure_limit *l, struct pressure_proc *v, size_t n,
	    struct pressure_choice *c);
void	pressure_gone(struct pressure *p, uint32_t proc);	/* proc is dead */

#endif
