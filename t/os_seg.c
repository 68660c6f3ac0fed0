/* os_seg.c - a segment's size cannot change, unsealed files are refused, fork does not inherit, future writes are barred */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "base/err.h"
#include "os/seg.h"

int
main(void)
{
	size_t n = 0, m = 0;
	int fd = seg_create("test", 100000), e = 1, raw, half;
	char *p, *q, *late;
	struct stat st;
	unsigned char core;

	ok(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	p = seg_map(fd, &n, true, &e);
	ok(p && n == 100000 && e == 0 && p[0] == 0 && p[99999] == 0);
	q = seg_map(fd, &m, false, &e);
	ok(q && q != p);
	p[7] = 'x';
	ok(q[7] == 'x');
	ok(ftruncate(fd, 4096) < 0 && errno == EPERM && ftruncate(fd, 200000) < 0 && errno == EPERM);

	ok(seg_seal_future(fd) == 0);
	p[8] = 'y';
	ok(q[8] == 'y');					/* who had it keeps it */
	ok(!seg_map(fd, &m, true, &e) && e == -EPERM);
	ok(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	late = seg_map(fd, &m, false, &e);
	ok(late && mprotect(late, 4096, PROT_READ | PROT_WRITE) < 0);
	seg_unmap(late, m);
	ok(write(fd, "z", 1) < 0 && errno == EPERM && seg_seal_future(fd) == -EPERM);

	if (fork() == 0)				/* mincore is ENOMEM where nothing is mapped */
		_exit(mincore((void *)((uintptr_t)p & ~(uintptr_t)4095), 4096, &core) == 0);
	ok(wait(&e) > 0 && e == 0);
	seg_unmap(p, n);
	seg_unmap(q, n);
	seg_unmap(NULL, 0);
	close(fd);

	raw = memfd_create("raw", MFD_ALLOW_SEALING);
	ok(ftruncate(raw, 4096) == 0 && !seg_map(raw, &m, false, &e) && e == ERR_LAYOUT);
	ok(fcntl(raw, F_ADD_SEALS, F_SEAL_SHRINK) == 0 && !seg_map(raw, &m, false, &e) && e == ERR_LAYOUT);
	half = memfd_create("empty", MFD_ALLOW_SEALING);
	ok(fcntl(half, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0 && !seg_map(half, &m, false, &e) && e == ERR_LAYOUT);
	ok(!seg_map(0, &m, false, &e) && e == ERR_LAYOUT && !seg_map(-1, &m, false, &e) && e == ERR_LAYOUT);
	close(raw);
	close(half);

	fd = seg_create("sparse", 1 << 20);
	p = seg_map(fd, &n, true, &e);
	ok(fstat(fd, &st) == 0 && st.st_blocks == 0);
	ok(seg_reserve(fd, 65536, 65536) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 128);
	memset(p + 65536, 1, 65536);
	ok(seg_punch(fd, 65536, 65536) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 0 && p[65536] == 0);
	ok(seg_reserve(fd, 1 << 20, 4096) < 0);			/* beyond the end: sealed */
	seg_unmap(p, n);
	close(fd);
	return tap_done();
}
