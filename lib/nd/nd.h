/*
 * nd - n-dimensional arrays of numbers: views of memory, arithmetic, reductions, choice, sorting, products, random
 * numbers, text, and their exchange as Arrow and DLPack structures (nd/abi.h).
 *
 * An array is a description (struct nd) of elements that lie somewhere: type, shape, strides in bytes, negative and
 * zero ones included.  Copying the struct makes a second description of the same elements.  Nothing here allocates a
 * result: the caller asks for its type and shape (nd_*_plan), provides it, and has it filled.  What a function
 * allocates for itself is gone when it returns.  Inputs may overlap the result in any way.  Elements may be unaligned.
 *
 * Types, results and their rules are numpy's (NEP 50); where numpy leaves a result to the machine, it is said here:
 * integers wrap; x // 0 and x % 0 of integers are 0; a float that does not fit an integer type is cut to its limits
 * and NaN becomes 0; shifts by the width and more shift everything out.
 *
 * Axes count from 0, negative ones from the end, indices from 0: the Lua face adds its 1.  Functions return 0 or more
 * on success, else -errno: -EINVAL shapes that do not fit together, -EDOM types that the operation does not have,
 * -ERANGE an index or number outside of its limits, -ENOMEM.  Depends on base.  Thread-safe, but for two that write
 * to the same elements.  Kernels are compiled for the plain machine and, on x86-64, for AVX2, chosen when first used.
 */
#ifndef ND_ND_H
#define ND_ND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define ND_DIMS 8			/* dimensions */

/* X(NAME, number, bytes, "word", kind): the numbers travel on the wire and are those of wire/val.h */
#define ND_TYPE_MAP(X) \
	X(U8, 1, 1, "u8", 'u') X(I8, 2, 1, "i8", 'i') X(U16, 3, 2, "u16", 'u') X(I16, 4, 2, "i16", 'i') \
	X(U32, 5, 4, "u32", 'u') X(I32, 6, 4, "i32", 'i') X(U64, 7, 8, "u64", 'u') X(I64, 8, 8, "i64", 'i') \
	X(F32, 9, 4, "f32", 'f') X(F64, 10, 8, "f64", 'f') X(F16, 11, 2, "f16", 'f') X(BF16, 12, 2, "bf16", 'f') \
	X(BOOL, 13, 1, "bool", 'b') X(C64, 14, 8, "c64", 'c') X(C128, 15, 16, "c128", 'c')
enum nd_type {
#define X(NAME, number, bytes, word, kind) ND_##NAME = number,
	ND_TYPE_MAP(X)
#undef X
	ND_TYPES
};
size_t	nd_size(unsigned t);		/* bytes of an element; 0: no such type */
const char *nd_word(unsigned t);	/* "f64", or NULL */
char	nd_kind(unsigned t);		/* b u i f c, or 0 */
unsigned nd_type_of(const char *word);	/* 0: no such type */
unsigned nd_promote(unsigned a, unsigned b);	/* the type that holds both, as numpy has it */

struct nd {
	unsigned char *data;		/* of the element with all indices 0; any value while there are no elements */
	int64_t shape[ND_DIMS], stride[ND_DIMS];	/* stride in bytes */
	uint8_t type, ndim;
	bool readonly;			/* respected by callers; functions here write where they are told to */
};

/* One number of any type.  Integers in i (u64 as the same bits), floats in re, complex numbers in re and im. */
struct nd_num {
	char kind;			/* b u i f c */
	int64_t i;
	double re, im;
};
struct nd_num nd_get(const struct nd *a, const unsigned char *p);	/* the element at p */
int	nd_put(unsigned type, unsigned char *p, struct nd_num v);	/* -ERANGE: an integer that does not fit; -EDOM */

/* --- descriptions (view.c): no element is touched --- */
int	nd_init(struct nd *a, unsigned type, int ndim, const int64_t *shape, void *data);	/* row order; -EINVAL */
int64_t	nd_count(const struct nd *a);	/* elements */
size_t	nd_bytes(const struct nd *a);	/* of all elements when packed */
bool	nd_packed(const struct nd *a);	/* in row order without gaps */
bool	nd_same_shape(const struct nd *a, const struct nd *b);
int	nd_axis(const struct nd *a, int64_t axis);	/* 0 <= axis < ndim, or -ERANGE */
/* These set *v, which may be a itself.  Indices and axes are already within their limits unless it says -ERANGE. */
int	nd_index(struct nd *v, const struct nd *a, int axis, int64_t i);	/* drops the axis; -ERANGE */
int	nd_slice(struct nd *v, const struct nd *a, int axis, int64_t from, int64_t n, int64_t step);
int	nd_permute(struct nd *v, const struct nd *a, const int *axes);		/* -EINVAL: no permutation */
int	nd_broadcast(struct nd *v, const struct nd *a, int ndim, const int64_t *shape);	/* -EINVAL */
int	nd_expand(struct nd *v, const struct nd *a, int axis);		/* a new axis of length 1 before axis */
int	nd_squeeze(struct nd *v, const struct nd *a, int axis);	/* -EINVAL: its length is not 1; axis < 0: all of 1 */
int	nd_reshape(struct nd *v, const struct nd *a, int ndim, const int64_t *shape);
		/* one length may be -1; -EINVAL: other number of elements; -EXDEV: only a copy can have that shape */
int	nd_diagonal(struct nd *v, const struct nd *a);			/* of the first two axes; -EINVAL */
int	nd_bitcast(struct nd *v, const struct nd *a, unsigned type);	/* same bits; -EINVAL: sizes do not fit */
int	nd_shapes(int *ndim, int64_t shape[ND_DIMS], const struct nd *const *in, int n);	/* broadcast of all; -EINVAL */

/* --- elements --- */
int	nd_copy(const struct nd *out, const struct nd *a);	/* converts and broadcasts a to out */
int	nd_equal(const struct nd *a, const struct nd *b);	/* 1: same type, shape and bits of all elements */
int	nd_range(const struct nd *out, struct nd_num from, struct nd_num step);	/* from + i * step, packed out */

/* --- element by element (binary.c, unary.c) --- */
#define ND_BINARY_MAP(X) \
	X(ADD, "add") X(SUB, "subtract") X(MUL, "mul") X(DIV, "div") X(IDIV, "idiv") X(MOD, "mod") X(POW, "pow") \
	X(MIN, "minimum") X(MAX, "maximum") X(ATAN2, "atan2") X(HYPOT, "hypot") \
	X(BAND, "band") X(BOR, "bor") X(BXOR, "bxor") X(SHL, "shl") X(SHR, "shr") \
	X(LT, "lt") X(LE, "le") X(GT, "gt") X(GE, "ge") X(EQ, "eq") X(NE, "ne")
enum nd_binary {
#define X(NAME, word) ND_##NAME,
	ND_BINARY_MAP(X)
#undef X
	ND_BINARIES
};
#define ND_UNARY_MAP(X) \
	X(NEG, "neg") X(ABS, "abs") X(SIGN, "sign") X(SQUARE, "square") X(INV, "bnot") X(NOT, "lnot") \
	X(CONJ, "conj") X(REAL, "real") X(IMAG, "imag") X(ARG, "arg") \
	X(FLOOR, "floor") X(CEIL, "ceil") X(ROUND, "round") X(TRUNC, "trunc") \
	X(ISNAN, "isnan") X(ISINF, "isinf") X(ISFINITE, "isfinite") \
	X(SQRT, "sqrt") X(CBRT, "cbrt") X(RECIP, "reciprocal") X(EXP, "exp") X(EXP2, "exp2") X(EXPM1, "expm1") \
	X(LOG, "log") X(LOG2, "log2") X(LOG10, "log10") X(LOG1P, "log1p") \
	X(SIN, "sin") X(COS, "cos") X(TAN, "tan") X(ASIN, "asin") X(ACOS, "acos") X(ATAN, "atan") \
	X(SINH, "sinh") X(COSH, "cosh") X(TANH, "tanh") X(ERF, "erf")
enum nd_unary {
#define X(NAME, word) ND_##NAME,
	ND_UNARY_MAP(X)
#undef X
	ND_UNARIES
};
/* Type of the result; compute (may be NULL) is the type that both are converted to.  -EDOM. */
int	nd_binary_type(enum nd_binary op, unsigned a, unsigned b, unsigned *compute);
int	nd_unary_type(enum nd_unary op, unsigned a, unsigned *compute);
/* out of any type (the result is converted) and a shape that both broadcast to.  -ERANGE: a negative power. */
int	nd_binary(enum nd_binary op, const struct nd *out, const struct nd *a, const struct nd *b);
int	nd_unary(enum nd_unary op, const struct nd *out, const struct nd *a);
int	nd_where(const struct nd *out, const struct nd *cond, const struct nd *a, const struct nd *b);
int	nd_clip(const struct nd *out, const struct nd *a, const struct nd *lo, const struct nd *hi);	/* NULL: no limit */

/* --- along axes (reduce.c, scan.c).  Sums of floats are pairwise. --- */
#define ND_REDUCE_MAP(X) \
	X(SUM, "sum") X(PROD, "prod") X(MEAN, "mean") X(AMIN, "min") X(AMAX, "max") X(ARGMIN, "argmin") \
	X(ARGMAX, "argmax") X(ANY, "any") X(ALL, "all") X(COUNT, "count") X(VAR, "var") X(STD, "std")
enum nd_reduce {
#define X(NAME, word) ND_##NAME,
	ND_REDUCE_MAP(X)
#undef X
	ND_REDUCES
};
int	nd_reduce_type(enum nd_reduce op, unsigned a);		/* -EDOM */
/*
 * axes: bit k for axis k.  out has the axes of a, those with length 1 (a caller squeezes them).  COUNT counts what is
 * not 0.  ARGMIN and ARGMAX take one axis, or all of a packed array as one, and give the first, or the first NaN.
 * ddof: VAR and STD divide by n - ddof.  -ENODATA: the least, greatest of nothing.
 */
int	nd_reduce(enum nd_reduce op, const struct nd *out, const struct nd *a, unsigned axes, int64_t ddof);
int	nd_scan(bool product, const struct nd *out, const struct nd *a, int axis);	/* running sum or product */

/* --- choice (pick.c).  Index arrays are of any integer type; an index < 0 or too large is -ERANGE. --- */
/* out: shape of a with the axis replaced by the shape of index */
int	nd_take(const struct nd *out, const struct nd *a, const struct nd *index, int axis);
/* a[index[k]] = v[k] along the first axis, in order: the last wins; v broadcasts to what take(a, index, 0) has */
int	nd_put_at(const struct nd *a, const struct nd *index, const struct nd *v);
int	nd_count_true(const struct nd *mask, int64_t *n);		/* of a bool array */
/* mask: of the shape of the first axes of a.  out: [trues, the other axes of a]. */
int	nd_select(const struct nd *out, const struct nd *a, const struct nd *mask);
int	nd_put_where(const struct nd *a, const struct nd *mask, const struct nd *v);	/* v as out above, or broadcast */
int	nd_nonzero(const struct nd *out, const struct nd *mask, int axis);	/* i64 [trues]: indices along axis */

/* --- order (sort.c): NaN last, complex numbers by real, then imaginary part; stable --- */
int	nd_sort(const struct nd *a, int axis, bool down);		/* in place */
int	nd_argsort(const struct nd *out, const struct nd *a, int axis, bool down);	/* out: i64, the shape of a */
int64_t	nd_unique(const struct nd *sorted, const struct nd *counts);	/* 1-d, sorted: moves the distinct to the front */
		/* counts: i64, as long, or NULL.  Their number, or -errno. */
int	nd_search(const struct nd *out, const struct nd *sorted, const struct nd *v, bool right);	/* where v would go */

/* --- products (matmul.c): a [.., n, k], b [.., k, m], out [.., n, m], all of one type --- */
int	nd_matmul_shape(const struct nd *a, const struct nd *b, int *ndim, int64_t shape[ND_DIMS]);
		/* as numpy's matmul: 1-d operands gain an axis that the result loses */
int	nd_matmul(const struct nd *out, const struct nd *a, const struct nd *b);

/* --- random numbers (random.c): xoshiro256++, the same for a seed on every machine --- */
struct nd_rng {
	uint64_t s[4];
	double spare;			/* second one of a pair of normal numbers */
	bool has_spare;
};
void	nd_rng_seed(struct nd_rng *r, uint64_t seed);
uint64_t nd_rng_next(struct nd_rng *r);
uint64_t nd_rng_below(struct nd_rng *r, uint64_t n);		/* 0 .. n - 1, n > 0, without bias */
double	nd_rng_unit(struct nd_rng *r);				/* [0, 1), 53 bits */
double	nd_rng_normal(struct nd_rng *r);			/* mean 0, deviation 1 */
enum nd_dist { ND_UNIFORM, ND_NORMAL, ND_INTEGERS };		/* [a, b) / mean a, deviation b / a .. b inclusive */
int	nd_random(const struct nd *out, struct nd_rng *r, enum nd_dist d, struct nd_num a, struct nd_num b);
int	nd_shuffle(const struct nd *a, struct nd_rng *r);		/* rows, in place */

/* --- text (print.c) --- */
int	nd_print_num(struct buf *b, unsigned type, struct nd_num v);	/* shortest that reads back the same */
int	nd_print(struct buf *b, const struct nd *a);			/* rows in brackets, long ones cut in the middle */

/* --- shared memory of arrays (mem.c): counted, freed by whoever lets go last, in any thread --- */
struct nd_mem {
	long refs;			/* private to mem.c */
	void (*free)(void *arg);	/* NULL: data is its own */
	void *arg;
	unsigned char *data;
	size_t bytes;
};
struct nd_mem *nd_mem_new(size_t bytes);	/* zeroed, 64-byte aligned; NULL: no memory */
struct nd_mem *nd_mem_wrap(void *data, size_t bytes, void (*free)(void *), void *arg);	/* NULL: arg is not freed */
struct nd_mem *nd_mem_hold(struct nd_mem *m);	/* one more; m itself */
void	nd_mem_drop(struct nd_mem *m);		/* NULL is fine */

#endif
