#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010	/* Linux 5.1 */
#endif

enum { SIZED = F_SEAL_SHRINK | F_SEAL_GROW };

int
seg_create(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), e;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, SIZED) == 0)
		return fd;
	e = -errno;
	close(fd);
	return e;
}

void *
seg_map(int fd, size_t *bytes, bool write, int *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	*err = ERR_LAYOUT;
	if (seals < 0 || (seals & SIZED) != SIZED)
		return NULL;			/* its size could change under us */
	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		*err = -errno;
		return NULL;
	}
	if (madvise(p, (size_t)st.st_size, MADV_DONTFORK) < 0) {
		*err = -errno;
		munmap(p, (size_t)st.st_size);
		return NULL;
	}
	*bytes = (size_t)st.st_size;
	*err = 0;
	return p;
}

void *
seg_map_twice(int fd, size_t head, size_t *bytes, int *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	size_t n;
	char *p;

	*err = ERR_LAYOUT;
	if (seals < 0 || (seals & SIZED) != SIZED || fstat(fd, &st) < 0 || (size_t)st.st_size <= head)
		return NULL;
	n = (size_t)st.st_size;
	*bytes = n;
	p = mmap(NULL, n + (n - head), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p != MAP_FAILED) {
		if (mmap(p, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
		    mmap(p + n, n - head, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)head) != MAP_FAILED &&
		    madvise(p, n + (n - head), MADV_DONTFORK) == 0) {
			*err = 0;
			return p;
		}
		*err = -errno;
		munmap(p, n + (n - head));
		return NULL;
	}
	*err = -errno;
	return NULL;
}

void
seg_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int
seg_seal_future(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0 ? -errno : 0;
}

static int
allocate(int fd, int mode, uint64_t off, uint64_t n)
{
	while (fallocate(fd, mode, (off_t)off, (off_t)n) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int
seg_reserve(int fd, uint64_t off, uint64_t n)
{
	return allocate(fd, 0, off, n);
}

int
seg_punch(int fd, uint64_t off, uint64_t n)
{
	return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, n);
}
