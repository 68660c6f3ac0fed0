/* ring.c - each task runs exactly once and nobody sleeps beside work: take-backs, laps, full rings, deaths of both ends */
#include "ends.h"

static unsigned takebacks;
static uint64_t first;			/* position of the first word */
static bool tells;			/* the worker tells of places that it stepped over */

/* ---- the submitter ---- */
/* the worker is dead: what it published counts; the rest is unclaimed, or was claimed by it */
static void
settle(struct sub *s)
{
	harvest(s);
	for (uint64_t p = s->r.seen; p < s->r.tail; p++)
		if (ring_claim_of(atomic_load_explicit(&shm.word[p % RING_WORDS], memory_order_acquire)) == RING_QUEUED) {
			bool mine = take_back(s, p);

			check(mine);		/* nobody else is there */
			g.unclaimed++;
		}
	for (unsigned i = 0; i < RECS; i++)
		g.claimed += s->rec[i] != 0;
}

static void
submitter(void)
{
	struct sub s = { .r = { .shm = &shm, .tail = first, .seen = first } };

	s.todo = (uint8_t)((1u << tasks) - 1);
	s.takebacks = (uint8_t)takebacks;
	for (;;) {
		uint32_t gone = atomic_load_explicit(&shm.dead, memory_order_acquire);

		harvest(&s);
		if (gone) {
			settle(&s);
			return;
		}
		if (can_push(&s)) {
			push(&s);
			if (s.takebacks && model_choose(2) && take_back(&s, s.r.tail - 1))
				s.takebacks--;
			continue;
		}
		if (s.done == tasks && ring_unclaimed(&s.r, RING_WORDS) < RING_WORDS) {
			ring_push(&s.r, STOP);
			bell_ring(&np, &np.bell[WRK]);
			return;
		}
		bell_arm(&np.bell[SUB]);
		if (ring_completion(&s.r) || atomic_load_explicit(&shm.dead, memory_order_relaxed) || can_push(&s) ||
		    (s.done == tasks && ring_unclaimed(&s.r, RING_WORDS) < RING_WORDS))
			bell_disarm(&np.bell[SUB]);
		else
			bell_sleep(&np, &np.bell[SUB], -1);
	}
}

/* ---- the worker ---- */
static bool
worker_rest(struct ring_wrk *r, bool room)	/* false: the submitter is gone */
{
	if (r->skipped && tells) {
		r->skipped = false;
		bell_ring(&np, &np.bell[SUB]);
	}
	bell_arm(&np.bell[WRK]);
	if (atomic_load_explicit(&shm.dead, memory_order_acquire)) {
		bell_disarm(&np.bell[WRK]);
		return false;
	}
	if (room ? ring_room(r) != 0 : ring_ready(r))
		bell_disarm(&np.bell[WRK]);
	else
		bell_sleep(&np, &np.bell[WRK], -1);
	return true;
}

static void
worker(void)
{
	struct ring_wrk r = { .shm = &shm, .head = first };
	uint32_t slot, t;

	for (;;) {
		if (!ring_claim(&r, &slot)) {
			if (!worker_rest(&r, false))
				return;
			continue;
		}
		if (slot == STOP)
			return;
		check(slot < RECS);
		t = (uint32_t)plain_get(&rec[slot]) - 1;
		check(t < tasks && g.run[t] == 0);
		g.run[t]++;
		while (ring_room(&r) == 0)
			if (!worker_rest(&r, true))
				return;
		plain_set(&ring_next_done(&r)->slot, slot);
		ring_publish(&r);
		bell_ring(&np, &np.bell[SUB]);
	}
}

/* ---- rlet: tells the survivor ---- */
static void
rlet(void)
{
	unsigned who = sc->mortal == 1u << SUB ? SUB : WRK;

	if (!model_await(who))
		return;
	atomic_fetch_or(&shm.dead, who == SUB ? RING_DEAD_SUBMITTER : RING_DEAD_WORKER);
	bell_rescue(&np, &np.bell[1 - who]);
}

static void
init(void)
{
	memset(&np, 0, sizeof np);
	memset(&shm, 0, sizeof shm);
	for (unsigned i = 0; i < RING_WORDS; i++)	/* as the lap before left them */
		if (first)
			shm.word[(first + i) % RING_WORDS] = ring_word(first + i - RING_WORDS, RING_CLAIMED, 7);
}

static void
all_done(void)
{
	check(finished(SUB));
	check(finished(WRK));
	for (unsigned t = 0; t < tasks; t++)
		check(g.run[t] == 1 && g.done[t] == 1);
}

static void
survivor_knows(void)			/* each task: result published, claimed by the dead one, or never claimed */
{
	unsigned done = 0;

	check(finished(SUB) || dead(SUB));
	check(finished(WRK) || dead(WRK));
	for (unsigned t = 0; t < tasks; t++) {
		done += g.done[t];
		check(g.done[t] <= g.run[t] && g.run[t] <= 1);
	}
	check(g.claimed <= 1);
	check(!dead(WRK) || done == tasks || g.claimed + g.unclaimed + done <= tasks);
	for (unsigned t = 0; t < tasks && dead(WRK); t++)
		check(g.run[t] == g.done[t] || g.claimed == 1);
}

int
main(void)
{
	static const struct mutation bad[] = {
		{ "ring_claim", OP_CAS, SPLIT },	/* claimed and taken back */
		{ "ring_revoke", OP_CAS, SPLIT },
		{ "ring_push", OP_STORE, RELAX },	/* the word before the record */
		{ "ring_publish", OP_STORE, RELAX },	/* a half-written completion */
		{ "ring_completion", OP_LOAD, RELAX },
		{ "ring_tell", OP_STORE, RELAX },	/* overwritten while it is read */
		{ "ring_room", OP_LOAD, RELAX },
		{ "bell_ring", OP_FENCE, SKIP },
		{ "bell_arm", OP_FENCE, SKIP },
	};
	struct scenario s = {
		.name = "take-backs and laps", .actors = 2, .actor = { submitter, worker, rlet },
		.who = { "submitter", "worker", "rlet" }, .ghost = &g, .ghostlen = sizeof g, .light = &np, .lightlen = sizeof np, .init = init, .rest = all_done,
	};

	tells = true;
	tasks = getenv("ROTA_LONG") ? 3 : 2;
	takebacks = 1;
	explore_all(&s, bad, sizeof bad / sizeof bad[0]);
	s.name = "the lap number starts again";
	first = ((UINT64_C(1) << 30) - 1) * RING_WORDS - 1;
	explore_all(&s, NULL, 0);
	first = 0;
	s.name = "both places taken back";
	takebacks = 2;
	explore_all(&s, NULL, 0);
	tells = false;
	ok(!explore(&s, (struct mutation){ "", 0, SKIP }));	/* its places are free and nobody tells */
	tells = true;

	s.name = "the worker dies";
	s.actors = 3;
	s.deaths = 1;
	s.mortal = 1u << WRK;
	s.rest = survivor_knows;
	takebacks = 1;
	explore_all(&s, bad, 2);
	s.name = "the submitter dies";
	s.mortal = 1u << SUB;
	explore_all(&s, NULL, 0);
	return tap_done();
}
