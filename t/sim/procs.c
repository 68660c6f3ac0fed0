/* procs.c - what drivers and workers do: tasks by rings, with retries as lib/core/retry.h says, actors, and sudden deaths */
#include <stdlib.h>
#include "node.h"

static void	drive(struct sim *s, struct proc *p);
static void	work(struct sim *s, struct proc *p);

/* --- mail ------------------------------------------------------------------------------------------------------------- */

static void	take(struct sim *s, struct proc *p, const struct mail *m);

static void
deliver(struct sim *s, void *arg, uint64_t n)
{
	struct node *node = arg;
	struct proc *p = map_get(&node->procs, n >> 1);
	struct list *l = p ? list_shift(&p->mail[n & 1]) : NULL;
	struct mail m;

	if (l == NULL)
		return;
	m = *list_entry(l, struct mail, link);
	free(list_entry(l, struct mail, link));
	if ((n & 1) == 0) {
		if (!p->lost)
			node_mail(s, p, &m);
	} else if (p->alive)
		take(s, p, &m);
}

void
mail(struct sim *s, struct proc *p, enum mail_kind kind, uint64_t a, uint64_t b)
{
	int to = kind >= M_GRANT;
	struct mail *m = malloc(sizeof *m);
	uint64_t at = s->now + sim_about(s, 100 * SIM_US);

	if (m == NULL)
		abort();
	*m = (struct mail){ .kind = kind, .a = a, .b = b };
	list_add_tail(&p->mail[to], &m->link);
	p->last[to] = at > p->last[to] ? at : p->last[to] + 1;
	sim_true(s, p->n->m, p->last[to] - s->now, deliver, p->n, (uint64_t)p->number << 1 | (unsigned)to);
}

/* --- life and death --------------------------------------------------------------------------------------------------- */

struct proc *
proc_new(struct sim *s, struct node *n, bool driver, uint32_t job)
{
	struct proc *p = calloc(1, sizeof *p);

	if (p == NULL || map_put(&n->procs, ++n->next, p) < 0)
		abort();
	*p = (struct proc){ .n = n, .number = n->next, .driver = driver, .job = driver ? n->next : job, .alive = true };
	list_init(&p->mail[0]);
	list_init(&p->mail[1]);
	n->drivers += driver;
	(void)s;
	return p;
}

void
proc_free(struct proc *p)
{
	struct list *l;

	for (int i = 0; i < 2; i++)
		while ((l = list_shift(&p->mail[i])) != NULL)
			free(list_entry(l, struct mail, link));
	free(p);
}

static void
reaped(struct sim *s, void *arg, uint64_t n)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, n);

	if (p)
		node_gone(s, p);
}

static void
seen(struct sim *s, void *arg, uint64_t n)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, n);

	if (p == NULL)
		return;
	node_lost(s, p);
	sim_after(s, p->n->m, sim_about(s, 200 * SIM_US), reaped, p->n, n);
}

void
proc_die(struct sim *s, struct proc *p)
{
	if (!p->alive)
		return;
	sim_log(s, "node %u: %s %u dies", p->n->m->i, p->driver ? "driver" : p->actor ? "actor's worker" : "worker", p->number);
	p->alive = false;
	p->n->drivers -= p->driver;
	sim_after(s, p->n->m, sim_about(s, 200 * SIM_US), seen, p->n, p->number);
}

static void
die(struct sim *s, void *arg, uint64_t n)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, n);

	if (p)
		proc_die(s, p);
}

void
proc_kill(struct sim *s, struct proc *p)
{
	sim_after(s, p->n->m, sim_about(s, SIM_MS), die, p->n, p->number);
}

/* --- a driver's tasks --------------------------------------------------------------------------------------------------- */

static void
drive_again(struct sim *s, void *arg, uint64_t n)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, n);

	if (p && p->alive)
		drive(s, p);
}

static void
finish(struct sim *s, struct proc *p, struct task *t, bool good)
{
	sim_check(s, "task-once", t->state != T_DONE && t->state != T_FAILED);
	t->state = good ? T_DONE : T_FAILED;
	p->todo--;
	if (good)
		nodes_of(s)->done++;
	else
		nodes_of(s)->failed++;
}

/* It failed: again, or not.  What is charged is counted here once more. */
static void
retry(struct sim *s, struct proc *p, struct task *t, enum retry_cause cause)
{
	uint64_t after = 0;
	bool again = retry_allowed(&t->r, cause, &after), spared = cause == RETRY_SPARED;

	t->charged += !spared;
	if (again && t->r.retries >= 0 && t->charged > (unsigned)t->r.retries)
		sim_fail(s, "retry-bound", "a task with %d retries runs again after %u failures", t->r.retries, t->charged);
	if (!again && t->charged <= (unsigned)t->r.retries && (cause == RETRY_DIED || (spared && t->r.retries)))
		sim_fail(s, "retry-early", "a task with %d retries does not run again after %u failures", t->r.retries, t->charged);
	t->r.attempt++;
	t->r.spared += spared;
	if (!again) {
		finish(s, p, t, false);
		return;
	}
	t->state = T_WAIT;
	t->at = s->now + after;
	sim_true(s, p->n->m, after, drive_again, p->n, p->number);
}

static void
take_back(struct ring *r)		/* what its worker has not claimed */
{
	while (r->nq > r->claimed)
		r->sub->task[r->q[--r->nq]].state = T_WAIT;
}

static void
give_back(struct sim *s, struct ring *r)
{
	struct proc *p = r->sub;

	p->asked[r->shape] -= p->asked[r->shape] > 0;
	mail(s, p, M_RETURN, r->lease, 0);
	r->want = 3;				/* nothing more goes through it */
}

static void
feed(struct sim *s, struct proc *p, struct ring *r)
{
	if (r->want == 3)
		return;
	if (r->want)
		take_back(r);
	for (unsigned i = 0; i < p->ntask && r->nq < RING && !r->want; i++)
		if (p->task[i].state == T_WAIT && p->task[i].shape == r->shape && p->task[i].at <= s->now) {
			p->task[i].state = T_SENT;
			r->q[r->nq++] = i;
		}
	if (r->nq == 0)
		give_back(s, r);
	else if (r->wrk->alive)
		work(s, r->wrk);
}

static void
drive(struct sim *s, struct proc *p)
{
	struct node *n = p->n;
	struct map_iter it = MAP_ITER;

	if (p->driving || !p->alive)
		return;
	p->driving = true;
	while (map_next(&n->rings, &it))
		if (((struct ring *)it.val)->sub == p)
			feed(s, p, it.val);
	for (unsigned k = 0; k < SHAPES; k++) {
		unsigned want = 0;

		for (unsigned i = 0; i < p->ntask; i++)
			want += p->task[i].shape == k && p->task[i].state == T_WAIT && p->task[i].at <= s->now;
		for (it = (struct map_iter)MAP_ITER; map_next(&n->rings, &it);)
			want += ((struct ring *)it.val)->sub == p && ((struct ring *)it.val)->shape == k && ((struct ring *)it.val)->want != 3;
		want = want > 3 ? 3 : want;
		if (want > p->asked[k] || p->again[k]) {
			p->again[k] = false;
			p->asked[k] = want;
			mail(s, p, M_ASK, k, want);
		}
	}
	p->driving = false;
}

/* --- what a driver does now and then --------------------------------------------------------------------------------------- */

static void
submit(struct sim *s, struct proc *p)
{
	p->task[p->ntask++] = (struct task){ .shape = (unsigned)sim_below(s, SHAPES), .raises = sim_chance(s, 50),
	    .r = { .retries = (int)sim_below(s, 4), .on = RETRY_CRASH | (sim_chance(s, 300) ? RETRY_ERROR : 0) } };
	p->todo++;
	drive(s, p);
}

static void
live(struct sim *s, void *arg, uint64_t number)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, number);
	uint64_t *a;

	if (p == NULL || !p->alive)
		return;
	if (s->phase == SIM_CALM ? p->todo == 0 : p->ntask == TASKS && p->todo == 0 && sim_chance(s, 100)) {
		mail(s, p, M_BYE, 0, 0);	/* it has all that it wanted */
		return;
	}
	sim_after(s, p->n->m, sim_about(s, 40 * SIM_MS), live, p->n, number);
	if (s->phase == SIM_CALM) {		/* what it keeps may be what its tasks wait for */
		if (p->grouped)
			mail(s, p, M_UNGROUP, p->ngroup, 0);
		if (p->nknown)
			mail(s, p, M_DROP, p->known[--p->nknown], 0);
		return;
	}
	a = p->nknown ? &p->known[sim_below(s, p->nknown)] : NULL;
	switch (sim_below(s, 10)) {
	case 0: if (p->nknown < ACTORS) mail(s, p, M_ACTOR, sim_below(s, 4), 0); break;
	case 1: if (a) { mail(s, p, M_DROP, *a, 0); *a = p->known[p->nknown - 1]; p->nknown--; } break;
	case 2: if (a) mail(s, p, M_KILL, *a, 0); break;
	case 3: if (a) mail(s, p, M_RESTART, *a, 0); break;
	case 4:
		if (!p->grouped) {
			p->grouped = true;
			mail(s, p, M_GROUP, ++p->ngroup, 1 + sim_below(s, 3));
		} else
			mail(s, p, M_UNGROUP, p->ngroup, 0);
		break;
	default: if (p->ntask < TASKS) submit(s, p);
	}
}

/* --- a worker ------------------------------------------------------------------------------------------------------------- */

static void
ran(struct sim *s, void *arg, uint64_t number)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, number >> 40);
	struct ring *r = p ? p->ring : NULL;
	struct task *t;

	if (p == NULL || !p->alive || p->run != number || r == NULL)
		return;
	p->run = 0;
	r->claimed = false;
	t = &r->sub->task[r->q[0]];
	r->q[0] = r->q[1];
	r->nq--;
	if (!r->sub->alive)
		return;
	if (t->raises)
		retry(s, r->sub, t, RETRY_RAISED);
	else
		finish(s, r->sub, t, true);
	drive(s, r->sub);
	if (p->ring == r)
		work(s, p);
}

static void
unblock(struct sim *s, void *arg, uint64_t number)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, number >> 40);

	if (p && p->alive && p->run == number)
		mail(s, p, M_BLOCKED, 0, 0);
}

static void
work(struct sim *s, struct proc *p)
{
	struct ring *r = p->ring;
	uint64_t ns = 100 * SIM_US + sim_about(s, 30 * SIM_MS);

	if (!p->ready || r == NULL || r->claimed || r->nq == 0 || r->want >= 2)
		return;
	r->claimed = true;
	r->sub->task[r->q[0]].state = T_RUNS;
	p->run = (uint64_t)p->number << 40 | (++p->n->runs & 0xffffffffff);
	if (sim_chance(s, 100)) {		/* it waits for something in between */
		mail(s, p, M_BLOCKED, 1, 0);
		sim_after(s, p->n->m, ns / 2, unblock, p->n, p->run);
		ns += SIM_MS;
	}
	sim_after(s, p->n->m, ns, ran, p->n, p->run);
}

static void
start(struct sim *s, struct proc *p, uint64_t actor)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&p->n->procs, &it)) {
		const struct proc *q = it.val;

		if (q->alive && q->actor == actor && q != p)
			sim_fail(s, "actor-alone", "node %u: worker %u becomes actor %llu, which %u is", p->n->m->i, p->number,
			    (unsigned long long)actor, q->number);
	}
	nodes_of(s)->lives++;
	p->actor = actor;
	mail(s, p, M_UP, actor, !sim_chance(s, 50));
}

/* --- what comes from the daemon -------------------------------------------------------------------------------------------- */

static void
go(struct sim *s, void *arg, uint64_t number)
{
	struct proc *p = map_get(&((struct node *)arg)->procs, number);

	if (p && p->alive) {
		p->ready = true;
		work(s, p);
	}
}

static void
take(struct sim *s, struct proc *p, const struct mail *m)
{
	switch (m->kind) {
	case M_GRANT:
		if (p->driver)
			drive(s, p);
		else
			sim_after(s, p->n->m, sim_about(s, 2 * SIM_MS), go, p->n, p->number);
		if (p->driver && m->b == 0)
			sim_after(s, p->n->m, sim_about(s, SIM_MS), live, p->n, p->number);
		break;
	case M_WANT: drive(s, p); break;
	case M_DEAD:
		p->again[m->a] = true;		/* what it asked for may have crossed this: once more */
		drive(s, p);
		break;
	case M_STOP: p->stopping = true; proc_kill(s, p); break;
	case M_START: start(s, p, m->a); break;
	case M_STATE:
		for (unsigned i = 0; i < p->nknown; i++)
			if (p->known[i] == m->a && m->b == ACTOR_DEAD) {
				mail(s, p, M_DROP, m->a, 0);
				p->known[i] = p->known[--p->nknown];
			}
		if (m->b == ACTOR_PENDING && p->nknown < ACTORS)
			p->known[p->nknown++] = m->a;
		else if (m->b == ACTOR_PENDING)
			mail(s, p, M_DROP, m->a, 0);
		break;
	case M_GROUPED:
		if (m->b == GROUP_REMOVED && m->a == p->ngroup)
			p->grouped = false;
		break;
	default: break;
	}
}

/* --- rings ------------------------------------------------------------------------------------------------------------------ */

/* It is over: what had not begun is not charged, what had been is, if its worker died. */
void
ring_end(struct sim *s, struct ring *r)
{
	struct proc *p = r->sub;
	bool ended = r->want == 3;

	map_del(&p->n->rings, r->lease);
	take_back(r);
	if (r->claimed && p->alive)
		retry(s, p, &p->task[r->q[0]], r->wrk->spared ? RETRY_SPARED : RETRY_DIED);
	if (r->wrk->ring == r) {
		r->wrk->ring = NULL;
		r->wrk->run = 0;
	}
	if (p->alive && !p->lost && !ended)
		mail(s, p, M_DEAD, r->shape, 0);
	free(r);
}

bool
proc_idle(const struct proc *p)
{
	return p->ring == NULL || !p->ring->claimed;
}
