/* near - "did you mean": the word of a list that a mistyped one was meant to be. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stddef.h>

/* The nearest of n words by edit distance (a swap of neighbours counts one); NULL if none is near.  Ties: the first. */
const char *near_word(const char *w, const char *const *words, size_t n);

#endif
