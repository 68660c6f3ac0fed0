/*
 * num - strict parsing of numbers, sizes, durations and ranges: the whole string, no blanks, never the locale.
 * Parsers return 0, -EINVAL or -ERANGE and set their out-parameters on success only.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdint.h>

int	num_uint(const char *s, unsigned *n);		/* decimal, no sign */
int	num_u64(const char *s, uint64_t *n);		/* decimal, no sign */
int	num_size(const char *s, uint64_t *bytes);	/* 64K 1.5M 2G 1T (1024), 64KB 1MB (1000), 64KiB; bare: bytes */
int	num_duration(const char *s, int64_t *ns);	/* 90 90s 1.5m 2h 1d 10ms 5us 7ns; bare: seconds; 0 is none */

/* For tables: 4 to 5 characters; both return s. */
char	*num_fmt_size(char s[16], uint64_t bytes);	/* 812, 1.2G, 64K */
char	*num_fmt_age(char s[16], int64_t ns);		/* 350ms, 12s, 3m, 5h, 12d */

#endif
