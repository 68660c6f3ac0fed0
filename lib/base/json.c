#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static size_t
sequence(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0, i;

	if (len == 0 || len > n)
		return 0;
	for (i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90))	/* overlong */
		return 0;
	if ((p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f))	/* surrogate, beyond the last */
		return 0;
	return len;
}

bool
json_utf8(const void *data, size_t n)
{
	const unsigned char *p = data;
	size_t len;

	for (; n; p += len, n -= len)
		if ((len = sequence(p, n)) == 0)
			return false;
	return true;
}

int
json_item(struct buf *b)
{
	unsigned char c = b->len ? b->data[b->len - 1] : '[';

	return c == '[' || c == '{' || c == ':' || c == '\n' ? 0 : buf_add(b, ",", 1);
}

int
json_key(struct buf *b, const char *name)
{
	int e;

	if ((e = json_item(b)) < 0 || (e = json_str(b, name, strlen(name))) < 0)
		return e;
	return buf_add(b, ":", 1);
}

int
json_str(struct buf *b, const void *data, size_t n)
{
	static const char esc[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const unsigned char *p = data, *plain = p, *end = p + n;
	size_t len;
	const char *q;
	int e;

	if ((e = buf_add(b, "\"", 1)) < 0)
		return e;
	for (; p < end; p += len) {
		len = sequence(p, (size_t)(end - p));
		if (len && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f)
			continue;
		if ((e = buf_add(b, plain, (size_t)(p - plain))) < 0)
			return e;
		if (len == 0)
			e = buf_add(b, "\\ufffd", 6);
		else if (*p && (q = strchr(esc, *p)))
			e = buf_add(b, (char[]){ '\\', letter[q - esc] }, 2);
		else
			e = buf_printf(b, "\\u%04x", *p);
		if (e < 0)
			return e;
		if (len == 0)
			len = 1;
		plain = p + len;
	}
	if ((e = buf_add(b, plain, (size_t)(p - plain))) < 0)
		return e;
	return buf_add(b, "\"", 1);
}

int
json_int(struct buf *b, int64_t v)
{
	return buf_printf(b, "%lld", (long long)v);
}

int
json_uint(struct buf *b, uint64_t v)
{
	return buf_printf(b, "%llu", (unsigned long long)v);
}

int
json_num(struct buf *b, double v)
{
	char s[40];
	int digits;

	if (!isfinite(v))
		return json_null(b);
	for (digits = 15; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, v);
		if (strtod(s, NULL) == v)
			break;
	}
	if (!strpbrk(s, ".e"))
		strcat(s, ".0");
	return buf_add(b, s, strlen(s));
}

int
json_bool(struct buf *b, bool v)
{
	return v ? buf_add(b, "true", 4) : buf_add(b, "false", 5);
}

int
json_null(struct buf *b)
{
	return buf_add(b, "null", 4);
}

int
json_base64(struct buf *b, const void *data, size_t n)
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;
	unsigned char *out;
	uint32_t v;
	int e;

	if (n > (SIZE_MAX - 8) / 4 * 3)
		return -ENOMEM;
	if ((e = buf_reserve(b, (n + 2) / 3 * 4 + 2)) < 0)
		return e;
	out = b->data + b->len;
	*out++ = '"';
	for (; n; p += 3, n -= n < 3 ? n : 3) {
		v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
		*out++ = (unsigned char)abc[v >> 18];
		*out++ = (unsigned char)abc[v >> 12 & 63];
		*out++ = n > 1 ? (unsigned char)abc[v >> 6 & 63] : '=';
		*out++ = n > 2 ? (unsigned char)abc[v & 63] : '=';
	}
	*out++ = '"';
	b->len = (size_t)(out - b->data);
	return 0;
}
