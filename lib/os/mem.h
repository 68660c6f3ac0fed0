/*
 * mem - what memory is used, and of how much: this machine, the control groups that we are in, single processes; and a
 * descriptor that tells when it runs short.
 *
 * Control groups are read as they are found, version 2 or 1, mounted anywhere, in a container or not: each level from
 * ours to the top that has a limit.  Page cache that can be dropped does not count as used.  A file that cannot be read
 * is as none.
 */
#ifndef OS_MEM_H
#define OS_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MEM_LEVELS 8u			/* control groups with a limit that are looked at; further ones are not */

struct mem_group {
	char *dir;			/* owned: where its files lie */
	char name[128];			/* as /proc/self/cgroup has it, cut */
	bool v2;
};

struct mem_groups {
	struct mem_group level[MEM_LEVELS];	/* ours first */
	unsigned n;
};

/* root goes before "/proc" and "/sys": "" for the real ones.  Finds the levels that have a limit now. */
void	mem_groups_find(struct mem_groups *g, const char *root);
void	mem_groups_release(struct mem_groups *g);
bool	mem_group_used(const struct mem_group *g, uint64_t *used, uint64_t *limit);	/* false: it has no limit any more */
bool	mem_machine(const char *root, uint64_t *used, uint64_t *all);	/* MemTotal less MemAvailable, MemTotal */
uint64_t mem_usable(const char *root);	/* RAM, or the least limit above us; 0 if even that cannot be read */

uint64_t mem_private(pid_t pid);	/* resident and swapped bytes that are its own: no files, no shared memory; 0 if gone */
/* pids of its children, at most n; how many */
unsigned mem_children(pid_t pid, pid_t *v, unsigned n);
uint64_t mem_kernel_kills(void);	/* how many processes the kernel has killed for memory since boot */
/*
 * fd[0] is readable each time that processes waited for memory for 150 ms of 2 s, until mem_trigger_take; fd[1] only
 * stays open with it.  0, or -errno where the kernel tells no such thing.  Costs nothing while nothing waits.
 */
int	mem_trigger(int fd[2]);
void	mem_trigger_take(int fd);

#endif
