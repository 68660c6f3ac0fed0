/*
 * kept_log - names and times to live of what the node keeps, in a file without a name that the next daemon gets (heir.c).
 *
 * The objects themselves lie in the arena, marked.  A record is appended before an answer goes out: u32 bytes that follow,
 * u8 what, id as u32 u32 u64, u64 since, u64 end of its time or 0 (both CLOCK_MONOTONIC), the name.  All little endian.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/kept.h"
#include "os/fd.h"
#include "wire/le.h"

enum { KEPT_IN = 1, KEPT_OUT = 2, HEAD = 4 + 1 + 16 + 8 + 8, LOG_MIN = 1 << 20 };

static int
put(struct buf *b, int what, const struct kept *k)
{
	unsigned char p[HEAD];

	le_put32(p, (uint32_t)(HEAD - 4 + (what == KEPT_IN ? k->nname : 0)));
	p[4] = (unsigned char)what;
	le_put32(p + 5, k->id.node);
	le_put32(p + 9, k->id.proc);
	le_put64(p + 13, k->id.seq);
	le_put64(p + 21, k->since);
	le_put64(p + 29, k->ttl ? k->since + k->ttl : 0);
	if (buf_add(b, p, sizeof p) < 0)
		return -ENOMEM;
	return what == KEPT_IN && k->nname ? buf_add(b, k->name, k->nname) : 0;
}

/* only what is still kept */
static int
rewrite(struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;
	struct buf b = BUF_INIT;
	int e = 0;

	while (e == 0 && idmap_next(&n->kept, &it))
		e = put(&b, KEPT_IN, it.val);
	if (e == 0 && (ftruncate(n->kept_fd, 0) < 0 || lseek(n->kept_fd, 0, SEEK_SET) < 0))
		e = -errno;
	if (e == 0 && b.len)
		e = fd_write_all(n->kept_fd, b.data, b.len);
	n->kept_bytes = n->kept_live = b.len;
	buf_release(&b);
	return e;
}

static int
append(struct node *n, int what, const struct kept *k)
{
	struct buf b = BUF_INIT;
	int e = put(&b, what, k);

	if (e == 0)
		e = fd_write_all(n->kept_fd, b.data, b.len);
	n->kept_bytes += b.len;
	buf_release(&b);
	return e;
}

int
kept_log_in(struct node *n, const struct kept *k)
{
	n->kept_live += HEAD + k->nname;
	return append(n, KEPT_IN, k);
}

void
kept_log_out(struct node *n, const struct kept *k)
{
	n->kept_live -= HEAD + k->nname;
	if (append(n, KEPT_OUT, k) < 0 || (n->kept_bytes > LOG_MIN && n->kept_bytes > 4 * n->kept_live))
		rewrite(n);
}

int
kept_log_start(struct node *n)
{
	return (n->kept_fd = memfd_create("rota-kept", MFD_CLOEXEC)) < 0 ? -errno : 0;
}

/* --- reading it -------------------------------------------------------------------------------------------------- */

static struct kept *
record(const unsigned char *p, size_t n)	/* n bytes after its length; to be freed */
{
	struct kept *k = calloc(1, sizeof *k + n);
	uint64_t end;

	if (k == NULL)
		return NULL;
	k->id = (struct id){ le_get32(p + 1), le_get32(p + 5), le_get64(p + 9) };
	k->since = le_get64(p + 17);
	end = le_get64(p + 25);
	k->ttl = end > k->since ? end - k->since : 0;
	k->nname = n - (HEAD - 4);
	memcpy(k->name, p + HEAD - 4, k->nname);
	return k;
}

static int
replay(struct idmap *was, const unsigned char *p, size_t n)
{
	while (n >= HEAD) {
		size_t len = le_get32(p);
		struct kept *k;

		if (len < HEAD - 4 || len > n - 4)
			break;			/* its last record is not whole: it was not answered */
		if ((k = record(p + 4, len)) == NULL)
			return -ENOMEM;
		free(idmap_del(was, k->id));
		if (p[4] != KEPT_IN || idmap_put(was, k->id, k) < 0)
			free(k);
		p += 4 + len;
		n -= 4 + len;
	}
	return 0;
}

struct found {
	struct node *n;
	struct idmap was;
	struct buf other;		/* places of objects that are marked but not in the log */
};

static bool
found(void *ctx, const struct arena_item *it)
{
	struct found *f = ctx;
	struct kept *k;
	unsigned char p[12];

	if (!it->kept)
		return true;
	if ((k = idmap_del(&f->was, it->id)) == NULL) {
		le_put64(p, it->off);
		le_put32(p + 8, it->gen);
		buf_add(&f->other, p, sizeof p);
		return true;
	}
	k->off = it->off;
	k->gen = it->gen;
	k->size = it->size;
	spill_adopt(f->n, it);
	if (kept_put(f->n, k) < 0)
		free(k);
	return true;
}

int
kept_log_adopt(struct node *n, int fd)
{
	struct found f = { .n = n };
	struct idmap_iter it = IDMAP_ITER;
	struct buf b = BUF_INIT;
	struct stat st;
	int e;

	n->kept_fd = fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((e = buf_reserve(&b, (size_t)st.st_size + 1)) < 0)
		return e;
	if (pread(fd, b.data, (size_t)st.st_size, 0) == st.st_size && (e = replay(&f.was, b.data, (size_t)st.st_size)) == 0) {
		arena_node_each(&n->arena, found, &f);
		for (size_t i = 0; i < f.other.len; i += 12)
			arena_node_keep(&n->arena, le_get64(f.other.data + i), le_get32(f.other.data + i + 8), false);
		e = rewrite(n);
	}
	while (idmap_next(&f.was, &it))		/* they were on the disk, which is not taken over */
		free(it.val);
	idmap_release(&f.was);
	buf_release(&f.other);
	buf_release(&b);
	return e;
}
