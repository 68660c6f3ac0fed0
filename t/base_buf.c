/* base_buf.c - buf keeps its invariants through add, printf, reserve, drop and release */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "tap.h"
#include "base/buf.h"

static int
is(const struct buf *b, const char *s)
{
	return b->len == strlen(s) && memcmp(b->data, s, b->len) == 0 && b->len <= b->cap;
}

int
main(void)
{
	struct buf b = BUF_INIT;
	char big[1000];
	int i, good = 1;

	ok(buf_add(&b, NULL, 0) == 0 && b.len == 0);
	ok(buf_add(&b, "hello", 5) == 0);
	buf_drop(&b, 3);
	ok(is(&b, "lo"));
	ok(buf_printf(&b, "-%d-%s", 42, "x") == 0 && is(&b, "lo-42-x"));
	buf_drop(&b, b.len);
	ok(b.len == 0 && b.cap > 0);

	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ok(buf_printf(&b, "%s.", big) == 0 && b.len == sizeof big && b.data[sizeof big - 1] == '.');
	ok(buf_reserve(&b, 100000) == 0 && b.cap - b.len >= 100000 && b.len == sizeof big);
	memset(b.data + b.len, 'b', 100000);
	ok(buf_reserve(&b, SIZE_MAX) == -ENOMEM && buf_reserve(&b, SIZE_MAX / 2) == -ENOMEM && b.len == sizeof big);
	buf_release(&b);
	ok(b.data == NULL && b.cap == 0 && b.len == 0);

	for (i = 0; i < 10000; i++)
		good &= buf_add(&b, &(char){ (char)i }, 1) == 0;
	for (i = 0; i < 10000; i++)
		good &= b.data[i] == (unsigned char)i;
	ok(good && b.len == 10000);
	buf_release(&b);
	return tap_done();
}
