#include <math.h>
#include <stdlib.h>
#include "nd/impl.h"

#define LEAF 8				/* rows that are added one after the other; halves above that */
#define ROW_CHUNK 256			/* columns that are reduced at a time */

/* One fold over the axes in R for each element of the others (K). */
struct red {
	enum fold fold;
	unsigned t;			/* type of the accumulators */
	unsigned from;
	int nr;				/* axes of R, the last with the smallest stride */
	int64_t shape[ND_DIMS], stride[ND_DIMS];
	int64_t rows;			/* of R: without its last axis, if that is the run */
	int64_t run, run_stride;	/* run > 0: folds of runs; 0: rows of cols elements are added up */
	int64_t cols, col_stride;
	const unsigned char *center;	/* cols f64: squares of the distances to these are summed; or NULL */
	nd_kernr *fold_run;
	nd_kern2 *fold_rows;
};

static const enum nd_binary fold_op[FOLDS] = { ND_ADD, ND_MUL, ND_MIN, ND_MAX };

static void
distance(const struct red *r, unsigned char *x, int64_t n)	/* x[i] = (x[i] - center)^2 */
{
	nd_f64 *p = (nd_f64 *)(void *)x;
	const nd_f64 *c = (const nd_f64 *)(const void *)r->center;
	int64_t i;

	for (i = 0; i < n; i++) {
		double d = p[i] - c[r->run ? 0 : i];

		p[i] = d * d;
	}
}

static const void *
load(const struct red *r, unsigned char *tmp, const unsigned char *p, int64_t stride, int64_t n)
{
	if (!r->center)
		return nd_run_in(tmp, r->t, p, stride, r->from, n);
	nd_run_gather(tmp, r->t, p, stride, r->from, n);
	distance(r, tmp, n);
	return tmp;
}

static void
first(const struct red *r, unsigned char *acc, const unsigned char *x, int64_t n)	/* what the fold begins with */
{
	struct nd_num one = { .kind = 'i', .i = 1 };

	if (r->fold == FOLD_SUM)
		memset(acc, 0, (size_t)n * nd_size(r->t));
	else if (r->fold == FOLD_PROD)
		for (int64_t i = 0; i < n; i++)
			nd_put(r->t, acc + (size_t)i * nd_size(r->t), one);
	else
		memcpy(acc, x, (size_t)n * nd_size(r->t));	/* the least of x and all of x */
}

/* Folds n elements at p into *acc, by halves, so that errors of sums grow with the logarithm. */
static void
fold_run(const struct red *r, unsigned char *acc, const unsigned char *p, int64_t n)
{
	unsigned char tmp[ND_CHUNK * 8] __attribute__((aligned(64))), half[16] __attribute__((aligned(16)));
	int64_t mid;
	const void *x;

	if (n <= ND_CHUNK) {
		x = load(r, tmp, p, r->run_stride, n);
		first(r, acc, x, 1);
		r->fold_run(acc, x, n);
		return;
	}
	mid = (n / 2 + ND_CHUNK - 1) / ND_CHUNK * ND_CHUNK;
	fold_run(r, acc, p, mid);
	fold_run(r, half, p + mid * r->run_stride, n - mid);
	r->fold_rows(acc, acc, half, 1);
}

static int64_t
offset(const struct red *r, int64_t i)		/* of row i of R */
{
	int k = r->nr - 1 - (r->run > 0);
	int64_t off = 0;

	for (; k > 0; i /= r->shape[k--])
		off += i % r->shape[k] * r->stride[k];
	return k < 0 ? 0 : off + i * r->stride[0];
}

static void
fold_rows(const struct red *r, unsigned char *acc, const unsigned char *base, int64_t lo, int64_t hi)
{
	unsigned char tmp[ROW_CHUNK * 16] __attribute__((aligned(64)));
	int64_t i, mid;
	const void *x;

	if (hi - lo > LEAF) {
		mid = lo + (hi - lo) / 2;
		fold_rows(r, acc, base, lo, mid);
		fold_rows(r, tmp, base, mid, hi);
		r->fold_rows(acc, acc, tmp, r->cols);
		return;
	}
	for (i = lo; i < hi; i++) {
		if (r->run) {
			fold_run(r, i == lo ? acc : tmp, base + offset(r, i), r->run);
			x = tmp;
			if (i == lo)
				continue;
		} else {
			x = load(r, tmp, base + offset(r, i), r->col_stride, r->cols);
			if (i == lo)
				first(r, acc, x, r->cols);
			if (i == lo && r->fold >= FOLD_MIN)
				continue;
		}
		r->fold_rows(acc, acc, x, r->cols);
	}
}

/* --- how the axes are walked --- */

static void
sort_axes(struct red *r, const struct nd *a, unsigned axes)
{
	int i, j, n = 0;

	for (i = 0; i < a->ndim; i++) {
		if (!(axes >> i & 1) || a->shape[i] == 1)
			continue;
		for (j = n++; j > 0 && llabs(r->stride[j - 1]) < llabs(a->stride[i]); j--) {
			r->stride[j] = r->stride[j - 1];
			r->shape[j] = r->shape[j - 1];
		}
		r->stride[j] = a->stride[i];
		r->shape[j] = a->shape[i];
	}
	for (i = 0, j = 1; j < n; j++) {		/* join what lies in one line */
		if (r->stride[i] == r->stride[j] * r->shape[j]) {
			r->shape[i] *= r->shape[j];
			r->stride[i] = r->stride[j];
		} else {
			r->shape[++i] = r->shape[j];
			r->stride[i] = r->stride[j];
		}
	}
	r->nr = n ? i + 1 : 0;
	r->rows = 1;
	for (i = 0; i < r->nr; i++)
		r->rows *= r->shape[i];
}

static void
write_out(const struct red *r, unsigned char *p, int64_t stride, unsigned type, unsigned char *acc, int64_t n, double div)
{
	int64_t i;

	if (div != 0 && r->t == ND_F32)
		for (i = 0; i < n; i++)
			((nd_f32 *)(void *)acc)[i] /= (nd_f32)div;
	else if (div != 0)
		for (i = 0; i < n; i++)
			((nd_f64 *)(void *)acc)[i] /= div;
	nd_run_scatter(p, stride, type, acc, r->t, n);
}

/*
 * out: 1 long in the axes of R.  div: what the result is divided by, 0: nothing.  mean: f64 of out's shape, or NULL.
 */
static int
reduce(struct red *r, const struct nd *out, const struct nd *a, unsigned axes, double div, const struct nd *mean)
{
	unsigned char acc[ROW_CHUNK * 16] __attribute__((aligned(64))), center[ROW_CHUNK * 8] __attribute__((aligned(64)));
	const struct nd *ops[3];
	struct nd k = *a;
	struct nd_walk w;
	int64_t i, s;
	int e, m, last;

	sort_axes(r, a, axes);
	for (m = 0; m < a->ndim; m++)
		if (axes >> m & 1)
			k.shape[m] = 1;
	ops[0] = &k;
	ops[1] = out;
	ops[2] = mean;
	if ((e = nd_walk_init(&w, out->ndim, out->shape, ops, mean ? 3 : 2, true)) < 0 || w.n == 0)
		return e;
	r->fold_run = nd_kernels()->fold[r->fold][r->t];
	r->fold_rows = nd_kernels()->binary[fold_op[r->fold]][r->t];
	if (!r->fold_rows)
		r->fold_rows = nd_math_binary[fold_op[r->fold]][r->t];
	last = w.ndim - 1;
	r->col_stride = w.op[0].stride[last];
	if (r->fold_run && r->nr > 0 && (w.n < 16 || llabs(r->stride[r->nr - 1]) < llabs(r->col_stride))) {
		r->run = r->shape[r->nr - 1];
		r->run_stride = r->stride[r->nr - 1];
		r->rows = r->rows ? r->rows / r->run : 0;
	}
	do
		for (i = 0; i < w.n; i += r->cols) {
			s = w.op[1].stride[last];
			r->cols = r->run ? 1 : w.n - i < ROW_CHUNK ? w.n - i : ROW_CHUNK;
			if (mean) {
				nd_run_gather(center, ND_F64, w.op[2].p + i * w.op[2].stride[last], w.op[2].stride[last], ND_F64, r->cols);
				r->center = center;
			}
			if (r->rows == 0)
				first(r, acc, acc, r->cols);
			else
				fold_rows(r, acc, w.op[0].p + i * r->col_stride, 0, r->rows);
			write_out(r, w.op[1].p + i * s, s, out->type, acc, r->cols, div);
		}
	while (nd_walk_next(&w));
	return 0;
}

/* --- the operations --- */

unsigned
nd_sum_type(unsigned a)
{
	char k = nd_kind(a);

	return k == 'b' || k == 'i' ? ND_I64 : k == 'u' ? ND_U64 : a;
}

int
nd_reduce_type(enum nd_reduce op, unsigned a)
{
	char k = nd_kind(a);

	if (k == 0)
		return -EDOM;
	switch (op) {
	case ND_SUM: case ND_PROD: return (int)nd_sum_type(a);
	case ND_MEAN: return k == 'f' || k == 'c' ? (int)a : ND_F64;
	case ND_VAR: case ND_STD: return k == 'f' ? (int)a : a == ND_C64 ? ND_F32 : ND_F64;
	case ND_AMIN: case ND_AMAX: return (int)a;
	case ND_ANY: case ND_ALL: return ND_BOOL;
	default: return ND_I64;
	}
}

static int64_t
reduced(const struct nd *a, unsigned axes)	/* elements for each of the result */
{
	int64_t n = 1;
	int i;

	for (i = 0; i < a->ndim; i++)
		if (axes >> i & 1)
			n *= a->shape[i];
	return n;
}

/* The two parts of complex numbers as an array of one axis more, or of one part. */
static int
parts(struct nd *v, const struct nd *a, int part)
{
	size_t size = nd_size(a->type) / 2;

	*v = *a;
	v->type = a->type == ND_C64 ? ND_F32 : ND_F64;
	if (part >= 0) {
		v->data += (size_t)part * size;
		return 0;
	}
	if (a->ndim == ND_DIMS)
		return -EDOM;
	v->shape[v->ndim] = 2;
	v->stride[v->ndim++] = (int64_t)size;
	return 0;
}

static int
sum(const struct nd *out, const struct nd *a, unsigned axes, double div)
{
	unsigned t = nd_sum_type(a->type);
	struct red r = { .fold = FOLD_SUM, .from = a->type };
	struct nd o, x;
	int e;

	if (nd_kind(t) == 'c' && nd_kind(out->type) == 'c') {
		if ((e = parts(&o, out, -1)) < 0 || (e = parts(&x, a, -1)) < 0)
			return e;
		return sum(&o, &x, axes, div);
	}
	r.t = div != 0 && nd_kind(t) != 'f' ? ND_F64 : t == ND_F16 || t == ND_BF16 ? ND_F32 : t;
	return reduce(&r, out, a, axes, div, NULL);
}

static int
variance(const struct nd *out, const struct nd *a, unsigned axes, int64_t ddof, bool root)
{
	struct red r = { .fold = FOLD_SUM, .t = ND_F64, .from = a->type };
	double n = (double)reduced(a, axes), div = n - (double)ddof;
	struct nd mean, v, part = *a, part_sum;
	double *m = malloc(((size_t)nd_count(out) + 1) * 2 * sizeof *m);
	int e = 0, i, pair = nd_kind(a->type) == 'c';

	if (!m)
		return -ENOMEM;
	nd_init(&mean, ND_F64, out->ndim, out->shape, m);
	nd_init(&v, ND_F64, out->ndim, out->shape, m + nd_count(out));
	memset(v.data, 0, nd_bytes(&v));
	for (i = 0; i <= pair && e == 0; i++) {
		if (pair)
			parts(&part, a, i);
		r.from = part.type;
		r.center = NULL;
		r.run = 0;
		if ((e = reduce(&r, &mean, &part, axes, n, NULL)) < 0)
			break;
		part_sum = i ? mean : v;		/* each element of mean is read before it is written to */
		r.run = 0;
		e = reduce(&r, &part_sum, &part, axes, div > 0 ? div : NAN, &mean);
		if (i && e == 0)
			e = nd_binary(ND_ADD, &v, &v, &part_sum);
	}
	if (e == 0 && root)
		e = nd_unary(ND_SQRT, &v, &v);
	if (e == 0)
		e = nd_copy(out, &v);
	free(m);
	return e;
}

static int
truths(enum nd_reduce op, const struct nd *out, const struct nd *a, unsigned axes)
{
	struct red r = { .fold = op == ND_ALL ? FOLD_MIN : op == ND_ANY ? FOLD_MAX : FOLD_SUM, .from = a->type, .t = ND_BOOL };
	unsigned char one = op == ND_ALL;
	struct nd b = *a, tmp, v;
	int e = 0;

	if (reduced(a, axes) == 0 && op != ND_COUNT) {
		nd_init(&v, ND_BOOL, 0, NULL, &one);
		return nd_copy(out, &v);
	}
	if (op != ND_COUNT)
		return reduce(&r, out, a, axes, 0, NULL);
	tmp.data = NULL;
	if (a->type != ND_BOOL) {
		if (!(tmp.data = malloc((size_t)nd_count(a) + 1)))
			return -ENOMEM;
		nd_init(&b, ND_BOOL, a->ndim, a->shape, tmp.data);
		e = nd_copy(&b, a);
	}
	r.from = ND_BOOL;
	r.t = ND_I64;
	if (e == 0)
		e = reduce(&r, out, &b, axes, 0, NULL);
	free(tmp.data);
	return e;
}

int
nd_reduce(enum nd_reduce op, const struct nd *out, const struct nd *a, unsigned axes, int64_t ddof)
{
	struct red r = { .from = a->type, .t = a->type == ND_F16 || a->type == ND_BF16 ? ND_F32 : a->type };
	int i, axis = -1, e = nd_reduce_type(op, a->type);
	int64_t n = reduced(a, axes);

	if (e < 0)
		return e;
	if (out->ndim != a->ndim)
		return -EINVAL;
	for (i = 0; i < a->ndim; i++) {
		if (out->shape[i] != (axes >> i & 1 ? 1 : a->shape[i]))
			return -EINVAL;
		if (axes >> i & 1)
			axis = axis < 0 ? i : ND_DIMS;
	}
	switch (op) {
	case ND_SUM: return sum(out, a, axes, 0);
	case ND_MEAN: return sum(out, a, axes, n ? (double)n : NAN);
	case ND_VAR: case ND_STD: return variance(out, a, axes, ddof, op == ND_STD);
	case ND_ANY: case ND_ALL: case ND_COUNT: return truths(op, out, a, axes);
	case ND_ARGMIN: case ND_ARGMAX:
		return axis < 0 || axis == ND_DIMS ? -EINVAL : nd_best(op == ND_ARGMAX, out, a, axis);
	case ND_PROD:
		r.fold = FOLD_PROD;
		r.t = nd_sum_type(r.t);
		break;
	default:
		if (n == 0 && nd_count(out) > 0)
			return -ENODATA;
		r.fold = op == ND_AMIN ? FOLD_MIN : FOLD_MAX;
	}
	return reduce(&r, out, a, axes, 0, NULL);
}
