/* sum - rstat without a list: one record about all there is */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "rstat.h"

/* first what the node says of itself, as the list of nodes calls it, then what is counted here */
enum { NODE_COLS = 7, WORKERS = NODE_COLS, RUNNING, BLOCKED, QUEUED, ACTORS, SETS, OBJECTS, BYTES, KEPT, COLS };

static const struct table_col node[] = {
	{ "name", TABLE_STRING }, { "uptime", TABLE_AGE }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT },
	{ "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES }, { "drivers", TABLE_UINT }, { 0 }
};
static const struct table_col cols[] = {
	{ "node", TABLE_STRING }, { "uptime", TABLE_AGE }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT },
	{ "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES }, { "programs", TABLE_UINT }, { "workers", TABLE_UINT },
	{ "tasks_running", TABLE_UINT }, { "tasks_blocked", TABLE_UINT }, { "tasks_queued", TABLE_UINT }, { "actors", TABLE_UINT },
	{ "sets", TABLE_UINT }, { "objects", TABLE_UINT }, { "object_bytes", TABLE_BYTES }, { "kept", TABLE_UINT }, { 0 }
};
_Static_assert(sizeof node / sizeof *node == NODE_COLS + 1 && sizeof cols / sizeof *cols == COLS + 1, "an index of the record is off");

const struct list_kind sum_kind = { .name = "sum", .cols = cols, .key = { "node" } };

static bool
is(const struct listing *l, size_t row, const char *word)	/* its state */
{
	const struct listing_cell *c = listing_at(l, row, "state");

	return !c->none && c->len == strlen(word) && memcmp(l->text.data + c->off, word, c->len) == 0;
}

static void
count_task(const struct listing *l, size_t i, struct listing_cell *sum)
{
	sum[is(l, i, "queued") ? QUEUED : is(l, i, "blocked") ? BLOCKED : RUNNING].u += listing_at(l, i, "count")->u;
}

static void
count_object(const struct listing *l, size_t i, struct listing_cell *sum)
{
	sum[BYTES].u += listing_at(l, i, "size")->u;
	sum[KEPT].u += listing_at(l, i, "kept")->u;
}

static int
add_node(struct listing *sum, struct client *c, char *why, size_t n)
{
	struct listing l;
	int e = listing_read(&l, c, "node", node, why, n);

	if (e < 0)
		return e;
	if (l.len == 0) {
		snprintf(why, n, "the node says nothing of itself");
		listing_free(&l);
		return -ENOENT;
	}
	memcpy(sum->cell, l.cell, NODE_COLS * sizeof *l.cell);
	sum->text = l.text;
	free(l.cell);
	return 0;
}

int
sum_read(struct listing *l, void *arg, char *why, size_t n)
{
	static const struct table_col tasks[] = { { "state", TABLE_STRING }, { "count", TABLE_UINT }, { 0 } },
	    objects[] = { { "size", TABLE_BYTES }, { "kept", TABLE_BOOL }, { 0 } };
	static const struct {
		const char *list;
		const struct table_col *cols;
		int rows;			/* where their number goes, or 0 */
		void (*count)(const struct listing *l, size_t i, struct listing_cell *sum);
	} part[] = {
		{ "workers", tasks, WORKERS, NULL }, { "tasks", tasks, 0, count_task }, { "actors", tasks, ACTORS, NULL },
		{ "sets", tasks, SETS, NULL }, { "objects", objects, OBJECTS, count_object },
	};
	int e;

	if ((l->cell = calloc(COLS, sizeof *l->cell)) == NULL) {
		snprintf(why, n, "not enough memory");
		return -ENOMEM;
	}
	l->len = l->cap = 1;
	if ((e = add_node(l, arg, why, n)) < 0)
		return e;
	for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
		struct listing p;

		if ((e = listing_read(&p, arg, part[k].list, part[k].cols, why, n)) < 0)
			return e;
		if (part[k].rows)
			l->cell[part[k].rows].u = p.len;
		for (size_t i = 0; part[k].count && i < p.len; i++)
			part[k].count(&p, i, l->cell);
		listing_free(&p);
	}
	return 0;
}
