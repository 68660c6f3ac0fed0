/* Kernels that call the mathematical library or need more than one instruction each: the same for every machine. */
#include <complex.h>
#include <math.h>
#include "nd/impl.h"

#define BIN(name, T, R, expr) \
static void \
name(void *o, const void *p, const void *q, int64_t n) \
{ \
	R *r = o; \
	const T *pa = p, *pb = q; \
	for (int64_t i = 0; i < n; i++) { \
		T a = pa[i], b = pb[i]; \
		r[i] = (R)(expr); \
	} \
}
#define UN(name, T, R, expr) \
static void \
name(void *o, const void *p, int64_t n) \
{ \
	R *r = o; \
	const T *pa = p; \
	for (int64_t i = 0; i < n; i++) { \
		T a = pa[i]; \
		r[i] = (R)(expr); \
	} \
}

/* --- integers: floored division, as in Lua; by 0: 0 --- */

#define INTS(t, T, U) \
BIN(idiv_##t, T, T, b == 0 ? 0 : b == (T)-1 ? (T)(0 - (U)a) : a / b - (a % b != 0 && (a < 0) != (b < 0))) \
BIN(mod_##t, T, T, b == 0 || b == (T)-1 ? 0 : a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0)) \
static T \
ipow_##t(T a, T b) \
{ \
	U r = 1, x = (U)a; \
	for (uint64_t e = (uint64_t)b; e; e >>= 1, x = (U)(x * x)) \
		if (e & 1) \
			r = (U)(r * x); \
	return (T)r; \
} \
BIN(pow_##t, T, T, ipow_##t(a, b))
#define NATURALS(t, T, U) \
BIN(idiv_##t, T, T, b == 0 ? 0 : a / b) \
BIN(mod_##t, T, T, b == 0 ? 0 : a % b) \
static T \
ipow_##t(T a, T b) \
{ \
	U r = 1, x = a; \
	for (uint64_t e = b; e; e >>= 1, x = (U)(x * x)) \
		if (e & 1) \
			r = (U)(r * x); \
	return (T)r; \
} \
BIN(pow_##t, T, T, ipow_##t(a, b))
INTS(i8, nd_i8, unsigned)
INTS(i16, nd_i16, unsigned)
INTS(i32, nd_i32, unsigned)
INTS(i64, nd_i64, uint64_t)
NATURALS(u8, nd_u8, unsigned)
NATURALS(u16, nd_u16, unsigned)
NATURALS(u32, nd_u32, unsigned)
NATURALS(u64, nd_u64, uint64_t)

/* --- floats: as Python's divmod --- */

#define DIVMOD(t, T, fmodfn, floorfn, copysignfn) \
static T \
divmod_##t(T a, T b, T *mod) \
{ \
	T m = fmodfn(a, b), d, f; \
	if (b == 0) { \
		*mod = m;			/* NaN */ \
		return a / b; \
	} \
	d = (a - m) / b; \
	if (m != 0) { \
		if ((b < 0) != (m < 0)) { \
			m += b; \
			d -= 1; \
		} \
	} else \
		m = copysignfn(0, b); \
	*mod = m; \
	if (d == 0) \
		return copysignfn(0, a / b); \
	f = floorfn(d); \
	return d - f > (T)0.5 ? f + 1 : f; \
} \
static T \
mod1_##t(T a, T b) \
{ \
	T m; \
	divmod_##t(a, b, &m); \
	return m; \
} \
BIN(idiv_##t, nd_##t, nd_##t, divmod_##t(a, b, &(T){ 0 })) \
BIN(mod_##t, nd_##t, nd_##t, mod1_##t(a, b))
DIVMOD(f32, float, fmodf, floorf, copysignf)
DIVMOD(f64, double, fmod, floor, copysign)

#define LIBM(X) X(cbrt) X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sin) X(cos) X(tan) X(asin) X(acos) \
	X(atan) X(sinh) X(cosh) X(tanh) X(erf)
#define BOTH(fn) UN(fn##_f32, nd_f32, nd_f32, fn##f(a)) UN(fn##_f64, nd_f64, nd_f64, fn(a))
LIBM(BOTH)
#define BOTH2(fn) BIN(fn##_f32, nd_f32, nd_f32, fn##f(a, b)) BIN(fn##_f64, nd_f64, nd_f64, fn(a, b))
BOTH2(pow)
BOTH2(atan2)
BOTH2(hypot)
UN(arg_f32, nd_f32, nd_f32, atan2f(0, a))
UN(arg_f64, nd_f64, nd_f64, atan2(0, a))

/* --- complex numbers: two parts each --- */

#define PAIR(...) for (int64_t i = 0; i < 2 * n; i += 2) { T a = x[i], b = x[i + 1]; __VA_ARGS__ }
#define PAIRS(...) for (int64_t i = 0; i < 2 * n; i += 2) { T a = x[i], b = x[i + 1], c = y[i], d = y[i + 1]; __VA_ARGS__ }
#define C2(name, t, F, ...) \
static void \
name##_##t(void *out, const void *p, const void *q, int64_t n) \
{ \
	typedef F T; \
	T *r = out; \
	const T *x = p, *y = q; \
	PAIRS(__VA_ARGS__) \
}
#define C2B(name, t, F, expr) \
static void \
name##_##t(void *out, const void *p, const void *q, int64_t n) \
{ \
	typedef F T; \
	nd_u8 *r = out; \
	const T *x = p, *y = q; \
	PAIRS(r[i / 2] = (expr);) \
}
#define C1(name, t, F, ...) \
static void \
name##_##t(void *out, const void *p, int64_t n) \
{ \
	typedef F T; \
	T *r = out; \
	const T *x = p; \
	PAIR(__VA_ARGS__) \
}
#define C1B(name, t, F, expr) \
static void \
name##_##t(void *out, const void *p, int64_t n) \
{ \
	typedef F T; \
	nd_u8 *r = out; \
	const T *x = p; \
	PAIR(r[i / 2] = (expr);) \
}
#define CFN(f, t, F, C, fn) C1(f, t, F, C z = fn(CMPLXOF(C, a, b)); r[i] = __real__ z; r[i + 1] = __imag__ z;)
#define CMPLXOF(C, a, b) ((union { C z; __typeof__(__real__ (C)0) v[2]; }){ .v = { a, b } }.z)
#define LESS (a < c || (a == c && b < d))
#define LESSEQ (a < c || (a == c && b <= d))
#define NANA (a != a || b != b)
#define NANC (c != c || d != d)
#define RI(u, v) r[i] = (u); r[i + 1] = (v);

/* Smith's algorithm; the larger part of the divisor leads. */
#define QUOTIENT(T, absfn) if (absfn(c) >= absfn(d)) { \
	if (c == 0 && d == 0) { RI(a / absfn(c), b / absfn(c)) } \
	else { T k = d / c, m = 1 / (c + d * k); RI((a + b * k) * m, (b - a * k) * m) } } \
	else { T k = c / d, m = 1 / (d + c * k); RI((a * k + b) * m, (b * k - a) * m) }

#define COMPLEXES(t, F, C, absfn, hypotfn, atan2fn, s) \
C2(add, t, F, RI(a + c, b + d)) C2(sub, t, F, RI(a - c, b - d)) C2(mul, t, F, RI(a * c - b * d, a * d + b * c)) \
C2(div, t, F, QUOTIENT(F, absfn)) \
C2(min, t, F, if (NANA || (!NANC && LESS)) { RI(a, b) } else { RI(c, d) }) \
C2(max, t, F, if (NANA || (!NANC && !LESSEQ)) { RI(a, b) } else { RI(c, d) }) \
C2(pow, t, F, if (c == 0 && d == 0) { RI(1, 0) } else if (a == 0 && b == 0 && c > 0 && d == 0) { RI(0, 0) } \
	else { C z = cpow##s(CMPLXOF(C, a, b), CMPLXOF(C, c, d)); RI(__real__ z, __imag__ z) }) \
C2B(lt, t, F, LESS) C2B(le, t, F, LESSEQ) C2B(gt, t, F, c < a || (a == c && d < b)) \
C2B(ge, t, F, c < a || (a == c && d <= b)) C2B(eq, t, F, a == c && b == d) C2B(ne, t, F, a != c || b != d) \
C1(neg, t, F, RI(-a, -b)) C1(conj, t, F, RI(a, -b)) C1(square, t, F, RI(a * a - b * b, a * b + b * a)) \
C1(recip, t, F, T c = a, d = b; { T a = 1, b = 0; QUOTIENT(F, absfn) }) \
C1(sign, t, F, T h = hypotfn(a, b); if (h == 0) { RI(0, 0) } else { RI(a / h, b / h) }) \
C1(abs, t, F, r[i / 2] = hypotfn(a, b);) C1(real, t, F, r[i / 2] = a; (void)b;) C1(imag, t, F, r[i / 2] = b; (void)a;) \
C1(arg, t, F, r[i / 2] = atan2fn(b, a);) \
C1B(not, t, F, a == 0 && b == 0) C1B(isnan, t, F, NANA) C1B(isfinite, t, F, a - a == 0 && b - b == 0) \
C1B(isinf, t, F, absfn(a) == (T)INFINITY || absfn(b) == (T)INFINITY) \
CFN(sqrt, t, F, C, csqrt##s) CFN(exp, t, F, C, cexp##s) CFN(log, t, F, C, clog##s) CFN(sin, t, F, C, csin##s) \
CFN(cos, t, F, C, ccos##s) CFN(tan, t, F, C, ctan##s) CFN(asin, t, F, C, casin##s) CFN(acos, t, F, C, cacos##s) \
CFN(atan, t, F, C, catan##s) CFN(sinh, t, F, C, csinh##s) CFN(cosh, t, F, C, ccosh##s) CFN(tanh, t, F, C, ctanh##s)
#pragma GCC diagnostic ignored "-Wshadow"		/* recip names its own numerator */
COMPLEXES(c64, nd_f32, float _Complex, fabsf, hypotf, atan2f, f)
COMPLEXES(c128, nd_f64, double _Complex, fabs, hypot, atan2, )

#define EVERY_INT(op) [ND_I8] = op##_i8, [ND_U8] = op##_u8, [ND_I16] = op##_i16, [ND_U16] = op##_u16, \
	[ND_I32] = op##_i32, [ND_U32] = op##_u32, [ND_I64] = op##_i64, [ND_U64] = op##_u64
#define EVERY_FLOAT(op) [ND_F32] = op##_f32, [ND_F64] = op##_f64
#define EVERY_C(op) [ND_C64] = op##_c64, [ND_C128] = op##_c128

nd_kern2 *const nd_math_binary[ND_BINARIES][ND_TYPES] = {
	[ND_ADD] = { EVERY_C(add) }, [ND_SUB] = { EVERY_C(sub) }, [ND_MUL] = { EVERY_C(mul) }, [ND_DIV] = { EVERY_C(div) },
	[ND_IDIV] = { EVERY_INT(idiv), EVERY_FLOAT(idiv) }, [ND_MOD] = { EVERY_INT(mod), EVERY_FLOAT(mod) },
	[ND_POW] = { EVERY_INT(pow), EVERY_FLOAT(pow), EVERY_C(pow) }, [ND_MIN] = { EVERY_C(min) },
	[ND_MAX] = { EVERY_C(max) }, [ND_ATAN2] = { EVERY_FLOAT(atan2) }, [ND_HYPOT] = { EVERY_FLOAT(hypot) },
	[ND_LT] = { EVERY_C(lt) }, [ND_LE] = { EVERY_C(le) }, [ND_GT] = { EVERY_C(gt) }, [ND_GE] = { EVERY_C(ge) },
	[ND_EQ] = { EVERY_C(eq) }, [ND_NE] = { EVERY_C(ne) },
};
nd_kern1 *const nd_math_unary[ND_UNARIES][ND_TYPES] = {
	[ND_NEG] = { EVERY_C(neg) }, [ND_ABS] = { EVERY_C(abs) }, [ND_SIGN] = { EVERY_C(sign) },
	[ND_SQUARE] = { EVERY_C(square) }, [ND_NOT] = { EVERY_C(not) }, [ND_CONJ] = { EVERY_C(conj) },
	[ND_REAL] = { EVERY_C(real) }, [ND_IMAG] = { EVERY_C(imag) }, [ND_ARG] = { EVERY_FLOAT(arg), EVERY_C(arg) },
	[ND_ISNAN] = { EVERY_C(isnan) }, [ND_ISINF] = { EVERY_C(isinf) }, [ND_ISFINITE] = { EVERY_C(isfinite) },
	[ND_SQRT] = { EVERY_C(sqrt) }, [ND_RECIP] = { EVERY_C(recip) }, [ND_CBRT] = { EVERY_FLOAT(cbrt) },
	[ND_EXP] = { EVERY_FLOAT(exp), EVERY_C(exp) }, [ND_EXP2] = { EVERY_FLOAT(exp2) },
	[ND_EXPM1] = { EVERY_FLOAT(expm1) }, [ND_LOG] = { EVERY_FLOAT(log), EVERY_C(log) },
	[ND_LOG2] = { EVERY_FLOAT(log2) }, [ND_LOG10] = { EVERY_FLOAT(log10) }, [ND_LOG1P] = { EVERY_FLOAT(log1p) },
	[ND_SIN] = { EVERY_FLOAT(sin), EVERY_C(sin) }, [ND_COS] = { EVERY_FLOAT(cos), EVERY_C(cos) },
	[ND_TAN] = { EVERY_FLOAT(tan), EVERY_C(tan) }, [ND_ASIN] = { EVERY_FLOAT(asin), EVERY_C(asin) },
	[ND_ACOS] = { EVERY_FLOAT(acos), EVERY_C(acos) }, [ND_ATAN] = { EVERY_FLOAT(atan), EVERY_C(atan) },
	[ND_SINH] = { EVERY_FLOAT(sinh), EVERY_C(sinh) }, [ND_COSH] = { EVERY_FLOAT(cosh), EVERY_C(cosh) },
	[ND_TANH] = { EVERY_FLOAT(tanh), EVERY_C(tanh) }, [ND_ERF] = { EVERY_FLOAT(erf) },
};
