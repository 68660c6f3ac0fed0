/*
 * Merge sort of keys that keep their order as unsigned numbers: a float's bits are turned so that they compare like
 * its value, NaN last; then every type has one loop.  Complex numbers are two keys.
 */
#include <stdlib.h>
#include "nd/impl.h"

struct key {
	uint64_t hi, lo;		/* lo: imaginary parts */
	int64_t at;
};

static uint64_t
float_key(double v)
{
	uint64_t u;

	if (v != v)
		return UINT64_MAX;
	v += 0.0;				/* -0 and 0 are equal */
	memcpy(&u, &v, sizeof u);
	return u >> 63 ? ~u : u | UINT64_C(1) << 63;
}

static void
load_keys(struct key *k, const struct nd *line, int64_t n, bool down)
{
	char kind = nd_kind(line->type);
	const unsigned char *p = line->data;
	int64_t i;

	for (i = 0; i < n; i++, p += line->stride[0]) {
		struct nd_num v = nd_get(line, p);
		bool nan = v.re != v.re || v.im != v.im;

		k[i].at = i;
		k[i].lo = kind == 'c' ? float_key(v.im) : 0;
		if (kind == 'f' || kind == 'c')
			k[i].hi = float_key(v.re);
		else
			k[i].hi = kind == 'i' ? (uint64_t)v.i ^ UINT64_C(1) << 63 : (uint64_t)v.i;
		if (down && !nan) {		/* NaN stays last; equal ones keep their order */
			k[i].hi = ~k[i].hi;
			k[i].lo = kind == 'c' ? ~k[i].lo : 0;
		}
		if (nan && kind == 'c')		/* all of them behind the numbers, and equal */
			k[i].hi = k[i].lo = UINT64_MAX;
	}
}

static inline bool
after(const struct key *a, const struct key *b)
{
	return a->hi > b->hi || (a->hi == b->hi && a->lo > b->lo);
}

static void
merge_sort(struct key *k, struct key *tmp, int64_t n)
{
	int64_t i, j, mid, o;
	struct key x;

	if (n <= 16) {
		for (i = 1; i < n; i++) {
			x = k[i];
			for (j = i; j > 0 && after(&k[j - 1], &x); j--)
				k[j] = k[j - 1];
			k[j] = x;
		}
		return;
	}
	mid = n / 2;
	merge_sort(k, tmp, mid);
	merge_sort(k + mid, tmp, n - mid);
	if (!after(&k[mid - 1], &k[mid]))
		return;
	memcpy(tmp, k, (size_t)mid * sizeof *k);
	for (i = 0, j = mid, o = 0; i < mid; o++)
		if (j < n && after(&tmp[i], &k[j]))
			k[o] = k[j++];
		else
			k[o] = tmp[i++];
}

struct sorting {
	struct key *keys, *tmp;
	unsigned char *line;		/* one line of elements */
	int64_t n;
	bool down;
};

static int
sorting_init(struct sorting *s, int64_t n, size_t size, bool down)
{
	*s = (struct sorting){ .n = n, .down = down };
	s->keys = malloc(((size_t)n + 1) * sizeof *s->keys);
	s->tmp = malloc(((size_t)n / 2 + 1) * sizeof *s->tmp);
	s->line = malloc(((size_t)n + 1) * size);
	return s->keys && s->tmp && s->line ? 0 : -ENOMEM;
}

static void
sorting_release(struct sorting *s)
{
	free(s->keys);
	free(s->tmp);
	free(s->line);
}

/* Lines of a along an axis, one after the other: false at the end.  at: ND_DIMS zeros at first. */
static bool
next_line(struct nd *v, const struct nd *a, int axis, int64_t *at)
{
	int i;

	for (i = a->ndim - 1; i >= 0; i--) {
		if (i == axis)
			continue;
		v->data += a->stride[i];
		if (++at[i] < a->shape[i])
			return true;
		v->data -= a->stride[i] * a->shape[i];
		at[i] = 0;
	}
	return false;
}

static int
sort_lines(const struct nd *out, const struct nd *a, int axis, bool down, bool numbers)
{
	int64_t at[ND_DIMS] = { 0 }, at_out[ND_DIMS] = { 0 }, i;
	size_t size = nd_size(a->type);
	struct sorting s;
	struct nd line, to;
	int e;

	if (axis < 0 || axis >= a->ndim || !nd_same_shape(out, a))
		return -EINVAL;
	if (nd_count(a) == 0)
		return 0;
	if ((e = sorting_init(&s, a->shape[axis], size, down)) < 0)
		goto out;
	line = (struct nd){ .data = a->data, .type = a->type, .ndim = 1, .shape = { s.n }, .stride = { a->stride[axis] } };
	to = (struct nd){ .data = out->data, .type = out->type, .ndim = 1, .shape = { s.n }, .stride = { out->stride[axis] } };
	do {
		load_keys(s.keys, &line, s.n, down);
		merge_sort(s.keys, s.tmp, s.n);
		if (!numbers)
			nd_run_gather(s.line, a->type, line.data, line.stride[0], a->type, s.n);
		for (i = 0; i < s.n; i++) {
			unsigned char *p = to.data + i * to.stride[0];

			if (numbers)
				nd_put(to.type, p, (struct nd_num){ .kind = 'i', .i = s.keys[i].at });
			else
				memcpy(p, s.line + (size_t)s.keys[i].at * size, size);
		}
		next_line(&to, out, axis, at_out);
	} while (next_line(&line, a, axis, at));
out:
	sorting_release(&s);
	return e;
}

int
nd_sort(const struct nd *a, int axis, bool down)
{
	return sort_lines(a, a, axis, down, false);
}

int
nd_argsort(const struct nd *out, const struct nd *a, int axis, bool down)
{
	return sort_lines(out, a, axis, down, true);
}

int64_t
nd_unique(const struct nd *a, const struct nd *counts)
{
	int64_t i, n = a->shape[0], k = 0, run = 0;
	struct key x, y;
	struct nd one = *a;
	size_t size = nd_size(a->type);

	if (a->ndim != 1)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		one.data = a->data + i * a->stride[0];
		load_keys(&x, &one, 1, false);
		if (i > 0 && x.hi == y.hi && x.lo == y.lo)
			run++;
		else {
			if (k && counts)
				nd_put(counts->type, counts->data + (k - 1) * counts->stride[0],
				    (struct nd_num){ .kind = 'i', .i = run });
			memmove(a->data + k++ * a->stride[0], one.data, size);
			run = 1;
		}
		y = x;
	}
	if (k && counts)
		nd_put(counts->type, counts->data + (k - 1) * counts->stride[0], (struct nd_num){ .kind = 'i', .i = run });
	return k;
}

int
nd_search(const struct nd *out, const struct nd *sorted, const struct nd *v, bool right)
{
	int64_t n = nd_count(v), i, lo, hi, mid;
	struct nd one;
	struct key x, y;

	if (sorted->ndim != 1 || sorted->type != v->type || !nd_packed(v) || !nd_packed(out) || nd_count(out) != n)
		return -EINVAL;
	one = (struct nd){ .type = v->type, .ndim = 1, .shape = { 1 }, .stride = { (int64_t)nd_size(v->type) } };
	for (i = 0; i < n; i++) {
		one.data = v->data + i * one.stride[0];
		load_keys(&x, &one, 1, false);
		for (lo = 0, hi = sorted->shape[0]; lo < hi;) {
			mid = lo + (hi - lo) / 2;
			one.data = sorted->data + mid * sorted->stride[0];
			load_keys(&y, &one, 1, false);
			if (right ? !after(&y, &x) : after(&x, &y))
				lo = mid + 1;
			else
				hi = mid;
		}
		nd_put(out->type, out->data + i * (int64_t)nd_size(out->type), (struct nd_num){ .kind = 'i', .i = lo });
	}
	return 0;
}
