/*
 * journal.c - the journal of a daemon that was killed: whatever its file holds is read or passed over
 * The bytes: whether good sums stand before the batches, then the batches, a length before each.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "base/crc.h"
#include "store/journal.h"

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	bool sums = fuzz_int(&f, 1) & 1;
	struct journal_read r;
	volatile unsigned char all = 0;
	off_t at = 0;
	int fd, e;

	if ((fd = memfd_create("fuzz", MFD_CLOEXEC)) < 0)
		abort();
	if (!sums)
		fuzz_must(pwrite(fd, f.p, f.n, 0) == (ssize_t)f.n);
	while (sums && f.n > 0) {
		size_t k;
		const unsigned char *b = fuzz_bytes(&f, fuzz_int(&f, 1), &k);
		uint32_t head[2] = { (uint32_t)k, crc_lanes(b, k) };

		fuzz_must(pwrite(fd, head, sizeof head, at) == sizeof head && pwrite(fd, b, k, at + 8) == (ssize_t)k);
		at += 8 + (off_t)k;
	}
	e = journal_read(&r, fd);
	fuzz_must(e <= 0 && (e == 0 || r.n == 0));
	for (size_t i = 0; i < r.n; i++) {
		const unsigned char *key = r.rec[i].key.p, *val = r.rec[i].val.p;

		fuzz_must(r.rec[i].key.n == 0 || (key >= r.bytes && key + r.rec[i].key.n <= r.bytes + r.len));
		fuzz_must(r.rec[i].val.n == 0 || (val >= r.bytes && val + r.rec[i].val.n <= r.bytes + r.len));
		for (size_t k = 0; k < r.rec[i].key.n; k++)
			all ^= key[k];
		for (size_t k = 0; k < r.rec[i].val.n; k++)
			all ^= val[k];
	}
	(void)all;
	journal_read_release(&r);
	close(fd);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\15\1\0\0\0\2\0\0\0kvv\1\1\11\1\0\0\0\0\0\0\0k", 25);
	fuzz_seed("\1\12\1\0\0\0\377\377\377\377kk\13\1\0\0\0\2\0\0\0kvv", 25);
	fuzz_seed("\0\10\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0kv", 19);
}
