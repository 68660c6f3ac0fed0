/*
 * logs_dir - where the files are: log-PID in the user's directory, removed with the node; of a lasting node, log in its
 * state directory, which stays.  A lock on the directory says that its node lives.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/gcs.h"
#include "node/logs.h"

static bool
empty(int dir)				/* of files; true if it is now */
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool all = d != NULL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			all &= unlinkat(dir, e->d_name, 0) == 0;
	closedir(d);
	return all;
}

/* a locked directory, made if missing; -EWOULDBLOCK: another node's, -EPERM: another user's */
static int
claim(int at, const char *name)
{
	struct stat st, now;
	int fd, e;

	for (unsigned i = 0; i < 10; i++) {
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		if ((fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
			close(fd);
			return -EPERM;
		}
		e = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
		if (e == 0 && fstatat(at, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == now.st_ino &&
		    st.st_dev == now.st_dev)
			return fd;
		close(fd);
		if (e < 0)
			return e;		/* else a cleaner was faster: it is a new one now */
	}
	return -EAGAIN;
}

void
logs_sweep(int at)
{
	int fd = fcntl(at, F_DUPFD_CLOEXEC, 0), dir;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strncmp(e->d_name, "log-", 4) != 0 ||
		    (dir = openat(at, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
			continue;
		if (flock(dir, LOCK_EX | LOCK_NB) == 0 && empty(dir))
			unlinkat(at, e->d_name, AT_REMOVEDIR);
		close(dir);
	}
	closedir(d);
}

static bool
later(const struct logold *a, const struct logold *b)	/* by their numbers, which only rise: file times follow a clock that is set */
{
	return a->job != b->job ? a->job > b->job : a->proc > b->proc;
}

/* The files of earlier nodes are as those of workers that are gone; what is no log of ours stays. */
static void
inherit(struct logs *l)
{
	int fd = fcntl(l->dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned job, proc;
	struct logold *o;
	struct stat st;
	char end;

	if (!d && fd >= 0)
		close(fd);
	while (d) {
		struct dirent *e = readdir(d);
		struct list *at;

		if (e == NULL)
			break;
		if (sscanf(e->d_name, "%u.%u.lo%c", &job, &proc, &end) != 3 || strlen(e->d_name) >= sizeof o->name ||
		    fstatat(l->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (o = calloc(1, sizeof *o)) == NULL)
			continue;
		strcpy(o->name, e->d_name);
		o->job = job;
		o->proc = proc;
		o->bytes = (uint64_t)st.st_blocks * 512;
		for (at = l->old.prev; at != &l->old && later(list_entry(at, struct logold, link), o); at = at->prev)
			;
		list_add(at, &o->link);
		l->old_bytes += o->bytes;
		l->nold++;
	}
	if (d)
		closedir(d);
	logs_old_trim(l);
}

int
node_purge(int state)
{
	int dir, e = 0;

	if ((dir = openat(state, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return errno == ENOENT ? 0 : -errno;
	empty(dir);
	if (unlinkat(state, "log", AT_REMOVEDIR) < 0)
		e = -errno;
	close(dir);
	return e;
}

int
logs_dir_make(struct logs *l, char *why, size_t nwhy)
{
	struct node *n = l->n;
	char name[32], state[400];
	int dir = -1;

	l->total = LOGS_TOTAL_SHORT;
	if (n->o.lasting && (dir = gcs_dir(NULL, state, sizeof state, why, nwhy)) >= 0) {
		l->dir = claim(dir, "log");
		snprintf(l->path, sizeof l->path, "%s/log", state);
		close(dir);
	}
	if (dir >= 0 && l->dir >= 0) {
		l->keep = true;
		l->total = LOGS_TOTAL_LASTING;
		inherit(l);
		return 0;
	}
	snprintf(name, sizeof name, "log-%d", (int)getpid());
	snprintf(l->path, sizeof l->path, "%.470s/%s", n->dirname, name);
	if ((l->dir = claim(n->dir, name)) < 0) {
		snprintf(why, nwhy, "cannot make '%s': %s", l->path, err_str(l->dir));
		return l->dir;
	}
	empty(l->dir);				/* of a namesake that was killed */
	return 0;
}

void
logs_dir_end(struct logs *l)
{
	struct list *e;

	while ((e = list_shift(&l->old)) != NULL)
		free(list_entry(e, struct logold, link));
	if (l->dir < 0)
		return;
	if (!l->keep) {
		empty(l->dir);
		rmdir(l->path);
	}
	close(l->dir);
	l->dir = -1;
}

static void
forget(struct logs *l)
{
	struct logold *o = list_entry(list_shift(&l->old), struct logold, link);

	unlinkat(l->dir, o->name, 0);
	l->old_bytes -= o->bytes;
	l->nold--;
	free(o);
}

void
logs_old_trim(struct logs *l)
{
	while (l->nold && (l->nold > LOGS_OLD || l->old_bytes > l->total / 3))
		forget(l);
}

void
logs_old_add(struct logs *l, const struct logfile *f, uint64_t bytes)
{
	struct logold *o = bytes ? calloc(1, sizeof *o) : NULL;
	char name[32];

	snprintf(name, sizeof name, "%u.%u.log", (unsigned)f->job, (unsigned)f->proc);
	if (o == NULL) {			/* it said nothing */
		unlinkat(l->dir, name, 0);
		return;
	}
	memcpy(o->name, name, sizeof name);
	o->bytes = bytes;
	list_add_tail(&l->old, &o->link);
	l->old_bytes += bytes;
	l->nold++;
	logs_old_trim(l);
}
