/*
 * heap - binary heap of deadlines that can lose any member.  A struct heap_node is embedded in what is timed,
 * which must stay in place while it is in the heap; {0} is a node in no heap.  The heap owns its array only.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t at;		/* the key; change it with heap_set only */
	size_t index;		/* private: place in the array + 1, 0 while in no heap */
};

struct heap {
	struct heap_node **v;	/* private */
	size_t len;		/* ro */
	size_t cap;		/* private */
};
#define HEAP_INIT { 0 }

int	heap_add(struct heap *h, struct heap_node *n);	/* 0 or -ENOMEM; n is in no heap, n->at is set */
int	heap_set(struct heap *h, struct heap_node *n, uint64_t at);	/* adds n or moves it; 0 or -ENOMEM */
void	heap_del(struct heap *h, struct heap_node *n);	/* harmless for a node in no heap */
void	heap_release(struct heap *h);			/* forgets all nodes, frees the array */

static inline struct heap_node *
heap_top(const struct heap *h)			/* the least at, NULL if empty */
{
	return h->len ? h->v[0] : NULL;
}

#endif
