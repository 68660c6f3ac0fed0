/*
 * map - open-addressing table uint64_t -> non-NULL pointer.  Owns its table, not the values.
 * Slots lie in order of the mixed key (ordered linear probing, no wrap), so iteration order depends on the
 * keys only: not on the order of insertion, not on addresses, not on the table's size.
 * MAP_INIT and a released map are ready for use.  One thread at a time.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/hash.h"

struct map_slot {
	uint64_t mix;		/* hash_mix(key) */
	void *val;		/* NULL: empty */
};

struct map {
	struct map_slot *slot;	/* private */
	size_t n;		/* ro: number of entries */
	size_t len;		/* private: slots, the last one always empty */
	unsigned shift;		/* private: home of a key is mix >> shift */
};
#define MAP_INIT { 0 }

struct map_iter {
	uint64_t key;		/* ro */
	void *val;		/* ro */
	uint64_t mix;		/* private */
	bool on;		/* private */
};
#define MAP_ITER { 0 }

int	map_put(struct map *m, uint64_t key, void *val);	/* adds or replaces; 0, -ENOMEM, -EINVAL for NULL */
void	*map_del(struct map *m, uint64_t key);			/* the value removed, NULL if there was none */
void	map_release(struct map *m);				/* frees the table; m becomes MAP_INIT */
bool	map_next(const struct map *m, struct map_iter *it);	/* false at the end; entries may come and go meanwhile */

static inline void *
map_get(const struct map *m, uint64_t key)			/* the value or NULL */
{
	uint64_t h = hash_mix(key);
	const struct map_slot *s;

	if (m->n == 0)
		return NULL;
	for (s = &m->slot[h >> m->shift]; s->val && s->mix < h; s++)
		;
	return s->val && s->mix == h ? s->val : NULL;
}

#endif
