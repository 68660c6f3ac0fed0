/*
 * explore.h - runs 2 to 4 actors through all their interleavings, with a death at every step.
 *
 * An actor is a coroutine that runs code compiled unchanged from lib/, with stdatomic.h and os/futex.h of
 * t/model/include: each atomic access is a step.  Before a step the actor stands still and can be saved: its
 * stack, its registers, the machine (machine.h) and the test's struct of notes (GHOST) are one state.  From each
 * state every possible next step is tried: each live actor, each value that its load may read, each sleeper that
 * its wake may hit, and, as far as the scenario's budgets go, the death of a mortal actor and a signal to one that
 * sleeps.  States met before (by a 64-bit hash) are not entered again, so that loops end and the search is exhaustive.
 *
 * A death leaves what was stored and nothing else: a store that never left the dead actor's store buffer is the
 * death one step earlier.  model_await is how rlet learns of it, after the fact.
 *
 * Failures: check() in an actor or in rest(), a race on a plain object, and, asked of rest(), states in which nothing can
 * move any more: "asleep" and "finished" tell there who sleeps on a futex and who came to his end.  Endless activity is
 * not looked for.  A failure prints the steps that lead to it.  Limits: the sizes of the scenario, and what
 * machine.h says.  Mutations break one access by name ("func": the fence, the order, the atomicity), to show that
 * a scenario would have failed.
 */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#undef _FORTIFY_SOURCE		/* its longjmp refuses to change stacks */
#include <setjmp.h>
#include <ucontext.h>
#include "machine.h"
#include "os/futex.h"
#include "../tap.h"

enum { STACK = 32768, SCRATCH = 2048, DEPTH = 4000 };

struct scenario {
	const char *name;
	unsigned actors;
	void (*actor[ACTORS])(void);
	const char *who[ACTORS];
	unsigned mortal;		/* bit a: actor a may die at any step */
	unsigned deaths, signals;	/* how many in all */
	void *ghost;			/* notes that belong to the state; set to zero by the explorer */
	size_t ghostlen;
	const void *light;		/* an object of many bytes that nothing is handed over by: bells */
	size_t lightlen;
	bool strong;			/* machine.h */
	void (*init)(void);		/* once, before any actor: sets the shared objects and the notes */
	void (*rest)(void);		/* check()s a state in which nobody can move */
};

enum what { OP_LOAD, OP_STORE, OP_RMW, OP_CAS, OP_FENCE, OP_SLEEP, OP_WAKE, OP_CHOOSE, OP_AWAIT };
static const char *const opname[] = { "load", "store", "rmw", "cas", "fence", "sleep", "wake", "choose", "await" };
enum breakage { SOUND, SKIP, RELAX, SPLIT };	/* a fence left out; an order made relaxed; a CAS as load and store */

struct mutation {
	const char *func;
	enum what what;
	enum breakage how;
};

enum status { RUNS, SLEEPS, WOKEN, DEAD, DONE };

struct op {
	enum what what;
	unsigned loc;
	memory_order order, fail;
	enum rmw rmw;
	uint64_t v, expect;
	struct site at;
};

struct actor {			/* all of it is state */
	jmp_buf jb;
	char *low;		/* of the stack in use */
	struct op op;		/* what it stands before */
	uint64_t result;
	enum status status;
};

static struct actor act[ACTORS];
static char stack[ACTORS][STACK] __attribute__((aligned(64)));
static unsigned self, deaths_left, signals_left;
static jmp_buf scheduler;
static const struct scenario *sc;
static struct mutation mutant;
static struct trail {		/* how we came here */
	unsigned a;
	const char *event;	/* NULL: op */
	struct op op;
	uint64_t result;
} trail[DEPTH];
static uint64_t *seen;
static size_t nseen, capseen;
static unsigned long states, steps, rests;
static unsigned deepest, failed_at;
static bool acting;		/* an actor runs, not the scheduler */
static bool again;		/* the search is to be started anew */

#define asleep(a) (act[a].status == SLEEPS)
#define finished(a) (act[a].status == DONE)
#define dead(a) (act[a].status == DEAD)
#define check(x) ((x) ? (void)0 : fails(#x))

static void
fails(const char *why)			/* an actor does not go on after it */
{
	if (!complaint)
		complaint = why;
	if (acting)
		_longjmp(scheduler, 1);
}

/* ---- inside an actor ---- */
static __attribute__((noinline)) char *
here(void)
{
	return __builtin_frame_address(0);
}

static __attribute__((noinline)) void
clear(void)
{
	uint64_t *top = __builtin_frame_address(0);

	for (volatile uint64_t *p = top - 8; p > top - SCRATCH / 8; p--)	/* 8: of this function itself */
		*p = 0;
}

/* stands still until the scheduler has done the operation; all registers that matter lie on the stack then */
static __attribute__((noinline)) uint64_t
stand(void)
{
	struct actor *a = &act[self];

	__builtin_unwind_init();
	a->low = here();
	if (_setjmp(a->jb) == 0)
		_longjmp(scheduler, 1);
	return act[self].result;
}

static uint64_t perform(unsigned a, const struct op *op, unsigned choice);

static bool
broken(struct site at, enum what what, enum breakage how)
{
	return mutant.how == how && mutant.what == what && strcmp(mutant.func, at.func) == 0;
}

static memory_order
weaken(struct site at, enum what what, memory_order o)
{
	return broken(at, what, RELAX) ? memory_order_relaxed : o;
}

/*
 * Starts the operation that the actor will stand before.  What lies below the stack in use is cleared: what a frame
 * leaves uninitialized must not tell histories apart.
 */
static __attribute__((noinline)) struct op *
op_make(enum what what, const volatile void *p, unsigned n, memory_order o, struct site at)
{
	struct op *op = &act[self].op;

	memset(op, 0, sizeof *op);
	op->what = what;
	op->loc = p ? loc_of(p, n) : 0;
	op->order = weaken(at, what, o);
	op->at = at;
	clear();
	return op;
}

uint64_t
model_load(const volatile void *p, unsigned n, memory_order o, struct site at)
{
	struct op *op = op_make(OP_LOAD, p, n, o, at);

	if (!loc[op->loc].loaded)
		again = loc[op->loc].loaded = true;	/* its old values matter: they may have been dropped already */
	return stand();
}

void
model_store(volatile void *p, unsigned n, uint64_t v, memory_order o, struct site at)
{
	op_make(OP_STORE, p, n, o, at)->v = n == 8 ? v : v & ((UINT64_C(1) << 8 * n) - 1);
	stand();
}

uint64_t
model_rmw(volatile void *p, unsigned n, enum rmw what, uint64_t v, memory_order o, struct site at)
{
	struct op *op = op_make(OP_RMW, p, n, o, at);

	op->rmw = what;
	op->v = v;
	if ((what == RMW_ADD || what == RMW_SUB) && o == memory_order_relaxed && !loc[op->loc].loaded && !sc->deaths)
		return perform(self, op, 0);	/* a counter that nobody reads: the order is all the same */
	return stand();
}

static uint64_t
split_cas(volatile void *p, unsigned n, uint64_t e, uint64_t v, struct site at)
{
	uint64_t was = model_load(p, n, memory_order_seq_cst, at);

	if (was == e)
		model_store(p, n, v, memory_order_seq_cst, at);
	return was;
}

bool
model_cas(volatile void *p, unsigned n, void *expect, uint64_t v, memory_order yes, memory_order no, struct site at)
{
	struct op *op = op_make(OP_CAS, p, n, yes, at);
	uint64_t e = 0, was;

	memcpy(&e, expect, n);
	op->v = v;
	op->expect = e;
	op->fail = no;
	was = broken(at, OP_CAS, SPLIT) ? split_cas(p, n, e, v, at) : stand();
	memcpy(expect, &was, n);
	return was == e;
}

void
model_fence(memory_order o, struct site at)
{
	if (broken(at, OP_FENCE, SKIP) || strong)
		return;
	op_make(OP_FENCE, NULL, 0, o, at);
	stand();
}

int
model_wait(volatile void *p, uint32_t val, struct site at)
{
	op_make(OP_SLEEP, p, 4, memory_order_relaxed, at)->expect = val;
	return (int)stand();
}

int
model_wake(volatile void *p, struct site at)
{
	op_make(OP_WAKE, p, 4, memory_order_relaxed, at);
	return broken(at, OP_WAKE, SKIP) ? 0 : (int)stand();
}

/* any number below n */
static inline unsigned
model_choose(unsigned n)
{
	op_make(OP_CHOOSE, NULL, 0, memory_order_relaxed, (struct site){ "", "" })->v = n;
	return (unsigned)stand();
}

/* waits for the end of actor a, through the kernel, which leaves nothing unseen; true if it died */
static inline bool
model_await(unsigned a)
{
	op_make(OP_AWAIT, NULL, 0, memory_order_relaxed, (struct site){ "", "" })->v = a;
	return stand();
}

/* plain objects, named by where they would lie */
static inline uint64_t
plain_get(const volatile void *p)
{
	uint64_t v = plain_read(self, p);

	if (complaint)
		fails(complaint);
	return v;
}

static inline void
plain_set(volatile void *p, uint64_t v)
{
	plain_write(self, p, v);
	if (complaint)
		fails(complaint);
}

/* what is stored last in a shared variable, for rest() */
#define NEWEST(p) value_at(loc_of((p), sizeof *(p)), newest(loc_of((p), sizeof *(p))))

/* ---- the scheduler ---- */
static void
body(void)
{
	sc->actor[self]();
	act[self].status = DONE;
	act[self].low = stack[self] + STACK;
	memset(&act[self].op, 0, sizeof act[self].op);
	memset(&m.cur[self], 0, sizeof m.cur[self]);
	_longjmp(scheduler, 1);
}

static void
start(unsigned a)
{
	ucontext_t first, back;

	memset(stack[a], 0, STACK);
	getcontext(&first);
	first.uc_stack.ss_sp = stack[a];
	first.uc_stack.ss_size = STACK;
	first.uc_link = NULL;
	makecontext(&first, body, 0);
	self = a;
	act[a].status = RUNS;
	acting = true;
	if (_setjmp(scheduler) == 0)
		swapcontext(&back, &first);
	acting = false;
}

static void
resume(unsigned a, uint64_t result)
{
	self = a;
	act[a].result = result;
	memset(act[a].low - SCRATCH, 0, SCRATCH);	/* what a new frame finds there must not tell histories apart */
	acting = true;
	if (_setjmp(scheduler) == 0)
		_longjmp(act[a].jb, 1);
	acting = false;
}

static unsigned
sleepers(unsigned l)			/* mask of who sleeps on l */
{
	unsigned mask = 0;

	for (unsigned i = 0; i < sc->actors; i++)
		if (act[i].status == SLEEPS && act[i].op.loc == l)
			mask |= 1u << i;
	return mask;
}

/* in how many ways actor a can go on; one more for a death */
static unsigned
ways(unsigned a)
{
	const struct op *op = &act[a].op;

	switch (act[a].status) {
	case DEAD: case DONE: return 0;
	case SLEEPS: return signals_left ? 1 : 0;
	case WOKEN: return 1;
	case RUNS: break;
	}
	switch (op->what) {
	case OP_LOAD: return newest(op->loc) - m.cur[a].at[op->loc] + 1;
	case OP_CHOOSE: return (unsigned)op->v;
	case OP_AWAIT: return act[op->v].status >= DEAD;
	case OP_WAKE: return sleepers(op->loc) ? (unsigned)__builtin_popcount(sleepers(op->loc)) : 1;
	default: return 1;
	}
}

static uint64_t
modify(enum rmw what, uint64_t was, uint64_t v, unsigned n)
{
	uint64_t r = what == RMW_SET ? v : what == RMW_ADD ? was + v : what == RMW_SUB ? was - v :
	    what == RMW_OR ? was | v : was & v;

	return n == 8 ? r : r & ((UINT64_C(1) << 8 * n) - 1);
}

/* read-modify-write and compare-and-swap: on the last value */
static uint64_t
swap(unsigned a, const struct op *op)
{
	bool yes = op->what == OP_RMW || value_at(op->loc, newest(op->loc)) == op->expect;
	memory_order o = yes ? op->order : op->fail;
	struct view before;
	const struct value *v;
	uint64_t was;

	if (o == memory_order_seq_cst)
		sc_fence(a);
	v = listed(op->loc, newest(op->loc));
	if (v)
		before = v->view;
	was = machine_load(a, op->loc, newest(op->loc), o == memory_order_acquire || o >= memory_order_acq_rel);
	if (yes)
		machine_store(a, op->loc, op->what == OP_CAS ? op->v : modify(op->rmw, was, op->v, loc[op->loc].n),
		    o >= memory_order_release, v ? &before : NULL);
	return was;
}

static uint64_t
perform(unsigned a, const struct op *op, unsigned choice)
{
	unsigned mask;

	switch (op->what) {
	case OP_LOAD:
		choice += m.cur[a].at[op->loc];
		if (op->order == memory_order_seq_cst)
			sc_fence(a);
		if (choice < m.cur[a].at[op->loc])
			choice = m.cur[a].at[op->loc];		/* the fence took that choice away */
		return machine_load(a, op->loc, choice, op->order != memory_order_relaxed);
	case OP_STORE:
		if (op->order == memory_order_seq_cst)
			sc_fence(a);
		machine_store(a, op->loc, op->v, op->order >= memory_order_release, NULL);
		return 0;
	case OP_RMW: case OP_CAS:
		return swap(a, op);
	case OP_FENCE:
		if (op->order == memory_order_seq_cst)
			sc_fence(a);
		return 0;
	case OP_SLEEP:
		return (uint64_t)-EAGAIN;	/* the caller has seen that the value differs */
	case OP_WAKE:
		if ((mask = sleepers(op->loc)) == 0)
			return 0;
		while (choice--)
			mask &= mask - 1;
		act[__builtin_ctz(mask)].status = WOKEN;
		return 1;
	case OP_CHOOSE:
		return choice;
	case OP_AWAIT:
		view_all(&m.cur[a]);
		return act[op->v].status == DEAD;
	}
	return 0;
}

/* one step of actor a: its choice-th way, or its death */
static void
step(unsigned a, unsigned choice, bool death, unsigned depth)
{
	struct trail *t = &trail[depth];
	const struct op *op = &act[a].op;

	steps++;
	t->a = a;
	t->event = NULL;
	if (death) {
		t->event = "dies";
		act[a].status = DEAD;
		act[a].low = stack[a] + STACK;
		memset(&act[a].op, 0, sizeof act[a].op);
		memset(&m.cur[a], 0, sizeof m.cur[a]);	/* nobody asks for it any more */
		deaths_left--;
	} else if (act[a].status == SLEEPS) {
		t->event = "gets a signal";
		signals_left--;
		act[a].status = RUNS;
		resume(a, (uint64_t)-EINTR);
	} else if (act[a].status == WOKEN) {
		t->event = "is woken";
		act[a].status = RUNS;
		resume(a, 0);
	} else if (op->what == OP_SLEEP && value_at(op->loc, newest(op->loc)) == op->expect) {
		t->event = "sleeps";
		act[a].status = SLEEPS;
	} else {
		t->op = *op;
		t->result = perform(a, op, choice);
		resume(a, t->result);
	}
}

#include "search.h"

#endif
