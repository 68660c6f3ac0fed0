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

static int
not_ours(int fd, int e, const char *name, const char *why)
{
	char text[300];

	snprintf(text, sizeof text, "'%s'%s", name, why);
	if (fd == e && strcmp(dir_why(), text) == 0)
		return 1;
	printf("# %d: %s\n# wanted: %s\n", fd, dir_why(), text);
	if (fd >= 0)
		close(fd);
	return 0;
}

/* a directory that others may read, and what may lie in it in the place of a file */
static void
files(const char *tmp)
{
	char d[100], f[120];
	int dir = -1, fd;

	snprintf(d, sizeof d, "%s/files", tmp);
	snprintf(f, sizeof f, "%s/f", d);
	ok(dir_own(d) == -ENOENT);
	ok(mkdir(d, 0755) == 0 && (dir = dir_own(d)) >= 0 && (fcntl(dir, F_GETFD) & FD_CLOEXEC));
	ok((fd = dir_file(dir, d, "f", O_RDWR | O_CREAT)) >= 0 && !*dir_why());
	close(fd);
	chmod(f, 0660);
	ok(not_ours(dir_file(dir, d, "f", O_RDWR), -EACCES, f, " has mode 0660: others may write to it"));
	chmod(f, 0644);
	if (geteuid() == 0) {
		ok(chown(f, 33, 33) == 0 && not_ours(dir_file(dir, d, "f", O_RDWR), -EPERM, f, " belongs to uid 33"));
		ok(chown(d, 33, 33) == 0 && not_ours(dir_own(d), -EPERM, d, " belongs to uid 33") && chown(d, 0, 0) == 0);
	}
	unlink(f);
	ok(symlink("g", f) == 0 && not_ours(dir_file(dir, d, "f", O_RDWR | O_CREAT), -ELOOP, f, " is a symbolic link"));
	unlink(f);
	ok(mkfifo(f, 0600) == 0 && not_ours(dir_file(dir, d, "f", O_RDWR), -EINVAL, f, " is no regular file"));
	ok(not_ours(dir_file(dir, d, "f", O_RDONLY), -EINVAL, f, " is no regular file"));	/* nobody is waited for */
	unlink(f);
	ok(mkdir(f, 0700) == 0 && not_ours(dir_file(dir, d, "f", O_RDONLY), -EISDIR, f, " is no regular file"));
	rmdir(f);
	chmod(d, 0777);
	ok(not_ours(dir_own(d), -EACCES, d, " has mode 0777: others may write there"));
	rmdir(d);
	close(dir);
	ok(symlink("..", d) == 0 && not_ours(dir_own(d), -ELOOP, d, " is a symbolic link"));
	unlink(d);
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

	files(tmp);

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
