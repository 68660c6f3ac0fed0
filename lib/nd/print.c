#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "nd/impl.h"

#define LONG 8			/* axes longer than this show EDGE elements at each end */
#define EDGE 3

static int
print_float(char *out, size_t cap, double v, unsigned type)	/* the shortest text that reads back as the same element */
{
	unsigned char was[8] = { 0 }, is[8] = { 0 };
	struct nd_num n = { .kind = 'f', .re = v };
	int digits, len;

	if (v != v || v - v != 0)
		return snprintf(out, cap, "%s", v != v ? "nan" : v < 0 ? "-inf" : "inf");
	nd_put(type, was, n);
	for (digits = 1; digits <= 17; digits++) {
		len = snprintf(out, cap, "%.*g", digits, v);
		n.re = strtod(out, NULL);
		nd_put(type, is, n);
		if (memcmp(was, is, sizeof is) == 0)
			break;
	}
	if (strtod(out, NULL) == floor(v) && fabs(v) < 1e16 && strchr(out, 'e'))
		len = snprintf(out, cap, "%.0f", strtod(out, NULL));
	if (!strpbrk(out, ".e"))
		len += snprintf(out + len, cap - (size_t)len, ".0");
	return len;
}

static int
print_num(char *out, size_t cap, unsigned type, struct nd_num v)
{
	unsigned part = type == ND_C64 ? ND_F32 : ND_F64;
	int len;

	switch (v.kind) {
	case 'b': return snprintf(out, cap, v.i ? "true" : "false");
	case 'i': return snprintf(out, cap, "%" PRId64, v.i);
	case 'u': return snprintf(out, cap, "%" PRIu64, (uint64_t)v.i);
	case 'f': return print_float(out, cap, v.re, type);
	}
	len = print_float(out, cap, v.re, part);
	if (!signbit(v.im) || v.im != v.im)
		out[len++] = '+';
	len += print_float(out + len, cap - (size_t)len, v.im, part);
	return len + snprintf(out + len, cap - (size_t)len, "i");
}

int
nd_print_num(struct buf *b, unsigned type, struct nd_num v)
{
	char text[128];

	return buf_add(b, text, (size_t)print_num(text, sizeof text, type, v));
}

struct printing {
	struct buf *b;
	int width;			/* of the longest element that is shown */
	bool measure;			/* that is what is being found out */
	int depth;
};

static int
print_axis(struct printing *p, const struct nd *a)
{
	char text[128];
	struct nd v;
	int64_t i;
	int e = 0, n, k;

	if (a->ndim == 0) {
		n = print_num(text, sizeof text, a->type, nd_get(a, a->data));
		if (p->measure)
			p->width = n > p->width ? n : p->width;
		else
			e = buf_printf(p->b, "%*s", p->width, text);
		return e;
	}
	if (!p->measure)
		e = buf_add(p->b, "[", 1);
	p->depth++;
	for (i = 0; i < a->shape[0] && e == 0; i++) {
		if (!p->measure && i > 0) {	/* a space, or as many newlines as there are axes below */
			for (k = 1; k < a->ndim && e == 0; k++)
				e = buf_add(p->b, "\n", 1);
			if (e == 0)
				e = buf_printf(p->b, "%*s", a->ndim > 1 ? p->depth : 1, "");
		}
		if (a->shape[0] > LONG && i == EDGE) {
			i = a->shape[0] - EDGE - 1;
			if (!p->measure && e == 0)
				e = buf_add(p->b, "...", 3);
			continue;
		}
		nd_index(&v, a, 0, i);
		if (e == 0)
			e = print_axis(p, &v);
	}
	p->depth--;
	return e < 0 || p->measure ? e : buf_add(p->b, "]", 1);
}

int
nd_print(struct buf *b, const struct nd *a)
{
	struct printing p = { b, 0, true, 0 };
	size_t at = b->len;
	int e;

	print_axis(&p, a);
	p.measure = false;
	if (a->ndim < 2)
		p.width = 0;
	if ((e = print_axis(&p, a)) < 0)
		b->len = at;
	return e;
}
