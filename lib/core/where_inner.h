/*
 * where_inner - what where.c, the table, where_kind.c, an index over it, where_find.c, the decision, and where_why.c, the
 * reasons, share.  Nobody else includes it.
 */
#ifndef CORE_WHERE_INNER_H
#define CORE_WHERE_INNER_H

#include "base/heap.h"
#include "core/where.h"

#define NO_CHOICE 255u

struct seat {				/* of a node in a kind's index, by its slot */
	uint64_t key;			/* the least is taken first; KEY_FULL: it has no room, or rests */
	uint32_t at;			/* in the heap, from 1; 0: it is not in it */
	uint8_t choice;			/* first expression that it satisfies; NO_CHOICE: it can never run it */
};

#define KEY_FULL	(UINT64_C(1) << 63)
#define KEY_DOUBT	(UINT64_C(1) << 62)
#define KEY_AVOID	(UINT64_C(1) << 61)	/* it has GPUs, which are not needed */
#define KEY_LEVEL	45			/* how busy, 16 bits above a hash */

struct rest {				/* a node that refused */
	struct heap_node timer;		/* until when it rests; if over: until when that is remembered */
	unsigned slot;
	uint32_t number;
	uint64_t wait;
	bool over;
};

struct where_kind {
	struct list link, indexed;	/* of all kinds; of those with an index, the last used one first */
	uint64_t hash;
	unsigned refs;
	struct res need;
	enum where_strategy strategy;
	uint32_t node;
	bool soft, elsewhere, has;	/* has: an index */
	struct label_expr *labels;	/* nlabels, owned */
	size_t nlabels;
	uint32_t *among;		/* namong, owned */
	size_t namong;
	uint64_t who, rev;		/* rev: what the index has seen of the table */
	struct seat *seat;		/* by slot */
	size_t nseat, cap;
	uint32_t *heap;			/* slots */
	size_t len;
	size_t could[LABELS_MAX + 1];	/* nodes by choice */
	size_t choice;			/* the first with any; its nodes are in the heap */
	struct heap rests;
	struct map resting;		/* slot -> struct rest * */
	uint64_t why_rev;
	char why[WHERE_WHY];
};

/* where.c */
bool	where_within(const struct res *need, const struct res *room);
struct res where_room(const struct where_node *n);		/* free, less what was asked */
/* thousandths, of the resource that is used most, and what waits: up to 60000 */
unsigned where_busy(const struct where_node *n);
void	where_passes(struct where *w, uint64_t now);		/* time does: old asks */
/* where_kind.c */
int	where_index(struct where *w, uint64_t now, struct where_kind *k);	/* up to date; 0 or -ENOMEM */
void	where_unindex(struct where *w, struct where_kind *k);
bool	where_could(const struct where *w, const struct where_kind *k, const struct where_node *n, size_t *choice);	/* ever? */
/* where_why.c */
void	where_why(const struct where *w, const struct where_kind *k, char text[WHERE_WHY]);

#endif
