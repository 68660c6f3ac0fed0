#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "base/err.h"
#include "store/arena_layout.h"

/*
 * Files on a tmpfs cannot be sealed.  One without a name is as good here: who can cut it short was given the
 * descriptor for writing and could as well scribble over every object.
 */
static bool
may_map(int fd, const struct stat *st)
{
	int seals = fcntl(fd, F_GET_SEALS), sized = F_SEAL_SHRINK | F_SEAL_GROW;
	struct statfs fs;

	if (seals >= 0 && (seals & sized) == sized)
		return true;
	return S_ISREG(st->st_mode) && st->st_nlink == 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

void *
arena_map(int fd, uint64_t *bytes, bool write, int *err)
{
	unsigned char *room, *p;
	size_t n, extra;
	struct stat st;

	*err = ERR_LAYOUT;
	if (fstat(fd, &st) < 0 || !may_map(fd, &st))
		return NULL;
	if (st.st_size < (off_t)ARENA_GRANULE * 2 || (uint64_t)st.st_size > ARENA_MAX ||
	    (uint64_t)st.st_size % ARENA_GRANULE)
		return NULL;
	/* huge pages are mapped as such only where address and offset agree */
	n = (size_t)st.st_size;
	room = mmap(NULL, n + ARENA_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		goto fail;
	extra = (size_t)(-(uintptr_t)room & (ARENA_HUGE - 1));
	p = mmap(room + extra, n, write ? PROT_READ | PROT_WRITE : PROT_READ,
	    MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED) {
		*err = -errno;
		munmap(room, n + ARENA_HUGE);
		return NULL;
	}
	if (extra)
		munmap(room, extra);
	munmap(p + n, ARENA_HUGE - extra);
	if (madvise(p, n, MADV_DONTFORK) < 0) {
		*err = -errno;
		munmap(p, n);
		return NULL;
	}
	*bytes = n;
	*err = 0;
	return p;
fail:
	*err = -errno;
	return NULL;
}

bool
arena_block_load(const unsigned char *base, uint64_t off, uint64_t end, struct arena_block *b)
{
	const volatile struct obj_hdr *h = arena_hdr(base, off);	/* its maker may be writing: each field once */
	uint64_t word;

	if (off % 64 || off >= end || end - off < sizeof(struct obj_hdr) || h->magic != OBJ_MAGIC)
		return false;
	b->off = off;
	b->run = atomic_load_explicit(&h->run, memory_order_acquire);
	if (b->run % 64 || b->run < sizeof(struct obj_hdr) || b->run > end - off)
		return false;
	word = atomic_load_explicit(&h->word, memory_order_acquire);
	b->gen = (uint32_t)(word >> 32);
	b->state = (uint32_t)word;
	b->proc = h->proc;
	b->id.node = h->id.node;
	b->id.proc = h->id.proc;
	b->id.seq = h->id.seq;
	b->size = h->size;
	b->headlen = h->headlen;
	b->made = h->made;
	b->nbuf = h->nbuf;
	b->flags = h->flags;
	b->keep = atomic_load_explicit(&h->keep, memory_order_relaxed);
	return b->state <= OBJ_EVICTING;
}

int
arena_block_next(const unsigned char *base, uint64_t end, struct arena_block *b)
{
	uint64_t off = b->off + b->run;
	struct arena_block next;

	if (off == end)
		return 0;
	if (!arena_block_load(base, off, end, &next))
		return ERR_PROTO;		/* b still says where the good ones end */
	*b = next;
	return 1;
}
