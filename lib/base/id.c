#include <errno.h>
#include "base/id.h"

char *
id_format(char s[ID_TEXT], struct id i)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t hi = (uint64_t)i.node << 32 | i.proc, lo = i.seq;
	int k;

	for (k = 15; k >= 0; k--, hi >>= 4, lo >>= 4) {
		s[k] = hex[hi & 15];
		s[k + 16] = hex[lo & 15];
	}
	s[32] = '\0';
	return s;
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The digits of s, the places that it leaves open filled with fill.  How many there were, or -EINVAL. */
static int
fill_in(const char *s, unsigned fill, struct id *out)
{
	uint64_t w[2] = { 0, 0 };
	int k, n, d;

	for (n = 0; s[n]; n++)
		if (n == 32 || nibble(s[n]) < 0)
			return -EINVAL;
	for (k = 0; k < 32; k++) {
		d = k < n ? nibble(s[k]) : (int)fill;
		w[k / 16] = w[k / 16] << 4 | (uint64_t)d;
	}
	*out = (struct id){ (uint32_t)(w[0] >> 32), (uint32_t)w[0], w[1] };
	return n;
}

int
id_prefix(const char *s, struct id *lo, struct id *hi)
{
	struct id a, b;

	if (fill_in(s, 0, &a) < 4 || fill_in(s, 15, &b) < 4)
		return -EINVAL;
	*lo = a;
	*hi = b;
	return 0;
}
