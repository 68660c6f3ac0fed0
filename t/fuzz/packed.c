/*
 * packed.c - tasks and what became of them, as another node says them: FAR_TASKS and FAR_DONES without their frames.  The
 * first byte chooses.  What is taken lies within the bytes, is packed again, and is the same then.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "link/packed.h"
#include "ring/ring.h"

static void
inside(const unsigned char *q, size_t len, const unsigned char *p, size_t n)
{
	fuzz_must(len == 0 || (q >= p && len <= n && (size_t)(q - p) <= n - len));
}

static void
tasks(const unsigned char *p, size_t n)
{
	const unsigned char *at = p, *was = p;
	struct buf b = BUF_INIT;
	struct packed_task t;
	size_t left = n;
	int e;

	for (; (e = packed_task_get(&t, &at, &left)) > 0; was = at) {
		struct form f;
		uint64_t seq;

		inside(t.bytes, t.n, p, n);
		fuzz_must(at > was && at + left == p + n && t.n <= PACKED_ARGS);
		if (t.flags & PACKED_AWAY)
			fuzz_must(packed_form_get(&seq, &f, t.bytes, t.n) < 0 || form_good(&f));
		b.len = 0;
		fuzz_must(packed_task_put(&b, &t) == 0 && b.len == (size_t)(at - was) && memcmp(b.data, was, 28) == 0);
	}
	fuzz_must(e == 0 ? left == 0 : e == ERR_PROTO);
	buf_release(&b);
}

static void
dones(const unsigned char *p, size_t n)
{
	const unsigned char *at = p, *was = p;
	struct buf b = BUF_INIT;
	struct packed_done d;
	size_t left = n;
	int e;

	for (; (e = packed_done_get(&d, &at, &left)) > 0; was = at) {
		inside(d.bytes, d.n, p, n);
		inside(d.kept, 16 * (size_t)d.nkept, p, n);
		fuzz_must(at > was && at + left == p + n && d.n <= PACKED_VALUES && d.nkept <= PACKED_KEPT);
		b.len = 0;
		fuzz_must(packed_done_put(&b, &d) == 0 && b.len == (size_t)(at - was) && memcmp(b.data, was, 22) == 0);
	}
	fuzz_must(e == 0 ? left == 0 : e == ERR_PROTO);
	buf_release(&b);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	if (n == 0)
		return;
	if (*p & 1)
		dones(p + 1, n - 1);
	else
		tasks(p + 1, n - 1);
}

void
fuzz_seeds(void)
{
	struct form f = { .bytes = 4096, .stamp = 1ull << 32 | 1, .size = 3000, .headlen = 3000 };
	unsigned char form[PACKED_FORM], bytes[64] = { 0x93, 1, 2, 3 };
	struct buf b = BUF_INIT;

	packed_form_put(form, 7, &f);
	buf_add(&b, "", 1);
	packed_task_put(&b, &(struct packed_task){ .slot = 64, .n = 4, .fn = 3, .seq = 5, .nvals = 1, .bytes = bytes });
	packed_task_put(&b, &(struct packed_task){ .slot = 65, .n = 4, .fn = 3, .seq = 6, .nvals = 1, .flags = REC_CONTEXT, .bytes = bytes });
	packed_task_put(&b, &(struct packed_task){ .slot = 66, .n = PACKED_FORM, .fn = 3, .seq = 7, .nvals = 1, .flags = PACKED_AWAY, .bytes = form });
	fuzz_seed(b.data, b.len);
	b.len = 0;
	buf_add(&b, "\1", 1);
	packed_done_put(&b, &(struct packed_done){ .slot = 64, .n = 4, .nvals = 1, .kind = DONE_HERE, .bytes = bytes });
	packed_done_put(&b, &(struct packed_done){ .slot = 65, .kind = DONE_BACK });
	packed_done_put(&b, &(struct packed_done){ .slot = 66, .n = 4, .nvals = 1, .kind = DONE_HERE, .flags = DONE_REFS, .nkept = 2, .bytes = bytes,
	    .kept = bytes });
	fuzz_seed(b.data, b.len);
	buf_release(&b);
}
