/* ring_chan.c - messages of a channel keep order and bytes through laps, limits, parts, handovers and a garbling peer */
#include <pthread.h>
#include <time.h>
#include <string.h>
#include <unistd.h>
#include "ring/chan.h"
#include "tap.h"

enum { CAP = 8192, HAMMER = 30000, TURNS = 256 };	/* TURNS: looks before the CPU is given away */

static int fd;
static struct chan w, r;

static uint32_t rnd = 1;
static uint32_t
dice(uint32_t n)
{
	rnd = rnd * 1664525u + 1013904223u;
	return (rnd >> 8) % n;
}

static bool
opened(uint64_t items)
{
	chan_unmap(&w);
	chan_unmap(&r);
	if (fd > 0)
		close(fd);
	return (fd = chan_create("chan", CAP, items)) >= 0 && chan_map(fd, &w) == 0 && chan_map(fd, &r) == 0 &&
	    chan_take_writer(&w) == 0 && chan_take_reader(&r) == 0;
}

static bool
put(uint32_t seed, uint64_t n, bool more)
{
	int64_t room = chan_room(&w, n, false);

	if (room < (int64_t)n || room == 0)
		return false;
	for (uint64_t i = 0; i < n; i++)
		chan_fill(&w)[i] = (unsigned char)(seed * 31 + i);
	chan_publish(&w, n, seed & CHAN_TAG_MAX, more);
	return true;
}

static bool
got(uint32_t seed, uint64_t n, bool more)
{
	struct chan_msg m;

	if (chan_look(&r, &m) != 1 || m.n != n || m.tag != (seed & CHAN_TAG_MAX) || m.more != more)
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (m.p[i] != (unsigned char)(seed * 31 + i))
			return false;
	chan_taken(&r, &m);
	return true;
}

/* n messages of random sizes, up to 40 under way, all bytes compared */
static bool
laps(unsigned n)
{
	uint32_t size[64];
	unsigned in = 0, out = 0;

	while (out < n) {
		bool go = in < n && in - out < 40;

		size[in % 64] = dice(4) ? dice(100) : dice((uint32_t)chan_longest(&w) + 1);
		if (go && put(in, size[in % 64], false))
			in++;
		else if (out == in || !got(out, size[out % 64], false))
			return false;
		else
			out++;
	}
	return !chan_ready(&r);
}

static bool
limited(void)				/* three messages under way and no more; a last one goes all the same */
{
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 3; i++)
			if (!put(i, 8, false))
				return false;
		if (put(3, 8, false) || chan_room(&w, 8, true) <= 0)
			return false;
		for (unsigned i = 0; i < 3; i++)
			if (!got(i, 8, false))
				return false;
	}
	return put(1, 8, true) && put(1, 8, true) && put(1, 8, true) && put(1, 8, true);	/* parts are no messages */
}

static bool
spare(void)				/* a full ring has room for a last message */
{
	struct chan_msg m;
	unsigned n = 0;

	while (put(n, 100, false))
		n++;
	if (chan_room(&w, CHAN_SPARE, true) < (int64_t)CHAN_SPARE)
		return false;
	memset(chan_fill(&w), 7, CHAN_SPARE);
	chan_publish(&w, CHAN_SPARE, 9, false);
	for (unsigned i = 0; i < n; i++)
		if (!got(i, 100, false))
			return false;
	return chan_look(&r, &m) == 1 && m.n == CHAN_SPARE && m.tag == 9;
}

static bool
handover(void)				/* both ends go on elsewhere, with messages under way */
{
	if (!put(1, 1000, false) || !put(2, 3000, false) || !got(1, 1000, false))
		return false;
	chan_unmap(&w);
	chan_unmap(&r);
	if (chan_map(fd, &w) < 0 || chan_take_writer(&w) < 0 || !put(3, 2000, false))
		return false;
	return chan_map(fd, &r) == 0 && chan_take_reader(&r) == 0 && got(2, 3000, false) && got(3, 2000, false) &&
	    !chan_ready(&r) && put(4, 1, false) && got(4, 1, false);
}

static bool
garbled(void)				/* every wrong header is refused, or a message within the ring */
{
	for (unsigned i = 0; i < 100000; i++) {
		struct chan_msg m;
		uint64_t h = (uint64_t)dice(UINT32_MAX) << 40 ^ (uint64_t)dice(UINT32_MAX) << 20 ^ dice(UINT32_MAX);

		atomic_store(chan_head(&r, r.pos), h);
		if (chan_look(&r, &m) == 1 && (m.n > CAP || m.p < r.data || m.p + m.n > r.data + 2 * CAP))
			return false;
	}
	return true;
}

static bool
runaway(void)				/* a reader that claims to have read what was never written */
{
	while (put(1, 100, false))
		;
	atomic_store(&w.shm->r.pos, w.pos + 64);
	if (chan_room(&w, 100, false) >= 0)
		return false;
	atomic_store(&w.shm->r.pos, w.pos - 2 * CAP);
	if (chan_room(&w, 100, false) >= 0)
		return false;
	atomic_store(&w.shm->r.pos, w.pos);
	atomic_store(&w.shm->w.pos, 3);
	return chan_take_writer(&w) < 0;
}

/* --- two threads at full speed --- */

/* on a busy machine sched_yield gives the CPU to strangers and comes back at once: the other end never gets on */
static void
nap(void)
{
	nanosleep(&(struct timespec){ 0, 20000 }, NULL);
}

static void *
writer(void *arg)
{
	uint32_t seed = 5;

	(void)arg;
	for (unsigned i = 0; i < HAMMER; i++) {
		uint64_t n, left;

		seed = seed * 1664525u + 1013904223u;
		left = n = seed >> 8 & 1 ? (seed >> 9) % 64 : i % 97 ? (seed >> 9) % 600 : 20000;
		do {
			int64_t room;
			uint64_t part = left < chan_longest(&w) ? left : chan_longest(&w) / 2;

			for (unsigned look = 0; (room = chan_room(&w, part, false)) == 0; look++)
				if (look >= TURNS)
					nap();
			if (room < 0)
				return (void *)1;
			for (uint64_t k = 0; k < part; k++)
				chan_fill(&w)[k] = (unsigned char)(i + k);
			left -= part;
			chan_publish(&w, part, i & 0xffff, left > 0);
		} while (left > 0);
	}
	atomic_store(&w.shm->w.closed, 1);
	return NULL;
}

static unsigned
reader(void)				/* how many messages were right */
{
	unsigned good = 0, looks = 0;
	uint64_t sum = 0, want = 0, len = 0;
	uint32_t seed = 5;

	for (;;) {
		struct chan_msg m;
		unsigned over = chan_over(&r.shm->w);
		int e = chan_look(&r, &m);

		if (e < 0 || (e == 0 && over))
			return good;
		if (e == 0) {
			if (++looks >= TURNS)
				nap();
			continue;
		}
		looks = 0;
		for (uint64_t k = 0; k < m.n; k++)
			sum += m.p[k];
		for (uint64_t k = 0; k < m.n; k++)
			want += (unsigned char)(good + k);
		len += m.n;
		if (m.tag != (good & 0xffff))
			return good;
		if (!m.more) {
			uint64_t n;

			seed = seed * 1664525u + 1013904223u;
			n = seed >> 8 & 1 ? (seed >> 9) % 64 : good % 97 ? (seed >> 9) % 600 : 20000;
			if (n != len || sum != want)
				return good;
			good++;
			len = sum = want = 0;
		}
		chan_taken(&r, &m);
	}
}

int
main(void)
{
	pthread_t t;
	void *bad = NULL;
	unsigned good;
	struct chan x;

	ok(chan_create("x", 5000, 0) == -EINVAL && chan_create("x", 2048, 0) == -EINVAL && chan_create("x", CHAN_MAX * 2, 0) == -EINVAL);
	ok(opened(0) && laps(20000));
	ok(chan_map(0, &x) < 0);
	ok(opened(3) && limited());
	ok(opened(0) && spare());
	ok(opened(0) && handover());
	ok(opened(0) && garbled());
	ok(opened(0) && runaway());
	if (!ok(opened(0)) || !ok(pthread_create(&t, NULL, writer, NULL) == 0))
		return tap_done();
	good = reader();
	if (good != HAMMER) { printf("# stopped at %u\n", good); fflush(stdout); }
	ok(pthread_join(t, &bad) == 0 && !bad);
	ok(good == HAMMER);
	if (good != HAMMER)
		printf("# message %u was wrong\n", good);
	atomic_store(&r.shm->w.dead, CHAN_CRASHED);
	ok(chan_over(&r.shm->w) == (1 | CHAN_CRASHED << 8));
	chan_unmap(&w);
	chan_unmap(&r);
	close(fd);
	return tap_done();
}
