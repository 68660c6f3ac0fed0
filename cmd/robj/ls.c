/* ls, rm - what the node keeps, and forgetting it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/err.h"
#include "client/listing.h"
#include "robj.h"

static const struct opt ls_opts[] = {
	{ 'J', "json", NULL, "JSON lines" },
	{ 'o', "columns", "COL,...", "columns" },
	{ 'r', "reverse", NULL, "reverse order" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	COMMON_OPTS,
	{ 0 }
};
static const struct opt rm_opts[] = { COMMON_OPTS, { 0 } };

/* those of rstat objects that say something of a kept one; the last is for the filter only */
static const struct table_col all[] = {
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { "ttl", TABLE_AGE },
	{ "kept", TABLE_BOOL }, { 0 }
};
static const struct table_col cols[] = {
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { "ttl", TABLE_AGE },
	{ 0 }
};

static void
print(const struct listing *l, struct table *t)
{
	for (size_t i = 0; i < l->len; i++) {
		for (const struct table_col *k = cols; k->name; k++) {
			const struct listing_cell *c = listing_at(l, i, k->name);

			if (c->none)
				table_none(t);
			else if (k->kind == TABLE_STRING)
				table_bytes(t, l->text.data + c->off, c->len);
			else
				table_uint(t, c->u);
		}
		table_row(t);
	}
}

int
cmd_ls(int argc, char *argv[])
{
	struct opt_state o = { .opts = ls_opts, .help = help, .verb = "ls" };
	const char *columns = NULL;
	bool reverse = false;
	struct listing l;
	struct table t;
	struct client *cl;
	char why[512];
	int c, e;

	table_init(&t, cols, stdout);
	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 'J': t.json = true; break;
		case 'o': columns = o.arg; break;
		case 'r': reverse = true; break;
		case OPT_HEADER: t.header = true; break;
		default: common_opt(c, o.arg);
		}
	if (o.index < argc)
		die(2, 0, "unexpected operand '%s'; see robj -h", argv[o.index]);
	if (columns && (e = table_select(&t, columns, why, sizeof why)) != 0) {
		if (e == -EINVAL)
			die(2, 0, "%s", why);
		return 0;			/* -o help */
	}
	cl = join(false);
	if (listing_read(&l, cl, "objects", all, why, sizeof why) < 0 ||
	    listing_filter(&l, "kept=true", why, sizeof why) < 0)
		die(125, 0, "%s", why);
	listing_sort(&l, 0, reverse);
	print(&l, &t);
	listing_free(&l);
	client_close(cl);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	return 0;
}

static int
forget(struct client *cl, const char *name)
{
	char why[512] = "";
	struct id id;
	int e;

	if ((e = client_lookup(cl, name, NULL, &id, why, sizeof why)) == 0)
		e = client_remove(cl, id, why, sizeof why);
	if (e == ERR_NOTFOUND) {
		if (!common.quiet)
			warn(0, "%s; nothing to remove", *why ? why : err_str(e));
		return 0;
	}
	if (e == ERR_NO_CLUSTER)
		die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
	if (e < 0) {
		warn(0, "%s", *why ? why : err_str(e));
		return 1;
	}
	if (common.verbose)
		warn(0, "'%s' is removed", name);
	return 0;
}

int
cmd_rm(int argc, char *argv[])
{
	struct opt_state o = { .opts = rm_opts, .help = help, .verb = "rm", .words = kept_words };
	struct client *cl;
	const char *name;
	struct ids ids;
	int c, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		common_opt(c, o.arg);
	cl = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL)
		status |= forget(cl, name);
	client_close(cl);
	return status;
}
