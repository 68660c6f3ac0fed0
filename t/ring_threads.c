/* ring_threads.c - ring, slab and bell at full speed between two threads: what TSan can see of them is in order */
#include <pthread.h>
#include <unistd.h>
#include "hammer.h"
#include "tap.h"

static void *
worker(void *arg)
{
	struct wside *x = arg;

	return (void *)(intptr_t)worker_main(x);
}

int
main(void)
{
	int rfd = ring_create("ring"), sfd = slab_create("sub"), wfd = slab_create("wrk");
	static struct nodepage np;
	static struct sside s;
	static struct wside w;
	static struct slab ss, ws;
	struct ring_shm *shm = NULL;
	void *ret = NULL;
	pthread_t t;
	int e;

	ok(ring_map(rfd, &shm) == 0 && slab_init(&ss, sfd) == 0 && slab_init(&ws, wfd) == 0);
	s.s = (struct side){ .np = &np, .me = &np.bell[0], .peer = &np.bell[1], .shm = shm, .own = &ss, .other = { ws.base } };
	w.s = (struct side){ .np = &np, .me = &np.bell[1], .peer = &np.bell[0], .shm = shm, .own = &ws, .other = { ss.base } };
	s.r.shm = w.w.shm = shm;
	w.die_after = -1;
	atomic_store(&np.awake, 2);
	submitter_start(&s, 30000);
	ok(pthread_create(&t, NULL, worker, &w) == 0);
	e = submitter_main(&s, s.n);
	ok(e == 0);
	if (e < 0)
		printf("# submitter: %d, %u done\n", e, s.done);
	ring_push(&s.r, STOP);
	bell_ring(&np, s.s.peer);
	ok(pthread_join(t, &ret) == 0 && ret == NULL);
	ok(s.done == s.n && ss.used == 0 && s.revoked > 0);
	ok(atomic_load(&np.awake) == 2);
	printf("# %lu revoked, %lu + %lu sleeps\n", s.revoked, s.s.sleeps, w.s.sleeps);
	submitter_end(&s);
	ring_unmap(shm);
	slab_release(&ss);
	slab_release(&ws);
	close(rfd);
	close(sfd);
	close(wfd);
	return tap_done();
}
