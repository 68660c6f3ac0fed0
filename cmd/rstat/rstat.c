/*
 * rstat - what is there and what it does: one list a verb, or everything in short.
 */
#include <stdio.h>
#include <unistd.h>
#include "base/die.h"
#include "base/opt.h"
#include "client/view.h"
#include "os/fd.h"
#include "os/sig.h"
#include "rstat.h"

static const char help[] =
"usage: rstat [options]                    everything in short\n"
"       rstat [options] LIST [FILTER ...]   nodes workers tasks actors\n"
"                                           objects mem groups sets jobs\n"
"FILTER is COL=VALUE or COL~REGEX; a row must fit all.\n"
"   -o COL,...   columns; -o help lists them, --columns\n"
"   -J           one JSON object a line, --json\n"
"   --all        actors, groups, jobs, nodes: those that are over, too\n"
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

enum { OPT_ALL = 256 };

static const struct opt opts[] = {
	VIEW_LIST_OPTS,
	{ OPT_ALL, "all", NULL, "those that are over, too" },
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
	struct view view;
	const char *address, *namespace;
	bool verbose;
};

/* Options may stand before, between and after the operands: a list, and its filters. */
static void
parse(struct asked *a, int argc, char *argv[])
{
	for (;;) {
		struct opt_state o = { .opts = opts, .help = help, .verbs = lists_names };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			switch (c) {
			case 'A': a->address = o.arg; break;
			case 'N': a->namespace = o.arg; break;
			case OPT_ALL: a->view.all = true; break;
			case 'v': a->verbose = true; break;
			default: view_opt(&a->view, c, o.arg);
			}
		argc -= o.index, argv += o.index;
		if (argc == 0)
			return;
		if (a->view.show) {
			a->view.kind = find(argv[0]);
			a->view.read = NULL;
			a->view.show = false;
		} else if (view_filter(&a->view, argv[0]) < 0)
			die(2, 0, "more than %d filters", LISTS_FILTERS);
	}
}

int
main(int argc, char *argv[])
{
	struct asked a = { .view = { .kind = &sum_kind, .read = sum_read, .show = true } };
	struct view *v = &a.view;
	struct table t;
	char why[1024];
	int e;

	progname = "rstat";
	fd_standard();
	sig_filesize();
	parse(&a, argc, argv);
	if (v->watch && v->show && (v->json || !isatty(STDOUT_FILENO)))
		die(2, 0, "-w into a pipe needs a list: rstat -w workers");
	if ((e = view_begin(v, &t, stdout, why, sizeof why)) < 0)
		die(2, 0, "%s", why);
	if (e)
		return 0;			/* -o help */
	v->client = v->arg = join(a.address, a.namespace);
	if (a.verbose)
		warn(0, "looking at node '%s'", (const char *)client_welcome(v->client)->node_name.p);
	e = view_run(v, &t, why, sizeof why);
	client_close(v->client);
	if (e > 0)
		sig_reraise(e);
	if (e < 0)
		die(125, 0, "%s", why);
	return 0;
}
