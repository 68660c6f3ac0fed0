#include <errno.h>
#include <string.h>
#include "base/err.h"
#include "store/arena_layout.h"

/* A buffer's place, loaded once and checked: it lies in the block, after the table. */
static int
span_load(const unsigned char *base, const struct obj_view *v, unsigned i, const unsigned char **p, uint64_t *len)
{
	const volatile struct obj_span *s =
	    (const struct obj_span *)(const void *)(base + v->off + sizeof(struct obj_hdr)) + i;
	uint64_t off = s->off, n = s->len;

	if (off % 64 || off < sizeof(struct obj_hdr) + v->nbuf * sizeof(struct obj_span) || off > v->run ||
	    n > v->run - off)
		return ERR_PROTO;
	*p = base + v->off + off;
	*len = n;
	return 0;
}

int
arena_view(const struct arena *a, uint64_t off, uint32_t gen, struct obj_view *v)
{
	const volatile struct obj_hdr *h;
	uint64_t table;
	int e;

	if (off % 64 || off < ARENA_GRANULE || off > a->bytes - sizeof *h)
		return ERR_PROTO;
	h = arena_hdr(a->base, off);
	if (h->magic != OBJ_MAGIC ||
	    atomic_load_explicit(&h->word, memory_order_acquire) != obj_word(gen, OBJ_SEALED))
		return ERR_NOTFOUND;		/* acquire: pairs with arena_seal */
	v->off = off;
	v->gen = gen;
	v->id.node = h->id.node;
	v->id.proc = h->id.proc;
	v->id.seq = h->id.seq;
	v->proc = h->proc;
	v->nbuf = h->nbuf;
	v->flags = h->flags;
	v->size = h->size;
	v->headlen = h->headlen;
	v->run = atomic_load_explicit(&h->run, memory_order_relaxed);
	table = sizeof *h + v->nbuf * sizeof(struct obj_span);
	if (v->run > a->bytes - off || v->run < table || v->headlen > v->run - table || v->size > v->run)
		return ERR_PROTO;
	v->head = a->base + off + table;
	for (unsigned i = 0; i < v->nbuf && i < OBJ_VIEW_BUFS; i++)
		if ((e = span_load(a->base, v, i, &v->buf[i].p, &v->buf[i].len)) < 0)
			return e;
	return 0;
}

int
obj_view_buf(const struct arena *a, const struct obj_view *v, unsigned i, const unsigned char **p, uint64_t *len)
{
	if (i >= v->nbuf)
		return ERR_NOTFOUND;
	if (i >= OBJ_VIEW_BUFS)
		return span_load(a->base, v, i, p, len);
	*p = v->buf[i].p;
	*len = v->buf[i].len;
	return 0;
}

int
arena_pin(const struct arena *a, _Atomic uint64_t *slot, unsigned n, unsigned *hint, uint64_t off, uint32_t gen)
{
	int i;

	if (off % 64 || off < ARENA_GRANULE || off > a->bytes - sizeof(struct obj_hdr))
		return ERR_PROTO;
	i = pin_take(slot, n, hint, &arena_hdr(a->base, off)->word, off, gen);
	if (i >= 0)
		return i;
	return i == PIN_FULL ? -ENOSPC : i == PIN_LATER ? -EAGAIN : ERR_NOTFOUND;
}

void
arena_copy(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);	/* glibc's goes around the cache where that is faster: measured, nothing beats it */
}
