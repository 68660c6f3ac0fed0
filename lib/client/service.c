/*
 * service - the thread beside the main thread: no duty of an owner waits for user code.
 *
 * It sleeps on the socket to rlet, a descriptor for nudges and the next timer.  While tasks are under way and the
 * main thread is neither waiting nor calling in, it looks at the rings itself, every TICK_NS; otherwise it has no
 * timer at all ("deep").  It never enters Lua and never waits for anything with the lock held.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "client/inner.h"
#include "os/sig.h"

#define TICK_NS 1000000u
#define TICK_MAX_NS 4000000u
#define TICK_WAIT_NS 64000000u
#define SILENCE_NS UINT64_C(100000000)
#define SILENCE_MAX 128u	/* times that */
#define QUIET_TICKS 8		/* ticks without work before it goes deep */

/* a look without the lock, which the main thread needs at each call; who adds a timer or leaves a backlog nudges us */
static UNLOCKED bool
nothing_due(const struct client *c)
{
	return __atomic_load_n(&c->timers.len, __ATOMIC_RELAXED) == 0 && __atomic_load_n(&c->out.len, __ATOMIC_RELAXED) == 0;
}

static int64_t
timeout_ns(struct client *c, uint64_t tick, bool *backlog)
{
	uint64_t at, now;

	*backlog = false;
	if (nothing_due(c))
		return tick ? (int64_t)tick : -1;
	lock_take(&c->lock);
	at = timers_next_l(c);
	*backlog = link_backlog_l(c);
	lock_drop(&c->lock);
	if (at == WAIT_FOREVER)
		return tick ? (int64_t)tick : -1;
	now = clock_ns();
	at = at > now ? at - now : 0;
	return (int64_t)(tick && tick < at ? tick : at);
}

static void
serve_socket(struct client *c)
{
	lock_take(&c->lock);
	link_read_l(c);
	c->news = true;
	lock_drop(&c->lock);
	bell_ring(c->np, c->bell);
}

static void
serve_timers(struct client *c)
{
	struct heap_node *n;

	if (nothing_due(c))
		return;
	lock_take(&c->lock);
	n = heap_top(&c->timers);
	if (n && n->at <= clock_ns()) {
		timers_l(c, clock_ns());
		c->news = true;
		lock_drop(&c->lock);
		bell_ring(c->np, c->bell);
		return;
	}
	lock_drop(&c->lock);
}

/*
 * Its worker was rung and begins nothing: it is stopped, or gets no CPU.  After a while others take over what lies
 * before it, and it is given nothing until it arms its bell again, as it does when it wakes up and finds nothing.
 */
static void
silent_l(struct client *c, struct lease *l)
{
	uint64_t now = clock_ns();

	if (l->silent == 0)
		l->silent = now;
	if (now - l->silent < SILENCE_NS * (l->patience ? l->patience : 1))
		return;
	lease_takeback_l(c, l);
	if (l->inflight == 0) {
		l->slow = l->mute = true;
		l->patience = l->patience == 0 ? 2 : l->patience < SILENCE_MAX ? 2 * l->patience : l->patience;
	}
	l->silent = 0;
}

bool
lease_lives_l(struct lease *l)
{
	if (!l->mute || atomic_load_explicit(&l->bell->word, memory_order_relaxed) == 0)
		return false;
	l->slow = l->mute = false;
	return true;
}

/* tasks before this worker that it has not begun: neither words that name objects to be freed, nor those taken back */
static unsigned
waiting_l(const struct lease *l)
{
	const struct ring_sub *g = &l->ring;
	unsigned n = 0;

	for (uint64_t pos = g->seen; pos < g->tail; pos++) {
		uint64_t w = atomic_load_explicit(&g->shm->word[pos % RING_WORDS], memory_order_relaxed);

		n += ring_claim_of(w) == RING_QUEUED && !((uint32_t)w & RING_FREE);
	}
	return n;
}

/* some worker has not begun any of what lies before it: it is to be looked at again */
static bool
some_silent_l(struct client *c)
{
	for (unsigned i = 0; i < c->nactive; i++) {
		struct lease *l = c->active[i];

		if (l->shape && l->inflight && l->ring.dhead == l->tick_dhead && waiting_l(l) >= l->inflight)
			return true;
	}
	return false;
}

/* for a tick: nothing waits behind a long task that was taken for a short one, idle workers do not wait with it */
static void
nothing_ended_l(struct client *c)
{
	leases_idle_l(c);
	for (unsigned i = 0; i < c->nlease; i++) {
		struct lease *l = c->lease[i];

		if (!l || !l->shape)
			continue;
		if (l->ring.dhead != l->tick_dhead || l->slow || l->inflight == 0) {
			l->silent = 0;
		} else if (waiting_l(l) >= l->inflight) {
			silent_l(c, l);
		} else {
			lease_takeback_l(c, l);
			if (l->inflight > 1)		/* a worker of another node, maybe: some lie before it there */
				LINK_SEND(c, cancel, .lease = l->number);
			l->slow = l->inflight > 0;
			l->silent = 0;
		}
		l->tick_dhead = l->ring.dhead;
	}
	c->stuck = true;
	for (unsigned i = 0; i < c->nshape; i++)
		if (c->shape[i]->queued)
			feed_l(c, c->shape[i]);
	c->stuck = false;
}

/* true while there is work that the main thread may leave lying; a main thread that calls in is left alone */
static bool
serve_rings(struct client *c, uint64_t *polls, bool *moved, bool *waits)
{
	uint64_t now = atomic_load(&c->polls);
	bool work;

	*waits = false;
	if ((*moved = now != *polls)) {
		*polls = now;
		return true;
	}
	lock_take(&c->lock);
	work = c->running + c->queued > 0;
	if (!atomic_load(&c->waiting) && work)
		*moved = progress_l(c);
	if (work && !*moved)
		nothing_ended_l(c);
	page_set(c->page, CNT_QUEUED, c->queued);
	*waits = c->queued > 0 || c->running > c->nactive || some_silent_l(c);
	if (c->drops.len + c->holds.len)
		link_drops_l(c);
	if (link_backlog_l(c))
		link_flush_l(c);
	lock_drop(&c->lock);
	return work;
}

static void *
serve(void *arg)
{
	struct client *c = arg;
	uint64_t polls = 0, tick = TICK_NS;
	unsigned quiet = 0;
	bool waits = false;

	while (!atomic_load(&c->stop)) {
		struct pollfd p[2] = { { .fd = c->nudge, .events = POLLIN }, { .fd = c->sock, .events = POLLIN } };
		struct timespec ts;
		int64_t ns;
		bool moved, backlog, deep = quiet >= QUIET_TICKS && !waits;
		uint64_t junk;

		if (deep) {			/* whoever submits from now on nudges; then look once more */
			atomic_store(&c->deep, true);
			if ((serve_rings(c, &polls, &moved, &waits) && !atomic_load(&c->waiting)) || moved || waits) {
				atomic_store(&c->deep, false);
				deep = false;
				quiet = 0;
			} else {
				lock_take(&c->lock);
				leases_idle_l(c);
				lock_drop(&c->lock);
			}
		}
		ns = timeout_ns(c, deep ? 0 : tick, &backlog);
		ts = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
		if (backlog)
			p[1].events |= POLLOUT;
		if (ppoll(p, c->lost ? 1 : 2, ns < 0 ? NULL : &ts, NULL) > 0) {
			if (p[0].revents && read(c->nudge, &junk, sizeof junk) == sizeof junk)
				quiet = 0;
			if (p[1].revents)
				serve_socket(c);
		}
		if (deep)
			atomic_store(&c->deep, false);
		serve_timers(c);
		if (serve_rings(c, &polls, &moved, &waits) && !atomic_load(&c->waiting)) {
			quiet = 0;
			tick = moved ? TICK_NS : tick < TICK_MAX_NS ? tick * 2 : tick;
		} else {
			quiet = deep ? QUIET_TICKS : quiet + 1;
			if (waits && quiet >= QUIET_TICKS)	/* the main thread waits and serves; a look now and then */
				tick = moved ? TICK_NS : tick < TICK_WAIT_NS ? tick * 2 : tick;
		}
	}
	return NULL;
}

void
service_nudge_l(struct client *c)
{
	uint64_t one = 1;

	if (!c->serving)
		return;				/* a worker that owns nothing yet: its main thread does it all */
	atomic_store_explicit(&c->deep, false, memory_order_relaxed);
	if (write(c->nudge, &one, sizeof one) < 0)
		return;				/* full: it will wake up all the same */
}

int
service_start(struct client *c)
{
	pthread_attr_t a;
	sigset_t old;
	int e;

	if (c->serving)
		return 0;
	if ((c->nudge = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK)) < 0)
		return -errno;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 128 << 10);
	sig_block(&old);
	c->serving = true;
	e = pthread_create(&c->service, &a, serve, c);
	sig_restore(&old);
	pthread_attr_destroy(&a);
	if (e) {
		close(c->nudge);
		c->serving = false;
		return -e;
	}
	return 0;
}

void
service_stop(struct client *c)
{
	uint64_t one = 1;

	if (!c->serving)
		return;
	atomic_store(&c->stop, true);
	if (write(c->nudge, &one, sizeof one) < 0)
		return;
	pthread_join(c->service, NULL);
	close(c->nudge);
	c->serving = false;
}
