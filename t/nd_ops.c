/* nd_ops.c - every operation on every type, and pair of types, gives what a plain loop gives */
#include <errno.h>
#include <stdio.h>
#include "nd_model.h"
#include "tap.h"

enum { N = 67 };
static const char *const binary_word[] = {
#define X(NAME, word) word,
	ND_BINARY_MAP(X)
#undef X
};
static const char *const unary_word[] = {
#define X(NAME, word) word,
	ND_UNARY_MAP(X)
#undef X
};
static char note[300];

static double complex
pair(double re, double im)		/* CMPLX, which not every compiler has */
{
	union { double v[2]; double complex z; } u = { { re, im } };

	return u.z;
}

static void
said(bool good, const char *what, unsigned type)
{
	char name[60];

	snprintf(name, sizeof name, "%s %s", what, type ? nd_word(type) : "");
	if (!tap_ok(good, __FILE__, __LINE__, name))
		printf("# %s\n", note);
}

static bool
close_to(double x, double y, double rel)
{
	if (x != x || y != y)
		return x != x && y != y;
	return x == y || fabs(x - y) <= rel * (fabs(x) + fabs(y)) + 1e-300;
}

/* The same number; floats within rel, in steps of their type where that is coarser. */
static bool
same(unsigned type, struct nd_num got, struct nd_num want, double rel)
{
	unsigned char p[16], q[16];

	if (nd_kind(type) == 'c') {
		double r = (type == ND_C64 ? 1e-4 : 1e-11) + rel, size = hypot(want.re, want.im);

		if (isfinite(size) && isfinite(got.re) && isfinite(got.im))
			return hypot(got.re - want.re, got.im - want.im) <= r * (size + 1e-30);
		return close_to(got.re, want.re, r) && close_to(got.im, want.im, r);
	}
	if (nd_kind(type) != 'f')
		return got.i == want.i;
	nd_put(type, p, want);
	nd_put(type, q, got);
	if (memcmp(p, q, nd_size(type)) == 0)
		return true;
	return close_to(got.re, want.re, rel > 0 ? rel + (type == ND_F16 ? 2e-3 : type == ND_BF16 ? 1e-2 : 0) : 0);
}

/* --- one element, plainly --- */

static double
as(unsigned c, double v)		/* rounded as the machine rounds in that type */
{
	return c == ND_F32 || c == ND_C64 ? (double)(float)v : v;
}

static __int128
product(__int128 x, __int128 y)
{
	return (__int128)((unsigned __int128)x * (unsigned __int128)y);
}

static struct nd_num
int_op(int op, unsigned c, struct nd_num a, struct nd_num b)
{
	__int128 x = model_int(a), y = model_int(b), q, r = 1;
	unsigned bits = (unsigned)nd_size(c) * 8;

	switch (op) {
	case ND_ADD: return model_wrap(c, x + y);
	case ND_SUB: return model_wrap(c, x - y);
	case ND_MUL: return model_wrap(c, product(x, y));
	case ND_MIN: return model_wrap(c, x < y ? x : y);
	case ND_MAX: return model_wrap(c, x > y ? x : y);
	case ND_BAND: return model_wrap(c, x & y);
	case ND_BOR: return model_wrap(c, x | y);
	case ND_BXOR: return model_wrap(c, x ^ y);
	case ND_SHL: return model_wrap(c, y < 0 || y >= bits ? 0 : (__int128)((unsigned __int128)x << y));
	case ND_SHR: return model_wrap(c, y < 0 || y >= bits ? (x < 0 ? -1 : 0) : x >> y);
	case ND_IDIV: case ND_MOD:
		if (y == 0)
			return model_wrap(c, 0);
		q = x / y - (x % y != 0 && (x < 0) != (y < 0));
		return model_wrap(c, op == ND_IDIV ? q : x - q * y);
	case ND_POW:			/* y at most a few hundred here */
		for (uint64_t e = (uint64_t)b.i; e; e >>= 1, x = model_int(model_wrap(c, product(x, x))))
			if (e & 1)
				r = model_int(model_wrap(c, product(r, x)));
		return model_wrap(c, r);
	}
	abort();
}

static double
float_op(int op, double x, double y)
{
	double m;

	switch (op) {
	case ND_ADD: return x + y;
	case ND_SUB: return x - y;
	case ND_MUL: return x * y;
	case ND_DIV: return x / y;
	case ND_MIN: return x != x || y != y ? NAN : x < y ? x : y;
	case ND_MAX: return x != x || y != y ? NAN : x > y ? x : y;
	case ND_POW: return pow(x, y);
	case ND_ATAN2: return atan2(x, y);
	case ND_HYPOT: return hypot(x, y);
	case ND_MOD: case ND_IDIV:
		m = fmod(x, y);
		if (y != 0 && m != 0 && (m < 0) != (y < 0))
			m += y;
		if (op == ND_MOD)
			return m == 0 && y != 0 ? copysign(0, y) : m;
		return y == 0 ? x / y : isinf(y) && isfinite(x) ? (x == 0 ? 0 : (x < 0) == (y < 0) ? 0 : -1) : rint((x - m) / y);
	}
	abort();
}

static double complex
complex_op(int op, double complex x, double complex y, bool *skip)
{
	switch (op) {
	case ND_ADD: return x + y;
	case ND_SUB: return x - y;
	case ND_MUL: return x * y;
	case ND_DIV: *skip |= y == 0; return x / y;
	case ND_POW: *skip |= x == 0; return cpow(x, y);
	case ND_MIN: return creal(x) < creal(y) || (creal(x) == creal(y) && cimag(x) < cimag(y)) ? x : y;
	case ND_MAX: return creal(x) > creal(y) || (creal(x) == creal(y) && cimag(x) > cimag(y)) ? x : y;
	}
	abort();
}

static struct nd_num
convert(unsigned c, struct nd_num v)		/* as the operation converts its operands */
{
	unsigned char p[16];
	struct nd t = { .type = (uint8_t)c };

	if (nd_kind(c) == 'u' || nd_kind(c) == 'i')
		return model_wrap(c, model_int(v));
	nd_put(c, p, v);
	return nd_get(&t, p);
}

static bool
element(int op, unsigned c, struct nd_num a, struct nd_num b, struct nd_num *want)	/* false: not compared */
{
	bool un = false, skip = false;
	double complex z;

	if (op >= ND_LT) {
		int k = nd_kind(c) == 'c' ? 0 : model_compare(a, b, &un);

		if (nd_kind(c) == 'c') {
			struct nd_num x = convert(c, a), y = convert(c, b);

			un = x.re != x.re || y.re != y.re || x.im != x.im || y.im != y.im;
			if (un)
				return false;
			k = x.re != y.re ? (x.re > y.re) - (x.re < y.re) : (x.im > y.im) - (x.im < y.im);
		}
		if (c == ND_F64 || c == ND_F32) {	/* floats beside integers: both as that float */
			struct nd_num x = a.kind == 'f' || b.kind == 'f' ? convert(c, a) : a, y = x.kind == a.kind && a.kind != 'f' &&
			    b.kind != 'f' ? b : convert(c, b);

			k = model_compare(x, y, &un);
		}
		*want = (struct nd_num){ .kind = 'b', .i = op == ND_NE ? un || k : !un && (op == ND_LT ? k < 0 : op == ND_LE ?
		    k <= 0 : op == ND_GT ? k > 0 : op == ND_GE ? k >= 0 : k == 0) };
		return true;
	}
	a = convert(c, a);
	b = convert(c, b);
	switch (nd_kind(c)) {
	case 'b':
		want->kind = 'b';
		want->i = op == ND_BXOR ? a.i != b.i : op == ND_ADD || op == ND_MAX || op == ND_BOR ? a.i || b.i : a.i && b.i;
		return true;
	case 'i': case 'u': *want = int_op(op, c, a, b); return true;
	case 'f':
		*want = (struct nd_num){ .kind = 'f', .re = as(c, float_op(op, a.re, b.re)) };
		return op != ND_IDIV || (fabs(want->re) < 1e6 && fabs(a.re) < 1e6);	/* else rounding of the quotient decides */
	}
	z = complex_op(op, pair(a.re, a.im), pair(b.re, b.im), &skip);
	*want = (struct nd_num){ 'c', 0, creal(z), cimag(z) };
	return !skip && isfinite(a.re) && isfinite(a.im) && isfinite(b.re) && isfinite(b.im) && cabs(z) < 1e25;
}

/* --- arrays: packed, with strides and unaligned, backwards --- */

static unsigned char mem[6][N * 64 + 64];

static struct nd
array(int k, unsigned type, int form, bool tame)
{
	int64_t n = N, size = (int64_t)nd_size(type);
	struct nd a;

	nd_init(&a, type, 1, &n, mem[k] + (form == 1 ? 1 : 0));
	if (form)
		a.stride[0] = 3 * size;
	if (form == 2) {
		a.data += (N - 1) * a.stride[0];
		a.stride[0] = -a.stride[0];
	}
	for (int64_t i = 0; i < N; i++)
		model_element(type, a.data + i * a.stride[0], tame);
	return a;
}

static struct nd_num
at(const struct nd *a, int64_t i)
{
	return nd_get(a, a->data + i * a->stride[0]);
}

static bool
fail(const char *what, const struct nd *a, const struct nd *b, int64_t i, struct nd_num got, struct nd_num want)
{
	struct nd_num x = at(a, i), y = b ? at(b, i) : x;

	snprintf(note, sizeof note, "%s %s %s at %lld: %g %g %lld | %g %g %lld gives %.17g %.17g %lld, not %.17g %.17g %lld", what,
	    nd_word(a->type), b ? nd_word(b->type) : "", (long long)i, x.re, x.im, (long long)x.i, y.re, y.im, (long long)y.i, got.re, got.im,
	    (long long)got.i, want.re, want.im, (long long)want.i);
	return false;
}

static bool
check_binary(int op, unsigned ta, unsigned tb, int form)
{
	bool tame = op == ND_POW || op == ND_SHL || op == ND_SHR;
	struct nd a = array(0, ta, form, tame), b = array(1, tb, (form + 1) % 3, tame), out;
	struct nd_num want = { 0 }, got;
	int64_t i, n = N;
	unsigned c;
	int r = nd_binary_type(op, ta, tb, &c), e;

	if (r < 0)
		return r == -EDOM;
	if (op == ND_POW)		/* no negative powers of integers */
		for (i = 0; i < N && nd_kind(tb) == 'i'; i++)
			nd_put(tb, b.data + i * b.stride[0], (struct nd_num){ .kind = 'i', .i = (int64_t)(model_random() % 9) });
	nd_init(&out, (unsigned)r, 1, &n, mem[2]);
	if ((e = nd_binary(op, &out, &a, &b)) < 0) {
		snprintf(note, sizeof note, "%s %s %s: %d", binary_word[op], nd_word(ta), nd_word(tb), e);
		return false;
	}
	for (i = 0; i < N; i++) {
		got = at(&out, i);
		if (element(op, c, at(&a, i), at(&b, i), &want) &&
		    !same((unsigned)r, got, want, op == ND_POW || op == ND_ATAN2 || op == ND_HYPOT ? 1e-5 : op == ND_MOD ? 1e-6 : 0))
			return fail(binary_word[op], &a, &b, i, got, want);
	}
	return true;
}

static void
binaries(void)
{
	for (int op = 0; op < ND_BINARIES; op++)
		for (unsigned ta = 1; ta < ND_TYPES; ta++) {
			bool good = true;

			note[0] = '\0';
			for (unsigned tb = 1; tb < ND_TYPES && good; tb++)
				for (int form = 0; form < 3 && good; form++)
					good = check_binary(op, ta, tb, form);
			said(good, binary_word[op], ta);
		}
}

/* --- functions of one element --- */

static double
unary_float(int op, double x)
{
	switch (op) {
	case ND_NEG: return -x;
	case ND_ABS: return fabs(x);
	case ND_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
	case ND_SQUARE: return x * x;
	case ND_CONJ: case ND_REAL: return x;
	case ND_IMAG: return 0;
	case ND_ARG: return atan2(0, x);
	case ND_FLOOR: return floor(x);
	case ND_CEIL: return ceil(x);
	case ND_ROUND: return rint(x);
	case ND_TRUNC: return trunc(x);
	case ND_SQRT: return sqrt(x);
	case ND_CBRT: return cbrt(x);
	case ND_RECIP: return 1 / x;
	case ND_EXP: return exp(x);
	case ND_EXP2: return exp2(x);
	case ND_EXPM1: return expm1(x);
	case ND_LOG: return log(x);
	case ND_LOG2: return log2(x);
	case ND_LOG10: return log10(x);
	case ND_LOG1P: return log1p(x);
	case ND_SIN: return sin(x);
	case ND_COS: return cos(x);
	case ND_TAN: return tan(x);
	case ND_ASIN: return asin(x);
	case ND_ACOS: return acos(x);
	case ND_ATAN: return atan(x);
	case ND_SINH: return sinh(x);
	case ND_COSH: return cosh(x);
	case ND_TANH: return tanh(x);
	case ND_ERF: return erf(x);
	}
	abort();
}

static double complex
unary_complex(int op, double complex x)
{
	switch (op) {
	case ND_NEG: return -x;
	case ND_ABS: return cabs(x);
	case ND_SIGN: return x == 0 ? 0 : x / cabs(x);
	case ND_SQUARE: return x * x;
	case ND_CONJ: return conj(x);
	case ND_REAL: return creal(x);
	case ND_IMAG: return cimag(x);
	case ND_ARG: return carg(x);
	case ND_SQRT: return csqrt(x);
	case ND_RECIP: return 1 / x;
	case ND_EXP: return cexp(x);
	case ND_LOG: return clog(x);
	case ND_SIN: return csin(x);
	case ND_COS: return ccos(x);
	case ND_TAN: return ctan(x);
	case ND_ASIN: return casin(x);
	case ND_ACOS: return cacos(x);
	case ND_ATAN: return catan(x);
	case ND_SINH: return csinh(x);
	case ND_COSH: return ccosh(x);
	case ND_TANH: return ctanh(x);
	}
	abort();
}

static bool
unary_element(int op, unsigned c, unsigned r, struct nd_num a, struct nd_num *want)
{
	char k = a.kind;
	double complex z;
	__int128 x;

	*want = (struct nd_num){ .kind = nd_kind(r) };
	if (op == ND_NOT || (op >= ND_ISNAN && op <= ND_ISFINITE)) {
		double re = model_double(a), im = a.im;

		want->i = op == ND_NOT ? (k == 'f' || k == 'c' ? re == 0 && im == 0 : a.i == 0) : op == ND_ISNAN ? isnan(re) || isnan(im) :
		    op == ND_ISINF ? isinf(re) || isinf(im) : isfinite(re) && isfinite(im);
		return true;
	}
	a = convert(c, a);
	switch (nd_kind(c)) {
	case 'b': want->i = op == ND_INV ? !a.i : op == ND_IMAG ? 0 : a.i; return true;
	case 'i': case 'u':
		x = model_int(a);
		x = op == ND_NEG ? -x : op == ND_ABS ? (x < 0 ? -x : x) : op == ND_SIGN ? (x > 0) - (x < 0) : op == ND_SQUARE ? product(x, x) :
		    op == ND_INV ? ~x : op == ND_IMAG ? 0 : x;
		*want = model_wrap(c, x);
		return true;
	case 'f': want->re = as(c, unary_float(op, a.re)); return true;
	}
	z = unary_complex(op, pair(a.re, a.im));
	want->re = creal(z);
	want->im = cimag(z);
	return isfinite(a.re) && isfinite(a.im) && cabs(z) < 1e25 && hypot(a.re, a.im) > 1e-3;
}

static bool
check_unary(int op, unsigned t, int form)
{
	struct nd a = array(0, t, form, nd_kind(t) == 'c'), out;
	struct nd_num want, got;
	int64_t i, n = N;
	unsigned c;
	int r = nd_unary_type(op, t, &c);

	if (r < 0)
		return r == -EDOM;
	nd_init(&out, (unsigned)r, 1, &n, mem[2]);
	if (nd_unary(op, &out, &a) < 0)
		return false;
	for (i = 0; i < N; i++) {
		got = at(&out, i);
		if (unary_element(op, c, (unsigned)r, at(&a, i), &want) && !same((unsigned)r, got, want, op > ND_SQRT || op == ND_ARG ? 2e-5 : 0))
			return fail(unary_word[op], &a, NULL, i, got, want);
	}
	return true;
}

static void
unaries(void)
{
	for (int op = 0; op < ND_UNARIES; op++) {
		bool good = true;

		note[0] = '\0';
		for (unsigned t = 1; t < ND_TYPES && good; t++)
			for (int form = 0; form < 3 && good; form++)
				good = check_unary(op, t, form);
		said(good, unary_word[op], 0);
	}
}

/* --- conversion --- */

static struct nd_num
cast_model(unsigned to, struct nd_num a)
{
	static const double lo[] = { [1] = 0, -128, 0, -32768, 0, -0x1p31, 0, -0x1p63 };
	static const double hi[] = { [1] = 255, 127, 65535, 32767, 4294967295, 2147483647, 0x1p64, 0x1p63 };
	struct nd_num v = { .kind = nd_kind(to) };
	double d = model_double(a);

	if (v.kind == 'b') {
		v.i = a.kind == 'f' || a.kind == 'c' ? a.re != 0 || a.im != 0 : a.i != 0;
		return v;
	}
	if (v.kind == 'f' || v.kind == 'c')
		return convert(to, v.kind == 'f' && a.kind == 'c' ? (struct nd_num){ .kind = 'f', .re = a.re } : a);
	if (a.kind != 'f' && a.kind != 'c')
		return model_wrap(to, model_int(a));
	if (d != d)
		return v;
	if (d >= hi[to])
		return model_wrap(to, to == ND_U64 ? (__int128)UINT64_MAX : to == ND_I64 ? (__int128)INT64_MAX : (__int128)hi[to]);
	return model_wrap(to, d <= lo[to] ? (__int128)lo[to] : (__int128)d);
}

static void
casts(void)
{
	for (unsigned from = 1; from < ND_TYPES; from++) {
		bool good = true;

		for (unsigned to = 1; to < ND_TYPES && good; to++)
			for (int form = 0; form < 9 && good; form++) {
				struct nd a = array(0, from, form % 3, false), out = array(2, to, form / 3, true);

				good = nd_copy(&out, &a) == 0;
				for (int64_t i = 0; i < N && good; i++) {
					struct nd_num got = at(&out, i), want = cast_model(to, at(&a, i));

					if (!same(to, got, want, 0))
						good = fail("cast to", &a, &out, i, got, want);
				}
			}
		said(good, "cast", from);
	}
}

static void
promotion(void)			/* numpy's table, as text; 16-bit brain floats as f16 there */
{
	static const char *const want[] = {	/* u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 f16 bool c64 c128 */
		"u8 i16 u16 i16 u32 i32 u64 i64 f32 f64 f16 u8 c64 c128", "i16 i8 i32 i16 i64 i32 f64 i64 f32 f64 f16 i8 c64 c128",
		"u16 i32 u16 i32 u32 i32 u64 i64 f32 f64 f32 u16 c64 c128", "i16 i16 i32 i16 i64 i32 f64 i64 f32 f64 f32 i16 c64 c128",
		"u32 i64 u32 i64 u32 i64 u64 i64 f64 f64 f64 u32 c128 c128", "i32 i32 i32 i32 i64 i32 f64 i64 f64 f64 f64 i32 c128 c128",
		"u64 f64 u64 f64 u64 f64 u64 f64 f64 f64 f64 u64 c128 c128", "i64 i64 i64 i64 i64 i64 f64 i64 f64 f64 f64 i64 c128 c128",
		"f32 f32 f32 f32 f64 f64 f64 f64 f32 f64 f32 f32 c64 c128", "f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 c128 c128",
		"f16 f16 f32 f32 f64 f64 f64 f64 f32 f64 f16 f16 c64 c128", "u8 i8 u16 i16 u32 i32 u64 i64 f32 f64 f16 bool c64 c128",
		"c64 c64 c64 c64 c128 c128 c128 c128 c64 c128 c64 c64 c64 c128",
		"c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128 c128" };
	static const unsigned order[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15 };

	for (int i = 0; i < 14; i++) {
		char text[200] = "";

		for (int j = 0; j < 14; j++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", j ? " " : "", nd_word(nd_promote(order[i], order[j])));
		if (!ok(strcmp(text, want[i]) == 0))
			printf("# %s: %s\n", nd_word(order[i]), text);
	}
	ok(nd_promote(ND_F16, ND_BF16) == ND_F32 && nd_promote(ND_BF16, ND_U8) == ND_BF16 && nd_promote(ND_I16, ND_BF16) == ND_F32);
}

int
main(void)
{
	promotion();
	casts();
	binaries();
	unaries();
	return tap_done();
}
