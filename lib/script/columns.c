/* columns - cutting lines at a regular expression, or, mostly, at one byte. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script/lines.h"

struct columns {
	int byte;			/* >= 0: just this one */
	regex_t re;
};

/* \t \n \\ and so on, which POSIX leaves out, and \d; false: too long */
static bool
escapes(char *out, size_t cap, const char *s)
{
	static const char from[] = "tnrfva0", to[] = "\t\n\r\f\v\a";
	size_t n = 0;

	for (; *s; s++) {
		const char *p;

		if (n + 8 > cap)
			return false;
		if (*s == '\\' && s[1] == 'd') {
			memcpy(out + n, "[0-9]", 5);
			n += 5;
			s++;
		} else if (*s == '\\' && s[1] && (p = strchr(from, s[1])) && p - from < 6) {
			out[n++] = to[p - from];
			s++;
		} else if (*s == '\\' && s[1]) {
			out[n++] = *s++;
			out[n++] = *s;
		} else {
			out[n++] = *s;
		}
	}
	out[n] = '\0';
	return true;
}

int
columns_new(struct columns **out, const char *regex, char *why, size_t n)
{
	struct columns *c = calloc(1, sizeof *c);
	char text[1024];
	int e;

	if (!c)
		return -ENOMEM;
	if (!escapes(text, sizeof text, regex) || !*text) {
		snprintf(why, n, "%s", *regex ? "too long" : "empty");
		goto bad;
	}
	c->byte = -1;
	if (!text[1] && !strchr(".[()*+?{|^$\\", *text))
		c->byte = (unsigned char)*text;
	else if (text[0] == '\\' && text[1] && !text[2] && !strchr("wWsSbB<>`'123456789", text[1]))
		c->byte = (unsigned char)text[1];
	else if ((e = regcomp(&c->re, text, REG_EXTENDED)) != 0) {
		regerror(e, &c->re, why, n);
		goto bad;
	}
	*out = c;
	return 0;
bad:
	free(c);
	return -EINVAL;
}

void
columns_free(struct columns *c)
{
	if (c && c->byte < 0)
		regfree(&c->re);
	free(c);
}

void
columns_cut(const struct columns *c, const char *line, size_t n, void (*col)(void *, const char *, size_t), void *arg)
{
	const char *p = line, *end = line + n, *q;
	regmatch_t m[1];

	if (c->byte >= 0) {
		for (; (q = memchr(p, c->byte, (size_t)(end - p))); p = q + 1)
			col(arg, p, (size_t)(q - p));
		col(arg, p, (size_t)(end - p));
		return;
	}
	for (q = p; q < end;) {			/* q: where to look on; an empty match separates nothing */
		m[0] = (regmatch_t){ .rm_so = q - line, .rm_eo = end - line };
		if (regexec(&c->re, line, 1, m, REG_STARTEND | (q > line ? REG_NOTBOL : 0)) != 0)
			break;
		if (m[0].rm_eo == m[0].rm_so) {
			q = line + m[0].rm_eo + 1;
			continue;
		}
		col(arg, p, (size_t)(line + m[0].rm_so - p));
		p = q = line + m[0].rm_eo;
	}
	col(arg, p, (size_t)(end - p));
}
