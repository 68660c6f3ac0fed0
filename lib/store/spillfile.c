#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/crc.h"
#include "base/err.h"
#include "base/num.h"
#include "store/spillfile.h"

enum { HDR = 64, PACK = 1 << 20 };		/* bytes collected before a write */
#define STALE "rota-spill-"

static uint64_t
up(uint64_t n)
{
	return (n + SPILL_PAGE - 1) & ~(SPILL_PAGE - 1);
}

/* --- the books -------------------------------------------------------------------------------------------- */

static void
clean(int dir)
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct stat st;

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;)	/* it may be a place like /var/tmp: root could remove another's */
		if (strncmp(e->d_name, STALE, sizeof STALE - 1) == 0 && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_uid == geteuid())
			unlinkat(dir, e->d_name, 0);
	closedir(d);
}

static int
enter(struct spill_store *s)
{
	if (s->dir >= 0)
		close(s->dir);
	s->dir = -1;
	if (mkdir(s->path, 0700) < 0 && errno != EEXIST)
		return -1;
	return s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void
spill_init(struct spill_store *s)
{
	*s = (struct spill_store){ .dir = -1, .share = 95 };
	list_init(&s->files);
}

int
spill_open(struct spill_store *s, const char *path)
{
	snprintf(s->path, sizeof s->path, "%s", path);
	if (enter(s) < 0)
		return -errno;
	clean(s->dir);
	return 0;
}

static void
file_close(struct spill_store *s, struct spill_file *f)
{
	if (s->told)
		s->told(s->ctx, f->number, -1);
	list_del(&f->link);
	close(f->fd);
	free(f);
}

void
spill_close(struct spill_store *s)
{
	while (s->files.next && !list_empty(&s->files))
		file_close(s, list_entry(s->files.next, struct spill_file, link));
	if (s->dir >= 0)
		close(s->dir);
	s->dir = -1;
	if (s->own)
		rmdir(s->path);
}

int
spill_room(struct spill_store *s, uint64_t bytes, char *why, size_t n)
{
	struct statvfs fs;
	char size[16];
	double all, left;

	if (fstatvfs(s->dir, &fs) < 0) {
		snprintf(why, n, "cannot look at '%s': %s", s->path, err_str(-errno));
		return -errno;
	}
	all = (double)fs.f_blocks * (double)fs.f_frsize;
	left = (double)fs.f_bavail * (double)fs.f_frsize;
	if (all > 0 && left - (double)bytes < all * (100 - s->share) / 100) {
		snprintf(why, n, "the disk of '%s' is %.0f %% full, and spilling stops at %u %%: %s more do not fit", s->path,
		    100 * (all - left) / all, s->share, num_fmt_size(size, bytes));
		return -ENOSPC;
	}
	return 0;
}

static int
nameless(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[64];

	for (unsigned i = 0; fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EEXIST) && i < 100; i++) {
		snprintf(name, sizeof name, STALE "%d-%u", (int)getpid(), i);
		if ((fd = openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)) >= 0)
			unlinkat(dir, name, 0);
	}
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_DIRECT);	/* past the page cache, where the file system can do that */
	return fd;
}

int
spill_place(struct spill_store *s, uint64_t bytes, uint64_t live, struct spill_file **out, uint64_t *at)
{
	struct spill_file *f = list_empty(&s->files) ? NULL : list_entry(s->files.prev, struct spill_file, link);

	if (!f || f->end + bytes > SPILL_FILE_MAX) {
		if ((f = calloc(1, sizeof *f)) == NULL)
			return -ENOMEM;
		if ((f->fd = nameless(s->dir)) < 0 && (errno == ENOENT || errno == EPERM) && enter(s) >= 0)
			f->fd = nameless(s->dir);	/* another node of ours ended, and took the directory along; EPERM: so says O_TMPFILE of some kernels */
		if (f->fd < 0) {
			int e = -errno;

			free(f);
			return e;
		}
		f->number = ++s->last;
		list_add_tail(&s->files, &f->link);
		if (s->told)
			s->told(s->ctx, f->number, f->fd);
	}
	*out = f;
	*at = f->end;
	f->end += bytes;
	f->live += live;
	s->bytes += live;
	return 0;
}

void
spill_drop(struct spill_store *s, struct spill_file *f, uint64_t at, uint64_t bytes)
{
	uint64_t from = up(at), to = (at + bytes) & ~(SPILL_PAGE - 1);

	f->live -= bytes;
	s->bytes -= bytes;
	if (f->live == 0 && f->busy == 0)
		file_close(s, f);
	else if (from < to)
		fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
}

/* --- of another process ------------------------------------------------------------------------------------- */

struct spill_file *
spill_file_inherit(struct spill_store *s, uint64_t number, int fd)
{
	struct spill_file *f = calloc(1, sizeof *f);

	if (f == NULL) {
		close(fd);
		return NULL;
	}
	*f = (struct spill_file){ .fd = fd, .number = number };
	list_add_tail(&s->files, &f->link);
	if (number > s->last)
		s->last = number;
	return f;
}

void
spill_claim(struct spill_store *s, struct spill_file *f, uint64_t at, uint64_t bytes)
{
	if (f->end < up(at + bytes))
		f->end = up(at + bytes);
	f->live += bytes;
	s->bytes += bytes;
}

void
spill_claimed(struct spill_store *s)
{
	list_each_safe(l, q, &s->files) {
		struct spill_file *f = list_entry(l, struct spill_file, link);

		if (f->live == 0)
			file_close(s, f);
	}
}

/* --- writing ------------------------------------------------------------------------------------------------ */

static bool
large(uint64_t run)
{
	return run >= SPILL_LARGE && run % SPILL_PAGE == 0;
}

uint64_t
spill_length(const struct spill_piece *v)
{
	return large(v->run) ? SPILL_PAGE + v->run : v->run;
}

uint64_t
spill_plan(struct spill_piece *v, size_t n)
{
	uint64_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (large(v[i].run))
			at = up(at);
		v[i].at = at;
		at += spill_length(&v[i]);
	}
	return up(at);
}

static uint32_t
sum_of(struct spill_rec r)
{
	r.sum = 0;
	return crc_lanes(&r, sizeof r);
}

static void
head_of(struct spill_rec *r, const struct spill_piece *v)
{
	const struct obj_hdr *h = (const void *)v->block;

	*r = (struct spill_rec){ .magic = SPILL_MAGIC, .id = h->id, .run = v->run, .size = h->size, .headlen = h->headlen,
	    .made = h->made, .nbuf = h->nbuf, .flags = h->flags, .data = crc_lanes(v->block + HDR, v->run - HDR) };
	r->sum = sum_of(*r);
}

static int
io(int fd, struct iovec *v, int n, uint64_t at, bool write)
{
	while (n > 0) {
		ssize_t k = write ? pwritev(fd, v, n, (off_t)at) : preadv(fd, v, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : write ? -EIO : ERR_LAYOUT;
		at += (uint64_t)k;
		for (; n > 0 && (size_t)k >= v->iov_len; v++, n--)
			k -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (unsigned char *)v->iov_base + k;
			v->iov_len -= (size_t)k;
		}
	}
	return 0;
}

struct pack {				/* small records and headers, to be written at once */
	int fd;
	unsigned char *p;
	uint64_t at;			/* of p[0] in the file */
	size_t n;
};

static int
flush(struct pack *k, const struct spill_piece *v)	/* with the block of a large one behind it */
{
	struct iovec io2[2] = { { k->p, up(k->n) }, { NULL, 0 } };
	int e;

	memset(k->p + k->n, 0, up(k->n) - k->n);
	if (v)
		io2[1] = (struct iovec){ (void *)(uintptr_t)v->block, v->run };
	e = k->n ? io(k->fd, io2, v ? 2 : 1, k->at, true) : 0;
	k->at += up(k->n) + (v ? v->run : 0);
	k->n = 0;
	return e;
}

int
spill_write(int fd, uint64_t at, const struct spill_piece *v, size_t n)
{
	struct pack k = { .fd = fd, .at = at };
	int e = 0;

	if (posix_memalign((void **)&k.p, SPILL_PAGE, PACK + 2 * SPILL_PAGE) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < n && e == 0; i++) {
		struct spill_rec r;

		head_of(&r, &v[i]);
		if (large(v[i].run)) {
			k.n = up(k.n);
			memset(k.p + k.n, 0, SPILL_PAGE);
			memcpy(k.p + k.n, &r, sizeof r);
			k.n += SPILL_PAGE;
			e = flush(&k, &v[i]);
			continue;
		}
		for (uint64_t off = 0; off < v[i].run && e == 0;) {	/* the header takes the place of the block's first bytes */
			size_t m = v[i].run - off < PACK - k.n ? (size_t)(v[i].run - off) : PACK - k.n;

			memcpy(k.p + k.n, v[i].block + off, m);
			if (off == 0)
				memcpy(k.p + k.n, &r, sizeof r);
			k.n += m;
			off += m;
			if (k.n == PACK)
				e = flush(&k, NULL);
		}
	}
	if (e == 0)
		e = flush(&k, NULL);
	free(k.p);
	return e;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* n bytes at `at`, wherever that is, through whole pages */
static int
read_small(int fd, uint64_t at, unsigned char *to, size_t n)
{
	uint64_t from = at & ~(SPILL_PAGE - 1), end = up(at + n);
	unsigned char *p;
	struct iovec v;
	int e;

	if (posix_memalign((void **)&p, SPILL_PAGE, end - from) != 0)
		return -ENOMEM;
	v = (struct iovec){ p, end - from };
	if ((e = io(fd, &v, 1, from, false)) == 0)
		memcpy(to, p + (at - from), n);
	free(p);
	return e;
}

int
spill_head(int fd, uint64_t at, struct spill_rec *r)
{
	int e = read_small(fd, at, (unsigned char *)r, sizeof *r);

	if (e == 0 && (r->magic != SPILL_MAGIC || r->sum != sum_of(*r) || r->run < HDR || r->run % HDR))
		e = ERR_LAYOUT;
	return e;
}

int
spill_read(int fd, uint64_t at, const struct spill_rec *r, unsigned char *p)
{
	unsigned char *page = NULL;
	struct iovec v[2];
	int e;

	if (!large(r->run)) {
		e = read_small(fd, at + HDR, p + HDR, r->run - HDR);
	} else {			/* the block's own header is in use already: its page is read aside */
		if (posix_memalign((void **)&page, SPILL_PAGE, SPILL_PAGE) != 0)
			return -ENOMEM;
		v[0] = (struct iovec){ page, SPILL_PAGE };
		v[1] = (struct iovec){ p + SPILL_PAGE, r->run - SPILL_PAGE };
		if ((e = io(fd, v, 2, at + SPILL_PAGE, false)) == 0)
			memcpy(p + HDR, page + HDR, SPILL_PAGE - HDR);
		free(page);
	}
	if (e == 0 && crc_lanes(p + HDR, r->run - HDR) != r->data)
		e = ERR_LAYOUT;
	return e;
}
