/* nd_axes.c - sums and the like, choice, order and products along every axis, against plain loops */
#include <errno.h>
#include <stdio.h>
#include "nd_model.h"
#include "tap.h"

enum { A = 5, B = 4, C = 37 };
static const char *const word[] = {
#define X(NAME, text) text,
	ND_REDUCE_MAP(X)
#undef X
};
static unsigned char mem[A * B * C * 64 + 64], other[A * B * C * 64 + 64], third[A * B * C * 64];
static char note[300];

static void
said(bool good, const char *what, unsigned type)
{
	char name[60];

	snprintf(name, sizeof name, "%s %s", what, type ? nd_word(type) : "");
	if (!tap_ok(good, __FILE__, __LINE__, name))
		printf("# %s\n", note);
}

static unsigned char *
place(const struct nd *a, const int64_t *at)
{
	unsigned char *p = a->data;

	for (int k = 0; k < a->ndim; k++)
		p += at[k] * a->stride[k];
	return p;
}

static bool
next(const struct nd *a, int64_t *at)		/* the next index in row order */
{
	for (int k = a->ndim - 1; k >= 0; k--) {
		if (++at[k] < a->shape[k])
			return true;
		at[k] = 0;
	}
	return false;
}

/* Three axes, in several orders, with gaps, backwards, unaligned. */
static struct nd
array(unsigned type, int form, bool tame)
{
	int64_t size = (int64_t)nd_size(type), shape[3] = { A, B, C }, at[3] = { 0 };
	static const int orders[6][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 }, { 0, 2, 1 }, { 2, 0, 1 }, { 1, 2, 0 } };
	struct nd a;

	nd_init(&a, type, 3, shape, mem + (form == 5));
	if (form == 4)
		for (int k = 0; k < 3; k++)
			a.stride[k] *= 2;
	if (form == 3) {
		a.data += (C - 1) * size;
		a.stride[2] = -size;
	}
	nd_permute(&a, &a, orders[form]);
	do
		model_element(type, place(&a, at), tame);
	while (next(&a, at));
	return a;
}

/* --- reductions --- */

struct sum {
	long double re, im;
	__int128 i;
	int64_t n, true_n, at;
	struct nd_num best;
	bool nan;
};

static bool
better(bool most, struct nd_num a, struct nd_num b)
{
	double x = model_double(a), y = model_double(b);

	if (a.kind != 'f' && a.kind != 'c')
		return most ? model_int(a) > model_int(b) : model_int(a) < model_int(b);
	if (x == y && a.kind == 'c')
		x = a.im, y = b.im;
	return most ? x > y : x < y;
}

static void
collect(enum nd_reduce op, struct sum *s, struct nd_num v, int64_t n)
{
	bool truth = v.kind == 'f' || v.kind == 'c' ? v.re != 0 || v.im != 0 : v.i != 0, nan = v.re != v.re || v.im != v.im;
	long double re;

	s->true_n += truth;
	if (op == ND_PROD) {
		re = s->n ? s->re * model_double(v) - s->im * v.im : model_double(v);
		s->im = s->n ? s->re * v.im + s->im * model_double(v) : v.im;
		s->re = re;
		s->i = s->n ? (__int128)((unsigned __int128)s->i * (unsigned __int128)model_int(v)) : model_int(v);
	} else {
		s->re += model_double(v);
		s->im += v.im;
		s->i += model_int(v);
	}
	if (s->n == 0 || (!s->nan && (nan || better(op == ND_AMAX || op == ND_ARGMAX, v, s->best)))) {
		s->best = v;
		s->at = n;
		s->nan = nan;
	}
	s->n++;
}

static struct nd_num
result(enum nd_reduce op, unsigned r, const struct sum *s, const struct sum *squares)
{
	struct nd_num v = { .kind = nd_kind(r) };

	switch (op) {
	case ND_SUM: case ND_PROD:
		if (v.kind != 'f' && v.kind != 'c')
			return model_wrap(r, s->i);
		v.re = (double)s->re;
		v.im = (double)s->im;
		return v;
	case ND_MEAN: v.re = (double)(s->re / s->n); v.im = (double)(s->im / s->n); return v;
	case ND_AMIN: case ND_AMAX: return s->best;
	case ND_ARGMIN: case ND_ARGMAX: v.i = s->at; return v;
	case ND_ANY: v.i = s->true_n > 0; return v;
	case ND_ALL: v.i = s->true_n == s->n; return v;
	case ND_COUNT: v.i = s->true_n; return v;
	default: v.re = (double)(squares->re / (s->n - 1)); v.re = op == ND_STD ? sqrt(v.re) : v.re; return v;
	}
}

static bool
near(unsigned r, struct nd_num got, struct nd_num want, bool exact)
{
	double eps = exact ? 0 : r == ND_F16 ? 2e-3 : r == ND_BF16 ? 1.6e-2 : r == ND_F32 || r == ND_C64 ? 2e-5 : 1e-12;

	if (nd_kind(r) != 'f' && nd_kind(r) != 'c')
		return got.i == want.i;
	if (want.re != want.re || want.im != want.im)
		return got.re != got.re || got.im != got.im;
	if (got.re == want.re && got.im == want.im)
		return true;
	return (got.re == want.re || fabs(got.re - want.re) <= eps * (fabs(want.re) + (exact ? 0 : 20))) && fabs(got.im - want.im) <= eps * (fabs(want.im) + (exact ? 0 : 20));
}

static bool
check_reduce(enum nd_reduce op, unsigned t, int form, unsigned axes)
{
	struct nd a = array(t, form, op != ND_AMIN && op != ND_AMAX && op != ND_ARGMIN && op != ND_ARGMAX), out, o;
	int64_t shape[3], at[3] = { 0 }, in[3], n;
	int r = nd_reduce_type(op, t), k, e;

	if ((op == ND_ARGMIN || op == ND_ARGMAX) && axes != 1 && axes != 2 && axes != 4)
		return true;
	for (k = 0; k < 3; k++)
		shape[k] = axes >> k & 1 ? 1 : a.shape[k];
	nd_init(&out, (unsigned)r, 3, shape, third);
	if (op == ND_PROD && nd_count(&a) / nd_count(&out) > 60 && (nd_kind(t) == 'f' || nd_kind(t) == 'c'))
		return true;				/* too large */
	if ((e = nd_reduce(op, &out, &a, axes, 1)) < 0) {
		snprintf(note, sizeof note, "%s: %d", word[op], e);
		return false;
	}
	do {
		struct sum s = { .n = 0 }, sq = { .n = 0 };
		struct nd_num got = nd_get(&out, place(&out, at)), want;

		for (int pass = 0; pass < 2; pass++) {
			o = a;
			for (k = 0; k < 3; k++) {
				in[k] = 0;
				if (!(axes >> k & 1)) {
					o.data += at[k] * a.stride[k];
					o.shape[k] = 1;
				}
			}
			n = 0;
			do {
				struct nd_num v = nd_get(&o, place(&o, in)), d = { .kind = 'f' };

				if (pass == 0)
					collect(op, &s, v, n++);
				else {
					d.re = (double)((model_double(v) - s.re / s.n) * (model_double(v) - s.re / s.n) + (v.im - s.im / s.n) * (v.im - s.im / s.n));
					collect(ND_SUM, &sq, d, n++);
				}
			} while (next(&o, in));
		}
		want = result(op, (unsigned)r, &s, &sq);
		if (op == ND_PROD && fabs(want.re) > 1e3 * (nd_kind(t) == 'f' || nd_kind(t) == 'c'))	/* large products: relative only */
			got.re /= fabs(want.re), got.im /= fabs(want.re), want.im /= fabs(want.re), want.re = want.re < 0 ? -1 : 1;
		if (op == ND_PROD && t != ND_F64 && t != ND_C128 && (nd_kind(t) == 'f' || nd_kind(t) == 'c') && !isfinite(got.re))
			continue;
		if (!near((unsigned)r, got, want, op == ND_AMIN || op == ND_AMAX)) {
			snprintf(note, sizeof note, "%s of %s form %d axes %u: %.17g %.17g %lld, not %.17g %.17g %lld", word[op], nd_word(t), form,
			    axes, got.re, got.im, (long long)got.i, want.re, want.im, (long long)want.i);
			return false;
		}
	} while (next(&out, at));
	return true;
}

static void
reductions(void)
{
	for (int op = 0; op < ND_REDUCES; op++)
		for (unsigned t = 1; t < ND_TYPES; t++) {
			bool good = true;

			for (int form = 0; form < 6 && good; form++)
				for (unsigned axes = 0; axes < 8 && good; axes++)
					if (axes || op < ND_VAR)	/* the deviation of one number from itself, n - 1 = 0 */
						good = check_reduce(op, t, form, axes);
			said(good, word[op], t);
		}
}

static void
edges(void)
{
	int64_t zero[2] = { 0, 3 }, kept[2] = { 1, 3 }, big = 1 << 20, one = 1;
	double d[3];
	struct nd a, out;
	float *f = malloc((size_t)big * sizeof *f), s;

	nd_init(&a, ND_F64, 2, zero, NULL);
	nd_init(&out, ND_F64, 2, kept, d);
	ok(nd_reduce(ND_SUM, &out, &a, 1, 0) == 0 && d[0] == 0 && d[2] == 0);
	ok(nd_reduce(ND_PROD, &out, &a, 1, 0) == 0 && d[0] == 1 && d[2] == 1);
	ok(nd_reduce(ND_AMIN, &out, &a, 1, 0) == -ENODATA);
	ok(nd_reduce(ND_MEAN, &out, &a, 1, 0) == 0 && d[0] != d[0]);
	for (int64_t i = 0; i < big; i++)
		f[i] = 0.1f;
	nd_init(&a, ND_F32, 1, &big, f);
	nd_init(&out, ND_F32, 1, &one, &s);
	ok(nd_reduce(ND_SUM, &out, &a, 1, 0) == 0 && fabs(s - 0.1f * (double)big) / (double)big < 1e-7);	/* pairwise */
	a.shape[0] = big / 64;				/* and along an axis that is not the last */
	a = (struct nd){ .data = (void *)f, .type = ND_F32, .ndim = 2, .shape = { big / 64, 64 }, .stride = { 256, 4 } };
	nd_init(&out, ND_F32, 2, (int64_t[]){ 1, 64 }, third);
	ok(nd_reduce(ND_SUM, &out, &a, 1, 0) == 0 && fabs(((float *)(void *)third)[63] - 0.1f * (double)big / 64) / (double)big * 64 < 1e-7);
	free(f);
}

static void
scans(void)
{
	for (unsigned t = 1; t < ND_TYPES; t++) {
		bool good = true;

		for (int form = 0; form < 6 && good; form++)
			for (int axis = 0; axis < 3 && good; axis++) {
				struct nd a = array(t, form, true), out;
				int64_t at[3] = { 0 };

				nd_init(&out, (unsigned)nd_reduce_type(ND_SUM, t), 3, a.shape, third);
				good = nd_scan(false, &out, &a, axis) == 0;
				do {
					struct sum s = { .n = 0 };
					int64_t in[3] = { at[0], at[1], at[2] };

					for (in[axis] = 0; in[axis] <= at[axis]; in[axis]++)
						collect(ND_SUM, &s, nd_get(&a, place(&a, in)), 0);
					good &= near(out.type, nd_get(&out, place(&out, at)), result(ND_SUM, out.type, &s, NULL), false);
				} while (good && next(&out, at));
			}
		said(good, "cumsum", t);
	}
}

/* --- choice --- */

static void
choice(void)
{
	for (unsigned t = 1; t < ND_TYPES; t++) {
		bool taken = true, put = true, masked = true;
		size_t size = nd_size(t);

		for (int form = 0; form < 6; form++) {
			struct nd a = array(t, form, true), out, index, mask, v;
			int64_t at[4], is[6], n = 6, trues;
			unsigned char m[A * B * C];

			for (int axis = 0; axis < 3; axis++) {
				int64_t shape[4];

				for (int i = 0; i < 6; i++)
					is[i] = (int64_t)(model_random() % (uint64_t)a.shape[axis]);
				nd_init(&index, ND_I64, 2, (int64_t[]){ 2, 3 }, is);
				for (int k = 0, j = 0; k < 3; k++)
					if (k == axis)
						shape[j++] = 2, shape[j++] = 3;
					else
						shape[j++] = a.shape[k];
				nd_init(&out, t, 4, shape, third);
				taken &= nd_take(&out, &a, &index, axis) == 0;
				memset(at, 0, sizeof at);
				do {
					int64_t in[3];

					for (int k = 0, j = 0; k < 3; k++, j++)
						in[k] = k == axis ? is[at[j] * 3 + at[j + 1]] : at[j], j += k == axis;
					taken &= memcmp(place(&a, in), place(&out, at), size) == 0;
				} while (next(&out, at));
			}
			nd_init(&v, t, 1, &n, third);
			for (int i = 0; i < 6; i++) {
				is[i] = (i * 3) % a.shape[0];
				model_element(t, third + (size_t)i * size, true);
			}
			nd_init(&index, ND_I64, 1, &n, is);
			nd_expand(&v, &v, 1);
			nd_expand(&v, &v, 2);
			put &= nd_put_at(&a, &index, &v) == 0;
			for (int i = 0; i < 6; i++) {
				int last = i;

				for (int k = i; k < 6; k++)
					last = is[k] == is[i] ? k : last;
				put &= memcmp(place(&a, (int64_t[]){ is[i], 0, a.shape[2] - 1 }), third + (size_t)last * size, size) == 0;
			}
			is[2] = a.shape[0];
			put &= nd_put_at(&a, &index, &v) == -ERANGE;

			nd_init(&mask, ND_BOOL, 2, a.shape, m);
			for (int i = 0; i < a.shape[0] * a.shape[1]; i++)
				m[i] = model_random() & 1;
			nd_count_true(&mask, &trues);
			nd_init(&out, t, 2, (int64_t[]){ trues, a.shape[2] }, third);
			masked &= nd_select(&out, &a, &mask) == 0;
			for (int64_t i = 0, k = 0; i < a.shape[0] * a.shape[1]; i++)
				if (m[i])
					masked &= memcmp(place(&a, (int64_t[]){ i / a.shape[1], i % a.shape[1], 1 }),
					    place(&out, (int64_t[]){ k++, 1 }), size) == 0;
			memset(other, 0, size);
			nd_init(&v, t, 0, NULL, other);
			masked &= nd_put_where(&a, &mask, &v) == 0;
			for (int64_t i = 0; i < a.shape[0] * a.shape[1]; i++)
				if (m[i])
					masked &= memcmp(place(&a, (int64_t[]){ i / a.shape[1], i % a.shape[1], 0 }), other, size) == 0;
		}
		said(taken, "take", t);
		said(put, "put", t);
		said(masked, "masks", t);
	}
}

/* --- order --- */

static bool
before(struct nd_num a, struct nd_num b)		/* a strictly before b */
{
	bool an = a.re != a.re || a.im != a.im, bn = b.re != b.re || b.im != b.im;

	if (an || bn)
		return !an && bn;
	return better(false, a, b);
}

static void
order(void)
{
	for (unsigned t = 1; t < ND_TYPES; t++) {
		bool good = true, searched = true;

		for (int form = 0; form < 6 && good; form++)
			for (int axis = 0; axis < 3 && good; axis++)
				for (int down = 0; down < 2; down++) {
					struct nd a = array(t, form, false), numbers, sorted, line, place_of;
					int64_t at[3] = { 0 };

					nd_init(&numbers, ND_I64, 3, a.shape, third);
					nd_init(&sorted, t, 3, a.shape, other);
					nd_copy(&sorted, &a);
					good &= nd_argsort(&numbers, &a, axis, down) == 0 && nd_sort(&sorted, axis, down) == 0;
					do {
						struct nd_num x, y;
						int64_t in[3] = { at[0], at[1], at[2] }, was;

						in[axis] = was = nd_get(&numbers, place(&numbers, at)).i;
						good &= memcmp(place(&a, in), place(&sorted, at), nd_size(t)) == 0;
						if (at[axis] == 0)
							continue;
						x = nd_get(&sorted, place(&sorted, at) - sorted.stride[axis]);
						y = nd_get(&sorted, place(&sorted, at));
						if (!(x.re != x.re || x.im != x.im || y.re != y.re || y.im != y.im))
							good &= down ? !before(x, y) : !before(y, x);
						else
							good &= !(x.re == x.re && x.im == x.im) <= !(y.re == y.re && y.im == y.im);
						in[axis] = nd_get(&numbers, place(&numbers, at) - numbers.stride[axis]).i;
						if (!before(x, y) && !before(y, x))
							good &= in[axis] < was;		/* stable */
					} while (good && next(&sorted, at));
					if (axis != 2 || down)
						continue;
					nd_index(&line, &sorted, 0, 0);
					nd_index(&line, &line, 0, 0);
					nd_init(&place_of, ND_I64, 1, line.shape, third);
					for (int right = 0; right < 2; right++) {
						searched &= nd_search(&place_of, &line, &line, right) == 0;
						for (int64_t i = 0; i < line.shape[0]; i++) {
							int64_t p = nd_get(&place_of, third + i * 8).i;

							searched &= right ? p > i : p <= i;
							if (right ? p < line.shape[0] : p > 0)
								searched &= before(nd_get(&line, line.data + (right ? i : p - 1) * line.stride[0]),
								    nd_get(&line, line.data + (right ? p : i) * line.stride[0])) || t == ND_C64 || t == ND_C128;
						}
					}
				}
		said(good, "sort, argsort", t);
		said(searched, "search", t);
	}
}

static void
distinct(void)
{
	int32_t x[] = { 1, 1, 2, 5, 5, 5, 9 };
	int64_t n = 7, counts[7];
	struct nd a, c;

	nd_init(&a, ND_I32, 1, &n, x);
	nd_init(&c, ND_I64, 1, &n, counts);
	ok(nd_unique(&a, &c) == 4 && x[0] == 1 && x[1] == 2 && x[2] == 5 && x[3] == 9);
	ok(counts[0] == 2 && counts[1] == 1 && counts[2] == 3 && counts[3] == 1);
}

/* --- products --- */

static bool
product(unsigned t, int64_t n, int64_t k, int64_t m, bool turned)
{
	size_t size = nd_size(t);
	unsigned char *p = malloc((size_t)(n * k) * size), *q = malloc((size_t)(k * m) * size), *r = malloc((size_t)(n * m) * size);
	struct nd a, b, out;
	bool good;

	nd_init(&a, t, 2, (int64_t[]){ turned ? k : n, turned ? n : k }, p);
	nd_init(&b, t, 2, (int64_t[]){ turned ? m : k, turned ? k : m }, q);
	nd_init(&out, t, 2, (int64_t[]){ n, m }, r);
	for (int64_t i = 0; i < n * k; i++)
		model_element(t, p + (size_t)i * size, true);
	for (int64_t i = 0; i < k * m; i++)
		model_element(t, q + (size_t)i * size, true);
	if (turned) {
		nd_permute(&a, &a, (int[]){ 1, 0 });
		nd_permute(&b, &b, (int[]){ 1, 0 });
	}
	good = nd_matmul(&out, &a, &b) == 0;
	for (int64_t i = 0; i < n && good; i++)
		for (int64_t j = 0; j < m && good; j++) {
			struct nd_num s = { .kind = nd_kind(t) }, got = nd_get(&out, place(&out, (int64_t[]){ i, j }));
			__int128 whole = 0;
			double scale = 0;

			for (int64_t x = 0; x < k; x++) {
				struct nd_num u = nd_get(&a, place(&a, (int64_t[]){ i, x })), v = nd_get(&b, place(&b, (int64_t[]){ x, j }));

				whole += model_int(u) * model_int(v);
				s.re += u.re * v.re - u.im * v.im;
				s.im += u.re * v.im + u.im * v.re;
				scale += fabs(u.re * v.re) + fabs(u.im * v.im);
			}
			if (s.kind == 'b')
				good = got.i == (whole != 0);
			else if (s.kind != 'f' && s.kind != 'c')
				good = got.i == model_wrap(t, whole).i;
			else
				good = fabs(got.re - s.re) + fabs(got.im - s.im) <= scale * (t == ND_F64 || t == ND_C128 ? 1e-13 : t == ND_BF16 ? 1e-2 : t == ND_F16 ? 2e-3 : 1e-4) + 1e-3 * (size == 2);
			if (!good)
				snprintf(note, sizeof note, "%lldx%lldx%lld at %lld,%lld: %g not %g", (long long)n, (long long)k, (long long)m, (long long)i,
				    (long long)j, got.re, s.re);
		}
	free(p);
	free(q);
	free(r);
	return good;
}

static void
products(void)
{
	struct nd a, b, out;
	double x[24], y[24], z[24];
	int64_t shape[ND_DIMS];
	int d;

	for (unsigned t = 1; t < ND_TYPES; t++)
		said(product(t, 3, 5, 4, false) && product(t, 7, 1, 9, true) && product(t, 31, 33, 35, false) && product(t, 33, 31, 17, true), "matmul", t);
	said(product(ND_F32, 70, 300, 290, false) && product(ND_F64, 65, 513, 300, true) && product(ND_F32, 4, 4, 2000, true), "matmul in blocks", 0);
	for (int i = 0; i < 24; i++)
		x[i] = i, y[i] = i % 5;
	nd_init(&a, ND_F64, 3, (int64_t[]){ 2, 3, 4 }, x);
	nd_init(&b, ND_F64, 1, (int64_t[]){ 4 }, y);
	ok(nd_matmul_shape(&a, &b, &d, shape) == 0 && d == 2 && shape[0] == 2 && shape[1] == 3);
	nd_init(&out, ND_F64, d, shape, z);
	ok(nd_matmul(&out, &a, &b) == 0 && z[0] == 14 && z[5] == 21 + 2 * 22 + 3 * 23);
	nd_init(&b, ND_F64, 2, (int64_t[]){ 4, 2 }, y);
	ok(nd_matmul_shape(&a, &b, &d, shape) == 0 && d == 3 && shape[2] == 2);
	nd_init(&out, ND_F64, d, shape, z);
	ok(nd_matmul(&out, &a, &b) == 0 && z[0] == 0 * 0 + 1 * 2 + 2 * 4 + 3 * 1 && z[11] == 20 * 1 + 21 * 3 + 22 * 0 + 23 * 2);
	nd_init(&a, ND_F64, 1, (int64_t[]){ 4 }, x);
	ok(nd_matmul_shape(&a, &a, &d, shape) == 0 && d == 0);
	nd_init(&out, ND_F64, 0, NULL, z);
	ok(nd_matmul(&out, &a, &a) == 0 && z[0] == 14);
	nd_init(&b, ND_F64, 1, (int64_t[]){ 3 }, y);
	ok(nd_matmul_shape(&a, &b, &d, shape) == -EINVAL);
}

int
main(void)
{
	reductions();
	edges();
	scans();
	choice();
	order();
	distinct();
	products();
	return tap_done();
}
