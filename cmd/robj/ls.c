/* ls, du - what the node keeps; how much there is, by owner */
#include <errno.h>
#include "base/die.h"
#include "base/err.h"
#include "client/watch.h"
#include "os/sig.h"
#include "robj.h"

static const struct opt opts[] = {
	{ 'J', "json", NULL, "JSON lines" },
	{ 'o', "columns", "COL,...", "columns" },
	{ 'r', "reverse", NULL, "reverse order" },
	{ 'w', "watch", NULL, "keep watching" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	COMMON_OPTS,
	{ 0 }
};

/* those of rstat objects that say something of a kept one; the last is for the filter only */
static const struct table_col kept[] = {
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { "ttl", TABLE_AGE },
	{ "state", TABLE_STRING }, { "kept", TABLE_BOOL }, { 0 }
};
static const struct table_col cols[] = {
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { "ttl", TABLE_AGE },
	{ "state", TABLE_STRING }, { 0 }
};
static const struct table_col memory[] = {
	{ "bytes", TABLE_BYTES }, { "objects", TABLE_UINT }, { "arena", TABLE_BYTES }, { "disk", TABLE_BYTES },
	{ "pinned", TABLE_BYTES }, { "lent", TABLE_BYTES }, { "lineage", TABLE_BYTES }, { "lineage_dropped", TABLE_UINT },
	{ "owner", TABLE_STRING }, { "job", TABLE_UINT }, { "name", TABLE_STRING }, { 0 }
};

struct asked {
	const char *list;		/* what the node calls it */
	const struct table_col *read, *print;
	const char *filter, *blank, *columns;
	bool down, reverse, json, header, watch;
};

static void
read_list(struct client *cl, struct listing *l, void *arg)
{
	const struct asked *a = arg;
	char why[512];

	if (listing_read(l, cl, a->list, a->read, why, sizeof why) < 0 ||
	    (a->filter && listing_filter(l, a->filter, why, sizeof why) < 0))
		die(125, 0, "%s", why);
	if (a->filter)
		listing_narrow(l);
	if (a->blank)
		listing_blank(l, a->blank);
	listing_sort(l, 0, a->reverse != a->down);
}

static bool
table_open(struct table *t, FILE *f, const struct asked *a)	/* false: the names of the columns were asked for */
{
	table_init(t, a->print, f);
	t->json = a->json;
	t->header = a->header;
	return columns_of(t, a->columns) == 0;
}

static void
open_again(struct table *t, FILE *f, void *arg)
{
	table_open(t, f, arg);
}

static void
print(struct client *cl, struct table *t, struct asked *a)
{
	struct listing l;
	int e;

	if (a->watch) {
		e = watch(cl, &(struct watch){ stdout, open_again, read_list, NULL, a }, t);
		if (e > 0)
			sig_reraise(e);
		if (e == ERR_NO_CLUSTER)
			die(125, 0, "%s", client_lost(cl));
		die(125, e, "cannot write to stdout");
	}
	read_list(cl, &l, a);
	listing_print(&l, t);
	listing_free(&l);
	if ((e = table_end(t)) < 0)
		die(125, e, "cannot write to stdout");
}

static int
run(int argc, char *argv[], struct asked *a)
{
	struct opt_state o = { .opts = opts, .help = help, .verb = argv[0] };
	struct client *cl;
	struct table t;
	int c;

	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 'J': a->json = true; break;
		case 'o': a->columns = o.arg; break;
		case 'r': a->reverse = true; break;
		case 'w': a->watch = true; break;
		case OPT_HEADER: a->header = true; break;
		default: common_opt(c, o.arg);
		}
	if (o.index < argc)
		die(2, 0, "unexpected operand '%s'; see robj -h", argv[o.index]);
	if (!table_open(&t, stdout, a))
		return 0;
	cl = join(false);
	print(cl, &t, a);
	client_close(cl);
	return 0;
}

int
cmd_ls(int argc, char *argv[])
{
	return run(argc, argv, &(struct asked){ "objects", kept, cols, .filter = "kept=true" });
}

int
cmd_du(int argc, char *argv[])
{
	return run(argc, argv, &(struct asked){ "memory", memory, memory, .blank = "job", .down = true });
}
