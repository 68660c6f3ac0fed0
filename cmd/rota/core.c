/* core - keys, files and what there is to know of this build: see core.h */
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/err.h"
#include "base/hash.h"
#include "base/version.h"
#include "core.h"
#include "os/fd.h"
#include "os/key.h"
#include "rota.h"

static int
fail(lua_State *L, int e, const char *what, const char *path)
{
	lua_pushnil(L);
	lua_pushfstring(L, "cannot %s '%s': %s", what, path, err_str(e));
	return 2;
}

static int
core_key(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	char why[PATH_MAX + 200];
	struct keys k = { 0 };
	int e = keys_read(&k, path, why, sizeof why);

	if (e == -ENOENT && lua_toboolean(L, 2)) {
		k.n = 1;
		if ((e = key_new(&k.key[0])) < 0)
			snprintf(why, sizeof why, "cannot make a key: %s", err_str(e));
		else if ((e = keys_write(&k, path, 1, why, sizeof why)) == -EEXIST)
			e = keys_read(&k, path, why, sizeof why);	/* another one was faster */
	}
	if (e < 0) {
		lua_pushnil(L);
		lua_pushstring(L, why);
		return 2;
	}
	lua_pushstring(L, k.key[0].id);
	lua_pushinteger(L, k.n);
	keys_wipe(&k);
	return 2;
}

static void
age(struct keys *k, lua_Integer until)		/* the last one is the first from now on, the others end then, or sooner */
{
	struct key last = k->key[k->n - 1];

	memmove(&k->key[1], &k->key[0], (k->n - 1) * sizeof k->key[0]);
	memmove(&k->until[1], &k->until[0], (k->n - 1) * sizeof k->until[0]);
	k->key[0] = last;
	k->until[0] = 0;
	for (unsigned i = 1; i < k->n; i++)
		if (k->until[i] == 0 || k->until[i] > until)
			k->until[i] = (uint32_t)until;
}

static int
core_rotate(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	lua_Integer until = luaL_optinteger(L, 2, 0);
	char why[PATH_MAX + 200], id[KEY_ID];
	struct keys k = { 0 };
	int e = keys_read(&k, path, why, sizeof why);

	if (e == 0) {
		if (until) {
			age(&k, until);
		} else {
			k.n -= k.n == KEYS_MAX;
			if ((e = key_new(&k.key[k.n])) < 0)
				snprintf(why, sizeof why, "cannot make a key: %s", err_str(e));
			k.until[k.n++] = 0;
		}
		if (e == 0)
			e = keys_write(&k, path, 0, why, sizeof why);
		memcpy(id, k.key[until ? 0 : k.n - 1].id, sizeof id);
	}
	keys_wipe(&k);
	if (e < 0)
		lua_pushnil(L);
	lua_pushstring(L, e < 0 ? why : id);
	return e < 0 ? 2 : 1;
}

static int
make_directories(const char *path)	/* that of the file at path: 0 or -errno */
{
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir)
		return -ENAMETOOLONG;
	for (char *s = dir + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	return 0;
}

static int
core_write(lua_State *L)
{
	size_t n;
	const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &n);
	char part[PATH_MAX];
	int e = make_directories(path), fd;

	if (e < 0)
		return fail(L, e, "make the directory of", path);
	if (snprintf(part, sizeof part, "%s.%d", path, (int)getpid()) >= (int)sizeof part)
		return fail(L, -ENAMETOOLONG, "write", path);
	if ((fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
		return fail(L, -errno, "write", path);
	e = fd_write_all(fd, text, n);
	if (e == 0 && fsync(fd) < 0)
		e = -errno;
	close(fd);
	if (e == 0 && rename(part, path) < 0)
		e = -errno;
	if (e < 0) {
		unlink(part);
		return fail(L, e, "write", path);
	}
	lua_pushboolean(L, 1);
	return 1;
}

static int
core_lock(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	int how = LOCK_EX | (lua_toboolean(L, 2) ? LOCK_NB : 0), e, fd;
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/", dir) >= (int)sizeof path)
		return fail(L, -ENAMETOOLONG, "open", dir);
	if ((e = make_directories(path)) < 0)
		return fail(L, e, "make", dir);
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return fail(L, -errno, "lock", dir);
	if (flock(fd, how) < 0) {
		e = -errno;
		close(fd);
		return fail(L, e, "lock", dir);
	}
	lua_pushinteger(L, fd);
	return 1;
}

static int
core_unlock(lua_State *L)
{
	close((int)luaL_checkinteger(L, 1));
	return 0;
}

static int
hash_file(const char *path, uint64_t *h)	/* h goes on: 0 or -errno */
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), e = 0;
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0) {
		e = -errno;
	} else if (st.st_size) {
		if ((p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
			e = -errno;
		else {
			*h = hash_mix(*h) ^ hash64(p, (size_t)st.st_size);
			munmap(p, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return e;
}

static int
core_hash(lua_State *L)
{
	uint64_t h = 0;
	char text[20];

	luaL_checktype(L, 1, LUA_TTABLE);
	for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
		const char *path = lua_tostring(L, -1), *tab = strrchr(path, '\t');
		char file[PATH_MAX];
		int e;

		snprintf(file, sizeof file, "%.*s", (int)(tab ? tab - path : (ptrdiff_t)strlen(path)), path);
		if (tab)
			h = hash_mix(h) ^ hash64(tab + 1, strlen(tab + 1));
		if ((e = hash_file(file, &h)) < 0)
			return fail(L, e, "read", file);
		lua_pop(L, 1);
	}
	snprintf(text, sizeof text, "%016" PRIx64, h);
	lua_pushstring(L, text);
	return 1;
}

static int
core_self(lua_State *L)
{
	char path[PATH_MAX];
	struct utsname u;

	prefix(path, sizeof path);
	uname(&u);
	lua_createtable(L, 0, 5);
	lua_pushstring(L, path);
	lua_setfield(L, -2, "prefix");
	lua_pushstring(L, ROTA_VERSION);
	lua_setfield(L, -2, "version");
	lua_pushstring(L, gnu_get_libc_version());
	lua_setfield(L, -2, "glibc");
	lua_pushstring(L, u.machine);
	lua_setfield(L, -2, "arch");
	lua_pushstring(L, u.nodename);
	lua_setfield(L, -2, "host");
	lua_pushinteger(L, (lua_Integer)geteuid());
	lua_setfield(L, -2, "uid");
	return 1;
}

int
luaopen_rota_up_core(lua_State *L)
{
	static const luaL_Reg f[] = {
		{ "run", core_run }, { "key", core_key }, { "rotate", core_rotate }, { "write", core_write }, { "lock", core_lock }, { "unlock", core_unlock },
		{ "hash", core_hash }, { "self", core_self }, { "begin", core_begin }, { "turn", core_turn }, { "done", core_done },
		{ "scale", core_scale }, { "now", core_now }, { "wall", core_wall }, { NULL, NULL }
	};

	luaL_newlib(L, f);
	return 1;
}
