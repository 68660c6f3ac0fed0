/*
 * cancel - a worker's half of cancelling: an error is raised in whatever coroutine runs the task's code.
 *
 * SIGURG says that a submitter marked one of its tasks.  Its handler sets the count hook on the coroutine that runs;
 * the hook looks who is meant and raises, again after each pcall that catches it, until the task has ended.  Only
 * handlers of to-be-closed variables are let through for a while: after a raise the first that is seen of one is its
 * call, but of a pcall that caught the error it is the caller's next instruction.  A handler's depth tells its end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "script/limit.h"
#include "script/script.h"
#include "script/sched.h"

#define GRACE 100000u		/* instructions for handlers of to-be-closed variables */
#define DEPTH_MAX 10000	/* none deeper */

static struct script *the_script;	/* for the signal handler; a worker has one */
static pthread_t the_thread;

/* --- who is meant ------------------------------------------------------------------------------------------------- */

static bool
look_at(struct script *s, struct task_in *t)
{
	return t->cancel == 0 && (t->cancel = serve_cancelled(s->c, t, true)) != 0;
}

void
cancel_look(struct script *s)
{
	struct sched *d = s->sched;

	do {					/* again if that cancelled tasks which run here, too */
		d->asked = 0;			/* before the marks are read */
		atomic_signal_fence(memory_order_seq_cst);
		if (d->running)
			look_at(s, d->running);
		list_each(l, &d->susp)
			d->ncancel += look_at(s, &list_entry(l, struct susp, link)->t);
	} while (d->asked);
}

/* --- raising ---------------------------------------------------------------------------------------------------------- */

static const char *
text_of(const struct task_in *t)
{
	if (t->fn.kind == FN_METHOD)
		return t->cancel == ERR_TIMEOUT ? "the call took longer than its timeout" : "the call was cancelled";
	return t->cancel == ERR_TIMEOUT ? LATE_TEXT : CANCEL_TEXT;
}

static void on_hook(lua_State *L, lua_Debug *ar);

static void
set_hook(const struct task_in *t, lua_State *L)
{
	lua_sethook(L, on_hook, t->raised ? LUA_MASKCALL | LUA_MASKCOUNT : LUA_MASKCOUNT, 1);
}

static _Noreturn void
raise_in(struct script *s, lua_State *L)
{
	struct task_in *t = s->sched->running;

	if (!t->raised)
		s->sched->grace = GRACE;
	t->raised = true;
	s->sched->handler = 0;
	if (s->sched->blocked)
		sched_blocking(s, false);
	set_hook(t, L);
	errobj_push(L, t->cancel, text_of(t));
	luaL_traceback(L, L, NULL, 0);
	lua_setfield(L, -2, "traceback");
	lua_error(L);
	__builtin_unreachable();	/* lua_error does not return */
}

static int
depth(lua_State *L)
{
	lua_Debug ar;
	int lo = 0, hi = 1;

	while (hi < DEPTH_MAX && lua_getstack(L, hi, &ar))
		lo = hi, hi *= 2;
	while (hi - lo > 1) {
		int mid = lo + (hi - lo) / 2;

		if (lua_getstack(L, mid, &ar))
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

static void
on_hook(lua_State *L, lua_Debug *ar)
{
	lua_Debug at;
	struct script *s = script_of(L);
	struct sched *d = s->sched;
	struct task_in *t = d->running;

	if (d->overdrawn)
		limit_collect(s, L);
	if (d->asked) {
		serve_look(s->c);
		cancel_look(s);
	}
	if (!t || !t->cancel || t->shield) {
		lua_sethook(L, NULL, 0, 0);
		return;
	}
	if (ar->event != LUA_HOOKCOUNT) {
		if (!d->handler)
			d->handler = depth(L);
		return;
	}
	if (d->handler && d->handler < DEPTH_MAX && d->grace && lua_getstack(L, d->handler - 1, &at)) {
		d->grace--;
		return;
	}
	raise_in(s, L);
}

void
cancel_soon(lua_State *L)
{
	lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

void
cancel_hook(struct script *s, lua_State *L)
{
	if (s->sched && s->sched->running && s->sched->running->cancel && !s->sched->running->shield)
		set_hook(s->sched->running, L);
}

bool
cancel_due(lua_State *L)
{
	struct sched *d = script_of(L)->sched;

	return d && d->running && (d->asked || (d->running->cancel && !d->running->shield));
}

void
cancel_check(lua_State *L)
{
	struct script *s = script_of(L);
	struct sched *d = s->sched;

	if (!d || !d->running)
		return;
	if (d->asked)
		cancel_look(s);
	if (d->running->cancel && !d->running->shield)
		raise_in(s, L);
}

/* --- switching ------------------------------------------------------------------------------------------------------- */

static inline void
hook_if(struct sched *d, lua_State *L)
{
	atomic_signal_fence(memory_order_seq_cst);	/* now is set: a signal that comes from here on sees it */
	if (d->running && (d->asked || d->overdrawn || (d->running->cancel && !d->running->shield)))
		set_hook(d->running, L);
}

int
cancel_resume(struct script *s, lua_State *co, lua_State *from, int narg, int *nres)
{
	struct sched *d = s->sched;
	lua_State *was;
	int status;

	if (!d)					/* while the state is prepared */
		return lua_resume(co, from, narg, nres);
	was = d->now;
	d->now = co;
	hook_if(d, co);
	status = lua_resume(co, from, narg, nres);
	d->now = was;
	if (was)
		hook_if(d, was);
	return status;
}

/* --- the end -------------------------------------------------------------------------------------------------------- */

/* what it ended with is the outcome if it is our error; else it is told as the cause */
void
cancel_outcome(struct task_in *t, lua_State *co)
{
	bool ours = false, failed = lua_status(co) != LUA_OK;

	if (failed && errobj_test(co, -1)) {
		lua_pushliteral(co, "code");
		lua_rawget(co, -2);
		ours = lua_type(co, -1) == LUA_TSTRING && strcmp(lua_tostring(co, -1), err_word(t->cancel)) == 0;
		lua_pop(co, 1);
	}
	if (ours)
		return;
	luaL_checkstack(co, 8, NULL);
	errobj_push(co, t->cancel, text_of(t));
	if (!failed)
		return;
	luaL_tolstring(co, -2, NULL);
	lua_setfield(co, -2, "cause");
}

/* --- the signal ------------------------------------------------------------------------------------------------------- */

static void
on_signal(int sig)
{
	struct sched *d = the_script->sched;
	lua_State *L;
	int e = errno;

	if (!pthread_equal(pthread_self(), the_thread)) {	/* a thread of somebody's C module took it */
		pthread_kill(the_thread, sig);
		errno = e;
		return;
	}
	d->asked = 1;
	if (sig == SIGCHLD)
		d->look = 1;
	atomic_signal_fence(memory_order_seq_cst);
	if ((L = d->now) != NULL)
		lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
	client_poke(the_script->c);
	errno = e;
}

/* Ignored until now, as SIGURG is by default: what was marked before had not been claimed. */
void
cancel_start(struct script *s)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	the_script = s;
	the_thread = pthread_self();
	sigemptyset(&sa.sa_mask);
	sigaction(SIGURG, &sa, NULL);
}

void
cancel_children(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NOCLDSTOP };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGCHLD, &sa, NULL);
}
