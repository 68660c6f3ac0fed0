#include <stdlib.h>
#include "core/numbers.h"
#include "wire/le.h"

int
numbers_add(struct buf *b, uint64_t u)
{
	unsigned char e[8];

	le_put64(e, u);
	return buf_add(b, e, sizeof e);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = le_get64(a), y = le_get64(b);

	return x < y ? -1 : x > y;
}

void
numbers_sort(struct buf *b)
{
	if (b->len)
		qsort(b->data, b->len / 8, 8, by_number);
}

bool
numbers_has(struct span s, uint64_t u)
{
	unsigned char e[8];

	le_put64(e, u);
	return s.n >= 8 && bsearch(e, s.p, s.n / 8, 8, by_number);
}
