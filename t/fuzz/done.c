/*
 * done.c - a submitter takes completions whose entry, blocks and lists its worker wrote as it liked
 * The bytes: for each completion its head, its inline bytes, and what the worker's slab holds.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include <sys/socket.h>
#include "../../lib/client/drain.c"

enum { ROOM = 8192, ARENA_ROOM = 4096 };

static struct client c;
static unsigned char *theirs;

static void
start(void)
{
	int fd, pair[2];

	if (theirs)
		return;
	theirs = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	fuzz_must(theirs != MAP_FAILED);
	fuzz_must((fd = slab_create("fuzz")) >= 0 && slab_init(&c.slab, fd) == 0);
	fuzz_must((fd = page_create("fuzz", 1, 2)) >= 0 && page_map(fd, &c.page, 1) == 0);
	fuzz_must((fd = nodepage_create("fuzz", 1, 1)) >= 0 && nodepage_map(fd, &c.np) == 0);
	fuzz_must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	c.sock = pair[0];
	c.lost = true;			/* nothing is sent */
	c.me.node = 1;
	c.me.proc = 2;
	c.next_task = 1;
	list_init(&c.asks);
	list_init(&c.lineage);
	list_init(&c.lineage_dying);
	c.arena.bytes = ARENA_GRANULE + ARENA_ROOM;
	c.arena.base = calloc(1, c.arena.bytes);
	fuzz_must(c.arena.base);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct lease l = { .proc = 3 };
	struct done d = { 0 };
	const unsigned char *q;
	struct rec *r;
	size_t k;

	start();
	l.slab.base = theirs;
	memset(theirs + SLAB_UNIT, 0, ROOM);
	d.kind = (uint8_t)fuzz_int(&f, 1);
	d.flags = (uint8_t)fuzz_int(&f, 1) & (DONE_ERROR | DONE_REFS | DONE_KEPT);
	d.unit = (uint32_t)fuzz_int(&f, 1);
	if (d.unit == 255)
		d.unit = (uint32_t)fuzz_int(&f, 4);
	d.len = (uint32_t)fuzz_int(&f, 2);
	if (d.len == UINT16_MAX)
		d.len = (uint32_t)fuzz_int(&f, 4);
	d.nvals = (uint16_t)fuzz_int(&f, 1);
	q = fuzz_bytes(&f, sizeof d.inl, &k);
	memcpy(d.inl, q, k);
	memcpy(theirs + SLAB_UNIT, f.p, f.n < ROOM ? f.n : ROOM);
	memset(c.arena.base + ARENA_GRANULE, 0, ARENA_ROOM);
	memcpy(c.arena.base + ARENA_GRANULE, f.p, f.n < ARENA_ROOM ? f.n : ARENA_ROOM);
	if (d.flags & DONE_KEPT) {
		unsigned char *copy = fuzz_copy(f.p, f.n);

		kept_l(&c, &l, copy, f.n);
		free(copy);
	}
	fuzz_must((r = rec_new_l(&c)) != NULL);
	if (outcome_l(&c, &l, r, &d) == 0 && r->kind != REC_ARENA) {
		struct obj_view v;
		const unsigned char *bytes = rec_bytes_l(&c, r, &v, &k);

		fuzz_must(bytes && k <= REC_BLOCK_MAX);
		val_check(bytes, k, r->nvals, VAL_ALLOW_CODE);
	}
	r->kind = r->kind == REC_ARENA ? REC_NONE : r->kind;	/* its worker's: nobody is there to be told */
	rec_state(r, REC_READY);
	rec_unref_l(&c, r);
	c.drops.len = c.holds.len = c.out.len = 0;
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\0\0\6\0\1\xa5hello", 12);
	fuzz_seed("\2\0\1\6\0\1" "01234567890123456789012345678901" "\xa5hello", 44);
	fuzz_seed("\3\0\0\0\0\1" "\0\0\1\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\1\0\0\0\3\0\0\0", 30);
	fuzz_seed("\2\2\1\52\0\1" "01234567890123456789012345678901"
	    "\xc7\x28\1" "\1\0\0\0\7\0\0\0" "\0\0\0\1\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0", 81);
	fuzz_seed("\1\4\0\0\0\0" "01234567890123456789012345678901" "\2\0\0\0" "\1\0\0\0\7\0\0\0" "\0\0\0\1\0\0\0\0" "\1\0\0\0\7\0\0\0" "\0\0\0\2\0\0\0\0", 74);
}
