/* part - slices (wire/val.h), and objects as descriptors: bytes that lie in another object, or that programs are to read */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "capi/inner.h"
#include "os/fd.h"
#include "wire/val.h"

int
rota_slice(struct rota_ctx *x, struct rota_ref *ref, uint64_t from, uint64_t n, struct rota_ref **out)
{
	uint64_t last = n < INT64_MAX && from < INT64_MAX - n ? from + n : INT64_MAX;
	struct buf b = BUF_INIT;
	struct wref w;
	struct rec *r;
	int e;

	if (from >= INT64_MAX)
		return capi_say(ROTA_EVALUE, "a slice that begins behind everything");
	client_export(x->c, rec_of(ref), &w);
	/* an empty one: its end is before its begin, and is no number that counts from the end */
	if ((e = val_slice_put(&b, &w, n ? (int64_t)from + 1 : 2, n ? (int64_t)last : 1)) == 0)
		e = client_put(x->c, &(struct payload){ b.data, b.len, 1, PAYLOAD_REFS, NULL, 0 }, &r);
	buf_release(&b);
	if (e < 0)
		return capi_failed(x, e);
	*out = ref_of(r);
	return 0;
}

bool
cread_is_slice(const struct rota_value *v)
{
	struct mp m = { v->p, (const unsigned char *)v->p + MP_MAX_HEAD + WREF_SIZE + 2 * MP_MAX_SCALAR };
	struct mp_tok t;

	return v->type == ROTA_OTHER && mp_next(&m, &t) == 0 && t.kind == MP_EXT && t.ext == VAL_SLICE;
}

/* of a buffer: rows; a buffer that was cut already has only its bytes to tell how many rows it has */
static int
cut(struct rota_value *v, int64_t i, int64_t j)
{
	uint64_t first, count, row = 1;

	if (v->type == ROTA_STRING) {
		val_slice_range(v->n, i, j, &first, &count);
		v->s += first;
		v->n = count;
		return 0;
	}
	if (v->type != ROTA_BUFFER || v->ndim == 0)
		return capi_say(ROTA_EVALUE, "only strings and buffers can be cut");
	row = rota_dtype_size(v->dtype);
	for (unsigned k = 1; k < v->ndim; k++)
		row *= rota_shape(v, k);
	val_slice_range(rota_shape(v, 0), i, j, &first, &count);
	v->p = (const char *)v->p + first * row;
	v->n = count * row;
	v->form = FORM_CUT;
	return 0;
}

int
cread_slice(struct rota_ctx *x, struct rota_value *v, bool args, struct rec **hold)
{
	struct mp m = { v->p, (const unsigned char *)v->p + MP_MAX_HEAD + WREF_SIZE + 2 * MP_MAX_SCALAR };
	struct mp_tok t = { 0 };
	struct wref w;
	int64_t i, j;
	bool was;
	int e;

	if (mp_next(&m, &t) < 0 || t.kind != MP_EXT || val_slice_get(t.p, t.n, &w, &i, &j) < 0)
		return ROTA_EPROTO;
	was = args && client_decoding(x->c, true);
	*hold = client_import(x->c, &w);
	if (args)
		client_decoding(x->c, was);
	if (!*hold)
		return -ENOMEM;
	if ((e = rota_get(x, ref_of(*hold), v, ROTA_FOREVER)) < 0 || (e = cut(v, i, j)) < 0) {
		client_release(x->c, *hold);
		*hold = NULL;
	}
	return e;
}

/* what does not lie in the store, in a file of its own */
static int
copy(const void *p, size_t n)
{
	int fd = memfd_create("rota-value", MFD_CLOEXEC), e;

	if (fd < 0)
		return -errno;
	if ((e = n ? fd_write_all(fd, p, n) : 0) < 0) {
		close(fd);
		return e;
	}
	return fd;
}

int
rota_ref_fd(struct rota_ctx *x, struct rota_ref *r, uint64_t *off, uint64_t *n)
{
	const struct arena *a = client_arena(x->c);
	uint64_t at = 0;
	struct rota_value v;
	uintptr_t p;
	int e = rota_get(x, r, &v, ROTA_FOREVER);

	if (e < 0)
		return e;
	if (v.type != ROTA_STRING && v.type != ROTA_BUFFER)
		return capi_say(ROTA_EVALUE, "only a string or a buffer has bytes that a program could read");
	p = (uintptr_t)(v.type == ROTA_STRING ? v.s : v.p);
	if (p >= (uintptr_t)a->base && p < (uintptr_t)a->base + a->bytes) {
		at = p - (uintptr_t)a->base;
		e = client_arena_fd(x->c);
	} else {
		e = copy((const void *)p, v.n);
	}
	if (e < 0)
		return capi_failed(x, e);
	if (off)
		*off = at;
	if (n)
		*n = v.n;
	return e;
}
