/* submit_fn - functions of submitters of other nodes, as workers here read them: in our slab */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "link/inner.h"

void
fn_free(struct link *l, struct far_fn *fn)
{
	if (fn->unit)
		slab_free(&l->slab, fn->unit);
	if (fn->code && fn->len <= SLAB_BLOCK_MAX)
		slab_free(&l->slab, fn->code);
	free(fn);
}

int
submit_fn(struct peer *p, const struct frame *f)
{
	static _Atomic uint64_t serial;
	struct link *l = p->l;
	struct msg_far_fn m;
	struct far_fn *fn;
	struct hash128 h;
	struct fnblk *b;
	struct id key;
	int e = msg_get_far_fn(&m, f->body, f->len);

	if (e < 0 || m.proc > UINT32_MAX || m.kind > UINT8_MAX || m.nret > UINT8_MAX)
		return ERR_PROTO;
	key = (struct id){ p->node, (uint32_t)m.proc, m.serial };
	if (idmap_get(&l->fns, key))
		return 0;
	if (m.code.n > LINK_FNS || p->fns > LINK_FNS - m.code.n)
		return ERR_FULL;
	if ((fn = calloc(1, sizeof *fn)) == NULL)
		return -ENOMEM;
	fn->len = m.code.n;
	fn->flags = (uint8_t)m.flags;
	fn->unit = slab_alloc(&l->slab, sizeof *b);
	if (fn->len)
		fn->code = fn->len <= SLAB_BLOCK_MAX ? slab_alloc(&l->slab, fn->len) : slab_run(&l->slab, fn->len);
	if (fn->unit == 0 || (fn->len && fn->code == 0) || idmap_put(&l->fns, key, fn) < 0) {
		fn_free(l, fn);
		return -ENOMEM;
	}
	p->fns += fn->len + sizeof *b;
	if (fn->len)
		memcpy(slab_at(&l->slab, fn->code), m.code.p, fn->len);
	h = hash128(m.code.p, m.code.n);	/* not the peer's word for it: workers go by it */
	b = slab_at(&l->slab, fn->unit);
	*b = (struct fnblk){ .serial = ++serial, .hash = { h.a, h.b }, .bytes = fn->code, .len = (uint32_t)fn->len, .kind = (uint8_t)m.kind,
	    .nret = (uint8_t)m.nret, .flags = (uint8_t)m.flags & FNBLK_STREAM, .once = m.once != 0,
	    .namelen = (uint8_t)(m.name.n < sizeof b->name - 1 ? m.name.n : sizeof b->name - 1) };
	if (b->namelen)
		memcpy(b->name, m.name.p, b->namelen);
	return 0;
}
