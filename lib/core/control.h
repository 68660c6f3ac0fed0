/*
 * control - the control store's decisions: nodes, jobs, actors by number and by name, and the key-value store
 * (core/kv.h), purely.
 *
 * Peers are nodes; they send NODE_JOIN, HEARTBEAT, JOB_NEW, JOB_END, ACTOR_NEW, ACTOR_FIND, ACTOR_NOTE, KV_… (wire/msg.h)
 * and BYE, and get frames back.  A node is given up when it was disconnected for the limit, one of another machine also
 * when no HEARTBEAT came for so long; the caller says that one came (alive.h has the time to call with), and hears with
 * UP and DOWN which nodes there are.  Numbers of nodes, jobs and actors are never used again.  A name is taken as long as its actor is
 * not dead.  What must survive a restart goes out as PUT and DEL effects with the number of their commit, and every
 * frame names the commit that it depends on: it may leave once that is durable.  A daemon without a disk
 * writes both down for the one that follows it.
 *
 * Sans I/O: frames and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "core/kv.h"
#include "wire/frame.h"
#include "wire/msg.h"

#define CONTROL_BYTES (UINT64_C(1) << 30)	/* of actors and jobs, unless told otherwise */
#define CONTROL_LAYOUT 1u		/* of the durable keys and values */
struct control {
	uint64_t most;			/* rw: bytes of actors and jobs, beyond which no more are taken */
	uint64_t bytes;			/* ro: of those that there are, about */
	uint64_t limit;			/* rw, before anything is loaded: ns until a node is given up */
	uint64_t epoch;			/* ro: raised at each start */
	uint64_t id;			/* rw, before the first step: of this store for ever; 0: not told to nodes */
	size_t nbefore;			/* ro: nodes of before the start that have neither come back nor been given up */
	uint64_t commit;		/* ro: number of the last commit asked for */
	uint64_t next_node, next_job, next_actor;	/* private from here: last numbers given */
	struct map nodes, peers, jobs, actors, names;
	uint64_t told_limit;		/* the longest that some node may go by */
	struct kv kv;			/* kv.rev is loaded as the other numbers are */
};

enum control_fx_kind {
	CONTROL_FX_SEND,	/* frame for peer, once commit is durable */
	CONTROL_FX_PUT,		/* key, val: part of commit */
	CONTROL_FX_DEL,		/* key: part of commit */
	CONTROL_FX_PAST,	/* val: what is to be remembered of something that is over, of list key; part of commit.  Msgpack: names of
				   columns and their values, in turn, as a LIST of it has them (node/rows.c) */
	CONTROL_FX_UP,		/* node joined as peer: it may be told to others once commit is durable */
	CONTROL_FX_DOWN,	/* node is given up, in val why, or has left; peer, if not 0, to be dropped; once commit is durable */
};

struct control_fx {
	enum control_fx_kind kind;
	uint32_t node;
	uint64_t peer, commit;
	unsigned columns;		/* PAST */
	size_t key, nkey, val, nval;	/* in bytes; a frame is val */
};

struct control_out {
	struct control_fx *fx;		/* the caller frees both, or sets n and bytes.len to 0 */
	size_t n, cap;
	struct buf bytes;
	uint64_t at;			/* when to call control_tick; 0: no need */
};

void	control_init(struct control *c, uint64_t epoch);
void	control_release(struct control *c);
int	control_load(struct control *c, const void *key, size_t nkey, const void *val, size_t nval); /* at start: 0, ERR_PROTO, -ENOMEM */
/* One frame from peer, the caller's number of it.  0; < 0: it broke the protocol and is to be dropped. */
int	control_step(struct control *c, uint64_t now, uint64_t peer, const struct frame *f, struct control_out *o);
bool	control_joined(const struct control *c, uint64_t peer);	/* it is a node, and not given up */
void	control_gone(struct control *c, uint64_t now, uint64_t peer, struct control_out *o);	/* disconnected */
void	control_tick(struct control *c, uint64_t now, struct control_out *o);
/* What the caller has put into o itself since effect number from: its writes are one commit, on which what it sends depends. */
void	control_seal(struct control *c, size_t from, struct control_out *o);
int	control_check(const struct control *c);		/* tests: 0, or the line that found the fault */

#endif
