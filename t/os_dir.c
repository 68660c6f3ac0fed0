/* os_dir.c - where ROTA_DIR is, and that another's, an open, a linked or a false one is refused with its reason; which files are sockets of nodes */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tap.h"
#include "os/dir.h"

static char path[4096];

static int
opens(void)
{
	struct stat st;
	int fd = dir_open(path, sizeof path), good;

	good = fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0700 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) && !*dir_why();
	close(fd);
	return good;
}

static int
refuses(int e, const char *why)
{
	int r = dir_open(path, sizeof path);

	if (r == e && strcmp(dir_why(), why) == 0)
		return 1;
	printf("# %d: %s\n# wanted: %s\n", r, dir_why(), why);
	return 0;
}

static void
on_node(void *arg, const char *address)
{
	const char *name = strrchr(address, '/');
	bool begins = strncmp(address, "unix:", 5) == 0 && strncmp(address + 5, path, strlen(path)) == 0;

	*(unsigned *)arg += !begins ? 1000 : strcmp(name, "/local.sock") == 0 ? 1 : strcmp(name, "/shared.sock") == 0 ? 10 :
	    strcmp(name, "/own-12.sock") == 0 ? 100 : 1000;
}

/* the sockets of nodes, and nothing else that may lie there */
static int
names_nodes(const char *dir)
{
	static const char *const names[] = { "local.sock", "shared.sock", "own-12.sock", "gcs.sock", "lock", "own-12.log", "own-" };
	unsigned seen = 0;
	int e = 0;

	for (int make = 1; make >= 0; make--) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			char file[300];

			snprintf(file, sizeof file, "%s/%s", dir, names[i]);
			if (make)
				close(open(file, O_CREAT | O_WRONLY, 0600));
			else
				unlink(file);
		}
		if (make)
			e = dir_nodes(on_node, &seen);
	}
	if (e != 0 || seen != 111)
		printf("# dir_nodes: %d, %u\n", e, seen);
	return e == 0 && seen == 111;
}

int
main(void)
{
	char tmp[] = "/tmp/os_dir.XXXXXX", own[100], want[300], longest[5000];

	ok(mkdtemp(tmp) != NULL);
	snprintf(own, sizeof own, "%s/own", tmp);
	setenv("XDG_RUNTIME_DIR", tmp, 1);
	setenv("ROTA_DIR", own, 1);
	ok(opens() && strcmp(path, own) == 0 && opens());
	ok(names_nodes(own));

	chmod(own, 0755);
	snprintf(want, sizeof want, "'%s' has mode 0755, expected 0700", own);
	ok(refuses(-EACCES, want));
	chmod(own, 0700);
	if (geteuid() == 0) {
		ok(chown(own, 33, 33) == 0);
		snprintf(want, sizeof want, "'%s' belongs to uid 33", own);
		ok(refuses(-EPERM, want));
	}
	rmdir(own);
	ok(symlink(tmp, own) == 0);
	snprintf(want, sizeof want, "'%s' is a symbolic link", own);
	ok(refuses(-ELOOP, want));
	unlink(own);
	close(open(own, O_CREAT | O_WRONLY, 0600));
	snprintf(want, sizeof want, "'%s' is no directory", own);
	ok(refuses(-ENOTDIR, want));
	unlink(own);
	setenv("ROTA_DIR", "/nonexistent/rota", 1);
	ok(refuses(-ENOENT, "cannot create '/nonexistent/rota': No such file or directory"));
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	setenv("ROTA_DIR", longest, 1);
	ok(dir_open(path, sizeof path) == -ENAMETOOLONG && strlen(dir_why()) > 400);

	unsetenv("ROTA_DIR");
	snprintf(want, sizeof want, "%s/rota", tmp);
	ok(opens() && strcmp(path, want) == 0);
	rmdir(path);
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);		/* no session: as if unset */
	snprintf(want, sizeof want, "/tmp/rota-%u", (unsigned)geteuid());
	dir_open(path, sizeof path);
	ok(strcmp(path, want) == 0);
	rmdir(path);						/* only if nothing is in it */
	ok(rmdir(tmp) == 0);
	return tap_done();
}
