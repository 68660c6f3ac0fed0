/* wire_frame.c - a frame's header comes back as it was packed, and every bound is kept */
#include <stdbool.h>
#include "base/err.h"
#include "guard.h"
#include "tap.h"
#include "wire/frame.h"

static ssize_t
parse(struct frame *f, const unsigned char *p, size_t n, uint32_t max)
{
	return frame_parse(f, guard(p, n), n, max);
}

static void
round_trip(void)
{
	struct frame f = { .len = 5, .type = 0xabcd, .version = 1, .req = UINT64_C(0x0102030405060708), .credit = 0xdeadbeef,
		.nfd = 3, .session = UINT64_MAX }, g;
	unsigned char s[FRAME_HEAD + 8] = { 0 };
	size_t n;
	bool good = true;

	frame_pack(s, &f);
	ok(s[0] == 5 && s[4] == 0xcd && s[5] == 0xab && s[6] == 1 && s[8] == 8 && s[15] == 1 && s[22] == 3 && s[31] == 0xff);
	memcpy(s + FRAME_HEAD, "hello", 5);
	ok(parse(&g, s, sizeof s, FRAME_MAX) == FRAME_HEAD + 5);
	ok(g.len == 5 && g.type == 0xabcd && g.version == 1 && g.flags == 0 && g.req == f.req && g.credit == f.credit);
	ok(g.nbuf == 0 && g.nfd == 3 && g.session == f.session && memcmp(g.body, "hello", 5) == 0);
	for (n = 0; n < FRAME_HEAD + 5; n++)
		good &= parse(&g, s, n, FRAME_MAX) == ERR_PARTIAL;
	ok(good && "each beginning of a frame is partial");
	frame_set_nfd(s, 2);
	frame_set_req(s, 77);
	ok(parse(&g, s, sizeof s, FRAME_MAX) > 0 && g.nfd == 2 && g.req == 77 && g.credit == f.credit && g.session == f.session);
}

static void
bounds(void)
{
	static const struct frame bad[] = { { .version = 0 }, { .version = 2 }, { .version = 1, .flags = 1 },
		{ .version = 1, .nbuf = 1 }, { .version = 1, .nfd = FRAME_FDS + 1 }, { .version = 1, .len = 4097 },
		{ .version = 1, .len = UINT32_MAX } };
	struct frame f = { .version = 1, .len = 4096, .nfd = FRAME_FDS }, g = { .type = 9 };
	static unsigned char s[FRAME_HEAD + 4096];
	bool good = true;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		frame_pack(s, &bad[i]);
		good &= parse(&g, s, FRAME_HEAD, 4096) == ERR_PROTO && parse(&g, s, sizeof s, 4096) == ERR_PROTO;
		good &= parse(&g, s, FRAME_HEAD - 1, 4096) == ERR_PARTIAL;
	}
	ok(good && g.type == 9 && "what breaks a bound is refused as soon as the header is there");
	frame_pack(s, &f);
	ok(parse(&g, s, sizeof s, 4096) == FRAME_HEAD + 4096);
	ok(parse(&g, s, sizeof s, 4095) == ERR_PROTO);
}

static void
noise(void)
{
	unsigned char s[FRAME_HEAD + 64];
	struct frame f = { .version = 1, .len = 64, .type = 1 }, g;
	uint64_t seed = 4;
	unsigned i, good = 0, bad = 0;
	size_t n;
	ssize_t r;

	for (i = 0; i < 100000; i++) {
		frame_pack(s, &f);
		n = mutate(s, sizeof s, &seed);
		r = parse(&g, s, n, FRAME_MAX);
		if (r >= 0 && (size_t)r <= n && g.len + FRAME_HEAD == (size_t)r)
			good++;
		else if (r == ERR_PARTIAL || r == ERR_PROTO)
			bad++;
	}
	ok(good + bad == 100000 && good > 1000 && bad > 1000);
}

int
main(void)
{
	round_trip();
	bounds();
	noise();
	return tap_done();
}
