#include "base/err.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/msg.h"

void
frame_pack(unsigned char p[FRAME_HEAD], const struct frame *f)
{
	le_put32(p, f->len);
	le_put16(p + 4, f->type);
	p[6] = f->version;
	p[7] = f->flags;
	le_put64(p + 8, f->req);
	le_put32(p + 16, f->credit);
	le_put16(p + 20, f->nbuf);
	le_put16(p + 22, f->nfd);
	le_put64(p + 24, f->session);
}

ssize_t
frame_parse(struct frame *f, const unsigned char *p, size_t n, uint32_t max)
{
	struct frame r;

	if (n < FRAME_HEAD)
		return ERR_PARTIAL;
	r = (struct frame){
		.len = le_get32(p), .type = le_get16(p + 4), .version = p[6], .flags = p[7],
		.req = le_get64(p + 8), .credit = le_get32(p + 16), .nbuf = le_get16(p + 20),
		.nfd = le_get16(p + 22), .session = le_get64(p + 24), .body = p + FRAME_HEAD,
	};
	/* bounds first: a bad header is known at once, not after the body that it announces */
	if (r.len > max || r.version < 1 || r.version > MSG_PROTO || r.flags || r.nbuf || r.nfd > FRAME_FDS)
		return ERR_PROTO;
	if (n - FRAME_HEAD < r.len)
		return ERR_PARTIAL;
	*f = r;
	return (ssize_t)FRAME_HEAD + (ssize_t)r.len;
}

void
frame_set_nfd(unsigned char *frame, unsigned n)
{
	le_put16(frame + 22, (uint16_t)n);
}

void
frame_set_req(unsigned char *frame, uint64_t req)
{
	le_put64(frame + 8, req);
}

void
frame_set_session(unsigned char *frame, uint64_t number)
{
	le_put64(frame + 24, number);
}
