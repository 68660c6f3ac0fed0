/*
 * wire.c - frames and the messages in them: the first byte says how they are read, the rest is a stream of frames.
 * What a decoder takes, its encoder writes and it reads the same again.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "wire/frame.h"
#include "wire/mp.h"
#include "wire/msg.h"

#define X(NAME, name, code, fds, dir) \
static void \
try_##name(const unsigned char *p, size_t n) \
{ \
	struct msg_##name m, k; \
	struct buf b = BUF_INIT, d = BUF_INIT; \
	struct frame f; \
	int e = msg_get_##name(&m, p, n); \
\
	fuzz_must(e == 0 || e == ERR_PROTO); \
	if (e == 0 && (e = msg_put_##name(&b, &m)) == 0) { \
		fuzz_must(frame_parse(&f, b.data, b.len, FRAME_MAX) == (ssize_t)b.len && f.type == (code)); \
		fuzz_must(msg_get_##name(&k, f.body, f.len) == 0 && msg_put_##name(&d, &k) == 0); \
		fuzz_must(b.len == d.len && memcmp(b.data, d.data, b.len) == 0); \
	} else { \
		fuzz_must(b.len == 0); \
	} \
	buf_release(&b); \
	buf_release(&d); \
}
MSG_MAP(X)
#undef X

static void
message(const struct frame *f)
{
	unsigned char *p = fuzz_copy(f->body, f->len);

	switch (f->type) {
#define X(NAME, name, code, fds, dir) case code: try_##name(p, f->len); fuzz_must(msg_fds(code) == (fds) && msg_name(code)); break;
	MSG_MAP(X)
#undef X
	default: fuzz_must(msg_name(f->type) == NULL && msg_fds(f->type) == 0);
	}
	free(p);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct frame f;
	ssize_t k;

	if (n == 0)
		return;
	for (p++, n--; n > 0; p += k, n -= (size_t)k) {
		k = frame_parse(&f, p, n, p[-1] & 1 ? FRAME_MAX : FRAME_HELLO_MAX);
		fuzz_must(k > 0 || k == ERR_PARTIAL || k == ERR_PROTO);
		if (k <= 0)
			break;
		fuzz_must((size_t)k <= n && f.body >= p && f.body + f.len <= p + k && f.nfd <= FRAME_FDS && f.version == MSG_PROTO);
		message(&f);
		frame_set_nfd((unsigned char[FRAME_HEAD]){ 0 }, f.nfd);
	}
}

#define FILL_U(m, f) (m).f = (uint64_t)sizeof #f * 1000;
#define FILL_I(m, f) (m).f = -(int64_t)sizeof #f;
#define FILL_S(m, f) (m).f = span_text(#f);
#define FILL_B(m, f) (m).f = span_text("\x81\xa1x\xcd\x03\xe8");
#define FILL_D(m, f) (m).f = (struct id){ 1, 2, 3 << 24 };
#define FILL(kind, field, doc) FILL_##kind(m, field)

void
fuzz_seeds(void)
{
	struct buf b = BUF_INIT, all = BUF_INIT;

	buf_add(&all, "\1", 1);
#define X(NAME, name, code, fds, dir) { \
	struct msg_##name m; \
\
	MSG_##NAME(FILL) \
	b.len = 0; \
	buf_add(&b, "", 1); \
	msg_put_##name(&b, &m); \
	fuzz_seed(b.data, b.len); \
	if ((code) % 3 == 0) \
		buf_add(&all, b.data + 1, b.len - 1); \
}
	MSG_MAP(X)
#undef X
	fuzz_seed(all.data, all.len);
	buf_release(&b);
	buf_release(&all);
}
