/* proc_cpus: as many as the affinity mask allows, or fewer where a cgroup above us has a quota. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/proc.h"

static int
slurp(const char *path, char *s, size_t n)	/* the file's first n - 1 bytes as a string; 0 or -errno */
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		return -errno;
	r = read(fd, s, n - 1);
	close(fd);
	if (r < 0)
		return -EIO;
	s[r] = '\0';
	return 0;
}

static int
affinity(void)
{
	size_t n;
	cpu_set_t *set;
	int count = 0;

	for (n = 1024; count == 0 && n <= 1 << 20; n *= 2) {	/* EINVAL while the kernel's mask is wider */
		if (!(set = CPU_ALLOC(n)))
			break;
		if (sched_getaffinity(0, CPU_ALLOC_SIZE(n), set) == 0)
			count = CPU_COUNT_S(CPU_ALLOC_SIZE(n), set);
		CPU_FREE(set);
	}
	if (count == 0)
		count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 ? count : 1;
}

static int
quota(const char *dir)			/* of one cgroup, version 2 or 1; INT_MAX: none */
{
	char path[PATH_MAX + 32], s[64];
	long long q = -1, period = 0, n;

	snprintf(path, sizeof path, "%s/cpu.max", dir);
	if (slurp(path, s, sizeof s) == 0) {
		if (sscanf(s, "%lld %lld", &q, &period) != 2)		/* "max 100000" */
			return INT_MAX;
	} else {
		snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
		if (slurp(path, s, sizeof s) < 0 || sscanf(s, "%lld", &q) != 1)
			return INT_MAX;
		snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
		if (slurp(path, s, sizeof s) < 0 || sscanf(s, "%lld", &period) != 1)
			return INT_MAX;
	}
	if (q <= 0 || period <= 0)
		return INT_MAX;
	n = (q + period - 1) / period;
	return n < INT_MAX ? (int)n : INT_MAX;
}

static int
up(const char *root, const char *group)	/* the least quota from group up to the root of the hierarchy */
{
	char dir[PATH_MAX];
	size_t base = strlen(root);
	int least, q;
	char *slash;

	if (snprintf(dir, sizeof dir, "%s%s", root, group) >= (int)sizeof dir)
		return INT_MAX;
	least = quota(dir);
	while ((slash = strrchr(dir + base, '/'))) {
		*slash = '\0';
		if ((q = quota(dir)) < least)
			least = q;
	}
	return least;
}

static bool
has_cpu(const char *list)			/* "cpu" among the controllers of a version 1 hierarchy */
{
	for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
		if (strcspn(list, ",") == 3 && strncmp(list, "cpu", 3) == 0)
			return true;
	return false;
}

int
proc_cpus(void)
{
	char s[8192], *line, *save, *list, *group;
	int n = affinity(), q;

	if (slurp("/proc/self/cgroup", s, sizeof s) < 0)
		return n;
	for (line = strtok_r(s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!(list = strchr(line, ':')) || !(group = strchr(list + 1, ':')))
			continue;			/* 4:cpu,cpuacct:/group, or 0::/group */
		*group++ = '\0';
		if (list[1] == '\0')
			q = up("/sys/fs/cgroup", group);
		else if (has_cpu(list + 1))
			q = up("/sys/fs/cgroup/cpu", group);
		else
			continue;
		if (q < n)
			n = q;
	}
	return n > 0 ? n : 1;
}
