/*
 * feed - chunks of objects for other nodes, the other half of core/pull.h: what is sent next, and to whom.
 *
 * Who receives asks for chunks; they wait here until the connection to it takes them.  Nodes have their turns, each as far
 * as its connection has room; of what one node asks for, an argument goes before what somebody waits for, that before what is
 * fetched ahead, and equals in turn, each in order.  Of an object that is itself being received a chunk waits until it is
 * there.  Of one that is not there, any more or in this making, nothing comes: it is refused, once for all that was asked.
 *
 * An object is opened when the first chunk is asked for, by the caller: it pins it, or brings it from the disk.  It is closed when
 * nobody has asked for a second.
 *
 * What a node may have asked for is bounded; what is beyond is refused.  Sans I/O as core/pull.h.
 */
#ifndef CORE_FEED_H
#define CORE_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/form.h"

#define FEED_ASKS 4096u			/* chunks that a node may have asked for, of all objects */
#define FEED_OBJECTS 256u		/* of so many objects */
#define FEED_IDLE UINT64_C(1000000000)

enum feed_state { FEED_OPENING, FEED_OPEN };

struct feed_object {
	struct id id;
	enum feed_state state;
	uint64_t stamp, bytes, have;	/* have: of them there are so many, from the beginning */
	uint64_t used;			/* since when nobody asks for it */
	struct list asked;		/* struct feed_asked of_object */
	struct list idle;		/* in feed.idle while it is open and asked is empty */
};

struct feed_ask {
	uint64_t off;
	uint32_t n;
};

struct feed_asked {			/* what one node asked for of one object */
	struct feed_object *object;
	struct feed_peer *peer;
	struct list of_object, of_peer;
	uint64_t stamp;
	unsigned priority;
	struct feed_ask *ask;		/* a queue: from first, n of cap, a power of two */
	size_t first, n, cap;
};

struct feed_peer {
	uint32_t node;
	uint64_t room;			/* bytes that its connection takes now */
	size_t nasks, nobjects;
	struct list asked;		/* in the order of their turns */
	struct list turn;
};

struct feed {
	struct idmap objects;		/* ro: struct feed_object * */
	struct map peers;		/* ro: node -> struct feed_peer * */
	struct list turns, idle;	/* peers in the order of their turns; objects that nobody asks for, oldest first */
	uint64_t now;			/* of the last step */
};

struct feed_chunk {			/* to be sent */
	uint32_t node;
	struct id id;
	uint64_t stamp, off, n;
};

enum feed_in_kind {
	FEED_IN_ASK,		/* node, id, stamp, off, n, priority: CHUNK_ASK */
	FEED_IN_STOP,		/* node, id: CHUNK_STOP */
	FEED_IN_BROKEN,		/* node: its connection, or it is gone: what it asked for is void */
	FEED_IN_ROOM,		/* node, n: its connection takes so many bytes now */
	FEED_IN_OPENED,		/* id, stamp, bytes, have: what there is of it, in answer to OPEN, and each time that it is more */
	FEED_IN_GONE,		/* id: it is not there, any more, or begins anew; opened or not */
	FEED_IN_TICK,
};

struct feed_in {
	enum feed_in_kind kind;
	uint32_t node;
	unsigned priority;
	struct id id;
	uint64_t stamp, off, n, bytes, have;
};

enum feed_fx_kind {
	FEED_FX_OPEN,		/* id: pin it, for OPENED or GONE */
	FEED_FX_CLOSE,		/* id: unpin it */
	FEED_FX_REFUSE,		/* node, id, stamp, code: CHUNK_REFUSED */
};

struct feed_fx {
	enum feed_fx_kind kind;
	struct id id;
	uint32_t node;
	uint64_t stamp;
	int code;
};

struct feed_out {
	struct feed_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with FEED_IN_TICK; 0: no need */
};

void	feed_init(struct feed *f);
void	feed_release(struct feed *f);
int	feed_step(struct feed *f, uint64_t now, const struct feed_in *in, struct feed_out *o);	/* 0; -ENOMEM: not taken */
/* The next chunk that a connection takes, which counts as sent; false: none, before the next step. */
bool	feed_next(struct feed *f, struct feed_chunk *c);
int	feed_check(const struct feed *f);	/* tests: 0, or the line that found the fault */

#endif
