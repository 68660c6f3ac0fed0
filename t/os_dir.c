/* os_dir.c - where ROTA_DIR is, and that another's, an open, a linked or a false one is refused with its reason */
#include <errno.h>
#include <fcntl.h>
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

int
main(void)
{
	char tmp[] = "/tmp/os_dir.XXXXXX", own[100], want[300], longest[5000];

	ok(mkdtemp(tmp) != NULL);
	snprintf(own, sizeof own, "%s/own", tmp);
	setenv("XDG_RUNTIME_DIR", tmp, 1);
	setenv("ROTA_DIR", own, 1);
	ok(opens() && strcmp(path, own) == 0 && opens());

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
