/* nd_abi.c - arrays as DLPack and Arrow structures and back: the memory is the same, and everybody lets go once */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "nd/abi.h"
#include "tap.h"

static int released;

static void
release(void *arg)
{
	released += *(int *)arg;
}

static int one = 1;
static const struct nd_keep keep = { release, &one };
static int64_t data[24];

static struct nd
array(void)
{
	struct nd a;

	for (int i = 0; i < 24; i++)
		data[i] = i;
	nd_init(&a, ND_I64, 3, (int64_t[]){ 2, 3, 4 }, data);
	return a;
}

/* --- DLPack --- */

static void *
drop_elsewhere(void *arg)
{
	nd_mem_drop(arg);
	return NULL;
}

static void
dlpack(void)
{
	struct nd a = array(), b;
	struct nd_dl_managed *t;
	struct nd_mem *m;
	pthread_t thread;

	nd_permute(&a, &a, (int[]){ 2, 0, 1 });
	ok(nd_to_dlpack(&t, &a, keep) == 0 && t->tensor.data == data && t->tensor.device.type == 1 && t->tensor.ndim == 3);
	ok(t->tensor.dtype.code == 0 && t->tensor.dtype.bits == 64 && t->tensor.dtype.lanes == 1 && t->tensor.byte_offset == 0);
	ok(t->tensor.shape[0] == 4 && t->tensor.strides[0] == 1 && t->tensor.strides[1] == 12 && t->tensor.strides[2] == 4);
	ok(nd_from_dlpack(&b, &m, t) == 0 && b.data == (void *)data && nd_equal(&a, &b) && !b.readonly && released == 0);
	nd_mem_hold(m);
	nd_mem_drop(m);
	ok(released == 0);
	ok(pthread_create(&thread, NULL, drop_elsewhere, m) == 0 && pthread_join(thread, NULL) == 0 && released == 1);
	released = 0;

	a.readonly = true;
	ok(nd_to_dlpack(&t, &a, keep) == -EACCES && released == 0);
	a = array();
	nd_init(&a, ND_U8, 1, (int64_t[]){ 24 }, data);
	nd_bitcast(&a, &a, ND_U16);
	a.stride[0] = 3;
	ok(nd_to_dlpack(&t, &a, keep) == -EXDEV && released == 0);
}

static int deleted;

static void
foreign_delete(struct nd_dl_managed *t)
{
	(void)t;
	deleted++;
}

static void
foreign_dlpack(void)			/* as another library fills it */
{
	int64_t shape[2] = { 2, 3 };
	float x[8] = { 0, 0, 1, 2, 3, 4, 5, 6 };
	struct nd_dl_managed t = { .tensor = { .data = x, .device = { 1, 0 }, .ndim = 2, .dtype = { 2, 32, 1 }, .shape = shape,
	    .byte_offset = 8 }, .deleter = foreign_delete };
	struct nd_mem *m;
	struct nd a;

	ok(nd_from_dlpack(&a, &m, &t) == 0 && a.type == ND_F32 && nd_packed(&a) && a.data == (void *)&x[2] && a.shape[1] == 3);
	nd_mem_drop(m);
	ok(deleted == 1);
	t.tensor.device.type = 2;		/* CUDA */
	ok(nd_from_dlpack(&a, &m, &t) == -EDOM && deleted == 1);
	t.tensor.device.type = 1;
	t.tensor.dtype.lanes = 4;
	ok(nd_from_dlpack(&a, &m, &t) == -EDOM);
	t.tensor.dtype.lanes = 1;
	t.tensor.dtype.bits = 24;
	ok(nd_from_dlpack(&a, &m, &t) == -EDOM);
	t.tensor.dtype.bits = 32;
	t.tensor.strides = (int64_t[]){ INT64_MAX / 8, INT64_MIN / 8 };	/* beyond all memory */
	ok(nd_from_dlpack(&a, &m, &t) == -EINVAL && deleted == 1);
	shape[1] = 0;						/* of no elements: they lead nowhere */
	ok(nd_from_dlpack(&a, &m, &t) == 0 && nd_count(&a) == 0 && nd_index(&a, &a, 0, 1) == 0);
	nd_mem_drop(m);
	shape[1] = 3;
	t.tensor.strides = NULL;
	deleted = 1;
	t.tensor.ndim = 9;
	ok(nd_from_dlpack(&a, &m, &t) == -EDOM);
	t.tensor.ndim = 2;
	shape[0] = -1;
	ok(nd_from_dlpack(&a, &m, &t) == -EINVAL);
	t.tensor.ndim = 0;
	t.tensor.shape = NULL;
	t.deleter = NULL;
	ok(nd_from_dlpack(&a, &m, &t) == 0 && a.ndim == 0 && nd_count(&a) == 1);
	nd_mem_drop(m);
}

static void
versioned(void)
{
	struct nd a = array(), b;
	struct nd_dl_versioned *t;
	struct nd_mem *m;

	released = 0;
	a.readonly = true;
	ok(nd_to_dlpack_versioned(&t, &a, keep) == 0 && t->version.major == 1 && t->flags == 1);
	ok(nd_from_dlpack_versioned(&b, &m, t) == 0 && b.readonly && nd_equal(&a, &b));
	nd_mem_drop(m);
	ok(released == 1);
	nd_to_dlpack_versioned(&t, &a, keep);
	t->version.major = 2;
	ok(nd_from_dlpack_versioned(&b, &m, t) == -EDOM);
	t->deleter(t);
	ok(released == 2);
}

/* --- Arrow --- */

static void
arrow(void)
{
	struct nd a = array(), b, valid;
	struct ArrowSchema s;
	struct ArrowArray r, child;
	struct nd_mem *m, *vm;

	released = 0;
	ok(nd_to_arrow(&s, &r, &a, keep) == 0);
	ok(strcmp(s.format, "+w:3") == 0 && strcmp(s.children[0]->format, "+w:4") == 0 && strcmp(s.children[0]->children[0]->format, "l") == 0);
	ok(r.length == 2 && r.n_buffers == 1 && r.children[0]->length == 6 && r.children[0]->children[0]->length == 24);
	ok(r.children[0]->children[0]->buffers[1] == data && r.null_count == 0);
	ok(nd_from_arrow(&b, &m, &valid, &vm, &s, &r) == 0 && !vm && !s.release && !r.release && nd_equal(&a, &b) && b.data == (void *)data);
	ok(released == 0 && b.readonly);
	nd_mem_drop(m);
	ok(released == 1);

	nd_to_arrow(&s, &r, &a, keep);		/* a consumer that moves a child out and releases the rest */
	child = *r.children[0]->children[0];
	r.children[0]->children[0]->release = NULL;
	r.release(&r);
	s.release(&s);
	ok(released == 1 && ((const int64_t *)child.buffers[1])[23] == 23);
	child.release(&child);
	ok(released == 2);

	a.stride[0] *= 2;
	ok(nd_to_arrow(&s, &r, &a, keep) == -EXDEV && released == 2);
	nd_init(&a, ND_C64, 1, (int64_t[]){ 2 }, data);
	ok(nd_to_arrow(&s, &r, &a, keep) == -EDOM && released == 2);
}

static int arrays_released, schemas_released;

static void
array_release(struct ArrowArray *a)
{
	arrays_released++;
	a->release = NULL;
}

static void
schema_release(struct ArrowSchema *s)
{
	schemas_released++;
	s->release = NULL;
}

static void
foreign_arrow(void)			/* with an offset, nulls, bits, names of times */
{
	int32_t x[6] = { -1, 10, 11, 12, 13, -1 };
	unsigned char bits = 0x3f & ~(1 << 2);			/* the second of the four is null */
	const void *buffers[2] = { &bits, x }, *list_buffers[1] = { NULL }, *fake[2] = { NULL, x };
	struct ArrowSchema s = { .format = "i", .flags = 2, .release = schema_release }, item = s, *items = &item;
	struct ArrowArray r = { .length = 4, .null_count = -1, .offset = 1, .n_buffers = 2, .buffers = buffers, .release = array_release };
	struct ArrowArray inner = r, *inners = &inner, keeper = r;
	struct nd_mem *m, *vm;
	struct nd a, valid;

	ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) == 0 && a.data == (void *)&x[1] && a.shape[0] == 4 && a.type == ND_I32);
	ok(vm && valid.data[0] && !valid.data[1] && valid.data[2] && valid.data[3] && !r.release && schemas_released == 1);
	nd_mem_drop(vm);
	nd_mem_drop(m);
	ok(arrays_released == 1);

	s = (struct ArrowSchema){ .format = "+w:2", .n_children = 1, .children = &items, .release = schema_release };
	r = (struct ArrowArray){ .length = 1, .offset = 1, .n_buffers = 1, .n_children = 1, .buffers = list_buffers, .children = &inners,
	    .release = array_release };
	ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) == 0 && a.ndim == 2 && a.shape[0] == 1 && a.shape[1] == 2 && a.data == (void *)&x[3]);
	ok(!vm || (valid.data[0] && valid.data[1]));	/* elements 3 and 4 of the buffer: none is null */
	nd_mem_drop(vm);
	nd_mem_drop(m);

	s = (struct ArrowSchema){ .format = "b", .release = schema_release };
	r = keeper;
	r.buffers = fake;
	x[0] = 0x2a;
	r.offset = 1;
	ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) == 0 && a.type == ND_BOOL && a.data[0] == 1 && a.data[1] == 0 && a.data[2] == 1 && !a.readonly);
	ok(arrays_released == 3 && !vm);		/* copied: nothing to wait for */
	nd_mem_drop(m);

	for (size_t i = 0; i < 3; i++) {
		static const char *const good[] = { "tsm:Europe/Paris", "tdD", "tDn" };

		s = (struct ArrowSchema){ .format = good[i], .release = schema_release };
		r = keeper;
		r.length = 1;
		ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) == 0 && nd_kind(a.type) == 'i');
		nd_mem_drop(vm);
		nd_mem_drop(m);
	}
	for (size_t i = 0; i < 5; i++) {
		static const char *const bad[] = { "u", "+l", "tsx:", "+w:x", "d:19,10" };

		s = (struct ArrowSchema){ .format = bad[i], .release = schema_release };
		r = keeper;
		arrays_released = schemas_released = 0;
		ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) < 0 && r.release && arrays_released == 0 && schemas_released == 0);
	}
	s = (struct ArrowSchema){ .format = "+w:3", .n_children = 1, .children = &items, .release = schema_release };
	item = (struct ArrowSchema){ .format = "i", .release = schema_release };
	r = (struct ArrowArray){ .length = 2, .n_buffers = 1, .n_children = 1, .buffers = list_buffers, .children = &inners, .release = array_release };
	inner = keeper;				/* four elements cannot be two lists of three */
	ok(nd_from_arrow(&a, &m, &valid, &vm, &s, &r) == -EINVAL);
}

int
main(void)
{
	dlpack();
	foreign_dlpack();
	versioned();
	arrow();
	foreign_arrow();
	return tap_done();
}
