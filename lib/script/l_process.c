/*
 * l_process - programs under Lua: what lua/rota/cmd.lua stands on.
 *
 *	process{ argv = list, mode = "once"|"lines"|"frames", env = list of "NAME=VALUE", beside ours | nil, dir = path | nil,
 *		health = seconds, patience = seconds } -> process	of frames: PING, and when the answer must be there
 *	p:run(input) -> stdout, stderr		writes input to stdin, reads to the ends of both
 *	p:line(text) -> line | nil		writes a line, reads its answer; nil: the program has ended
 *	p:call(request, method, …) -> boolean	frames: CALL; false: the program has ended
 *	p:cancel(request)			frames: CANCEL_CALL
 *	p:beat() -> seconds | nil		frames: asks how it is, if it is time, and when to call this next; nil: it has ended
 *	p:silent() -> boolean			frames: it did not answer in time, and was killed
 *	p:recv() -> kind, request, … | nil	frames: "item" or "reply" and its values, "error", text, traceback, "pong", "start", name
 *	p:wait([seconds]) -> status, signal, forced	closes its stdin, waits for the end; kills it if that does not come
 *	p:kill()				its process group, at once
 *	p:alive() -> boolean
 *
 * The program has a process group of its own and ends with the process that started it.  A wait ends when the task is
 * cancelled: the program is killed then.  Mode lines: stderr is ours; frames: stdin is /dev/null, descriptor 3 a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/proc.h"
#include "script/buffer.h"
#include "script/frames.h"
#include "script/sched.h"

enum { ARGS = 4096, LINE_MAX_BYTES = 64 << 20 };

extern char **environ;

int
process_fail(lua_State *L, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lua_pushvfstring(L, fmt, ap);
	va_end(ap);
	return lua_error(L);
}

struct process *
process_check(lua_State *L)
{
	return luaL_checkudata(L, 1, "rota.process");
}

void
process_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
finish(struct process *p)		/* nothing of it is left */
{
	if (p->pid > 0) {
		kill(-p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	p->pid = 0;
	process_shut(&p->in);
	process_shut(&p->out);
	process_shut(&p->err);
	process_shut(&p->sock);
	process_shut(&p->store);
	process_shut(&p->lent);
	process_shut(&p->end);
	while (p->nfd)
		close(p->fd[--p->nfd]);
	buf_release(&p->got);
	buf_release(&p->unsent);
	p->sent = p->owed = 0;
}

void
process_interrupted(lua_State *L)
{
	struct script *s = script_of(L);

	if (s->sched) {
		if (s->sched->asked)
			serve_look(s->c);	/* is this worker well? */
		cancel_check(L);
	} else {
		script_interrupted(L);
	}
}

/* --- starting --------------------------------------------------------------------------------------------------------- */

/* the strings of the list in field, NULL-ended; they live as long as the table */
static char **
strings(lua_State *L, int idx, const char *field)
{
	lua_Integer n;
	char **v;
	int k = 0;

	if (lua_getfield(L, idx, field) == LUA_TNIL) {
		lua_pop(L, 1);
		return NULL;
	}
	luaL_checktype(L, -1, LUA_TTABLE);
	n = luaL_len(L, -1);
	luaL_argcheck(L, n >= 0 && n <= ARGS, 1, "a list of strings expected");
	v = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *v, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		if (lua_rawgeti(L, -2, i) != LUA_TSTRING)
			process_fail(L, "%s[%d]: a string expected, got %s", field, (int)i, luaL_typename(L, -1));
		v[k++] = (char *)lua_tostring(L, -1);
		if (strlen(v[k - 1]) != lua_rawlen(L, -1))
			process_fail(L, "%s[%d]: holds a NUL byte, which no argument can", field, (int)i);
		lua_pop(L, 1);
	}
	v[k] = NULL;
	lua_remove(L, -2);
	return v;
}

static bool
set(char *const *list, const char *var)	/* is the variable of "NAME=…" in the list? */
{
	size_t n = strcspn(var, "=") + 1;

	while (list && *list && strncmp(*list, var, n) != 0)
		list++;
	return list && *list;
}

/* our environment, less what is set anew and what nobody else may have; lives on the stack of L */
static char **
environment(lua_State *L, char *const *more, char *const *mode)
{
	size_t n = 0, k = 0;
	char **v;

	while (environ[n])
		n++;
	for (size_t i = 0; more && more[i]; i++)
		n++;
	v = lua_newuserdatauv(L, (n + 3) * sizeof *v, 0);
	for (char **e = environ; *e; e++)
		if (!set(more, *e) && !set(mode, *e) && strncmp(*e, "ROTA_KEY=", 9) != 0)
			v[k++] = *e;
	for (; more && *more; more++)
		v[k++] = *more;
	for (; *mode; mode++)
		v[k++] = *mode;
	v[k] = NULL;
	return v;
}

static int
pipes(struct process *p, struct proc_spawn *s, bool frames, bool once)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, sock[2] = { -1, -1 };

	if ((frames && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0) ||
	    (!frames && (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)) || (once && pipe2(err, O_CLOEXEC) < 0)) {
		int e = -errno;

		for (int i = 0; i < 2; i++) {
			process_shut(&in[i]);
			process_shut(&out[i]);
			process_shut(&err[i]);
			process_shut(&sock[i]);
		}
		return e;
	}
	s->in = frames ? open("/dev/null", O_RDONLY | O_CLOEXEC) : in[0];
	s->out = frames ? 2 : out[1];		/* what it prints is no answer: it goes where its errors go */
	s->err = once ? err[1] : 2;
	s->third = sock[1];
	p->in = in[1];
	p->out = out[0];
	p->err = err[0];
	p->sock = sock[0];
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){ p->in, p->out, p->err }[i];

		if (fd >= 0)
			fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int
l_process(lua_State *L)
{
	static const char *const modes[] = { "once", "lines", "frames", NULL };
	struct proc_spawn s = PROC_SPAWN_INIT;
	struct process *p;
	char **more, mode_var[32], *var[3] = { mode_var, NULL, NULL };
	const char *dir;
	int mode, e, top;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_getfield(L, 1, "mode");
	mode = luaL_checkoption(L, 2, "once", modes);
	p = lua_newuserdatauv(L, sizeof *p, 1);
	*p = (struct process){ .in = -1, .out = -1, .err = -1, .sock = -1, .store = -1, .lent = -1, .end = -1 };
	p->way.most = (uint32_t)(GIVEWAY_SPIN * client_welcome(script_of(L)->c)->spin);
	giveway_slept(&p->way, 0);
	luaL_setmetatable(L, "rota.process");
	top = lua_gettop(L);
	s.argv = strings(L, 1, "argv");
	luaL_argcheck(L, s.argv && s.argv[0], 1, "argv: the name of a program expected");
	snprintf(mode_var, sizeof mode_var, "ROTA_MODE=%s", modes[mode]);
	if (mode == 2)
		var[1] = (char *)"ROTA_FD=3";
	more = strings(L, 1, "env");
	s.env = environment(L, more, var);
	lua_getfield(L, 1, "dir");
	if ((dir = lua_tostring(L, -1)) != NULL && (s.cwd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return process_fail(L, "cannot use directory '%s': %s", dir, strerror(errno));
	s.group = s.pdeath = true;
	if ((e = pipes(p, &s, mode == 2, mode == 0)) == 0) {
		e = proc_spawn(&s);
		if (mode == 2 || s.in != p->in)
			close(s.in);
		if (s.out > 2)
			close(s.out);
		if (s.err > 2)
			close(s.err);
		if (s.third >= 0)
			close(s.third);
	}
	if (s.cwd >= 0)
		close(s.cwd);
	if (e < 0) {
		finish(p);
		return process_fail(L, "cannot run '%s': %s", s.argv[0], err_str(e));
	}
	p->pid = e;
	if (mode != 0)
		p->end = proc_pidfd(e);		/* -1: then only the end of what it writes tells */
	pulse_options(L, p);
	lua_settop(L, top);
	return 1;
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

/* A signal that came before poll() slept would be slept over: it is held back until then. */
bool
process_await(lua_State *L, struct pollfd *fd, unsigned n, uint64_t till)
{
	sigset_t hold, was;
	struct timespec left;
	int k, e;

	sigemptyset(&hold);
	sigaddset(&hold, SIGURG);
	do {
		pthread_sigmask(SIG_BLOCK, &hold, &was);
		if (till != UINT64_MAX) {
			uint64_t now = clock_ns(), ns = till > now ? till - now : 0;

			left = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
		}
		k = cancel_due(L) ? -EINTR : ppoll(fd, n, till == UINT64_MAX ? NULL : &left, &was);
		e = k == -1 ? errno : -k;
		pthread_sigmask(SIG_SETMASK, &was, NULL);
		if (k >= 0)
			return k > 0;
		if (e != EINTR)
			process_fail(L, "cannot wait for the program: %s", strerror(e));
		process_interrupted(L);
	} while (true);
}

static bool				/* false: it has ended */
take(lua_State *L, int fd, struct buf *b)
{
	ssize_t n;

	if (buf_reserve(b, PROCESS_PART) < 0)
		process_fail(L, "not enough memory");
	if ((n = read(fd, b->data + b->len, PROCESS_PART)) > 0)
		b->len += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* writes what fits; false: nobody reads, or all is written */
static bool
give(struct process *p, const char **at, size_t *left)
{
	sigset_t pipe, old, pending;
	struct timespec zero = { 0, 0 };
	ssize_t n;

	sigemptyset(&pipe);			/* SIGPIPE is ours to swallow */
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	n = write(p->in, *at, *left);
	if (n < 0 && errno == EPIPE && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE)) {
		sigtimedwait(&pipe, NULL, &zero);
		errno = EPIPE;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (n > 0) {
		*at += n;
		*left -= (size_t)n;
	}
	return *left && (n >= 0 || errno == EAGAIN || errno == EINTR);
}

static const char *
input(lua_State *L, int idx, size_t *n)
{
	const char *p;

	if (lua_isnoneornil(L, idx)) {
		*n = 0;
		return "";
	}
	if (lua_type(L, idx) == LUA_TSTRING || lua_type(L, idx) == LUA_TNUMBER)
		return lua_tolstring(L, idx, n);
	if ((p = buffer_bytes(L, idx, n)) == NULL)
		luaL_argerror(L, idx, lua_pushfstring(L, "bytes expected, got %s", luaL_typename(L, idx)));
	return p;
}

static int
l_run(lua_State *L)
{
	struct process *p = process_check(L);
	size_t left;
	const char *at = input(L, 2, &left);
	struct buf *out = lua_newuserdatauv(L, 2 * sizeof *out, 0), *err = out + 1;

	out[0] = out[1] = (struct buf)BUF_INIT;
	luaL_setmetatable(L, "rota.process bytes");
	if (left == 0)
		process_shut(&p->in);
	while (p->out >= 0 || p->err >= 0 || p->in >= 0) {
		struct pollfd fd[3] = { { .fd = p->out, .events = POLLIN }, { .fd = p->err, .events = POLLIN },
		    { .fd = p->in, .events = POLLOUT } };

		process_await(L, fd, 3, UINT64_MAX);
		if (fd[0].revents && !take(L, p->out, out))
			process_shut(&p->out);
		if (fd[1].revents && !take(L, p->err, err))
			process_shut(&p->err);
		if (fd[2].revents && !give(p, &at, &left))
			process_shut(&p->in);
		if (p->out < 0 && p->err < 0)	/* it reads no more, whatever is left */
			process_shut(&p->in);
	}
	lua_pushlstring(L, (const char *)out->data, out->len);
	lua_pushlstring(L, (const char *)err->data, err->len);
	return 2;
}

static int
l_bytes_gc(lua_State *L)
{
	struct buf *b = lua_touserdata(L, 1);

	buf_release(&b[0]);
	buf_release(&b[1]);
	return 0;
}

/* the next line that it writes lies in got then, or what it wrote last: its length; false: it has ended */
static bool
await_line(lua_State *L, struct process *p, size_t *len, bool *whole)
{
	const unsigned char *nl;
	size_t seen = 0;

	while (!(nl = p->got.len > seen ? memchr(p->got.data + seen, '\n', p->got.len - seen) : NULL) && p->out >= 0) {
		struct pollfd fd[2] = { { .fd = p->out, .events = POLLIN }, { .fd = p->end, .events = POLLIN } };

		seen = p->got.len;
		if (seen > LINE_MAX_BYTES)
			return process_fail(L, "the program's line is longer than %d bytes", LINE_MAX_BYTES);
		process_await(L, fd, 2, UINT64_MAX);
		if (!fd[0].revents || !take(L, p->out, &p->got))	/* ended: whoever else has its output is not asked */
			process_shut(&p->out);
	}
	*whole = nl != NULL;
	*len = nl ? (size_t)(nl - p->got.data) : p->got.len;
	return nl || p->got.len;
}

/* Who gives up in the middle leaves a rest of the line, which goes first next time, and an answer to come, which is nobody's. */
static int
l_line(lua_State *L)
{
	struct process *p = process_check(L);
	size_t n;
	const char *line;
	bool whole = false;

	luaL_argcheck(L, p->out >= 0 || p->pid == 0, 1, "the program does not speak lines");
	line = luaL_checklstring(L, 2, &n);
	luaL_argcheck(L, !memchr(line, '\n', n), 2, "one line expected; it has an end of line within");
	if (buf_add(&p->unsent, line, n) < 0 || buf_add(&p->unsent, "\n", 1) < 0)
		return process_fail(L, "not enough memory");
	p->owed++;
	while (p->sent < p->unsent.len && p->in >= 0) {
		struct pollfd fd[3] = { { .fd = p->in, .events = POLLOUT }, { .fd = p->out, .events = POLLIN },
		    { .fd = p->end, .events = POLLIN } };
		const char *at = (const char *)p->unsent.data + p->sent;
		size_t left = p->unsent.len - p->sent;

		if (p->got.len > LINE_MAX_BYTES)
			return process_fail(L, "the program does not read the line, and wrote more than %d bytes meanwhile", LINE_MAX_BYTES);
		process_await(L, fd, 3, UINT64_MAX);
		if (fd[2].revents)
			process_shut(&p->in);
		if (fd[1].revents && !take(L, p->out, &p->got))
			process_shut(&p->out);
		if (p->in >= 0 && fd[0].revents && !give(p, &at, &left) && left)
			process_shut(&p->in);
		p->sent = p->unsent.len - left;
	}
	p->unsent.len = p->sent = 0;
	while (await_line(L, p, &n, &whole)) {
		p->owed--;
		if (p->owed == 0)
			lua_pushlstring(L, (const char *)p->got.data, n);
		buf_drop(&p->got, n + whole);
		if (p->owed == 0)
			return 1;
	}
	luaL_pushfail(L);
	return 1;
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

static int
l_wait(lua_State *L)
{
	struct process *p = process_check(L);
	uint64_t till = lua_isnoneornil(L, 2) ? UINT64_MAX : clock_ns() + (uint64_t)(luaL_checknumber(L, 2) * 1e9);
	bool forced = false;
	int st = 0;

	process_shut(&p->in);
	process_shut(&p->sock);
	if (p->pid > 0) {
		struct pollfd end = { .fd = proc_pidfd(p->pid), .events = POLLIN };

		p->sock = end.fd < 0 ? -1 : end.fd;	/* so that finish() closes it, whatever ends the wait */
		if (p->sock >= 0 && !process_await(L, &end, 1, till)) {
			forced = true;
			kill(-p->pid, SIGKILL);
		}
		while (waitpid(p->pid, &st, 0) < 0 && errno == EINTR)
			process_interrupted(L);
		kill(-p->pid, SIGKILL);		/* what it left behind in its group */
		p->pid = 0;
	}
	lua_pushinteger(L, WIFEXITED(st) ? WEXITSTATUS(st) : 0);
	lua_pushinteger(L, WIFSIGNALED(st) ? WTERMSIG(st) : 0);
	lua_pushboolean(L, forced);
	finish(p);
	return 3;
}

static int
l_kill(lua_State *L)
{
	finish(process_check(L));
	return 0;
}

static int
l_alive(lua_State *L)
{
	struct process *p = process_check(L);

	lua_pushboolean(L, p->pid > 0 && proc_pid_alive(p->pid));
	return 1;
}

const luaL_Reg process_functions[] = { { "process", l_process }, { NULL, NULL } };

void
process_open(lua_State *L)
{
	static const luaL_Reg method[] = { { "run", l_run }, { "line", l_line }, { "wait", l_wait }, { "kill", l_kill }, { "alive", l_alive }, { "__gc", l_kill }, { "__close", l_kill },
	    { NULL, NULL } };
	static const luaL_Reg bytes[] = { { "__gc", l_bytes_gc }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.process");
	luaL_setfuncs(L, method, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	frames_methods(L);
	luaL_newmetatable(L, "rota.process bytes");
	luaL_setfuncs(L, bytes, 0);
	lua_pop(L, 2);
}
