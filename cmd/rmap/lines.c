/* lines - rmap -e: blocks of lines go to workers that call a Lua function for each. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "rmap.h"
#include "script/lines.h"
#include "script/paths.h"
#include "wire/val.h"

#define BLOCK (256u << 10)

void
lines_check(struct options *o)
{
	lua_State *L = luaL_newstate();
	struct columns *columns;
	char why[128];

	if (!L)
		die(125, -ENOMEM, "cannot start Lua");
	luaL_openlibs(L);
	paths_open(L);
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "path");
	lua_getfield(L, -2, "cpath");
	o->path = strdup(lua_tostring(L, -2));
	o->cpath = strdup(lua_tostring(L, -1));
	if (!o->path || !o->cpath)
		die(125, -ENOMEM, "cannot start Lua");
	for (unsigned i = 0; o->require && o->require[i]; i++)
		if (lines_require(L, o->require[i], strlen(o->require[i])) != LUA_OK)
			die(2, 0, "%s", lua_tostring(L, -1));
	if (lines_load(L, (char *)o->lua.data, o->lua.len, o->lua_name, o->lua_file) != LUA_OK)
		die(2, 0, "%s", lua_tostring(L, -1));
	if (o->columns) {
		if (columns_new(&columns, o->columns, why, sizeof why) < 0)
			die(2, 0, "cannot use '%s' for -C: %s", o->columns, why);
		columns_free(columns);
	}
	lua_close(L);
}

int
lines_start(struct run *r)
{
	const struct options *o = r->o;
	struct lines_how h = { .text = { o->lua.data, o->lua.len }, .name = o->lua_name, .file = o->lua_file,
	    .columns = o->columns, .require = o->require, .path = o->path, .cpath = o->cpath };
	struct buf b = BUF_INIT;
	int e;

	if (!o->jobs_given)
		r->limit *= 2;			/* a worker finds its next block waiting */
	if ((e = lines_put_how(&b, &h)) == 0)
		e = client_fn(r->c, FN_LINES, b.data, b.len, o->lua_name, &o->task, &r->fn);
	buf_release(&b);
	return e;
}

int
lines_next(struct run *r)
{
	const struct options *o = r->o;
	struct item block;
	struct payload p;
	struct seg seg;
	uint64_t count, first;
	int k = items_block(&r->items, BLOCK, o->batch, r->under * 2 < r->limit, &block, &count);

	if (k != 1)
		return k;
	first = r->items.number - count + 1;
	if (lines_put_block(&r->args, first, o->has_args ? 0 : o->delim, block.p, block.n, &p, &seg) < 0)
		return -ENOMEM;
	return run_submit(r, run_job(r, first), &p);
}

static void
tell(struct run *r, struct span errors)
{
	const char *p = (const char *)errors.p, *end = p + errors.n, *e;
	struct buf b = BUF_INIT;

	for (; p < end; p = e + 1) {
		if (!(e = memchr(p, '\n', (size_t)(end - p))))
			e = end - 1;
		buf_printf(&b, "%s: ", progname);
		buf_add(&b, p, (size_t)(e + 1 - p));
	}
	out_write(r, STDERR_FILENO, b.data, b.len);
	buf_release(&b);
}

void
lines_write(struct run *r, struct job *j)
{
	struct lines_end end = { 0 };
	struct value v;
	char text[512], how[560];
	int e, code = ERR_LOST;

	client_seen(r->c, j->rec);
	if ((e = client_value(r->c, j->rec, &v)) == 0 && !v.error && (e = lines_get_end(&end, r->c, &v)) == 0) {
		r->done += end.lines;
		out_write(r, STDOUT_FILENO, end.out.p, end.out.n);
		if (end.failed == 0)
			return;
		tell(r, end.errors);
		snprintf(how, sizeof how, "%.*s", (int)strcspn((char *)end.errors.p, "\n"), (char *)end.errors.p);
		run_failed(r, NULL, end.first, strchr(how, ':') ? strchr(how, ':') + 2 : how);
		r->failed += end.failed - 1;
		return;
	}
	if (e < 0 || val_error_text(v.p, v.n, text, sizeof text, &code) < 0)
		snprintf(text, sizeof text, "%s", err_str(e < 0 ? e : ERR_PROTO));
	if (code == ERR_INFEASIBLE || code == ERR_FULL || code == ERR_ENV) {
		out_flush(r);
		warn(0, "%s", text);
		run_end(r, 0);
	}
	r->done++;
	snprintf(how, sizeof how, "the block that begins here: %s", text);
	warn(0, "line %llu: %s", (unsigned long long)j->first, how);
	run_failed(r, NULL, j->first, how);
}
