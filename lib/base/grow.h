/*
 * grow - room for one more at the end of an array in the heap, which is doubled when it is full.
 *
 *	if ((v = grow(l->v, &l->cap, l->n, sizeof *v)) == NULL)
 *		return -ENOMEM;			l->v is as it was
 *	l->v = v;
 *	l->v[l->n++] = ...;
 */
#ifndef BASE_GROW_H
#define BASE_GROW_H

#include <stddef.h>
#include <stdlib.h>

/* v (NULL while *cap is 0) where n of *cap elements of size bytes are in use, or where it lies now; NULL: no memory. */
static inline void *
grow(void *v, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap ? 2 * *cap : 16;

	if (n < *cap)
		return v;
	if ((v = reallocarray(v, want, size)) != NULL)
		*cap = want;
	return v;
}

#endif
