/*
 * core_spill_move.c - who waits for room gets it by moving objects within a fragmented arena, in bounded steps and moves: a model of
 * the node and its processes, whose messages come when they come.  Arguments: SEED or 0, "age": by the rule for the disk instead; then
 * one in seven fails, 18 (objects moved back and forth) and 30 too
 */
#include <stdlib.h>
#include <string.h>
#include "core/spill.h"
#include "tap.h"

#define G UINT64_C(65536)
enum { N = 96, OBJECTS = N, PROCS = 4, QUEUE = 4096, NODE = 0, FREE = -1, STEPS = 6000 };
enum { PATIENCE = 300, REFUSED = 120, ROUND = 120, MOMENT = 300 };	/* steps */

struct object {
	int at, n, owner;		/* n == 0: none */
	bool moved, asked;		/* its place is the node's; its owner was asked */
	int refused;			/* the step in which its owner said no, 0 */
	int looked;			/* somebody looks at it until then */
	uint32_t last;
};

enum { EVICT, GIVE, COLLECT, ANSWER, UNLEND };
struct note {
	uint8_t kind;
	int a, b;			/* object, answer | cell, length */
};

struct queue {
	struct note v[QUEUE];
	int from, to;
};

static struct model {
	int lent[N];			/* to whom, FREE: nobody; + PROCS: the word that it comes back is on its way */
	int obj[N];			/* which lies there, or -1 */
	bool leaving[N];		/* its borrower was told to free it */
	struct object o[OBJECTS];
	struct queue to[PROCS], from[PROCS];
	int owes[PROCS], stopped[PROCS];	/* since when; in which step it stops, 0 never */
	int step, asked, collected;
	int window, window_end;
	int moves;
} m;
static bool age;
static struct spill_row row;

static int
below(int n)
{
	return rand() % n;
}

static void
send(struct queue *q, struct note t)
{
	if (q->to == QUEUE)
		abort();
	q->v[q->to++] = t;
}

static bool
late(int p)
{
	return p != NODE && m.owes[p] && m.step - m.owes[p] > PATIENCE;
}

static void
owes(int p)
{
	if (m.owes[p] == 0)
		m.owes[p] = m.step;
}

static int			/* the first cell of a free run of n cells outside the window */
run(int n)
{
	int best = -1, len = N + 1;

	for (int i = 0; i < N;) {
		int k = i;

		while (k < N && m.lent[k] == FREE && (k < m.window || k >= m.window_end))
			k++;
		if (k - i >= n && k - i < len) {
			best = i;
			len = k - i;
		}
		i = k + 1;
	}
	return best;
}

static enum spill_kind
kind(int g)
{
	const struct object *o = m.obj[g] < 0 ? NULL : &m.o[m.obj[g]];

	if (late(m.lent[g] == FREE ? NODE : m.lent[g] % PROCS))
		return SPILL_STAYS;
	if (o == NULL)
		return SPILL_FREE;
	if (o->moved)
		return o->looked > m.step ? SPILL_STAYS : SPILL_DIRTY;
	if (late(o->owner) || (o->refused && m.step - o->refused < REFUSED))
		return SPILL_STAYS;
	return o->asked ? SPILL_LEAVING : SPILL_DIRTY;
}

static void
gather(void)
{
	spill_release(&row);
	row.granule = G;
	row.now = (uint32_t)m.step;
	for (int g = 0; g < N; g++)
		if (m.obj[g] >= 0) {
			const struct object *o = &m.o[m.obj[g]];

			spill_add(&row, &(struct spill_unit){ (uint64_t)(g + 1) * G, (uint64_t)o->n * G, (uint64_t)o->n * G, o->last, (uint8_t)kind(g) });
			g += o->n - 1;
		} else {
			spill_add(&row, &(struct spill_unit){ (uint64_t)(g + 1) * G, G, 0, 0, (uint8_t)kind(g) });
		}
}

static void
move(int i)
{
	struct object *o = &m.o[i];
	int to;

	if (m.window_end == 0 || o->at < m.window || o->at >= m.window_end || o->looked > m.step || (to = run(o->n)) < 0)
		return;
	for (int k = 0; k < o->n; k++) {
		m.obj[o->at + k] = -1;
		m.obj[to + k] = i;
		m.leaving[o->at + k] = m.lent[o->at + k] != NODE;
		m.lent[to + k] = NODE;
	}
	if (m.lent[o->at] == NODE)
		for (int k = 0; k < o->n; k++)
			m.lent[o->at + k] = FREE;
	else {
		owes(m.lent[o->at]);
		send(&m.to[m.lent[o->at]], (struct note){ GIVE, o->at, o->n });
	}
	o->at = to;
	m.moves += o->n;
}

static void
push(int need)
{
	uint64_t off, end;
	size_t from, to;
	enum spill_move what;

	if (m.asked && m.step - m.asked > PATIENCE) {
		for (int i = 0; i < OBJECTS; i++)
			m.o[i].asked = false;
		m.asked = 0;
	}
	if (m.step - m.collected > ROUND) {
		m.collected = m.step;
		for (int p = 1; p < PROCS; p++) {
			owes(p);
			send(&m.to[p], (struct note){ COLLECT, 0, 0 });
		}
	}
	gather();
	if (!age) {
		what = spill_choose_move(&row, (uint64_t)need * G, &off, &end);
	} else if ((what = spill_choose(&row, (uint64_t)need * G, &from, &to) ? SPILL_MOVE : SPILL_NONE) == SPILL_MOVE) {
		off = row.unit[from].off;
		end = row.unit[to - 1].off + row.unit[to - 1].n;
	}
	m.window = m.window_end = 0;
	if (what == SPILL_NONE)
		return;
	m.window = (int)(off / G) - 1;
	m.window_end = (int)(end / G) - 1;
	if (what == SPILL_WAIT)
		return;
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &m.o[i];

		if (o->n == 0 || o->at < m.window || o->at >= m.window_end || kind(o->at) != SPILL_DIRTY)
			continue;
		if (o->moved) {
			move(i);
			continue;
		}
		o->asked = true;
		m.asked = m.asked ? m.asked : m.step;
		owes(o->owner);
		send(&m.to[o->owner], (struct note){ EVICT, i, 0 });
	}
}

static void
yield(int p)			/* all that is free in what p has */
{
	for (int g = 0, k; g < N; g = k + 1) {
		for (k = g; k < N && m.lent[k] == p && m.obj[k] < 0 && !m.leaving[k]; k++)
			;
		if (k > g)
			send(&m.from[p], (struct note){ UNLEND, g, k - g });
		for (int i = g; i < k; i++)
			m.lent[i] += PROCS;
	}
}

static void
reads(int p, struct note t)
{
	if (t.kind == EVICT) {
		bool no = m.o[t.a].looked > m.step;

		send(&m.from[p], (struct note){ ANSWER, t.a, !no });
		return;
	}
	for (int k = 0; t.kind == GIVE && k < t.b; k++)
		m.leaving[t.a + k] = false;
	yield(p);
	send(&m.from[p], (struct note){ COLLECT, 0, 0 });
}

static void
process(int p)			/* reads all that it was sent */
{
	struct queue *q = &m.to[p];

	while (q->from < q->to && (m.stopped[p] == 0 || m.step < m.stopped[p]))
		reads(p, q->v[q->from++]);
}

static void
hear(int p)			/* the node reads a message */
{
	struct queue *q = &m.from[p];
	struct note t;

	if (q->from == q->to)
		return;
	t = q->v[q->from++];
	m.owes[p] = 0;
	if (t.kind == UNLEND) {
		for (int k = 0; k < t.b; k++)
			m.lent[t.a + k] = FREE;
	} else if (t.kind == ANSWER) {
		m.o[t.a].asked = false;
		m.o[t.a].moved |= t.b;
		if (t.b)
			move(t.a);
		else
			m.o[t.a].refused = m.step;
	}
}

static bool
served(int need)
{
	for (int g = 0, n = 0; g < N; g++)
		if ((n = m.lent[g] == FREE ? n + 1 : 0) == need)
			return true;
	return false;
}

/* What can be had: the longest run of cells without what stays for good, if what is in it has room elsewhere with plenty to spare. */
static int
possible(int live)
{
	int best = 0, rest = N - 4 * live;

	for (int g = 0, n = 0; g < N; g++) {
		const struct object *o = m.obj[g] < 0 ? NULL : &m.o[m.obj[g]];

		if ((o && (o->looked > STEPS || m.stopped[o->owner])) || (m.lent[g] > 0 && m.stopped[m.lent[g]])) {
			n = 0;
			rest--;
			continue;
		}
		n++;
		best = n > best ? n : best;
	}
	return best < rest ? best : rest;
}

static int
set_up(void)			/* cells with objects */
{
	int live = 0, extent = 0, p = FREE;

	memset(&m, 0, sizeof m);
	m.step = 1;
	m.collected = -ROUND;
	for (int i = 1; i < PROCS; i++)
		m.stopped[i] = below(8) == 0 ? below(200) + 1 : 0;
	for (int g = 0; g < N; g++) {
		if (extent-- <= 0) {
			extent = below(24) + 1;
			p = below(4) ? below(PROCS - 1) + 1 : FREE;
		}
		m.lent[g] = p;
		m.obj[g] = -1;
	}
	for (int i = 0, tries = 0; tries < 40 && live < N / 8; tries++) {
		int n = below(5) ? 1 : below(3) + 2, at = below(N - n);
		bool good = m.lent[at] > 0;

		for (int k = 0; k < n; k++)
			good &= m.obj[at + k] < 0 && m.lent[at + k] == m.lent[at];
		if (!good)
			continue;
		m.o[i] = (struct object){ .at = at, .n = n, .owner = below(PROCS - 1) + 1, .last = (uint32_t)below(1000) };
		if (below(12) == 0)
			m.o[i].looked = 2 * STEPS;
		for (int k = 0; k < n; k++)
			m.obj[at + k] = i;
		i++;
		live += n;
	}
	return live;
}

/* 0, or what went wrong */
static const char *
play(unsigned seed, bool tell)
{
	int live, need, most, slow;

	srand(seed);
	do {
		live = set_up();
		most = possible(live);
	} while (most < 8);
	need = most - below(most / 4);
	slow = below(3) ? 1 : 10;
	for (; m.step < STEPS; m.step++) {
		int p = below(PROCS - 1) + 1, i = below(OBJECTS);

		if (served(need))
			break;
		switch (below(4)) {
		case 0: push(need); break;
		case 1: hear(p); break;
		case 2: if (below(slow) == 0) process(p); break;
		case 3:				/* a short look; none that began once there is little time left */
			if (m.o[i].n && below(20) == 0 && m.step < STEPS / 2 && m.o[i].looked < m.step) {
				m.o[i].looked = m.step + below(60);
				m.o[i].last = (uint32_t)m.step + 1000;
			}
		}
	}
	if (tell)
		printf("# seed %u: %d of %d cells, %d with objects: %d steps, %d cells moved\n", seed, need, N, live, m.step, m.moves);
	if (m.step == STEPS)
		return "no room";
	return m.moves > 3 * live ? "objects moved back and forth" : NULL;
}

int
main(int argc, char *argv[])
{
	unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 0, bad = 0;
	const char *e;

	age = argc > 2 && strcmp(argv[2], "age") == 0;
	for (unsigned i = seed ? seed : 1; i <= (seed ? seed : getenv("ROTA_LONG") ? 100000 : 5000); i++)
		if ((e = play(i, seed)) != NULL && bad++ < 5) {
			printf("# seed %u: %s after %d steps, %d cells moved\n", i, e, m.step, m.moves);
		}
	printf("# %u bad\n", bad);
	ok(bad == 0);
	spill_release(&row);
	return tap_done();
}
