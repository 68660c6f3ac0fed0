/* base_json.c - escapes, UTF-8 and its forgeries, numbers that read back, separators that come by themselves */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tap.h"
#include "base/json.h"

static struct buf b;

static int
is(const char *want)			/* and starts afresh */
{
	int good = b.len == strlen(want) && memcmp(b.data, want, b.len) == 0;

	if (!good)
		printf("# %.*s\n# %s wanted\n", (int)b.len, b.data, want);
	b.len = 0;
	return good;
}

static int
str(const char *s, size_t n, const char *want)
{
	return json_str(&b, s, n) == 0 && is(want);
}

static int
num(double v, const char *want)
{
	return json_num(&b, v) == 0 && is(want);
}

int
main(void)
{
	uint64_t x = 88172645463325252ull;
	double d;
	int i, good = 1;

	ok(str("", 0, "\"\"") && str("plain", 5, "\"plain\""));
	ok(str("a\"b\\c\n\t\r\b\f", 10, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\""));
	ok(str("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""));
	ok(str("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15, "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""));
	ok(str("a\xff" "b", 3, "\"a\\ufffdb\"") && str("\xc3", 1, "\"\\ufffd\"") && str("\xe2\x82", 2, "\"\\ufffd\\ufffd\""));
	ok(!json_utf8("\xc0\xaf", 2) && !json_utf8("\xe0\x80\xaf", 3) && !json_utf8("\xf0\x80\x80\xaf", 4));	/* overlong */
	ok(!json_utf8("\xed\xa0\x80", 3) && !json_utf8("\xf4\x90\x80\x80", 4) && json_utf8("\xed\x9f\xbf\xf4\x8f\xbf\xbf", 7));
	ok(json_utf8("", 0) && json_utf8("ascii", 5) && !json_utf8("\x80", 1));

	ok(num(0.1, "0.1") && num(3, "3.0") && num(-2.5, "-2.5") && num(1e300, "1e+300") && num(1.0 / 3, "0.3333333333333333"));
	ok(num(NAN, "null") && num(INFINITY, "null") && num(5e-324, "4.94065645841247e-324"));
	for (i = 0; i < 20000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		memcpy(&d, &x, sizeof d);
		if (!isfinite(d))
			continue;
		good &= json_num(&b, d) == 0 && buf_add(&b, "", 1) == 0 && strtod((char *)b.data, NULL) == d;
		b.len = 0;
	}
	ok(good);
	ok(json_int(&b, INT64_MIN) == 0 && is("-9223372036854775808") && json_uint(&b, UINT64_MAX) == 0 && is("18446744073709551615"));

	buf_add(&b, "{", 1);
	json_key(&b, "a"), json_int(&b, 1), json_key(&b, "b"), json_bool(&b, true);
	json_key(&b, "c"), buf_add(&b, "[", 1), json_item(&b), json_null(&b), json_item(&b), json_bool(&b, false);
	buf_add(&b, "]}", 2);
	ok(is("{\"a\":1,\"b\":true,\"c\":[null,false]}"));

	ok(json_base64(&b, "", 0) == 0 && is("\"\"") && json_base64(&b, "f", 1) == 0 && is("\"Zg==\""));
	ok(json_base64(&b, "fo", 2) == 0 && is("\"Zm8=\"") && json_base64(&b, "foo", 3) == 0 && is("\"Zm9v\""));
	ok(json_base64(&b, "\xff\xfe\xfd\0", 4) == 0 && is("\"//79AA==\""));
	buf_release(&b);
	return tap_done();
}
