/*
 * Encoding.  Scalars and short strings are written straight from the stack; anything else is done in one
 * protected call.  There each table and function met is noted by its address; if none was met twice the bytes
 * are done, else a second pass writes SHARED and BACK where they are due.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include "script/buffer.h"
#include "script/codec_priv.h"
#include "script/func.h"

struct enc_slot {
	uint64_t key;
	unsigned stamp;			/* of the call it belongs to */
	unsigned num;			/* in SHARED, of a cell; of bytecode: low half of the hash's other word */
	unsigned pass;			/* the pass num is from; 0: none yet */
	uint8_t kind;			/* enum enc_what */
	bool dup;			/* met twice */
};

#define WANT 0xffu			/* flags of the caller */
#define DEPTH_STACK 8			/* Lua stack slots that a level needs */

static struct enc_slot *
slot_find(struct enc *e, enum enc_what kind, uint64_t key)	/* the slot, or the free one where it belongs */
{
	unsigned mask = e->slots - 1, i = (unsigned)hash_mix(key + kind) & mask;

	while (e->slot[i].stamp == e->stamp && (e->slot[i].key != key || e->slot[i].kind != kind))
		i = (i + 1) & mask;
	return &e->slot[i];
}

static void
slot_grow(struct enc_run *r)
{
	struct enc *e = r->e;
	struct enc_slot *old = e->slot, *s;
	unsigned n = e->slots, i;

	if (!(s = calloc(n ? 2 * (size_t)n : 64, sizeof *s))) {
		r->code = -ENOMEM;
		luaL_error(r->L, "not enough memory");
	}
	e->slot = s;
	e->slots = n ? 2 * n : 64;
	for (i = 0; i < n; i++)
		if (old[i].stamp == e->stamp)
			*slot_find(e, old[i].kind, old[i].key) = old[i];
	free(old);
}

static struct enc_slot *
slot_get(struct enc_run *r, enum enc_what kind, uint64_t key, bool *is_new)
{
	struct enc *e = r->e;
	struct enc_slot *s;

	if (2 * e->nslot >= e->slots)
		slot_grow(r);
	s = slot_find(e, kind, key);
	*is_new = s->stamp != e->stamp;
	if (*is_new) {
		*s = (struct enc_slot){ .key = key, .stamp = e->stamp, .kind = (uint8_t)kind };
		e->nslot++;
	}
	return s;
}

bool
enc_seen(struct enc_run *r, const void *obj)
{
	struct enc *e = r->e;
	unsigned char num[4];
	struct enc_slot *s;
	bool is_new;

	s = slot_get(r, ENC_OBJECT, (uintptr_t)obj, &is_new);
	if (!e->sharing) {
		if (is_new)
			return false;
		s->dup = e->dup = true;
		enc_room(r, 1);
		mp_put_nil(&e->b);		/* stands for it until the second pass */
		return true;
	}
	if (!s->dup)
		return false;
	enc_room(r, MP_MAX_HEAD + 4);
	if (s->pass == r->pass) {
		le_put32(num, s->num);
		mp_put_ext(&e->b, VAL_BACK, num, 4);
		return true;
	}
	s->pass = r->pass;
	s->num = e->nshared++;
	le_put32(num, s->num);
	mp_put_ext(&e->b, VAL_SHARED, num, 4);
	return false;
}

bool
enc_number(struct enc_run *r, enum enc_what kind, uint64_t key, unsigned *num)
{
	struct enc_slot *s;
	bool is_new;

	s = slot_get(r, kind, key, &is_new);
	if (s->pass == r->pass) {
		*num = s->num;
		return true;
	}
	s->pass = r->pass;
	s->num = *num;
	return false;
}

/* --- what was made on the way --- */

bool
enc_kept(struct enc_run *r, int idx)
{
	if (!lua_istable(r->L, r->keep))
		return false;
	lua_pushvalue(r->L, idx);
	if (lua_rawget(r->L, r->keep) != LUA_TNIL)
		return true;
	lua_pop(r->L, 1);
	return false;
}

void
enc_keep_make(struct enc_run *r)
{
	lua_State *L = r->L;

	if (lua_istable(L, r->keep))
		return;
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, r->e);	/* segments may point into it */
	r->e->keep = true;
	lua_replace(L, r->keep);
}

void
enc_keep(struct enc_run *r, int idx)
{
	lua_State *L = r->L;

	enc_keep_make(r);
	lua_pushvalue(L, idx);
	lua_pushvalue(L, -2);
	lua_rawset(L, r->keep);
}

/* --- leaves --- */

static unsigned
seg_add(struct enc_run *r, const void *p, size_t n)
{
	struct enc *e = r->e;
	unsigned i, cap;
	void *s;

	for (i = e->nseg > 8 ? e->nseg - 8 : 0; i < e->nseg; i++)	/* the same one again, as often in lists */
		if (e->seg[i].p == p && e->seg[i].n == n)
			return i;
	if (e->nseg == e->segcap) {
		cap = e->segcap ? 2 * e->segcap : 8;
		if (cap > UINT16_MAX + 1u)	/* struct wref counts them in 16 bits */
			return UINT32_MAX;
		if (!(s = realloc(e->seg, cap * sizeof *e->seg))) {
			r->code = -ENOMEM;
			luaL_error(r->L, "not enough memory");
		}
		e->seg = s;
		e->segcap = cap;
	}
	if (e->nseg >= UINT16_MAX)
		return UINT32_MAX;
	e->seg[e->nseg] = (struct enc_seg){ p, n };
	return e->nseg++;
}

void
enc_str(struct enc_run *r, const char *s, size_t n)
{
	enc_room(r, MP_MAX_HEAD + n);
	mp_put_str(&r->e->b, s, n);
}

static void
enc_string(struct enc_run *r, int idx, const struct codec_path *path)
{
	unsigned char body[13];
	unsigned i;
	size_t n;
	const char *s = lua_tolstring(r->L, idx, &n);

	if (n > VAL_OOB_MIN && !(r->e->flags & ENC_INLINE) && (i = seg_add(r, s, n)) != UINT32_MAX) {
		le_put32(body, i);
		le_put64(body + 4, n);
		body[12] = 0;
		enc_room(r, MP_MAX_HEAD + sizeof body);
		mp_put_ext(&r->e->b, VAL_OOB, body, sizeof body);
		return;
	}
	if (r->func && n > FUNC_UPVALUE_MAX)
		enc_too_big(r, path, n);
	if (n > MP_MAX_LEN)
		enc_fail(r, path, "a string of more than 4 GiB cannot travel inside another value");
	enc_str(r, s, n);
}

static void
enc_buffer(struct enc_run *r, int idx, const struct codec_path *path)
{
	struct buffer *b = lua_touserdata(r->L, idx);
	struct val_buffer v = { .dtype = b->a.type, .ndim = b->a.ndim, .bytes = nd_bytes(&b->a) };
	unsigned i;
	int e;

	if (r->func && v.bytes > FUNC_UPVALUE_MAX)
		enc_too_big(r, path, v.bytes);
	if (!nd_packed(&b->a)) {		/* elements travel in row order without gaps */
		if (!enc_kept(r, idx)) {
			buffer_push_packed(r->L, &b->a);
			enc_keep(r, idx);
		}
		b = lua_touserdata(r->L, -1);
		lua_pop(r->L, 1);
	}
	v.p = b->a.data;
	for (i = 0; i < b->a.ndim; i++)
		v.shape[i] = (uint64_t)b->a.shape[i];
	if (v.bytes > VAL_OOB_MIN && !(r->e->flags & ENC_INLINE) && (i = seg_add(r, v.p, v.bytes)) != UINT32_MAX) {
		v.oob = true;
		v.index = i;
	}
	if ((e = val_buffer_put(&r->e->b, &v)) == -ENOMEM)
		enc_room(r, SIZE_MAX / 2);	/* raises */
	if (e < 0)
		enc_fail(r, path, "a buffer of more than 4 GiB cannot travel inside another value");
}

void
enc_ref(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	const struct codec_hooks *h = r->st->hooks;
	unsigned char body[WREF_SIZE];
	struct wref w = { 0 };

	if (!h->ref_out)
		enc_fail(r, path, "a ref cannot travel from here");
	h->ref_out(r->L, idx, &w, r->e);
	val_wref_pack(body, &w);
	enc_room(r, MP_MAX_HEAD + WREF_SIZE);
	mp_put_ext(&r->e->b, depth == 0 && r->e->flags & ENC_TOPREF ? VAL_VALREF : VAL_REF, body, WREF_SIZE);
	r->e->flags |= ENC_REFS;
}

void
enc_handle(struct enc_run *r, int idx, bool task, const struct codec_path *path, int depth)
{
	const struct codec_hooks *h = r->st->hooks;
	void (*out)(lua_State *, int, struct enc *) = task ? h->task_out : h->actor_out;
	size_t at;

	if (!out)
		enc_fail(r, path, "%s handle cannot travel from here", task ? "a task" : "an actor");
	if (task && r->e->flags & ENC_NOCODE)
		enc_fail(r, path, "a task cannot travel here");
	if (enc_seen(r, lua_topointer(r->L, idx)))
		return;
	if (!enc_kept(r, idx)) {
		out(r->L, idx, r->e);
		enc_keep(r, idx);
	}
	r->e->flags |= task ? ENC_CODE : ENC_REFS;
	at = enc_open(r);
	enc_any(r, lua_gettop(r->L), path, depth + 1);
	mp_ext_close(&r->e->b, at, task ? VAL_TASK : VAL_ACTOR);
	lua_pop(r->L, 1);
}

static void
enc_chan(struct enc_run *r, int idx, const struct codec_path *path)
{
	unsigned char body[13];

	if (!r->st->hooks->chan_out)
		enc_fail(r, path, "a channel cannot travel from here");
	r->st->hooks->chan_out(r->L, idx, body);
	enc_room(r, MP_MAX_HEAD + sizeof body);
	mp_put_ext(&r->e->b, VAL_CHAN, body, sizeof body);
}

static void
enc_userdata(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	enum codec_kind k = KIND_NONE;
	const char *name = NULL;

	if (lua_getmetatable(L, idx)) {
		k = codec_kind(L, r->st);
		lua_pop(L, 1);
	}
	switch (k) {
	case KIND_REF: enc_ref(r, idx, path, depth); return;
	case KIND_TASK: enc_handle(r, idx, true, path, depth); return;
	case KIND_ACTOR: enc_handle(r, idx, false, path, depth); return;
	case KIND_BUFFER: enc_buffer(r, idx, path); return;
	case KIND_CHAN: enc_chan(r, idx, path); return;
	default: break;
	}
	if (enc_by_name(r, idx, false))
		return;
	if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
		name = lua_tostring(L, -1);
	enc_fail(r, path, name ? "userdata (%s) cannot travel" : "userdata cannot travel", name);
}

/* --- any value; idx is absolute --- */

void
enc_any(struct enc_run *r, int idx, const struct codec_path *path, int depth)
{
	lua_State *L = r->L;
	struct buf *b = &r->e->b;

	if (depth > VAL_DEPTH)
		enc_fail(r, NULL, "nested deeper than %d", VAL_DEPTH);
	enc_room(r, MP_MAX_SCALAR);
	switch (lua_type(L, idx)) {
	case LUA_TNIL: mp_put_nil(b); return;
	case LUA_TBOOLEAN: mp_put_bool(b, lua_toboolean(L, idx)); return;
	case LUA_TNUMBER:
		if (lua_isinteger(L, idx))
			mp_put_int(b, lua_tointeger(L, idx));
		else
			mp_put_float(b, lua_tonumber(L, idx));
		return;
	case LUA_TSTRING: enc_string(r, idx, path); return;
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(L, idx))
			enc_fail(r, path, "light userdata cannot travel");
		mp_put_ext(b, VAL_NULL, NULL, 0);
		return;
	case LUA_TTHREAD: enc_fail(r, path, "a coroutine cannot travel");
	}
	luaL_checkstack(L, DEPTH_STACK, "value nested too deep");
	switch (lua_type(L, idx)) {
	case LUA_TFUNCTION: enc_function(r, idx, path, depth); return;
	case LUA_TTABLE: enc_table(r, idx, path, depth); return;
	default: enc_userdata(r, idx, path, depth);
	}
}

/* --- the call --- */

static void
pass(struct enc_run *r)
{
	struct enc *e = r->e;
	int i;

	e->b.len = 0;
	e->nseg = e->nshared = e->ncell = 0;
	e->flags &= WANT;
	r->pass++;
	for (i = 1; i <= r->nvals; i++) {
		r->top = i;
		enc_any(r, i + 1, NULL, 0);
	}
}

static int
protected(lua_State *L)			/* (run, values...) */
{
	struct enc_run *r = lua_touserdata(L, 1);

	r->L = L;
	r->st = codec_state(L);
	r->globals = NULL;
	lua_pushnil(L);
	r->keep = lua_gettop(L);
	pass(r);
	if (r->e->dup) {
		r->e->sharing = true;
		pass(r);
	}
	return 0;
}

int
enc_protected(struct enc *e, lua_State *L, struct enc_run *r, int first, int last)
{
	int i, n;

	if (e->busy) {				/* by a __pack that calls us: the outer call goes on */
		lua_pushliteral(L, "rota cannot be called from within __pack");
		return ERR_VALUE;
	}
	enc_forget(L, e);
	r->e = e;
	r->nvals = last - first + 1;
	r->code = 0;
	e->sharing = e->dup = false;
	e->nslot = 0;
	if (++e->stamp == 0) {		/* once in 2^32 calls: no old slot may look like a new one */
		memset(e->slot, 0, e->slots * sizeof *e->slot);
		e->stamp = 1;
	}
	if (!lua_checkstack(L, r->nvals + LUA_MINSTACK)) {
		lua_pushliteral(L, "too many values");
		return ERR_VALUE;
	}
	lua_pushcfunction(L, protected);
	lua_pushlightuserdata(L, r);
	for (i = first; i <= last; i++)
		lua_pushvalue(L, i);
	e->busy = true;
	n = codec_call(L, 1 + r->nvals, 0, &r->code);
	e->busy = false;
	if (n == 0) {
		e->nvals = (unsigned)r->nvals;
		return 0;
	}
	e->b.len = 0;
	e->nseg = e->nvals = 0;
	return n;
}

int
enc_values(lua_State *L, struct enc *e, int first, int last, const char *what)
{
	struct enc_run r = { .what = what };
	unsigned char *p;
	size_t n, most;
	const char *s;
	int i;

	if (e->busy)
		return enc_protected(e, L, &r, first, last);
	first = lua_absindex(L, first);
	last = last < 0 ? lua_absindex(L, last) : last;
	if (last - first >= UINT16_MAX) {
		lua_pushfstring(L, "%s: more than %d at once cannot travel; a table of them can", what, UINT16_MAX);
		return ERR_VALUE;
	}
	e->b.len = 0;
	e->nseg = e->nvals = 0;
	e->flags &= WANT;
	for (i = first; i <= last; i++) {
		if (mp_room(&e->b, MP_MAX_SCALAR) < 0)
			goto slow;
		p = e->b.data + e->b.len;
		switch (lua_type(L, i)) {
		case LUA_TNIL: p = mp_w_nil(p); break;
		case LUA_TBOOLEAN: p = mp_w_bool(p, lua_toboolean(L, i)); break;
		case LUA_TNUMBER:
			p = lua_isinteger(L, i) ? mp_w_int(p, lua_tointeger(L, i)) : mp_w_float(p, lua_tonumber(L, i));
			break;
		case LUA_TSTRING:
			s = lua_tolstring(L, i, &n);
			most = MP_MAX_HEAD + n;
			if (n > VAL_OOB_MIN || mp_room(&e->b, most) < 0)
				goto slow;
			p = mp_w_str(e->b.data + e->b.len, s, n);
			break;
		default: goto slow;
		}
		e->b.len = (size_t)(p - e->b.data);
	}
	e->nvals = (unsigned)(last - first + 1);
	return 0;
slow:
	return enc_protected(e, L, &r, first, last);
}

void
enc_forget(lua_State *L, struct enc *e)
{
	if (!e->keep)
		return;
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, e);
	e->keep = false;
}

void
enc_release(lua_State *L, struct enc *e)
{
	unsigned flags = e->flags & WANT;
	void *arg = e->arg;

	enc_forget(L, e);
	buf_release(&e->b);
	free(e->seg);
	free(e->slot);
	*e = (struct enc){ .b = BUF_INIT, .flags = flags, .arg = arg };
}
