/*
 * span - borrowed bytes: where they begin and how many.  Whoever hands one over says how long they live.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const unsigned char *p;
	size_t n;
};

static inline struct span
span_of(const void *p, size_t n)
{
	return (struct span){ p, n };
}

static inline struct span
span_text(const char *s)		/* without its terminator */
{
	return (struct span){ (const unsigned char *)s, strlen(s) };
}

static inline bool
span_is(struct span s, const char *text)
{
	return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

#endif
