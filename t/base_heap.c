/* base_heap.c - deadlines come out in order while others are removed and moved from the middle */
#include "tap.h"
#include "base/heap.h"

enum { N = 1000 };

static uint64_t rnd = 88172645463325252ull;

static uint64_t
next(void)
{
	rnd ^= rnd << 13, rnd ^= rnd >> 7, rnd ^= rnd << 17;
	return rnd;
}

static int
sound(const struct heap *h)
{
	size_t i;

	for (i = 0; i < h->len; i++)
		if (h->v[i]->index != i + 1 || (i && h->v[(i - 1) / 2]->at > h->v[i]->at))
			return 0;
	return 1;
}

int
main(void)
{
	static struct heap_node v[N];
	struct heap h = HEAP_INIT;
	uint64_t last = 0;
	int i, good = 1;
	size_t in = 0;

	ok(heap_top(&h) == NULL);
	heap_del(&h, &v[0]);
	for (i = 0; i < 20000; i++) {
		struct heap_node *n = &v[next() % N];

		if (next() % 3) {
			in += n->index == 0;
			good &= heap_set(&h, n, next() % 500) == 0;
		} else {
			in -= n->index != 0;
			heap_del(&h, n);
			good &= n->index == 0;
		}
		good &= h.len == in;
		if (i % 64 == 0)
			good &= sound(&h);
	}
	ok(good && sound(&h) && in > N / 3);
	for (; heap_top(&h); in--) {
		struct heap_node *n = heap_top(&h);

		good &= n->at >= last;
		last = n->at;
		heap_del(&h, n);
	}
	ok(good && in == 0 && h.len == 0);
	v[0].at = 5;
	ok(heap_add(&h, &v[0]) == 0 && heap_top(&h) == &v[0]);
	heap_release(&h);
	ok(v[0].index == 0 && h.v == NULL);
	return tap_done();
}
