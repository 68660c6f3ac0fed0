#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script/codec_priv.h"
#include "script/func.h"

#define HASH_SIZE 16u
#define NAME_LONGEST 255u		/* of a module, of a function in it */

/* --- what travels by name: modules, and the functions and userdata in them, one level deep --- */

struct mod_name {
	uint16_t mod, len;		/* bytes of the module's name; of all */
	bool last;			/* only as a last resort */
	char s[];			/* module [NUL field], and a NUL */
};

void
mods_free(struct codec_state *st)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&st->mods, &it))
		free(it.val);
	map_release(&st->mods);
	st->nloaded = 0;
}

static void
mods_add(lua_State *L, struct codec_state *st, int idx, const char *mod, const char *field)
{
	uint64_t key = (uintptr_t)lua_topointer(L, idx);
	size_t nm = strlen(mod), nf = field ? strlen(field) : 0;
	struct mod_name *m, *old = map_get(&st->mods, key);

	if (!nm || nm > NAME_LONGEST || nf > NAME_LONGEST || (field && !nf))
		return;
	if (!(m = malloc(sizeof *m + nm + nf + 2)))
		luaL_error(L, "not enough memory");
	m->last = field && lua_istable(L, idx);
	m->mod = (uint16_t)nm;
	m->len = (uint16_t)(field ? nm + 1 + nf : nm);
	memcpy(m->s, mod, nm + 1);
	if (field)
		memcpy(m->s + nm + 1, field, nf + 1);
	if (old && (old->mod != old->len) <= (m->mod != m->len)		/* a module before a function in one, */
	    && ((old->mod != old->len) != (m->mod != m->len) || strcmp(old->s, m->s) <= 0)) {	/* then by name */
		free(m);
		return;
	}
	if (map_put(&st->mods, key, m) < 0) {
		free(m);
		luaL_error(L, "not enough memory");
	}
	free(old);
}

static bool
is_standard(const char *name)		/* a global that every Lua has */
{
	static const char *const names[] = { "assert", "collectgarbage", "dofile", "error", "getmetatable",
	    "ipairs", "load", "loadfile", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset",
	    "require", "select", "setmetatable", "tonumber", "tostring", "type", "warn", "xpcall" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool
is_own(lua_State *L)			/* whether the value on top belongs to the module it is in */
{
	if (!lua_istable(L, -1))
		return lua_type(L, -1) == LUA_TUSERDATA || lua_isfunction(L, -1);
	if (!lua_getmetatable(L, -1))
		return false;
	lua_pop(L, 1);
	return true;
}

static void
mods_module(lua_State *L, struct codec_state *st, int idx, const char *mod)	/* what is in the module at idx */
{
	bool globals;

	lua_pushglobaltable(L);
	globals = lua_rawequal(L, -1, idx);
	lua_pop(L, 1);
	if (!globals)
		mods_add(L, st, idx, mod, NULL);
	if (!lua_istable(L, idx))
		return;
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		/* of the globals only what every Lua has: the rest is the script's own */
		if (lua_type(L, -2) == LUA_TSTRING && strlen(lua_tostring(L, -2)) == lua_rawlen(L, -2)
		    && (globals ? lua_iscfunction(L, -1) && is_standard(lua_tostring(L, -2))
		    : is_own(L)))
			mods_add(L, st, lua_gettop(L), mod, lua_tostring(L, -2));
		lua_pop(L, 1);
	}
}

/* Builds the map again if package.loaded has another number of entries; always if force. */
static void
mods_refresh(lua_State *L, struct codec_state *st, bool force)
{
	size_t n = 0;
	int loaded;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	loaded = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1))
		n++;
	if (force || n != st->nloaded) {
		mods_free(st);
		lua_pushnil(L);
		while (lua_next(L, loaded)) {
			if (lua_type(L, -2) == LUA_TSTRING && (lua_istable(L, -1) || lua_isfunction(L, -1)))
				mods_module(L, st, lua_gettop(L), lua_tostring(L, -2));
			lua_pop(L, 1);
		}
		st->nloaded = n;
	}
	lua_settop(L, loaded - 1);
}

static bool
mods_holds(lua_State *L, const struct mod_name *m, int idx)	/* an address may have been used again */
{
	bool same;
	int top = lua_gettop(L);

	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushlstring(L, m->s, m->mod);
	lua_rawget(L, -2);
	if (m->len > m->mod && lua_istable(L, -1)) {
		lua_pushstring(L, m->s + m->mod + 1);
		lua_rawget(L, -2);
	}
	same = lua_rawequal(L, -1, idx);
	lua_settop(L, top);
	return same;
}

bool
enc_by_name(struct enc_run *r, int idx, bool last_resort)
{
	lua_State *L = r->L;
	struct codec_state *st = r->st;
	uint64_t key = (uintptr_t)lua_topointer(L, idx);
	const struct mod_name *m;

	if (!st->nloaded || (!r->fresh && (last_resort || lua_isfunction(L, idx)))) {
		mods_refresh(L, st, false);
		r->fresh = true;
	}
	if (!(m = map_get(&st->mods, key)) || (m->last && !last_resort) || (r->e->flags & ENC_NOCODE))
		return false;
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (!mods_holds(L, m, idx)) {
		mods_refresh(L, st, true);
		if (!(m = map_get(&st->mods, key)) || (m->last && !last_resort) || !mods_holds(L, m, idx))
			return false;
	}
	if (r->skipmod && strcmp(m->s, r->skipmod) == 0)
		return false;
	enc_room(r, MP_MAX_HEAD + m->len);
	mp_put_ext(&r->e->b, m->len > m->mod ? VAL_MODFN : VAL_MODULE, m->s, m->len);
	r->e->flags |= ENC_CODE;
	return true;
}

/* --- encoding --- */

static int
dump_writer(lua_State *L, const void *p, size_t n, void *arg)
{
	(void)L;
	return buf_add(arg, p, n) < 0;
}

static void
enc_bytecode(struct enc_run *r, int idx)	/* its hash, and the code itself if it is the first with it */
{
	lua_State *L = r->L;
	struct buf *b = &r->e->b;
	unsigned char head[HASH_SIZE];
	struct hash128 h;
	size_t hash = b->len, code = hash + 2 + HASH_SIZE + 5, n;
	unsigned low;

	enc_room(r, code - hash);
	b->len = code;
	lua_pushvalue(L, idx);
	if (lua_dump(L, dump_writer, b, 0) != 0) {
		r->code = -ENOMEM;
		luaL_error(L, "not enough memory");
	}
	lua_pop(L, 1);
	n = b->len - code;
	h = hash128(b->data + code, n);
	le_put64(head, h.a);
	le_put64(head + 8, h.b);
	mp_w_bin(b->data + hash, head, HASH_SIZE);
	b->len = hash + 2 + HASH_SIZE;
	low = (unsigned)h.b;
	if (enc_number(r, ENC_BYTECODE, h.a, &low) && low == (unsigned)h.b) {
		mp_put_bin(b, NULL, 0);
		return;
	}
	mp_w_be(b->data + b->len, 0xc6, n, 4);		/* bin 32, whatever the length: the code is in its place */
	b->len = code + n;
}

void
enc_too_big(struct enc_run *r, const struct codec_path *path, size_t n)
{
	char size[32];

	while (path && path->kind != PATH_UPVALUE)
		path = path->up;
	snprintf(size, sizeof size, n < 10 << 20 ? "%.1fM" : "%.0fM", (double)n / (1 << 20));
	if (!path)
		enc_fail(r, NULL, "it is %s; rota.put it once and pass the ref", size);
	enc_fail(r, path->up, "its upvalue '%s' is %s; rota.put it once and pass the ref", path->name, size);
}

static void
enc_upvalues(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	struct buf *b = &r->e->b;
	struct codec_path here = { .up = path, .kind = PATH_UPVALUE };
	unsigned cell;
	size_t before;
	bool met;
	int i, v = lua_gettop(L) + 1;

	for (i = 1; (here.name = lua_getupvalue(L, idx, i)); i++) {
		if (!*here.name)
			here.name = "?";		/* stripped */
		cell = r->e->ncell;
		met = enc_number(r, ENC_CELL, (uintptr_t)lua_upvalueid(L, idx, i), &cell);
		enc_room(r, MP_MAX_SCALAR);
		mp_put_uint(b, cell);
		if (!met) {
			r->e->ncell++;
			before = b->len;
			enc_any(r, v, &here, depth + 1);
			if (r->func && b->len - before > FUNC_UPVALUE_MAX)
				enc_too_big(r, &here, b->len - before);
		}
		lua_pop(L, 1);
	}
}

void
enc_function(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	size_t at;

	if (enc_by_name(r, idx, false))
		return;
	if (lua_iscfunction(r->L, idx))
		enc_fail(r, path, "a C function cannot travel (it is in no module of package.loaded)");
	if (r->e->flags & ENC_NOCODE)
		enc_fail(r, path, "a function cannot travel here");
	if (enc_seen(r, lua_topointer(r->L, idx)))
		return;
	at = enc_open(r);
	enc_bytecode(r, idx);
	enc_upvalues(r, idx, path, depth);
	mp_ext_close(&r->e->b, at, VAL_FUNC);
	r->e->flags |= ENC_CODE;
}

int
func_encode(lua_State *L, struct enc *e, int idx, const char *what)
{
	idx = lua_absindex(L, idx);
	return func_encode_with(L, e, idx, idx, what);
}

int
func_encode_with(lua_State *L, struct enc *e, int idx, int last, const char *what)
{
	struct enc_run r = { .what = what, .func = true };
	unsigned flags = e->flags & (ENC_INLINE | ENC_NOCODE);
	int ret;

	idx = lua_absindex(L, idx);
	last = lua_absindex(L, last);
	e->flags = (e->flags | ENC_INLINE) & ~(unsigned)ENC_NOCODE;
	ret = enc_protected(e, L, &r, idx, last);
	e->flags = (e->flags & ~(unsigned)(ENC_INLINE | ENC_NOCODE)) | flags;
	return ret;
}

/* --- decoding --- */

static _Noreturn void
malformed(struct dec_run *d)
{
	dec_fail(d, ERR_PROTO, "malformed function");
}

static void
next_bin(struct dec_run *d, struct mp_tok *t)
{
	if (mp_next(&d->m, t) < 0 || t->kind != MP_BIN)
		malformed(d);
}

static void
dec_bytecode(struct dec_run *d)			/* pushes the closure, its upvalues still nil */
{
	lua_State *L = d->L;
	struct mp_tok hash, code;
	struct hash128 h;

	next_bin(d, &hash);
	next_bin(d, &code);
	if (hash.n != HASH_SIZE)
		malformed(d);
	if (!lua_istable(L, d->cells)) {
		lua_newtable(L);
		lua_replace(L, d->cells);
	}
	lua_pushlstring(L, (const char *)hash.p, HASH_SIZE);
	if (code.n == 0) {
		if (lua_rawget(L, d->cells) != LUA_TSTRING)
			malformed(d);
		code.p = (const unsigned char *)lua_tolstring(L, -1, &code.n);
	} else {
		h = hash128(code.p, code.n);
		if (le_get64(hash.p) != h.a || le_get64(hash.p + 8) != h.b)
			malformed(d);
		lua_pushlstring(L, (const char *)code.p, code.n);
		lua_pushvalue(L, -1);
		lua_insert(L, -3);
		lua_rawset(L, d->cells);	/* code, hash, code -> code */
	}
	if (luaL_loadbufferx(L, (const char *)code.p, code.n, "=?", "b") != LUA_OK)
		dec_fail(d, ERR_VALUE, "a function of another Lua release: %s", lua_tostring(L, -1));
	lua_remove(L, -2);
}

/* Upvalue i of the function at f is the cell of that number, which is in the table as {function, index}. */
static void
dec_cell(struct dec_run *d, int f, int i, uint64_t cell, int depth)
{
	lua_State *L = d->L;

	if (!lua_getupvalue(L, f, i) || cell > d->ncell)
		malformed(d);
	lua_pop(L, 1);
	if (cell < d->ncell) {
		lua_rawgeti(L, d->cells, (lua_Integer)(2 * cell + 1));
		lua_rawgeti(L, d->cells, (lua_Integer)(2 * cell + 2));
		lua_upvaluejoin(L, f, i, f + 1, (int)lua_tointeger(L, -1));
		lua_pop(L, 2);
		return;
	}
	d->ncell++;
	lua_pushvalue(L, f);
	lua_rawseti(L, d->cells, (lua_Integer)(2 * cell + 1));
	lua_pushinteger(L, i);
	lua_rawseti(L, d->cells, (lua_Integer)(2 * cell + 2));
	dec_any(d, depth + 1, DEC_NONE);
	lua_setupvalue(L, f, i);
}

void
dec_function(struct dec_run *d, int depth, long num)
{
	lua_State *L = d->L;
	struct mp_tok t;
	int f, i;

	dec_bytecode(d);
	dec_share(d, num);
	f = lua_gettop(L);
	for (i = 1; d->m.p != d->m.end; i++) {
		if (mp_next(&d->m, &t) < 0 || t.kind != MP_INT || t.i < 0)
			malformed(d);
		dec_cell(d, f, i, (uint64_t)t.i, depth);
	}
	if (lua_getupvalue(L, f, i))
		malformed(d);
}

void
dec_named(struct dec_run *d, const char *s, size_t n, bool fn)
{
	lua_State *L = d->L;
	const char *name, *field, *msg, *node = d->st->hooks->node, *on = node ? " on " : "";
	int top = lua_gettop(L);

	node = node ? node : "";
	name = lua_pushlstring(L, s, n);		/* ends with a NUL whatever is in it */
	field = name + strlen(name) + 1;
	if (!*name || (fn ? field >= name + n || field + strlen(field) != name + n : strlen(name) != n))
		dec_fail(d, ERR_PROTO, "malformed name of a module");
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (lua_getfield(L, -1, name) == LUA_TNIL) {
		lua_getglobal(L, "require");
		lua_pushstring(L, name);
		if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
			msg = luaL_tolstring(L, -1, NULL);
			if (strncmp(msg, "module '", 8) == 0 && strstr(msg, "' not found:"))
				dec_fail(d, ERR_VALUE, "module '%s' is not installed%s%s", name, on, node);
			dec_fail(d, ERR_TASK, "%s", msg);
		}
	}
	if (fn) {
		if (!lua_istable(L, -1) || (strcmp(name, "_G") == 0 ? (lua_pushstring(L, field), lua_rawget(L, -2))
		    : lua_getfield(L, -1, field)) == LUA_TNIL)	/* raw: the resolver is for programs */
			dec_fail(d, ERR_VALUE, "module '%s' has no '%s'%s%s", name, field, on, node);
	}
	lua_replace(L, top + 1);
	lua_settop(L, top + 1);
}

int
func_decode(lua_State *L, const unsigned char *p, size_t n, const struct dec_src *src)
{
	struct dec_run d = { .src = src, .flags = VAL_ALLOW_CODE, .nvals = 1 };
	int ret;

	if ((ret = dec_protected(L, &d, p, n)) == 0 && !lua_isfunction(L, -1)) {
		lua_pop(L, 1);
		lua_pushliteral(L, "malformed function");
		return ERR_PROTO;
	}
	return ret;
}

void
func_name(lua_State *L, int idx)
{
	lua_Debug ar;

	lua_pushvalue(L, idx);
	if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) {
		lua_pop(L, 1);
		lua_pushliteral(L, "?");
		return;
	}
	lua_getinfo(L, ">S", &ar);
	lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
}
