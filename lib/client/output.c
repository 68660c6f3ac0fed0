/*
 * output - what a worker prints goes to its log, which rlet follows.  The status page says whose it is: a task is
 * marked there when it prints for the first time, so one that does not pays nothing.  A worker that prints faster than
 * rlet follows waits a little, but only while rlet gets on: no daemon, and no reader of its driver, can block it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "client/inner.h"

#define LOOK (64u << 10)		/* bytes printed between two looks at how far rlet is */
#define AHEAD (1u << 20)		/* bytes that it may be behind before we wait */
#define PATIENCE 100			/* ms without any progress of its, after which we do not wait for it */

static void
mark(struct client *c, uint64_t task)
{
	struct page *p = c->page;
	uint64_t n = atomic_load_explicit(&p->marks, memory_order_relaxed);
	struct page_mark *m = &p->mark[n % PAGE_MARKS];
	off_t at = lseek(STDOUT_FILENO, 0, SEEK_END);

	atomic_store_explicit(&m->seq, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	m->at = at < 0 ? 0 : (uint64_t)at;
	m->task = task;
	memcpy(m->name, p->fn, sizeof m->name);
	atomic_store_explicit(&m->seq, n + 1, memory_order_release);	/* rlet copies, then looks at seq again */
	atomic_store_explicit(&p->marks, n + 1, memory_order_release);
	c->prints.task = task;
	c->prints.proc = atomic_load_explicit(&p->submitter, memory_order_relaxed);
	c->prints.any = true;
}

static void
brake(struct client *c)
{
	uint64_t read = atomic_load(&c->bell->log_read), was = read;
	const struct timespec ms = { .tv_nsec = 1000000 };

	if (read + 1 == c->prints.stuck_at)	/* it did not get on the last time either */
		return;
	for (unsigned i = 0; i < PATIENCE; i++) {
		off_t end = lseek(STDOUT_FILENO, 0, SEEK_END);

		read = atomic_load(&c->bell->log_read);
		if (end < 0 || (uint64_t)end <= read + AHEAD)
			return;
		if (read != was) {
			was = read;
			i = 0;
		}
		nanosleep(&ms, NULL);
	}
	c->prints.stuck_at = read + 1;
}

void
serve_prints(struct client *c, size_t n)
{
	uint64_t task;

	if (atomic_exchange_explicit(&c->prints.busy, true, memory_order_acquire))
		return;				/* another thread of the task's prints too */
	task = atomic_load_explicit(&c->page->task, memory_order_relaxed);
	if (!c->prints.any || task != c->prints.task || c->prints.proc != atomic_load_explicit(&c->page->submitter, memory_order_relaxed))
		mark(c, task);
	c->prints.bytes += n;
	if (c->prints.bytes >= LOOK) {
		c->prints.bytes = 0;
		brake(c);
	}
	atomic_store_explicit(&c->prints.busy, false, memory_order_release);
}

/* The file's times change although nothing could be written: that is what tells rlet. */
void
serve_lost_print(struct client *c, size_t n, int error)
{
	atomic_fetch_add(&c->page->log_lost, n);
	if (atomic_exchange(&c->page->log_error, (uint32_t)error) == 0)
		(void)!futimens(STDOUT_FILENO, NULL);
}

void
serve_named(struct client *c, const char *name)
{
	snprintf(c->page->fn, sizeof c->page->fn, "%s", name);
}

void
serve_flush(void)
{
	if (__fpending(stdout))
		fflush(stdout);
	if (__fpending(stderr))
		fflush(stderr);
}

int
client_output(struct client *c, uint64_t deadline)
{
	struct request *rq;
	int e;

	if (c->worker || c->me.job == 0 || c->lost)
		return 0;
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)) != NULL)
		LINK_ASK(c, rq, flush, .req = rq->req);
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	e = link_request(c, rq->req, deadline, &rq);
	link_done(c, rq);
	return e;
}
