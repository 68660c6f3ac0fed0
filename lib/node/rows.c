#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "node/inner.h"
#include "node/rows.h"

static uint64_t
wall(uint64_t monotonic)		/* for people only */
{
	return monotonic ? clock_wall_ns() - (clock_ns() - monotonic) : 0;
}

static uint64_t
rss(pid_t pid)				/* private memory: what it does not share with others */
{
	unsigned long all = 0, resident = 0, shared = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%lu %lu %lu", &all, &resident, &shared) != 3)
		resident = shared = 0;
	fclose(f);
	return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static const char *
state_word(const struct nproc *p)
{
	static const char *const word[] = { "starting", "idle", "running", "blocked", "idle" };
	uint32_t s = atomic_load(&p->page->state);

	if (p->stopped)
		return "stopped";
	return s < sizeof word / sizeof *word ? word[s] : "?";
}

static size_t
fn_copy(char to[33], const struct page *pg)	/* its writer may be in the middle of it */
{
	memcpy(to, pg->fn, 32);
	to[32] = '\0';
	return strlen(to);
}

static void
put_task(struct rows *r, const char *k, const struct nproc *p)
{
	uint64_t t = atomic_load(&p->page->task);
	char id[ID_TEXT];

	if (t)
		put_text(r, k, id_format(id, (struct id){ r->n->number, atomic_load(&p->page->submitter), t }));
	else
		put_s(r, k, NULL, 0);
}

static bool
listed(const struct rows *r, const struct nproc *p)
{
	return !p->lost && p->page && (r->job == 0 || (p->job && p->job->number == r->job));
}

/* --- the lists ------------------------------------------------------------------------------------------------------- */

static void
driver(struct rows *r, pid_t pid, const void *name, size_t len, uint64_t since, uint32_t job)
{
	row(r, 5);
	put_u(r, "pid", (uint64_t)pid);
	put_s(r, "name", name, len);
	put_u(r, "since", wall(since));
	put_u(r, "age", clock_ns() - since);
	put_u(r, "job", job);
}

static void
drivers(struct rows *r)			/* the programs that use the node, and those of the last daemon that are yet to come back */
{
	struct map_iter it = MAP_ITER;

	list_each(l, &r->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->role == ROLE_DRIVER && listed(r, p))
			driver(r, p->pid, p->name.data, p->name.len, p->since, p->job ? p->job->number : 0);
	}
	while (map_next(&r->n->jobs, &it)) {
		const struct njob *j = it.val;

		if (job_comes(r->n, j) && (r->job == 0 || r->job == j->number))
			driver(r, j->pid, j->name, strlen(j->name), r->n->since, j->number);
	}
}

static void
workers(struct rows *r)
{
	char fn[33];

	list_each(l, &r->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);

		if (p->role != ROLE_WORKER || !listed(r, p) || p->pid == 0)
			continue;
		row(r, 11);
		put_u(r, "pid", (uint64_t)p->pid);
		put_u(r, "proc", p->number);
		put_text(r, "state", state_word(p));
		put_s(r, "fn", fn, fn_copy(fn, p->page));
		put_task(r, "task", p);
		put_u(r, "since", wall(atomic_load(&p->page->since)));
		put_u(r, "job", p->job ? p->job->number : 0);
		put_milli(r, "cpus", lease_need(&r->n->lease, p->number).v[RES_CPU]);
		put_u(r, "actor", p->actor);
		put_u(r, "rss", rss(p->pid));
		key(r, "blocked");
		mp_put_bool(&r->b, p->blocked);
	}
}

static void
tasks(struct rows *r)
{
	char fn[33];

	list_each(l, &r->n->procs_list) {
		struct nproc *p = list_entry(l, struct nproc, link);
		uint64_t queued;

		if (!listed(r, p))
			continue;
		if (p->role == ROLE_WORKER && atomic_load(&p->page->task)) {
			row(r, 8);
			put_task(r, "id", p);
			put_s(r, "name", fn, fn_copy(fn, p->page));
			put_text(r, "state", state_word(p));
			put_u(r, "count", 1);
			put_u(r, "worker", (uint64_t)p->pid);
			put_u(r, "since", wall(atomic_load(&p->page->since)));
			put_u(r, "attempt", (atomic_load(&p->page->attempt) & ~PAGE_ONCE) + 1);
			put_u(r, "job", p->job ? p->job->number : 0);
		}
		if ((queued = atomic_load(&p->page->counter[CNT_QUEUED])) == 0)
			continue;
		row(r, 8);
		put_s(r, "id", NULL, 0);
		put_s(r, "name", p->name.data, p->name.len);
		put_text(r, "state", "queued");
		put_u(r, "count", queued);
		put_u(r, "worker", (uint64_t)p->pid);
		put_u(r, "since", wall(p->since));
		put_u(r, "attempt", 0);
		put_u(r, "job", p->job ? p->job->number : 0);
	}
}

/* calls on its rings that were not claimed yet */
static uint64_t
pending(const struct nproc *wrk)
{
	uint64_t n = 0;

	if (wrk == NULL)
		return 0;
	list_each(l, &wrk->wrkrings) {
		struct ring_shm *s = list_entry(l, struct nring, bywrk)->shm;

		for (unsigned i = 0; i < RING_WORDS; i++)
			n += ring_claim_of(atomic_load_explicit(&s->word[i], memory_order_relaxed)) == RING_QUEUED;
	}
	return n;
}

static void
actors(struct rows *r)
{
	static const char *const word[] = { "?", "pending", "alive", "restarting", "dead" };
	struct map_iter it = MAP_ITER;

	while (map_next(&r->n->actor.actors, &it)) {
		const struct actor_life *a = it.val;
		struct nproc *p = proc_find(r->n, a->worker);

		if (r->job && a->job != r->job)
			continue;
		row(r, 10);
		put_u(r, "actor", a->number);
		put_s(r, "name", a->name.data, a->name.len);
		put_s(r, "class", a->class.data, a->class.len);
		put_text(r, "state", word[a->state < 5 ? a->state : 0]);
		put_u(r, "incarnation", a->incarnation);
		put_u(r, "pid", p ? (uint64_t)p->pid : 0);
		put_u(r, "pending", pending(p));
		put_u(r, "job", a->job);
		put_s(r, "namespace", a->namespace.data, a->namespace.len);
		key(r, "restarts");
		if (a->restarts == UINT32_MAX)
			mp_put_str(&r->b, "unlimited", 9);
		else
			mp_put_uint(&r->b, a->restarts);
	}
}

static void
groups(struct rows *r)
{
	struct idmap_iter it = IDMAP_ITER;
	char text[ID_TEXT];

	while (idmap_next(&r->n->group.groups, &it)) {
		const struct group *g = it.val;
		const struct lease_pool *pool;
		unsigned n = lease_pools(&r->n->lease, g->number, &pool);
		struct res sum = { { 0 } };
		int64_t free = 0;

		for (unsigned i = 0; i < g->n; i++) {
			for (unsigned k = 0; k < RES_CUSTOM; k++)
				sum.v[k] += g->bundle[i].v[k];
			free += i < n && g->state == GROUP_CREATED ? pool[i].free.v[RES_CPU] : 0;
		}
		row(r, 12);
		put_text(r, "id", id_format(text, g->id));
		put_text(r, "name", g->name);
		put_text(r, "state", group_state_word(g->state));
		put_text(r, "strategy", group_strategy_word(g->strategy));
		put_u(r, "bundles", g->n);
		put_milli(r, "cpus", sum.v[RES_CPU]);
		put_milli(r, "cpus_free", free);
		put_milli(r, "gpus", sum.v[RES_GPU]);
		put_u(r, "job", g->detached ? 0 : g->job);
		put_text(r, "namespace", g->namespace);
		put_u(r, "age", clock_ns() - g->since);
		put_text(r, "why", g->text);
	}
}

static void
sets(struct rows *r)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&r->n->set.sets, &it)) {
		const struct set *s = it.val;
		struct msg_actor_new m;

		if ((r->job && s->job != r->job) || msg_get_actor_new(&m, s->spec.data, s->spec.len) < 0)
			continue;
		row(r, 13);
		put_u(r, "set", s->number);
		put_s(r, "name", s->name.data, s->name.len);
		put_s(r, "class", m.class.p, m.class.n);
		put_text(r, "state", set_state_word(s->state));
		put_u(r, "up", set_up(s));
		put_u(r, "min", s->min);
		put_u(r, "max", s->max);
		key(r, "gang");
		mp_put_bool(&r->b, s->gang);
		put_u(r, "generation", s->generation);
		put_u(r, "job", s->detached ? 0 : s->job);
		put_s(r, "namespace", s->namespace.data, s->namespace.len);
		put_u(r, "age", clock_ns() - s->since);
		put_text(r, "why", s->text);
	}
}

static void
jobs(struct rows *r)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&r->n->jobs, &it)) {
		const struct njob *j = it.val;

		if (j->foreign || (r->job && r->job != j->number))
			continue;
		row(r, 6);
		put_u(r, "job", j->number);
		put_text(r, "name", j->name);
		put_text(r, "state", j->over ? "ending" : "running");
		put_u(r, "pid", (uint64_t)j->pid);
		put_s(r, "namespace", j->namespace.data, j->namespace.len);
		put_u(r, "node", r->n->number);
	}
}

/* --- what is over: the control store remembers it --------------------------------------------------------------------- */

static const char past[] = "past/";

/* the rows of a list from number from on are asked for; nobody remembers any in a node that is not lasting */
static void
past_ask(struct nproc *p, uint64_t req, struct span list, uint64_t from)
{
	struct node *n = p->n;
	uint64_t ask;

	if (n->control) {
		SEND(p, rows, .req = req, .last = 1, .rows = span_text("\x90"));
	} else if ((ask = ctl_ask(n, p, req, MSG_PAST_T, list)) == 0) {
		proc_fail(p, req, -EBUSY, "too much is asked of the control store at once");
	} else {
		CTL(n, past, .req = ask, .what = list, .from = from);
	}
}

int
rows_past(struct node *n, const struct frame *f)
{
	struct msg_past_rows m;
	struct nproc *p;
	struct ask *a;
	struct rows r;
	int e = msg_get_past_rows(&m, f->body, f->len);

	if (e < 0 || (a = map_del(&n->asks, m.req)) == NULL)
		return e;
	if ((p = proc_find(n, a->proc)) != NULL && !p->lost) {
		r = (struct rows){ .p = p, .n = n, .req = a->req, .count = (unsigned)m.count };
		if (m.rows.n == 0 || mp_put_raw(&r.b, m.rows.p, m.rows.n) == 0)
			flush(&r, m.next == 0);
		buf_release(&r.b);
		if (m.next)
			past_ask(p, a->req, span_buf(&a->body), m.next);
	}
	ctl_ask_free(n, a);
	return 0;
}

int
rows_frame(struct nproc *p, const struct frame *f)
{
	static const struct {
		const char *what;
		void (*fn)(struct rows *r);
	} lists[] = { { "nodes", rows_nodes }, { "node", rows_node }, { "drivers", drivers }, { "workers", workers }, { "tasks", tasks }, { "actors", actors },
	    { "objects", rows_objects }, { "memory", rows_memory }, { "groups", groups },
	    { "sets", sets }, { "jobs", jobs } };
	struct rows r = { .p = p, .n = p->n };
	struct msg_list m;
	int e = msg_get_list(&m, f->body, f->len);

	if (e < 0)
		return e;
	r.req = m.req;
	r.job = m.job;
	if (m.what.n > strlen(past) && memcmp(m.what.p, past, strlen(past)) == 0) {
		past_ask(p, m.req, span_of(m.what.p + strlen(past), m.what.n - strlen(past)), 0);
		return 0;
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strlen(lists[i].what) == m.what.n && memcmp(lists[i].what, m.what.p, m.what.n) == 0) {
			if (conn_out(p->conn)->len > CONN_MARK)		/* it asks and asks, and does not read */
				return -ENOBUFS;
			p->conn->mark_bytes = ANSWER;
			lists[i].fn(&r);
			flush(&r, lists[i].fn != groups || p->n->abroad == NULL);
			if (lists[i].fn == groups && p->n->abroad)
				abroad_group_list(p, m.req);	/* those of the cluster */
			buf_release(&r.b);
			return 0;
		}
	proc_fail(p, m.req, -EINVAL, "no list '%.*s'", (int)(m.what.n < 64 ? m.what.n : 64), (const char *)m.what.p);
	return 0;
}
