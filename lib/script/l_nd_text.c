/* l_nd_text - buffers as bytes, lists and text. */
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static int
b_bytes(lua_State *L)			/* how many there are */
{
	lua_pushinteger(L, (lua_Integer)nd_bytes(&buffer_check(L, 1)->a));
	return 1;
}

static int
b_string(lua_State *L)			/* b:string([i, [j]]): the bytes of the elements i..j */
{
	struct buffer *b;
	luaL_Buffer out;
	struct nd packed;

	if (lua_gettop(L) > 1) {
		buffer_l_sub(L);
		lua_replace(L, 1);
	}
	b = buffer_check(L, 1);
	if (nd_packed(&b->a)) {
		lua_pushlstring(L, (const char *)b->a.data, nd_bytes(&b->a));
		return 1;
	}
	nd_init(&packed, b->a.type, b->a.ndim, b->a.shape, luaL_buffinitsize(L, &out, nd_bytes(&b->a)));
	nd_copy(&packed, &b->a);
	luaL_pushresultsize(&out, nd_bytes(&b->a));
	return 1;
}

static int
b_copy_from(lua_State *L)		/* b:copy_from(x [, i]): bytes of a string or buffer, from element i on -> b */
{
	struct buffer *b = buffer_writable(L, 1);
	lua_Integer i = luaL_optinteger(L, 3, 1);
	size_t n, size = nd_size(b->a.type), bytes = nd_bytes(&b->a);
	struct buffer *x;
	const void *p;

	luaL_argcheck(L, nd_packed(&b->a), 1, "a buffer without gaps expected");
	if ((x = buffer_test(L, 2)) && !nd_packed(&x->a)) {
		buffer_push_packed(L, &x->a);
		lua_replace(L, 2);
	}
	p = buffer_bytes(L, 2, &n);
	luaL_argcheck(L, p, 2, "string or buffer expected");
	luaL_argcheck(L, i >= 1 && i <= nd_count(&b->a) + 1, 3, "outside of the buffer");
	if (n > bytes - (size_t)(i - 1) * size)
		return luaL_error(L, "%I bytes do not fit", (LUAI_UACINT)n);
	if (n)
		memmove(b->a.data + (size_t)(i - 1) * size, p, n);
	lua_settop(L, 1);
	return 1;
}

static int
b_list(lua_State *L)			/* b:list() -> nested tables of numbers */
{
	struct buffer *b = buffer_check(L, 1);
	struct nd v;
	int64_t i, n = b->a.ndim ? b->a.shape[0] : 0;

	if (b->a.ndim == 0) {
		buffer_push_element(L, &b->a, b->a.data);
		return 1;
	}
	luaL_checkstack(L, 8, NULL);
	lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
	for (i = 0; i < n; i++) {
		nd_index(&v, &b->a, 0, i);
		if (v.ndim == 0)
			buffer_push_element(L, &v, v.data);
		else {
			lua_pushcfunction(L, b_list);
			buffer_push_view(L, &v, 1);
			lua_call(L, 1, 1);
		}
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

int
buffer_l_tostring(lua_State *L)		/* buffer f64 [4]: 1.0 2.0 ...; with more axes rows in brackets, on lines of their own */
{
	struct buffer *b = buffer_check(L, 1);
	struct buf out = BUF_INIT;
	int64_t i, n = b->a.ndim == 1 ? b->a.shape[0] : 0;
	int e, k;

	e = buf_printf(&out, "buffer %s", nd_word(b->a.type));
	for (k = 0; k < b->a.ndim && e >= 0; k++)
		e = buf_printf(&out, k ? "x%lld" : " [%lld", (long long)b->a.shape[k]);
	if (e >= 0)
		e = buf_printf(&out, "%s%s:", b->a.ndim ? "]" : "", b->a.readonly ? " read-only" : "");
	for (i = 0; i < n && i < 8 && e >= 0; i++)
		if ((e = buf_add(&out, " ", 1)) >= 0)
			e = nd_print_num(&out, b->a.type, nd_get(&b->a, b->a.data + i * b->a.stride[0]));
	if (i < n && e >= 0)
		e = buf_add(&out, " ...", 4);
	if (b->a.ndim != 1 && e >= 0 && (e = buf_add(&out, b->a.ndim ? "\n" : " ", 1)) >= 0)
		e = nd_print(&out, &b->a);
	lua_pushlstring(L, (const char *)out.data, out.len);
	buf_release(&out);
	return e < 0 ? luaL_error(L, "not enough memory") : 1;
}

void
buffer_text_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"bytes", b_bytes}, {"string", b_string}, {"copy_from", b_copy_from},
	    {"list", b_list}, {NULL, NULL} };

	luaL_setfuncs(L, methods, 0);
}
