/* show, wait - all about one object; until it is there */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "base/num.h"
#include "client/listing.h"
#include "robj.h"

static const struct opt show_opts[] = { { 'J', "json", NULL, "JSON lines" }, { 'o', "columns", "COL,...", "columns" },
	COMMON_OPTS, { 0 } };
static const struct opt wait_opts[] = { { 't', "timeout", "TIME", "wait no longer" }, COMMON_OPTS, { 0 } };

static const struct table_col object[] = {
	{ "id", TABLE_STRING }, { "name", TABLE_STRING }, { "size", TABLE_BYTES }, { "state", TABLE_STRING },
	{ "where", TABLE_STRING }, { "kind", TABLE_STRING }, { "owner", TABLE_STRING }, { "job", TABLE_UINT },
	{ "refs", TABLE_UINT }, { "holders", TABLE_UINT }, { "pinned", TABLE_UINT }, { "kept", TABLE_BOOL },
	{ "age", TABLE_AGE }, { "ttl", TABLE_AGE }, { 0 }
};

static bool
is(const struct listing *l, size_t row, const char *col, const char *text, bool prefix)
{
	const struct listing_cell *c = listing_at(l, row, col);
	size_t n = strlen(text);

	return !c->none && (prefix ? c->len >= n && n >= 4 : c->len == n) && memcmp(l->text.data + c->off, text, n) == 0;
}

/* how many rows are meant; the last of them in *row */
static unsigned
find(const struct listing *l, const char *text, size_t *row)
{
	unsigned found = 0;

	for (size_t i = 0; i < l->len; i++)
		if (is(l, i, "name", text, false)) {
			*row = i;
			return 1;
		}
	for (size_t i = 0; i < l->len; i++)
		if (is(l, i, "id", text, true)) {
			*row = i;
			found++;
		}
	return found;
}

int
columns_of(struct table *t, const char *columns)
{
	char why[512];
	int e = columns ? table_select(t, columns, why, sizeof why) : 0;

	if (e == -EINVAL)
		die(2, 0, "%s", why);
	return e != 0;
}

static int
show(struct client *cl, const char *name, const char *columns, bool json)
{
	struct listing l, one;
	struct table t;
	char why[512];
	size_t row = 0;
	unsigned n;
	int e;

	if (listing_read(&l, cl, "objects", object, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	listing_blank(&l, "job");
	if ((n = find(&l, name, &row)) != 1) {
		warn(0, n ? "'%s' is ambiguous: %u objects begin so" : "no object '%s'", name, n);
		listing_free(&l);
		return 1;
	}
	one = l;
	one.cell = &l.cell[row * l.ncol];
	one.len = 1;
	table_init(&t, object, stdout);
	t.json = json;
	t.show = true;
	columns_of(&t, columns);
	listing_print(&one, &t);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	listing_free(&l);
	return 0;
}

int
cmd_show(int argc, char *argv[])
{
	struct opt_state o = { .opts = show_opts, .help = help, .verb = "show", .words = kept_words };
	const char *columns = NULL, *name;
	bool json = false;
	struct client *cl;
	struct table t;
	struct ids ids;
	int c, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 'J': json = true; break;
		case 'o': columns = o.arg; break;
		default: common_opt(c, o.arg);
		}
	table_init(&t, object, stdout);
	if (columns_of(&t, columns))
		return 0;
	cl = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL)
		status |= show(cl, name, columns, json);
	client_close(cl);
	return status;
}

int
cmd_wait(int argc, char *argv[])
{
	struct opt_state o = { .opts = wait_opts, .help = help, .verb = "wait", .words = kept_words };
	uint64_t deadline = WAIT_FOREVER;
	struct client *cl;
	const char *name;
	struct ids ids;
	int64_t ns;
	int c, e, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 't':
			if (num_duration(o.arg, &ns) < 0)
				opt_bad("-t", o.arg, "a time, as 90, 10m or 1h");
			deadline = clock_ns() + (uint64_t)ns;
			break;
		default: common_opt(c, o.arg);
		}
	cl = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL) {
		char why[512] = "";
		struct id id;

		if ((e = client_lookup_wait(cl, name, deadline, &id, why, sizeof why)) == 0)
			continue;
		if (e == ERR_NO_CLUSTER)
			die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
		if (e == -ETIMEDOUT && !common.quiet)
			warn(0, "no object '%s' came within the time", name);
		else if (e != -ETIMEDOUT)
			warn(0, "%s", *why ? why : err_str(e));
		status = e == -ETIMEDOUT ? 124 : 1;
	}
	client_close(cl);
	return status;
}
