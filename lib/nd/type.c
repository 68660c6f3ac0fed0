#include <math.h>
#include "nd/impl.h"

size_t
nd_size(unsigned t)
{
	static const uint8_t size[ND_TYPES] = {
#define X(NAME, number, bytes, word, kind) [number] = bytes,
		ND_TYPE_MAP(X)
#undef X
	};

	return t < ND_TYPES ? size[t] : 0;
}

const char *
nd_word(unsigned t)
{
	static const char *const words[ND_TYPES] = {
#define X(NAME, number, bytes, word, kind) [number] = word,
		ND_TYPE_MAP(X)
#undef X
	};

	return t < ND_TYPES ? words[t] : NULL;
}

char
nd_kind(unsigned t)
{
	static const char kinds[ND_TYPES] = {
#define X(NAME, number, bytes, word, kind) [number] = kind,
		ND_TYPE_MAP(X)
#undef X
	};

	return t < ND_TYPES ? kinds[t] : 0;
}

unsigned
nd_type_of(const char *word)
{
	unsigned t;

	for (t = 1; t < ND_TYPES; t++)
		if (strcmp(nd_word(t), word) == 0)
			return t;
	return 0;
}

static unsigned
promote_ints(unsigned a, unsigned b)
{
	static const uint8_t wider[] = { [1] = ND_I16, [2] = ND_I32, [4] = ND_I64, [8] = ND_F64 };
	size_t na = nd_size(a), nb = nd_size(b);
	unsigned t;

	if (nd_kind(a) == nd_kind(b))
		return na >= nb ? a : b;
	if (nd_kind(a) == 'i')
		t = a, a = b, b = t, nb = na, na = nd_size(a);
	return nb > na ? b : wider[na];			/* a has no sign */
}

static unsigned
promote_float(unsigned f, unsigned other)		/* other: integer or float */
{
	size_t n = nd_size(other);

	if (nd_kind(other) == 'f') {
		if (nd_size(f) == n)
			return f == other ? f : ND_F32;		/* f16 and bf16 */
		return nd_size(f) > n ? f : other;
	}
	if (n == 1)
		return f;
	return n == 2 && nd_size(f) <= 4 ? ND_F32 : ND_F64;
}

unsigned
nd_promote(unsigned a, unsigned b)
{
	char ka = nd_kind(a), kb = nd_kind(b);

	if (a == b || kb == 'b')
		return a;
	if (ka == 'b')
		return b;
	if (ka == 'c' || kb == 'c') {
		a = a == ND_C64 ? ND_F32 : a == ND_C128 ? ND_F64 : a;
		b = b == ND_C64 ? ND_F32 : b == ND_C128 ? ND_F64 : b;
		return nd_promote(a, b) == ND_F64 ? ND_C128 : ND_C64;
	}
	if (ka == 'f')
		return promote_float(a, b);
	return kb == 'f' ? promote_float(b, a) : promote_ints(a, b);
}

/* --- 16-bit floats --- */

float
nd_half_to_float(uint16_t h)
{
	uint32_t u = (uint32_t)(h & 0x7fff) << 13;
	float f;

	memcpy(&f, &u, sizeof f);
	f *= 0x1p112f;					/* bias 15 to 127; makes subnormals normal */
	memcpy(&u, &f, sizeof u);
	u |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u) | (uint32_t)(h & 0x8000) << 16;
	memcpy(&f, &u, sizeof f);
	return f;
}

float
nd_bfloat_to_float(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

static uint16_t
narrow(double v, int ebits, int mbits)		/* to the nearest, ties to even */
{
	uint64_t u, m, r, rest, tie;
	int top = (1 << ebits) - 1, e, shift;
	uint16_t sign;

	memcpy(&u, &v, sizeof u);
	sign = (uint16_t)(u >> 63 << 15);
	e = (int)(u >> 52 & 0x7ff);
	m = u & ((UINT64_C(1) << 52) - 1);
	if (e == 0x7ff)
		return (uint16_t)(sign | top << mbits | (m ? 1 << (mbits - 1) : 0));
	e += top / 2 - 1023;
	if (e >= top)
		return (uint16_t)(sign | top << mbits);
	if (e < -mbits)
		return sign;
	shift = 52 - mbits + (e <= 0 ? 1 - e : 0);
	if (e <= 0)
		m |= UINT64_C(1) << 52;
	r = (m >> shift) + (e > 0 ? (uint64_t)e << mbits : 0);
	rest = m & ((UINT64_C(1) << shift) - 1);
	tie = UINT64_C(1) << (shift - 1);
	r += rest > tie || (rest == tie && r & 1);	/* a carry goes into the exponent, and to infinity */
	return (uint16_t)(sign | r);
}

uint16_t
nd_half_of(double v)
{
	return narrow(v, 5, 10);
}

uint16_t
nd_bfloat_of(double v)
{
	return narrow(v, 8, 7);
}

/* --- one element --- */

#define INT(T) { T x; memcpy(&x, p, sizeof x); v.i = (int64_t)x; v.re = (double)x; return v; }
#define FLOAT(T, expr) { T x; memcpy(&x, p, sizeof x); v.re = (expr); return v; }

struct nd_num
nd_get(const struct nd *a, const unsigned char *p)
{
	struct nd_num v = { .kind = nd_kind(a->type) };

	switch ((enum nd_type)a->type) {
	case ND_BOOL: v.i = *p != 0; v.re = (double)v.i; return v;
	case ND_U8: INT(uint8_t)
	case ND_I8: INT(int8_t)
	case ND_U16: INT(uint16_t)
	case ND_I16: INT(int16_t)
	case ND_U32: INT(uint32_t)
	case ND_I32: INT(int32_t)
	case ND_U64: INT(uint64_t)
	case ND_I64: INT(int64_t)
	case ND_F16: FLOAT(uint16_t, nd_half_to_float(x))
	case ND_BF16: FLOAT(uint16_t, nd_bfloat_to_float(x))
	case ND_F32: FLOAT(float, x)
	case ND_F64: FLOAT(double, x)
	case ND_C64: { float x[2]; memcpy(x, p, sizeof x); v.re = x[0]; v.im = x[1]; return v; }
	case ND_C128: { double x[2]; memcpy(x, p, sizeof x); v.re = x[0]; v.im = x[1]; return v; }
	case ND_TYPES: break;
	}
	return v;
}

static int
put_int(unsigned char *p, unsigned type, struct nd_num v)
{
	static const int64_t lo[ND_TYPES] = { [ND_I8] = INT8_MIN, [ND_I16] = INT16_MIN, [ND_I32] = INT32_MIN };
	static const int64_t hi[ND_TYPES] = { [ND_U8] = UINT8_MAX, [ND_I8] = INT8_MAX, [ND_U16] = UINT16_MAX,
	    [ND_I16] = INT16_MAX, [ND_U32] = UINT32_MAX, [ND_I32] = INT32_MAX };
	int64_t i = v.i;

	if (v.kind == 'c')
		return -EDOM;
	if (v.kind == 'f') {
		if (!(v.re >= -0x1p63 && v.re < (type == ND_U64 ? 0x1p64 : 0x1p63)) || v.re != floor(v.re))
			return -ERANGE;
		i = v.re >= 0x1p63 ? (int64_t)(uint64_t)v.re : (int64_t)v.re;
	}
	if (nd_size(type) < 8 && (i < lo[type] || i > hi[type] || (v.kind == 'u' && i < 0)))
		return -ERANGE;
	switch (nd_size(type)) {			/* little endian and big: from a variable of that size */
	case 1: { uint8_t x = (uint8_t)i; memcpy(p, &x, 1); return 0; }
	case 2: { uint16_t x = (uint16_t)i; memcpy(p, &x, 2); return 0; }
	case 4: { uint32_t x = (uint32_t)i; memcpy(p, &x, 4); return 0; }
	}
	memcpy(p, &i, 8);
	return 0;
}

int
nd_put(unsigned type, unsigned char *p, struct nd_num v)
{
	double re = v.kind == 'f' || v.kind == 'c' ? v.re : v.kind == 'u' ? (double)(uint64_t)v.i : (double)v.i;
	double im = v.kind == 'c' ? v.im : 0;
	uint16_t h;
	float f = (float)re, c[2] = { f, (float)im };

	switch (nd_kind(type)) {
	case 'b':
		*p = v.kind == 'f' || v.kind == 'c' ? re != 0 || im != 0 : v.i != 0;
		return 0;
	case 'u': case 'i':
		return put_int(p, type, v);
	case 'c':
		if (type == ND_C64)
			memcpy(p, c, sizeof c);
		else
			memcpy(p, (double[2]){ re, im }, 16);
		return 0;
	}
	if (v.kind == 'c')
		return -EDOM;
	if (type == ND_F32)
		memcpy(p, v.kind == 'i' ? &(float){ (float)v.i } : v.kind == 'u' ? &(float){ (float)(uint64_t)v.i } : &f, sizeof f);
	else if (type == ND_F64)
		memcpy(p, &re, sizeof re);
	else {
		h = type == ND_F16 ? nd_half_of(re) : nd_bfloat_of(re);
		memcpy(p, &h, sizeof h);
	}
	return 0;
}
