/* base_num.c - what counts as a number, a size, a duration and a range, and how they are shown */
#include <errno.h>
#include <locale.h>
#include <string.h>
#include "tap.h"
#include "base/num.h"

static int64_t
size(const char *s)		/* the size, or the error */
{
	uint64_t v = 12345;
	int e = num_size(s, &v);

	return e < 0 ? (v == 12345 ? e : 1) : (int64_t)v;	/* 1: touched on failure */
}

static int64_t
dur(const char *s)
{
	int64_t v = 12345;
	int e = num_duration(s, &v);

	return e < 0 ? (v == 12345 ? e : 1) : v;
}

static int
shows(const char *want, uint64_t v)
{
	char s[16];

	return strcmp(num_fmt_size(s, v), want) == 0 || (printf("# %s, not %s\n", s, want), 0);
}

static int
age(const char *want, int64_t ns)
{
	char s[16];

	return strcmp(num_fmt_age(s, ns), want) == 0 || (printf("# %s, not %s\n", s, want), 0);
}

int
main(void)
{
	static const char *const bad[] = { "", " ", "x", "-1", "+1", "1 ", " 1", "1x", ".5", "1.", "1.K", "1e3", "0x10", "1,5", "K",
		"1KK", "1KiBs", "inf", "nan" };
	uint64_t v;
	unsigned u;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (!ok(size(bad[i]) == -EINVAL && dur(bad[i]) == -EINVAL && num_u64(bad[i], &v) == -EINVAL))
			printf("# '%s'\n", bad[i]);
	ok(num_uint("4294967295", &u) == 0 && u == 4294967295u && num_uint("4294967296", &u) == -ERANGE);
	ok(num_u64("18446744073709551615", &v) == 0 && v == UINT64_MAX && num_u64("18446744073709551616", &v) == -ERANGE);

	ok(size("0") == 0 && size("17") == 17 && size("64K") == 65536 && size("1M") == 1 << 20 && size("2G") == INT64_C(2) << 30);
	ok(size("1T") == INT64_C(1) << 40 && size("64KB") == 64000 && size("1MB") == 1000000 && size("1GiB") == 1 << 30);
	ok(size("1.5M") == 3 << 19 && size("0.5K") == 512 && size("1.7") == 1 && size("0.000000001G") == 1);
	ok(size("0.0000000000000000000001T") == 0 && size("1.999999999999999999999999K") == 2047);
	ok(size("16777216T") == -ERANGE && size("18446744073709551616") == -ERANGE && size("16384P") == -ERANGE);

	ok(dur("90") == INT64_C(90000000000) && dur("90s") == dur("90") && dur("1.5m") == dur("90") && dur("0") == 0);
	ok(dur("2h") == dur("7200") && dur("1d") == dur("24h") && dur("10ms") == 10000000 && dur("5us") == 5000 && dur("7ns") == 7);
	ok(dur("0.25") == 250000000 && dur("106751d") > 0 && dur("106752d") == -ERANGE && dur("1M") == -EINVAL);

	ok(shows("0", 0) && shows("999", 999) && shows("1K", 1000) && shows("1K", 1024) && shows("1.5K", 1536));
	ok(shows("64K", 65536) && shows("1.2G", 1288490188) && shows("1M", 1048575) && shows("999K", 999 << 10));
	ok(shows("16E", UINT64_MAX) && shows("2G", UINT64_C(2) << 30) && shows("10M", 10485759));
	ok(age("0s", 0) && age("0s", -5) && age("7ns", 7) && age("350ms", 350000000) && age("12s", 12900000000));
	ok(age("119s", 119000000000) && age("3m", 200000000000) && age("5h", INT64_C(5) * 3600000000000));
	ok(age("47h", INT64_C(47) * 3600000000000) && age("12d", INT64_C(12) * 86400000000000) && age("106751d", INT64_MAX));
	return tap_done();
}
