#include "base/err.h"
#include "wire/chunk.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { FIELDS = 4, ID_BYTES = 16 };

size_t
chunk_pack(unsigned char p[CHUNK_HEAD_MAX], const struct chunk *c)
{
	struct frame f = { .type = MSG_CHUNK_T, .version = MSG_PROTO };
	unsigned char id[ID_BYTES], *q;

	le_put32(id, c->id.node);
	le_put32(id + 4, c->id.proc);
	le_put64(id + 8, c->id.seq);
	q = mp_w_array_head(p + FRAME_HEAD, FIELDS);
	q = mp_w_bin(q, id, sizeof id);
	q = mp_w_uint(q, c->stamp);
	q = mp_w_uint(q, c->off);
	q = mp_w_bin_head(q, c->bytes);
	f.len = (uint32_t)(q - p - FRAME_HEAD) + c->bytes;
	frame_pack(p, &f);
	return (size_t)(q - p);
}

static int
get_uint(struct mp *r, uint64_t *v)
{
	struct mp_tok t;
	int e = mp_next(r, &t);

	if ((e < 0 && e != ERR_VALUE) || t.kind != MP_INT || (e == 0 && t.i < 0))
		return ERR_PROTO;
	*v = t.u;
	return 0;
}

/* The head of the last field: how many bytes it takes, 0 if it is none. */
static size_t
bin_head(const unsigned char *p, size_t n, uint32_t *bytes)
{
	if (n >= 2 && p[0] == 0xc4)
		return *bytes = p[1], 2;
	if (n >= 3 && p[0] == 0xc5)
		return *bytes = (uint32_t)p[1] << 8 | p[2], 3;
	if (n >= 5 && p[0] == 0xc6)
		return *bytes = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4], 5;
	return 0;
}

ssize_t
chunk_parse(struct chunk *c, const unsigned char *p, size_t n)
{
	struct frame f;
	struct chunk k;
	struct mp_tok t;
	struct mp r;
	ssize_t e = frame_parse(&f, p, n, CHUNK_HEAD_MAX + CHUNK_BYTES_MAX);
	size_t len, head;

	if (n < FRAME_HEAD)
		return ERR_PARTIAL;
	if (le_get16(p + 4) != MSG_CHUNK_T)
		return 0;
	if (e < 0 && e != ERR_PARTIAL)
		return e;
	len = FRAME_HEAD + le_get32(p);
	if (n < len && n < CHUNK_HEAD_MAX)
		return ERR_PARTIAL;
	r = mp_read(p + FRAME_HEAD, (n < len ? n : len) - FRAME_HEAD);
	if (mp_next(&r, &t) < 0 || t.kind != MP_ARRAY || t.n != FIELDS)
		return ERR_PROTO;
	if (mp_next(&r, &t) < 0 || t.kind != MP_BIN || t.n != ID_BYTES)
		return ERR_PROTO;
	k.id = (struct id){ le_get32(t.p), le_get32(t.p + 4), le_get64(t.p + 8) };
	if (get_uint(&r, &k.stamp) < 0 || get_uint(&r, &k.off) < 0)
		return ERR_PROTO;
	if ((head = bin_head(r.p, (size_t)(r.end - r.p), &k.bytes)) == 0 || k.bytes == 0 || k.bytes > CHUNK_BYTES_MAX)
		return ERR_PROTO;
	head += (size_t)(r.p - p);
	if (head + k.bytes != len)
		return ERR_PROTO;
	*c = k;
	return (ssize_t)head;
}
