/* ls, du - what the node keeps; how much there is, by owner */
#include "base/die.h"
#include "os/sig.h"
#include "robj.h"

static const struct opt opts[] = { VIEW_LIST_OPTS, COMMON_OPTS, { 0 } };

void
show_list(const struct view *v, struct table *t)
{
	char why[512];
	int e = view_run(v, t, why, sizeof why);

	if (e != 0)
		client_close(v->client);
	if (e > 0)
		sig_reraise(e);
	if (e < 0)
		die(125, 0, "%s", why);
}

static int
list(const struct list_kind *k, int argc, char *argv[])
{
	struct view v = { .kind = k };
	const char *verb = argv[0];
	struct table t;
	char why[512];
	int e;

	while (argc) {				/* options may stand between filters */
		struct opt_state o = { .opts = opts, .help = help, .verb = verb };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			if (!view_opt(&v, c, o.arg))
				common_opt(c, o.arg);
		argc -= o.index, argv += o.index;
		if (argc && view_filter(&v, argv[0]) < 0)
			die(2, 0, "more than %d filters", LISTS_FILTERS);
	}
	if ((e = view_begin(&v, &t, stdout, why, sizeof why)) < 0)
		die(2, 0, "%s", why);
	if (e)
		return 0;			/* -o help */
	v.client = join(false);
	show_list(&v, &t);
	client_close(v.client);
	return 0;
}

int
cmd_ls(int argc, char *argv[])
{
	return list(&lists_kept, argc, argv);
}

int
cmd_du(int argc, char *argv[])
{
	return list(&lists_owners, argc, argv);
}
