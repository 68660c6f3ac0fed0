/* core_output.c - lines of tasks are cut, named and counted, whatever pieces their bytes come in */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/output.h"
#include "tap.h"

#define SEC UINT64_C(1000000000)

static struct buf out;

static bool
is(const char *want)
{
	bool same = out.len == strlen(want) && memcmp(out.data, want, out.len) == 0;

	if (!same)
		printf("# got: %.*s# wanted: %s", (int)out.len, out.data ? (char *)out.data : "", want);
	out.len = 0;
	return same;
}

static size_t
take(struct output *o, struct output_from *f, uint64_t now, const char *text, bool last)
{
	static const struct output_mark mark = { 0, "f" };

	return output_take(o, f, now, &mark, 1, 0, (const unsigned char *)text, strlen(text), last, &out);
}

static void
lines(void)
{
	struct output o = { .all = true };
	struct output_from f = { .pid = 7 };
	const struct output_mark mark[] = { { 0, "a" }, { 4, "b" }, { 4, "c" }, { 9, "d" } };

	ok(take(&o, &f, 1, "one\ntwo\nthr", false) == 8 && is("f 7| one\nf 7| two\n"));
	ok(take(&o, &f, 1, "thr", false) == 0 && is(""));
	ok(take(&o, &f, 1, "thr", true) == 3 && is("f 7| thr\n"));
	ok(take(&o, &f, 1, "\n\n", false) == 2 && is("f 7| \nf 7| \n"));
	/* another task goes on in the middle of a line: that ends */
	ok(output_take(&o, &f, 1, mark, 4, 0, (const unsigned char *)"one\ntwo\nxyz\n", 12, false, &out) == 12 &&
	    is("a 7| one\nc 7| two\nc 7| x\nd 7| yz\n"));
	ok(output_take(&o, &f, 1, mark, 4, 6, (const unsigned char *)"o\n", 2, false, &out) == 2 && is("c 7| o\n"));
}

static void
pieces(void)				/* any cut of the bytes shows the same; a long line comes in pieces that fit a pipe */
{
	struct output o = { .all = true };
	struct output_from f = { .pid = 7 };
	char *text = malloc(20001), *all;
	size_t used, n = 20000, len;
	unsigned nl = 0;

	memset(text, 'x', n);
	text[5] = text[17] = text[n - 1] = '\n';
	text[n] = '\0';
	ok(take(&o, &f, 1, text, false) == n);
	all = malloc(out.len + 1);
	memcpy(all, out.data, out.len);
	all[len = out.len] = '\0';
	for (char *p = all, *q; (q = strchr(p, '\n')) != NULL; p = q + 1, nl++)
		if (q - p > 4095 || strncmp(p, "f 7| x", 6) != 0)
			break;
	ok(nl == 2 + (20000 - 19) / OUTPUT_LINE + 1);
	out.len = 0;
	for (size_t at = 0, end = 1; at < n; at += used) {
		const struct output_mark mark = { 0, "f" };

		used = output_take(&o, &f, 1, &mark, 1, at, (unsigned char *)text + at, end - at, false, &out);
		if (used == 0 && end < n)
			end += 7 < n - end ? 7 : n - end;
	}
	ok(is(all) && len > n);
	free(all);
	free(text);
}

static void
repeats(void)
{
	struct output o = { 0 };
	struct output_from a = { .pid = 1 }, b = { .pid = 2 };

	ok(output_due(&o) == UINT64_MAX);
	take(&o, &a, 5 * SEC, "x\nx\nx\n", false);
	ok(is("f 1| x\n") && output_due(&o) == 6 * SEC);
	output_tick(&o, 6 * SEC - 1, &out);
	ok(is(""));
	output_tick(&o, 6 * SEC, &out);
	ok(is("f 1| x [2 more]\n") && output_due(&o) == UINT64_MAX);
	take(&o, &a, 6 * SEC, "x\nx\n", false);	/* what goes on is counted on */
	output_tick(&o, UINT64_MAX, &out);
	ok(is("f 1| x [2 more]\n"));
	take(&o, &a, 9 * SEC, "{\n}\n{\n}\n", false);		/* one worker's layout stays */
	ok(is("f 1| {\nf 1| }\nf 1| {\nf 1| }\n"));
	take(&o, &b, 9 * SEC, "{\n}\n", false);		/* another one says the same */
	ok(is(""));
	take(&o, &b, 11 * SEC, "{\n", false);		/* later it is news, after the count */
	ok(is("f 1| { [1 more, of several workers]\nf 2| {\n"));
	output_tick(&o, UINT64_MAX, &out);
	ok(is("f 1| } [1 more, of several workers]\n"));
	take(&o, &b, 12 * SEC, "\n\n\n", false);		/* empty ones are never counted */
	ok(is("f 2| \nf 2| \nf 2| \n"));
	o.all = true;
	take(&o, &b, 12 * SEC, "y\ny\n", false);
	ok(is("f 2| y\nf 2| y\n"));
}

static void
many(void)				/* more different lines than are remembered: no count is lost */
{
	struct output o = { 0 };
	struct output_from f = { .pid = 1 };
	unsigned long shown = 0, more = 0;
	char line[32];

	srand(1);
	for (int i = 0; i < 100000; i++) {
		snprintf(line, sizeof line, "line %d\n", rand() % 50);
		for (int k = rand() % 3; k >= 0; k--, shown++)
			take(&o, &f, (uint64_t)i * 1000, line, false);
	}
	output_tick(&o, UINT64_MAX, &out);
	if (buf_add(&out, "", 1) < 0)
		return;
	for (char *p = (char *)out.data, *q; (q = strchr(p, '\n')) != NULL; p = q + 1) {
		char *c = memchr(p, '[', (size_t)(q - p));

		if (c)
			more += strtoul(c + 1, NULL, 10);
		else
			more++;
	}
	ok(more == shown);
	out.len = 0;
}

static void
tails(void)
{
	char text[40];
	const char *p = "a\nb\nc\nd\n";

	ok(output_tail((const unsigned char *)p, strlen(p), text, sizeof text) == 9 && strcmp(text, "b / c / d") == 0);
	ok(output_tail((const unsigned char *)"one\n", 4, text, sizeof text) == 3 && strcmp(text, "one") == 0);
	ok(output_tail((const unsigned char *)"a\tb\0c\n", 6, text, sizeof text) == 1 && strcmp(text, "c") == 0);
	ok(output_tail((const unsigned char *)"\n\n", 2, text, sizeof text) == 0 && text[0] == '\0');
	p = "0123456789012345678901234567890123456789 the end";
	ok(output_tail((const unsigned char *)p, strlen(p), text, sizeof text) == 39 && strcmp(text + 32, "the end") == 0);
}

static void
packed(void)				/* records say the same elsewhere, whatever pieces they come in; what makes no sense is refused */
{
	struct output o = { .pack = true }, there = { 0 }, plain = { 0 };
	struct output_from f = { .pid = 7 }, g = { .pid = 8 }, f2 = f, g2 = g;
	static const char *text[] = { "one\ntwo\n", "two\none\n", "\n", "one\none\n", "three\n" };
	struct buf all = BUF_INIT, want = BUF_INIT;
	size_t at = 0;

	for (unsigned i = 0; i < 5; i++) {
		take(&o, i & 1 ? &g : &f, SEC, text[i], false);
		buf_add(&all, out.data, out.len);
		out.len = 0;
		take(&plain, i & 1 ? &g2 : &f2, SEC, text[i], false);
		buf_add(&want, out.data, out.len);
		out.len = 0;
	}
	output_tick(&plain, UINT64_MAX, &want);
	for (size_t n; at < all.len; at += n) {
		for (n = 1; output_records(all.data + at, n) == 0; n++)
			;
		ok(output_unpack(&there, SEC, all.data + at, n, &out) == 0);
	}
	output_tick(&there, UINT64_MAX, &out);
	buf_add(&want, "", 1);
	ok(is((char *)want.data));
	ok(output_pack_text(&out, "by the way\n", 11) == 0);
	all.len = 0;
	buf_add(&all, out.data, out.len);
	out.len = 0;
	ok(output_unpack(&there, SEC, all.data, all.len, &out) == 0 && is("by the way\n"));
	for (size_t n = 0; n < all.len; n++)
		ok(output_records(all.data, n) == 0 && (n == 0) == (output_unpack(&there, SEC, all.data, n, &out) == 0));
	all.data[2] = OUTPUT_NAME;
	ok(output_unpack(&there, SEC, all.data, all.len, &out) < 0 && is(""));
	buf_release(&all);
	buf_release(&want);
}

int
main(void)
{
	lines();
	pieces();
	repeats();
	many();
	tails();
	packed();
	buf_release(&out);
	return tap_done();
}
