/*
 * nd_fuzz.c - random programs on views: what they describe, and what operations through them leave in the memory that
 * they share, is what a model without strides says
 * ROTA_SEED=N begins there; ROTA_LONG runs a hundred times as many.
 */
#include <errno.h>
#include <stdio.h>
#include "nd_model.h"
#include "tap.h"

enum { MEM = 720, SLOTS = 4 };

/* A view as the list of the elements that it shows, in row order. */
struct model {
	int ndim;
	int64_t shape[ND_DIMS], n;
	int at[4096];
};
static unsigned char memory[MEM * 16 + 1];	/* of nd; unaligned in some runs */
static struct nd_num plain[MEM];		/* the same elements of the model */
static struct nd view[SLOTS];
static struct model model[SLOTS];
static unsigned type;
static unsigned char *base;
static const char *last;

static int64_t
below(int64_t n)
{
	return n > 0 ? (int64_t)(model_random() % (uint64_t)n) : 0;
}

static void
recount(struct model *m)
{
	m->n = 1;
	for (int k = 0; k < m->ndim; k++)
		m->n *= m->shape[k];
}

static bool
next(const struct model *m, int64_t *at)
{
	for (int k = m->ndim - 1; k >= 0; k--) {
		if (++at[k] < m->shape[k])
			return true;
		at[k] = 0;
	}
	return false;
}

static int64_t
flat(const struct model *m, const int64_t *at)
{
	int64_t i = 0;

	for (int k = 0; k < m->ndim; k++)
		i = i * m->shape[k] + at[k];
	return i;
}

static void
whole(int s)			/* slot s shows all of the memory, in some shape */
{
	static const int64_t shapes[][4] = { { 720 }, { 8, 90 }, { 6, 10, 12 }, { 2, 3, 8, 15 }, { 1, 24, 30 } };
	int k = (int)below(5);

	model[s] = (struct model){ .ndim = k < 3 ? k + 1 : k == 3 ? 4 : 3 };
	memcpy(model[s].shape, shapes[k], sizeof shapes[k]);
	recount(&model[s]);
	for (int i = 0; i < MEM; i++)
		model[s].at[i] = i;
	nd_init(&view[s], type, model[s].ndim, model[s].shape, base);
	last = "whole";
}

/* --- one step of describing --- */

static void
slice_model(struct model *to, const struct model *m, int axis, int64_t from, int64_t n, int64_t step, bool drop)
{
	struct model r = { .ndim = m->ndim };
	int64_t at[ND_DIMS] = { 0 }, in[ND_DIMS];

	memcpy(r.shape, m->shape, sizeof r.shape);
	r.shape[axis] = n;
	recount(&r);
	for (int64_t i = 0; i < r.n; i++, next(&r, at)) {
		memcpy(in, at, sizeof in);
		in[axis] = from + at[axis] * step;
		r.at[i] = m->at[flat(m, in)];
	}
	if (drop) {
		memmove(r.shape + axis, r.shape + axis + 1, (size_t)(r.ndim - axis - 1) * sizeof *r.shape);
		r.ndim--;
	}
	*to = r;
}

static bool
slice(int s)
{
	int axis = (int)below(model[s].ndim);
	int64_t len, from, step, n;

	if (model[s].ndim == 0)
		return true;
	len = model[s].shape[axis];
	last = "slice";
	if (below(4) == 0 && len > 0) {
		from = below(len);
		slice_model(&model[s], &model[s], axis, from, 1, 1, true);
		return nd_index(&view[s], &view[s], axis, from) == 0;
	}
	step = below(2) ? 1 + below(3) : -1 - below(3);
	from = below(len);
	n = len == 0 ? 0 : (step > 0 ? (len - 1 - from) / step : from / -step) + 1;
	if (n > 1 && below(3) == 0)
		n -= below(n);
	slice_model(&model[s], &model[s], axis, from, n, step, false);
	return nd_slice(&view[s], &view[s], axis, from, n, step) == 0;
}

static bool
permute(int s)
{
	struct model *m = &model[s], r = { .ndim = m->ndim };
	int axes[ND_DIMS];
	int64_t at[ND_DIMS] = { 0 }, in[ND_DIMS] = { 0 };

	last = "permute";
	for (int k = 0; k < m->ndim; k++)
		axes[k] = k;
	for (int k = m->ndim - 1; k > 0; k--) {
		int j = (int)below(k + 1), t = axes[k];

		axes[k] = axes[j], axes[j] = t;
	}
	for (int k = 0; k < m->ndim; k++)
		r.shape[k] = m->shape[axes[k]];
	recount(&r);
	for (int64_t i = 0; i < r.n; i++, next(&r, at)) {
		for (int k = 0; k < r.ndim; k++)
			in[axes[k]] = at[k];
		r.at[i] = m->at[flat(m, in)];
	}
	*m = r;
	return nd_permute(&view[s], &view[s], axes) == 0;
}

static bool
reshape(int s)
{
	struct model *m = &model[s];
	int64_t left = m->n, shape[ND_DIMS];
	int d = 0, e;
	struct nd v;

	last = "reshape";
	while (d < 4 && left > 1) {
		int64_t f = 2 + below(8);

		for (f = f > left ? left : f; left % f; f++)	/* ends at left itself */
			;
		shape[d++] = f;
		left /= f;
	}
	shape[d++] = m->n == 0 ? 0 : left;
	if (m->n && below(2))
		shape[below(d)] = -1;
	e = nd_reshape(&v, &view[s], d, shape);
	if (e == -EXDEV)
		return !nd_packed(&view[s]);
	if (e < 0)
		return false;
	view[s] = v;
	m->ndim = v.ndim;
	memcpy(m->shape, v.shape, sizeof v.shape);	/* the elements stay in their order */
	recount(m);
	return nd_count(&v) == m->n;
}

static bool
lengths_of_one(int s)
{
	struct model *m = &model[s];
	int axis = (int)below(m->ndim + 1);
	int64_t shape[ND_DIMS], at[ND_DIMS] = { 0 };
	struct model r;

	last = "expand, squeeze, broadcast";
	if (below(3) == 0) {
		for (int k = m->ndim - 1; k >= 0; k--)
			if (m->shape[k] == 1) {
				memmove(m->shape + k, m->shape + k + 1, (size_t)(m->ndim - k - 1) * sizeof *m->shape);
				m->ndim--;
			}
		return nd_squeeze(&view[s], &view[s], -1) == 0;
	}
	if (m->ndim >= 5 || m->n > 900)
		return true;
	memmove(m->shape + axis + 1, m->shape + axis, (size_t)(m->ndim - axis) * sizeof *m->shape);
	m->shape[axis] = 1;
	m->ndim++;
	if (nd_expand(&view[s], &view[s], axis) < 0)
		return false;
	if (below(2))
		return true;
	r = *m;				/* that axis three times over */
	memcpy(shape, m->shape, sizeof shape);
	shape[axis] = r.shape[axis] = 3;
	recount(&r);
	for (int64_t i = 0; i < r.n; i++, next(&r, at)) {
		int64_t in[ND_DIMS];

		memcpy(in, at, sizeof in);
		in[axis] = 0;
		r.at[i] = m->at[flat(m, in)];
	}
	*m = r;
	view[s].readonly = true;	/* written to, the order would count */
	return nd_broadcast(&view[s], &view[s], m->ndim, shape) == 0;
}

/* --- one step of working --- */

static struct nd_num
stored(struct nd_num v)			/* as an element of the type */
{
	unsigned char p[16];
	struct nd t = { .type = (uint8_t)type };

	if (nd_kind(type) == 'i' || nd_kind(type) == 'u')
		return model_wrap(type, model_int(v));
	nd_put(type, p, v);
	return nd_get(&t, p);
}

static bool
copy(int to, int from)			/* from broadcast to to, wherever they overlap */
{
	struct model *t = &model[to], *f = &model[from];
	static struct nd_num was[MEM];
	int64_t at[ND_DIMS] = { 0 };
	int gap = t->ndim - f->ndim, e;

	last = "copy";
	memcpy(was, plain, sizeof was);
	for (int k = 0; k < f->ndim; k++)
		if (gap < 0 || (f->shape[k] != 1 && f->shape[k] != t->shape[k + gap]))
			return nd_copy(&view[to], &view[from]) == -EINVAL || nd_count(&view[to]) == 0 || gap < 0;
	if (view[to].readonly)
		return true;
	for (int64_t i = 0; i < t->n; i++, next(t, at)) {
		int64_t in[ND_DIMS];

		for (int k = 0; k < f->ndim; k++)
			in[k] = f->shape[k] == 1 ? 0 : at[k + gap];
		plain[t->at[i]] = was[f->at[flat(f, in)]];
	}
	e = nd_copy(&view[to], &view[from]);
	return e == 0;
}

static struct nd_num
sum2(struct nd_num a, struct nd_num b)
{
	struct nd_num v = { .kind = a.kind };

	if (a.kind == 'b')
		v.i = a.i || b.i;
	else if (a.kind == 'f' || a.kind == 'c')
		v.re = a.re + b.re, v.im = a.im + b.im;		/* exact: small whole numbers */
	else
		return model_wrap(type, model_int(a) + model_int(b));
	return stored(v);
}

static bool
add(int to, int a, int b)		/* to = a + b, all of one shape: of parts of the larger ones */
{
	struct model *t = &model[to], x = model[a], y = model[b];
	static struct nd_num was[MEM];
	struct nd u = view[a], v = view[b];

	last = "add";
	if (view[to].readonly || x.ndim != t->ndim || y.ndim != t->ndim)
		return true;
	for (int k = 0; k < t->ndim; k++) {
		if (x.shape[k] < t->shape[k] || y.shape[k] < t->shape[k])
			return true;
		slice_model(&x, &x, k, 0, t->shape[k], 1, false);
		slice_model(&y, &y, k, y.shape[k] - t->shape[k], t->shape[k], 1, false);
		if (nd_slice(&u, &u, k, 0, t->shape[k], 1) < 0 || nd_slice(&v, &v, k, v.shape[k] - t->shape[k], t->shape[k], 1) < 0)
			return false;
	}
	memcpy(was, plain, sizeof was);
	for (int64_t i = 0; i < t->n; i++)
		plain[t->at[i]] = sum2(was[x.at[i]], was[y.at[i]]);
	return nd_binary(ND_ADD, &view[to], &u, &v) == 0;
}

static bool
total(int s)				/* along one axis, and the greatest of all */
{
	struct model *m = &model[s];
	static unsigned char out[4096 * 16];
	int axis = (int)below(m->ndim);
	int64_t shape[ND_DIMS], at[ND_DIMS] = { 0 }, len;
	int r = nd_reduce_type(ND_SUM, type);
	struct nd o;

	last = "sum";
	if (m->ndim == 0 || m->n == 0)
		return true;
	memcpy(shape, m->shape, sizeof shape);
	len = shape[axis];
	shape[axis] = 1;
	nd_init(&o, (unsigned)r, m->ndim, shape, out);
	if (nd_reduce(ND_SUM, &o, &view[s], 1u << axis, 0) < 0)
		return false;
	for (int64_t i = 0; i < nd_count(&o); i++) {
		double want = 0, got;
		__int128 whole_want = 0;
		int64_t in[ND_DIMS], rest = i;
		struct nd_num g = nd_get(&o, out + (size_t)i * nd_size(o.type));

		for (int k = m->ndim - 1; k >= 0; rest /= shape[k--])
			at[k] = rest % shape[k];
		memcpy(in, at, sizeof in);
		for (in[axis] = 0; in[axis] < len; in[axis]++) {
			struct nd_num v = plain[m->at[flat(m, in)]];

			want += model_double(v) + 1000 * v.im;
			whole_want += model_int(v);
		}
		got = model_double(g) + 1000 * g.im;
		if (nd_kind(type) == 'f' || nd_kind(type) == 'c' ? fabs(got - want) > fabs(want) * 1e-2 + (type == ND_BF16 || type == ND_F16 ? 1e-2 * 720 : 1e-3) :
		    g.i != (int64_t)whole_want)
			return false;
	}
	return true;
}

static bool
agrees(int s)				/* the view shows what the model shows */
{
	struct model *m = &model[s];
	int64_t at[ND_DIMS] = { 0 };

	if (view[s].ndim != m->ndim || nd_count(&view[s]) != m->n || memcmp(view[s].shape, m->shape, (size_t)m->ndim * sizeof *m->shape))
		return false;
	for (int64_t i = 0; i < m->n; i++, next(m, at)) {
		unsigned char *p = view[s].data;

		for (int k = 0; k < m->ndim; k++)
			p += at[k] * view[s].stride[k];
		if (p != base + (size_t)m->at[i] * nd_size(type))
			return false;
	}
	return true;
}

static bool
memory_agrees(void)
{
	struct nd t = { .type = (uint8_t)type };

	for (int i = 0; i < MEM; i++) {
		struct nd_num v = nd_get(&t, base + (size_t)i * nd_size(type));

		if (v.i != plain[i].i || ((v.kind == 'f' || v.kind == 'c') && (v.re != plain[i].re || v.im != plain[i].im)))
			return false;
	}
	return true;
}

static bool
program(void)
{
	struct nd t;
	bool good = true;

	type = 1 + (unsigned)below(ND_TYPES - 1);
	base = memory + below(2);
	t.type = (uint8_t)type;
	for (int i = 0; i < MEM; i++) {
		struct nd_num v = { .kind = nd_kind(type), .i = below(2), .re = (double)below(9) - 4, .im = (double)below(5) };

		if (v.kind == 'i' || v.kind == 'u')
			v.i = below(100);
		nd_put(type, base + (size_t)i * nd_size(type), v);
		plain[i] = nd_get(&t, base + (size_t)i * nd_size(type));
	}
	for (int s = 0; s < SLOTS; s++)
		whole(s);
	for (int step = 0; step < 40 && good; step++) {
		int s = (int)below(SLOTS), a = (int)below(SLOTS), b = (int)below(SLOTS);

		switch (below(12)) {
		case 0: whole(s); break;
		case 1: view[s] = view[a], model[s] = model[a]; break;
		case 2: case 3: case 4: good = slice(s); break;
		case 5: good = permute(s); break;
		case 6: good = reshape(s); break;
		case 7: good = lengths_of_one(s); break;
		case 8: good = copy(s, a); break;
		case 9: case 10: good = add(s, a, b); break;
		case 11: good = total(s); break;
		}
		good = good && agrees(s) && memory_agrees();
	}
	return good;
}

int
main(void)
{
	const char *seed = getenv("ROTA_SEED");
	uint64_t from = seed ? strtoull(seed, NULL, 10) : 1, n = getenv("ROTA_LONG") ? 200000 : 2000;
	bool good = true;

	for (uint64_t i = from; i < from + n && good; i++) {
		model_state = i * UINT64_C(0x2545f4914f6cdd1d);
		if (!(good = program()))
			printf("# ROTA_SEED=%llu: %s of %s\n", (unsigned long long)i, last, nd_word(type));
	}
	ok(good);
	return tap_done();
}
