/*
 * l_path - ref:path() -> path, offset, length: the bytes of a string or buffer as programs can open them.
 *
 * What lies in the store is named by the store's own file, opened once for reading; anything else is copied to a file without a
 * name.  Value and file are kept in a table with weak keys, by the reference.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <lauxlib.h>
#include "base/err.h"
#include "ring/rec.h"
#include "script/buffer.h"
#include "script/script.h"

static int
close_file(lua_State *L)
{
	luaL_Stream *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	return luaL_fileresult(L, fclose(f->f) == 0, NULL);
}

/* pushes a file with these bytes: its descriptor */
static int
copy(lua_State *L, const void *p, size_t n)
{
	luaL_Stream *f = lua_newuserdatauv(L, sizeof *f, 0);
	int fd = memfd_create("rota-value", MFD_CLOEXEC);

	f->closef = NULL;
	luaL_setmetatable(L, LUA_FILEHANDLE);
	if (fd < 0 || (f->f = fdopen(fd, "w+")) == NULL)
		script_raise(L, -errno, "cannot make a file of the value: %s", strerror(errno));
	f->closef = close_file;
	if (fwrite(p, 1, n, f->f) != n || fflush(f->f) != 0)
		script_raise(L, -errno, "cannot make a file of the value: %s", strerror(errno));
	return fd;
}

int
l_path(lua_State *L)
{
	struct rec *r = ref_check(L, 1);
	struct script *s = script_of(L);
	const struct arena *a = client_arena(script_client(L));
	uint64_t off = 0;
	const char *p;
	size_t n;
	int fd;

	lua_settop(L, 1);
	if (!rec_is_ready(r))
		ref_await(L, r);
	s->as_view = true;
	ref_values(L, r, 1, false);
	if ((p = buffer_bytes(L, 2, &n)) == NULL)
		script_raise(L, ERR_VALUE, "only a string or a packed buffer has bytes that a program could read: this is a %s",
		    luaL_typename(L, 2));
	if ((const unsigned char *)p >= a->base && (const unsigned char *)p < a->base + a->bytes) {
		if (s->arena_fd == 0 && (fd = client_arena_fd(s->c)) > 0)
			s->arena_fd = fd;
		fd = s->arena_fd;
		off = (uint64_t)((const unsigned char *)p - a->base);
		if (fd == 0)
			script_raise(L, ERR_NO_CLUSTER, "the object store cannot be opened");
	} else {
		fd = copy(L, p, n);
	}
	luaL_getsubtable(L, LUA_REGISTRYINDEX, "rota.paths");
	if (!lua_getmetatable(L, -1)) {
		lua_createtable(L, 0, 1);
		lua_pushliteral(L, "k");
		lua_setfield(L, -2, "__mode");
		lua_setmetatable(L, -2);
	} else {
		lua_pop(L, 1);
	}
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -3);			/* what the bytes lie in */
	lua_rawset(L, -3);
	lua_pushfstring(L, "/proc/%d/fd/%d", (int)getpid(), fd);
	lua_pushinteger(L, (lua_Integer)off);
	lua_pushinteger(L, (lua_Integer)n);
	return 3;
}
