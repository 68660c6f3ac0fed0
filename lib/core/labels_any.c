/* labels_any.c - expressions of which the first that any node can satisfy counts, as one text: "zone=eu,gpu=a100;zone=us" */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/labels.h"

void
labels_any_release(struct labels_any *a)
{
	for (size_t i = 0; i < a->n; i++)
		label_expr_release(&a->v[i]);
	free(a->v);
	*a = (struct labels_any){ 0 };
}

int
labels_any_parse(struct labels_any *a, struct span text, char why[LABELS_WHY])
{
	const char *p = (const char *)text.p, *end = p + text.n;
	struct labels_any new = { 0 };
	int e = 0;

	for (bool more = text.n > 0; more && e == 0;) {
		const char *q = memchr(p, ';', (size_t)(end - p));
		struct label_expr *v;

		more = q != NULL;
		q = q ? q : end;
		if (new.n == LABELS_MAX) {
			strcpy(why, "labels: more than 64 alternatives");
			e = -EINVAL;
		} else if ((v = reallocarray(new.v, new.n + 1, sizeof *v)) == NULL) {
			e = -ENOMEM;
		} else {
			new.v = v;
			v[new.n++] = (struct label_expr){ 0 };
			e = label_expr_parse(&v[new.n - 1], span_of(p, (size_t)(q - p)), why);
		}
		p = q + more;
	}
	labels_any_release(e < 0 ? &new : a);
	if (e == 0)
		*a = new;
	return e;
}
