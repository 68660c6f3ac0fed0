/*
 * control.c - the control store: rows of its database, then frames of two nodes, whatever is in them, and time that goes by
 * Its state stays consistent, and what it writes down is what a restart reads.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "core/control.h"
#include "wire/mp.h"

static uint64_t now;

/* what went out: frames are frames; rows are such that a store can begin with them */
static void
settle(struct control_out *o, bool rows)
{
	struct control c;
	struct frame f;

	for (size_t i = 0; i < o->n; i++) {
		const struct control_fx *x = &o->fx[i];

		if (x->kind == CONTROL_FX_SEND)
			fuzz_must(frame_parse(&f, o->bytes.data + x->val, x->nval, FRAME_MAX) == (ssize_t)x->nval && msg_name(f.type));
		else if (x->kind == CONTROL_FX_PUT && rows) {
			control_init(&c, 1);
			fuzz_must(control_load(&c, o->bytes.data + x->key, x->nkey, o->bytes.data + x->val, x->nval) == 0);
			control_release(&c);
		}
	}
	o->n = 0;
	o->bytes.len = 0;
}

static void
load(const unsigned char *p, size_t n)		/* as rows: key length, key, value length, value */
{
	struct fuzz f = { p, n };
	struct control c;
	struct control_out o = { 0 };
	size_t nk, nv;

	control_init(&c, 1);
	while (f.n > 0) {
		const unsigned char *k = fuzz_bytes(&f, fuzz_int(&f, 1), &nk), *v = fuzz_bytes(&f, fuzz_int(&f, 1), &nv);
		unsigned char *key = fuzz_copy(k, nk), *val = fuzz_copy(v, nv);
		int e = control_load(&c, key, nk, val, nv);

		free(key);
		free(val);
		if (e < 0)
			break;		/* the daemon does not start with it */
	}
	control_tick(&c, now, &o);
	settle(&o, false);
	control_release(&c);
	free(o.fx);
	buf_release(&o.bytes);
}

static void
frames(const unsigned char *p, size_t n)	/* a byte for who sends and how long the next one is; then its type, then the body */
{
	struct fuzz f = { p, n };
	struct control c;
	struct control_out o = { 0 };
	struct buf b = BUF_INIT;
	struct frame frame;
	bool gone[2] = { false, false };
	int line;

	control_init(&c, 1);
	for (unsigned peer = 0; peer < 2; peer++) {
		msg_put_node_join(&b, &(struct msg_node_join){ .name = span_text("node"), .cpus = 1000 });
		frame_parse(&frame, b.data, b.len, FRAME_MAX);
		control_step(&c, now, peer, &frame, &o);
		b.len = 0;
	}
	msg_put_job_new(&b, &(struct msg_job_new){ .req = 1, .name = span_text("x") });
	frame_parse(&frame, b.data, b.len, FRAME_MAX);
	control_step(&c, now, 0, &frame, &o);
	settle(&o, true);
	while (f.n > 0) {
		unsigned what = (unsigned)fuzz_int(&f, 1), peer = what & 1;
		const unsigned char *at;
		unsigned char *body;
		size_t len;

		now += UINT64_C(1) << (what >> 1 & 31);
		if (what >> 6 == 3) {
			if (what & 2)
				control_tick(&c, now, &o);
			else
				control_gone(&c, now, peer, &o);
			gone[peer] |= !(what & 2);
			settle(&o, true);
			continue;
		}
		frame = (struct frame){ .type = (uint16_t)fuzz_int(&f, 1), .version = MSG_PROTO };
		at = fuzz_bytes(&f, fuzz_int(&f, 1), &len);
		body = fuzz_copy(at, len);
		frame.body = body;
		frame.len = (uint32_t)len;
		if (!gone[peer] && control_step(&c, now, peer, &frame, &o) < 0) {
			control_gone(&c, now, peer, &o);
			gone[peer] = true;
		}
		free(body);
		if ((line = control_check(&c)) != 0) {
			fprintf(stderr, "control.c: %d\n", line);
			abort();
		}
		settle(&o, true);
	}
	control_release(&c);
	free(o.fx);
	buf_release(&o.bytes);
	buf_release(&b);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	now = UINT64_C(1) << 32;
	if (n == 0)
		return;
	(*p & 1 ? load : frames)(p + 1, n - 1);
}

#define FRAME(name, ...) do { \
	size_t at = b.len; \
	unsigned char head[3] = { 0, 0, 0 }; \
	struct frame fr; \
\
	line.len = 0; \
	msg_put_##name(&line, &(struct msg_##name){ __VA_ARGS__ }); \
	frame_parse(&fr, line.data, line.len, FRAME_MAX); \
	head[1] = (unsigned char)fr.type; \
	head[2] = (unsigned char)fr.len; \
	fuzz_must(fr.len < 256 && at < 100000); \
	buf_add(&b, head, 3); \
	buf_add(&b, fr.body, fr.len); \
} while (0)

void
fuzz_seeds(void)
{
	struct buf b = BUF_INIT, line = BUF_INIT, rows = BUF_INIT;

	buf_add(&b, "", 1);
	FRAME(actor_new, .req = 2, .name = span_text("a"), .class = span_text("C"), .methods = span_text("\x91\xa1m"), .spec = span_text("x"), .job = 1, .namespace = span_text("n"));
	FRAME(actor_find, .req = 3, .name = span_text("a"), .namespace = span_text("n"));
	FRAME(actor_note, .actor = 1, .state = 2, .incarnation = 1);
	FRAME(job_end, .job = 1);
	fuzz_seed(b.data, b.len);
	b.len = 1;
	mp_put_array(&rows, 3);
	mp_put_str(&rows, "k1", 2);
	mp_put_str(&rows, "value", 5);
	mp_put_int(&rows, KV_PROC);
	FRAME(kv_watch, .req = 4, .prefix = span_text("k"));
	FRAME(kv_txn, .req = 5, .ops = span_of(rows.data, rows.len), .proc = 3, .job = 1);
	FRAME(kv_get, .req = 6, .key = span_text("k"), .list = 1);
	FRAME(kv_txn, .req = 7, .compares = span_text("\x92\xa2k1\1"), .ops = span_text("\x91\xa2k1"), .proc = 3, .job = 1);
	FRAME(kv_watch, .req = 8, .prefix = span_text("k"), .from = 1);
	FRAME(kv_cancel, .req = 8);
	FRAME(kv_gone, .proc = 3);
	fuzz_seed(b.data, b.len);
	fuzz_seed("\1\11next/node\1\5\12next/actor\1\7\15next/revision\1\4\4kv/a\5\xa1v\1\1\0", 52);
	buf_release(&b);
	buf_release(&line);
	buf_release(&rows);
}
