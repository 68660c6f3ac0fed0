/*
 * spawn - many programs at once: run(), begin(), turn() and done() of core.h.  One loop over poll.  A crowd is those of one call;
 * its first two user values are the list of programs and the options.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "core.h"
#include "os/fd.h"
#include "os/proc.h"

enum { ARGS = 256, TAIL = 64 << 10, WHOLE = 1 << 30, IN = 0, OUT, ERR, EXIT, FDS };

struct child {
	pid_t pid;			/* 0: not started, or ended */
	int fd[FDS];			/* its pipes and its pidfd; -1: closed */
	lua_Integer part;		/* of its input, */
	size_t sent;			/* and how much of that went already */
	uint64_t until;			/* 0: no limit */
	bool done, late;
	int status;			/* of waitpid; -errno if it could not be started */
	struct buf text[ERR + 1];	/* OUT and ERR */
};

struct crowd {
	lua_State *L;			/* of this call; at `at` the list of programs, behind it the options */
	int at;
	struct child *c;
	unsigned n, next, running, limit;	/* next: to be started */
	size_t keep;
	bool lines;
};

#define CROWD "rota.up.crowd"

/* pushes list[i][name] */
static int
field(const struct crowd *w, unsigned i, const char *name)
{
	lua_State *L = w->L;

	lua_rawgeti(L, w->at, (lua_Integer)i + 1);
	lua_getfield(L, -1, name);
	lua_remove(L, -2);
	return lua_type(L, -1);
}

static void
shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static const char *
arguments(const struct crowd *w, unsigned i, char *argv[ARGS])	/* on the stack until the child is started; argv[0], or NULL: wrong ones */
{
	lua_State *L = w->L;
	lua_Integer n;

	field(w, i, "argv");
	luaL_checktype(L, -1, LUA_TTABLE);
	n = (lua_Integer)lua_rawlen(L, -1);
	if (n < 1 || n >= ARGS)
		return NULL;
	for (lua_Integer k = 1; k <= n; k++) {
		lua_rawgeti(L, -1, k);
		argv[k - 1] = (char *)luaL_checkstring(L, -1);
		lua_pop(L, 1);		/* the table keeps it */
	}
	argv[n] = NULL;
	return argv[0];
}

static int
start(struct crowd *w, unsigned i)	/* 0, or -errno: nothing is left of it */
{
	struct child *c = &w->c[i];
	struct proc_spawn s = PROC_SPAWN_INIT;
	char *argv[ARGS];
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } }, e = 0, top = lua_gettop(w->L);

	if (!arguments(w, i, argv))
		e = -E2BIG;
	for (int k = 0; k < 3 && e == 0; k++)
		if (pipe2(p[k], O_CLOEXEC) < 0)
			e = -errno;
	if (e == 0) {
		s.argv = argv;
		s.in = p[IN][0], s.out = p[OUT][1], s.err = p[ERR][1];
		s.pdeath = true;
		e = proc_spawn(&s);
	}
	lua_settop(w->L, top);
	for (int k = 0; k < 3; k++) {
		int theirs = p[k][k != IN], ours = p[k][k == IN];

		if (theirs >= 0)
			close(theirs);
		c->fd[k] = ours;
		if (ours >= 0 && e > 0)
			fd_nonblock(ours);
		else
			shut(&c->fd[k]);
	}
	if (e < 0)
		return e;
	c->pid = e;
	c->fd[EXIT] = proc_pidfd(c->pid);
	if (field(w, i, "timeout") == LUA_TNUMBER)
		c->until = clock_ns() + (uint64_t)(lua_tonumber(w->L, -1) * 1e9);
	lua_pop(w->L, 1);
	return 0;
}

static bool
holds(const struct crowd *w, unsigned i)	/* its input may go on later */
{
	bool hold = field(w, i, "hold") != LUA_TNIL;

	lua_pop(w->L, 1);
	return hold;
}

static bool
idle(const struct crowd *w, unsigned i)	/* there is no input now, and may be later */
{
	int top = lua_gettop(w->L);
	bool more;

	if (!holds(w, i))
		return false;
	more = field(w, i, "input") == LUA_TTABLE && lua_rawgeti(w->L, -1, w->c[i].part + 1) == LUA_TSTRING;
	lua_settop(w->L, top);
	return !more;
}

static void
give_input(struct crowd *w, unsigned i)
{
	struct child *c = &w->c[i];
	int type = field(w, i, "input");
	const char *s;
	size_t n;
	ssize_t got;

	while (type == LUA_TTABLE) {
		lua_rawgeti(w->L, -1, c->part + 1);
		if ((s = lua_tolstring(w->L, -1, &n)) == NULL) {
			lua_pop(w->L, 1);
			type = holds(w, i) ? LUA_TTABLE : LUA_TNIL;
			break;
		}
		got = write(c->fd[IN], s + c->sent, n - c->sent);
		lua_pop(w->L, 1);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (got < 0)
			type = LUA_TNIL;	/* it does not want more: its status says why */
		else if ((c->sent += (size_t)got) == n)
			c->part++, c->sent = 0;
	}
	lua_pop(w->L, 1);
	if (type != LUA_TTABLE)
		shut(&c->fd[IN]);
}

/* whole lines of what came go to opts.line; end: also what has no newline */
static void
give_lines(struct crowd *w, unsigned i, int stream, bool end)
{
	struct buf *b = &w->c[i].text[stream];
	const char *nl;

	while (b->len && ((nl = memchr(b->data, '\n', b->len)) != NULL || end)) {
		size_t n = nl ? (size_t)(nl - (const char *)b->data) : b->len;

		lua_getfield(w->L, w->at + 1, "line");
		lua_pushinteger(w->L, (lua_Integer)i + 1);
		lua_pushlstring(w->L, (const char *)b->data, n);
		lua_pushstring(w->L, stream == OUT ? "out" : "err");
		buf_drop(b, nl ? n + 1 : n);
		lua_call(w->L, 3, 0);
	}
}

static void
take(struct crowd *w, unsigned i, int stream)
{
	struct child *c = &w->c[i];
	struct buf *b = &c->text[stream];
	char room[16384];
	ssize_t n = read(c->fd[stream], room, sizeof room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		shut(&c->fd[stream]);
	else if (buf_add(b, room, (size_t)n) < 0)
		luaL_error(w->L, "out of memory");
	if (w->lines)
		give_lines(w, i, stream, n <= 0 || b->len > TAIL);
	else if (w->keep == WHOLE && b->len > w->keep)
		luaL_error(w->L, "a program says more than 1 GiB");
	else if (b->len > 2 * w->keep)
		buf_drop(b, b->len - w->keep);
}

static void
reap(struct crowd *w, struct child *c)
{
	if (waitpid(c->pid, &c->status, 0) == c->pid)
		c->pid = 0;
	shut(&c->fd[EXIT]);
	shut(&c->fd[IN]);
	w->running--;
}

static void
start_more(struct crowd *w)
{
	for (int e; w->next < w->n && w->running < w->limit; w->next++) {
		if ((e = start(w, w->next)) < 0)
			w->c[w->next].status = e;
		else
			w->running++;
	}
}

/* Its part of the next poll; *ms is brought down to its first limit. */
static unsigned
look(struct crowd *w, struct pollfd *p, int *ms)
{
	uint64_t now = clock_ns();
	unsigned n = 0;

	start_more(w);
	for (unsigned i = 0; i < w->n; i++) {
		struct child *c = &w->c[i];

		if (c->pid == 0)
			continue;
		if (c->until && now >= c->until && !c->late) {
			c->late = true;
			kill(c->pid, SIGKILL);
		} else if (c->until && !c->late && (*ms < 0 || (c->until - now) / 1000000 < (uint64_t)*ms))
			*ms = (int)((c->until - now) / 1000000) + 1;
		for (int k = 0; k < FDS; k++)
			p[n++] = (struct pollfd){ .fd = k == IN && c->fd[k] >= 0 && idle(w, i) ? -1 : c->fd[k], .events = k == IN ? POLLOUT : POLLIN };
	}
	return n;
}

/* all that it said before it ended; what it left to others that hold its pipes is not waited for */
static void
ended(struct crowd *w, unsigned i)
{
	struct child *c = &w->c[i];

	for (int k = OUT; k <= ERR; k++) {
		for (struct pollfd r = { .fd = c->fd[k], .events = POLLIN }; c->fd[k] >= 0 && poll(&r, 1, 0) == 1; r.fd = c->fd[k])
			take(w, i, k);
		shut(&c->fd[k]);
		if (w->lines)
			give_lines(w, i, k, true);
	}
	reap(w, c);
}

static unsigned
act(struct crowd *w, const struct pollfd *p)		/* on what poll found; how many it had */
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->n; i++) {
		const struct pollfd *q = p + n;

		if (w->c[i].pid == 0)
			continue;
		n += FDS;
		if (q[IN].revents)
			give_input(w, i);
		for (int k = OUT; k <= ERR; k++)
			if (q[k].revents)
				take(w, i, k);
		if (q[EXIT].revents)
			ended(w, i);
	}
	return n;
}

static void
push_result(struct crowd *w, struct child *c)
{
	lua_State *L = w->L;

	lua_createtable(L, 0, 5);
	for (int k = OUT; k <= ERR; k++) {
		size_t skip = c->text[k].len > w->keep ? c->text[k].len - w->keep : 0;

		lua_pushlstring(L, c->text[k].len ? (const char *)c->text[k].data + skip : "", c->text[k].len - skip);
		lua_setfield(L, -2, k == OUT ? "out" : "err");
	}
	if (c->status < 0) {
		lua_pushinteger(L, proc_status(c->status));
		lua_setfield(L, -2, "status");
		lua_pushstring(L, err_str(c->status));
		lua_setfield(L, -2, "err");
		return;
	}
	lua_pushinteger(L, WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status));
	lua_setfield(L, -2, "status");
	if (WIFSIGNALED(c->status)) {
		lua_pushinteger(L, WTERMSIG(c->status));
		lua_setfield(L, -2, "signal");
	}
	lua_pushboolean(L, c->late);
	lua_setfield(L, -2, "timeout");
}

static int
crowd_gc(lua_State *L)
{
	struct crowd *w = luaL_checkudata(L, 1, CROWD);

	for (unsigned i = 0; i < w->n; i++) {
		struct child *c = &w->c[i];

		if (c->pid) {
			kill(c->pid, SIGKILL);
			reap(w, c);
		}
		shut(&c->fd[OUT]);
		shut(&c->fd[ERR]);
		buf_release(&c->text[OUT]);
		buf_release(&c->text[ERR]);
	}
	w->n = 0;
	return 0;
}

/* of the list at 1 and the options at 2, on the stack */
static struct crowd *
crowd_new(lua_State *L)
{
	struct crowd *w;
	unsigned n;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TTABLE);
	n = (unsigned)lua_rawlen(L, 1);
	w = lua_newuserdatauv(L, sizeof *w + n * sizeof *w->c, 2);
	memset(w, 0, sizeof *w + n * sizeof *w->c);
	w->c = (struct child *)(w + 1);
	w->keep = TAIL;
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, -2, 2);
	w->lines = lua_getfield(L, 2, "line") == LUA_TFUNCTION;
	lua_getfield(L, 2, "whole");
	if (lua_toboolean(L, -1))
		w->keep = WHOLE;
	lua_getfield(L, 2, "jobs");
	w->limit = lua_tointeger(L, -1) > 0 ? (unsigned)lua_tointeger(L, -1) : n;
	lua_pop(L, 3);
	for (unsigned i = 0; i < n; i++)
		for (int k = 0; k < FDS; k++)
			w->c[i].fd[k] = -1;
	w->n = n;
	if (luaL_newmetatable(L, CROWD)) {
		lua_pushcfunction(L, crowd_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return w;
}

static bool
over(const struct crowd *w)
{
	return w->next == w->n && w->running == 0;
}

static int
push_results(struct crowd *w)
{
	lua_createtable(w->L, (int)w->n, 0);
	for (unsigned i = 0; i < w->n; i++) {
		push_result(w, &w->c[i]);
		lua_rawseti(w->L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

int
core_run(lua_State *L)
{
	struct crowd *w;
	struct pollfd *p;

	lua_settop(L, 2);
	w = crowd_new(L);
	w->L = L;
	w->at = 1;
	p = lua_newuserdatauv(L, (w->n + 1) * FDS * sizeof *p, 0);
	while (!over(w)) {
		int ms = -1;
		unsigned n = look(w, p, &ms);

		if (n && poll(p, n, ms) >= 0)
			act(w, p);
	}
	return push_results(w);
}

int
core_begin(lua_State *L)
{
	struct crowd *w;

	lua_settop(L, 2);
	w = crowd_new(L);
	w->L = L;
	w->at = 1;
	start_more(w);
	return 1;
}

int
core_turn(lua_State *L)
{
	lua_Integer n;
	unsigned all = 0, at = 0;
	int ms = (int)(luaL_checknumber(L, 2) * 1000);
	struct pollfd *p;

	luaL_checktype(L, 1, LUA_TTABLE);
	n = (lua_Integer)lua_rawlen(L, 1);
	luaL_checkstack(L, (int)n * 3 + 10, NULL);
	for (lua_Integer i = 1; i <= n; i++) {
		struct crowd *w;

		lua_rawgeti(L, 1, i);
		w = luaL_checkudata(L, -1, CROWD);
		w->L = L;
		w->at = lua_gettop(L) + 1;
		lua_getiuservalue(L, w->at - 1, 1);
		lua_getiuservalue(L, w->at - 1, 2);
		all += w->n;
	}
	p = lua_newuserdatauv(L, (all + 1) * FDS * sizeof *p, 0);
	for (lua_Integer i = 0; i < n; i++)
		at += look(lua_touserdata(L, 3 + (int)i * 3), p + at, &ms);
	if (poll(p, at, ms) < 0)
		return 0;
	at = 0;
	for (lua_Integer i = 0; i < n; i++)
		at += act(lua_touserdata(L, 3 + (int)i * 3), p + at);
	return 0;
}

int
core_done(lua_State *L)
{
	struct crowd *w = luaL_checkudata(L, 1, CROWD);

	w->L = L;
	if (!over(w))
		return 0;
	return push_results(w);
}
