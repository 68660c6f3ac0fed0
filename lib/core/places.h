/*
 * places - which nodes have an object: whole, or as far as they have received it; and who is to receive it from whom.
 *
 * Kept on the node of the object's owner, for each object that is known on other nodes.  A node that wants it asks here and
 * is told a source: a node that has it whole, or one that is itself receiving it.  A source serves PLACES_SERVE receivers at
 * one time, so a broadcast forms a tree by itself: what is received is a prefix, which can be passed on.
 *
 * Who receives asks again when its source is gone, refuses or gives nothing, and says how much it has; nobody else looks after
 * it.  The nodes that receive and whom they receive from are a forest, its roots have the object whole; nobody is ever
 * told to receive from who receives from itself.  Where a second node has the object whole and serves nobody, it is
 * named as an extra source.  If no source is free, who asked waits for the next one.
 *
 * An object is lost when no node has it whole and each that was receiving it from such a one has asked again: the last one
 * may have all of it.  It is told once, also for one that nobody here ever heard of; whoever waits for it waits on: it is
 * made again (PLACES_IN_MADE) or given up (PLACES_IN_FREE).
 *
 * Sans I/O: inputs come in, effects go out; it calls nobody.  No clock: the receivers have the timers (core/pull.h).
 */
#ifndef CORE_PLACES_H
#define CORE_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/form.h"

#define PLACES_SERVE 2u				/* receivers of one object that a node serves at one time */
#define PLACES_BYTES (UINT64_C(64) << 20)	/* limit of the table, unless another one is set: some 300,000 objects */

enum place_state {
	PLACE_WHOLE,
	PLACE_RECEIVING,		/* from a source */
	PLACE_ORPHAN,			/* its source is gone; it has not asked again yet, and may have all */
	PLACE_WAITING,			/* for a source */
};

struct place {				/* an object at a node; ro for all but places.c */
	struct places_object *object;
	struct places_node *at;
	struct list of_object, of_node;
	struct list open;		/* in object->open while it can serve one more */
	enum place_state state;
	unsigned serves;
	uint32_t not;			/* the source that it complained of last */
	uint64_t have;			/* a prefix of so many bytes */
	struct place *from, *extra;
};

struct places_object {
	struct id id;
	struct form form;		/* bytes 0: nobody has said yet */
	struct list places, open;	/* open: in the order in which they are to be given out */
	struct map by_node;		/* of them, once they are more than a few */
	struct place *primary;		/* the copy that must not just be dropped to make room */
	size_t n, nwhole, norphan, nwaiting;
	bool lost;			/* and told so */
};

struct places_node {
	uint32_t number;
	struct list places;
};

struct places {
	struct idmap objects;		/* ro: struct places_object * */
	struct map nodes;		/* ro: number -> struct places_node * */
	uint64_t bytes;			/* ro: of all this */
	uint64_t limit;			/* rw */
};

enum places_in_kind {
	PLACES_IN_MADE,			/* id, node, form: the object is there, made there or known from before */
	PLACES_IN_PULLED,		/* id, node, form: it has received all of it */
	PLACES_IN_WANT,			/* id, node, stamp and have: what it has of it; not: the source that it gives up, or 0 */
	PLACES_IN_PROGRESS,		/* id, node, stamp, have */
	PLACES_IN_DROPPED,		/* id, node, stamp: its whole copy of this making is gone; 0: it wants it no more */
	PLACES_IN_FREE,			/* id: the owner let it go; code, text: or cannot make it again, and why */
	PLACES_IN_GONE,			/* node: it is dead */
};

struct places_in {
	enum places_in_kind kind;
	struct id id;
	uint32_t node, not;
	uint64_t stamp, have;
	struct form form;
	int code;
	const char *text;
};

enum places_fx_kind {
	PLACES_FX_SOURCE,		/* node: receive it from source; extra: from there besides */
	PLACES_FX_DROP,			/* node: let go what you have of it with this stamp; code, text: there is none, as given, else 0.  One
					 * that had it whole answers DROPPED: it may have said PULLED in the meantime. */
	PLACES_FX_PRIMARY,		/* node: yours is the primary copy now */
	PLACES_FX_LOST,			/* nobody has it: look for it here, make it again, or give it up */
};

struct places_fx {
	enum places_fx_kind kind;
	struct id id;
	uint32_t node, source;
	bool extra;
	struct form form;
	int code;
	const char *text;		/* the input's */
};

struct places_out {
	struct places_fx *fx;		/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
};

void	places_init(struct places *c);
void	places_release(struct places *c);
/*
 * 0; -ENOMEM: not taken.  ERR_FULL: the table is at its limit and this would be new: not taken; a node that made a result
 * keeps it, but nobody is told of it: its task fails with this; one that wants an object is refused with it.
 * ERR_PROTO: a form that makes no sense.  Of an object or node that is not known the other inputs say nothing new: 0.
 */
int	places_step(struct places *c, const struct places_in *in, struct places_out *o);
struct place *places_find(const struct places *c, struct id id, uint32_t node);	/* NULL: nothing is known of it there */
int	places_check(const struct places *c);		/* tests: 0, or the line that found the fault */

#endif
