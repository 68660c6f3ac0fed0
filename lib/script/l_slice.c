/*
 * l_slice - ref:slice(i, j): a reference to a part of another object's string or buffer.  Its value is a SLICE (wire/val.h),
 * which holds a reference to the whole; who reads it looks into the whole, wherever that lies.
 */
#include <lauxlib.h>
#include "base/err.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/script.h"
#include "wire/mp.h"

int
l_slice(lua_State *L)
{
	struct rec *r = ref_check(L, 1), *out;
	lua_Integer i = luaL_checkinteger(L, 2), j = luaL_optinteger(L, 3, -1);
	struct client *c = script_client(L);
	struct buf b = BUF_INIT;
	struct wref w;
	int e;

	client_export(c, r, &w);
	if ((e = val_slice_put(&b, &w, i, j)) == 0)
		e = client_put(c, &(struct payload){ b.data, b.len, 1, PAYLOAD_REFS, NULL, 0 }, &out);
	buf_release(&b);
	if (e < 0)
		script_raise(L, e, "%s", err_str(e));
	ref_push(L, out);
	return 1;
}

/* is the first value of r, which is ready, a string? */
static bool
is_string(lua_State *L, struct rec *r)
{
	struct client *c = script_of(L)->c;
	struct value v;
	struct mp_tok t;
	bool yes;

	if (client_look(c, r, &v) < 0)
		return false;
	yes = mp_next(&(struct mp){ v.p, v.p + v.n }, &t) == 0 &&
	    (t.kind == MP_STR || t.kind == MP_BIN || (t.kind == MP_EXT && t.ext == VAL_OOB));
	if (v.arena)
		client_unview(c, r);
	return yes;
}

static void
cut_string(lua_State *L, lua_Integer i, lua_Integer j)	/* as string.sub */
{
	uint64_t first, count;
	size_t n;
	const char *s = lua_tolstring(L, -1, &n);

	val_slice_range(n, i, j, &first, &count);
	lua_pushlstring(L, s + first, count);
}

void
slice_in(lua_State *L, int base, bool strings)
{
	struct script *s = script_of(L);
	struct rec *r = ref_check(L, base);
	lua_Integer i = luaL_checkinteger(L, base + 1), j = luaL_checkinteger(L, base + 2);
	bool was, string;
	size_t n;

	if (!rec_is_ready(r))
		ref_await(L, r);
	string = is_string(L, r);
	was = client_decoding(s->c, false);	/* what lies in the value is not among the arguments */
	ref_values(L, r, base, false);
	client_decoding(s->c, was);
	if (lua_type(L, -1) == LUA_TSTRING) {
		cut_string(L, i, j);
		return;
	}
	if (!buffer_test(L, -1))
		script_raise(L, ERR_VALUE, "a slice of a %s: only strings and buffers can be cut", luaL_typename(L, -1));
	lua_pushcfunction(L, buffer_l_sub);
	lua_insert(L, -2);
	lua_pushinteger(L, i);
	lua_pushinteger(L, j);
	lua_call(L, 3, 1);
	if (string) {				/* a string is a string, unless it is long */
		const void *p = buffer_bytes(L, -1, &n);

		if (strings || n < DEC_BUFFER_MIN)
			lua_pushlstring(L, p, n);
	}
}
