#include <errno.h>
#include <stdlib.h>
#include "base/grow.h"
#include "base/heap.h"

static void
put(struct heap *h, size_t i, struct heap_node *n)
{
	h->v[i] = n;
	n->index = i + 1;
}

static void
sift(struct heap *h, size_t i, struct heap_node *n)	/* n belongs at i, above or below */
{
	size_t c;

	while (i > 0 && n->at < h->v[(i - 1) / 2]->at) {
		put(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (; (c = 2 * i + 1) < h->len; i = c) {
		if (c + 1 < h->len && h->v[c + 1]->at < h->v[c]->at)
			c++;
		if (n->at <= h->v[c]->at)
			break;
		put(h, i, h->v[c]);
	}
	put(h, i, n);
}

int
heap_add(struct heap *h, struct heap_node *n)
{
	void *v = grow(h->v, &h->cap, h->len, sizeof h->v[0]);

	if (!v)
		return -ENOMEM;
	h->v = v;
	h->len++;
	sift(h, h->len - 1, n);
	return 0;
}

int
heap_set(struct heap *h, struct heap_node *n, uint64_t at)
{
	n->at = at;
	if (n->index == 0)
		return heap_add(h, n);
	sift(h, n->index - 1, n);
	return 0;
}

void
heap_del(struct heap *h, struct heap_node *n)
{
	size_t i = n->index;
	struct heap_node *last;

	if (i-- == 0)
		return;
	n->index = 0;
	last = h->v[--h->len];
	if (last != n)
		sift(h, i, last);
}

void
heap_release(struct heap *h)
{
	while (h->len)
		h->v[--h->len]->index = 0;
	free(h->v);
	*h = (struct heap)HEAP_INIT;
}
