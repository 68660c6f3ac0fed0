#include <stdlib.h>
#include "nd/impl.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

/* --- packed runs of the eleven types that C has: every pair --- */

static inline nd_i64
sat_s(double v, double lo, double hi, int64_t min, int64_t max)
{
	return v != v ? 0 : v <= lo ? min : v >= hi ? max : (int64_t)v;
}

static inline nd_u64
sat_u64(double v)
{
	return !(v > 0) ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

#define TO_i8(x) ((nd_i8)sat_s(x, -128, 127, -128, 127))
#define TO_u8(x) ((nd_u8)sat_s(x, 0, 255, 0, 255))
#define TO_i16(x) ((nd_i16)sat_s(x, -32768, 32767, -32768, 32767))
#define TO_u16(x) ((nd_u16)sat_s(x, 0, 65535, 0, 65535))
#define TO_i32(x) ((nd_i32)sat_s(x, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX))
#define TO_u32(x) ((nd_u32)sat_s(x, 0, 0x1p32, 0, UINT32_MAX))
#define TO_i64(x) sat_s(x, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX)
#define TO_u64(x) sat_u64(x)

#define ONE(f, F, t, T, expr) \
static void \
f##_##t(void *o, const void *i, int64_t n) \
{ \
	T *r = o; \
	const F *a = i; \
	ND_LOOP \
	for (int64_t k = 0; k < n; k++) { \
		F x = a[k]; \
		r[k] = (expr); \
	} \
}
#define FROM_INT(f, F) \
	ONE(f, F, b, nd_u8, x != 0) ONE(f, F, i8, nd_i8, (nd_i8)x) ONE(f, F, u8, nd_u8, (nd_u8)x) \
	ONE(f, F, i16, nd_i16, (nd_i16)x) ONE(f, F, u16, nd_u16, (nd_u16)x) ONE(f, F, i32, nd_i32, (nd_i32)x) \
	ONE(f, F, u32, nd_u32, (nd_u32)x) ONE(f, F, i64, nd_i64, (nd_i64)x) ONE(f, F, u64, nd_u64, (nd_u64)x) \
	ONE(f, F, f32, nd_f32, (nd_f32)x) ONE(f, F, f64, nd_f64, (nd_f64)x)
#define FROM_FLOAT(f, F) \
	ONE(f, F, b, nd_u8, x != 0) ONE(f, F, i8, nd_i8, TO_i8(x)) ONE(f, F, u8, nd_u8, TO_u8(x)) \
	ONE(f, F, i16, nd_i16, TO_i16(x)) ONE(f, F, u16, nd_u16, TO_u16(x)) ONE(f, F, i32, nd_i32, TO_i32(x)) \
	ONE(f, F, u32, nd_u32, TO_u32(x)) ONE(f, F, i64, nd_i64, TO_i64(x)) ONE(f, F, u64, nd_u64, TO_u64(x)) \
	ONE(f, F, f32, nd_f32, (nd_f32)x) ONE(f, F, f64, nd_f64, (nd_f64)x)
FROM_INT(u8, nd_u8)
FROM_INT(i8, nd_i8)
FROM_INT(u16, nd_u16)
FROM_INT(i16, nd_i16)
FROM_INT(u32, nd_u32)
FROM_INT(i32, nd_i32)
FROM_INT(u64, nd_u64)
FROM_INT(i64, nd_i64)
FROM_FLOAT(f32, nd_f32)
FROM_FLOAT(f64, nd_f64)

typedef void caster(void *out, const void *in, int64_t n);
#define ROW(f) { [ND_BOOL] = f##_b, [ND_I8] = f##_i8, [ND_U8] = f##_u8, [ND_I16] = f##_i16, [ND_U16] = f##_u16, \
	[ND_I32] = f##_i32, [ND_U32] = f##_u32, [ND_I64] = f##_i64, [ND_U64] = f##_u64, [ND_F32] = f##_f32, [ND_F64] = f##_f64 }
static caster *const casts[ND_TYPES][ND_TYPES] = { [ND_BOOL] = ROW(u8), [ND_I8] = ROW(i8), [ND_U8] = ROW(u8),
	[ND_I16] = ROW(i16), [ND_U16] = ROW(u16), [ND_I32] = ROW(i32), [ND_U32] = ROW(u32), [ND_I64] = ROW(i64),
	[ND_U64] = ROW(u64), [ND_F32] = ROW(f32), [ND_F64] = ROW(f64) };

/* --- halves and pairs, by way of those --- */

static void
widen(nd_f32 *out, const nd_u16 *in, unsigned from, int64_t n)
{
	int64_t i;

	if (from == ND_F16) {
		ND_LOOP
		for (i = 0; i < n; i++)
			out[i] = nd_half_to_float(in[i]);
	} else {
		ND_LOOP
		for (i = 0; i < n; i++)
			out[i] = nd_bfloat_to_float(in[i]);
	}
}

static void
narrow_run(nd_u16 *out, unsigned to, const nd_f64 *in, int64_t n)
{
	int64_t i;

	for (i = 0; i < n; i++)
		out[i] = to == ND_F16 ? nd_half_of(in[i]) : nd_bfloat_of(in[i]);
}

static void
via(unsigned char *out, unsigned to, const unsigned char *in, unsigned from, int64_t n)
{
	unsigned char tmp[ND_CHUNK * 8] __attribute__((aligned(64)));
	unsigned t;
	int64_t i;

	if (from == ND_F16 || from == ND_BF16) {
		widen((nd_f32 *)tmp, (const nd_u16 *)in, from, n);
		nd_run_cast(out, to, tmp, ND_F32, n);
	} else if (from == ND_C64 || from == ND_C128) {
		t = from == ND_C64 ? ND_F32 : ND_F64;
		if (to == ND_BOOL) {
			for (i = 0; i < n; i++)
				out[i] = t == ND_F32 ? ((const nd_f32 *)in)[2 * i] != 0 || ((const nd_f32 *)in)[2 * i + 1] != 0
				    : ((const nd_f64 *)in)[2 * i] != 0 || ((const nd_f64 *)in)[2 * i + 1] != 0;
			return;
		}
		for (i = 0; i < n; i++)
			memcpy(tmp + (size_t)i * nd_size(t), in + (size_t)i * nd_size(from), nd_size(t));
		nd_run_cast(out, to, tmp, t, n);
	} else if (to == ND_C64 || to == ND_C128) {
		t = to == ND_C64 ? ND_F32 : ND_F64;
		nd_run_cast(tmp, t, in, from, n);
		memset(out, 0, (size_t)n * nd_size(to));
		for (i = 0; i < n; i++)
			memcpy(out + (size_t)i * nd_size(to), tmp + (size_t)i * nd_size(t), nd_size(t));
	} else {
		nd_run_cast(tmp, ND_F64, in, from, n);
		narrow_run((nd_u16 *)out, to, (const nd_f64 *)tmp, n);
	}
}

void
nd_run_cast(void *out, unsigned to, const void *in, unsigned from, int64_t n)
{
	size_t in_size = nd_size(from), out_size = nd_size(to);
	unsigned char *o = out;
	const unsigned char *i = in;
	int64_t k;

	if (to == from)
		memcpy(out, in, (size_t)n * out_size);
	else if (casts[from][to])
		casts[from][to](out, in, n);
	else if (from == ND_C64 && to == ND_C128)
		casts[ND_F32][ND_F64](out, in, 2 * n);
	else if (from == ND_C128 && to == ND_C64)
		casts[ND_F64][ND_F32](out, in, 2 * n);
	else if ((from == ND_F16 || from == ND_BF16) && to == ND_F32)
		widen(out, in, from, n);
	else if (from == ND_F64 && (to == ND_F16 || to == ND_BF16))
		narrow_run(out, to, in, n);
	else
		for (; n > 0; n -= k, o += (size_t)k * out_size, i += (size_t)k * in_size)
			via(o, to, i, from, k = n < ND_CHUNK ? n : ND_CHUNK);
}

/* --- runs with a stride --- */

#define MOVE(N) \
static void \
move##N(unsigned char *o, int64_t os, const unsigned char *i, int64_t is, int64_t n) \
{ \
	for (; n > 0; n--, o += os, i += is) \
		memcpy(o, i, N); \
}
MOVE(1)
MOVE(2)
MOVE(4)
MOVE(8)
MOVE(16)

static void
move(unsigned char *o, int64_t os, const unsigned char *i, int64_t is, size_t size, int64_t n)
{
	if (os == (int64_t)size && is == (int64_t)size) {
		memcpy(o, i, (size_t)n * size);
		return;
	}
	switch (size) {
	case 1: move1(o, os, i, is, n); return;
	case 2: move2(o, os, i, is, n); return;
	case 4: move4(o, os, i, is, n); return;
	case 8: move8(o, os, i, is, n); return;
	case 16: move16(o, os, i, is, n); return;
	}
}

void
nd_run_gather(void *packed, unsigned t, const unsigned char *p, int64_t stride, unsigned from, int64_t n)
{
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64))), *o = packed;
	size_t size = nd_size(from);
	int64_t k;

	if (t == from) {
		move(packed, (int64_t)size, p, stride, size, n);
		return;
	}
	for (; n > 0; n -= k, p += k * stride, o += (size_t)k * nd_size(t)) {
		k = n < ND_CHUNK ? n : ND_CHUNK;
		nd_run_cast(o, t, nd_run_in(tmp, from, p, stride, from, k), from, k);
	}
}

void
nd_run_scatter(unsigned char *p, int64_t stride, unsigned to, const void *packed, unsigned t, int64_t n)
{
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64)));
	const unsigned char *i = packed;
	size_t size = nd_size(to);
	int64_t k;

	if (t == to) {
		move(p, stride, packed, (int64_t)size, size, n);
		return;
	}
	for (; n > 0; n -= k, p += k * stride, i += (size_t)k * nd_size(t)) {
		k = n < ND_CHUNK ? n : ND_CHUNK;
		if (nd_run_direct(to, p, stride, to, size))
			nd_run_cast(p, to, i, t, k);
		else {
			nd_run_cast(tmp, to, i, t, k);
			move(p, stride, tmp, (int64_t)size, size, k);
		}
	}
}

const void *
nd_run_in(void *tmp, unsigned t, const unsigned char *p, int64_t stride, unsigned from, int64_t n)
{
	if (nd_run_direct(t, p, stride, from, nd_size(t)))
		return p;
	nd_run_gather(tmp, t, p, stride, from, n);
	return tmp;
}

/* --- whole arrays --- */

int
nd_copy(const struct nd *out, const struct nd *a)
{
	unsigned char tmp[ND_CHUNK * 16] __attribute__((aligned(64)));
	const struct nd *ops[2];
	struct nd_walk w;
	struct nd in;
	void *mem;
	int64_t i, k;
	int e;

	if (out->data == a->data && out->type == a->type && nd_same_shape(out, a) &&
	    memcmp(out->stride, a->stride, a->ndim * sizeof *a->stride) == 0)
		return 0;
	if (nd_overlap(out, a)) {
		if ((e = nd_apart(&in, out, a, &mem)) < 0)
			return e;
	} else
		in = *a, mem = NULL;
	ops[0] = out;
	ops[1] = &in;
	if ((e = nd_walk_init(&w, out->ndim, out->shape, ops, 2, true)) < 0)
		goto out;
	if (w.n > 0)
		do {
			int64_t os = w.op[0].stride[w.ndim - 1], is = w.op[1].stride[w.ndim - 1];

			if (out->type == a->type) {
				move(w.op[0].p, os, w.op[1].p, is, nd_size(a->type), w.n);
				continue;
			}
			for (i = 0; i < w.n; i += k) {
				k = w.n - i < ND_CHUNK ? w.n - i : ND_CHUNK;
				nd_run_scatter(w.op[0].p + i * os, os, out->type,
				    nd_run_in(tmp, in.type, w.op[1].p + i * is, is, in.type, k), in.type, k);
			}
		} while (nd_walk_next(&w));
out:
	free(mem);
	return e;
}

int
nd_equal(const struct nd *a, const struct nd *b)
{
	unsigned char t1[ND_CHUNK * 16] __attribute__((aligned(64))), t2[ND_CHUNK * 16] __attribute__((aligned(64)));
	const struct nd *ops[2] = { a, b };
	size_t size = nd_size(a->type);
	struct nd_walk w;
	int64_t i, k;

	if (a->type != b->type || !nd_same_shape(a, b) || nd_walk_init(&w, a->ndim, a->shape, ops, 2, true) < 0)
		return 0;
	if (w.n > 0)
		do {
			int64_t as = w.op[0].stride[w.ndim - 1], bs = w.op[1].stride[w.ndim - 1];

			for (i = 0; i < w.n; i += k) {
				k = w.n - i < ND_CHUNK ? w.n - i : ND_CHUNK;
				if (memcmp(nd_run_in(t1, a->type, w.op[0].p + i * as, as, a->type, k),
				    nd_run_in(t2, a->type, w.op[1].p + i * bs, bs, a->type, k), (size_t)k * size))
					return 0;
			}
		} while (nd_walk_next(&w));
	return 1;
}
