/* xoshiro256++ of Blackman and Vigna, seeded by splitmix64; normal numbers by the polar method of Marsaglia. */
#include <math.h>
#include <stdlib.h>
#include "nd/impl.h"

void
nd_rng_seed(struct nd_rng *r, uint64_t seed)
{
	*r = (struct nd_rng){ .has_spare = false };
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ z >> 31;
	}
}

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t
nd_rng_next(struct nd_rng *r)
{
	uint64_t *s = r->s, x = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return x;
}

uint64_t
nd_rng_below(struct nd_rng *r, uint64_t n)
{
	uint64_t x, least = -n % n;		/* 2^64 mod n: what is below would come too often */

	do
		x = nd_rng_next(r);
	while (x < least);
	return x % n;
}

double
nd_rng_unit(struct nd_rng *r)
{
	return (double)(nd_rng_next(r) >> 11) * 0x1p-53;
}

double
nd_rng_normal(struct nd_rng *r)
{
	double x, y, s;

	if (r->has_spare) {
		r->has_spare = false;
		return r->spare;
	}
	do {
		x = 2 * nd_rng_unit(r) - 1;
		y = 2 * nd_rng_unit(r) - 1;
		s = x * x + y * y;
	} while (s >= 1 || s == 0);
	s = sqrt(-2 * log(s) / s);
	r->spare = y * s;
	r->has_spare = true;
	return x * s;
}

int
nd_random(const struct nd *out, struct nd_rng *r, enum nd_dist d, struct nd_num a, struct nd_num b)
{
	double x = a.kind == 'f' ? a.re : (double)a.i, y = b.kind == 'f' ? b.re : (double)b.i;
	uint64_t span = (uint64_t)b.i - (uint64_t)a.i;
	int bits = out->type == ND_F16 ? 11 : out->type == ND_BF16 ? 8 : out->type == ND_F32 || out->type == ND_C64 ? 24 : 53;
	struct nd_num v = { .kind = d == ND_INTEGERS ? 'i' : 'f' };
	unsigned char *p = out->data;
	int64_t i, n = nd_count(out);
	int e;

	/* as many bits as the type holds: rounding must not reach the end */
	if (!nd_packed(out) || (d == ND_INTEGERS && (a.kind != 'i' || b.kind != 'i' || a.i > b.i)))
		return -EINVAL;
	for (i = 0; i < n; i++, p += nd_size(out->type)) {
		if (d == ND_UNIFORM)
			v.re = x + (double)(nd_rng_next(r) >> (64 - bits)) * ldexp(y - x, -bits);
		else if (d == ND_NORMAL)
			v.re = x + nd_rng_normal(r) * y;
		else
			v.i = (int64_t)((uint64_t)a.i + (span == UINT64_MAX ? nd_rng_next(r) : nd_rng_below(r, span + 1)));
		if ((e = nd_put(out->type, p, v)) < 0)
			return e;
	}
	return 0;
}

int
nd_shuffle(const struct nd *a, struct nd_rng *r)
{
	int64_t *at, i, j, t, n = a->shape[0];
	struct nd index, tmp;
	int e = -ENOMEM;

	if (a->ndim == 0)
		return -EINVAL;
	at = malloc(((size_t)n + 1) * sizeof *at);
	tmp.data = malloc(nd_bytes(a) + 1);
	if (!at || !tmp.data)
		goto out;
	for (i = 0; i < n; i++)
		at[i] = i;
	for (i = n - 1; i > 0; i--) {		/* Fisher and Yates */
		j = (int64_t)nd_rng_below(r, (uint64_t)i + 1);
		t = at[i], at[i] = at[j], at[j] = t;
	}
	nd_init(&index, ND_I64, 1, &n, at);
	nd_init(&tmp, a->type, a->ndim, a->shape, tmp.data);
	if ((e = nd_take(&tmp, a, &index, 0)) == 0)
		e = nd_copy(a, &tmp);
out:
	free(at);
	free(tmp.data);
	return e;
}
