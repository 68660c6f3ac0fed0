/* base_table.c - one listing as tabs, as JSON, as name and value, and aligned; -o and its errors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tap.h"
#include "base/table.h"

static const struct table_col cols[] = {
	{ "id", TABLE_STRING }, { "n", TABLE_UINT }, { "size", TABLE_BYTES }, { "age", TABLE_AGE }, { "start", TABLE_TIME },
	{ "load", TABLE_FLOAT }, { 0 }
};

enum { PLAIN, HEAD, JSON, SHOW, TTY };

static char *out;
static size_t len;

static int
list(int how, const char *select, int rows)
{
	struct table t;
	char why[200];
	FILE *f;
	int e;

	free(out);
	f = open_memstream(&out, &len);
	table_init(&t, cols, f);
	t.header = how == HEAD;
	t.json = how == JSON;
	t.show = how == SHOW;
	t.tty = how == TTY;
	if (select && table_select(&t, select, why, sizeof why) != 0)
		return -1;
	if (rows > 0) {
		table_str(&t, "a1");
		table_uint(&t, 7);
		table_uint(&t, 1536);
		table_uint(&t, 12500000000);
		table_uint(&t, UINT64_C(1795788187) * 1000000000);
		table_float(&t, 0.25);
		table_row(&t);
	}
	if (rows > 1) {
		table_bytes(&t, "b\t\xff", 3);
		table_none(&t);
		table_uint(&t, UINT64_C(3) << 30);
		table_row(&t);
	}
	if (rows > 2) {
		table_str(&t, "c\xc2\x9b" "2J \xc2\xa0\xc3\x9f");
		table_row(&t);
	}
	e = table_end(&t);
	fclose(f);
	return e;
}

static int
is(const char *want)
{
	if (strcmp(out, want) == 0)
		return 1;
	printf("# wanted:\n");
	for (; *want; want++)
		printf(*want == '\n' ? "\\n\n# " : want[0] == '\t' ? "\\t" : "%c", *want);
	printf("\n# got:\n# ");
	for (want = out; *want; want++)
		printf(*want == '\n' ? "\\n\n# " : want[0] == '\t' ? "\\t" : "%c", *want);
	printf("\n");
	return 0;
}

int
main(void)
{
	struct table t;
	char why[200];
	FILE *full;

	setenv("TZ", "UTC", 1);
	ok(list(PLAIN, NULL, 2) == 0 && is("a1\t7\t1536\t12.5\t2026-11-27T14:03:07Z\t0.25\nb?\xff\t-\t3221225472\t-\t-\t-\n"));
	ok(list(PLAIN, "id", 3) == 0 && is("a1\nb?\xff\nc??2J \xc2\xa0\xc3\x9f\n"));
	ok(list(PLAIN, NULL, 0) == 0 && is(""));
	ok(list(HEAD, "size,id", 1) == 0 && is("size\tid\n1536\ta1\n"));
	ok(list(HEAD, "n", 0) == 0 && is("n\n"));
	ok(list(JSON, NULL, 2) == 0 && is(
		"{\"id\":\"a1\",\"n\":7,\"size\":1536,\"age\":12.5,\"start\":\"2026-11-27T14:03:07Z\",\"load\":0.25}\n"
		"{\"id\":\"b\\t\\ufffd\",\"id_base64\":\"Ygn/\",\"n\":null,\"size\":3221225472,\"age\":null,\"start\":null,\"load\":null}\n"));
	ok(list(SHOW, "id,size", 1) == 0 && is("id\ta1\nsize\t1536\n"));
	setenv("COLUMNS", "40", 1);
	ok(list(TTY, "id,size,age,load", 2) == 0 && is(
		"id   size  age  load\n"
		"a1   1.5K  12s  0.25\n"
		"b?\xff    3G    -     -\n"));
	ok(list(TTY, "start,id,n", 1) == 0 && is("start                id  n\n2026-11-27 14:03:07  a1  7\n"));

	table_init(&t, cols, stdout);
	ok(table_select(&t, "siz", why, sizeof why) == -EINVAL && strcmp(why, "no column 'siz'; did you mean 'size'?") == 0);
	ok(table_select(&t, "zzzzzzz", why, sizeof why) == -EINVAL && strcmp(why, "no column 'zzzzzzz'; -o help lists them") == 0);
	ok(table_select(&t, "id,", why, sizeof why) == -EINVAL && table_select(&t, "", why, sizeof why) == -EINVAL);
	table_end(&t);

	full = fopen("/dev/full", "w");
	table_init(&t, cols, full);
	table_str(&t, "x");
	table_row(&t);
	ok(table_end(&t) == -ENOSPC);
	fclose(full);
	free(out);
	return tap_done();
}
