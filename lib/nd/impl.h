/*
 * impl - what the files of lib/nd share: walks over several arrays at once, conversion of runs, kernels.
 * Private to lib/nd.
 */
#ifndef ND_IMPL_H
#define ND_IMPL_H

#include <errno.h>
#include <string.h>
#include "nd/nd.h"

#define ND_CHUNK 1024			/* elements that are worked on at a time */
#define ND_OPS 4			/* arrays of one walk */

/* Elements may belong to memory of any effective type: a view may read the same bits as another type. */
typedef uint8_t __attribute__((may_alias)) nd_u8;
typedef int8_t __attribute__((may_alias)) nd_i8;
typedef uint16_t __attribute__((may_alias)) nd_u16;
typedef int16_t __attribute__((may_alias)) nd_i16;
typedef uint32_t __attribute__((may_alias)) nd_u32;
typedef int32_t __attribute__((may_alias)) nd_i32;
typedef uint64_t __attribute__((may_alias)) nd_u64;
typedef int64_t __attribute__((may_alias)) nd_i64;
typedef float __attribute__((may_alias)) nd_f32;
typedef double __attribute__((may_alias)) nd_f64;

/* The loops below have no dependences between iterations other than on the same index. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"	/* some are not worth it */
#define ND_LOOP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define ND_LOOP _Pragma("GCC ivdep")
#else
#define ND_LOOP
#endif

/* --- iter.c --- */
struct nd_walk_op {
	unsigned char *p;
	int64_t stride[ND_DIMS];
	uint8_t type;
};
/*
 * Runs of n elements of nop arrays in step: axes of length 1 are dropped, neighbours that lie in one line are joined,
 * and the axis with the smallest strides comes last.  An array with fewer axes, or length 1, stands still there.
 */
struct nd_walk {
	int nop, ndim;			/* ndim >= 1; the last axis is the run */
	int64_t shape[ND_DIMS], at[ND_DIMS];
	struct nd_walk_op op[ND_OPS];
	int64_t n;			/* length of the run, 0: nothing to do */
};
int	nd_walk_init(struct nd_walk *w, int ndim, const int64_t *shape, const struct nd *const *a, int nop, bool reorder);
bool	nd_walk_next(struct nd_walk *w);	/* moves op[].p to the next run; false: that was the last */
bool	nd_overlap(const struct nd *a, const struct nd *b);	/* some bytes in common, but not element on element */
int	nd_apart(struct nd *tmp, const struct nd *out, const struct nd *a, void **mem);
		/* *tmp: a, or a packed copy of it, in *mem (free() it), if out overlaps it */

/* --- cast.c: runs of n elements.  Strides in bytes; the packed side must be aligned. --- */
void	nd_run_gather(void *packed, unsigned t, const unsigned char *p, int64_t stride, unsigned from, int64_t n);
void	nd_run_scatter(unsigned char *p, int64_t stride, unsigned to, const void *packed, unsigned t, int64_t n);
void	nd_run_cast(void *out, unsigned to, const void *in, unsigned from, int64_t n);	/* both packed and aligned */
/* Where n elements of type t are that lie at p: there, if they are packed, aligned and of that type, else in tmp. */
const void *nd_run_in(void *tmp, unsigned t, const unsigned char *p, int64_t stride, unsigned from, int64_t n);
static inline bool
nd_run_direct(unsigned t, const void *p, int64_t stride, unsigned from, size_t size)
{
	return t == from && stride == (int64_t)size && (uintptr_t)p % (size > 8 ? 8 : size) == 0;
}

float	nd_half_to_float(uint16_t h);
uint16_t nd_half_of(double v);
float	nd_bfloat_to_float(uint16_t h);
uint16_t nd_bfloat_of(double v);

/* --- kernels (kern.inc, compiled by kern_*.c; math.c) --- */
typedef void nd_kern2(void *out, const void *a, const void *b, int64_t n);
typedef void nd_kern1(void *out, const void *a, int64_t n);
typedef void nd_kernr(void *acc, const void *a, int64_t n);	/* *acc = op(*acc, all of a) */
enum fold { FOLD_SUM, FOLD_PROD, FOLD_MIN, FOLD_MAX, FOLDS };
struct kernels {
	nd_kern2 *binary[ND_BINARIES][ND_TYPES];
	nd_kern1 *unary[ND_UNARIES][ND_TYPES];
	nd_kernr *fold[FOLDS][ND_TYPES];
	void (*stream)(void *out, const void *in, size_t bytes);	/* past the caches; 64-byte aligned out */
	int width;			/* bytes of a vector */
	void (*gemm32)(float *c, const float *a, const float *b, int64_t k, int64_t ldc);	/* see matmul.c */
	void (*gemm64)(double *c, const double *a, const double *b, int64_t k, int64_t ldc);
};
extern const struct kernels nd_kernels_base, nd_kernels_avx2;
const struct kernels *nd_kernels(void);
extern nd_kern1 *const nd_math_unary[ND_UNARIES][ND_TYPES];
extern nd_kern2 *const nd_math_binary[ND_BINARIES][ND_TYPES];

unsigned nd_sum_type(unsigned t);	/* in which sums of it are given */
int	nd_best(bool most, const struct nd *out, const struct nd *a, int axis);	/* ARGMIN, ARGMAX */

#define ND_STREAM_MIN (24u << 20)	/* bytes of a result that will not be found in a cache anyhow */

#endif
