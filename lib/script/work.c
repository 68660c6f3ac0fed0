/*
 * work - a worker's main loop: claim, run in a coroutine, publish; resume what became ready; wait.
 *
 * While tasks are suspended only our own submissions run here: the parent waits, the child runs, on the same
 * CPU.  After BLOCK_NS without such work the worker is marked blocked and gives its CPUs back.
 */
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/num.h"
#include "capi/run.h"
#include "wire/spec.h"
#include "os/proc.h"
#include "script/alloc.h"
#include "script/func.h"
#include "script/l_dag.h"
#include "script/limit.h"
#include "script/lines.h"
#include "script/output.h"
#include "script/paths.h"
#include "script/run.h"
#include "script/sched.h"
#include "script/work.h"
#include "wire/val.h"

#define BLOCK_NS 1000000u
#define COLLECT_NS 50000000u
#define LOOK_NS UINT64_C(500000000)
#define ACTOR_GROUPS_MAX 64u
#define TURN 64u			/* items of one stream in a row */

/* --- running ------------------------------------------------------------------------------------------------------------ */

/* a stream that waited for its consumer, and need not any more */
static struct susp *
with_room(struct sched *d)
{
	list_each(l, &d->susp) {
		struct susp *u = list_entry(l, struct susp, link);

		if (u->full && serve_item_room(&u->t))
			return u;
	}
	return NULL;
}

static bool
room(void *d)
{
	return with_room(d) != NULL;
}

/* full: it is a stream whose consumer is behind; else it yielded what it waits for */
static bool
suspend(struct script *s, const struct task_in *t, lua_State *co, int ref, bool full)
{
	struct sched *d = s->sched;
	struct susp *u = malloc(sizeof *u);

	if (!u)
		return false;
	u->co = co;
	u->coref = ref;
	u->t = *t;
	serve_scope(s->c, &u->t);
	if (full) {
		d->want = NULL;
		d->deadline = WAIT_FOREVER;
	}
	u->full = full;
	u->timer = (struct heap_node){ .at = d->deadline };
	u->tag = 0;
	u->gone = false;
	u->sub = d->want_set;
	d->want_set = NULL;
	if (d->deadline != WAIT_FOREVER && heap_add(&d->timers, &u->timer) < 0)
		goto nomem;
	if (d->want) {
		u->tag = ++d->next_tag;
		if (waitset_add(s->c, d->set, d->want, (uint64_t)(uintptr_t)u) < 0)
			goto nomem;
	}
	if (u->sub) {
		d->nsub++;
		if (waitset_watch(s->c, u->sub, d->set))
			d->kick = true;
	}
	list_add_tail(&d->susp, &u->link);
	if (full)
		serve_rooms(s->c, ++d->nfull, room, d);
	d->nsusp++;
	d->nring += t->from != NULL;
	return true;
nomem:
	heap_del(&d->timers, &u->timer);
	free(u);
	return false;
}

/* one that waits for a member of a set that has a ready one */
static struct susp *
of_set(struct script *s)
{
	struct sched *d = s->sched;

	if (waitset_kicked(s->c, d->set))
		d->kick = true;
	if (!d->kick)
		return NULL;
	list_each(l, &d->susp) {
		struct susp *u = list_entry(l, struct susp, link);

		if (u->sub && waitset_ready(s->c, u->sub))
			return u;
	}
	d->kick = false;
	return NULL;
}

/* after an item: is somebody else to run first?  Who waits for it here, or now and then other calls of this actor */
static bool
yields(struct script *s, const struct task_in *t)
{
	if (t->item % TURN == 0 && (!t->from || s->sched->several))
		return true;
	return !t->from && (waitset_ready(s->c, s->sched->set) || of_set(s));
}

/* co holds a function and narg arguments, or is a suspended task's */
static void
resume(struct script *s, struct task_in *t, lua_State *co, int ref, int narg)
{
	int nres, status;
	bool item, oom, turn = false;

	s->sched->running = t;
	serve_enter(s->c, t);
	do {
		status = cancel_resume(s, co, s->L, narg, &nres);
		item = status == LUA_YIELD && !sched_tagged(co, nres) && t->stream;
		if (item && run_item(s, t, co, nres) < 0)
			status = LUA_ERRRUN;
		narg = 0;
		turn = item && status == LUA_YIELD && yields(s, t);
	} while (item && status == LUA_YIELD && !turn && (serve_item_room(t) || (t->cancel && !t->shield)));
	s->sched->turn = turn;
	if (status == LUA_YIELD && (item || sched_tagged(co, nres))) {
		if (!item)
			lua_pop(co, 1);
		s->sched->running = NULL;
		if (suspend(s, t, co, ref, item))
			return;
		s->sched->running = t;
		lua_pushliteral(co, "not enough memory");
		status = LUA_ERRMEM;
	} else if (status == LUA_YIELD) {
		lua_settop(co, 0);
		lua_pushliteral(co, "coroutine.yield in a task that is no stream; with{stream=true} makes it one");
	}
	if (t->raised || (t->cancel && status != LUA_OK)) {	/* whatever it made of that */
		cancel_outcome(t, co);
		status = LUA_ERRRUN;
	}
	oom = status != LUA_OK && limit_broken(s, co, status);
	if (status != LUA_OK)
		run_close(s, co);
	if (oom) {
		lua_pushstring(co, err_word(ERR_OOM));
		lua_setfield(co, -2, "code");
	}
	s->sched->running = NULL;
	if (status == LUA_OK)
		run_results(s, t, co, nres);
	else
		run_fail(s, t, co, ERR_TASK);
	if (oom) {
		lua_gc(s->L, LUA_GCCOLLECT);	/* for the next one */
		serve_limit(s->c, true);
	}
	run_co_give(s, co, ref);
}

static void
run(struct script *s, struct task_in *t)
{
	struct dec_src src = { 0 };
	struct enc_seg seg[OBJ_VIEW_BUFS];
	lua_State *co;
	int ref, e, base;

	if (t->fn.kind == FN_C || (t->fn.kind == FN_METHOD && crun_is_actor(s->crun))) {
		crun_task(s->crun, t);
		return;
	}
	if (t->fn.kind == FN_COMMAND || t->fn.kind == FN_LINES) {
		serve_enter(s->c, t);
		lines_run(s, t);
		return;
	}
	co = run_co_take(s, &ref);
	if ((e = run_function(co, s, t)) < 0)
		goto failed;
	if (t->fn.kind == FN_LUA_WITH && run_counted(co))
		serve_retire(s->c, SERVE_CALLS);
	if (t->fn.kind == FN_METHOD)
		lua_rawgeti(co, LUA_REGISTRYINDEX, s->sched->self);
	base = lua_gettop(co);
	if (t->arena) {				/* arguments in the arena: buffers are copied, the object goes with the task */
		src.nseg = t->view.nbuf < OBJ_VIEW_BUFS ? t->view.nbuf : OBJ_VIEW_BUFS;
		for (unsigned i = 0; i < src.nseg; i++)
			seg[i] = (struct enc_seg){ t->view.buf[i].p, t->view.buf[i].len };
		src.seg = seg;
	}
	s->sched->running = t;			/* references that come in are the task's */
	serve_enter(s->c, t);
	client_decoding(s->c, true);
	e = lua_checkstack(co, (int)t->nvals + 16) ? dec_values(co, t->args, t->n, t->nvals, &src, VAL_ALLOW_CODE) : -ENOMEM;
	client_decoding(s->c, false);
	s->sched->running = NULL;
	if (e < 0)
		goto failed;
	resume(s, t, co, ref, lua_gettop(co) - base + (t->fn.kind == FN_METHOD));
	return;
failed:
	if (e == -ENOMEM && lua_gettop(co) == 0)
		lua_pushliteral(co, "too many arguments");
	run_fail(s, t, co, e == ERR_PROTO ? ERR_PROTO : ERR_TASK);
	lua_settop(co, 0);
	run_co_give(s, co, ref);
}

/* one that is to be told that it is cancelled */
static struct susp *
cancelled(struct sched *d)
{
	list_each(l, &d->susp) {
		struct susp *u = list_entry(l, struct susp, link);

		if (u->t.cancel && !u->t.shield) {
			d->ncancel--;
			return u;
		}
	}
	d->ncancel = 0;
	return NULL;
}

/* suspended tasks whose time came or whose reference is ready; true if one ran */
static bool
resume_ready(struct script *s)
{
	struct sched *d = s->sched;
	struct susp *u = NULL;
	struct heap_node *n;
	uint64_t tag;
	struct rec *r;
	struct task_in t;
	lua_State *co;
	int ref;

	if (d->nsusp == 0)
		return false;
	if (d->ncancel)
		u = cancelled(d);
	while (!u && waitset_next(s->c, d->set, 0, &r, &tag) == 0) {
		client_release(s->c, r);
		u = (struct susp *)(uintptr_t)tag;
		if (u->gone) {
			free(u);
			u = NULL;
		} else {
			u->tag = 0;
		}
	}
	if (!u && d->nsub)
		u = of_set(s);
	if (!u && d->nfull)
		u = with_room(d);
	if (!u && (n = heap_top(&d->timers)) && n->at <= clock_ns())
		u = (struct susp *)(void *)((char *)n - offsetof(struct susp, timer));
	if (!u)
		return false;
	heap_del(&d->timers, &u->timer);
	d->nsub -= u->sub != NULL;
	if (u->full)
		serve_rooms(s->c, --d->nfull, room, d);
	list_del(&u->link);
	d->nsusp--;
	d->nring -= u->t.from != NULL;
	t = u->t;
	co = u->co;
	ref = u->coref;
	u->gone = u->tag != 0;		/* its reference leaves the set when it becomes ready, the task goes on now */
	if (!u->gone)
		free(u);
	resume(s, &t, co, ref, 0);
	return true;
}

static uint64_t
next_deadline(struct sched *d)
{
	struct heap_node *n = heap_top(&d->timers);

	return n ? n->at : WAIT_FOREVER;
}

/* nothing to run while tasks are suspended: first a little patience, then the CPUs go back */
static int
wait_suspended(struct script *s)
{
	bool room = serve_room(s->c);
	uint64_t soon = clock_ns() + BLOCK_NS, at = next_deadline(s->sched);
	int e = serve_wait(s->c, s->sched->set, room, true, room || at < soon ? at : soon);

	if (e != -ETIMEDOUT || at <= soon || room)
		return e;
	serve_block(s->c, true);
	e = serve_wait(s->c, s->sched->set, false, true, at);
	serve_block(s->c, false);
	return e;
}

/* --- actors -------------------------------------------------------------------------------------------------------------- */

/* the table on top, which goes: how many calls run at once, of which group */
static void
set_up(lua_State *L)
{
	struct script *s = script_of(L);
	unsigned limit[ACTOR_GROUPS_MAX], n = 1;
	bool several;

	luaL_checktype(L, -1, LUA_TTABLE);
	limit[0] = lua_getfield(L, -1, "concurrency") == LUA_TNUMBER ? (unsigned)lua_tointeger(L, -1) : 1;
	several = limit[0] > 1;
	if (lua_getfield(L, -2, "limits") == LUA_TTABLE)
		for (; n < ACTOR_GROUPS_MAX && lua_rawgeti(L, -1, (lua_Integer)n) == LUA_TNUMBER; n++, lua_pop(L, 1))
			limit[n] = (unsigned)lua_tointeger(L, -1);
	several |= n > 1;
	s->sched->several = several;
	if (several && serve_slots(s->c, limit, n) < 0)
		luaL_error(L, "not enough memory");
	lua_settop(L, 1);
}

static int
construct(lua_State *L)				/* class payload, arguments … as light userdata spec */
{
	struct spec *p = lua_touserdata(L, 1);
	struct script *s = script_of(L);
	struct wref w;
	ssize_t n;
	int top, e;

	if ((n = val_first(p->code, p->ncode)) < 0)
		return luaL_error(L, "malformed actor");
	if (dec_values(L, p->code, (size_t)n, 1, NULL, VAL_ALLOW_CODE) < 0)
		return lua_error(L);
	set_up(L);				/* before the class, which may need it */
	if (dec_values(L, p->code + n, p->ncode - (size_t)n, 1, NULL, VAL_ALLOW_CODE) < 0)
		return lua_error(L);
	s->sched->class = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	lua_createtable(L, 0, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->sched->class);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	s->sched->self = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->sched->class);
	lua_getfield(L, -1, "new");
	if (lua_isnil(L, -1))
		return 0;
	lua_insert(L, -3);
	lua_pop(L, 1);				/* new, self */
	top = lua_gettop(L);
	if (p->arena) {
		struct rec *r;

		val_wref_unpack(&w, p->args);
		if (!(r = client_import(s->c, &w)))
			return luaL_error(L, "the constructor's arguments were lost");
		while ((e = client_wait(s->c, r, WAIT_FOREVER)) == -EINTR)
			;
		if (e < 0)
			return luaL_error(L, "the constructor's arguments were lost");
		ref_push(L, r);
		ref_values(L, r, lua_gettop(L), true);
		lua_remove(L, top + 1);
	} else if (dec_values(L, p->args, p->nargs, p->nvals, NULL, VAL_ALLOW_CODE) < 0) {
		return lua_error(L);
	}
	lua_call(L, lua_gettop(L) - top + 1, 1);
	if (!lua_isnil(L, -1))
		return luaL_error(L, "new fills self and returns nothing");
	return 0;
}

static int
with_traceback(lua_State *L)
{
	luaL_traceback(L, L, NULL, 1);
	errobj_wrap(L, 1, lua_tostring(L, -1));
	return 1;
}

static void
start_actor(struct script *s, struct span bytes)
{
	lua_State *L = s->L;
	struct spec p;
	unsigned char *copy = malloc(bytes.n + 1);
	int base = lua_gettop(L);

	if (!copy)
		_exit(125);
	memcpy(copy, bytes.p, bytes.n);
	if (serve_limited(s->c))
		limit_begin(s);
	serve_named(s->c, "new");
	if (spec_get(&p, copy, bytes.n) == 0 && crun_is_class(&p)) {
		crun_construct(s->crun, &p);
		free(copy);
		return;
	}
	lua_pushcfunction(L, with_traceback);
	lua_pushcfunction(L, construct);
	lua_pushlightuserdata(L, &p);
	if (spec_get(&p, copy, bytes.n) == 0 && lua_pcall(L, 1, 0, base + 1) == LUA_OK) {
		serve_actor_up(s->c, true, NULL, 0);
	} else {
		s->enc.flags = ENC_INLINE;
		if (enc_values(L, &s->enc, -1, -1, "error") < 0) {
			errobj_push(L, ERR_ACTOR_DIED, "the constructor's error cannot travel");
			enc_values(L, &s->enc, -1, -1, "error");
		}
		serve_actor_up(s->c, false, s->enc.b.data, s->enc.b.len);
	}
	lua_settop(L, base);
	free(copy);
}

/* --- the loop -------------------------------------------------------------------------------------------------------------- */

static int
ask_driver(lua_State *L, char kind, const char *name, size_t n)
{
	struct script *s = script_of(L);
	struct buf b = BUF_INIT;
	bool blocked = sched_blocking(s, true);
	int e = client_ask_name(s->c, kind, name, n, &b);

	if (blocked)
		sched_blocking(s, false);
	if (e == 0)
		lua_pushlstring(L, (const char *)b.data, b.len);
	buf_release(&b);
	return e;
}

/* now and then, before a task: a worker that has become too large is replaced, if what it can let go of does not help */
static void
look_memory(struct script *s, uint64_t now)
{
	struct sched *d = s->sched;

	d->next_look = now + LOOK_NS;
	if (proc_private() <= d->max_memory)
		return;
	script_collect(s);
	if (proc_private() > d->max_memory) {
		serve_retire(s->c, SERVE_LARGE);
		d->next_look = UINT64_MAX;
	}
}

static uint64_t
idle_until(const struct script *s)
{
	uint64_t collect = s->made ? clock_ns() + COLLECT_NS : WAIT_FOREVER, look = s->sched->look_at;

	return collect < look ? collect : look;
}

static int
loop(struct script *s)
{
	struct task_in t;
	struct span spec;
	uint64_t incarnation;

	for (;;) {
		bool turn;
		int e;

		if (serve_actor(s->c, &spec, &incarnation) && spec.n)
			start_actor(s, spec);
		if (s->sched->asked) {
			serve_look(s->c);
			cancel_look(s);
		}
		if (serve_health(s->c) && (!s->sched->nring || s->sched->several))
			health_run(s);
		if (s->sched->look && s->sched->watch != LUA_NOREF && (!s->sched->nring || s->sched->several))
			watch_run(s);
		if (resume_ready(s) && !s->sched->turn)
			continue;
		turn = s->sched->turn;
		s->sched->turn = false;
		e = s->sched->nring && !serve_room(s->c) ? 0 : serve_next(s->c, &t);
		if (e == 0 && s->sched->nsusp)
			e = serve_own(s->c, &t);
		if (e == 1) {
			if (t.start >= s->sched->next_look)
				look_memory(s, t.start);
			if (t.limited)
				limit_begin(s);
			run(s, &t);
			continue;
		}
		if (e < 0 || client_lost(s->c))
			return 0;
		if (turn)
			continue;
		if (s->plans && dag_serve(s, !s->sched->nring || s->sched->several))
			continue;
		if (s->sched->nring) {
			e = wait_suspended(s);
		} else if (s->sched->nsusp) {		/* children of ours that outlive their parents: others' tasks are welcome */
			e = serve_wait(s->c, s->sched->set, true, true, next_deadline(s->sched));
		} else {
			if (serve_stopping(s->c))
				return 0;
			serve_enter(s->c, NULL);
			e = serve_wait(s->c, NULL, true, false, idle_until(s));
			if (s->sched->look_at != WAIT_FOREVER && clock_ns() >= s->sched->look_at)
				s->sched->look = 1;
			if (e == -ETIMEDOUT && s->made) {	/* references in our garbage hold memory of others */
				s->made = false;
				lua_gc(s->L, LUA_GCCOLLECT);
			}
		}
		if (s->plans)				/* a task that waits must not wait for their channels too */
			client_chan_watch(s->c, NULL, 0);
		if (e == ERR_NO_CLUSTER)
			return 0;
	}
}

lua_State *
work_preload(void)
{
	lua_State *L = alloc_newstate();

	if (!L)
		return NULL;
	if (output_open() < 0)
		return NULL;
	luaL_openlibs(L);
	output_programs(L);
	paths_open(L);
	sched_open_coroutine(L);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "rota");
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		fprintf(stderr, "rwork: %s\n", lua_tostring(L, -1));
		lua_close(L);
		return NULL;
	}
	lua_gc(L, LUA_GCGEN, 100, 0);	/* collects; what is there now is old, and a worker's steps leave it and its pages alone */
	return L;
}

/* The zygote's state was copied: without this all would draw alike.  What Lua itself would take is the second and
   an address: the same in all workers that are forked within a second. */
static void
reseed(lua_State *L)
{
	lua_Integer seed[2] = { (lua_Integer)clock_ns(), (lua_Integer)getpid() };

	(void)!getrandom(seed, sizeof seed, GRND_NONBLOCK);
	lua_getglobal(L, "math");
	lua_getfield(L, -1, "randomseed");
	lua_pushinteger(L, seed[0]);
	lua_pushinteger(L, seed[1]);
	lua_call(L, 2, 0);
	lua_settop(L, 0);
}

/* what the driver's environment says about its workers */
static void
surroundings(struct script *s)
{
	const char *strict = getenv("ROTA_STRICT"), *most = getenv("ROTA_MAX_WORKER_MEMORY");

	if (strict && strcmp(strict, "1") == 0)
		strict_open(s->L);
	s->sched->next_look = UINT64_MAX;
	if (most && num_size(most, &s->sched->max_memory) == 0 && s->sched->max_memory)
		s->sched->next_look = 0;
}

int
work_run(lua_State *L, int fd)
{
	struct script *s = script_of(L);
	struct client *c;
	char why[256];
	int status;

	if (client_open_worker(&c, fd, why, sizeof why) < 0) {
		fprintf(stderr, "rwork: %s\n", why);
		return 125;
	}
	if (!(s->sched = calloc(1, sizeof *s->sched)) || !(s->sched->set = waitset_new(c)))
		return 125;
	if (!(s->crun = crun_new(c)))
		return 125;
	output_attach(c);
	script_attach(L, c);
	list_init(&s->sched->susp);
	s->sched->self = s->sched->class = s->sched->watch = LUA_NOREF;
	s->sched->look_at = WAIT_FOREVER;
	lua_newtable(L);
	s->sched->by_hash = luaL_ref(L, LUA_REGISTRYINDEX);
	reseed(L);
	context_open_worker(L);
	cancel_start(s);
	limit_watch(s);
	func_install_resolver(L, ask_driver);
	surroundings(s);
	status = loop(s);
	fflush(NULL);
	return status;
}
