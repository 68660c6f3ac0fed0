/* nd_model.h - what nd should give, one element at a time and without any of its code but nd_get and nd_put */
#ifndef ND_MODEL_H
#define ND_MODEL_H

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "nd/nd.h"

static uint64_t model_state = 1;

static inline uint64_t
model_random(void)			/* splitmix64 */
{
	uint64_t z = model_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number of that type: small ones mostly, its limits, and what floats have beside numbers. */
static inline void
model_element(unsigned type, unsigned char *p, bool tame)
{
	static const double odd[] = { INFINITY, -INFINITY, NAN, 0.0, -0.0, 65504, 1e30, 1e-30, 0.5, -1.5 };
	struct nd_num v = { .kind = nd_kind(type) };
	uint64_t r = model_random();
	int bits = (int)nd_size(type) * 8;

	if (v.kind == 'f' || v.kind == 'c') {
		v.re = !tame && r % 5 == 0 ? odd[r / 5 % 10] : (double)(int64_t)(r >> 32) / 65536 - 32768;
		v.re = tame ? fmod(v.re, 8) : v.re;
		r = model_random();
		v.im = tame || r % 4 ? (double)(r >> 40) / 65536 - 128 : odd[r / 4 % 10];
		v.im = tame ? fmod(v.im, 8) : v.im;
	} else if (v.kind == 'b')
		v.i = r & 1;
	else if (tame || r % 4)
		v.i = (int64_t)(r >> 8) % 21 - (v.kind == 'i' ? 10 : 0);
	else if (v.kind == 'u')
		v.i = (int64_t)(model_random() >> (64 - bits) | -(r >> 7 & 1) >> (64 - bits));
	else
		v.i = r & 128 ? -(INT64_C(1) << (bits - 1) % 63) * (bits < 64) : (int64_t)model_random() >> (64 - bits);
	if (v.kind == 'u' && v.i < 0 && bits < 64)
		v.i = 0;
	nd_put(type, p, v);
}

static inline __int128
model_int(struct nd_num v)
{
	return v.kind == 'u' ? (__int128)(uint64_t)v.i : (__int128)v.i;
}

static inline struct nd_num
model_wrap(unsigned type, __int128 x)
{
	struct nd_num v = { .kind = nd_kind(type) };
	int bits = (int)nd_size(type) * 8;

	v.i = (int64_t)(uint64_t)x;
	if (bits < 64)
		v.i = v.kind == 'u' ? v.i & ((INT64_C(1) << bits) - 1) :
		    (int64_t)((uint64_t)v.i << (64 - bits)) >> (64 - bits);
	return v;
}

static inline double
model_double(struct nd_num v)
{
	return v.kind == 'f' || v.kind == 'c' ? v.re : v.kind == 'u' ? (double)(uint64_t)v.i : (double)v.i;
}

/* x op y for numbers; false: not defined */
static inline int
model_compare(struct nd_num a, struct nd_num b, bool *unordered)
{
	*unordered = false;
	if (a.kind != 'f' && a.kind != 'c' && b.kind != 'f' && b.kind != 'c') {
		__int128 x = model_int(a), y = model_int(b);

		return (x > y) - (x < y);
	}
	*unordered = model_double(a) != model_double(a) || model_double(b) != model_double(b);
	return (model_double(a) > model_double(b)) - (model_double(a) < model_double(b));
}

#endif
