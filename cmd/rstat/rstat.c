/*
 * rstat - what is there and what it does: one list a verb, or everything in short.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "base/opt.h"
#include "client/listing.h"
#include "client/watch.h"
#include "os/fd.h"
#include "os/sig.h"
#include "rstat.h"

enum { OPT_HEADER = 256, FILTERS = 64 };

static const char help[] =
"usage: rstat [options]                    everything in short\n"
"       rstat [options] LIST [FILTER ...]   nodes workers tasks actors\n"
"                                           objects mem groups sets\n"
"FILTER is COL=VALUE or COL~REGEX; a row must fit all.\n"
"   -o COL,...   columns; -o help lists them, --columns\n"
"   -J           one JSON object a line, --json\n"
"   -r           reverse order, --reverse\n"
"   -w           keep watching: redraws a terminal, a line an event in a pipe\n"
"   --header     a heading in a pipe too\n"
"   -A ADDR      the cluster to look at, --address\n"
"   -N NAME      namespace, --namespace\n"
"   -q  -v  -h  -V   quiet, verbose, help, version\n"
"Examples:\n"
"   rstat workers state=running -o pid,fn,since\n"
"   rstat objects 'size~^[0-9]{9}' -J\n"
"man rstat\n";

static const struct opt opts[] = {
	{ 'o', "columns", "COL,...", "columns" },
	{ 'J', "json", NULL, "JSON lines" },
	{ 'r', "reverse", NULL, "reverse order" },
	{ 'w', "watch", NULL, "keep watching" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	{ 'A', "address", "ADDR", "cluster" },
	{ 'N', "namespace", "NAME", "namespace" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

static const struct table_col nodes[] = {
	{ "name", TABLE_STRING }, { "state", TABLE_STRING }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT },
	{ "gpus", TABLE_FLOAT }, { "memory", TABLE_BYTES }, { "arena", TABLE_BYTES }, { "arena_used", TABLE_BYTES },
	{ "workers", TABLE_UINT }, { "drivers", TABLE_UINT }, { "pid", TABLE_UINT }, { "uptime", TABLE_AGE },
	{ "address", TABLE_STRING }, { 0 }
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
	{ "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { 0 }
};
static const struct table_col objects[] = {
	{ "id", TABLE_STRING }, { "size", TABLE_BYTES }, { "state", TABLE_STRING }, { "kind", TABLE_STRING },
	{ "owner", TABLE_STRING }, { "holders", TABLE_UINT }, { "pinned", TABLE_UINT }, { "kept", TABLE_BOOL },
	{ "age", TABLE_AGE }, { "ttl", TABLE_AGE }, { "name", TABLE_STRING }, { "where", TABLE_STRING },
	{ "refs", TABLE_UINT }, { "job", TABLE_UINT }, { 0 }
};
static const struct table_col mem[] = {		/* the same, for the question who holds the memory */
	{ "size", TABLE_BYTES }, { "id", TABLE_STRING }, { "where", TABLE_STRING }, { "owner", TABLE_STRING },
	{ "refs", TABLE_UINT }, { "holders", TABLE_UINT }, { "pinned", TABLE_UINT }, { "age", TABLE_AGE },
	{ "kind", TABLE_STRING }, { "name", TABLE_STRING }, { 0 }
};

static const struct table_col groups[] = {
	{ "id", TABLE_STRING }, { "name", TABLE_STRING }, { "state", TABLE_STRING }, { "strategy", TABLE_STRING },
	{ "bundles", TABLE_UINT }, { "cpus", TABLE_FLOAT }, { "cpus_free", TABLE_FLOAT }, { "gpus", TABLE_FLOAT },
	{ "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { "age", TABLE_AGE }, { "why", TABLE_STRING }, { 0 }
};

static const struct table_col sets[] = {
	{ "set", TABLE_UINT }, { "name", TABLE_STRING }, { "class", TABLE_STRING }, { "state", TABLE_STRING },
	{ "up", TABLE_UINT }, { "min", TABLE_UINT }, { "max", TABLE_UINT }, { "gang", TABLE_BOOL },
	{ "generation", TABLE_UINT }, { "job", TABLE_UINT }, { "namespace", TABLE_STRING }, { "age", TABLE_AGE },
	{ "why", TABLE_STRING }, { 0 }
};

static const struct list {
	const char *name;
	const struct table_col *cols;	/* rows are sorted by the first */
	const char *blank[5];		/* columns where 0 says that there is none */
	const char *of;			/* what the node calls it, if otherwise */
	bool down;			/* the largest first */
} lists[] = {
	{ "nodes", nodes, { NULL }, NULL, false },
	{ "workers", workers, { "since", "job", "actor", NULL }, NULL, false },
	{ "tasks", tasks, { "since", "attempt", "worker", "job", NULL }, NULL, false },
	{ "actors", actors, { "pid", "job", NULL }, NULL, false },
	{ "objects", objects, { "job", NULL }, NULL, false },
	{ "mem", mem, { NULL }, "objects", true },
	{ "groups", groups, { "job", NULL }, NULL, false },
	{ "sets", sets, { "job", NULL }, NULL, false },
};
enum { LISTS = sizeof lists / sizeof *lists };

static const struct list *
find(const char *name)
{
	static const char *const words[] = { "nodes", "workers", "tasks", "actors", "objects", "mem", "groups", "sets", NULL };

	for (int i = 0; i < LISTS; i++)
		if (strcmp(lists[i].name, name) == 0)
			return &lists[i];
	opt_unknown("list", name, words);
}

struct asked {				/* on the command line */
	const struct list *what;	/* NULL: everything in short */
	char *filter[FILTERS + 1];
	const char *columns, *address, *namespace;
	bool reverse, json, header, verbose, watch;
};

static void
read_list(struct client *c, struct listing *l, void *arg)
{
	const struct asked *a = arg;
	char why[1024];

	if (listing_read(l, c, a->what->of ? a->what->of : a->what->name, a->what->cols, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	for (const char *const *b = a->what->blank; *b; b++)
		listing_blank(l, *b);
	for (char *const *f = a->filter; *f; f++)
		if (listing_filter(l, *f, why, sizeof why) < 0)
			die(2, 0, "%s", why);
	listing_sort(l, 0, a->reverse != a->what->down);
}

/* 0, or 1: names of columns were asked for and printed */
static int
table_open(struct table *t, const struct asked *a, FILE *f)
{
	char why[256];
	int e;

	table_init(t, a->what ? a->what->cols : sum_cols, f);
	t->json = a->json;
	t->header = a->header;
	t->show = a->what == NULL;
	if (!a->columns || (e = table_select(t, a->columns, why, sizeof why)) == 0)
		return 0;
	if (e == -EINVAL)
		die(2, 0, "%s", why);
	if (e < 0)
		die(125, e, "cannot write to stdout");
	return 1;
}

static void
print(struct client *c, struct table *t, void *arg)
{
	struct asked *a = arg;
	struct listing l;

	if (a->what) {
		read_list(c, &l, a);
		listing_print(&l, t);
		listing_free(&l);
	} else
		sum_print(c, t);
}

static void
open_again(struct table *t, FILE *f, void *arg)
{
	table_open(t, arg, f);
}

_Noreturn static void
keep_watching(struct client *c, struct table *t, struct asked *a)
{
	int e = watch(c, &(struct watch){ stdout, open_again, read_list, print, a }, t);

	if (e == ERR_NO_CLUSTER)
		die(125, 0, "%s", client_lost(c));
	if (e < 0)
		die(125, e, "cannot write to stdout");
	sig_reraise(e);
}

/* filters are looked at before a node is */
static void
check(const struct list *what, char *filters[])
{
	char why[1024];

	for (; *filters; filters++) {
		struct listing none = { .cols = what->cols };

		while (what->cols[none.ncol].name)
			none.ncol++;
		if (listing_filter(&none, *filters, why, sizeof why) < 0)
			die(2, 0, "%s", why);
	}
}

/* Options may stand before, between and after the operands. */
static void
parse(struct asked *a, int argc, char *argv[])
{
	static const char *const verbs[] = { "nodes", "workers", "tasks", "actors", "objects", "mem", "groups", "sets", NULL };
	unsigned n = 0;

	for (;;) {
		struct opt_state o = { .opts = opts, .help = help, .verbs = verbs };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			switch (c) {
			case 'o': a->columns = o.arg; break;
			case 'J': a->json = true; break;
			case 'r': a->reverse = true; break;
			case 'w': a->watch = true; break;
			case OPT_HEADER: a->header = true; break;
			case 'A': a->address = o.arg; break;
			case 'N': a->namespace = o.arg; break;
			case 'v': a->verbose = true; break;
			}
		argc -= o.index, argv += o.index;
		if (argc == 0)
			return;
		if (!a->what)
			a->what = find(argv[0]);
		else if (n < FILTERS)
			a->filter[n++] = argv[0];
		else
			die(2, 0, "more than %d filters", FILTERS);
	}
}

int
main(int argc, char *argv[])
{
	struct asked a = { .what = NULL };
	struct client *client;
	struct table t;
	int e;

	progname = "rstat";
	fd_standard();
	parse(&a, argc, argv);
	if (a.watch && !a.what && (a.json || !isatty(STDOUT_FILENO)))
		die(2, 0, "-w into a pipe needs a list: rstat -w workers");
	if (table_open(&t, &a, stdout))
		return 0;
	if (a.what)
		check(a.what, a.filter);
	client = join(a.address, a.namespace);
	if (a.verbose)
		warn(0, "looking at node '%s'", (const char *)client_welcome(client)->node_name.p);
	if (a.watch)
		keep_watching(client, &t, &a);
	print(client, &t, &a);
	client_close(client);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	return 0;
}
