/*
 * arena_fill - objects that come from elsewhere, from the disk or from another node: room for one in an extent of the
 * node's own, filled in any order, then sealed where it lies, or given back.
 *
 * What comes is all of an object's block that follows the header, as long as arena_travels said where it was.  The header is known
 * at the beginning or at the end.  Begin, seal and abort are rlet's, as all calls of the arena are; arena_fill_at may be
 * called by another thread meanwhile, one at a time for each object.  A daemon that dies leaves nothing: what is not sealed is free
 * for the next one.
 */
#ifndef STORE_ARENA_FILL_H
#define STORE_ARENA_FILL_H

#include <stdint.h>
#include "store/arena_node.h"

struct arena_fill {
	struct arena *a;
	uint64_t off;		/* ro: where it lies */
	uint64_t bytes;		/* ro: to be filled */
	uint32_t gen;		/* ro */
};

/* How many bytes of a sealed object follow its header and mean something. */
uint64_t arena_travels(const struct arena *a, const struct obj_view *v);
/*
 * Room for `bytes` after a header like `like`; a: the node's own view (ARENA_NODE_PROC) of an's file.  0; ERR_FULL: collect,
 * evict, try again; -E2BIG: no arena of this size can have it.
 */
int	arena_fill_begin(struct arena_node *an, struct arena *a, const struct obj_hdr *like, uint64_t bytes, struct arena_fill *f);
/* Where bytes [off, off + n) go, with pages under them: 0; ERR_PROTO: not within it; ERR_FULL: the machine has no memory. */
int	arena_fill_at(const struct arena_fill *f, uint64_t off, uint64_t n, unsigned char **p);
/*
 * All of it is there.  as: what its header says of size, head, buffers, flags and age; NULL: as `like` did.  0: sealed;
 * ERR_LAYOUT: header and table do not fit what came: it is given back.
 */
int	arena_fill_seal(struct arena_fill *f, const struct obj_hdr *as);
void	arena_fill_abort(struct arena_fill *f);

#endif
