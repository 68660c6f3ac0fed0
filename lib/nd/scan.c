#include "nd/impl.h"

/* --- the first least or greatest --- */

struct best {
	unsigned t;
	size_t size;
	nd_kern2 *less, *eq;
	nd_kern1 *nan_of;
	nd_kernr *fold;
	unsigned char top[16] __attribute__((aligned(16)));	/* the best so far */
	int64_t at;
	bool nan;			/* it is NaN: nothing is better */
};

static void
best_of(struct best *b, const unsigned char *x, int64_t n, int64_t base)	/* n elements of type t */
{
	unsigned char m[16] __attribute__((aligned(16))), flag = 0;
	int64_t i;

	if (b->nan)
		return;
	if (b->fold) {				/* quick look: is anything better in this chunk? */
		memcpy(m, x, b->size);
		b->fold(m, x, n);
		if (b->nan_of)
			b->nan_of(&flag, m, 1);
		if (!flag && b->at >= 0) {
			b->less(&flag, m, b->top, 1);
			if (!flag)
				return;
		}
	}
	for (i = 0; i < n && !b->nan; i++, x += b->size) {
		if (b->nan_of)
			b->nan_of(&flag, x, 1);
		b->nan = b->nan_of && flag;
		if (b->at >= 0 && !b->nan) {
			b->less(&flag, x, b->top, 1);
			if (!flag)
				continue;
		}
		memcpy(b->top, x, b->size);
		b->at = base + i;
	}
}

int
nd_best(bool most, const struct nd *out, const struct nd *a, int axis)
{
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64)));
	struct best b = { .t = a->type == ND_F16 || a->type == ND_BF16 ? ND_F32 : a->type };
	const struct nd *ops[2];
	struct nd k = *a, o;
	struct nd_walk w;
	int64_t i, n, run = a->shape[axis], stride = a->stride[axis];
	unsigned t = b.t;
	int e;

	if (run == 0)
		return -ENODATA;
	b.size = nd_size(t);
	b.less = nd_kernels()->binary[most ? ND_GT : ND_LT][t];
	if (!b.less)
		b.less = nd_math_binary[most ? ND_GT : ND_LT][t];
	b.fold = nd_kernels()->fold[most ? FOLD_MAX : FOLD_MIN][t];
	b.nan_of = nd_kernels()->unary[ND_ISNAN][t] ? nd_kernels()->unary[ND_ISNAN][t] : nd_math_unary[ND_ISNAN][t];
	k.shape[axis] = 1;
	ops[0] = &k;
	ops[1] = out;
	if ((e = nd_walk_init(&w, out->ndim, out->shape, ops, 2, true)) < 0 || w.n == 0)
		return e;
	nd_init(&o, ND_I64, 0, NULL, NULL);
	do
		for (i = 0; i < w.n; i++) {
			const unsigned char *p = w.op[0].p + i * w.op[0].stride[w.ndim - 1];

			b.at = -1;
			b.nan = false;
			for (int64_t at = 0; at < run; at += n) {
				n = run - at < ND_CHUNK ? run - at : ND_CHUNK;
				best_of(&b, nd_run_in(tmp, t, p + at * stride, stride, a->type, n), n, at);
			}
			nd_put(out->type, w.op[1].p + i * w.op[1].stride[w.ndim - 1], (struct nd_num){ .kind = 'i', .i = b.at });
		}
	while (nd_walk_next(&w));
	return 0;
}

/* --- running sums --- */

#define SCAN(T) { T *x = (T *)(void *)p, s; memcpy(&s, acc, sizeof s); \
	for (i = 0; i < n; i++) x[i] = s = (T)(product ? s * x[i] : s + x[i]); \
	memcpy(acc, &s, sizeof s); return; }

static void
scan_run(bool product, unsigned t, unsigned char *acc, unsigned char *p, int64_t n)
{
	nd_kern2 *f = nd_math_binary[product ? ND_MUL : ND_ADD][t];
	int64_t i;

	switch (t) {
	case ND_I64: case ND_U64: SCAN(nd_u64)
	case ND_F32: SCAN(nd_f32)
	case ND_F64: SCAN(nd_f64)
	}
	for (i = 0; i < n; i++, p += nd_size(t)) {
		f(p, acc, p, 1);
		memcpy(acc, p, nd_size(t));
	}
}

int
nd_scan(bool product, const struct nd *out, const struct nd *a, int axis)
{
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64))), acc[16] __attribute__((aligned(16)));
	unsigned t = nd_sum_type(a->type);
	const struct nd *ops[2];
	struct nd k = *a, o = *out;
	struct nd_walk w;
	int64_t i, n, at, run, is, os;
	int e;

	if (axis < 0 || axis >= a->ndim || !nd_same_shape(out, a) || nd_overlap(out, a))
		return -EINVAL;
	t = t == ND_F16 || t == ND_BF16 ? ND_F32 : t;
	run = a->shape[axis];
	is = a->stride[axis];
	os = out->stride[axis];
	k.shape[axis] = o.shape[axis] = run ? 1 : 0;
	ops[0] = &k;
	ops[1] = &o;
	if ((e = nd_walk_init(&w, o.ndim, o.shape, ops, 2, true)) < 0 || w.n == 0)
		return e;
	do
		for (i = 0; i < w.n; i++) {
			nd_put(t, acc, (struct nd_num){ .kind = 'i', .i = product });
			for (at = 0; at < run; at += n) {
				n = run - at < ND_CHUNK ? run - at : ND_CHUNK;
				nd_run_gather(tmp, t, w.op[0].p + i * w.op[0].stride[w.ndim - 1] + at * is, is, a->type, n);
				scan_run(product, t, acc, tmp, n);
				nd_run_scatter(w.op[1].p + i * w.op[1].stride[w.ndim - 1] + at * os, os, out->type, tmp, t, n);
			}
		}
	while (nd_walk_next(&w));
	return 0;
}
