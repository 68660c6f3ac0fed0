#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/crc.h"
#include "base/grow.h"
#include "base/hash.h"
#include "base/map.h"
#include "store/journal.h"

enum { ANEW = 1 << 20, PART = 1 << 20 };
#define DELETED UINT32_MAX

struct batch {				/* before the records that count together */
	uint32_t len, sum;		/* of what follows */
};

struct head {				/* before a key and its value */
	uint32_t nkey, nval;		/* nval: or DELETED */
};

/* --- writing ------------------------------------------------------------------------------------------------ */

int
journal_start(struct journal *j)
{
	j->end = 0;
	j->again = ANEW;
	return (j->fd = memfd_create("rota-journal", MFD_CLOEXEC)) < 0 ? -errno : 0;
}

void
journal_release(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	buf_release(&j->todo);
}

static void
add(struct journal *j, struct span key, const void *val, size_t n, uint32_t nval)
{
	struct head h = { (uint32_t)key.n, nval };
	struct batch none = { 0 };
	size_t was = j->todo.len;

	if (j->fd < 0)
		return;
	if ((was == 0 && buf_add(&j->todo, &none, sizeof none) < 0) || buf_add(&j->todo, &h, sizeof h) < 0 ||
	    buf_add(&j->todo, key.p, key.n) < 0 || (n && buf_add(&j->todo, val, n) < 0))
		j->todo.len = was;	/* no memory: it is not remembered */
}

void
journal_put(struct journal *j, struct span key, struct span val)
{
	add(j, key, val.p, val.n, (uint32_t)val.n);
}

void
journal_del(struct journal *j, struct span key)
{
	add(j, key, NULL, 0, DELETED);
}

static int
append(struct journal *j)
{
	struct batch b = { (uint32_t)(j->todo.len - sizeof b), 0 };

	if (j->todo.len == 0)
		return 0;
	b.sum = crc_lanes(j->todo.data + sizeof b, b.len);
	memcpy(j->todo.data, &b, sizeof b);
	for (size_t at = 0; at < j->todo.len;) {
		ssize_t k = pwrite(j->fd, j->todo.data + at, j->todo.len - at, (off_t)(j->end + at));

		if (k < 0 && errno != EINTR)
			return -errno;
		at += k > 0 ? (size_t)k : 0;
	}
	j->end += j->todo.len;
	if (j->todo.cap > PART)
		buf_release(&j->todo);
	j->todo.len = 0;
	return 0;
}

/* only what still counts, into another file */
static int
anew(struct journal *j)
{
	struct journal new = JOURNAL_INIT;
	struct journal_read r;
	int e = journal_read(&r, j->fd);

	if (e == 0 && (e = journal_start(&new)) == 0)
		for (size_t i = 0; i < r.n && e == 0; i++) {
			journal_put(&new, r.rec[i].key, r.rec[i].val);
			if (new.todo.len >= PART || i + 1 == r.n)
				e = append(&new);
		}
	journal_read_release(&r);
	if (e == 0 && (j->moved == NULL || (e = j->moved(j->ctx, new.fd)) >= 0)) {
		close(j->fd);
		j->fd = new.fd;
		j->end = new.end;
		new.fd = -1;
	}
	journal_release(&new);
	j->again = 2 * j->end + ANEW;
	return e;
}

int
journal_sync(struct journal *j)
{
	int e;

	if (j->todo.len == 0 || j->fd < 0)
		return 0;
	if ((e = append(j)) == 0 && j->end > j->again)
		anew(j);		/* without room for two of them it goes on in the one */
	return e;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

static struct journal_rec *
find(const struct journal_read *r, const struct map *at, struct span key, uint64_t *h)
{
	for (*h = hash64(key.p, key.n);; ++*h) {
		uintptr_t i = (uintptr_t)map_get(at, *h);

		if (i == 0)
			return NULL;
		if (r->rec[i - 1].key.n == key.n && memcmp(r->rec[i - 1].key.p, key.p, key.n) == 0)
			return &r->rec[i - 1];
	}
}

/* one more record, after those that there are; an older one of its key counts no more */
static int
take(struct journal_read *r, struct map *at, size_t *cap, struct span key, const unsigned char *val, uint32_t nval)
{
	struct journal_rec *old, *more;
	uint64_t h;

	if ((more = grow(r->rec, cap, r->n, sizeof *more)) == NULL)
		return -ENOMEM;
	r->rec = more;
	if ((old = find(r, at, key, &h)) != NULL)
		old->val.p = NULL;
	r->rec[r->n++] = (struct journal_rec){ key, { nval == DELETED ? NULL : val, nval == DELETED ? 0 : nval } };
	return map_put(at, h, (void *)(uintptr_t)r->n);
}

static int
records(struct journal_read *r, struct map *at, size_t *cap, const unsigned char *p, size_t n)
{
	struct head h;
	int e = 0;

	while (e == 0 && n >= sizeof h) {
		size_t nval;

		memcpy(&h, p, sizeof h);
		nval = h.nval == DELETED ? 0 : h.nval;
		if (h.nkey > n - sizeof h || nval > n - sizeof h - h.nkey)
			break;
		p += sizeof h;
		e = take(r, at, cap, span_of(p, h.nkey), p + h.nkey, h.nval);
		p += h.nkey + nval;
		n -= sizeof h + h.nkey + nval;
	}
	return e;
}

int
journal_read(struct journal_read *r, int fd)
{
	struct map at = MAP_INIT;
	size_t cap = 0, stay = 0;
	struct batch b;
	struct stat st;
	int e = 0;

	*r = (struct journal_read){ 0 };
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	r->len = (size_t)st.st_size;
	if ((r->bytes = mmap(NULL, r->len, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		r->bytes = NULL;
		return -errno;
	}
	for (size_t i = 0; e == 0 && r->len - i >= sizeof b; i += sizeof b + b.len) {
		memcpy(&b, r->bytes + i, sizeof b);
		if (b.len == 0 || b.len > r->len - i - sizeof b || crc_lanes(r->bytes + i + sizeof b, b.len) != b.sum)
			break;			/* its writer died before it was whole, so before anybody heard of it */
		e = records(r, &at, &cap, r->bytes + i + sizeof b, b.len);
	}
	for (size_t i = 0; i < r->n; i++)
		if (r->rec[i].val.p)
			r->rec[stay++] = r->rec[i];
	r->n = stay;
	map_release(&at);
	if (e < 0)
		journal_read_release(r);
	return e;
}

void
journal_read_release(struct journal_read *r)
{
	if (r->bytes)
		munmap(r->bytes, r->len);
	free(r->rec);
	*r = (struct journal_read){ 0 };
}
