/* world.c - events, clocks, chance, and what goes wrong */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

struct event {
	struct heap_node at;		/* at.at: time, then order of making */
	uint64_t seq;
	struct sim_machine *m;
	uint64_t life, local;		/* local: not before its clock shows this */
	sim_fn *fn;
	void *arg;
	uint64_t n;
};

/* --- chance: xoroshiro128+ ------------------------------------------------------------------------------------------ */

static uint64_t
mix(uint64_t *x)			/* splitmix64 */
{
	uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t
sim_draw(struct sim *s)
{
	uint64_t a = s->rng[0], b = s->rng[1], r = a + b;

	b ^= a;
	s->rng[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	s->rng[1] = b << 37 | b >> 27;
	return r;
}

uint64_t
sim_below(struct sim *s, uint64_t n)
{
	return n ? (sim_draw(s) >> 11) % n : 0;
}

bool
sim_chance(struct sim *s, unsigned permille)
{
	return sim_below(s, 1000) < permille;
}

uint64_t
sim_about(struct sim *s, uint64_t mean)
{
	uint64_t a = sim_below(s, 1000), b = sim_below(s, 1000);

	return mean * (a * b / 250) / 1000;
}

/* --- the trace ------------------------------------------------------------------------------------------------------ */

void
sim_log(struct sim *s, const char *fmt, ...)
{
	char *line = s->line[s->nline++ % SIM_LINES];
	int n = snprintf(line, sizeof s->line[0], "%10.6f ", (double)(s->now / SIM_US) / 1e6);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof s->line[0] - (size_t)n, fmt, ap);
	va_end(ap);
	for (const char *p = line; *p; p++)
		s->hash = (s->hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	if (s->trace)
		puts(line);
}

_Noreturn void
sim_fail(struct sim *s, const char *invariant, const char *fmt, ...)
{
	va_list ap;

	snprintf(s->invariant, sizeof s->invariant, "%s", invariant);
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
	sim_log(s, "FAILED %s: %s", s->invariant, s->why);
	longjmp(s->failed, 1);
}

/* --- time ------------------------------------------------------------------------------------------------------------- */

uint64_t
sim_clock(const struct sim *s, const struct sim_machine *m)
{
	return m->base + s->now + (uint64_t)((int64_t)(s->now / 1000) * m->ppm / 1000);
}

/* Events of one time go in the order in which they were made: the heap's key has room for both. */
static void
event_add(struct sim *s, struct event *e, uint64_t at)
{
	e->seq = ++s->seq;
	if (heap_set(&s->events, &e->at, at << 10 | (e->seq & 1023)) < 0)
		abort();
}

static void
later(struct sim *s, struct sim_machine *m, uint64_t ns, uint64_t local, sim_fn *fn, void *arg, uint64_t n)
{
	struct event *e = calloc(1, sizeof *e);

	if (e == NULL)
		abort();
	*e = (struct event){ .m = m, .life = m ? m->life : 0, .local = local, .fn = fn, .arg = arg, .n = n };
	event_add(s, e, s->now + ns);
}

static uint64_t
true_ns(const struct sim_machine *m, uint64_t ns)	/* how long ns of its clock are */
{
	return ns - (uint64_t)((int64_t)(ns / 1000) * m->ppm / 1000) + 1;
}

void
sim_after(struct sim *s, struct sim_machine *m, uint64_t ns, sim_fn *fn, void *arg, uint64_t n)
{
	later(s, m, m ? true_ns(m, ns) : ns, 0, fn, arg, n);
}

void
sim_true(struct sim *s, struct sim_machine *m, uint64_t ns, sim_fn *fn, void *arg, uint64_t n)
{
	later(s, m, ns, 0, fn, arg, n);
}

void
sim_at(struct sim *s, struct sim_machine *m, uint64_t at, sim_fn *fn, void *arg, uint64_t n)
{
	uint64_t now = sim_clock(s, m);

	later(s, m, at > now ? true_ns(m, at - now) : 0, at, fn, arg, n);
}

/* --- machines ----------------------------------------------------------------------------------------------------------- */

#define PARTS(s, i) \
	for (unsigned i = 0; sim_parts[i]; i++) \
		if ((s)->only & 1u << i)

static void
start(struct sim *s, void *arg, uint64_t n)
{
	struct sim_machine *m = arg;

	if (m->up || (n && n != m->life))
		return;
	m->up = true;
	m->life = ++s->lives;
	sim_log(s, "machine %u is up, life %llu", m->i, (unsigned long long)m->life);
	PARTS(s, i)
		if (sim_parts[i]->up)
			sim_parts[i]->up(s, m);
}

void
sim_crash(struct sim *s, struct sim_machine *m, uint64_t ns)
{
	if (!m->up)
		return;
	sim_log(s, "machine %u crashes", m->i);
	m->up = false;
	m->life = ++s->lives;
	net_down(s, m);
	PARTS(s, i)
		if (sim_parts[i]->down)
			sim_parts[i]->down(s, m);
	sim_after(s, NULL, ns, start, m, m->life);
}

/* --- faults -------------------------------------------------------------------------------------------------------------- */

static void
cut_end(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	sim_cut(s, (unsigned)(n >> 8), (unsigned)(n & 255), false);
}

static void
cut_one(struct sim *s, unsigned from, unsigned to, uint64_t ns)
{
	if (from == to || s->cut[from][to])
		return;
	sim_cut(s, from, to, true);
	sim_after(s, NULL, ns, cut_end, NULL, (uint64_t)from << 8 | to);
}

static void
fault_cut(struct sim *s)
{
	unsigned a = (unsigned)sim_below(s, s->nmachine), b = (unsigned)sim_below(s, s->nmachine);
	uint64_t ns = sim_about(s, 2 * SIM_SEC);
	bool whole = sim_chance(s, 300), one_way = sim_chance(s, 300);

	sim_log(s, "cut: %u %s %u for %.3f s", a, whole ? "and all but" : one_way ? "to" : "and", b, (double)ns / 1e9);
	for (unsigned i = 0; i < s->nmachine; i++)
		if (i != a && (i == b) != whole) {
			cut_one(s, a, i, ns);
			if (!one_way)
				cut_one(s, i, a, ns);
		}
}

static void
fault(struct sim *s, void *arg, uint64_t n)
{
	unsigned total = 0, k = 0;
	uint64_t at;
	struct sim_machine *m = &s->machine[sim_below(s, s->nmachine)];

	(void)arg, (void)n;
	if (s->phase != SIM_CHAOS)
		return;
	for (unsigned i = 0; i < 8; i++)
		total += s->weight[i];
	for (at = sim_below(s, total); at >= s->weight[k]; k++)
		at -= s->weight[k];
	switch (k) {
	case 0: sim_crash(s, m, sim_about(s, SIM_SEC)); break;
	case 1: fault_cut(s); break;
	case 2:
		at = sim_below(s, s->nconn + 1);
		list_each(l, &s->conns)
			if (list_entry(l, struct sim_conn, link)->number == at)
				sim_break(s, list_entry(l, struct sim_conn, link));
		break;
	case 3:
		m->paused = s->now + sim_about(s, SIM_SEC);
		sim_log(s, "machine %u stands still for %.3f s", m->i, (double)(m->paused - s->now) / 1e9);
		break;
	default:
		PARTS(s, i)
			if (sim_parts[i]->fault && sim_chance(s, 500))
				sim_parts[i]->fault(s);
	}
	sim_after(s, NULL, sim_about(s, s->every), fault, NULL, 0);
}

static void
calm(struct sim *s)
{
	sim_log(s, "nothing fails from here on");
	s->phase = SIM_CALM;
	s->loss = 0;
	for (unsigned i = 0; i < s->nmachine; i++)
		for (unsigned j = 0; j < s->nmachine; j++)
			if (s->cut[i][j])
				sim_cut(s, i, j, false);
	for (unsigned i = 0; i < s->nmachine; i++) {
		s->machine[i].paused = 0;
		start(s, &s->machine[i], 0);
	}
	PARTS(s, i)
		if (sim_parts[i]->calm)
			sim_parts[i]->calm(s);
}

/* --- a run ----------------------------------------------------------------------------------------------------------------- */

void
sim_init(struct sim *s, uint64_t seed)
{
	uint64_t x = seed;

	*s = (struct sim){ .seed = seed, .hash = UINT64_C(0xcbf29ce484222325), .only = ~0u };
	s->rng[0] = mix(&x);
	s->rng[1] = mix(&x) | 1;
	list_init(&s->conns);
	/* what fails, how often, and how slow the network is: each seed has its own */
	s->nmachine = 2 + (unsigned)sim_below(s, sim_chance(s, 200) ? 12 : 5);
	s->chaos = 2 * SIM_SEC + sim_below(s, 8) * SIM_SEC;
	s->limit = s->chaos + 120 * SIM_SEC;
	s->every = (10 + sim_below(s, 500)) * SIM_MS;
	for (unsigned i = 0; i < 8; i++)
		s->weight[i] = sim_chance(s, 600) ? (unsigned)sim_below(s, 8) : 0;
	s->weight[4]++;
	s->delay = (20 + sim_below(s, 5000)) * SIM_US;
	s->jitter = sim_below(s, 4) * s->delay;
	s->loss = sim_chance(s, 500) ? (unsigned)sim_below(s, 30) : 0;
	for (unsigned i = 0; i < s->nmachine; i++)
		s->machine[i] = (struct sim_machine){ .i = i, .base = sim_below(s, UINT64_C(1) << 50),
		    .ppm = (int64_t)sim_below(s, 2001) - 1000 };
}

static bool
all_done(struct sim *s)
{
	PARTS(s, i)
		if (sim_parts[i]->done && !sim_parts[i]->done(s))
			return false;
	return true;
}

/* the next event; false: there is none */
static bool
step(struct sim *s)
{
	struct heap_node *top = heap_top(&s->events);
	struct event *e = (struct event *)(void *)top;
	uint64_t shown;

	if (top == NULL)
		return false;
	heap_del(&s->events, top);
	if (top->at >> 10 > s->now)
		s->now = top->at >> 10;
	if (e->m && (!e->m->up || e->m->life != e->life)) {
		free(e);
		return true;
	}
	if (e->m && e->m->paused > s->now) {
		event_add(s, e, e->m->paused);
		return true;
	}
	if (e->m && e->local > (shown = sim_clock(s, e->m))) {
		event_add(s, e, s->now + true_ns(e->m, e->local - shown));
		return true;
	}
	s->steps++;
	{
		struct event now = *e;

		free(e);
		now.fn(s, now.arg, now.n);
	}
	PARTS(s, i)
		if (sim_parts[i]->step)
			sim_parts[i]->step(s);
	return true;
}

static void
run(struct sim *s)
{
	uint64_t look = 0;

	PARTS(s, i)
		if (sim_parts[i]->init)
			sim_parts[i]->init(s);
	for (unsigned i = 0; i < s->nmachine; i++)
		start(s, &s->machine[i], 0);
	sim_after(s, NULL, sim_about(s, s->every), fault, NULL, 0);
	while (s->now < s->chaos && step(s))
		;
	calm(s);
	while (s->now < s->limit && step(s))
		if (s->now >= look) {
			if (all_done(s))
				break;
			look = s->now + SIM_SEC / 2;
		}
	PARTS(s, i)
		if (sim_parts[i]->end)
			sim_parts[i]->end(s);
}

bool
sim_run(struct sim *s)
{
	if (setjmp(s->failed))
		return false;
	run(s);
	return true;
}

void
sim_release(struct sim *s)
{
	struct heap_node *top;

	while ((top = heap_top(&s->events)) != NULL) {
		heap_del(&s->events, top);
		free(top);
	}
	heap_release(&s->events);
	PARTS(s, i)
		if (sim_parts[i]->release && s->of[i])
			sim_parts[i]->release(s);
	net_release(s);
}
