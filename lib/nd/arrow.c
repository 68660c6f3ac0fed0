#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nd/abi.h"

static const struct { uint8_t type; char format[8]; } formats[] = {
	{ ND_I8, "c" }, { ND_U8, "C" }, { ND_I16, "s" }, { ND_U16, "S" }, { ND_I32, "i" }, { ND_U32, "I" }, { ND_I64, "l" },
	{ ND_U64, "L" }, { ND_F16, "e" }, { ND_F32, "f" }, { ND_F64, "g" }, { ND_BOOL, "b" },
	/* read only: what is an integer underneath */
	{ ND_I32, "tdD" }, { ND_I64, "tdm" }, { ND_I32, "tts" }, { ND_I32, "ttm" }, { ND_I64, "ttu" }, { ND_I64, "ttn" },
	{ ND_I64, "tDs" }, { ND_I64, "tDm" }, { ND_I64, "tDu" }, { ND_I64, "tDn" }, { ND_I32, "tiM" },
};

/* --- out --- */

static void
schema_release(struct ArrowSchema *s)
{
	int64_t i;

	for (i = 0; i < s->n_children; i++) {
		if (s->children[i]->release)
			s->children[i]->release(s->children[i]);
		free(s->children[i]);
	}
	free(s->private_data);
	s->release = NULL;
}

struct level {				/* one axis */
	const void *buffers[2];
	struct ArrowArray *child;
	void *bits;			/* of bools */
	struct nd_keep keep;		/* of the innermost */
};

static void
array_release(struct ArrowArray *a)
{
	struct level *l = a->private_data;

	if (l->child) {
		if (l->child->release)
			l->child->release(l->child);
		free(l->child);
	}
	free(l->bits);
	if (l->keep.release)
		l->keep.release(l->keep.arg);
	free(l);
	a->release = NULL;
}

static int
schema_level(struct ArrowSchema *s, const struct nd *a, int axis)
{
	struct { struct ArrowSchema *child; char format[32]; } *p = calloc(1, sizeof *p);
	bool leaf = axis + 1 >= a->ndim;
	size_t i;

	if (!p)
		return -ENOMEM;
	*s = (struct ArrowSchema){ .format = p->format, .name = axis ? "item" : "", .private_data = p };
	if (leaf) {
		for (i = 0; i < sizeof formats / sizeof *formats && !p->format[0]; i++)
			if (formats[i].type == a->type)
				memcpy(p->format, formats[i].format, sizeof formats[i].format);
	} else
		snprintf(p->format, sizeof p->format, "+w:%lld", (long long)a->shape[axis + 1]);
	s->release = schema_release;
	if (leaf)
		return 0;
	if (!(p->child = calloc(1, sizeof *p->child)) || schema_level(p->child, a, axis + 1) < 0) {
		free(p->child);
		free(p);
		s->release = NULL;
		return -ENOMEM;
	}
	s->n_children = 1;
	s->children = &p->child;
	return 0;
}

static unsigned char *
pack_bits(const struct nd *a)
{
	int64_t i, n = nd_count(a);
	unsigned char *bits = calloc(1, (size_t)n / 8 + 64);

	for (i = 0; bits && i < n; i++)
		bits[i / 8] |= (unsigned char)((a->data[i] != 0) << i % 8);
	return bits;
}

static int
array_level(struct ArrowArray *r, const struct nd *a, int axis, int64_t length, struct nd_keep keep)
{
	struct level *l = calloc(1, sizeof *l);
	bool leaf = axis + 1 >= a->ndim;

	if (!l)
		return -ENOMEM;
	*r = (struct ArrowArray){ .length = length, .n_buffers = leaf ? 2 : 1, .buffers = l->buffers, .private_data = l };
	if (leaf) {
		l->buffers[1] = a->data;
		if (a->type == ND_BOOL && !(l->buffers[1] = l->bits = pack_bits(a)))
			goto fail;
		l->keep = keep;
	} else {
		if (!(l->child = calloc(1, sizeof *l->child)) ||
		    array_level(l->child, a, axis + 1, length * a->shape[axis + 1], keep) < 0)
			goto fail;
		r->n_children = 1;
		r->children = &l->child;
	}
	r->release = array_release;
	return 0;
fail:
	free(l->child);
	free(l);
	r->release = NULL;
	return -ENOMEM;
}

int
nd_to_arrow(struct ArrowSchema *schema, struct ArrowArray *array, const struct nd *a, struct nd_keep keep)
{
	int e;

	if (a->type == ND_BF16 || nd_kind(a->type) == 'c')
		return -EDOM;
	if (!nd_packed(a))
		return -EXDEV;
	if ((e = schema_level(schema, a, 0)) < 0)
		return e;
	if ((e = array_level(array, a, 0, a->ndim ? a->shape[0] : 1, keep)) < 0)
		schema->release(schema);
	return e;
}

/* --- in --- */

static unsigned
type_of(const char *format)
{
	size_t i, n;

	for (i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].format, format) == 0)
			return formats[i].type;
	n = strcspn(format, ":");		/* a timestamp: with the name of a zone */
	return n == 3 && memcmp(format, "ts", 2) == 0 && strchr("smun", format[2]) && format[n] ? ND_I64 : 0;
}

struct nest {
	const struct ArrowArray *level[ND_DIMS];
	int64_t first[ND_DIMS];		/* of the elements that are meant, at each level */
	int n;
};

/* Goes down the lists of fixed size: shape, and the array of each level. */
static int
descend(struct nest *d, int64_t shape[ND_DIMS], unsigned *type, const struct ArrowSchema *s, const struct ArrowArray *a)
{
	int64_t first = 0, count = a->length;

	for (d->n = 0;; s = s->children[0], a = a->children[0]) {
		char *end;

		if (d->n == ND_DIMS || s->dictionary)
			return -EDOM;
		if (a->length < 0 || a->offset < 0 || !s->format || __builtin_add_overflow(first, a->offset, &first))
			return -EINVAL;
		if (count > a->length - (first - a->offset))
			return -EINVAL;
		d->level[d->n] = a;
		d->first[d->n] = first;
		if (d->n == 0)
			shape[0] = count;
		d->n++;
		if (strncmp(s->format, "+w:", 3) != 0)
			break;
		if (d->n == ND_DIMS)
			return -EDOM;
		shape[d->n] = strtoll(s->format + 3, &end, 10);
		if (*end || shape[d->n] < 0 || s->n_children != 1 || a->n_children != 1 || a->n_buffers != 1 ||
		    __builtin_mul_overflow(first, shape[d->n], &first) || __builtin_mul_overflow(count, shape[d->n], &count))
			return -EINVAL;
	}
	*type = type_of(s->format);
	return !*type ? -EDOM : a->n_buffers != 2 || (count > 0 && !a->buffers[1]) ? -EINVAL : 0;
}

static bool
bit(const void *bits, int64_t i)
{
	return ((const unsigned char *)bits)[i / 8] >> i % 8 & 1;
}

static int
validity(struct nd *valid, struct nd_mem **vm, const struct nest *d, const struct nd *a)
{
	int64_t count = 1, each, i, rest;
	bool nulls = false;
	int k;

	*vm = NULL;
	for (k = 0; k < d->n; k++)
		nulls |= d->level[k]->buffers[0] && d->level[k]->null_count != 0;
	if (!nulls)
		return 0;
	if (!(*vm = nd_mem_new((size_t)nd_count(a))))
		return -ENOMEM;
	nd_init(valid, ND_BOOL, a->ndim, a->shape, (*vm)->data);
	memset(valid->data, 1, (size_t)nd_count(a));
	rest = nd_count(a);
	for (k = 0; k < d->n && rest > 0; k++) {
		count *= a->shape[k];
		each = rest / count;
		for (i = 0; d->level[k]->buffers[0] && i < count; i++)
			if (!bit(d->level[k]->buffers[0], d->first[k] + i))
				memset(valid->data + i * each, 0, (size_t)each);
	}
	return 0;
}

static void
moved_release(void *arg)
{
	struct ArrowArray *a = arg;

	if (a->release)
		a->release(a);
	free(a);
}

static int
import_bits(struct nd *a, struct nd_mem **m, const struct nest *d, struct ArrowArray *array)
{
	int64_t i, n = nd_count(a);

	if (!(*m = nd_mem_new((size_t)n)))
		return -ENOMEM;
	a->data = (*m)->data;
	for (i = 0; i < n; i++)
		a->data[i] = bit(d->level[d->n - 1]->buffers[1], d->first[d->n - 1] + i);
	if (array->release)
		array->release(array);
	return 0;
}

int
nd_from_arrow(struct nd *a, struct nd_mem **m, struct nd *valid, struct nd_mem **vm, struct ArrowSchema *schema,
    struct ArrowArray *array)
{
	struct ArrowArray *moved = NULL;
	int64_t shape[ND_DIMS];
	unsigned type;
	struct nest d;
	struct nd v;
	int64_t at;
	int e;

	if (!schema->release || !array->release)
		return -EINVAL;
	if ((e = descend(&d, shape, &type, schema, array)) < 0)
		return e;
	if (nd_init(&v, type, d.n, shape, NULL) < 0 || __builtin_mul_overflow(d.first[d.n - 1], (int64_t)nd_size(type), &at))
		return -EINVAL;
	if ((e = validity(valid, vm, &d, &v)) < 0)
		return e;
	if (type == ND_BOOL) {
		if ((e = import_bits(&v, m, &d, array)) < 0)
			goto fail;
	} else {
		v.data = nd_count(&v) ? (unsigned char *)(uintptr_t)d.level[d.n - 1]->buffers[1] + at : NULL;
		v.readonly = true;
		e = -ENOMEM;
		if (!(moved = malloc(sizeof *moved)) || !(*m = nd_mem_wrap(v.data, nd_bytes(&v), moved_release, moved)))
			goto fail;
		*moved = *array;
		array->release = NULL;
	}
	if (schema->release)
		schema->release(schema);
	*a = v;
	return 0;
fail:
	free(moved);
	nd_mem_drop(*vm);
	*vm = NULL;
	return e;
}
