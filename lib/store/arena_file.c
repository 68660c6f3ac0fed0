/*
 * arena_file.c - the arena's file: an unnamed one on a tmpfs with huge pages if the kernel lets us, else a memfd.
 *
 * With 4K pages each process that meets a gigabyte takes 262,144 faults; with huge pages 512.  memfds get huge
 * pages only where the administrator said so, but a tmpfs of our own says so itself ("huge=advise"), and a user
 * namespace lets anybody make one.  A child makes the namespace, the mount and the file, passes us the descriptor
 * and is gone; the mount, which nobody else can reach, lives as long as the file is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/fd.h"
#include "os/seg.h"
#include "store/arena_own.h"

static void
write_text(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, s, strlen(s)) < 0)
		errno = 0;		/* fsopen will fail then, which is looked at */
	close(fd);
}

static void
map_id(const char *path, unsigned id)
{
	char s[32];

	snprintf(s, sizeof s, "0 %u 1", id);
	write_text(path, s);
}

static int
tmpfs_file(uint64_t bytes)	/* in the child */
{
	unsigned uid = geteuid(), gid = getegid();
	int fs, mount;
	char size[32];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -1;
	write_text("/proc/self/setgroups", "deny");
	map_id("/proc/self/uid_map", uid);
	map_id("/proc/self/gid_map", gid);
	snprintf(size, sizeof size, "%" PRIu64, bytes + ARENA_HUGE);
	if ((fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "huge", "advise", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return mount < 0 ? -1 : openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int
huge_file(uint64_t bytes)	/* a descriptor or -1 */
{
	int sock[2], fd = -1, nfd = 1;
	char c;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return -1;
	if ((pid = fork()) == 0) {
		if ((fd = tmpfs_file(bytes)) >= 0)
			fd_send(sock[1], "", 1, &fd, 1);
		_exit(0);
	}
	close(sock[1]);
	if (pid < 0 || fd_recv(sock[0], &c, 1, &fd, &nfd) != 1 || nfd != 1)
		fd = -1;
	close(sock[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
own_file(uint64_t bytes)
{
	int fd = huge_file(bytes);

	return fd >= 0 ? fd : seg_create("rota-arena", bytes);
}
