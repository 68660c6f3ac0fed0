/*
 * sched - what a worker's Lua side keeps: the running task, suspended ones, idle coroutines, functions it knows.
 */
#ifndef SCRIPT_SCHED_H
#define SCRIPT_SCHED_H

#include <signal.h>
#include "base/heap.h"
#include "base/list.h"
#include "client/client.h"
#include "client/serve.h"
#include "script/script.h"

#define FNCACHE 256u
#define COPOOL 64u

struct susp {				/* a suspended task */
	struct list link;
	lua_State *co;
	int coref;			/* registry reference of co */
	struct task_in t;
	struct heap_node timer;		/* of what it waits for; in sched.timers unless it waits for ever */
	uint64_t tag;			/* in sched.set; 0: no reference ends its sleep */
	struct waitset *sub;		/* what it waits for is a member of that; NULL */
	bool full;			/* a stream: its consumer is behind */
	bool gone;			/* its time was up and it goes on; kept until the set gives its tag */
};

struct sched {
	struct task_in *running;	/* NULL: no task's code runs */
	struct rec *want;		/* what a tagged yield waits for, and until when */
	struct waitset *want_set;	/* or for a member of that */
	uint64_t deadline;
	struct waitset *set;		/* all that suspended tasks wait for */
	struct list susp;
	struct heap timers;
	unsigned nsusp, nsub, nfull;	/* all; those that wait for a set; for a consumer */
	bool kick;			/* one of these may have what it waits for */
	unsigned nring;			/* of them, tasks of others: while there is one no further task is taken */
	uint64_t next_tag;
	struct {			/* functions by where they lie */
		uint64_t serial;
		uint32_t proc, unit;
		int fn;			/* registry reference */
	} cache[FNCACHE];
	bool overdrawn;			/* limit.c: the hook is to collect garbage, and then the limit holds again */
	uint64_t max_memory;		/* private bytes above which the worker is replaced, */
	uint64_t next_look;		/* and when they are looked at; UINT64_MAX never */
	int by_hash;			/* registry reference: table hash -> function */
	struct {
		lua_State *co;
		int ref;
	} pool[COPOOL];
	unsigned npool;
	int self, class;		/* of the actor that this worker is; LUA_NOREF */
	lua_State *volatile now;	/* the coroutine that runs a task's code; NULL: none does */
	volatile sig_atomic_t asked;	/* SIGURG came: the submitters' marks are to be looked at */
	volatile sig_atomic_t look;	/* what watch() was given is to be called: a child has ended, or it is time */
	int watch;			/* registry reference of it; LUA_NOREF */
	uint64_t look_at;		/* when it is time; WAIT_FOREVER */
	unsigned ncancel;		/* suspended tasks that are to be told that they are cancelled */
	int handler;			/* after a raise: depth of the handler of a to-be-closed variable that runs; 0 none */
	unsigned grace;			/* instructions left for such handlers */
	bool turn;			/* a stream stands back for others, and could go on */
	bool blocked;			/* the thread waits */
	bool several;			/* it runs several calls at once */
	bool warned;			/* that one of them blocks the others */
};

bool	sched_tagged(lua_State *co, int nres);	/* is that yield ours? */

void	health_run(struct script *s);		/* health.c: calls the method that serve_health named, and answers */

void	watch_run(struct script *s);	/* watch.c: calls it */

/* cancel.c */
void	cancel_start(struct script *s);			/* a worker: from now on SIGURG is heard */
void	cancel_children(void);				/* and SIGCHLD, which sets look */
int	cancel_resume(struct script *s, lua_State *co, lua_State *from, int narg, int *nres);	/* lua_resume for a task's code */
void	cancel_look(struct script *s);			/* whose tasks are cancelled? */
void	cancel_hook(struct script *s, lua_State *L);	/* L raises at its next instruction, if its task is cancelled */
void	cancel_soon(lua_State *L);			/* the hook is called at its next instruction */
void	cancel_outcome(struct task_in *t, lua_State *co);	/* the error of a task that was told, on top of co */

#endif
