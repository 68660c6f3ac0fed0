/* arena_fill.c - room in the node's own extents, for what comes from the disk or from another node */
#include <errno.h>
#include "base/err.h"
#include "store/arena_fill.h"
#include "store/arena_impl.h"

uint64_t
arena_travels(const struct arena *a, const struct obj_view *v)
{
	uint64_t end = sizeof(struct obj_hdr) + v->nbuf * sizeof(struct obj_span) + v->headlen, to, len;
	const unsigned char *p;

	for (unsigned i = 0; i < v->nbuf; i++)
		if (obj_view_buf(a, v, i, &p, &len) == 0 && (to = (uint64_t)(p - a->base) - v->off + len) > end)
			end = to;
	return end - sizeof(struct obj_hdr);
}

int
arena_fill_begin(struct arena_node *an, struct arena *a, const struct obj_hdr *like, uint64_t bytes, struct arena_fill *f)
{
	uint64_t run = (sizeof *like + bytes + 63) & ~UINT64_C(63), from, len;
	int e;

	if (bytes > a->bytes - sizeof *like - 63)
		return -E2BIG;
	*f = (struct arena_fill){ .a = a, .bytes = bytes };
	while ((e = arena_clone(a, like, run, &f->off, &f->gen)) == -EAGAIN)
		if ((e = arena_node_lend(an, ARENA_NODE_PROC, arena_want(run), &from, &len)) < 0 || (e = arena_lend(a, from, len)) < 0)
			break;
	return e < 0 ? ERR_FULL : 0;
}

int
arena_fill_at(const struct arena_fill *f, uint64_t off, uint64_t n, unsigned char **p)
{
	uint64_t at = f->off + sizeof(struct obj_hdr) + off;

	if (n == 0 || off > f->bytes || n > f->bytes - off)
		return ERR_PROTO;
	*p = f->a->base + at;
	return gran_ready(f->a, at, at + n);
}

/* Is what the header says, and the table, within what came? */
static bool
makes_sense(const struct arena_fill *f, const struct obj_hdr *h)
{
	uint64_t table = h->nbuf * sizeof(struct obj_span), end = sizeof *h + f->bytes;
	const struct obj_span *s = (const struct obj_span *)(const void *)(h + 1);

	if (table > f->bytes || h->headlen > f->bytes - table || h->size > f->bytes - table || h->headlen > h->size)
		return false;
	for (unsigned i = 0; i < h->nbuf; i++)
		if (s[i].off % 64 || s[i].off < sizeof *h + table || s[i].off > end || s[i].len > end - s[i].off)
			return false;
	return true;
}

int
arena_fill_seal(struct arena_fill *f, const struct obj_hdr *as)
{
	struct obj_hdr *h = (struct obj_hdr *)(void *)(f->a->base + f->off);

	if (as) {
		h->size = as->size;
		h->headlen = as->headlen;
		h->nbuf = as->nbuf;
		h->flags = as->flags;
		h->made = as->made;
	}
	if (!makes_sense(f, h)) {
		arena_fill_abort(f);
		return ERR_LAYOUT;
	}
	arena_seal(f->a, f->off);
	return 0;
}

void
arena_fill_abort(struct arena_fill *f)
{
	arena_abort(f->a, f->off);
}
