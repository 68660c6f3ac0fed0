/*
 * abi - arrays as the structures of DLPack (dmlc/dlpack, dlpack.h 1.0) and of the Arrow C data interface
 * (arrow.apache.org/docs/format/CDataInterface.html), in both directions and without copying the elements.
 *
 * What is exported keeps the elements alive by a struct nd_keep until the consumer calls the deleter or release, in
 * whatever thread.  What is imported belongs to the struct nd_mem that is returned; dropping it calls them.
 *
 * Errors: -EDOM a type, device or layout that has no counterpart, -EINVAL a structure that is not valid, -EACCES
 * read-only elements in a form that cannot say so, -EXDEV strides that the form does not have (pack first), -ENOMEM.
 */
#ifndef ND_ABI_H
#define ND_ABI_H

#include "nd/nd.h"

/* --- DLPack --- */

struct nd_dl_tensor {
	void *data;
	struct { int32_t type, id; } device;	/* 1: CPU */
	int32_t ndim;
	struct { uint8_t code, bits; uint16_t lanes; } dtype;	/* 0 int, 1 unsigned, 2 float, 4 bfloat, 5 complex, 6 bool */
	int64_t *shape, *strides;		/* in elements; strides NULL: row order */
	uint64_t byte_offset;
};
struct nd_dl_managed {				/* DLManagedTensor */
	struct nd_dl_tensor tensor;
	void *manager_ctx;
	void (*deleter)(struct nd_dl_managed *self);
};
struct nd_dl_versioned {			/* DLManagedTensorVersioned */
	struct { uint32_t major, minor; } version;
	void *manager_ctx;
	void (*deleter)(struct nd_dl_versioned *self);
	uint64_t flags;				/* 1: read-only */
	struct nd_dl_tensor tensor;
};

/* Who keeps exported elements alive: release(arg) is called once, when they are not needed any more. */
struct nd_keep {
	void (*release)(void *arg);
	void *arg;
};

/* On failure keep is still the caller's.  Strides that are no multiple of an element: -EXDEV. */
int	nd_to_dlpack(struct nd_dl_managed **out, const struct nd *a, struct nd_keep keep);	/* -EACCES if read-only */
int	nd_to_dlpack_versioned(struct nd_dl_versioned **out, const struct nd *a, struct nd_keep keep);
/* On success the structure is ours: *m calls its deleter.  On failure it is still the caller's. */
int	nd_from_dlpack(struct nd *a, struct nd_mem **m, struct nd_dl_managed *t);
int	nd_from_dlpack_versioned(struct nd *a, struct nd_mem **m, struct nd_dl_versioned *t);

/* --- Arrow --- */

struct ArrowSchema {
	const char *format, *name, *metadata;
	int64_t flags, n_children;
	struct ArrowSchema **children, *dictionary;
	void (*release)(struct ArrowSchema *self);	/* NULL: released, or moved elsewhere */
	void *private_data;
};
struct ArrowArray {
	int64_t length, null_count, offset, n_buffers, n_children;
	const void **buffers;
	struct ArrowArray **children, *dictionary;
	void (*release)(struct ArrowArray *self);
	void *private_data;
};

/*
 * One axis: an array of that type; more: lists of fixed size within each other.  bool is packed into bits, which is a
 * copy.  a must be packed, else -EXDEV; complex and bf16 have no Arrow type.  Fills the caller's structures.
 */
int	nd_to_arrow(struct ArrowSchema *schema, struct ArrowArray *array, const struct nd *a, struct nd_keep keep);
/*
 * Numbers, bool (a copy), dates, times, timestamps and durations (as their integers), and lists of fixed size of
 * these.  The array is moved into *m and the schema released, on success only.  valid, *vm: an array of bool of the
 * same shape, false where the value is null; *vm is NULL if there is no bitmap of nulls.  The elements are read-only.
 */
int	nd_from_arrow(struct nd *a, struct nd_mem **m, struct nd *valid, struct nd_mem **vm, struct ArrowSchema *schema,
	    struct ArrowArray *array);

#endif
