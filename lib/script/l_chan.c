/*
 * l_chan - ends of channels: "rota.channel".  w, r = channel{bytes=, items=}; w:send(v, …), w:write(s), w:close([err]);
 * r:recv([timeout]), r:close(), for v in r do.
 *
 * An end that travels is let go of here when it is encoded, and opened where it is decoded.  A handle whose end went
 * opens it again when it is used, if nobody else did.
 */
#include <string.h>
#include "base/clock.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/l_dag.h"
#include "script/sched.h"
#include "wire/le.h"

#define PATIENCE_NS 1000000u		/* a worker that waits longer gives its CPUs back */
#define LONG_NS 5000000000u		/* after which it is told that nobody is at the other end */

struct lchan {
	struct client_chan *ch;		/* NULL: passed on, or closed */
	uint64_t number;
	bool reader, closed;
};

static struct lchan *
check(lua_State *L, int arg)
{
	return luaL_checkudata(L, arg, "rota.channel");
}

static const char *
which(const struct lchan *u)
{
	return u->reader ? "reading" : "writing";
}

static struct lchan *
push(lua_State *L, struct client_chan *ch, bool reader)
{
	struct lchan *u = lua_newuserdatauv(L, sizeof *u, 0);

	*u = (struct lchan){ .ch = ch, .reader = reader };
	u->number = ch ? client_chan_number(ch) : 0;
	script_of(L)->made = true;
	luaL_setmetatable(L, "rota.channel");
	return u;
}

/* the end, opened again if it was passed on and nobody took it */
static struct client_chan *
end_of(lua_State *L, struct lchan *u, bool reader)
{
	char why[256];
	int e;

	if (u->reader != reader)
		luaL_error(L, "this is the %s end of channel %I", which(u), (LUAI_UACINT)u->number);
	if (u->closed)
		script_raise(L, ERR_CLOSED, "the %s end of channel %llu was closed here", which(u), (unsigned long long)u->number);
	if (!u->ch && (e = client_chan_open(script_client(L), u->number, u->reader, &u->ch, why, sizeof why)) < 0)
		script_raise(L, e, "%s", why);
	return u->ch;
}

int
chan_wait(lua_State *L, struct client_chan *const *v, unsigned n, uint64_t deadline, const uint64_t *upsets,
    struct waitset *set)
{
	struct script *s = script_of(L);
	uint64_t soon;
	bool blocked;
	int e;

	if (s->sched) {
		soon = clock_ns() + PATIENCE_NS;
		while ((e = client_chan_wait(s->c, v, n, deadline < soon ? deadline : soon, upsets, set)) == -EINTR)
			;
		if (e != -ETIMEDOUT || deadline <= soon)
			return e;
	}
	blocked = s->sched && sched_block_here(L);
	soon = clock_ns() + LONG_NS;
	while ((e = client_chan_wait(s->c, v, n, deadline < soon ? deadline : soon, upsets, set)) == -EINTR ||
	    (e == -ETIMEDOUT && soon < deadline)) {
		if (e == -EINTR) {
			script_interrupted(L);
			continue;
		}
		if (n == 1 && client_chan_alone(v[0]))
			fprintf(stderr, "rota: waiting for channel %llu: no process has its other end; it was sent to a task that did not start, "
			    "or failed before it used it\n", (unsigned long long)client_chan_number(v[0]));
		soon = WAIT_FOREVER;
	}
	if (blocked)
		sched_blocking(s, false);
	return e;
}

_Noreturn void
chan_raise(lua_State *L, uint64_t number, bool reader, int e)
{
	const char *other = reader ? "writing" : "reading";

	switch (e) {
	case ERR_CLOSED:
		script_raise(L, e, "the %s end of channel %llu was closed", other, (unsigned long long)number);
	case ERR_CRASHED:
		script_raise(L, e, "the process with the %s end of channel %llu died", other, (unsigned long long)number);
	case ERR_LOST:
		script_raise(L, e, "the %s end of channel %llu was lost on its way", other, (unsigned long long)number);
	case ERR_NO_CLUSTER:
		script_raise(L, e, "%s", client_lost(script_of(L)->c) ? client_lost(script_of(L)->c) : err_str(e));
	}
	if (e == ERR_VALUE && !reader)
		script_raise(L, e, "the message is too long for channel %llu: 4 GiB and 65535 values at most", (unsigned long long)number);
	script_raise(L, e, "channel %llu: %s", (unsigned long long)number, script_why(script_of(L)->c, e));
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static int
await_room(struct client_chan *ch, void *L)
{
	return chan_wait(L, &ch, 1, WAIT_FOREVER, NULL, NULL);
}

int
chan_send(lua_State *L, struct client_chan *ch, const struct payload *p, unsigned tag)
{
	int e = client_chan_put(ch, p, tag);

	return e ? e < 0 ? e : 0 : client_chan_send(ch, p, tag, await_room, L);
}

static int
send(lua_State *L, struct lchan *u, const struct payload *p, unsigned tag)
{
	int e;

	if (client_chan_partial(u->ch))
		return luaL_error(L, "channel %I was interrupted in the middle of a message: it can only be closed", (LUAI_UACINT)u->number);
	e = chan_send(L, u->ch, p, tag);
	enc_forget(L, &script_of(L)->enc);
	if (e < 0)
		chan_raise(L, u->number, false, e);
	return 0;
}

static int
l_send(lua_State *L)				/* w:send(v, …) */
{
	struct lchan *u = check(L, 1);
	struct script *s = script_of(L);
	struct seg segs[SCRIPT_SEGS];
	struct payload p;

	if (!u->ch || u->reader)
		end_of(L, u, false);
	script_payload(L, 2, lua_gettop(L), "value", 0, &p, segs, SCRIPT_SEGS);
	if (!u->ch) {				/* it was among the values: taken back */
		enc_forget(L, &s->enc);
		end_of(L, u, false);
		return luaL_error(L, "the end of a channel cannot travel through itself");
	}
	return send(L, u, &p, 0);
}

static int
l_write(lua_State *L)				/* w:write(string or buffer): bytes as they are */
{
	struct lchan *u = check(L, 1);
	struct buffer *b;
	struct payload p = { 0 };

	end_of(L, u, false);
	if ((b = buffer_test(L, 2)) != NULL) {
		if (!nd_packed(&b->a)) {
			b = buffer_push_packed(L, &b->a);
			lua_replace(L, 2);
		}
		p.p = b->a.data;
		p.n = nd_bytes(&b->a);
	} else {
		p.p = (const unsigned char *)luaL_checklstring(L, 2, &p.n);
	}
	return send(L, u, &p, CHAN_BYTES);
}

/* --- receiving ----------------------------------------------------------------------------------------------------- */

/* a message into the room of a buffer */
static int
into(lua_State *L, struct lchan *u, struct chan_in *m, struct buffer *b)
{
	if (!(m->tag & CHAN_BYTES))
		return luaL_error(L, "this message is no bytes: receive it with recv");
	if (chan_into(L, u->ch, m, 2) < 0) {
		client_chan_done(u->ch);
		return lua_error(L);
	}
	if ((size_t)lua_tointeger(L, -1) > nd_bytes(&b->a))
		return luaL_error(L, "a message of %I bytes does not fit a buffer of %I", lua_tointeger(L, -1), (LUAI_UACINT)nd_bytes(&b->a));
	client_chan_done(u->ch);
	return 1;
}

static int
receive(lua_State *L, struct lchan *u, uint64_t deadline, struct buffer *b)
{
	struct client_chan *ch = u->ch;
	struct chan_in m;
	int e, n;

	while ((e = client_chan_get(ch, &m)) == 0) {
		if (deadline == 0)
			e = -ETIMEDOUT;
		else
			e = chan_wait(L, &ch, 1, deadline, NULL, NULL);
		if (e == -ETIMEDOUT) {
			luaL_pushfail(L);
			lua_pushliteral(L, "timeout");
			return 2;
		}
		if (e < 0)
			chan_raise(L, u->number, true, e);
	}
	if (e == ERR_CLOSED) {
		luaL_pushfail(L);
		lua_pushliteral(L, "closed");
		return 2;
	}
	if (e < 0)
		chan_raise(L, u->number, true, e);
	if (b)
		return into(L, u, &m, b);
	n = chan_values(L, ch, &m);
	client_chan_done(ch);
	if (n < 0 || m.tag & CHAN_ERROR)
		return lua_error(L);
	return n;
}

static int
l_recv(lua_State *L)				/* r:recv([timeout]) -> values; nil, "closed"; nil, "timeout" */
{
	struct lchan *u = check(L, 1);

	if (!u->ch || !u->reader)
		end_of(L, u, true);
	return receive(L, u, lua_gettop(L) == 1 ? WAIT_FOREVER : script_deadline(L, 2), NULL);
}

static int
l_read(lua_State *L)				/* r:read(buffer [, timeout]) -> bytes; nil, "closed"; nil, "timeout" */
{
	struct lchan *u = check(L, 1);
	struct buffer *b = buffer_test(L, 2);

	luaL_argcheck(L, b && !b->a.readonly && nd_packed(&b->a), 2, "a buffer to be filled is expected");
	end_of(L, u, true);
	return receive(L, u, script_deadline(L, 3), b);
}

static int
l_next(lua_State *L)				/* for v in r do: the call has state and control after the reader */
{
	struct lchan *u = check(L, 1);

	end_of(L, u, true);
	return receive(L, u, WAIT_FOREVER, NULL);
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

static int
l_close(lua_State *L)				/* w:close([err]), r:close() */
{
	struct lchan *u = check(L, 1);
	struct script *s = script_of(L);
	bool error = !lua_isnoneornil(L, 2);

	if (u->closed)
		return 0;
	luaL_argcheck(L, !error || !u->reader, 2, "a reader closes without an error");
	if (!u->ch)
		return luaL_error(L, "the %s end of channel %I was passed on: who has it closes it", which(u), (LUAI_UACINT)u->number);
	if (error) {
		if (!errobj_test(L, 2)) {
			errobj_wrap(L, 2, NULL);
			lua_replace(L, 2);
		}
		s->enc.flags = ENC_INLINE;
		if (enc_values(L, &s->enc, 2, 2, "error") < 0)
			return lua_error(L);
		if (!u->ch) {			/* the error holds it: taken back */
			enc_forget(L, &s->enc);
			end_of(L, u, u->reader);
			return luaL_error(L, "the end of a channel cannot travel through itself");
		}
	}
	u->closed = true;
	client_chan_close(u->ch, error ? s->enc.b.data : NULL, error ? s->enc.b.len : 0, error && s->enc.flags & ENC_REFS);
	u->ch = NULL;
	enc_forget(L, &s->enc);
	return 0;
}

static int
l_leave(lua_State *L)				/* the end of a <close> variable: an error that leaves the block goes to the reader */
{
	struct lchan *u = check(L, 1);

	if (!u->ch)
		return 0;
	if (u->reader)
		lua_settop(L, 1);
	return l_close(L);
}

/* A writer that nobody closed is no end of the messages: its task has failed, or has forgotten it. */
static int
l_gc(lua_State *L)
{
	struct lchan *u = check(L, 1);
	struct buf b = BUF_INIT;
	char text[128];

	if (!u->ch)
		return 0;
	snprintf(text, sizeof text, "the writing end of channel %llu was dropped without close()", (unsigned long long)u->number);
	if (!u->reader && val_error(&b, ERR_LOST, text, NULL, NULL, 0, NULL) == 0)
		client_chan_close(u->ch, b.data, b.len, false);
	else
		client_chan_close(u->ch, NULL, 0, false);
	buf_release(&b);
	u->ch = NULL;
	u->closed = true;
	return 0;
}

static int
l_tostring(lua_State *L)
{
	struct lchan *u = check(L, 1);

	lua_pushfstring(L, "channel %I (%s end%s)", (LUAI_UACINT)u->number, which(u), u->closed ? ", closed" : u->ch ? "" :
	    ", passed on");
	return 1;
}

struct client_chan *
dag_take_end(lua_State *L, int idx, bool reader)
{
	struct lchan *u = check(L, idx);
	struct client_chan *ch = end_of(L, u, reader);

	u->ch = NULL;
	u->closed = true;
	return ch;
}

/* --- on a journey ------------------------------------------------------------------------------------------------------ */

void
chan_out(lua_State *L, int idx, unsigned char body[13])
{
	struct lchan *u = lua_touserdata(L, idx);

	if (u->closed)
		luaL_error(L, "a closed end of a channel cannot travel");
	if (u->ch && client_chan_pass(u->ch) < 0)
		luaL_error(L, "the %s end of channel %I is in the middle of a message and cannot travel", which(u), (LUAI_UACINT)u->number);
	u->ch = NULL;
	le_put32(body, (uint32_t)client_welcome(script_client(L))->node);
	le_put64(body + 4, u->number);
	body[12] = u->reader;
}

void
chan_in(lua_State *L, const unsigned char *body)
{
	struct lchan *u = push(L, NULL, body[12]);

	u->number = le_get64(body + 4);
	if (le_get32(body) != (uint32_t)client_welcome(script_client(L))->node)
		luaL_error(L, "channel %I is one of another node", (LUAI_UACINT)u->number);
	end_of(L, u, u->reader);
}

/* --- making -------------------------------------------------------------------------------------------------------------- */

static int
l_channel(lua_State *L)				/* channel(bytes, items) -> writer, reader; checked by lua/rota/channel.lua */
{
	struct client *c = script_client(L);
	struct client_chan *w, *r;
	char why[256];
	int e = client_chan_new(c, (uint64_t)luaL_checkinteger(L, 1), (uint64_t)luaL_optinteger(L, 2, 0), &w, &r, why, sizeof why);

	if (e < 0)
		script_raise(L, e, "%s", why);
	push(L, w, false);
	push(L, r, true);
	return 2;
}

const luaL_Reg chan_functions[] = { { "channel", l_channel }, { NULL, NULL } };

void
chan_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__gc", l_gc }, { "__close", l_leave }, { "__tostring", l_tostring },
	    { "__call", l_next }, { NULL, NULL } };
	static const luaL_Reg methods[] = { { "send", l_send }, { "write", l_write }, { "recv", l_recv }, { "read", l_read },
	    { "close", l_close }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.channel");
	luaL_setfuncs(L, meta, 0);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
