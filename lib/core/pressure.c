#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/pressure.h"

static uint64_t
part(uint64_t bytes, unsigned percent)
{
	return bytes / 100 * percent + bytes % 100 * percent / 100;
}

enum pressure_do
pressure_look(struct pressure *p, uint64_t now, const struct pressure_limit *l, unsigned n, unsigned *over, uint64_t *after)
{
	double worst = 0;
	bool near = false;

	*after = PRESSURE_REST;
	*over = n;
	if (p->percent == 0)
		return PRESSURE_CALM;
	for (unsigned i = 0; i < n; i++) {
		uint64_t most = part(l[i].limit, p->percent), room = l[i].used < most ? (most - l[i].used) / PRESSURE_RATE : 0;
		double used = l[i].limit ? (double)l[i].used / (double)l[i].limit : 0;

		near |= l[i].used >= part(l[i].limit, PRESSURE_NEAR);
		if (room < *after)
			*after = room;
		if (l[i].limit && l[i].used >= most && used > worst) {
			worst = used;
			*over = i;
		}
	}
	if (near || *after < p->interval)
		*after = p->interval;
	if (*over == n) {
		p->collected = false;
		return PRESSURE_CALM;
	}
	if (p->victim && now - p->chosen < PRESSURE_PATIENCE)
		return PRESSURE_WAIT;
	p->victim = 0;
	if (!p->collected && l[*over].used < part(l[*over].limit, (p->percent + 100) / 2)) {
		p->collected = true;
		return PRESSURE_COLLECT;
	}
	return PRESSURE_CHOOSE;
}

/* --- who ------------------------------------------------------------------------------------------------------- */

static int
larger(const void *a, const void *b)
{
	const struct pressure_proc *p = a, *q = b;

	if (p->bytes != q->bytes)
		return p->bytes < q->bytes ? 1 : -1;
	return (p->proc > q->proc) - (p->proc < q->proc);
}

static size_t
pick(const struct pressure_proc *v, size_t n, uint64_t least)		/* v is sorted; n: nobody */
{
	size_t first[PRESSURE_NEVER], top = n, best;

	for (unsigned k = 0; k < PRESSURE_NEVER; k++)
		first[k] = n;
	for (size_t i = 0; i < n && v[i].bytes >= least; i++)
		if (v[i].kind < PRESSURE_NEVER && first[v[i].kind] == n) {
			first[v[i].kind] = i;
			top = top == n ? i : top;
		}
	for (unsigned k = 0; k < PRESSURE_NEVER; k++)
		if (first[k] < n && (k == PRESSURE_IDLE || v[first[k]].bytes >= v[top].bytes / PRESSURE_RATIO)) {
			best = first[k];
			for (size_t i = best + 1; i < n && v[i].bytes >= v[first[k]].bytes / 4 * 3; i++)
				if (v[i].kind == v[best].kind && v[i].since > v[best].since)
					best = i;
			return best;
		}
	return n;
}

/* --- what is said ---------------------------------------------------------------------------------------------- */

static void
amount(char s[16], uint64_t bytes)
{
	if (bytes >= UINT64_C(1) << 30)
		snprintf(s, 16, "%.1f GiB", (double)bytes / (1 << 30));
	else
		snprintf(s, 16, "%.0f MiB", (double)bytes / (1 << 20));
}

/* "; worker 7 fit: 80 MiB"; what does not fit is left out whole */
static size_t
say(char *s, size_t at, size_t n, const struct pressure_proc *p)
{
	char bytes[16], who[64];
	int k;

	amount(bytes, p->bytes);
	if (p->pid)
		snprintf(who, sizeof who, "%s %d ", p->kind == PRESSURE_NEVER ? "driver" : "worker", p->pid);
	k = at < n ? snprintf(s + at, n - at, "; %s%s: %s", p->pid ? who : "", p->name[0] ? p->name : "idle", bytes) : 0;
	if (k > 0 && at + (size_t)k >= n) {
		s[at] = '\0';
		return n;
	}
	return at + (size_t)(k > 0 ? k : 0);
}

static void
evidence(struct pressure_choice *c, const struct pressure_limit *l, unsigned percent, const struct pressure_proc *v, size_t n)
{
	const struct pressure_proc *p = &v[c->victim];
	char mine[16], used[16], all[16];
	unsigned shown = 0;
	size_t at;

	amount(mine, p->bytes);
	amount(used, l->used);
	amount(all, l->limit);
	at = (size_t)snprintf(c->text, sizeof c->text, "worker %d was stopped to save memory: it used %s; %.160s used %s of %s, over the threshold of %u %%%s",
	    p->pid, mine, l->name, used, all, percent, c->alone ? "; it would not have fit alone" : "");
	for (size_t i = 0; i < n && shown < 3 && v[i].bytes >= 1 << 20; i++)
		if (i != c->victim) {
			at = say(c->text, at, sizeof c->text, &v[i]);
			shown++;
		}
}

bool
pressure_choose(struct pressure *p, uint64_t now, const struct pressure_limit *l, struct pressure_proc *v, size_t n,
    struct pressure_choice *c)
{
	uint64_t others = 0, least = l->limit / 100 < PRESSURE_LEAST ? l->limit / 100 : PRESSURE_LEAST;

	if (n)
		qsort(v, n, sizeof *v, larger);
	if ((c->victim = pick(v, n, least)) == n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (i != c->victim && v[i].kind != PRESSURE_NEVER)
			others += v[i].bytes;
	c->alone = l->used > others && l->used - others >= part(l->limit, p->percent);
	evidence(c, l, p->percent, v, n);
	p->victim = v[c->victim].proc;
	p->chosen = now;
	return true;
}

void
pressure_gone(struct pressure *p, uint32_t proc)
{
	if (p->victim == proc)
		p->victim = 0;
}
