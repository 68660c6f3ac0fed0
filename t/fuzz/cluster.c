/*
 * cluster.c - changes of the list of nodes, as a control store that lies might send them
 */
#include "../fuzz.h"
#include "base/err.h"
#include "core/cluster.h"

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct cluster c, copy;
	struct cluster_seen seen = { 0 };
	struct buf out = BUF_INIT;
	bool anew;
	int e;

	cluster_init(&c, 0);
	e = cluster_apply(&c, span_of(p, n / 2), false);
	fuzz_must((e == 0 || e == ERR_PROTO) && cluster_check(&c) == 0);
	e = cluster_apply(&c, span_of(p + n / 2, n - n / 2), n & 1);
	fuzz_must((e == 0 || e == ERR_PROTO) && cluster_check(&c) == 0);
	cluster_init(&copy, 0);			/* what it took it can pass on */
	fuzz_must(cluster_since(&c, &seen, SIZE_MAX, &out, &anew) == 0 && cluster_apply(&copy, span_of(out.data, out.len), anew) == 0);
	fuzz_must(copy.n == c.n && cluster_check(&copy) == 0);
	buf_release(&out);
	cluster_release(&c);
	cluster_release(&copy);
}

void
fuzz_seeds(void)
{
	struct cluster c;
	struct cluster_seen seen = { 0 };
	struct buf out = BUF_INIT;
	bool anew;

	cluster_init(&c, 0);
	cluster_set(&c, 1, span_text("one"), span_text("0"));
	cluster_set(&c, 2, span_text("two"), span_text(""));
	cluster_set(&c, 1, span_of(NULL, 0), span_text("1"));
	cluster_gone(&c, 2);
	cluster_since(&c, &seen, SIZE_MAX, &out, &anew);
	fuzz_seed(out.data, out.len);
	cluster_set(&c, 1, span_of(NULL, 0), span_text("2"));
	cluster_since(&c, &seen, SIZE_MAX, &out, &anew);
	fuzz_seed(out.data, out.len);
	buf_release(&out);
	cluster_release(&c);
}
