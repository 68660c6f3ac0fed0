/* sum - rstat without a list: one record about all there is */
#include <string.h>
#include "base/die.h"
#include "client/listing.h"
#include "rstat.h"

const struct table_col sum_cols[] = {
	{ "node", TABLE_STRING }, { "uptime", TABLE_AGE }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT },
	{ "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES }, { "programs", TABLE_UINT }, { "workers", TABLE_UINT },
	{ "tasks_running", TABLE_UINT }, { "tasks_blocked", TABLE_UINT }, { "tasks_queued", TABLE_UINT }, { "actors", TABLE_UINT },
	{ "sets", TABLE_UINT }, { "objects", TABLE_UINT }, { "object_bytes", TABLE_BYTES }, { "kept", TABLE_UINT }, { 0 }
};

static void
read_in(struct listing *l, struct client *c, const char *what, const struct table_col *cols)
{
	char why[512];

	if (listing_read(l, c, what, cols, why, sizeof why) < 0)
		die(125, 0, "%s", why);
}

static bool
is(const struct listing *l, size_t row, const char *word)	/* its state */
{
	const struct listing_cell *c = listing_at(l, row, "state");

	return !c->none && c->len == strlen(word) && memcmp(l->text.data + c->off, word, c->len) == 0;
}

static void
node(struct client *c, struct table *t)
{
	static const struct table_col cols[] = { { "name", TABLE_STRING }, { "uptime", TABLE_AGE }, { "cpus", TABLE_FLOAT },
	    { "cpus_free", TABLE_FLOAT }, { "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES }, { "drivers", TABLE_UINT }, { 0 } };
	struct listing l;

	read_in(&l, c, "nodes", cols);
	if (l.len == 0)
		die(125, 0, "the node says nothing of itself");
	for (unsigned i = 0; i < l.ncol; i++) {
		const struct listing_cell *v = &l.cell[i];

		if (cols[i].kind == TABLE_STRING)
			table_bytes(t, l.text.data + v->off, v->len);
		else if (cols[i].kind == TABLE_FLOAT)
			table_float(t, v->f);
		else
			table_uint(t, v->u);
	}
	listing_free(&l);
}

void
sum_print(struct client *c, struct table *t)
{
	static const struct table_col state[] = { { "state", TABLE_STRING }, { "count", TABLE_UINT }, { 0 } },
	    object[] = { { "size", TABLE_BYTES }, { "kept", TABLE_BOOL }, { 0 } };
	uint64_t running = 0, blocked = 0, queued = 0, bytes = 0, kept = 0;
	struct listing l;

	node(c, t);
	read_in(&l, c, "workers", state);
	table_uint(t, l.len);
	listing_free(&l);
	read_in(&l, c, "tasks", state);
	for (size_t i = 0; i < l.len; i++)
		*(is(&l, i, "queued") ? &queued : is(&l, i, "blocked") ? &blocked : &running) += listing_at(&l, i, "count")->u;
	table_uint(t, running);
	table_uint(t, blocked);
	table_uint(t, queued);
	listing_free(&l);
	read_in(&l, c, "actors", state);
	table_uint(t, l.len);
	listing_free(&l);
	read_in(&l, c, "sets", state);
	table_uint(t, l.len);
	listing_free(&l);
	read_in(&l, c, "objects", object);
	for (size_t i = 0; i < l.len; i++) {
		bytes += listing_at(&l, i, "size")->u;
		kept += listing_at(&l, i, "kept")->u;
	}
	table_uint(t, l.len);
	table_uint(t, bytes);
	table_uint(t, kept);
	listing_free(&l);
	table_row(t);
}
