/*
 * chan.c - a channel whose other end writes what it likes: the bytes are a program of sending, receiving and scribbling
 * The first byte says which end is honest.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "../../lib/client/chan.c"	/* for what a message is, beside its calls */

static struct chan both;

static void
scribble(struct fuzz *f)
{
	uint64_t where = fuzz_int(f, 2), cap = both.cap;
	size_t n;
	const unsigned char *p = fuzz_bytes(f, 16, &n);

	if (where & 1)
		memcpy((unsigned char *)both.shm + where / 2 % (CHAN_PAGE - 16), p, n);	/* its control words */
	else
		memcpy(both.data + where / 2 % cap, p, n);
}

static void
header(struct fuzz *f)			/* a header where the reader looks next, with a length and a tag of any kind */
{
	uint64_t n = fuzz_int(f, 2), tag = fuzz_int(f, 3), flags = fuzz_int(f, 1);
	struct chan_side *r = &both.shm->r;

	atomic_store(chan_head(&both, atomic_load(&r->pos)), (flags & 1 ? 0 : CHAN_HERE) | (flags & 2 ? CHAN_MORE : 0) | tag << 32 |
	    (flags & 4 ? n << 12 : n));
}

static void
message(const struct chan_in *m)	/* every byte that we were told of can be read */
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < m->n; i++)
		sum ^= m->p[i];
	fuzz_must(m->nseg <= CHAN_SEGS);
	for (unsigned i = 0; i < m->nseg; i++)
		for (size_t k = 0; k < m->seg[i].n; k++)
			sum ^= ((const unsigned char *)m->seg[i].p)[k];
	(void)sum;
}

static int
never(struct client_chan *ch, void *arg)
{
	(void)ch, (void)arg;
	return -EINTR;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static unsigned char bytes[20000];
	static struct nodepage *np;
	static struct client c;
	struct fuzz f = { p, n };
	struct client_chan *w, *r;
	struct seg seg = { bytes, 100 };
	struct payload pl = { .p = bytes, .nvals = 1 };
	struct chan_in m;
	bool reader = fuzz_int(&f, 1) & 1;
	int fd = chan_create("fuzz", CHAN_MIN, fuzz_int(&f, 1) & 3);

	client_chan_longest = 1 << 20;
	if (!np) {
		int e = nodepage_create("fuzz", 1, 1);

		fuzz_must(e >= 0 && nodepage_map(e, &np) == 0);
		c.np = np;
		list_init(&c.chans);
	}
	fuzz_must(fd >= 0 && chan_map(fd, &both) == 0);
	fuzz_must(end_new(&c, 1, false, fd, &w) == 0 && end_new(&c, 1, true, fd, &r) == 0);
	close(fd);
	while (f.n > 0)
		switch (fuzz_int(&f, 1) % 7) {
		case 0:
		case 1: scribble(&f); break;
		case 2: header(&f); break;
		case 3:
		case 4:
			pl.n = fuzz_int(&f, 2) % sizeof bytes;
			pl.nseg = pl.n & 1;
			pl.seg = &seg;
			seg.n = fuzz_int(&f, 1) * 8;
			client_chan_send(w, &pl, (unsigned)fuzz_int(&f, 1) << 16, never, NULL);
			break;
		default:
			if (client_chan_get(r, &m) == 1) {
				message(&m);
				client_chan_done(r);
			}
			client_chan_ready(r);
			client_chan_ready(w);
		}
	if (!reader && !w->partial)
		last_words(w, bytes, 10, false);
	end_free(w);
	end_free(r);
	chan_unmap(&both);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\0\3\12\0\0\0\5\3\13\0\0\0\5", 14);
	fuzz_seed("\1\0\3\x11\x27\4\10\5\3\x11\x27\4\10\5\5", 15);
	fuzz_seed("\1\0\2\30\0\1\0\10\0\0\10\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0\5", 27);
}
