/*
 * arena_node - rlet's side of the arena: who borrowed which extent, recovery of what a dead borrower left,
 * freeing and evicting what nobody reads.
 *
 * The file's head holds a word for each granule: an extent's first one says who has it and how long it is.  That
 * and the headers in the extents are all the truth: arena_node_adopt rebuilds everything else.
 * An extent is FREE, LENT to a live process, or OWNED by rlet (its borrower died with sealed objects in it).
 * One thread at a time.
 */
#ifndef STORE_ARENA_NODE_H
#define STORE_ARENA_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/id.h"
#include "store/arena.h"

struct arena_run;
struct arena_victim;
struct arena_item;

struct arena_hooks {			/* any may be NULL */
	/* the i-th pin table of a live process: false after the last one */
	bool (*pins)(void *ctx, unsigned i, const _Atomic uint64_t **slot, unsigned *n);
	bool (*alive)(void *ctx, uint32_t node, uint32_t proc);	/* does this owner live?  NULL: all do */
	void (*freed)(void *ctx, struct id id);			/* an object is gone */
	void (*kept)(void *ctx, struct id id, uint64_t off, uint32_t gen);	/* found alive where a borrower died */
	void (*tell)(void *ctx, uint32_t proc, uint64_t off, uint32_t gen);	/* proc is to arena_free this */
	void *ctx;
};

struct arena_node {
	int fd;				/* ro: to be passed to every process */
	uint64_t bytes;			/* ro */
	uint64_t lent, owned, free;	/* ro: bytes; with the head's they add up to bytes */
	uint64_t lost;			/* ro: bytes of owned that bad headers made unusable */
	uint64_t warm;			/* ro: bytes of free that have pages */
	uint64_t reserve;		/* rw: arena_node_trim leaves this many warm */
	uint64_t limit;			/* rw: lend no more than this many bytes in all (tests; 0: no limit) */
	uint64_t avoid, avoid_end;	/* rw: lend nothing of this part; 0, 0: all may be lent */
	struct arena_hooks hook;	/* rw */
	unsigned char *base;		/* private from here */
	uint64_t first;			/* first granule after the head */
	struct arena_run *run;		/* free runs in order */
	size_t nrun, caprun;
	struct arena_victim *victim;	/* to be freed by arena_node_flush */
	size_t nvictim, capvictim;
};
#define ARENA_NODE_PROC UINT32_MAX	/* rlet itself as a borrower: lent no more than it asks for */
#define ARENA_NODE_INIT { .fd = -1 }

/* A sparse file, with huge pages where the kernel lets us.  May fork a child, which is gone again.  0 or -errno. */
int	arena_node_create(struct arena_node *an, uint64_t bytes);
/* The same in an empty file, sealed (os/seg.h) or unnamed on a tmpfs: fd becomes an's.  0, ERR_LAYOUT or -errno. */
int	arena_node_create_on(struct arena_node *an, int fd);
/* Takes over the arena of an rlet that died; fd becomes an's.  Then arena_node_dead for all who are gone. */
int	arena_node_adopt(struct arena_node *an, int fd);
void	arena_node_release(struct arena_node *an);			/* closes fd; others' mappings stay */

/*
 * Lends an extent of at least bytes, preferably one that proc had before; more for one that already has much (1 MiB,
 * doubling to 64 MiB) if there is room.  0; ERR_FULL: no such run (collect, free, evict, then try again); -ENOSPC:
 * the machine has no memory.
 */
int	arena_node_lend(struct arena_node *an, uint32_t proc, uint64_t bytes, uint64_t *off, uint64_t *len);
/* An extent, or a free part of one, comes back: 0, -EPERM: not proc's, not whole or not free. */
int	arena_node_unlend(struct arena_node *an, uint32_t proc, uint64_t off, uint64_t len);
/*
 * proc is dead: unfinished objects are freed, sealed ones stay (now ours) and hook.kept names them, unless
 * hook.alive says that their owner is gone too; whole free granules can be lent again.
 * Number of extents whose headers made no sense: what lies behind the first bad one is given up (an->lost).
 */
unsigned arena_node_dead(struct arena_node *an, uint32_t proc);
/*
 * Frees an object in an extent of ours: 0, it is queued for arena_node_flush; -EPERM: lent to *borrower, who is to
 * be told; ERR_NOTFOUND.  Kept objects (arena_node_keep) are freed as well: the caller decides.
 */
int	arena_node_free(struct arena_node *an, uint64_t off, uint32_t gen, uint32_t *borrower);
size_t	arena_node_flush(struct arena_node *an);	/* frees what was queued and nobody pins; how many wait: call again later */
/* An owner is dead: each of its objects that the node does not keep is freed here, or hook.tell names it. */
void	arena_node_owner_dead(struct arena_node *an, uint32_t node, uint32_t proc);
/*
 * Evicts what nobody pins, of v[0 .. n): objects that only rlet may free (their owners said so).  gone: no reader gets it any
 * more; if borrower is not 0, it is to be told to arena_free it, else its space is free already.  How many.
 */
struct arena_evict {
	uint64_t off;
	uint32_t gen, borrower;
	bool gone;
};
size_t	arena_node_evict(struct arena_node *an, struct arena_evict *v, size_t n);
bool	arena_node_has(struct arena_node *an, uint64_t off, uint32_t gen);	/* is it there, sealed? */
bool	arena_node_at(struct arena_node *an, uint64_t off, struct arena_item *it);	/* a sealed one that is it->id: the rest of it */
int	arena_node_keep(struct arena_node *an, uint64_t off, uint32_t gen, bool keep);	/* 0 or ERR_NOTFOUND */
bool	arena_node_trim(struct arena_node *an, uint64_t most);	/* gives pages beyond reserve back, at most so many bytes now; more? */

/*
 * Pages ahead of their use: free room that has none, at most `most` bytes of it, as far as can be from what is lent next.
 * false: there is none.  Whoever touches it (arena_prepare, of any process that has the file) changes nothing that can be
 * read; then arena_node_warmed counts what of it is still free.
 */
bool	arena_node_cold(const struct arena_node *an, uint64_t most, uint64_t *off, uint64_t *len);
void	arena_node_warmed(struct arena_node *an, uint64_t off, uint64_t len);
int	arena_prepare(unsigned char *base, uint64_t off, uint64_t len);	/* base: of arena_prepare_map; 0 or -errno */
unsigned char *arena_prepare_map(int fd);			/* or NULL */

enum arena_extent_state { EXTENT_FREE, EXTENT_LENT, EXTENT_OWNED };
struct arena_item {			/* a sealed object */
	struct id id;
	uint64_t off, size, run;
	uint32_t gen, maker, borrower;	/* borrower 0: the extent is ours */
	uint32_t slot, made;		/* obj_hdr.keep, .made */
	uint16_t flags;
	bool kept;
};
/* Every sealed object, in order; fn returns false to stop.  Extents of live borrowers are seen as they change. */
void	arena_node_each(struct arena_node *an, bool (*fn)(void *ctx, const struct arena_item *it), void *ctx);
/*
 * Every block and every free run in the order of their places: state is an OBJ_ one; free runs of the arena, and what cannot
 * be told, have borrower UINT32_MAX - 1 with state OBJ_FREE and OBJ_FILLING.
 */
struct arena_unit {
	struct arena_item item;
	uint32_t state;
	uint64_t end;			/* of what it is given back with: the span of blocks of a size class, in which nothing may be left */
};
void	arena_node_units(struct arena_node *an, void (*fn)(void *ctx, const struct arena_unit *u), void *ctx);
uint64_t arena_node_lent(struct arena_node *an, uint32_t proc);	/* bytes of its extents */
void	arena_node_extents(struct arena_node *an,
	    void (*fn)(void *ctx, uint64_t off, uint64_t len, uint32_t borrower), void *ctx);
/* one clause of text: who holds what; 0 or -ENOMEM.  pid: of a process by its number, 0 if it has ended. */
int	arena_node_report(struct arena_node *an, int (*pid)(void *ctx, uint32_t proc), void *ctx, struct buf *b);
int	arena_node_check(struct arena_node *an);	/* tests: 0 if every byte is accounted for once, else ERR_LAYOUT */

#endif
