/*
 * l_cfunc - C functions as tasks: what stands for one is its encoded bytes (capi/cfn.h), a string in the place of the function.
 */
#include "capi/cfn.h"
#include "script/script.h"

bool
cfunc_is(lua_State *L, int idx)
{
	struct cfn f;
	size_t n;
	const char *p;

	if (lua_type(L, idx) != LUA_TSTRING)
		return false;
	p = lua_tolstring(L, idx, &n);
	return cfn_get(&f, (const unsigned char *)p, n) == 0;
}

void
cfunc_name(lua_State *L, int idx)
{
	struct cfn f;
	size_t n;
	const char *p = lua_tolstring(L, idx, &n);

	if (cfn_get(&f, (const unsigned char *)p, n) < 0)
		*f.symbol = '\0';
	lua_pushstring(L, f.symbol);
}

static int
l_cfunc(lua_State *L)				/* cfunc(path, symbol) -> bytes: what core.task takes for a function */
{
	const char *path = luaL_checkstring(L, 1), *symbol = luaL_checkstring(L, 2);
	struct buf b = BUF_INIT;
	char why[PATH_MAX + 128];
	struct cfn f;
	int e;

	if ((e = cfn_find(&f, path, symbol, why, sizeof why)) < 0)
		script_raise(L, e, "rota.cfunc: %s", why);
	if (cfn_put(&b, &f) < 0)
		return luaL_error(L, "not enough memory");
	lua_pushlstring(L, (const char *)b.data, b.len);
	buf_release(&b);
	return 1;
}

const luaL_Reg cfunc_functions[] = { { "cfunc", l_cfunc }, { NULL, NULL } };
