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
#include "client/lists.h"
#include "client/watch.h"
#include "os/fd.h"
#include "os/sig.h"
#include "rstat.h"

enum { OPT_HEADER = 256 };

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

static const struct list_kind *
find(const char *name)
{
	const struct list_kind *k = lists_find(name);

	if (!k)
		opt_unknown("list", name, lists_names);
	return k;
}

struct asked {				/* on the command line */
	const struct list_kind *what;	/* NULL: everything in short */
	char *filter[LISTS_FILTERS + 1];
	const char *columns, *address, *namespace;
	struct client *client;
	bool reverse, json, header, verbose, watch;
};

static void
read_list(struct listing *l, void *arg)
{
	const struct asked *a = arg;
	char why[1024];
	int e;

	*l = (struct listing){ 0 };
	if (lists_add(a->what, l, a->client, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	if ((e = lists_order(a->what, l, a->filter, a->reverse, why, sizeof why)) < 0)
		die(e == -EINVAL ? 2 : 125, 0, "%s", why);
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
print(struct table *t, struct asked *a)
{
	struct listing l;

	if (a->what) {
		read_list(&l, a);
		listing_print(&l, t);
		listing_free(&l);
	} else
		sum_print(a->client, t);
}

static void
print_screen(FILE *f, void *arg)	/* as on the terminal that stdout is */
{
	struct table t, out;

	table_init(&out, sum_cols, stdout);
	table_open(&t, arg, f);
	t.tty = true;
	t.width = out.width;
	print(&t, arg);
	table_end(&t);
}

/* Options may stand before, between and after the operands. */
static void
parse(struct asked *a, int argc, char *argv[])
{
	unsigned n = 0;

	for (;;) {
		struct opt_state o = { .opts = opts, .help = help, .verbs = lists_names };
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
		else if (n < LISTS_FILTERS)
			a->filter[n++] = argv[0];
		else
			die(2, 0, "more than %d filters", LISTS_FILTERS);
	}
}

int
main(int argc, char *argv[])
{
	struct asked a = { .what = NULL };
	struct table t;
	char why[1024];
	int e;

	progname = "rstat";
	fd_standard();
	parse(&a, argc, argv);
	if (a.watch && !a.what && (a.json || !isatty(STDOUT_FILENO)))
		die(2, 0, "-w into a pipe needs a list: rstat -w workers");
	if (table_open(&t, &a, stdout))
		return 0;
	if (a.what && lists_check(a.what, a.filter, why, sizeof why) < 0)	/* before a node is looked at */
		die(2, 0, "%s", why);
	a.client = join(a.address, a.namespace);
	if (a.verbose)
		warn(0, "looking at node '%s'", (const char *)client_welcome(a.client)->node_name.p);
	if (a.watch) {
		e = watch(&(struct watch){ a.what, print_screen, read_list, &a }, &t);
		client_close(a.client);
		if (e > 0)
			sig_reraise(e);
		die(125, e, "cannot write to stdout");
	}
	print(&t, &a);
	client_close(a.client);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	return 0;
}
