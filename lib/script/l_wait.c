/*
 * l_wait - wait sets and rota.sleep: "rota.waitset" userdata, the fast half of rota.wait and rota.each.
 *
 * A set keeps its members by number: user value 1 is a table, number -> reference, from which # and [i] are served.
 * A member whose tag is not its number is kept as { reference, tag }.  Futures of compiled graphs have no record: they
 * are in user value 2, too, by the same number; nil: there are none.
 */
#include "base/clock.h"
#include "script/l_dag.h"
#include "script/script.h"

struct lset {
	struct waitset *w;
	lua_Integer next;		/* number of the next member */
	lua_Integer future, nfuture;	/* no future that is left has a lower number; how many are left */
};

static struct lset *
check(lua_State *L, int arg)
{
	struct lset *u = of_type(L, arg, script_of(L)->is_waitset);

	if (!u)
		luaL_typeerror(L, arg, "rota.waitset");
	return u;
}

static int
l_new(lua_State *L)				/* waitset() */
{
	struct lset *u;
	struct client *c = script_client(L);

	u = lua_newuserdatauv(L, sizeof *u, 2);
	*u = (struct lset){ .next = 1, .future = 1 };
	luaL_setmetatable(L, "rota.waitset");
	lua_newtable(L);
	lua_setiuservalue(L, -2, 1);
	if (!(u->w = waitset_new(c)))
		return luaL_error(L, "not enough memory");
	return 1;
}

static void
add_future(lua_State *L, struct lset *u)	/* stack: set, future */
{
	if (lua_getiuservalue(L, 1, 2) == LUA_TNIL) {
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_setiuservalue(L, 1, 2);
		lua_remove(L, -2);
	}
	lua_pushvalue(L, 2);
	lua_rawseti(L, -2, u->next);
	lua_pop(L, 1);
	u->nfuture++;
	script_of(L)->nfutures += u->w == script_of(L)->watched;
}

static void
add_record(lua_State *L, struct lset *u)	/* stack: set, reference, handle or stream */
{
	struct rec *r = ref_test(L, 2), *made = NULL;
	struct actor *a;
	int e;

	if (!r && (a = actor_test(L, 2))) {
		if (!(r = made = client_actor_ready(script_of(L)->c, a)))
			luaL_error(L, "not enough memory");
	} else if (!r) {
		r = stream_test(L, 2) ? stream_head(L, 2) : ref_check(L, 2);
	}
	e = waitset_add(script_of(L)->c, u->w, r, (uint64_t)u->next);
	if (made)				/* the set alone has it */
		client_release(script_of(L)->c, made);
	if (e < 0)
		luaL_error(L, "not enough memory");
}

/*
 * set:add(x [, tag]): a reference; a handle, ready when its actor is up, or dead; a stream, when it has an item; a
 * future of a compiled graph
 */
static int
l_add(lua_State *L)
{
	struct lset *u = check(L, 1);

	lua_settop(L, 3);
	lua_getiuservalue(L, 1, 1);
	if (lua_isinteger(L, 3) && lua_tointeger(L, 3) == u->next) {
		lua_pushvalue(L, 2);
	} else {
		lua_createtable(L, 2, 0);
		lua_pushvalue(L, 2);
		lua_rawseti(L, -2, 1);
		lua_pushvalue(L, 3);
		lua_rawseti(L, -2, 2);
	}
	if (dag_future_test(L, 2))
		add_future(L, u);
	else
		add_record(L, u);
	lua_rawseti(L, 4, u->next);
	u->next++;
	return 0;
}

/*
 * set:fill(list, i) -> number: adds the references of a list from i on, whose numbers are their places.  It ends at what
 * is no reference, whose place it gives, or with nil at the end.
 */
static int
l_fill(lua_State *L)
{
	struct script *s = script_of(L);
	struct lset *u = check(L, 1);
	lua_Integer i = luaL_checkinteger(L, 3);
	lua_Integer n;
	struct rec *r;

	luaL_checktype(L, 2, LUA_TTABLE);
	luaL_argcheck(L, i == u->next, 3, "other members came before");
	lua_settop(L, 2);
	n = luaL_len(L, 2);
	lua_getiuservalue(L, 1, 1);
	for (; i <= n; i++) {
		lua_geti(L, 2, i);
		if (!(r = ref_test(L, 4))) {
			lua_pushinteger(L, i);
			return 1;
		}
		if (waitset_add(s->c, u->w, r, (uint64_t)i) < 0)
			luaL_error(L, "not enough memory");
		lua_rawseti(L, 3, i);
		u->next = i + 1;
	}
	return 0;
}

/* the member of that number, which leaves: pushes it and its tag */
static int
leaves(lua_State *L, lua_Integer number)
{
	lua_getiuservalue(L, 1, 1);
	lua_rawgeti(L, -1, number);
	lua_pushnil(L);
	lua_rawseti(L, -3, number);
	if (!lua_istable(L, -1)) {
		lua_pushinteger(L, number);
		return 2;
	}
	lua_rawgeti(L, -1, 1);
	lua_rawgeti(L, -2, 2);
	return 2;
}

/* the number of a future that is ready, which leaves; 0 */
static lua_Integer
future_next(lua_State *L, struct lset *u)
{
	lua_Integer found = 0;
	bool left = false;

	lua_getiuservalue(L, 1, 2);
	for (lua_Integer i = u->future; i < u->next && !found; i++) {
		if (lua_rawgeti(L, -1, i) == LUA_TUSERDATA && dag_future_ready(L, lua_gettop(L)))
			found = i;
		left |= !lua_isnil(L, -1) && !found;
		if (!left)
			u->future = i + 1;
		lua_pop(L, 1);
	}
	if (found) {
		u->nfuture--;
		script_of(L)->nfutures -= u->w == script_of(L)->watched;
		lua_pushnil(L);
		lua_rawseti(L, -2, found);
	}
	lua_pop(L, 1);
	return found;
}

/* among its members are futures: all of this process waits, for a graph's results come through channels */
static int
next_mixed(lua_State *L, struct lset *u, uint64_t deadline)
{
	struct script *s = script_of(L);
	lua_Integer i;
	uint64_t tag;
	struct rec *r;
	int e;

	for (;;) {
		if ((e = waitset_next(s->c, u->w, 0, &r, &tag)) == 0) {
			client_release(s->c, r);	/* the table's reference counts */
			return leaves(L, (lua_Integer)tag);
		}
		if (e == ERR_NO_CLUSTER)
			script_raise(L, e, "%s", client_lost(s->c) ? client_lost(s->c) : "the node is gone");
		if (e == -EINTR)
			script_interrupted(L);
		if ((i = future_next(L, u)) != 0)
			return leaves(L, i);
		lua_getiuservalue(L, 1, 2);
		e = dag_futures_wait(L, lua_gettop(L), u->future, u->next, u->w, deadline);
		lua_pop(L, 1);
		if (e == -ETIMEDOUT) {
			luaL_pushfail(L);
			return 1;
		}
	}
}

static int
next_k(lua_State *L, int status, lua_KContext ctx)
{
	struct lset *u = check(L, 1);
	struct script *s = script_of(L);
	uint64_t deadline = (uint64_t)lua_tointeger(L, 3), tag;
	struct rec *r;
	bool blocked;
	int e;

	(void)status;
	if (u->nfuture)
		return next_mixed(L, u, deadline);
	while ((e = waitset_next(s->c, u->w, 0, &r, &tag)) == -EINTR)	/* a signal that came before says nothing of the set */
		script_interrupted(L);
	if (e == -ETIMEDOUT && (deadline == WAIT_FOREVER || clock_ns() < deadline)) {
		if (sched_can_suspend(L))
			return sched_suspend_set(L, u->w, deadline, ctx, next_k);
		blocked = sched_block_here(L);
		while ((e = waitset_next(s->c, u->w, deadline, &r, &tag)) == -EINTR)
			script_interrupted(L);
		if (blocked)
			sched_blocking(s, false);
	}
	if (e == ERR_NO_CLUSTER)
		script_raise(L, e, "%s", client_lost(s->c) ? client_lost(s->c) : "the node is gone");
	if (e < 0) {
		luaL_pushfail(L);			/* empty, or no time left */
		return 1;
	}
	client_release(s->c, r);			/* the table's reference counts */
	return leaves(L, (lua_Integer)tag);
}

static int
l_next(lua_State *L)				/* set:next([timeout]) -> ref, tag of one that is ready; nil */
{
	uint64_t d = script_deadline(L, 2);

	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)d);
	return next_k(L, LUA_OK, 0);
}

static int
l_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)waitset_len(check(L, 1)->w) + check(L, 1)->nfuture);
	return 1;
}

/* set:list() -> the references that are left, in the order in which they came */
static int
l_list(lua_State *L)
{
	struct lset *u = check(L, 1);
	lua_Integer n = 0;

	lua_settop(L, 1);
	lua_newtable(L);
	lua_getiuservalue(L, 1, 1);
	for (lua_Integer i = 1; i < u->next; i++) {
		if (lua_rawgeti(L, 3, i) == LUA_TTABLE) {
			lua_rawgeti(L, -1, 1);
			lua_remove(L, -2);
		}
		if (lua_isnil(L, -1))
			lua_pop(L, 1);
		else
			lua_rawseti(L, 2, ++n);
	}
	lua_settop(L, 2);
	return 1;
}

static int
l_index(lua_State *L)
{
	lua_Integer i;

	if (lua_type(L, 2) != LUA_TNUMBER) {
		lua_pushvalue(L, 2);
		lua_rawget(L, lua_upvalueindex(1));
		return 1;
	}
	i = luaL_checkinteger(L, 2);
	l_list(L);					/* for people and loops over what is left; not for the fast path */
	lua_rawgeti(L, -1, i);
	return 1;
}

static int
l_pairs(lua_State *L)				/* over what is left now */
{
	l_list(L);
	lua_getglobal(L, "next");
	lua_insert(L, -2);
	return 2;
}

static int
l_gc(lua_State *L)
{
	struct lset *u = check(L, 1);
	struct script *s = script_of(L);

	if (u->w && s->c)
		waitset_free(s->c, u->w);
	u->w = NULL;
	return 0;
}

static int
sleep_k(lua_State *L, int status, lua_KContext ctx)
{
	struct script *s = script_of(L);
	uint64_t d = (uint64_t)lua_tointeger(L, -1);
	bool blocked;
	int e = 0;

	(void)status;
	if (clock_ns() >= d)
		return 0;
	if (sched_can_suspend(L))
		return sched_suspend(L, NULL, d, ctx, sleep_k);
	blocked = sched_block_here(L);
	while (clock_ns() < d && e != ERR_NO_CLUSTER)
		if ((e = client_nap(s->c, d)) == -EINTR)
			script_interrupted(L);
	if (blocked)
		sched_blocking(s, false);
	if (e == ERR_NO_CLUSTER)
		script_raise(L, e, "%s", client_lost(s->c) ? client_lost(s->c) : "the node is gone");
	return 0;
}

static int
l_sleep(lua_State *L)
{
	uint64_t d = script_deadline(L, 1);

	luaL_argcheck(L, d != WAIT_FOREVER, 1, "a time is expected");
	script_client(L);
	lua_settop(L, 1);
	lua_pushinteger(L, (lua_Integer)d);
	return sleep_k(L, LUA_OK, 0);
}

/* --- callbacks and event loops -------------------------------------------------------------------------------- */

bool
script_news(void *script)
{
	struct script *s = script;
	lua_State *L = s->L;
	int top = lua_gettop(L);
	const struct lset *u;
	uint64_t upsets;
	bool is;

	if (s->nfutures == 0 || s->in_callback || !lua_checkstack(L, 4))
		return false;
	if ((upsets = client_upsets(s->c)) != s->upsets) {	/* the death of an actor may be the end of a graph */
		s->upsets = upsets;
		return true;
	}
	lua_rawgetp(L, LUA_REGISTRYINDEX, &s->in_callback);
	u = lua_touserdata(L, -1);
	lua_getiuservalue(L, -1, 2);
	is = dag_futures_news(L, top + 2, u->future, u->next);
	lua_settop(L, top);
	return is;
}

static bool
futures_ready(lua_State *L)			/* one of those that are watched */
{
	int top = lua_gettop(L);
	const struct lset *u;
	bool is = false;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &script_of(L)->in_callback);
	u = lua_touserdata(L, -1);
	lua_getiuservalue(L, -1, 2);
	for (lua_Integer i = u->future; i < u->next && !is; i++) {
		is = lua_rawgeti(L, top + 2, i) == LUA_TUSERDATA && dag_future_ready(L, top + 3);
		lua_settop(L, top + 2);
	}
	lua_settop(L, top);
	return is;
}

/* What is watched became ready: the function of watch() runs, here and now.  Errors pass. */
void
script_callbacks(lua_State *L)
{
	struct script *s = script_of(L);

	if (!s->watched || s->in_callback)
		return;
	luaL_checkstack(L, 8, NULL);
	if (!waitset_ready(s->c, s->watched) && !(s->nfutures && futures_ready(L)))
		return;
	luaL_checkstack(L, 4, NULL);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &s->watched);
	lua_call(L, 0, 0);
}

static int
l_watch(lua_State *L)				/* watch(set, f): f() is called in waits once a member of set is ready */
{
	struct script *s = script_of(L);
	struct lset *u = check(L, 1);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	if (s->sched)
		return luaL_error(L, "rota.on: not inside a task, which may wait: for ref in rota.ready(refs) do ... end");
	lua_pushvalue(L, 2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &s->watched);
	lua_pushvalue(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &s->in_callback);	/* lives as long as the state */
	s->watched = u->w;
	waitset_poke(s->c, u->w);
	return 0;
}

static int
l_in_callback(lua_State *L)			/* in_callback(on) -> what it was: no callback interrupts another */
{
	struct script *s = script_of(L);
	bool was = s->in_callback;

	s->in_callback = lua_toboolean(L, 1);
	lua_pushboolean(L, was);
	return 1;
}

static int
l_poll(lua_State *L)				/* poll(): takes what came, without waiting */
{
	client_poll(script_client(L));
	return 0;
}

static int
l_fd(lua_State *L)				/* fd() -> descriptor that is readable when something came */
{
	int fd = client_bell_fd(script_client(L));

	if (fd == -EPERM)
		return luaL_error(L, "rota.fd: not inside a task");
	if (fd < 0)
		script_raise(L, fd, "%s", err_str(fd));
	lua_pushinteger(L, fd);
	return 1;
}

static int
l_is(lua_State *L)
{
	lua_pushboolean(L, of_type(L, 1, script_of(L)->is_waitset) != NULL);
	return 1;
}

const luaL_Reg wait_functions[] = { { "waitset", l_new }, { "is_set", l_is }, { "watch", l_watch },
    { "in_callback", l_in_callback }, { "poll", l_poll }, { "fd", l_fd }, { "sleep", l_sleep }, { NULL, NULL } };

void
wait_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "add", l_add }, { "fill", l_fill }, { "next", l_next }, { "list", l_list }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.waitset");
	script_of(L)->is_waitset = lua_topointer(L, -1);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, l_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_len);
	lua_setfield(L, -2, "__len");
	lua_pushcfunction(L, l_pairs);
	lua_setfield(L, -2, "__pairs");
	lua_pushcfunction(L, l_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}
