/* client_glance.c - the main thread looks at the rings to its worker, without the lock, while the service thread brings and takes some */
#include <pthread.h>
#include <unistd.h>
#include "client/inner.h"
#include "client/inring.h"
#include "client/serve.h"
#include "tap.h"

enum { ROUNDS = 300, KEPT = 9 };		/* so many at a time; the oldest goes */

static struct client c;
static struct nodepage np;
static struct ring_sub sub;			/* our end of the last ring */
static _Atomic bool over;

static void
bring(uint64_t lease, int slab)
{
	struct msg_ring m = { .lease = lease, .proc = 7, .bell = lease % 4, .cpus = 1000 };
	int fd = ring_create("test");

	if (ring_map(fd, &sub.shm) < 0)
		abort();
	sub.tail = sub.seen = 0;
	lock_take(&c.lock);
	serve_ring_l(&c, &m, fd, slab);
	lock_drop(&c.lock);
	close(fd);
}

static void *
service(void *arg)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		bring(i, *(int *)arg);
		if (i < ROUNDS)
			ring_unmap(sub.shm);
		if (i <= KEPT || i == ROUNDS)
			continue;
		lock_take(&c.lock);
		serve_unring_l(&c, i - KEPT);
		lock_drop(&c.lock);
	}
	atomic_store(&over, true);
	return NULL;
}

int
main(void)
{
	int slab = slab_create("test");
	unsigned wrong = 0;
	pthread_t t;

	c.np = &np;
	for (unsigned i = 0; i < 4; i++)
		atomic_store(&np.bell[i].cpu, 3);
	if (slab < 0 || pthread_create(&t, NULL, service, &slab) != 0)
		return 1;
	while (!atomic_load(&over)) {
		wrong += serve_glance(&c) || serve_elsewhere(&c, 3);
		lock_take(&c.lock);
		if (c.dead_inrings)
			inrings_bury_l(&c);
		lock_drop(&c.lock);
	}
	pthread_join(t, NULL);
	ok(wrong == 0);				/* nothing lay in any, all were on one CPU */
	ok(c.ninring == KEPT + 1);
	ok(serve_elsewhere(&c, 2));
	ring_push(&sub, 1);
	ok(serve_glance(&c));
	lock_take(&c.lock);
	serve_unring_l(&c, ROUNDS);
	ok(c.ninring == KEPT && !serve_glance(&c));
	lock_drop(&c.lock);
	return tap_done();
}
