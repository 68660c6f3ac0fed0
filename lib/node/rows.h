/*
 * rows - the answer of a LIST while it is made.  Private to rows.c, rows_nodes.c and rows_objects.c.
 */
#ifndef NODE_ROWS_H
#define NODE_ROWS_H

#include "node/inner.h"
#include "wire/mp.h"

enum {
	CHUNK = 256 << 10,		/* bytes of rows in one message */
	ANSWER = 512 << 20,		/* of one whole answer */
};

struct rows {				/* an answer being made */
	struct nproc *p;
	struct node *n;
	uint64_t req, job;
	struct buf b;
	unsigned count;
	struct map pins;		/* pin name -> how many */
	struct map slabs;		/* process number -> struct peerslab * */
	struct map owners;		/* of rows_memory */
};

static inline void
flush(struct rows *r, bool last)
{
	struct buf b = BUF_INIT;

	if (mp_put_array(&b, r->count) == 0 && mp_put_raw(&b, r->b.data, r->b.len) == 0)
		SEND(r->p, rows, .req = r->req, .last = last, .rows = span_buf(&b));
	buf_release(&b);
	r->b.len = 0;
	r->count = 0;
}

static inline void
row(struct rows *r, unsigned columns)
{
	if (r->b.len > CHUNK)
		flush(r, false);
	mp_put_map(&r->b, columns);
	r->count++;
}

static inline void
key(struct rows *r, const char *k)
{
	mp_put_str(&r->b, k, strlen(k));
}

static inline void
put_u(struct rows *r, const char *k, uint64_t v)
{
	key(r, k);
	mp_put_uint(&r->b, v);
}

static inline void
put_s(struct rows *r, const char *k, const void *p, size_t n)	/* empty: nil */
{
	key(r, k);
	if (n)
		mp_put_str(&r->b, p, n);
	else
		mp_put_nil(&r->b);
}

static inline void
put_text(struct rows *r, const char *k, const char *s)
{
	put_s(r, k, s, strlen(s));
}

static inline void
mp_put_milli(struct buf *b, int64_t v)			/* thousandths as a number */
{
	if (v % 1000 == 0)
		mp_put_int(b, v / 1000);
	else
		mp_put_float(b, (double)v / 1000);
}

static inline void
put_milli(struct rows *r, const char *k, int64_t v)
{
	key(r, k);
	mp_put_milli(&r->b, v);
}

void	rows_node(struct rows *r);	/* this one */
void	rows_nodes(struct rows *r);	/* this one first, then the others */
void	rows_objects(struct rows *r);
void	rows_memory(struct rows *r);

#endif
