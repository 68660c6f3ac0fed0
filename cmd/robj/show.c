/* show - all about one object */
#include <string.h>
#include "base/die.h"
#include "robj.h"

static const struct opt opts[] = { VIEW_OPTS, COMMON_OPTS, { 0 } };

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

struct one {
	const struct list_kind *kind;
	struct client *client;
	const char *name;
	unsigned found;			/* how many the name may mean */
};

/* the one that is meant, alone in l: it may be gone when it is looked for again */
static int
read_one(struct listing *l, void *arg, char *why, size_t n)
{
	struct one *o = arg;
	size_t row = 0;
	int e = lists_add(o->kind, l, o->client, why, n);

	if (e < 0)
		return e;
	if ((o->found = find(l, o->name, &row)) == 1)
		memmove(l->cell, &l->cell[row * l->ncol], l->ncol * sizeof *l->cell);
	l->len = o->found == 1;
	return 0;
}

static int
show(struct view *v, const char *name)
{
	struct one one = { v->kind, v->client, name, 0 };
	struct listing l;
	struct table t;
	char why[512];

	v->arg = &one;
	if (view_read(v, &l, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	listing_free(&l);
	if (one.found != 1) {
		warn(0, one.found ? "'%s' is ambiguous: %u objects begin so" : "no object '%s'", name, one.found);
		return 1;
	}
	view_begin(v, &t, stdout, why, sizeof why);
	show_list(v, &t);
	return 0;
}

int
cmd_show(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help, .verb = "show", .words = kept_words };
	struct view v = { .kind = lists_find("objects"), .read = read_one, .show = true };
	const char *name;
	struct table t;
	struct ids ids;
	char why[512];
	int c, e, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		if (!view_opt(&v, c, o.arg))
			common_opt(c, o.arg);
	if ((e = view_begin(&v, &t, stdout, why, sizeof why)) < 0)
		die(2, 0, "%s", why);
	if (e)
		return 0;			/* -o help */
	if (v.watch && argc - o.index != 1)
		die(2, 0, "-w watches one object: robj show -w ID");
	v.client = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL)
		status |= show(&v, name);
	client_close(v.client);
	return status;
}
