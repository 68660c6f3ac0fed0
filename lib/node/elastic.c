/*
 * elastic - what an autoscaler has to do with a node.  Attached to one of them it says which nodes could come, so that what none
 * can run now waits for them, and which are to drain; that travels in this node's load to all others.  A node that drains refuses
 * work of others and keeps no idle workers; who leaves, or dies, has said nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "core/node_row.h"
#include "node/abroad.h"

enum { TEXT = 3000 };

static int
set(struct buf *b, struct span s)
{
	b->len = 0;
	return s.n ? buf_add(b, s.p, s.n) : 0;
}

/* the next word of *left; empty: there is none */
static struct span
word(struct span *left)
{
	const unsigned char *p = left->p, *end = p + left->n, *from;

	while (p < end && *p == ' ')
		p++;
	for (from = p; p < end && *p != ' ';)
		p++;
	*left = span_of(p, (size_t)(end - p));
	return span_of(from, (size_t)(p - from));
}

/* N*name=amount,... of one kind of node: N, how many may come; -1: that makes no sense */
static int
parse(struct node *n, struct span s, struct res *r)
{
	static const char *const known[] = { [RES_CPU] = "cpus", [RES_GPU] = "gpus", [RES_MEM] = "memory" };
	char text[TEXT], *save = NULL, *rest;
	unsigned long many;

	*r = (struct res){ { 0 } };
	if (s.n >= sizeof text)
		return -1;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	many = strtoul(text, &rest, 10);
	if (many > 100000 || *rest != '*')
		return -1;
	for (char *pair = strtok_r(rest + 1, ",", &save); pair; pair = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(pair, '='), *end;
		double v = eq ? strtod(eq + 1, &end) : -1;
		unsigned i = 0;

		if (!(v >= 0 && v < 1e15) || *end || eq == pair)
			return -1;
		*eq = '\0';
		while (i < RES_CUSTOM && strcmp(pair, known[i]) != 0)
			i++;
		if (i == RES_CUSTOM && (i = lease_resource(&n->lease, pair, strlen(pair), true)) >= RES_MAX)
			continue;		/* of more than can be numbered nothing is known */
		r->v[i] = (int64_t)(v * (i == RES_MEM ? 1 : 1000));
	}
	return (int)many;
}

/* programs may want as many leases as there could be CPUs; names of resources get their numbers */
static void
expect(struct node *n)
{
	struct elastic *x = &n->self.elastic;
	struct span left = span_buf(&x->coming), one;
	struct res r;
	uint64_t cpus = 0;
	int many;

	while ((one = word(&left)).n)
		if ((many = parse(n, one, &r)) > 0)
			cpus += (uint64_t)many * (uint64_t)r.v[RES_CPU];
	cpus = cpus < UINT32_MAX / 4 ? cpus : UINT32_MAX / 4;
	atomic_fetch_add(&n->np->abroad, (uint32_t)cpus - x->cpus);
	x->cpus = (uint32_t)cpus;
}

bool
elastic_could(struct node *n, const struct res *need)
{
	struct span left = span_buf(&n->self.elastic.coming), one;
	struct res total;

	while ((one = word(&left)).n) {
		unsigned r = 0;

		if (parse(n, one, &total) < 0)
			continue;
		while (r < RES_MAX && need->v[r] <= total.v[r])
			r++;
		if (r == RES_MAX)
			return true;
	}
	return false;
}

/* --- what waits here ------------------------------------------------------------------------------------------------- */

/* what a process of ours wants and nobody is asked for: no node could run it, or all that could are full */
static uint64_t
unasked(const struct node *n, uint32_t proc, const struct want *w)
{
	struct overflow_split s;

	if (!overflow_split(&n->abroad->over, proc, w->shape, &s) || s.want <= s.local + s.asked + s.far)
		return 0;
	return s.want - s.local - s.asked - s.far;
}

uint64_t
elastic_mark(const struct node *n)
{
	struct map_iter it = MAP_ITER;
	uint64_t mark = 0, k;

	if (n->self.elastic.from == 0)
		return 0;			/* nobody wants to know */
	while (n->abroad && map_next(&n->abroad->wants, &it))
		list_each(l, (struct list *)it.val) {
			const struct want *w = list_entry(l, struct want, link);

			if ((k = unasked(n, (uint32_t)it.key, w)))
				mark += hash_mix(hash64(&w->need, sizeof w->need)) * k;
		}
	return mark + lease_wanted_mark(&n->lease) + 1;
}

void
elastic_wanted(const struct node *n, char *text, size_t size)
{
	struct map_iter it = MAP_ITER;
	size_t at = lease_wanted(&n->lease, text, size);
	uint64_t k;

	while (n->abroad && map_next(&n->abroad->wants, &it))
		list_each(l, (struct list *)it.val) {
			const struct want *w = list_entry(l, struct want, link);
			char one[700];
			size_t len;

			if ((k = unasked(n, (uint32_t)it.key, w)) == 0)
				continue;
			len = lease_wanted_one(&n->lease, &w->need, k, one, sizeof one);
			if (len < sizeof one && at + len + 2 <= size)
				at += (size_t)snprintf(text + at, size - at, "%s%s", at ? " " : "", one);
		}
}

/* --- what an autoscaler says ----------------------------------------------------------------------------------------- */

int
elastic_frame(struct nproc *p, const struct frame *f)
{
	struct elastic *x = &p->n->self.elastic;
	struct msg_scale m;
	int e = msg_get_scale(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (m.types.n + m.drains.n > TEXT)
		return ERR_PROTO;
	x->proc = p->number;
	x->changes++;
	if ((e = set(&x->types, m.types)) < 0 || (e = set(&x->drains, m.drains)) < 0 || (e = set(&x->coming, m.types)) < 0)
		return e;
	x->from = p->n->number;			/* the others hear of it by the list of nodes */
	expect(p->n);
	return 0;
}

void
elastic_gone(const struct nproc *p)
{
	struct elastic *x = &p->n->self.elastic;

	if (x->proc != p->number)
		return;
	x->proc = 0;
	x->types.len = x->drains.len = 0;
	x->changes++;
}

static bool
names_us(const struct node *n, struct span drains)
{
	struct span one;

	while ((one = word(&drains)).n) {
		const unsigned char *s = one.p;
		uint64_t v = 0;

		for (size_t i = 0; i < one.n && i < 10; i++)
			v = s[i] >= '0' && s[i] <= '9' ? v * 10 + (uint64_t)(s[i] - 48) : UINT64_MAX / 100;
		if (v == n->number)
			return true;
	}
	return false;
}

void
elastic_news(struct node *n, bool anew)
{
	struct elastic *x = &n->self.elastic;
	const struct cluster_row *r = NULL;
	bool us = x->draining & DRAIN_SCALE;
	struct node_load l;

	if (anew || (x->from && cluster_row(&n->nodes, x->from) == NULL)) {
		x->seen = x->from = 0;
		x->coming.len = 0;
		us = false;
		if (x->proc) {
			x->from = n->number;
			set(&x->coming, span_buf(&x->types));
			us = names_us(n, span_buf(&x->drains));
		}
	}
	while ((r = cluster_newer(&n->nodes, x->seen, r)) != NULL) {
		if (r->gone || node_load_get(&l, span_of(r->load.data, r->load.len)) < 0)
			continue;
		if (r->number == n->number && x->proc)
			continue;		/* what the list says of us is older than what we were told here */
		if (l.types.n == 0 && l.drains.n == 0 && r->number != x->from)
			continue;
		x->from = l.types.n || l.drains.n ? r->number : 0;
		set(&x->coming, l.types);
		us = names_us(n, l.drains);
	}
	x->seen = n->nodes.rev;
	expect(n);
	drain_set(n, DRAIN_SCALE, us);
}

void
elastic_stop(struct node *n)
{
	struct elastic *x = &n->self.elastic;

	buf_release(&x->types);
	buf_release(&x->drains);
	buf_release(&x->coming);
}
