/*
 * nd.c - arrays from elsewhere: structures of DLPack and of the Arrow C interface with any numbers in them
 * Their memory is there for what they claim, as the formats demand, or they claim too much and are refused.
 */
#include "../fuzz.h"
#include <errno.h>
#include <inttypes.h>
#include "nd/abi.h"

enum { ROOM = 4096, NODES = 4 };

static unsigned released;
static unsigned char room[ROOM];

static void
array_release(struct ArrowArray *a)
{
	released++;
	a->release = NULL;
}

static void
schema_release(struct ArrowSchema *s)
{
	s->release = NULL;
}

static void
dl_deleter(struct nd_dl_managed *t)
{
	(void)t;
	released++;
}

static int64_t
number(struct fuzz *f)			/* mostly small, sometimes what overflows */
{
	static const int64_t loud[] = { INT64_MAX, INT64_MIN, -1, INT64_C(1) << 62, INT64_C(1) << 32, INT64_MAX / 8, INT32_MAX, 1000 };
	uint64_t c = fuzz_int(f, 1);

	return c < 224 ? (int64_t)(c % 17) : loud[c % 8];
}

static void
look(const struct nd *a)		/* all elements, where they fit */
{
	struct buf b = BUF_INIT;

	if (nd_bytes(a) <= ROOM)
		nd_print(&b, a);
	buf_release(&b);
}

static bool
fits(const struct nd *a)		/* what the format demands: all of it lies in the memory given */
{
	int64_t lo = 0, hi = 0;

	for (int k = 0; k < a->ndim; k++) {
		int64_t last;

		if (a->shape[k] == 0)
			return true;
		if (__builtin_mul_overflow(a->shape[k] - 1, a->stride[k], &last) ||
		    __builtin_add_overflow(last > 0 ? hi : lo, last, last > 0 ? &hi : &lo))
			return false;
	}
	return a->data >= room && a->data < room + ROOM && lo >= room - a->data && hi <= room + ROOM - a->data - (int64_t)nd_size(a->type);
}

static void
dlpack(struct fuzz *f)
{
	struct nd_dl_managed t = { .deleter = dl_deleter };
	int64_t shape[12], strides[12];
	struct nd_mem *m = NULL;
	struct nd a;

	t.tensor.device.type = 1 + (fuzz_int(f, 1) & 3);
	t.tensor.ndim = (int32_t)number(f);
	t.tensor.dtype.code = (uint8_t)(fuzz_int(f, 1) & 7);
	t.tensor.dtype.bits = (uint8_t)(8u << (fuzz_int(f, 1) & 7));
	t.tensor.dtype.lanes = fuzz_int(f, 1) == 7 ? 2 : 1;
	t.tensor.byte_offset = (uint64_t)number(f) & 0xfff0;
	t.tensor.data = room;
	t.tensor.shape = shape;
	for (int i = 0; i < 12; i++)
		shape[i] = number(f);
	if (fuzz_int(f, 1) & 1) {
		t.tensor.strides = strides;
		for (int i = 0; i < 12; i++)
			strides[i] = number(f);
	}
	released = 0;
	if (nd_from_dlpack(&a, &m, &t) == 0) {
		fuzz_must(a.ndim == t.tensor.ndim && a.ndim <= ND_DIMS);
		if (fits(&a))
			look(&a);
		nd_mem_drop(m);
		fuzz_must(released == 1);
	} else {
		fuzz_must(released == 0);
	}
}

static void
arrow(struct fuzz *f)
{
	static const char *const formats[] = { "+w:2", "+w:3", "+w:0", "l", "i", "b", "g", "c", "tsn:UTC", "tdD", "+w:-1", "+w:9223372036854775807",
		"+w:2x", "u", "", "ts", "+w:" };
	struct ArrowSchema s[NODES + 1] = { 0 }, *sc[NODES];
	struct ArrowArray a[NODES + 1] = { 0 }, *ac[NODES];
	const void *buffers[NODES + 1][2];
	struct nd_mem *m = NULL, *vm = NULL;
	struct nd v, valid;
	bool huge = false;
	int e;

	for (int i = 0; i <= NODES; i++) {
		uint64_t how = fuzz_int(f, 1);

		s[i].format = i < NODES ? formats[fuzz_int(f, 1) % (sizeof formats / sizeof *formats)] : "l";
		s[i].release = schema_release;
		a[i].release = array_release;
		a[i].length = number(f);
		a[i].offset = number(f);
		a[i].null_count = (int64_t)(how & 1) - 1;
		a[i].n_buffers = how & 2 ? number(f) : s[i].format[0] == '+' ? 1 : 2;
		a[i].buffers = buffers[i];
		buffers[i][0] = how & 4 ? room : NULL;
		buffers[i][1] = room;
		huge |= a[i].length > 16 || a[i].offset > 16;
		if (i < NODES) {
			sc[i] = &s[i + 1];
			ac[i] = &a[i + 1];
			s[i].n_children = a[i].n_children = how & 8 ? number(f) : 1;
			s[i].children = &sc[i];
			a[i].children = &ac[i];
		}
	}
	for (int i = 0; i <= NODES && huge; i++) {		/* bits are read at once: they would have to be there */
		buffers[i][0] = NULL;
		if (strcmp(s[i].format, "b") == 0)
			s[i].format = "l";
	}
	released = 0;
	e = nd_from_arrow(&v, &m, &valid, &vm, &s[0], &a[0]);
	if (e < 0) {
		fuzz_must(released == 0 && !vm && e >= -200);
		return;
	}
	if (fits(&v))
		look(&v);
	if (vm)
		look(&valid);
	nd_mem_drop(m);
	nd_mem_drop(vm);
	fuzz_must(released == 1);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };

	(fuzz_int(&f, 1) & 1 ? dlpack : arrow)(&f);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\0\2\2\3\0\0\2\3\0\0\0\0\0\0\0\0\0\0", 19);
	fuzz_seed("\1\0\2\2\2\0\0\2\3\0\0\0\0\0\0\0\0\0\0\1\14\4", 22);
	fuzz_seed("\0\0\3\4\1", 5);
	fuzz_seed("\0\0\0\2\1\0\5\6\1", 9);
	fuzz_seed("\0\4\0\2\1\4\5\6\1", 9);
}
