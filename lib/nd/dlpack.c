#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "nd/abi.h"

enum { CPU = 1, CUDA_HOST = 3, READ_ONLY = 1 };
#define REACH (INT64_C(1) << 56)	/* bytes from its first element that an array can reach: beyond any memory */

static const struct { uint8_t type, code, bits; } types[] = {
	{ ND_U8, 1, 8 }, { ND_U16, 1, 16 }, { ND_U32, 1, 32 }, { ND_U64, 1, 64 }, { ND_I8, 0, 8 }, { ND_I16, 0, 16 },
	{ ND_I32, 0, 32 }, { ND_I64, 0, 64 }, { ND_F16, 2, 16 }, { ND_F32, 2, 32 }, { ND_F64, 2, 64 }, { ND_BF16, 4, 16 },
	{ ND_C64, 5, 64 }, { ND_C128, 5, 128 }, { ND_BOOL, 6, 8 },
};
enum { NTYPES = sizeof types / sizeof *types };

struct export {
	union {
		struct nd_dl_managed plain;
		struct nd_dl_versioned versioned;
	} u;
	struct nd_keep keep;
	int64_t shape[ND_DIMS], strides[ND_DIMS];
};

static void
export_free(struct export *x)
{
	if (x->keep.release)
		x->keep.release(x->keep.arg);
	free(x);
}

static void
delete_plain(struct nd_dl_managed *t)
{
	export_free(t->manager_ctx);
}

static void
delete_versioned(struct nd_dl_versioned *t)
{
	export_free(t->manager_ctx);
}

static int
export_new(struct export **out, struct nd_dl_tensor *t, const struct nd *a, struct nd_keep keep)
{
	int64_t size = (int64_t)nd_size(a->type);
	struct export *x = calloc(1, sizeof *x);
	int i;

	if (!x)
		return -ENOMEM;
	x->keep = keep;
	*t = (struct nd_dl_tensor){ .data = a->data, .device = { CPU, 0 }, .ndim = a->ndim, .shape = x->shape,
	    .strides = x->strides };
	for (i = 0; i < NTYPES; i++)
		if (types[i].type == a->type) {
			t->dtype.code = types[i].code;
			t->dtype.bits = types[i].bits;
			t->dtype.lanes = 1;
		}
	for (i = 0; i < a->ndim; i++) {
		if (a->stride[i] % size) {
			free(x);
			return -EXDEV;
		}
		x->shape[i] = a->shape[i];
		x->strides[i] = a->stride[i] / size;
	}
	*out = x;
	return 0;
}

int
nd_to_dlpack(struct nd_dl_managed **out, const struct nd *a, struct nd_keep keep)
{
	struct nd_dl_tensor t;
	struct export *x;
	int e;

	if (a->readonly)
		return -EACCES;
	if ((e = export_new(&x, &t, a, keep)) < 0)
		return e;
	x->u.plain = (struct nd_dl_managed){ t, x, delete_plain };
	*out = &x->u.plain;
	return 0;
}

int
nd_to_dlpack_versioned(struct nd_dl_versioned **out, const struct nd *a, struct nd_keep keep)
{
	struct nd_dl_tensor t;
	struct export *x;
	int e;

	if ((e = export_new(&x, &t, a, keep)) < 0)
		return e;
	x->u.versioned = (struct nd_dl_versioned){ { 1, 0 }, x, delete_versioned, a->readonly ? READ_ONLY : 0, t };
	*out = &x->u.versioned;
	return 0;
}

static int
import(struct nd *a, const struct nd_dl_tensor *t)
{
	unsigned char *data = t->data ? (unsigned char *)t->data + t->byte_offset : NULL;
	int64_t reach = 0, d;
	int i, type = 0;

	if ((t->device.type != CPU && t->device.type != CUDA_HOST) || t->dtype.lanes != 1)
		return -EDOM;
	for (i = 0; i < NTYPES; i++)
		if (types[i].code == t->dtype.code && types[i].bits == t->dtype.bits)
			type = types[i].type;
	if (!type || t->ndim > ND_DIMS)
		return -EDOM;
	if (t->ndim < 0 || (t->ndim > 0 && !t->shape) ||
	    nd_init(a, (unsigned)type, t->ndim, t->shape, data) < 0)
		return -EINVAL;
	if (nd_count(a) == 0)			/* its strides lead nowhere */
		return 0;
	for (i = 0; t->strides && i < t->ndim; i++) {
		if (__builtin_mul_overflow(t->strides[i], (int64_t)nd_size((unsigned)type), &a->stride[i]) ||
		    __builtin_mul_overflow(a->stride[i], a->shape[i] - 1, &d) || d > REACH || d < -REACH)
			return -EINVAL;
		reach += d < 0 ? -d : d;	/* at most ND_DIMS of them */
		if (reach > REACH)
			return -EINVAL;
	}
	return 0;
}

static void
drop_plain(void *arg)
{
	struct nd_dl_managed *t = arg;

	if (t->deleter)
		t->deleter(t);
}

static void
drop_versioned(void *arg)
{
	struct nd_dl_versioned *t = arg;

	if (t->deleter)
		t->deleter(t);
}

int
nd_from_dlpack(struct nd *a, struct nd_mem **m, struct nd_dl_managed *t)
{
	struct nd v;
	int e = import(&v, &t->tensor);

	if (e < 0)
		return e;
	if (!(*m = nd_mem_wrap(v.data, nd_bytes(&v), drop_plain, t)))
		return -ENOMEM;
	*a = v;
	return 0;
}

int
nd_from_dlpack_versioned(struct nd *a, struct nd_mem **m, struct nd_dl_versioned *t)
{
	struct nd v;
	int e;

	if (t->version.major != 1)
		return -EDOM;
	if ((e = import(&v, &t->tensor)) < 0)
		return e;
	if (!(*m = nd_mem_wrap(v.data, nd_bytes(&v), drop_versioned, t)))
		return -ENOMEM;
	v.readonly = (t->flags & READ_ONLY) != 0;
	*a = v;
	return 0;
}
