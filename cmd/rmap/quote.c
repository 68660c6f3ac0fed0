/* quote - one word for sh, whatever is in it; plain words stay as they are, so that $(({} * 2)) works. */
#include <ctype.h>
#include <string.h>
#include "rmap.h"

static bool
plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && (!p[i] || !strchr("@%+=:,./_-", p[i])))
			return false;
	return n > 0;
}

int
quote(struct buf *b, const char *p, size_t n)
{
	const char *end = p + n, *q;
	int e;

	if (plain(p, n))
		return buf_add(b, p, n);
	e = buf_add(b, "'", 1);
	for (; e == 0 && (q = memchr(p, '\'', (size_t)(end - p))); p = q + 1)
		if ((e = buf_add(b, p, (size_t)(q - p))) == 0)
			e = buf_add(b, "'\\''", 4);
	if (e == 0 && (e = buf_add(b, p, (size_t)(end - p))) == 0)
		e = buf_add(b, "'", 1);
	return e;
}

/* the same for records that are lines: control characters as $'\n' */
int
quote_line(struct buf *b, const char *p, size_t n)
{
	bool control = false;
	int e;

	for (size_t i = 0; i < n; i++)
		control |= (unsigned char)p[i] < 0x20 || p[i] == 0x7f;
	if (!control)
		return quote(b, p, n);
	e = buf_add(b, "$'", 2);
	for (size_t i = 0; i < n && e == 0; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\n' || c == '\t')
			e = buf_add(b, c == '\n' ? "\\n" : "\\t", 2);
		else if (c < 0x20 || c == 0x7f)
			e = buf_printf(b, "\\x%02x", c);
		else if (c == '\'' || c == '\\')
			e = buf_printf(b, "\\%c", c);
		else
			e = buf_add(b, p + i, 1);
	}
	return e < 0 ? e : buf_add(b, "'", 1);
}
