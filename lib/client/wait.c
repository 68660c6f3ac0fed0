/*
 * wait - the main thread waits: first by looking, then by spinning or letting others run where it can pay, then on
 * the bell.
 */
#include <sched.h>
#include <stdio.h>
#include "client/inner.h"
#include "os/proc.h"

#define PART_MAX (1u << 20)

static inline void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* as push_l and lease_new_l publish them: what the count says is there, in this array or in the one that it grew to */
static inline UNLOCKED struct lease *
active_at(const struct client *c, unsigned i)
{
	return __atomic_load_n(&__atomic_load_n(&c->active, __ATOMIC_ACQUIRE)[i], __ATOMIC_RELAXED);
}

/*
 * A completion lies in one of our rings; racing with whoever has the lock is harmless: it is only a hint.  (A lease is
 * unmapped, and freed, by whoever waits; an array that grew stays where it was.)
 */
static UNLOCKED bool
glance(struct client *c)
{
	for (unsigned i = 0; i < __atomic_load_n(&c->nactive, __ATOMIC_ACQUIRE); i++) {
		struct lease *l = active_at(c, i);
		uint64_t at = l->ring.dhead;

		if (atomic_load_explicit(&l->ring.shm->done[at % RING_DONES].seq, memory_order_acquire) == at + 1)
			return true;
	}
	if (c->nwatch && chans_glance(c))
		return true;
	if (c->rooming && c->room(c->room_arg))
		return true;
	return c->listening && serve_glance(c);
}

static inline bool
crowd_ok(const struct client *c)	/* no more processes are awake than there are CPUs */
{
	return atomic_load_explicit(&c->np->awake, memory_order_relaxed) <= (int32_t)c->np->cpus;
}

/*
 * May waiting pay, and how: ELSEWHERE, a peer ran last on another CPU and no more processes are awake than CPUs: spin.
 * HERE, all peers share our CPU; CROWDED, they may need it: give way.
 */
static UNLOCKED enum where { NOWHERE, HERE, CROWDED, ELSEWHERE }
peers(struct client *c)
{
	uint32_t mine = proc_cpu() + 1;

	if (c->cpu != mine)
		atomic_store_explicit(&c->bell->cpu, c->cpu = mine, memory_order_relaxed);
	if (c->me.spin == 0 || c->nactive > 8 || (c->nactive == 0 && !c->listening && c->nwatch == 0 && !c->rooming))
		return NOWHERE;
	for (unsigned i = 0; i < __atomic_load_n(&c->nactive, __ATOMIC_ACQUIRE); i++)
		if (atomic_load_explicit(&active_at(c, i)->bell->cpu, memory_order_relaxed) != mine)
			goto elsewhere;
	if ((!c->nwatch || !chans_elsewhere(c, mine)) && (!(c->listening || c->rooming) || !serve_elsewhere(c, mine)))
		return HERE;
elsewhere:
	return c->np->cpus < 2 || !crowd_ok(c) ? CROWDED : c->spin_ns ? ELSEWHERE : NOWHERE;
}

/*
 * We and a peer wake each other on one CPU, again and again: while the others are busy with strangers the kernel
 * leaves us there, at a tenth of the speed.  So move once to another CPU of our set; tried less and less often.
 */
static UNLOCKED void
part(struct client *c)
{
	cpu_set_t all, others;

	c->here = 0;
	c->here_max = c->here_max < PART_MAX ? 2 * c->here_max : c->here_max;
	if (c->listening || sched_getaffinity(0, sizeof all, &all) < 0 || CPU_COUNT(&all) < 2)
		return;				/* the submitter moves, or both would */
	others = all;
	CPU_CLR(proc_cpu(), &others);
	if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
		sched_setaffinity(0, sizeof all, &all);
}

UNLOCKED void
wait_here_l(struct client *c)
{
	if (++c->here >= c->here_max)
		part(c);
}

static bool
something(void *c)
{
	return glance(c);
}

/*
 * A peer on another CPU that is fast, mostly: no clock yet.  Beyond that others are let run, unless strangers were in the
 * way of late: then this goes on for as long as it paid.  A miss halves the time that is given next, a hit doubles it.
 */
static UNLOCKED bool
spin(struct client *c)
{
	uint64_t now, until;

	for (unsigned i = 0; i < 64; i++) {
		if (glance(c))
			return true;
		relax();
	}
	now = clock_ns();
	if (now >= c->way.from)
		return false;
	until = now + c->spin_ns;
	do
		for (unsigned i = 0; i < 32; i++) {
			if (glance(c)) {
				c->spin_ns = 2 * (uint64_t)c->spin_ns < c->me.spin ? 2 * c->spin_ns : (uint32_t)c->me.spin;
				return true;
			}
			relax();
		}
	while (crowd_ok(c) && clock_ns() < until);
	c->spin_ns /= 2;
	return false;
}

/* true: something came, to a ring or a channel that is watched */
UNLOCKED bool
wait_spin(struct client *c)
{
	enum where w = peers(c);

	if (w == NOWHERE)
		return false;
	if (w == HERE)
		wait_here_l(c);
	page_count(c->page, CNT_SPINS, 1);
	if (!(w == ELSEWHERE && spin(c)) && !giveway_wait(&c->way, something, c))
		return false;
	page_count(c->page, CNT_SPIN_HITS, 1);
	if (w != HERE && c->here)
		c->here--;
	return true;
}

/*
 * A sleep that was shorter than the longest spin would have been one hit: spin that long again.  (Growing step by
 * step does not get there: while both ends sleep, each wake-up outlasts the other's short spin.)
 */
static void
slept(struct client *c, uint64_t ns)
{
	if (ns < 2 * c->me.spin)
		c->spin_ns = (uint32_t)c->me.spin;
	giveway_slept(&c->way, ns);
}

/* one look at everything, lock not held; true if ready() says so */
static bool
look(struct client *c, bool (*ready)(struct client *, void *), void *arg, bool socket)
{
	bool is;

	lock_take(&c->lock);
	atomic_store_explicit(&c->polls, c->polls + 1, memory_order_relaxed);
	if (c->held)
		serve_held_l(c);
	if (c->owing)
		chans_settle_l(c);
	if (c->dead_leases)
		leases_bury_l(c);
	if (c->dead_inrings)
		inrings_bury_l(c);
	if (socket && !c->serving)
		link_read_l(c);
	is = ready(c, arg);
	if (!is) {
		if (c->ndrop)
			drops_l(c);
		if (c->corked)
			link_flush_l(c);
		progress_l(c);
		is = ready(c, arg);
	}
	lock_drop(&c->lock);
	return is;
}

static void
tell_awake(struct client *c)		/* rlet looks at memory only while somebody is */
{
	lock_take(&c->lock);
	LINK_SEND(c, awake, .reserved = 0);
	lock_drop(&c->lock);
}

static void
tell_notice(struct client *c)
{
	char text[sizeof c->notice], *line, *end;

	lock_take(&c->lock);
	memcpy(text, c->notice, sizeof text);
	c->notice[0] = '\0';
	lock_drop(&c->lock);
	for (line = text; c->hooks.notice && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		c->hooks.notice(c->hooks.arg, line);
	}
}

/* a hint: whoever does them takes the lock and looks again */
static UNLOCKED bool
chores_due(const struct client *c)
{
	return c->ndeferred || c->asks.next != &c->asks || c->notice[0];
}

/* what only the main thread may do, and may do in a wait */
static void
chores(struct client *c)
{
	if (chores_due(c)) {
		task_deferred(c);
		link_answer_names(c);
		tell_notice(c);
	}
	if (health_due(c))
		health_look(c);
	if (c->hooks.news && c->hooks.news(c->hooks.arg))
		atomic_store(&c->poked, true);
	if (c->collect && !c->collecting) {
		c->collecting = true;
		mem_collect(c);
		c->collecting = false;
	}
}

static UNLOCKED bool
under_way(const struct client *c)
{
	return c->running + c->queued > 0;
}

int
wait_on_bell(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline)
{
	bool socket = false;

	for (;;) {
		uint64_t now, start;
		int e;

		if (look(c, ready, arg, socket)) {
			if (atomic_load_explicit(&c->deep, memory_order_relaxed) && under_way(c))
				service_nudge_l(c);	/* we may be long in user code now */
			return 0;
		}
		chores(c);
		if (c->lost)
			return look(c, ready, arg, false) ? 0 : ERR_NO_CLUSTER;
		if (atomic_load_explicit(&c->poked, memory_order_relaxed) && atomic_exchange(&c->poked, false))
			return -EINTR;
		if (wait_spin(c))
			continue;
		start = now = clock_ns();
		if (deadline != WAIT_FOREVER && now >= deadline)
			return -ETIMEDOUT;
		if (!list_empty(&c->drains))
			chans_drain(c);
		atomic_store(&c->waiting, true);
		bell_arm(c->bell);
		if (look(c, ready, arg, true)) {
			bell_disarm(c->bell);
			atomic_store(&c->waiting, false);
			return 0;
		}
		if (chores_due(c) || (c->collect && !c->collecting) || c->lost || health_due(c) ||
		    atomic_load(&c->poked) || (c->hooks.news && c->hooks.news(c->hooks.arg)) || (!list_empty(&c->drains) && chans_drainable(c))) {
			bell_disarm(c->bell);
			atomic_store(&c->waiting, false);
			continue;
		}
		page_count(c->page, CNT_SLEEPS, 1);
		e = bell_sleep(c->np, c->bell, deadline == WAIT_FOREVER ? -1 : (int64_t)(deadline - now));
		atomic_store(&c->waiting, false);
		if (atomic_load_explicit(&c->np->quiet, memory_order_relaxed) && c->worker)
			tell_awake(c);
		slept(c, clock_ns() - start);
		socket = true;
		if (e == -EINTR)
			return look(c, ready, arg, true) ? 0 : -EINTR;
	}
}

int
wait_alone(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline)
{
	int e;

	if (!c->fdmode)
		return wait_on_bell(c, ready, arg, deadline);
	fd_hold(c);
	e = wait_on_bell(c, ready, arg, deadline);
	fd_release(c);
	return e;
}

int
wait_until(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline)
{
	return c->crowd ? crowd_wait(c, ready, arg, deadline) : wait_alone(c, ready, arg, deadline);
}

void
client_poke(struct client *c)
{
	atomic_store(&c->poked, true);
	bell_ring(c->np, c->bell);
}

/* --- for the main thread -------------------------------------------------------------------------------------- */

static bool
is_ready(struct client *c, void *arg)
{
	(void)c;
	return ((struct rec *)arg)->state == REC_READY;
}

static bool
never(struct client *c, void *arg)
{
	(void)c, (void)arg;
	return false;
}

void
ask_l(struct client *c, struct rec *r)
{
	struct side *s;

	if (r->state == REC_PENDING && r->flags & REC_BORROWED && (s = side_find_l(c, r)) && !s->asked) {
		s->asked = true;
		LINK_SEND(c, route, .proc = s->id.proc, .kind = ROUTE_ASK, .id = s->id, .node = s->id.node);
	}
}

int
client_wait(struct client *c, struct rec *r, uint64_t deadline)
{
	if (rec_flags(r, REC_BORROWED) && !rec_is_ready(r)) {
		lock_take(&c->lock);
		ask_l(c, r);
		lock_drop(&c->lock);
	}
	return wait_until(c, is_ready, r, deadline);
}

int
client_nap(struct client *c, uint64_t deadline)
{
	int e = wait_until(c, never, NULL, deadline);

	return e == 0 ? -ETIMEDOUT : e;
}
