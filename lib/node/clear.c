/* clear - what nodes leave in the user's directory that were killed with their keepers: sockets and files of nobody. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "node/logs.h"
#include "os/dir.h"
#include "os/sock.h"

static int
lock_of(int dir, const char *name)		/* held, or -1: somebody has it, who starts a node or is one */
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void
socket_clear(int dir, const char *name)
{
	int fd = sock_connect(dir, name);

	if (fd >= 0)
		close(fd);
	else if (fd == -ECONNREFUSED)
		unlinkat(dir, name, 0);
}

static void
rest(int dir)
{
	logs_sweep(dir);
	unlinkat(dir, "spill", AT_REMOVEDIR);
}

void
node_clear(struct node_opts *o)
{
	char path[512];
	int dir, lock = -1;

	if (o->heir.listen >= 0)
		close(o->heir.listen);
	o->heir.listen = -1;
	if ((dir = dir_open(path, sizeof path)) < 0)
		return;
	if (o->lasting || (lock = lock_of(dir, NODE_LOCK)) >= 0) {	/* else somebody starts a node just now, and sees to it himself */
		socket_clear(dir, o->socket);
		rest(dir);
	}
	unlock(lock);
	close(dir);
}

/* own-PID.sock of a program that is dead: nobody else makes it */
static bool
is_deserted(const char *name)
{
	char *end;
	long pid;

	if (strncmp(name, "own-", 4) != 0)
		return false;
	pid = strtol(name + 4, &end, 10);
	return pid > 1 && strcmp(end, ".sock") == 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void
node_sweep(void)
{
	char path[512];
	int dir = dir_open(path, sizeof path), copy, shared, lasting;
	DIR *d;

	if (dir < 0)
		return;
	if ((shared = lock_of(dir, NODE_LOCK)) >= 0)
		socket_clear(dir, DIR_SHARED);
	if ((lasting = lock_of(dir, DIR_LOCAL ".lock")) >= 0) {
		socket_clear(dir, DIR_LOCAL);
		socket_clear(dir, NODE_GCS);
	}
	if ((copy = dup(dir)) >= 0 && (d = fdopendir(copy)) != NULL) {
		for (struct dirent *de; (de = readdir(d)) != NULL;)
			if (is_deserted(de->d_name))
				socket_clear(dir, de->d_name);
		closedir(d);
	} else if (copy >= 0)
		close(copy);
	rest(dir);
	unlock(shared);
	unlock(lasting);
	close(dir);
}
