/*
 * watch - looks at memory while work runs, and stops a worker before the kernel has to (core/pressure.h decides).
 *
 * At rest there is no timer: when all workers sleep, "quiet" is set in the node page, and after one more look that
 * finds them asleep the timer is not started again.  The first worker to wake up sees the flag and says AWAKE.  (Who
 * woke up before it was set is still awake at that last look, or has slept in between.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/grow.h"
#include "core/pressure.h"
#include "node/inner.h"
#include "os/mem.h"

enum { TREE = 4096 };			/* processes of workers that are counted */
#define NOTICE_NS (5 * CLOCK_SEC)	/* between two notices to users */

struct watch {
	struct node *n;
	struct pressure p;
	struct mem_groups groups;
	ev_timer timer;
	ev_io trigger;
	int psi[2];
	bool quiet;			/* as the node page has it */
	uint64_t kills, told;		/* the kernel's; when a user was told last */
	uint64_t base;			/* bytes that a worker shares with the process it was forked from */
	struct pressure_proc *v;	/* gathered processes, and how many fit */
	size_t cap, nv;
	pid_t *tree;
};

/* --- who uses how much ----------------------------------------------------------------------------------------- */

static struct pressure_proc *
add(struct watch *w)
{
	struct pressure_proc *v = grow(w->v, &w->cap, w->nv, sizeof *v);

	if (v == NULL)
		return NULL;
	w->v = v;
	return memset(&w->v[w->nv++], 0, sizeof *w->v);
}

/* what a worker's process has beyond the one it was forked from, and what it started */
static uint64_t
tree_bytes(struct watch *w, pid_t pid)
{
	uint64_t sum = mem_private(pid);
	size_t n = 0;

	sum = sum > w->base ? sum - w->base : 0;
	n = mem_children(pid, w->tree, TREE);
	for (size_t i = 0; i < n; i++) {
		sum += mem_private(w->tree[i]);
		n += mem_children(w->tree[i], w->tree + n, (unsigned)(TREE - n));
	}
	return sum;
}

static enum pressure_kind
kind(const struct node *n, const struct nproc *p)
{
	const struct actor_life *a = p->actor ? actor_get(&n->actor, p->actor) : NULL;

	if (p->role != ROLE_WORKER)
		return PRESSURE_NEVER;
	if (a)
		return a->restarts && !a->final ? PRESSURE_ACTOR : PRESSURE_LAST;
	if (atomic_load(&p->page->task) == 0)
		return atomic_load(&p->page->counter[CNT_OWNED]) || p->actor ? PRESSURE_LAST : PRESSURE_IDLE;
	return atomic_load(&p->page->attempt) & PAGE_ONCE ? PRESSURE_ONCE : PRESSURE_TASK;
}

/* What workers started and left: the process that forks them adopted it.  It counts to the worker of its session. */
static void
orphans(struct watch *w)
{
	unsigned n = mem_children(w->n->zygote_pid, w->tree, TREE);

	for (unsigned i = 0; i < n; i++) {
		pid_t sid = getsid(w->tree[i]);

		for (size_t k = 0; sid > 0 && sid != w->tree[i] && k < w->nv; k++)
			if (w->v[k].pid == sid)
				w->v[k].bytes += mem_private(w->tree[i]);
	}
}

static void
gather(struct watch *w, bool all)			/* all: what is named in the evidence too */
{
	struct node *n = w->n;
	struct pressure_proc *v;

	w->nv = 0;
	w->base = mem_private(n->zygote_pid);
	list_each(l, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->lost || !p->page || p->pid <= 0 || p->role == ROLE_TOOL || (!all && p->role != ROLE_WORKER) || (v = add(w)) == NULL)
			continue;
		v->proc = p->number;
		v->pid = (int)p->pid;
		v->kind = kind(n, p);
		v->since = atomic_load(&p->page->since);
		if (p->role == ROLE_WORKER) {
			memcpy(v->name, p->page->fn, sizeof v->name - 1);
			v->bytes = tree_bytes(w, p->pid);
		} else {
			snprintf(v->name, sizeof v->name, "%.*s", (int)(p->name.len < 31 ? p->name.len : 31), p->name.len ? (char *)p->name.data : "");
			v->bytes = mem_private(p->pid);
		}
	}
	orphans(w);
	if (all && (v = add(w)) != NULL) {
		v->kind = PRESSURE_NEVER;
		v->bytes = n->arena.lent + n->arena.owned;
		strcpy(v->name, "object store");
	}
}

/* --- looking --------------------------------------------------------------------------------------------------- */

static unsigned
limits(struct watch *w, struct pressure_limit l[MEM_LEVELS + 2], char name[MEM_LEVELS][160])
{
	struct node *n = w->n;
	unsigned k = 0;

	l[k].name = "the machine";
	k += mem_machine("", &l[k].used, &l[k].limit);
	for (unsigned i = 0; i < w->groups.n; i++) {
		snprintf(name[i], sizeof name[i], "cgroup '%s'", w->groups.level[i].name);
		l[k].name = name[i];
		k += mem_group_used(&w->groups.level[i], &l[k].used, &l[k].limit);
	}
	if (n->o.memory) {
		l[k] = (struct pressure_limit){ .name = "the node's workers", .limit = n->o.memory };
		gather(w, false);
		for (size_t i = 0; i < w->nv; i++)
			l[k].used += w->v[i].bytes;
		k++;
	}
	return k;
}

static void
stop_one(struct watch *w, const struct pressure_limit *l)
{
	struct node *n = w->n;
	struct pressure_choice c;
	struct nproc *p, *d;

	gather(w, true);
	if (!pressure_choose(&w->p, clock_ns(), l, w->v, w->nv, &c) || (p = map_get(&n->procs, w->v[c.victim].proc)) == NULL)
		return;
	free(p->evidence);
	p->evidence = strdup(c.text);
	p->alone = c.alone;
	node_log(n, 0, "%s", c.text);
	if (w->v[c.victim].kind != PRESSURE_IDLE && p->job && (d = proc_find(n, p->job->driver)) != NULL &&
	    (w->told == 0 || clock_ns() - w->told > NOTICE_NS)) {
		w->told = clock_ns();
		SEND(d, notice, .text = span_of(c.text, strlen(c.text) < 250 ? strlen(c.text) : 250));
	}
	proc_kill(p);
}

static bool
asleep(const struct node *n)
{
	list_each(l, &n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->role == ROLE_WORKER && !p->lost && p->page && atomic_load(&n->np->bell[p->bell].word) != 2)
			return false;
	}
	return true;
}

static void
again(struct watch *w, uint64_t after)
{
	ev_timer_stop(w->n->loop, &w->timer);
	ev_now_update(w->n->loop);
	ev_timer_set(&w->timer, (double)after / 1e9, 0.);
	ev_timer_start(w->n->loop, &w->timer);
}

static void
look(struct watch *w)
{
	struct pressure_limit l[MEM_LEVELS + 2];
	char name[MEM_LEVELS][160];
	unsigned n = limits(w, l, name), over;
	uint64_t after;

	switch (pressure_look(&w->p, clock_ns(), l, n, &over, &after)) {
	case PRESSURE_COLLECT: memory_collect(w->n); break;
	case PRESSURE_CHOOSE: stop_one(w, &l[over]); break;
	default: break;
	}
	if (!asleep(w->n) || w->p.victim) {
		w->quiet = false;
		again(w, after);
	} else if (!w->quiet) {		/* one more look, when all have seen the flag */
		w->quiet = true;
		again(w, after);
	} else {
		ev_timer_stop(w->n->loop, &w->timer);
	}
	atomic_store(&w->n->np->quiet, w->quiet);
}

static void
on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
	(void)loop, (void)revents;
	look(t->data);
}

static void
on_trigger(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop, (void)revents;
	mem_trigger_take(io->fd);
	look(io->data);
}

void
watch_awake(struct node *n)
{
	struct watch *w = n->watch;

	if (!w || !w->p.percent)
		return;
	w->quiet = false;			/* who makes us look may be asleep still */
	if (ev_is_active(&w->timer))
		atomic_store(&n->np->quiet, false);	/* it was to be the last look: no others need to say so until then */
	else
		look(w);
}

/* --- deaths ---------------------------------------------------------------------------------------------------- */

/* p was killed, not by us: if the kernel did it for memory, the words for that */
const char *
watch_killed(struct nproc *p)
{
	struct watch *w = p->n->watch;
	uint64_t kills = w ? mem_kernel_kills() : 0;
	struct pressure_limit l[MEM_LEVELS + 2];
	char name[MEM_LEVELS][160], text[PRESSURE_TEXT];
	unsigned n, worst = 0;

	if (!w || kills <= w->kills)
		return NULL;
	w->kills = kills;
	n = limits(w, l, name);
	for (unsigned i = 1; i < n; i++)
		if ((double)l[i].used / (double)l[i].limit > (double)l[worst].used / (double)l[worst].limit)
			worst = i;
	snprintf(text, sizeof text, "worker %d was killed by the kernel for want of memory: %s uses %llu of %llu MiB now", (int)p->pid,
	    n ? l[worst].name : "the machine", n ? (unsigned long long)(l[worst].used >> 20) : 0, n ? (unsigned long long)(l[worst].limit >> 20) : 0);
	p->evidence = strdup(text);
	p->alone = true;
	return p->evidence;
}

void
watch_gone(struct nproc *p)
{
	if (p->n->watch)
		pressure_gone(&p->n->watch->p, p->number);
	free(p->evidence);
	p->evidence = NULL;
}

/* --- begin and end --------------------------------------------------------------------------------------------- */

int
watch_start(struct node *n)
{
	struct watch *w = calloc(1, sizeof *w);

	if (!w || (w->tree = malloc(TREE * sizeof *w->tree)) == NULL) {
		free(w);
		return -ENOMEM;
	}
	w->n = n;
	w->p = (struct pressure){ .percent = n->o.threshold, .interval = n->o.interval };
	w->kills = mem_kernel_kills();
	ev_timer_init(&w->timer, on_timer, 0., 0.);
	ev_io_init(&w->trigger, on_trigger, -1, EV_READ);
	w->timer.data = w->trigger.data = w;
	w->psi[0] = w->psi[1] = -1;
	n->watch = w;
	if (w->p.percent == 0)
		return 0;
	mem_groups_find(&w->groups, "");
	w->quiet = true;
	atomic_store(&n->np->quiet, true);
	if (mem_trigger(w->psi) == 0) {
		ev_io_set(&w->trigger, w->psi[0], EV_READ);
		ev_io_start(n->loop, &w->trigger);
	}
	return 0;
}

void
watch_stop(struct node *n)
{
	struct watch *w = n->watch;

	if (!w)
		return;
	ev_timer_stop(n->loop, &w->timer);
	ev_io_stop(n->loop, &w->trigger);
	for (unsigned i = 0; i < 2; i++)
		if (w->psi[i] >= 0)
			close(w->psi[i]);
	mem_groups_release(&w->groups);
	free(w->v);
	free(w->tree);
	free(w);
	n->watch = NULL;
}
