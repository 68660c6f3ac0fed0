#include <stdlib.h>
#include <string.h>
#include "client/command.h"
#include "client/command_wire.h"
#include "client/serve.h"
#include "script/lines.h"
#include "script/sched.h"
#include "script/script.h"

#define ERRORS_MAX 65536u		/* bytes of messages of one block */
#define OUT_SLACK 4096u

/* --- what the text means --------------------------------------------------------------------------------------- */

static const char *
skip_blanks(const char *p, const char *end)	/* and comments to the end of a line */
{
	for (;;) {
		while (p < end && strchr(" \t\r\n", *p) && *p)
			p++;
		if (end - p < 2 || p[0] != '-' || p[1] != '-' || (end - p > 2 && p[2] == '['))
			return p;
		while (p < end && *p != '\n')
			p++;
	}
}

struct text {				/* head, text and tail in turn: lines keep their numbers */
	const char *part[3];
	size_t n[3];
	int i;
};

static const char *
next_part(lua_State *L, void *arg, size_t *n)
{
	struct text *t = arg;

	(void)L;
	while (t->i < 3) {
		int i = t->i++;

		if ((*n = t->n[i]) > 0)
			return t->part[i];
	}
	*n = 0;
	return NULL;
}

/* pushes what the chunk returns, or the message */
static int
load_as(lua_State *L, const char *head, const char *text, size_t n, const char *tail, const char *name)
{
	struct text t = { { head, text, tail }, { strlen(head), n, strlen(tail) }, 0 };
	int e = lua_load(L, next_part, &t, name, "t");

	return e != LUA_OK ? e : lua_pcall(L, 0, 1, 0);
}

static bool
is_statement(const char *p, const char *end)
{
	static const char *const words[] = { "local", "if", "for", "while", "repeat", "return", "do", "goto", NULL };
	size_t n = 0;

	while (p + n < end && p[n] >= 'a' && p[n] <= 'z')
		n++;
	for (int i = 0; words[i]; i++)
		if (strlen(words[i]) == n && memcmp(words[i], p, n) == 0)
			return true;
	return false;
}

/* puts the message that the text gives without our 'end' in the place of the one on top */
static void
own_message(lua_State *L, const char *head, const char *text, size_t n, const char *name)
{
	struct text t = { { head, text, NULL }, { strlen(head), n, 0 }, 0 };

	lua_remove(L, lua_load(L, next_part, &t, name, "t") != LUA_OK ? -2 : -1);
}

int
lines_load(lua_State *L, const char *text, size_t n, const char *name, bool file)
{
	const char *end = text + n, *p;
	bool statements;
	char chunk[256];
	int e;

	snprintf(chunk, sizeof chunk, "%c%s", file ? '@' : '=', name);
	if (file && n && *text == '#') {		/* #!/usr/bin/env … */
		while (text < end && *text != '\n')
			text++;
		n = (size_t)(end - text);
	}
	p = skip_blanks(text, end);
	if (end - p > 8 && memcmp(p, "function", 8) == 0 && (p[8] == '(' || p[8] == ' '))
		return load_as(L, "return ", text, n, "", chunk);
	statements = is_statement(p, end);
	if (!statements && (e = load_as(L, "return function(line, n, f) return ", text, n, "\nend", chunk)) == LUA_OK)
		return LUA_OK;
	if (!statements)
		own_message(L, "return ", text, n, chunk);
	if (file) {
		if (!statements)
			lua_pop(L, 1);
		if ((e = load_as(L, "", text, n, "", chunk)) == LUA_OK && !lua_isfunction(L, -1)) {
			lua_pop(L, 1);
			lua_pushfstring(L, "%s returns no function (line, n)", name);
			e = LUA_ERRRUN;
		}
		return e;
	}
	if (statements) {
		if ((e = load_as(L, "return function(line, n, f) ", text, n, "\nend", chunk)) != LUA_OK)
			own_message(L, "local line, n, f ", text, n, chunk);
		return e;
	}
	if (load_as(L, "return function(line, n, f) ", text, n, "\nend", chunk) != LUA_OK) {
		lua_pop(L, 1);			/* the expression's message is the better one */
		return e;
	}
	lua_remove(L, -2);
	return LUA_OK;
}

int
lines_require(lua_State *L, const char *name, size_t n)
{
	const char *last = memrchr(name, '.', n);
	int e;

	lua_getglobal(L, "require");
	lua_pushlstring(L, name, n);
	if ((e = lua_pcall(L, 1, 1, 0)) != LUA_OK)
		return e;
	last = last ? last + 1 : name;
	lua_pushlstring(L, last, (size_t)(name + n - last));
	lua_insert(L, -2);
	lua_pushglobaltable(L);
	lua_insert(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 1);
	return LUA_OK;
}

/* --- on the wire --------------------------------------------------------------------------------------------------- */

int
lines_put_how(struct buf *b, const struct lines_how *h)
{
	unsigned n = 0;
	int e;

	b->len = 0;
	while (h->require && h->require[n])
		n++;
	if ((e = mp_put_str(b, h->text.p, h->text.n)) < 0 || (e = mp_put_str(b, h->name, strlen(h->name))) < 0 ||
	    (e = mp_put_uint(b, h->file)) < 0 ||
	    (e = mp_put_str(b, h->columns ? h->columns : "", h->columns ? strlen(h->columns) : 0)) < 0 ||
	    (e = mp_put_str(b, h->path, strlen(h->path))) < 0 || (e = mp_put_str(b, h->cpath, strlen(h->cpath))) < 0 ||
	    (e = mp_put_uint(b, n)) < 0)
		return e;
	for (unsigned i = 0; i < n && e == 0; i++)
		e = mp_put_str(b, h->require[i], strlen(h->require[i]));
	return e;
}

int
lines_put_block(struct buf *b, uint64_t first, int delim, const void *block, size_t n, struct payload *p, struct seg *seg)
{
	int e;

	b->len = 0;
	if ((e = mp_put_uint(b, first)) < 0 || (e = mp_put_uint(b, (uint64_t)delim)) < 0 ||
	    (e = command_put_oob(b, 0, n)) < 0)
		return e;
	*seg = (struct seg){ block, n };
	*p = (struct payload){ b->data, b->len, 3, 0, seg, n ? 1 : 0 };
	return 0;
}

int
lines_get_end(struct lines_end *e, const struct client *c, const struct value *v)
{
	struct mp m = mp_read(v->p, v->n);
	const struct obj_view *view = v->arena ? &v->view : NULL;

	if (v->nvals != 5 || command_get_uint(&m, &e->lines) < 0 || command_get_uint(&m, &e->failed) < 0 ||
	    command_get_uint(&m, &e->first) < 0 || command_get_str(&m, client_arena(c), view, &e->errors) < 0 ||
	    command_get_str(&m, client_arena(c), view, &e->out) < 0)
		return ERR_PROTO;
	return 0;
}

/* --- the worker's side ---------------------------------------------------------------------------------------------- */

struct block {
	const char *p, *end;		/* what is left */
	int delim;
	uint64_t n;			/* number of the line at p */
	int fn;				/* stack slot of the function */
	const struct columns *columns;
	struct buf out, errors;
	uint64_t lines, failed, first;
	size_t mark;			/* of out, before the line that runs */
};

static struct known {			/* the function of the last task */
	uint64_t serial;
	uint32_t proc, unit;
	int ref;
	struct columns *columns;
} known;

struct row {
	lua_State *L;
	lua_Integer i;
};

static void
one_column(void *arg, const char *p, size_t n)
{
	struct row *r = arg;

	lua_pushlstring(r->L, p, n);
	lua_rawseti(r->L, -2, ++r->i);
}

/* the results from slot base + 1 up become a line, unless there is nothing */
static void
append(lua_State *L, int base, struct buf *b)
{
	int top = lua_gettop(L);

	if (top == base || (top == base + 1 && lua_isnil(L, top)))
		return;
	for (int i = base + 1; i <= top; i++) {
		if (i > base + 1 && buf_add(b, "\t", 1) < 0)
			luaL_error(L, "not enough memory");
		lines_text(L, i, b);
	}
	if (b->cap - b->len < 1 && buf_reserve(b, OUT_SLACK) < 0)
		luaL_error(L, "not enough memory");
	b->data[b->len++] = '\n';
}

static int
run_lines(lua_State *L)			/* function, block as light userdata: until the end or the first error */
{
	struct block *k = lua_touserdata(L, 2);

	luaL_checkstack(L, 16, NULL);
	while (k->p < k->end) {
		const char *p = k->p, *nl = memchr(p, k->delim, (size_t)(k->end - p)), *e = nl ? nl : k->end;

		k->p = nl ? nl + 1 : k->end;
		k->mark = k->out.len;
		k->lines++;
		lua_pushvalue(L, 1);
		lua_pushlstring(L, p, (size_t)(e - p));
		lua_pushinteger(L, (lua_Integer)k->n++);
		if (k->columns) {
			struct row r = { L, 0 };

			lua_createtable(L, 8, 0);
			columns_cut(k->columns, p, (size_t)(e - p), one_column, &r);
		}
		lua_call(L, k->columns ? 3 : 2, LUA_MULTRET);
		append(L, 2, &k->out);
		lua_settop(L, 2);
	}
	return 0;
}

/* "-e:1: boom" becomes "boom (-e:1)" */
static void
tell(struct block *k, uint64_t n, const char *msg, size_t len)
{
	const char *colon = memchr(msg, ':', len), *p;

	if (k->errors.len > ERRORS_MAX)
		return;
	buf_printf(&k->errors, "line %llu: ", (unsigned long long)n);
	p = colon ? colon + 1 : msg;
	while (colon && p < msg + len && *p >= '0' && *p <= '9')
		p++;
	if (colon && p > colon + 1 && (size_t)(msg + len - p) >= 2 && p[0] == ':' && p[1] == ' ') {
		buf_add(&k->errors, p + 2, (size_t)(msg + len - p - 2));
		buf_add(&k->errors, " (", 2);
		buf_add(&k->errors, msg, (size_t)(p - msg));
		buf_add(&k->errors, ")", 1);
	} else {
		buf_add(&k->errors, msg, len);
	}
	buf_add(&k->errors, "\n", 1);
}

static void
run_block(lua_State *L, struct block *k, int fn)
{
	while (k->p < k->end) {
		const char *msg;
		size_t len;

		lua_pushcfunction(L, run_lines);
		lua_pushvalue(L, fn);
		lua_pushlightuserdata(L, k);
		if (lua_pcall(L, 2, 0, 0) == LUA_OK)
			break;
		msg = luaL_tolstring(L, -1, &len);
		k->out.len = k->mark;		/* nothing of a line that failed */
		k->failed++;
		if (!k->first)
			k->first = k->n - 1;
		tell(k, k->n - 1, msg, len);
		lua_pop(L, 2);
	}
}

static int
prepare(lua_State *L, struct script *s, const struct task_in *t)	/* LUA_OK with known, or the message pushed */
{
	const unsigned char *bytes = serve_code(s->c, t);
	struct span text, name, columns, path, cpath, mod;
	uint64_t file, n;
	char chunk[256], why[128], regex[1024];
	struct mp m;
	int e;

	if (known.serial == t->fn.serial && known.proc == t->proc && known.unit == t->rec.fn)
		return LUA_OK;
	if (!bytes)
		bytes = (const unsigned char *)"";
	lua_pushlstring(L, (const char *)bytes, t->fn.len);	/* a private copy */
	bytes = (const unsigned char *)lua_tostring(L, -1);
	m = mp_read(bytes, t->fn.len);
	if (command_get_str(&m, NULL, NULL, &text) < 0 || command_get_str(&m, NULL, NULL, &name) < 0 ||
	    command_get_uint(&m, &file) < 0 || command_get_str(&m, NULL, NULL, &columns) < 0 ||
	    command_get_str(&m, NULL, NULL, &path) < 0 || command_get_str(&m, NULL, NULL, &cpath) < 0 ||
	    command_get_uint(&m, &n) < 0 || columns.n >= sizeof regex) {
		lua_pushliteral(L, "the function's bytes make no sense");
		return LUA_ERRRUN;
	}
	lua_getglobal(L, "package");
	lua_pushlstring(L, (const char *)path.p, path.n);
	lua_setfield(L, -2, "path");
	lua_pushlstring(L, (const char *)cpath.p, cpath.n);
	lua_setfield(L, -2, "cpath");
	while (n-- > 0 && command_get_str(&m, NULL, NULL, &mod) == 0)
		if ((e = lines_require(L, (const char *)mod.p, mod.n)) != LUA_OK)
			return e;
	snprintf(chunk, sizeof chunk, "%.*s", (int)name.n, (const char *)name.p);
	if ((e = lines_load(L, (const char *)text.p, text.n, chunk, file)) != LUA_OK)
		return e;
	if (known.serial) {
		luaL_unref(L, LUA_REGISTRYINDEX, known.ref);
		columns_free(known.columns);
	}
	known = (struct known){ t->fn.serial, t->proc, t->rec.fn, luaL_ref(L, LUA_REGISTRYINDEX), NULL };
	snprintf(regex, sizeof regex, "%.*s", (int)columns.n, (const char *)columns.p);
	if (*regex && columns_new(&known.columns, regex, why, sizeof why) < 0) {
		lua_pushstring(L, why);
		return LUA_ERRRUN;
	}
	return LUA_OK;
}

static void
fail(struct script *s, struct task_in *t, int code, const char *text)
{
	struct buf b = BUF_INIT;
	struct payload p;

	val_error(&b, code, text, t->fn.name, NULL, t->rec.attempt + 1u, NULL);
	p = (struct payload){ b.data, b.len, 1, PAYLOAD_ERROR, NULL, 0 };
	serve_done(s->c, t, &p, 0, false);
	buf_release(&b);
}

static int
publish(struct script *s, struct task_in *t, const struct block *k)
{
	struct buf b = BUF_INIT;
	struct payload p = { .nvals = 5 };
	struct seg seg[2];
	int e;

	mp_put_uint(&b, k->lines);
	mp_put_uint(&b, k->failed);
	mp_put_uint(&b, k->first);
	command_put_oob(&b, 0, k->errors.len);
	if (k->errors.len)
		seg[p.nseg++] = (struct seg){ k->errors.data, k->errors.len };
	command_put_oob(&b, p.nseg, k->out.len);
	if (k->out.len)
		seg[p.nseg++] = (struct seg){ k->out.data, k->out.len };
	p.seg = seg;
	p.p = b.data;
	p.n = b.len;
	e = serve_done(s->c, t, &p, 0, false);
	buf_release(&b);
	return e;
}

static void
run_task(struct script *s, struct task_in *t)
{
	struct mp m = mp_read(t->args, t->n);
	lua_State *L = s->L;
	struct block k = { 0 };
	struct span bytes;
	uint64_t delim;
	int e;

	if (prepare(L, s, t) != LUA_OK) {
		fail(s, t, ERR_TASK, lua_tostring(L, -1));
		return;
	}
	if (command_get_uint(&m, &k.n) < 0 || command_get_uint(&m, &delim) < 0 ||
	    command_get_str(&m, client_arena(s->c), t->arena ? &t->view : NULL, &bytes) < 0) {
		fail(s, t, ERR_PROTO, "the block makes no sense");
		return;
	}
	k.p = (const char *)bytes.p;
	k.end = k.p + bytes.n;
	k.delim = (int)(delim & 0xff);
	k.columns = known.columns;
	lua_rawgeti(L, LUA_REGISTRYINDEX, known.ref);
	if (buf_reserve(&k.out, bytes.n + OUT_SLACK) == 0)
		run_block(L, &k, lua_gettop(L));
	if ((e = publish(s, t, &k)) < 0)
		fail(s, t, e, e == ERR_FULL ? client_full(s->c) : err_str(e));
	buf_release(&k.out);
	buf_release(&k.errors);
}

void
lines_run(struct script *s, struct task_in *t)
{
	int top = lua_gettop(s->L);

	if (t->fn.kind == FN_COMMAND) {
		command_run(s->c, t);
		return;
	}
	s->sched->running = t;
	run_task(s, t);
	s->sched->running = NULL;
	lua_settop(s->L, top);
}
