/* ls - nodes of this user on this machine, also those that programs started for themselves: rstat nodes, of all of them */
#include <stdio.h>
#include "base/die.h"
#include "base/err.h"
#include "client/view.h"
#include "os/dir.h"
#include "os/sig.h"
#include "rota.h"

static const struct opt ls_opts[] = {
	VIEW_LIST_OPTS,
	{ 'A', "address", "NAME", "of that cluster" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

int
ask(const char *address, struct listing *l, struct client **keep, char *why, size_t n)
{
	struct client_opts o = { .address = address, .name = "rota", .tool = true, .err = -1 };
	struct client *c;
	int e;

	if ((e = client_open(&c, &o, why, n)) < 0)
		return e;
	e = lists_add(&lists_node, l, c, why, n);
	if (keep && e == 0)
		*keep = c;
	else
		client_close(c);
	return e;
}

static void
on_node(void *arg, const char *address)
{
	char why[1024];

	ask(address, arg, NULL, why, sizeof why);		/* a stale one, or one that ended just now, adds nothing */
}

static int
read_nodes(struct listing *l, void *arg, char *why, size_t n)
{
	int e = dir_nodes(on_node, l);

	(void)arg;
	if (e < 0)
		snprintf(why, n, "%s", dir_why());
	return e;
}

void
ask_all(struct listing *l)
{
	*l = (struct listing){ 0 };
	if (dir_nodes(on_node, l) < 0)
		die(125, 0, "%s", dir_why());
}

int
cmd_ls(int argc, char *argv[])
{
	struct view v = { .kind = &lists_node, .read = read_nodes };
	struct table t;
	char why[512];
	const char *cluster = cluster_named(&argc, argv);
	int e;

	if (cluster)
		return cluster_ls(cluster, argc - 1, argv + 1);
	while (argc) {				/* options may stand between filters */
		struct opt_state o = { .opts = ls_opts, .help = rota_help, .verb = "ls" };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			view_opt(&v, c, o.arg);
		argc -= o.index, argv += o.index;
		if (argc && view_filter(&v, argv[0]) < 0)
			die(2, 0, "more than %d filters", LISTS_FILTERS);
	}
	if ((e = view_begin(&v, &t, stdout, why, sizeof why)) < 0)
		die(2, 0, "%s", why);
	if (e)
		return 0;			/* -o help */
	if ((e = view_run(&v, &t, why, sizeof why)) > 0)
		sig_reraise(e);
	if (e < 0)
		die(125, 0, "%s", why);
	return 0;
}
