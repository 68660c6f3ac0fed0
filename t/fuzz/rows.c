/*
 * rows.c - what other nodes say they are and how loaded they are: NODE_JOIN's maps and the rows of the list of nodes, as a
 * control store and every node take them.
 */
#include "../fuzz.h"
#include "base/err.h"
#include "core/node_row.h"
#include "core/where_row.h"

static void
pairs(struct span all)
{
	struct span left = all, name, text;
	uint64_t v;
	size_t n = 0;

	while (node_row_pair(&left, &name, &text, &v))
		fuzz_must(++n <= all.n && name.n <= all.n && text.n <= all.n);
}

static void
row(struct span s)
{
	struct buf b = BUF_INIT;
	struct node_load l, m;
	struct node_what w, x;

	if (node_what_get(&w, s) == 0) {
		pairs(w.resources);
		pairs(w.labels);
		fuzz_must(node_what_put(&b, &w) == 0 && node_what_get(&x, span_of(b.data, b.len)) == 0 && x.cpus == w.cpus && x.name.n == w.name.n);
	}
	b.len = 0;
	if (node_load_get(&l, s) == 0) {
		pairs(l.resources);
		fuzz_must(node_load_put(&b, &l) == 0 && node_load_get(&m, span_of(b.data, b.len)) == 0 && m.report == l.report);
	}
	if (node_row_map(s))
		pairs(s);
	buf_release(&b);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct res total = { { 4000 } };
	struct where_seen seen = { 0 };
	struct lease_core names;
	struct cluster c;
	struct where w;

	lease_init(&names, &total, &(struct lease_limits){ .workers = 1 });
	cluster_init(&c, 0);
	where_init(&w, 0);
	for (unsigned i = 0; i < 8 && f.n; i++) {
		unsigned how = (unsigned)fuzz_int(&f, 1);
		size_t k;
		const unsigned char *q = fuzz_bytes(&f, fuzz_int(&f, 1), &k);
		unsigned char *bytes = fuzz_copy(q, k);
		struct span s = span_of(bytes, k), none = span_of(NULL, 0);

		row(s);
		if (how & 8)
			where_row_load(&w, 1 + (how & 3), s, &names);
		else
			cluster_set(&c, 1 + (how & 3), how & 4 ? none : s, how & 4 ? s : none);
		if (how & 16)
			cluster_gone(&c, 1 + (how >> 5 & 3));
		fuzz_must(where_follow(&w, &c, &seen, how & 128, &names) == 0 && where_check(&w) == 0);
		free(bytes);
	}
	where_release(&w);
	cluster_release(&c);
	lease_release(&names);
}

void
fuzz_seeds(void)
{
	static const unsigned char map[] = { 0x81, 0xa3, 's', 's', 'd', 0xcd, 7, 0xd0 }, labels[] = { 0x81, 0xa4, 'z', 'o', 'n', 'e', 0xa2, 'e', 'u' };
	struct buf b = BUF_INIT, all = BUF_INIT;

	node_what_put(&b, &(struct node_what){ .name = span_text("n"), .addr = span_text("a:1"), .resources = span_of(map, sizeof map),
	    .labels = span_of(labels, sizeof labels), .cpus = 4000, .memory = 1 << 30, .incarnation = 7 });
	buf_add(&all, (unsigned char[]){ 0, (unsigned char)b.len }, 2);
	buf_add(&all, b.data, b.len);
	b.len = 0;
	node_load_put(&b, &(struct node_load){ .resources = span_of(map, sizeof map), .cpus = 3000, .report = 1 });
	buf_add(&all, (unsigned char[]){ 4, (unsigned char)b.len }, 2);
	buf_add(&all, b.data, b.len);
	buf_add(&all, (unsigned char[]){ 8, (unsigned char)b.len }, 2);
	buf_add(&all, b.data, b.len);
	buf_add(&all, (unsigned char[]){ 24, (unsigned char)sizeof map }, 2);
	buf_add(&all, map, sizeof map);
	fuzz_seed(all.data, all.len);
	buf_release(&b);
	buf_release(&all);
}
