#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/labels.h"

/* --- words --------------------------------------------------------------------------------------------- */

struct text {				/* what is read, and where */
	const unsigned char *p, *end, *start;
	char *why;
};

static bool
letter(unsigned char c, bool value)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c && strchr(value ? "._-/:@+" : "._-/", c) != NULL);
}

static void
quote(struct span s, char *to, size_t size)	/* printable, cut with ".." */
{
	size_t n = s.n < size ? s.n : size - 3;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?');
	strcpy(to + n, n < s.n ? ".." : "");
}

static int
expected(struct text *t, const char *what)
{
	char all[64], got[16];

	quote(span_of(t->start, (size_t)(t->end - t->start)), all, sizeof all);
	if (t->p == t->end)
		strcpy(got, "the end");
	else if (*t->p >= ' ' && *t->p < 0x7f)
		snprintf(got, sizeof got, "'%c'", *t->p);
	else
		snprintf(got, sizeof got, "byte %u", *t->p);
	snprintf(t->why, LABELS_WHY, "labels '%s': expected %s at %zu, not %s", all, what, (size_t)(t->p - t->start) + 1, got);
	return -EINVAL;
}

static int
fault(const struct text *t, const char *what)		/* of the whole */
{
	char all[64];

	quote(span_of(t->start, (size_t)(t->end - t->start)), all, sizeof all);
	snprintf(t->why, LABELS_WHY, "labels '%s': %s", all, what);
	return -EINVAL;
}

static struct text
text_of(struct span s, char *why)
{
	const unsigned char *p = s.n ? s.p : (const unsigned char *)"";

	return (struct text){ p, p + s.n, p, why };
}

static void
blanks(struct text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static bool
take(struct text *t, char c)		/* with the blanks before it */
{
	blanks(t);
	if (t->p == t->end || *t->p != (unsigned char)c)
		return false;
	t->p++;
	return true;
}

static int
word(struct text *t, bool value, struct span *w)
{
	const unsigned char *p;

	blanks(t);
	for (p = t->p; t->p < t->end && letter(*t->p, value); t->p++)
		;
	*w = span_of(p, (size_t)(t->p - p));
	if (w->n == 0)
		return expected(t, value ? "a value" : "the name of a label");
	if (w->n > LABEL_MAX) {
		t->p = p;
		return expected(t, value ? "a value of at most 127 bytes" : "a name of at most 127 bytes");
	}
	return 0;
}

static int
order(struct span a, struct span b)
{
	int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return d ? d : a.n < b.n ? -1 : a.n > b.n;
}

/* --- the labels of a node --------------------------------------------------------------------------------- */

/* words one behind the other, each ended, in one piece of memory; at[i] where they begin */
static char *
pack(const struct span *w, size_t n, const char **at)
{
	size_t len = 0;
	char *p, *q;

	for (size_t i = 0; i < n; i++)
		len += w[i].n + 1;
	if ((p = q = malloc(len)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		at[i] = q;
		memcpy(q, w[i].p, w[i].n);
		q += w[i].n;
		*q++ = '\0';
	}
	return p;
}

/* where it is, or would be */
static size_t
find(const struct labels *l, struct span name, bool *there)
{
	size_t i = 0;
	int d = 1;

	while (i < l->n && (d = order(span_text(l->v[i].name), name)) < 0)
		i++;
	*there = i < l->n && d == 0;
	return i;
}

static int
insert(struct labels *l, size_t i, struct span name, struct span value)
{
	struct label *v = reallocarray(l->v, l->n + 1, sizeof *v);
	const char *at[2];
	char *p;

	if (v == NULL)
		return -ENOMEM;
	l->v = v;
	if ((p = pack((struct span[]){ name, value }, 2, at)) == NULL)
		return -ENOMEM;
	memmove(&v[i + 1], &v[i], (l->n - i) * sizeof *v);
	v[i] = (struct label){ p, at[1] };
	l->n++;
	return 0;
}

static int
one_label(struct labels *l, struct text *t)
{
	char line[LABEL_MAX + 32];
	struct span name, value;
	bool there;
	size_t i;
	int e;

	if ((e = word(t, false, &name)) < 0)
		return e;
	if (!take(t, '='))
		return expected(t, "'='");
	if ((e = word(t, true, &value)) < 0)
		return e;
	i = find(l, name, &there);
	if (l->n == LABELS_MAX)
		return fault(t, "more than 64 labels");
	if (!there)
		return insert(l, i, name, value);
	snprintf(line, sizeof line, "'%.*s' is given twice", (int)(name.n < LABEL_MAX ? name.n : LABEL_MAX), (const char *)name.p);
	return fault(t, line);
}

int
labels_parse(struct labels *l, struct span text, char why[LABELS_WHY])
{
	struct labels new = { 0 };
	struct text t = text_of(text, why);
	int e = 0;

	blanks(&t);
	while (t.p < t.end) {
		if ((e = one_label(&new, &t)) < 0)
			break;
		blanks(&t);
		if (t.p == t.end)
			break;
		if (!take(&t, ',')) {
			e = expected(&t, "',' or the end");
			break;
		}
		blanks(&t);
		if (t.p == t.end)
			e = expected(&t, "the name of a label");
	}
	if (e < 0) {
		labels_release(&new);
		return e;
	}
	labels_release(l);
	*l = new;
	return 0;
}

int
labels_put(struct labels *l, struct span name, struct span value, char why[LABELS_WHY])
{
	struct text n = text_of(name, why), v = text_of(value, why);
	struct label old;
	bool there;
	size_t i;
	int e;

	if ((e = word(&n, false, &name)) < 0 || (e = word(&v, true, &value)) < 0)
		return e;
	if (n.p != n.end)
		return expected(&n, "the end of a name");
	if (v.p != v.end)
		return expected(&v, "the end of a value");
	i = find(l, name, &there);
	if (!there && l->n == LABELS_MAX)
		return fault(&n, "there are 64 labels already");
	if ((e = insert(l, i, name, value)) < 0 || !there)
		return e;
	old = l->v[i + 1];
	memmove(&l->v[i + 1], &l->v[i + 2], (l->n - i - 2) * sizeof *l->v);
	l->n--;
	free(old.name);
	return 0;
}

const char *
labels_get(const struct labels *l, const char *name)
{
	bool there;
	size_t i = find(l, span_text(name), &there);

	return there ? l->v[i].value : NULL;
}

int
labels_text(const struct labels *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		if (buf_printf(out, "%s%s=%s", i ? "," : "", l->v[i].name, l->v[i].value) < 0)
			return -ENOMEM;
	return 0;
}

void
labels_release(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct labels){ 0 };
}

/* --- expressions ------------------------------------------------------------------------------------------ */

static int
compare(const struct label_term *a, const struct label_term *b)
{
	int d = strcmp(a->name, b->name);

	if (d == 0)
		d = a->not - b->not;
	for (size_t i = 0; d == 0 && i < a->n && i < b->n; i++)
		d = strcmp(a->value[i], b->value[i]);
	return d ? d : a->n < b->n ? -1 : a->n > b->n;
}

static void
term_free(struct label_term *m)
{
	free(m->name);
	free(m->value);
}

/* w[0] is the name, n values follow */
static int
add_term(struct label_expr *e, const struct span *w, size_t n, bool not)
{
	struct label_term *v = reallocarray(e->v, e->n + 1, sizeof *v), m = { .n = n, .not = not };
	const char *at[LABELS_MAX + 1];
	size_t i = 0;

	if (v == NULL)
		return -ENOMEM;
	e->v = v;
	if ((m.name = pack(w, n + 1, at)) == NULL || (m.value = malloc(n * sizeof *m.value)) == NULL) {
		term_free(&m);
		return -ENOMEM;
	}
	memcpy(m.value, at + 1, n * sizeof *m.value);
	while (i < e->n && compare(&v[i], &m) < 0)
		i++;
	if (i < e->n && compare(&v[i], &m) == 0) {	/* said already */
		term_free(&m);
		return 0;
	}
	memmove(&v[i + 1], &v[i], (e->n - i) * sizeof *v);
	v[i] = m;
	e->n++;
	return 0;
}

/* the values of in(, in order */
static int
members(struct text *t, struct span *w, size_t *n)
{
	int e;

	do {
		struct span one;
		size_t i = 0;

		if ((e = word(t, true, &one)) < 0)
			return e;
		while (i < *n && order(w[i], one) < 0)
			i++;
		if (i < *n && order(w[i], one) == 0)
			continue;
		if (*n == LABELS_MAX)
			return fault(t, "more than 64 values in in()");
		memmove(&w[i + 1], &w[i], (*n - i) * sizeof *w);
		w[i] = one;
		++*n;
	} while (take(t, ','));
	return take(t, ')') ? 0 : expected(t, "',' or ')'");
}

/* what follows the '=' of name */
static int
condition(struct label_expr *e, struct text *t, struct span name, bool not)
{
	struct span w[LABELS_MAX + 1] = { name };
	size_t n = 0;
	int r;

	if (e->n == LABELS_MAX)
		return fault(t, "more than 64 terms");
	if (take(t, '!')) {
		if (not) {
			t->p--;
			return expected(t, "a value or in(...)");
		}
		not = true;
	}
	blanks(t);
	if (t->p == t->end || !letter(*t->p, true))
		return expected(t, not ? "a value or in(...)" : "a value, !value, in(...) or !in(...)");
	if ((r = word(t, true, &w[1])) < 0)
		return r;
	if (span_is(w[1], "in") && take(t, '(')) {
		if ((r = members(t, w + 1, &n)) < 0)
			return r;
	} else
		n = 1;
	return add_term(e, w, n, not);
}

int
label_expr_parse(struct label_expr *e, struct span text, char why[LABELS_WHY])
{
	struct label_expr new = { 0 };
	struct text t = text_of(text, why);
	struct span name;
	int r = 0;

	blanks(&t);
	while (t.p < t.end) {
		bool not;

		if ((r = word(&t, false, &name)) < 0)
			break;
		not = take(&t, '!');
		if (!take(&t, '=')) {
			r = expected(&t, not ? "'='" : "'=' or '!='");
			break;
		}
		if ((r = condition(&new, &t, name, not)) < 0)
			break;
		blanks(&t);
		if (t.p == t.end)
			break;
		if (!take(&t, ',')) {
			r = expected(&t, "',' or the end");
			break;
		}
		blanks(&t);
		if (t.p == t.end)
			r = expected(&t, "the name of a label");
	}
	if (r < 0) {
		label_expr_release(&new);
		return r;
	}
	label_expr_release(e);
	*e = new;
	return 0;
}

int
label_expr_add(struct label_expr *e, struct span name, struct span value, char why[LABELS_WHY])
{
	struct text n = text_of(name, why), v = text_of(value, why);
	struct label_expr one = { 0 };
	int r;

	if ((r = word(&n, false, &name)) < 0)
		return r;
	if (n.p != n.end)
		return expected(&n, "the end of a name");
	if (e->n == LABELS_MAX)
		return fault(&n, "more than 64 terms");
	r = condition(&one, &v, name, false);		/* apart: e stays as it is if what follows makes no sense */
	blanks(&v);
	if (r == 0 && v.p != v.end)
		r = expected(&v, "the end of a value");
	label_expr_release(&one);
	v.p = v.start;
	return r < 0 ? r : condition(e, &v, name, false);
}

static bool
holds(const struct label_term *m, const char *value)
{
	for (size_t i = 0; value && i < m->n; i++)
		if (strcmp(m->value[i], value) == 0)
			return !m->not;
	return m->not;
}

bool
label_expr_match(const struct label_expr *e, const struct labels *l)
{
	size_t k = 0;

	for (size_t i = 0; i < e->n; i++) {		/* both are in the order of names */
		while (k < l->n && strcmp(l->v[k].name, e->v[i].name) < 0)
			k++;
		if (!holds(&e->v[i], k < l->n && strcmp(l->v[k].name, e->v[i].name) == 0 ? l->v[k].value : NULL))
			return false;
	}
	return true;
}

size_t
label_expr_first(const struct label_expr *e, size_t n, const struct labels *l)
{
	for (size_t i = 0; i < n; i++)
		if (label_expr_match(&e[i], l))
			return i;
	return n;
}

int
label_expr_text(const struct label_expr *e, struct buf *out)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct label_term *m = &e->v[i];
		bool list = m->n > 1;

		if (buf_printf(out, "%s%s%s=%s", i ? "," : "", m->name, m->not ? "!" : "", list ? "in(" : "") < 0)
			return -ENOMEM;
		for (size_t k = 0; k < m->n; k++)
			if (buf_printf(out, "%s%s", k ? "," : "", m->value[k]) < 0)
				return -ENOMEM;
		if (list && buf_add(out, ")", 1) < 0)
			return -ENOMEM;
	}
	return 0;
}

void
label_expr_release(struct label_expr *e)
{
	for (size_t i = 0; i < e->n; i++)
		term_free(&e->v[i]);
	free(e->v);
	*e = (struct label_expr){ 0 };
}
