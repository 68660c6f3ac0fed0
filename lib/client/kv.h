/*
 * kv - the key-value store from a process: core/kv.h says what it does, wire/msg.h how its lists are written.
 *
 * For the main thread.  Results are 0 or a negative error with a line in why; they wait for the answer, which does not
 * come as long as the control store is away.  A group of bytes that is returned is appended to a buf of the caller.
 */
#ifndef CLIENT_KV_H
#define CLIENT_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

struct client;
struct kv_watch;

/* the row of key, or with list all rows of keys that begin so: KV_ROWS.rows; *rev: when it was so */
int	client_kv_get(struct client *c, struct span key, bool list, struct buf *rows, uint64_t *rev, char *why, size_t n);

struct kv_done {
	bool ok;		/* false: a compared key had another revision */
	uint64_t revision, changed, have;
	struct buf key;		/* of which key; the caller releases it */
};
/* KV_TXN's compares and ops.  ERR_CLOSED: the control store went away, it may or may not have been done */
int	client_kv_txn(struct client *c, struct span compares, struct span ops, struct kv_done *d, char *why, size_t n);

/* from: 0 what comes after now.  NULL: no memory.  Nothing is asked before the first client_kv_next. */
struct kv_watch *client_kv_watch(struct client *c, struct span prefix, uint64_t from);
/*
 * Waits until there is something: KV_EVENTS.events.  -ETIMEDOUT (deadline 0: a look), -EINTR; ERR_COMPACTED: list again
 * and make another one.  *next: what a new watch would begin at to go on.
 */
int	client_kv_next(struct client *c, struct kv_watch *w, uint64_t deadline, struct buf *events, uint64_t *next, char *why,
	    size_t n);
void	client_kv_unwatch(struct client *c, struct kv_watch *w);

#endif
