/*
 * buf - growable byte buffer.  Owns its bytes; BUF_INIT and a released buf are ready for use.
 * Not a string: no terminator is kept.  Depends on libc only.  One thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
	unsigned char *data;	/* owned; NULL only while cap == 0 */
	size_t len;		/* bytes in use, len <= cap */
	size_t cap;		/* private to buf.c; after buf_reserve the caller may fill data[len..] and raise len */
};
#define BUF_INIT { 0 }

int	buf_add(struct buf *b, const void *p, size_t n); /* copies p; 0 or -ENOMEM, b unchanged on error */
int	buf_reserve(struct buf *b, size_t n);		/* room for n more bytes; 0 or -ENOMEM */
int	buf_printf(struct buf *b, const char *fmt, ...)	/* appends text, no terminator; 0 or -errno, b unchanged */
	__attribute__((format(printf, 2, 3)));
void	buf_drop(struct buf *b, size_t n);		/* forgets the first n <= len bytes */
void	buf_release(struct buf *b);			/* frees the bytes; b becomes BUF_INIT */

#endif
