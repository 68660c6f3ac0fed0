/*
 * l_process - programs under Lua: what lua/rota/cmd.lua stands on.
 *
 *	process{ argv = list, mode = "once"|"lines"|"frames", env = list of "NAME=VALUE", beside ours | nil, dir = path | nil } -> process
 *	p:run(input) -> stdout, stderr		writes input to stdin, reads to the ends of both
 *	p:line(text) -> line | nil		writes a line, reads one; nil: the program has ended
 *	p:call(request, method, …) -> boolean	frames: CALL; false: the program has ended
 *	p:tell("ping"|"cancel", request) -> boolean
 *	p:recv() -> kind, request, … | nil	frames: "reply" and its values, "error", text, traceback, "pong", "start", name
 *	p:wait() -> status, signal		closes its stdin, waits for the end
 *	p:kill()				its process group, at once
 *	p:alive() -> boolean
 *
 * The program has a process group of its own and ends with the process that started it.  A wait ends when the task is
 * cancelled: the program is killed then.  Mode lines: stderr is ours; frames: stdin is /dev/null, descriptor 3 a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/giveway.h"
#include "os/proc.h"
#include "script/buffer.h"
#include "script/script.h"
#include "wire/frame.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { PART = 64 << 10, ARGS = 4096, LINE_MAX_BYTES = 64 << 20 };

extern char **environ;

struct process {
	pid_t pid;			/* 0: reaped, or never started */
	int in, out, err, sock;		/* ours of its pipes, or of the socket; -1 */
	struct buf got;			/* read and not yet taken: lines and frames */
	struct giveway way;		/* frames: it answers soon, mostly */
};

/* raises text that begins with no place: it is the program's, or about it */
static int __attribute__((format(printf, 2, 3)))
fail(lua_State *L, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lua_pushvfstring(L, fmt, ap);
	va_end(ap);
	return lua_error(L);
}

static struct process *
check(lua_State *L)
{
	return luaL_checkudata(L, 1, "rota.process");
}

static void
shut(int *fd)
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
	shut(&p->in);
	shut(&p->out);
	shut(&p->err);
	shut(&p->sock);
	buf_release(&p->got);
}

/* after a wait was interrupted: raises if the task was cancelled, or by Ctrl-C in a driver */
static void
interrupted(lua_State *L, struct process *p)
{
	struct script *s = script_of(L);

	(void)p;
	if (s->sched)
		cancel_check(L);
	else
		script_interrupted(L);
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
			fail(L, "%s[%d]: a string expected, got %s", field, (int)i, luaL_typename(L, -1));
		v[k++] = (char *)lua_tostring(L, -1);
		if (strlen(v[k - 1]) != lua_rawlen(L, -1))
			fail(L, "%s[%d]: holds a NUL byte, which no argument can", field, (int)i);
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
			shut(&in[i]);
			shut(&out[i]);
			shut(&err[i]);
			shut(&sock[i]);
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
	p = lua_newuserdatauv(L, sizeof *p, 0);
	*p = (struct process){ .in = -1, .out = -1, .err = -1, .sock = -1 };
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
		return fail(L, "cannot use directory '%s': %s", dir, strerror(errno));
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
		return fail(L, "cannot run '%s': %s", s.argv[0], err_str(e));
	}
	p->pid = e;
	lua_settop(L, top);
	return 1;
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

/* one wait for any of the descriptors; raises when interrupted for a reason */
static void
await(lua_State *L, struct process *p, struct pollfd *fd, nfds_t n)
{
	while (poll(fd, n, -1) < 0) {
		if (errno != EINTR)
			fail(L, "cannot wait for the program: %s", strerror(errno));
		interrupted(L, p);
	}
}

static bool				/* false: it has ended */
take(lua_State *L, int fd, struct buf *b)
{
	ssize_t n;

	if (buf_reserve(b, PART) < 0)
		fail(L, "not enough memory");
	if ((n = read(fd, b->data + b->len, PART)) > 0)
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
	struct process *p = check(L);
	size_t left;
	const char *at = input(L, 2, &left);
	struct buf *out = lua_newuserdatauv(L, 2 * sizeof *out, 0), *err = out + 1;

	out[0] = out[1] = (struct buf)BUF_INIT;
	luaL_setmetatable(L, "rota.process bytes");
	if (left == 0)
		shut(&p->in);
	while (p->out >= 0 || p->err >= 0 || p->in >= 0) {
		struct pollfd fd[3] = { { .fd = p->out, .events = POLLIN }, { .fd = p->err, .events = POLLIN },
		    { .fd = p->in, .events = POLLOUT } };

		await(L, p, fd, 3);
		if (fd[0].revents && !take(L, p->out, out))
			shut(&p->out);
		if (fd[1].revents && !take(L, p->err, err))
			shut(&p->err);
		if (fd[2].revents && !give(p, &at, &left))
			shut(&p->in);
		if (p->out < 0 && p->err < 0)	/* it reads no more, whatever is left */
			shut(&p->in);
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

static int
l_line(lua_State *L)
{
	struct process *p = check(L);
	size_t left, seen = 0;
	const char *at;
	const unsigned char *nl;

	luaL_argcheck(L, p->out >= 0 || p->pid == 0, 1, "the program does not speak lines");
	at = luaL_checklstring(L, 2, &left);
	luaL_argcheck(L, !memchr(at, '\n', left), 2, "one line expected; it has an end of line within");
	lua_pushliteral(L, "\n");
	lua_concat(L, 2);
	at = lua_tolstring(L, 2, &left);
	while (left && p->in >= 0) {
		struct pollfd fd[2] = { { .fd = p->in, .events = POLLOUT }, { .fd = p->out, .events = POLLIN } };

		await(L, p, fd, 2);
		if (fd[1].revents && !take(L, p->out, &p->got))
			shut(&p->out);
		if (fd[0].revents && !give(p, &at, &left) && left)
			shut(&p->in);
	}
	while (!(nl = p->got.len > seen ? memchr(p->got.data + seen, '\n', p->got.len - seen) : NULL) && p->out >= 0) {
		struct pollfd fd = { .fd = p->out, .events = POLLIN };

		seen = p->got.len;
		if (seen > LINE_MAX_BYTES)
			return fail(L, "the program's line is longer than %d bytes", LINE_MAX_BYTES);
		await(L, p, &fd, 1);
		if (!take(L, p->out, &p->got))
			shut(&p->out);
	}
	if (!nl && p->got.len == 0) {
		luaL_pushfail(L);
		return 1;
	}
	left = nl ? (size_t)(nl - p->got.data) : p->got.len;
	lua_pushlstring(L, (const char *)p->got.data, left);
	buf_drop(&p->got, left + (nl != NULL));
	return 1;
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

static bool
send_all(lua_State *L, struct process *p, const struct buf *b)
{
	for (size_t at = 0; at < b->len && p->sock >= 0;) {
		ssize_t k = send(p->sock, b->data + at, b->len - at, MSG_NOSIGNAL);

		if (k > 0)
			at += (size_t)k;
		else if (errno == EINTR)
			interrupted(L, p);
		else
			shut(&p->sock);
	}
	return p->sock >= 0;
}

static int
l_call(lua_State *L)
{
	struct process *p = check(L);
	uint64_t req = (uint64_t)luaL_checkinteger(L, 2);
	size_t n;
	const char *method = luaL_checklstring(L, 3, &n);
	struct buf *b = lua_newuserdatauv(L, 2 * sizeof *b, 0), *args = b + 1;
	int last = lua_gettop(L) - 1, e;
	struct enc enc = ENC_INIT;

	b[0] = b[1] = (struct buf)BUF_INIT;
	luaL_setmetatable(L, "rota.process bytes");
	for (int i = 4; i <= last; i++)
		if (buffer_test(L, i)) {		/* a long string of the caller came as one: bytes to a program */
			size_t len;
			const char *bytes = buffer_bytes(L, i, &len);

			lua_pushlstring(L, bytes, len);
			lua_replace(L, i);
		}
	enc.flags = ENC_INLINE;
	if (enc_values(L, &enc, 4, last, "argument") < 0) {
		enc_release(L, &enc);
		return lua_error(L);
	}
	e = enc.flags & (ENC_REFS | ENC_CODE) ? -EINVAL : mp_put_array(args, last > 3 ? (size_t)last - 3 : 0);
	if (e == 0 && enc.b.len)
		e = buf_add(args, enc.b.data, enc.b.len);
	enc_release(L, &enc);
	if (e == -EINVAL)
		return fail(L, "references, functions and handles do not go to a program; give it values");
	if (e == 0)
		e = msg_put_call(b, &(struct msg_call){ .method = span_of(method, n), .args = span_of(args->data, args->len) });
	if (e < 0)
		return fail(L, e == ERR_VALUE ? "too many bytes for a frame (64 MiB)" : "not enough memory");
	frame_set_req(b->data, req);
	lua_pushboolean(L, send_all(L, p, b));
	return 1;
}

static int
l_tell(lua_State *L)			/* p:tell("ping"|"cancel", req) */
{
	static const char *const words[] = { "ping", "cancel", NULL };
	struct process *p = check(L);
	int what = luaL_checkoption(L, 2, NULL, words);
	struct buf b = BUF_INIT;
	int e = what ? msg_put_cancel_call(&b, &(struct msg_cancel_call){ 0 }) : msg_put_ping(&b, &(struct msg_ping){ 0 });
	bool sent = false;

	if (e == 0) {
		frame_set_req(b.data, (uint64_t)luaL_checkinteger(L, 3));
		sent = send_all(L, p, &b);
	}
	buf_release(&b);
	lua_pushboolean(L, sent);
	return 1;
}

/* what a frame says, pushed: the number of values; raises what makes no sense */
static int
push_message(lua_State *L, const struct frame *f)
{
	struct msg_reply r;
	struct msg_error er;
	struct msg_start st;
	struct mp_tok list;

	switch (f->type) {
	case MSG_REPLY_T:
		if (msg_get_reply(&r, f->body, f->len) < 0)
			break;
		struct mp m = mp_read(r.values.p, r.values.n);

		if (mp_next(&m, &list) < 0 || list.kind != MP_ARRAY || list.n > 1 << 20)
			break;
		lua_pushliteral(L, "reply");
		lua_pushinteger(L, (lua_Integer)f->req);
		luaL_checkstack(L, (int)list.n + 4, "too many values");
		if (dec_values(L, m.p, (size_t)(m.end - m.p), (unsigned)list.n, NULL, DEC_STRINGS) < 0)
			fail(L, "the program's reply: %s", lua_tostring(L, -1));
		return 2 + (int)list.n;
	case MSG_ERROR_T:
		if (msg_get_error(&er, f->body, f->len) < 0)
			break;
		lua_pushliteral(L, "error");
		lua_pushinteger(L, (lua_Integer)f->req);
		lua_pushlstring(L, (const char *)er.text.p, er.text.n);
		lua_pushlstring(L, (const char *)er.traceback.p, er.traceback.n);
		return 4;
	case MSG_PONG_T:
		lua_pushliteral(L, "pong");
		lua_pushinteger(L, (lua_Integer)f->req);
		return 2;
	case MSG_START_T:
		if (msg_get_start(&st, f->body, f->len) < 0)
			break;
		if (st.proto_min > MSG_PROTO || st.proto_max < MSG_PROTO)
			fail(L, "the program speaks protocol %d to %d, this is %d", (int)st.proto_min, (int)st.proto_max,
			    (int)MSG_PROTO);
		lua_pushliteral(L, "start");
		lua_pushinteger(L, 0);
		lua_pushlstring(L, (const char *)st.name.p, st.name.n);
		return 3;
	}
	return fail(L, "the program sent a message that makes no sense (type %d)", (int)f->type);
}

static bool
readable(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&fd, 1, 0) != 0;
}

/* waits for the next part of a frame: first where it comes at once, then asleep */
static ssize_t
recv_part(struct process *p, unsigned char *to, size_t n)
{
	uint64_t start;
	ssize_t k;

	if (giveway_wait(&p->way, readable, &p->sock))
		return recv(p->sock, to, n, 0);
	start = clock_ns();
	k = recv(p->sock, to, n, 0);
	giveway_slept(&p->way, clock_ns() - start);
	return k;
}

static int
l_recv(lua_State *L)
{
	struct process *p = check(L);
	struct frame f;
	ssize_t k;
	int n;

	while ((k = frame_parse(&f, p->got.data, p->got.len, FRAME_MAX)) == ERR_PARTIAL && p->sock >= 0) {
		if (buf_reserve(&p->got, PART) < 0)
			return fail(L, "not enough memory");
		k = recv_part(p, p->got.data + p->got.len, PART);
		if (k > 0)
			p->got.len += (size_t)k;
		else if (k < 0 && errno == EINTR)
			interrupted(L, p);
		else
			shut(&p->sock);
	}
	if (k == ERR_PARTIAL || k == 0 || p->got.len == 0) {
		luaL_pushfail(L);
		return 1;
	}
	if (k < 0)
		return fail(L, "the program sent what is no frame");
	n = push_message(L, &f);
	buf_drop(&p->got, (size_t)k);
	return n;
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

static int
l_wait(lua_State *L)
{
	struct process *p = check(L);
	int st = 0;

	shut(&p->in);
	shut(&p->sock);
	if (p->pid > 0) {
		pid_t k;

		while ((k = waitpid(p->pid, &st, 0)) < 0 && errno == EINTR)
			interrupted(L, p);
		kill(-p->pid, SIGKILL);		/* what it left behind in its group */
		p->pid = 0;
	}
	lua_pushinteger(L, WIFEXITED(st) ? WEXITSTATUS(st) : 0);
	lua_pushinteger(L, WIFSIGNALED(st) ? WTERMSIG(st) : 0);
	finish(p);
	return 2;
}

static int
l_kill(lua_State *L)
{
	finish(check(L));
	return 0;
}

static int
l_alive(lua_State *L)
{
	struct process *p = check(L);

	lua_pushboolean(L, p->pid > 0 && proc_pid_alive(p->pid));
	return 1;
}

const luaL_Reg process_functions[] = { { "process", l_process }, { NULL, NULL } };

void
process_open(lua_State *L)
{
	static const luaL_Reg method[] = { { "run", l_run }, { "line", l_line }, { "call", l_call }, { "tell", l_tell }, { "recv", l_recv },
	    { "wait", l_wait }, { "kill", l_kill }, { "alive", l_alive }, { "__gc", l_kill }, { "__close", l_kill },
	    { NULL, NULL } };
	static const luaL_Reg bytes[] = { { "__gc", l_bytes_gc }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.process");
	luaL_setfuncs(L, method, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	luaL_newmetatable(L, "rota.process bytes");
	luaL_setfuncs(L, bytes, 0);
	lua_pop(L, 2);
}
