#include <errno.h>
#include <stdio.h>
#include "base/err.h"
#include "client/view.h"

bool
view_opt(struct view *v, int letter, const char *arg)
{
	switch (letter) {
	case 'J': v->json = true; return true;
	case 'o': v->columns = arg; return true;
	case 'r': v->reverse = true; return true;
	case 'w': v->watch = true; return true;
	case VIEW_HEADER: v->header = true; return true;
	}
	return false;
}

int
view_filter(struct view *v, char *filter)
{
	if (v->nfilter == LISTS_FILTERS)
		return -E2BIG;
	v->filter[v->nfilter++] = filter;
	return 0;
}

int
view_begin(const struct view *v, struct table *t, FILE *f, char *why, size_t n)
{
	int e;

	table_init(t, v->kind->cols, f);
	t->json = v->json;
	t->header = v->header;
	t->show = v->show;
	if (v->columns && (e = table_select(t, v->columns, why, n)) != 0)
		return e;
	return lists_check(v->kind, v->filter, why, n);
}

int
view_read(const struct view *v, struct listing *l, char *why, size_t n)
{
	int e;

	*l = (struct listing){ .cols = v->kind->cols };
	while (l->cols[l->ncol].name)
		l->ncol++;
	e = v->read ? v->read(l, v->arg, why, n) : lists_add(v->kind, l, v->client, why, n);
	if (e == 0 && v->all)
		e = lists_add_past(v->kind, l, v->client, why, n);
	if (e < 0) {
		listing_free(l);
		return e;
	}
	return lists_order(v->kind, l, v->filter, v->reverse, why, n);
}

int
view_print(const struct view *v, struct table *t, char *why, size_t n)
{
	struct listing l;
	int e = view_read(v, &l, why, n);

	if (e < 0)
		return e;
	listing_print(&l, t);
	listing_free(&l);
	return 0;
}

int
view_run(const struct view *v, struct table *t, char *why, size_t n)
{
	int e;

	if (v->watch)
		return view_watch(v, t, why, n);
	if ((e = view_print(v, t, why, n)) < 0)
		return e;
	if ((e = table_end(t)) < 0)
		snprintf(why, n, "cannot write to stdout: %s", err_str(e));
	return e;
}
