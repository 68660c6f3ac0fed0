/* lease_wanted - what waits here, in words: see lease.h */
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "core/lease_inner.h"

enum { KINDS = 24, ENTRY = 700 };

struct kind {
	const struct res *need;		/* of each of n leases or actors, or NULL: */
	const struct lgroup *group;	/* one group's bundles */
	uint64_t n;
};

/* how much of d another node could bring: not what waits for room in a group that is there */
static uint64_t
missing(const struct demand *d)
{
	return d->group == NULL && d->want > d->have ? d->want - d->have : 0;
}

static bool
is_more(const struct res *need)
{
	for (unsigned r = 0; r < RES_MAX; r++)
		if (need->v[r] > 0)
			return true;
	return false;
}

static int
put_need(const struct lease_core *c, const struct res *need, char *text, size_t n)
{
	static const char *const name[] = { [RES_CPU] = "cpus", [RES_GPU] = "gpus", [RES_MEM] = "memory" };
	size_t k = 0;

	for (unsigned r = 0; r < RES_MAX && k < n; r++) {
		if (need->v[r] <= 0)
			continue;
		k += (size_t)snprintf(text + k, n - k, "%s%s=%.15g", k ? "," : "", r < RES_CUSTOM ? name[r] : c->name[r],
		    r == RES_MEM ? (double)need->v[r] : (double)need->v[r] / 1000);
	}
	return (int)k;
}

static size_t
put_kind(const struct lease_core *c, const struct kind *k, char *text, size_t n)	/* what it would need */
{
	size_t at = (size_t)snprintf(text, n, "%llu*", (unsigned long long)k->n);

	if (k->need)
		return at < n ? at + (size_t)put_need(c, k->need, text + at, n - at) : at;
	at += (size_t)snprintf(text + at, n - at, "pack(");
	for (unsigned i = 0; i < k->group->n && at < n; i++) {
		at += (size_t)snprintf(text + at, n - at, "%s1*", i ? " " : "");
		if (at < n)
			at += (size_t)put_need(c, &k->group->pool[i].total, text + at, n - at);
	}
	return at < n ? at + (size_t)snprintf(text + at, n - at, ")") : at;
}

size_t
lease_wanted_one(const struct lease_core *c, const struct res *need, uint64_t k, char *text, size_t n)
{
	return put_kind(c, &(struct kind){ .need = need, .n = k }, text, n);
}

size_t
lease_wanted(const struct lease_core *c, char *text, size_t n)
{
	struct kind kind[KINDS];
	unsigned kinds = 0;
	size_t at = 0;

	list_each(l, &c->demands) {
		const struct demand *d = list_entry(l, struct demand, link);
		unsigned i = 0;

		if (missing(d) == 0 || !is_more(&d->need))
			continue;
		while (i < kinds && (d->reserve || kind[i].group || memcmp(kind[i].need, &d->need, sizeof d->need) != 0))
			i++;
		if (i == KINDS)
			continue;
		if (i == kinds)
			kind[kinds++] = (struct kind){ .need = d->reserve ? NULL : &d->need, .group = d->reserve };
		kind[i].n += missing(d);
	}
	for (unsigned i = 0; i < kinds; i++) {
		char entry[ENTRY];
		size_t len = put_kind(c, &kind[i], entry, sizeof entry);

		if (len >= sizeof entry || at + len + 2 > n)
			continue;
		at += (size_t)snprintf(text + at, n - at, "%s%s", at ? " " : "", entry);
	}
	if (at == 0 && n)
		text[0] = '\0';
	return at;
}

uint64_t
lease_wanted_mark(const struct lease_core *c)
{
	uint64_t mark = 0;

	list_each(l, &c->demands) {
		const struct demand *d = list_entry(l, struct demand, link);

		if (missing(d))
			mark += hash_mix(hash64(&d->need, sizeof d->need)) * missing(d);
	}
	return mark;
}
