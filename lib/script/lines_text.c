/* Values as text, fast where it is often: integers, whole floats, strings. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "script/lines.h"
#include "script/script.h"
#include "wire/val.h"

static const char pairs[201] =
	"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static size_t
text_int(char *s, int64_t v)			/* at most 20 bytes */
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	char tmp[20], *p = tmp + sizeof tmp;
	size_t n;

	while (u >= 100) {
		p -= 2;
		memcpy(p, pairs + u % 100 * 2, 2);
		u /= 100;
	}
	if (u >= 10) {
		p -= 2;
		memcpy(p, pairs + u * 2, 2);
	} else {
		*--p = (char)('0' + u);
	}
	if (v < 0)
		*s++ = '-';
	n = (size_t)(tmp + sizeof tmp - p);
	memcpy(s, p, n);
	return n + (v < 0);
}

static size_t
text_float(char s[48], double v)		/* as lua_Number2str and tostringbuff of lobject.c */
{
	size_t n;

	if (fabs(v) < 1e14 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {	/* %.14g shows all its digits */
		n = text_int(s, (int64_t)v);
	} else {
		n = (size_t)lua_number2str(s, 40, v);
		if (s[strspn(s, "-0123456789")] != '\0')
			return n;
	}
	s[n++] = '.';
	s[n++] = '0';
	return n;
}

static void
nomem(lua_State *L)
{
	luaL_error(L, "not enough memory");
}

static void
text_table(lua_State *L, int idx, struct buf *b)
{
	struct script *s = script_of(L);
	int e;

	s->enc.flags = ENC_INLINE | ENC_NOCODE;
	if (enc_values(L, &s->enc, idx, idx, "value") < 0)
		lua_error(L);
	if ((e = val_to_json(b, s->enc.b.data, s->enc.b.len, 1)) < 0)
		luaL_error(L, "no JSON for it: %s", err_str(e));
}

void
lines_text(lua_State *L, int idx, struct buf *b)
{
	const char *p;
	size_t n;

	switch (lua_type(L, idx)) {
	case LUA_TNIL:
		return;
	case LUA_TBOOLEAN:
		p = lua_toboolean(L, idx) ? "true" : "false";
		if (buf_add(b, p, strlen(p)) < 0)
			nomem(L);
		return;
	case LUA_TNUMBER:
		if (b->cap - b->len < 64 && buf_reserve(b, 64) < 0)
			nomem(L);
		b->len += lua_isinteger(L, idx) ? text_int((char *)b->data + b->len, lua_tointeger(L, idx))
		    : text_float((char *)b->data + b->len, lua_tonumber(L, idx));
		return;
	case LUA_TSTRING:
		p = lua_tolstring(L, idx, &n);
		if (buf_add(b, p, n) < 0)
			nomem(L);
		return;
	case LUA_TTABLE:
		if (luaL_getmetafield(L, idx, "__tostring") == LUA_TNIL) {
			text_table(L, idx, b);
			return;
		}
		lua_pop(L, 1);
		/* fall through */
	default:
		p = luaL_tolstring(L, idx, &n);
		if (buf_add(b, p, n) < 0)
			nomem(L);
		lua_pop(L, 1);
	}
}
