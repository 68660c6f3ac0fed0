#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/num.h"

struct unit {
	const char *name;
	uint64_t scale;
};

/* Digits from *s on; moves *s behind them. */
static int
digits(const char **s, uint64_t *n)
{
	uint64_t v = 0, d;

	if (**s < '0' || **s > '9')
		return -EINVAL;
	for (; **s >= '0' && **s <= '9'; ++*s) {
		d = (uint64_t)(**s - '0');
		if (v > (UINT64_MAX - d) / 10)
			return -ERANGE;
		v = v * 10 + d;
	}
	*n = v;
	return 0;
}

int
num_u64(const char *s, uint64_t *n)
{
	uint64_t v;
	int e;

	if ((e = digits(&s, &v)) < 0)
		return e;
	if (*s)
		return -EINVAL;
	*n = v;
	return 0;
}

int
num_uint(const char *s, unsigned *n)
{
	uint64_t v;
	int e;

	if ((e = num_u64(s, &v)) < 0)
		return e;
	if (v > UINT_MAX)
		return -ERANGE;
	*n = (unsigned)v;
	return 0;
}

/*
 * N or N.FRACTION and a unit of the table, whose first entry is the bare one.  In integers: the fraction's first
 * 9 digits, what is finer than the base unit is cut off.
 */
static int
scaled(const char *s, const struct unit *u, uint64_t *out)
{
	uint64_t whole, frac = 0, unit = 1, scale = 0;
	int e;

	if ((e = digits(&s, &whole)) < 0)
		return e;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return -EINVAL;
		for (s++; *s >= '0' && *s <= '9'; s++)
			if (unit < 1000000000) {
				frac = frac * 10 + (uint64_t)(*s - '0');
				unit *= 10;
			}
	}
	for (; u->name; u++)
		if (strcmp(u->name, s) == 0)
			scale = u->scale;
	if (scale == 0)
		return -EINVAL;
	if (whole > UINT64_MAX / scale)
		return -ERANGE;
	frac = scale / unit * frac + scale % unit * frac / unit;	/* < scale, and no product overflows */
	if (whole * scale > UINT64_MAX - frac)
		return -ERANGE;
	*out = whole * scale + frac;
	return 0;
}

int
num_size(const char *s, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "B", 1 },
		{ "K", 1ULL << 10 }, { "M", 1ULL << 20 }, { "G", 1ULL << 30 }, { "T", 1ULL << 40 }, { "P", 1ULL << 50 },
		{ "k", 1ULL << 10 }, { "m", 1ULL << 20 }, { "g", 1ULL << 30 }, { "t", 1ULL << 40 },
		{ "KiB", 1ULL << 10 }, { "MiB", 1ULL << 20 }, { "GiB", 1ULL << 30 }, { "TiB", 1ULL << 40 },
		{ "KB", 1000 }, { "kB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 }, { "TB", 1000000000000 },
		{ "PB", 1000000000000000 },
		{ NULL, 0 }
	};

	return scaled(s, units, bytes);
}

int
num_duration(const char *s, int64_t *ns)
{
	static const struct unit units[] = {
		{ "", 1000000000 }, { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 },
		{ "m", 60000000000 }, { "h", 3600000000000 }, { "d", 86400000000000 },
		{ NULL, 0 }
	};
	uint64_t v;
	int e;

	if ((e = scaled(s, units, &v)) < 0)
		return e;
	if (v > INT64_MAX)
		return -ERANGE;
	*ns = (int64_t)v;
	return 0;
}

char *
num_fmt_size(char s[16], uint64_t bytes)
{
	static const char unit[] = "KMGTPE";
	double v = (double)bytes;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(s, 16, "%u", (unsigned)bytes);
		return s;
	}
	for (v /= 1024; v >= 999.5 && unit[i + 1]; v /= 1024)
		i++;
	snprintf(s, 16, v < 9.95 ? "%.1f%c" : "%.0f%c", v, unit[i]);
	if (s[1] == '.' && s[2] == '0') {		/* 2.0G is 2G */
		s[1] = unit[i];
		s[2] = '\0';
	}
	return s;
}

char *
num_fmt_age(char s[16], int64_t ns)
{
	static const struct unit units[] = {		/* shown in the largest of which there are two or more */
		{ "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 },
		{ "ms", 1000000 }, { "us", 1000 }
	};
	uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
	size_t i;

	for (i = 0; i < sizeof units / sizeof units[0]; i++)
		if (v >= units[i].scale * (i < 3 ? 2 : 1)) {
			snprintf(s, 16, "%u%s", (unsigned)(v / units[i].scale), units[i].name);
			return s;
		}
	snprintf(s, 16, v ? "%uns" : "0s", (unsigned)v);
	return s;
}
