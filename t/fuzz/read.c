/*
 * read.c - encoded values as C programs read them (rota.h), without building anything: the first byte is their number
 */
#include "../fuzz.h"
#include "capi/inner.h"
#include "wire/val.h"

static void
look(const void *p, size_t n)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < n; i++)
		sum ^= ((const unsigned char *)p)[i];
	(void)sum;
}

static void
value(const struct rota_value *v, unsigned depth)
{
	struct rota_value e;
	struct rota_iter it;

	switch (v->type) {
	case ROTA_STRING: case ROTA_ERROR: look(v->s, v->n); break;
	case ROTA_BUFFER:
		look(v->p, v->n);
		for (unsigned i = 0; i < v->ndim; i++)
			rota_shape(v, i);
		break;
	case ROTA_ARRAY: case ROTA_MAP:
		fuzz_must(rota_iter(&it, v) == 0);
		while (depth < 4 && rota_next(&it, &e) > 0)
			value(&e, depth + 1);
		if (v->type == ROTA_MAP)
			rota_field(v, "x", &e);
		else
			rota_at(v, v->n / 2, &e);
		break;
	default: break;
	}
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	unsigned nvals;
	unsigned char *q;
	struct rota_value v;
	struct mp m;

	if (n < 1)
		return;
	nvals = *p;
	q = fuzz_copy(p + 1, n -= 1);
	m = (struct mp){ q, q + n };
	for (unsigned i = 0; i < nvals && cread_value(&m, &v, FORM_ARGS, NULL) == 0; i++) {
		fuzz_must(m.p > q && m.p <= m.end);
		value(&v, 0);
	}
	free(q);
}

void
fuzz_seeds(void)
{
	struct val_buffer v = { .dtype = VAL_F64, .ndim = 2, .shape = { 1, 2 }, .bytes = 16, .p = (const unsigned char *)"0123456789abcdef" };
	struct buf b = BUF_INIT;

	buf_add(&b, "\6", 1);
	mp_put_raw(&b, "\x93\1\xa1s\x82\xa1x\1\2\xc0", 11);
	val_buffer_put(&b, &v);
	val_error(&b, ERR_CRASHED, "worker died", "sq.lua:2", "node1", 2, "stack");
	mp_put_float(&b, 1.5);
	mp_put_ext(&b, VAL_OOB, "\1\0\0\0\x10\0\0\0\0\0\0\0\0", 13);
	mp_put_raw(&b, "\xd6\x0b\0\0\0\0\x81\xa1t\xd6\x0c\0\0\0\0", 16);
	fuzz_seed(b.data, b.len);
	buf_release(&b);
}
