/* l_labels.c - expressions of labels (core/labels.h) as programs write them */
#include "core/labels.h"
#include "script/script.h"

/* adds what lies at idx, a text or a table; 0, or -EINVAL with a line in why */
static int
given(lua_State *L, int idx, struct label_expr *e, char why[LABELS_WHY])
{
	size_t nk, nv;
	int r = 0;

	if (lua_type(L, idx) == LUA_TSTRING) {
		const char *s = lua_tolstring(L, idx, &nv);

		return label_expr_parse(e, span_of(s, nv), why);
	}
	for (lua_pushnil(L); r == 0 && lua_next(L, idx); lua_pop(L, 1)) {
		const char *k = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &nk) : NULL;
		const char *v = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &nv) : NULL;

		if (k && v) {
			r = label_expr_add(e, span_of(k, nk), span_of(v, nv), why);
			continue;
		}
		snprintf(why, LABELS_WHY, "labels are a table of names and texts, as {zone='eu', disk='in(ssd,nvme)'}");
		return -EINVAL;
	}
	return r;
}

static int
l_labels(lua_State *L)		/* labels(text or table, name of a node or nil) -> the text that means the same, or nil, why */
{
	struct label_expr e = { 0 };
	char why[LABELS_WHY] = "no memory";
	struct buf b = BUF_INIT;
	size_t n;
	int r;

	lua_settop(L, 2);
	r = given(L, 1, &e, why);
	if (r == 0 && !lua_isnil(L, 2)) {
		const char *node = lua_tolstring(L, 2, &n);

		r = label_expr_add(&e, span_text("node"), span_of(node, n), why);
	}
	lua_settop(L, 2);
	if (r == 0)
		r = label_expr_text(&e, &b);
	label_expr_release(&e);
	if (r == 0) {
		lua_pushlstring(L, b.len ? (char *)b.data : "", b.len);
		buf_release(&b);
		return 1;
	}
	lua_pushnil(L);
	lua_pushstring(L, why);
	return 2;
}

const luaL_Reg labels_functions[] = { { "labels", l_labels }, { NULL, NULL } };
