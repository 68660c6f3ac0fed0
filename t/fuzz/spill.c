/*
 * spill.c - the file of spilled objects: a record is read where one should be, whatever the disk has there
 * The bytes: where the record begins, what is changed, and the file.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "base/crc.h"
#include "base/err.h"
#include "store/spillfile.h"

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	uint64_t at = fuzz_int(&f, 1) * 64, how = fuzz_int(&f, 1);
	struct spill_rec r = { 0 };
	unsigned char *block;
	int fd, e;

	if ((fd = memfd_create("fuzz", MFD_CLOEXEC)) < 0 || ftruncate(fd, 3 * (off_t)SPILL_PAGE) < 0)
		abort();
	if (how & 1) {			/* a good header before bad bytes */
		r = (struct spill_rec){ .magic = SPILL_MAGIC, .run = fuzz_int(&f, 3) * (how & 2 ? 64 : 1), .size = 64, .data = (uint32_t)fuzz_int(&f, 4) };
		r.sum = crc_lanes(&r, sizeof r);
		fuzz_must(pwrite(fd, &r, sizeof r, (off_t)at) == sizeof r);
		fuzz_must(pwrite(fd, f.p, f.n, (off_t)at + 64) == (ssize_t)f.n);
	} else {
		fuzz_must(pwrite(fd, f.p, f.n, 0) == (ssize_t)f.n);
	}
	e = spill_head(fd, at, &r);
	fuzz_must(e == 0 || e == ERR_LAYOUT);
	if (e == 0 && r.run <= 1u << 21) {
		fuzz_must(r.run >= 64 && r.run % 64 == 0);
		if (posix_memalign((void **)&block, 4096, r.run) != 0)
			abort();
		e = spill_read(fd, at, &r, block);
		fuzz_must(e == 0 || e == ERR_LAYOUT);
		free(block);
	}
	close(fd);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\0\3\2\0\0abcd0123456789", 19);
	fuzz_seed("\1\3\0\20\0\0\0\0\0", 9);
	fuzz_seed("\1\0rspl", 6);
}
