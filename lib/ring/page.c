#include <errno.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "ring/bell.h"
#include "ring/page.h"

/* a segment of size bytes that starts with head; written, not mapped: the maker may never look at it again */
static int
create(const char *name, size_t size, const void *head, size_t n)
{
	int fd = seg_create(name, size), e;

	if (fd < 0)
		return fd;
	if (pwrite(fd, head, n, 0) == (ssize_t)n)
		return fd;
	e = errno ? -errno : -EIO;
	close(fd);
	return e;
}

/* both kinds of page start with magic and layout */
static void *
map(int fd, size_t size, uint32_t magic, uint32_t layout, bool write, int *err)
{
	size_t n;
	uint32_t *p = seg_map(fd, &n, write, err);

	if (p == NULL)
		return NULL;
	if (n == size && p[0] == magic && p[1] == layout)
		return p;
	seg_unmap(p, n);
	*err = ERR_LAYOUT;
	return NULL;
}

int
page_create(const char *name, uint32_t node, uint32_t proc)
{
	const uint32_t head[4] = { PAGE_MAGIC, PAGE_LAYOUT, proc, node };

	static_assert(offsetof(struct page, proc) == 8 && offsetof(struct page, node) == 12, "as written here");
	return create(name, sizeof(struct page), head, sizeof head);
}

int
page_map(int fd, struct page **page, int writable)
{
	int e;
	struct page *p = map(fd, sizeof *p, PAGE_MAGIC, PAGE_LAYOUT, writable != 0, &e);

	if (p == NULL)
		return e;
	if (writable && (e = seg_seal_future(fd)) < 0) {
		seg_unmap(p, sizeof *p);
		return e;
	}
	*page = p;
	return 0;
}

void
page_unmap(struct page *page)
{
	seg_unmap(page, sizeof *page);
}

int
nodepage_create(const char *name, uint32_t node, uint32_t cpus)
{
	struct {
		uint32_t magic, layout, node, cpus;
		alignas(64) uint64_t valid_until;
	} head = { NODEPAGE_MAGIC, NODEPAGE_LAYOUT, node, cpus, UINT64_MAX };

	static_assert(offsetof(struct nodepage, valid_until) == 64, "as written here");
	return create(name, sizeof(struct nodepage), &head, sizeof head);
}

int
nodepage_map(int fd, struct nodepage **np)
{
	int e;
	struct nodepage *p = map(fd, sizeof *p, NODEPAGE_MAGIC, NODEPAGE_LAYOUT, true, &e);

	if (p == NULL)
		return e;
	*np = p;
	return 0;
}
