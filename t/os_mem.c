/* os_mem.c - control groups of both versions, nested, in containers and absent; the machine; processes */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/mem.h"
#include "tap.h"

static char root[64];

static void
put(const char *path, const char *text)		/* makes the directories on the way */
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof full, "%s/%s", root, path);
	for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = '\0';
		mkdir(full, 0700);
		*s = '/';
	}
	if ((f = fopen(full, "w")) == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		perror(full);
}

static void
begin(void)
{
	char cmd[128];

	if (*root) {
		snprintf(cmd, sizeof cmd, "rm -rf %s", root);
		if (system(cmd) != 0)
			perror(cmd);
	}
	strcpy(root, "/tmp/os_mem.XXXXXX");
	if (!mkdtemp(root))
		perror(root);
	put("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n");
}

static void
version2(void)
{
	struct mem_groups g;
	uint64_t used, limit;

	begin();
	put("proc/self/cgroup", "0::/user/job/leaf\n");
	put("proc/self/mountinfo", "1 2 0:1 / / rw - tmpfs tmpfs rw\n31 2 0:30 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
	put("sys/fs/cgroup/user/job/leaf/memory.max", "max\n");
	put("sys/fs/cgroup/user/job/memory.max", "400000\n");
	put("sys/fs/cgroup/user/job/memory.current", "300000\n");
	put("sys/fs/cgroup/user/job/memory.stat", "anon 5\ninactive_file 20000\nslab 7\nactive_file 30000\n");
	put("sys/fs/cgroup/user/memory.max", "800000\n");
	put("sys/fs/cgroup/user/memory.current", "310000\n");
	mem_groups_find(&g, root);
	ok(g.n == 2 && strcmp(g.level[0].name, "/user/job") == 0 && strcmp(g.level[1].name, "/user") == 0);
	ok(mem_group_used(&g.level[0], &used, &limit) && used == 250000 && limit == 400000);	/* cache can be dropped */
	ok(mem_group_used(&g.level[1], &used, &limit) && used == 310000);		/* not looked at while it is far */
	put("sys/fs/cgroup/user/job/memory.max", "max\n");
	ok(!mem_group_used(&g.level[0], &used, &limit));			/* taken away meanwhile */
	mem_groups_release(&g);
	ok(g.n == 0 && mem_usable(root) == 800000);
	put("proc/self/mountinfo", "31 2 0:30 /user /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");	/* bound into a container */
	put("sys/fs/cgroup/job/memory.max", "9000\n");
	put("sys/fs/cgroup/job/memory.current", "100\n");
	mem_groups_find(&g, root);
	ok(g.n == 1 && strcmp(g.level[0].name, "/job") == 0);
	mem_groups_release(&g);
	put("proc/self/cgroup", "0::/../elsewhere\n");				/* a path out of what is mounted */
	put("sys/fs/cgroup/memory.max", "7000\n");
	put("sys/fs/cgroup/memory.current", "100\n");
	mem_groups_find(&g, root);
	ok(g.n == 1 && mem_group_used(&g.level[0], &used, &limit) && limit == 7000);
	mem_groups_release(&g);
	put("proc/self/cgroup", "0::/\n");					/* a namespace of its own */
	put("proc/self/mountinfo", "31 2 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	mem_groups_find(&g, root);
	ok(g.n == 1 && strcmp(g.level[0].name, "/") == 0);
	mem_groups_release(&g);
}

static void
version1(void)
{
	struct mem_groups g;
	uint64_t used, limit;

	begin();
	put("proc/self/cgroup", "9:pids:/x\n4:memory:/docker/abc\n0::/other\n");
	put("proc/self/mountinfo", "14 2 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n15 2 0:33 / /cg/pids rw - cgroup cgroup rw,pids\n"
	    "16 2 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
	put("cg/memory/docker/abc/memory.limit_in_bytes", "500000\n");
	put("cg/memory/docker/abc/memory.usage_in_bytes", "450000\n");
	put("cg/memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\ntotal_active_file 0\n");
	put("cg/memory/docker/memory.limit_in_bytes", "9223372036854771712\n");
	put("cg/memory/docker/memory.usage_in_bytes", "450000\n");
	mem_groups_find(&g, root);
	ok(g.n == 1 && !g.level[0].v2 && strcmp(g.level[0].name, "/docker/abc") == 0);
	ok(mem_group_used(&g.level[0], &used, &limit) && used == 400000 && limit == 500000);
	ok(mem_usable(root) == 500000);
	mem_groups_release(&g);
}

static void
none(void)
{
	struct mem_groups g;
	uint64_t used, all;

	begin();
	mem_groups_find(&g, root);
	ok(g.n == 0 && mem_usable(root) == 1024000);
	ok(mem_machine(root, &used, &all) && used == 600 * 1024 && all == 1000 * 1024);
	put("proc/meminfo", "MemTotal: 1000 kB\n");			/* as an old kernel */
	ok(!mem_machine(root, &used, &all));
	put("proc/self/cgroup", "nonsense\n::\n:\n");
	put("proc/self/mountinfo", "nonsense\n - \n1 2 3 - cgroup2\n");
	mem_groups_find(&g, root);
	ok(g.n == 0);
}

static void
real(void)
{
	static unsigned char *p;
	uint64_t used, all, was = mem_private(getpid()), kills = mem_kernel_kills();
	size_t n = 32 << 20;
	pid_t pid, v[8];
	int gate[2], fd[2], e;
	char c;

	ok(mem_machine("", &used, &all) && used < all && mem_usable("") <= all && mem_usable("") > 0);
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, n);
	ok(was > 0 && mem_private(getpid()) >= was + n - (1 << 20));
	munmap(p, n);
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, n);
	ok(mem_private(getpid()) < was + n / 2);		/* what is shared does not count */
	munmap(p, n);
	ok(mem_children(getpid(), v, 8) == 0);
	ok(pipe(gate) == 0);
	if ((pid = fork()) == 0) {
		close(gate[1]);
		_exit(read(gate[0], &c, 1) != 0);
	}
	ok(mem_children(getpid(), v, 8) == 1 && v[0] == pid && mem_private(pid) > 0);
	close(gate[1]);
	close(gate[0]);
	waitpid(pid, NULL, 0);
	ok(mem_private(pid) == 0 && mem_children(pid, v, 8) == 0);
	ok(mem_kernel_kills() >= kills);
	e = mem_trigger(fd);
	ok(e <= 0 && (e == 0) == (fd[0] >= 0));			/* not every kernel has it */
	if (e == 0) {
		mem_trigger_take(fd[0]);
		close(fd[0]);
		close(fd[1]);
	}
}

int
main(void)
{
	version2();
	version1();
	none();
	real();
	begin();
	rmdir(root);
	{
		char cmd[128];

		snprintf(cmd, sizeof cmd, "rm -rf %s", root);
		ok(system(cmd) == 0);
	}
	return tap_done();
}
