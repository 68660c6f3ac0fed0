#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "capi/cfn.h"
#include "wire/mp.h"

int
cfn_hash(int fd, struct hash128 *h)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return -EINVAL;
	if ((p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
		return -errno;
	*h = hash128(p, (size_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return 0;
}

int
cfn_find(struct cfn *f, const char *path, const char *symbol, char *why, size_t n)
{
	int fd, e;

	if (!*symbol || strlen(symbol) >= sizeof f->symbol) {
		snprintf(why, n, "the name of a function is expected, got '%.80s'", symbol);
		return -EINVAL;
	}
	strcpy(f->symbol, symbol);
	if (!realpath(path, f->path) || (fd = open(f->path, O_RDONLY|O_CLOEXEC)) < 0) {
		e = -errno;
		snprintf(why, n, "cannot open '%s': %s", path, err_str(e));
		return e;
	}
	e = cfn_hash(fd, &f->hash);
	close(fd);
	if (e < 0)
		snprintf(why, n, "cannot read '%s': %s", path, e == -EINVAL ? "no shared object" : err_str(e));
	return e;
}

int
cfn_put(struct buf *b, const struct cfn *f)
{
	unsigned char h[16];
	size_t was = b->len;
	int e;

	memcpy(h, &f->hash, sizeof h);
	if ((e = mp_put_array(b, 4)) < 0 || (e = mp_put_str(b, "C", 1)) < 0 ||
	    (e = mp_put_str(b, f->path, strlen(f->path))) < 0 || (e = mp_put_str(b, f->symbol, strlen(f->symbol))) < 0 ||
	    (e = mp_put_bin(b, h, sizeof h)) < 0)
		b->len = was;
	return e;
}

static int
text(struct mp *m, char *to, size_t cap)
{
	struct mp_tok t;

	if (mp_next(m, &t) < 0 || t.kind != MP_STR || t.n == 0 || t.n >= cap || memchr(t.p, '\0', t.n))
		return ERR_PROTO;
	memcpy(to, t.p, t.n);
	to[t.n] = '\0';
	return 0;
}

int
cfn_get(struct cfn *f, const unsigned char *p, size_t n)
{
	struct mp m = mp_read(p, n);
	struct mp_tok t;

	if (mp_next(&m, &t) < 0 || t.kind != MP_ARRAY || t.n != 4 || mp_next(&m, &t) < 0 || t.kind != MP_STR || t.n != 1 ||
	    *t.p != 'C' || text(&m, f->path, sizeof f->path) < 0 || text(&m, f->symbol, sizeof f->symbol) < 0 ||
	    mp_next(&m, &t) < 0 || t.kind != MP_BIN || t.n != sizeof f->hash || m.p != m.end)
		return ERR_PROTO;
	memcpy(&f->hash, t.p, sizeof f->hash);
	return 0;
}
