/* show - all about one object */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/err.h"
#include "robj.h"

static const struct opt opts[] = { LIST_OPTS, COMMON_OPTS, { 0 } };

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

/* the one that is meant, alone in l; how many are, if that is not 1 */
static unsigned
read_one(struct listing *l, const struct asked *a)
{
	static char *const none[] = { NULL };
	char why[512];
	size_t row = 0;
	unsigned n;
	int e;

	*l = (struct listing){ 0 };
	if (lists_add(a->kind, l, a->client, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	if ((e = lists_order(a->kind, l, none, false, why, sizeof why)) < 0)
		die(125, 0, "%s", why);
	if ((n = find(l, a->name, &row)) == 1)
		memmove(l->cell, &l->cell[row * l->ncol], l->ncol * sizeof *l->cell);
	l->len = n == 1;
	return n;
}

static void
read_again(struct listing *l, void *arg)	/* it may be gone */
{
	read_one(l, arg);
}

static int
show(struct asked *a, const char *name)
{
	struct listing l;
	struct table t;
	unsigned n;
	int e;

	a->name = name;
	n = read_one(&l, a);
	listing_free(&l);
	if (n != 1) {
		warn(0, n ? "'%s' is ambiguous: %u objects begin so" : "no object '%s'", name, n);
		return 1;
	}
	if (a->watch)
		watch_list(a);
	table_open(&t, a, stdout);
	print_list(&t, a);
	if ((e = table_end(&t)) < 0)
		die(125, e, "cannot write to stdout");
	return 0;
}

int
cmd_show(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help, .verb = "show", .words = kept_words };
	struct asked a = { .kind = lists_find("objects"), .read = read_again, .show = true };
	const char *name;
	struct table t;
	struct ids ids;
	int c, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		list_opt(&a, c, o.arg);
	if (table_open(&t, &a, stdout))
		return 0;
	if (a.watch && argc - o.index != 1)
		die(2, 0, "-w watches one object: robj show -w ID");
	a.client = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL)
		status |= show(&a, name);
	client_close(a.client);
	return status;
}
