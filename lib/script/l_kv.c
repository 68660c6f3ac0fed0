/*
 * l_kv - the key-value store: what lua/rota/kv.lua stands on.
 *
 *	kv_get(key) -> value, revision			nil if it is absent
 *	kv_list(prefix) -> list of { key=, value=, revision=, made=, session= }, revision of the store
 *	kv_txn({ key = revision }, { key = value }, { key, … }, session) -> ok, revision, changed, key, have
 *	kv_watch(prefix, from) -> watch: watch:next([timeout]) -> list of { revision=, key=, value=, deleted= }, next revision
 */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "client/kv.h"
#include "script/script.h"
#include "wire/mp.h"

struct lwatch {
	struct kv_watch *w;		/* NULL once closed */
};

static struct span
bytes(lua_State *L, int idx)
{
	size_t n;
	const char *p = luaL_checklstring(L, idx, &n);

	return span_of(p, n);
}

static void
check(lua_State *L, int e, const char *why)
{
	if (e < 0)
		script_raise(L, e, "%s", *why ? why : err_str(e));
}

/* pushes what was put as a value */
static void
push_value(lua_State *L, const struct mp_tok *t)
{
	if (dec_values(L, t->p, t->n, 1, NULL, VAL_ALLOW_CODE | DEC_STRINGS) < 0)
		lua_error(L);
}

static void
set_int(lua_State *L, const char *name, const struct mp_tok *t)
{
	lua_pushinteger(L, (lua_Integer)t->u);
	lua_setfield(L, -2, name);
}

/* --- reading ------------------------------------------------------------------------------------------------ */

struct row {
	struct mp_tok key, val, made, changed, session;
};

static bool
next_row(struct mp *m, struct row *r)
{
	struct mp_tok t;

	return m->p < m->end && mp_next(m, &t) == 0 && t.kind == MP_ARRAY && t.n == 5 && mp_next(m, &r->key) == 0 &&
	    mp_next(m, &r->val) == 0 && mp_next(m, &r->made) == 0 && mp_next(m, &r->changed) == 0 &&
	    mp_next(m, &r->session) == 0 && r->key.kind == MP_BIN && r->val.kind == MP_BIN;
}

/* the rows, as a string that Lua owns: what follows may raise */
static uint64_t
get(lua_State *L, bool list, struct mp *m)
{
	struct client *c = script_client(L);
	struct buf b = BUF_INIT;
	char why[512] = "";
	uint64_t rev = 0;
	size_t n;
	int e = client_kv_get(c, bytes(L, 1), list, &b, &rev, why, sizeof why);

	if (e == 0)
		lua_pushlstring(L, b.len ? (char *)b.data : "", b.len);
	buf_release(&b);
	check(L, e, why);
	m->p = (const unsigned char *)lua_tolstring(L, -1, &n);
	m->end = m->p + n;
	return rev;
}

static int
l_kv_get(lua_State *L)
{
	struct row r;
	struct mp m;

	get(L, false, &m);
	if (!next_row(&m, &r)) {
		lua_pushnil(L);
		return 1;
	}
	push_value(L, &r.val);
	lua_pushinteger(L, (lua_Integer)r.changed.u);
	return 2;
}

static int
l_kv_list(lua_State *L)
{
	lua_Integer i = 0;
	struct row r;
	struct mp m;
	uint64_t rev = get(L, true, &m);

	lua_newtable(L);
	while (next_row(&m, &r)) {
		lua_createtable(L, 0, 5);
		lua_pushlstring(L, (const char *)r.key.p, r.key.n);
		lua_setfield(L, -2, "key");
		push_value(L, &r.val);
		lua_setfield(L, -2, "value");
		set_int(L, "made", &r.made);
		set_int(L, "revision", &r.changed);
		lua_pushboolean(L, r.session.u != 0);
		lua_setfield(L, -2, "session");
		lua_rawseti(L, -2, ++i);
	}
	lua_pushinteger(L, (lua_Integer)rev);
	return 2;
}

/* --- changing --------------------------------------------------------------------------------------------------- */

static int
a_ref(void *arg, const struct wref *w, bool valref)
{
	(void)arg, (void)w, (void)valref;
	return ERR_VALUE;
}

/*
 * Appends the value at the top, encoded and as bin, to the string being built at out; raises what cannot be put.
 * References are refused: the store holds no objects.
 */
static void
add_value(lua_State *L, struct buf *out, const char *key)
{
	struct enc e = ENC_INIT;
	int err;

	e.flags = ENC_INLINE;
	if (enc_values(L, &e, -1, -1, "value") < 0) {
		enc_release(L, &e);
		lua_error(L);
	}
	err = val_walk_refs(e.b.data, e.b.len, e.nvals, a_ref, NULL) < 0 ? ERR_VALUE : mp_put_bin(out, e.b.data, e.b.len);
	enc_release(L, &e);
	if (err == ERR_VALUE)
		script_raise(L, err, "kv: the value of '%s' has a ref in it, and the store holds no objects: rota.keep() it by name", key);
	check(L, err, "");
}

static void
add_key(lua_State *L, struct buf *out, int idx)
{
	size_t n;
	const char *p;

	if (lua_type(L, idx) != LUA_TSTRING)
		script_raise(L, ERR_VALUE, "kv: a key is a string, not a %s", luaL_typename(L, idx));
	p = lua_tolstring(L, idx, &n);
	check(L, mp_put_bin(out, p, n), "");
}

struct parts {				/* of a transaction: released however it is left */
	struct buf compares, ops, key;
};

static int
l_parts_gc(lua_State *L)
{
	struct parts *p = lua_touserdata(L, 1);

	buf_release(&p->compares);
	buf_release(&p->ops);
	buf_release(&p->key);
	return 0;
}

static void
add_all(lua_State *L, struct parts *p, lua_Integer session)
{
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		add_key(L, &p->compares, -2);
		if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
			script_raise(L, ERR_VALUE, "kv: if_rev is a revision, or 0 for a key that is not there");
		check(L, mp_put_uint(&p->compares, (uint64_t)lua_tointeger(L, -1)), "");
	}
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
		check(L, mp_put_array(&p->ops, 3), "");
		add_key(L, &p->ops, -2);
		add_value(L, &p->ops, lua_tostring(L, -2));
		check(L, mp_put_uint(&p->ops, (uint64_t)session), "");
	}
	for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 3); i++) {
		lua_rawgeti(L, 3, i);
		check(L, mp_put_array(&p->ops, 1), "");
		add_key(L, &p->ops, -1);
		lua_pop(L, 1);
	}
}

static int
l_kv_txn(lua_State *L)
{
	struct client *c = script_client(L);
	lua_Integer session = luaL_optinteger(L, 4, 0);
	struct parts *p;
	struct kv_done d;
	char why[512] = "";
	int e;

	for (int i = 1; i <= 3; i++)
		luaL_checktype(L, i, LUA_TTABLE);
	p = lua_newuserdatauv(L, sizeof *p, 0);
	*p = (struct parts){ .compares = BUF_INIT };
	luaL_setmetatable(L, "rota.kv parts");
	add_all(L, p, session);
	e = client_kv_txn(c, span_of(p->compares.data, p->compares.len), span_of(p->ops.data, p->ops.len), &d, why, sizeof why);
	p->key = d.key;
	check(L, e, why);
	lua_pushboolean(L, d.ok);
	lua_pushinteger(L, (lua_Integer)d.revision);
	lua_pushinteger(L, (lua_Integer)d.changed);
	if (d.ok)
		return 3;
	lua_pushlstring(L, (const char *)d.key.data, d.key.len);
	lua_pushinteger(L, (lua_Integer)d.have);
	return 5;
}

/* --- watching --------------------------------------------------------------------------------------------------- */

static int
l_kv_watch(lua_State *L)
{
	struct client *c = script_client(L);
	struct span prefix = bytes(L, 1);
	lua_Integer from = luaL_checkinteger(L, 2);
	struct lwatch *u;

	luaL_argcheck(L, from > 0, 2, "a revision is expected");
	u = lua_newuserdatauv(L, sizeof *u, 0);
	u->w = NULL;
	luaL_setmetatable(L, "rota.kv watch");
	if (!(u->w = client_kv_watch(c, prefix, (uint64_t)from)))
		return luaL_error(L, "not enough memory");
	return 1;
}

static void
push_events(lua_State *L, struct mp m)
{
	struct mp_tok t, rev, key, val;
	lua_Integer i = 0;

	lua_newtable(L);
	while (m.p < m.end) {
		if (mp_next(&m, &t) < 0 || t.kind != MP_ARRAY || (t.n != 2 && t.n != 3) || mp_next(&m, &rev) < 0 ||
		    mp_next(&m, &key) < 0 || key.kind != MP_BIN || (t.n == 3 && (mp_next(&m, &val) < 0 || val.kind != MP_BIN)))
			return;
		lua_createtable(L, 0, 3);
		set_int(L, "revision", &rev);
		lua_pushlstring(L, (const char *)key.p, key.n);
		lua_setfield(L, -2, "key");
		if (t.n == 3)
			push_value(L, &val);
		else
			lua_pushboolean(L, true);
		lua_setfield(L, -2, t.n == 3 ? "value" : "deleted");
		lua_rawseti(L, -2, ++i);
	}
}

static int
l_watch_next(lua_State *L)			/* nil: the time is up */
{
	struct lwatch *u = luaL_checkudata(L, 1, "rota.kv watch");
	struct script *s = script_of(L);
	uint64_t deadline = script_deadline(L, 2), next = 0;
	struct buf b = BUF_INIT;
	char why[512] = "";
	bool blocked;
	size_t n;
	const char *p;
	int e;

	luaL_argcheck(L, u->w, 1, "this watch was closed");
	e = client_kv_next(s->c, u->w, 0, &b, &next, why, sizeof why);
	if (e == -ETIMEDOUT && clock_ns() < deadline) {
		blocked = s->sched && sched_blocking(s, true);
		while ((e = client_kv_next(s->c, u->w, deadline, &b, &next, why, sizeof why)) == -EINTR)
			script_interrupted(L);
		if (blocked)
			sched_blocking(s, false);
	}
	if (e == 0)
		lua_pushlstring(L, b.len ? (char *)b.data : "", b.len);
	buf_release(&b);
	if (e == -ETIMEDOUT || e == -EINTR)
		return 0;
	check(L, e, why);
	p = lua_tolstring(L, -1, &n);
	push_events(L, mp_read(p, n));
	lua_pushinteger(L, (lua_Integer)next);
	return 2;
}

static int
l_watch_close(lua_State *L)
{
	struct lwatch *u = lua_touserdata(L, 1);
	struct script *s = script_of(L);

	if (u->w && s->c)
		client_kv_unwatch(s->c, u->w);
	u->w = NULL;
	return 0;
}

const luaL_Reg kv_functions[] = { { "kv_get", l_kv_get }, { "kv_list", l_kv_list }, { "kv_txn", l_kv_txn },
    { "kv_watch", l_kv_watch }, { NULL, NULL } };

void
kv_open(lua_State *L)
{
	static const luaL_Reg watch[] = { { "next", l_watch_next }, { "close", l_watch_close }, { "__gc", l_watch_close },
	    { "__close", l_watch_close }, { NULL, NULL } };
	static const luaL_Reg parts[] = { { "__gc", l_parts_gc }, { NULL, NULL } };

	luaL_newmetatable(L, "rota.kv watch");
	luaL_setfuncs(L, watch, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	script_seal(L);
	luaL_newmetatable(L, "rota.kv parts");
	luaL_setfuncs(L, parts, 0);
	lua_pop(L, 2);
}
