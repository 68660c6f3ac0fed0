/*
 * wire_msg.c - every message comes back as it was sent, older and newer peers are understood, and no body is trusted
 * With the argument "rows" prints the tables of rota-protocol(7) instead; t/protocol.t compares.
 */
#include "base/err.h"
#include "guard.h"
#include "tap.h"
#include "wire/frame.h"
#include "wire/mp.h"
#include "wire/msg.h"

/* A message as the tests see it: its calls, and where its fields are. */
struct kind {
	const char *name;
	unsigned code, fds;
	size_t size;
	const char *kinds;
	int (*put)(struct buf *b, const void *m);
	int (*get)(void *m, const unsigned char *p, size_t n);
};
#define X(NAME, name, code, fds, dir) \
	static int put_##name(struct buf *b, const void *m) { return msg_put_##name(b, m); } \
	static int get_##name(void *m, const unsigned char *p, size_t n) { return msg_get_##name(m, p, n); }
MSG_MAP(X)
#undef X
#define KIND(kind, field, doc) #kind
static const struct kind all[] = {
#define X(NAME, name, code, fds, dir) \
	{ #NAME, code, fds, sizeof(struct msg_##name), MSG_##NAME(KIND), put_##name, get_##name },
	MSG_MAP(X)
#undef X
};
enum { NALL = sizeof all / sizeof all[0] };

union any {
#define X(NAME, name, code, fds, dir) struct msg_##name m_##name;
	MSG_MAP(X)
#undef X
	unsigned char bytes[1];
};

static size_t
step(char kind)
{
	return kind == 'U' || kind == 'I' ? 8 : 16;
}

static void
fill(union any *m, const struct kind *k, uint64_t *seed)	/* every field something, edges among them */
{
	static const unsigned char text[300] = "node1 ▒ text";
	unsigned char *p = m->bytes;
	const char *c;
	uint64_t u;
	struct span s;
	struct id id;

	memset(m, 0, sizeof *m);
	for (c = k->kinds; *c; p += step(*c), c++)
		switch (*c) {
		case 'U':
		case 'I':
			u = rnd(seed) % 5 == 0 ? UINT64_MAX : rnd(seed) % 5 == 0 ? UINT64_C(1) << 63 : rnd(seed) >> rnd(seed) % 64;
			memcpy(p, &u, sizeof u);
			break;
		case 'D':
			id = (struct id){ (uint32_t)rnd(seed), (uint32_t)rnd(seed), rnd(seed) };
			memcpy(p, &id, sizeof id);
			break;
		default:
			s = span_of(text, rnd(seed) % sizeof text);
			memcpy(p, &s, sizeof s);
		}
}

static bool
same(const union any *a, const union any *b, const char *kinds)
{
	const unsigned char *p = a->bytes, *q = b->bytes;
	struct span s, t;

	for (; *kinds; p += step(*kinds), q += step(*kinds), kinds++)
		if (*kinds == 'S' || *kinds == 'B') {
			memcpy(&s, p, sizeof s);
			memcpy(&t, q, sizeof t);
			if (s.n != t.n || (s.n && memcmp(s.p, t.p, s.n) != 0))
				return false;
		} else if (memcmp(p, q, step(*kinds)) != 0)
			return false;
	return true;
}

static bool
zeroed(const union any *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (m->bytes[i])
			return false;
	return true;
}

static bool
round_trip(const struct kind *k, uint64_t *seed)
{
	struct buf b = BUF_INIT;
	union any m, r;
	struct frame f;
	bool good;
	int i;

	for (i = 0, good = true; i < 200 && good; i++) {
		b.len = 0;
		fill(&m, k, seed);
		memset(&r, 0xee, sizeof r);
		good = k->put(&b, &m) == 0 && frame_parse(&f, b.data, b.len, FRAME_MAX) == (ssize_t)b.len;
		good = good && f.type == k->code && f.version == MSG_PROTO && f.req == 0 && f.nfd == 0;
		good = good && k->get(&r, guard(f.body, f.len), f.len) == 0 && same(&m, &r, k->kinds);
	}
	buf_release(&b);
	return good;
}

/* A body with fewer fields is an older peer's, one with more a newer one's. */
static bool
versions(const struct kind *k, uint64_t *seed)
{
	struct buf b = BUF_INIT, longer = BUF_INIT;
	union any m, r;
	struct mp in, rest;
	struct mp_tok t;
	size_t fields = strlen(k->kinds), i;
	bool good = true;

	fill(&m, k, seed);
	if (k->put(&b, &m) < 0)
		return false;
	for (i = 0; i <= fields + 2; i++) {
		size_t due = i < fields ? i : fields;

		in = (struct mp){ b.data + FRAME_HEAD, b.data + b.len };
		mp_next(&in, &t);
		rest = in;
		while (due--)
			mp_skip(&rest);
		longer.len = 0;
		mp_put_array(&longer, i);
		mp_put_raw(&longer, in.p, (size_t)(rest.p - in.p));
		for (due = fields; due < i; due++)		/* an array with a huge integer in it: skipped */
			if (mp_put_array(&longer, 1) < 0 || mp_put_uint(&longer, UINT64_MAX) < 0)
				good = false;
		good &= k->get(&r, guard(longer.data, longer.len), longer.len) == 0;
		if (i >= fields)
			good &= same(&m, &r, k->kinds);
		else if (i == 0)
			good &= zeroed(&r, k->size);
		mp_put_nil(&longer);				/* but nothing may follow the array */
		good &= k->get(&r, guard(longer.data, longer.len), longer.len) == ERR_PROTO && zeroed(&r, k->size);
	}
	buf_release(&b);
	buf_release(&longer);
	return good;
}

static bool
spans_inside(const union any *m, const char *kinds, const unsigned char *p, size_t n)
{
	const unsigned char *q = m->bytes;
	struct span s;

	for (; *kinds; q += step(*kinds), kinds++) {
		if (*kinds != 'S' && *kinds != 'B')
			continue;
		memcpy(&s, q, sizeof s);
		if (s.n && (s.p < p || s.n > n || s.p + s.n > p + n))
			return false;
	}
	return true;
}

static bool
cut_and_changed(const struct kind *k, uint64_t *seed)
{
	struct buf b = BUF_INIT;
	unsigned char *s, *p;
	union any m, r;
	size_t body, n;
	bool good = true;
	int i, e;

	fill(&m, k, seed);
	if (k->put(&b, &m) < 0)
		return false;
	body = b.len - FRAME_HEAD;
	for (n = 0; n < body; n++)
		good &= k->get(&r, guard(b.data + FRAME_HEAD, n), n) == ERR_PROTO && zeroed(&r, k->size);
	s = malloc(body);
	for (i = 0; i < 3000 && good; i++) {
		memcpy(s, b.data + FRAME_HEAD, body);
		n = mutate(s, body, seed);
		p = guard(s, n);
		e = k->get(&r, p, n);
		good = e == 0 ? spans_inside(&r, k->kinds, p, n) : e == ERR_PROTO && zeroed(&r, k->size);
	}
	free(s);
	buf_release(&b);
	return good;
}

static void
limits(void)
{
	static char text[MSG_TEXT + 1];
	struct buf b = BUF_INIT;
	struct msg_hello h = { .name = span_of(text, MSG_TEXT) }, g;
	struct msg_rows rows = { .rows = span_of(text, (size_t)FRAME_MAX + 1) };
	struct msg_fail f = { .req = UINT64_MAX, .code = INT64_MIN };
	struct msg_fail q;
	struct msg_remove r;
	unsigned char s[64], *p;

	ok(msg_put_hello(&b, &h) == 0 && msg_get_hello(&g, b.data + FRAME_HEAD, b.len - FRAME_HEAD) == 0 && g.name.n == MSG_TEXT);
	h.name.n++;
	b.len = 0;
	ok(msg_put_hello(&b, &h) == ERR_VALUE && b.len == 0);
	ok(msg_put_rows(&b, &rows) == ERR_VALUE && b.len == 0);
	mp_put_array(&b, 5);			/* a peer that sends what we would not */
	for (int i = 0; i < 4; i++)
		mp_put_uint(&b, 1);
	mp_put_str(&b, text, MSG_TEXT + 1);
	ok(msg_get_hello(&g, b.data, b.len) == ERR_PROTO);
	b.len = 0;
	ok(msg_put_fail(&b, &f) == 0 && msg_get_fail(&q, b.data + FRAME_HEAD, b.len - FRAME_HEAD) == 0);
	ok(q.req == UINT64_MAX && q.code == INT64_MIN && q.text.n == 0);
	p = mp_w_int(mp_w_array_head(s, 1), -1);
	ok(msg_get_fail(&q, s, (size_t)(p - s)) == ERR_PROTO);
	p = mp_w_uint(mp_w_uint(mp_w_array_head(s, 2), 1), UINT64_MAX);
	ok(msg_get_fail(&q, s, (size_t)(p - s)) == ERR_PROTO);
	p = mp_w_float(mp_w_array_head(s, 1), 1.0);
	ok(msg_get_fail(&q, s, (size_t)(p - s)) == ERR_PROTO);
	p = mp_w_map_head(s, 0);
	ok(msg_get_fail(&q, s, (size_t)(p - s)) == ERR_PROTO);
	ok(msg_get_fail(&q, s, 0) == ERR_PROTO);
	p = mp_w_bin(mp_w_uint(mp_w_array_head(s, 2), 1), text, 15);
	ok(msg_get_remove(&r, guard(s, (size_t)(p - s)), (size_t)(p - s)) == ERR_PROTO);
	p = mp_w_bin(mp_w_uint(mp_w_array_head(s, 2), 1), text, 17);
	ok(msg_get_remove(&r, guard(s, (size_t)(p - s)), (size_t)(p - s)) == ERR_PROTO);
	p = mp_w_bin(mp_w_uint(mp_w_array_head(s, 2), 1), text, 16);
	ok(msg_get_remove(&r, guard(s, (size_t)(p - s)), (size_t)(p - s)) == 0);
	buf_release(&b);
}

static void
tables(void)
{
	bool unique = true, named = true;
	unsigned i, j;

	for (i = 0; i < NALL; i++) {
		for (j = 0; j < i; j++)
			unique &= all[i].code != all[j].code;
		named &= msg_name(all[i].code) && strcmp(msg_name(all[i].code), all[i].name) == 0;
		named &= msg_fds(all[i].code) == (int)all[i].fds;
	}
	ok(unique && "no code is used twice");
	ok(named);
	ok(msg_name(0) == NULL && msg_name(65536 + MSG_HELLO_T) == NULL && msg_fds(0) == 0);
}

#define ROW(kind, field, doc) ".It " #kind " Ta " #field " Ta " doc "\n"
static void
rows(void)
{
#define X(NAME, name, code, fds, dir) \
	printf(".Ss " #NAME "\nType %d, " dir "%s%.*d.\n", code, fds ? ", descriptors: " : "", fds != 0, fds); \
	fputs(".Bl -column kind incarnation meaning -offset indent -compact\n" MSG_##NAME(ROW) ".El\n", stdout);
	MSG_MAP(X)
#undef X
}

int
main(int argc, char *argv[])
{
	uint64_t seed = 5;
	unsigned i, a, b, c;

	if (argc > 1 && strcmp(argv[1], "rows") == 0) {
		rows();
		return fflush(stdout) != 0;
	}
	tables();
	limits();
	for (i = a = b = c = 0; i < NALL; i++) {
		a += round_trip(&all[i], &seed);
		b += versions(&all[i], &seed);
		c += cut_and_changed(&all[i], &seed);
		if (a + b + c != 3 * (i + 1)) {
			printf("# %s\n", all[i].name);
			break;
		}
	}
	ok(a == NALL && "each message comes back");
	ok(b == NALL && "fewer and more fields");
	ok(c == NALL && "each truncation, many mutations");
	return tap_done();
}
