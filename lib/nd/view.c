#include "nd/impl.h"

int
nd_init(struct nd *a, unsigned type, int ndim, const int64_t *shape, void *data)
{
	struct nd r = { .data = data, .type = (uint8_t)type, .ndim = (uint8_t)ndim };
	int64_t n = (int64_t)nd_size(type);
	int i;

	if (n == 0 || ndim < 0 || ndim > ND_DIMS)
		return -EINVAL;
	for (i = ndim - 1; i >= 0; i--) {
		if (shape[i] < 0)
			return -EINVAL;
		r.shape[i] = shape[i];
		r.stride[i] = n;
		if (__builtin_mul_overflow(n, shape[i] ? shape[i] : 1, &n) || n > INT64_MAX / 4)
			return -EINVAL;
	}
	*a = r;				/* last: shape may be that of a */
	return 0;
}

int64_t
nd_count(const struct nd *a)
{
	int64_t n = 1;
	int i;

	for (i = 0; i < a->ndim; i++)
		n *= a->shape[i];
	return n;
}

size_t
nd_bytes(const struct nd *a)
{
	return (size_t)nd_count(a) * nd_size(a->type);
}

bool
nd_packed(const struct nd *a)
{
	int64_t n = (int64_t)nd_size(a->type);
	int i;

	if (nd_count(a) == 0)
		return true;
	for (i = a->ndim - 1; i >= 0; n *= a->shape[i--])
		if (a->shape[i] != 1 && a->stride[i] != n)
			return false;
	return true;
}

bool
nd_same_shape(const struct nd *a, const struct nd *b)
{
	return a->ndim == b->ndim && memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0;
}

int
nd_axis(const struct nd *a, int64_t axis)
{
	if (axis < -a->ndim || axis >= a->ndim)
		return -ERANGE;
	return (int)(axis < 0 ? axis + a->ndim : axis);
}

static void
drop_axis(struct nd *v, int axis)
{
	int i;

	for (i = axis; i < v->ndim - 1; i++) {
		v->shape[i] = v->shape[i + 1];
		v->stride[i] = v->stride[i + 1];
	}
	v->ndim--;
}

int
nd_index(struct nd *v, const struct nd *a, int axis, int64_t i)
{
	if (axis < 0 || axis >= a->ndim || i < 0 || i >= a->shape[axis])
		return -ERANGE;
	*v = *a;
	if (v->data)			/* NULL: there are no elements */
		v->data += i * a->stride[axis];
	drop_axis(v, axis);
	return 0;
}

int
nd_slice(struct nd *v, const struct nd *a, int axis, int64_t from, int64_t n, int64_t step)
{
	if (axis < 0 || axis >= a->ndim || n < 0 || step == 0)
		return -ERANGE;
	if (n > 0 && (from < 0 || from >= a->shape[axis] ||
	    (step > 0 ? n - 1 > (a->shape[axis] - 1 - from) / step : n - 1 > (step == INT64_MIN ? 0 : from / -step))))
		return -ERANGE;
	*v = *a;
	if (n > 0 && v->data)
		v->data += from * a->stride[axis];
	v->shape[axis] = n;
	v->stride[axis] = n > 1 ? step * a->stride[axis] : a->stride[axis];
	return 0;
}

int
nd_permute(struct nd *v, const struct nd *a, const int *axes)
{
	struct nd r = *a;
	unsigned seen = 0;
	int i;

	for (i = 0; i < a->ndim; i++) {
		if (axes[i] < 0 || axes[i] >= a->ndim || seen & 1u << axes[i])
			return -EINVAL;
		seen |= 1u << axes[i];
		r.shape[i] = a->shape[axes[i]];
		r.stride[i] = a->stride[axes[i]];
	}
	*v = r;
	return 0;
}

int
nd_broadcast(struct nd *v, const struct nd *a, int ndim, const int64_t *shape)
{
	struct nd r = *a;
	int i, gap = ndim - a->ndim;

	if (gap < 0 || ndim > ND_DIMS)
		return -EINVAL;
	r.ndim = (uint8_t)ndim;
	for (i = 0; i < ndim; i++) {
		int64_t n = i < gap ? 1 : a->shape[i - gap];

		if (n != shape[i] && n != 1)
			return -EINVAL;
		r.shape[i] = shape[i];
		r.stride[i] = i < gap || n != shape[i] ? 0 : a->stride[i - gap];
	}
	*v = r;
	return 0;
}

int
nd_expand(struct nd *v, const struct nd *a, int axis)
{
	struct nd r = *a;
	int i;

	if (a->ndim == ND_DIMS || axis < 0 || axis > a->ndim)
		return -EINVAL;
	for (i = a->ndim; i > axis; i--) {
		r.shape[i] = r.shape[i - 1];
		r.stride[i] = r.stride[i - 1];
	}
	r.shape[axis] = 1;
	r.stride[axis] = axis < a->ndim ? a->stride[axis] * a->shape[axis] : (int64_t)nd_size(a->type);
	r.ndim++;
	*v = r;
	return 0;
}

int
nd_squeeze(struct nd *v, const struct nd *a, int axis)
{
	struct nd r = *a;
	int i;

	if (axis >= a->ndim || (axis >= 0 && a->shape[axis] != 1))
		return -EINVAL;
	for (i = a->ndim - 1; i >= 0; i--)
		if (i == axis || (axis < 0 && r.shape[i] == 1))
			drop_axis(&r, i);
	*v = r;
	return 0;
}

static int
fill_in(const struct nd *a, int ndim, int64_t *shape)	/* the length that is -1; checks the number of elements */
{
	int64_t all = nd_count(a), n = 1;
	int i, open = -1;

	for (i = 0; i < ndim; i++) {
		if (shape[i] == -1 && open < 0)
			open = i;
		else if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n))
			return -EINVAL;
	}
	if (open >= 0) {
		if (n == 0 || all % n)
			return -EINVAL;
		shape[open] = all / n;
		n = all;
	}
	return n == all ? 0 : -EINVAL;
}

/* Strides for the new shape, if groups of old axes that lie in one line can be cut into groups of new ones. */
int
nd_reshape(struct nd *v, const struct nd *a, int ndim, const int64_t *want)
{
	struct nd r = *a, old = *a;
	int64_t shape[ND_DIMS], np, op;
	int i = 0, j = 0, i0, j0, k;

	if (ndim < 0 || ndim > ND_DIMS)
		return -EINVAL;
	memcpy(shape, want, (size_t)ndim * sizeof *shape);
	if (fill_in(a, ndim, shape) < 0)
		return -EINVAL;
	if (nd_count(a) == 0 || nd_packed(a)) {
		nd_init(&r, a->type, ndim, shape, a->data);
		r.readonly = a->readonly;
		*v = r;
		return 0;
	}
	nd_squeeze(&old, a, -1);
	while (i < old.ndim) {
		for (i0 = i, j0 = j, op = old.shape[i++], np = 1; j < ndim && np < op;)
			np *= shape[j++];
		while (np != op) {
			if (np < op)
				np *= shape[j++];
			else
				op *= old.shape[i++];
		}
		for (k = i0; k < i - 1; k++)
			if (old.stride[k] != old.stride[k + 1] * old.shape[k + 1])
				return -EXDEV;
		for (k = j - 1, op = old.stride[i - 1]; k >= j0; op *= shape[k--])
			r.stride[k] = op;
	}
	for (; j < ndim; j++)				/* trailing axes of length 1 */
		r.stride[j] = (int64_t)nd_size(a->type);
	memcpy(r.shape, shape, sizeof shape);
	r.ndim = (uint8_t)ndim;
	*v = r;
	return 0;
}

int
nd_diagonal(struct nd *v, const struct nd *a)
{
	struct nd r = *a;

	if (a->ndim < 2)
		return -EINVAL;
	if (r.shape[1] < r.shape[0])
		r.shape[0] = r.shape[1];
	r.stride[0] += r.stride[1];
	drop_axis(&r, 1);
	*v = r;
	return 0;
}

int
nd_bitcast(struct nd *v, const struct nd *a, unsigned type)
{
	int64_t was = (int64_t)nd_size(a->type), is = (int64_t)nd_size(type);
	struct nd r = *a;
	int last = a->ndim - 1;

	if (is == 0 || type == ND_BOOL)
		return -EINVAL;
	r.type = (uint8_t)type;
	if (was != is) {			/* the last axis is cut anew */
		if (last < 0 || (r.shape[last] > 1 && r.stride[last] != was) || r.shape[last] * was % is)
			return -EINVAL;
		r.shape[last] = r.shape[last] * was / is;
		r.stride[last] = is;
	}
	*v = r;
	return 0;
}

int
nd_shapes(int *ndim, int64_t shape[ND_DIMS], const struct nd *const *in, int n)
{
	int64_t r[ND_DIMS];
	int i, k, d = 0;

	for (k = 0; k < n; k++)
		d = in[k]->ndim > d ? in[k]->ndim : d;
	for (i = 0; i < d; i++)
		r[i] = 1;
	for (k = 0; k < n; k++)
		for (i = 0; i < in[k]->ndim; i++) {
			int64_t *to = &r[d - in[k]->ndim + i], len = in[k]->shape[i];

			if (*to == 1)
				*to = len;
			else if (len != 1 && len != *to)
				return -EINVAL;
		}
	memcpy(shape, r, (size_t)d * sizeof *r);
	*ndim = d;
	return 0;
}
