/*
 * l_chan_values - messages of channels as values.  What comes in the message itself is copied; what the message only says
 * the place of, in the store, is read there: buffers look at it as long as they live.
 */
#include <string.h>
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/l_chan.h"

static int
values(lua_State *L, const struct chan_in *m)
{
	struct enc_seg seg[CHAN_SEGS];
	struct dec_src src = { .seg = seg, .nseg = m->nseg };
	int e;

	if (m->tag & CHAN_BYTES) {
		lua_pushlstring(L, (const char *)m->p, m->n);
		return 1;
	}
	for (unsigned i = 0; i < m->nseg; i++)
		seg[i] = (struct enc_seg){ m->seg[i].p, m->seg[i].n };
	luaL_checkstack(L, (int)m->nvals + 8, "too many values");
	e = dec_values(L, m->p, m->n, m->nvals, &src, VAL_ALLOW_CODE | DEC_STRINGS);
	return e < 0 ? e : (int)m->nvals;
}

static struct rec *
stored(lua_State *L, const struct client_chan *ch)	/* the object that the message says it is, ready */
{
	struct rec *r = client_chan_stored(ch);

	if (!rec_is_ready(r))			/* it was moved meanwhile: its owner knows where to */
		ref_await(L, r);
	return r;
}

static int
stored_values(lua_State *L)			/* (end) -> values; buffers look into the store */
{
	script_of(L)->as_string = true;
	return ref_values(L, stored(L, lua_touserdata(L, 1)), 0, true);
}

/* n bytes into the buffer, if it has the room; pushes n */
static void
fill(lua_State *L, struct buffer *b, const unsigned char *p, size_t n)
{
	if (n && n <= nd_bytes(&b->a))
		memcpy(b->a.data, p, n);
	lua_pushinteger(L, (lua_Integer)n);
}

static int
stored_bytes(lua_State *L)			/* (end, buffer or nil) -> string; or how many bytes, which are in the buffer if it has the room */
{
	struct script *s = script_of(L);
	struct buffer *b = buffer_test(L, 2);
	struct rec *r = stored(L, lua_touserdata(L, 1));
	struct value v;
	int e;

	if (ref_error(L, r))
		return lua_error(L);
	if ((e = client_value(s->c, r, &v)) < 0)
		script_raise(L, e, "%s", script_why(s->c, e));
	if (b)
		fill(L, b, v.p, v.n);
	else
		lua_pushlstring(L, (const char *)v.p, v.n);
	client_unview(s->c, r);
	return 1;
}

/* of a message with CHAN_CARRIED; into: the slot of a buffer, or 0 */
static int
carried(lua_State *L, struct client_chan *ch, const struct chan_in *m, int into)
{
	int top = lua_gettop(L), e;

	if ((e = client_chan_enter(ch, m)) < 0) {
		lua_pushstring(L, err_str(e));
		return e;
	}
	if (m->tag & CHAN_STORED) {
		lua_pushcfunction(L, m->tag & CHAN_BYTES ? stored_bytes : stored_values);
		lua_pushlightuserdata(L, ch);
		if (into)
			lua_pushvalue(L, into);
		else
			lua_pushnil(L);
		e = lua_pcall(L, 2, LUA_MULTRET, 0) == LUA_OK ? lua_gettop(L) - top : ERR_TASK;
	} else {
		e = values(L, m);
	}
	client_chan_leave(ch, m);
	return e;
}

int
chan_values(lua_State *L, struct client_chan *ch, const struct chan_in *m)
{
	return m->tag & CHAN_CARRIED ? carried(L, ch, m, 0) : values(L, m);
}

int
chan_into(lua_State *L, struct client_chan *ch, const struct chan_in *m, int into)
{
	if (m->tag & CHAN_STORED)
		return carried(L, ch, m, into);
	fill(L, buffer_test(L, into), m->p, m->n);
	return 1;
}
