/*
 * fd - the bell as a descriptor, for a program that lives in an event loop.
 *
 * Whoever has news rings the bell, a futex word that no event loop can wait for.  So a thread of ours sleeps on it in
 * the main thread's place: rung, it writes to an eventfd and rests until client_poll arms it again.  While the main
 * thread itself waits in the runtime the thread is parked; what came meanwhile is told afterwards.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "client/inner.h"
#include "os/sig.h"

enum { PARK, ARMED, STOP };

struct fdmode {
	pthread_t thread;
	int fd;
	_Atomic uint32_t order;		/* what the thread is to do; it parks itself when it has told */
	_Atomic uint32_t at;		/* 1 while it is about the bell */
};

static void
tell(struct fdmode *f)
{
	uint64_t one = 1;

	if (write(f->fd, &one, sizeof one) < 0)
		return;				/* full: it is readable */
}

static bool
something(struct client *c)			/* that nobody has told of */
{
	bool is;

	lock_take(&c->lock);
	is = c->news;
	for (unsigned i = 0; i < c->nactive && !is; i++)
		is = ring_completion(&c->active[i]->ring) != NULL;
	lock_drop(&c->lock);
	return is;
}

/* until rung: true if there is something to tell */
static bool
listen_bell(struct client *c, struct fdmode *f)
{
	bool is;

	bell_arm(c->bell);
	if ((is = something(c)) || atomic_load(&f->order) != ARMED)
		bell_disarm(c->bell);
	else
		is = bell_sleep(c->np, c->bell, -1) == 0;
	return is && atomic_load(&f->order) == ARMED;
}

static void *
watch(void *arg)
{
	struct client *c = arg;
	struct fdmode *f = c->fdmode;
	uint32_t armed;

	for (;;) {
		uint32_t o = atomic_load(&f->order);

		if (o == STOP)
			return NULL;
		if (o == PARK) {
			futex_wait(&f->order, PARK, -1);
			continue;
		}
		atomic_store(&f->at, 1);
		if (listen_bell(c, f)) {
			armed = ARMED;
			atomic_compare_exchange_strong(&f->order, &armed, PARK);
			tell(f);
		}
		atomic_store(&f->at, 0);
		futex_wake(&f->at, 1);
	}
}

/* the main thread takes the bell, or gives it up */
static void
order(struct client *c, uint32_t what)
{
	struct fdmode *f = c->fdmode;

	atomic_store(&f->order, what);
	futex_wake(&f->order, 1);
	if (what == ARMED)
		return;
	while (atomic_load(&f->at)) {
		bell_ring(c->np, c->bell);
		futex_wait(&f->at, 1, 1000000);	/* it may not have armed the bell yet: then once more */
	}
}

void
fd_hold(struct client *c)
{
	order(c, PARK);
}

void
fd_release(struct client *c)
{
	tell(c->fdmode);			/* what became ready meanwhile was not told */
}

void
fd_stop(struct client *c)
{
	if (!c->fdmode)
		return;
	order(c, STOP);
	pthread_join(c->fdmode->thread, NULL);
	close(c->fdmode->fd);
	free(c->fdmode);
	c->fdmode = NULL;
}

int
client_bell_fd(struct client *c)
{
	struct fdmode *f = c->fdmode;
	sigset_t old;
	int e;

	if (f)
		return f->fd;
	if (c->worker || c->crowd)
		return -EPERM;
	if ((e = service_start(c)) < 0)
		return e;
	if (!(f = calloc(1, sizeof *f)))
		return -ENOMEM;
	if ((f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
		e = -errno;
		free(f);
		return e;
	}
	c->fdmode = f;
	c->news = true;
	atomic_store(&f->order, ARMED);
	sig_block(&old);
	e = pthread_create(&f->thread, NULL, watch, c);
	sig_restore(&old);
	if (e) {
		c->fdmode = NULL;
		close(f->fd);
		free(f);
		return -e;
	}
	return f->fd;
}

static bool
never(struct client *c, void *arg)
{
	(void)c, (void)arg;
	return false;
}

/* What hooks.news looks at the thread does not: so we look, once the bell would be heard. */
static void
news_since(struct client *c, struct fdmode *f)
{
	while (atomic_load(&f->order) == ARMED && atomic_load(&c->bell->word) == 0)
		sched_yield();
	if (c->hooks.news(c->hooks.arg))
		tell(f);
}

void
client_poll(struct client *c)
{
	struct fdmode *f = c->fdmode;
	uint64_t n;

	if (f) {
		fd_hold(c);
		if (read(f->fd, &n, sizeof n) < 0)
			n = 0;			/* nothing was told */
	}
	wait_on_bell(c, never, NULL, 0);	/* a look at everything, and the chores */
	lock_take(&c->lock);
	c->news = false;			/* what came is seen by whoever called us */
	lock_drop(&c->lock);
	if (f)
		order(c, ARMED);
	if (f && c->hooks.news)
		news_since(c, f);
}
