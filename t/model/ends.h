/* ends.h - what the models of ring and lease have in common: the submitter's books, with checks */
#ifndef MODEL_ENDS_H
#define MODEL_ENDS_H

#define RING_WORDS 2u
#ifndef RING_DONES
#define RING_DONES 1u
#endif
#define NODEPAGE_BELLS 3u
#include "explore.h"
#include "ring/bell.h"
#include "ring/bell.c"
#include "ring/ring.h"

enum { SUB, WRK, RLET };
enum { TASKS = 4, RECS = 3, STOP = 99 };

static struct nodepage np;
static struct ring_shm shm;
static uint32_t rec[RECS];		/* plain: the records, the task + 1 in each */
static unsigned tasks;
static struct {
	uint8_t run[TASKS], done[TASKS], back[TASKS];	/* by task: how often */
	uint8_t claimed;		/* after a death: claimed and not done */
	uint8_t unclaimed;
	bool returned, running;		/* the lease */
} g;

/* ---- the submitter ---- */
struct sub {
	struct ring_sub r;
	uint8_t rec[RECS];		/* task + 1 that uses it */
	uint8_t at[RING_WORDS];		/* record at each position */
	uint8_t todo;			/* mask of tasks to be pushed */
	uint8_t done;			/* how many */
	uint8_t takebacks;
};

static bool
can_push(struct sub *s)
{
	return s->todo && ring_unclaimed(&s->r, RING_WORDS) < RING_WORDS &&
	    !(s->rec[0] && s->rec[1] && s->rec[2]);
}

static void
push(struct sub *s)
{
	unsigned t = (unsigned)__builtin_ctz(s->todo), i = 0;

	while (s->rec[i])
		i++;
	s->rec[i] = (uint8_t)(t + 1);
	s->todo &= (uint8_t)~(1u << t);
	s->at[s->r.tail % RING_WORDS] = (uint8_t)i;
	plain_set(&rec[i], t + 1);
	ring_push(&s->r, i);
	bell_ring(&np, &np.bell[WRK]);
}

static bool
take_back(struct sub *s, uint64_t pos)
{
	unsigned i = s->at[pos % RING_WORDS], t = s->rec[i] - 1u;

	if (!ring_revoke(&s->r, pos, i))
		return false;
	g.back[t]++;
	check(g.run[t] == 0);
	s->todo |= (uint8_t)(1u << t);
	s->rec[i] = 0;
	return true;
}

static void
harvest(struct sub *s)
{
	struct done *d;

	while ((d = ring_completion(&s->r))) {
		unsigned i = (unsigned)plain_get(&d->slot), t = s->rec[i] - 1u;

		check(s->rec[i] != 0 && g.run[t] == 1 && g.done[t] == 0);
		g.done[t]++;
		s->done++;
		s->rec[i] = 0;
		ring_take(&s->r);
	}
	if (ring_tell(&s->r))
		bell_ring(&np, &np.bell[WRK]);
}

#endif
