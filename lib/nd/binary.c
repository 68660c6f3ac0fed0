#include <stdlib.h>
#include "nd/impl.h"

static bool
is_compare(enum nd_binary op)
{
	return op >= ND_LT && op <= ND_NE;
}

static unsigned
float_of(unsigned t)		/* the float type that functions of an integer give */
{
	return nd_kind(t) == 'f' || nd_kind(t) == 'c' ? t : nd_size(t) == 1 ? ND_F16 : nd_size(t) == 2 ? ND_F32 : ND_F64;
}

static unsigned
compute_of(unsigned t)		/* 16-bit floats are worked on as f32 */
{
	return t == ND_F16 || t == ND_BF16 ? ND_F32 : t;
}

int
nd_binary_type(enum nd_binary op, unsigned a, unsigned b, unsigned *compute)
{
	unsigned t = nd_promote(a, b);
	char k = nd_kind(t);
	bool number = k != 'b';

	if (k == 0)
		return -EDOM;
	switch (op) {
	case ND_SUB:
		if (!number)
			return -EDOM;
		break;
	case ND_DIV:
		if (k != 'f' && k != 'c')
			t = ND_F64;
		break;
	case ND_ATAN2: case ND_HYPOT:
		if (k == 'c')
			return -EDOM;
		t = nd_promote(float_of(a), float_of(b));
		break;
	case ND_IDIV: case ND_MOD: case ND_POW:
		if (k == 'c' && op != ND_POW)
			return -EDOM;
		t = number ? t : ND_I8;
		break;
	case ND_BAND: case ND_BOR: case ND_BXOR: case ND_SHL: case ND_SHR:
		if (k == 'f' || k == 'c')
			return -EDOM;
		t = number || op < ND_SHL ? t : ND_I8;
		break;
	default:
		break;
	}
	if (compute)
		*compute = compute_of(t);
	return is_compare(op) ? ND_BOOL : (int)t;
}

int
nd_unary_type(enum nd_unary op, unsigned a, unsigned *compute)
{
	char k = nd_kind(a);
	unsigned c = a, r;

	if (k == 0 || (k == 'b' && (op == ND_NEG || op == ND_SIGN)) || ((k == 'f' || k == 'c') && op == ND_INV))
		return -EDOM;
	if (k == 'b' && op == ND_SQUARE)
		c = ND_I8;
	else if (op == ND_ARG || op >= ND_SQRT)
		c = op == ND_RECIP && k != 'f' && k != 'c' ? ND_F64 : float_of(a);
	else if (op >= ND_ISNAN && op <= ND_ISFINITE && k != 'f' && k != 'c')
		c = ND_F64;
	if (k == 'c' && !nd_math_unary[op][a])
		return -EDOM;
	r = c;
	if (k == 'c' && (op == ND_ABS || op == ND_REAL || op == ND_IMAG || op == ND_ARG))
		r = a == ND_C64 ? ND_F32 : ND_F64;
	else if (op == ND_NOT || (op >= ND_ISNAN && op <= ND_ISFINITE))
		r = ND_BOOL;
	if (compute)
		*compute = compute_of(c);
	return (int)r;
}

/* --- runs --- */

struct input {
	const unsigned char *p;		/* what is in tmp, if it stands still */
	int64_t filled;
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64)));
};

static const void *
input(struct input *in, unsigned t, const unsigned char *p, int64_t stride, unsigned from, int64_t k)
{
	if (stride != 0)
		return in->p = NULL, nd_run_in(in->tmp, t, p, stride, from, k);
	if (in->p != p || in->filled < k) {
		nd_run_gather(in->tmp, t, p, 0, from, k);
		in->p = p;
		in->filled = k;
	}
	return in->tmp;
}

struct job {
	nd_kern2 *f2;
	nd_kern1 *f1;			/* or this one: no second operand */
	unsigned compute, native;	/* what the kernel takes and gives */
	bool stream;
	struct nd_walk w;
	struct input in[2];
	unsigned char out[ND_CHUNK * 16] __attribute__((aligned(64)));
};

static void
run(struct job *j)
{
	const struct nd_walk *w = &j->w;
	const struct nd_walk_op *o = &w->op[0], *a = &w->op[1], *b = &w->op[2];
	int last = w->ndim - 1;
	int64_t i, k, os = o->stride[last], as = a->stride[last], bs = j->f2 ? b->stride[last] : 0;
	size_t size = nd_size(j->native);

	for (i = 0; i < w->n; i += k) {
		unsigned char *to = o->p + i * os;
		bool direct = nd_run_direct(j->native, to, os, o->type, size);
		void *r = direct && !j->stream ? to : j->out;
		const void *x, *y;

		k = w->n - i < ND_CHUNK ? w->n - i : ND_CHUNK;
		x = input(&j->in[0], j->compute, a->p + i * as, as, a->type, k);
		if (j->f2) {
			y = input(&j->in[1], j->compute, b->p + i * bs, bs, b->type, k);
			j->f2(r, x, y, k);
		} else
			j->f1(r, x, k);
		if (!direct)
			nd_run_scatter(to, os, o->type, r, j->native, k);
		else if (j->stream && (uintptr_t)to % 64 == 0)
			nd_kernels()->stream(to, r, (size_t)k * size);
		else if (j->stream)
			memcpy(to, r, (size_t)k * size);
	}
}

static int
apply(struct job *j, const struct nd *out, const struct nd *a, const struct nd *b)
{
	const struct nd *ops[3] = { out, a, b };
	struct nd in[2];
	void *mem[2] = { NULL, NULL };
	int e, i, n = j->f2 ? 3 : 2;

	for (i = 1; i < n; i++) {
		if ((e = nd_apart(&in[i - 1], out, ops[i], &mem[i - 1])) < 0)
			goto out;
		ops[i] = &in[i - 1];
	}
	if ((e = nd_walk_init(&j->w, out->ndim, out->shape, ops, n, true)) < 0)
		goto out;
	j->in[0].p = j->in[1].p = NULL;
	j->stream = nd_bytes(out) >= ND_STREAM_MIN && a->data != out->data && (!b || b->data != out->data);
	if (j->w.n > 0)
		do
			run(j);
		while (nd_walk_next(&j->w));
#if defined(__x86_64__)
	if (j->stream)
		__builtin_ia32_sfence();	/* others may be told now that the result is there */
#endif
out:
	free(mem[0]);
	free(mem[1]);
	return e;
}

/* --- i64 against u64, exactly --- */

#define MIXED(name, expr) \
static void \
name(void *o, const void *p, const void *q, int64_t n)		/* p: u64, q: i64 */ \
{ \
	nd_u8 *r = o; \
	const nd_u64 *a = p, *b = q; \
	for (int64_t i = 0; i < n; i++) { \
		int c = b[i] >> 63 ? 1 : (a[i] > b[i]) - (a[i] < b[i]); \
		r[i] = (expr); \
	} \
}
MIXED(mixed_lt, c < 0)
MIXED(mixed_le, c <= 0)
MIXED(mixed_gt, c > 0)
MIXED(mixed_ge, c >= 0)
MIXED(mixed_eq, c == 0)
MIXED(mixed_ne, c != 0)

static nd_kern2 *
mixed(enum nd_binary op, bool swapped)
{
	static nd_kern2 *const f[2][6] = {
		{ mixed_lt, mixed_le, mixed_gt, mixed_ge, mixed_eq, mixed_ne },
		{ mixed_gt, mixed_ge, mixed_lt, mixed_le, mixed_eq, mixed_ne } };

	return f[swapped][op - ND_LT];
}

static int
positive_powers(const struct nd *b)
{
	const struct nd *ops[1] = { b };
	unsigned char tmp[ND_CHUNK * 8] __attribute__((aligned(64)));
	struct nd_walk w;
	int64_t i, j, k;

	if (nd_kind(b->type) != 'i')
		return 0;
	nd_walk_init(&w, b->ndim, b->shape, ops, 1, true);
	if (w.n > 0)
		do {
			int64_t s = w.op[0].stride[w.ndim - 1];

			for (i = 0; i < w.n; i += k) {
				k = w.n - i < ND_CHUNK ? w.n - i : ND_CHUNK;
				nd_run_gather(tmp, ND_I64, w.op[0].p + i * s, s, b->type, k);
				for (j = 0; j < k; j++)
					if (((const nd_i64 *)(void *)tmp)[j] < 0)
						return -ERANGE;
			}
		} while (nd_walk_next(&w));
	return 0;
}

int
nd_binary(enum nd_binary op, const struct nd *out, const struct nd *a, const struct nd *b)
{
	struct job j;
	unsigned c;
	int r = nd_binary_type(op, a->type, b->type, &c), e;
	bool signs = is_compare(op) && c == ND_F64 && (a->type == ND_U64 || b->type == ND_U64) &&
	    (nd_kind(a->type) == 'i' || nd_kind(b->type) == 'i');

	if (r < 0)
		return r;
	if (signs && b->type == ND_U64) {
		const struct nd *t = a;

		j.f2 = mixed(op, true);
		a = b;
		b = t;
	} else if (signs)
		j.f2 = mixed(op, false);
	else if (!(j.f2 = nd_kernels()->binary[op][c]) && !(j.f2 = nd_math_binary[op][c]))
		return -EDOM;
	if (op == ND_POW && nd_kind(c) == 'i' && (e = positive_powers(b)) < 0)
		return e;
	j.f1 = NULL;
	j.compute = signs ? ND_I64 : c;
	j.native = r == ND_BOOL ? ND_BOOL : c;
	return apply(&j, out, a, b);
}

int
nd_unary(enum nd_unary op, const struct nd *out, const struct nd *a)
{
	static const unsigned char zero[16];
	struct job j;
	struct nd z;
	unsigned c;
	int r = nd_unary_type(op, a->type, &c);

	if (r < 0)
		return r;
	j.f2 = NULL;
	j.f1 = nd_kernels()->unary[op][c] ? nd_kernels()->unary[op][c] : nd_math_unary[op][c];
	j.compute = c;
	j.native = r == ND_F16 || r == ND_BF16 ? ND_F32 : (unsigned)r;
	if (j.f1)
		return apply(&j, out, a, NULL);
	if (op == ND_IMAG) {			/* of a real number */
		nd_init(&z, a->type, 0, NULL, (void *)(uintptr_t)zero);
		return nd_copy(out, &z);
	}
	return nd_copy(out, a);			/* what a real, or whole, number is already */
}

/* --- choices --- */

#define CHOOSE(N) case N: \
	for (i = 0; i < n; i++) \
		memcpy(o + i * N, c[i] ? a + i * N : b + i * N, N); \
	return;

static void
choose(unsigned char *o, const unsigned char *c, const unsigned char *a, const unsigned char *b, size_t size, int64_t n)
{
	int64_t i;

	switch (size) {
	CHOOSE(1)
	CHOOSE(2)
	CHOOSE(4)
	CHOOSE(8)
	CHOOSE(16)
	}
}

int
nd_where(const struct nd *out, const struct nd *cond, const struct nd *a, const struct nd *b)
{
	unsigned char t[4][ND_CHUNK * 16] __attribute__((aligned(64)));
	const struct nd *ops[4] = { out, cond, a, b };
	const unsigned types[4] = { out->type, ND_BOOL, out->type, out->type };
	const unsigned char *in[4];
	struct nd tmp[4];
	void *mem[4] = { NULL };
	struct nd_walk w;
	int64_t i, k;
	int e = 0, m;

	for (m = 1; m < 4 && e == 0; m++) {
		e = nd_apart(&tmp[m], out, ops[m], &mem[m]);
		ops[m] = &tmp[m];
	}
	if (e < 0 || (e = nd_walk_init(&w, out->ndim, out->shape, ops, 4, true)) < 0)
		goto out;
	if (w.n > 0)
		do
			for (i = 0; i < w.n; i += k) {
				int64_t os = w.op[0].stride[w.ndim - 1];

				k = w.n - i < ND_CHUNK ? w.n - i : ND_CHUNK;
				for (m = 1; m < 4; m++) {
					int64_t s = w.op[m].stride[w.ndim - 1];

					in[m] = nd_run_in(t[m], types[m], w.op[m].p + i * s, s, w.op[m].type, k);
				}
				choose(t[0], in[1], in[2], in[3], nd_size(out->type), k);
				nd_run_scatter(w.op[0].p + i * os, os, out->type, t[0], out->type, k);
			}
		while (nd_walk_next(&w));
out:
	for (m = 1; m < 4; m++)
		free(mem[m]);
	return e;
}

int
nd_clip(const struct nd *out, const struct nd *a, const struct nd *lo, const struct nd *hi)
{
	int e = lo ? nd_binary(ND_MAX, out, a, lo) : nd_copy(out, a);

	return e < 0 || !hi ? e : nd_binary(ND_MIN, out, out, hi);
}

int
nd_range(const struct nd *out, struct nd_num from, struct nd_num step)
{
	bool whole = from.kind != 'f' && step.kind != 'f';
	int64_t i, n = nd_count(out);
	unsigned char *p = out->data;
	int e;

	for (i = 0; i < n; i++, p += nd_size(out->type)) {
		struct nd_num v = { .kind = whole ? 'i' : 'f' };

		if (whole)
			v.i = (int64_t)((uint64_t)from.i + (uint64_t)i * (uint64_t)step.i);
		else
			v.re = (from.kind == 'f' ? from.re : (double)from.i) +
			    (double)i * (step.kind == 'f' ? step.re : (double)step.i);
		if ((e = nd_put(out->type, p, v)) < 0)
			return e;
	}
	return 0;
}
