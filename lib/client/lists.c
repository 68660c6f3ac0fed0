#include <string.h>
#include "base/hash.h"
#include "base/map.h"
#include "client/lists.h"

static const struct table_col nodes[] = {
	{ "name", TABLE_STRING }, { "state", TABLE_STRING }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT },
	{ "gpus", TABLE_FLOAT }, { "memory", TABLE_BYTES }, { "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES },
	{ "workers", TABLE_UINT }, { "drivers", TABLE_UINT }, { "pid", TABLE_UINT }, { "uptime", TABLE_AGE },
	{ "address", TABLE_STRING }, { "waiting", TABLE_UINT }, { "labels", TABLE_STRING }, { "node", TABLE_UINT },
	{ "why", TABLE_STRING }, { "leases", TABLE_UINT }, { "kept", TABLE_UINT }, { "wanted", TABLE_STRING }, { "gpus_free", TABLE_FLOAT }, { "memory_free", TABLE_BYTES },
	{ "resources_free", TABLE_STRING }, { "ended", TABLE_TIME }, { 0 }
};
static const struct table_col workers[] = {
	{ "pid", TABLE_UINT }, { "state", TABLE_STRING }, { "fn", TABLE_STRING }, { "task", TABLE_STRING },
	{ "since", TABLE_TIME }, { "job", TABLE_UINT }, { "cpus", TABLE_FLOAT }, { "actor", TABLE_UINT },
	{ "rss", TABLE_BYTES }, { "blocked", TABLE_BOOL }, { 0 }
};
static const struct table_col tasks[] = {
	{ "id", TABLE_STRING }, { "name", TABLE_STRING }, { "state", TABLE_STRING }, { "count", TABLE_UINT },
	{ "worker", TABLE_UINT }, { "since", TABLE_TIME }, { "attempt", TABLE_UINT }, { "job", TABLE_UINT }, { 0 }
};
static const struct table_col actors[] = {
	{ "actor", TABLE_UINT }, { "name", TABLE_STRING }, { "class", TABLE_STRING }, { "state", TABLE_STRING },
	{ "incarnation", TABLE_UINT }, { "restarts", TABLE_STRING }, { "pid", TABLE_UINT }, { "pending", TABLE_UINT },
	{ "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { "why", TABLE_STRING }, { "ended", TABLE_TIME }, { 0 }
};
static const struct table_col jobs[] = {
	{ "job", TABLE_UINT }, { "name", TABLE_STRING }, { "state", TABLE_STRING }, { "pid", TABLE_UINT },
	{ "namespace", TABLE_STRING }, { "node", TABLE_UINT }, { "why", TABLE_STRING }, { "ended", TABLE_TIME }, { 0 }
};
static const struct table_col objects[] = {		/* first what a narrow terminal is to show */
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { "ttl", TABLE_AGE },
	{ "state", TABLE_STRING }, { "where", TABLE_STRING }, { "kind", TABLE_STRING }, { "owner", TABLE_STRING },
	{ "holders", TABLE_UINT }, { "pinned", TABLE_UINT }, { "kept", TABLE_BOOL }, { "refs", TABLE_UINT },
	{ "job", TABLE_UINT }, { 0 }
};
static const struct table_col mem[] = {		/* the same, for the question who holds the memory */
	{ "size", TABLE_BYTES }, { "id", TABLE_STRING }, { "where", TABLE_STRING }, { "owner", TABLE_STRING },
	{ "refs", TABLE_UINT }, { "holders", TABLE_UINT }, { "pinned", TABLE_UINT }, { "age", TABLE_AGE },
	{ "kind", TABLE_STRING }, { "name", TABLE_STRING }, { "state", TABLE_STRING }, { "lineage_dropped", TABLE_UINT }, { 0 }
};
static const struct table_col groups[] = {
	{ "id", TABLE_STRING }, { "name", TABLE_STRING }, { "state", TABLE_STRING }, { "strategy", TABLE_STRING },
	{ "bundles", TABLE_UINT }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT }, { "gpus", TABLE_FLOAT },
	{ "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { "age", TABLE_AGE }, { "why", TABLE_STRING }, { "ended", TABLE_TIME }, { 0 }
};
static const struct table_col sets[] = {
	{ "set", TABLE_UINT }, { "name", TABLE_STRING }, { "class", TABLE_STRING }, { "state", TABLE_STRING },
	{ "up", TABLE_UINT }, { "min", TABLE_UINT }, { "max", TABLE_UINT }, { "gang", TABLE_BOOL },
	{ "generation", TABLE_UINT }, { "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { "age", TABLE_AGE },
	{ "why", TABLE_STRING }, { 0 }
};
static const struct table_col owners[] = {
	{ "bytes", TABLE_BYTES }, { "objects", TABLE_UINT }, { "arena", TABLE_BYTES }, { "disk", TABLE_BYTES },
	{ "pinned", TABLE_BYTES }, { "lent", TABLE_BYTES }, { "lineage", TABLE_BYTES }, { "lineage_dropped", TABLE_UINT },
	{ "owner", TABLE_STRING }, { "job", TABLE_UINT }, { "name", TABLE_STRING }, { 0 }
};

const struct list_kind lists[] = {
	{ .name = "nodes", .cols = nodes, .key = { "node" }, .past = "past/nodes" },
	{ .name = "workers", .cols = workers, .key = { "pid" }, .blank = { "since", "job", "actor" } },
	{ .name = "tasks", .cols = tasks, .key = { "id", "worker" }, .blank = { "since", "attempt", "worker", "job" } },
	{ .name = "actors", .cols = actors, .key = { "actor" }, .blank = { "pid", "job" }, .past = "past/actors" },
	{ .name = "objects", .cols = objects, .key = { "id" }, .blank = { "job" } },
	{ .name = "mem", .cols = mem, .key = { "id" }, .of = "objects", .down = true },
	{ .name = "groups", .cols = groups, .key = { "id" }, .blank = { "job" }, .past = "past/groups" },
	{ .name = "sets", .cols = sets, .key = { "set" }, .blank = { "job" } },
	{ .name = "jobs", .cols = jobs, .key = { "job" }, .blank = { "pid" }, .past = "past/jobs" },
	{ .name = NULL }
};
const char *const lists_names[] = { "nodes", "workers", "tasks", "actors", "objects", "mem", "groups", "sets", "jobs", NULL };
const struct list_kind lists_kept = { .name = "objects", .cols = objects, .key = { "id" }, .blank = { "job" }, .only = "kept=true" };
const struct list_kind lists_node = { .name = "nodes", .cols = nodes, .key = { "pid" }, .of = "node" };
const struct list_kind lists_owners = { .name = "memory", .cols = owners, .key = { "owner" }, .blank = { "job" }, .down = true };

const struct list_kind *
lists_find(const char *name)
{
	const struct list_kind *k = lists;

	while (k->name && strcmp(k->name, name) != 0)
		k++;
	return k->name ? k : NULL;
}

int
lists_add(const struct list_kind *k, struct listing *l, struct client *c, char *why, size_t n)
{
	return listing_add(l, c, k->of ? k->of : k->name, k->cols, why, n);
}

static uint64_t
key_of(const struct list_kind *k, const struct listing *l, size_t row)
{
	const struct listing_cell *cell = &l->cell[row * l->ncol];

	for (unsigned i = 0; i < l->ncol; i++)
		if (strcmp(l->cols[i].name, k->key[0]) == 0)
			return l->cols[i].kind == TABLE_UINT ? cell[i].u : hash64(l->text.data + cell[i].off, cell[i].len);
	return 0;
}

int
lists_add_past(const struct list_kind *k, struct listing *l, struct client *c, char *why, size_t n)
{
	struct map there = MAP_INIT;
	size_t before = l->len, to = l->len;
	int e = 0;

	for (size_t i = 0; i < before && e == 0; i++)
		e = map_put(&there, key_of(k, l, i), l);
	if (e == 0 && k->past)
		e = listing_add(l, c, k->past, k->cols, why, n);
	for (size_t i = before; i < l->len; i++)	/* one that ended lately may be listed still */
		if (!map_get(&there, key_of(k, l, i)))
			memmove(&l->cell[to++ * l->ncol], &l->cell[i * l->ncol], l->ncol * sizeof *l->cell);
	l->len = to;
	map_release(&there);
	return e;
}

int
lists_order(const struct list_kind *k, struct listing *l, char *const *filters, bool reverse, char *why, size_t n)
{
	int e = k->only ? listing_filter(l, k->only, why, n) : 0;

	for (const char *const *b = k->blank; *b; b++)
		listing_blank(l, *b);
	for (; e == 0 && *filters; filters++)
		e = listing_filter(l, *filters, why, n);
	if (e < 0) {
		listing_free(l);
		return e;
	}
	listing_sort(l, 0, reverse != k->down);
	return 0;
}

int
lists_check(const struct list_kind *k, char *const *filters, char *why, size_t n)
{
	struct listing none = { .cols = k->cols };
	int e = 0;

	while (none.cols[none.ncol].name)
		none.ncol++;
	for (; e == 0 && *filters; filters++)
		e = listing_filter(&none, *filters, why, n);
	return e;
}
