/*
 * kv - the key-value store of the control store, decided purely.
 *
 * Keys of 1 to 255 bytes, values of bytes.  Every commit has a revision, one more than the one before, across the whole
 * store; a key knows the revision that made it and the one that changed it last.  A transaction compares revisions of
 * keys (0: absent), and changes all that it names or nothing.  A watch names a prefix and a revision and is answered
 * with the changes since, or waits for the first one; who was answered asks again from `next`, so that a slow watcher
 * costs nothing and misses nothing: what the bounded log has forgotten is an error, ERR_COMPACTED.
 * A key can be bound to a session: it goes with its process or its job, and with the node of both.
 * Keys below "rota/" are written by nodes only.  Model: etcd 3 (revisions, watch, leases), without its history of values.
 *
 * Sans I/O, as core/control.h, of which it is a part: what must last goes out as writes of "kv/KEY" and "next/revision".
 */
#ifndef CORE_KV_H
#define CORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "wire/frame.h"

#define KV_KEY_MAX 255u
#define KV_VALUE_MAX (1u << 20)
#define KV_OPS_MAX 1024u		/* compares, and changes, of a transaction */
#define KV_BYTES_MAX (UINT64_C(256) << 20)	/* keys and values in all; ERR_FULL: a transaction that adds some does not fit */
#define KV_LOG_MAX 65536u		/* changes remembered */
#define KV_LOG_BYTES (16u << 20)	/* and their bytes */
#define KV_WATCHES_MAX 65536u
#define KV_ANSWER 262144u		/* bytes after which an answer stops at the next whole revision or row */
#define KV_LEVELS 16
#define KV_SYSTEM "rota/"

struct control_out;

struct kv_event {			/* private to kv_log.c */
	uint64_t rev;
	uint32_t nkey, nval;
	bool del;
	unsigned char bytes[];		/* key, value */
};

struct kv_log {				/* private */
	struct kv_event **ring;		/* KV_LOG_MAX of them, made at the first change */
	size_t first, n, bytes;
	uint64_t floor;			/* changes up to this revision are forgotten; while n is 0 all are */
	struct list watches;
	unsigned nwatch;
};

struct kv {
	uint64_t rev;			/* ro: of the last commit */
	uint64_t n, bytes;		/* ro: keys, and bytes of keys and values */
	struct kv_entry *head[KV_LEVELS];	/* private from here: a skip list in order of the keys */
	uint64_t seed;
	struct map sessions;
	struct kv_log log;
};

void	kv_init(struct kv *k);
void	kv_release(struct kv *k);
int	kv_load(struct kv *k, struct span key, struct span val);	/* at start: 0, ERR_PROTO, -ENOMEM */
/* A frame of peer, which is this node: KV_…, others are ignored.  0; < 0: it broke the protocol. */
int	kv_step(struct kv *k, uint64_t peer, uint32_t node, const struct frame *f, struct control_out *o);
void	kv_peer_gone(struct kv *k, uint64_t peer);		/* its watches are dropped; it asks again when it is back */
void	kv_node_gone(struct kv *k, uint32_t node, struct control_out *o);
/* Another daemon of node: its sessions end, but those of these processes and jobs (u64 each, little endian). */
void	kv_node_heir(struct kv *k, uint32_t node, struct span procs, struct span jobs, struct control_out *o);
void	kv_job_end(struct kv *k, uint64_t job, struct control_out *o);
int	kv_check(const struct kv *k);		/* tests: 0, or the line that found the fault */

#endif
