#include <string.h>
#include "base/err.h"
#include "link/packed.h"
#include "ring/ring.h"
#include "wire/le.h"

enum { TASK_HEAD = 32, DONE_HEAD = 24 };

#define TASK_FLAGS (REC_REFS | REC_CONTEXT | REC_ALONE | PACKED_AWAY)
#define DONE_FLAGS (DONE_ERROR | DONE_REFS | DONE_PART | DONE_RETRY)

static size_t
context_size(const struct packed_task *t)
{
	return t->flags & REC_CONTEXT ? sizeof t->context + (t->context.stream ? sizeof t->stream : 0) : 0;
}

size_t
packed_task_size(const struct packed_task *t)
{
	return TASK_HEAD + context_size(t) + t->n;
}

int
packed_task_put(struct buf *b, const struct packed_task *t)
{
	size_t ctx = context_size(t);
	unsigned char *p;
	int e = buf_reserve(b, TASK_HEAD + ctx + t->n);

	if (e < 0)
		return e;
	p = b->data + b->len;
	le_put32(p, t->slot);
	le_put64(p + 4, t->fn);
	le_put64(p + 12, t->seq);
	le_put32(p + 20, t->n);
	le_put16(p + 24, t->nvals);
	p[26] = t->flags;
	p[27] = t->attempt;
	memset(p + 28, 0, 4);
	if (ctx)
		memcpy(p + TASK_HEAD, &t->context, sizeof t->context);
	if (ctx > sizeof t->context)
		memcpy(p + TASK_HEAD + sizeof t->context, &t->stream, sizeof t->stream);
	memcpy(p + TASK_HEAD + ctx, t->bytes, t->n);
	b->len += TASK_HEAD + ctx + t->n;
	return 0;
}

int
packed_task_get(struct packed_task *t, const unsigned char **p, size_t *n)
{
	const unsigned char *q = *p;
	size_t ctx;

	if (*n == 0)
		return 0;
	if (*n < TASK_HEAD)
		return ERR_PROTO;
	*t = (struct packed_task){ .slot = le_get32(q), .fn = le_get64(q + 4), .seq = le_get64(q + 12), .n = le_get32(q + 20),
	    .nvals = le_get16(q + 24), .flags = q[26], .attempt = q[27] };
	if (t->flags & REC_CONTEXT && *n - TASK_HEAD >= sizeof t->context)
		memcpy(&t->context, q + TASK_HEAD, sizeof t->context);
	ctx = context_size(t);
	if (t->flags & ~TASK_FLAGS || t->n > PACKED_ARGS || *n - TASK_HEAD < ctx + t->n)
		return ERR_PROTO;
	if (ctx > sizeof t->context)
		memcpy(&t->stream, q + TASK_HEAD + sizeof t->context, sizeof t->stream);
	t->bytes = q + TASK_HEAD + ctx;
	*p += TASK_HEAD + ctx + t->n;
	*n -= TASK_HEAD + ctx + t->n;
	return 1;
}

int
packed_done_put(struct buf *b, const struct packed_done *d)
{
	size_t kept = 16 * (size_t)d->nkept;
	unsigned char *p;
	int e = buf_reserve(b, DONE_HEAD + d->n + kept);

	if (e < 0)
		return e;
	p = b->data + b->len;
	le_put32(p, d->slot);
	le_put32(p + 4, d->ret);
	le_put32(p + 8, d->ns);
	le_put32(p + 12, d->n);
	le_put16(p + 16, d->nvals);
	le_put16(p + 18, d->nkept);
	p[20] = d->kind;
	p[21] = d->flags;
	memset(p + 22, 0, 2);
	if (d->n)
		memcpy(p + DONE_HEAD, d->bytes, d->n);
	if (kept)
		memcpy(p + DONE_HEAD + d->n, d->kept, kept);
	b->len += DONE_HEAD + d->n + kept;
	return 0;
}

int
packed_done_get(struct packed_done *d, const unsigned char **p, size_t *n)
{
	const unsigned char *q = *p;
	size_t kept;

	if (*n == 0)
		return 0;
	if (*n < DONE_HEAD)
		return ERR_PROTO;
	*d = (struct packed_done){ .slot = le_get32(q), .ret = le_get32(q + 4), .ns = le_get32(q + 8), .n = le_get32(q + 12),
	    .nvals = le_get16(q + 16), .nkept = le_get16(q + 18), .kind = q[20], .flags = q[21] };
	kept = 16 * (size_t)d->nkept;
	if (d->flags & ~DONE_FLAGS || (d->kind != DONE_NONE && d->kind != DONE_HERE && d->kind != DONE_BACK && d->kind != DONE_AWAY) ||
	    d->n > PACKED_VALUES || d->nkept > PACKED_KEPT || *n - DONE_HEAD < d->n + kept)
		return ERR_PROTO;
	d->bytes = q + DONE_HEAD;
	d->kept = d->bytes + d->n;
	*p += DONE_HEAD + d->n + kept;
	*n -= DONE_HEAD + d->n + kept;
	return 1;
}

void
packed_form_put(unsigned char p[PACKED_FORM], uint64_t seq, const struct form *f)
{
	le_put64(p, seq);
	le_put64(p + 8, f->bytes);
	le_put64(p + 16, f->stamp);
	le_put64(p + 24, f->size);
	le_put32(p + 32, f->headlen);
	le_put16(p + 36, f->nbuf);
	le_put16(p + 38, f->flags);
}

int
packed_form_get(uint64_t *seq, struct form *f, const unsigned char *p, size_t n)
{
	if (n != PACKED_FORM)
		return ERR_PROTO;
	*seq = le_get64(p);
	*f = (struct form){ le_get64(p + 8), le_get64(p + 16), le_get64(p + 24), le_get32(p + 32), le_get16(p + 36), le_get16(p + 38) };
	return form_good(f) ? 0 : ERR_PROTO;
}
