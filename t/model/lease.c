/* lease.c - a called-back lease ends with nothing running; what lies before a blocked worker runs elsewhere */
#define RING_DONES 2u
#include "ends.h"

enum { RBELL = RLET };			/* rlet's bell stands for its sockets */

static uint32_t said, answer;		/* messages: worker -> rlet "blocked", submitter -> worker "your result" */
static bool blocks;			/* the scenario: task 0 waits for task 1, or the lease is called back */
static bool careless;			/* rlet rings for "blocked" only, not when it is over */

/*
 * The submitter looks at want and blocked wherever it looks for completions.  What was taken back runs
 * elsewhere, which is: here.
 */
static void
elsewhere(struct sub *s, unsigned t)
{
	check(g.run[t] == 0);
	g.run[t]++;
	g.done[t]++;
	s->todo &= (uint8_t)~(1u << t);
	s->done++;
	if (t == 1) {
		atomic_store_explicit(&answer, 1, memory_order_release);
		bell_ring(&np, &np.bell[WRK]);
	}
}

static void
take_all_back(struct sub *s)
{
	ring_unclaimed(&s->r, 0);
	for (uint64_t p = s->r.tail; p-- > s->r.seen;)
		take_back(s, p);
}

static bool
in_flight(const struct sub *s)
{
	return s->rec[0] || s->rec[1] || s->rec[2];
}

static void
give_back(void)
{
	check(!g.running);
	g.returned = true;
}

/* how things stand now; what was taken back because the worker is blocked may be what it waits for */
static void
heed_blocked(struct sub *s, uint32_t *blocked)
{
	if (atomic_load_explicit(&shm.blocked, memory_order_relaxed) == *blocked)
		return;
	*blocked = !*blocked;
	if (*blocked) {
		take_all_back(s);
		if (s->todo & 2)
			elsewhere(s, 1);
	}
}

static void
submitter(void)
{
	struct sub s = { .r = { .shm = &shm }, .todo = (uint8_t)((1u << tasks) - 1) };
	uint32_t blocked = 0, want = 0;

	for (;;) {
		harvest(&s);
		if (blocks)
			heed_blocked(&s, &blocked);
		else if ((want = atomic_load_explicit(&shm.want, memory_order_relaxed)) != 0)
			take_all_back(&s);
		if ((want || s.done == tasks) && !in_flight(&s)) {
			give_back();
			break;
		}
		if (!want && !blocked && can_push(&s)) {
			push(&s);
			continue;
		}
		bell_arm(&np.bell[SUB]);
		if (ring_completion(&s.r) || (!want && !blocked && can_push(&s)) ||
		    (blocks && atomic_load_explicit(&shm.blocked, memory_order_relaxed) != blocked) ||
		    (!blocks && !want && atomic_load_explicit(&shm.want, memory_order_relaxed)))
			bell_disarm(&np.bell[SUB]);
		else
			bell_sleep(&np, &np.bell[SUB], -1);
	}
	while (s.todo)
		elsewhere(&s, (unsigned)__builtin_ctz(s.todo));
}

static void
tell_rlet(uint32_t what)
{
	atomic_store_explicit(&said, what, memory_order_release);
	bell_ring(&np, &np.bell[RBELL]);
}

/* a get inside task 0 */
static void
wait_for_answer(void)
{
	if (atomic_load_explicit(&answer, memory_order_acquire))
		return;
	tell_rlet(1);
	while (!atomic_load_explicit(&answer, memory_order_acquire)) {
		bell_arm(&np.bell[WRK]);
		if (atomic_load_explicit(&answer, memory_order_acquire))
			bell_disarm(&np.bell[WRK]);
		else
			bell_sleep(&np, &np.bell[WRK], -1);
	}
	tell_rlet(2);
}

static bool
worker_look(struct ring_wrk *r, bool room)
{
	if (room)
		return ring_room(r) != 0;
	return ring_ready(r) && (blocks || atomic_load_explicit(&shm.want, memory_order_relaxed) != 2);
}

static bool
worker_rest(struct ring_wrk *r, bool room)	/* false: the lease is over */
{
	if (r->skipped) {
		r->skipped = false;
		bell_ring(&np, &np.bell[SUB]);
	}
	bell_arm(&np.bell[WRK]);
	if (atomic_load_explicit(&shm.dead, memory_order_acquire)) {
		bell_disarm(&np.bell[WRK]);
		return false;
	}
	if (worker_look(r, room))
		bell_disarm(&np.bell[WRK]);
	else
		bell_sleep(&np, &np.bell[WRK], -1);
	return true;
}

static void
worker(void)
{
	struct ring_wrk r = { .shm = &shm };
	uint32_t slot, t;

	for (;;) {
		if ((!blocks && atomic_load_explicit(&shm.want, memory_order_relaxed) == 2) || !ring_claim(&r, &slot)) {
			if (!worker_rest(&r, false))
				return;
			continue;
		}
		check(!g.returned);
		g.running = true;
		t = (uint32_t)plain_get(&rec[slot]) - 1;
		check(g.run[t] == 0);
		g.run[t]++;
		if (t == 0 && blocks)
			wait_for_answer();
		while (ring_room(&r) == 0)
			worker_rest(&r, true);
		plain_set(&ring_next_done(&r)->slot, slot);
		g.running = false;
		ring_publish(&r);
		bell_ring(&np, &np.bell[SUB]);
	}
}

static void
end_lease(void)
{
	model_await(SUB);		/* its message that the lease is back */
	atomic_fetch_or(&shm.dead, RING_CLOSED);
	bell_rescue(&np, &np.bell[WRK]);
}

static void
rlet_wants(void)
{
	uint32_t begin = strong ? 1 : 2;	/* at once, to save states: the two only differ for the worker */

	for (uint32_t level = begin; level <= 2; level++) {
		atomic_store(&shm.want, level);
		if (level == begin)
			bell_ring(&np, &np.bell[SUB]);
	}
	end_lease();
}

static void
rlet_hears(void)
{
	uint32_t heard = 0, now;

	while (heard != 2) {
		bell_arm(&np.bell[RBELL]);
		if ((now = atomic_load_explicit(&said, memory_order_acquire)) == heard) {
			bell_sleep(&np, &np.bell[RBELL], -1);
			continue;
		}
		bell_disarm(&np.bell[RBELL]);
		heard = now;
		atomic_store(&shm.blocked, heard == 1);
		if (heard == 1 || !careless)
			bell_ring(&np, &np.bell[SUB]);
	}
	end_lease();
}

static void
init(void)
{
	memset(&np, 0, sizeof np);
	memset(&shm, 0, sizeof shm);
	said = answer = 0;
}

static void
all_over(void)
{
	check(finished(SUB));
	check(finished(WRK));
	check(g.returned && !g.running);
	for (unsigned t = 0; t < tasks; t++)
		check(g.run[t] == 1 && g.done[t] == 1);
}

int
main(void)
{
	static const struct mutation bad[] = {
		{ "ring_revoke", OP_CAS, SPLIT },
		{ "bell_arm", OP_FENCE, SKIP },
		{ "bell_ring", OP_FENCE, SKIP },
	};
	struct scenario s = {
		.name = "called back", .actors = 3, .actor = { submitter, worker, rlet_wants },
		.who = { "submitter", "worker", "rlet" }, .ghost = &g, .ghostlen = sizeof g,
		.light = &np, .lightlen = sizeof np, .init = init, .rest = all_over,
	};

	tasks = 1;
	explore_all(&s, bad, 3);
	s.name = "called back, two tasks";
	s.strong = true;
	tasks = 2;
	explore_all(&s, bad, 1);
	s.name = "blocked";
	s.actor[RLET] = rlet_hears;
	blocks = true;
	tasks = 3;
	explore_all(&s, NULL, 0);
	careless = true;
	ok(!explore(&s, (struct mutation){ "", 0, SKIP }));	/* the submitter holds tasks back and nobody tells */
	return tap_done();
}
