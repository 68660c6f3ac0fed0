#include <errno.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include "client/serve.h"
#include "script/output.h"

static struct client *client;			/* NULL in the process that forks workers */
static _Atomic bool within, cut;		/* what was written ends within a line; and the rest of that is lost */

static void
lost(size_t n, int error)
{
	cut = within;
	if (client)
		serve_lost_print(client, n, error);
}

static ssize_t
put(void *cookie, const char *p, size_t n)
{
	int fd = *(const int *)cookie;
	size_t left = n;

	if (cut) {			/* what comes next is a line of its own */
		if (write(fd, "\n", 1) != 1) {
			lost(n, errno);
			return (ssize_t)n;
		}
		within = cut = false;
	}
	if (client)
		serve_prints(client, n);
	while (left) {
		ssize_t k = write(fd, p, left);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			lost(left, k < 0 ? errno : EIO);
			break;
		}
		p += k;
		within = p[-1] != '\n';
		left -= (size_t)k;
	}
	return (ssize_t)n;		/* a task does not fail because nobody can read what it says */
}

static FILE *
stream(const int *fd)
{
	FILE *f = fopencookie((void *)(uintptr_t)fd, "w", (cookie_io_functions_t){ .write = put });

	if (f)
		setvbuf(f, NULL, _IOLBF, BUFSIZ);
	return f;
}

int
output_open(void)
{
	static const int fd[2] = { STDOUT_FILENO, STDERR_FILENO };
	FILE *out = stream(&fd[0]), *err = stream(&fd[1]);

	if (!out || !err)
		return -ENOMEM;
	fflush(stdout);
	stdout = out;
	stderr = err;
	return 0;
}

void
output_attach(struct client *c)
{
	client = c;
}

static int
before(lua_State *L)				/* the function that it stands for is its upvalue */
{
	serve_flush();
	if (client)
		serve_prints(client, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

static void
wrap(lua_State *L, const char *table, const char *name)
{
	lua_getglobal(L, table);
	lua_getfield(L, -1, name);
	lua_pushcclosure(L, before, 1);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

void
output_programs(lua_State *L)
{
	wrap(L, "os", "execute");
	wrap(L, "io", "popen");
}
