/* ring_pair.c - two processes run every task once, through sleeps, take-backs and workers that die at any point */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hammer.h"
#include "os/seg.h"
#include "ring/page.h"
#include "tap.h"

static int nodefd, slabfd;
static struct sside s;
static struct slab slab;

/* a worker with a fresh ring and slab; both ends are set up before it runs, as rlet does it */
static pid_t
hire(int die_after)
{
	int rfd = ring_create("ring"), wfd = slab_create("wrk");
	struct ring_shm *shm;
	pid_t pid;

	if (ring_map(rfd, &shm) < 0 || peerslab_map(&s.s.other, wfd) < 0)
		return -1;
	s.s.shm = shm;
	s.r = (struct ring_sub){ .shm = shm };
	atomic_store(&s.s.np->awake, 2);
	atomic_store(&s.s.peer->word, 0);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		static struct wside w;
		static struct slab own;
		struct nodepage *np;
		int e;

		if (nodepage_map(nodefd, &np) < 0 || ring_map(rfd, &w.w.shm) < 0 || slab_init(&own, wfd) < 0 ||
		    peerslab_map(&w.s.other, slabfd) < 0)
			_exit(3);
		w.s.np = np;
		w.s.me = &np->bell[1];
		w.s.peer = &np->bell[0];
		w.s.shm = w.w.shm;
		w.s.own = &own;
		w.die_after = die_after;
		e = worker_main(&w);
		if (e == -EINTR)
			raise(SIGKILL);
		_exit(e < 0 ? 2 : 0);
	}
	close(rfd);
	close(wfd);
	return pid;
}

static void
let_go(void)
{
	peerslab_unmap(&s.s.other);
	ring_unmap(s.s.shm);
}

/*
 * After a death: drain first, then each task is done, claimed or unclaimed.  All that is not done goes back.
 * Returns how many were claimed and not done, or < 0 if the books do not balance.
 */
static int
settle(void)
{
	uint32_t pushed = 0, claimed = 0;
	int e;

	if ((e = harvest(&s)) < 0)
		return e;
	for (uint64_t p = s.r.seen; p < s.r.tail; p++) {
		uint64_t w = atomic_load(&s.s.shm->word[p % RING_WORDS]);
		uint32_t t = s.at[p % RING_WORDS];

		if (ring_claim_of(w) == RING_QUEUED && s.task[t] != PUSHED)
			return -EPROTO;		/* done and never claimed */
	}
	take_back(&s, RING_WORDS);
	for (uint32_t t = 0; t < s.next; t++)
		pushed += s.task[t] == PUSHED;
	for (uint32_t t = 0; t < s.next; t++)
		if (s.task[t] == PUSHED) {	/* its record stays unknown here: only its number matters */
			s.task[t] = NEW;
			s.back[s.nback++] = t;
			claimed++;
		}
	return pushed == claimed ? (int)claimed : -EPROTO;
}

static void
lives(uint32_t n)
{
	pid_t pid;
	int st = -1, e;

	submitter_start(&s, n);
	ok((pid = hire(-1)) > 0);
	e = submitter_main(&s, n);
	ok(e == 0 && s.done == n);
	if (e < 0)
		printf("# submitter: %d, %u done\n", e, s.done);
	ring_push(&s.r, STOP);
	bell_ring(s.s.np, s.s.peer);
	ok(waitpid(pid, &st, 0) == pid && st == 0);
	ok(slab.used == 0 && s.revoked > 0);
	printf("# %lu revoked, %lu sleeps\n", s.revoked, s.s.sleeps);
	let_go();
	submitter_end(&s);
}

/* worker after worker, half killed by themselves after a completion, half by us at some point */
static void
deaths(unsigned rounds)
{
	unsigned bad = 0, own = 0;
	uint32_t total = 0;

	memset(&s.r, 0, sizeof s.r);
	s.done = s.next = s.nback = 0;
	submitter_start(&s, rounds * 1000);
	for (unsigned i = 0; i < rounds; i++) {
		bool self = i % 2;
		uint32_t until = s.done + (uint32_t)(mix(s.seed + i) % 300);
		pid_t pid = hire(self ? (int)(mix(i) % 200) : -1);
		int st = 0, e = 0;

		if (pid < 0) {
			bad++;
			break;
		}
		if (self)
			for (unsigned k = 0; k < RING_DEPTH; k++)
				submit_one(&s);		/* it dies whenever it does, of at most this */
		else {
			e = submitter_main(&s, until);
			for (unsigned k = mix(i) % RING_DEPTH; k; k--)
				submit_one(&s);
			kill(pid, SIGKILL);
		}
		if (self) {				/* it may live on, idle */
			while (s.s.shm && s.done < until && waitpid(pid, &st, WNOHANG) == 0 && s.r.tail < 400)
				if (harvest(&s) < 0 || !submit_one(&s))
					usleep(50);
			kill(pid, SIGKILL);
		}
		waitpid(pid, &st, 0);
		own += self;
		if (e < 0 || (e = settle()) < 0 || e > 1) {
			printf("# round %u: %d, %u done\n", i, e, s.done);
			bad++;
		}
		total += e > 0;
		let_go();
	}
	ok(bad == 0);
	ok(own == rounds / 2);
	printf("# %u rounds, %u tasks done, %u died running one\n", rounds, s.done, total);
	submitter_end(&s);
}

int
main(void)
{
	struct nodepage *np = NULL;

	nodefd = nodepage_create("node", 1, 2);
	slabfd = slab_create("sub");
	ok(nodepage_map(nodefd, &np) == 0 && slab_init(&slab, slabfd) == 0);
	s.s.np = np;
	s.s.me = &np->bell[0];
	s.s.peer = &np->bell[1];
	s.s.own = &slab;
	s.seed = (uint64_t)getpid();
	printf("# seed %llu\n", (unsigned long long)s.seed);
	lives(30000);
	deaths(100);
	seg_unmap(np, sizeof *np);
	slab_release(&slab);
	return tap_done();
}
