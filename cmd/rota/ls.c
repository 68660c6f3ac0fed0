/* ls - nodes of this user on this machine, also those that programs started for themselves: rstat nodes, of all of them */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "client/watch.h"
#include "node/node.h"
#include "os/dir.h"
#include "os/sig.h"
#include "rota.h"

enum { OPT_HEADER = 256 };

static const struct opt ls_opts[] = {
	{ 'J', "json", NULL, "JSON lines" },
	{ 'o', "columns", "COL,...", "columns" },
	{ 'r', "reverse", NULL, "reverse order" },
	{ 'w', "watch", NULL, "keep watching" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

struct asked {
	const struct list_kind *kind;
	char *filter[LISTS_FILTERS + 1];	/* NULL-ended */
	const char *columns;
	bool json, header, reverse, watch;
};

int
ask(const char *address, struct listing *l, struct client **keep, char *why, size_t n)
{
	struct client_opts o = { .address = address, .name = "rota", .tool = true, .err = -1 };
	struct client *c;
	int e;

	if ((e = client_open(&c, &o, why, n)) < 0)
		return e;
	e = lists_add(lists_find("nodes"), l, c, why, n);
	if (keep && e == 0)
		*keep = c;
	else
		client_close(c);
	return e;
}

void
ask_all(struct listing *l)
{
	char path[512], address[1024], why[1024];
	int dir = dir_open(path, sizeof path);
	DIR *d;

	*l = (struct listing){ 0 };
	if (dir < 0)
		die(125, 0, "%s", dir_why());
	if ((d = fdopendir(dir)) == NULL)
		die(125, -errno, "cannot read '%s'", path);
	for (struct dirent *de; (de = readdir(d)) != NULL;) {
		size_t len = strlen(de->d_name);

		if (strcmp(de->d_name, NODE_LOCAL) != 0 && strcmp(de->d_name, NODE_SHARED) != 0 &&
		    !(strncmp(de->d_name, "own-", 4) == 0 && len > 5 && strcmp(de->d_name + len - 5, ".sock") == 0))
			continue;
		snprintf(address, sizeof address, "unix:%s/%s", path, de->d_name);
		ask(address, l, NULL, why, sizeof why);		/* a stale one, or one that ended just now, adds nothing */
	}
	closedir(d);
}

static void
read_nodes(struct listing *l, void *arg)
{
	const struct asked *a = arg;
	char why[512];
	int e;

	ask_all(l);
	l->cols = a->kind->cols;
	if (l->len && (e = lists_order(a->kind, l, a->filter, a->reverse, why, sizeof why)) < 0)
		die(e == -EINVAL ? 2 : 125, 0, "%s", why);
}

static int
table_open(struct table *t, const struct asked *a, FILE *f)
{
	char why[512];
	int e;

	table_init(t, a->kind->cols, f);
	t->json = a->json;
	t->header = a->header;
	e = a->columns ? table_select(t, a->columns, why, sizeof why) : 0;
	if (e == -EINVAL)
		die(2, 0, "%s", why);
	return e != 0;
}

static void
print(struct table *t, struct asked *a)
{
	struct listing l;

	read_nodes(&l, a);
	listing_print(&l, t);
	listing_free(&l);
}

static void
print_screen(FILE *f, void *arg)
{
	struct table t, out;

	table_open(&out, arg, stdout);
	table_open(&t, arg, f);
	t.tty = true;
	t.width = out.width;
	print(&t, arg);
	table_end(&t);
}

static void
parse(struct asked *a, int argc, char *argv[])
{
	unsigned n = 0;

	while (argc) {				/* options may stand between filters */
		struct opt_state o = { .opts = ls_opts, .help = rota_help, .verb = "ls" };
		int c;

		while ((c = opt_next(&o, argc, argv)) != -1)
			switch (c) {
			case 'J': a->json = true; break;
			case 'o': a->columns = o.arg; break;
			case 'r': a->reverse = true; break;
			case 'w': a->watch = true; break;
			case OPT_HEADER: a->header = true; break;
			}
		argc -= o.index, argv += o.index;
		if (argc && n == LISTS_FILTERS)
			die(2, 0, "more than %d filters", LISTS_FILTERS);
		if (argc)
			a->filter[n++] = argv[0];
	}
}

int
cmd_ls(int argc, char *argv[])
{
	struct asked a = { .kind = lists_find("nodes") };
	struct table t;
	char why[512];
	int e;

	parse(&a, argc, argv);
	if (table_open(&t, &a, stdout))
		return 0;			/* -o help */
	if (lists_check(a.kind, a.filter, why, sizeof why) < 0)
		die(2, 0, "%s", why);
	if (a.watch) {
		e = watch(&(struct watch){ a.kind, print_screen, read_nodes, &a }, &t);
		if (e > 0)
			sig_reraise(e);
		die(125, e, "cannot write to stdout");
	}
	print(&t, &a);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	return 0;
}
