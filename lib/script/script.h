/*
 * script - Lua's side of the runtime: one struct script per Lua state, reached from any coroutine.
 *
 * The module rota.core is opened here (luaopen_rota_core); lua/rota.lua puts the friendly face on it.  In a worker
 * the same state also runs tasks (sched.c, work.c).  Lua calls happen on the main thread only.
 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <lauxlib.h>
#include <lua.h>
#include "client/client.h"
#include "script/codec.h"
#include "script/strcache.h"

struct crun;
struct sched;
struct dag_plan;
struct client_chan;

struct script {
	lua_State *L;			/* main state */
	struct client *c;		/* NULL until the first call that needs a node */
	struct enc enc;			/* of calls; not nested */
	bool made;			/* a reference was made since the last collection in idleness */
	int arena_fd;			/* 0, or that of l_path */
	bool as_string, as_view;	/* the next ref_values makes strings, however long; buffers, however short, of what is in the store */
	bool pending;			/* enc: a top-level reference is not in the arena, or not ready */
	int mt_ref, mt_task, mt_actor, mt_method, mt_set;	/* registry references of metatables */
	const void *is_ref, *is_actor, *is_method, *is_stream, *is_waitset;	/* addresses of metatables */
	int views;			/* registry reference: weak table, record -> buffer that was made of it */
	struct strcache strings;
	size_t debt;			/* bytes of shared memory that the collector has not been told of */
	unsigned notices;		/* failures never fetched, told so far */
	struct sched *sched;		/* a worker's, else NULL */
	struct waitset *watched;	/* rota.on: its members have callbacks; NULL */
	bool in_callback;
	lua_Integer nfutures;		/* of them, futures of compiled graphs */
	uint64_t upsets;		/* client_upsets when they were looked at last */
	struct crun *crun;		/* the same: C functions */
	struct dag_plan *plans;		/* compiled graphs that this actor is in (l_dagrun.c), */
	struct client_chan **watch;	/* and room for all that they wait for */
	int tracer;			/* registry reference of what method calls go to while a graph is traced; 0: they are calls */
	char name[256];			/* program, for listings */
};

static inline struct script *
script_of(lua_State *L)
{
	return *(struct script **)lua_getextraspace(L);
}

int	luaopen_rota_core(lua_State *L);
struct client *script_client(lua_State *L);	/* joins or starts a node on first use; raises */
int	script_fail(lua_State *L, int e);	/* pushes nil, text, code word: 3 */
/* a wait of a driver ended with -EINTR: raises if Ctrl-C did it, which rlua's hook tells; returns to wait on */
void	script_interrupted(lua_State *L);
bool	script_news(void *script);		/* l_wait.c: is there a callback that no wait set knows to be due? */
void	script_callbacks(lua_State *L);		/* l_wait.c: before a wait: runs callbacks that are due */
const char *script_why(struct client *c, int e);	/* what to say of a call of the client that failed so */
_Noreturn void script_raise(lua_State *L, int e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void script_blame(lua_State *L);	/* raises the message on top at the line of the script, see lua/rota/blame.lua */

/* encodes slots first..last into S->enc and fills p with them; raises what cannot travel */
void	script_payload(lua_State *L, int first, int last, const char *what, unsigned flags, struct payload *p,
	    struct seg *segs, unsigned maxsegs);
#define SCRIPT_SEGS 64

/* the metatable on the top of the stack: getmetatable() shows its name, for its functions trust what they are called with */
void	script_seal(lua_State *L);
void	script_collect(struct script *s);	/* lets go of all that can be made again, and collects garbage */
void	script_attach(lua_State *L, struct client *c);	/* a worker: joined already */

/* l_ref.c */
void	ref_open(lua_State *L);
void	ref_push(lua_State *L, struct rec *r);		/* takes the count over */
struct rec *ref_check(lua_State *L, int arg);
struct rec *ref_test(lua_State *L, int idx);		/* NULL if it is no reference, or freed */
bool	ref_is(lua_State *L, int idx);			/* a reference, freed or not */
int	script_wait_until(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k);
/* a submit answered -EAGAIN: waits until there is room; a task that can suspends instead, and k tries again */
void	script_room(lua_State *L, lua_KContext ctx, lua_KFunction k);
void	script_wait_failed(lua_State *L, int e);		/* raises for what a wait may end with but readiness */
int	ref_values(lua_State *L, struct rec *r, int anchor, bool all);	/* pushes the values of a ready one, raises its error */
int	ref_error(lua_State *L, struct rec *r);		/* ready and failed: pushes its error object, 1; else 0 */
void	ref_failed_notice(lua_State *L, struct rec *r);
uint64_t script_deadline(lua_State *L, int idx);	/* of a number of seconds, a duration, or {timeout=}; nil: none */
void	script_wait(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k);
void	ref_charge(lua_State *L, uint64_t bytes);	/* tells the collector of shared memory that a new value keeps alive */
int	ref_l_is(lua_State *L);			/* is_ref(x) */
int	l_get(lua_State *L);
int	l_pget(lua_State *L);
void	ref_await(lua_State *L, struct rec *r);	/* until r is ready, where nothing can be suspended; a worker's CPUs may be wanted for it */
int	l_slice(lua_State *L);			/* l_slice.c */
int	l_keep(lua_State *L);			/* l_keep.c */
int	l_lookup(lua_State *L);
int	l_path(lua_State *L);			/* l_path.c */
void	slice_in(lua_State *L, int base, bool strings);
int	l_cancel(lua_State *L);
/* raises, with the nearest name, unless idx is no table or has no other keys than those known for this call */
void	script_options(lua_State *L, int idx, const char *call, const char *const known[]);

/* l_task.c, l_actor.c, l_wait.c */
void	task_open(lua_State *L);
void	actor_open(lua_State *L);
void	wait_open(lua_State *L);
void	cancel_open(lua_State *L);
extern const luaL_Reg cancel_functions[];
extern const luaL_Reg task_functions[], actor_functions[], wait_functions[], context_functions[], cfunc_functions[];
void	stream_open(lua_State *L);			/* l_stream.c */
int	stream_push(lua_State *L, struct rec *r);	/* a streaming call; takes the count over: 1 */
int	call_push(lua_State *L, struct rec *const *r, int n, bool stream);	/* what a call gives at once: n references or a stream; how many */
struct rec *stream_test(lua_State *L, int idx);		/* the record of its call; NULL: no stream, or closed */
struct rec *stream_head(lua_State *L, int idx);		/* what to wait for, borrowed; raises */
extern const luaL_Reg stream_functions[];
void	kv_open(lua_State *L);				/* l_kv.c */
extern const luaL_Reg kv_functions[], group_functions[], set_functions[];
void	members_open(lua_State *L);			/* l_members.c */
extern const luaL_Reg members_functions[];
void	process_open(lua_State *L);			/* l_process.c */
extern const luaL_Reg process_functions[];
extern const luaL_Reg watch_functions[];
extern const luaL_Reg labels_functions[];

/* l_cfunc.c: the string that stands for a C function in the place of a task's function */
bool	cfunc_is(lua_State *L, int idx);
void	cfunc_name(lua_State *L, int idx);	/* pushes the symbol */
void	task_opts_check(lua_State *L, int idx, struct task_opts *o);	/* a normalised table from lua/rota/options.lua */
void	task_out(lua_State *L, int idx, struct enc *e);
void	task_new(lua_State *L, const struct dec_src *src);
void	task_fill(lua_State *L, int task, int desc, const struct dec_src *src);
void	actor_out(lua_State *L, int idx, struct enc *e);
void	actor_in(lua_State *L, int desc, const struct dec_src *src);
struct actor *actor_test(lua_State *L, int idx);
void	actor_push(lua_State *L, uint64_t number, struct span class, struct span methods);	/* a handle */

void	context_open_worker(lua_State *L);		/* l_context.c: the environment as each task has it */

/* sched.c: suspension of tasks; in a driver these block the thread */
bool	sched_can_suspend(lua_State *L);		/* raises if the task was cancelled; runs callbacks that are due */
void	cancel_check(lua_State *L);			/* cancel.c: in a worker: raises if the task was cancelled */
bool	cancel_due(lua_State *L);			/* is cancel_check() to be called? */
void	sched_open_coroutine(lua_State *L);		/* coroutine functions that let rota's yields pass */
int	sched_suspend(lua_State *L, struct rec *r, uint64_t deadline, lua_KContext ctx, lua_KFunction k);
int	sched_suspend_set(lua_State *L, struct waitset *w, uint64_t deadline, lua_KContext ctx, lua_KFunction k);
bool	sched_blocking(struct script *s, bool on);	/* a worker blocks its thread */
bool	sched_block_here(lua_State *L);			/* the same, on, in a task's code: an actor with several calls says so once */

static inline void *
of_type(lua_State *L, int idx, const void *metatable)	/* its address: cheaper than fetching and comparing */
{
	void *u = lua_touserdata(L, idx);
	bool is;

	if (!u || !lua_getmetatable(L, idx))
		return NULL;
	is = lua_topointer(L, -1) == metatable;
	lua_pop(L, 1);
	return is ? u : NULL;
}

#endif
