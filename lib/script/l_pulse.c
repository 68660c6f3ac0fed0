/*
 * l_pulse - is a program that speaks frames still there?  It is asked with PING when nothing came of it for a period; when
 * nothing comes within its patience then, be it PONG or anything else, it is taken for dead and killed.
 *
 * In a call whoever waits for its answer sees to that, between calls the worker's loop by p:beat().  While nobody
 * reads, as when a stream's consumer is behind, it is not asked.
 */
#include <signal.h>
#include "base/clock.h"
#include "script/frames.h"

#define BEGIN_NS UINT64_C(30000000000)	/* for a program to begin, at least: interpreters read many files */

void
pulse_heard(struct process *p)
{
	if (p->period) {
		p->heard = clock_ns();
		p->asked = 0;
	}
}

static uint64_t
due(const struct process *p)			/* when it is to be asked, or to have answered */
{
	if (!p->period || p->sock < 0)
		return UINT64_MAX;
	if (!p->asked)
		return p->heard + p->period;
	return p->asked + (p->heard || p->patience > BEGIN_NS ? p->patience : BEGIN_NS);
}

/* the time is over and nothing has come; false: it is dead */
static bool
over(lua_State *L, struct process *p)
{
	struct buf b = BUF_INIT;

	if (p->asked) {
		p->silent = true;
		if (p->pid > 0)
			kill(-p->pid, SIGKILL);
		process_shut(&p->sock);
		return false;
	}
	p->asked = clock_ns();
	if (msg_put_ping(&b, &(struct msg_ping){ .within = p->patience }) == 0)
		frames_tell(L, p, 0, &b);
	buf_release(&b);
	return p->sock >= 0;
}

short
pulse_await(lua_State *L, struct process *p, short events)
{
	while (p->sock >= 0) {
		struct pollfd fd[2] = { { .fd = p->sock, .events = events }, { .fd = p->end, .events = POLLIN } };

		if (process_await(L, fd, 2, due(p))) {
			if (fd[0].revents)
				return fd[0].revents;
			process_shut(&p->sock);		/* it ended, and all is read; whoever else has its socket is not asked */
		} else if (!over(L, p)) {
			break;
		}
	}
	return 0;
}

/* p:beat() -> seconds until it is to be called again, or nothing; nil: the program has ended, or was silent */
static int
l_beat(lua_State *L)
{
	struct process *p = process_check(L);
	struct pollfd fd = { .fd = p->sock, .events = POLLIN };
	uint64_t now, at;

	while (p->sock >= 0 && poll(&fd, 1, 0) > 0)
		answers_idle(L, p), fd.fd = p->sock;
	if (due(p) <= clock_ns() && !over(L, p))
		return 0;
	at = due(p);
	if (p->sock < 0 || at == UINT64_MAX)
		return 0;
	now = clock_ns();
	lua_pushnumber(L, (lua_Number)(at > now ? at - now : 0) / 1e9);
	return 1;
}

/* p:silent() -> it was killed for its silence */
static int
l_silent(lua_State *L)
{
	lua_pushboolean(L, process_check(L)->silent);
	return 1;
}

static uint64_t
ns_field(lua_State *L, const char *name)
{
	uint64_t ns;

	lua_getfield(L, 1, name);
	ns = (uint64_t)(lua_tonumber(L, -1) * 1e9);
	lua_pop(L, 1);
	return ns;
}

/* It is asked at once: so it knows that it will be, and it is to begin in some time. */
void
pulse_options(lua_State *L, struct process *p)
{
	if (p->sock < 0 || (p->period = ns_field(L, "health")) == 0)
		return;
	p->patience = ns_field(L, "patience");
	over(L, p);
}

void
pulse_methods(lua_State *L)
{
	static const luaL_Reg method[] = { { "beat", l_beat }, { "silent", l_silent }, { NULL, NULL } };

	luaL_setfuncs(L, method, 0);
}
