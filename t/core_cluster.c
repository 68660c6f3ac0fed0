/* core_cluster.c - followers of the list of nodes have it in the end, however late and in whatever pieces they ask */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/cluster.h"
#include "tap.h"

static uint64_t seed;

static unsigned
draw(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static bool
same(const struct cluster *a, const struct cluster *b)
{
	const struct cluster_row *r = NULL, *o;

	if (a->n != b->n)
		return false;
	while ((r = cluster_next(a, r)))
		if ((o = cluster_row(b, r->number)) == NULL || o->what.len != r->what.len || o->load.len != r->load.len ||
		    (r->what.len && memcmp(o->what.data, r->what.data, r->what.len) != 0) ||
		    (r->load.len && memcmp(o->load.data, r->load.data, r->load.len) != 0))
			return false;
	return true;
}

struct follower {
	struct cluster c;
	struct cluster_seen seen;
};

static size_t
follow(const struct cluster *c, struct follower *f, size_t most)
{
	struct buf out = BUF_INIT;
	size_t n;
	bool anew;

	if (cluster_since(c, &f->seen, most, &out, &anew) < 0 || cluster_apply(&f->c, span_of(out.data, out.len), anew) < 0)
		ok(!"followed"), exit(1);
	n = out.len;
	buf_release(&out);
	return n;
}

static void
simple(void)
{
	struct cluster c;
	struct follower f = { 0 };

	cluster_init(&c, 3);
	cluster_init(&f.c, 0);
	ok(follow(&c, &f, 1000) == 0 && f.seen.rev == c.rev);
	ok(cluster_set(&c, 7, span_text("seven"), span_text("idle")) == 0 && c.n == 1 && c.rev == (UINT64_C(3) << 32) + 1);
	ok(cluster_set(&c, 7, span_text("seven"), span_text("idle")) == 0 && c.rev == (UINT64_C(3) << 32) + 1);
	ok(follow(&c, &f, 1000) > 9 && same(&c, &f.c) && follow(&c, &f, 1000) == 0);
	ok(cluster_set(&c, 7, span_of(NULL, 0), span_text("busy")) == 0 && cluster_row(&c, 7)->what.len == 5);
	ok(c.rev == c.what_rev + 1);
	ok(follow(&c, &f, 1000) < 5 + 20 && same(&c, &f.c));	/* what it is was not told again */
	ok(f.c.rev == f.c.what_rev + 1);
	cluster_gone(&c, 8);
	cluster_gone(&c, 7);
	ok(cluster_row(&c, 7) == NULL && c.n == 0 && cluster_next(&c, NULL) == NULL);
	ok(follow(&c, &f, 1000) > 0 && f.c.n == 0 && cluster_check(&f.c) == 0);
	ok(cluster_set(&c, 7, span_text(""), span_text("")) == 0 && follow(&c, &f, 1000) > 0 && same(&c, &f.c));
	ok(cluster_set(&c, 8, (struct span){ (const unsigned char *)"", CLUSTER_BYTES_MAX + 1 }, span_text("")) == -E2BIG);
	cluster_release(&c);

	cluster_init(&c, 4);			/* the control store came back: what it knew before does not count */
	cluster_set(&c, 9, span_text("nine"), span_text(""));
	ok(follow(&c, &f, 1000) > 0 && same(&c, &f.c) && cluster_row(&f.c, 7) == NULL);
	cluster_release(&c);
	cluster_release(&f.c);
}

static void
hostile(void)
{
	struct cluster c;
	static const char *const bad[] = {
		"\x80", "\x91\x01", "\x92\x01", "\x92\x01\x00", "\x92\x00\x01", "\x94\x01\x01\xc0\xc0", "\x94\x01\x01\xc4\x05" "ab",
		"\x94\x01\x01\xa1" "a\xc4\x00", "\x92\xa1x\x01", "\x92\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x93\x01\x01\xc0", "\xdd",
	};

	cluster_init(&c, 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ok(cluster_apply(&c, span_of(bad[i], strlen(bad[i]) + (i == 3)), false) == ERR_PROTO && cluster_check(&c) == 0 && c.n == 0);
	ok(cluster_apply(&c, span_of("\x94\x01\x05\xc4\x01" "a\xc4\x01" "b", 9), false) == 0 && c.n == 1);
	ok(cluster_apply(&c, span_of("\x94\x02\x05\xc4\x01" "a\xc4\x01" "b", 9), false) == ERR_PROTO);	/* not after what it has */
	cluster_release(&c);
}

static void
random_followers(uint64_t with)
{
	struct cluster c;
	struct follower f[5] = { 0 };
	char text[64];
	bool fine = true;
	size_t n;

	seed = with;
	cluster_init(&c, 1);
	for (int i = 0; i < 5; i++)
		cluster_init(&f[i].c, 0);
	for (unsigned i = 0; i < 6000 && fine; i++) {
		uint32_t number = 1 + draw(with % 2 ? 40 : 4000);

		snprintf(text, sizeof text, "node %u is %u", number, draw(3));
		switch (draw(6)) {
		case 0: cluster_set(&c, number, span_text(text), span_text("0")); break;
		case 1: case 2:
			if (cluster_row(&c, number))
				cluster_set(&c, number, span_of(NULL, 0), span_text(text));
			break;
		case 3: cluster_gone(&c, number); break;
		case 4: follow(&c, &f[draw(4)], draw(300)); break;
		case 5:				/* one that seldom asks, and meets what was forgotten */
			if (draw(400) == 0)
				follow(&c, &f[4], draw(3000));
			break;
		}
		if (i % 97 == 0)
			fine = cluster_check(&c) == 0 && cluster_check(&f[i % 5].c) == 0;
	}
	for (int i = 0; i < 5; i++) {
		unsigned rounds = 0;

		while ((n = follow(&c, &f[i], 500)) > 0 && rounds < 10000)
			rounds++;
		fine = fine && same(&c, &f[i].c) && same(&f[i].c, &c) && cluster_check(&f[i].c) == 0 && rounds < 10000;
		cluster_release(&f[i].c);
	}
	if (!fine)
		printf("# seed %llu\n", (unsigned long long)with);
	ok(fine && c.ngone <= CLUSTER_GONE_MAX);
	cluster_release(&c);
}

int
main(void)
{
	simple();
	hostile();
	for (uint64_t i = 1; i <= 40; i++)
		random_followers(i);
	return tap_done();
}
