/*
 * strcache - stored strings that were made into Lua strings, by the id of their object: an object never changes, so the second
 * get of one costs no copy.  The oldest make room for new ones.
 */
#include <lauxlib.h>
#include "script/script.h"
#include "script/strcache.h"

void
strcache_open(lua_State *L, struct strcache *c)
{
	lua_createtable(L, 0, 0);
	c->strings = luaL_ref(L, LUA_REGISTRYINDEX);
}

static unsigned
place(const struct strcache *c, unsigned i)	/* of the i-th oldest in the ring */
{
	return (c->first + i) % STRCACHE;
}

static void
forget_oldest(lua_State *L, struct strcache *c, int strings)
{
	struct strcache_entry *e = &c->entry[c->first];

	lua_pushboolean(L, 0);			/* not nil: the table stays an array */
	lua_rawseti(L, strings, (int)c->first + 1);
	idmap_del(&c->at, e->id);
	c->bytes -= e->n;
	c->first = place(c, 1);
	c->len--;
}

bool
strcache_push(lua_State *L, const struct strcache *c, struct id id)
{
	uintptr_t at = (uintptr_t)idmap_get(&c->at, id);

	if (at == 0)
		return false;
	lua_rawgeti(L, LUA_REGISTRYINDEX, c->strings);
	lua_rawgeti(L, -1, (lua_Integer)at);
	lua_remove(L, -2);
	return true;
}

void
strcache_add(lua_State *L, struct strcache *c, struct id id)
{
	size_t n = lua_rawlen(L, -1);
	int top = lua_gettop(L);
	unsigned i;

	if (n > STRCACHE_BYTES / 8 || idmap_get(&c->at, id))
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, c->strings);
	while (c->len == STRCACHE || c->bytes + n > STRCACHE_BYTES)
		forget_oldest(L, c, top + 1);
	i = place(c, c->len);
	if (idmap_put(&c->at, id, (void *)(uintptr_t)(i + 1)) == 0) {
		c->entry[i] = (struct strcache_entry){ id, n };
		c->bytes += n;
		c->len++;
		lua_pushvalue(L, top);
		lua_rawseti(L, top + 1, (int)i + 1);
	}
	lua_settop(L, top);
}

void
strcache_clear(lua_State *L, struct strcache *c)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, c->strings);
	while (c->len > 0)
		forget_oldest(L, c, lua_gettop(L));
	lua_pop(L, 1);
	idmap_release(&c->at);
}
