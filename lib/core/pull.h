/*
 * pull - objects of other nodes that are being received here.
 *
 * Who wants an object asks the node of its owner for a source (core/places.h), reserves room for the whole of it, and asks
 * the source for chunks, several at one time: a window that follows the source's rate and the time a chunk takes.  With
 * a second source both are asked for the next chunks in turn.  Chunks are asked for in order, so what is there is a prefix, but for
 * the window, and is passed on to others before the object is whole (core/feed.h).  A chunk is taken once, from whom it was asked
 * of; anything else that comes is passed over.  A source that is gone, refuses, or gives nothing for some time is given up:
 * the owner's node is asked again, and it goes on from the byte that is there.  A connection that broke is no such
 * thing: what was asked over it is asked again.  Of another making of the object (core/form.h) nothing is kept.
 *
 * What is received at one time is bounded in bytes; what does not fit waits, by priority and in order, before anything
 * was asked for it.  One that is larger than the bound is received alone.  One that has no source for PULL_PARK while
 * others wait gives its room back and begins anew once it has one, so that what waits for each other never blocks.
 *
 * A chunk has no checksum: TLS protects it on the way, and memory at both ends holds what every reader of it trusts.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.  The caller writes a chunk where it belongs itself:
 * pull_begin says whether it is to, PULL_IN_CHUNK that it did; between the two the room stays reserved, whatever comes.
 */
#ifndef CORE_PULL_H
#define CORE_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/id.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/form.h"

#define PULL_CHUNK_MIN (UINT64_C(64) << 10)
#define PULL_CHUNK_MAX (UINT64_C(256) << 10)
#define PULL_WINDOW_MAX (UINT64_C(32) << 20)	/* bytes asked for of a source at one time; at least four chunks are */
#define PULL_AHEAD 256u				/* chunks after the prefix that may be asked for */
#define PULL_QUIET UINT64_C(2000000000)		/* ns without a chunk after which a source is given up; more for later ones, to 16 s */
#define PULL_QUIET_MAX UINT64_C(60000000000)	/* and for what comes slowly, as slowly as it did */
#define PULL_AGAIN UINT64_C(10000000)	/* ns until a source is asked for after some in a row gave nothing; doubled, to 2 s */
#define PULL_PARK UINT64_C(1000000000)
#define PULL_BYTES (UINT64_C(64) << 20)		/* limit of the tables, unless another one is set */

enum pull_priority { PULL_ARGUMENT, PULL_GET, PULL_AHEAD_OF_USE, PULL_PRIORITIES };

struct pull_most {			/* the largest of the last one to two periods */
	uint64_t now, before, since;
};

struct pull_source {
	uint32_t node;			/* 0: none */
	bool extra, broken;		/* broken: there is no connection just now */
	uint64_t heard;			/* when it last gave a byte, or had nothing to give */
	uint64_t flight, given;		/* bytes that were asked for and have not come; that came */
	uint64_t window;
	struct pull_most rate, quick;	/* bytes a second; 2^64 less the ns from asking for a chunk to having it */
};

struct pull_chunk {			/* of the window */
	enum pull_chunk_state { PULL_NONE, PULL_ASKED, PULL_COMING, PULL_GOT } state;
	uint32_t node;			/* of whom */
	uint64_t at, given;		/* when it was asked for, and what the source had given then */
};

struct pull_peer {			/* a node that is a source of any; private */
	uint32_t node;
	unsigned sources;
	struct pull_room *room;		/* where the chunk that comes from it is written, or NULL */
	uint64_t chunk;
};

struct pull_room {			/* a reservation; ro */
	struct id id;
	uint64_t ticket;
	unsigned writers;		/* chunks that are being written into it */
	bool given_up;			/* it goes once there are none */
};

struct pull {				/* ro for all but pull.c */
	struct id id;
	uint32_t owner;			/* node of the owner */
	enum pull_priority priority;
	enum { PULL_QUEUED, PULL_ACTIVE, PULL_PARKED } state;
	bool asked;			/* the owner's node knows that we want it */
	bool reserved;			/* the room is there */
	struct form form;		/* as the last source had it; before there is one bytes is what the caller guessed */
	uint64_t counted;		/* of form.bytes in the core's active */
	uint64_t have, told;		/* bytes of the prefix; as the owner's node knows */
	uint64_t chunk;			/* bytes of each but the last one */
	uint64_t first, next;		/* number of the chunk after the prefix; none before next is PULL_NONE */
	struct pull_room *room;		/* NULL: none was asked for */
	struct pull_source source[2];
	struct pull_chunk *window;	/* of chunk k at k % nwindow; NULL while there is no room */
	size_t nwindow;
	unsigned given_up;		/* sources since the last chunk */
	uint64_t gap;			/* ns between the last two */
	uint32_t not;			/* the last one of them, while the owner's node is to be asked at again; else 0 */
	uint64_t again;
	uint64_t since;			/* when it lost its last source, or was begun */
	struct heap_node timer;
	struct list queue;
};

struct pull_core {
	uint32_t self;			/* ro: the number of this node */
	uint64_t budget;		/* rw: bytes of objects that are received at one time */
	uint64_t active;		/* ro: of them now */
	uint64_t bytes;			/* ro: of the tables */
	uint64_t limit;			/* rw */
	size_t nactive;			/* ro */
	struct idmap pulls;		/* ro: struct pull * */
	struct list queue[PULL_PRIORITIES];
	struct map peers;		/* struct pull_peer * */
	struct heap timers;
	uint64_t last;			/* ticket */
};

enum pull_in_kind {
	PULL_IN_WANT,		/* id, owner, form.bytes: about so many; priority: of an object that is wanted already the higher one counts */
	PULL_IN_CANCEL,		/* id: nobody wants it any more, or it was made here meanwhile */
	PULL_IN_SOURCE,		/* id, node, extra, form: from the owner's node */
	PULL_IN_DROP,		/* id, stamp, code, text: from the owner's node: there is none; stamp 0: of any making */
	PULL_IN_RESERVED,	/* id, ticket, code: 0, or why there is no room, text */
	PULL_IN_CHUNK,		/* node: what pull_begin said yes to is there */
	PULL_IN_REFUSED,	/* id, node, stamp */
	PULL_IN_BROKEN,		/* node: the connection to it; a chunk that was coming is not there */
	PULL_IN_UP,		/* node: there is a connection again */
	PULL_IN_GONE,		/* node: it is dead */
	PULL_IN_TICK,
};

struct pull_in {
	enum pull_in_kind kind;
	struct id id;
	uint32_t owner, node;
	bool extra;
	enum pull_priority priority;
	uint64_t stamp, ticket;
	struct form form;
	int code;
	const char *text;
};

enum pull_fx_kind {
	PULL_FX_WANT,		/* node: of the owner; id, form.stamp, have, not: PULL_WANT */
	PULL_FX_RESERVE,	/* id, form, ticket: room for it, for PULL_IN_RESERVED, maybe later */
	PULL_FX_UNRESERVE,	/* id, ticket: it is not needed any more, granted or not; nothing of it can be passed on either */
	PULL_FX_ASK,		/* node, id, form.stamp, off, n, priority: CHUNK_ASK */
	PULL_FX_STOP,		/* node, id: CHUNK_STOP */
	PULL_FX_BREAK,		/* node: it stopped amid a chunk: close the connection for bulk */
	PULL_FX_HAVE,		/* id, form, have: so much can be passed on */
	PULL_FX_PROGRESS,	/* node: of the owner; id, form.stamp, have */
	PULL_FX_QUIT,		/* node: of the owner; id: PLACE_DROPPED */
	PULL_FX_DONE,		/* id, form, ticket: all of it is there; node: of the owner, for PLACE_HAS */
	PULL_FX_FAILED,		/* id, code, text */
};

struct pull_fx {
	enum pull_fx_kind kind;
	enum pull_priority priority;
	struct id id;
	uint32_t node, not;
	uint64_t ticket, have, off, n;
	struct form form;
	int code;
	char text[160];
};

struct pull_out {
	struct pull_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with PULL_IN_TICK; 0: no need */
};

void	pull_init(struct pull_core *c, uint32_t self, uint64_t budget);
void	pull_release(struct pull_core *c);
/*
 * 0; -ENOMEM: not taken.  ERR_FULL of WANT: the tables are at their limit: not taken, who wants it gets this.  ERR_PROTO: a
 * peer's word that makes no sense; its state is as before.
 */
int	pull_step(struct pull_core *c, uint64_t now, const struct pull_in *in, struct pull_out *o);
bool	pull_awaits(struct pull_core *c, struct id id, uint64_t ticket);	/* the room of RESERVE: not answered, and not given up meanwhile */
/*
 * A chunk comes from a node: is it to be written?  Then at byte off after the header in the room with *ticket, and CHUNK or
 * BROKEN of that node follows; only one chunk at a time comes from a node.  false: its bytes are passed over.
 */
bool	pull_begin(struct pull_core *c, uint32_t node, struct id id, uint64_t stamp, uint64_t off, uint64_t n, uint64_t *ticket);
struct pull *pull_find(const struct pull_core *c, struct id id);
int	pull_check(const struct pull_core *c);		/* tests: 0, or the line that found the fault */

#endif
