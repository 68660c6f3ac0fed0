/*
 * Blocked product: a panel of b, two vectors wide and BLOCK_K deep, and four rows of a are laid out in the order in
 * which the kernel reads them; it keeps 4 x 2 vectors of the result in registers.  Types without such a kernel, and
 * small products, take three plain loops.
 */
#include <stdlib.h>
#include "nd/impl.h"

#define BLOCK_K 256
#define BLOCK_N 256
#define PLAIN_MAX 8192			/* multiplications that are not worth a layout */

int
nd_matmul_shape(const struct nd *a, const struct nd *b, int *ndim, int64_t shape[ND_DIMS])
{
	struct nd x = *a, y = *b;
	const struct nd *ops[2] = { &x, &y };
	int64_t n, m;
	int d;

	if (a->ndim == 0 || b->ndim == 0)
		return -EINVAL;
	if (a->shape[a->ndim - 1] != b->shape[b->ndim == 1 ? 0 : b->ndim - 2])
		return -EINVAL;
	n = a->ndim > 1 ? a->shape[a->ndim - 2] : 0;
	m = b->ndim > 1 ? b->shape[b->ndim - 1] : 0;
	x.ndim = (uint8_t)(a->ndim > 2 ? a->ndim - 2 : 0);
	y.ndim = (uint8_t)(b->ndim > 2 ? b->ndim - 2 : 0);
	if (nd_shapes(&d, shape, ops, 2) < 0)
		return -EINVAL;
	if (a->ndim > 1)
		shape[d++] = n;
	if (b->ndim > 1)
		shape[d++] = m;
	*ndim = d;
	return 0;
}

/* One element: sum over k in the type itself; 16-bit floats in f32. */
#define DOT(T, A) { A s = 0; \
	for (i = 0; i < k; i++, p += as, q += bs) { T x, y; memcpy(&x, p, sizeof x); memcpy(&y, q, sizeof y); s += (A)x * (A)y; } \
	T z = (T)s; memcpy(out, &z, sizeof z); return; }
#define DOT16(get, put) { float s = 0; \
	for (i = 0; i < k; i++, p += as, q += bs) { \
		uint16_t x, y; memcpy(&x, p, sizeof x); memcpy(&y, q, sizeof y); s += get(x) * get(y); } \
	uint16_t z = put((double)s); memcpy(out, &z, sizeof z); return; }
#define DOTC(T) { T s[2] = { 0, 0 }; \
	for (i = 0; i < k; i++, p += as, q += bs) { T x[2], y[2]; memcpy(x, p, sizeof x); memcpy(y, q, sizeof y); \
		s[0] += x[0] * y[0] - x[1] * y[1]; s[1] += x[0] * y[1] + x[1] * y[0]; } \
	memcpy(out, s, sizeof s); return; }

static void
dot(unsigned type, unsigned char *out, const unsigned char *p, int64_t as, const unsigned char *q, int64_t bs, int64_t k)
{
	int64_t i;
	unsigned char any = 0;

	switch ((enum nd_type)type) {
	case ND_BOOL:
		for (i = 0; i < k; i++, p += as, q += bs)
			any |= *p && *q;
		*out = any;
		return;
	case ND_U8: DOT(uint8_t, unsigned)
	case ND_I8: DOT(int8_t, unsigned)
	case ND_U16: DOT(uint16_t, unsigned)
	case ND_I16: DOT(int16_t, unsigned)
	case ND_U32: DOT(uint32_t, uint32_t)
	case ND_I32: DOT(int32_t, uint32_t)
	case ND_U64: DOT(uint64_t, uint64_t)
	case ND_I64: DOT(int64_t, uint64_t)
	case ND_F32: DOT(float, float)
	case ND_F64: DOT(double, double)
	case ND_F16: DOT16(nd_half_to_float, nd_half_of)
	case ND_BF16: DOT16(nd_bfloat_to_float, nd_bfloat_of)
	case ND_C64: DOTC(float)
	case ND_C128: DOTC(double)
	case ND_TYPES: break;
	}
}

static void
plain(const struct nd *o, const struct nd *a, const struct nd *b)	/* two axes each */
{
	int64_t i, j;

	for (i = 0; i < o->shape[0]; i++)
		for (j = 0; j < o->shape[1]; j++)
			dot(o->type, o->data + i * o->stride[0] + j * o->stride[1], a->data + i * a->stride[0], a->stride[1],
			    b->data + j * b->stride[1], b->stride[0], a->shape[1]);
}

/* --- blocks of f32 and f64 --- */

struct block {
	size_t size;
	int64_t w;			/* columns of a panel */
	unsigned char *a, *b, *c;	/* a: BLOCK_K x 4; b: BLOCK_N columns in panels; c: 4 x w, for what sticks out */
};

/* rows x k elements at p as k groups of `group`, zeros for rows that are not there */
static void
lay_out(unsigned char *to, const unsigned char *p, int64_t row, int64_t col, int64_t rows, int64_t k, int64_t group, size_t size)
{
	int64_t i, r;

	for (i = 0; i < k; i++, p += col)
		for (r = 0; r < group; r++, to += size)
			if (r < rows)
				memcpy(to, p + r * row, size);
			else
				memset(to, 0, size);
}

static void
kernel(const struct block *k, unsigned char *c, const unsigned char *b, int64_t depth, int64_t ldc)
{
	if (k->size == 4)
		nd_kernels()->gemm32((float *)(void *)c, (const float *)(const void *)k->a, (const float *)(const void *)b, depth, ldc);
	else
		nd_kernels()->gemm64((double *)(void *)c, (const double *)(const void *)k->a, (const double *)(const void *)b, depth, ldc);
}

static void
rows4(const struct block *k, const struct nd *o, int64_t i, int64_t rows, int64_t j, int64_t cols, int64_t depth)
{
	int64_t r, s, w, ld = o->stride[0] / (int64_t)k->size;
	unsigned char *c;

	for (s = 0; s < cols; s += k->w) {
		const unsigned char *b = k->b + (size_t)(s * depth) * k->size;

		w = cols - s < k->w ? cols - s : k->w;
		c = o->data + i * o->stride[0] + (j + s) * (int64_t)k->size;
		if (rows == 4 && w == k->w) {
			kernel(k, c, b, depth, ld);
			continue;
		}
		memset(k->c, 0, (size_t)(4 * k->w) * k->size);
		for (r = 0; r < rows; r++)
			memcpy(k->c + (size_t)(r * k->w) * k->size, c + r * o->stride[0], (size_t)w * k->size);
		kernel(k, k->c, b, depth, k->w);
		for (r = 0; r < rows; r++)
			memcpy(c + r * o->stride[0], k->c + (size_t)(r * k->w) * k->size, (size_t)w * k->size);
	}
}

static void
blocked(const struct block *k, const struct nd *o, const struct nd *a, const struct nd *b)
{
	int64_t n = o->shape[0], m = o->shape[1], depth = a->shape[1], i, j, s, d, cols, rows;

	for (d = 0; d < depth; d += BLOCK_K) {
		int64_t dk = depth - d < BLOCK_K ? depth - d : BLOCK_K;

		for (j = 0; j < m; j += BLOCK_N) {
			cols = m - j < BLOCK_N ? m - j : BLOCK_N;
			for (s = 0; s < cols; s += k->w)
				lay_out(k->b + (size_t)(s * dk) * k->size, b->data + d * b->stride[0] + (j + s) * b->stride[1],
				    b->stride[1], b->stride[0], cols - s < k->w ? cols - s : k->w, dk, k->w, k->size);
			for (i = 0; i < n; i += 4) {
				rows = n - i < 4 ? n - i : 4;
				lay_out(k->a, a->data + i * a->stride[0] + d * a->stride[1], a->stride[0], a->stride[1], rows, dk,
				    4, k->size);
				rows4(k, o, i, rows, j, cols, dk);
			}
		}
	}
}

static int
product(const struct nd *o, const struct nd *a, const struct nd *b)	/* two axes each; o packed */
{
	struct block k = { .size = nd_size(o->type) };
	unsigned char *mem;

	if ((o->type != ND_F32 && o->type != ND_F64) || nd_count(o) * a->shape[1] <= PLAIN_MAX) {
		plain(o, a, b);
		return 0;
	}
	k.w = 2 * nd_kernels()->width / (int64_t)k.size;
	if (!(mem = aligned_alloc(64, (size_t)(BLOCK_K * 4 + BLOCK_K * BLOCK_N + 4 * k.w + 64) * k.size)))
		return -ENOMEM;
	k.b = mem;
	k.a = k.b + (size_t)(BLOCK_K * BLOCK_N) * k.size;
	k.c = k.a + (size_t)(BLOCK_K * 4) * k.size;
	memset(o->data, 0, nd_bytes(o));
	blocked(&k, o, a, b);
	free(mem);
	return 0;
}

/* --- stacks of them --- */

int
nd_matmul(const struct nd *out, const struct nd *a, const struct nd *b)
{
	struct nd o = *out, x = *a, y = *b, o2, x2, y2;
	int64_t shape[ND_DIMS], at[ND_DIMS] = { 0 };
	int d, e, k, stack;

	if ((e = nd_matmul_shape(a, b, &d, shape)) < 0)
		return e;
	if (out->type != a->type || out->type != b->type || !nd_packed(out) || d != out->ndim ||
	    memcmp(shape, out->shape, (size_t)d * sizeof *shape) || nd_overlap(out, a) || nd_overlap(out, b))
		return -EINVAL;
	if ((a->ndim == 1 && (nd_expand(&x, a, 0) < 0 || nd_expand(&o, &o, b->ndim > 1 ? o.ndim - 1 : o.ndim) < 0)) ||
	    (b->ndim == 1 && (nd_expand(&y, b, 1) < 0 || nd_expand(&o, &o, o.ndim) < 0)))
		return -EINVAL;
	stack = o.ndim - 2;
	memcpy(shape, o.shape, (size_t)stack * sizeof *shape);
	for (k = 0; k < 2; k++) {		/* all with the same leading axes */
		struct nd *v = k ? &y : &x;

		memcpy(shape + stack, v->shape + v->ndim - 2, 2 * sizeof *shape);
		if ((e = nd_broadcast(v, v, stack + 2, shape)) < 0)
			return e;
	}
	if (nd_count(&o) == 0)
		return 0;
	do {
		o2 = o, x2 = x, y2 = y;
		for (k = 0; k < stack; k++) {
			nd_index(&o2, &o2, 0, at[k]);
			nd_index(&x2, &x2, 0, at[k]);
			nd_index(&y2, &y2, 0, at[k]);
		}
		if ((e = product(&o2, &x2, &y2)) < 0)
			return e;
		for (k = stack - 1; k >= 0 && ++at[k] == o.shape[k]; k--)
			at[k] = 0;
	} while (k >= 0);
	return 0;
}
