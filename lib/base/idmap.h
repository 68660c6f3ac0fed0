/*
 * idmap - map with struct id as the key: open addressing, non-NULL pointer values, not owned.
 * Iteration order depends on the keys only, as map's.  IDMAP_INIT and a released idmap are ready for use.
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"

struct idmap_slot {
	uint64_t mix;		/* id_hash(key); slots are in order of (mix, key) */
	struct id key;
	void *val;		/* NULL: empty */
};

struct idmap {
	struct idmap_slot *slot;	/* private */
	size_t n;			/* ro: number of entries */
	size_t len;			/* private: slots, the last one always empty */
	unsigned shift;			/* private */
};
#define IDMAP_INIT { 0 }

struct idmap_iter {
	struct id key;		/* ro */
	void *val;		/* ro */
	uint64_t mix;		/* private */
	bool on;		/* private */
};
#define IDMAP_ITER { 0 }

int	idmap_put(struct idmap *m, struct id key, void *val);	/* adds or replaces; 0, -ENOMEM, -EINVAL for NULL */
void	*idmap_del(struct idmap *m, struct id key);		/* the value removed, NULL if there was none */
void	idmap_release(struct idmap *m);				/* frees the table; m becomes IDMAP_INIT */
bool	idmap_next(const struct idmap *m, struct idmap_iter *it); /* false at the end; entries may come and go */

static inline void *
idmap_get(const struct idmap *m, struct id key)			/* the value or NULL */
{
	uint64_t h = id_hash(key);
	const struct idmap_slot *s;

	if (m->n == 0)
		return NULL;
	for (s = &m->slot[h >> m->shift]; s->val && s->mix <= h; s++)
		if (s->mix == h && id_eq(s->key, key))
			return s->val;
	return NULL;
}

#endif
