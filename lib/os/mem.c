#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "os/mem.h"

/* --- files of the kernel --------------------------------------------------------------------------------------- */

static FILE *
open_at(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path ? fopen(path, "re") : NULL;
}

/* a file that is one number; "max" is none */
static bool
number(const char *dir, const char *name, uint64_t *v)
{
	FILE *f = open_at(dir, name);
	unsigned long long u;
	bool good = f && fscanf(f, "%llu", &u) == 1;

	if (f)
		fclose(f);
	if (good)
		*v = u;
	return good;
}

/* of lines "key value", or "key: value kB": the values of the keys, 0 for those that are missing; true if all were there */
static bool
values(FILE *f, const char *const *key, uint64_t *v, unsigned n)
{
	char line[256], name[64];
	unsigned long long u;
	unsigned found = 0;

	memset(v, 0, n * sizeof *v);
	if (!f)
		return false;
	while (found < n && fgets(line, sizeof line, f)) {
		size_t k;

		if (sscanf(line, "%63s %llu", name, &u) != 2)
			continue;
		k = strlen(name);
		if (name[k - 1] == ':') {
			name[k - 1] = '\0';
			u *= 1024;
		}
		for (unsigned i = 0; i < n; i++)
			if (strcmp(name, key[i]) == 0) {
				v[i] = u;
				found++;
			}
	}
	fclose(f);
	return found == n;
}

/* --- the machine and its groups -------------------------------------------------------------------------------- */

bool
mem_machine(const char *root, uint64_t *used, uint64_t *all)
{
	static const char *const key[] = { "MemTotal", "MemAvailable" };
	uint64_t v[2];

	if (!values(open_at(root, "proc/meminfo"), key, v, 2) || v[1] > v[0])
		return false;
	*all = v[0];
	*used = v[0] - v[1];
	return true;
}

bool
mem_group_used(const struct mem_group *g, uint64_t *used, uint64_t *limit)
{
	static const char *const key2[] = { "inactive_file", "active_file" };
	static const char *const key1[] = { "total_inactive_file", "total_active_file" };
	uint64_t v[2], cache;

	if (!number(g->dir, g->v2 ? "memory.max" : "memory.limit_in_bytes", limit) || *limit >= UINT64_C(1) << 60 ||
	    !number(g->dir, g->v2 ? "memory.current" : "memory.usage_in_bytes", used))
		return false;
	if (*used > *limit / 2) {		/* adding these up costs the kernel something */
		values(open_at(g->dir, "memory.stat"), g->v2 ? key2 : key1, v, 2);
		cache = v[0] + v[1];
		*used = *used > cache ? *used - cache : 0;
	}
	return true;
}

/* the levels from "where" below "mount" (of which root_of is the top) up to the mount */
static void
levels(struct mem_groups *g, const char *mount, const char *top, const char *where, bool v2)
{
	size_t nt = strcmp(top, "/") == 0 ? 0 : strlen(top);
	char dir[PATH_MAX];
	uint64_t used, limit;
	const char *rel = where;

	if (nt && strncmp(where, top, nt) == 0 && (where[nt] == '/' || where[nt] == '\0'))
		rel = where + nt;
	else if (nt)
		rel = "";			/* of another view: what we see of it is ours */
	if (snprintf(dir, sizeof dir, "%s%s", mount, strcmp(rel, "/") == 0 ? "" : rel) >= (int)sizeof dir)
		return;
	for (size_t min = strlen(mount), len = strlen(dir); g->n < MEM_LEVELS; len = strlen(dir)) {
		struct mem_group *l = &g->level[g->n];

		*l = (struct mem_group){ .dir = strdup(dir), .v2 = v2 };
		snprintf(l->name, sizeof l->name, "%.120s", len > min ? dir + min : "/");
		if (l->dir && mem_group_used(l, &used, &limit))
			g->n++;
		else
			free(l->dir);
		if (len <= min)
			break;
		while (len > min && dir[len] != '/')
			len--;
		dir[len] = '\0';
	}
}

/* our path in the hierarchy: version 2 ("0::PATH"), or 1 ("N:…memory…:PATH") */
static bool
our_path(const char *root, bool v2, char path[PATH_MAX])
{
	FILE *f = open_at(root, "proc/self/cgroup");
	char line[PATH_MAX + 128], *c, *p;
	bool got = false;

	while (f && !got && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if ((c = strchr(line, ':')) == NULL || (p = strchr(++c, ':')) == NULL)
			continue;
		*p++ = '\0';
		got = v2 ? *c == '\0' : strstr(c, "memory") != NULL;
		if (got)
			snprintf(path, PATH_MAX, "%s", p);
	}
	if (f)
		fclose(f);
	return got;
}

void
mem_groups_find(struct mem_groups *g, const char *root)
{
	FILE *f = open_at(root, "proc/self/mountinfo");
	char line[2 * PATH_MAX], top[PATH_MAX], at[PATH_MAX], mount[PATH_MAX], path[PATH_MAX], type[32], options[512];

	memset(g, 0, sizeof *g);
	while (f && fgets(line, sizeof line, f)) {
		char *dash = strstr(line, " - ");
		bool v2;

		if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s", top, at) != 2 ||
		    sscanf(dash + 3, "%31s %*s %511s", type, options) != 2)
			continue;
		v2 = strcmp(type, "cgroup2") == 0;
		if ((!v2 && (strcmp(type, "cgroup") != 0 || !strstr(options, "memory"))) || !our_path(root, v2, path) ||
		    snprintf(mount, sizeof mount, "%s%s", root, at) >= (int)sizeof mount)
			continue;
		levels(g, mount, top, path, v2);
	}
	if (f)
		fclose(f);
}

void
mem_groups_release(struct mem_groups *g)
{
	while (g->n)
		free(g->level[--g->n].dir);
}

uint64_t
mem_usable(const char *root)
{
	struct mem_groups g;
	uint64_t used, limit, all = 0;

	if (!mem_machine(root, &used, &all))
		all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	mem_groups_find(&g, root);
	for (unsigned i = 0; i < g.n; i++)
		if (mem_group_used(&g.level[i], &used, &limit) && limit < all)
			all = limit;
	mem_groups_release(&g);
	return all;
}

/* --- processes ------------------------------------------------------------------------------------------------- */

uint64_t
mem_private(pid_t pid)
{
	static const char *const key[] = { "RssAnon", "VmSwap" };
	char dir[32];
	uint64_t v[2];

	snprintf(dir, sizeof dir, "/proc/%d", (int)pid);
	values(open_at(dir, "status"), key, v, 2);
	return v[0] + v[1];
}

static unsigned
children_of(const char *task, const char *tid, pid_t *v, unsigned n)
{
	char name[300];
	unsigned k = 0;
	FILE *f;
	int c;

	snprintf(name, sizeof name, "%s/children", tid);
	if ((f = open_at(task, name)) == NULL)
		return 0;
	while (k < n && fscanf(f, "%d", &c) == 1)
		v[k++] = (pid_t)c;
	fclose(f);
	return k;
}

unsigned
mem_children(pid_t pid, pid_t *v, unsigned n)
{
	char task[40];
	struct dirent *e;
	unsigned k = 0;
	DIR *d;

	snprintf(task, sizeof task, "/proc/%d/task", (int)pid);
	if ((d = opendir(task)) == NULL)
		return 0;
	while (k < n && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			k += children_of(task, e->d_name, v + k, n - k);
	closedir(d);
	return k;
}

uint64_t
mem_kernel_kills(void)
{
	static const char *const key[] = { "oom_kill" };
	uint64_t v[1];

	values(fopen("/proc/vmstat", "re"), key, v, 1);
	return v[0];
}

int
mem_trigger(int fd[2])
{
	static const char what[] = "some 150000 2000000";	/* us; a window of 2 s needs no privilege */
	struct epoll_event ev = { .events = EPOLLPRI };
	int e;

	fd[0] = -1;
	if ((fd[1] = open("/proc/pressure/memory", O_RDWR | O_CLOEXEC | O_NONBLOCK)) < 0)
		return -errno;
	if (write(fd[1], what, sizeof what) < 0 || (fd[0] = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
	    epoll_ctl(fd[0], EPOLL_CTL_ADD, fd[1], &ev) < 0) {
		e = -errno;
		close(fd[1]);
		if (fd[0] >= 0)
			close(fd[0]);
		fd[0] = fd[1] = -1;
		return e;
	}
	return 0;
}

void
mem_trigger_take(int fd)
{
	struct epoll_event ev;

	(void)!epoll_wait(fd, &ev, 1, 0);	/* that it looks is enough */
}
