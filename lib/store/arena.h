/*
 * arena - the node's objects in one shared file: what lies where, and the side of those who make and read them.
 *
 * rlet (arena_node.h) lends extents, runs of granules, to processes.  A process allocates and frees inside what it
 * was lent and tells nobody; everything else is mapped read-only, so that a stray write faults.  An extent is
 * tiled by blocks: each starts with a struct obj_hdr that says how long it is, so that the extent can be walked
 * from header to header at any moment, also after its borrower was killed between any two stores.
 *
 * An object is header, nbuf x struct obj_span, head, and buffers at multiples of 64.  Offsets count from the arena's
 * start and are multiples of 64; 0 is never an object.  A reference is (offset, generation): a block that is used
 * again has another generation, so a stale reference is noticed (compare the id as well).
 *
 * One thread at a time per struct arena; arena_view and arena_pin only read it and may run beside.
 * What an object says is never trusted: it is loaded once, checked, and the copy is used.
 */
#ifndef STORE_ARENA_H
#define STORE_ARENA_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "store/pin.h"

#define OBJ_MAGIC 0x6a626f72u		/* "robj" */
#define ARENA_GRANULE (UINT64_C(1) << 16)
#define ARENA_HUGE (UINT64_C(2) << 20)	/* larger extents are aligned to it */
#define ARENA_LEND_MIN (UINT64_C(1) << 20)
#define ARENA_LEND_MAX (UINT64_C(64) << 20)
#define ARENA_MAX (UINT64_C(1) << 42)	/* bytes, see PIN_OFF_BITS */

struct obj_hdr {
	uint32_t magic;
	uint32_t proc;			/* who made it */
	_Atomic uint64_t word;		/* generation << 32 | state (pin.h) */
	struct id id;
	uint64_t size;			/* payload: head and buffers */
	_Atomic uint64_t run;		/* bytes from this header to the next one, a multiple of 64 */
	uint32_t headlen;
	uint32_t made;			/* when, of arena_now */
	uint16_t nbuf;
	uint16_t flags;			/* the maker's, for the reader */
	_Atomic uint32_t keep;		/* rlet's OBJ_KEEP: the node owns it; the rest: the owner's record, a hint */
};
static_assert(sizeof(struct obj_hdr) == 64, "layout changed: bump ARENA_LAYOUT");

#define OBJ_KEEP (UINT32_C(1) << 31)

struct obj_span {
	uint64_t off, len;		/* off from the object's header */
};

struct obj {				/* an object that is being filled */
	uint64_t off;
	uint32_t gen;
	uint32_t nbuf;
	unsigned char *head;		/* headlen writable bytes */
	uint64_t headlen;
	uint64_t size;			/* headlen and all buffers */
};

enum { OBJ_VIEW_BUFS = 4 };

struct obj_view {			/* a sealed object as seen by a reader; pointers live while it is pinned or held */
	uint64_t off;
	uint32_t gen;
	struct id id;
	uint32_t proc;
	uint16_t nbuf, flags;
	uint64_t size, run;
	const unsigned char *head;
	uint64_t headlen;
	struct {
		const unsigned char *p;
		uint64_t len;
	} buf[OBJ_VIEW_BUFS];		/* the first ones; obj_view_buf gives any */
};

struct arena_impl;

struct arena {
	unsigned char *base;		/* ro */
	uint64_t bytes;			/* ro: size of the arena */
	uint32_t proc;			/* ro: our process number */
	uint64_t lent;			/* ro: bytes of all extents lent to us */
	uint64_t used;			/* ro: bytes of them in blocks that are not free */
	uint64_t reserve;		/* rw: empty extents up to this many bytes are kept, arena_spare gives the others */
	uint64_t avoid, avoid_end;	/* rw: no block of a size class is taken here; 0, 0: everywhere */
	struct arena_impl *impl;	/* private */
};
#define ARENA_INIT { 0 }

/*
 * Maps the whole arena for reading.  fd stays the caller's and may be closed; it must have been opened for writing
 * if extents are to be lent to us.  0, ERR_LAYOUT if it is no arena, -errno.  Not inherited by fork.
 */
int	arena_attach(struct arena *a, int fd, uint32_t proc);
void	arena_release(struct arena *a);		/* unmaps; a becomes ARENA_INIT; objects stay as they are */

/* Makes an extent that rlet lent to us writable and adds it.  0, ERR_PROTO if it makes no sense, -errno. */
int	arena_lend(struct arena *a, uint64_t off, uint64_t bytes);
/*
 * Takes an empty extent beyond a->reserve out of use, the coldest first: rlet is to be told (arena_node_unlend).
 * false: none.  Its pages stay mapped, so that it is warm if it is lent to us again.
 */
bool	arena_spare(struct arena *a, uint64_t *off, uint64_t *bytes);

/* Bytes of a block for such an object, 0 if that overflows. */
uint64_t arena_run(const uint64_t *size, unsigned nbuf, uint64_t headlen);
/* Bytes of extent to ask rlet for when arena_new of a block of run bytes said -EAGAIN; rlet may lend more. */
uint64_t arena_want(uint64_t run);

/*
 * A new object in our extents.  Call arena_ready before writing to it.
 * 0 and *o; -EAGAIN: no room, see arena_want; ERR_FULL: the machine has no memory for it; -E2BIG.
 * The id may be {0} until arena_name.  Nobody sees it before arena_seal.
 */
int	arena_new(struct arena *a, struct id id, const uint64_t *size, unsigned nbuf, uint64_t headlen,
	    struct obj *o);
/*
 * Takes the pages of an object that is to be filled, so that no write faults for want of memory.  0, or ERR_FULL:
 * abort it.  Nothing to do for what is small or was used before; a large one's first use costs 40 to 600 ms a GiB, so this
 * may run beside all other calls of the arena.
 */
int	arena_ready(struct arena *a, const struct obj *o);
void	*obj_buf(const struct arena *a, const struct obj *o, unsigned i, uint64_t *len); /* buffer i < nbuf; len may be NULL */
void	arena_name(struct arena *a, uint64_t off, struct id id, uint16_t flags);	/* before arena_seal */
void	arena_slot(struct arena *a, uint64_t off, uint32_t slot);	/* before arena_seal: where its owner finds its record; 0 unknown */
void	arena_seal(struct arena *a, uint64_t off);	/* one release store; from now on it never changes */
void	arena_abort(struct arena *a, uint64_t off);	/* instead of arena_seal */
/*
 * Frees an object that we made.  Nobody may hold or pin it any more: the owner knows, or rlet, which evicted it.  0; -EPERM: it does not lie
 * in our extents (tell rlet); ERR_NOTFOUND: it is not there in this generation.
 */
int	arena_free(struct arena *a, uint64_t off, uint32_t gen);
/*
 * A block of run bytes like the one that h heads, which is copied but for place and maker: FILLING, to be filled with
 * all that followed h, then sealed.  0, -EAGAIN, ERR_FULL as arena_new.  A large one has pages under its header only:
 * arena_fill.h has the rest.
 */
int	arena_clone(struct arena *a, const struct obj_hdr *h, uint64_t run, uint64_t *off, uint32_t *gen);
/*
 * Takes a free run of granules out of use, wherever in an extent it lies, the reserve too: for a node that is full.  rlet is
 * to be told (arena_node_unlend).  false: there is none.
 */
bool	arena_yield(struct arena *a, uint64_t *off, uint64_t *bytes);
bool	arena_mine(const struct arena *a, uint64_t off);	/* in an extent lent to us? */

/*
 * rlet died and another one follows.  Before it hears of us: what the dead one was evicting is sealed again, and each sealed
 * object that we made is found; keep is its header's.
 */
typedef void arena_found(void *ctx, struct id id, uint64_t off, uint32_t gen, uint32_t keep);
void	arena_rejoin(struct arena *a, arena_found *found, void *ctx);
/* And the room that is lent to us as the arena's log says, but not as far as we know: each is to be given back (arena_node_unlend). */
void	arena_unheard(const struct arena *a, void (*each)(void *ctx, uint64_t off, uint64_t bytes), void *ctx);

/*
 * Reads what lies at off.  0; ERR_NOTFOUND: not sealed there in this generation; ERR_PROTO: nonsense.
 * The caller compares v->id with what it looks for.
 */
int	arena_view(const struct arena *a, uint64_t off, uint32_t gen, struct obj_view *v);
/* Buffer i of a view: 0, ERR_NOTFOUND (i >= nbuf) or ERR_PROTO. */
int	obj_view_buf(const struct arena *a, const struct obj_view *v, unsigned i, const unsigned char **p, uint64_t *len);

/*
 * Pins the object in one of our n slots (pin.h), of a status page.  The slot for pin_drop; ERR_NOTFOUND: freed;
 * -EAGAIN: being evicted just now, look again or ask rlet; -ENOSPC: no slot, copy instead; ERR_PROTO: off is nonsense.
 */
int	arena_pin(const struct arena *a, _Atomic uint64_t *slot, unsigned n, unsigned *hint, uint64_t off, uint32_t gen);

uint32_t arena_now(void);	/* a coarse clock that does not go back, 64 to the second */
void	arena_copy(void *dst, const void *src, size_t n);	/* the fastest memcpy into an object */

#endif
