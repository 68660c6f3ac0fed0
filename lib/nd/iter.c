#include <stdlib.h>
#include "nd/impl.h"

/* Sum of the sizes of the steps along an axis: the least goes last. */
static int64_t
weight(const struct nd_walk *w, int axis)
{
	int64_t s = 0;
	int k;

	for (k = 0; k < w->nop; k++)
		s += llabs(w->op[k].stride[axis]);
	return s;
}

static void
swap_axes(struct nd_walk *w, int i, int j)
{
	int64_t t = w->shape[i];
	int k;

	w->shape[i] = w->shape[j];
	w->shape[j] = t;
	for (k = 0; k < w->nop; k++) {
		t = w->op[k].stride[i];
		w->op[k].stride[i] = w->op[k].stride[j];
		w->op[k].stride[j] = t;
	}
}

static bool
in_line(const struct nd_walk *w, int i, int j)		/* axis i goes on where axis j ends, for all arrays */
{
	int k;

	for (k = 0; k < w->nop; k++)
		if (w->op[k].stride[i] != w->op[k].stride[j] * w->shape[j])
			return false;
	return true;
}

static void
simplify(struct nd_walk *w, bool reorder)
{
	int i, j, k, d = 0;

	for (i = 0; i < w->ndim; i++)
		if (w->shape[i] != 1)
			swap_axes(w, d++, i);
	w->ndim = d;
	for (i = 1; reorder && i < d; i++)
		for (j = i; j > 0 && weight(w, j - 1) < weight(w, j); j--)
			swap_axes(w, j - 1, j);
	for (i = j = 0; i + 1 < d; i++) {		/* j: the last axis of what is joined */
		if (in_line(w, j, i + 1)) {
			w->shape[j] *= w->shape[i + 1];
			for (k = 0; k < w->nop; k++)
				w->op[k].stride[j] = w->op[k].stride[i + 1];
		} else
			swap_axes(w, ++j, i + 1);
	}
	w->ndim = d ? j + 1 : 0;
	if (w->ndim == 0) {
		w->ndim = 1;
		w->shape[0] = 1;
		for (k = 0; k < w->nop; k++)
			w->op[k].stride[0] = nd_size(w->op[k].type);
	}
}

int
nd_walk_init(struct nd_walk *w, int ndim, const int64_t *shape, const struct nd *const *a, int nop, bool reorder)
{
	struct nd v;
	int i, k;

	*w = (struct nd_walk){ .nop = nop, .ndim = ndim };
	memcpy(w->shape, shape, (size_t)ndim * sizeof *shape);
	for (k = 0; k < nop; k++) {
		if (nd_broadcast(&v, a[k], ndim, shape) < 0)
			return -EINVAL;
		w->op[k].p = v.data;
		w->op[k].type = v.type;
		memcpy(w->op[k].stride, v.stride, sizeof v.stride);
	}
	for (i = 0; i < ndim; i++)
		if (shape[i] == 0) {
			w->n = 0;
			w->ndim = 1;
			return 0;
		}
	simplify(w, reorder);
	w->n = w->shape[w->ndim - 1];
	return 0;
}

bool
nd_walk_next(struct nd_walk *w)
{
	int i, k;

	for (i = w->ndim - 2; i >= 0; i--) {
		if (++w->at[i] < w->shape[i]) {
			for (k = 0; k < w->nop; k++)
				w->op[k].p += w->op[k].stride[i];
			return true;
		}
		for (k = 0; k < w->nop; k++)
			w->op[k].p -= w->op[k].stride[i] * (w->shape[i] - 1);
		w->at[i] = 0;
	}
	return false;
}

static void
extent(const struct nd *a, uintptr_t *lo, uintptr_t *hi)
{
	uintptr_t l = (uintptr_t)a->data, h = l + nd_size(a->type);
	int i;

	for (i = 0; i < a->ndim; i++) {
		int64_t d = a->stride[i] * (a->shape[i] - 1);

		if (d < 0)
			l += (uintptr_t)d;
		else
			h += (uintptr_t)d;
	}
	*lo = l;
	*hi = h;
}

bool
nd_overlap(const struct nd *a, const struct nd *b)
{
	uintptr_t al, ah, bl, bh;
	int i;

	if (nd_count(a) == 0 || nd_count(b) == 0)
		return false;
	extent(a, &al, &ah);
	extent(b, &bl, &bh);
	if (ah <= bl || bh <= al)
		return false;
	if (a->data != b->data || nd_size(a->type) != nd_size(b->type) || !nd_same_shape(a, b))
		return true;
	for (i = 0; i < a->ndim; i++)
		if (a->shape[i] > 1 && (a->stride[i] != b->stride[i] || a->stride[i] == 0))
			return true;
	return false;
}

int
nd_apart(struct nd *tmp, const struct nd *out, const struct nd *a, void **mem)
{
	*tmp = *a;
	*mem = NULL;
	if (!nd_overlap(out, a))
		return 0;
	if (!(*mem = malloc(nd_bytes(a) + 1)))
		return -ENOMEM;
	nd_init(tmp, a->type, a->ndim, a->shape, *mem);
	return nd_copy(tmp, a);
}
