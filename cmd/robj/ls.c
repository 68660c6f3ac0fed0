/* ls, du - what the node keeps; how much there is, by owner */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/err.h"
#include "robj.h"

static const struct opt opts[] = {
	LIST_OPTS,
	{ 'r', "reverse", NULL, "reverse order" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	COMMON_OPTS,
	{ 0 }
};

/* The lists of all verbs: a line for each that fits the filters. */
void
print_list(struct table *t, const struct asked *a)
{
	struct listing l;

	a->read(&l, (void *)a);
	listing_print(&l, t);
	listing_free(&l);
}

static void
read_list(struct listing *l, void *arg)
{
	const struct asked *a = arg;
	char why[512];
	int e;

	*l = (struct listing){ 0 };
	if (lists_add(a->kind, l, a->client, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	if ((e = lists_order(a->kind, l, a->filter, a->reverse, why, sizeof why)) < 0)
		die(e == -EINVAL ? 2 : 125, 0, "%s", why);
}

int
table_open(struct table *t, const struct asked *a, FILE *f)
{
	char why[512];
	int e;

	table_init(t, a->kind->cols, f);
	t->json = a->json;
	t->header = a->header;
	t->show = a->show;
	e = a->columns ? table_select(t, a->columns, why, sizeof why) : 0;
	if (e == -EINVAL)
		die(2, 0, "%s", why);
	return e != 0;
}

static void
print_screen(FILE *f, void *arg)
{
	struct table t, out;

	table_open(&out, arg, stdout);
	table_open(&t, arg, f);
	t.tty = true;
	t.width = out.width;
	print_list(&t, arg);
	table_end(&t);
}

void
watch_list(struct asked *a)
{
	struct table t;
	int e;

	table_open(&t, a, stdout);
	t.show &= t.tty;		/* in a pipe a line an event */
	e = watch(&(struct watch){ a->kind, print_screen, a->read, a }, &t);
	client_close(a->client);
	if (e > 0)
		sig_reraise(e);
	die(125, e, "cannot write to stdout");
}

bool
list_opt(struct asked *a, int c, const char *arg)
{
	switch (c) {
	case 'J': a->json = true; return true;
	case 'o': a->columns = arg; return true;
	case 'r': a->reverse = true; return true;
	case 'w': a->watch = true; return true;
	case OPT_HEADER: a->header = true; return true;
	}
	return common_opt(c, arg);
}

static int
list(const struct list_kind *k, int argc, char *argv[])
{
	struct asked a = { .kind = k, .read = read_list };
	const char *verb = argv[0];
	struct table t;
	char why[512];
	unsigned n = 0;
	int e;

	while (argc) {				/* options may stand between filters */
		struct opt_state o = { .opts = opts, .help = help, .verb = verb };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			list_opt(&a, c, o.arg);
		argc -= o.index, argv += o.index;
		if (argc && n == LISTS_FILTERS)
			die(2, 0, "more than %d filters", LISTS_FILTERS);
		if (argc)
			a.filter[n++] = argv[0];
	}
	if (table_open(&t, &a, stdout))
		return 0;			/* -o help */
	if (lists_check(k, a.filter, why, sizeof why) < 0)
		die(2, 0, "%s", why);
	a.client = join(false);
	if (a.watch)
		watch_list(&a);
	print_list(&t, &a);
	client_close(a.client);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
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
