/*
 * Encoding of tables: arrays, maps, and the tables that mean something else: modules, the globals, error objects,
 * instances of classes.
 */
#include <lauxlib.h>
#include <string.h>
#include "script/codec_priv.h"

/* The usual array, numbers in a row: one pass.  false: not so (any more), nothing written. */
static bool
enc_numbers(struct enc_run *r, int idx, size_t n)
{
	lua_State *L = r->L;
	struct buf *b = &r->e->b;
	size_t at = b->len, i = 0;
	unsigned char *p;

	enc_room(r, MP_MAX_HEAD);
	mp_put_array(b, n);
	lua_pushnil(L);
	for (; lua_next(L, idx); i++) {
		if (lua_type(L, -1) != LUA_TNUMBER || i >= n || !lua_isinteger(L, -2)
		    || lua_tointeger(L, -2) != (lua_Integer)i + 1) {
			lua_pop(L, 2);
			b->len = at;
			return false;
		}
		enc_room(r, MP_MAX_SCALAR);
		p = b->data + b->len;
		p = lua_isinteger(L, -1) ? mp_w_int(p, lua_tointeger(L, -1)) : mp_w_float(p, lua_tonumber(L, -1));
		b->len = (size_t)(p - b->data);
		lua_pop(L, 1);
	}
	if (i == n)
		return true;
	b->len = at;
	return false;
}

/* Keys of the table: how many, and the highest if all are integers from 1 (else 0). */
static size_t
survey(lua_State *L, int idx, lua_Integer *high)
{
	size_t n = 0;
	lua_Integer k;

	*high = 0;
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		lua_pop(L, 1);
		n++;
		if (*high < 0)
			continue;
		if (!lua_isinteger(L, -1) || (k = lua_tointeger(L, -1)) < 1)
			*high = -1;
		else if (k > *high)
			*high = k;
	}
	if (*high < 0)
		*high = 0;
	return n;
}

static void
enc_array(struct enc_run *r, int idx, lua_Integer n, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	struct codec_path here = { .up = path, .kind = PATH_INDEX };
	int v = lua_gettop(L) + 1;

	enc_room(r, MP_MAX_HEAD);
	mp_put_array(&r->e->b, (size_t)n);
	for (here.i = 1; here.i <= n; here.i++) {
		lua_rawgeti(L, idx, here.i);
		enc_any(r, v, &here, depth + 1);
		lua_pop(L, 1);
	}
}

static void
enc_map(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	struct buf *b = &r->e->b;
	struct codec_path here = { .up = path, .kind = PATH_KEY };
	size_t at = b->len, n = 0, body;
	unsigned char *p;

	enc_room(r, 1);
	b->len++;				/* the shortest head; the number of pairs is known at the end */
	lua_pushnil(L);
	here.key = lua_gettop(L);
	for (; lua_next(L, idx); n++) {
		enc_any(r, here.key, &here, depth + 1);
		enc_any(r, here.key + 1, &here, depth + 1);
		lua_pop(L, 1);
	}
	if (n > MP_MAX_LEN / 2)
		enc_fail(r, path, "more than 2^31 keys");
	if (n > 15) {
		enc_room(r, MP_MAX_HEAD);
		body = b->len - at - 1;
		memmove(b->data + at + (n > UINT16_MAX ? 5 : 3), b->data + at + 1, body);
		b->len += n > UINT16_MAX ? 4 : 2;
	}
	p = b->data + at;
	mp_w_map_head(p, n);
}

void
enc_fields(struct enc_run *r, int idx, enum codec_kind force, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	size_t n = lua_rawlen(L, idx);
	lua_Integer high;

	if (force == KIND_MAP) {
		enc_map(r, idx, path, depth);
		return;
	}
	if (n == 0) {
		lua_pushnil(L);
		if (!lua_next(L, idx)) {
			enc_room(r, 1);
			if (force == KIND_ARRAY)
				mp_put_array(&r->e->b, 0);
			else
				mp_put_map(&r->e->b, 0);
			return;
		}
		high = lua_type(L, -2) == LUA_TNUMBER;		/* one other key, and it is a map */
		lua_pop(L, 2);
		if (!high && force != KIND_ARRAY) {
			enc_map(r, idx, path, depth);
			return;
		}
	} else if (enc_numbers(r, idx, n))
		return;
	n = survey(L, idx, &high);
	if (force == KIND_ARRAY && !high)
		enc_fail(r, path, "rota.array has a key that is no index");
	if (high && (uint64_t)high <= 2 * (uint64_t)n)
		enc_array(r, idx, high, path, depth);
	else if (force == KIND_ARRAY)
		enc_fail(r, path, "rota.array has more holes than elements");
	else
		enc_map(r, idx, path, depth);
}

/* --- error objects --- */

static int
enc_value_protected(lua_State *L)	/* (run, keep, value, depth) */
{
	enc_any(lua_touserdata(L, 1), 3, NULL, (int)lua_tointeger(L, 4));
	return 0;
}

/*
 * The value of an error at idx, the top: it must not hide the error if it cannot travel.  Then nil takes its
 * place, and there is a second pass that does not even try.
 */
static void
enc_try(struct enc_run *r, int idx, int depth)
{
	lua_State *L = r->L;
	size_t at = r->e->b.len;
	unsigned nseg = r->e->nseg;
	int keep = r->keep;
	bool bad = lua_isnil(L, idx) || (enc_kept(r, idx) && lua_isboolean(L, -1));

	lua_settop(L, idx);
	if (!bad) {
		enc_keep_make(r);
		lua_pushcfunction(L, enc_value_protected);
		lua_pushlightuserdata(L, r);
		lua_pushvalue(L, keep);
		lua_pushvalue(L, idx);
		lua_pushinteger(L, depth);
		r->keep = 2;			/* where it is in the callee's frame */
		bad = lua_pcall(L, 4, 0, 0) != LUA_OK;
		r->keep = keep;
		if (!bad)
			return;
		r->code = 0;
		lua_settop(L, idx);
		lua_pushboolean(L, false);
		enc_keep(r, idx);
		lua_pop(L, 1);
		r->e->b.len = at;
		r->e->nseg = nseg;
		r->e->dup = true;
	}
	enc_room(r, 1);
	mp_put_nil(&r->e->b);
}

static void
enc_error(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	static const char *const texts[] = { "message", "code", "traceback", "task", "node" };
	static const char *const values[] = { "value", "cause" };
	lua_State *L = r->L;
	struct buf *b = &r->e->b;
	size_t at = enc_open(r), head = b->len, n = 0, len, i;
	const char *s;
	int top = lua_gettop(L);

	(void)path;
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	enc_room(r, 1);
	b->len++;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		lua_pushstring(L, texts[i]);
		lua_rawget(L, idx);
		if (!(s = lua_tolstring(L, -1, &len)) && i < 2)
			s = i == 0 ? "?" : err_word(ERR_TASK), len = strlen(s);
		if (s) {
			enc_str(r, texts[i], strlen(texts[i]));
			enc_str(r, s, len);
			n++;
		}
		lua_settop(L, top);
	}
	lua_pushliteral(L, "attempt");
	lua_rawget(L, idx);
	if (lua_isinteger(L, -1)) {
		enc_str(r, "attempt", 7);
		enc_room(r, MP_MAX_SCALAR);
		mp_put_int(b, lua_tointeger(L, -1));
		n++;
	}
	lua_settop(L, top);
	for (i = 0; i < sizeof values / sizeof *values; i++) {
		lua_pushstring(L, values[i]);
		lua_rawget(L, idx);
		if (!lua_isnil(L, -1)) {
			enc_str(r, values[i], 5);
			enc_try(r, top + 1, depth + 2);
			n++;
		}
		lua_settop(L, top);
	}
	mp_w_map_head(b->data + head, n);
	mp_ext_close(b, at, VAL_ERROR);
	if (depth == 0 && r->top == 1)
		r->e->flags |= ENC_ERROR;
}

/* --- any table --- */

void
enc_table(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	const void *addr = lua_topointer(L, idx);
	enum codec_kind k = KIND_NONE;

	if (!r->globals) {
		lua_pushglobaltable(L);
		r->globals = lua_topointer(L, -1);
		lua_pop(L, 1);
	}
	if (addr == r->globals || (r->st->strict && addr == r->st->strict)) {
		if (r->e->flags & ENC_NOCODE)
			enc_fail(r, path, "the table of globals cannot travel here");
		r->e->flags |= ENC_CODE;
		mp_put_ext(&r->e->b, VAL_GLOBALS, NULL, 0);	/* enc_any made the room */
		return;
	}
	if (addr != r->skip && (enc_by_name(r, idx, false) || enc_class_itself(r, idx)))
		return;
	if (addr == r->skip || !lua_getmetatable(L, idx)) {
		if (!enc_seen(r, addr))
			enc_fields(r, idx, KIND_NONE, path, depth);
		return;
	}
	k = codec_kind(L, r->st);
	switch (k) {
	case KIND_REF: enc_ref(r, idx, path, depth); break;
	case KIND_TASK: enc_handle(r, idx, true, path, depth); break;
	case KIND_ACTOR: enc_handle(r, idx, false, path, depth); break;
	case KIND_ERROR:
		if (!enc_seen(r, addr))
			enc_error(r, idx, path, depth);
		break;
	case KIND_ARRAY: case KIND_MAP:
		if (!enc_seen(r, addr))
			enc_fields(r, idx, k, path, depth);
		break;
	default: enc_class(r, idx, path, depth);
	}
	lua_pop(L, 1);
}
