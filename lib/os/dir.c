#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "os/dir.h"

static _Thread_local char why[512];

/* The name; -ENAMETOOLONG. */
static int
choose(char *path, size_t n)
{
	const char *own = getenv("ROTA_DIR"), *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int len;

	if (own && *own)
		len = snprintf(path, n, "%s", own);
	else if (run && *run && stat(run, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
		len = snprintf(path, n, "%s/rota", run);	/* su keeps another user's: that one is no use */
	else
		len = snprintf(path, n, "/tmp/rota-%u", (unsigned)geteuid());
	return len >= (int)n ? -ENAMETOOLONG : 0;
}

/* ours, and its mode under mask is want */
static int
check(int fd, const char *path, mode_t mask, mode_t want, const char *expected)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int e = -errno;

		snprintf(why, sizeof why, "cannot look at '%.400s': %s", path, err_str(e));
		return e;
	}
	if (st.st_uid != geteuid()) {
		snprintf(why, sizeof why, "'%.400s' belongs to uid %u", path, (unsigned)st.st_uid);
		return -EPERM;
	}
	if ((st.st_mode & mask) != want) {
		snprintf(why, sizeof why, "'%.400s' has mode %04o%s", path, (unsigned)st.st_mode & 07777, expected);
		return -EACCES;
	}
	return 0;
}

static int
no_dir(const char *path, int e)		/* why it could not be opened as one */
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
		snprintf(why, sizeof why, "'%.400s' is a symbolic link", path);
		return -ELOOP;			/* with O_DIRECTORY the kernel says ENOTDIR */
	}
	snprintf(why, sizeof why, e == -ENOTDIR ? "'%.400s' is no directory" : "cannot open '%.400s': %s", path, err_str(e));
	return e;
}

int
dir_own(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), e;

	why[0] = '\0';
	if (fd < 0)
		return no_dir(path, -errno);
	if ((e = check(fd, path, 022, 0, ": others may write there")) < 0)
		close(fd);
	return e < 0 ? e : fd;
}

int
dir_file(int dir, const char *path, const char *name, int flags)
{
	char file[400];
	struct stat st;
	int fd, e = 0;

	why[0] = '\0';
	snprintf(file, sizeof file, "%.300s/%.90s", path, name);
	if ((fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600)) < 0) {
		e = -errno;
		if (e == -ELOOP)
			snprintf(why, sizeof why, "'%s' is a symbolic link", file);
		else
			snprintf(why, sizeof why, "cannot open '%s': %s", file, err_str(e));
		return e;
	}
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		snprintf(why, sizeof why, "'%s' is no regular file", file);
		e = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	} else {
		e = check(fd, file, 022, 0, ": others may write to it");
	}
	if (e < 0)
		close(fd);
	return e < 0 ? e : fd;
}

int
dir_open(char *path, size_t n)
{
	int fd, e;

	why[0] = '\0';
	if ((e = choose(path, n)) < 0) {
		snprintf(why, sizeof why, "'%.400s...' is too long a name", path);
		return e;
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		e = -errno;
		snprintf(why, sizeof why, "cannot create '%.400s': %s", path, err_str(e));
		return e;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return no_dir(path, -errno);
	if ((e = check(fd, path, 07777, 0700, ", expected 0700")) < 0)
		close(fd);
	return e < 0 ? e : fd;
}

static bool
is_node(const char *name)
{
	size_t n = strlen(name);

	return strcmp(name, DIR_LOCAL) == 0 || strcmp(name, DIR_SHARED) == 0 ||
	    (strncmp(name, "own-", 4) == 0 && n > 5 && strcmp(name + n - 5, ".sock") == 0);
}

int
dir_nodes(void (*one)(void *arg, const char *address), void *arg)
{
	char path[512], address[1024];
	int e, fd = dir_open(path, sizeof path);
	DIR *d;

	if (fd < 0)
		return fd;
	if ((d = fdopendir(fd)) == NULL) {
		e = -errno;
		snprintf(why, sizeof why, "cannot read '%.400s': %s", path, err_str(e));
		close(fd);
		return e;
	}
	for (struct dirent *de; (de = readdir(d)) != NULL;)
		if (is_node(de->d_name)) {
			snprintf(address, sizeof address, "unix:%s/%s", path, de->d_name);
			one(arg, address);
		}
	closedir(d);
	return 0;
}

const char *
dir_why(void)
{
	return why;
}
