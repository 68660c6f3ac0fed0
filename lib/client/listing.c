#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "base/near.h"
#include "base/num.h"
#include "client/listing.h"
#include "wire/mp.h"

static unsigned
column(const struct listing *l, const char *name, size_t n)	/* ncol: there is none */
{
	unsigned i;

	for (i = 0; i < l->ncol; i++)
		if (strlen(l->cols[i].name) == n && memcmp(l->cols[i].name, name, n) == 0)
			break;
	return i;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static int
set_cell(struct listing *l, struct listing_cell *c, enum table_kind kind, const struct mp_tok *t)
{
	char number[32];
	int e = 0;

	*c = (struct listing_cell){ .none = false };
	switch (t->kind) {
	case MP_INT: c->u = t->i > 0 ? (uint64_t)t->i : 0; c->f = (double)t->i; break;
	case MP_FLOAT: c->f = t->d; c->u = t->d > 0 && t->d < 1e18 ? (uint64_t)t->d : 0; break;
	case MP_BOOL: c->u = t->b; c->f = t->b; break;
	case MP_STR: case MP_BIN:
		c->off = l->text.len;
		c->len = t->n;
		return buf_add(&l->text, t->p, t->n);
	default: c->none = true;
	}
	if (kind == TABLE_STRING && !c->none) {
		c->off = l->text.len;
		c->len = (size_t)snprintf(number, sizeof number, "%.17g", c->f);
		e = buf_add(&l->text, number, c->len);
	}
	return e;
}

/* a map of texts or numbers as a=b,c=d; m is behind its head */
static int
set_map(struct listing *l, struct listing_cell *c, struct mp m, size_t n)
{
	struct mp_tok key, val;
	int e = 0;

	*c = (struct listing_cell){ .none = n == 0, .off = l->text.len };
	for (size_t i = 0; i < n && e == 0; i++) {
		if (mp_next(&m, &key) < 0 || key.kind != MP_STR || mp_next(&m, &val) < 0)
			return ERR_PROTO;
		e = buf_printf(&l->text, "%s%.*s=", i ? "," : "", (int)key.n, (const char *)key.p);
		if (e == 0 && val.kind == MP_STR)
			e = buf_add(&l->text, val.p, val.n);
		else if (e == 0)
			e = buf_printf(&l->text, "%.17g", val.kind == MP_INT ? (double)val.i : val.kind == MP_FLOAT ? val.d : 0.);
	}
	c->len = l->text.len - c->off;
	return e;
}

static int
add_row(struct listing *l)
{
	struct listing_cell *v = grow(l->cell, &l->cap, l->len, l->ncol * sizeof *v);

	if (!v)
		return -ENOMEM;
	l->cell = v;
	for (unsigned i = 0; i < l->ncol; i++)
		l->cell[l->len * l->ncol + i] = (struct listing_cell){ .none = true };
	l->len++;
	return 0;
}

static int
on_row(void *arg, struct span row)
{
	struct listing *l = arg;
	struct mp m = mp_read(row.p, row.n);
	struct mp_tok map, key, v;
	int e;

	if (mp_next(&m, &map) < 0 || map.kind != MP_MAP)
		return ERR_PROTO;
	if ((e = add_row(l)) < 0)
		return e;
	while (map.n-- > 0) {
		struct mp at;
		unsigned c;

		if (mp_next(&m, &key) < 0 || key.kind != MP_STR)
			return ERR_PROTO;
		at = m;
		if (mp_skip(&m) < 0 || ((e = mp_next(&at, &v)) < 0 && e != ERR_VALUE))
			return ERR_PROTO;
		if ((c = column(l, (const char *)key.p, key.n)) == l->ncol)
			continue;
		if (e == 0 && v.kind == MP_MAP)
			e = set_map(l, &l->cell[(l->len - 1) * l->ncol + c], at, v.n);
		else
			e = set_cell(l, &l->cell[(l->len - 1) * l->ncol + c], l->cols[c].kind, &v);
		if (e < 0)
			return e;
	}
	return 0;
}

int
listing_add(struct listing *l, struct client *c, const char *what, const struct table_col *cols, char *why, size_t n)
{
	size_t before = l->len;
	int e;

	l->cols = cols;
	for (l->ncol = 0; cols[l->ncol].name;)
		l->ncol++;
	*why = '\0';
	if ((e = client_list(c, what, on_row, l, why, n)) < 0) {
		if (!*why)
			snprintf(why, n, "%s", err_str(e));
		l->len = before;
	}
	return e;
}

int
listing_read(struct listing *l, struct client *c, const char *what, const struct table_col *cols, char *why, size_t n)
{
	int e;

	*l = (struct listing){ 0 };
	if ((e = listing_add(l, c, what, cols, why, n)) < 0)
		listing_free(l);
	return e;
}

void
listing_free(struct listing *l)
{
	free(l->cell);
	buf_release(&l->text);
	l->cell = NULL;
	l->len = l->cap = 0;
}

const struct listing_cell *
listing_at(const struct listing *l, size_t row, const char *col)
{
	return &l->cell[row * l->ncol + column(l, col, strlen(col))];
}

void
listing_blank(struct listing *l, const char *col)
{
	unsigned c = column(l, col, strlen(col));

	for (size_t i = 0; i < l->len && c < l->ncol; i++)
		if (l->cell[i * l->ncol + c].u == 0)
			l->cell[i * l->ncol + c].none = true;
}

/* --- printing ------------------------------------------------------------------------------------------------ */

void
listing_print(const struct listing *l, struct table *t)
{
	for (size_t i = 0; i < l->len; i++) {
		for (unsigned k = 0; k < l->ncol; k++) {
			const struct listing_cell *c = &l->cell[i * l->ncol + k];

			if (c->none)
				table_none(t);
			else if (l->cols[k].kind == TABLE_STRING)
				table_bytes(t, l->text.data + c->off, c->len);
			else if (l->cols[k].kind == TABLE_FLOAT)
				table_float(t, c->f);
			else
				table_uint(t, c->u);
		}
		table_row(t);
	}
}

/* --- filtering ----------------------------------------------------------------------------------------------- */

/* one column of all rows as it is printed into a pipe, a line each: the caller frees it */
static char *
texts(const struct listing *l, unsigned col)
{
	size_t n = 0;
	char *text = NULL, why[8];
	FILE *f = open_memstream(&text, &n);
	struct table t;
	int e;

	if (!f)
		return NULL;
	table_init(&t, l->cols, f);
	table_select(&t, l->cols[col].name, why, sizeof why);
	listing_print(l, &t);
	e = table_end(&t);
	if (fclose(f) != 0 || e < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* the same size, duration or number in another spelling */
static bool
same(const struct listing_cell *c, enum table_kind kind, const char *value)
{
	uint64_t u;
	int64_t ns;
	double f;
	char *end;

	if (c->none || !*value)
		return false;
	switch (kind) {
	case TABLE_BYTES: return num_size(value, &u) == 0 && u == c->u;
	case TABLE_AGE: return num_duration(value, &ns) == 0 && (uint64_t)ns == c->u;
	case TABLE_UINT: return num_u64(value, &u) == 0 && u == c->u;
	case TABLE_FLOAT: f = strtod(value, &end); return !*end && !isgreater(fabs(f - c->f), 0);
	default: return false;
	}
}

static int
bad_filter(const struct listing *l, const char *filter, size_t len, char *why, size_t n)
{
	const char *names[TABLE_MAX], *near;
	char word[64];

	if (!filter[len]) {
		snprintf(why, n, "cannot use '%s' as a filter: expected COL=VALUE or COL~REGEX", filter);
		return -EINVAL;
	}
	for (unsigned i = 0; i < l->ncol; i++)
		names[i] = l->cols[i].name;
	snprintf(word, sizeof word, "%.*s", (int)(len < 60 ? len : 60), filter);
	if ((near = near_word(word, names, l->ncol)))
		snprintf(why, n, "no column '%s'; did you mean '%s'?", word, near);
	else
		snprintf(why, n, "no column '%s'; -o help lists them", word);
	return -EINVAL;
}

int
listing_filter(struct listing *l, const char *filter, char *why, size_t n)
{
	size_t len = strcspn(filter, "=~"), kept = 0;
	const char *value = filter + len + 1;
	unsigned col = column(l, filter, len);
	bool regex = filter[len] == '~';
	char *all, *line, *next;
	regex_t re;
	int e;

	if (!filter[len] || col == l->ncol)
		return bad_filter(l, filter, len, why, n);
	if (regex && (e = regcomp(&re, value, REG_EXTENDED | REG_NOSUB)) != 0) {
		char text[128];

		regerror(e, &re, text, sizeof text);
		snprintf(why, n, "cannot use '%s' as a filter: %s", filter, text);
		return -EINVAL;
	}
	if ((all = line = texts(l, col)) != NULL)
		for (size_t i = 0; i < l->len; i++, line = next + 1) {
			struct listing_cell *row = &l->cell[i * l->ncol];

			next = strchrnul(line, '\n');
			*next = '\0';
			if (regex ? regexec(&re, line, 0, NULL, 0) == 0
			    : strcmp(line, value) == 0 || same(&row[col], l->cols[col].kind, value))
				memmove(&l->cell[kept++ * l->ncol], row, l->ncol * sizeof *row);
		}
	if (regex)
		regfree(&re);
	if (!all) {
		snprintf(why, n, "%s", err_str(-ENOMEM));
		return -ENOMEM;
	}
	free(all);
	l->len = kept;
	return 0;
}

/* --- sorting -------------------------------------------------------------------------------------------------- */

struct order {
	const struct listing *l;
	unsigned col;
	bool reverse;
};

static int
compare(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	const struct listing_cell *x = (const struct listing_cell *)a + o->col, *y = (const struct listing_cell *)b + o->col;
	int r;

	if (x->none || y->none) {
		r = y->none - x->none;
	} else if (o->l->cols[o->col].kind == TABLE_STRING) {
		size_t n = x->len < y->len ? x->len : y->len;

		r = n ? memcmp(o->l->text.data + x->off, o->l->text.data + y->off, n) : 0;
		if (r == 0)
			r = (x->len > y->len) - (x->len < y->len);
	} else if (o->l->cols[o->col].kind == TABLE_FLOAT) {
		r = (x->f > y->f) - (x->f < y->f);
	} else {
		r = (x->u > y->u) - (x->u < y->u);
	}
	return o->reverse ? -r : r;
}

void
listing_sort(struct listing *l, unsigned col, bool reverse)
{
	struct order o = { l, col, reverse };

	if (l->len > 1)
		qsort_r(l->cell, l->len, l->ncol * sizeof *l->cell, compare, &o);
}
