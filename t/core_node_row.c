/* core_node_row.c - what is said of a node is read back as it was said; whatever the bytes are, nothing is read beside them */
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/node_row.h"
#include "tap.h"
#include "wire/mp.h"

static bool
is(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void
both_ways(void)
{
	struct buf labels = BUF_INIT, res = BUF_INIT, b = BUF_INIT;
	struct span left, name, text;
	struct node_what w, got;
	struct node_load l, back;
	uint64_t v;

	ok(mp_put_map(&labels, 2) == 0 && mp_put_str(&labels, "zone", 4) == 0 && mp_put_str(&labels, "eu", 2) == 0 &&
	    mp_put_str(&labels, "node", 4) == 0 && mp_put_str(&labels, "n7", 2) == 0);
	ok(mp_put_map(&res, 1) == 0 && mp_put_str(&res, "ssd", 3) == 0 && mp_put_uint(&res, 2000) == 0);
	w = (struct node_what){ .name = span_text("n7"), .addr = span_text("10.0.0.7:7412"), .labels = span_of(labels.data, labels.len),
	    .resources = span_of(res.data, res.len), .cpus = 4000, .memory = UINT64_C(1) << 40, .incarnation = UINT64_MAX };
	ok(node_what_put(&b, &w) == 0 && node_what_get(&got, span_of(b.data, b.len)) == 0);
	ok(is(got.name, w.name) && is(got.addr, w.addr) && is(got.labels, w.labels) && is(got.resources, w.resources) && got.dead.n == 0);
	ok(got.cpus == 4000 && got.memory == w.memory && got.incarnation == UINT64_MAX && got.gpus == 0 && got.since == 0);
	left = got.labels;
	ok(node_row_pair(&left, &name, &text, &v) && span_is(name, "zone") && span_is(text, "eu") && v == 0);
	ok(node_row_pair(&left, &name, &text, &v) && span_is(name, "node") && !node_row_pair(&left, &name, &text, &v));
	left = got.resources;
	ok(node_row_pair(&left, &name, &text, &v) && span_is(name, "ssd") && text.n == 0 && v == 2000);
	b.len = 0;
	l = (struct node_load){ .cpus = 500, .waiting = 7, .resources = w.resources };
	ok(node_load_put(&b, &l) == 0 && node_load_get(&back, span_of(b.data, b.len)) == 0);
	ok(back.cpus == 500 && back.waiting == 7 && back.workers == 0 && is(back.resources, l.resources));
	ok(node_load_get(&back, span_of(NULL, 0)) == 0 && back.cpus == 0);
	buf_release(&labels);
	buf_release(&res);
	buf_release(&b);
}

static void
odd(void)
{
	static const char newer[] = "\x82\xa3new\x93\x01\x02\x03\xa4name\xa2n7";
	struct node_what w;

	ok(node_what_get(&w, span_of(newer, sizeof newer - 1)) == 0 && span_is(w.name, "n7"));	/* a key that we do not know */
	ok(node_what_get(&w, span_text("\x81\xa4name\x07")) == ERR_PROTO);
	ok(node_what_get(&w, span_text("\x81\xa4" "cpus\xa1x")) == ERR_PROTO);
	ok(node_what_get(&w, span_text("\x81\xa6labels\x91\xa1x")) == ERR_PROTO);
	ok(node_what_get(&w, span_text("\x07")) == ERR_PROTO);
	ok(node_row_map(span_of(NULL, 0)) && node_row_map(span_text("\x80")) && node_row_map(span_text("\x81\xa1x\x07")));
	ok(!node_row_map(span_text("\x81\xa1x")) && !node_row_map(span_text("\x81\x81\xa1x\x07")) && !node_row_map(span_text("\x80\x80")) &&
	    !node_row_map(span_text("\x81\x07\x07")) && !node_row_map(span_text("\x81\xa1x\x91\x07")));
}

/* each truncation, and many mutations: only a sanitizer sees what would be wrong */
static void
mutated(void)
{
	struct buf b = BUF_INIT;
	struct node_what w = { .name = span_text("n7"), .labels = span_text("\x81\xa4node\xa2n7"), .cpus = 4000, .resources = span_text("\x81\xa3ssd\x07") };
	struct node_load l;
	unsigned n = 0;

	node_what_put(&b, &w);
	srandom(7);
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = i < b.len ? i : b.len;
		unsigned char *p = malloc(len ? len : 1);
		struct span left, name, text;
		uint64_t v;

		memcpy(p, b.data, len);
		for (unsigned k = i < b.len ? 0 : (unsigned)random() % 4; k > 0; k--)
			p[(size_t)random() % len] = (unsigned char)random();
		if (node_what_get(&w, span_of(p, len)) == 0)
			for (left = w.labels; node_row_pair(&left, &name, &text, &v);)
				n += name.n > len || text.n > len;
		node_load_get(&l, span_of(p, len));
		free(p);
	}
	ok(n == 0);
	buf_release(&b);
}

int
main(void)
{
	both_ways();
	odd();
	mutated();
	return tap_done();
}
