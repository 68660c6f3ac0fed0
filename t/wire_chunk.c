/* wire_chunk.c - the head of CHUNK is that of the message table, and no cut or change of it is taken for another one */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/err.h"
#include "tap.h"
#include "wire/chunk.h"
#include "wire/frame.h"
#include "wire/msg.h"

static const struct chunk samples[] = {
	{ { 1, 2, 3 }, 4, 5, 1 },
	{ { UINT32_MAX, UINT32_MAX, UINT64_MAX }, UINT64_MAX, UINT64_MAX, CHUNK_BYTES_MAX },
	{ { 0, 0, 0 }, 0, 0, 255 }, { { 7, 0, 9 }, UINT64_C(1) << 40, 1 << 18, 256 }, { { 7, 0, 9 }, 1, 65536, 65535 },
	{ { 7, 0, 9 }, 127, 128, 65536 },
};

static void
sample(const struct chunk *c)
{
	unsigned char head[CHUNK_HEAD_MAX], *bytes = malloc(c->bytes);
	struct chunk k;
	struct buf b = BUF_INIT;
	size_t n = chunk_pack(head, c);
	bool cut = true;

	memset(bytes, 0xa5, c->bytes);
	ok(msg_put_chunk(&b, &(struct msg_chunk){ .id = c->id, .stamp = c->stamp, .off = c->off, .bytes = span_of(bytes, c->bytes) }) == 0);
	ok(n <= CHUNK_HEAD_MAX && b.len == n + c->bytes && memcmp(b.data, head, n) == 0);
	for (size_t i = 0; i < b.len && i < CHUNK_HEAD_MAX; i++)
		cut &= chunk_parse(&k, b.data, i) == ERR_PARTIAL;
	ok(cut);
	ok(chunk_parse(&k, b.data, b.len < CHUNK_HEAD_MAX ? b.len : CHUNK_HEAD_MAX) == (ssize_t)n);
	ok(id_eq(k.id, c->id) && k.stamp == c->stamp && k.off == c->off && k.bytes == c->bytes);
	ok(chunk_parse(&k, b.data, b.len) == (ssize_t)n);
	buf_release(&b);
	free(bytes);
}

static void
changed(void)				/* whatever is taken is what the message's own decoder makes of it */
{
	struct chunk c = { { 1, 2, 3 }, 300, 70000, 200 }, k;
	unsigned char frame[CHUNK_HEAD_MAX + 200], *p;
	struct msg_chunk m;
	size_t n = chunk_pack(frame, &c), len = n + c.bytes;
	bool same = true;

	memset(frame + n, 0x11, c.bytes);
	for (size_t i = 0; i < n; i++)
		for (unsigned v = 0; v < 256; v++) {
			ssize_t e;

			p = malloc(len);
			memcpy(p, frame, len);
			p[i] = (unsigned char)v;
			e = chunk_parse(&k, p, len);
			if (e > 0 && (msg_get_chunk(&m, p + FRAME_HEAD, len - FRAME_HEAD) < 0 || m.bytes.p != p + e || m.bytes.n != k.bytes ||
			    m.stamp != k.stamp || m.off != k.off || !id_eq(m.id, k.id)))
				same = false;
			free(p);
		}
	ok(same);
}

int
main(void)
{
	struct chunk k;
	unsigned char other[FRAME_HEAD];

	for (unsigned i = 0; i < sizeof samples / sizeof *samples; i++)
		sample(&samples[i]);
	changed();
	frame_pack(other, &(struct frame){ .type = MSG_OK_T, .version = MSG_PROTO, .len = 1 << 20 });
	ok(chunk_parse(&k, other, sizeof other) == 0);
	frame_pack(other, &(struct frame){ .type = MSG_CHUNK_T, .version = MSG_PROTO, .len = 1 << 20 });
	ok(chunk_parse(&k, other, sizeof other) == ERR_PROTO);
	return tap_done();
}
