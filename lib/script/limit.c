#include <lauxlib.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include "script/alloc.h"
#include "script/limit.h"

static struct script *the_script;	/* the allocator knows no state; a worker has one */

static bool
overdraw(size_t n)
{
	struct sched *d = the_script->sched;
	uint64_t limit;

	if (!d || !d->now || d->overdrawn || (limit = serve_overdraw(the_script->c, true)) == 0)
		return false;
	if (n > limit / 8) {
		serve_overdraw(the_script->c, false);
		return false;
	}
	d->overdrawn = true;
	cancel_soon(d->now);
	return true;
}

void
limit_watch(struct script *s)
{
	the_script = s;
	alloc_short = overdraw;
}

void
limit_begin(struct script *s)
{
	lua_gc(s->L, LUA_GCCOLLECT);
	malloc_trim(0);			/* free memory of the heap is no allocation that could fail */
}

void
limit_collect(struct script *s, lua_State *L)
{
	uint64_t limit;

	s->sched->overdrawn = false;
	lua_gc(L, LUA_GCCOLLECT);
	limit = serve_overdraw(s->c, false);
	if (limit && (uint64_t)lua_gc(L, LUA_GCCOUNT) << 10 > limit)
		luaL_error(L, "not enough memory");
}

bool
limit_broken(struct script *s, lua_State *co, int status)
{
	static const char words[] = "not enough memory";
	uint64_t limit = serve_overdraw(s->c, false);
	size_t n = 0;
	const char *m = lua_type(co, -1) == LUA_TSTRING ? lua_tolstring(co, -1, &n) : NULL;
	char text[160];

	if (status != LUA_ERRMEM && (!limit || !m || n < sizeof words - 1 || memcmp(m + n - sizeof words + 1, words, sizeof words - 1) != 0))
		return false;
	if ((limit = serve_limit(s->c, false)) && lua_checkstack(co, 1)) {
		snprintf(text, sizeof text, "%.64s: its limit is %.1f MiB (memory=), %.1f MiB were in values of Lua", m ? m : words,
		    (double)limit / (1 << 20), (double)lua_gc(co, LUA_GCCOUNT) / 1024);
		lua_pop(co, 1);
		lua_pushstring(co, text);
	}
	return true;
}
