#include <string.h>
#include "base/near.h"

enum { WORD = 63 };			/* longer words are nobody's slip */

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned
distance(const char *a, size_t na, const char *b, size_t nb)	/* Damerau's, without edits of a swapped pair */
{
	unsigned row[3][WORD + 1], *two = row[0], *one = row[1], *cur = row[2], *t;
	size_t i, j;

	for (j = 0; j <= nb; j++)
		one[j] = (unsigned)j;
	for (i = 1; i <= na; i++) {
		cur[0] = (unsigned)i;
		for (j = 1; j <= nb; j++) {
			cur[j] = least(least(one[j], cur[j - 1]) + 1, one[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cur[j] = least(cur[j], two[j - 2] + 1);
		}
		t = two, two = one, one = cur, cur = t;
	}
	return one[nb];
}

const char *
near_word(const char *w, const char *const *words, size_t n)
{
	size_t nw = strlen(w), i, len;
	const char *best = NULL;
	unsigned d, limit = nw < 3 ? 1 : nw < 6 ? 2 : 3, min = limit + 1;

	if (nw == 0 || nw > WORD)
		return NULL;
	for (i = 0; i < n; i++) {
		if ((len = strlen(words[i])) > WORD)
			continue;
		d = distance(w, nw, words[i], len);
		if (d < min && 2 * d <= (len > nw ? len : nw)) {	/* not when most letters differ */
			min = d;
			best = words[i];
		}
	}
	for (i = 0; !best && nw >= 3 && i < n; i++)		/* num_cpus: a word within, or one begun */
		if (strlen(words[i]) >= 3 && (strstr(w, words[i]) || strncmp(words[i], w, nw) == 0))
			best = words[i];
	return best;
}
