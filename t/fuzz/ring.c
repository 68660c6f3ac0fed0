/*
 * ring.c - a ring pair whose other end writes what it likes, wherever it likes: the bytes are a program of both ends'
 * calls and of scribbling in between.  No access leaves the segment, and positions only go on as they should.
 */
#include "../fuzz.h"
#include "ring/ring.h"

static void
scribble(struct ring_shm *shm, struct fuzz *f)
{
	uint64_t where = fuzz_int(f, 2);
	size_t n, room;
	const unsigned char *p;

	where = where % (sizeof *shm / 8) * 8;
	room = sizeof *shm - where;
	p = fuzz_bytes(f, 8, &n);
	memcpy((unsigned char *)shm + where, p, n < room ? n : room);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct ring_shm *shm = aligned_alloc(64, (sizeof *shm + 63) & ~(size_t)63);	/* what lies behind it is not ours */
	struct ring_sub s = { .shm = shm };
	struct ring_wrk w = { .shm = shm };
	uint64_t at;
	uint32_t slot;
	struct done *d;

	if (!shm)
		abort();
	memset(shm, 0, sizeof *shm);
	while (f.n > 0)
		switch (fuzz_int(&f, 1) % 12) {
		case 0:
		case 1: scribble(shm, &f); break;
		case 2:				/* as the peer would: the word that is looked at next */
			at = w.head;
			atomic_store(&shm->word[at % RING_WORDS], ring_word(at, (enum ring_claim)(fuzz_int(&f, 1) & 3), (uint32_t)fuzz_int(&f, 4)));
			break;
		case 3:
			d = &shm->done[s.dhead % RING_DONES];
			d->slot = (uint32_t)fuzz_int(&f, 4);
			atomic_store(&d->seq, s.dhead + 1 + (fuzz_int(&f, 1) & 1));
			break;
		case 4:
			if (ring_unclaimed(&s, RING_WORDS) < RING_WORDS)
				ring_push(&s, (uint32_t)fuzz_int(&f, 4));
			fuzz_must(s.seen <= s.tail && s.tail - s.seen <= RING_WORDS);
			break;
		case 5:
			at = s.tail - fuzz_int(&f, 1);
			if (at < s.tail && s.tail - at <= RING_WORDS)
				ring_revoke(&s, at, (uint32_t)fuzz_int(&f, 4));
			break;
		case 6:
			at = s.dhead;
			if ((d = ring_completion(&s))) {
				fuzz_must(d >= shm->done && d < shm->done + RING_DONES);
				ring_take(&s);
			}
			fuzz_must(s.dhead == at || s.dhead == at + 1);
			break;
		case 7: ring_tell(&s); fuzz_must(s.told == s.dhead); break;
		case 8:				/* never stuck: what is ready can be claimed or stepped over */
			at = w.head;
			if (ring_ready(&w)) {
				bool claimed = ring_claim(&w, &slot);

				fuzz_must(claimed || w.head > at);
			} else {
				fuzz_must(!ring_claim(&w, &slot) && w.head == at);
			}
			break;
		case 9:
			if (ring_room(&w) > 0) {
				fuzz_must(ring_room(&w) <= RING_DONES);
				d = ring_next_done(&w);
				fuzz_must(d >= shm->done && d < shm->done + RING_DONES);
				d->slot = 1;
				ring_publish(&w);
			}
			break;
		case 10: fuzz_must(ring_unclaimed(&s, fuzz_int(&f, 1)) <= RING_WORDS); break;
		case 11:
			while (ring_claim(&w, &slot))
				fuzz_must(w.head <= s.tail + RING_WORDS + f.n + 256);
			break;
		}
	free(shm);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\4\1\0\0\0\4\2\0\0\0\10\10\11\11\6\6\7", 17);
	fuzz_seed("\4\1\0\0\0\5\1\1\0\0\0\10\13\12\200", 15);
	fuzz_seed("\2\1\7\0\0\0\10\2\3\7\0\0\0\10\3\1\0\0\0\0\6\6\0\40\0\1\2\3\4\5\6\7\10\12", 34);
}
