/* ring_ring.c - words and completions keep their order through laps, revocations and a garbling peer */
#include <string.h>
#include <unistd.h>
#include "ring/ring.h"
#include "tap.h"

static struct ring_sub s;
static struct ring_wrk w;

static void
start(struct ring_shm *shm, uint64_t pos, uint64_t done)
{
	memset(shm->word, 0, sizeof shm->word);
	memset(shm->done, 0, sizeof shm->done);
	atomic_store(&shm->consumed, done);
	s = (struct ring_sub){ .shm = shm, .tail = pos, .seen = pos, .dhead = done, .told = done };
	w = (struct ring_wrk){ .shm = shm, .head = pos, .dtail = done, .consumed = done };
}

static bool
claims(uint32_t want)
{
	uint32_t slot = 0;

	return ring_claim(&w, &slot) && slot == want;
}

static bool
nothing(void)
{
	uint32_t slot;

	return !ring_claim(&w, &slot);
}

/* n rounds of push, revoke every third, claim: all in order; starting anywhere */
static bool
laps(struct ring_shm *shm, uint64_t pos, unsigned n)
{
	start(shm, pos, pos);
	for (unsigned i = 0; i < n; i++) {
		struct done *d;

		if (ring_ready(&w) || ring_unclaimed(&s, RING_WORDS) >= RING_WORDS)
			return false;
		ring_push(&s, i + 1);
		ring_push(&s, i + 1000000);
		if (!ring_ready(&w))
			return false;
		if (i % 3 == 0 && (!ring_revoke(&s, s.tail - 2, i + 1) || ring_revoke(&s, s.tail - 2, i + 1)))
			return false;
		if (i % 3 != 0 && (!claims(i + 1) || ring_revoke(&s, s.tail - 2, i + 1)))
			return false;
		if (!claims(i + 1000000) || !nothing() || ring_room(&w) == 0)
			return false;
		if (ring_completion(&s))
			return false;
		d = ring_next_done(&w);
		d->slot = i;
		ring_publish(&w);
		if ((d = ring_completion(&s)) == NULL || d->slot != i)
			return false;
		ring_take(&s);
		ring_tell(&s);
	}
	return true;
}

static void
full(struct ring_shm *shm)
{
	start(shm, 5, 5);
	for (uint32_t i = 0; i < RING_WORDS; i++) {
		if (ring_unclaimed(&s, RING_WORDS) >= RING_WORDS)
			break;
		ring_push(&s, i);
	}
	ok(s.tail == 5 + RING_WORDS && ring_unclaimed(&s, RING_WORDS) == RING_WORDS);
	ok(ring_revoke(&s, 5, 0) && ring_unclaimed(&s, RING_WORDS) == RING_WORDS);	/* not free before it is skipped */
	ok(claims(1));
	ok(ring_unclaimed(&s, RING_WORDS) < RING_WORDS);
	ok(ring_unclaimed(&s, 1) == RING_WORDS - 2);	/* exact when asked down to nothing */
	ring_push(&s, 77);
	for (uint32_t i = 2; i < RING_WORDS; i++)
		if (!claims(i))
			break;
	ok(claims(77) && nothing() && ring_unclaimed(&s, 1) == 0);

	for (unsigned i = 0; i < RING_DONES; i++) {
		if (ring_room(&w) != RING_DONES - i)
			break;
		ring_publish(&w);
	}
	ok(ring_room(&w) == 0);
	ok(ring_completion(&s) != NULL);
	ring_take(&s);
	ok(ring_room(&w) == 0);			/* taken is not told */
	ring_tell(&s);
	ok(ring_room(&w) == 1);
}

static void
garbled(struct ring_shm *shm)
{
	start(shm, 0, 0);
	ring_push(&s, 9);
	atomic_store(&shm->word[0], ring_word(0, RING_CLAIMED, 9));
	ok(nothing() && !ring_ready(&w));	/* else a worker would stay awake for it */
	atomic_store(&shm->word[0], ring_word(0, RING_IDLE, 9));
	ok(nothing() && !ring_ready(&w));
	atomic_store(&shm->word[0], ring_word(RING_WORDS, RING_QUEUED, 9));	/* a lap ahead */
	ok(nothing());
	atomic_store(&shm->consumed, 1000000);
	ok(ring_room(&w) == RING_DONES);	/* not asked while there is room */
	for (unsigned i = 0; i < RING_DONES; i++)
		ring_publish(&w);
	ok(ring_room(&w) == 0);
	start(shm, 0, 0);
	atomic_store(&shm->done[0].seq, 7);
	ok(ring_completion(&s) == NULL);
}

int
main(void)
{
	const uint64_t wrap = (UINT64_C(1) << 30) * RING_WORDS;
	int fd = ring_create("ring");
	struct ring_shm *shm = NULL;

	ok(fd >= 0 && ring_map(fd, &shm) == 0 && shm->magic == RING_MAGIC);
	close(fd);
	start(shm, 0, 0);
	ok(nothing() && !ring_ready(&w) && ring_unclaimed(&s, 1) == 0);
	ok(laps(shm, 0, 1000));
	ok(laps(shm, wrap - 2 * RING_WORDS - 3, 1000));	/* the lap number passes 2^30 on the way */
	full(shm);
	garbled(shm);
	ring_unmap(shm);
	return tap_done();
}
