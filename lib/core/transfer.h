/*
 * transfer - objects between nodes, one node's whole part in it: places, pull and feed put together, with the messages
 * that they say to each other (rota-protocol(7): PULL_, PLACE_, CHUNK_).  Whoever moves bytes for a node stands on this alone.
 *
 * What is asked for here: TRANSFER_WANT, then RESERVE, chunks, DONE or FAILED.  What others ask for: OPEN, chunks, CLOSE.
 * What the owners here are concerned with: LOST, and TRANSFER_FREE of what they let go.  A node is spoken to in two ways:
 * in its session, where what is sent arrives once and in order, and on the connection for bulk, which may break:
 * TRANSFER_BROKEN, then TRANSFER_UP; what was not sent yet goes with it.
 *
 *	transfer_step(&t, now, &(struct transfer_in){ … }, &out);
 *	for each of out.fx: do it; out.n = out.bytes.len = 0
 *	while (transfer_next(&t, &chunk)): chunk_pack and the bytes, to chunk.node
 *
 * A chunk that comes: chunk_parse, transfer_begin, its bytes to their place, TRANSFER_CHUNK.
 *
 * Sans I/O: calls nobody.  One thread at a time.
 */
#ifndef CORE_TRANSFER_H
#define CORE_TRANSFER_H

#include "base/buf.h"
#include "base/span.h"
#include "core/feed.h"
#include "core/places.h"
#include "core/pull.h"
#include "wire/chunk.h"

struct transfer {
	uint32_t self;			/* ro: this node */
	struct places places;		/* ro, limits rw: of objects of owners here */
	struct pull_core pull;
	struct feed feed;
	struct buf local;		/* private from here: messages to ourselves */
	struct places_out of_places;
	struct pull_out of_pull;
	struct feed_out of_feed;
};

enum transfer_in_kind {
	TRANSFER_WANT,		/* id, form.bytes: about so many, priority: to be here */
	TRANSFER_CANCEL,	/* id: not any more */
	TRANSFER_HAVE,		/* id, form: it was made here, or is here and somebody wants it: its owner's node is to know */
	TRANSFER_DROPPED,	/* id, stamp: and now it is here no more */
	TRANSFER_FREE,		/* id: its owner, who is here, let it go; code, text: or it cannot be made again */
	TRANSFER_RESERVED,	/* id, ticket, code, text: of RESERVE: 0 there is room, or why not */
	TRANSFER_OPENED,	/* id, form: of OPEN: it stays where it is until CLOSE; form.bytes 0: it is not here */
	TRANSFER_ROOM,		/* node, bytes: the connection for bulk takes so many now */
	TRANSFER_CHUNK,		/* node: what transfer_begin said yes to is in its place */
	TRANSFER_FRAME,		/* node, type, body: any message of those three kinds but CHUNK */
	TRANSFER_BROKEN,	/* node: the connection for bulk */
	TRANSFER_UP,		/* node: it is there again */
	TRANSFER_GONE,		/* node: it is dead */
	TRANSFER_TICK,
};

struct transfer_in {
	enum transfer_in_kind kind;
	struct id id;
	uint32_t node;
	uint16_t type;
	enum pull_priority priority;
	uint64_t stamp, ticket, bytes;
	struct form form;
	struct span body;
	int code;
	const char *text;
};

enum transfer_fx_kind {
	TRANSFER_SEND,		/* node, at, n: a frame, whole, in out.bytes; bulk: on the connection for bulk, else in the session */
	TRANSFER_RESERVE,	/* id, form, ticket: room, store/arena_fill.h; RESERVED answers */
	TRANSFER_UNRESERVE,	/* ticket: give it back, or do not look for it any more */
	TRANSFER_DONE,		/* id, form, ticket: all of it is there: seal it.  If it makes no sense: DROPPED. */
	TRANSFER_FAILED,	/* id, code, text */
	TRANSFER_OPEN,		/* id: pin it, bring it from the disk; OPENED answers, maybe later */
	TRANSFER_CLOSE,		/* id: unpin it, if it is pinned */
	TRANSFER_DROP,		/* id, stamp (0: any): if it is here whole let it go, and say DROPPED; code, text as FREE had it */
	TRANSFER_PRIMARY,	/* id: the copy here is the primary one now */
	TRANSFER_LOST,		/* id, of an owner here: no node has it.  If it is here, HAVE; else make it again, or FREE. */
	TRANSFER_BREAK,		/* node: close the connection for bulk, then BROKEN */
};

struct transfer_fx {
	enum transfer_fx_kind kind;
	struct id id;
	uint32_t node;
	bool bulk;
	uint64_t ticket, stamp;
	struct form form;
	size_t at, n;
	int code;
	char text[160];
};

struct transfer_out {
	struct transfer_fx *fx;		/* the caller frees it and bytes, or uses them again with n = bytes.len = 0 */
	size_t n, cap;
	struct buf bytes;
	uint64_t at;			/* when to come with TRANSFER_TICK; 0: no need */
};

void	transfer_init(struct transfer *t, uint32_t self, uint64_t budget);
void	transfer_release(struct transfer *t);
/*
 * 0; ERR_PROTO: a message that makes no sense, or that its sender has no right to: end the session with it; nothing was changed.
 * ERR_FULL of WANT and HAVE: a table is at its limit (core/pull.h, core/places.h).  -ENOMEM: part of it may be done, and
 * messages may be missing; who waits for one asks again in time, or its node is given up.
 */
int	transfer_step(struct transfer *t, uint64_t now, const struct transfer_in *in, struct transfer_out *o);
bool	transfer_awaits(struct transfer *t, struct id id, uint64_t ticket);	/* as pull_awaits */
bool	transfer_begin(struct transfer *t, uint32_t node, const struct chunk *c, uint64_t *ticket);	/* as pull_begin */
bool	transfer_next(struct transfer *t, struct feed_chunk *c);	/* as feed_next */

#endif
