/*
 * session - what one node tells another arrives once and in order, over connections that may break.
 *
 * Above the connection each direction numbers its frames from 1 and keeps them until the peer has said that it has them.
 * A new connection begins with each side's incarnation and the number of the last frame that it has; what is after that
 * is sent again, and a number that came before is dropped.  A peer of another incarnation knows nothing of all this: the
 * session is over then, and what was under way in it has failed as if the node had died.
 *
 * Two classes: control goes before small, within each the order is kept.  Bulk data does not go through a session: who
 * pulls an object knows how far it came and asks again from there.
 *
 * Sans I/O: the caller moves the bytes.  One thread at a time.  The number travels in the frame's header, `session`.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

#define SESSION_WINDOW (4u << 20)	/* bytes that may be under way: sent, and not known to have arrived */
#define SESSION_QUEUE (64u << 20)	/* bytes that may wait for the window; more is ERR_FULL */
#define SESSION_ACK 65536u		/* bytes that came in after which the peer is told so, or frames in a 64th of it */

enum session_class { SESSION_CONTROL, SESSION_SMALL, SESSION_CLASSES };

struct session_bytes {			/* private: whole frames, taken off at the front */
	struct buf b;
	size_t off;			/* of the first; what is before it goes when it is half of all */
};

struct session {
	uint64_t peer;			/* ro: its incarnation */
	struct session_bytes wait[SESSION_CLASSES];	/* private from here: frames without a number yet */
	struct session_bytes kept;	/* numbered ones, of acked + 1 and after */
	size_t at;			/* how many bytes of kept this connection was given */
	uint64_t next;			/* number of the next one */
	uint64_t acked;			/* the peer has all up to this one */
	uint64_t received, told;	/* we have all up to received; the peer was told of those up to told */
	size_t unsaid;			/* bytes that came since */
};

void	session_init(struct session *s, uint64_t peer);
void	session_release(struct session *s);
/* Appends whole frames, n bytes as packed (frame.h); copied.  0, ERR_FULL, -ENOMEM. */
int	session_push(struct session *s, enum session_class class, const void *frames, size_t n);
size_t	session_waiting(const struct session *s);	/* bytes that have no place in the window yet */
/*
 * The next whole frames for the connection, at most `most` bytes unless a single one is longer; empty: nothing now.
 * They count as given to it.  Valid until the next call of any function here.
 */
struct span session_out(struct session *s, size_t most);
/* The frame with this number came: 1: it is new; 0: it came before, drop it; ERR_PROTO: some are missing before it. */
int	session_in(struct session *s, uint64_t number, size_t n);
/* The peer has all up to this number.  0, ERR_PROTO: it was never sent. */
int	session_acked(struct session *s, uint64_t number);
bool	session_ack_due(const struct session *s);	/* it is time to tell; a timer may do so earlier while told < received */
uint64_t session_tell(struct session *s);		/* what to tell: all up to this one; counts as told */
/*
 * A new connection, on which the peer has said what it has.  0: session_out goes on there.  -ESTALE: another
 * incarnation.  ERR_PROTO: it has what was never sent, or lacks what it had.
 */
int	session_resume(struct session *s, uint64_t peer, uint64_t received);

#endif
