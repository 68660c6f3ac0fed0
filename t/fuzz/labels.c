/*
 * labels.c - labels of nodes and expressions over them, as users and other nodes might write them
 */
#include "../fuzz.h"
#include <errno.h>
#include "core/labels.h"

static char why[LABELS_WHY];

static void
expression(const unsigned char *p, size_t n, const struct labels *l)
{
	struct label_expr e = { 0 }, again = { 0 };
	struct buf a = BUF_INIT, b = BUF_INIT;

	if (label_expr_parse(&e, span_of(p, n), why) < 0) {
		fuzz_must(strlen(why) > 10 && e.n == 0);
		return;
	}
	fuzz_must(e.n <= LABELS_MAX && label_expr_text(&e, &a) == 0);
	fuzz_must(label_expr_parse(&again, span_of(a.data, a.len), why) == 0 && label_expr_text(&again, &b) == 0);
	fuzz_must(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
	fuzz_must(label_expr_match(&e, l) == label_expr_match(&again, l));
	label_expr_release(&e);
	label_expr_release(&again);
	buf_release(&a);
	buf_release(&b);
}

/* the labels up to the first byte 0, then an expression, as text and as the value of an entry of a table */
void
fuzz_one(const unsigned char *p, size_t n)
{
	const unsigned char *zero = n ? memchr(p, '\0', n) : NULL;
	size_t first = zero ? (size_t)(zero - p) : n;
	struct labels l = { 0 }, again = { 0 };
	struct label_expr e = { 0 };
	struct buf b = BUF_INIT;
	int r = labels_parse(&l, span_of(p, first), why);

	fuzz_must(r == 0 || (r == -EINVAL && strlen(why) > 10 && l.n == 0));
	fuzz_must(labels_text(&l, &b) == 0 && labels_parse(&again, span_of(b.data, b.len), why) == 0 && again.n == l.n);
	if (zero)
		expression(zero + 1, n - first - 1, &l);
	r = label_expr_add(&e, span_text("name"), span_of(p, first), why);
	fuzz_must(r == 0 ? e.n == 1 : r == -EINVAL && e.n == 0);
	label_expr_release(&e);
	labels_release(&l);
	labels_release(&again);
	buf_release(&b);
}

void
fuzz_seeds(void)
{
	static const char one[] = "zone=eu,disk=ssd\0gpu=a100,zone!=eu,disk=in(ssd,nvme),rack=!in(r1)", two[] = "!in(a, b)\0node=n3";

	fuzz_seed(one, sizeof one - 1);
	fuzz_seed(two, sizeof two - 1);
}
