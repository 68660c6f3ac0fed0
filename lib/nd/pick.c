#include <stdlib.h>
#include "nd/impl.h"

/* --- by index --- */

/* All indices as packed i64, checked against n; *p is the caller's to free. */
static int
indices(int64_t **p, int64_t *count, const struct nd *index, int64_t n)
{
	struct nd v;
	int64_t i, *at;
	char k = nd_kind(index->type);

	if (k != 'i' && k != 'u')
		return -EDOM;
	*count = nd_count(index);
	if (!(at = malloc(((size_t)*count + 1) * sizeof *at)))
		return -ENOMEM;
	nd_init(&v, ND_I64, index->ndim, index->shape, at);
	nd_copy(&v, index);
	for (i = 0; i < *count; i++)
		if (at[i] < 0 || at[i] >= n) {
			free(at);
			return -ERANGE;
		}
	*p = at;
	return 0;
}

static bool
take_shape(const struct nd *out, const struct nd *a, const struct nd *index, int axis)
{
	int i;

	if (out->type != a->type || out->ndim != a->ndim - 1 + index->ndim)
		return false;
	for (i = 0; i < out->ndim; i++) {
		int64_t n = i < axis ? a->shape[i] : i < axis + index->ndim ? index->shape[i - axis] :
		    a->shape[i - index->ndim + 1];

		if (out->shape[i] != n)
			return false;
	}
	return true;
}

int
nd_take(const struct nd *out, const struct nd *a, const struct nd *index, int axis)
{
	struct nd o = *out, src, dst, in;
	int64_t *at, n, i;
	void *mem;
	int e;

	if (axis < 0 || axis >= a->ndim)
		return -ERANGE;
	if (!take_shape(out, a, index, axis) || !nd_packed(out))
		return -EINVAL;
	if ((e = nd_apart(&in, out, a, &mem)) < 0)
		return e;
	if ((e = indices(&at, &n, index, a->shape[axis])) < 0)
		goto out;
	/* out as one of the axes of a, so that pieces are copied one after the other */
	memcpy(o.shape, a->shape, sizeof o.shape);
	o.shape[axis] = n;
	nd_init(&o, a->type, a->ndim, o.shape, out->data);
	for (i = 0; i < n; i++) {
		if (a->ndim == 1 && in.stride[0] != 0) {
			size_t size = nd_size(a->type);

			memcpy(o.data + (size_t)i * size, in.data + at[i] * in.stride[0], size);
			continue;
		}
		nd_index(&src, &in, axis, at[i]);
		nd_index(&dst, &o, axis, i);
		if ((e = nd_copy(&dst, &src)) < 0)
			break;
	}
	free(at);
out:
	free(mem);
	return e;
}

int
nd_put_at(const struct nd *a, const struct nd *index, const struct nd *v)
{
	int64_t shape[2 * ND_DIMS], *at, n, i, at_v[ND_DIMS] = { 0 };
	struct nd src, dst, in, row;
	int e, k, d = index->ndim + a->ndim - 1;
	void *mem;

	if (a->ndim == 0 || d > ND_DIMS)
		return -EINVAL;
	memcpy(shape, index->shape, index->ndim * sizeof *shape);
	memcpy(shape + index->ndim, a->shape + 1, (a->ndim - 1u) * sizeof *shape);
	if (nd_broadcast(&src, v, d, shape) < 0)
		return -EINVAL;
	if ((e = nd_apart(&in, a, &src, &mem)) < 0)
		return e;
	if ((e = indices(&at, &n, index, a->shape[0])) < 0)
		goto out;
	for (i = 0; i < n && e == 0; i++) {
		row = in;
		for (k = 0; k < index->ndim; k++)
			nd_index(&row, &row, 0, at_v[k]);
		nd_index(&dst, a, 0, at[i]);
		e = nd_copy(&dst, &row);
		for (k = index->ndim - 1; k >= 0 && ++at_v[k] == index->shape[k]; k--)
			at_v[k] = 0;
	}
	free(at);
out:
	free(mem);
	return e;
}

/* --- by mask --- */

int
nd_count_true(const struct nd *mask, int64_t *n)
{
	int64_t ones[ND_DIMS] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	struct nd out;

	nd_init(&out, ND_I64, mask->ndim, ones, n);
	return nd_reduce(ND_COUNT, &out, mask, (1u << mask->ndim) - 1, 0);
}

/* Calls fn for each true element of mask, in row order; at: its indices. */
static int
each_true(const struct nd *mask, int (*fn)(void *arg, const int64_t *at), void *arg)
{
	int64_t at[ND_DIMS] = { 0 };
	const unsigned char *p = mask->data;
	int k, e;

	if (nd_count(mask) == 0)
		return 0;
	for (;;) {
		if (*p && (e = fn(arg, at)) < 0)
			return e;
		for (k = mask->ndim - 1; k >= 0; k--) {
			p += mask->stride[k];
			if (++at[k] < mask->shape[k])
				break;
			p -= mask->stride[k] * mask->shape[k];
			at[k] = 0;
		}
		if (k < 0)
			return 0;
	}
}

struct picking {
	const struct nd *a, *list;	/* the array, and the row for each true element */
	int depth;			/* axes of the mask */
	int64_t n;
	bool back;			/* from the list into the array */
};

static int
pick_one(void *arg, const int64_t *at)
{
	struct picking *p = arg;
	struct nd piece = *p->a, row;
	int k, e;

	for (k = 0; k < p->depth; k++)
		nd_index(&piece, &piece, 0, at[k]);
	if ((e = nd_index(&row, p->list, 0, p->n++)) < 0)
		return -EINVAL;
	if (piece.ndim == 0 && row.type == piece.type) {
		size_t size = nd_size(row.type);

		if (p->back)
			memcpy(piece.data, row.data, size);
		else
			memcpy(row.data, piece.data, size);
		return 0;
	}
	return p->back ? nd_copy(&piece, &row) : nd_copy(&row, &piece);
}

static int
fits_mask(const struct nd *a, const struct nd *mask)
{
	if (mask->type != ND_BOOL)
		return -EDOM;
	return mask->ndim <= a->ndim && memcmp(mask->shape, a->shape, mask->ndim * sizeof *a->shape) == 0 ? 0 : -EINVAL;
}

int
nd_select(const struct nd *out, const struct nd *a, const struct nd *mask)
{
	struct picking p = { .a = a, .list = out, .depth = mask->ndim };
	int e = fits_mask(a, mask);

	if (e < 0 || nd_overlap(out, a))
		return e < 0 ? e : -EINVAL;
	return each_true(mask, pick_one, &p);
}

int
nd_put_where(const struct nd *a, const struct nd *mask, const struct nd *v)
{
	struct picking p = { .a = a, .depth = mask->ndim, .back = true };
	int64_t shape[ND_DIMS + 1];
	struct nd list, in;
	void *mem;
	int e = fits_mask(a, mask), d = a->ndim - mask->ndim + 1;

	if (e < 0 || d > ND_DIMS || (e = nd_count_true(mask, shape)) < 0)
		return e < 0 ? e : -EINVAL;
	memcpy(shape + 1, a->shape + mask->ndim, (size_t)(d - 1) * sizeof *shape);
	if (nd_broadcast(&list, v, d, shape) < 0)
		return -EINVAL;
	if ((e = nd_apart(&in, a, &list, &mem)) < 0)
		return e;
	p.list = &in;
	e = each_true(mask, pick_one, &p);
	free(mem);
	return e;
}

struct listing {
	unsigned char *p;
	int64_t stride;
	int axis;
	unsigned type;
};

static int
list_one(void *arg, const int64_t *at)
{
	struct listing *l = arg;

	nd_put(l->type, l->p, (struct nd_num){ .kind = 'i', .i = at[l->axis] });
	l->p += l->stride;
	return 0;
}

int
nd_nonzero(const struct nd *out, const struct nd *mask, int axis)
{
	struct listing l = { out->data, out->stride[0], axis, out->type };

	if (mask->type != ND_BOOL || axis < 0 || axis >= mask->ndim)
		return -EDOM;
	return each_true(mask, list_one, &l);
}
